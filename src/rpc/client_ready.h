/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc/client_ready.h - the method of calls that are sent nowhere.
 *
 * They wait in line as all do, end with OK where others would be sent, and are seen by no
 * interceptor and in no count but those of who waits: what neo_channel_wait_ready() waits for.
 */
#ifndef NEO_RPC_CLIENT_READY_H
#define NEO_RPC_CLIENT_READY_H

#include <neo/proto.h>

extern const struct neo_method client_ready_method;

#endif
