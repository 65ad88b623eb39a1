/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TPM 2.0: what booted, by the word of a TPM.
 *
 * It says nothing of who reads the machine's memory, so it is a tier of its own: a
 * policy takes it only when it says `hardware-or-tpm`.
 */
#include "attest/family.h"
#include "attest/policies.h"
#include "attest/row.h"
#include "attest/tpm_rule.h"

#define TPM_CHECKS_BEFORE_RULES(X)                                                                 \
    X(TPM_FORMAT, "tpm.format", FORMAT, HARDWARE)                                                  \
    X(TPM_KEY, "tpm.key", CHAIN, HARDWARE)                                                         \
    X(TPM_SIGNATURE, "tpm.signature", SIGNATURE, HARDWARE)                                         \
    X(TPM_BINDER, "tpm.binder", BINDING, NONE)                                                     \
    X(TPM_PCR_DIGEST, "tpm.pcr_digest", SIGNATURE, HARDWARE)                                       \
    X(TPM_LOG, "tpm.event_log", MEASUREMENT, NONE)
#define TPM_CHECKS_OF_RULES(X) X(TPM_AK, "tpm.ak", CHAIN, HARDWARE)

/* clang-format off */
enum tpm_check {
    CHECK_TPM_BEFORE = COMMON_CHECKS_N - 1,
#define X(name, text, reason, claim) CHECK_##name,
    TPM_CHECKS_BEFORE_RULES(X)
    TPM_CHECKS_OF_RULES(X)
#undef X
    CHECK_TPM_PCR,
    TPM_CHECKS = CHECK_TPM_PCR + TPM_PCRS,
};

static const struct check_info checks[TPM_CHECKS] = {
    COMMON_CHECKS(CHECK_ROW)
    TPM_CHECKS_BEFORE_RULES(CHECK_ROW)
    TPM_CHECKS_OF_RULES(CHECK_ROW)
    TPM_PCR_ROWS(CHECK_TPM_PCR, "tpm")
};
/* clang-format on */

enum { SHA256_LEN = 32, HINTS_MAX = 8, LINE_MAX_LEN = 4 };

struct tpm_case {
    const struct attest_question *q;
    struct tpm_evidence evidence;
    struct tpm_quote quote;
    struct tpm_logged logged;
    struct tpm_key key;
    struct vendor_bundle hints;
    int64_t not_after;
};

static void case_fini(struct tpm_case *c)
{
    vendor_public_free(c->key.key);
    vendor_bundle_fini(&c->hints);
}

/* `ak.usage`: what a certificate may say that its key is for. */
enum {
    USAGE_AIK = 1u << 0,  /* tcg-kp-AIKCertificate */
    USAGE_EK = 1u << 1,   /* tcg-kp-EKCertificate, though it signs */
    USAGE_NONE = 1u << 2, /* nothing, but that it signs */
};

struct tpm_rule {
    struct attest_values cas;   /* SHA-256 of root certificates */
    unsigned usage;             /* of what they certify */
    struct attest_values spkis; /* and of keys */
    const struct neo_bytes *names;
    size_t n_names;
    struct tpm_pcr_rule pcrs;
};

/* --- genuine, and ours ------------------------------------------------------------------------ */

static bool check_format(struct tpm_case *c, struct ledger *ledger)
{
    struct neo_error why;

    c->hints = (struct vendor_bundle){
        .max = HINTS_MAX,
        .known = {&c->q->trust->collateral, &c->q->trust->simulated},
        .memo = c->q->trust->memo,
    };
    if (tpm_evidence_read(c->q->evidence->body, &c->evidence, &why) != NEO_OK ||
        tpm_signature_read(c->evidence.signature, &c->quote, &why) != NEO_OK ||
        tpm_attest_read(c->evidence.attest, &c->quote, &why) != NEO_OK ||
        tpm_public_read(c->evidence.public_area, &c->key, &why) != NEO_OK ||
        vendor_bundle_read(&c->hints, c->q->evidence->certificates, "certificates", &why) != NEO_OK)
        return ledger_fail(ledger, CHECK_TPM_FORMAT, "%s", why.message);
    ledger_pass(ledger, CHECK_TPM_FORMAT);
    return true;
}

/* Only a restricted key does not sign what others made up to look like a quote. */
static bool check_key(struct tpm_case *c, struct ledger *ledger)
{
    uint32_t has = c->key.attributes;

    if (c->key.is_bare) {
        ledger_skip(ledger, CHECK_TPM_KEY, "no public area came: a row must vouch for the key");
        return true;
    }
    if ((has & TPM_AK_REQUIRED) != TPM_AK_REQUIRED || (has & TPM_AK_FORBIDDEN) != 0)
        return ledger_fail(ledger, CHECK_TPM_KEY,
                           "0x%08x is no attestation key: it must be fixed to its TPM, made there, "
                           "restricted, and for signing alone",
                           has);
    ledger_pass(ledger, CHECK_TPM_KEY);
    return true;
}

