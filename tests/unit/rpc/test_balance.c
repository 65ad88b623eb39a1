/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "rpc/balance.h"

#include <stdlib.h>

#define MSEC NEO_NSEC_PER_MSEC
#define SEC  NEO_NSEC_PER_SEC

enum { HOSTS = 4 };

struct row {
    struct balance_config config;
    struct balance balance;
    struct balance_host hosts[HOSTS];
    unsigned picked[HOSTS];
};

static void make_row(struct row *r, const struct balance_policy *policy, size_t n)
{
    *r = (struct row){.config = balance_default};
    r->config.policy = policy;
    balance_init(&r->balance, &r->config, 42);
    for (size_t i = 0; i < n; i++)
        r->balance.hosts[r->balance.n++] = &r->hosts[i];
}

/* `calls` picks, of which each stays under way when `stay`. */
static void pick_many(struct row *r, unsigned calls, bool stay, neo_nsec now)
{
    memset(r->picked, 0, sizeof(r->picked));
    for (unsigned i = 0; i < calls; i++) {
        size_t at = balance_pick(&r->balance, now);
        assert_true(at < r->balance.n);
        r->picked[at]++;
        r->hosts[at].active += stay;
    }
}

TEST(only_known_names_are_found)
{
    assert_null(balance_find(NEO_LIT("grpclb")));
    assert_null(balance_find(NEO_LIT("")));
    assert_null(balance_find(NEO_LIT("ROUND_ROBIN")));
    assert_ptr_equal(balance_find(NEO_LIT("round_robin")), &balance_round_robin);
    assert_ptr_equal(balance_find(NEO_LIT("pick_first")), &balance_pick_first);
    assert_ptr_equal(balance_find(NEO_LIT("least_request_experimental")), &balance_least_request);
    assert_ptr_equal(balance_find(NEO_LIT("weighted_round_robin")), &balance_weighted_round_robin);
}

TEST(reports_that_are_broken_or_absurd_weigh_nothing)
{
    static const uint8_t nan[] = {0x31, 0, 0, 0, 0, 0, 0, 0xf8, 0x7f,
                                  0x49, 0, 0, 0, 0, 0, 0, 0xe0, 0x3f};
    static const uint8_t negative[] = {0x31, 0, 0, 0, 0, 0, 0, 0x59, 0xc0,
                                       0x49, 0, 0, 0, 0, 0, 0, 0xe0, 0x3f};
    static const uint8_t good[] = {0x31, 0, 0, 0, 0, 0, 0, 0x59, 0x40,
                                   0x49, 0, 0, 0, 0, 0, 0, 0xe0, 0x3f};

    /* 100 rps at next to no utilization: more than there is */
    static const uint8_t endless[] = {0x31, 0, 0, 0, 0, 0, 0, 0x59, 0x40,
                                      0x49, 1, 0, 0, 0, 0, 0, 0,    0};

    assert_true(balance_read_report(neo_bytes(endless, sizeof(endless)), 1000) == 0);
    assert_true(balance_read_report((struct neo_bytes){0}, 1000) == 0);
    assert_true(balance_read_report(neo_bytes(nan, sizeof(nan)), 1000) == 0);
    assert_true(balance_read_report(neo_bytes(negative, sizeof(negative)), 1000) == 0);
    for (size_t len = 1; len < sizeof(good); len++) /* cut anywhere */
        assert_true(balance_read_report(neo_bytes(good, len), 1000) == 0);
    assert_true(balance_read_report(neo_bytes(good, sizeof(good)), 1000) == 200);
    assert_true(balance_read_report(NEO_LIT("\x07"), 1000) == 0);
    assert_true(balance_read_report(NEO_LIT("\x32\xff\xff\xff\xff\xff\xff\xff\xff\x7f"), 1000) ==
                0);
}

TEST(errors_make_a_host_lighter)
{
    /* 100 rps, 10 eps, utilization 0.5: 100 / (0.5 + 0.1) */
    static const uint8_t report[] = {0x31, 0, 0, 0, 0, 0, 0, 0x59, 0x40,
                                     0x39, 0, 0, 0, 0, 0, 0, 0x24, 0x40,
                                     0x49, 0, 0, 0, 0, 0, 0, 0xe0, 0x3f};
    double weight = balance_read_report(neo_bytes(report, sizeof(report)), 1000);

    assert_true(weight > 166.6 && weight < 166.7);
    assert_true(balance_read_report(neo_bytes(report, sizeof(report)), 0) == 200);
}

TEST(round_robin_goes_round)
{
    struct row r;

    make_row(&r, &balance_round_robin, 3);
    pick_many(&r, 300, false, 0);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(r.picked[i], 100);
    r.balance.n = 1; /* the others left */
    pick_many(&r, 10, false, 0);
    assert_int_equal(r.picked[0], 10);
}

TEST(least_request_levels_the_load)
{
    struct row r;

    make_row(&r, &balance_least_request, 4);
    r.hosts[3].active = 1000; /* it is stuck */
    pick_many(&r, 300, true, 100 * SEC);
    assert_int_equal(r.picked[3], 0);
    for (size_t i = 0; i < 3; i++)
        assert_in_range(r.picked[i], 90, 110);
}

