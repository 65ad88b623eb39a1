/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2/heap.h - the memory of one nghttp2 session: counted, and quick to reuse.
 *
 * nghttp2 allocates about ten small blocks for each call and frees them again.
 * Here they come from lists of blocks of the same size, and every byte is
 * counted, so that the engine can say what a peer has made it hold.
 *
 * Storage   The struct is the owner's and must not move: nghttp2 keeps its address.
 * Threads   One owner.
 */
#ifndef NEO_H2_HEAP_H
#define NEO_H2_HEAP_H

#include <neo/bytes.h>

#include <nghttp2/nghttp2.h>

enum { H2_HEAP_CLASSES = 16 };

struct h2_heap_block;

struct h2_heap {
    struct h2_heap_block *free[H2_HEAP_CLASSES];
    size_t held;   /* bytes taken from the system */
    size_t unused; /* those of them that wait on the lists */
    nghttp2_mem mem;
};

void h2_heap_init(struct h2_heap *heap);
/* Everything allocated from it must be freed by then. */
void h2_heap_fini(struct h2_heap *heap);
/* Gives back what waits on the lists. */
void h2_heap_trim(struct h2_heap *heap);

#endif
