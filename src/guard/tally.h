/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard/tally.h - two sums over a window that slides in steps.
 *
 * Time is cut into slots; slot number s lives at index s mod SLOTS until it is
 * NEO_TALLY_SLOTS old. Not synchronised.
 */
#ifndef NEO_GUARD_TALLY_H
#define NEO_GUARD_TALLY_H

#include <neo/retry.h>

struct tally_sums {
    uint64_t tried;
    uint64_t counted;
};

/* Forgets what is too old. `slot` is the length of one slot. A `now` in the past changes nothing.
 */
void tally_advance(struct neo_tally *t, neo_nsec now, neo_nsec slot);

/* Count one at the newest slot. */
void tally_tried(struct neo_tally *t);
void tally_counted(struct neo_tally *t);

/* The sums over the newest `slots`. */
struct tally_sums tally_last(const struct neo_tally *t, unsigned slots);

#endif
