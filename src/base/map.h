/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/map.h - from bytes to a pointer.
 *
 * Open addressing with a keyed hash, so that a peer who chooses the keys cannot
 * choose the collisions. Keys are borrowed: they live in the values.
 *
 * Threads   Not synchronised; concurrent get() on a map nobody changes is safe.
 */
#ifndef NEO_BASE_MAP_H
#define NEO_BASE_MAP_H

#include <neo/bytes.h>

struct map_slot {
    struct neo_bytes key;
    void *value; /* NULL: free, or deleted when key.at is not NULL */
};

struct map {
    struct map_slot *slots;
    size_t cap;  /* a power of two, or 0 */
    size_t used; /* live values */
    size_t full; /* live and deleted */
};

void map_fini(struct map *map);
/* Borrows `key`, which must not be NULL, until removed. False when out of memory. Replaces. */
bool map_put(struct map *map, struct neo_bytes key, void *value);
void *map_get(const struct map *map, struct neo_bytes key);
/* The value that was there, or NULL. */
void *map_remove(struct map *map, struct neo_bytes key);

/* Visits in no order: start with *at = 0; NULL at the end. Nothing may be put meanwhile. */
void *map_next(const struct map *map, size_t *at);

/* SipHash-1-3 under a key made once per process from the kernel's random source. */
uint64_t map_hash(struct neo_bytes key);

#endif
