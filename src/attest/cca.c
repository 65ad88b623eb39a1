/* SPDX-License-Identifier: Apache-2.0 */
/* Arm CCA: is this token genuine, and an answer to us? What must the realm be? */
#include "attest/cca_token.h"
#include "attest/family.h"
#include "attest/policies.h"
#include "attest/row.h"

#include <neo/digest.h>

#define CCA_CHECKS_BEFORE_RULES(X)                                                                 \
    X(CCA_FORMAT, "cca.format", FORMAT, HARDWARE)                                                  \
    X(CCA_ANCHOR, "cca.anchor", COLLATERAL, HARDWARE)                                              \
    X(CCA_PLATFORM_SIGNATURE, "cca.platform.signature", SIGNATURE, HARDWARE)                       \
    X(CCA_RAK, "cca.rak", SIGNATURE, HARDWARE)                                                     \
    X(CCA_REALM_SIGNATURE, "cca.realm.signature", SIGNATURE, HARDWARE)                             \
    X(CCA_BINDER, "cca.binder", BINDING, NONE)                                                     \
    X(CCA_LIFECYCLE, "cca.lifecycle", DEBUG, CONFIGURATION)
#define CCA_CHECKS_OF_RULES(X)                                                                     \
    X(CCA_RIM, "cca.rim", MEASUREMENT, EXECUTABLES)                                                \
    X(CCA_REM0, "cca.rem.0", MEASUREMENT, EXECUTABLES)                                             \
    X(CCA_REM1, "cca.rem.1", MEASUREMENT, EXECUTABLES)                                             \
    X(CCA_REM2, "cca.rem.2", MEASUREMENT, EXECUTABLES)                                             \
    X(CCA_REM3, "cca.rem.3", MEASUREMENT, EXECUTABLES)                                             \
    X(CCA_RPV, "cca.rpv", MEASUREMENT, EXECUTABLES)                                                \
    X(CCA_IMPLEMENTATION, "cca.implementation_id", PLATFORM, NONE)                                 \
    X(CCA_INSTANCE, "cca.instance_id", PLATFORM, INSTANCE)

/* clang-format off */
enum cca_check {
    CHECK_CCA_BEFORE = COMMON_CHECKS_N - 1,
#define X(name, text, reason, claim) CHECK_##name,
    CCA_CHECKS_BEFORE_RULES(X)
    CCA_CHECKS_OF_RULES(X)
#undef X
    CCA_CHECKS,
};

static const struct check_info checks[CCA_CHECKS] = {
    COMMON_CHECKS(CHECK_ROW)
    CCA_CHECKS_BEFORE_RULES(CHECK_ROW)
    CCA_CHECKS_OF_RULES(CHECK_ROW)
};
/* clang-format on */

/* Of lifecycles only "secured" is: 0x3000 to 0x30ff. */
enum { LIFECYCLE_SECURED = 0x30 };

struct cca_case {
    const struct attest_question *q;
    struct cca_token token;
    const struct cca_anchor *anchor;
};

/* Digests of any of the lengths that there are. */
struct digests {
    const struct neo_bytes *at;
    size_t n;
};

struct cca_rule {
    struct digests rims;
    struct digests rems[CCA_REMS];
    struct attest_values rpvs;
    struct attest_values implementations;
    struct attest_values instances;
};

/* --- genuine, and ours ------------------------------------------------------------------------ */

static bool check_format(struct cca_case *c, struct ledger *ledger)
{
    struct neo_error why;
    enum neo_code code = cca_token_read(c->q->evidence->body, &c->token, &why);

    if (code != NEO_OK)
        return ledger_fail_as(ledger, CHECK_CCA_FORMAT, attest_format_reason(code), "%s",
                              why.message);
    ledger_pass(ledger, CHECK_CCA_FORMAT);
    return true;
}

static bool is_signed_by(const struct cose_sign1 *s, enum cose_algorithm algorithm,
                         const uint8_t *point)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer message = {0};

    if (s->algorithm != algorithm || !cose_signed_bytes(s, &message))
        return false;
    return algorithm == COSE_ES256
               ? vendor_p256_verify_point(point, neo_buffer_bytes(&message), s->signature.at)
               : vendor_p384_verify_point(point, neo_buffer_bytes(&message), s->signature.at);
}

