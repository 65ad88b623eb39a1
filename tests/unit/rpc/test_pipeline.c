/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may call, how much, and what is said and written about it. The way of a call is
 * one table in src/rpc/pipeline.c; here each of its steps refuses once.
 */
#include "fixture.h"

static struct rpc_client client, other;

static size_t records_with(const char *decision, const char *stage, const char *reason)
{
    size_t n = 0;

    (void)pthread_mutex_lock(&audit.lock);
    for (size_t i = 0; i < audit.n && i < RECORDS_MAX; i++)
        n += strcmp(audit.at[i].decision, decision) == 0 && strcmp(audit.at[i].stage, stage) == 0 &&
             strcmp(audit.at[i].reason, reason) == 0;
    (void)pthread_mutex_unlock(&audit.lock);
    return n;
}

static void serve_with_policy(const char *text)
{
    struct neo_policy *policy = compile_policy(text);

    neo_policy_unref(world.policy);
    world.policy = world.options.epoch.policy = policy;
    serve();
}

/* --- authorise --------------------------------------------------------------------------- */

TEST(whom_no_rule_names_is_denied_before_its_body_is_read)
{
    struct rpc_call call;

    serve();
    connect_ready(&client, world.stranger);
    start_with(&call, &client, "Say", NULL, false, NULL, 0); /* headers only */
    wait_for(call.closed);
    assert_reason(&call, NEO_PERMISSION_DENIED, "POLICY_DENIED");
    assert_true(call.trailers_only);
    assert_false(call.status.processed);
    assert_int_equal(said, 0);
    rpc_call_fini(&call);
}

TEST(a_denial_names_the_decision_and_what_was_missing_and_no_rule)
{
    struct rpc_call call;

    serve();
    connect_ready(&client, world.stranger);
    start(&call, &client, "Say", &hello);
    wait_for(call.closed);
    assert_int_equal(call.status.decision_id.len, 18);
    assert_true(neo_bytes_starts(call.status.decision_id, NEO_LIT("d-")));
    assert_true(neo_bytes_is(call.status.service, "echo-service"));
    assert_true(neo_bytes_is(call.status.required_permission, "Say"));
    assert_true(neo_bytes_is(call.status.resource, "neo.test.v1.Echoes/Say"));
    assert_true(neo_bytes_is(call.status.message, "the policy does not allow this call"));
    assert_int_equal(call.status.n_metadata, 0);

    assert_int_equal(audit.n, 1);
    assert_int_equal(records_with("deny", "authorise", "POLICY_DENIED"), 1);
    assert_memory_equal(audit.at[0].id, call.status.decision_id.at, 18);
    assert_string_equal(audit.at[0].method, "neo.test.v1.Echoes/Say");
    assert_string_equal(audit.at[0].caller, "spiffe://neo.test/stranger-service");
    rpc_call_fini(&call);
}

TEST(each_denial_is_recorded_once_and_allowances_only_when_asked)
{
    serve();
    connect_ready(&client, world.caller);
    connect_ready(&other, world.stranger);
    for (int i = 0; i < 5; i++)
        assert_int_equal(call_once(&client, "Say", &hello), NEO_OK);
    for (int i = 0; i < 7; i++)
        assert_int_equal(call_once(&other, "Say", &hello), NEO_PERMISSION_DENIED);
    assert_int_equal(audit.n, 7);
    assert_int_equal(neo_server_stats(world.server).denied, 7);

    audit.sink.allowances = true;
    assert_int_equal(call_once(&client, "Say", &hello), NEO_OK);
    assert_int_equal(call_once(&client, "Nothing", &hello), NEO_UNIMPLEMENTED);
    assert_int_equal(audit.n, 9);
    assert_int_equal(records_with("allow", "authorise", ""), 1);
    assert_int_equal(records_with("deny", "grammar", "METHOD_UNKNOWN"), 1);
}

/* The code of a call that is addressed so. */
static enum neo_code call_to(struct rpc_client *to, const char *authority)
{
    const struct rpc_request request = {.path = "/neo.test.v1.Echoes/Say", .authority = authority};
    struct neo_buffer out = {0};
    struct rpc_call call;

    assert_true(rpc_call_start(&call, to, &request));
    rpc_call_send(&call, encode_echo(&hello, &out));
    rpc_call_end(&call);
    wait_for(call.closed);
    enum neo_code code = call.status.code;
    if (code != NEO_OK)
        assert_reason(&call, NEO_PERMISSION_DENIED, "AUTHORITY_UNKNOWN");
    rpc_call_fini(&call);
    neo_buffer_fini(&out);
    return code;
}

