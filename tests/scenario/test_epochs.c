/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a channel makes of a new trust or new rules of attestation at every moment at which
 * they can come, and how it ends. Real TLS and evidence of the simulator, in simulated time.
 */
#include <grpc/health/v1/health.neo.h>

#include "attested_scene.h"

#include "rpc/conn_internal.h"
#include "rpc/peer.h"
#include "rpc/server.h"

#include <unistd.h>

static void open_with_health(void)
{
    static const char config[] = "{\"healthCheckConfig\": {\"serviceName\": \"\"}}";

    open_as_caller(s.target, brief, (struct neo_channel_options){.service_config = config});
}

/* --- promises: trust -------------------------------------------------------------------------- */

/* One step of the handshake takes 5 ms here; the revocation comes at each moment of it. */
TEST(a_revocation_that_comes_during_a_handshake_counts_for_its_connection)
{
    const struct neo_identity *identity = s.world.epoch.identity;
    const struct neo_cert_facts *f = neo_cert_facts(neo_identity_leaf(identity));
    const struct neo_revocation revoked = {.issuer_key_id = f->issuer_key_id, .serial = f->serial};
    struct neo_trust *without = pki_trust_revoking(s.world.pki, &revoked, 1);
    struct sim_network network = sim_network_default();
    unsigned during = 0;

    network.latency_min = network.latency_max = 5 * MSEC;
    sim_network(&network);
    for (neo_nsec at = MSEC; at < 60 * MSEC; at += MSEC) {
        unsigned before = s.world.handled;
        s.n = 0;
        memset(s.calls, 0, sizeof(s.calls));
        open_channel(NULL);
        struct call *c = say(false);
        sim_run_for(at);
        if (s.world.handled == before) {
            during++;
            neo_channel_update(s.channel, &(struct neo_epoch){.trust = without});
            assert_int_not_equal(wait_over(c), NEO_OK);
            assert_int_equal(s.world.handled, before); /* nothing of it was sent there */
        }
        neo_channel_free(s.channel);
        s.channel = NULL;
        sim_run_for(SEC);
    }
    assert_true(during > 15);
    neo_trust_unref(without);
}

/* --- promises: attestation -------------------------------------------------------------------- */

TEST(a_connection_that_proved_nothing_takes_no_call_once_the_policy_asks)
{
    open_channel(NULL);
    assert_int_equal(wait_over(say(true)), NEO_OK);
    sim_run_for(2 * SEC);
    assert_int_equal(attester.proofs, 0);
    neo_channel_update(s.channel, &(struct neo_epoch){.attest_policies = brief});
    assert_int_equal(wait_over(say(true)), NEO_OK);
    assert_int_equal(attester.proofs, 1); /* on the connection that took it */
}

TEST(new_rules_reach_a_connection_that_is_proven_already)
{
    open_channel(brief);
    assert_int_equal(wait_over(say(true)), NEO_OK);
    assert_int_equal(attester.proofs, 1);
    sim_run_for(2 * SEC);
    unsigned handled = s.world.handled;
    neo_channel_update(s.channel, &(struct neo_epoch){.attest_policies = strict});
    assert_int_not_equal(wait_over(say(false)), NEO_OK);
    assert_int_equal(s.world.handled, handled); /* at once: not a call more */
    neo_channel_update(s.channel, &(struct neo_epoch){.attest_policies = same});
    assert_int_equal(wait_over(say(true)), NEO_OK);
}

TEST(a_stream_outlives_rules_that_its_peer_does_not_meet_by_seconds_only)
{
    open_channel(brief);
    struct call *stream = listen();
    assert_true(sim_wait(has_message, stream, 5 * SEC));
    sim_run_for(2 * SEC);
    neo_nsec changed = neo_mono_nsec();
    neo_channel_update(s.channel, &(struct neo_epoch){.attest_policies = strict});
    assert_int_not_equal(wait_over(stream), NEO_OK);
    assert_in_range((stream->ended - changed) / SEC, 0, 11);
}

/* --- promises: channels that share ------------------------------------------------------------ */

/* s.channel and another one that share what `brief` has let them have. */
static struct neo_channel *open_shared(void)
{
    struct neo_identity *identity = pki_identity(s.world.pki, "caller-service", NULL);
    const struct neo_channel_options options = {
        .loop = neo_runtime_loop(s.world.client, 0),
        .epoch = {.identity = identity,
                  .trust = s.world.epoch.trust,
                  .attest_policies = brief,
                  .attest_trust = attest_trust},
        .service = "echo-service",
        .trust_domain = "neo.test",
    };
    struct neo_channel *other;

    assert_int_equal(neo_channel_open(s.target, &options, &other, NULL), NEO_OK);
    assert_int_equal(neo_channel_open(s.target, &options, &s.channel, NULL), NEO_OK);
    neo_identity_unref(identity);
    return other;
}

