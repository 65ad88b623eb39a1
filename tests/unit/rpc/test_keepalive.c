/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "rpc/keepalive.h"

#define SEC NEO_NSEC_PER_SEC

static const struct keepalive_config strict = {.time = 20 * SEC, .timeout = 10 * SEC};
static const struct keepalive_config courteous = {
    .time = 20 * SEC, .timeout = 10 * SEC, .courteous = true};

TEST(nothing_is_asked_when_off_or_without_calls)
{
    const struct keepalive_config off = {.off = true, .time = SEC, .timeout = SEC};
    struct keepalive k = {.since = 0};
    neo_nsec at;

    assert_int_equal(keepalive_check(&k, &off, 0, true, 100 * SEC, &at), KEEPALIVE_REST);
    assert_int_equal(keepalive_check(&k, &strict, 0, false, 100 * SEC, &at), KEEPALIVE_REST);
    assert_int_equal(k.pings, 0);
}

TEST(a_peer_that_was_heard_is_not_asked)
{
    struct keepalive k = {.since = 0};
    neo_nsec at;

    assert_int_equal(keepalive_check(&k, &strict, 95 * SEC, true, 100 * SEC, &at), KEEPALIVE_WAIT);
    assert_int_equal(at, 115 * SEC);
}

TEST(silence_before_a_call_does_not_count)
{
    struct keepalive k = {.since = 100 * SEC};
    neo_nsec at;

    assert_int_equal(keepalive_check(&k, &strict, 1 * SEC, true, 110 * SEC, &at), KEEPALIVE_WAIT);
    assert_int_equal(at, 120 * SEC);
}

TEST(a_silent_peer_is_asked_and_given_up_without_an_answer)
{
    struct keepalive k = {.since = 0};
    neo_nsec at;

    assert_int_equal(keepalive_check(&k, &strict, 1 * SEC, true, 21 * SEC, &at), KEEPALIVE_PING);
    assert_int_equal(at, 31 * SEC);
    assert_int_equal(keepalive_check(&k, &strict, 1 * SEC, true, 30 * SEC, &at), KEEPALIVE_WAIT);
    assert_int_equal(keepalive_check(&k, &strict, 1 * SEC, true, 31 * SEC, &at), KEEPALIVE_DEAD);
}

TEST(it_is_given_up_also_when_its_last_call_has_ended_meanwhile)
{
    struct keepalive k = {.since = 0};
    neo_nsec at;

    assert_int_equal(keepalive_check(&k, &strict, 1 * SEC, true, 21 * SEC, &at), KEEPALIVE_PING);
    assert_int_equal(keepalive_check(&k, &strict, 1 * SEC, false, 31 * SEC, &at), KEEPALIVE_DEAD);
}

TEST(any_byte_is_an_answer)
{
    struct keepalive k = {.since = 0};
    neo_nsec at;

    assert_int_equal(keepalive_check(&k, &strict, 1 * SEC, true, 21 * SEC, &at), KEEPALIVE_PING);
    assert_int_equal(keepalive_check(&k, &strict, 22 * SEC, true, 31 * SEC, &at), KEEPALIVE_WAIT);
    assert_int_equal(at, 42 * SEC);
}

/* Asks and hears the answer a second later, until `until`; returns how often. */
static unsigned count_pings(const struct keepalive_config *config, neo_nsec until)
{
    struct keepalive k = {.since = 0};
    neo_nsec now = SEC, last_read = SEC, at = 0;
    unsigned pings = 0;

    while (now < until) {
        enum keepalive_verdict v = keepalive_check(&k, config, last_read, true, now, &at);
        assert_int_not_equal(v, KEEPALIVE_DEAD);
        if (v == KEEPALIVE_PING) {
            pings++;
            last_read = now + SEC;
        }
        now = at;
    }
    return pings;
}

TEST(by_default_no_server_of_grpc_is_offended)
{
    /* Two at first, then one in five minutes. */
    assert_in_range(count_pings(&courteous, 3600 * SEC), 12, 14);
    assert_in_range(count_pings(&strict, 3600 * SEC), 170, 180);
}

TEST(data_of_the_peer_forgives_earlier_questions)
{
    struct keepalive k = {.since = 0, .pings = 2};
    neo_nsec at;

    assert_int_equal(keepalive_check(&k, &courteous, SEC, true, 100 * SEC, &at), KEEPALIVE_WAIT);
    k.pings = 0; /* what the connection does when headers or data came */
    assert_int_equal(keepalive_check(&k, &courteous, SEC, true, 100 * SEC, &at), KEEPALIVE_PING);
}

TEST(without_calls_it_asks_when_told_to)
{
    struct keepalive_config config = strict;
    struct keepalive k = {.since = 0};
    neo_nsec at;

    config.without_calls = true;
    assert_int_equal(keepalive_check(&k, &config, SEC, false, 100 * SEC, &at), KEEPALIVE_PING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_asked_when_off_or_without_calls),
        cmocka_unit_test(a_peer_that_was_heard_is_not_asked),
        cmocka_unit_test(silence_before_a_call_does_not_count),
        cmocka_unit_test(a_silent_peer_is_asked_and_given_up_without_an_answer),
        cmocka_unit_test(it_is_given_up_also_when_its_last_call_has_ended_meanwhile),
        cmocka_unit_test(any_byte_is_an_answer),
        cmocka_unit_test(by_default_no_server_of_grpc_is_offended),
        cmocka_unit_test(data_of_the_peer_forgives_earlier_questions),
        cmocka_unit_test(without_calls_it_asks_when_told_to),
    };
    return cmocka_run_group_tests_name("rpc/keepalive", tests, NULL, NULL);
}
