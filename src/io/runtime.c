/* SPDX-License-Identifier: Apache-2.0 */
#include "io/loop.h"
#include "io/rest.h"
#include "io/thread.h"

#include <neo/memory.h>
#include <neo/runtime.h>

#include <assert.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>

enum { WORKERS_MAX = 1024 };

struct worker {
    struct neo_runtime *runtime;
    struct neo_loop *loop;
    pthread_t thread;
};

struct neo_runtime {
    unsigned n;
    unsigned started; /* the first so many have a thread */
    struct worker *workers;
    struct neo_loop *main; /* runs in neo_runtime_wait() only */
    bool hears_signals;
    struct rest rest;
};

static _Thread_local const struct neo_runtime *works_for;

static void *work(void *self)
{
    struct worker *w = self;

    works_for = w->runtime;
    neo_loop_run(w->loop);
    return NULL;
}

/* A log that is written to a closed pipe must not end the program. Sockets never raise it. */
static void ignore_sigpipe(void)
{
    struct sigaction now;

    if (sigaction(SIGPIPE, NULL, &now) == 0 && now.sa_handler == SIG_DFL) {
        now.sa_handler = SIG_IGN;
        (void)sigaction(SIGPIPE, &now, NULL);
    }
}

static enum neo_code start_worker(struct neo_runtime *runtime, unsigned i, struct neo_error *err)
{
    struct worker *w = &runtime->workers[i];
    char name[16];

    w->runtime = runtime;
    NEO_TRY(neo_loop_new(&w->loop, err));
    (void)snprintf(name, sizeof(name), "neo-w%u", i);
    NEO_TRY(thread_start(name, work, w, &w->thread, err));
    runtime->started++;
    return NEO_OK;
}

static void nothing(void *self)
{
    (void)self;
}

static enum neo_code start(struct neo_runtime *runtime, struct neo_error *err)
{
    runtime->workers = neo_alloc_array(runtime->n, sizeof(*runtime->workers));
    if (runtime->workers == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "no memory for %u workers", runtime->n);
    NEO_TRY(neo_loop_new(&runtime->main, err));
    for (unsigned i = 0; i < runtime->n; i++)
        NEO_TRY(start_worker(runtime, i, err));
    /* Whoever has the runtime may rely on its loops being run, and by whom. */
    for (unsigned i = 0; i < runtime->n; i++)
        neo_runtime_call(runtime, i, nothing, NULL);
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
    ignore_sigpipe();
    runtime->n = workers > 0 ? workers : uv_available_parallelism();

    enum neo_code code = start(runtime, err);
    if (code != NEO_OK) {
        neo_runtime_free(runtime);
        return code;
    }
    *ret = runtime;
    return NEO_OK;
}

static void stop_workers(struct neo_runtime *runtime)
{
    for (unsigned i = 0; i < runtime->started; i++)
        neo_loop_stop(runtime->workers[i].loop);
    for (unsigned i = 0; i < runtime->started; i++)
        (void)pthread_join(runtime->workers[i].thread, NULL);
}

/* What is left on one worker may post to another, so none goes before all are quiet. */
static void finish_workers(struct neo_runtime *runtime)
{
    bool had_any = true;

    while (had_any) {
        had_any = false;
        for (unsigned i = 0; i < runtime->started; i++)
            if (loop_finish(runtime->workers[i].loop))
                had_any = true;
    }
}

void neo_runtime_free(struct neo_runtime *runtime)
{
    if (runtime == NULL)
        return;

    assert(works_for != runtime);
    stop_workers(runtime);
    finish_workers(runtime);
    for (unsigned i = 0; runtime->workers != NULL && i < runtime->n; i++)
        neo_loop_free(runtime->workers[i].loop);
    neo_loop_free(runtime->main);
    neo_free(runtime->workers);
    neo_free(runtime);
}

bool neo_runtime_is_worker(const struct neo_runtime *runtime)
{
    return works_for == runtime;
}

unsigned neo_runtime_workers(const struct neo_runtime *runtime)
{
    return runtime->n;
}

struct neo_loop *neo_runtime_loop(const struct neo_runtime *runtime, unsigned worker)
{
    assert(worker < runtime->n);
    return runtime->workers[worker].loop;
}

struct call {
    struct neo_job job;
    neo_runtime_fn *fn;
    void *self;
    sem_t returned;
};

static void make_call(struct neo_job *job)
{
    struct call *call = neo_owner(job, struct call, job);

    call->fn(call->self);
    (void)sem_post(&call->returned);
}

void neo_runtime_call(struct neo_runtime *runtime, unsigned worker, neo_runtime_fn *fn, void *self)
{
    struct call call = {.job = {.run = make_call}, .fn = fn, .self = self};

    assert(works_for != runtime && "a worker that waits for itself waits for ever");
    (void)sem_init(&call.returned, 0, 0);
    neo_loop_post(neo_runtime_loop(runtime, worker), &call.job);
    while (sem_wait(&call.returned) != 0)
        ; /* a signal came in between */
    (void)sem_destroy(&call.returned);
}

static void on_end(void *self, int signal)
{
    (void)signal;
    neo_runtime_quit(self);
}

void neo_runtime_wait(struct neo_runtime *runtime)
{
    /* Where a signal cannot be taken over it keeps its default, which ends the process as well. */
    if (!runtime->hears_signals &&
        neo_loop_on_signal(runtime->main, SIGINT, on_end, runtime, NULL) == NEO_OK &&
        neo_loop_on_signal(runtime->main, SIGTERM, on_end, runtime, NULL) == NEO_OK)
        runtime->hears_signals = true;
    rest_start(&runtime->rest, runtime->main);
    neo_loop_run(runtime->main);
    rest_stop(&runtime->rest);
}

void neo_runtime_quit(struct neo_runtime *runtime)
{
    neo_loop_stop(runtime->main);
}
