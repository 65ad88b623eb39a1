/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What HTTP/2 tells of a connection, turned over to its calls.
 */
#include "rpc/call.h"
#include "rpc/record.h"

#include "base/warm.h"

static struct peer *peer_of(const struct h2 *h2)
{
    return conn_owner(h2_owner(h2));
}

/* A call whose requests are a stream is ready as soon as its headers are. */
static void on_headers(struct h2 *h2, struct h2_stream *s, bool end_stream)
{
    struct neo_call *call = call_new(peer_of(h2), s);

    if (call == NULL) {
        h2_reset(h2, s, H2_REFUSED_STREAM, false);
        return;
    }
    pipeline_headers(call);
    if (call->state == CALL_REQUEST && call_is_streaming_in(call))
        pipeline_request(call);
    if (end_stream)
        call_take_end(call);
}

static void on_data(struct h2 *h2, struct h2_stream *s, struct neo_bytes bytes)
{
    struct neo_call *call = s->user;

    if (call == NULL || call->state == CALL_ENDED)
        h2_consume(h2, s, bytes.len);
    else
        call_take(call, bytes);
}

/* Trailers of a request mean nothing to gRPC, and are never taken for headers. */
static void on_end(struct h2 *h2, struct h2_stream *s)
{
    struct neo_call *call = s->user;

    (void)h2;
    if (call != NULL)
        call_take_end(call);
}

static void on_writable(struct h2 *h2, struct h2_stream *s)
{
    struct neo_call *call = s->user;

    (void)h2;
    if (call == NULL || call->state != CALL_RUNNING)
        return;
    call_has_room(call);
    if (call->blocking != NULL)
        call_blocking_wake(call);
    else if (call->events != NULL && call->events->writable != NULL)
        call->events->writable(call, call->events_state);
    call_take_held(call);
}

static void on_closed(struct h2 *h2, struct h2_stream *s, uint32_t h2_error)
{
    struct neo_call *call = s->user;

    (void)h2;
    (void)h2_error;
    if (call != NULL)
        call_closed(call);
}

/* A client that leaves opens no more calls; those it has go on. */
static void on_goaway(struct h2 *h2, int32_t last_id, uint32_t h2_error, struct neo_bytes debug)
{
    (void)h2;
    (void)last_id;
    (void)h2_error;
    (void)debug;
}

static void on_ready(struct h2 *h2)
{
    (void)h2;
}

static void on_unfinished(struct h2 *h2)
{
    peer_note_block(peer_of(h2));
}

static void on_malformed(struct h2 *h2, struct neo_bytes name)
{
    record_malformed(peer_of(h2), name);
}

static void on_pong(struct h2 *h2, const uint8_t opaque[static 8])
{
    peer_note_pong(peer_of(h2), opaque);
}

void peer_cut_output(struct peer *p, struct h2_stream *s)
{
    struct neo_call *call = s->user;

    record_stalled(p);
    if (call == NULL || call->state == CALL_ENDED) { /* its status waits behind the answer */
        h2_reset(conn_h2(p->conn), s, H2_CANCEL, true);
        return;
    }
    h2_skip_queue(conn_h2(p->conn), s);
    call_end(call, NEO_REASON_CALL_STALLED);
}

const struct h2_events peer_events = {
    .headers = on_headers,
    .data = on_data,
    .trailers = on_end,
    .ended = on_end,
    .writable = on_writable,
    .closed = on_closed,
    .goaway = on_goaway,
    .ready = on_ready,
    .unfinished = on_unfinished,
    .malformed = on_malformed,
    .pong = on_pong,
};

void peer_warm(const struct conn *c, unsigned step)
{
    const struct peer *p = conn_owner(c);

    if (step == 1)
        warm(p, offsetof(struct peer, evidence));
    if (step != 3)
        return;
    warm(p->authority.at, p->authority.len);
    if (p->last_method != NULL && p->methods != NULL)
        warm(&p->methods[p->last_method->index], sizeof(*p->methods));
}
