/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo/metrics.h - counters, gauges and histograms, and their Prometheus text.
 *
 * A family is registered once with its label names; a series (one set of label
 * values) is looked up once and kept by whoever counts, so counting is one relaxed
 * atomic add. Label values come only from closed sets (known methods, configured
 * callers), so cardinality is bounded; a family refuses more than 1000 series and
 * counts the rest in one series "_other".
 *
 * Threads   Counting is safe anywhere; registration takes a lock.
 */
#ifndef NEO_METRICS_H
#define NEO_METRICS_H

#include <neo/buffer.h>
#include <neo/time.h>

#ifdef __cplusplus
extern "C" {
#endif

struct neo_metrics;
struct neo_family;
struct neo_counter;
struct neo_histogram;

enum neo_metric_kind {
    NEO_COUNTER,
    NEO_GAUGE,
    NEO_HISTOGRAM, /* seconds; buckets of OpenTelemetry's rpc.server.call.duration, finer below 5 ms
                    */
};

/* NULL when out of memory. Release with neo_metrics_free(), when nobody counts any more: it takes
   families, counters and histograms with it. */
struct neo_metrics *neo_metrics_new(void);
void neo_metrics_free(struct neo_metrics *metrics);

/* The same name gives the same family. `labels`: NULL-terminated, at most 4; may be NULL. */
struct neo_family *neo_metrics_family(struct neo_metrics *metrics, const char *name,
                                      const char *help, enum neo_metric_kind kind,
                                      const char *const *labels);

/* Never NULL for a family that is not; beyond the limit it is the family's "_other". */
struct neo_counter *neo_counter(struct neo_family *family, const struct neo_bytes *values);
struct neo_histogram *neo_histogram(struct neo_family *family, const struct neo_bytes *values);

/* Counting on NULL does nothing. A gauge is set, or added to (down by adding -1), but not both. */
void neo_counter_add(struct neo_counter *counter, uint64_t n);
void neo_gauge_set(struct neo_counter *gauge, int64_t value);
uint64_t neo_counter_get(const struct neo_counter *counter);
void neo_histogram_observe(struct neo_histogram *histogram, neo_nsec duration);

/* Prometheus' text format 0.0.4, appended. False: out of memory, or `out` is full. */
bool neo_metrics_print(struct neo_metrics *metrics, struct neo_buffer *out);

#ifdef __cplusplus
}
#endif

#endif
