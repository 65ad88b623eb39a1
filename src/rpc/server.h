/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc/server.h - the parts of a server, for the files that make one.
 *
 *   server.c         its life: options, services, listening, updates, draining, the end
 *   worker.c         one loop of it: its peers and calls
 *   accept.c         its listeners, and the gates before a handshake
 *   epoch.c          what it lives by, as one immutable snapshot
 *   peer.c           one connection: who it is, whether it still may, when it ends
 *   peer_events.c    what HTTP/2 tells of it
 *   pipeline.c       the way of a call: the table of steps
 *   call.c           one call: its life and its answers
 *   call_request.c   what comes in for it
 *   call_blocking.c  handlers that block
 *   call_fresh.c     a proof of ours for one call
 *   share.c          how much of a worker one caller may have
 *   server_attest.c  how much attestation callers may cause
 *   record.c         audit and metrics
 *   metadata.c       headers as handlers see and set them
 *   authority.c      whether a call is addressed to us
 *   method_gate.c    how many calls of one method run at once
 *   intercept.c      the owner's code before and after handlers
 *   builtin_*.c      health, reflection, attestation, channelz
 *
 * Three lifetimes: an epoch (reference counted, any thread), a peer (while its
 * connection lives or a call of it is held), a call (while its stream lives or
 * somebody holds it).
 *
 * Threads   A worker, its peers and their calls belong to the worker's loop. What
 *           others may touch sits under neo_server.shared or is atomic.
 */
#ifndef NEO_RPC_SERVER_H
#define NEO_RPC_SERVER_H

#include <neo/admission.h>
#include <neo/interceptor.h>
#include <neo/reason.h>
#include <neo/server.h>

#include "base/list.h"
#include "base/map.h"
#include "rpc/channelz.h"
#include "rpc/conn.h"

#include <pthread.h>
#include <stdatomic.h>

struct neo_call;
struct peer;
struct server_attest;
struct worker;

/* --- epoch.c ----------------------------------------------------------------------------- */

struct epoch {
    atomic_size_t refs;
    uint64_t number;        /* counts updates */
    uint64_t attest_number; /* counts those of the rules and roots of attestation */
    struct neo_epoch is;
    struct tls_context *tls;
    int64_t own_not_after; /* of our certificate */
};

/*
 * `base` (may be NULL) with what `change` has. `how` is what a TLS context is made with besides its
 * identity and trust. Gives `*ret`: epoch_unref().
 */
NEO_MUST_CHECK enum neo_code epoch_new(const struct epoch *base, const struct neo_epoch *change,
                                       const struct tls_options *how, struct epoch **ret,
                                       struct neo_error *err);
struct epoch *epoch_ref(struct epoch *e);
void epoch_unref(struct epoch *e);

/* --- methods ----------------------------------------------------------------------------- */

enum { CODES = NEO_UNAUTHENTICATED + 1 };

typedef void method_handler_fn(struct neo_call *call, const void *request, void *self);

/* A stream whose messages nobody decodes: the attestation exchange. */
struct raw_method {
    /* After authorisation, in place of a handler. */
    void (*started)(struct neo_call *call);
    void (*message)(struct neo_call *call, struct neo_bytes message);
};

/*
 * A row of the dispatch table. Its address is the method id: authorisation, limits, dispatch and
 * records all use it, and nobody reads the path twice.
 */
struct method {
    const struct neo_method *info;
    method_handler_fn *handler; /* NULL: not implemented */
    const struct raw_method *raw;
    void *self;
    struct neo_bytes path;
    struct neo_bytes service;
    struct neo_bytes name;
    unsigned index;           /* in the connection's cache */
    size_t max_request;       /* 0: as all */
    struct method_gate *gate; /* NULL: as many as the server takes */
    bool blocking;
    bool builtin; /* open to every proven caller unless a rule denies it */
    struct {
        struct neo_counter *started;
        _Atomic(struct neo_counter *) handled[CODES];
        struct neo_histogram *duration;
    } metrics;
};

