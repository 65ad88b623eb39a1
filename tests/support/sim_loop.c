/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loops, workers and offloaded work of the twin. The promises are those of
 * <neo/loop.h>; the order within a turn is that of src/io/loop.c.
 */
#include "support/sim_world.h"

#include <neo/memory.h>
#include <neo/runtime.h>

#include <signal.h>
#include <stdlib.h>

enum { DEFAULT_WORKERS = 2, WORKERS_MAX = 1024, LAST_SIGNAL = 64 };
#define TURN_TAKES UINT64_C(1000)
#define WORK_TAKES (100 * UINT64_C(1000)) /* offloaded work, at most */

struct loop_signal {
    struct list node;
    int signal;
    unsigned raised;
    neo_signal_fn *fn;
    void *self;
};

struct neo_runtime {
    unsigned n;
    struct neo_loop **loops;
    struct neo_loop *main;
    bool hears_signals;
};

static void check_thread(void)
{
    if (world == NULL)
        world_die("there is no world: call sim_new() first");
    if (!pthread_equal(world->thread, pthread_self()))
        world_die("the twin has one thread, and this is another");
}

static void check_current(const struct neo_loop *loop, const char *what)
{
    check_thread();
    if (!neo_loop_is_current(loop))
        world_die("%s for loop %u on a thread that is not its own", what, loop->id);
}

bool neo_loop_is_current(const struct neo_loop *loop)
{
    return !world->in_pool && (world->running == NULL || world->running == loop);
}

neo_nsec neo_loop_now(const struct neo_loop *loop)
{
    return world->running == loop ? loop->now : world->now;
}

/* The turn. */

/* Those that were ready once and are no longer leave the list here. */
static bool has_ready(struct neo_loop *loop)
{
    list_each (node, &loop->ready) {
        if (socket_events(neo_owner(node, struct sim_socket, ready_node)) != 0)
            return true;
        list_remove(node);
    }
    return false;
}

static bool has_work(struct neo_loop *loop)
{
    return loop->first != NULL || loop->has_signals || has_ready(loop);
}

bool loop_is_runnable(struct neo_loop *loop)
{
    return loop_next_instant(loop) <= world->now;
}

neo_nsec loop_next_instant(struct neo_loop *loop)
{
    neo_nsec next = loop->timers.first == NULL ? NEVER : loop->timers.first->at;

    if (has_work(loop))
        next = world->now;
    return next < loop->hangs_until ? loop->hangs_until : next;
}

static void deliver_signals(struct neo_loop *loop)
{
    loop->has_signals = false;
    list_each (node, &loop->signals) {
        struct loop_signal *s = neo_owner(node, struct loop_signal, node);
        for (; s->raised > 0; s->raised--)
            s->fn(s->self, s->signal);
    }
}

static void run_jobs(struct neo_loop *loop)
{
    struct neo_job *job = loop->first;

    loop->first = NULL;
    loop->end = &loop->first;
    while (job != NULL) {
        struct neo_job *next = job->next;
        job->run(job);
        job = next;
    }
}

void loop_turn(struct neo_loop *loop)
{
    world_note("turn", loop->id, 0);
    loop->now = world->now;
    world->running = loop;
    deliver_signals(loop);
    socket_report_ready(loop);
    run_jobs(loop);
    timers_expire(&loop->timers, loop->now);
    world->running = NULL;
    world->now += TURN_TAKES;
}

/* <neo/loop.h> */

enum neo_code neo_loop_new(struct neo_loop **ret, struct neo_error *err)
{
    check_thread();
    struct neo_loop *loop = neo_alloc(sizeof(*loop));

    if (loop == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "no memory for an event loop");
    loop->id = world->loops_made++;
    loop->host = world->host;
    loop->now = world->now;
    loop->end = &loop->first;
    loop->resume = (struct neo_timer){.expired = socket_resume};
    list_init(&loop->ready);
    list_init(&loop->signals);
    list_init(&loop->paused);
    list_push_back(&world->loops, &loop->node);
    *ret = loop;
    return NEO_OK;
}

/* What is left runs here; work that is under way needs the world to go on. */
static bool finish(struct neo_loop *loop)
{
    bool had_any = false;

    while (loop->first != NULL || loop->under_way > 0) {
        if (loop->first != NULL)
            loop_turn(loop);
        else if (!world_step(NEVER))
            world_die("loop %u is freed and waits for work that never ends", loop->id);
        had_any = true;
    }
    return had_any;
}

static void free_signals(struct neo_loop *loop)
{
    for (struct list *node; (node = list_pop_front(&loop->signals)) != NULL;)
        neo_free(neo_owner(node, struct loop_signal, node));
}

void neo_loop_free(struct neo_loop *loop)
{
    if (loop == NULL)
        return;
    if (world->running == loop)
        world_die("loop %u is freed while it is running", loop->id);
    (void)finish(loop);
    timers_disarm(&loop->timers, &loop->resume);
    if (loop->timers.first != NULL)
        world_die("loop %u is freed with a timer still armed", loop->id);
    if (loop->watched > 0)
        world_die("loop %u is freed with %zu sockets still watched", loop->id, loop->watched);
    free_signals(loop);
    list_remove(&loop->node);
    neo_free(loop);
}

