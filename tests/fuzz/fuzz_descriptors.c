/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two bytes of length, a FileDescriptorProto, and a message of the first type it declares: tables
 * of a stranger are used like our own.
 */
#include <neo/descriptor.h>

#include <stdlib.h>

enum { BUDGET = 32 << 20, HEAD = 2 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct neo_message_info *first_message(const struct neo_descriptors *pool,
                                                    struct neo_bytes wire, struct neo_arena *arena)
{
    struct neo_descriptor_file file = {0};

    if (neo_proto_decode(&neo_descriptor_file_info, wire, &file, arena, NULL) != NEO_OK ||
        file.message_type.len == 0)
        return NULL;
    const char *name =
        neo_arena_printf(arena, "%.*s%s%.*s", NEO_FMT(file.package),
                         file.package.len > 0 ? "." : "", NEO_FMT(file.message_type.at[0]->name));
    return neo_descriptors_message(pool, neo_text(name));
}

static void use(const struct neo_message_info *info, struct neo_bytes wire, struct neo_arena *arena)
{
    struct neo_buffer out = {0};
    void *message = neo_arena_calloc(arena, 1, info->size);

    if (neo_proto_decode(info, wire, message, arena, NULL) == NEO_OK) {
        if (neo_proto_encode(info, message, &out, NULL) != NEO_OK)
            abort();
        neo_buffer_clear(&out);
        if (neo_proto_to_json(info, message, 0, &out, NULL) == NEO_OK) {
            void *back = neo_arena_calloc(arena, 1, info->size);
            bool reads =
                neo_proto_from_json(info, neo_buffer_bytes(&out), 0, back, arena, NULL) == NEO_OK;
            (void)reads; /* not all that is printed fits our depth */
        }
    }
    neo_buffer_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct neo_descriptors *pool = NULL;
    struct neo_arena arena;

    if (size < HEAD)
        return 0;
    size_t len = (size_t)(data[0] << 8 | data[1]);
    if (len > size - HEAD)
        len = size - HEAD;
    struct neo_bytes file = neo_bytes(data + HEAD, len);
    if (neo_descriptors_new(&file, 1, &pool, NULL) != NEO_OK)
        return 0;
    neo_arena_init(&arena, BUDGET);
    const struct neo_message_info *info = first_message(pool, file, &arena);
    if (info != NULL)
        use(info, neo_bytes_from(neo_bytes(data, size), HEAD + len), &arena);
    neo_arena_fini(&arena);
    neo_descriptors_free(pool);
    return 0;
}
