/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Azure's confidential machines: SEV-SNP and TDX behind a paravisor with a virtual TPM.
 *
 * A chain of five links: the processor signs its report; the report holds the digest
 * of the runtime data; the runtime data names the TPM's key; the key signs the quote; the
 * quote holds the digest of the binder and of the PCRs. The first link is judged by the
 * hardware's own family, which is why its checks stand here under their own names.
 */
#include "attest/azure_rule.h"
#include "attest/policies.h"
#include "attest/snp.h"
#include "attest/snp_rule.h"
#include "attest/tdx_rule.h"

#include <assert.h>

static const char bound_by_tpm[] = "the virtual TPM's quote is bound: see azure.binder";

struct azure_case {
    const struct attest_question *q;
    unsigned base; /* of our checks in the ledger */
    bool wants_tdx;
    struct azure_evidence evidence;
    struct azure_hcl hcl;
    struct tpm_quote quote;
    struct tpm_logged logged;
    struct vendor_public *ak;

    /* The hardware's part, as if it had come on its own. */
    struct neo_evidence hardware;
    struct attest_question about_hardware;
    struct snp_case snp;
    struct intel_case intel;
};

static void case_fini(struct azure_case *c)
{
    vendor_public_free(c->ak);
    snp_case_fini(&c->snp);
    intel_case_fini(&c->intel);
}

/* --- form ------------------------------------------------------------------------------------- */

/* A TPMT_SIGNATURE, or the bare number that tools keep of RSASSA with SHA-256. */
static enum neo_code read_signature(struct azure_case *c, struct neo_error *err)
{
    struct neo_bytes signature = c->evidence.signature;

    if (signature.len != c->hcl.modulus.len)
        return tpm_signature_read(signature, &c->quote, err);
    c->quote.signature =
        (struct vendor_parts){.scheme = VENDOR_RSASSA, .hash = VENDOR_SHA256, .first = signature};
    return NEO_OK;
}

static bool check_format(struct azure_case *c, struct ledger *ledger)
{
    struct neo_error why;
    enum neo_code code = azure_evidence_read(c->q->evidence->body, &c->evidence, &why);

    if (code == NEO_OK)
        code = azure_hcl_read(c->evidence.hcl, ledger->arena, &c->hcl, &why);
    if (code == NEO_OK)
        code = read_signature(c, &why);
    if (code == NEO_OK)
        code = tpm_attest_read(c->evidence.attest, &c->quote, &why);
    if (code != NEO_OK)
        return ledger_fail_as(ledger, c->base + CHECK_AZURE_FORMAT, attest_format_reason(code),
                              "%s", why.message);
    ledger_pass(ledger, c->base + CHECK_AZURE_FORMAT);
    return true;
}

static bool check_tee(struct azure_case *c, struct ledger *ledger)
{
    if (c->hcl.is_tdx != c->wants_tdx)
        return ledger_fail(ledger, c->base + CHECK_AZURE_TEE, "a machine of %s",
                           c->hcl.is_tdx ? "TDX" : "SEV-SNP");
    if (c->hcl.is_tdx != (c->evidence.td_quote.len > 0))
        return ledger_fail_as(ledger, c->base + CHECK_AZURE_TEE, NEO_ATTEST_FORMAT,
                              c->hcl.is_tdx ? "the TD's quote is missing"
                                            : "a TD's quote beside a report of SEV-SNP");
    ledger_pass(ledger, c->base + CHECK_AZURE_TEE);
    return true;
}

/* --- the links -------------------------------------------------------------------------------- */

static bool check_hardware(struct azure_case *c, struct ledger *ledger)
{
    bool is_simulated = c->q->evidence->kind == NEO_EVIDENCE_SIM_AZURE_SNP ||
                        c->q->evidence->kind == NEO_EVIDENCE_SIM_AZURE_TDX;

    c->hardware = *c->q->evidence;
    c->about_hardware = *c->q;
    c->about_hardware.evidence = &c->hardware;
    if (c->hcl.is_tdx) {
        c->hardware.kind = is_simulated ? NEO_EVIDENCE_SIM_TDX : NEO_EVIDENCE_TDX;
        c->hardware.body = c->evidence.td_quote;
        c->intel = (struct intel_case){.q = &c->about_hardware, .family = &attest_tdx};
        ledger_skip(ledger, CHECK_INTEL_BINDER, bound_by_tpm);
        return intel_verify_hardware(&c->intel, ledger);
    }
    c->hardware.kind = is_simulated ? NEO_EVIDENCE_SIM_SNP : NEO_EVIDENCE_SNP;
    c->hardware.body = c->hcl.report;
    c->snp.q = &c->about_hardware;
    ledger_skip(ledger, CHECK_BINDER, bound_by_tpm);
    return snp_verify_hardware(&c->snp, ledger);
}

