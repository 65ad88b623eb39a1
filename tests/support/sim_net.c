/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets of the twin: descriptors, watches, listeners, and how a connection is
 * made. The promises are those of io/net.h, the texts of errors those of the real
 * thing.
 *
 * A client's call travels to the other machine and is looked at there; the answer
 * travels back. Whatever of this meets a cut is tried again after 1, 2, 4, ... s.
 */
#include "support/sim_world.h"

#include <neo/memory.h>

#include <errno.h>
#include <stdlib.h>

enum { FIRST_FD = 1 << 20, BACKLOG = 128, CALLS_MAX = 7 };
#define PAUSE      (100 * NEO_NSEC_PER_MSEC)
#define NO_ROUTE   (3 * NEO_NSEC_PER_SEC)
#define CALL_AGAIN NEO_NSEC_PER_SEC

/* Descriptors: the lowest free one, as in the kernel, so that one is soon used again. */

static bool grow_descriptors(void)
{
    size_t cap = world->descriptors.cap == 0 ? 64 : world->descriptors.cap * 2;
    struct sim_socket **at = realloc(world->descriptors.at, cap * sizeof(struct sim_socket *));

    if (at == NULL)
        return false;
    for (size_t i = world->descriptors.cap; i < cap; i++)
        at[i] = NULL;
    world->descriptors.at = at;
    world->descriptors.cap = cap;
    return true;
}

static bool may_open(void)
{
    return world->descriptors.open < world->descriptors.limit;
}

static void open_descriptor(struct sim_socket *socket)
{
    size_t i = 0;

    while (i < world->descriptors.cap && world->descriptors.at[i] != NULL)
        i++;
    if (i == world->descriptors.cap && !grow_descriptors())
        world_die("no memory for descriptors");
    world->descriptors.at[i] = socket;
    world->descriptors.open++;
    socket->fd = (int)i + FIRST_FD;
}

struct sim_socket *socket_of(int fd)
{
    size_t i = (size_t)fd - FIRST_FD;

    if (fd < FIRST_FD || i >= world->descriptors.cap || world->descriptors.at[i] == NULL)
        world_die("%d is not an open socket", fd);
    struct sim_socket *socket = world->descriptors.at[i];
    socket->ignored = 0;
    return socket;
}

static struct sim_socket *new_socket(enum socket_state state, const struct address *host)
{
    struct sim_socket *socket = world_alloc(sizeof(*socket));

    socket->fd = -1;
    socket->state = state;
    socket->host = *host;
    list_init(&socket->node);
    list_init(&socket->queue);
    list_init(&socket->ready_node);
    list_init(&socket->paused_node);
    return socket;
}

static void free_socket(struct sim_socket *socket)
{
    timers_disarm(&world->events, &socket->hand.timer);
    list_remove(&socket->node);
    list_remove(&socket->ready_node);
    list_remove(&socket->paused_node);
    free(socket);
}

/* Listeners. */

static bool is_wildcard(const struct address *ip)
{
    static const uint8_t zero[16];

    return memcmp(ip->ip, zero, sizeof(zero)) == 0;
}

static bool is_address_of(const struct address *ip, const struct address *host)
{
    return is_wildcard(ip) || world_is_loopback(ip) || world_is_same_ip(ip, host);
}

static bool is_same_path(const struct address *a, const struct address *b)
{
    return strcmp(a->path, b->path) == 0;
}

/* `b` is the one that is about to be opened. */
static bool collide(const struct sim_socket *a, const struct sim_socket *b)
{
    if (a->local.family != b->local.family || !world_is_same_ip(&a->host, &b->host) ||
        (a->shared && b->joins))
        return false;
    if (a->local.family == ADDRESS_UNIX)
        return is_same_path(&a->local, &b->local);
    return a->local.port == b->local.port && (world_is_same_ip(&a->local, &b->local) ||
                                              is_wildcard(&a->local) || is_wildcard(&b->local));
}

static bool is_taken(const struct sim_socket *listener)
{
    list_each (node, &world->listeners)
        if (collide(neo_owner(node, struct sim_socket, node), listener))
            return true;
    return false;
}

