/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

/* --- nobody unproven is heard ------------------------------------------------------------ */

TEST(a_server_cannot_be_without_identity_trust_and_policy)
{
    struct neo_server *server;
    struct neo_server_options o = world.options;

    o.epoch.identity = NULL;
    assert_int_equal(neo_server_new(&o, &server, NULL), NEO_FAILED_PRECONDITION);
    o = world.options;
    o.epoch.trust = NULL;
    assert_int_equal(neo_server_new(&o, &server, NULL), NEO_FAILED_PRECONDITION);
    o = world.options;
    o.epoch.policy = NULL;
    assert_int_equal(neo_server_new(&o, &server, NULL), NEO_FAILED_PRECONDITION);
    o = world.options;
    o.name = "Not A Name";
    assert_int_equal(neo_server_new(&o, &server, NULL), NEO_INVALID_ARGUMENT);
}

TEST(a_client_without_a_certificate_is_not_heard)
{
    static struct rpc_client client;

    serve();
    connect_as(&client, NULL);
    wait_for(client.gone);
    assert_false(client.ready);
    assert_int_equal(said, 0);
    disconnect(&client);
}

TEST(a_client_of_another_trust_domain_is_not_heard)
{
    struct pki *other = pki_new("other.test");
    struct neo_identity *identity = pki_identity(other, "caller-service", NULL);
    static struct rpc_client client;

    serve();
    connect_as(&client, identity);
    wait_for(client.gone);
    assert_false(client.ready);
    disconnect(&client);
    neo_identity_unref(identity);
    pki_free(other);
}

TEST(a_silent_peer_is_cut_after_five_seconds)
{
    struct net_watch watch = {.fd = -1};
    int fd;

    serve();
    assert_int_equal(net_connect(world.loop, neo_server_address(world.server), &fd, NULL), NEO_OK);
    (void)watch;
    wait_for(neo_server_stats(world.server).connections == 1);
    neo_nsec begun = neo_mono_nsec();
    wait_for(neo_server_stats(world.server).connections == 0);
    neo_nsec took = neo_mono_nsec() - begun;
    assert_true(took > 4 * SEC && took < 6 * SEC);
    net_close(world.loop, fd);
}

/* --- every kind of call ------------------------------------------------------------------ */

#ifndef NEO_SIM
/* More than may begin at once: the others wait, and the end of the server comes meanwhile. */
TEST(a_server_may_end_while_peers_wait_for_their_handshake)
{
    enum { PEERS = 400 };
    static int fds[PEERS];
    struct neo_bytes greeting = NEO_LIT("\x16\x03\x01\x00\x01\x01");
    size_t sent = 0;

    serve();
    for (size_t i = 0; i < PEERS; i++)
        assert_int_equal(net_connect(world.loop, neo_server_address(world.server), &fds[i], NULL),
                         NEO_OK);
    wait_for(neo_server_stats(world.server).connections == PEERS);
    for (size_t i = 0; i < PEERS; i++)
        assert_int_equal(net_write(world.loop, fds[i], greeting, &sent, NULL), NET_OK);
    wait_for(neo_server_stats(world.server).connections < PEERS);
    for (size_t i = 0; i < PEERS; i++)
        net_close(world.loop, fds[i]);
}
#endif

TEST(answers_a_unary_call)
{
    static struct rpc_client client;
    struct rpc_call call;

    serve();
    connect_ready(&client, world.caller);
    start(&call, &client, "Say", &hello);
    wait_for(call.closed);
    assert_int_equal(call.status.code, NEO_OK);
    assert_int_equal(call.n_messages, 1);
    assert_said(&call, "hello");
    assert_string_equal(seen_caller, "caller-service");
    assert_true(neo_bytes_is(wire_header(call.headers, "content-type"), "application/grpc"));
    rpc_call_fini(&call);
    disconnect(&client);
}

TEST(answers_a_thousand_calls_on_one_connection)
{
    static struct rpc_client client;
    static struct rpc_call calls[50];

    serve();
    connect_ready(&client, world.caller);
    for (int round = 0; round < 20; round++) {
        for (size_t i = 0; i < NEO_COUNT(calls); i++)
            start(&calls[i], &client, "Say", &hello);
        wait_for(client.open_calls == 0);
        for (size_t i = 0; i < NEO_COUNT(calls); i++) {
            assert_int_equal(calls[i].status.code, NEO_OK);
            assert_said(&calls[i], "hello");
            rpc_call_fini(&calls[i]);
        }
    }
    assert_int_equal(said, 1000);
    assert_int_equal(neo_server_stats(world.server).calls, 0);
    assert_int_equal(neo_server_stats(world.server).started, 1000);
    disconnect(&client);
}