/* TDREPORT: where REPORTDATA stands, and where what the quote repeats in this order begins. */
enum { TD_KIND = 0x81, TD_REPORT_DATA = 128, TD_INFO = 512, TD_RTMRS = 4 * 48 };

/*
 * The blob's own TDREPORT bears no signature that anybody else could check. What it says must be
 * what the quote says, or the two are not of one machine.
 */
static bool check_td_report(struct azure_case *c, struct ledger *ledger)
{
    const struct tdx_body *td = &c->intel.quote.body.tdx;
    const struct neo_bytes same[] = {
        neo_bytes(td->td_attributes, 8), neo_bytes(td->xfam, 8),
        neo_bytes(td->mrtd, 48),         neo_bytes(td->mrconfigid, 48),
        neo_bytes(td->mrowner, 48),      neo_bytes(td->mrownerconfig, 48),
        neo_bytes(td->rtmr, TD_RTMRS),
    };

    if (!c->hcl.is_tdx) {
        ledger_skip(ledger, c->base + CHECK_AZURE_TD_REPORT, "the blob holds the signed report");
        return true;
    }
    const uint8_t *report = c->hcl.report.at;
    const uint8_t *at = report + TD_INFO;
    bool fits = report[0] == TD_KIND &&
                memcmp(report + TD_REPORT_DATA, td->report_data, sizeof(td->report_data)) == 0;
    for (size_t i = 0; i < NEO_COUNT(same); i++) {
        fits = fits && memcmp(at, same[i].at, same[i].len) == 0;
        at += same[i].len;
    }
    if (!fits)
        return ledger_fail(ledger, c->base + CHECK_AZURE_TD_REPORT,
                           "the blob's TDREPORT and the quote are of different TDs");
    ledger_pass(ledger, c->base + CHECK_AZURE_TD_REPORT);
    return true;
}

static bool check_runtime(struct azure_case *c, struct ledger *ledger)
{
    const uint8_t *bound =
        c->hcl.is_tdx ? c->intel.quote.body.tdx.report_data : c->snp.report.report_data;
    uint8_t digest[NEO_SHA256_LEN];

    neo_sha256(c->hcl.runtime, digest);
    if (memcmp(bound, digest, sizeof(digest)) != 0)
        return ledger_fail(ledger, c->base + CHECK_AZURE_RUNTIME,
                           "the hardware's report was not made over this runtime data");
    ledger_pass(ledger, c->base + CHECK_AZURE_RUNTIME);
    return true;
}

static bool check_key(struct azure_case *c, struct ledger *ledger)
{
    struct neo_error why;

    if (vendor_public_rsa(c->hcl.modulus, c->hcl.exponent, &c->ak, &why) != NEO_OK)
        return ledger_fail(ledger, c->base + CHECK_AZURE_KEY, "HCLAkPub: %s", why.message);
    ledger_pass(ledger, c->base + CHECK_AZURE_KEY);
    return true;
}

static bool check_signature(struct azure_case *c, struct ledger *ledger)
{
    if (!vendor_public_verify(c->ak, c->quote.attest, &c->quote.signature))
        return ledger_fail(ledger, c->base + CHECK_AZURE_SIGNATURE,
                           "the quote was not signed by the virtual TPM's key");
    ledger_pass(ledger, c->base + CHECK_AZURE_SIGNATURE);
    return true;
}

static bool check_binder(struct azure_case *c, struct ledger *ledger)
{
    if (!attest_is_bound_by_digest(c->q, c->quote.extra_data))
        return ledger_fail(ledger, c->base + CHECK_AZURE_BINDER,
                           "the quote was made for another channel");
    ledger_pass(ledger, c->base + CHECK_AZURE_BINDER);
    return true;
}

static bool check_pcr_digest(struct azure_case *c, struct ledger *ledger)
{
    if (!tpm_pcrs_fit(&c->quote, c->evidence.pcrs))
        return ledger_fail(ledger, c->base + CHECK_AZURE_PCR_DIGEST,
                           "the values are not the quoted ones");
    ledger_pass(ledger, c->base + CHECK_AZURE_PCR_DIGEST);
    return true;
}

