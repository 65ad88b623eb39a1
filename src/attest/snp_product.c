/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/snp_product.h"

/* clang-format off */
const struct snp_product snp_products[SNP_PRODUCTS] = {
    {
        .name = "Milan",
        .root_name = "ARK-Milan",
        .issuer_name = {[SNP_VCEK] = "SEV-Milan", [SNP_VLEK] = "SEV-VLEK-Milan"},
        .root_sha256 = {
            0x69, 0xd0, 0x63, 0xb4, 0x53, 0x44, 0xd2, 0x6a, 0x2e, 0x94, 0xe1, 0xf4, 0x21, 0x0d, 0xe4, 0x9e,
            0xf5, 0x55, 0x30, 0x82, 0x87, 0xd4, 0xc1, 0x74, 0x44, 0x5c, 0x95, 0x63, 0x9a, 0x54, 0x0b, 0xcd,
        },
        .hwid_len = 64,
        .tcb = {SNP_BOOTLOADER, SNP_TEE, 4, 5, 6, 7, SNP_SNP, SNP_MICROCODE},
        .cpus = {{0x19, 0x00, 0x0f}},
    },
    {
        .name = "Genoa", /* Bergamo and Siena live under the same root */
        .root_name = "ARK-Genoa",
        .issuer_name = {[SNP_VCEK] = "SEV-Genoa", [SNP_VLEK] = "SEV-VLEK-Genoa"},
        .root_sha256 = {
            0x4c, 0x65, 0x98, 0xd1, 0x9c, 0x18, 0x71, 0x9c, 0x5d, 0xfd, 0x4a, 0x7d, 0x33, 0x5f, 0x67, 0x4e,
            0x5b, 0xfe, 0x1d, 0x8f, 0x80, 0x0c, 0xea, 0x2c, 0xf2, 0x70, 0xc1, 0x0d, 0x10, 0x3d, 0xb2, 0xf1,
        },
        .hwid_len = 64,
        .tcb = {SNP_BOOTLOADER, SNP_TEE, 4, 5, 6, 7, SNP_SNP, SNP_MICROCODE},
        .cpus = {{0x19, 0x10, 0x1f}, {0x19, 0xa0, 0xaf}},
    },
    {
        .name = "Turin",
        .root_name = "ARK-Turin",
        .issuer_name = {[SNP_VCEK] = "SEV-Turin", [SNP_VLEK] = "SEV-VLEK-Turin"},
        .root_sha256 = {
            0x1f, 0x08, 0x41, 0x61, 0xa4, 0x4b, 0xb6, 0xd9, 0x37, 0x78, 0xa9, 0x04, 0x87, 0x7d, 0x48, 0x19,
            0xca, 0xfa, 0x5d, 0x05, 0xef, 0x41, 0x93, 0xb2, 0xde, 0xd9, 0xdd, 0x9c, 0x73, 0xdd, 0x3f, 0x6a,
        },
        .hwid_len = 8,
        .tcb = {SNP_FMC, SNP_BOOTLOADER, SNP_TEE, SNP_SNP, 5, 6, 7, SNP_MICROCODE},
        .cpus = {{0x1a, 0x00, 0x11}},
    },
};
/* clang-format on */

const struct snp_product *snp_product_named(struct neo_bytes name)
{
    for (size_t i = 0; i < SNP_PRODUCTS; i++) {
        if (neo_bytes_is(name, snp_products[i].name))
            return &snp_products[i];
    }
    return NULL;
}

const struct snp_product *snp_product_of_issuer(struct neo_bytes issuer_name, enum snp_vek vek)
{
    for (size_t i = 0; i < SNP_PRODUCTS; i++) {
        if (neo_bytes_is(issuer_name, snp_products[i].issuer_name[vek]))
            return &snp_products[i];
    }
    return NULL;
}

static bool is_one_of(const struct snp_product *product, uint64_t family, uint64_t model)
{
    for (size_t i = 0; i < NEO_COUNT(product->cpus); i++) {
        const struct snp_cpu *cpu = &product->cpus[i];
        if (cpu->family != 0 && cpu->family == family && model >= cpu->first_model &&
            model <= cpu->last_model)
            return true;
    }
    return false;
}

const struct snp_product *snp_product_of_cpu(uint64_t family, uint64_t model)
{
    for (size_t i = 0; i < SNP_PRODUCTS; i++) {
        if (is_one_of(&snp_products[i], family, model))
            return &snp_products[i];
    }
    return NULL;
}
