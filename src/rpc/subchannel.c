/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One instance of a service: connect, prove, serve, retire.
 *
 *   IDLE --> CONNECTING --> ATTESTING --> CHECKING --> READY
 *     ^          |              |            |    \      |
 *     |          |              |            |     UNHEALTHY
 *     |          +---> BACKOFF <+------------+-----------+  (lost)
 *     +----------------+
 *
 * ATTESTING and CHECKING are skipped where nothing asks for them. A certificate must not end under
 * a connection that takes new calls, so each connection retires before the earlier of the two
 * certificates it was made with: the subchannel makes a new one, and the old one lives on for its
 * running calls. Backoff counts from the start of an attempt, as gRPC's connection backoff does.
 */
#include "rpc/channel_internal.h"

#include <neo/digest.h>
#include <neo/memory.h>
#include <neo/retry.h>

#include <stdio.h>

static const char *const state_names[SUB_STATES] = {
    [SUB_IDLE] = "idle",         [SUB_CONNECTING] = "connecting", [SUB_ATTESTING] = "attesting",
    [SUB_CHECKING] = "checking", [SUB_UNHEALTHY] = "not serving", [SUB_READY] = "ready",
    [SUB_BACKOFF] = "backoff",
};

const char *subchannel_state_name(const struct subchannel *sub)
{
    if (sub->state == SUB_READY && neo_breaker_state(&sub->breaker) == NEO_BREAKER_OPEN)
        return "open circuit";
    if (sub->state == SUB_READY && sub->host.outlier.ejected)
        return "ejected";
    return sub->listed ? state_names[sub->state] : "draining";
}

void subchannel_set_state(struct subchannel *sub, enum subchannel_state state)
{
    struct channel_core *core = sub->core;

    if (state == SUB_READY && sub->state != SUB_READY) {
        /* What failed on a connection that is gone says nothing about this one. */
        if (sub->state != SUB_UNHEALTHY)
            neo_breaker_init(&sub->breaker, &core->breaker);
        sub->attestation_refused = false;
        sub->last_error[0] = '\0';
        sub->host.ready_since = neo_loop_now(core->loop);
        sub->host.reported = 0;
        sub->host.reported_since = 0;
    }
    if (state != SUB_BACKOFF)
        neo_loop_disarm(core->loop, &sub->timer);
    if (sub->state != state) {
        neo_log_debug(core->log, "channel.state", NEO_STR("target", core->target),
                      NEO_STR("address", sub->address), NEO_STR("state", state_names[state]));
        channelz_note(&sub->trace, neo_loop_now(core->loop), state == SUB_BACKOFF, 0,
                      state == SUB_BACKOFF ? sub->last_error : state_names[state]);
    }
    sub->state = state;
    core->stale = true;
    channelz_channel_changed(core);
}

/* It comes, or goes. */
static void trace_life(struct subchannel *sub, const char *what)
{
    struct channel_core *core = sub->core;
    char text[CHANNELZ_TEXT_MAX];

    (void)snprintf(text, sizeof(text), "subchannel %.58s %s", sub->address, what);
    core_note(core, false, sub->channelz_id, text);
}

static void remember(struct subchannel *sub, const char *why)
{
    (void)snprintf(sub->last_error, sizeof(sub->last_error), "%s", why);
}

/* --- backing off ------------------------------------------------------------------------------ */

static void backoff_expired(struct neo_timer *timer)
{
    struct subchannel *sub = neo_owner(timer, struct subchannel, timer);

    subchannel_set_state(sub, SUB_IDLE);
    channel_changed(sub->core); /* who waits makes it connect */
}

