/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a call begins: its context, its headers, and each attempt's stream.
 *
 * What does not change between attempts is made once, on the call's arena; the
 * deadline that is left and the number of attempts are written for each.
 */
#include "h2/names.h"
#include "rpc/channel_internal.h"
#include "rpc/client_intercept.h"
#include "rpc/client_ready.h"
#include "rpc/compression.h"
#include "rpc/wire.h"

#include <neo/encoding.h>
#include <neo/memory.h>

#include <assert.h>
#include <stdio.h>

enum {
    CALL_ARENA_BUDGET = 16 << 20,
    MESSAGE_ARENA_BUDGET = 32 << 20,
    FIXED_HEADERS = 13,
    MAX_CUSTOM = CLIENT_METADATA_MAX,
    DEADLINE_MARGIN_NSEC = 5000000, /* a child call leaves its parent time to answer */
};

#define USER_AGENT   "neo-c/0.1"
#define HEADER(n, v) ((struct h2_header){NEO_LIT(n), (v)})

/* --- the context ------------------------------------------------------------------------------ */

static neo_nsec earlier(neo_nsec a, neo_nsec b)
{
    if (a == 0 || b == 0)
        return a == 0 ? b : a;
    return a < b ? a : b;
}

static void make_context(struct neo_client_call *call, const struct neo_call_options *o)
{
    struct neo_context *c = &call->context;
    const struct neo_context *parent = o->parent;
    neo_nsec now = neo_loop_now(call->channel->loop);

    *c = (struct neo_context){.criticality = NEO_CRITICAL};
    if (parent == NULL) {
        c->trace = neo_trace_new();
        if (o->criticality > c->criticality)
            c->criticality = o->criticality;
    } else {
        c->trace = neo_trace_child(&parent->trace);
        c->tracestate = neo_arena_copy(&call->arena, parent->tracestate);
        c->criticality =
            o->criticality > parent->criticality ? o->criticality : parent->criticality;
        if (parent->deadline != 0)
            c->deadline = parent->deadline > DEADLINE_MARGIN_NSEC
                              ? parent->deadline - DEADLINE_MARGIN_NSEC
                              : 1;
    }
    if (o->timeout != 0)
        c->deadline = earlier(c->deadline, now + o->timeout);
    if (call->config->timeout != 0)
        c->deadline = earlier(c->deadline, now + call->config->timeout);
    neo_trace_format(&c->trace, call->traceparent);
}

/* --- custom metadata -------------------------------------------------------------------------- */

static bool is_binary(struct neo_bytes key)
{
    return key.len > 4 && memcmp(key.at + key.len - 4, "-bin", 4) == 0;
}

static bool is_key(struct neo_bytes key)
{
    for (size_t i = 0; i < key.len; i++) {
        uint8_t c = key.at[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.'))
            return false;
    }
    return key.len > 0;
}

/* RFC 9113, 8.2.1: a value that begins or ends with a space is malformed. */
static bool is_text(struct neo_bytes value)
{
    for (size_t i = 0; i < value.len; i++)
        if (value.at[i] < 0x20 || value.at[i] > 0x7e)
            return false;
    return value.len == 0 || (value.at[0] != ' ' && value.at[value.len - 1] != ' ');
}

/* Unpadded base64, as gRPC sends -bin. */
static struct neo_bytes binary_value(struct neo_client_call *call, struct neo_bytes value)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};

    (void)neo_base64_encode(&text, value, NEO_BASE64_UNPADDED);
    return neo_arena_copy(&call->arena, neo_buffer_bytes(&text));
}

/* NULL: it may be set. */
static const char *why_not(struct neo_bytes key)
{
    unsigned use = h2_name_use(key);

    if (!is_key(key))
        return "keys are of a-z 0-9 _ - .";
    if ((use & H2_NAME_RESERVED) != 0)
        return "it is reserved, and no peer would take it";
    if ((use & H2_NAME_MADE) != 0)
        return "the channel writes it; give the call a parent context, or its option";
    if ((use & H2_NAME_FALSE) != 0)
        return "it may be taken for a name that means something, with '-' for '_'";
    return NULL;
}

static enum neo_code check_value(struct neo_bytes key, struct neo_bytes value,
                                 struct neo_error *err)
{
    if (is_text(value))
        return NEO_OK;
    return neo_fail(err, NEO_INVALID_ARGUMENT,
                    "the value of metadata '%.*s' is not printable ASCII without spaces at its "
                    "ends; use a key that ends in -bin",
                    NEO_FMT(key));
}

