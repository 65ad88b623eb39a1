/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include <neo/interceptor.h>

static struct rpc_client client;
static struct rpc_call calls[16];
static struct neo_method_options limit;
static const char *limited = "/neo.test.v1.Echoes/Never";

static void set_limit(void)
{
    struct neo_error err;

    if (neo_server_set_method(world.server, limited, &limit, &err) != NEO_OK)
        fail_msg("%s", err.message);
}

static int begin_limited(void **state)
{
    memset(calls, 0, sizeof(calls));
    limit = (struct neo_method_options){0};
    limited = "/neo.test.v1.Echoes/Never";
    if (begin(state) != 0)
        return -1;
    world.prepare = set_limit;
    return 0;
}

static void start_many(size_t n, const char *method, const struct neo_test_v1_Echo *echo)
{
    for (size_t i = 0; i < n; i++)
        start(&calls[i], &client, method, echo);
}

static void fini_many(size_t n)
{
    disconnect(&client);
    wait_for(neo_server_stats(world.server).calls == 0);
    for (size_t i = 0; i < n; i++)
        rpc_call_fini(&calls[i]);
}

/* --- what makes no sense ----------------------------------------------------------------- */

TEST(refuses_options_that_make_no_sense)
{
    static const struct {
        const char *path;
        struct neo_method_options options;
        enum neo_code code;
    } bad[] = {
        {"/neo.test.v1.Echoes/Nowhere", {.max_concurrent = 1}, NEO_NOT_FOUND},
        {"/neo.test.v1.Echoes/Say", {.max_waiting = 1}, NEO_INVALID_ARGUMENT},
        {"/neo.test.v1.Echoes/Say", {.max_wait = 1}, NEO_INVALID_ARGUMENT},
        {"/neo.test.v1.Echoes/Say", {.no_queue = true}, NEO_INVALID_ARGUMENT},
        {"/neo.test.v1.Echoes/Say", {.max_request = (size_t)1 << 33}, NEO_INVALID_ARGUMENT},
        {"/neo.test.v1.Echoes/Chat", {.blocking = true}, NEO_INVALID_ARGUMENT},
        {"/grpc.health.v1.Health/Check", {.max_concurrent = 1}, NEO_INVALID_ARGUMENT},
    };

    limit.max_concurrent = 1;
    assert_int_equal(neo_server_new(&world.options, &world.server, NULL), NEO_OK);
    assert_int_equal(neo_test_v1_Echoes_add(world.server, &echo_handlers, NULL, NULL), NEO_OK);
    for (size_t i = 0; i < NEO_COUNT(bad); i++)
        if (neo_server_set_method(world.server, bad[i].path, &bad[i].options, NULL) != bad[i].code)
            fail_msg("row %zu was taken", i);
    neo_server_free(world.server);
    serve();
    assert_int_equal(neo_server_set_method(world.server, limited, &limit, NULL),
                     NEO_FAILED_PRECONDITION);
}

/* --- how many ---------------------------------------------------------------------------- */

TEST(more_than_so_many_of_one_method_do_not_run)
{
    limit = (struct neo_method_options){.max_concurrent = 2, .no_queue = true};
    serve();
    connect_ready(&client, world.caller);
    start_many(5, "Never", &hello);
    for (size_t i = 2; i < 5; i++) {
        wait_for(calls[i].closed);
        assert_reason(&calls[i], NEO_RESOURCE_EXHAUSTED, "OVERLOADED");
        assert_false(calls[i].status.processed);
        assert_true(calls[i].status.retry_after > 0);
    }
    assert_int_equal(said, 2);
    assert_string_equal(audit.at[0].stage, "method");
    /* Others are none of its business. */
    assert_int_equal(call_once(&client, "Say", &hello), NEO_OK);
    fini_many(5);
}

TEST(what_finds_no_room_waits_its_turn)
{
    const struct neo_test_v1_Echo slow = {.text = NEO_LIT("slow"), .count = 20};

    limited = "/neo.test.v1.Echoes/Later";
    limit = (struct neo_method_options){.max_concurrent = 1, .max_waiting = 3, .max_wait = 5 * SEC};
    serve();
    connect_ready(&client, world.caller);
    neo_nsec began = neo_mono_nsec();
    start_many(5, "Later", &slow);
    wait_for(calls[4].closed);
    assert_reason(&calls[4], NEO_RESOURCE_EXHAUSTED, "OVERLOADED"); /* the queue was full */
    for (size_t i = 0; i < 4; i++) {
        wait_for(calls[i].closed);
        assert_int_equal(calls[i].status.code, NEO_OK);
    }
    assert_true(neo_mono_nsec() - began >= 4 * 20 * MSEC);
    assert_int_equal(said, 4);
    fini_many(5);
}

