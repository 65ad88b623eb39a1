/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server under ConnectRPC's conformance runner: connectrpc.conformance.v1.ConformanceService.
 *
 * One answer serves all kinds of method: it gathers requests, and, when the kind of
 * method or `full_duplex` says so, takes the steps (a pause, a response) that the first
 * request asked for, until none is left; then the end that it asked for.
 */
#include <neo/compression.h>
#include <neo/insecure.h>
#include <neo/server.h>

#include "compat.h"

#include <google/rpc/status.neo.h>

#include <stdio.h>

#define CC(name) connectrpc_conformance_v1_##name

enum { REQUESTS_MAX = 64 };

typedef struct CC(ConformancePayload_RequestInfo) request_info;

struct answer {
    struct neo_call *call;
    const struct neo_message_info *request;
    neo_nsec arrived;
    struct neo_timer pause;
    struct compat_list headers; /* of the request */

    /* What the first request asked for. */
    bool begun;
    bool one_response; /* unary and client streams: there is one even if none was asked for */
    bool full_duplex;
    neo_nsec delay;
    const struct neo_bytes *data;
    size_t n_data;
    const struct CC(Error) * error;

    struct google_protobuf_Any *requests[REQUESTS_MAX]; /* not echoed yet */
    size_t n_requests;
    size_t n_sent;
    bool half_closed;
};

/* --- what came ----------------------------------------------------------------------------- */

static struct answer *answer_new(struct neo_call *call)
{
    struct neo_arena *arena = neo_call_arena(call);
    struct answer *a = neo_arena_calloc(arena, 1, sizeof(*a));
    struct neo_metadata_cursor at = {0};
    struct neo_pair pair;

    if (a == NULL)
        return NULL;
    a->call = call;
    a->request = neo_call_method(call)->request;
    a->arrived = neo_loop_now(neo_call_loop(call));
    while (neo_call_metadata_next(call, &at, &pair))
        compat_add(&a->headers, pair, arena);
    return a;
}

/* Who sends compressed messages gets such. */
static void keep_request(struct answer *a, const void *request)
{
    if (!a->begun && neo_call_was_compressed(a->call))
        (void)neo_call_compress(a->call, true);
    if (a->n_requests < REQUESTS_MAX)
        a->requests[a->n_requests++] = compat_any(a->request, request, neo_call_arena(a->call));
}

/* In the first echo headers, timeout and requests; later, in full duplex, the next request. */
static request_info *make_info(struct answer *a)
{
    struct neo_arena *arena = neo_call_arena(a->call);
    neo_nsec deadline = neo_call_context(a->call)->deadline;
    request_info *info = neo_arena_calloc(arena, 1, sizeof(*info));
    size_t n = a->full_duplex ? 1 : a->n_requests;

    info->requests.at = neo_arena_calloc(arena, REQUESTS_MAX, sizeof(*info->requests.at));
    info->requests.len = n;
    memcpy(info->requests.at, a->requests, n * sizeof(a->requests[0]));
    memmove(a->requests, a->requests + n, (a->n_requests - n) * sizeof(a->requests[0]));
    a->n_requests -= n;
    if (a->n_sent > 0)
        return info;
    info->request_headers.at = a->headers.at;
    info->request_headers.len = a->headers.len;
    if (deadline != 0) {
        info->has_timeout_ms = true;
        info->timeout_ms =
            deadline <= a->arrived ? 0 : (int64_t)((deadline - a->arrived) / NEO_NSEC_PER_MSEC);
    }
    return info;
}

/* --- the end ------------------------------------------------------------------------------- */

static void finish_ok(struct answer *a)
{
    static const struct neo_status ok = {.code = NEO_OK};

    neo_call_finish(a->call, &ok);
}

static void finish_error(struct answer *a)
{
    struct neo_arena *arena = neo_call_arena(a->call);
    const struct CC(Error) *e = a->error;
    struct google_rpc_Status said = {.code = e->code, .message = e->message};
    size_t n = e->details.len;

    said.details.at = neo_arena_calloc(arena, n + 1, sizeof(*said.details.at));
    for (size_t i = 0; i < n; i++)
        said.details.at[i] = e->details.at[i];
    if (a->n_sent == 0) {
        request_info *info = make_info(a);
        said.details.at[n++] = compat_any(&CC(ConformancePayload_RequestInfo_info), info, arena);
    }
    said.details.len = n;

    struct neo_status status = {
        .code = (enum neo_code)e->code,
        .message = e->message,
        .details = compat_encode(&google_rpc_Status_info, &said, arena),
    };
    neo_call_finish(a->call, &status);
}

/* --- responses ----------------------------------------------------------------------------- */

/* The four kinds of response differ in name only: field 1 is the payload. */
static void respond(struct answer *a)
{
    struct CC(ConformancePayload) payload = {0};
    struct CC(UnaryResponse) response = {.payload = &payload};
    bool echo = a->n_sent == 0 || (a->full_duplex && a->n_requests > 0);

    _Static_assert(sizeof(struct CC(UnaryResponse)) == sizeof(struct CC(BidiStreamResponse)),
                   "responses have one layout");
    if (a->n_sent < a->n_data)
        payload.data = a->data[a->n_sent];
    if (echo)
        payload.request_info = make_info(a);
    a->n_sent++;
    if (a->one_response)
        neo_call_reply(a->call, &response);
    else
        (void)neo_call_send(a->call, &response);
}

