/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine's life, and the two doors for bytes.
 *
 * It dies once: h2_fail() keeps the error for the owner and prepares a GOAWAY of
 * our own, because after its fatal errors nghttp2 sends none. From then on nothing
 * goes to nghttp2 any more; the next pull gives the GOAWAY, and that was all.
 */
#include "base/buffer_take.h"
#include "base/warm.h"
#include "h2/session.h"

#include <neo/memory.h>

#include <assert.h>
#include <stdio.h>

enum {
    FRAME_HEAD = 9,
    GOAWAY_HEAD = 8,
    SETTINGS_PER_FRAME = 16,
    ACKS_QUEUED = 100,
    /*
     * nghttp2 1.52 counts a CONTINUATION again each time its header arrives in another piece; the
     * guard counts them as they are, and this only has to be out of its way.
     */
    CONTINUATIONS = 100,
    UNGUARDED = 1 << 30,
    OWN_BLOCK_BYTES = 64 * 1024, /* of nghttp2's that its own pool keeps */
    PEER_STREAMS_BEFORE_SETTINGS = 100,
};

static void set_defaults(struct h2_limits *l)
{
    static const struct h2_limits defaults = {
        .max_streams = 100,
        .stream_window = 64 * 1024,
        .connection_window = 1024 * 1024,
        .stream_window_most = 1024 * 1024,
        .connection_window_most = 4 * 1024 * 1024,
        .header_bytes = 16 * 1024,
        .header_count = 100,
        .resets_burst = 100,
        .resets_per_second = 33,
        .our_resets_burst = 100,
        .our_resets_per_second = 10,
        .glitches_burst = 1000,
        .glitches_per_second = 100,
        .stream_queue = 64 * 1024,
        .connection_queue = 256 * 1024,
        .connection_headers = 256 * 1024,
        .ping_spacing = 10 * NEO_NSEC_PER_SEC,
        .arena_budget = 32 * 1024 * 1024,
    };

#define DEFAULT(name) l->name = l->name == 0 ? defaults.name : l->name
    DEFAULT(max_streams);
    DEFAULT(stream_window);
    DEFAULT(connection_window);
    DEFAULT(stream_window_most);
    DEFAULT(connection_window_most);
    DEFAULT(header_bytes);
    DEFAULT(header_count);
    DEFAULT(resets_burst);
    DEFAULT(resets_per_second);
    DEFAULT(our_resets_burst);
    DEFAULT(our_resets_per_second);
    DEFAULT(glitches_burst);
    DEFAULT(glitches_per_second);
    DEFAULT(stream_queue);
    DEFAULT(connection_queue);
    DEFAULT(connection_headers);
    DEFAULT(ping_spacing);
    DEFAULT(arena_budget);
#undef DEFAULT
}

/* --- failure ---------------------------------------------------------------------------------- */

static void put_be(uint8_t *at, uint32_t value, size_t width)
{
    for (size_t i = width; i > 0; i--, value >>= 8)
        at[i - 1] = (uint8_t)value;
}

static void write_farewell(struct h2 *h2, uint32_t h2_error, const char *debug)
{
    size_t most = sizeof(h2->farewell) - FRAME_HEAD - GOAWAY_HEAD;
    size_t len = strlen(debug) < most ? strlen(debug) : most;
    int32_t last = nghttp2_session_get_last_proc_stream_id(h2->session);
    uint8_t *at = h2->farewell;

    put_be(at, (uint32_t)(GOAWAY_HEAD + len), 3);
    at[3] = NGHTTP2_GOAWAY;
    put_be(at + 4, 0, 5); /* no flags, stream 0 */
    put_be(at + 9, (uint32_t)last, 4);
    put_be(at + 13, h2_error, 4);
    memcpy(at + FRAME_HEAD + GOAWAY_HEAD, debug, len);
    h2->farewell_len = FRAME_HEAD + GOAWAY_HEAD + len;
}

void h2_fail(struct h2 *h2, enum neo_code code, uint32_t h2_error, const char *debug,
             const char *message)
{
    if (h2->error.code != NEO_OK)
        return;
    (void)neo_fail(&h2->error, code, "%s", message);
    if (debug != NULL)
        write_farewell(h2, h2_error, debug);
}

