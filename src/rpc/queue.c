/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call that has something to tell stands in the queue's line once, whatever it has; who
 * takes from the queue looks what it is, and puts the call back at the end while there is
 * more. The descriptor is set and cleared under the lock of the line, so that it is
 * readable exactly while somebody stands there.
 *
 * A call is freed by the channel's loop, behind whatever that loop still does for it; so
 * the queue itself is counted, and goes with the last of them.
 */
#include <neo/queue.h>

#include "io/wake.h"
#include "rpc/stream.h"

#include <neo/memory.h>

#include <stdatomic.h>

struct neo_queue {
    atomic_size_t refs; /* the owner's and one for each call */
    int fd;
    struct list calls;           /* the owner's thread alone */
    struct queued *held;         /* the message of the last event */
    struct neo_queue_call *over; /* the call of the last event, when that was its end */
    struct {
        pthread_mutex_t lock;
        struct list line; /* calls that have something to tell */
    } shared;
};

struct neo_queue_call {
    struct list link; /* queue.calls */
    struct list line; /* queue.shared.line, under its lock */
    bool dismissed;   /* under that lock, too */
    struct neo_queue *queue;
    struct neo_stream *stream;
    void *tag;
    bool done; /* its end was told */
};

/* --- life ------------------------------------------------------------------------------------- */

enum neo_code neo_queue_new(struct neo_queue **ret, struct neo_error *err)
{
    struct neo_queue *q = neo_alloc(sizeof(*q));

