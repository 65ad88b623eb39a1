/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compressed messages at a server: refused unless it takes them, never larger than the
 * limit, and each for itself. The client's side is in test_responses.c.
 */
#include "fixture.h"

#include "codec/gzip.h"

#include <neo/compression.h>

static const struct h2_header gzip[] = {
    {{(const uint8_t *)"grpc-encoding", 13}, {(const uint8_t *)"gzip", 4}},
    {{(const uint8_t *)"grpc-accept-encoding", 20}, {(const uint8_t *)"deflate , gzip", 14}}};

/* --- the server: tells how each message came, and answers as it is asked -----------------------
 */

static char came[64]; /* a letter for each message that was heard */

static void note(const struct neo_call *call)
{
    size_t n = strlen(came);

    if (n + 1 < sizeof(came))
        came[n] = neo_call_was_compressed(call) ? 'c' : 'p';
}

/* text: "c" to be answered compressed. */
static void say_compressed(struct neo_call *call, const struct neo_test_v1_Echo *request,
                           void *self)
{
    struct neo_test_v1_Echo reply = *request;

    (void)self;
    note(call);
    reply.count = neo_call_compress(call, neo_bytes_is(request->text, "c"));
    atomic_fetch_add(&said, 1);
    neo_call_reply(call, &reply);
}

static void chat_one(struct neo_call *call, const void *message, void *state)
{
    const struct neo_test_v1_Echo *request = message;
    struct neo_test_v1_Echo reply = *request;

    (void)state;
    note(call);
    reply.count = neo_call_compress(call, neo_bytes_is(request->text, "c"));
    (void)neo_call_send(call, &reply);
}

static void chat_over(struct neo_call *call, void *state)
{
    static const struct neo_status ok = {.code = NEO_OK};

    (void)state;
    neo_call_finish(call, &ok);
}

static void chat_compressed(struct neo_call *call, const struct neo_test_v1_Echo *none, void *self)
{
    static const struct neo_stream_events events = {.message = chat_one, .half_closed = chat_over};

    (void)none;
    (void)self;
    neo_call_on_stream(call, &events, NULL);
}

static struct rpc_client client;

static void serve_compressed(bool accept_gzip)
{
    static const struct neo_test_v1_Echoes_handlers handlers = {.Say = say_compressed,
                                                                .Chat = chat_compressed};
    struct neo_error err = {0};

    memset(came, 0, sizeof(came));
    memset(&client, 0, sizeof(client));
    world.options.accept_gzip = accept_gzip;
    if (neo_server_new(&world.options, &world.server, &err) != NEO_OK ||
        neo_test_v1_Echoes_add(world.server, &handlers, NULL, &err) != NEO_OK ||
        neo_server_listen(world.server, "127.0.0.1:0", &err) != NEO_OK)
        fail_msg("%s", err.message);
    connect_ready(&client, world.caller);
}

/* --- the client ------------------------------------------------------------------------------- */

static void put_message(struct neo_buffer *wire, const char *text, bool compressed)
{
    struct neo_test_v1_Echo message = {.text = neo_text(text)};
    uint8_t prefix[FRAME_PREFIX_LEN] = {0};
    size_t at = wire->len;

    assert_true(neo_buffer_append(wire, neo_bytes(prefix, sizeof(prefix))));
    assert_int_equal(neo_test_v1_Echo_encode(&message, wire, NULL), NEO_OK);
    if (compressed)
        assert_int_equal(frame_compress(wire, at, NULL), NEO_OK);
    else
        frame_prefix(wire->at + at, wire->len - at - FRAME_PREFIX_LEN);
}

static void put_raw(struct neo_buffer *wire, struct neo_bytes body)
{
    uint8_t prefix[FRAME_PREFIX_LEN];

    frame_prefix(prefix, body.len);
    prefix[0] = 1;
    assert_true(neo_buffer_append(wire, neo_bytes(prefix, sizeof(prefix))) &&
                neo_buffer_append(wire, body));
}

/* Sends `wire` with these headers and waits for the end; takes `wire`. */
static void call_raw(struct rpc_call *call, const char *method, const struct h2_header *headers,
                     size_t n, struct neo_buffer *wire)
{
    start_with(call, &client, method, NULL, false, headers, n);
    call->reader.encoding = FRAME_GZIP;
    rpc_call_send_raw(call, neo_buffer_bytes(wire));
    rpc_call_end(call);
    wait_for(call->closed);
    neo_buffer_fini(wire);
}

