/* SPDX-License-Identifier: Apache-2.0 */
/* G01 - G09, G11: what a proven peer can do with gRPC. */
#include "matrix.h"

#include <stdio.h>
#include <stdlib.h>

#define NEVER "/neo.test.v1.Echoes/Never"

/* One request as the row has it; says how it was answered. */
static void ask(struct link *l, struct neo_buffer *out, char *said, size_t room)
{
    size_t used = strlen(said);

    l->http = l->grpc = -1;
    l->reset = -1;
    (void)attack_send(l, out);
    (void)link_wait_answer(l, 1000);
    if (l->grpc >= 0)
        (void)snprintf(said + used, room - used, "%d ", l->grpc);
    else if (l->reset >= 0)
        (void)snprintf(said + used, room - used, "RST%d ", (int)l->reset);
    else if (l->http >= 0)
        (void)snprintf(said + used, room - used, "http%d ", l->http);
    else
        (void)snprintf(said + used, room - used, "- ");
}

/* --- G01: paths ----------------------------------------------------------------------------------
 */

static void paths_under(const char *scheme, char *said, size_t room)
{
    static char large[4096] = "/neo.test.v1.Echoes/";
    static const char *const paths[] = {
        "neo.test.v1.Echoes/Never",     "//neo.test.v1.Echoes/Never",
        "/neo.test.v1.Echoes//Never",   "/neo.test.v1.Echoes/Never/",
        "/neo.test.v1.Echoes/Never?x",  "/neo.test.v1.Echoes/Never#x",
        "/neo.test.v1.Echoes/%4eever",  "/neo.test.v1.echoes/never",
        "/neo.test.v1.Echoes/Never;x",  "/neo.test.v1.Echoes/Never%00",
        "/../neo.test.v1.Echoes/Never", large,
    };
    struct neo_buffer out = {0};
    struct link l;
    uint32_t stream = 1;

    memset(large + strlen(large), 'N', sizeof(large) - 1 - strlen(large));
    attack_open(&l);
    for (size_t i = 0; i < NEO_COUNT(paths) && !l.closed; i++, stream += 2) {
        struct frames_request request = frames_good_request;
        request.path = paths[i];
        request.scheme = scheme;
        request.authority = "echo-service";
        frames_request(&out, stream, 0, &request);
        put_message(&out, stream, NEO_LIT("\x12\x00"), FLAG_END_STREAM);
        ask(&l, &out, said, room);
    }
    neo_buffer_fini(&out);
    link_close(&l);
}

static void paths(struct report *r)
{
    static const char *const schemes[] = {"https", "http", "foo", ""};
    char said[1024] = "";

    for (size_t i = 0; i < NEO_COUNT(schemes); i++)
        paths_under(schemes[i], said, sizeof(said));
    r->through = stage_handlers() > 0;
    attack_say(r, "%u handlers; %.60s...", stage_handlers(), said);
}

/* The harmless twin of most rows here: one good call starts one handler. */
static void good_call(struct report *r)
{
    struct neo_buffer out = {0};
    struct link l;

    attack_open(&l);
    put_call(&out, 1, "Never");
    (void)attack_send(&l, &out);
    r->through = stage_wait_handlers(1);
    attack_say(r, "a good one is handled");
    neo_buffer_fini(&out);
    link_close(&l);
}

/* --- G02: prefixes that lie ----------------------------------------------------------------------
 */

static void prefixes(struct report *r)
{
    const struct neo_bytes bodies[] = {
        NEO_LIT("\x00\xff\xff\xff\xff"),
        NEO_LIT("\x02\x00\x00\x00\x00"),
        NEO_LIT("\xff\x00\x00\x00\x00"),
        NEO_LIT("\x01\x00\x00\x00\x02\x12\x00"),
        NEO_LIT("\x00\x00\x00\x00\x0a\x12\x00"),
        NEO_LIT("\x00\x00\x00\x00\x05\x12\x02xx"),
        NEO_LIT("\x00\x00\x00"),
        NEO_LIT(""),
        NEO_LIT("\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"),
    };
    struct neo_buffer out = {0};
    char said[256] = "";
    struct link l;

    attack_open(&l);
    for (uint32_t i = 0; i < NEO_COUNT(bodies); i++) {
        put_head(&out, id_of(i), NEVER, 0);
        frames_put(&out, FRAME_DATA, FLAG_END_STREAM, id_of(i), bodies[i]);
        ask(&l, &out, said, sizeof(said));
    }
    r->through = stage_handlers() > 0;
    attack_say(r, "%u handlers; grpc-status %s", stage_handlers(), said);
    neo_buffer_fini(&out);
    link_close(&l);
}

