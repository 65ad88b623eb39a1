/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include <neo/admission.h>

#include <string.h>

#define MSEC NEO_NSEC_PER_MSEC
#define SEC  NEO_NSEC_PER_SEC

enum { LIMIT = 10, QUEUE = 4 };

static struct neo_admission new_admission(void)
{
    struct neo_admission a;

    neo_admission_init(&a, LIMIT, QUEUE);
    return a;
}

static struct neo_admission_ticket ticket(enum neo_criticality criticality)
{
    return (struct neo_admission_ticket){.criticality = criticality};
}

static enum neo_admission_verdict enter(struct neo_admission *a, enum neo_criticality criticality,
                                        neo_nsec now)
{
    static struct neo_admission_ticket t[64];
    static unsigned n;
    struct neo_admission_ticket *mine = &t[n++ % 64];

    *mine = ticket(criticality);
    return neo_admission_enter(a, mine, now);
}

/* Fills every place with the most important calls. */
static void fill(struct neo_admission *a, neo_nsec now)
{
    for (int i = 0; i < LIMIT; i++)
        assert_int_equal(enter(a, NEO_CRITICAL_PLUS, now), NEO_ADMISSION_RUN);
}

static void assert_next(struct neo_admission *a, neo_nsec now,
                        const struct neo_admission_ticket *want, enum neo_admission_verdict verdict)
{
    enum neo_admission_verdict got;
    neo_nsec wake;

    assert_ptr_equal(neo_admission_next(a, now, &got, &wake), want);
    assert_int_equal(got, verdict);
}

static neo_nsec assert_nobody(struct neo_admission *a, neo_nsec now)
{
    enum neo_admission_verdict got;
    neo_nsec wake = 1;

    assert_null(neo_admission_next(a, now, &got, &wake));
    return wake;
}

TEST(each_class_fills_only_its_share)
{
    static const unsigned share[] = {
        [NEO_CRITICAL_PLUS] = 10,
        [NEO_CRITICAL] = 9,
        [NEO_SHEDDABLE_PLUS] = 7,
        [NEO_SHEDDABLE] = 4,
    };

    for (unsigned c = 0; c < NEO_CRITICALITIES; c++) {
        struct neo_admission a = new_admission();
        unsigned running = 0;
        while (enter(&a, (enum neo_criticality)c, SEC) == NEO_ADMISSION_RUN)
            running++;
        assert_int_equal(running, share[c]);
    }
}

TEST(a_limit_of_one_serves_every_class)
{
    for (unsigned c = 0; c < NEO_CRITICALITIES; c++) {
        struct neo_admission a;
        neo_admission_init(&a, 1, 0);
        assert_int_equal(enter(&a, (enum neo_criticality)c, SEC), NEO_ADMISSION_RUN);
        assert_int_equal(enter(&a, NEO_CRITICAL_PLUS, SEC), NEO_ADMISSION_SHED_FULL);
    }
}

TEST(the_queue_is_bounded)
{
    struct neo_admission a = new_admission();

    fill(&a, SEC);
    for (int i = 0; i < QUEUE; i++)
        assert_int_equal(enter(&a, NEO_CRITICAL, SEC), NEO_ADMISSION_WAIT);
    assert_int_equal(enter(&a, NEO_CRITICAL_PLUS, SEC), NEO_ADMISSION_SHED_FULL);
}

TEST(the_important_run_first_and_the_rest_in_order)
{
    struct neo_admission a = new_admission();
    struct neo_admission_ticket t[] = {
        ticket(NEO_SHEDDABLE),
        ticket(NEO_CRITICAL),
        ticket(NEO_CRITICAL_PLUS),
        ticket(NEO_CRITICAL),
    };

    fill(&a, SEC);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(neo_admission_enter(&a, &t[i], SEC), NEO_ADMISSION_WAIT);
    for (int i = 0; i < LIMIT; i++)
        neo_admission_leave(&a);
    assert_next(&a, SEC, &t[2], NEO_ADMISSION_RUN);
    assert_next(&a, SEC, &t[1], NEO_ADMISSION_RUN);
    assert_next(&a, SEC, &t[3], NEO_ADMISSION_RUN);
    assert_next(&a, SEC, &t[0], NEO_ADMISSION_RUN);
    assert_int_equal(assert_nobody(&a, SEC), 0);
}