TEST(takes_and_gives_a_message_as_large_as_allowed_and_none_larger)
{
    static struct rpc_client client;
    struct rpc_call call;
    size_t max = 4 * 1024 * 1024;
    uint8_t *big = neo_alloc(max + 1);
    struct neo_test_v1_Echo echo = {.body = {big, max - 5}};

    serve();
    connect_ready(&client, world.caller);
    start(&call, &client, "Say", &echo);
    wait_for(call.closed);
    assert_int_equal(call.status.code, NEO_OK);
    assert_int_equal(call.messages[0].len, max);
    rpc_call_fini(&call);

    echo.body.len++;
    start(&call, &client, "Say", &echo);
    wait_for(call.closed);
    assert_reason(&call, NEO_RESOURCE_EXHAUSTED, "MESSAGE_TOO_LARGE");
    rpc_call_fini(&call);
    disconnect(&client);
    neo_free(big);
}

TEST(a_handler_may_answer_later)
{
    struct neo_test_v1_Echo echo = {.text = NEO_LIT("late"), .count = 50};
    static struct rpc_client client;
    struct rpc_call call;

    serve();
    connect_ready(&client, world.caller);
    start(&call, &client, "Later", &echo);
    wait_for(call.closed);
    assert_int_equal(call.status.code, NEO_OK);
    assert_said(&call, "late");
    rpc_call_fini(&call);
    disconnect(&client);
}

TEST(a_handler_that_answers_after_the_peer_left_keeps_its_call)
{
    struct neo_test_v1_Echo echo = {.text = NEO_LIT("late"), .count = 200};
    static struct rpc_client client;
    struct rpc_call call;

    serve();
    connect_ready(&client, world.caller);
    start(&call, &client, "Later", &echo);
    wait_for(said == 1);
    disconnect(&client);
    rpc_call_fini(&call);
    wait_for(neo_server_stats(world.server).connections == 0);
    assert_int_equal(neo_server_stats(world.server).calls, 1);
    wait_for(neo_server_stats(world.server).calls == 0);
    assert_int_equal(heard_done, 1);
    assert_int_equal(was_cancelled, 1);
}

TEST(a_blocking_handler_runs_off_the_loop)
{
    struct neo_test_v1_Echo echo = {.text = NEO_LIT("blocked"), .count = 20};
    static struct rpc_client client;
    struct rpc_call call;

    serve();
    connect_ready(&client, world.caller);
    start(&call, &client, "Block", &echo);
    wait_for(call.closed);
    assert_int_equal(call.status.code, NEO_OK);
    assert_said(&call, "blocked");
    rpc_call_fini(&call);

    echo.text = NEO_LIT("fail");
    start(&call, &client, "Block", &echo);
    wait_for(call.closed);
    assert_reason(&call, NEO_ABORTED, "APPLICATION");
    assert_true(neo_bytes_is(call.status.message, "blocked 20"));
    rpc_call_fini(&call);

    echo.text = NEO_LIT("forget");
    start(&call, &client, "Block", &echo);
    wait_for(call.closed);
    assert_reason(&call, NEO_INTERNAL, "HANDLER_BROKEN");
    rpc_call_fini(&call);
    disconnect(&client);
}

TEST(streams_what_the_peer_takes_and_waits_for_the_rest)
{
    struct neo_test_v1_Echo echo = {.count = 200, .size = 10000};
    static struct rpc_client client;
    struct rpc_call call;

    serve();
    connect_ready(&client, world.caller);
    start(&call, &client, "Count", &echo);
    call.deaf = true;
    wait_for(call.bytes >= 65535);
    run_for(50 * MSEC);
    assert_in_range(call.bytes, 65535, 65536); /* the window */
    assert_in_range(counted, 7, 20);           /* and one queue */
    rpc_call_hear(&call);
    wait_for(call.closed);
    assert_int_equal(call.status.code, NEO_OK);
    assert_int_equal(call.n_messages, 200);
    assert_int_equal(heard_done, 1);
    rpc_call_fini(&call);
    disconnect(&client);
}

/* Its handler answers each message and asks nobody whether there is room. */
static void chat_with_the_deaf(uint32_t size, unsigned most, unsigned at_once)
{
    enum { MESSAGES = 60 };
    uint8_t *body = neo_alloc(size);
    struct neo_test_v1_Echo echo = {.body = {body, size}}, back;
    static struct rpc_client client;
    struct neo_buffer out = {0};
    struct neo_arena arena;
    struct rpc_call call;

    neo_arena_init(&arena, 1 << 20);
    connect_ready(&client, world.caller);
    counted = 0;
    start_with(&call, &client, "Chat", NULL, false, NULL, 0);
    call.deaf = true;
    for (unsigned i = 0; i < MESSAGES; i++) {
        echo.count = i;
        rpc_call_send(&call, encode_echo(&echo, &out));
    }
    rpc_call_end(&call);
    wait_for(call.bytes >= 65535);
    run_for(50 * MSEC);
    assert_in_range(counted, at_once, most);
    rpc_call_hear(&call);
    wait_for(call.closed);
    assert_int_equal(call.status.code, NEO_OK);
    assert_int_equal(call.n_messages, MESSAGES);
    for (unsigned i = 0; i < MESSAGES; i++) {
        assert_int_equal(neo_test_v1_Echo_decode(call.messages[i], &back, &arena, NULL), NEO_OK);
        assert_int_equal(back.count, i);
        assert_int_equal(back.body.len, size);
        neo_arena_reset(&arena);
    }
    rpc_call_fini(&call);
    rpc_client_close(&client);
    neo_buffer_fini(&out);
    neo_arena_fini(&arena);
    neo_free(body);
}

