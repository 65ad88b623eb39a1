/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_world.h - the inside of the twin, for the files sim*.c.
 *
 *     sim.c          the world: time, chance, machines, what is cut from what
 *     sim_loop.c     answers <neo/loop.h> and <neo/runtime.h>
 *     sim_net.c      answers io/net.h: sockets, listeners, how a connection is made
 *     sim_watch.c    and watches
 *     sim_wire.c     how bytes get from one socket to the other
 *     sim_names.c    answers net_resolve()
 *
 * What belongs to a kernel comes from calloc(); what the real io takes from
 * neo_alloc() comes from there too, so that a failing-allocation sweep fails the
 * same things in both.
 */
#ifndef NEO_TESTS_SUPPORT_SIM_WORLD_H
#define NEO_TESTS_SUPPORT_SIM_WORLD_H

#include "base/list.h"
#include "io/address.h"
#include "io/net.h"
#include "io/timers.h"
#include "support/sim.h"

#include <pthread.h>

#define NEVER UINT64_MAX

struct world {
    pthread_t thread;
    neo_nsec now;
    int64_t wall_ahead; /* of the monotonic clock */
    uint64_t chance;
    uint64_t trace;
    bool shows_trace;
    struct timers events; /* what the network, the pool and the resolver will do */

    struct address host;      /* of loops to come */
    struct list hosts;        /* every machine there ever was */
    struct list loops;        /* struct neo_loop */
    struct neo_loop *running; /* whose callback is on the stack */
    bool in_pool;             /* offloaded work is on the stack */
    unsigned loops_made;

    struct sim_network network;
    struct list groups;
    struct list rules;
    struct list names;
    struct {
        struct sim_socket **at; /* by descriptor; NULL: free */
        size_t cap;
        size_t open;
        size_t limit;
    } descriptors;
    struct list listeners; /* struct sim_socket */
    struct list wires;
    uint16_t next_port;
};

extern struct world *world;

struct neo_loop {
    struct list node;
    unsigned id;
    struct address host;
    struct timers timers;
    neo_nsec now;
    neo_nsec hangs_until;
    struct neo_job *first;
    struct neo_job **end;
    bool stopping;
    size_t under_way;  /* tasks and lookups that will still report here */
    struct list ready; /* struct sim_socket */
    struct list signals;
    bool has_signals; /* some have come and are not delivered */
    size_t watched;
    struct list paused; /* struct sim_socket: listeners */
    struct neo_timer resume;
    uint64_t pauses;
};

/* sim.c */
__attribute__((noreturn, format(printf, 1, 2))) void world_die(const char *format, ...);
void *world_alloc(size_t size);
uint64_t world_random(uint64_t below);
bool world_chance(unsigned percent);
void world_note(const char *event, uint64_t a, uint64_t b);
void world_at(struct neo_timer *event, neo_nsec at);
bool world_is_cut(const struct address *from, const struct address *to);
neo_nsec world_latency(const struct address *from, const struct address *to);
bool world_has_host(const struct address *ip);
bool world_is_same_ip(const struct address *a, const struct address *b);
bool world_is_loopback(const struct address *ip);
/* One step. False when nothing happens up to `limit`. */
bool world_step(neo_nsec limit);

/* sim_loop.c */
bool loop_is_runnable(struct neo_loop *loop);
neo_nsec loop_next_instant(struct neo_loop *loop);
void loop_turn(struct neo_loop *loop);

/* sim_net.c and sim_watch.c */
struct pipe;

enum socket_state { SOCKET_LISTENING, SOCKET_CONNECTING, SOCKET_OPEN, SOCKET_DEAD };

struct sim_socket {
    int fd; /* -1: not accepted yet */
    enum socket_state state;
    int error; /* an errno that nobody has been told yet */
    struct address local;
    struct address peer;
    struct address host;

    struct net_watch *watch;
    struct neo_loop *watcher;
    struct list ready_node;
    struct list paused_node;
    unsigned ignored; /* how often it was reported and its owner did nothing */

    struct list node;  /* listener: in the world; connection: in its listener's queue */
    struct list queue; /* listener: connections to accept */
    size_t queued;
    bool shared, joins;

    struct pipe *in; /* connection */
    struct pipe *out;
    bool shut;
    struct { /* of a connection that is being made */
        struct neo_timer timer;
        unsigned tries;
        bool refused;
        bool answered;
    } hand;
};

struct sim_socket *socket_of(int fd);
void socket_check_loop(const struct neo_loop *loop);
/* What a watch on it would report. */
unsigned socket_events(const struct sim_socket *socket);
/* Something about it has changed: tells whoever watches, in their next turn. */
void socket_wake(struct sim_socket *socket);
/* Calls the watches of those that are ready. */
void socket_report_ready(struct neo_loop *loop);
void socket_resume(struct neo_timer *timer);

/* sim_wire.c */
void wire_new(struct sim_socket *client, struct sim_socket *server);
size_t wire_write(struct sim_socket *socket, struct neo_bytes bytes);
size_t wire_read(struct sim_socket *socket, void *at, size_t len);
bool wire_has_room(const struct sim_socket *socket);
bool wire_has_bytes(const struct sim_socket *socket);
bool wire_has_ended(const struct sim_socket *socket);
/* The client's side of the handshake is complete: what it wrote before may go. */
void wire_send_fin(struct sim_socket *socket);
/* The socket learns that its connection is gone. */
void wire_kill(struct sim_socket *socket, int error);
/* The socket is being closed; `abort`: with a reset whatever it has read. */
void wire_leave(struct sim_socket *socket, bool abort);
/* Resets both ends of every connection for which it holds. */
size_t wire_reset_all(bool (*concerns)(const struct address *, const struct address *, void *),
                      void *self);

/* sim_names.c */
void names_free(void);

#endif
