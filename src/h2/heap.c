/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks up to 512 bytes are rounded up to a multiple of 32 and return to the pool,
 * to a list of their size; larger ones (nghttp2 has a handful for each session) go
 * straight back. A header in front of each block remembers its size, because
 * nghttp2_mem's `free` is not told.
 */
#include "h2/heap.h"

#include <neo/memory.h>

enum { GRAIN = 32 };

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

/* The list for blocks of `size`, or NULL when they are not kept. */
static struct h2_block **list_of(struct h2_pool *pool, size_t size)
{
    return size <= H2_POOL_SIZES * GRAIN ? &pool->blocks[size / GRAIN - 1] : NULL;
}

static struct h2_block *from_pool(struct h2_pool *pool, size_t size)
{
    struct h2_block **list = list_of(pool, size);

    if (list == NULL || *list == NULL)
        return NULL;
    struct h2_block *b = *list;
    *list = b->next;
    pool->block_bytes -= whole(b);
    return b;
}

static struct h2_block *from_system(size_t size)
{
    struct h2_block *b = neo_alloc(sizeof(*b) + size);

    if (b != NULL)
        b->size = size;
    return b;
}

static void *take(struct h2_heap *heap, size_t wanted)
{
    if (wanted > SIZE_MAX / 2)
        return NULL;

    size_t size = wanted == 0 ? GRAIN : (wanted + GRAIN - 1) / GRAIN * GRAIN;
    struct h2_block *b = from_pool(heap->pool, size);
    if (b == NULL)
        b = from_system(size);
    if (b == NULL)
        return NULL;
    heap->held += whole(b);
    return b->data;
}

static void put(struct h2_heap *heap, void *memory)
{
    if (memory == NULL)
        return;

    struct h2_pool *pool = heap->pool;
    struct h2_block *b = block_of(memory);
    struct h2_block **list = list_of(pool, b->size);
    heap->held -= whole(b);
    if (list == NULL || pool->block_bytes + whole(b) > pool->most_block_bytes) {
        neo_free(b);
        return;
    }
    b->next = *list;
    *list = b;
    pool->block_bytes += whole(b);
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