TEST(a_call_that_is_addressed_to_another_service_is_refused)
{
    static const char *const others[] = {
        "other-service",  "echo-service.evil.test", "echo-servic",   "echo-service2:8443",
        "evil.test:8443", "127.0.0.1.evil.test",    "a.b.wild.test", ".wild.test",
        "1.2.3",
    };
    static const char *const ours[] = {"echo-service", "ECHO-Service:1", "127.0.0.1:8443",
                                       "[::1]:8443",   "localhost",      "[fe80::1]",
                                       "alias.test",   "a.wild.test",    "echo-service.neo.test"};
    static const char *const also[] = {"alias.test", "*.wild.test", NULL};

    world.options.authorities = also;
    serve();
    connect_ready(&client, world.caller);
    for (size_t i = 0; i < NEO_COUNT(others); i++) {
        if (call_to(&client, others[i]) != NEO_PERMISSION_DENIED)
            fail_msg("%s was taken", others[i]);
        assert_int_equal(call_to(&client, "echo-service"), NEO_OK); /* on the same connection */
    }
    for (size_t i = 0; i < NEO_COUNT(ours); i++)
        if (call_to(&client, ours[i]) != NEO_OK)
            fail_msg("%s was not taken", ours[i]);
    assert_int_equal(said, NEO_COUNT(others) + NEO_COUNT(ours));
    assert_int_equal(audit.n, NEO_COUNT(others));
    assert_string_equal(audit.at[0].reason, "AUTHORITY_UNKNOWN");
}

TEST(every_name_will_do_where_the_server_says_so)
{
    static const char *const any[] = {"*", NULL};

    world.options.authorities = any;
    serve();
    connect_ready(&client, world.caller);
    assert_int_equal(call_to(&client, "whoever.test"), NEO_OK);
}

TEST(shadow_mode_lets_through_and_says_what_it_would_have_denied)
{
    serve_with_policy("service: \"stranger-service\"\nmode: shadow\nallowed_calls: []\n");
    connect_ready(&client, world.stranger);
    assert_int_equal(call_once(&client, "Say", &hello), NEO_OK);
    assert_int_equal(audit.n, 1);
    assert_int_equal(records_with("shadow-deny", "authorise", ""), 1);
}

TEST(an_anonymous_caller_is_heard_only_where_a_rule_names_it)
{
    struct rpc_call call;

    world.options.allow_anonymous = true;
    serve_with_policy("service: \"anonymous\"\n"
                      "allowed_calls:\n"
                      "  - target_service: \"echo-service\"\n"
                      "    operations: [\"Say\"]\n");
    connect_ready(&client, NULL);
    assert_int_equal(call_once(&client, "Say", &hello), NEO_OK);
    assert_string_equal(seen_caller, "anonymous");
    start(&call, &client, "Chat", &hello);
    wait_for(call.closed);
    assert_reason(&call, NEO_PERMISSION_DENIED, "POLICY_DENIED");
    rpc_call_fini(&call);
}

TEST(a_caller_is_who_its_certificate_says)
{
    const struct h2_header lies[] = {
        {NEO_LIT("x-caller-id"), NEO_LIT("admin-service")},
        {NEO_LIT("x-forwarded-client-cert"), NEO_LIT("By=spiffe://neo.test/admin-service")},
    };
    struct rpc_call call;

    serve();
    connect_ready(&client, world.caller);
    start_with(&call, &client, "Say", &hello, true, lies, 2);
    wait_for(call.closed);
    assert_string_equal(seen_caller, "caller-service");
    rpc_call_fini(&call);
}

TEST(a_condition_on_metadata_sees_one_value_or_none)
{
    const struct h2_header good = {NEO_LIT("x-tenant"), NEO_LIT("a")};
    const struct h2_header twice[] = {good, {NEO_LIT("x-tenant"), NEO_LIT("a")}};
    struct rpc_call call;

    serve_with_policy("service: \"caller-service\"\n"
                      "allowed_calls:\n"
                      "  - target_service: \"echo-service\"\n"
                      "    operations: [\"Say\"]\n"
                      "    when:\n"
                      "      metadata: {x-tenant: [\"a\"]}\n");
    connect_ready(&client, world.caller);
    start_with(&call, &client, "Say", &hello, true, &good, 1);
    wait_for(call.closed);
    assert_int_equal(call.status.code, NEO_OK);
    rpc_call_fini(&call);
    start_with(&call, &client, "Say", &hello, true, twice, 2);
    wait_for(call.closed);
    assert_reason(&call, NEO_PERMISSION_DENIED, "POLICY_DENIED");
    rpc_call_fini(&call);
    assert_int_equal(call_once(&client, "Say", &hello), NEO_PERMISSION_DENIED);
}

