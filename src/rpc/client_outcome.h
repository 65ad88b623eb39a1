/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc/client_outcome.h - what the end of an attempt says of the instance that it was made to.
 *
 * The breaker is there for instances that are ill. What the caller does, or what is decided on this
 * side, says nothing of them: a short deadline, an answer that is larger than the caller's limit,
 * metadata that the server refuses, a cancelled call.
 *
 * Threads   The channel's loop.
 */
#ifndef NEO_RPC_CLIENT_OUTCOME_H
#define NEO_RPC_CLIENT_OUTCOME_H

#include <neo/error.h>

#include <stdbool.h>
#include <stdint.h>

struct call_attempt;

/* A message came: a probe has its answer, however long its call goes on. */
void client_outcome_heard(struct call_attempt *a);
/* Its stream is gone without a status. */
void client_outcome_lost(struct call_attempt *a, uint32_t h2_error);
/* It ends with `code`: the breaker is told, once. */
void client_outcome_settle(struct call_attempt *a, enum neo_code code);

#endif