static void assert_header(const struct rpc_call *call, const char *name, const char *value)
{
    struct neo_bytes found = wire_header(call->headers, name);

    if (value == NULL ? found.at != NULL : !neo_bytes_is(found, value))
        fail_msg("%s is \"%.*s\", expected %s", name, NEO_FMT(found),
                 value == NULL ? "none" : value);
}

static void assert_refused(const char *method, const struct h2_header *headers, size_t n,
                           struct neo_buffer wire, enum neo_code code, const char *reason,
                           const char *accepts)
{
    struct rpc_call call;

    call_raw(&call, method, headers, n, &wire);
    assert_reason(&call, code, reason);
    assert_header(&call, "grpc-accept-encoding", accepts);
    rpc_call_fini(&call);
}

/* --- refusals --------------------------------------------------------------------------------- */

TEST(nothing_compressed_is_taken_unless_it_was_asked_for)
{
    struct neo_buffer wire = {0};

    serve_compressed(false);
    put_message(&wire, "p", true);
    assert_refused("Say", gzip, 1, wire, NEO_UNIMPLEMENTED, "COMPRESSION_UNKNOWN", "identity");
    wire = (struct neo_buffer){0};
    put_message(&wire, "p", false); /* not even one that only might be */
    assert_refused("Say", gzip, 1, wire, NEO_UNIMPLEMENTED, "COMPRESSION_UNKNOWN", "identity");
    assert_int_equal(said, 0);
    disconnect(&client);
}

TEST(an_encoding_that_is_not_known_is_refused_with_those_that_are)
{
    static const char *const values[] = {"deflate", "snappy", "GZIP", "gzip,gzip", "x", "gzip "};
    struct h2_header headers[] = {gzip[0], gzip[0]};

    serve_compressed(true);
    for (size_t i = 0; i < NEO_COUNT(values); i++) {
        struct neo_buffer wire = {0};
        headers[0].value = neo_text(values[i]);
        put_message(&wire, "p", false);
        if (i + 1 < NEO_COUNT(values)) /* HTTP/2 itself refuses the last */
            assert_refused("Say", headers, 1, wire, NEO_UNIMPLEMENTED, "COMPRESSION_UNKNOWN",
                           "identity,gzip");
        else
            neo_buffer_fini(&wire);
    }
    struct neo_buffer wire = {0};
    headers[0] = gzip[0];
    put_message(&wire, "p", false);
    assert_refused("Say", headers, 2, wire, NEO_UNIMPLEMENTED, "COMPRESSION_UNKNOWN",
                   "identity,gzip");
    assert_int_equal(said, 0);
    disconnect(&client);
}

TEST(a_compressed_flag_without_an_encoding_is_internal)
{
    struct h2_header identity = gzip[0];

    serve_compressed(true);
    identity.value = NEO_LIT("identity");
    for (size_t n = 0; n < 2; n++) {
        struct neo_buffer wire = {0};
        put_message(&wire, "p", true);
        assert_refused("Say", &identity, n, wire, NEO_INTERNAL, "MESSAGE_BROKEN", "identity,gzip");
    }
    assert_int_equal(said, 0);
    disconnect(&client);
}

TEST(what_is_no_gzip_is_internal)
{
    static const char *const methods[] = {"Say", "Chat"};

    serve_compressed(true);
    for (size_t i = 0; i < NEO_COUNT(methods); i++) {
        struct neo_buffer wire = {0};
        put_raw(&wire, NEO_LIT("this was never compressed"));
        assert_refused(methods[i], gzip, 1, wire, NEO_INTERNAL, "MESSAGE_BROKEN", "identity,gzip");
        wire = (struct neo_buffer){0};
        put_raw(&wire, NEO_LIT(""));
        assert_refused(methods[i], gzip, 1, wire, NEO_INTERNAL, "MESSAGE_BROKEN", "identity,gzip");
        wire = (struct neo_buffer){0};
        put_message(&wire, "cut", true);
        wire.len -= 3;
        wire.at[4] = (uint8_t)(wire.at[4] - 3);
        assert_refused(methods[i], gzip, 1, wire, NEO_INTERNAL, "MESSAGE_BROKEN", "identity,gzip");
    }
    assert_int_equal(said, 0);
    assert_string_equal(came, "");
    disconnect(&client);
}

