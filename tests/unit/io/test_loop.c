/* SPDX-License-Identifier: Apache-2.0 */
/* The promises of <neo/loop.h>; built against the real loop and against the twin. */
#include "fixture.h"

#include <sched.h>
#include <stdatomic.h>

struct alarm {
    struct neo_timer timer;
    struct alarm *other;
    int id;
};

static int log_of[64];
static size_t logged;

static void note(int id)
{
    assert_true(logged < NEO_COUNT(log_of));
    log_of[logged++] = id;
}

static void assert_log(const char *expected)
{
    char text[NEO_COUNT(log_of) + 1] = {0};

    for (size_t i = 0; i < logged; i++)
        text[i] = (char)('0' + log_of[i]);
    assert_string_equal(text, expected);
}

static int begin(void **state)
{
    logged = 0;
    return begin_test(state);
}

static void ring(struct neo_timer *timer)
{
    struct alarm *alarm = neo_owner(timer, struct alarm, timer);

    assert_true(neo_loop_is_current(loop));
    assert_true(neo_loop_now(loop) >= timer->at);
    assert_false(neo_timer_is_armed(timer));
    note(alarm->id);
}

TEST(timers_come_in_the_order_of_their_instants_and_of_arming)
{
    struct alarm a[4];
    neo_nsec now = neo_loop_now(loop);
    static const neo_nsec in[] = {3, 1, 2, 1};

    for (int i = 0; i < 4; i++) {
        a[i] = (struct alarm){.timer = {.expired = ring}, .id = i};
        neo_loop_arm(loop, &a[i].timer, now + in[i] * MSEC);
    }
    run_for(5 * MSEC);
    assert_log("1320");
}

TEST(a_timer_never_comes_early)
{
    struct alarm a = {.timer = {.expired = ring}};

    for (neo_nsec wait = 1; wait < 5 * MSEC; wait = wait * 3 + 1) {
        neo_nsec at = neo_loop_now(loop) + wait;
        neo_loop_arm(loop, &a.timer, at);
        run_for(wait + MSEC);
        assert_true(neo_mono_nsec() >= at); /* ring() has looked at the instant itself */
        assert_false(neo_timer_is_armed(&a.timer));
    }
}

static void ring_and_disarm_other(struct neo_timer *timer)
{
    struct alarm *alarm = neo_owner(timer, struct alarm, timer);

    note(alarm->id);
    neo_loop_disarm(loop, &alarm->other->timer);
    neo_free(alarm->other);
}

TEST(an_expired_timer_that_another_disarms_does_not_come_and_may_be_freed)
{
    struct alarm *other = neo_alloc(sizeof(*other));
    struct alarm a = {.timer = {.expired = ring_and_disarm_other}, .other = other, .id = 1};
    neo_nsec at = neo_loop_now(loop) + MSEC;

    *other = (struct alarm){.timer = {.expired = ring}, .id = 2};
    neo_loop_arm(loop, &a.timer, at);
    neo_loop_arm(loop, &other->timer, at);
    run_for(3 * MSEC);
    assert_log("1");
}

static neo_nsec rung_at[8];

static void ring_again_at_once(struct neo_timer *timer)
{
    rung_at[logged] = neo_loop_now(loop);
    note(neo_owner(timer, struct alarm, timer)->id);
    if (logged < 4)
        neo_loop_arm(loop, timer, 0);
    else
        neo_loop_stop(loop);
}

TEST(a_timer_armed_for_the_past_comes_in_the_next_turn_not_in_this)
{
    struct alarm a = {.timer = {.expired = ring_again_at_once}, .id = 1};

    neo_loop_arm(loop, &a.timer, 0);
    run();
    assert_log("1111");
    for (int i = 1; i < 4; i++)
        assert_true(rung_at[i] > rung_at[i - 1]);
}

