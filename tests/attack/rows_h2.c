/* SPDX-License-Identifier: Apache-2.0 */
/* H01 - H18: what a proven peer can do with HTTP/2 and HPACK. */
#include "matrix.h"

#include <stdio.h>
#include <stdlib.h>

#define NEVER "/neo.test.v1.Echoes/Never"

/* --- H01, H02: streams opened only to be reset ---------------------------------------------------
 */

static void rapid_reset(struct neo_buffer *out, uint32_t i)
{
    put_call(out, id_of(i), "Never");
    frames_reset(out, id_of(i), H2_CANCEL);
}

/* The bytes of the CVE: its path is no method's, so that no handler ever starts. */
static void rapid_reset_bare(struct neo_buffer *out, uint32_t i)
{
    frames_headers(out, id_of(i), FLAG_END_STREAM, NEO_LIT("\x83\x87\x84\x41\x01\x61"));
    frames_reset(out, id_of(i), H2_CANCEL);
}

/* What a flood started hears of its end at once: nothing of it is left running. */
static void reset_then_look(struct report *r)
{
    struct neo_buffer out = {0};
    struct link l;
    uint32_t i = 0;

    attack_open(&l);
    while (i < 5000 && !l.closed) { /* the control one by one: else nghttp2 ends it */
        while (out.len < (r->control ? 1 : 8192))
            rapid_reset(&out, i++);
        if (!attack_send(&l, &out) || (r->control && i % 50 == 0 && !link_is_alive(&l)))
            break;
    }
    for (int n = 0; n < 3000 && stage_cancelled() < stage_handlers(); n++)
        stage_sleep(1);
    r->through = stage_cancelled() < stage_handlers() || (r->control && stage_handlers() > 1000);
    attack_say(r, "%u handlers, %u of them cancelled", stage_handlers(), stage_cancelled());
    neo_buffer_fini(&out);
    link_close(&l);
}

static void window_overflow(struct neo_buffer *out, uint32_t i)
{
    put_call(out, id_of(i), "Never");
    frames_window_update(out, id_of(i), 0x7fffffff);
}

static void window_of_zero(struct neo_buffer *out, uint32_t i)
{
    put_call(out, id_of(i), "Never");
    frames_window_update(out, id_of(i), 0);
}

static void short_priority(struct neo_buffer *out, uint32_t i)
{
    put_call(out, id_of(i), "Never");
    frames_put(out, FRAME_PRIORITY, 0, id_of(i), neo_bytes("\0\0\0", 3));
}

static void priority_on_itself(struct neo_buffer *out, uint32_t i)
{
    put_call(out, id_of(i), "Missing");
    frames_priority(out, id_of(i), id_of(i));
}

static void data_after_end(struct neo_buffer *out, uint32_t i)
{
    put_call(out, id_of(i), "Never");
    frames_data(out, id_of(i), 0, 1);
}

static void headers_after_end(struct neo_buffer *out, uint32_t i)
{
    put_call(out, id_of(i), "Missing");
    put_head(out, id_of(i), NEVER, FLAG_END_STREAM);
}

static void beyond_content_length(struct neo_buffer *out, uint32_t i)
{
    struct frames_request request = frames_good_request;

    request.path = NEVER;
    request.authority = "echo-service";
    request.more[0] = "content-length";
    request.more[1] = "5";
    frames_request(out, id_of(i), 0, &request);
    frames_data(out, id_of(i), FLAG_END_STREAM, 6);
}

static void pseudo_in_trailers(struct neo_buffer *out, uint32_t i)
{
    put_head(out, id_of(i), NEVER, 0);
    frames_headers(out, id_of(i), FLAG_END_STREAM, NEO_LIT("\x83"));
}

/* What is allowed and nearest to those of them that nghttp2 ends by itself. */
static void window_of_one(struct neo_buffer *out, uint32_t i)
{
    put_head(out, id_of(i), NEVER, 0);
    frames_window_update(out, id_of(i), 1);
}

static void whole_priority(struct neo_buffer *out, uint32_t i)
{
    put_head(out, id_of(i), NEVER, 0);
    frames_priority(out, id_of(i), 0);
}

static void data_before_end(struct neo_buffer *out, uint32_t i)
{
    put_head(out, id_of(i), "/neo.test.v1.Echoes/Sum", 0);
    frames_put(out, FRAME_DATA, 0, id_of(i), NEO_LIT("\0\0\0\0\0"));
    frames_data(out, id_of(i), FLAG_END_STREAM, 0);
}

