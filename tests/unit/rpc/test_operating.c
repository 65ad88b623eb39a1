/* SPDX-License-Identifier: Apache-2.0 */
/* What those learn who run a server: its log, its addresses, its callers, its limits. */
#include "logged.h"

#include <neo/channel.h>
#include <neo/insecure.h>

static struct rpc_client client;

static void expect_broken(const char *method, const struct neo_test_v1_Echo *echo, const char *why)
{
    struct rpc_call call;

    serve();
    connect_ready(&client, world.caller);
    start(&call, &client, method, echo);
    wait_for(call.closed);
    assert_reason(&call, NEO_INTERNAL, "HANDLER_BROKEN");
    assert_int_equal(lines_with("call.handler_broken", why), 1);
    assert_int_equal(lines_with("call.handler_broken", method), 1);
    rpc_call_fini(&call);
    disconnect(&client);
}

/* --- the log ----------------------------------------------------------------------------- */

TEST(a_blocking_handler_without_an_answer_is_in_the_log)
{
    const struct neo_test_v1_Echo echo = {.text = NEO_LIT("forget"), .count = 1};

    expect_broken("Block", &echo, "returned without an answer");
}

static void turn_away(struct neo_call *call, const struct neo_test_v1_Echo *request, void *self)
{
    (void)call;
    (void)request;
    (void)self;
}

static void serve_deaf(void)
{
    static struct neo_test_v1_Echoes_handlers deaf;
    struct neo_error err = {0};

    deaf = echo_handlers;
    deaf.Chat = turn_away;
    deaf.Say = turn_away;
    if (neo_server_new(&world.options, &world.server, &err) != NEO_OK ||
        neo_test_v1_Echoes_add(world.server, &deaf, NULL, &err) != NEO_OK ||
        neo_server_listen(world.server, "127.0.0.1:0", &err) != NEO_OK)
        fail_msg("%s", err.message);
    connect_ready(&client, world.caller);
}

TEST(a_stream_handler_that_does_not_listen_is_in_the_log)
{
    struct rpc_call call;

    serve_deaf();
    start(&call, &client, "Chat", &hello);
    wait_for(call.closed);
    assert_reason(&call, NEO_INTERNAL, "HANDLER_BROKEN");
    assert_int_equal(lines_with("call.handler_broken", "neo_call_on_stream()"), 1);
    rpc_call_fini(&call);
}

TEST(lines_that_callers_cause_are_limited_and_the_rest_is_counted)
{
    struct rpc_call call;
    unsigned first;

    serve_deaf();
    for (int i = 0; i < 50; i++) {
        start(&call, &client, "Chat", &hello);
        wait_for(call.closed);
        rpc_call_fini(&call);
    }
    first = lines_with("call.handler_broken", "");
    assert_true(first < 50);
    run_for(1100 * MSEC);
    start(&call, &client, "Chat", &hello);
    wait_for(call.closed);
    rpc_call_fini(&call);
    assert_int_equal(lines_with("call.handler_broken", ""), first + 1);
    assert_int_equal(lines_with("call.handler_broken", "\"left_out\":0"), first);
}

TEST(a_unary_handler_that_never_answers_is_in_the_log_when_the_deadline_has_passed)
{
    const struct h2_header timeout = {NEO_LIT("grpc-timeout"), NEO_LIT("20m")};
    struct rpc_call call;

    serve_deaf();
    start_with(&call, &client, "Say", &hello, true, &timeout, 1);
    wait_for(call.closed);
    assert_int_equal(call.status.code, NEO_DEADLINE_EXCEEDED);
    assert_int_equal(lines_with("call.unanswered", "/neo.test.v1.Echoes/Say"), 1);
    rpc_call_fini(&call);
}

static void be_denied(struct rpc_call *call)
{
    serve();
    connect_ready(&client, world.stranger);
    start(call, &client, "Say", &hello);
    wait_for(call->closed);
    assert_reason(call, NEO_PERMISSION_DENIED, "POLICY_DENIED");
}

