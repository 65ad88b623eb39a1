/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io/timers.h - armed timers, the earliest first.
 *
 * Timers for the same instant come in the order in which they were armed.
 * Nothing here allocates, so arming cannot fail.
 *
 * Storage   {0} is empty. Timers are their owners' and may not move while armed.
 * Threads   Not synchronised.
 */
#ifndef NEO_IO_TIMERS_H
#define NEO_IO_TIMERS_H

#include <neo/loop.h>

struct timers {
    struct neo_timer *first; /* the root of the heap */
    uint64_t order;          /* how often anything was armed */
};

/* Arms, or re-arms. */
void timers_arm(struct timers *timers, struct neo_timer *timer, neo_nsec at);
/* Does nothing when not armed. */
void timers_disarm(struct timers *timers, struct neo_timer *timer);

/*
 * Calls every timer that has expired by `now`, each disarmed first. One armed meanwhile, even
 * for this very instant, waits for the next time. Nothing may be armed for an instant before `now`
 * meanwhile: it would hide the ones that are still to be called.
 */
void timers_expire(struct timers *timers, neo_nsec now);

#endif