TEST(nobody_waits_longer_than_the_patience_of_the_method)
{
    limit = (struct neo_method_options){.max_concurrent = 1, .max_wait = 50 * MSEC};
    serve();
    connect_ready(&client, world.caller);
    start_many(1, "Never", &hello);
    wait_for(said == 1);
    neo_nsec began = neo_mono_nsec();
    start(&calls[1], &client, "Never", &hello);
    wait_for(calls[1].closed);
    assert_reason(&calls[1], NEO_RESOURCE_EXHAUSTED, "OVERLOADED");
    assert_true(neo_mono_nsec() - began >= 50 * MSEC);
    assert_int_equal(said, 1);
    fini_many(2);
}

TEST(who_leaves_the_queue_gives_up_the_place_in_it)
{
    limit = (struct neo_method_options){.max_concurrent = 1, .max_waiting = 1, .max_wait = 5 * SEC};
    serve();
    connect_ready(&client, world.caller);
    start_many(2, "Never", &hello);
    wait_for(neo_server_stats(world.server).calls == 2);
    rpc_call_reset(&calls[1], H2_CANCEL);
    wait_for(neo_server_stats(world.server).calls == 1);
    start(&calls[2], &client, "Never", &hello);
    wait_for(neo_server_stats(world.server).calls == 2);
    assert_false(calls[2].closed);
    rpc_call_reset(&calls[0], H2_CANCEL); /* and the one that runs lets the next one in */
    wait_for(said == 2);
    fini_many(3);
}

TEST(a_stream_that_waited_hears_what_was_said_meanwhile)
{
    limited = "/neo.test.v1.Echoes/Chat";
    limit = (struct neo_method_options){.max_concurrent = 1, .max_wait = 5 * SEC};
    serve();
    connect_ready(&client, world.caller);
    start_with(&calls[0], &client, "Chat", &hello, false, NULL, 0);
    wait_for(calls[0].n_messages == 1);
    start(&calls[1], &client, "Chat", &hello);
    run_for(20 * MSEC);
    assert_int_equal(calls[1].n_messages, 0);
    rpc_call_end(&calls[0]);
    wait_for(calls[1].closed);
    assert_int_equal(calls[1].status.code, NEO_OK);
    assert_said(&calls[1], "hello");
    fini_many(2);
}

TEST(a_handler_that_runs_on_after_its_caller_left_keeps_its_place)
{
    const struct neo_test_v1_Echo slow = {.text = NEO_LIT("slow"), .count = 60};

    limited = "/neo.test.v1.Echoes/Later";
    limit = (struct neo_method_options){.max_concurrent = 1, .no_queue = true};
    serve();
    connect_ready(&client, world.caller);
    start_many(1, "Later", &slow);
    wait_for(said == 1);
    rpc_call_reset(&calls[0], H2_CANCEL);
    start(&calls[1], &client, "Later", &slow);
    wait_for(calls[1].closed);
    assert_reason(&calls[1], NEO_RESOURCE_EXHAUSTED, "OVERLOADED");
    wait_for(heard_done == 1);
    assert_int_equal(call_once(&client, "Later", &slow), NEO_OK);
    fini_many(2);
}

/* Counts between the limit and the handler. */
static atomic_uint inside, most_inside;

static enum neo_code count_in(struct neo_interceptor *self, struct neo_call *call, void **state,
                              struct neo_status *refusal)
{
    unsigned now = atomic_fetch_add(&inside, 1) + 1;
    unsigned most = atomic_load(&most_inside);

    (void)self;
    (void)call;
    (void)state;
    (void)refusal;
    while (now > most && !atomic_compare_exchange_weak(&most_inside, &most, now))
        continue;
    return NEO_OK;
}

static void count_out(struct neo_interceptor *self, struct neo_call *call, void *state,
                      const struct neo_status *status)
{
    (void)self;
    (void)call;
    (void)state;
    (void)status;
    atomic_fetch_sub(&inside, 1);
}