static void ring_and_put_off_other(struct neo_timer *timer)
{
    struct alarm *alarm = neo_owner(timer, struct alarm, timer);

    note(alarm->id);
    neo_loop_arm(loop, &alarm->other->timer, neo_loop_now(loop) + 2 * MSEC);
}

static void ring_and_stop(struct neo_timer *timer)
{
    ring(timer);
    neo_loop_stop(loop);
}

/* Until it has come, not for a while: on a busy machine a turn may be later than any while. */
TEST(an_expired_timer_that_another_puts_off_comes_later)
{
    struct alarm b = {.timer = {.expired = ring_and_stop}, .id = 2};
    struct alarm a = {.timer = {.expired = ring_and_put_off_other}, .other = &b, .id = 1};
    neo_nsec at = neo_loop_now(loop) + MSEC;

    neo_loop_arm(loop, &a.timer, at);
    neo_loop_arm(loop, &b.timer, at);
    run();
    assert_log("12");
    assert_true(b.timer.at >= at + 2 * MSEC);
}

TEST(a_disarmed_timer_does_not_come)
{
    struct alarm a = {.timer = {.expired = ring}, .id = 1};

    neo_loop_disarm(loop, &a.timer); /* not armed: nothing happens */
    neo_loop_arm(loop, &a.timer, neo_loop_now(loop) + MSEC);
    assert_true(neo_timer_is_armed(&a.timer));
    neo_loop_disarm(loop, &a.timer);
    assert_false(neo_timer_is_armed(&a.timer));
    run_for(3 * MSEC);
    assert_log("");
}

static void stay_a_while(struct neo_timer *timer)
{
    neo_nsec now = neo_loop_now(loop);

    (void)timer;
#ifndef NEO_SIM
    while (neo_mono_nsec() < now + MSEC)
        ; /* in the twin, code takes no time */
#endif
    assert_int_equal(neo_loop_now(loop), now);
    neo_loop_stop(loop);
}

TEST(now_stands_still_within_a_turn_and_never_goes_back)
{
    struct neo_timer timer = {.expired = stay_a_while};
    neo_nsec before = neo_loop_now(loop);

    neo_loop_arm(loop, &timer, before);
    run();
    assert_true(neo_loop_now(loop) >= before);
}

struct errand {
    struct neo_job job;
    struct errand *next;
    int id;
};

static void run_errand(struct neo_job *job)
{
    struct errand *errand = neo_owner(job, struct errand, job);

    assert_true(neo_loop_is_current(loop));
    note(errand->id);
    if (errand->next != NULL)
        neo_loop_post(loop, &errand->next->job);
    else
        neo_loop_stop(loop);
    neo_free(errand);
}

static struct errand *new_errand(int id, struct errand *next)
{
    struct errand *errand = neo_alloc(sizeof(*errand));

    *errand = (struct errand){.job = {.run = run_errand}, .next = next, .id = id};
    return errand;
}

TEST(jobs_run_in_the_order_they_were_posted_and_may_free_themselves)
{
    struct errand *last = new_errand(4, NULL);

    neo_loop_post(loop, &new_errand(1, last)->job);
    neo_loop_post(loop, &new_errand(2, new_errand(5, NULL))->job);
    neo_loop_post(loop, &new_errand(3, new_errand(6, NULL))->job);
    run();
    assert_log("123456");
}

static void post_errands(struct neo_timer *timer)
{
    (void)timer;
    neo_loop_post(loop, &new_errand(1, new_errand(2, new_errand(3, NULL)))->job);
}

TEST(a_job_posted_on_the_loop_itself_does_not_wait_for_anything_else)
{
    struct neo_timer timer = {.expired = post_errands};
    neo_nsec before = neo_mono_nsec();

    neo_loop_arm(loop, &timer, 0);
    run();
    assert_log("123");
    assert_true(neo_mono_nsec() - before < SEC);
}

