/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One call: what its attempts hear, and its end.
 *
 * Most calls are one attempt. Several run at the same time only under a hedging policy; the first
 * whose response headers come commits the call (gRFC A6), and the others are cancelled. Whether an
 * attempt that failed is followed by another is decided in client_retry.c.
 *
 * `done` comes exactly once and never from inside a function of the caller's, neo_channel_start()
 * nor any other: at once when we are inside an event of the connection, else from the channel's
 * `later` timer.
 */
#include "rpc/channel_internal.h"
#include "rpc/client_intercept.h"
#include "rpc/client_ready.h"
#include "rpc/compression.h"
#include "rpc/wire.h"

#include <neo/encoding.h>
#include <neo/memory.h>

#include <assert.h>

/* --- the end of an attempt -----------------------------------------------------------------------
 */

/* What an instance is compared with others by. Refusals and answers of the service are no faults.
 */
static void report_outlier(struct sub_conn *sc, enum neo_code code)
{
    const uint32_t faults = 1u << NEO_UNKNOWN | 1u << NEO_DEADLINE_EXCEEDED | 1u << NEO_INTERNAL |
                            1u << NEO_UNAVAILABLE | 1u << NEO_DATA_LOSS;

    if (sc->sub->core->config.balance.has_outlier && code != NEO_CANCELLED)
        outlier_report(&sc->sub->host.outlier, (faults & 1u << code) == 0);
}

static void leave_running(struct call_attempt *a)
{
    struct neo_client_call *call = a->call;

    for (unsigned i = 0; i < call->n_running; i++) {
        if (call->running[i] == a) {
            call->running[i] = call->running[--call->n_running];
            return;
        }
    }
}

/*
 * A call may be ended from a callback that is given a message, which is the callback's until it
 * returns and may lie in the reader's buffers: these stay as long as the call.
 */
static void forget_read(struct call_attempt *a)
{
    struct neo_client_call *call = a->call;

    if (call->over && a->got_message) {
        frame_reader_fini(&call->last_read);
        call->last_read = a->reader;
        a->reader = (struct frame_reader){0};
    } else {
        frame_reader_fini(&a->reader);
    }
}

void client_attempt_finish(struct call_attempt *a, enum neo_code code)
{
    struct sub_conn *sc = a->sc;

    assert(sc != NULL); /* it runs */
    client_outcome_settle(a, code);
    report_outlier(sc, code);
    bool whole = a->stream != NULL && a->stream->remote_ended;
    *(whole ? &sc->counts.succeeded : &sc->counts.failed) += 1;
    *(code == NEO_OK ? &sc->sub->succeeded : &sc->sub->failed) += 1;
    if (a->stream != NULL) {
        a->stream->user = NULL;
        if (!a->ended) {
            /* Ours to end: the server hears of it. */
            h2_reset(conn_h2(sc->conn), a->stream, H2_CANCEL, false);
            conn_kick(sc->conn);
        }
    }
    forget_read(a);
    leave_running(a);
    a->sc = NULL;
    a->stream = NULL;
    sub_conn_call_ended(sc);
}

void client_call_commit(struct call_attempt *a)
{
    struct neo_client_call *call = a->call;

    if (call->committed)
        return;
    call->committed = true;
    if (neo_timer_is_armed(&call->retry))
        neo_loop_disarm(call->channel->loop, &call->retry);
    channel_line_leave(call);
    while (call->n_running > 1)
        client_attempt_finish(call->running[call->running[0] == a], NEO_CANCELLED);
}

/* --- the end of the call -------------------------------------------------------------------------
 */

/* Response metadata outlives the stream it came on. */
static void keep_metadata(const struct call_attempt *a, const struct h2_stream *s)
{
    struct neo_client_call *call = a->call;
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
    call->n_response_headers = a->got_headers ? s->headers.len : 0;
}

static struct neo_status copy_status(struct neo_client_call *call, const struct neo_status *s)
{
    struct neo_status copy = *s;
    struct neo_pair *pairs = NULL;

    if (s->code == NEO_OK && s->message.len + s->details.len + s->n_metadata == 0)
        return (struct neo_status){.code = NEO_OK, .processed = s->processed};
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
    call->status = copy_status(call, status);
    channel_line_leave(call);
    if (call->n_running > 0 && call->running[0]->stream != NULL)
        keep_metadata(call->running[0], call->running[0]->stream);
    while (call->n_running > 0)
        client_attempt_finish(call->running[0], status->code);
    list_push_back(&channel->ended, &call->waiting);
    if (channel->core->in_events == 0 || channel->core->in_line || call->starting || call->entered)
        channel_later(channel);
    else
        client_call_done(call);
}

