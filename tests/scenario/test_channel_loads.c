/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weighted_round_robin with load reports out of band, on scripted servers.
 */
#include "stage.h"

#define OUT_OF_BAND                                                                                \
    "{\"loadBalancingConfig\": [{\"weighted_round_robin\": {\"blackoutPeriod\": \"1s\", "          \
    "\"enableOobLoadReport\": true, \"oobReportingPeriod\": \"2.5s\"}}]}"

/* rps_fractional (6) 100 or 300; application_utilization (9) 0.5 */
#define STRONG "\x31\0\0\0\0\0\xc0\x72\x40\x49\0\0\0\0\0\0\xe0\x3f"
#define WEAK   "\x31\0\0\0\0\0\0\x59\x40\x49\0\0\0\0\0\0\xe0\x3f"

/* What the servers say of their loads. */
struct office {
    bool knows; /* out of band */
    unsigned asked;
    struct script_call *stream[2]; /* the latest of each server */
};

static size_t which(const struct script_call *call)
{
    return strncmp(call->script->address, "10.0.0.1:", 9) == 0 ? 0 : 1;
}

static void answer(struct script_call *call, void *self)
{
    struct office *o = self;
    size_t i = which(call);

    if (strcmp(call->path, "/xds.service.orca.v3.OpenRcaService/StreamCoreMetrics") == 0) {
        /* OrcaLoadReportRequest {report_interval {seconds: 2, nanos: 500000000}} */
        assert_int_equal(call->received, 15);
        assert_memory_equal(call->head, "\0\0\0\0\x0a\x0a\x08\x08\x02\x10\x80\xca\xb5\xee\x01", 15);
        o->asked++;
        o->stream[i] = call;
        if (!o->knows)
            script_finish(call, NEO_UNIMPLEMENTED, NULL, NULL);
        else
            script_send(call, i == 0 ? NEO_LIT(STRONG) : NEO_LIT(WEAK));
        return;
    }
    /* With answers the second is the strong one: nobody must listen to that. */
    script_send(call, (struct neo_bytes){0});
    script_finish(call, NEO_OK, "endpoint-load-metrics-bin",
                  i == 1 ? "MQAAAAAAwHJASQAAAAAAAOA/" : "MQAAAAAAAFlASQAAAAAAAOA/");
}

static void expect_shares(struct stage *s, unsigned of_first)
{
    unsigned before = s->servers[0].requests;

    for (int i = 0; i < 400; i++)
        assert_int_equal(call_once(s, SEC), NEO_OK);
    assert_in_range(s->servers[0].requests - before, of_first - 5, of_first + 5);
}

static void begin(struct stage *s, struct office *o)
{
    begin_stage(s, 2, answer, o);
    open_channel(s, OUT_OF_BAND, NULL);
    for (int i = 0; i < 4; i++)
        assert_int_equal(call_once(s, SEC), NEO_OK);
    sim_run_for(2 * SEC);
}

TEST(a_server_that_knows_no_reports_is_asked_once_and_weighs_like_all)
{
    struct office o = {.knows = false};
    struct stage s;

    begin(&s, &o);
    expect_shares(&s, 200);
    sim_run_for(1 * MIN);
    assert_int_equal(o.asked, 2);
    end_stage(&s);
}

TEST(calls_follow_the_loads_that_are_reported_out_of_band)
{
    struct office o = {.knows = true};
    struct stage s;

    begin(&s, &o);
    expect_shares(&s, 300);
    assert_int_equal(o.asked, 2);
    end_stage(&s);
}

TEST(later_reports_count_for_what_comes_after)
{
    struct office o = {.knows = true};
    struct stage s;

    begin(&s, &o);
    for (size_t i = 0; i < 2; i++) {
        (void)h2_send(conn_h2(o.stream[i]->conn), o.stream[i]->stream,
                      i == 0 ? NEO_LIT("\0\0\0\0\x12" WEAK) : NEO_LIT("\0\0\0\0\x12" STRONG));
        conn_kick(o.stream[i]->conn);
    }
    sim_run_for(2 * SEC);
    expect_shares(&s, 100);
    end_stage(&s);
}

TEST(a_stream_of_reports_that_breaks_off_is_begun_anew)
{
    struct office o = {.knows = true};
    struct stage s;

    begin(&s, &o);
    script_finish(o.stream[0], NEO_INTERNAL, NULL, NULL);
    sim_run_for(100 * MSEC);
    assert_int_equal(o.asked, 2);
    assert_int_equal(call_once(&s, SEC), NEO_OK);
    sim_run_for(1500 * MSEC);
    assert_int_equal(o.asked, 3);
    end_stage(&s);
}

TEST(a_report_that_is_too_large_ends_the_stream_and_no_call)
{
    struct office o = {.knows = true};
    struct stage s;

    begin(&s, &o);
    (void)h2_send(conn_h2(o.stream[0]->conn), o.stream[0]->stream, NEO_LIT("\0\1\0\0\0"));
    conn_kick(o.stream[0]->conn);
    sim_run_for(100 * MSEC);
    expect_shares(&s, 300); /* what was reported last still holds */
    assert_int_equal(s.servers[0].resets, 1);
    end_stage(&s);
}

TEST(reports_are_asked_for_again_on_a_new_connection)
{
    struct office o = {.knows = true};
    struct stage s;

    begin(&s, &o);
    script_goaway(&s.servers[0], H2_NO_ERROR, "max_age");
    sim_run_for(100 * MSEC);
    for (int i = 0; i < 4; i++)
        assert_int_equal(call_once(&s, SEC), NEO_OK);
    assert_int_equal(o.asked, 3);
    end_stage(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_that_knows_no_reports_is_asked_once_and_weighs_like_all),
        cmocka_unit_test(a_report_that_is_too_large_ends_the_stream_and_no_call),
        cmocka_unit_test(a_stream_of_reports_that_breaks_off_is_begun_anew),
        cmocka_unit_test(calls_follow_the_loads_that_are_reported_out_of_band),
        cmocka_unit_test(later_reports_count_for_what_comes_after),
        cmocka_unit_test(reports_are_asked_for_again_on_a_new_connection),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