static uint16_t next_port(void)
{
    if (world->next_port == UINT16_MAX)
        world->next_port = 32768;
    return world->next_port++;
}

enum neo_code net_listen(struct neo_loop *loop, const char *address, enum net_listening how,
                         int *ret_fd, struct neo_error *err)
{
    struct address local;

    NEO_TRY(address_parse(address, &local, err));
    if (!may_open()) {
        errno = EMFILE;
        return neo_fail_errno(err, "cannot make a socket for %s", address);
    }
    if (local.family != ADDRESS_UNIX && !is_address_of(&local, &loop->host))
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "cannot listen on %s: this machine has no such address", address);

    struct sim_socket *listener = new_socket(SOCKET_LISTENING, &loop->host);
    if (local.family != ADDRESS_UNIX && local.port == 0)
        local.port = next_port();
    listener->local = local;
    listener->shared = how != NET_ALONE;
    listener->joins = how == NET_JOIN;
    if (is_taken(listener)) {
        free_socket(listener);
        return neo_fail(err, NEO_ALREADY_EXISTS,
                        "cannot listen on %s: somebody does already; stop it or take another port",
                        address);
    }
    open_descriptor(listener);
    list_push_back(&world->listeners, &listener->node);
    *ret_fd = listener->fd;
    return NEO_OK;
}

static bool hears(const struct sim_socket *listener, const struct address *machine,
                  const struct address *target)
{
    const struct address *at = &listener->local;

    if (at->family != target->family || !world_is_same_ip(&listener->host, machine))
        return false;
    if (at->family == ADDRESS_UNIX)
        return is_same_path(at, target);
    return at->port == target->port && (world_is_same_ip(at, target) || is_wildcard(at));
}

/* Of several that share the address, one by chance. */
static struct sim_socket *find_listener(const struct address *machine, const struct address *target)
{
    struct sim_socket *found = NULL;
    uint64_t n = 0;

    list_each (node, &world->listeners) {
        struct sim_socket *listener = neo_owner(node, struct sim_socket, node);
        if (hears(listener, machine, target) && world_random(++n) == 0)
            found = listener;
    }
    return found;
}

static void pause_accepting(struct neo_loop *loop, struct sim_socket *listener)
{
    if (listener->watch == NULL)
        return;
    list_push_back(&loop->paused, &listener->paused_node);
    loop->pauses++;
    if (!neo_timer_is_armed(&loop->resume))
        neo_loop_arm(loop, &loop->resume, neo_loop_now(loop) + PAUSE);
}

enum net_result net_accept(struct neo_loop *loop, int fd, int *ret_fd, struct neo_error *err)
{
    struct sim_socket *listener = socket_of(fd);

    socket_check_loop(loop);
    (void)err;
    if (listener->state != SOCKET_LISTENING)
        world_die("accepting on socket %d, which does not listen", fd);
    if (list_is_empty(&listener->queue))
        return NET_AGAIN;
    if (!may_open()) {
        if (list_is_empty(&listener->paused_node))
            pause_accepting(loop, listener);
        return NET_AGAIN;
    }
    struct list *node = list_pop_front(&listener->queue);
    struct sim_socket *socket = neo_owner(node, struct sim_socket, node);
    listener->queued--;
    open_descriptor(socket);
    world_note("accept", socket->local.port, socket->peer.port);
    *ret_fd = socket->fd;
    return NET_OK;
}

uint64_t net_accept_pauses(const struct neo_loop *loop)
{
    return loop->pauses;
}

/* Connecting. */

static const struct address *machine_of(const struct sim_socket *client)
{
    if (client->peer.family == ADDRESS_UNIX || world_is_loopback(&client->peer))
        return &client->host;
    return &client->peer;
}

static bool answer(struct sim_socket *client, struct sim_socket *listener)
{
    if (listener->queued >= BACKLOG)
        return false;

    struct sim_socket *server = new_socket(SOCKET_OPEN, &listener->host);
    server->local = client->peer;
    server->peer = client->local;
    wire_new(client, server);
    list_push_back(&listener->queue, &server->node);
    listener->queued++;
    socket_wake(listener);
    return true;
}

static void hand_at(struct sim_socket *client, neo_nsec after)
{
    world_at(&client->hand.timer, world->now + after);
}

