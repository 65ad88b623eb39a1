/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attest/snp_product.h - the processors that can do SEV-SNP, and how they differ.
 */
#ifndef NEO_ATTEST_SNP_PRODUCT_H
#define NEO_ATTEST_SNP_PRODUCT_H

#include "attest/snp_report.h"

/*
 * A component of a TCB version, by the number that AMD's certificate extension gives it
 * (1.3.6.1.4.1.3704.1.3.<number>). 4 to 7 are reserved and always zero.
 */
enum snp_component {
    SNP_BOOTLOADER = 1,
    SNP_TEE = 2,
    SNP_SNP = 3,
    SNP_MICROCODE = 8,
    SNP_FMC = 9,
    SNP_COMPONENTS, /* the length of an array by number */
};

static inline bool snp_component_is_reserved(uint8_t component)
{
    return component >= 4 && component <= 7;
}

struct snp_cpu {
    uint8_t family;
    uint8_t first_model;
    uint8_t last_model;
};

struct snp_product {
    const char *name; /* "Milan", as in certificates and policies */
    const char *root_name;
    const char *issuer_name[2]; /* by enum snp_vek */
    uint8_t root_sha256[NEO_SHA256_LEN];
    size_t hwid_len;          /* what CHIP_ID has before its zeros */
    uint8_t tcb[SNP_TCB_LEN]; /* the component in each byte of a TCB version */
    struct snp_cpu cpus[2];   /* family 0: no such row */
};

enum { SNP_PRODUCTS = 3 };
extern const struct snp_product snp_products[SNP_PRODUCTS];

/* NULL: no such product. */
const struct snp_product *snp_product_named(struct neo_bytes name);
const struct snp_product *snp_product_of_issuer(struct neo_bytes issuer_name, enum snp_vek vek);
/* Of a report that names its processor (version 3 and up). */
const struct snp_product *snp_product_of_cpu(uint64_t family, uint64_t model);

#endif
