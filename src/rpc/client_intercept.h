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
void client_intercept_end(struct neo_client_call *call, const struct neo_status *status);

#endif
