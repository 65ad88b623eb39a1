/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pairing heap whose links live in the timers.
 *
 * Nearly every timer is a deadline that is disarmed long before it expires. Here
 * arming is one comparison with the root, and disarming a timer that no other was
 * ever put under is one unlink; only expiry pays for order, O(log n) on average.
 *
 * `link` is the address of whatever pointer points at the timer: the root, its
 * parent's `child`, or its elder sibling's `next`. So it can be taken out without
 * knowing which of them it is.
 */
#include "io/timers.h"

static bool is_before(const struct neo_timer *a, const struct neo_timer *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void put(struct neo_timer **link, struct neo_timer *timer)
{
    *link = timer;
    if (timer != NULL)
        timer->link = link;
}

/* One heap of two. Neither root has siblings; either may be NULL. */
static struct neo_timer *meld(struct neo_timer *a, struct neo_timer *b)
{
    if (a == NULL || b == NULL)
        return a == NULL ? b : a;

    struct neo_timer *root = is_before(b, a) ? b : a;
    struct neo_timer *under = root == a ? b : a;

    put(&under->next, root->child);
    put(&root->child, under);
    return root;
}

static struct neo_timer *take_first(struct neo_timer **siblings)
{
    struct neo_timer *first = *siblings;

    if (first != NULL) {
        *siblings = first->next;
        first->next = NULL;
    }
    return first;
}

/* One heap of many: melds them in pairs, then the pairs from last to first. */
static struct neo_timer *meld_all(struct neo_timer *siblings)
{
    struct neo_timer *pairs = NULL;
    struct neo_timer *root = NULL;

    while (siblings != NULL) {
        struct neo_timer *a = take_first(&siblings);
        struct neo_timer *pair = meld(a, take_first(&siblings));
        pair->next = pairs;
        pairs = pair;
    }
    while (pairs != NULL)
        root = meld(root, take_first(&pairs));
    return root;
}

void timers_disarm(struct timers *timers, struct neo_timer *timer)
{
    if (timer->link == NULL)
        return;

    struct neo_timer *orphans = meld_all(timer->child);

    put(timer->link, timer->next);
    timer->child = timer->next = NULL;
    timer->link = NULL;
    put(&timers->first, meld(timers->first, orphans));
}

void timers_arm(struct timers *timers, struct neo_timer *timer, neo_nsec at)
{
    timers_disarm(timers, timer);
    timer->at = at;
    timer->order = timers->order++;
    put(&timers->first, meld(timers->first, timer));
}

void timers_expire(struct timers *timers, neo_nsec now)
{
    uint64_t end = timers->order;

    for (;;) {
        struct neo_timer *timer = timers->first;
        if (timer == NULL || timer->at > now || timer->order >= end)
            return;
        timers_disarm(timers, timer);
        timer->expired(timer);
    }
}
