/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/snp.h"

#include "attest/snp_rule.h"

#include <neo/digest.h>

/* Issuing certificates looked at for one report: all the hints, and as many of our own. */
enum { ISSUERS_MAX = 2 * SNP_HINTS_MAX };

/* --- form ------------------------------------------------------------------------------------- */

static bool check_format(struct snp_case *c, struct ledger *ledger)
{
    struct neo_error why;
    enum neo_code code =
        snp_report_read_signed(c->q->evidence->body, &c->report, &c->reserved, &why);

    if (code != NEO_OK)
        return ledger_fail_as(ledger, CHECK_FORMAT, attest_format_reason(code), "%s", why.message);
    ledger_pass(ledger, CHECK_FORMAT);
    return true;
}

/* --- certificates ----------------------------------------------------------------------------- */

/* The hints first, then our own. */
static struct vendor_cert *cert_at(const struct snp_case *c, size_t i)
{
    if (i < c->hints.n_certs)
        return c->hints.certs[i];
    return c->q->trust->collateral.certs[i - c->hints.n_certs];
}

static size_t n_certs(const struct snp_case *c)
{
    return c->hints.n_certs + c->q->trust->collateral.n_certs;
}

static bool fits_hwid(const struct snp_report *report, const struct snp_endorsement *e)
{
    struct neo_bytes chip = neo_bytes(report->chip_id, e->hwid.len);

    return neo_bytes_equal(chip, e->hwid) &&
           snp_is_zero(
               neo_bytes(report->chip_id + e->hwid.len, sizeof(report->chip_id) - e->hwid.len));
}

static bool fits_tcb(const struct snp_report *report, const struct snp_endorsement *e)
{
    for (size_t i = 0; i < SNP_TCB_LEN; i++) {
        if (report->reported_tcb[i] != e->tcb[e->product->tcb[i]])
            return false;
    }
    return true;
}

static bool fits(const struct snp_case *c, const struct vendor_cert *cert)
{
    enum snp_vek vek = snp_report_vek(&c->report);
    struct snp_endorsement e;

    return snp_endorsement_read(cert, vek, &e, NULL) == NEO_OK && fits_tcb(&c->report, &e) &&
           (vek == SNP_VLEK || fits_hwid(&c->report, &e));
}

/*
 * The first certificate of the right name that was made for this chip and firmware. When none was,
 * the first of the right name, so that the check that fails is the one that tells why.
 */
static struct vendor_cert *choose_leaf(const struct snp_case *c)
{
    const char *name = snp_report_vek(&c->report) == SNP_VCEK ? "SEV-VCEK" : "SEV-VLEK";
    struct vendor_cert *first = NULL;

    for (size_t i = 0; i < n_certs(c); i++) {
        struct vendor_cert *cert = cert_at(c, i);
        if (!neo_bytes_is(vendor_cert_facts(cert)->common_name, name))
            continue;
        if (fits(c, cert))
            return cert;
        if (first == NULL)
            first = cert;
    }
    return first;
}

static const struct vendor_cert *choose_simulated_root(const struct snp_case *c)
{
    const struct vendor_bundle *roots = &c->q->trust->simulated;

    for (size_t i = 0; i < roots->n_certs; i++) {
        if (neo_bytes_is(vendor_cert_facts(roots->certs[i])->common_name, c->product->root_name))
            return roots->certs[i];
    }
    return roots->n_certs > 0 ? roots->certs[0] : NULL; /* its name will be found wrong */
}

/* A root is one by its digest, wherever its bytes came from. */
static const struct vendor_cert *choose_root(const struct snp_case *c)
{
    if (c->q->evidence->kind == NEO_EVIDENCE_SIM_SNP)
        return choose_simulated_root(c);
    for (size_t i = 0; i < n_certs(c); i++) {
        const struct vendor_cert *cert = cert_at(c, i);
        if (memcmp(vendor_cert_facts(cert)->sha256, c->product->root_sha256, NEO_SHA256_LEN) == 0)
            return cert;
    }
    return NULL;
}

