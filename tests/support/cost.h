/* SPDX-License-Identifier: Apache-2.0 */
/*
 * support/cost.h - processor time, for tests of what something may cost.
 *
 * It is this process's time, so a busy machine counts for little; the sanitizers, and compilers
 * that do not optimise, make everything slower, so a bound is multiplied by COST_SLACK.
 */
#ifndef NEO_TESTS_SUPPORT_COST_H
#define NEO_TESTS_SUPPORT_COST_H

#include <time.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define COST_SLACK 20
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COST_SLACK 20
#endif
#ifndef COST_SLACK
#ifdef __OPTIMIZE__
#define COST_SLACK 1
#else
#define COST_SLACK 4
#endif
#endif

/* Milliseconds of processor time so far. */
static inline double cost_now(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

#endif
