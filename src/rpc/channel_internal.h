/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc/channel_internal.h - the parts of a channel, for the files that make one.
 *
 *   channel.c           picking, waiting calls
 *   channel_core.c      what channels share
 *   channel_core_make.c what it is made of, and whether it does for another
 *   channel_open.c      a channel's birth and end; views into it
 *   channel_epoch.c     another epoch, for one or all of those that share
 *   channel_resolve.c   where the instances are
 *   subchannel.c        one instance: connecting, backing off, draining
 *   subchannel_conn.c   one connection of it: its events, keepalive, retirement
 *   subchannel_extra.c  further ones, when that is full
 *   attest_client.c     the exchange on a new connection, before any call
 *   health_client.c     whether the instance says that it serves
 *   orca_client.c       how much it has to do
 *   client_call.c       one call: its events and its end; client_outcome.c: what the breaker hears
 *   client_retry.c      whether there will be another attempt
 *   client_start.c      its beginning, and that of each attempt
 *   client_send.c       what it sends; client_fresh.c: whether it may, unproven for the call
 *   blocking.c          the same for threads that wait
 *
 * Threads   Everything here belongs to the channel's loop.
 */
#ifndef NEO_RPC_CHANNEL_INTERNAL_H
#define NEO_RPC_CHANNEL_INTERNAL_H

#include <neo/breaker.h>
#include <neo/channel.h>
#include <neo/channel_options.h>
#include <neo/interceptor.h>
#include <neo/retry.h>

#include "attest/fresh.h"
#include "base/list.h"
#include "rpc/attest_work.h"
#include "rpc/census.h"
#include "rpc/channelz.h"
#include "rpc/client_fresh.h"
#include "rpc/client_outcome.h"
#include "rpc/conn.h"
#include "rpc/frame.h"
#include "rpc/keepalive.h"
#include "rpc/service_config.h"

#include <pthread.h>

enum subchannel_state {
    SUB_IDLE,
    SUB_CONNECTING,
    SUB_ATTESTING,
    SUB_CHECKING,  /* its health is not known yet */
    SUB_UNHEALTHY, /* it says that it does not serve */
    SUB_READY,
    SUB_BACKOFF,
    SUB_STATES,
};

/* A connection of a subchannel. The newest serves; older ones finish their calls. */
struct sub_conn {
    struct list link; /* in subchannel.extra or .draining, when not the current one */
    struct subchannel *sub;
    struct conn *conn;
    struct neo_timer retire; /* drain before a certificate ends */
    int64_t own_ends;        /* of the certificate we showed, seconds since 1970; 0: none */
    neo_nsec opened_at;
    bool settled;       /* SETTINGS came */
    bool extra, usable; /* in subchannel.extra; an extra one that takes calls */
    bool draining;
    bool answered;    /* a call on it was answered */
    const char *lost; /* why, when we gave it up; static */
    size_t calls;
    struct channelz_counts counts;
    neo_nsec trust_ends; /* when the earlier of the two certificates ends; monotonic */

    struct keepalive keepalive;
    struct neo_timer ask; /* keepalive */

    /* health; see health_client.c */
    struct h2_stream *health_stream;
    struct frame_reader health_reader;
    struct neo_timer health_again;
    unsigned health_failures;
    bool healthy;

    struct { /* load reports out of band; see orca_client.c */
        struct h2_stream *stream;
        struct frame_reader reader;
        struct neo_timer again;
        unsigned failures;
        bool unknown; /* the server has none */
    } orca;
    /* attestation; see attest_client.c */
    struct attest_work attest;
    struct h2_stream *attest_stream;
    struct frame_reader attest_reader;
    struct neo_timer reattest;
    bool asked_anew; /* the peer's rules changed during the exchange before this one */
    bool attested;
    struct attest_fresh *fresh;        /* for proofs per call; NULL: no key was named */
    struct attest_fresh *fresh_before; /* of the proof before, for answers that cross the new one */
    bool per_call;                     /* the policy asks for one with every call */
    uint64_t attested_by;              /* the core's attest_number when its exchange began */
    bool simulated;
    neo_nsec attested_until;
    struct census_mark counted;
    struct attest_code code;
    bool dead; /* freed once the attester's thread has come back */
};

