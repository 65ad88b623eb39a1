/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One instance of a service: connect, prove, serve, retire.
 *
 *   IDLE --> CONNECTING --> ATTESTING --> READY
 *     ^          |              |           |
 *     |          +---> BACKOFF <+-----------+  (lost)
 *     +----------------+
 *
 * A certificate must not end under a connection that takes new calls, so each
 * connection retires before the earlier of the two certificates it was made with:
 * the subchannel makes a new one, and the old one lives on for its running calls.
 * Backoff counts from the start of an attempt, as gRPC's connection backoff does.
 */
#include "rpc/channel_internal.h"

#include <neo/digest.h>
#include <neo/memory.h>
#include <neo/retry.h>

#include <stdio.h>

enum { STREAM_GRACE_SEC = 60 };
#define SHORT_SERVICE (1 * NEO_NSEC_PER_SEC)

static const struct neo_breaker_config breaker_config = {
    .window = 20,
    .min_results = 5,
    .failure_percent = 50,
    .probes = 1,
    .open_min = 5 * NEO_NSEC_PER_SEC,
    .open_max = 60 * NEO_NSEC_PER_SEC,
};

static const char *const state_names[SUB_STATES] = {
    [SUB_IDLE] = "idle",   [SUB_CONNECTING] = "connecting", [SUB_ATTESTING] = "attesting",
    [SUB_READY] = "ready", [SUB_BACKOFF] = "backoff",
};

const char *subchannel_state_name(const struct subchannel *sub)
{
    if (sub->state == SUB_READY && neo_breaker_state(&sub->breaker) == NEO_BREAKER_OPEN)
        return "open circuit";
    return sub->listed ? state_names[sub->state] : "draining";
}

/* --- a connection's life -------------------------------------------------------------------------
 */

static void sub_conn_free(struct sub_conn *sc)
{
    struct neo_loop *loop = sc->sub->channel->loop;

    neo_loop_disarm(loop, &sc->retire);
    neo_loop_disarm(loop, &sc->reattest);
    list_remove(&sc->link);
    if (sc->conn != NULL)
        conn_free(sc->conn);
    sc->conn = NULL;
    if (attest_client_fini(sc))
        neo_free(sc);
}

static void enter_backoff(struct subchannel *sub, const char *why);

/* It worked, and not just for a moment: a new attempt may follow at once. */
static bool has_served(const struct subchannel *sub)
{
    neo_nsec now = neo_loop_now(sub->channel->loop);

    return sub->state == SUB_READY && now - sub->attempt_at >= SHORT_SERVICE;
}

/* Takes a connection out of service; its calls may finish. */
static void retire(struct sub_conn *sc, enum neo_code code, const char *why)
{
    struct subchannel *sub = sc->sub;

    if (sc->draining)
        return;
    sc->draining = true;
    neo_loop_disarm(sub->channel->loop, &sc->retire);
    if (sub->current == sc) {
        bool served = has_served(sub);
        sub->current = NULL;
        list_push_back(&sub->draining, &sc->link);
        sub->state = SUB_IDLE;
        /* A server that sends everybody away at once must not be asked again at once. */
        if (!served && sub->listed)
            enter_backoff(sub, why);
    }
    conn_close(sc->conn, 0, why, STREAM_GRACE_SEC * NEO_NSEC_PER_SEC, code, why);
}

static void retire_expired(struct neo_timer *timer)
{
    struct sub_conn *sc = neo_owner(timer, struct sub_conn, retire);
    struct subchannel *sub = sc->sub;

    retire(sc, NEO_OK, "certificate is about to expire");
    subchannel_connect(sub);
}

/* A fifth of what is left, at most a minute, before the earlier end of the two certificates. */
static void arm_retirement(struct sub_conn *sc)
{
    struct neo_channel *channel = sc->sub->channel;
    int64_t ends = tls_peer(conn_tls(sc->conn))->not_after;

    if (sc->own_ends != 0 && sc->own_ends < ends)
        ends = sc->own_ends;
    int64_t left = ends * (int64_t)NEO_NSEC_PER_SEC - neo_wall_nsec();
    if (left < 0)
        left = 0;
    int64_t margin = left / 5;
    if (margin > 60 * (int64_t)NEO_NSEC_PER_SEC)
        margin = 60 * (int64_t)NEO_NSEC_PER_SEC;
    neo_loop_arm(channel->loop, &sc->retire,
                 neo_loop_now(channel->loop) + (neo_nsec)(left - margin));
}

