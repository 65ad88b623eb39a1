/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client under ConnectRPC's conformance runner: makes the calls that it is told to on standard
 * input, and tells how they went.
 *
 * Eight threads take one request each from the input, have it carried out on one loop, with a
 * channel of its own, and wait. On the loop a call goes through its requests one by one: a pause, a
 * message, and in full duplex its response.
 */
#include <neo/insecure.h>
#include <neo/runtime.h>

#include "compat.h"

#include <google/rpc/status.neo.h>

#include <pthread.h>
#include <stdio.h>

#define CC(name) connectrpc_conformance_v1_##name

enum { THREADS = 8, ARENA = 32 << 20, PAYLOADS_MAX = 64, PAIRS_MAX = 64 };

struct run {
    const struct CC(ClientCompatRequest) * asked;
    const struct neo_method *method;
    struct neo_arena *arena;
    struct neo_loop *loop;
    struct neo_channel *channel;
    struct neo_client_call *call; /* NULL: over */
    struct neo_timer pause;
    struct neo_timer cancel;
    bool full_duplex;
    bool send_closed;
    size_t sent;

    struct CC(ConformancePayload) * payloads[PAYLOADS_MAX];
    struct CC(ClientCompatResponse) answer;
    struct CC(ClientResponseResult) result;
    struct CC(ClientErrorResult) impossible;
    struct CC(Error) error;
    struct compat_list headers;
    struct compat_list trailers;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool over;
};

static struct neo_runtime *runtime;

/* --- the end ------------------------------------------------------------------------------- */

static void tell_over(struct run *r)
{
    (void)pthread_mutex_lock(&r->lock);
    r->over = true;
    (void)pthread_cond_signal(&r->changed);
    (void)pthread_mutex_unlock(&r->lock);
}

static void fail(struct run *r, const char *text)
{
    r->answer.result_case = CC(ClientCompatResponse_error_FIELD);
    r->answer.error = &r->impossible;
    r->impossible.message = neo_arena_copy(r->arena, neo_text(text));
}

static void keep_error(struct run *r, const struct neo_status *status)
{
    struct google_rpc_Status details;
    struct neo_bytes wire = neo_arena_copy(r->arena, status->details);

    r->result.error = &r->error;
    r->error.code = (int32_t)status->code;
    r->error.has_message = true;
    r->error.message = neo_arena_copy(r->arena, status->message);
    if (google_rpc_Status_decode(wire, &details, r->arena, NULL) == NEO_OK) {
        r->error.details.at = details.details.at;
        r->error.details.len = details.details.len;
    }
}

static void keep_metadata(struct run *r, struct neo_client_call *call)
{
    struct neo_metadata_cursor header = {0}, trailer = {0};
    struct neo_pair pair;

    while (neo_client_call_header_next(call, &header, &pair))
        compat_add(&r->headers, pair, r->arena);
    while (neo_client_call_trailer_next(call, &trailer, &pair))
        compat_add(&r->trailers, pair, r->arena);
    r->result.response_headers.at = r->headers.at;
    r->result.response_headers.len = r->headers.len;
    r->result.response_trailers.at = r->trailers.at;
    r->result.response_trailers.len = r->trailers.len;
}

static void done(struct neo_client_call *call, const struct neo_status *status, void *self)
{
    struct run *r = self;

    neo_loop_disarm(r->loop, &r->pause);
    neo_loop_disarm(r->loop, &r->cancel);
    r->call = NULL;
    keep_metadata(r, call);
    r->result.payloads.at = r->payloads;
    if (status->code != NEO_OK) {
        keep_error(r, status);
        if ((r->method->kind & NEO_SERVER_STREAM) == 0)
            r->result.payloads.len = 0;
    }
    r->result.num_unsent_requests = (int32_t)(r->asked->request_messages.len - r->sent);
    tell_over(r);
}

/* --- on the way ---------------------------------------------------------------------------- */

static const struct CC(ClientCompatRequest_Cancel) * cancel_of(const struct run *r, int32_t timing)
{
    const struct CC(ClientCompatRequest_Cancel) *c = r->asked->cancel;

    return c != NULL && c->cancel_timing_case == timing ? c : NULL;
}

static void cancel_now(struct run *r)
{
    if (r->call != NULL)
        neo_client_call_cancel(r->call);
}

static void cancel_due(struct neo_timer *timer)
{
    cancel_now(neo_owner(timer, struct run, cancel));
}

static void after_close(struct run *r)
{
    const struct CC(ClientCompatRequest_Cancel) *c =
        cancel_of(r, CC(ClientCompatRequest_Cancel_after_close_send_ms_FIELD));

    r->send_closed = true;
    if (c != NULL)
        neo_loop_arm(r->loop, &r->cancel,
                     neo_loop_now(r->loop) + c->after_close_send_ms * NEO_NSEC_PER_MSEC);
}

