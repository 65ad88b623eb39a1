/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cvm.h - simulated confidential machines of Azure's: a paravisor's blob and a virtual TPM's
 * quote over a simulated processor of either maker.
 *
 * A machine is described by its fields; everything is made and signed anew for every
 * question, so a test changes a field and asks.
 */
#ifndef NEO_TESTS_ATTEST_CVM_H
#define NEO_TESTS_ATTEST_CVM_H

#include "machine.h"
#include "platform.h"

#include "attest/azure_hcl.h"
#include "attest/tpm_quote.h"

#include <neo/evidence.h>

enum { CVM_PCRS = 3, CVM_BLOB_LEN = 2600 };

struct cvm {
    bool is_tdx;
    struct machine snp;
    struct platform tdx;
    struct vendor_key *ak;
    struct vendor_key *other; /* of another TPM */

    /* What it says. */
    uint8_t binder;
    uint8_t pcrs[CVM_PCRS][32];
    const char *vm;   /* members of vm-configuration */
    const char *keys; /* instead of the two keys; NULL: them */
    uint32_t version, kind, hash, runtime_version, status;
    bool has_whole_signature; /* a TPMT_SIGNATURE, and not the bare number */
    bool is_tpm2b;            /* the quote is wrapped */
    bool signs_with_other;
    bool has_log;
    /* What is changed after it was bound. */
    bool runtime_changed, pcr_changed, quote_changed, signature_changed;
    bool td_report_changed, padding_changed;

    uint8_t found[64]; /* the measurement of the last appraisal */
    size_t found_len;
};

/* A trust that knows the machine's certificates: what is known need not be parsed again. */
static inline void cvm_know_certificates(struct cvm *c)
{
    const struct neo_bytes known[] = {neo_buffer_bytes(&c->snp.chip.cert_der),
                                      neo_buffer_bytes(&c->snp.authority.issuer_der)};
    const struct neo_attest_trust_options options = {
        .collateral = known,
        .n_collateral = NEO_COUNT(known),
        .simulated_root = neo_buffer_bytes(&c->snp.authority.root_der),
        .development = true,
    };

    neo_attest_trust_unref(c->snp.trust);
    assert_int_equal(neo_attest_trust_new(&options, &c->snp.trust, NULL), NEO_OK);
}

static inline void cvm_init(struct cvm *c, bool is_tdx)
{
    memset(c, 0, sizeof(*c));
    c->is_tdx = is_tdx;
    c->binder = 0xb1;
    c->vm = "\"secure-boot\":true,\"tpm-enabled\":true,\"console-enabled\":true";
    c->version = 2;
    c->kind = is_tdx ? 4 : 2;
    c->hash = 1;
    c->runtime_version = 1;
    if (is_tdx)
        platform_init(&c->tdx, true, 4);
    else
        machine_init(&c->snp, "Genoa", SNP_VCEK);
    assert_int_equal(vendor_key_generate(VENDOR_RSA_2048, &c->ak, NULL), NEO_OK);
    assert_int_equal(vendor_key_generate(VENDOR_RSA_2048, &c->other, NULL), NEO_OK);
    for (size_t i = 0; i < CVM_PCRS; i++) { /* each extended once, by 0x10 + i */
        uint8_t both[64] = {0};
        memset(both + 32, 0x10 + (int)i, 32);
        neo_sha256(neo_bytes(both, sizeof(both)), c->pcrs[i]);
    }
}

static inline void cvm_fini(struct cvm *c)
{
    if (c->is_tdx)
        platform_fini(&c->tdx);
    else
        machine_fini(&c->snp);
    vendor_key_free(c->ak);
    vendor_key_free(c->other);
}

static inline void cvm_be(struct neo_buffer *out, uint64_t value, size_t width)
{
    for (size_t i = width; i > 0; i--)
        assert_true(neo_buffer_append_byte(out, (uint8_t)(value >> (8 * (i - 1)))));
}

