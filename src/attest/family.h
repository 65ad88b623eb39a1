/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attest/family.h - the families of evidence, one row each.
 *
 * A family knows its bytes, its maker's roots, its checks, and what a row of a
 * policy may ask of it. What all have in common (who is asked, which kinds a policy
 * takes, that one rule must hold as a whole) is in appraise.c, once.
 */
#ifndef NEO_ATTEST_FAMILY_H
#define NEO_ATTEST_FAMILY_H

#include "attest/describe.h"
#include "attest/ledger.h"
#include "attest/trust.h"

struct attest_row;
struct attest_policy;

/* What is to be judged. Everything is borrowed. */
struct attest_question {
    const struct neo_attest_trust *trust;
    const struct neo_evidence *evidence;
    /* NEO_BINDER_LEN bytes; or, when `is_literal`, what the place for it must hold as it stands: of
     * evidence that another protocol than ours asked for. */
    struct neo_bytes binder;
    bool is_literal;
    int64_t now;   /* seconds since 1970 */
    int64_t grace; /* the policy's: seconds for which stale collateral does */
};
/* In constant time, and whole. */
bool attest_is_bound(const struct attest_question *q, struct neo_bytes found);
/* Where the place holds no more than a digest: SHA-256 of the binder. */
bool attest_is_bound_by_digest(const struct attest_question *q, struct neo_bytes found);

struct attest_family {
    const char *tee;                  /* in policies and appraisals: "sev-snp" */
    enum neo_evidence_kind kind;      /* what the hardware makes */
    enum neo_evidence_kind simulated; /* the same bytes under a root of ours; UNKNOWN: none */
    const struct check_info *checks;
    unsigned n_checks;
    /*
     * Genuine, and an answer to us? Then the policy's rules, by attest_judge_rules(). True: a rule
     * holds as a whole. Fills `measurement` and `not_after` of the appraisal when it knows them.
     */
    bool (*judge)(const struct attest_question *q, const struct attest_policy *policy,
                  struct ledger *ledger, struct neo_appraisal *appraisal);
    /* Compiles a row of this family into `arena`. */
    enum neo_code (*compile)(const struct attest_row *row, struct neo_arena *arena,
                             const void **ret, struct neo_error *err);
    describe_fn *describe; /* for people */
};

/* In the order in which they are offered; ends with NULL. */
extern const struct attest_family *const attest_families[];
extern const struct attest_family attest_snp;
extern const struct attest_family attest_nitro;
extern const struct attest_family attest_sgx;
extern const struct attest_family attest_tdx;
extern const struct attest_family attest_cca;
extern const struct attest_family attest_tpm;
extern const struct attest_family attest_azure_snp;
extern const struct attest_family attest_azure_tdx;

/* Of a parser's failure: malformed, or of a version or kind that is not known (UNIMPLEMENTED). */
static inline enum neo_attest_reason attest_format_reason(enum neo_code code)
{
    return code == NEO_UNIMPLEMENTED ? NEO_ATTEST_UNSUPPORTED : NEO_ATTEST_FORMAT;
}

/* Of a certificate's path that does not hold. */
enum neo_attest_reason attest_chain_reason(enum vendor_verdict verdict);

/* NULL: nobody knows it. */
const struct attest_family *attest_family_of(enum neo_evidence_kind kind);
const struct attest_family *attest_family_named(struct neo_bytes tee);

/* One rule against what was verified: makes every check of it, also after a failure. */
typedef void attest_rule_fn(const void *rule, const void *facts, struct ledger *ledger);
/*
 * The first of the policy's rules of this family that holds as a whole; NULL: none, and `ledger`
 * shows the one that came furthest.
 */
const struct attest_rule *attest_judge_rules(const struct attest_policy *policy,
                                             const struct attest_family *family,
                                             attest_rule_fn *judge, const void *facts,
                                             struct ledger *ledger);

#endif
