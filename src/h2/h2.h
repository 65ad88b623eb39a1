/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2/h2.h - HTTP/2 as a byte engine, both roles, with the guard in front.
 *
 * Plaintext and `now` go in with h2_feed(); events come out through a table of
 * callbacks, and bytes to send come out of h2_pull(). Nothing is sent from inside
 * a callback: everything that one feed caused leaves in one pull.
 *
 * The guard counts what nghttp2 lets through (docs/design/h2.md): header bytes and
 * counts, resets in both directions, control frames, empty and unknown frames. A
 * peer that goes too far gets GOAWAY ENHANCE_YOUR_CALM, once, and h2_feed() fails.
 *
 * Grammar is strict and checked before any callback: :method POST, :scheme https (http in
 * cleartext), :path as `^/[A-Za-z_][A-Za-z0-9_.]{0,127}/[A-Za-z_][A-Za-z0-9_]{0,63}$`, an
 * :authority without userinfo, content-type application/grpc[+;...], te: trailers. A request that
 * breaks it is answered by the engine (415, 405, 400 or grpc-status 12, as gRPC asks) and never
 * reported.
 *
 * Streams belong to the engine; the user hangs its own state on `user`. A stream
 * is valid until its `closed` callback returns.
 *
 * Threads   One owner.
 * Errors    After h2_feed() or h2_pull() failed, pull once more for the GOAWAY,
 *           then only h2_free() is legal (it reports `closed` for open streams).
 */
#ifndef NEO_H2_H2_H
#define NEO_H2_H2_H

#include <neo/arena.h>
#include <neo/buffer.h>
#include <neo/error.h>
#include <neo/time.h>

struct h2;

/* RFC 9113, section 7. Codes of a peer may be others. */
enum h2_error {
    H2_NO_ERROR,
    H2_PROTOCOL_ERROR,
    H2_INTERNAL_ERROR,
    H2_FLOW_CONTROL_ERROR,
    H2_SETTINGS_TIMEOUT,
    H2_STREAM_CLOSED,
    H2_FRAME_SIZE_ERROR,
    H2_REFUSED_STREAM,
    H2_CANCEL,
    H2_COMPRESSION_ERROR,
    H2_CONNECT_ERROR,
    H2_ENHANCE_YOUR_CALM,
    H2_INADEQUATE_SECURITY,
    H2_HTTP_1_1_REQUIRED,
};

/* A header field. Names are lower case. Both parts live as long as the stream. */
struct h2_header {
    struct neo_bytes name;
    struct neo_bytes value;
};

struct h2_headers {
    const struct h2_header *at; /* without pseudo-headers */
    size_t len;
};

/* What almost every answer says. These very texts are sent without being copied. */
extern const struct h2_header h2_type_grpc; /* content-type: application/grpc */
extern const struct h2_header h2_status_ok; /* grpc-status: 0 */

struct h2_stream {
    int32_t id;
    void *user;              /* the owner's */
    struct neo_arena *arena; /* headers live here; the call may use it too; reset after `closed` */
    struct neo_bytes path;   /* server: "/package.Service/Method" */
    struct neo_bytes authority;
    int status;                /* client: the :status of the response */
    struct h2_headers headers; /* of the request (server) or response (client) */
    struct h2_headers trailers;
    bool remote_ended; /* END_STREAM was received */
    bool local_ended;  /* END_STREAM was queued by us */
    bool remote_reset; /* RST_STREAM was received: what `closed` says is the peer's word */
};

