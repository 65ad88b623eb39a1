/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/nitro.h"

#include "attest/policies.h"
#include "attest/row.h"

#include <neo/digest.h>

const uint8_t nitro_root_sha256[NEO_SHA256_LEN] = {
    0x64, 0x1a, 0x03, 0x21, 0xa3, 0xe2, 0x44, 0xef, 0xe4, 0x56, 0x46, 0x31, 0x95, 0xd6, 0x06, 0x31,
    0x7e, 0xd7, 0xcd, 0xcc, 0x3c, 0x17, 0x56, 0xe0, 0x98, 0x93, 0xf3, 0xc6, 0x8f, 0x79, 0xbb, 0x5b,
};

/* How far a document's time may be outside of its certificate's. */
enum { SKEW_SECONDS = 300 };

struct nitro_case {
    const struct attest_question *q;
    struct nitro_document document;
    struct vendor_bundle bundle; /* the document's: root first, the leaf last */
    int64_t not_after;
};

static void case_fini(struct nitro_case *c)
{
    vendor_bundle_fini(&c->bundle);
}

/* --- genuine ---------------------------------------------------------------------------------- */

static bool check_format(struct nitro_case *c, struct ledger *ledger)
{
    const struct nitro_document *d = &c->document;
    struct neo_error why;

    if (nitro_document_read(c->q->evidence->body, &c->document, &why) != NEO_OK)
        return ledger_fail(ledger, CHECK_NITRO_FORMAT, "%s", why.message);
    c->bundle = (struct vendor_bundle){
        .max = NITRO_ISSUERS_MAX + 1,
        .known = {&c->q->trust->collateral, &c->q->trust->simulated},
        .memo = c->q->trust->memo,
    };
    for (size_t i = 0; i <= d->n_cabundle; i++) {
        struct neo_bytes der = i < d->n_cabundle ? d->cabundle[i] : d->certificate;
        if (vendor_bundle_read(&c->bundle, der, "certificate", &why) != NEO_OK)
            return ledger_fail(ledger, CHECK_NITRO_FORMAT, "%s", why.message);
    }
    if (c->bundle.n_certs != d->n_cabundle + 1 || c->bundle.n_crls != 0)
        return ledger_fail(ledger, CHECK_NITRO_FORMAT, "not one certificate in each place");
    ledger_pass(ledger, CHECK_NITRO_FORMAT);
    return true;
}

static bool is_simulated_root(const struct nitro_case *c, const uint8_t *sha256)
{
    const struct vendor_bundle *simulated = &c->q->trust->simulated;

    for (size_t i = 0; i < simulated->n_certs; i++) {
        if (memcmp(vendor_cert_facts(simulated->certs[i])->sha256, sha256, NEO_SHA256_LEN) == 0)
            return true;
    }
    return false;
}

/* The root that comes with the document counts only because its digest is the pinned one. */
static bool check_root(struct nitro_case *c, struct ledger *ledger)
{
    const uint8_t *sha256 = vendor_cert_facts(c->bundle.certs[0])->sha256;
    bool is_ours = c->q->evidence->kind == NEO_EVIDENCE_SIM_NITRO
                       ? is_simulated_root(c, sha256)
                       : memcmp(sha256, nitro_root_sha256, sizeof(nitro_root_sha256)) == 0;

    if (!is_ours)
        return ledger_fail(ledger, CHECK_NITRO_ROOT, "the bundle does not begin with the root");
    ledger_pass(ledger, CHECK_NITRO_ROOT);
    return true;
}

