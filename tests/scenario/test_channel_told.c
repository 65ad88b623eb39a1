/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a channel tells those who read the end of a call, or its log: who, why, and whose limit.
 */
#include "stage.h"

#include <neo/context.h>

#include <sys/mman.h>
#include <unistd.h>

static void expect_said(const struct heard *h, const char *text)
{
    if (strstr(h->message, text) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", h->message, text);
}

/* --- limits ----------------------------------------------------------------------------------- */

static void answer_at_length(struct script_call *call, void *self)
{
    (void)self;
    script_reply(call, NEO_LIT("\x0a\x0atoo long!!"));
}

TEST(a_response_over_a_limit_is_told_with_the_limits_name)
{
    struct heard h;
    struct stage s;

    begin_stage(&s, 1, answer_at_length, NULL);
    open_channel(&s, "{\"methodConfig\": [{\"name\": [{}], \"maxResponseMessageBytes\": 11}]}",
                 NULL);
    start(&s, &h, SEC);
    assert_int_equal(wait_for_end(&h, SEC), NEO_RESOURCE_EXHAUSTED);
    expect_said(&h, "a message of 12 bytes is larger than the limit of 11 (ours: ");
    expect_said(&h, "maxResponseMessageBytes");
    end_stage(&s);
}

TEST(a_call_that_is_late_when_it_begins_is_not_sent)
{
    struct neo_context late = {.criticality = NEO_CRITICAL};
    const struct neo_call_options options = {.parent = &late};
    struct heard h;
    struct stage s;

    begin_stage(&s, 1, answer_at_once, NULL);
    open_channel(&s, NULL, NULL);
    sim_run_for(SEC);
    assert_int_equal(call_once(&s, SEC), NEO_OK);
    late.deadline = neo_loop_now(s.loop) - 1;
    start_with(&s, &h, &options);
    assert_false(h.done);
    assert_int_equal(wait_for_end(&h, MSEC), NEO_DEADLINE_EXCEEDED);
    assert_string_equal(h.reason, "DEADLINE_PASSED");
    sim_run_for(SEC);
    assert_int_equal(s.servers[0].requests, 1);
    end_stage(&s);
}

/* --- why nothing is ready --------------------------------------------------------------------- */

/* How a call to `target`, where nobody is, ends within so long. */
static void call_nobody(const char *target, neo_nsec patience, struct heard *h)
{
    struct stage s;

    begin_stage(&s, 1, answer_at_once, NULL);
    sim_name("echo.test", NULL);
    open_target(&s, target, NULL, NULL);
    start(&s, h, 60 * SEC);
    assert_int_equal(wait_for_end(h, patience), NEO_UNAVAILABLE);
    end_stage(&s);
}

TEST(of_several_instances_the_end_says_that_none_is_ready)
{
    struct heard h;

    call_nobody("ipv4:10.0.0.1:7001,10.0.0.1:7002", 60 * SEC, &h);
    assert_string_equal(h.reason, "CONNECT_FAILED");
    expect_said(&h, "none of 2 instances is ready; cannot connect to 10.0.0.1:7001: ");
}

TEST(of_one_instance_the_end_says_what_it_lacks)
{
    struct heard h;

    call_nobody("ipv4:10.0.0.1:7001", 60 * SEC, &h);
    assert_ptr_equal(strstr(h.message, "cannot connect to 10.0.0.1:7001: "), h.message);
}

TEST(a_name_that_is_not_known_is_told_in_words)
{
    struct heard h;

    call_nobody("dns:///echo.test:7000", 2 * SEC, &h);
    expect_said(&h, "cannot resolve dns:///echo.test:7000: there is no such name");
}

static void answer_unavailable(struct script_call *call, void *self)
{
    (void)self;
    script_finish(call, NEO_UNAVAILABLE, NULL, NULL);
}

TEST(who_waits_for_a_circuit_to_close_is_told_so)
{
    const struct neo_call_options patient = {.timeout = SEC, .wait_for_ready = true};
    struct heard h;
    struct stage s;

    begin_stage(&s, 1, answer_unavailable, NULL);
    open_channel(&s, NULL, NULL);
    for (int i = 0; i < 5; i++)
        assert_int_equal(call_once(&s, SEC), NEO_UNAVAILABLE);
    start_with(&s, &h, &patient);
    assert_int_equal(wait_for_end(&h, 2 * SEC), NEO_DEADLINE_EXCEEDED);
    expect_said(&h, "the circuit is open");
    end_stage(&s);
}

/* Watch answers SERVICE_UNKNOWN. */
static void know_no_service(struct script_call *call, void *self)
{
    (void)self;
    if (strcmp(call->path, "/grpc.health.v1.Health/Watch") == 0)
        script_send(call, NEO_LIT("\x08\x03"));
    else
        script_reply(call, (struct neo_bytes){0});
}

TEST(a_health_service_that_does_not_know_the_name_is_told_with_it)
{
    struct heard h;
    struct stage s;

    begin_stage(&s, 1, know_no_service, NULL);
    open_channel(&s, "{\"healthCheckConfig\": {\"serviceName\": \"ecco\"}}", NULL);
    start(&s, &h, 60 * SEC);
    assert_int_equal(wait_for_end(&h, 60 * SEC), NEO_UNAVAILABLE);
    expect_said(&h, "knows no health of 'ecco' (healthCheckConfig.serviceName)");
    end_stage(&s);
}

/* --- the log ---------------------------------------------------------------------------------- */

TEST(each_state_of_an_instance_is_in_the_log_for_who_debugs)
{
    static const char *const states[] = {"connecting", "ready", "idle"};
    char text[4096];
    struct stage s;

    begin_stage(&s, 1, answer_at_once, NULL);
    s.log.fd = memfd_create("log", MFD_CLOEXEC);
    s.log.level = NEO_LOG_DEBUG;
    assert_true(s.log.fd >= 0);
    open_channel(&s, NULL, &(struct neo_channel_tuning){.idle_timeout = SEC});
    assert_int_equal(call_once(&s, SEC), NEO_OK);
    sim_run_for(3 * SEC);
    ssize_t len = pread(s.log.fd, text, sizeof(text) - 1, 0);
    assert_true(len > 0);
    text[len] = '\0';
    const char *at = text;
    for (size_t i = 0; i < NEO_COUNT(states); i++) {
        char line[120];
        (void)snprintf(line, sizeof(line), "\"address\":\"10.0.0.1:7000\",\"state\":\"%s\"",
                       states[i]);
        at = strstr(at, line);
        if (at == NULL)
            fail_msg("no %s in its place: %s", line, text);
    }
    end_stage(&s);
    (void)close(s.log.fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_response_over_a_limit_is_told_with_the_limits_name),
        cmocka_unit_test(a_call_that_is_late_when_it_begins_is_not_sent),
        cmocka_unit_test(of_several_instances_the_end_says_that_none_is_ready),
        cmocka_unit_test(of_one_instance_the_end_says_what_it_lacks),
        cmocka_unit_test(a_name_that_is_not_known_is_told_in_words),
        cmocka_unit_test(who_waits_for_a_circuit_to_close_is_told_so),
        cmocka_unit_test(a_health_service_that_does_not_know_the_name_is_told_with_it),
        cmocka_unit_test(each_state_of_an_instance_is_in_the_log_for_who_debugs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
