/* SPDX-License-Identifier: Apache-2.0 */
/* Handlers that block: how many at once, and what becomes of the others. */
#include "logged.h"

#include "io/loop.h"

#include <dirent.h>

enum { MANY = 64 };

static struct rpc_client client, other;
static struct rpc_call calls[MANY];

/* Long enough for all to be there at once; they end when their callers go. */
static const struct neo_test_v1_Echo slow = {.text = {(const uint8_t *)"slow", 4}, .count = 30000};
static const struct neo_test_v1_Echo quick = {.text = {(const uint8_t *)"quick", 5}, .count = 1};

static const char both_policy[] = "service: \"*\"\n"
                                  "allowed_calls:\n"
                                  "  - target_service: \"echo-service\"\n"
                                  "    operations: [\"*\"]\n";

/* One caller may not have all threads: here are two. */
static int begin_both(void **state)
{
    if (begin_logged(state) != 0)
        return -1;
    neo_policy_unref(world.policy);
    world.policy = world.options.epoch.policy = compile_policy(both_policy);
    return 0;
}

static void connect_both(void)
{
    serve();
    connect_ready(&client, world.caller);
    connect_ready(&other, world.stranger);
}

/* In turns of the one and the other. */
static void begin_calls(size_t n)
{
    connect_both();
    for (size_t i = 0; i < n; i++)
        start(&calls[i], i % 2 == 0 ? &client : &other, "Block", &slow);
}

static void end_calls(size_t n)
{
    disconnect(&client);
    disconnect(&other);
    wait_for(neo_server_stats(world.server).calls == 0);
    for (size_t i = 0; i < n; i++)
        rpc_call_fini(&calls[i]);
}

static unsigned pool_threads(void)
{
    DIR *tasks = opendir("/proc/self/task");
    unsigned n = 0;

    assert_non_null(tasks);
    for (struct dirent *d; (d = readdir(tasks)) != NULL;) {
        char path[300], name[32] = "";
        (void)snprintf(path, sizeof(path), "/proc/self/task/%s/comm", d->d_name);
        FILE *file = fopen(path, "re");
        if (file == NULL)
            continue;
        n += fgets(name, sizeof(name), file) != NULL && strcmp(name, "neo-pool\n") == 0;
        (void)fclose(file);
    }
    (void)closedir(tasks);
    return n;
}

TEST(more_threads_than_there_can_be_are_refused)
{
    struct neo_error err;

    world.options.max_blocking = NEO_LANE_WIDTH_MAX + 1;
    assert_int_equal(neo_server_new(&world.options, &world.server, &err), NEO_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "max_blocking"));
    world.server = NULL;
}

TEST(who_finds_no_thread_in_time_is_refused_and_the_log_says_so)
{
    struct rpc_call late;

    world.options.max_blocking = 1;
    world.options.max_blocking_wait = 50 * MSEC;
    begin_calls(1);
    wait_for(in_block == 1);
    start(&late, &client, "Block", &quick);
    wait_for(late.closed);
    assert_reason(&late, NEO_RESOURCE_EXHAUSTED, "OVERLOADED");
    assert_false(late.status.processed); /* so it may be made again, */
    assert_int_equal(in_block, 1);       /* for it never ran */
    assert_int_equal(lines_with("call.no_thread", "/neo.test.v1.Echoes/Block"), 1);
    rpc_call_fini(&late);
    end_calls(1);
}

/* One handler runs for ever, and `n` calls find no thread. */
static void refuse_calls(size_t n)
{
    world.options.max_blocking = 1;
    world.options.max_blocking_wait = 5 * MSEC;
    begin_calls(1);
    wait_for(in_block == 1);
    for (size_t i = 0; i < n; i++) {
        struct rpc_call late;
        start(&late, &client, "Block", &quick);
        wait_for(late.closed);
        assert_reason(&late, NEO_RESOURCE_EXHAUSTED, "OVERLOADED");
        rpc_call_fini(&late);
    }
    wait_for(neo_server_stats(world.server).calls == 1);
}

TEST(calls_that_found_no_thread_take_no_room_on_their_connection)
{
    refuse_calls(100);
    assert_int_equal(call_once(&client, "Say", &hello), NEO_OK);
    end_calls(1);
    assert_int_equal(in_block, 1); /* none of them ran later */
}

