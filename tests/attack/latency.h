/* SPDX-License-Identifier: Apache-2.0 */
/*
 * latency.h - how long calls took: counts by size, eight to each doubling from 16 us on, so a
 * quantile is at most a tenth too large. May lie in shared memory; one writer.
 */
#ifndef NEO_TESTS_ATTACK_LATENCY_H
#define NEO_TESTS_ATTACK_LATENCY_H

#include <neo/time.h>

#include <math.h>

enum { LATENCY_SIZES = 192 };

struct latency {
    unsigned all;
    unsigned n[LATENCY_SIZES];
    neo_nsec slowest;
};

static inline void latency_add(struct latency *l, neo_nsec took)
{
    double size = took <= 16000 ? 0 : 8 * log2((double)took / 16000);

    l->n[size < LATENCY_SIZES - 1 ? (unsigned)size : LATENCY_SIZES - 1]++;
    l->all++;
    if (took > l->slowest)
        l->slowest = took;
}

/* What all but one of a hundred stayed below, ms. */
static inline double latency_p99(const struct latency *l)
{
    unsigned above = l->all / 100, i = LATENCY_SIZES;

    while (i > 0 && l->n[i - 1] <= above)
        above -= l->n[--i];
    double most = i == 0 ? 0 : 0.016 * exp2(i / 8.0), slowest = (double)l->slowest / 1e6;
    return most < slowest ? most : slowest;
}

#endif
