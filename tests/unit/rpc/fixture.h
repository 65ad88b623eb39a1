/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fixture.h - a server with a service of every kind, and clients to call it.
 *
 * The same test is built twice: with NEO_SIM against the twin, where half a minute
 * of waiting costs nothing, and without it against the kernel, with the server on
 * threads of its own.
 */
#ifndef NEO_TESTS_UNIT_RPC_FIXTURE_H
#define NEO_TESTS_UNIT_RPC_FIXTURE_H

#include "unit/unit.h"

#include "support/pki.h"
#include "support/rpc_client.h"

#include "rpc/wire.h"

#include <neo/memory.h>
#include <neo/server.h>
#include <neo/test/v1/echo.neo.h>

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MSEC NEO_NSEC_PER_MSEC
#define SEC  NEO_NSEC_PER_SEC

#ifdef NEO_SIM
#include "support/sim.h"
#define PATIENCE (3600 * SEC)

static inline void begin_world(void)
{
    sim_new(1);
}

static inline void end_world(void)
{
    sim_free();
}
#else
#define PATIENCE (10 * SEC)

static inline void begin_world(void)
{
}

static inline void end_world(void)
{
}
#endif

/* --- what the handlers saw --------------------------------------------------------------- */

static atomic_uint said, heard_done, was_cancelled, in_block, counted, overwritten;
static atomic_int done_code;
static char done_reason[64];
static char seen_caller[64];
static atomic_bool seen_attested;

static inline void on_done(struct neo_call *call, const struct neo_status *status, void *state)
{
    (void)state;
    (void)snprintf(done_reason, sizeof(done_reason), "%.*s", NEO_FMT(status->reason));
    atomic_store(&done_code, (int)status->code);
    atomic_fetch_add(&was_cancelled, neo_call_is_cancelled(call));
    atomic_fetch_add(&heard_done, 1);
}

static inline void say(struct neo_call *call, const struct neo_test_v1_Echo *request, void *self)
{
    const struct neo_context *c = neo_call_context(call);
    struct neo_test_v1_Echo response = *request;
    struct neo_bytes name = neo_call_metadata(call, "x-caller-id");

    (void)self;
    atomic_fetch_add(&said, 1);
    (void)snprintf(seen_caller, sizeof(seen_caller), "%.*s", NEO_FMT(name));
    atomic_store(&seen_attested, c->caller_attested);
    if (neo_bytes_is(request->text, "fail")) {
        neo_call_fail(call, NEO_NOT_FOUND, "no %u", request->count);
        return;
    }
    if (neo_bytes_is(request->text, "headers")) {
        (void)neo_call_add_header(call, "x-greeting", NEO_LIT("hello"));
        (void)neo_call_add_trailer(call, "x-farewell-bin", NEO_LIT("\1\2\3"));
        assert(!neo_call_add_header(call, "grpc-status", NEO_LIT("0")));
        assert(!neo_call_add_header(call, "X-Upper", NEO_LIT("0")));
        assert(!neo_call_add_header(call, "x-a", NEO_LIT("a\r\nb")));
    }
    neo_call_reply(call, &response);
}

static inline void never(struct neo_call *call, const struct neo_test_v1_Echo *request, void *self)
{
    static const struct neo_stream_events events = {.done = on_done};

    (void)request;
    (void)self;
    neo_call_on_stream(call, &events, NULL);
    atomic_fetch_add(&said, 1);
}

/* Held beyond its end: request and arena must still be there. */
struct late {
    struct neo_timer timer;
    struct neo_call *call;
    const struct neo_test_v1_Echo *request;
};

/* A `count` for which it is answered when the test says so. */
#define UNTIL_LET_GO UINT32_MAX
static atomic_bool let_go;

static inline void answer_late(struct neo_timer *timer)
{
    struct late *late = neo_owner(timer, struct late, timer);
    struct neo_call *call = late->call;

    if (late->request->count == UNTIL_LET_GO && !atomic_load(&let_go)) {
        neo_loop_arm(neo_call_loop(call), timer, neo_loop_now(neo_call_loop(call)) + 5 * MSEC);
        return;
    }
    atomic_fetch_add(&was_cancelled, neo_call_is_cancelled(call));
    neo_call_reply(call, late->request);
    atomic_fetch_add(&heard_done, 1);
    neo_call_unref(call);
}

