/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Quotes of real platforms with the collateral of their time: what must be said of
 * them. A quote's own REPORTDATA stands in for the binder, except where the binder
 * is what is tested.
 */
#include "vectors.h"

#include "attest/intel.h"

#include <neo/encoding.h>

enum { ARENA = 4 << 20, FILES = 6 };

static const char *const collateral_files[FILES] = {
    "tcb_info.json", "qe_identity.json",         "tcb_signing_chain.pem",
    "pck_crl.der",   "pck_crl_issuer_chain.pem", "root_ca_crl.der",
};

/* Its page tables are not protected from the host's exceptions. */
#define UNPROTECTED                                                                                \
    "        td_attributes: {value: \"0000000000000000\", mask: \"ffffff3fffffffff\"}\n"

static const struct recorded {
    const char *quote;
    const char *collateral;
    int64_t now;
    const char *status;
    bool debug;
    const char *advisories;
    const char *concede; /* what else a policy must allow */
} recorded[] = {
    {"sgx/v3_swhardening_quote.dat", "2025-08-15_sgx_00606a000000", 1755240086, "SWHardeningNeeded",
     false, "INTEL-SA-00615", ""},
    {"sgx/v3_config_swhardening_quote.dat", "2025-06-19_sgx_00a067110000", 1750334171,
     "ConfigurationAndSWHardeningNeeded", false, "INTEL-SA-00289, INTEL-SA-00615", ""},
    {"sgx/v3_debug_quote.dat", "2025-06-19_sgx_00a067110000", 1750334171,
     "ConfigurationAndSWHardeningNeeded", true, "INTEL-SA-00289, INTEL-SA-00615", ""},
    {"sgx/v3_debug_outofdate_quote.dat", "2025-08-15_sgx_00606a000000", 1755240086, "OutOfDate",
     true,
     "INTEL-SA-00586, INTEL-SA-00614, INTEL-SA-00615, INTEL-SA-00657, INTEL-SA-00730, "
     "INTEL-SA-00738, INTEL-SA-00767, INTEL-SA-00828, INTEL-SA-00837, INTEL-SA-00960",
     ""},
    {"tdx/v4_uptodate_quote.dat", "2025-06-19_tdx_b0c06f000000", 1750332747, "UpToDate", false, "",
     ""},
    {"tdx/v4_uptodate_mrconfigid_quote.dat", "2025-09-02_tdx_20a06f000000", 1756802519, "UpToDate",
     false, "", ""},
    {"tdx/v4_uptodate_ccel_quote.dat", "2025-07-07_tdx_00806f050000", 1751883626, "UpToDate", false,
     "", ""},
    {"tdx/v4_outofdate_quote.dat", "2025-07-07_tdx_00806f050000", 1751883626, "OutOfDate", false,
     "INTEL-SA-00960, INTEL-SA-00982, INTEL-SA-00986", ""},
    {"tdx/v4_module_outofdate_quote.dat", "2025-07-07_tdx_00806f050000", 1751883626, "OutOfDate",
     false, "INTEL-SA-00960, INTEL-SA-00982, INTEL-SA-00986", UNPROTECTED},
    {"tdx/v4_debug_quote.dat", "2025-10-13_tdx_50806f000000", 1760356007, "OutOfDate", true,
     "INTEL-SA-00837, INTEL-SA-00960, INTEL-SA-00982, INTEL-SA-00986", ""},
    {"tdx/v4_type2_integrity_outofdate_quote.dat", "2025-10-28_tdx_00a06d080000", 1761637509,
     "OutOfDate", false, "", ""},
    {"tdx/v4_2023_quote.dat", "2023-06-18_tdx_50806f000000", 1687081378, "TCBNotSupported", false,
     "", ""},
    {"tdx/v4_tcb_not_supported_quote.dat", "2025-06-19_tdx_b0c06f000000", 1750332747,
     "TCBNotSupported", false, "", ""},
    {"tdx/v5_uptodate_quote.dat", "2026-02-18_tdx_90c06f000000", 1771415931, "UpToDate", false, "",
     ""},
    {"tdx/v5_tcb_not_supported_quote.dat", "2026-02-18_tdx_90c06f000000", 1771415931,
     "TCBNotSupported", false, "", ""},
    {"tdx/v5_servicetd_quote.dat", "2025-06-19_tdx_90c06f000000", 1750330835, "UpToDate", false, "",
     ""},
    {"tdx/v5_servicetd_quote.dat", "2026-02-18_tdx_90c06f000000", 1771415931, "OutOfDate", false,
     "INTEL-SA-01036, INTEL-SA-01079, INTEL-SA-01099, INTEL-SA-01103, INTEL-SA-01111", ""},
    {"tdx/v5_servicetd_tcb_not_supported_quote.dat", "2025-10-13_tdx_90c06f000000", 1760356007,
     "TCBNotSupported", false, "", ""},
};

