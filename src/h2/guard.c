/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The numbers are those of docs/design/h2.md. Three judgements need more than a
 * bucket:
 *
 * Resets by the peer. Clients cancel for good reasons, and a busy one cancels
 * often. So a full bucket alone does not condemn: half of the streams that closed
 * lately must have been reset young and unanswered as well.
 *
 * Late frames. What was under way when we chose to reset a stream or said GOAWAY is
 * no offence; both earn the peer a credit of frames that may come too late. So does
 * a stream that we refuse before the peer can know how many we take.
 *
 * PING. A peer that gets data may measure the path with a PING for each frame of
 * it (grpc-go does). One that only wants to know whether we live may ask every few
 * seconds; two that come too soon are forgiven, and whatever we send wipes the slate.
 */
#include "h2/guard.h"

#include <nghttp2/nghttp2.h>

enum {
    FRAME_HEAD = 9,
    STREAM_ID = 0x7fffffff,
    MOST_CONTINUATIONS = 8,
    SETTINGS_COST = 10,
    LATE_HEADERS_COST = 5,        /* they are still decoded */
    LATE_FRAMES_PER_RESET = 4096, /* a window full of small messages */
    LATE_FRAMES_PER_GOAWAY = 1000,
    EARLY_STREAMS = 1000, /* forgiven if opened before our SETTINGS were known */
    LATE_FRAMES_PER_EARLY_STREAM = 4,
    MOST_LATE_CREDIT = 100000,
    WINDOW_UPDATES_PER_DATA = 10,
    MOST_WINDOW_CREDIT = 100000,
    MOST_PING_CREDIT = 1000,
    CLOSED_REMEMBERED = 200,
    REFUSALS_BURST = 8,
    REFUSALS_PER_SECOND = 1,
    PING_STRIKES = 2,
    PING_SPACING_BUSY = 20, /* with calls open the spacing is this many times shorter */
};

static struct h2_bucket bucket_of(uint32_t burst, uint32_t per_second, neo_nsec now)
{
    neo_nsec interval = (NEO_NSEC_PER_SEC + per_second - 1) / per_second;

    return (struct h2_bucket){interval, interval * burst, now};
}

/* False when this fills it. */
static bool pour(struct h2_bucket *b, uint32_t drops, neo_nsec now)
{
    if (b->empty_at < now)
        b->empty_at = now;
    if (b->empty_at - now < b->capacity)
        b->empty_at += drops * b->interval;
    return b->empty_at - now < b->capacity;
}

static bool condemn(struct h2_guard *g, enum h2_attack attack)
{
    if (g->attack == H2_ATTACK_NONE)
        g->attack = attack;
    if (g->unguarded)
        return true;
    g->counters.stopped = 1;
    return false;
}

void h2_guard_init(struct h2_guard *g, bool server, const struct h2_limits *limits, neo_nsec now)
{
    *g = (struct h2_guard){
        .server = server,
        .unguarded = limits->unguarded,
        .glitches = bucket_of(limits->glitches_burst, limits->glitches_per_second, now),
        .resets = bucket_of(limits->resets_burst, limits->resets_per_second, now),
        .our_resets = bucket_of(limits->our_resets_burst, limits->our_resets_per_second, now),
        .refusals = bucket_of(REFUSALS_BURST, REFUSALS_PER_SECOND, now),
        .resets_burst = limits->resets_burst,
        .ping_spacing = limits->ping_spacing,
        .ping_spacing_busy = limits->ping_spacing_busy != 0
                                 ? limits->ping_spacing_busy
                                 : limits->ping_spacing / PING_SPACING_BUSY,
        .scan.preface = server ? NGHTTP2_CLIENT_MAGIC_LEN : 0,
    };
}

bool h2_guard_glitch(struct h2_guard *g, enum h2_attack attack, uint32_t cost, neo_nsec now)
{
    g->counters.glitches += cost;
    return pour(&g->glitches, cost, now) || condemn(g, attack);
}

static bool count_window_update(struct h2_guard *g, neo_nsec now)
{
    if (g->window_credit > 0) {
        g->window_credit--;
        return true;
    }
    return h2_guard_glitch(g, H2_ATTACK_WINDOW_UPDATE, 1, now);
}

