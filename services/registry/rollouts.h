/* SPDX-License-Identifier: Apache-2.0 */
/*
 * registry/rollouts.h - what became of measurements, for the audit trail.
 *
 * Two kinds of records, both of stage "rollout": what an operator did or was refused, as
 * `neo attest rollout` tells it; and what the documents say once they are in force, whoever
 * changed them, with the number under which they are. After a start the latter tells all once.
 *
 * Threads   None of its own: of a memory, one at a time. Both wait for the disk.
 */
#ifndef NEO_REGISTRY_ROLLOUTS_H
#define NEO_REGISTRY_ROLLOUTS_H

#include <neo/mesh.h>
#include <neo/policy/v1/policy.neo.h>
#include <neo/rollout.h>

/* {0} at the start. */
struct rollout_memory {
    struct neo_rollout *at; /* as the documents in force have it */
    size_t n;
};
void rollout_memory_fini(struct rollout_memory *m);
/* Records what `documents` change. What cannot be recorded is said in the log. */
void rollout_memory_update(struct rollout_memory *m, struct neo_mesh *mesh,
                           const struct neo_document *documents, size_t n, uint64_t number);

/* INVALID_ARGUMENT: no such step. Returns when the record cannot be lost any more. */
NEO_MUST_CHECK enum neo_code rollouts_note(struct neo_mesh *mesh, struct neo_bytes caller,
                                           const struct neo_policy_v1_NoteRolloutRequest *step,
                                           struct neo_decision_id *ret, struct neo_error *err);

#endif
