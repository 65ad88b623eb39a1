/* SPDX-License-Identifier: Apache-2.0 */
/*
 * grpc.testing.TestService.
 *
 * The streaming methods put what they shall answer into a line, and one pump sends
 * it: each answer after its interval, none while the client takes none, and at last
 * the status. So a stream of requests may run ahead of its answers.
 */
#include "serve.h"

#include <neo/compression.h>
#include <neo/memory.h>

#include <stdio.h>
#include <unistd.h>

enum { RESPONSE_MAX = 16 << 20 };

static uint8_t zeros[RESPONSE_MAX];
static char hostname[128];
static char server_id[64];

/* --- what all methods do ---------------------------------------------------------------------- */

static void echo_metadata(struct neo_call *call)
{
    static const char initial[] = "x-grpc-test-echo-initial";
    static const char trailing[] = "x-grpc-test-echo-trailing-bin";
    struct neo_bytes value = neo_call_metadata(call, initial);

    if (value.at != NULL)
        (void)neo_call_add_header(call, initial, value);
    value = neo_call_metadata(call, trailing);
    if (value.at != NULL)
        (void)neo_call_add_trailer(call, trailing, value);
}

/* True when the call has ended for it. */
static bool refuse_other(struct neo_call *call, const struct grpc_testing_BoolValue *expect)
{
    bool compressed = neo_call_was_compressed(call);

    if (expect == NULL || expect->value == compressed)
        return false;
    neo_call_fail(call, NEO_INVALID_ARGUMENT, "expected the message %s, got it %s",
                  expect->value ? "compressed" : "uncompressed",
                  compressed ? "compressed" : "uncompressed");
    return true;
}

static bool wants_compressed(const struct grpc_testing_BoolValue *compressed)
{
    return compressed != NULL && compressed->value;
}

static bool is_size(int32_t size)
{
    return size >= 0 && size <= RESPONSE_MAX;
}

static struct neo_status status_of(const struct grpc_testing_EchoStatus *echo)
{
    return (struct neo_status){.code = (enum neo_code)echo->code, .message = echo->message};
}

/* --- one answer ------------------------------------------------------------------------------- */

static void empty_call(struct neo_call *call, const struct grpc_testing_Empty *request, void *self)
{
    static const struct grpc_testing_Empty reply;

    (void)request;
    (void)self;
    echo_metadata(call);
    grpc_testing_TestService_EmptyCall_reply(call, &reply);
}

static void unary_call(struct neo_call *call, const struct grpc_testing_SimpleRequest *request,
                       void *self)
{
    struct grpc_testing_Payload payload = {
        .body = neo_bytes(zeros,
                          (size_t)(is_size(request->response_size) ? request->response_size : 0))};
    struct grpc_testing_SimpleResponse reply = {
        .payload = &payload,
        .hostname = neo_text(hostname),
    };

    (void)self;
    echo_metadata(call);
    if (refuse_other(call, request->expect_compressed))
        return;
    if (request->orca_per_query_report != NULL)
        orca_report_call(call, request->orca_per_query_report);
    if (request->response_status != NULL && request->response_status->code != 0) {
        struct neo_status status = status_of(request->response_status);
        neo_call_finish(call, &status);
        return;
    }
    if (request->response_type != grpc_testing_COMPRESSABLE || !is_size(request->response_size)) {
        neo_call_fail(call, NEO_INVALID_ARGUMENT, "a response of type %d and size %d",
                      request->response_type, request->response_size);
        return;
    }
    if (request->fill_server_id)
        reply.server_id = neo_text(server_id);
    if (request->fill_username)
        reply.username = neo_call_context(call)->caller;
    (void)neo_call_compress(call, wants_compressed(request->response_compressed));
    grpc_testing_TestService_UnaryCall_reply(call, &reply);
}

struct summing {
    int64_t sum;
};

static void sum_one(struct neo_call *call, const void *message, void *state)
{
    const struct grpc_testing_StreamingInputCallRequest *request = message;
    struct summing *s = state;

    if (!refuse_other(call, request->expect_compressed) && request->payload != NULL)
        s->sum += (int64_t)request->payload->body.len;
}

