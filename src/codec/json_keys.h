/* SPDX-License-Identifier: Apache-2.0 */
/*
 * codec/json_keys.h - the keys seen in one open object, to refuse the second of a kind.
 */
#ifndef NEO_CODEC_JSON_KEYS_H
#define NEO_CODEC_JSON_KEYS_H

#include <neo/arena.h>

struct json_key {
    const uint8_t *at;
    uint32_t len;
    uint32_t hash; /* once there is an index */
};

/* Zeroed: empty. Its memory is the arena's and is used again after clear(). */
struct json_keys {
    struct json_key *at;
    uint32_t len;
    uint32_t cap;
    uint64_t *index; /* hash and 1 + place in `at`; 0: free */
    uint32_t index_cap;
    uint32_t mask; /* of the part in use; 0: there are only a few keys, and no index */
};

enum json_keys_added {
    JSON_KEYS_NEW,
    JSON_KEYS_TWIN,
    JSON_KEYS_MEMORY,
};

/* Borrows `key` until clear(). */
enum json_keys_added json_keys_add(struct json_keys *keys, struct neo_arena *arena,
                                   struct neo_bytes key);
void json_keys_clear(struct json_keys *keys);

#endif
