/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Few keys are compared with each other; many are found through an index hashed with
 * the process's secret, so that the keys' author cannot make it quadratic. An object
 * uses only as much of an index left by a larger one as it needs, so that many small
 * objects after a large one do not each clear all of it.
 */
#include "codec/json_keys.h"

#include "base/map.h"

enum { FEW = 8, FIRST_INDEX = 32, KEYS_MAX = 1 << 30 };

void json_keys_clear(struct json_keys *keys)
{
    keys->len = 0;
    keys->mask = 0;
}

static uint32_t *find(const struct json_keys *keys, struct neo_bytes key)
{
    for (uint32_t at = (uint32_t)map_hash(key) & keys->mask;; at = (at + 1) & keys->mask) {
        uint32_t place = keys->index[at];
        if (place == 0 || neo_bytes_equal(keys->at[place - 1], key))
            return &keys->index[at];
    }
}

/* An index of `size` places, a power of two, over the keys there are. */
static bool make_index(struct json_keys *keys, struct neo_arena *arena, uint32_t size)
{
    if (size > keys->index_cap) {
        uint32_t *index = neo_arena_calloc(arena, size, sizeof(*index));
        if (index == NULL)
            return false;
        keys->index = index;
        keys->index_cap = size;
    } else {
        memset(keys->index, 0, size * sizeof(*keys->index));
    }
    keys->mask = size - 1;
    for (uint32_t i = 0; i < keys->len; i++)
        *find(keys, keys->at[i]) = i + 1;
    return true;
}

static bool grow(struct json_keys *keys, struct neo_arena *arena)
{
    uint32_t cap = keys->cap == 0 ? FEW : keys->cap * 2;

    if (cap > KEYS_MAX)
        return false;
    struct neo_bytes *at = neo_arena_alloc(arena, cap * sizeof(*at));
    if (at == NULL)
        return false;
    if (keys->len > 0)
        memcpy(at, keys->at, keys->len * sizeof(*at));
    keys->at = at;
    keys->cap = cap;
    return true;
}

static bool has_few(const struct json_keys *keys, struct neo_bytes key)
{
    for (uint32_t i = 0; i < keys->len; i++) {
        if (neo_bytes_equal(keys->at[i], key))
            return true;
    }
    return false;
}

enum json_keys_added json_keys_add(struct json_keys *keys, struct neo_arena *arena,
                                   struct neo_bytes key)
{
    if (keys->len >= FEW && keys->len >= keys->mask / 2 &&
        !make_index(keys, arena, keys->mask == 0 ? FIRST_INDEX : (keys->mask + 1) * 2))
        return JSON_KEYS_MEMORY;
    uint32_t *place = keys->mask == 0 ? NULL : find(keys, key);
    if (place == NULL ? has_few(keys, key) : *place != 0)
        return JSON_KEYS_TWIN;
    if (keys->len == keys->cap && !grow(keys, arena))
        return JSON_KEYS_MEMORY;
    keys->at[keys->len++] = key;
    if (place != NULL)
        *place = keys->len;
    return JSON_KEYS_NEW;
}