struct service {
    struct list link;
    const struct neo_service_info *info;
    size_t n_methods;
    atomic_bool serving; /* for health */
    struct method methods[];
};

/* --- server.c ---------------------------------------------------------------------------- */

struct server_metrics {
    struct neo_family *started;
    struct neo_family *handled;
    struct neo_family *duration;
    struct neo_family *denied;       /* by reason */
    struct neo_family *rate_limited; /* by bucket */
    struct neo_family *connections;
    struct method unknown; /* where calls of unknown methods are counted */
};

enum { LISTENERS_MAX = 4 };

struct neo_server {
    struct neo_server_options options; /* without zeros where those mean a default */
    char *name;
    struct neo_bytes target; /* the name, as policy asks for it */
    struct tls_options tls;  /* without identity and trust, which are the epoch's */
    struct map methods;      /* path -> struct method; constant once listening */
    struct neo_interceptor *interceptors[NEO_INTERCEPTORS_MAX];
    unsigned n_interceptors;
    bool sees_messages;     /* one of them looks at messages */
    size_t largest_request; /* of any method */
    int64_t channelz_id;
    struct list services;
    struct symbols *symbols; /* for reflection; constant once listening, NULL before */
    unsigned n_methods;
    unsigned n_workers;
    struct worker **workers;
    char addresses[LISTENERS_MAX][128];
    atomic_uint n_addresses;
    struct neo_lane blocking; /* of handlers that block */
    struct server_metrics metrics;
    struct h2_limits own_limits;
    const struct h2_limits *h2_limits; /* those above. Tests switch the guard off with it */
    struct server_attest *attest;
    atomic_bool draining;
    struct neo_loop *waiting; /* run by whoever waits for the workers to be empty */
    struct {
        pthread_mutex_t lock;
        struct epoch *epoch;
        struct map identities; /* what each has on all workers; struct identity_count */
        bool listening;
        struct channelz_trace trace; /* of what happened to it */
    } shared;
};

struct epoch *server_epoch(struct neo_server *server);
/* Logs what is wrong with the certificate that a server begins with. */
void server_look_at_certificate(const struct neo_server_options *options);
bool server_is_listening(struct neo_server *server);
/* For channelz. The lock is not held. */
void server_note(struct neo_server *server, bool warning, const char *text);
/* Registers a service of the server's own. */
NEO_MUST_CHECK enum neo_code server_add(struct neo_server *server,
                                        const struct neo_service_info *info, const void *handlers,
                                        void *self, bool builtin, struct service **ret,
                                        struct neo_error *err);

/* --- worker.c ---------------------------------------------------------------------------- */

enum { SCRATCH_BLOCK = 16 * 1024, ENDED_MOST = 32 };

struct listener {
    struct net_watch watch;
    struct worker *worker;
    int64_t channelz_id; /* 0: nobody has asked yet */
    bool open;
};

/* How far a connection has come that has proven nothing yet. */
enum handshake_stage {
    STAGE_SILENT,  /* accepted; its first record has not come */
    STAGE_WAITING, /* it has come, and waits until a handshake may be spent on it */
    STAGE_SHAKING, /* under way */
    HANDSHAKE_STAGES,
};

/* So many lines of a kind in a second, and then how many more there would have been. */
struct log_gate {
    neo_nsec since;
    unsigned n;
    uint64_t left_out;
};

/* Whose duration is still to be recorded. */
struct ended_call {
    struct neo_histogram *in;
    neo_nsec arrived;
};

struct worker {
    struct neo_server *server;
    struct neo_loop *loop;
    struct epoch *epoch;
    struct listener listeners[LISTENERS_MAX];
    struct list peers; /* all; those in the handshake are in `handshakes` too */
    size_t n_peers;

