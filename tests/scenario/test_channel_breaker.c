/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What opens the circuit of an instance, and what a caller may do without opening it.
 */
#include "stage.h"

enum { MANY = 40 };

static bool is_open(struct stage *s, size_t server)
{
    return strcmp(state_of(s, s->servers[server].address), "open circuit") == 0;
}

static void never(struct script_call *call, void *self)
{
    (void)call;
    (void)self;
}

static void answer_code(struct script_call *call, void *self)
{
    script_finish(call, *(enum neo_code *)self, NULL, NULL);
}

static void send_and_go_on(struct script_call *call, void *self)
{
    (void)self;
    script_send(call, (struct neo_bytes){0});
}

static void expect_served(struct stage *s)
{
    s->servers[0].answer = answer_at_once;
    assert_int_equal(call_once(s, SEC), NEO_OK);
}

/* --- ill -------------------------------------------------------------------------------------- */

static void expect_opened_by(enum neo_code code)
{
    struct heard h;
    struct stage s;

    begin_stage(&s, 1, answer_code, &code);
    open_channel(&s, NULL, NULL);
    for (int i = 0; i < 5; i++) {
        assert_false(is_open(&s, 0));
        assert_int_equal(call_once(&s, SEC), code);
    }
    assert_true(is_open(&s, 0));
    s.servers[0].answer = answer_at_once;
    start(&s, &h, 30 * SEC);
    assert_int_equal(wait_for_end(&h, 1 * MSEC), NEO_UNAVAILABLE);
    assert_string_equal(h.reason, "CIRCUIT_OPEN");
    assert_int_equal(s.servers[0].requests, 5);
    sim_run_for(6 * SEC); /* then one call is let through, and closes it */
    assert_int_equal(call_once(&s, SEC), NEO_OK);
    assert_false(is_open(&s, 0));
    end_stage(&s);
}

TEST(an_instance_that_only_answers_unavailable_is_left_alone_for_a_while)
{
    expect_opened_by(NEO_UNAVAILABLE);
}

TEST(an_instance_that_only_answers_internal_is_left_alone_for_a_while)
{
    expect_opened_by(NEO_INTERNAL);
}

TEST(an_instance_that_says_nothing_any_more_is_left_alone)
{
    struct stage s;

    begin_stage(&s, 1, answer_at_once, NULL);
    open_channel(&s, NULL, NULL);
    assert_int_equal(call_once(&s, SEC), NEO_OK);
    sim_hang(s.loops[0], 15 * SEC); /* its kernel still acknowledges */
    for (int i = 0; i < 7; i++)     /* two for the PING and its time */
        assert_int_equal(call_once(&s, 500 * MSEC), NEO_DEADLINE_EXCEEDED);
    assert_true(is_open(&s, 0));
    end_stage(&s);
}

TEST(of_several_the_one_that_fails_half_of_its_calls_is_left_alone)
{
    enum neo_code code = NEO_UNAVAILABLE;
    struct stage s;

    begin_stage(&s, 2, answer_at_once, &code);
    open_channel(&s, NULL, NULL);
    assert_int_equal(call_once(&s, SEC), NEO_OK);
    sim_run_for(SEC); /* both are ready */
    for (int i = 0; i < 2 * MANY && !is_open(&s, 0); i++) {
        s.servers[0].answer = i / 2 % 2 == 0 ? answer_code : answer_at_once;
        (void)call_once(&s, SEC);
    }
    assert_true(is_open(&s, 0));
    assert_false(is_open(&s, 1));
    for (int i = 0; i < MANY; i++)
        assert_int_equal(call_once(&s, SEC), NEO_OK);
    end_stage(&s);
}

/* --- what the caller does --------------------------------------------------------------------- */

TEST(short_deadlines_of_a_slow_method_open_nothing)
{
    struct stage s;

    begin_stage(&s, 1, never, NULL);
    open_channel(&s, NULL, NULL);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(call_once(&s, 50 * MSEC), NEO_DEADLINE_EXCEEDED);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(call_once(&s, 1500 * MSEC), NEO_DEADLINE_EXCEEDED);
    assert_false(is_open(&s, 0));
    assert_int_equal(s.servers[0].accepted, 1); /* nor do they cost the connection */
    expect_served(&s);
    end_stage(&s);
}

