/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo/arena.h - memory that is all released at once.
 *
 * A call's messages, headers and strings live in one arena and end with it;
 * nothing in it is freed singly. An arena has a budget: a peer that makes us
 * allocate beyond it gets NULL, and from then on for ever (`failed` sticks), so
 * a decoder may check once at its end.
 *
 * Storage   The struct is the caller's; blocks are the arena's until fini().
 * Threads   Not synchronised: an arena has one owner.
 */
#ifndef NEO_ARENA_H
#define NEO_ARENA_H

#include <neo/bytes.h>

#ifdef __cplusplus
extern "C" {
#endif

struct neo_arena {
    /* private */
    uint8_t *at;
    uint8_t *end;
    void *blocks;
    size_t left; /* bytes of budget not yet taken as blocks */
    size_t budget;
    uint8_t *first; /* borrowed first block, or NULL */
    size_t first_len;
    bool failed;
};

/* At most `budget` bytes will ever be taken from the system. NEO_ARENA is the same as an
   initialiser: NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = NEO_ARENA(1 << 20); */
#define NEO_ARENA(budget)                                                                          \
    {                                                                                              \
        NULL, NULL, NULL, (budget), (budget), NULL, 0, false                                       \
    }
void neo_arena_init(struct neo_arena *arena, size_t budget);

/* As above, with a first block (not counted) that the caller lends until fini(). */
void neo_arena_init_with(struct neo_arena *arena, void *first, size_t len, size_t budget);

/* Gives back all that was taken from it. A zeroed arena has nothing. */
void neo_arena_fini(struct neo_arena *arena);

/* Forgets everything allocated; keeps the lent first block. */
void neo_arena_reset(struct neo_arena *arena);

/* `size` bytes aligned to 16, not cleared; NULL when the budget is spent. */
void *neo_arena_alloc(struct neo_arena *arena, size_t size);

/* As above, cleared, for `count` elements; the product is checked. */
void *neo_arena_calloc(struct neo_arena *arena, size_t count, size_t size);

/* A copy that lives as long as the arena. On failure the empty run; see failed(). */
struct neo_bytes neo_arena_copy(struct neo_arena *arena, struct neo_bytes bytes);

/* A terminated copy; NULL when the budget is spent. */
char *neo_arena_string(struct neo_arena *arena, struct neo_bytes bytes);

/* A formatted, terminated string; NULL when the budget is spent. */
__attribute__((format(printf, 2, 3))) char *neo_arena_printf(struct neo_arena *arena,
                                                             const char *format, ...);

/* Whether an allocation was refused since the last reset. */
static inline bool neo_arena_failed(const struct neo_arena *arena)
{
    return arena->failed;
}

#ifdef __cplusplus
}
#endif

#endif
