/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2/pool.h - what waits to be used again: streams, and blocks of nghttp2's memory.
 *
 * Threads   One owner, and so all engines that share it.
 */
#ifndef NEO_H2_POOL_H
#define NEO_H2_POOL_H

#include "base/list.h"

enum { H2_POOL_SIZES = 16 };

struct h2_block;

struct h2_pool {
    struct list streams; /* see stream.c */
    size_t n_streams;
    size_t most_streams;
    struct h2_block *blocks[H2_POOL_SIZES]; /* see heap.c; by size */
    struct h2_block *pages;                 /* of one size */
    size_t n_pages;
    size_t block_bytes; /* of both */
    size_t most_block_bytes;
};

void h2_pool_init(struct h2_pool *pool, size_t most_streams, size_t most_block_bytes);
/* Frees everything in it. */
void h2_pool_trim(struct h2_pool *pool);
size_t h2_pool_memory(const struct h2_pool *pool);

/* stream.c, heap.c */
void h2_pool_free_streams(struct h2_pool *pool);
size_t h2_pool_stream_memory(const struct h2_pool *pool);
void h2_pool_free_blocks(struct h2_pool *pool);

#endif
