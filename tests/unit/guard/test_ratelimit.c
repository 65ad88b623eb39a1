/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include <neo/bytes.h>
#include <neo/ratelimit.h>

#include <pthread.h>
#include <stdatomic.h>

#define MSEC NEO_NSEC_PER_MSEC
#define SEC  NEO_NSEC_PER_SEC

static unsigned take_until_refused(struct neo_ratelimit *rl, neo_nsec now)
{
    unsigned taken = 0;

    while (neo_ratelimit_take(rl, now) == 0)
        taken++;
    return taken;
}

TEST(starts_with_a_full_burst)
{
    struct neo_ratelimit rl;

    neo_ratelimit_init(&rl, 100, 20);

    assert_int_equal(take_until_refused(&rl, 5 * SEC), 20);
}

TEST(refills_at_the_configured_rate)
{
    struct neo_ratelimit rl;

    neo_ratelimit_init(&rl, 100, 20);
    take_until_refused(&rl, SEC);

    assert_int_equal(take_until_refused(&rl, SEC + 9 * MSEC), 0);
    assert_int_equal(take_until_refused(&rl, SEC + 10 * MSEC), 1);
    assert_int_equal(take_until_refused(&rl, SEC + 60 * MSEC), 5);
}

TEST(idle_time_never_earns_more_than_a_burst)
{
    struct neo_ratelimit rl;

    neo_ratelimit_init(&rl, 1000, 3);

    assert_int_equal(take_until_refused(&rl, 365 * 86400 * SEC), 3);
}

TEST(refusal_says_exactly_when_to_return)
{
    struct neo_ratelimit rl;

    neo_ratelimit_init(&rl, 3, 1);
    take_until_refused(&rl, SEC);
    neo_nsec wait = neo_ratelimit_take(&rl, SEC);

    assert_int_equal(neo_ratelimit_take(&rl, SEC + wait - 1), 1);
    assert_int_equal(neo_ratelimit_take(&rl, SEC + wait), 0);
}

/* A third of a second has no whole number of nanoseconds: rounded up, never in favour. */
TEST(an_interval_that_does_not_divide_is_rounded_up)
{
    struct neo_ratelimit rl;

    neo_ratelimit_init(&rl, 3, 1);
    take_until_refused(&rl, SEC);

    assert_int_equal(neo_ratelimit_take(&rl, SEC), 333333334);
}

/* reliability Q03 */
TEST(a_refused_call_drains_no_limiter)
{
    struct neo_ratelimit method, caller;
    struct neo_ratelimit *const limits[] = {&method, &caller};
    size_t which = 7;

    neo_ratelimit_init(&method, 10, 5);
    neo_ratelimit_init(&caller, 2, 1);

    assert_int_equal(neo_ratelimit_take_all(limits, 2, SEC, &which), 0);
    assert_int_equal(which, 7);
    assert_int_equal(neo_ratelimit_take_all(limits, 2, SEC, &which), 500 * MSEC);
    assert_int_equal(which, 1);
    assert_int_equal(take_until_refused(&method, SEC), 4);
}

TEST(the_longest_wait_is_told_with_its_limiter)
{
    struct neo_ratelimit slow, slower;
    struct neo_ratelimit *const limits[] = {&slower, &slow};
    size_t which = 7;

    neo_ratelimit_init(&slow, 10, 1);
    neo_ratelimit_init(&slower, 5, 1);
    assert_int_equal(neo_ratelimit_take_all(limits, 2, SEC, NULL), 0);
    assert_int_equal(neo_ratelimit_take_all(limits, 2, SEC, &which), 200 * MSEC);
    assert_int_equal(which, 0);
}

TEST(no_limiters_admit_everything)
{
    assert_int_equal(neo_ratelimit_take_all(NULL, 0, SEC, NULL), 0);
}

/* reliability Q04: only a monotonic clock is asked, and even a broken one earns nothing. */
TEST(a_clock_that_steps_back_only_makes_it_stricter)
{
    struct neo_ratelimit rl;

    neo_ratelimit_init(&rl, 100, 2);
    take_until_refused(&rl, 7200 * SEC);

    assert_int_equal(take_until_refused(&rl, 3600 * SEC), 0);
    assert_int_equal(take_until_refused(&rl, 7200 * SEC + 10 * MSEC), 1);
}

TEST(no_interval_sees_more_than_its_burst_plus_its_rate)
{
    enum { ARRIVALS = 200000, RATE = 997, BURST = 13 };
    static neo_nsec admitted[ARRIVALS];
    struct neo_ratelimit rl;
    uint64_t seed = 1;
    neo_nsec now = 0;
    size_t n = 0;

    neo_ratelimit_init(&rl, RATE, BURST);
    for (int i = 0; i < ARRIVALS; i++) {
        now += unit_random(&seed, 2 * MSEC);
        if (neo_ratelimit_take(&rl, now) == 0)
            admitted[n++] = now;
    }
    for (size_t calls = 1; calls < n; calls *= 2) {
        for (size_t i = 0; i + calls < n; i++) {
            neo_nsec span = admitted[i + calls] - admitted[i];
            assert_true(calls + 1 <= BURST + span * RATE / SEC);
        }
    }
}

