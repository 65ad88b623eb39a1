/* SPDX-License-Identifier: Apache-2.0 */
/* The verifier on simulated machines: what no recorded report can show. */
#include "machine.h"

#include <neo/memory.h>

#include <pthread.h>

static const char any_vlek[] =
    "        vek: [vlek]\n        csp_id: [CN=cc-us-east-2.example.com]\n";

#define EXPECT(m, rest, check, why)                                                                \
    do {                                                                                           \
        enum neo_attest_reason reason_;                                                            \
        assert_string_equal(machine_verdict((m), (rest), &reason_), (check));                      \
        assert_string_equal(neo_attest_reason_text(reason_), (why));                               \
    } while (0)

/* --- what is accepted ------------------------------------------------------------------------- */

TEST(every_product_is_accepted_by_a_strict_policy_with_either_key)
{
    static const char *const products[] = {"Milan", "Genoa", "Turin"};

    for (size_t i = 0; i < NEO_COUNT(products); i++) {
        struct machine m;
        machine_init(&m, products[i], SNP_VCEK);
        EXPECT(&m, "", "accepted", "none");
        machine_fini(&m);
        machine_init(&m, products[i], SNP_VLEK);
        EXPECT(&m, any_vlek, "accepted", "none");
        EXPECT(&m, "", "snp.vek", "platform");
        machine_fini(&m);
    }
}

TEST(a_report_of_version_5_is_accepted_and_one_of_4_is_unsupported)
{
    struct machine m;

    machine_init(&m, "Genoa", SNP_VCEK);
    m.report.version = 5;
    m.report.launch_mitigations = 3;
    m.report.current_mitigations = 3;
    EXPECT(&m, "", "accepted", "none");
    m.report.version = 4;
    EXPECT(&m, "", "snp.format", "unsupported");
    m.report.version = 256;
    EXPECT(&m, "", "snp.format", "format");
    machine_fini(&m);
}

TEST(a_hardware_id_may_be_raw_or_in_an_octet_string)
{
    struct machine m;

    machine_init(&m, "Turin", SNP_VCEK);
    m.chip.hwid_in_octet_string = true;
    machine_issue(&m);
    EXPECT(&m, "", "accepted", "none");
    machine_fini(&m);
}

TEST(an_accepted_appraisal_says_who_when_and_how)
{
    struct neo_attest_policies *policies = machine_policy("");
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    struct machine m;

    machine_init(&m, "Genoa", SNP_VCEK);
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer certificates = machine_certificates(&m);
    neo_arena_init(&arena, MACHINE_ARENA);
    struct neo_appraisal a =
        machine_appraise(&m, policies, neo_buffer_bytes(&certificates), &arena);
    assert_true(a.accepted);
    assert_string_equal(a.tee, "sev-snp");
    assert_int_equal(a.not_after, NOW + 10 * MACHINE_DAY);
    assert_int_equal(a.max_age, 600 * NEO_NSEC_PER_SEC);
    assert_memory_equal(a.measurement.at, m.report.measurement, SNP_MEASUREMENT_LEN);
    assert_int_equal(a.n_checks, SNP_CHECKS);
    for (size_t i = 0; i < a.n_checks; i++) {
        assert_int_not_equal(a.checks[i].result, NEO_CHECK_FAIL);
        if (a.checks[i].detail != NULL)
            assert_string_not_equal(a.checks[i].detail, "not reached");
    }
    neo_attest_policies_unref(policies);
    machine_fini(&m);
}

/* --- the certificate must be this report's ---------------------------------------------------- */

TEST(a_certificate_of_another_chip_is_refused)
{
    struct machine m;

    machine_init(&m, "Genoa", SNP_VCEK);
    for (size_t i = 0; i < SNP_CHIP_ID_LEN; i += 9) {
        m.report.chip_id[i] ^= 1;
        EXPECT(&m, "", "snp.hwid", "platform");
        m.report.chip_id[i] ^= 1;
    }
    machine_fini(&m);
}

TEST(a_turin_chip_id_must_be_zero_behind_its_eight_bytes)
{
    struct machine m;

    machine_init(&m, "Turin", SNP_VCEK);
    m.report.chip_id[8] = 1;
    EXPECT(&m, "", "snp.hwid", "platform");
    machine_fini(&m);
}

TEST(a_certificate_for_an_older_or_newer_firmware_is_refused)
{
    struct machine m;

    machine_init(&m, "Genoa", SNP_VCEK);
    m.chip.tcb[SNP_MICROCODE]++;
    machine_issue(&m);
    EXPECT(&m, "", "snp.spl", "chain");
    m.chip.tcb[SNP_MICROCODE] -= 2;
    machine_issue(&m);
    EXPECT(&m, "", "snp.spl", "chain");
    machine_fini(&m);
}