/* Each larger than a window, and of those that fit into one a few and some more. */
TEST(a_stream_hears_no_more_than_its_peer_takes_answers)
{
    serve();
    chat_with_the_deaf(10000, 20, 7);
    chat_with_the_deaf(2500, 58, 26);
    chat_with_the_deaf(100000, 3, 1);
}

#ifdef NEO_SIM /* half a minute */
/* What it has sent stands still meanwhile, because the server gives no credit for more. */
TEST(a_peer_that_reads_late_has_as_long_as_a_stall_may_last)
{
    enum { MESSAGES = 60, LATE = 25 };
    static uint8_t body[10000];
    struct neo_test_v1_Echo echo = {.body = {body, sizeof(body)}};
    static struct rpc_client client;
    struct neo_buffer out = {0};
    struct rpc_call call;

    serve();
    connect_ready(&client, world.caller);
    start_with(&call, &client, "Chat", NULL, false, NULL, 0);
    call.deaf = true;
    for (unsigned i = 0; i < MESSAGES; i++)
        rpc_call_send(&call, encode_echo(&echo, &out));
    rpc_call_end(&call);
    wait_for(call.bytes >= 65535);
    run_for(LATE * SEC);
    assert_false(call.closed);
    rpc_call_hear(&call);
    wait_for(call.closed);
    assert_int_equal(call.status.code, NEO_OK);
    assert_int_equal(call.n_messages, MESSAGES);
    rpc_call_fini(&call);
    rpc_client_close(&client);
    neo_buffer_fini(&out);
}
#endif

#ifndef NEO_SIM /* a thread waits there for the loop, which the twin cannot have */
TEST(a_blocking_stream_waits_for_its_peer)
{
    struct neo_test_v1_Echo echo = {.count = 200, .size = 10000};
    static struct rpc_client client;
    struct rpc_call call;

    serve();
    connect_ready(&client, world.caller);
    start(&call, &client, "BlockCount", &echo);
    call.deaf = true;
    wait_for(call.bytes >= 65535);
    run_for(50 * MSEC);
    assert_in_range(counted, 7, 30);
    rpc_call_hear(&call);
    wait_for(call.closed);
    assert_int_equal(call.status.code, NEO_OK);
    assert_int_equal(call.n_messages, 200);
    rpc_call_fini(&call);
    disconnect(&client);
}

TEST(a_blocking_stream_ends_with_its_peer)
{
    struct neo_test_v1_Echo echo = {.count = 100000, .size = 10000};
    static struct rpc_client client;
    struct rpc_call call;

    serve();
    connect_ready(&client, world.caller);
    start(&call, &client, "BlockCount", &echo);
    call.deaf = true;
    wait_for(call.bytes >= 65535);
    rpc_call_reset(&call, H2_CANCEL);
    wait_for(heard_done == 1);
    rpc_call_fini(&call);
    disconnect(&client);
}
#endif

TEST(answers_nobody_takes_are_not_begun_until_somebody_does)
{
    struct neo_test_v1_Echo echo = {.body = {zeros, sizeof(zeros)}};
    static struct rpc_client client;
    static struct rpc_call calls[60];

    serve();
    connect_ready(&client, world.caller);
    for (size_t i = 0; i < NEO_COUNT(calls); i++) {
        start(&calls[i], &client, "Say", &echo);
        calls[i].deaf = true;
    }
    run_for(500 * MSEC);
    assert_in_range(said, 10, 30); /* the window of the connection, and a little */
    for (size_t i = 0; i < NEO_COUNT(calls); i++)
        rpc_call_hear(&calls[i]);
    wait_for(client.open_calls == 0);
    assert_int_equal(said, 60);
    for (size_t i = 0; i < NEO_COUNT(calls); i++) {
        assert_int_equal(calls[i].status.code, NEO_OK);
        rpc_call_fini(&calls[i]);
    }
    disconnect(&client);
}

TEST(takes_a_stream_of_requests)
{
    struct neo_test_v1_Echo echo = {.body = {zeros, 60000}};
    struct neo_test_v1_Echo sum;
    static struct rpc_client client;
    struct rpc_call call;
    struct neo_buffer out = {0};
    struct neo_arena arena;

    serve();
    neo_arena_init(&arena, 1 << 20);
    connect_ready(&client, world.caller);
    start_with(&call, &client, "Sum", NULL, false, NULL, 0);
    for (int i = 0; i < 100; i++)
        rpc_call_send(&call, encode_echo(&echo, &out));
    rpc_call_end(&call);
    wait_for(call.closed);
    assert_int_equal(call.status.code, NEO_OK);
    assert_int_equal(neo_test_v1_Echo_decode(call.messages[0], &sum, &arena, NULL), NEO_OK);
    assert_int_equal(sum.count, 100);
    assert_int_equal(sum.size, 6000000);
    rpc_call_fini(&call);
    disconnect(&client);
    neo_buffer_fini(&out);
    neo_arena_fini(&arena);
}

