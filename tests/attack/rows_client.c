/* SPDX-License-Identifier: Apache-2.0 */
/*
 * H19, G07, G10, T07: a hostile server against a client of ours, which must fail its calls in
 * bounded time, hold little, and go on calling an honest server beside it.
 */
#include "matrix.h"

#include <stdio.h>
#include <stdlib.h>

/* --- floods; the client's first call is stream 1 -------------------------------------------------
 */

static void informational(struct neo_buffer *out, uint32_t i)
{
    (void)i;
    frames_headers(out, 1, 0,
                   NEO_LIT("\x08\x03"
                           "103\x00\x04link\x02/x"));
}

static void endless_trailers(struct neo_buffer *out, uint32_t i)
{
    if (i == 0) {
        frames_headers(out, 1, 0, NEO_LIT("\x88"));
        frames_put(out, FRAME_HEADERS, FLAG_END_STREAM, 1, NEO_LIT("\x00\x01x\x01y"));
    } else {
        frames_put(out, FRAME_CONTINUATION, i == 20000 ? FLAG_END_HEADERS : 0, 1,
                   NEO_LIT("\x00\x01x\x01y"));
    }
}

static void stray_reset(struct neo_buffer *out, uint32_t i)
{
    (void)i;
    frames_reset(out, 1, H2_CANCEL);
}

static void goaway(struct neo_buffer *out, uint32_t i)
{
    (void)i;
    frames_goaway(out, 1, H2_NO_ERROR);
}

/* The two of a server that says goodbye as it should. */
static void one_goaway(struct neo_buffer *out, uint32_t i)
{
    frames_goaway(out, i == 0 ? 0x7fffffff : 1, H2_NO_ERROR);
}

static void settings(struct neo_buffer *out, uint32_t i)
{
    frames_setting(out, SETTING_MAX_CONCURRENT_STREAMS, 100 + i % 10);
}

static void ping(struct neo_buffer *out, uint32_t i)
{
    (void)i;
    frames_ping(out, 0);
}

static void unknown(struct neo_buffer *out, uint32_t i)
{
    (void)i;
    frames_put(out, 0x42, 0, 0, NEO_LIT("x"));
}

static void empty_data(struct neo_buffer *out, uint32_t i)
{
    if (i == 0)
        frames_headers(out, 1, 0, NEO_LIT("\x88"));
    frames_data(out, 1, 0, 0);
}

/* Before it has acknowledged the client's SETTINGS, which say that there is to be none. */
static void push_promise(struct report *r)
{
    struct neo_buffer out = {0};
    struct link l;

    attack_serve_early(&l);
    frames_put(&out, FRAME_PUSH_PROMISE, FLAG_END_HEADERS, 1,
               NEO_LIT("\0\0\0\2\x82\x87\x84\x41\1\x61"));
    (void)attack_send(&l, &out);
    r->through = link_is_alive(&l);
    attack_say_end(r, &l, 1);
    neo_buffer_fini(&out);
    link_close(&l);
}

static void window_update(struct neo_buffer *out, uint32_t i)
{
    (void)i;
    frames_window_update(out, 0, 1);
}

/* --- answers -------------------------------------------------------------------------------------
 */

static void put_head_of_answer(struct neo_buffer *out, uint32_t stream, const char *encoding)
{
    struct neo_buffer block = {0};

    neo_buffer_append_byte(&block, 0x88);
    frames_field(&block, NEO_LIT("content-type"), NEO_LIT("application/grpc"));
    if (encoding != NULL)
        frames_field(&block, NEO_LIT("grpc-encoding"), neo_text(encoding));
    frames_headers(out, stream, 0, neo_buffer_bytes(&block));
    neo_buffer_fini(&block);
}

