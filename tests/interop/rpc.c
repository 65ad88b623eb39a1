/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc.h"

#include <stdarg.h>
#include <stdio.h>

#define PATIENCE (60 * NEO_NSEC_PER_SEC)

enum { BUDGET = 64 << 20, ZEROS_MAX = 4 << 20 };

/* --- saying so -------------------------------------------------------------------------------- */

bool fail(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    (void)fputc('\n', stderr);
    return false;
}

bool expect_status(const struct rpc *rpc, enum neo_code code, const char *message)
{
    if (rpc->status.code != code)
        return fail("%s: expected %s, got %s: %.*s", rpc->method->path, neo_code_name(code),
                    neo_code_name(rpc->status.code), NEO_FMT(rpc->status.message));
    return message == NULL || expect_text("grpc-message", neo_text(message), rpc->status.message);
}

bool expect_ok(const struct rpc *rpc)
{
    return expect_status(rpc, NEO_OK, NULL);
}

bool expect_count(const struct rpc *rpc, size_t n)
{
    return expect_number("number of responses", (int64_t)n, (int64_t)rpc->n_messages);
}

bool expect_text(const char *what, struct neo_bytes expected, struct neo_bytes got)
{
    if (neo_bytes_equal(expected, got))
        return true;
    return fail("%s: expected \"%.*s\" (%zu bytes), got \"%.*s\" (%zu bytes)", what,
                NEO_FMT(expected), expected.len, NEO_FMT(got), got.len);
}

bool expect_number(const char *what, int64_t expected, int64_t got)
{
    if (expected == got)
        return true;
    return fail("%s: expected %lld, got %lld", what, (long long)expected, (long long)got);
}

/* --- the loop --------------------------------------------------------------------------------- */

struct alarm {
    struct neo_timer timer;
    struct neo_loop *loop;
    bool rang;
};

static void ring(struct neo_timer *timer)
{
    struct alarm *a = neo_owner(timer, struct alarm, timer);

    a->rang = true;
    neo_loop_stop(a->loop);
}

static bool run_for(struct client *c, neo_nsec time)
{
    struct alarm a = {.timer = {.expired = ring}, .loop = c->loop};

    neo_loop_arm(c->loop, &a.timer, neo_loop_now(c->loop) + time);
    neo_loop_run(c->loop);
    neo_loop_disarm(c->loop, &a.timer);
    return !a.rang;
}

bool rpc_run(struct client *c)
{
    return run_for(c, PATIENCE) || fail("nothing happened for 60 s");
}

/* Other events wake the loop early: until the time is over. */
void rpc_pause(struct client *c, neo_nsec time)
{
    neo_nsec end = neo_mono_nsec() + time;

    for (neo_nsec now = neo_mono_nsec(); now < end; now = neo_mono_nsec())
        (void)run_for(c, end - now);
}

/* --- events ----------------------------------------------------------------------------------- */

static struct neo_bytes metadata(struct rpc *rpc, const char *name)
{
    return neo_arena_copy(&rpc->arena, neo_client_call_metadata(rpc->call, name));
}

static void on_headers(struct neo_client_call *call, void *self)
{
    struct rpc *rpc = self;

    (void)call;
    rpc->got_headers = true;
    rpc->echo_initial = metadata(rpc, "x-grpc-test-echo-initial");
    neo_loop_stop(rpc->client->loop);
}

static void on_message(struct neo_client_call *call, const void *response, void *self)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer wire = {0};
    struct rpc *rpc = self;

    if (rpc->n_messages < RPC_MESSAGES_MAX)
        rpc->compressed[rpc->n_messages] = neo_client_call_was_compressed(call);
    if (rpc->n_messages < RPC_MESSAGES_MAX &&
        neo_proto_encode(rpc->method->response, response, &wire, NULL) == NEO_OK)
        rpc->messages[rpc->n_messages++] = neo_arena_copy(&rpc->arena, neo_buffer_bytes(&wire));
    neo_loop_stop(rpc->client->loop);
}

static void on_writable(struct neo_client_call *call, void *self)
{
    struct rpc *rpc = self;

    (void)call;
    rpc->writable = true;
    neo_loop_stop(rpc->client->loop);
}

static void on_done(struct neo_client_call *call, const struct neo_status *status, void *self)
{
    struct rpc *rpc = self;
    const char *peer = neo_client_call_peer(call);

    rpc->status.code = status->code;
    rpc->status.message = neo_arena_copy(&rpc->arena, status->message);
    rpc->echo_trailing = metadata(rpc, "x-grpc-test-echo-trailing-bin");
    rpc->load_report = metadata(rpc, "endpoint-load-metrics-bin");
    (void)snprintf(rpc->peer, sizeof(rpc->peer), "%s", peer == NULL ? "" : peer);
    rpc->done = true;
    rpc->ended_at = neo_mono_nsec();
    rpc->call = NULL;
    if (rpc->ended != NULL)
        rpc->ended(rpc, rpc->self);
    neo_loop_stop(rpc->client->loop);
}

