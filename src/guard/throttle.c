/* SPDX-License-Identifier: Apache-2.0 */
#include <neo/retry.h>

#include "guard/spin.h"
#include "guard/tally.h"

#include <assert.h>

#define SLOT (5 * NEO_NSEC_PER_SEC) /* 24 of them are the two minutes */

/*
 * Refuse with probability excess / (tried + 1), at most 0.9, in integers: 24 random
 * bits r against the fraction. The sums are below 24 x 2^32 < 2^37, so the products
 * stay below 2^61.
 */
static bool must_refuse(struct tally_sums recent, uint32_t k_percent, uint64_t random)
{
    uint64_t borne = recent.counted * k_percent / 100;

    if (recent.tried <= borne)
        return false;
    uint64_t excess = recent.tried - borne;
    uint64_t cap = (recent.tried + 1) * 9 / 10;
    return (random >> 40) * (recent.tried + 1) < (excess < cap ? excess : cap) << 24;
}

void neo_throttle_init(struct neo_throttle *t, uint32_t k_percent)
{
    assert(k_percent >= 100 && k_percent <= 1000);

    *t = (struct neo_throttle){.k_percent = k_percent};
    atomic_init(&t->lock, 0);
}

bool neo_throttle_admits(struct neo_throttle *t, neo_nsec now, uint64_t random)
{
    spin_lock(&t->lock);
    tally_advance(&t->calls, now, SLOT);
    bool refused = must_refuse(tally_last(&t->calls, NEO_TALLY_SLOTS), t->k_percent, random);
    tally_tried(&t->calls);
    spin_unlock(&t->lock);
    return !refused;
}

void neo_throttle_accepted(struct neo_throttle *t, neo_nsec now)
{
    spin_lock(&t->lock);
    tally_advance(&t->calls, now, SLOT);
    tally_counted(&t->calls);
    spin_unlock(&t->lock);
}
