/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc/builtin.h - the services every server has: attestation, health, reflection.
 *
 * They pass the same pipeline as all others. A proven caller may use them unless a
 * rule of the policy denies it.
 */
#ifndef NEO_RPC_BUILTIN_H
#define NEO_RPC_BUILTIN_H

#include "rpc/server.h"

NEO_MUST_CHECK enum neo_code builtin_add(struct neo_server *server, struct neo_error *err);

NEO_MUST_CHECK enum neo_code builtin_attest_add(struct neo_server *server, struct neo_error *err);
NEO_MUST_CHECK enum neo_code builtin_health_add(struct neo_server *server, struct neo_error *err);
NEO_MUST_CHECK enum neo_code builtin_reflection_add(struct neo_server *server,
                                                    struct neo_error *err);
/* Makes what it answers from, of all services; once. Before any worker listens. */
NEO_MUST_CHECK enum neo_code builtin_reflection_index(struct neo_server *server,
                                                      struct neo_error *err);

/* Only when asked for, and only to those whom the policy names. */
NEO_MUST_CHECK enum neo_code builtin_channelz_add(struct neo_server *server, struct neo_error *err);

/* Tells this worker's watchers what has changed. */
void builtin_health_refresh(struct worker *w);

#endif
