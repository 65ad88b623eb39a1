/* SPDX-License-Identifier: Apache-2.0 */
/* What is shown to people: rows and what they leave open, trees, and where evidence parts. */
#include "cvm.h"

#include <neo/attest_policy.h>

enum { ARENA = 8 << 20 };

static const struct neo_explain_node *find(const struct neo_explain_node *nodes, size_t n,
                                           const char *name, const char *value)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(nodes[i].name, name) == 0 && neo_bytes_is(nodes[i].value, value))
            return &nodes[i];
    }
    fail_msg("no %s: %s", name, value);
    return NULL;
}

TEST(a_tree_names_the_bits_of_flags_and_the_certificates)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    const struct neo_explain_node *nodes;
    struct neo_error err;
    struct cvm c;
    size_t n;

    cvm_init(&c, false);
    c.snp.report.policy |= SNP_POLICY_DEBUG;
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer body = cvm_evidence(&c);
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer certificates = machine_certificates(&c.snp);
    const struct neo_evidence evidence = {NEO_EVIDENCE_SIM_AZURE_SNP, neo_buffer_bytes(&body),
                                          neo_buffer_bytes(&certificates)};
    neo_arena_init(&arena, ARENA);
    if (neo_evidence_explain(&evidence, &arena, &nodes, &n, &err) != NEO_OK)
        fail_msg("%s", err.message);
    assert_int_equal(nodes[0].depth, 0);
    for (size_t i = 1; i < n; i++)
        assert_true(nodes[i].depth > 0 && nodes[i].depth <= nodes[i - 1].depth + 1);
    (void)find(nodes, n, "DEBUG", "1");
    (void)find(nodes, n, "MIGRATE_MA", "0");
    (void)find(nodes, n, "components", "bootloader 10, tee 1, snp 23, microcode 200");
    (void)find(nodes, n, "HCL report", "2600 bytes");
    (void)find(nodes, n, "secure_boot", "true");
    (void)find(nodes, n, "certificate", "SEV-VCEK");
    (void)find(nodes, n, "product", "Genoa");
    cvm_fini(&c);
}

TEST(damaged_evidence_is_not_explained)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    const struct neo_explain_node *nodes;
    size_t n;

    neo_arena_init(&arena, ARENA);
    for (unsigned kind = 0; kind <= NEO_EVIDENCE_UNKNOWN; kind++) {
        const struct neo_evidence evidence = {.kind = (enum neo_evidence_kind)kind,
                                              .body = NEO_LIT("x")};
        assert_int_equal(neo_evidence_explain(&evidence, &arena, &nodes, &n, NULL),
                         NEO_INVALID_ARGUMENT);
    }
}

/* --- rows ------------------------------------------------------------------------------------- */

#define HEX16(b) b b b b b b b b b b b b b b b b
#define HEX48(b) HEX16(b) HEX16(b) HEX16(b)

static bool warns(const struct neo_attest_row *row, const char *of)
{
    for (size_t i = 0; i < row->n_warnings; i++) {
        if (strstr(row->warnings[i], of) != NULL)
            return true;
    }
    return false;
}

