/* SPDX-License-Identifier: Apache-2.0 */
/* rpc/subchannel_events.h - from the streams of a subchannel's connection to their owners. */
#ifndef NEO_RPC_SUBCHANNEL_EVENTS_H
#define NEO_RPC_SUBCHANNEL_EVENTS_H

#include "h2/h2.h"

/* Of an engine whose conn is owned by a struct sub_conn. */
extern const struct h2_events sub_conn_events;

/*
 * Its `goaway`, from subchannel_conn.c. Calls above `last_id` hear `closed` with REFUSED_STREAM;
 * the others may end in peace.
 */
void sub_conn_goaway(struct h2 *h2, int32_t last_id, uint32_t h2_error, struct neo_bytes debug);

#endif
