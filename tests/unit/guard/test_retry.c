/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include <neo/bytes.h>
#include <neo/retry.h>

#include "guard/tally.h"

#include <pthread.h>

#define MSEC NEO_NSEC_PER_MSEC
#define SEC  NEO_NSEC_PER_SEC

static const struct neo_backoff seed_policy = {100 * MSEC, SEC, 2.0, 0.2};

/* The middle of the range: no jitter. */
#define MIDDLE (UINT64_C(1) << 63)

TEST(backoff_grows_up_to_its_limit)
{
    static const neo_nsec want[] = {100 * MSEC, 200 * MSEC, 400 * MSEC, 800 * MSEC, SEC, SEC};

    for (unsigned i = 0; i < NEO_COUNT(want); i++)
        assert_int_equal(neo_backoff_wait(&seed_policy, i + 1, MIDDLE), want[i]);
    assert_int_equal(neo_backoff_wait(&seed_policy, UINT32_MAX, MIDDLE), SEC);
}

TEST(connections_back_off_as_grpc_does)
{
    struct neo_backoff connection = NEO_CONNECTION_BACKOFF;
    static const neo_nsec want[] = {1000 * MSEC, 1600 * MSEC, 2560 * MSEC, 4096 * MSEC};

    for (unsigned i = 0; i < NEO_COUNT(want); i++)
        assert_in_range(neo_backoff_wait(&connection, i + 1, MIDDLE), want[i] - 1, want[i] + 1);
    assert_int_equal(neo_backoff_wait(&connection, 11, MIDDLE) / SEC, 109);
    assert_int_equal(neo_backoff_wait(&connection, 12, MIDDLE), 120 * SEC);
    assert_int_equal(neo_backoff_wait(&connection, 12, 0), 96 * SEC);
    assert_in_range(neo_backoff_wait(&connection, 12, UINT64_MAX), 144 * SEC - 100, 144 * SEC);
}

TEST(jitter_fills_its_range_evenly_and_never_leaves_it)
{
    unsigned lower_half = 0;
    uint64_t seed = 2;

    for (int i = 0; i < 20000; i++) {
        neo_nsec wait = neo_backoff_wait(
            &seed_policy, 1, unit_random(&seed, UINT64_MAX) * UINT64_C(0x9e3779b97f4a7c15));
        assert_in_range(wait, 80 * MSEC, 120 * MSEC);
        lower_half += wait < 100 * MSEC;
    }
    assert_in_range(lower_half, 9600, 10400);
}

TEST(a_multiplier_close_to_one_ends)
{
    struct neo_backoff flat = {SEC, 120 * SEC, 1.0, 0};
    struct neo_backoff slow = {SEC, 120 * SEC, 1.0000001, 0};

    assert_int_equal(neo_backoff_wait(&flat, UINT32_MAX, 0), SEC);
    assert_true(neo_backoff_wait(&slow, UINT32_MAX, 0) < SEC + MSEC);
}

static struct neo_retry_budget new_budget(struct neo_retry_config config)
{
    struct neo_retry_budget b;

    neo_retry_budget_init(&b, &config);
    return b;
}

static unsigned take_until_refused(struct neo_retry_budget *b, neo_nsec now)
{
    unsigned taken = 0;

    while (neo_retry_budget_take(b, now))
        taken++;
    return taken;
}

TEST(tokens_stop_retries_at_half)
{
    struct neo_retry_budget b = new_budget(NEO_RETRY_DEFAULT);

    for (int i = 0; i < 4; i++)
        neo_retry_budget_failure(&b);
    assert_true(neo_retry_budget_take(&b, SEC));
    neo_retry_budget_failure(&b);
    assert_false(neo_retry_budget_take(&b, SEC)); /* 5 of 10: not more than half */
    neo_retry_budget_success(&b);
    assert_true(neo_retry_budget_take(&b, SEC)); /* 5.1 */
}

TEST(tokens_stay_between_none_and_all)
{
    struct neo_retry_budget b = new_budget(NEO_RETRY_DEFAULT);

    for (int i = 0; i < 100; i++)
        neo_retry_budget_failure(&b);
    for (int i = 0; i < 50; i++)
        neo_retry_budget_success(&b);
    assert_false(neo_retry_budget_take(&b, SEC));
    neo_retry_budget_success(&b);
    assert_true(neo_retry_budget_take(&b, SEC));

    for (int i = 0; i < 1000; i++)
        neo_retry_budget_success(&b);
    for (int i = 0; i < 5; i++)
        neo_retry_budget_failure(&b);
    assert_false(neo_retry_budget_take(&b, SEC));
}

TEST(an_odd_number_of_tokens_has_an_exact_half)
{
    struct neo_retry_budget b = new_budget((struct neo_retry_config){3, 500, 10, 3});

    neo_retry_budget_failure(&b);
    assert_true(neo_retry_budget_take(&b, SEC)); /* 2 > 1.5 */
    neo_retry_budget_failure(&b);
    neo_retry_budget_success(&b);
    assert_false(neo_retry_budget_take(&b, SEC)); /* 1.5 */
}

