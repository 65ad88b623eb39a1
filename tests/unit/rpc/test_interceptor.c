/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include <neo/interceptor.h>

static struct rpc_client client;

/* What two of them saw, in order: "a" and "b" for a beginning, "A" and "B" for an end. */
struct watcher {
    struct neo_interceptor base;
    char letter;
    enum neo_code refuses; /* OK: it lets everything pass */
    bool breaks_rules;     /* ends the call itself */
};

static char seen[64];
static atomic_uint n_seen;
static atomic_int end_code;
static int key;

static void note(char letter)
{
    unsigned at = atomic_fetch_add(&n_seen, 1);

    if (at < sizeof(seen) - 1)
        seen[at] = letter;
}

static enum neo_code on_begin(struct neo_interceptor *self, struct neo_call *call, void **state,
                              struct neo_status *refusal)
{
    struct watcher *w = neo_owner(self, struct watcher, base);

    assert(*state == NULL);
    note(w->letter);
    if (w->breaks_rules)
        neo_call_fail(call, NEO_ABORTED, "of its own");
    if (w->refuses != NEO_OK) {
        *refusal = neo_status_of(w->refuses, "not today");
        return w->refuses;
    }
    *state = w;
    assert(neo_call_value(call, &key) == NULL || w->letter == 'b');
    assert(neo_call_set_value(call, &key, w));
    (void)neo_call_add_header(call, w->letter == 'a' ? "x-a" : "x-b",
                              neo_call_metadata(call, "x-tenant"));
    return NEO_OK;
}

static void on_end(struct neo_interceptor *self, struct neo_call *call, void *state,
                   const struct neo_status *status)
{
    struct watcher *w = neo_owner(self, struct watcher, base);

    assert(state == w);
    assert(neo_call_method(call) != NULL);
    note((char)(w->letter - 'a' + 'A'));
    atomic_store(&end_code, (int)status->code);
}

static struct watcher a, b;

static void add_both(void)
{
    assert_int_equal(neo_server_intercept(world.server, &a.base, NULL), NEO_OK);
    assert_int_equal(neo_server_intercept(world.server, &b.base, NULL), NEO_OK);
}

static int begin_both(void **state)
{
    memset(seen, 0, sizeof(seen));
    n_seen = 0;
    end_code = -1;
    a = (struct watcher){.base = {.name = "first", .begin = on_begin, .end = on_end},
                         .letter = 'a'};
    b = (struct watcher){.base = {.name = "second", .begin = on_begin, .end = on_end},
                         .letter = 'b'};
    if (begin(state) != 0)
        return -1;
    world.prepare = add_both;
    return 0;
}

/* --- who is not seen --------------------------------------------------------------------- */

TEST(none_sees_a_call_that_the_policy_denied)
{
    serve();
    connect_ready(&client, world.stranger);
    assert_int_equal(call_once(&client, "Say", &hello), NEO_PERMISSION_DENIED);
    assert_int_equal(call_once(&client, "Nowhere", &hello), NEO_UNIMPLEMENTED);
    assert_string_equal(seen, "");
}

TEST(none_sees_a_call_that_a_limit_refused)
{
    struct neo_limits *limits =
        compile_limits("rate_limits:\n  global:\n    requests_per_second: 1\n    burst: 1\n");

    world.options.epoch.limits = limits;
    serve();
    connect_ready(&client, world.caller);
    assert_int_equal(call_once(&client, "Say", &hello), NEO_OK);
    assert_int_equal(call_once(&client, "Say", &hello), NEO_RESOURCE_EXHAUSTED);
    assert_string_equal(seen, "abBA");
    neo_limits_unref(limits);
}

TEST(none_sees_health)
{
    struct rpc_call call;

    serve();
    connect_ready(&client, world.caller);
    assert_true(rpc_call_start(&call, &client,
                               &(struct rpc_request){.path = "/grpc.health.v1.Health/Check"}));
    rpc_call_send(&call, (struct neo_bytes){0});
    rpc_call_end(&call);
    wait_for(call.closed);
    assert_int_equal(call.status.code, NEO_OK);
    assert_string_equal(seen, "");
    rpc_call_fini(&call);
}

