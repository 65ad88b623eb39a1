/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fixture.h - a loop to test, in the real world or in the simulated one.
 *
 * The same test file is built twice: with NEO_SIM against the twin, without it
 * against src/io. So neither can drift from the other.
 */
#ifndef NEO_TESTS_UNIT_IO_FIXTURE_H
#define NEO_TESTS_UNIT_IO_FIXTURE_H

#include "unit/unit.h"

#include "io/net.h"

#include <neo/memory.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MSEC NEO_NSEC_PER_MSEC
#define SEC  NEO_NSEC_PER_SEC

#ifdef NEO_SIM
#include "support/sim.h"

static inline void begin_world(void)
{
    sim_new(1);
}

static inline void end_world(void)
{
    sim_free();
}

static inline void raise_signal(int signal)
{
    sim_signal(signal);
}

static inline void forbid_descriptors(void)
{
    sim_descriptors(sim_open_sockets());
}

static inline void allow_descriptors(void)
{
    sim_descriptors(SIZE_MAX);
}

#else
#include <fcntl.h>
#include <sys/resource.h>

static inline void begin_world(void)
{
}

static inline void end_world(void)
{
}

static inline void raise_signal(int signal)
{
    assert_int_equal(kill(getpid(), signal), 0);
}

static inline void limit_descriptors(rlim_t soft)
{
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = soft < limit.rlim_max ? soft : limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* The lowest free descriptor is the first that there may not be. */
static inline void forbid_descriptors(void)
{
    int lowest = dup(STDIN_FILENO);

    assert_true(lowest >= 0);
    (void)close(lowest);
    limit_descriptors((rlim_t)lowest);
}

static inline void allow_descriptors(void)
{
    limit_descriptors(1024);
}
#endif

/* The loop of the test that runs; freed after it, which proves that nothing is left. */
static struct neo_loop *loop;
static struct neo_timer guard;

static inline void on_guard(struct neo_timer *timer)
{
    (void)timer;
    (void)fprintf(stderr, "the test waits in vain\n");
    abort();
}

/* Runs until a callback stops the loop; what takes ten seconds will never come. */
static inline void run(void)
{
    guard = (struct neo_timer){.expired = on_guard};
    neo_loop_arm(loop, &guard, neo_loop_now(loop) + 10 * SEC);
    neo_loop_run(loop);
    neo_loop_disarm(loop, &guard);
}

static inline void on_enough(struct neo_timer *timer)
{
    (void)timer;
    neo_loop_stop(loop);
}

static inline void run_for(neo_nsec duration)
{
    struct neo_timer enough = {.expired = on_enough};

    neo_loop_arm(loop, &enough, neo_loop_now(loop) + duration);
    run();
    neo_loop_disarm(loop, &enough); /* something else may have stopped the loop */
}

static inline int begin_test(void **state)
{
    (void)state;
    begin_world();
    assert_int_equal(neo_loop_new(&loop, NULL), NEO_OK);
    return 0;
}

static inline int end_test(void **state)
{
    (void)state;
    neo_loop_free(loop);
    loop = NULL;
    end_world();
    return 0;
}

#define on_a_loop(test) cmocka_unit_test_setup_teardown(test, begin_test, end_test)

#endif