static bool check_certificates(struct snp_case *c, struct ledger *ledger)
{
    enum snp_vek vek = snp_report_vek(&c->report);
    struct neo_error why;

    c->hints = (struct vendor_bundle){
        .max = SNP_HINTS_MAX,
        .memo = c->q->trust->memo,
        .known = {&c->q->trust->collateral, &c->q->trust->simulated},
    };
    if (snp_hints_read(c->q->evidence->certificates, &c->hints, &why) != NEO_OK)
        return ledger_fail_as(ledger, CHECK_CERTIFICATES, NEO_ATTEST_FORMAT, "%s", why.message);
    c->leaf = choose_leaf(c);
    if (c->leaf == NULL)
        return ledger_fail(ledger, CHECK_CERTIFICATES, "no SEV-%s certificate came or is known",
                           vek == SNP_VCEK ? "VCEK" : "VLEK");
    struct neo_bytes issuer = vendor_cert_facts(c->leaf)->issuer_common_name;
    c->product = snp_product_of_issuer(issuer, vek);
    if (c->product == NULL)
        return ledger_fail(ledger, CHECK_CERTIFICATES,
                           "the certificate's issuer \"%.*s\" is none of AMD's", NEO_FMT(issuer));
    c->root = choose_root(c);
    if (c->root == NULL)
        return ledger_fail(ledger, CHECK_CERTIFICATES,
                           "the root certificate %s neither came nor is known",
                           c->product->root_name);
    ledger_pass(ledger, CHECK_CERTIFICATES);
    return true;
}

static size_t find_issuers(const struct snp_case *c, struct vendor_cert **ret)
{
    const char *name = c->product->issuer_name[snp_report_vek(&c->report)];
    const struct vendor_bundle *bundles[] = {&c->hints, &c->q->trust->collateral};
    size_t n = 0;

    for (size_t b = 0; b < NEO_COUNT(bundles); b++) {
        for (size_t i = 0; i < bundles[b]->n_certs && n < ISSUERS_MAX; i++) {
            struct vendor_cert *cert = bundles[b]->certs[i];
            if (neo_bytes_is(vendor_cert_facts(cert)->common_name, name))
                ret[n++] = cert;
        }
    }
    return n;
}

static bool check_chain(struct snp_case *c, struct ledger *ledger)
{
    struct vendor_cert *issuers[ISSUERS_MAX];
    bool by_grace = false;
    struct neo_error why;
    const struct vendor_chain chain = {
        .leaf = c->leaf,
        .issuers = issuers,
        .n_issuers = find_issuers(c, issuers),
        .root = c->root,
        .crls = c->q->trust->collateral.crls,
        .n_crls = c->q->trust->collateral.n_crls,
        .now = c->q->now,
        .grace = c->q->grace,
        .by_grace = &by_grace,
        .memo = c->q->trust->memo,
    };

    enum vendor_verdict verdict = vendor_chain_verify(&chain, &c->path, &why);
    if (verdict != VENDOR_GOOD)
        return ledger_fail_as(ledger, CHECK_CHAIN, attest_chain_reason(verdict), "%s", why.message);
    ledger_pass_fresh(ledger, CHECK_CHAIN, by_grace);
    return true;
}

/* A path alone does not make a certificate a report key: its place in it and its contents do. */
static bool check_roles(struct snp_case *c, struct ledger *ledger)
{
    const struct vendor_cert_facts *leaf = vendor_cert_facts(c->leaf);
    const struct vendor_cert_facts *root = vendor_cert_facts(c->root);
    struct neo_error why;

    if (leaf->is_ca)
        return ledger_fail(ledger, CHECK_ROLES, "the report key's certificate is an authority's");
    if (!leaf->is_p384)
        return ledger_fail(ledger, CHECK_ROLES, "the report key is not P-384");
    if (!neo_bytes_is(root->common_name, c->product->root_name))
        return ledger_fail(ledger, CHECK_ROLES, "the root is \"%.*s\", not %s",
                           NEO_FMT(root->common_name), c->product->root_name);
    if (snp_endorsement_read(c->leaf, snp_report_vek(&c->report), &c->endorsement, &why) != NEO_OK)
        return ledger_fail(ledger, CHECK_ROLES, "%s", why.message);
    ledger_pass(ledger, CHECK_ROLES);
    return true;
}

