/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attest/snp_report.h - the attestation report of AMD SEV-SNP (AMD 56860), versions 2, 3 and 5.
 *
 * 1184 bytes, little-endian, of which the first 672 are signed. Reading is strict:
 * every byte that this version of the report does not define must be zero, so
 * writing what was read gives the same bytes again.
 */
#ifndef NEO_ATTEST_SNP_REPORT_H
#define NEO_ATTEST_SNP_REPORT_H

#include "crypto/vendor.h"

enum {
    SNP_REPORT_LEN = 1184,
    SNP_SIGNED_LEN = 672,
    SNP_TCB_LEN = 8,
    SNP_CHIP_ID_LEN = 64,
    SNP_MEASUREMENT_LEN = 48,
};

/* POLICY: what the owner of the guest allowed or asked for. */
#define SNP_POLICY_SMT               (UINT64_C(1) << 16)
#define SNP_POLICY_RESERVED_ONE      (UINT64_C(1) << 17)
#define SNP_POLICY_MIGRATE_MA        (UINT64_C(1) << 18)
#define SNP_POLICY_DEBUG             (UINT64_C(1) << 19)
#define SNP_POLICY_SINGLE_SOCKET     (UINT64_C(1) << 20)
#define SNP_POLICY_CXL               (UINT64_C(1) << 21)
#define SNP_POLICY_MEM_AES_256_XTS   (UINT64_C(1) << 22)
#define SNP_POLICY_RAPL_DIS          (UINT64_C(1) << 23)
#define SNP_POLICY_CIPHERTEXT_HIDING (UINT64_C(1) << 24)
#define SNP_POLICY_PAGE_SWAP_DISABLE (UINT64_C(1) << 25)
#define SNP_POLICY_KNOWN             ((UINT64_C(1) << 26) - 1)

/* PLATFORM_INFO: what the machine does. */
#define SNP_PLATFORM_SMT               (UINT64_C(1) << 0)
#define SNP_PLATFORM_TSME              (UINT64_C(1) << 1)
#define SNP_PLATFORM_ECC               (UINT64_C(1) << 2)
#define SNP_PLATFORM_RAPL_DIS          (UINT64_C(1) << 3)
#define SNP_PLATFORM_CIPHERTEXT_HIDING (UINT64_C(1) << 4)
#define SNP_PLATFORM_ALIAS_CHECK       (UINT64_C(1) << 5)
#define SNP_PLATFORM_TIO               (UINT64_C(1) << 7)
#define SNP_PLATFORM_KNOWN             UINT64_C(0xbf)

/* KEY_INFO */
#define SNP_KEY_AUTHOR    UINT64_C(1)
#define SNP_KEY_MASK_CHIP UINT64_C(2)
#define SNP_KEY_KNOWN     UINT64_C(0x1f)
enum snp_vek {
    SNP_VCEK = 0, /* the chip's own key */
    SNP_VLEK = 1, /* a key the cloud operator loaded */
};

/* Integers are widened; everything else is as in the report. */
struct snp_report {
    uint64_t version;
    uint64_t guest_svn;
    uint64_t policy;
    uint8_t family_id[16];
    uint8_t image_id[16];
    uint64_t vmpl;
    uint64_t signature_algo;
    uint8_t current_tcb[SNP_TCB_LEN];
    uint64_t platform_info;
    uint64_t key_info;
    uint8_t report_data[64];
    uint8_t measurement[SNP_MEASUREMENT_LEN];
    uint8_t host_data[32];
    uint8_t id_key_digest[48];
    uint8_t author_key_digest[48];
    uint8_t report_id[32];
    uint8_t report_id_ma[32];
    uint8_t reported_tcb[SNP_TCB_LEN];
    uint64_t cpu_family; /* from version 3 */
    uint64_t cpu_model;
    uint64_t cpu_stepping;
    uint8_t chip_id[SNP_CHIP_ID_LEN];
    uint8_t committed_tcb[SNP_TCB_LEN];
    uint8_t current_version[3]; /* build, minor, major */
    uint8_t committed_version[3];
    uint8_t launch_tcb[SNP_TCB_LEN];
    uint64_t launch_mitigations; /* from version 5 */
    uint64_t current_mitigations;
    struct vendor_signature signature;
};

/* INVALID_ARGUMENT: the message says which rule is broken. UNIMPLEMENTED: a version that is not
 * known. */
NEO_MUST_CHECK enum neo_code snp_report_read(struct neo_bytes bytes, struct snp_report *ret,
                                             struct neo_error *err);
/*
 * The same, but a reserved byte of the signed part that is set is left to the caller:
 * `*ret_reserved` is its offset, 0 when there is none. Whether AMD's firmware set it shows in the
 * signature.
 */
NEO_MUST_CHECK enum neo_code snp_report_read_signed(struct neo_bytes bytes, struct snp_report *ret,
                                                    size_t *ret_reserved, struct neo_error *err);
/* The inverse of reading. */
void snp_report_write(const struct snp_report *report, uint8_t ret[static SNP_REPORT_LEN]);

static inline enum snp_vek snp_report_vek(const struct snp_report *report)
{
    return (enum snp_vek)(report->key_info >> 2);
}

/* No bit set: a masked chip id, a digest that was not given. */
bool snp_is_zero(struct neo_bytes bytes);

#endif