TEST(streams_that_end_by_their_own_deadline_open_nothing)
{
    struct neo_test_v1_Words request = {.count = 1};
    struct heard h;
    struct neo_error err;
    struct stage s;

    begin_stage(&s, 1, send_and_go_on, NULL);
    open_channel(&s, NULL, NULL);
    for (int i = 0; i < MANY; i++) {
        h = (struct heard){.loop = s.loop};
        assert_int_equal(neo_test_v1_Speech_Repeat_start(
                             s.channel, &(struct neo_call_options){.timeout = 100 * MSEC}, &request,
                             &call_events, &h, &h.call, &err),
                         NEO_OK);
        assert_int_equal(wait_for_end(&h, SEC), NEO_DEADLINE_EXCEEDED);
        assert_int_equal(h.messages, 1);
    }
    assert_false(is_open(&s, 0));
    expect_served(&s);
    end_stage(&s);
}

TEST(deadlines_that_the_server_keeps_open_nothing)
{
    enum neo_code code = NEO_DEADLINE_EXCEEDED;
    struct stage s;

    begin_stage(&s, 1, answer_code, &code);
    open_channel(&s, NULL, NULL);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(call_once(&s, SEC), NEO_DEADLINE_EXCEEDED);
    assert_false(is_open(&s, 0));
    expect_served(&s);
    end_stage(&s);
}

static void reset(struct script_call *call, void *self)
{
    h2_reset(conn_h2(call->conn), call->stream, *(uint32_t *)self, false);
    conn_kick(call->conn);
}

/* What was sent is at fault, says the server: other callers send something else. */
TEST(requests_that_the_server_finds_malformed_open_nothing)
{
    uint32_t h2_error = H2_PROTOCOL_ERROR;
    struct stage s;

    begin_stage(&s, 1, reset, &h2_error);
    open_channel(&s, NULL, NULL);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(call_once(&s, SEC), NEO_INTERNAL);
    assert_false(is_open(&s, 0));
    expect_served(&s);
    end_stage(&s);
}

static void send_garbage(struct script_call *call, void *self)
{
    (void)self;
    script_reply(call, NEO_LIT("\xff\xff\xff"));
}

TEST(answers_that_are_refused_here_open_nothing)
{
    struct stage s;

    begin_stage(&s, 1, send_garbage, NULL);
    open_channel(&s, NULL, NULL);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(call_once(&s, SEC), NEO_INTERNAL);
    assert_false(is_open(&s, 0));
    expect_served(&s);
    end_stage(&s);
}

static void fail_two_of_three(struct script_call *call, void *self)
{
    (void)self;
    if (call->number % 3 == 0)
        script_reply(call, (struct neo_bytes){0});
    else
        script_finish(call, NEO_UNAVAILABLE, NULL, NULL);
}

TEST(a_retry_policy_gets_through_to_a_server_that_fails_two_of_three)
{
    static const char config[] =
        "{\"methodConfig\": [{\"name\": [{}], \"retryPolicy\": {\"maxAttempts\": 4, "
        "\"initialBackoff\": \"0.1s\", \"maxBackoff\": \"1s\", \"backoffMultiplier\": 2, "
        "\"retryableStatusCodes\": [\"UNAVAILABLE\"]}}], "
        "\"retryThrottling\": {\"maxTokens\": 1000, \"tokenRatio\": 1}}";
    struct stage s;

    begin_stage(&s, 1, fail_two_of_three, NULL);
    open_channel(&s, config, NULL);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(call_once(&s, 20 * SEC), NEO_OK);
        sim_run_for(SEC); /* for the budget of retries */
    }
    assert_int_equal(s.servers[0].requests, 3 * MANY);
    end_stage(&s);
}