TEST(a_stop_before_the_run_lets_one_turn_pass)
{
    neo_loop_post(loop, &new_errand(1, NULL)->job); /* stops as well */
    neo_loop_stop(loop);
    neo_loop_run(loop);
    assert_log("1");
}

TEST(can_be_run_again_after_a_stop)
{
    for (int i = 1; i < 4; i++) {
        neo_loop_post(loop, &new_errand(i, NULL)->job);
        run();
    }
    assert_log("123");
}

struct sum {
    struct neo_task task;
    int a, b, result;
    bool was_elsewhere;
};

static void add(struct neo_job *job)
{
    struct sum *sum = neo_owner(job, struct sum, task.job);

    sum->result = sum->a + sum->b;
#ifdef NEO_SIM
    sum->was_elsewhere = !neo_loop_is_current(loop);
#else
    sum->was_elsewhere = gettid() != getpid();
#endif
}

static void report(struct neo_job *job)
{
    struct sum *sum = neo_owner(job, struct sum, task.job);

    assert_true(neo_loop_is_current(loop));
    note(sum->result);
    neo_loop_stop(loop);
}

TEST(offloaded_work_is_done_elsewhere_and_reported_here)
{
    struct sum sum = {.task = {.work = add, .done = report}, .a = 3, .b = 4};

    neo_loop_offload(loop, &sum.task);
    run();
    assert_log("7");
    assert_true(sum.was_elsewhere);
}

static void count_report(struct neo_job *job)
{
    (void)job;
    if (++logged == 40)
        neo_loop_stop(loop);
}

static void do_nothing(struct neo_job *job)
{
    (void)job;
}

TEST(more_work_than_threads_is_all_done)
{
    static struct neo_task tasks[40];

    for (int i = 0; i < 40; i++) {
        tasks[i] = (struct neo_task){.work = do_nothing, .done = count_report};
        neo_loop_offload(loop, &tasks[i]);
    }
    run();
    assert_int_equal(logged, 40);
}

/* --- lanes ------------------------------------------------------------------------------------ */

static struct {
    atomic_uint at_once, most;
    atomic_bool go;
    unsigned done;
} narrow;

static void work_in_lane(struct neo_job *job)
{
    unsigned now = atomic_fetch_add(&narrow.at_once, 1) + 1;

    (void)job;
    if (now > atomic_load(&narrow.most))
        atomic_store(&narrow.most, now);
    while (!atomic_load(&narrow.go))
        sched_yield();
    atomic_fetch_sub(&narrow.at_once, 1);
}

static void lane_done(struct neo_job *job)
{
    (void)job;
    if (++narrow.done == 11)
        neo_loop_stop(loop);
}

TEST(a_lane_refuses_what_is_too_much_and_runs_no_more_at_once_than_it_is_wide)
{
    static struct neo_lane lane = {.width = 1, .length = 10};
    static struct neo_task tasks[12];

    for (size_t i = 0; i < NEO_COUNT(tasks); i++) {
        tasks[i] = (struct neo_task){.work = work_in_lane, .done = lane_done};
        assert_int_equal(neo_loop_offload_in(loop, &lane, &tasks[i]), i < 11);
    }
    atomic_store(&narrow.go, true);
    run();
    assert_int_equal(narrow.done, 11);
    assert_int_equal(atomic_load(&narrow.most), 1);
    assert_int_equal(lane.running + lane.waiting, 0);
}

static void count_down(struct neo_job *job)
{
    (void)job;
    if (--narrow.done == 0)
        neo_loop_stop(loop);
}

static void enter(struct neo_lane *lane, struct neo_task *task)
{
    *task = (struct neo_task){.work = work_in_lane, .done = count_down};
    assert_true(neo_loop_offload_in(loop, lane, task));
}

static void begin_lanes(void)
{
    atomic_store(&narrow.most, 0);
    atomic_store(&narrow.go, false);
}

static void end_lanes(unsigned n)
{
    narrow.done = n;
    atomic_store(&narrow.go, true);
    run();
    assert_int_equal(narrow.done, 0);
}

