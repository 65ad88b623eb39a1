/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which channels share their connections, and what becomes of that when one of them is freed or
 * told of another epoch. Real TLS, in simulated time.
 */
#include "../unit/unit.h"

#include "support/echo.h"
#include "support/sim.h"

#include <neo/attest.h>
#include <neo/channel_options.h>
#include <neo/metrics.h>

#include <stdio.h>

#define SEC NEO_NSEC_PER_SEC

enum { CALLS = 16 };

static struct scene {
    struct echo_world world;
    struct neo_server *server;
    struct neo_identity *caller, *another; /* of the same service */
    struct neo_trust *without;             /* the server's certificate is revoked */
    struct neo_channel *a, *b;
    char target[200];
    struct call {
        struct neo_client_call *call;
        bool over;
        enum neo_code code;
        unsigned messages, asked;
        struct neo_channel **frees; /* when its next message comes */
        bool cancels;               /* itself, then, and before that */
    } calls[CALLS];
    unsigned n;
} s;

static int begin(void **state)
{
    (void)state;
    memset(&s, 0, sizeof(s));
    sim_new(5);
    sim_host("10.0.0.1");
    echo_world_init(&s.world);
    s.server = echo_server_at(&s.world, NULL, "10.0.0.1:7000");
    echo_target(s.target, sizeof(s.target), &s.server, 1);
    s.caller = pki_identity(s.world.pki, "caller-service", NULL);
    s.another = pki_identity(s.world.pki, "caller-service", NULL);
    const struct neo_cert_facts *f = neo_cert_facts(neo_identity_leaf(s.world.epoch.identity));
    const struct neo_revocation revoked = {.issuer_key_id = f->issuer_key_id, .serial = f->serial};
    s.without = pki_trust_revoking(s.world.pki, &revoked, 1);
    sim_host("10.0.0.2");
    return neo_runtime_new(2, &s.world.client, NULL) == NEO_OK ? 0 : -1;
}

static void drop(struct neo_channel **channel)
{
    neo_channel_free(*channel);
    *channel = NULL;
}

static int end(void **state)
{
    (void)state;
    drop(&s.a);
    drop(&s.b);
    neo_server_free(s.server);
    neo_runtime_free(s.world.client);
    neo_identity_unref(s.caller);
    neo_identity_unref(s.another);
    neo_trust_unref(s.without);
    echo_world_fini(&s.world);
    sim_free();
    return 0;
}

static struct neo_channel_options plain(void)
{
    return (struct neo_channel_options){
        .loop = neo_runtime_loop(s.world.client, 0),
        .epoch = {.identity = s.caller, .trust = s.world.epoch.trust},
        .service = "echo-service",
        .trust_domain = "neo.test",
    };
}

static struct neo_channel *open_with(const struct neo_channel_options *options)
{
    struct neo_channel *channel;
    struct neo_error err;

    if (neo_channel_open(s.target, options, &channel, &err) != NEO_OK)
        fail_msg("%s", err.message);
    return channel;
}

/* Two that share. */
static void open_both(void)
{
    const struct neo_channel_options options = plain();

    s.a = open_with(&options);
    s.b = open_with(&options);
}

/* --- calls ------------------------------------------------------------------------------------ */

static void heard(struct neo_client_call *call, const void *response, void *self)
{
    struct call *c = self;

    (void)response;
    c->messages++;
    if (c->cancels)
        neo_client_call_cancel(call);
    if (c->frees != NULL)
        drop(c->frees);
}

static void over(struct neo_client_call *call, const struct neo_status *status, void *self)
{
    struct call *c = self;

    (void)call;
    assert_false(c->over);
    c->over = true;
    c->call = NULL;
    c->code = status->code;
}

static const struct neo_client_events events = {.message = heard, .done = over};

static struct call *say(struct neo_channel *channel, bool wait_for_ready)
{
    struct neo_call_options options = {.timeout = 100 * SEC, .wait_for_ready = wait_for_ready};
    struct neo_test_v1_Words request = {.count = 1};
    struct call *c = &s.calls[s.n++];

    assert_int_equal(
        neo_test_v1_Speech_Do_start(channel, &options, &request, &events, c, &c->call, NULL),
        NEO_OK);
    return c;
}

