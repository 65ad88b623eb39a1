/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pool of the process, for work that blocks.
 *
 * A task belongs to a lane, and a lane has only so many of its tasks on the pool at
 * once; the others wait in it. So handlers that hang cannot keep evidence from being
 * judged, nor the other way round. A lane within another does the same for one of those
 * who share it. A thread is started when a task finds none idle,
 * up to POOL_MAX, and ends when it was idle for a while; the one that was idle for the
 * shortest time works first, so that what is not needed does end. Where not even the
 * first can be started, the task runs on its loop: late is better than never.
 */
#include "io/loop.h"
#include "io/thread.h"

#include <neo/time.h>

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>

enum { POOL_MAX = NEO_LANE_WIDTH_MAX + 32 };

_Atomic neo_nsec offload_idle = 10 * NEO_NSEC_PER_SEC;

static struct neo_lane common = {.width = 4, .length = UINT_MAX};

enum member_state { MEMBER_NONE, MEMBER_WORKS, MEMBER_IDLE, MEMBER_ENDED };

struct member {
    pthread_t thread;
    pthread_cond_t wake;
    enum member_state state;
    struct neo_job *job;   /* to be done next */
    struct member *before; /* idle for longer */
};

static struct { /* any thread, under `lock`, and so is what is private of all lanes */
    pthread_mutex_t lock;
    struct neo_job *first; /* for whoever is ready */
    struct neo_job **end;
    struct member members[POOL_MAX];
    struct member *idle; /* since the last moment */
    unsigned threads;
    bool has_begun;
    bool is_over; /* the process ends */
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER, .end = &pool.first};

static struct neo_task *task_of(struct neo_job *job)
{
    return neo_owner(job, struct neo_task, job);
}

/* --- queues, under the lock --------------------------------------------------------------- */

static void put_last(struct neo_job **first, struct neo_job ***end, struct neo_job *job)
{
    if (*first == NULL)
        *end = first;
    job->next = NULL;
    task_of(job)->link = *end;
    **end = job;
    *end = &job->next;
}

static void take_out(struct neo_task *task, struct neo_job ***end)
{
    struct neo_job *next = task->job.next;

    *task->link = next;
    if (next != NULL)
        task_of(next)->link = task->link;
    else
        *end = task->link;
    task->link = NULL;
}

/* --- threads ------------------------------------------------------------------------------ */

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

static void leave_idle(struct member *self)
{
    struct member **at = &pool.idle;

    while (*at != self)
        at = &(*at)->before;
    *at = self->before;
}

/* Until there is a job for it, it was idle for long, or the process ends. Under the lock. */
static void be_idle(struct member *self)
{
    neo_nsec at = neo_mono_nsec() + offload_idle;
    const struct timespec until = {.tv_sec = (time_t)(at / NEO_NSEC_PER_SEC),
                                   .tv_nsec = (long)(at % NEO_NSEC_PER_SEC)};

    self->state = MEMBER_IDLE;
    self->before = pool.idle;
    pool.idle = self;
    while (self->job == NULL && !pool.is_over)
        if (pthread_cond_clockwait(&self->wake, &pool.lock, CLOCK_MONOTONIC, &until) == ETIMEDOUT)
            break;
    if (self->job != NULL || pool.is_over) /* at the end it stays idle: it is joined for that */
        return;
    leave_idle(self);
    self->state = MEMBER_ENDED;
    pool.threads--;
}

/* NULL: the thread ends. */
static struct neo_task *wait_for_task(struct member *self)
{
    (void)pthread_mutex_lock(&pool.lock);
    if (self->job == NULL && pool.first != NULL && !pool.is_over) {
        self->job = pool.first;
        take_out(task_of(self->job), &pool.end);
    }
    if (self->job == NULL)
        be_idle(self);
    struct neo_job *job = self->job;
    self->job = NULL;
    (void)pthread_mutex_unlock(&pool.lock);
    return job == NULL ? NULL : task_of(job);
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
    for (unsigned i = 0; i < POOL_MAX; i++) {
        struct member *m = &pool.members[i];
        if (m->state == MEMBER_IDLE)
            (void)pthread_cond_signal(&m->wake);
        if (m->state == MEMBER_IDLE || m->state == MEMBER_ENDED)
            idle[n++] = m->thread;
    }
    (void)pthread_mutex_unlock(&pool.lock);
    for (unsigned i = 0; i < n; i++)
        (void)pthread_join(idle[i], NULL);
}