TEST(reserved_tcb_components_must_be_zero_in_every_tcb)
{
    struct machine m;

    machine_init(&m, "Genoa", SNP_VCEK);
    m.report.current_tcb[3] = 1;
    EXPECT(&m, "", "snp.spl", "chain");
    m.report.committed_tcb[3] = 1;
    m.report.launch_tcb[3] = 1;
    m.report.reported_tcb[3] = 1;
    EXPECT(&m, "", "snp.spl", "chain");
    machine_fini(&m);
}

TEST(the_processor_must_be_of_the_certificates_product)
{
    struct machine m;

    machine_init(&m, "Genoa", SNP_VCEK);
    m.report.cpu_model = 0x01; /* a Milan */
    EXPECT(&m, "", "snp.product", "platform");
    m.report.cpu_model = 0xa0; /* a Bergamo, which is a Genoa here */
    EXPECT(&m, "", "accepted", "none");
    m.report.cpu_model = 0x50; /* nobody knows */
    EXPECT(&m, "", "snp.product", "platform");
    machine_fini(&m);
}

TEST(the_certificates_product_must_be_that_of_its_root)
{
    struct machine m;

    machine_init(&m, "Genoa", SNP_VCEK);
    m.chip.product = snp_product_named(NEO_LIT("Milan"));
    machine_issue(&m);
    EXPECT(&m, "", "snp.product", "platform");
    m.report.cpu_model = 0x01; /* certificate and processor agree, and the root is another's */
    EXPECT(&m, "", "snp.product", "platform");
    machine_fini(&m);
}

/* A policy's appraisal of the machine when exactly these certificates came. */
static struct neo_appraisal appraise_with(const struct machine *m, const char *rest,
                                          struct neo_bytes certificates, struct neo_arena *arena)
{
    struct neo_attest_policies *policies = machine_policy(rest);
    struct neo_appraisal a = machine_appraise(m, policies, certificates, arena);

    neo_attest_policies_unref(policies);
    return a;
}

TEST(certificates_may_come_in_any_order_and_the_one_of_this_chip_is_found)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer all = {0};
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    struct machine m, other;

    machine_init(&m, "Genoa", SNP_VCEK);
    machine_init(&other, "Genoa", SNP_VCEK);
    memset(other.chip.hwid, 0xc2, sizeof(other.chip.hwid));
    machine_issue(&other);
    assert_true(neo_buffer_append(&all, neo_buffer_bytes(&m.authority.root_der)));
    assert_true(neo_buffer_append(&all, neo_buffer_bytes(&m.authority.issuer_der)));
    assert_true(neo_buffer_append(&all, neo_buffer_bytes(&other.chip.cert_der)));
    size_t without = all.len;
    assert_true(neo_buffer_append(&all, neo_buffer_bytes(&m.chip.cert_der)));

    neo_arena_init(&arena, MACHINE_ARENA);
    struct neo_appraisal a = appraise_with(&m, "", neo_buffer_bytes(&all), &arena);
    assert_true(a.accepted);
    a = appraise_with(&m, "", neo_bytes(all.at, without), &arena);
    assert_string_equal(machine_first_failure(&a), "snp.hwid");
    machine_fini(&m);
    machine_fini(&other);
}

TEST(a_certificate_that_did_not_come_is_taken_from_the_collateral)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    struct machine m, other;

    machine_init(&m, "Genoa", SNP_VCEK);
    machine_init(&other, "Genoa", SNP_VCEK);
    memset(other.chip.hwid, 0xc2, sizeof(other.chip.hwid));
    machine_issue(&other);
    const struct neo_bytes collateral[] = {
        neo_buffer_bytes(&other.chip.cert_der),
        neo_buffer_bytes(&m.chip.cert_der),
        neo_buffer_bytes(&m.authority.issuer_der),
    };
    const struct neo_attest_trust_options options = {
        .collateral = collateral,
        .n_collateral = NEO_COUNT(collateral),
        .simulated_root = neo_buffer_bytes(&m.authority.root_der),
        .development = true,
    };
    neo_attest_trust_unref(m.trust);
    assert_int_equal(neo_attest_trust_new(&options, &m.trust, NULL), NEO_OK);
    neo_arena_init(&arena, MACHINE_ARENA);
    struct neo_appraisal a = appraise_with(&m, "", (struct neo_bytes){0}, &arena);
    assert_true(a.accepted);
    machine_fini(&m);
    machine_fini(&other);
}

TEST(a_vlek_report_may_name_its_chip)
{
    struct machine m;

    machine_init(&m, "Genoa", SNP_VLEK);
    memset(m.report.chip_id, 0xc7, sizeof(m.report.chip_id));
    EXPECT(&m, any_vlek, "accepted", "none");
    machine_fini(&m);
}

/* --- roles ------------------------------------------------------------------------------------ */

TEST(a_vlek_never_stands_in_for_a_vcek_nor_the_other_way_round)
{
    struct machine m;

    machine_init(&m, "Genoa", SNP_VCEK);
    m.report.key_info = SNP_VLEK << 2;
    EXPECT(&m, any_vlek, "snp.certificates", "collateral");
    machine_fini(&m);

    machine_init(&m, "Genoa", SNP_VLEK);
    m.report.key_info = SNP_VCEK << 2;
    EXPECT(&m, "", "snp.certificates", "collateral");
    machine_fini(&m);
}

