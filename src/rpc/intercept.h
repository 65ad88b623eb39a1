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
/* Whether any wants to see the messages of this call. */
static inline bool intercept_sees(const struct neo_call *call)
{
    return call->intercepted > 0 && call->worker->server->sees_messages;
}
/* Shows a request, or a response. */
void intercept_message(struct neo_call *call, bool is_request, const void *message);
/* The same for a response that was encoded elsewhere. */
NEO_MUST_CHECK bool intercept_wire(struct neo_call *call, struct neo_bytes wire);
/* The other way round, those that began. */
void intercept_end(struct neo_call *call, const struct neo_status *status);

#endif
