/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recorded confidential machines of Azure's: three of SEV-SNP and one of TDX. What their
 * quotes were bound to was another protocol's nonce, so they are judged as recordings.
 */
#include "vectors.h"

#include <neo/attest.h>
#include <neo/encoding.h>
#include <neo/evidence.h>

enum { ARENA = 8 << 20, COLLATERAL = 8 };

static const struct recorded {
    const char *name;
    bool is_tdx;
    const char *roots;
    int64_t now;
    const char *code;  /* MEASUREMENT or MRTD */
    const char *pcr0;  /* its first quoted PCR */
    const char *bound; /* extraData */
    const char *allow; /* what else a row must say */
} machines[] = {
    {"snp_genoa", false, "snp/roots/ask_ark_genoa.pem", 1790000000,
     "f57dc09a507c6ecd82369bffb600f0003792f4d99bc26e985ec0c266fc34faf3706faf814c9e61065768a6ff917c8"
     "9ae",
     "afd689d0bb1c5f36f023fbaf574135f555a28a10c1f6b938d2a25e70c7783338",
     "0218488bae25d2509232bf676f1a66a30d7372add909109b36016ef136f2938ca05475f8b46094de6b64270ea35d9"
     "50f",
     ""},
    {"snp_milan", false, "snp/roots/ask_ark_milan.pem", 1790000000,
     "6a063be9dd79f6371c842e480f8dc3b5c725961344e57130e88c5adf49e8f7f6c79b75a5eb77fc769959f4aeb2f94"
     "01e",
     "e15c44796beabf46abcec7c57e590942041e47497e4ec27571c8b7664f48dced", "6368616c6c656e6765", ""},
    {"snp_milan2", false, "snp/roots/ask_ark_milan.pem", 1790000000,
     "5b0ce64ad1c1f6375dbda5f760b98526ca1bcf91b8195091afc28e7b024251d68fe32e05af34048d6607678cd2328"
     "3ff",
     "84275b2f4312cd4fc6cbe6b152ad3c3683e513d9f1e23c34fca160c8cca7a6a7",
     "982f5c6e45df0ed3f10b6f60b02f0c8390e281300f3805e2279c16168cd6ae9aa398f647caa2338748cd0fd9f5f81"
     "9ef",
     ""},
    {"tdx", true, NULL, 1751883626,
     "024a32b070383331181619fa387cb4d55d1e38879f989933055ccad5bc2db795d1737b66205949d15469dc8c1ba7a"
     "b7b",
     "782b20b10f55cc46e2142cc2145d548698073e5beb82752c8d7f9279f0d8a273", "6368616c6c656e6765",
     "        tcb: {accept: [OutOfDate], advisories: [INTEL-SA-00960, INTEL-SA-00982, "
     "INTEL-SA-00986]}\n"
     "        td_attributes: {value: \"0000000000000000\", mask: \"ffffff3fffffffff\"}\n"},
};

/* The parts of a machine as they were recorded, and what judges them. */
struct machine {
    const struct recorded *is;
    struct neo_buffer parts[NEO_EVIDENCE_PARTS_N];
    struct neo_buffer vcek;
    struct neo_attest_trust *trust;
    const char *allow;
};

static struct neo_buffer file_of(const struct recorded *r, const char *suffix)
{
    char path[128];

    (void)snprintf(path, sizeof(path), "azure-vtpm/%s_%s", r->name, suffix);
    return vectors_read(path);
}