TEST(a_vcek_under_the_vlek_authority_is_nobodys)
{
    struct machine m;

    machine_init(&m, "Genoa", SNP_VLEK);
    m.chip.vek = SNP_VCEK;
    machine_issue(&m);
    memcpy(m.report.chip_id, m.chip.hwid, SNP_CHIP_ID_LEN);
    m.report.key_info = SNP_VCEK << 2;
    EXPECT(&m, "", "snp.certificates", "collateral");
    machine_fini(&m);
}

TEST(a_report_signed_by_the_authority_itself_is_refused)
{
    struct machine m;

    /* A "chip" whose certificate is the intermediate's: the right issuer, the wrong name. */
    machine_init(&m, "Genoa", SNP_VCEK);
    neo_buffer_clear(&m.chip.cert_der);
    assert_true(neo_buffer_append(&m.chip.cert_der, neo_buffer_bytes(&m.authority.issuer_der)));
    EXPECT(&m, "", "snp.certificates", "collateral");
    machine_fini(&m);
}

static void issue_odd_leaf(struct machine *m, const struct vendor_key *key,
                           const struct vendor_extension *extensions, size_t n)
{
    const struct vendor_template t = {
        .common_name = "SEV-VCEK",
        .issuer_common_name = "SEV-Genoa",
        .organization = "Neo simulator, proves nothing",
        .not_before = NOW - 1,
        .not_after = NOW + 1,
        .extensions = extensions,
        .n_extensions = n,
    };

    neo_buffer_clear(&m->chip.cert_der);
    assert_int_equal(vendor_cert_issue(&t, key, machine_keys.issuer, &m->chip.cert_der, NULL),
                     NEO_OK);
}

static void expect_role(const struct machine *m, const char *detail)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer certificates = machine_certificates(m);
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};

    neo_arena_init(&arena, MACHINE_ARENA);
    struct neo_appraisal a = appraise_with(m, "", neo_buffer_bytes(&certificates), &arena);
    assert_string_equal(machine_first_failure(&a), "snp.roles");
    assert_int_equal(a.reason, NEO_ATTEST_CHAIN);
    assert_non_null(strstr(a.checks[CHECK_ROLES].detail, detail));
}

TEST(a_leaf_that_is_an_authority_or_has_another_kind_of_key_is_refused)
{
    const struct vendor_extension is_ca = {
        .oid = {(const uint8_t *)"\x55\x1d\x13", 3},
        .value = {(const uint8_t *)"\x30\x03\x01\x01\xff", 5},
        .is_critical = true,
    };
    struct machine m;

    machine_init(&m, "Genoa", SNP_VCEK);
    issue_odd_leaf(&m, m.chip.key, &is_ca, 1);
    expect_role(&m, "authority's");
    issue_odd_leaf(&m, machine_keys.root, NULL, 0);
    expect_role(&m, "not P-384");
    issue_odd_leaf(&m, m.chip.key, NULL, 0); /* none of AMD's extensions */
    expect_role(&m, "no product");
    machine_fini(&m);
}

TEST(a_root_of_another_name_is_refused_even_when_it_is_the_trusted_one)
{
    const struct vendor_extension is_ca = {
        .oid = {(const uint8_t *)"\x55\x1d\x13", 3},
        .value = {(const uint8_t *)"\x30\x03\x01\x01\xff", 5},
        .is_critical = true,
    };
    struct vendor_template t = {
        .common_name = "ARK-Other",
        .issuer_common_name = "ARK-Other",
        .organization = "Neo simulator, proves nothing",
        .not_before = NOW - 1,
        .not_after = NOW + 1,
        .extensions = &is_ca,
        .n_extensions = 1,
    };
    struct machine m;

    machine_init(&m, "Genoa", SNP_VCEK);
    neo_buffer_clear(&m.authority.root_der);
    assert_int_equal(
        vendor_cert_issue(&t, machine_keys.root, machine_keys.root, &m.authority.root_der, NULL),
        NEO_OK);
    t.common_name = "SEV-Genoa";
    neo_buffer_clear(&m.authority.issuer_der);
    assert_int_equal(vendor_cert_issue(&t, machine_keys.issuer, machine_keys.root,
                                       &m.authority.issuer_der, NULL),
                     NEO_OK);
    neo_attest_trust_unref(m.trust);
    m.trust = machine_trust(neo_buffer_bytes(&m.authority.root_der));
    EXPECT(&m, "", "snp.roles", "chain");
    machine_fini(&m);
}

/* --- the path --------------------------------------------------------------------------------- */

