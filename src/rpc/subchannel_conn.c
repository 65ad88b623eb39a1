/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection of a subchannel: what happens on it, from the first byte to the last.
 *
 * A connection that must go is retired: it takes no new calls, and those on it may end in their own
 * time. A server that says goodbye (GOAWAY) is taken at its word: the calls that it
 * did not take are begun anew elsewhere, the others run on for as long as the certificates allow.
 */
#include "rpc/channel_internal.h"
#include "rpc/subchannel_events.h"

#include <neo/memory.h>

#include <stdio.h>

#define STREAM_GRACE  (60 * NEO_NSEC_PER_SEC) /* beyond the end of a certificate */
#define SHORT_SERVICE (1 * NEO_NSEC_PER_SEC)

void sub_conn_free(struct sub_conn *sc)
{
    struct neo_loop *loop = sc->sub->core->loop;

    sc->draining = true; /* what its streams say now changes nothing */
    neo_loop_disarm(loop, &sc->retire);
    neo_loop_disarm(loop, &sc->reattest);
    neo_loop_disarm(loop, &sc->ask);
    subchannel_extra_left(sc);
    list_remove(&sc->link);
    if (sc->conn != NULL)
        conn_free(sc->conn);
    sc->conn = NULL;
    health_client_stop(sc);
    orca_client_stop(sc);
    if (attest_client_fini(sc))
        neo_free(sc);
}

bool sub_conn_has_served(const struct sub_conn *sc)
{
    neo_nsec now = neo_loop_now(sc->sub->core->loop);

    return (sc->sub->state == SUB_READY || sc->sub->state == SUB_UNHEALTHY) &&
           (sc->answered || now - sc->sub->attempt_at >= SHORT_SERVICE);
}

/* --- retiring --------------------------------------------------------------------------------- */

/* Takes it from its subchannel, which is idle then, or backs off. False: it was not current. */
static bool step_down(struct sub_conn *sc, const char *why)
{
    struct subchannel *sub = sc->sub;

    sc->draining = true;
    neo_loop_disarm(sub->core->loop, &sc->retire);
    health_client_stop(sc);
    orca_client_stop(sc);
    if (sc->extra) {
        subchannel_extra_left(sc);
        list_push_back(&sub->draining, &sc->link);
    }
    if (sub->current != sc)
        return false;
    bool served = sub_conn_has_served(sc);
    sub->current = NULL;
    list_push_back(&sub->draining, &sc->link);
    subchannel_set_state(sub, SUB_IDLE);
    if (sub->listed && subchannel_promote(sub))
        return true;
    /* A server that sends everybody away at once must not be asked again at once. */
    if (served)
        sub->failures = 0;
    else if (sub->listed)
        subchannel_enter_backoff(sub, why);
    return true;
}

/* A peer that takes no more streams cannot prove itself anew: its calls end with its proof. */
static neo_nsec within_proof(const struct sub_conn *sc, neo_nsec grace)
{
    neo_nsec now = neo_loop_now(sc->sub->core->loop);

    if (!sc->attested || !channel_wants_attestation(sc->sub->core) ||
        now + grace <= sc->attested_until)
        return grace;
    return sc->attested_until > now ? sc->attested_until - now : 1;
}

/* As long as the certificates allow. */
static neo_nsec long_grace(const struct sub_conn *sc)
{
    neo_nsec now = neo_loop_now(sc->sub->core->loop);

    return (sc->trust_ends > now ? sc->trust_ends - now : 0) + STREAM_GRACE;
}

/* Guests are not to suffer from it that the last holder went. */
static neo_nsec usual_grace(const struct sub_conn *sc)
{
    return sc->sub->core->closing ? long_grace(sc) : STREAM_GRACE;
}

void sub_conn_retire(struct sub_conn *sc, neo_nsec grace, enum neo_code code, const char *why)
{
    if (sc->draining)
        return;
    (void)step_down(sc, why);
    conn_close(sc->conn, 0, why, within_proof(sc, grace == 0 ? usual_grace(sc) : grace), code, why);
}