struct subchannel {
    struct list link; /* in channel_core.subchannels */
    struct channel_core *core;
    char address[128];
    char id[64];
    enum subchannel_state state;
    bool listed; /* the resolver still names it */
    struct sub_conn *current;
    struct list extra; /* beside the current one: subchannel_extra.c */
    unsigned n_extra;
    neo_nsec extra_at; /* no further one before */
    struct list draining;
    struct neo_timer timer; /* backoff */
    struct balance_host host;
    unsigned failures; /* connection attempts in a row */
    neo_nsec attempt_at;
    struct neo_breaker breaker;
    bool attestation_refused; /* the last attempt failed for that */
    char last_error[400];
    uint64_t calls, succeeded, failed; /* attempts of calls; the last began at `last_call` */
    neo_nsec last_call;
    int64_t channelz_id;
    struct channelz_trace trace;
};

/* What a core was made for, to be compared with what others ask for. Strings are the core's. */
struct wish {
    bool of_ones_own; /* it does for nobody else */
    char *service_config;
    struct neo_channel_tuning tuning; /* as given */
};

/*
 * What finds, makes and judges connections: the instances, the balancer between them, the line of
 * calls that wait for one. All channels of one loop that ask for the same have one: channel_core.c.
 */
struct channel_core {
    struct list link; /* among all of the process: channel_core.c */
    struct neo_loop *loop;
    struct list holders; /* neo_channel.held; none: it only ends the calls that are left on it */
    size_t n_holders;
    size_t n_told; /* of them, those that hear of an epoch just now: channel_epoch.c */
    struct wish wish;
    struct neo_timer reap;
    char *target;
    char *service; /* NULL while joining */
    char *trust_domain;
    char *authority;
    char *expect;  /* spiffe id of the peer; "" while joining; insecure: its DNS name, or "" */
    char *joining; /* the service it must be all the same; NULL: any, or not joining */
    struct neo_epoch epoch;
    uint64_t attest_number; /* grows when reference values or their trust do change */
    struct tls_context *tls;
    enum tls_mode mode; /* other than TLS_MUTUAL: neo/insecure.h */
    struct neo_resolver *resolver;
    void *watch;
    struct neo_resolver_sink sink;
    char *dns_host; /* NULL: another kind of target */
    uint16_t dns_port;
    struct net_lookup *lookup;
    struct neo_timer look_up; /* again */
    neo_nsec looked_up_at;
    unsigned lookup_failures;
    struct neo_attester *attester;
    struct neo_key *session_key; /* ours; NULL: we prove nothing */
    struct vouch_table *vouches; /* of the instances */
    struct neo_census *census;
    const struct neo_log *log;
    void (*refused)(void *self, const char *why); /* may be NULL */
    void *refused_self;
    struct service_config config; /* of it, balancing and health */
    bool resolved, remembered;    /* the resolver has answered; with what it knew before */
    char resolve_error[160];
    char failure[320]; /* of several instances: that none is ready, and why the first is not */

    struct list subchannels;
    size_t n_subchannels;
    struct list waiting;         /* calls without a connection yet, of all holders */
    struct neo_timer look_again; /* an open circuit closes without an event */
    unsigned in_events;          /* inside an h2 event: `done` may be called at once */
    bool in_line;                /* inside channel_changed(): `done` comes later */
    bool closing;                /* nobody holds it */
    bool drained;                /* and its guests end what runs */

    const struct h2_limits *h2_limits; /* NULL: the defaults. Tests switch the guard off with it */
    struct neo_channel_tuning tuning;  /* no zeros left */
    struct neo_breaker_config breaker; /* of every instance */
    struct keepalive_config keepalive;
    struct balance balance;
    bool stale;              /* a subchannel changed: balance.hosts must be made anew */
    struct neo_timer sweep;  /* outlier detection */
    struct neo_timer resume; /* pick_first: the next address */
    neo_nsec begun_at;       /* pick_first: when the last connection was begun */
    struct neo_timer idle;
    neo_nsec last_call_at; /* when the last one ended */

    struct neo_channel_wire wire;
};

/* What its owner has: calls, and what is counted and limited for these. */
struct neo_channel {
    struct channel_core *core; /* another one after an epoch that only this one was told of */
    struct list held;          /* in channel_core.holders */
    struct neo_loop *loop;
    bool told;   /* channel_epoch.c */
    bool broken; /* it could not take its last epoch: it begins no calls */
    bool closing;
    size_t max_message;
    bool wait_for_ready;
    bool accept_gzip;
    struct neo_channel_tuning tuning; /* no zeros left */
    struct service_config config;     /* of it, methods and throttling */
    struct neo_retry_budget budget;

