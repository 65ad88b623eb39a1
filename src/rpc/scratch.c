/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/scratch.h"

#include <neo/memory.h>

#include <assert.h>

enum {
    KEPT_CAPACITY = 256 * 1024,
    /* About 20 small calls. More of them at once would not fit into the nearest cache. */
    PIECE = 1024,
    /* What is as large is the body of a stream: pieces of it would be copied once more. */
    LARGE_READ = 16 * 1024,
    EARLY_MOST = 64 * 1024,
};

_Thread_local struct scratch *scratch;

static struct scratch *new_scratch(void)
{
    struct scratch *s = neo_alloc(sizeof(*s));

    if (s != NULL && h2_pool_new(&s->pool, NULL) != NEO_OK) {
        neo_free(s);
        return NULL;
    }
    return s;
}

bool scratch_enter(void)
{
    if (scratch == NULL)
        scratch = new_scratch();
    if (scratch == NULL)
        return false;
    scratch->users++;
    return true;
}

void scratch_leave(void)
{
    assert(scratch != NULL);
    if (--scratch->users > 0)
        return;
    neo_buffer_fini(&scratch->plain);
    neo_buffer_fini(&scratch->framed);
    neo_buffer_fini(&scratch->early);
    neo_buffer_fini(&scratch->cipher);
    h2_pool_free(scratch->pool);
    neo_free(scratch);
    scratch = NULL;
}

struct neo_buffer *scratch_use(struct neo_buffer *buffer)
{
    if (buffer->cap > KEPT_CAPACITY)
        neo_buffer_fini(buffer);
    neo_buffer_clear(buffer);
    return buffer;
}

enum neo_code scratch_feed(struct h2 *h2, struct neo_bytes plain, bool held, neo_nsec now,
                           struct neo_error *err)
{
    struct neo_buffer *early = &scratch->early;
    size_t piece = plain.len < LARGE_READ ? PIECE : LARGE_READ;

    while (plain.len > 0) {
        size_t n = plain.len < piece ? plain.len : piece;
        NEO_TRY(h2_feed(h2, neo_bytes(plain.at, n), now, err));
        plain = neo_bytes_from(plain, n);
        if (plain.len > 0 && !held && early->len < EARLY_MOST)
            NEO_TRY(h2_pull(h2, EARLY_MOST - early->len, now, early, err));
    }
    return NEO_OK;
}

struct neo_buffer *scratch_framed(void)
{
    struct neo_buffer *framed = scratch_use(&scratch->framed);

    if (scratch->early.len > 0) {
        struct neo_buffer empty = *framed;
        *framed = scratch->early;
        scratch->early = empty;
    }
    return framed;
}