/* The anchor of this very platform; else a key alone that signed it, or that was to. */
static const struct cca_anchor *choose_anchor(const struct cca_case *c)
{
    bool simulated = c->q->evidence->kind == NEO_EVIDENCE_SIM_CCA;
    const struct cca_anchor *bare = NULL;

    for (const struct cca_anchor *a = c->q->trust->cca; a != NULL; a = a->next) {
        if (a->simulated != simulated)
            continue;
        if (!a->is_bare &&
            memcmp(a->instance_id, c->token.instance_id.at, sizeof(a->instance_id)) == 0 &&
            memcmp(a->implementation_id, c->token.implementation_id.at,
                   sizeof(a->implementation_id)) == 0)
            return a;
        if (a->is_bare &&
            (bare == NULL || is_signed_by(&c->token.platform, a->algorithm, a->point)))
            bare = a;
    }
    return bare;
}

static bool check_anchor(struct cca_case *c, struct ledger *ledger)
{
    c->anchor = choose_anchor(c);
    if (c->anchor == NULL)
        return ledger_fail(ledger, CHECK_CCA_ANCHOR, "this platform's key is not known");
    ledger_pass(ledger, CHECK_CCA_ANCHOR);
    return true;
}

static bool check_platform_signature(struct cca_case *c, struct ledger *ledger)
{
    if (!is_signed_by(&c->token.platform, c->anchor->algorithm, c->anchor->point))
        return ledger_fail(ledger, CHECK_CCA_PLATFORM_SIGNATURE,
                           "the platform's token was not signed by its key");
    ledger_pass(ledger, CHECK_CCA_PLATFORM_SIGNATURE);
    return true;
}

/* The platform vouches for the realm's key by its challenge. */
static bool check_rak(struct cca_case *c, struct ledger *ledger)
{
    static const size_t lens[] = {[CCA_SHA256] = 32, [CCA_SHA384] = 48, [CCA_SHA512] = 64};
    const struct cca_token *t = &c->token;
    uint8_t digest[CCA_DIGEST_MAX];

    if (t->rak_hash == CCA_SHA256)
        neo_sha256(t->rak, digest);
    else if (t->rak_hash == CCA_SHA384)
        neo_sha384(t->rak, digest);
    else
        neo_sha512(t->rak, digest);
    if (!neo_bytes_equal(t->platform_challenge, neo_bytes(digest, lens[t->rak_hash])))
        return ledger_fail(ledger, CHECK_CCA_RAK,
                           "the platform does not vouch for the realm's key");
    ledger_pass(ledger, CHECK_CCA_RAK);
    return true;
}

static bool check_realm_signature(struct cca_case *c, struct ledger *ledger)
{
    if (!is_signed_by(&c->token.realm, c->token.rak_algorithm, c->token.rak_point))
        return ledger_fail(ledger, CHECK_CCA_REALM_SIGNATURE,
                           "the realm's token was not signed by its key");
    ledger_pass(ledger, CHECK_CCA_REALM_SIGNATURE);
    return true;
}

static bool check_binder(struct cca_case *c, struct ledger *ledger)
{
    if (!attest_is_bound(c->q, c->token.challenge))
        return ledger_fail(ledger, CHECK_CCA_BINDER, "the token was made for another channel");
    ledger_pass(ledger, CHECK_CCA_BINDER);
    return true;
}

static bool check_lifecycle(struct cca_case *c, struct ledger *ledger)
{
    if (c->token.lifecycle >> 8 != LIFECYCLE_SECURED)
        return ledger_fail(ledger, CHECK_CCA_LIFECYCLE,
                           "0x%04x is not secured: assembly, debug or decommissioned",
                           c->token.lifecycle);
    ledger_pass(ledger, CHECK_CCA_LIFECYCLE);
    return true;
}

static bool verify(struct cca_case *c, struct ledger *ledger)
{
    static bool (*const steps[])(struct cca_case *, struct ledger *) = {
        check_format,          check_anchor, check_platform_signature, check_rak,
        check_realm_signature, check_binder, check_lifecycle,
    };

    for (size_t i = 0; i < NEO_COUNT(steps); i++) {
        if (!steps[i](c, ledger))
            return false;
    }
    return true;
}

/* --- rules ------------------------------------------------------------------------------------ */

static void judge_digest(struct ledger *ledger, unsigned check, const struct digests *allowed,
                         struct neo_bytes has)
{
    for (size_t i = 0; i < allowed->n; i++) {
        if (neo_bytes_equal(allowed->at[i], has)) {
            ledger_pass(ledger, check);
            return;
        }
    }
    if (allowed->n == 0)
        ledger_skip(ledger, check, ledger_not_asked_for);
    else
        ledger_fail(ledger, check, "is not among the allowed");
}

