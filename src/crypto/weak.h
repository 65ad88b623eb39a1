/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crypto/weak.h - a digest that is no longer one: two texts of one SHA-1 can be made.
 *
 * Only for what hardware has fixed: a TPM's SHA-1 bank is extended by it, and its log is replayed
 * by it. Nothing is signed or trusted by it; who relies on such a bank says so in the policy.
 */
#ifndef NEO_CRYPTO_WEAK_H
#define NEO_CRYPTO_WEAK_H

#include <neo/bytes.h>

enum { WEAK_SHA1_LEN = 20 };

void weak_sha1(struct neo_bytes data, uint8_t ret[static WEAK_SHA1_LEN]);

#endif
