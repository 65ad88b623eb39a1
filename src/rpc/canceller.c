/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A canceller knows the streams it was given to; each leaves it on its owner's thread, before the
 * loop gets to free it. So whoever is known can be told, and a canceller may go once its calls
 * have.
 */
#include "rpc/stream.h"

#include <neo/memory.h>

#include <assert.h>

struct neo_canceller {
    pthread_mutex_t lock; /* taken before a stream's */
    struct list streams;
    bool cancelled;
};

enum neo_code neo_canceller_new(struct neo_canceller **ret, struct neo_error *err)
{
    struct neo_canceller *c = neo_alloc(sizeof(*c));

    if (c == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for a canceller");
    (void)pthread_mutex_init(&c->lock, NULL);
    list_init(&c->streams);
    *ret = c;
    return NEO_OK;
}

void neo_canceller_cancel(struct neo_canceller *c)
{
    (void)pthread_mutex_lock(&c->lock);
    c->cancelled = true;
    list_each (node, &c->streams)
        neo_stream_cancel(neo_owner(node, struct neo_stream, cancelled_with));
    (void)pthread_mutex_unlock(&c->lock);
}

void neo_canceller_free(struct neo_canceller *c)
{
    if (c == NULL)
        return;
    assert(list_is_empty(&c->streams) && "a call still has this canceller: it must end first");
    (void)pthread_mutex_destroy(&c->lock);
    neo_free(c);
}

void canceller_join(struct neo_stream *s)
{
    struct neo_canceller *c = s->options.canceller;

    if (c == NULL)
        return;
    (void)pthread_mutex_lock(&c->lock);
    list_push_back(&c->streams, &s->cancelled_with);
    if (c->cancelled)
        neo_stream_cancel(s);
    (void)pthread_mutex_unlock(&c->lock);
}

void canceller_leave(struct neo_stream *s)
{
    struct neo_canceller *c = s->options.canceller;

    if (c == NULL)
        return;
    (void)pthread_mutex_lock(&c->lock);
    list_remove(&s->cancelled_with);
    (void)pthread_mutex_unlock(&c->lock);
}
