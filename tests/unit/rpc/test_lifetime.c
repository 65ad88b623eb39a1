/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What ends a connection by the passing of time, hours of it, in the simulated world; and how
 * long a call is said to have lasted.
 */
#include "fixture.h"

#define MINUTE (60 * SEC)
#define HOUR   (60 * MINUTE)

static struct rpc_client client;

static void ping(struct rpc_client *c)
{
    static const uint8_t opaque[8] = {'h', 'e', 'l', 'l', 'o'};

    h2_ping(conn_h2(c->conn), opaque);
    conn_kick(c->conn);
}

/* Pings every `interval` until it is told to stop, `most` times. Returns how many it sent. */
static unsigned ping_every(struct rpc_client *c, neo_nsec interval, unsigned most)
{
    for (unsigned i = 0; i < most; i++) {
        ping(c);
        run_for(interval);
        if (c->goaways > 0 || c->gone)
            return i + 1;
    }
    return most;
}

static void assert_too_many_pings(const struct rpc_client *c)
{
    assert_int_equal(c->goaway_error, H2_ENHANCE_YOUR_CALM);
    assert_string_equal(c->goaway_debug, "too_many_pings");
}

static size_t connections(void)
{
    return neo_server_stats(world.server).connections;
}

static void open_stream(struct rpc_call *call, struct rpc_client *c)
{
    start(call, c, "Subscribe", &hello);
    wait_for(call->n_messages == 1);
}

/* --- PINGs of callers -------------------------------------------------------------------- */

TEST(the_third_ping_that_comes_too_soon_ends_it)
{
    world.options.min_ping_interval = MINUTE;
    serve();
    connect_ready(&client, world.caller);
    /* One is never too soon. */
    assert_int_equal(ping_every(&client, 20 * SEC, 100), 4);
    assert_too_many_pings(&client);
    wait_for(client.gone);
}

/* All that was written to `fd`. */
static void read_log(int fd, char *ret, size_t room)
{
    ssize_t n = pread(fd, ret, room - 1, 0);

    assert_true(n >= 0);
    ret[n] = '\0';
}

/* Of an attack that the guard has stopped there is a line and a number, and a name. */
TEST(who_is_sent_away_by_the_guard_is_on_record_with_the_attack_and_its_name)
{
    struct neo_buffer text = {0};
    char path[] = "/tmp/neo-log-XXXXXX", log[16384];

    world.log.fd = mkstemp(path);
    assert_true(world.log.fd >= 0 && unlink(path) == 0);
    world.log.level = NEO_LOG_WARN;
    world.options.min_ping_interval = MINUTE;
    serve();
    connect_ready(&client, world.caller);
    assert_int_equal(ping_every(&client, 20 * SEC, 100), 4);
    wait_for(client.gone && connections() == 0);
    read_log(world.log.fd, log, sizeof(log));
    const char *line = strstr(log, "connection.ended");
    if (line == NULL || strstr(line, "it sent too many PING frames") == NULL ||
        strstr(line, "guard") == NULL || strstr(line, "spiffe://neo.test/caller-service") == NULL)
        fail_msg("%s", log);
    assert_true(neo_metrics_print(world.metrics, &text) && neo_buffer_append_byte(&text, '\0'));
    line = strstr((const char *)text.at, "\"guard\"");
    if (line == NULL)
        fail_msg("%s", (const char *)text.at);
    neo_buffer_fini(&text);
    disconnect(&client);
    (void)close(world.log.fd);
    world.log.fd = STDERR_FILENO;
    world.log.level = NEO_LOG_OFF;
}

TEST(idle_callers_may_not_ping_where_that_is_refused)
{
    world.options.refuse_idle_pings = true;
    world.options.max_connection_idle = NEO_FOREVER;
    world.options.max_connection_age = NEO_FOREVER;
    serve();
    connect_ready(&client, world.caller);
    assert_int_equal(ping_every(&client, 20 * MINUTE, 100), 4);
    assert_too_many_pings(&client);
}

TEST(a_call_permits_pings_where_idle_ones_are_refused)
{
    struct rpc_call call;

    world.options.refuse_idle_pings = true;
    world.options.max_connection_age = NEO_FOREVER;
    serve();
    connect_ready(&client, world.caller);
    open_stream(&call, &client);
    assert_int_equal(ping_every(&client, 10 * SEC, 500), 500);
    assert_false(call.closed);
    disconnect(&client);
    rpc_call_fini(&call);
}

TEST(patient_pings_are_answered_for_hours)
{
    world.options.min_ping_interval = MINUTE;
    world.options.max_connection_idle = NEO_FOREVER;
    world.options.max_connection_age = NEO_FOREVER;
    serve();
    connect_ready(&client, world.caller);
    assert_int_equal(ping_every(&client, MINUTE + SEC, 300), 300);
    assert_int_equal(call_once(&client, "Say", &hello), NEO_OK);
}