static bool check_log(struct azure_case *c, struct ledger *ledger)
{
    return tpm_log_read(c->evidence.event_log, &c->quote, c->evidence.pcrs,
                        c->base + CHECK_AZURE_LOG, ledger, &c->logged);
}

/* What the hardware must not allow, and where it stands by its maker. */
static bool check_standing(struct azure_case *c, struct ledger *ledger)
{
    return c->hcl.is_tdx ? intel_verify_standing(&c->intel, ledger)
                         : snp_verify_launch(&c->snp, ledger);
}

static bool verify(struct azure_case *c, struct ledger *ledger)
{
    static bool (*const steps[])(struct azure_case *, struct ledger *) = {
        check_format,    check_tee,    check_hardware,   check_td_report, check_runtime,  check_key,
        check_signature, check_binder, check_pcr_digest, check_log,       check_standing,
    };

    for (size_t i = 0; i < NEO_COUNT(steps); i++) {
        if (!steps[i](c, ledger))
            return false;
    }
    return true;
}

/* --- rules ------------------------------------------------------------------------------------ */

static void judge_rule(const void *is, const void *facts, struct ledger *ledger)
{
    const struct azure_rule *rule = is;
    const struct azure_case *c = facts;

    if (c->hcl.is_tdx)
        tdx_rule_judge(rule->hardware, &c->intel, ledger);
    else
        snp_rule_judge(rule->hardware, &(struct snp_facts){&c->snp.report, &c->snp.endorsement},
                       ledger);
    tpm_log_judge(&c->logged, &rule->pcrs, &c->quote, c->base + CHECK_AZURE_LOG, ledger);
    azure_rule_judge(rule, &c->hcl, &c->quote, c->evidence.pcrs, c->base, ledger);
}

/*
 * The guest's. What the hardware measured is the paravisor, the same for every guest of its
 * version: that is judged by the row, and tells no image from another.
 */
static void note_measurement(const struct azure_case *c, const struct attest_rule *held,
                             const struct ledger *ledger, struct neo_appraisal *appraisal)
{
    const struct azure_rule *rule = held->is;
    uint8_t digest[NEO_SHA256_LEN];

    tpm_pcr_rule_measure(&rule->pcrs, &c->quote, c->evidence.pcrs, digest);
    appraisal->measurement = neo_arena_copy(ledger->arena, neo_bytes(digest, sizeof(digest)));
}

static bool judge(const struct attest_question *q, const struct attest_policy *policy,
                  struct azure_case *c, const struct attest_family *family, struct ledger *ledger,
                  struct neo_appraisal *appraisal)
{
    c->q = q;
    if (!verify(c, ledger))
        return false;
    appraisal->not_after = c->wants_tdx ? c->intel.not_after : c->snp.path.not_after;
    const struct attest_rule *held = attest_judge_rules(policy, family, judge_rule, c, ledger);
    if (held == NULL)
        return false;
    note_measurement(c, held, ledger, appraisal);
    return true;
}

static bool judge_snp(const struct attest_question *q, const struct attest_policy *policy,
                      struct ledger *ledger, struct neo_appraisal *appraisal)
{
    NEO_CLEANUP(case_fini) struct azure_case c = {.base = SNP_CHECKS, .wants_tdx = false};

    return judge(q, policy, &c, &attest_azure_snp, ledger, appraisal);
}

static bool judge_tdx(const struct attest_question *q, const struct attest_policy *policy,
                      struct ledger *ledger, struct neo_appraisal *appraisal)
{
    NEO_CLEANUP(case_fini) struct azure_case c = {.base = TDX_CHECKS, .wants_tdx = true};

    return judge(q, policy, &c, &attest_azure_tdx, ledger, appraisal);
}

/* --- for people ------------------------------------------------------------------------------- */

static void describe_vm(const struct azure_hcl *hcl, struct description *d)
{
    static const char *const keys[] = {
#define X(name, member, key) [AZURE_##name] = key,
        AZURE_VM_BITS(X)
#undef X
    };

    for (unsigned i = 0; i < AZURE_VM_BITS_N; i++) {
        if ((hcl->vm_known & 1u << i) != 0)
            describe_number(d, keys[i], "%s", (hcl->vm_set & 1u << i) != 0 ? "true" : "false");
    }
    if (hcl->vm_id.len > 0)
        describe_text(d, "vm_unique_id", hcl->vm_id);
}

