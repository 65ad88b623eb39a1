/* SPDX-License-Identifier: Apache-2.0 */
/* Calls from a thread with an event loop of its own: poll() here. */
#include "../unit.h"

#include "support/echo.h"

#include <neo/memory.h>
#include <neo/queue.h>

#include <poll.h>
#include <stdio.h>

#define MSEC NEO_NSEC_PER_MSEC

static struct echo_world world;
static struct neo_server *server;
static struct neo_channel *channel;
static struct neo_queue *queue;
static struct neo_arena arena;

static int set_up(void **state)
{
    char target[200];

    (void)state;
    neo_arena_init(&arena, 16 << 20);
    echo_world_init(&world);
    server = echo_server(&world, NULL);
    echo_target(target, sizeof(target), &server, 1);
    channel = echo_channel(&world, "caller-service", target, NULL);
    assert_int_equal(neo_queue_new(&queue, NULL), NEO_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    neo_queue_free(queue);
    neo_channel_free(channel);
    neo_server_free(server);
    echo_world_fini(&world);
    neo_arena_fini(&arena);
    return 0;
}

static bool is_readable(int timeout_ms)
{
    struct pollfd p = {.fd = neo_queue_fd(queue), .events = POLLIN};

    return poll(&p, 1, timeout_ms) == 1;
}

/* The next event, or a failure after ten seconds. */
static struct neo_event next(void)
{
    struct neo_event event;

    while (!neo_queue_next(queue, &event))
        if (!is_readable(10000))
            fail_msg("nothing came");
    return event;
}

static struct neo_test_v1_Words words_of(const struct neo_event *event)
{
    struct neo_test_v1_Words words;

    assert_int_equal(event->kind, NEO_EVENT_MESSAGE);
    assert_int_equal(neo_event_decode(event, &words, &arena, NULL), NEO_OK);
    return words;
}

static struct neo_queue_call *start(const struct neo_method *method,
                                    const struct neo_test_v1_Words *request, void *tag)
{
    struct neo_queue_call *call;
    struct neo_error err;

    if (neo_queue_start(queue, channel, method, NULL, request, tag, &call, &err) != NEO_OK)
        fail_msg("%s", err.message);
    return call;
}

static const struct neo_method *method(unsigned index)
{
    return &neo_test_v1_Speech_info.methods[index];
}

/* --- refusals and ends -------------------------------------------------------------------- */

TEST(an_empty_queue_is_not_readable_and_gives_nothing)
{
    struct neo_event event;

    assert_false(is_readable(0));
    assert_false(neo_queue_next(queue, &event));
}

TEST(what_is_wrong_with_a_call_is_its_end)
{
    struct neo_test_v1_Words words = {.text = NEO_LIT("x")};
    struct neo_queue_call *call;
    struct neo_call_options options = {
        .metadata = &(struct neo_pair){NEO_LIT("grpc-bad"), NEO_LIT("x")}, .n_metadata = 1};

    /* What the loop finds wrong comes as the call's end. */
    assert_int_equal(neo_queue_start(queue, channel, method(neo_test_v1_Speech_Say_INDEX), &options,
                                     &words, NULL, &call, NULL),
                     NEO_OK);
    struct neo_event event = next();
    assert_int_equal(event.kind, NEO_EVENT_DONE);
    assert_int_equal(event.status->code, NEO_INVALID_ARGUMENT);
}

TEST(a_failure_is_told_once_with_its_text)
{
    const struct neo_test_v1_Words words = {.code = NEO_NOT_FOUND};
    struct neo_event event;

    start(method(neo_test_v1_Speech_Say_INDEX), &words, &world);
    event = next();
    assert_int_equal(event.kind, NEO_EVENT_DONE);
    assert_ptr_equal(event.tag, &world);
    assert_int_equal(event.status->code, NEO_NOT_FOUND);
    assert_true(event.status->message.len > 0);
    assert_false(neo_queue_next(queue, &event));
    assert_false(is_readable(0));
}

TEST(a_cancelled_call_ends_and_takes_no_more)
{
    const struct neo_test_v1_Words words = {.delay_ms = 60000};
    struct neo_queue_call *call = start(method(neo_test_v1_Speech_Say_INDEX), &words, NULL);

    neo_queue_call_cancel(call);
    struct neo_event event = next();
    assert_int_equal(event.kind, NEO_EVENT_DONE);
    assert_int_equal(event.status->code, NEO_CANCELLED);
    assert_int_equal(neo_queue_call_send(call, &words), NEO_FLOW_GONE);
}

TEST(a_deadline_of_the_options_counts_though_they_are_gone)
{
    const struct neo_test_v1_Words words = {.delay_ms = 60000};
    struct neo_call_options *options = neo_alloc(sizeof(*options));
    struct neo_queue_call *call;

    options->timeout = 50 * MSEC;
    assert_int_equal(neo_queue_start(queue, channel, method(neo_test_v1_Speech_Say_INDEX), options,
                                     &words, NULL, &call, NULL),
                     NEO_OK);
    neo_free(options);
    struct neo_event event = next();
    assert_int_equal(event.status->code, NEO_DEADLINE_EXCEEDED);
}

TEST(a_queue_may_go_while_its_calls_run)
{
    const struct neo_test_v1_Words slow = {.delay_ms = 60000};
    const struct neo_test_v1_Words fast = {.text = NEO_LIT("x")};

    for (int i = 0; i < 50; i++)
        start(method(neo_test_v1_Speech_Say_INDEX), i % 2 == 0 ? &slow : &fast, NULL);
    (void)is_readable(20);
}

TEST(a_channel_that_goes_first_ends_its_calls)
{
    const struct neo_test_v1_Words slow = {.delay_ms = 60000};
    struct neo_event event;

    start(method(neo_test_v1_Speech_Say_INDEX), &slow, NULL);
    start(method(neo_test_v1_Speech_Chat_INDEX), NULL, NULL);
    neo_channel_free(channel);
    channel = NULL;
    for (int i = 0; i < 2; i++) {
        event = next();
        assert_int_equal(event.kind, NEO_EVENT_DONE);
        assert_int_equal(event.status->code, NEO_CANCELLED);
    }
    assert_false(neo_queue_next(queue, &event));
}

/* --- calls of every kind ------------------------------------------------------------------ */

TEST(many_calls_are_answered_in_one_thread)
{
    enum { MANY = 500 };
    static unsigned answered[MANY], ended[MANY];
    unsigned left = MANY;

    memset(answered, 0, sizeof(answered));
    memset(ended, 0, sizeof(ended));
    for (unsigned i = 0; i < MANY; i++) {
        const struct neo_test_v1_Words words = {.text = NEO_LIT("x"), .count = i};
        start(method(neo_test_v1_Speech_Say_INDEX), &words, &answered[i]);
    }
    while (left > 0) {
        struct neo_event event = next();
        size_t i = (size_t)((unsigned *)event.tag - answered);
        if (event.kind == NEO_EVENT_MESSAGE) {
            assert_int_equal(words_of(&event).count, i);
            answered[i]++;
        } else {
            assert_int_equal(event.kind, NEO_EVENT_DONE);
            assert_int_equal(event.status->code, NEO_OK);
            assert_int_equal(answered[i], 1);
            assert_int_equal(ended[i]++, 0);
            left--;
        }
    }
    assert_int_equal(world.handled, MANY);
}

TEST(a_stream_waits_in_the_queue_until_it_is_taken)
{
    const struct neo_test_v1_Words words = {.count = 300, .size = 4000};
    struct neo_event event;

    start(method(neo_test_v1_Speech_Repeat_INDEX), &words, NULL);
    assert_true(is_readable(10000));
    assert_true(is_readable(100)); /* and stays so: it is a level */
    for (unsigned i = 0; i < 300; i++) {
        event = next();
        assert_int_equal(words_of(&event).text.len, 4000);
        neo_arena_reset(&arena);
    }
    event = next();
    assert_int_equal(event.kind, NEO_EVENT_DONE);
    assert_int_equal(event.status->code, NEO_OK);
    assert_false(is_readable(0));
}

static void nothing(void *self)
{
    (void)self;
}

/* The end may be found before the loop gets to tell of it. */
TEST(an_end_that_was_taken_is_not_told_again)
{
    const struct neo_test_v1_Words words = {.count = 20, .size = 10};

    for (unsigned i = 0; i < 200; i++) {
        start(method(neo_test_v1_Speech_Repeat_INDEX), &words, NULL);
        while (next().kind != NEO_EVENT_DONE)
            continue;
        neo_runtime_call(world.runtime, 0, nothing, NULL); /* now it has told all */
        assert_false(is_readable(0));
    }
}

TEST(a_sender_hears_when_there_is_room_again)
{
    static uint8_t body[16 * 1024];
    const struct neo_test_v1_Words words = {.text = {body, sizeof(body)}};
    struct neo_queue_call *call = start(method(neo_test_v1_Speech_Count_INDEX), NULL, NULL);
    unsigned sent = 0, full = 0, writable = 0;
    struct neo_event event;

    while (sent < 400) {
        enum neo_flow flow = neo_queue_call_send(call, &words);
        assert_int_not_equal(flow, NEO_FLOW_GONE);
        sent++;
        if (flow == NEO_FLOW_MORE)
            continue;
        full++;
        event = next();
        assert_int_equal(event.kind, NEO_EVENT_WRITABLE);
        writable++;
    }
    neo_queue_call_close_send(call);
    event = next();
    while (event.kind == NEO_EVENT_WRITABLE)
        event = next();
    assert_int_equal(words_of(&event).count, 400);
    event = next();
    assert_int_equal(event.kind, NEO_EVENT_DONE);
    assert_true(full > 0 && full == writable);
}

TEST(a_dialogue_goes_both_ways)
{
    struct neo_queue_call *call = start(method(neo_test_v1_Speech_Chat_INDEX), NULL, NULL);
    struct neo_event event;

    for (unsigned i = 0; i < 20; i++) {
        const struct neo_test_v1_Words words = {.count = i};
        assert_int_equal(neo_queue_call_send(call, &words), NEO_FLOW_MORE);
        event = next();
        assert_int_equal(words_of(&event).count, i);
    }
    neo_queue_call_close_send(call);
    event = next();
    assert_int_equal(event.kind, NEO_EVENT_DONE);
    assert_int_equal(event.status->code, NEO_OK);
}

#define QUEUED(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        QUEUED(an_empty_queue_is_not_readable_and_gives_nothing),
        QUEUED(what_is_wrong_with_a_call_is_its_end),
        QUEUED(a_failure_is_told_once_with_its_text),
        QUEUED(a_cancelled_call_ends_and_takes_no_more),
        QUEUED(a_deadline_of_the_options_counts_though_they_are_gone),
        QUEUED(a_queue_may_go_while_its_calls_run),
        QUEUED(a_channel_that_goes_first_ends_its_calls),
        QUEUED(many_calls_are_answered_in_one_thread),
        QUEUED(a_stream_waits_in_the_queue_until_it_is_taken),
        QUEUED(an_end_that_was_taken_is_not_told_again),
        QUEUED(a_sender_hears_when_there_is_room_again),
        QUEUED(a_dialogue_goes_both_ways),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
