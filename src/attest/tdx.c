/* SPDX-License-Identifier: Apache-2.0 */
/* Intel TDX: what a trust domain must be. */
#include "attest/policies.h"
#include "attest/row.h"
#include "attest/tdx_rule.h"

/* clang-format off */
static const struct check_info checks[TDX_CHECKS] = {
    TDX_CHECK_ROWS
};
/* clang-format on */

enum { DIGEST_LEN = 48, FLAGS_LEN = 8 };

struct masked {
    uint8_t value[FLAGS_LEN];
    uint8_t mask[FLAGS_LEN];
};

struct tdx_rule {
    struct intel_rule intel;
    struct masked attributes;
    struct masked xfam;
    uint8_t mrservicetd[DIGEST_LEN]; /* zero: none may be bound */
    struct attest_values mrseams;
    struct attest_values mrtds;
    struct attest_values rtmrs[INTEL_RTMRS];
    struct attest_values mrconfigids;
    struct attest_values mrowners;
    struct attest_values mrownerconfigs;
};

/* Page tables the host cannot turn against the TD; not to be moved; no bit that nobody knows, and
 * none that lets the host count what happens inside. Protection keys may be in use. */
static const struct masked default_attributes = {
    .value = {0, 0, 0, 0x10, 0, 0, 0, 0},
    .mask = {0xff, 0xff, 0xff, 0x3f, 0xff, 0xff, 0xff, 0xff},
};
/* x87 and SSE are always there; the rest is the owner's choice. */
static const struct masked default_xfam = {.value = {0x03}, .mask = {0x03}};

/* --- judging ---------------------------------------------------------------------------------- */

static void judge_masked(struct ledger *ledger, unsigned check, const struct masked *wanted,
                         const uint8_t *has)
{
    for (size_t i = 0; i < FLAGS_LEN; i++) {
        if ((has[i] & wanted->mask[i]) != (wanted->value[i] & wanted->mask[i])) {
            ledger_fail(ledger, check, "%02x%02x%02x%02x%02x%02x%02x%02x differs in byte %zu",
                        has[0], has[1], has[2], has[3], has[4], has[5], has[6], has[7], i);
            return;
        }
    }
    ledger_pass(ledger, check);
}

/* A TD 1.0 has no place for one. */
static void judge_servicetd(const struct tdx_rule *rule, const struct tdx_body *td,
                            struct ledger *ledger)
{
    if (memcmp(td->mrservicetd, rule->mrservicetd, sizeof(td->mrservicetd)) == 0)
        ledger_pass(ledger, CHECK_TDX_MRSERVICETD);
    else
        ledger_fail(ledger, CHECK_TDX_MRSERVICETD,
                    "another service TD is bound than the policy names, or none");
}

static bool is_none_or(const uint8_t *digest, const uint8_t *named)
{
    static const uint8_t none[DIGEST_LEN];

    return memcmp(digest, none, DIGEST_LEN) == 0 || memcmp(digest, named, DIGEST_LEN) == 0;
}

/* Only the extended body says what was bound first, what is bound by now, and who asked. */
static void judge_extension(const struct tdx_rule *rule, const struct tdx_body *td,
                            struct ledger *ledger)
{
    static const char not_said[] = "the body does not say";

    if (!td->is_extended) {
        ledger_skip(ledger, CHECK_TDX_SERVICETD_BOUND, not_said);
        ledger_skip(ledger, CHECK_TDX_VMID, not_said);
        return;
    }
    if (is_none_or(td->service_td_first, rule->mrservicetd) &&
        is_none_or(td->service_td_now, rule->mrservicetd))
        ledger_pass(ledger, CHECK_TDX_SERVICETD_BOUND);
    else
        ledger_fail(ledger, CHECK_TDX_SERVICETD_BOUND,
                    "a service TD was bound at first, or is by now, that the policy does not name");
    if (td->vmid == 0)
        ledger_pass(ledger, CHECK_TDX_VMID);
    else
        ledger_fail(ledger, CHECK_TDX_VMID, "asked for by machine %u within the TD", td->vmid);
}

void tdx_rule_judge(const void *is, const void *facts, struct ledger *ledger)
{
    const struct tdx_rule *rule = is;
    const struct intel_case *c = facts;
    const struct tdx_body *td = &c->quote.body.tdx;

    intel_rule_judge(&rule->intel, c, ledger);
    judge_masked(ledger, CHECK_TDX_ATTRIBUTES, &rule->attributes, td->td_attributes);
    judge_masked(ledger, CHECK_TDX_XFAM, &rule->xfam, td->xfam);
    judge_servicetd(rule, td, ledger);
    judge_extension(rule, td, ledger);
    ledger_judge_value(ledger, CHECK_TDX_MRSEAM, rule->mrseams, td->mrseam, DIGEST_LEN);
    ledger_judge_value(ledger, CHECK_TDX_MRTD, rule->mrtds, td->mrtd, DIGEST_LEN);
    for (unsigned i = 0; i < INTEL_RTMRS; i++)
        ledger_judge_value(ledger, CHECK_TDX_RTMR0 + i, rule->rtmrs[i], td->rtmr[i], DIGEST_LEN);
    ledger_judge_value(ledger, CHECK_TDX_MRCONFIGID, rule->mrconfigids, td->mrconfigid, DIGEST_LEN);
    ledger_judge_value(ledger, CHECK_TDX_MROWNER, rule->mrowners, td->mrowner, DIGEST_LEN);
    ledger_judge_value(ledger, CHECK_TDX_MROWNERCONFIG, rule->mrownerconfigs, td->mrownerconfig,
                       DIGEST_LEN);
}

