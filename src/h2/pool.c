/* SPDX-License-Identifier: Apache-2.0 */
#include "h2/pool.h"

#include "h2/h2.h"

#include <neo/memory.h>

/* Of a shared pool: the working set of a busy thread, and about a megabyte when it is idle. */
enum { SHARED_STREAMS = 256, SHARED_BLOCK_BYTES = 512 * 1024 };

void h2_pool_init(struct h2_pool *pool, size_t most_streams, size_t most_block_bytes)
{
    *pool = (struct h2_pool){
        .most_streams = most_streams,
        .most_block_bytes = most_block_bytes,
    };
    list_init(&pool->streams);
}

void h2_pool_trim(struct h2_pool *pool)
{
    h2_pool_free_streams(pool);
    h2_pool_free_blocks(pool);
}

size_t h2_pool_memory(const struct h2_pool *pool)
{
    return h2_pool_stream_memory(pool) + pool->block_bytes;
}

enum neo_code h2_pool_new(struct h2_pool **ret, struct neo_error *err)
{
    struct h2_pool *pool = neo_alloc(sizeof(*pool));

    if (pool == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for a pool of streams");
    h2_pool_init(pool, SHARED_STREAMS, SHARED_BLOCK_BYTES);
    *ret = pool;
    return NEO_OK;
}

void h2_pool_free(struct h2_pool *pool)
{
    if (pool == NULL)
        return;
    h2_pool_trim(pool);
    neo_free(pool);
}
