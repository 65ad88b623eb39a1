/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One turn: wait, sample the clock, call sockets, then jobs, then timers.
 *
 * libuv waits and calls the sockets; jobs and timers run in its check phase, right
 * after. Sockets come before timers so that an answer that arrived together with
 * its deadline counts as an answer.
 *
 * libuv's own timer is only the alarm that ends the wait. Its clock is ours in
 * whole milliseconds, so the alarm is set to the first timer rounded up and never
 * rings too early.
 */
#include "io/loop.h"

#include <neo/memory.h>

#include <assert.h>

#define NEVER UINT64_MAX

struct loop_signal {
    struct list node;
    uv_signal_t handle;
    neo_signal_fn *fn;
    void *self;
};

/* The loop that this thread runs. */
static _Thread_local const struct neo_loop *running;

static uint64_t next_due(const struct neo_loop *loop)
{
    const struct neo_timer *first = loop->timers.first;

    if (loop->has_own_jobs)
        return 0;
    return first == NULL ? NEVER : (first->at + NEO_NSEC_PER_MSEC - 1) / NEO_NSEC_PER_MSEC;
}

static void on_alarm(uv_timer_t *alarm)
{
    neo_owner(alarm, struct neo_loop, alarm)->alarm_due = NEVER;
}

static void set_alarm(struct neo_loop *loop, uint64_t due)
{
    uint64_t now = uv_now(&loop->uv);

    loop->alarm_due = due;
    if (due == NEVER)
        (void)uv_timer_stop(&loop->alarm);
    else
        (void)uv_timer_start(&loop->alarm, on_alarm, due > now ? due - now : 0, 0);
}

static void before_wait(uv_prepare_t *prepare)
{
    struct neo_loop *loop = neo_owner(prepare, struct neo_loop, before_wait);
    uint64_t due = next_due(loop);

    if (due != loop->alarm_due)
        set_alarm(loop, due);
    loop->now_is_stale = true;
}

/* Those posted so far; a job may free itself and post more for the next turn. */
static void run_jobs(struct neo_loop *loop)
{
    (void)pthread_mutex_lock(&loop->shared.lock);
    struct neo_job *job = loop->shared.first;
    loop->shared.first = NULL;
    loop->shared.end = &loop->shared.first;
    (void)pthread_mutex_unlock(&loop->shared.lock);

    loop->has_own_jobs = false;
    while (job != NULL) {
        struct neo_job *next = job->next;
        job->run(job);
        job = next;
    }
}

static void after_wait(uv_check_t *check)
{
    struct neo_loop *loop = neo_owner(check, struct neo_loop, after_wait);

    loop_begin_turn(loop);
    watch_call_all(loop);
    run_jobs(loop);
    timers_expire(&loop->timers, loop->now);
    if (atomic_load(&loop->stopping))
        uv_stop(&loop->uv);
}

/* The wait has ended, which is all that was wanted: after_wait() does the rest. */
static void on_wake(uv_async_t *wake)
{
    (void)wake;
}

static enum neo_code start_handles(struct neo_loop *loop, struct neo_error *err)
{
    int result = uv_async_init(&loop->uv, &loop->wake, on_wake);

    if (result < 0)
        return loop_fail_uv(err, result, "cannot make the wake-up of an event loop");
    /* None of the others takes anything from the system, so none can fail. */
    (void)uv_prepare_init(&loop->uv, &loop->before_wait);
    (void)uv_prepare_start(&loop->before_wait, before_wait);
    (void)uv_check_init(&loop->uv, &loop->after_wait);
    (void)uv_check_start(&loop->after_wait, after_wait);
    (void)uv_timer_init(&loop->uv, &loop->alarm);
    return NEO_OK;
}

static enum neo_code open_loop(struct neo_loop *loop, struct neo_error *err)
{
    int result = uv_loop_init(&loop->uv);

    if (result < 0)
        return loop_fail_uv(err, result, "cannot make an event loop");

    enum neo_code code = start_handles(loop, err);
    if (code != NEO_OK)
        (void)uv_loop_close(&loop->uv);
    return code;
}

enum neo_code neo_loop_new(struct neo_loop **ret, struct neo_error *err)
{
    struct neo_loop *loop = neo_alloc(sizeof(*loop));

    if (loop == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "no memory for an event loop");

    enum neo_code code = open_loop(loop, err);
    if (code != NEO_OK) {
        neo_free(loop);
        return code;
    }
    (void)pthread_mutex_init(&loop->shared.lock, NULL);
    loop->shared.end = &loop->shared.first;
    loop->alarm_due = NEVER;
    loop->now = neo_mono_nsec();
    list_init(&loop->signals);
    watch_init(loop);
    *ret = loop;
    return NEO_OK;
}

static void run(struct neo_loop *loop, uv_run_mode mode)
{
    const struct neo_loop *outer = running;

    assert(atomic_load(&loop->runner) == 0);
    atomic_store(&loop->runner, pthread_self());
    running = loop;
    (void)uv_run(&loop->uv, mode);
    running = outer;
    atomic_store(&loop->runner, 0);
}