/* Of the places that nobody has the first; one whose thread has ended is taken over. */
static struct member *find_place(void)
{
    for (unsigned i = 0; i < POOL_MAX; i++) {
        struct member *m = &pool.members[i];
        if (m->state == MEMBER_ENDED) {
            (void)pthread_join(m->thread, NULL);
            m->state = MEMBER_NONE;
        }
        if (m->state == MEMBER_NONE)
            return m;
    }
    return NULL;
}

/* One more, with that job. Under the lock. */
static bool start_thread(struct neo_job *job)
{
    struct member *m = find_place();

    if (m == NULL)
        return false;
    *m = (struct member){.wake = PTHREAD_COND_INITIALIZER, .job = job};
    if (thread_start("neo-pool", work_for_ever, m, &m->thread, NULL) != NEO_OK)
        return false;
    m->state = MEMBER_WORKS;
    pool.threads++;
    if (!pool.has_begun)
        (void)atexit(end_idle_threads);
    pool.has_begun = true;
    return true;
}

/* To a thread of the pool; false when there is none. Under the lock. */
static bool enqueue(struct neo_job *job)
{
    struct member *m = pool.idle;

    if (pool.is_over)
        return false;
    if (m != NULL) {
        pool.idle = m->before;
        m->state = MEMBER_WORKS;
        m->job = job;
        (void)pthread_cond_signal(&m->wake);
        return true;
    }
    if (start_thread(job))
        return true;
    if (pool.threads == 0)
        return false;
    put_last(&pool.first, &pool.end, job);
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

/* --- lanes -------------------------------------------------------------------------------- */

/* Through `lane` and the one around it, as far as there is room. Under the lock, as is begin(). */
static struct neo_job *pass(struct neo_lane *lane, struct neo_task *task)
{
    for (; lane != NULL; lane = lane->within) {
        if (lane->running >= lane->width) {
            task->waits_in = lane;
            put_last(&lane->first, &lane->end, &task->job);
            lane->waiting++;
            return NULL;
        }
        lane->running++;
    }
    return begin(&task->job);
}

static void stop_waiting(struct neo_task *task)
{
    struct neo_lane *lane = task->waits_in;

    take_out(task, &lane->end);
    lane->waiting--;
    task->waits_in = NULL;
}

/* A place in it is free: the next takes it. */
static struct neo_job *free_place(struct neo_lane *lane)
{
    lane->running--;
    if (lane->first == NULL)
        return NULL;
    struct neo_task *next = task_of(lane->first);
    stop_waiting(next);
    return pass(lane, next);
}

/* Who waits in the outer lane came there first. One thread is free, so at most one begins. */
static struct neo_job *free_places(struct neo_lane *lane)
{
    struct neo_job *outer = lane->within == NULL ? NULL : free_place(lane->within);
    struct neo_job *inner = free_place(lane);

    assert(outer == NULL || inner == NULL);
    return outer != NULL ? outer : inner;
}

/* A task of the lane has been worked on. */
static void leave_lane(struct neo_lane *lane)
{
    (void)pthread_mutex_lock(&pool.lock);
    struct neo_job *at_home = free_places(lane);
    (void)pthread_mutex_unlock(&pool.lock);
    run_at_home(at_home);
}

bool neo_loop_offload_in(struct neo_loop *loop, struct neo_lane *lane, struct neo_task *task)
{
    struct neo_job *at_home = NULL;

    assert(neo_loop_is_current(loop));
    assert(lane->within == NULL || lane->within->within == NULL);
    task->loop = loop;
    task->lane = lane;
    task->waits_in = NULL;
    task->link = NULL;
    (void)pthread_mutex_lock(&pool.lock);
    bool entered = lane->running < lane->width || lane->waiting < lane->length;
    if (entered) {
        loop->under_way++; /* ours alone, and the task comes back to this thread */
        at_home = pass(lane, task);
    }
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

/* Out of the queue it is in, if it is in one, and out of the places it has. Under the lock. */
static bool withdraw(struct neo_task *task, struct neo_job **ret_at_home)
{
    if (task->link == NULL)
        return false;
    if (task->waits_in == NULL) { /* for a thread */
        take_out(task, &pool.end);
        *ret_at_home = free_places(task->lane);
        return true;
    }
    bool inside = task->waits_in != task->lane;
    stop_waiting(task);
    *ret_at_home = inside ? free_place(task->lane) : NULL;
    return true;
}

bool neo_loop_withdraw(struct neo_task *task)
{
    struct neo_job *at_home = NULL;

    assert(neo_loop_is_current(task->loop));
    (void)pthread_mutex_lock(&pool.lock);
    bool withdrawn = withdraw(task, &at_home);
    (void)pthread_mutex_unlock(&pool.lock);
    if (withdrawn)
        task->loop->under_way--;
    run_at_home(at_home);
    return withdrawn;
}
