/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order is the promise: who is asked, what kind of evidence it is, whether it
 * is genuine and ours, and only then the rules of the policy. Of several rules one
 * must hold as a whole; when none does, the appraisal shows the one that came
 * furthest.
 */
#include "attest/family.h"
#include "attest/policies.h"

#include <neo/digest.h>
#include <neo/evidence.h>

#include <stdio.h>

/* Of evidence that nobody knows. */
/* clang-format off */
static const struct check_info common_checks[COMMON_CHECKS_N] = {
    COMMON_CHECKS(CHECK_ROW)
};
/* clang-format on */

static bool check_service(const struct attest_policy *policy, struct neo_bytes service,
                          struct ledger *ledger)
{
    if (policy == NULL || policy->n_rules == 0)
        return ledger_fail(ledger, CHECK_SERVICE, "no policy says what \"%.*s\" must run",
                           NEO_FMT(service));
    ledger_pass(ledger, CHECK_SERVICE);
    return true;
}

/* "snp-report or tdx-quote" */
static void list_kinds(unsigned kinds, char *text, size_t size)
{
    struct neo_bytes names[NEO_EVIDENCE_UNKNOWN];
    size_t n = attest_kind_names(kinds, names);
    size_t len = 0;

    text[0] = '\0';
    for (size_t i = 0; i < n && len < size; i++)
        len += (size_t)snprintf(text + len, size - len, "%s%.*s", i > 0 ? " or " : "",
                                NEO_FMT(names[i]));
}

static bool check_kind(const struct attest_policy *policy, const struct attest_question *q,
                       const struct attest_family *family, struct ledger *ledger)
{
    enum neo_evidence_kind kind = q->evidence->kind;
    char accepted[128];

    if (family != NULL && kind == family->simulated && !q->trust->development)
        return ledger_fail(ledger, CHECK_KIND, "simulated evidence outside development");
    if (family == NULL || !attest_policy_accepts(policy, kind)) {
        list_kinds(attest_policy_kinds(policy), accepted, sizeof(accepted));
        return ledger_fail(ledger, CHECK_KIND, "%s, the policy requires %s",
                           neo_evidence_kind_text(kind), accepted);
    }
    ledger_pass(ledger, CHECK_KIND);
    return true;
}

const struct attest_rule *attest_judge_rules(const struct attest_policy *policy,
                                             const struct attest_family *family,
                                             attest_rule_fn *judge, const void *facts,
                                             struct ledger *ledger)
{
    const struct ledger before = *ledger;
    bool is_first = true;

    for (size_t i = 0; i < policy->n_rules; i++) {
        struct ledger tried = before;
        if (policy->rules[i].family != family)
            continue;
        judge(policy->rules[i].is, facts, &tried);
        if (is_first || tried.first_failure > ledger->first_failure)
            *ledger = tried;
        is_first = false;
        if (ledger_holds(&tried))
            return &policy->rules[i];
    }
    return NULL;
}

static enum neo_code publish(const struct ledger *ledger, struct neo_appraisal *appraisal,
                             struct neo_error *err)
{
    struct neo_arena *arena = ledger->arena;
    struct neo_check *checks = neo_arena_calloc(arena, ledger->n, sizeof(*checks));

    if (checks == NULL || neo_arena_failed(arena))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for the appraisal");
    memcpy(checks, ledger->checks, ledger->n * sizeof(*checks));
    appraisal->checks = checks;
    appraisal->n_checks = ledger->n;
    appraisal->reason = ledger->reason;
    appraisal->by_grace = ledger->by_grace;
    return NEO_OK;
}