TEST(calls_that_found_no_thread_take_no_room_from_others)
{
    world.options.max_in_flight = 40;
    refuse_calls(60);
    assert_int_equal(call_once(&other, "Say", &hello), NEO_OK);
    end_calls(1);
}

TEST(calls_that_end_while_they_wait_for_a_thread_take_no_room)
{
    const struct h2_header timeout = {NEO_LIT("grpc-timeout"), NEO_LIT("20m")};
    static struct rpc_client third;
    struct rpc_call lost, late, cancelled;

    world.options.max_blocking = 1;
    begin_calls(1);
    connect_ready(&third, world.stranger);
    wait_for(in_block == 1);
    start(&lost, &third, "Block", &quick);
    start(&cancelled, &client, "Block", &quick);
    wait_for(neo_server_stats(world.server).calls == 3);
    rpc_call_reset(&cancelled, H2_CANCEL);
    disconnect(&third);
    wait_for(neo_server_stats(world.server).calls == 1);
    start_with(&late, &client, "Block", &quick, true, &timeout, 1);
    wait_for(late.closed);
    assert_int_equal(late.status.code, NEO_DEADLINE_EXCEEDED);
    wait_for(neo_server_stats(world.server).calls == 1);
    assert_int_equal(heard_done, 0);
    end_calls(1);
    assert_int_equal(in_block, 1);
    rpc_call_fini(&lost);
    rpc_call_fini(&late);
    rpc_call_fini(&cancelled);
}

TEST(a_server_may_end_while_calls_wait_for_a_thread)
{
    world.options.max_blocking = 2;
    begin_calls(20);
    wait_for(in_block == 2 && neo_server_stats(world.server).calls == 20);
    neo_server_free(world.server);
    world.server = NULL;
    assert_int_equal(heard_done, in_block); /* nobody is left; one may have come in meanwhile */
    disconnect(&client);
    disconnect(&other);
    for (size_t i = 0; i < 20; i++)
        rpc_call_fini(&calls[i]);
}

/* Whoever is quicker, the thread or the end of the wait: each call has one answer. */
TEST(calls_whose_wait_ends_as_a_thread_comes_are_answered_once)
{
    unsigned served = 0, refused = 0;

    world.options.max_blocking = 1;
    world.options.max_blocking_wait = 2 * MSEC;
    connect_both();
    for (size_t i = 0; i < MANY; i++)
        start(&calls[i], &client, "Block", &quick);
    for (size_t i = 0; i < MANY; i++) {
        wait_for(calls[i].closed);
        *(calls[i].status.code == NEO_OK ? &served : &refused) += 1;
    }
    wait_for(neo_server_stats(world.server).calls == 0);
    assert_int_equal(served + refused, MANY);
    assert_int_equal(in_block, served);
    assert_int_equal(call_once(&client, "Block", &quick), NEO_OK);
    end_calls(MANY);
}

TEST(one_caller_whose_streams_stand_still_leaves_others_a_thread)
{
    const struct neo_test_v1_Echo much = {.count = 200, .size = 10000};

    world.options.max_blocking = 4;
    connect_both();
    for (size_t i = 0; i < MANY; i++) {
        start(&calls[i], &client, "BlockCount", &much);
        calls[i].deaf = true;
    }
    wait_for(neo_server_stats(world.server).calls == MANY && counted >= 3);
    assert_int_equal(call_once(&other, "Block", &quick), NEO_OK);
    wait_for(neo_server_stats(world.server).calls == MANY);
    end_calls(MANY);
}

TEST(one_caller_has_three_quarters_of_the_threads_over_all_its_connections)
{
    static struct rpc_client again;

    world.options.max_blocking = 4;
    connect_both();
    connect_ready(&again, world.caller);
    for (size_t i = 0; i < 5; i++)
        start(&calls[i], i % 2 == 0 ? &client : &again, "Block", &slow);
    wait_for(in_block == 3 && neo_server_stats(world.server).calls == 5);
    assert_int_equal(call_once(&other, "Block", &quick), NEO_OK); /* after all of them */
    assert_int_equal(in_block, 4);
    for (size_t i = 0; i < 5; i++) /* whichever run: two others take their places */
        if (i == 0 || i == 1)
            rpc_call_reset(&calls[i], H2_CANCEL);
    wait_for(neo_server_stats(world.server).calls == 3);
    wait_for(in_block - heard_done == 3);
    disconnect(&again);
    end_calls(5);
}

