/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io/net.h - sockets on a loop.
 *
 * A socket is a small integer. Every function here is answered by the simulated
 * twin too, so nothing above io may touch a descriptor in any other way.
 * Reads and writes never block: NET_AGAIN means "watch and come back".
 *
 * A TCP connection is given up when for 5 s the peer acknowledges nothing of what was sent, or has
 * no room for it. So whoever stops reading a connection for that long loses it.
 *
 * Threads   The loop's own thread.
 */
#ifndef NEO_IO_NET_H
#define NEO_IO_NET_H

#include <neo/bytes.h>
#include <neo/loop.h>

enum { NET_READ = 1, NET_WRITE = 2 };

struct net_watch;
typedef void net_watch_fn(struct net_watch *watch, unsigned events);

/*
 * Asks the caches for what `ready` is going to touch, and does nothing else. Of the sockets that
 * are ready in one turn a few are looked at ahead of time; what a step has asked for has come when
 * the next one is due, so that each may follow the pointers that the ones before it have fetched.
 * Where there are few sockets nobody is asked; else all steps are made before `ready` is called, in
 * order, at the latest just before.
 */
typedef void net_warm_fn(struct net_watch *watch, unsigned step);
enum { NET_WARM_STEPS = 5 };

/* Storage is the owner's. Errors arrive at `ready` as NET_READ | NET_WRITE. */
struct net_watch {
    net_watch_fn *ready;
    net_warm_fn *warm; /* NULL: nothing to fetch */
    int fd;
    /* private */
    unsigned want;
    struct net_slot *slot;
};

/*
 * Watches, or changes what is watched for; `want` 0 unwatches. Unwatching is immediate. `ready` is
 * called again in the next turn while what it reported still holds.
 */
NEO_MUST_CHECK enum neo_code net_watch(struct neo_loop *loop, struct net_watch *watch,
                                       unsigned want, struct neo_error *err);
void net_unwatch(struct neo_loop *loop, struct net_watch *watch);

/*
 * An address in text: "127.0.0.1:8441", "[::1]:8441", "unix:/run/neo/x.sock", "unix-abstract:neo-x"
 * (Linux: no file, and no permissions of one). Port 0 asks the kernel. Numeric only; names are
 * resolved with net_resolve().
 */
struct net_address {
    char text[128];
};

/*
 * Each worker may have its own listener on the same address, and each connection goes to one of
 * them (SO_REUSEPORT; a path has one queue for all). The kernel would let every process of the same
 * user join, too; so the first listener is always alone, and only its own process opens more.
 */
enum net_listening {
    NET_ALONE,
    NET_FIRST, /* alone so far: others may join it */
    NET_JOIN,  /* joins the one that was opened as NET_FIRST, which is open still */
};

/*
 * ALREADY_EXISTS: somebody listens there, of this process or another. "[::]" is IPv6 only. A path
 * is removed when its last listener is closed.
 */
NEO_MUST_CHECK enum neo_code net_listen(struct neo_loop *loop, const char *address,
                                        enum net_listening how, int *ret_fd, struct neo_error *err);
/* The address a listening or connected socket really has. */
NEO_MUST_CHECK enum neo_code net_local_address(struct neo_loop *loop, int fd,
                                               struct net_address *ret, struct neo_error *err);
NEO_MUST_CHECK enum neo_code net_peer_address(struct neo_loop *loop, int fd,
                                              struct net_address *ret, struct neo_error *err);

/* What the kernel says of a socket, for people who look. What a socket does not have is absent. */
enum { NET_OPTIONS_MAX = 8, NET_TCP_FACTS = 29 };
struct net_options {
    struct net_option {
        const char *name; /* "SO_SNDBUF" */
        int value;
    } of[NET_OPTIONS_MAX];
    size_t n;
    bool lingers;
    int linger;                           /* seconds */
    neo_nsec read_timeout, write_timeout; /* 0: none */
    bool is_tcp;
    char congestion[16];         /* the algorithm's name */
    uint32_t tcp[NET_TCP_FACTS]; /* tcpi_state to tcpi_reordering, in the order of <linux/tcp.h> */
};
void net_options(struct neo_loop *loop, int fd, struct net_options *ret);

enum net_result {
    NET_OK,
    NET_AGAIN,
    NET_EOF,
    NET_ERROR, /* the connection is gone; `err` says why */
};

/* NET_AGAIN: none waiting. Survives running out of descriptors without spinning. */
NEO_MUST_CHECK enum net_result net_accept(struct neo_loop *loop, int listener, int *ret_fd,
                                          struct neo_error *err);
/* How often it paused, for 100 ms each time, so as not to spin: for a metric. */
uint64_t net_accept_pauses(const struct neo_loop *loop);
/* Starts; the outcome is known when writable: net_connected(). */
NEO_MUST_CHECK enum neo_code net_connect(struct neo_loop *loop, const char *address, int *ret_fd,
                                         struct neo_error *err);
NEO_MUST_CHECK enum neo_code net_connected(struct neo_loop *loop, int fd, struct neo_error *err);

/* `len` at least 1. After a short read there is no need for another: `ready` tells of any more. */
NEO_MUST_CHECK enum net_result net_read(struct neo_loop *loop, int fd, void *at, size_t len,
                                        size_t *ret_len, struct neo_error *err);
NEO_MUST_CHECK enum net_result net_write(struct neo_loop *loop, int fd, struct neo_bytes bytes,
                                         size_t *ret_len, struct neo_error *err);
/* No more will be written (FIN). */
void net_shutdown(struct neo_loop *loop, int fd);
/* The watch on it must be gone. */
void net_close(struct neo_loop *loop, int fd);

/* Names to numeric addresses, off the loop. `done` gets at most 64; none and a code on failure. */
struct net_lookup;
typedef void net_lookup_fn(void *self, enum neo_code code, const struct net_address *addresses,
                           size_t n);
/* Gives `*ret`: it ends by itself after `done`, or by net_lookup_cancel() before. */
NEO_MUST_CHECK enum neo_code net_resolve(struct neo_loop *loop, const char *host, uint16_t port,
                                         net_lookup_fn *done, void *self, struct net_lookup **ret,
                                         struct neo_error *err);
void net_lookup_cancel(struct net_lookup *lookup);

#endif