TEST(a_path_that_has_expired_anywhere_is_refused_as_expired)
{
    struct machine m;

    machine_init(&m, "Genoa", SNP_VCEK);
    m.chip.not_after = NOW - 1;
    machine_issue(&m);
    EXPECT(&m, "", "snp.chain", "expired");
    m.chip.not_before = NOW + 1;
    m.chip.not_after = NOW + MACHINE_DAY;
    machine_issue(&m);
    EXPECT(&m, "", "snp.chain", "expired");
    machine_fini(&m);

    machine_init(&m, "Genoa", SNP_VCEK);
    m.authority.not_after = NOW - 1;
    sim_authority_fini(&m.authority);
    neo_attest_trust_unref(m.trust);
    m.trust = NULL;
    machine_issue(&m);
    EXPECT(&m, "", "snp.chain", "expired");
    machine_fini(&m);
}

TEST(an_intermediate_that_did_not_come_or_is_not_the_signer_breaks_the_path)
{
    struct neo_attest_policies *policies = machine_policy("");
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    struct machine m;

    machine_init(&m, "Genoa", SNP_VCEK);
    neo_arena_init(&arena, MACHINE_ARENA);
    struct neo_appraisal a =
        machine_appraise(&m, policies, neo_buffer_bytes(&m.chip.cert_der), &arena);
    assert_string_equal(machine_first_failure(&a), "snp.chain");

    /* The root of evidence is not believed, even when the whole path comes along. */
    struct machine other;
    machine_init(&other, "Genoa", SNP_VCEK);
    struct sim_keys keys;
    assert_int_equal(sim_keys_generate(&keys, NULL), NEO_OK);
    sim_authority_fini(&other.authority);
    other.authority = (struct sim_authority){
        .keys = &keys,
        .product = m.authority.product,
        .vek = SNP_VCEK,
        .not_before = m.authority.not_before,
        .not_after = m.authority.not_after,
    };
    assert_int_equal(sim_authority_issue(&other.authority, NULL), NEO_OK);
    assert_int_equal(sim_chip_issue(&other.chip, &other.authority, NULL), NEO_OK);
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer all = machine_certificates(&other);
    assert_true(neo_buffer_append(&all, neo_buffer_bytes(&other.authority.root_der)));
    a = machine_appraise(&other, policies, neo_buffer_bytes(&all), &arena);
    assert_string_equal(machine_first_failure(&a), "snp.chain");
    assert_int_equal(a.reason, NEO_ATTEST_CHAIN);

    sim_keys_fini(&keys);
    neo_attest_policies_unref(policies);
    machine_fini(&m);
    machine_fini(&other);
}

/* Gives `m` a trust with a list by `lister`'s root. */
static void trust_with_crl(struct machine *m, const struct machine *lister,
                           struct neo_bytes revoked, int64_t from, int64_t until,
                           const struct vendor_key *signer)
{
    struct vendor_bundle certs = {.max = 2};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer crl = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer pem = {0};

    assert_int_equal(
        vendor_bundle_read(&certs, neo_buffer_bytes(&lister->authority.root_der), "t", NULL),
        NEO_OK);
    if (revoked.len > 0)
        assert_int_equal(vendor_bundle_read(&certs, revoked, "t", NULL), NEO_OK);
    assert_int_equal(vendor_crl_issue(certs.certs[0], signer,
                                      revoked.len > 0 ? certs.certs[1] : NULL, from, until, &crl,
                                      NULL),
                     NEO_OK);
    assert_true(vendor_pem_append(&pem, "X509 CRL", neo_buffer_bytes(&crl)));
    vendor_bundle_fini(&certs);

    /* One list as PEM and once more as DER: both are read, both count. */
    const struct neo_bytes collateral[] = {neo_buffer_bytes(&pem), neo_buffer_bytes(&crl)};
    const struct neo_attest_trust_options options = {
        .collateral = collateral,
        .n_collateral = NEO_COUNT(collateral),
        .simulated_root = neo_buffer_bytes(&m->authority.root_der),
        .development = true,
    };
    neo_attest_trust_unref(m->trust);
    assert_int_equal(neo_attest_trust_new(&options, &m->trust, NULL), NEO_OK);
}

TEST(a_revoked_intermediate_is_refused_and_so_is_a_list_that_cannot_be_believed)
{
    struct machine m;

    machine_init(&m, "Genoa", SNP_VCEK);
    struct neo_bytes issuer = neo_buffer_bytes(&m.authority.issuer_der);
    trust_with_crl(&m, &m, (struct neo_bytes){0}, NOW - 1, NOW + 1, machine_keys.root);
    EXPECT(&m, "", "accepted", "none");
    trust_with_crl(&m, &m, issuer, NOW - 1, NOW + 1, machine_keys.root);
    EXPECT(&m, "", "snp.chain", "revoked");
    trust_with_crl(&m, &m, (struct neo_bytes){0}, NOW - 2, NOW - 1, machine_keys.root);
    EXPECT(&m, "", "snp.chain", "collateral-stale");
    trust_with_crl(&m, &m, (struct neo_bytes){0}, NOW + 1, NOW + 2, machine_keys.root);
    EXPECT(&m, "", "snp.chain", "collateral-stale");
    trust_with_crl(&m, &m, (struct neo_bytes){0}, NOW - 1, NOW + 1, machine_keys.issuer);
    EXPECT(&m, "", "snp.chain", "collateral");
    machine_fini(&m);
}