TEST(talks_both_ways_at_once)
{
    static struct rpc_client client;
    struct rpc_call call;
    struct neo_buffer out = {0};

    serve();
    connect_ready(&client, world.caller);
    start_with(&call, &client, "Chat", NULL, false, NULL, 0);
    for (size_t i = 1; i <= 10; i++) {
        rpc_call_send(&call, encode_echo(&hello, &out));
        wait_for(call.n_messages == i);
    }
    assert_false(call.ended);
    rpc_call_end(&call);
    wait_for(call.closed);
    assert_int_equal(call.status.code, NEO_OK);
    rpc_call_fini(&call);
    disconnect(&client);
    neo_buffer_fini(&out);
}

TEST(a_handler_adds_headers_and_trailers)
{
    struct neo_test_v1_Echo echo = {.text = NEO_LIT("headers")};
    static struct rpc_client client;
    struct rpc_call call;

    serve();
    connect_ready(&client, world.caller);
    start(&call, &client, "Say", &echo);
    wait_for(call.closed);
    assert_true(neo_bytes_is(wire_header(call.headers, "x-greeting"), "hello"));
    assert_true(neo_bytes_is(wire_header(call.trailers, "x-farewell-bin"), "AQID"));
    assert_int_equal(call.status.code, NEO_OK);
    rpc_call_fini(&call);
    disconnect(&client);
}

TEST(a_failure_is_one_block_of_headers_with_its_details)
{
    struct neo_test_v1_Echo echo = {.text = NEO_LIT("fail"), .count = 7};
    static struct rpc_client client;
    struct rpc_call call;

    serve();
    connect_ready(&client, world.caller);
    start(&call, &client, "Say", &echo);
    wait_for(call.closed);
    assert_true(call.trailers_only);
    assert_reason(&call, NEO_NOT_FOUND, "APPLICATION");
    assert_true(neo_bytes_is(call.status.message, "no 7"));
    assert_true(call.status.processed);
    rpc_call_fini(&call);
    disconnect(&client);
}

#ifndef NEO_SIM
TEST(several_workers_share_one_port)
{
    static struct rpc_client clients[12];
    struct neo_policy *policy = compile_policy(open_policy);

    neo_runtime_free(world.runtime);
    assert_int_equal(neo_runtime_new(3, &world.runtime, NULL), NEO_OK);
    world.options.runtime = world.runtime;
    serve();
    for (size_t i = 0; i < NEO_COUNT(clients); i++)
        connect_ready(&clients[i], world.caller);
    for (int round = 0; round < 5; round++) {
        neo_server_update(world.server, &(struct neo_epoch){.policy = policy});
        for (size_t i = 0; i < NEO_COUNT(clients); i++)
            assert_int_equal(call_once(&clients[i], "Say", &hello), NEO_OK);
    }
    assert_int_equal(said, 60);
    assert_int_equal(neo_server_stats(world.server).connections, 12);
    for (size_t i = 0; i < NEO_COUNT(clients); i++)
        disconnect(&clients[i]);
    neo_policy_unref(policy);
}
#endif

/* --- what is no call --------------------------------------------------------------------- */

TEST(an_unknown_method_is_unimplemented)
{
    static struct rpc_client client;
    struct rpc_call call;

    serve();
    connect_ready(&client, world.caller);
    start(&call, &client, "Nothing", &hello);
    wait_for(call.closed);
    assert_reason(&call, NEO_UNIMPLEMENTED, "METHOD_UNKNOWN");
    assert_false(call.status.processed);
    rpc_call_fini(&call);
    start(&call, &client, "Missing", &hello);
    wait_for(call.closed);
    assert_reason(&call, NEO_UNIMPLEMENTED, "METHOD_UNIMPLEMENTED");
    rpc_call_fini(&call);
    disconnect(&client);
}

static void assert_body(struct rpc_client *client, const char *method, struct neo_bytes body,
                        enum neo_code code, const char *reason)
{
    struct rpc_call call;

    start_with(&call, client, method, NULL, false, NULL, 0);
    rpc_call_send_raw(&call, body);
    rpc_call_end(&call);
    wait_for(call.closed);
    assert_reason(&call, code, reason);
    rpc_call_fini(&call);
}

