/* SPDX-License-Identifier: Apache-2.0 */
/* The promises of <neo/runtime.h>; built against the threads and against the twin. */
#include "end.h"

#include <neo/runtime.h>

enum { WORKERS = 3, CLIENTS = 60 };

static struct neo_runtime *runtime;

static int begin(void **state)
{
    (void)state;
    begin_world();
    assert_int_equal(neo_runtime_new(WORKERS, &runtime, NULL), NEO_OK);
    return 0;
}

static int end(void **state)
{
    (void)state;
    neo_runtime_free(runtime);
    runtime = NULL;
    end_world();
    return 0;
}

struct visit {
    struct neo_loop *loop;
    bool was_current;
};

static void visit(void *self)
{
    struct visit *v = self;

    v->was_current = neo_loop_is_current(v->loop);
}

TEST(a_call_runs_on_its_worker_and_has_run_when_it_returns)
{
    assert_int_equal(neo_runtime_workers(runtime), WORKERS);
    for (unsigned i = 0; i < WORKERS; i++) {
        struct visit v = {.loop = neo_runtime_loop(runtime, i)};
        neo_runtime_call(runtime, i, visit, &v);
        assert_true(v.was_current);
        for (unsigned k = 0; k < i; k++)
            assert_ptr_not_equal(v.loop, neo_runtime_loop(runtime, k));
    }
}

static int jobs_run;

static void count_job(struct neo_job *job)
{
    (void)job;
    jobs_run++;
}

static void look_at_jobs(void *self)
{
    int *seen = self;

    *seen = jobs_run;
}

TEST(a_call_comes_after_what_was_posted_before_it)
{
    struct neo_job jobs[5];
    int seen_then = 0;

    jobs_run = 0;
    for (size_t i = 0; i < NEO_COUNT(jobs); i++) {
        jobs[i] = (struct neo_job){.run = count_job};
        neo_loop_post(neo_runtime_loop(runtime, 1), &jobs[i]);
    }
    neo_runtime_call(runtime, 1, look_at_jobs, &seen_then);
    assert_int_equal(seen_then, 5);
}

TEST(quit_ends_the_wait_even_when_it_came_first)
{
    neo_runtime_quit(runtime);
    neo_runtime_wait(runtime);
}

static struct neo_task tasks[2]; /* each is the pool's until it has reported */

static void quit_now(struct neo_job *job)
{
    (void)job;
    neo_runtime_quit(runtime);
}

static void nothing_more(struct neo_job *job)
{
    (void)job;
}

static void offload_quit(void *self)
{
    struct neo_task *task = self;

    *task = (struct neo_task){.work = nothing_more, .done = quit_now};
    neo_loop_offload(neo_runtime_loop(runtime, 0), task);
}

TEST(a_worker_may_end_the_wait)
{
    for (int i = 0; i < 2; i++) {
        neo_runtime_call(runtime, 0, offload_quit, &tasks[i]);
        neo_runtime_wait(runtime);
    }
}

/* Once the wait has taken it over: earlier, the signal would end the test. */
static void raise_later(struct neo_job *job)
{
    (void)job;
#ifndef NEO_SIM
    struct sigaction now = {0};
    while (sigaction(SIGTERM, NULL, &now) == 0 && now.sa_handler == SIG_DFL)
        (void)usleep(1000);
#endif
    raise_signal(SIGTERM);
}

static void offload_signal(void *self)
{
    struct neo_task *task = self;

#ifdef NEO_SIM
    *task = (struct neo_task){.work = nothing_more, .done = raise_later};
#else
    *task = (struct neo_task){.work = raise_later, .done = nothing_more};
#endif
    neo_loop_offload(neo_runtime_loop(runtime, 0), task);
}

TEST(a_signal_to_terminate_ends_the_wait)
{
    for (int i = 0; i < 2; i++) {
        neo_runtime_call(runtime, 0, offload_signal, &tasks[i]);
        neo_runtime_wait(runtime);
    }
}

/* One door for each worker, all with the same address. */
static struct door doors[WORKERS];
static struct end served[WORKERS][CLIENTS];
static struct end clients[CLIENTS];
static unsigned answered;
static unsigned at_worker;

static void open_door(void *self)
{
    struct door *d = self;
    const char *address = d == doors ? "127.0.0.1:0" : doors[0].address.text;

    door_open(d, neo_runtime_loop(runtime, (unsigned)(d - doors)), address,
              d == doors ? NET_FIRST : NET_JOIN);
}

static void close_door(void *self)
{
    struct door *d = self;

    for (size_t i = 0; i < d->n; i++)
        end_close(&served[d - doors][i]);
    door_close(d);
}