static void machine_init(struct machine *m, const struct recorded *r)
{
    static const char *const intel[] = {
        "tcb_info.json", "qe_identity.json",         "tcb_signing_chain.pem",
        "pck_crl.der",   "pck_crl_issuer_chain.pem", "root_ca_crl.der"};
    struct neo_buffer files[COLLATERAL];
    struct neo_bytes collateral[COLLATERAL];
    size_t n = 0;

    *m = (struct machine){.is = r, .allow = r->allow};
    m->parts[NEO_PART_HCL] = file_of(r, "hcl_report.bin");
    m->parts[NEO_PART_QUOTE] = file_of(r, "tpm_quote.tpms_attest");
    m->parts[NEO_PART_SIGNATURE] = file_of(r, "tpm_quote.rsassa_sig");
    m->parts[NEO_PART_PCRS] = file_of(r, "tpm_quote.pcrs_sha256_24x32.bin");
    if (r->is_tdx) {
        m->parts[NEO_PART_TDQUOTE] = file_of(r, "td_quote.dat");
        for (; n < NEO_COUNT(intel); n++) {
            char path[128];
            (void)snprintf(path, sizeof(path), "intel-collateral/2025-07-07_tdx_00806f050000/%s",
                           intel[n]);
            files[n] = vectors_read(path);
        }
    } else {
        m->vcek = file_of(r, "vcek.der");
        files[n++] = vectors_read(r->roots);
    }
    for (size_t i = 0; i < n; i++)
        collateral[i] = neo_buffer_bytes(&files[i]);
    const struct neo_attest_trust_options options = {.collateral = collateral, .n_collateral = n};
    assert_int_equal(neo_attest_trust_new(&options, &m->trust, NULL), NEO_OK);
    for (size_t i = 0; i < n; i++)
        neo_buffer_fini(&files[i]);
}

static void machine_fini(struct machine *m)
{
    for (size_t i = 0; i < NEO_EVIDENCE_PARTS_N; i++)
        neo_buffer_fini(&m->parts[i]);
    neo_buffer_fini(&m->vcek);
    neo_attest_trust_unref(m->trust);
}

static struct neo_attest_policies *policy_of(const struct machine *m)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};
    struct neo_attest_policies *policies;
    struct neo_error err;

    assert_true(neo_buffer_printf(
        &text,
        "attestation_policies:\n  function-service:\n    require: hardware\n    any_of:\n"
        "      - tee: %s\n        %s: [%s]\n        pcr_sha256: {0: [%s]}\n%s",
        m->is->is_tdx ? "azure-tdx" : "azure-snp", m->is->is_tdx ? "mrtd" : "measurement",
        m->is->code, m->is->pcr0, m->allow));
    const struct neo_document document = {NEO_LIT("attest.yaml"), neo_buffer_bytes(&text)};
    if (neo_attest_policies_compile(&document, 1, false, &policies, &err) != NEO_OK)
        fail_msg("%s", err.message);
    return policies;
}

/* The first failed check, or "accepted"; `bound` NULL: what was recorded. */
static const char *ask(const struct machine *m, const char *bound,
                       enum neo_attest_reason *ret_reason)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer body = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer nonce = {0};
    struct neo_bytes parts[NEO_EVIDENCE_PARTS_N];
    struct neo_attest_policies *policies = policy_of(m);
    const char *failed = "accepted";
    struct neo_appraisal a;

    for (size_t i = 0; i < NEO_EVIDENCE_PARTS_N; i++)
        parts[i] = neo_buffer_bytes(&m->parts[i]);
    enum neo_evidence_kind kind = m->is->is_tdx ? NEO_EVIDENCE_AZURE_TDX : NEO_EVIDENCE_AZURE_SNP;
    assert_int_equal(neo_evidence_pack(kind, parts, &body, NULL), NEO_OK);
    assert_int_equal(neo_hex_decode(neo_text(bound == NULL ? m->is->bound : bound), &nonce, NULL),
                     NEO_OK);
    const struct neo_evidence evidence = {kind, neo_buffer_bytes(&body),
                                          neo_buffer_bytes(&m->vcek)};
    const struct neo_evidence_question q = {
        .trust = m->trust,
        .policies = policies,
        .service = NEO_LIT("function-service"),
        .evidence = &evidence,
        .bound = neo_buffer_bytes(&nonce),
        .now = m->is->now,
    };
    neo_arena_init(&arena, ARENA);
    assert_int_equal(neo_evidence_appraise(&q, &arena, &a, NULL), NEO_OK);
    assert_int_equal(a.accepted, a.reason == NEO_ATTEST_NONE);
    assert_false(a.simulated);
    for (size_t i = a.n_checks; i-- > 0;) {
        if (a.checks[i].result == NEO_CHECK_FAIL)
            failed = a.checks[i].name;
    }
    *ret_reason = a.reason;
    neo_attest_policies_unref(policies);
    return failed;
}