static inline void later(struct neo_call *call, const struct neo_test_v1_Echo *request, void *self)
{
    struct late *late = neo_arena_calloc(neo_call_arena(call), 1, sizeof(*late));
    struct neo_loop *loop = neo_call_loop(call);

    (void)self;
    *late = (struct late){{.expired = answer_late}, neo_call_ref(call), request};
    atomic_fetch_add(&said, 1);
    neo_loop_arm(loop, &late->timer,
                 neo_loop_now(loop) + (request->count == UNTIL_LET_GO ? 5 : request->count) * MSEC);
}

#ifndef NEO_SIM
struct piece {
    struct piece *before, *self;
};

/* Takes of the call's memory until the call has ended, and a little longer; counts what others
 * wrote over. */
static inline void take_pieces(struct neo_call *call)
{
    struct piece *last = NULL;

    for (unsigned more = 0, n = 0; n < 500000 && more < 2000;
         n++, more += neo_call_is_cancelled(call)) {
        struct piece *p = neo_arena_alloc(neo_call_arena(call), sizeof(*p));
        if (p == NULL)
            break;
        *p = (struct piece){last, p};
        last = p;
    }
    for (; last != NULL; last = last->before)
        if (last->self != last) {
            atomic_fetch_add(&overwritten, 1);
            return;
        }
}
#endif

static inline void block(struct neo_call *call, const struct neo_test_v1_Echo *request, void *self)
{
    (void)self;
    assert(!neo_loop_is_current(neo_call_loop(call)));
    atomic_fetch_add(&in_block, 1);
#ifndef NEO_SIM
    if (neo_bytes_is(request->text, "pieces"))
        take_pieces(call);
    for (unsigned i = 0; i < request->count && !neo_call_is_cancelled(call); i++)
        (void)usleep(1000);
#endif
    atomic_fetch_add(&was_cancelled, neo_call_is_cancelled(call));
    atomic_fetch_add(&heard_done, 1);
    if (neo_bytes_is(request->text, "forget"))
        return;
    if (neo_bytes_is(request->text, "fail"))
        neo_call_fail(call, NEO_ABORTED, "blocked %u", request->count);
    else
        neo_call_reply(call, request);
}

/* Sends while there is room, and goes on when there is again. */
struct counting {
    uint32_t left;
    uint32_t size;
    uint32_t full;
};

static const uint8_t zeros[65536];

static inline void count_on(struct neo_call *call, void *state)
{
    static const struct neo_status ok = {.code = NEO_OK};
    struct counting *c = state;
    struct neo_test_v1_Echo response = {.body = {zeros, c->size}};

    while (c->left > 0) {
        c->left--;
        response.count = c->left;
        atomic_fetch_add(&counted, 1);
        switch (neo_call_send(call, &response)) {
        case NEO_FLOW_MORE:
            break;
        case NEO_FLOW_FULL:
            c->full++;
            return;
        case NEO_FLOW_GONE:
            return;
        }
    }
    neo_call_finish(call, &ok);
}

static inline void count(struct neo_call *call, const struct neo_test_v1_Echo *request, void *self)
{
    static const struct neo_stream_events events = {.writable = count_on, .done = on_done};
    struct counting *c = neo_arena_calloc(neo_call_arena(call), 1, sizeof(*c));

    (void)self;
    *c = (struct counting){.left = request->count, .size = request->size};
    neo_call_on_stream(call, &events, c);
    count_on(call, c);
}

static inline void block_count(struct neo_call *call, const struct neo_test_v1_Echo *request,
                               void *self)
{
    static const struct neo_status ok = {.code = NEO_OK};
    struct neo_test_v1_Echo response = {.body = {zeros, request->size}};

    (void)self;
    for (uint32_t i = 0; i < request->count; i++) {
        atomic_fetch_add(&counted, 1);
        if (neo_call_send(call, &response) == NEO_FLOW_GONE) {
            atomic_fetch_add(&heard_done, 1);
            return;
        }
    }
    atomic_fetch_add(&heard_done, 1);
    neo_call_finish(call, &ok);
}