static bool check_signature(struct tpm_case *c, struct ledger *ledger)
{
    if (!vendor_public_verify(c->key.key, c->quote.attest, &c->quote.signature))
        return ledger_fail(ledger, CHECK_TPM_SIGNATURE, "the quote was not signed by the key");
    ledger_pass(ledger, CHECK_TPM_SIGNATURE);
    return true;
}

static bool check_binder(struct tpm_case *c, struct ledger *ledger)
{
    if (!attest_is_bound_by_digest(c->q, c->quote.extra_data))
        return ledger_fail(ledger, CHECK_TPM_BINDER, "the quote was made for another channel");
    ledger_pass(ledger, CHECK_TPM_BINDER);
    return true;
}

static bool check_pcr_digest(struct tpm_case *c, struct ledger *ledger)
{
    if (!tpm_pcrs_fit(&c->quote, c->evidence.pcrs))
        return ledger_fail(ledger, CHECK_TPM_PCR_DIGEST, "the values are not the quoted ones");
    ledger_pass(ledger, CHECK_TPM_PCR_DIGEST);
    return true;
}

static bool check_log(struct tpm_case *c, struct ledger *ledger)
{
    return tpm_log_read(c->evidence.event_log, &c->quote, c->evidence.pcrs, CHECK_TPM_LOG, ledger,
                        &c->logged);
}

static bool verify(struct tpm_case *c, struct ledger *ledger)
{
    static bool (*const steps[])(struct tpm_case *, struct ledger *) = {
        check_format, check_key, check_signature, check_binder, check_pcr_digest, check_log,
    };

    for (size_t i = 0; i < NEO_COUNT(steps); i++) {
        if (!steps[i](c, ledger))
            return false;
    }
    return true;
}

/* --- whose key it is -------------------------------------------------------------------------- */

static struct vendor_cert *cert_at(const struct tpm_case *c, size_t i)
{
    return i < c->hints.n_certs ? c->hints.certs[i]
                                : c->q->trust->collateral.certs[i - c->hints.n_certs];
}

static size_t n_certs(const struct tpm_case *c)
{
    return c->hints.n_certs + c->q->trust->collateral.n_certs;
}

static struct vendor_cert *issuer_of(const struct tpm_case *c, const struct vendor_cert *cert)
{
    for (size_t i = 0; i < n_certs(c); i++) {
        struct vendor_cert *other = cert_at(c, i);
        if (other != cert && vendor_cert_issued(other, cert))
            return other;
    }
    return NULL;
}

static bool is_ca_of(const struct tpm_rule *rule, const struct vendor_cert *cert)
{
    for (size_t i = 0; i < rule->cas.n; i++) {
        if (memcmp(rule->cas.at + i * SHA256_LEN, vendor_cert_facts(cert)->sha256, SHA256_LEN) == 0)
            return true;
    }
    return false;
}

/* From the key's certificate upwards to a root that the rule names by its digest. */
static bool leads_to_ca(const struct tpm_case *c, const struct tpm_rule *rule,
                        struct vendor_cert *leaf)
{
    struct vendor_cert *issuers[LINE_MAX_LEN];
    struct vendor_line line = {
        .leaf = leaf, .issuers = issuers, .now = c->q->now, .memo = c->q->trust->memo};
    const struct vendor_cert *at = leaf;
    struct neo_error why;
    int64_t not_after;

    while (line.n_issuers < LINE_MAX_LEN) {
        struct vendor_cert *up = issuer_of(c, at);
        if (up == NULL)
            return false;
        if (is_ca_of(rule, up)) {
            line.root = up;
            return vendor_line_verify(&line, &not_after, &why) == VENDOR_GOOD;
        }
        issuers[line.n_issuers++] = up;
        at = up;
    }
    return false;
}

static bool is_named(const struct tpm_rule *rule, const struct tpm_case *c)
{
    struct neo_bytes name = neo_bytes(c->key.name, c->key.name_len);

    for (size_t i = 0; i < rule->n_names; i++) {
        if (neo_bytes_equal(rule->names[i], name))
            return true;
    }
    return false;
}

