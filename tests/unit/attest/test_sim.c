/* SPDX-License-Identifier: Apache-2.0 */
/* The simulator as a program meets it: neo/attest.h and nothing else. */
#include "../unit.h"

#include <neo/attest.h>
#include <neo/encoding.h>
#include <neo/json.h>
#include <neo/memory.h>

#include "vectors.h"

#define NOW INT64_C(1790000000)

static struct neo_buffer bundle, root, other_bundle, other_root;
static uint8_t measurement[48];

static int setup(void **state)
{
    (void)state;
    memset(measurement, 0x4d, sizeof(measurement));
    return neo_sim_snp_init(&bundle, &root, NOW, NULL) == NEO_OK &&
                   neo_sim_snp_init(&other_bundle, &other_root, NOW, NULL) == NEO_OK
               ? 0
               : -1;
}

static int teardown(void **state)
{
    (void)state;
    neo_buffer_fini_secret(&bundle);
    neo_buffer_fini(&root);
    neo_buffer_fini_secret(&other_bundle);
    neo_buffer_fini(&other_root);
    return 0;
}

static struct neo_attest_policies *policy(const char *require)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};
    struct neo_attest_policies *policies;

    assert_true(neo_buffer_printf(&text,
                                  "attestation_policies:\n  a:\n    require: %s\n    any_of:\n"
                                  "      - tee: sev-snp\n        measurement: [",
                                  require));
    assert_true(neo_hex_encode(&text, neo_bytes(measurement, sizeof(measurement))));
    assert_true(neo_buffer_append_text(&text, "]\n"));
    const struct neo_document document = {NEO_LIT("p.yaml"), neo_buffer_bytes(&text)};
    assert_int_equal(neo_attest_policies_compile(&document, 1, true, &policies, NULL), NEO_OK);
    return policies;
}

static struct neo_attest_trust *trust(bool development)
{
    const struct neo_attest_trust_options options = {
        .simulated_root = development ? neo_buffer_bytes(&root) : (struct neo_bytes){0},
        .development = development,
    };
    struct neo_attest_trust *made;

    assert_int_equal(neo_attest_trust_new(&options, &made, NULL), NEO_OK);
    return made;
}

struct made {
    struct neo_buffer body;
    struct neo_buffer certificates;
    uint8_t binder[NEO_BINDER_LEN];
};

static struct made make(uint8_t fill)
{
    struct neo_attester *attester;
    struct made made = {0};

    memset(made.binder, fill, sizeof(made.binder));
    assert_int_equal(
        neo_sim_snp_attester(neo_buffer_bytes(&bundle), measurement, true, &attester, NULL),
        NEO_OK);
    assert_int_equal(attester->kind, NEO_EVIDENCE_SIM_SNP);
    assert_true(attester->is_fast);
    assert_int_equal(attester->attest(attester, made.binder, &made.body, &made.certificates, NULL),
                     NEO_OK);
    attester->free(attester);
    return made;
}

static void unmake(struct made *made)
{
    neo_buffer_fini(&made->body);
    neo_buffer_fini(&made->certificates);
}

static struct neo_appraisal appraise(const struct made *made, enum neo_evidence_kind kind,
                                     bool development, const char *require, struct neo_arena *arena)
{
    const struct neo_evidence evidence = {kind, neo_buffer_bytes(&made->body),
                                          neo_buffer_bytes(&made->certificates)};
    struct neo_attest_policies *policies = policy(require);
    struct neo_attest_trust *roots = trust(development);
    struct neo_appraisal appraisal;

    assert_int_equal(neo_attest_appraise(roots, policies, NEO_LIT("a"), &evidence, made->binder,
                                         NOW, arena, &appraisal, NULL),
                     NEO_OK);
    neo_attest_policies_unref(policies);
    neo_attest_trust_unref(roots);
    return appraisal;
}

/* --- promises --------------------------------------------------------------------------------- */

TEST(simulated_evidence_is_accepted_in_development_and_marked)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    struct made made = make(0x21);

    neo_arena_init(&arena, 1 << 20);
    struct neo_appraisal a = appraise(&made, NEO_EVIDENCE_SIM_SNP, true, "simulator", &arena);
    assert_true(a.accepted);
    assert_true(a.simulated);
    assert_memory_equal(a.measurement.at, measurement, sizeof(measurement));
    unmake(&made);
}