static void trailers_at_end(struct neo_buffer *out, uint32_t i)
{
    put_head(out, id_of(i), "/neo.test.v1.Echoes/Sum", 0);
    frames_headers(out, id_of(i), FLAG_END_STREAM, NEO_LIT("\x00\x01x\x01y"));
}

static void small_call(struct neo_buffer *out, uint32_t i)
{
    put_call(out, id_of(i), "Say");
}

/* --- H03: header blocks without end --------------------------------------------------------------
 */

static void continuation(struct neo_buffer *out, uint32_t i)
{
    if (i == 0)
        frames_put(out, FRAME_HEADERS, 0, 1, NEO_LIT("\x83\x87\x84\x41\x01\x61"));
    else if (i == 20000) /* the control's last: with it the block has an end */
        frames_put(out, FRAME_CONTINUATION, FLAG_END_HEADERS, 1, NEO_LIT("\x00\x01x\x01y"));
    else
        frames_put(out, FRAME_CONTINUATION, 0, 1, NEO_LIT("\x00\x01x\x01y"));
}

static void eight_empty(struct neo_buffer *out, uint32_t i)
{
    frames_put(out, FRAME_HEADERS, FLAG_END_STREAM, id_of(i), NEO_LIT("\x83\x87\x84\x41\x01\x61"));
    for (int n = 0; n < 8; n++)
        frames_put(out, FRAME_CONTINUATION, n == 7 ? FLAG_END_HEADERS : 0, id_of(i), NEO_LIT(""));
}

/* --- H04 to H07: HPACK ---------------------------------------------------------------------------
 */

static void put_grpc_fields(struct neo_buffer *block)
{
    frames_field(block, NEO_LIT(":method"), NEO_LIT("POST"));
    frames_field(block, NEO_LIT(":scheme"), NEO_LIT("https"));
    frames_field(block, NEO_LIT(":path"), NEO_LIT(NEVER));
    frames_field(block, NEO_LIT(":authority"), NEO_LIT("echo-service"));
    frames_field(block, NEO_LIT("content-type"), NEO_LIT("application/grpc"));
    frames_field(block, NEO_LIT("te"), NEO_LIT("trailers"));
}

/* A good request, a seed for the table on the first stream, and a frame full of references to it.
 */
static void put_bomb(struct neo_buffer *out, uint32_t i, struct neo_bytes seed)
{
    struct neo_buffer block = {0};

    put_grpc_fields(&block);
    if (i == 0)
        neo_buffer_append(&block, seed);
    while (block.len < 16384)
        neo_buffer_append_byte(&block, 0xbe);
    frames_put(out, FRAME_HEADERS, FLAG_END_HEADERS, id_of(i), neo_buffer_bytes(&block));
    neo_buffer_fini(&block);
}

static void drop_bombs(struct report *r, struct neo_bytes seed, uint32_t most)
{
    struct neo_buffer out = {0};
    struct link l;
    uint32_t i = 0;

    attack_open(&l);
    frames_setting(&out, SETTING_INITIAL_WINDOW_SIZE, 0);
    for (; i < most && !l.closed; i++) {
        put_bomb(&out, i, seed);
        (void)attack_send(&l, &out);
        link_read(&l, 2);
    }
    r->through = !l.closed && link_is_alive(&l);
    attack_say_end(r, &l, i);
    neo_buffer_fini(&out);
    link_close(&l);
}

static void http2_bomb(struct report *r)
{
    drop_bombs(r, NEO_LIT("\x40\x01\x61\x01\x62"), 100);
}

/* Fields that are put together again: 40 of them in a block count as one elsewhere. */
static void cookie_bomb(struct report *r)
{
    drop_bombs(r,
               NEO_LIT("\x40\x06"
                       "cookie\x01"
                       "a"),
               100);
}

static void hpack_bomb(struct report *r)
{
    static uint8_t seed[6 + 3900] = {0x40, 0x01, 0x61, 0x7f, 0xbd, 0x1d};

    memset(seed + 6, 'x', sizeof(seed) - 6);
    drop_bombs(r, neo_bytes(seed, sizeof(seed)), r->control ? 2 : 100);
}

/*
 * An oversize block that also makes an entry, and a request that uses the entry. Through is what
 * arrives as anything but exactly that. The control makes no entry: its request cannot be right.
 */