/* Before ours, as in other implementations; of several the last. */
static enum neo_code set_user_agent(struct neo_client_call *call, struct neo_bytes value,
                                    struct neo_error *err)
{
    NEO_TRY(check_value(NEO_LIT("user-agent"), value, err));
    const char *text = neo_arena_printf(&call->arena, "%.*s%s" USER_AGENT, NEO_FMT_ALL(value),
                                        value.len > 0 ? " " : "");
    if (text == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory starting a call");
    call->user_agent = text;
    return NEO_OK;
}

enum neo_code client_call_add_metadata(struct neo_client_call *call, struct neo_bytes key,
                                       struct neo_bytes value, struct neo_error *err)
{
    if (neo_bytes_is(key, "user-agent"))
        return set_user_agent(call, value, err);
    const char *why = why_not(key);
    if (why != NULL)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "metadata key '%.*s': %s", NEO_FMT(key), why);
    if (!is_binary(key))
        NEO_TRY(check_value(key, value, err));
    call->metadata[call->n_metadata++] = (struct h2_header){
        .name = neo_arena_copy(&call->arena, key),
        .value = is_binary(key) ? binary_value(call, value) : neo_arena_copy(&call->arena, value),
    };
    return NEO_OK;
}

static enum neo_code add_business(struct neo_client_call *call, const struct neo_entry *entries,
                                  size_t n, struct neo_error *err)
{
    for (size_t i = 0; i < n; i++) {
        const char *key =
            neo_arena_printf(&call->arena, "x-neo-ctx-%.*s", NEO_FMT_ALL(entries[i].key));
        if (key == NULL || why_not(neo_text(key)) != NULL || !is_text(entries[i].value))
            return neo_fail(err, NEO_INVALID_ARGUMENT,
                            "business context '%.*s': keys are of [a-z0-9.-], values printable "
                            "ASCII without spaces at their ends",
                            NEO_FMT(entries[i].key));
        call->metadata[call->n_metadata++] =
            (struct h2_header){neo_text(key), neo_arena_copy(&call->arena, entries[i].value)};
    }
    return NEO_OK;
}

static enum neo_code make_metadata(struct neo_client_call *call, const struct neo_call_options *o,
                                   struct neo_error *err)
{
    size_t inherited = o->pass_business && o->parent != NULL ? o->parent->n_business : 0;
    size_t n = o->n_metadata + o->n_business + inherited;

    if (n > MAX_CUSTOM)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "%zu metadata entries; at most %d", n,
                        MAX_CUSTOM);
    if (n == 0)
        return NEO_OK;
    call->metadata = neo_arena_calloc(&call->arena, n, sizeof(*call->metadata));
    if (call->metadata == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory starting a call");
    for (size_t i = 0; i < o->n_metadata; i++)
        NEO_TRY(client_call_add_metadata(call, o->metadata[i].key, o->metadata[i].value, err));
    NEO_TRY(add_business(call, o->business, o->n_business, err));
    if (inherited > 0)
        NEO_TRY(add_business(call, o->parent->business, inherited, err));
    return NEO_OK;
}

/* --- an attempt ------------------------------------------------------------------------------- */

struct scratch {
    struct h2_header headers[FIXED_HEADERS + MAX_CUSTOM];
    size_t n;
    char timeout[WIRE_TIMEOUT_LEN];
    char ms[24];
    char attempts[12];
    char nonce[CLIENT_FRESH_TEXT_LEN];
};

static void put(struct scratch *s, struct h2_header h)
{
    s->headers[s->n++] = h;
}