static void swap(struct neo_channel **other)
{
    struct neo_channel *kept = s.channel;

    s.channel = *other;
    *other = kept;
}

TEST(rules_that_one_channel_hears_of_alone_are_not_met_by_the_proof_that_it_shared)
{
    struct neo_channel *other = open_shared();
    struct call *stream = listen();
    assert_true(sim_wait(has_message, stream, 5 * SEC));
    swap(&other);
    struct call *of_other = listen();
    assert_true(sim_wait(has_message, of_other, 5 * SEC));
    assert_int_equal(attester.proofs, 1);
    swap(&other);
    unsigned handled = s.world.handled;
    neo_nsec changed = neo_mono_nsec();
    neo_channel_update(s.channel, &(struct neo_epoch){.attest_policies = strict});
    assert_int_not_equal(wait_over(stream), NEO_OK);
    assert_in_range((stream->ended - changed) / SEC, 0, 1);
    assert_int_not_equal(wait_over(say(false)), NEO_OK);
    assert_int_equal(s.world.handled, handled);
    assert_false(of_other->over);
    swap(&other);
    assert_int_equal(wait_over(say(false)), NEO_OK);
    neo_channel_free(other);
}

TEST(a_call_does_not_stay_where_others_have_changed_the_rules)
{
    struct neo_channel *other = open_shared();
    struct neo_identity *another = pki_identity(s.world.pki, "caller-service", NULL);
    struct call *stream = listen();
    assert_true(sim_wait(has_message, stream, 5 * SEC));
    neo_channel_update(s.channel, &(struct neo_epoch){.identity = another});
    sim_run_for(100 * SEC); /* it is proven anew by the same rules */
    assert_false(stream->over);
    assert_true(attester.proofs >= 2);
    neo_nsec changed = neo_mono_nsec();
    neo_channel_update(other, &(struct neo_epoch){.attest_policies = same});
    assert_int_not_equal(wait_over(stream), NEO_OK);
    assert_in_range((stream->ended - changed) / SEC, 0, 1);
    neo_identity_unref(another);
    neo_channel_free(other);
}

/* --- further connections ---------------------------------------------------------------------- */

enum { MANY = 130 }; /* more than a server takes on one connection */
static struct call many[MANY];

/* One call, then as many as need another connection. */
static void say_many(void)
{
    const struct neo_call_options options = {.timeout = 100 * SEC, .wait_for_ready = true};
    const struct neo_test_v1_Words request = {.count = 1, .delay_ms = 3000};

    memset(many, 0, sizeof(many));
    assert_int_equal(wait_over(say(true)), NEO_OK);
    sim_run_for(2 * SEC);
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(neo_test_v1_Speech_Do_start(s.channel, &options, &request, &events,
                                                     &many[i], &many[i].call, NULL),
                         NEO_OK);
}

TEST(no_call_goes_over_a_further_connection_that_does_not_prove_itself)
{
    open_wide(brief, 2);
    assert_int_equal(wait_over(say(true)), NEO_OK);
    attester.fails = true;
    say_many();
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(wait_over(&many[i]), NEO_OK);
    assert_true(attester.proofs >= 2);
    assert_int_equal(neo_server_stats(s.server).connections, 1);
}

TEST(new_rules_reach_further_connections)
{
    open_wide(brief, 2);
    say_many();
    sim_run_for(1 * SEC);
    assert_int_equal(attester.proofs, 2);
    unsigned handled = s.world.handled;
    neo_channel_update(s.channel, &(struct neo_epoch){.attest_policies = strict});
    assert_int_not_equal(wait_over(say(false)), NEO_OK);
    sim_run_for(100 * SEC);
    assert_int_equal(s.world.handled, handled); /* at once: not a call more */
    assert_int_equal(neo_server_stats(s.server).connections, 0);
}

TEST(further_connections_prove_themselves_too)
{
    open_wide(brief, 2);
    say_many();
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(wait_over(&many[i]), NEO_OK);
    assert_int_equal(attester.proofs, 2);
    assert_int_equal(neo_server_stats(s.server).connections, 2);
}

/* Where the test says what is there. */
static struct listing {
    struct neo_resolver face;
    struct neo_resolver_sink *sink;
} listing;

static void *watch(struct neo_resolver *self, const char *service, struct neo_loop *loop,
                   struct neo_resolver_sink *sink)
{
    (void)self;
    (void)service;
    (void)loop;
    listing.sink = sink;
    return sink;
}

static void unwatch(struct neo_resolver *self, void *sink)
{
    (void)self;
    assert_ptr_equal(listing.sink, sink);
    listing.sink = NULL;
}

