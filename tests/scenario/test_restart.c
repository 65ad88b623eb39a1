/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two instances of a service, a client that calls them without pause, and things that
 * operators do: restarts, rotations, revocations. No call may fail that need not. The
 * whole of it, client and servers, runs in simulated time with real TLS and HTTP/2.
 */
#include "unit/unit.h"

#include "support/pki.h"
#include "support/sim.h"

#include <neo/channel.h>
#include <neo/memory.h>
#include <neo/server.h>
#include <neo/test/v1/echo.neo.h>

#include <stdio.h>

#define MSEC NEO_NSEC_PER_MSEC
#define SEC  NEO_NSEC_PER_SEC

enum { INSTANCES = 2, IN_FLIGHT = 64 };

static const char *const hosts[INSTANCES] = {"10.0.0.1", "10.0.0.2"};
static const char *const addresses[INSTANCES] = {"10.0.0.1:8441", "10.0.0.2:8441"};

static struct {
    struct pki *pki;
    struct neo_identity *server_identity, *caller;
    struct neo_trust *trust;
    struct neo_policy *policy;
    struct neo_runtime *runtimes[INSTANCES];
    struct neo_server *servers[INSTANCES];
    struct neo_loop *loop;
    struct neo_channel *channel;
    struct neo_timer next;
    bool stopping;
    unsigned started, ok, failed, open;
    enum neo_code last_failure;
    char last_message[200];
} world;

/* --- the service --------------------------------------------------------------------------- */

struct late {
    struct neo_timer timer;
    struct neo_call *call;
    const struct neo_test_v1_Echo *request;
};

static void answer(struct neo_timer *timer)
{
    struct late *late = neo_owner(timer, struct late, timer);
    struct neo_call *call = late->call;

    neo_call_reply(call, late->request);
    neo_call_unref(call);
}

/* Takes a while, so that there are always calls under way. */
static void later(struct neo_call *call, const struct neo_test_v1_Echo *request, void *self)
{
    struct late *late = neo_arena_calloc(neo_call_arena(call), 1, sizeof(*late));
    struct neo_loop *loop = neo_call_loop(call);

    (void)self;
    *late = (struct late){{.expired = answer}, neo_call_ref(call), request};
    neo_loop_arm(loop, &late->timer, neo_loop_now(loop) + request->count * MSEC);
}

static void start_instance(size_t i)
{
    static const struct neo_test_v1_Echoes_handlers handlers = {.Later = later};
    const struct neo_server_options options = {
        .name = "echo-service",
        .runtime = world.runtimes[i],
        .epoch = {.identity = world.server_identity, .trust = world.trust, .policy = world.policy},
    };
    struct neo_error err = {0};

    sim_host(hosts[i]);
    if (neo_server_new(&options, &world.servers[i], &err) != NEO_OK ||
        neo_test_v1_Echoes_add(world.servers[i], &handlers, NULL, &err) != NEO_OK ||
        neo_server_listen(world.servers[i], addresses[i], &err) != NEO_OK)
        fail_msg("%s", err.message);
}

static void stop_instance(size_t i)
{
    neo_server_drain(world.servers[i], 10 * SEC);
    neo_server_free(world.servers[i]);
    world.servers[i] = NULL;
}

/* --- the client ------------------------------------------------------------------------------- */

static void on_done(struct neo_client_call *call, const struct neo_status *status, void *self)
{
    (void)call;
    (void)self;
    world.open--;
    if (status->code == NEO_OK) {
        world.ok++;
        return;
    }
    world.failed++;
    world.last_failure = status->code;
    (void)snprintf(world.last_message, sizeof(world.last_message), "%.*s",
                   NEO_FMT(status->message));
}

static void on_message(struct neo_client_call *call, const void *response, void *self)
{
    (void)call;
    (void)response;
    (void)self;
}

/* Every other millisecond a call that takes 5 to 50 of them. */
static void call_next(struct neo_timer *timer)
{
    static const struct neo_client_events events = {.message = on_message, .done = on_done};
    const struct neo_call_options options = {.timeout = 5 * SEC, .wait_for_ready = true};
    struct neo_test_v1_Echo request = {.count = 5 + world.started * 7 % 45};
    struct neo_client_call *call;

    if (world.stopping)
        return;
    if (world.open < IN_FLIGHT) {
        world.started++;
        world.open++;
        if (neo_test_v1_Echoes_Later_start(world.channel, &options, &request, &events, NULL, &call,
                                           NULL) != NEO_OK) {
            world.open--;
            world.failed++;
        }
    }
    neo_loop_arm(world.loop, timer, neo_loop_now(world.loop) + 2 * MSEC);
}

static void assert_nothing_failed(unsigned least)
{
    if (world.failed > 0)
        fail_msg("%u of %u calls failed, the last with %s: %s", world.failed, world.started,
                 neo_code_name(world.last_failure), world.last_message);
    assert_true(world.ok >= least);
}

/* --- the world ----------------------------------------------------------------------------------
 */

