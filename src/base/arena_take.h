/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/arena_take.h - neo_arena_alloc() where it is asked for several times in each call.
 *
 * Where the present block has room nothing else is to be looked at, and that is almost always.
 */
#ifndef NEO_BASE_ARENA_TAKE_H
#define NEO_BASE_ARENA_TAKE_H

#include <neo/arena.h>

enum { ARENA_ALIGNMENT = 16 };

static inline void *arena_take(struct neo_arena *arena, size_t size)
{
    size_t room = (size_t)(arena->end - arena->at);

    if (arena->failed || size + ARENA_ALIGNMENT > room || size > SIZE_MAX / 2)
        return neo_arena_alloc(arena, size);

    uint8_t *at = arena->at;
    arena->at = at + (size + ARENA_ALIGNMENT - 1) / ARENA_ALIGNMENT * ARENA_ALIGNMENT;
    return at;
}

/* As neo_arena_copy(). */
static inline struct neo_bytes arena_keep(struct neo_arena *arena, struct neo_bytes bytes)
{
    uint8_t *at = arena_take(arena, bytes.len);

    if (at == NULL || bytes.len > SIZE_MAX / 2) /* the latter never: the compiler does not see it */
        return (struct neo_bytes){0};
    if (bytes.len > 0)
        memcpy(at, bytes.at, bytes.len);
    return (struct neo_bytes){at, bytes.len};
}

#endif