void client_call_fail(struct neo_client_call *call, enum neo_code code, const char *text)
{
    struct neo_status status = neo_status_of(code, text);

    client_call_end(call, &status);
}

static void count_end(const struct neo_client_call *call)
{
    struct neo_channel *channel = call->channel;

    *(call->status.code == NEO_OK ? &channel->counts.succeeded : &channel->counts.failed) += 1;
    if (channel->metrics.calls != NULL)
        neo_counter_add(
            neo_counter(channel->metrics.calls,
                        (struct neo_bytes[]){neo_text(call->method->service),
                                             neo_text(call->method->name),
                                             neo_text(neo_code_name(call->status.code))}),
            1);
}

void client_call_done(struct neo_client_call *call)
{
    struct neo_channel *channel = call->channel;

    list_remove(&call->waiting);
    list_remove(&call->link);
    channel->core->last_call_at = neo_loop_now(channel->loop);
    if (call->method != &client_ready_method)
        count_end(call);
    if (call->intercepted > 0)
        client_intercept_end(call, &call->status);
    if (call->events->done != NULL)
        call->events->done(call, &call->status, call->self);
    client_call_free(call);
}

enum { IDLE_CALLS_KEPT = 256 };

void client_call_free(struct neo_client_call *call)
{
    struct neo_channel *channel = call->channel;

    neo_loop_disarm(channel->loop, &call->deadline); /* another call may get this memory */
    neo_loop_disarm(channel->loop, &call->retry);
    list_remove(&call->link);
    channel_line_leave(call);
    client_call_forget_sent(call);
    frame_reader_fini(&call->last_read);
    neo_arena_fini(&call->arena);
    neo_arena_fini(&call->message_arena);
    if (channel->n_idle_calls < IDLE_CALLS_KEPT) {
        channel->n_idle_calls++;
        list_push_front(&channel->idle_calls, &call->link);
        return;
    }
    neo_free(call);
}

/* --- events of the stream --------------------------------------------------------------------- */

/* endpoint-load-metrics-bin, for the balancer that asks for it. */
static void take_load(const struct call_attempt *a, struct h2_headers trailers)
{
    const struct channel_core *core = a->sc->sub->core;
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer wire = {0};
    struct neo_bytes text = wire_header(trailers, "endpoint-load-metrics-bin");

    if (text.at == NULL || neo_base64_decode(text, &wire, NULL) != NEO_OK)
        return;
    balance_report(
        &a->sc->sub->host,
        balance_read_report(neo_buffer_bytes(&wire), core->config.balance.weighted.penalty_milli),
        neo_loop_now(core->loop));
}

/* The attempt has its status: the call ends with it, unless it goes on without this attempt. */
static void attempt_ended(struct call_attempt *a, const struct neo_status *status,
                          struct h2_headers trailers)
{
    struct neo_client_call *call = a->call;

    a->ended = true;
    const struct balance_config *balance = &a->sc->sub->core->config.balance;
    if (balance->policy == &balance_weighted_round_robin && !balance->weighted.out_of_band)
        take_load(a, trailers);
    if (status->code == NEO_OK)
        neo_retry_budget_success(&call->channel->budget);
    else if (client_retry_failed(a, status, trailers))
        return;
    client_call_commit(a);
    client_call_end(call, status);
}

/* "application/grpc", alone or with a format or parameters; not "application/grpc-web". */
static bool is_grpc(struct neo_bytes type)
{
    const size_t len = sizeof("application/grpc") - 1;

    return neo_bytes_starts(type, NEO_LIT("application/grpc")) &&
           (type.len == len || type.at[len] == '+' || type.at[len] == ';');
}

/* A good status is only as good as what came before it. */
static struct neo_status check_complete(const struct call_attempt *a)
{
    if (frame_is_partial(&a->reader))
        return neo_status_of(NEO_INTERNAL, "the response ended within a message");
    if ((a->call->method->kind & NEO_SERVER_STREAM) == 0 && !a->got_message)
        return neo_status_of(NEO_UNIMPLEMENTED, "the server sent no response");
    return (struct neo_status){.code = NEO_OK, .processed = true};
}