static inline void cvm_jwk(struct neo_buffer *out, const char *kid, const struct vendor_key *key)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer modulus = {0};

    assert_int_equal(vendor_key_modulus(key, &modulus, NULL), NEO_OK);
    assert_true(
        neo_buffer_printf(out, "{\"kid\":\"%s\",\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"", kid));
    assert_true(neo_base64_encode(out, neo_buffer_bytes(&modulus), NEO_BASE64_URL));
    assert_true(neo_buffer_append_text(out, "\"}"));
}

static inline void cvm_runtime(const struct cvm *c, struct neo_buffer *out)
{
    assert_true(neo_buffer_append_text(out, "{\"keys\":["));
    if (c->keys != NULL) {
        assert_true(neo_buffer_append_text(out, c->keys));
    } else {
        cvm_jwk(out, "HCLAkPub", c->ak);
        assert_true(neo_buffer_append_text(out, ","));
        cvm_jwk(out, "HCLEkPub", c->other);
    }
    assert_true(neo_buffer_printf(out, "],\"vm-configuration\":{%s},\"user-data\":\"", c->vm));
    for (size_t i = 0; i < AZURE_USER_DATA_LEN; i++)
        assert_true(neo_buffer_append_text(out, "5D"));
    assert_true(neo_buffer_append_text(out, "\"}"));
}

/* The processor's report over `report_data`; for TDX the unsigned TDREPORT, and the quote. */
static inline void cvm_report(struct cvm *c, const uint8_t *report_data, struct neo_buffer *out,
                              struct neo_buffer *td_quote)
{
    if (!c->is_tdx) {
        memcpy(c->snp.report.report_data, report_data, 64);
        assert_int_equal(sim_report_sign(&c->snp.report, c->snp.chip.key, out, NULL), NEO_OK);
        return;
    }
    c->tdx.report_data = report_data;
    *td_quote = platform_quote(&c->tdx);
    c->tdx.report_data = NULL;
    platform_fill(out, 0x81, 1);
    platform_fill(out, 0, 127);
    platform_put(out, report_data, 64);
    platform_fill(out, 0, 512 - 192);
    platform_put(out, c->tdx.td_attributes, 8);
    platform_le(out, 0x2e7, 8);
    platform_fill(out, (uint8_t)(c->tdx.code + c->td_report_changed), 48);
    for (uint8_t i = 0xc1; i <= 0xc3; i++)
        platform_fill(out, i, 48);
    for (uint8_t i = 0; i < INTEL_RTMRS; i++)
        platform_fill(out, (uint8_t)(0x70 + i), 48);
    platform_fill(out, 0, 0x4c0 - out->len);
}

static inline void cvm_blob(struct cvm *c, struct neo_buffer *out, struct neo_buffer *td_quote)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer runtime = {0};
    uint8_t report_data[64] = {0};

    cvm_runtime(c, &runtime);
    neo_sha256(neo_buffer_bytes(&runtime), report_data);
    if (c->runtime_changed)
        runtime.at[runtime.len - 4] ^= 1;
    assert_true(neo_buffer_append_text(out, "HCLA"));
    platform_le(out, c->version, 4);
    platform_le(out, 32 + 1184 + 20 + runtime.len, 4);
    platform_le(out, 2, 4);
    platform_le(out, c->status, 4);
    platform_fill(out, 0, 12);
    cvm_report(c, report_data, out, td_quote);
    assert_int_equal(out->len, 0x4c0);
    platform_le(out, 20 + runtime.len, 4);
    platform_le(out, c->runtime_version, 4);
    platform_le(out, c->kind, 4);
    platform_le(out, c->hash, 4);
    platform_le(out, runtime.len, 4);
    platform_put(out, runtime.at, runtime.len);
    platform_fill(out, 0, CVM_BLOB_LEN - out->len);
    if (c->padding_changed)
        out->at[out->len - 1] = 1;
}