void neo_loop_run(struct neo_loop *loop)
{
    check_thread();
    if (world->running != NULL)
        world_die("a loop is run from inside a callback");
    loop_turn(loop);
    while (!loop->stopping)
        if (!world_step(NEVER))
            world_die("loop %u waits, and nothing will ever happen again", loop->id);
    loop->stopping = false;
}

void neo_loop_stop(struct neo_loop *loop)
{
    check_thread();
    loop->stopping = true;
}

void neo_loop_arm(struct neo_loop *loop, struct neo_timer *timer, neo_nsec at)
{
    neo_nsec now = neo_loop_now(loop);

    check_current(loop, "a timer is armed");
    timers_arm(&loop->timers, timer, at > now ? at : now);
}

void neo_loop_disarm(struct neo_loop *loop, struct neo_timer *timer)
{
    check_current(loop, "a timer is disarmed");
    timers_disarm(&loop->timers, timer);
}

void neo_loop_post(struct neo_loop *loop, struct neo_job *job)
{
    check_thread();
    job->next = NULL;
    *loop->end = job;
    loop->end = &job->next;
}

enum neo_code neo_loop_on_signal(struct neo_loop *loop, int signal, neo_signal_fn *fn, void *self,
                                 struct neo_error *err)
{
    check_current(loop, "a signal is watched for");
    struct loop_signal *s = neo_alloc(sizeof(*s));

    if (s == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "no memory to watch for signal %d", signal);
    if (signal <= 0 || signal > LAST_SIGNAL || signal == SIGKILL || signal == SIGSTOP) {
        neo_free(s);
        return neo_fail(err, NEO_INVALID_ARGUMENT, "cannot watch for signal %d", signal);
    }
    s->signal = signal;
    s->fn = fn;
    s->self = self;
    list_push_back(&loop->signals, &s->node);
    return NEO_OK;
}

void sim_signal(int signal)
{
    list_each (at, &world->loops) {
        struct neo_loop *loop = neo_owner(at, struct neo_loop, node);
        list_each (node, &loop->signals) {
            struct loop_signal *s = neo_owner(node, struct loop_signal, node);
            if (s->signal != signal)
                continue;
            s->raised++;
            loop->has_signals = true;
        }
    }
}

void sim_hang(struct neo_loop *loop, neo_nsec duration)
{
    loop->hangs_until = world->now + duration;
}

/* Offloaded work runs at a later instant, on a thread that is no loop's. */
struct work {
    struct neo_timer timer;
    struct neo_task *task;
};

static void report(struct neo_job *job)
{
    struct neo_task *task = neo_owner(job, struct neo_task, job);

    task->loop->under_way--;
    task->done(&task->job);
}

static void begin_work(struct neo_task *task);

static void wait_in_lane(struct neo_lane *lane, struct neo_task *task)
{
    if (lane->first == NULL)
        lane->end = &lane->first;
    task->waits_in = lane;
    task->job.next = NULL;
    *lane->end = &task->job;
    lane->end = &task->job.next;
    lane->waiting++;
}

static void stop_waiting(struct neo_task *task)
{
    struct neo_lane *lane = task->waits_in;
    struct neo_job **at = &lane->first;

    while (*at != &task->job)
        at = &(*at)->next;
    *at = task->job.next;
    if (*at == NULL)
        lane->end = at;
    task->waits_in = NULL;
    lane->waiting--;
}

/* Of a lane no more than `width` go on; the pool itself has no limit in this world. */
static void pass(struct neo_lane *lane, struct neo_task *task)
{
    for (; lane != NULL; lane = lane->within) {
        if (lane->running >= lane->width) {
            wait_in_lane(lane, task);
            return;
        }
        lane->running++;
    }
    begin_work(task);
}

static void free_place(struct neo_lane *lane)
{
    lane->running--;
    if (lane->first == NULL)
        return;
    struct neo_task *next = neo_owner(lane->first, struct neo_task, job);
    stop_waiting(next);
    pass(lane, next);
}

static void leave_lane(struct neo_lane *lane)
{
    if (lane == NULL)
        return;
    if (lane->within != NULL)
        free_place(lane->within);
    free_place(lane);
}

static void do_work(struct neo_timer *timer)
{
    struct work *work = neo_owner(timer, struct work, timer);
    struct neo_task *task = work->task;

    free(work);
    world_note("work", task->loop->id, 0);
    world->in_pool = true;
    task->work(&task->job);
    world->in_pool = false;
    leave_lane(task->lane);
    task->job.run = report;
    neo_loop_post(task->loop, &task->job);
}