TEST(a_task_that_is_taken_back_while_it_waits_is_neither_done_nor_reported)
{
    static struct neo_lane lane = {.width = 1, .length = 10};
    static struct neo_task tasks[6];

    begin_lanes();
    for (size_t i = 0; i < 5; i++)
        enter(&lane, &tasks[i]);
    assert_false(neo_loop_withdraw(&tasks[0])); /* a thread has it */
    assert_true(neo_loop_withdraw(&tasks[1]));  /* the first, one in the middle, the last */
    assert_true(neo_loop_withdraw(&tasks[3]));
    assert_true(neo_loop_withdraw(&tasks[4]));
    assert_false(neo_loop_withdraw(&tasks[4]));
    assert_int_equal(lane.waiting, 1);
    enter(&lane, &tasks[5]);
    end_lanes(3);
    assert_int_equal(lane.running + lane.waiting, 0);
    assert_false(neo_loop_withdraw(&tasks[5]));
}

TEST(a_lane_within_another_runs_no_more_than_both_allow)
{
    static struct neo_lane outer = {.width = 4, .length = 10};
    static struct neo_lane inner = {.width = 3, .length = 10, .within = &outer};
    static struct neo_task tasks[8];

    begin_lanes();
    for (size_t i = 0; i < 6; i++)
        enter(&inner, &tasks[i]);
    assert_int_equal(outer.running, 3);
    assert_int_equal(inner.waiting, 3);
    enter(&outer, &tasks[6]); /* has the place that is not for those within */
    enter(&outer, &tasks[7]);
    assert_int_equal(outer.running, 4);
    assert_int_equal(outer.waiting, 1);
    end_lanes(8);
    assert_true(atomic_load(&narrow.most) <= 4);
    assert_int_equal(inner.running + inner.waiting + outer.running + outer.waiting, 0);
}

TEST(who_is_taken_back_from_the_outer_lane_leaves_its_place_in_the_inner_to_the_next)
{
    static struct neo_lane outer = {.width = 2, .length = 10};
    static struct neo_lane inner = {.width = 2, .length = 10, .within = &outer};
    static struct neo_task tasks[5];

    begin_lanes();
    enter(&outer, &tasks[0]);
    enter(&inner, &tasks[1]);
    enter(&inner, &tasks[2]); /* waits for the outer lane, */
    enter(&inner, &tasks[3]); /* and this one for the inner */
    enter(&outer, &tasks[4]);
    assert_int_equal(inner.waiting, 1);
    assert_int_equal(outer.waiting, 2);
    assert_true(neo_loop_withdraw(&tasks[2]));
    assert_int_equal(inner.running, 2);
    assert_int_equal(inner.waiting, 0);
    assert_int_equal(outer.waiting, 2);
    end_lanes(4);
    assert_true(atomic_load(&narrow.most) <= 2);
    assert_int_equal(inner.running + inner.waiting + outer.running + outer.waiting, 0);
}

TEST(free_finishes_what_is_under_way)
{
    struct sum sum = {.task = {.work = do_nothing, .done = report}, .result = 5};
    struct neo_loop *kept = loop;

    assert_int_equal(neo_loop_new(&loop, NULL), NEO_OK);
    neo_loop_offload(loop, &sum.task);
    neo_loop_post(loop, &new_errand(1, new_errand(2, NULL))->job);
    neo_loop_free(loop);
    loop = kept;
    assert_int_equal(logged, 3);
}

static void on_signal(void *self, int signal)
{
    int *seen = self;

    assert_true(neo_loop_is_current(loop));
    *seen = signal;
    neo_loop_stop(loop);
}