static bool is_over(void *self)
{
    return ((struct call *)self)->over;
}

static enum neo_code wait_over(struct call *c)
{
    assert_true(sim_wait(is_over, c, 120 * SEC));
    return c->code;
}

static enum neo_code call_once(struct neo_channel *channel)
{
    return wait_over(say(channel, false));
}

static bool has_answer(void *self)
{
    struct call *c = self;

    return c->over || c->messages == c->asked;
}

/* Says a word more, and hears it come back. */
static bool goes_on(struct call *stream)
{
    const struct neo_test_v1_Words words = {.count = 1};

    if (stream->over)
        return false;
    stream->asked = stream->messages + 1;
    (void)neo_client_call_send(stream->call, &words);
    return sim_wait(has_answer, stream, 5 * SEC) && !stream->over;
}

/* A stream that runs. */
static struct call *listen(struct neo_channel *channel)
{
    struct neo_call_options options = {.wait_for_ready = true};
    struct call *c = &s.calls[s.n++];

    assert_int_equal(neo_test_v1_Speech_Chat_start(channel, &options, &events, c, &c->call, NULL),
                     NEO_OK);
    assert_true(goes_on(c));
    return c;
}

static uint64_t accepted(void)
{
    return neo_server_stats(s.server).accepted;
}

/* --- promises: what is not the same is not shared --------------------------------------------- */

/* Opens one with the plain options beside one with these, and calls over both. */
static uint64_t connections_of(const struct neo_channel_options *other)
{
    const struct neo_channel_options options = plain();
    uint64_t before = accepted();

    s.n = 0;
    memset(s.calls, 0, sizeof(s.calls));
    s.a = open_with(&options);
    s.b = open_with(other);
    assert_int_equal(call_once(s.a), NEO_OK);
    assert_int_equal(call_once(s.b), NEO_OK);
    assert_int_equal(call_once(s.a), NEO_OK);
    drop(&s.a);
    drop(&s.b);
    sim_run_for(2 * SEC);
    return accepted() - before;
}

TEST(no_option_that_makes_a_difference_to_connections_is_shared_over)
{
    static const struct neo_channel_tuning tunings[] = {
        {.keepalive = {.time = 20 * SEC}}, {.keepalive = {.timeout = 11 * SEC}},
        {.keepalive = {.off = true}},      {.keepalive = {.without_calls = true}},
        {.backoff = {.initial = 2 * SEC}}, {.backoff = {.connect_timeout = 21 * SEC}},
        {.idle_timeout = 60 * SEC},        {.max_connections = 2},
    };
    const struct neo_log log = {.fd = 2, .level = NEO_LOG_OFF};
    struct neo_channel_options o;

    for (size_t i = 0; i < NEO_COUNT(tunings); i++) {
        o = plain();
        o.tuning = &tunings[i];
        assert_int_equal(connections_of(&o), 2);
    }
    o = plain();
    o.service_config = "{\"loadBalancingConfig\": [{\"pick_first\": {}}]}";
    assert_int_equal(connections_of(&o), 2);
    o = plain();
    o.log = &log;
    assert_int_equal(connections_of(&o), 2);
    o = plain();
    o.loop = neo_runtime_loop(s.world.client, 1);
    assert_int_equal(connections_of(&o), 2);
    o = plain();
    o.own_connections = true;
    assert_int_equal(connections_of(&o), 2);
}

TEST(another_epoch_is_not_shared_over)
{
    struct neo_trust *trust = pki_trust(s.world.pki); /* the same, but another snapshot */
    struct neo_channel_options o = plain();

    o.epoch.identity = s.another;
    assert_int_equal(connections_of(&o), 2);
    o = plain();
    o.epoch.trust = trust;
    assert_int_equal(connections_of(&o), 2);
    neo_trust_unref(trust);
}

TEST(those_with_connections_of_their_own_do_not_share_with_each_other)
{
    struct neo_channel_options o = plain();

    o.own_connections = true;
    s.a = open_with(&o);
    s.b = open_with(&o);
    assert_int_equal(call_once(s.a), NEO_OK);
    assert_int_equal(call_once(s.b), NEO_OK);
    assert_int_equal(accepted(), 2);
}

