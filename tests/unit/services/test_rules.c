/* SPDX-License-Identifier: Apache-2.0 */
/* The CA's rules of attestation in their files: what of a change is taken, and when. */
#include "cli/serve_rules.h"

#include "../scratch.h"

#include <neo/enrol.h>
#include <neo/memory.h>
#include <neo/store.h>

#define CODE                                                                                       \
    "c0dec0dec0dec0dec0dec0dec0dec0dec0dec0dec0dec0dec0dec0dec0dec0dec0dec0dec0dec0dec0dec0dec0de" \
    "c0de"
#define HEAD "attestation_policies:\n"
#define SERVICE(name)                                                                              \
    "  " name ":\n    require: simulator\n    any_of:\n      - tee: sev-snp\n"                     \
    "        measurement: [" CODE "]\n"
#define ENROL "    enrol: attested\n"

static struct serve_rules rules;
static char policy[128], root_file[128], collateral[128];
static struct neo_error err;

static void put(const char *path, const char *text)
{
    assert_int_equal(neo_file_replace(path, neo_text(text), 0600, NULL), NEO_OK);
}

static int begin(void **state)
{
    NEO_CLEANUP(neo_buffer_fini_secret) struct neo_buffer bundle = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer root = {0};

    if (scratch_setup(state) != 0)
        return -1;
    (void)snprintf(policy, sizeof(policy), "%s", scratch("attest.yaml"));
    (void)snprintf(root_file, sizeof(root_file), "%s", scratch("root"));
    (void)snprintf(collateral, sizeof(collateral), "%s", scratch("collateral"));
    assert_int_equal(neo_sim_snp_init(&bundle, &root, 1800000000, NULL), NEO_OK);
    assert_int_equal(neo_file_replace(root_file, neo_buffer_bytes(&root), 0600, NULL), NEO_OK);
    rules = (struct serve_rules){
        .attestation = {.at = {policy}, .n = 1}, .simulated_root = root_file, .development = true};
    return 0;
}

/* One look: what it gave, or nothing. */
static struct ca_reading look(void)
{
    struct ca_reading r = {.policies = NULL};

    if (serve_rules_read(&rules, &r, &err) != NEO_OK)
        fail_msg("%s", err.message);
    return r;
}

static void let_go(struct ca_reading *r)
{
    neo_attest_policies_unref(r->policies);
    neo_attest_trust_unref(r->trust);
}

static bool asks(const struct ca_reading *r, const char *service)
{
    return neo_enrol_is_asked(r->policies, neo_text(service));
}

static void begin_with(const char *text)
{
    put(policy, text);
    struct ca_reading first = look();
    assert_non_null(first.policies); /* there is nothing before it, so it is taken at once */
    assert_non_null(first.trust);
    let_go(&first);
}

TEST(a_file_that_is_half_written_at_one_look_is_not_taken)
{
    static const char all[] = HEAD SERVICE("one") ENROL SERVICE("two") ENROL;

    begin_with(all);
    put(policy, HEAD SERVICE("one")); /* it parses, and asks nobody for anything */
    struct ca_reading r = look();
    assert_null(r.policies);
    put(policy, HEAD SERVICE("one") ENROL SERVICE("two"));
    r = look();
    assert_null(r.policies);
    put(policy, all);
    for (unsigned i = 0; i < 3; i++) {
        r = look();
        assert_null(r.policies); /* nothing is other than it was */
    }
}

TEST(what_two_looks_find_the_same_is_taken_once_with_its_digest)
{
    static const char text[] = HEAD SERVICE("one");
    uint8_t sha256[NEO_SHA256_LEN];

    begin_with(HEAD SERVICE("one") ENROL);
    put(policy, text);
    struct ca_reading r = look();
    assert_null(r.policies);
    r = look();
    assert_non_null(r.policies);
    assert_non_null(r.trust);
    assert_false(asks(&r, "one"));
    neo_sha256(neo_text(text), sha256);
    assert_memory_equal(r.sha256, sha256, sizeof(sha256));
    let_go(&r);
    r = look();
    assert_null(r.policies);
}

/* Two looks with another between them, or with none to be had, are not one after the other. */
TEST(a_file_that_was_away_between_two_looks_is_looked_at_twice_again)
{
    begin_with(HEAD SERVICE("one") ENROL);
    put(policy, HEAD SERVICE("one"));
    struct ca_reading r = look();
    assert_null(r.policies);
    assert_int_equal(unlink(policy), 0);
    assert_int_equal(serve_rules_read(&rules, &r, &err), NEO_NOT_FOUND);
    put(policy, HEAD SERVICE("one"));
    r = look();
    assert_null(r.policies);
    r = look();
    assert_non_null(r.policies);
    let_go(&r);
}

