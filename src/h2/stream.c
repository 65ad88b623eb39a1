/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams are pooled with the first block of their arena inside, so that a call of
 * ordinary size takes no memory from the system. A closed stream goes back to the
 * pool at once, and the next one to open gets it while it is warm.
 */
#include "h2/session.h"

#include <neo/memory.h>

enum { LARGEST_KEPT_QUEUE = 4096 };

/* The one that is taken next, soon: no cache that is near holds all of a busy connection's. */
static void warm_next(const struct list *pool)
{
    enum { LINE = 64 };
    const char *next = (const char *)pool->next;

    for (size_t at = 0; at < 4 * LINE; at += LINE)
        __builtin_prefetch(next + at, 1);
}

static struct stream *take(struct h2 *h2)
{
    struct list *link = list_pop_front(&h2->pool->streams);

    if (link == NULL)
        return neo_alloc(sizeof(struct stream));
    h2->pool->n_streams--;
    warm_next(&h2->pool->streams);
    return neo_owner(link, struct stream, link);
}

static struct stream **place_of(struct h2 *h2, int32_t id)
{
    return &h2->at_hand[((uint32_t)id >> 1) % AT_HAND];
}

/*
 * Of those that share a place the latest has it; nghttp2, which searches, knows the others. What a
 * client opens it knows from the start.
 */
void h2_stream_name(struct h2 *h2, struct stream *s, int32_t id)
{
    struct stream **place = place_of(h2, id);

    s->pub.id = id;
    if (*place != NULL && h2->server)
        (void)nghttp2_session_set_stream_user_data(h2->session, (*place)->pub.id, *place);
    *place = s;
}

struct stream *h2_stream_open(struct h2 *h2, int32_t id)
{
    struct stream *s = take(h2);

    if (s == NULL)
        return NULL;

    struct neo_buffer queue = s->queue; /* empty, but its memory is kept */
    memset(s, 0, offsetof(struct stream, first_block));
    s->queue = queue;
    s->pub.arena = &s->arena;
    s->opened_at = s->taken_since = h2->now;
    s->window = h2->limits.stream_window;
    list_init(&s->turn);
    list_init(&s->wake);
    neo_arena_init_with(&s->arena, s->first_block, sizeof(s->first_block), h2->limits.arena_budget);
    list_push_back(&h2->live, &s->link);
    h2->n_live++;
    if (id != 0)
        h2_stream_name(h2, s, id);
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
    if (!s->pub.remote_reset) /* else the guard has counted its end */
        h2_guard_stream_closed(&h2->guard);
    if (*place_of(h2, s->pub.id) == s)
        *place_of(h2, s->pub.id) = NULL;
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
    struct stream *s = *place_of(h2, id);

    return s != NULL && s->pub.id == id ? s : nghttp2_session_get_stream_user_data(h2->session, id);
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
