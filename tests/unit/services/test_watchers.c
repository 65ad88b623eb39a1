/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that stay open, on a real server: what they hear, and what one costs that does not read. */
#include "../unit.h"

#include "common/watchers.h"
#include "support/echo.h"

#include <neo/digest.h>
#include <neo/memory.h>

#include <unistd.h>

enum { CHANGES = 1000, SIZE = 64 << 10 };

struct state {
    struct watchers watchers;
    _Atomic uint32_t version;
    _Atomic unsigned sent;
};

static enum neo_flow send_version(struct neo_call *call, const char *key, void *self)
{
    static uint8_t padding[SIZE]; /* nothing that compresses */
    struct state *s = self;

    if (padding[0] == 0)
        neo_random(padding, sizeof(padding));
    struct neo_test_v1_Words message = {.text = {padding, SIZE}, .count = s->version};

    (void)key;
    padding[0] = 1;
    s->sent++;
    return neo_test_v1_Speech_Repeat_send(call, &message);
}

static void repeat(struct neo_call *call, const struct neo_test_v1_Words *request, void *self)
{
    struct state *s = self;

    (void)request;
    watchers_add(&s->watchers, call, NEO_LIT("key"));
}

static const struct neo_test_v1_Speech_handlers handlers = {.Repeat = repeat};

static struct neo_server *serve(struct echo_world *w, struct state *s)
{
    struct neo_server_options options = {
        .name = "echo-service", .epoch = w->epoch, .runtime = w->runtime};
    struct neo_server *server;
    struct neo_error err;

    assert_int_equal(neo_server_new(&options, &server, &err), NEO_OK);
    assert_int_equal(neo_test_v1_Speech_add(server, &handlers, s, &err), NEO_OK);
    assert_int_equal(neo_server_listen(server, "127.0.0.1:0", &err), NEO_OK);
    return server;
}

static uint32_t next_version(struct neo_stream *stream)
{
    struct neo_test_v1_Words message = {0};
    struct neo_arena arena;

    neo_arena_init(&arena, 1 << 20);
    assert_true(neo_test_v1_Speech_Repeat_stream_next(stream, &message, &arena));
    neo_arena_fini(&arena);
    return message.count;
}

static void change(struct state *s)
{
    s->version++;
    watchers_tell(&s->watchers);
}

TEST(a_watcher_that_does_not_read_is_sent_little_and_then_the_newest)
{
    struct neo_test_v1_Words request = {.count = 1};
    struct neo_stream *stream;
    struct echo_world world;
    struct state watched = {.version = 0};
    struct neo_error err;
    char target[200];

    echo_world_init(&world);
    watchers_init(&watched.watchers, send_version, &watched);
    struct neo_server *server = serve(&world, &watched);
    echo_target(target, sizeof(target), &server, 1);
    struct neo_channel *channel = echo_channel(&world, "caller-service", target, NULL);
    assert_int_equal(neo_test_v1_Speech_Repeat_stream(channel, NULL, &request, &stream, &err),
                     NEO_OK);
    assert_int_equal(next_version(stream), 0);

    for (int i = 0; i < CHANGES; i++) {
        change(&watched);
        usleep(300);
    }
    unsigned held = watched.sent;
    print_message("%u of %d changes were sent unread\n", held, CHANGES);
    assert_true(held < CHANGES / 4);
    while (next_version(stream) != CHANGES)
        ;
    change(&watched); /* and it is told of what comes after */
    assert_int_equal(next_version(stream), CHANGES + 1);

    neo_stream_free(stream);
    neo_channel_free(channel);
    neo_server_free(server);
    watchers_fini(&watched.watchers);
    echo_world_fini(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_watcher_that_does_not_read_is_sent_little_and_then_the_newest),
    };
    return cmocka_run_group_tests_name("services/watchers", tests, NULL, NULL);
}