TEST(every_recorded_machine_is_accepted_under_its_own_row)
{
    if (!vectors_exist())
        skip();
    for (size_t i = 0; i < NEO_COUNT(machines); i++) {
        struct machine m;
        enum neo_attest_reason reason;
        machine_init(&m, &machines[i]);
        assert_string_equal(ask(&m, NULL, &reason), "accepted");
        assert_string_equal(ask(&m, "00", &reason), "azure.binder");
        assert_string_equal(ask(&m, "", &reason), "azure.binder");
        m.allow = "";
        if (m.is->is_tdx) {
            (void)ask(&m, NULL, &reason);
            assert_int_equal(reason, NEO_ATTEST_TCB_STATUS);
        }
        machine_fini(&m);
    }
}

TEST(one_byte_changed_at_each_link_fails_at_that_link)
{
    static const struct {
        enum neo_evidence_part part;
        size_t at;
        const char *snp, *tdx;
    } changes[] = {
        {NEO_PART_HCL, 0, "azure.format", "azure.format"},
        {NEO_PART_HCL, 0x20 + 0x90, "snp.signature",
         "azure.td_report"}, /* MEASUREMENT; REPORTDATA */
        {NEO_PART_HCL, 0x20 + 0x2a0, "snp.signature", "azure.td_report"},        /* R; MRCONFIGID */
        {NEO_PART_HCL, 0x4d4 + 100, "azure.runtime_data", "azure.runtime_data"}, /* the key's n */
        {NEO_PART_HCL, 2599, "azure.format", "azure.format"},
        {NEO_PART_QUOTE, 0, "azure.format", "azure.format"},
        {NEO_PART_QUOTE, 46, "azure.quote.signature", "azure.quote.signature"}, /* extraData */
        {NEO_PART_SIGNATURE, 255, "azure.quote.signature", "azure.quote.signature"},
        {NEO_PART_PCRS, 0, "azure.pcr_digest", "azure.pcr_digest"},
        {NEO_PART_PCRS, 767, "azure.pcr_digest", "azure.pcr_digest"},
        {NEO_PART_TDQUOTE, 600, NULL, "tdx.signature"},
        {NEO_PART_TDQUOTE, 1154, NULL, "tdx.qe.signature"},
    };

    if (!vectors_exist())
        skip();
    for (size_t i = 0; i < NEO_COUNT(machines); i++) {
        struct machine m;
        machine_init(&m, &machines[i]);
        for (size_t k = 0; k < NEO_COUNT(changes); k++) {
            const char *check = m.is->is_tdx ? changes[k].tdx : changes[k].snp;
            enum neo_attest_reason reason;
            if (check == NULL)
                continue;
            m.parts[changes[k].part].at[changes[k].at] ^= 1;
            assert_string_equal(ask(&m, NULL, &reason), check);
            m.parts[changes[k].part].at[changes[k].at] ^= 1;
        }
        machine_fini(&m);
    }
}

/* Each machine's quote, PCRs and blob with another's: genuine all, and still nobody's chain. */
TEST(parts_of_different_machines_do_not_make_one)
{
    static const struct {
        enum neo_evidence_part part;
        const char *check;
    } swaps[] = {
        {NEO_PART_QUOTE, "azure.quote.signature"},
        {NEO_PART_PCRS, "azure.pcr_digest"},
        {NEO_PART_HCL, "snp.hwid"},
    };

    if (!vectors_exist())
        skip();
    struct machine one, two;
    machine_init(&one, &machines[1]);
    machine_init(&two, &machines[2]);
    for (size_t i = 0; i < NEO_COUNT(swaps); i++) {
        struct neo_buffer own = one.parts[swaps[i].part];
        enum neo_attest_reason reason;
        one.parts[swaps[i].part] = two.parts[swaps[i].part];
        assert_string_equal(ask(&one, NULL, &reason), swaps[i].check);
        one.parts[swaps[i].part] = own;
    }
    machine_fini(&one);
    machine_fini(&two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_recorded_machine_is_accepted_under_its_own_row),
        cmocka_unit_test(one_byte_changed_at_each_link_fails_at_that_link),
        cmocka_unit_test(parts_of_different_machines_do_not_make_one),
    };
    return cmocka_run_group_tests_name("attest/azure/vectors", tests, NULL, NULL);
}