static void retire_expired(struct neo_timer *timer)
{
    struct sub_conn *sc = neo_owner(timer, struct sub_conn, retire);
    struct subchannel *sub = sc->sub;

    sub_conn_retire(sc, 0, NEO_OK, "certificate is about to expire");
    subchannel_connect(sub);
}

/* A fifth of what is left, at most a minute, before the earlier end of the two certificates. */
static void arm_retirement(struct sub_conn *sc)
{
    struct channel_core *core = sc->sub->core;
    neo_nsec now = neo_loop_now(core->loop);
    int64_t ends = tls_peer(conn_tls(sc->conn))->not_after;

    if (sc->own_ends != 0 && sc->own_ends < ends)
        ends = sc->own_ends;
    int64_t left = ends * (int64_t)NEO_NSEC_PER_SEC - neo_wall_nsec();
    if (left < 0)
        left = 0;
    int64_t margin = left / 5;
    if (margin > 60 * (int64_t)NEO_NSEC_PER_SEC)
        margin = 60 * (int64_t)NEO_NSEC_PER_SEC;
    sc->trust_ends = now + (neo_nsec)left;
    neo_loop_arm(core->loop, &sc->retire, now + (neo_nsec)(left - margin));
}

/* --- keepalive -------------------------------------------------------------------------------- */

/* Nobody is there: its calls end now, and who waits gets another connection. */
static void give_up(struct sub_conn *sc, const char *why)
{
    struct subchannel *sub = sc->sub;
    struct channel_core *core = sub->core;

    neo_log_warn(core->log, "channel.silent", NEO_STR("target", core->target),
                 NEO_STR("address", sub->address), NEO_STR("why", why));
    sc->lost = why;
    if (step_down(sc, why) && sub->state == SUB_IDLE)
        subchannel_lost(sub, true, why);
    conn_close(sc->conn, 0, why, 0, NEO_UNAVAILABLE, why);
    channel_changed(core);
}

static void send_ping(struct sub_conn *sc)
{
    static const uint8_t opaque[8] = "neo ping";

    h2_ping(conn_h2(sc->conn), opaque);
    sc->counts.pings++;
    conn_kick(sc->conn);
}

void sub_conn_ping(struct sub_conn *sc)
{
    if (sc->sub->core->keepalive.off || conn_h2(sc->conn) == NULL)
        return;
    sc->keepalive.pinged_at = neo_loop_now(sc->sub->core->loop);
    sc->keepalive.pings++;
    send_ping(sc);
}

static void ask_expired(struct neo_timer *timer)
{
    struct sub_conn *sc = neo_owner(timer, struct sub_conn, ask);
    struct channel_core *core = sc->sub->core;
    bool busy = sc->calls > 0 || sc->health_stream != NULL || sc->attest_stream != NULL ||
                sc->orca.stream != NULL;
    neo_nsec at = 0;

    if (conn_h2(sc->conn) == NULL)
        return;
    switch (keepalive_check(&sc->keepalive, &core->keepalive, conn_last_read(sc->conn), busy,
                            neo_loop_now(core->loop), &at)) {
    case KEEPALIVE_PING:
        send_ping(sc);
        neo_loop_arm(core->loop, &sc->ask, at);
        break;
    case KEEPALIVE_WAIT:
        neo_loop_arm(core->loop, &sc->ask, at);
        break;
    case KEEPALIVE_DEAD:
        give_up(sc, "the peer answered no PING");
        break;
    case KEEPALIVE_REST:
        break;
    }
}

static void watch_for_silence(struct sub_conn *sc)
{
    struct channel_core *core = sc->sub->core;

    if (core->keepalive.off || neo_timer_is_armed(&sc->ask))
        return;
    sc->keepalive.since = neo_loop_now(core->loop);
    neo_loop_arm(core->loop, &sc->ask, sc->keepalive.since + core->keepalive.time);
}

