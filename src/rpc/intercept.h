/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc/intercept.h - the interceptors of a server, as the pipeline calls them.
 */
#ifndef NEO_RPC_INTERCEPT_H
#define NEO_RPC_INTERCEPT_H

#include <neo/interceptor.h>

#include "rpc/call.h"

/* Calls them in order. False: one refused, and the call has ended. */
bool intercept_begin(struct neo_call *call);
/* The other way round, those that began. */
void intercept_end(struct neo_call *call, const struct neo_status *status);

#endif
