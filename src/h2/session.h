/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2/session.h - what the files of the engine share.
 *
 *     engine.c    its life, bytes in and out, failure
 *     receive.c   nghttp2's callbacks for what comes in, and the grammar of messages
 *     send.c      what the owner sends, and nghttp2's callbacks for it
 *     refuse.c    what requests are answered with that are none of ours
 *     plain.c     a page for suites that know no gRPC
 *     stream.c    streams, pooled
 *     window.c    flow control of what comes in
 *     pool.c      what waits to be used again
 *     guard.c     how much of what a peer may send
 *     message.c   what RFC 9113 asks of a message
 *     grammar.c   what a request must look like
 *     heap.c      nghttp2's memory
 */
#ifndef NEO_H2_SESSION_H
#define NEO_H2_SESSION_H

#include "base/list.h"
#include "h2/guard.h"
#include "h2/h2.h"
#include "h2/heap.h"
#include "h2/message.h"
#include "h2/nghttp2_shim.h"

enum {
    STREAM_FIRST_BLOCK = 1664,   /* of its arena; so that two streams fit into a page */
    LARGEST_HEADERS = 60 * 1024, /* to send: nghttp2 drops what is over 64 KiB without a word */
    LARGEST_PATH = 1 + 128 + 1 + 64,
    LARGEST_AUTHORITY = 255,
    AT_HAND = 32, /* streams that are found without asking nghttp2 */
};

struct stream {
    struct h2_stream pub; /* the owner's view of it; stays first */
    struct list link;     /* on `live` or `pool` */
    struct list turn;     /* on `yielded` */
    struct list wake;     /* on `writable` */
    struct neo_arena arena;
    struct neo_buffer queue; /* body bytes to send; those before `sent` are gone */
    size_t sent;
    const nghttp2_nv *trailers; /* to be sent behind the queue */
    size_t n_trailers;
    size_t header_memory; /* arena blocks taken for received headers */
    size_t unconsumed;    /* bytes given to the owner and not yet consumed */
    size_t credit;        /* bytes consumed and not yet told to nghttp2 */
    uint32_t window;
    size_t taken; /* bytes consumed since the window last grew, or did not */
    neo_nsec taken_since;
    size_t turn_bytes; /* sent since the stream last gave way to others */
    size_t moved;      /* since `moved_at` */
    neo_nsec opened_at;
    neo_nsec moved_at; /* when the queue last shrank by more than a dribble, or began */

    bool reported;          /* the owner knows it: `closed` is owed */
    bool final;             /* client: the response is there, not just 1xx */
    bool responded;         /* server: response headers were queued */
    bool finishing;         /* no more will be queued: END_STREAM comes behind it */
    bool deferred;          /* nghttp2 waits for more in the queue */
    bool skipped;           /* the trailers do not wait for the queue */
    bool told_full;         /* `writable` is owed */
    bool reset;             /* by our own choice: not the peer's fault, or charged already */
    bool kept;              /* by the owner, when it closes */
    bool plain;             /* asks for the plain page */
    bool head;              /* with HEAD */
    bool malformed;         /* reset for it; should nghttp2 close it first, it was no success */
    struct message message; /* what comes in */

    _Alignas(16) uint8_t first_block[STREAM_FIRST_BLOCK];
};

/* The header block being received: there is only ever one. */
struct block {
    struct stream *stream;
    struct h2_headers *into;
    struct h2_header *fields; /* the same, to be written */
    size_t cap;
    size_t bytes_left; /* as RFC 9113 counts */
    size_t fields_left;
    bool trailers;
    bool informational;

    /* Requests: what was found. */
    bool is_post;
    bool has_scheme;
    bool has_type;
    bool is_grpc;
    bool has_te;
    bool is_bad;
    bool is_get; /* looked for only where there is a plain page */
    bool is_head;
    bool is_known_path; /* `known_path` of the engine */
    bool is_known_authority;
    struct neo_bytes host;
    struct neo_bytes false_name; /* one that may be taken for another */
};

struct h2 {
    const struct h2_events *events;
    void *owner;
    nghttp2_session *session;
    struct h2_limits limits;
    struct h2_guard guard;
    neo_nsec now;
    bool server;
    struct neo_bytes scheme; /* of every request */
    bool ready;
    bool settled;     /* the peer knows our SETTINGS */
    bool peer_leaves; /* its GOAWAY came */

    struct list live;
    size_t n_live;
    struct stream *at_hand[AT_HAND]; /* by their ids; see h2_stream_find() */
    struct block block;
    size_t header_memory; /* of all streams */