TEST(least_request_lets_a_new_host_begin_slowly)
{
    struct row r;

    make_row(&r, &balance_least_request, 2);
    r.hosts[0].active = 5;
    r.hosts[1].ready_since = 100 * SEC; /* new, and without a call */
    pick_many(&r, 100, false, 100 * SEC);
    assert_int_equal(r.picked[1], 0); /* its one call would count as ten */
    pick_many(&r, 100, false, 105 * SEC);
    assert_int_equal(r.picked[1], 100);
    r.config.least.slow_start = 0;
    pick_many(&r, 100, false, 100 * SEC);
    assert_int_equal(r.picked[1], 100);
}

TEST(least_request_with_one_host_takes_it)
{
    struct row r;

    make_row(&r, &balance_least_request, 1);
    pick_many(&r, 10, true, 0);
    assert_int_equal(r.picked[0], 10);
}

TEST(weights_of_the_endpoints_are_kept_to)
{
    struct row r;

    make_row(&r, &balance_weighted_round_robin, 3);
    r.hosts[0].weight = 1;
    r.hosts[1].weight = 2;
    r.hosts[2].weight = 7;
    balance_changed(&r.balance, SEC);
    pick_many(&r, 1000, false, SEC);
    assert_in_range(r.picked[0], 98, 102);
    assert_in_range(r.picked[1], 198, 202);
    assert_in_range(r.picked[2], 698, 702);
}

TEST(a_host_of_hardly_any_weight_does_not_stop_the_round)
{
    struct row r;

    make_row(&r, &balance_weighted_round_robin, 2);
    r.hosts[0].weight = 1;
    r.hosts[1].weight = UINT32_MAX;
    balance_changed(&r.balance, SEC);
    pick_many(&r, 200000, false, SEC);
    assert_in_range(r.picked[0], 1, 10);
}

TEST(reports_are_believed_after_the_blackout_and_until_they_expire)
{
    struct row r;
    neo_nsec now = 1000 * SEC;

    make_row(&r, &balance_weighted_round_robin, 2);
    balance_report(&r.hosts[0], 100, now);
    balance_report(&r.hosts[1], 300, now);
    balance_changed(&r.balance, now);
    pick_many(&r, 100, false, now);
    assert_int_equal(r.picked[0], 50);
    now += 11 * SEC;
    pick_many(&r, 400, false, now);
    assert_in_range(r.picked[0], 98, 102);
    now += 180 * SEC;
    pick_many(&r, 100, false, now);
    assert_int_equal(r.picked[0], 50);
}

TEST(a_host_that_reports_nothing_gets_the_mean)
{
    struct row r;

    make_row(&r, &balance_weighted_round_robin, 3);
    balance_report(&r.hosts[0], 100, SEC);
    balance_report(&r.hosts[1], 300, SEC);
    balance_changed(&r.balance, 20 * SEC);
    pick_many(&r, 600, false, 20 * SEC);
    assert_in_range(r.picked[0], 98, 102);
    assert_in_range(r.picked[1], 298, 302);
    assert_in_range(r.picked[2], 198, 202);
}

/* --- pick_first: which address to try -----------------------------------------------------------
 */

TEST(nobody_is_tried_once_one_is_ready)
{
    const enum balance_state states[] = {BALANCE_FAILED, BALANCE_READY, BALANCE_IDLE};
    neo_nsec again;

    assert_int_equal(balance_first_to_connect(states, 3, 0, 100 * SEC, &again), 3);
    assert_int_equal(again, 0);
}

TEST(addresses_are_tried_in_order_a_quarter_second_apart)
{
    enum balance_state states[] = {BALANCE_IDLE, BALANCE_IDLE, BALANCE_IDLE};
    neo_nsec again;

    assert_int_equal(balance_first_to_connect(states, 3, 0, 100 * SEC, &again), 0);
    states[0] = BALANCE_CONNECTING;
    assert_int_equal(balance_first_to_connect(states, 3, 100 * SEC, 100 * SEC + MSEC, &again), 3);
    assert_int_equal(again, 100 * SEC + 250 * MSEC);
    assert_int_equal(balance_first_to_connect(states, 3, 100 * SEC, again, &again), 1);
    states[0] = BALANCE_FAILED; /* no need to wait then */
    assert_int_equal(balance_first_to_connect(states, 3, 100 * SEC, 100 * SEC + MSEC, &again), 1);
    states[1] = states[2] = BALANCE_FAILED;
    assert_int_equal(balance_first_to_connect(states, 3, 100 * SEC, 101 * SEC, &again), 3);
    assert_int_equal(again, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_known_names_are_found),
        cmocka_unit_test(reports_that_are_broken_or_absurd_weigh_nothing),
        cmocka_unit_test(errors_make_a_host_lighter),
        cmocka_unit_test(round_robin_goes_round),
        cmocka_unit_test(least_request_levels_the_load),
        cmocka_unit_test(least_request_lets_a_new_host_begin_slowly),
        cmocka_unit_test(least_request_with_one_host_takes_it),
        cmocka_unit_test(weights_of_the_endpoints_are_kept_to),
        cmocka_unit_test(a_host_of_hardly_any_weight_does_not_stop_the_round),
        cmocka_unit_test(reports_are_believed_after_the_blackout_and_until_they_expire),
        cmocka_unit_test(a_host_that_reports_nothing_gets_the_mean),
        cmocka_unit_test(nobody_is_tried_once_one_is_ready),
        cmocka_unit_test(addresses_are_tried_in_order_a_quarter_second_apart),
    };
    return cmocka_run_group_tests_name("rpc/balance", tests, NULL, NULL);
}
