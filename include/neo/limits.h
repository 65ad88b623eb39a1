/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo/limits.h - the rate limits of one service, from the seed's `rate_limits:` document.
 *
 * A call takes one token from every bucket that applies (method, caller, global)
 * or from none. Token buckets are GCRA in integer nanoseconds on the monotonic
 * clock, and exact: never above rate x time + burst, however many threads take.
 *
 * Threads   Safe to share.
 */
#ifndef NEO_LIMITS_H
#define NEO_LIMITS_H

#include <neo/bytes.h>
#include <neo/error.h>
#include <neo/policy.h>
#include <neo/time.h>

#ifdef __cplusplus
extern "C" {
#endif

struct neo_limits;

/* Compiles the documents that hold `rate_limits`; none: no limits. Gives `*ret`: _unref(). */
NEO_MUST_CHECK enum neo_code neo_limits_compile(const struct neo_document *documents, size_t n,
                                                struct neo_limits **ret, struct neo_error *err);
struct neo_limits *neo_limits_ref(struct neo_limits *limits);
void neo_limits_unref(struct neo_limits *limits);

/* Resolves once per (connection, method); the result lives as long as `limits`. */
struct neo_limit_keys {
    int method; /* index of a bucket, or -1 */
    int caller;
};
struct neo_limit_keys neo_limits_keys(const struct neo_limits *limits, struct neo_bytes caller,
                                      struct neo_bytes service, struct neo_bytes method);

struct neo_limit_answer {
    neo_nsec wait;      /* 0: admitted */
    const char *bucket; /* on refusal: "method:ExecuteFunction", "caller:x", "global" */
};
/* Takes a token of every bucket of `keys`, or none. Any thread. */
struct neo_limit_answer neo_limits_take(struct neo_limits *limits, struct neo_limit_keys keys,
                                        neo_nsec now);

#ifdef __cplusplus
}
#endif

#endif