void neo_loop_run(struct neo_loop *loop)
{
    run(loop, UV_RUN_DEFAULT);
    atomic_store(&loop->stopping, false);
}

static bool has_jobs(struct neo_loop *loop)
{
    (void)pthread_mutex_lock(&loop->shared.lock);
    bool has = loop->shared.first != NULL;
    (void)pthread_mutex_unlock(&loop->shared.lock);
    return has;
}

bool loop_finish(struct neo_loop *loop)
{
    bool had_any = false;

    /* Asking takes the lock, so whoever posted the last job has let go of the loop. */
    while (has_jobs(loop) || loop->under_way > 0) {
        run(loop, UV_RUN_ONCE);
        had_any = true;
    }
    return had_any;
}

static void close_handle(uv_handle_t *handle, void *ignored)
{
    (void)ignored;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

static void free_signals(struct neo_loop *loop)
{
    list_each (node, &loop->signals)
        neo_free(neo_owner(node, struct loop_signal, node));
}

void neo_loop_free(struct neo_loop *loop)
{
    if (loop == NULL)
        return;

    (void)loop_finish(loop);
    timers_disarm(&loop->timers, &loop->watch.resume);
    assert(loop->timers.first == NULL && "a timer is still armed");
    assert(list_is_empty(&loop->watch.used) && "a socket is still watched");

    uv_walk(&loop->uv, close_handle, NULL);
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
    int result = uv_loop_close(&loop->uv);
    assert(result == 0);
    (void)result;
    free_signals(loop);
    watch_fini(loop);
    (void)pthread_mutex_destroy(&loop->shared.lock);
    neo_free(loop);
}

void neo_loop_stop(struct neo_loop *loop)
{
    (void)pthread_mutex_lock(&loop->shared.lock);
    atomic_store(&loop->stopping, true);
    (void)uv_async_send(&loop->wake);
    (void)pthread_mutex_unlock(&loop->shared.lock);
}

bool neo_loop_is_current(const struct neo_loop *loop)
{
    pthread_t runner = atomic_load_explicit(&loop->runner, memory_order_relaxed);

    return runner == 0 || pthread_equal(runner, pthread_self());
}

neo_nsec neo_loop_now(const struct neo_loop *loop)
{
    return running == loop ? loop->now : neo_mono_nsec();
}

void neo_loop_arm(struct neo_loop *loop, struct neo_timer *timer, neo_nsec at)
{
    neo_nsec now = neo_loop_now(loop);

    assert(neo_loop_is_current(loop));
    timers_arm(&loop->timers, timer, at > now ? at : now);
}

void neo_loop_disarm(struct neo_loop *loop, struct neo_timer *timer)
{
    assert(neo_loop_is_current(loop));
    timers_disarm(&loop->timers, timer);
}

/*
 * The wake-up is sent under the lock: once the job has run, its loop may be freed, and
 * loop_finish() takes the lock first.
 */
void neo_loop_post(struct neo_loop *loop, struct neo_job *job)
{
    bool here = running == loop;

    job->next = NULL;
    (void)pthread_mutex_lock(&loop->shared.lock);
    bool is_first = loop->shared.first == NULL;
    *loop->shared.end = job;
    loop->shared.end = &job->next;
    if (is_first && !here)
        (void)uv_async_send(&loop->wake);
    (void)pthread_mutex_unlock(&loop->shared.lock);
    if (here)
        loop->has_own_jobs = true;
}

static void on_signal(uv_signal_t *handle, int signal)
{
    struct loop_signal *s = neo_owner(handle, struct loop_signal, handle);

    loop_begin_turn(neo_owner(handle->loop, struct neo_loop, uv));
    s->fn(s->self, signal);
}

static void free_signal(uv_handle_t *handle)
{
    neo_free(neo_owner(handle, struct loop_signal, handle));
}

enum neo_code neo_loop_on_signal(struct neo_loop *loop, int signal, neo_signal_fn *fn, void *self,
                                 struct neo_error *err)
{
    assert(neo_loop_is_current(loop));

    struct loop_signal *s = neo_alloc(sizeof(*s));
    if (s == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "no memory to watch for signal %d", signal);
    s->fn = fn;
    s->self = self;

    int result = uv_signal_init(&loop->uv, &s->handle);
    if (result < 0) {
        neo_free(s);
        return loop_fail_uv(err, result, "cannot watch for signals");
    }
    result = uv_signal_start(&s->handle, on_signal, signal);
    if (result < 0) {
        uv_close((uv_handle_t *)&s->handle, free_signal);
        return neo_fail(err, NEO_INVALID_ARGUMENT, "cannot watch for signal %d: %s", signal,
                        uv_strerror(result));
    }
    list_push_back(&loop->signals, &s->node);
    return NEO_OK;
}
