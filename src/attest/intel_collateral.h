/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attest/intel_collateral.h - what Intel publishes about platforms: TCB info (version 3) and the
 * identity of the quoting enclaves (version 2), as signed JSON.
 *
 * A document is kept as it came, because its signature is over the very bytes of
 * its one member. Reading is strict about what is judged; members that are not
 * known are left alone, for Intel adds some now and then.
 */
#ifndef NEO_ATTEST_INTEL_COLLATERAL_H
#define NEO_ATTEST_INTEL_COLLATERAL_H

#include "attest/intel_quote.h"

#include <neo/arena.h>
#include <neo/digest.h>

/* Worst last among those that are compared; see intel_tcb.c. Name, Intel's word. */
#define INTEL_STATUSES(X)                                                                          \
    X(UP_TO_DATE, "UpToDate")                                                                      \
    X(SW_HARDENING, "SWHardeningNeeded")                                                           \
    X(CONFIGURATION, "ConfigurationNeeded")                                                        \
    X(CONFIGURATION_SW_HARDENING, "ConfigurationAndSWHardeningNeeded")                             \
    X(RELAUNCH, "TDRelaunchAdvised")                                                               \
    X(RELAUNCH_CONFIGURATION, "TDRelaunchAdvisedConfigurationNeeded")                              \
    X(OUT_OF_DATE, "OutOfDate")                                                                    \
    X(OUT_OF_DATE_CONFIGURATION, "OutOfDateConfigurationNeeded")                                   \
    X(REVOKED, "Revoked")                                                                          \
    X(NOT_SUPPORTED, "TCBNotSupported")
enum intel_status {
#define X(name, text) INTEL_##name,
    INTEL_STATUSES(X)
#undef X
        INTEL_STATUSES_N,
};
/* Intel's word for it. */
const char *intel_status_text(enum intel_status status);
/* INTEL_STATUSES_N: not one of them. */
enum intel_status intel_status_parse(struct neo_bytes text);

/* What holds for a level of security versions. */
struct intel_level {
    uint8_t sgx[INTEL_SVN_LEN]; /* TCB info only */
    uint8_t tdx[INTEL_SVN_LEN];
    bool has_tdx;
    uint32_t pce_svn;
    uint32_t isv_svn; /* of enclaves and modules */
    enum intel_status status;
    int64_t date; /* seconds since 1970 */
    const struct neo_bytes *advisories;
    size_t n_advisories;
};
struct intel_levels {
    struct intel_level *at;
    size_t n;
};

struct intel_module {
    unsigned version; /* "TDX_03": 3 */
    uint8_t mrsigner[48];
    uint8_t attributes[8];
    uint8_t attributes_mask[8];
    struct intel_levels levels;
};

enum intel_document_kind {
    INTEL_TCB_SGX,
    INTEL_TCB_TDX,
    INTEL_QE,
    INTEL_TD_QE,
    INTEL_QVE, /* of the enclave that verifies quotes: published with the others, used by nobody
                  here */
};

struct intel_document {
    enum intel_document_kind kind;
    struct neo_bytes signed_text;
    uint8_t sha256[NEO_SHA256_LEN]; /* over it */
    uint8_t signature[INTEL_SIGNATURE_LEN];
    int64_t issued;
    int64_t next_update;
    uint32_t evaluation; /* tcbEvaluationDataNumber */
    struct intel_levels levels;

    /* TCB info */
    uint8_t fmspc[6];
    uint8_t pce_id[2];
    struct intel_module module; /* for TDX modules without an identity of their own; no levels */
    bool has_module;
    struct intel_module *modules;
    size_t n_modules;

    /* identity */
    uint8_t misc_select[4];
    uint8_t misc_select_mask[4];
    uint8_t attributes[16];
    uint8_t attributes_mask[16];
    uint8_t mrsigner[32];
    uint32_t isv_prod_id;
};

/* Everything lives in `arena`, a copy of `text` included. */
NEO_MUST_CHECK enum neo_code intel_document_read(struct neo_bytes text, const char *what,
                                                 struct neo_arena *arena,
                                                 struct intel_document *ret, struct neo_error *err);

#endif
