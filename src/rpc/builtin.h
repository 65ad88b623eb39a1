/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc/builtin.h - the services every server has: health, reflection, attestation.
 */
#ifndef NEO_RPC_BUILTIN_H
#define NEO_RPC_BUILTIN_H

#include "rpc/server.h"

NEO_MUST_CHECK enum neo_code builtin_add(struct neo_server *server, struct neo_error *err);
void builtin_free(struct neo_server *server);

/* The peer's connection is going: its exchange, if there is one, comes to nothing. */
void builtin_attest_abandon(struct peer *p);

#endif
