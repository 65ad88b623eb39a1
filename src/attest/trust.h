/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NEO_ATTEST_TRUST_H
#define NEO_ATTEST_TRUST_H

#include "attest/cca_anchor.h"
#include "attest/intel_collateral.h"
#include "crypto/vendor_memo.h"

#include <neo/attest.h>

#include <stdatomic.h>

struct neo_attest_trust {
    _Atomic unsigned refs;
    bool development;
    struct vendor_bundle collateral; /* hints and revocation lists: never roots by themselves */
    struct intel_document *
        *intel; /* as they came: their signatures are judged when they are used */
    size_t n_intel;
    struct cca_anchor *cca; /* a list */
    struct neo_arena arena; /* of these */
    void (*missing)(void *self, const struct neo_evidence *evidence);
    void *missing_self;
    struct vendor_bundle simulated; /* the simulated roots, or nothing */
    struct vendor_memo *memo;       /* signatures that were found good under this trust */
};

#endif
