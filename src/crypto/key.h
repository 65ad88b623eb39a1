/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NEO_CRYPTO_KEY_H
#define NEO_CRYPTO_KEY_H

#include "crypto/openssl.h"

#include <neo/key.h>

/* Borrowed. */
EVP_PKEY *key_pkey(const struct neo_key *key);
/* SubjectPublicKeyInfo, DER; borrowed. */
struct neo_bytes key_spki(const struct neo_key *key);

#endif
