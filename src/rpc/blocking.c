/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls for threads that wait.
 *
 * The call itself runs on the channel's loop and hands over raw bytes; decoding is
 * done by the thread that asked, into its own arena. A stream's queue is bounded:
 * beyond QUEUE_MARK bytes the loop gives the server no more credit until the reader
 * has caught up, so a fast sender is held back by HTTP/2's own window.
 */
#include "rpc/channel_internal.h"

#include <neo/memory.h>

#include <assert.h>
#include <pthread.h>
#include <stdio.h>

enum { QUEUE_MARK = 64 * 1024, STATUS_ARENA_BUDGET = 1 << 20, SECRET_MAX = 240 };

struct queued {
    struct list link;
    size_t len;
    size_t credit; /* window to give back when it was read */
    uint8_t bytes[];
};

struct neo_stream {
    struct neo_channel *channel;
    const struct neo_method *method;
    struct neo_job start;
    struct neo_job poke; /* at most one on its way */
    /* the beginning: read by the loop, set before start is posted */
    struct neo_call_options options;
    struct neo_buffer first;
    bool has_request;
    char secret[SECRET_MAX]; /* what of it needs an attested peer; options.needs_attested */
    struct {
        struct neo_client_call *call;
        bool over;
    } loop; /* the channel's loop only */
    struct {
        pthread_mutex_t lock;
        pthread_cond_t changed;
        struct list queue;     /* of struct queued: read from the peer */
        size_t queued;         /* bytes in it */
        size_t credit;         /* to be given back */
        struct neo_buffer out; /* encoded messages, each behind its 8-byte length */
        bool close_send;
        bool cancel;
        bool full;  /* the peer holds us back */
        bool poked; /* `poke` is posted */
        bool ended;
        bool failed_memory;
        char secret[SECRET_MAX]; /* of the messages in `out`: what needs an attested peer */
        struct neo_status status;
        struct neo_arena arena; /* of status */
    } shared;                   /* any thread, under `lock` */
};

/* --- on the loop ------------------------------------------------------------------------------ */

static bool got_raw(struct neo_client_call *call, struct neo_bytes wire, size_t used, void *self)
{
    struct neo_stream *s = self;
    struct queued *q = neo_alloc(sizeof(*q) + wire.len);
    bool go_on;

    (void)call;
    (void)pthread_mutex_lock(&s->shared.lock);
    if (q == NULL) {
        s->shared.failed_memory = true;
    } else {
        q->len = wire.len;
        if (wire.len > 0)
            memcpy(q->bytes, wire.at, wire.len);
        s->shared.queued += wire.len + FRAME_PREFIX_LEN;
        list_push_back(&s->shared.queue, &q->link);
    }
    go_on = s->shared.queued <= QUEUE_MARK;
    if (q != NULL)
        q->credit = go_on ? 0 : used;
    (void)pthread_cond_signal(&s->shared.changed);
    (void)pthread_mutex_unlock(&s->shared.lock);
    return go_on;
}

static void got_writable(struct neo_client_call *call, void *self)
{
    struct neo_stream *s = self;

    (void)call;
    (void)pthread_mutex_lock(&s->shared.lock);
    s->shared.full = false;
    (void)pthread_cond_broadcast(&s->shared.changed);
    (void)pthread_mutex_unlock(&s->shared.lock);
}

static struct neo_status deep_copy(const struct neo_status *from, struct neo_arena *arena)
{
    struct neo_status to = *from;
    struct neo_pair *pairs = NULL;

    to.message = neo_arena_copy(arena, from->message);
    to.reason = neo_arena_copy(arena, from->reason);
    to.decision_id = neo_arena_copy(arena, from->decision_id);
    to.bucket = neo_arena_copy(arena, from->bucket);
    to.service = neo_arena_copy(arena, from->service);
    to.required_permission = neo_arena_copy(arena, from->required_permission);
    to.resource = neo_arena_copy(arena, from->resource);
    if (from->n_metadata > 0)
        pairs = neo_arena_calloc(arena, from->n_metadata, sizeof(*pairs));
    to.n_metadata = pairs == NULL ? 0 : from->n_metadata;
    for (size_t i = 0; i < to.n_metadata; i++) {
        pairs[i].key = neo_arena_copy(arena, from->metadata[i].key);
        pairs[i].value = neo_arena_copy(arena, from->metadata[i].value);
    }
    to.metadata = pairs;
    return to;
}

static void end(struct neo_stream *s, const struct neo_status *status)
{
    s->loop.over = true;
    s->loop.call = NULL;
    (void)pthread_mutex_lock(&s->shared.lock);
    s->shared.status = deep_copy(status, &s->shared.arena);
    s->shared.ended = true;
    (void)pthread_cond_broadcast(&s->shared.changed);
    (void)pthread_mutex_unlock(&s->shared.lock);
}