TEST(rows_are_listed_as_they_are_written_with_what_they_leave_open)
{
    static const char text[] =
        "attestation_policies:\n"
        "  a:\n"
        "    require: hardware-or-tpm\n"
        "    max_evidence_age: 1m\n"
        "    any_of:\n"
        "      - tee: sev-snp\n"
        "        measurement: [\"" HEX48("4d") "\", \"" HEX48(
            "4e") "\"]\n"
                  "        min_tcb: {snp: 23}\n"
                  "      - tee: tdx\n"
                  "        mrtd: [\"" HEX48(
                      "4d") "\"]\n"
                            "        rtmr: {1: [\"" HEX48(
                                "11") "\"]}\n"
                                      "        tcb: {accept: [UpToDate, OutOfDate], "
                                      "min_eval_number: 18}\n"
                                      "        pck: {ppid: [" HEX16(
                                          "00") "]}\n"
                                                "        xfam: {value: \"0300000000000000\", mask: "
                                                "\"0300000000000000\"}\n"
                                                "  b:\n"
                                                "    require: hardware\n"
                                                "    any_of:\n"
                                                "      - {tee: nitro, pcr: {0: \"" HEX48(
                                                    "a0") "\"}}\n";
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    const struct neo_document document = {NEO_LIT("attest.yaml"), NEO_LIT(text)};
    const struct neo_attest_service *s;
    struct neo_attest_policies *policies;
    struct neo_error err;
    size_t n;

    if (neo_attest_policies_compile(&document, 1, false, &policies, &err) != NEO_OK)
        fail_msg("%s", err.message);
    neo_arena_init(&arena, ARENA);
    assert_int_equal(neo_attest_policies_list(policies, &arena, &s, &n, NULL), NEO_OK);
    assert_int_equal(n, 2);
    assert_true(neo_bytes_is(s[0].name, "a") && s[0].n_rows == 2);
    assert_string_equal(s[0].require, "hardware-or-tpm");
    assert_int_equal(s[0].max_age, 60 * NEO_NSEC_PER_SEC);
    const struct neo_attest_row *snp = &s[0].rows[0], *tdx = &s[0].rows[1], *nitro = &s[1].rows[0];
    assert_int_equal(snp->place.line, 6);
    assert_int_equal(snp->n_given, 2);
    assert_true(neo_bytes_is(snp->given[0].value, HEX48("4d") ", " HEX48("4e")));
    assert_string_equal(snp->given[1].name, "min_tcb.snp");
    assert_true(warns(snp, "no chip_id") && warns(snp, "no products") && !warns(snp, "no min_tcb"));
    assert_int_equal(tdx->n_warnings, 0);
    assert_int_equal(tdx->n_given, 7);
    assert_true(warns(nitro, "no pcr 3 and 4"));
    neo_attest_policies_unref(policies);
}

/* --- differences ------------------------------------------------------------------------------ */

/* The simulator's evidence of a machine, and what is asked about it. */
struct asked {
    struct machine m;
    struct neo_arena arena;
    struct neo_buffer body, certificates;
    struct neo_attest_policies *policies;
    struct neo_evidence evidence;
    struct neo_evidence_question q;
};

static void ask(struct asked *a, struct neo_bytes rows, bool has_certificates)
{
    const struct neo_document document = {NEO_LIT("attest.yaml"), rows};

    memset(a, 0, sizeof(*a));
    machine_init(&a->m, "Genoa", SNP_VCEK);
    if (has_certificates)
        a->certificates = machine_certificates(&a->m);
    assert_int_equal(sim_report_sign(&a->m.report, a->m.chip.key, &a->body, NULL), NEO_OK);
    assert_int_equal(neo_attest_policies_compile(&document, 1, true, &a->policies, NULL), NEO_OK);
    a->evidence = (struct neo_evidence){NEO_EVIDENCE_SIM_SNP, neo_buffer_bytes(&a->body),
                                        neo_buffer_bytes(&a->certificates)};
    a->q = (struct neo_evidence_question){
        .trust = a->m.trust,
        .policies = a->policies,
        .service = NEO_LIT("a"),
        .evidence = &a->evidence,
        .bound = neo_bytes(a->m.report.report_data, sizeof(a->m.report.report_data)),
        .now = NOW,
    };
    neo_arena_init(&a->arena, ARENA);
}

static void ask_fini(struct asked *a)
{
    neo_attest_policies_unref(a->policies);
    neo_buffer_fini(&a->certificates);
    neo_buffer_fini(&a->body);
    neo_arena_fini(&a->arena);
    machine_fini(&a->m);
}