void subchannel_enter_backoff(struct subchannel *sub, const char *why)
{
    const struct neo_connection_backoff *b = &sub->core->tuning.backoff;
    struct neo_backoff backoff = {
        .initial = b->initial,
        .max = b->max,
        .multiplier = b->multiplier_percent / 100.0,
        .jitter = b->jitter_percent / 100.0,
    };
    struct neo_loop *loop = sub->core->loop;
    uint64_t random;

    neo_random(&random, sizeof(random));
    neo_nsec wait = neo_backoff_wait(&backoff, ++sub->failures, random);
    neo_nsec at = sub->attempt_at + wait;
    neo_nsec now = neo_loop_now(loop);
    remember(sub, why);
    neo_log_info(sub->core->log, "channel.lost", NEO_STR("target", sub->core->target),
                 NEO_STR("address", sub->address), NEO_STR("why", why),
                 NEO_U64("retry_ms", (at > now ? at - now : 0) / NEO_NSEC_PER_MSEC));
    subchannel_set_state(sub, SUB_BACKOFF);
    neo_loop_arm(loop, &sub->timer, at > now ? at : now);
    channel_resolve_again(sub->core);
}

/* One that served gets a new attempt at once, and backs off only if that fails too. */
void subchannel_lost(struct subchannel *sub, bool served, const char *why)
{
    struct channel_core *core = sub->core;

    if (!sub->listed || subchannel_promote(sub))
        return;
    if (!served) {
        subchannel_enter_backoff(sub, why);
        return;
    }
    sub->failures = 0;
    remember(sub, why);
    subchannel_set_state(sub, SUB_IDLE);
    channel_resolve_again(core);
    if (core->config.balance.policy->connects_all)
        subchannel_connect(sub);
}

/* --- connecting ------------------------------------------------------------------------------- */

void subchannel_connect(struct subchannel *sub)
{
    struct neo_error err = {.code = NEO_RESOURCE_EXHAUSTED, .message = "out of memory"};

    if (sub->state != SUB_IDLE || sub->core->closing || !sub->listed)
        return;
    sub->attempt_at = sub->core->begun_at = neo_loop_now(sub->core->loop);
    if (sub_conn_open(sub, &sub->current, &err) == NEO_OK)
        subchannel_set_state(sub, SUB_CONNECTING);
    else
        subchannel_enter_backoff(sub, err.message);
}

struct subchannel *subchannel_new(struct channel_core *core, const struct neo_endpoint *endpoint)
{
    struct subchannel *sub = neo_alloc(sizeof(*sub));

    if (sub == NULL)
        return NULL;
    sub->core = core;
    sub->listed = true;
    sub->timer.expired = backoff_expired;
    list_init(&sub->draining);
    list_init(&sub->extra);
    neo_breaker_init(&sub->breaker, &core->breaker);
    (void)snprintf(sub->address, sizeof(sub->address), "%.*s", NEO_FMT(endpoint->address));
    (void)snprintf(sub->id, sizeof(sub->id), "%.*s", NEO_FMT(endpoint->id));
    sub->channelz_id = channelz_new_id();
    channelz_note(&sub->trace, neo_loop_now(core->loop), false, 0, "created");
    trace_life(sub, "created");
    list_push_back(&core->subchannels, &sub->link);
    core->n_subchannels++;
    core->stale = true;
    return sub;
}

void subchannel_free(struct subchannel *sub)
{
    struct channel_core *core = sub->core;

    neo_loop_disarm(core->loop, &sub->timer);
    trace_life(sub, "removed");
    sub->state = SUB_IDLE;
    sub->listed = false;
    /* The balancer may still name it; and what its calls do now must not find it. */
    core->stale = true;
    if (sub->current != NULL) {
        struct sub_conn *sc = sub->current;
        sub->current = NULL;
        sub_conn_free(sc);
    }
    list_each (node, &sub->extra)
        sub_conn_free(neo_owner(node, struct sub_conn, link));
    list_each (node, &sub->draining)
        sub_conn_free(neo_owner(node, struct sub_conn, link));
    list_remove(&sub->link);
    core->n_subchannels--;
    core->stale = true;
    channelz_channel_changed(core);
    if (core->closing) /* the last of them? */
        neo_loop_arm(core->loop, &core->reap, neo_loop_now(core->loop));
    neo_free(sub);
}