void h2_stop(struct h2 *h2)
{
    char message[160];

    if (h2->guard.breach != 0) {
        (void)snprintf(message, sizeof(message), "the peer broke HTTP/2: it %s",
                       h2->guard.breached);
        h2_fail(h2, NEO_INTERNAL, h2->guard.breach, h2->guard.breached, message);
        return;
    }
    (void)snprintf(message, sizeof(message), "the peer was stopped: it %s",
                   h2_attack_words(h2->guard.attack));
    h2_fail(h2, NEO_RESOURCE_EXHAUSTED, H2_ENHANCE_YOUR_CALM, h2_attack_debug(h2->guard.attack),
            message);
}

void h2_check(struct h2 *h2, int result)
{
    char message[160];

    if (!nghttp2_is_fatal(result))
        return;
    if (result == NGHTTP2_ERR_NOMEM) {
        h2_fail(h2, NEO_RESOURCE_EXHAUSTED, H2_INTERNAL_ERROR, "out_of_memory",
                "out of memory for the HTTP/2 session");
    } else if (result == NGHTTP2_ERR_FLOODED) {
        h2_fail(h2, NEO_RESOURCE_EXHAUSTED, H2_ENHANCE_YOUR_CALM, "too_many_unread_acks",
                "the peer was stopped: it asked for more acknowledgements than it read");
    } else {
        (void)snprintf(message, sizeof(message), "the peer does not speak HTTP/2: %s",
                       nghttp2_strerror(result));
        h2_fail(h2, NEO_INTERNAL, H2_PROTOCOL_ERROR, "protocol_error", message);
    }
}

static enum neo_code report(const struct h2 *h2, struct neo_error *err)
{
    if (h2->error.code != NEO_OK && err != NULL)
        *err = h2->error;
    return h2->error.code;
}

/* --- life ------------------------------------------------------------------------------------- */

static void free_options(nghttp2_option **options)
{
    nghttp2_option_del(*options);
}

static void free_callbacks(nghttp2_session_callbacks **callbacks)
{
    nghttp2_session_callbacks_del(*callbacks);
}

static void set_options(nghttp2_option *o, bool server, const struct h2_limits *limits)
{
    bool unguarded = limits->unguarded;

    nghttp2_option_set_no_http_messaging(o, limits->judge == H2_JUDGE_ENGINE); /* see message.h */
    nghttp2_option_set_no_auto_window_update(o, 1);
    nghttp2_option_set_no_closed_streams(o, 1);
    nghttp2_option_set_max_settings(o, SETTINGS_PER_FRAME);
    nghttp2_option_set_max_outbound_ack(o, unguarded ? UNGUARDED : ACKS_QUEUED);
    nghttp2_option_set_max_continuations(o, unguarded ? UNGUARDED : CONTINUATIONS);
    /* Its own limit reads a clock and answers INTERNAL_ERROR; the guard's takes its place. */
    nghttp2_option_set_stream_reset_rate_limit(o, UNGUARDED, UNGUARDED);
    if (!server)
        nghttp2_option_set_no_rfc9113_leading_and_trailing_ws_validation(o, 1);
}

static int new_session(struct h2 *h2)
{
    NEO_CLEANUP(free_options) nghttp2_option *options = NULL;
    NEO_CLEANUP(free_callbacks) nghttp2_session_callbacks *callbacks = NULL;

    if (nghttp2_option_new(&options) != 0 || nghttp2_session_callbacks_new(&callbacks) != 0)
        return NGHTTP2_ERR_NOMEM;
    set_options(options, h2->server, &h2->limits);
    h2_set_receive_callbacks(callbacks);
    h2_set_send_callbacks(callbacks);
    return h2->server
               ? nghttp2_session_server_new3(&h2->session, callbacks, h2, options, &h2->heap.mem)
               : nghttp2_session_client_new3(&h2->session, callbacks, h2, options, &h2->heap.mem);
}

/* The first frames: our SETTINGS, and the connection's window. */
static int introduce(struct h2 *h2)
{
    const struct h2_limits *l = &h2->limits;
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, l->stream_window},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, l->header_bytes},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
        {h2->server ? NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS : NGHTTP2_SETTINGS_ENABLE_PUSH,
         h2->server ? l->max_streams : 0},
    };
    int result =
        nghttp2_submit_settings(h2->session, NGHTTP2_FLAG_NONE, settings, NEO_COUNT(settings));

    if (result != 0)
        return result;
    return nghttp2_session_set_local_window_size(h2->session, NGHTTP2_FLAG_NONE, 0,
                                                 (int32_t)l->connection_window);
}

