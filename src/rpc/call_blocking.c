/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A handler that blocks runs on the pool. What it does to its call is encoded there
 * and carried to the worker by a job, in order. It may run ahead of the peer by one
 * stream's queue; then its next message waits, which is the back-pressure that a
 * thread understands.
 */
#include "rpc/call.h"
#include "rpc/intercept.h"

#include "rpc/record.h"
#include "rpc/share.h"

#include <neo/insecure.h>
#include <neo/memory.h>

#include <assert.h>

enum { AHEAD_MAX = 64 * 1024 };

struct call_blocking {
    struct neo_task task;
    struct neo_timer patience; /* the worker's: it waits no longer for a thread */
    atomic_bool begun;         /* a thread has it; else it may still be taken back */
    bool withdrawn;            /* it was; the worker's */
    struct neo_call *call;
    const void *request;
    struct neo_arena
        arena; /* the handler's; the call's is the worker's, which may end the call meanwhile */
    struct {   /* pool and worker, under `lock` */
        pthread_mutex_t lock;
        pthread_cond_t changed;
        size_t unsent; /* bytes on their way to the worker */
        bool full;     /* the stream's queue is */
        bool over;
    } shared;
};

enum deed { DEED_HEADERS, DEED_REPLY, DEED_SEND, DEED_FINISH };

struct order {
    struct neo_job job;
    struct neo_call *call;
    enum deed deed;
    struct neo_buffer bytes;  /* a message, or a google.rpc.Status */
    struct neo_buffer secret; /* what in the message needs an attested peer */
    bool own_details;         /* which goes out as it is */
};

static bool is_on_worker(const struct neo_call *call)
{
    return neo_loop_is_current(call->worker->loop);
}

bool call_is_elsewhere(const struct neo_call *call)
{
    bool here = is_on_worker(call);

    assert((here || call->blocking != NULL) &&
           "a call belongs to its worker: from another thread use neo_call_run()");
    return !here;
}

struct neo_arena *call_arena_here(const struct neo_call *call)
{
    return call->blocking != NULL && !is_on_worker(call) ? &call->blocking->arena : call->arena;
}

/* --- on the worker ----------------------------------------------------------------------- */

static void note_sent(struct call_blocking *b, size_t len, bool full)
{
    (void)pthread_mutex_lock(&b->shared.lock);
    b->shared.unsent -= len;
    b->shared.full = full;
    (void)pthread_cond_broadcast(&b->shared.changed);
    (void)pthread_mutex_unlock(&b->shared.lock);
}

void call_blocking_wake(struct neo_call *call)
{
    struct call_blocking *b = call->blocking;

    (void)pthread_mutex_lock(&b->shared.lock);
    b->shared.full = false;
    b->shared.over = call->state == CALL_ENDED;
    (void)pthread_cond_broadcast(&b->shared.changed);
    (void)pthread_mutex_unlock(&b->shared.lock);
}

static void finish_as_told(struct neo_call *call, struct neo_bytes wire, bool own_details)
{
    struct neo_bytes copy = neo_arena_copy(call->arena, wire);
    struct neo_status status;

    if (neo_status_decode(copy, call->arena, &status, NULL) != NEO_OK) {
        call_end(call, NEO_REASON_OUT_OF_MEMORY);
        return;
    }
    if (own_details)
        status.details = copy;
    neo_call_finish(call, &status);
}

static enum neo_flow send_as_told(struct neo_call *call, const struct order *order)
{
    if (call_withholds(call, neo_buffer_bytes(&order->secret)) || call->state == CALL_ENDED)
        return NEO_FLOW_GONE;
    if (!intercept_wire(call, neo_buffer_bytes(&order->bytes))) {
        call_end(call, NEO_REASON_OUT_OF_MEMORY); /* what none could see does not leave */
        return NEO_FLOW_GONE;
    }
    return call_send_raw(call, neo_buffer_bytes(&order->bytes));
}