TEST(room_for_one_lets_one_run)
{
    struct neo_admission a = new_admission();
    struct neo_admission_ticket t[] = {ticket(NEO_CRITICAL_PLUS), ticket(NEO_CRITICAL_PLUS)};

    fill(&a, SEC);
    assert_int_equal(neo_admission_enter(&a, &t[0], SEC), NEO_ADMISSION_WAIT);
    assert_int_equal(neo_admission_enter(&a, &t[1], SEC), NEO_ADMISSION_WAIT);
    assert_nobody(&a, SEC);
    neo_admission_leave(&a);
    assert_next(&a, SEC, &t[0], NEO_ADMISSION_RUN);
    assert_nobody(&a, SEC);
}

/* A place that is free for a moment belongs to who waits for it. */
TEST(newcomers_do_not_overtake_their_equals)
{
    struct neo_admission a = new_admission();

    fill(&a, SEC);
    assert_int_equal(enter(&a, NEO_CRITICAL, SEC), NEO_ADMISSION_WAIT);
    for (int i = 0; i < LIMIT; i++)
        neo_admission_leave(&a);
    assert_int_equal(enter(&a, NEO_CRITICAL, SEC), NEO_ADMISSION_WAIT);
    assert_int_equal(enter(&a, NEO_SHEDDABLE, SEC), NEO_ADMISSION_WAIT);
    assert_int_equal(enter(&a, NEO_CRITICAL_PLUS, SEC), NEO_ADMISSION_RUN);
}

TEST(a_burst_may_wait_100_ms)
{
    struct neo_admission a = new_admission();
    struct neo_admission_ticket t = ticket(NEO_CRITICAL);

    fill(&a, SEC);
    assert_int_equal(neo_admission_enter(&a, &t, SEC), NEO_ADMISSION_WAIT);
    assert_int_equal(assert_nobody(&a, SEC), SEC + 100 * MSEC);
    assert_nobody(&a, SEC + 100 * MSEC - 1);
    assert_next(&a, SEC + 100 * MSEC, &t, NEO_ADMISSION_SHED_FULL);
    assert_int_equal(assert_nobody(&a, SEC + 100 * MSEC), 0);
}

/* The queue is kept from emptying, so after 100 ms waits are short and the newest goes first. */
TEST(a_standing_queue_is_shortened_and_turned_around)
{
    struct neo_admission a = new_admission();
    struct neo_admission_ticket t[] = {
        ticket(NEO_CRITICAL_PLUS),
        ticket(NEO_CRITICAL_PLUS),
        ticket(NEO_CRITICAL_PLUS),
        ticket(NEO_CRITICAL_PLUS),
    };

    fill(&a, SEC);
    assert_int_equal(neo_admission_enter(&a, &t[0], SEC), NEO_ADMISSION_WAIT);
    assert_int_equal(neo_admission_enter(&a, &t[1], SEC + 60 * MSEC), NEO_ADMISSION_WAIT);
    neo_admission_leave(&a);
    assert_next(&a, SEC + 60 * MSEC, &t[0], NEO_ADMISSION_RUN);

    /* Its patience would last until 160 ms; the overload begins at 100. */
    assert_int_equal(assert_nobody(&a, SEC + 60 * MSEC), SEC + 100 * MSEC);
    assert_int_equal(neo_admission_enter(&a, &t[2], SEC + 97 * MSEC), NEO_ADMISSION_WAIT);
    assert_int_equal(neo_admission_enter(&a, &t[3], SEC + 98 * MSEC), NEO_ADMISSION_WAIT);
    assert_next(&a, SEC + 100 * MSEC, &t[1], NEO_ADMISSION_SHED_FULL);
    assert_int_equal(assert_nobody(&a, SEC + 100 * MSEC), SEC + 102 * MSEC);
    neo_admission_leave(&a);
    assert_next(&a, SEC + 101 * MSEC, &t[3], NEO_ADMISSION_RUN);
    assert_next(&a, SEC + 102 * MSEC, &t[2], NEO_ADMISSION_SHED_FULL);
}

TEST(an_emptied_queue_is_patient_again)
{
    struct neo_admission a = new_admission();
    struct neo_admission_ticket t[] = {ticket(NEO_CRITICAL_PLUS), ticket(NEO_CRITICAL_PLUS)};

    fill(&a, SEC);
    assert_int_equal(neo_admission_enter(&a, &t[0], SEC), NEO_ADMISSION_WAIT);
    assert_next(&a, 2 * SEC, &t[0], NEO_ADMISSION_SHED_FULL);
    assert_int_equal(neo_admission_enter(&a, &t[1], 2 * SEC), NEO_ADMISSION_WAIT);
    assert_int_equal(assert_nobody(&a, 2 * SEC), 2 * SEC + 100 * MSEC);
}

