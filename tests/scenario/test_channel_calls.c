/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a channel makes of failures: retries, hedges, health and outliers, on scripted servers.
 */
#include "stage.h"

#include <neo/encoding.h>

#define RETRY(rest)                                                                                \
    "{\"methodConfig\": [{\"name\": [{}], \"retryPolicy\": {\"maxAttempts\": 4, "                  \
    "\"initialBackoff\": \"1s\", \"maxBackoff\": \"10s\", \"backoffMultiplier\": 2, "              \
    "\"retryableStatusCodes\": [\"UNAVAILABLE\"]}}]" rest "}"

#define HEDGE(attempts, delay)                                                                     \
    "{\"methodConfig\": [{\"name\": [{}], \"hedgingPolicy\": {\"maxAttempts\": " attempts          \
    ", \"hedgingDelay\": \"" delay "\", \"nonFatalStatusCodes\": [\"UNAVAILABLE\"]}}]}"

/* What the server does with request number i; the last row goes on. */
struct act {
    enum neo_code code;
    const char *pushback; /* NULL: none */
    bool silent;          /* no answer */
    bool refuse;          /* RST_STREAM */
    bool headers;         /* headers and a message before the status */
    neo_nsec after;       /* OK, later */
};

struct play {
    const struct act *acts;
    size_t n;
    neo_nsec at[16]; /* when each request came */
    int previous[16];
    unsigned n_seen;
};

static void act(struct script_call *call, void *self)
{
    struct play *p = self;
    size_t i = p->n_seen < p->n ? p->n_seen : p->n - 1;
    const struct act *a = &p->acts[i];

    if (p->n_seen < NEO_COUNT(p->at)) {
        p->at[p->n_seen] = neo_loop_now(call->script->loop);
        p->previous[p->n_seen] = call->previous;
    }
    p->n_seen++;
    if (a->silent)
        return;
    if (a->refuse) {
        script_refuse(call);
        return;
    }
    if (a->after != 0) {
        script_reply_after(call, a->after);
        return;
    }
    if (a->headers || a->code == NEO_OK) {
        script_send(call, (struct neo_bytes){0});
        if (!call->sent)
            return;
    }
    script_finish(call, a->code, a->pushback == NULL ? NULL : "grpc-retry-pushback-ms",
                  a->pushback);
}

/* The code of one call against a server that plays `acts`. */
#define PLAY(the_stage, the_play, config, ...)                                                     \
    static const struct act acts[] = {__VA_ARGS__};                                                \
    struct play the_play = {.acts = acts, .n = NEO_COUNT(acts)};                                   \
    struct stage the_stage;                                                                        \
    struct heard h;                                                                                \
    begin_stage(&the_stage, 1, act, &the_play);                                                    \
    open_channel(&the_stage, config, NULL);                                                        \
    start(&the_stage, &h, 100 * SEC);                                                              \
    (void)wait_for_end(&h, 101 * SEC)

/* --- retries: what must not be tried again ---------------------------------------------------- */

TEST(a_code_that_is_not_named_is_not_retried)
{
    PLAY(s, p, RETRY(""), {.code = NEO_INTERNAL}, {.code = NEO_OK});
    assert_int_equal(h.code, NEO_INTERNAL);
    assert_int_equal(p.n_seen, 1);
    end_stage(&s);
}

TEST(once_headers_came_nothing_is_retried)
{
    PLAY(s, p, RETRY(""), {.code = NEO_UNAVAILABLE, .headers = true}, {.code = NEO_OK});
    assert_int_equal(h.code, NEO_UNAVAILABLE);
    assert_int_equal(p.n_seen, 1);
    end_stage(&s);
}

TEST(a_negative_pushback_forbids_a_retry)
{
    PLAY(s, p, RETRY(""), {.code = NEO_UNAVAILABLE, .pushback = "-1"}, {.code = NEO_OK});
    assert_int_equal(h.code, NEO_UNAVAILABLE);
    assert_int_equal(p.n_seen, 1);
    end_stage(&s);
}

