/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two judges of one message. The same frames go to engines of which one has nghttp2 hold them to
 * RFC 9113 before it does so itself, and one does it alone, as all do: whatever they report
 * and answer must be the same, so nothing that nghttp2 refuses is let through. A third leaves it to
 * nghttp2, and must agree as well, so that no one is refused who was not before; where the
 * engine is stricter by intent, that is named here.
 *
 * The input chooses among fields that matter, bends them, and cuts them into frames: a request or
 * an answer at a time, with 1xx, DATA and trailers. An input that begins with 0xff is a seed
 * of four bytes and a count of two: so many messages are made from it, the same each time. Under
 * libFuzzer at most MESSAGES_MOST: what takes a second of each input finds little in an hour.
 *
 * Targets: message.c, and what receive.c makes of it.
 */
#include "h2/h2.h"
#include "support/frames.h"

#include <neo/memory.h>

#include <assert.h>
#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    JUDGES = 3,
    MESSAGES_PER_SESSION = 40,
    MESSAGES_OF_AN_INPUT = 8,
    MOST_FIELDS = 14,
};

#ifndef MESSAGES_MOST
#define MESSAGES_MOST 65535
#endif

/* --- where choices come from ------------------------------------------------------------------ */

struct source {
    struct neo_bytes in;
    uint64_t seed; /* 0: `in` alone, and zeros behind it */
};

static uint8_t choose(struct source *from)
{
    if (from->seed == 0) {
        uint8_t c = from->in.len > 0 ? from->in.at[0] : 0;
        from->in = neo_bytes_from(from->in, 1);
        return c;
    }
    from->seed ^= from->seed << 13;
    from->seed ^= from->seed >> 7;
    from->seed ^= from->seed << 17;
    return (uint8_t)(from->seed >> 32);
}

static size_t below(struct source *from, size_t n)
{
    return ((size_t)choose(from) << 8 | choose(from)) % n;
}

static bool one_in(struct source *from, size_t n)
{
    return choose(from) % n == 0;
}

/* --- engines that keep a record --------------------------------------------------------------- */

struct judge {
    struct h2 *h2;
    struct neo_buffer said; /* what it reported */
    struct neo_buffer out;
    struct h2_stream *call; /* of a client */
    bool dead;
};

static struct neo_buffer *record(struct h2 *h2)
{
    return &((struct judge *)h2_owner(h2))->said;
}

static void say_fields(struct neo_buffer *out, struct h2_headers fields)
{
    for (size_t i = 0; i < fields.len; i++) {
        neo_buffer_append(out, fields.at[i].name);
        neo_buffer_append(out, NEO_LIT("="));
        neo_buffer_append(out, fields.at[i].value);
        neo_buffer_append(out, NEO_LIT("\n"));
    }
}

/* A server answers at once, sometimes before the request is whole. */
static void answer(struct h2 *h2, struct h2_stream *s)
{
    if (s->path.len == 0 || s->user != NULL)
        return;
    s->user = h2;
    if (h2_respond(h2, s, 200, &h2_type_grpc, 1, false, NULL) != NEO_OK ||
        h2_send_trailers(h2, s, &h2_status_ok, 1, NULL) != NEO_OK)
        h2_reset(h2, s, H2_INTERNAL_ERROR, false);
}

static void on_headers(struct h2 *h2, struct h2_stream *s, bool end)
{
    struct neo_buffer *out = record(h2);

    neo_buffer_printf(out, "headers %d %d %d ", s->id, s->status, end);
    neo_buffer_append(out, s->path);
    neo_buffer_append(out, NEO_LIT(" "));
    neo_buffer_append(out, s->authority);
    neo_buffer_append(out, NEO_LIT("\n"));
    say_fields(out, s->headers);
    if (end || s->id % 8 == 5)
        answer(h2, s);
}

static void on_data(struct h2 *h2, struct h2_stream *s, struct neo_bytes bytes)
{
    neo_buffer_printf(record(h2), "data %d %zu\n", s->id, bytes.len);
    h2_consume(h2, s, bytes.len);
}

static void on_trailers(struct h2 *h2, struct h2_stream *s)
{
    neo_buffer_printf(record(h2), "trailers %d\n", s->id);
    say_fields(record(h2), s->trailers);
    answer(h2, s);
}

