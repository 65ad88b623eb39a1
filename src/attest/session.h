/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attest/session.h - the exchange `neo-attest-v1` on one connection, as a state machine.
 *
 * Frames (serialized neo.attest.v1.AttestFrame) go in and out; the owner carries
 * them on the first stream of the connection, /neo.attest.v1.Attestation/Attest.
 * What the binder covers comes from the owner's own view of the connection and
 * never from the wire: role, the verifier's nonce, the TLS exporter, both keys,
 * both identities, the claims.
 *
 * Threads   One owner.
 */
#ifndef NEO_ATTEST_SESSION_H
#define NEO_ATTEST_SESSION_H

#include "attest/vouch.h"

#include <neo/attest.h>
#include <neo/key.h>

/* The owner's view of its TLS connection. */
struct attest_channel {
    bool is_server;
    uint8_t exporter[32];
    uint8_t own_spki_sha256[32];
    uint8_t peer_spki_sha256[32];
    struct neo_bytes own_uri;
    struct neo_bytes peer_uri;     /* the identity we wanted (client) or verified (server) */
    struct neo_bytes peer_service; /* its service name: selects the policy */
};

struct attest_options {
    const struct attest_channel *channel; /* copied */
    struct neo_attest_trust *trust;       /* referenced */
    struct neo_attest_policies *policies; /* referenced */
    struct neo_attester *attester;        /* borrowed; NULL: we cannot prove anything */
    bool want_peer;                       /* the peer must prove itself */
    uint8_t nonce[32];                    /* fresh and random, from the owner */
    bool client_first; /* server: the client proves itself first, when both must */
    neo_nsec now;      /* monotonic: when the 10 s begin; 0: with the first frame */

    /* Delegation. Used where the policy of the side that judges says so. */
    struct neo_key *session_key;         /* ours, referenced; NULL: none */
    struct attest_vouch *const *vouches; /* of the peer's, vouch_find(); referenced */
    size_t n_vouches;
    uint64_t rules;             /* the number of `trust` and `policies` */
    struct neo_cert *peer_leaf; /* referenced by what is vouched for; may be NULL */
};

enum { ATTEST_FRAME_MAX = 64 << 10 };
#define ATTEST_EXCHANGE_MAX (10 * NEO_NSEC_PER_SEC)

enum attest_state {
    ATTEST_RUNNING,
    ATTEST_NEEDS_EVIDENCE, /* call the attester with attest_binder(), then attest_evidence() */
    ATTEST_ACCEPTED,       /* both sides are done and content */
    ATTEST_REFUSED,
};

struct attest_session;
/*
 * FAILED_PRECONDITION: the peer must prove itself and no policy says what. INVALID_ARGUMENT: a part
 * of the channel or the nonce is missing. Gives `*ret`: attest_session_free().
 */
NEO_MUST_CHECK enum neo_code attest_session_new(const struct attest_options *options,
                                                struct attest_session **ret, struct neo_error *err);
void attest_session_free(struct attest_session *s);

/* The client's first frame. */
NEO_MUST_CHECK enum neo_code attest_session_start(struct attest_session *s, struct neo_buffer *out,
                                                  struct neo_error *err);
/* One whole frame of at most 64 KiB; appends at most one frame to `out` (empty: none). */
enum attest_state attest_session_feed(struct attest_session *s, struct neo_bytes frame,
                                      int64_t wall, neo_nsec now, struct neo_buffer *out);
/* Feeding it may cost several signature checks: do it off the loop. Evidence is never smaller. */
bool attest_session_is_dear(const struct attest_session *s, struct neo_bytes frame);
/* In ATTEST_NEEDS_EVIDENCE: what must be bound; then its evidence, or a failure (body empty). */
const uint8_t *attest_session_binder(const struct attest_session *s);
enum attest_state attest_session_evidence(struct attest_session *s, struct neo_bytes body,
                                          struct neo_bytes certificates, struct neo_buffer *out);

/* For a timer of the owner's: REFUSED once the time for the exchange is over. */
enum attest_state attest_session_tick(struct attest_session *s, neo_nsec now,
                                      struct neo_buffer *out);

enum attest_state attest_session_state(const struct attest_session *s);
/* After the end. The peer's appraisal, when it had to prove itself; valid until free. */
const struct neo_appraisal *attest_session_appraisal(const struct attest_session *s);
enum neo_attest_reason attest_session_reason(const struct attest_session *s);
/* One sentence for our own log; never sent to the peer. */
const char *attest_session_detail(const struct attest_session *s);
/* Accepted: until when the channel counts as attested (monotonic); re-attest at 2/3 of it. */
neo_nsec attest_session_valid_until(const struct attest_session *s);

/*
 * Accepted: the peer's session key, new or known; NULL when it has named none. Put it into a table
 * once the verdict counts.
 */
struct attest_vouch *attest_session_vouch(const struct attest_session *s);

/* The binder B of neo-attest-v1, for tests and for foreign stacks (docs/design/attest.md). */
struct attest_binder_input {
    uint8_t role; /* 1: the attester is the TLS server; 2: the client */
    uint8_t kind; /* 1: hardware evidence, 2: a session key for it, 3: for one call */
    struct neo_bytes evidence_type;
    struct neo_bytes verifier_nonce;
    struct neo_bytes exporter;
    struct neo_bytes attester_spki_sha256;
    struct neo_bytes verifier_spki_sha256;
    struct neo_bytes attester_uri;
    struct neo_bytes verifier_uri;
    struct neo_bytes claims;
};
void attest_binder(const struct attest_binder_input *in, uint8_t ret[static NEO_BINDER_LEN]);

/* How the policy for `service` wants to be proven to; ATTEST_DIRECT where there is none. */
enum attest_mode {
    ATTEST_DIRECT,    /* evidence for every connection */
    ATTEST_DELEGATED, /* or a session key that evidence has named */
    ATTEST_PER_CALL,  /* and its signature for every call to the service */
};
enum attest_mode attest_mode_of(const struct neo_attest_policies *policies,
                                struct neo_bytes service);

/* What somebody proved to run, kept beside the verdict. {0}: nothing. */
struct attest_code {
    uint8_t len;
    uint8_t at[64];
};
void attest_code_keep(struct attest_code *code, const struct neo_appraisal *appraisal);
/*
 * For new policies: NULL when by their rollouts this code of `service` counts at `now`, or
 * they have none of it; else why a connection that rests on it ends at once.
 */
const char *attest_code_refusal(const struct attest_code *code,
                                const struct neo_attest_policies *policies,
                                struct neo_bytes service, int64_t now);

/* What a session key signs. */
enum { ATTEST_SIGNED_LEN = 19 + NEO_BINDER_LEN };
void attest_signed(const uint8_t binder[static NEO_BINDER_LEN],
                   uint8_t ret[static ATTEST_SIGNED_LEN]);

#endif
