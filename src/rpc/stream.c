/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/stream.h"

#include <neo/compression.h>
#include <neo/memory.h>

#include <stdio.h>

enum { STATUS_ARENA_BUDGET = 1 << 20 };

/* --- on the loop ------------------------------------------------------------------------------ */

static void tell(struct neo_stream *s)
{
    if (s->notify != NULL)
        s->notify(s->owner);
}

static bool got_raw(struct neo_client_call *call, struct neo_bytes wire, size_t used, void *self)
{
    struct neo_stream *s = self;
    struct queued *q = neo_alloc(sizeof(*q) + wire.len);
    bool go_on;

    (void)pthread_mutex_lock(&s->shared.lock);
    if (q == NULL) {
        s->shared.failed_memory = true;
    } else {
        q->len = wire.len;
        q->most = neo_client_call_was_compressed(call) ? call->max_response : 0;
        if (wire.len > 0)
            memcpy(q->bytes, wire.at, wire.len);
        s->shared.queued += wire.len + FRAME_PREFIX_LEN;
        list_push_back(&s->shared.queue, &q->link);
    }
    go_on = s->shared.queued <= STREAM_MARK;
    if (q != NULL)
        q->credit = go_on ? 0 : used;
    (void)pthread_cond_signal(&s->shared.changed);
    (void)pthread_mutex_unlock(&s->shared.lock);
    tell(s);
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
    tell(s);
}

/* A text must not be lost for want of room: what it would have said is said by nobody else. */
static struct neo_bytes copy_text(struct neo_arena *arena, struct neo_bytes text)
{
    struct neo_bytes copy = neo_arena_copy(arena, text);

    return copy.len == text.len ? copy : neo_text(STREAM_ARENA_SPENT);
}

struct neo_status stream_copy_status(const struct neo_status *from, struct neo_arena *arena)
{
    struct neo_status to = *from;
    struct neo_pair *pairs = NULL;