static void open_listed(void)
{
    const struct neo_channel_tuning tuning = {.max_connections = 2};
    const struct neo_endpoint endpoint = {.address = neo_text(strchr(s.target, ':') + 1)};

    listing.face = (struct neo_resolver){.watch = watch, .unwatch = unwatch};
    open_as_caller("neo:///echo-service", brief,
                   (struct neo_channel_options){.resolver = &listing.face, .tuning = &tuning});
    listing.sink->resolved(listing.sink, &endpoint, 1);
}

/* Both connections are closing, and not gone, when their instance is no longer listed. */
TEST(an_instance_may_leave_the_list_while_its_further_connection_goes)
{
    const struct neo_identity *identity = s.world.epoch.identity;
    const struct neo_cert_facts *f = neo_cert_facts(neo_identity_leaf(identity));
    const struct neo_revocation revoked = {.issuer_key_id = f->issuer_key_id, .serial = f->serial};
    struct neo_trust *without = pki_trust_revoking(s.world.pki, &revoked, 1);

    open_listed();
    say_many();
    sim_run_for(1 * SEC);
    assert_int_equal(attester.proofs, 2);
    (void)alarm(60); /* one that turns for ever is ended */
    neo_channel_update(s.channel, &(struct neo_epoch){.trust = without});
    listing.sink->resolved(listing.sink, NULL, 0);
    (void)alarm(0);
    for (size_t i = 0; i < MANY; i++)
        assert_int_not_equal(wait_over(&many[i]), NEO_OK);
    sim_run_for(5 * SEC);
    assert_int_equal(neo_channel_peers(s.channel, NULL, 0), 0);
    assert_int_equal(neo_server_stats(s.server).connections, 0);
    neo_trust_unref(without);
}

TEST(rules_that_change_during_a_proof_are_the_ones_that_count)
{
    struct sim_network network = sim_network_default();
    unsigned during = 0;

    network.latency_min = network.latency_max = 5 * MSEC;
    sim_network(&network);
    for (neo_nsec at = 20 * MSEC; at < 80 * MSEC; at += 2 * MSEC) {
        unsigned before = s.world.handled;
        s.n = 0;
        memset(s.calls, 0, sizeof(s.calls));
        open_channel(brief);
        struct call *c = say(false);
        sim_run_for(at);
        if (neo_channel_wire(s.channel).request_bytes == 0) {
            during++;
            neo_channel_update(s.channel, &(struct neo_epoch){.attest_policies = strict});
            assert_int_not_equal(wait_over(c), NEO_OK);
            assert_int_equal(s.world.handled, before);
        }
        neo_channel_free(s.channel);
        s.channel = NULL;
        sim_run_for(2 * SEC);
    }
    assert_true(during > 5);
}

/* It holds the connection, answers PINGs even, but lets the second exchange hang. */
TEST(a_peer_that_does_not_prove_itself_anew_is_not_used_beyond_its_appraisal)
{
    open_channel(brief);
    assert_int_equal(wait_over(say(true)), NEO_OK);
    neo_nsec proven = neo_mono_nsec();
    sim_run_until(proven + 39 * SEC);
    assert_int_equal(attester.proofs, 1);
    for (unsigned i = 0; i < neo_runtime_workers(s.world.runtime); i++)
        sim_hang(neo_runtime_loop(s.world.runtime, i), 25 * SEC); /* asked at 40 s; ends at 60 s */
    sim_run_until(proven + 62 * SEC);
    struct neo_channel_peer peer;
    assert_int_equal(neo_channel_peers(s.channel, &peer, 1), 1);
    assert_string_not_equal(peer.state, "ready");
    assert_false(peer.attested);
    assert_int_equal(wait_over(say(true)), NEO_OK); /* a proof later */
    assert_true(attester.proofs >= 2);
}

/* TLS's goodbye on each of the server's connections, and then nothing from it for a while. */
static void say_goodbye_and_hang(neo_nsec duration)
{
    for (unsigned i = 0; i < s.server->n_workers; i++) {
        struct worker *w = s.server->workers[i];
        list_each (node, &w->peers) {
            struct conn *c = neo_owner(node, struct peer, link)->conn;
            NEO_CLEANUP(neo_buffer_fini) struct neo_buffer bye = {0};
            size_t sent;
            tls_close(c->tls, &bye);
            assert_true(bye.len > 0);
            assert_int_equal(net_write(w->loop, c->watch.fd, neo_buffer_bytes(&bye), &sent, NULL),
                             NET_OK);
        }
        sim_hang(w->loop, duration);
    }
}

