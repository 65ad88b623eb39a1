/* SPDX-License-Identifier: Apache-2.0 */
/*
 * observe/metrics.h - what counting and printing share.
 *
 * A counter is one 64-bit cell per shard. A thread counts in its own shard: two
 * cores adding to one word take 40 ns each, apart 5 ns (bench/micro/observe.c).
 * The cells of a shard lie together in a slab, so a counter is known by its
 * address in the first shard, and the others are at a fixed distance.
 */
#ifndef NEO_OBSERVE_METRICS_H
#define NEO_OBSERVE_METRICS_H

#include <neo/metrics.h>

#include "base/list.h"
#include "base/map.h"

#include <pthread.h>
#include <stdatomic.h>

enum { METRICS_SHARDS = 16, METRICS_SLAB_CELLS = 512, METRICS_LABELS = 4, METRICS_SERIES = 1000 };

struct metrics_bound {
    neo_nsec upto;
    const char *text; /* in seconds */
};
enum { METRICS_BOUNDS = 20, METRICS_SUM = METRICS_BOUNDS + 1, METRICS_HISTOGRAM_CELLS };
extern const struct metrics_bound metrics_bounds[METRICS_BOUNDS];

struct neo_counter {
    _Atomic uint64_t n;
};

/* The address of the first of its cells; they lie in the slab. */
struct neo_histogram {
    struct neo_counter cells[METRICS_HISTOGRAM_CELLS]; /* buckets, above all of them, sum */
};

struct metrics_series {
    struct list in_family;
    char *labels; /* as printed: a="x",b="y" */
    struct neo_counter *cells;
};

struct neo_family {
    struct list in_metrics;
    struct neo_metrics *metrics;
    enum neo_metric_kind kind;
    char *name;
    char *help;
    char *labels[METRICS_LABELS];
    unsigned n_labels;
    struct list series; /* in the order of their first use */
    struct map by_labels;
    struct metrics_series other;
};

struct metrics_slab {
    struct metrics_slab *next;
    struct neo_counter cells[METRICS_SHARDS * METRICS_SLAB_CELLS];
};

struct neo_metrics {
    pthread_mutex_t lock; /* over everything but the cells */
    struct list families; /* in the order of registration */
    struct metrics_slab *slabs;
    size_t slab_used;
};

uint64_t metrics_sum(const struct neo_counter *cell);

#endif
