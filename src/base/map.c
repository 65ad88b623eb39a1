/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linear probing over a power of two, at most three quarters full. A removed slot
 * keeps a non-NULL key.at as its tombstone so that probes pass over it; growing
 * sweeps the tombstones out.
 */
#include "base/map.h"

#include <neo/memory.h>

#include <pthread.h>
#include <sys/random.h>

static uint64_t hash_key[2];
static pthread_once_t hash_key_once = PTHREAD_ONCE_INIT;

static void make_hash_key(void)
{
    /* Cannot fail for 16 bytes once the kernel is up; a zero key is only slower. */
    if (getrandom(hash_key, sizeof(hash_key), 0) != sizeof(hash_key))
        hash_key[0] = hash_key[1] = 0;
}

static uint64_t rotate(uint64_t x, unsigned by)
{
    return x << by | x >> (64 - by);
}

static void sip_round(uint64_t v[static 4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] = rotate(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] = rotate(v[2], 32);
}

static void sip_word(uint64_t v[static 4], uint64_t word)
{
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
}

uint64_t map_hash(struct neo_bytes key)
{
    (void)pthread_once(&hash_key_once, make_hash_key);

    uint64_t v[4] = {
        hash_key[0] ^ UINT64_C(0x736f6d6570736575),
        hash_key[1] ^ UINT64_C(0x646f72616e646f6d),
        hash_key[0] ^ UINT64_C(0x6c7967656e657261),
        hash_key[1] ^ UINT64_C(0x7465646279746573),
    };
    size_t whole = key.len / 8 * 8;
    uint64_t word;

    for (size_t i = 0; i < whole; i += 8) {
        memcpy(&word, key.at + i, 8);
        sip_word(v, word);
    }
    word = (uint64_t)key.len << 56;
    for (size_t i = whole; i < key.len; i++)
        word |= (uint64_t)key.at[i] << (8 * (i - whole));
    sip_word(v, word);
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void map_fini(struct map *map)
{
    neo_free(map->slots);
    *map = (struct map){0};
}

/* The slot that holds `key`, or NULL. */
static struct map_slot *find(const struct map *map, struct neo_bytes key)
{
    if (map->cap == 0)
        return NULL;
    for (size_t i = map_hash(key);; i++) {
        struct map_slot *slot = &map->slots[i & (map->cap - 1)];
        if (slot->value == NULL && slot->key.at == NULL)
            return NULL;
        if (slot->value != NULL && neo_bytes_equal(slot->key, key))
            return slot;
    }
}

static void insert(struct map *map, struct neo_bytes key, void *value)
{
    size_t i = map_hash(key);

    while (map->slots[i & (map->cap - 1)].key.at != NULL)
        i++;
    map->slots[i & (map->cap - 1)] = (struct map_slot){.key = key, .value = value};
}

static bool rebuild(struct map *map, size_t cap)
{
    struct map bigger = {.cap = cap, .used = map->used, .full = map->used};

    bigger.slots = neo_alloc_array(cap, sizeof(*bigger.slots));
    if (bigger.slots == NULL)
        return false;
    for (size_t i = 0; i < map->cap; i++)
        if (map->slots[i].value != NULL)
            insert(&bigger, map->slots[i].key, map->slots[i].value);
    neo_free(map->slots);
    *map = bigger;
    return true;
}

bool map_put(struct map *map, struct neo_bytes key, void *value)
{
    struct map_slot *slot = find(map, key);

    if (slot != NULL) {
        *slot = (struct map_slot){.key = key, .value = value};
        return true;
    }
    if ((map->full + 1) * 4 > map->cap * 3) {
        size_t cap = map->cap == 0 ? 8 : map->cap;
        if ((map->used + 1) * 2 > cap)
            cap *= 2;
        if (!rebuild(map, cap))
            return false;
    }
    insert(map, key, value);
    map->used++;
    map->full++;
    return true;
}

void *map_get(const struct map *map, struct neo_bytes key)
{
    const struct map_slot *slot = find(map, key);

    return slot == NULL ? NULL : slot->value;
}

void *map_remove(struct map *map, struct neo_bytes key)
{
    struct map_slot *slot = find(map, key);

    if (slot == NULL)
        return NULL;
    void *value = slot->value;
    /* The key's bytes may go now, but a tombstone needs only a non-NULL address. */
    *slot = (struct map_slot){.key = {(const uint8_t *)"", 0}, .value = NULL};
    map->used--;
    return value;
}

void *map_next(const struct map *map, size_t *at)
{
    while (*at < map->cap) {
        void *value = map->slots[(*at)++].value;
        if (value != NULL)
            return value;
    }
    return NULL;
}