TEST(a_pushback_that_is_no_number_forbids_a_retry)
{
    PLAY(s, p, RETRY(""), {.code = NEO_UNAVAILABLE, .pushback = "soon"}, {.code = NEO_OK});
    assert_int_equal(h.code, NEO_UNAVAILABLE);
    assert_int_equal(p.n_seen, 1);
    end_stage(&s);
}

TEST(a_pushback_beyond_the_deadline_ends_the_call_at_once)
{
    PLAY(s, p, RETRY(""), {.code = NEO_UNAVAILABLE, .pushback = "200000"}, {.code = NEO_OK});
    assert_int_equal(h.code, NEO_UNAVAILABLE);
    assert_true(h.at < p.at[0] + SEC);
    end_stage(&s);
}

TEST(what_may_run_twice_is_not_assumed_by_default)
{
    PLAY(s, p, NULL, {.code = NEO_UNAVAILABLE}, {.code = NEO_OK});
    assert_int_equal(h.code, NEO_UNAVAILABLE);
    assert_int_equal(p.n_seen, 1);
    end_stage(&s);
}

TEST(attempts_end_with_their_number)
{
    PLAY(s, p, RETRY(""), {.code = NEO_UNAVAILABLE});
    assert_int_equal(h.code, NEO_UNAVAILABLE);
    assert_int_equal(p.n_seen, 4);
    end_stage(&s);
}

TEST(a_throttle_that_is_half_empty_stops_retries)
{
    PLAY(s, p, RETRY(", \"retryThrottling\": {\"maxTokens\": 4, \"tokenRatio\": 0.1}"),
         {.code = NEO_UNAVAILABLE});
    assert_int_equal(h.code, NEO_UNAVAILABLE);
    assert_int_equal(p.n_seen, 2); /* 4 - 1 = 3 > 2; 3 - 1 = 2 */
    end_stage(&s);
}

TEST(a_request_larger_than_the_buffer_is_sent_once)
{
    static const struct act acts[] = {{.code = NEO_UNAVAILABLE}, {.code = NEO_OK}};
    const struct neo_channel_tuning tuning = {.retry_buffer = 1000};
    struct play p = {.acts = acts, .n = NEO_COUNT(acts)};
    static uint8_t large[2000];
    struct neo_test_v1_Words request = {.text = {large, sizeof(large)}};
    struct neo_error err;
    struct heard h;
    struct stage s;

    begin_stage(&s, 1, act, &p);
    open_channel(&s, RETRY(""), &tuning);
    h = (struct heard){.loop = s.loop};
    assert_int_equal(
        neo_test_v1_Speech_Do_start(s.channel, NULL, &request, &call_events, &h, &h.call, &err),
        NEO_OK);
    assert_int_equal(wait_for_end(&h, 10 * SEC), NEO_UNAVAILABLE);
    assert_int_equal(p.n_seen, 1);
    end_stage(&s);
}

/* --- retries: what is tried again ------------------------------------------------------------- */

TEST(retries_wait_longer_each_time_and_say_which_they_are)
{
    PLAY(s, p, RETRY(""), {.code = NEO_UNAVAILABLE}, {.code = NEO_UNAVAILABLE},
         {.code = NEO_UNAVAILABLE}, {.code = NEO_OK});
    assert_int_equal(h.code, NEO_OK);
    assert_int_equal(p.n_seen, 4);
    for (unsigned i = 0; i < 3; i++)
        assert_in_range(p.at[i + 1] - p.at[i], (SEC << i) * 8 / 10,
                        (SEC << i) * 12 / 10 + 2 * MSEC);
    assert_int_equal(p.previous[0], -1);
    assert_int_equal(p.previous[1], 1);
    assert_int_equal(p.previous[3], 3);
    end_stage(&s);
}

TEST(a_pushback_is_kept_to_the_millisecond_and_the_series_begins_anew)
{
    PLAY(s, p, RETRY(""), {.code = NEO_UNAVAILABLE}, {.code = NEO_UNAVAILABLE, .pushback = "7000"},
         {.code = NEO_UNAVAILABLE}, {.code = NEO_OK});
    assert_int_equal(h.code, NEO_OK);
    assert_in_range(p.at[2] - p.at[1], 7 * SEC, 7 * SEC + 2 * MSEC);
    assert_in_range(p.at[3] - p.at[2], 800 * MSEC, 1202 * MSEC);
    end_stage(&s);
}