static inline void cvm_attest(const struct cvm *c, struct neo_buffer *out)
{
    uint8_t binder[NEO_BINDER_LEN], extra[32], digest[32];

    memset(binder, c->binder, sizeof(binder));
    neo_sha256(neo_bytes(binder, sizeof(binder)), extra);
    neo_sha256(neo_bytes(c->pcrs, sizeof(c->pcrs)), digest);
    cvm_be(out, 0xff544347, 4);
    cvm_be(out, 0x8018, 2);
    cvm_be(out, 0, 2);
    cvm_be(out, sizeof(extra), 2);
    platform_put(out, extra, sizeof(extra));
    platform_fill(out, 0, 25);
    cvm_be(out, 1, 4);
    cvm_be(out, TPM_SHA256, 2);
    cvm_be(out, 3, 1);
    platform_put(out, "\x07\x00\x00", 3);
    cvm_be(out, sizeof(digest), 2);
    platform_put(out, digest, sizeof(digest));
}

static inline void cvm_signature(const struct cvm *c, struct neo_bytes attest,
                                 struct neo_buffer *out)
{
    if (c->has_whole_signature) {
        cvm_be(out, 0x14, 2);
        cvm_be(out, TPM_SHA256, 2);
        cvm_be(out, 256, 2);
    }
    assert_int_equal(vendor_rsa_sign(c->signs_with_other ? c->other : c->ak, VENDOR_RSASSA,
                                     VENDOR_SHA256, attest, out, NULL),
                     NEO_OK);
    if (c->signature_changed)
        out->at[out->len - 1] ^= 1;
}

/* The log of what extended the PCRs; its form is the TCG's crypto-agile one. */
static inline void cvm_log(struct neo_buffer *out)
{
    platform_le(out, 0, 4);
    platform_le(out, 3, 4);
    platform_fill(out, 0, 20);
    platform_le(out, 16 + 8 + 4 + 4 + 1, 4);
    platform_put(out, "Spec ID Event03", 16);
    platform_le(out, 0, 8);
    platform_le(out, 1, 4);
    platform_le(out, TPM_SHA256, 2);
    platform_le(out, 32, 2);
    platform_le(out, 0, 1);
    for (uint8_t i = 0; i < CVM_PCRS; i++) {
        platform_le(out, i, 4);
        platform_le(out, 8, 4);
        platform_le(out, 1, 4);
        platform_le(out, TPM_SHA256, 2);
        platform_fill(out, (uint8_t)(0x10 + i), 32);
        platform_le(out, 0, 4);
    }
}

static inline void cvm_parts(struct cvm *c, struct neo_buffer parts[NEO_EVIDENCE_PARTS_N])
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer attest = {0};

    memset(parts, 0, NEO_EVIDENCE_PARTS_N * sizeof(*parts));
    cvm_blob(c, &parts[NEO_PART_HCL], &parts[NEO_PART_TDQUOTE]);
    cvm_attest(c, &attest);
    cvm_signature(c, neo_buffer_bytes(&attest), &parts[NEO_PART_SIGNATURE]);
    if (c->is_tpm2b)
        cvm_be(&parts[NEO_PART_QUOTE], attest.len, 2);
    if (c->quote_changed)
        attest.at[30] ^= 1; /* in extraData */
    platform_put(&parts[NEO_PART_QUOTE], attest.at, attest.len);
    platform_put(&parts[NEO_PART_PCRS], c->pcrs, sizeof(c->pcrs));
    parts[NEO_PART_PCRS].at[0] ^= c->pcr_changed;
    if (c->has_log)
        cvm_log(&parts[NEO_PART_LOG]);
}

static inline enum neo_evidence_kind cvm_kind(const struct cvm *c)
{
    return c->is_tdx ? NEO_EVIDENCE_SIM_AZURE_TDX : NEO_EVIDENCE_SIM_AZURE_SNP;
}

static inline struct neo_buffer cvm_evidence(struct cvm *c)
{
    struct neo_buffer parts[NEO_EVIDENCE_PARTS_N], all = {0};
    struct neo_bytes borrowed[NEO_EVIDENCE_PARTS_N];
    struct neo_error err;

    cvm_parts(c, parts);
    for (size_t i = 0; i < NEO_EVIDENCE_PARTS_N; i++)
        borrowed[i] = neo_buffer_bytes(&parts[i]);
    if (neo_evidence_pack(cvm_kind(c), borrowed, &all, &err) != NEO_OK)
        fail_msg("%s", err.message);
    for (size_t i = 0; i < NEO_EVIDENCE_PARTS_N; i++)
        neo_buffer_fini(&parts[i]);
    return all;
}

