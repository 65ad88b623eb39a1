/* SPDX-License-Identifier: Apache-2.0 */
/* mesh/attester_tss.h - the few questions to a TPM that a quote takes. */
#ifndef NEO_MESH_ATTESTER_TSS_H
#define NEO_MESH_ATTESTER_TSS_H

#include "mesh/attester.h"

/* The structures of TPM 2.0, marshalled. */
struct tss_quote {
    struct neo_buffer attest;      /* TPMS_ATTEST */
    struct neo_buffer signature;   /* TPMT_SIGNATURE */
    struct neo_buffer public_area; /* TPMT_PUBLIC */
    struct neo_buffer pcrs;        /* values of SHA-256's bank in ascending order */
};
void tss_quote_fini(struct tss_quote *q);

/* Was this build made with tpm2-tss? */
bool tss_is_there(void);
/* Can it be reached? Asks it nothing. */
NEO_MUST_CHECK enum neo_code tss_reach(struct attester_run *run, struct neo_error *err);
/* All of an NV index that its owner may read. NOT_FOUND: there is none; RESOURCE_EXHAUSTED. */
NEO_MUST_CHECK enum neo_code tss_read_nv(struct attester_run *run, uint32_t index, size_t max,
                                         struct neo_buffer *out, struct neo_error *err);
/*
 * Over `extra_data` (32 bytes), by the key `ak` (0: the primary one) and over the PCRs of the
 * options. The values may be those of a moment before the quote. UNAVAILABLE: the TPM is busy.
 */
NEO_MUST_CHECK enum neo_code tss_make_quote(struct attester_run *run, uint32_t ak,
                                            const uint8_t extra_data[NEO_AT_LEAST(32)],
                                            struct tss_quote *ret, struct neo_error *err);

/* attester_tpm.c: such a quote as evidence of `kind`, a tpm-quote, or, with what is Azure's, one of
 * its machines. */
struct tpm_beside {
    struct neo_bytes hcl;
    struct neo_bytes td_quote; /* azure-tdx */
};
NEO_MUST_CHECK enum neo_code tpm_quote_into(struct attester_run *run, enum neo_evidence_kind kind,
                                            uint32_t ak, const uint8_t *extra_data,
                                            const struct tpm_beside *beside,
                                            struct neo_buffer *out_body, struct neo_error *err);

#define TPM_DEVICE "/dev/tpmrm0"
/* Is it a device's path, and no TCTI of tpm2-tss? */
static inline bool tss_is_device(const char *tpm)
{
    return tpm == NULL || tpm[0] == '/';
}

#endif