static void begin_work(struct neo_task *task)
{
    struct work *work = world_alloc(sizeof(*work));

    work->task = task;
    work->timer.expired = do_work;
    world_at(&work->timer, world->now + 1 + world_random(WORK_TAKES));
}

bool neo_loop_offload_in(struct neo_loop *loop, struct neo_lane *lane, struct neo_task *task)
{
    check_current(loop, "work is offloaded");
    if (lane->running >= lane->width && lane->waiting >= lane->length)
        return false;
    task->loop = loop;
    task->lane = lane;
    task->waits_in = NULL;
    loop->under_way++;
    pass(lane, task);
    return true;
}

bool neo_loop_withdraw(struct neo_task *task)
{
    check_current(task->loop, "work is taken back");
    struct neo_lane *in = task->waits_in;

    if (in == NULL)
        return false;
    stop_waiting(task);
    if (in != task->lane)
        free_place(task->lane);
    task->loop->under_way--;
    return true;
}

void neo_loop_offload(struct neo_loop *loop, struct neo_task *task)
{
    check_current(loop, "work is offloaded");
    task->loop = loop;
    task->lane = NULL;
    task->waits_in = NULL;
    loop->under_way++;
    begin_work(task);
}

/* <neo/runtime.h> */

static enum neo_code start(struct neo_runtime *runtime, struct neo_error *err)
{
    runtime->loops = neo_alloc_array(runtime->n, sizeof(struct neo_loop *));
    if (runtime->loops == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "no memory for %u workers", runtime->n);
    NEO_TRY(neo_loop_new(&runtime->main, err));
    for (unsigned i = 0; i < runtime->n; i++)
        NEO_TRY(neo_loop_new(&runtime->loops[i], err));
    return NEO_OK;
}

enum neo_code neo_runtime_new(unsigned workers, struct neo_runtime **ret, struct neo_error *err)
{
    if (workers > WORKERS_MAX)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "%u workers are too many: at most %d", workers,
                        WORKERS_MAX);

    struct neo_runtime *runtime = neo_alloc(sizeof(*runtime));
    if (runtime == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "no memory for a runtime");
    runtime->n = workers > 0 ? workers : DEFAULT_WORKERS;

    enum neo_code code = start(runtime, err);
    if (code != NEO_OK) {
        neo_runtime_free(runtime);
        return code;
    }
    *ret = runtime;
    return NEO_OK;
}

void neo_runtime_free(struct neo_runtime *runtime)
{
    bool had_any = runtime != NULL && runtime->loops != NULL;

    if (runtime == NULL)
        return;
    if (world->running != NULL)
        world_die("a runtime is freed from inside a callback");
    while (had_any) {
        had_any = false;
        for (unsigned i = 0; i < runtime->n; i++)
            if (runtime->loops[i] != NULL && finish(runtime->loops[i]))
                had_any = true;
    }
    for (unsigned i = 0; runtime->loops != NULL && i < runtime->n; i++)
        neo_loop_free(runtime->loops[i]);
    neo_loop_free(runtime->main);
    neo_free(runtime->loops);
    neo_free(runtime);
}

bool neo_runtime_is_worker(const struct neo_runtime *runtime)
{
    for (unsigned i = 0; i < runtime->n; i++)
        if (world->running == runtime->loops[i])
            return true;
    return false;
}

unsigned neo_runtime_workers(const struct neo_runtime *runtime)
{
    return runtime->n;
}

struct neo_loop *neo_runtime_loop(const struct neo_runtime *runtime, unsigned worker)
{
    if (worker >= runtime->n)
        world_die("there is no worker %u, only %u", worker, runtime->n);
    return runtime->loops[worker];
}

struct call {
    struct neo_job job;
    neo_runtime_fn *fn;
    void *self;
};

static void make_call(struct neo_job *job)
{
    struct call *call = neo_owner(job, struct call, job);

    call->fn(call->self);
}

/* In a turn of its own, after the jobs that were posted before it. */
void neo_runtime_call(struct neo_runtime *runtime, unsigned worker, neo_runtime_fn *fn, void *self)
{
    struct neo_loop *loop = neo_runtime_loop(runtime, worker);
    struct call call = {.job = {.run = make_call}, .fn = fn, .self = self};

    if (world->running != NULL || world->in_pool)
        world_die("neo_runtime_call() from inside a callback: it would wait for ever");
    neo_loop_post(loop, &call.job);
    loop_turn(loop);
}

static void on_end(void *self, int signal)
{
    (void)signal;
    neo_runtime_quit(self);
}

void neo_runtime_wait(struct neo_runtime *runtime)
{
    if (!runtime->hears_signals &&
        neo_loop_on_signal(runtime->main, SIGINT, on_end, runtime, NULL) == NEO_OK &&
        neo_loop_on_signal(runtime->main, SIGTERM, on_end, runtime, NULL) == NEO_OK)
        runtime->hears_signals = true;
    neo_loop_run(runtime->main);
}

void neo_runtime_quit(struct neo_runtime *runtime)
{
    neo_loop_stop(runtime->main);
}