static void call_again(struct sim_socket *client)
{
    client->hand.refused = false;
    if (client->hand.tries == CALLS_MAX) {
        wire_kill(client, ETIMEDOUT);
        return;
    }
    hand_at(client, CALL_AGAIN << client->hand.tries++);
}

/* The call has reached the machine it is for. */
static void be_called(struct sim_socket *client)
{
    struct sim_socket *listener = find_listener(machine_of(client), &client->peer);
    neo_nsec back = world_latency(&client->peer, &client->local);

    if (world_is_cut(&client->local, &client->peer)) {
        call_again(client);
    } else if (listener == NULL || world_chance(world->network.refusals)) {
        client->hand.refused = true;
        hand_at(client, back);
    } else if (answer(client, listener)) {
        client->hand.answered = true;
        hand_at(client, back);
    } else {
        call_again(client);
    }
}

/* The answer has come back. */
static void be_answered(struct sim_socket *client)
{
    if (world_is_cut(&client->peer, &client->local)) {
        call_again(client);
        return;
    }
    world_note(client->hand.refused ? "refused" : "connected", client->local.port,
               client->peer.port);
    if (client->hand.refused) {
        wire_kill(client, ECONNREFUSED);
        return;
    }
    client->state = SOCKET_OPEN;
    socket_wake(client);
}

static void on_hand(struct neo_timer *timer)
{
    struct sim_socket *client = neo_owner(timer, struct sim_socket, hand.timer);

    if (!world_has_host(machine_of(client)))
        wire_kill(client, EHOSTUNREACH);
    else if (client->hand.refused || client->hand.answered)
        be_answered(client);
    else
        be_called(client);
}

static enum neo_code fail_connect(int number, const char *address, struct neo_error *err)
{
    return neo_fail(err, NEO_UNAVAILABLE, "cannot connect to %s: %s", address,
                    strerrordesc_np(number));
}

/* A path is local, so the outcome is known at once. */
static enum neo_code connect_path(struct sim_socket *client, const char *address,
                                  struct neo_error *err)
{
    struct sim_socket *listener = find_listener(&client->host, &client->peer);

    client->local = (struct address){.family = ADDRESS_UNIX};
    if (listener == NULL)
        return fail_connect(ECONNREFUSED, address, err);
    if (!answer(client, listener))
        return fail_connect(EAGAIN, address, err);
    client->state = SOCKET_OPEN;
    return NEO_OK;
}

static void call(struct sim_socket *client)
{
    client->local = client->host;
    if (world_is_loopback(&client->peer) || client->peer.family != client->host.family) {
        client->local = (struct address){.family = client->peer.family};
        if (client->peer.family == ADDRESS_IP4)
            memcpy(client->local.ip, (const uint8_t[]){127, 0, 0, 1}, 4);
        else
            client->local.ip[15] = 1;
    }
    client->local.port = next_port();
    client->hand.timer.expired = on_hand;
    world_note("connect", client->local.port, client->peer.port);
    hand_at(client, world_has_host(machine_of(client))
                        ? world_latency(&client->local, &client->peer)
                        : NO_ROUTE);
}

enum neo_code net_connect(struct neo_loop *loop, const char *address, int *ret_fd,
                          struct neo_error *err)
{
    struct address peer;

    socket_check_loop(loop);
    NEO_TRY(address_parse_peer(address, &peer, err));
    if (!may_open()) {
        errno = EMFILE;
        return neo_fail_errno(err, "cannot connect to %s", address);
    }
    struct sim_socket *client = new_socket(SOCKET_CONNECTING, &loop->host);
    client->peer = peer;
    if (peer.family != ADDRESS_UNIX) {
        call(client);
    } else {
        enum neo_code code = connect_path(client, address, err);
        if (code != NEO_OK) {
            free_socket(client);
            return code;
        }
    }
    open_descriptor(client);
    *ret_fd = client->fd;
    return NEO_OK;
}

static int take_error(struct sim_socket *socket)
{
    int number = socket->error;

    socket->error = 0;
    return number;
}

enum neo_code net_connected(struct neo_loop *loop, int fd, struct neo_error *err)
{
    struct sim_socket *socket = socket_of(fd);