static void desync(struct report *r)
{
    struct neo_buffer out = {0}, block = {0};
    struct link l;

    attack_open(&l);
    put_grpc_fields(&block);
    for (int i = 0; i < 200; i++)
        frames_field(&block, NEO_LIT("x"), NEO_LIT("y"));
    if (!r->control)
        neo_buffer_append(&block, NEO_LIT("\x40\x06x-late\x03yes"));
    frames_headers(&out, 1, FLAG_END_STREAM, neo_buffer_bytes(&block));
    neo_buffer_clear(&block);
    put_grpc_fields(&block);
    neo_buffer_append_byte(&block, 0xbe);
    frames_headers(&out, 3, 0, neo_buffer_bytes(&block));
    put_message(&out, 3, NEO_LIT("\x12\x00"), FLAG_END_STREAM);
    (void)attack_send(&l, &out);
    if (r->control)
        (void)link_wait_closed(&l, 3000);
    else
        (void)stage_wait_handlers(1);
    r->through = stage_late() != 1 || stage_handlers() != 1;
    attack_say(r, "%s", stage_late() == 1 ? "refused; the next request is exact" : "no request");
    neo_buffer_fini(&out);
    neo_buffer_fini(&block);
    link_close(&l);
}

static void nameless(struct neo_buffer *out, uint32_t i)
{
    static const uint8_t block[15000];

    frames_headers(out, id_of(i), FLAG_END_STREAM, neo_bytes(block, sizeof(block)));
}

/* --- H08: output that nobody takes ---------------------------------------------------------------
 */

/* Answers of 60 KB on a hundred streams, and windows that grow by ones: the server must hold back
 * what it cannot send. With open windows it sends all 6 MB. */
static void dribble(struct report *r)
{
    struct neo_buffer out = {0};
    struct link l;

    attack_open(&l);
    frames_setting(&out, SETTING_INITIAL_WINDOW_SIZE, r->control ? 1000000 : 1);
    if (r->control)
        frames_window_update(&out, 0, 10000000);
    for (uint32_t i = 0; i < 100; i++)
        put_call(&out, id_of(i), "Later");
    (void)attack_send(&l, &out);
    for (uint32_t n = 0; n < 5 && !r->control; n++) {
        for (uint32_t i = 0; i < 100; i++)
            frames_window_update(&out, id_of(i), 1);
        (void)attack_send(&l, &out);
        link_read(&l, 50);
    }
    for (int n = 0; n < (r->control ? 50 : 3) && l.data < 100 * 60000; n++)
        link_read(&l, 100);
    r->through = l.data >= 100 * 60000;
    attack_say(r, "%zu bytes in %zu frames of DATA", l.data, l.frames[FRAME_DATA]);
    neo_buffer_fini(&out);
    link_close(&l);
}

/* HTTP/2's windows are open and TCP's is shut. The control reads. */
static void unread(struct report *r)
{
    enum { LINKS = 1 };
    struct neo_buffer out = {0};
    struct link l[LINKS];
    size_t data = 0;

    for (int n = 0; n < LINKS; n++) {
        attack_open(&l[n]);
        frames_setting(&out, SETTING_INITIAL_WINDOW_SIZE, 0x7fffffff);
        frames_window_update(&out, 0, 0x7fff0000 - 65535);
        (void)attack_send(&l[n], &out);
        l[n].deaf = !r->control;
        for (uint32_t i = 0; i < 100; i++) {
            put_call(&out, id_of(i), "Later");
            (void)attack_send(&l[n], &out);
        }
    }
    for (int n = 0; n < LINKS; n++) {
        for (int i = 0; i < (r->control ? 50 : 2) && l[n].data < 100 * 60000; i++)
            link_read(&l[n], 100);
        data += l[n].data;
        link_close(&l[n]);
    }
    r->connections = LINKS;
    r->through = data >= LINKS * 100 * 60000;
    attack_say(r, "%zu KiB read of 6 MB", data / KIB);
    neo_buffer_fini(&out);
}

/* --- H09, H10: floods of small frames ------------------------------------------------------------
 */

static void ping(struct neo_buffer *out, uint32_t i)
{
    (void)i;
    frames_ping(out, 0);
}

static void pong(struct neo_buffer *out, uint32_t i)
{
    (void)i;
    frames_ping(out, FLAG_ACK);
}

static void settings(struct neo_buffer *out, uint32_t i)
{
    for (uint32_t s = 0; i == 0 && s < 100; s++)
        put_head(out, id_of(s), NEVER, 0);
    frames_setting(out, SETTING_INITIAL_WINDOW_SIZE, i % 2 ? 0 : 0x7fffffff);
}