static void judge_rule(const void *is, const void *facts, struct ledger *ledger)
{
    const struct cca_rule *rule = is;
    const struct cca_token *t = facts;

    judge_digest(ledger, CHECK_CCA_RIM, &rule->rims, t->rim);
    for (unsigned i = 0; i < CCA_REMS; i++)
        judge_digest(ledger, CHECK_CCA_REM0 + i, &rule->rems[i], t->rem[i]);
    ledger_judge_value(ledger, CHECK_CCA_RPV, rule->rpvs, t->rpv.at, t->rpv.len);
    ledger_judge_value(ledger, CHECK_CCA_IMPLEMENTATION, rule->implementations,
                       t->implementation_id.at, t->implementation_id.len);
    ledger_judge_value(ledger, CHECK_CCA_INSTANCE, rule->instances, t->instance_id.at,
                       t->instance_id.len);
}

static bool judge(const struct attest_question *q, const struct attest_policy *policy,
                  struct ledger *ledger, struct neo_appraisal *appraisal)
{
    struct cca_case c = {.q = q};
    bool genuine = verify(&c, ledger);

    appraisal->measurement = neo_arena_copy(ledger->arena, c.token.rim);
    if (!genuine)
        return false;
    appraisal->not_after = INT64_MAX; /* no certificate ends: the policy's age does */
    return attest_judge_rules(policy, &attest_cca, judge_rule, &c.token, ledger) != NULL;
}

static enum neo_code read_digests(const struct row_list *list, const char *key,
                                  struct neo_arena *arena, struct digests *ret,
                                  struct neo_error *err)
{
    const struct row_text *texts = list->items.at;

    NEO_TRY(row_check_not_empty(list, key, err));
    struct neo_bytes *at = neo_arena_calloc(arena, list->items.len, sizeof(*at));
    for (size_t i = 0; i < list->items.len; i++) {
        size_t len = texts[i].text.len / 2;
        uint8_t *value = neo_arena_calloc(arena, 1, CCA_DIGEST_MAX);
        if (at == NULL || value == NULL)
            return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for \"%s\"", key);
        if (len != 32 && len != 48 && len != 64)
            return row_refuse(texts[i].place, "\"%s\" must be 32, 48 or 64 bytes in hex", key);
        NEO_TRY(row_read_hex(&texts[i], key, len, 0, value, err));
        at[i] = neo_bytes(value, len);
    }
    *ret = (struct digests){at, list->items.len};
    return NEO_OK;
}

static enum neo_code read_rems(const struct row_lists *rem, struct neo_arena *arena,
                               struct cca_rule *rule, struct neo_error *err)
{
    const struct row_lists_entry *entries = rem->items.at;

    for (size_t i = 0; i < rem->items.len; i++) {
        struct neo_bytes key = entries[i].key;
        if (key.len != 1 || key.at[0] < '0' || key.at[0] >= '0' + CCA_REMS)
            return row_refuse(entries[i].place, "\"%.*s\" is no REM: 0 to 3", NEO_FMT(key));
        const struct row_list list = {entries[i].items, entries[i].place};
        NEO_TRY(read_digests(&list, "rem", arena, &rule->rems[key.at[0] - '0'], err));
    }
    return NEO_OK;
}

static enum neo_code compile(const struct attest_row *row, struct neo_arena *arena,
                             const void **ret, struct neo_error *err)
{
    const struct cca_row *cca = &row->cca;
    struct cca_rule *rule = neo_arena_calloc(arena, 1, sizeof(*rule));

    if (rule == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for a rule");
    if (!row_gives(cca->rim.place))
        return row_refuse(row->place, "no code identity: any code would be accepted; add "
                                      "\"rim\" with the allowed initial measurements");
    if (row_gives(cca->lifecycle.place) && !neo_bytes_is(cca->lifecycle.text, "secured"))
        return row_refuse(cca->lifecycle.place,
                          "\"lifecycle\" can only be secured: nothing else can be allowed");
    NEO_TRY(read_digests(&cca->rim, "rim", arena, &rule->rims, err));
    NEO_TRY(read_rems(&cca->rem, arena, rule, err));
    NEO_TRY(row_read_values(&cca->rpv, "rpv", CCA_RPV_LEN, 0, arena, &rule->rpvs, err));
    NEO_TRY(row_read_values(&cca->implementation_id, "implementation_id", CCA_IMPLEMENTATION_LEN, 0,
                            arena, &rule->implementations, err));
    NEO_TRY(row_read_values(&cca->instance_id, "instance_id", CCA_INSTANCE_LEN, 0, arena,
                            &rule->instances, err));
    *ret = rule;
    return NEO_OK;
}

const struct attest_family attest_cca = {
    .tee = "arm-cca",
    .kind = NEO_EVIDENCE_CCA,
    .simulated = NEO_EVIDENCE_SIM_CCA,
    .checks = checks,
    .n_checks = CCA_CHECKS,
    .judge = judge,
    .compile = compile,
    .describe = describe_cca,
};
