/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attest/azure_hcl.h - what a confidential machine of Azure's hands out.
 *
 * A paravisor stands between the processor and the guest. It keeps the processor's
 * report in a blob (NV index 0x01400001 of its virtual TPM) together with a JSON text,
 * the runtime data, whose SHA-256 fills the first half of REPORT_DATA and which names
 * the virtual TPM's attestation key. What is fresh is that TPM's quote.
 *
 *     0x000  "HCLA", version, size of what follows up to the padding, request, status
 *     0x020  the processor's report: SEV-SNP's 1184 bytes, or TDX's TDREPORT of 1024
 *     0x4c0  size of the rest, version, kind of report, kind of hash, length of the JSON
 *     0x4d4  the JSON; zeros behind it
 *
 * Ours is the parts one behind the other, each after its length in four bytes, big-endian:
 *
 *     the blob, TPMS_ATTEST, the signature (TPMT_SIGNATURE or RSASSA's bare number), the values of
 *     the quoted PCRs in the order of their selection, the event log or nothing, and for TDX the
 *     TD's DCAP quote
 */
#ifndef NEO_ATTEST_AZURE_HCL_H
#define NEO_ATTEST_AZURE_HCL_H

#include <neo/arena.h>
#include <neo/error.h>

enum {
    AZURE_EVIDENCE_MAX = 60 << 10,
    AZURE_HCL_MAX = 16 << 10,
    AZURE_REPORT_OFFSET = 0x20,
    AZURE_SNP_REPORT_LEN = 1184,
    AZURE_TD_REPORT_LEN = 1024,
    AZURE_USER_DATA_LEN = 64,
};

/* `vm-configuration`: bit, member of the JSON, key in policies. */
#define AZURE_VM_BITS(X)                                                                           \
    X(SECURE_BOOT, "secure-boot", "secure_boot")                                                   \
    X(TPM_ENABLED, "tpm-enabled", "tpm_enabled")                                                   \
    X(TPM_PERSISTED, "tpm-persisted", "tpm_persisted")                                             \
    X(CONSOLE_ENABLED, "console-enabled", "console_enabled")
enum azure_vm_bit {
#define X(name, member, key) AZURE_##name,
    AZURE_VM_BITS(X)
#undef X
        AZURE_VM_BITS_N,
};

/* Runs of bytes borrow the blob, or live in the arena. */
struct azure_hcl {
    bool is_tdx;
    struct neo_bytes report;  /* the processor's */
    struct neo_bytes runtime; /* the JSON as it stands: what REPORT_DATA is a digest of */
    struct neo_bytes modulus; /* HCLAkPub, big-endian */
    uint32_t exponent;
    unsigned vm_known; /* bits by enum azure_vm_bit: what the JSON tells */
    unsigned vm_set;   /* and which of them are on */
    struct neo_bytes vm_id;
    struct neo_bytes user_data; /* AZURE_USER_DATA_LEN, or empty: what the guest put there */
};
/* INVALID_ARGUMENT: malformed. UNIMPLEMENTED: of a version or kind that is not known. */
NEO_MUST_CHECK enum neo_code azure_hcl_read(struct neo_bytes blob, struct neo_arena *arena,
                                            struct azure_hcl *ret, struct neo_error *err);

/* The parts of our evidence. */
struct azure_evidence {
    struct neo_bytes hcl;
    struct neo_bytes attest;
    struct neo_bytes signature;
    struct neo_bytes pcrs;
    struct neo_bytes event_log;
    struct neo_bytes td_quote;
};
NEO_MUST_CHECK enum neo_code azure_evidence_read(struct neo_bytes text, struct azure_evidence *ret,
                                                 struct neo_error *err);

#endif
