/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a channel's connections: silence, backoff, goodbye, rest, and where they lead to.
 */
#include "stage.h"

static void never(struct script_call *call, void *self)
{
    (void)call;
    (void)self;
}

/* --- refusals and failures -------------------------------------------------------------------- */

TEST(nobody_there_fails_at_once_and_who_waits_is_served_later)
{
    struct neo_call_options patient = {.timeout = 300 * SEC, .wait_for_ready = true};
    struct heard waiting, hasty;
    struct stage s;

    begin_stage(&s, 1, answer_at_once, NULL);
    open_target(&s, "ipv4:10.0.0.1:7001", NULL, NULL);
    start_with(&s, &waiting, &patient);
    start(&s, &hasty, 100 * SEC);
    assert_int_equal(wait_for_end(&hasty, 2 * SEC), NEO_UNAVAILABLE);
    assert_string_equal(hasty.reason, "CONNECT_FAILED");
    sim_run_for(30 * SEC);
    assert_false(waiting.done);

    struct script late = {.answer = answer_at_once};
    sim_host("10.0.0.1");
    script_start(&late, s.loops[0], "10.0.0.1:7001", s.server, s.trust);
    assert_int_equal(wait_for_end(&waiting, 60 * SEC), NEO_OK);
    neo_channel_free(s.channel);
    s.channel = NULL;
    script_stop(&late);
    end_stage(&s);
}

TEST(who_waits_for_a_connection_ends_at_the_deadline)
{
    struct neo_call_options patient = {.timeout = 3 * SEC, .wait_for_ready = true};
    struct heard h;
    struct stage s;

    begin_stage(&s, 1, answer_at_once, NULL);
    open_target(&s, "ipv4:10.0.0.1:7001", NULL, NULL);
    neo_nsec begun = neo_mono_nsec();
    start_with(&s, &h, &patient);
    assert_int_equal(wait_for_end(&h, 4 * SEC), NEO_DEADLINE_EXCEEDED);
    assert_in_range(h.at - begun, 3 * SEC, 3 * SEC + 10 * MSEC);
    end_stage(&s);
}

/* connection-backoff-interop-test-description: 540 s against a server that closes everything. */
TEST(backs_off_for_nine_minutes_as_grpc_does)
{
    struct neo_call_options patient = {.timeout = 540 * SEC, .wait_for_ready = true};
    struct heard h;
    struct stage s;
    double wait = 1;

    begin_stage(&s, 1, answer_at_once, NULL);
    s.servers[0].slams = true;
    open_channel(&s, NULL, NULL);
    start_with(&s, &h, &patient);
    assert_int_equal(wait_for_end(&h, 541 * SEC), NEO_DEADLINE_EXCEEDED);
    const struct script *server = &s.servers[0];
    assert_in_range(server->accepted, 11, 15);
    for (unsigned i = 1; i < server->accepted; i++) {
        double apart = (double)(server->accepted_at[i] - server->accepted_at[i - 1]) / (double)SEC;
        if (apart < wait * 0.8 - 0.01 || apart > wait * 1.2 + 0.01)
            fail_msg("attempt %u came after %.3f s, not %.3f ± 20 %%", i + 1, apart, wait);
        wait = wait * 1.6 < 120 ? wait * 1.6 : 120;
    }
    end_stage(&s);
}

TEST(a_backoff_of_ones_own_is_kept_and_begins_anew_after_success)
{
    const struct neo_channel_tuning tuning = {.backoff = {.initial = 100 * MSEC,
                                                          .max = 400 * MSEC,
                                                          .multiplier_percent = 200,
                                                          .jitter_percent = 1}};
    struct neo_call_options patient = {.timeout = 60 * SEC, .wait_for_ready = true};
    struct heard h;
    struct stage s;

    begin_stage(&s, 1, answer_at_once, NULL);
    struct script *server = &s.servers[0];
    server->slams = true;
    open_channel(&s, NULL, &tuning);
    start_with(&s, &h, &patient);
    sim_run_for(3 * SEC);
    assert_in_range(server->accepted, 8, 11); /* at 0, 0.1, 0.3, 0.7, then each 0.4 s */
    server->slams = false;
    assert_int_equal(wait_for_end(&h, SEC), NEO_OK);
    server->slams = true;
    unsigned before = server->accepted;
    script_cut(server);
    sim_run_for(10 * MSEC);
    start_with(&s, &h, &patient);
    sim_run_for(250 * MSEC);
    assert_in_range(server->accepted - before, 2, 4);
    end_stage(&s);
}

