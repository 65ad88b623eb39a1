/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc/share.h - how much of a server and of a worker one caller may have. The first four
 * functions on any thread, the others on the worker's.
 */
#ifndef NEO_RPC_SHARE_H
#define NEO_RPC_SHARE_H

#include "rpc/server.h"

/* Of one identity, over all its connections to this worker. */
struct caller_share {
    unsigned peers;
    unsigned running;          /* calls in handlers, streams gone or not */
    size_t holding;            /* bytes of their requests: holding.h */
    struct neo_lane *blocking; /* what it may have of server.blocking, on all workers together */
    size_t len;
    uint8_t name[];
};

/* One connection more of `identity`; false when it has its fill. leave() undoes it. */
bool server_identity_enter(struct neo_server *server, struct neo_bytes identity);
void server_identity_leave(struct neo_server *server, struct neo_bytes identity);
/* Its part of `blocking`, until as many have left it; NULL when out of memory. */
struct neo_lane *server_identity_lane(struct neo_server *server, struct neo_bytes identity);
void server_identity_leave_lane(struct neo_server *server, struct neo_bytes identity);

/* One peer more of `name`; NULL when out of memory. Gives: share_leave(), when its last call has
 * gone. */
struct caller_share *share_enter(struct worker *w, struct neo_bytes name);
void share_leave(struct worker *w, struct caller_share *s);
/* True when it may not run another call now. */
bool share_is_spent(const struct worker *w, const struct caller_share *s);

#endif