static void make_headers(const struct neo_client_call *call, struct scratch *s)
{
    const struct neo_context *c = &call->context;

    s->n = 0;
    if (c->deadline != 0) {
        neo_nsec now = neo_loop_now(call->channel->loop);
        neo_nsec left = c->deadline > now ? c->deadline - now : 1;
        put(s,
            HEADER("grpc-timeout", neo_bytes(s->timeout, wire_timeout_format(left, s->timeout))));
        uint64_t ms = (left + NEO_NSEC_PER_MSEC - 1) / NEO_NSEC_PER_MSEC;
        put(s, HEADER("x-deadline-ms", neo_bytes(s->ms, wire_decimal(ms, s->ms))));
    }
    put(s, HEADER("content-type", NEO_LIT("application/grpc")));
    put(s, HEADER("te", NEO_LIT("trailers")));
    put(s, HEADER("user-agent",
                  call->user_agent == NULL ? NEO_LIT(USER_AGENT) : neo_text(call->user_agent)));
    put(s, HEADER("traceparent", neo_bytes(call->traceparent, NEO_TRACEPARENT_LEN)));
    put(s, HEADER("x-trace-id", neo_bytes(call->traceparent + 3, 32)));
    if (call->gzip)
        put(s, compression_encoding);
    if (call->channel->accept_gzip)
        put(s, *compression_accept(true));
    if (c->tracestate.len > 0)
        put(s, HEADER("tracestate", c->tracestate));
    if (c->criticality != NEO_CRITICAL)
        put(s, HEADER("x-neo-criticality", neo_text(neo_criticality_text(c->criticality))));
    if (call->attempts > 1) {
        (void)snprintf(s->attempts, sizeof(s->attempts), "%u", call->attempts - 1);
        put(s, HEADER("grpc-previous-rpc-attempts", neo_text(s->attempts)));
    }
    for (size_t i = 0; i < call->n_metadata; i++)
        put(s, call->metadata[i]);
}

/* Larger than this server takes; another attempt would be no smaller. */
static void end_too_large(struct neo_client_call *call, const struct neo_error *err)
{
    struct neo_status status = neo_status_of(NEO_RESOURCE_EXHAUSTED, err->message);

    client_call_end(call, &status);
}

/* The first lives in the call, those beside it on its arena. NULL: out of memory. */
static struct call_attempt *new_attempt(struct neo_client_call *call)
{
    struct call_attempt *a = &call->own;

    if (call->n_running > 0)
        a = neo_arena_calloc(&call->arena, 1, sizeof(*a));
    if (a != NULL)
        *a = (struct call_attempt){
            .call = call,
            .reader = {.max = call->max_response,
                       .limit = "ours: the channel's max_message, or maxResponseMessageBytes",
                       .packed = call->raw != NULL}};
    return a;
}

/* The connection would not take it. */
static void not_begun(struct neo_client_call *call, struct sub_conn *sc,
                      struct neo_breaker_permit permit, const struct neo_error *err)
{
    struct channel_core *core = sc->sub->core;

    neo_breaker_leave(&sc->sub->breaker, permit, NEO_BREAKER_UNKNOWN, neo_loop_now(core->loop));
    call->attempts--;
    if (err->code == NEO_INVALID_ARGUMENT) {
        end_too_large(call, err);
        return;
    }
    /* The connection changed its mind since it was picked, or broke for want of memory: then it
       ends in the turn that is asked for here. */
    conn_kick(sc->conn);
    channel_line_join(call);
    channel_look_again_soon(core);
}

/* Before a byte of it has left, headers included. */
static void end_unattested(struct neo_client_call *call, struct sub_conn *sc,
                           struct neo_breaker_permit permit, const char *why)
{
    struct neo_status status = neo_status_of(NEO_FAILED_PRECONDITION, why);

    status.reason = NEO_LIT("ATTESTATION_REQUIRED");
    neo_breaker_leave(&sc->sub->breaker, permit, NEO_BREAKER_UNKNOWN,
                      neo_loop_now(call->channel->loop));
    client_call_end(call, &status);
}

static const char no_key[] =
    "the call needs a proof of its own, and its server has named no session key: the mode of the "
    "attestation policy for it must be delegated or per-call";

static void begin_attempt(struct neo_client_call *call, struct sub_conn *sc,
                          struct neo_breaker_permit permit)
{
    struct channel_core *core = sc->sub->core;
    struct neo_error err = {.code = NEO_RESOURCE_EXHAUSTED};
    struct scratch s;

    if (call->needs_attested != NULL && !sub_conn_is_attested(sc)) {
        end_unattested(call, sc, permit, call->needs_attested);
        return;
    }
    bool fresh = client_fresh_wanted(call, sc);
    if (fresh && !client_fresh_possible(sc)) {
        end_unattested(call, sc, permit, no_key);
        return;
    }
    struct call_attempt *a = new_attempt(call);
    call->attempts++;
    make_headers(call, &s);
    if (fresh && a != NULL) {
        client_fresh_ask(a, s.nonce);
        put(&s, HEADER("x-attestation-nonce-bin", neo_bytes(s.nonce, sizeof(s.nonce))));
    }
    if (a == NULL ||
        h2_request(conn_h2(sc->conn), neo_text(call->method->path), neo_text(core->authority),
                   s.headers, s.n, a, &a->stream, &err) != NEO_OK) {
        not_begun(call, sc, permit, &err);
        return;
    }
    a->sc = sc;
    a->permit = permit;
    call->running[call->n_running++] = a;
    channel_line_leave(call);
    sub_conn_call_begun(sc);
    a->begun = neo_loop_now(core->loop);
    memcpy(call->peer, sc->sub->address, sizeof(call->peer));
    if (core->wire.first_request_at < core->wire.verdict_at || core->wire.first_request_at == 0)
        core->wire.first_request_at = neo_mono_nsec();
    (void)client_call_flush(call);
    client_retry_begun(call);
}

