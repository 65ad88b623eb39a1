/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include <neo/breaker.h>

#include <pthread.h>
#include <stdatomic.h>

#define SEC NEO_NSEC_PER_SEC

static const struct neo_breaker_config config = {
    .window = 10,
    .min_results = 4,
    .failure_percent = 50,
    .probes = 2,
    .open_min = 1 * SEC,
    .open_max = 4 * SEC,
};

static struct neo_breaker new_breaker(void)
{
    struct neo_breaker b;

    neo_breaker_init(&b, &config);
    return b;
}

static struct neo_breaker_permit enter(struct neo_breaker *b, neo_nsec now)
{
    struct neo_breaker_permit permit;

    assert_true(neo_breaker_enter(b, now, &permit));
    return permit;
}

static bool admits(struct neo_breaker *b, neo_nsec now)
{
    return neo_breaker_enter(b, now, &(struct neo_breaker_permit){0});
}

static void call(struct neo_breaker *b, neo_nsec now, enum neo_breaker_outcome outcome)
{
    neo_breaker_leave(b, enter(b, now), outcome, now);
}

static void calls(struct neo_breaker *b, neo_nsec now, const char *outcomes)
{
    for (; *outcomes != '\0'; outcomes++)
        call(b, now, *outcomes == 'x' ? NEO_BREAKER_FAILURE : NEO_BREAKER_SUCCESS);
}

/* What a sequence of calls leads to; 'x' failed, '.' did not. */
TEST(opens_on_too_many_recent_failures)
{
    static const struct {
        const char *outcomes;
        enum neo_breaker_state want;
    } cases[] = {
        {"", NEO_BREAKER_CLOSED},
        {"xxx", NEO_BREAKER_CLOSED}, /* too few to judge */
        {"xxxx", NEO_BREAKER_OPEN},
        {"...x", NEO_BREAKER_CLOSED},
        {"..xx", NEO_BREAKER_OPEN}, /* exactly half */
        {"xx..", NEO_BREAKER_OPEN}, /* whichever they were */
        {"x..x", NEO_BREAKER_OPEN},
        {"......xxxx", NEO_BREAKER_CLOSED},
        {"......xxxxx", NEO_BREAKER_OPEN}, /* the oldest success fell out */
        {"x.........x..x", NEO_BREAKER_CLOSED},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct neo_breaker b = new_breaker();

        calls(&b, 0, cases[i].outcomes);
        assert_int_equal(neo_breaker_state(&b), cases[i].want);
    }
}

TEST(admits_nothing_while_open)
{
    struct neo_breaker b = new_breaker();

    calls(&b, 0, "xxxx");

    assert_false(admits(&b, 0));
    assert_false(admits(&b, 1 * SEC - 1));
    assert_true(admits(&b, 1 * SEC));
}

TEST(half_open_admits_only_its_probes)
{
    struct neo_breaker b = new_breaker();

    calls(&b, 0, "xxxx");

    assert_true(admits(&b, SEC));
    assert_true(admits(&b, SEC));
    assert_false(admits(&b, SEC));
}

TEST(closes_when_every_probe_succeeds)
{
    struct neo_breaker b = new_breaker();

    calls(&b, 0, "xxxx");
    call(&b, SEC, NEO_BREAKER_SUCCESS);
    assert_int_equal(neo_breaker_state(&b), NEO_BREAKER_HALF_OPEN);
    call(&b, SEC, NEO_BREAKER_SUCCESS);
    assert_int_equal(neo_breaker_state(&b), NEO_BREAKER_CLOSED);
}

TEST(a_recovered_breaker_starts_from_nothing)
{
    struct neo_breaker b = new_breaker();

    calls(&b, 0, "xxxx");
    calls(&b, SEC, "..");
    calls(&b, SEC, "....");
    assert_int_equal(neo_breaker_state(&b), NEO_BREAKER_CLOSED);

    b = new_breaker();
    calls(&b, 0, "xxxx");
    calls(&b, SEC, "..");
    calls(&b, SEC, "..xx");
    assert_int_equal(neo_breaker_state(&b), NEO_BREAKER_OPEN);
}

TEST(a_failed_probe_discards_earlier_successes)
{
    struct neo_breaker b = new_breaker();

    calls(&b, 0, "xxxx");
    calls(&b, 1 * SEC, ".x");
    calls(&b, 3 * SEC, ".");

    assert_int_equal(neo_breaker_state(&b), NEO_BREAKER_HALF_OPEN);
}

TEST(each_failed_probe_doubles_the_wait_up_to_the_limit)
{
    static const neo_nsec waits[] = {1 * SEC, 2 * SEC, 4 * SEC, 4 * SEC};
    struct neo_breaker b = new_breaker();
    neo_nsec now = 0;

    calls(&b, now, "xxxx");
    for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
        assert_false(admits(&b, now + waits[i] - 1));
        now += waits[i];
        call(&b, now, NEO_BREAKER_FAILURE);
        assert_int_equal(neo_breaker_state(&b), NEO_BREAKER_OPEN);
    }
}

TEST(recovery_restores_the_first_wait)
{
    struct neo_breaker b = new_breaker();

    calls(&b, 0, "xxxx");
    call(&b, 1 * SEC, NEO_BREAKER_FAILURE);
    calls(&b, 3 * SEC, "..");
    calls(&b, 3 * SEC, "xxxx");

    assert_true(admits(&b, 4 * SEC));
}