struct h2_events {
    /* A complete request (server) or final response (client) header block. 1xx is skipped. */
    void (*headers)(struct h2 *h2, struct h2_stream *s, bool end_stream);
    /* A piece of body. Flow control is not credited until h2_consume(). */
    void (*data)(struct h2 *h2, struct h2_stream *s, struct neo_bytes bytes);
    /* The trailers; always with END_STREAM. */
    void (*trailers)(struct h2 *h2, struct h2_stream *s);
    /* END_STREAM came on DATA (not called after `headers` with end_stream, nor after `trailers`).
     */
    void (*ended)(struct h2 *h2, struct h2_stream *s);
    /* The stream's send queue fell below the low-water mark after h2_send() said it was full. */
    void (*writable)(struct h2 *h2, struct h2_stream *s);
    /* The stream is gone; exactly once per reported or submitted stream. NO_ERROR (0) when
     * complete. */
    void (*closed)(struct h2 *h2, struct h2_stream *s, uint32_t h2_error);
    /* The peer will open no more (server role) or accept none above `last_id` (client role). */
    void (*goaway)(struct h2 *h2, int32_t last_id, uint32_t h2_error, struct neo_bytes debug);
    /* The peer's SETTINGS were received for the first time. */
    void (*ready)(struct h2 *h2);
    /* A feed ended within a header block; see h2_block_since(). May be NULL. */
    void (*unfinished)(struct h2 *h2);
    /* A message is malformed, by RFC 9113, in the field of that name, and its stream is reset. May
     * be NULL. */
    void (*malformed)(struct h2 *h2, struct neo_bytes name);
    /* An answer to h2_ping(). */
    void (*pong)(struct h2 *h2, const uint8_t opaque[static 8]);
};

/* Who holds messages to RFC 9113: this engine, as always; nghttp2 as well, and before it; or alone.
 */
enum h2_judge {
    H2_JUDGE_ENGINE,
    H2_JUDGE_BOTH,
    H2_JUDGE_NGHTTP2,
};

/* For `header_bytes`: beyond the larger one a block would need more CONTINUATIONs than are let in.
 */
enum { H2_HEADER_BYTES_LEAST = 1 << 10, H2_HEADER_BYTES_MOST = 128 << 10 };
/* Of `connection_headers`, for one of `header_bytes`. */
enum { H2_HEADER_BLOCKS = 16 };

/* Zero means the default of docs/design/h2.md. */
struct h2_limits {
    uint32_t max_streams;            /* peers' concurrent streams: 100 */
    uint32_t stream_window;          /* 64 KiB */
    uint32_t connection_window;      /* 1 MiB */
    uint32_t stream_window_most;     /* of a stream that is read quickly: 1 MiB */
    uint32_t connection_window_most; /* 4 MiB */
    uint32_t header_bytes;           /* 16 KiB, as RFC 9113 counts (+32 a field) */
    uint32_t header_count;           /* 100 */
    uint32_t resets_burst;           /* by the peer: 100, and per_second 33 */
    uint32_t resets_per_second;
    uint32_t our_resets_burst; /* by us because of the peer: 100, and 10 */
    uint32_t our_resets_per_second;
    uint32_t glitches_burst; /* 1000, and 100 */
    uint32_t glitches_per_second;
    uint32_t stream_queue; /* bytes queued to send per stream before h2_send() says full: 64 KiB */
    uint32_t connection_queue;   /* as stream_queue, over all streams: 256 KiB */
    uint32_t connection_headers; /* arena blocks taken for headers, all streams: 256 KiB */
    neo_nsec ping_spacing;       /* server: between PINGs while no call is open: 10 s */
    neo_nsec ping_spacing_busy;  /* while one is: a twentieth of that */
    size_t arena_budget;         /* of one stream's arena: 32 MiB */
    bool unguarded;              /* negative control of the attack tests: counts, but never stops */
    enum h2_judge judge;         /* for the test that compares them */
    /*
     * For suites that test HTTP/2 and know no gRPC: what GET, HEAD and POST of "/" are answered
     * with, by the engine itself. Borrowed. NULL, as in every service: nothing, they are refused.
     */
    const char *plain_page;
};

/*
 * Streams and small blocks of memory that wait to be used again. The engines of one thread may
 * share one: what the last connection touched is then still in the cache for the next. Outlives
 * them.
 */
struct h2_pool;
/* Gives `*ret`: h2_pool_free(). */
NEO_MUST_CHECK enum neo_code h2_pool_new(struct h2_pool **ret, struct neo_error *err);
void h2_pool_free(struct h2_pool *pool);