    struct list calls; /* all that have not ended */
    size_t n_waiting;  /* calls that wait, those that are being looked at included */
    size_t waiting_bytes;
    size_t buffered;   /* request bytes kept for other attempts, all calls */
    struct list ended; /* `done` still to be called */
    struct neo_timer later;
    struct list idle_calls; /* freed calls, kept for the next */
    unsigned n_idle_calls;

    struct channelz_entry channelz;
    struct channelz_trace trace;
    int32_t traced_state; /* the last that `trace` tells of */
    struct {
        uint64_t started, succeeded, failed;
        neo_nsec last_started;
    } counts;
    struct neo_client_interceptor *interceptors[NEO_INTERCEPTORS_MAX];
    unsigned n_interceptors;
    bool sees_messages; /* one of them looks at messages */
    struct {
        struct neo_family *calls;
        struct neo_family *retries;
        struct neo_counter *waiting, *turned_away, *withheld;
    } metrics;
};

/* --- channel_core.c --------------------------------------------------------------------------- */

/* A core for what `options` ask for, of one's own until it is entered. Any thread. */
NEO_MUST_CHECK enum neo_code core_new(const char *target, const struct neo_channel_options *options,
                                      struct channel_core **ret, struct neo_error *err);
/* One that was never entered, or that has ended. */
void core_free(struct channel_core *core);
/* One that is there already and does for these options; NULL: none. */
struct channel_core *core_find(const char *target, const struct neo_channel_options *options);
/* The options with which another one like it is made; borrowed from it. */
struct neo_channel_options core_options(const struct channel_core *core);
/* Begins its work, for `first`. When it fails the core is to be freed, and holds nobody. */
NEO_MUST_CHECK enum neo_code core_enter(struct channel_core *core, struct neo_channel *first,
                                        struct neo_error *err);
void core_join(struct channel_core *core, struct neo_channel *channel);
/* The last one who leaves ends it; calls of others that still run on its connections end first. */
void core_leave(struct neo_channel *channel);
/* Frees what has ended on this loop. */
void core_reap(struct neo_loop *loop);
/* Whether anybody of its holders has a call, or anybody at all one on its connections. */
bool core_is_busy(const struct channel_core *core);
/* For the traces of all holders. */
void core_note(struct channel_core *core, bool warning, int64_t subchannel, const char *text);
/* Each core of the loop, those that are ending included. Nothing may come or go meanwhile. */
void core_each(struct neo_loop *loop, void (*visit)(struct channel_core *core));

/* --- channel_core_make.c ---------------------------------------------------------------------- */

/* Fills the zeroed struct; what it has when that fails is core_unmake()'s, too. */
NEO_MUST_CHECK enum neo_code core_make(struct channel_core *core, const char *target,
                                       const struct neo_channel_options *options,
                                       struct neo_error *err);
/* What the fields of `given` come to; NULL: all defaults. */
struct neo_channel_tuning core_tuning(const struct neo_channel_tuning *given);
void core_unmake(struct channel_core *core);
bool core_does_for(const struct channel_core *core, const char *target,
                   const struct neo_channel_options *options);

/* --- channel_epoch.c -------------------------------------------------------------------------- */

void channel_epoch_hold(struct neo_epoch *to, const struct neo_epoch *from);
void channel_epoch_release(struct neo_epoch *epoch);
/* TLS for the present epoch. */
NEO_MUST_CHECK enum neo_code channel_epoch_tls(struct channel_core *core, struct neo_error *err);

/* --- channel_open.c --------------------------------------------------------------------------- */

/* A job on a loop that somebody waits for. */
struct visit {
    struct neo_job job;
    void (*run)(struct visit *visit);
    pthread_mutex_t lock;
    pthread_cond_t done;
    bool is_done;
};
/* Runs it there and returns when it has; at once on that loop. */
void visit(struct visit *v, struct neo_loop *loop, void (*run)(struct visit *visit));

/* --- channel.c -------------------------------------------------------------------------------- */

/* A ready connection with room, or NULL. Starts idle subchannels that could become one. */
struct sub_conn *channel_pick(struct channel_core *core, struct neo_breaker_permit *ret_permit);
/* Something became ready, or failed: looks at the waiting calls again. */
void channel_changed(struct channel_core *core);
/* A stream is about to be gone: the waiting calls are looked at in the next turn. */
void channel_has_room(struct channel_core *core);
/* The same a little later, when nothing else would bring them forward. */
void channel_look_again_soon(struct channel_core *core);
/* One call waits in line, at its end; it is counted once, until it leaves for good. */
void channel_line_join(struct neo_client_call *call);
void channel_line_leave(struct neo_client_call *call);
/* A call that waits has more to send. */
void channel_line_count(struct neo_client_call *call);
/* Whether one more may wait, with `bytes`. False: `status` says why not. */
bool channel_line_admits(const struct neo_channel *channel, size_t n, size_t bytes,
                         struct neo_status *status);
