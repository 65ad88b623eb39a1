/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attest/nitro.h - what evidence of an AWS Nitro enclave must pass.
 *
 * What it proves is the hypervisor's word: AWS vouches for its own machine. The
 * leaf lives three hours, which stands in for revocation.
 */
#ifndef NEO_ATTEST_NITRO_H
#define NEO_ATTEST_NITRO_H

#include "attest/family.h"
#include "attest/nitro_document.h"

/* Name, text, reason, claim; then one for each PCR. */
#define NITRO_CHECKS_BEFORE_RULES(X)                                                               \
    X(NITRO_FORMAT, "nitro.format", FORMAT, HARDWARE)                                              \
    X(NITRO_ROOT, "nitro.root", CHAIN, HARDWARE)                                                   \
    X(NITRO_CHAIN, "nitro.chain", CHAIN, HARDWARE)                                                 \
    X(NITRO_SIGNATURE, "nitro.signature", SIGNATURE, HARDWARE)                                     \
    X(NITRO_TIMESTAMP, "nitro.timestamp", EXPIRED, HARDWARE)                                       \
    X(NITRO_BINDER, "nitro.binder", BINDING, NONE)                                                 \
    X(NITRO_DEBUG, "nitro.debug", DEBUG, CONFIGURATION)

/* clang-format off */
enum nitro_check {
    CHECK_NITRO_BEFORE = COMMON_CHECKS_N - 1,
#define X(name, text, reason, claim) CHECK_##name,
    NITRO_CHECKS_BEFORE_RULES(X)
#undef X
    CHECK_NITRO_PCR,
    NITRO_CHECKS = CHECK_NITRO_PCR + NITRO_PCRS,
};
/* clang-format on */

/* AWS Nitro Enclaves Root-G1: SHA-256 of its DER. */
extern const uint8_t nitro_root_sha256[NEO_SHA256_LEN];

struct nitro_rule {
    uint8_t pcrs[NITRO_PCRS][NITRO_PCR_LEN];
    uint32_t asked; /* bit i: PCR i must have this value. PCR 0 always is. */
};

#endif
