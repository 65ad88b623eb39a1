/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo/queue.h - calls from a program that has an event loop of its own.
 *
 * A queue is a file descriptor that is readable while something waits to be taken from
 * it. Watch it beside your own descriptors, with poll, epoll, libev, GLib ..., and when
 * it is readable take what there is:
 *
 *     struct neo_event event;
 *     while (neo_queue_next(queue, &event))
 *         switch (event.kind) { ... }
 *
 * Nothing here blocks, and none of your code runs on another thread: the calls
 * themselves run on the channel's loop, and what comes of them waits in the queue until
 * you take it. What you do not take holds the server back by flow control, 64 KiB a call.
 *
 * examples/guide/epoll.c is a whole program. To wait in a thread instead there is
 * neo_channel_call(); on a loop of Neo's there are the callbacks of neo_channel_start().
 *
 * Threads   A queue and its calls belong to one thread at a time, any but a worker's.
 */
#ifndef NEO_QUEUE_H
#define NEO_QUEUE_H

#include <neo/call.h> /* enum neo_flow */
#include <neo/channel.h>

#ifdef __cplusplus
extern "C" {
#endif

struct neo_queue;
struct neo_queue_call;

/* Gives `*ret`: neo_queue_free(). */
NEO_MUST_CHECK enum neo_code neo_queue_new(struct neo_queue **ret, struct neo_error *err);
/* Cancels the calls that are not over; nothing more is heard of them. May be NULL. Before their
   channels are freed. */
void neo_queue_free(struct neo_queue *queue);
/* Readable while neo_queue_next() has something to give. To be watched, not read; the queue's. */
int neo_queue_fd(const struct neo_queue *queue);

/* --- calls ------------------------------------------------------------------------------------ */

/*
 * Starts a call of any kind. `request` is encoded at once for unary methods and server streams, and
 * NULL for those whose requests are a stream. `options` may be NULL; both may go afterwards. What
 * keeps the call from leaving (its metadata, an interceptor) comes with NEO_EVENT_DONE. `tag` comes
 * back with each event. Gives `*ret`, which lives until its NEO_EVENT_DONE has been taken and
 * the next neo_queue_next() was called.
 */
NEO_MUST_CHECK enum neo_code neo_queue_start(struct neo_queue *queue, struct neo_channel *channel,
                                             const struct neo_method *method,
                                             const struct neo_call_options *options,
                                             const void *request, void *tag,
                                             struct neo_queue_call **ret, struct neo_error *err);
/*
 * One more message of a stream of requests, encoded at once. FULL: taken, but wait for
 * NEO_EVENT_WRITABLE. GONE: not taken. Then the call has ended, or it goes on, and
 * neo_queue_call_refusal() says why not: it cannot be encoded, or no more was to be sent.
 */
enum neo_flow neo_queue_call_send(struct neo_queue_call *call, const void *request);
/* Why the last message was refused; "" if it was not. Until the next, or the end is told. */
const char *neo_queue_call_refusal(const struct neo_queue_call *call);
/* As neo_stream_response() (neo/stream.h): all of it at NEO_EVENT_DONE. */
bool neo_queue_call_response(struct neo_queue_call *call, struct neo_arena *arena,
                             struct neo_response_info *ret);
/* No more messages will be sent. */
void neo_queue_call_close_send(struct neo_queue_call *call);
/* Ends it with CANCELLED unless it has ended; NEO_EVENT_DONE still comes. */
void neo_queue_call_cancel(struct neo_queue_call *call);

/* --- what comes of them ----------------------------------------------------------------------- */

enum neo_event_kind {
    NEO_EVENT_MESSAGE,  /* one message of the response: neo_event_decode() */
    NEO_EVENT_WRITABLE, /* after NEO_FLOW_FULL: there is room */
    NEO_EVENT_DONE,     /* the end, exactly once, after all messages */
};

/* What it points at lives until the next neo_queue_next(). */
struct neo_event {
    enum neo_event_kind kind;
    struct neo_queue_call *call;
    void *tag;
    struct neo_bytes message;        /* MESSAGE: as it came */
    const struct neo_status *status; /* DONE: how it ended */
};

/* The next event of any of its calls, which take turns. False: nothing waits now. */
bool neo_queue_next(struct neo_queue *queue, struct neo_event *ret);
/*
 * Decodes the message of an event into `response` (a struct of the method's response type, zeroed
 * here), on `arena`. INVALID_ARGUMENT: malformed; RESOURCE_EXHAUSTED: the arena's budget.
 */
NEO_MUST_CHECK enum neo_code neo_event_decode(const struct neo_event *event, void *response,
                                              struct neo_arena *arena, struct neo_error *err);

#ifdef __cplusplus
}
#endif

#endif
