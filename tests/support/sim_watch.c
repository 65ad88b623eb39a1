/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watches of the twin. A socket whose state changes in favour of its watch puts
 * itself on its loop's list; the next turn calls those on the list whose condition
 * still holds, and leaves them there until it does not.
 */
#include "support/sim_world.h"

#include <neo/memory.h>

#include <errno.h>

enum { IGNORED_MAX = 10000 };

struct net_slot {
    struct sim_socket *socket;
};

static unsigned conditions(const struct sim_socket *socket)
{
    unsigned is = 0;

    switch (socket->state) {
    case SOCKET_LISTENING:
        return list_is_empty(&socket->queue) ? 0 : NET_READ;
    case SOCKET_CONNECTING:
        return 0;
    case SOCKET_DEAD:
        return NET_READ | NET_WRITE;
    case SOCKET_OPEN:
        if (wire_has_bytes(socket) || wire_has_ended(socket))
            is |= NET_READ;
        if (socket->shut || wire_has_room(socket))
            is |= NET_WRITE;
        return is;
    }
    return 0;
}

unsigned socket_events(const struct sim_socket *socket)
{
    if (socket->watch == NULL || !list_is_empty(&socket->paused_node))
        return 0;
    if (socket->error != 0)
        return NET_READ | NET_WRITE;
    return conditions(socket) & socket->watch->want;
}

void socket_wake(struct sim_socket *socket)
{
    if (socket_events(socket) != 0 && list_is_empty(&socket->ready_node))
        list_push_back(&socket->watcher->ready, &socket->ready_node);
}

void socket_report_ready(struct neo_loop *loop)
{
    struct list round;

    /* Those that become ready meanwhile wait for the next turn. */
    list_init(&round);
    for (struct list *node; (node = list_pop_front(&loop->ready)) != NULL;)
        list_push_back(&round, node);

    for (struct list *node; (node = list_pop_front(&round)) != NULL;) {
        struct sim_socket *socket = neo_owner(node, struct sim_socket, ready_node);
        unsigned events = socket_events(socket);
        if (events == 0)
            continue;
        if (++socket->ignored > IGNORED_MAX)
            world_die("socket %d is ready for %u and its owner does nothing: loop %u would spin",
                      socket->fd, events, loop->id);
        list_push_back(&loop->ready, &socket->ready_node);
        for (unsigned step = 0; socket->watch->warm != NULL && step < NET_WARM_STEPS; step++)
            socket->watch->warm(socket->watch, step);
        socket->watch->ready(socket->watch, events);
    }
}

void socket_check_loop(const struct neo_loop *loop)
{
    if (!neo_loop_is_current(loop))
        world_die("a socket of loop %u is touched on a thread that is not its own", loop->id);
}

static enum neo_code open_slot(struct neo_loop *loop, struct net_watch *watch,
                               struct neo_error *err)
{
    struct sim_socket *socket = socket_of(watch->fd);
    struct net_slot *slot = neo_alloc(sizeof(*slot));

    if (slot == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "no memory to watch a socket");
    if (socket->watch != NULL) {
        neo_free(slot);
        errno = EEXIST;
        return neo_fail_errno(err, "cannot watch socket %d", watch->fd);
    }
    slot->socket = socket;
    socket->watch = watch;
    socket->watcher = loop;
    watch->slot = slot;
    loop->watched++;
    return NEO_OK;
}

enum neo_code net_watch(struct neo_loop *loop, struct net_watch *watch, unsigned want,
                        struct neo_error *err)
{
    socket_check_loop(loop);
    if (want == 0) {
        net_unwatch(loop, watch);
        return NEO_OK;
    }
    if (watch->slot == NULL)
        NEO_TRY(open_slot(loop, watch, err));
    if (watch->want != want)
        watch->slot->socket->ignored = 0;
    watch->want = want;
    socket_wake(watch->slot->socket);
    return NEO_OK;
}

void net_unwatch(struct neo_loop *loop, struct net_watch *watch)
{
    socket_check_loop(loop);
    if (watch->slot == NULL)
        return;

    struct sim_socket *socket = watch->slot->socket;
    neo_free(watch->slot);
    watch->slot = NULL;
    watch->want = 0;
    socket->watch = NULL;
    socket->watcher = NULL;
    list_remove(&socket->ready_node);
    list_remove(&socket->paused_node);
    loop->watched--;
}

void socket_resume(struct neo_timer *timer)
{
    struct neo_loop *loop = neo_owner(timer, struct neo_loop, resume);

    for (struct list *node; (node = list_pop_front(&loop->paused)) != NULL;)
        socket_wake(neo_owner(node, struct sim_socket, paused_node));
}
