/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls/known.h - chains that were judged good under one trust.
 *
 * A peer comes back with the chain it had a moment ago, and what its issuers signed has not
 * changed since. So the judgement is remembered by the SHA-256 of the whole chain as it was
 * presented, in a context, which has one trust for ever: a new trust or revocation makes a new
 * context, and that knows nobody. What depends on the time is asked again at each use, and
 * possession of the key is proven in each handshake regardless.
 *
 * A fixed number of places; whoever comes to a place that is taken replaces what was there.
 *
 * Threads   Any; one lock, held for a comparison.
 */
#ifndef NEO_TLS_KNOWN_H
#define NEO_TLS_KNOWN_H

#include <neo/cert.h>

#include <openssl/x509.h>
#include <pthread.h>
#include <stdatomic.h>

enum { KNOWN_PLACES = 256 };

struct known_place {
    uint8_t key[NEO_SHA256_LEN];
    struct neo_cert *leaf; /* NULL: free */
};

struct known {
    pthread_mutex_t lock;
    struct known_place *places; /* NULL until the first is put */
    atomic_uint_fast64_t hits;
};

void known_init(struct known *known);
void known_fini(struct known *known);

/* Of all certificates, in order, with their lengths. False when one cannot be written out. */
bool known_key(STACK_OF(X509) * chain, uint8_t ret[static NEO_SHA256_LEN]);
/* The leaf with its path, or NULL. Gives: neo_cert_unref(). */
struct neo_cert *known_find(struct known *known, const uint8_t key[static NEO_SHA256_LEN]);
/* References `leaf`, which was judged good just now. Out of memory: it stays unknown. */
void known_put(struct known *known, const uint8_t key[static NEO_SHA256_LEN],
               struct neo_cert *leaf);

#endif