static struct neo_attest_trust *trust_of(const char *folder, size_t leave_out)
{
    struct neo_buffer files[FILES];
    struct neo_bytes collateral[FILES];
    struct neo_attest_trust *trust;
    struct neo_error err;
    size_t n = 0;

    for (size_t i = 0; i < FILES; i++) {
        char path[256];
        (void)snprintf(path, sizeof(path), "intel-collateral/%s/%s", folder, collateral_files[i]);
        files[i] = vectors_read(path);
        if (i != leave_out)
            collateral[n++] = neo_buffer_bytes(&files[i]);
    }
    const struct neo_attest_trust_options options = {.collateral = collateral, .n_collateral = n};
    if (neo_attest_trust_new(&options, &trust, &err) != NEO_OK)
        fail_msg("%s", err.message);
    for (size_t i = 0; i < FILES; i++)
        neo_buffer_fini(&files[i]);
    return trust;
}

static void put_hex(struct neo_buffer *out, const uint8_t *at, size_t len)
{
    assert_true(neo_buffer_append_text(out, "\""));
    assert_true(neo_hex_encode(out, neo_bytes(at, len)));
    assert_true(neo_buffer_append_text(out, "\""));
}

/* A policy for the code of this very quote; `rest` is appended to its one row. */
static struct neo_attest_policies *policy_of(const struct intel_quote *q, const char *rest)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};
    struct neo_attest_policies *policies;
    struct neo_error err;

    assert_true(
        neo_buffer_printf(&text,
                          "attestation_policies:\n  function-service:\n"
                          "    require: hardware\n    any_of:\n      - tee: %s\n        %s: [",
                          q->is_tdx ? "tdx" : "sgx", q->is_tdx ? "mrtd" : "mrenclave"));
    if (q->is_tdx)
        put_hex(&text, q->body.tdx.mrtd, 48);
    else
        put_hex(&text, q->body.sgx.mrenclave, 32);
    assert_true(neo_buffer_printf(&text, "]\n%s", rest));
    if (q->is_tdx && q->body.tdx.has_current) {
        assert_true(neo_buffer_append_text(&text, "        mrservicetd: "));
        put_hex(&text, q->body.tdx.mrservicetd, 48);
        assert_true(neo_buffer_append_text(&text, "\n"));
    }
    const struct neo_document document = {NEO_LIT("attest.yaml"), neo_buffer_bytes(&text)};
    if (neo_attest_policies_compile(&document, 1, false, &policies, &err) != NEO_OK)
        fail_msg("%s", err.message);
    return policies;
}

/* The first failed check, or "accepted". */
static const char *ask(const struct neo_attest_trust *trust, struct neo_bytes text,
                       const char *rest, int64_t now, const uint8_t *binder,
                       enum neo_attest_reason *ret_reason)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    const char *failed = "accepted";
    struct neo_appraisal a;
    struct intel_quote q;

    struct neo_error err;
    if (intel_quote_read(text, &q, &err) != NEO_OK)
        fail_msg("%s", err.message);
    const struct neo_evidence evidence = {.kind = q.is_tdx ? NEO_EVIDENCE_TDX : NEO_EVIDENCE_SGX,
                                          .body = text};
    const uint8_t *own = q.is_tdx ? q.body.tdx.report_data : q.body.sgx.report_data;
    struct neo_attest_policies *policies = policy_of(&q, rest);

    neo_arena_init(&arena, ARENA);
    assert_int_equal(neo_attest_appraise(trust, policies, NEO_LIT("function-service"), &evidence,
                                         binder == NULL ? own : binder, now, &arena, &a, NULL),
                     NEO_OK);
    for (size_t i = a.n_checks; i-- > 0;) {
        if (a.checks[i].result == NEO_CHECK_FAIL)
            failed = a.checks[i].name;
    }
    *ret_reason = a.reason;
    neo_attest_policies_unref(policies);
    return failed;
}

