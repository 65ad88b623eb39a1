/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first byte chooses the message and whether wire or JSON follows. What can be printed can be
 * read, and printing that changes nothing more.
 */
#include "neo/test/v1/all.neo.h"
#include "neo/test/v1/more.neo.h"
#include "neo/test/v1/old.neo.h"

#include <stdlib.h>

enum { BUDGET = 32 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct neo_message_info *const infos[] = {
    &neo_test_v1_Scalars_info,   &neo_test_v1_Optionals_info, &neo_test_v1_Lists_info,
    &neo_test_v1_Maps_info,      &neo_test_v1_Choice_info,    &neo_test_v1_Tree_info,
    &neo_test_v1_WellKnown_info, &neo_test_v1_Names_info,     &neo_test_v1_Legacy_info,
    &neo_test_v1_Keys_info,      &neo_test_v1_Old_info,
};

static void must(bool promise)
{
    if (!promise)
        abort();
}

/* JSON or wire to JSON; false when one of the two steps refused. */
static bool to_json(const struct neo_message_info *info, struct neo_bytes in, bool is_json,
                    struct neo_buffer *out, enum neo_code *ret)
{
    struct neo_arena arena;

    neo_arena_init(&arena, BUDGET);
    void *message = neo_arena_calloc(&arena, 1, info->size);
    *ret = is_json ? neo_proto_from_json(info, in, 0, message, &arena, NULL)
                   : neo_proto_decode(info, in, message, &arena, NULL);
    bool ok = *ret == NEO_OK && neo_proto_to_json(info, message, 0, out, NULL) == NEO_OK;
    neo_arena_fini(&arena);
    return ok;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct neo_buffer once = {0};
    struct neo_buffer twice = {0};
    enum neo_code code;

    if (size == 0)
        return 0;
    const struct neo_message_info *info = infos[(data[0] >> 1) % NEO_COUNT(infos)];
    if (to_json(info, neo_bytes(data + 1, size - 1), data[0] & 1, &once, &code)) {
        bool again = to_json(info, neo_buffer_bytes(&once), true, &twice, &code);
        /* Messages may nest deeper, and Anys be wider, than JSON that is read. */
        must(again || code != NEO_OK);
        must(!again || neo_bytes_equal(neo_buffer_bytes(&once), neo_buffer_bytes(&twice)));
    }
    neo_buffer_fini(&once);
    neo_buffer_fini(&twice);
    return 0;
}
