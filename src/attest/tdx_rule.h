/* SPDX-License-Identifier: Apache-2.0 */
/* attest/tdx_rule.h - what a row asks of a trust domain, for `tdx` and `azure-tdx`. */
#ifndef NEO_ATTEST_TDX_RULE_H
#define NEO_ATTEST_TDX_RULE_H

#include "attest/intel.h"

#define TDX_CHECKS_OF_RULES(X)                                                                     \
    X(TDX_ATTRIBUTES, "tdx.td_attributes", PLATFORM, CONFIGURATION)                                \
    X(TDX_XFAM, "tdx.xfam", PLATFORM, CONFIGURATION)                                               \
    X(TDX_MRSERVICETD, "tdx.mrservicetd", PLATFORM, CONFIGURATION)                                 \
    X(TDX_SERVICETD_BOUND, "tdx.mrservicetd.bound", PLATFORM, CONFIGURATION)                       \
    X(TDX_VMID, "tdx.vmid", PLATFORM, CONFIGURATION)                                               \
    X(TDX_MRSEAM, "tdx.mrseam", PLATFORM, CONFIGURATION)                                           \
    X(TDX_MRTD, "tdx.mrtd", MEASUREMENT, EXECUTABLES)                                              \
    X(TDX_RTMR0, "tdx.rtmr.0", MEASUREMENT, EXECUTABLES)                                           \
    X(TDX_RTMR1, "tdx.rtmr.1", MEASUREMENT, EXECUTABLES)                                           \
    X(TDX_RTMR2, "tdx.rtmr.2", MEASUREMENT, EXECUTABLES)                                           \
    X(TDX_RTMR3, "tdx.rtmr.3", MEASUREMENT, EXECUTABLES)                                           \
    X(TDX_MRCONFIGID, "tdx.mrconfigid", MEASUREMENT, EXECUTABLES)                                  \
    X(TDX_MROWNER, "tdx.mrowner", MEASUREMENT, EXECUTABLES)                                        \
    X(TDX_MROWNERCONFIG, "tdx.mrownerconfig", MEASUREMENT, EXECUTABLES)

/* clang-format off */
enum tdx_check {
    CHECK_TDX_BEFORE = INTEL_CHECKS - 1,
#define X(name, text, reason, claim) CHECK_##name,
    TDX_CHECKS_OF_RULES(X)
#undef X
    TDX_CHECKS,
};
/* clang-format on */

/* The rows of a table of checks, up to TDX_CHECKS. */
#define TDX_INTEL_ROW(name, text, reason, claim) CHECK_ROW(name, "tdx." text, reason, claim)
#define TDX_CHECK_ROWS                                                                             \
    COMMON_CHECKS(CHECK_ROW)                                                                       \
    INTEL_CHECKS_BEFORE_RULES(TDX_INTEL_ROW)                                                       \
    INTEL_CHECKS_OF_RULES(TDX_INTEL_ROW)                                                           \
    TDX_CHECKS_OF_RULES(CHECK_ROW)

/* Of family.h. `facts` is a struct intel_case. */
NEO_MUST_CHECK enum neo_code tdx_rule_compile(const struct attest_row *row, struct neo_arena *arena,
                                              const void **ret, struct neo_error *err);
attest_rule_fn tdx_rule_judge;

#endif
