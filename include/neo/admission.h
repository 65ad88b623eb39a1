/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo/admission.h - the server's side of overload: run now, wait a moment, or shed.
 *
 * At most `limit` calls run at once. The less important a call, the less of the
 * limit it may fill, so there is always room left for what matters more:
 *
 *     CRITICAL_PLUS 100 %   CRITICAL 90 %   SHEDDABLE_PLUS 70 %   SHEDDABLE 40 %
 *
 * A call that finds no room waits in a short queue, the important ones first. It
 * waits up to 100 ms while the queue is a passing burst, and 5 ms once it has not
 * been empty for 100 ms; then also the newest goes first, for the oldest are lost
 * anyway. A call whose deadline leaves no time for its usual work is shed at once:
 * starting it would only delay the others.
 *
 *     enter() --> RUN ------------------------------------------> leave()
 *        |------> WAIT --> next() --> RUN -----------------------> leave()
 *        |                   |------> SHED
 *        |                 cancel()
 *        '------> SHED
 *
 * Storage   Plain values. A ticket is part of the call and stays put while it waits.
 * Threads   Not synchronised: an admission has one owner, a worker; the process
 *           runs at most workers x limit.
 * Time      `now` is monotonic.
 */
#ifndef NEO_ADMISSION_H
#define NEO_ADMISSION_H

#include <neo/context.h>
#include <neo/time.h>

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { NEO_CRITICALITIES = NEO_SHEDDABLE + 1 };

enum neo_admission_verdict {
    NEO_ADMISSION_RUN,
    NEO_ADMISSION_WAIT,
    NEO_ADMISSION_SHED_FULL, /* no room, and the queue is full or the wait was too long */
    NEO_ADMISSION_SHED_LATE, /* the deadline leaves no time for the work */
};

struct neo_admission_ticket {
    enum neo_criticality criticality; /* the caller fills these three */
    neo_nsec deadline;                /* 0: none */
    neo_nsec usual; /* what such a call usually takes; see neo_median; 0: unknown */
    /* private */
    neo_nsec arrived;
    struct neo_admission_ticket *next; /* towards the newer */
    struct neo_admission_ticket *prev;
    bool waiting;
};

struct neo_admission {
    /* private */
    unsigned limit;
    unsigned queue;
    unsigned running;
    unsigned waiting;
    neo_nsec empty_at; /* when the queue was last seen empty */
    struct neo_admission_ticket *oldest[NEO_CRITICALITIES];
    struct neo_admission_ticket *newest[NEO_CRITICALITIES];
};

/* `limit`: calls running at once, at least 1. `queue`: calls waiting; 0: none waits. */
void neo_admission_init(struct neo_admission *a, unsigned limit, unsigned queue);

/* Asks for a call. On WAIT borrows `ticket` until next() gives it back or cancel(). */
enum neo_admission_verdict neo_admission_enter(struct neo_admission *a,
                                               struct neo_admission_ticket *ticket, neo_nsec now);

/* A running call ended. Then ask next() until it has no more. */
void neo_admission_leave(struct neo_admission *a);

/*
 * The next call whose waiting is over, and what becomes of it: RUN, or one of the SHED. NULL when
 * none is; then ask again after the next leave(), or at `*ret_wake` (0: nobody waits).
 */
struct neo_admission_ticket *neo_admission_next(struct neo_admission *a, neo_nsec now,
                                                enum neo_admission_verdict *ret_verdict,
                                                neo_nsec *ret_wake);

/* Takes back a waiting call: reset, or past its deadline. Harmless for one that does not wait. */
void neo_admission_cancel(struct neo_admission *a, struct neo_admission_ticket *ticket);

/*
 * The median of what a method takes, as a running estimate of one word: each sample moves it a
 * thirty-second part of itself towards the sample. Starts at 0, unknown.
 */
struct neo_median {
    neo_nsec value;
};
void neo_median_add(struct neo_median *m, neo_nsec sample);

#ifdef __cplusplus
}
#endif

#endif