static void got_done(struct neo_client_call *call, const struct neo_status *status, void *self)
{
    (void)call;
    end(self, status);
}

static const struct neo_client_events events = {.writable = got_writable, .done = got_done};

static void start_run(struct neo_job *job)
{
    struct neo_stream *s = neo_owner(job, struct neo_stream, start);
    struct neo_error err = {0};
    struct neo_client_call *call;

    enum neo_code code =
        client_call_start(s->channel, s->method, &s->options, neo_buffer_bytes(&s->first),
                          s->has_request, &events, got_raw, s, &call, &err);
    if (code != NEO_OK) {
        struct neo_status status = neo_status_of(code, err.message);
        end(s, &status);
        return;
    }
    s->loop.call = call;
}

/* Sends what is queued; `out` is taken whole under the lock. */
static void send_queued(struct neo_stream *s, struct neo_buffer *out)
{
    struct neo_bytes rest = neo_buffer_bytes(out);
    enum neo_flow flow = NEO_FLOW_MORE;

    while (rest.len > 0 && flow != NEO_FLOW_GONE) {
        uint64_t len;
        memcpy(&len, rest.at, sizeof(len));
        flow = client_call_send_wire(s->loop.call, neo_bytes(rest.at + sizeof(len), (size_t)len));
        rest = neo_bytes_from(rest, sizeof(len) + (size_t)len);
        if (s->loop.call == NULL)
            return;
    }
    if (flow == NEO_FLOW_FULL) {
        (void)pthread_mutex_lock(&s->shared.lock);
        s->shared.full = true;
        (void)pthread_mutex_unlock(&s->shared.lock);
    }
}

static void poke_run(struct neo_job *job)
{
    struct neo_stream *s = neo_owner(job, struct neo_stream, poke);
    char secret[SECRET_MAX];

    (void)pthread_mutex_lock(&s->shared.lock);
    struct neo_buffer out = s->shared.out;
    s->shared.out = (struct neo_buffer){0};
    size_t credit = s->shared.credit;
    s->shared.credit = 0;
    bool close_send = s->shared.close_send;
    bool cancel = s->shared.cancel;
    s->shared.poked = false;
    secret[0] = s->shared.secret[0];
    if (secret[0] != '\0')
        (void)memcpy(secret, s->shared.secret, sizeof(secret));
    (void)pthread_cond_broadcast(&s->shared.changed);
    (void)pthread_mutex_unlock(&s->shared.lock);

    if (s->loop.call != NULL && secret[0] != '\0')
        (void)client_call_guard(s->loop.call, secret); /* if that ends it, nothing is sent below */
    if (s->loop.call != NULL) {
        send_queued(s, &out);
        if (s->loop.call != NULL && credit > 0)
            client_call_consume(s->loop.call, credit);
        if (s->loop.call != NULL && close_send)
            neo_client_call_close_send(s->loop.call);
        if (s->loop.call != NULL && cancel)
            neo_client_call_cancel(s->loop.call);
    }
    neo_buffer_fini(&out);
}

/* Whether the message needs an attested peer, and then for what. */
static bool find_secret(const struct neo_message_info *info, const void *message,
                        char ret[static SECRET_MAX])
{
    struct neo_error err;

    if (neo_proto_check_open(info, message, &err) == NEO_OK)
        return false;
    (void)snprintf(ret, SECRET_MAX, "%s", err.message);
    return true;
}

/* --- on the caller's thread ------------------------------------------------------------------- */

static void poke_locked(struct neo_stream *s)
{
    if (s->shared.poked || s->shared.ended)
        return;
    s->shared.poked = true;
    s->poke.run = poke_run;
    neo_loop_post(s->channel->loop, &s->poke);
}

enum neo_code neo_channel_stream(struct neo_channel *channel, const struct neo_method *method,
                                 const struct neo_call_options *options, const void *request,
                                 struct neo_stream **ret, struct neo_error *err)
{
    struct neo_stream *s;

    if (neo_loop_is_current(channel->loop))
        return neo_fail(err, NEO_FAILED_PRECONDITION,
                        "a blocking call on the loop that must serve it would wait for ever; use "
                        "neo_channel_start()");
    s = neo_alloc(sizeof(*s));
    if (s == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory starting a call");
    if (request != NULL) {
        enum neo_code code = neo_proto_encode(method->request, request, &s->first, err);
        if (code != NEO_OK) {
            neo_buffer_fini(&s->first);
            neo_free(s);
            return code;
        }
        s->has_request = true;
    }
    s->channel = channel;
    s->method = method;
    if (options != NULL)
        s->options = *options;
    if (request != NULL && find_secret(method->request, request, s->secret))
        s->options.needs_attested = s->secret;
    (void)pthread_mutex_init(&s->shared.lock, NULL);
    (void)pthread_cond_init(&s->shared.changed, NULL);
    list_init(&s->shared.queue);
    neo_arena_init(&s->shared.arena, STATUS_ARENA_BUDGET);
    s->start.run = start_run;
    neo_loop_post(channel->loop, &s->start);
    *ret = s;
    return NEO_OK;
}

enum neo_code neo_stream_send(struct neo_stream *s, const void *request)
{
    struct neo_error err;
    size_t size;
    enum neo_code code = neo_proto_size(s->method->request, request, &size, &err);

