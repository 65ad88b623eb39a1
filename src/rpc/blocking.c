/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls for threads that wait; see stream.h.
 */
#include "rpc/stream.h"

#include <neo/memory.h>

#include <assert.h>

static enum neo_code begin(struct neo_channel *channel, const struct neo_method *method,
                           const struct neo_call_options *options, bool keep_options,
                           const void *request, struct neo_stream **ret, struct neo_error *err)
{
    const struct stream_options o = {
        .channel = channel,
        .method = method,
        .call = options,
        .keep_call = keep_options,
        .request = request,
        .ret = ret,
    };

    if (neo_loop_is_current(channel->loop))
        return neo_fail(err, NEO_FAILED_PRECONDITION,
                        "a blocking call on the loop that must serve it would wait for ever; use "
                        "neo_channel_start()");
    return stream_begin(&o, err);
}

enum neo_code neo_channel_stream(struct neo_channel *channel, const struct neo_method *method,
                                 const struct neo_call_options *options, const void *request,
                                 struct neo_stream **ret, struct neo_error *err)
{
    return begin(channel, method, options, true, request, ret, err);
}

enum neo_code neo_stream_send(struct neo_stream *s, const void *request)
{
    (void)pthread_mutex_lock(&s->shared.lock);
    while (!s->shared.ended && stream_is_full_locked(s))
        (void)pthread_cond_wait(&s->shared.changed, &s->shared.lock);
    enum neo_code code = stream_put_locked(s, request);
    (void)pthread_mutex_unlock(&s->shared.lock);
    return code;
}

void neo_stream_close_send(struct neo_stream *s)
{
    (void)pthread_mutex_lock(&s->shared.lock);
    s->shared.close_send = true;
    stream_poke_locked(s);
    (void)pthread_mutex_unlock(&s->shared.lock);
}

static struct queued *take(struct neo_stream *s)
{
    (void)pthread_mutex_lock(&s->shared.lock);
    while (list_is_empty(&s->shared.queue) && !s->shared.ended)
        (void)pthread_cond_wait(&s->shared.changed, &s->shared.lock);
    struct queued *q = stream_pop_locked(s);
    (void)pthread_mutex_unlock(&s->shared.lock);
    return q;
}

bool neo_stream_next(struct neo_stream *s, void *response, struct neo_arena *arena)
{
    struct queued *q = take(s);
    struct neo_error err = {.code = NEO_RESOURCE_EXHAUSTED, .message = "out of memory"};

    if (q == NULL)
        return false;
    struct neo_bytes wire = neo_arena_copy(arena, neo_bytes(q->bytes, q->len));
    neo_free(q);
    if (!neo_arena_failed(arena) &&
        neo_proto_decode(s->method->response, wire, response, arena, &err) == NEO_OK)
        return true;
    (void)pthread_mutex_lock(&s->shared.lock);
    s->shared.status = neo_status_of(NEO_INTERNAL, "cannot decode the server's message");
    s->shared.ended = true;
    s->shared.cancel = true;
    (void)pthread_mutex_unlock(&s->shared.lock);
    return false;
}

const struct neo_status *neo_stream_status(const struct neo_stream *s)
{
    return &s->shared.status;
}

void neo_stream_free(struct neo_stream *s)
{
    if (s != NULL)
        stream_end(s);
}

/* --- unary: a stream of one ------------------------------------------------------------------- */

enum neo_code neo_channel_call(struct neo_channel *channel, const struct neo_method *method,
                               const struct neo_call_options *options, const void *request,
                               void *response, struct neo_arena *arena,
                               struct neo_status *ret_status)
{
    struct neo_error err = {0};
    struct neo_stream *s;
    bool got;

    assert((method->kind & NEO_BIDI_STREAM) == NEO_UNARY);
    enum neo_code code = begin(channel, method, options, false, request, &s, &err);
    if (code != NEO_OK) {
        if (ret_status != NULL) {
            *ret_status = neo_status_of(code, "");
            ret_status->message = neo_arena_copy(arena, neo_text(err.message));
        }
        return code;
    }
    got = neo_stream_next(s, response, arena);
    if (got) {
        struct queued *more = take(s); /* waits for the status */
        neo_free(more);
    }
    code = s->shared.status.code;
    if (ret_status != NULL)
        *ret_status = stream_copy_status(&s->shared.status, arena);
    neo_stream_free(s);
    return code;
}
