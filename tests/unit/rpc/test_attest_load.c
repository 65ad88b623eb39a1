/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What attestation may cost a server: a proven caller that asks again and again, an
 * attester that takes its time, and callers that are gone before it is done. Nothing
 * of it stands in the way of other calls, and where there is too much, somebody is
 * refused.
 */
#include "attest_fixture.h"

#include "rpc/attest_work.h"

#include <neo/channel.h>

enum { CROWD = 8 };

static struct rpc_client crowd[CROWD];

/* --- an attester that takes its time ----------------------------------------------------- */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool held;
    atomic_uint begun, at_once, most;
} slowness = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static enum neo_code attest_slowly(struct neo_attester *self,
                                   const uint8_t binder[static NEO_BINDER_LEN],
                                   struct neo_buffer *out_body, struct neo_buffer *out_certificates,
                                   struct neo_error *err)
{
    unsigned now = atomic_fetch_add(&slowness.at_once, 1) + 1;

    if (now > atomic_load(&slowness.most))
        atomic_store(&slowness.most, now);
    atomic_fetch_add(&slowness.begun, 1);
    (void)pthread_mutex_lock(&slowness.lock);
    while (slowness.held)
        (void)pthread_cond_wait(&slowness.changed, &slowness.lock);
    (void)pthread_mutex_unlock(&slowness.lock);
    enum neo_code code = attest_on_pool(self, binder, out_body, out_certificates, err);
    atomic_fetch_sub(&slowness.at_once, 1);
    return code;
}

static void hold(bool held)
{
    (void)pthread_mutex_lock(&slowness.lock);
    slowness.held = held;
    (void)pthread_cond_broadcast(&slowness.changed);
    (void)pthread_mutex_unlock(&slowness.lock);
}

static struct neo_attester slow = {.attest = attest_slowly};

static void serve_slowly(void)
{
    slow.kind = server_attester->kind;
    slowness.begun = slowness.most = 0;
    hold(true);
    world.options.attester = &slow;
    serve_attesting(server_policies);
}

static int end_load(void **state)
{
    hold(false);
    attest_quoting.length = 32;
    attest_judging.length = 64;
    return end(state);
}

/* An exchange of one of the crowd, as far as the server's offer, which needs a quote. */
static void ask(struct exchange *x, unsigned who)
{
    open_exchange_on(x, &crowd[who], caller_attester, true);
}

static unsigned closed_of(const struct exchange *x, unsigned n)
{
    unsigned closed = 0;

    for (unsigned i = 0; i < n; i++)
        closed += x[i].call.closed;
    return closed;
}

static void end_exchange(struct exchange *x)
{
    attest_session_free(x->session);
    rpc_call_fini(&x->call);
}

/* --- refusals ---------------------------------------------------------------------------- */

TEST(an_identity_that_asks_too_often_is_told_to_wait_whichever_connection_it_uses)
{
    world.options.exchanges_per_second = 1;
    world.options.exchanges_burst = 3;
    serve_attesting(attest_policies);
    for (unsigned i = 0; i < 3; i++) {
        connect_ready(&crowd[i], world.caller);
        assert_int_equal(run_exchange_on(&crowd[i], caller_attester, false), NEO_OK);
    }
    connect_ready(&crowd[3], world.caller);
    struct rpc_call call;
    assert_true(rpc_call_start(&call, &crowd[3], &(struct rpc_request){.path = PATH}));
    wait_for(call.closed);
    assert_reason(&call, NEO_RESOURCE_EXHAUSTED, "RATE_LIMITED");
    rpc_call_fini(&call);
    assert_int_equal(call_once(&crowd[3], "Say", &hello), NEO_FAILED_PRECONDITION);
    assert_int_equal(call_once(&crowd[0], "Say", &hello), NEO_OK);
}