enum neo_code h2_new(const struct h2_options *options, neo_nsec now, struct h2 **ret,
                     struct neo_error *err)
{
    struct h2 *h2 = neo_alloc(sizeof(*h2));

    if (h2 == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for an HTTP/2 session");
    h2->events = options->events;
    h2->owner = options->owner;
    h2->server = options->server;
    h2->scheme = options->cleartext ? NEO_LIT("http") : NEO_LIT("https");
    h2->limits = options->limits;
    h2->now = now;
    h2->peer_streams = PEER_STREAMS_BEFORE_SETTINGS;
    h2->peer_headers = LARGEST_HEADERS;
    set_defaults(&h2->limits);
    h2->window = h2->limits.connection_window;
    h2_guard_init(&h2->guard, h2->server, &h2->limits, now);
    h2_pool_init(&h2->own, h2->limits.max_streams, OWN_BLOCK_BYTES);
    h2->pool = options->pool == NULL ? &h2->own : options->pool;
    h2_heap_init(&h2->heap, h2->pool);
    list_init(&h2->live);
    list_init(&h2->writable);
    list_init(&h2->yielded);
    if (new_session(h2) != 0 || introduce(h2) != 0) {
        h2_free(h2);
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for an HTTP/2 session");
    }
    *ret = h2;
    return NEO_OK;
}

void h2_free(struct h2 *h2)
{
    if (h2 == NULL)
        return;
    if (h2->error.code == NEO_OK)
        (void)neo_fail(&h2->error, NEO_CANCELLED, "the HTTP/2 session is being freed");
    while (!list_is_empty(&h2->live))
        h2_stream_close(h2, neo_owner(h2->live.next, struct stream, link), H2_CANCEL);
    nghttp2_session_del(h2->session);
    assert(h2->heap.held == 0);
    h2_pool_trim(&h2->own);
    neo_free(h2);
}

void *h2_owner(const struct h2 *h2)
{
    return h2->owner;
}

/* --- bytes ------------------------------------------------------------------------------------ */

/* The peer sends on a stream that it has ended itself: once for each stream, and charged to it. */
static void answer_closed(struct h2 *h2)
{
    h2_check(h2, nghttp2_submit_rst_stream(h2->session, NGHTTP2_FLAG_NONE,
                                           (int32_t)h2->guard.answer, H2_STREAM_CLOSED));
    h2->guard.answer = 0;
}

enum neo_code h2_feed(struct h2 *h2, struct neo_bytes in, neo_nsec now, struct neo_error *err)
{
    assert(!h2->inside);
    h2->now = now;
    if (h2->error.code != NEO_OK || in.len == 0)
        return report(h2, err);
    if (!h2_guard_scan(&h2->guard, in, now)) {
        h2_stop(h2);
        return report(h2, err);
    }
    h2->inside = true;
    shim_ssize n = shim_mem_recv(h2->session, in.at, in.len);
    h2->inside = false;
    if (h2->guard.answer != 0)
        answer_closed(h2);
    if (n < 0)
        h2_check(h2, (int)n);
    else if (!h2_guard_settle(&h2->guard, now))
        h2_stop(h2);
    if (h2->error.code == NEO_OK && h2->events->unfinished != NULL && h2_block_since(h2) != 0)
        h2->events->unfinished(h2);
    return report(h2, err);
}

static void append(struct h2 *h2, struct neo_bytes bytes)
{
    if (!buffer_put(h2->out, bytes))
        h2_fail(h2, NEO_RESOURCE_EXHAUSTED, H2_INTERNAL_ERROR, NULL,
                "no room to send: the output buffer is full or out of memory");
}

/* Until nghttp2 has no more to send, or `out` is as full as it should be. */
static void drain(struct h2 *h2)
{
    while (h2->error.code == NEO_OK && h2_has_room(h2)) {
        const uint8_t *at;
        h2->paused = false;
        shim_ssize n = shim_mem_send(h2->session, &at);
        if (n < 0)
            h2_check(h2, (int)n);
        else if (n > 0)
            append(h2, neo_bytes(at, (size_t)n));
        else if (!h2->paused)
            return;
    }
}

enum neo_code h2_pull(struct h2 *h2, size_t max, neo_nsec now, struct neo_buffer *out,
                      struct neo_error *err)
{
    return h2_pull_through(h2, max, now, out, NULL, err);
}

enum neo_code h2_pull_through(struct h2 *h2, size_t max, neo_nsec now, struct neo_buffer *out,
                              struct h2_sink *sink, struct neo_error *err)
{
    assert(!h2->inside);
    h2->inside = true;
    h2->now = now;
    h2->out = out;
    h2->sink = sink;
    h2->passed = 0;
    h2->out_most = max < SIZE_MAX - out->len ? out->len + max : SIZE_MAX;
    if (h2->error.code == NEO_OK)
        h2_flush_credit(h2);
    do {
        drain(h2);
    } while (h2->error.code == NEO_OK && h2_next_turn(h2) && h2_has_room(h2));
    if (h2->farewell_len > 0) {
        append(h2, neo_bytes(h2->farewell, h2->farewell_len));
        h2->farewell_len = 0;
    }
    h2->out = NULL;
    h2->inside = false;
    return report(h2, err);
}

bool h2_wants_write(const struct h2 *h2)
{
    if (h2->error.code != NEO_OK)
        return h2->farewell_len > 0;
    return nghttp2_session_want_write(h2->session) != 0 || !list_is_empty(&h2->writable) ||
           !list_is_empty(&h2->yielded);
}

bool h2_is_finished(const struct h2 *h2)
{
    if (h2->error.code != NEO_OK)
        return h2->farewell_len == 0;
    return nghttp2_session_want_read(h2->session) == 0 &&
           nghttp2_session_want_write(h2->session) == 0;
}

/* --- questions -------------------------------------------------------------------------------- */

struct h2_stream *h2_stalled(const struct h2 *h2, neo_nsec since)
{
    list_each (link, &h2->live) {
        struct stream *s = neo_owner(link, struct stream, link);
        if (s->queue.len > s->sent && s->moved_at < since && !s->reset)
            return &s->pub;
    }
    return NULL;
}

neo_nsec h2_block_since(const struct h2 *h2)
{
    return h2_guard_block_since(&h2->guard);
}

size_t h2_memory(const struct h2 *h2)
{
    size_t total = sizeof(*h2) + h2->heap.held;

    list_each (link, &h2->live)
        total += h2_stream_memory(neo_owner(link, struct stream, link));
    return total + h2_pool_memory(&h2->own);
}

void h2_trim(struct h2 *h2)
{
    h2_pool_trim(&h2->own);
}

size_t h2_open_streams(const struct h2 *h2)
{
    return h2->n_live;
}

size_t h2_stream_room(const struct h2 *h2)
{
    if (h2->error.code != NEO_OK || h2->peer_leaves ||
        nghttp2_session_check_request_allowed(h2->session) == 0)
        return 0;
    return h2->peer_streams > h2->n_live ? h2->peer_streams - h2->n_live : 0;
}

bool h2_has_begun(const struct h2 *h2, const struct h2_stream *s)
{
    return s->id <= h2->begun_upto;
}

const struct h2_counters *h2_counters(const struct h2 *h2)
{
    return &h2->guard.counters;
}

void h2_warm(const struct h2 *h2, unsigned step)
{
    enum { SESSION_HOT = 2944, FRAMES_HOT = 128 };

    switch (step) {
    case 0:
        warm(h2, offsetof(struct h2, guard.recent));
        warm(&h2->guard.highest, offsetof(struct h2, error) - offsetof(struct h2, guard.highest));
        break;
    case 1:
        warm(h2->session, SESSION_HOT / 2);
        warm(h2_guard_next(&h2->guard), 1);
        warm(h2->known_path, 1);
        warm(h2->known_authority, 1);
        warm(&h2->known_authority_len, sizeof(size_t) + sizeof(h2->heap) + sizeof(h2->pool));
        break;
    case 2:
        warm((const char *)h2->session + SESSION_HOT / 2, SESSION_HOT / 2);
        warm(h2->heap.frames, FRAMES_HOT);
        break;
    default:
        break;
    }
}
