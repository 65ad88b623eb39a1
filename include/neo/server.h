/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo/server.h - serves gRPC methods to proven callers.
 *
 * A server cannot be made without an identity, a trust and a policy. (For other people's
 * tests there is neo/insecure.h; docs/STANDALONE.md shows a server whole.) Each of these
 * is an epoch: neo_server_update() swaps them whole, live connections included:
 * what is revoked or no longer allowed ends, everything else goes on.
 *
 *     struct neo_server_options o = {.name = "function-service", .runtime = rt, ...};
 *     NEO_TRY(neo_server_new(&o, &server, err));
 *     NEO_TRY(neo_server_add(server, &functionservice_FunctionService_info, handlers, self, err));
 *     NEO_TRY(neo_server_listen(server, "127.0.0.1:0", err));
 *
 * Every call passes the pipeline of src/rpc/pipeline.c: grammar, deadline, authorise,
 * attested, limits, admission, handler, record.
 *
 * Threads   Setup from one thread before listening. Afterwards neo_server_update(),
 *           _address(), _address_at() and _drain() from any.
 */
#ifndef NEO_SERVER_H
#define NEO_SERVER_H

#include <neo/attest.h>
#include <neo/audit.h>
#include <neo/call.h>
#include <neo/cert.h>
#include <neo/limits.h>
#include <neo/log.h>
#include <neo/metrics.h>
#include <neo/policy.h>
#include <neo/runtime.h>