/* The only one: half of the answers are better than none. */
TEST(the_only_instance_is_called_as_long_as_it_answers_now_and_then)
{
    struct stage s;

    begin_stage(&s, 1, fail_two_of_three, NULL);
    open_channel(&s, NULL, NULL);
    for (int i = 0; i < MANY; i++)
        (void)call_once(&s, SEC);
    assert_int_equal(s.servers[0].requests, MANY);
    end_stage(&s);
}

/* --- probing ---------------------------------------------------------------------------------- */

TEST(a_probe_that_goes_on_for_long_keeps_nobody_waiting)
{
    enum neo_code code = NEO_UNAVAILABLE;
    struct neo_test_v1_Words request = {.count = 1};
    struct neo_error err;
    struct heard h;
    struct stage s;

    begin_stage(&s, 1, answer_code, &code);
    open_channel(&s, NULL, NULL);
    for (int i = 0; i < 5; i++)
        (void)call_once(&s, SEC);
    assert_true(is_open(&s, 0));
    sim_run_for(6 * SEC);
    s.servers[0].answer = send_and_go_on;
    h = (struct heard){.loop = s.loop};
    assert_int_equal(
        neo_test_v1_Speech_Repeat_start(s.channel, NULL, &request, &call_events, &h, &h.call, &err),
        NEO_OK);
    sim_run_for(SEC);
    assert_int_equal(h.messages, 1);
    expect_served(&s);
    neo_client_call_cancel(h.call);
    end_stage(&s);
}

/* --- options ---------------------------------------------------------------------------------- */

TEST(a_breaker_that_is_off_opens_never)
{
    const struct neo_channel_tuning tuning = {.breaker = {.off = true}};
    enum neo_code code = NEO_UNAVAILABLE;
    struct stage s;

    begin_stage(&s, 1, answer_code, &code);
    open_channel(&s, NULL, &tuning);
    for (unsigned i = 0; i < MANY; i++)
        (void)call_once(&s, SEC);
    assert_int_equal(s.servers[0].requests, MANY);
    end_stage(&s);
}

TEST(a_breakers_numbers_can_be_chosen)
{
    const struct neo_channel_tuning tuning = {
        .breaker = {.failures = 2, .open_min = 60 * SEC, .open_max = 60 * SEC}};
    enum neo_code code = NEO_UNAVAILABLE;
    struct stage s;

    begin_stage(&s, 1, answer_code, &code);
    open_channel(&s, NULL, &tuning);
    for (unsigned i = 0; i < 2; i++)
        (void)call_once(&s, SEC);
    assert_true(is_open(&s, 0));
    sim_run_for(55 * SEC);
    (void)call_once(&s, SEC);
    assert_int_equal(s.servers[0].requests, 2);
    sim_run_for(6 * SEC);
    (void)call_once(&s, SEC);
    assert_int_equal(s.servers[0].requests, 3);
    end_stage(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_instance_that_only_answers_unavailable_is_left_alone_for_a_while),
        cmocka_unit_test(an_instance_that_only_answers_internal_is_left_alone_for_a_while),
        cmocka_unit_test(an_instance_that_says_nothing_any_more_is_left_alone),
        cmocka_unit_test(of_several_the_one_that_fails_half_of_its_calls_is_left_alone),
        cmocka_unit_test(short_deadlines_of_a_slow_method_open_nothing),
        cmocka_unit_test(streams_that_end_by_their_own_deadline_open_nothing),
        cmocka_unit_test(deadlines_that_the_server_keeps_open_nothing),
        cmocka_unit_test(requests_that_the_server_finds_malformed_open_nothing),
        cmocka_unit_test(answers_that_are_refused_here_open_nothing),
        cmocka_unit_test(a_retry_policy_gets_through_to_a_server_that_fails_two_of_three),
        cmocka_unit_test(the_only_instance_is_called_as_long_as_it_answers_now_and_then),
        cmocka_unit_test(a_probe_that_goes_on_for_long_keeps_nobody_waiting),
        cmocka_unit_test(a_breaker_that_is_off_opens_never),
        cmocka_unit_test(a_breakers_numbers_can_be_chosen),
    };

    return cmocka_run_group_tests_name("scenario/channel_breaker", tests, NULL, NULL);
}