static inline void subscribe(struct neo_call *call, const struct neo_test_v1_Echo *request,
                             void *self)
{
    static const struct neo_stream_events events = {.done = on_done};

    (void)self;
    neo_call_on_stream(call, &events, NULL);
    atomic_fetch_add(&said, 1);
    (void)neo_call_send(call, request);
}

static inline void add_up(struct neo_call *call, const void *request, void *state)
{
    const struct neo_test_v1_Echo *echo = request;
    struct neo_test_v1_Echo *sum = state;

    (void)call;
    sum->count++;
    sum->size += (uint32_t)echo->body.len;
}

static inline void reply_sum(struct neo_call *call, void *state)
{
    neo_call_reply(call, state);
}

static inline void sum(struct neo_call *call, const struct neo_test_v1_Echo *request, void *self)
{
    static const struct neo_stream_events events = {
        .message = add_up, .half_closed = reply_sum, .done = on_done};

    (void)request;
    (void)self;
    neo_call_on_stream(call, &events,
                       neo_arena_calloc(neo_call_arena(call), 1, sizeof(struct neo_test_v1_Echo)));
}

static inline void chat_back(struct neo_call *call, const void *request, void *state)
{
    (void)state;
    atomic_fetch_add(&counted, 1);
    (void)neo_call_send(call, request); /* whether it is full or not */
}

static inline void chat_end(struct neo_call *call, void *state)
{
    static const struct neo_status ok = {.code = NEO_OK};

    (void)state;
    neo_call_finish(call, &ok);
}

static inline void chat(struct neo_call *call, const struct neo_test_v1_Echo *request, void *self)
{
    static const struct neo_stream_events events = {
        .message = chat_back, .half_closed = chat_end, .done = on_done};

    (void)request;
    (void)self;
    atomic_fetch_add(&said, 1);
    neo_call_on_stream(call, &events, NULL);
}

static const struct neo_test_v1_Echoes_handlers echo_handlers = {
    .Say = say,
    .Never = never,
    .Later = later,
    .Block = block,
    .Count = count,
    .BlockCount = block_count,
    .Subscribe = subscribe,
    .Sum = sum,
    .Chat = chat,
};

/* --- audit ------------------------------------------------------------------------------- */

enum { RECORDS_MAX = 256 };

struct kept_record {
    char decision[16], stage[16], reason[32], method[64], caller[96], id[20];
};

static struct {
    struct neo_audit_sink sink;
    pthread_mutex_t lock;
    struct kept_record at[RECORDS_MAX];
    atomic_size_t n;
} audit;

static inline void keep_record(struct neo_audit_sink *self, const struct neo_audit_record *r)
{
    (void)self;
    (void)pthread_mutex_lock(&audit.lock);
    if (audit.n < RECORDS_MAX) {
        struct kept_record *k = &audit.at[audit.n];
        (void)snprintf(k->decision, sizeof(k->decision), "%s", r->decision);
        (void)snprintf(k->stage, sizeof(k->stage), "%s", r->stage);
        (void)snprintf(k->reason, sizeof(k->reason), "%s", r->reason);
        (void)snprintf(k->method, sizeof(k->method), "%.*s", NEO_FMT(r->method));
        (void)snprintf(k->caller, sizeof(k->caller), "%.*s", NEO_FMT(r->caller));
        (void)snprintf(k->id, sizeof(k->id), "%s", r->id.text);
    }
    audit.n++;
    (void)pthread_mutex_unlock(&audit.lock);
}

/* --- the world --------------------------------------------------------------------------- */

static const char open_policy[] = "service: \"caller-service\"\n"
                                  "allowed_calls:\n"
                                  "  - target_service: \"echo-service\"\n"
                                  "    operations: [\"*\"]\n";

static struct {
    struct pki *pki;
    struct neo_identity *server_identity;
    struct neo_identity *caller;
    struct neo_identity *stranger; /* of the same trust domain; no rule names it */
    struct neo_trust *trust;
    struct neo_policy *policy;
    struct neo_runtime *runtime;
    struct neo_server *server;
    struct neo_metrics *metrics;
    struct neo_log log;
    struct neo_loop *loop;             /* of the clients */
    struct neo_server_options options; /* a test may change it before serve() */
    void (*prepare)(void);             /* more to be done to `server` before it listens */
    struct rpc_client *clients[16];    /* closed at the end, when a test has failed */
    size_t n_clients;
} world;