static void backoff_expired(struct neo_timer *timer)
{
    struct subchannel *sub = neo_owner(timer, struct subchannel, timer);

    sub->state = SUB_IDLE;
    if (!list_is_empty(&sub->channel->waiting))
        subchannel_connect(sub);
}

static void enter_backoff(struct subchannel *sub, const char *why)
{
    struct neo_loop *loop = sub->channel->loop;
    uint64_t random;

    neo_random(&random, sizeof(random));
    neo_nsec wait = neo_backoff_wait(&NEO_CONNECTION_BACKOFF, ++sub->failures, random);
    neo_nsec at = sub->attempt_at + wait;
    neo_nsec now = neo_loop_now(loop);
    (void)snprintf(sub->last_error, sizeof(sub->last_error), "%s", why);
    neo_log_info(sub->channel->log, "channel.lost", NEO_STR("target", sub->channel->target),
                 NEO_STR("address", sub->address), NEO_STR("why", why),
                 NEO_U64("retry_ms", (at > now ? at - now : 0) / NEO_NSEC_PER_MSEC));
    sub->state = SUB_BACKOFF;
    neo_loop_arm(loop, &sub->timer, at > now ? at : now);
}

/* The connection ended. */
static void gone(struct conn *c, const struct neo_error *err)
{
    struct sub_conn *sc = conn_owner(c);
    struct subchannel *sub = sc->sub;
    struct neo_channel *channel = sub->channel;
    bool was_current = sub->current == sc;
    bool served = was_current && has_served(sub);
    char why[sizeof(sub->last_error)];

    (void)snprintf(why, sizeof(why), "%s", err->code == NEO_OK ? "closed" : err->message);
    if (was_current)
        sub->current = NULL;
    sub_conn_free(sc);
    if (!was_current) {
        if (!sub->listed && sub->current == NULL && list_is_empty(&sub->draining))
            subchannel_free(sub);
        return;
    }
    if (served) {
        /* It worked until now: one new attempt at once, backoff only if that fails too. */
        sub->failures = 0;
        sub->state = SUB_IDLE;
        (void)snprintf(sub->last_error, sizeof(sub->last_error), "%s", why);
    } else {
        enter_backoff(sub, why);
    }
    if (!sub->listed)
        subchannel_free(sub);
    else if (served)
        subchannel_connect(sub);
    channel_changed(channel);
}

void sub_conn_ready(struct sub_conn *sc)
{
    struct subchannel *sub = sc->sub;

    if (sub->current == sc) {
        /* What failed on a connection that is gone says nothing about this one. */
        if (sub->state != SUB_READY)
            neo_breaker_init(&sub->breaker, &breaker_config);
        sub->state = SUB_READY;
        sub->failures = 0;
        sub->attestation_refused = false;
        sub->last_error[0] = '\0';
    }
    channel_changed(sub->channel);
}

void sub_conn_refused(struct sub_conn *sc, enum neo_attest_reason reason, const char *detail)
{
    struct subchannel *sub = sc->sub;
    char why[200];

    (void)snprintf(why, sizeof(why), "attestation refused (%s): %s", neo_attest_reason_text(reason),
                   detail);
    neo_log_warn(sub->channel->log, "channel.attestation_refused",
                 NEO_STR("target", sub->channel->target), NEO_STR("address", sub->address),
                 NEO_STR("reason", neo_attest_reason_text(reason)), NEO_STR("detail", detail));
    sub->attestation_refused = true;
    sc->attested = false;
    sc->draining = true; /* takes no more calls */
    conn_close(sc->conn, 0, "attestation refused", 0, NEO_FAILED_PRECONDITION, why);
}

void sub_conn_call_ended(struct sub_conn *sc)
{
    sc->calls--;
    if (!sc->draining)
        channel_changed(sc->sub->channel); /* there is room for one more */
}

/* --- hooks of the connection and its streams -------------------------------------------------- */

static enum neo_code proven(struct conn *c, struct neo_error *err)
{
    struct sub_conn *sc = conn_owner(c);
    const struct neo_channel *channel = sc->sub->channel;
    const struct tls_peer *peer = tls_peer(conn_tls(c));

