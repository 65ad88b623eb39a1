/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crypto/lean_ec.h - public keys of ECDSA for lean.c, remembered by their bytes.
 *
 * A certificate's key is read for every handshake, a peer's and its issuer's each time anew, and
 * most of that is OpenSSL making the curve once more. Here the bytes must first have one of the
 * forms of crypto/spki.h, which are compared byte by byte; then they are looked up, and a key that
 * was read before is copied. What is remembered is what the bytes say and nothing of trust: whoever
 * fills the table with keys of his own makes others slower, as slow as without it.
 */
#ifndef NEO_CRYPTO_LEAN_EC_H
#define NEO_CRYPTO_LEAN_EC_H

#include <openssl/core.h>
#include <stdbool.h>

/*
 * Before any other: `core` are the functions that the context offers its providers, `from` the
 * default provider's key management of "EC", `context` its context. False when these lack something
 * that is needed.
 */
bool lean_ec_begin(const OSSL_DISPATCH *core, const OSSL_DISPATCH *from, void *context);

/* Forgets all keys. Nobody may be reading one. */
void lean_ec_end(void);

/* In place of the default provider's; each knows the other's keys. */
const OSSL_DISPATCH *lean_ec_keys(void);
const OSSL_DISPATCH *lean_ec_decoder(void);

#endif