TEST(a_server_that_says_nothing_during_the_handshake_is_given_up_after_twenty_seconds)
{
    struct heard h;
    struct stage s;

    begin_stage(&s, 1, answer_at_once, NULL);
    sim_hang(s.loops[0], 300 * SEC);
    open_channel(&s, NULL, NULL);
    neo_nsec begun = neo_mono_nsec();
    start(&s, &h, 100 * SEC);
    assert_int_equal(wait_for_end(&h, 100 * SEC), NEO_UNAVAILABLE);
    assert_in_range(h.at - begun, 20 * SEC, 21 * SEC);
    end_stage(&s);
}

/* --- silence ---------------------------------------------------------------------------------- */

TEST(a_peer_that_hangs_is_noticed_while_a_call_waits_for_it)
{
    struct heard h;
    struct stage s;

    begin_stage(&s, 1, never, NULL);
    open_channel(&s, NULL, NULL);
    start(&s, &h, 0);
    sim_run_for(SEC);
    sim_hang(s.loops[0], 200 * SEC); /* its kernel still acknowledges */
    neo_nsec begun = neo_mono_nsec();
    assert_int_equal(wait_for_end(&h, 60 * SEC), NEO_UNAVAILABLE);
    assert_in_range(h.at - begun, 25 * SEC, 35 * SEC); /* 20 s of silence, 10 s for the answer */
    assert_string_equal(h.message, "10.0.0.1:7000: the peer answered no PING");
    end_stage(&s);
}

TEST(a_black_hole_is_noticed_on_a_quiet_stream)
{
    const struct neo_channel_tuning tuning = {.keepalive = {.time = 5 * SEC, .timeout = 2 * SEC}};
    struct heard h;
    struct stage s;

    begin_stage(&s, 1, never, NULL);
    open_channel(&s, NULL, &tuning);
    start(&s, &h, 0);
    sim_run_for(100 * SEC); /* twenty PINGs and their answers */
    assert_false(h.done);
    assert_int_equal(s.servers[0].accepted, 1);
    sim_partition("servers", "client");
    neo_nsec begun = neo_mono_nsec();
    assert_int_equal(wait_for_end(&h, 60 * SEC), NEO_UNAVAILABLE);
    assert_in_range(h.at - begun, 2 * SEC, 8 * SEC);
    end_stage(&s);
}

TEST(without_keepalive_nobody_notices)
{
    const struct neo_channel_tuning tuning = {.keepalive = {.off = true}};
    struct heard h;
    struct stage s;

    begin_stage(&s, 1, never, NULL);
    open_channel(&s, NULL, &tuning);
    start(&s, &h, 0);
    sim_run_for(SEC);
    sim_partition("servers", "client");
    sim_run_for(600 * SEC);
    assert_false(h.done);
    end_stage(&s);
}

TEST(a_silent_peer_costs_one_call_and_the_next_goes_elsewhere)
{
    struct heard h;
    struct stage s;

    begin_stage(&s, 2, never, NULL);
    open_channel(&s, "{\"loadBalancingConfig\": [{\"pick_first\": {}}]}", NULL);
    start(&s, &h, 0);
    sim_run_for(SEC);
    assert_int_equal(s.servers[0].requests, 1);
    sim_hang(s.loops[0], 1000 * SEC);
    s.servers[1].answer = answer_at_once;
    assert_int_equal(wait_for_end(&h, 60 * SEC), NEO_UNAVAILABLE);
    assert_int_equal(call_once(&s, 30 * SEC), NEO_OK);
    assert_int_equal(s.servers[1].requests, 1);
    end_stage(&s);
}

/* --- goodbye ---------------------------------------------------------------------------------- */

