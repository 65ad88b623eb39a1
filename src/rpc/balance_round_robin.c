/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/balance.h"

static size_t pick(struct balance *b, neo_nsec now)
{
    (void)now;
    if (b->next >= b->n)
        b->next = 0;
    return b->next++;
}

const struct balance_policy balance_round_robin = {
    .name = "round_robin",
    .connects_all = true,
    .pick = pick,
};