/* `alone`: without headers before it, which would commit the call. */
static void put_status(struct neo_buffer *out, uint32_t stream, bool alone, const char *status,
                       const char *name, const char *value)
{
    struct neo_buffer block = {0};

    if (alone)
        neo_buffer_append_byte(&block, 0x88);
    if (alone)
        frames_field(&block, NEO_LIT("content-type"), NEO_LIT("application/grpc"));
    frames_field(&block, NEO_LIT("grpc-status"), neo_text(status));
    if (name != NULL)
        frames_field(&block, neo_text(name), neo_text(value));
    frames_headers(out, stream, FLAG_END_STREAM, neo_buffer_bytes(&block));
    neo_buffer_fini(&block);
}

/* A good answer: the twin of what follows. */
static void good_answer(struct report *r)
{
    struct neo_buffer out = {0};
    struct link l;

    attack_serve(&l);
    put_head_of_answer(&out, 1, NULL);
    put_message(&out, 1, NEO_LIT("\x12\x02ok"), 0);
    put_status(&out, 1, false, "0", NULL, NULL);
    (void)attack_send(&l, &out);
    for (int i = 0; i < 300 && stage_calls() == 0; i++)
        link_read(&l, 10);
    r->through = stage_calls_ok() > 0;
    attack_say(r, "a good answer is OK");
    neo_buffer_fini(&out);
    link_close(&l);
}

/* Sends it as the answer to the first call and says how that ended: with OK, or not in time, is
 * through. */
static void answer_with(struct report *r, struct link *l, struct neo_buffer *out)
{
    (void)attack_send(l, out);
    for (int i = 0; i < 500 && stage_calls() == 0; i++) {
        link_read(l, 10);
        stage_sleep(l->closed ? 10 : 0);
    }
    r->through = stage_calls_ok() > 0 || stage_calls() == 0;
    attack_say(r, "call ends with %d after %u ms", stage_code(), stage_longest());
    neo_buffer_fini(out);
    link_close(l);
}

static void header_bomb(struct report *r)
{
    static uint8_t block[16384] = {0x88, 0x40, 0x01, 0x61, 0x7f, 0xbd, 0x1d};
    struct neo_buffer out = {0};
    struct link l;

    memset(block + 7, 'x', 3900);
    memset(block + 7 + 3900, 0xbe, sizeof(block) - 7 - 3900);
    attack_serve(&l);
    frames_headers(&out, 1, 0, neo_bytes(block, sizeof(block)));
    answer_with(r, &l, &out);
}

static void announced(struct report *r)
{
    struct neo_buffer out = {0};
    struct link l;

    attack_serve(&l);
    put_head_of_answer(&out, 1, NULL);
    frames_put(&out, FRAME_DATA, 0, 1, NEO_LIT("\x00\xff\xff\xff\xffx"));
    answer_with(r, &l, &out);
}

/*
 * Messages without end, at no pace but the sender's: beyond the client's windows it is an error of
 * the connection. The control keeps within them.
 */
static void endless(struct report *r)
{
    static const uint8_t text[16374];
    struct neo_buffer out = {0}, message = {0};
    unsigned most = r->control ? 3 : 6400000, n = 0; /* 100 GB */
    struct link l;

    neo_buffer_append(&message, NEO_LIT("\x0a\xf6\x7f"));
    neo_buffer_append(&message, neo_bytes(text, sizeof(text)));
    attack_serve(&l);
    put_head_of_answer(&out, 1, NULL);
    for (; n < most && !l.closed; n++) {
        put_message(&out, 1, neo_buffer_bytes(&message), 0);
        (void)attack_send(&l, &out);
    }
    r->through = !l.closed && link_is_alive(&l);
    attack_say_end(r, &l, n);
    neo_buffer_fini(&message);
    neo_buffer_fini(&out);
    link_close(&l);
}