void client_call_headers(struct call_attempt *a, struct h2_stream *s, bool end_stream)
{
    struct neo_client_call *call = a->call;

    if (end_stream) {
        struct neo_status status = wire_status_read(s->headers, s->status, s->arena);
        if (status.code == NEO_OK && a->unproven)
            status = neo_status_of(NEO_PERMISSION_DENIED,
                                   "the server did not prove itself for this call");
        if (status.code == NEO_OK)
            status = check_complete(a);
        attempt_ended(a, &status, s->headers);
        return;
    }
    struct neo_bytes type = wire_header(s->headers, "content-type");
    a->got_headers = true;
    client_call_commit(a);
    if (s->status != 200 || !is_grpc(type)) {
        struct neo_status status = wire_status_read((struct h2_headers){0}, s->status, s->arena);
        client_call_end(call, &status);
        return;
    }
    if (a->unproven && !client_fresh_take(a, s))
        return;
    a->reader.encoding = compression_read(s->headers, call->channel->accept_gzip);
    if (call->send_closed)
        client_call_forget_sent(call);
    if (call->events->headers != NULL)
        call->events->headers(call, call->self);
}

/* A message that somebody else decodes is shown for what it stands for. False: that ended the call.
 */
static bool show_raw(struct call_attempt *a, struct neo_bytes wire)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer plain = {0};
    struct neo_error err = {.message = "out of memory"};

    if (!client_intercept_sees(a->call))
        return true;
    if (a->reader.compressed) {
        enum neo_code code = frame_inflate(wire, a->call->max_response, &plain, &err);
        if (code != NEO_OK) {
            client_call_fail(a->call, code, err.message);
            return false;
        }
        wire = neo_buffer_bytes(&plain);
    }
    return client_intercept_wire(a->call, false, wire);
}

/* False: the reader holds back the `used` bytes this message took from the window. */
static bool deliver(struct call_attempt *a, struct neo_bytes wire, size_t used)
{
    struct neo_client_call *call = a->call;
    struct neo_arena *arena = &call->message_arena;
    struct neo_error err = {.message = "out of memory"};

    if ((call->method->kind & NEO_SERVER_STREAM) == 0 && a->got_message) {
        client_call_fail(call, NEO_UNIMPLEMENTED, "the server sent more than one response");
        return false;
    }
    if (!a->got_message)
        client_outcome_heard(a);
    a->got_message = true;
    if (call->raw != NULL)
        return show_raw(a, wire) && call->raw(call, wire, used, call->self);

    neo_arena_reset(arena);
    void *message = neo_arena_calloc(arena, 1, call->method->response->size);
    if (message == NULL ||
        neo_proto_decode(call->method->response, wire, message, arena, &err) != NEO_OK) {
        client_call_fail(call, NEO_INTERNAL, err.message);
        return false;
    }
    if (client_intercept_sees(call) && !client_intercept_message(call, false, message))
        return false;
    if (call->events->message != NULL)
        call->events->message(call, message, call->self);
    return true;
}

/* Gives the peer the credit that is due by now. */
static void give_credit(struct call_attempt *a)
{
    if (a->received - a->held <= a->credited)
        return;
    size_t due = (size_t)(a->received - a->held - a->credited);
    a->credited += due;
    h2_consume(conn_h2(a->sc->conn), a->stream, due);
}

void client_call_data(struct call_attempt *a, struct h2_stream *s, struct neo_bytes bytes)
{
    struct h2 *h2 = conn_h2(a->sc->conn);
    struct neo_bytes message;
    struct neo_error err;
    size_t len = bytes.len;

    a->received += len;
    while (s->user == a) {
        size_t before = bytes.len;
        enum frame_result result = frame_read(&a->reader, &bytes, &message, &err);
        a->partial += before - bytes.len;
        if (result == FRAME_MORE)
            break;
        if (result == FRAME_BAD) {
            client_call_fail(a->call, err.code == NEO_UNIMPLEMENTED ? NEO_INTERNAL : err.code,
                             err.message);
            break;
        }
        size_t used = a->partial;
        a->partial = 0;
        a->sc->counts.received++;
        a->sc->counts.last_received = neo_loop_now(a->call->channel->loop);
        if (!deliver(a, message, used) && s->user == a)
            a->held += used;
    }
    if (s->user == a)
        give_credit(a);
    else
        h2_consume(h2, s, len); /* nobody waits for it any more */
}

void client_call_trailers(struct call_attempt *a, struct h2_stream *s)
{
    struct neo_status status = wire_status_read(s->trailers, s->status, s->arena);

    if (status.code == NEO_OK)
        status = check_complete(a);
    attempt_ended(a, &status, s->trailers);
}