/* --- certificate against report --------------------------------------------------------------- */

static bool check_hwid(struct snp_case *c, struct ledger *ledger)
{
    if (snp_report_vek(&c->report) == SNP_VLEK)
        ledger_skip(ledger, CHECK_HWID, "a VLEK stands for an operator, not for a chip");
    else if (snp_is_zero(neo_bytes(c->report.chip_id, sizeof(c->report.chip_id))))
        ledger_skip(ledger, CHECK_HWID, "the chip id is masked");
    else if (!fits_hwid(&c->report, &c->endorsement))
        return ledger_fail(ledger, CHECK_HWID, "the certificate is another chip's");
    else
        ledger_pass(ledger, CHECK_HWID);
    return true;
}

static bool has_reserved_tcb(const struct snp_product *product, const uint8_t tcb[SNP_TCB_LEN])
{
    for (size_t i = 0; i < SNP_TCB_LEN; i++) {
        if (snp_component_is_reserved(product->tcb[i]) && tcb[i] != 0)
            return true;
    }
    return false;
}

/* The certificate is for one firmware exactly: a newer one's would not do either. */
static bool check_spl(struct snp_case *c, struct ledger *ledger)
{
    const struct snp_report *r = &c->report;
    const struct snp_product *product = c->endorsement.product;

    if (!fits_tcb(r, &c->endorsement))
        return ledger_fail(ledger, CHECK_SPL,
                           "the certificate stands for another TCB than the reported one");
    if (has_reserved_tcb(product, r->current_tcb) || has_reserved_tcb(product, r->committed_tcb) ||
        has_reserved_tcb(product, r->launch_tcb))
        return ledger_fail(ledger, CHECK_SPL, "a reserved TCB component is set");
    ledger_pass(ledger, CHECK_SPL);
    return true;
}

/* The processor's own word (version 3 and up), the certificate's, and whose root signed it. */
static bool check_product(struct snp_case *c, struct ledger *ledger)
{
    const struct snp_report *r = &c->report;
    const struct snp_product *named = c->endorsement.product;

    if (named != c->product)
        return ledger_fail(ledger, CHECK_PRODUCT, "a certificate for %s under the root of %s",
                           named->name, c->product->name);
    if (r->version >= 3 && snp_product_of_cpu(r->cpu_family, r->cpu_model) != named)
        return ledger_fail(ledger, CHECK_PRODUCT,
                           "a certificate for %s, a processor of family 0x%x model 0x%x",
                           named->name, (unsigned)r->cpu_family, (unsigned)r->cpu_model);
    ledger_pass(ledger, CHECK_PRODUCT);
    return true;
}

/* --- the report's own word -------------------------------------------------------------------- */

static bool check_signature(struct snp_case *c, struct ledger *ledger)
{
    struct neo_bytes message = neo_bytes(c->q->evidence->body.at, SNP_SIGNED_LEN);

    if (!vendor_p384_verify(c->leaf, message, &c->report.signature))
        return ledger_fail(ledger, CHECK_SIGNATURE,
                           "the report was not signed by the certificate's key");
    ledger_pass(ledger, CHECK_SIGNATURE);
    if (c->reserved != 0) /* signed, and still nothing that anybody could judge */
        return ledger_fail(ledger, CHECK_FORMAT, "byte 0x%zx is reserved and not zero",
                           c->reserved);
    return true;
}

