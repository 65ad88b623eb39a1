/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What goes out: the owner's calls, and nghttp2's callbacks when it wants frames.
 *
 * Each stream has a queue of body bytes. nghttp2 asks for as many as flow control
 * allows and they go straight from the queue into the output (NO_COPY), behind a
 * frame header it has made. Trailers wait behind the queue.
 *
 * nghttp2 serves streams of one urgency in the order of their ids, each until it
 * has no more. So that a long one does not hold up the short ones behind it, a
 * stream that has sent TURN bytes gives way until all others had theirs.
 */
#include "base/buffer_take.h"
#include "h2/nv.h"
#include "h2/session.h"

#include <assert.h>
#include <stdio.h>

enum {
    FRAME_HEAD = 9,
    FRAME_MOST = 16 * 1024 - FRAME_HEAD, /* of a body: with its head it fills a TLS record */
    LARGE_BODY = 64 * 1024,              /* its frames go to the sink */
    DRIBBLE = 1024,                      /* bytes that are no progress by themselves */
    TURN = 32 * 1024,
    EXCHANGED_LEAST = 4096, /* bytes that are cheaper handed over than copied */
    SHARE_WHEN_FULL = 512,  /* what a stream may queue while all together queue too much */
    FEW_HEADERS = 32,
    FIELD_OVERHEAD = 32,
};

/* --- the queue of a stream -------------------------------------------------------------------- */

static size_t waiting(const struct stream *s)
{
    return s->queue.len - s->sent;
}

static bool is_full(const struct h2 *h2, const struct stream *s)
{
    size_t n = waiting(s);

    return n > h2->limits.stream_queue ||
           (n > SHARE_WHEN_FULL && h2->queued > h2->limits.connection_queue);
}

/* Well below the mark, so that the owner is not called for each frame. */
static bool has_room_again(const struct h2 *h2, const struct stream *s)
{
    size_t n = waiting(s);

    return n <= h2->limits.stream_queue / 2 &&
           (n <= SHARE_WHEN_FULL / 2 || h2->queued <= h2->limits.connection_queue);
}

static void resume(struct h2 *h2, struct stream *s)
{
    if (!s->deferred)
        return;
    s->deferred = false;
    h2_check(h2, nghttp2_session_resume_data(h2->session, s->pub.id));
}

uint8_t *h2_send_reserve(struct h2 *h2, struct h2_stream *pub, size_t len)
{
    struct stream *s = stream_of(pub);

    if (s->reset || s->finishing)
        return NULL;
    if (s->sent > 0 && s->sent >= s->queue.len / 2) {
        neo_buffer_drop(&s->queue, s->sent);
        s->sent = 0;
    }
    uint8_t *at = buffer_take(&s->queue, len);
    if (at == NULL) {
        h2_reset(h2, pub, H2_INTERNAL_ERROR, false);
        return NULL;
    }
    if (waiting(s) == 0) {
        s->moved = 0;
        s->moved_at = h2->now;
    }
    s->queue.len += len;
    h2->queued += len;
    resume(h2, s);
    return at;
}

bool h2_send_exchange(struct h2 *h2, struct h2_stream *pub, struct neo_buffer *buffer, size_t from)
{
    struct stream *s = stream_of(pub);
    struct neo_bytes bytes = neo_bytes_from(neo_buffer_bytes(buffer), from);

    if (bytes.len < EXCHANGED_LEAST || waiting(s) > 0 || s->reset || s->finishing) {
        uint8_t *at = h2_send_reserve(h2, pub, bytes.len);
        if (at != NULL)
            memcpy(at, bytes.at, bytes.len);
        return at != NULL;
    }
    struct neo_buffer old = s->queue;
    s->queue = *buffer;
    s->sent = from;
    *buffer = old;
    neo_buffer_clear(buffer);
    s->moved_at = h2->now;
    h2->queued += bytes.len;
    resume(h2, s);
    return true;
}

