/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo/ratelimit.h - may this call run now, and if not, when?
 *
 * A limiter is a token bucket: it holds at most `burst` tokens, gains
 * `per_second` of them each second, and every admitted call takes one.
 *
 * It never allocates, logs or reads a clock. The caller passes the time in, so a
 * test can run a year of traffic in a millisecond.
 *
 * Storage   A plain value. Embed it; there is nothing to release.
 * Threads   Safe to share, and exact: under every interleaving no bucket gives
 *           more than it has, a refused call takes nothing anywhere, and a call
 *           is refused only when some bucket really was empty.
 * Time      `now` is monotonic, below 2^62 (146 years). An earlier `now` is safe
 *           and only stricter.
 */
#ifndef NEO_RATELIMIT_H
#define NEO_RATELIMIT_H

#include <neo/atomic.h>
#include <neo/time.h>

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct neo_ratelimit {
    /* private */
    NEO_ATOMIC(uint64_t)
    full_at;           /* instant at which the bucket is, or was, full; top bit: locked */
    neo_nsec interval; /* time to earn one token */
    neo_nsec capacity; /* time to earn a full bucket */
};

/* The most buckets that one call may draw from. */
enum { NEO_RATELIMIT_MOST = 8 };

/*
 * Starts with a full bucket. Both numbers must be at least 1; the configuration
 * loader has already refused anything else.
 */
void neo_ratelimit_init(struct neo_ratelimit *rl, uint32_t per_second, uint32_t burst);

/*
 * Takes one token and returns 0. When there is none, takes nothing and returns
 * how long until there will be one: the Retry-After of the reply.
 */
neo_nsec neo_ratelimit_take(struct neo_ratelimit *rl, neo_nsec now);

/*
 * Takes one token from each of `n` different limiters and returns 0, or takes none
 * and returns the longest wait, with its limiter's index in `*ret_which` (may be
 * NULL). A call that is within its method's limit but over its caller's must not
 * drain the method for everyone else.
 */
neo_nsec neo_ratelimit_take_all(struct neo_ratelimit *const limits[], size_t n, neo_nsec now,
                                size_t *ret_which);

#ifdef __cplusplus
}
#endif

#endif