const struct neo_method client_ready_method = {
    .name = "", .path = "/", .service = "", .kind = NEO_CLIENT_STREAM | NEO_SERVER_STREAM};

/* Its turn has come, and it wanted no more. */
static void end_ready(struct neo_client_call *call, struct sub_conn *sc,
                      struct neo_breaker_permit permit)
{
    const struct neo_status status = neo_status_of(NEO_OK, "");

    neo_breaker_leave(&sc->sub->breaker, permit, NEO_BREAKER_UNKNOWN,
                      neo_loop_now(call->channel->loop));
    memcpy(call->peer, sc->sub->address, sizeof(call->peer));
    client_call_end(call, &status);
}

void client_call_try(struct neo_client_call *call)
{
    struct neo_channel *channel = call->channel;
    struct neo_breaker_permit permit;
    struct neo_status status;

    if (call->over || call->committed)
        return;
    struct sub_conn *sc = channel_pick(channel->core, &permit);
    if (sc != NULL) {
        if (call->method == &client_ready_method)
            end_ready(call, sc, permit);
        else
            begin_attempt(call, sc, permit);
        return;
    }
    /* One that waits beside others that run does not end the call. */
    if (!call->wait_for_ready && call->n_running == 0 &&
        channel_is_failing(channel->core, &status)) {
        client_call_end(call, &status);
        return;
    }
    /* Only who comes anew is turned away: what was taken once is kept to its end. */
    if (call->starting && !channel_line_admits(channel, 1, call->sent.len, &status)) {
        client_call_end(call, &status);
        return;
    }
    channel_line_join(call);
}

/* --- the beginning ---------------------------------------------------------------------------- */

/* One that waits says for what: else nobody would hear why no connection can be made. */
static const char *why_late(struct neo_client_call *call)
{
    static const char usual[] = "the deadline has passed";
    const char *error = channel_last_error(call->channel->core);
    const char *text;

    if (!call->waits || call->n_running > 0)
        return usual;
    text = error[0] == '\0'
               ? "the deadline has passed while the call waited for a connection, or for its turn"
               : neo_arena_printf(&call->arena,
                                  "the deadline has passed while the call waited for a connection; "
                                  "the last error: %s",
                                  error);
    return text == NULL ? usual : text;
}

static void deadline_expired(struct neo_timer *timer)
{
    struct neo_client_call *call = neo_owner(timer, struct neo_client_call, deadline);
    struct neo_status status = neo_status_of(NEO_DEADLINE_EXCEEDED, why_late(call));

    status.reason = NEO_LIT("DEADLINE_PASSED");
    status.processed = call->attempts > 0; /* else nothing of it has left */
    client_call_end(call, &status);
}

static struct neo_client_call *new_call(struct neo_channel *channel)
{
    struct list *kept = list_pop_front(&channel->idle_calls);
    struct neo_client_call *call;

    if (kept != NULL) {
        call = neo_owner(kept, struct neo_client_call, link);
        channel->n_idle_calls--;
        memset(call, 0, offsetof(struct neo_client_call, first));
    } else {
        call = neo_alloc(sizeof(*call));
        if (call == NULL)
            return NULL;
    }
    call->channel = channel;
    neo_arena_init_with(&call->arena, call->first, sizeof(call->first), CALL_ARENA_BUDGET);
    neo_arena_init_with(&call->message_arena, call->message_first, sizeof(call->message_first),
                        MESSAGE_ARENA_BUDGET);
    call->deadline.expired = deadline_expired;
    call->retry.expired = client_retry_expired;
    list_init(&call->waiting);
    list_push_back(&channel->calls, &call->link);
    return call;
}

static size_t limit_of(size_t configured, size_t channel)
{
    return configured != 0 && configured < channel ? configured : channel;
}