TEST(a_refused_stream_is_tried_again_at_once_and_only_once)
{
    PLAY(s, p, RETRY(""), {.refuse = true}, {.refuse = true}, {.code = NEO_OK});
    assert_int_equal(h.code, NEO_OK);
    assert_true(p.at[1] - p.at[0] < 5 * MSEC);
    assert_true(p.at[2] - p.at[1] >= 800 * MSEC); /* that one was a retry */
    assert_int_equal(p.previous[1], -1);          /* and this one not */
    assert_int_equal(p.previous[2], 1);
    end_stage(&s);
}

/* The socket is full of what a peer that hangs does not take; behind it wait requests. */
TEST(what_never_left_is_begun_anew_elsewhere)
{
    static uint8_t large[400000];
    struct neo_test_v1_Words flood = {.text = {large, sizeof(large)}};
    struct neo_channel_tuning tuning = {.keepalive = {.time = 5 * SEC, .timeout = 5 * SEC}};
    struct heard first, stuck[20];
    struct neo_error err;
    struct stage s;

    begin_stage(&s, 1, answer_at_once, NULL);
    script_stop(&s.servers[0]);
    s.servers[0].limits.stream_window = 1 << 20;
    sim_host("10.0.0.1");
    script_start(&s.servers[0], s.loops[0], "10.0.0.1:7000", s.server, s.trust);
    open_channel(&s, NULL, &tuning);
    assert_int_equal(call_once(&s, SEC), NEO_OK);
    sim_hang(s.loops[0], 8 * SEC); /* its kernel takes 128 KiB and then no more */
    first = (struct heard){.loop = s.loop};
    assert_int_equal(neo_test_v1_Speech_Do_start(s.channel, NULL, &flood, &call_events, &first,
                                                 &first.call, &err),
                     NEO_OK);
    sim_run_for(10 * MSEC);
    for (size_t i = 0; i < NEO_COUNT(stuck); i++)
        start(&s, &stuck[i], 60 * SEC);
    /* The connection is given up; on the next one they are answered, although Do is not to be run
       twice. */
    assert_int_equal(wait_for_end(&first, 30 * SEC), NEO_UNAVAILABLE);
    for (size_t i = 0; i < NEO_COUNT(stuck); i++)
        assert_int_equal(wait_for_end(&stuck[i], 30 * SEC), NEO_OK);
    end_stage(&s);
}

/* --- hedging ---------------------------------------------------------------------------------- */

TEST(a_fatal_code_ends_all_hedges)
{
    PLAY(s, p, HEDGE("4", "1s"), {.silent = true}, {.code = NEO_INTERNAL}, {.code = NEO_OK});
    assert_int_equal(h.code, NEO_INTERNAL);
    sim_run_for(5 * SEC);
    assert_int_equal(p.n_seen, 2);
    assert_int_equal(s.servers[0].open, 0); /* the first one was cancelled */
    end_stage(&s);
}

TEST(a_negative_pushback_stops_further_hedges_but_not_those_that_run)
{
    PLAY(s, p, HEDGE("4", "1s"), {.after = 5 * SEC}, {.code = NEO_UNAVAILABLE, .pushback = "-1"},
         {.code = NEO_INTERNAL});
    assert_int_equal(h.code, NEO_OK);
    assert_int_equal(p.n_seen, 2);
    end_stage(&s);
}

TEST(the_last_hedge_to_fail_gives_the_status)
{
    PLAY(s, p, HEDGE("3", "10s"), {.code = NEO_UNAVAILABLE});
    assert_int_equal(h.code, NEO_UNAVAILABLE);
    assert_int_equal(p.n_seen, 3);
    assert_true(p.at[2] - p.at[0] < 10 * MSEC); /* each failure brings the next one forward */
    end_stage(&s);
}

