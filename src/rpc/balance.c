/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/balance.h"

const struct balance_config balance_default = {
    .policy = &balance_round_robin,
    .least = {.choices = 2, .slow_start = 10 * NEO_NSEC_PER_SEC},
    .weighted = {.blackout = 10 * NEO_NSEC_PER_SEC,
                 .expiration = 180 * NEO_NSEC_PER_SEC,
                 .update = 1 * NEO_NSEC_PER_SEC,
                 .penalty_milli = 1000,
                 .period = 10 * NEO_NSEC_PER_SEC},
};

static const struct balance_policy *const policies[] = {
    &balance_pick_first,
    &balance_round_robin,
    &balance_least_request,
    &balance_weighted_round_robin,
};

const char balance_names[] = "pick_first, round_robin, least_request, weighted_round_robin";

const struct balance_policy *balance_find(struct neo_bytes name)
{
    for (size_t i = 0; i < NEO_COUNT(policies); i++) {
        const struct balance_policy *p = policies[i];
        if (neo_bytes_is(name, p->name) || (p->also != NULL && neo_bytes_is(name, p->also)))
            return p;
    }
    return NULL;
}

void balance_init(struct balance *b, const struct balance_config *config, uint64_t seed)
{
    *b = (struct balance){.config = config, .random = seed | 1};
}

/* Marsaglia's xorshift: cheap, and nobody gains anything by guessing it. */
uint64_t balance_random(struct balance *b)
{
    b->random ^= b->random << 13;
    b->random ^= b->random >> 7;
    b->random ^= b->random << 17;
    return b->random;
}