static void close_send(struct run *r)
{
    if (cancel_of(r, CC(ClientCompatRequest_Cancel_before_close_send_FIELD)) != NULL) {
        cancel_now(r);
        return;
    }
    neo_client_call_close_send(r->call);
    after_close(r);
}

/* A pause before the next message; the end of sending after the last. */
static void next_request(struct run *r)
{
    neo_nsec wait = r->asked->request_delay_ms * NEO_NSEC_PER_MSEC;

    if (r->call == NULL || r->send_closed)
        return;
    if (r->sent == r->asked->request_messages.len)
        close_send(r);
    else
        neo_loop_arm(r->loop, &r->pause, neo_loop_now(r->loop) + wait);
}

/* A message of the method's request type; NULL when the runner gave another. */
static const void *request_at(struct run *r, size_t i)
{
    const struct google_protobuf_Any *any = r->asked->request_messages.at[i];
    const struct neo_message_info *info = r->method->request;
    void *message = neo_arena_calloc(r->arena, 1, info->size);
    size_t len = strlen(info->full_name);

    if (message == NULL || any->type_url.len < len ||
        memcmp(any->type_url.at + any->type_url.len - len, info->full_name, len) != 0 ||
        neo_proto_decode(info, any->value, message, r->arena, NULL) != NEO_OK)
        return NULL;
    return message;
}

static void pause_over(struct neo_timer *timer)
{
    struct run *r = neo_owner(timer, struct run, pause);
    const void *message = request_at(r, r->sent);

    if (message == NULL || neo_client_call_send(r->call, message) == NEO_FLOW_GONE)
        return; /* `done` counts what was not sent */
    r->sent++;
    if (!r->full_duplex)
        next_request(r);
}

static void got(struct neo_client_call *call, const void *response, void *self)
{
    static const struct CC(ConformancePayload) nothing;
    struct run *r = self;
    /* The responses differ in name only: field 1 is the payload. */
    const struct CC(UnaryResponse) *m = response;
    const struct neo_message_info *info = &CC(ConformancePayload_info);
    struct CC(ConformancePayload) *copy = neo_arena_calloc(r->arena, 1, sizeof(*copy));
    struct neo_bytes wire =
        compat_encode(info, m->payload == NULL ? &nothing : m->payload, r->arena);
    struct neo_error err;

    (void)call;
    if (r->result.payloads.len == PAYLOADS_MAX)
        return;
    compat_check(neo_proto_decode(info, wire, copy, r->arena, &err), &err);
    r->payloads[r->result.payloads.len++] = copy;

    const struct CC(ClientCompatRequest_Cancel) *c =
        cancel_of(r, CC(ClientCompatRequest_Cancel_after_num_responses_FIELD));
    if (c != NULL && c->after_num_responses == r->result.payloads.len)
        cancel_now(r);
    else if (r->full_duplex)
        next_request(r);
}

/* --- the beginning ------------------------------------------------------------------------- */

static struct neo_bytes lower(struct neo_bytes name, struct neo_arena *arena)
{
    char *text = neo_arena_string(arena, name);

    for (char *c = text; *c != '\0'; c++)
        *c = (char)(*c >= 'A' && *c <= 'Z' ? *c + 32 : *c);
    return neo_text(text);
}

static size_t make_metadata(struct run *r, struct neo_pair pairs[static PAIRS_MAX])
{
    size_t n = 0;

    for (size_t i = 0; i < r->asked->request_headers.len; i++) {
        const struct CC(Header) *h = r->asked->request_headers.at[i];
        struct neo_bytes name = lower(h->name, r->arena);
        for (size_t k = 0; k < h->value.len && n < PAIRS_MAX; k++)
            pairs[n++] = (struct neo_pair){name, compat_value(name, h->value.at[k], r->arena)};
    }
    return n;
}

static enum neo_code open_channel(struct run *r, struct neo_error *err)
{
    const struct CC(ClientCompatRequest) *asked = r->asked;
    const char *target =
        neo_arena_printf(r->arena, "ipv4:%.*s:%u", NEO_FMT(asked->host), (unsigned)asked->port);
    struct neo_insecure_channel insecure = {.mode = NEO_INSECURE_CLEARTEXT,
                                            .server_name = "localhost"};
    const struct neo_channel_options options = {
        .loop = r->loop,
        .insecure = &insecure,
        .service_config = "{\"loadBalancingConfig\": [{\"round_robin\": {}}]}",
        .max_message = asked->message_receive_limit,
        .accept_gzip = asked->compression == CC(COMPRESSION_GZIP),
        .wait_for_ready = true,
    };