const char *channel_last_error(const struct channel_core *core); /* "": none */
/* Why nothing is ready, for a call that does not wait. False: something may still come. */
bool channel_is_failing(struct channel_core *core, struct neo_status *status);
/* Must a peer of this channel prove what it runs; do we have to? */
bool channel_wants_attestation(const struct channel_core *core);
bool channel_offers_attestation(const struct channel_core *core);
/* Calls `done` of what ended, after this turn's events. */
void channel_later(struct neo_channel *channel);
/* A call begins: the channel is not idle. */
void channel_wake(struct channel_core *core);
void channel_init(struct neo_channel *channel);
void channel_init_events(struct channel_core *core);
void channel_disarm(struct channel_core *core);

/* --- channel_resolve.c ------------------------------------------------------------------------ */

/* Begins to learn the target's instances. */
NEO_MUST_CHECK enum neo_code channel_start_resolving(struct channel_core *core,
                                                     struct neo_error *err);
void channel_stop_resolving(struct channel_core *core);
/* A connection failed or was lost: names may mean something else by now. */
void channel_resolve_again(struct channel_core *core);

/* --- subchannel.c ----------------------------------------------------------------------------- */

struct subchannel *subchannel_new(struct channel_core *core, const struct neo_endpoint *endpoint);
/* At once; its calls end UNAVAILABLE. */
void subchannel_free(struct subchannel *sub);
/* Connects unless it is connected, connecting or backing off. */
void subchannel_connect(struct subchannel *sub);
/* No new calls; ends when its calls have. */
void subchannel_drain(struct subchannel *sub);
/* Gives up an attempt, or closes a connection that is not needed, when there is one. */
void subchannel_rest(struct subchannel *sub, const char *why);
/* The epoch changed: what is now revoked ends, the rest goes on until it must be retired. */
void subchannel_rejudge(struct subchannel *sub, bool identity_changed);
const char *subchannel_state_name(const struct subchannel *sub);
void subchannel_set_state(struct subchannel *sub, enum subchannel_state state);
/* Its connection ended, or was given up, while it was the current one. */
void subchannel_lost(struct subchannel *sub, bool served, const char *why);
void subchannel_enter_backoff(struct subchannel *sub, const char *why);

/* --- subchannel_extra.c ----------------------------------------------------------------------- */

/* A connection that takes one more call; NULL: all are full. */
struct sub_conn *subchannel_with_room(const struct subchannel *sub);
/* All are full: begins another connection, when it may have one. */
void subchannel_widen(struct subchannel *sub);
void subchannel_extra_proven(struct sub_conn *sc);
/* It is retired, or gone; nothing happens to one that is not extra. */
void subchannel_extra_left(struct sub_conn *sc);
/* They are not needed any more. */
void subchannel_extra_rest(struct subchannel *sub, const char *why);
/* There is no current one: one of these is it from now on. False: none can be. */
bool subchannel_promote(struct subchannel *sub);

/* --- subchannel_conn.c ------------------------------------------------------------------------ */

/* Gives `*ret`, which is connecting. */
NEO_MUST_CHECK enum neo_code sub_conn_open(struct subchannel *sub, struct sub_conn **ret,
                                           struct neo_error *err);
/* At once. */
void sub_conn_free(struct sub_conn *sc);
/* Out of service; its calls may finish within `grace`. The subchannel is then idle. */
void sub_conn_retire(struct sub_conn *sc, neo_nsec grace, enum neo_code code, const char *why);
/* It worked, and not just for a moment: a new attempt may follow at once. */
bool sub_conn_has_served(const struct sub_conn *sc);
/* Proven as far as needed: looks after its health, or it can take calls. */
void sub_conn_proven(struct sub_conn *sc);
/* Its health is known. `why` NULL: it serves. */
void sub_conn_health(struct sub_conn *sc, const char *why);
/* Whether its peer has proven now what it runs, as the policy of its service asks. */
static inline bool sub_conn_is_attested(const struct sub_conn *sc)
{
    return sc->attested && neo_loop_now(sc->sub->core->loop) < sc->attested_until;
}
void sub_conn_refused(struct sub_conn *sc, enum neo_attest_reason reason, const char *detail);
/* Asks whether anybody is there, as keepalive does, unless that is off. */
void sub_conn_ping(struct sub_conn *sc);
void sub_conn_call_begun(struct sub_conn *sc);
void sub_conn_call_ended(struct sub_conn *sc);

