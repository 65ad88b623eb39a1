/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that wait in a channel: how many may, and what further connections do about it.
 */
#include "stage.h"

#include <neo/metrics.h>

static void answer_in_a_second(struct script_call *call, void *self)
{
    (void)self;
    script_reply_after(call, 1 * SEC);
}

/* Servers that take so many calls at a time on a connection. */
static void begin_narrow(struct stage *s, size_t n, uint32_t streams)
{
    char host[32], address[48];

    begin_stage(s, n, answer_in_a_second, NULL);
    for (size_t i = 0; i < n; i++) {
        (void)snprintf(host, sizeof(host), "10.0.0.%zu", i + 1);
        (void)snprintf(address, sizeof(address), "%s:7000", host);
        script_stop(&s->servers[i]);
        s->servers[i].limits.max_streams = streams;
        sim_host(host);
        script_start(&s->servers[i], s->loops[i], address, s->server, s->trust);
    }
    sim_host("10.0.0.99");
}

/* One such server, and a channel to it. */
static void begin_line(struct stage *s, uint32_t streams, const struct neo_channel_tuning *tuning)
{
    begin_narrow(s, 1, streams);
    open_channel(s, NULL, tuning);
}

static void expect_all_served(struct heard *h, size_t n)
{
    for (size_t i = 0; i < n; i++)
        assert_int_equal(wait_for_end(&h[i], 60 * SEC), NEO_OK);
}

/* `n` calls, of which none has ended, the first on a connection. */
static void fill(struct stage *s, struct heard *h, size_t n)
{
    start(s, &h[0], 60 * SEC);
    sim_run_for(100 * MSEC);
    for (size_t i = 1; i < n; i++)
        start(s, &h[i], 60 * SEC);
    sim_run_for(100 * MSEC);
}

static void expect_turned_away(struct heard *h, const char *option)
{
    assert_true(h->done);
    assert_int_equal(h->code, NEO_RESOURCE_EXHAUSTED);
    assert_string_equal(h->reason, "CHANNEL_FULL");
    assert_non_null(strstr(h->message, option));
}

/* --- the line --------------------------------------------------------------------------------- */

TEST(one_more_than_may_wait_ends_at_once)
{
    const struct neo_channel_tuning tuning = {.max_waiting = 2};
    struct heard h[3], late;
    struct stage s;

    begin_line(&s, 1, &tuning);
    fill(&s, h, 3); /* one runs, two wait */
    start(&s, &late, 60 * SEC);
    sim_run_for(MSEC);
    expect_turned_away(&late, "max_waiting");
    expect_all_served(h, NEO_COUNT(h));
    assert_int_equal(s.servers[0].requests, 3);
    assert_int_equal(call_once(&s, 60 * SEC), NEO_OK); /* there is room again */
    end_stage(&s);
}

TEST(who_waits_for_a_first_connection_is_counted_too)
{
    const struct neo_channel_tuning tuning = {.max_waiting = 1};
    const struct neo_call_options patient = {.timeout = 5 * SEC, .wait_for_ready = true};
    struct heard h, late;
    struct stage s;

    begin_stage(&s, 1, answer_at_once, NULL);
    script_stop(&s.servers[0]);
    open_channel(&s, NULL, &tuning);
    start_with(&s, &h, &patient);
    start_with(&s, &late, &patient);
    sim_run_for(MSEC);
    expect_turned_away(&late, "max_waiting");
    assert_int_equal(wait_for_end(&h, 6 * SEC), NEO_DEADLINE_EXCEEDED);
    start_with(&s, &late, &patient); /* who left the line makes room */
    assert_int_equal(wait_for_end(&late, 6 * SEC), NEO_DEADLINE_EXCEEDED);
    sim_host("10.0.0.1");
    script_start(&s.servers[0], s.loops[0], "10.0.0.1:7000", s.server, s.trust);
    end_stage(&s);
}

static enum neo_code start_large(struct stage *s, struct heard *h, size_t size)
{
    static uint8_t bytes[4096];
    const struct neo_test_v1_Words request = {.text = neo_bytes(bytes, size)};
    const struct neo_call_options options = {.timeout = 60 * SEC};