static bool check_chain(struct nitro_case *c, struct ledger *ledger)
{
    size_t n = c->document.n_cabundle - 1;
    struct vendor_cert *issuers[NITRO_ISSUERS_MAX];
    struct vendor_line line = {
        .leaf = c->bundle.certs[c->bundle.n_certs - 1],
        .issuers = issuers,
        .n_issuers = n,
        .root = c->bundle.certs[0],
        .now = c->q->now,
        .memo = c->q->trust->memo,
    };
    struct neo_error why;

    for (size_t i = 0; i < n; i++) /* ours go up from the leaf, AWS's down from the root */
        issuers[i] = c->bundle.certs[n - i];
    enum vendor_verdict verdict = vendor_line_verify(&line, &c->not_after, &why);
    if (verdict != VENDOR_GOOD)
        return ledger_fail_as(ledger, CHECK_NITRO_CHAIN,
                              verdict == VENDOR_EXPIRED ? NEO_ATTEST_EXPIRED : NEO_ATTEST_CHAIN,
                              "%s", why.message);
    if (vendor_cert_facts(line.leaf)->is_ca || !vendor_cert_facts(line.leaf)->is_p384)
        return ledger_fail(ledger, CHECK_NITRO_CHAIN,
                           "the leaf is an authority, or its key is not P-384");
    ledger_pass(ledger, CHECK_NITRO_CHAIN);
    return true;
}

static bool check_signature(struct nitro_case *c, struct ledger *ledger)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer message = {0};
    const struct nitro_document *d = &c->document;
    struct vendor_signature signature = {.is_little_endian = false};

    memcpy(signature.r, d->sign1.signature.at, sizeof(signature.r));
    memcpy(signature.s, d->sign1.signature.at + sizeof(signature.r), sizeof(signature.s));
    if (!cose_signed_bytes(&d->sign1, &message))
        return ledger_fail(ledger, CHECK_NITRO_SIGNATURE, "out of memory");
    if (!vendor_p384_verify(c->bundle.certs[c->bundle.n_certs - 1], neo_buffer_bytes(&message),
                            &signature))
        return ledger_fail(ledger, CHECK_NITRO_SIGNATURE,
                           "the document was not signed by its certificate's key");
    ledger_pass(ledger, CHECK_NITRO_SIGNATURE);
    return true;
}

/*
 * Freshness is the binder's. The hypervisor makes a document only while its certificate is valid,
 * by the same clock; ours may stand anywhere within that time.
 */
static bool check_timestamp(struct nitro_case *c, struct ledger *ledger)
{
    const struct vendor_cert_facts *leaf =
        vendor_cert_facts(c->bundle.certs[c->bundle.n_certs - 1]);
    int64_t made = (int64_t)(c->document.timestamp_ms / 1000);

    if (made < leaf->not_before - SKEW_SECONDS)
        return ledger_fail(ledger, CHECK_NITRO_TIMESTAMP, "made %lld s before its certificate",
                           (long long)(leaf->not_before - made));
    if (made > leaf->not_after + SKEW_SECONDS)
        return ledger_fail(ledger, CHECK_NITRO_TIMESTAMP, "made %lld s after its certificate",
                           (long long)(made - leaf->not_after));
    ledger_pass(ledger, CHECK_NITRO_TIMESTAMP);
    return true;
}

/* --- ours, and never allowed ------------------------------------------------------------------ */

static bool check_binder(struct nitro_case *c, struct ledger *ledger)
{
    if (!attest_is_bound(c->q, c->document.user_data))
        return ledger_fail(ledger, CHECK_NITRO_BINDER, "the document was made for another channel");
    ledger_pass(ledger, CHECK_NITRO_BINDER);
    return true;
}

/* The hypervisor leaves the measurements of an enclave with a console at zero. */
static bool check_debug(struct nitro_case *c, struct ledger *ledger)
{
    for (size_t i = 0; i < 3; i++) {
        uint8_t any = 0;
        for (size_t k = 0; k < c->document.pcrs[i].len; k++)
            any |= c->document.pcrs[i].at[k];
        if (any == 0)
            return ledger_fail(ledger, CHECK_NITRO_DEBUG,
                               "PCR%zu is zero: the enclave runs in debug mode", i);
    }
    ledger_pass(ledger, CHECK_NITRO_DEBUG);
    return true;
}

