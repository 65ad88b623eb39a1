/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What comes in: nghttp2's callbacks, header blocks, and the judgement of messages.
 *
 * Header fields are copied into the stream's arena as they come, but counted before:
 * a block over the limit costs its first 16 KiB and no more, whatever HPACK makes of
 * it. Then message.c refuses what RFC 9113 forbids; here follows what gRPC and we
 * forbid besides.
 */
#include "base/arena_take.h"
#include "h2/grammar.h"
#include "h2/names.h"
#include "h2/session.h"

enum {
    FIRST_FIELDS = 16,
    FIELD_OVERHEAD = 32,
    BAD_REQUEST_COST = 10,
};

#define PREMATURE NEO_NSEC_PER_SEC

/* --- header blocks ---------------------------------------------------------------------------- */

static void begin_block(struct h2 *h2, struct stream *s, bool trailers)
{
    h2->block = (struct block){
        .stream = s,
        .into = trailers ? &s->pub.trailers : &s->pub.headers,
        .bytes_left = h2->limits.unguarded ? SIZE_MAX : h2->limits.header_bytes,
        .fields_left = h2->limits.unguarded ? SIZE_MAX : h2->limits.header_count,
        .trailers = trailers,
    };
}

/* Resets the stream; what is left of the block is decoded, but reaches us no more. */
__attribute__((cold)) static int refuse_block(struct h2 *h2, struct stream *s, uint32_t h2_error,
                                              bool welcome)
{
    s->reset = true;
    h2->block.stream = NULL;
    h2_check(h2, nghttp2_submit_rst_stream(h2->session, NGHTTP2_FLAG_NONE, s->pub.id, h2_error));
    int result = h2_verdict(h2, welcome);
    return result != 0 ? result : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static int refuse_size(struct h2 *h2, struct stream *s)
{
    return refuse_block(h2, s, H2_ENHANCE_YOUR_CALM, h2_guard_header_refusal(&h2->guard, h2->now));
}

/* Only of a request that nobody has heard of may it be said that nothing was done with it. */
static int refuse_memory(struct h2 *h2, struct stream *s)
{
    uint32_t h2_error = s->reported ? H2_ENHANCE_YOUR_CALM : H2_REFUSED_STREAM;

    return refuse_block(h2, s, h2_error, h2_guard_blame(&h2->guard, h2->now));
}

/* A message that is malformed as a whole. nghttp2 goes on with the frame, and may close the stream.
 */
__attribute__((cold)) static int refuse_message(struct h2 *h2, struct stream *s)
{
    s->reset = s->malformed = true;
    h2_check(h2, nghttp2_submit_rst_stream(h2->session, NGHTTP2_FLAG_NONE, s->pub.id,
                                           H2_PROTOCOL_ERROR));
    return h2_verdict(h2, h2_guard_blame(&h2->guard, h2->now));
}

__attribute__((cold)) static int refuse_field(struct h2 *h2, struct stream *s,
                                              struct neo_bytes name)
{
    if (h2->events->malformed != NULL)
        h2->events->malformed(h2, name);
    return refuse_block(h2, s, H2_PROTOCOL_ERROR, h2_guard_blame(&h2->guard, h2->now));
}

/* False when the block is over its limits. */
static bool count_field(struct block *b, size_t bytes)
{
    if (bytes > b->bytes_left || b->fields_left == 0)
        return false;
    b->bytes_left -= bytes;
    b->fields_left--;
    return true;
}

static bool make_room(struct block *b, struct neo_arena *arena)
{
    if (b->into->len < b->cap)
        return true;

    size_t cap = b->cap == 0 ? FIRST_FIELDS : b->cap * 2;
    struct h2_header *fields = arena_take(arena, cap * sizeof(*fields));
    if (fields == NULL)
        return false;
    if (b->into->len > 0)
        memcpy(fields, b->fields, b->into->len * sizeof(*fields));
    b->fields = fields;
    b->into->at = fields;
    b->cap = cap;
    return true;
}

/* False when the memory that all streams may use for headers is spent. */
static bool charge(struct h2 *h2, struct stream *s, size_t left_before)
{
    size_t taken = left_before - s->arena.left;

    s->header_memory += taken;
    h2->header_memory += taken;
    return h2->header_memory <= h2->limits.connection_headers || h2->limits.unguarded;
}

/* NULL in `at` when the arena gave nothing. */
static struct neo_bytes keep(struct h2 *h2, struct stream *s, struct neo_bytes value)
{
    size_t left = s->arena.left;
    struct neo_bytes kept = arena_keep(&s->arena, value);

    return charge(h2, s, left) ? kept : (struct neo_bytes){0};
}

/* Fields come as two runs, which stay in registers. */
static bool add_field(struct h2 *h2, struct stream *s, struct neo_bytes name,
                      struct neo_bytes value)
{
    struct block *b = &h2->block;
    size_t left = s->arena.left;

    if (!make_room(b, &s->arena))
        return false;
    uint8_t *at = arena_take(&s->arena, name.len + value.len);
    if (at == NULL || !charge(h2, s, left))
        return false;
    memcpy(at, name.at, name.len);
    if (value.len > 0)
        memcpy(at + name.len, value.at, value.len);
    b->fields[b->into->len++] = (struct h2_header){
        .name = neo_bytes(at, name.len),
        .value = neo_bytes(at + name.len, value.len),
    };
    return true;
}

static bool judges(const struct h2 *h2)
{
    return h2->limits.judge != H2_JUDGE_NGHTTP2;
}

static bool request_pseudo(struct h2 *h2, struct stream *s, enum message_name what,
                           struct neo_bytes value)
{
    struct block *b = &h2->block;

    if (what == NAME_PATH) {
        s->pub.path = keep(h2, s, value);
        return s->pub.path.at != NULL;
    }
    if (what == NAME_AUTHORITY) {
        s->pub.authority = keep(h2, s, value);
        return s->pub.authority.at != NULL;
    }
    if (what == NAME_SCHEME) {
        b->has_scheme = neo_bytes_equal(value, h2->scheme);
        return true;
    }
    b->is_post = neo_bytes_equal(value, NEO_LIT("POST"));
    b->is_get = h2->limits.plain_page != NULL && neo_bytes_is(value, "GET");
    b->is_head = h2->limits.plain_page != NULL && neo_bytes_is(value, "HEAD");
    return true;
}

static void look_at_request_field(struct h2 *h2, enum message_name what,
                                  const struct h2_header *field)
{
    struct block *b = &h2->block;

    if (what == NAME_UNDERSCORE) {
        if (h2_name_use(field->name) == H2_NAME_FALSE)
            b->false_name = field->name;
    } else if (what == NAME_TYPE) {
        b->is_bad |= b->has_type;
        b->has_type = true;
        b->is_grpc = h2_is_grpc_type(field->value);
    } else if (what == NAME_TE) {
        b->is_bad |= b->has_te; /* "trailers", and nothing else was let pass */
        b->has_te = true;
    } else if (what == NAME_HOST) {
        b->host = field->value;
    }
}

static bool is_known(struct neo_bytes text, const uint8_t *known, size_t known_len)
{
    return text.len == known_len && text.len > 0 && memcmp(text.at, known, text.len) == 0;
}

/* Whether the grammar has found this very value valid before: calls repeat. */
static bool look_if_known(struct h2 *h2, enum message_name what, struct neo_bytes value)
{
    struct block *b = &h2->block;

    if (what == NAME_PATH)
        return b->is_known_path = is_known(value, h2->known_path, h2->known_path_len);
    if (what == NAME_AUTHORITY)
        return b->is_known_authority =
                   is_known(value, h2->known_authority, h2->known_authority_len);
    return false;
}

static int pseudo_field(struct h2 *h2, struct stream *s, enum message_name what,
                        struct neo_bytes name, struct neo_bytes value)
{
    bool known = look_if_known(h2, what, value);

    if (judges(h2) && !message_request_field(&s->message, what, value, known))
        return refuse_field(h2, s, name);
    return request_pseudo(h2, s, what, value) ? 0 : refuse_memory(h2, s);
}

static int request_field(struct h2 *h2, struct stream *s, struct neo_bytes name,
                         struct neo_bytes value)
{
    enum message_name what = message_name(name);

    if (message_is_pseudo(what))
        return pseudo_field(h2, s, what, name, value);
    if (judges(h2) && !message_request_field(&s->message, what, value, false))
        return refuse_field(h2, s, name);
    if (!add_field(h2, s, name, value))
        return refuse_memory(h2, s);
    look_at_request_field(h2, what, &h2->block.fields[h2->block.into->len - 1]);
    return 0;
}

static int response_field(struct h2 *h2, struct stream *s, struct neo_bytes name,
                          struct neo_bytes value)
{
    enum message_name what = message_name(name);

    if (judges(h2) && !message_response_field(&s->message, what, value))
        return refuse_field(h2, s, name);
    if (what == NAME_STATUS) { /* three digits */
        const uint8_t *d = value.at;
        s->pub.status = (d[0] - '0') * 100 + (d[1] - '0') * 10 + (d[2] - '0');
        h2->block.informational = d[0] == '1';
        return d[0] == '0' ? refuse_field(h2, s, name) : 0;
    }
    if (h2->block.informational || message_drops(&s->message, what))
        return 0;
    return add_field(h2, s, name, value) ? 0 : refuse_memory(h2, s);
}

static int trailer_field(struct h2 *h2, struct stream *s, struct neo_bytes name,
                         struct neo_bytes value)
{
    if (judges(h2) && !message_trailer_field(message_name(name), value, h2->server))
        return refuse_field(h2, s, name);
    if (h2_is_reserved_in_trailers(name))
        return refuse_field(h2, s, name);
    return add_field(h2, s, name, value) ? 0 : refuse_memory(h2, s);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *user)
{
    struct h2 *h2 = user;
    struct stream *s = h2->block.stream;

    (void)session;
    (void)frame;
    (void)flags;
    if (s == NULL)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    if (!count_field(&h2->block, name_len + value_len + FIELD_OVERHEAD))
        return refuse_size(h2, s);
    if (h2->block.trailers)
        return trailer_field(h2, s, neo_bytes(name, name_len), neo_bytes(value, value_len));
    if (h2->server)
        return request_field(h2, s, neo_bytes(name, name_len), neo_bytes(value, value_len));
    return response_field(h2, s, neo_bytes(name, name_len), neo_bytes(value, value_len));
}

static int open_request(struct h2 *h2, int32_t id)
{
    struct stream *s = h2_stream_open(h2, id);

    if (s == NULL) {
        h2_check(h2,
                 nghttp2_submit_rst_stream(h2->session, NGHTTP2_FLAG_NONE, id, H2_REFUSED_STREAM));
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    h2->guard.counters.streams++;
    begin_block(h2, s, false);
    return 0;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct h2 *h2 = user;

    (void)session;
    h2->guard.used.headers++;
    if (frame->headers.cat == NGHTTP2_HCAT_REQUEST)
        return open_request(h2, frame->hd.stream_id);

    struct stream *s = h2_stream_find(h2, frame->hd.stream_id);
    if (s == NULL)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    begin_block(h2, s, h2->server || s->final);
    return 0;
}

/* --- messages --------------------------------------------------------------------------------- */

/* Remembers in `known` what it has found valid. */
static bool is_valid_now(struct neo_bytes text, bool (*is_valid)(struct neo_bytes), uint8_t *known,
                         size_t *known_len)
{
    if (!is_valid(text))
        return false;
    memcpy(known, text.at, text.len);
    *known_len = text.len;
    return true;
}

static bool has_valid_path(struct h2 *h2, const struct stream *s)
{
    return h2->block.is_known_path ||
           is_valid_now(s->pub.path, h2_path_is_valid, h2->known_path, &h2->known_path_len);
}

static bool has_valid_authority(struct h2 *h2, const struct stream *s)
{
    return h2->block.is_known_authority ||
           is_valid_now(s->pub.authority, h2_authority_is_valid, h2->known_authority,
                        &h2->known_authority_len);
}

/* 0 when the request is one of ours; otherwise it was answered. */
static bool is_grpc_request(struct h2 *h2, struct stream *s, int *ret_result)
{
    const struct block *b = &h2->block;

    if (!b->is_post)
        *ret_result = h2_refuse_method(h2, s);
    else if (!b->is_grpc)
        *ret_result = h2_refuse_type(h2, s);
    else if (!b->has_scheme || !has_valid_path(h2, s))
        *ret_result = h2_refuse_path(h2, s);
    else if (b->is_bad || b->false_name.at != NULL || !b->has_te ||
             (b->host.at != NULL && !neo_bytes_equal(b->host, s->pub.authority)) ||
             !has_valid_authority(h2, s))
        *ret_result = h2_refuse_headers(h2, s);
    else
        return true;
    return false;
}

static int request_received(struct h2 *h2, struct stream *s, bool end)
{
    int result = 0;

    s->pub.remote_ended = end;
    if (h2->limits.plain_page != NULL && h2_is_plain(h2, s))
        return end ? h2_answer_plain(h2, s) : 0;
    if (!is_grpc_request(h2, s, &result)) {
        h2->guard.counters.grammar_refusals++;
        h2_check(h2, result);
        return h2_verdict(
            h2, h2_guard_glitch(&h2->guard, H2_ATTACK_REQUESTS, BAD_REQUEST_COST, h2->now));
    }
    s->reported = true;
    if (s->pub.id == INT32_MAX)
        h2_goaway(h2, H2_NO_ERROR, "stream ids are spent");
    h2->events->headers(h2, &s->pub, end);
    return h2_verdict(h2, true);
}

static int response_received(struct h2 *h2, struct stream *s, bool end)
{
    if (h2->block.informational)
        return h2_verdict(h2, h2_guard_glitch(&h2->guard, H2_ATTACK_INFORMATIONAL, 1, h2->now));
    s->final = true;
    s->pub.remote_ended = end;
    h2->events->headers(h2, &s->pub, end);
    return h2_verdict(h2, true);
}

/* The answer is complete while the request is not: nobody will read the rest of it. */
static void stop_sending(struct h2 *h2, struct stream *s)
{
    if (!h2->server && s->pub.remote_ended && !s->pub.local_ended)
        h2_reset(h2, &s->pub, H2_NO_ERROR, false);
}

static bool is_complete(const struct h2 *h2, struct stream *s, bool trailers, bool end)
{
    if (trailers)
        return message_trailers_complete(&s->message, end);
    return h2->server ? message_request_complete(&s->message, end)
                      : message_response_complete(&s->message, end);
}

static int headers_received(struct h2 *h2, const nghttp2_frame *frame)
{
    struct stream *s = h2->block.stream;
    bool trailers = h2->block.trailers;
    bool end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;

    h2->block.stream = NULL;
    if (s == NULL)
        return 0;
    if (judges(h2) && !is_complete(h2, s, trailers, end))
        return refuse_message(h2, s);
    if (!trailers && h2->server)
        return request_received(h2, s, end);

    int result = 0;
    if (trailers) {
        s->pub.remote_ended = true;
        if (s->reported)
            h2->events->trailers(h2, &s->pub);
        result = s->plain ? h2_answer_plain(h2, s) : h2_verdict(h2, true);
    } else {
        result = response_received(h2, s, end);
    }
    stop_sending(h2, s);
    return result;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                   size_t len, void *user)
{
    struct h2 *h2 = user;
    struct stream *s = h2_stream_find(h2, id);

    (void)session;
    (void)flags;
    bool well_formed = s == NULL || !judges(h2) || s->malformed || message_data(&s->message, len);
    if (s == NULL || !s->reported || s->malformed || !well_formed) {
        h2_discard(h2, len);
        return well_formed ? 0 : refuse_message(h2, s);
    }
    s->unconsumed += len;
    h2->events->data(h2, &s->pub, neo_bytes(data, len));
    return h2_verdict(h2, true);
}

static int data_received(struct h2 *h2, const nghttp2_frame *frame)
{
    bool end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    struct stream *s = end ? h2_stream_find(h2, frame->hd.stream_id) : NULL;

    if (s != NULL && judges(h2) && !message_ended(&s->message))
        return refuse_message(h2, s);
    h2->guard.used.data++;
    if (!end) {
        bool is_empty = frame->hd.length == frame->data.padlen;
        return h2_verdict(h2, !is_empty || h2_guard_glitch(&h2->guard, H2_ATTACK_DATA, 1, h2->now));
    }
    if (s == NULL)
        return 0;
    s->pub.remote_ended = true;
    if (s->plain)
        return h2_answer_plain(h2, s);
    if (s->reported)
        h2->events->ended(h2, &s->pub);
    stop_sending(h2, s);
    return h2_verdict(h2, true);
}

/* --- the other frames ------------------------------------------------------------------------- */

static int reset_received(struct h2 *h2, const nghttp2_frame *frame)
{
    struct stream *s = h2_stream_find(h2, frame->hd.stream_id);
    bool premature = s != NULL && !s->responded && h2->now - s->opened_at < PREMATURE;

    if (s != NULL)
        s->pub.remote_reset = true;
    return h2_verdict(h2, h2_guard_reset_received(&h2->guard, s != NULL, premature, h2->now));
}

static int settings_received(struct h2 *h2, const nghttp2_frame *frame)
{
    if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0) {
        h2->settled = true;
        return 0;
    }
    h2->peer_streams =
        nghttp2_session_get_remote_settings(h2->session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
    h2->peer_headers =
        nghttp2_session_get_remote_settings(h2->session, NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE);
    if (h2->peer_headers > LARGEST_HEADERS)
        h2->peer_headers = LARGEST_HEADERS;
    if (!h2->ready) {
        h2->ready = true;
        if (h2->events->ready != NULL)
            h2->events->ready(h2);
    }
    return h2_verdict(h2, true);
}

static int ping_received(struct h2 *h2, const nghttp2_frame *frame)
{
    if ((frame->hd.flags & NGHTTP2_FLAG_ACK) == 0)
        return h2_verdict(h2, h2_guard_ping(&h2->guard, h2->n_live, h2->now));
    if (h2->pings == 0)
        return h2_verdict(h2, h2_guard_glitch(&h2->guard, H2_ATTACK_PING, 1, h2->now));
    h2->pings--;
    if (h2->events->pong != NULL)
        h2->events->pong(h2, frame->ping.opaque_data);
    return h2_verdict(h2, true);
}

static int goaway_received(struct h2 *h2, const nghttp2_frame *frame)
{
    const nghttp2_goaway *g = &frame->goaway;

    h2->peer_leaves = true;
    if (h2->events->goaway != NULL)
        h2->events->goaway(h2, g->last_stream_id, g->error_code,
                           neo_bytes(g->opaque_data, g->opaque_data_len));
    return h2_verdict(h2, true);
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct h2 *h2 = user;

    (void)session;
    switch (frame->hd.type) {
    case NGHTTP2_DATA:
        return data_received(h2, frame);
    case NGHTTP2_HEADERS:
        return headers_received(h2, frame);
    case NGHTTP2_RST_STREAM:
        return reset_received(h2, frame);
    case NGHTTP2_SETTINGS:
        return settings_received(h2, frame);
    case NGHTTP2_PING:
        return ping_received(h2, frame);
    case NGHTTP2_GOAWAY:
        return goaway_received(h2, frame);
    default:
        return 0;
    }
}

/* nghttp2 refuses streams over our limit itself; so far as the peer knows of it, that is a breach.
 */
static int on_refusal(nghttp2_session *session, const nghttp2_frame *frame, int error, void *user)
{
    struct h2 *h2 = user;

    (void)session;
    (void)frame;
    if (error == NGHTTP2_ERR_REFUSED_STREAM && !h2->settled && h2_guard_forgives_early(&h2->guard))
        h2->forgiven++;
    return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t h2_error, void *user)
{
    struct h2 *h2 = user;
    struct stream *s = h2_stream_find(h2, id);

    (void)session;
    if (s != NULL)
        h2_stream_close(h2, s,
                        s->malformed && h2_error == H2_NO_ERROR ? H2_PROTOCOL_ERROR : h2_error);
    return h2_verdict(h2, true);
}

void h2_set_receive_callbacks(nghttp2_session_callbacks *callbacks)
{
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_refusal);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
}
