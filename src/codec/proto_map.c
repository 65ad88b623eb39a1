/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a run of entries to a map: of entries with equal keys the last one counts.
 *
 * Entries are kept from the back: whoever comes first from behind stays, and moves
 * up against those already kept. Few entries are compared with each other, many
 * through an index hashed with the process's secret, so that whoever chooses the
 * keys cannot make it quadratic. Keys that ascend, as sorted ones do, are distinct.
 */
#include "codec/proto.h"

#include "base/map.h"

enum { KEY = 1, VALUE = 2 };

struct entries {
    uint8_t *at;
    size_t len;
    size_t size;
    size_t kept; /* [kept, len) are distinct */
    const struct neo_field_info *key;
    uint64_t *index; /* hash of the key and 1 + position of a kept entry; 0: free. NULL: few */
    size_t mask;
};

static struct neo_bytes key_of(const struct entries *e, size_t i)
{
    return proto_map_key(e->key, e->at + i * e->size);
}

static bool was_kept_few(const struct entries *e, struct neo_bytes key)
{
    for (size_t i = e->kept; i < e->len; i++) {
        if (neo_bytes_equal(key_of(e, i), key))
            return true;
    }
    return false;
}

/* The place in the index of the kept entry with this key, or the free one for it. */
static uint64_t *find(const struct entries *e, struct neo_bytes key, uint32_t hash)
{
    size_t at = hash & e->mask;

    while (e->index[at] != 0) {
        if (e->index[at] >> 32 == hash &&
            neo_bytes_equal(key_of(e, (uint32_t)e->index[at] - 1), key))
            break;
        at = (at + 1) & e->mask;
    }
    return &e->index[at];
}

static void keep(struct entries *e, size_t i)
{
    e->kept--;
    if (e->kept != i)
        memcpy(e->at + e->kept * e->size, e->at + i * e->size, e->size);
}

static void drop_overridden(struct entries *e)
{
    for (size_t i = e->len; i-- > 0;) {
        struct neo_bytes key = key_of(e, i);

        if (e->index == NULL) {
            if (!was_kept_few(e, key))
                keep(e, i);
            continue;
        }
        uint32_t hash = (uint32_t)map_hash(key);
        uint64_t *place = find(e, key, hash);
        if (*place == 0) {
            keep(e, i);
            *place = (uint64_t)hash << 32 | (e->kept + 1);
        }
    }
}

/* Each key after the one before it, in any order that is one: as bytes, the shorter first. */
static bool is_ascending(const struct entries *e)
{
    for (size_t i = 1; i < e->len; i++) {
        struct neo_bytes before = key_of(e, i - 1);
        struct neo_bytes key = key_of(e, i);
        size_t shared = before.len < key.len ? before.len : key.len;
        int order = shared == 0 ? 0 : memcmp(before.at, key.at, shared);

        if (order > 0 || (order == 0 && before.len >= key.len))
            return false;
    }
    return true;
}

static bool make_index(struct neo_arena *arena, struct entries *e)
{
    if (e->len <= PROTO_MAP_FEW)
        return true;
    if (e->len > UINT32_MAX / 4)
        return false;
    e->mask = ((size_t)1 << (65 - __builtin_clzll(e->len))) - 1;
    e->index = neo_arena_calloc(arena, e->mask + 1, sizeof(*e->index));
    return e->index != NULL;
}

static bool fill_values(struct neo_arena *arena, const struct neo_field_info *value,
                        const struct entries *e)
{
    for (size_t i = 0; i < e->len; i++) {
        uint8_t *slot = e->at + i * e->size + value->offset;

        if (proto_pointer(slot) != NULL)
            continue;
        void *empty = neo_arena_calloc(arena, 1, value->message->size);
        if (empty == NULL)
            return false;
        memcpy(slot, &empty, sizeof(empty));
    }
    return true;
}

bool proto_map_finish(struct neo_arena *arena, const struct neo_field_info *field, void *message)
{
    const struct neo_field_info *value = proto_field(field->message, VALUE);
    struct wire_array array = proto_array(field, message);
    struct entries e = {
        .at = array.at,
        .len = array.len,
        .size = field->message->size,
        .kept = array.len,
        .key = proto_field(field->message, KEY),
    };

    if (value->kind == NEO_KIND_MESSAGE && !fill_values(arena, value, &e))
        return false;
    if (array.len < 2 || is_ascending(&e))
        return true;
    if (!make_index(arena, &e))
        return false;
    drop_overridden(&e);
    if (e.kept > 0) {
        array.len -= e.kept;
        memmove(array.at, array.at + e.kept * e.size, array.len * e.size);
        memcpy((uint8_t *)message + field->offset, &array, sizeof(array));
    }
    return true;
}

bool proto_map_lacks_required(const struct neo_field_info *field, const void *message)
{
    const struct neo_field_info *value = proto_field(field->message, VALUE);
    struct wire_array array = proto_array(field, message);

    if (value->kind != NEO_KIND_MESSAGE || !(value->message->traits & NEO_MESSAGE_REQUIRED))
        return false;
    for (size_t i = 0; i < array.len; i++) {
        if (proto_pointer(array.at + i * field->message->size + value->offset) == NULL)
            return true;
    }
    return false;
}