TEST(a_list_of_another_root_is_no_concern_of_ours)
{
    struct machine genoa, milan;

    machine_init(&genoa, "Genoa", SNP_VCEK);
    machine_init(&milan, "Milan", SNP_VCEK);
    trust_with_crl(&genoa, &milan, (struct neo_bytes){0}, NOW - 2, NOW - 1, machine_keys.root);
    EXPECT(&genoa, "", "accepted", "none");
    machine_fini(&genoa);
    machine_fini(&milan);
}

/* --- signature and binder --------------------------------------------------------------------- */

static enum neo_attest_reason raw_verdict(const struct machine *m, const uint8_t *report,
                                          enum neo_evidence_kind kind, const uint8_t *binder)
{
    struct neo_attest_policies *policies = machine_policy("");
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer certificates = machine_certificates(m);
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    const struct neo_evidence evidence = {kind, neo_bytes(report, SNP_REPORT_LEN),
                                          neo_buffer_bytes(&certificates)};
    struct neo_appraisal a;

    neo_arena_init(&arena, MACHINE_ARENA);
    assert_int_equal(neo_attest_appraise(m->trust, policies, NEO_LIT("function-service"), &evidence,
                                         binder, NOW, &arena, &a, NULL),
                     NEO_OK);
    neo_attest_policies_unref(policies);
    assert_int_equal(a.accepted, a.reason == NEO_ATTEST_NONE);
    return a.reason;
}

