/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks double from 4 KiB, so a call of any size takes few of them, and a large
 * request gets a block of its own size. The budget counts blocks, not requests:
 * it bounds what the system gave, which is what a peer could make us spend.
 */
#include "base/arena_take.h"

#include <neo/memory.h>

#include <stdarg.h>
#include <stdio.h>

enum { ALIGNMENT = ARENA_ALIGNMENT, FIRST_BLOCK = 4096, LARGEST_BLOCK = 1 << 20 };

struct block {
    struct block *next;
    size_t size; /* of what follows */
    _Alignas(ALIGNMENT) uint8_t data[];
};

static void use(struct neo_arena *arena, uint8_t *at, size_t len)
{
    size_t skew = (ALIGNMENT - (uintptr_t)at % ALIGNMENT) % ALIGNMENT;

    if (at == NULL || len < skew) {
        arena->at = arena->end = NULL;
        return;
    }
    arena->at = at + skew;
    arena->end = at + len;
}

void neo_arena_init(struct neo_arena *arena, size_t budget)
{
    neo_arena_init_with(arena, NULL, 0, budget);
}

void neo_arena_init_with(struct neo_arena *arena, void *first, size_t len, size_t budget)
{
    *arena = (struct neo_arena){
        .left = budget,
        .budget = budget,
        .first = first,
        .first_len = len,
    };
    use(arena, first, len);
}

void neo_arena_fini(struct neo_arena *arena)
{
    for (struct block *b = arena->blocks; b != NULL;) {
        struct block *next = b->next;
        neo_free(b);
        b = next;
    }
    *arena = (struct neo_arena){.failed = true};
}

void neo_arena_reset(struct neo_arena *arena)
{
    uint8_t *first = arena->first;
    size_t len = arena->first_len;
    size_t budget = arena->budget;

    if (arena->blocks != NULL)
        neo_arena_fini(arena);
    neo_arena_init_with(arena, first, len, budget);
}

static size_t next_block_size(const struct neo_arena *arena, size_t needed)
{
    const struct block *last = arena->blocks;
    size_t size = last == NULL ? FIRST_BLOCK : last->size * 2;

    if (size > LARGEST_BLOCK)
        size = LARGEST_BLOCK;
    if (size > arena->left)
        size = arena->left;
    return size < needed ? needed : size;
}

static bool add_block(struct neo_arena *arena, size_t needed)
{
    if (needed > arena->left)
        return false;

    size_t size = next_block_size(arena, needed);
    struct block *b = neo_realloc(NULL, sizeof(*b) + size); /* not cleared: that is for calloc */
    if (b == NULL)
        return false;
    b->next = arena->blocks;
    b->size = size;
    arena->blocks = b;
    arena->left -= size;
    use(arena, b->data, size);
    return true;
}

void *neo_arena_alloc(struct neo_arena *arena, size_t size)
{
    if (arena->failed || size > SIZE_MAX / 2) {
        arena->failed = true;
        return NULL;
    }
    size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (size > (size_t)(arena->end - arena->at) && !add_block(arena, size)) {
        arena->failed = true;
        return NULL;
    }
    uint8_t *at = arena->at;
    arena->at = at + size;
    return at;
}

void *neo_arena_calloc(struct neo_arena *arena, size_t count, size_t size)
{
    size_t total;

    if (__builtin_mul_overflow(count, size, &total)) {
        arena->failed = true;
        return NULL;
    }
    void *at = arena_take(arena, total);
    if (at != NULL)
        memset(at, 0, total);
    return at;
}

struct neo_bytes neo_arena_copy(struct neo_arena *arena, struct neo_bytes bytes)
{
    return arena_keep(arena, bytes);
}

char *neo_arena_string(struct neo_arena *arena, struct neo_bytes bytes)
{
    char *at = neo_arena_alloc(arena, bytes.len + 1);

    if (at == NULL)
        return NULL;
    if (bytes.len > 0)
        memcpy(at, bytes.at, bytes.len);
    at[bytes.len] = '\0';
    return at;
}

char *neo_arena_printf(struct neo_arena *arena, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len < 0)
        return NULL;

    char *at = neo_arena_alloc(arena, (size_t)len + 1);
    if (at == NULL)
        return NULL;
    va_start(args, format);
    (void)vsnprintf(at, (size_t)len + 1, format, args);
    va_end(args);
    return at;
}