bool h2_send(struct h2 *h2, struct h2_stream *pub, struct neo_bytes bytes)
{
    struct stream *s = stream_of(pub);
    uint8_t *at = bytes.len > 0 ? h2_send_reserve(h2, pub, bytes.len) : NULL;

    if (at != NULL)
        memcpy(at, bytes.at, bytes.len);
    if (!is_full(h2, s))
        return true;
    s->told_full = true;
    return false;
}

size_t h2_queued(const struct h2 *h2, const struct h2_stream *pub)
{
    (void)h2;
    return waiting((const struct stream *)(const void *)pub);
}

size_t h2_queued_in_all(const struct h2 *h2)
{
    return h2->queued;
}

/* --- nghttp2 wants frames --------------------------------------------------------------------- */

/* The last of the queue is being taken: END_STREAM goes with it, or the trailers follow it. */
static int finish(struct h2 *h2, struct stream *s, uint32_t *flags)
{
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (!h2->server || s->n_trailers == 0)
        return 0;
    *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    return nghttp2_submit_trailer(h2->session, s->pub.id, s->trailers, s->n_trailers);
}

static shim_ssize defer(struct stream *s)
{
    s->deferred = true;
    s->turn_bytes = 0;
    return NGHTTP2_ERR_DEFERRED;
}

/* Wherever it was before. */
static void put_last(struct list *list, struct list *node)
{
    list_remove(node);
    list_push_back(list, node);
}

static shim_ssize on_read(nghttp2_session *session, int32_t id, uint8_t *at, size_t room,
                          uint32_t *flags, nghttp2_data_source *source, void *user)
{
    struct h2 *h2 = user;
    struct stream *s = source->ptr;
    size_t most = room < FRAME_MOST ? room : (size_t)FRAME_MOST;
    size_t n = waiting(s) < most ? waiting(s) : most;

    (void)session;
    (void)id;
    (void)at;
    if (n == 0 && !s->finishing)
        return defer(s);
    if (s->turn_bytes > TURN) {
        put_last(&h2->yielded, &s->turn);
        return defer(s);
    }
    if (s->finishing && n == waiting(s) && finish(h2, s, flags) != 0)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    if (n > 0)
        *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    return (shim_ssize)n;
}

static void pop(struct h2 *h2, struct stream *s, size_t n)
{
    s->sent += n;
    s->turn_bytes += n;
    h2->queued -= n;
    s->moved += n;
    if (s->moved >= DRIBBLE || s->sent == s->queue.len) {
        s->moved = 0;
        s->moved_at = h2->now;
    }
    if (s->sent == s->queue.len) {
        s->sent = 0;
        neo_buffer_clear(&s->queue);
    }
    if (s->told_full && has_room_again(h2, s)) {
        s->told_full = false;
        put_last(&h2->writable, &s->wake);
    }
}

/*
 * Of a large body a frame that fills a record is not copied: its head is written in front of it,
 * where what was sent before lay.
 */
static bool goes_through(const struct h2 *h2, const struct stream *s, size_t len)
{
    return h2->sink != NULL && len == FRAME_MOST && s->sent >= FRAME_HEAD &&
           s->queue.len >= LARGE_BODY;
}

static bool pass_on(struct h2 *h2, const struct stream *s, const uint8_t *head, size_t len)
{
    uint8_t *at = s->queue.at + s->sent - FRAME_HEAD;

    memcpy(at, head, FRAME_HEAD);
    h2->passed += h2->out->len + FRAME_HEAD + len;
    return h2->sink->take(h2->sink, h2->out, neo_bytes(at, FRAME_HEAD + len));
}

static bool copy_out(struct h2 *h2, const struct stream *s, const uint8_t *head, size_t len)
{
    uint8_t *at = buffer_take(h2->out, FRAME_HEAD + len);

    if (at == NULL)
        return false;
    memcpy(at, head, FRAME_HEAD);
    memcpy(at + FRAME_HEAD, s->queue.at + s->sent, len);
    h2->out->len += FRAME_HEAD + len;
    return true;
}