TEST(a_throttle_that_is_half_empty_stops_hedges)
{
    PLAY(s, p,
         "{\"retryThrottling\": {\"maxTokens\": 2, \"tokenRatio\": 0.1}, \"methodConfig\": "
         "[{\"name\": [{}], \"hedgingPolicy\": {\"maxAttempts\": 5, \"hedgingDelay\": \"1s\", "
         "\"nonFatalStatusCodes\": [\"UNAVAILABLE\"]}}]}",
         {.after = 4500 * MSEC}, {.code = NEO_UNAVAILABLE}, {.code = NEO_INTERNAL});
    assert_int_equal(h.code, NEO_OK);
    assert_int_equal(p.n_seen, 2);
    end_stage(&s);
}

TEST(a_slow_answer_is_overtaken_by_a_hedge)
{
    PLAY(s, p, HEDGE("3", "0.5s"), {.silent = true}, {.after = 100 * MSEC}, {.code = NEO_INTERNAL});
    assert_int_equal(h.code, NEO_OK);
    assert_int_equal(h.messages, 1);
    assert_int_equal(p.n_seen, 2);
    assert_in_range(p.at[1] - p.at[0], 500 * MSEC, 502 * MSEC);
    assert_int_equal(p.previous[0], -1);
    assert_int_equal(p.previous[1], 1);
    sim_run_for(SEC);
    assert_int_equal(s.servers[0].open, 0);
    end_stage(&s);
}

TEST(without_a_delay_all_hedges_go_at_once)
{
    PLAY(s, p, HEDGE("3", "0s"), {.silent = true}, {.silent = true}, {.after = 100 * MSEC});
    assert_int_equal(h.code, NEO_OK);
    assert_int_equal(p.n_seen, 3);
    assert_true(p.at[2] - p.at[0] < 5 * MSEC);
    end_stage(&s);
}

TEST(hedges_end_with_their_call)
{
    static const struct act acts[] = {{.silent = true}};
    struct play p = {.acts = acts, .n = 1};
    struct stage s;

    begin_stage(&s, 1, act, &p);
    open_channel(&s, HEDGE("5", "0.1s"), NULL);
    assert_int_equal(call_once(&s, 5 * SEC), NEO_DEADLINE_EXCEEDED);
    assert_int_equal(p.n_seen, 5);
    sim_run_for(SEC);
    assert_int_equal(s.servers[0].open, 0);
    end_stage(&s);
}

TEST(hedges_of_a_stream_send_all_that_was_said)
{
    static const struct act acts[] = {{.silent = true}, {.code = NEO_OK}};
    struct play p = {.acts = acts, .n = NEO_COUNT(acts)};
    struct neo_test_v1_Words word = {.count = 7};
    struct neo_error err;
    struct heard h;
    struct stage s;

    begin_stage(&s, 1, act, &p);
    open_channel(&s, HEDGE("2", "1s"), NULL);
    h = (struct heard){.loop = s.loop};
    assert_int_equal(
        neo_test_v1_Speech_Count_start(s.channel, NULL, &call_events, &h, &h.call, &err), NEO_OK);
    assert_int_equal(neo_client_call_send(h.call, &word), NEO_FLOW_MORE);
    sim_run_for(1500 * MSEC); /* both run */
    assert_int_equal(neo_client_call_send(h.call, &word), NEO_FLOW_MORE);
    neo_client_call_close_send(h.call);
    assert_int_equal(wait_for_end(&h, SEC), NEO_OK);
    assert_int_equal(p.n_seen, 2); /* both heard the end */
    end_stage(&s);
}

/* --- health ----------------------------------------------------------------------------------- */

#define HEALTH "{\"healthCheckConfig\": {\"serviceName\": \"echo\"}}"

struct clinic {
    struct script_call *watch; /* the latest */
    unsigned watches;
    bool knows; /* the health service */
};

static void serve_health(struct script_call *call, void *self)
{
    struct clinic *c = self;

    if (strcmp(call->path, "/grpc.health.v1.Health/Watch") != 0) {
        script_reply(call, (struct neo_bytes){0});
        return;
    }
    c->watches++;
    c->watch = call;
    if (!c->knows)
        script_finish(call, NEO_UNIMPLEMENTED, NULL, NULL);
}