TEST(every_recorded_platform_has_the_standing_that_intel_gives_it)
{
    if (!vectors_exist())
        skip();
    for (size_t i = 0; i < NEO_COUNT(recorded); i++) {
        const struct recorded *r = &recorded[i];
        NEO_CLEANUP(neo_buffer_fini) struct neo_buffer quote = vectors_read(r->quote);
        struct neo_attest_trust *trust = trust_of(r->collateral, FILES);
        struct neo_bytes text = neo_buffer_bytes(&quote);
        enum neo_attest_reason reason;
        char accept[1024];

        (void)snprintf(accept, sizeof(accept), "        tcb: {accept: [%s], advisories: [%s]}\n%s",
                       r->status, r->advisories, r->concede);
        const char *strict = ask(trust, text, "", r->now, NULL, &reason);
        if (r->debug) {
            assert_string_equal(strict + 3, ".debug");
        } else if (strcmp(r->status, "TCBNotSupported") == 0) {
            assert_string_equal(strict + 3, ".tcb");
        } else if (strcmp(r->status, "UpToDate") == 0) {
            assert_string_equal(strict, "accepted");
        } else {
            assert_string_equal(strict + 3, ".tcb.status");
            assert_string_equal(ask(trust, text, accept, r->now, NULL, &reason), "accepted");
        }
        neo_attest_trust_unref(trust);
    }
}

/* --- what is missing, stale, or somebody else's ------------------------------------------------
 */

static const struct recorded *good(void)
{
    for (size_t i = 0; i < NEO_COUNT(recorded); i++) {
        if (strcmp(recorded[i].quote, "tdx/v4_uptodate_quote.dat") == 0)
            return &recorded[i];
    }
    return NULL;
}

TEST(without_a_piece_of_collateral_the_verdict_is_that_it_is_not_there)
{
    /* The chain of the lists' issuer comes with the quote, too. */
    static const char *const checks[FILES] = {
        "tdx.collateral", "tdx.collateral", "tdx.collateral.signature",
        "tdx.chain",      "accepted",       "tdx.chain",
    };

    if (!vectors_exist())
        skip();
    const struct recorded *r = good();
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer quote = vectors_read(r->quote);
    for (size_t i = 0; i < FILES; i++) {
        struct neo_attest_trust *trust = trust_of(r->collateral, i);
        enum neo_attest_reason reason;

        assert_string_equal(ask(trust, neo_buffer_bytes(&quote), "", r->now, NULL, &reason),
                            checks[i]);
        if (strcmp(checks[i], "tdx.collateral.signature") == 0)
            assert_int_equal(reason, NEO_ATTEST_SIGNATURE);
        else if (strcmp(checks[i], "accepted") != 0)
            assert_int_equal(reason, NEO_ATTEST_COLLATERAL);
        neo_attest_trust_unref(trust);
    }
}

TEST(collateral_of_another_time_is_stale_and_of_another_platform_missing)
{
    if (!vectors_exist())
        skip();
    const struct recorded *r = good();
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer quote = vectors_read(r->quote);
    struct neo_bytes text = neo_buffer_bytes(&quote);
    struct neo_attest_trust *trust = trust_of(r->collateral, FILES);
    struct neo_attest_trust *other = trust_of("2025-07-07_tdx_00806f050000", FILES);
    enum neo_attest_reason reason;

    (void)ask(trust, text, "", r->now + 45 * 86400, NULL, &reason);
    assert_int_equal(reason, NEO_ATTEST_COLLATERAL_STALE);
    (void)ask(trust, text, "", r->now - 2 * 86400, NULL, &reason);
    assert_int_equal(reason, NEO_ATTEST_COLLATERAL_STALE);
    assert_string_equal(ask(other, text, "", 1751883626, NULL, &reason), "tdx.collateral");
    assert_int_equal(reason, NEO_ATTEST_COLLATERAL);
    neo_attest_trust_unref(trust);
    neo_attest_trust_unref(other);
}