TEST(collateral_that_does_not_load_keeps_no_policy_from_coming_into_force)
{
    static const char *const bad[] = {"this is no certificate, no list and no document", NULL};

    rules.collateral = (struct arg_list){.at = {root_file}, .n = 1};
    begin_with(HEAD SERVICE("one"));
    rules.collateral.at[0] = collateral;
    for (size_t i = 0; i < NEO_COUNT(bad); i++) {
        struct ca_reading r;
        if (bad[i] != NULL)
            put(collateral, bad[i]);
        else
            assert_int_equal(unlink(collateral), 0);
        put(policy, i == 0 ? HEAD SERVICE("one") ENROL : HEAD SERVICE("one") ENROL SERVICE("two"));
        r = look();
        assert_null(r.policies);
        r = look();
        assert_non_null(r.policies);
        assert_null(r.trust);
        assert_int_not_equal(r.no_trust.code, NEO_OK);
        assert_true(asks(&r, "one"));
        let_go(&r);
    }
}

TEST(collateral_that_does_not_load_at_the_start_is_an_error)
{
    struct ca_reading r = {.policies = NULL};

    put(policy, HEAD SERVICE("one"));
    rules.collateral = (struct arg_list){.at = {collateral}, .n = 1};
    assert_int_not_equal(serve_rules_read(&rules, &r, &err), NEO_OK);
    assert_null(r.policies);
}

/* --- what a change takes away ----------------------------------------------------------------- */

static char lost[200];

static void note(void *self, struct neo_bytes service, const char *what)
{
    size_t n = strlen(lost);

    assert_ptr_equal(self, &rules);
    (void)snprintf(lost + n, sizeof(lost) - n, "%.*s: %s\n", NEO_FMT(service), what);
}

static struct neo_attest_policies *compile(const char *text, const char *rollouts)
{
    const struct neo_document documents[] = {{NEO_LIT("a.yaml"), neo_text(text)},
                                             {NEO_LIT("r.yaml"), neo_text(rollouts)}};
    struct neo_attest_policies *p;

    if (neo_attest_policies_compile(documents, rollouts[0] == '\0' ? 1 : 2, true, &p, &err) !=
        NEO_OK)
        fail_msg("%s", err.message);
    return p;
}

static const char *lost_from(const struct neo_attest_policies *before,
                             const struct neo_attest_policies *after)
{
    lost[0] = '\0';
    neo_enrol_compare(before, after, note, &rules);
    return lost;
}

#define ROLLOUT(digits)                                                                            \
    "    - measurement: \"" digits CODE "\"\n      state: retiring\n"                              \
    "      since: \"2025-12-01T00:00:00Z\"\n"

TEST(each_service_that_loses_its_evidence_or_its_rollouts_is_told)
{
    static const char text[] = HEAD SERVICE("one") ENROL SERVICE("two") ENROL SERVICE("three");
    struct neo_attest_policies *before =
        compile(text, "measurement_rollouts:\n  two:\n" ROLLOUT("aa")
                          ROLLOUT("bb") "  three:\n" ROLLOUT("aa"));
    struct neo_attest_policies *cut =
        compile(HEAD SERVICE("one") ENROL, "measurement_rollouts:\n  three:\n" ROLLOUT("bb"));

    assert_string_equal(lost_from(before, cut),
                        "two: enrol: attested\ntwo: measurement_rollouts\n");
    assert_string_equal(lost_from(before, NULL), "one: enrol: attested\ntwo: enrol: attested\n"
                                                 "two: measurement_rollouts\n"
                                                 "three: measurement_rollouts\n");
    assert_string_equal(lost_from(before, before), "");
    assert_string_equal(lost_from(cut, before), "");
    assert_string_equal(lost_from(NULL, before), "");
    neo_attest_policies_unref(before);
    neo_attest_policies_unref(cut);
}

#define PROMISE(name) cmocka_unit_test_setup_teardown(name, begin, scratch_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PROMISE(a_file_that_is_half_written_at_one_look_is_not_taken),
        PROMISE(what_two_looks_find_the_same_is_taken_once_with_its_digest),
        PROMISE(a_file_that_was_away_between_two_looks_is_looked_at_twice_again),
        PROMISE(collateral_that_does_not_load_keeps_no_policy_from_coming_into_force),
        PROMISE(collateral_that_does_not_load_at_the_start_is_an_error),
        PROMISE(each_service_that_loses_its_evidence_or_its_rollouts_is_told),
    };
    return cmocka_run_group_tests_name("services/rules", tests, NULL, NULL);
}
