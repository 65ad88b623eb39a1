/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A token bucket kept as a single instant (GCRA).
 *
 * Counting tokens needs fractions, and fractions drift. Instead we remember only
 * when the bucket will be full again (`full_at`): taking a token moves that
 * instant one interval into the future, and waiting lets the clock catch up.
 * Everything is integer arithmetic, so a limiter behaves the same on its
 * billionth call as on its first.
 *
 * Taking from several buckets must be one step. Swapping the words one after the
 * other with a way back is not: while a doomed call holds a token it has yet to
 * give back, others are refused for nothing, and giving back is not even possible
 * once the clock has passed `full_at` and the bucket's past is forgotten. So each
 * word carries a lock bit:
 *
 *   refuse  One look at each word, no lock. Instants only grow, so a bucket seen
 *           empty at `now` was empty, whatever the others held.
 *   admit   Lock the words in the order of their addresses, look again at what has moved since,
 * move all or none, unlock. Two-phase locking: the result is that of some order of the calls, and
 * the common order of locking excludes deadlock.
 *
 * A locked word still shows its old instant, so refusals never wait.
 */
#include <neo/ratelimit.h>

#include "guard/spin.h"

#include <assert.h>
#include <stdbool.h>

#define LOCKED (UINT64_C(1) << 63)
#define LATEST (UINT64_C(1) << 62)

/* Rounded up, so that rounding can only ever make a limiter stricter. */
static neo_nsec interval_of(uint32_t per_second)
{
    return (NEO_NSEC_PER_SEC + per_second - 1) / per_second;
}

static neo_nsec later(neo_nsec a, neo_nsec b)
{
    return a > b ? a : b;
}

/* How long until one token can be taken; 0 when one can be taken now. */
static neo_nsec wait_for_token(const struct neo_ratelimit *rl, neo_nsec full_at, neo_nsec now)
{
    neo_nsec needed = later(full_at, now) - now + rl->interval;

    return needed > rl->capacity ? needed - rl->capacity : 0;
}

static neo_nsec full_at(const struct neo_ratelimit *rl)
{
    return atomic_load_explicit(&rl->full_at, memory_order_acquire) & ~LOCKED;
}

/* Returns its instant. */
static neo_nsec lock(struct neo_ratelimit *rl)
{
    unsigned rounds = 0;

    for (;;) {
        uint64_t word = atomic_load_explicit(&rl->full_at, memory_order_relaxed);
        if ((word & LOCKED) == 0 &&
            atomic_compare_exchange_weak_explicit(&rl->full_at, &word, word | LOCKED,
                                                  memory_order_acquire, memory_order_relaxed))
            return word;
        spin_wait(&rounds);
    }
}

static void unlock_at(struct neo_ratelimit *rl, neo_nsec instant)
{
    atomic_store_explicit(&rl->full_at, instant, memory_order_release);
}

/* One of several buckets to take from. */
struct draw {
    struct neo_ratelimit *from;
    neo_nsec full_at;
    size_t which;
};

/* Small and nearly sorted: insertion is the quickest. */
static void sort_by_address(struct draw draws[], size_t n)
{
    for (size_t i = 1; i < n; i++)
        for (size_t j = i; j > 0 && (uintptr_t)draws[j - 1].from > (uintptr_t)draws[j].from; j--) {
            struct draw swap = draws[j];
            draws[j] = draws[j - 1];
            draws[j - 1] = swap;
        }
}

static neo_nsec longest_wait(struct draw draws[], size_t n, neo_nsec now, size_t *ret_which)
{
    neo_nsec longest = 0;

    for (size_t i = 0; i < n; i++) {
        neo_nsec wait = wait_for_token(draws[i].from, draws[i].full_at, now);
        if (wait > longest) {
            longest = wait;
            if (ret_which != NULL)
                *ret_which = draws[i].which;
        }
    }
    return longest;
}

void neo_ratelimit_init(struct neo_ratelimit *rl, uint32_t per_second, uint32_t burst)
{
    assert(per_second > 0 && burst > 0);

    /* At most 10^9 * 2^32, which is below 2^62: the product cannot overflow. */
    rl->interval = interval_of(per_second);
    rl->capacity = rl->interval * burst;
    atomic_init(&rl->full_at, 0);
}

neo_nsec neo_ratelimit_take(struct neo_ratelimit *rl, neo_nsec now)
{
    return neo_ratelimit_take_all(&rl, 1, now, NULL);
}

neo_nsec neo_ratelimit_take_all(struct neo_ratelimit *const limits[], size_t n, neo_nsec now,
                                size_t *ret_which)
{
    struct draw draws[NEO_RATELIMIT_MOST];

    assert(n <= NEO_RATELIMIT_MOST && now < LATEST);
    for (size_t i = 0; i < n; i++)
        draws[i] = (struct draw){limits[i], full_at(limits[i]), i};
    neo_nsec wait = longest_wait(draws, n, now, ret_which);
    if (wait > 0)
        return wait;

    sort_by_address(draws, n);
    bool moved = false;
    for (size_t i = 0; i < n; i++) {
        assert(i == 0 || draws[i - 1].from != draws[i].from);
        neo_nsec seen = draws[i].full_at;
        draws[i].full_at = lock(draws[i].from);
        moved |= draws[i].full_at != seen;
    }
    if (moved) /* else the same instants say the same as before */
        wait = longest_wait(draws, n, now, ret_which);
    for (size_t i = 0; i < n; i++) {
        neo_nsec old = draws[i].full_at;
        unlock_at(draws[i].from, wait > 0 ? old : later(old, now) + draws[i].from->interval);
    }
    return wait;
}
