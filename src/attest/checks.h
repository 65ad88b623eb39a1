/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attest/checks.h - every check that evidence must pass, by name and in order.
 *
 * An appraisal lists them all: what was not reached or not asked for says so. The
 * reason of a refusal is that of the first failure in this order.
 */
#ifndef NEO_ATTEST_CHECKS_H
#define NEO_ATTEST_CHECKS_H

#include <neo/attest.h>

/* Bits that a policy may require, forbid, or leave open: name, key in the file. */
#define SNP_POLICY_BITS(X)                                                                         \
    X(SMT, "smt")                                                                                  \
    X(SINGLE_SOCKET, "single_socket")                                                              \
    X(CXL, "cxl")                                                                                  \
    X(MEM_AES_256_XTS, "mem_aes_256_xts")                                                          \
    X(RAPL_DIS, "rapl_dis")                                                                        \
    X(CIPHERTEXT_HIDING, "ciphertext_hiding")                                                      \
    X(PAGE_SWAP_DISABLE, "page_swap_disable")
#define SNP_PLATFORM_BITS(X)                                                                       \
    X(SMT, "smt")                                                                                  \
    X(TSME, "tsme")                                                                                \
    X(ECC, "ecc")                                                                                  \
    X(RAPL_DIS, "rapl_dis")                                                                        \
    X(CIPHERTEXT_HIDING, "ciphertext_hiding")                                                      \
    X(ALIAS_CHECK, "alias_check")                                                                  \
    X(TIO, "tio")

/*
 * Name, text, the reason a failure has unless the check knows better. Up to BINDER and MIGRATE_MA
 * nothing depends on the rules of a policy; what follows is judged for each rule.
 */
#define ATTEST_CHECKS_BEFORE_RULES(X)                                                              \
    X(SERVICE, "policy.service", POLICY_MISSING)                                                   \
    X(KIND, "evidence.kind", UNSUPPORTED)                                                          \
    X(FORMAT, "snp.format", FORMAT)                                                                \
    X(CERTIFICATES, "snp.certificates", COLLATERAL)                                                \
    X(CHAIN, "snp.chain", CHAIN)                                                                   \
    X(ROLES, "snp.roles", CHAIN)                                                                   \
    X(HWID, "snp.hwid", PLATFORM)                                                                  \
    X(SPL, "snp.spl", CHAIN)                                                                       \
    X(PRODUCT, "snp.product", PLATFORM)                                                            \
    X(SIGNATURE, "snp.signature", SIGNATURE)                                                       \
    X(BINDER, "snp.binder", BINDING)                                                               \
    X(DEBUG, "snp.policy.debug", DEBUG)                                                            \
    X(MIGRATE_MA, "snp.policy.migrate_ma", PLATFORM)
#define ATTEST_CHECKS_OF_RULES(X)                                                                  \
    X(VERSION, "snp.report_version", TCB_FLOOR)                                                    \
    X(VEK, "snp.vek", PLATFORM)                                                                    \
    X(CSP_ID, "snp.csp_id", PLATFORM)                                                              \
    X(VMPL, "snp.vmpl", PLATFORM)
#define ATTEST_CHECKS_OF_RULES_REST(X)                                                             \
    X(TCB_REPORTED, "snp.tcb.reported", TCB_FLOOR)                                                 \
    X(TCB_COMMITTED, "snp.tcb.committed", TCB_FLOOR)                                               \
    X(TCB_LAUNCH, "snp.tcb.launch", TCB_FLOOR)                                                     \
    X(TCB_PROVISIONAL, "snp.tcb.provisional", TCB_FLOOR)                                           \
    X(FIRMWARE, "snp.firmware", TCB_FLOOR)                                                         \
    X(MITIGATIONS, "snp.mitigations", TCB_FLOOR)                                                   \
    X(MEASUREMENT, "snp.measurement", MEASUREMENT)                                                 \
    X(ID_KEY, "snp.id_key_digest", MEASUREMENT)                                                    \
    X(AUTHOR_KEY, "snp.author_key_digest", MEASUREMENT)                                            \
    X(HOST_DATA, "snp.host_data", MEASUREMENT)                                                     \
    X(FAMILY_ID, "snp.family_id", MEASUREMENT)                                                     \
    X(IMAGE_ID, "snp.image_id", MEASUREMENT)                                                       \
    X(GUEST_SVN, "snp.guest_svn", MEASUREMENT)                                                     \
    X(PRODUCTS, "snp.products", PLATFORM)                                                          \
    X(CHIP_ID, "snp.chip_id", PLATFORM)

/* clang-format off */
enum attest_check {
#define X(name, text, reason) CHECK_##name,
    ATTEST_CHECKS_BEFORE_RULES(X)
    ATTEST_CHECKS_OF_RULES(X)
#undef X
#define X(name, key) CHECK_POLICY_##name,
    SNP_POLICY_BITS(X)
#undef X
#define X(name, key) CHECK_PLATFORM_##name,
    SNP_PLATFORM_BITS(X)
#undef X
#define X(name, text, reason) CHECK_##name,
    ATTEST_CHECKS_OF_RULES_REST(X)
#undef X
    ATTEST_CHECKS,
};
/* clang-format on */

struct ledger {
    struct neo_arena *arena;
    struct neo_check checks[ATTEST_CHECKS];
    enum neo_attest_reason reason; /* of the first failure; NONE so far */
    size_t first_failure;          /* ATTEST_CHECKS: none */
};

void ledger_init(struct ledger *ledger, struct neo_arena *arena);
void ledger_pass(struct ledger *ledger, enum attest_check check);
/* `why` is static. */
void ledger_skip(struct ledger *ledger, enum attest_check check, const char *why);
/* False, for `return ledger_fail(...)`. */
NEO_PRINTF(3, 4)
bool ledger_fail(struct ledger *ledger, enum attest_check check, const char *format, ...);
NEO_PRINTF(4, 5)
bool ledger_fail_as(struct ledger *ledger, enum attest_check check, enum neo_attest_reason reason,
                    const char *format, ...);

#endif
