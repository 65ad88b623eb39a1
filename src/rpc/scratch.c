/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/scratch.h"

#include <neo/memory.h>

#include <assert.h>

enum { KEPT_CAPACITY = 256 * 1024 };

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
