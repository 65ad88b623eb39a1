/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/intel.h"

#include <neo/digest.h>

#include <time.h>

const uint8_t intel_root_sha256[NEO_SHA256_LEN] = {
    0x44, 0xa0, 0x19, 0x6b, 0x2b, 0x99, 0xf8, 0x89, 0xb8, 0xe1, 0x49, 0xe9, 0x5b, 0x80, 0x7a, 0x35,
    0x0e, 0x74, 0x24, 0x96, 0x43, 0x99, 0xe8, 0x85, 0xa7, 0xcb, 0xb8, 0xcc, 0xfa, 0xb6, 0x74, 0xd3,
};

enum { LEAF, AUTHORITY, ROOT, CHAIN_LEN };

/* --- the quote -------------------------------------------------------------------------------- */

static bool check_format(struct intel_case *c, struct ledger *ledger)
{
    struct neo_error why;
    enum neo_code code = intel_quote_read(c->q->evidence->body, &c->quote, &why);

    if (code != NEO_OK)
        return ledger_fail_as(ledger, CHECK_INTEL_FORMAT, attest_format_reason(code), "%s",
                              why.message);
    ledger_pass(ledger, CHECK_INTEL_FORMAT);
    return true;
}

static bool check_tee(struct intel_case *c, struct ledger *ledger)
{
    if (c->quote.is_tdx != (c->family == &attest_tdx))
        return ledger_fail(ledger, CHECK_INTEL_TEE, "a quote of %s",
                           c->quote.is_tdx ? "a TD" : "an enclave");
    ledger_pass(ledger, CHECK_INTEL_TEE);
    return true;
}

/* --- the platform's certificate ----------------------------------------------------------------
 */

static bool is_root(const struct intel_case *c, const struct vendor_cert *cert)
{
    const struct vendor_bundle *simulated = &c->q->trust->simulated;
    const uint8_t *sha256 = vendor_cert_facts(cert)->sha256;

    if (c->q->evidence->kind == c->family->kind)
        return memcmp(sha256, intel_root_sha256, sizeof(intel_root_sha256)) == 0;
    for (size_t i = 0; i < simulated->n_certs; i++) {
        if (memcmp(vendor_cert_facts(simulated->certs[i])->sha256, sha256, NEO_SHA256_LEN) == 0)
            return true;
    }
    return false;
}

/* PEM may end with NULs, as Intel's library writes it. */
static struct neo_bytes without_nul(struct neo_bytes text)
{
    while (text.len > 0 && text.at[text.len - 1] == 0)
        text.len--;
    return text;
}

static bool check_certificates(struct intel_case *c, struct ledger *ledger)
{
    struct neo_error why;

    c->chain = (struct vendor_bundle){
        .max = CHAIN_LEN,
        .known = {&c->q->trust->collateral, &c->q->trust->simulated},
        .memo = c->q->trust->memo,
    };
    if (vendor_bundle_read(&c->chain, without_nul(c->quote.certificates), "PCK chain", &why) !=
        NEO_OK)
        return ledger_fail_as(ledger, CHECK_INTEL_CERTIFICATES, NEO_ATTEST_FORMAT, "%s",
                              why.message);
    if (c->chain.n_certs != CHAIN_LEN)
        return ledger_fail_as(ledger, CHECK_INTEL_CERTIFICATES, NEO_ATTEST_FORMAT,
                              "the PCK chain is not leaf, authority and root");
    if (!is_root(c, c->chain.certs[ROOT]))
        return ledger_fail(ledger, CHECK_INTEL_CERTIFICATES, "the chain's root is not Intel's");
    ledger_pass(ledger, CHECK_INTEL_CERTIFICATES);
    return true;
}

static void note_end(struct intel_case *c, int64_t end)
{
    if (c->not_after == 0 || end < c->not_after)
        c->not_after = end;
}

static bool check_line(struct intel_case *c, unsigned check, struct vendor_cert *leaf,
                       size_t n_issuers, bool *by_grace, struct ledger *ledger)
{
    const struct vendor_line line = {
        .leaf = leaf,
        .issuers = &c->chain.certs[AUTHORITY],
        .n_issuers = n_issuers,
        .root = c->chain.certs[ROOT],
        .crls = c->q->trust->collateral.crls,
        .n_crls = c->q->trust->collateral.n_crls,
        .needs_crls = true,
        .now = c->q->now,
        .grace = c->q->grace,
        .by_grace = by_grace,
        .memo = c->q->trust->memo,
    };
    struct neo_error why;
    int64_t not_after;

    enum vendor_verdict verdict = vendor_line_verify(&line, &not_after, &why);
    if (verdict != VENDOR_GOOD)
        return ledger_fail_as(ledger, check, attest_chain_reason(verdict), "%s", why.message);
    note_end(c, not_after);
    return true;
}