TEST(a_call_from_a_past_era_decides_nothing)
{
    struct neo_breaker b = new_breaker();
    struct neo_breaker_permit slow = enter(&b, 0);
    struct neo_breaker_permit slower = enter(&b, 0);

    calls(&b, 0, "xxxx");
    (void)enter(&b, SEC);
    neo_breaker_leave(&b, slow, NEO_BREAKER_FAILURE, SEC);
    assert_int_equal(neo_breaker_state(&b), NEO_BREAKER_HALF_OPEN);

    call(&b, SEC, NEO_BREAKER_SUCCESS);
    neo_breaker_leave(&b, slower, NEO_BREAKER_SUCCESS, SEC);
    assert_int_equal(neo_breaker_state(&b), NEO_BREAKER_HALF_OPEN);
}

TEST(a_cancelled_probe_gives_its_place_to_another)
{
    struct neo_breaker b = new_breaker();

    calls(&b, 0, "xxxx");
    call(&b, SEC, NEO_BREAKER_UNKNOWN);
    calls(&b, SEC, "..");

    assert_int_equal(neo_breaker_state(&b), NEO_BREAKER_CLOSED);
}

TEST(cancelled_calls_are_not_results)
{
    struct neo_breaker b = new_breaker();

    for (int i = 0; i < 20; i++)
        call(&b, 0, NEO_BREAKER_UNKNOWN);
    calls(&b, 0, "xxx");

    assert_int_equal(neo_breaker_state(&b), NEO_BREAKER_CLOSED);
}

static const struct neo_breaker_config in_a_row = {
    .window = 10,
    .min_results = 10,
    .failure_percent = 50,
    .probes = 1,
    .open_min = 1 * SEC,
    .open_max = 1 * SEC,
    .in_a_row = 3,
};

static enum neo_breaker_state after(const char *outcomes, bool only)
{
    struct neo_breaker b;

    neo_breaker_init(&b, &in_a_row);
    neo_breaker_rely(&b, only);
    calls(&b, 0, outcomes);
    return neo_breaker_state(&b);
}

TEST(failures_in_a_row_open_it_before_there_are_enough_results)
{
    assert_int_equal(after("xx", false), NEO_BREAKER_CLOSED);
    assert_int_equal(after("xx.xx.", false), NEO_BREAKER_CLOSED);
    assert_int_equal(after("xxx", false), NEO_BREAKER_OPEN);
    assert_int_equal(after(".......xxx", false), NEO_BREAKER_OPEN);
}

TEST(the_only_one_opens_by_failures_in_a_row_alone)
{
    assert_int_equal(after("xx.xx.xx.x", false), NEO_BREAKER_OPEN);
    assert_int_equal(after("xx.xx.xx.xx.xx.xx.", true), NEO_BREAKER_CLOSED);
    assert_int_equal(after("xx.xx.xx.xx.xxx", true), NEO_BREAKER_OPEN);
}

/* reliability Q10, with eight workers at the same door. */
enum { WORKERS = 8, HOURS = 300 };

static const struct neo_breaker_config one_probe = {
    .window = 4,
    .min_results = 1,
    .failure_percent = 1,
    .probes = 1,
    .open_min = 1 * SEC,
    .open_max = 1 * SEC,
};
static struct neo_breaker shared;
static pthread_barrier_t barrier;
static _Atomic unsigned probes;

static void *probe(void *unused)
{
    (void)unused;
    for (neo_nsec hour = 1; hour <= HOURS; hour++) {
        struct neo_breaker_permit permit;
        pthread_barrier_wait(&barrier);
        bool mine = neo_breaker_enter(&shared, hour * 3600 * SEC, &permit);
        if (mine)
            atomic_fetch_add(&probes, 1);
        pthread_barrier_wait(&barrier);
        if (mine)
            neo_breaker_leave(&shared, permit, NEO_BREAKER_FAILURE, hour * 3600 * SEC);
    }
    return NULL;
}

TEST(workers_that_share_a_breaker_share_its_one_probe)
{
    pthread_t workers[WORKERS];

    neo_breaker_init(&shared, &one_probe);
    call(&shared, 0, NEO_BREAKER_FAILURE);
    atomic_store(&probes, 0);
    assert_int_equal(pthread_barrier_init(&barrier, NULL, WORKERS), 0);
    for (size_t i = 0; i < WORKERS; i++)
        assert_int_equal(pthread_create(&workers[i], NULL, probe, NULL), 0);
    for (size_t i = 0; i < WORKERS; i++)
        assert_int_equal(pthread_join(workers[i], NULL), 0);
    assert_int_equal(atomic_load(&probes), HOURS);
    assert_int_equal(neo_breaker_state(&shared), NEO_BREAKER_OPEN);
    (void)pthread_barrier_destroy(&barrier);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_on_too_many_recent_failures),
        cmocka_unit_test(admits_nothing_while_open),
        cmocka_unit_test(half_open_admits_only_its_probes),
        cmocka_unit_test(closes_when_every_probe_succeeds),
        cmocka_unit_test(a_recovered_breaker_starts_from_nothing),
        cmocka_unit_test(a_failed_probe_discards_earlier_successes),
        cmocka_unit_test(each_failed_probe_doubles_the_wait_up_to_the_limit),
        cmocka_unit_test(recovery_restores_the_first_wait),
        cmocka_unit_test(a_call_from_a_past_era_decides_nothing),
        cmocka_unit_test(a_cancelled_probe_gives_its_place_to_another),
        cmocka_unit_test(cancelled_calls_are_not_results),
        cmocka_unit_test(failures_in_a_row_open_it_before_there_are_enough_results),
        cmocka_unit_test(the_only_one_opens_by_failures_in_a_row_alone),
        cmocka_unit_test(workers_that_share_a_breaker_share_its_one_probe),
    };
    return cmocka_run_group_tests_name("guard/breaker", tests, NULL, NULL);
}
