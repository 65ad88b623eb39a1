/* SPDX-License-Identifier: Apache-2.0 */
/* Blocking streams and the queue: what they refuse, what they tell, and how they end. */
#include "../unit.h"

#include "support/echo.h"

#include <neo/memory.h>
#include <neo/queue.h>
#include <neo/test/v1/echo.neo.h>

#include <poll.h>
#include <stdio.h>

enum { BIG = 1 << 20 };

static struct echo_world world;
static struct neo_server *server;
static struct neo_channel *channel;
static struct neo_arena arena;
static uint8_t *blob; /* of BIG bytes, exactly: who reads on reads foreign memory */

/* --- a server that gives back what came ------------------------------------------------------- */

static void say(struct neo_call *call, const struct neo_test_v1_Echo *request, void *self)
{
    (void)self;
    neo_call_reply(call, request);
}

static void chat_one(struct neo_call *call, const void *request, void *state)
{
    (void)state;
    (void)neo_call_send(call, request);
}

static void chat_end(struct neo_call *call, void *state)
{
    static const struct neo_status ok = {.code = NEO_OK};

    (void)state;
    neo_call_finish(call, &ok);
}

static void chat(struct neo_call *call, const struct neo_test_v1_Echo *request, void *self)
{
    static const struct neo_stream_events events = {.message = chat_one, .half_closed = chat_end};

    (void)request;
    neo_call_on_stream(call, &events, self);
}

static const struct neo_test_v1_Echoes_handlers handlers = {.Say = say, .Chat = chat};

static int set_up(void **state)
{
    char target[200];
    struct neo_error err = {0};

    (void)state;
    neo_arena_init(&arena, 64 << 20);
    blob = neo_alloc(BIG);
    echo_world_init(&world);
    const struct neo_server_options options = {
        .name = "echo-service", .runtime = world.runtime, .epoch = world.epoch};
    if (neo_server_new(&options, &server, &err) != NEO_OK ||
        neo_test_v1_Echoes_add(server, &handlers, NULL, &err) != NEO_OK ||
        neo_server_listen(server, "127.0.0.1:0", &err) != NEO_OK)
        fail_msg("%s", err.message);
    echo_target(target, sizeof(target), &server, 1);
    channel = echo_channel(&world, "caller-service", target, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    neo_memory_fail_at(0);
    neo_channel_free(channel);
    neo_server_free(server);
    echo_world_fini(&world);
    neo_free(blob);
    neo_arena_fini(&arena);
    return 0;
}

static struct neo_stream *open_chat(void)
{
    struct neo_stream *stream;
    struct neo_error err;

    if (neo_test_v1_Echoes_Chat_stream(channel, NULL, &stream, &err) != NEO_OK)
        fail_msg("%s", err.message);
    return stream;
}

/* Sends it and has it back, so that all sent before it has gone its way, too. */
static void assert_comes_back(struct neo_stream *stream, const char *text)
{
    const struct neo_test_v1_Echo request = {.text = neo_text(text)};
    struct neo_test_v1_Echo response;

    assert_int_equal(neo_stream_send(stream, &request), NEO_OK);
    memset(&response, 0, sizeof(response));
    if (!neo_stream_next(stream, &response, &arena))
        fail_msg("the stream is over: %.*s", NEO_FMT(neo_stream_status(stream)->message));
    assert_true(neo_bytes_is(response.text, text));
    assert_int_equal(response.body.len, 0);
}

/* A message of which nothing can be sent: what it promises first is there, what comes then is no
 * UTF-8. */
static struct neo_test_v1_Echo unsendable(void)
{
    return (struct neo_test_v1_Echo){.body = {blob, BIG}, .text = NEO_LIT("\xff is no text")};
}

/* --- refusals --------------------------------------------------------------------------------- */

TEST(of_a_message_that_cannot_be_encoded_a_stream_sends_nothing)
{
    const struct neo_test_v1_Echo bad = unsendable();
    struct neo_stream *stream = open_chat();

    assert_comes_back(stream, "before");
    for (int i = 0; i < 3; i++)
        assert_int_equal(neo_stream_send(stream, &bad), NEO_INVALID_ARGUMENT);
    assert_comes_back(stream, "after");
    neo_stream_close_send(stream);
    struct neo_test_v1_Echo response = {0};
    assert_false(neo_stream_next(stream, &response, &arena));
    assert_int_equal(neo_stream_status(stream)->code, NEO_OK);
    neo_stream_free(stream);
}

TEST(of_a_message_there_is_no_memory_for_a_stream_sends_nothing)
{
    const struct neo_test_v1_Echo big = {.body = {blob, BIG}};
    struct neo_stream *stream = open_chat();

    assert_comes_back(stream, "before");
    for (unsigned long n = 1; n <= 2; n++) { /* the length, then the message */
        neo_memory_fail_at(n);
        enum neo_code code = neo_stream_send(stream, &big);
        neo_memory_fail_at(0);
        assert_int_equal(code, NEO_RESOURCE_EXHAUSTED);
    }
    assert_comes_back(stream, "after");
    neo_stream_free(stream);
}

static struct neo_event next_event(struct neo_queue *queue)
{
    struct pollfd p = {.fd = neo_queue_fd(queue), .events = POLLIN};
    struct neo_event event;

    while (!neo_queue_next(queue, &event))
        if (poll(&p, 1, 10000) != 1)
            fail_msg("nothing came");
    return event;
}

TEST(of_a_message_that_cannot_be_encoded_a_queue_sends_nothing)
{
    const struct neo_method *method =
        &neo_test_v1_Echoes_info.methods[neo_test_v1_Echoes_Chat_INDEX];
    const struct neo_test_v1_Echo good = {.text = NEO_LIT("good")}, bad = unsendable();
    struct neo_test_v1_Echo response;
    struct neo_queue *queue;
    struct neo_queue_call *call;

    assert_int_equal(neo_queue_new(&queue, NULL), NEO_OK);
    assert_int_equal(neo_queue_start(queue, channel, method, NULL, NULL, NULL, &call, NULL),
                     NEO_OK);
    for (int i = 0; i < 3; i++)
        assert_int_equal(neo_queue_call_send(call, &bad), NEO_FLOW_GONE);
    assert_int_equal(neo_queue_call_send(call, &good), NEO_FLOW_MORE);
    neo_queue_call_close_send(call);
    struct neo_event event = next_event(queue);
    assert_int_equal(event.kind, NEO_EVENT_MESSAGE);
    assert_int_equal(neo_event_decode(&event, &response, &arena, NULL), NEO_OK);
    assert_true(neo_bytes_is(response.text, "good"));
    event = next_event(queue);
    assert_int_equal(event.kind, NEO_EVENT_DONE);
    assert_int_equal(event.status->code, NEO_OK);
    neo_queue_free(queue);
}

#define STREAMED(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STREAMED(of_a_message_that_cannot_be_encoded_a_stream_sends_nothing),
        STREAMED(of_a_message_there_is_no_memory_for_a_stream_sends_nothing),
        STREAMED(of_a_message_that_cannot_be_encoded_a_queue_sends_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