static void priority(struct neo_buffer *out, uint32_t i)
{
    frames_priority(out, id_of(i % 100000), 0);
}

static void empty_data(struct neo_buffer *out, uint32_t i)
{
    if (i == 0)
        put_head(out, 1, "/neo.test.v1.Echoes/Sum", 0);
    frames_data(out, 1, 0, 0);
}

static void stray_reset(struct neo_buffer *out, uint32_t i)
{
    if (i == 0)
        put_call(out, 1, "Missing");
    frames_reset(out, 1, H2_CANCEL);
}

static void window_update(struct neo_buffer *out, uint32_t i)
{
    (void)i;
    frames_window_update(out, 0, 1);
}

static void goaway(struct neo_buffer *out, uint32_t i)
{
    if (i == 0) /* else nghttp2 is done */
        put_call(out, 1, "Never");
    frames_goaway(out, 0, H2_NO_ERROR);
}

static void malformed(struct neo_buffer *out, uint32_t i)
{
    frames_headers(out, id_of(i), FLAG_END_STREAM, NEO_LIT("\x00\x01X\x01y"));
}

static void unknown(struct neo_buffer *out, uint32_t i)
{
    (void)i;
    frames_put(out, 0x42, 0xff, 0, NEO_LIT(""));
}

static void window_of_connection(struct neo_buffer *out, uint32_t i)
{
    (void)i;
    frames_window_update(out, 0, 1000);
}

/* --- H11, H13, H15, H17 --------------------------------------------------------------------------
 */

static void padding_alone(struct neo_buffer *out, uint32_t i)
{
    if (i == 0)
        put_head(out, 1, "/neo.test.v1.Echoes/Sum", 0);
    frames_padded_data(out, 1, 0, 0, 255);
}

static void connection_window_overflow(struct neo_buffer *out, uint32_t i)
{
    (void)i;
    frames_window_update(out, 0, 0x7fffffff);
}

static void connection_window_of_zero(struct neo_buffer *out, uint32_t i)
{
    (void)i;
    frames_window_update(out, 0, 0);
}

/*
 * A stream that waits for its turn at a method gets no credit: what it brings beyond its window is
 * an error of the connection. The control brings as much as the window holds.
 */
static void beyond_the_window(struct report *r)
{
    static const uint8_t piece[16384];
    struct neo_buffer out = {0};
    struct link l;

    attack_open(&l);
    put_head(&out, 1, "/neo.test.v1.Echoes/Chat", 0);
    put_head(&out, 3, "/neo.test.v1.Echoes/Chat", 0);
    for (int i = 0; i < (r->control ? 4 : 5); i++)
        frames_put(&out, FRAME_DATA, 0, 3, neo_bytes(piece, sizeof(piece)));
    (void)attack_send(&l, &out);
    bool alive = link_is_alive(&l) && l.reset < 0;
    r->through = alive;
    if (alive)
        attack_say(r, "taken");
    else
        attack_say(r, "%s %d", l.goaway > 0 ? "GOAWAY" : "RST",
                   (int)(l.goaway > 0 ? l.goaway : l.reset));
    neo_buffer_fini(&out);
    link_close(&l);
}

static void even_id(struct neo_buffer *out, uint32_t i)
{
    put_call(out, 2 * i + 2, "Never");
}

static void stream_zero(struct neo_buffer *out, uint32_t i)
{
    (void)i;
    put_call(out, 0, "Never");
}

static void decreasing_ids(struct neo_buffer *out, uint32_t i)
{
    put_call(out, id_of(2000000 - i), "Missing");
}

static void same_id(struct neo_buffer *out, uint32_t i)
{
    put_call(out, 1, "Missing");
    if (i == 0)
        frames_reset(out, 1, H2_CANCEL);
}

/* After the last id there is no other: the server says goodbye, and still answers. */
static void last_id(struct report *r)
{
    struct neo_buffer out = {0};
    struct link l;

    attack_open(&l);
    put_call(&out, r->control ? 1 : 0x7fffffff, "Say");
    (void)attack_send(&l, &out);
    bool answered = link_wait_answer(&l, 2000) && l.grpc <= 0;
    link_read(&l, 100);
    r->through = l.goaway != 0; /* none came */
    attack_say(r, "%s, %s", answered ? "answered" : "not answered",
               l.goaway == 0 ? "GOAWAY NO_ERROR" : "no GOAWAY");
    neo_buffer_fini(&out);
    link_close(&l);
}

