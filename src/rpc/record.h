/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc/record.h - what is kept of decisions and calls: audit, metrics, log.
 *
 * A peer reads fixed texts; everything a person needs to understand a decision goes
 * here, under the decision id that the peer was given.
 */
#ifndef NEO_RPC_RECORD_H
#define NEO_RPC_RECORD_H

#include "rpc/call.h"

/* False when out of memory. */
bool record_init(struct neo_server *server);
bool record_init_method(struct neo_server *server, struct method *m);

/* A call begins: `method` is NULL for one that nobody knows. */
void record_started(struct neo_call *call);
/* The call ended with `code`. Its duration waits for the next record_durations(). */
void record_ended(struct neo_call *call, enum neo_code code);
/*
 * Reads the clock once for all that have ended since. None of their answers has left before: what
 * comes in together is answered together.
 */
void record_durations(struct worker *w);
/* A decision against the call, made at `stage`; gives it a decision id. `detail` may be NULL. */
__attribute__((cold)) void record_denied(struct neo_call *call, const char *stage,
                                         enum neo_reason reason, const char *detail);
/* The handler is at fault; `how` says what it did. */
__attribute__((cold)) void record_broken(struct neo_call *call, const char *how);
/* It blocks, and found no thread in time. */
__attribute__((cold)) void record_no_thread(struct neo_call *call);
/* The deadline has passed, and the handler has not answered. */
__attribute__((cold)) void record_unanswered(struct neo_call *call);
/* The call may run; also whether only the shadow mode of a policy let it. */
void record_allowed(struct neo_call *call);

/* The peer's evidence was accepted. */
void record_attested(struct neo_call *call, const char *detail);

/* The answer is too large for what the peer takes of it: `what` says what does not go. */
__attribute__((cold)) void record_cut(struct neo_call *call, const char *what);
__attribute__((cold)) void record_stalled(const struct peer *p);
/* A request was reset for its field of that name. */
void record_malformed(struct peer *p, struct neo_bytes name);
/* A handler asked for the caller's foreign certificate, or may from its thread, and `err` keeps it
   from it. */
__attribute__((cold)) void record_unread(const struct peer *p, const struct neo_error *err);
/* It did not answer our PING. */
void record_silent(const struct peer *p);
void record_gone(const struct peer *p, const struct neo_error *err);
void record_refused_connection(const struct neo_server *server, const char *why,
                               const char *address);

#endif
