/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attest/exchange.h - the inside of a session, shared by its three files.
 *
 *   session.c    its life and its face
 *   exchange.c   which frame may come when, and what goes out
 *   proof.c      what evidence is bound to, and the verdict on the peer's
 */
#ifndef NEO_ATTEST_EXCHANGE_H
#define NEO_ATTEST_EXCHANGE_H

#include "attest/policies.h"
#include "attest/session.h"

#include <neo/attest/v1/frame.neo.h>

enum {
    EXCHANGE_VERSION = 1,
    EXCHANGE_NONCE_LEN = 32,
    KIND_HARDWARE = 1,
    KIND_SESSION_KEY = 2,
    KIND_CALL = 3,
};

enum step {
    AWAIT_START, /* client: nothing was sent yet */
    AWAIT_HELLO,
    AWAIT_OFFER,
    AWAIT_ANSWER,
    AWAIT_VERDICT,
};

/* The parts of a frame. */
enum {
    HAS_HELLO = 1,
    HAS_OFFER = 2,
    HAS_PROOF = 4,
    HAS_DONE = 8,
};

struct attest_session {
    enum attest_state state;
    enum step step;
    struct attest_channel channel; /* its texts are in `arena` */
    struct neo_attest_trust *trust;
    struct neo_attest_policies *policies;
    bool can_prove;
    bool want_peer;
    bool client_first;
    enum neo_evidence_kind own_kind; /* when we can prove */
    unsigned peer_kinds;             /* bits of those we accept, when we want the peer's */
    uint8_t nonce[EXCHANGE_NONCE_LEN];
    uint8_t peer_nonce[EXCHANGE_NONCE_LEN];
    bool peer_wants;
    unsigned reply; /* NEEDS_EVIDENCE: the frame that waits for it */
    uint8_t binder[NEO_BINDER_LEN];
    neo_nsec deadline;               /* 0: not known yet */
    neo_nsec valid_until;            /* the earlier of our verdict's end and the peer's */
    uint32_t valid_for;              /* of our verdict, in seconds; 0: we asked for none */
    uint8_t own_evidence_sha256[32]; /* of what we have shown, or of what the peer knows us by */
    struct neo_bytes own_claims;
    bool is_known; /* to the peer, by our session key */

    struct neo_key *session_key; /* NULL: none, or the peer asks for none */
    enum attest_mode mode;       /* of the policy for the peer */
    struct attest_vouch *known[VOUCHES_OF_ONE];
    size_t n_known;
    uint64_t rules;
    struct neo_cert *peer_leaf;
    struct neo_bytes peer_claims;
    struct attest_vouch *vouch;

    bool is_appraised;
    struct neo_appraisal appraisal;
    enum neo_attest_reason reason;
    char detail[240];
    struct neo_arena arena;
};

/* When a frame came. */
struct moment {
    int64_t wall;
    neo_nsec now;
};

struct incoming {
    struct neo_attest_v1_AttestFrame frame;
    unsigned shape;
    struct moment at;
    struct neo_arena *arena;
    struct neo_buffer *out;
};

/* The one way to fail. `out` NULL: the peer is not told. */
NEO_PRINTF(4, 5)
enum attest_state exchange_refuse(struct attest_session *s, enum neo_attest_reason reason,
                                  struct neo_buffer *out, const char *format, ...);
/* Appends a frame; nothing, and false, when it is too large or there is no memory. */
bool exchange_append(const struct neo_attest_v1_AttestFrame *frame, struct neo_buffer *out);
/* Sends the parts named in `parts`, and waits for `next`. */
enum attest_state exchange_reply(struct attest_session *s, unsigned parts,
                                 struct neo_attest_v1_Proof *proof, enum step next,
                                 struct neo_buffer *out);
/* What a frame makes of the session. */
enum attest_state exchange_take(struct attest_session *s, const struct incoming *in);

/* Asks the owner for evidence, unless our session key will do; the frame of `parts` goes with it.
 */
enum attest_state proof_ask(struct attest_session *s, unsigned parts, struct neo_buffer *out);
/* The peer takes session keys, and knows these. */
enum attest_state proof_delegate(struct attest_session *s, struct neo_attest_v1_Known *const *knows,
                                 size_t n, struct neo_buffer *out);
/* The step after the frame that has our proof. */
enum step proof_next(const struct attest_session *s);
/* Those the peer may use, in `known` and `at`, both of VOUCHES_OF_ONE; returns how many. */
size_t proof_known(const struct attest_session *s, struct neo_attest_v1_Known *known,
                   struct neo_attest_v1_Known **at);
/* RUNNING: the peer's evidence was accepted. Once in a session. */
enum attest_state proof_judge(struct attest_session *s, const struct incoming *in);

#endif