TEST(a_denial_is_in_the_log_with_its_decision_id_where_there_is_no_audit_sink)
{
    struct rpc_call call;
    char id[40];

    world.options.audit = NULL;
    be_denied(&call);
    (void)snprintf(id, sizeof(id), "%.*s", NEO_FMT(call.status.decision_id));
    assert_true(strlen(id) > 2);
    assert_int_equal(lines_with("call.denied", id), 1);
    assert_int_equal(lines_with("stranger-service", "POLICY_DENIED"), 1);
    rpc_call_fini(&call);
}

TEST(a_denial_that_the_audit_sink_has_is_not_in_the_log_too)
{
    struct rpc_call call;

    be_denied(&call);
    assert_int_equal(audit.n, 1);
    assert_int_equal(lines_with("call.denied", ""), 0);
    rpc_call_fini(&call);
}

/* --- where it listens, and who calls ----------------------------------------------------- */

TEST(every_address_that_it_listens_on_can_be_asked_for)
{
    struct neo_error err;

    serve();
    assert_string_equal(neo_server_address_at(world.server, 0), neo_server_address(world.server));
    assert_null(neo_server_address_at(world.server, 1));
    assert_int_equal(neo_server_listen(world.server, "[::1]:0", &err), NEO_OK);
    assert_non_null(strstr(neo_server_address_at(world.server, 1), "[::1]:"));
    assert_null(strstr(neo_server_address_at(world.server, 1), ":0"));
    assert_int_not_equal(neo_server_listen(world.server, "nowhere:0", &err), NEO_OK);
    assert_null(neo_server_address_at(world.server, 2));
    assert_null(strstr(neo_server_address(world.server), "[::1]:"));
}

TEST(an_address_without_a_host_is_refused_with_what_to_write)
{
    struct neo_error err;

    serve();
    assert_int_equal(neo_server_listen(world.server, ":50051", &err), NEO_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "0.0.0.0:50051"));
    assert_int_equal(neo_server_listen(world.server, "*:50051", &err), NEO_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "[::]:50051"));
}

TEST(a_method_without_its_slash_is_refused_with_what_to_write)
{
    struct neo_error err;

    assert_int_equal(neo_server_new(&world.options, &world.server, &err), NEO_OK);
    assert_int_equal(neo_test_v1_Echoes_add(world.server, &echo_handlers, NULL, &err), NEO_OK);
    assert_int_equal(neo_server_set_blocking(world.server, "neo.test.v1.Echoes/Block", &err),
                     NEO_NOT_FOUND);
    assert_non_null(strstr(err.message, "\"/package.Service/Method\""));
}

static char seen_peer[2][128];
static struct neo_call *kept;

static void note_peer(struct neo_call *call, const struct neo_test_v1_Echo *request, void *self)
{
    bool blocks = !neo_loop_is_current(neo_call_loop(call));

    (void)self;
    (void)snprintf(seen_peer[blocks], sizeof(seen_peer[blocks]), "%s", neo_call_peer(call));
    if (neo_bytes_is(request->text, "keep"))
        kept = neo_call_ref(call);
    neo_call_reply(call, request);
}

TEST(a_handler_learns_where_the_call_comes_from)
{
    static struct neo_test_v1_Echoes_handlers handlers;
    const struct neo_test_v1_Echo keep = {.text = NEO_LIT("keep")};
    struct neo_error err = {0};

    handlers = echo_handlers;
    handlers.Say = handlers.Block = note_peer;
    if (neo_server_new(&world.options, &world.server, &err) != NEO_OK ||
        neo_test_v1_Echoes_add(world.server, &handlers, NULL, &err) != NEO_OK ||
        neo_server_set_blocking(world.server, "/neo.test.v1.Echoes/Block", &err) != NEO_OK ||
        neo_server_listen(world.server, "127.0.0.1:0", &err) != NEO_OK)
        fail_msg("%s", err.message);
    connect_ready(&client, world.caller);
    assert_int_equal(call_once(&client, "Block", &hello), NEO_OK);
    assert_int_equal(call_once(&client, "Say", &keep), NEO_OK);
    assert_non_null(strstr(seen_peer[0], "127.0.0.1:"));
    assert_string_equal(seen_peer[0], seen_peer[1]);
    disconnect(&client); /* one that is kept beyond its connection still knows */
    wait_for(neo_server_stats(world.server).connections == 0);
    assert_string_equal(neo_call_peer(kept), seen_peer[0]);
    neo_call_unref(kept);
}