    struct list writable; /* streams to be told that there is room again */
    struct list yielded;  /* streams that gave way to others */
    size_t queued;        /* bytes of all queues */
    size_t credit;        /* consumed for the connection and not yet told to nghttp2 */
    uint32_t window;      /* of the connection */
    struct neo_buffer *out;
    size_t out_most;      /* `out` should not grow much beyond */
    struct h2_sink *sink; /* NULL: all goes into `out` */
    size_t passed;        /* bytes that the sink has taken in this pull */
    bool paused;
    uint32_t forgiven;     /* resets of ours that are not charged, not yet sent */
    uint32_t early_ends;   /* responses that end before their request did */
    uint32_t own_goaways;  /* with an error, by the owner's wish, not yet sent */
    int32_t begun_upto;    /* client: the last request of which HEADERS went out */
    uint32_t pings;        /* ours, unanswered */
    uint32_t peer_streams; /* how many the peer lets us open */
    uint32_t peer_headers; /* bytes of a header list that it takes */
    bool inside;           /* nghttp2 is at work: an owner may not come in again */

    struct neo_error error; /* set once; then the engine is dead */
    uint8_t farewell[64];   /* its last GOAWAY */
    size_t farewell_len;

    /* The last ones found to be valid: calls repeat. */
    uint8_t known_path[LARGEST_PATH];
    size_t known_path_len;
    uint8_t known_authority[LARGEST_AUTHORITY];
    size_t known_authority_len;

    struct h2_heap heap;
    struct h2_pool *pool; /* `own`, or the one it was given */
    struct h2_pool own;
};

static inline struct stream *stream_of(struct h2_stream *pub)
{
    return neo_owner(pub, struct stream, pub);
}

/* --- engine.c --------------------------------------------------------------------------------- */

/* Kills the engine: `error` for the owner, a GOAWAY with `debug` for the peer unless it is NULL. */
__attribute__((cold)) void h2_fail(struct h2 *h2, enum neo_code code, uint32_t h2_error,
                                   const char *debug, const char *message);
/* For what the guard condemned. */
__attribute__((cold)) void h2_stop(struct h2 *h2);
/* The verdict of the guard as nghttp2's callbacks want it. */
static inline int h2_verdict(struct h2 *h2, bool welcome)
{
    if (!welcome)
        h2_stop(h2);
    return h2->error.code == NEO_OK ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}
/* Kills the engine when nghttp2 reports one of its fatal errors. */
void h2_check(struct h2 *h2, int result);

/* Whether this pull may give more. */
static inline bool h2_has_room(const struct h2 *h2)
{
    return h2->out->len < h2->out_most &&
           (h2->sink == NULL || h2->passed + h2->out->len < h2->sink->most);
}

/* --- stream.c --------------------------------------------------------------------------------- */

/* NULL when out of memory. */
struct stream *h2_stream_open(struct h2 *h2, int32_t id);
/* Reports `closed` if the owner knows the stream, and puts it back into the pool. */
void h2_stream_close(struct h2 *h2, struct stream *s, uint32_t h2_error);
/* Its id is known now: it can be found. */
void h2_stream_name(struct h2 *h2, struct stream *s, int32_t id);
/* NULL when it is closed, or was never ours. */
struct stream *h2_stream_find(struct h2 *h2, int32_t id);
/* Memory that the stream holds. */
size_t h2_stream_memory(const struct stream *s);

/* --- refuse.c: answers a request that is none of ours ----------------------------------------- */

int h2_refuse_method(struct h2 *h2, struct stream *s);
int h2_refuse_type(struct h2 *h2, struct stream *s);
int h2_refuse_headers(struct h2 *h2, struct stream *s);
int h2_refuse_path(struct h2 *h2, struct stream *s);

/* --- receive.c, send.c, plain.c --------------------------------------------------------------- */

void h2_set_receive_callbacks(nghttp2_session_callbacks *callbacks);
void h2_set_send_callbacks(nghttp2_session_callbacks *callbacks);

/* Tells nghttp2 of consumed bytes. */
void h2_flush_credit(struct h2 *h2);
/* Gives the connection credit for bytes nobody will read. */
void h2_discard(struct h2 *h2, size_t n);
/* Answers a request that is none of ours, with static headers, and ends it. */
int h2_answer(struct h2 *h2, struct stream *s, const nghttp2_nv *headers, size_t n);
/* The request that was just read asks for the plain page, and there is one. */
bool h2_is_plain(struct h2 *h2, struct stream *s);
/* Answers with it, when the request is complete. */
int h2_answer_plain(struct h2 *h2, struct stream *s);
/* Calls `writable` where it is owed. True when there may be more to send. */
bool h2_next_turn(struct h2 *h2);

#endif