    *h = (struct heard){.loop = s->loop};
    return neo_test_v1_Speech_Do_start(s->channel, &options, &request, &call_events, h, &h->call,
                                       NULL);
}

TEST(what_waits_may_not_hold_more_bytes_than_that)
{
    const struct neo_channel_tuning tuning = {.max_waiting_bytes = 3000};
    struct heard h[2], late;
    struct stage s;

    begin_line(&s, 1, &tuning);
    for (size_t i = 0; i < NEO_COUNT(h); i++)
        assert_int_equal(start_large(&s, &h[i], 1400), NEO_OK);
    sim_run_for(100 * MSEC); /* one runs */
    assert_int_equal(start_large(&s, &late, 2000), NEO_OK);
    sim_run_for(MSEC);
    expect_turned_away(&late, "max_waiting_bytes");
    assert_int_equal(start_large(&s, &late, 1400), NEO_OK);
    expect_all_served(h, NEO_COUNT(h));
    assert_int_equal(wait_for_end(&late, 60 * SEC), NEO_OK);
    end_stage(&s);
}

TEST(a_stream_that_waits_may_not_outgrow_the_line)
{
    const struct neo_channel_tuning tuning = {.max_waiting_bytes = 3000};
    static uint8_t bytes[1000];
    const struct neo_test_v1_Words words = {.text = neo_bytes(bytes, sizeof(bytes))};
    struct heard busy, h = {0};
    struct stage s;

    begin_line(&s, 1, &tuning);
    fill(&s, &busy, 1);
    h.loop = s.loop;
    assert_int_equal(
        neo_test_v1_Speech_Count_start(s.channel, NULL, &call_events, &h, &h.call, NULL), NEO_OK);
    assert_int_equal(neo_client_call_send(h.call, &words), NEO_FLOW_MORE);
    assert_int_equal(neo_client_call_send(h.call, &words), NEO_FLOW_MORE);
    assert_int_equal(neo_client_call_send(h.call, &words), NEO_FLOW_GONE);
    sim_run_for(MSEC);
    expect_turned_away(&h, "max_waiting_bytes");
    assert_int_equal(wait_for_end(&busy, 60 * SEC), NEO_OK);
    end_stage(&s);
}

TEST(who_was_under_way_is_not_turned_away_after_a_goodbye)
{
    const struct neo_channel_tuning tuning = {.max_waiting = 1};
    struct heard h[4];
    struct stage s;

    begin_line(&s, 4, &tuning);
    assert_int_equal(call_once(&s, 60 * SEC), NEO_OK);
    for (size_t i = 0; i < NEO_COUNT(h); i++)
        start(&s, &h[i], 60 * SEC);
    script_goaway(&s.servers[0], H2_NO_ERROR, "max_age"); /* none has been seen yet */
    expect_all_served(h, NEO_COUNT(h));
    assert_int_equal(s.servers[0].accepted, 2);
    end_stage(&s);
}

static uint64_t value_of(struct neo_metrics *metrics, const char *name, const char *target)
{
    static const char *const labels[] = {"target", NULL};
    const struct neo_bytes value = neo_text(target);
    enum neo_metric_kind kind = strstr(name, "_total") != NULL ? NEO_COUNTER : NEO_GAUGE;

    return neo_counter_get(
        neo_counter(neo_metrics_family(metrics, name, "", kind, labels), &value));
}

