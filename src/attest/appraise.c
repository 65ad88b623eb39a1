/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order is the promise: who is asked, what kind of evidence it is, whether it
 * is genuine and ours, and only then the rules of the policy. Of several rules one
 * must hold as a whole; when none does, the appraisal shows the one that came
 * furthest.
 */
#include "attest/policies.h"
#include "attest/snp.h"

static bool check_service(const struct attest_policy *policy, struct neo_bytes service,
                          struct ledger *ledger)
{
    if (policy == NULL || policy->n_rules == 0)
        return ledger_fail(ledger, CHECK_SERVICE, "no policy says what \"%.*s\" must run",
                           NEO_FMT(service));
    ledger_pass(ledger, CHECK_SERVICE);
    return true;
}

static bool check_kind(const struct attest_policy *policy, const struct neo_attest_trust *trust,
                       enum neo_evidence_kind kind, struct ledger *ledger)
{
    if (kind == NEO_EVIDENCE_SIM_SNP && !trust->development)
        return ledger_fail(ledger, CHECK_KIND, "simulated evidence outside development");
    if (kind != attest_policy_kind(policy))
        return ledger_fail(ledger, CHECK_KIND, "%s, the policy requires %s",
                           neo_evidence_kind_text(kind),
                           neo_evidence_kind_text(attest_policy_kind(policy)));
    ledger_pass(ledger, CHECK_KIND);
    return true;
}

/* True: a rule holds as a whole. */
static bool judge_rules(const struct attest_policy *policy, const struct snp_facts *facts,
                        struct ledger *ledger)
{
    const struct ledger before = *ledger;

    for (size_t i = 0; i < policy->n_rules; i++) {
        struct ledger tried = before;
        snp_rule_judge(&policy->rules[i], facts, &tried);
        if (i == 0 || tried.first_failure > ledger->first_failure)
            *ledger = tried;
        if (tried.first_failure == ATTEST_CHECKS)
            return true;
    }
    return false;
}

static enum neo_code publish(const struct ledger *ledger, struct neo_appraisal *appraisal,
                             struct neo_error *err)
{
    struct neo_arena *arena = ledger->arena;
    struct neo_check *checks = neo_arena_calloc(arena, ATTEST_CHECKS, sizeof(*checks));

    appraisal->measurement = neo_arena_copy(arena, appraisal->measurement);
    if (checks == NULL || neo_arena_failed(arena))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for the appraisal");
    memcpy(checks, ledger->checks, sizeof(ledger->checks));
    appraisal->checks = checks;
    appraisal->n_checks = ATTEST_CHECKS;
    appraisal->reason = ledger->reason;
    return NEO_OK;
}

/* True: accepted. There is one way to say so, and it is behind everything else. */
static bool judge(struct snp_case *c, const struct attest_policy *policy, struct neo_bytes service,
                  struct ledger *ledger, struct neo_appraisal *appraisal)
{
    if (!check_service(policy, service, ledger) ||
        !check_kind(policy, c->trust, c->evidence->kind, ledger))
        return false;
    appraisal->max_age = policy->max_age;
    bool genuine = snp_verify(c, ledger);
    if (ledger->checks[CHECK_FORMAT].result == NEO_CHECK_PASS)
        appraisal->measurement = neo_bytes(c->report.measurement, sizeof(c->report.measurement));
    if (!genuine)
        return false;
    appraisal->not_after = c->path.not_after;
    return judge_rules(policy, &(struct snp_facts){&c->report, &c->endorsement}, ledger);
}

enum neo_code neo_attest_appraise(const struct neo_attest_trust *trust,
                                  const struct neo_attest_policies *policies,
                                  struct neo_bytes service, const struct neo_evidence *evidence,
                                  const uint8_t binder[static NEO_BINDER_LEN], int64_t now,
                                  struct neo_arena *arena, struct neo_appraisal *ret,
                                  struct neo_error *err)
{
    NEO_CLEANUP(snp_case_fini)
    struct snp_case c = {.trust = trust, .evidence = evidence, .binder = binder, .now = now};
    struct neo_appraisal appraisal = {
        .simulated = evidence->kind == NEO_EVIDENCE_SIM_SNP,
        .tee = "sev-snp",
    };
    struct ledger ledger;

    ledger_init(&ledger, arena);
    neo_sha256(evidence->body, appraisal.evidence_sha256);
    const struct attest_policy *policy = attest_policies_find(policies, service);
    appraisal.accepted = judge(&c, policy, service, &ledger, &appraisal);
    NEO_TRY(publish(&ledger, &appraisal, err));
    *ret = appraisal;
    return NEO_OK;
}