TEST(no_combination_outside_development_accepts_it)
{
    static const enum neo_evidence_kind kinds[] = {NEO_EVIDENCE_SNP, NEO_EVIDENCE_SIM_SNP,
                                                   NEO_EVIDENCE_UNKNOWN};
    static const char *const requires[] = {"hardware", "simulator"};
    struct made made = make(0x21);
    unsigned accepted = 0;

    for (size_t k = 0; k < NEO_COUNT(kinds); k++) {
        for (size_t r = 0; r < NEO_COUNT(requires); r++) {
            for (unsigned development = 0; development < 2; development++) {
                NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
                neo_arena_init(&arena, 1 << 20);
                struct neo_appraisal a =
                    appraise(&made, kinds[k], development != 0, requires[r], &arena);
                bool expected = development != 0 && kinds[k] == NEO_EVIDENCE_SIM_SNP && r == 1;
                assert_int_equal(a.accepted, expected);
                accepted += a.accepted;
            }
        }
    }
    assert_int_equal(accepted, 1);
    unmake(&made);
}

TEST(genuine_evidence_called_simulated_is_refused_in_development)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    struct made made = {0};

    if (!vectors_exist())
        skip();
    made.body = vectors_read("snp/genoa_v3_tsm_outblob.bin");
    made.certificates = vectors_read("snp/genoa_v3_tsm_auxblob.bin");
    memcpy(made.binder, made.body.at + 0x50, sizeof(made.binder));
    neo_arena_init(&arena, 1 << 20);
    struct neo_appraisal a = appraise(&made, NEO_EVIDENCE_SIM_SNP, true, "simulator", &arena);
    assert_false(a.accepted);
    assert_int_equal(a.reason, NEO_ATTEST_CHAIN);
    unmake(&made);
}

TEST(the_simulator_is_not_made_outside_development)
{
    struct neo_attester *attester = NULL;

    assert_int_equal(
        neo_sim_snp_attester(neo_buffer_bytes(&bundle), measurement, false, &attester, NULL),
        NEO_FAILED_PRECONDITION);
    assert_null(attester);
}

TEST(a_bundle_that_is_no_bundle_is_refused)
{
    struct neo_attester *attester = NULL;
    NEO_CLEANUP(neo_buffer_fini_secret) struct neo_buffer mixed = {0};
    const char *const key_begins = "-----BEGIN PRIVATE KEY-----";
    const uint8_t *key = memmem(bundle.at, bundle.len, key_begins, strlen(key_begins));

    assert_non_null(key);
    size_t certs = (size_t)(key - bundle.at);
    const struct neo_bytes wrong[] = {
        NEO_LIT(""),
        NEO_LIT("-----BEGIN PRIVATE KEY-----"),
        {bundle.at, certs},
        {key, bundle.len - certs},
        {bundle.at, bundle.len - 60},
    };
    for (size_t i = 0; i < NEO_COUNT(wrong); i++)
        assert_int_not_equal(neo_sim_snp_attester(wrong[i], measurement, true, &attester, NULL),
                             NEO_OK);

    /* Certificates of one machine, the key of another. */
    const uint8_t *other_key =
        memmem(other_bundle.at, other_bundle.len, key_begins, strlen(key_begins));
    assert_true(neo_buffer_append(&mixed, neo_bytes(bundle.at, certs)));
    assert_true(neo_buffer_append(
        &mixed, neo_bytes(other_key, other_bundle.len - (size_t)(other_key - other_bundle.at))));
    assert_int_equal(
        neo_sim_snp_attester(neo_buffer_bytes(&mixed), measurement, true, &attester, NULL),
        NEO_INVALID_ARGUMENT);
    assert_null(attester);
}

TEST(every_bundle_is_a_machine_of_its_own)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    struct made made = make(0x21);

    assert_false(neo_bytes_equal(neo_buffer_bytes(&root), neo_buffer_bytes(&other_root)));
    struct neo_buffer mine = root;
    root = other_root;
    neo_arena_init(&arena, 1 << 20);
    struct neo_appraisal a = appraise(&made, NEO_EVIDENCE_SIM_SNP, true, "simulator", &arena);
    root = mine;
    assert_int_equal(a.reason, NEO_ATTEST_CHAIN);
    unmake(&made);
}