static bool count_settings(struct h2_guard *g, uint8_t flags, neo_nsec now)
{
    if ((flags & NGHTTP2_FLAG_ACK) != 0)
        return true;
    if (!g->scan.settings) { /* the first belongs to the preface */
        g->scan.settings = true;
        return true;
    }
    return h2_guard_glitch(g, H2_ATTACK_SETTINGS, SETTINGS_COST, now);
}

static bool count_continuation(struct h2_guard *g, uint8_t flags, uint32_t len, neo_nsec now)
{
    g->scan.block = (flags & NGHTTP2_FLAG_END_HEADERS) == 0;
    if (++g->scan.continuations > MOST_CONTINUATIONS) {
        g->scan.continuations = 0;
        return condemn(g, H2_ATTACK_CONTINUATION);
    }
    return len > 0 || h2_guard_glitch(g, H2_ATTACK_CONTINUATION, 1, now);
}

/* --- what the peer said of its streams ------------------------------------------------------- */

static bool break_off(struct h2_guard *g, uint32_t h2_error, const char *words)
{
    if (g->unguarded)
        return true;
    g->breach = h2_error;
    g->breached = words;
    return false;
}

static struct h2_recent *recent_of(struct h2_guard *g, uint32_t id)
{
    return &g->recent[(id >> 1) % H2_RECENT_STREAMS];
}

static void note_end(struct h2_guard *g, uint32_t id)
{
    struct h2_recent *r = recent_of(g, id);

    if (r->id < id)
        *r = (struct h2_recent){.id = id, .ended = true};
    else if (r->id == id)
        r->ended = true;
}

/* Even ids, and 0, are nghttp2's to refuse. */
static bool count_headers(struct h2_guard *g, uint8_t flags, neo_nsec now)
{
    uint32_t id = g->scan.stream;
    struct h2_recent *r = recent_of(g, id);

    g->seen.headers++;
    g->scan.continuations = 0;
    g->scan.block = (flags & NGHTTP2_FLAG_END_HEADERS) == 0;
    g->scan.block_since = now;
    if (id % 2 == 0)
        return true;
    if (r->id == id && r->ended)
        return break_off(g, H2_STREAM_CLOSED, "sent HEADERS on a stream that it had ended");
    if (g->server && id > g->highest) {
        g->highest = id;
        *r = (struct h2_recent){.id = id};
    } else if (g->server && r->id < id) {
        return break_off(g, H2_PROTOCOL_ERROR, "opened a stream with a lower id than the last");
    }
    if ((flags & NGHTTP2_FLAG_END_STREAM) != 0)
        note_end(g, id);
    return true;
}

/* nghttp2 says nothing to DATA on a stream that is gone; one that the peer ended it may not use. */
static bool count_data(struct h2_guard *g, uint8_t flags)
{
    uint32_t id = g->scan.stream;
    struct h2_recent *r = recent_of(g, id);

    g->seen.data++;
    if (r->id == id && r->ended && !r->told && !g->unguarded) {
        r->told = true;
        g->answer = id;
    }
    if ((flags & NGHTTP2_FLAG_END_STREAM) != 0)
        note_end(g, id);
    return true;
}

/* RFC 9113 asks for the first, and RFC 7540 for what follows in check_dependency(). */
static bool count_priority(struct h2_guard *g, uint32_t len, neo_nsec now)
{
    if (g->scan.stream == 0)
        return break_off(g, H2_PROTOCOL_ERROR, "sent PRIORITY on stream 0");
    if (len == 5) {
        g->scan.depends_left = 4;
        g->scan.depends_on = 0;
    }
    return h2_guard_glitch(g, H2_ATTACK_PRIORITY, 1, now);
}

static bool check_dependency(struct h2_guard *g, struct neo_bytes payload)
{
    while (payload.len > 0 && g->scan.depends_left > 0) {
        g->scan.depends_on = g->scan.depends_on << 8 | payload.at[0];
        payload = neo_bytes_from(payload, 1);
        g->scan.depends_left--;
        if (g->scan.depends_left == 0 && (g->scan.depends_on & STREAM_ID) == g->scan.stream)
            return break_off(g, H2_PROTOCOL_ERROR, "made a stream depend on itself");
    }
    return true;
}

