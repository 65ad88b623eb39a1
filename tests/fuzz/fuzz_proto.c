/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first byte chooses the message. What is decoded can be encoded, in exactly the size that was
 * foretold, and decoding that and encoding it again changes nothing more. A copy equals it, and
 * outlives it.
 */
#include "neo/test/v1/all.neo.h"
#include "neo/test/v1/more.neo.h"
#include "neo/test/v1/old.neo.h"
#include "neo/test/v1/secret.neo.h"

#include <neo/message.h>

#include <stdlib.h>

enum { BUDGET = 32 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct neo_message_info *const infos[] = {
    &neo_test_v1_Scalars_info, &neo_test_v1_Optionals_info, &neo_test_v1_Lists_info,
    &neo_test_v1_Maps_info,    &neo_test_v1_Choice_info,    &neo_test_v1_Tree_info,
    &neo_test_v1_Sparse_info,  &neo_test_v1_WellKnown_info, &neo_test_v1_Old_info,
    &neo_test_v1_Legacy_info,  &neo_test_v1_Keys_info,      &neo_test_v1_Vault_info,
};

static void must(bool promise)
{
    if (!promise)
        abort();
}

/* A copy holds nothing of what it was made from: that is overwritten before the copy is used. */
static void copy(const struct neo_message_info *info, void *message, struct neo_buffer *borrowed,
                 struct neo_arena *lost, struct neo_bytes encoded)
{
    struct neo_arena arena;
    struct neo_buffer again = {0};
    struct neo_arena more;

    neo_arena_init(&arena, (size_t)BUDGET * 4);
    neo_arena_init(&more, (size_t)BUDGET * 4);
    void *one = neo_arena_calloc(&arena, 1, info->size);
    void *two = neo_arena_calloc(&arena, 1, info->size);
    must(neo_proto_copy(info, message, one, &arena, NULL) == NEO_OK);
    must(neo_proto_equal(info, message, one) && neo_proto_equal(info, one, message));
    if (borrowed->len > 0)
        memset(borrowed->at, 0xaa, borrowed->len);
    neo_arena_fini(lost);
    must(neo_proto_copy(info, one, two, &more, NULL) == NEO_OK);
    must(neo_proto_equal(info, one, two));
    must(neo_proto_encode(info, one, &again, NULL) == NEO_OK);
    must(neo_bytes_equal(encoded, neo_buffer_bytes(&again)));
    neo_buffer_fini(&again);
    neo_arena_fini(&more);
    neo_arena_fini(&arena);
}

/* Decodes and encodes; false when the input was refused. */
static bool round_trip(const struct neo_message_info *info, struct neo_bytes wire,
                       struct neo_buffer *out)
{
    struct neo_arena arena;
    struct neo_buffer input = {0};
    size_t size;

    neo_arena_init(&arena, BUDGET);
    static _Alignas(16) uint8_t message[1024];
    must(info->size <= sizeof(message) && neo_buffer_append(&input, wire));
    memset(message, 0, sizeof(message));
    enum neo_code code = neo_proto_decode(info, neo_buffer_bytes(&input), message, &arena, NULL);
    if (code == NEO_OK) {
        must(neo_proto_size(info, message, &size, NULL) == NEO_OK);
        must(neo_proto_encode(info, message, out, NULL) == NEO_OK);
        must(out->len == size);
        enum neo_code open = neo_proto_check_open(info, message, NULL);
        must(open == NEO_OK || open == NEO_FAILED_PRECONDITION || open == NEO_INVALID_ARGUMENT);
        copy(info, message, &input, &arena, neo_buffer_bytes(out));
    }
    neo_buffer_fini(&input);
    neo_arena_fini(&arena);
    return code == NEO_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct neo_buffer once = {0};
    struct neo_buffer twice = {0};

    if (size == 0)
        return 0;
    const struct neo_message_info *info = infos[data[0] % NEO_COUNT(infos)];
    if (round_trip(info, neo_bytes(data + 1, size - 1), &once)) {
        must(round_trip(info, neo_buffer_bytes(&once), &twice));
        must(neo_bytes_equal(neo_buffer_bytes(&once), neo_buffer_bytes(&twice)));
    }
    neo_buffer_fini(&once);
    neo_buffer_fini(&twice);
    return 0;
}