    /* The handshake may have begun under a trust that has been replaced since. */
    if (peer->leaf == NULL || !neo_trust_stands(channel->epoch.trust, peer->leaf))
        return neo_fail(err, NEO_UNAUTHENTICATED, "the peer's certificate is no longer trusted");
    if (channel->joining != NULL && !neo_bytes_is(peer->service, channel->joining))
        return neo_fail(err, NEO_UNAUTHENTICATED, "peer: is %.*s, expected %s to join through",
                        NEO_FMT(peer->uri), channel->joining);
    arm_retirement(sc);
    return NEO_OK;
}

static struct sub_conn *owner_of(const struct h2 *h2)
{
    return conn_owner(h2_owner(h2));
}

static void on_ready(struct h2 *h2)
{
    struct sub_conn *sc = owner_of(h2);
    struct neo_channel *channel = sc->sub->channel;

    sc->settled = true;
    if (channel_wants_attestation(channel) || channel_offers_attestation(channel)) {
        if (sc->sub->current == sc)
            sc->sub->state = SUB_ATTESTING;
        attest_client_start(sc);
    } else {
        sub_conn_ready(sc);
    }
}

static void on_headers(struct h2 *h2, struct h2_stream *s, bool end_stream)
{
    struct sub_conn *sc = owner_of(h2);

    sc->sub->channel->in_events++;
    if (s->user != NULL)
        client_call_headers(s->user, s, end_stream);
    sc->sub->channel->in_events--;
}

static void on_data(struct h2 *h2, struct h2_stream *s, struct neo_bytes bytes)
{
    struct sub_conn *sc = owner_of(h2);
    struct neo_channel *channel = sc->sub->channel;

    channel->in_events++;
    if (s->user != NULL) {
        client_call_data(s->user, s, bytes);
    } else {
        h2_consume(h2, s, bytes.len);
        if (s == sc->attest_stream)
            attest_client_data(sc, bytes);
    }
    channel->in_events--;
}

static void on_trailers(struct h2 *h2, struct h2_stream *s)
{
    struct sub_conn *sc = owner_of(h2);

    sc->sub->channel->in_events++;
    if (s->user != NULL)
        client_call_trailers(s->user, s);
    sc->sub->channel->in_events--;
}

static void on_ended(struct h2 *h2, struct h2_stream *s)
{
    struct sub_conn *sc = owner_of(h2);

    sc->sub->channel->in_events++;
    if (s->user != NULL)
        client_call_stream_ended(s->user, s);
    sc->sub->channel->in_events--;
}

static void on_writable(struct h2 *h2, struct h2_stream *s)
{
    struct sub_conn *sc = owner_of(h2);

    sc->sub->channel->in_events++;
    if (s->user != NULL)
        client_call_writable(s->user);
    sc->sub->channel->in_events--;
}

static void on_closed(struct h2 *h2, struct h2_stream *s, uint32_t h2_error)
{
    struct sub_conn *sc = owner_of(h2);
    struct neo_channel *channel = sc->sub->channel;

    channel->in_events++;
    if (s->user != NULL) {
        client_call_closed(s->user, s, h2_error);
    } else if (s == sc->attest_stream) {
        struct neo_status status = client_call_stream_status(s, h2_error);
        sc->attest_stream = NULL;
        attest_client_closed(sc, &status);
    }
    channel->in_events--;
}

static void on_goaway(struct h2 *h2, int32_t last_id, uint32_t h2_error, struct neo_bytes debug)
{
    struct sub_conn *sc = owner_of(h2);
    struct subchannel *sub = sc->sub;

    (void)last_id;
    neo_log_debug(sub->channel->log, "channel.goaway", NEO_STR("address", sub->address),
                  NEO_U64("h2_error", h2_error), NEO_BYTES("debug", debug));
    retire(sc, NEO_UNAVAILABLE, "the server is going away");
    channel_changed(sub->channel);
}

static const struct h2_events stream_events = {
    .headers = on_headers,
    .data = on_data,
    .trailers = on_trailers,
    .ended = on_ended,
    .writable = on_writable,
    .closed = on_closed,
    .goaway = on_goaway,
    .ready = on_ready,
};

static const struct conn_hooks hooks = {.proven = proven, .gone = gone};

/* --- connecting ------------------------------------------------------------------------------- */

static enum neo_code open_conn(struct subchannel *sub, struct sub_conn *sc, struct neo_error *err)
{
    struct neo_channel *channel = sub->channel;
    struct tls *tls;
    int fd;

