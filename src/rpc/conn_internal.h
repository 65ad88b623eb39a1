/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc/conn_internal.h - a connection's parts, for conn.c and conn_look.c.
 */
#ifndef NEO_RPC_CONN_INTERNAL_H
#define NEO_RPC_CONN_INTERNAL_H

#include "rpc/conn.h"

enum conn_state {
    CONN_CONNECTING,
    CONN_GREETING,
    CONN_HANDSHAKE,
    CONN_SETTLING,
    CONN_OPEN,
    CONN_CLOSING,
    CONN_FLUSHING,
    CONN_LINGERING,
    CONN_GONE,
};

struct conn {
    enum conn_state state;
    bool server;
    bool in_turn;
    bool read_ended; /* the peer's close_notify or FIN was seen */
    bool impatient;  /* it sends more although its greeting was not taken up yet */
    unsigned want;   /* what the socket is watched for */
    struct neo_loop *loop;
    struct net_watch watch;
    struct tls *tls; /* NULL until conn_secure(), if it was made without */
    struct h2 *h2;   /* from TLS' opening until GONE */
    const struct conn_hooks *hooks;
    void *owner;
    struct neo_timer flush;    /* the turn that conn_kick() asked for */
    struct neo_timer deadline; /* of the state, or of a backlog that does not move */
    neo_nsec armed_for;
    neo_nsec state_ends; /* 0: the state has no end */
    neo_nsec last_read;
    neo_nsec last_write;
    struct neo_buffer backlog;  /* ciphertext the socket did not take */
    struct neo_buffer greeting; /* the client's first record, while it gathers and waits */
    struct neo_error why;
    struct h2_events events; /* the owner's, with `ready` seen here first */
    void (*owner_ready)(struct h2 *h2);
    struct h2_limits limits;
    struct net_address peer;
};

/* Asks the caches for what a readiness will need: net_watch.warm. */
void conn_warm(struct net_watch *watch, unsigned step);

#endif