TEST(making_an_attester_survives_any_failing_allocation)
{
    bool done = false;

    for (unsigned long n = 1; !done; n++) {
        struct neo_attester *attester = NULL;
        neo_memory_fail_at(n);
        enum neo_code code =
            neo_sim_snp_attester(neo_buffer_bytes(&bundle), measurement, true, &attester, NULL);
        neo_memory_fail_at(0);
        done = code == NEO_OK;
        if (done)
            attester->free(attester);
        else
            assert_null(attester);
        assert_true(n < 200);
    }
}

/* --- the appraisal as JSON -------------------------------------------------------------------- */

/* The value of a member at `path`, "a/b/c", as written; for scalars. */
static bool json_has(struct neo_bytes text, const char *path, const char *value)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    struct neo_json r;
    struct neo_bytes key, found = {0};
    bool truth;
    int64_t number;
    const char *part = path;

    neo_arena_init(&arena, 1 << 20);
    neo_json_init(&r, text, "appraisal", &arena);
    while (neo_json_enter_object(&r)) {
        size_t len = strcspn(part, "/");
        bool is_last = part[len] == '\0';
        bool hit = false;
        while (!hit && neo_json_key(&r, &key)) {
            hit = neo_bytes_equal(key, neo_bytes(part, len));
            if (!hit)
                assert_true(neo_json_skip(&r));
        }
        if (!hit)
            return false;
        part += len + !is_last;
        if (!is_last)
            continue;
        if (neo_json_peek(&r) == NEO_JSON_BOOL)
            return neo_json_bool(&r, &truth) && strcmp(value, truth ? "true" : "false") == 0;
        if (neo_json_peek(&r) == NEO_JSON_NUMBER)
            return neo_json_i64(&r, &number) && number == atoll(value);
        return neo_json_string(&r, &found) && neo_bytes_is(found, value);
    }
    return false;
}

static bool is_json(struct neo_bytes text)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    struct neo_json r;

    neo_arena_init(&arena, 1 << 20);
    neo_json_init(&r, text, "appraisal", &arena);
    return neo_json_skip(&r) && neo_json_finish(&r, NULL) == NEO_OK;
}

TEST(the_json_of_an_accepted_simulation_says_simulated_and_affirms_nothing)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer json = {0};
    struct made made = make(0x21);

    neo_arena_init(&arena, 1 << 20);
    struct neo_appraisal a = appraise(&made, NEO_EVIDENCE_SIM_SNP, true, "simulator", &arena);
    assert_true(neo_appraisal_json(&a, &json));
    struct neo_bytes text = neo_buffer_bytes(&json);
    assert_true(is_json(text));
    assert_true(json_has(text, "simulated", "true"));
    assert_true(json_has(text, "eat_profile", "tag:github.com,2023:veraison/ear"));
    assert_true(json_has(text, "submods/sev-snp/ear.status", "none"));
    assert_true(json_has(text, "submods/sev-snp/neo.accepted", "true"));
    assert_true(json_has(text, "submods/sev-snp/neo.max-age-seconds", "600"));
    assert_true(json_has(text, "submods/sev-snp/ear.trustworthiness-vector/executables", "3"));
    assert_true(json_has(text, "submods/sev-snp/ear.trustworthiness-vector/configuration", "2"));
    assert_false(json_has(text, "submods/sev-snp/ear.trustworthiness-vector/hardware", "2"));
    unmake(&made);
}

