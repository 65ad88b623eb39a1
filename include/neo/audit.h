/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo/audit.h - who asked for what, what was decided, and why: records that cannot be altered
 * unseen.
 *
 * One JSON object a line. Each line carries the SHA-256 of the line before it, so a
 * changed, missing, reordered or cut line breaks the chain; a signed checkpoint
 * (Ed25519, made by the writer's key) every 1000 records or second closes what lies
 * before it against a rewriter. Denials are always recorded; allowances as the
 * options say (all, or counted only).
 *
 * The writer here is pure: it appends bytes to a buffer; who owns the file writes
 * them (neo_audit_file in mesh).
 */
#ifndef NEO_AUDIT_H
#define NEO_AUDIT_H

#include <neo/buffer.h>
#include <neo/digest.h>
#include <neo/error.h>
#include <neo/key.h>

#ifdef __cplusplus
extern "C" {
#endif

/* "d-" + 16 hex digits: names one decision; given to the peer, found again by `neo why`. */
struct neo_decision_id {
    char text[20];
};
/* Random, unguessable. */
struct neo_decision_id neo_decision_id_new(void);

struct neo_audit_record {
    struct neo_decision_id id;
    int64_t wall_nsec;
    struct neo_bytes caller; /* SPIFFE id or "anonymous" */
    struct neo_bytes target; /* service */
    struct neo_bytes method; /* "package.Service/Method" */
    const char *decision;    /* "allow", "deny", "shadow-deny" */
    const char *stage;       /* the pipeline's step: "authorise", "attested", "limits", ... */
    const char *reason;      /* of the closed list in docs/ERRORS.md */
    const char *rule_file;   /* what decided; NULL: nothing */
    unsigned rule_line;
    const char *nearest_file; /* the nearest rule; NULL: none */
    unsigned nearest_line;
    const char *detail;        /* one sentence for the operator */
    struct neo_bytes trace_id; /* hex */
    struct neo_bytes peer;     /* address */
    const char *policy_version;
    const char *evidence; /* digest of the appraised evidence, hex; NULL: none */
};

/* At most so many lines follow a checkpoint before the next. */
enum { NEO_AUDIT_CHECKPOINT_RECORDS = 1000 };

struct neo_audit_chain {
    uint8_t previous[NEO_SHA256_LEN]; /* hash of the last line */
    uint64_t sequence;                /* of the last line; the first is 1 */
    uint64_t checkpoint; /* sequence of the last checkpoint; lines after it are unsigned */
};

/* Starts a new chain. */
void neo_audit_chain_init(struct neo_audit_chain *chain);
/* Appends one line. False, and nothing changed, when `out` is full. */
bool neo_audit_append(struct neo_audit_chain *chain, const struct neo_audit_record *record,
                      struct neo_buffer *out);
/* Appends a checkpoint signed with `key`; on failure nothing has changed. */
NEO_MUST_CHECK enum neo_code neo_audit_checkpoint(struct neo_audit_chain *chain, int64_t wall_nsec,
                                                  const struct neo_key *key, struct neo_buffer *out,
                                                  struct neo_error *err);

/*
 * Checks a whole file: DATA_LOSS with the line that breaks the chain. `spki` verifies the
 * checkpoints; empty: they are only chained. On success `*ret` continues the chain. Not to be seen
 * in the text alone: that lines after its last checkpoint were cut off, or that all of it is an
 * older copy. For that, compare ret->sequence with what is known from elsewhere.
 */
NEO_MUST_CHECK enum neo_code neo_audit_verify(struct neo_bytes text, struct neo_bytes spki,
                                              struct neo_audit_chain *ret, struct neo_error *err);

/* The line of a decision; empty when there is none. */
struct neo_bytes neo_audit_find(struct neo_bytes text, const char *decision_id);

#ifdef __cplusplus
}
#endif

#endif
