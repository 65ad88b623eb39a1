/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo/call.h - a call as its handler sees it (server side).
 *
 * A handler is called on the call's worker with the decoded request. It answers
 * now, or later: the call stays valid until it was finished or, after that, until
 * the last neo_call_unref(). Everything in neo_call_arena() lives as long.
 *
 *   unary            handler(call, request)   ->  neo_call_reply() or neo_call_fail(), once
 *   server stream    handler(call, request)   ->  neo_call_send()..., then neo_call_finish()
 *   client stream,   handler(call, NULL)      ->  neo_call_on_stream() and return; messages come
 *   bidi                                          to the callbacks
 *
 * protoc-gen-neo wraps these in typed functions:
 *   struct pkg_Svc_handlers {
 *       void (*method)(struct neo_call *, const struct pkg_Req *, void *self);
 *   }
 *   pkg_Svc_Method_reply(call, &response), pkg_Svc_Method_send(call, &response)
 *
 * Threads   All functions belong to the call's worker; neo_call_run() brings another
 *           thread's work there. A handler that blocks is registered as blocking: it
 *           then runs on a pool thread, 64 of a server and 48 of one caller at once
 *           (`max_blocking` in neo/server.h; others wait for their turn, 5 s at most).
 *           It may only reply, send, fail and finish (the library moves these to the
 *           worker; a send waits there while the peer takes nothing), read the context
 *           and metadata, ask for neo_call_peer() and neo_call_foreign_certificate(),
 *           and take from neo_call_arena(), which is there one of its own. It adds no
 *           headers or trailers: those functions say false.
 */
#ifndef NEO_CALL_H
#define NEO_CALL_H

#include <neo/context.h>
#include <neo/loop.h>
#include <neo/proto.h>
#include <neo/status.h>

#ifdef __cplusplus
extern "C" {
#endif

struct neo_call;

/* Who calls, until when, in which trace; the method; memory that lives as long as the call; its
   loop. */
const struct neo_context *neo_call_context(const struct neo_call *call);
const struct neo_method *neo_call_method(const struct neo_call *call);
struct neo_arena *neo_call_arena(struct neo_call *call);
struct neo_loop *neo_call_loop(const struct neo_call *call);
/* Where it comes from: "10.0.0.7:41234", "[fd00::7]:41234"; "unix:" of a socket in the file
   system. For records: it proves nothing. Lives as long as the call; empty when the
   connection has gone and nobody had asked before. */
const char *neo_call_peer(struct neo_call *call);
/* A value of the request's metadata, of a name in -bin the bytes it stands for; the empty run with
 * NULL when absent, repeated, or no base64. All of it: neo/metadata.h. */
struct neo_bytes neo_call_metadata(const struct neo_call *call, const char *name);

/* Adds to the response's initial metadata (before anything was sent) or trailers. Copied; in -bin
   any bytes, else printable ASCII. False: too late, reserved, malformed, more than 32 or than the
   peer takes (its SETTINGS_MAX_HEADER_LIST_SIZE; at most 60 KiB), or not here. */
bool neo_call_add_header(struct neo_call *call, const char *name, struct neo_bytes value);
bool neo_call_add_trailer(struct neo_call *call, const char *name, struct neo_bytes value);

/* Sends the response headers now, before there is a message: the caller may act on them. From then
   on they are fixed, and a failure is no longer "before anything was sent". */
void neo_call_send_headers(struct neo_call *call);

/* Sends the one response and OK. Encodes at once: `response` may go afterwards. */
void neo_call_reply(struct neo_call *call, const void *response);
/* Ends the call with a code and a text that the peer may see; a text longer than 1 KiB is cut, and
   ends in "..." then. OK is none: INTERNAL, HANDLER_BROKEN. */
NEO_PRINTF(3, 4)
void neo_call_fail(struct neo_call *call, enum neo_code code, const char *format, ...);
/*
 * Ends the call with details. OK of a method with one response, before that was sent, is INTERNAL,
 * HANDLER_BROKEN. What the peer does not take in one block is left out, in this order, until it
 * fits: details that were added (neo/details.h), metadata, all other details, the text. The log has
 * a line `call.answer_cut` then.
 */
void neo_call_finish(struct neo_call *call, const struct neo_status *status);

enum neo_flow {
    NEO_FLOW_MORE, /* go on */
    NEO_FLOW_FULL, /* taken, but wait for `writable`; until then no `message` comes */
    NEO_FLOW_GONE, /* the call has ended: stop */
};
/* One message of a stream. A blocking handler (neo_server_set_blocking()) waits in here while the
   peer holds back, and never hears FULL; others never wait. */
enum neo_flow neo_call_send(struct neo_call *call, const void *response);

/* What a streaming handler wants to hear. Any may be NULL. */
struct neo_stream_events {
    /* A decoded message; valid until the callback returns. Flow control credits it on return. */
    void (*message)(struct neo_call *call, const void *request, void *state);
    /* The client will send no more. */
    void (*half_closed)(struct neo_call *call, void *state);
    /* After NEO_FLOW_FULL: there is room. */
    void (*writable)(struct neo_call *call, void *state);
    /* The call ended: finished, cancelled, deadline, connection. Exactly once; release `state`. */
    void (*done)(struct neo_call *call, const struct neo_status *status, void *state);
};
/* Borrows `events`. May be used by every kind of handler that wants to hear of the end. */
void neo_call_on_stream(struct neo_call *call, const struct neo_stream_events *events, void *state);

/* True once the peer cancelled, the deadline passed or the connection went: stop. Any thread. */
bool neo_call_is_cancelled(const struct neo_call *call);

/* Keeps the call beyond its end, and lets it go. Any thread. */
struct neo_call *neo_call_ref(struct neo_call *call);
void neo_call_unref(struct neo_call *call);
/* Any thread that holds a reference: runs job->run on the call's worker. */
void neo_call_run(struct neo_call *call, struct neo_job *job);

#ifdef __cplusplus
}
#endif

#endif