/* A hundred messages of 200 KB, in a twentieth of a window, for a reader who takes one of them. */
static void packed_stream(struct report *r)
{
    struct neo_buffer out = {0}, message = {0};
    struct link l;

    put_gzip_message(&message, 200000);
    attack_serve(&l);
    put_head_of_answer(&out, 1, "gzip");
    for (int i = 0; i < (r->control ? 1 : 100); i++)
        frames_put(&out, FRAME_DATA, 0, 1, neo_buffer_bytes(&message));
    (void)attack_send(&l, &out);
    size_t sent = message.len;
    for (int i = 0; i < 200 && stage_calls() == 0; i++)
        link_read(&l, 10);
    r->through = r->control ? stage_calls_ok() == 1 : stage_calls_ok() != 1 || !link_is_alive(&l);
    attack_say(r, "%zu bytes each; the reader has taken %u", sent, stage_calls_ok());
    neo_buffer_fini(&message);
    neo_buffer_fini(&out);
    link_close(&l);
}

static void second_message(struct report *r)
{
    struct neo_buffer out = {0};
    struct link l;

    attack_serve(&l);
    put_head_of_answer(&out, 1, NULL);
    put_message(&out, 1, NEO_LIT("\x12\x02ok"), 0);
    put_message(&out, 1, NEO_LIT("\x12\x02ok"), 0);
    put_status(&out, 1, false, "0", NULL, NULL);
    answer_with(r, &l, &out);
}

static void no_status(struct report *r)
{
    struct neo_buffer out = {0};
    struct link l;

    attack_serve(&l);
    put_head_of_answer(&out, 1, NULL);
    put_message(&out, 1, NEO_LIT("\x12\x02ok"), 0);
    frames_reset(&out, 1, H2_NO_ERROR);
    answer_with(r, &l, &out);
}

static void no_answer(struct report *r)
{
    struct neo_buffer out = {0};
    struct link l;

    attack_serve(&l);
    frames_setting(&out, SETTING_INITIAL_WINDOW_SIZE, 0);
    put_head_of_answer(&out, 1, NULL);
    answer_with(r, &l, &out);
}

/* The first call is answered, and the next has no stream. The control lets it have one. */
static void no_streams(struct report *r)
{
    struct neo_buffer out = {0};
    struct link l, other;
    unsigned more = 0;

    attack_serve(&l);
    frames_setting(&out, SETTING_MAX_CONCURRENT_STREAMS, r->control ? 100 : 0);
    put_head_of_answer(&out, 1, NULL);
    put_message(&out, 1, NEO_LIT("\x12\x02ok"), 0);
    put_status(&out, 1, false, "0", NULL, NULL);
    (void)attack_send(&l, &out);
    for (int i = 0; i < 500 && stage_calls() < 2 && l.frames[FRAME_HEADERS] < 2; i++) {
        link_read(&l, 10);
        while (link_accept(&other, stage_listener(), 0)) {
            link_close(&other);
            more++;
        }
    }
    r->through = r->control ? l.frames[FRAME_HEADERS] > 1
                            : l.frames[FRAME_HEADERS] > 1 || stage_calls() < 2 || more > 10;
    attack_say(r, "%zu requests; the second ends with %d after %u ms, %u connections more",
               l.frames[FRAME_HEADERS], stage_code(), stage_longest(), more);
    neo_buffer_fini(&out);
    link_close(&l);
}

/* As slowly as the client's windows let it in. */
static void send_data(struct link *l, struct neo_buffer *out, struct neo_bytes body)
{
    while (body.len > 0 && !l->closed) {
        size_t len = body.len < 16384 ? body.len : 16384;
        frames_put(out, FRAME_DATA, 0, 1, neo_bytes(body.at, len));
        body = neo_bytes_from(body, len);
        (void)attack_send(l, out);
        link_read(l, 1);
    }
}

/* 4.16 MB that stand for 4 GiB. */
static void gzip_bomb(struct report *r)
{
    struct neo_buffer bomb = {0}, out = {0};
    struct link l;

    put_gzip_bomb(&bomb, GZIP_BOMB_LEN);
    attack_serve(&l);
    put_head_of_answer(&out, 1, "gzip");
    send_data(&l, &out, neo_buffer_bytes(&bomb));
    put_status(&out, 1, false, "0", NULL, NULL);
    neo_buffer_fini(&bomb);
    answer_with(r, &l, &out);
}