    if (q == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for a queue");
    enum neo_code code = wake_open(&q->fd, err);
    if (code != NEO_OK) {
        neo_free(q);
        return code;
    }
    atomic_init(&q->refs, 1);
    list_init(&q->calls);
    list_init(&q->shared.line);
    (void)pthread_mutex_init(&q->shared.lock, NULL);
    *ret = q;
    return NEO_OK;
}

static void unref(struct neo_queue *q)
{
    if (atomic_fetch_sub_explicit(&q->refs, 1, memory_order_acq_rel) > 1)
        return;
    wake_close(q->fd);
    (void)pthread_mutex_destroy(&q->shared.lock);
    neo_free(q);
}

/* On the loop, when nothing of it knows the call any more. */
static void call_gone(void *self)
{
    struct neo_queue_call *call = self;
    struct neo_queue *q = call->queue;

    neo_free(call);
    unref(q);
}

/* Nobody will take from it any more, whatever the loop still has to say. */
static void leave_line(struct neo_queue_call *call)
{
    struct neo_queue *q = call->queue;

    (void)pthread_mutex_lock(&q->shared.lock);
    call->dismissed = true;
    list_remove(&call->line);
    if (list_is_empty(&q->shared.line))
        wake_clear(q->fd);
    (void)pthread_mutex_unlock(&q->shared.lock);
}

static void dismiss(struct neo_queue_call *call)
{
    list_remove(&call->link);
    leave_line(call);
    stream_end_later(call->stream);
}

/* What the last event gave. */
static void release_last(struct neo_queue *q)
{
    struct neo_queue_call *over = q->over;

    neo_free(q->held);
    q->held = NULL;
    q->over = NULL;
    if (over != NULL)
        dismiss(over);
}

void neo_queue_free(struct neo_queue *q)
{
    if (q == NULL)
        return;
    release_last(q);
    while (!list_is_empty(&q->calls))
        dismiss(neo_owner(q->calls.next, struct neo_queue_call, link));
    unref(q);
}

int neo_queue_fd(const struct neo_queue *q)
{
    return q->fd;
}

/* --- calls ------------------------------------------------------------------------------------ */

static void stand_in_line(struct neo_queue_call *call)
{
    struct neo_queue *q = call->queue;

    (void)pthread_mutex_lock(&q->shared.lock);
    if (!call->dismissed && list_is_empty(&call->line)) {
        if (list_is_empty(&q->shared.line))
            wake_set(q->fd);
        list_push_back(&q->shared.line, &call->line);
    }
    (void)pthread_mutex_unlock(&q->shared.lock);
}

/* On the loop. */
static void on_news(void *self)
{
    stand_in_line(self);
}

enum neo_code neo_queue_start(struct neo_queue *q, struct neo_channel *channel,
                              const struct neo_method *method,
                              const struct neo_call_options *options, const void *request,
                              void *tag, struct neo_queue_call **ret, struct neo_error *err)
{
    struct neo_queue_call *call = neo_alloc(sizeof(*call));
    const struct stream_options o = {
        .channel = channel,
        .method = method,
        .call = options,
        .keep_call = true,
        .keep_response = true,
        .request = request,
        .notify = on_news,
        .gone = call_gone,
        .owner = call,
        .ret = call == NULL ? NULL : &call->stream,
    };

    if (call == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory starting a call");
    list_init(&call->line);
    list_init(&call->link);
    call->queue = q;
    call->tag = tag;
    atomic_fetch_add_explicit(&q->refs, 1, memory_order_relaxed);
    enum neo_code code = stream_begin(&o, err);
    if (code != NEO_OK) {
        call_gone(call);
        return code;
    }
    list_push_back(&q->calls, &call->link);
    *ret = call;
    return NEO_OK;
}

enum neo_flow neo_queue_call_send(struct neo_queue_call *call, const void *request)
{
    struct neo_stream *s = call->stream;
    enum neo_flow flow = NEO_FLOW_GONE;

    if (call->done)
        return flow;
    (void)pthread_mutex_lock(&s->shared.lock);
    if (stream_put_locked(s, request) == NEO_OK) {
        flow = stream_is_full_locked(s) ? NEO_FLOW_FULL : NEO_FLOW_MORE;
        s->shared.wants_room = flow == NEO_FLOW_FULL;
    }
    (void)pthread_mutex_unlock(&s->shared.lock);
    return flow;
}

const char *neo_queue_call_refusal(const struct neo_queue_call *call)
{
    return call->stream->refusal == NULL ? "" : call->stream->refusal;
}

bool neo_queue_call_response(struct neo_queue_call *call, struct neo_arena *arena,
                             struct neo_response_info *ret)
{
    return neo_stream_response(call->stream, arena, ret);
}

void neo_queue_call_close_send(struct neo_queue_call *call)
{
    struct neo_stream *s = call->stream;

    (void)pthread_mutex_lock(&s->shared.lock);
    s->shared.close_send = true;
    stream_poke_locked(s);
    (void)pthread_mutex_unlock(&s->shared.lock);
}

void neo_queue_call_cancel(struct neo_queue_call *call)
{
    neo_stream_cancel(call->stream);
}

/* --- events ----------------------------------------------------------------------------------- */

/* The stream's lock is held. False: it has nothing to tell after all. */
static bool look(struct neo_queue_call *call, struct neo_event *ret)
{
    struct neo_stream *s = call->stream;
    struct queued *message = stream_pop_locked(s);

    *ret = (struct neo_event){.call = call, .tag = call->tag};
    if (message != NULL) {
        call->queue->held = message;
        ret->kind = NEO_EVENT_MESSAGE;
        ret->message = neo_bytes(message->bytes, message->len);
        return true;
    }
    if (s->shared.ended) {
        call->done = true;
        call->queue->over = call;
        ret->kind = NEO_EVENT_DONE;
        ret->status = &s->shared.status;
        return true;
    }
    if (s->shared.wants_room && !stream_is_full_locked(s)) {
        s->shared.wants_room = false;
        ret->kind = NEO_EVENT_WRITABLE;
        return true;
    }
    return false;
}

static struct neo_queue_call *first_in_line(struct neo_queue *q)
{
    (void)pthread_mutex_lock(&q->shared.lock);
    struct list *link = list_pop_front(&q->shared.line);
    if (list_is_empty(&q->shared.line))
        wake_clear(q->fd);
    (void)pthread_mutex_unlock(&q->shared.lock);
    return link == NULL ? NULL : neo_owner(link, struct neo_queue_call, line);
}

bool neo_queue_next(struct neo_queue *q, struct neo_event *ret)
{
    struct neo_queue_call *call;
    bool found = false;

    release_last(q);
    while (!found && (call = first_in_line(q)) != NULL) {
        struct neo_stream *s = call->stream;
        (void)pthread_mutex_lock(&s->shared.lock);
        found = look(call, ret);
        (void)pthread_mutex_unlock(&s->shared.lock);
        if (found && call->done)
            leave_line(call); /* the loop may be about to tell what was found already */
        else if (found)
            stand_in_line(call); /* it may have more */
    }
    return found;
}

enum neo_code neo_event_decode(const struct neo_event *event, void *response,
                               struct neo_arena *arena, struct neo_error *err)
{
    const struct neo_message_info *info = event->call->stream->method->response;
    struct neo_bytes wire = neo_arena_copy(arena, event->message);

    if (neo_arena_failed(arena))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED,
                        STREAM_ARENA_SPENT " (%zu in all; the message has %zu)", arena->budget,
                        event->message.len);
    memset(response, 0, info->size);
    return neo_proto_decode(info, wire, response, arena, err);
}
