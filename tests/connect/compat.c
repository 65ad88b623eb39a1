/* SPDX-License-Identifier: Apache-2.0 */
#include "compat.h"

#include <neo/encoding.h>
#include <neo/memory.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { LARGEST = 16 << 20, VALUES_MAX = 64, HEADERS_MAX = 128 };

void compat_check(enum neo_code code, const struct neo_error *err)
{
    if (code == NEO_OK)
        return;
    (void)fprintf(stderr, "%s: %s\n", neo_code_name(code), err->message);
    exit(1);
}

static void out_of_memory(void)
{
    (void)fprintf(stderr, "out of memory\n");
    exit(1);
}

bool compat_read(const struct neo_message_info *info, void *message, struct neo_arena *arena)
{
    uint8_t prefix[4];
    struct neo_error err;

    if (fread(prefix, 1, sizeof(prefix), stdin) != sizeof(prefix))
        return false;
    size_t len = (size_t)prefix[0] << 24 | (size_t)prefix[1] << 16 | (size_t)prefix[2] << 8 |
                 (size_t)prefix[3];
    uint8_t *at = len > LARGEST ? NULL : neo_arena_alloc(arena, len + 1);
    if (at == NULL || fread(at, 1, len, stdin) != len)
        return false;
    memset(message, 0, info->size);
    compat_check(neo_proto_decode(info, neo_bytes(at, len), message, arena, &err), &err);
    return true;
}

void compat_write(const struct neo_message_info *info, const void *message)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer out = {0};
    struct neo_error err;

    compat_check(neo_proto_encode(info, message, &out, &err), &err);
    const uint8_t prefix[4] = {(uint8_t)(out.len >> 24), (uint8_t)(out.len >> 16),
                               (uint8_t)(out.len >> 8), (uint8_t)out.len};
    (void)pthread_mutex_lock(&lock);
    (void)fwrite(prefix, 1, sizeof(prefix), stdout);
    (void)fwrite(out.at, 1, out.len, stdout);
    (void)fflush(stdout);
    (void)pthread_mutex_unlock(&lock);
}

struct neo_bytes compat_encode(const struct neo_message_info *info, const void *message,
                               struct neo_arena *arena)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer out = {0};
    struct neo_error err;

    compat_check(neo_proto_encode(info, message, &out, &err), &err);
    return neo_arena_copy(arena, neo_buffer_bytes(&out));
}

struct google_protobuf_Any *compat_any(const struct neo_message_info *info, const void *message,
                                       struct neo_arena *arena)
{
    struct google_protobuf_Any *any = neo_arena_calloc(arena, 1, sizeof(*any));

    if (any == NULL)
        out_of_memory();
    any->type_url = neo_text(neo_arena_printf(arena, "type.googleapis.com/%s", info->full_name));
    any->value = compat_encode(info, message, arena);
    return any;
}

/* --- headers ----------------------------------------------------------------------------- */

static bool is_binary(struct neo_bytes name)
{
    return name.len > 4 && memcmp(name.at + name.len - 4, "-bin", 4) == 0;
}

static struct connectrpc_conformance_v1_Header *find(struct compat_list *list,
                                                     struct neo_bytes name, struct neo_arena *arena)
{
    for (size_t i = 0; i < list->len; i++)
        if (neo_bytes_equal(list->at[i]->name, name))
            return list->at[i];

    struct connectrpc_conformance_v1_Header *h = neo_arena_calloc(arena, 1, sizeof(*h));
    if (list->at == NULL)
        list->at = neo_arena_calloc(arena, HEADERS_MAX, sizeof(*list->at));
    if (h == NULL || list->at == NULL || list->len == HEADERS_MAX)
        out_of_memory();
    h->name = neo_arena_copy(arena, name);
    h->value.at = neo_arena_calloc(arena, VALUES_MAX, sizeof(*h->value.at));
    list->at[list->len++] = h;
    return h;
}

void compat_add(struct compat_list *list, struct neo_pair pair, struct neo_arena *arena)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};
    struct connectrpc_conformance_v1_Header *h = find(list, pair.key, arena);

    if (is_binary(pair.key)) {
        if (!neo_base64_encode(&text, pair.value, NEO_BASE64_UNPADDED))
            out_of_memory();
        pair.value = neo_buffer_bytes(&text);
    }
    if (h->value.at == NULL || h->value.len == VALUES_MAX)
        out_of_memory();
    h->value.at[h->value.len++] = neo_arena_copy(arena, pair.value);
}

struct neo_bytes compat_value(struct neo_bytes name, struct neo_bytes value,
                              struct neo_arena *arena)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer raw = {0};

    if (!is_binary(name) || neo_base64_decode(value, &raw, NULL) != NEO_OK)
        return value;
    return neo_arena_copy(arena, neo_buffer_bytes(&raw));
}