static void trailers_without_end(struct neo_buffer *out, uint32_t i)
{
    put_head(out, id_of(i), NEVER, 0);
    frames_headers(out, id_of(i), 0, NEO_LIT("\x00\x01x\x01y"));
}

static void reserved_trailers(struct neo_buffer *out, uint32_t i)
{
    put_head(out, id_of(i), NEVER, 0);
    put_message(out, id_of(i), NEO_LIT("\x12\x00"), 0);
    frames_headers(out, id_of(i), FLAG_END_STREAM, NEO_LIT("\x00\x0bx-caller-id\x01y"));
}

/* Names that mean something at the head, each in its turn. */
static void other_reserved_trailers(struct neo_buffer *out, uint32_t i)
{
    static const char *const names[] = {"content-length", "host", "grpc-timeout", "te"};
    static const char *const values[] = {"5", "other-service", "1S", "trailers"};
    struct neo_buffer block = {0};

    put_head(out, id_of(i), NEVER, 0);
    put_message(out, id_of(i), NEO_LIT("\x12\x00"), 0);
    frames_field(&block, neo_text(names[i % 4]), neo_text(values[i % 4]));
    frames_headers(out, id_of(i), FLAG_END_STREAM, neo_buffer_bytes(&block));
    neo_buffer_fini(&block);
}

static void many_trailers(struct neo_buffer *out, uint32_t i)
{
    struct neo_buffer block = {0};

    put_head(out, id_of(i), NEVER, 0);
    for (int n = 0; n < 1000; n++)
        frames_field(&block, NEO_LIT("x"), NEO_LIT("y"));
    frames_headers(out, id_of(i), FLAG_END_STREAM, neo_buffer_bytes(&block));
    neo_buffer_fini(&block);
}

/* Trailers never become metadata: not even one that a handler would read. */
static void late_metadata(struct report *r)
{
    struct neo_buffer out = {0}, block = {0};
    struct link l;

    attack_open(&l);
    put_grpc_fields(&block);
    if (r->control)
        frames_field(&block, NEO_LIT("x-late"), NEO_LIT("yes"));
    frames_headers(&out, 1, 0, neo_buffer_bytes(&block));
    put_message(&out, 1, NEO_LIT("\x12\x00"), 0);
    frames_headers(&out, 1, FLAG_END_STREAM, NEO_LIT("\x00\x06x-late\x03yes"));
    (void)attack_send(&l, &out);
    (void)stage_wait_handlers(1);
    r->through = stage_late() > 0;
    attack_say(r, "%u handlers, %u saw the field", stage_handlers(), stage_late());
    neo_buffer_fini(&out);
    neo_buffer_fini(&block);
    link_close(&l);
}

static void windows_after_goaway(struct neo_buffer *out, uint32_t i)
{
    if (i == 0) {
        put_head(out, 1, NEVER, 0);
        frames_goaway(out, 0, H2_NO_ERROR);
    }
    frames_window_update(out, 1, 1);
}

static void zero_windows_after_goaway(struct neo_buffer *out, uint32_t i)
{
    if (i == 0) {
        put_head(out, 1, NEVER, 0);
        frames_goaway(out, 0, H2_NO_ERROR);
    }
    frames_window_update(out, 1, 0);
}

static void one_window_after_goaway(struct neo_buffer *out, uint32_t i)
{
    if (i == 0) {
        put_head(out, 1, NEVER, 0);
        frames_goaway(out, 0, H2_NO_ERROR);
    }
    frames_window_update(out, 1, 100);
}

static void resets_after_goaway(struct neo_buffer *out, uint32_t i)
{
    if (i == 0) {
        put_head(out, 1, NEVER, 0);
        frames_goaway(out, 0, H2_NO_ERROR);
    }
    rapid_reset(out, i + 1);
}

/* --- H14: other beginnings -----------------------------------------------------------------------
 */

/* Without TLS: what comes back, and whether anything was handled. */
static void say_in_the_clear(struct report *r, struct neo_bytes bytes)
{
    struct neo_buffer out = {0};
    struct link l;

    if (!link_connect(&l, stage_address()))
        exit(2);
    if (r->control) {
        const struct raw_options tls = stage_tls();
        (void)link_secure(&l, &tls, 5000);
    }
    neo_buffer_append(&out, bytes);
    put_call(&out, 1, "Never");
    (void)attack_send(&l, &out);
    bool closed = r->control ? !stage_wait_handlers(1) : link_wait_closed(&l, 3000);
    r->through = stage_handlers() > 0;
    attack_say(r, "%s, %u handlers", closed ? "closed" : "open", stage_handlers());
    neo_buffer_fini(&out);
    link_close(&l);
}