struct h2_options {
    bool server;
    const struct h2_events *events; /* borrowed */
    void *owner;                    /* h2_owner() */
    struct h2_pool *pool;           /* borrowed; NULL: the engine has its own */
    struct h2_limits limits;
    bool cleartext; /* no TLS below: :scheme is http, and https no more */
};

/* Gives `*ret`: h2_free(). */
NEO_MUST_CHECK enum neo_code h2_new(const struct h2_options *options, neo_nsec now, struct h2 **ret,
                                    struct neo_error *err);
/* Open streams are reported closed, with H2_CANCEL. */
void h2_free(struct h2 *h2);
void *h2_owner(const struct h2 *h2);

/* RESOURCE_EXHAUSTED: the guard stopped the peer; the message names the attack. */
NEO_MUST_CHECK enum neo_code h2_feed(struct h2 *h2, struct neo_bytes in, neo_nsec now,
                                     struct neo_error *err);
/* Appends what is ready to be sent, at most about `max` bytes. */
NEO_MUST_CHECK enum neo_code h2_pull(struct h2 *h2, size_t max, neo_nsec now,
                                     struct neo_buffer *out, struct neo_error *err);

/*
 * Takes frames of large bodies from where they wait, without a copy: first what `out` holds, which
 * it empties, and behind it `frame`, which is its to read until it returns. False: it cannot; then
 * the pull fails.
 */
struct h2_sink {
    bool (*take)(struct h2_sink *self, struct neo_buffer *out, struct neo_bytes frame);
    size_t most; /* bytes of one pull, about: of what it takes and what is in `out` together */
};
/* As h2_pull(), with a sink; what is in `out` afterwards is the rest. */
NEO_MUST_CHECK enum neo_code h2_pull_through(struct h2 *h2, size_t max, neo_nsec now,
                                             struct neo_buffer *out, struct h2_sink *sink,
                                             struct neo_error *err);
/* It will be fed in a moment: fetches into the cache what that needs, in steps from 0 on. */
void h2_warm(const struct h2 *h2, unsigned step);
bool h2_wants_write(const struct h2 *h2);
/* Both sides are done: close the connection. */
bool h2_is_finished(const struct h2 *h2);

/* --- sending; all of it is queued, copied where not said otherwise ---------------------------- */

/*
 * Client: opens a stream. UNAVAILABLE after GOAWAY or when ids are spent; RESOURCE_EXHAUSTED when
 * the peer's limit of concurrent streams is reached (queue the call). The pseudo-headers are made
 * from `path` and `authority`; `headers` are copied.
 */
NEO_MUST_CHECK enum neo_code h2_request(struct h2 *h2, struct neo_bytes path,
                                        struct neo_bytes authority, const struct h2_header *headers,
                                        size_t n, void *user, struct h2_stream **ret,
                                        struct neo_error *err);
/*
 * Server: response headers, once. With `end` this is a Trailers-Only answer. INVALID_ARGUMENT when
 * they are more than the peer takes; nothing was sent then, and a shorter answer may be tried.
 */
NEO_MUST_CHECK enum neo_code h2_respond(struct h2 *h2, struct h2_stream *s, int status,
                                        const struct h2_header *headers, size_t n, bool end,
                                        struct neo_error *err);
/*
 * Queues body bytes (copied once). Returns false when the queue is now above its mark: the
 * sender should wait for `writable`. Always accepts.
 */
bool h2_send(struct h2 *h2, struct h2_stream *s, struct neo_bytes bytes);
/*
 * Room for `len` body bytes in the queue, to be filled in place before the next call into h2. NULL
 * when the stream is ending, is being reset, or is reset now because memory is out.
 */
uint8_t *h2_send_reserve(struct h2 *h2, struct h2_stream *s, size_t len);
/*
 * Queues the bytes of `buffer` behind the first `from`; what is large is not copied where an empty
 * queue allows that, but the buffer exchanged for another. It is empty then. False as NULL above.
 */