/* PING, RST_STREAM and empty DATA are judged in their callbacks, where more is known. */
static bool count_frame(struct h2_guard *g, uint8_t type, uint8_t flags, uint32_t len, neo_nsec now)
{
    switch (type) {
    case NGHTTP2_DATA:
        return count_data(g, flags);
    case NGHTTP2_HEADERS:
        return count_headers(g, flags, now);
    case NGHTTP2_RST_STREAM:
        note_end(g, g->scan.stream);
        return true;
    case NGHTTP2_PUSH_PROMISE: /* nghttp2 would keep one until our SETTINGS are acknowledged */
        return break_off(g, H2_PROTOCOL_ERROR, "promised a push");
    case NGHTTP2_PING:
        return true;
    case NGHTTP2_PRIORITY:
        return count_priority(g, len, now);
    case NGHTTP2_SETTINGS:
        return count_settings(g, flags, now);
    case NGHTTP2_GOAWAY:
        return h2_guard_glitch(g, H2_ATTACK_GOAWAY, 1, now);
    case NGHTTP2_WINDOW_UPDATE:
        return count_window_update(g, now);
    case NGHTTP2_CONTINUATION:
        return count_continuation(g, flags, len, now);
    default:
        g->counters.unknown_frames++;
        return h2_guard_glitch(g, H2_ATTACK_UNKNOWN, 1, now);
    }
}

static uint32_t read_be32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* The next whole frame header in the input, or NULL when it ends before. */
static const uint8_t *next_head(struct h2_guard *g, struct neo_bytes *in)
{
    const uint8_t *at = in->at;

    if (g->scan.have == 0 && in->len >= FRAME_HEAD) {
        *in = neo_bytes_from(*in, FRAME_HEAD);
        return at;
    }
    size_t n = (size_t)FRAME_HEAD - g->scan.have;
    if (n > in->len)
        n = in->len;
    memcpy(g->scan.head + g->scan.have, at, n);
    g->scan.have = (uint8_t)(g->scan.have + n);
    *in = neo_bytes_from(*in, n);
    if (g->scan.have < FRAME_HEAD)
        return NULL;
    g->scan.have = 0;
    return g->scan.head;
}

const struct h2_recent *h2_guard_next(const struct h2_guard *g)
{
    return &g->recent[((g->highest + 2) >> 1) % H2_RECENT_STREAMS];
}

neo_nsec h2_guard_block_since(const struct h2_guard *g)
{
    bool is_block = g->scan.type == NGHTTP2_HEADERS || g->scan.type == NGHTTP2_CONTINUATION;

    return g->scan.block || (is_block && g->scan.left > 0) ? g->scan.block_since : 0;
}

static struct neo_bytes skip(struct neo_bytes in, size_t n)
{
    return neo_bytes_from(in, n < in.len ? n : in.len);
}

bool h2_guard_scan(struct h2_guard *g, struct neo_bytes in, neo_nsec now)
{
    bool welcome = true;

    if (g->scan.preface > 0) {
        size_t n = g->scan.preface < in.len ? g->scan.preface : in.len;
        g->scan.preface = (uint8_t)(g->scan.preface - n);
        in = skip(in, n);
    }
    while (in.len > 0 && welcome) {
        if (g->scan.left > 0) {
            uint32_t n = g->scan.left < in.len ? g->scan.left : (uint32_t)in.len;
            if (g->scan.depends_left > 0)
                welcome = check_dependency(g, neo_bytes(in.at, n));
            g->scan.left -= n;
            in = skip(in, n);
            continue;
        }
        const uint8_t *head = next_head(g, &in);
        if (head == NULL)
            break;
        g->scan.left = (uint32_t)head[0] << 16 | (uint32_t)head[1] << 8 | head[2];
        g->scan.type = head[3];
        g->scan.stream = read_be32(head + 5) & STREAM_ID;
        welcome = count_frame(g, head[3], head[4], g->scan.left, now);
    }
    return welcome;
}

/* How many of the frames seen were never used; the one under way may still be. */
static uint64_t unused(const struct h2_guard *g, uint8_t type, uint64_t seen, uint64_t used)
{
    uint64_t open = g->scan.left > 0 && g->scan.type == type ? 1 : 0;

    return seen > used + open ? seen - used - open : 0;
}

static bool charge_late(struct h2_guard *g, uint64_t *charged, uint64_t late, uint32_t cost,
                        neo_nsec now)
{
    bool welcome = true;

    for (; *charged < late && welcome; ++*charged) {
        if (g->late_credit > 0)
            g->late_credit--;
        else
            welcome = h2_guard_glitch(g, H2_ATTACK_LATE, cost, now);
    }
    return welcome;
}