    if (channel->epoch.identity != NULL)
        sc->own_ends = neo_cert_facts(neo_identity_leaf(channel->epoch.identity))->not_after;
    NEO_TRY(net_connect(channel->loop, sub->address, &fd, err));
    /* Joining, we do not know its name yet: no SNI. */
    const char *server_name = channel->service == NULL ? NULL : channel->authority;
    enum neo_code code = tls_new(channel->tls, neo_text(channel->expect), server_name, &tls, err);
    if (code != NEO_OK) {
        net_close(channel->loop, fd);
        return code;
    }
    code = conn_new(&(struct conn_options){.loop = channel->loop,
                                           .fd = fd,
                                           .tls = tls,
                                           .events = &stream_events,
                                           .hooks = &hooks,
                                           .owner = sc},
                    &sc->conn, err);
    if (code != NEO_OK) {
        tls_free(tls);
        net_close(channel->loop, fd);
    }
    return code;
}

void subchannel_connect(struct subchannel *sub)
{
    struct neo_error err = {.code = NEO_RESOURCE_EXHAUSTED, .message = "out of memory"};

    if (sub->state != SUB_IDLE || sub->channel->closing || !sub->listed)
        return;
    sub->attempt_at = neo_loop_now(sub->channel->loop);
    struct sub_conn *sc = neo_alloc(sizeof(*sc));
    if (sc == NULL) {
        enter_backoff(sub, err.message);
        return;
    }
    sc->sub = sub;
    sc->retire.expired = retire_expired;
    list_init(&sc->link);
    if (open_conn(sub, sc, &err) != NEO_OK) {
        neo_free(sc);
        enter_backoff(sub, err.message);
        return;
    }
    sub->current = sc;
    sub->state = SUB_CONNECTING;
}

struct subchannel *subchannel_new(struct neo_channel *channel, const struct neo_endpoint *endpoint)
{
    struct subchannel *sub = neo_alloc(sizeof(*sub));

    if (sub == NULL)
        return NULL;
    sub->channel = channel;
    sub->listed = true;
    sub->timer.expired = backoff_expired;
    list_init(&sub->draining);
    neo_breaker_init(&sub->breaker, &breaker_config);
    (void)snprintf(sub->address, sizeof(sub->address), "%.*s", NEO_FMT(endpoint->address));
    (void)snprintf(sub->id, sizeof(sub->id), "%.*s", NEO_FMT(endpoint->id));
    list_push_back(&channel->subchannels, &sub->link);
    channel->n_subchannels++;
    return sub;
}

void subchannel_free(struct subchannel *sub)
{
    struct neo_channel *channel = sub->channel;

    neo_loop_disarm(channel->loop, &sub->timer);
    sub->state = SUB_IDLE;
    sub->listed = false;
    if (sub->current != NULL) {
        struct sub_conn *sc = sub->current;
        sub->current = NULL;
        sub_conn_free(sc);
    }
    list_each (node, &sub->draining)
        sub_conn_free(neo_owner(node, struct sub_conn, link));
    list_remove(&sub->link);
    channel->n_subchannels--;
    if (channel->last_picked == sub)
        channel->last_picked = NULL;
    neo_free(sub);
}

void subchannel_drain(struct subchannel *sub)
{
    sub->listed = false;
    neo_loop_disarm(sub->channel->loop, &sub->timer);
    if (sub->current != NULL)
        retire(sub->current, NEO_OK, "no longer listed");
    else if (list_is_empty(&sub->draining))
        subchannel_free(sub);
}

static void rejudge_conn(struct sub_conn *sc)
{
    const struct neo_cert *leaf =
        tls_state(conn_tls(sc->conn)) == TLS_OPEN ? tls_peer(conn_tls(sc->conn))->leaf : NULL;

    if (leaf != NULL && !neo_trust_stands(sc->sub->channel->epoch.trust, leaf)) {
        sc->draining = true;
        conn_close(sc->conn, 0, "certificate revoked", 0, NEO_UNAUTHENTICATED,
                   "the peer's certificate is no longer trusted");
    }
}

void subchannel_rejudge(struct subchannel *sub, bool identity_changed)
{
    list_each (node, &sub->draining)
        rejudge_conn(neo_owner(node, struct sub_conn, link));
    if (sub->current == NULL)
        return;
    rejudge_conn(sub->current);
    if (sub->state == SUB_READY && !sub->current->attested &&
        channel_wants_attestation(sub->channel)) {
        retire(sub->current, NEO_OK, "the policy asks for attestation now");
        subchannel_connect(sub);
    }
    /* A handshake that has not begun to prove anything may as well use the new identity; one
       that is open goes on until it must be retired. */
    (void)identity_changed;
}