static void in_the_clear(struct report *r)
{
    struct neo_buffer out = {0};

    frames_preface(&out);
    say_in_the_clear(r, neo_buffer_bytes(&out));
    neo_buffer_fini(&out);
}

static void upgrade(struct report *r)
{
    static const char text[] = "GET / HTTP/1.1\r\nHost: echo-service\r\nConnection: Upgrade, "
                               "HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: \r\n\r\n";

    if (r->control)
        in_the_clear(r);
    else
        say_in_the_clear(r, NEO_LIT(text));
}

static void with_alpn(struct report *r, const char *alpn)
{
    struct raw_options tls = stage_tls();
    struct neo_buffer out = {0};
    struct link l;

    tls.alpn = r->control ? NULL : alpn;
    (void)link_open(&l, stage_address(), &tls);
    frames_preface(&out);
    put_call(&out, 1, "Never");
    (void)attack_send(&l, &out);
    (void)(r->control ? stage_wait_handlers(1) : link_wait_closed(&l, 3000));
    r->through = stage_handlers() > 0;
    attack_say(r, "alert %d, %u handlers", l.raw->alert, stage_handlers());
    neo_buffer_fini(&out);
    link_close(&l);
}

static void alpn_http11(struct report *r)
{
    with_alpn(r, "\x08http/1.1");
}

static void no_alpn(struct report *r)
{
    with_alpn(r, "");
}

/* Inside TLS, before or instead of the preface; the control says nothing of the kind. */
static void say_first(struct report *r, struct neo_bytes bytes, bool preface)
{
    const struct raw_options tls = stage_tls();
    struct neo_buffer out = {0};
    struct link l;

    (void)link_open(&l, stage_address(), &tls);
    if (preface || r->control)
        frames_preface(&out);
    if (!r->control)
        neo_buffer_append(&out, bytes);
    put_call(&out, 1, "Never");
    (void)attack_send(&l, &out);
    (void)(r->control ? stage_wait_handlers(1) : link_wait_closed(&l, 3000));
    r->through = stage_handlers() > 0;
    attack_say(r, "%s, GOAWAY %d, %u handlers", l.closed ? "closed" : "open", (int)l.goaway,
               stage_handlers());
    neo_buffer_fini(&out);
    link_close(&l);
}

static void preface_again(struct report *r)
{
    say_first(r, NEO_LIT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), true);
}

static void no_preface(struct report *r)
{
    say_first(r, NEO_LIT("GET / HTTP/1.1\r\nHost: echo-service\r\n\r\n"), false);
}

static void push_promise(struct report *r)
{
    say_first(r, NEO_LIT("\0\0\6\5\4\0\0\0\1\0\0\0\2\x82\x87"), true);
}

static void large_frame(struct report *r)
{
    static const uint8_t frame[9 + 16385] = {0, 0x40, 1, 0, 0, 0, 0, 0, 1};

    say_first(r, neo_bytes(frame, sizeof(frame)), true);
}

/* --- H16: authority ------------------------------------------------------------------------------
 */

static void call_with(struct report *r, const char *authority, const char *host)
{
    struct frames_request request = frames_good_request;
    struct neo_buffer out = {0};
    struct link l;

    attack_open(&l);
    request.path = NEVER;
    request.authority = r->control ? "echo-service" : authority;
    request.more[0] = host == NULL ? NULL : "host";
    request.more[1] = r->control ? "echo-service" : host;
    frames_request(&out, 1, 0, &request);
    put_message(&out, 1, NEO_LIT("\x12\x00"), FLAG_END_STREAM);
    (void)attack_send(&l, &out);
    (void)(r->control ? stage_wait_handlers(1) : link_wait_answer(&l, 3000));
    r->through = stage_handlers() > 0;
    attack_say(r, ":status %d, grpc-status %d, %u handlers", l.http, l.grpc, stage_handlers());
    neo_buffer_fini(&out);
    link_close(&l);
}

static void other_authority(struct report *r)
{
    call_with(r, "other-service", NULL);
}

static void other_host(struct report *r)
{
    call_with(r, "echo-service", "other-service");
}