/* --- promises: what is the same is ------------------------------------------------------------ */

TEST(what_concerns_calls_alone_may_differ)
{
    static const struct neo_channel_tuning tuning = {
        .max_waiting = 7, .max_waiting_bytes = 8, .retry_buffer = 9, .retry_buffers = 10};
    struct neo_metrics *metrics = neo_metrics_new();
    struct neo_channel_options o = plain();

    assert_int_equal(connections_of(&o), 1);
    o.tuning = &tuning;
    o.max_message = 1000;
    o.wait_for_ready = true;
    o.accept_gzip = true;
    o.metrics = metrics;
    assert_int_equal(connections_of(&o), 1);
    neo_metrics_free(metrics);
}

TEST(each_keeps_its_own_limits)
{
    static const uint8_t bytes[2000];
    const struct neo_test_v1_Words large = {.count = 1, .text = {bytes, sizeof(bytes)}};
    struct neo_channel_options o = plain();
    struct call *c = &s.calls[0];

    s.a = open_with(&o);
    o.max_message = 1000;
    s.b = open_with(&o);
    s.n = 2;
    assert_int_equal(neo_test_v1_Speech_Do_start(s.b, NULL, &large, &events, c, &c->call, NULL),
                     NEO_OK);
    assert_int_equal(wait_over(c++), NEO_RESOURCE_EXHAUSTED);
    assert_int_equal(neo_test_v1_Speech_Do_start(s.a, NULL, &large, &events, c, &c->call, NULL),
                     NEO_OK);
    assert_int_equal(wait_over(c), NEO_OK);
    assert_int_equal(accepted(), 1);
}

TEST(freeing_one_ends_its_calls_and_no_others)
{
    for (int first = 0; first < 2; first++) {
        s.n = 0;
        memset(s.calls, 0, sizeof(s.calls));
        open_both();
        struct call *of_a = listen(s.a), *of_b = listen(s.b);
        drop(first ? &s.a : &s.b);
        struct call *gone = first ? of_a : of_b, *left = first ? of_b : of_a;
        assert_true(gone->over);
        assert_int_equal(gone->code, NEO_CANCELLED);
        assert_true(goes_on(left));
        assert_int_equal(call_once(first ? s.b : s.a), NEO_OK);
        assert_int_equal(accepted(), (uint64_t)first + 1);
        drop(first ? &s.b : &s.a);
        assert_true(left->over);
        sim_run_for(2 * SEC);
        assert_int_equal(neo_server_stats(s.server).connections, 0);
    }
}

TEST(one_that_comes_later_finds_the_connection_of_the_first)
{
    const struct neo_channel_options options = plain();

    s.a = open_with(&options);
    assert_int_equal(call_once(s.a), NEO_OK);
    s.b = open_with(&options);
    drop(&s.a);
    s.a = open_with(&options);
    assert_int_equal(call_once(s.a), NEO_OK);
    assert_int_equal(call_once(s.b), NEO_OK);
    assert_int_equal(accepted(), 1);
}

/* --- promises: another epoch ------------------------------------------------------------------ */

TEST(a_revocation_that_one_is_told_of_ends_its_calls_and_not_the_others)
{
    open_both();
    struct call *of_a = listen(s.a), *of_b = listen(s.b);
    unsigned handled = s.world.handled;
    neo_channel_update(s.a, &(struct neo_epoch){.trust = s.without});
    assert_int_not_equal(wait_over(of_a), NEO_OK);
    assert_int_not_equal(call_once(s.a), NEO_OK);
    assert_int_equal(s.world.handled, handled); /* nothing of it was sent there */
    assert_true(goes_on(of_b));
    assert_int_equal(call_once(s.b), NEO_OK);
}

