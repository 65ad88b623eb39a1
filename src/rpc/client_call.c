/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One call and its attempts.
 *
 * What was sent is kept until the first response header says that the server has
 * begun (gRFC A6: committed), or until it grows too large; until then a failed
 * attempt may be tried again: at once when the request never reached a handler,
 * after a backoff when the policy names the code. Under the default policy only
 * what cannot run twice is retried: idempotent methods, and calls that the server
 * says it refused before its handler ran.
 *
 * `done` comes exactly once and never from inside neo_channel_start(): at once when
 * we are inside an event of the connection, else from the channel's `later` timer.
 */
#include "rpc/channel_internal.h"
#include "rpc/wire.h"

#include <neo/digest.h>
#include <neo/memory.h>

enum {
    REPLAY_LIMIT = 256 * 1024, /* kept for a retry, per call */
    SEND_MARK = 64 * 1024,     /* queued before a connection is there */
    TRANSPARENT_MAX = 3,
};

/* --- the end -------------------------------------------------------------------------------------
 */

static void detach_attempt(struct neo_client_call *call)
{
    struct call_attempt *a = &call->attempt;

    if (a->stream != NULL)
        a->stream->user = NULL;
    frame_reader_fini(&a->reader);
    if (a->sc != NULL) {
        struct sub_conn *sc = a->sc;
        *a = (struct call_attempt){0};
        sub_conn_call_ended(sc);
    } else {
        *a = (struct call_attempt){0};
    }
}

static enum neo_breaker_outcome outcome_of(enum neo_code code)
{
    if (code == NEO_UNAVAILABLE || code == NEO_DEADLINE_EXCEEDED || code == NEO_INTERNAL)
        return NEO_BREAKER_FAILURE;
    return code == NEO_CANCELLED ? NEO_BREAKER_UNKNOWN : NEO_BREAKER_SUCCESS;
}

static void report_outcome(struct neo_client_call *call, enum neo_code code)
{
    struct call_attempt *a = &call->attempt;

    if (a->sc != NULL)
        neo_breaker_leave(&a->sc->sub->breaker, a->permit, outcome_of(code),
                          neo_loop_now(call->channel->loop));
}

/* Response metadata outlives the stream it came on. */
static void keep_metadata(struct neo_client_call *call, struct h2_stream *s)
{
    size_t n = s->headers.len + s->trailers.len;

    if (n == 0 || call->response != NULL)
        return;
    call->response = neo_arena_calloc(&call->arena, n, sizeof(*call->response));
    if (call->response == NULL)
        return;
    for (size_t i = 0; i < n; i++) {
        const struct h2_header *h =
            i < s->headers.len ? &s->headers.at[i] : &s->trailers.at[i - s->headers.len];
        call->response[i].name = neo_arena_copy(&call->arena, h->name);
        call->response[i].value = neo_arena_copy(&call->arena, h->value);
    }
    call->n_response = n;
    call->n_response_headers = call->attempt.got_headers ? s->headers.len : 0;
}

static struct neo_status copy_status(struct neo_client_call *call, const struct neo_status *s)
{
    struct neo_status copy = *s;
    struct neo_pair *pairs = NULL;

    copy.message = neo_arena_copy(&call->arena, s->message);
    copy.reason = neo_arena_copy(&call->arena, s->reason);
    copy.decision_id = neo_arena_copy(&call->arena, s->decision_id);
    copy.bucket = neo_arena_copy(&call->arena, s->bucket);
    copy.service = neo_arena_copy(&call->arena, s->service);
    copy.required_permission = neo_arena_copy(&call->arena, s->required_permission);
    copy.resource = neo_arena_copy(&call->arena, s->resource);
    copy.details = neo_arena_copy(&call->arena, s->details);
    if (s->n_metadata > 0)
        pairs = neo_arena_calloc(&call->arena, s->n_metadata, sizeof(*pairs));
    copy.n_metadata = pairs == NULL ? 0 : s->n_metadata;
    for (size_t i = 0; i < copy.n_metadata; i++) {
        pairs[i].key = neo_arena_copy(&call->arena, s->metadata[i].key);
        pairs[i].value = neo_arena_copy(&call->arena, s->metadata[i].value);
    }
    copy.metadata = pairs;
    return copy;
}

void client_call_end(struct neo_client_call *call, const struct neo_status *status)
{
    struct neo_channel *channel = call->channel;

    if (call->over)
        return;
    call->over = true;
    neo_loop_disarm(channel->loop, &call->deadline);
    neo_loop_disarm(channel->loop, &call->retry);
    report_outcome(call, status->code);
    call->status = copy_status(call, status);

    struct call_attempt *a = &call->attempt;
    if (a->stream != NULL) {
        keep_metadata(call, a->stream);
        if (!a->ended) {
            /* Ours to end: the server hears of it. */
            h2_reset(conn_h2(a->sc->conn), a->stream, H2_CANCEL, false);
            conn_kick(a->sc->conn);
        }
    }
    list_remove(&call->waiting);
    detach_attempt(call);
    list_push_back(&channel->ended, &call->waiting);
    if (channel->in_events == 0 || call->starting)
        channel_later(channel);
    else
        client_call_done(call);
}