static inline struct neo_policy *compile_policy(const char *text)
{
    const struct neo_document document = {NEO_LIT("test.yaml"), neo_text(text)};
    struct neo_policy *policy = NULL;
    struct neo_error err = {0};

    if (neo_policy_compile(&document, 1, &policy, &err) != NEO_OK)
        fail_msg("%s", err.message);
    return policy;
}

static inline struct neo_limits *compile_limits(const char *text)
{
    const struct neo_document document = {NEO_LIT("limits.yaml"), neo_text(text)};
    struct neo_limits *limits = NULL;
    struct neo_error err = {0};

    if (neo_limits_compile(&document, 1, &limits, &err) != NEO_OK)
        fail_msg("%s", err.message);
    return limits;
}

static inline int begin(void **state)
{
    (void)state;
    begin_world();
    memset(&world, 0, sizeof(world));
    let_go = false;
    said = heard_done = was_cancelled = in_block = counted = overwritten = 0;
    done_code = -1;
    done_reason[0] = seen_caller[0] = '\0';
    seen_attested = false;
    memset(&audit, 0, sizeof(audit));
    (void)pthread_mutex_init(&audit.lock, NULL);
    audit.sink.record = keep_record;
    world.pki = pki_new("neo.test");
    world.server_identity = pki_identity(world.pki, "echo-service", NULL);
    world.caller = pki_identity(world.pki, "caller-service", NULL);
    world.stranger = pki_identity(world.pki, "stranger-service", NULL);
    world.trust = pki_trust(world.pki);
    world.policy = compile_policy(open_policy);
    world.metrics = neo_metrics_new();
    world.log = (struct neo_log){
        .fd = STDERR_FILENO,
        .level = getenv("NEO_TEST_LOG") != NULL ? NEO_LOG_DEBUG : NEO_LOG_OFF,
        .wall_nsec = neo_wall_nsec,
    };
    assert_int_equal(neo_runtime_new(1, &world.runtime, NULL), NEO_OK);
    assert_int_equal(neo_loop_new(&world.loop, NULL), NEO_OK);
    world.options = (struct neo_server_options){
        .name = "echo-service",
        .runtime = world.runtime,
        .epoch = {.identity = world.server_identity, .trust = world.trust, .policy = world.policy},
        .audit = &audit.sink,
        .metrics = world.metrics,
        .log = &world.log,
    };
    return 0;
}

static inline void serve(void)
{
    struct neo_error err = {0};

    if (neo_server_new(&world.options, &world.server, &err) != NEO_OK ||
        neo_test_v1_Echoes_add(world.server, &echo_handlers, NULL, &err) != NEO_OK ||
        neo_server_set_blocking(world.server, "/neo.test.v1.Echoes/Block", &err) != NEO_OK ||
        neo_server_set_blocking(world.server, "/neo.test.v1.Echoes/BlockCount", &err) != NEO_OK)
        fail_msg("%s", err.message);
    if (world.prepare != NULL)
        world.prepare();
    if (neo_server_listen(world.server, "127.0.0.1:0", &err) != NEO_OK)
        fail_msg("%s", err.message);
}

static inline int end(void **state)
{
    (void)state;
    for (size_t i = 0; i < world.n_clients; i++)
        rpc_client_close(world.clients[i]);
    neo_server_free(world.server);
    neo_loop_free(world.loop);
    neo_runtime_free(world.runtime);
    neo_metrics_free(world.metrics);
    neo_policy_unref(world.policy);
    neo_trust_unref(world.trust);
    neo_identity_unref(world.server_identity);
    neo_identity_unref(world.caller);
    neo_identity_unref(world.stranger);
    pki_free(world.pki);
    (void)pthread_mutex_destroy(&audit.lock);
    end_world();
    return 0;
}

/* --- waiting ----------------------------------------------------------------------------- */

static inline void on_enough(struct neo_timer *timer)
{
    (void)timer;
    neo_loop_stop(world.loop);
}

