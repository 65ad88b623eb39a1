/* SPDX-License-Identifier: Apache-2.0 */
/* Handlers that block: how many at once, and what becomes of the others. */
#include "logged.h"

#include "io/loop.h"

#include <dirent.h>

enum { MANY = 64 };

static struct rpc_client client;
static struct rpc_call calls[MANY];

/* Long enough for all to be there at once; they end when their callers go. */
static const struct neo_test_v1_Echo slow = {.text = {(const uint8_t *)"slow", 4}, .count = 30000};
static const struct neo_test_v1_Echo quick = {.text = {(const uint8_t *)"quick", 5}, .count = 1};

static void begin_calls(size_t n)
{
    serve();
    connect_ready(&client, world.caller);
    for (size_t i = 0; i < n; i++)
        start(&calls[i], &client, "Block", &slow);
}

static void end_calls(size_t n)
{
    disconnect(&client);
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
    assert_int_equal(in_block, 1); /* it never ran */
    assert_int_equal(lines_with("call.no_thread", "/neo.test.v1.Echoes/Block"), 1);
    rpc_call_fini(&late);
    end_calls(1);
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
    start(&last, &client, "Block", &slow);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* first: threads of the others would still be idle, for ten seconds */
        LOGGED(threads_that_were_idle_for_a_while_end_and_new_ones_come),
        LOGGED(more_threads_than_there_can_be_are_refused),
        LOGGED(who_finds_no_thread_in_time_is_refused_and_the_log_says_so),
        LOGGED(no_more_run_at_once_than_the_server_says),
        LOGGED(sixty_four_run_at_once_by_default_and_one_more_waits),
        LOGGED(one_that_waits_is_let_in_when_another_has_ended),
    };

    return cmocka_run_group_tests_name("rpc/blocking", tests, NULL, NULL);
}
