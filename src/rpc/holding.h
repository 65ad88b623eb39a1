/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc/holding.h - how many bytes of requests a peer makes us hold.
 *
 * Counted for each call are its body, whole or not, and the blocks of its arena, where the message
 * is that it was decoded to; until they are free, which for a handler that holds on to its call is
 * long after the stream. The sums of a connection and of a caller on this worker, all its
 * connections together, have a limit each:
 *
 *     connection   4 of the largest messages that any method takes, at least 512 KiB
 *     caller       8 of them
 *
 * A call that is alone on its connection may decode beyond the first limit: a message that the
 * server takes can be handled.
 *
 * Threads   The worker's own.
 */
#ifndef NEO_RPC_HOLDING_H
#define NEO_RPC_HOLDING_H

#include "rpc/call.h"

/* Counts what the call holds now. False when its connection or its caller holds too much. */
bool holding_note(struct neo_call *call);
/* The call is gone, and its memory. */
void holding_end(struct neo_call *call);
/*
 * How much more the call may take to decode a message of `wire` bytes: eight times that, as much as
 * short submessages become, or 512 KiB. False when the limits leave less than that.
 */
bool holding_room(const struct neo_call *call, size_t wire, size_t *ret);

#endif
