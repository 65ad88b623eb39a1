/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo/runtime.h - the worker threads of a process, each with its own loop.
 *
 * Nothing is shared between workers on the hot path but immutable snapshots.
 * Servers listen on every worker (SO_REUSEPORT); a channel lives on one.
 */
#ifndef NEO_RUNTIME_H
#define NEO_RUNTIME_H

#include <neo/loop.h>

#ifdef __cplusplus
extern "C" {
#endif

struct neo_runtime;

/* `workers` 0: one per core the process may use. Starts them. Gives `*ret`: neo_runtime_free(). */
NEO_MUST_CHECK enum neo_code neo_runtime_new(unsigned workers, struct neo_runtime **ret,
                                             struct neo_error *err);
/* Stops and joins the workers. Not from a worker. */
void neo_runtime_free(struct neo_runtime *runtime);

/* How many; and the loop of one, which lives as long as the runtime. Any thread. */
unsigned neo_runtime_workers(const struct neo_runtime *runtime);
struct neo_loop *neo_runtime_loop(const struct neo_runtime *runtime, unsigned worker);

/* Whether this thread is one of its workers. */
bool neo_runtime_is_worker(const struct neo_runtime *runtime);

/* Runs `fn` on that worker's loop and waits for it. Not from a worker. */
typedef void neo_runtime_fn(void *self);
void neo_runtime_call(struct neo_runtime *runtime, unsigned worker, neo_runtime_fn *fn, void *self);

/* Blocks until SIGINT or SIGTERM, on the main thread, or until neo_runtime_quit(), on any. */
void neo_runtime_wait(struct neo_runtime *runtime);
void neo_runtime_quit(struct neo_runtime *runtime);

#ifdef __cplusplus
}
#endif

#endif
