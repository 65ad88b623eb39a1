/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc/keepalive.h - when to ask a silent peer whether it is there, and when to believe that it is
 * not. A pure decision; subchannel.c carries it out. Standard: gRFC A8.
 */
#ifndef NEO_RPC_KEEPALIVE_H
#define NEO_RPC_KEEPALIVE_H

#include <neo/time.h>

#include <stdbool.h>

struct keepalive_config {
    bool off;
    neo_nsec time;
    neo_nsec timeout;
    bool without_calls;
    /* Asks twice in one silence, then every five minutes: what servers permit by default. */
    bool courteous;
};

struct keepalive {
    neo_nsec since;     /* silence counts from here at the earliest */
    neo_nsec pinged_at; /* 0: no PING is under way */
    unsigned pings;     /* since headers or data last came; who hears these sets it to 0 */
};

enum keepalive_verdict {
    KEEPALIVE_WAIT, /* ask again at `at` */
    KEEPALIVE_PING, /* send one, and ask again at `at` */
    KEEPALIVE_DEAD,
    KEEPALIVE_REST, /* nothing to do until a call begins */
};

/* `last_read`: when a byte last came; `busy`: calls are open. `*ret_at` for WAIT and PING. */
enum keepalive_verdict keepalive_check(struct keepalive *k, const struct keepalive_config *config,
                                       neo_nsec last_read, bool busy, neo_nsec now,
                                       neo_nsec *ret_at);

#endif