/* --- limits ------------------------------------------------------------------------------ */

TEST(a_rate_limit_refuses_and_says_when_to_come_back)
{
    struct neo_limits *limits = compile_limits("rate_limits:\n"
                                               "  per_method:\n"
                                               "    Say:\n"
                                               "      requests_per_second: 1\n"
                                               "      burst: 2\n");
    struct rpc_call call;

    world.options.epoch.limits = limits;
    serve();
    connect_ready(&client, world.caller);
    assert_int_equal(call_once(&client, "Say", &hello), NEO_OK);
    assert_int_equal(call_once(&client, "Say", &hello), NEO_OK);
    start(&call, &client, "Say", &hello);
    wait_for(call.closed);
    assert_reason(&call, NEO_RESOURCE_EXHAUSTED, "RATE_LIMITED");
    assert_false(call.status.processed);
    assert_true(neo_bytes_starts(call.status.bucket, NEO_LIT("method:")));
    assert_true(call.status.retry_after > 500 * MSEC && call.status.retry_after <= 1500 * MSEC);
    assert_true(wire_header(call.trailers, "grpc-retry-pushback-ms").len > 0);
    rpc_call_fini(&call);
    assert_int_equal(said, 2);
    assert_int_equal(records_with("deny", "limits", "RATE_LIMITED"), 1);

    struct neo_test_v1_Echo echo = {.count = 1};
    assert_int_equal(call_once(&client, "Later", &echo), NEO_OK);
    neo_limits_unref(limits);
}

TEST(a_denied_call_takes_no_token)
{
    struct neo_limits *limits = compile_limits("rate_limits:\n"
                                               "  global:\n"
                                               "    requests_per_second: 1\n"
                                               "    burst: 1\n");

    world.options.epoch.limits = limits;
    serve();
    connect_ready(&client, world.caller);
    connect_ready(&other, world.stranger);
    for (int i = 0; i < 5; i++)
        assert_int_equal(call_once(&other, "Say", &hello), NEO_PERMISSION_DENIED);
    assert_int_equal(call_once(&client, "Say", &hello), NEO_OK);
    assert_int_equal(call_once(&client, "Say", &hello), NEO_RESOURCE_EXHAUSTED);
    neo_limits_unref(limits);
}

/* --- admission --------------------------------------------------------------------------- */

TEST(more_than_the_limit_do_not_run)
{
    static struct rpc_call calls[40];
    unsigned shed = 0;

    world.options.max_in_flight = 10;
    serve();
    connect_ready(&client, world.caller);
    for (size_t i = 0; i < NEO_COUNT(calls); i++)
        start(&calls[i], &client, "Never", &hello);
    wait_for(client.open_calls <= 9);
    for (size_t i = 0; i < NEO_COUNT(calls); i++) {
        if (calls[i].closed) {
            assert_reason(&calls[i], NEO_RESOURCE_EXHAUSTED, "OVERLOADED");
            assert_true(calls[i].status.retry_after >= NEO_NSEC_PER_SEC);
            assert_false(calls[i].status.processed);
            shed++;
        }
        rpc_call_fini(&calls[i]);
    }
    assert_int_equal(said, 9); /* of ten, one place is for what is more important */
    assert_int_equal(shed, 31);
    disconnect(&client);
    wait_for(neo_server_stats(world.server).calls == 0);
}

/* Two at a time; how many of four come to an answer. */
static unsigned call_four(void)
{
    struct neo_test_v1_Echo echo = {.text = NEO_LIT("late"), .count = 30};
    static struct rpc_call calls[4];
    unsigned ok = 0;

    for (size_t i = 0; i < NEO_COUNT(calls); i++)
        start(&calls[i], &client, "Later", &echo);
    wait_for(client.open_calls == 0);
    for (size_t i = 0; i < NEO_COUNT(calls); i++) {
        ok += calls[i].status.code == NEO_OK;
        rpc_call_fini(&calls[i]);
    }
    return ok;
}