/* Says which worker it is, as soon as it hears anything. */
static void say_worker(struct end *e)
{
    if (e->in.len > 0) {
        e->in.len = 0;
        end_send(e, NEO_LIT("here"));
    }
}

static void count_answer(struct end *e)
{
    if (e->in.len == 4 && ++answered == CLIENTS)
        neo_runtime_quit(runtime);
}

static void connect_all(void *self)
{
    (void)self;
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = (struct end){.changed = count_answer};
        end_connect(&clients[i], neo_runtime_loop(runtime, at_worker), doors[0].address.text);
        end_send(&clients[i], NEO_LIT("who?"));
    }
}

static void close_all(void *self)
{
    (void)self;
    for (int i = 0; i < CLIENTS; i++)
        end_close(&clients[i]);
}

TEST(workers_share_an_address_and_serve_every_connection)
{
    size_t total = 0, busy = 0;

    answered = 0;
    at_worker = 1;
    for (unsigned i = 0; i < WORKERS; i++) {
        doors[i] = (struct door){.ends = served[i], .n_ends = CLIENTS};
        for (int c = 0; c < CLIENTS; c++)
            served[i][c] = (struct end){.changed = say_worker};
        neo_runtime_call(runtime, i, open_door, &doors[i]);
    }
    neo_runtime_call(runtime, at_worker, connect_all, NULL);
    neo_runtime_wait(runtime);
    neo_runtime_call(runtime, at_worker, close_all, NULL);
    for (unsigned i = 0; i < WORKERS; i++) {
        neo_runtime_call(runtime, i, close_door, &doors[i]);
        total += doors[i].n;
        busy += doors[i].n > 0;
    }
    assert_int_equal(total, CLIENTS);
    assert_true(busy >= 2); /* that one worker gets all 60 has a chance of 3^-59 */
}

/* A job that goes round all workers until it has made enough steps. */
struct ball {
    struct neo_job job;
    unsigned worker;
    int steps;
};

static void pass_on(struct neo_job *job)
{
    struct ball *ball = neo_owner(job, struct ball, job);

    if (--ball->steps == 0) {
        neo_free(ball);
        return;
    }
    ball->worker = (ball->worker + 1) % WORKERS;
    neo_loop_post(neo_runtime_loop(runtime, ball->worker), &ball->job);
}

TEST(free_finishes_what_workers_have_posted_to_each_other)
{
    for (int i = 0; i < 20; i++) {
        struct ball *ball = neo_alloc(sizeof(*ball));
        *ball = (struct ball){.job = {.run = pass_on}, .steps = 100 + i};
        neo_loop_post(neo_runtime_loop(runtime, 0), &ball->job);
    }
    /* end() frees the runtime at once; a ball that is lost is a leak. */
}

TEST(too_many_workers_are_refused)
{
    struct neo_runtime *none = NULL;

    assert_int_equal(neo_runtime_new(100000, &none, NULL), NEO_INVALID_ARGUMENT);
    assert_null(none);
    neo_runtime_free(NULL);
}

TEST(by_default_there_is_at_least_one_worker)
{
    struct neo_runtime *other;

    assert_int_equal(neo_runtime_new(0, &other, NULL), NEO_OK);
    assert_true(neo_runtime_workers(other) >= 1);
    neo_runtime_free(other);
}

TEST(running_out_of_memory_at_any_point_leaves_nothing)
{
    struct neo_runtime *other;
    enum neo_code code = NEO_RESOURCE_EXHAUSTED;
    unsigned long n = 0;

    while (code != NEO_OK) {
        other = NULL;
        neo_memory_fail_at(++n);
        code = neo_runtime_new(WORKERS, &other, NULL);
        neo_memory_fail_at(0);
        assert_true(code == NEO_OK || code == NEO_RESOURCE_EXHAUSTED);
        assert_int_equal(other != NULL, code == NEO_OK);
    }
    assert_int_equal(n, 1 + 1 + 1 + WORKERS + 1); /* it, its table, its own loop, theirs; none */
    neo_runtime_free(other);
}

#define test(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(a_call_runs_on_its_worker_and_has_run_when_it_returns),
        test(a_call_comes_after_what_was_posted_before_it),
        test(quit_ends_the_wait_even_when_it_came_first),
        test(a_worker_may_end_the_wait),
        test(a_signal_to_terminate_ends_the_wait),
        test(workers_share_an_address_and_serve_every_connection),
        test(free_finishes_what_workers_have_posted_to_each_other),
        test(too_many_workers_are_refused),
        test(by_default_there_is_at_least_one_worker),
        test(running_out_of_memory_at_any_point_leaves_nothing),
    };
    return cmocka_run_group_tests_name("io/runtime", tests, NULL, NULL);
}