TEST(an_instance_that_does_not_serve_gets_no_calls)
{
    struct clinic c = {.knows = true};
    struct heard h;
    struct stage s;

    begin_stage(&s, 1, serve_health, &c);
    open_channel(&s, HEALTH, NULL);
    start(&s, &h, 60 * SEC);
    sim_run_for(5 * SEC);
    assert_false(h.done); /* nothing is known yet */
    assert_string_equal(state_of(&s, "10.0.0.1:7000"), "checking");
    assert_int_equal(s.servers[0].requests, 1);
    script_send(c.watch, NEO_LIT("\x08\x02"));
    assert_int_equal(wait_for_end(&h, SEC), NEO_UNAVAILABLE);
    assert_string_equal(h.message, "the instance says that 'echo' is not serving");
    assert_string_equal(state_of(&s, "10.0.0.1:7000"), "not serving");
    assert_int_equal(s.servers[0].requests, 1);
    end_stage(&s);
}

TEST(health_that_comes_and_goes_is_followed)
{
    struct neo_call_options patient = {.timeout = 60 * SEC, .wait_for_ready = true};
    struct clinic c = {.knows = true};
    struct heard h;
    struct stage s;

    begin_stage(&s, 1, serve_health, &c);
    open_channel(&s, HEALTH, NULL);
    start_with(&s, &h, &patient);
    sim_run_for(SEC);
    script_send(c.watch, NEO_LIT("\x08\x01"));
    assert_int_equal(wait_for_end(&h, SEC), NEO_OK);
    (void)h2_send(conn_h2(c.watch->conn), c.watch->stream, NEO_LIT("\0\0\0\0\2\x08\x02"));
    conn_kick(c.watch->conn);
    sim_run_for(SEC);
    assert_int_equal(call_once(&s, SEC), NEO_UNAVAILABLE);
    start_with(&s, &h, &patient);
    sim_run_for(SEC);
    (void)h2_send(conn_h2(c.watch->conn), c.watch->stream, NEO_LIT("\0\0\0\0\2\x08\x01"));
    conn_kick(c.watch->conn);
    assert_int_equal(wait_for_end(&h, SEC), NEO_OK);
    assert_int_equal(c.watches, 1);
    end_stage(&s);
}

TEST(a_server_without_health_is_taken_to_be_well)
{
    struct clinic c = {.knows = false};
    struct stage s;

    begin_stage(&s, 1, serve_health, &c);
    open_channel(&s, HEALTH, NULL);
    assert_int_equal(call_once(&s, SEC), NEO_OK);
    assert_int_equal(c.watches, 1);
    end_stage(&s);
}

TEST(a_watch_that_breaks_off_is_begun_anew)
{
    struct clinic c = {.knows = true};
    struct stage s;

    begin_stage(&s, 1, serve_health, &c);
    open_channel(&s, HEALTH, NULL);
    assert_int_equal(call_once(&s, SEC), NEO_DEADLINE_EXCEEDED);
    script_finish(c.watch, NEO_INTERNAL, NULL, NULL);
    sim_run_for(100 * MSEC);
    assert_int_equal(call_once(&s, SEC), NEO_UNAVAILABLE);
    sim_run_for(1500 * MSEC);
    assert_int_equal(c.watches, 2);
    script_send(c.watch, NEO_LIT("\x08\x01"));
    sim_run_for(100 * MSEC);
    assert_int_equal(call_once(&s, SEC), NEO_OK);
    end_stage(&s);
}

TEST(pick_first_asks_for_no_health)
{
    struct clinic c = {.knows = true};
    struct stage s;

    begin_stage(&s, 1, serve_health, &c);
    open_channel(&s,
                 "{\"loadBalancingConfig\": [{\"pick_first\": {}}], "
                 "\"healthCheckConfig\": {\"serviceName\": \"\"}}",
                 NULL);
    assert_int_equal(call_once(&s, SEC), NEO_OK);
    assert_int_equal(c.watches, 0);
    end_stage(&s);
}

/* --- outliers --------------------------------------------------------------------------------- */

