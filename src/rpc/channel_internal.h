/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc/channel_internal.h - the parts of a channel, for the files that make one.
 *
 *   channel.c        the channel: options, targets, picking, waiting calls
 *   subchannel.c     one instance: connecting, backing off, draining
 *   attest_client.c  the exchange on a new connection, before any call
 *   client_call.c    one call: its attempts, its events, its end
 *   blocking.c       the same for threads that wait
 *
 * Threads   Everything here belongs to the channel's loop.
 */
#ifndef NEO_RPC_CHANNEL_INTERNAL_H
#define NEO_RPC_CHANNEL_INTERNAL_H

#include <neo/breaker.h>
#include <neo/channel.h>
#include <neo/retry.h>

#include "attest/session.h"
#include "base/list.h"
#include "rpc/conn.h"
#include "rpc/frame.h"
#include "rpc/service_config.h"

enum subchannel_state {
    SUB_IDLE,
    SUB_CONNECTING,
    SUB_ATTESTING,
    SUB_READY,
    SUB_BACKOFF,
    SUB_STATES,
};

/* A connection of a subchannel. The newest serves; older ones finish their calls. */
struct sub_conn {
    struct list link; /* in subchannel.draining, when not the current one */
    struct subchannel *sub;
    struct conn *conn;
    struct neo_timer retire; /* drain before a certificate ends */
    int64_t own_ends;        /* of the certificate we showed, seconds since 1970; 0: none */
    bool settled;            /* SETTINGS came */
    bool draining;
    size_t calls;

    /* attestation; see attest_client.c */
    struct attest_session *attest;
    struct h2_stream *attest_stream;
    struct frame_reader attest_reader;
    struct neo_timer reattest;
    struct neo_task quote; /* an attester that blocks */
    struct neo_buffer quote_body, quote_certificates;
    bool quoting;
    bool attested;
    bool simulated;
    neo_nsec attested_until;
    bool dead; /* freed once the attester's thread has come back */
};

struct subchannel {
    struct list link; /* in neo_channel.subchannels */
    struct neo_channel *channel;
    char address[128];
    char id[64];
    enum subchannel_state state;
    bool listed; /* the resolver still names it */
    struct sub_conn *current;
    struct list draining;
    struct neo_timer timer; /* backoff */
    unsigned failures;      /* connection attempts in a row */
    neo_nsec attempt_at;
    struct neo_breaker breaker;
    bool attestation_refused; /* the last attempt failed for that */
    char last_error[240];
    uint64_t calls;
};

struct neo_channel {
    struct neo_loop *loop;
    char *target;
    char *service; /* NULL while joining */
    char *trust_domain;
    char *authority;
    char *expect;  /* spiffe id of the peer; "" while joining */
    char *joining; /* the service it must be all the same; NULL: any, or not joining */
    struct neo_epoch epoch;
    struct tls_context *tls;
    struct neo_resolver *resolver;
    void *watch;
    struct neo_resolver_sink sink;
    struct net_lookup *lookup;
    struct neo_attester *attester;
    const struct neo_log *log;
    size_t max_message;
    bool wait_for_ready;

    struct service_config config;
    struct neo_retry_budget budget;
    bool resolved; /* the resolver has answered at least once */
    char resolve_error[160];

    struct list subchannels;
    size_t n_subchannels;
    struct subchannel *last_picked;
    struct list calls;   /* all that have not ended */
    struct list waiting; /* without a connection yet */
    struct list ended;   /* `done` still to be called */
    struct neo_timer later;
    struct neo_timer look_again; /* an open circuit closes without an event */
    unsigned in_events;          /* inside an h2 event: `done` may be called at once */
    bool closing;
    struct list idle_calls; /* freed calls, kept for the next */
    unsigned n_idle_calls;

    struct neo_channel_wire wire;
    struct {
        struct neo_family *calls;
        struct neo_family *retries;
    } metrics;
};

/* --- channel.c -------------------------------------------------------------------------------- */

/* A ready connection with room, or NULL. Starts idle subchannels that could become one. */
struct sub_conn *channel_pick(struct neo_channel *channel, struct neo_breaker_permit *ret_permit);
/* Something became ready, or failed: looks at the waiting calls again. */
void channel_changed(struct neo_channel *channel);
/* Why nothing is ready: fills `status` for a call that does not wait. False: something may still
 * come. */
bool channel_is_failing(const struct neo_channel *channel, struct neo_status *status);
/* Must a peer of this channel prove what it runs; do we have to? */
bool channel_wants_attestation(const struct neo_channel *channel);
bool channel_offers_attestation(const struct neo_channel *channel);
/* Calls `done` of what ended, after this turn's events. */
void channel_later(struct neo_channel *channel);

/* Begins to learn the target's instances. */
NEO_MUST_CHECK enum neo_code channel_start_resolving(struct neo_channel *channel,
                                                     struct neo_error *err);
void channel_init_events(struct neo_channel *channel);

/* --- subchannel.c ----------------------------------------------------------------------------- */

