/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attest/snp_rule.h - one `tee: sev-snp` row of a policy: read, compiled, judged.
 */
#ifndef NEO_ATTEST_SNP_RULE_H
#define NEO_ATTEST_SNP_RULE_H

#include "attest/checks.h"
#include "attest/snp_certs.h"

#include <neo/yaml.h>

/* --- as written ------------------------------------------------------------------------------- */

enum {
#define X(name, key) SNP_POLICY_KEY_##name,
    SNP_POLICY_BITS(X)
#undef X
        SNP_POLICY_KEYS,
};
enum {
#define X(name, key) SNP_PLATFORM_KEY_##name,
    SNP_PLATFORM_BITS(X)
#undef X
        SNP_PLATFORM_KEYS,
};

/* A text of the file, or a list of such texts, and where it stands; file NULL: not given. */
struct snp_text {
    struct neo_bytes text;
    struct neo_place place;
};
struct snp_list {
    struct neo_yaml_list items; /* of struct snp_text */
    struct neo_place place;
};

struct snp_policy_keys {
    struct snp_text bits[SNP_POLICY_KEYS];
    struct snp_text migrate_ma;
    struct snp_text debug;
};

struct snp_row {
    struct neo_bytes tee;
    struct neo_place place;   /* of `tee`: the row's own */
    struct neo_place foreign; /* of the last key that belongs to another tee */
    struct snp_list measurement;
    struct snp_list products;
    struct snp_list vek;
    struct snp_list csp_id;
    struct snp_list chip_id;
    struct snp_list id_key_digest;
    struct snp_list author_key_digest;
    struct snp_list host_data;
    struct snp_list family_id;
    struct snp_list image_id;
    struct snp_policy_keys policy;
    struct snp_text platform[SNP_PLATFORM_KEYS];
    struct snp_text masked_chip_id;
    struct snp_text min_firmware;
    struct snp_text min_mitigation_vector;
    uint32_t min_tcb[SNP_COMPONENTS];
    struct neo_place min_tcb_place;
    uint32_t min_report_version;
    struct neo_place min_report_version_place;
    uint32_t vmpl;
    struct neo_place vmpl_place;
    uint32_t min_guest_svn;
    bool committed_equals_current;
    struct neo_place committed_equals_current_place;
};
extern const struct neo_yaml_field snp_row_fields[];

/* --- compiled --------------------------------------------------------------------------------- */

/* `n` values of one known length, one behind the other. None: not asked for. */
struct snp_values {
    const uint8_t *at;
    size_t n;
};

struct snp_rule {
    struct neo_place place;
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
    uint8_t min_firmware[3];        /* major, minor, build; of the committed firmware */
    uint64_t mitigations;           /* bits that both vectors must have */
    struct snp_values measurements; /* never none */
    struct snp_values id_keys;
    struct snp_values author_keys;
    struct snp_values host_data;
    struct snp_values family_ids;
    struct snp_values image_ids;
    uint32_t min_guest_svn;
    struct snp_values chip_ids; /* padded with zeros to 64 bytes */
    bool allow_masked_chip;
};

/* The rule lives in `arena`. Messages begin with the place in the file. */
NEO_MUST_CHECK enum neo_code snp_rule_compile(const struct snp_row *row, struct neo_arena *arena,
                                              struct snp_rule *ret, struct neo_error *err);

/* What a rule is judged on: a report and a certificate that were verified. */
struct snp_facts {
    const struct snp_report *report;
    const struct snp_endorsement *endorsement;
};
/* Makes every check of the rule, also after a failure. */
void snp_rule_judge(const struct snp_rule *rule, const struct snp_facts *facts,
                    struct ledger *ledger);

#endif