TEST(a_success_near_the_top_fills_up)
{
    struct neo_retry_budget b = new_budget((struct neo_retry_config){3, 700, 10, 3});

    neo_retry_budget_failure(&b);
    neo_retry_budget_success(&b);
    neo_retry_budget_success(&b); /* 3.4, of which 3 */
    neo_retry_budget_failure(&b);
    neo_retry_budget_failure(&b);
    neo_retry_budget_success(&b);
    assert_true(neo_retry_budget_take(&b, SEC)); /* 1.7 > 1.5 */
    neo_retry_budget_failure(&b);
    neo_retry_budget_success(&b);
    assert_false(neo_retry_budget_take(&b, SEC)); /* 1.4 */
}

TEST(retries_are_a_tenth_of_the_calls_and_three_a_second)
{
    struct neo_retry_budget b = new_budget(NEO_RETRY_DEFAULT);

    assert_int_equal(take_until_refused(&b, SEC), 30);
    for (int i = 0; i < 1000; i++)
        neo_retry_budget_call(&b, SEC);
    assert_int_equal(take_until_refused(&b, SEC), 100);
}

TEST(what_happened_ten_seconds_ago_is_forgotten)
{
    struct neo_retry_budget b = new_budget(NEO_RETRY_DEFAULT);

    for (int i = 0; i < 1000; i++)
        neo_retry_budget_call(&b, 100 * SEC);
    assert_int_equal(take_until_refused(&b, 100 * SEC), 130);
    assert_int_equal(take_until_refused(&b, 110 * SEC - 1), 0);
    assert_int_equal(take_until_refused(&b, 110 * SEC), 30);
    assert_int_equal(take_until_refused(&b, 1000000 * SEC), 30);
    assert_int_equal(take_until_refused(&b, 5 * SEC),
                     0); /* a clock that steps back earns nothing */
}

/* Of `n` calls asked for, how many the throttle lets through while the target accepts `percent`. */
static unsigned pass(struct neo_throttle *t, neo_nsec now, unsigned n, unsigned percent,
                     uint64_t *seed)
{
    unsigned passed = 0;

    for (unsigned i = 0; i < n; i++) {
        uint64_t random = unit_random(seed, UINT64_MAX) * UINT64_C(0x9e3779b97f4a7c15);
        if (!neo_throttle_admits(t, now, random))
            continue;
        passed++;
        if (unit_random(seed, 100) < percent)
            neo_throttle_accepted(t, now);
    }
    return passed;
}

TEST(a_healthy_target_is_never_throttled)
{
    struct neo_throttle t;
    uint64_t seed = 6;

    neo_throttle_init(&t, 200);
    assert_int_equal(pass(&t, SEC, 10000, 100, &seed), 10000);
    assert_in_range(pass(&t, SEC, 10000, 60, &seed), 9900, 10000);
}

/* A target that can serve a quarter of the demand is asked twice as often as it serves: K = 2. */
TEST(an_overloaded_target_is_asked_k_times_what_it_serves)
{
    enum { DEMAND = 40000 };
    struct neo_throttle t;
    uint64_t seed = 6;
    unsigned asked = 0;
    unsigned credit = 0;

    neo_throttle_init(&t, 200);
    for (int i = 0; i < DEMAND; i++) {
        uint64_t random = unit_random(&seed, UINT64_MAX) * UINT64_C(0x9e3779b97f4a7c15);
        credit += i % 4 == 0;
        if (!neo_throttle_admits(&t, SEC, random))
            continue;
        asked++;
        if (credit > 0) {
            credit--;
            neo_throttle_accepted(&t, SEC);
        }
    }
    assert_in_range(asked, DEMAND / 2 - DEMAND / 50, DEMAND / 2 + DEMAND / 50);
}

TEST(one_in_ten_always_gets_through_to_notice_recovery)
{
    struct neo_throttle t;
    uint64_t seed = 8;

    neo_throttle_init(&t, 110);
    pass(&t, SEC, 10000, 0, &seed);
    assert_in_range(pass(&t, SEC, 10000, 0, &seed), 900, 1100);
}

/* Random bits just below and just at the probability. */
static void assert_probability(unsigned tried, unsigned accepted, double want)
{
    uint64_t at = (uint64_t)(want * (1 << 24) + 0.9999999);

    for (uint64_t below = 0; below <= 1; below++) {
        struct neo_throttle t;
        neo_throttle_init(&t, 200);
        for (unsigned i = 0; i < tried; i++)
            (void)neo_throttle_admits(&t, SEC, UINT64_MAX);
        for (unsigned i = 0; i < accepted; i++)
            neo_throttle_accepted(&t, SEC);
        assert_int_equal(neo_throttle_admits(&t, SEC, (at - below) << 40), below == 0);
    }
}