void sub_conn_call_begun(struct sub_conn *sc)
{
    sc->calls++;
    sc->counts.started++;
    sc->counts.last_stream = neo_loop_now(sc->sub->core->loop);
    sc->sub->calls++;
    sc->sub->last_call = sc->counts.last_stream;
    sc->sub->host.active++;
    watch_for_silence(sc);
}

void sub_conn_call_ended(struct sub_conn *sc)
{
    sc->calls--;
    sc->sub->host.active--;
}

/* A gRPC server says so to who pings too often; the next connections are more patient. */
static void heed_complaint(struct channel_core *core, uint32_t h2_error, struct neo_bytes debug)
{
    if (h2_error != H2_ENHANCE_YOUR_CALM || !neo_bytes_is(debug, "too_many_pings"))
        return;
    if (core->keepalive.time < NEO_NSEC_PER_SEC * 3600)
        core->keepalive.time *= 2;
    neo_log_warn(core->log, "channel.too_many_pings", NEO_STR("target", core->target),
                 NEO_U64("keepalive_ms", core->keepalive.time / NEO_NSEC_PER_MSEC));
}

/* --- becoming ready --------------------------------------------------------------------------- */

void sub_conn_proven(struct sub_conn *sc)
{
    struct subchannel *sub = sc->sub;
    struct channel_core *core = sub->core;

    if (core->keepalive.without_calls)
        watch_for_silence(sc);
    if (sc->extra)
        subchannel_extra_proven(sc);
    else if (sub->current == sc)
        orca_client_start(sc);
    if (sub->current != sc || sub->state == SUB_READY || sub->state == SUB_UNHEALTHY) {
        channel_changed(core); /* proven anew */
    } else if (core->config.has_health && core->config.balance.policy->connects_all) {
        subchannel_set_state(sub, SUB_CHECKING);
        health_client_start(sc);
        watch_for_silence(sc);
    } else {
        subchannel_set_state(sub, SUB_READY);
        channel_changed(core);
    }
}

void sub_conn_health(struct sub_conn *sc, const char *why)
{
    struct subchannel *sub = sc->sub;

    if (sub->current != sc || sc->draining)
        return;
    if (why == NULL) {
        subchannel_set_state(sub, SUB_READY);
    } else {
        subchannel_set_state(sub, SUB_UNHEALTHY);
        (void)snprintf(sub->last_error, sizeof(sub->last_error), "%s", why);
    }
    channel_changed(sub->core);
}

void sub_conn_refused(struct sub_conn *sc, enum neo_attest_reason reason, const char *detail)
{
    struct subchannel *sub = sc->sub;
    char why[200];

    (void)snprintf(why, sizeof(why), "attestation refused (%s): %s", neo_attest_reason_text(reason),
                   detail);
    neo_log_warn(sub->core->log, "channel.attestation_refused",
                 NEO_STR("target", sub->core->target), NEO_STR("address", sub->address),
                 NEO_STR("reason", neo_attest_reason_text(reason)), NEO_STR("detail", detail));
    if (!sc->extra)
        sub->attestation_refused = true;
    sc->attested = false;
    sc->draining = true; /* takes no more calls */
    conn_close(sc->conn, 0, "attestation refused", 0, NEO_FAILED_PRECONDITION, why);
}

/* --- hooks of the connection ------------------------------------------------------------------ */

/* What the peer says of us, and not of the network, somebody must mend. */
static void refused_us(const struct sub_conn *sc, const char *why)
{
    const struct channel_core *core = sc->sub->core;

    neo_log_warn(core->log, "channel.refused", NEO_STR("target", core->target),
                 NEO_STR("address", sc->sub->address), NEO_STR("why", why));
    if (core->refused != NULL)
        core->refused(core->refused_self, why);
}