/* The first is ours; under the second name we would speak for somebody else. */
static void two_authorities(struct report *r)
{
    struct frames_request request = frames_good_request;
    struct neo_buffer out = {0};
    struct link l;

    attack_open(&l);
    put_call(&out, 1, "Never");
    (void)attack_send(&l, &out);
    (void)stage_wait_handlers(1);
    request.path = NEVER;
    request.authority = r->control ? "echo-service" : "other-service";
    frames_request(&out, 3, 0, &request);
    put_message(&out, 3, NEO_LIT("\x12\x00"), FLAG_END_STREAM);
    (void)attack_send(&l, &out);
    (void)(r->control ? stage_wait_handlers(2) : link_wait_answer(&l, 3000));
    r->through = stage_handlers() == 2;
    attack_say(r, "%u of 2 handled, grpc-status %d", stage_handlers(), l.grpc);
    neo_buffer_fini(&out);
    link_close(&l);
}

/* --- H18: more frames behind the end -------------------------------------------------------------
 */

/* All in one write: the engine ends in a callback, and the rest of the write is still there. */
static void beyond_the_end(struct report *r)
{
    struct neo_buffer out = {0};
    struct link l;

    attack_open(&l);
    for (uint32_t i = 0; i < 400; i++) {
        rapid_reset(&out, 2 * i);
        frames_ping(&out, FLAG_ACK);
        frames_put(&out, FRAME_HEADERS, 0, id_of(2 * i + 1), NEO_LIT("\x83"));
        frames_put(&out, FRAME_CONTINUATION, FLAG_END_HEADERS, id_of(2 * i + 1), NEO_LIT("\x87"));
    }
    (void)attack_send(&l, &out);
    r->through = !link_wait_closed(&l, 3000);
    attack_say_end(r, &l, 400);
    neo_buffer_fini(&out);
    link_close(&l);
}

/* The control: one such end and nothing behind it is an ordinary connection. */
static void nothing_beyond(struct report *r)
{
    struct neo_buffer out = {0};
    struct link l;

    attack_open(&l);
    rapid_reset(&out, 0);
    (void)attack_send(&l, &out);
    r->through = link_is_alive(&l);
    attack_say(r, "one reset is none");
    neo_buffer_fini(&out);
    link_close(&l);
}

#define FLOOD(name)   .unit = name
#define STREAMS(name) .unit = name, .streams = true

