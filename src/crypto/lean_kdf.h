/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crypto/lean_kdf.h - the key schedule of TLS 1.3 (RFC 8446, 7.1) for lean.c.
 *
 * A handshake derives thirteen secrets at each end, and in OpenSSL 3.0 each costs ten times its
 * four compressions. This does what libssl asks for, which is one block of output from SHA-256 or
 * SHA-384, and hands whatever is anything else to the default provider's.
 */
#ifndef NEO_CRYPTO_LEAN_KDF_H
#define NEO_CRYPTO_LEAN_KDF_H

#include <openssl/core.h>
#include <stdbool.h>

/*
 * Before any other: `from` is the default provider's "TLS13-KDF", `context` its context. False
 * when it lacks something that is needed.
 */
bool lean_kdf_begin(const OSSL_DISPATCH *from, void *context);

/* In place of the default provider's. */
const OSSL_DISPATCH *lean_kdf(void);

#endif