bool h2_send_exchange(struct h2 *h2, struct h2_stream *s, struct neo_buffer *buffer, size_t from);
/* Server: the trailers, after all data queued before. INVALID_ARGUMENT as above. */
NEO_MUST_CHECK enum neo_code h2_send_trailers(struct h2 *h2, struct h2_stream *s,
                                              const struct h2_header *headers, size_t n,
                                              struct neo_error *err);
/* Client: END_STREAM after all data queued before. */
void h2_send_end(struct h2 *h2, struct h2_stream *s);
size_t h2_queued(const struct h2 *h2, const struct h2_stream *s);
/* Of all streams together. */
size_t h2_queued_in_all(const struct h2 *h2);

/* The user is done with `n` bytes of `data`: gives the peer credit for more. */
void h2_consume(struct h2 *h2, struct h2_stream *s, size_t n);
/* RST_STREAM. `blame_peer` counts against the peer's budget of our resets. */
void h2_reset(struct h2 *h2, struct h2_stream *s, uint32_t h2_error, bool blame_peer);
/* What it has queued will not be sent; the trailers that come next leave at once, though its peer
   takes nothing. Only for who sends trailers. */
void h2_skip_queue(struct h2 *h2, struct h2_stream *s);
/* First phase of a graceful end: GOAWAY with the largest id; new streams still come in. */
void h2_shutdown_notice(struct h2 *h2);
/* Second phase: GOAWAY with the last id; later streams are refused. `debug` is for people. */
void h2_goaway(struct h2 *h2, uint32_t h2_error, const char *debug);
void h2_ping(struct h2 *h2, const uint8_t opaque[static 8]);

/*
 * A stream that has bytes to send and whose peer has let out less than 1 KiB of them since `since`;
 * NULL when there is none. The connection resets it: while ((s = h2_stalled(h2, now - patience)) !=
 * NULL) h2_reset(...).
 */
struct h2_stream *h2_stalled(const struct h2 *h2, neo_nsec since);

/*
 * When the header block began that the peer has not finished; 0: it owes none. Nothing else may
 * come before its end, so whoever waits for it waits for everything.
 */
neo_nsec h2_block_since(const struct h2 *h2);

/*
 * From inside `closed`: the arena of `s`, and all that lives in it, stays until h2_kept_free(),
 * even beyond h2_free(). For an owner that is not done with the call. Never NULL.
 */
struct h2_kept;
struct h2_kept *h2_keep(struct h2_stream *s);
void h2_kept_free(struct h2_kept *kept);

/* Bytes of memory that this engine holds, everything included but a pool that is not its own. */
size_t h2_memory(const struct h2 *h2);
/* Gives back what its own pool keeps for the next burst: for a connection that has gone idle. */
void h2_trim(struct h2 *h2);

size_t h2_open_streams(const struct h2 *h2);
/* How many more requests may be opened now (client). */
size_t h2_stream_room(const struct h2 *h2);
/* Bytes of a header list that the peer takes, as RFC 9113 counts, and nghttp2 sends. */
size_t h2_peer_takes(const struct h2 *h2);
/* Whether h2_pull() has given a part of this request (client); else the peer never saw it. */
bool h2_has_begun(const struct h2 *h2, const struct h2_stream *s);

/* Bytes that may go out, and come in, before the connection's window is used up. */
void h2_windows(const struct h2 *h2, int32_t *ret_out, int32_t *ret_in);

/* What the guard saw: for metrics and for the attack tests. */
#define H2_COUNTERS(X)                                                                             \
    X(streams)                                                                                     \
    X(resets_received)                                                                             \
    X(resets_sent)                                                                                 \
    X(glitches)                                                                                    \
    X(header_refusals)                                                                             \
    X(grammar_refusals)                                                                            \
    X(unknown_frames)                                                                              \
    X(stopped)
struct h2_counters {
#define X(name) uint64_t name;
    H2_COUNTERS(X)
#undef X
};
const struct h2_counters *h2_counters(const struct h2 *h2);

#endif