TEST(every_bit_of_the_binder_counts)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer body = {0};
    uint8_t binder[NEO_BINDER_LEN];
    struct machine m;

    machine_init(&m, "Genoa", SNP_VCEK);
    memset(binder, 0xb1, sizeof(binder));
    assert_int_equal(sim_report_sign(&m.report, m.chip.key, &body, NULL), NEO_OK);
    assert_int_equal(raw_verdict(&m, body.at, NEO_EVIDENCE_SIM_SNP, binder), NEO_ATTEST_NONE);
    for (size_t bit = 0; bit < 8 * sizeof(binder); bit++) {
        binder[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(raw_verdict(&m, body.at, NEO_EVIDENCE_SIM_SNP, binder),
                         NEO_ATTEST_BINDING);
        binder[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    machine_fini(&m);
}

TEST(a_signature_out_of_range_or_by_another_key_is_refused)
{
    static const uint8_t order_le[48] = {
        0x73, 0x29, 0xc5, 0xcc, 0x6a, 0x19, 0xec, 0xec, 0x7a, 0xa7, 0xb0, 0x48,
        0xb2, 0x0d, 0x1a, 0x58, 0xdf, 0x2d, 0x37, 0xf4, 0x81, 0x4d, 0x63, 0xc7,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    };
    enum { R = 0x2a0, S = 0x2e8 };
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer body = {0};
    uint8_t changed[SNP_REPORT_LEN], binder[NEO_BINDER_LEN];
    struct machine m;

    machine_init(&m, "Genoa", SNP_VCEK);
    memset(binder, 0xb1, sizeof(binder));
    assert_int_equal(sim_report_sign(&m.report, m.chip.key, &body, NULL), NEO_OK);
    for (size_t at = R; at <= S; at += S - R) {
        memcpy(changed, body.at, sizeof(changed));
        memset(changed + at, 0, 48);
        assert_int_equal(raw_verdict(&m, changed, NEO_EVIDENCE_SIM_SNP, binder),
                         NEO_ATTEST_SIGNATURE);
        memcpy(changed + at, order_le, 48);
        assert_int_equal(raw_verdict(&m, changed, NEO_EVIDENCE_SIM_SNP, binder),
                         NEO_ATTEST_SIGNATURE);
        memset(changed + at, 0xff, 48);
        assert_int_equal(raw_verdict(&m, changed, NEO_EVIDENCE_SIM_SNP, binder),
                         NEO_ATTEST_SIGNATURE);
    }
    struct vendor_key *other;
    assert_int_equal(vendor_key_generate(VENDOR_P384, &other, NULL), NEO_OK);
    neo_buffer_clear(&body);
    assert_int_equal(sim_report_sign(&m.report, other, &body, NULL), NEO_OK);
    assert_int_equal(raw_verdict(&m, body.at, NEO_EVIDENCE_SIM_SNP, binder), NEO_ATTEST_SIGNATURE);
    vendor_key_free(other);
    machine_fini(&m);
}

/* --- simulated stays simulated ---------------------------------------------------------------- */

TEST(simulated_evidence_called_genuine_is_refused)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer body = {0};
    struct neo_attest_policies *hardware;
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    uint8_t binder[NEO_BINDER_LEN];
    struct neo_appraisal a;
    struct machine m;

    machine_init(&m, "Genoa", SNP_VCEK);
    memset(binder, 0xb1, sizeof(binder));
    assert_int_equal(sim_report_sign(&m.report, m.chip.key, &body, NULL), NEO_OK);
    /* A policy for the simulator takes nothing else, and one for hardware takes no simulator. */
    assert_int_equal(raw_verdict(&m, body.at, NEO_EVIDENCE_SNP, binder), NEO_ATTEST_UNSUPPORTED);

    assert_int_equal(machine_compile("hardware", "", &hardware, NULL), NEO_OK);
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer all = machine_certificates(&m);
    assert_true(neo_buffer_append(&all, neo_buffer_bytes(&m.authority.root_der)));
    struct neo_evidence evidence = {NEO_EVIDENCE_SNP, neo_buffer_bytes(&body),
                                    neo_buffer_bytes(&all)};
    neo_arena_init(&arena, MACHINE_ARENA);
    assert_int_equal(neo_attest_appraise(m.trust, hardware, NEO_LIT("function-service"), &evidence,
                                         binder, NOW, &arena, &a, NULL),
                     NEO_OK);
    assert_false(a.accepted);
    assert_string_equal(machine_first_failure(&a), "snp.certificates");
    evidence.kind = NEO_EVIDENCE_SIM_SNP;
    assert_int_equal(neo_attest_appraise(m.trust, hardware, NEO_LIT("function-service"), &evidence,
                                         binder, NOW, &arena, &a, NULL),
                     NEO_OK);
    assert_int_equal(a.reason, NEO_ATTEST_UNSUPPORTED);
    neo_attest_policies_unref(hardware);
    machine_fini(&m);
}

TEST(a_trust_outside_development_can_never_accept_simulated_evidence)
{
    struct neo_attest_policies *policies = machine_policy("");
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    struct neo_attest_trust *trust = NULL;
    struct neo_error err;
    struct machine m;

    machine_init(&m, "Genoa", SNP_VCEK);
    struct neo_attest_trust_options options = {.simulated_root =
                                                   neo_buffer_bytes(&m.authority.root_der)};
    assert_int_equal(neo_attest_trust_new(&options, &trust, &err), NEO_FAILED_PRECONDITION);
    assert_null(trust);

    /* The same root smuggled in as collateral is no root. */
    const struct neo_bytes collateral[] = {neo_buffer_bytes(&m.authority.root_der),
                                           neo_buffer_bytes(&m.authority.issuer_der)};
    options = (struct neo_attest_trust_options){.collateral = collateral, .n_collateral = 2};
    neo_attest_trust_unref(m.trust);
    assert_int_equal(neo_attest_trust_new(&options, &m.trust, NULL), NEO_OK);
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer certificates = machine_certificates(&m);
    neo_arena_init(&arena, MACHINE_ARENA);
    struct neo_appraisal a =
        machine_appraise(&m, policies, neo_buffer_bytes(&certificates), &arena);
    assert_int_equal(a.reason, NEO_ATTEST_UNSUPPORTED);
    assert_string_equal(machine_first_failure(&a), "evidence.kind");

    /* A development trust without that root does not accept it either. */
    options.development = true;
    neo_attest_trust_unref(m.trust);
    assert_int_equal(neo_attest_trust_new(&options, &m.trust, NULL), NEO_OK);
    a = machine_appraise(&m, policies, neo_buffer_bytes(&certificates), &arena);
    assert_string_equal(machine_first_failure(&a), "snp.certificates");
    neo_attest_policies_unref(policies);
    machine_fini(&m);
}

/* --- failing closed --------------------------------------------------------------------------- */

TEST(what_was_not_asked_for_is_listed_as_such_and_not_as_passed)
{
    static const enum snp_check open_by_default[] = {
        CHECK_CSP_ID,      CHECK_POLICY_SMT, CHECK_PLATFORM_ECC, CHECK_FIRMWARE,
        CHECK_MITIGATIONS, CHECK_ID_KEY,     CHECK_AUTHOR_KEY,   CHECK_HOST_DATA,
        CHECK_FAMILY_ID,   CHECK_IMAGE_ID,   CHECK_GUEST_SVN,    CHECK_CHIP_ID,
    };
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    struct machine m;

    machine_init(&m, "Genoa", SNP_VCEK);
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer certificates = machine_certificates(&m);
    neo_arena_init(&arena, MACHINE_ARENA);
    struct neo_appraisal a = appraise_with(&m, "", neo_buffer_bytes(&certificates), &arena);
    for (size_t i = 0; i < NEO_COUNT(open_by_default); i++)
        assert_int_equal(a.checks[open_by_default[i]].result, NEO_CHECK_NOT_APPLICABLE);
    assert_int_equal(a.checks[CHECK_PLATFORM_ALIAS_CHECK].result, NEO_CHECK_PASS);
    assert_int_equal(a.checks[CHECK_POLICY_CXL].result, NEO_CHECK_PASS);
    machine_fini(&m);
}

TEST(a_trust_takes_simulated_roots_alone_and_survives_any_failing_allocation)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer nine = {0};
    struct neo_attest_trust *trust = NULL;
    struct machine m;
    bool done = false;

    machine_init(&m, "Genoa", SNP_VCEK);
    struct neo_attest_trust_options options = {.development = true};
    struct neo_bytes root = neo_buffer_bytes(&m.authority.root_der);
    for (size_t i = 0; i < 9; i++) /* one more than there is room for */
        assert_true(neo_buffer_append(&nine, root));
    const struct neo_bytes wrong[] = {neo_buffer_bytes(&nine), NEO_LIT("no root"),
                                      neo_bytes(root.at, root.len - 1)};
    for (size_t i = 0; i < NEO_COUNT(wrong); i++) {
        options.simulated_root = wrong[i];
        assert_int_not_equal(neo_attest_trust_new(&options, &trust, NULL), NEO_OK);
    }
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer crl = {0};
    struct vendor_bundle list = {.max = 1};
    assert_int_equal(vendor_bundle_read(&list, root, "t", NULL), NEO_OK);
    assert_int_equal(
        vendor_crl_issue(list.certs[0], machine_keys.root, NULL, NOW, NOW + 1, &crl, NULL), NEO_OK);
    vendor_bundle_fini(&list);
    options.simulated_root = neo_buffer_bytes(&crl);
    assert_int_equal(neo_attest_trust_new(&options, &trust, NULL), NEO_INVALID_ARGUMENT);

    options.simulated_root = root;
    options.collateral = &root;
    options.n_collateral = 1;
    for (unsigned long n = 1; !done; n++) {
        neo_memory_fail_at(n);
        enum neo_code code = neo_attest_trust_new(&options, &trust, NULL);
        neo_memory_fail_at(0);
        done = code == NEO_OK;
        assert_true(done || (code == NEO_RESOURCE_EXHAUSTED && trust == NULL));
        assert_true(n < 50);
    }
    neo_attest_trust_unref(trust);
    neo_attest_trust_unref(NULL);
    machine_fini(&m);
}