static int on_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head,
                        size_t len, nghttp2_data_source *source, void *user)
{
    struct h2 *h2 = user;
    struct stream *s = source->ptr;

    (void)session;
    (void)frame;
    if (!(goes_through(h2, s, len) ? pass_on(h2, s, head, len) : copy_out(h2, s, head, len))) {
        h2_fail(h2, NEO_RESOURCE_EXHAUSTED, H2_INTERNAL_ERROR, NULL,
                "no room to send: the output buffer is full or out of memory");
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    pop(h2, s, len);
    h2->paused = !h2_has_room(h2);
    return h2->paused ? NGHTTP2_ERR_PAUSE : 0;
}

bool h2_next_turn(struct h2 *h2)
{
    bool more = !list_is_empty(&h2->yielded);
    struct list *link;
    struct list now;

    while ((link = list_pop_front(&h2->yielded)) != NULL)
        resume(h2, neo_owner(link, struct stream, turn));

    /* Only those of now: an owner that fills the queue at once must not keep us here. */
    list_init(&now);
    while ((link = list_pop_front(&h2->writable)) != NULL)
        list_push_back(&now, link);
    while ((link = list_pop_front(&now)) != NULL) {
        struct stream *s = neo_owner(link, struct stream, wake);
        if (h2->events->writable != NULL && !s->reset)
            h2->events->writable(h2, &s->pub);
        more = true;
    }
    return more;
}

/* A response was sent whole before its request came whole: tells the client to stop. */
static void end_early(struct h2 *h2, const nghttp2_frame *frame)
{
    if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0)
        return;

    struct stream *s = h2_stream_find(h2, frame->hd.stream_id);
    if (s == NULL || s->pub.remote_ended)
        return;
    h2->early_ends--;
    h2_reset(h2, &s->pub, H2_NO_ERROR, false);
}

static int reset_sent(struct h2 *h2, const nghttp2_frame *frame)
{
    struct stream *s = h2_stream_find(h2, frame->hd.stream_id);

    h2_guard_sent_reset(&h2->guard);
    if (s != NULL && s->reset)
        return 0;
    if (s == NULL && h2->forgiven > 0) {
        h2->forgiven--;
        return 0;
    }
    return h2_verdict(h2, h2_guard_blame(&h2->guard, h2->now));
}

static int goaway_sent(struct h2 *h2, const nghttp2_frame *frame)
{
    const nghttp2_goaway *g = &frame->goaway;
    struct neo_bytes reason = neo_bytes(g->opaque_data, g->opaque_data_len);
    char message[160];

    h2_guard_sent_goaway(&h2->guard);
    if (g->error_code == NGHTTP2_NO_ERROR)
        return 0;
    if (h2->own_goaways > 0) {
        h2->own_goaways--;
        return 0;
    }
    /* nghttp2 has judged; its GOAWAY is on its way, and ours would be the second. */
    (void)snprintf(message, sizeof(message), "the peer broke HTTP/2: %s: %.*s",
                   nghttp2_http2_strerror(g->error_code), NEO_FMT(reason));
    h2_fail(h2, NEO_INTERNAL, g->error_code, NULL, message);
    return 0;
}

static int on_frame_sent(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct h2 *h2 = user;

    (void)session;
    switch (frame->hd.type) {
    case NGHTTP2_DATA:
        h2_guard_sent_data(&h2->guard);
        return 0;
    case NGHTTP2_HEADERS:
        h2_guard_sent_headers(&h2->guard);
        h2->begun_upto = frame->hd.stream_id; /* requests leave in their order */
        if (h2->early_ends > 0)
            end_early(h2, frame);
        return 0;
    case NGHTTP2_RST_STREAM:
        return reset_sent(h2, frame);
    case NGHTTP2_GOAWAY:
        return goaway_sent(h2, frame);
    default:
        return 0;
    }
}

void h2_set_send_callbacks(nghttp2_session_callbacks *callbacks)
{
    nghttp2_session_callbacks_set_send_data_callback(callbacks, on_send_data);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
}

/* --- messages --------------------------------------------------------------------------------- */

static enum neo_code dead(const struct h2 *h2, struct neo_error *err)
{
    return neo_fail(err, NEO_UNAVAILABLE, "the HTTP/2 connection has ended: %s", h2->error.message);
}