/* Takes the next step if it is time for one. */
static void go_on(struct answer *a)
{
    struct neo_loop *loop = neo_call_loop(a->call);

    if (neo_timer_is_armed(&a->pause))
        return;
    if (!a->half_closed && !(a->full_duplex && a->n_requests > 0))
        return;
    if (a->one_response || a->n_sent < a->n_data)
        neo_loop_arm(loop, &a->pause, neo_loop_now(loop) + a->delay);
    else if (a->error != NULL)
        finish_error(a);
    else
        finish_ok(a);
}

static void pause_over(struct neo_timer *timer)
{
    struct answer *a = neo_owner(timer, struct answer, pause);
    struct neo_call *call = neo_call_ref(a->call);

    if (a->one_response && a->error != NULL)
        finish_error(a);
    else
        respond(a);
    if (!a->one_response && !neo_call_is_cancelled(call))
        go_on(a);
    neo_call_unref(call);
}

static void ended(struct neo_call *call, const struct neo_status *status, void *state)
{
    struct answer *a = state;

    (void)status;
    neo_loop_disarm(neo_call_loop(call), &a->pause);
}

/* --- how it is to be answered -------------------------------------------------------------- */

typedef bool add_fn(struct neo_call *call, const char *name, struct neo_bytes value);

static void add_fields(struct neo_call *call, struct CC(Header) *const *at, size_t n, add_fn *add)
{
    struct neo_arena *arena = neo_call_arena(call);
    char name[128];

    for (size_t i = 0; i < n; i++) {
        size_t len = at[i]->name.len < sizeof(name) ? at[i]->name.len : sizeof(name) - 1;
        for (size_t k = 0; k < len; k++) {
            uint8_t c = at[i]->name.at[k];
            name[k] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
        }
        name[len] = '\0';
        for (size_t k = 0; k < at[i]->value.len; k++)
            if (!add(call, name, compat_value(neo_text(name), at[i]->value.at[k], arena)))
                (void)fprintf(stderr, "cannot send %s\n", name);
    }
}

static void define_unary(struct answer *a, const struct CC(UnaryResponseDefinition) * d)
{
    a->begun = a->one_response = true;
    if (d == NULL)
        return;
    add_fields(a->call, d->response_headers.at, d->response_headers.len, neo_call_add_header);
    add_fields(a->call, d->response_trailers.at, d->response_trailers.len, neo_call_add_trailer);
    a->delay = d->response_delay_ms * NEO_NSEC_PER_MSEC;
    if (d->response_case == CC(UnaryResponseDefinition_error_FIELD)) {
        a->error = d->error;
    } else {
        a->data = &d->response_data;
        a->n_data = 1;
    }
}

static void define_stream(struct answer *a, const struct CC(StreamResponseDefinition) * d)
{
    a->begun = true;
    if (d == NULL)
        return;
    add_fields(a->call, d->response_headers.at, d->response_headers.len, neo_call_add_header);
    add_fields(a->call, d->response_trailers.at, d->response_trailers.len, neo_call_add_trailer);
    a->delay = d->response_delay_ms * NEO_NSEC_PER_MSEC;
    a->error = d->error;
    a->data = d->response_data.at;
    a->n_data = d->response_data.len;
    neo_call_send_headers(a->call);
}

/* --- the methods --------------------------------------------------------------------------- */

static void unary(struct neo_call *call, const struct CC(UnaryRequest) * request, void *self)
{
    static const struct neo_stream_events events = {.done = ended};
    struct answer *a = answer_new(call);

    (void)self;
    if (a == NULL) {
        neo_call_fail(call, NEO_RESOURCE_EXHAUSTED, "out of memory");
        return;
    }
    a->pause.expired = pause_over;
    keep_request(a, request);
    define_unary(a, request->response_definition);
    a->half_closed = true;
    neo_call_on_stream(call, &events, a);
    go_on(a);
}

static void idempotent_unary(struct neo_call *call,
                             const struct CC(IdempotentUnaryRequest) * request, void *self)
{
    _Static_assert(sizeof(struct CC(UnaryRequest)) == sizeof(*request), "one layout");
    unary(call, (const void *)request, self);
}

static void server_stream(struct neo_call *call, const struct CC(ServerStreamRequest) * request,
                          void *self)
{
    static const struct neo_stream_events events = {.done = ended};
    struct answer *a = answer_new(call);

    (void)self;
    if (a == NULL) {
        neo_call_fail(call, NEO_RESOURCE_EXHAUSTED, "out of memory");
        return;
    }
    a->pause.expired = pause_over;
    keep_request(a, request);
    define_stream(a, request->response_definition);
    a->half_closed = true;
    neo_call_on_stream(call, &events, a);
    go_on(a);
}

/* A request of a stream is gone when its callback returns: the first is decoded anew from the
 * copy that is echoed. */
