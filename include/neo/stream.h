/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo/stream.h - calls of threads that wait: streams; and for every blocking call who answered,
 * what came beside the messages, and how another thread cancels it.
 *
 * Between the caller's thread and the channel's loop lies a queue: a reader that is slow holds back
 * the server, a server that is slow the sender.
 *
 * Threads   Any thread but a worker's. Of one stream one thread may send while another reads, and
 *           neo_stream_cancel() is any thread's; all others belong to one of those two.
 */
#ifndef NEO_STREAM_H
#define NEO_STREAM_H

#include <neo/arena.h>
#include <neo/error.h>
#include <neo/proto.h>
#include <neo/status.h>

#ifdef __cplusplus
extern "C" {
#endif

struct neo_call_options; /* neo/channel.h */
struct neo_channel;

struct neo_stream;
/* Gives `*ret`: neo_stream_free(), which cancels what is not over. What keeps the call from leaving
   (its metadata, an interceptor, a deadline) is the stream's end, not a failure here. Any thread
   but a worker's. */
NEO_MUST_CHECK enum neo_code neo_channel_stream(struct neo_channel *channel,
                                                const struct neo_method *method,
                                                const struct neo_call_options *options,
                                                const void *request, struct neo_stream **ret,
                                                struct neo_error *err);
/*
 * Blocks while the peer holds back. Not OK: nothing of it is sent. Where neo_stream_refusal() then
 * has a text the stream goes on: INVALID_ARGUMENT: it cannot be encoded; RESOURCE_EXHAUSTED: out of
 * memory; FAILED_PRECONDITION: after neo_stream_close_send(). Else the stream is over: its code, or
 * OUT_OF_RANGE where that is OK.
 */
NEO_MUST_CHECK enum neo_code neo_stream_send(struct neo_stream *stream, const void *request);
/* Why the last message was refused; "" if it was not. Until the next; the sending thread's. */
const char *neo_stream_refusal(const struct neo_stream *stream);
/* No more will be sent; neo_stream_next() goes on. */
void neo_stream_close_send(struct neo_stream *stream);
/* The next message, decoded on `arena`; *response is cleared first. False: over, see
   neo_stream_status(). */
bool neo_stream_next(struct neo_stream *stream, void *response, struct neo_arena *arena);
/* How it ended, until neo_stream_free(); only after neo_stream_next() was false or a send failed.
 */
const struct neo_status *neo_stream_status(const struct neo_stream *stream);
/* Ends it with CANCELLED, unless it has ended, and does not wait: who sends or reads returns. Any
   thread, until neo_stream_free(). */
void neo_stream_cancel(struct neo_stream *stream);
/* Cancels what is not over. Not while another thread uses it. NULL is allowed. */
void neo_stream_free(struct neo_stream *stream);

/* --- what came beside the messages ------------------------------------------------------------ */

/* Names and values as neo/metadata.h gives them; those of -bin are the bytes they stand for. */
struct neo_response_info {
    const struct neo_pair *headers;
    size_t n_headers;
    const struct neo_pair *trailers; /* with the end; of a response without headers all */
    size_t n_trailers;
    struct neo_bytes peer; /* "127.0.0.1:8443" of the instance; empty before one was picked */
};

/*
 * What has come of them so far, copied to `arena`: the headers are there with the first message,
 * all of it once neo_stream_next() was false. False: the arena's budget is spent, or more came than
 * a stream keeps (1 MiB).
 *
 * Of a unary call: `response` of its neo_call_options, which neo_channel_call() fills on its arena;
 * all zeros when that is spent or nothing was sent. Of a queue's: neo_queue_call_response().
 */
bool neo_stream_response(struct neo_stream *stream, struct neo_arena *arena,
                         struct neo_response_info *ret);

/* --- cancelling from elsewhere ---------------------------------------------------------------- */

/*
 * Ends what it was given to (`canceller` of neo_call_options): blocking calls, streams and a
 * queue's calls, any number of them, with CANCELLED, unless they have ended. Those that begin
 * later, too.
 */
struct neo_canceller;
/* Gives `*ret`: neo_canceller_free(), after what it was given to has ended or was freed. */
NEO_MUST_CHECK enum neo_code neo_canceller_new(struct neo_canceller **ret, struct neo_error *err);
/* Does not wait. Any thread, a worker's too; the second time nothing happens. */
void neo_canceller_cancel(struct neo_canceller *canceller);
/* NULL is allowed. */
void neo_canceller_free(struct neo_canceller *canceller);

#ifdef __cplusplus
}
#endif

#endif
