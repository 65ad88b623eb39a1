/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What comes in for a call. Bytes of a call that has ended are credited and forgotten;
 * those of one that has not are never more than its message limit, and all calls of a
 * connection together hold at most a few messages' worth: see holding.h.
 */
#include "rpc/call.h"

#include "rpc/holding.h"
#include "rpc/intercept.h"
#include "rpc/record.h"

#include <neo/insecure.h>

enum { TRICKLE = 1024 /* bytes that are no progress */ };

/* --- messages ---------------------------------------------------------------------------- */

/* The one message of a unary request must outlive the bytes it came in. */
static void keep_request(struct neo_call *call, struct neo_bytes message)
{
    const struct neo_buffer *partial = &call->reader.partial;
    bool gathered = partial->len > 0 && message.at == partial->at + FRAME_PREFIX_LEN;

    if (call->has_request) {
        call_end(call, NEO_REASON_MESSAGE_COUNT);
        return;
    }
    call->has_request = true;
    if (call->reader.compressed) {
        call->body = call->reader.inflated;
        call->reader.inflated = (struct neo_buffer){0};
        call->request = message;
        return;
    }
    if (gathered) {
        call->body = *partial;
        call->reader.partial = (struct neo_buffer){0};
        call->request = message;
        return;
    }
    call->request = neo_arena_copy(call->arena, message);
    if (neo_arena_failed(call->arena))
        call_end(call, NEO_REASON_OUT_OF_MEMORY);
}

static enum neo_reason reason_of(enum neo_code code)
{
    return code == NEO_RESOURCE_EXHAUSTED ? NEO_REASON_OUT_OF_MEMORY : NEO_REASON_REQUEST_MALFORMED;
}

/* NULL and a reason when it is malformed or becomes larger than there is room. */
static void *decode(struct neo_call *call, struct neo_bytes wire, struct neo_arena *arena,
                    enum neo_reason *ret_reason)
{
    const struct neo_message_info *info = call->method->info->request;
    size_t had = arena->left, room;
    bool uncrowded = holding_room(call, wire.len, &room);
    enum neo_code code = NEO_RESOURCE_EXHAUSTED;

    arena->left = had < room ? had : room;
    size_t beyond = had - arena->left;
    void *message = neo_arena_calloc(arena, 1, info->size);
    if (message != NULL)
        code = neo_proto_decode(info, wire, message, arena, NULL);
    arena->left += beyond;
    if (arena == call->arena)
        (void)holding_note(call);
    if (code == NEO_OK)
        return message;
    arena->failed = false; /* what is left is for the status */
    *ret_reason =
        uncrowded || code != NEO_RESOURCE_EXHAUSTED ? reason_of(code) : NEO_REASON_OVERLOADED;
    return NULL;
}

/* The message lives in the worker's scratch arena until the handler returns. */
static void deliver(struct neo_call *call, struct neo_bytes wire)
{
    struct neo_arena *arena = &call->worker->scratch;
    enum neo_reason reason;

    if (call->method->raw != NULL) {
        call->method->raw->message(call, wire);
        return;
    }
    if (call->events == NULL || call->events->message == NULL)
        return;
    void *message = decode(call, wire, arena, &reason);
    if (message == NULL)
        call_end(call, reason);
    else if (intercept_sees(call))
        intercept_message(call, true, message);
    if (message != NULL && call->state != CALL_ENDED)
        call->events->message(call, message, call->events_state);
    neo_arena_reset(arena);
}

static enum neo_reason reason_of_frame(enum neo_code code)
{
    switch ((int)code) {
    case NEO_RESOURCE_EXHAUSTED:
        return NEO_REASON_MESSAGE_TOO_LARGE;
    case NEO_UNIMPLEMENTED:
        return NEO_REASON_COMPRESSION_UNKNOWN;
    default:
        return NEO_REASON_MESSAGE_BROKEN;
    }
}

