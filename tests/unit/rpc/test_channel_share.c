/* SPDX-License-Identifier: Apache-2.0 */
/* Channels that share connections, opened, told, used and freed by many threads at once. */
#include "../unit.h"

#include "support/echo.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

enum { THREADS = 6, ROUNDS = 25 };

static struct {
    struct echo_world world;
    struct neo_server *server;
    struct neo_identity *identities[2];
    char target[200];
    atomic_uint failures;
} all;

static struct neo_channel *open_as(struct neo_identity *identity, bool own)
{
    const struct neo_channel_options options = {
        .loop = neo_runtime_loop(all.world.runtime, 0),
        .epoch = {.identity = identity, .trust = all.world.epoch.trust},
        .service = "echo-service",
        .trust_domain = "neo.test",
        .own_connections = own,
    };
    struct neo_channel *channel = NULL;

    if (neo_channel_open(all.target, &options, &channel, NULL) != NEO_OK)
        atomic_fetch_add(&all.failures, 1);
    return channel;
}

static void say(struct neo_channel *channel)
{
    const struct neo_call_options options = {.timeout = 60 * NEO_NSEC_PER_SEC};
    const struct neo_test_v1_Words request = {.count = 1};
    struct neo_test_v1_Words reply;
    struct neo_arena arena;

    neo_arena_init(&arena, 1 << 20);
    if (neo_test_v1_Speech_Say(channel, &options, &request, &reply, &arena, NULL) != NEO_OK)
        atomic_fetch_add(&all.failures, 1);
    neo_arena_fini(&arena);
}

static void *come_and_go(void *self)
{
    unsigned number = (unsigned)(uintptr_t)self;

    for (unsigned i = 0; i < ROUNDS; i++) {
        struct neo_channel *channel = open_as(all.identities[(i + number) % 2], i % 7 == 6);
        if (channel == NULL)
            return NULL;
        say(channel);
        if (i % 3 == 2)
            neo_channel_update(
                channel, &(struct neo_epoch){.identity = all.identities[(i + number + 1) % 2]});
        say(channel);
        neo_channel_free(channel);
    }
    return NULL;
}

static void set_up(void)
{
    echo_world_init(&all.world);
    all.server = echo_server(&all.world, NULL);
    echo_target(all.target, sizeof(all.target), &all.server, 1);
    for (size_t i = 0; i < 2; i++)
        all.identities[i] = pki_identity(all.world.pki, "caller-service", NULL);
    atomic_store(&all.failures, 0);
}

static void tear_down(void)
{
    neo_server_free(all.server);
    for (size_t i = 0; i < 2; i++)
        neo_identity_unref(all.identities[i]);
    echo_world_fini(&all.world);
}

TEST(threads_that_open_tell_use_and_free_at_once_disturb_nobody)
{
    pthread_t threads[THREADS];

    set_up();
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, (void *)i), 0);
    for (size_t i = 0; i < THREADS; i++)
        (void)pthread_join(threads[i], NULL);
    assert_int_equal(all.failures, 0);
    assert_int_equal(all.world.handled, THREADS * ROUNDS * 2);
    tear_down();
}

static void *open_one(void *self)
{
    struct neo_channel **ret = self;

    *ret = open_as(all.identities[0], false);
    if (*ret != NULL)
        say(*ret);
    return NULL;
}

TEST(threads_that_open_the_same_at_once_get_one_connection)
{
    struct neo_channel *channels[THREADS] = {NULL};
    pthread_t threads[THREADS];

    set_up();
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, open_one, &channels[i]), 0);
    for (size_t i = 0; i < THREADS; i++)
        (void)pthread_join(threads[i], NULL);
    assert_int_equal(all.failures, 0);
    assert_int_equal(neo_server_stats(all.server).accepted, 1);
    for (size_t i = 0; i < THREADS; i++)
        neo_channel_free(channels[i]);
    tear_down();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_that_open_the_same_at_once_get_one_connection),
        cmocka_unit_test(threads_that_open_tell_use_and_free_at_once_disturb_nobody),
    };
    return cmocka_run_group_tests_name("rpc/channel_share", tests, NULL, NULL);
}
