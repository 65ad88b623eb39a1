/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pick_first: one connection, to the first address that answers.
 *
 * Addresses are tried in order. One that keeps silent does not hold up the others:
 * the next is begun after a quarter of a second (RFC 8305 recommends it), and who is
 * ready first wins.
 */
#include "rpc/balance.h"

#define STAGGER (250 * NEO_NSEC_PER_MSEC)

static size_t pick(struct balance *b, neo_nsec now)
{
    (void)b;
    (void)now;
    return 0;
}

const struct balance_policy balance_pick_first = {.name = "pick_first", .pick = pick};

size_t balance_first_to_connect(const enum balance_state *states, size_t n, neo_nsec last_begun,
                                neo_nsec now, neo_nsec *ret_again)
{
    size_t first = n;
    bool connecting = false;

    *ret_again = 0;
    for (size_t i = 0; i < n; i++) {
        if (states[i] == BALANCE_READY)
            return n;
        if (states[i] == BALANCE_IDLE && first == n)
            first = i;
        connecting = connecting || states[i] == BALANCE_CONNECTING;
    }
    if (first == n || !connecting || now >= last_begun + STAGGER)
        return first;
    *ret_again = last_begun + STAGGER;
    return n;
}
