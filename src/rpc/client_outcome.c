/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the breaker of an instance hears of the attempts that were made to it.
 *
 * Ill is an instance that answers UNAVAILABLE or INTERNAL, that loses its connection, or that says
 * nothing at all. A deadline shorter than the way there and back, or than what the method takes, is
 * no sign of that: when nothing came until then the server is asked with a PING, and the deadlines
 * that pass after a second without an answer count.
 *
 * Where there is no other instance to go to, a failure that is followed by another attempt is not
 * counted, or a retry policy would open the circuit that it needs closed; the last attempt is.
 */
#include "rpc/channel_internal.h"

/* For the answer to a PING: less could be the way to another continent and back. */
#define SILENCE (1 * NEO_NSEC_PER_SEC)

/* A PING of ours is without an answer, and nothing else came either. */
static bool is_silent(const struct sub_conn *sc)
{
    neo_nsec asked = sc->keepalive.pinged_at;

    return asked != 0 && conn_last_read(sc->conn) < asked &&
           neo_loop_now(sc->sub->core->loop) - asked >= SILENCE;
}

/* Nothing came while the attempt ran: is anybody there? It counts as one of keepalive's, which says
 * how many a server bears. */
static void ask(const struct call_attempt *a)
{
    struct sub_conn *sc = a->sc;

    if (conn_last_read(sc->conn) > a->begun || sc->keepalive.pings > 0 || conn_is_closing(sc->conn))
        return;
    sub_conn_ping(sc);
}

/* The server has spoken, or its stream is gone. */
static enum neo_breaker_outcome of_answer(const struct call_attempt *a, enum neo_code code)
{
    const struct channel_core *core = a->sc->sub->core;

    if (code == NEO_UNAVAILABLE || code == NEO_INTERNAL)
        return a->again && core->balance.n <= 1 ? NEO_BREAKER_UNKNOWN : NEO_BREAKER_FAILURE;
    if (code == NEO_CANCELLED || code == NEO_DEADLINE_EXCEEDED)
        return a->got_message ? NEO_BREAKER_SUCCESS : NEO_BREAKER_UNKNOWN;
    return NEO_BREAKER_SUCCESS;
}

static enum neo_breaker_outcome outcome_of(struct call_attempt *a, enum neo_code code)
{
    int status = a->stream == NULL ? 0 : a->stream->status;

    /* 4xx: of what we have sent. */
    if (a->sc->sub->core->tuning.breaker.off || a->blameless || (status >= 400 && status < 500))
        return NEO_BREAKER_UNKNOWN;
    if (a->ended || status >= 500)
        return of_answer(a, code);
    if (code != NEO_DEADLINE_EXCEEDED)
        return NEO_BREAKER_UNKNOWN;
    if (a->got_message)
        return NEO_BREAKER_SUCCESS;
    if (is_silent(a->sc))
        return NEO_BREAKER_FAILURE;
    ask(a);
    return NEO_BREAKER_UNKNOWN;
}

static void settle(struct call_attempt *a, enum neo_breaker_outcome outcome, enum neo_code code)
{
    struct subchannel *sub = a->sc->sub;
    struct channel_core *core = sub->core;
    enum neo_breaker_state before = neo_breaker_state(&sub->breaker);

    a->settled = true;
    neo_breaker_rely(&sub->breaker, core->balance.n <= 1);
    neo_breaker_leave(&sub->breaker, a->permit, outcome, neo_loop_now(core->loop));
    enum neo_breaker_state after = neo_breaker_state(&sub->breaker);
    if (before == after)
        return;
    if (after == NEO_BREAKER_OPEN)
        neo_log_warn(core->log, "channel.circuit_open", NEO_STR("target", core->target),
                     NEO_STR("address", sub->address), NEO_STR("last", neo_code_name(code)));
    else
        neo_log_info(core->log, "channel.circuit_closed", NEO_STR("target", core->target),
                     NEO_STR("address", sub->address));
}

void client_outcome_heard(struct call_attempt *a)
{
    if (!a->settled && neo_breaker_state(&a->sc->sub->breaker) == NEO_BREAKER_HALF_OPEN)
        settle(a, NEO_BREAKER_SUCCESS, NEO_OK);
}

/* The stream: of a connection that we gave up for reasons of our own, or by the server, who says
 * that what we sent is at fault. */
void client_outcome_lost(struct call_attempt *a, uint32_t h2_error)
{
    bool theirs = h2_error == H2_NO_ERROR || h2_error == H2_INTERNAL_ERROR ||
                  h2_error == H2_REFUSED_STREAM || conn_is_closing(a->sc->conn);

    a->blameless = a->sc->draining || !theirs;
}

void client_outcome_settle(struct call_attempt *a, enum neo_code code)
{
    if (!a->settled)
        settle(a, outcome_of(a, code), code);
}