static enum neo_code prepare(struct neo_client_call *call, const struct neo_call_options *o,
                             struct neo_error *err)
{
    struct neo_channel *channel = call->channel;

    /* What methods are set to does not hold for what is none. */
    call->config = call->method == &client_ready_method
                       ? &channel->config.methods[channel->config.n_methods]
                       : service_config_find(&channel->config, call->method);
    call->gzip = call->compressing = o->gzip;
    call->max_request = limit_of(call->config->max_request, channel->max_message);
    call->max_response = limit_of(call->config->max_response, channel->max_message);
    call->wait_for_ready = o->wait_for_ready || channel->wait_for_ready ||
                           (call->config->has_wait_for_ready && call->config->wait_for_ready);
    call->sent.limit = 64u << 20;
    if (o->needs_attested != NULL)
        (void)client_call_guard(call, o->needs_attested);
    make_context(call, o);
    return make_metadata(call, o, err);
}

enum neo_code client_call_start(struct neo_channel *channel, const struct neo_method *method,
                                const struct neo_call_options *options, struct neo_bytes encoded,
                                bool has_request, const struct neo_client_events *events,
                                client_raw_fn *raw, void *self, struct neo_client_call **ret,
                                struct neo_error *err)
{
    static const struct neo_call_options none = {0};

    if (channel->closing)
        return neo_fail(err, NEO_CANCELLED, "the channel to %s is closed", channel->core->target);
    if (channel->broken)
        return neo_fail(err, NEO_UNAVAILABLE,
                        "the channel to %s could not take its last epoch; open another one",
                        channel->core->target);
    struct neo_client_call *call = new_call(channel);
    if (call == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory starting a call");
    call->method = method;
    call->events = events;
    call->raw = raw;
    call->self = self;
    bool counts = method != &client_ready_method;
    enum neo_code code = prepare(call, options == NULL ? &none : options, err);
    if (code == NEO_OK && counts && channel->n_interceptors > 0)
        code = client_intercept_begin(call, err);
    if (code != NEO_OK) {
        client_call_free(call);
        return code;
    }
    if (counts) {
        neo_retry_budget_call(&channel->budget, neo_loop_now(channel->loop));
        channel->counts.started++;
        channel->counts.last_started = neo_loop_now(channel->loop);
    }
    channel_wake(channel->core);
    *ret = call;
    call->starting = true;
    if (has_request) {
        (void)client_call_send_wire(call, encoded);
        call->send_closed = true;
    }
    /* A request that is too large has ended it. */
    if (call->context.deadline != 0 && !call->over) {
        if (call->context.deadline <= neo_loop_now(channel->loop))
            deadline_expired(&call->deadline); /* before anything of it leaves */
        else
            neo_loop_arm(channel->loop, &call->deadline, call->context.deadline);
    }
    client_call_try(call);
    call->starting = false;
    return NEO_OK;
}

enum neo_code client_check_request(const struct neo_method *method, const void *request,
                                   struct neo_error *err)
{
    if (request == NULL && (method->kind & NEO_CLIENT_STREAM) == 0)
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "%s takes one request, which is given when the call begins", method->path);
    return NEO_OK;
}

enum neo_code neo_channel_start(struct neo_channel *channel, const struct neo_method *method,
                                const struct neo_call_options *options, const void *request,
                                const struct neo_client_events *events, void *self,
                                struct neo_client_call **ret, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer wire = {0};
    struct neo_call_options guarded = {0};
    struct neo_error secret;

    assert(neo_loop_is_current(channel->loop) &&
           "neo_channel_start() belongs to the channel's loop: from another thread use "
           "neo_runtime_call(), neo_loop_post(), or a blocking call");
    NEO_TRY(client_check_request(method, request, err));
    if (options != NULL && options->canceller != NULL)
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "a canceller is for calls that block; on the loop it is "
                        "neo_client_call_cancel()");
    if (request != NULL)
        NEO_TRY(neo_proto_encode(method->request, request, &wire, err));
    if (request != NULL && neo_proto_check_open(method->request, request, &secret) != NEO_OK) {
        if (options != NULL)
            guarded = *options;
        guarded.needs_attested = secret.message;
        options = &guarded;
    }
    return client_call_start(channel, method, options, neo_buffer_bytes(&wire), request != NULL,
                             events, NULL, self, ret, err);
}

const char *neo_client_call_peer(const struct neo_client_call *call)
{
    return call->peer[0] == '\0' ? NULL : call->peer;
}