TEST(metrics_tell_who_waits_and_who_was_turned_away)
{
    static const char target[] = "ipv4:10.0.0.1:7000";
    const struct neo_channel_tuning tuning = {.max_waiting = 2};
    struct neo_metrics *metrics = neo_metrics_new();
    struct heard h[4];
    struct stage s;

    begin_narrow(&s, 1, 1);
    const struct neo_channel_options options = {.loop = s.loop,
                                                .epoch = {.identity = s.caller, .trust = s.trust},
                                                .service = "echo-service",
                                                .trust_domain = "neo.test",
                                                .metrics = metrics,
                                                .tuning = &tuning};
    assert_int_equal(neo_channel_open(target, &options, &s.channel, NULL), NEO_OK);
    fill(&s, h, 3);
    start(&s, &h[3], 60 * SEC);
    assert_int_equal(value_of(metrics, "neo_client_waiting_calls", target), 2);
    assert_int_equal(value_of(metrics, "neo_client_turned_away_total", target), 1);
    for (size_t i = 0; i < NEO_COUNT(h); i++)
        (void)wait_for_end(&h[i], 60 * SEC);
    assert_int_equal(value_of(metrics, "neo_client_waiting_calls", target), 0);
    end_stage(&s);
    neo_metrics_free(metrics);
}

static void be_unavailable(struct script_call *call, void *self)
{
    (void)self;
    script_finish(call, NEO_UNAVAILABLE, NULL, NULL);
}

TEST(metrics_tell_what_the_throttle_withheld)
{
    static const char target[] = "ipv4:10.0.0.1:7000";
    static const char config[] =
        "{\"retryThrottling\": {\"maxTokens\": 4, \"tokenRatio\": 0.1}, \"methodConfig\": "
        "[{\"name\": [{}], \"retryPolicy\": {\"maxAttempts\": 4, \"initialBackoff\": \"1s\", "
        "\"maxBackoff\": \"10s\", \"backoffMultiplier\": 2, \"retryableStatusCodes\": "
        "[\"UNAVAILABLE\"]}}]}";
    struct neo_metrics *metrics = neo_metrics_new();
    struct heard h;
    struct stage s;

    begin_stage(&s, 1, be_unavailable, NULL);
    const struct neo_channel_options options = {.loop = s.loop,
                                                .epoch = {.identity = s.caller, .trust = s.trust},
                                                .service = "echo-service",
                                                .trust_domain = "neo.test",
                                                .metrics = metrics,
                                                .service_config = config};
    assert_int_equal(neo_channel_open(target, &options, &s.channel, NULL), NEO_OK);
    assert_int_equal(value_of(metrics, "neo_client_retries_withheld_total", target), 0);
    start(&s, &h, 60 * SEC);
    assert_int_equal(wait_for_end(&h, 60 * SEC), NEO_UNAVAILABLE);
    assert_int_equal(value_of(metrics, "neo_client_retries_withheld_total", target), 1);
    end_stage(&s);
    neo_metrics_free(metrics);
}

/* --- further connections ---------------------------------------------------------------------- */

TEST(no_more_connections_are_made_than_may_be)
{
    const struct neo_channel_tuning tuning = {.max_connections = 3};
    struct heard h[12];
    struct stage s;

    begin_line(&s, 1, &tuning);
    fill(&s, h, NEO_COUNT(h));
    expect_all_served(h, NEO_COUNT(h));
    assert_int_equal(s.servers[0].accepted, 3);
    assert_int_equal(s.servers[0].most_open, 3);
    assert_true(h[11].at - h[0].at < 5 * SEC); /* on one connection: 11 s */
    end_stage(&s);
}

TEST(while_there_is_room_one_connection_is_enough)
{
    const struct neo_channel_tuning tuning = {.max_connections = 8};
    struct heard h[10];
    struct stage s;

    begin_line(&s, 10, &tuning);
    fill(&s, h, NEO_COUNT(h));
    expect_all_served(h, NEO_COUNT(h));
    assert_int_equal(s.servers[0].accepted, 1);
    end_stage(&s);
}

TEST(a_further_connection_that_fails_costs_no_call_and_is_not_stormed_for)
{
    const struct neo_channel_tuning tuning = {.max_connections = 4};
    struct heard h[8];
    struct stage s;

    begin_line(&s, 1, &tuning);
    start(&s, &h[0], 60 * SEC);
    sim_run_for(100 * MSEC);
    s.servers[0].slams = true;
    for (size_t i = 1; i < NEO_COUNT(h); i++)
        start(&s, &h[i], 60 * SEC);
    expect_all_served(h, NEO_COUNT(h));
    assert_true(s.servers[0].accepted > 1);
    assert_true(s.servers[0].accepted <= 10); /* in eight seconds, and each was slammed */
    assert_int_equal(s.servers[0].most_open, 1);
    end_stage(&s);
}

