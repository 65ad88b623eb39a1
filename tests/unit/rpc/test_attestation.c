/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attestation as the server carries it: nothing else is heard on a connection before,
 * what the policy asks holds while the appraisal does, and what ends it ends the calls
 * that rested on it. The exchange itself is tested in tests/unit/attest.
 */
#include "attest_fixture.h"

#include <neo/rollout.h>

/* --- promises ---------------------------------------------------------------------------- */

TEST(who_must_prove_itself_is_not_heard_before_and_its_body_is_not_read)
{
    struct rpc_call call;

    serve_attesting(attest_policies);
    connect_ready(&client, world.caller);
    start_with(&call, &client, "Say", NULL, false, NULL, 0);
    wait_for(call.closed);
    assert_reason(&call, NEO_FAILED_PRECONDITION, "ATTESTATION_REQUIRED");
    assert_false(call.status.processed);
    assert_int_equal(said, 0);
    rpc_call_fini(&call);
}

TEST(after_a_good_proof_calls_are_heard_as_attested)
{
    serve_attesting(attest_policies);
    connect_ready(&client, world.caller);
    assert_int_equal(run_exchange(caller_attester, false), NEO_OK);
    assert_int_equal(call_once(&client, "Say", &hello), NEO_OK);
    assert_true(seen_attested);
    assert_string_equal(audit.at[0].stage, "attestation");
    assert_string_equal(audit.at[0].decision, "allow");
}

TEST(a_server_whose_attester_blocks_proves_itself_from_the_pool)
{
    struct neo_attester slow = {.kind = server_attester->kind, .attest = attest_on_pool};

    world.options.attester = &slow;
    serve_attesting(attest_policies);
    connect_ready(&client, world.caller);
    assert_int_equal(run_exchange(caller_attester, true), NEO_OK);
    assert_int_equal(call_once(&client, "Say", &hello), NEO_OK);
}

TEST(a_proof_of_other_code_is_refused_and_the_connection_let_go)
{
    serve_attesting(attest_policies);
    connect_ready(&client, world.caller);
    assert_int_not_equal(run_exchange(rogue_attester, false), NEO_OK);
    wait_for(client.gone);
    assert_int_equal(said, 0);
    assert_string_equal(audit.at[0].reason, "ATTESTATION_REFUSED");
}

TEST(another_connection_must_prove_itself_again)
{
    static struct rpc_client second;

    serve_attesting(attest_policies);
    connect_ready(&client, world.caller);
    assert_int_equal(run_exchange(caller_attester, false), NEO_OK);
    connect_ready(&second, world.caller);
    assert_int_equal(call_once(&second, "Say", &hello), NEO_FAILED_PRECONDITION);
    assert_int_equal(call_once(&client, "Say", &hello), NEO_OK);
}

TEST(who_need_not_prove_itself_is_heard_at_once_and_is_not_attested)
{
    serve_attesting(server_policies);
    connect_ready(&client, world.caller);
    assert_int_equal(call_once(&client, "Say", &hello), NEO_OK);
    assert_false(seen_attested);
    assert_int_equal(run_exchange(caller_attester, true), NEO_OK); /* the server proves itself */
    assert_int_equal(call_once(&client, "Say", &hello), NEO_OK);
    assert_false(seen_attested);
}

/* No rule of the reference values asks it, but one of the policy does. */
TEST(a_condition_of_the_policy_asks_for_attestation)
{
    struct neo_policy *policy = compile_policy("service: \"caller-service\"\n"
                                               "allowed_calls:\n"
                                               "  - target_service: \"echo-service\"\n"
                                               "    operations: [\"Say\"]\n"
                                               "    when: {attested: true}\n");
    struct rpc_call call;

    world.options.epoch.policy = policy;
    serve_attesting(attest_policies);
    connect_ready(&client, world.caller);
    start(&call, &client, "Say", &hello);
    wait_for(call.closed);
    assert_reason(&call, NEO_FAILED_PRECONDITION, "ATTESTATION_REQUIRED");
    rpc_call_fini(&call);
    start(&call, &client, "Chat", &hello);
    wait_for(call.closed);
    assert_reason(&call, NEO_PERMISSION_DENIED, "POLICY_DENIED");
    rpc_call_fini(&call);
    assert_int_equal(run_exchange(caller_attester, false), NEO_OK);
    assert_int_equal(call_once(&client, "Say", &hello), NEO_OK);
    neo_policy_unref(policy);
}