bool h2_guard_settle(struct h2_guard *g, neo_nsec now)
{
    uint64_t data = unused(g, NGHTTP2_DATA, g->seen.data, g->used.data);
    uint64_t headers = unused(g, NGHTTP2_HEADERS, g->seen.headers, g->used.headers);

    return charge_late(g, &g->late.data, data, 1, now) &&
           charge_late(g, &g->late.headers, headers, LATE_HEADERS_COST, now);
}

bool h2_guard_ping(struct h2_guard *g, size_t open, neo_nsec now)
{
    if (g->ping_credit > 0) {
        g->ping_credit--;
        return true;
    }

    neo_nsec spacing = open > 0 ? g->ping_spacing_busy : g->ping_spacing;
    bool too_soon = g->pinged && now - g->pinged_at < spacing;

    g->pinged = true;
    g->pinged_at = now;
    if (g->server && too_soon && ++g->ping_strikes > PING_STRIKES) {
        g->ping_strikes = PING_STRIKES;
        if (!condemn(g, H2_ATTACK_PING))
            return false;
    }
    return h2_guard_glitch(g, H2_ATTACK_PING, 1, now);
}

static void remember_closed(struct h2_guard *g, bool premature)
{
    g->closed++;
    g->premature += premature ? 1 : 0;
    if (g->closed >= CLOSED_REMEMBERED) {
        g->closed /= 2;
        g->premature /= 2;
    }
}

bool h2_guard_reset_received(struct h2_guard *g, bool was_open, bool premature, neo_nsec now)
{
    g->counters.resets_received++;
    if (!was_open && g->late_credit > 0) {
        g->late_credit--;
        return true;
    }
    if (!was_open)
        return h2_guard_glitch(g, H2_ATTACK_RST_STREAM, 1, now);
    remember_closed(g, premature);
    if (!g->server)
        return true; /* a client bounds them by the calls it makes */
    if (pour(&g->resets, 1, now) || g->premature * 2 < g->closed)
        return true;
    return condemn(g, H2_ATTACK_RAPID_RESET);
}

void h2_guard_stream_closed(struct h2_guard *g)
{
    remember_closed(g, false);
}

bool h2_guard_blame(struct h2_guard *g, neo_nsec now)
{
    return pour(&g->our_resets, 1, now) || condemn(g, H2_ATTACK_MADE_YOU_RESET);
}

bool h2_guard_header_refusal(struct h2_guard *g, neo_nsec now)
{
    g->counters.header_refusals++;
    return pour(&g->refusals, 1, now) || condemn(g, H2_ATTACK_HEADERS);
}

bool h2_guard_forgives_early(struct h2_guard *g)
{
    if (g->early_streams >= EARLY_STREAMS)
        return false;
    g->early_streams++;
    g->used.headers++;
    g->late_credit += LATE_FRAMES_PER_EARLY_STREAM;
    return true;
}

static void add_credit(uint32_t *credit, uint32_t more, uint32_t most)
{
    *credit = *credit + more < most ? *credit + more : most;
}

static void forgive_pings(struct h2_guard *g)
{
    g->ping_strikes = 0;
    g->pinged = false;
}

void h2_guard_sent_data(struct h2_guard *g)
{
    add_credit(&g->window_credit, WINDOW_UPDATES_PER_DATA, MOST_WINDOW_CREDIT);
    add_credit(&g->ping_credit, 1, MOST_PING_CREDIT);
    forgive_pings(g);
}

void h2_guard_sent_headers(struct h2_guard *g)
{
    forgive_pings(g);
}

void h2_guard_chose_reset(struct h2_guard *g)
{
    add_credit(&g->late_credit, LATE_FRAMES_PER_RESET, MOST_LATE_CREDIT);
}

void h2_guard_sent_reset(struct h2_guard *g)
{
    g->counters.resets_sent++;
}

void h2_guard_sent_goaway(struct h2_guard *g)
{
    add_credit(&g->late_credit, LATE_FRAMES_PER_GOAWAY, MOST_LATE_CREDIT);
}

const char *h2_attack_debug(enum h2_attack attack)
{
    static const char *const debug[] = {
#define X(name, debug, words) debug,
        H2_ATTACKS(X)
#undef X
    };

    return debug[attack];
}

const char *h2_attack_words(enum h2_attack attack)
{
    static const char *const words[] = {
#define X(name, debug, words) words,
        H2_ATTACKS(X)
#undef X
    };

    return words[attack];
}