/*
 * Who answers each message on the loop need not count what the peer has not taken: while the stream
 * is full no message more is handed out. The next may be gathered meanwhile, all but its end.
 */
static bool must_hold(const struct neo_call *call)
{
    return call->is_full && call->state == CALL_RUNNING && call->blocking == NULL &&
           call->method->raw == NULL && call_is_streaming_in(call);
}

static bool holds(const struct neo_call *call)
{
    return call->state == CALL_RUNNING && call->body.len > 0 && call_is_streaming_in(call);
}

static void hold(struct neo_call *call, struct neo_bytes bytes)
{
    if (!neo_buffer_append(&call->body, bytes))
        call_end(call, NEO_REASON_OUT_OF_MEMORY);
    else if (call->state == CALL_RUNNING && !holding_note(call))
        call_end(call, NEO_REASON_OVERLOADED);
}

static void hand_over(struct neo_call *call, struct neo_bytes message)
{
    call->peer->counts.received++;
    call->peer->counts.last_received = call->heard_at;
    if (call_is_streaming_in(call))
        deliver(call, message);
    else
        keep_request(call, message);
}

/* Returns how many of the last bytes are held now. */
static size_t read_messages(struct neo_call *call, struct neo_bytes bytes)
{
    struct neo_bytes message, later = {0};
    struct neo_error err;

    while (call->state != CALL_ENDED) {
        if (later.at == NULL && must_hold(call)) {
            later = neo_bytes_from(bytes, frame_before_whole(&call->reader, bytes));
            bytes.len -= later.len;
        }
        switch (frame_read(&call->reader, &bytes, &message, &err)) {
        case FRAME_MESSAGE:
            hand_over(call, message);
            break;
        case FRAME_MORE:
            if (!holding_note(call))
                call_end(call, NEO_REASON_OVERLOADED);
            else if (later.len > 0)
                hold(call, later);
            return later.len;
        case FRAME_BAD:
            call_end_with(call, reason_of_frame(err.code), err.message);
            return 0;
        }
    }
    return 0;
}

static void credit(struct neo_call *call, size_t n)
{
    if (call->stream != NULL && conn_h2(call->peer->conn) != NULL)
        h2_consume(conn_h2(call->peer->conn), call->stream, n);
}

/*
 * A message that comes a few bytes at a time is one that stands still. On a slow line one request
 * waits while others come: what all of them bring counts for each, at the price that each would
 * pay.
 */
static void note_heard(struct neo_call *call, size_t n)
{
    struct peer *p = call->peer;

    p->trickled += n;
    if (p->trickled >= TRICKLE * p->n_calls) {
        p->trickled = 0;
        p->heard_at = neo_loop_now(call->worker->loop);
    }
    call->trickled += n;
    if (call->trickled < TRICKLE && frame_is_partial(&call->reader))
        return;
    call->trickled = 0;
    call->heard_at = neo_loop_now(call->worker->loop);
}

/* A stream that waits for admission has nobody to hear it: its bytes wait too, without credit for
 * more. */
void call_take(struct neo_call *call, struct neo_bytes bytes)
{
    if (call->state == CALL_WAITING || holds(call)) {
        hold(call, bytes);
        if (call->state == CALL_RUNNING)
            note_heard(call, bytes.len);
        return;
    }
    size_t held = read_messages(call, bytes);
    credit(call, bytes.len - held);
    note_heard(call, bytes.len);
}

static void tell_half_closed(struct neo_call *call)
{
    if (frame_is_partial(&call->reader))
        call_end(call, NEO_REASON_MESSAGE_BROKEN);
    else if (call->state == CALL_RUNNING && call->events != NULL &&
             call->events->half_closed != NULL)
        call->events->half_closed(call, call->events_state);
}

/* What came while the call waited, or was full. */
static void take_held(struct neo_call *call)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer held = call->body;

    call->body = (struct neo_buffer){0};
    if (held.len > 0) {
        size_t again = read_messages(call, neo_buffer_bytes(&held));
        credit(call, held.len - again);
    }
    if (call->half_closed && call->state != CALL_ENDED && !holds(call))
        tell_half_closed(call);
}

