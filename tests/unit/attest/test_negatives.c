/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recorded evidence with one thing changed, as listed beside the recordings: each
 * case must fail at the check that is named there, and the controls must not.
 */
#include "vectors.h"

#include "attest/family.h"

#include <neo/encoding.h>
#include <neo/json.h>
#include <neo/policy.h>

enum { ARENA = 4 << 20, FILES_MAX = 8 };

#define HEX16 "00000000000000000000000000000000"

/* A policy that no code fits: what it refuses at the very end shows that all before held. */
static const char policy_text[] =
    "attestation_policies:\n  function-service:\n    require: hardware\n    any_of:\n"
    "      - {tee: sev-snp, measurement: [\"" HEX16 HEX16 HEX16 "\"]}\n"
    "      - {tee: tdx, mrtd: [\"" HEX16 HEX16 HEX16 "\"]}\n"
    "      - {tee: sgx, mrenclave: [\"" HEX16 HEX16 "\"]}\n"
    "      - {tee: nitro, pcr: {0: \"" HEX16 HEX16 HEX16 "\"}}\n";

static const struct base {
    const char *file;
    enum neo_evidence_kind kind;
    int64_t now;
    size_t binder; /* where it stands; 0: nowhere whole, so the control ends at the binder */
    const char *certificates;
    const char *collateral[FILES_MAX];
} bases[] = {
    {"snp/genoa_v3_tsm_outblob.bin",
     NEO_EVIDENCE_SNP,
     1790000000,
     80,
     "snp/genoa_v3_tsm_vcek.der",
     {"snp/roots/ask_ark_genoa.pem"}},
#define INTEL(folder)                                                                              \
    {                                                                                              \
        "intel-collateral/" folder "/tcb_info.json",                                               \
            "intel-collateral/" folder "/qe_identity.json",                                        \
            "intel-collateral/" folder "/tcb_signing_chain.pem",                                   \
            "intel-collateral/" folder "/pck_crl.der",                                             \
            "intel-collateral/" folder "/pck_crl_issuer_chain.pem",                                \
            "intel-collateral/" folder "/root_ca_crl.der"                                          \
    }
    {"tdx/v4_uptodate_quote.dat", NEO_EVIDENCE_TDX, 1750332747, 568, NULL,
     INTEL("2025-06-19_tdx_b0c06f000000")},
    {"tdx/v5_uptodate_quote.dat", NEO_EVIDENCE_TDX, 1771415931, 574, NULL,
     INTEL("2026-02-18_tdx_90c06f000000")},
    {"sgx/v3_config_swhardening_quote.dat", NEO_EVIDENCE_SGX, 1750334171, 368, NULL,
     INTEL("2025-06-19_sgx_00a067110000")},
    {"nitro/valid_nondebug_nonce_userdata.cbor", NEO_EVIDENCE_NITRO, 1668037920, 0, NULL, {NULL}},
};

/* What the list calls a failure, and the first check that may be it. */
static const struct {
    const char *word;
    const char *suffixes[4];
} expectations[] = {
    {"FORMAT", {".format"}},
    {"SIGNATURE", {"snp.signature", "nitro.signature"}},
    {"QUOTE_SIGNATURE", {"tdx.signature", "sgx.signature"}},
    {"QUOTE_SIGNATURE or AK_BINDING (point not on curve)",
     {"tdx.signature", "sgx.signature", ".qe.key"}},
    {"QE_REPORT_SIGNATURE + AK_BINDING", {".qe.signature"}},
    {"QE_REPORT_SIGNATURE", {".qe.signature"}},
    {"AK_BINDING", {".qe.key"}},
    {"FORMAT/SIGNATURE", {".format", "nitro.signature"}},
    {"OK", {".measurement", ".mrtd", ".tcb.status", ".binder"}},
};

static bool ends_with(const char *text, const char *suffix)
{
    size_t n = strlen(text), m = strlen(suffix);

    return n >= m && strcmp(text + n - m, suffix) == 0;
}

static bool is_expected(const char *check, const char *word)
{
    for (size_t i = 0; i < NEO_COUNT(expectations); i++) {
        if (strcmp(word, expectations[i].word) != 0)
            continue;
        for (size_t k = 0; k < 4 && expectations[i].suffixes[k] != NULL; k++) {
            if (ends_with(check, expectations[i].suffixes[k]))
                return true;
        }
        return false;
    }
    fail_msg("nobody knows the expectation %s", word);
    return false;
}

/* --- changing bytes --------------------------------------------------------------------------- */

static void set(struct neo_buffer *text, size_t at, struct neo_bytes hex)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer raw = {0};

    assert_int_equal(neo_hex_decode(hex, &raw, NULL), NEO_OK);
    if (at == text->len)
        assert_true(neo_buffer_append(text, neo_buffer_bytes(&raw)));
    else
        memcpy(text->at + at, raw.at, raw.len);
}

static void apply(struct neo_json *r, struct neo_buffer *text)
{
    struct neo_bytes op = {0}, hex = {0};
    uint64_t at = text->len, value = 0;

    assert_true(neo_json_enter_array(r) && neo_json_element(r) && neo_json_string(r, &op));
    if (!neo_bytes_is(op, "append"))
        assert_true(neo_json_element(r) && neo_json_u64(r, &at) && at < text->len);
    if (neo_bytes_is(op, "trunc")) {
        text->len = (size_t)at;
    } else if (neo_bytes_is(op, "xor")) {
        assert_true(neo_json_element(r) && neo_json_u64(r, &value));
        text->at[at] ^= (uint8_t)value;
    } else {
        assert_true(neo_bytes_is(op, "set") || neo_bytes_is(op, "append"));
        assert_true(neo_json_element(r) && neo_json_string(r, &hex));
        set(text, (size_t)at, hex);
    }
    assert_false(neo_json_element(r));
}