static void sum_end(struct neo_call *call, void *state)
{
    struct summing *s = state;

    if (s->sum > INT32_MAX) {
        neo_call_fail(call, NEO_OUT_OF_RANGE, "%lld bytes are more than the answer can tell",
                      (long long)s->sum);
        return;
    }
    struct grpc_testing_StreamingInputCallResponse reply = {.aggregated_payload_size =
                                                                (int32_t)s->sum};
    grpc_testing_TestService_StreamingInputCall_reply(call, &reply);
}

static void streaming_input_call(struct neo_call *call,
                                 const struct grpc_testing_StreamingInputCallRequest *none,
                                 void *self)
{
    static const struct neo_stream_events events = {.message = sum_one, .half_closed = sum_end};
    struct summing *s = neo_arena_calloc(neo_call_arena(call), 1, sizeof(*s));

    (void)none;
    (void)self;
    if (s == NULL) {
        neo_call_fail(call, NEO_RESOURCE_EXHAUSTED, "out of memory");
        return;
    }
    echo_metadata(call);
    neo_call_on_stream(call, &events, s);
}

/* --- answers that stream ---------------------------------------------------------------------- */

/* One of the line: an answer, or the end. */
struct item {
    struct item *next;
    size_t size;
    neo_nsec interval;
    bool compressed;
    bool is_end;
    struct neo_status status;
    char message[];
};

struct output {
    struct neo_call *call;
    struct item *first;
    struct item **end;
    struct neo_timer interval;
    bool waited;   /* the interval of the first in line is over */
    bool full;     /* the client takes nothing now */
    bool held;     /* until the client has sent all */
    bool complete; /* nothing more is put into the line */
};

static void drop_first(struct output *o)
{
    struct item *item = o->first;

    o->first = item->next;
    if (o->first == NULL)
        o->end = &o->first;
    o->waited = false;
    neo_free(item);
}

/* False when the first in line must wait, or was the last. */
static bool send_first(struct output *o)
{
    struct item *item = o->first;
    struct neo_loop *loop = neo_call_loop(o->call);
    struct grpc_testing_Payload payload = {.body = neo_bytes(zeros, item->size)};
    struct grpc_testing_StreamingOutputCallResponse response = {.payload = &payload};

    if (item->interval > 0 && !o->waited) {
        neo_loop_arm(loop, &o->interval, neo_loop_now(loop) + item->interval);
        return false;
    }
    if (item->is_end) {
        neo_call_finish(o->call, &item->status); /* `done` empties the line */
        return false;
    }
    (void)neo_call_compress(o->call, item->compressed);
    drop_first(o);
    o->full = neo_call_send(o->call, &response) != NEO_FLOW_MORE;
    return !o->full;
}

static void pump(struct output *o)
{
    if (o->held || o->full || neo_timer_is_armed(&o->interval))
        return;
    while (o->first != NULL)
        if (!send_first(o))
            return;
}

static void on_interval(struct neo_timer *timer)
{
    struct output *o = neo_owner(timer, struct output, interval);

    o->waited = true;
    pump(o);
}

static struct item *put(struct output *o, struct neo_bytes message)
{
    struct item *item = neo_alloc(sizeof(*item) + message.len);

    if (item == NULL) {
        neo_call_fail(o->call, NEO_RESOURCE_EXHAUSTED, "out of memory");
        return NULL;
    }
    if (message.len > 0)
        memcpy(item->message, message.at, message.len);
    item->status.message = neo_bytes(item->message, message.len);
    *o->end = item;
    o->end = &item->next;
    return item;
}

static void put_end(struct output *o, struct neo_status status)
{
    struct item *item = put(o, status.message);

    o->complete = true;
    if (item == NULL)
        return;
    item->is_end = true;
    item->status.code = status.code;
}

