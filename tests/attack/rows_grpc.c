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

/* A body as it is, at the pace of the server's window. */
static void send_body(struct link *l, const char *path, bool gzip, struct neo_bytes body)
{
    struct frames_request request = frames_good_request;
    struct neo_buffer out = {0};

    request.path = path;
    request.authority = "echo-service";
    request.more[0] = gzip ? "grpc-encoding" : NULL;
    request.more[1] = gzip ? "gzip" : NULL;
    frames_request(&out, 1, 0, &request);
    while (body.len > 0 && !l->closed && l->http < 0 && l->reset < 0) {
        size_t len = body.len < 16384 ? body.len : 16384;
        frames_put(&out, FRAME_DATA, len == body.len ? FLAG_END_STREAM : 0, 1,
                   neo_bytes(body.at, len));
        body = neo_bytes_from(body, len);
        (void)attack_send(l, &out);
        link_read(l, 1); /* its window opens as it takes */
    }
    neo_buffer_fini(&out);
}

static void drop_gzip(struct report *r, uint32_t told)
{
    struct neo_buffer body = {0};
    struct link l;

    put_gzip_bomb(&body, told);
    attack_open(&l);
    send_body(&l, NEVER, true, neo_buffer_bytes(&body));
    (void)link_wait_answer(&l, 3000);
    r->through = stage_handlers() > 0;
    attack_say(r, "%u handlers, grpc-status %d", stage_handlers(), l.grpc);
    neo_buffer_fini(&body);
    link_close(&l);
}

static void gzip_bomb(struct report *r)
{
    drop_gzip(r, GZIP_BOMB_LEN);
}

static void lying_gzip_bomb(struct report *r)
{
    drop_gzip(r, 1000);
}

/* What a message of so many bytes takes that is nothing but large. */
static void honest_message(struct report *r, size_t len)
{
    struct neo_buffer body = {0};
    struct link l;

    put_large_message(&body, len);
    attack_open(&l);
    send_body(&l, NEVER, false, neo_buffer_bytes(&body));
    r->through = stage_wait_handlers(1);
    attack_say(r, "%zu bytes, %u handlers", body.len, stage_handlers());
    neo_buffer_fini(&body);
    link_close(&l);
}

