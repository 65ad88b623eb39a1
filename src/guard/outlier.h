/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard/outlier.h - which instances do so much worse than the others that they get a rest.
 *
 * Each instance counts how its calls ended. Once an interval all are compared, and
 * who stands out is ejected for a while: longer each time it happens again, shorter
 * after every interval in which it behaved. Never more than a share of them all, but
 * one always may be.
 *
 *   success rate        worse than the mean by more than `stdev` standard deviations
 *   failure percentage  above a fixed threshold
 *
 * Storage   Plain values. Threads: one owner. Standard: gRFC A50.
 */
#ifndef NEO_GUARD_OUTLIER_H
#define NEO_GUARD_OUTLIER_H

#include <neo/time.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct outlier_config {
    neo_nsec interval;
    neo_nsec base_ejection;
    neo_nsec max_ejection;
    uint32_t max_percent; /* of the instances that may be ejected at once; but one may */
    struct {
        bool on;
        uint32_t stdev_milli;
        uint32_t enforcement; /* percent of the verdicts that are carried out */
        uint32_t minimum_hosts;
        uint32_t request_volume;
    } success_rate;
    struct {
        bool on;
        uint32_t threshold; /* percent */
        uint32_t enforcement;
        uint32_t minimum_hosts;
        uint32_t request_volume;
    } failure_percentage;
};

/* What gRFC A50 says when nothing is said; both algorithms off. */
extern const struct outlier_config outlier_default;

struct outlier_host {
    uint32_t successes; /* of the interval under way */
    uint32_t failures;
    bool ejected;
    uint32_t multiplier;
    neo_nsec ejected_at;
};

static inline void outlier_report(struct outlier_host *host, bool success)
{
    if (success)
        host->successes++;
    else
        host->failures++;
}

/*
 * At the end of each interval: judges all `n` hosts, ejects and takes back, and begins to count
 * anew. `random` seeds what enforcement below 100 % needs. Returns how many changed sides.
 */
size_t outlier_sweep(const struct outlier_config *config, struct outlier_host *const *hosts,
                     size_t n, neo_nsec now, uint64_t random);

#endif