#ifdef NEO_SIM
enum { TRIES = 1 };
#else
enum { TRIES = 20 }; /* who had to wait for 100 ms, here for the machine, is rightly turned away */
#endif

TEST(a_call_that_waited_runs_when_there_is_room)
{
    unsigned ok = 0;

    world.options.max_in_flight = 2;
    serve();
    connect_ready(&client, world.caller);
    for (int i = 0; i < TRIES && ok != 4; i++)
        ok = call_four();
    assert_int_equal(ok, 4);
}

/* Bytes of a stream that waits are not lost, nor are they credited. */
TEST(a_stream_that_waited_hears_what_was_said_meanwhile)
{
    struct neo_test_v1_Echo echo = {.text = NEO_LIT("late"), .count = 40};
    struct rpc_call first, chat;
    struct neo_buffer out = {0};

    world.options.max_in_flight = 1;
    serve();
    connect_ready(&client, world.caller);
    start(&first, &client, "Later", &echo);
    start_with(&chat, &client, "Chat", NULL, false, NULL, 0);
    rpc_call_send(&chat, encode_echo(&hello, &out));
    rpc_call_send(&chat, encode_echo(&hello, &out));
    rpc_call_end(&chat);
    wait_for(first.closed && chat.closed);
    assert_int_equal(first.status.code, NEO_OK);
    assert_int_equal(chat.status.code, NEO_OK);
    assert_int_equal(chat.n_messages, 2);
    assert_said(&chat, "hello");
    rpc_call_fini(&first);
    rpc_call_fini(&chat);
    neo_buffer_fini(&out);
}

/*
 * Resetting a stream does not end the work behind it, so it must not make room for more. The reset
 * comes behind the request, and the server takes both in that order: nothing hangs on how long.
 */
TEST(resetting_buys_nobody_more_handlers)
{
    struct neo_test_v1_Echo echo = {.text = NEO_LIT("late"), .count = UNTIL_LET_GO};
    struct rpc_call call;

    serve();
    connect_ready(&client, world.caller);
    for (int i = 0; i < 150 && !client.gone; i++) {
        uint64_t started = neo_server_stats(world.server).started;
        start(&call, &client, "Later", &echo);
        wait_for(neo_server_stats(world.server).started > started || call.closed || client.gone);
        rpc_call_reset(&call, H2_CANCEL);
        run_for(0);
        rpc_call_fini(&call);
    }
    assert_in_range(said, 50, 100);
    let_go = true;
    disconnect(&client);
    wait_for(neo_server_stats(world.server).calls == 0);
}

/* --- updates ----------------------------------------------------------------------------- */

static void update_policy(const char *text)
{
    struct neo_policy *policy = compile_policy(text);

    neo_server_update(world.server, &(struct neo_epoch){.policy = policy});
    neo_policy_unref(policy);
}

TEST(a_policy_change_ends_what_it_no_longer_allows_and_nothing_else)
{
    struct rpc_call subscription, talk;

    serve();
    connect_ready(&client, world.caller);
    start(&subscription, &client, "Subscribe", &hello);
    start_with(&talk, &client, "Chat", &hello, false, NULL, 0);
    wait_for(subscription.n_messages == 1 && talk.n_messages == 1);

    neo_nsec begun = neo_mono_nsec();
    update_policy("service: \"caller-service\"\n"
                  "allowed_calls:\n"
                  "  - target_service: \"echo-service\"\n"
                  "    operations: [\"Chat\"]\n");
    wait_for(subscription.closed);
    assert_true(neo_mono_nsec() - begun < SEC);
    assert_reason(&subscription, NEO_PERMISSION_DENIED, "POLICY_CHANGED");
    assert_int_equal(subscription.status.decision_id.len, 18);
    assert_int_equal(heard_done, 1);
    assert_int_equal(records_with("deny", "update", "POLICY_CHANGED"), 1);
    assert_false(talk.closed);
    rpc_call_end(&talk);
    wait_for(talk.closed);
    assert_int_equal(talk.status.code, NEO_OK);
    assert_int_equal(call_once(&client, "Say", &hello), NEO_PERMISSION_DENIED);
    rpc_call_fini(&subscription);
    rpc_call_fini(&talk);
}