static struct neo_interceptor counter = {
    .name = "counter", .begin = count_in, .end = count_out};

static void limit_and_count(void)
{
    set_limit();
    assert_int_equal(neo_server_intercept(world.server, &counter, NULL), NEO_OK);
}

TEST(the_limit_is_one_for_all_workers_and_all_get_their_turn)
{
    enum { CLIENTS = 8, EACH = 12 };
    static struct rpc_client clients[CLIENTS];
    static struct rpc_call all[CLIENTS * EACH];
    const struct neo_test_v1_Echo brief = {.text = NEO_LIT("brief"), .count = 1};

    inside = most_inside = 0;
    limited = "/neo.test.v1.Echoes/Later";
    limit =
        (struct neo_method_options){.max_concurrent = 2, .max_waiting = 200, .max_wait = 60 * SEC};
    world.prepare = limit_and_count;
    neo_runtime_free(world.runtime);
    assert_int_equal(neo_runtime_new(3, &world.runtime, NULL), NEO_OK);
    world.options.runtime = world.runtime;
    serve();
    memset(clients, 0, sizeof(clients));
    memset(all, 0, sizeof(all));
    for (size_t i = 0; i < CLIENTS; i++)
        connect_ready(&clients[i], world.caller);
    for (size_t i = 0; i < NEO_COUNT(all); i++)
        start(&all[i], &clients[i % CLIENTS], "Later", &brief);
    for (size_t i = 0; i < NEO_COUNT(all); i++) {
        wait_for(all[i].closed);
        assert_int_equal(all[i].status.code, NEO_OK);
        rpc_call_fini(&all[i]);
    }
    assert_int_equal(said, NEO_COUNT(all));
    assert_in_range(most_inside, 1, 2);
    for (size_t i = 0; i < CLIENTS; i++)
        disconnect(&clients[i]);
    wait_for(neo_server_stats(world.server).calls == 0);
}

/* --- how large --------------------------------------------------------------------------- */

TEST(one_method_may_take_smaller_messages_than_the_others)
{
    static uint8_t body[2000];
    const struct neo_test_v1_Echo large = {.body = {body, sizeof(body)}};

    limited = "/neo.test.v1.Echoes/Say";
    limit.max_request = 1000;
    serve();
    connect_ready(&client, world.caller);
    start(&calls[0], &client, "Say", &large);
    wait_for(calls[0].closed);
    assert_reason(&calls[0], NEO_RESOURCE_EXHAUSTED, "MESSAGE_TOO_LARGE");
    assert_int_equal(said, 0);
    assert_int_equal(call_once(&client, "Say", &hello), NEO_OK);
    assert_int_equal(call_once(&client, "Later", &large), NEO_OK);
    fini_many(1);
}

TEST(one_method_may_take_larger_messages_than_the_others)
{
    enum { LARGE = 6 * 1024 * 1024 };
    uint8_t *body = neo_alloc(LARGE);
    const struct neo_test_v1_Echo large = {.body = {body, LARGE}};

    limited = "/neo.test.v1.Echoes/Sum";
    limit.max_request = LARGE + 100;
    serve();
    connect_ready(&client, world.caller);
    assert_int_equal(call_once(&client, "Sum", &large), NEO_OK);
    assert_int_equal(call_once(&client, "Say", &large), NEO_RESOURCE_EXHAUSTED);
    neo_free(body);
}

#define LIMITED(name) cmocka_unit_test_setup_teardown(name, begin_limited, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LIMITED(refuses_options_that_make_no_sense),
        LIMITED(more_than_so_many_of_one_method_do_not_run),
        LIMITED(what_finds_no_room_waits_its_turn),
        LIMITED(nobody_waits_longer_than_the_patience_of_the_method),
        LIMITED(who_leaves_the_queue_gives_up_the_place_in_it),
        LIMITED(a_stream_that_waited_hears_what_was_said_meanwhile),
        LIMITED(a_handler_that_runs_on_after_its_caller_left_keeps_its_place),
        LIMITED(the_limit_is_one_for_all_workers_and_all_get_their_turn),
        LIMITED(one_method_may_take_smaller_messages_than_the_others),
        LIMITED(one_method_may_take_larger_messages_than_the_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
