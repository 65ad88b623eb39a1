/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "guard/outlier.h"

#define SEC NEO_NSEC_PER_SEC

enum { HOSTS = 10 };

static struct outlier_host hosts[HOSTS];
static struct outlier_host *row[HOSTS];
static struct outlier_config config;

static int begin(void **state)
{
    (void)state;
    for (size_t i = 0; i < HOSTS; i++) {
        hosts[i] = (struct outlier_host){0};
        row[i] = &hosts[i];
    }
    config = outlier_default;
    config.failure_percentage.on = true;
    return 0;
}

/* All do well but the first `bad`, of which every call fails. */
static void report(size_t bad, unsigned calls)
{
    for (size_t i = 0; i < HOSTS; i++)
        for (unsigned c = 0; c < calls; c++)
            outlier_report(&hosts[i], i >= bad);
}

static size_t ejected(void)
{
    size_t n = 0;

    for (size_t i = 0; i < HOSTS; i++)
        n += hosts[i].ejected;
    return n;
}

TEST(nobody_is_ejected_for_too_few_calls)
{
    report(1, config.failure_percentage.request_volume - 1);
    assert_int_equal(outlier_sweep(&config, row, HOSTS, 10 * SEC, 1), 0);
    assert_int_equal(ejected(), 0);
}

TEST(nobody_is_ejected_among_too_few_hosts)
{
    report(1, 100);
    assert_int_equal(outlier_sweep(&config, row, 4, 10 * SEC, 1), 0);
}

TEST(nobody_is_ejected_at_the_threshold_itself)
{
    for (unsigned c = 0; c < 100; c++)
        outlier_report(&hosts[0], c >= 85);
    for (size_t i = 1; i < HOSTS; i++)
        for (unsigned c = 0; c < 100; c++)
            outlier_report(&hosts[i], true);
    assert_int_equal(outlier_sweep(&config, row, HOSTS, 10 * SEC, 1), 0);
}

TEST(nobody_is_ejected_that_enforcement_spares)
{
    config.failure_percentage.enforcement = 0;
    report(3, 100);
    assert_int_equal(outlier_sweep(&config, row, HOSTS, 10 * SEC, 1), 0);
}

TEST(no_more_are_ejected_than_the_share_allows_but_one_always)
{
    report(6, 100);
    (void)outlier_sweep(&config, row, HOSTS, 10 * SEC, 1);
    assert_int_equal(ejected(), 1); /* 10 % of 10 */
    config.max_percent = 40;
    report(6, 100);
    (void)outlier_sweep(&config, row, HOSTS, 20 * SEC, 1);
    assert_int_equal(ejected(), 4);
    (void)begin(NULL);
    config.max_percent = 0;
    report(6, 100);
    (void)outlier_sweep(&config, row, HOSTS, 30 * SEC, 1);
    assert_int_equal(ejected(), 1);
}

TEST(each_ejection_lasts_longer_up_to_a_limit)
{
    neo_nsec now = 10 * SEC;

    for (unsigned times = 1; times <= 14; times++) {
        report(1, 100);
        (void)outlier_sweep(&config, row, HOSTS, now, times);
        assert_true(hosts[0].ejected);
        neo_nsec lasts = times <= 10 ? times * 30 * SEC : 300 * SEC;
        (void)outlier_sweep(&config, row, HOSTS, now + lasts - 1, times);
        assert_true(hosts[0].ejected);
        now += lasts;
        (void)outlier_sweep(&config, row, HOSTS, now, times);
        assert_false(hosts[0].ejected);
    }
}

TEST(good_intervals_shorten_the_next_ejection)
{
    neo_nsec now = 10 * SEC;

    hosts[0].multiplier = 3;
    report(0, 100);
    (void)outlier_sweep(&config, row, HOSTS, now, 1);
    assert_int_equal(hosts[0].multiplier, 2);
    report(0, 100);
    (void)outlier_sweep(&config, row, HOSTS, now, 1);
    report(0, 100);
    (void)outlier_sweep(&config, row, HOSTS, now, 1);
    (void)outlier_sweep(&config, row, HOSTS, now, 1);
    assert_int_equal(hosts[0].multiplier, 0);
}

TEST(a_success_rate_far_below_the_others_is_ejected)
{
    config.failure_percentage.on = false;
    config.success_rate.on = true;
    for (size_t i = 0; i < HOSTS; i++)
        for (unsigned c = 0; c < 200; c++)
            outlier_report(&hosts[i], i != 0 || c % 2 == 0);
    (void)outlier_sweep(&config, row, HOSTS, 10 * SEC, 1);
    assert_true(hosts[0].ejected);
    assert_int_equal(ejected(), 1);
}

TEST(where_all_do_equally_badly_nobody_stands_out)
{
    config.failure_percentage.on = false;
    config.success_rate.on = true;
    config.max_percent = 100;
    report(HOSTS, 200);
    assert_int_equal(outlier_sweep(&config, row, HOSTS, 10 * SEC, 1), 0);
}

TEST(counts_begin_anew_with_each_interval)
{
    report(1, 30);
    (void)outlier_sweep(&config, row, HOSTS, 10 * SEC, 1);
    report(1, 30); /* 60 in all, 30 in the interval */
    (void)outlier_sweep(&config, row, HOSTS, 20 * SEC, 1);
    assert_int_equal(ejected(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(nobody_is_ejected_for_too_few_calls, begin),
        cmocka_unit_test_setup(nobody_is_ejected_among_too_few_hosts, begin),
        cmocka_unit_test_setup(nobody_is_ejected_at_the_threshold_itself, begin),
        cmocka_unit_test_setup(nobody_is_ejected_that_enforcement_spares, begin),
        cmocka_unit_test_setup(no_more_are_ejected_than_the_share_allows_but_one_always, begin),
        cmocka_unit_test_setup(each_ejection_lasts_longer_up_to_a_limit, begin),
        cmocka_unit_test_setup(good_intervals_shorten_the_next_ejection, begin),
        cmocka_unit_test_setup(a_success_rate_far_below_the_others_is_ejected, begin),
        cmocka_unit_test_setup(where_all_do_equally_badly_nobody_stands_out, begin),
        cmocka_unit_test_setup(counts_begin_anew_with_each_interval, begin),
    };
    return cmocka_run_group_tests_name("guard/outlier", tests, NULL, NULL);
}