/* The code for a refusal by nghttp2; its fatal ones kill the engine. */
static enum neo_code submitted(struct h2 *h2, int result, struct neo_error *err)
{
    h2_check(h2, result);
    if (result >= 0)
        return NEO_OK;
    if (h2->error.code != NEO_OK)
        return dead(h2, err);
    return neo_fail(err, NEO_INTERNAL, "nghttp2 refused a frame: %s", nghttp2_strerror(result));
}

/* `few` when they fit, else from the stream's arena; NULL when that is spent. */
static nghttp2_nv *nv_room(struct stream *s, nghttp2_nv few[static FEW_HEADERS], size_t n)
{
    return n <= FEW_HEADERS ? few : neo_arena_calloc(&s->arena, n, sizeof(nghttp2_nv));
}

/* Checked here, because nghttp2 would send what the peer refuses, or nothing at all. */
static enum neo_code fits(const struct h2 *h2, const struct h2_header *headers, size_t n,
                          size_t others, struct neo_error *err)
{
    size_t total = others;

    for (size_t i = 0; i < n; i++)
        total += headers[i].name.len + headers[i].value.len + FIELD_OVERHEAD;
    if (total <= h2->peer_headers)
        return NEO_OK;
    return neo_fail(err, NEO_INVALID_ARGUMENT,
                    "%zu bytes of headers are too many: the peer takes %u", total,
                    h2->peer_headers);
}

size_t h2_peer_takes(const struct h2 *h2)
{
    return h2->peer_headers;
}

static enum neo_code may_send(const struct h2 *h2, const struct stream *s, struct neo_error *err)
{
    if (h2->error.code != NEO_OK)
        return dead(h2, err);
    if (s->reset)
        return neo_fail(err, NEO_CANCELLED, "stream %d is being reset", s->pub.id);
    return NEO_OK;
}

static void note_end(struct h2 *h2, struct stream *s)
{
    s->finishing = true;
    s->pub.local_ended = true;
    if (h2->server && !s->pub.remote_ended)
        h2->early_ends++;
}

static enum neo_code submit_response(struct h2 *h2, struct stream *s, int status,
                                     const struct h2_header *headers, size_t n,
                                     const shim_data_provider *body, struct neo_error *err)
{
    nghttp2_nv few[FEW_HEADERS];
    char digits[3];
    nghttp2_nv *all = nv_room(s, few, n + 1);

    if (all == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "the call's memory is spent: %zu headers", n);
    all[0] = nv_status(status, digits);
    nv_fill(all + 1, headers, n);
    return submitted(h2, shim_submit_response(h2->session, s->pub.id, all, n + 1, body), err);
}

static enum neo_code submit_usual(struct h2 *h2, struct stream *s, const shim_data_provider *body,
                                  struct neo_error *err)
{
    return submitted(h2, shim_submit_response(h2->session, s->pub.id, nv_usual, NV_USUAL, body),
                     err);
}

enum neo_code h2_respond(struct h2 *h2, struct h2_stream *pub, int status,
                         const struct h2_header *headers, size_t n, bool end, struct neo_error *err)
{
    struct stream *s = stream_of(pub);
    const shim_data_provider body = {.source.ptr = s, .read_callback = on_read};

    NEO_TRY(may_send(h2, s, err));
    if (!h2->server || s->responded)
        return neo_fail(err, NEO_FAILED_PRECONDITION,
                        "stream %d cannot be answered: only a server may, and once", pub->id);
    NEO_TRY(fits(h2, headers, n, 42, err)); /* :status takes 42 */
    if (nv_is_usual(status, headers, n))
        NEO_TRY(submit_usual(h2, s, end ? NULL : &body, err));
    else
        NEO_TRY(submit_response(h2, s, status, headers, n, end ? NULL : &body, err));
    s->responded = true;
    if (end)
        note_end(h2, s);
    return NEO_OK;
}

