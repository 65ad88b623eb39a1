/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo/rollout.h - a new measurement of a service, from candidate to revoked.
 *
 *     candidate --activate--> active --retire--> retiring --revoke--> revoked
 *          \________________________________________________________/
 *
 * The document `measurement_rollouts:` says, beside `attestation_policies`, which of a service's
 * measurements count now. A service that it names is accepted with one that is active or retiring,
 * within its dates, and with no other; a candidate is accepted by the registry alone, which
 * thereby sees whether it starts and proves itself. Services that it does not name are judged by
 * `attestation_policies` alone.
 *
 * What a step needs was seen by the registry (neo.registry.v1.Instance: `measurement`, `live`).
 *
 * Pure: observations and the time are arguments.
 */
#ifndef NEO_ROLLOUT_H
#define NEO_ROLLOUT_H

#include <neo/arena.h>
#include <neo/buffer.h>
#include <neo/error.h>
#include <neo/policy.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NEO_ROLLOUT_STATES(X)                                                                      \
    X(CANDIDATE, "candidate")                                                                      \
    X(ACTIVE, "active")                                                                            \
    X(RETIRING, "retiring")                                                                        \
    X(REVOKED, "revoked")
/* clang-format off */
enum neo_rollout_state {
#define X(name, text) NEO_ROLLOUT_##name,
    NEO_ROLLOUT_STATES(X)
#undef X
    NEO_ROLLOUT_STATES_N,
};
/* clang-format on */
const char *neo_rollout_state_text(enum neo_rollout_state state);

enum { NEO_ROLLOUT_SERVICE_LEN = 64, NEO_ROLLOUT_MEASUREMENT_LEN = 129, NEO_ROLLOUTS_MAX = 1024 };

/* Times are seconds since 1970; 0: none. */
struct neo_rollout {
    char service[NEO_ROLLOUT_SERVICE_LEN];
    char measurement[NEO_ROLLOUT_MEASUREMENT_LEN]; /* lower-case hex, as in appraisals */
    enum neo_rollout_state state;
    int64_t since;      /* of the state */
    int64_t proven;     /* when an attested start of it was seen first */
    int64_t not_before; /* not accepted earlier */
    int64_t not_after;  /* nor from then on */
};

/* --- the state machine ------------------------------------------------------------------------ */

enum neo_rollout_step {
    NEO_ROLLOUT_ACTIVATE,
    NEO_ROLLOUT_RETIRE,
    NEO_ROLLOUT_REVOKE,
};

/* What the registry sees of this service and measurement, at the time of the step. */
struct neo_rollout_seen {
    uint64_t instances; /* that started and proved to the registry that they run it */
    uint64_t channels;  /* live connections, of whomever, that rest on it */
};

/* INVALID_ARGUMENT: no service name, or not 32 to 64 bytes of hex. */
NEO_MUST_CHECK enum neo_code neo_rollout_begin(const char *service, const char *measurement,
                                               int64_t now, struct neo_rollout *ret,
                                               struct neo_error *err);
/*
 * FAILED_PRECONDITION says what is missing: the step does not lead on from this state, no attested
 * start was seen (ACTIVATE), live connections rest on it (RETIRE). `at` (0: now): from when it is
 * accepted (ACTIVATE), until when (RETIRE; 0: until it is revoked). A revocation is at once.
 */
NEO_MUST_CHECK enum neo_code neo_rollout_step(const struct neo_rollout *from,
                                              enum neo_rollout_step step,
                                              const struct neo_rollout_seen *seen, int64_t now,
                                              int64_t at, struct neo_rollout *ret,
                                              struct neo_error *err);
/* NULL: it counts; else why not. `observes`: candidates count, too. */
const char *neo_rollout_refusal(const struct neo_rollout *rollout, bool observes, int64_t now);

/* --- the document ----------------------------------------------------------------------------- */

/*
 * Reads the document when it is one of `measurement_rollouts`; others give none. Refused: unknown
 * keys and states, a measurement that a service has twice. `*ret` lives in `arena`.
 */
NEO_MUST_CHECK enum neo_code neo_rollouts_read(const struct neo_document *document,
                                               struct neo_arena *arena, struct neo_rollout **ret,
                                               size_t *ret_n, struct neo_error *err);
/* Writes what neo_rollouts_read() reads. False when out of memory. */
bool neo_rollouts_write(const struct neo_rollout *rollouts, size_t n, struct neo_buffer *out);

#ifdef __cplusplus
}
#endif

#endif
