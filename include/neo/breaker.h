/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo/breaker.h - stop calling a service that keeps failing.
 *
 *              too many failures              open_for has passed
 *    CLOSED ---------------------->  OPEN  ----------------------> HALF_OPEN
 *      ^                              ^                             |   |
 *      |                              +---- any probe fails --------+   |
 *      +------------------- all probes succeed ------------------------+
 *
 * CLOSED admits every call. OPEN admits none. HALF_OPEN admits a few probes and
 * lets their results decide. Each time a probe fails, the next OPEN lasts twice
 * as long, up to a limit.
 *
 * Storage   A plain value; `config` is borrowed and must outlive it.
 * Threads   Safe to share: HALF_OPEN admits exactly its probes, however many workers
 *           ask at once.
 * Contract  Every permit from enter() goes back through leave() exactly once.
 */
#ifndef NEO_BREAKER_H
#define NEO_BREAKER_H

#include <neo/atomic.h>
#include <neo/time.h>

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum neo_breaker_state {
    NEO_BREAKER_CLOSED,
    NEO_BREAKER_OPEN,
    NEO_BREAKER_HALF_OPEN,
};

enum neo_breaker_outcome {
    NEO_BREAKER_SUCCESS,
    NEO_BREAKER_FAILURE,
    NEO_BREAKER_UNKNOWN, /* cancelled by us: says nothing about the service */
};

struct neo_breaker_config {
    unsigned window;          /* recent results considered, 1..64 */
    unsigned min_results;     /* results needed before it may open, 1..window */
    unsigned failure_percent; /* share of failures that opens it, 1..100 */
    unsigned probes;          /* successes needed in a row to close, at least 1 */
    neo_nsec open_min;        /* first stay in OPEN */
    neo_nsec open_max;        /* longest stay in OPEN */
    unsigned in_a_row;        /* failures in a row that open it, whatever was before; 0: none do */
};

struct neo_breaker {
    /* private */
    const struct neo_breaker_config *config;
    NEO_ATOMIC(uint32_t) lock; /* held for a few instructions; guards what follows */
    NEO_ATOMIC(enum neo_breaker_state) state;
    bool only;
    uint32_t era;         /* counts state changes; see neo_breaker_permit */
    uint64_t history;     /* latest result in bit 0; 1 is a failure */
    unsigned row;         /* failures since the last success */
    unsigned results;     /* how many bits of `history` count, at most window */
    unsigned probes_left; /* HALF_OPEN: probes not yet admitted */
    unsigned successes;   /* HALF_OPEN: probes that succeeded */
    neo_nsec open_for;
    neo_nsec open_until;
};

/* Proof of admission; means nothing to any other breaker. */
struct neo_breaker_permit {
    uint32_t era;
};

/* Closed, without a history. Storage is the owner's; nothing is to be released. */
void neo_breaker_init(struct neo_breaker *b, const struct neo_breaker_config *config);

/*
 * Asks to make a call. Returns false when the call must fail fast with
 * UNAVAILABLE, leaving `*ret_permit` untouched.
 */
bool neo_breaker_enter(struct neo_breaker *b, neo_nsec now, struct neo_breaker_permit *ret_permit);

/* Reports how an admitted call ended. */
void neo_breaker_leave(struct neo_breaker *b, struct neo_breaker_permit permit,
                       enum neo_breaker_outcome outcome, neo_nsec now);

/*
 * Whether there is no other service to call instead: then only failures in a row open it, if
 * `in_a_row` says how many. What still succeeds is worth more than failing fast.
 */
void neo_breaker_rely(struct neo_breaker *b, bool only);

/* For metrics and logs. To decide whether to call, use enter(). */
enum neo_breaker_state neo_breaker_state(const struct neo_breaker *b);

#ifdef __cplusplus
}
#endif

#endif