void client_call_done(struct neo_client_call *call)
{
    struct neo_channel *channel = call->channel;

    list_remove(&call->waiting);
    list_remove(&call->link);
    if (channel->metrics.calls != NULL)
        neo_counter_add(
            neo_counter(channel->metrics.calls,
                        (struct neo_bytes[]){neo_text(call->method->service),
                                             neo_text(call->method->name),
                                             neo_text(neo_code_name(call->status.code))}),
            1);
    call->events->done(call, &call->status, call->self);
    client_call_free(call);
}

enum { IDLE_CALLS_KEPT = 256 };

void client_call_free(struct neo_client_call *call)
{
    struct neo_channel *channel = call->channel;

    list_remove(&call->link);
    list_remove(&call->waiting);
    neo_buffer_fini(&call->sent);
    neo_arena_fini(&call->arena);
    neo_arena_fini(&call->message_arena);
    if (channel->n_idle_calls < IDLE_CALLS_KEPT) {
        channel->n_idle_calls++;
        list_push_front(&channel->idle_calls, &call->link);
        return;
    }
    neo_free(call);
}

/* --- retries ---------------------------------------------------------------------------------- */

/* grpc-retry-pushback-ms: *ret_wait when it names a wait; false when it forbids a retry. */
static bool read_pushback(struct h2_headers trailers, bool *ret_given, neo_nsec *ret_wait)
{
    struct neo_bytes text = wire_header(trailers, "grpc-retry-pushback-ms");
    uint64_t ms = 0;

    *ret_given = text.at != NULL;
    if (!*ret_given)
        return true;
    if (text.len == 0 || text.len > 9)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return false;
        ms = ms * 10 + (uint64_t)(text.at[i] - '0');
    }
    if (ms > 60000)
        ms = 60000;
    *ret_wait = ms * NEO_NSEC_PER_MSEC;
    return true;
}

static bool is_retryable(const struct neo_client_call *call, const struct neo_status *status,
                         bool pushed_back)
{
    const struct retry_policy *p = &call->config->retry;

    if (!call->config->has_retry || call->attempts >= p->max_attempts)
        return false;
    /* A limit that says when to come back is asking for it. */
    if (status->code == NEO_RESOURCE_EXHAUSTED && pushed_back && !status->processed)
        return true;
    if ((p->retryable & 1u << status->code) == 0)
        return false;
    return !p->only_safe || call->method->idempotent || !status->processed;
}

static void arm_retry(struct neo_client_call *call, bool pushed_back, neo_nsec wait)
{
    const struct retry_policy *p = &call->config->retry;
    struct neo_backoff backoff = {
        .initial = p->initial_backoff,
        .max = p->max_backoff > p->initial_backoff ? p->max_backoff : p->initial_backoff,
        .multiplier = p->multiplier_percent > 100 ? p->multiplier_percent / 100.0 : 1,
        .jitter = 0.2,
    };
    uint64_t random;

    if (pushed_back) {
        call->backoffs = 0; /* A6: after a pushback the series begins anew */
    } else {
        neo_random(&random, sizeof(random));
        wait = neo_backoff_wait(&backoff, ++call->backoffs, random);
    }
    neo_loop_arm(call->channel->loop, &call->retry, neo_loop_now(call->channel->loop) + wait);
}

static bool deadline_leaves(const struct neo_client_call *call, neo_nsec wait)
{
    return call->context.deadline == 0 ||
           neo_loop_now(call->channel->loop) + wait < call->context.deadline;
}

/* True when another attempt will be made. */
static bool try_again(struct neo_client_call *call, const struct neo_status *status,
                      struct h2_headers trailers)
{
    struct neo_channel *channel = call->channel;
    bool pushed_back;
    neo_nsec wait = 0;

    if (call->attempt.got_headers || !call->replayable || channel->closing)
        return false;
    bool may = read_pushback(trailers, &pushed_back, &wait);
    bool wanted = is_retryable(call, status, pushed_back);
    if (wanted || (pushed_back && !may))
        neo_retry_budget_failure(&channel->budget);
    if (!may || !wanted || !deadline_leaves(call, wait) ||
        !neo_retry_budget_take(&channel->budget, neo_loop_now(channel->loop)))
        return false;
    report_outcome(call, status->code);
    detach_attempt(call);
    if (channel->metrics.retries != NULL)
        neo_counter_add(neo_counter(channel->metrics.retries,
                                    (struct neo_bytes[]){neo_text(call->method->service),
                                                         neo_text(call->method->name)}),
                        1);
    arm_retry(call, pushed_back, wait);
    return true;
}