TEST(the_binder_is_compared_whole)
{
    if (!vectors_exist())
        skip();
    const struct recorded *r = good();
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer quote = vectors_read(r->quote);
    struct neo_attest_trust *trust = trust_of(r->collateral, FILES);
    struct intel_quote q;
    enum neo_attest_reason reason;

    assert_int_equal(intel_quote_read(neo_buffer_bytes(&quote), &q, NULL), NEO_OK);
    for (size_t i = 0; i < NEO_BINDER_LEN; i++) {
        uint8_t binder[NEO_BINDER_LEN];
        memcpy(binder, q.body.tdx.report_data, sizeof(binder));
        binder[i] ^= 1;
        assert_string_equal(ask(trust, neo_buffer_bytes(&quote), "", r->now, binder, &reason),
                            "tdx.binder");
        assert_int_equal(reason, NEO_ATTEST_BINDING);
    }
    neo_attest_trust_unref(trust);
}

/* Every bit of what the platform signed, one quote of each kind. */
TEST(no_signed_bit_can_be_changed)
{
    static const char *const quotes[] = {"tdx/v4_uptodate_quote.dat", "tdx/v5_uptodate_quote.dat",
                                         "sgx/v3_swhardening_quote.dat"};

    if (!vectors_exist())
        skip();
    for (size_t i = 0; i < NEO_COUNT(recorded); i++) {
        const struct recorded *r = &recorded[i];
        bool is_one = false;
        for (size_t k = 0; k < NEO_COUNT(quotes); k++)
            is_one = is_one || strcmp(r->quote, quotes[k]) == 0;
        if (!is_one)
            continue;
        NEO_CLEANUP(neo_buffer_fini) struct neo_buffer quote = vectors_read(r->quote);
        struct intel_quote q;
        assert_int_equal(intel_quote_read(neo_buffer_bytes(&quote), &q, NULL), NEO_OK);
        size_t signed_len = q.signed_part.len;
        for (size_t bit = 0; bit < 8 * signed_len; bit++) {
            quote.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
            if (intel_quote_read(neo_buffer_bytes(&quote), &q, NULL) == NEO_OK)
                assert_false(
                    vendor_p256_verify_point(q.attestation_key.at, q.signed_part, q.signature.at));
            quote.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        assert_int_equal(intel_quote_read(neo_buffer_bytes(&quote), &q, NULL), NEO_OK);
        assert_true(vendor_p256_verify_point(q.attestation_key.at, q.signed_part, q.signature.at));
    }
}

TEST(evidence_of_one_family_is_not_taken_for_the_other)
{
    if (!vectors_exist())
        skip();
    const struct recorded *r = good();
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer quote = vectors_read(r->quote);
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    struct neo_attest_trust *trust = trust_of(r->collateral, FILES);
    struct intel_quote q = {.is_tdx = false};
    struct neo_attest_policies *policies = policy_of(&q, ""); /* asks for an enclave */
    const struct neo_evidence evidence = {.kind = NEO_EVIDENCE_SGX,
                                          .body = neo_buffer_bytes(&quote)};
    uint8_t binder[NEO_BINDER_LEN] = {0};
    struct neo_appraisal a;

    neo_arena_init(&arena, ARENA);
    assert_int_equal(neo_attest_appraise(trust, policies, NEO_LIT("function-service"), &evidence,
                                         binder, r->now, &arena, &a, NULL),
                     NEO_OK);
    assert_int_equal(a.reason, NEO_ATTEST_UNSUPPORTED);
    neo_attest_policies_unref(policies);
    neo_attest_trust_unref(trust);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_recorded_platform_has_the_standing_that_intel_gives_it),
        cmocka_unit_test(without_a_piece_of_collateral_the_verdict_is_that_it_is_not_there),
        cmocka_unit_test(collateral_of_another_time_is_stale_and_of_another_platform_missing),
        cmocka_unit_test(the_binder_is_compared_whole),
        cmocka_unit_test(no_signed_bit_can_be_changed),
        cmocka_unit_test(evidence_of_one_family_is_not_taken_for_the_other),
    };
    return cmocka_run_group_tests_name("attest/intel/vectors", tests, NULL, NULL);
}