static void answer_or_fail(struct script_call *call, void *self)
{
    const bool *broken = self;

    /* By the machine: only the first is broken. */
    if (*broken && strncmp(call->script->address, "10.0.0.1:", 9) == 0)
        script_finish(call, NEO_UNKNOWN, NULL, NULL);
    else
        script_reply(call, (struct neo_bytes){0});
}

TEST(an_instance_that_fails_more_than_the_others_gets_a_rest)
{
    bool broken = true;
    struct stage s;

    begin_stage(&s, 5, answer_or_fail, &broken);
    open_channel(&s,
                 "{\"loadBalancingConfig\": [{\"outlier_detection_experimental\": {"
                 "\"interval\": \"10s\", \"baseEjectionTime\": \"30s\", \"maxEjectionPercent\": 50,"
                 "\"failurePercentageEjection\": {\"threshold\": 50, \"requestVolume\": 5},"
                 "\"childPolicy\": [{\"round_robin\": {}}]}}]}",
                 NULL);
    for (int i = 0; i < 100; i++)
        (void)call_once(&s, SEC);
    unsigned before = s.servers[0].requests;
    assert_in_range(before, 15, 25);
    sim_run_for(10 * SEC);
    assert_string_equal(state_of(&s, "10.0.0.1:7000"), "ejected");
    for (int i = 0; i < 100; i++)
        assert_int_equal(call_once(&s, SEC), NEO_OK);
    assert_int_equal(s.servers[0].requests, before);
    broken = false;
    sim_run_for(41 * SEC);
    assert_string_equal(state_of(&s, "10.0.0.1:7000"), "ready");
    for (int i = 0; i < 100; i++)
        assert_int_equal(call_once(&s, SEC), NEO_OK);
    assert_in_range(s.servers[0].requests - before, 15, 25);
    end_stage(&s);
}

/* --- loads ------------------------------------------------------------------------------------ */

/* Each tells how much it could serve: the first three times what the second can. */
static void answer_with_load(struct script_call *call, void *self)
{
    /* rps_fractional (6) 100 or 300; application_utilization (9) 0.5 */
    static const uint8_t strong[] = {0x31, 0, 0, 0, 0, 0, 0xc0, 0x72, 0x40,
                                     0x49, 0, 0, 0, 0, 0, 0,    0xe0, 0x3f};
    static const uint8_t weak[] = {0x31, 0, 0, 0, 0, 0, 0, 0x59, 0x40,
                                   0x49, 0, 0, 0, 0, 0, 0, 0xe0, 0x3f};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};
    bool first = strncmp(call->script->address, "10.0.0.1:", 9) == 0;

    (void)self;
    (void)neo_base64_encode(
        &text, first ? neo_bytes(strong, sizeof(strong)) : neo_bytes(weak, sizeof(weak)),
        NEO_BASE64_UNPADDED);
    (void)neo_buffer_append(&text, neo_bytes("", 1));
    script_send(call, (struct neo_bytes){0});
    script_finish(call, NEO_OK, "endpoint-load-metrics-bin", (const char *)text.at);
}

TEST(calls_follow_the_loads_that_are_reported)
{
    struct stage s;

    begin_stage(&s, 2, answer_with_load, NULL);
    open_channel(&s,
                 "{\"loadBalancingConfig\": [{\"weighted_round_robin\": "
                 "{\"blackoutPeriod\": \"1s\"}}]}",
                 NULL);
    for (int i = 0; i < 40; i++)
        assert_int_equal(call_once(&s, SEC), NEO_OK);
    assert_in_range(s.servers[0].requests, 18, 22); /* nothing is known: alike */
    sim_run_for(2 * SEC);
    unsigned first = s.servers[0].requests, second = s.servers[1].requests;
    for (int i = 0; i < 400; i++)
        assert_int_equal(call_once(&s, SEC), NEO_OK);
    assert_in_range(s.servers[0].requests - first, 295, 305);
    assert_in_range(s.servers[1].requests - second, 95, 105);
    end_stage(&s);
}

/* --- without memory --------------------------------------------------------------------------- */