static void on_end(struct h2 *h2, struct h2_stream *s)
{
    neo_buffer_printf(record(h2), "ended %d\n", s->id);
    answer(h2, s);
}

static void on_close(struct h2 *h2, struct h2_stream *s, uint32_t h2_error)
{
    struct judge *j = h2_owner(h2);

    neo_buffer_printf(&j->said, "closed %d %u\n", s->id, h2_error);
    if (j->call == s)
        j->call = NULL;
}

static const struct h2_events events = {
    .headers = on_headers,
    .data = on_data,
    .trailers = on_trailers,
    .ended = on_end,
    .closed = on_close,
};

static void feed(struct judge *j, struct neo_bytes in, neo_nsec now)
{
    enum neo_code code = h2_feed(j->h2, in, now, NULL);

    j->dead |= h2_pull(j->h2, SIZE_MAX, now, &j->out, NULL) != NEO_OK || code != NEO_OK;
}

static void begin(struct judge *j, enum h2_judge judge, bool server)
{
    const struct h2_options options = {
        .server = server, .events = &events, .owner = j, .limits = {.judge = judge}};
    struct neo_buffer first = {0};

    *j = (struct judge){0};
    assert(h2_new(&options, 0, &j->h2, NULL) == NEO_OK);
    if (server)
        frames_preface(&first);
    else
        frames_put(&first, FRAME_SETTINGS, 0, 0, (struct neo_bytes){0});
    feed(j, neo_buffer_bytes(&first), 0);
    neo_buffer_fini(&first);
}

static void end(struct judge *j)
{
    h2_free(j->h2);
    neo_buffer_fini(&j->said);
    neo_buffer_fini(&j->out);
}

static void call(struct judge *j, bool whole)
{
    const struct h2_header te = {NEO_LIT("te"), NEO_LIT("trailers")};

    j->call = NULL;
    if (h2_request(j->h2, NEO_LIT("/a.B/C"), NEO_LIT("h"), &te, 1, NULL, &j->call, NULL) != NEO_OK)
        return;
    if (whole)
        h2_send_end(j->h2, j->call);
}

/* --- messages --------------------------------------------------------------------------------- */

struct message_text {
    struct neo_buffer bytes;
    bool stricter; /* the engine refuses by intent what nghttp2 1.52 does not */
};

static const char *const names[] = {
    ":method",
    ":scheme",
    ":path",
    ":authority",
    ":status",
    ":protocol",
    ":x",
    ":",
    "",
    "te",
    "host",
    "content-type",
    "content-length",
    "connection",
    "keep-alive",
    "proxy-connection",
    "transfer-encoding",
    "upgrade",
    "priority",
    "cookie",
    "user-agent",
    "grpc-timeout",
    "grpc-status",
    "grpc-message",
    "x_under",
    "x-y",
    "a",
    "x1-b3",
    "TE",
    "Host",
    "Content-Length",
    "x-long-name-that-is-usual",
    "x-long-name-That-is-not",
    "authorization",
    "x\x7fy",
    "a b",
    "a:b",
    "grpc-encoding",
    "x-\xe4",
    "date",
    "uPgrade",
    "x_caller_id",
    "grpc_timeout",
    "x-neo_ctx-a",
};

static const char *const values[] = {
    "POST",
    "GET",
    "HEAD",
    "CONNECT",
    "OPTIONS",
    "P\x01",
    "po st",
    "https",
    "http",
    "HTTPS",
    "1x",
    "h+x",
    "/a.B/C",
    "/",
    "*",
    "a/b",
    "/a b",
    "/\xc3\xa4/b",
    "localhost:1",
    "h",
    "u@h",
    "h h",
    "[::1]",
    "200",
    "204",
    "304",
    "404",
    "100",
    "103",
    "101",
    "099",
    "999",
    "20",
    "2000",
    "2x0",
    "trailers",
    "Trailers",
    "gzip",
    "trailers, x",
    "application/grpc",
    "application/grpc+proto",
    "text/html",
    "0",
    "1",
    "3",
    "5",
    "05",
    "00",
    "-1",
    "+1",
    " 1",
    "1,1",
    "9223372036854775807",
    "9223372036854775808",
    "99999999999999999999",
    "u=1",
    "u=9",
    " lead",
    "trail ",
    "\ttab",
    "mid\ttab mid",
    "tab\t",
    "",
    "bad\x01value in it",
    "del\x7f",
    "a value that is longer than eight",
    "h\x80gh \xff bytes here",
    "websocket",
    "\r\n",
    "nul\x02nul",
    "chunked",
    "close",
};

