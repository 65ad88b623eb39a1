/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo/channel.h - calls to a service.
 *
 * A channel knows a service by its identity, finds its instances through a
 * resolver, keeps proven (and, where policy asks, attested) connections to them,
 * and spreads calls over these. Until a connection is attested as the policy of
 * that service demands, not one byte of a request leaves.
 *
 * Targets: "neo:///function-service" (the registry, see neo/mesh.h), "dns:///host:port",
 * "ipv4:10.0.0.1:8443,10.0.0.2:8443", "ipv6:[fd00::1]:8443", "unix:/path", "unix-abstract:name".
 *
 * Threads   A channel lives on one loop. The blocking functions may be called from any thread
 *           but a worker's; all others belong to the loop's thread.
 */
#ifndef NEO_CHANNEL_H
#define NEO_CHANNEL_H

#include <neo/attest.h>
#include <neo/cert.h>
#include <neo/context.h>
#include <neo/log.h>
#include <neo/metrics.h>
#include <neo/proto.h>
#include <neo/server.h> /* struct neo_epoch */
#include <neo/status.h>
#include <neo/stream.h> /* blocking streams, and what goes with every blocking call */

#ifdef __cplusplus
extern "C" {
#endif

struct neo_channel;
struct neo_channel_tuning; /* neo/channel_options.h */
struct neo_insecure_channel;

/* Where instances come from. */
struct neo_endpoint {
    struct neo_bytes address; /* "127.0.0.1:8443" */
    struct neo_bytes id;      /* of the instance, for people; may be empty */
    uint32_t weight;          /* for weighted_round_robin; 0: 1 */
};
struct neo_resolver_sink;
struct neo_census;
typedef void neo_resolved_fn(struct neo_resolver_sink *sink, const struct neo_endpoint *endpoints,
                             size_t n);
struct neo_resolver_sink {
    neo_resolved_fn *resolved; /* the whole present set, at each change; on the channel's loop */
    /* The same, from an earlier answer, while the present one is still to come: connected to at
       once, but no call fails because nobody is there any more, until `resolved` is told. */
    neo_resolved_fn *remembered;
};
struct neo_resolver {
    /* Starts to tell `sink` about `service`, on `loop`, until unwatch(). */
    void *(*watch)(struct neo_resolver *self, const char *service, struct neo_loop *loop,
                   struct neo_resolver_sink *sink);
    void (*unwatch)(struct neo_resolver *self, void *watch);
};

struct neo_channel_options {
    struct neo_loop *loop;
    struct neo_epoch epoch;   /* identity may be NULL only while joining */
    const char *service;      /* the service name the peer must prove; NULL only while joining */
    const char *trust_domain; /* of the peer */
    const char *join_service; /* while joining: the service name, in whatever trust domain */
    struct neo_resolver *resolver; /* borrowed; for neo:/// */
    struct neo_attester *attester; /* borrowed, until the runtime ends: its pool may be at work with
                                     it; what we prove with when asked; may be NULL */
    /* gRPC service config, JSON: docs/CHANNEL.md; NULL: the default. Default: round_robin; retry
       UNAVAILABLE up to 3 attempts, 0.1 s to 1 s, x2, idempotent methods or calls the server did
       not process; throttled. */
    const char *service_config;
    struct neo_metrics *metrics;             /* borrowed; may be NULL */
    const struct neo_log *log;               /* borrowed; may be NULL */
    size_t max_message;                      /* 0: 4 MiB */
    bool wait_for_ready;                     /* default of calls */
    const struct neo_channel_tuning *tuning; /* copied; NULL: all defaults */
    bool accept_gzip;                        /* neo/compression.h: responses may come compressed */
    /* neo/insecure.h; NULL: mutual TLS 1.3. Borrowed for the call. */
    const struct neo_insecure_channel *insecure;
    struct neo_census *census; /* neo/census.h; borrowed, until the runtime ends; may be NULL */
    bool own_connections;      /* shares none; see neo_channel_open() */
    /* The peer, once proven, refused us: our certificate, or our evidence. On the loop; not for
       freeing the channel. May be NULL. With it a channel shares no connections. */
    void (*refused)(void *self, const char *why);
    void *refused_self;
};

/*
 * Starts no connection yet. Gives `*ret`: neo_channel_free().
 *
 * Channels that ask for the same share their connections, with what is known of the instances, and
 * the line of those who wait for one. The same are: loop, target, service, trust domain and service
 * config (as texts); resolver, attester, census, log, and the present identity, trust and rules of
 * attestation (as pointers); of the tuning all but `retry_*` and `max_waiting*`. Each channel has
 * its own calls, limits, throttling, interceptors and metrics, and its own neo_channel_free(),
 * which leaves the others alone. What is borrowed is borrowed until the last of them ends. None is
 * shared with `own_connections`, while joining, or with `insecure`.
 */
NEO_MUST_CHECK enum neo_code neo_channel_open(const char *target,
                                              const struct neo_channel_options *options,
                                              struct neo_channel **ret, struct neo_error *err);
/* Calls in flight end with CANCELLED. Any thread but another loop's; not inside one of its own
 * calls' callbacks. */
void neo_channel_free(struct neo_channel *channel);
/*
 * New connections use the new epoch; old ones drain. What is NULL in it stays. Any thread.
 *
 * A call never runs where its own channel's epoch would not let it: a channel that shares its
 * connections and alone hears of another epoch leaves them, and makes new ones. Calls that run stay
 * on the old ones as long as the new epoch trusts their peer and has the same rules of attestation;
 * else they end there, UNAVAILABLE, and are retried as after a lost connection.
 * Channels that are told together go on sharing. Should there be no memory for it, the channel's
 * calls end, and it begins no others.
 */
void neo_channel_update(struct neo_channel *channel, const struct neo_epoch *epoch);
/* All `n`, of whatever loops, are told together: what they share alone they keep. */
void neo_channels_update(struct neo_channel *const *channels, size_t n,
                         const struct neo_epoch *epoch);

struct neo_call_options {
    const struct neo_context *parent; /* inherited when given */
    neo_nsec timeout;                 /* from now; 0: the parent's, or none */
    bool wait_for_ready;
    enum neo_criticality criticality; /* may only lower the parent's; 0 with no parent: CRITICAL */
    const struct neo_pair *metadata;  /* copied */
    size_t n_metadata;
    const struct neo_entry *business; /* further entries for the callee; copied */
    size_t n_business;
    bool pass_business; /* pass the parent's entries on */
    /* Copied. Not NULL: the call goes over attested connections only, and otherwise ends with
       FAILED_PRECONDITION and this text. Set anyway for requests with TEE_ONLY fields. */
    const char *needs_attested;
    bool gzip; /* neo/compression.h: send messages compressed */
    /* neo/stream.h. Borrowed until the call has ended; not for neo_channel_start(). */
    struct neo_canceller *canceller;
    struct neo_response_info *response; /* neo/stream.h; filled by neo_channel_call() */
};

/*
 * Blocking, unary. Encodes `request`, waits, decodes into `response` (zeroed struct) on `arena`,
 * which also holds `*ret_status` (may be NULL). Returns the call's code. RESOURCE_EXHAUSTED also
 * when the arena's budget is spent: an arena is reset between calls (neo_arena_reset()), or serves
 * one; with one that is spent already no call begins.
 */
NEO_MUST_CHECK enum neo_code neo_channel_call(struct neo_channel *channel,
                                              const struct neo_method *method,
                                              const struct neo_call_options *options,
                                              const void *request, void *response,
                                              struct neo_arena *arena,
                                              struct neo_status *ret_status);

/* --- callbacks: every kind of method ---------------------------------------------------------- */

struct neo_client_call;

/* Any may be NULL. */
struct neo_client_events {
    /* Initial metadata arrived. */
    void (*headers)(struct neo_client_call *call, void *self);
    /* A decoded message; valid until the callback returns. Once for unary and client streams. */
    void (*message)(struct neo_client_call *call, const void *response, void *self);
    /* After NEO_FLOW_FULL: there is room. */
    void (*writable)(struct neo_client_call *call, void *self);
    /* The end; exactly once, never from inside a function called here. The call is freed on return.
     */
    void (*done)(struct neo_client_call *call, const struct neo_status *status, void *self);
};

/*
 * Starts a call; `request` is sent at once for unary and server streams and NULL otherwise. Borrows
 * `events` and `self` until `done`. Gives `*ret`, which belongs to the channel.
 */
NEO_MUST_CHECK enum neo_code neo_channel_start(struct neo_channel *channel,
                                               const struct neo_method *method,
                                               const struct neo_call_options *options,
                                               const void *request,
                                               const struct neo_client_events *events, void *self,
                                               struct neo_client_call **ret, struct neo_error *err);
/* One message of a stream; encodes at once, so `request` may go afterwards. NEO_FLOW_FULL: it was
   taken, wait for `writable`. NEO_FLOW_GONE: not sent; `done` says or has said why, unless no more
   was to be sent. */
enum neo_flow neo_client_call_send(struct neo_client_call *call, const void *request);
/* No more will be sent. Does nothing the second time, or when the call has ended. */
void neo_client_call_close_send(struct neo_client_call *call);
/* Ends it with CANCELLED, unless it has ended. `done` still comes, later: not before the callback
   has returned that this is called from. */
void neo_client_call_cancel(struct neo_client_call *call);
/* Response metadata (initial, then also trailing); of a name in -bin the bytes it stands for. The
 * empty run with NULL when absent, repeated, or no base64. All of it: neo/metadata.h. */
struct neo_bytes neo_client_call_metadata(struct neo_client_call *call, const char *name);
/* "127.0.0.1:8443" of the instance that serves it; NULL before one was picked. */
const char *neo_client_call_peer(const struct neo_client_call *call);

/* --- looking in ------------------------------------------------------------------------------- */

/*
 * Blocks until an instance would take a call, connecting as for one, so that the first call has not
 * to wait for TLS and attestation. Nothing is sent, and whoever calls next may still find it gone.
 * DEADLINE_EXCEEDED: not within `timeout` (0: however long it takes), with the last error in the
 * text; RESOURCE_EXHAUSTED: too many wait; CANCELLED: the channel was freed. Any thread but a
 * worker's; FAILED_PRECONDITION on the channel's loop.
 */
NEO_MUST_CHECK enum neo_code neo_channel_wait_ready(struct neo_channel *channel, neo_nsec timeout,
                                                    struct neo_error *err);

struct neo_channel_peer {
    char address[128];
    /* "idle", "connecting", "attesting", "checking" its health, "not serving", "ready", "backoff",
       "draining", "open circuit", "ejected" as an outlier */
    const char *state;
    bool attested;
    bool simulated;
    char last_error[240]; /* empty: none */
    uint64_t calls;
};
/* Fills at most `max`; returns how many there are. With the calls of all who share them. Any thread
 * but a worker's. */
size_t neo_channel_peers(struct neo_channel *channel, struct neo_channel_peer *peers, size_t max);

/*
 * Bytes of request messages and headers sent, and the instants (neo_mono_nsec) of the attestation
 * verdict and of the first such byte on the latest connection: what "not a byte before the verdict"
 * is shown with. neo_channel_wire(): any thread but a worker's.
 */
struct neo_channel_wire {
    uint64_t request_bytes;
    neo_nsec verdict_at;
    neo_nsec first_request_at;
};
struct neo_channel_wire neo_channel_wire(struct neo_channel *channel);

#ifdef __cplusplus
}
#endif

#endif
