/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/call.h"

#include "base/buffer_take.h"
#include "codec/proto.h"
#include "rpc/holding.h"
#include "rpc/intercept.h"
#include "rpc/metadata.h"
#include "rpc/method_gate.h"
#include "rpc/record.h"
#include "rpc/share.h"
#include "rpc/wire.h"

#include <neo/memory.h>

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#define REQUEST_PATIENCE   (15 * NEO_NSEC_PER_SEC)
#define BUSY_LINE_PATIENCE (60 * NEO_NSEC_PER_SEC) /* its connection brings other requests */

enum {
    POOL_MAX = 256,
    FAIL_TEXT_MAX = 1100, /* more than is shown, so that the cut shows */
    ENCODED_KEPT = 256 * 1024,
};

/* --- life -------------------------------------------------------------------------------- */

static void on_deadline(struct neo_timer *timer)
{
    struct neo_call *call = neo_owner(timer, struct neo_call, deadline);

    if (call->state == CALL_RUNNING && call->events == NULL && call->blocking == NULL)
        record_unanswered(call);
    call_end(call, NEO_REASON_DEADLINE_PASSED);
}

static void on_release(struct neo_job *job);

struct neo_call *call_new(struct peer *p, struct h2_stream *s)
{
    struct worker *w = p->worker;
    struct list *link = list_pop_front(&w->idle_calls);
    struct neo_call *call =
        link != NULL ? neo_owner(link, struct neo_call, link) : neo_alloc(sizeof(struct neo_call));

    if (call == NULL)
        return NULL;
    w->n_idle_calls -= link != NULL;
    memset(call, 0, offsetof(struct neo_call, limit));
    call->peer = peer_ref(p);
    call->worker = w;
    call->stream = s;
    call->arena = s->arena;
    call->request_headers = s->headers;
    atomic_init(&call->refs, 1);
    call->arrived = call->heard_at = neo_loop_now(w->loop);
    call->deadline.expired = on_deadline;
    call->reader.max = w->server->options.max_message;
    call->release.run = on_release;
    list_init(&call->held);
    list_push_back(&p->calls, &call->link);
    s->user = call;
    w->n_calls++;
    stat_add(&w->stats.calls, 1);
    stat_add(&w->stats.started, 1);
    atomic_store_explicit(&w->stats.last_call, call->arrived, memory_order_relaxed);
    p->counts.started++;
    p->counts.last_stream = call->arrived;
    peer_note_busy(p);
    return call;
}

/* Neither stream nor holder is left. */
static void recycle(struct neo_call *call)
{
    struct worker *w = call->worker;

    if (call->blocking != NULL)
        call_blocking_fini(call);
    neo_cert_unref(call->foreign);
    frame_reader_fini(&call->reader);
    neo_buffer_fini(&call->body);
    h2_kept_free(call->kept);
    holding_end(call);
    peer_unref(call->peer);
    w->n_calls--;
    stat_add(&w->stats.calls, -1);
    if (w->n_idle_calls >= POOL_MAX) {
        neo_free(call);
        return;
    }
    list_push_front(&w->idle_calls, &call->link);
    w->n_idle_calls++;
}

void call_enter(struct neo_call *call)
{
    call->entered = true;
    call->peer->n_running++;
    call->peer->share->running++;
}

/* Nobody holds it: whatever ran for it has ended. */
static void rest(struct neo_call *call)
{
    struct worker *w = call->worker;
    bool entered = call->entered;

    assert(call->state == CALL_ENDED && !call->rested);
    call->rested = true;
    if (entered) {
        call->entered = false;
        call->peer->n_running--;
        call->peer->share->running--;
        neo_admission_leave(&w->admission);
    }
    if (call->gate != GATE_OUTSIDE) /* before the call is gone: who sees none left frees workers */
        method_gate_leave(call);
    if (call->stream == NULL)
        recycle(call);
    if (entered)
        worker_admit(w);
}

static void on_release(struct neo_job *job)
{
    rest(neo_owner(job, struct neo_call, release));
}