TEST(a_signal_is_told_to_the_loop)
{
    int usr1 = 0, usr2 = 0;

    assert_int_equal(neo_loop_on_signal(loop, SIGUSR1, on_signal, &usr1, NULL), NEO_OK);
    assert_int_equal(neo_loop_on_signal(loop, SIGUSR2, on_signal, &usr2, NULL), NEO_OK);
    for (int i = 0; i < 2; i++) {
        usr1 = 0;
        raise_signal(SIGUSR1);
        run();
        assert_int_equal(usr1, SIGUSR1);
    }
    assert_int_equal(usr2, 0);
    raise_signal(SIGUSR2);
    run();
    assert_int_equal(usr2, SIGUSR2);
}

TEST(a_signal_nobody_can_take_over_is_refused)
{
    struct neo_error err;

    assert_int_equal(neo_loop_on_signal(loop, SIGKILL, on_signal, NULL, &err),
                     NEO_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "signal 9"));
    assert_int_equal(neo_loop_on_signal(loop, 0, on_signal, NULL, NULL), NEO_INVALID_ARGUMENT);
}

TEST(a_loop_is_anybodys_while_nobody_runs_it)
{
    assert_true(neo_loop_is_current(loop));
}

TEST(the_clocks_agree_about_how_time_passes)
{
    neo_nsec mono = neo_mono_nsec();
    int64_t wall = neo_wall_nsec();

    assert_true(wall > INT64_C(1700000000) * (int64_t)SEC);
    run_for(20 * MSEC);
    neo_nsec passed = neo_mono_nsec() - mono;
    int64_t wall_passed = neo_wall_nsec() - wall;
    assert_true(passed >= 20 * MSEC);
    assert_true(llabs(wall_passed - (int64_t)passed) < (int64_t)(100 * MSEC));
}

TEST(running_out_of_memory_is_reported_and_leaves_nothing)
{
    struct neo_loop *none = NULL;

    neo_memory_fail_at(1);
    assert_int_equal(neo_loop_new(&none, NULL), NEO_RESOURCE_EXHAUSTED);
    assert_int_equal(neo_loop_on_signal(loop, SIGUSR1, on_signal, NULL, NULL),
                     NEO_RESOURCE_EXHAUSTED);
    neo_memory_fail_at(0);
    assert_null(none);
}

#define test(name) cmocka_unit_test_setup_teardown(name, begin, end_test)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(timers_come_in_the_order_of_their_instants_and_of_arming),
        test(a_timer_never_comes_early),
        test(an_expired_timer_that_another_disarms_does_not_come_and_may_be_freed),
        test(a_timer_armed_for_the_past_comes_in_the_next_turn_not_in_this),
        test(an_expired_timer_that_another_puts_off_comes_later),
        test(a_disarmed_timer_does_not_come),
        test(now_stands_still_within_a_turn_and_never_goes_back),
        test(jobs_run_in_the_order_they_were_posted_and_may_free_themselves),
        test(a_job_posted_on_the_loop_itself_does_not_wait_for_anything_else),
        test(a_stop_before_the_run_lets_one_turn_pass),
        test(can_be_run_again_after_a_stop),
        test(offloaded_work_is_done_elsewhere_and_reported_here),
        test(a_lane_refuses_what_is_too_much_and_runs_no_more_at_once_than_it_is_wide),
        test(a_task_that_is_taken_back_while_it_waits_is_neither_done_nor_reported),
        test(a_lane_within_another_runs_no_more_than_both_allow),
        test(who_is_taken_back_from_the_outer_lane_leaves_its_place_in_the_inner_to_the_next),
        test(more_work_than_threads_is_all_done),
        test(free_finishes_what_is_under_way),
        test(a_signal_is_told_to_the_loop),
        test(a_signal_nobody_can_take_over_is_refused),
        test(a_loop_is_anybodys_while_nobody_runs_it),
        test(the_clocks_agree_about_how_time_passes),
        test(running_out_of_memory_is_reported_and_leaves_nothing),
    };
    return cmocka_run_group_tests_name("io/loop", tests, NULL, NULL);
}
