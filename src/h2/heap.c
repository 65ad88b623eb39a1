/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks up to 512 bytes are rounded up to a multiple of 32 and return to a list
 * of their size; larger ones (nghttp2 has a handful for each session) go straight
 * back. A header in front of each block remembers its size, because nghttp2_mem's
 * `free` is not told.
 */
#include "h2/heap.h"

#include <neo/memory.h>

#include <assert.h>

enum {
    GRAIN = 32,
    MOST_UNUSED = 64 * 1024, /* beyond this a freed block is not kept */
};

struct h2_heap_block {
    struct h2_heap_block *next;
    size_t size;
    _Alignas(16) uint8_t data[];
};

static struct h2_heap_block *block_of(void *memory)
{
    return neo_owner(memory, struct h2_heap_block, data);
}

static size_t list_of(size_t size)
{
    return size / GRAIN - 1;
}

static bool is_listed(size_t size)
{
    return size <= H2_HEAP_CLASSES * GRAIN;
}

static void *take(struct h2_heap *heap, size_t wanted)
{
    if (wanted > SIZE_MAX / 2)
        return NULL;

    size_t size = wanted == 0 ? GRAIN : (wanted + GRAIN - 1) / GRAIN * GRAIN;
    struct h2_heap_block *b = is_listed(size) ? heap->free[list_of(size)] : NULL;
    if (b != NULL) {
        heap->free[list_of(size)] = b->next;
        heap->unused -= sizeof(*b) + size;
        return b->data;
    }
    b = neo_alloc(sizeof(*b) + size);
    if (b == NULL)
        return NULL;
    b->size = size;
    heap->held += sizeof(*b) + size;
    return b->data;
}

static void release(struct h2_heap *heap, struct h2_heap_block *b)
{
    heap->held -= sizeof(*b) + b->size;
    neo_free(b);
}

static void put(struct h2_heap *heap, void *memory)
{
    if (memory == NULL)
        return;

    struct h2_heap_block *b = block_of(memory);
    size_t whole = sizeof(*b) + b->size;
    if (!is_listed(b->size) || heap->unused + whole > MOST_UNUSED) {
        release(heap, b);
        return;
    }
    b->next = heap->free[list_of(b->size)];
    heap->free[list_of(b->size)] = b;
    heap->unused += whole;
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

void h2_heap_init(struct h2_heap *heap)
{
    *heap = (struct h2_heap){0};
    heap->mem = (nghttp2_mem){heap, mem_malloc, mem_free, mem_calloc, mem_realloc};
}

void h2_heap_trim(struct h2_heap *heap)
{
    for (size_t i = 0; i < H2_HEAP_CLASSES; i++) {
        while (heap->free[i] != NULL) {
            struct h2_heap_block *b = heap->free[i];
            heap->free[i] = b->next;
            release(heap, b);
        }
    }
    heap->unused = 0;
}

void h2_heap_fini(struct h2_heap *heap)
{
    h2_heap_trim(heap);
    assert(heap->held == 0);
}
