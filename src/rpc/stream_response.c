/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What came beside a stream's messages: kept by the loop on the stream's arena, as long as the call
 * is there to be asked; copied to the arena of whoever wants to know.
 */
#include "rpc/stream.h"

#include <neo/metadata.h>

typedef bool next_fn(struct neo_client_call *call, struct neo_metadata_cursor *cursor,
                     struct neo_pair *ret);

const struct neo_pair *stream_copy_pairs(struct neo_arena *arena, const struct neo_pair *from,
                                         size_t n)
{
    struct neo_pair *to = n == 0 ? NULL : neo_arena_calloc(arena, n, sizeof(*to));

    for (size_t i = 0; to != NULL && i < n; i++)
        to[i] = (struct neo_pair){neo_arena_copy(arena, from[i].key),
                                  neo_arena_copy(arena, from[i].value)};
    return to;
}

static size_t count(struct neo_client_call *call, next_fn *next)
{
    struct neo_metadata_cursor at = {0};
    struct neo_pair pair;
    size_t n = 0;

    while (next(call, &at, &pair))
        n++;
    return n;
}

/* Returns how many there are in `*ret`. */
static size_t keep(struct neo_stream *s, struct neo_client_call *call, next_fn *next,
                   const struct neo_pair **ret)
{
    struct neo_arena *arena = &s->shared.arena;
    struct neo_metadata_cursor at = {0};
    size_t n = count(call, next), i = 0;
    struct neo_pair *pairs = n == 0 ? NULL : neo_arena_calloc(arena, n, sizeof(*pairs));
    struct neo_pair pair;

    while (pairs != NULL && i < n && next(call, &at, &pair))
        pairs[i++] =
            (struct neo_pair){neo_arena_copy(arena, pair.key), neo_arena_copy(arena, pair.value)};
    *ret = pairs;
    return i;
}

void stream_keep_response(struct neo_stream *s, struct neo_client_call *call, bool ended)
{
    struct neo_response_info *r = &s->shared.response;
    const char *peer = neo_client_call_peer(call);

    (void)pthread_mutex_lock(&s->shared.lock);
    if (r->n_headers == 0)
        r->n_headers = keep(s, call, neo_client_call_header_next, &r->headers);
    if (ended)
        r->n_trailers = keep(s, call, neo_client_call_trailer_next, &r->trailers);
    if (peer != NULL && r->peer.len == 0)
        r->peer = neo_arena_copy(&s->shared.arena, neo_text(peer));
    (void)pthread_mutex_unlock(&s->shared.lock);
}

bool neo_stream_response(struct neo_stream *s, struct neo_arena *arena,
                         struct neo_response_info *ret)
{
    struct neo_response_info copy;

    (void)pthread_mutex_lock(&s->shared.lock);
    bool lost = neo_arena_failed(&s->shared.arena);
    copy = s->shared.response;
    copy.headers = stream_copy_pairs(arena, copy.headers, copy.n_headers);
    copy.trailers = stream_copy_pairs(arena, copy.trailers, copy.n_trailers);
    copy.peer = neo_arena_copy(arena, copy.peer);
    (void)pthread_mutex_unlock(&s->shared.lock);
    if (lost || neo_arena_failed(arena))
        return false;
    *ret = copy;
    return true;
}