/* --- PINGs of ours ----------------------------------------------------------------------- */

TEST(a_caller_that_went_silent_is_gone_and_its_calls_are_cancelled)
{
    struct rpc_call call;

    world.options.keepalive_time = 10 * SEC;
    world.options.keepalive_timeout = 5 * SEC;
    serve();
    connect_ready(&client, world.caller);
    open_stream(&call, &client);
    sim_hang(world.loop, MINUTE);
    sim_run_for(14 * SEC);
    assert_int_equal(connections(), 1);
    assert_int_equal(heard_done, 0);
    sim_run_for(6 * SEC);
    assert_int_equal(connections(), 0);
    assert_int_equal(heard_done, 1);
    assert_int_equal(done_code, NEO_CANCELLED);
    wait_for(client.gone);
    rpc_call_fini(&call);
}

TEST(silence_is_noticed_while_a_connection_drains)
{
    struct rpc_call call;

    world.options.keepalive_time = 10 * SEC;
    world.options.keepalive_timeout = 5 * SEC;
    world.options.max_connection_age = MINUTE;
    serve();
    connect_ready(&client, world.caller);
    open_stream(&call, &client);
    wait_for(client.goaways == 2);
    run_for(2 * HOUR); /* no grace is set: it may go on */
    assert_false(call.closed);
    sim_hang(world.loop, MINUTE);
    sim_run_for(20 * SEC);
    assert_int_equal(connections(), 0);
    wait_for(client.gone);
    rpc_call_fini(&call);
}

TEST(a_caller_that_answers_our_pings_may_be_silent_for_days)
{
    struct rpc_call call;

    world.options.keepalive_time = 10 * SEC;
    world.options.keepalive_timeout = 5 * SEC;
    world.options.max_connection_age = NEO_FOREVER;
    serve();
    connect_ready(&client, world.caller);
    open_stream(&call, &client);
    run_for(20 * HOUR);
    assert_false(call.closed);
    assert_int_equal(call_once(&client, "Say", &hello), NEO_OK);
    disconnect(&client);
    rpc_call_fini(&call);
}

/* --- age and idleness -------------------------------------------------------------------- */

TEST(old_connections_leave_one_by_one_and_say_why)
{
    enum { MANY = 24 };
    static struct rpc_client clients[MANY];
    neo_nsec left_at[MANY];
    neo_nsec began = neo_mono_nsec();
    neo_nsec first = NEO_FOREVER;
    neo_nsec last = 0;
    struct rpc_call calls[MANY];

    world.options.max_connection_age = HOUR;
    serve();
    memset(clients, 0, sizeof(clients));
    memset(left_at, 0, sizeof(left_at));
    for (size_t i = 0; i < MANY; i++) {
        connect_ready(&clients[i], world.caller);
        open_stream(&calls[i], &clients[i]); /* so that none is idle */
    }
    for (size_t left = 0; left < MANY; run_for(SEC))
        for (size_t i = 0; i < MANY; i++)
            if (left_at[i] == 0 && clients[i].goaways > 0) {
                left_at[i] = neo_mono_nsec() - began;
                left++;
            }
    for (size_t i = 0; i < MANY; i++) {
        first = left_at[i] < first ? left_at[i] : first;
        last = left_at[i] > last ? left_at[i] : last;
        wait_for(clients[i].goaways == 2);
        assert_string_equal(clients[i].goaway_debug, "max_age");
        assert_int_equal(clients[i].goaway_error, H2_NO_ERROR);
    }
    assert_in_range(first, HOUR - 6 * MINUTE, HOUR);
    assert_in_range(last, HOUR, HOUR + 6 * MINUTE + 5 * SEC);
    assert_true(last - first > 3 * MINUTE);
    for (size_t i = 0; i < MANY; i++) {
        disconnect(&clients[i]);
        rpc_call_fini(&calls[i]);
    }
}

TEST(a_call_that_runs_when_its_connection_is_old_goes_on)
{
    const struct neo_test_v1_Echo slow = {.text = NEO_LIT("slow"), .count = 200 * 1000};
    struct rpc_call call;

    world.options.max_connection_age = MINUTE;
    serve();
    connect_ready(&client, world.caller);
    start(&call, &client, "Later", &slow);
    wait_for(call.closed);
    assert_int_equal(call.status.code, NEO_OK);
    assert_int_equal(client.goaways, 2);
    wait_for(client.gone); /* it was the last */
    rpc_call_fini(&call);
}