    if (code != NEO_OK)
        return code;
    uint64_t len = size;
    (void)pthread_mutex_lock(&s->shared.lock);
    while (!s->shared.ended && (s->shared.full || s->shared.out.len > QUEUE_MARK))
        (void)pthread_cond_wait(&s->shared.changed, &s->shared.lock);
    if (s->shared.ended) {
        code = s->shared.status.code == NEO_OK ? NEO_OUT_OF_RANGE : s->shared.status.code;
    } else {
        (void)neo_buffer_append(&s->shared.out, neo_bytes(&len, sizeof(len)));
        code = neo_proto_encode(s->method->request, request, &s->shared.out, &err);
        (void)find_secret(s->method->request, request, s->shared.secret);
        poke_locked(s);
    }
    (void)pthread_mutex_unlock(&s->shared.lock);
    return code;
}

void neo_stream_close_send(struct neo_stream *s)
{
    (void)pthread_mutex_lock(&s->shared.lock);
    s->shared.close_send = true;
    poke_locked(s);
    (void)pthread_mutex_unlock(&s->shared.lock);
}

static struct queued *take(struct neo_stream *s)
{
    struct queued *q = NULL;

    (void)pthread_mutex_lock(&s->shared.lock);
    while (list_is_empty(&s->shared.queue) && !s->shared.ended)
        (void)pthread_cond_wait(&s->shared.changed, &s->shared.lock);
    struct list *node = list_pop_front(&s->shared.queue);
    if (node != NULL) {
        q = neo_owner(node, struct queued, link);
        s->shared.queued -= q->len + FRAME_PREFIX_LEN;
        s->shared.credit += q->credit;
        if (s->shared.credit > 0 && s->shared.queued <= QUEUE_MARK / 2)
            poke_locked(s);
    }
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

/* --- the end: nothing of the loop may still know the stream ----------------------------------- */

struct farewell {
    struct neo_job job;
    struct neo_stream *stream;
    pthread_mutex_t lock;
    pthread_cond_t done;
    bool is_done;
};

static void farewell_run(struct neo_job *job)
{
    struct farewell *f = neo_owner(job, struct farewell, job);
    struct neo_stream *s = f->stream;

    if (s->loop.call != NULL) {
        s->channel->in_events++; /* `done` at once */
        neo_client_call_cancel(s->loop.call);
        if (s->loop.call != NULL) /* it had ended, and was to be told of it later */
            client_call_done(s->loop.call);
        s->channel->in_events--;
    }
    (void)pthread_mutex_lock(&f->lock);
    f->is_done = true;
    (void)pthread_cond_signal(&f->done);
    (void)pthread_mutex_unlock(&f->lock);
}

/* Posted behind `start` and `poke`, so both have run when it returns. */
static void say_farewell(struct neo_stream *s)
{
    struct farewell f = {.job = {.run = farewell_run}, .stream = s};

    (void)pthread_mutex_init(&f.lock, NULL);
    (void)pthread_cond_init(&f.done, NULL);
    neo_loop_post(s->channel->loop, &f.job);
    (void)pthread_mutex_lock(&f.lock);
    while (!f.is_done)
        (void)pthread_cond_wait(&f.done, &f.lock);
    (void)pthread_mutex_unlock(&f.lock);
    (void)pthread_cond_destroy(&f.done);
    (void)pthread_mutex_destroy(&f.lock);
}

void neo_stream_free(struct neo_stream *s)
{
    if (s == NULL)
        return;
    say_farewell(s);
    for (struct list *node; (node = list_pop_front(&s->shared.queue)) != NULL;)
        neo_free(neo_owner(node, struct queued, link));
    neo_buffer_fini(&s->shared.out);
    neo_buffer_fini(&s->first);
    neo_arena_fini(&s->shared.arena);
    (void)pthread_cond_destroy(&s->shared.changed);
    (void)pthread_mutex_destroy(&s->shared.lock);
    neo_free(s);
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
    enum neo_code code = neo_channel_stream(channel, method, options, request, &s, &err);
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
        *ret_status = deep_copy(&s->shared.status, arena);
    neo_stream_free(s);
    return code;
}