static bool check_chain(struct intel_case *c, struct ledger *ledger)
{
    bool by_grace = false;

    if (!check_line(c, CHECK_INTEL_CHAIN, c->chain.certs[LEAF], 1, &by_grace, ledger))
        return false;
    ledger_pass_fresh(ledger, CHECK_INTEL_CHAIN, by_grace);
    return true;
}

/* A path alone does not make a certificate a platform's: its place in it and its contents do. */
static bool check_pck(struct intel_case *c, struct ledger *ledger)
{
    const struct vendor_cert_facts *leaf = vendor_cert_facts(c->chain.certs[LEAF]);
    const struct vendor_cert_facts *authority = vendor_cert_facts(c->chain.certs[AUTHORITY]);
    struct neo_error why;

    if (leaf->is_ca || !leaf->is_p256)
        return ledger_fail(ledger, CHECK_INTEL_PCK,
                           "the PCK is an authority's key, or not on P-256");
    if (!neo_bytes_is(leaf->common_name, "Intel SGX PCK Certificate"))
        return ledger_fail(ledger, CHECK_INTEL_PCK, "the leaf is \"%.*s\"",
                           NEO_FMT(leaf->common_name));
    if (!neo_bytes_is(authority->common_name, "Intel SGX PCK Platform CA") &&
        !neo_bytes_is(authority->common_name, "Intel SGX PCK Processor CA"))
        return ledger_fail(ledger, CHECK_INTEL_PCK, "the authority is \"%.*s\"",
                           NEO_FMT(authority->common_name));
    if (intel_pck_read(c->chain.certs[LEAF], &c->pck, &why) != NEO_OK)
        return ledger_fail(ledger, CHECK_INTEL_PCK, "%s", why.message);
    ledger_pass(ledger, CHECK_INTEL_PCK);
    return true;
}

/* --- signatures ------------------------------------------------------------------------------- */

static bool check_qe_signature(struct intel_case *c, struct ledger *ledger)
{
    if (!vendor_p256_verify(c->chain.certs[LEAF], c->quote.qe_report, c->quote.qe_signature.at))
        return ledger_fail(ledger, CHECK_INTEL_QE_SIGNATURE,
                           "the QE's report was not signed by the platform's key");
    ledger_pass(ledger, CHECK_INTEL_QE_SIGNATURE);
    return true;
}

/* The quoting enclave vouches for the key by the digest in its report. */
static bool check_qe_key(struct intel_case *c, struct ledger *ledger)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer bound = {0};
    uint8_t expected[INTEL_REPORT_DATA_LEN] = {0};

    if (!neo_buffer_append(&bound, c->quote.attestation_key) ||
        !neo_buffer_append(&bound, c->quote.qe_auth))
        return ledger_fail(ledger, CHECK_INTEL_QE_KEY, "out of memory");
    neo_sha256(neo_buffer_bytes(&bound), expected);
    if (memcmp(expected, c->quote.qe.report_data, sizeof(expected)) != 0)
        return ledger_fail(ledger, CHECK_INTEL_QE_KEY,
                           "the QE does not vouch for the attestation key");
    ledger_pass(ledger, CHECK_INTEL_QE_KEY);
    return true;
}

static bool check_signature(struct intel_case *c, struct ledger *ledger)
{
    if (!vendor_p256_verify_point(c->quote.attestation_key.at, c->quote.signed_part,
                                  c->quote.signature.at))
        return ledger_fail(ledger, CHECK_INTEL_SIGNATURE,
                           "the quote was not signed by the attestation key");
    ledger_pass(ledger, CHECK_INTEL_SIGNATURE);
    return true;
}

/* --- ours, and never allowed ------------------------------------------------------------------ */