/* It ended in peace, as far as the socket can say. */
static const char *why_closed(const struct sub_conn *sc)
{
    if (sc->settled)
        return "the server closed the connection";
    if (sc->sub->core->mode == TLS_CLEARTEXT)
        return "the server closed the connection before it said anything in HTTP/2; it may expect "
               "TLS, and this channel speaks cleartext";
    if (tls_state(conn_tls(sc->conn)) == TLS_HANDSHAKE)
        return "the server closed the connection within the TLS handshake; it may speak no TLS, or "
               "see its log";
    return "the server closed the connection before it said anything in HTTP/2; see its log";
}

/* For whoever reads the status of a call: where, what, and what may be done about it. */
static void explain_end(const struct sub_conn *sc, const struct neo_error *err, char *ret,
                        size_t max)
{
    static const char cannot[] = "cannot connect: ";
    const char *address = sc->sub->address;
    bool just_closed = err->code == NEO_OK || strcmp(err->message, conn_peer_closed) == 0;
    const char *what = just_closed ? why_closed(sc) : err->message;

    if (strncmp(what, cannot, sizeof(cannot) - 1) == 0)
        (void)snprintf(ret, max, "cannot connect to %.127s: %.200s; is the server running there?",
                       address, what + sizeof(cannot) - 1);
    else if (strstr(what, address) != NULL)
        (void)snprintf(ret, max, "%s", what);
    else
        (void)snprintf(ret, max, "%.127s: %.239s", address, what);
}

/* The connection ended. */
static void gone(struct conn *c, const struct neo_error *err)
{
    struct sub_conn *sc = conn_owner(c);
    struct subchannel *sub = sc->sub;
    struct channel_core *core = sub->core;
    bool was_current = sub->current == sc;
    bool served = was_current && sub_conn_has_served(sc);
    char why[sizeof(sub->last_error)];

    explain_end(sc, err, why, sizeof(why));
    if (tls_is_refused(conn_tls(c)))
        refused_us(sc, why);
    if (was_current)
        sub->current = NULL;
    sub_conn_free(sc);
    if (was_current)
        subchannel_lost(sub, served, why);
    if (!sub->listed && sub->current == NULL && list_is_empty(&sub->draining))
        subchannel_free(sub);
    if (was_current)
        channel_changed(core);
}

static enum neo_code proven(struct conn *c, struct neo_error *err)
{
    struct sub_conn *sc = conn_owner(c);
    const struct channel_core *core = sc->sub->core;
    const struct tls_peer *peer = tls_peer(conn_tls(c));

    if (core->mode != TLS_MUTUAL)
        return NEO_OK;
    /* The handshake may have begun under a trust that has been replaced since. */
    if (peer->leaf == NULL || !neo_trust_stands(core->epoch.trust, peer->leaf))
        return neo_fail(err, NEO_UNAUTHENTICATED, "the peer's certificate is no longer trusted");
    if (core->joining != NULL && !neo_bytes_is(peer->service, core->joining))
        return neo_fail(err, NEO_UNAUTHENTICATED, "peer: is %.*s, expected %s to join through",
                        NEO_FMT(peer->uri), core->joining);
    arm_retirement(sc);
    return NEO_OK;
}

static const struct conn_hooks hooks = {.proven = proven, .gone = gone};

/* --- the server says goodbye ------------------------------------------------------------------ */

enum { GOODBYE_MAX = 64 };

/* What a server says for us to mend, in our words; NULL: nothing of that kind. */
static const char *complaint(struct neo_bytes debug)
{
    if (neo_bytes_is(debug, "attestation_refused") || neo_bytes_is(debug, "ATTESTATION_REFUSED"))
        return "the server does not accept what we proved to run; its audit trail says why";
    if (neo_bytes_is(debug, "CERTIFICATE_REVOKED"))
        return "the server says that our certificate is revoked, or no longer trusted";
    return NULL;
}

/* Its own words otherwise, as far as they can be shown. */
static void quote(struct neo_bytes debug, char *ret, size_t size)
{
    size_t len = debug.len < GOODBYE_MAX ? debug.len : GOODBYE_MAX;
    int at = snprintf(ret, size, "the server is going away%s", len > 0 ? ": " : "");

    for (size_t i = 0; i < len; i++)
        ret[(size_t)at + i] = debug.at[i] >= ' ' && debug.at[i] <= '~' ? (char)debug.at[i] : '?';
    ret[(size_t)at + len] = '\0';
}

