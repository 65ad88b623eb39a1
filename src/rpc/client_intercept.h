/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc/client_intercept.h - the interceptors of a channel.
 */
#ifndef NEO_RPC_CLIENT_INTERCEPT_H
#define NEO_RPC_CLIENT_INTERCEPT_H

#include <neo/interceptor.h>

#include "rpc/channel_internal.h"

/* Calls them in order, once its metadata are made. Not OK: those that began have ended. */
NEO_MUST_CHECK enum neo_code client_intercept_begin(struct neo_client_call *call,
                                                    struct neo_error *err);
/* Whether any wants to see the messages of this call. */
static inline bool client_intercept_sees(const struct neo_client_call *call)
{
    return call->intercepted > 0 && call->channel->sees_messages;
}
/* Shows a request, or a response. False: one of them has cancelled the call. */
bool client_intercept_message(struct neo_client_call *call, bool is_request, const void *message);
/* The same for one that is encoded, and not compressed. Malformed: nobody sees it, for nobody can
   read it. False also: there was no memory to show it in, and the call has ended for that. */
bool client_intercept_wire(struct neo_client_call *call, bool is_request, struct neo_bytes wire);
void client_intercept_end(struct neo_client_call *call, const struct neo_status *status);

#endif