TEST(a_goodbye_costs_no_call)
{
    struct heard early[20], late[20];
    struct stage s;

    begin_stage(&s, 1, answer_at_once, NULL);
    struct script *server = &s.servers[0];
    open_channel(&s, NULL, NULL);
    assert_int_equal(call_once(&s, SEC), NEO_OK);
    server->answer = never;
    for (size_t i = 0; i < NEO_COUNT(early); i++)
        start(&s, &early[i], 100 * SEC);
    sim_run_for(10 * MSEC);
    script_goaway(server, H2_NO_ERROR, "max_age");
    /* These cross it on the way: the server never looks at them. */
    for (size_t i = 0; i < NEO_COUNT(late); i++)
        start(&s, &late[i], 100 * SEC);
    server->answer = answer_at_once;
    for (size_t i = 0; i < NEO_COUNT(late); i++)
        assert_int_equal(wait_for_end(&late[i], 5 * SEC), NEO_OK);
    assert_int_equal(server->accepted, 2);
    assert_int_equal(script_connections(server), 2); /* the old one still serves the early ones */
    for (size_t i = 0; i < NEO_COUNT(early); i++)
        assert_false(early[i].done);
    script_cut(server);
    for (size_t i = 0; i < NEO_COUNT(early); i++)
        assert_int_equal(wait_for_end(&early[i], 5 * SEC), NEO_UNAVAILABLE);
    end_stage(&s);
}

TEST(a_call_outlives_the_goodbye_by_more_than_a_minute)
{
    struct heard h;
    struct stage s;

    begin_stage(&s, 1, never, NULL);
    open_channel(&s, NULL, NULL);
    start(&s, &h, 0);
    sim_run_for(SEC);
    script_goaway(&s.servers[0], H2_NO_ERROR, "max_age");
    sim_run_for(600 * SEC);
    assert_false(h.done);
    neo_client_call_cancel(h.call);
    assert_int_equal(wait_for_end(&h, SEC), NEO_CANCELLED);
    end_stage(&s);
}

TEST(an_idle_goodbye_makes_no_new_connection_until_a_call_wants_one)
{
    struct stage s;

    begin_stage(&s, 1, answer_at_once, NULL);
    open_channel(&s, NULL, NULL);
    assert_int_equal(call_once(&s, SEC), NEO_OK);
    script_goaway(&s.servers[0], H2_NO_ERROR, "max_idle");
    sim_run_for(60 * SEC);
    assert_int_equal(s.servers[0].accepted, 1);
    assert_int_equal(script_connections(&s.servers[0]), 0);
    assert_int_equal(call_once(&s, SEC), NEO_OK);
    assert_int_equal(s.servers[0].accepted, 2);
    end_stage(&s);
}

static void send_away(struct script_call *call, void *self)
{
    (void)self;
    script_refuse(call);
    script_goaway(call->script, H2_ENHANCE_YOUR_CALM, "too_many_connections");
}

TEST(a_server_that_sends_everybody_away_is_not_stormed)
{
    struct neo_call_options patient = {.timeout = 30 * SEC, .wait_for_ready = true};
    struct heard h = {.done = true};
    struct stage s;

    begin_stage(&s, 1, send_away, NULL);
    open_channel(&s, NULL, NULL);
    for (int i = 0; i < 300; i++) { /* somebody always wants something */
        if (h.done)
            start_with(&s, &h, &patient);
        sim_run_for(100 * MSEC);
    }
    assert_in_range(s.servers[0].accepted, 4, 12);
    end_stage(&s);
}

TEST(a_complaint_about_pings_doubles_the_time_between_them)
{
    const struct neo_channel_tuning tuning = {.keepalive = {.time = 10 * SEC, .timeout = 5 * SEC}};
    struct heard old, h;
    struct stage s;

    begin_stage(&s, 1, never, NULL);
    open_channel(&s, NULL, &tuning);
    start(&s, &old, 0);
    sim_run_for(2 * SEC);
    script_goaway(&s.servers[0], H2_ENHANCE_YOUR_CALM, "too_many_pings");
    sim_run_for(2 * SEC);
    start(&s, &h, 0);
    sim_run_for(SEC);
    sim_hang(s.loops[0], 500 * SEC);
    neo_nsec begun = neo_mono_nsec();
    assert_int_equal(wait_for_end(&h, 100 * SEC), NEO_UNAVAILABLE);
    assert_in_range(h.at - begun, 20 * SEC, 26 * SEC);
    end_stage(&s);
}