void sub_conn_goaway(struct h2 *h2, int32_t last_id, uint32_t h2_error, struct neo_bytes debug)
{
    struct sub_conn *sc = conn_owner(h2_owner(h2));
    struct subchannel *sub = sc->sub;
    struct channel_core *core = sub->core;
    bool was_current = sub->current == sc;
    const char *why = complaint(debug);
    char text[GOODBYE_MAX + 32];

    (void)last_id;
    neo_log_debug(core->log, "channel.goaway", NEO_STR("address", sub->address),
                  NEO_U64("h2_error", h2_error), NEO_BYTES("debug", debug));
    heed_complaint(core, h2_error, debug);
    if (why != NULL)
        refused_us(sc, why);
    quote(debug, text, sizeof(text));
    if (why == NULL)
        why = text;
    sub_conn_retire(sc, long_grace(sc), NEO_UNAVAILABLE, why);
    if (was_current && core->config.balance.policy->connects_all && core_is_busy(core))
        subchannel_connect(sub); /* it is needed; else the next call will say so */
    channel_changed(core);
}

/* --- connecting ------------------------------------------------------------------------------- */

/* An attempt may last as long as the backoff that would follow it, if that is longer. */
static neo_nsec connect_timeout(const struct subchannel *sub)
{
    const struct neo_connection_backoff *b = &sub->core->tuning.backoff;
    const struct neo_backoff plain = {b->initial, b->max, b->multiplier_percent / 100.0, 0};
    neo_nsec wait = neo_backoff_wait(&plain, sub->failures + 1, 0);

    return wait > b->connect_timeout ? wait : b->connect_timeout;
}

static enum neo_code open_conn(struct subchannel *sub, struct sub_conn *sc, struct neo_error *err)
{
    struct channel_core *core = sub->core;
    const struct h2_limits own = {
        .header_bytes = (uint32_t)core->tuning.max_metadata,
        .connection_headers = (uint32_t)core->tuning.max_metadata * H2_HEADER_BLOCKS,
    };
    struct tls *tls;
    int fd;

    if (core->epoch.identity != NULL)
        sc->own_ends = neo_cert_facts(neo_identity_leaf(core->epoch.identity))->not_after;
    NEO_TRY(net_connect(core->loop, sub->address, &fd, err));
    /* Joining, we do not know its name yet: no SNI. */
    const char *server_name = core->service == NULL ? NULL : core->authority;
    enum neo_code code = tls_new(core->tls, neo_text(core->expect), server_name, &tls, err);
    if (code != NEO_OK) {
        net_close(core->loop, fd);
        return code;
    }
    code =
        conn_new(&(struct conn_options){.loop = core->loop,
                                        .fd = fd,
                                        .tls = tls,
                                        .events = &sub_conn_events,
                                        .limits = core->h2_limits != NULL ? core->h2_limits : &own,
                                        .hooks = &hooks,
                                        .owner = sc,
                                        .handshake_timeout = connect_timeout(sub)},
                 &sc->conn, err);
    if (code != NEO_OK) {
        tls_free(tls);
        net_close(core->loop, fd);
    }
    return code;
}

enum neo_code sub_conn_open(struct subchannel *sub, struct sub_conn **ret, struct neo_error *err)
{
    struct sub_conn *sc = neo_alloc(sizeof(*sc));

    if (sc == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory connecting to %s",
                        sub->address);
    sc->sub = sub;
    sc->opened_at = neo_loop_now(sub->core->loop);
    sc->retire.expired = retire_expired;
    sc->ask.expired = ask_expired;
    list_init(&sc->link);
    enum neo_code code = open_conn(sub, sc, err);
    if (code == NEO_OK)
        *ret = sc;
    else
        neo_free(sc);
    return code;
}
