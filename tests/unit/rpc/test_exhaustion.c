/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server without memory. The n-th allocation fails, and all after it for a while:
 * in the handshake, in a call, in its answer, in the end. Whatever that ends, it ends
 * cleanly, and what comes after is served. Only in the simulated world, where both
 * ends share one thread and every n can be tried.
 */
#include "fixture.h"

enum { SWEEP = 400 };

static struct rpc_client client;
static struct rpc_call call;

/* One attempt at everything while memory is out after `n` allocations; true when it succeeded. */
static bool attempt(unsigned long n, const char *method)
{
    bool begun;
    bool good = false;

    neo_memory_fail_at(n);
    begun = rpc_client_connect(&client, world.loop, neo_server_address(world.server), world.caller,
                               world.trust, "spiffe://neo.test/echo-service");
    for (int i = 0; begun && i < 100 && !client.ready && !client.gone; i++)
        run_for(MSEC);
    if (client.ready && !client.gone &&
        rpc_call_start(&call, &client, &(struct rpc_request){.path = method})) {
        rpc_call_send(&call, NEO_LIT("\x12\x05hello\x18\x03"));
        rpc_call_end(&call);
        for (int i = 0; i < 100 && !call.closed; i++)
            run_for(MSEC);
        good = call.ended && call.status.code == NEO_OK;
    }
    neo_memory_fail_at(0);
    if (begun)
        rpc_client_close(&client);
    else
        tls_context_unref(client.tls);
    rpc_call_fini(&call);
    memset(&call, 0, sizeof(call));
    memset(&client, 0, sizeof(client));
    return good;
}

static void sweep(const char *method)
{
    unsigned succeeded = 0;

    serve();
    for (unsigned long n = 1; n <= SWEEP; n++) {
        succeeded += attempt(n, method);
        wait_for(neo_server_stats(world.server).connections == 0 &&
                 neo_server_stats(world.server).calls == 0);
    }
    assert_in_range(succeeded, 1, SWEEP - 1); /* the sweep is as long as the story */
    connect_ready(&client, world.caller);
    assert_int_equal(call_once(&client, "Say", &hello), NEO_OK);
    disconnect(&client);
}

TEST(a_call_that_finds_no_memory_harms_no_other)
{
    sweep("/neo.test.v1.Echoes/Say");
}

TEST(a_stream_that_finds_no_memory_harms_no_other)
{
    sweep("/neo.test.v1.Echoes/Count");
}

TEST(a_later_answer_that_finds_no_memory_harms_no_other)
{
    sweep("/neo.test.v1.Echoes/Later");
}

TEST(a_blocking_call_that_finds_no_memory_harms_no_other)
{
    sweep("/neo.test.v1.Echoes/Block");
}

/* Making a server: it is there or it is not. */
TEST(a_server_is_made_whole_or_not_at_all)
{
    unsigned long n = 1;

    for (;; n++) {
        neo_memory_fail_at(n);
        enum neo_code code = neo_server_new(&world.options, &world.server, NULL);
        neo_memory_fail_at(0);
        if (code == NEO_OK)
            break;
        assert_int_equal(code, NEO_RESOURCE_EXHAUSTED);
        assert_null(world.server);
    }
    assert_true(n > 10);
}

/* Its index of symbols: without it no address is open, and a service may still be added. */
TEST(a_server_without_memory_for_its_index_does_not_listen)
{
    struct neo_error err;
    unsigned long n = 1;

    assert_int_equal(neo_server_new(&world.options, &world.server, NULL), NEO_OK);
    for (; n < 100; n++) {
        neo_memory_fail_at(n);
        enum neo_code code = neo_server_listen(world.server, "127.0.0.1:0", &err);
        neo_memory_fail_at(0);
        if (code != NEO_RESOURCE_EXHAUSTED || strstr(err.message, "index of symbols") == NULL)
            break;
        assert_null(neo_server_address_at(world.server, 0));
        if (n == 1)
            assert_int_equal(neo_test_v1_Echoes_add(world.server, &echo_handlers, NULL, &err),
                             NEO_OK);
    }
    assert_in_range(n, 10, 99);
    assert_int_equal(neo_server_listen(world.server, "127.0.0.1:0", &err), NEO_OK);
    connect_ready(&client, world.caller);
    assert_int_equal(call_once(&client, "Say", &hello), NEO_OK);
    disconnect(&client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PROMISE(a_call_that_finds_no_memory_harms_no_other),
        PROMISE(a_stream_that_finds_no_memory_harms_no_other),
        PROMISE(a_later_answer_that_finds_no_memory_harms_no_other),
        PROMISE(a_blocking_call_that_finds_no_memory_harms_no_other),
        PROMISE(a_server_is_made_whole_or_not_at_all),
        PROMISE(a_server_without_memory_for_its_index_does_not_listen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
