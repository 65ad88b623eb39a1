/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attest/snp.h - is this report genuine, and is it an answer to our question?
 *
 * Nothing here depends on a policy's rules: the report's form, the path from the
 * certificate to AMD's root (or, in development, to the simulator's), that the
 * certificate stands for this chip and this firmware, the signature, the binder,
 * and what is never allowed.
 */
#ifndef NEO_ATTEST_SNP_H
#define NEO_ATTEST_SNP_H

#include "attest/family.h"
#include "attest/snp_certs.h"
#include "attest/snp_checks.h"

/* The question is given; the rest is found out step by step. */
struct snp_case {
    const struct attest_question *q;

    struct snp_report report;
    size_t reserved; /* a reserved byte that is set; 0: none */
    struct vendor_bundle hints;
    struct vendor_cert *leaf;
    const struct vendor_cert *root;
    const struct snp_product *product; /* whose root that is */
    struct vendor_path path;
    struct snp_endorsement endorsement;
};

/* All steps, up to the first that fails. True: every one passed. */
bool snp_verify(struct snp_case *c, struct ledger *ledger);
/* Of these, form to signature; and what is never allowed. Between them stands what the report is
 * bound to: the binder, or, behind a paravisor, what leads to it. */
bool snp_verify_hardware(struct snp_case *c, struct ledger *ledger);
bool snp_verify_launch(struct snp_case *c, struct ledger *ledger);
void snp_case_fini(struct snp_case *c);

#endif