TEST(a_request_must_be_exactly_one_whole_message)
{
    static struct rpc_client client;

    serve();
    connect_ready(&client, world.caller);
    assert_body(&client, "Say", NEO_LIT(""), NEO_UNIMPLEMENTED, "MESSAGE_COUNT");
    assert_body(&client, "Say", NEO_LIT("\0\0\0\0\0\0\0\0\0\0"), NEO_UNIMPLEMENTED,
                "MESSAGE_COUNT");
    assert_body(&client, "Say", NEO_LIT("\0\0\0\0\5abcd"), NEO_INTERNAL, "MESSAGE_BROKEN");
    assert_body(&client, "Say", NEO_LIT("\0\0"), NEO_INTERNAL, "MESSAGE_BROKEN");
    assert_body(&client, "Say", NEO_LIT("\1\0\0\0\0"), NEO_INTERNAL, "MESSAGE_BROKEN");
    assert_body(&client, "Say", NEO_LIT("\2\0\0\0\0"), NEO_INTERNAL, "MESSAGE_BROKEN");
    assert_body(&client, "Say", NEO_LIT("\0\xff\xff\xff\xff"), NEO_RESOURCE_EXHAUSTED,
                "MESSAGE_TOO_LARGE");
    assert_body(&client, "Say", NEO_LIT("\0\0\0\0\2\x0a\x09"), NEO_INVALID_ARGUMENT,
                "REQUEST_MALFORMED");
    assert_body(&client, "Sum", NEO_LIT("\0\0\0\0\5abcd"), NEO_INTERNAL, "MESSAGE_BROKEN");
    assert_body(&client, "Sum", NEO_LIT("\0\0\0\0\2\x0a\x09"), NEO_INVALID_ARGUMENT,
                "REQUEST_MALFORMED");
    assert_int_equal(said, 0);
    assert_int_equal(call_once(&client, "Say", &hello), NEO_OK);
    disconnect(&client);
}

TEST(a_request_that_stops_halfway_is_cut)
{
    static struct rpc_client client;
    struct rpc_call call;

    serve();
    connect_ready(&client, world.caller);
    start_with(&call, &client, "Say", NULL, false, NULL, 0);
    rpc_call_send_raw(&call, NEO_LIT("\0\0\0\0\5abcd"));
#ifdef NEO_SIM
    neo_nsec begun = neo_mono_nsec();
    wait_for(call.closed);
    neo_nsec took = neo_mono_nsec() - begun;
    assert_true(took > 14 * SEC && took < 22 * SEC);
    assert_reason(&call, NEO_DEADLINE_EXCEEDED, "CALL_STALLED");
#else
    run_for(20 * MSEC);
    rpc_call_reset(&call, H2_CANCEL);
    wait_for(call.closed);
#endif
    rpc_call_fini(&call);
    disconnect(&client);
}

#ifdef NEO_SIM
/* Less than 1 KiB in 15 s: a message that comes in drops is one that stands still. */
TEST(a_request_that_comes_in_drops_is_cut)
{
    static struct rpc_client client;
    struct rpc_call call;

    serve();
    connect_ready(&client, world.caller);
    start_with(&call, &client, "Say", NULL, false, NULL, 0);
    rpc_call_send_raw(&call, NEO_LIT("\0\0\0\x10\0"));
    neo_nsec begun = neo_mono_nsec();
    for (int i = 0; i < 40 && !call.closed; i++) {
        rpc_call_send_raw(&call, NEO_LIT("a drop each second, of 30 bytes"));
        run_for(SEC);
    }
    neo_nsec took = neo_mono_nsec() - begun;
    assert_true(took > 14 * SEC && took < 22 * SEC);
    assert_reason(&call, NEO_DEADLINE_EXCEEDED, "CALL_STALLED");
    rpc_call_fini(&call);
    disconnect(&client);
}

/* 200 bytes a second are 3,000 in that time: slow, and no attack. */
TEST(a_request_that_comes_slowly_is_waited_for)
{
    static struct rpc_client client;
    static const uint8_t piece[200];
    struct rpc_call call;

    serve();
    connect_ready(&client, world.caller);
    start_with(&call, &client, "Say", NULL, false, NULL, 0);
    rpc_call_send_raw(&call, NEO_LIT("\0\0\0\x1f\x44\x0a\xc1\x3e")); /* 40 pieces and one byte */
    for (int i = 0; i < 40; i++) {
        rpc_call_send_raw(&call, neo_bytes(piece, sizeof(piece)));
        run_for(SEC);
        assert_false(call.closed);
    }
    rpc_call_send_raw(&call, NEO_LIT("x"));
    rpc_call_end(&call);
    wait_for(call.closed);
    assert_int_equal(call.status.code, NEO_OK);
    rpc_call_fini(&call);
    disconnect(&client);
}

/* A slow line, whose client sends one request after the other: those behind are late, not stalled.
 */
