/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a call sends. Messages are framed once and kept until the call is committed; every attempt
 * has its own mark in them. When they outgrow what one call, or all calls of the channel, may keep,
 * the call is committed to an attempt that is running (gRFC A6).
 */
#include "rpc/channel_internal.h"
#include "rpc/client_intercept.h"

#include <neo/memory.h>

#include <assert.h>

enum { SEND_MARK = 64 * 1024 /* queued before a connection is there */ };

void client_call_forget_sent(struct neo_client_call *call)
{
    call->channel->buffered -= call->counted;
    call->counted = 0;
    neo_buffer_fini(&call->sent);
}

/* Its share of what the channel keeps. */
static void count_sent(struct neo_client_call *call)
{
    call->channel->buffered += call->sent.len - call->counted;
    call->counted = call->sent.len;
    if (call->waits)
        channel_line_count(call);
}

static bool is_too_much(const struct neo_client_call *call)
{
    return call->sent.len > call->channel->tuning.retry_buffer ||
           call->channel->buffered > call->channel->tuning.retry_buffers;
}

/* False: the stream's queue is full. */
static bool flush_attempt(struct call_attempt *a)
{
    struct neo_client_call *call = a->call;
    struct h2 *h2 = conn_h2(a->sc->conn);
    size_t len = call->sent.len - a->sent_upto;
    bool room = true;

    if (a->unproven) { /* its headers must leave all the same */
        conn_kick(a->sc->conn);
        return call->sent.len <= SEND_MARK;
    }
    if (len > 0) {
        room = h2_send(h2, a->stream, neo_bytes(call->sent.at + a->sent_upto, len));
        a->sc->sub->core->wire.request_bytes += len;
        a->sent_upto = call->sent.len;
        a->sc->counts.sent += call->messages - a->sent_messages;
        a->sc->counts.last_sent = neo_loop_now(call->channel->loop);
        a->sent_messages = call->messages;
    }
    if (call->send_closed && !a->stream->local_ended)
        h2_send_end(h2, a->stream);
    conn_kick(a->sc->conn);
    return room;
}

enum neo_flow client_call_flush(struct neo_client_call *call)
{
    bool room = true;

    if (!call->committed && is_too_much(call))
        client_call_commit(call->running[0]);
    for (unsigned i = 0; i < call->n_running; i++)
        room = flush_attempt(call->running[i]) && room;
    if (call->committed && !call->running[0]->unproven) {
        neo_buffer_clear(&call->sent);
        count_sent(call);
        call->running[0]->sent_upto = 0;
    }
    return room ? NEO_FLOW_MORE : NEO_FLOW_FULL;
}

/* False when out of memory: then `sent` is of no use any more. */
static bool append_framed(struct neo_client_call *call, struct neo_bytes wire)
{
    uint8_t prefix[FRAME_PREFIX_LEN];
    size_t at = call->sent.len;

    frame_prefix(prefix, wire.len);
    return neo_buffer_append(&call->sent, neo_bytes(prefix, sizeof(prefix))) &&
           neo_buffer_append(&call->sent, wire) &&
           (!call->compressing || frame_compress(&call->sent, at, NULL) == NEO_OK);
}

static enum neo_flow fail_too_large(struct neo_client_call *call, size_t len)
{
    const char *text =
        neo_arena_printf(&call->arena,
                         "a request of %zu bytes is larger than the limit of %zu (the channel's "
                         "max_message, or maxRequestMessageBytes)",
                         len, call->max_request);

    client_call_fail(call, NEO_RESOURCE_EXHAUSTED, text);
    return NEO_FLOW_GONE;
}

enum neo_flow client_call_send_wire(struct neo_client_call *call, struct neo_bytes wire)
{
    struct neo_status status;

    if (call->over || call->send_closed)
        return NEO_FLOW_GONE;
    if (wire.len > call->max_request) {
        return fail_too_large(call, wire.len);
    }
    if (client_intercept_sees(call) && !client_intercept_wire(call, true, wire))
        return NEO_FLOW_GONE;
    if (!append_framed(call, wire)) {
        client_call_fail(call, NEO_RESOURCE_EXHAUSTED, "out of memory queueing a request");
        return NEO_FLOW_GONE;
    }
    if (call->waits && call->n_running == 0 &&
        !channel_line_admits(call->channel, 0, call->sent.len - call->counted_waiting, &status)) {
        client_call_end(call, &status);
        return NEO_FLOW_GONE;
    }
    count_sent(call);
    call->messages++;
    if (call->n_running > 0)
        return client_call_flush(call);
    return call->sent.len > SEND_MARK ? NEO_FLOW_FULL : NEO_FLOW_MORE;
}

bool client_call_guard(struct neo_client_call *call, const char *why)
{
    if (call->needs_attested == NULL) {
        call->needs_attested = neo_arena_string(&call->arena, neo_text(why));
        if (call->needs_attested == NULL)
            call->needs_attested = "the call needs an attested peer";
    }
    for (unsigned i = 0; i < call->n_running; i++) {
        if (sub_conn_is_attested(call->running[i]->sc))
            continue;
        struct neo_status status = neo_status_of(NEO_FAILED_PRECONDITION, call->needs_attested);
        status.reason = NEO_LIT("ATTESTATION_REQUIRED");
        client_call_end(call, &status);
        return false;
    }
    return true;
}

/* --- what the caller calls: `done` never comes from inside ------------------------------------ */

/* What comes of it ends the call when the caller is out again. Gives what it was before. */
static bool enter(struct neo_client_call *call)
{
    bool before = call->entered;

    assert(neo_loop_is_current(call->channel->loop) &&
           "a call belongs to its channel's loop: from another thread use neo_loop_post()");
    call->entered = true;
    return before;
}

static enum neo_flow send(struct neo_client_call *call, const void *request)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer wire = {0};
    struct neo_error err = {0};

    if (neo_proto_encode(call->method->request, request, &wire, &err) != NEO_OK) {
        client_call_fail(call, NEO_INTERNAL, err.message);
        return NEO_FLOW_GONE;
    }
    if (!call->over && neo_proto_check_open(call->method->request, request, &err) != NEO_OK &&
        !client_call_guard(call, err.message))
        return NEO_FLOW_GONE;
    return client_call_send_wire(call, neo_buffer_bytes(&wire));
}

enum neo_flow neo_client_call_send(struct neo_client_call *call, const void *request)
{
    bool before = enter(call);
    enum neo_flow flow = send(call, request);

    call->entered = before;
    return flow;
}

void neo_client_call_close_send(struct neo_client_call *call)
{
    bool before = enter(call);

    if (!call->over && !call->send_closed) {
        call->send_closed = true;
        if (call->n_running > 0)
            (void)client_call_flush(call);
    }
    call->entered = before;
}

void neo_client_call_cancel(struct neo_client_call *call)
{
    struct neo_status status = neo_status_of(NEO_CANCELLED, "cancelled by the caller");
    bool before = enter(call);

    client_call_end(call, &status);
    call->entered = before;
}