/* A hundred streams, each of which says that 4 MiB will come, and sends nothing more. */
static void claims(struct report *r)
{
    struct neo_buffer out = {0};
    struct link l;

    attack_open(&l);
    for (uint32_t i = 0; i < 100; i++) {
        put_head(&out, id_of(i), NEVER, 0);
        frames_put(&out, FRAME_DATA, 0, id_of(i), NEO_LIT("\x00\x00\x40\x00\x00x"));
    }
    (void)attack_send(&l, &out);
    link_read(&l, 200);
    r->through = stage_handlers() > 0;
    attack_say(r, "400 MiB announced, %u handlers", stage_handlers());
    neo_buffer_fini(&out);
    link_close(&l);
}

/* A million empty messages: legal, so what counts is what they cost. */
static void empty_messages(struct report *r)
{
    enum { EACH = 3276 };
    static const uint8_t body[5 * EACH];
    unsigned most = r->control ? 1 : 1000000 / EACH;
    struct neo_buffer out = {0};
    struct link l;

    attack_open(&l);
    put_head(&out, 1, "/neo.test.v1.Echoes/Sum", 0);
    for (unsigned i = 0; i < most && !l.closed; i++) {
        frames_put(&out, FRAME_DATA, 0, 1, neo_bytes(body, sizeof(body)));
        (void)attack_send(&l, &out);
    }
    bool alive = link_is_alive(&l);
    for (int i = 0; i < 3000 && alive && stage_messages() < most * EACH; i++)
        stage_sleep(1);
    r->through = r->control && stage_messages() == EACH;
    attack_say(r, "%u heard, %s", stage_messages(), alive ? "for what they cost" : "closed");
    neo_buffer_fini(&out);
    link_close(&l);
}

/* --- G03, G04: what is in a message --------------------------------------------------------------
 */

struct bits {
    struct neo_buffer *out;
    uint32_t held;
    unsigned n;
};

static void put_bits(struct bits *b, uint32_t value, unsigned n)
{
    b->held |= value << b->n;
    for (b->n += n; b->n >= 8; b->n -= 8, b->held >>= 8)
        neo_buffer_append_byte(b->out, (uint8_t)b->held);
}

/*
 * RFC 1952 and 1951: zeros, as one block with the fixed codes, in which each 13 bits stand for 258
 * of them. `n` of these: 159 times what is sent.
 */
static void put_gzip_of_zeros(struct neo_buffer *out, uint32_t n)
{
    struct bits b = {.out = out};

    neo_buffer_append(out, NEO_LIT("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"));
    put_bits(&b, 1 | 1 << 1, 3); /* the last block; fixed codes */
    put_bits(&b, 0x0c, 8);       /* a zero: 00110000, from its first bit */
    for (uint32_t i = 0; i < n; i++) {
        put_bits(&b, 0xa3, 8); /* 258 bytes: 11000101 */
        put_bits(&b, 0, 5);    /* from one before */
    }
    put_bits(&b, 0, 7 + 8); /* the end, and what is left of a byte */
    neo_buffer_append(out, NEO_LIT("\0\0\0\0\0\0\0\0"));
}

static void gzip_bomb(struct report *r)
{
    struct frames_request request = frames_good_request;
    struct neo_buffer out = {0}, bomb = {0}, body = {0};
    struct link l;

    put_gzip_of_zeros(&bomb, 1200000); /* 1.9 MB, or 310 MB */
    neo_buffer_append_byte(&body, 1);
    for (unsigned i = 0; i < 4; i++)
        neo_buffer_append_byte(&body, (uint8_t)(bomb.len >> 8 * (3 - i)));
    neo_buffer_append(&body, neo_buffer_bytes(&bomb));
    request.path = NEVER;
    request.authority = "echo-service";
    request.more[0] = "grpc-encoding";
    request.more[1] = "gzip";
    attack_open(&l);
    frames_request(&out, 1, 0, &request);
    for (struct neo_bytes left = neo_buffer_bytes(&body); left.len > 0 && !l.closed;) {
        size_t len = left.len < 16384 ? left.len : 16384;
        frames_put(&out, FRAME_DATA, len == left.len ? FLAG_END_STREAM : 0, 1,
                   neo_bytes(left.at, len));
        left = neo_bytes_from(left, len);
        (void)attack_send(&l, &out);
        link_read(&l, 1); /* its window opens as it takes */
        if (l.http >= 0 || l.reset >= 0)
            break;
    }
    (void)link_wait_answer(&l, 2000);
    r->through = stage_handlers() > 0;
    attack_say(r, "%u handlers, grpc-status %d", stage_handlers(), l.grpc);
    neo_buffer_fini(&out);
    neo_buffer_fini(&bomb);
    neo_buffer_fini(&body);
    link_close(&l);
}