    to.message = copy_text(arena, from->message);
    to.reason = neo_arena_copy(arena, from->reason);
    to.decision_id = neo_arena_copy(arena, from->decision_id);
    to.bucket = neo_arena_copy(arena, from->bucket);
    to.service = neo_arena_copy(arena, from->service);
    to.required_permission = neo_arena_copy(arena, from->required_permission);
    to.resource = neo_arena_copy(arena, from->resource);
    to.details = neo_arena_copy(arena, from->details);
    to.more_details = neo_arena_copy(arena, from->more_details);
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

/* Behind the lock the loop knows it no more, unless a poke is under way: see stream_end(). */
static void end(struct neo_stream *s, const struct neo_status *status)
{
    stream_notify_fn *notify = s->notify;
    void *owner = s->owner;

    s->loop.over = true;
    s->loop.call = NULL;
    (void)pthread_mutex_lock(&s->shared.lock);
    if (!s->shared.broken)
        s->shared.status = stream_copy_status(status, &s->shared.arena);
    s->shared.ended = s->shared.forgotten = true;
    (void)pthread_cond_broadcast(&s->shared.changed);
    (void)pthread_mutex_unlock(&s->shared.lock);
    if (notify != NULL)
        notify(owner);
}

static void got_headers(struct neo_client_call *call, void *self)
{
    stream_keep_response(self, call, false);
}

static void got_done(struct neo_client_call *call, const struct neo_status *status, void *self)
{
    struct neo_stream *s = self;

    if (s->keep_response)
        stream_keep_response(s, call, true);
    end(s, status);
}

static const struct neo_client_events events = {.writable = got_writable, .done = got_done};
static const struct neo_client_events all_events = {
    .headers = got_headers, .writable = got_writable, .done = got_done};

static void start_run(struct neo_job *job)
{
    struct neo_stream *s = neo_owner(job, struct neo_stream, start);
    struct neo_error err = {0};
    struct neo_client_call *call;

    enum neo_code code = client_call_start(
        s->channel, s->method, &s->options, neo_buffer_bytes(&s->first), s->has_request,
        s->keep_response ? &all_events : &events, got_raw, s, &call, &err);
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

    while (s->loop.call != NULL && rest.len > 0 && flow != NEO_FLOW_GONE) {
        uint64_t len;
        memcpy(&len, rest.at, sizeof(len));
        flow = client_call_send_wire(s->loop.call, neo_bytes(rest.at + sizeof(len), (size_t)len));
        rest = neo_bytes_from(rest, sizeof(len) + (size_t)len);
    }
    if (s->loop.call != NULL && flow == NEO_FLOW_FULL) {
        (void)pthread_mutex_lock(&s->shared.lock);
        s->shared.full = true;
        (void)pthread_mutex_unlock(&s->shared.lock);
    }
}

static void poke_run(struct neo_job *job)
{
    struct neo_stream *s = neo_owner(job, struct neo_stream, poke);
    char secret[STREAM_SECRET_MAX];

    (void)pthread_mutex_lock(&s->shared.lock);
    struct neo_buffer out = s->shared.out;
    s->shared.out = (struct neo_buffer){0};
    size_t credit = s->shared.credit;
    s->shared.credit = 0;
    bool close_send = s->shared.close_send;
    bool cancel = s->shared.cancel;
    bool wants_room = s->shared.wants_room;
    s->shared.poked = false;
    s->shared.poking = true;
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
    if (wants_room)
        tell(s);
    (void)pthread_mutex_lock(&s->shared.lock);
    s->shared.poking = false; /* if the call has ended, the stream may be gone from here on */
    (void)pthread_mutex_unlock(&s->shared.lock);
}

/* Whether the message needs an attested peer, and then for what. */
static bool find_secret(const struct neo_message_info *info, const void *message,
                        char ret[static STREAM_SECRET_MAX])
{
    struct neo_error err;

    if (neo_proto_check_open(info, message, &err) == NEO_OK)
        return false;
    (void)snprintf(ret, STREAM_SECRET_MAX, "%s", err.message);
    return true;
}

/* --- the beginning ---------------------------------------------------------------------------- */

static const struct neo_entry *copy_entries(struct neo_arena *arena, const struct neo_entry *from,
                                            size_t n)
{
    struct neo_entry *to = n == 0 ? NULL : neo_arena_calloc(arena, n, sizeof(*to));

    for (size_t i = 0; to != NULL && i < n; i++)
        to[i] = (struct neo_entry){neo_arena_copy(arena, from[i].key),
                                   neo_arena_copy(arena, from[i].value)};
    return to;
}

static const struct neo_context *copy_context(struct neo_arena *arena,
                                              const struct neo_context *from)
{
    struct neo_context *to = from == NULL ? NULL : neo_arena_calloc(arena, 1, sizeof(*to));

    if (to == NULL)
        return NULL;
    *to = *from;
    to->tracestate = neo_arena_copy(arena, from->tracestate);
    to->caller = neo_arena_copy(arena, from->caller);
    to->caller_uri = neo_arena_copy(arena, from->caller_uri);
    to->business = copy_entries(arena, from->business, from->n_business);
    return to;
}

/* False: out of memory. */
static bool take_options(struct neo_stream *s, const struct neo_call_options *o, bool keep)
{
    struct neo_arena *arena = &s->shared.arena;

    if (o == NULL)
        return true;
    s->options = *o;
    if (!keep)
        return true;
    s->options.parent = copy_context(arena, o->parent);
    s->options.metadata = stream_copy_pairs(arena, o->metadata, o->n_metadata);
    s->options.business = copy_entries(arena, o->business, o->n_business);
    if (o->needs_attested != NULL)
        s->options.needs_attested = neo_arena_string(arena, neo_text(o->needs_attested));
    return !neo_arena_failed(arena);
}

static void init(struct neo_stream *s, const struct stream_options *o)
{
    s->channel = o->channel;
    s->method = o->method;
    s->notify = o->notify;
    s->gone = o->gone;
    s->owner = o->owner;
    s->keep_response = o->keep_response;
    s->on = o->channel->loop;
    s->start.run = start_run;
    s->poke.run = poke_run;
    (void)pthread_mutex_init(&s->shared.lock, NULL);
    (void)pthread_cond_init(&s->shared.changed, NULL);
    list_init(&s->shared.queue);
    neo_arena_init_with(&s->shared.arena, s->arena_first, sizeof(s->arena_first),
                        STATUS_ARENA_BUDGET);
}

static void free_stream(struct neo_stream *s)
{
    for (struct list *node; (node = list_pop_front(&s->shared.queue)) != NULL;)
        neo_free(neo_owner(node, struct queued, link));
    neo_buffer_fini(&s->shared.out);
    neo_buffer_fini(&s->first);
    neo_free(s->refusal);
    neo_arena_fini(&s->shared.arena);
    (void)pthread_cond_destroy(&s->shared.changed);
    (void)pthread_mutex_destroy(&s->shared.lock);
    neo_free(s);
}

static enum neo_code fill(struct neo_stream *s, const struct stream_options *o,
                          struct neo_error *err)
{
    if (!take_options(s, o->call, o->keep_call))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory starting a call");
    NEO_TRY(client_check_request(o->method, o->request, err));
    if (o->request == NULL)
        return NEO_OK;
    s->has_request = true;
    if (find_secret(o->method->request, o->request, s->secret))
        s->options.needs_attested = s->secret;
    return neo_proto_encode(o->method->request, o->request, &s->first, err);
}

enum neo_code stream_begin(const struct stream_options *options, struct neo_error *err)
{
    struct neo_stream *s = neo_alloc(sizeof(*s));