static void obey(struct neo_job *job)
{
    static const struct neo_status ok = {.code = NEO_OK};
    struct order *order = neo_owner(job, struct order, job);
    struct neo_call *call = order->call;
    struct neo_bytes bytes = neo_buffer_bytes(&order->bytes);

    switch (order->deed) {
    case DEED_REPLY:
        if (send_as_told(call, order) != NEO_FLOW_GONE)
            neo_call_finish(call, &ok);
        break;
    case DEED_SEND:
        note_sent(call->blocking, bytes.len, send_as_told(call, order) == NEO_FLOW_FULL);
        break;
    case DEED_FINISH:
        finish_as_told(call, bytes, order->own_details);
        break;
    case DEED_HEADERS:
        neo_call_send_headers(call);
        break;
    }
    neo_buffer_fini(&order->bytes);
    neo_buffer_fini(&order->secret);
    neo_free(order);
    neo_call_unref(call);
}

/* The handler is back. Orders of its own may still be under way: each holds the call. */
static void done(struct neo_job *job)
{
    struct call_blocking *b = neo_owner(job, struct call_blocking, task.job);
    struct neo_call *call = b->call;

    neo_loop_disarm(call->worker->loop, &b->patience);
    if (call->state == CALL_RUNNING && atomic_load(&call->refs) == 2) {
        record_broken(call, "the handler returned without an answer");
        call_end(call, NEO_REASON_HANDLER_BROKEN);
    }
    neo_call_unref(call);
}

/* True: no thread had it yet, and none will; what held the call for it is gone. */
static bool take_back(struct call_blocking *b)
{
    if (atomic_load_explicit(&b->begun, memory_order_relaxed) || !neo_loop_withdraw(&b->task))
        return false;
    b->withdrawn = true;
    neo_loop_disarm(b->call->worker->loop, &b->patience);
    neo_call_unref(b->call);
    return true;
}

bool call_blocking_found_no_thread(const struct neo_call *call)
{
    return call->blocking != NULL && call->blocking->withdrawn;
}

/* A call that waits for a thread when it ends keeps no room from others until there is one. */
void call_blocking_end(struct neo_call *call)
{
    call_blocking_wake(call);
    (void)take_back(call->blocking);
}

/* All threads, or those that its caller may have, are taken, and so they were all the time. */
static void patience_ended(struct neo_timer *timer)
{
    struct call_blocking *b = neo_owner(timer, struct call_blocking, patience);

    if (b->call->state == CALL_RUNNING && take_back(b)) {
        record_no_thread(b->call);
        call_end(b->call, NEO_REASON_OVERLOADED);
    }
}

/* --- on the pool ------------------------------------------------------------------------- */

static void work(struct neo_job *job)
{
    struct call_blocking *b = neo_owner(job, struct call_blocking, task.job);
    const struct method *m = b->call->method;

    atomic_store_explicit(&b->begun, true, memory_order_relaxed);
    if (!neo_call_is_cancelled(b->call))
        m->handler(b->call, b->request, m->self);
}

enum neo_reason call_run_blocking(struct neo_call *call, const void *request)
{
    struct call_blocking *b = neo_arena_calloc(call->arena, 1, sizeof(*b));
    struct neo_server *server = call->worker->server;
    struct neo_loop *loop = call->worker->loop;

    if (b == NULL)
        return NEO_REASON_OUT_OF_MEMORY;
    b->call = neo_call_ref(call);
    b->request = request;
    neo_arena_init(&b->arena, call->arena->budget);
    b->task.work = work;
    b->task.done = done;
    (void)pthread_mutex_init(&b->shared.lock, NULL);
    (void)pthread_cond_init(&b->shared.changed, NULL);
    (void)neo_call_peer(call); /* while the connection is there */
    (void)neo_call_foreign_certificate(call);
    call->blocking = b;
    b->patience.expired = patience_ended;
    if (server->options.max_blocking_wait != NEO_FOREVER)
        neo_loop_arm(loop, &b->patience, neo_loop_now(loop) + server->options.max_blocking_wait);
    bool entered = neo_loop_offload_in(loop, call->peer->share->blocking, &b->task);
    assert(entered); /* its queue has no end: max_in_flight is before it */
    (void)entered;
    return NEO_REASON_NONE;
}