TEST(whatever_fails_for_want_of_memory_ends_cleanly_and_the_next_call_works)
{
    static const struct act acts[] = {{.code = NEO_UNAVAILABLE}, {.code = NEO_OK}};
    static const char *const configs[] = {NULL, RETRY(""), HEDGE("3", "0s")};

    for (size_t c = 0; c < NEO_COUNT(configs); c++) {
        struct play p = {.acts = acts, .n = NEO_COUNT(acts)};
        struct neo_test_v1_Words request = {.count = 1};
        struct neo_call_options options = {.timeout = 20 * SEC};
        unsigned good = 0;
        struct heard h;
        struct stage s;

        begin_stage(&s, 1, act, &p);
        open_channel(&s, configs[c], NULL);
        for (unsigned long n = 1; n <= 120; n++) {
            struct neo_error err;
            p.n_seen = 1;
            for (int i = 0; call_once(&s, 10 * SEC) != NEO_OK; i++) {
                assert_true(i < 30); /* what broke is whole again after its backoff */
                sim_run_for(10 * SEC);
            }
            if (n % 10 == 0) { /* so that connecting fails, too */
                script_cut(&s.servers[0]);
                sim_run_for(MSEC);
            }
            h = (struct heard){.loop = s.loop};
            p.n_seen = n % 2; /* fails first, or not */
            neo_memory_fail_at(n);
            enum neo_code code = neo_test_v1_Speech_Do_start(s.channel, &options, &request,
                                                             &call_events, &h, &h.call, &err);
            if (code == NEO_OK)
                sim_run_for(n % 3 * MSEC);
            neo_memory_fail_at(0);
            if (code == NEO_OK)
                good += wait_for_end(&h, 25 * SEC) == NEO_OK;
        }
        assert_in_range(good, 1, 119);
        end_stage(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_code_that_is_not_named_is_not_retried),
        cmocka_unit_test(once_headers_came_nothing_is_retried),
        cmocka_unit_test(a_negative_pushback_forbids_a_retry),
        cmocka_unit_test(a_pushback_that_is_no_number_forbids_a_retry),
        cmocka_unit_test(a_pushback_beyond_the_deadline_ends_the_call_at_once),
        cmocka_unit_test(what_may_run_twice_is_not_assumed_by_default),
        cmocka_unit_test(attempts_end_with_their_number),
        cmocka_unit_test(a_throttle_that_is_half_empty_stops_retries),
        cmocka_unit_test(a_request_larger_than_the_buffer_is_sent_once),
        cmocka_unit_test(retries_wait_longer_each_time_and_say_which_they_are),
        cmocka_unit_test(a_pushback_is_kept_to_the_millisecond_and_the_series_begins_anew),
        cmocka_unit_test(a_refused_stream_is_tried_again_at_once_and_only_once),
        cmocka_unit_test(what_never_left_is_begun_anew_elsewhere),
        cmocka_unit_test(a_fatal_code_ends_all_hedges),
        cmocka_unit_test(a_negative_pushback_stops_further_hedges_but_not_those_that_run),
        cmocka_unit_test(the_last_hedge_to_fail_gives_the_status),
        cmocka_unit_test(a_throttle_that_is_half_empty_stops_hedges),
        cmocka_unit_test(a_slow_answer_is_overtaken_by_a_hedge),
        cmocka_unit_test(without_a_delay_all_hedges_go_at_once),
        cmocka_unit_test(hedges_end_with_their_call),
        cmocka_unit_test(hedges_of_a_stream_send_all_that_was_said),
        cmocka_unit_test(an_instance_that_does_not_serve_gets_no_calls),
        cmocka_unit_test(health_that_comes_and_goes_is_followed),
        cmocka_unit_test(a_server_without_health_is_taken_to_be_well),
        cmocka_unit_test(a_watch_that_breaks_off_is_begun_anew),
        cmocka_unit_test(pick_first_asks_for_no_health),
        cmocka_unit_test(an_instance_that_fails_more_than_the_others_gets_a_rest),
        cmocka_unit_test(calls_follow_the_loads_that_are_reported),
        cmocka_unit_test(whatever_fails_for_want_of_memory_ends_cleanly_and_the_next_call_works),
    };
    return cmocka_run_group_tests_name("scenario/channel_calls", tests, NULL, NULL);
}
