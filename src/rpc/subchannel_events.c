/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What HTTP/2 tells a connection of a subchannel, handed to whom a stream belongs to: a call, or
 * one of those that the connection keeps for itself (proof, health, loads).
 */
#include "rpc/subchannel_events.h"

#include "rpc/channel_internal.h"

static struct sub_conn *owner_of(const struct h2 *h2)
{
    return conn_owner(h2_owner(h2));
}

static void on_ready(struct h2 *h2)
{
    struct sub_conn *sc = owner_of(h2);
    struct channel_core *core = sc->sub->core;

    sc->settled = true;
    if (channel_wants_attestation(core) || channel_offers_attestation(core)) {
        if (sc->sub->current == sc)
            subchannel_set_state(sc->sub, SUB_ATTESTING);
        attest_client_start(sc);
    } else {
        sub_conn_proven(sc);
    }
}

static void on_headers(struct h2 *h2, struct h2_stream *s, bool end_stream)
{
    struct sub_conn *sc = owner_of(h2);
    struct channel_core *core = sc->sub->core;

    sc->keepalive.pings = 0;
    if (s->user == NULL)
        return;
    sc->answered = true;
    core->in_events++;
    client_call_headers(s->user, s, end_stream);
    core->in_events--;
}

static void on_data(struct h2 *h2, struct h2_stream *s, struct neo_bytes bytes)
{
    struct sub_conn *sc = owner_of(h2);
    struct channel_core *core = sc->sub->core;

    sc->keepalive.pings = 0;
    core->in_events++;
    if (s->user != NULL) {
        client_call_data(s->user, s, bytes);
    } else {
        h2_consume(h2, s, bytes.len);
        if (s == sc->attest_stream)
            attest_client_data(sc, bytes);
        else if (s == sc->health_stream)
            health_client_data(sc, bytes);
        else if (s == sc->orca.stream)
            orca_client_data(sc, bytes);
    }
    core->in_events--;
}

static void on_trailers(struct h2 *h2, struct h2_stream *s)
{
    struct channel_core *core = owner_of(h2)->sub->core;

    core->in_events++;
    if (s->user != NULL)
        client_call_trailers(s->user, s);
    core->in_events--;
}

static void on_ended(struct h2 *h2, struct h2_stream *s)
{
    struct channel_core *core = owner_of(h2)->sub->core;

    core->in_events++;
    if (s->user != NULL)
        client_call_stream_ended(s->user, s);
    core->in_events--;
}

static void on_writable(struct h2 *h2, struct h2_stream *s)
{
    struct channel_core *core = owner_of(h2)->sub->core;
    struct call_attempt *a = s->user;

    core->in_events++;
    if (a != NULL && a->call->events->writable != NULL)
        a->call->events->writable(a->call, a->call->self);
    core->in_events--;
}

static void on_closed(struct h2 *h2, struct h2_stream *s, uint32_t h2_error)
{
    struct sub_conn *sc = owner_of(h2);
    struct channel_core *core = sc->sub->core;

    core->in_events++;
    if (s->user != NULL) {
        client_call_closed(s->user, s, h2_error);
    } else if (s == sc->attest_stream) {
        struct neo_status status = client_call_stream_status(s, h2_error);
        sc->attest_stream = NULL;
        attest_client_closed(sc, &status);
    } else if (s == sc->health_stream) {
        struct neo_status status = client_call_stream_status(s, h2_error);
        sc->health_stream = NULL;
        health_client_closed(sc, &status);
    } else if (s == sc->orca.stream) {
        struct neo_status status = client_call_stream_status(s, h2_error);
        sc->orca.stream = NULL;
        orca_client_closed(sc, &status);
    }
    core->in_events--;
    channel_has_room(core);
}

const struct h2_events sub_conn_events = {
    .headers = on_headers,
    .data = on_data,
    .trailers = on_trailers,
    .ended = on_ended,
    .writable = on_writable,
    .closed = on_closed,
    .goaway = sub_conn_goaway,
    .ready = on_ready,
};