static void malformed(struct report *r)
{
    const struct neo_bytes messages[] = {
        NEO_LIT("\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), /* 11 bytes of varint */
        NEO_LIT("\x02\x00"),                                         /* field 0 */
        NEO_LIT("\x0f"),                                             /* wire type 7 */
        NEO_LIT("\x0c"),                                             /* an end without begin */
        NEO_LIT("\x2b\x34"),                                         /* another group's end */
        NEO_LIT("\x2b"),                                             /* no end */
        NEO_LIT("\x12\x02\xff\xfe"),                                 /* no UTF-8 */
        NEO_LIT("\x12\x7f"),                                         /* longer than it is */
        NEO_LIT("\x12\xff\xff\xff\xff\x0f"),                         /* much longer */
    };
    struct neo_buffer out = {0};
    char said[256] = "";
    struct link l;

    attack_open(&l);
    for (uint32_t i = 0; i < NEO_COUNT(messages); i++) {
        put_head(&out, id_of(i), NEVER, 0);
        put_message(&out, id_of(i), messages[i], FLAG_END_STREAM);
        ask(&l, &out, said, sizeof(said));
    }
    r->through = stage_handlers() > 0;
    attack_say(r, "%u handlers; grpc-status %s", stage_handlers(), said);
    neo_buffer_fini(&out);
    link_close(&l);
}

/* A message of `len` times `unit`, at the pace of the server's window. */
static void send_message_of(struct link *l, struct neo_bytes unit, size_t times, char *said,
                            size_t room)
{
    struct neo_buffer out = {0}, message = {0}, frames = {0};

    for (size_t i = 0; i < times; i++)
        neo_buffer_append(&message, unit);
    put_head(&out, 1, NEVER, 0);
    put_message(&frames, 1, neo_buffer_bytes(&message), FLAG_END_STREAM);
    for (struct neo_bytes left = neo_buffer_bytes(&frames); left.len > 0 && !l->closed;) {
        size_t len = left.len < 16393 ? left.len : 16393;
        neo_buffer_append(&out, neo_bytes(left.at, len));
        left = neo_bytes_from(left, len);
        (void)attack_send(l, &out);
        link_read(l, 1);
    }
    ask(l, &out, said, room);
    neo_buffer_fini(&out);
    neo_buffer_fini(&message);
    neo_buffer_fini(&frames);
}

static void nested(struct report *r)
{
    char said[64] = "";
    struct link l;

    attack_open(&l);
    send_message_of(&l, NEO_LIT("\x2b"), 1000000, said, sizeof(said));
    r->through = stage_handlers() > 0;
    attack_say(r, "%u handlers; grpc-status %s", stage_handlers(), said);
    link_close(&l);
}

static void wide(struct report *r)
{
    char said[64] = "";
    struct link l;

    attack_open(&l);
    send_message_of(&l, NEO_LIT("\x2a\x00"), r->control ? 10 : 2000000, said, sizeof(said));
    (void)stage_wait_handlers(1);
    r->through = r->control && stage_handlers() == 1;
    attack_say(r, "%u handlers; for what it costs", stage_handlers());
    link_close(&l);
}

/* --- G05, G06: headers ---------------------------------------------------------------------------
 */

static void put_with(struct neo_buffer *out, uint32_t stream, const char *const *pairs)
{
    struct frames_request request = frames_good_request;

    request.path = NEVER;
    request.authority = "echo-service";
    for (size_t i = 0; pairs[i] != NULL; i++)
        request.more[i] = pairs[i];
    frames_request(out, stream, 0, &request);
    put_message(out, stream, NEO_LIT("\x12\x00"), FLAG_END_STREAM);
}

static void timeouts(struct report *r)
{
    static const char *const values[][5] = {
        {"grpc-timeout", "-1S"},        {"grpc-timeout", "1"},
        {"grpc-timeout", "1SS"},        {"grpc-timeout", ""},
        {"grpc-timeout", "123456789S"}, {"grpc-timeout", "1x"},
        {"grpc-timeout", "S"},          {"grpc-timeout", "1 S"},
        {"grpc-timeout", "0n"},         {"grpc-timeout", "1S", "grpc-timeout", "1S"},
    };
    struct neo_buffer out = {0};
    char said[256] = "";
    struct link l;

    attack_open(&l);
    for (uint32_t i = 0; i < NEO_COUNT(values); i++) {
        put_with(&out, id_of(i), values[i]);
        ask(&l, &out, said, sizeof(said));
    }
    r->through = stage_handlers() > 0;
    attack_say(r, "%u handlers; grpc-status %s", stage_handlers(), said);
    neo_buffer_fini(&out);
    link_close(&l);
}

/* The call is handled; nobody believes what it says of itself. The control: other metadata is. */
static void spoof(struct report *r)
{
    static const char *const forged[] = {"x-caller-id", "caller-service", "x-attestation-nonce",
                                         "AAAA",        "grpc-status",    "0",
                                         "x-caller-id", "caller-service", NULL};
    static const char *const honest[] = {"x-late", "yes", NULL};
    struct neo_buffer out = {0};
    struct link l;

    attack_open(&l);
    put_with(&out, 1, r->control ? honest : forged);
    (void)attack_send(&l, &out);
    (void)stage_wait_handlers(1);
    r->through = r->control ? stage_late() == 1 : stage_spoofed() > 0;
    attack_say(r, "%u handlers, %u saw a forged name", stage_handlers(), stage_spoofed());
    neo_buffer_fini(&out);
    link_close(&l);
}

static void underscores(struct report *r)
{
    static const char *const names[][3] = {
        {"x-caller_id", "caller-service"}, {"X_CALLER_ID", "caller-service"},
        {"X-Caller-Id", "caller-service"}, {"grpc_timeout", "1S"},
        {"content_type", "text/plain"},
    };
    struct neo_buffer out = {0};
    char said[128] = "";
    struct link l;

    attack_open(&l);
    for (uint32_t i = 0; i < NEO_COUNT(names); i++) {
        put_with(&out, id_of(i), names[i]);
        ask(&l, &out, said, sizeof(said));
    }
    r->through = stage_handlers() > 0;
    attack_say(r, "%u handlers; %s", stage_handlers(), said);
    neo_buffer_fini(&out);
    link_close(&l);
}

/* --- G08, G09 ------------------------------------------------------------------------------------
 */

static void keepalive(struct report *r)
{
    struct neo_buffer out = {0};
    struct link l;
    unsigned n = 0;

    attack_open(&l);
    for (; n < 20 && !l.closed; n++) {
        frames_ping(&out, 0);
        (void)attack_send(&l, &out);
        link_read(&l, 10);
    }
    r->through = !l.closed;
    attack_say_end(r, &l, n);
    neo_buffer_fini(&out);
    link_close(&l);
}

/* More connections than the server has descriptors; gone a second later, and all is well again. */
static void descriptors(struct report *r)
{
    enum { LINKS = 600 };
    static struct link links[LINKS], late;
    const struct raw_options tls = stage_tls();
    unsigned n = 0;

    while (n < LINKS && link_connect(&links[n], stage_address()))
        n++;
    stage_sleep(1000);
    unsigned taken = stage_connections();
    for (unsigned i = 0; i < n; i++)
        link_close(&links[i]);
    stage_sleep(500);
    bool again = link_open(&late, stage_address(), &tls);
    r->connections = n;
    r->through = r->control ? taken > 100 : !again || taken > 100;
    attack_say(r, "%u of %u taken, %s afterwards", taken, n, again ? "served" : "not served");
    link_close(&late);
}

const struct row rows_grpc[] = {
    {"G01", "48 paths that are no method's", .run = paths, .control = good_call,
     .same_server = true},
    {"G02", "prefixes that lie", .run = prefixes, .control = good_call, .same_server = true},
    {"G02", "4 MiB announced on 100 streams", .run = claims, .control = good_call,
     .same_server = true},
    {"G02", "1,000,000 empty messages", .run = empty_messages, .same_server = true},
    {"G03", "gzip bomb, 310 MB in 1.9", .run = gzip_bomb, .control = good_call, .same_server = true,
     .memory = 12 * MIB},
    {"G04", "malformed protobuf", .run = malformed, .control = good_call, .same_server = true},
    {"G04", "1,000,000 nested groups", .run = nested, .control = good_call, .same_server = true,
     .memory = 4 * MIB},
    {"G04", "2,000,000 empty submessages", .run = wide, .same_server = true, .handlers = 1,
     .memory = 32 * MIB},
    {"G05", "grpc-timeout", .run = timeouts, .control = good_call, .same_server = true},
    {"G06", "metadata that forges a caller", .run = spoof, .same_server = true, .handlers = 1},
    {"G06", "underscores and capitals", .run = underscores, .control = good_call,
     .same_server = true},
    {"G08", "PING every 10 ms", .run = keepalive},
    {"G09", "600 connections, 100 descriptors", .run = descriptors, .files = 100},
};
const size_t n_rows_grpc = NEO_COUNT(rows_grpc);
