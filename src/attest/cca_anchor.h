/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attest/cca_anchor.h - whose platforms count: the public keys of Arm CCA platforms.
 *
 * The token does not bring its platform's key along; who runs the machines knows it:
 *
 *     [{"pkey": {"kty": "EC", "crv": "P-384", "x": "...", "y": "..."},
 *       "implementation-id": "64 hex digits", "instance-id": "66 hex digits"}, ...]
 *
 * A key alone, as a JWK or a PEM block "PUBLIC KEY", counts for every platform that signs with it.
 * An entry with "simulated": true counts for simulated evidence, and for nothing else.
 */
#ifndef NEO_ATTEST_CCA_ANCHOR_H
#define NEO_ATTEST_CCA_ANCHOR_H

#include "attest/cca_token.h"

#include <neo/arena.h>

struct cca_anchor {
    enum cose_algorithm algorithm; /* by its curve */
    uint8_t point[CCA_POINT_MAX];
    uint8_t implementation_id[CCA_IMPLEMENTATION_LEN];
    uint8_t instance_id[CCA_INSTANCE_LEN];
    bool is_bare; /* a key alone: no ids */
    bool simulated;
    struct cca_anchor *next;
};

/* Puts the anchors of `text` before `*list`; they live in `arena`. */
NEO_MUST_CHECK enum neo_code cca_anchors_read(struct neo_bytes text, const char *what,
                                              struct neo_arena *arena, struct cca_anchor **list,
                                              struct neo_error *err);

/* The same of a key alone: a JWK, or a SubjectPublicKeyInfo (DER). */
NEO_MUST_CHECK enum neo_code cca_anchor_read_jwk(struct neo_bytes text, const char *what,
                                                 struct neo_arena *arena, struct cca_anchor **list,
                                                 struct neo_error *err);
NEO_MUST_CHECK enum neo_code cca_anchor_read_spki(struct neo_bytes der, const char *what,
                                                  struct neo_arena *arena, struct cca_anchor **list,
                                                  struct neo_error *err);

#endif
