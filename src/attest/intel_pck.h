/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attest/intel_pck.h - what Intel's PCK certificate says of a platform.
 */
#ifndef NEO_ATTEST_INTEL_PCK_H
#define NEO_ATTEST_INTEL_PCK_H

#include "attest/intel_quote.h"
#include "crypto/vendor.h"

struct intel_pck {
    uint8_t ppid[16];
    uint8_t svn[INTEL_SVN_LEN];
    uint16_t pce_svn;
    uint8_t pce_id[2];
    uint8_t fmspc[6];
    unsigned sgx_type; /* 0 standard, 1 scalable, 2 scalable with integrity */
    bool has_instance; /* of the Platform CA */
    uint8_t platform_instance_id[16];
};
/* The value of the extension. INVALID_ARGUMENT: it, or one of its members, is malformed. */
NEO_MUST_CHECK enum neo_code intel_pck_parse(struct neo_bytes extension, struct intel_pck *ret,
                                             struct neo_error *err);
/* And when it is missing. */
NEO_MUST_CHECK enum neo_code intel_pck_read(const struct vendor_cert *cert, struct intel_pck *ret,
                                            struct neo_error *err);

#endif