    if (s == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory starting a call");
    init(s, options);
    enum neo_code code = fill(s, options, err);
    if (code != NEO_OK) {
        free_stream(s);
        return code;
    }
    *options->ret = s;
    neo_loop_post(s->on, &s->start);
    canceller_join(s);
    return NEO_OK;
}

/* --- on the caller's thread ------------------------------------------------------------------- */

void stream_poke_locked(struct neo_stream *s)
{
    if (s->shared.poked || s->shared.ended)
        return;
    s->shared.poked = true;
    neo_loop_post(s->on, &s->poke);
}

bool stream_is_closed_locked(const struct neo_stream *s)
{
    return s->shared.close_send || s->has_request;
}

bool stream_is_full_locked(const struct neo_stream *s)
{
    return s->shared.full || s->shared.out.len > STREAM_MARK;
}

/*
 * The length is written when the message lies behind it: should that fail, there is neither. What
 * send_queued() reads is always whole.
 */
static enum neo_code put_message(struct neo_buffer *out, const struct neo_message_info *info,
                                 const void *message, struct neo_error *err)
{
    size_t from = out->len;
    uint64_t len = 0;
    enum neo_code code;

    if (neo_buffer_append(out, neo_bytes(&len, sizeof(len))))
        code = neo_proto_encode(info, message, out, err);
    else
        code = neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory queueing a message");
    if (code != NEO_OK) {
        out->len = from;
        out->failed = false;
        return code;
    }
    len = out->len - from - sizeof(len);
    memcpy(out->at + from, &len, sizeof(len));
    return NEO_OK;
}

static enum neo_code put(struct neo_stream *s, const void *request, struct neo_error *err)
{
    if (stream_is_closed_locked(s))
        return neo_fail(err, NEO_FAILED_PRECONDITION, "%s: nothing may follow the last message",
                        s->method->path);
    if (request == NULL)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "%s: there is no message", s->method->path);
    return put_message(&s->shared.out, s->method->request, request, err);
}

enum neo_code stream_put_locked(struct neo_stream *s, const void *request)
{
    struct neo_error err = {0};

