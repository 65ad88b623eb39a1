/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NEO_CRYPTO_REVOCATION_H
#define NEO_CRYPTO_REVOCATION_H

#include "crypto/cert.h"

struct revocation_entry {
    uint64_t key[2];
    int64_t before; /* certificates under this key with notBefore below this are revoked */
};

/* Immutable once filled; {0} is empty. */
struct revocations {
    struct revocation_entry *slots;
    size_t cap;
    bool has_cutoffs;
};

NEO_MUST_CHECK enum neo_code revocations_init(struct revocations *set,
                                              const struct neo_revocation *from, size_t n,
                                              struct neo_error *err);
void revocations_fini(struct revocations *set);

/* By serial; and, for a leaf, by a cutoff of its service. */
bool revocations_cover(const struct revocations *set, const struct neo_cert *cert);

#endif
