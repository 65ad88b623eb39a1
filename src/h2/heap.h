/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2/heap.h - the memory of one nghttp2 session: counted, and quick to reuse.
 *
 * nghttp2 allocates about ten small blocks for each call and frees them again.
 * Here they come from a pool of blocks of the same size, and every byte is counted,
 * so that the engine can say what a peer has made it hold.
 *
 * Storage   The struct is the owner's and must not move: nghttp2 keeps its address.
 * Threads   One owner.
 */
#ifndef NEO_H2_HEAP_H
#define NEO_H2_HEAP_H

#include "h2/pool.h"

#include <nghttp2/nghttp2.h>

struct h2_heap {
    struct h2_pool *pool;
    size_t held;        /* bytes in use, headers of blocks included */
    const void *frames; /* the largest block, where frames are put together: to be warmed only */
    nghttp2_mem mem;
};

/* Borrows `pool` until everything allocated from the heap is freed. */
void h2_heap_init(struct h2_heap *heap, struct h2_pool *pool);

#endif
