/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc/peer.h - one connection of a server: who is there, and for how long.
 *
 *     HANDSHAKE --> OPEN --> NOTICED --> LEAVING --> GONE
 *                   calls    GOAWAY      GOAWAY      no connection; held calls may
 *                            (all ids)   (last id)   still point here
 *
 * Once, at the handshake: identity. Again with each epoch: revocation, trust, policy
 * of the calls that run. Again with each call: that the epoch is the one it was
 * judged by, and that its certificate has not expired.
 */
#ifndef NEO_RPC_PEER_H
#define NEO_RPC_PEER_H

#include "rpc/census.h"
#include "rpc/channelz.h"
#include "rpc/server.h"

#include "attest/session.h"

struct attest_exchange;
struct attest_fresh;

enum peer_state {
    PEER_HANDSHAKE,
    PEER_OPEN,
    PEER_NOTICED,
    PEER_LEAVING,
    PEER_GONE,
};

/* What is known of a method for this caller under this epoch. */
struct peer_method {
    uint64_t epoch; /* 0: nothing */
    struct neo_limit_keys limits;
    bool decided; /* once for all its calls: no condition was asked */
    struct neo_policy_answer answer;
};

struct peer {
    struct list link;      /* worker.peers */
    struct list handshake; /* one of worker.handshakes, until it is over */
    enum handshake_stage stage;
    struct worker *worker;
    struct conn *conn; /* NULL when GONE */
    enum peer_state state;
    size_t refs;     /* the connection's and one per call */
    uint64_t judged; /* number of the epoch that found nothing against it */

    /* Who: copies, because calls may outlive the connection. */
    char *strings;
    struct neo_bytes caller;
    struct neo_bytes caller_uri;
    struct neo_bytes serial;
    struct caller_share *share;  /* of all connections of this caller */
    struct neo_bytes counted_as; /* under which its connections are counted; empty: not yet */
    const struct neo_cert *leaf; /* of the connection; NULL: anonymous */

    struct list calls; /* whose streams are open */
    struct list held;  /* those that wait until the peer takes more of our output */
    struct neo_timer resume;
    size_t n_calls;
    size_t n_running;  /* in handlers, streams gone or not */
    size_t holding;    /* bytes of requests: holding.h */
    size_t trickled;   /* bytes of requests since `heard_at` */
    neo_nsec heard_at; /* when requests last moved by as much as all calls owe */
    struct peer_method *methods;
    struct channelz_counts counts;
    struct method *last_method;
    struct neo_bytes authority; /* the last one found to be ours; allocated */

    /* When: monotonic, 0 for never. */
    struct neo_timer tick;
    neo_nsec tick_at;
    neo_nsec idle_since;
    neo_nsec drain_at;          /* its certificate or ours ends soon */
    neo_nsec expires_at;        /* the earlier of the two ends */
    bool own_expires;           /* it is ours */
    neo_nsec block_at;          /* its header block must be complete */
    neo_nsec age_at;            /* it has lived long enough */
    neo_nsec pinged_at;         /* our keepalive PING, unanswered */
    neo_nsec leave_at;          /* NOTICED: the second GOAWAY */
    neo_nsec end_at;            /* of the grace: what still runs is ended, */
    enum neo_reason end_reason; /* with this */
    const char *debug;          /* of the GOAWAY */

    bool told_malformed; /* the log was told of a malformed request */
    bool must_attest;    /* under this epoch */
    neo_nsec attested_until;
    uint64_t attested_by;    /* attest_number of the epoch then */
    char evidence[65];       /* SHA-256 of what was appraised, hex; empty: nothing */
    bool simulated;          /* the appraisal says so */
    const char *tee;         /* of the appraisal; static, NULL: nothing */
    char *measurement;       /* the same, in hex; allocated */
    struct attest_code code; /* the same */
    struct census_mark counted;
    struct attest_fresh *fresh;       /* for proofs per call; NULL: no key was named */
    struct attest_exchange *exchange; /* the one under way */
    neo_nsec exchange_tat;            /* how often it may try */
};

/* Takes `fd` and `tls` on success; without `tls` it waits for worker_greeted(). `*ret` belongs to
   the worker. */
NEO_MUST_CHECK enum neo_code peer_new(struct worker *w, int fd, struct tls *tls, struct peer **ret,
                                      struct neo_error *err);
/* At once, without a word. */
void peer_cut(struct peer *p);
struct peer *peer_ref(struct peer *p);
void peer_unref(struct peer *p);

/* By the worker's present epoch: ends what is no longer trusted or allowed. */
void peer_judge(struct peer *p);
/* What speaks against a call of it now; judges first when there is a new epoch. */
enum neo_reason peer_objection(struct peer *p, neo_nsec now);
/* Lets calls end within `grace`; `debug` is for people and static. Only shortens. */
void peer_drain(struct peer *p, const char *debug, neo_nsec grace, enum neo_reason reason);
/* A header block was left unfinished. */
void peer_note_block(struct peer *p);
/* Its stream's answer found no room for too long: its call ends, or the stream does. */
void peer_cut_output(struct peer *p, struct h2_stream *s);
/* An answer to a PING of ours. */
void peer_note_pong(struct peer *p, const uint8_t opaque[static 8]);
/* Ends all calls with `reason` and closes. */
void peer_end(struct peer *p, enum neo_reason reason);
bool peer_is_attested(const struct peer *p, neo_nsec now);
/* The appraisal holds until then; 0: no more. */
void peer_set_attested(struct peer *p, neo_nsec until);

/* A call came, or a stream went. */
void peer_note_busy(struct peer *p);
void peer_note_idle(struct peer *p);
/* Room in its output that calls are held below. */
enum { PEER_OUTPUT_MAX = 192 * 1024 };
bool peer_output_is_full(const struct peer *p);
/* What is cached of the method; NULL when out of memory. */
struct peer_method *peer_method(struct peer *p, const struct method *m);

extern const struct h2_events peer_events;
/* Of its connection's hooks: asks the caches for what a call touches of the peer. */
void peer_warm(const struct conn *c, unsigned step);

#endif
