/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams are pooled with the first block of their arena inside, so that a call of
 * ordinary size takes no memory from the system. A closed stream goes back to the
 * pool at once, and the next one to open gets it while it is warm.
 */
#include "h2/session.h"

#include <neo/memory.h>

enum { LARGEST_KEPT_QUEUE = 4096 };

static struct stream *take(struct h2 *h2)
{
    struct list *link = list_pop_front(&h2->pool->streams);

    if (link == NULL)
        return neo_alloc(sizeof(struct stream));
    h2->pool->n_streams--;
    return neo_owner(link, struct stream, link);
}

struct stream *h2_stream_open(struct h2 *h2, int32_t id)
{
    struct stream *s = take(h2);

    if (s == NULL)
        return NULL;

    struct neo_buffer queue = s->queue; /* empty, but its memory is kept */
    memset(s, 0, offsetof(struct stream, first_block));
    s->queue = queue;
    s->pub.id = id;
    s->pub.arena = &s->arena;
    s->opened_at = s->taken_since = h2->now;
    s->window = h2->limits.stream_window;
    list_init(&s->turn);
    list_init(&s->wake);
    neo_arena_init_with(&s->arena, s->first_block, sizeof(s->first_block), h2->limits.arena_budget);
    list_push_back(&h2->live, &s->link);
    h2->n_live++;
    return s;
}

static void release(struct h2 *h2, struct stream *s)
{
    list_remove(&s->link);
    list_remove(&s->turn);
    list_remove(&s->wake);
    h2->n_live--;
    if (s->kept) {
        neo_buffer_fini(&s->queue);
        return;
    }
    neo_arena_fini(&s->arena);
    if (s->queue.cap > LARGEST_KEPT_QUEUE)
        neo_buffer_fini(&s->queue);
    neo_buffer_clear(&s->queue);
    if (h2->pool->n_streams < h2->pool->most_streams) {
        list_push_front(&h2->pool->streams, &s->link);
        h2->pool->n_streams++;
        return;
    }
    neo_buffer_fini(&s->queue);
    neo_free(s);
}

void h2_stream_close(struct h2 *h2, struct stream *s, uint32_t h2_error)
{
    h2->queued -= s->queue.len - s->sent;
    h2->header_memory -= s->header_memory;
    h2_discard(h2, s->unconsumed);
    s->unconsumed = 0;
    if (!s->reset_by_peer)
        h2_guard_stream_closed(&h2->guard);
    if (h2->latest == s)
        h2->latest = NULL;
    if (h2->block.stream == s)
        h2->block.stream = NULL;
    if (s->reported) {
        s->reset = true; /* whatever the owner still sends is dropped */
        h2->events->closed(h2, &s->pub, h2_error);
    }
    release(h2, s);
}

struct stream *h2_stream_find(struct h2 *h2, int32_t id)
{
    if (h2->latest != NULL && h2->latest->pub.id == id)
        return h2->latest;

    struct stream *s = nghttp2_session_get_stream_user_data(h2->session, id);
    if (s != NULL)
        h2->latest = s;
    return s;
}

struct h2_kept *h2_keep(struct h2_stream *pub)
{
    struct stream *s = stream_of(pub);

    s->kept = true;
    return (struct h2_kept *)(void *)s;
}

void h2_kept_free(struct h2_kept *kept)
{
    struct stream *s = (struct stream *)(void *)kept;

    if (s == NULL)
        return;
    neo_arena_fini(&s->arena);
    neo_free(s);
}

size_t h2_stream_memory(const struct stream *s)
{
    return sizeof(*s) + s->queue.cap + (s->arena.budget - s->arena.left);
}

void h2_pool_free_streams(struct h2_pool *pool)
{
    struct list *link;

    while ((link = list_pop_front(&pool->streams)) != NULL) {
        struct stream *s = neo_owner(link, struct stream, link);
        neo_buffer_fini(&s->queue);
        neo_free(s);
    }
    pool->n_streams = 0;
}

size_t h2_pool_stream_memory(const struct h2_pool *pool)
{
    size_t total = 0;

    list_each (link, &pool->streams) {
        const struct stream *s = neo_owner(link, struct stream, link);
        total += sizeof(*s) + s->queue.cap;
    }
    return total;
}
