/* SPDX-License-Identifier: Apache-2.0 */
#include "guard/tally.h"

#include <stddef.h>

void tally_advance(struct neo_tally *t, neo_nsec now, neo_nsec slot)
{
    uint64_t number = now / slot;

    if (number <= t->newest)
        return;
    uint64_t passed = number - t->newest;
    for (uint64_t i = 1; i <= passed && i <= NEO_TALLY_SLOTS; i++) {
        size_t at = (size_t)((t->newest + i) % NEO_TALLY_SLOTS);
        t->tried[at] = 0;
        t->counted[at] = 0;
    }
    t->newest = number;
}

static void add_one(uint32_t *count)
{
    if (*count < UINT32_MAX)
        ++*count;
}

void tally_tried(struct neo_tally *t)
{
    add_one(&t->tried[t->newest % NEO_TALLY_SLOTS]);
}

void tally_counted(struct neo_tally *t)
{
    add_one(&t->counted[t->newest % NEO_TALLY_SLOTS]);
}

struct tally_sums tally_last(const struct neo_tally *t, unsigned slots)
{
    struct tally_sums sums = {0};

    for (uint64_t i = 0; i < slots && i <= t->newest; i++) {
        size_t at = (size_t)((t->newest - i) % NEO_TALLY_SLOTS);
        sums.tried += t->tried[at];
        sums.counted += t->counted[at];
    }
    return sums;
}
