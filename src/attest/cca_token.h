/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attest/cca_token.h - the attestation token of the Arm Confidential Compute Architecture.
 *
 * Two COSE_Sign1 in one: the platform's, by a key that its maker vouches for, and
 * the realm's, by a key whose digest the platform's challenge carries. Both envelopes
 * are known: tag 399 (RMM 1.0) and tag 907, a collection of conceptual messages.
 * Profiles, of the platform and the realm: those of RMM 1.0 (2023, and the older name of the
 * platform's) and of RMM 2.0 (2024), which come in pairs. Claims that nothing is judged by
 * are left alone; each key may stand there once.
 */
#ifndef NEO_ATTEST_CCA_TOKEN_H
#define NEO_ATTEST_CCA_TOKEN_H

#include "codec/cose.h"

enum {
    CCA_TOKEN_MAX = 16 << 10,
    CCA_REMS = 4,
    CCA_DIGEST_MAX = 64,
    CCA_RPV_LEN = 64,
    CCA_CHALLENGE_LEN = 64,
    CCA_INSTANCE_LEN = 33,
    CCA_IMPLEMENTATION_LEN = 32,
    CCA_POINT_MAX = 96,
};

enum cca_hash {
    CCA_SHA256,
    CCA_SHA384,
    CCA_SHA512,
};

enum cca_profile {
    CCA_NOT_SAID, /* realms did not in the beginning */
    CCA_1_0,
    CCA_2_0,
};

/* Runs of bytes borrow the token. */
struct cca_token {
    struct cose_sign1 platform;
    struct cose_sign1 realm;

    enum cca_profile platform_profile;
    enum cca_profile realm_profile;
    uint64_t client; /* who asked the platform: 1 is the monitor of realms, 0 not said */
    struct neo_bytes platform_challenge;
    struct neo_bytes implementation_id;
    struct neo_bytes instance_id;
    uint32_t lifecycle;

    struct neo_bytes challenge; /* 64 bytes: what is bound */
    struct neo_bytes rpv;
    struct neo_bytes rim;
    struct neo_bytes rem[CCA_REMS];
    struct neo_bytes rak; /* as it stands: what the platform's challenge is a digest of */
    enum cca_hash rak_hash;
    enum cose_algorithm rak_algorithm; /* of the curve: ES256 or ES384 */
    uint8_t rak_point[CCA_POINT_MAX];  /* x and y */
};
NEO_MUST_CHECK enum neo_code cca_token_read(struct neo_bytes text, struct cca_token *ret,
                                            struct neo_error *err);

#endif
