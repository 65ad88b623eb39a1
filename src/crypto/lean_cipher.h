/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crypto/lean_cipher.h - where OpenSSL keeps the keys of a connection's records.
 *
 * A record needs the expanded key and the tables of GCM, a kilobyte for each direction, which
 * OpenSSL allocates where it happens to be and tells nobody. The provider of lean.h makes these
 * contexts by the functions of the default provider, and only notes their addresses, so that their
 * owner can have them fetched into the cache before a record comes. They are never looked into.
 *
 * Threads   Any.
 */
#ifndef NEO_CRYPTO_LEAN_CIPHER_H
#define NEO_CRYPTO_LEAN_CIPHER_H

#include <openssl/core.h>
#include <openssl/core_dispatch.h>

enum { LEAN_CIPHERS_NOTED = 3 };

/* The last ones that were made, the latest first. They may be gone since: a hint, no pointer. */
struct lean_ciphers {
    const void *at[LEAN_CIPHERS_NOTED];
};

/*
 * What is made on this thread from now on is noted there, until this is called again; NULL:
 * nowhere. Borrows `into`.
 */
void lean_cipher_note(struct lean_ciphers *into);

/*
 * The same functions as those of `implementation`, but that it notes. They are static; the same
 * ones come back where there is no room for more.
 */
const OSSL_DISPATCH *lean_cipher_noting(const OSSL_DISPATCH *implementation);

#endif
