/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Few keys are compared with each other; many are found through an index hashed with
 * the process's secret, so that the keys' author cannot make it quadratic. The index
 * holds the hashes too: a look that finds nothing reads no key.
 *
 * An object uses only as much of an index left by a larger one as it needs, so that
 * many small objects after a large one do not each clear all of it.
 */
#include "codec/json_keys.h"

#include "base/map.h"

enum { FEW = 8, FIRST_INDEX = 32, KEYS_MAX = 1 << 30 };

void json_keys_clear(struct json_keys *keys)
{
    keys->len = 0;
    keys->mask = 0;
}

static struct neo_bytes text_of(const struct json_keys *keys, uint32_t place)
{
    return neo_bytes(keys->at[place].at, keys->at[place].len);
}

/* The place in the index of an equal key, or the free one for this. */
static uint64_t *find(const struct json_keys *keys, struct neo_bytes text, uint32_t hash)
{
    uint32_t at = hash & keys->mask;

    while (keys->index[at] != 0) {
        if (keys->index[at] >> 32 == hash &&
            neo_bytes_equal(text_of(keys, (uint32_t)keys->index[at] - 1), text))
            break;
        at = (at + 1) & keys->mask;
    }
    return &keys->index[at];
}

/* Of a key that is known to be new. */
static void put(struct json_keys *keys, uint32_t place)
{
    uint32_t hash = keys->at[place].hash;
    uint32_t at = hash & keys->mask;

    while (keys->index[at] != 0)
        at = (at + 1) & keys->mask;
    keys->index[at] = (uint64_t)hash << 32 | (place + 1);
}

/* An index of `size` places, a power of two, over the keys there are. */
static bool make_index(struct json_keys *keys, struct neo_arena *arena, uint32_t size)
{
    if (size > keys->index_cap) {
        uint64_t *index = neo_arena_calloc(arena, size, sizeof(*index));
        if (index == NULL)
            return false;
        keys->index = index;
        keys->index_cap = size;
    } else {
        memset(keys->index, 0, size * sizeof(*keys->index));
    }
    for (uint32_t i = 0; i < keys->len && keys->mask == 0; i++)
        keys->at[i].hash = (uint32_t)map_hash(text_of(keys, i));
    keys->mask = size - 1;
    for (uint32_t i = 0; i < keys->len; i++)
        put(keys, i);
    return true;
}

static bool grow(struct json_keys *keys, struct neo_arena *arena)
{
    uint32_t cap = keys->cap == 0 ? FEW : keys->cap * 2;

    if (cap > KEYS_MAX)
        return false;
    struct json_key *at = neo_arena_alloc(arena, cap * sizeof(*at));
    if (at == NULL)
        return false;
    if (keys->len > 0)
        memcpy(at, keys->at, keys->len * sizeof(*at));
    keys->at = at;
    keys->cap = cap;
    return true;
}

static bool has_few(const struct json_keys *keys, struct neo_bytes text)
{
    for (uint32_t i = 0; i < keys->len; i++) {
        if (neo_bytes_equal(text_of(keys, i), text))
            return true;
    }
    return false;
}

enum json_keys_added json_keys_add(struct json_keys *keys, struct neo_arena *arena,
                                   struct neo_bytes key)
{
    uint32_t hash = 0;

    if (key.len > UINT32_MAX)
        return JSON_KEYS_MEMORY;
    if (keys->len >= FEW && keys->len >= keys->mask / 4 * 3 &&
        !make_index(keys, arena, keys->mask == 0 ? FIRST_INDEX : (keys->mask + 1) * 2))
        return JSON_KEYS_MEMORY;
    if (keys->mask == 0) {
        if (has_few(keys, key))
            return JSON_KEYS_TWIN;
    } else {
        hash = (uint32_t)map_hash(key);
        if (*find(keys, key, hash) != 0)
            return JSON_KEYS_TWIN;
    }
    if (keys->len == keys->cap && !grow(keys, arena))
        return JSON_KEYS_MEMORY;
    keys->at[keys->len] = (struct json_key){key.at, (uint32_t)key.len, hash};
    if (keys->mask != 0)
        put(keys, keys->len);
    keys->len++;
    return JSON_KEYS_NEW;
}