/* What an answer takes that is large and no more. */
static void large_answer(struct report *r)
{
    enum { LEN = 4160000 };
    struct neo_buffer body = {0}, out = {0};
    struct link l;

    put_large_message(&body, LEN);
    attack_serve(&l);
    put_head_of_answer(&out, 1, NULL);
    send_data(&l, &out, neo_buffer_bytes(&body));
    put_status(&out, 1, false, "0", NULL, NULL);
    neo_buffer_fini(&body);
    answer_with(r, &l, &out);
    r->through = stage_calls_ok() > 0;
}

static void gzip_garbage(struct report *r)
{
    struct neo_buffer out = {0};
    struct link l;

    attack_serve(&l);
    put_head_of_answer(&out, 1, "gzip");
    frames_put(
        &out, FRAME_DATA, 0, 1,
        NEO_LIT("\x01\x00\x00\x00\x10\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xff\xff\xff\xff"
                "\xff\xff"));
    put_status(&out, 1, false, "0", NULL, NULL);
    answer_with(r, &l, &out);
}

/* G07: a text longer than anybody wants to read. What is in it is the writer's: logs escape it. */
static void answer_with_text(struct report *r, size_t len)
{
    static char text[1 << 20];
    struct neo_buffer out = {0};
    struct link l;

    for (size_t i = 0; i + 9 < len; i += 9)
        memcpy(text + i, "%0d%0a%00", 9);
    attack_serve(&l);
    put_head_of_answer(&out, 1, NULL);
    put_status(&out, 1, false, "13", "grpc-message", text);
    answer_with(r, &l, &out);
    r->through = r->through || stage_text() > KIB;
    attack_say(r, "call ends with %d and %u bytes of text", stage_code(), stage_text());
}

static void huge_text(struct report *r)
{
    answer_with_text(r, 1 << 20);
}

/* It fits into what a client takes of headers. */
static void long_text(struct report *r)
{
    answer_with_text(r, 15000);
}

/* The same text with nothing to escape and short enough arrives whole. */
static void short_text(struct report *r)
{
    struct neo_buffer out = {0};
    struct link l;

    attack_serve(&l);
    put_status(&out, 1, true, "13", "grpc-message", "a%0d%0ab");
    answer_with(r, &l, &out);
    r->through = stage_code() == NEO_INTERNAL && stage_text() == 4;
    attack_say(r, "a short one arrives");
}

/* G07: what should be base64, in details and in metadata. */
static void bad_binary(struct report *r)
{
    struct neo_buffer out = {0};
    struct link l;

    attack_serve(&l);
    put_status(&out, 1, true, "13", "grpc-status-details-bin", "%%% this is none");
    answer_with(r, &l, &out);
    r->through = r->through || stage_code() != NEO_INTERNAL;
}

/* T07: the line goes dead in the middle of a message. */
static void truncated(struct report *r)
{
    struct neo_buffer out = {0};
    struct link l;

    attack_serve(&l);
    put_head_of_answer(&out, 1, NULL);
    frames_put(&out, FRAME_DATA, 0, 1, NEO_LIT("\x00\x00\x00\x00\x04\x12"));
    (void)attack_send(&l, &out);
    stage_sleep(50);
    link_close(&l);
    for (int i = 0; i < 4000 && stage_calls() == 0; i++)
        stage_sleep(1);
    r->through = stage_calls_ok() > 0 || stage_calls() == 0;
    attack_say(r, "call ends with %d", stage_code());
    neo_buffer_fini(&out);
}

/* --- G10: pushback -------------------------------------------------------------------------------
 */