/* --- calls ------------------------------------------------------------------------------------ */

bool rpc_start(struct rpc *rpc, struct client *c, const struct neo_method *method,
               const struct neo_call_options *options, const void *request)
{
    static const struct neo_client_events events = {
        .headers = on_headers, .message = on_message, .writable = on_writable, .done = on_done};
    struct neo_call_options with = {0};
    struct neo_error err;

    if (options != NULL)
        with = *options;
    if (with.metadata == NULL) {
        with.metadata = c->metadata;
        with.n_metadata = c->n_metadata;
    }
    rpc->client = c;
    rpc->method = method;
    neo_arena_init(&rpc->arena, BUDGET);
    enum neo_code code =
        neo_channel_start(c->channel, method, &with, request, &events, rpc, &rpc->call, &err);
    return code == NEO_OK || fail("%s: %s: %s", method->path, neo_code_name(code), err.message);
}

bool rpc_send(struct rpc *rpc, const void *request)
{
    if (rpc->done)
        return false;
    rpc->writable = false;
    enum neo_flow flow = neo_client_call_send(rpc->call, request);
    while (flow == NEO_FLOW_FULL && !rpc->writable && !rpc->done)
        if (!rpc_run(rpc->client))
            return false;
    return flow != NEO_FLOW_GONE;
}

void rpc_close_send(struct rpc *rpc)
{
    if (!rpc->done)
        neo_client_call_close_send(rpc->call);
}

void rpc_cancel(struct rpc *rpc)
{
    if (!rpc->done)
        neo_client_call_cancel(rpc->call);
}

bool rpc_wait_messages(struct rpc *rpc, size_t n)
{
    while (rpc->n_messages < n && !rpc->done)
        if (!rpc_run(rpc->client))
            return false;
    return rpc->n_messages >= n ||
           fail("%s: expected response %zu, got %s: %.*s", rpc->method->path, n,
                neo_code_name(rpc->status.code), NEO_FMT(rpc->status.message));
}

void rpc_wait(struct rpc *rpc)
{
    while (!rpc->done)
        if (!rpc_run(rpc->client)) {
            rpc_cancel(rpc);
            rpc_wait(rpc);
        }
}

void rpc_fini(struct rpc *rpc)
{
    if (rpc->call != NULL) {
        rpc_cancel(rpc);
        rpc_wait(rpc);
    }
    neo_arena_fini(&rpc->arena);
}

bool rpc_message(struct rpc *rpc, size_t i, void *response)
{
    struct neo_error err;

    if (i >= rpc->n_messages)
        return fail("%s: there is no response %zu", rpc->method->path, i);
    memset(response, 0, rpc->method->response->size);
    return neo_proto_decode(rpc->method->response, rpc->messages[i], response, &rpc->arena, &err) ==
               NEO_OK ||
           fail("%s: response %zu: %s", rpc->method->path, i, err.message);
}

/* --- helpers ---------------------------------------------------------------------------------- */

struct grpc_testing_Payload zeros_of(size_t n)
{
    static uint8_t zeros[ZEROS_MAX];

    return (struct grpc_testing_Payload){.body = neo_bytes(zeros, n < ZEROS_MAX ? n : ZEROS_MAX)};
}

static bool expect_payload(const struct grpc_testing_Payload *payload, size_t size)
{
    size_t len = payload == NULL ? 0 : payload->body.len;

    if (payload != NULL && payload->type != grpc_testing_COMPRESSABLE)
        return fail("payload: expected type COMPRESSABLE, got %d", payload->type);
    if (!expect_number("size of the payload", (int64_t)size, (int64_t)len))
        return false;
    for (size_t i = 0; i < len; i++)
        if (payload->body.at[i] != 0)
            return fail("payload: byte %zu is not zero", i);
    return true;
}

bool check_unary(struct client *c, const struct grpc_testing_SimpleRequest *request)
{
    struct grpc_testing_SimpleResponse response;
    struct rpc rpc = {0};

    if (!rpc_start(&rpc, c, TEST_METHOD(UnaryCall), NULL, request))
        return false;
    rpc_wait(&rpc);
    bool ok = expect_ok(&rpc) && expect_count(&rpc, 1) && rpc_message(&rpc, 0, &response) &&
              expect_payload(response.payload, (size_t)request->response_size);
    rpc_fini(&rpc);
    return ok;
}

bool expect_body(struct rpc *rpc, size_t i, size_t size)
{
    struct grpc_testing_StreamingOutputCallResponse response;

    return rpc_message(rpc, i, &response) && expect_payload(response.payload, size);
}