static struct neo_bytes pick(struct source *from, const char *const *texts, size_t n)
{
    return neo_text(texts[below(from, n)]);
}

/* Mostly as it is; sometimes a byte is another, or more, or fewer. */
static void bend(struct source *from, struct neo_bytes text, struct neo_buffer *out)
{
    neo_buffer_append(out, text);
    if (!one_in(from, 60))
        return;
    switch (choose(from) % 4) {
    case 0:
        neo_buffer_append_byte(out, choose(from));
        return;
    case 1:
        if (out->len > 0)
            out->at[below(from, out->len)] = choose(from);
        return;
    case 2:
        if (out->len > 0)
            out->len--;
        return;
    default:
        for (size_t n = choose(from) % 40; n > 0; n--)
            neo_buffer_append_byte(out, choose(from));
    }
}

/* An entry of HPACK's static table, of which some are no fields of a good message. */
static void put_static(struct source *from, struct neo_buffer *block)
{
    neo_buffer_append_byte(block, (uint8_t)(0x80 | (1 + choose(from) % 61)));
}

static void put_field(struct source *from, struct message_text *m, struct neo_buffer *block,
                      struct neo_bytes name, struct neo_bytes value)
{
    struct neo_buffer n = {0};
    struct neo_buffer v = {0};

    bend(from, name, &n);
    bend(from, value, &v);
    m->stricter |= v.len > 0 && memchr(v.at, '@', v.len) != NULL;
    frames_field(block, neo_buffer_bytes(&n), neo_buffer_bytes(&v));
    neo_buffer_fini(&n);
    neo_buffer_fini(&v);
}

static void put_any(struct source *from, struct message_text *m, struct neo_buffer *block)
{
    if (one_in(from, 16))
        put_static(from, block);
    else
        put_field(from, m, block, pick(from, names, NEO_COUNT(names)),
                  pick(from, values, NEO_COUNT(values)));
}

struct usual {
    const char *name;
    const char *value;
};

static void put_usual(struct source *from, struct message_text *m, struct neo_buffer *block,
                      const struct usual *fields, size_t n)
{
    size_t oddity = one_in(from, 4) ? below(from, n) : n;

    for (size_t i = 0; i < n; i++) {
        size_t at = i;
        if (i == oddity && one_in(from, 2))
            continue; /* left out */
        if (i == oddity)
            at = below(from, n); /* another in its place, or this one twice */
        struct neo_bytes value =
            one_in(from, 40) ? pick(from, values, NEO_COUNT(values)) : neo_text(fields[at].value);
        put_field(from, m, block, neo_text(fields[at].name), value);
        if (one_in(from, 60))
            put_any(from, m, block);
    }
    for (size_t more = choose(from) % 16; more > 13; more--)
        put_any(from, m, block);
}

static void send_block(struct source *from, struct message_text *m, uint32_t stream, bool last,
                       struct neo_bytes block)
{
    uint8_t flags = last ? FLAG_END_STREAM : 0;

    if (!one_in(from, 10) || block.len < 2) {
        frames_headers(&m->bytes, stream, flags, block);
        return;
    }
    size_t cut = below(from, block.len);
    frames_put(&m->bytes, FRAME_HEADERS, flags, stream, neo_bytes(block.at, cut));
    frames_put(&m->bytes, FRAME_CONTINUATION, FLAG_END_HEADERS, stream, neo_bytes_from(block, cut));
}