/* --- health_client.c -------------------------------------------------------------------------- */

/* Ends in sub_conn_health(), again at each change. */
void health_client_start(struct sub_conn *sc);
void health_client_data(struct sub_conn *sc, struct neo_bytes bytes);
/* The stream ended, however. */
void health_client_closed(struct sub_conn *sc, const struct neo_status *status);
void health_client_stop(struct sub_conn *sc);

/* --- orca_client.c ---------------------------------------------------------------------------- */

/* Where the balancer wants them; once on a connection. */
void orca_client_start(struct sub_conn *sc);
void orca_client_data(struct sub_conn *sc, struct neo_bytes bytes);
/* The stream ended, however. */
void orca_client_closed(struct sub_conn *sc, const struct neo_status *status);
void orca_client_stop(struct sub_conn *sc);

/* --- attest_client.c -------------------------------------------------------------------------- */

/* Runs the exchange; ends in sub_conn_proven() or sub_conn_refused(). */
void attest_client_start(struct sub_conn *sc);
void attest_client_data(struct sub_conn *sc, struct neo_bytes bytes);
/* The stream ended, however. */
void attest_client_closed(struct sub_conn *sc, const struct neo_status *status);
/* False: the pool still uses `sc`; it is freed when that is done. */
bool attest_client_fini(struct sub_conn *sc);

/* Metadata of one call, business context included. */
enum { CLIENT_METADATA_MAX = 64 };

/* --- calls ------------------------------------------------------------------------------------ */

struct call_attempt {
    struct neo_client_call *call;
    struct sub_conn *sc;      /* NULL: it does not run */
    struct h2_stream *stream; /* its `user` is the attempt */
    struct frame_reader reader;
    struct neo_breaker_permit permit;
    neo_nsec begun;
    bool again;       /* another attempt will follow this one */
    bool blameless;   /* its end says nothing of the instance */
    bool settled;     /* the breaker has been told */
    size_t sent_upto; /* of the call's `sent`, what this attempt has queued; its messages: */
    uint64_t sent_messages;
    bool unproven; /* nothing of the request leaves before its server has proven itself */
    uint8_t nonce[32];
    bool got_headers;        /* other than those of a response that is only a status */
    bool got_message, ended; /* `ended`: a status was seen, or the stream is gone */

    /* Flow control: what came is credited but for what a raw reader holds back. A message is
       credited as its pieces come, or one beyond the window could never arrive; what was credited
       too early is made up for with what comes next. */
    uint64_t received;
    uint64_t credited;
    uint64_t held;
    size_t partial; /* bytes of the message that is not whole yet */
};

/* How the raw bytes of a message are handed out instead of decoded ones, compressed as they came if
   neo_client_call_was_compressed() says so; see stream.c. False: it holds back the `used` bytes
   that the message took, all its pieces, until client_call_consume(). */
typedef bool client_raw_fn(struct neo_client_call *call, struct neo_bytes wire, size_t used,
                           void *self);

struct neo_client_call {
    struct list link;    /* in neo_channel.calls or .idle_calls */
    struct list waiting; /* in channel_core.waiting or neo_channel.ended */
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
    const char *user_agent;  /* with the user's in front; NULL: the usual */
    void **intercept_states; /* one for each interceptor; NULL: there are none */
    unsigned intercepted;    /* those that have begun and not ended */
    bool intercepting;       /* inside one's begin */
    bool entered; /* inside a function of its caller's or an observer: `done` comes later */

    struct neo_buffer sent; /* framed messages, kept while another attempt may need them */
    uint64_t messages;      /* framed so far */
    size_t counted;         /* of `sent`, what is in neo_channel.buffered */
    size_t counted_waiting; /* the same for .waiting_bytes */
    bool waits;             /* counted in .n_waiting */
    bool send_closed;
    bool gzip;        /* said in the headers */
    bool compressing; /* the next message */
    size_t max_request, max_response;

    struct call_attempt own; /* the first; further ones at the same time are on the arena */
    struct call_attempt *running[SERVICE_CONFIG_ATTEMPTS_MAX];
    unsigned n_running;
    bool committed;    /* to running[0]: there will be no other attempt (gRFC A6) */
    bool no_hedges;    /* the server or the budget said so */
    bool owed;         /* the next attempt was paid for, or costs nothing */
    unsigned attempts; /* started, transparent ones not counted */
    bool was_transparent;
    struct neo_timer deadline;
    struct neo_timer retry; /* the next attempt */
    unsigned backoffs;      /* waited since the last pushback */

