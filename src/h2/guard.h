/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2/guard.h - how much nonsense a peer may send, and when it was too much.
 *
 * nghttp2 checks that each frame is allowed; it does not ask how often. The guard
 * counts: frames that cost us more than they mean ("glitches"), streams that the
 * peer opens only to reset, streams that it makes us reset, header blocks over the
 * limit. Each has a bucket that leaks with time; the drop that fills one names the
 * attack, and the connection ends.
 *
 * It reads the frame headers itself, beside nghttp2, because frames of an unknown
 * type and frames on closed streams reach none of nghttp2's callbacks. So it also holds
 * the peer to what it said itself: a stream that it has ended stays ended, ids only grow.
 *
 * Pure: bytes and `now` in, verdicts out. Every function that can judge returns
 * false when the peer must be stopped; `attack` says for what.
 */
#ifndef NEO_H2_GUARD_H
#define NEO_H2_GUARD_H

#include "h2/h2.h"

/* What a peer can be stopped for: name, debug text of the GOAWAY, and the words of our error. */
#define H2_ATTACKS(X)                                                                              \
    X(NONE, "", "")                                                                                \
    X(RAPID_RESET, "too_many_resets", "opened streams only to reset them (rapid reset)")           \
    X(MADE_YOU_RESET, "too_many_stream_errors", "made us reset its streams (made you reset)")      \
    X(HEADERS, "too_many_header_refusals", "sent header blocks over the limit")                    \
    X(CONTINUATION, "too_many_continuations", "sent CONTINUATION without end")                     \
    X(DATA, "too_many_empty_frames", "sent DATA frames without data")                              \
    X(PRIORITY, "too_many_priorities", "sent too many PRIORITY frames")                            \
    X(RST_STREAM, "too_many_stray_resets", "reset streams that were not open")                     \
    X(SETTINGS, "too_many_settings", "sent too many SETTINGS frames")                              \
    X(PING, "too_many_pings", "sent too many PING frames")                                         \
    X(GOAWAY, "too_many_goaways", "sent too many GOAWAY frames")                                   \
    X(WINDOW_UPDATE, "too_many_window_updates", "sent too many WINDOW_UPDATE frames")              \
    X(UNKNOWN, "too_many_unknown_frames", "sent frames of unknown types")                          \
    X(LATE, "too_many_late_frames", "sent frames on closed streams")                               \
    X(REQUESTS, "too_many_bad_requests", "sent requests that are not gRPC")                        \
    X(INFORMATIONAL, "too_many_informational", "sent informational responses without end")

enum h2_attack {
#define X(name, debug, words) H2_ATTACK_##name,
    H2_ATTACKS(X)
#undef X
};

/* A leaking bucket, kept as the instant at which it will be empty. */
struct h2_bucket {
    neo_nsec interval; /* in which one drop leaks out */
    neo_nsec capacity;
    neo_nsec empty_at;
};

enum { H2_RECENT_STREAMS = 128 };

/* How a stream of late was left by the peer. */
struct h2_recent {
    uint32_t id;
    bool ended; /* END_STREAM or RST_STREAM came */
    bool told;  /* that it had ended, when more came */
};

struct h2_guard {
    struct h2_counters counters;
    enum h2_attack attack; /* the first one seen */
    bool server;
    bool unguarded;

    struct h2_bucket glitches;
    struct h2_bucket resets;
    struct h2_bucket our_resets;
    struct h2_bucket refusals;

    struct { /* of the frame headers in the input */
        uint8_t head[9];
        uint8_t have;
        uint8_t type;
        uint8_t preface; /* bytes of it still to come */
        uint8_t continuations;
        bool block;           /* its END_HEADERS is still to come */
        neo_nsec block_since; /* when the last header block began */
        bool settings;
        uint32_t left; /* of the payload of this frame */
        uint32_t stream;
        uint32_t depends_on;  /* PRIORITY: as far as it was read, */
        uint8_t depends_left; /* and how many bytes of it are not */
    } scan;

    /*
     * The odd ids only grow, so a place in this table belongs to the highest of its ids that was
     * opened: a lower one that is not there was, in the server's role, opened long ago or never.
     */
    struct h2_recent recent[H2_RECENT_STREAMS];
    uint32_t highest;     /* id that the peer has opened */
    uint32_t answer;      /* a stream to be reset with STREAM_CLOSED; 0: none */
    uint32_t breach;      /* an h2_error: the peer broke a rule that nghttp2 does not hold */
    const char *breached; /* which, in words */

    /* Frames in the input and those of them that nghttp2 took: the rest came too late. */
    struct {
        uint64_t data;
        uint64_t headers;
    } seen, used, late;
    uint32_t early_streams; /* refused and forgiven, before our SETTINGS were known */
    uint32_t late_credit;   /* frames that may have been under way when we reset */
    uint32_t window_credit; /* WINDOW_UPDATEs that our own DATA has earned the peer, */
    uint32_t ping_credit;   /* and PINGs: it may measure the path */

    uint32_t closed;    /* of the last streams, how many closed, */
    uint32_t premature; /* and how many the peer reset young and unanswered */
    uint32_t resets_burst;

    neo_nsec ping_spacing;
    neo_nsec ping_spacing_busy;
    neo_nsec pinged_at;
    uint8_t ping_strikes;
    bool pinged;
};

/* `limits` without zeros. */
void h2_guard_init(struct h2_guard *g, bool server, const struct h2_limits *limits, neo_nsec now);

/* Before nghttp2 gets `in`, and after. */
bool h2_guard_scan(struct h2_guard *g, struct neo_bytes in, neo_nsec now);
bool h2_guard_settle(struct h2_guard *g, neo_nsec now);

/* Where the next stream that the peer opens will be noted. */
const struct h2_recent *h2_guard_next(const struct h2_guard *g);

/* When the header block began that is not complete; 0: there is none. */
neo_nsec h2_guard_block_since(const struct h2_guard *g);

/* One thing of the kind `attack` that costs `cost` drops of the glitch bucket. */
bool h2_guard_glitch(struct h2_guard *g, enum h2_attack attack, uint32_t cost, neo_nsec now);
/* A PING with `open` streams. */
bool h2_guard_ping(struct h2_guard *g, size_t open, neo_nsec now);
/* The peer's RST_STREAM. `premature`: the stream was young and had no answer yet. */
bool h2_guard_reset_received(struct h2_guard *g, bool was_open, bool premature, neo_nsec now);
/* A stream ended in any other way. */
void h2_guard_stream_closed(struct h2_guard *g);
/* We reset a stream because of what the peer did. */
bool h2_guard_blame(struct h2_guard *g, neo_nsec now);
/* A header block was refused for its size. */
bool h2_guard_header_refusal(struct h2_guard *g, neo_nsec now);

/* A stream too many, opened before the peer could know our SETTINGS; true when that is forgiven. */
bool h2_guard_forgives_early(struct h2_guard *g);

/* What we send earns the peer patience; so does a reset that is our own choice, once we make it. */
void h2_guard_chose_reset(struct h2_guard *g);
void h2_guard_sent_data(struct h2_guard *g);
void h2_guard_sent_headers(struct h2_guard *g);
void h2_guard_sent_reset(struct h2_guard *g);
void h2_guard_sent_goaway(struct h2_guard *g);

const char *h2_attack_debug(enum h2_attack attack);
const char *h2_attack_words(enum h2_attack attack);

#endif
