/* SPDX-License-Identifier: Apache-2.0 */
/* Rollouts: which steps are refused and why, which measurements count, and the document. */
#include "../unit.h"

#include <neo/attest.h>
#include <neo/rollout.h>

#include <stdio.h>

#define NOW INT64_C(1790000000)
#define A64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define A96 A64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B96                                                                                        \
    "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"                             \
    "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static struct neo_rollout candidate(void)
{
    struct neo_rollout r;

    assert_int_equal(neo_rollout_begin("a-service", A96, NOW, &r, NULL), NEO_OK);
    return r;
}

static struct neo_rollout in_state(enum neo_rollout_state state)
{
    struct neo_rollout r = candidate();

    r.state = state;
    return r;
}

/* --- refusals --------------------------------------------------------------------------------- */

TEST(what_is_no_service_or_no_measurement_is_refused)
{
    static const struct {
        const char *service;
        const char *measurement;
    } bad[] = {{"A!", A96},
               {"", A96},
               {"a-service", ""},
               {"a-service", "aa"},
               {"a-service", A64 "a"},
               {"a-service", A64 "AA"},
               {"a-service", A96 A64}};
    struct neo_rollout r;

    for (size_t i = 0; i < NEO_COUNT(bad); i++)
        assert_int_equal(neo_rollout_begin(bad[i].service, bad[i].measurement, NOW, &r, NULL),
                         NEO_INVALID_ARGUMENT);
}

TEST(every_step_leads_on_from_one_state_only)
{
    const struct neo_rollout_seen seen = {.instances = 1};
    static const bool allowed[NEO_ROLLOUT_STATES_N][3] = {
        [NEO_ROLLOUT_CANDIDATE] = {[NEO_ROLLOUT_ACTIVATE] = true, [NEO_ROLLOUT_REVOKE] = true},
        [NEO_ROLLOUT_ACTIVE] = {[NEO_ROLLOUT_RETIRE] = true, [NEO_ROLLOUT_REVOKE] = true},
        [NEO_ROLLOUT_RETIRING] = {[NEO_ROLLOUT_REVOKE] = true},
    };

    for (unsigned s = 0; s < NEO_ROLLOUT_STATES_N; s++) {
        for (unsigned step = 0; step < 3; step++) {
            struct neo_rollout from = in_state((enum neo_rollout_state)s), to = {.since = -1};
            struct neo_error err = {0};
            enum neo_code code =
                neo_rollout_step(&from, (enum neo_rollout_step)step, &seen, NOW + 5, 0, &to, &err);
            assert_int_equal(code == NEO_OK, allowed[s][step]);
            assert_int_equal(to.since, code == NEO_OK ? NOW + 5 : -1);
            if (code != NEO_OK)
                assert_non_null(strstr(err.message, neo_rollout_state_text(from.state)));
        }
    }
}

TEST(nothing_is_activated_before_it_was_seen_to_start)
{
    struct neo_rollout from = candidate(), to;
    struct neo_rollout_seen seen = {.channels = 3};
    struct neo_error err;

    assert_int_equal(neo_rollout_step(&from, NEO_ROLLOUT_ACTIVATE, &seen, NOW, 0, &to, &err),
                     NEO_FAILED_PRECONDITION);
    assert_non_null(strstr(err.message, "no instance has started with it"));
    seen.instances = 1;
    assert_int_equal(neo_rollout_step(&from, NEO_ROLLOUT_ACTIVATE, &seen, NOW, NOW + 60, &to, &err),
                     NEO_OK);
    assert_int_equal(to.proven, NOW);
    assert_non_null(neo_rollout_refusal(&to, false, NOW + 59));
    assert_null(neo_rollout_refusal(&to, false, NOW + 60));
}

TEST(nothing_is_retired_while_live_connections_rest_on_it)
{
    struct neo_rollout from = in_state(NEO_ROLLOUT_ACTIVE), to;
    struct neo_rollout_seen seen = {.channels = 1};
    struct neo_error err;

    assert_int_equal(neo_rollout_step(&from, NEO_ROLLOUT_RETIRE, &seen, NOW, 0, &to, &err),
                     NEO_FAILED_PRECONDITION);
    assert_non_null(strstr(err.message, "1 live connections"));
    seen.channels = 0;
    assert_int_equal(neo_rollout_step(&from, NEO_ROLLOUT_RETIRE, &seen, NOW, NOW + 60, &to, &err),
                     NEO_OK);
    assert_null(neo_rollout_refusal(&to, false, NOW + 59));
    assert_non_null(neo_rollout_refusal(&to, false, NOW + 60));
}

TEST(dates_lie_ahead_and_a_revocation_has_none)
{
    struct neo_rollout from = in_state(NEO_ROLLOUT_ACTIVE), to;
    const struct neo_rollout_seen seen = {0};

    assert_int_equal(neo_rollout_step(&from, NEO_ROLLOUT_RETIRE, &seen, NOW, NOW - 1, &to, NULL),
                     NEO_INVALID_ARGUMENT);
    assert_int_equal(neo_rollout_step(&from, NEO_ROLLOUT_REVOKE, &seen, NOW, NOW + 1, &to, NULL),
                     NEO_INVALID_ARGUMENT);
    assert_int_equal(neo_rollout_step(&from, NEO_ROLLOUT_REVOKE, &seen, NOW, 0, &to, NULL), NEO_OK);
    assert_non_null(neo_rollout_refusal(&to, true, NOW));
}