    struct { /* see accept.c */
        struct list list;
        size_t n;
    } handshakes[HANDSHAKE_STAGES];
    neo_nsec accept_tat; /* the gates: theoretical arrival times */
    neo_nsec handshake_tat;
    struct neo_timer resume; /* accepting, after its gate was shut */
    struct neo_timer shake;  /* the next handshakes of those that wait */

    struct map shares; /* caller -> struct caller_share */
    struct neo_admission admission;
    struct neo_timer admission_wake;
    bool admitting;

    struct { /* calls that wait for room in their method; see method_gate.c */
        struct list waiting;
        struct neo_timer wake;
        struct neo_job job;
        bool open;
        atomic_uint n_waiting; /* read by all */
        atomic_bool posted;
    } gate;

    struct list watchers; /* of health; see builtin_health.c */
    struct list idle_calls;
    size_t n_idle_calls;
    size_t n_calls;            /* not idle */
    struct neo_arena scratch;  /* of the message of a stream that is being handled */
    struct neo_buffer encoded; /* a response on its way into its stream */
    uint64_t random;           /* jitter; never a secret */
    neo_nsec wall_read;        /* the turn in which `wall` was read */
    int64_t wall;              /* seconds since 1970 */
    struct ended_call ended[ENDED_MOST];
    size_t n_ended;
    struct log_gate noted; /* what callers can cause as often as they like */

    _Alignas(16) uint8_t scratch_block[SCRATCH_BLOCK]; /* the first of `scratch` */

    struct neo_job update;
    struct neo_job stop;
    struct { /* any thread, under neo_server.shared.lock */
        struct epoch *next;
        bool posted;
    } shared;
    struct { /* written here, read anywhere */
        atomic_uint_fast64_t connections;
        atomic_uint_fast64_t calls;
        atomic_uint_fast64_t accepted;
        atomic_uint_fast64_t started;
        atomic_uint_fast64_t denied;
        atomic_uint_fast64_t succeeded; /* these two only where channelz is served */
        atomic_uint_fast64_t failed;
        atomic_uint_fast64_t last_call; /* when the last one came, monotonic; 0: none yet */
    } stats;
};

NEO_MUST_CHECK enum neo_code worker_new(struct neo_server *server, struct neo_loop *loop,
                                        struct worker **ret, struct neo_error *err);
/* Without peers and calls; from the worker's thread, or when that has ended. */
void worker_free(struct worker *w);
NEO_MUST_CHECK enum neo_code worker_listen(struct worker *w, const char *address,
                                           enum net_listening how, struct net_address *ret,
                                           struct neo_error *err);
void worker_close_listeners(struct worker *w);
/* Takes the epoch that the server has now. Any thread. */
void worker_post_update(struct worker *w, struct epoch *next);
/* Graceful: nothing new is accepted, calls may end within `grace`. */
void worker_drain(struct worker *w, neo_nsec grace);
/* At once. */
void worker_cut(struct worker *w);
/* The first record of `p` has come. */
void worker_greeted(struct worker *w, struct peer *p);
/* The handshake of `p` is over. */
void worker_handshake_done(struct worker *w, struct peer *p);
void worker_init_gates(struct worker *w);
void worker_fini_gates(struct worker *w);
void worker_peer_gone(struct worker *w);
/* The wall clock in seconds, read once a turn. */
int64_t worker_wall(struct worker *w);
/* Uniform in 0 .. below - 1. */
uint64_t worker_random(struct worker *w, uint64_t below);
/* Runs what waited for room; call it when room was made. */
void worker_admit(struct worker *w);
/* No connections and no calls. Any thread. */
bool worker_is_empty(const struct worker *w);

/* One relaxed store by the only writer is enough. */
static inline void stat_add(atomic_uint_fast64_t *stat, int64_t n)
{
    uint_fast64_t now = atomic_load_explicit(stat, memory_order_relaxed);

    atomic_store_explicit(stat, now + (uint_fast64_t)n, memory_order_relaxed);
}

#endif