TEST(without_a_policy_for_the_service_nothing_is_accepted)
{
    struct neo_attest_policies *policies = machine_policy("");
    const struct neo_attest_policies *const tries[] = {NULL, policies};
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    uint8_t binder[NEO_BINDER_LEN] = {0};
    const struct neo_evidence evidence = {.kind = NEO_EVIDENCE_SIM_SNP};
    struct neo_appraisal a;
    struct machine m;

    machine_init(&m, "Genoa", SNP_VCEK);
    neo_arena_init(&arena, MACHINE_ARENA);
    for (size_t i = 0; i < NEO_COUNT(tries); i++) {
        assert_int_equal(neo_attest_appraise(m.trust, tries[i], NEO_LIT("other-service"), &evidence,
                                             binder, NOW, &arena, &a, NULL),
                         NEO_OK);
        assert_false(a.accepted);
        assert_int_equal(a.reason, NEO_ATTEST_POLICY_MISSING);
    }
    neo_attest_policies_unref(policies);
    machine_fini(&m);
}

TEST(an_allocation_that_fails_never_turns_into_acceptance)
{
    struct neo_attest_policies *policies = machine_policy("");
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer body = {0};
    uint8_t binder[NEO_BINDER_LEN];
    struct machine m;
    bool done = false;
    unsigned long n;

    machine_init(&m, "Genoa", SNP_VCEK);
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer certificates = machine_certificates(&m);
    memset(binder, 0xb1, sizeof(binder));
    assert_int_equal(sim_report_sign(&m.report, m.chip.key, &body, NULL), NEO_OK);
    const struct neo_evidence evidence = {NEO_EVIDENCE_SIM_SNP, neo_buffer_bytes(&body),
                                          neo_buffer_bytes(&certificates)};
    for (n = 1; !done; n++) {
        struct neo_appraisal a = {0};
        struct neo_arena arena;
        neo_arena_init(&arena, MACHINE_ARENA);
        neo_memory_fail_at(n);
        enum neo_code code = neo_attest_appraise(m.trust, policies, NEO_LIT("function-service"),
                                                 &evidence, binder, NOW, &arena, &a, NULL);
        neo_memory_fail_at(0);
        done = code == NEO_OK && a.accepted;
        if (!done)
            assert_true(code == NEO_RESOURCE_EXHAUSTED || a.reason != NEO_ATTEST_NONE);
        neo_arena_fini(&arena);
        assert_true(n < 100);
    }
    assert_true(n > 3);
    neo_attest_policies_unref(policies);
    machine_fini(&m);
}

/* --- threads ---------------------------------------------------------------------------------- */

struct worker {
    pthread_t thread;
    const struct machine *m;
    struct neo_attest_policies *policies;
    const struct neo_evidence *evidence;
    unsigned accepted;
};