#define CODE_CA                                                                                    \
    "cacacacacacacacacacacacacacacacacacacacacacacaca"                                             \
    "cacacacacacacacacacacacacacacacacacacacacacacaca"

/* Two rules of one policy: the caller's code and family, and those of somebody else. */
TEST(a_condition_on_the_callers_code_holds_for_what_it_has_proven)
{
    struct neo_policy *policy =
        compile_policy("service: \"caller-service\"\n"
                       "allowed_calls:\n"
                       "  - target_service: \"echo-service\"\n"
                       "    operations: [\"Say\"]\n"
                       "    when: {tee: [sev-snp], measurement: [" CODE_CA "]}\n"
                       "  - target_service: \"echo-service\"\n"
                       "    operations: [\"Chat\"]\n"
                       "    when: {tee: [tdx]}\n");
    struct rpc_call call;

    world.options.epoch.policy = policy;
    serve_attesting(attest_policies);
    connect_ready(&client, world.caller);
    start(&call, &client, "Say", &hello);
    wait_for(call.closed);
    assert_reason(&call, NEO_FAILED_PRECONDITION, "ATTESTATION_REQUIRED");
    rpc_call_fini(&call);
    assert_int_equal(run_exchange(caller_attester, false), NEO_OK);
    assert_int_equal(call_once(&client, "Say", &hello), NEO_OK);
    start(&call, &client, "Chat", &hello);
    wait_for(call.closed);
    assert_reason(&call, NEO_PERMISSION_DENIED, "POLICY_DENIED");
    rpc_call_fini(&call);
    neo_policy_unref(policy);
}

TEST(garbage_is_no_proof)
{
    struct rpc_call call;

    serve_attesting(attest_policies);
    connect_ready(&client, world.caller);
    assert_true(rpc_call_start(&call, &client, &(struct rpc_request){.path = PATH}));
    rpc_call_send(&call, NEO_LIT("\xff\xff\xff"));
    wait_for(call.closed);
    assert_int_not_equal(call.status.code, NEO_OK);
    rpc_call_fini(&call);
    assert_int_equal(said, 0);
}

TEST(one_exchange_at_a_time_and_not_too_many)
{
    struct exchange x;
    struct rpc_call call;

    serve_attesting(attest_policies);
    connect_ready(&client, world.caller);
    open_exchange(&x, caller_attester, false);
    assert_true(rpc_call_start(&call, &client, &(struct rpc_request){.path = PATH}));
    wait_for(call.closed);
    assert_reason(&call, NEO_RESOURCE_EXHAUSTED, "OVERLOADED");
    rpc_call_fini(&call);
    wait_for((carry(&x), x.call.closed));
    assert_int_equal(x.call.status.code, NEO_OK);
    attest_session_free(x.session);
    rpc_call_fini(&x.call);

    unsigned good = 0;
    for (int i = 0; i < 8; i++)
        good += run_exchange(caller_attester, false) == NEO_OK;
    assert_in_range(good, 2, 5);
}

TEST(new_reference_values_make_everybody_prove_themselves_again)
{
    struct neo_attest_policies *next = policies_for("caller-service", "cb", "");
    struct rpc_call subscription;

    serve_attesting(attest_policies);
    connect_ready(&client, world.caller);
    assert_int_equal(run_exchange(caller_attester, false), NEO_OK);
    start(&subscription, &client, "Subscribe", &hello);
    wait_for(subscription.n_messages == 1);
    neo_server_update(world.server, &(struct neo_epoch){.attest_policies = next});
#ifdef NEO_SIM
    wait_for(client.gone);
    assert_reason(&subscription, NEO_UNAVAILABLE, "ATTESTATION_EXPIRED");
#else
    wait_for(client.goaways > 0);
    disconnect(&client);
#endif
    rpc_call_fini(&subscription);
    neo_attest_policies_unref(next);
}

