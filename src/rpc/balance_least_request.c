/* SPDX-License-Identifier: Apache-2.0 */
/*
 * least_request: of two (or more) hosts chosen at random the one with fewer calls
 * under way (gRFC A48). Random choice keeps many clients from rushing to the same
 * host at once.
 *
 * A host that has just come has no calls and would get them all. Its calls count more
 * while it is new: ten times at first, once when the slow start is over, as if that
 * share of it were there.
 */
#include "rpc/balance.h"

enum { FULL = 1000, SMALLEST = 100 };

/* In thousandths: what part of a host is taken to be there. */
static uint64_t share(const struct balance *b, const struct balance_host *host, neo_nsec now)
{
    neo_nsec window = b->config->least.slow_start;
    neo_nsec age = now - host->ready_since;

    if (age >= window)
        return FULL;
    uint64_t part = age * FULL / window;
    return part < SMALLEST ? SMALLEST : part;
}

static uint64_t load(const struct balance *b, const struct balance_host *host, neo_nsec now)
{
    return ((uint64_t)host->active + 1) * FULL * FULL / share(b, host, now);
}

static size_t pick(struct balance *b, neo_nsec now)
{
    size_t best = balance_random(b) % b->n;
    uint64_t least = load(b, b->hosts[best], now);

    for (uint32_t i = 1; i < b->config->least.choices && b->n > 1; i++) {
        /* Any but the best so far: two choices are then two hosts. */
        size_t other = (best + 1 + balance_random(b) % (b->n - 1)) % b->n;
        uint64_t its = load(b, b->hosts[other], now);
        if (its < least) {
            best = other;
            least = its;
        }
    }
    return best;
}

const struct balance_policy balance_least_request = {
    .name = "least_request",
    .also = "least_request_experimental",
    .connects_all = true,
    .pick = pick,
};