/* The other way round: who was not told trusts no more than before. */
TEST(a_trust_that_one_is_told_of_is_not_the_others)
{
    struct neo_channel_options o = plain();

    o.epoch.trust = s.without;
    s.a = open_with(&o);
    s.b = open_with(&o);
    neo_channel_update(s.a, &(struct neo_epoch){.trust = s.world.epoch.trust});
    assert_int_equal(call_once(s.a), NEO_OK);
    unsigned handled = s.world.handled;
    assert_int_not_equal(call_once(s.b), NEO_OK);
    assert_int_equal(s.world.handled, handled);
    assert_int_equal(call_once(s.a), NEO_OK);
}

TEST(those_that_are_told_together_keep_their_connection)
{
    open_both();
    struct call *of_a = listen(s.a), *of_b = listen(s.b);
    struct neo_channel *const both[] = {s.a, s.b};
    neo_channels_update(both, 2, &(struct neo_epoch){.identity = s.another});
    assert_int_equal(call_once(s.a), NEO_OK);
    assert_int_equal(call_once(s.b), NEO_OK);
    assert_true(goes_on(of_a) && goes_on(of_b));
    assert_int_equal(accepted(), 1);
    neo_channels_update(both, 2, &(struct neo_epoch){.trust = s.without});
    assert_int_not_equal(wait_over(of_a), NEO_OK);
    assert_int_not_equal(wait_over(of_b), NEO_OK);
}

TEST(of_three_two_that_are_told_together_part_from_the_third_together)
{
    const struct neo_channel_options options = plain();
    struct neo_channel *third = open_with(&options);

    open_both();
    assert_int_equal(call_once(third), NEO_OK);
    struct neo_channel *const twice[] = {s.a, s.b, s.a};
    neo_channels_update(twice, 3, &(struct neo_epoch){.identity = s.another});
    assert_int_equal(call_once(s.a), NEO_OK);
    assert_int_equal(call_once(s.b), NEO_OK);
    assert_int_equal(call_once(third), NEO_OK);
    assert_int_equal(accepted(), 2);
    /* Told again, of the same: nothing happens. */
    neo_channel_update(s.b, &(struct neo_epoch){.identity = s.another});
    assert_int_equal(call_once(s.b), NEO_OK);
    assert_int_equal(accepted(), 2);
    drop(&third);
}

TEST(one_that_is_opened_later_shares_with_whom_the_epoch_is_the_same)
{
    struct neo_channel_options options = plain();

    s.a = open_with(&options);
    assert_int_equal(call_once(s.a), NEO_OK);
    neo_channel_update(s.a, &(struct neo_epoch){.identity = s.another});
    options.epoch.identity = s.another;
    s.b = open_with(&options);
    assert_int_equal(call_once(s.b), NEO_OK);
    assert_int_equal(accepted(), 1);
    drop(&s.b);
    options = plain();
    s.b = open_with(&options);
    assert_int_equal(call_once(s.b), NEO_OK);
    assert_int_equal(accepted(), 2);
}

TEST(a_call_that_runs_stays_where_it_is_when_its_channel_parts)
{
    open_both();
    struct call *of_a = listen(s.a);
    neo_channel_update(s.a, &(struct neo_epoch){.identity = s.another});
    assert_true(goes_on(of_a));
    assert_int_equal(call_once(s.a), NEO_OK); /* on a connection of its own */
    assert_int_equal(accepted(), 2);
    /* ... also when the one it left has gone, */
    drop(&s.b);
    assert_true(goes_on(of_a));
    sim_run_for(600 * SEC);
    assert_true(goes_on(of_a));
    /* ... and is judged by what its own channel hears. */
    neo_channel_update(s.a, &(struct neo_epoch){.trust = s.without});
    assert_int_not_equal(wait_over(of_a), NEO_OK);
    sim_run_for(5 * SEC);
    assert_int_equal(neo_server_stats(s.server).connections, 0);
}

TEST(a_channel_that_rests_keeps_the_connection_on_which_another_has_calls)
{
    open_both();
    struct call *of_a = listen(s.a);
    neo_channel_update(s.a, &(struct neo_epoch){.identity = s.another});
    sim_run_for(3600 * SEC); /* B has no calls; idle_timeout is half of that */
    assert_true(goes_on(of_a));
}