/* --- asking ----------------------------------------------------------------------------------- */

static struct neo_attest_trust *trust_of(const struct base *base)
{
    struct neo_buffer files[FILES_MAX];
    struct neo_bytes collateral[FILES_MAX];
    struct neo_attest_trust *trust;
    size_t n = 0;

    for (; n < FILES_MAX && base->collateral[n] != NULL; n++) {
        files[n] = vectors_read(base->collateral[n]);
        collateral[n] = neo_buffer_bytes(&files[n]);
    }
    const struct neo_attest_trust_options options = {.collateral = collateral, .n_collateral = n};
    assert_int_equal(neo_attest_trust_new(&options, &trust, NULL), NEO_OK);
    while (n > 0)
        neo_buffer_fini(&files[--n]);
    return trust;
}

/* The first failed check, a literal. The binder is what stands in the evidence. */
static const char *ask(const struct base *base, const struct neo_attest_trust *trust,
                       const struct neo_attest_policies *policies, struct neo_bytes text)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer certificates = {0};
    uint8_t binder[NEO_BINDER_LEN] = {0};
    struct neo_appraisal a;

    if (base->certificates != NULL)
        certificates = vectors_read(base->certificates);
    if (base->binder != 0 && text.len >= base->binder + sizeof(binder))
        memcpy(binder, text.at + base->binder, sizeof(binder));
    const struct neo_evidence evidence = {base->kind, text, neo_buffer_bytes(&certificates)};
    neo_arena_init(&arena, ARENA);
    assert_int_equal(neo_attest_appraise(trust, policies, NEO_LIT("function-service"), &evidence,
                                         binder, base->now, &arena, &a, NULL),
                     NEO_OK);
    assert_false(a.accepted);
    for (size_t i = 0; i < a.n_checks; i++) {
        if (a.checks[i].result == NEO_CHECK_FAIL)
            return a.checks[i].name;
    }
    fail_msg("refused without a failed check");
    return NULL;
}

static const struct base *base_named(struct neo_bytes file)
{
    for (size_t i = 0; i < NEO_COUNT(bases); i++) {
        if (neo_bytes_is(file, bases[i].file))
            return &bases[i];
    }
    return NULL;
}

/* False: evidence of a kind that is not judged yet. */
static bool run_case(struct neo_json *r, const struct neo_attest_policies *policies)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};
    const struct base *base = NULL;
    struct neo_bytes key, value;
    char expect[80] = "", why[160] = "";

    assert_true(neo_json_enter_object(r));
    while (neo_json_key(r, &key)) {
        if (neo_bytes_is(key, "base")) {
            assert_true(neo_json_string(r, &value));
            base = base_named(value);
            if (base != NULL)
                text = vectors_read(base->file);
        } else if (neo_bytes_is(key, "ops") && base != NULL) {
            assert_true(neo_json_enter_array(r));
            while (neo_json_element(r))
                apply(r, &text);
        } else if (neo_bytes_is(key, "expect")) {
            assert_true(neo_json_string(r, &value));
            (void)snprintf(expect, sizeof(expect), "%.*s", NEO_FMT(value));
        } else if (neo_bytes_is(key, "why")) {
            assert_true(neo_json_string(r, &value));
            (void)snprintf(why, sizeof(why), "%.*s", NEO_FMT(value));
        } else {
            assert_true(neo_json_skip(r));
        }
    }
    if (base == NULL)
        return false;
    struct neo_attest_trust *trust = trust_of(base);
    const char *check = ask(base, trust, policies, neo_buffer_bytes(&text));
    neo_attest_trust_unref(trust);
    if (!is_expected(check, expect))
        fail_msg("%s: %s: failed at %s, not at %s", base->file, why, check, expect);
    return true;
}

TEST(every_listed_change_fails_at_its_own_check)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer list = {0};
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    const struct neo_document policy = {NEO_LIT("p"), NEO_LIT(policy_text)};
    struct neo_attest_policies *policies;
    struct neo_bytes key;
    struct neo_json r;
    struct neo_error err;
    size_t judged = 0, others = 0;

    if (!vectors_exist())
        skip();
    list = vectors_read("NEGATIVES.json");
    neo_arena_init(&arena, ARENA);
    if (neo_attest_policies_compile(&policy, 1, false, &policies, &err) != NEO_OK)
        fail_msg("%s", err.message);
    neo_json_init(&r, neo_buffer_bytes(&list), "NEGATIVES.json", &arena);
    assert_true(neo_json_enter_object(&r));
    while (neo_json_key(&r, &key)) {
        if (!neo_bytes_is(key, "cases")) {
            assert_true(neo_json_skip(&r));
            continue;
        }
        assert_true(neo_json_enter_array(&r));
        while (neo_json_element(&r))
            *(run_case(&r, policies) ? &judged : &others) += 1;
    }
    assert_int_equal(neo_json_finish(&r, &err), NEO_OK);
    printf("%zu cases judged, %zu of kinds that are not\n", judged, others);
    assert_true(judged >= 60 && others <= 3);
    neo_attest_policies_unref(policies);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_listed_change_fails_at_its_own_check),
    };
    return cmocka_run_group_tests_name("attest/negatives", tests, NULL, NULL);
}
