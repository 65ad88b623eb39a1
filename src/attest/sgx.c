/* SPDX-License-Identifier: Apache-2.0 */
/* Intel SGX: what an enclave must be. */
#include "attest/intel.h"
#include "attest/policies.h"
#include "attest/row.h"

#define SGX_CHECKS_OF_RULES(X)                                                                     \
    X(SGX_KEYS, "sgx.keys", PLATFORM, CONFIGURATION)                                               \
    X(SGX_MRENCLAVE, "sgx.mrenclave", MEASUREMENT, EXECUTABLES)                                    \
    X(SGX_MRSIGNER, "sgx.mrsigner", MEASUREMENT, EXECUTABLES)                                      \
    X(SGX_ISVPRODID, "sgx.isvprodid", MEASUREMENT, EXECUTABLES)                                    \
    X(SGX_ISVSVN, "sgx.min_isvsvn", MEASUREMENT, EXECUTABLES)

/* clang-format off */
enum sgx_check {
    CHECK_SGX_BEFORE = INTEL_CHECKS - 1,
#define X(name, text, reason, claim) CHECK_##name,
    SGX_CHECKS_OF_RULES(X)
#undef X
    SGX_CHECKS,
};

static const struct check_info checks[SGX_CHECKS] = {
    COMMON_CHECKS(CHECK_ROW)
#define X(name, text, reason, claim) CHECK_ROW(name, "sgx." text, reason, claim)
    INTEL_CHECKS_BEFORE_RULES(X)
    INTEL_CHECKS_OF_RULES(X)
#undef X
    SGX_CHECKS_OF_RULES(CHECK_ROW)
};
/* clang-format on */

struct sgx_rule {
    struct intel_rule intel;
    struct attest_values mrenclaves;
    struct attest_values mrsigners;
    bool has_product; /* with mrsigner */
    uint32_t isv_prod_id;
    uint32_t min_isv_svn;
};

/* An enclave that may ask for provisioning or launch keys is Intel's own kind, and nobody's
 * service. */
static void judge_keys(const struct sgx_body *body, struct ledger *ledger)
{
    if ((body->flags & (SGX_FLAG_PROVISION_KEY | SGX_FLAG_LAUNCH_KEY)) != 0)
        ledger_fail(ledger, CHECK_SGX_KEYS, "the enclave may use provisioning or launch keys");
    else
        ledger_pass(ledger, CHECK_SGX_KEYS);
}

static void judge_product(const struct sgx_rule *rule, const struct sgx_body *body,
                          struct ledger *ledger)
{
    if (!rule->has_product)
        ledger_skip(ledger, CHECK_SGX_ISVPRODID, ledger_not_asked_for);
    else if (body->isv_prod_id == rule->isv_prod_id)
        ledger_pass(ledger, CHECK_SGX_ISVPRODID);
    else
        ledger_fail(ledger, CHECK_SGX_ISVPRODID, "%u, must be %u", body->isv_prod_id,
                    rule->isv_prod_id);

    if (rule->min_isv_svn == 0)
        ledger_skip(ledger, CHECK_SGX_ISVSVN, ledger_not_asked_for);
    else if (body->isv_svn >= rule->min_isv_svn)
        ledger_pass(ledger, CHECK_SGX_ISVSVN);
    else
        ledger_fail(ledger, CHECK_SGX_ISVSVN, "%u is below %u", body->isv_svn, rule->min_isv_svn);
}

static void judge_rule(const void *is, const void *facts, struct ledger *ledger)
{
    const struct sgx_rule *rule = is;
    const struct intel_case *c = facts;
    const struct sgx_body *body = &c->quote.body.sgx;

    intel_rule_judge(&rule->intel, c, ledger);
    judge_keys(body, ledger);
    ledger_judge_value(ledger, CHECK_SGX_MRENCLAVE, rule->mrenclaves, body->mrenclave,
                       sizeof(body->mrenclave));
    ledger_judge_value(ledger, CHECK_SGX_MRSIGNER, rule->mrsigners, body->mrsigner,
                       sizeof(body->mrsigner));
    judge_product(rule, body, ledger);
}

static bool judge(const struct attest_question *q, const struct attest_policy *policy,
                  struct ledger *ledger, struct neo_appraisal *appraisal)
{
    NEO_CLEANUP(intel_case_fini) struct intel_case c = {.q = q, .family = &attest_sgx};
    bool genuine = intel_verify(&c, ledger);

    intel_describe(&c, ledger, appraisal);
    if (!genuine)
        return false;
    appraisal->not_after = c.not_after;
    return attest_judge_rules(policy, &attest_sgx, judge_rule, &c, ledger) != NULL;
}

/* The code, by its own digest; or whatever one signer calls one product. */
static enum neo_code check_identity(const struct attest_row *row, struct neo_error *err)
{
    const struct sgx_row *sgx = &row->sgx;
    bool by_signer = row_gives(sgx->mrsigner.place);

    if (by_signer != row_gives(sgx->isvprodid.place))
        return row_refuse(row->place, "mrsigner and isvprodid belong together: a signer has many "
                                      "products");
    if (!by_signer && row_gives(sgx->min_isvsvn.place))
        return row_refuse(sgx->min_isvsvn.place, "min_isvsvn belongs to mrsigner and isvprodid");
    if (!by_signer && !row_gives(sgx->mrenclave.place))
        return row_refuse(row->place, "no code identity: any code would be accepted; add "
                                      "\"mrenclave\", or \"mrsigner\" with \"isvprodid\"");
    return NEO_OK;
}

static enum neo_code compile(const struct attest_row *row, struct neo_arena *arena,
                             const void **ret, struct neo_error *err)
{
    struct sgx_rule *rule = neo_arena_calloc(arena, 1, sizeof(*rule));

    if (rule == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for a rule");
    NEO_TRY(check_identity(row, err));
    NEO_TRY(intel_rule_compile(&row->intel, arena, &rule->intel, err));
    NEO_TRY(
        row_read_values(&row->sgx.mrenclave, "mrenclave", 32, 0, arena, &rule->mrenclaves, err));
    NEO_TRY(row_read_values(&row->sgx.mrsigner, "mrsigner", 32, 0, arena, &rule->mrsigners, err));
    rule->has_product = row_gives(row->sgx.isvprodid.place);
    rule->isv_prod_id = row->sgx.isvprodid.value;
    rule->min_isv_svn = row->sgx.min_isvsvn.value;
    *ret = rule;
    return NEO_OK;
}

const struct attest_family attest_sgx = {
    .tee = "sgx",
    .kind = NEO_EVIDENCE_SGX,
    .simulated = NEO_EVIDENCE_SIM_SGX,
    .checks = checks,
    .n_checks = SGX_CHECKS,
    .judge = judge,
    .compile = compile,
    .describe = describe_intel,
};