TEST(the_nearest_row_comes_first_with_what_it_has_and_what_was_found)
{
    static const char rows[] =
        "attestation_policies:\n  a:\n    require: simulator\n    any_of:\n"
        "      - tee: sev-snp\n"
        "        measurement: [\"" HEX48(
            "00") "\"]\n"
                  "        vmpl: 2\n"
                  "        products: [Milan]\n"
                  "      - tee: tdx\n"
                  "        mrtd: [\"" HEX48("00") "\"]\n"
                                                  "      - tee: sev-snp\n"
                                                  "        measurement: [\"" HEX48("00") "\"]\n";
    const struct neo_attest_comparison *found;
    struct asked a;
    size_t n;

    ask(&a, NEO_LIT(rows), true);
    assert_int_equal(neo_evidence_compare(&a.q, &a.arena, &found, &n, NULL), NEO_OK);
    assert_int_equal(n, 2); /* the row of TDX has nothing to say */
    assert_int_equal(found[0].row, 2);
    assert_int_equal(found[0].n, 1);
    assert_string_equal(found[0].at[0].check, "snp.measurement");
    assert_non_null(strstr(found[0].at[0].found, HEX16("4d")));
    assert_true(neo_bytes_is(found[0].at[0].wanted, HEX48("00")));
    assert_int_equal(found[1].row, 0);
    assert_int_equal(found[1].n, 3);
    assert_string_equal(found[1].at[0].check, "snp.vmpl");
    assert_true(neo_bytes_is(found[1].at[0].wanted, "2"));
    assert_false(found[0].accepted || found[1].accepted);
    ask_fini(&a);
}

TEST(what_is_not_proven_is_shown_beside_the_row_as_its_own_word_and_never_holds)
{
#define TWO_ROWS(first, second)                                                                    \
    "attestation_policies:\n  a:\n    require: simulator\n    any_of:\n"                           \
    "      - tee: sev-snp\n        measurement: [\"" first "\"]\n"                                 \
    "      - tee: sev-snp\n        measurement: [\"" HEX48("00") "\", \"" second "\"]\n"
    static const char rows[] = TWO_ROWS(HEX48("00"), HEX48("4D"));
    const struct neo_attest_comparison *found;
    struct asked a;
    size_t n;

    ask(&a, NEO_LIT(rows), false);
    assert_int_equal(neo_evidence_compare(&a.q, &a.arena, &found, &n, NULL), NEO_OK);
    assert_int_equal(n, 2);
    for (size_t i = 0; i < n; i++) {
        assert_false(found[i].accepted);
        assert_int_equal(found[i].n, 1);
        assert_string_equal(found[i].at[0].check, "snp.certificates");
        assert_int_equal(found[i].n_claims, 1);
        assert_string_equal(found[i].claims[0].check, "snp.measurement");
        assert_true(neo_bytes_is(found[i].claims[0].claimed, HEX48("4d")));
    }
    assert_int_equal(found[0].row, 1); /* the nearest */
    assert_true(found[0].claims[0].same);
    assert_false(found[1].claims[0].same);
    assert_true(neo_bytes_is(found[1].claims[0].wanted, HEX48("00")));
    a.evidence.body.len--; /* what cannot be read says nothing */
    assert_int_equal(neo_evidence_compare(&a.q, &a.arena, &found, &n, NULL), NEO_OK);
    assert_int_equal(found[0].n_claims + found[1].n_claims, 0);
    ask_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tree_names_the_bits_of_flags_and_the_certificates),
        cmocka_unit_test(damaged_evidence_is_not_explained),
        cmocka_unit_test(rows_are_listed_as_they_are_written_with_what_they_leave_open),
        cmocka_unit_test(the_nearest_row_comes_first_with_what_it_has_and_what_was_found),
        cmocka_unit_test(
            what_is_not_proven_is_shown_beside_the_row_as_its_own_word_and_never_holds),
    };
    return cmocka_run_group_tests_name("attest/explain", tests, machine_setup, machine_teardown);
}
