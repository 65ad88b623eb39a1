/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pool of the process, for work that blocks.
 *
 * A task belongs to a lane, and a lane has only so many of its tasks on the pool at
 * once; the others wait in it. So handlers that hang cannot keep evidence from being
 * judged, nor the other way round. A thread is started when a task finds none idle,
 * up to POOL_MAX, and stays until the process ends. Where not even the first can be
 * started, the task runs on its loop: late is better than never.
 */
#include "io/loop.h"
#include "io/thread.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>

enum { POOL_MAX = 8 };

static struct neo_lane common = {.width = 4, .length = UINT_MAX};

struct member {
    pthread_t thread;
    bool is_idle;
};

static struct { /* any thread, under `lock`, and so is what is private of all lanes */
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct neo_job *first;
    struct neo_job **end;
    struct member members[POOL_MAX];
    unsigned threads;
    unsigned idle;
    unsigned queued;
    bool is_over; /* the process ends */
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER, .end = &pool.first};

static struct neo_task *task_of(struct neo_job *job)
{
    return neo_owner(job, struct neo_task, job);
}

static void leave_lane(struct neo_lane *lane);

static void finish(struct neo_job *job)
{
    struct neo_task *task = task_of(job);

    task->loop->under_way--;
    task->done(&task->job);
}

static void work_here(struct neo_job *job)
{
    struct neo_task *task = task_of(job);

    task->work(&task->job);
    leave_lane(task->lane);
    finish(&task->job);
}

/* NULL: the process ends. */
static struct neo_task *wait_for_task(struct member *self)
{
    (void)pthread_mutex_lock(&pool.lock);
    pool.idle++;
    self->is_idle = true;
    while (pool.first == NULL && !pool.is_over)
        (void)pthread_cond_wait(&pool.more, &pool.lock);
    if (pool.is_over) { /* it stays idle: that it is joined rests on it */
        (void)pthread_mutex_unlock(&pool.lock);
        return NULL;
    }
    self->is_idle = false;
    pool.idle--;
    pool.queued--;

    struct neo_job *job = pool.first;
    pool.first = job->next;
    if (pool.first == NULL)
        pool.end = &pool.first;
    (void)pthread_mutex_unlock(&pool.lock);
    return task_of(job);
}

static void *work_for_ever(void *self)
{
    struct neo_task *task;

    while ((task = wait_for_task(self)) != NULL) {
        task->work(&task->job);
        leave_lane(task->lane);
        task->job.run = finish;
        neo_loop_post(task->loop, &task->job);
    }
    return NULL;
}

/*
 * At exit: what libraries keep for a thread goes with it, so those that are idle end first. One
 * that works may hang, and is left alone.
 */
static void end_idle_threads(void)
{
    pthread_t idle[POOL_MAX];
    unsigned n = 0;

    (void)pthread_mutex_lock(&pool.lock);
    pool.is_over = true;
    for (unsigned i = 0; i < pool.threads; i++) {
        if (pool.members[i].is_idle)
            idle[n++] = pool.members[i].thread;
    }
    (void)pthread_cond_broadcast(&pool.more);
    (void)pthread_mutex_unlock(&pool.lock);
    for (unsigned i = 0; i < n; i++)
        (void)pthread_join(idle[i], NULL);
}

static bool start_thread(void)
{
    struct member *member = &pool.members[pool.threads];

    *member = (struct member){.is_idle = false};
    if (thread_start("neo-pool", work_for_ever, member, &member->thread, NULL) != NEO_OK)
        return false;
    if (pool.threads == 0)
        (void)atexit(end_idle_threads);
    return true;
}

/* To a thread of the pool; false when there is none. Under the lock. */
static bool enqueue(struct neo_job *job)
{
    if (!pool.is_over && pool.queued >= pool.idle && pool.threads < POOL_MAX && start_thread())
        pool.threads++;
    if (pool.threads == 0 || pool.is_over)
        return false;
    job->next = NULL;
    *pool.end = job;
    pool.end = &job->next;
    pool.queued++;
    (void)pthread_cond_signal(&pool.more);
    return true;
}

/* Under the lock; what is left to be done on the task's own loop, or NULL. */
static struct neo_job *begin(struct neo_job *job)
{
    if (enqueue(job))
        return NULL;
    job->run = work_here;
    return job;
}

static void run_at_home(struct neo_job *job)
{
    if (job != NULL)
        neo_loop_post(task_of(job)->loop, job);
}

/* A task of the lane has been worked on: the next takes its place. */
static void leave_lane(struct neo_lane *lane)
{
    struct neo_job *at_home = NULL;

    (void)pthread_mutex_lock(&pool.lock);
    struct neo_job *next = lane->first;
    if (next != NULL) {
        lane->first = next->next;
        lane->waiting--;
        at_home = begin(next);
    } else {
        lane->running--;
    }
    (void)pthread_mutex_unlock(&pool.lock);
    run_at_home(at_home);
}

/* False: its queue is full. Under the lock. */
static bool enter_lane(struct neo_lane *lane, struct neo_job *job, struct neo_job **ret_at_home)
{
    if (lane->running < lane->width) {
        lane->running++;
        *ret_at_home = begin(job);
        return true;
    }
    if (lane->waiting >= lane->length)
        return false;
    job->next = NULL;
    if (lane->first == NULL)
        lane->first = job;
    else
        lane->last->next = job;
    lane->last = job;
    lane->waiting++;
    return true;
}

bool neo_loop_offload_in(struct neo_loop *loop, struct neo_lane *lane, struct neo_task *task)
{
    struct neo_job *at_home = NULL;

    assert(neo_loop_is_current(loop));
    task->loop = loop;
    task->lane = lane;
    (void)pthread_mutex_lock(&pool.lock);
    bool entered = enter_lane(lane, &task->job, &at_home);
    if (entered)
        loop->under_way++; /* ours alone, and the task comes back to this thread */
    (void)pthread_mutex_unlock(&pool.lock);
    run_at_home(at_home);
    return entered;
}

void neo_loop_offload(struct neo_loop *loop, struct neo_task *task)
{
    bool entered = neo_loop_offload_in(loop, &common, task);

    assert(entered); /* its queue has no end */
    (void)entered;
}