static bool check_binder(struct intel_case *c, struct ledger *ledger)
{
    const uint8_t *bound =
        c->quote.is_tdx ? c->quote.body.tdx.report_data : c->quote.body.sgx.report_data;

    if (!attest_is_bound(c->q, neo_bytes(bound, INTEL_REPORT_DATA_LEN)))
        return ledger_fail(ledger, CHECK_INTEL_BINDER, "the quote was made for another channel");
    ledger_pass(ledger, CHECK_INTEL_BINDER);
    return true;
}

static bool check_debug(struct intel_case *c, struct ledger *ledger)
{
    const struct sgx_body *sgx = &c->quote.body.sgx;

    if (c->quote.is_tdx && c->quote.body.tdx.td_attributes[0] != 0)
        return ledger_fail(ledger, CHECK_INTEL_DEBUG, "the host may look into the TD");
    if (!c->quote.is_tdx && (sgx->flags & SGX_FLAG_DEBUG) != 0)
        return ledger_fail(ledger, CHECK_INTEL_DEBUG, "the host may look into the enclave");
    if (!c->quote.is_tdx && (sgx->flags & SGX_FLAG_INIT) == 0)
        return ledger_fail(ledger, CHECK_INTEL_DEBUG, "the enclave was not initialised");
    if ((c->quote.qe.flags & SGX_FLAG_DEBUG) != 0)
        return ledger_fail(ledger, CHECK_INTEL_DEBUG, "the host may look into the QE");
    ledger_pass(ledger, CHECK_INTEL_DEBUG);
    return true;
}

/* --- Intel's documents ------------------------------------------------------------------------ */

static bool is_current(const struct intel_document *d, int64_t now)
{
    return d->issued <= now && now < d->next_update;
}

/* Of several for one platform: one that is current, and of these the one that knows most. */
static bool is_better(const struct intel_document *d, const struct intel_document *best,
                      int64_t now)
{
    if (best == NULL || is_current(d, now) != is_current(best, now))
        return best == NULL || is_current(d, now);
    return d->evaluation != best->evaluation ? d->evaluation > best->evaluation
                                             : d->issued > best->issued;
}

static const struct intel_document *choose(const struct intel_case *c,
                                           enum intel_document_kind kind)
{
    const struct neo_attest_trust *trust = c->q->trust;
    const struct intel_document *best = NULL;

    for (size_t i = 0; i < trust->n_intel; i++) {
        const struct intel_document *d = trust->intel[i];
        bool fits = d->kind == kind && (kind > INTEL_TCB_TDX ||
                                        (memcmp(d->fmspc, c->pck.fmspc, sizeof(d->fmspc)) == 0 &&
                                         memcmp(d->pce_id, c->pck.pce_id, sizeof(d->pce_id)) == 0));
        if (fits && is_better(d, best, c->q->now))
            best = d;
    }
    return best;
}

/* Documents are long and the same for many quotes: a signature that was good stays so. */
static bool is_signed_by(const struct intel_case *c, const struct intel_document *d,
                         const struct vendor_cert *signer)
{
    const struct neo_bytes parts[] = {neo_bytes(d->sha256, sizeof(d->sha256)),
                                      neo_bytes(d->signature, sizeof(d->signature)),
                                      neo_bytes(vendor_cert_facts(signer)->sha256, NEO_SHA256_LEN)};
    const struct vendor_memo_key key = vendor_memo_key("document", parts, NEO_COUNT(parts));

    if (vendor_memo_knows(c->q->trust->memo, &key, 0))
        return true;
    if (!vendor_p256_verify(signer, d->signed_text, d->signature))
        return false;
    vendor_memo_keep(c->q->trust->memo, &key, INT64_MIN, INT64_MAX);
    return true;
}

static struct vendor_cert *choose_signer(const struct intel_case *c, const struct intel_document *d)
{
    const struct vendor_bundle *known = &c->q->trust->collateral;

    for (size_t i = 0; i < known->n_certs; i++) {
        if (neo_bytes_is(vendor_cert_facts(known->certs[i])->common_name,
                         "Intel SGX TCB Signing") &&
            is_signed_by(c, d, known->certs[i]))
            return known->certs[i];
    }
    return NULL;
}

