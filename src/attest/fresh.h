/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attest/fresh.h - a proof for one call (header mode).
 *
 * Where a session has settled a session key, either end can have it sign for a single
 * call: over a binder of kind 3, with a nonce of the caller's, whose claims are those
 * of the session and the stream and path of the call. So it holds for that call on that
 * connection, and shows that the key is still where the evidence saw it, now.
 *
 * Threads   One owner.
 */
#ifndef NEO_ATTEST_FRESH_H
#define NEO_ATTEST_FRESH_H

#include "attest/session.h"

enum { FRESH_NONCE_LEN = 32, FRESH_EVIDENCE_LEN = 32 };

struct attest_fresh;

/*
 * What a connection keeps of a session that was accepted. NULL: nobody has named a key, or out of
 * memory, which comes to the same. Gives: fresh_free().
 */
struct attest_fresh *fresh_new(const struct attest_session *s);
void fresh_free(struct attest_fresh *f);

/* Has the peer named a key? Have we? */
bool fresh_can_check(const struct attest_fresh *f);
bool fresh_can_prove(const struct attest_fresh *f);

struct fresh_call {
    struct neo_bytes nonce; /* the caller's, FRESH_NONCE_LEN */
    uint32_t stream;
    struct neo_bytes path;
};

/* Appends the signature. `ret_evidence`: which evidence stands behind it. */
NEO_MUST_CHECK enum neo_code fresh_prove(const struct attest_fresh *f,
                                         const struct fresh_call *call, struct neo_buffer *out,
                                         uint8_t ret_evidence[static FRESH_EVIDENCE_LEN],
                                         struct neo_error *err);
/* UNAUTHENTICATED with the reason, for our own log. */
NEO_MUST_CHECK enum neo_code fresh_check(const struct attest_fresh *f,
                                         const struct fresh_call *call, struct neo_bytes proof,
                                         struct neo_bytes evidence, neo_nsec now,
                                         struct neo_error *err);

#endif
