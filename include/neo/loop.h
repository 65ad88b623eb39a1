/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo/loop.h - one thread that waits for many things.
 *
 * A timer or job is embedded in the thing that waits; its callback finds the
 * owner with neo_owner(). `now` is sampled once per turn. Expired timers are
 * detached before any callback runs, so a callback may arm or disarm any timer.
 * Disarming is immediate: after it no callback comes, and the owner may be freed
 * in the next line.
 *
 * The same face is kept by a simulated twin (tests/support/sim.h): virtual time,
 * in-memory sockets, seeded faults.
 *
 * Threads   All functions belong to the loop's own thread, except
 *           neo_loop_post() and neo_loop_stop().
 */
#ifndef NEO_LOOP_H
#define NEO_LOOP_H

#include <neo/error.h>
#include <neo/time.h>

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct neo_loop;
struct neo_timer;
struct neo_job;

typedef void neo_timer_fn(struct neo_timer *timer);
typedef void neo_job_fn(struct neo_job *job);
typedef void neo_signal_fn(void *self, int signal);

/* Storage is the owner's; {.expired = fn} is a timer that is not armed. */
struct neo_timer {
    neo_timer_fn *expired;
    /* private */
    neo_nsec at;
    uint64_t order;
    struct neo_timer *child;
    struct neo_timer *next;
    struct neo_timer **link; /* what points at it in the heap; NULL: not armed */
};

/* Storage is the owner's until `run` is called; a posted job cannot be taken back. */
struct neo_job {
    neo_job_fn *run;
    /* private */
    struct neo_job *next;
};

/* Gives `*ret`: neo_loop_free(). */
NEO_MUST_CHECK enum neo_code neo_loop_new(struct neo_loop **ret, struct neo_error *err);
/*
 * Everything watched or armed must be gone, and the loop must not be running. Jobs, tasks and
 * lookups still under way are finished first.
 */
void neo_loop_free(struct neo_loop *loop);

/* Runs until neo_loop_stop(). */
void neo_loop_run(struct neo_loop *loop);
/* Any thread. Takes effect within the current turn; before neo_loop_run(), within its first. */
void neo_loop_stop(struct neo_loop *loop);

/* Monotonic; constant within one turn. Read afresh while the loop is not running. */
neo_nsec neo_loop_now(const struct neo_loop *loop);

/* The wall clock in nanoseconds since 1970: for certificates and records only. Any thread. */
int64_t neo_wall_nsec(void);
/* The monotonic clock, read afresh. Any thread. */
neo_nsec neo_mono_nsec(void);

/* Arms, or re-arms, for the instant `at`; one in the past means the next turn. Cannot fail. */
void neo_loop_arm(struct neo_loop *loop, struct neo_timer *timer, neo_nsec at);
/* Does nothing when not armed. */
void neo_loop_disarm(struct neo_loop *loop, struct neo_timer *timer);
static inline bool neo_timer_is_armed(const struct neo_timer *timer)
{
    return timer->link != NULL;
}

/* Any thread. Jobs of one thread run in the order they were posted. */
void neo_loop_post(struct neo_loop *loop, struct neo_job *job);

/* Calls `fn` on the loop for each delivery of `signal`. Takes over that signal for the process. */
NEO_MUST_CHECK enum neo_code neo_loop_on_signal(struct neo_loop *loop, int signal,
                                                neo_signal_fn *fn, void *self,
                                                struct neo_error *err);

/* True on the thread that runs the loop; while nobody runs it, on every thread. */
bool neo_loop_is_current(const struct neo_loop *loop);

/*
 * Work that blocks, off the loop: `work` runs on a thread of a pool shared by the process, four of
 * all such tasks at once, then `done` runs on the loop. Threads are started as they are needed, and
 * end when they were idle for 10 s.
 */
struct neo_task {
    neo_job_fn *work; /* both are called with &task->job */
    neo_job_fn *done;
    /* private */
    struct neo_job job;
    struct neo_loop *loop;
    struct neo_lane *lane;
    struct neo_lane *waits_in;
    struct neo_job **link;
};
void neo_loop_offload(struct neo_loop *loop, struct neo_task *task);

/*
 * A lane of the pool for one kind of work: at most `width` (up to 512) of its tasks run at once,
 * whatever else the pool does, and at most `length` more wait, in order. {.width = , .length = },
 * where it stays until its last task is done; all loops may share it.
 *
 * One may lie `within` another (which lies in none): what has found its place in the inner lane
 * then waits for one in the outer, however long the queue there is.
 */
enum { NEO_LANE_WIDTH_MAX = 512 };
struct neo_lane {
    unsigned width;
    unsigned length;
    struct neo_lane *within;
    /* private */
    unsigned running;
    unsigned waiting;
    struct neo_job *first;
    struct neo_job **end;
};
/* False: so many wait already, and nothing was begun. */
NEO_MUST_CHECK bool neo_loop_offload_in(struct neo_loop *loop, struct neo_lane *lane,
                                        struct neo_task *task);
/*
 * Takes back a task that no thread has taken yet, on its loop: neither `work` nor `done` will be
 * called. False: it is being worked on or was, and `done` comes, or has.
 */
NEO_MUST_CHECK bool neo_loop_withdraw(struct neo_task *task);

#ifdef __cplusplus
}
#endif

#endif