/* reliability Q05: a minute of 1,000 a second, asked for three times as often. */
TEST(a_minute_under_pressure_gives_what_was_promised)
{
    static const struct {
        uint32_t rate, burst;
    } cases[] = {{1000, 100}, {500, 50}, {300, 30}, {100, 20}, {997, 2}, {7, 3}};

    for (size_t i = 0; i < NEO_COUNT(cases); i++) {
        struct neo_ratelimit rl;
        unsigned admitted = 0;
        unsigned promised = 60 * cases[i].rate + cases[i].burst;
        neo_ratelimit_init(&rl, cases[i].rate, cases[i].burst);
        for (neo_nsec now = SEC; now <= 61 * SEC; now += SEC / (3 * cases[i].rate))
            admitted += neo_ratelimit_take(&rl, now) == 0;
        assert_in_range(admitted, promised - promised / 1000 - 1, promised);
    }
}

TEST(extreme_settings_do_not_overflow)
{
    const neo_nsec latest = (UINT64_C(1) << 62) - 1;
    struct neo_ratelimit rl;

    neo_ratelimit_init(&rl, 1, UINT32_MAX);
    assert_int_equal(neo_ratelimit_take(&rl, latest), 0);
    assert_int_equal(neo_ratelimit_take(&rl, latest), 0);

    neo_ratelimit_init(&rl, UINT32_MAX, 1);
    assert_int_equal(neo_ratelimit_take(&rl, 0), 0);
    assert_int_equal(neo_ratelimit_take(&rl, 0), 1);
    assert_int_equal(neo_ratelimit_take(&rl, 1), 0);
}

/*
 * The race. Threads take random sets of buckets, listed in random order, at random
 * instants that they push forward together. What must hold afterwards is counted,
 * not sampled.
 */
enum { THREADS = 8, BUCKETS = 6, ROUNDS = 100000 };

static struct neo_ratelimit shared[BUCKETS];
static _Atomic uint64_t admitted[BUCKETS];
static _Atomic uint64_t clock_now;
static pthread_barrier_t start; /* so that the first is not done before the last begins */

static size_t random_set(uint64_t *seed, size_t set[BUCKETS])
{
    size_t n = 0;
    size_t first = unit_random(seed, BUCKETS);

    for (size_t i = 0; i < BUCKETS; i++)
        if (unit_random(seed, 2) == 0)
            set[n++] = (first + i) % BUCKETS;
    return n;
}

static void take_set(const size_t set[], size_t n, neo_nsec now)
{
    struct neo_ratelimit *limits[BUCKETS] = {NULL};

    for (size_t i = 0; i < n; i++)
        limits[i] = &shared[set[i]];
    if (neo_ratelimit_take_all(limits, n, now, NULL) != 0)
        return;
    for (size_t i = 0; i < n; i++)
        atomic_fetch_add(&admitted[set[i]], 1);
}

static void *take_at_one_instant(void *at)
{
    uint64_t seed = (uint64_t)(uintptr_t)at * 2654435761u + 1;
    size_t set[BUCKETS];

    pthread_barrier_wait(&start);
    for (int i = 0; i < ROUNDS; i++)
        take_set(set, random_set(&seed, set), SEC);
    return NULL;
}

static void *take_as_time_passes(void *at)
{
    uint64_t seed = (uint64_t)(uintptr_t)at * 2654435761u + 1;
    size_t set[BUCKETS];

    pthread_barrier_wait(&start);
    for (int i = 0; i < ROUNDS; i++) {
        neo_nsec now = atomic_fetch_add(&clock_now, 1 + unit_random(&seed, 20000));
        now -= unit_random(&seed, 20000); /* threads read their clocks at different moments */
        take_set(set, random_set(&seed, set), now);
    }
    return NULL;
}

/* Gives each thread its number, and the sum of what they return. */
static uint64_t run_threads(void *(*body)(void *))
{
    pthread_t threads[THREADS];
    uint64_t sum = 0;

    assert_int_equal(pthread_barrier_init(&start, NULL, THREADS), 0);
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, body, (void *)(i + 1)), 0);
    for (size_t i = 0; i < THREADS; i++) {
        void *result;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        sum += (uintptr_t)result;
    }
    (void)pthread_barrier_destroy(&start);
    return sum;
}

/*
 * reliability Q06, Q03. At one instant nothing refills, so every token is
 * accounted for: given to an admitted call or still there.
 */
