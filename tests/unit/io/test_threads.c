/* SPDX-License-Identifier: Apache-2.0 */
/* Where threads meet: for TSan above all. The real loop only. */
#include "fixture.h"

#include <neo/runtime.h>

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

enum { POSTERS = 4, JOBS = 2000, ROUNDS = 300 };

struct numbered {
    struct neo_job job;
    unsigned poster;
    unsigned number;
};

static unsigned next_of[POSTERS];
static unsigned in_order, out_of_order;

static void check_number(struct neo_job *job)
{
    struct numbered *n = neo_owner(job, struct numbered, job);

    if (next_of[n->poster]++ == n->number)
        in_order++;
    else
        out_of_order++;
    if (in_order + out_of_order == POSTERS * JOBS)
        neo_loop_stop(loop);
    neo_free(n);
}

static void *post_many(void *self)
{
    const unsigned *poster = self;

    for (unsigned i = 0; i < JOBS; i++) {
        struct numbered *n = neo_alloc(sizeof(*n));
        *n = (struct numbered){.job = {.run = check_number}, .poster = *poster, .number = i};
        neo_loop_post(loop, &n->job);
    }
    return NULL;
}

TEST(jobs_of_each_thread_run_once_and_in_its_order)
{
    pthread_t threads[POSTERS];
    unsigned ids[POSTERS];

    in_order = out_of_order = 0;
    for (unsigned i = 0; i < POSTERS; i++) {
        next_of[i] = 0;
        ids[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, post_many, &ids[i]), 0);
    }
    run();
    for (unsigned i = 0; i < POSTERS; i++)
        (void)pthread_join(threads[i], NULL);
    assert_int_equal(in_order, POSTERS * JOBS);
    assert_int_equal(out_of_order, 0);
}

static void *run_it(void *self)
{
    neo_loop_run(self);
    return NULL;
}

TEST(another_thread_may_stop_a_loop_that_waits_or_has_not_begun)
{
    for (int i = 0; i < ROUNDS; i++) {
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, run_it, loop), 0);
        if (i % 3 == 0)
            (void)usleep(200);
        neo_loop_stop(loop);
        (void)pthread_join(thread, NULL);
    }
}

static void stop_own_loop(struct neo_job *job)
{
    struct neo_task *task = neo_owner(job, struct neo_task, job);

    neo_loop_stop(task->loop);
}

static void nothing(struct neo_job *job)
{
    (void)job;
}

/* The pool's thread must be done with a loop before the last report on it is made. */
TEST(a_loop_may_be_freed_right_after_its_last_report)
{
    for (int i = 0; i < ROUNDS; i++) {
        struct neo_loop *brief;
        struct neo_task task = {.work = nothing, .done = stop_own_loop};
        assert_int_equal(neo_loop_new(&brief, NULL), NEO_OK);
        neo_loop_offload(brief, &task);
        neo_loop_run(brief);
        neo_loop_free(brief);
    }
}

static pthread_barrier_t met;

static void meet_others(struct neo_job *job)
{
    (void)job;
    (void)pthread_barrier_wait(&met);
}

static unsigned reports;

static void count_report(struct neo_job *job)
{
    (void)job;
    if (++reports == 3)
        neo_loop_stop(loop);
}

TEST(work_that_blocks_does_not_hold_up_other_work)
{
    struct neo_task tasks[3];

    reports = 0;
    assert_int_equal(pthread_barrier_init(&met, NULL, 3), 0);
    for (size_t i = 0; i < NEO_COUNT(tasks); i++) {
        tasks[i] = (struct neo_task){.work = meet_others, .done = count_report};
        neo_loop_offload(loop, &tasks[i]);
    }
    run();
    (void)pthread_barrier_destroy(&met);
}

enum { CROWD = NEO_LANE_WIDTH_MAX + 88 /* more than there are threads */ };

static sem_t may_end;
static unsigned worked, to_come;

static void wait_for_leave(struct neo_job *job)
{
    (void)job;
    while (sem_wait(&may_end) != 0)
        continue;
}

static void count_down(struct neo_job *job)
{
    (void)job;
    worked++;
    if (--to_come == 0)
        neo_loop_stop(loop);
}