static bool is_pinned(const struct tpm_rule *rule, const struct tpm_case *c)
{
    uint8_t sha256[SHA256_LEN];

    if (rule->spkis.n == 0 || !vendor_public_sha256(c->key.key, sha256))
        return false;
    for (size_t i = 0; i < rule->spkis.n; i++) {
        if (memcmp(rule->spkis.at + i * SHA256_LEN, sha256, SHA256_LEN) == 0)
            return true;
    }
    return false;
}

/*
 * The public area is the sender's word, and a key in software has one as good: that a key is a
 * TPM's is what its certificate says. 0: it says that the key is for something else.
 */
static unsigned usage_of(const struct vendor_cert *cert)
{
    static const uint8_t aik[] = {0x67, 0x81, 0x05, 0x08, 0x03}; /* 2.23.133.8.3 */
    static const uint8_t ek[] = {0x67, 0x81, 0x05, 0x08, 0x01};
    enum vendor_usage signs = vendor_cert_signs(cert);
    enum vendor_usage as_ek = vendor_cert_purpose(cert, neo_bytes(ek, sizeof(ek)));
    unsigned usage = 0;

    if (signs == VENDOR_USAGE_OTHER)
        return 0;
    if (vendor_cert_purpose(cert, neo_bytes(aik, sizeof(aik))) == VENDOR_USAGE_STATED)
        usage |= USAGE_AIK;
    if (signs == VENDOR_USAGE_STATED && as_ek == VENDOR_USAGE_STATED)
        usage |= USAGE_EK;
    if (signs == VENDOR_USAGE_STATED && as_ek == VENDOR_USAGE_UNSTATED)
        usage |= USAGE_NONE;
    return usage;
}

enum certified { NOT_CERTIFIED, CERTIFIED_FOR_ELSE, CERTIFIED };

static enum certified is_certified(const struct tpm_rule *rule, const struct tpm_case *c)
{
    enum certified best = NOT_CERTIFIED;

    for (size_t i = 0; i < n_certs(c) && best != CERTIFIED; i++) {
        struct vendor_cert *cert = cert_at(c, i);
        if (!vendor_cert_facts(cert)->is_ca && vendor_public_is_of(c->key.key, cert) &&
            leads_to_ca(c, rule, cert))
            best = (usage_of(cert) & rule->usage) != 0 ? CERTIFIED : CERTIFIED_FOR_ELSE;
    }
    return best;
}

/* A bare key may be of any nature: only a row that names this very key can vouch for it. */
static void judge_ak(const struct tpm_rule *rule, const struct tpm_case *c, struct ledger *ledger)
{
    bool is_known = is_pinned(rule, c) || (!c->key.is_bare && is_named(rule, c));
    enum certified certified = is_known || c->key.is_bare ? NOT_CERTIFIED : is_certified(rule, c);

    if (is_known || certified == CERTIFIED)
        ledger_pass(ledger, CHECK_TPM_AK);
    else if (c->key.is_bare)
        ledger_fail(ledger, CHECK_TPM_AK,
                    "the key came without its public area, and no row names "
                    "it by \"spki\"");
    else if (certified == CERTIFIED_FOR_ELSE)
        ledger_fail(ledger, CHECK_TPM_AK,
                    "the key's certificate does not say that it is a TPM's and signs "
                    "(extended key usage 2.23.133.8.3 or .1); see \"usage\" of \"ak\"");
    else
        ledger_fail(ledger, CHECK_TPM_AK,
                    "the key is neither named, nor certified under a named root");
}

/* --- rules ------------------------------------------------------------------------------------ */

static void judge_rule(const void *is, const void *facts, struct ledger *ledger)
{
    const struct tpm_rule *rule = is;
    const struct tpm_case *c = facts;

    tpm_log_judge(&c->logged, &rule->pcrs, &c->quote, CHECK_TPM_LOG, ledger);
    judge_ak(rule, c, ledger);
    tpm_pcr_rule_judge(&rule->pcrs, &c->quote, c->evidence.pcrs, CHECK_TPM_PCR, ledger);
}

static bool judge(const struct attest_question *q, const struct attest_policy *policy,
                  struct ledger *ledger, struct neo_appraisal *appraisal)
{
    NEO_CLEANUP(case_fini) struct tpm_case c = {.q = q};
    uint8_t digest[NEO_SHA256_LEN];

    if (!verify(&c, ledger))
        return false;
    appraisal->not_after = INT64_MAX; /* the policy's age ends it */
    const struct attest_rule *held =
        attest_judge_rules(policy, &attest_tpm, judge_rule, &c, ledger);
    if (held == NULL)
        return false;
    const struct tpm_rule *rule = held->is;
    tpm_pcr_rule_measure(&rule->pcrs, &c.quote, c.evidence.pcrs, digest);
    appraisal->measurement = neo_arena_copy(ledger->arena, neo_bytes(digest, sizeof(digest)));
    return true;
}

