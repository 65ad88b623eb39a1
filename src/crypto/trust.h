/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NEO_CRYPTO_TRUST_H
#define NEO_CRYPTO_TRUST_H

#include "crypto/cert.h"

/*
 * neo_trust_verify() for certificates that are parsed already. They must be the caller's alone: an
 * accepted one is given its issuer.
 */
NEO_MUST_CHECK enum neo_code trust_judge(const struct neo_trust *trust,
                                         struct neo_cert *const *chain, size_t n, int64_t now,
                                         struct neo_error *err);

/* Whether `trust` is a root's fingerprint and nothing else: good for joining only. */
bool trust_is_pinned(const struct neo_trust *trust);

#endif