void call_has_room(struct neo_call *call)
{
    if (call->is_full) /* what it has begun to say stood still for want of our credit */
        call->heard_at = neo_loop_now(call->worker->loop);
    call->is_full = false;
}

void call_take_held(struct neo_call *call)
{
    if (holds(call) && !call->is_full)
        take_held(call);
}

/* More answers than the connection takes are not begun: they would only lie in its queue. */
static void begin_unless_full(struct neo_call *call)
{
    if (!peer_output_is_full(call->peer)) {
        pipeline_request(call);
        return;
    }
    call->state = CALL_WAITING;
    list_push_back(&call->peer->held, &call->held);
}

void call_resume(struct neo_call *call)
{
    list_remove(&call->held);
    call->state = CALL_REQUEST;
    pipeline_request(call);
}

void call_take_end(struct neo_call *call)
{
    if (call->state == CALL_ENDED || call->half_closed)
        return;
    call->half_closed = true;
    if (call->state == CALL_WAITING)
        return;
    if (holds(call))
        return;
    if (call_is_streaming_in(call))
        tell_half_closed(call);
    else if (frame_is_partial(&call->reader))
        call_end(call, NEO_REASON_MESSAGE_BROKEN);
    else if (!call->has_request)
        call_end(call, NEO_REASON_MESSAGE_COUNT);
    else
        begin_unless_full(call);
}

/* --- the handler ------------------------------------------------------------------------- */

/* Who takes a stream must have said so by the time it returns, or messages would go nowhere. */
static void begin_listening(struct neo_call *call)
{
    if (call->state != CALL_RUNNING)
        return;
    if (call->events != NULL || call->method->raw != NULL) {
        take_held(call);
        return;
    }
    record_broken(call, "the handler of a stream returned without neo_call_on_stream()");
    call_end(call, NEO_REASON_HANDLER_BROKEN);
}

enum neo_reason call_run(struct neo_call *call)
{
    const struct method *m = call->method;
    enum neo_reason reason = NEO_REASON_NONE;
    void *request = NULL;

    if (m->handler == NULL && m->raw == NULL)
        return NEO_REASON_METHOD_UNIMPLEMENTED;
    if (!call_is_streaming_in(call)) {
        request = decode(call, call->request, call->arena, &reason);
        if (request == NULL)
            return reason;
        if (intercept_sees(call))
            intercept_message(call, true, request);
        if (call->state == CALL_ENDED)
            return NEO_REASON_NONE;
    }
    call->state = CALL_RUNNING;
    record_allowed(call);
    if (m->blocking)
        return call_run_blocking(call, request);
    if (m->raw != NULL)
        m->raw->started(call);
    else
        m->handler(call, request, m->self);
    if (call_is_streaming_in(call))
        begin_listening(call);
    return NEO_REASON_NONE;
}

const char *neo_call_peer(struct neo_call *call)
{
    if (call->peer_address != NULL)
        return call->peer_address;
    if (call_is_elsewhere(call) || call->peer->conn == NULL)
        return "";

    const char *address = conn_peer_address(call->peer->conn);
    size_t size = strlen(address) + 1;
    char *copy = neo_arena_alloc(call->arena, size);
    if (copy == NULL)
        return "";
    memcpy(copy, address, size);
    call->peer_address = copy;
    return copy;
}

const struct neo_cert *neo_call_foreign_certificate(struct neo_call *call)
{
    struct neo_error err;

    if (call->foreign != NULL)
        return call->foreign;
    if (call_is_elsewhere(call) || call->peer->conn == NULL)
        return NULL;

    struct neo_cert *cert = tls_foreign(conn_tls(call->peer->conn), &err);
    if (err.code != NEO_OK)
        record_unread(call->peer, &err);
    if (cert != NULL)
        call->foreign = neo_cert_ref(cert);
    return call->foreign;
}