TEST(none_is_added_to_a_server_that_listens_nor_a_ninth)
{
    struct neo_error err;

    world.prepare = NULL;
    serve();
    assert_int_equal(neo_server_intercept(world.server, &a.base, &err), NEO_FAILED_PRECONDITION);
    assert_true(strstr(err.message, "first") != NULL);
    neo_server_free(world.server);
    assert_int_equal(neo_server_new(&world.options, &world.server, NULL), NEO_OK);
    for (int i = 0; i < NEO_INTERCEPTORS_MAX; i++)
        assert_int_equal(neo_server_intercept(world.server, &a.base, NULL), NEO_OK);
    assert_int_equal(neo_server_intercept(world.server, &a.base, &err), NEO_RESOURCE_EXHAUSTED);
}

/* --- refusing ---------------------------------------------------------------------------- */

TEST(one_that_refuses_ends_the_call_before_its_handler)
{
    struct rpc_call call;

    b.refuses = NEO_FAILED_PRECONDITION;
    serve();
    connect_ready(&client, world.caller);
    start(&call, &client, "Say", &hello);
    wait_for(call.closed);
    assert_reason(&call, NEO_FAILED_PRECONDITION, "APPLICATION");
    assert_true(neo_bytes_is(call.status.message, "not today"));
    assert_false(call.status.processed);
    assert_int_equal(call.status.decision_id.len, 18);
    assert_true(call.trailers_only);
    assert_int_equal(said, 0);
    assert_string_equal(seen, "abA"); /* who had let it pass hears of the end */
    assert_int_equal(end_code, NEO_FAILED_PRECONDITION);
    assert_int_equal(audit.n, 1);
    assert_string_equal(audit.at[0].stage, "intercept");
    rpc_call_fini(&call);
}

TEST(the_first_refusal_is_the_last_word)
{
    a.refuses = NEO_ABORTED;
    b.refuses = NEO_NOT_FOUND;
    serve();
    connect_ready(&client, world.caller);
    assert_int_equal(call_once(&client, "Say", &hello), NEO_ABORTED);
    assert_string_equal(seen, "a");
}

TEST(a_stream_is_refused_like_a_unary_call)
{
    struct rpc_call call;

    a.refuses = NEO_ABORTED;
    serve();
    connect_ready(&client, world.caller);
    start_with(&call, &client, "Chat", &hello, false, NULL, 0);
    wait_for(call.closed);
    assert_int_equal(call.status.code, NEO_ABORTED);
    assert_int_equal(said, 0);
    rpc_call_fini(&call);
}

TEST(one_that_breaks_the_rules_and_answers_harms_nobody)
{
    a.breaks_rules = true;
    serve();
    connect_ready(&client, world.caller);
    assert_int_equal(call_once(&client, "Say", &hello), NEO_ABORTED);
    assert_int_equal(said, 0);
    a.breaks_rules = false;
    assert_int_equal(call_once(&client, "Say", &hello), NEO_OK);
}

/* --- seeing ------------------------------------------------------------------------------ */

TEST(they_see_each_call_in_order_and_its_end_the_other_way_round)
{
    const struct h2_header tenant = {NEO_LIT("x-tenant"), NEO_LIT("acme")};
    struct rpc_call call;

    serve();
    connect_ready(&client, world.caller);
    start_with(&call, &client, "Say", &hello, true, &tenant, 1);
    wait_for(call.closed);
    assert_int_equal(call.status.code, NEO_OK);
    assert_string_equal(seen, "abBA");
    assert_int_equal(end_code, NEO_OK);
    assert_true(neo_bytes_is(wire_header(call.headers, "x-a"), "acme"));
    assert_true(neo_bytes_is(wire_header(call.headers, "x-b"), "acme"));
    rpc_call_fini(&call);
}

TEST(they_hear_how_calls_of_every_kind_ended)
{
    static const char *const methods[] = {"Say",        "Later", "Block", "Count",
                                          "BlockCount", "Sum",   "Chat"};
    const struct neo_test_v1_Echo some = {.text = NEO_LIT("x"), .count = 3, .size = 10};

    serve();
    connect_ready(&client, world.caller);
    for (size_t i = 0; i < NEO_COUNT(methods); i++) {
        memset(seen, 0, sizeof(seen));
        n_seen = 0;
        assert_int_equal(call_once(&client, methods[i], &some), NEO_OK);
        wait_for(n_seen == 4);
        assert_string_equal(seen, "abBA");
    }
    const struct neo_test_v1_Echo fails = {.text = NEO_LIT("fail")};
    assert_int_equal(call_once(&client, "Block", &fails), NEO_ABORTED);
    assert_int_equal(end_code, NEO_ABORTED);
}