TEST(the_probability_is_that_of_the_formula)
{
    assert_probability(1, 0, 1.0 / 2);
    assert_probability(3, 1, 1.0 / 4);
    assert_probability(5, 0, 5.0 / 6);
    assert_probability(10, 0, 9.0 / 11); /* nine tenths of 11 calls, in whole calls */
    assert_probability(99, 24, 51.0 / 100);
}

TEST(an_answer_counts_when_it_comes)
{
    struct neo_throttle t;

    neo_throttle_init(&t, 200);
    for (int i = 0; i < 10; i++)
        (void)neo_throttle_admits(&t, 1000 * SEC, UINT64_MAX);
    for (int i = 0; i < 5; i++)
        neo_throttle_accepted(&t, 1100 * SEC);
    for (int i = 0; i < 10; i++)
        assert_true(neo_throttle_admits(&t, 1121 * SEC, 0));
}

TEST(a_window_forgets_slot_by_slot)
{
    struct neo_tally t = {0};

    for (neo_nsec now = 1000; now < 1100; now++) {
        struct tally_sums sums;
        tally_advance(&t, now * SEC, SEC);
        tally_advance(&t, (now - 1) * SEC, SEC); /* the past changes nothing */
        tally_tried(&t);
        tally_tried(&t);
        tally_counted(&t);
        sums = tally_last(&t, NEO_TALLY_SLOTS);
        uint64_t slots = now - 999 < NEO_TALLY_SLOTS ? now - 999 : NEO_TALLY_SLOTS;
        assert_int_equal(sums.tried, 2 * slots);
        assert_int_equal(sums.counted, slots);
        assert_int_equal(tally_last(&t, 1).tried, 2);
    }
    tally_advance(&t, (1099 + 20) * SEC, SEC);
    assert_int_equal(tally_last(&t, NEO_TALLY_SLOTS).counted, 4);
    assert_int_equal(tally_last(&t, 20).counted, 0);
}

TEST(two_minutes_later_all_is_forgiven)
{
    struct neo_throttle t;

    neo_throttle_init(&t, 200);
    for (int i = 0; i < 1000; i++)
        (void)neo_throttle_admits(&t, 1000 * SEC, UINT64_MAX);
    assert_false(neo_throttle_admits(&t, 1119 * SEC, 0));
    neo_throttle_init(&t, 200);
    for (int i = 0; i < 1000; i++)
        (void)neo_throttle_admits(&t, 1000 * SEC, UINT64_MAX);
    assert_true(neo_throttle_admits(&t, 1120 * SEC, 0));
}

enum { THREADS = 4, ROUNDS = 20000 };
static struct neo_retry_budget shared_budget;
static struct neo_throttle shared_throttle;
static _Atomic unsigned retries;

static void *use_both(void *unused)
{
    (void)unused;
    for (int i = 0; i < ROUNDS; i++) {
        neo_retry_budget_call(&shared_budget, SEC);
        neo_retry_budget_success(&shared_budget);
        retries += neo_retry_budget_take(&shared_budget, SEC);
        if (neo_throttle_admits(&shared_throttle, SEC, 0))
            neo_throttle_accepted(&shared_throttle, SEC);
    }
    return NULL;
}

TEST(threads_share_one_budget)
{
    pthread_t threads[THREADS];

    shared_budget = new_budget(NEO_RETRY_DEFAULT);
    neo_throttle_init(&shared_throttle, 200);
    retries = 0;
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use_both, NULL), 0);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(retries + take_until_refused(&shared_budget, SEC), THREADS * ROUNDS / 10 + 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(backoff_grows_up_to_its_limit),
        cmocka_unit_test(connections_back_off_as_grpc_does),
        cmocka_unit_test(jitter_fills_its_range_evenly_and_never_leaves_it),
        cmocka_unit_test(a_multiplier_close_to_one_ends),
        cmocka_unit_test(tokens_stop_retries_at_half),
        cmocka_unit_test(tokens_stay_between_none_and_all),
        cmocka_unit_test(an_odd_number_of_tokens_has_an_exact_half),
        cmocka_unit_test(a_success_near_the_top_fills_up),
        cmocka_unit_test(retries_are_a_tenth_of_the_calls_and_three_a_second),
        cmocka_unit_test(what_happened_ten_seconds_ago_is_forgotten),
        cmocka_unit_test(a_healthy_target_is_never_throttled),
        cmocka_unit_test(an_overloaded_target_is_asked_k_times_what_it_serves),
        cmocka_unit_test(one_in_ten_always_gets_through_to_notice_recovery),
        cmocka_unit_test(the_probability_is_that_of_the_formula),
        cmocka_unit_test(an_answer_counts_when_it_comes),
        cmocka_unit_test(a_window_forgets_slot_by_slot),
        cmocka_unit_test(two_minutes_later_all_is_forgiven),
        cmocka_unit_test(threads_share_one_budget),
    };
    return cmocka_run_group_tests_name("guard/retry", tests, NULL, NULL);
}
