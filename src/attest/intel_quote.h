/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attest/intel_quote.h - DCAP quotes of Intel SGX (version 3) and TDX (versions 4 and 5).
 *
 * Reading is strict: known versions, kinds of key and of body, the sizes that
 * belong to them, reserved bytes zero. What follows behind the signature data (real
 * platforms pad) is not part of the quote and counts for nothing: `len` says where it
 * ends.
 */
#ifndef NEO_ATTEST_INTEL_QUOTE_H
#define NEO_ATTEST_INTEL_QUOTE_H

#include <neo/bytes.h>
#include <neo/error.h>

enum {
    INTEL_QUOTE_MAX = 32 << 10,
    INTEL_SVN_LEN = 16, /* components of a CPU's or a TEE's security version */
    INTEL_RTMRS = 4,
    INTEL_REPORT_DATA_LEN = 64,
    INTEL_KEY_LEN = 64,
    INTEL_SIGNATURE_LEN = 64,
};

/* ATTRIBUTES.FLAGS of an enclave. */
#define SGX_FLAG_INIT          (UINT64_C(1) << 0)
#define SGX_FLAG_DEBUG         (UINT64_C(1) << 1)
#define SGX_FLAG_PROVISION_KEY (UINT64_C(1) << 4)
#define SGX_FLAG_LAUNCH_KEY    (UINT64_C(1) << 5)

/* TDATTRIBUTES: what is set in the lowest byte makes the TD untrusted. */
#define TDX_ATTRIBUTE_UNTRUSTED       UINT64_C(0xff)
#define TDX_ATTRIBUTE_SEPT_VE_DISABLE (UINT64_C(1) << 28)
#define TDX_ATTRIBUTE_MIGRATABLE      (UINT64_C(1) << 29)
#define TDX_ATTRIBUTE_PKS             (UINT64_C(1) << 30)
#define TDX_ATTRIBUTE_KL              (UINT64_C(1) << 31)
#define TDX_ATTRIBUTE_PERFMON         (UINT64_C(1) << 63)

/* An SGX report body, 384 bytes: of an enclave, or of the quoting enclave itself. */
struct sgx_body {
    uint8_t cpu_svn[INTEL_SVN_LEN];
    uint8_t misc_select[4];
    uint8_t attributes[16]; /* flags and xfrm as they stand */
    uint64_t flags;
    uint8_t mrenclave[32];
    uint8_t mrsigner[32];
    uint8_t config_id[64];
    uint16_t isv_prod_id;
    uint16_t isv_svn;
    uint16_t config_svn;
    uint8_t ext_prod_id[16];
    uint8_t family_id[16];
    uint8_t report_data[INTEL_REPORT_DATA_LEN];
};

/* A TD's report body: TD 1.0, 584 bytes; TD 1.5, 648; or TD 1.5 extended, 885. */
struct tdx_body {
    uint8_t tee_tcb_svn[INTEL_SVN_LEN]; /* at launch */
    uint8_t mrseam[48];
    uint8_t mrsignerseam[48];
    uint8_t seam_attributes[8];
    uint8_t td_attributes[8];
    uint8_t xfam[8];
    uint8_t mrtd[48];
    uint8_t mrconfigid[48];
    uint8_t mrowner[48];
    uint8_t mrownerconfig[48];
    uint8_t rtmr[INTEL_RTMRS][48];
    uint8_t report_data[INTEL_REPORT_DATA_LEN];
    bool has_current; /* TD 1.5: what follows */
    uint8_t tee_tcb_svn_now[INTEL_SVN_LEN];
    uint8_t mrservicetd[48];
    bool is_extended; /* TD 1.5 extended: what follows */
    uint8_t vmid;     /* 0: the TD itself asked for it, 1 to 3: for a machine within it */
    uint8_t td_id[32];
    uint8_t devices[48];          /* digest over the devices that belong to it; zero: none */
    uint8_t service_td_first[48]; /* the service TDs bound when it was created; zero: none */
    uint8_t service_td_first_attributes[8];
    uint8_t cpu_svn_first[INTEL_SVN_LEN]; /* of the platform on which it was created */
    uint8_t tee_tcb_svn_first[INTEL_SVN_LEN];
    uint8_t platform_first[12];
    uint8_t service_td_now[48]; /* the service TDs bound by now; zero: none */
    uint8_t service_td_now_attributes[8];
};

/* Runs of bytes borrow the quote. */
struct intel_quote {
    unsigned version;
    bool is_tdx;
    size_t len;                   /* of the quote proper */
    struct neo_bytes signed_part; /* by the attestation key */
    union {
        struct sgx_body sgx;
        struct tdx_body tdx;
    } body;
    struct neo_bytes signature;       /* r and s, big-endian */
    struct neo_bytes attestation_key; /* x and y */
    struct neo_bytes qe_report;       /* by the PCK's key */
    struct neo_bytes qe_signature;
    struct sgx_body qe;
    struct neo_bytes qe_auth;
    struct neo_bytes certificates; /* PEM: PCK leaf, its authority, the root */
};
/* INVALID_ARGUMENT: malformed. UNIMPLEMENTED: of a version or kind that is not known. */
NEO_MUST_CHECK enum neo_code intel_quote_read(struct neo_bytes text, struct intel_quote *ret,
                                              struct neo_error *err);

#endif
