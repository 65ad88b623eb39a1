/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attest/intel.h - is this DCAP quote genuine, and an answer to our question? SGX and TDX.
 *
 * The path from the PCK certificate to Intel's root, with revocation; Intel's signed
 * documents about this platform; that Intel's own quoting enclave made the
 * attestation key, and that this key signed the quote; the binder; what is never
 * allowed. Then the platform's standing by Intel's levels, which the rules judge.
 */
#ifndef NEO_ATTEST_INTEL_H
#define NEO_ATTEST_INTEL_H

#include "attest/family.h"
#include "attest/intel_tcb.h"

/* Name, text behind "sgx." or "tdx.", reason, claim. */
#define INTEL_CHECKS_BEFORE_RULES(X)                                                               \
    X(INTEL_FORMAT, "format", FORMAT, HARDWARE)                                                    \
    X(INTEL_TEE, "tee", UNSUPPORTED, HARDWARE)                                                     \
    X(INTEL_CERTIFICATES, "certificates", CHAIN, HARDWARE)                                         \
    X(INTEL_CHAIN, "chain", CHAIN, HARDWARE)                                                       \
    X(INTEL_PCK, "pck", CHAIN, HARDWARE)                                                           \
    X(INTEL_QE_SIGNATURE, "qe.signature", SIGNATURE, HARDWARE)                                     \
    X(INTEL_QE_KEY, "qe.key", SIGNATURE, HARDWARE)                                                 \
    X(INTEL_SIGNATURE, "signature", SIGNATURE, HARDWARE)                                           \
    X(INTEL_BINDER, "binder", BINDING, NONE)                                                       \
    X(INTEL_DEBUG, "debug", DEBUG, CONFIGURATION)                                                  \
    X(INTEL_COLLATERAL, "collateral", COLLATERAL, NONE)                                            \
    X(INTEL_COLLATERAL_SIGNATURE, "collateral.signature", SIGNATURE, NONE)                         \
    X(INTEL_COLLATERAL_FRESH, "collateral.fresh", COLLATERAL_STALE, NONE)                          \
    X(INTEL_QE_IDENTITY, "qe.identity", QE_IDENTITY, HARDWARE)                                     \
    X(INTEL_MODULE, "module", PLATFORM, HARDWARE)                                                  \
    X(INTEL_TCB, "tcb", TCB_STATUS, CONFIGURATION)
#define INTEL_CHECKS_OF_RULES(X)                                                                   \
    X(INTEL_TCB_STATUS, "tcb.status", TCB_STATUS, CONFIGURATION)                                   \
    X(INTEL_TCB_ADVISORIES, "tcb.advisories", TCB_STATUS, CONFIGURATION)                           \
    X(INTEL_TCB_DATE, "tcb.min_date", TCB_FLOOR, CONFIGURATION)                                    \
    X(INTEL_TCB_EVALUATION, "tcb.min_eval_number", TCB_FLOOR, CONFIGURATION)                       \
    X(INTEL_PCK_TYPE, "pck.sgx_type", PLATFORM, CONFIGURATION)                                     \
    X(INTEL_PCK_INSTANCE, "pck.platform_instance_id", PLATFORM, INSTANCE)                          \
    X(INTEL_PCK_PPID, "pck.ppid", PLATFORM, INSTANCE)                                              \
    X(INTEL_PCK_FMSPC, "pck.fmspc", PLATFORM, NONE)

/* clang-format off */
enum intel_check {
    CHECK_INTEL_BEFORE = COMMON_CHECKS_N - 1,
#define X(name, text, reason, claim) CHECK_##name,
    INTEL_CHECKS_BEFORE_RULES(X)
    INTEL_CHECKS_OF_RULES(X)
#undef X
    INTEL_CHECKS,
};
/* clang-format on */

/* Intel SGX Root CA: SHA-256 of its DER. */
extern const uint8_t intel_root_sha256[NEO_SHA256_LEN];

/* What was verified, and what rules are judged on. */
struct intel_case {
    const struct attest_question *q;
    const struct attest_family *family;
    struct intel_quote quote;
    struct vendor_bundle chain; /* as it came: leaf, authority, root */
    struct intel_pck pck;
    const struct intel_document *tcb;
    const struct intel_document *identity;
    struct vendor_cert *signer; /* of the two */
    int64_t not_after;
    struct intel_standing standing;
};
/* `c` has its question and family. All steps, up to the first that fails. True: all passed. */
bool intel_verify(struct intel_case *c, struct ledger *ledger);
/* Of these, form to signature; and debug to standing. Between them stands what the quote is bound
 * to: the binder, or, behind a paravisor, what leads to it. */
bool intel_verify_hardware(struct intel_case *c, struct ledger *ledger);
bool intel_verify_standing(struct intel_case *c, struct ledger *ledger);
/* What is known of the evidence, however far it came. */
void intel_describe(const struct intel_case *c, const struct ledger *ledger,
                    struct neo_appraisal *appraisal);
void intel_case_fini(struct intel_case *c);

/* What rules of both families ask for. */
struct intel_rule {
    unsigned statuses; /* bits by enum intel_status */
    const struct neo_bytes *advisories;
    size_t n_advisories;
    int64_t min_date;
    uint32_t min_evaluation;
    unsigned sgx_types; /* bits; 0: any */
    struct attest_values instances;
    struct attest_values ppids;
    struct attest_values fmspcs;
};
struct intel_row;
NEO_MUST_CHECK enum neo_code intel_rule_compile(const struct intel_row *row,
                                                struct neo_arena *arena, struct intel_rule *ret,
                                                struct neo_error *err);
void intel_rule_judge(const struct intel_rule *rule, const struct intel_case *c,
                      struct ledger *ledger);

#endif
