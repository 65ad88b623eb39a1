/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crypto/vendor_memo.h - what of a vendor's signatures has been found good already.
 *
 * That a key signed some bytes does not change with time, so it needs to be found out
 * once. A fact is the SHA-256 of all that it rests on (each certificate, list or
 * document by its own digest) and the time in which it holds; whatever depends on the
 * hour, revocation above all, is judged anew each time. Only success is kept: bytes
 * that no vendor signed leave no trace, so nobody can push anything out with them.
 *
 * It lives as long as the trust it belongs to, and goes with it.
 *
 * Threads   Any. Bounded: a new fact takes the place of an older one.
 */
#ifndef NEO_CRYPTO_VENDOR_MEMO_H
#define NEO_CRYPTO_VENDOR_MEMO_H

#include "crypto/vendor.h"

struct vendor_memo;
/* NULL: out of memory. vendor_memo_free(). */
struct vendor_memo *vendor_memo_new(void);
void vendor_memo_free(struct vendor_memo *memo);

/* The digest of what a fact rests on. `kind` tells kinds of facts apart. */
struct vendor_memo_key {
    uint8_t sha256[NEO_SHA256_LEN];
};
struct vendor_memo_key vendor_memo_key(const char *kind, const struct neo_bytes *parts, size_t n);

/* Does it hold at `now`? `memo` may be NULL: no. */
bool vendor_memo_knows(struct vendor_memo *memo, const struct vendor_memo_key *key, int64_t now);
/* It holds while not_before <= now < not_after. `memo` may be NULL. */
void vendor_memo_keep(struct vendor_memo *memo, const struct vendor_memo_key *key,
                      int64_t not_before, int64_t not_after);

/* A certificate that was read before, by its DER. Gives it, or NULL. */
struct vendor_cert *vendor_memo_cert(struct vendor_memo *memo, struct neo_bytes der);
/* References it. */
void vendor_memo_keep_cert(struct vendor_memo *memo, struct vendor_cert *cert);

#endif