TEST(a_call_without_time_for_its_work_is_shed)
{
    struct neo_admission a = new_admission();
    struct neo_admission_ticket t = {
        .criticality = NEO_CRITICAL_PLUS, .deadline = 2 * SEC, .usual = 10 * MSEC};

    assert_int_equal(neo_admission_enter(&a, &t, 2 * SEC - 10 * MSEC), NEO_ADMISSION_RUN);
    assert_int_equal(neo_admission_enter(&a, &t, 2 * SEC - 10 * MSEC + 1), NEO_ADMISSION_SHED_LATE);
    t.usual = 0;
    assert_int_equal(neo_admission_enter(&a, &t, 2 * SEC - 1), NEO_ADMISSION_RUN);
    assert_int_equal(neo_admission_enter(&a, &t, 2 * SEC), NEO_ADMISSION_SHED_LATE);
    assert_int_equal(neo_admission_enter(&a, &t, 3 * SEC), NEO_ADMISSION_SHED_LATE);
}

TEST(a_call_that_grew_late_while_waiting_is_shed_and_takes_no_place)
{
    struct neo_admission a = new_admission();
    struct neo_admission_ticket late = {
        .criticality = NEO_CRITICAL_PLUS, .deadline = SEC + 20 * MSEC, .usual = 10 * MSEC};
    struct neo_admission_ticket fine = ticket(NEO_CRITICAL_PLUS);

    fill(&a, SEC);
    assert_int_equal(neo_admission_enter(&a, &late, SEC), NEO_ADMISSION_WAIT);
    assert_int_equal(neo_admission_enter(&a, &fine, SEC), NEO_ADMISSION_WAIT);
    neo_admission_leave(&a);
    assert_next(&a, SEC + 11 * MSEC, &late, NEO_ADMISSION_SHED_LATE);
    assert_next(&a, SEC + 11 * MSEC, &fine, NEO_ADMISSION_RUN);
    assert_nobody(&a, SEC + 11 * MSEC);
}

TEST(a_cancelled_call_is_forgotten)
{
    struct neo_admission a = new_admission();
    struct neo_admission_ticket t[] = {
        ticket(NEO_CRITICAL),
        ticket(NEO_CRITICAL),
        ticket(NEO_CRITICAL),
    };

    fill(&a, SEC);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(neo_admission_enter(&a, &t[i], SEC), NEO_ADMISSION_WAIT);
    neo_admission_cancel(&a, &t[1]);
    neo_admission_cancel(&a, &t[1]);
    for (int i = 0; i < LIMIT; i++)
        neo_admission_leave(&a);
    assert_next(&a, SEC, &t[0], NEO_ADMISSION_RUN);
    neo_admission_cancel(&a, &t[2]);
    assert_int_equal(assert_nobody(&a, SEC), 0);
    neo_admission_cancel(&a, &t[0]);
}

TEST(newcomers_wait_behind_the_more_important)
{
    struct neo_admission a = new_admission();

    fill(&a, SEC);
    assert_int_equal(enter(&a, NEO_CRITICAL_PLUS, SEC), NEO_ADMISSION_WAIT);
    for (int i = 0; i < LIMIT; i++)
        neo_admission_leave(&a);
    assert_int_equal(enter(&a, NEO_CRITICAL, SEC), NEO_ADMISSION_WAIT);
}

TEST(a_ticket_may_come_with_anything_in_its_private_part)
{
    struct neo_admission a = new_admission();
    struct neo_admission_ticket t[2];

    for (size_t i = 0; i < 2; i++) {
        memset(&t[i], 0x5a, sizeof(t[i]));
        t[i].criticality = NEO_CRITICAL_PLUS;
        t[i].deadline = t[i].usual = 0;
        t[i].waiting = true;
    }
    assert_int_equal(neo_admission_enter(&a, &t[0], SEC), NEO_ADMISSION_RUN);
    neo_admission_cancel(&a, &t[0]);
    neo_admission_leave(&a);
    fill(&a, SEC);
    t[0].waiting = true;
    assert_int_equal(neo_admission_enter(&a, &t[0], SEC), NEO_ADMISSION_WAIT);
    assert_int_equal(neo_admission_enter(&a, &t[1], SEC), NEO_ADMISSION_WAIT);
    neo_admission_cancel(&a, &t[1]);
    neo_admission_cancel(&a, &t[0]);
    assert_int_equal(assert_nobody(&a, SEC), 0);
}

