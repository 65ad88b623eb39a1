/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attest/tpm_quote.h - a TPM 2.0 quote and what belongs to it (TCG TPM 2.0 Library, Part 2).
 *
 * TPMs hand out structures, not documents. Ours is these, one behind the other, each
 * after its length in four bytes, big-endian:
 *
 *     TPMS_ATTEST, TPMT_SIGNATURE, TPMT_PUBLIC of the key,
 *     the values of the quoted PCRs in the order of their selection, the event log or nothing
 */
#ifndef NEO_ATTEST_TPM_QUOTE_H
#define NEO_ATTEST_TPM_QUOTE_H

#include "crypto/vendor_public.h"

enum {
    TPM_EVIDENCE_MAX = 60 << 10,
    TPM_PCRS = 24,
    TPM_DIGEST_MAX = 64,
    TPM_NAME_MAX = 2 + TPM_DIGEST_MAX,
    TPM_BANKS_MAX = 8,
};

/* TPMA_OBJECT: what a key must be so that what it signs was made by the TPM itself. */
#define TPM_AK_REQUIRED                                                                            \
    (UINT32_C(1) << 1 | UINT32_C(1) << 4 | UINT32_C(1) << 5 | UINT32_C(1) << 16 | UINT32_C(1) << 18)
#define TPM_AK_FORBIDDEN (UINT32_C(1) << 17) /* decrypt */

/* TPM_ALG_ID of hashes: SHA-1 may be a bank's, never a signature's. */
enum tpm_hash { TPM_SHA1 = 0x04, TPM_SHA256 = 0x0b, TPM_SHA384 = 0x0c, TPM_SHA512 = 0x0d };

/* The PCRs of one hash. */
struct tpm_bank {
    uint16_t hash;     /* enum tpm_hash */
    uint32_t selected; /* of it; bit i: PCR i; at least one */
    size_t before;     /* bytes of values of the banks before it */
};

/* Runs of bytes borrow the evidence. */
struct tpm_quote {
    struct neo_bytes attest; /* what is signed */
    struct neo_bytes extra_data;
    struct tpm_bank banks[TPM_BANKS_MAX]; /* as quoted, without the empty ones */
    size_t n_banks;                       /* one at least */
    size_t values_len;                    /* of all banks */
    struct neo_bytes pcr_digest;
    struct vendor_parts signature;
};
/* TPMS_ATTEST of a quote, bare or as a TPM2B_ATTEST, and TPMT_SIGNATURE. */
NEO_MUST_CHECK enum neo_code tpm_attest_read(struct neo_bytes attest, struct tpm_quote *ret,
                                             struct neo_error *err);
NEO_MUST_CHECK enum neo_code tpm_signature_read(struct neo_bytes signature, struct tpm_quote *ret,
                                                struct neo_error *err);

struct tpm_key {
    bool is_bare; /* a SubjectPublicKeyInfo: no attributes, no name */
    uint32_t attributes;
    uint8_t name[TPM_NAME_MAX]; /* nameAlg and digest of the public area */
    size_t name_len;
    struct vendor_public *key; /* vendor_public_free() */
};
/* TPMT_PUBLIC of an RSA or ECC signing key, bare or as a TPM2B_PUBLIC; or a SubjectPublicKeyInfo.
 */
NEO_MUST_CHECK enum neo_code tpm_public_read(struct neo_bytes text, struct tpm_key *ret,
                                             struct neo_error *err);

/* The parts of our evidence. */
struct tpm_evidence {
    struct neo_bytes attest;
    struct neo_bytes signature;
    struct neo_bytes public_area;
    struct neo_bytes pcrs;
    struct neo_bytes event_log;
};
NEO_MUST_CHECK enum neo_code tpm_evidence_read(struct neo_bytes text, struct tpm_evidence *ret,
                                               struct neo_error *err);

/* The length of a digest of this hash; 0: it is not known. */
size_t tpm_hash_len(uint16_t hash);
/* "sha256"; "unknown" */
const char *tpm_hash_text(uint16_t hash);
/* Of the hash, which must be known. */
void tpm_digest(uint16_t hash, struct neo_bytes data, uint8_t ret[static TPM_DIGEST_MAX]);
/* NULL: nothing of this hash is quoted. */
const struct tpm_bank *tpm_bank_of(const struct tpm_quote *quote, uint16_t hash);
/* The value of PCR `i` among `values`, which are those of the quote; empty: not of this bank. */
struct neo_bytes tpm_pcr(const struct tpm_bank *bank, struct neo_bytes values, unsigned i);
/* pcrDigest = H(all values), with the hash of the signature. */
bool tpm_pcrs_fit(const struct tpm_quote *quote, struct neo_bytes values);

#endif
