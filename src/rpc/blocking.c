/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls for threads that wait; see stream.h.
 */
#include "rpc/client_ready.h"
#include "rpc/stream.h"

#include <neo/memory.h>

#include <assert.h>

static enum neo_code begin(struct neo_channel *channel, const struct neo_method *method,
                           const struct neo_call_options *options, bool keep_options,
                           const void *request, struct neo_stream **ret, struct neo_error *err)
{
    /* Of a unary call only what somebody wants to hear. */
    const struct stream_options o = {
        .channel = channel,
        .method = method,
        .call = options,
        .keep_call = keep_options,
        .keep_response = keep_options || (options != NULL && options->response != NULL),
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

static struct queued *take(struct neo_stream *s)
{
    (void)pthread_mutex_lock(&s->shared.lock);
    while (list_is_empty(&s->shared.queue) && !s->shared.ended)
        (void)pthread_cond_wait(&s->shared.changed, &s->shared.lock);
    struct queued *q = stream_pop_locked(s);
    (void)pthread_mutex_unlock(&s->shared.lock);
    return q;
}

enum neo_code neo_channel_wait_ready(struct neo_channel *channel, neo_nsec timeout,
                                     struct neo_error *err)
{
    const struct neo_call_options options = {.timeout = timeout, .wait_for_ready = true};
    struct neo_stream *stream;

    NEO_TRY(begin(channel, &client_ready_method, &options, true, NULL, &stream, err));
    struct queued *none = take(stream); /* it has no messages: this is its end */
    const struct neo_status *status = neo_stream_status(stream);
    enum neo_code code = status->code;
    neo_free(none);
    if (code != NEO_OK)
        code = neo_fail(err, code, "%.*s", NEO_FMT_ALL(status->message));
    neo_stream_free(stream);
    return code;
}

enum neo_code neo_stream_send(struct neo_stream *s, const void *request)
{
    (void)pthread_mutex_lock(&s->shared.lock);
    while (!s->shared.ended && !stream_is_closed_locked(s) && stream_is_full_locked(s))
        (void)pthread_cond_wait(&s->shared.changed, &s->shared.lock);
    enum neo_code code = stream_put_locked(s, request);
    (void)pthread_mutex_unlock(&s->shared.lock);
    return code;
}

void neo_stream_cancel(struct neo_stream *s)
{
    (void)pthread_mutex_lock(&s->shared.lock);
    s->shared.cancel = true;
    stream_poke_locked(s);
    (void)pthread_mutex_unlock(&s->shared.lock);
}

void neo_stream_close_send(struct neo_stream *s)
{
    (void)pthread_mutex_lock(&s->shared.lock);
    s->shared.close_send = true;
    stream_poke_locked(s);
    (void)pthread_mutex_unlock(&s->shared.lock);
}

static bool break_off(struct neo_stream *s, const struct neo_error *err)
{
    (void)pthread_mutex_lock(&s->shared.lock);
    stream_break_locked(s, err->code, err->message);
    (void)pthread_mutex_unlock(&s->shared.lock);
    return false;
}

/* Where nothing could be put, asked before anything is: a server should not work in vain. */
static enum neo_code check_arena(const struct neo_arena *arena, struct neo_error *err)
{
    if (arena == NULL || (arena->budget == 0 && arena->first == NULL && !arena->failed))
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "a response needs an arena with a budget: NEO_ARENA(1 << 20)");
    if (neo_arena_failed(arena))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, STREAM_ARENA_SPENT);
    return NEO_OK;
}

/* Of a message that is malformed the server is to blame, of one without room the caller. */
static enum neo_code decode(const struct neo_stream *s, const struct queued *q, void *response,
                            struct neo_arena *arena, struct neo_error *err)
{
    struct neo_error why = {0};
    struct neo_bytes wire = neo_arena_copy(arena, neo_bytes(q->bytes, q->len));

    if (!neo_arena_failed(arena) &&
        neo_proto_decode(s->method->response, wire, response, arena, &why) == NEO_OK)
        return NEO_OK;
    if (neo_arena_failed(arena))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED,
                        STREAM_ARENA_SPENT " (%zu in all; the message has %zu)", arena->budget,
                        q->len);
    return neo_fail(err, NEO_INTERNAL, "cannot decode the server's message: %s", why.message);
}

bool neo_stream_next(struct neo_stream *s, void *response, struct neo_arena *arena)
{
    struct neo_error err = {0};

    if (check_arena(arena, &err) != NEO_OK)
        return break_off(s, &err);
    struct queued *q = take(s);
    if (q == NULL)
        return false;
    memset(response, 0, s->method->response->size);
    enum neo_code code = decode(s, q, response, arena, &err);
    neo_free(q);
    return code == NEO_OK || break_off(s, &err);
}

const char *neo_stream_refusal(const struct neo_stream *s)
{
    return s->refusal == NULL ? "" : s->refusal;
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

/* The text is on the arena, or one that always is. */
static enum neo_code fail(const struct neo_error *err, struct neo_arena *arena,
                          struct neo_status *ret_status)
{
    struct neo_status status = neo_status_of(err->code, err->message);

    if (ret_status == NULL)
        return err->code;
    if (arena != NULL)
        *ret_status = stream_copy_status(&status, arena);
    else
        *ret_status = neo_status_of(err->code, "a response needs an arena: NEO_ARENA(1 << 20)");
    ret_status->processed = false; /* nothing has left */
    return err->code;
}

enum neo_code neo_channel_call(struct neo_channel *channel, const struct neo_method *method,
                               const struct neo_call_options *options, const void *request,
                               void *response, struct neo_arena *arena,
                               struct neo_status *ret_status)
{
    struct neo_response_info *info = options == NULL ? NULL : options->response;
    struct neo_error err = {0};
    struct neo_stream *s;

    assert((method->kind & NEO_BIDI_STREAM) == NEO_UNARY);
    if (info != NULL)
        *info = (struct neo_response_info){0};
    if (check_arena(arena, &err) != NEO_OK ||
        begin(channel, method, options, false, request, &s, &err) != NEO_OK)
        return fail(&err, arena, ret_status);
    if (neo_stream_next(s, response, arena)) {
        struct queued *more = take(s); /* waits for the status */
        neo_free(more);
    }
    enum neo_code code = s->shared.status.code;
    if (ret_status != NULL)
        *ret_status = stream_copy_status(&s->shared.status, arena);
    if (info != NULL)
        (void)neo_stream_response(s, arena, info); /* no room: all zeros */
    neo_stream_free(s);
    return code;
}
