/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks up to 512 bytes are rounded up to a multiple of 32 and return to the pool,
 * to a list of their size; larger ones (nghttp2 has a handful for each session) go
 * straight back. The largest is room for the largest frame, of which most connections touch
 * little: it is of pages of its own. A header in front of each block remembers its size, because
 * nghttp2_mem's `free` is not told.
 */
#include "h2/heap.h"

#include "base/pages.h"

enum { GRAIN = 32, PAGES_LEAST = 8192 };

struct h2_block {
    struct h2_block *next;
    size_t size;
    _Alignas(16) uint8_t data[];
};

static struct h2_block *block_of(void *memory)
{
    return neo_owner(memory, struct h2_block, data);
}

static size_t whole(const struct h2_block *b)
{
    return sizeof(*b) + b->size;
}

static size_t grains_of(size_t size)
{
    return size == 0 ? 1 : (size - 1) / GRAIN + 1;
}

__attribute__((noinline)) static void *take_new(struct h2_heap *heap, size_t size)
{
    struct h2_block *b = NULL;

    if (size >= PAGES_LEAST && size <= SIZE_MAX / 2)
        b = pages_alloc(sizeof(*b) + size);
    else if (size < PAGES_LEAST)
        b = neo_realloc(NULL, sizeof(*b) + size);
    if (b == NULL)
        return NULL;
    b->size = size;
    heap->held += whole(b);
    return b->data;
}

static void give_back(struct h2_block *b)
{
    if (b->size >= PAGES_LEAST)
        pages_free(b, whole(b));
    else
        neo_free(b);
}

static void *take(struct h2_heap *heap, size_t wanted)
{
    struct h2_pool *pool = heap->pool;
    size_t grains = grains_of(wanted);
    struct h2_block *b = grains <= H2_POOL_SIZES ? pool->blocks[grains - 1] : NULL;

    if (b == NULL)
        return take_new(heap, grains <= H2_POOL_SIZES ? grains * GRAIN : wanted);
    pool->blocks[grains - 1] = b->next;
    pool->block_bytes -= sizeof(*b) + grains * GRAIN;
    heap->held += sizeof(*b) + grains * GRAIN;
    return b->data;
}

static void put(struct h2_heap *heap, void *memory)
{
    if (memory == NULL)
        return;

    struct h2_pool *pool = heap->pool;
    struct h2_block *b = block_of(memory);
    size_t bytes = whole(b);
    heap->held -= bytes;
    if (b->size > H2_POOL_SIZES * GRAIN || pool->block_bytes + bytes > pool->most_block_bytes) {
        give_back(b);
        return;
    }
    b->next = pool->blocks[b->size / GRAIN - 1];
    pool->blocks[b->size / GRAIN - 1] = b;
    pool->block_bytes += bytes;
}

static void *mem_malloc(size_t size, void *heap)
{
    return take(heap, size);
}

static void mem_free(void *memory, void *heap)
{
    put(heap, memory);
}

static void *mem_calloc(size_t count, size_t size, void *heap)
{
    size_t total;

    if (__builtin_mul_overflow(count, size, &total))
        return NULL;
    void *memory = take(heap, total);
    if (memory != NULL)
        memset(memory, 0, total);
    return memory;
}

static void *mem_realloc(void *old, size_t size, void *heap)
{
    size_t had = old == NULL ? 0 : block_of(old)->size;
    void *memory = take(heap, size);

    if (memory == NULL)
        return NULL;
    if (had > 0)
        memcpy(memory, old, had < size ? had : size);
    put(heap, old);
    return memory;
}

void h2_heap_init(struct h2_heap *heap, struct h2_pool *pool)
{
    *heap = (struct h2_heap){.pool = pool};
    heap->mem = (nghttp2_mem){heap, mem_malloc, mem_free, mem_calloc, mem_realloc};
}

void h2_pool_free_blocks(struct h2_pool *pool)
{
    for (size_t i = 0; i < H2_POOL_SIZES; i++) {
        while (pool->blocks[i] != NULL) {
            struct h2_block *b = pool->blocks[i];
            pool->blocks[i] = b->next;
            neo_free(b);
        }
    }
    pool->block_bytes = 0;
}