TEST(what_outlives_the_grace_of_age_ends_with_the_reason)
{
    struct rpc_call call;

    world.options.max_connection_age = MINUTE;
    world.options.max_connection_age_grace = 30 * SEC;
    serve();
    connect_ready(&client, world.caller);
    open_stream(&call, &client);
    neo_nsec began = neo_mono_nsec();
    wait_for(call.closed);
    assert_reason(&call, NEO_UNAVAILABLE, "DRAINING");
    assert_in_range(neo_mono_nsec() - began, 54 * SEC + 30 * SEC, 67 * SEC + 30 * SEC);
    rpc_call_fini(&call);
}

TEST(idle_connections_may_be_kept_for_ever)
{
    world.options.max_connection_idle = NEO_FOREVER;
    world.options.max_connection_age = NEO_FOREVER;
    serve();
    connect_ready(&client, world.caller);
    run_for(12 * HOUR);
    assert_int_equal(client.goaways, 0);
    assert_int_equal(call_once(&client, "Say", &hello), NEO_OK);
}

TEST(an_idle_connection_is_sent_away_after_its_time)
{
    world.options.max_connection_idle = 10 * SEC;
    serve();
    connect_ready(&client, world.caller);
    run_for(9 * SEC);
    assert_int_equal(client.goaways, 0);
    run_for(2 * SEC);
    assert_true(client.goaways > 0);
    wait_for(client.gone);
    assert_int_equal(client.why.code, NEO_OK);
}

/* --- how long calls last ------------------------------------------------------------------ */

/* Seconds that calls of this method took, by the metrics; they must have been counted. */
static double seconds_of(const char *method, unsigned calls)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};
    char sum[128], count[128];

    (void)snprintf(sum, sizeof(sum),
                   "neo_rpc_server_duration_seconds_sum{method=\"neo.test.v1.Echoes/%s\"} ",
                   method);
    (void)snprintf(count, sizeof(count),
                   "neo_rpc_server_duration_seconds_count{method=\"neo.test.v1.Echoes/%s\"} %u\n",
                   method, calls);
    assert_true(neo_metrics_print(world.metrics, &text));
    assert_true(neo_buffer_append_byte(&text, '\0'));
    const char *at = strstr((const char *)text.at, sum);
    assert_non_null(at);
    assert_non_null(strstr((const char *)text.at, count));
    return strtod(at + strlen(sum), NULL);
}

/* Whoever answers it, and however quiet it is then: not until the connection's next event. */
TEST(a_call_lasts_until_its_answer_is_handed_on)
{
    const struct neo_test_v1_Echo slow = {.text = NEO_LIT("x"), .count = 200};
    struct h2_header timeout = {NEO_LIT("grpc-timeout"), NEO_LIT("300m")};
    struct rpc_call call;

    serve();
    connect_ready(&client, world.caller);
    assert_int_equal(call_once(&client, "Say", &hello), NEO_OK);
    run_for(5 * SEC);
    assert_int_equal(call_once(&client, "Later", &slow), NEO_OK);
    run_for(5 * SEC);
    assert_int_equal(call_once(&client, "Block", &hello), NEO_OK);
    run_for(5 * SEC);
    start_with(&call, &client, "Never", &hello, true, &timeout, 1);
    wait_for(call.closed);
    run_for(5 * SEC);
    assert_true(seconds_of("Say", 1) < 0.1);
    assert_true(seconds_of("Later", 1) >= 0.2 && seconds_of("Later", 1) < 0.3);
    assert_true(seconds_of("Block", 1) < 0.1);
    assert_true(seconds_of("Never", 1) >= 0.3 && seconds_of("Never", 1) < 0.4);
    rpc_call_fini(&call);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PROMISE(the_third_ping_that_comes_too_soon_ends_it),
        PROMISE(who_is_sent_away_by_the_guard_is_on_record_with_the_attack_and_its_name),
        PROMISE(idle_callers_may_not_ping_where_that_is_refused),
        PROMISE(a_call_permits_pings_where_idle_ones_are_refused),
        PROMISE(patient_pings_are_answered_for_hours),
        PROMISE(a_caller_that_went_silent_is_gone_and_its_calls_are_cancelled),
        PROMISE(silence_is_noticed_while_a_connection_drains),
        PROMISE(a_caller_that_answers_our_pings_may_be_silent_for_days),
        PROMISE(old_connections_leave_one_by_one_and_say_why),
        PROMISE(a_call_that_runs_when_its_connection_is_old_goes_on),
        PROMISE(what_outlives_the_grace_of_age_ends_with_the_reason),
        PROMISE(idle_connections_may_be_kept_for_ever),
        PROMISE(an_idle_connection_is_sent_away_after_its_time),
        PROMISE(a_call_lasts_until_its_answer_is_handed_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