/* Those for which RFC 9113 has rules of their own. */
static void put_rare_request(struct source *from, struct message_text *m, struct neo_buffer *block)
{
    static const struct usual connect[] = {
        {":method", "CONNECT"}, {":authority", "h:1"}, {"host", "h:1"}, {"content-length", "5"}};
    static const struct usual options[] = {
        {":method", "OPTIONS"}, {":scheme", "https"}, {":path", "*"}, {":authority", "h:1"}};

    if (one_in(from, 2))
        put_usual(from, m, block, connect, NEO_COUNT(connect) - choose(from) % 3);
    else
        put_usual(from, m, block, options, NEO_COUNT(options));
}

static void put_request(struct source *from, struct message_text *m, uint32_t stream, bool last,
                        bool has_body)
{
    static const struct usual fields[] = {
        {":method", "POST"},
        {":scheme", "https"},
        {":path", "/a.B/C"},
        {":authority", "h:1"},
        {"content-type", "application/grpc"},
        {"te", "trailers"},
        {"host", "h:1"},
        {"content-length", "5"},
    };
    struct neo_buffer block = {0};

    if (one_in(from, 16))
        put_rare_request(from, m, &block);
    else
        put_usual(from, m, &block, fields,
                  NEO_COUNT(fields) - (has_body ? 0 : 1) - choose(from) % 2);
    send_block(from, m, stream, last, neo_buffer_bytes(&block));
    neo_buffer_fini(&block);
}

static void put_response(struct source *from, struct message_text *m, uint32_t stream, bool last,
                         bool has_body)
{
    static const char *const statuses[] = {"200", "200", "200", "204", "304", "404", "100", "103"};
    const struct usual fields[] = {
        {":status", statuses[choose(from) % NEO_COUNT(statuses)]},
        {"content-type", "application/grpc"},
        {"content-length", has_body ? "5" : "0"},
    };
    struct neo_buffer block = {0};

    put_usual(from, m, &block, fields, NEO_COUNT(fields) - choose(from) % 2);
    send_block(from, m, stream, last, neo_buffer_bytes(&block));
    neo_buffer_fini(&block);
}

static void put_trailers(struct source *from, struct message_text *m, uint32_t stream, bool last)
{
    static const struct usual fields[] = {{"grpc-status", "0"}, {"grpc-message", "ok"}};
    struct neo_buffer block = {0};

    put_usual(from, m, &block, fields, NEO_COUNT(fields) - choose(from) % 2);
    send_block(from, m, stream, last, neo_buffer_bytes(&block));
    neo_buffer_fini(&block);
}

static void put_body(struct source *from, struct message_text *m, uint32_t stream, bool last)
{
    size_t pieces = 1 + choose(from) % 3;

    for (size_t i = 1; i <= pieces; i++)
        frames_data(&m->bytes, stream, last && i == pieces ? FLAG_END_STREAM : 0,
                    one_in(from, 12) ? choose(from) % 8
                    : i == 1         ? 5
                                     : 0);
}

/*
 * Any course of a stream, the right ones most of all. What comes behind END_STREAM is no matter of
 * messages (the guard holds peers to it), and so nothing does.
 */
static void make_message(struct source *from, bool server, uint32_t stream, struct message_text *m)
{
    uint8_t shape = choose(from);
    bool has_body = (shape & 1) != 0;
    bool has_trailers = (shape & 6) == 0;
    bool stays_open = (shape & 0x70) == 0;
    bool has_first = !server && (shape & 8) != 0 && one_in(from, 2);
    bool first_ends = has_first && one_in(from, 20);

    if (has_first)
        put_response(from, m, stream, first_ends, false);
    if (first_ends)
        return;
    if (server)
        put_request(from, m, stream, !has_body && !has_trailers && !stays_open,
                    has_body != one_in(from, 10));
    else
        put_response(from, m, stream, !has_body && !has_trailers && !stays_open,
                     has_body != one_in(from, 10));
    if (has_body)
        put_body(from, m, stream, !has_trailers && !stays_open);
    if (has_trailers)
        put_trailers(from, m, stream, !stays_open);
    if (stays_open && one_in(from, 4))
        put_trailers(from, m, stream, false);
    if (stays_open)
        frames_reset(&m->bytes, stream, H2_CANCEL);
}

/* --- what they say ---------------------------------------------------------------------------- */