TEST(a_request_that_waits_for_others_of_its_connection_is_given_a_minute)
{
    static struct rpc_client client;
    static const uint8_t text[3000];
    const struct neo_test_v1_Echo large = {.text = {text, sizeof(text)}};
    struct neo_buffer out = {0};
    struct rpc_call late, never, busy;

    serve();
    connect_ready(&client, world.caller);
    start_with(&late, &client, "Say", NULL, false, NULL, 0);
    start_with(&never, &client, "Say", NULL, false, NULL, 0);
    start_with(&busy, &client, "Sum", NULL, false, NULL, 0);
    neo_nsec begun = neo_mono_nsec();
    for (int i = 0; i < 70 && !never.closed; i++) {
        neo_buffer_clear(&out);
        rpc_call_send(&busy, encode_echo(&large, &out));
        run_for(SEC);
        if (i == 40) {
            assert_false(late.closed);
            neo_buffer_clear(&out);
            rpc_call_send(&late, encode_echo(&hello, &out));
            rpc_call_end(&late);
        }
    }
    assert_int_equal(late.status.code, NEO_OK);
    assert_reason(&never, NEO_DEADLINE_EXCEEDED, "CALL_STALLED");
    assert_in_range((neo_mono_nsec() - begun) / SEC, 59, 67);
    neo_buffer_fini(&out);
    rpc_call_reset(&busy, H2_CANCEL);
    rpc_call_fini(&late);
    rpc_call_fini(&never);
    rpc_call_fini(&busy);
    disconnect(&client);
}

TEST(a_stream_nobody_reads_is_cut_after_half_a_minute)
{
    struct neo_test_v1_Echo echo = {.count = 200, .size = 10000};
    static struct rpc_client client;
    struct rpc_call call;

    serve();
    connect_ready(&client, world.caller);
    start(&call, &client, "Count", &echo);
    call.deaf = true;
    neo_nsec begun = neo_mono_nsec();
    wait_for(call.closed);
    assert_in_range((neo_mono_nsec() - begun) / SEC, 29, 37);
    assert_reason(&call, NEO_DEADLINE_EXCEEDED, "CALL_STALLED");
    assert_int_equal(heard_done, 1);
    assert_int_equal(call_once(&client, "Say", &hello), NEO_OK);
    rpc_call_fini(&call);
    disconnect(&client);
}
#endif

/* --- deadlines and cancellation ---------------------------------------------------------- */

static struct h2_header timeout_of(const char *text)
{
    return (struct h2_header){NEO_LIT("grpc-timeout"), neo_text(text)};
}

TEST(a_deadline_ends_the_call_and_the_handler_hears_of_it)
{
    struct h2_header timeout = timeout_of("100m");
    static struct rpc_client client;
    struct rpc_call call;

    serve();
    connect_ready(&client, world.caller);
    neo_nsec begun = neo_mono_nsec();
    start_with(&call, &client, "Never", &hello, true, &timeout, 1);
    wait_for(call.closed);
    neo_nsec took = neo_mono_nsec() - begun;
    assert_true(took >= 90 * MSEC && took < 400 * MSEC);
    assert_reason(&call, NEO_DEADLINE_EXCEEDED, "DEADLINE_PASSED");
    assert_true(call.status.processed);
    assert_int_equal(heard_done, 1);
    assert_int_equal(was_cancelled, 1);
    assert_int_equal(done_code, NEO_DEADLINE_EXCEEDED);
    rpc_call_fini(&call);
    disconnect(&client);
}

#ifndef NEO_SIM
/* The worker writes the status while the handler, on the pool, still works with the call's memory.
 */
TEST(a_deadline_leaves_the_memory_of_a_blocking_handler_alone)
{
    static const char *const timeouts[] = {"2m", "3m", "4m", "5m"};
    struct neo_test_v1_Echo echo = {.text = NEO_LIT("pieces")};
    static struct rpc_client client;
    struct rpc_call call;

    serve();
    connect_ready(&client, world.caller);
    for (unsigned i = 0; i < 200; i++) {
        struct h2_header timeout = timeout_of(timeouts[i % NEO_COUNT(timeouts)]);
        start_with(&call, &client, "Block", &echo, true, &timeout, 1);
        wait_for(call.closed);
        rpc_call_fini(&call);
    }
    disconnect(&client);
    wait_for(neo_server_stats(world.server).calls == 0);
    assert_int_equal(overwritten, 0);
}
#endif

TEST(a_call_that_is_late_already_does_not_run)
{
    struct h2_header timeout = timeout_of("0n");
    static struct rpc_client client;
    struct rpc_call call;

    serve();
    connect_ready(&client, world.caller);
    start_with(&call, &client, "Say", &hello, true, &timeout, 1);
    wait_for(call.closed);
    assert_reason(&call, NEO_DEADLINE_EXCEEDED, "DEADLINE_PASSED");
    assert_false(call.status.processed);
    assert_int_equal(said, 0);
    rpc_call_fini(&call);

    timeout = timeout_of("1SS");
    start_with(&call, &client, "Say", &hello, true, &timeout, 1);
    wait_for(call.closed);
    assert_reason(&call, NEO_INVALID_ARGUMENT, "REQUEST_MALFORMED");
    rpc_call_fini(&call);
    disconnect(&client);
}

