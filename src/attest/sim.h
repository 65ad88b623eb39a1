/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attest/sim.h - a maker of processors that do not exist.
 *
 * Authorities, chips and reports in AMD's formats under roots of our own, so that
 * one verifier serves the genuine and the simulated. Neo's attester in development
 * is one chip; the tests make chips of every product, and broken ones.
 */
#ifndef NEO_ATTEST_SIM_H
#define NEO_ATTEST_SIM_H

#include "attest/snp_certs.h"
#include "crypto/vendor_issue.h"

/* Two RSA-4096 keys; making them takes a while, so tests share a pair among many authorities. */
struct sim_keys {
    struct vendor_key *root;
    struct vendor_key *issuer;
};
NEO_MUST_CHECK enum neo_code sim_keys_generate(struct sim_keys *ret, struct neo_error *err);
void sim_keys_fini(struct sim_keys *keys);

/* A root and one intermediate of a product: for VCEKs or for VLEKs. Borrows `keys`. */
struct sim_authority {
    const struct sim_keys *keys;
    const struct snp_product *product;
    enum snp_vek vek;
    int64_t not_before;
    int64_t not_after;
    struct neo_buffer root_der;
    struct neo_buffer issuer_der;
};
/* Fills the two certificates; everything else is given. */
NEO_MUST_CHECK enum neo_code sim_authority_issue(struct sim_authority *authority,
                                                 struct neo_error *err);
void sim_authority_fini(struct sim_authority *authority);

/* A report key and what its certificate says of the chip or operator. */
struct sim_chip {
    const struct snp_product *product;
    enum snp_vek vek;
    uint8_t tcb[SNP_COMPONENTS];
    uint8_t hwid[SNP_CHIP_ID_LEN];
    bool hwid_in_octet_string; /* as new certificates have it; old ones are raw */
    const char *csp_id;        /* VLEK */
    int64_t not_before;
    int64_t not_after;
    struct vendor_key *key;
    struct neo_buffer cert_der;
};
/* Makes the key, unless there is one, and issues the certificate. */
NEO_MUST_CHECK enum neo_code sim_chip_issue(struct sim_chip *chip,
                                            const struct sim_authority *authority,
                                            struct neo_error *err);
void sim_chip_fini(struct sim_chip *chip);

/* A report that a strict policy accepts, of the chip's product and firmware. */
void sim_report_init(struct snp_report *report, const struct snp_product *product,
                     const uint8_t tcb[static SNP_COMPONENTS], const uint8_t *hwid);
/* Signs `report` as it stands, right or wrong, and appends its bytes. */
NEO_MUST_CHECK enum neo_code sim_report_sign(const struct snp_report *report,
                                             const struct vendor_key *key, struct neo_buffer *out,
                                             struct neo_error *err);

#endif