/* UNAVAILABLE with this; how many attempts does the first call make in a second? */
static unsigned attempts_with(const char *pushback)
{
    struct neo_buffer out = {0};
    struct link l;
    size_t answered = 0;

    attack_serve(&l);
    unsigned calls = stage_calls();
    for (int i = 0; i < 100 && stage_calls() == calls && !l.closed; i++) {
        for (; answered < l.frames[FRAME_HEADERS]; answered++) {
            put_status(&out, id_of((uint32_t)answered), true, "14", "grpc-retry-pushback-ms",
                       pushback);
            (void)attack_send(&l, &out);
        }
        link_read(&l, 10);
    }
    neo_buffer_fini(&out);
    link_close(&l);
    return (unsigned)answered;
}

static void pushback(struct report *r)
{
    static const char *const hostile[] = {"-1", "abc", "2147483648000", "1e3", "", "0x1", " 1"};
    char said[64] = "";
    bool again = false;

    if (r->control) {
        unsigned n = attempts_with("1");
        r->through = n == 3;
        attack_say(r, "1 ms: %u attempts", n);
        return;
    }
    for (size_t i = 0; i < NEO_COUNT(hostile); i++) {
        unsigned n = attempts_with(hostile[i]);
        size_t used = strlen(said);
        (void)snprintf(said + used, sizeof(said) - used, "%u ", n);
        again = again || n != 1;
    }
    r->through = again;
    attack_say(r, "attempts: %s", said);
}

#define FLOOD(name)  .unit = name, .client = true
#define ANSWER(name) .run = name, .control = good_answer, .client = true, .same_server = true

const struct row rows_client[] = {
    {"H19", "client: 1xx without end", FLOOD(informational)},
    {"H19", "client: trailers without end", FLOOD(endless_trailers), .control_units = 20001},
    {"H19", "client: RST_STREAM", FLOOD(stray_reset)},
    {"H19", "client: GOAWAY", FLOOD(goaway), .twin = one_goaway, .control_units = 2},
    {"H19", "client: SETTINGS", FLOOD(settings), .control_units = 5000},
    {"H19", "client: PING", FLOOD(ping)},
    {"H19", "client: unknown frames", FLOOD(unknown)},
    {"H19", "client: empty DATA", FLOOD(empty_data)},
    {"H19", "client: WINDOW_UPDATE of 1", FLOOD(window_update)},
    {"H19", "client: PUSH_PROMISE before the ACK", .run = push_promise, .client = true},
    {"H19", "client: header bomb", .run = header_bomb, .client = true, .explodes = 10 * MIB},
    {"H19", "client: 4 GiB announced", ANSWER(announced)},
    {"H19", "client: a stream without end", .run = endless, .client = true, .victim_streams = true,
     .same_server = true},
    {"H19", "client: 20 MB in gzip, not read", .run = packed_stream, .client = true,
     .victim_streams = true, .same_server = true},
    {"H19", "client: a second message", ANSWER(second_message)},
    {"H19", "client: reset instead of a status", ANSWER(no_status)},
    {"H19", "client: window 0 and silence", ANSWER(no_answer), .share = 5, .waits = true},
    {"H19", "client: no stream after the first", .run = no_streams, .client = true,
     .same_server = true, .share = 5, .waits = true},
    {"H19", "client: gzip that is none", ANSWER(gzip_garbage)},
    {"H19", "client: gzip bomb, 4 GiB in 4 MiB", .run = gzip_bomb, .control = unpack_gzip_bomb,
     .client = true, .same_server = true, .honest = large_answer},
    {"G07", "grpc-message of 1 MiB", .run = huge_text, .control = short_text, .client = true,
     .same_server = true},
    {"G07", "grpc-message of 15 KB", .run = long_text, .control = short_text, .client = true,
     .same_server = true},
    {"G07", "grpc-status-details-bin, no base64", ANSWER(bad_binary)},
    {"G10", "pushback -1, abc, 2^31 s, 1e3, empty", .run = pushback, .client = true,
     .same_server = true},
    {"T07", "client: FIN within a message", ANSWER(truncated)},
};
const size_t n_rows_client = NEO_COUNT(rows_client);