static void honest_4_mb(struct report *r)
{
    honest_message(r, 4190000);
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

/* A message of `times` times `unit`. */
static void send_units(struct report *r, const char *path, struct neo_bytes unit, size_t times)
{
    struct neo_buffer body = {0};
    struct link l;

    put_prefix(&body, false, unit.len * times);
    for (size_t i = 0; i < times; i++)
        neo_buffer_append(&body, unit);
    attack_open(&l);
    send_body(&l, path, false, neo_buffer_bytes(&body));
    for (int i = 0; i < 3000 && stage_handlers() == 0 && l.grpc < 0 && !l.closed; i++)
        link_read(&l, 1);
    r->through = stage_handlers() > 0;
    attack_say(r, "%zu KiB; %u handlers, grpc-status %d", body.len / KIB, stage_handlers(), l.grpc);
    neo_buffer_fini(&body);
    link_close(&l);
}

#define PLANT "/neo.test.v1.Echoes/Plant"

static void nested_groups(struct report *r)
{
    send_units(r, NEVER, NEO_LIT("\x2b"), r->control ? 0 : 4000000);
}

/* As deep as a message of 4 MiB has room for, and the control no deeper than is allowed. */
static void nested_messages(struct report *r)
{
    enum { MOST = 940000 };
    unsigned depth = r->control ? 90 : MOST;
    struct neo_buffer heads = {0}, body = {0};
    size_t inner = 0;
    struct link l;

    for (unsigned i = 0; i < depth; i++) { /* from the inside out, and each turned round */
        uint8_t head[5] = {0x0a};
        size_t n = 1;
        for (size_t left = inner; left > 0x7f || n == 1 || left > 0; left >>= 7) {
            head[n++] = (uint8_t)(left | (left > 0x7f ? 0x80 : 0));
            if (left <= 0x7f)
                break;
        }
        inner += n;
        while (n > 0)
            neo_buffer_append_byte(&heads, head[--n]);
    }
    put_prefix(&body, false, inner);
    for (size_t i = heads.len; i > 0; i--)
        neo_buffer_append_byte(&body, heads.at[i - 1]);
    attack_open(&l);
    send_body(&l, PLANT, false, neo_buffer_bytes(&body));
    for (int i = 0; i < 3000 && stage_handlers() == 0 && l.grpc < 0 && !l.closed; i++)
        link_read(&l, 1);
    r->through = stage_handlers() > 0;
    attack_say(r, "%u levels; %u handlers, grpc-status %d", depth, stage_handlers(), l.grpc);
    neo_buffer_fini(&heads);
    neo_buffer_fini(&body);
    link_close(&l);
}

static void unknown_messages(struct report *r)
{
    send_units(r, NEVER, NEO_LIT("\x2a\x00"), r->control ? 10 : 2000000);
    r->through = r->control && r->through; /* it may pass, if it costs no more than it weighs */
}

static void submessages(struct report *r)
{
    send_units(r, PLANT, NEO_LIT("\x0a\x00"), r->control ? 10 : 2000000);
}

/* Under a limit of 64 KiB for a message. */
static void few_submessages(struct report *r)
{
    send_units(r, PLANT, NEO_LIT("\x0a\x00"), r->control ? 10 : 32000);
}

/* A list of short messages, of 20 bytes each, which is nearly as much as the server takes. */
static void honest_list(struct report *r)
{
    send_units(r, PLANT,
               NEO_LIT("\x0a\x12\x12\x10"
                       "0123456789abcdef"),
               199000);
}

static void entries(struct report *r)
{
    send_units(r, PLANT, NEO_LIT("\x1a\x00"), r->control ? 10 : 2000000);
}

/* Numbers of one byte, in runs of a hundred: each becomes four, and the runs are moved together. */
static void packed(struct report *r)
{
    uint8_t unit[102] = {0x12, 100};

    send_units(r, PLANT, neo_bytes(unit, sizeof(unit)), r->control ? 1 : 39000);
}

/* Each of a hundred calls keeps its handler waiting, and what it was decoded to. */
static void many_decoded(struct report *r)
{
    struct neo_buffer out = {0}, list = {0};
    struct link l;

    for (int i = 0; i < 4000; i++)
        neo_buffer_append(&list, NEO_LIT("\x0a\x00"));
    attack_open(&l);
    for (uint32_t i = 0; i < (r->control ? 1 : 100) && !l.closed; i++) {
        put_head(&out, id_of(i), PLANT, 0);
        put_message(&out, id_of(i), neo_buffer_bytes(&list), FLAG_END_STREAM);
        (void)attack_send(&l, &out);
        link_read(&l, 1);
    }
    link_read(&l, 100);
    r->through = stage_handlers() == (r->control ? 1 : 100);
    attack_say(r, "%u of 100 handlers, %zu refused", stage_handlers(), l.failures);
    neo_buffer_fini(&out);
    neo_buffer_fini(&list);
    link_close(&l);
}

/* Bodies that are never whole, on as many connections as one caller may have. */
static void unfinished_bodies(struct report *r)
{
    enum { LINKS = 64, STREAMS = 4, PIECES = 50 };
    static const uint8_t piece[16384];
    static struct link links[LINKS];
    struct neo_buffer out = {0};
    unsigned n = r->control ? 1 : LINKS;
    size_t failures = 0;

    for (unsigned i = 0; i < n; i++) {
        attack_open(&links[i]);
        for (uint32_t s = 0; s < STREAMS; s++) {
            put_head(&out, id_of(s), NEVER, 0);
            frames_put(&out, FRAME_DATA, 0, id_of(s), NEO_LIT("\x00\x00\x3f\x00\x00"));
        }
        (void)attack_send(&links[i], &out);
    }
    for (unsigned p = 0; p < PIECES; p++)
        for (unsigned i = 0; i < n; i++) {
            for (uint32_t s = 0; s < STREAMS; s++)
                frames_put(&out, FRAME_DATA, 0, id_of(s), neo_bytes(piece, sizeof(piece)));
            (void)attack_send(&links[i], &out);
            link_read(&links[i], 0);
        }
    for (unsigned i = 0; i < n; i++) {
        link_read(&links[i], 1);
        failures += links[i].failures;
    }
    r->connections = n;
    r->through = failures == 0;
    attack_say(r, "%zu of %u MiB begun, %zu of %u calls refused",
               n * STREAMS * PIECES * sizeof(piece) / MIB, n * STREAMS * 4, failures, n * STREAMS);
    for (unsigned i = 0; i < n; i++)
        link_close(&links[i]);
    neo_buffer_fini(&out);
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

/* A call with each of `n` lists of fields, `width` apart; none may get to a handler. */
static void ask_with_each(struct report *r, const char *const *fields, size_t width, size_t n)
{
    struct neo_buffer out = {0};
    char said[256] = "";
    struct link l;

    attack_open(&l);
    for (uint32_t i = 0; i < n; i++) {
        put_with(&out, id_of(i), fields + i * width);
        ask(&l, &out, said, sizeof(said));
    }
    r->through = stage_handlers() > 0;
    attack_say(r, "%u handlers; grpc-status %s", stage_handlers(), said);
    neo_buffer_fini(&out);
    link_close(&l);
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

    ask_with_each(r, values[0], NEO_COUNT(values[0]), NEO_COUNT(values));
}

/* Eleven thousand years, and none given: five minutes each. The control: they are handled. */
static void long_timeouts(struct report *r)
{
    static const char *const values[][3] = {{"grpc-timeout", "99999999H"}, {NULL}};
    struct neo_buffer out = {0};
    struct link l;

    attack_open(&l);
    for (uint32_t i = 0; i < NEO_COUNT(values); i++)
        put_with(&out, id_of(i), values[i]);
    (void)attack_send(&l, &out);
    bool both = stage_wait_handlers(NEO_COUNT(values));
    r->through = r->control ? both : stage_patient() > 0 || !both;
    attack_say(r, "%u handlers, %u with more than 5 minutes", stage_handlers(), stage_patient());
    neo_buffer_fini(&out);
    link_close(&l);
}

/* The calls are handled; nobody believes what they say of themselves. The control: other metadata
 * is believed. */
static void spoof(struct report *r)
{
    static const char *const forged[][17] = {
        {"x-caller-id", "caller-service", "x-attestation-status", "verified", "grpc-status", "0",
         "x-caller-id", "caller-service, attacker-service", "x-forwarded-client-cert",
         "By=spiffe://neo.test/caller-service", "x-priority", "critical", NULL},
        {"x-attestation-evidence", "AAAA", "x-neo-caller-chain-bin", "AAAA", "x-neo-admission", "1",
         "grpc-message", "x", "x-priority", "critical,sheddable", NULL},
    };
    static const char *const honest[] = {"x-late", "yes", NULL};
    struct neo_buffer out = {0};
    struct link l;

    attack_open(&l);
    for (uint32_t i = 0; i < (r->control ? 1 : NEO_COUNT(forged)); i++)
        put_with(&out, id_of(i), r->control ? honest : forged[i]);
    (void)attack_send(&l, &out);
    bool all = stage_wait_handlers(r->control ? 1 : NEO_COUNT(forged));
    r->through = r->control ? stage_late() == 1 : stage_spoofed() > 0 || !all;
    attack_say(r, "%u handlers, %u saw a forged name", stage_handlers(), stage_spoofed());
    neo_buffer_fini(&out);
    link_close(&l);
}

/* A nonce asks for a proof: this server has none to give, and a nonce of three bytes is none. */
static void nonces(struct report *r)
{
    static const char *const values[][3] = {
        {"x-attestation-nonce", "AAAA"},
        {"x-attestation-nonce", "%%%"},
        {"x-attestation-nonce-bin", "AAAA"},
        {"x-attestation-nonce", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="},
    };

    ask_with_each(r, values[0], NEO_COUNT(values[0]), NEO_COUNT(values));
}

/* The control: a name that looks like none of ours is metadata. */
static void underscores(struct report *r)
{
    static const char *const honest[] = {"x_tenant", "a", NULL};
    static const char *const names[][3] = {
        {"x-caller_id", "caller-service"},
        {"X_CALLER_ID", "caller-service"},
        {"X-Caller-Id", "caller-service"},
        {"grpc_timeout", "1S"},
        {"content_type", "text/plain"},
        {"x_neo_caller_chain_bin", "AAAA"},
        {"x_forwarded_client_cert", "By=spiffe://neo.test/caller-service"},
        {"x_priority", "critical"},
        {"x_attestation_nonce", "AAAA"},
        {"x_forwarded_for", "127.0.0.1"},
    };
    struct neo_buffer out = {0};
    struct link l;

    if (!r->control) {
        ask_with_each(r, names[0], NEO_COUNT(names[0]), NEO_COUNT(names));
        return;
    }
    attack_open(&l);
    put_with(&out, 1, honest);
    (void)attack_send(&l, &out);
    r->through = stage_wait_handlers(1);
    attack_say(r, "%u handlers", stage_handlers());
    neo_buffer_fini(&out);
    link_close(&l);
}

/* G07: metadata that should be base64 and is not: as if it were not there. */
static void bad_binary(struct report *r)
{
    static const char *const values[][3] = {{"x-data-bin", "%%%"},
                                            {"x-data-bin", "a"},
                                            {"grpc-trace-bin", "="},
                                            {"x-data-bin", "AAAA AAAA"}};
    struct neo_buffer out = {0};
    struct link l;

    attack_open(&l);
    for (uint32_t i = 0; i < NEO_COUNT(values); i++)
        put_with(&out, id_of(i), values[i]);
    (void)attack_send(&l, &out);
    bool all = stage_wait_handlers(NEO_COUNT(values));
    r->through = !all || stage_spoofed() > 0 || !link_is_alive(&l);
    attack_say(r, "%u handlers, none of them sees it", stage_handlers());
    neo_buffer_fini(&out);
    link_close(&l);
}

/* --- G11: what the server has of itself ----------------------------------------------------------
 */

/*
 * Questions to the reflection service on one stream, as many as there is credit for: each is
 * answered with the descriptors of a file and all that it imports. The control reads the answers of
 * a few.
 */
static void reflect(struct report *r, const char *symbol, unsigned most)
{
    static const char path[] = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    struct neo_buffer out = {0}, question = {0}, body = {0};
    unsigned sent = 0;
    struct link l;

    neo_buffer_append_byte(&question, 0x22); /* file_containing_symbol */
    neo_buffer_append_byte(&question, (uint8_t)strlen(symbol));
    neo_buffer_append(&question, neo_text(symbol));
    attack_open(&l);
    frames_setting(&out, SETTING_INITIAL_WINDOW_SIZE, r->control ? 0x7fffffff : 0);
    if (r->control)
        frames_window_update(&out, 0, 0x7fff0000 - 65535);
    put_head(&out, 1, path, 0);
    while (sent < most && !l.closed && l.reset < 0) {
        neo_buffer_clear(&body);
        for (; sent < most && body.len + question.len + 5 < 16384; sent++) {
            put_prefix(&body, false, question.len);
            neo_buffer_append(&body, neo_buffer_bytes(&question));
        }
        frames_put(&out, FRAME_DATA, 0, 1, neo_buffer_bytes(&body));
        (void)attack_send(&l, &out);
        size_t heard = l.frames[FRAME_WINDOW_UPDATE];
        for (int i = 0; i < 100 && l.frames[FRAME_WINDOW_UPDATE] == heard && !l.closed; i++)
            link_read(&l, 1);
    }
    for (int i = 0; i < 100 && r->control && l.data < most * 100; i++)
        link_read(&l, 10);
    r->through = r->control ? l.data > most * 100 : false;
    attack_say(r, "%u asked, %zu KiB of DATA, %s", sent, l.data / KIB,
               l.closed       ? "closed"
               : l.reset >= 0 ? "reset"
                              : "for what they cost");
    neo_buffer_fini(&out);
    neo_buffer_fini(&question);
    neo_buffer_fini(&body);
    link_close(&l);
}

static void ask_reflection(struct report *r)
{
    reflect(r, "neo.test.v1.Echoes", r->control ? 10 : 20000);
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
    enum { LINKS = 1000 };
    static struct link links[LINKS], late;
    const struct raw_options tls = stage_tls();
    unsigned most = attack_want_files(LINKS), n = 0;

    while (n < most && link_connect_from(&links[n], stage_address(), n))
        n++;
    stage_sleep(1000);
    unsigned taken = stage_connections();
    for (unsigned i = 0; i < n; i++)
        link_close(&links[i]);
    stage_sleep(500);
    bool again = link_open(&late, stage_address(), &tls);
    r->connections = n;
    r->through = r->control ? taken > 256 : !again || taken > 256;
    attack_say(r, "%u of %u taken, %s afterwards%s", taken, n, again ? "served" : "not served",
               n < LINKS ? "; no more files here" : "");
    link_close(&late);
}

const struct row rows_grpc[] = {
    {"G01", "48 paths that are no method's", .run = paths, .control = good_call,
     .same_server = true},
    {"G02", "prefixes that lie", .run = prefixes, .control = good_call, .same_server = true},
    {"G02", "4 MiB announced on 100 streams", .run = claims, .control = good_call,
     .same_server = true},
    {"G02", "1,000,000 empty messages", .run = empty_messages, .same_server = true},
    {"G03", "gzip bomb, 4 GiB in 4 MiB", .run = gzip_bomb, .control = unpack_gzip_bomb,
     .same_server = true, .honest = honest_4_mb},
    {"G03", "the same, which says it is 1,000 bytes", .run = lying_gzip_bomb, .control = good_call,
     .same_server = true, .honest = honest_4_mb},
    {"G04", "malformed protobuf", .run = malformed, .control = good_call, .same_server = true},
    {"G04", "4,000,000 nested groups", .run = nested_groups, .same_server = true,
     .honest = honest_4_mb},
    {"G04", "940,000 nested messages", .run = nested_messages, .same_server = true,
     .honest = honest_4_mb},
    {"G04", "2,000,000 unknown fields", .run = unknown_messages, .same_server = true,
     .honest = honest_4_mb, .handlers = 1},
    {"G04", "2,000,000 empty submessages", .run = submessages, .same_server = true,
     .honest = honest_list},
    {"G04", "2,000,000 empty entries of a map", .run = entries, .same_server = true,
     .honest = honest_list},
    {"G04", "3,900,000 packed numbers", .run = packed, .same_server = true, .honest = honest_list},
    {"G04", "32,000 submessages, limit of 64 KiB", .run = few_submessages, .same_server = true,
     .max_message = 64 * KIB},
    {"G04", "100 lists held, limit of 64 KiB", .run = many_decoded, .same_server = true,
     .max_message = 64 * KIB, .handlers = 99},
    {"G02", "256 bodies of 4 MiB without end", .run = unfinished_bodies, .same_server = true},
    {"G05", "grpc-timeout", .run = timeouts, .control = good_call, .same_server = true},
    {"G05", "grpc-timeout 99999999H, and none", .run = long_timeouts, .same_server = true,
     .handlers = 2},
    {"G06", "metadata that forges a caller", .run = spoof, .same_server = true, .handlers = 2},
    {"G06", "nonces for a proof that is not", .run = nonces, .control = good_call,
     .same_server = true},
    {"G06", "underscores and capitals", .run = underscores, .same_server = true},
    {"G07", "-bin metadata that is no base64", .run = bad_binary, .control = good_call,
     .same_server = true, .handlers = 4},
    {"G11", "20,000 questions to reflection", .run = ask_reflection, .same_server = true},
    {"G11", "20,000 for what is nowhere, answers read", .run = ask_in_vain,
     .control = search_in_vain, .same_server = true},
    {"G08", "PING every 10 ms", .run = keepalive},
    {"G09", "1,000 connections, 256 descriptors", .run = descriptors, .files = 256, .share = 5},
};
const size_t n_rows_grpc = NEO_COUNT(rows_grpc);