/* The same frames; when credit is given is nobody's judgement. */
static void say_frames(struct judge *j, struct neo_buffer *text)
{
    struct neo_bytes in = neo_buffer_bytes(&j->out);
    struct frame f;

    while (frames_next(&in, &f)) {
        if (f.type == FRAME_WINDOW_UPDATE)
            continue;
        neo_buffer_printf(text, "frame %u %u %u ", f.type, f.flags, f.stream);
        neo_buffer_append(text, f.payload);
    }
}

static void must_agree(struct judge *a, struct judge *b, const struct message_text *m)
{
    struct neo_buffer of_a = {0};
    struct neo_buffer of_b = {0};

    say_frames(a, &of_a);
    say_frames(b, &of_b);
    bool agree = a->dead == b->dead &&
                 neo_bytes_equal(neo_buffer_bytes(&a->said), neo_buffer_bytes(&b->said)) &&
                 neo_bytes_equal(neo_buffer_bytes(&of_a), neo_buffer_bytes(&of_b));
    if (!agree) {
        (void)fprintf(stderr, "one said%s\n%.*s%.*s\nthe other%s\n%.*s%.*s\nof\n",
                      a->dead ? ", and ended," : "", NEO_FMT(a->said), NEO_FMT(of_a),
                      b->dead ? ", and ended," : "", NEO_FMT(b->said), NEO_FMT(of_b));
        for (size_t i = 0; i < m->bytes.len; i++)
            (void)fprintf(stderr, "%02x%s", m->bytes.at[i], i + 1 < m->bytes.len ? "" : "\n");
    }
    assert(agree);
    neo_buffer_fini(&of_a);
    neo_buffer_fini(&of_b);
}

/* Returns false when the connection ended with it. */
static bool judge_message(struct source *from, struct judge *judges, bool server, uint32_t stream,
                          neo_nsec now)
{
    struct message_text m = {0};
    bool whole = one_in(from, 2);

    make_message(from, server, stream, &m);
    for (size_t i = 0; i < JUDGES; i++) {
        neo_buffer_clear(&judges[i].said);
        neo_buffer_clear(&judges[i].out);
        if (!server)
            call(&judges[i], whole);
        assert(h2_pull(judges[i].h2, SIZE_MAX, now, &judges[i].out, NULL) == NEO_OK);
        feed(&judges[i], neo_buffer_bytes(&m.bytes), now);
        if (judges[i].call != NULL)
            h2_reset(judges[i].h2, judges[i].call, H2_CANCEL, false);
        if (!judges[i].dead)
            feed(&judges[i], (struct neo_bytes){0}, now);
    }
    must_agree(&judges[H2_JUDGE_ENGINE], &judges[H2_JUDGE_BOTH], &m);
    if (!m.stricter)
        must_agree(&judges[H2_JUDGE_ENGINE], &judges[H2_JUDGE_NGHTTP2], &m);
    neo_buffer_fini(&m.bytes);
    return !judges[0].dead && !m.stricter;
}

/* Returns how many it judged, at least one. */
static size_t judge_session(struct source *from, size_t messages)
{
    struct judge judges[JUDGES];
    bool server = (choose(from) & 1) != 0;
    size_t n = 0;

    for (size_t i = 0; i < JUDGES; i++)
        begin(&judges[i], (enum h2_judge)i, server);
    for (bool alive = true; alive && n < messages; n++)
        alive = judge_message(from, judges, server, (uint32_t)n * 2 + 1,
                              ((neo_nsec)n + 1) * 10 * NEO_NSEC_PER_SEC);
    for (size_t i = 0; i < JUDGES; i++)
        end(&judges[i]);
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct source from = {.in = neo_bytes(data, size)};
    size_t messages = MESSAGES_OF_AN_INPUT;

    if (size == 7 && data[0] == 0xff) {
        from.seed = UINT64_C(0x9e3779b97f4a7c15) ^ (uint64_t)data[1] << 24 ^
                    (uint64_t)data[2] << 16 ^ (uint64_t)data[3] << 8 ^ data[4];
        messages = (size_t)data[5] << 8 | data[6];
    }
    messages = messages < MESSAGES_MOST ? messages : MESSAGES_MOST;
    while (messages > 0)
        messages -=
            judge_session(&from, messages < MESSAGES_PER_SESSION ? messages : MESSAGES_PER_SESSION);
    return 0;
}