/* The request never reached a handler: again at once, on whatever is ready. */
static bool try_transparently(struct neo_client_call *call)
{
    if (!call->replayable || call->transparent_retries >= TRANSPARENT_MAX ||
        call->attempt.got_headers || call->channel->closing)
        return false;
    call->transparent_retries++;
    call->attempts--;
    report_outcome(call, NEO_CANCELLED);
    detach_attempt(call);
    neo_loop_arm(call->channel->loop, &call->retry, neo_loop_now(call->channel->loop));
    return true;
}

static void attempt_ended(struct neo_client_call *call, const struct neo_status *status,
                          struct h2_headers trailers)
{
    call->attempt.ended = true;
    if (status->code == NEO_OK)
        neo_retry_budget_success(&call->channel->budget);
    else if (try_again(call, status, trailers))
        return;
    client_call_end(call, status);
}

/* --- events of the stream --------------------------------------------------------------------- */

static void fail_stream(struct neo_client_call *call, enum neo_code code, const char *text)
{
    struct neo_status status = neo_status_of(code, text);

    client_call_end(call, &status);
}

void client_call_headers(struct neo_client_call *call, struct h2_stream *s, bool end_stream)
{
    if (end_stream) {
        struct neo_status status = wire_status_read(s->headers, s->status, s->arena);
        attempt_ended(call, &status, s->headers);
        return;
    }
    struct neo_bytes type = wire_header(s->headers, "content-type");
    if (s->status != 200 || !neo_bytes_starts(type, NEO_LIT("application/grpc"))) {
        struct neo_status status = wire_status_read((struct h2_headers){0}, s->status, s->arena);
        client_call_end(call, &status);
        return;
    }
    call->attempt.got_headers = true;
    call->replayable = false;
    if (call->send_closed && call->attempt.stream != NULL)
        neo_buffer_fini(&call->sent);
    if (call->events->headers != NULL)
        call->events->headers(call, call->self);
}

/* False: the reader holds back the `used` bytes this message took from the window. */
static bool deliver(struct neo_client_call *call, struct neo_bytes wire, size_t used)
{
    struct neo_arena *arena = &call->message_arena;
    struct neo_error err = {.message = "out of memory"};

    if ((call->method->kind & NEO_SERVER_STREAM) == 0 && call->attempt.got_message) {
        fail_stream(call, NEO_UNIMPLEMENTED, "the server sent more than one response");
        return false;
    }
    call->attempt.got_message = true;
    if (call->raw != NULL)
        return call->raw(call, wire, used, call->self);

    neo_arena_reset(arena);
    void *message = neo_arena_calloc(arena, 1, call->method->response->size);
    if (message == NULL ||
        neo_proto_decode(call->method->response, wire, message, arena, &err) != NEO_OK) {
        fail_stream(call, NEO_INTERNAL, err.message);
        return false;
    }
    call->events->message(call, message, call->self);
    return true;
}

void client_call_data(struct neo_client_call *call, struct h2_stream *s, struct neo_bytes bytes)
{
    struct h2 *h2 = conn_h2(call->attempt.sc->conn);
    struct neo_bytes message;
    struct neo_error err;
    size_t len = bytes.len;
    size_t held = 0;

    while (s->user == call) {
        size_t before = bytes.len;
        enum frame_result result = frame_read(&call->attempt.reader, &bytes, &message, &err);
        if (result == FRAME_MORE)
            break;
        if (result == FRAME_BAD) {
            fail_stream(call, err.code == NEO_UNIMPLEMENTED ? NEO_INTERNAL : err.code, err.message);
            break;
        }
        size_t used = before - bytes.len;
        if (!deliver(call, message, used))
            held += used;
    }
    /* What a raw reader holds back it credits later: client_call_consume(). */
    h2_consume(h2, s, s->user == call ? len - held : len);
}

void client_call_trailers(struct neo_client_call *call, struct h2_stream *s)
{
    struct neo_status status = wire_status_read(s->trailers, s->status, s->arena);

    if (status.code == NEO_OK &&
        (frame_is_partial(&call->attempt.reader) ||
         ((call->method->kind & NEO_SERVER_STREAM) == 0 && !call->attempt.got_message))) {
        status = neo_status_of(NEO_INTERNAL, "the response ended before its message");
        call->attempt.ended = true;
    }
    attempt_ended(call, &status, s->trailers);
}

void client_call_stream_ended(struct neo_client_call *call, struct h2_stream *s)
{
    struct neo_status status = neo_status_of(NEO_INTERNAL, "the stream ended without a status");

    (void)s;
    attempt_ended(call, &status, (struct h2_headers){0});
}

