/* SPDX-License-Identifier: Apache-2.0 */
/* Collateral that is out of date: for how long it does, and who is told. */
#include "platform.h"

#include <stdio.h>

struct outcome {
    struct neo_appraisal appraisal;
    char failed[64];
    char json[16384];
};

/* `grace`: lines of the policy. */
static enum neo_code compile_policy(const struct platform *p, const char *grace,
                                    struct neo_attest_policies **ret, struct neo_error *err)
{
    char text[1024], code[97];

    for (size_t i = 0; i < 48; i++)
        (void)snprintf(code + 2 * i, 3, "4d");
    code[p->is_tdx ? 96 : 64] = '\0';
    (void)snprintf(text, sizeof(text),
                   "attestation_policies:\n  function-service:\n    require: simulator\n%s"
                   "    any_of:\n      - tee: %s\n        %s: [\"%s\"]\n",
                   grace, p->is_tdx ? "tdx" : "sgx", p->is_tdx ? "mrtd" : "mrenclave", code);
    const struct neo_document document = {NEO_LIT("attest.yaml"), neo_text(text)};
    return neo_attest_policies_compile(&document, 1, true, ret, err);
}

static void ask(const struct platform *p, const char *grace, struct outcome *ret)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer quote = platform_quote(p);
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer json = {0};
    const struct neo_evidence evidence = {
        .kind = p->is_tdx ? NEO_EVIDENCE_SIM_TDX : NEO_EVIDENCE_SIM_SGX,
        .body = neo_buffer_bytes(&quote),
    };
    struct neo_attest_policies *policies;
    uint8_t binder[NEO_BINDER_LEN];
    struct neo_error err;

    if (compile_policy(p, grace, &policies, &err) != NEO_OK)
        fail_msg("%s", err.message);
    memset(binder, 0xb1, sizeof(binder));
    neo_arena_init(&arena, PLATFORM_ARENA);
    assert_int_equal(neo_attest_appraise(p->trust, policies, NEO_LIT("function-service"), &evidence,
                                         binder, PLATFORM_NOW, &arena, &ret->appraisal, NULL),
                     NEO_OK);
    (void)snprintf(ret->failed, sizeof(ret->failed), "accepted");
    for (size_t i = ret->appraisal.n_checks; i-- > 0;) {
        if (ret->appraisal.checks[i].result == NEO_CHECK_FAIL)
            (void)snprintf(ret->failed, sizeof(ret->failed), "%s", ret->appraisal.checks[i].name);
    }
    assert_true(neo_appraisal_json(&ret->appraisal, &json));
    (void)snprintf(ret->json, sizeof(ret->json), "%.*s", (int)json.len, (const char *)json.at);
    neo_attest_policies_unref(policies);
}

#define GRACE(time) "    collateral: {max_stale: " time "}\n"

static void expect(const struct platform *p, const char *grace, const char *failed, bool by_grace)
{
    struct outcome o;

    ask(p, grace, &o);
    assert_string_equal(o.failed, failed);
    assert_int_equal(o.appraisal.by_grace, by_grace);
    assert_non_null(strstr(o.json, by_grace ? "\"neo.collateral-by-grace\":true"
                                            : "\"neo.collateral-by-grace\":false"));
}

TEST(documents_out_of_date_do_for_as_long_as_the_policy_says)
{
    for (unsigned i = 0; i < 2; i++) {
        struct platform p;
        platform_init(&p, i == 0, i == 0 ? 4 : 3);
        const char *fresh = i == 0 ? "tdx.collateral.fresh" : "sgx.collateral.fresh";
        p.issued = "2026-09-01T00:00:00Z";
        p.next_update = "2026-09-20T14:13:20Z"; /* a day ago, to the second */
        platform_issue(&p);
        expect(&p, "", fresh, false);
        expect(&p, GRACE("0s"), fresh, false);
        expect(&p, GRACE("24h"), fresh, false);
        expect(&p, GRACE("48h"), "accepted", true);
        p.next_update = PLATFORM_UPDATE;
        platform_issue(&p);
        expect(&p, GRACE("48h"), "accepted", false);
        platform_fini(&p);
    }
}

TEST(lists_out_of_date_do_for_as_long_as_the_policy_says)
{
    struct platform p;

    platform_init(&p, true, 4);
    p.crl_until = PLATFORM_NOW - 3600;
    platform_issue(&p);
    expect(&p, "", "tdx.chain", false);
    expect(&p, GRACE("1h"), "tdx.chain", false);
    expect(&p, GRACE("2h"), "accepted", true);
    p.revoked = KEY_PCK; /* what an old list revokes is revoked */
    platform_issue(&p);
    expect(&p, GRACE("2h"), "tdx.chain", false);
    platform_fini(&p);
}

TEST(evidence_is_good_no_longer_than_the_grace)
{
    struct platform p;
    struct outcome o;

    platform_init(&p, true, 4);
    p.issued = "2026-09-01T00:00:00Z";
    p.next_update = "2026-09-20T14:13:20Z";
    p.crl_until = PLATFORM_NOW + 400 * PLATFORM_DAY;
    platform_issue(&p);
    ask(&p, GRACE("36h"), &o);
    assert_int_equal(o.appraisal.not_after, PLATFORM_NOW - PLATFORM_DAY + 36 * 3600);
    assert_non_null(strstr(o.json, "max_stale"));
    platform_fini(&p);
}

TEST(a_grace_beyond_bounds_does_not_load)
{
    static const char *const bad[] = {GRACE("2161h"), "    collateral: {}\n", GRACE("long"),
                                      "    collateral: {max_stale: 1h, more: 1}\n"};
    struct neo_attest_policies *policies;
    struct platform p = {.is_tdx = true};

    for (size_t i = 0; i < NEO_COUNT(bad); i++)
        assert_int_not_equal(compile_policy(&p, bad[i], &policies, NULL), NEO_OK);
    assert_int_equal(compile_policy(&p, GRACE("2160h"), &policies, NULL), NEO_OK);
    neo_attest_policies_unref(policies);
}

static void count(void *self, const struct neo_evidence *evidence)
{
    assert_true(evidence->body.len > 0);
    ++*(unsigned *)self;
}

TEST(who_keeps_collateral_is_told_what_is_missing)
{
    struct platform p;
    struct outcome o;
    unsigned told = 0;

    platform_init(&p, true, 4);
    struct neo_attest_trust *whole = p.trust;
    const struct neo_attest_trust_options options = {
        .simulated_root = neo_buffer_bytes(&p.ders[KEY_ROOT]),
        .development = true,
        .missing = count,
        .missing_self = &told,
    };
    assert_int_equal(neo_attest_trust_new(&options, &p.trust, NULL), NEO_OK);
    ask(&p, "", &o);
    assert_int_equal(o.appraisal.reason, NEO_ATTEST_COLLATERAL);
    assert_int_equal(told, 1);
    p.td_attributes[0] = 1;
    neo_attest_trust_unref(p.trust);
    p.trust = whole;
    ask(&p, "", &o);
    assert_int_equal(o.appraisal.reason, NEO_ATTEST_DEBUG);
    assert_int_equal(told, 1);
    platform_fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents_out_of_date_do_for_as_long_as_the_policy_says),
        cmocka_unit_test(lists_out_of_date_do_for_as_long_as_the_policy_says),
        cmocka_unit_test(evidence_is_good_no_longer_than_the_grace),
        cmocka_unit_test(a_grace_beyond_bounds_does_not_load),
        cmocka_unit_test(who_keeps_collateral_is_told_what_is_missing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