#ifdef __cplusplus
extern "C" {
#endif

struct neo_server;
struct neo_insecure_server;

/* What a server lives by; every member is referenced. NULL in an update: unchanged. */
struct neo_epoch {
    struct neo_identity *identity;
    struct neo_trust *trust;
    struct neo_policy *policy;
    struct neo_limits *limits; /* NULL at the start: none */
    struct neo_attest_policies *attest_policies;
    struct neo_attest_trust *attest_trust;
};

/* Where records of decisions go: called on the worker, must not block. */
struct neo_audit_sink {
    void (*record)(struct neo_audit_sink *self, const struct neo_audit_record *record);
    bool allowances; /* also records what was allowed */
};

/* For the options of time below: never. */
#define NEO_FOREVER UINT64_MAX

struct neo_census;
struct neo_server_options {
    const char *name; /* the service name: the target of policy */
    struct neo_runtime *runtime;
    struct neo_epoch epoch;
    /* Borrowed, until the runtime ends: its pool may be at work with it. NULL: proves nothing. */
    struct neo_attester *attester;
    struct neo_audit_sink *audit; /* borrowed */
    struct neo_metrics *metrics;  /* borrowed; may be NULL */
    const struct neo_log *log;    /* borrowed; may be NULL */
    bool allow_anonymous; /* a peer without certificate may connect; policy still decides its calls
                           */
    size_t max_message;   /* 0: 4 MiB */
    unsigned max_connections_per_identity; /* of callers without a certificate: per IP address.
                        One more is told goodbye (GOAWAY, "too_many_connections"); 0: 64 */
    unsigned max_in_flight;                /* calls in handlers per server; 0: 1000 */
    neo_nsec max_deadline; /* caps what a caller asks, or does not, for unary calls; 0: 5 min;
                              NEO_FOREVER: does not */
    neo_nsec max_connection_idle; /* without a call; 0: 5 min */

    /* How long a connection lives. Each end is announced (GOAWAY, twice), so no call is lost. */
    neo_nsec max_connection_age;       /* +-10 %, so that not all leave at once; 0: 1 h */
    neo_nsec max_connection_age_grace; /* what still runs then is ended with DRAINING; 0: never */

    /* A caller from whom nothing came for `keepalive_time` is sent a PING, and is gone when nothing
       comes for `keepalive_timeout` more: its calls end as cancelled. */
    neo_nsec keepalive_time;    /* 0: 2 h */
    neo_nsec keepalive_timeout; /* 0: 20 s */
    /* PINGs that callers may send. The third that comes too soon ends the connection with
       `too_many_pings`; whatever we send meanwhile forgives them. */
    neo_nsec min_ping_interval; /* 0: 0.5 s while they have calls, 10 s without */
    bool refuse_idle_pings;     /* without calls: one in 2 h */

    /* Names by which callers may address us (the host of :authority) besides our service name, the
       DNS names of our certificate, "localhost" and IP addresses. NULL-terminated, borrowed; "*":
       any. NULL: none. */
    const char *const *authorities;

    bool accept_gzip; /* neo/compression.h: requests may come compressed */
    /* neo/insecure.h; NULL: mutual TLS 1.3. Borrowed for the call. */
    const struct neo_insecure_server *insecure;

    /* Refusals of the library's own carry a code and a text only: no reason, no decision id, no
       google.rpc.Status. For callers who must not learn more, or cannot bear it. */
    bool bare_refusals;
    /* Serves grpc.channelz.v1: this server, its connections, and the channels of the process, to
       those whom a rule of the policy allows "grpc.channelz.v1.Channelz/..." . */
    bool channelz;

    /* Evidence is dear to make and to judge. Exchanges of attestation that the connections of one
       identity may begin, and proofs of our own that all callers together may cause; beyond that
       they end with RATE_LIMITED. A burst is what may come at once. */
    unsigned exchanges_per_second; /* 0: 2 */
    unsigned exchanges_burst;      /* 0: 64 */
    unsigned quotes_per_second;    /* 0: 20 */
    unsigned quotes_burst;         /* 0: 256 */
    struct neo_census *census;     /* neo/census.h; borrowed, until the runtime ends; may be NULL */

    /* Of one call's headers, and of its trailers: the bytes of names and values and 32 more for
       each (RFC 9113, 6.5.2), at most 100 of them. Callers are told; a call with more ends with
       RESOURCE_EXHAUSTED. 1 KiB to 128 KiB; 0: 16 KiB. */
    size_t max_metadata;
    unsigned max_streams; /* calls at once that one connection may bring; 0: 100 */

    /* Handlers that block, on the pool at once; the others wait. 0: 64; at most 512. Threads are
       started as they are needed, and end when idle. One caller, over all its connections, has at
       most three quarters of them (of one: it; rounded down), and what it asks beyond that waits
       although others are free. A call that has waited for one so long ends with OVERLOADED, and
       takes no room any more: 0: 5 s; NEO_FOREVER: it waits until its deadline. */
    unsigned max_blocking;
    neo_nsec max_blocking_wait;
    /* A call whose caller has taken no answer for so long, while there was one to take, is ended.
       0: 30 s; NEO_FOREVER: it is not. */
    neo_nsec max_stall;
};

/* Gives `*ret`: neo_server_free(). */
NEO_MUST_CHECK enum neo_code neo_server_new(const struct neo_server_options *options,
                                            struct neo_server **ret, struct neo_error *err);

/*
 * `handlers` is the generated struct pkg_Svc_handlers: one function pointer per method, in the
 * order of info->methods; a NULL one answers UNIMPLEMENTED. Borrows it and `self` until the server
 * is freed.
 */
NEO_MUST_CHECK enum neo_code neo_server_add(struct neo_server *server,
                                            const struct neo_service_info *info,
                                            const void *handlers, void *self,
                                            struct neo_error *err);
/* How one method differs from the others. */
struct neo_method_options {
    bool blocking; /* its handler blocks: it runs on the pool */
    /* Calls of it that run at once, on all workers together; 0: as many as the server takes. What
       finds no room waits its turn, at most `max_waiting` calls (0: as many as may run) for at most
       `max_wait` (0: 100 ms), and is then refused with OVERLOADED. */
    unsigned max_concurrent;
    unsigned max_waiting;
    neo_nsec max_wait;
    bool no_queue;      /* refused at once instead */
    size_t max_request; /* bytes of a message from the caller; 0: the server's max_message */
};
/* Replaces all that was said of the method "/package.Service/Method". Before listening. NOT_FOUND,
   INVALID_ARGUMENT for what makes no sense. */
NEO_MUST_CHECK enum neo_code neo_server_set_method(struct neo_server *server, const char *path,
                                                   const struct neo_method_options *options,
                                                   struct neo_error *err);
/* The same with `blocking` alone. */
NEO_MUST_CHECK enum neo_code neo_server_set_blocking(struct neo_server *server, const char *path,
                                                     struct neo_error *err);

/* "127.0.0.1:8443", "[::1]:0" or "unix:/run/x.sock": no names; port 0: a free one. On every worker.
   At most 4 addresses. Before the first one it is noted what its services' files declare, for
   reflection: RESOURCE_EXHAUSTED when there is no memory for that. */
NEO_MUST_CHECK enum neo_code neo_server_listen(struct neo_server *server, const char *address,
                                               struct neo_error *err);
/* "127.0.0.1:43121": what it really listens on. Valid until the server is freed. */
const char *neo_server_address(const struct neo_server *server);
/* The same of the neo_server_listen() that succeeded as number `i`, from 0; NULL: there is none. */
const char *neo_server_address_at(const struct neo_server *server, size_t i);

/*
 * Swaps what is not NULL; takes effect on every worker within milliseconds, live streams included:
 * those of a peer now revoked or no longer allowed end, with the reason.
 */
void neo_server_update(struct neo_server *server, const struct neo_epoch *epoch);

/* What grpc.health.v1 says of one service ("package.Service"); all serve at the start. Any thread.
 */
void neo_server_set_serving(struct neo_server *server, const char *service, bool serving);

/* Two-phase GOAWAY; calls get up to `grace` to end. Blocks; not from a worker. */
void neo_server_drain(struct neo_server *server, neo_nsec grace);
/* Ends what is left. Not from a worker. */
void neo_server_free(struct neo_server *server);

struct neo_server_stats {
    uint64_t connections; /* open now */
    uint64_t calls;       /* in flight now */
    uint64_t accepted;    /* connections ever */
    uint64_t started;     /* calls ever */
    uint64_t denied;
};
/* The sum of all workers. Any thread; the numbers may be a moment apart. */
struct neo_server_stats neo_server_stats(const struct neo_server *server);

#ifdef __cplusplus
}
#endif

#endif
