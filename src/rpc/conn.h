/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc/conn.h - one connection: a socket, its TLS and its HTTP/2, for both roles.
 *
 * One readiness of the socket is one read, one tls_feed, one h2_feed; everything
 * these caused leaves in one h2_pull, one tls_write and one net_write at the end.
 * What is sent from outside such a turn (a handler that answers later, a new call)
 * is flushed once at the end of the loop's turn: conn_kick().
 *
 * The output that the socket does not take stops the reading (256 KiB), so a peer
 * that does not read cannot make us hold more.
 *
 * Threads   The loop's own thread.
 */
#ifndef NEO_RPC_CONN_H
#define NEO_RPC_CONN_H

#include "h2/h2.h"
#include "io/net.h"
#include "tls/tls.h"

struct conn;

struct conn_hooks {
    /* A server made without `tls`: the client's first record has come whole, and nothing was
       computed yet. Whenever the owner wants to spend a handshake on it: conn_secure(), but not
       from in here. */
    void (*greeted)(struct conn *c);
    /* TLS is open: the peer's facts are valid. Before any h2 event. Not OK: refuse the peer. */
    enum neo_code (*proven)(struct conn *c, struct neo_error *err);
    /* May be NULL. A turn's work is done; what it queued leaves next. */
    void (*worked)(struct conn *c);
    /* May be NULL. As net_watch.warm, of what the owner has beside a connection; from step 1 on. */
    void (*warm)(const struct conn *c, unsigned step);
    /* The end, exactly once, after every stream's `closed`; never from inside a conn_ function.
       The owner frees `c` here or later with conn_free(). `err` says why; code OK: both sides were
       done. */
    void (*gone)(struct conn *c, const struct neo_error *err);
};

struct conn_options {
    struct neo_loop *loop;
    int fd; /* taken on success; a client's may still be connecting */
    bool server;
    struct tls *tls; /* taken on success; NULL: a server that waits for conn_secure() */
    const struct h2_events *events;
    const struct h2_limits *limits; /* NULL: defaults */
    const struct conn_hooks *hooks;
    void *owner;
    neo_nsec handshake_timeout; /* 0: 5 s, for connect, TLS and SETTINGS together (client: 20 s) */
};

/* The h2 engine's h2_owner() is the conn. Gives `*ret`: conn_free(). */
NEO_MUST_CHECK enum neo_code conn_new(const struct conn_options *options, struct conn **ret,
                                      struct neo_error *err);
/* At once, without goodbye; reports `closed` of open streams but not `gone`. Not from inside an h2
 * event. */
void conn_free(struct conn *c);

/* Takes `tls`; the handshake goes on. It may end the connection: `c` may be gone after it. */
void conn_secure(struct conn *c, struct tls *tls);

void *conn_owner(const struct conn *c);
struct neo_loop *conn_loop(const struct conn *c);
struct h2 *conn_h2(const struct conn *c);
struct tls *conn_tls(const struct conn *c); /* NULL before conn_secure() */
const char *conn_peer_address(const struct conn *c);
/* Of our end; asks the kernel. False: it has none any more. */
bool conn_local_address(const struct conn *c, struct net_address *ret);
/* What the kernel says of its socket; nothing when that is closed. */
void conn_socket_options(const struct conn *c, struct net_options *ret);

/* Something was queued: send it by the end of the turn. Cheap; call it freely. */
void conn_kick(struct conn *c);
/*
 * Ends it: GOAWAY with `h2_error` and `debug`, open streams may finish until `grace` is over (0:
 * reset now), then close_notify and FIN. `why` is what `gone` will say. Calling it again can only
 * shorten.
 */
void conn_close(struct conn *c, uint32_t h2_error, const char *debug, neo_nsec grace,
                enum neo_code code, const char *why);
/* What `gone` says where the peer has said nothing else. */
extern const char conn_peer_closed[];
bool conn_is_closing(const struct conn *c);
/* When something last came from the peer; for idleness and keepalive. */
neo_nsec conn_last_read(const struct conn *c);

#endif