TEST(nothing_is_retired_before_it_begins)
{
    struct neo_rollout from = in_state(NEO_ROLLOUT_ACTIVE), to;
    const struct neo_rollout_seen seen = {0};
    struct neo_error err;

    from.not_before = NOW + 60;
    assert_int_equal(neo_rollout_step(&from, NEO_ROLLOUT_RETIRE, &seen, NOW, NOW + 60, &to, &err),
                     NEO_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "end before it begins"));
    assert_int_equal(neo_rollout_step(&from, NEO_ROLLOUT_RETIRE, &seen, NOW, NOW + 61, &to, &err),
                     NEO_OK);
}

TEST(a_candidate_counts_for_who_observes_only)
{
    struct neo_rollout r = candidate();

    assert_non_null(neo_rollout_refusal(&r, false, NOW));
    assert_null(neo_rollout_refusal(&r, true, NOW));
}

/* --- the document ----------------------------------------------------------------------------- */

static enum neo_code read_text(const char *text, struct neo_arena *arena, struct neo_rollout **ret,
                               size_t *n, struct neo_error *err)
{
    const struct neo_document document = {NEO_LIT("r.yaml"), neo_text(text)};

    neo_arena_init(arena, 8 << 20);
    return neo_rollouts_read(&document, arena, ret, n, err);
}

#define HEAD "measurement_rollouts:\n  a-service:\n    - measurement: \"" A96 "\"\n"

TEST(a_document_that_is_not_whole_is_refused)
{
    static const char *const bad[] = {
        "measurement_rollouts:\n  a-service: []\n",
        HEAD "      state: active\n",
        HEAD "      state: great\n      since: \"2026-09-01T00:00:00Z\"\n",
        HEAD "      state: active\n      since: \"yesterday\"\n",
        HEAD "      state: active\n      since: \"2026-09-01T00:00:00Z\"\n      more: 1\n",
        HEAD "      state: active\n      since: \"2026-09-01T00:00:00Z\"\n"
             "    - measurement: \"" A96 "\"\n      state: active\n"
             "      since: \"2026-09-01T00:00:00Z\"\n",
    };

    for (size_t i = 0; i < NEO_COUNT(bad); i++) {
        struct neo_rollout *list = NULL;
        struct neo_arena arena;
        struct neo_error err;
        size_t n;
        if (read_text(bad[i], &arena, &list, &n, &err) == NEO_OK)
            fail_msg("accepted: %s", bad[i]);
        neo_arena_fini(&arena);
    }
}

TEST(what_is_written_is_read_again)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};
    struct neo_rollout list[3] = {in_state(NEO_ROLLOUT_RETIRING), candidate(), candidate()};
    struct neo_rollout *again = NULL;
    struct neo_arena arena;
    struct neo_error err;
    size_t n = 0;

    list[0].not_before = NOW + 1;
    list[0].not_after = NOW + 2;
    list[0].proven = NOW + 3;
    (void)snprintf(list[1].service, sizeof(list[1].service), "b-service");
    (void)snprintf(list[2].measurement, sizeof(list[2].measurement), "%s", B96);
    assert_true(neo_rollouts_write(list, 3, &text));
    assert_true(neo_buffer_append_byte(&text, '\0'));
    if (read_text((const char *)text.at, &arena, &again, &n, &err) != NEO_OK)
        fail_msg("%s", err.message);
    assert_int_equal(n, 3);
    assert_memory_equal(&again[0], &list[0], sizeof(list[0]));
    assert_memory_equal(&again[1], &list[2], sizeof(list[0])); /* of one service together */
    assert_memory_equal(&again[2], &list[1], sizeof(list[0]));
    neo_arena_fini(&arena);
}

TEST(other_documents_are_left_alone)
{
    struct neo_rollout *list = NULL;
    struct neo_arena arena;
    size_t n = 7;

    assert_int_equal(read_text("service: \"a\"\n", &arena, &list, &n, NULL), NEO_OK);
    assert_int_equal(n, 0);
    neo_arena_fini(&arena);
}

/* --- judged ----------------------------------------------------------------------------------- */

static const char policy[] = "attestation_policies:\n  a-service:\n    require: simulator\n"
                             "    any_of:\n      - tee: sev-snp\n        measurement:\n"
                             "          - " A96 "\n          - " B96 "\n";

struct world {
    struct neo_buffer bundle, root;
    struct neo_attest_trust *trust;
};

static void make_world(struct world *w)
{
    *w = (struct world){.trust = NULL};
    assert_int_equal(neo_sim_snp_init(&w->bundle, &w->root, NOW, NULL), NEO_OK);
    const struct neo_attest_trust_options options = {.simulated_root = neo_buffer_bytes(&w->root),
                                                     .development = true};
    assert_int_equal(neo_attest_trust_new(&options, &w->trust, NULL), NEO_OK);
}