static bool check_collateral(struct intel_case *c, struct ledger *ledger)
{
    c->tcb = choose(c, c->quote.is_tdx ? INTEL_TCB_TDX : INTEL_TCB_SGX);
    c->identity = choose(c, c->quote.is_tdx ? INTEL_TD_QE : INTEL_QE);
    if (c->tcb == NULL)
        return ledger_fail(ledger, CHECK_INTEL_COLLATERAL,
                           "no TCB info of FMSPC %02x%02x%02x%02x%02x%02x is known",
                           c->pck.fmspc[0], c->pck.fmspc[1], c->pck.fmspc[2], c->pck.fmspc[3],
                           c->pck.fmspc[4], c->pck.fmspc[5]);
    if (c->identity == NULL)
        return ledger_fail(ledger, CHECK_INTEL_COLLATERAL,
                           "the identity of the quoting enclave is not known");
    ledger_pass(ledger, CHECK_INTEL_COLLATERAL);
    return true;
}

static bool check_document(struct intel_case *c, const struct intel_document *d, bool *by_grace,
                           struct ledger *ledger)
{
    struct vendor_cert *signer = choose_signer(c, d);

    if (signer == NULL)
        return ledger_fail(ledger, CHECK_INTEL_COLLATERAL_SIGNATURE,
                           "no certificate for TCB signing that is known fits %s",
                           d == c->tcb ? "the TCB info" : "the QE's identity");
    if (signer == c->signer)
        return true;
    c->signer = signer;
    return check_line(c, CHECK_INTEL_COLLATERAL_SIGNATURE, signer, 0, by_grace, ledger);
}

static bool check_collateral_signature(struct intel_case *c, struct ledger *ledger)
{
    bool by_grace = false;

    if (!check_document(c, c->tcb, &by_grace, ledger) ||
        !check_document(c, c->identity, &by_grace, ledger))
        return false;
    ledger_pass_fresh(ledger, CHECK_INTEL_COLLATERAL_SIGNATURE, by_grace);
    return true;
}

/* Within the policy's grace, too. */
static bool is_good_enough(const struct intel_case *c, const struct intel_document *d)
{
    return d->issued <= c->q->now && c->q->now < d->next_update + c->q->grace;
}

static bool check_collateral_fresh(struct intel_case *c, struct ledger *ledger)
{
    int64_t now = c->q->now, grace = c->q->grace;

    if (!is_good_enough(c, c->tcb))
        return ledger_fail(ledger, CHECK_INTEL_COLLATERAL_FRESH, "the TCB info is out of date");
    if (!is_good_enough(c, c->identity))
        return ledger_fail(ledger, CHECK_INTEL_COLLATERAL_FRESH,
                           "the QE's identity is out of date");
    note_end(c, c->tcb->next_update + grace);
    note_end(c, c->identity->next_update + grace);
    ledger_pass_fresh(ledger, CHECK_INTEL_COLLATERAL_FRESH,
                      !is_current(c->tcb, now) || !is_current(c->identity, now));
    return true;
}

/* --- what they say of this platform ------------------------------------------------------------
 */

static bool fits_under_mask(const uint8_t *has, const uint8_t *wanted, const uint8_t *mask,
                            size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if ((has[i] & mask[i]) != (wanted[i] & mask[i]))
            return false;
    }
    return true;
}

/* Else any enclave that anybody signed on that platform could vouch for keys. */
static bool check_qe_identity(struct intel_case *c, struct ledger *ledger)
{
    const struct sgx_body *qe = &c->quote.qe;
    const struct intel_document *id = c->identity;

    if (memcmp(qe->mrsigner, id->mrsigner, sizeof(qe->mrsigner)) != 0)
        return ledger_fail(ledger, CHECK_INTEL_QE_IDENTITY, "the QE has another signer");
    if (qe->isv_prod_id != id->isv_prod_id)
        return ledger_fail(ledger, CHECK_INTEL_QE_IDENTITY, "the QE is another product");
    if (!fits_under_mask(qe->misc_select, id->misc_select, id->misc_select_mask,
                         sizeof(qe->misc_select)) ||
        !fits_under_mask(qe->attributes, id->attributes, id->attributes_mask,
                         sizeof(qe->attributes)))
        return ledger_fail(ledger, CHECK_INTEL_QE_IDENTITY, "the QE has other attributes");
    ledger_pass(ledger, CHECK_INTEL_QE_IDENTITY);
    return true;
}