struct neo_call *neo_call_ref(struct neo_call *call)
{
    atomic_fetch_add_explicit(&call->refs, 1, memory_order_relaxed);
    return call;
}

/* The last holder is alone with the call, and most often its only one ever. */
void neo_call_unref(struct neo_call *call)
{
    if (atomic_load_explicit(&call->refs, memory_order_acquire) != 1 &&
        atomic_fetch_sub_explicit(&call->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (neo_loop_is_current(call->worker->loop))
        rest(call);
    else
        neo_loop_post(call->worker->loop, &call->release);
}

void neo_call_run(struct neo_call *call, struct neo_job *job)
{
    neo_loop_post(call->worker->loop, job);
}

void call_closed(struct neo_call *call)
{
    struct peer *p = call->peer;

    if (call->state != CALL_ENDED)
        call_end(call, NEO_REASON_CALL_CANCELLED);
    list_remove(&call->link);
    peer_note_idle(p);
    if (!call->rested)
        call->kept = h2_keep(call->stream);
    call->stream = NULL;
    if (call->rested)
        recycle(call);
}

/* --- the end ----------------------------------------------------------------------------- */

static void count_end(struct neo_call *call)
{
    struct worker *w = call->worker;
    bool ok = call->code == NEO_OK;

    if (!w->server->options.channelz)
        return;
    /* Of a stream it is success that it has ended as it should, whatever it said. */
    bool told = call->stream != NULL && call->stream->local_ended;
    *(told ? &call->peer->counts.succeeded : &call->peer->counts.failed) += 1;
    stat_add(ok ? &w->stats.succeeded : &w->stats.failed, 1);
}

/* It runs no more: the handler hears of it, once, and lets go. */
static void conclude(struct neo_call *call, const struct neo_status *status)
{
    struct worker *w = call->worker;
    const struct neo_stream_events *events = call->events;

    if (call->state == CALL_WAITING)
        neo_admission_cancel(&w->admission, &call->ticket);
    if (call->gate == GATE_WAITS)
        method_gate_leave(call);
    list_remove(&call->held);
    call->state = CALL_ENDED;
    call->code = status->code;
    neo_loop_disarm(w->loop, &call->deadline);
    pipeline_end(call);
    count_end(call);
    atomic_store_explicit(&call->cancelled, true, memory_order_relaxed);
    if (call->blocking != NULL)
        call_blocking_end(call);
    if (call->intercepted > 0)
        intercept_end(call, status);
    if (events != NULL && events->done != NULL) {
        call->status = *status;
        events->done(call, &call->status, call->events_state);
    }
    neo_call_unref(call);
}

static void send_status(struct neo_call *call, const struct neo_status *status)
{
    struct h2 *h2 = conn_h2(call->peer->conn);
    bool plain = status->code == NEO_OK && call->headers_sent && call->trailers.n == 0;
    enum neo_code code = plain ? h2_send_trailers(h2, call->stream, &h2_status_ok, 1, NULL)
                               : call_answer_status(call, status);

    if (code != NEO_OK)
        h2_reset(h2, call->stream, H2_INTERNAL_ERROR, false);
    conn_kick(call->peer->conn);
}

static bool can_send(const struct neo_call *call)
{
    return call->state != CALL_ENDED && call->stream != NULL && conn_h2(call->peer->conn) != NULL;
}

void call_finish(struct neo_call *call, const struct neo_status *status)
{
    if (call->state == CALL_ENDED)
        return;
    if (can_send(call))
        send_status(call, status);
    conclude(call, status);
}

/* What the fixed text of a reason says; whether it ran is known from the state. */
static struct neo_status status_of(const struct neo_call *call, enum neo_reason reason)
{
    return (struct neo_status){
        .code = neo_reason_code(reason),
        .message = neo_text(neo_reason_text(reason)),
        .reason = neo_text(neo_reason_name(reason)),
        .decision_id = neo_text(call->decision.text),
        .processed = call->state == CALL_RUNNING && !call_blocking_found_no_thread(call),
    };
}

void call_end(struct neo_call *call, enum neo_reason reason)
{
    if (call->state == CALL_ENDED)
        return;

    struct neo_status status = status_of(call, reason);
    /* From inside `closed` there is no one to tell any more. */
    if (reason == NEO_REASON_CALL_CANCELLED)
        conclude(call, &status);
    else
        call_finish(call, &status);
}

void call_end_with(struct neo_call *call, enum neo_reason reason, const char *text)
{
    struct neo_status status = status_of(call, reason);
    struct neo_bytes copy = neo_arena_copy(call->arena, neo_text(text));

    if (copy.len > 0)
        status.message = copy;
    call_finish(call, &status);
}

static void deny(struct neo_call *call, enum neo_reason reason)
{
    record_denied(call, "update", reason, NULL);
    call_end(call, reason);
}

void call_judge(struct neo_call *call)
{
    if (call->state == CALL_ENDED || call->method->raw != NULL)
        return;

    bool attested = peer_is_attested(call->peer, neo_loop_now(call->worker->loop));
    bool was_open = call->answer.verdict == NEO_DENY; /* builtin, let in by default */
    call->answer = pipeline_decide(call, attested);
    if (call->answer.verdict == NEO_DENY && !(was_open && call->answer.by_default))
        deny(call, NEO_REASON_POLICY_CHANGED);
    else if (call->peer->must_attest && !attested)
        deny(call, NEO_REASON_ATTESTATION_REQUIRED);
}

void call_judge_attestation(struct neo_call *call)
{
    if (call->state == CALL_ENDED || call->method->raw != NULL)
        return;
    if (call->peer->must_attest || pipeline_decide(call, false).verdict == NEO_DENY)
        deny(call, NEO_REASON_ATTESTATION_EXPIRED);
}

static bool is_stalled(const struct neo_call *call, neo_nsec now)
{
    bool line_moves = now - call->peer->heard_at < REQUEST_PATIENCE;

    if (call->is_full) /* we give it no credit; whether it reads at all, max_stall judges */
        return false;
    if (!list_is_empty(&call->held))
        return now - call->heard_at >= 2 * REQUEST_PATIENCE;
    return (call->state == CALL_REQUEST || frame_is_partial(&call->reader)) &&
           now - call->heard_at >= (line_moves ? BUSY_LINE_PATIENCE : REQUEST_PATIENCE);
}

/*
 * A stream of requests may pause between messages, but not within one. And who takes so little of
 * what it asked for that a call cannot begin is not waited for either.
 */
void call_check_stalled(struct neo_call *call, neo_nsec now)
{
    if (call->state != CALL_ENDED && is_stalled(call, now)) {
        record_stalled(call->peer);
        call_end(call, NEO_REASON_CALL_STALLED);
    }
}

void call_admitted(struct neo_call *call, enum neo_admission_verdict verdict)
{
    switch (verdict) {
    case NEO_ADMISSION_RUN:
        call_enter(call);
        pipeline_resume(call, NEO_REASON_NONE);
        return;
    case NEO_ADMISSION_SHED_LATE:
        pipeline_resume(call, NEO_REASON_DEADLINE_PASSED);
        return;
    case NEO_ADMISSION_WAIT:
    case NEO_ADMISSION_SHED_FULL:
        pipeline_resume(call, NEO_REASON_OVERLOADED);
        return;
    }
}

/* --- answering --------------------------------------------------------------------------- */

static bool send_headers(struct neo_call *call)
{
    if (call->headers_sent)
        return true;
    if (!metadata_is_usual(call))
        return call_answer_headers(call);
    call->headers_sent = h2_respond(conn_h2(call->peer->conn), call->stream, 200, &h2_type_grpc, 1,
                                    false, NULL) == NEO_OK;
    return call->headers_sent;
}

/* What lies in `out` behind `from`. False when out of memory. */
static bool send_framed(struct neo_call *call, struct neo_buffer *out, size_t from)
{
    struct channelz_counts *counts = &call->peer->counts;

    counts->sent++;
    counts->last_sent = neo_loop_now(call->worker->loop);
    call->answered = true;
    return send_headers(call) &&
           h2_send_exchange(conn_h2(call->peer->conn), call->stream, out, from);
}

/* The worker's buffer, with room for a prefix; not for ever as large as the largest message. */
static struct neo_buffer *message_buffer(struct worker *w)
{
    if (w->encoded.cap > ENCODED_KEPT)
        neo_buffer_fini(&w->encoded);
    neo_buffer_clear(&w->encoded);
    if (buffer_take(&w->encoded, FRAME_PREFIX_LEN) == NULL)
        return NULL;
    w->encoded.len = FRAME_PREFIX_LEN;
    return &w->encoded;
}

/* The encoder leaves it at the end of the room; there was space for the prefix in front of that. */
static enum neo_reason encode(struct neo_call *call, const void *message, struct neo_buffer *out,
                              size_t *ret_from)
{
    struct neo_bytes wire;
    struct neo_error err = {0};

    switch ((int)proto_encode_at_end(call->method->info->response, message, out, &wire, &err)) {
    case NEO_OK:
        *ret_from = wire.len == 0 ? 0 : (size_t)(wire.at - out->at) - FRAME_PREFIX_LEN;
        out->len = *ret_from + FRAME_PREFIX_LEN + wire.len;
        frame_prefix(out->at + *ret_from, wire.len);
        if (call->compressing && frame_compress(out, *ret_from, &err) != NEO_OK)
            return NEO_REASON_OUT_OF_MEMORY;
        return NEO_REASON_NONE;
    case NEO_RESOURCE_EXHAUSTED:
        return NEO_REASON_OUT_OF_MEMORY;
    default:
        neo_log_error(call->worker->server->options.log, "call.bad_response",
                      NEO_BYTES("method", call->method->path), NEO_STR("error", err.message));
        return NEO_REASON_HANDLER_BROKEN;
    }
}

bool call_withholds(struct neo_call *call, struct neo_bytes why)
{
    struct neo_status status = {
        .code = NEO_FAILED_PRECONDITION,
        .reason = NEO_LIT("ATTESTATION_REQUIRED"),
        .processed = true,
    };

    if (why.len == 0 || !can_send(call) ||
        peer_is_attested(call->peer, neo_loop_now(call->worker->loop)))
        return false;
    neo_log_error(call->worker->server->options.log, "call.secret_withheld",
                  NEO_BYTES("method", call->method->path), NEO_BYTES("error", why));
    status.message = neo_arena_copy(call->arena, why);
    call_finish(call, &status);
    return true;
}

/* False when that failed: then the call has ended. */
static bool send_message(struct neo_call *call, const void *message)
{
    struct neo_error secret;

    if (neo_proto_check_open(call->method->info->response, message, &secret) != NEO_OK &&
        call_withholds(call, neo_text(secret.message)))
        return false;
    if (intercept_sees(call))
        intercept_message(call, false, message);
    struct neo_buffer *out = message_buffer(call->worker);
    enum neo_reason reason = NEO_REASON_OUT_OF_MEMORY;
    size_t from = 0;

    if (out != NULL)
        reason = encode(call, message, out, &from);
    if (reason == NEO_REASON_NONE && !send_framed(call, out, from))
        reason = NEO_REASON_OUT_OF_MEMORY;
    if (reason != NEO_REASON_NONE)
        call_end(call, reason);
    return reason == NEO_REASON_NONE;
}

void neo_call_send_headers(struct neo_call *call)
{
    if (call_is_elsewhere(call))
        call_post_headers(call);
    else if (can_send(call) && send_headers(call))
        conn_kick(call->peer->conn);
}

static const struct neo_status ok = {.code = NEO_OK, .processed = true};

void neo_call_reply(struct neo_call *call, const void *response)
{
    if (call_is_elsewhere(call)) {
        call_post_reply(call, response);
        return;
    }
    if (can_send(call) && send_message(call, response))
        call_finish(call, &ok);
}

/* Whether the sender should wait is for the stream's queue to say. */
static enum neo_flow flow_of(struct neo_call *call)
{
    conn_kick(call->peer->conn);
    call->is_full = !h2_send(conn_h2(call->peer->conn), call->stream, (struct neo_bytes){0});
    return call->is_full ? NEO_FLOW_FULL : NEO_FLOW_MORE;
}

enum neo_flow neo_call_send(struct neo_call *call, const void *response)
{
    if (call_is_elsewhere(call))
        return call_post_send(call, response);
    if (!can_send(call) || !send_message(call, response))
        return NEO_FLOW_GONE;
    return flow_of(call);
}

enum neo_flow call_send_raw(struct neo_call *call, struct neo_bytes message)
{
    struct neo_buffer *out = can_send(call) ? message_buffer(call->worker) : NULL;

    if (out == NULL || !neo_buffer_append(out, message))
        return NEO_FLOW_GONE;
    frame_prefix(out->at, message.len);
    return send_framed(call, out, 0) ? flow_of(call) : NEO_FLOW_GONE;
}

/* A handler that says OK and has not answered: the caller would be told that it succeeded. */
static bool lacks_response(const struct neo_call *call, enum neo_code code)
{
    return code == NEO_OK && !call->answered && call->state != CALL_ENDED &&
           (call->method->info->kind & NEO_SERVER_STREAM) == 0;
}

__attribute__((cold)) static void end_broken(struct neo_call *call, const char *how)
{
    record_broken(call, how);
    call_end_with(call, NEO_REASON_HANDLER_BROKEN, how);
}

void neo_call_finish(struct neo_call *call, const struct neo_status *status)
{
    struct neo_status said = *status;

    if (call_is_elsewhere(call)) {
        call_post_finish(call, status);
        return;
    }
    if (lacks_response(call, said.code)) {
        end_broken(call, "the handler finished with OK and sent no response");
        return;
    }
    said.processed = true;
    if (said.code != NEO_OK && said.reason.len == 0)
        said.reason = neo_text(neo_reason_name(NEO_REASON_APPLICATION));
    call_finish(call, &said);
}

void neo_call_fail(struct neo_call *call, enum neo_code code, const char *format, ...)
{
    char text[FAIL_TEXT_MAX];
    va_list args;

    va_start(args, format);
    int len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (len < 0)
        text[0] = '\0';

    bool here = !call_is_elsewhere(call);
    bool ok_said = code == NEO_OK; /* the one thing that a failure is not */
    if (ok_said) {
        if (here)
            record_broken(call, "neo_call_fail() with OK");
        else
            neo_log_warn(call->worker->server->options.log, "call.handler_broken",
                         NEO_BYTES("method", call->method->path),
                         NEO_STR("why", "neo_call_fail() with OK"));
        code = NEO_INTERNAL;
    }
    struct neo_bytes message = here ? neo_arena_copy(call->arena, neo_text(text)) : neo_text(text);
    struct neo_status status = {.code = code, .message = message};
    if (ok_said)
        status.reason = neo_text(neo_reason_name(NEO_REASON_HANDLER_BROKEN));
    neo_call_finish(call, &status);
}

/* --- looking at it ----------------------------------------------------------------------- */

const struct neo_context *neo_call_context(const struct neo_call *call)
{
    return &call->context;
}

const struct neo_method *neo_call_method(const struct neo_call *call)
{
    return call->method->info;
}

struct neo_arena *neo_call_arena(struct neo_call *call)
{
    return call_arena_here(call);
}

struct neo_loop *neo_call_loop(const struct neo_call *call)
{
    return call->worker->loop;
}

bool neo_call_is_cancelled(const struct neo_call *call)
{
    return atomic_load_explicit(&call->cancelled, memory_order_relaxed);
}

void neo_call_on_stream(struct neo_call *call, const struct neo_stream_events *events, void *state)
{
    call->events = events;
    call->events_state = state;
}