    socket_check_loop(loop);
    if (socket->state == SOCKET_OPEN)
        return NEO_OK;

    int number = take_error(socket);
    return neo_fail(err, NEO_UNAVAILABLE, "cannot connect: %s",
                    strerrordesc_np(number != 0 ? number : ENOTCONN));
}

/* Connections. */

enum neo_code net_local_address(struct neo_loop *loop, int fd, struct net_address *ret,
                                struct neo_error *err)
{
    const struct sim_socket *socket = socket_of(fd);

    (void)loop;
    (void)err;
    address_format(&socket->local, ret);
    return NEO_OK;
}

/* What is simulated has no kernel. */
void net_options(struct neo_loop *loop, int fd, struct net_options *ret)
{
    (void)loop;
    (void)fd;
    *ret = (struct net_options){.n = 0};
}

enum neo_code net_peer_address(struct neo_loop *loop, int fd, struct net_address *ret,
                               struct neo_error *err)
{
    const struct sim_socket *socket = socket_of(fd);

    (void)loop;
    if (socket->state != SOCKET_OPEN) {
        errno = ENOTCONN;
        return neo_fail_errno(err, "cannot tell the peer of socket %d", fd);
    }
    address_format(&socket->peer, ret);
    return NEO_OK;
}

static enum net_result gone(int number, const char *doing, struct neo_error *err)
{
    (void)neo_fail(err, NEO_UNAVAILABLE, "%s: %s", doing, strerrordesc_np(number));
    return NET_ERROR;
}

/* What has arrived before the end of a connection can still be read; then why it ended, once. */
enum net_result net_read(struct neo_loop *loop, int fd, void *at, size_t len, size_t *ret_len,
                         struct neo_error *err)
{
    struct sim_socket *socket = socket_of(fd);

    socket_check_loop(loop);
    if (len == 0)
        world_die("an empty read of socket %d looks like the end", fd);
    if (wire_has_bytes(socket)) {
        *ret_len = wire_read(socket, at, len);
        return NET_OK;
    }
    if (socket->error != 0)
        return gone(take_error(socket), "reading from a connection", err);
    if (socket->state == SOCKET_DEAD || (socket->state == SOCKET_OPEN && wire_has_ended(socket)))
        return NET_EOF;
    return NET_AGAIN;
}

enum net_result net_write(struct neo_loop *loop, int fd, struct neo_bytes bytes, size_t *ret_len,
                          struct neo_error *err)
{
    struct sim_socket *socket = socket_of(fd);
    static const char doing[] = "writing to a connection";

    socket_check_loop(loop);
    if (socket->error != 0)
        return gone(take_error(socket), doing, err);
    if (socket->state == SOCKET_DEAD || socket->shut)
        return gone(EPIPE, doing, err);
    if (socket->state != SOCKET_OPEN)
        return NET_AGAIN;

    size_t n = wire_write(socket, bytes);
    if (n == 0 && bytes.len > 0)
        return NET_AGAIN;
    *ret_len = n;
    return NET_OK;
}

void net_shutdown(struct neo_loop *loop, int fd)
{
    struct sim_socket *socket = socket_of(fd);

    socket_check_loop(loop);
    if (socket->state != SOCKET_OPEN || socket->shut)
        return;
    socket->shut = true;
    wire_send_fin(socket);
    socket_wake(socket);
}

static void hang_up_on_waiting(struct sim_socket *listener)
{
    for (struct list *node; (node = list_pop_front(&listener->queue)) != NULL;) {
        struct sim_socket *waiting = neo_owner(node, struct sim_socket, node);
        wire_leave(waiting, true);
        free_socket(waiting);
    }
}

void net_close(struct neo_loop *loop, int fd)
{
    struct sim_socket *socket = socket_of(fd);

    socket_check_loop(loop);
    if (socket->watch != NULL)
        world_die("socket %d is closed while it is watched", fd);
    world_note("close", socket->local.port, socket->peer.port);
    hang_up_on_waiting(socket);
    if (socket->out != NULL)
        wire_leave(socket, socket->state == SOCKET_CONNECTING);
    world->descriptors.at[fd - FIRST_FD] = NULL;
    world->descriptors.open--;
    free_socket(socket);
}
