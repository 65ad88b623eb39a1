/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo/channel_options.h - how long a channel waits, and how much it keeps.
 *
 * Zero means the default in every field, so `{0}` is a channel as it should be. What is beyond a
 * bound counts as the bound. Times are in nanoseconds. What is about methods and balancing is in
 * the service config: docs/CHANNEL.md.
 *
 *     const struct neo_channel_tuning tuning = {.keepalive = {.time = 10 * NEO_NSEC_PER_SEC}};
 *     struct neo_channel_options options = {.tuning = &tuning, ...};
 */
#ifndef NEO_CHANNEL_OPTIONS_H
#define NEO_CHANNEL_OPTIONS_H

#include <neo/time.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A peer from which nothing comes while calls are open is asked with a PING; without an answer the
 * connection is given up, its calls end UNAVAILABLE, and a new one is made. Standard: gRFC A8.
 *
 * Servers of gRPC count PINGs and send whoever asks too often away. The default never offends one:
 * it asks twice in one silence, and then every 5 minutes. A `time` of yours is kept throughout; a
 * server that complains ("too_many_pings") doubles it for the connections that follow.
 */
struct neo_keepalive {
    neo_nsec time;      /* of silence before a PING: 20 s; less than 1 s counts as 1 s */
    neo_nsec timeout;   /* for its answer: 10 s */
    bool without_calls; /* also when no call is open */
    bool off;
};

/*
 * Between the starts of attempts to connect to one instance: `initial`, times `multiplier_percent`
 * after each failure, at most `max`; each wait is chosen within ± `jitter_percent`. It begins anew
 * once a connection was of use: it answered a call, or was ready for a second. Standard: gRPC
 * connection backoff.
 */
struct neo_connection_backoff {
    neo_nsec initial;            /* 1 s */
    neo_nsec max;                /* 120 s */
    uint32_t multiplier_percent; /* 160 */
    uint32_t jitter_percent;     /* 20; at most 99 */
    neo_nsec connect_timeout;    /* for TCP, TLS and SETTINGS together, at least: 20 s */
};

/*
 * An instance that keeps failing gets no calls for a while; they fail at once with UNAVAILABLE
 * (CIRCUIT_OPEN) when there is no other. Then one call is let through, and decides. Counted are
 * answers UNAVAILABLE and INTERNAL, connections that were lost, and deadlines that passed while
 * nothing at all came from the server for a second. What the caller causes is not: docs/CHANNEL.md.
 */
struct neo_channel_breaker {
    uint32_t failures; /* in a row that open it: 5; at most 64 */
    /* Or so many percent of the last `window` calls. Not where there is no other instance. */
    uint32_t window;   /* 20; at most 64 */
    uint32_t percent;  /* 50 */
    neo_nsec open_min; /* the first stay open, doubled each time: 5 s */
    neo_nsec open_max; /* 60 s */
    bool off;
};

struct neo_channel_tuning {
    struct neo_keepalive keepalive;
    struct neo_connection_backoff backoff;
    struct neo_channel_breaker breaker;
    neo_nsec idle_timeout;     /* without a call: connections are closed: 30 min */
    neo_nsec resolve_interval; /* dns: between two lookups, at least: 30 s */
    size_t retry_buffer;       /* request bytes of one call kept for another attempt: 256 KiB */
    size_t retry_buffers;      /* of all calls of the channel together: 16 MiB */
    /*
     * Calls that wait for a connection, or for their turn on one (the peer's
     * MAX_CONCURRENT_STREAMS): so many, with so many bytes of requests. The next one ends at once
     * with RESOURCE_EXHAUSTED (CHANNEL_FULL). One that was under way and waits again (a retry, a
     * server's goodbye) is never turned away.
     */
    size_t max_waiting;       /* 10,000 */
    size_t max_waiting_bytes; /* 512 MiB */
    /*
     * Connections to one instance: another is made when a call finds the others full. Each is
     * proven, attested and retired like the first. At most 16.
     */
    uint32_t max_connections; /* 1 */
    /* Of a response's headers, and of its trailers, counted as in neo/server.h: 16 KiB; 1 to 128.
     */
    size_t max_metadata;
};

#endif
