/* SPDX-License-Identifier: Apache-2.0 */
#include "guard/outlier.h"

const struct outlier_config outlier_default = {
    .interval = 10 * NEO_NSEC_PER_SEC,
    .base_ejection = 30 * NEO_NSEC_PER_SEC,
    .max_ejection = 300 * NEO_NSEC_PER_SEC,
    .max_percent = 10,
    .success_rate = {false, 1900, 100, 5, 100},
    .failure_percentage = {false, 85, 100, 5, 50},
};

struct sweep {
    const struct outlier_config *config;
    struct outlier_host *const *hosts;
    size_t n;
    neo_nsec now;
    uint64_t random;
    size_t ejected; /* at present */
    size_t changed;
};

static uint32_t total(const struct outlier_host *h)
{
    return h->successes + h->failures;
}

static bool has_volume(const struct outlier_host *h, uint32_t volume)
{
    return total(h) >= volume && total(h) > 0;
}

static size_t count_volume(const struct sweep *s, uint32_t volume)
{
    size_t n = 0;

    for (size_t i = 0; i < s->n; i++)
        n += has_volume(s->hosts[i], volume);
    return n;
}

static bool is_enforced(struct sweep *s, uint32_t percent)
{
    /* The next of a sequence of 64-bit values (Knuth's constants); its high bits are good. */
    s->random = s->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (s->random >> 33) % 100 < percent;
}

/* One may always be ejected; after that only while the share is below the limit. */
static bool may_eject(const struct sweep *s)
{
    return s->ejected == 0 || s->ejected * 100 < (size_t)s->config->max_percent * s->n;
}

static void eject(struct sweep *s, struct outlier_host *h)
{
    h->ejected = true;
    h->ejected_at = s->now;
    h->multiplier++;
    s->ejected++;
    s->changed++;
}

static double rate(const struct outlier_host *h)
{
    return (double)h->successes / total(h);
}

struct spread {
    double mean;
    double variance;
};

static struct spread spread_of(const struct sweep *s, size_t n)
{
    uint32_t volume = s->config->success_rate.request_volume;
    struct spread spread = {0, 0};

    for (size_t i = 0; i < s->n; i++)
        if (has_volume(s->hosts[i], volume))
            spread.mean += rate(s->hosts[i]) / (double)n;
    for (size_t i = 0; i < s->n; i++) {
        double off = has_volume(s->hosts[i], volume) ? rate(s->hosts[i]) - spread.mean : 0;
        spread.variance += off * off / (double)n;
    }
    return spread;
}

/* Below the mean by more than so many standard deviations; compared in squares, without a root. */
static bool stands_out(const struct sweep *s, struct spread spread, const struct outlier_host *h)
{
    double below = spread.mean - rate(h);
    double factor = s->config->success_rate.stdev_milli / 1000.0;

    return below > 0 && below * below > factor * factor * spread.variance;
}

static void judge_by_success_rate(struct sweep *s)
{
    uint32_t volume = s->config->success_rate.request_volume;
    size_t n = count_volume(s, volume);

    if (!s->config->success_rate.on || n == 0 || n < s->config->success_rate.minimum_hosts)
        return;
    struct spread spread = spread_of(s, n);
    for (size_t i = 0; i < s->n; i++) {
        struct outlier_host *h = s->hosts[i];
        if (!h->ejected && has_volume(h, volume) && stands_out(s, spread, h) && may_eject(s) &&
            is_enforced(s, s->config->success_rate.enforcement))
            eject(s, h);
    }
}

static void judge_by_failure_percentage(struct sweep *s)
{
    uint32_t volume = s->config->failure_percentage.request_volume;
    size_t n = count_volume(s, volume);

    if (!s->config->failure_percentage.on || n == 0 ||
        n < s->config->failure_percentage.minimum_hosts)
        return;
    for (size_t i = 0; i < s->n; i++) {
        struct outlier_host *h = s->hosts[i];
        uint64_t failures = (uint64_t)h->failures * 100;
        if (!h->ejected && has_volume(h, volume) &&
            failures > (uint64_t)s->config->failure_percentage.threshold * total(h) &&
            may_eject(s) && is_enforced(s, s->config->failure_percentage.enforcement))
            eject(s, h);
    }
}

static neo_nsec ejection_of(const struct outlier_config *c, const struct outlier_host *h)
{
    neo_nsec most = c->max_ejection > c->base_ejection ? c->max_ejection : c->base_ejection;

    if (h->multiplier > most / (c->base_ejection == 0 ? 1 : c->base_ejection))
        return most;
    return c->base_ejection * h->multiplier;
}

static void take_back(struct sweep *s, struct outlier_host *h, bool was_ejected)
{
    if (!was_ejected) {
        if (!h->ejected && h->multiplier > 0)
            h->multiplier--;
    } else if (s->now - h->ejected_at >= ejection_of(s->config, h)) {
        h->ejected = false;
        s->changed++;
    }
}

size_t outlier_sweep(const struct outlier_config *config, struct outlier_host *const *hosts,
                     size_t n, neo_nsec now, uint64_t random)
{
    struct sweep s = {.config = config, .hosts = hosts, .n = n, .now = now, .random = random};

    for (size_t i = 0; i < n; i++)
        s.ejected += hosts[i]->ejected;
    judge_by_success_rate(&s);
    judge_by_failure_percentage(&s);
    for (size_t i = 0; i < n; i++) {
        struct outlier_host *h = hosts[i];
        take_back(&s, h, h->ejected && h->ejected_at != now);
        h->successes = h->failures = 0;
    }
    return s.changed;
}