struct subchannel *subchannel_new(struct neo_channel *channel, const struct neo_endpoint *endpoint);
/* At once; its calls end UNAVAILABLE. */
void subchannel_free(struct subchannel *sub);
/* Connects unless it is connected, connecting or backing off. */
void subchannel_connect(struct subchannel *sub);
/* No new calls; ends when its calls have. */
void subchannel_drain(struct subchannel *sub);
/* The epoch changed: what is now revoked ends, the rest goes on until it must be retired. */
void subchannel_rejudge(struct subchannel *sub, bool identity_changed);
const char *subchannel_state_name(const struct subchannel *sub);
/* The connection can take calls: channel_changed(). */
void sub_conn_ready(struct sub_conn *sc);
void sub_conn_refused(struct sub_conn *sc, enum neo_attest_reason reason, const char *detail);
void sub_conn_call_ended(struct sub_conn *sc);

/* --- attest_client.c -------------------------------------------------------------------------- */

/* Runs the exchange; ends in sub_conn_ready() or sub_conn_refused(). */
void attest_client_start(struct sub_conn *sc);
void attest_client_data(struct sub_conn *sc, struct neo_bytes bytes);
/* The stream ended, however. */
void attest_client_closed(struct sub_conn *sc, const struct neo_status *status);
/* False: the attester's thread still uses `sc`; it frees it when it comes back. */
bool attest_client_fini(struct sub_conn *sc);

/* --- client_call.c ---------------------------------------------------------------------------- */

struct call_attempt {
    struct sub_conn *sc; /* NULL: none is running */
    struct h2_stream *stream;
    struct frame_reader reader;
    struct neo_breaker_permit permit;
    bool got_headers; /* committed: no retry any more */
    bool got_message;
    bool ended; /* a status was seen */
};

/*
 * How the raw bytes of a message are handed out instead of decoded ones; see blocking.c. False: it
 * holds back the `used` bytes of window that the message took, until client_call_consume().
 */
typedef bool client_raw_fn(struct neo_client_call *call, struct neo_bytes wire, size_t used,
                           void *self);

struct neo_client_call {
    struct list link;    /* in neo_channel.calls or .idle_calls */
    struct list waiting; /* in neo_channel.waiting or .ended */
    struct neo_channel *channel;
    const struct neo_method *method;
    const struct method_config *config;
    const struct neo_client_events *events;
    void *self;
    client_raw_fn *raw;

    struct neo_arena arena;
    struct neo_arena message_arena;
    struct neo_context context;
    bool wait_for_ready;
    struct h2_header *metadata; /* custom headers, ready for the wire */
    size_t n_metadata;
    char traceparent[NEO_TRACEPARENT_LEN + 1];

    struct neo_buffer sent; /* framed messages, kept while a retry may need them */
    size_t sent_upto;       /* of `sent`, what the present attempt has queued */
    bool replayable;
    bool send_closed;
    size_t max_request;
    size_t max_response;

    struct call_attempt attempt;
    unsigned attempts; /* started, transparent ones not counted */
    unsigned transparent_retries;
    struct neo_timer deadline;
    struct neo_timer retry;
    unsigned backoffs; /* waited since the last pushback */

    bool starting; /* inside neo_channel_start() */
    bool over;
    struct neo_status status;
    struct h2_header *response; /* metadata, copied when the attempt's stream goes */
    size_t n_response;
    size_t n_response_headers; /* the first of them; the rest are trailers */
    char peer[128];
    _Alignas(16) uint8_t first[1536];
};

void client_call_try(struct neo_client_call *call);
/* Ends it here and now with a status of our own. */
void client_call_end(struct neo_client_call *call, const struct neo_status *status);
void client_call_done(struct neo_client_call *call);
void client_call_free(struct neo_client_call *call);
/* As neo_channel_start(), with raw messages. */
NEO_MUST_CHECK enum neo_code client_call_start(struct neo_channel *channel,
                                               const struct neo_method *method,
                                               const struct neo_call_options *options,
                                               struct neo_bytes encoded, bool has_request,
                                               const struct neo_client_events *events,
                                               client_raw_fn *raw, void *self,
                                               struct neo_client_call **ret, struct neo_error *err);
/* Queues an encoded message. */
enum neo_flow client_call_send_wire(struct neo_client_call *call, struct neo_bytes wire);
/* Hands the attempt's stream what it has not had yet. */
enum neo_flow client_call_flush(struct neo_client_call *call);
/* Raw readers that held back: credit for `n` more bytes. */
void client_call_consume(struct neo_client_call *call, size_t n);

/* What a stream that is gone says about its call. */
struct neo_status client_call_stream_status(struct h2_stream *s, uint32_t h2_error);

/* The h2 events of a sub_conn's streams that belong to a call (stream->user). */
void client_call_headers(struct neo_client_call *call, struct h2_stream *s, bool end_stream);
void client_call_data(struct neo_client_call *call, struct h2_stream *s, struct neo_bytes bytes);
void client_call_trailers(struct neo_client_call *call, struct h2_stream *s);
void client_call_stream_ended(struct neo_client_call *call, struct h2_stream *s);
void client_call_writable(struct neo_client_call *call);
void client_call_closed(struct neo_client_call *call, struct h2_stream *s, uint32_t h2_error);

#endif