static void put_responses(struct output *o,
                          const struct grpc_testing_StreamingOutputCallRequest *request)
{
    for (size_t i = 0; i < request->response_parameters.len && !o->complete; i++) {
        const struct grpc_testing_ResponseParameters *p = request->response_parameters.at[i];
        if (!is_size(p->size) || p->interval_us < 0) {
            put_end(o, neo_status_of(NEO_INVALID_ARGUMENT, "a size or interval out of range"));
            return;
        }
        struct item *item = put(o, (struct neo_bytes){0});
        if (item == NULL)
            return;
        item->size = (size_t)p->size;
        item->compressed = wants_compressed(p->compressed);
        item->interval = (neo_nsec)p->interval_us * 1000;
    }
}

static void take_request(struct neo_call *call, const void *message, void *state)
{
    const struct grpc_testing_StreamingOutputCallRequest *request = message;
    struct output *o = state;

    (void)call;
    if (o->complete)
        return;
    if (request->orca_oob_report != NULL)
        orca_report_all(request->orca_oob_report);
    put_responses(o, request);
    if (!o->complete && request->response_status != NULL && request->response_status->code != 0)
        put_end(o, status_of(request->response_status));
    pump(o);
}

static void take_end(struct neo_call *call, void *state)
{
    struct output *o = state;

    (void)call;
    o->held = false;
    if (!o->complete)
        put_end(o, neo_status_of(NEO_OK, ""));
    pump(o);
}

static void on_writable(struct neo_call *call, void *state)
{
    struct output *o = state;

    (void)call;
    o->full = false;
    pump(o);
}

static void on_done(struct neo_call *call, const struct neo_status *status, void *state)
{
    struct output *o = state;

    (void)status;
    o->complete = o->held = true;
    neo_loop_disarm(neo_call_loop(call), &o->interval);
    while (o->first != NULL)
        drop_first(o);
}

static struct output *begin(struct neo_call *call)
{
    static const struct neo_stream_events events = {
        .message = take_request, .half_closed = take_end, .writable = on_writable, .done = on_done};
    struct output *o = neo_arena_calloc(neo_call_arena(call), 1, sizeof(*o));

    if (o == NULL) {
        neo_call_fail(call, NEO_RESOURCE_EXHAUSTED, "out of memory");
        return NULL;
    }
    o->call = call;
    o->interval.expired = on_interval;
    o->end = &o->first;
    neo_call_on_stream(call, &events, o);
    echo_metadata(call);
    (void)neo_call_compress(call, true); /* the headers go before we know whether any will be */
    return o;
}

static void streaming_output_call(struct neo_call *call,
                                  const struct grpc_testing_StreamingOutputCallRequest *request,
                                  void *self)
{
    struct output *o = begin(call);

    (void)self;
    if (o == NULL)
        return;
    o->held = true; /* so that the request and its end are one */
    take_request(call, request, o);
    take_end(call, o);
}

static void full_duplex_call(struct neo_call *call,
                             const struct grpc_testing_StreamingOutputCallRequest *none, void *self)
{
    (void)none;
    (void)self;
    (void)begin(call);
}

static void half_duplex_call(struct neo_call *call,
                             const struct grpc_testing_StreamingOutputCallRequest *none, void *self)
{
    struct output *o = begin(call);

    (void)none;
    (void)self;
    if (o != NULL)
        o->held = true;
}

enum neo_code serve_add(struct neo_server *server, struct neo_error *err)
{
    static const struct grpc_testing_TestService_handlers handlers = {
        .EmptyCall = empty_call,
        .UnaryCall = unary_call,
        .CacheableUnaryCall = unary_call,
        .StreamingOutputCall = streaming_output_call,
        .StreamingInputCall = streaming_input_call,
        .FullDuplexCall = full_duplex_call,
        .HalfDuplexCall = half_duplex_call,
    };

    if (gethostname(hostname, sizeof(hostname) - 1) != 0)
        hostname[0] = '\0';
    (void)snprintf(server_id, sizeof(server_id), "neo-interop-server %ld", (long)getpid());
    return grpc_testing_TestService_add(server, &handlers, NULL, err);
}