    const char *needs_attested; /* on the call's arena; NULL: it may go over any connection */
    bool starting;              /* inside neo_channel_start() */
    bool over;
    struct frame_reader last_read; /* once it is over: where the last message may lie */
    struct neo_status status;
    struct h2_header *response; /* metadata, copied when the attempt's stream goes */
    size_t n_response;
    size_t n_response_headers; /* the first of them; the rest are trailers */
    char peer[128];
    _Alignas(16) uint8_t first[1536];
    _Alignas(16) uint8_t message_first[512];
};

/* --- client_start.c --------------------------------------------------------------------------- */

/* Begins an attempt on what is ready, or queues the call, or ends it. */
void client_call_try(struct neo_client_call *call);
/* INVALID_ARGUMENT: there is none, and it must be there when the call begins. */
NEO_MUST_CHECK enum neo_code client_check_request(const struct neo_method *method,
                                                  const void *request, struct neo_error *err);
/* One more of `call->metadata`, for which there is room. */
NEO_MUST_CHECK enum neo_code client_call_add_metadata(struct neo_client_call *call,
                                                      struct neo_bytes key, struct neo_bytes value,
                                                      struct neo_error *err);
/* As neo_channel_start(), with raw messages. */
NEO_MUST_CHECK enum neo_code client_call_start(struct neo_channel *channel,
                                               const struct neo_method *method,
                                               const struct neo_call_options *options,
                                               struct neo_bytes encoded, bool has_request,
                                               const struct neo_client_events *events,
                                               client_raw_fn *raw, void *self,
                                               struct neo_client_call **ret, struct neo_error *err);

/* --- client_call.c ---------------------------------------------------------------------------- */

/* Ends it here and now with a status of our own. */
void client_call_end(struct neo_client_call *call, const struct neo_status *status);
void client_call_fail(struct neo_client_call *call, enum neo_code code, const char *text);
void client_call_done(struct neo_client_call *call);
void client_call_free(struct neo_client_call *call);
/* Its connection is not for its call any more: it is ended there, as if that had been lost. */
void client_attempt_taken(struct call_attempt *a, const char *why);
/* The attempt is over for the call: its outcome is counted, and its stream reset if still open. */
void client_attempt_finish(struct call_attempt *a, enum neo_code code);
/* There will be no attempt but this one: the others are cancelled. */
void client_call_commit(struct call_attempt *a);
/* Raw readers that held back: credit for `n` more bytes. */
void client_call_consume(struct neo_client_call *call, size_t n);
/* What a stream that is gone says about its call. */
struct neo_status client_call_stream_status(struct h2_stream *s, uint32_t h2_error);

/* The h2 events of an attempt's stream. */
void client_call_headers(struct call_attempt *a, struct h2_stream *s, bool end_stream);
void client_call_data(struct call_attempt *a, struct h2_stream *s, struct neo_bytes bytes);
void client_call_trailers(struct call_attempt *a, struct h2_stream *s);
void client_call_stream_ended(struct call_attempt *a, struct h2_stream *s);
void client_call_closed(struct call_attempt *a, struct h2_stream *s, uint32_t h2_error);

/* --- client_retry.c --------------------------------------------------------------------------- */

/* An attempt failed. True: the call goes on without it; false: it ends with this status. */
bool client_retry_failed(struct call_attempt *a, const struct neo_status *status,
                         struct h2_headers trailers);
/* The request never reached a handler, or never `left`: again at once. False: not any more. */
bool client_retry_unseen(struct call_attempt *a, bool left);
/* An attempt was begun: when the next hedge is due. */
void client_retry_begun(struct neo_client_call *call);
void client_retry_expired(struct neo_timer *timer);

/* --- client_send.c ---------------------------------------------------------------------------- */

/* Queues an encoded message. */
enum neo_flow client_call_send_wire(struct neo_client_call *call, struct neo_bytes wire);
/* From now on only over attested connections; false when that ended it, for it runs on another. */
bool client_call_guard(struct neo_client_call *call, const char *why);
/* Hands the running attempts' streams what they have not had yet. */
enum neo_flow client_call_flush(struct neo_client_call *call);
/* Lets go of what was kept for other attempts. */
void client_call_forget_sent(struct neo_client_call *call);

#endif