static const void *own_copy(struct answer *a)
{
    struct neo_arena *arena = neo_call_arena(a->call);
    void *copy = neo_arena_calloc(arena, 1, a->request->size);
    struct neo_error err;

    compat_check(neo_proto_decode(a->request, a->requests[0]->value, copy, arena, &err), &err);
    return copy;
}

static void client_message(struct neo_call *call, const void *request, void *state)
{
    struct answer *a = state;

    (void)call;
    keep_request(a, request);
    if (!a->begun)
        define_unary(a, ((const struct CC(ClientStreamRequest) *)own_copy(a))->response_definition);
}

static void bidi_message(struct neo_call *call, const void *request, void *state)
{
    struct answer *a = state;

    (void)call;
    keep_request(a, request);
    if (!a->begun) {
        const struct CC(BidiStreamRequest) *first = own_copy(a);
        a->full_duplex = first->full_duplex;
        define_stream(a, first->response_definition);
    }
    go_on(a);
}

static void half_closed(struct neo_call *call, void *state)
{
    struct answer *a = state;

    (void)call;
    a->half_closed = true;
    if (!a->begun && (neo_call_method(call)->kind & NEO_SERVER_STREAM) == 0)
        define_unary(a, NULL);
    go_on(a);
}

static void client_stream(struct neo_call *call, const struct CC(ClientStreamRequest) * request,
                          void *self)
{
    static const struct neo_stream_events events = {
        .message = client_message, .half_closed = half_closed, .done = ended};
    struct answer *a = answer_new(call);

    (void)request;
    (void)self;
    a->pause.expired = pause_over;
    neo_call_on_stream(call, &events, a);
}

static void bidi_stream(struct neo_call *call, const struct CC(BidiStreamRequest) * request,
                        void *self)
{
    static const struct neo_stream_events events = {
        .message = bidi_message, .half_closed = half_closed, .done = ended};
    struct answer *a = answer_new(call);

    (void)request;
    (void)self;
    a->pause.expired = pause_over;
    neo_call_on_stream(call, &events, a);
}

/* --- the server ---------------------------------------------------------------------------- */

static const char policy[] = "service: \"anonymous\"\n"
                             "allowed_calls:\n"
                             "  - target_service: \"conformance\"\n"
                             "    operations: [\"*\"]\n";

static struct neo_server *serve(const struct CC(ServerCompatRequest) * asked,
                                struct neo_runtime *runtime)
{
    static const struct CC(ConformanceService_handlers) handlers = {
        .Unary = unary,
        .ServerStream = server_stream,
        .ClientStream = client_stream,
        .BidiStream = bidi_stream,
        .IdempotentUnary = idempotent_unary,
    };
    const struct neo_document document = {NEO_LIT("policy"), neo_text(policy)};
    struct neo_insecure_server insecure = {.mode = NEO_INSECURE_CLEARTEXT};
    struct neo_server_options options = {
        .name = "conformance",
        .runtime = runtime,
        .insecure = &insecure,
        .max_message = asked->message_receive_limit,
        .max_connections_per_identity = 1 << 16,
        .max_deadline = NEO_FOREVER,
        .bare_refusals = true,
        .accept_gzip = true,
    };
    struct neo_server *server;
    struct neo_error err;

    if (asked->use_tls) {
        insecure.mode = NEO_INSECURE_ANONYMOUS_CALLERS;
        insecure.certificate_pem = asked->server_creds->cert;
        insecure.key_pem = asked->server_creds->key;
        insecure.caller_root_pem = asked->client_tls_cert;
    }
    compat_check(neo_policy_compile(&document, 1, &options.epoch.policy, &err), &err);
    compat_check(neo_server_new(&options, &server, &err), &err);
    neo_policy_unref(options.epoch.policy);
    compat_check(CC(ConformanceService_add)(server, &handlers, NULL, &err), &err);
    compat_check(neo_server_listen(server, "127.0.0.1:0", &err), &err);
    return server;
}

int main(void)
{
    struct CC(ServerCompatRequest) asked;
    struct CC(ServerCompatResponse) said = {.host = NEO_LIT("127.0.0.1")};
    struct neo_runtime *runtime;
    struct neo_arena arena;
    struct neo_error err;

    neo_arena_init(&arena, 1 << 20);
    if (!compat_read(&CC(ServerCompatRequest_info), &asked, &arena)) {
        (void)fprintf(stderr, "usage: connectconformance --mode server -- neo-connect-server\n");
        return 2;
    }
    compat_check(neo_runtime_new(1, &runtime, &err), &err);
    struct neo_server *server = serve(&asked, runtime);
    for (const char *c = strrchr(neo_server_address(server), ':') + 1; *c != '\0'; c++)
        said.port = said.port * 10 + (uint32_t)(*c - '0');
    if (asked.use_tls)
        said.pem_cert = asked.server_creds->cert;
    compat_write(&CC(ServerCompatResponse_info), &said);
    neo_runtime_wait(runtime);
    neo_server_free(server);
    neo_runtime_free(runtime);
    neo_arena_fini(&arena);
    return 0;
}