TEST(what_finds_no_thread_among_those_of_its_caller_is_refused_in_time)
{
    world.options.max_blocking = 4;
    world.options.max_blocking_wait = 50 * MSEC;
    connect_both();
    for (size_t i = 0; i < 4; i++)
        start(&calls[i], &client, "Block", &slow);
    wait_for(calls[3].closed);
    assert_reason(&calls[3], NEO_RESOURCE_EXHAUSTED, "OVERLOADED");
    assert_int_equal(in_block, 3);
    assert_int_equal(call_once(&other, "Block", &quick), NEO_OK);
    end_calls(4);
}

TEST(no_more_run_at_once_than_the_server_says)
{
    world.options.max_blocking = 3;
    begin_calls(6);
    wait_for(in_block == 3);
    run_for(100 * MSEC);
    assert_int_equal(in_block, 3);
    assert_int_equal(heard_done, 0);
    end_calls(6);
}

TEST(sixty_four_run_at_once_by_default_and_one_more_waits)
{
    struct rpc_call last;

    begin_calls(MANY);
    wait_for(in_block == MANY);
    assert_int_equal(heard_done, 0);
    start(&last, &other, "Block", &slow);
    run_for(50 * MSEC);
    assert_int_equal(in_block, MANY);
    rpc_call_reset(&calls[0], H2_CANCEL); /* its handler sees it, and makes room */
    wait_for(in_block == MANY + 1);
    end_calls(MANY);
    rpc_call_fini(&last);
}

TEST(one_that_waits_is_let_in_when_another_has_ended)
{
    world.options.max_blocking = 1;
    serve();
    connect_ready(&client, world.caller);
    for (size_t i = 0; i < 8; i++)
        start(&calls[i], &client, "Block", &quick);
    for (size_t i = 0; i < 8; i++) {
        wait_for(calls[i].closed);
        assert_int_equal(calls[i].status.code, NEO_OK);
    }
    end_calls(8);
}

TEST(threads_that_were_idle_for_a_while_end_and_new_ones_come)
{
    neo_nsec usual = offload_idle;

    offload_idle = 100 * MSEC;
    begin_calls(20);
    wait_for(in_block == 20);
    assert_true(pool_threads() >= 20);
    end_calls(20);
    wait_for(pool_threads() == 0);
    assert_int_equal(0, heard_done - 20);
    neo_server_free(world.server);
    begin_calls(20);
    wait_for(in_block == 40);
    end_calls(20);
    wait_for(pool_threads() == 0);
    offload_idle = usual;
}

#define BOTH(name) cmocka_unit_test_setup_teardown(name, begin_both, end_logged)

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* first: threads of the others would still be idle, for ten seconds */
        BOTH(threads_that_were_idle_for_a_while_end_and_new_ones_come),
        BOTH(more_threads_than_there_can_be_are_refused),
        BOTH(who_finds_no_thread_in_time_is_refused_and_the_log_says_so),
        BOTH(calls_that_found_no_thread_take_no_room_on_their_connection),
        BOTH(calls_that_found_no_thread_take_no_room_from_others),
        BOTH(calls_that_end_while_they_wait_for_a_thread_take_no_room),
        BOTH(a_server_may_end_while_calls_wait_for_a_thread),
        BOTH(calls_whose_wait_ends_as_a_thread_comes_are_answered_once),
        BOTH(one_caller_whose_streams_stand_still_leaves_others_a_thread),
        BOTH(one_caller_has_three_quarters_of_the_threads_over_all_its_connections),
        BOTH(what_finds_no_thread_among_those_of_its_caller_is_refused_in_time),
        BOTH(no_more_run_at_once_than_the_server_says),
        BOTH(sixty_four_run_at_once_by_default_and_one_more_waits),
        BOTH(one_that_waits_is_let_in_when_another_has_ended),
    };

    return cmocka_run_group_tests_name("rpc/blocking", tests, NULL, NULL);
}