/* --- rest ------------------------------------------------------------------------------------- */

TEST(a_channel_without_calls_rests_and_wakes)
{
    struct stage s;

    begin_stage(&s, 2, answer_at_once, NULL);
    open_channel(&s, NULL, NULL);
    assert_int_equal(call_once(&s, SEC), NEO_OK);
    assert_int_equal(call_once(&s, SEC), NEO_OK);
    sim_run_for(29 * MIN);
    assert_int_equal(script_connections(&s.servers[0]) + script_connections(&s.servers[1]), 2);
    sim_run_for(2 * MIN);
    assert_int_equal(script_connections(&s.servers[0]) + script_connections(&s.servers[1]), 0);
    assert_string_equal(state_of(&s, "10.0.0.1:7000"), "idle");
    assert_int_equal(call_once(&s, SEC), NEO_OK);
    end_stage(&s);
}

TEST(a_call_keeps_a_channel_awake)
{
    struct heard h;
    struct stage s;

    begin_stage(&s, 1, never, NULL);
    open_channel(&s, NULL, NULL);
    start(&s, &h, 0);
    sim_run_for(120 * MIN);
    assert_false(h.done);
    assert_int_equal(s.servers[0].accepted, 1);
    end_stage(&s);
}

/* --- how many at a time ----------------------------------------------------------------------- */

static void answer_in_a_second(struct script_call *call, void *self)
{
    (void)self;
    script_reply_after(call, SEC);
}

TEST(calls_beyond_the_servers_limit_wait_their_turn)
{
    struct heard h[15];
    struct stage s;

    begin_stage(&s, 1, answer_in_a_second, NULL);
    script_stop(&s.servers[0]);
    s.servers[0].limits.max_streams = 1;
    sim_host("10.0.0.1");
    script_start(&s.servers[0], s.loops[0], "10.0.0.1:7000", s.server, s.trust);
    open_channel(&s, NULL, NULL);
    for (size_t i = 0; i < NEO_COUNT(h); i++)
        start(&s, &h[i], i == 14 ? 5 * SEC : 60 * SEC);
    for (size_t i = 0; i < 14; i++)
        assert_int_equal(wait_for_end(&h[i], 60 * SEC), NEO_OK);
    /* The last one's deadline passed in the line. */
    assert_int_equal(wait_for_end(&h[14], SEC), NEO_DEADLINE_EXCEEDED);
    assert_int_equal(s.servers[0].requests, 14);
    assert_int_equal(s.servers[0].most_open, 1);
    end_stage(&s);
}

TEST(who_waits_for_room_survives_a_goodbye)
{
    struct heard h[8];
    struct stage s;

    begin_stage(&s, 1, answer_in_a_second, NULL);
    script_stop(&s.servers[0]);
    s.servers[0].limits.max_streams = 2;
    sim_host("10.0.0.1");
    script_start(&s.servers[0], s.loops[0], "10.0.0.1:7000", s.server, s.trust);
    open_channel(&s, NULL, NULL);
    for (size_t i = 0; i < NEO_COUNT(h); i++)
        start(&s, &h[i], 60 * SEC);
    sim_run_for(1500 * MSEC); /* two were answered, two run, four wait */
    script_goaway(&s.servers[0], H2_NO_ERROR, "max_age");
    for (size_t i = 0; i < NEO_COUNT(h); i++)
        assert_int_equal(wait_for_end(&h[i], 60 * SEC), NEO_OK);
    end_stage(&s);
}

/* --- addresses -------------------------------------------------------------------------------- */

TEST(a_name_is_looked_up_again_when_its_addresses_fail)
{
    struct stage s;

    begin_stage(&s, 2, answer_at_once, NULL);
    sim_name("echo.test", "10.0.0.1");
    open_target(&s, "dns:///echo.test:7000", NULL, NULL);
    assert_int_equal(call_once(&s, SEC), NEO_OK);
    sim_name("echo.test", "10.0.0.2");
    script_stop(&s.servers[0]);
    sim_run_for(SEC);
    /* Not before half a minute after the last look-up. */
    assert_int_equal(call_once(&s, SEC), NEO_UNAVAILABLE);
    sim_run_for(35 * SEC);
    assert_int_equal(call_once(&s, SEC), NEO_OK);
    assert_int_equal(s.servers[1].requests, 1);
    sim_host("10.0.0.1");
    script_start(&s.servers[0], s.loops[0], "10.0.0.1:7000", s.server, s.trust);
    end_stage(&s);
}