TEST(a_channel_with_calls_where_nobody_else_is_left_ends_them_and_the_connection)
{
    open_both();
    struct call *of_a = listen(s.a);
    neo_channel_update(s.a, &(struct neo_epoch){.identity = s.another});
    drop(&s.b);
    drop(&s.a);
    assert_true(of_a->over);
    assert_int_equal(of_a->code, NEO_CANCELLED);
    sim_run_for(2 * SEC);
    assert_int_equal(neo_server_stats(s.server).connections, 0);
}

/* From inside an event of that connection. */
TEST(a_call_may_free_the_channel_whose_connection_it_runs_on)
{
    open_both();
    struct call *of_a = listen(s.a);
    neo_channel_update(s.a, &(struct neo_epoch){.identity = s.another});
    of_a->frees = &s.b;
    assert_true(goes_on(of_a));
    assert_null(s.b);
    of_a->frees = NULL;
    assert_true(goes_on(of_a));
    drop(&s.a);
    assert_true(of_a->over);
    sim_run_for(2 * SEC);
    assert_int_equal(neo_server_stats(s.server).connections, 0);
}

/* The same, and that was its last one: nothing is left on a connection that is in the middle of it.
 */
TEST(a_call_may_end_and_free_the_channel_whose_connection_it_ran_on)
{
    open_both();
    struct call *of_a = listen(s.a);
    neo_channel_update(s.a, &(struct neo_epoch){.identity = s.another});
    of_a->frees = &s.b;
    of_a->cancels = true;
    const struct neo_test_v1_Words words = {.count = 1};
    (void)neo_client_call_send(of_a->call, &words);
    assert_int_equal(wait_over(of_a), NEO_CANCELLED);
    assert_null(s.b);
    sim_run_for(2 * SEC);
    assert_int_equal(neo_server_stats(s.server).connections, 0);
    assert_int_equal(call_once(s.a), NEO_OK);
}

TEST(calls_that_wait_go_over_with_their_channel)
{
    (void)snprintf(s.target, sizeof(s.target), "ipv4:10.0.0.1:7001");
    open_both();
    struct call *waiting[] = {say(s.a, true), say(s.b, true), say(s.a, true), say(s.b, true)};
    sim_run_for(1 * SEC);
    neo_channel_update(s.a, &(struct neo_epoch){.identity = s.another});
    drop(&s.b);
    assert_true(waiting[1]->over && waiting[3]->over);
    sim_host("10.0.0.1");
    struct neo_server *late = echo_server_at(&s.world, NULL, "10.0.0.1:7001");
    assert_int_equal(wait_over(waiting[0]), NEO_OK);
    assert_int_equal(wait_over(waiting[2]), NEO_OK);
    drop(&s.a);
    neo_server_free(late);
}

#define PROMISE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PROMISE(no_option_that_makes_a_difference_to_connections_is_shared_over),
        PROMISE(another_epoch_is_not_shared_over),
        PROMISE(those_with_connections_of_their_own_do_not_share_with_each_other),
        PROMISE(what_concerns_calls_alone_may_differ),
        PROMISE(each_keeps_its_own_limits),
        PROMISE(freeing_one_ends_its_calls_and_no_others),
        PROMISE(one_that_comes_later_finds_the_connection_of_the_first),
        PROMISE(a_revocation_that_one_is_told_of_ends_its_calls_and_not_the_others),
        PROMISE(a_trust_that_one_is_told_of_is_not_the_others),
        PROMISE(those_that_are_told_together_keep_their_connection),
        PROMISE(of_three_two_that_are_told_together_part_from_the_third_together),
        PROMISE(one_that_is_opened_later_shares_with_whom_the_epoch_is_the_same),
        PROMISE(a_call_that_runs_stays_where_it_is_when_its_channel_parts),
        PROMISE(a_channel_that_rests_keeps_the_connection_on_which_another_has_calls),
        PROMISE(a_channel_with_calls_where_nobody_else_is_left_ends_them_and_the_connection),
        PROMISE(a_call_may_free_the_channel_whose_connection_it_runs_on),
        PROMISE(a_call_may_end_and_free_the_channel_whose_connection_it_ran_on),
        PROMISE(calls_that_wait_go_over_with_their_channel),
    };
    return cmocka_run_group_tests_name("scenario/channel_share", tests, NULL, NULL);
}