static struct neo_attest_policies *rolled_out(enum neo_rollout_state state, int64_t seconds)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};
    const char *rules = "attestation_policies:\n  caller-service:\n    require: simulator\n"
                        "    any_of:\n      - {tee: sev-snp, measurement: [" CODE_CA "]}\n";
    int64_t now = neo_wall_nsec() / (int64_t)NEO_NSEC_PER_SEC;
    struct neo_attest_policies *policies;
    struct neo_rollout r;
    struct neo_error err;

    assert_int_equal(neo_rollout_begin("caller-service", CODE_CA, now, &r, NULL), NEO_OK);
    r.state = state;
    r.not_after = seconds == 0 ? 0 : now + seconds;
    assert_true(neo_rollouts_write(&r, 1, &text));
    const struct neo_document documents[] = {
        {NEO_LIT("attest.yaml"), neo_text(rules)},
        {NEO_LIT("rollouts.yaml"), neo_buffer_bytes(&text)},
    };
    if (neo_attest_policies_compile(documents, 2, true, &policies, &err) != NEO_OK)
        fail_msg("%s", err.message);
    return policies;
}

TEST(a_caller_whose_code_is_revoked_is_let_go_at_once_streams_and_all)
{
    struct neo_attest_policies *active = rolled_out(NEO_ROLLOUT_ACTIVE, 0);
    struct neo_attest_policies *revoked = rolled_out(NEO_ROLLOUT_REVOKED, 0);
    struct rpc_call subscription;

    serve_attesting(active);
    connect_ready(&client, world.caller);
    assert_int_equal(run_exchange(caller_attester, false), NEO_OK);
    start(&subscription, &client, "Subscribe", &hello);
    wait_for(subscription.n_messages == 1);
    neo_nsec at = neo_mono_nsec();
    neo_server_update(world.server, &(struct neo_epoch){.attest_policies = revoked});
    wait_for(client.gone);
    assert_in_range(neo_mono_nsec() - at, 0, 5 * SEC); /* those who may come again have 10 s */
    assert_true(subscription.closed);
    rpc_call_fini(&subscription);
    neo_attest_policies_unref(active);
    neo_attest_policies_unref(revoked);
}

/* The proof is good by the rules that were in force when the exchange began, and not by these. */
TEST(a_proof_by_rules_that_were_withdrawn_meanwhile_counts_for_nothing)
{
    struct neo_attest_policies *next = policies_for("caller-service", "cb", "");
    struct neo_policy *strict = compile_policy("service: \"caller-service\"\n"
                                               "allowed_calls:\n"
                                               "  - target_service: \"echo-service\"\n"
                                               "    operations: [\"Say\"]\n");
    struct exchange x;

    serve_attesting(attest_policies);
    connect_ready(&client, world.caller);
    open_exchange(&x, caller_attester, false);
    wait_for(x.call.n_messages == 1); /* the server's offer: its session has begun */
    neo_server_update(world.server, &(struct neo_epoch){.attest_policies = next, .policy = strict});
    wait_for(call_once(&client, "Chat", &hello) == NEO_PERMISSION_DENIED); /* it has arrived */
    wait_for((carry(&x), x.call.closed));
    assert_reason(&x.call, NEO_UNAVAILABLE, "ATTESTATION_EXPIRED");
    assert_int_not_equal(x.state, ATTEST_ACCEPTED); /* nor does the caller believe it is proven */
    attest_session_free(x.session);
    rpc_call_fini(&x.call);
    assert_int_equal(call_once(&client, "Say", &hello), NEO_FAILED_PRECONDITION);
    assert_int_equal(said, 0);
    assert_int_not_equal(run_exchange(caller_attester, false), NEO_OK);
    neo_attest_policies_unref(next);
    neo_policy_unref(strict);
}

