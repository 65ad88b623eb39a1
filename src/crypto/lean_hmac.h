/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crypto/lean_hmac.h - HMAC (RFC 2104) with the two hashes of TLS 1.3's key schedule.
 *
 * OpenSSL 3.0 makes an HMAC by looking up a MAC, then its digest by name, and by allocating half a
 * dozen contexts: ten times what the compressions take. Here the state is the caller's, and the
 * compressions are OpenSSL's.
 */
#ifndef NEO_CRYPTO_LEAN_HMAC_H
#define NEO_CRYPTO_LEAN_HMAC_H

#include <neo/bytes.h>

#include <openssl/sha.h>

enum { LEAN_HASH_MAX = SHA384_DIGEST_LENGTH, LEAN_BLOCK_MAX = SHA512_CBLOCK };

union lean_hash_state {
    SHA256_CTX sha256;
    SHA512_CTX sha384;
};

/* One of two; compared by address. */
struct lean_hash {
    size_t len;
    size_t block;
    void (*begin)(union lean_hash_state *);
    void (*add)(union lean_hash_state *, struct neo_bytes);
    void (*end)(union lean_hash_state *, uint8_t *ret);
};

/* By any name that OpenSSL has for it, without regard to case; NULL: it is neither. */
const struct lean_hash *lean_hash_named(const char *name);

struct lean_hmac {
    const struct lean_hash *hash;
    union lean_hash_state state;
    uint8_t pad[LEAN_BLOCK_MAX];
};

/* Any key; one that is longer than a block is hashed. */
void lean_hmac_begin(struct lean_hmac *hmac, const struct lean_hash *hash, struct neo_bytes key);
void lean_hmac_add(struct lean_hmac *hmac, struct neo_bytes data);
/* Writes hash->len bytes, and wipes what was secret. */
void lean_hmac_end(struct lean_hmac *hmac, uint8_t *ret);

#endif
