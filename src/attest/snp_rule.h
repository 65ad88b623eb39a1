/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attest/snp_rule.h - one `tee: sev-snp` row of a policy: read, compiled, judged.
 */
#ifndef NEO_ATTEST_SNP_RULE_H
#define NEO_ATTEST_SNP_RULE_H

#include "attest/row.h"
#include "attest/snp_certs.h"
#include "attest/snp_checks.h"

#include <neo/yaml.h>

/* --- compiled --------------------------------------------------------------------------------- */

struct snp_rule {
    uint32_t min_version;
    uint32_t vmpl;
    unsigned products; /* bit i: snp_products[i] is allowed */
    unsigned veks;     /* bit by enum snp_vek */
    const struct neo_bytes *csp_ids;
    size_t n_csp_ids;
    uint64_t policy_set; /* bits that must be set */
    uint64_t policy_clear;
    uint64_t platform_set;
    uint64_t platform_clear;
    uint8_t min_tcb[SNP_COMPONENTS];
    bool allow_provisional;
    uint8_t min_firmware[3];           /* major, minor, build; of the committed firmware */
    uint64_t mitigations;              /* bits that both vectors must have */
    struct attest_values measurements; /* never none */
    struct attest_values id_keys;
    struct attest_values author_keys;
    struct attest_values host_data;
    struct attest_values family_ids;
    struct attest_values image_ids;
    uint32_t min_guest_svn;
    struct attest_values chip_ids; /* padded with zeros to 64 bytes */
    bool allow_masked_chip;
};

/* Of family.h: messages begin with the place in the file. */
NEO_MUST_CHECK enum neo_code snp_rule_compile(const struct attest_row *row, struct neo_arena *arena,
                                              const void **ret, struct neo_error *err);

/* What a rule is judged on: a report and a certificate that were verified. */
struct snp_facts {
    const struct snp_report *report;
    const struct snp_endorsement *endorsement;
};
/* Makes every check of the rule, also after a failure. */
void snp_rule_judge(const struct snp_rule *rule, const struct snp_facts *facts,
                    struct ledger *ledger);

#endif