void subchannel_drain(struct subchannel *sub)
{
    sub->listed = false;
    sub->core->stale = true;
    neo_loop_disarm(sub->core->loop, &sub->timer);
    subchannel_extra_rest(sub, "no longer listed");
    if (sub->current != NULL)
        sub_conn_retire(sub->current, 0, NEO_OK, "no longer listed");
    else if (list_is_empty(&sub->draining))
        subchannel_free(sub);
}

void subchannel_rest(struct subchannel *sub, const char *why)
{
    struct sub_conn *sc = sub->current;

    subchannel_extra_rest(sub, why);
    if (sc == NULL)
        return;
    if (sub->state == SUB_CONNECTING) {
        sub->current = NULL;
        sub_conn_free(sc);
    } else {
        sub_conn_retire(sc, 0, NEO_OK, why);
    }
    subchannel_set_state(sub, SUB_IDLE);
}

/* What still runs on a connection that has not proven itself by the present rules ends then. */
#define REATTEST (10 * NEO_NSEC_PER_SEC)

/* --- another epoch ---------------------------------------------------------------------------- */

static void rejudge_conn(struct sub_conn *sc)
{
    const struct neo_cert *leaf =
        tls_state(conn_tls(sc->conn)) == TLS_OPEN ? tls_peer(conn_tls(sc->conn))->leaf : NULL;

    if (leaf != NULL && !neo_trust_stands(sc->sub->core->epoch.trust, leaf)) {
        sc->draining = true;
        conn_close(sc->conn, 0, "certificate revoked", 0, NEO_UNAUTHENTICATED,
                   "the peer's certificate is no longer trusted");
    }
}

/* What it proved to run counts no more by the present rules: at once, whatever runs on it. */
static bool disown(struct sub_conn *sc)
{
    const struct channel_core *core = sc->sub->core;
    const char *why = NULL;
    char text[80];

    if (sc->attested && channel_wants_attestation(core))
        why = attest_code_refusal(&sc->code, core->epoch.attest_policies, neo_text(core->service),
                                  neo_wall_nsec() / (int64_t)NEO_NSEC_PER_SEC);
    if (why == NULL)
        return false;
    (void)snprintf(text, sizeof(text), "this measurement is %s", why);
    sub_conn_refused(sc, NEO_ATTEST_MEASUREMENT, text);
    return true;
}

/* It proved nothing, or to other rules: the policy may ask for more now. */
static bool is_unproven(const struct sub_conn *sc)
{
    const struct channel_core *core = sc->sub->core;

    return channel_wants_attestation(core) &&
           (!sc->attested || sc->attested_by != core->attest_number);
}

void subchannel_rejudge(struct subchannel *sub, bool identity_changed)
{
    static const char why[] = "the policy asks for attestation anew";

    list_each (node, &sub->draining) {
        struct sub_conn *sc = neo_owner(node, struct sub_conn, link);
        rejudge_conn(sc);
        if (!disown(sc) && is_unproven(sc))
            conn_close(sc->conn, 0, why, REATTEST, NEO_UNAVAILABLE, why);
    }
    list_each (node, &sub->extra) {
        struct sub_conn *sc = neo_owner(node, struct sub_conn, link);
        rejudge_conn(sc);
        if (!disown(sc) && sc->usable && is_unproven(sc))
            sub_conn_retire(sc, REATTEST, NEO_UNAVAILABLE, why);
    }
    if (sub->current == NULL)
        return;
    rejudge_conn(sub->current);
    if (disown(sub->current))
        return;
    /* One that is proving itself now does so again: attest_client.c. */
    if (sub->state > SUB_ATTESTING && sub->state < SUB_BACKOFF && is_unproven(sub->current)) {
        sub_conn_retire(sub->current, REATTEST, NEO_UNAVAILABLE, why);
        subchannel_connect(sub);
    }
    /* A handshake that has not begun to prove anything may as well use the new identity; one
       that is open goes on until it must be retired. */
    (void)identity_changed;
}