struct neo_status client_call_stream_status(struct h2_stream *s, uint32_t h2_error)
{
    if (s->trailers.len > 0)
        return wire_status_read(s->trailers, s->status, s->arena);
    if (s->remote_ended)
        return wire_status_read(s->headers, s->status, s->arena);
    return wire_status_of_reset(h2_error);
}

void client_call_closed(struct neo_client_call *call, struct h2_stream *s, uint32_t h2_error)
{
    struct sub_conn *sc = call->attempt.sc;

    call->attempt.ended = true; /* nothing to reset any more */
    if (h2_error == H2_REFUSED_STREAM && try_transparently(call))
        return;
    struct neo_status status = wire_status_of_reset(h2_error);
    if (conn_is_closing(sc->conn) || h2_error == H2_INTERNAL_ERROR) {
        status = neo_status_of(NEO_UNAVAILABLE, "the connection was lost");
        status.reason = NEO_LIT("CONNECT_FAILED");
    }
    if (status.code == NEO_CANCELLED && call->context.deadline != 0 &&
        neo_loop_now(call->channel->loop) >= call->context.deadline)
        status = neo_status_of(NEO_DEADLINE_EXCEEDED, "the deadline has passed");
    if (!call->over && try_again(call, &status, (struct h2_headers){0}))
        return;
    keep_metadata(call, s);
    client_call_end(call, &status);
}

void client_call_writable(struct neo_client_call *call)
{
    if (call->events->writable != NULL)
        call->events->writable(call, call->self);
}

void client_call_consume(struct neo_client_call *call, size_t n)
{
    if (call->attempt.stream != NULL) {
        h2_consume(conn_h2(call->attempt.sc->conn), call->attempt.stream, n);
        conn_kick(call->attempt.sc->conn);
    }
}

/* --- sending ---------------------------------------------------------------------------------- */

/* Hands the attempt's stream what it has not had yet. */
enum neo_flow client_call_flush(struct neo_client_call *call)
{
    struct call_attempt *a = &call->attempt;
    struct h2 *h2 = conn_h2(a->sc->conn);
    struct neo_channel *channel = call->channel;
    bool room = true;
    size_t len = call->sent.len - call->sent_upto;

    if (len > 0) {
        room = h2_send(h2, a->stream, neo_bytes(call->sent.at + call->sent_upto, len));
        channel->wire.request_bytes += len;
        call->sent_upto = call->sent.len;
    }
    if (!call->replayable) {
        neo_buffer_clear(&call->sent);
        call->sent_upto = 0;
    }
    if (call->send_closed && !a->stream->local_ended)
        h2_send_end(h2, a->stream);
    conn_kick(a->sc->conn);
    return room ? NEO_FLOW_MORE : NEO_FLOW_FULL;
}

enum neo_flow client_call_send_wire(struct neo_client_call *call, struct neo_bytes wire)
{
    uint8_t prefix[FRAME_PREFIX_LEN];

    if (call->over || call->send_closed)
        return NEO_FLOW_GONE;
    if (wire.len > call->max_request) {
        fail_stream(call, NEO_RESOURCE_EXHAUSTED, "the request is larger than the limit");
        return NEO_FLOW_GONE;
    }
    frame_prefix(prefix, wire.len);
    if (!neo_buffer_append(&call->sent, neo_bytes(prefix, sizeof(prefix))) ||
        !neo_buffer_append(&call->sent, wire)) {
        fail_stream(call, NEO_RESOURCE_EXHAUSTED, "out of memory queueing a request");
        return NEO_FLOW_GONE;
    }
    if (call->sent.len > REPLAY_LIMIT)
        call->replayable = false;
    if (call->attempt.stream != NULL)
        return client_call_flush(call);
    return call->sent.len > SEND_MARK ? NEO_FLOW_FULL : NEO_FLOW_MORE;
}

enum neo_flow neo_client_call_send(struct neo_client_call *call, const void *request)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer wire = {0};
    struct neo_error err = {0};

    if (neo_proto_encode(call->method->request, request, &wire, &err) != NEO_OK) {
        fail_stream(call, NEO_INTERNAL, err.message);
        return NEO_FLOW_GONE;
    }
    return client_call_send_wire(call, neo_buffer_bytes(&wire));
}

void neo_client_call_close_send(struct neo_client_call *call)
{
    if (call->over || call->send_closed)
        return;
    call->send_closed = true;
    if (call->attempt.stream != NULL)
        (void)client_call_flush(call);
}

void neo_client_call_cancel(struct neo_client_call *call)
{
    struct neo_status status = neo_status_of(NEO_CANCELLED, "cancelled by the caller");

    client_call_end(call, &status);
}