static bool verify(struct nitro_case *c, struct ledger *ledger)
{
    static bool (*const steps[])(struct nitro_case *, struct ledger *) = {
        check_format,    check_root,   check_chain, check_signature,
        check_timestamp, check_binder, check_debug,
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
    const struct nitro_rule *rule = is;
    const struct nitro_document *document = facts;

    for (unsigned i = 0; i < NITRO_PCRS; i++) {
        const struct attest_values wanted = {rule->pcrs[i], (rule->asked & 1u << i) != 0 ? 1 : 0};
        struct neo_bytes pcr = document->pcrs[i];

        if (wanted.n > 0 && pcr.len != NITRO_PCR_LEN)
            ledger_fail(ledger, CHECK_NITRO_PCR + i, "the document does not have it");
        else
            ledger_judge_value(ledger, CHECK_NITRO_PCR + i, wanted, pcr.at, pcr.len);
    }
}

static bool judge(const struct attest_question *q, const struct attest_policy *policy,
                  struct ledger *ledger, struct neo_appraisal *appraisal)
{
    NEO_CLEANUP(case_fini) struct nitro_case c = {.q = q};
    bool genuine = verify(&c, ledger);

    appraisal->measurement = neo_arena_copy(ledger->arena, c.document.pcrs[0]);
    if (!genuine)
        return false;
    appraisal->not_after = c.not_after;
    return attest_judge_rules(policy, &attest_nitro, judge_rule, &c.document, ledger) != NULL;
}

static enum neo_code compile(const struct attest_row *row, struct neo_arena *arena,
                             const void **ret, struct neo_error *err)
{
    const struct row_entry *entries = row->nitro.pcr.items.at;
    struct nitro_rule *rule = neo_arena_calloc(arena, 1, sizeof(*rule));

    if (rule == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for a rule");
    for (size_t i = 0; i < row->nitro.pcr.items.len; i++) {
        unsigned index;
        if (!row_index(entries[i].key, NITRO_PCRS, &index))
            return row_refuse(entries[i].place, "\"%.*s\" is no PCR: 0 to 31",
                              NEO_FMT(entries[i].key));
        const struct row_text value = {entries[i].value, entries[i].place};
        NEO_TRY(row_read_hex(&value, "pcr", NITRO_PCR_LEN, 0, rule->pcrs[index], err));
        rule->asked |= 1u << index;
    }
    if ((rule->asked & 1) == 0)
        return row_refuse(row->place, "no code identity: any code would be accepted; add "
                                      "\"pcr\" with at least PCR 0, the enclave's image");
    *ret = rule;
    return NEO_OK;
}

/* clang-format off */
#define PCR(i) [CHECK_NITRO_PCR + (i)] = {"nitro.pcr." #i, NEO_ATTEST_MEASUREMENT, CLAIM_EXECUTABLES}
static const struct check_info checks[NITRO_CHECKS] = {
    COMMON_CHECKS(CHECK_ROW)
    NITRO_CHECKS_BEFORE_RULES(CHECK_ROW)
    PCR(0), PCR(1), PCR(2), PCR(3), PCR(4), PCR(5), PCR(6), PCR(7), PCR(8), PCR(9), PCR(10),
    PCR(11), PCR(12), PCR(13), PCR(14), PCR(15), PCR(16), PCR(17), PCR(18), PCR(19), PCR(20),
    PCR(21), PCR(22), PCR(23), PCR(24), PCR(25), PCR(26), PCR(27), PCR(28), PCR(29), PCR(30),
    PCR(31),
};
/* clang-format on */

const struct attest_family attest_nitro = {
    .tee = "nitro",
    .kind = NEO_EVIDENCE_NITRO,
    .simulated = NEO_EVIDENCE_SIM_NITRO,
    .checks = checks,
    .n_checks = NITRO_CHECKS,
    .judge = judge,
    .compile = compile,
    .describe = describe_nitro,
};
