/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks up to 512 bytes are rounded up to a multiple of 32 and return to the pool,
 * to a list of their size; larger ones (nghttp2 has a handful for each session) go
 * straight back. The largest is room for the largest frame, of which most connections touch
 * little: it is of pages of its own. A few of those wait in the pool, where connections come and
 * go: asking the system for one, its first page and giving it back are 5 % of a full handshake. A
 * header in front of each block remembers its size, because nghttp2_mem's `free` is not told.
 */
#include "h2/heap.h"

#include "base/pages.h"

enum { GRAIN = 32, PAGES_LEAST = 8192, PAGES_KEPT = 8 };

struct h2_block {
    struct h2_block *next;
    size_t whole; /* bytes, with this header */
    _Alignas(16) uint8_t data[];
};

static struct h2_block *block_of(void *memory)
{
    return neo_owner(memory, struct h2_block, data);
}

/* Which list has blocks of that size, or one beyond the last; nothing takes as much as one byte. */
static size_t list_for(size_t size)
{
    return (size - (size > 0 ? 1 : 0)) / GRAIN;
}

static size_t list_of(const struct h2_block *b)
{
    return list_for(b->whole - sizeof(*b));
}

static struct h2_block *take_pages(struct h2_pool *pool, size_t whole)
{
    struct h2_block *b = pool->pages;

    if (b == NULL || b->whole != whole)
        return pages_alloc(whole);
    pool->pages = b->next;
    pool->n_pages--;
    pool->block_bytes -= whole;
    return b;
}

static bool keep_pages(struct h2_pool *pool, struct h2_block *b)
{
    if (pool->n_pages == PAGES_KEPT || pool->block_bytes + b->whole > pool->most_block_bytes ||
        (pool->pages != NULL && pool->pages->whole != b->whole))
        return false;
    b->next = pool->pages;
    pool->pages = b;
    pool->n_pages++;
    pool->block_bytes += b->whole;
    return true;
}

__attribute__((noinline)) static void *take_new(struct h2_heap *heap, size_t size)
{
    struct h2_block *b = NULL;

    if (size >= PAGES_LEAST && size <= SIZE_MAX / 2)
        b = take_pages(heap->pool, sizeof(*b) + size);
    else if (size < PAGES_LEAST)
        b = neo_realloc(NULL, sizeof(*b) + size);
    if (b == NULL)
        return NULL;
    b->whole = sizeof(*b) + size;
    heap->held += b->whole;
    if (size >= PAGES_LEAST)
        heap->frames = b->data;
    return b->data;
}

__attribute__((noinline)) static void give_back(struct h2_pool *pool, struct h2_block *b)
{
    if (b->whole - sizeof(*b) < PAGES_LEAST)
        neo_free(b);
    else if (!keep_pages(pool, b))
        pages_free(b, b->whole);
}

static void *take(struct h2_heap *heap, size_t wanted)
{
    struct h2_pool *pool = heap->pool;
    size_t list = list_for(wanted);

    if (list >= H2_POOL_SIZES)
        return take_new(heap, wanted);
    struct h2_block *b = pool->blocks[list];
    if (b == NULL)
        return take_new(heap, (list + 1) * GRAIN);
    pool->blocks[list] = b->next;
    pool->block_bytes -= b->whole;
    heap->held += b->whole;
    return b->data;
}

static void put(struct h2_heap *heap, void *memory)
{
    if (memory == NULL)
        return;

    struct h2_pool *pool = heap->pool;
    struct h2_block *b = block_of(memory);
    size_t list = list_of(b);
    heap->held -= b->whole;
    if (list >= H2_POOL_SIZES || pool->block_bytes + b->whole > pool->most_block_bytes) {
        give_back(pool, b);
        return;
    }
    b->next = pool->blocks[list];
    pool->blocks[list] = b;
    pool->block_bytes += b->whole;
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
    size_t had = old == NULL ? 0 : block_of(old)->whole - sizeof(struct h2_block);
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
    while (pool->pages != NULL) {
        struct h2_block *b = pool->pages;
        pool->pages = b->next;
        pages_free(b, b->whole);
    }
    pool->n_pages = 0;
    pool->block_bytes = 0;
}