TEST(the_server_caps_what_a_unary_caller_asks_for)
{
    struct h2_header timeout = timeout_of("10H");
    static struct rpc_client client;
    struct rpc_call call;

    world.options.max_deadline = 200 * MSEC;
    serve();
    connect_ready(&client, world.caller);
    start_with(&call, &client, "Never", &hello, true, &timeout, 1);
    wait_for(call.closed);
    assert_reason(&call, NEO_DEADLINE_EXCEEDED, "DEADLINE_PASSED");
    rpc_call_fini(&call);
    start(&call, &client, "Never", &hello);
    wait_for(call.closed);
    assert_reason(&call, NEO_DEADLINE_EXCEEDED, "DEADLINE_PASSED");
    rpc_call_fini(&call);
    disconnect(&client);
}

TEST(a_cancelled_call_tells_its_handler_at_once)
{
    static struct rpc_client client;
    struct rpc_call call;

    serve();
    connect_ready(&client, world.caller);
    start(&call, &client, "Never", &hello);
    wait_for(said == 1);
    neo_nsec begun = neo_mono_nsec();
    rpc_call_reset(&call, H2_CANCEL);
    wait_for(heard_done == 1);
    assert_true(neo_mono_nsec() - begun < 100 * MSEC);
    assert_int_equal(done_code, NEO_CANCELLED);
    assert_string_equal(done_reason, "CALL_CANCELLED");
    rpc_call_fini(&call);
    disconnect(&client);
}

TEST(a_request_with_a_malformed_field_is_reset_and_the_log_says_for_which)
{
    const struct h2_header bad[] = {{NEO_LIT("x-lead"), NEO_LIT(" a")}};
    FILE *file = tmpfile();
    static struct rpc_client client;
    char line[4096] = "";

    assert_non_null(file);
    world.log.fd = fileno(file);
    world.log.level = NEO_LOG_WARN;
    serve();
    connect_ready(&client, world.caller);
    for (size_t i = 0; i < 2; i++) {
        struct rpc_call call;
        start_with(&call, &client, "Say", &hello, true, bad, 1);
        wait_for(call.closed);
        assert_int_equal(call.h2_error, H2_PROTOCOL_ERROR);
        rpc_call_fini(&call);
    }
    assert_int_equal(call_once(&client, "Say", &hello), NEO_OK);
    disconnect(&client);
    rewind(file);
    size_t n = fread(line, 1, sizeof(line) - 1, file);
    line[n] = '\0';
    const char *first = strstr(line, "connection.malformed_request");
    assert_non_null(first);
    assert_non_null(strstr(first, "\"field\":\"x-lead\""));
    assert_null(strstr(first + 1, "connection.malformed_request")); /* once is enough */
    world.log.level = NEO_LOG_OFF;
    (void)fclose(file);
}

TEST(a_lost_connection_cancels_its_calls)
{
    static struct rpc_client client;
    struct rpc_call calls[10];

    serve();
    connect_ready(&client, world.caller);
    for (size_t i = 0; i < NEO_COUNT(calls); i++)
        start(&calls[i], &client, "Never", &hello);
    wait_for(said == 10);
    disconnect(&client);
    wait_for(heard_done == 10);
    wait_for(neo_server_stats(world.server).calls == 0);
    for (size_t i = 0; i < NEO_COUNT(calls); i++)
        rpc_call_fini(&calls[i]);
}

TEST(a_blocking_handler_can_see_that_it_is_cancelled)
{
    struct neo_test_v1_Echo echo = {.count = 5000};
    static struct rpc_client client;
    struct rpc_call call;

    serve();
    connect_ready(&client, world.caller);
    start(&call, &client, "Block", &echo);
    wait_for(in_block == 1);
    rpc_call_reset(&call, H2_CANCEL);
    wait_for(heard_done == 1);
#ifndef NEO_SIM
    assert_int_equal(was_cancelled, 1);
#endif
    rpc_call_fini(&call);
    disconnect(&client);
}

/* --- drain ------------------------------------------------------------------------------- */

#ifndef NEO_SIM
static void *drain_there(void *grace)
{
    neo_server_drain(world.server, *(neo_nsec *)grace);
    return NULL;
}

TEST(a_drain_says_goaway_twice_and_lets_calls_end)
{
    struct neo_test_v1_Echo echo = {.text = NEO_LIT("late"), .count = 300};
    neo_nsec grace = 5 * SEC;
    static struct rpc_client client;
    struct rpc_call call;
    pthread_t thread;

    serve();
    connect_ready(&client, world.caller);
    start(&call, &client, "Later", &echo);
    wait_for(said == 1);
    assert_int_equal(pthread_create(&thread, NULL, drain_there, &grace), 0);
    wait_for(call.closed);
    assert_int_equal(call.status.code, NEO_OK);
    wait_for(client.gone);
    assert_int_equal(client.goaways, 2);
    assert_int_equal(client.goaway_error, H2_NO_ERROR);
    assert_string_equal(client.goaway_debug, "server_shutdown");
    assert_int_equal(pthread_join(thread, NULL), 0);
    rpc_call_fini(&call);
    disconnect(&client);
}

