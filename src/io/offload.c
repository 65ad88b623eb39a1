/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pool of the process, for work that blocks.
 *
 * A thread is started when a task finds none idle, up to POOL_MAX, and stays. Where
 * not even the first can be started, the task runs on its loop: late is better than
 * never.
 */
#include "io/loop.h"
#include "io/thread.h"

#include <assert.h>

enum { POOL_MAX = 4 };

static struct { /* any thread, under `lock` */
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct neo_job *first;
    struct neo_job **end;
    unsigned threads;
    unsigned idle;
    unsigned queued;
} pool = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, NULL, &pool.first, 0, 0, 0};

static void finish(struct neo_job *job)
{
    struct neo_task *task = neo_owner(job, struct neo_task, job);

    task->loop->under_way--;
    task->done(&task->job);
}

static void work_here(struct neo_job *job)
{
    struct neo_task *task = neo_owner(job, struct neo_task, job);

    task->work(&task->job);
    finish(&task->job);
}

static struct neo_task *wait_for_task(void)
{
    (void)pthread_mutex_lock(&pool.lock);
    pool.idle++;
    while (pool.first == NULL)
        (void)pthread_cond_wait(&pool.more, &pool.lock);
    pool.idle--;
    pool.queued--;

    struct neo_job *job = pool.first;
    pool.first = job->next;
    if (pool.first == NULL)
        pool.end = &pool.first;
    (void)pthread_mutex_unlock(&pool.lock);
    return neo_owner(job, struct neo_task, job);
}

static void *work_for_ever(void *unused)
{
    for (;;) {
        struct neo_task *task = wait_for_task();
        task->work(&task->job);
        task->job.run = finish;
        neo_loop_post(task->loop, &task->job);
    }
    return unused;
}

static bool start_thread(void)
{
    pthread_t thread;

    if (thread_start("neo-pool", work_for_ever, NULL, &thread, NULL) != NEO_OK)
        return false;
    (void)pthread_detach(thread);
    return true;
}

static void enqueue(struct neo_job *job)
{
    job->next = NULL;
    *pool.end = job;
    pool.end = &job->next;
    pool.queued++;
    (void)pthread_cond_signal(&pool.more);
}

void neo_loop_offload(struct neo_loop *loop, struct neo_task *task)
{
    assert(neo_loop_is_current(loop));
    task->loop = loop;
    loop->under_way++;

    (void)pthread_mutex_lock(&pool.lock);
    if (pool.queued >= pool.idle && pool.threads < POOL_MAX && start_thread())
        pool.threads++;
    bool has_pool = pool.threads > 0;
    if (has_pool)
        enqueue(&task->job);
    (void)pthread_mutex_unlock(&pool.lock);

    if (!has_pool) {
        task->job.run = work_here;
        neo_loop_post(loop, &task->job);
    }
}