void call_blocking_fini(struct neo_call *call)
{
    neo_arena_fini(&call->blocking->arena);
    (void)pthread_cond_destroy(&call->blocking->shared.changed);
    (void)pthread_mutex_destroy(&call->blocking->shared.lock);
}

/* NULL when out of memory. */
static struct order *new_order(struct neo_call *call, enum deed deed)
{
    struct order *order = neo_alloc(sizeof(*order));

    if (order == NULL)
        return NULL;
    order->job.run = obey;
    order->call = neo_call_ref(call);
    order->deed = deed;
    return order;
}

static void drop_order(struct order *order)
{
    neo_call_unref(order->call);
    neo_buffer_fini(&order->bytes);
    neo_buffer_fini(&order->secret);
    neo_free(order);
}

static void post(struct order *order)
{
    neo_loop_post(order->call->worker->loop, &order->job);
}

/* NULL, with the reason in the log, when the response cannot be encoded. */
static struct order *encode(struct neo_call *call, enum deed deed, const void *response)
{
    struct order *order = new_order(call, deed);
    struct neo_error err = {0};

    if (order == NULL)
        return NULL;
    if (neo_proto_encode(call->method->info->response, response, &order->bytes, &err) == NEO_OK &&
        (neo_proto_check_open(call->method->info->response, response, &err) == NEO_OK ||
         neo_buffer_append_text(&order->secret, err.message)))
        return order;
    neo_log_error(call->worker->server->options.log, "call.bad_response",
                  NEO_BYTES("method", call->method->path), NEO_STR("error", err.message));
    drop_order(order);
    return NULL;
}

static void post_failure(struct neo_call *call)
{
    static const struct neo_status broken = {
        .code = NEO_INTERNAL,
        .message = {(const uint8_t *)"the handler failed", sizeof("the handler failed") - 1},
        .reason = {(const uint8_t *)"HANDLER_BROKEN", sizeof("HANDLER_BROKEN") - 1},
    };

    call_post_finish(call, &broken);
}

void call_post_reply(struct neo_call *call, const void *response)
{
    struct order *order = encode(call, DEED_REPLY, response);

    if (order == NULL)
        post_failure(call);
    else
        post(order);
}

void call_post_headers(struct neo_call *call)
{
    struct order *order = new_order(call, DEED_HEADERS);

    if (order != NULL)
        post(order);
}

/* Out of memory here, the call ends when the handler returns: done(). */
void call_post_finish(struct neo_call *call, const struct neo_status *status)
{
    struct order *order = new_order(call, DEED_FINISH);
    struct neo_status said = *status;

    if (order == NULL)
        return;
    if (status->more_details.len > 0) { /* what neo_call_finish() would say, before it is encoded */
        said.processed = true;
        if (said.reason.len == 0)
            said.reason = neo_text(neo_reason_name(NEO_REASON_APPLICATION));
    }
    order->own_details = status->details.len > 0 || status->more_details.len > 0;
    if (neo_status_encode(&said, &order->bytes))
        post(order);
    else
        drop_order(order);
}

/* Waits for room. False when the call is over. */
static bool wait_for_room(struct call_blocking *b, size_t len)
{
    (void)pthread_mutex_lock(&b->shared.lock);
    while (!b->shared.over && (b->shared.full || b->shared.unsent > AHEAD_MAX))
        (void)pthread_cond_wait(&b->shared.changed, &b->shared.lock);
    bool over = b->shared.over;
    if (!over)
        b->shared.unsent += len;
    (void)pthread_mutex_unlock(&b->shared.lock);
    return !over;
}

enum neo_flow call_post_send(struct neo_call *call, const void *response)
{
    struct order *order = encode(call, DEED_SEND, response);

    if (order == NULL) {
        post_failure(call);
        return NEO_FLOW_GONE;
    }
    if (!wait_for_room(call->blocking, order->bytes.len)) {
        drop_order(order);
        return NEO_FLOW_GONE;
    }
    post(order);
    return NEO_FLOW_MORE;
}