static int begin(void **state)
{
    static const char policy[] =
        "service: \"caller-service\"\n"
        "allowed_calls: [{target_service: \"echo-service\", operations: [\"*\"]}]\n";
    const struct neo_document document = {NEO_LIT("p"), NEO_LIT(policy)};
    struct neo_channel_options options = {.service = "echo-service", .trust_domain = "neo.test"};
    struct neo_error err = {0};

    (void)state;
    sim_new(7);
    memset(&world, 0, sizeof(world));
    world.pki = pki_new("neo.test");
    world.server_identity = pki_identity(world.pki, "echo-service", NULL);
    world.caller = pki_identity(world.pki, "caller-service", NULL);
    world.trust = pki_trust(world.pki);
    assert_int_equal(neo_policy_compile(&document, 1, &world.policy, NULL), NEO_OK);
    for (size_t i = 0; i < INSTANCES; i++) {
        sim_host(hosts[i]);
        assert_int_equal(neo_runtime_new(1, &world.runtimes[i], NULL), NEO_OK);
        start_instance(i);
    }
    sim_host("10.0.0.9");
    assert_int_equal(neo_loop_new(&world.loop, NULL), NEO_OK);
    options.loop = world.loop;
    options.epoch = (struct neo_epoch){.identity = world.caller, .trust = world.trust};
    if (neo_channel_open("ipv4:10.0.0.1:8441,10.0.0.2:8441", &options, &world.channel, &err) !=
        NEO_OK)
        fail_msg("%s", err.message);
    world.next.expired = call_next;
    neo_loop_arm(world.loop, &world.next, neo_loop_now(world.loop) + MSEC);
    sim_run_for(SEC);
    return 0;
}

static bool all_ended(void *self)
{
    (void)self;
    return world.open == 0;
}

static void stop_calling(void)
{
    world.stopping = true;
    assert_true(sim_wait(all_ended, NULL, 60 * SEC));
}

static int end(void **state)
{
    (void)state;
    neo_channel_free(world.channel);
    sim_run_for(SEC);
    for (size_t i = 0; i < INSTANCES; i++) {
        neo_server_free(world.servers[i]);
        neo_runtime_free(world.runtimes[i]);
    }
    neo_loop_free(world.loop);
    neo_policy_unref(world.policy);
    neo_trust_unref(world.trust);
    neo_identity_unref(world.server_identity);
    neo_identity_unref(world.caller);
    pki_free(world.pki);
    sim_free();
    return 0;
}

/* --- promises
 * --------------------------------------------------------------------------------------- */

TEST(a_rolling_restart_fails_no_call)
{
    for (unsigned i = 0; i < 20; i++) {
        stop_instance(i % INSTANCES);
        sim_run_for(500 * MSEC);
        start_instance(i % INSTANCES);
        sim_run_for(4 * SEC);
    }
    stop_calling();
    assert_nothing_failed(20000);
}

TEST(rotating_certificates_fails_no_call)
{
    for (unsigned i = 0; i < 100; i++) {
        struct neo_identity *server = pki_identity(world.pki, "echo-service", NULL);
        struct neo_identity *caller = pki_identity(world.pki, "caller-service", NULL);
        neo_server_update(world.servers[i % INSTANCES], &(struct neo_epoch){.identity = server});
        neo_channel_update(world.channel, &(struct neo_epoch){.identity = caller});
        sim_run_for(300 * MSEC);
        neo_identity_unref(server);
        neo_identity_unref(caller);
    }
    stop_calling();
    assert_nothing_failed(10000);
}

TEST(certificates_that_live_a_minute_are_outlived)
{
    for (unsigned i = 0; i < 40; i++) {
        int64_t wall = neo_wall_nsec() / (int64_t)SEC;
        const struct pki_options brief = {.not_after = wall + 60};
        struct neo_identity *server = pki_identity(world.pki, "echo-service", &brief);
        struct neo_identity *caller = pki_identity(world.pki, "caller-service", &brief);
        for (size_t k = 0; k < INSTANCES; k++)
            neo_server_update(world.servers[k], &(struct neo_epoch){.identity = server});
        neo_channel_update(world.channel, &(struct neo_epoch){.identity = caller});
        sim_run_for(20 * SEC);
        neo_identity_unref(server);
        neo_identity_unref(caller);
    }
    stop_calling();
    assert_nothing_failed(100000);
}

TEST(policies_and_limits_change_under_load_and_fail_no_call)
{
    static const char limits_text[] = "rate_limits:\n"
                                      "  global: {requests_per_second: 1000000, burst: 100000}\n";
    const struct neo_document document = {NEO_LIT("l"), NEO_LIT(limits_text)};

    for (unsigned i = 0; i < 200; i++) {
        struct neo_limits *limits;
        assert_int_equal(neo_limits_compile(&document, 1, &limits, NULL), NEO_OK);
        neo_server_update(world.servers[i % INSTANCES],
                          &(struct neo_epoch){.limits = limits, .policy = world.policy});
        neo_limits_unref(limits);
        sim_run_for(20 * MSEC);
    }
    stop_calling();
    assert_nothing_failed(1000);
}

#define PROMISE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PROMISE(a_rolling_restart_fails_no_call),
        PROMISE(rotating_certificates_fails_no_call),
        PROMISE(certificates_that_live_a_minute_are_outlived),
        PROMISE(policies_and_limits_change_under_load_and_fail_no_call),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
