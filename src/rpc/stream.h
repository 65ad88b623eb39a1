/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc/stream.h - a call for a thread that is not the channel's: a queue of raw messages
 * between the two.
 *
 * The call itself runs on the channel's loop and hands over raw bytes; decoding is
 * done by the thread that asked, into its own arena. A stream's queue is bounded:
 * beyond STREAM_MARK bytes the loop gives the server no more credit until the reader
 * has caught up, so a fast sender is held back by HTTP/2's own window.
 *
 * Above it are threads that wait (blocking.c) and foreign event loops (queue.c).
 */
#ifndef NEO_RPC_STREAM_H
#define NEO_RPC_STREAM_H

#include "rpc/channel_internal.h"

#include <pthread.h>

#define STREAM_ARENA_SPENT                                                                         \
    "the arena's budget is spent: neo_arena_reset() between calls, or give it more bytes"

enum { STREAM_MARK = 64 * 1024, STREAM_SECRET_MAX = 240 };

struct queued {
    struct list link;
    size_t len;
    size_t credit; /* window to give back when it was read */
    size_t most;   /* compressed, and may stand for so much; 0: it is not */
    uint8_t bytes[];
};

/* Something changed: a message came, there is room again, it ended. On the loop, without the lock.
 */
typedef void stream_notify_fn(void *self);

struct neo_stream {
    struct neo_channel *channel; /* the loop's to use */
    struct neo_loop *on;         /* that loop, which outlives the channel */
    const struct neo_method *method;
    struct neo_job start;
    struct neo_job poke; /* at most one on its way */
    struct neo_job bye;
    stream_notify_fn *notify; /* NULL: threads wait on `changed` */
    stream_notify_fn *gone;
    void *owner;
    struct list cancelled_with; /* under the lock of options.canceller */
    /* the beginning: read by the loop, set before start is posted */
    struct neo_call_options options;
    struct neo_buffer first;
    bool has_request;
    bool keep_response;
    char *refusal; /* the sending thread's: why its last message was not taken; or NULL */
    char secret[STREAM_SECRET_MAX]; /* what of it needs an attested peer; options.needs_attested */
    struct {
        struct neo_client_call *call;
        bool over;
    } loop; /* the channel's loop only */
    struct {
        pthread_mutex_t lock;
        pthread_cond_t changed;
        struct list queue;     /* of struct queued: read from the peer */
        size_t queued;         /* bytes in it */
        size_t credit;         /* to be given back */
        struct neo_buffer out; /* encoded messages, each behind its 8-byte length */
        bool close_send;
        bool cancel;
        bool full;       /* the peer holds us back */
        bool wants_room; /* the sender was told so, and wants to hear of its end */
        bool poked;      /* `poke` is posted, */
        bool poking;     /* or runs */
        bool ended;
        bool forgotten; /* by the loop, which knows its end */
        bool broken;    /* by a message of the server's; `status` says how */
        bool failed_memory;
        char secret[STREAM_SECRET_MAX]; /* of the messages in `out`: what needs an attested peer */
        struct neo_status status;
        struct neo_response_info response; /* as far as it has come; with keep_response */
        struct neo_arena arena;            /* of both */
    } shared;                              /* any thread, under `lock` */
    _Alignas(16) uint8_t arena_first[256];
};

struct stream_options {
    struct neo_channel *channel;
    const struct neo_method *method;
    const struct neo_call_options *call; /* may be NULL */
    bool keep_response;                  /* what comes beside the messages */
    bool keep_call;                      /* copies them: the caller goes on before the loop looks */
    const void *request;                 /* NULL: none yet */
    stream_notify_fn *notify;            /* called with `owner`; may be NULL */
    stream_notify_fn *gone;              /* after stream_end_later() has freed the stream */
    void *owner;
    struct neo_stream **ret; /* set before the loop hears of it */
};
/* Any thread. Gives `*options->ret`: stream_end(), or stream_end_later(). */
NEO_MUST_CHECK enum neo_code stream_begin(const struct stream_options *options,
                                          struct neo_error *err);
/*
 * The next message, inflated, or NULL; gives back its credit. One that cannot be inflated ends the
 * stream. The lock is held, but for the time that inflating takes.
 */
struct queued *stream_pop_locked(struct neo_stream *s);
/* A message that is none ends it, whatever the server says of it. The lock is held. */
void stream_break_locked(struct neo_stream *s, enum neo_code code, const char *text);
/* Nothing may be sent any more. The lock is held. */
bool stream_is_closed_locked(const struct neo_stream *s);
/* There is no room for more to send. The lock is held. */
bool stream_is_full_locked(const struct neo_stream *s);
/* Encodes one message into what is to be sent; on failure nothing of it is there. The lock is held.
 */
NEO_MUST_CHECK enum neo_code stream_put_locked(struct neo_stream *s, const void *request);
/* Tells the loop to look. The lock is held. */
void stream_poke_locked(struct neo_stream *s);
struct neo_status stream_copy_status(const struct neo_status *from, struct neo_arena *arena);
/* Cancels what is not over, waits until the loop has let go, and frees. Not on the loop. */
void stream_end(struct neo_stream *s);
/* The same without waiting: the loop frees it. */
void stream_end_later(struct neo_stream *s);

/* --- stream_response.c ------------------------------------------------------------------------ */

/* On the loop, while the call is there: what has come beside the messages. */
void stream_keep_response(struct neo_stream *s, struct neo_client_call *call, bool ended);
const struct neo_pair *stream_copy_pairs(struct neo_arena *arena, const struct neo_pair *from,
                                         size_t n);

/* --- canceller.c ------------------------------------------------------------------------------ */

/* Once the loop has heard of it; and before anybody may free it. Nothing without a canceller. */
void canceller_join(struct neo_stream *s);
void canceller_leave(struct neo_stream *s);

#endif