/* A policy for function-service with one row that fits; `rest` is appended to it. */
static inline enum neo_code cvm_compile(const struct cvm *c, const char *rest,
                                        struct neo_attest_policies **ret, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};

    assert_true(neo_buffer_printf(
        &text,
        "attestation_policies:\n  function-service:\n"
        "    require: simulator\n    any_of:\n      - tee: %s\n        %s: [\"",
        c->is_tdx ? "azure-tdx" : "azure-snp", c->is_tdx ? "mrtd" : "measurement"));
    for (size_t i = 0; i < 48; i++)
        assert_true(neo_buffer_append_text(&text, "4d"));
    assert_true(neo_buffer_printf(&text, "\"]\n%s", rest));
    const struct neo_document document = {NEO_LIT("attest.yaml"), neo_buffer_bytes(&text)};
    return neo_attest_policies_compile(&document, 1, true, ret, err);
}

/* "        pcr_sha256: {0: [...], 2: [...]}" of this machine, for the PCRs in `mask`. */
static inline const char *cvm_pcrs(const struct cvm *c, unsigned mask, struct neo_buffer *out)
{
    const char *separator = "";

    assert_true(neo_buffer_append_text(out, "        pcr_sha256: {"));
    for (unsigned i = 0; i < CVM_PCRS; i++) {
        if ((mask & 1u << i) == 0)
            continue;
        assert_true(neo_buffer_printf(out, "%s%u: [\"", separator, i));
        assert_true(neo_hex_encode(out, neo_bytes(c->pcrs[i], 32)));
        assert_true(neo_buffer_append_text(out, "\"]"));
        separator = ", ";
    }
    assert_true(neo_buffer_append_text(out, "}\n"));
    assert_true(neo_buffer_append_byte(out, 0));
    out->len--;
    return (const char *)out->at;
}

static inline const struct neo_attest_trust *cvm_trust(const struct cvm *c)
{
    return c->is_tdx ? c->tdx.trust : c->snp.trust;
}

/* The first failed check, or "accepted". */
static inline const char *cvm_judge(struct cvm *c, struct neo_bytes body,
                                    enum neo_evidence_kind kind,
                                    const struct neo_attest_policies *policies,
                                    enum neo_attest_reason *ret_reason)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer certificates = {0};
    const char *failed = "accepted";
    uint8_t binder[NEO_BINDER_LEN];
    struct neo_appraisal a;

    if (!c->is_tdx)
        certificates = machine_certificates(&c->snp);
    const struct neo_evidence evidence = {kind, body, neo_buffer_bytes(&certificates)};
    memset(binder, 0xb1, sizeof(binder));
    neo_arena_init(&arena, 4 << 20);
    assert_int_equal(neo_attest_appraise(cvm_trust(c), policies, NEO_LIT("function-service"),
                                         &evidence, binder, NOW, &arena, &a, NULL),
                     NEO_OK);
    assert_int_equal(a.accepted, a.reason == NEO_ATTEST_NONE);
    for (size_t i = a.n_checks; i-- > 0;) {
        if (a.checks[i].result == NEO_CHECK_FAIL)
            failed = a.checks[i].name; /* a literal */
    }
    *ret_reason = a.reason;
    assert_in_range(a.measurement.len, 0, sizeof(c->found));
    c->found_len = a.measurement.len;
    if (c->found_len > 0)
        memcpy(c->found, a.measurement.at, c->found_len);
    return failed;
}

static inline const char *cvm_ask(struct cvm *c, const char *rest,
                                  enum neo_attest_reason *ret_reason)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer body = cvm_evidence(c);
    struct neo_attest_policies *policies;
    struct neo_error err;

    if (cvm_compile(c, rest, &policies, &err) != NEO_OK)
        fail_msg("%s", err.message);
    const char *said = cvm_judge(c, neo_buffer_bytes(&body), cvm_kind(c), policies, ret_reason);
    neo_attest_policies_unref(policies);
    return said;
}

#endif
