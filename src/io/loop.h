/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io/loop.h - what a loop is made of, for the files of this folder.
 */
#ifndef NEO_IO_LOOP_H
#define NEO_IO_LOOP_H

#include "base/list.h"
#include "io/net.h"
#include "io/timers.h"

#include <neo/loop.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

enum {
    /* Each is called behind so many others, in whose turns it has two steps each; one is to begin.
     */
    WATCH_AHEAD = (NET_WARM_STEPS + 1) / 2,
    /* From so many sockets on: fewer are in the caches, as they are. */
    WATCH_MANY = 128,
};

struct neo_loop {
    uv_loop_t uv;
    uv_prepare_t before_wait;
    uv_check_t after_wait;
    uv_timer_t alarm; /* ends the wait when the first timer expires */
    uv_async_t wake;  /* ends the wait from another thread */

    /* The loop's own thread. */
    struct timers timers;
    neo_nsec now;
    bool now_is_stale;
    bool has_own_jobs;  /* posted here since the last turn ran its jobs: do not wait */
    uint64_t alarm_due; /* in libuv's milliseconds */
    size_t under_way;   /* tasks and lookups that will still report here */
    struct list signals;
    struct {
        struct list used; /* struct net_slot */
        size_t n_used;
        struct list idle;
        struct neo_timer resume; /* of paused listeners */
        uint64_t pauses;
        struct net_slot *ahead[WATCH_AHEAD]; /* ready; their memory is on its way */
        size_t n_ahead;
    } watch;

    struct { /* any thread, under `lock` */
        pthread_mutex_t lock;
        struct neo_job *first;
        struct neo_job **end;
    } shared;
    atomic_bool stopping;
    _Atomic pthread_t runner; /* 0: nobody */
};

/* How long a thread of the pool stays idle before it ends: 10 s. Tests have less patience. */
extern _Atomic neo_nsec offload_idle;

/* Runs the jobs, tasks and lookups that are left. False when there were none. */
bool loop_finish(struct neo_loop *loop);

/* Every callback that libuv makes comes through here first. */
static inline void loop_begin_turn(struct neo_loop *loop)
{
    if (loop->now_is_stale) {
        loop->now = neo_mono_nsec();
        loop->now_is_stale = false;
    }
}

/* neo_fail_errno() for a libuv result, which is a negated errno. */
#define loop_fail_uv(err, result, ...) (errno = -(result), neo_fail_errno((err), __VA_ARGS__))

void watch_init(struct neo_loop *loop);
/* Nothing is watched any more and libuv has closed every handle. */
void watch_fini(struct neo_loop *loop);
/* Calls those that are ready and still wait for their memory. */
void watch_call_all(struct neo_loop *loop);
/* The next step for each of these. To be called just before the kernel is busy for a while. */
void watch_warm(struct neo_loop *loop);
/* Stops reporting the listener `fd` for a while. */
void watch_pause(struct neo_loop *loop, int fd);

#endif