/* Its connection lingers, without HTTP/2, when it is time to ask it again. */
TEST(a_peer_that_has_said_goodbye_is_not_asked_to_prove_itself_anew)
{
    open_channel(brief);
    assert_int_equal(wait_over(say(true)), NEO_OK);
    neo_nsec proven = neo_mono_nsec();
    sim_run_until(proven + 39600 * MSEC); /* it would be asked at 40 s */
    say_goodbye_and_hang(1200 * MSEC);
    sim_run_for(500 * MSEC);
    struct neo_channel_peer peer;
    assert_int_equal(neo_channel_peers(s.channel, &peer, 1), 1);
    assert_string_equal(peer.state, "ready"); /* it is not gone yet: it lingers */
    sim_run_for(5 * SEC);
    assert_int_equal(wait_over(say(true)), NEO_OK);
}

/* It takes no more streams, so it cannot prove itself anew; those that run may not outlast that. */
TEST(a_server_that_goes_away_is_not_heard_beyond_its_appraisal)
{
    open_channel(brief);
    struct call *stream = listen();
    assert_true(sim_wait(has_message, stream, 5 * SEC));
    neo_nsec proven = neo_mono_nsec();
    sim_run_for(10 * SEC);
    neo_server_drain(s.server, 600 * SEC);
    assert_int_equal(wait_over(stream), NEO_UNAVAILABLE);
    assert_in_range((stream->ended - proven) / SEC, 50, 60);
}

/* --- promises: health ------------------------------------------------------------------------- */

static unsigned watches;

static void forgotten(struct neo_call *call, const struct neo_status *status, void *state)
{
    (void)call;
    (void)status;
    (void)state;
}

static void never_say(struct neo_call *call,
                      const struct grpc_health_v1_HealthCheckRequest *request, void *self)
{
    static const struct neo_stream_events silent = {.done = forgotten};

    (void)request;
    (void)self;
    watches++;
    neo_call_on_stream(call, &silent, NULL);
}

/* Two exchanges and more while the answer is awaited. */
TEST(a_connection_that_is_proven_anew_before_its_health_is_known_asks_for_it_once)
{
    const struct neo_bytes path = NEO_LIT("/grpc.health.v1.Health/Watch");
    struct method *method = map_get(&s.server->methods, path);
    void (*handler)(struct neo_call *, const struct grpc_health_v1_HealthCheckRequest *, void *) =
        never_say;

    assert_non_null(method);
    memcpy(&method->handler, &handler, sizeof(method->handler));
    watches = 0;
    open_with_health();
    struct call *c = say(true);
    sim_run_for(90 * SEC);
    assert_false(c->over);
    assert_true(attester.proofs >= 3);
    assert_int_equal(watches, 1);
}

/* --- promises: the end ------------------------------------------------------------------------ */

TEST(a_channel_closes_also_when_calls_cancel_each_other)
{
    open_channel(NULL);
    for (unsigned i = 0; i < CALLS; i++)
        assert_true(sim_wait(has_message, listen(), 5 * SEC));
    for (unsigned i = 0; i < CALLS; i++)
        s.calls[i].cancels = &s.calls[(i + 1) % CALLS];
    neo_channel_free(s.channel);
    s.channel = NULL;
    for (unsigned i = 0; i < CALLS; i++) {
        assert_true(s.calls[i].over);
        assert_int_equal(s.calls[i].code, NEO_CANCELLED);
    }
}

#define PROMISE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PROMISE(a_revocation_that_comes_during_a_handshake_counts_for_its_connection),
        PROMISE(a_connection_that_proved_nothing_takes_no_call_once_the_policy_asks),
        PROMISE(new_rules_reach_a_connection_that_is_proven_already),
        PROMISE(a_stream_outlives_rules_that_its_peer_does_not_meet_by_seconds_only),
        PROMISE(rules_that_one_channel_hears_of_alone_are_not_met_by_the_proof_that_it_shared),
        PROMISE(a_call_does_not_stay_where_others_have_changed_the_rules),
        PROMISE(no_call_goes_over_a_further_connection_that_does_not_prove_itself),
        PROMISE(new_rules_reach_further_connections),
        PROMISE(further_connections_prove_themselves_too),
        PROMISE(an_instance_may_leave_the_list_while_its_further_connection_goes),
        PROMISE(rules_that_change_during_a_proof_are_the_ones_that_count),
        PROMISE(a_peer_that_does_not_prove_itself_anew_is_not_used_beyond_its_appraisal),
        PROMISE(a_peer_that_has_said_goodbye_is_not_asked_to_prove_itself_anew),
        PROMISE(a_server_that_goes_away_is_not_heard_beyond_its_appraisal),
        PROMISE(a_connection_that_is_proven_anew_before_its_health_is_known_asks_for_it_once),
        PROMISE(a_channel_closes_also_when_calls_cancel_each_other),
    };
    return cmocka_run_group_tests_name("scenario/epochs", tests, make_machine, break_machine);
}
