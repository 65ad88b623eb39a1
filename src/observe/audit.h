/* SPDX-License-Identifier: Apache-2.0 */
/*
 * observe/audit.h - a record before and after it is chained.
 *
 * A line is its place in the chain, a body, and its hash:
 *
 *     {"seq":7,"prev":"<hash of line 6>",  body  ,"hash":"<SHA-256 of all before the comma>"}
 *
 * Bodies can be made by many threads; only the chain needs an order.
 */
#ifndef NEO_OBSERVE_AUDIT_H
#define NEO_OBSERVE_AUDIT_H

#include <neo/audit.h>

enum {
    AUDIT_FIELD_MAX = 256, /* bytes shown of a field */
    AUDIT_FIELDS = 13,     /* that may need escapes */
    AUDIT_BODY_MAX = 512 + AUDIT_FIELDS * (6 * AUDIT_FIELD_MAX + 32),
};

/* Returns the length of the body of `record`. */
size_t audit_put_body(const struct neo_audit_record *record, char out[static AUDIT_BODY_MAX]);

/* A body of its time and one number: what the writer has to say about the trail itself. */
size_t audit_put_note(int64_t wall_nsec, const char *name, uint64_t n,
                      char out[static AUDIT_BODY_MAX]);

/* Appends the body as the next line of the chain; false, and nothing changed, when `out` is full.
 */
bool audit_put_line(struct neo_audit_chain *chain, struct neo_bytes body, struct neo_buffer *out);

/* The state of the chain before `line`, as the line tells it; false when it is none. */
bool audit_chain_before(struct neo_bytes line, struct neo_audit_chain *ret);

/*
 * Checks whole lines that continue `*chain`, and moves it behind the last one that is right.
 */
NEO_MUST_CHECK enum neo_code audit_verify_from(struct neo_bytes text, struct neo_bytes spki,
                                               struct neo_audit_chain *chain,
                                               struct neo_error *err);

#endif