static bool judge(const struct attest_question *q, const struct attest_policy *policy,
                  struct ledger *ledger, struct neo_appraisal *appraisal)
{
    NEO_CLEANUP(intel_case_fini) struct intel_case c = {.q = q, .family = &attest_tdx};
    bool genuine = intel_verify(&c, ledger);

    intel_describe(&c, ledger, appraisal);
    if (!genuine)
        return false;
    appraisal->not_after = c.not_after;
    return attest_judge_rules(policy, &attest_tdx, tdx_rule_judge, &c, ledger) != NULL;
}

/* --- from the file ---------------------------------------------------------------------------- */

static enum neo_code read_masked(const struct masked_row *row, const char *key,
                                 const struct masked *otherwise, struct masked *ret,
                                 struct neo_error *err)
{
    *ret = *otherwise;
    if (!row_gives(row->place))
        return NEO_OK;
    if (!row_gives(row->value.place) || !row_gives(row->mask.place))
        return row_refuse(row->place, "\"%s\" needs value and mask, 16 hex digits each", key);
    NEO_TRY(row_read_hex(&row->value, "value", FLAGS_LEN, 0, ret->value, err));
    NEO_TRY(row_read_hex(&row->mask, "mask", FLAGS_LEN, 0, ret->mask, err));
    for (size_t i = 0; i < FLAGS_LEN; i++) {
        if ((ret->value[i] & ~ret->mask[i]) != 0)
            return row_refuse(row->place, "\"%s\" asks for bits that its mask leaves out", key);
    }
    return NEO_OK;
}

static enum neo_code read_rtmrs(const struct row_lists *rtmr, struct neo_arena *arena,
                                struct tdx_rule *rule, struct neo_error *err)
{
    const struct row_lists_entry *entries = rtmr->items.at;

    for (size_t i = 0; i < rtmr->items.len; i++) {
        struct neo_bytes key = entries[i].key;
        if (key.len != 1 || key.at[0] < '0' || key.at[0] >= '0' + INTEL_RTMRS)
            return row_refuse(entries[i].place, "\"%.*s\" is no RTMR: 0 to 3", NEO_FMT(key));
        const struct row_list list = {entries[i].items, entries[i].place};
        NEO_TRY(row_read_values(&list, "rtmr", DIGEST_LEN, 0, arena, &rule->rtmrs[key.at[0] - '0'],
                                err));
    }
    return NEO_OK;
}

static enum neo_code read_digests(const struct tdx_row *row, struct neo_arena *arena,
                                  struct tdx_rule *rule, struct neo_error *err)
{
    NEO_TRY(row_read_values(&row->mrseam, "mrseam", DIGEST_LEN, 0, arena, &rule->mrseams, err));
    NEO_TRY(row_read_values(&row->mrtd, "mrtd", DIGEST_LEN, 0, arena, &rule->mrtds, err));
    NEO_TRY(row_read_values(&row->mrconfigid, "mrconfigid", DIGEST_LEN, 0, arena,
                            &rule->mrconfigids, err));
    NEO_TRY(row_read_values(&row->mrowner, "mrowner", DIGEST_LEN, 0, arena, &rule->mrowners, err));
    NEO_TRY(row_read_values(&row->mrownerconfig, "mrownerconfig", DIGEST_LEN, 0, arena,
                            &rule->mrownerconfigs, err));
    if (row_gives(row->mrservicetd.place) && !neo_bytes_is(row->mrservicetd.text, "zero"))
        NEO_TRY(
            row_read_hex(&row->mrservicetd, "mrservicetd", DIGEST_LEN, 0, rule->mrservicetd, err));
    return read_rtmrs(&row->rtmr, arena, rule, err);
}

enum neo_code tdx_rule_compile(const struct attest_row *row, struct neo_arena *arena,
                               const void **ret, struct neo_error *err)
{
    struct tdx_rule *rule = neo_arena_calloc(arena, 1, sizeof(*rule));

    if (rule == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for a rule");
    if (!row_gives(row->tdx.mrtd.place))
        return row_refuse(row->place, "no code identity: any code would be accepted; add "
                                      "\"mrtd\" with the allowed build-time measurements");
    NEO_TRY(intel_rule_compile(&row->intel, arena, &rule->intel, err));
    NEO_TRY(read_masked(&row->tdx.td_attributes, "td_attributes", &default_attributes,
                        &rule->attributes, err));
    NEO_TRY(read_masked(&row->tdx.xfam, "xfam", &default_xfam, &rule->xfam, err));
    NEO_TRY(read_digests(&row->tdx, arena, rule, err));
    *ret = rule;
    return NEO_OK;
}

const struct attest_family attest_tdx = {
    .tee = "tdx",
    .kind = NEO_EVIDENCE_TDX,
    .simulated = NEO_EVIDENCE_SIM_TDX,
    .checks = checks,
    .n_checks = TDX_CHECKS,
    .judge = judge,
    .compile = tdx_rule_compile,
    .describe = describe_intel,
};