TEST(a_goodbye_on_all_connections_costs_no_call)
{
    const struct neo_channel_tuning tuning = {.max_connections = 2};
    struct heard h[10];
    struct stage s;

    begin_line(&s, 2, &tuning);
    fill(&s, h, NEO_COUNT(h));
    sim_run_for(1500 * MSEC); /* both have answered */
    assert_int_equal(script_connections(&s.servers[0]), 2);
    script_goaway(&s.servers[0], H2_NO_ERROR, "max_age");
    expect_all_served(h, NEO_COUNT(h));
    assert_true(s.servers[0].accepted <= 4);
    end_stage(&s);
}

TEST(who_waits_survives_a_cut_of_all_connections)
{
    const struct neo_channel_tuning tuning = {.max_connections = 2};
    struct heard h[10];
    struct stage s;

    begin_line(&s, 2, &tuning);
    fill(&s, h, NEO_COUNT(h));
    sim_run_for(1500 * MSEC); /* both have answered; four run, two wait */
    script_cut(&s.servers[0]);
    for (size_t i = 0; i < NEO_COUNT(h); i++)
        assert_int_equal(wait_for_end(&h[i], 60 * SEC), i >= 4 && i < 8 ? NEO_UNAVAILABLE : NEO_OK);
    assert_true(script_connections(&s.servers[0]) <= 2);
    end_stage(&s);
}

TEST(a_channel_that_rests_closes_all_of_them)
{
    const struct neo_channel_tuning tuning = {.max_connections = 3, .idle_timeout = 60 * SEC};
    struct heard h[6];
    struct stage s;

    begin_line(&s, 1, &tuning);
    fill(&s, h, NEO_COUNT(h));
    expect_all_served(h, NEO_COUNT(h));
    assert_int_equal(script_connections(&s.servers[0]), 3);
    sim_run_for(3 * MIN);
    assert_int_equal(script_connections(&s.servers[0]), 0);
    assert_int_equal(call_once(&s, 60 * SEC), NEO_OK);
    end_stage(&s);
}

TEST(a_further_connection_takes_the_place_of_the_first)
{
    const struct neo_channel_tuning tuning = {.max_connections = 2};
    struct heard h[4];
    struct stage s;

    begin_line(&s, 2, &tuning);
    fill(&s, h, NEO_COUNT(h));
    script_goaway_first(&s.servers[0], H2_NO_ERROR, "max_age");
    sim_run_for(100 * MSEC);
    assert_string_equal(state_of(&s, "10.0.0.1:7000"), "ready");
    assert_int_equal(s.servers[0].accepted, 2);
    expect_all_served(h, NEO_COUNT(h));
    assert_int_equal(call_once(&s, 60 * SEC), NEO_OK);
    assert_int_equal(s.servers[0].accepted, 2);
    end_stage(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_more_than_may_wait_ends_at_once),
        cmocka_unit_test(who_waits_for_a_first_connection_is_counted_too),
        cmocka_unit_test(what_waits_may_not_hold_more_bytes_than_that),
        cmocka_unit_test(a_stream_that_waits_may_not_outgrow_the_line),
        cmocka_unit_test(who_was_under_way_is_not_turned_away_after_a_goodbye),
        cmocka_unit_test(metrics_tell_who_waits_and_who_was_turned_away),
        cmocka_unit_test(metrics_tell_what_the_throttle_withheld),
        cmocka_unit_test(no_more_connections_are_made_than_may_be),
        cmocka_unit_test(while_there_is_room_one_connection_is_enough),
        cmocka_unit_test(a_further_connection_that_fails_costs_no_call_and_is_not_stormed_for),
        cmocka_unit_test(a_goodbye_on_all_connections_costs_no_call),
        cmocka_unit_test(who_waits_survives_a_cut_of_all_connections),
        cmocka_unit_test(a_channel_that_rests_closes_all_of_them),
        cmocka_unit_test(a_further_connection_takes_the_place_of_the_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