int h2_answer(struct h2 *h2, struct stream *s, const nghttp2_nv *headers, size_t n)
{
    s->responded = true;
    note_end(h2, s);
    return shim_submit_response(h2->session, s->pub.id, headers, n, NULL);
}

enum neo_code h2_send_trailers(struct h2 *h2, struct h2_stream *pub,
                               const struct h2_header *headers, size_t n, struct neo_error *err)
{
    struct stream *s = stream_of(pub);

    NEO_TRY(may_send(h2, s, err));
    if (!s->responded || s->finishing)
        return neo_fail(err, NEO_FAILED_PRECONDITION,
                        "stream %d cannot send trailers: they come after the headers, and once",
                        pub->id);
    NEO_TRY(fits(h2, headers, n, 0, err));
    const nghttp2_nv *all = n > 0 ? nv_keep(&s->arena, headers, n) : NULL;
    if (n > 0 && all == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "the call's memory is spent: %zu trailers", n);
    s->trailers = all;
    s->n_trailers = n;
    note_end(h2, s);
    if (s->skipped) /* nghttp2 asks for the end of the body only when there is a window for it */
        return submitted(h2, nghttp2_submit_trailer(h2->session, s->pub.id, all, n), err);
    resume(h2, s);
    return NEO_OK;
}

void h2_skip_queue(struct h2 *h2, struct h2_stream *pub)
{
    struct stream *s = stream_of(pub);

    h2->queued -= waiting(s);
    s->sent = 0;
    neo_buffer_clear(&s->queue);
    s->skipped = true;
}

void h2_send_end(struct h2 *h2, struct h2_stream *pub)
{
    struct stream *s = stream_of(pub);

    assert(!h2->server);
    if (s->finishing)
        return;
    note_end(h2, s);
    resume(h2, s);
}

static enum neo_code may_request(const struct h2 *h2, struct neo_error *err)
{
    if (h2->error.code != NEO_OK)
        return dead(h2, err);
    if (h2->peer_leaves || nghttp2_session_check_request_allowed(h2->session) == 0)
        return neo_fail(err, NEO_UNAVAILABLE,
                        "the connection takes no new requests: it is going away");
    if (h2->n_live >= h2->peer_streams)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED,
                        "the server lets us have %u streams at once, and all are open",
                        h2->peer_streams);
    return NEO_OK;
}

static int submit_request(struct h2 *h2, struct stream *s, struct neo_bytes path,
                          struct neo_bytes authority, const struct h2_header *headers, size_t n)
{
    const shim_data_provider body = {.source.ptr = s, .read_callback = on_read};
    nghttp2_nv few[FEW_HEADERS];
    nghttp2_nv *all = nv_room(s, few, n + 4);

    if (all == NULL)
        return NGHTTP2_ERR_NOMEM;
    all[0] = nv_static(NEO_LIT(":method"), NEO_LIT("POST"));
    all[1] = nv_static(NEO_LIT(":scheme"), h2->scheme);
    all[2] = nv_of(NEO_LIT(":path"), path);
    all[3] = nv_of(NEO_LIT(":authority"), authority);
    nv_fill(all + 4, headers, n);
    return shim_submit_request(h2->session, NULL, all, n + 4, &body, s);
}

enum neo_code h2_request(struct h2 *h2, struct neo_bytes path, struct neo_bytes authority,
                         const struct h2_header *headers, size_t n, void *user,
                         struct h2_stream **ret, struct neo_error *err)
{
    assert(!h2->server);
    NEO_TRY(may_request(h2, err));
    NEO_TRY(fits(h2, headers, n, 200 + path.len + authority.len, err)); /* the pseudo-headers */

    struct stream *s = h2_stream_open(h2, 0);
    if (s == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for a stream");
    int32_t id = submit_request(h2, s, path, authority, headers, n);
    if (id < 0) {
        h2_stream_close(h2, s, H2_INTERNAL_ERROR);
        return submitted(h2, id, err);
    }
    h2->guard.counters.streams++;
    h2_stream_name(h2, s, id);
    s->pub.user = user;
    s->reported = true;
    *ret = &s->pub;
    return NEO_OK;
}