static enum neo_code describe(const struct neo_evidence *evidence, struct description *d,
                              struct neo_error *err)
{
    struct tpm_quote quote = {.n_banks = 0};
    struct azure_evidence e;
    struct azure_hcl hcl;
    uint8_t digest[NEO_SHA256_LEN];

    NEO_TRY(azure_evidence_read(evidence->body, &e, err));
    NEO_TRY(azure_hcl_read(e.hcl, d->arena, &hcl, err));
    NEO_TRY(tpm_attest_read(e.attest, &quote, err));
    const struct neo_evidence hardware = {.body = hcl.is_tdx ? e.td_quote : hcl.report};
    NEO_TRY(hcl.is_tdx ? describe_intel(&hardware, d, err) : describe_snp(&hardware, d, err));
    neo_sha256(hcl.runtime, digest);
    describe_bytes(d, "runtime_sha256", digest, sizeof(digest));
    describe_vm(&hcl, d);
    describe_bytes(d, "user_data", hcl.user_data.at, hcl.user_data.len);
    tpm_describe(&quote, e.pcrs, e.event_log, d);
    return NEO_OK;
}

/* --- the families ----------------------------------------------------------------------------- */

/* Azure's checks stand behind those of the processor. */
#define AFTER(base, check) ((unsigned)(base) + (unsigned)(check))
/* clang-format off */
#define AZURE_CHECK_ROWS(base, name, text, reason, claim)                                          \
    [AFTER(base, CHECK_##name)] = {text, NEO_ATTEST_##reason, CLAIM_##claim},
#define AZURE_VM_ROWS(base, name, key)                                                             \
    [AFTER(base, CHECK_AZURE_VM_##name)] = {"azure.vm." key, NEO_ATTEST_PLATFORM, CLAIM_CONFIGURATION},

static const struct check_info snp_table[AFTER(SNP_CHECKS, AZURE_CHECKS)] = {
    SNP_CHECK_ROWS
#define X(name, text, reason, claim) AZURE_CHECK_ROWS(SNP_CHECKS, name, text, reason, claim)
    AZURE_CHECKS_BEFORE_RULES(X)
#undef X
#define X(name, member, key) AZURE_VM_ROWS(SNP_CHECKS, name, key)
    AZURE_VM_BITS(X)
#undef X
    TPM_PCR_ROWS(AFTER(SNP_CHECKS, CHECK_AZURE_PCR), "azure")
};

static const struct check_info tdx_table[AFTER(TDX_CHECKS, AZURE_CHECKS)] = {
    TDX_CHECK_ROWS
#define X(name, text, reason, claim) AZURE_CHECK_ROWS(TDX_CHECKS, name, text, reason, claim)
    AZURE_CHECKS_BEFORE_RULES(X)
#undef X
#define X(name, member, key) AZURE_VM_ROWS(TDX_CHECKS, name, key)
    AZURE_VM_BITS(X)
#undef X
    TPM_PCR_ROWS(AFTER(TDX_CHECKS, CHECK_AZURE_PCR), "azure")
};
/* clang-format on */
static_assert(AFTER(SNP_CHECKS, AZURE_CHECKS) <= LEDGER_MAX, "the ledger holds every check");
static_assert(AFTER(TDX_CHECKS, AZURE_CHECKS) <= LEDGER_MAX, "the ledger holds every check");

const struct attest_family attest_azure_snp = {
    .tee = "azure-snp",
    .kind = NEO_EVIDENCE_AZURE_SNP,
    .simulated = NEO_EVIDENCE_SIM_AZURE_SNP,
    .checks = snp_table,
    .n_checks = AFTER(SNP_CHECKS, AZURE_CHECKS),
    .judge = judge_snp,
    .compile = azure_snp_rule_compile,
    .describe = describe,
};

const struct attest_family attest_azure_tdx = {
    .tee = "azure-tdx",
    .kind = NEO_EVIDENCE_AZURE_TDX,
    .simulated = NEO_EVIDENCE_SIM_AZURE_TDX,
    .checks = tdx_table,
    .n_checks = AFTER(TDX_CHECKS, AZURE_CHECKS),
    .judge = judge_tdx,
    .compile = azure_tdx_rule_compile,
    .describe = describe,
};