TEST(quotes_of_ours_have_a_rate_that_all_callers_share)
{
    struct exchange x;

    world.options.quotes_per_second = 1;
    world.options.quotes_burst = 1;
    serve_attesting(server_policies);
    connect_ready(&crowd[0], world.caller);
    connect_ready(&crowd[1], world.caller);
    assert_int_equal(run_exchange_on(&crowd[0], caller_attester, true), NEO_OK);
    ask(&x, 1);
    wait_for((carry(&x), x.call.closed));
    assert_reason(&x.call, NEO_RESOURCE_EXHAUSTED, "RATE_LIMITED");
    end_exchange(&x);
}

TEST(a_flood_of_exchanges_finds_an_end_and_one_secure_processor_is_asked_once_at_a_time)
{
    struct exchange x[CROWD];
    unsigned refused = 0, good = 0;

    attest_quoting.length = 3;
    serve_slowly();
    for (unsigned i = 0; i < CROWD; i++) {
        connect_ready(&crowd[i], world.caller);
        ask(&x[i], i);
    }
    /* One is made, three wait: the others hear it at once, not in ten seconds. */
    wait_for(closed_of(x, CROWD) == CROWD - 4);
    hold(false);
    for (unsigned i = 0; i < CROWD; i++) {
        wait_for((carry(&x[i]), x[i].call.closed));
        refused += x[i].call.status.code == NEO_RESOURCE_EXHAUSTED;
        good += x[i].call.status.code == NEO_OK;
        end_exchange(&x[i]);
    }
    assert_int_equal(refused, CROWD - 4);
    assert_int_equal(good, 4);
    assert_int_equal(atomic_load(&slowness.most), 1);
}

TEST(evidence_that_finds_no_room_to_be_judged_is_not_judged_and_its_sender_not_heard)
{
    struct neo_lane kept = attest_judging;

    attest_judging = (struct neo_lane){.width = 0, .length = 0};
    serve_attesting(attest_policies);
    connect_ready(&crowd[0], world.caller);
    assert_int_equal(run_exchange_on(&crowd[0], caller_attester, false), NEO_RESOURCE_EXHAUSTED);
    assert_int_equal(call_once(&crowd[0], "Say", &hello), NEO_FAILED_PRECONDITION);
    attest_judging = kept;
}

/* --- what goes on meanwhile -------------------------------------------------------------- */

TEST(calls_are_served_while_an_attester_takes_its_time)
{
    struct exchange x;

    serve_slowly();
    connect_ready(&crowd[0], world.caller);
    connect_ready(&crowd[1], world.caller);
    ask(&x, 0);
    wait_for(slowness.begun == 1);
    assert_int_equal(call_once(&crowd[0], "Say", &hello), NEO_OK);
    assert_int_equal(call_once(&crowd[1], "Say", &hello), NEO_OK);
    assert_int_equal(call_once(&crowd[1], "Block", &hello), NEO_OK); /* the pool has other lanes */
    hold(false);
    wait_for((carry(&x), x.call.closed));
    assert_int_equal(x.call.status.code, NEO_OK);
    end_exchange(&x);
}

TEST(a_caller_that_gives_up_does_not_wait_for_the_attester)
{
    struct exchange x, waiting;

    serve_slowly();
    connect_ready(&crowd[0], world.caller);
    connect_ready(&crowd[1], world.caller);
    ask(&x, 0);
    wait_for(slowness.begun == 1);
    ask(&waiting, 1);
    rpc_call_reset(&waiting.call, H2_CANCEL); /* before its turn: it costs no quote */
    wait_for(waiting.call.closed);
    rpc_call_reset(&x.call, H2_CANCEL);
    wait_for(x.call.closed);
    end_exchange(&x);
    end_exchange(&waiting);
    assert_int_equal(call_once(&crowd[0], "Say", &hello), NEO_OK);
    hold(false);
    assert_int_equal(run_exchange_on(&crowd[0], caller_attester, true), NEO_OK);
    assert_in_range(slowness.begun, 2, 3);
}

TEST(a_connection_may_go_while_the_pool_works_for_it)
{
    struct exchange x;

    serve_slowly();
    for (unsigned i = 0; i < 4; i++) {
        slowness.begun = 0;
        hold(true);
        connect_ready(&crowd[i], world.caller);
        ask(&x, i);
        wait_for(slowness.begun == 1);
        disconnect(&crowd[i]);
        end_exchange(&x);
        hold(false);
        wait_for(slowness.at_once == 0);
    }
    connect_ready(&crowd[4], world.caller);
    assert_int_equal(run_exchange_on(&crowd[4], caller_attester, true), NEO_OK);
}