/* Is what was found genuine and allowed one of those that count now? */
static bool check_rollout(const struct neo_attest_policies *policies, struct neo_bytes service,
                          int64_t now, struct neo_appraisal *appraisal, struct ledger *ledger)
{
    if (!attest_policies_rolls_out(policies, service)) {
        ledger_skip(ledger, CHECK_ROLLOUT, ledger_not_asked_for);
        return true;
    }
    const char *why =
        attest_policies_rollout_refusal(policies, service, appraisal->measurement, now);
    if (why != NULL)
        return ledger_fail(ledger, CHECK_ROLLOUT, "this measurement is %s", why);
    int64_t end = attest_policies_rollout_end(policies, service, appraisal->measurement);
    if (end < appraisal->not_after) /* what rests on it ends with it */
        appraisal->not_after = end;
    appraisal->rollout_end = end == INT64_MAX ? 0 : end;
    ledger_pass(ledger, CHECK_ROLLOUT);
    return true;
}

/* True: accepted. There is one way to say so, and it is behind everything else. */
static bool judge(const struct attest_question *q, const struct neo_attest_policies *policies,
                  const struct attest_policy *policy, struct neo_bytes service,
                  struct ledger *ledger, struct neo_appraisal *appraisal)
{
    const struct attest_family *family = attest_family_of(q->evidence->kind);

    if (!check_service(policy, service, ledger) || !check_kind(policy, q, family, ledger))
        return false;
    struct attest_question mine = *q;
    mine.grace = policy->max_stale;
    appraisal->max_age = policy->max_age;
    return family->judge(&mine, policy, ledger, appraisal) &&
           check_rollout(policies, service, q->now, appraisal, ledger) && ledger_holds(ledger);
}

static enum neo_code appraise(const struct attest_question *q,
                              const struct neo_attest_policies *policies, struct neo_bytes service,
                              struct neo_arena *arena, struct neo_appraisal *ret,
                              struct neo_error *err)
{
    const struct neo_evidence *evidence = q->evidence;
    const struct attest_family *family = attest_family_of(evidence->kind);
    struct neo_appraisal appraisal = {
        .kind = evidence->kind,
        .simulated = family != NULL && evidence->kind == family->simulated,
        .tee = family != NULL ? family->tee : "unknown",
    };
    struct ledger ledger;

    if (family != NULL)
        ledger_init(&ledger, family->checks, family->n_checks, arena);
    else
        ledger_init(&ledger, common_checks, COMMON_CHECKS_N, arena);
    neo_sha256(evidence->body, appraisal.evidence_sha256);
    const struct attest_policy *policy = attest_policies_find(policies, service);
    appraisal.accepted = judge(q, policies, policy, service, &ledger, &appraisal);
    NEO_TRY(publish(&ledger, &appraisal, err));
    if (q->trust->missing != NULL && (appraisal.reason == NEO_ATTEST_COLLATERAL ||
                                      appraisal.reason == NEO_ATTEST_COLLATERAL_STALE))
        q->trust->missing(q->trust->missing_self, evidence);
    *ret = appraisal;
    return NEO_OK;
}

enum neo_code neo_attest_appraise(const struct neo_attest_trust *trust,
                                  const struct neo_attest_policies *policies,
                                  struct neo_bytes service, const struct neo_evidence *evidence,
                                  const uint8_t binder[static NEO_BINDER_LEN], int64_t now,
                                  struct neo_arena *arena, struct neo_appraisal *ret,
                                  struct neo_error *err)
{
    const struct attest_question q = {
        .trust = trust,
        .evidence = evidence,
        .binder = neo_bytes(binder, NEO_BINDER_LEN),
        .now = now,
    };

    return appraise(&q, policies, service, arena, ret, err);
}

enum neo_code neo_evidence_appraise(const struct neo_evidence_question *question,
                                    struct neo_arena *arena, struct neo_appraisal *ret,
                                    struct neo_error *err)
{
    const struct attest_question q = {
        .trust = question->trust,
        .evidence = question->evidence,
        .binder = question->bound,
        .is_literal = true,
        .now = question->now,
    };

    return appraise(&q, question->policies, question->service, arena, ret, err);
}