static bool check_module(struct intel_case *c, struct ledger *ledger)
{
    const struct tdx_body *td = &c->quote.body.tdx;

    if (!c->quote.is_tdx) {
        ledger_skip(ledger, CHECK_INTEL_MODULE, "an enclave has none");
        return true;
    }
    const struct intel_module *module = intel_module_of(c->tcb, td->tee_tcb_svn);
    if (module == NULL)
        return ledger_fail(ledger, CHECK_INTEL_MODULE, "the TDX module's version %u is not known",
                           td->tee_tcb_svn[1]);
    if (memcmp(td->mrsignerseam, module->mrsigner, sizeof(td->mrsignerseam)) != 0)
        return ledger_fail(ledger, CHECK_INTEL_MODULE, "the TDX module has another signer");
    if (!fits_under_mask(td->seam_attributes, module->attributes, module->attributes_mask,
                         sizeof(td->seam_attributes)))
        return ledger_fail(ledger, CHECK_INTEL_MODULE, "the TDX module has other attributes");
    ledger_pass(ledger, CHECK_INTEL_MODULE);
    return true;
}

static void note_standing(const struct intel_case *c, struct ledger *ledger)
{
    const struct intel_standing *s = &c->standing;
    time_t date = (time_t)s->date;
    char day[16] = "";
    struct tm tm;

    if (gmtime_r(&date, &tm) != NULL)
        (void)strftime(day, sizeof(day), "%Y-%m-%d", &tm);
    ledger_pass_with(ledger, CHECK_INTEL_TCB,
                     "%s (platform %s%s%s, QE %s) as of %s, evaluation %u, advisories %zu",
                     intel_status_text(s->status), intel_status_text(s->platform),
                     s->module == INTEL_STATUSES_N ? "" : ", module ",
                     s->module == INTEL_STATUSES_N ? "" : intel_status_text(s->module),
                     intel_status_text(s->qe), day, c->tcb->evaluation, s->n_advisories);
}

/* What no rule can allow; the rest is for the rules. */
static bool check_tcb(struct intel_case *c, struct ledger *ledger)
{
    intel_tcb_evaluate(c->tcb, c->identity, &c->pck, &c->quote.qe,
                       c->quote.is_tdx ? &c->quote.body.tdx : NULL, &c->standing);
    if (c->standing.status == INTEL_NOT_SUPPORTED)
        return ledger_fail(ledger, CHECK_INTEL_TCB, "below every level that Intel supports");
    if (c->standing.status == INTEL_REVOKED)
        return ledger_fail(ledger, CHECK_INTEL_TCB, "Intel has revoked this level");
    note_standing(c, ledger);
    return true;
}

typedef bool step_fn(struct intel_case *c, struct ledger *ledger);

static bool all(step_fn *const *steps, size_t n, struct intel_case *c, struct ledger *ledger)
{
    for (size_t i = 0; i < n; i++) {
        if (!steps[i](c, ledger))
            return false;
    }
    return true;
}

bool intel_verify_hardware(struct intel_case *c, struct ledger *ledger)
{
    static step_fn *const steps[] = {
        check_format, check_tee,          check_certificates, check_chain,
        check_pck,    check_qe_signature, check_qe_key,       check_signature,
    };

    return all(steps, NEO_COUNT(steps), c, ledger);
}

bool intel_verify_standing(struct intel_case *c, struct ledger *ledger)
{
    static step_fn *const steps[] = {
        check_debug,
        check_collateral,
        check_collateral_signature,
        check_collateral_fresh,
        check_qe_identity,
        check_module,
        check_tcb,
    };

    return all(steps, NEO_COUNT(steps), c, ledger);
}

bool intel_verify(struct intel_case *c, struct ledger *ledger)
{
    return intel_verify_hardware(c, ledger) && check_binder(c, ledger) &&
           intel_verify_standing(c, ledger);
}

/* The digest is over the quote proper: padding does not make it other evidence. */
void intel_describe(const struct intel_case *c, const struct ledger *ledger,
                    struct neo_appraisal *appraisal)
{
    const struct intel_quote *q = &c->quote;

    if (ledger->checks[CHECK_INTEL_TEE].result != NEO_CHECK_PASS)
        return;
    appraisal->measurement = neo_arena_copy(
        ledger->arena, q->is_tdx ? neo_bytes(q->body.tdx.mrtd, sizeof(q->body.tdx.mrtd))
                                 : neo_bytes(q->body.sgx.mrenclave, sizeof(q->body.sgx.mrenclave)));
    neo_sha256(neo_bytes(c->q->evidence->body.at, q->len), appraisal->evidence_sha256);
}

void intel_case_fini(struct intel_case *c)
{
    vendor_bundle_fini(&c->chain);
}
