/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/unit.h"

#include "io/timers.h"

#include <neo/bytes.h>

enum { MANY = 200 };

struct alarm {
    struct neo_timer timer;
    int id;
};

static struct timers timers;
static struct alarm alarms[MANY];
static int rung[MANY * 4];
static size_t n_rung;

static void ring(struct neo_timer *timer)
{
    rung[n_rung++] = neo_owner(timer, struct alarm, timer)->id;
}

static int begin(void **state)
{
    (void)state;
    timers = (struct timers){0};
    n_rung = 0;
    for (int i = 0; i < MANY; i++)
        alarms[i] = (struct alarm){.timer = {.expired = ring}, .id = i};
    return 0;
}

TEST(nothing_is_due_in_the_beginning)
{
    timers_expire(&timers, UINT64_MAX);
    assert_int_equal(n_rung, 0);
    assert_false(neo_timer_is_armed(&alarms[0].timer));
}

TEST(expire_in_the_order_of_their_instants)
{
    timers_arm(&timers, &alarms[0].timer, 30);
    timers_arm(&timers, &alarms[1].timer, 10);
    timers_arm(&timers, &alarms[2].timer, 20);

    timers_expire(&timers, 9);
    assert_int_equal(n_rung, 0);
    timers_expire(&timers, 30);
    assert_int_equal(n_rung, 3);
    assert_int_equal(rung[0], 1);
    assert_int_equal(rung[1], 2);
    assert_int_equal(rung[2], 0);
}

TEST(expire_in_the_order_of_arming_at_the_same_instant)
{
    for (int i = 0; i < MANY; i++)
        timers_arm(&timers, &alarms[i].timer, 7);
    timers_expire(&timers, 7);

    assert_int_equal(n_rung, MANY);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(rung[i], i);
}

TEST(the_first_is_always_the_earliest)
{
    timers_arm(&timers, &alarms[0].timer, 5);
    timers_arm(&timers, &alarms[1].timer, 3);
    assert_ptr_equal(timers.first, &alarms[1].timer);
    timers_disarm(&timers, &alarms[1].timer);
    assert_ptr_equal(timers.first, &alarms[0].timer);
    timers_disarm(&timers, &alarms[0].timer);
    assert_null(timers.first);
}

TEST(disarming_twice_is_harmless)
{
    timers_arm(&timers, &alarms[0].timer, 5);
    timers_disarm(&timers, &alarms[0].timer);
    timers_disarm(&timers, &alarms[0].timer);
    assert_false(neo_timer_is_armed(&alarms[0].timer));
}

TEST(rearming_forgets_the_former_instant_and_place)
{
    timers_arm(&timers, &alarms[0].timer, 5);
    timers_arm(&timers, &alarms[1].timer, 9);
    timers_arm(&timers, &alarms[0].timer, 9);
    timers_expire(&timers, 5);
    assert_int_equal(n_rung, 0);
    timers_expire(&timers, 9);
    assert_int_equal(rung[0], 1);
    assert_int_equal(rung[1], 0);
}

static void ring_and_arm_again(struct neo_timer *timer)
{
    ring(timer);
    timers_arm(&timers, timer, timer->at);
    if (!neo_timer_is_armed(&alarms[1].timer))
        timers_arm(&timers, &alarms[1].timer, timer->at);
}

TEST(what_is_armed_meanwhile_waits_for_the_next_time)
{
    alarms[0].timer.expired = ring_and_arm_again;
    timers_arm(&timers, &alarms[0].timer, 4);
    timers_expire(&timers, 4);
    assert_int_equal(n_rung, 1);
    timers_expire(&timers, 4);
    assert_int_equal(n_rung, 3);
    assert_int_equal(rung[1], 0);
    assert_int_equal(rung[2], 1);
}

/* The oracle: the earliest of all that are armed, by looking at each. */
static int earliest(const neo_nsec at[], const uint64_t order[])
{
    int best = -1;

    for (int i = 0; i < MANY; i++)
        if (order[i] != 0 &&
            (best < 0 || at[i] < at[best] || (at[i] == at[best] && order[i] < order[best])))
            best = i;
    return best;
}

TEST(agrees_with_a_plain_list_whatever_is_done)
{
    neo_nsec at[MANY] = {0};
    uint64_t order[MANY] = {0}; /* 0: not armed */
    uint64_t seed = 3, next = 1;

    for (int step = 0; step < 20000; step++) {
        int i = (int)unit_random(&seed, MANY);
        if (unit_random(&seed, 3) > 0) {
            at[i] = unit_random(&seed, 50);
            order[i] = next++;
            timers_arm(&timers, &alarms[i].timer, at[i]);
        } else {
            order[i] = 0;
            timers_disarm(&timers, &alarms[i].timer);
        }
        assert_int_equal(neo_timer_is_armed(&alarms[i].timer), order[i] != 0);
        int first = earliest(at, order);
        assert_ptr_equal(timers.first, first < 0 ? NULL : &alarms[first].timer);
    }
    timers_expire(&timers, 50);
    for (size_t k = 0; k < n_rung; k++) {
        int first = earliest(at, order);
        assert_int_equal(rung[k], first);
        order[first] = 0;
    }
    assert_int_equal(earliest(at, order), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(nothing_is_due_in_the_beginning, begin),
        cmocka_unit_test_setup(expire_in_the_order_of_their_instants, begin),
        cmocka_unit_test_setup(expire_in_the_order_of_arming_at_the_same_instant, begin),
        cmocka_unit_test_setup(the_first_is_always_the_earliest, begin),
        cmocka_unit_test_setup(disarming_twice_is_harmless, begin),
        cmocka_unit_test_setup(rearming_forgets_the_former_instant_and_place, begin),
        cmocka_unit_test_setup(what_is_armed_meanwhile_waits_for_the_next_time, begin),
        cmocka_unit_test_setup(agrees_with_a_plain_list_whatever_is_done, begin),
    };
    return cmocka_run_group_tests_name("io/timers", tests, NULL, NULL);
}