TEST(what_does_not_end_within_the_grace_is_ended)
{
    neo_nsec grace = 200 * MSEC;
    static struct rpc_client client;
    struct rpc_call call;
    pthread_t thread;

    serve();
    connect_ready(&client, world.caller);
    start(&call, &client, "Never", &hello);
    wait_for(said == 1);
    assert_int_equal(pthread_create(&thread, NULL, drain_there, &grace), 0);
    wait_for(call.closed);
    assert_reason(&call, NEO_UNAVAILABLE, "DRAINING");
    assert_int_equal(heard_done, 1);
    assert_int_equal(pthread_join(thread, NULL), 0);
    rpc_call_fini(&call);
    disconnect(&client);
}
#endif

TEST(an_idle_connection_is_let_go)
{
    static struct rpc_client client;

    world.options.max_connection_idle = 300 * MSEC;
    serve();
    connect_ready(&client, world.caller);
    assert_int_equal(call_once(&client, "Say", &hello), NEO_OK);
    wait_for(client.gone);
    assert_int_equal(client.goaway_error, H2_NO_ERROR);
    assert_true(client.goaways > 0); /* an idle client need not wait for the second */
    disconnect(&client);
}

TEST(an_identity_has_so_many_connections_and_no_more)
{
    static struct rpc_client clients[3];
    static struct rpc_client other;

    world.options.max_connections_per_identity = 2;
    serve();
    connect_ready(&clients[0], world.caller);
    connect_ready(&clients[1], world.caller);
    connect_as(&clients[2], world.caller);
    wait_for(clients[2].gone);
    assert_string_equal(clients[2].goaway_debug, "too_many_connections");
    assert_int_equal(clients[2].goaway_error, H2_ENHANCE_YOUR_CALM);
    connect_ready(&other, world.stranger);
    disconnect(&clients[0]);
    disconnect(&clients[2]);
    wait_for(neo_server_stats(world.server).connections == 2);
    connect_ready(&clients[2], world.caller);
    disconnect(&clients[1]);
    disconnect(&clients[2]);
    disconnect(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PROMISE(a_server_cannot_be_without_identity_trust_and_policy),
        PROMISE(a_client_without_a_certificate_is_not_heard),
        PROMISE(a_client_of_another_trust_domain_is_not_heard),
        PROMISE(a_silent_peer_is_cut_after_five_seconds),
        PROMISE(answers_a_unary_call),
        PROMISE(answers_a_thousand_calls_on_one_connection),
        PROMISE(takes_and_gives_a_message_as_large_as_allowed_and_none_larger),
        PROMISE(a_handler_may_answer_later),
        PROMISE(a_handler_that_answers_after_the_peer_left_keeps_its_call),
        PROMISE(a_blocking_handler_runs_off_the_loop),
        PROMISE(streams_what_the_peer_takes_and_waits_for_the_rest),
        PROMISE(a_stream_hears_no_more_than_its_peer_takes_answers),
#ifdef NEO_SIM
        PROMISE(a_peer_that_reads_late_has_as_long_as_a_stall_may_last),
#endif
#ifndef NEO_SIM
        PROMISE(a_server_may_end_while_peers_wait_for_their_handshake),
        PROMISE(several_workers_share_one_port),
        PROMISE(a_blocking_stream_waits_for_its_peer),
        PROMISE(a_blocking_stream_ends_with_its_peer),
        PROMISE(a_drain_says_goaway_twice_and_lets_calls_end),
        PROMISE(what_does_not_end_within_the_grace_is_ended),
#endif
        PROMISE(answers_nobody_takes_are_not_begun_until_somebody_does),
        PROMISE(takes_a_stream_of_requests),
        PROMISE(talks_both_ways_at_once),
        PROMISE(a_handler_adds_headers_and_trailers),
        PROMISE(a_failure_is_one_block_of_headers_with_its_details),
        PROMISE(an_unknown_method_is_unimplemented),
        PROMISE(a_request_must_be_exactly_one_whole_message),
        PROMISE(a_request_that_stops_halfway_is_cut),
#ifdef NEO_SIM
        PROMISE(a_request_that_comes_in_drops_is_cut),
        PROMISE(a_request_that_comes_slowly_is_waited_for),
        PROMISE(a_request_that_waits_for_others_of_its_connection_is_given_a_minute),
        PROMISE(a_stream_nobody_reads_is_cut_after_half_a_minute),
#endif
        PROMISE(a_deadline_ends_the_call_and_the_handler_hears_of_it),
#ifndef NEO_SIM
        PROMISE(a_deadline_leaves_the_memory_of_a_blocking_handler_alone),
#endif
        PROMISE(a_call_that_is_late_already_does_not_run),
        PROMISE(the_server_caps_what_a_unary_caller_asks_for),
        PROMISE(a_cancelled_call_tells_its_handler_at_once),
        PROMISE(a_request_with_a_malformed_field_is_reset_and_the_log_says_for_which),
        PROMISE(a_lost_connection_cancels_its_calls),
        PROMISE(a_blocking_handler_can_see_that_it_is_cancelled),
        PROMISE(an_idle_connection_is_let_go),
        PROMISE(an_identity_has_so_many_connections_and_no_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
