/* SPDX-License-Identifier: Apache-2.0 */
/* The only file that reads a clock. */
#include <neo/loop.h>

#include <time.h>

static int64_t nsec_of(clockid_t clock)
{
    struct timespec t = {0};

    (void)clock_gettime(clock, &t); /* cannot fail for these two clocks */
    return t.tv_sec * (int64_t)NEO_NSEC_PER_SEC + t.tv_nsec;
}

int64_t neo_wall_nsec(void)
{
    return nsec_of(CLOCK_REALTIME);
}

neo_nsec neo_mono_nsec(void)
{
    return (neo_nsec)nsec_of(CLOCK_MONOTONIC);
}