static enum neo_code read_names(const struct row_list *list, struct neo_arena *arena,
                                struct tpm_rule *rule, struct neo_error *err)
{
    const struct row_text *texts = list->items.at;
    struct neo_bytes *names = neo_arena_calloc(arena, list->items.len, sizeof(*names));

    NEO_TRY(row_check_not_empty(list, "names", err));
    for (size_t i = 0; i < list->items.len; i++) {
        size_t len = texts[i].text.len / 2;
        uint8_t *name = neo_arena_calloc(arena, 1, TPM_NAME_MAX);
        if (names == NULL || name == NULL)
            return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for \"names\"");
        if (len != 34 && len != 50 && len != 66)
            return row_refuse(texts[i].place, "a TPM's name is its hash and digest: 34, 50 or 66 "
                                              "bytes in hex");
        NEO_TRY(row_read_hex(&texts[i], "names", len, 0, name, err));
        names[i] = neo_bytes(name, len);
    }
    rule->names = names;
    rule->n_names = list->items.len;
    return NEO_OK;
}

static enum neo_code read_usage(const struct ak_row *row, struct tpm_rule *rule,
                                struct neo_error *err)
{
    const struct row_text *words = row->usage.items.at;

    NEO_TRY(row_check_not_empty(&row->usage, "usage", err));
    if (row_gives(row->usage.place) && !row_gives(row->ca.place))
        return row_refuse(row->usage.place, "\"usage\" is of the certificates under \"ca\"");
    rule->usage = row_gives(row->usage.place) ? 0 : USAGE_AIK | USAGE_EK;
    for (size_t i = 0; i < row->usage.items.len; i++) {
        if (neo_bytes_is(words[i].text, "aik"))
            rule->usage |= USAGE_AIK;
        else if (neo_bytes_is(words[i].text, "ek"))
            rule->usage |= USAGE_EK;
        else if (neo_bytes_is(words[i].text, "none"))
            rule->usage |= USAGE_NONE;
        else
            return row_refuse(words[i].place, "\"usage\" is of aik, ek and none");
    }
    return NEO_OK;
}

static enum neo_code compile(const struct attest_row *row, struct neo_arena *arena,
                             const void **ret, struct neo_error *err)
{
    const struct tpm_row *tpm = &row->tpm;
    struct tpm_rule *rule = neo_arena_calloc(arena, 1, sizeof(*rule));

    if (rule == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for a rule");
    NEO_TRY(tpm_pcr_rule_compile(row, arena, &rule->pcrs, err));
    if (!row_gives(tpm->ak.names.place) && !row_gives(tpm->ak.ca.place) &&
        !row_gives(tpm->ak.spki.place))
        return row_refuse(row->place, "whose key? any TPM would be accepted; add \"ak\" with "
                                      "\"names\", \"ca\" or \"spki\"");
    NEO_TRY(read_names(&tpm->ak.names, arena, rule, err));
    NEO_TRY(row_read_values(&tpm->ak.ca, "ca", SHA256_LEN, 0, arena, &rule->cas, err));
    NEO_TRY(read_usage(&tpm->ak, rule, err));
    NEO_TRY(row_read_values(&tpm->ak.spki, "spki", SHA256_LEN, 0, arena, &rule->spkis, err));
    *ret = rule;
    return NEO_OK;
}

static enum neo_code describe(const struct neo_evidence *evidence, struct description *d,
                              struct neo_error *err)
{
    struct tpm_quote quote = {.n_banks = 0};
    struct tpm_evidence e;
    struct tpm_key key;

    NEO_TRY(tpm_evidence_read(evidence->body, &e, err));
    NEO_TRY(tpm_signature_read(e.signature, &quote, err));
    NEO_TRY(tpm_attest_read(e.attest, &quote, err));
    NEO_TRY(tpm_public_read(e.public_area, &key, err));
    vendor_public_free(key.key);
    tpm_describe(&quote, e.pcrs, e.event_log, d);
    describe_bytes(d, "ak_name", key.name, key.name_len); /* for `ak: names:` of a policy */
    return NEO_OK;
}

const struct attest_family attest_tpm = {
    .tee = "tpm",
    .kind = NEO_EVIDENCE_TPM,
    .simulated = NEO_EVIDENCE_UNKNOWN,
    .checks = checks,
    .n_checks = TPM_CHECKS,
    .judge = judge,
    .compile = compile,
    .describe = describe,
};