TEST(the_json_of_a_refusal_says_what_failed)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer json = {0};
    struct made made = make(0x21);

    neo_arena_init(&arena, 1 << 20);
    made.binder[0] ^= 1;
    struct neo_appraisal a = appraise(&made, NEO_EVIDENCE_SIM_SNP, true, "simulator", &arena);
    assert_true(neo_appraisal_json(&a, &json));
    struct neo_bytes text = neo_buffer_bytes(&json);
    assert_true(is_json(text));
    assert_true(json_has(text, "submods/sev-snp/ear.status", "contraindicated"));
    assert_true(json_has(text, "submods/sev-snp/neo.reason", "binding"));
    assert_true(json_has(text, "submods/sev-snp/neo.accepted", "false"));
    const struct neo_bytes failed = NEO_LIT("\"name\":\"snp.binder\",\"result\":\"fail\"");
    assert_non_null(memmem(json.at, json.len, failed.at, failed.len));
    unmake(&made);
}

TEST(the_json_of_genuine_hardware_affirms_it)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer json = {0};
    struct made made = {0};

    if (!vectors_exist())
        skip();
    made.body = vectors_read("snp/genoa_v3_tsm_outblob.bin");
    made.certificates = vectors_read("snp/genoa_v3_tsm_auxblob.bin");
    memcpy(made.binder, made.body.at + 0x50, sizeof(made.binder));
    memcpy(measurement, made.body.at + 0x90, sizeof(measurement));
    neo_arena_init(&arena, 1 << 20);
    struct neo_appraisal a = appraise(&made, NEO_EVIDENCE_SNP, false, "hardware", &arena);
    memset(measurement, 0x4d, sizeof(measurement));
    assert_true(neo_appraisal_json(&a, &json));
    struct neo_bytes text = neo_buffer_bytes(&json);
    assert_true(json_has(text, "simulated", "false"));
    assert_true(json_has(text, "submods/sev-snp/ear.status", "affirming"));
    assert_true(json_has(text, "submods/sev-snp/ear.trustworthiness-vector/hardware", "2"));
    unmake(&made);
}

TEST(json_that_does_not_fit_says_so)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer json = {.limit = 100};
    struct made made = make(0x21);

    neo_arena_init(&arena, 1 << 20);
    struct neo_appraisal a = appraise(&made, NEO_EVIDENCE_SIM_SNP, true, "simulator", &arena);
    assert_false(neo_appraisal_json(&a, &json));
    unmake(&made);
}

TEST(names_of_kinds_and_reasons_are_stable)
{
    assert_string_equal(neo_evidence_kind_text(NEO_EVIDENCE_SNP), "snp-report");
    assert_string_equal(neo_evidence_kind_text(NEO_EVIDENCE_SIM_SNP), "sim-snp-report");
    assert_int_equal(neo_evidence_kind_parse(NEO_LIT("snp-report")), NEO_EVIDENCE_SNP);
    assert_int_equal(neo_evidence_kind_parse(NEO_LIT("snp-repor")), NEO_EVIDENCE_UNKNOWN);
    assert_int_equal(neo_evidence_kind_parse(NEO_LIT("")), NEO_EVIDENCE_UNKNOWN);
    assert_int_equal(neo_evidence_kind_parse(NEO_LIT("unknown")), NEO_EVIDENCE_UNKNOWN);
    assert_string_equal(neo_evidence_kind_text(NEO_EVIDENCE_UNKNOWN), "unknown");
    assert_string_equal(neo_attest_reason_text(NEO_ATTEST_TCB_FLOOR), "tcb-floor");
    assert_string_equal(neo_attest_reason_text(NEO_ATTEST_PEER_REFUSED), "peer-refused");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(simulated_evidence_is_accepted_in_development_and_marked),
        cmocka_unit_test(no_combination_outside_development_accepts_it),
        cmocka_unit_test(genuine_evidence_called_simulated_is_refused_in_development),
        cmocka_unit_test(the_simulator_is_not_made_outside_development),
        cmocka_unit_test(a_bundle_that_is_no_bundle_is_refused),
        cmocka_unit_test(every_bundle_is_a_machine_of_its_own),
        cmocka_unit_test(making_an_attester_survives_any_failing_allocation),
        cmocka_unit_test(the_json_of_an_accepted_simulation_says_simulated_and_affirms_nothing),
        cmocka_unit_test(the_json_of_a_refusal_says_what_failed),
        cmocka_unit_test(the_json_of_genuine_hardware_affirms_it),
        cmocka_unit_test(json_that_does_not_fit_says_so),
        cmocka_unit_test(names_of_kinds_and_reasons_are_stable),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