TEST(a_name_that_is_unknown_fails_calls_and_is_tried_again)
{
    struct heard h;
    struct stage s;

    begin_stage(&s, 1, answer_at_once, NULL);
    sim_name("echo.test", NULL);
    open_target(&s, "dns:///echo.test:7000", NULL, NULL);
    start(&s, &h, 60 * SEC);
    assert_int_equal(wait_for_end(&h, 2 * SEC), NEO_UNAVAILABLE);
    assert_string_equal(h.reason, "NO_ENDPOINT");
    assert_non_null(strstr(h.message, "echo.test"));
    sim_name("echo.test", "10.0.0.1");
    start_with(&s, &h, &(struct neo_call_options){.timeout = MIN, .wait_for_ready = true});
    assert_int_equal(wait_for_end(&h, MIN), NEO_OK);
    end_stage(&s);
}

TEST(pick_first_takes_the_first_that_answers_and_closes_the_others)
{
    struct neo_channel_tuning tuning = {.idle_timeout = 24 * 60 * MIN};
    struct heard h;
    struct stage s;

    begin_stage(&s, 3, answer_at_once, NULL);
    sim_hang(s.loops[0], 1000 * SEC); /* accepts in the kernel, and says nothing */
    open_channel(&s, "{\"loadBalancingConfig\": [{\"pick_first\": {}}]}", &tuning);
    neo_nsec begun = neo_mono_nsec();
    start(&s, &h, 60 * SEC);
    assert_int_equal(wait_for_end(&h, 60 * SEC), NEO_OK);
    assert_in_range(h.at - begun, 250 * MSEC, 300 * MSEC);
    assert_int_equal(s.servers[1].requests, 1);
    for (int i = 0; i < 20; i++)
        assert_int_equal(call_once(&s, SEC), NEO_OK);
    assert_int_equal(s.servers[1].requests, 21);
    assert_int_equal(s.servers[2].accepted, 0);
    assert_string_equal(state_of(&s, "10.0.0.1:7000"), "idle");
    end_stage(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_there_fails_at_once_and_who_waits_is_served_later),
        cmocka_unit_test(who_waits_for_a_connection_ends_at_the_deadline),
        cmocka_unit_test(backs_off_for_nine_minutes_as_grpc_does),
        cmocka_unit_test(a_backoff_of_ones_own_is_kept_and_begins_anew_after_success),
        cmocka_unit_test(
            a_server_that_says_nothing_during_the_handshake_is_given_up_after_twenty_seconds),
        cmocka_unit_test(a_peer_that_hangs_is_noticed_while_a_call_waits_for_it),
        cmocka_unit_test(a_black_hole_is_noticed_on_a_quiet_stream),
        cmocka_unit_test(without_keepalive_nobody_notices),
        cmocka_unit_test(a_silent_peer_costs_one_call_and_the_next_goes_elsewhere),
        cmocka_unit_test(a_goodbye_costs_no_call),
        cmocka_unit_test(a_call_outlives_the_goodbye_by_more_than_a_minute),
        cmocka_unit_test(an_idle_goodbye_makes_no_new_connection_until_a_call_wants_one),
        cmocka_unit_test(a_server_that_sends_everybody_away_is_not_stormed),
        cmocka_unit_test(a_complaint_about_pings_doubles_the_time_between_them),
        cmocka_unit_test(a_channel_without_calls_rests_and_wakes),
        cmocka_unit_test(a_call_keeps_a_channel_awake),
        cmocka_unit_test(calls_beyond_the_servers_limit_wait_their_turn),
        cmocka_unit_test(who_waits_for_room_survives_a_goodbye),
        cmocka_unit_test(a_name_is_looked_up_again_when_its_addresses_fail),
        cmocka_unit_test(a_name_that_is_unknown_fails_calls_and_is_tried_again),
        cmocka_unit_test(pick_first_takes_the_first_that_answers_and_closes_the_others),
    };
    return cmocka_run_group_tests_name("scenario/channel_life", tests, NULL, NULL);
}
