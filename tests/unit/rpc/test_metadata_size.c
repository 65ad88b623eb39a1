/* SPDX-License-Identifier: Apache-2.0 */
/* How large metadata may be, in both directions, over real sockets. */
#include "../unit.h"

#include "support/echo.h"
#include "support/pki.h"

#include <neo/channel_options.h>
#include <neo/memory.h>
#include <neo/neo.h>

#include <neo/test/v1/echo.neo.h>

#include "rpc/channel_internal.h"

#include <stdio.h>

enum { KIB = 1 << 10, REFUSED = 1 << 30 };

static struct echo_world world;
static char text[128 * KIB];

/* Answers with as much metadata as the request asks for, and says how much it was sent. */
static void say(struct neo_call *call, const struct neo_test_v1_Words *request, void *self)
{
    struct neo_bytes came = neo_call_metadata(call, "x-large");
    struct neo_test_v1_Words reply = {.size = (uint32_t)came.len};

    (void)self;
    if (request->size > 0 && !neo_call_add_header(call, "x-large", neo_bytes(text, request->size)))
        reply.size = REFUSED;
    neo_test_v1_Speech_Say_reply(call, &reply);
}

static struct neo_server *serve(size_t max_metadata, unsigned max_streams)
{
    static const struct neo_test_v1_Speech_handlers handlers = {.Say = say};
    const struct neo_server_options options = {
        .name = "echo-service",
        .runtime = world.runtime,
        .epoch = world.epoch,
        .max_metadata = max_metadata,
        .max_streams = max_streams,
    };
    struct neo_server *server;
    struct neo_error err;

    assert_int_equal(neo_server_new(&options, &server, &err), NEO_OK);
    assert_int_equal(neo_test_v1_Speech_add(server, &handlers, NULL, &err), NEO_OK);
    assert_int_equal(neo_server_listen(server, "127.0.0.1:0", &err), NEO_OK);
    return server;
}

static struct neo_channel *connect_to(struct neo_server *server, size_t max_metadata)
{
    struct neo_identity *identity = pki_identity(world.pki, "caller-service", NULL);
    const struct neo_channel_tuning tuning = {.max_metadata = max_metadata};
    const struct neo_channel_options options = {
        .loop = neo_runtime_loop(world.runtime, 0),
        .epoch = {.identity = identity, .trust = world.epoch.trust},
        .service = "echo-service",
        .trust_domain = "neo.test",
        .tuning = &tuning,
    };
    struct neo_channel *channel;
    struct neo_error err;
    char target[200];

    echo_target(target, sizeof(target), &server, 1);
    assert_int_equal(neo_channel_open(target, &options, &channel, &err), NEO_OK);
    neo_identity_unref(identity);
    return channel;
}

/* A call with so much metadata that asks for so much; what the server says it got in `ret_came`. */
static enum neo_code call_with(struct neo_channel *channel, size_t sent, size_t asked,
                               size_t *ret_came)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = NEO_ARENA(1 << 20);
    const struct neo_pair pair = {NEO_LIT("x-large"), neo_bytes(text, sent)};
    const struct neo_call_options options = {.metadata = &pair, .n_metadata = sent > 0};
    const struct neo_test_v1_Words words = {.size = (uint32_t)asked};
    struct neo_test_v1_Words reply;
    enum neo_code code = neo_test_v1_Speech_Say(channel, &options, &words, &reply, &arena, NULL);

    *ret_came = code == NEO_OK ? reply.size : 0;
    return code;
}

TEST(sizes_that_no_connection_could_bring_are_refused)
{
    static const size_t bad[] = {1, KIB - 1, 128 * KIB + 1, SIZE_MAX};
    struct neo_server_options options = {
        .name = "echo-service", .runtime = world.runtime, .epoch = world.epoch};
    struct neo_server *server;
    struct neo_error err;

    for (size_t i = 0; i < NEO_COUNT(bad); i++) {
        options.max_metadata = bad[i];
        assert_int_equal(neo_server_new(&options, &server, &err), NEO_INVALID_ARGUMENT);
        assert_non_null(strstr(err.message, "max_metadata"));
    }
}

TEST(requests_with_more_than_the_servers_limit_are_refused_and_others_go_on)
{
    static const size_t limits[] = {0, 4 * KIB, 48 * KIB};
    size_t came;

    for (size_t i = 0; i < NEO_COUNT(limits); i++) {
        size_t limit = limits[i] == 0 ? 16 * KIB : limits[i];
        struct neo_server *server = serve(limits[i], 0);
        struct neo_channel *channel = connect_to(server, 0);
        assert_int_equal(call_with(channel, limit + 1, 0, &came), NEO_RESOURCE_EXHAUSTED);
        assert_int_equal(call_with(channel, limit - KIB, 0, &came), NEO_OK);
        assert_int_equal(came, limit - KIB);
        neo_channel_free(channel);
        neo_server_free(server);
    }
}

/* 0: our default; the server does not send what its caller would not take. */
TEST(responses_with_more_than_the_channels_limit_are_refused_to_the_handler_and_the_call_goes_on)
{
    static const size_t limits[] = {0, 4 * KIB, 48 * KIB};
    struct neo_server *server = serve(0, 0);
    size_t came;

    for (size_t i = 0; i < NEO_COUNT(limits); i++) {
        size_t limit = limits[i] == 0 ? 16 * KIB : limits[i];
        struct neo_channel *channel = connect_to(server, limits[i]);
        assert_int_equal(call_with(channel, 0, limit + 1, &came), NEO_OK);
        assert_int_equal(came, REFUSED);
        assert_int_equal(call_with(channel, 0, limit - KIB, &came), NEO_OK);
        assert_int_equal(came, 0);
        neo_channel_free(channel);
    }
    neo_server_free(server);
}

struct room {
    struct neo_channel *channel;
    size_t streams;
};

static void look(void *self)
{
    struct room *r = self;

    list_each (node, &r->channel->core->subchannels) {
        const struct subchannel *sub = neo_owner(node, struct subchannel, link);
        r->streams = h2_stream_room(conn_h2(sub->current->conn));
    }
}

TEST(a_connection_brings_as_many_calls_at_once_as_the_server_says)
{
    static const unsigned limits[] = {0, 1, 7};
    size_t came;

    for (size_t i = 0; i < NEO_COUNT(limits); i++) {
        struct neo_server *server = serve(0, limits[i]);
        struct room room = {.channel = connect_to(server, 0)};
        assert_int_equal(call_with(room.channel, 0, 0, &came), NEO_OK);
        neo_runtime_call(world.runtime, 0, look, &room);
        assert_int_equal(room.streams, limits[i] == 0 ? 100 : limits[i]);
        neo_channel_free(room.channel);
        neo_server_free(server);
    }
}

static int set_up(void **state)
{
    (void)state;
    memset(text, 'x', sizeof(text));
    echo_world_init(&world);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    echo_world_fini(&world);
    return 0;
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(sizes_that_no_connection_could_bring_are_refused),
        T(requests_with_more_than_the_servers_limit_are_refused_and_others_go_on),
        T(a_connection_brings_as_many_calls_at_once_as_the_server_says),
        T(responses_with_more_than_the_channels_limit_are_refused_to_the_handler_and_the_call_goes_on),
    };

    return cmocka_run_group_tests_name("rpc/metadata_size", tests, NULL, NULL);
}