/* Random traffic against plain counting: no call is lost, none runs beyond its share. */
TEST(every_call_is_accounted_for)
{
    enum { CALLS = 200000, OPEN = 64 };
    static struct neo_admission_ticket t[OPEN];
    static char phase[OPEN]; /* 0 idle, 'w' waiting, 'r' running */
    struct neo_admission a = new_admission();
    uint64_t seed = 9;
    neo_nsec now = SEC;
    unsigned running = 0;

    for (int i = 0; i < CALLS; i++) {
        size_t k = (size_t)unit_random(&seed, OPEN);
        enum neo_admission_verdict verdict;
        neo_nsec wake = 0;
        now += unit_random(&seed, 3 * MSEC);
        if (phase[k] == 0) {
            t[k] = ticket((enum neo_criticality)unit_random(&seed, NEO_CRITICALITIES));
            t[k].deadline = unit_random(&seed, 2) == 0 ? 0 : now + unit_random(&seed, 90 * MSEC);
            verdict = neo_admission_enter(&a, &t[k], now);
            phase[k] = verdict == NEO_ADMISSION_RUN ? 'r' : verdict == NEO_ADMISSION_WAIT ? 'w' : 0;
            running += phase[k] == 'r';
        } else if (phase[k] == 'w' && unit_random(&seed, 4) == 0) {
            neo_admission_cancel(&a, &t[k]);
            phase[k] = 0;
        } else if (phase[k] == 'r') {
            neo_admission_leave(&a);
            phase[k] = 0;
            running--;
        }
        for (struct neo_admission_ticket *next;
             (next = neo_admission_next(&a, now, &verdict, &wake)) != NULL;) {
            assert_int_equal(phase[next - t], 'w');
            phase[next - t] = verdict == NEO_ADMISSION_RUN ? 'r' : 0;
            running += verdict == NEO_ADMISSION_RUN;
        }
        size_t waiting = 0;
        for (size_t j = 0; j < OPEN; j++)
            waiting += phase[j] == 'w';
        assert_int_equal(waiting == 0, wake == 0);
        assert_true(wake == 0 || wake > now);
        assert_true(waiting <= QUEUE);
        assert_true(running <= LIMIT);
    }
}

TEST(the_median_is_found_and_followed)
{
    struct neo_median m = {0};
    uint64_t seed = 4;

    neo_median_add(&m, 50 * MSEC);
    assert_int_equal(m.value, 50 * MSEC);
    for (int i = 0; i < 2000; i++) /* nine in ten take 1 to 3 ms, one takes a second */
        neo_median_add(&m, unit_random(&seed, 10) == 0 ? SEC : MSEC + unit_random(&seed, 2 * MSEC));
    assert_in_range(m.value, 1800 * MSEC / 1000, 2500 * MSEC / 1000);
    for (int i = 0; i < 300; i++)
        neo_median_add(&m, 20 * MSEC);
    assert_in_range(m.value, 19 * MSEC, 21 * MSEC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_class_fills_only_its_share),
        cmocka_unit_test(a_limit_of_one_serves_every_class),
        cmocka_unit_test(the_queue_is_bounded),
        cmocka_unit_test(the_important_run_first_and_the_rest_in_order),
        cmocka_unit_test(room_for_one_lets_one_run),
        cmocka_unit_test(newcomers_do_not_overtake_their_equals),
        cmocka_unit_test(a_burst_may_wait_100_ms),
        cmocka_unit_test(a_standing_queue_is_shortened_and_turned_around),
        cmocka_unit_test(an_emptied_queue_is_patient_again),
        cmocka_unit_test(a_call_without_time_for_its_work_is_shed),
        cmocka_unit_test(a_call_that_grew_late_while_waiting_is_shed_and_takes_no_place),
        cmocka_unit_test(a_cancelled_call_is_forgotten),
        cmocka_unit_test(newcomers_wait_behind_the_more_important),
        cmocka_unit_test(a_ticket_may_come_with_anything_in_its_private_part),
        cmocka_unit_test(every_call_is_accounted_for),
        cmocka_unit_test(the_median_is_found_and_followed),
    };
    return cmocka_run_group_tests_name("guard/admission", tests, NULL, NULL);
}