static bool check_binder(struct snp_case *c, struct ledger *ledger)
{
    if (!attest_is_bound(c->q, neo_bytes(c->report.report_data, sizeof(c->report.report_data))))
        return ledger_fail(ledger, CHECK_BINDER, "the report was made for another channel");
    ledger_pass(ledger, CHECK_BINDER);
    return true;
}

static bool check_debug(struct snp_case *c, struct ledger *ledger)
{
    if ((c->report.policy & SNP_POLICY_DEBUG) != 0)
        return ledger_fail(ledger, CHECK_DEBUG, "the host may read the guest's memory");
    ledger_pass(ledger, CHECK_DEBUG);
    return true;
}

/* A migration agent holds the guest's keys, and is code that no policy here names. */
static bool check_migrate_ma(struct snp_case *c, struct ledger *ledger)
{
    const struct snp_report *r = &c->report;
    uint8_t all = 0xff;

    for (size_t i = 0; i < sizeof(r->report_id_ma); i++)
        all &= r->report_id_ma[i];
    if ((r->policy & SNP_POLICY_MIGRATE_MA) != 0 || all != 0xff)
        return ledger_fail(ledger, CHECK_MIGRATE_MA, "the guest may be moved by a migration agent");
    ledger_pass(ledger, CHECK_MIGRATE_MA);
    return true;
}

typedef bool step_fn(struct snp_case *c, struct ledger *ledger);

static bool all(step_fn *const *steps, size_t n, struct snp_case *c, struct ledger *ledger)
{
    for (size_t i = 0; i < n; i++) {
        if (!steps[i](c, ledger))
            return false;
    }
    return true;
}

bool snp_verify_hardware(struct snp_case *c, struct ledger *ledger)
{
    static step_fn *const steps[] = {
        check_format, check_certificates, check_chain,   check_roles,
        check_hwid,   check_spl,          check_product, check_signature,
    };

    return all(steps, NEO_COUNT(steps), c, ledger);
}

bool snp_verify_launch(struct snp_case *c, struct ledger *ledger)
{
    static step_fn *const steps[] = {check_debug, check_migrate_ma};

    return all(steps, NEO_COUNT(steps), c, ledger);
}

bool snp_verify(struct snp_case *c, struct ledger *ledger)
{
    return snp_verify_hardware(c, ledger) && check_binder(c, ledger) &&
           snp_verify_launch(c, ledger);
}

void snp_case_fini(struct snp_case *c)
{
    vendor_bundle_fini(&c->hints);
}

static void judge_rule(const void *rule, const void *facts, struct ledger *ledger)
{
    snp_rule_judge(rule, facts, ledger);
}

static bool judge(const struct attest_question *q, const struct attest_policy *policy,
                  struct ledger *ledger, struct neo_appraisal *appraisal)
{
    NEO_CLEANUP(snp_case_fini) struct snp_case c = {.q = q};
    bool genuine = snp_verify(&c, ledger);

    if (ledger->checks[CHECK_FORMAT].result == NEO_CHECK_PASS)
        appraisal->measurement =
            neo_arena_copy(ledger->arena, neo_bytes(c.report.measurement, SNP_MEASUREMENT_LEN));
    if (!genuine)
        return false;
    appraisal->not_after = c.path.not_after;
    return attest_judge_rules(policy, &attest_snp, judge_rule,
                              &(struct snp_facts){&c.report, &c.endorsement}, ledger) != NULL;
}

/* clang-format off */
const struct check_info snp_checks[SNP_CHECKS] = {
    SNP_CHECK_ROWS
};
/* clang-format on */

const struct attest_family attest_snp = {
    .tee = "sev-snp",
    .kind = NEO_EVIDENCE_SNP,
    .simulated = NEO_EVIDENCE_SIM_SNP,
    .checks = snp_checks,
    .n_checks = SNP_CHECKS,
    .judge = judge,
    .compile = snp_rule_compile,
    .describe = describe_snp,
};