TEST(racing_threads_share_a_burst_exactly)
{
    static const uint32_t burst[BUCKETS] = {300000, 300000, 300000, 500000, 250000, 400000};

    for (size_t i = 0; i < BUCKETS; i++) {
        neo_ratelimit_init(&shared[i], 1, burst[i]);
        atomic_store(&admitted[i], 0);
    }
    run_threads(take_at_one_instant);
    for (size_t i = 0; i < BUCKETS; i++) {
        uint64_t given = atomic_load(&admitted[i]);
        assert_true(given <= burst[i]);
        assert_int_equal(given + take_until_refused(&shared[i], SEC), burst[i]);
    }
}

/* All threads want all of three buckets, half of them from the other end. */
static void *take_one(void *at)
{
    size_t end = (uintptr_t)at % 2 * 2;
    uintptr_t taken = 0;

    pthread_barrier_wait(&start);
    for (int i = 0; i < ROUNDS; i++) {
        struct neo_ratelimit *limits[] = {&shared[end], &shared[1], &shared[2 - end]};
        taken += neo_ratelimit_take_all(limits, 3, SEC, NULL) == 0;
    }
    return (void *)taken;
}

TEST(nobody_is_refused_because_another_call_is_in_between)
{
    for (size_t i = 0; i < 3; i++)
        neo_ratelimit_init(&shared[i], 1, THREADS * ROUNDS);
    assert_int_equal(run_threads(take_one), THREADS * ROUNDS);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(take_until_refused(&shared[i], SEC), 0);
}

TEST(racing_threads_never_exceed_the_rate)
{
    enum { RATE = 10000, BURST = 25 };

    atomic_store(&clock_now, SEC);
    for (size_t i = 0; i < BUCKETS; i++) {
        neo_ratelimit_init(&shared[i], RATE, BURST);
        atomic_store(&admitted[i], 0);
    }
    run_threads(take_as_time_passes);
    neo_nsec end = atomic_load(&clock_now);
    neo_nsec span = end - SEC + 20000;
    for (size_t i = 0; i < BUCKETS; i++)
        assert_true(atomic_load(&admitted[i]) <= BURST + span * RATE / SEC);
}

/*
 * A bucket of one token, wanted by all at the moment it comes back. Two calls that
 * both saw it must not both have it: then the bucket would be full later than its
 * capacity from now.
 */
static _Atomic unsigned overdrawn;

static void *take_the_last(void *at)
{
    struct neo_ratelimit *limits[] = {&shared[0], &shared[1]};

    (void)at;
    pthread_barrier_wait(&start);
    for (int i = 0; i < 4 * ROUNDS; i++) {
        neo_nsec now = atomic_fetch_add(&clock_now, shared[0].interval / 4);
        (void)neo_ratelimit_take_all(limits, 2, now, NULL);
        uint64_t full_at = atomic_load(&shared[0].full_at) & ~(UINT64_C(1) << 63);
        if (full_at > atomic_load(&clock_now) + shared[0].capacity)
            atomic_fetch_add(&overdrawn, 1);
    }
    return NULL;
}

TEST(the_last_token_goes_to_one_of_those_who_saw_it)
{
    atomic_store(&clock_now, SEC);
    atomic_store(&overdrawn, 0);
    neo_ratelimit_init(&shared[0], 1000, 1);
    neo_ratelimit_init(&shared[1], 1000, 1000);
    run_threads(take_the_last);
    assert_int_equal(atomic_load(&overdrawn), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_with_a_full_burst),
        cmocka_unit_test(refills_at_the_configured_rate),
        cmocka_unit_test(idle_time_never_earns_more_than_a_burst),
        cmocka_unit_test(refusal_says_exactly_when_to_return),
        cmocka_unit_test(an_interval_that_does_not_divide_is_rounded_up),
        cmocka_unit_test(a_refused_call_drains_no_limiter),
        cmocka_unit_test(the_longest_wait_is_told_with_its_limiter),
        cmocka_unit_test(no_limiters_admit_everything),
        cmocka_unit_test(a_clock_that_steps_back_only_makes_it_stricter),
        cmocka_unit_test(no_interval_sees_more_than_its_burst_plus_its_rate),
        cmocka_unit_test(a_minute_under_pressure_gives_what_was_promised),
        cmocka_unit_test(extreme_settings_do_not_overflow),
        cmocka_unit_test(racing_threads_share_a_burst_exactly),
        cmocka_unit_test(nobody_is_refused_because_another_call_is_in_between),
        cmocka_unit_test(racing_threads_never_exceed_the_rate),
        cmocka_unit_test(the_last_token_goes_to_one_of_those_who_saw_it),
    };
    return cmocka_run_group_tests_name("guard/ratelimit", tests, NULL, NULL);
}