TEST(a_bomb_is_too_large_and_no_handler_hears_of_it)
{
    enum { LIMIT = 100 * 1024, BOMB = 16 << 20 };
    uint8_t *nothing = neo_alloc(BOMB);
    struct neo_buffer small = {0};

    world.options.max_message = LIMIT;
    serve_compressed(true);
    assert_int_equal(gzip_deflate(neo_bytes(nothing, BOMB), &small, NULL), NEO_OK);
    assert_true(small.len < LIMIT);
    for (size_t i = 0; i < 2; i++) {
        struct neo_buffer wire = {0};
        put_raw(&wire, neo_buffer_bytes(&small));
        assert_refused(i == 0 ? "Say" : "Chat", gzip, 1, wire, NEO_RESOURCE_EXHAUSTED,
                       "MESSAGE_TOO_LARGE", "identity,gzip");
    }
    assert_int_equal(said, 0);
    assert_string_equal(came, "");
    neo_buffer_fini(&small);
    neo_free(nothing);
    disconnect(&client);
}

/* --- promises --------------------------------------------------------------------------------- */

static void assert_reply(const struct rpc_call *call, size_t i, const char *text, bool done)
{
    struct neo_test_v1_Echo reply;
    struct neo_arena arena;

    neo_arena_init(&arena, 1 << 20);
    assert_int_equal(neo_test_v1_Echo_decode(call->messages[i], &reply, &arena, NULL), NEO_OK);
    assert_true(neo_bytes_is(reply.text, text));
    assert_int_equal(reply.count, done);
    neo_arena_fini(&arena);
}

TEST(each_message_of_a_stream_comes_and_goes_by_its_own_flag)
{
    struct neo_buffer wire = {0};
    struct rpc_call call;

    serve_compressed(true);
    put_message(&wire, "c", true);
    put_message(&wire, "p", false);
    put_message(&wire, "c", false);
    put_message(&wire, "p", true);
    call_raw(&call, "Chat", gzip, 2, &wire);
    assert_int_equal(call.status.code, NEO_OK);
    assert_string_equal(came, "cppc");
    assert_header(&call, "grpc-encoding", "gzip");
    assert_int_equal(call.n_messages, 4);
    for (size_t i = 0; i < 4; i++)
        assert_reply(&call, i, i % 2 == 0 ? "c" : "p", true);
    assert_false(call.reader.compressed); /* the last one was "p" */
    rpc_call_fini(&call);
    disconnect(&client);
}

TEST(a_reply_is_compressed_only_for_who_takes_it)
{
    for (size_t takes = 0; takes < 2; takes++) {
        struct neo_buffer wire = {0};
        struct rpc_call call;

        if (takes == 0)
            serve_compressed(true);
        put_message(&wire, "c", false);
        call_raw(&call, "Say", gzip, takes == 0 ? 1 : 2, &wire);
        assert_int_equal(call.status.code, NEO_OK);
        assert_reply(&call, 0, "c", takes == 1);
        assert_int_equal(call.reader.compressed, takes == 1);
        assert_header(&call, "grpc-encoding", takes == 1 ? "gzip" : NULL);
        rpc_call_fini(&call);
    }
    disconnect(&client);
}

TEST(who_asks_after_the_headers_have_left_is_told_no)
{
    struct neo_buffer wire = {0};
    struct rpc_call call;

    serve_compressed(true);
    put_message(&wire, "p", false);
    put_message(&wire, "c", false);
    call_raw(&call, "Chat", gzip, 2, &wire);
    assert_reply(&call, 0, "p", true);
    assert_reply(&call, 1, "c", false);
    assert_header(&call, "grpc-encoding", NULL);
    rpc_call_fini(&call);
    disconnect(&client);
}

#define IN_A_WORLD(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_WORLD(nothing_compressed_is_taken_unless_it_was_asked_for),
        IN_A_WORLD(an_encoding_that_is_not_known_is_refused_with_those_that_are),
        IN_A_WORLD(a_compressed_flag_without_an_encoding_is_internal),
        IN_A_WORLD(what_is_no_gzip_is_internal),
        IN_A_WORLD(a_bomb_is_too_large_and_no_handler_hears_of_it),
        IN_A_WORLD(each_message_of_a_stream_comes_and_goes_by_its_own_flag),
        IN_A_WORLD(a_reply_is_compressed_only_for_who_takes_it),
        IN_A_WORLD(who_asks_after_the_headers_have_left_is_told_no),
    };
    return cmocka_run_group_tests_name("rpc/compression", tests, NULL, NULL);
}