static struct neo_trust *trust_without(const struct neo_identity *identity)
{
    const struct neo_cert_facts *facts = neo_cert_facts(neo_identity_leaf(identity));
    const struct neo_revocation revoked = {
        .issuer_key_id = facts->issuer_key_id,
        .serial = facts->serial,
    };

    return pki_trust_revoking(world.pki, &revoked, 1);
}

TEST(a_revoked_caller_is_told_so_and_cut_within_a_second)
{
    struct neo_trust *trust;
    struct rpc_call subscription, innocent;

    serve();
    connect_ready(&client, world.caller);
    start(&subscription, &client, "Subscribe", &hello);
    wait_for(subscription.n_messages == 1);
    connect_ready(&other, world.stranger);
    start(&innocent, &other, "Say", &hello);
    wait_for(innocent.closed);

    neo_nsec begun = neo_mono_nsec();
    trust = trust_without(world.caller);
    neo_server_update(world.server, &(struct neo_epoch){.trust = trust});
    wait_for(subscription.closed);
    assert_reason(&subscription, NEO_UNAUTHENTICATED, "CERTIFICATE_REVOKED");
    wait_for(client.gone);
    assert_true(neo_mono_nsec() - begun < SEC);
    assert_false(other.gone);

    disconnect(&client);
    connect_as(&client, world.caller);
    wait_for(client.gone);
    assert_false(client.ready);
    rpc_call_fini(&subscription);
    rpc_call_fini(&innocent);
    neo_trust_unref(trust);
}

TEST(a_root_that_is_gone_takes_its_peers_with_it)
{
    struct pki *next = pki_new("neo.test");
    struct neo_trust *trust = pki_trust(next);
    struct neo_identity *identity = pki_identity(next, "echo-service", NULL);
    struct rpc_call subscription;

    serve();
    connect_ready(&client, world.caller);
    start(&subscription, &client, "Subscribe", &hello);
    wait_for(subscription.n_messages == 1);
    neo_server_update(world.server, &(struct neo_epoch){.identity = identity, .trust = trust});
    wait_for(client.gone);
    assert_reason(&subscription, NEO_UNAUTHENTICATED, "CERTIFICATE_REVOKED");
    rpc_call_fini(&subscription);
    neo_identity_unref(identity);
    neo_trust_unref(trust);
    pki_free(next);
}

TEST(a_new_identity_cuts_nobody_and_serves_the_next)
{
    struct neo_identity *next = pki_identity(world.pki, "echo-service", NULL);
    struct rpc_call subscription;

    serve();
    connect_ready(&client, world.caller);
    start(&subscription, &client, "Subscribe", &hello);
    wait_for(subscription.n_messages == 1);
    for (int i = 0; i < 10; i++)
        neo_server_update(world.server, &(struct neo_epoch){.identity = next});
    assert_int_equal(call_once(&client, "Say", &hello), NEO_OK);
    assert_false(subscription.closed);
    connect_ready(&other, world.caller);
    assert_true(neo_bytes_equal(neo_cert_facts(tls_peer(conn_tls(other.conn))->leaf)->serial,
                                neo_cert_facts(neo_identity_leaf(next))->serial));
    rpc_call_reset(&subscription, H2_CANCEL);
    wait_for(subscription.closed);
    rpc_call_fini(&subscription);
    neo_identity_unref(next);
}

TEST(a_limit_that_is_tightened_counts_at_once)
{
    struct neo_limits *limits = compile_limits("rate_limits:\n"
                                               "  per_caller:\n"
                                               "    caller-service:\n"
                                               "      requests_per_second: 1\n"
                                               "      burst: 1\n");

    serve();
    connect_ready(&client, world.caller);
    for (int i = 0; i < 5; i++)
        assert_int_equal(call_once(&client, "Say", &hello), NEO_OK);
    neo_server_update(world.server, &(struct neo_epoch){.limits = limits});
#ifdef NEO_SIM
    run_for(MSEC);
    assert_int_equal(call_once(&client, "Say", &hello), NEO_OK);
    assert_int_equal(call_once(&client, "Say", &hello), NEO_RESOURCE_EXHAUSTED);
#else /* as soon as two calls come within a second, behind the update */
    wait_for(call_once(&client, "Say", &hello) == NEO_RESOURCE_EXHAUSTED);
#endif
    neo_limits_unref(limits);
}

