/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attest/row.h - one row of `any_of` as it is written.
 *
 * The schema is one for all families, so that a key has one meaning and a misplaced
 * one is refused by name: row.c knows which key belongs to which `tee`.
 */
#ifndef NEO_ATTEST_ROW_H
#define NEO_ATTEST_ROW_H

#include "attest/azure_hcl.h"
#include "attest/snp_checks.h"
#include "attest/snp_product.h"

#include <neo/evidence.h>
#include <neo/yaml.h>

/* A text of the file, or a list of such texts, and where it stands; file NULL: not given. */
struct row_text {
    struct neo_bytes text;
    struct neo_place place;
};
struct row_list {
    struct neo_yaml_list items; /* of struct row_text */
    struct neo_place place;
};
struct row_number {
    uint32_t value;
    struct neo_place place;
};

/* Of a mapping whose keys are not fixed. */
struct row_entry {
    struct neo_bytes key;
    struct neo_place place;
    struct neo_bytes value;
};
struct row_map {
    struct neo_yaml_list items; /* of struct row_entry */
    struct neo_place place;
};

/* Of a mapping of lists. */
struct row_lists_entry {
    struct neo_bytes key;
    struct neo_place place;
    struct neo_yaml_list items; /* of struct row_text */
};
struct row_lists {
    struct neo_yaml_list items; /* of struct row_lists_entry */
    struct neo_place place;
};

/* The number of a register as a person writes it: "0" up to, without, `end`; at most two digits. */
bool row_index(struct neo_bytes key, unsigned end, unsigned *ret);

static inline bool row_gives(struct neo_place place)
{
    return place.file != NULL;
}

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

struct snp_policy_keys {
    struct row_text bits[SNP_POLICY_KEYS];
    struct row_text migrate_ma;
    struct row_text debug;
};

struct snp_row {
    struct row_list measurement;
    struct row_list products;
    struct row_list vek;
    struct row_list csp_id;
    struct row_list chip_id;
    struct row_list id_key_digest;
    struct row_list author_key_digest;
    struct row_list host_data;
    struct row_list family_id;
    struct row_list image_id;
    struct snp_policy_keys policy;
    struct neo_place policy_place;
    struct row_text platform[SNP_PLATFORM_KEYS];
    struct neo_place platform_place;
    struct row_text masked_chip_id;
    struct row_text min_firmware;
    struct row_text min_mitigation_vector;
    uint32_t min_tcb[SNP_COMPONENTS];
    struct neo_place min_tcb_place;
    struct row_number min_report_version;
    struct row_number vmpl;
    struct row_number min_guest_svn;
    bool committed_equals_current;
    struct neo_place committed_equals_current_place;
};

struct nitro_row {
    struct row_map pcr;
};

/* `tcb` and `pck`: of SGX and TDX. */
struct tcb_row {
    struct row_list accept;
    struct row_list advisories;
    struct row_text min_date;
    struct row_number min_eval_number;
};
struct pck_row {
    struct row_list sgx_type;
    struct row_list platform_instance_id;
    struct row_list ppid;
    struct row_list fmspc;
};
struct intel_row {
    struct tcb_row tcb;
    struct neo_place tcb_place;
    struct pck_row pck;
    struct neo_place pck_place;
};

struct sgx_row {
    struct row_list mrenclave;
    struct row_list mrsigner;
    struct row_number isvprodid;
    struct row_number min_isvsvn;
};

struct masked_row {
    struct row_text value;
    struct row_text mask;
    struct neo_place place;
};
struct tdx_row {
    struct row_list mrtd;
    struct row_lists rtmr;
    struct row_list mrseam;
    struct row_list mrconfigid;
    struct row_list mrowner;
    struct row_list mrownerconfig;
    struct row_text mrservicetd;
    struct masked_row td_attributes;
    struct masked_row xfam;
};

struct cca_row {
    struct row_list rim;
    struct row_lists rem;
    struct row_list rpv;
    struct row_list implementation_id;
    struct row_list instance_id;
    struct row_text lifecycle;
};

struct ak_row {
    struct row_list names;
    struct row_list spki;
    struct row_list ca;
    struct row_list usage;
};
struct tpm_row {
    struct row_lists pcr_sha256;
    struct row_lists pcr_sha384;
    struct row_lists pcr_sha1;
    bool accept_sha1;
    struct neo_place accept_sha1_place;
    struct ak_row ak;
    struct neo_place ak_place;
};

struct azure_row {
    struct row_text vm[AZURE_VM_BITS_N];
    struct neo_place vm_place;
};

struct attest_row {
    struct neo_bytes tee;
    struct neo_place place; /* of `tee`: the row's own */
    struct snp_row snp;
    struct nitro_row nitro;
    struct intel_row intel;
    struct sgx_row sgx;
    struct tdx_row tdx;
    struct cca_row cca;
    struct tpm_row tpm;
    struct azure_row azure;
};
extern const struct neo_yaml_field attest_row_fields[];

/* No key that belongs to another tee. */
NEO_MUST_CHECK enum neo_code row_check_keys(const struct attest_row *row, struct neo_error *err);

/* Every key that is given, by its path ("tcb.accept", "rtmr.0"), and its text. */
NEO_MUST_CHECK enum neo_code row_list_given(const struct attest_row *row, struct neo_arena *arena,
                                            const struct neo_evidence_fact **ret, size_t *ret_n,
                                            struct neo_error *err);

/* --- reading values; messages begin with the place in the file ---------------------------------
 */

#define row_refuse(place, ...) neo_fail_at(err, NEO_INVALID_ARGUMENT, (place), __VA_ARGS__)

/* An empty list would read as "nothing is allowed" and act as "not asked for". */
NEO_MUST_CHECK enum neo_code row_check_not_empty(const struct row_list *list, const char *key,
                                                 struct neo_error *err);
/* Exactly `len` bytes, or `short_len` (0: no) and zeros behind. */
NEO_MUST_CHECK enum neo_code row_read_hex(const struct row_text *text, const char *key, size_t len,
                                          size_t short_len, uint8_t *to, struct neo_error *err);
/* A list of such values, into `arena`. */
NEO_MUST_CHECK enum neo_code row_read_values(const struct row_list *list, const char *key,
                                             size_t len, size_t short_len, struct neo_arena *arena,
                                             struct attest_values *ret, struct neo_error *err);
/* require, forbid, any; not given: as it was. */
NEO_MUST_CHECK enum neo_code row_read_bit(const struct row_text *word, uint64_t bit, uint64_t *set,
                                          uint64_t *clear, struct neo_error *err);

#endif