TEST(a_task_whose_lane_has_room_and_the_pool_no_thread_may_be_taken_back)
{
    static struct neo_lane lanes[2] = {{.width = NEO_LANE_WIDTH_MAX},
                                       {.width = CROWD - NEO_LANE_WIDTH_MAX}};
    static struct neo_task tasks[CROWD];

    worked = 0;
    to_come = CROWD - 2;
    assert_int_equal(sem_init(&may_end, 0, 0), 0);
    for (size_t i = 0; i < CROWD; i++) {
        tasks[i] = (struct neo_task){.work = wait_for_leave, .done = count_down};
        assert_true(neo_loop_offload_in(loop, &lanes[i >= NEO_LANE_WIDTH_MAX], &tasks[i]));
    }
    assert_false(neo_loop_withdraw(&tasks[0]));
    assert_true(neo_loop_withdraw(&tasks[CROWD - 2]));
    assert_true(neo_loop_withdraw(&tasks[CROWD - 1]));
    assert_int_equal(lanes[1].running, CROWD - NEO_LANE_WIDTH_MAX - 2);
    for (unsigned i = 0; i < CROWD - 2; i++)
        (void)sem_post(&may_end);
    run();
    assert_int_equal(worked, CROWD - 2);
    assert_int_equal(lanes[0].running + lanes[1].running, 0);
    (void)sem_destroy(&may_end);
}

static void get_name(void *self)
{
    assert_int_equal(pthread_getname_np(pthread_self(), self, 16), 0);
}

TEST(workers_have_names)
{
    struct neo_runtime *runtime;
    char name[16];

    assert_int_equal(neo_runtime_new(2, &runtime, NULL), NEO_OK);
    neo_runtime_call(runtime, 0, get_name, name);
    assert_string_equal(name, "neo-w0");
    neo_runtime_call(runtime, 1, get_name, name);
    assert_string_equal(name, "neo-w1");
    neo_runtime_free(runtime);
}

static void get_blocked(void *self)
{
    (void)pthread_sigmask(SIG_BLOCK, NULL, self);
}

TEST(workers_leave_signals_to_the_main_thread_which_keeps_its_own_mask)
{
    struct neo_runtime *runtime;
    sigset_t before, after, worker;

    (void)pthread_sigmask(SIG_BLOCK, NULL, &before);
    assert_int_equal(neo_runtime_new(1, &runtime, NULL), NEO_OK);
    (void)pthread_sigmask(SIG_BLOCK, NULL, &after);
    neo_runtime_call(runtime, 0, get_blocked, &worker);
    neo_runtime_free(runtime);
    assert_int_equal(sigismember(&before, SIGTERM), sigismember(&after, SIGTERM));
    assert_int_equal(sigismember(&worker, SIGTERM), 1);
    assert_int_equal(sigismember(&worker, SIGHUP), 1);
    assert_int_equal(sigismember(&worker, SIGSEGV), 0);
}

TEST(a_broken_pipe_does_not_end_the_program)
{
    struct neo_runtime *runtime;
    int ends[2];

    assert_int_equal(neo_runtime_new(1, &runtime, NULL), NEO_OK);
    assert_int_equal(pipe(ends), 0);
    (void)close(ends[0]);
    assert_int_equal(write(ends[1], "x", 1), -1);
    (void)close(ends[1]);
    neo_runtime_free(runtime);
}

TEST(runtimes_come_and_go)
{
    for (int i = 0; i < 50; i++) {
        struct neo_runtime *runtime;
        assert_int_equal(neo_runtime_new(3, &runtime, NULL), NEO_OK);
        neo_runtime_free(runtime);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        on_a_loop(jobs_of_each_thread_run_once_and_in_its_order),
        on_a_loop(another_thread_may_stop_a_loop_that_waits_or_has_not_begun),
        on_a_loop(a_loop_may_be_freed_right_after_its_last_report),
        on_a_loop(work_that_blocks_does_not_hold_up_other_work),
        on_a_loop(a_task_whose_lane_has_room_and_the_pool_no_thread_may_be_taken_back),
        on_a_loop(workers_have_names),
        on_a_loop(workers_leave_signals_to_the_main_thread_which_keeps_its_own_mask),
        on_a_loop(a_broken_pipe_does_not_end_the_program),
        on_a_loop(runtimes_come_and_go),
    };
    return cmocka_run_group_tests_name("io/threads", tests, NULL, NULL);
}