/* Judged on the pool while the line goes: nobody is there to be attested any more. */
TEST(a_connection_may_go_while_its_evidence_is_judged)
{
    serve_attesting(attest_policies);
    for (unsigned i = 0; i < CROWD; i++) {
        struct exchange x;
        connect_ready(&crowd[i], world.caller);
        open_exchange_on(&x, &crowd[i], caller_attester, false);
        wait_for(x.call.n_messages == 1);
        carry(&x); /* the proof is on its way */
        run_for(0);
        disconnect(&crowd[i]);
        end_exchange(&x);
    }
    connect_ready(&client, world.caller);
    assert_int_equal(run_exchange(caller_attester, false), NEO_OK);
}

/* --- the client's side ------------------------------------------------------------------- */

static struct neo_channel *channel;
static atomic_uint given_up;

static void call_over(struct neo_client_call *call, const struct neo_status *status, void *self)
{
    (void)call;
    (void)status;
    (void)self;
    atomic_fetch_add(&given_up, 1);
}

static void ignore(struct neo_client_call *call, const void *response, void *self)
{
    (void)call;
    (void)response;
    (void)self;
}

static void begin_call(void *self)
{
    static const struct neo_client_events events = {.message = ignore, .done = call_over};
    const struct neo_call_options options = {.wait_for_ready = true};
    struct neo_client_call *call;

    (void)self;
    assert_int_equal(
        neo_test_v1_Echoes_Say_start(channel, &options, &hello, &events, NULL, &call, NULL),
        NEO_OK);
}

/* Nobody waits for the pool: the channel ends at once, and what it had there ends by itself. */
TEST(a_channel_may_go_while_its_attester_works)
{
    char target[100];
    struct neo_error err = {0};

    slow.kind = caller_attester->kind;
    slowness.begun = 0;
    atomic_store(&given_up, 0);
    hold(true);
    serve_attesting(attest_policies);
    const struct neo_channel_options o = {
        .loop = neo_runtime_loop(world.runtime, 0),
        .epoch = {.identity = world.caller, .trust = world.trust},
        .service = "echo-service",
        .trust_domain = "neo.test",
        .attester = &slow,
    };
    (void)snprintf(target, sizeof(target), "ipv4:%s", neo_server_address(world.server));
    if (neo_channel_open(target, &o, &channel, &err) != NEO_OK)
        fail_msg("%s", err.message);
    neo_runtime_call(world.runtime, 0, begin_call, NULL);
    wait_for(slowness.begun == 1);
    neo_channel_free(channel);
    assert_int_equal(given_up, 1);
    assert_int_equal(slowness.at_once, 1); /* still at it */
    hold(false);
    wait_for(slowness.at_once == 0);
    assert_int_equal(said, 0);
}

#define PROMISE_(name) cmocka_unit_test_setup_teardown(name, begin, end_load)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PROMISE_(an_identity_that_asks_too_often_is_told_to_wait_whichever_connection_it_uses),
        PROMISE_(quotes_of_ours_have_a_rate_that_all_callers_share),
        PROMISE_(
            a_flood_of_exchanges_finds_an_end_and_one_secure_processor_is_asked_once_at_a_time),
        PROMISE_(evidence_that_finds_no_room_to_be_judged_is_not_judged_and_its_sender_not_heard),
        PROMISE_(calls_are_served_while_an_attester_takes_its_time),
        PROMISE_(a_caller_that_gives_up_does_not_wait_for_the_attester),
        PROMISE_(a_connection_may_go_while_the_pool_works_for_it),
        PROMISE_(a_connection_may_go_while_its_evidence_is_judged),
        PROMISE_(a_channel_may_go_while_its_attester_works),
    };

    return cmocka_run_group_tests(tests, make_machine, break_machine);
}