#ifdef NEO_SIM
TEST(an_exchange_that_does_not_end_is_ended)
{
    struct rpc_call call;

    serve_attesting(attest_policies);
    connect_ready(&client, world.caller);
    assert_true(rpc_call_start(&call, &client, &(struct rpc_request){.path = PATH}));
    neo_nsec begun = neo_mono_nsec();
    wait_for(call.closed);
    assert_in_range((neo_mono_nsec() - begun) / SEC, 9, 11);
    rpc_call_fini(&call);
}

TEST(a_caller_is_not_heard_beyond_the_date_of_its_code)
{
    struct neo_attest_policies *dated = rolled_out(NEO_ROLLOUT_RETIRING, 30);
    neo_nsec begun = neo_mono_nsec();
    struct rpc_call subscription;

    serve_attesting(dated);
    connect_ready(&client, world.caller);
    assert_int_equal(run_exchange(caller_attester, false), NEO_OK);
    start(&subscription, &client, "Subscribe", &hello);
    wait_for(subscription.closed);
    assert_in_range(neo_mono_nsec() - begun, 28 * SEC, 30 * SEC);
    assert_reason(&subscription, NEO_UNAVAILABLE, "ATTESTATION_EXPIRED");
    assert_int_equal(call_once(&client, "Say", &hello), NEO_FAILED_PRECONDITION);
    rpc_call_fini(&subscription);
    neo_attest_policies_unref(dated);
}

TEST(when_an_appraisal_ends_so_do_the_calls_that_rested_on_it)
{
    struct neo_attest_policies *brief =
        policies_for("caller-service", "ca", "    max_evidence_age: \"60s\"\n");
    struct rpc_call subscription;

    serve_attesting(brief);
    connect_ready(&client, world.caller);
    assert_int_equal(run_exchange(caller_attester, false), NEO_OK);
    start(&subscription, &client, "Subscribe", &hello);
    run_for(40 * SEC);
    assert_int_equal(run_exchange(caller_attester, false), NEO_OK); /* again, in time */
    run_for(40 * SEC);
    assert_false(subscription.closed);
    run_for(40 * SEC);
    assert_true(subscription.closed);
    assert_reason(&subscription, NEO_UNAVAILABLE, "ATTESTATION_EXPIRED");
    assert_int_equal(call_once(&client, "Say", &hello), NEO_FAILED_PRECONDITION);
    rpc_call_fini(&subscription);
    neo_attest_policies_unref(brief);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        PROMISE(who_must_prove_itself_is_not_heard_before_and_its_body_is_not_read),
        PROMISE(after_a_good_proof_calls_are_heard_as_attested),
        PROMISE(a_server_whose_attester_blocks_proves_itself_from_the_pool),
        PROMISE(a_proof_of_other_code_is_refused_and_the_connection_let_go),
        PROMISE(another_connection_must_prove_itself_again),
        PROMISE(who_need_not_prove_itself_is_heard_at_once_and_is_not_attested),
        PROMISE(a_condition_of_the_policy_asks_for_attestation),
        PROMISE(a_condition_on_the_callers_code_holds_for_what_it_has_proven),
        PROMISE(garbage_is_no_proof),
        PROMISE(one_exchange_at_a_time_and_not_too_many),
        PROMISE(new_reference_values_make_everybody_prove_themselves_again),
        PROMISE(a_caller_whose_code_is_revoked_is_let_go_at_once_streams_and_all),
        PROMISE(a_proof_by_rules_that_were_withdrawn_meanwhile_counts_for_nothing),
#ifdef NEO_SIM
        PROMISE(an_exchange_that_does_not_end_is_ended),
        PROMISE(a_caller_is_not_heard_beyond_the_date_of_its_code),
        PROMISE(when_an_appraisal_ends_so_do_the_calls_that_rested_on_it),
#endif
    };

    return cmocka_run_group_tests(tests, make_machine, break_machine);
}
