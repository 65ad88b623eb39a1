/* SPDX-License-Identifier: Apache-2.0 */
/*
 * codec/json_keys.h - the keys seen in one open object, to refuse the second of a kind.
 */
#ifndef NEO_CODEC_JSON_KEYS_H
#define NEO_CODEC_JSON_KEYS_H

#include <neo/arena.h>

/* Zeroed: empty. Its memory is the arena's and is used again after clear(). */
struct json_keys {
    struct neo_bytes *at;
    uint32_t len;
    uint32_t cap;
    uint32_t *index; /* 1 + place in `at`; 0: free. In use once there are more than a few */
    uint32_t index_cap;
    uint32_t mask; /* of the part in use; 0: none is */
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
