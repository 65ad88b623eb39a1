/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attest/snp_checks.h - what SEV-SNP evidence must pass, by name and in order.
 */
#ifndef NEO_ATTEST_SNP_CHECKS_H
#define NEO_ATTEST_SNP_CHECKS_H

#include "attest/ledger.h"

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
 * Name, text, reason, claim. Up to BINDER and MIGRATE_MA nothing depends on the rules of a policy;
 * what follows is judged for each rule.
 */
#define SNP_CHECKS_BEFORE_RULES(X)                                                                 \
    X(FORMAT, "snp.format", FORMAT, HARDWARE)                                                      \
    X(CERTIFICATES, "snp.certificates", COLLATERAL, HARDWARE)                                      \
    X(CHAIN, "snp.chain", CHAIN, HARDWARE)                                                         \
    X(ROLES, "snp.roles", CHAIN, HARDWARE)                                                         \
    X(HWID, "snp.hwid", PLATFORM, HARDWARE)                                                        \
    X(SPL, "snp.spl", CHAIN, HARDWARE)                                                             \
    X(PRODUCT, "snp.product", PLATFORM, HARDWARE)                                                  \
    X(SIGNATURE, "snp.signature", SIGNATURE, HARDWARE)                                             \
    X(BINDER, "snp.binder", BINDING, NONE)                                                         \
    X(DEBUG, "snp.policy.debug", DEBUG, CONFIGURATION)                                             \
    X(MIGRATE_MA, "snp.policy.migrate_ma", PLATFORM, CONFIGURATION)
#define SNP_CHECKS_OF_RULES(X)                                                                     \
    X(VERSION, "snp.report_version", TCB_FLOOR, CONFIGURATION)                                     \
    X(VEK, "snp.vek", PLATFORM, CONFIGURATION)                                                     \
    X(CSP_ID, "snp.csp_id", PLATFORM, CONFIGURATION)                                               \
    X(VMPL, "snp.vmpl", PLATFORM, CONFIGURATION)
#define SNP_CHECKS_OF_RULES_REST(X)                                                                \
    X(TCB_REPORTED, "snp.tcb.reported", TCB_FLOOR, CONFIGURATION)                                  \
    X(TCB_COMMITTED, "snp.tcb.committed", TCB_FLOOR, CONFIGURATION)                                \
    X(TCB_LAUNCH, "snp.tcb.launch", TCB_FLOOR, CONFIGURATION)                                      \
    X(TCB_PROVISIONAL, "snp.tcb.provisional", TCB_FLOOR, CONFIGURATION)                            \
    X(FIRMWARE, "snp.firmware", TCB_FLOOR, CONFIGURATION)                                          \
    X(MITIGATIONS, "snp.mitigations", TCB_FLOOR, CONFIGURATION)                                    \
    X(MEASUREMENT, "snp.measurement", MEASUREMENT, EXECUTABLES)                                    \
    X(ID_KEY, "snp.id_key_digest", MEASUREMENT, EXECUTABLES)                                       \
    X(AUTHOR_KEY, "snp.author_key_digest", MEASUREMENT, EXECUTABLES)                               \
    X(HOST_DATA, "snp.host_data", MEASUREMENT, EXECUTABLES)                                        \
    X(FAMILY_ID, "snp.family_id", MEASUREMENT, EXECUTABLES)                                        \
    X(IMAGE_ID, "snp.image_id", MEASUREMENT, EXECUTABLES)                                          \
    X(GUEST_SVN, "snp.guest_svn", MEASUREMENT, EXECUTABLES)                                        \
    X(PRODUCTS, "snp.products", PLATFORM, NONE)                                                    \
    X(CHIP_ID, "snp.chip_id", PLATFORM, INSTANCE)

/* clang-format off */
enum snp_check {
    CHECK_SNP_BEFORE = COMMON_CHECKS_N - 1,
#define X(name, text, reason, claim) CHECK_##name,
    SNP_CHECKS_BEFORE_RULES(X)
    SNP_CHECKS_OF_RULES(X)
#undef X
#define X(name, key) CHECK_POLICY_##name,
    SNP_POLICY_BITS(X)
#undef X
#define X(name, key) CHECK_PLATFORM_##name,
    SNP_PLATFORM_BITS(X)
#undef X
#define X(name, text, reason, claim) CHECK_##name,
    SNP_CHECKS_OF_RULES_REST(X)
#undef X
    SNP_CHECKS,
};
/* clang-format on */

/* The rows of a table of checks, up to SNP_CHECKS. */
#define SNP_POLICY_ROW(name, key)                                                                  \
    [CHECK_POLICY_##name] = {"snp.policy." key, NEO_ATTEST_PLATFORM, CLAIM_CONFIGURATION},
#define SNP_PLATFORM_ROW(name, key)                                                                \
    [CHECK_PLATFORM_##name] = {"snp.platform." key, NEO_ATTEST_PLATFORM, CLAIM_CONFIGURATION},
#define SNP_CHECK_ROWS                                                                             \
    COMMON_CHECKS(CHECK_ROW)                                                                       \
    SNP_CHECKS_BEFORE_RULES(CHECK_ROW)                                                             \
    SNP_CHECKS_OF_RULES(CHECK_ROW)                                                                 \
    SNP_POLICY_BITS(SNP_POLICY_ROW)                                                                \
    SNP_PLATFORM_BITS(SNP_PLATFORM_ROW)                                                            \
    SNP_CHECKS_OF_RULES_REST(CHECK_ROW)

extern const struct check_info snp_checks[SNP_CHECKS];

#endif