TEST(they_hear_of_a_cancelled_call_once)
{
    struct rpc_call call;

    serve();
    connect_ready(&client, world.caller);
    start(&call, &client, "Never", &hello);
    wait_for(said == 1);
    rpc_call_reset(&call, H2_CANCEL);
    wait_for(heard_done == 1);
    assert_string_equal(seen, "abBA");
    assert_int_equal(end_code, NEO_CANCELLED);
    disconnect(&client);
    wait_for(neo_server_stats(world.server).calls == 0);
    assert_int_equal(n_seen, 4);
    rpc_call_fini(&call);
}

/* --- messages ---------------------------------------------------------------------------- */

static atomic_uint requests, responses;
static char last_text[16];

static void on_request(struct neo_interceptor *self, struct neo_call *call, void *state,
                       const void *message)
{
    const struct neo_test_v1_Echo *echo = message;

    assert(state == neo_owner(self, struct watcher, base));
    assert(neo_call_method(call)->request == &neo_test_v1_Echo_info);
    (void)snprintf(last_text, sizeof(last_text), "%.*s", NEO_FMT(echo->text));
    atomic_fetch_add(&requests, 1);
}

static void on_response(struct neo_interceptor *self, struct neo_call *call, void *state,
                        const void *message)
{
    const struct neo_test_v1_Echo *echo = message;

    assert(state == neo_owner(self, struct watcher, base));
    assert(neo_loop_is_current(neo_call_loop(call)));
    assert(echo->text.len < 100);
    atomic_fetch_add(&responses, 1);
}

static void watch_messages(struct watcher *w)
{
    w->base.request = on_request;
    w->base.response = on_response;
    requests = responses = 0;
    last_text[0] = '\0';
}

TEST(no_message_is_seen_of_a_call_that_another_refused)
{
    watch_messages(&a);
    b.refuses = NEO_PERMISSION_DENIED;
    serve();
    connect_ready(&client, world.caller);
    assert_int_equal(call_once(&client, "Say", &hello), NEO_PERMISSION_DENIED);
    assert_int_equal(requests + responses, 0);
}

TEST(no_response_is_seen_of_a_call_that_failed)
{
    const struct neo_test_v1_Echo fails = {.text = NEO_LIT("fail")};

    watch_messages(&a);
    serve();
    connect_ready(&client, world.caller);
    assert_int_equal(call_once(&client, "Say", &fails), NEO_NOT_FOUND);
    assert_int_equal(call_once(&client, "Block", &fails), NEO_ABORTED);
    assert_int_equal(requests, 2);
    assert_int_equal(responses, 0);
}

TEST(messages_of_calls_of_every_kind_are_seen_once)
{
    static const struct {
        const char *method;
        unsigned requests, responses;
    } rows[] = {{"Say", 1, 1},        {"Later", 1, 1}, {"Block", 1, 1}, {"Count", 1, 3},
                {"BlockCount", 1, 3}, {"Sum", 1, 1},   {"Chat", 1, 1}};
    const struct neo_test_v1_Echo some = {.text = NEO_LIT("x"), .count = 3, .size = 10};

    watch_messages(&b);
    serve();
    connect_ready(&client, world.caller);
    for (size_t i = 0; i < NEO_COUNT(rows); i++) {
        requests = responses = 0;
        n_seen = 0;
        assert_int_equal(call_once(&client, rows[i].method, &some), NEO_OK);
        wait_for(n_seen == 4);
        if (requests != rows[i].requests || responses != rows[i].responses)
            fail_msg("%s: %u requests and %u responses", rows[i].method, requests, responses);
        assert_string_equal(last_text, "x");
    }
}

#define WATCHED(name) cmocka_unit_test_setup_teardown(name, begin_both, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WATCHED(none_sees_a_call_that_the_policy_denied),
        WATCHED(none_sees_a_call_that_a_limit_refused),
        WATCHED(none_sees_health),
        WATCHED(none_is_added_to_a_server_that_listens_nor_a_ninth),
        WATCHED(one_that_refuses_ends_the_call_before_its_handler),
        WATCHED(the_first_refusal_is_the_last_word),
        WATCHED(a_stream_is_refused_like_a_unary_call),
        WATCHED(one_that_breaks_the_rules_and_answers_harms_nobody),
        WATCHED(no_message_is_seen_of_a_call_that_another_refused),
        WATCHED(no_response_is_seen_of_a_call_that_failed),
        WATCHED(messages_of_calls_of_every_kind_are_seen_once),
        WATCHED(they_see_each_call_in_order_and_its_end_the_other_way_round),
        WATCHED(they_hear_how_calls_of_every_kind_ended),
        WATCHED(they_hear_of_a_cancelled_call_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