static inline void run_for(neo_nsec duration)
{
    struct neo_timer enough = {.expired = on_enough};

    neo_loop_arm(world.loop, &enough, neo_mono_nsec() + duration);
    neo_loop_run(world.loop);
}

#define wait_for(what)                                                                             \
    do {                                                                                           \
        neo_nsec wait_until = neo_mono_nsec() + PATIENCE;                                          \
        while (!(what)) {                                                                          \
            if (neo_mono_nsec() > wait_until)                                                      \
                fail_msg("waited in vain for: %s", #what);                                         \
            run_for(MSEC);                                                                         \
        }                                                                                          \
    } while (0)

/* --- calling ----------------------------------------------------------------------------- */

static inline void connect_as(struct rpc_client *client, struct neo_identity *identity)
{
    if (!rpc_client_connect(client, world.loop, neo_server_address(world.server), identity,
                            world.trust, "spiffe://neo.test/echo-service"))
        fail_msg("%s", client->why.message);
    if (world.n_clients < NEO_COUNT(world.clients))
        world.clients[world.n_clients++] = client;
}

/* Before its storage goes. */
static inline void disconnect(struct rpc_client *client)
{
    rpc_client_close(client);
    for (size_t i = 0; i < world.n_clients; i++)
        if (world.clients[i] == client)
            world.clients[i--] = world.clients[--world.n_clients];
}

static inline void connect_ready(struct rpc_client *client, struct neo_identity *identity)
{
    connect_as(client, identity);
    wait_for(client->ready || client->gone);
    if (client->gone)
        fail_msg("%s", client->why.message);
}

static inline struct neo_bytes encode_echo(const struct neo_test_v1_Echo *echo,
                                           struct neo_buffer *out)
{
    neo_buffer_clear(out);
    assert_int_equal(neo_test_v1_Echo_encode(echo, out, NULL), NEO_OK);
    return neo_buffer_bytes(out);
}

/* Starts a call of that method with one message; ends the request when `whole`. */
static inline void start_with(struct rpc_call *call, struct rpc_client *client, const char *method,
                              const struct neo_test_v1_Echo *echo, bool whole,
                              const struct h2_header *headers, size_t n)
{
    char path[128];
    struct neo_buffer out = {0};

    (void)snprintf(path, sizeof(path), "/neo.test.v1.Echoes/%s", method);
    assert_true(rpc_call_start(
        call, client, &(struct rpc_request){.path = path, .headers = headers, .n_headers = n}));
    if (echo != NULL)
        rpc_call_send(call, encode_echo(echo, &out));
    if (whole)
        rpc_call_end(call);
    neo_buffer_fini(&out);
}

static inline void start(struct rpc_call *call, struct rpc_client *client, const char *method,
                         const struct neo_test_v1_Echo *echo)
{
    start_with(call, client, method, echo, true, NULL, 0);
}

/* One whole call: its code. */
static inline enum neo_code call_once(struct rpc_client *client, const char *method,
                                      const struct neo_test_v1_Echo *echo)
{
    struct rpc_call call;

    start(&call, client, method, echo);
    wait_for(call.closed);
    enum neo_code code = call.status.code;
    rpc_call_fini(&call);
    return code;
}

static const struct neo_test_v1_Echo hello = {.text = {(const uint8_t *)"hello", 5}};

/* The text of the first message. */
static inline void assert_said(const struct rpc_call *call, const char *text)
{
    struct neo_test_v1_Echo echo;
    struct neo_arena arena;

    neo_arena_init(&arena, 1 << 20);
    assert_true(call->n_messages > 0);
    assert_int_equal(neo_test_v1_Echo_decode(call->messages[0], &echo, &arena, NULL), NEO_OK);
    assert_true(neo_bytes_is(echo.text, text));
    neo_arena_fini(&arena);
}

static inline void assert_reason(const struct rpc_call *call, enum neo_code code,
                                 const char *reason)
{
    if (call->status.code != code || !neo_bytes_is(call->status.reason, reason))
        fail_msg("ended %s %.*s (%.*s), not %s %s", neo_code_name(call->status.code),
                 NEO_FMT(call->status.reason), NEO_FMT(call->status.message), neo_code_name(code),
                 reason);
}

#define PROMISE(name) cmocka_unit_test_setup_teardown(name, begin, end)

#endif