/* The detail of policy.rollout, "" when it passes, "-" when it does not apply. */
static void judge(const struct world *w, const char *rollouts, bool observes, uint8_t code,
                  char ret[static 200])
{
    const struct neo_document documents[] = {{NEO_LIT("a.yaml"), neo_text(policy)},
                                             {NEO_LIT("r.yaml"), neo_text(rollouts)}};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer body = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer certificates = {0};
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    struct neo_attest_policies *policies;
    struct neo_attester *attester;
    uint8_t binder[NEO_BINDER_LEN] = {1}, measurement[48];
    struct neo_appraisal a;
    struct neo_error err;

    memset(measurement, code, sizeof(measurement));
    neo_arena_init(&arena, 1 << 20);
    if (neo_attest_policies_compile(documents, rollouts[0] == '\0' ? 1 : 2, true, &policies,
                                    &err) != NEO_OK)
        fail_msg("%s", err.message);
    if (observes)
        neo_attest_policies_observe(policies);
    assert_int_equal(
        neo_sim_snp_attester(neo_buffer_bytes(&w->bundle), measurement, true, &attester, NULL),
        NEO_OK);
    assert_int_equal(attester->attest(attester, binder, &body, &certificates, NULL), NEO_OK);
    const struct neo_evidence evidence = {NEO_EVIDENCE_SIM_SNP, neo_buffer_bytes(&body),
                                          neo_buffer_bytes(&certificates)};
    assert_int_equal(neo_attest_appraise(w->trust, policies, NEO_LIT("a-service"), &evidence,
                                         binder, NOW, &arena, &a, NULL),
                     NEO_OK);
    (void)snprintf(ret, 200, "absent");
    for (size_t i = 0; i < a.n_checks; i++) {
        const struct neo_check *c = &a.checks[i];
        if (strcmp(c->name, "policy.rollout") != 0)
            continue;
        assert_int_equal(a.accepted, c->result != NEO_CHECK_FAIL);
        assert_int_equal(a.reason, a.accepted ? NEO_ATTEST_NONE : NEO_ATTEST_MEASUREMENT);
        (void)snprintf(ret, 200, "%s",
                       c->result == NEO_CHECK_PASS   ? ""
                       : c->result == NEO_CHECK_FAIL ? c->detail
                                                     : "-");
    }
    attester->free(attester);
    neo_attest_policies_unref(policies);
}

TEST(an_appraisal_goes_by_the_rollout)
{
    static const char active[] =
        HEAD "      state: active\n      since: \"2026-09-01T00:00:00Z\"\n";
    static const char early[] = HEAD "      state: active\n      since: \"2026-09-01T00:00:00Z\"\n"
                                     "      not_before: \"2027-01-01T00:00:00Z\"\n";
    static const char newer[] =
        HEAD "      state: candidate\n      since: \"2026-09-01T00:00:00Z\"\n";
    static const char revoked[] =
        HEAD "      state: revoked\n      since: \"2026-09-01T00:00:00Z\"\n";
    static const struct {
        const char *rollouts;
        bool observes;
        uint8_t code;
        const char *detail;
    } cases[] = {
        {"", false, 0xaa, "-"},
        {active, false, 0xaa, ""},
        {active, false, 0xbb, "this measurement is not among those of its rollout"},
        {early, false, 0xaa, "this measurement is not accepted yet"},
        {newer, false, 0xaa, "this measurement is a candidate, which only the registry accepts"},
        {newer, true, 0xaa, ""},
        {revoked, false, 0xaa, "this measurement is revoked"},
        {revoked, true, 0xaa, "this measurement is revoked"},
    };
    struct world w;

    make_world(&w);
    for (size_t i = 0; i < NEO_COUNT(cases); i++) {
        char detail[200];
        judge(&w, cases[i].rollouts, cases[i].observes, cases[i].code, detail);
        assert_string_equal(detail, cases[i].detail);
    }
    neo_attest_trust_unref(w.trust);
    neo_buffer_fini_secret(&w.bundle);
    neo_buffer_fini(&w.root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_service_or_no_measurement_is_refused),
        cmocka_unit_test(every_step_leads_on_from_one_state_only),
        cmocka_unit_test(nothing_is_activated_before_it_was_seen_to_start),
        cmocka_unit_test(nothing_is_retired_while_live_connections_rest_on_it),
        cmocka_unit_test(dates_lie_ahead_and_a_revocation_has_none),
        cmocka_unit_test(nothing_is_retired_before_it_begins),
        cmocka_unit_test(a_candidate_counts_for_who_observes_only),
        cmocka_unit_test(a_document_that_is_not_whole_is_refused),
        cmocka_unit_test(what_is_written_is_read_again),
        cmocka_unit_test(other_documents_are_left_alone),
        cmocka_unit_test(an_appraisal_goes_by_the_rollout),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