/* --- limits ------------------------------------------------------------------------------ */

static void fall_silent(struct rpc_call *call)
{
    const struct neo_test_v1_Echo echo = {.count = 200, .size = 10000};

    serve();
    connect_ready(&client, world.caller);
    start(call, &client, "Count", &echo);
    call->deaf = true;
    wait_for(call->bytes >= 65535);
}

TEST(a_caller_that_takes_no_answer_is_told_that_its_call_stalled)
{
    struct rpc_call call;

    world.options.max_stall = 1 * SEC;
    fall_silent(&call);
    wait_for(call.closed);
    assert_reason(&call, NEO_DEADLINE_EXCEEDED, "CALL_STALLED");
    assert_int_equal(call_once(&client, "Say", &hello), NEO_OK); /* the connection goes on */
    assert_int_equal(done_code, NEO_DEADLINE_EXCEEDED);
    rpc_call_fini(&call);
}

TEST(a_caller_may_pause_for_as_long_as_the_server_says)
{
    struct rpc_call call;

    world.options.max_stall = NEO_FOREVER;
    fall_silent(&call);
    run_for(3 * SEC);
    assert_false(call.closed);
    rpc_call_hear(&call);
    wait_for(call.closed);
    assert_int_equal(call.status.code, NEO_OK);
    assert_int_equal(call.n_messages, 200);
    rpc_call_fini(&call);
}

TEST(who_has_too_many_connections_reads_so_in_the_status)
{
    const struct neo_channel_options options = {
        .loop = neo_runtime_loop(world.runtime, 0),
        .epoch = {.identity = world.caller, .trust = world.trust},
        .service = "echo-service",
        .trust_domain = "neo.test",
        .own_connections = true,
    };
    struct neo_test_v1_Echo reply;
    struct neo_channel *channel;
    struct neo_status status;
    struct neo_error err;
    struct neo_arena arena;
    char target[160];

    world.options.max_connections_per_identity = 1;
    serve();
    connect_ready(&client, world.caller);
    (void)snprintf(target, sizeof(target), "ipv4:%s", neo_server_address(world.server));
    assert_int_equal(neo_channel_open(target, &options, &channel, &err), NEO_OK);
    neo_arena_init(&arena, 1 << 20);
    assert_int_equal(neo_test_v1_Echoes_Say(channel, &(struct neo_call_options){.timeout = 5 * SEC},
                                            &hello, &reply, &arena, &status),
                     NEO_UNAVAILABLE);
    if (memmem(status.message.at, status.message.len, "too_many_connections", 20) == NULL)
        fail_msg("%.*s", NEO_FMT(status.message));
    neo_arena_fini(&arena);
    neo_channel_free(channel);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOGGED(a_blocking_handler_without_an_answer_is_in_the_log),
        LOGGED(a_stream_handler_that_does_not_listen_is_in_the_log),
        LOGGED(lines_that_callers_cause_are_limited_and_the_rest_is_counted),
        LOGGED(a_unary_handler_that_never_answers_is_in_the_log_when_the_deadline_has_passed),
        LOGGED(a_denial_is_in_the_log_with_its_decision_id_where_there_is_no_audit_sink),
        LOGGED(a_denial_that_the_audit_sink_has_is_not_in_the_log_too),
        LOGGED(every_address_that_it_listens_on_can_be_asked_for),
        LOGGED(an_address_without_a_host_is_refused_with_what_to_write),
        LOGGED(a_method_without_its_slash_is_refused_with_what_to_write),
        LOGGED(a_handler_learns_where_the_call_comes_from),
        LOGGED(a_caller_that_takes_no_answer_is_told_that_its_call_stalled),
        LOGGED(a_caller_may_pause_for_as_long_as_the_server_says),
        LOGGED(who_has_too_many_connections_reads_so_in_the_status),
    };

    return cmocka_run_group_tests_name("rpc/operating", tests, NULL, NULL);
}