#ifdef NEO_SIM
TEST(a_certificate_that_ends_drains_its_connection_before)
{
    int64_t wall = neo_wall_nsec() / (int64_t)NEO_NSEC_PER_SEC;
    struct neo_identity *brief =
        pki_identity(world.pki, "caller-service", &(struct pki_options){.not_after = wall + 100});
    struct rpc_call subscription;

    serve();
    connect_ready(&client, brief);
    start(&subscription, &client, "Subscribe", &hello);
    run_for(75 * SEC);
    assert_int_equal(client.goaways, 0);
    run_for(10 * SEC); /* a fifth of its life before its end */
    assert_int_equal(client.goaways, 2);
    assert_string_equal(client.goaway_debug, "certificate_expires");
    assert_false(subscription.closed);
    run_for(65 * SEC); /* a running stream may outlive it by a minute */
    assert_false(subscription.closed);
    run_for(20 * SEC);
    assert_true(subscription.closed);
    assert_reason(&subscription, NEO_UNAUTHENTICATED, "CERTIFICATE_EXPIRED");
    assert_true(client.gone);
    rpc_call_fini(&subscription);
    neo_identity_unref(brief);
}
#endif

/* --- metrics ----------------------------------------------------------------------------- */

TEST(metrics_count_each_call_by_method_and_code)
{
    struct neo_buffer text = {0};

    serve();
    connect_ready(&client, world.caller);
    connect_ready(&other, world.stranger);
    for (int i = 0; i < 3; i++)
        assert_int_equal(call_once(&client, "Say", &hello), NEO_OK);
    assert_int_equal(call_once(&other, "Say", &hello), NEO_PERMISSION_DENIED);
    assert_int_equal(call_once(&client, "Nothing", &hello), NEO_UNIMPLEMENTED);
    assert_true(neo_metrics_print(world.metrics, &text));
    assert_true(neo_buffer_append_byte(&text, '\0'));
    const char *at = (const char *)text.at;
    assert_non_null(strstr(
        at, "neo_rpc_server_handled_total{method=\"neo.test.v1.Echoes/Say\",code=\"OK\"} 3"));
    assert_non_null(strstr(at, "neo_rpc_server_handled_total{method=\"neo.test.v1.Echoes/Say\","
                               "code=\"PERMISSION_DENIED\"} 1"));
    assert_non_null(
        strstr(at, "neo_rpc_server_started_total{method=\"neo.test.v1.Echoes/Say\"} 4"));
    assert_non_null(strstr(at, "neo_rpc_server_started_total{method=\"other\"} 1"));
    assert_non_null(strstr(at, "neo_rpc_server_denied_total{reason=\"POLICY_DENIED\"} 1"));
    assert_non_null(
        strstr(at, "neo_rpc_server_duration_seconds_count{method=\"neo.test.v1.Echoes/Say\"} 4"));
    neo_buffer_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PROMISE(whom_no_rule_names_is_denied_before_its_body_is_read),
        PROMISE(a_denial_names_the_decision_and_what_was_missing_and_no_rule),
        PROMISE(each_denial_is_recorded_once_and_allowances_only_when_asked),
        PROMISE(a_call_that_is_addressed_to_another_service_is_refused),
        PROMISE(every_name_will_do_where_the_server_says_so),
        PROMISE(shadow_mode_lets_through_and_says_what_it_would_have_denied),
        PROMISE(an_anonymous_caller_is_heard_only_where_a_rule_names_it),
        PROMISE(a_caller_is_who_its_certificate_says),
        PROMISE(a_condition_on_metadata_sees_one_value_or_none),
        PROMISE(a_rate_limit_refuses_and_says_when_to_come_back),
        PROMISE(a_denied_call_takes_no_token),
        PROMISE(more_than_the_limit_do_not_run),
        PROMISE(a_call_that_waited_runs_when_there_is_room),
        PROMISE(a_stream_that_waited_hears_what_was_said_meanwhile),
        PROMISE(resetting_buys_nobody_more_handlers),
        PROMISE(a_policy_change_ends_what_it_no_longer_allows_and_nothing_else),
        PROMISE(a_revoked_caller_is_told_so_and_cut_within_a_second),
        PROMISE(a_root_that_is_gone_takes_its_peers_with_it),
        PROMISE(a_new_identity_cuts_nobody_and_serves_the_next),
        PROMISE(a_limit_that_is_tightened_counts_at_once),
#ifdef NEO_SIM
        PROMISE(a_certificate_that_ends_drains_its_connection_before),
#endif
        PROMISE(metrics_count_each_call_by_method_and_code),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