    if (asked->server_tls_cert.len > 0) {
        insecure.mode = NEO_INSECURE_ANONYMOUS_CALLERS;
        insecure.root_pem = asked->server_tls_cert;
    }
    if (asked->client_tls_creds != NULL) {
        insecure.certificate_pem = asked->client_tls_creds->cert;
        insecure.key_pem = asked->client_tls_creds->key;
    }
    return neo_channel_open(target, &options, &r->channel, err);
}

static enum neo_code start_call(struct run *r, struct neo_error *err)
{
    static const struct neo_client_events events = {.message = got, .done = done};
    const struct CC(ClientCompatRequest) *asked = r->asked;
    struct neo_pair pairs[PAIRS_MAX];
    const struct neo_call_options options = {
        .timeout = asked->has_timeout_ms ? asked->timeout_ms * NEO_NSEC_PER_MSEC + 1 : 0,
        .metadata = pairs,
        .n_metadata = make_metadata(r, pairs),
        .wait_for_ready = true,
        .gzip = asked->compression == CC(COMPRESSION_GZIP),
    };
    bool streams = (r->method->kind & NEO_CLIENT_STREAM) != 0;
    const void *request = NULL;

    if (!streams) {
        request = asked->request_messages.len == 1 ? request_at(r, 0) : NULL;
        if (request == NULL)
            return neo_fail(err, NEO_INVALID_ARGUMENT, "not one request of the method's type");
        r->sent = 1;
    }
    NEO_TRY(neo_channel_start(r->channel, r->method, &options, request, &events, r, &r->call, err));
    if (streams)
        next_request(r);
    else
        after_close(r);
    return NEO_OK;
}

static void begin(void *self)
{
    struct run *r = self;
    struct neo_error err;

    if (open_channel(r, &err) != NEO_OK || start_call(r, &err) != NEO_OK) {
        fail(r, err.message);
        tell_over(r);
    }
}

static const struct neo_method *find_method(struct neo_bytes name)
{
    const struct neo_service_info *service = &CC(ConformanceService_info);

    for (uint32_t i = 0; i < service->n_methods; i++)
        if (neo_bytes_is(name, service->methods[i].name))
            return &service->methods[i];
    return NULL;
}

/* --- the threads --------------------------------------------------------------------------- */

static void carry_out(struct run *r)
{
    r->answer = (struct CC(ClientCompatResponse)){
        .test_name = r->asked->test_name,
        .result_case = CC(ClientCompatResponse_response_FIELD),
        .response = &r->result,
    };
    r->method = find_method(r->asked->method);
    if (r->method == NULL) {
        fail(r, "no such method");
        return;
    }
    r->full_duplex = r->asked->stream_type == CC(STREAM_TYPE_FULL_DUPLEX_BIDI_STREAM);
    r->loop = neo_runtime_loop(runtime, 0);
    neo_runtime_call(runtime, 0, begin, r);
    (void)pthread_mutex_lock(&r->lock);
    while (!r->over)
        (void)pthread_cond_wait(&r->changed, &r->lock);
    (void)pthread_mutex_unlock(&r->lock);
    if (r->channel != NULL)
        neo_channel_free(r->channel);
}

static void *work(void *self)
{
    static pthread_mutex_t input = PTHREAD_MUTEX_INITIALIZER;
    bool more = true;

    (void)self;
    while (more) {
        struct neo_arena arena;
        struct CC(ClientCompatRequest) asked;
        struct run r = {.asked = &asked,
                        .arena = &arena,
                        .pause = {.expired = pause_over},
                        .cancel = {.expired = cancel_due},
                        .lock = PTHREAD_MUTEX_INITIALIZER,
                        .changed = PTHREAD_COND_INITIALIZER};

        neo_arena_init(&arena, ARENA);
        (void)pthread_mutex_lock(&input);
        more = compat_read(&CC(ClientCompatRequest_info), &asked, &arena);
        (void)pthread_mutex_unlock(&input);
        if (more) {
            carry_out(&r);
            compat_write(&CC(ClientCompatResponse_info), &r.answer);
        }
        neo_arena_fini(&arena);
    }
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];
    struct neo_error err;

    compat_check(neo_runtime_new(1, &runtime, &err), &err);
    for (int i = 0; i < THREADS; i++)
        (void)pthread_create(&threads[i], NULL, work, NULL);
    for (int i = 0; i < THREADS; i++)
        (void)pthread_join(threads[i], NULL);
    neo_runtime_free(runtime);
    return 0;
}