static void *appraise_often(void *self)
{
    struct worker *w = self;
    uint8_t binder[NEO_BINDER_LEN];

    memset(binder, 0xb1, sizeof(binder));
    for (unsigned i = 0; i < 25; i++) {
        struct neo_attest_trust *trust = neo_attest_trust_ref(w->m->trust);
        struct neo_appraisal a = {0};
        struct neo_arena arena;
        neo_arena_init(&arena, MACHINE_ARENA);
        if (neo_attest_appraise(trust, w->policies, NEO_LIT("function-service"), w->evidence,
                                binder, NOW, &arena, &a, NULL) == NEO_OK)
            w->accepted += a.accepted;
        neo_arena_fini(&arena);
        neo_attest_trust_unref(trust);
    }
    return NULL;
}

TEST(one_trust_serves_many_threads)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer body = {0};
    struct worker workers[4];
    struct machine m;

    machine_init(&m, "Genoa", SNP_VCEK);
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer certificates = machine_certificates(&m);
    const struct neo_bytes collateral = neo_buffer_bytes(&certificates);
    const struct neo_attest_trust_options options = {
        .collateral = &collateral, /* every certificate is shared by all threads */
        .n_collateral = 1,
        .simulated_root = neo_buffer_bytes(&m.authority.root_der),
        .development = true,
    };
    neo_attest_trust_unref(m.trust);
    assert_int_equal(neo_attest_trust_new(&options, &m.trust, NULL), NEO_OK);
    struct neo_attest_policies *policies = machine_policy("");
    assert_int_equal(sim_report_sign(&m.report, m.chip.key, &body, NULL), NEO_OK);
    const struct neo_evidence evidence = {NEO_EVIDENCE_SIM_SNP, neo_buffer_bytes(&body),
                                          neo_buffer_bytes(&certificates)};
    for (size_t i = 0; i < NEO_COUNT(workers); i++) {
        workers[i] = (struct worker){.m = &m, .policies = policies, .evidence = &evidence};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, appraise_often, &workers[i]), 0);
    }
    for (size_t i = 0; i < NEO_COUNT(workers); i++) {
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
        assert_int_equal(workers[i].accepted, 25);
    }
    neo_attest_policies_unref(policies);
    machine_fini(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_product_is_accepted_by_a_strict_policy_with_either_key),
        cmocka_unit_test(a_report_of_version_5_is_accepted_and_one_of_4_is_unsupported),
        cmocka_unit_test(a_hardware_id_may_be_raw_or_in_an_octet_string),
        cmocka_unit_test(an_accepted_appraisal_says_who_when_and_how),
        cmocka_unit_test(a_certificate_of_another_chip_is_refused),
        cmocka_unit_test(a_turin_chip_id_must_be_zero_behind_its_eight_bytes),
        cmocka_unit_test(a_certificate_for_an_older_or_newer_firmware_is_refused),
        cmocka_unit_test(reserved_tcb_components_must_be_zero_in_every_tcb),
        cmocka_unit_test(the_processor_must_be_of_the_certificates_product),
        cmocka_unit_test(the_certificates_product_must_be_that_of_its_root),
        cmocka_unit_test(certificates_may_come_in_any_order_and_the_one_of_this_chip_is_found),
        cmocka_unit_test(a_certificate_that_did_not_come_is_taken_from_the_collateral),
        cmocka_unit_test(a_vlek_report_may_name_its_chip),
        cmocka_unit_test(a_vlek_never_stands_in_for_a_vcek_nor_the_other_way_round),
        cmocka_unit_test(a_vcek_under_the_vlek_authority_is_nobodys),
        cmocka_unit_test(a_report_signed_by_the_authority_itself_is_refused),
        cmocka_unit_test(a_leaf_that_is_an_authority_or_has_another_kind_of_key_is_refused),
        cmocka_unit_test(a_root_of_another_name_is_refused_even_when_it_is_the_trusted_one),
        cmocka_unit_test(a_path_that_has_expired_anywhere_is_refused_as_expired),
        cmocka_unit_test(an_intermediate_that_did_not_come_or_is_not_the_signer_breaks_the_path),
        cmocka_unit_test(
            a_revoked_intermediate_is_refused_and_so_is_a_list_that_cannot_be_believed),
        cmocka_unit_test(a_list_of_another_root_is_no_concern_of_ours),
        cmocka_unit_test(every_bit_of_the_binder_counts),
        cmocka_unit_test(a_signature_out_of_range_or_by_another_key_is_refused),
        cmocka_unit_test(simulated_evidence_called_genuine_is_refused),
        cmocka_unit_test(a_trust_outside_development_can_never_accept_simulated_evidence),
        cmocka_unit_test(what_was_not_asked_for_is_listed_as_such_and_not_as_passed),
        cmocka_unit_test(a_trust_takes_simulated_roots_alone_and_survives_any_failing_allocation),
        cmocka_unit_test(without_a_policy_for_the_service_nothing_is_accepted),
        cmocka_unit_test(an_allocation_that_fails_never_turns_into_acceptance),
        cmocka_unit_test(one_trust_serves_many_threads),
    };

    return cmocka_run_group_tests(tests, machine_setup, machine_teardown);
}
