/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attest/intel_tcb.h - which status a platform has by Intel's published levels.
 *
 * The algorithm is Intel's (EvaluateTcb of its quote verification library): the
 * first level that the platform reaches in every component, converged with the
 * status of the TDX module and of the quoting enclave.
 */
#ifndef NEO_ATTEST_INTEL_TCB_H
#define NEO_ATTEST_INTEL_TCB_H

#include "attest/intel_collateral.h"
#include "attest/intel_pck.h"

enum { INTEL_ADVISORIES_MAX = 256 };

struct intel_standing {
    enum intel_status status;
    enum intel_status platform;
    enum intel_status module; /* INTEL_STATUSES_N: there is none to judge */
    enum intel_status qe;
    int64_t date; /* the oldest of the three; 0 when the TCB is not supported */
    struct neo_bytes advisories[INTEL_ADVISORIES_MAX]; /* each once */
    size_t n_advisories;
};

/* The module identity that stands for this TD's module; NULL: there should be one and is not. */
const struct intel_module *intel_module_of(const struct intel_document *tcb,
                                           const uint8_t tee_tcb_svn[static INTEL_SVN_LEN]);

/* `td` NULL: an enclave. */
void intel_tcb_evaluate(const struct intel_document *tcb, const struct intel_document *identity,
                        const struct intel_pck *pck, const struct sgx_body *qe,
                        const struct tdx_body *td, struct intel_standing *ret);

#endif
