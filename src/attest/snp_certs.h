/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attest/snp_certs.h - what comes with a report: AMD's certificates, in any wrapping.
 */
#ifndef NEO_ATTEST_SNP_CERTS_H
#define NEO_ATTEST_SNP_CERTS_H

#include "attest/snp_product.h"

enum {
    SNP_HINTS_MAX = 8,            /* certificates with one report */
    SNP_HINTS_LEN_MAX = 48 << 10, /* bytes of them */
    SNP_TABLE_ENTRIES_MAX = 32,
};

/* What came with a report, taken apart and not read any further: each part PEM or DER. Borrows. */
struct snp_hints {
    struct neo_bytes parts[SNP_TABLE_ENTRIES_MAX];
    size_t n;
};
NEO_MUST_CHECK enum neo_code snp_hints_split(struct neo_bytes bytes, struct snp_hints *ret,
                                             struct neo_error *err);

/*
 * Adds the certificates that came with a report to `bundle`: PEM, DER, or the host's table of
 * GUIDs (SNP_GET_EXT_REPORT, configfs-tsm's auxblob), whose entries are PEM or DER in turn. They
 * are hints: nothing is trusted because it came. INVALID_ARGUMENT says what is malformed.
 */
NEO_MUST_CHECK enum neo_code snp_hints_read(struct neo_bytes bytes, struct vendor_bundle *bundle,
                                            struct neo_error *err);

/* What AMD's extensions say of a VCEK or VLEK. Borrows the certificate. */
struct snp_endorsement {
    const struct snp_product *product;
    uint8_t tcb[SNP_COMPONENTS]; /* by component number */
    struct neo_bytes hwid;       /* VCEK; else empty */
    struct neo_bytes csp_id;     /* VLEK; else empty */
};
/* INVALID_ARGUMENT: an extension is missing, repeated or malformed. */
NEO_MUST_CHECK enum neo_code snp_endorsement_read(const struct vendor_cert *cert, enum snp_vek vek,
                                                  struct snp_endorsement *ret,
                                                  struct neo_error *err);

/* AMD's extensions, as the simulator writes them: 1.3.6.1.4.1.3704.1.<last> or ...1.3.<component>
 */
enum snp_extension {
    SNP_EXTENSION_VERSION = 1,
    SNP_EXTENSION_PRODUCT = 2,
    SNP_EXTENSION_TCB = 3,
    SNP_EXTENSION_HWID = 4,
    SNP_EXTENSION_CSP_ID = 5,
};
struct snp_oid {
    uint8_t at[10];
    size_t len;
};
/* The contents of the OBJECT IDENTIFIER; `component` is 0 unless `extension` is TCB. */
struct snp_oid snp_extension_oid(enum snp_extension extension, uint8_t component);

#endif