    neo_free(s->refusal);
    s->refusal = NULL;
    if (s->shared.ended)
        return s->shared.status.code == NEO_OK ? NEO_OUT_OF_RANGE : s->shared.status.code;
    enum neo_code code = put(s, request, &err);
    if (code != NEO_OK) {
        s->refusal = neo_string_dup(err.message);
        return code;
    }
    (void)find_secret(s->method->request, request, s->shared.secret);
    stream_poke_locked(s);
    return NEO_OK;
}

void stream_break_locked(struct neo_stream *s, enum neo_code code, const char *text)
{
    const char *copy = neo_arena_string(&s->shared.arena, neo_text(text));

    if (s->shared.broken)
        return;
    s->shared.cancel = true;
    stream_poke_locked(s);
    s->shared.status = neo_status_of(code, copy == NULL ? "out of memory" : copy);
    s->shared.broken = true;
    s->shared.ended = true;
}

/*
 * In the queue a message is as small as it came; whoever takes it pays for what it stands for. The
 * loop, which has other calls, does not wait for that: the lock is let go meanwhile.
 */
static struct queued *inflated(struct neo_stream *s, struct queued *packed)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer plain = {0};
    struct neo_error err = {.code = NEO_RESOURCE_EXHAUSTED, .message = "out of memory"};

    (void)pthread_mutex_unlock(&s->shared.lock);
    enum neo_code code =
        frame_inflate(neo_bytes(packed->bytes, packed->len), packed->most, &plain, &err);
    struct queued *q = code == NEO_OK ? neo_alloc(sizeof(*q) + plain.len) : NULL;
    neo_free(packed);
    if (q != NULL)
        q->len = plain.len;
    if (q != NULL && plain.len > 0)
        memcpy(q->bytes, plain.at, plain.len);
    (void)pthread_mutex_lock(&s->shared.lock);
    if (q == NULL)
        stream_break_locked(s, err.code, err.message);
    return q;
}

struct queued *stream_pop_locked(struct neo_stream *s)
{
    struct list *node = s->shared.broken ? NULL : list_pop_front(&s->shared.queue);

    if (node == NULL)
        return NULL;
    struct queued *q = neo_owner(node, struct queued, link);
    s->shared.queued -= q->len + FRAME_PREFIX_LEN;
    s->shared.credit += q->credit;
    if (s->shared.credit > 0 && s->shared.queued <= STREAM_MARK / 2)
        stream_poke_locked(s);
    return q->most == 0 ? q : inflated(s, q);
}

/* --- the end: nothing of the loop may still know the stream ----------------------------------- */

struct farewell {
    struct neo_job job;
    struct neo_stream *stream;
    pthread_mutex_t lock;
    pthread_cond_t done;
    bool is_done;
};

/* On the loop. */
static void let_go(struct neo_stream *s)
{
    struct neo_client_call *call = s->loop.call;

    if (call == NULL) /* the channel, too, may be gone then */
        return;
    struct channel_core *core = s->channel->core;
    core->in_events++;
    neo_client_call_cancel(call); /* `done` would come later: here it comes now */
    client_call_done(call);
    core->in_events--;
}

static void farewell_run(struct neo_job *job)
{
    struct farewell *f = neo_owner(job, struct farewell, job);

    let_go(f->stream);
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
    neo_loop_post(s->on, &f.job);
    (void)pthread_mutex_lock(&f.lock);
    while (!f.is_done)
        (void)pthread_cond_wait(&f.done, &f.lock);
    (void)pthread_mutex_unlock(&f.lock);
    (void)pthread_cond_destroy(&f.done);
    (void)pthread_mutex_destroy(&f.lock);
}

/* Most calls have ended by then, and the loop has forgotten them: it need not be asked. */
static bool is_forgotten(struct neo_stream *s)
{
    (void)pthread_mutex_lock(&s->shared.lock);
    bool is = s->shared.forgotten && !s->shared.poked && !s->shared.poking;
    (void)pthread_mutex_unlock(&s->shared.lock);
    return is;
}

void stream_end(struct neo_stream *s)
{
    canceller_leave(s);
    if (!is_forgotten(s))
        say_farewell(s);
    free_stream(s);
}

static void bye_run(struct neo_job *job)
{
    struct neo_stream *s = neo_owner(job, struct neo_stream, bye);

    stream_notify_fn *gone = s->gone;
    void *owner = s->owner;

    let_go(s);
    free_stream(s);
    if (gone != NULL)
        gone(owner);
}

void stream_end_later(struct neo_stream *s)
{
    canceller_leave(s);
    s->bye.run = bye_run;
    neo_loop_post(s->on, &s->bye);
}