const struct row rows_h2[] = {
    {"H01", "rapid reset", STREAMS(rapid_reset), .handlers = 210, .control_units = 5000},
    {"H01", "rapid reset, bytes of the CVE", STREAMS(rapid_reset_bare), .control_units = 5000},
    {"H01", "rapid reset, a unit in each write", STREAMS(rapid_reset), .write = 1, .units = 20000,
     .handlers = 210, .control_units = 5000},
    {"H01", "what it started is cancelled", .run = reset_then_look, .handlers = 210},
    {"H02", "made you reset: window overflow", STREAMS(window_overflow), .handlers = 210,
     .control_units = 5000},
    {"H02", "WINDOW_UPDATE of 0", FLOOD(window_of_zero), .handlers = 210, .twin = window_of_one,
     .control_units = 90},
    {"H02", "PRIORITY of 3 bytes", FLOOD(short_priority), .handlers = 210, .twin = whole_priority,
     .control_units = 90},
    {"H02", "PRIORITY on itself", STREAMS(priority_on_itself), .control_units = 5000},
    {"H02", "DATA after END_STREAM", FLOOD(data_after_end), .handlers = 210,
     .twin = data_before_end, .control_units = 90},
    {"H02", "HEADERS after END_STREAM", FLOOD(headers_after_end), .twin = trailers_at_end,
     .control_units = 90},
    {"H02", "DATA beyond content-length", STREAMS(beyond_content_length), .handlers = 210,
     .control_units = 5000},
    {"H02", "pseudo-header in trailers", STREAMS(pseudo_in_trailers), .handlers = 210,
     .control_units = 5000},
    {"H03", "CONTINUATION without end", FLOOD(continuation), .control_units = 20001},
    {"H03", "8 empty CONTINUATIONs each", STREAMS(eight_empty), .control_units = 2000},
    {"H04", "HTTP/2 bomb, window 0", .run = http2_bomb, .explodes = 10 * MIB},
    {"H04", "HTTP/2 bomb of cookies", .run = cookie_bomb, .explodes = 10 * MIB},
    {"H05", "HPACK bomb of 3,900 bytes", .run = hpack_bomb, .explodes = 10 * MIB},
    {"H06", "HPACK out of step", .run = desync, .handlers = 1},
    {"H06", "fields of one client in another's",
     .not_applicable = "there is no proxy: no connection carries the requests of two clients"},
    {"H07", "fields without names", STREAMS(nameless), .control_units = 1000},
    {"H08", "windows of one byte", .run = dribble, .handlers = 100, .same_server = true},
    {"H08", "output that is not read", .run = unread, .handlers = 400, .same_server = true},
    {"H09", "PING", FLOOD(ping)},
    {"H09", "PING, ACKs not read", FLOOD(ping), .deaf = true, .control_units = 5000},
    {"H09", "PING ACK", FLOOD(pong)},
    {"H09", "SETTINGS with 100 open streams", FLOOD(settings), .control_units = 5000,
     .handlers = 100},
    {"H09", "SETTINGS, ACKs not read", FLOOD(settings), .deaf = true, .control_units = 5000,
     .handlers = 100},
    {"H09", "requests that we reset, not read", STREAMS(malformed), .deaf = true,
     .control_units = 5000},
    {"H09", "PRIORITY", FLOOD(priority)},
    {"H09", "empty DATA", FLOOD(empty_data)},
    {"H09", "RST_STREAM", FLOOD(stray_reset)},
    {"H09", "WINDOW_UPDATE of 1", FLOOD(window_update)},
    {"H09", "GOAWAY", FLOOD(goaway), .handlers = 1},
    {"H09", "requests that we reset", STREAMS(malformed), .control_units = 5000},
    {"H10", "frames of unknown type", FLOOD(unknown)},
    {"H11", "padding alone", FLOOD(padding_alone), .control_units = 5000},
    {"H11", "window of the connection overflows", FLOOD(connection_window_overflow),
     .twin = window_of_connection, .control_units = 500},
    {"H11", "WINDOW_UPDATE of 0", FLOOD(connection_window_of_zero), .twin = window_of_connection,
     .control_units = 500},
    {"H11", "DATA beyond the window", .run = beyond_the_window, .same_server = true, .handlers = 1},
    {"H13", "even stream id", FLOOD(even_id), .twin = small_call, .control_units = 90},
    {"H13", "stream 0", FLOOD(stream_zero), .twin = small_call, .control_units = 90},
    {"H13", "decreasing ids", STREAMS(decreasing_ids), .control_units = 5000},
    {"H13", "the same id", STREAMS(same_id), .control_units = 5000},
    {"H13", "the last id", .run = last_id, .same_server = true},
    {"H14", "HTTP/2 without TLS", .run = in_the_clear, .same_server = true},
    {"H14", "Upgrade: h2c", .run = upgrade, .same_server = true},
    {"H14", "ALPN http/1.1", .run = alpn_http11, .same_server = true},
    {"H14", "no ALPN", .run = no_alpn, .same_server = true},
    {"H14", "HTTP/1.1 inside TLS", .run = no_preface, .same_server = true},
    {"H14", "the preface again", .run = preface_again, .same_server = true},
    {"H14", "PUSH_PROMISE", .run = push_promise, .same_server = true},
    {"H14", "frame of 16,385 bytes", .run = large_frame, .same_server = true},
    {"H15", "trailers without END_STREAM", STREAMS(trailers_without_end), .control_units = 5000},
    {"H15", "x-caller-id in trailers", STREAMS(reserved_trailers), .control_units = 5000,
     .handlers = 210},
    {"H15", "content-length, host and so on", STREAMS(other_reserved_trailers),
     .control_units = 5000, .handlers = 210},
    {"H15", "1,000 trailers", STREAMS(many_trailers), .control_units = 1000},
    {"H15", "trailers as metadata", .run = late_metadata, .same_server = true, .handlers = 1},
    {"H16", ":authority of another service", .run = other_authority, .same_server = true},
    {"H16", "host unlike :authority", .run = other_host, .same_server = true},
    {"H16", "two authorities on one connection", .run = two_authorities, .same_server = true,
     .handlers = 1},
    {"H17", "WINDOW_UPDATE of 0 after GOAWAY", FLOOD(zero_windows_after_goaway), .handlers = 1,
     .twin = one_window_after_goaway, .control_units = 500},
    {"H17", "WINDOW_UPDATE after GOAWAY", FLOOD(windows_after_goaway), .handlers = 1},
    {"H17", "resets after GOAWAY", STREAMS(resets_after_goaway), .control_units = 5000,
     .handlers = 210},
    {"H18", "frames behind the end", .run = beyond_the_end, .control = nothing_beyond,
     .same_server = true, .handlers = 210},
    {"H18", "libraries with their repairs", .run = repaired_libraries, .same_server = true},
};
const size_t n_rows_h2 = NEO_COUNT(rows_h2);