void client_call_stream_ended(struct call_attempt *a, struct h2_stream *s)
{
    struct neo_status status = neo_status_of(NEO_INTERNAL, "the stream ended without a status");

    (void)s;
    attempt_ended(a, &status, (struct h2_headers){0});
}

struct neo_status client_call_stream_status(struct h2_stream *s, uint32_t h2_error)
{
    if (s->trailers.len > 0)
        return wire_status_read(s->trailers, s->status, s->arena);
    if (s->remote_ended)
        return wire_status_read(s->headers, s->status, s->arena);
    return wire_status_of_reset(h2_error);
}

/* It is we who have reset the stream: not for what the server said, but for how. */
static struct neo_status status_of_own_reset(const struct call_attempt *a, struct h2_stream *s,
                                             uint32_t h2_error)
{
    size_t most = a->sc->sub->core->tuning.max_metadata;

    if (h2_error == H2_INTERNAL_ERROR)
        return neo_status_of(NEO_RESOURCE_EXHAUSTED, "out of memory sending the request");
    if (h2_error == H2_ENHANCE_YOUR_CALM)
        return neo_status_of(
            NEO_RESOURCE_EXHAUSTED,
            neo_arena_printf(
                s->arena,
                "the response's metadata is larger than we take: %zu bytes, 100 "
                "fields (max_metadata), and %u times that in all calls of a connection",
                most, (unsigned)H2_HEADER_BLOCKS));
    return neo_status_of(NEO_INTERNAL, "the response breaks HTTP/2: a malformed field, or another "
                                       "length than it said");
}

static struct neo_status status_of_lost_connection(const struct call_attempt *a)
{
    const char *why = a->sc->lost != NULL ? a->sc->lost : "the connection was lost";
    const char *text = neo_arena_printf(&a->call->arena, "%.127s: %s", a->sc->sub->address, why);
    struct neo_status status = neo_status_of(NEO_UNAVAILABLE, text == NULL ? why : text);

    status.reason = NEO_LIT("CONNECT_FAILED");
    return status;
}

/* Why the stream is gone, as far as it can be known. */
static struct neo_status status_of_loss(const struct call_attempt *a, struct h2_stream *s,
                                        uint32_t h2_error)
{
    const struct neo_client_call *call = a->call;
    struct neo_status status = wire_status_of_reset(h2_error);

    if (h2_error == H2_REFUSED_STREAM) {
        status.processed = a->got_headers; /* who has begun to answer cannot unsay it */
        return status;
    }
    /* Who goes away cancels what still runs; else the reset tells more than the end after it. */
    if (!s->remote_reset || (h2_error == H2_CANCEL && conn_is_closing(a->sc->conn)))
        status = h2_error == H2_CANCEL || conn_is_closing(a->sc->conn)
                     ? status_of_lost_connection(a)
                     : status_of_own_reset(a, s, h2_error);
    if (status.code == NEO_CANCELLED && call->context.deadline != 0 &&
        neo_loop_now(call->channel->loop) >= call->context.deadline)
        status = neo_status_of(NEO_DEADLINE_EXCEEDED, "the deadline has passed");
    return status;
}

void client_call_closed(struct call_attempt *a, struct h2_stream *s, uint32_t h2_error)
{
    struct neo_client_call *call = a->call;
    bool left = h2_has_begun(conn_h2(a->sc->conn), s);

    a->ended = true; /* nothing to reset any more */
    client_outcome_lost(a, h2_error);
    if ((h2_error == H2_REFUSED_STREAM || !left) && client_retry_unseen(a, left))
        return;
    struct neo_status status = status_of_loss(a, s, h2_error);
    if (!call->over && client_retry_failed(a, &status, (struct h2_headers){0}))
        return;
    keep_metadata(a, s);
    client_call_commit(a);
    client_call_end(call, &status);
}

void client_attempt_taken(struct call_attempt *a, const char *why)
{
    struct neo_status status = neo_status_of(NEO_UNAVAILABLE, why);

    status.reason = NEO_LIT("CONNECT_FAILED");
    a->blameless = true;
    if (client_retry_failed(a, &status, (struct h2_headers){0}))
        return;
    client_call_commit(a);
    client_call_end(a->call, &status);
}

void client_call_consume(struct neo_client_call *call, size_t n)
{
    struct call_attempt *a = call->n_running > 0 ? call->running[0] : NULL;

    if (a != NULL && a->stream != NULL) {
        a->held -= n < a->held ? n : a->held;
        give_credit(a);
        conn_kick(a->sc->conn);
    }
}
