/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo/retry.h - the client's side of overload: when to try again, and when not even to try.
 *
 * Three small things, each a plain value without anything to release:
 *
 *   backoff   how long to wait before the n-th attempt
 *   budget    whether the target can bear another retry; per target
 *   throttle  whether it can bear a first attempt; per target and class
 *
 * Nothing here reads a clock or draws random numbers: both are passed in.
 *
 * Threads   Budget and throttle are safe to share; a backoff is a constant.
 * Time      `now` is monotonic. Standard: gRFC A6; gRPC connection backoff.
 */
#ifndef NEO_RETRY_H
#define NEO_RETRY_H

#include <neo/atomic.h>
#include <neo/time.h>

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

struct neo_backoff {
    neo_nsec initial;  /* before the first jitter; at least 1 */
    neo_nsec max;      /* at least `initial` */
    double multiplier; /* at least 1 */
    double jitter;     /* 0.2: between 80 % and 120 %; below 1 */
};

/* Between the starts of attempts to connect; back to attempt 1 once SETTINGS has come. */
#define NEO_CONNECTION_BACKOFF                                                                     \
    ((struct neo_backoff){NEO_NSEC_PER_SEC, 120 * NEO_NSEC_PER_SEC, 1.6, 0.2})

/*
 * The wait after the `attempt`-th failure, counted from 1:
 * min(initial x multiplier^(attempt-1), max), times 1 ± jitter. `random` is 64 fresh random bits.
 */
neo_nsec neo_backoff_wait(const struct neo_backoff *backoff, unsigned attempt, uint64_t random);

/* Two sums over the recent past. Private to what embeds it. */
enum { NEO_TALLY_SLOTS = 24 };
struct neo_tally {
    uint64_t newest; /* number of the newest slot */
    uint32_t tried[NEO_TALLY_SLOTS];
    uint32_t counted[NEO_TALLY_SLOTS];
};

struct neo_retry_config {
    uint32_t max_tokens;        /* A6 maxTokens, 1..1000 */
    uint32_t token_ratio_milli; /* A6 tokenRatio in thousandths: 100 is 0.1; at least 1 */
    uint32_t percent;           /* retries per 100 calls of the last 10 s ... */
    uint32_t per_second;        /* ... and this many a second, however few the calls */
};

#define NEO_RETRY_DEFAULT ((struct neo_retry_config){10, 100, 10, 3})

/*
 * Both must allow a retry: the tokens, which sink with each failure and rise with
 * successes, and the share of retries among recent calls.
 */
struct neo_retry_budget {
    /* private */
    struct neo_retry_config config;
    NEO_ATOMIC(uint32_t) lock; /* held for a few instructions; guards what follows */
    uint32_t milli_tokens;
    struct neo_tally calls; /* tried: calls; counted: retries */
};

/* Full. Storage is the owner's; nothing is to be released. */
void neo_retry_budget_init(struct neo_retry_budget *b, const struct neo_retry_config *config);

/* A call begins; its retries are not calls. */
void neo_retry_budget_call(struct neo_retry_budget *b, neo_nsec now);

/*
 * An attempt ended: well, or in a way that would be retried (or the server said by pushback not
 * to). Other ends, and transparent retries, are not reported.
 */
void neo_retry_budget_success(struct neo_retry_budget *b);
void neo_retry_budget_failure(struct neo_retry_budget *b);

/* Whether a retry may start now; it is counted when it may. */
bool neo_retry_budget_take(struct neo_retry_budget *b, neo_nsec now);

/*
 * Adaptive throttling: a client that is refused more than it is served refuses
 * itself, with probability (tried - K x accepted) / (tried + 1) over the last two
 * minutes, at most 0.9, so that recovery is noticed.
 */
struct neo_throttle {
    /* private */
    uint32_t k_percent;
    NEO_ATOMIC(uint32_t) lock; /* held for a few instructions; guards what follows */
    struct neo_tally calls;    /* tried: asked for; counted: accepted by the target */
};

/* `k_percent`: 200 by default, 150 for what may be shed, 110 when the target publishes its level.
 */
void neo_throttle_init(struct neo_throttle *t, uint32_t k_percent);

/* Counts a call that wants to begin; false: refuse it here. `random` is 64 fresh random bits. */
bool neo_throttle_admits(struct neo_throttle *t, neo_nsec now, uint64_t random);

/* The target took the call: it ended, but not RESOURCE_EXHAUSTED, UNAVAILABLE or unconnected. */
void neo_throttle_accepted(struct neo_throttle *t, neo_nsec now);

#ifdef __cplusplus
}
#endif

#endif
