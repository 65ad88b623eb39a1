/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How bytes get from one socket to another.
 *
 * A wire is two pipes, one for each direction:
 *
 *     write -> unsent -> in flight (segments) -> received -> read
 *                ^                                  |
 *                +------------- ack ----------------+
 *
 * The sender's buffer holds what is unsent and what is sent but not acknowledged;
 * the receiver's holds what is received and what is in flight to it. So a reader
 * that stops reading stops the writer, a buffer or two later.
 *
 * A segment that comes to a cut is sent again, after 200 ms, then twice as long,
 * and so on. A pipe without progress for USER_TIMEOUT is given up, as the kernel
 * does for a socket of src/io/net.c. A socket that is gone answers whatever still
 * arrives for it with a reset.
 */
#include "support/sim_world.h"

#include <errno.h>
#include <stdlib.h>

#define USER_TIMEOUT (5 * NEO_NSEC_PER_SEC)
#define RESEND_FIRST (200 * NEO_NSEC_PER_MSEC)

enum { SEGMENT_MAX = 64 * 1024, RESEND_DOUBLINGS = 9 };

struct queue {
    uint8_t *at;
    size_t start;
    size_t len;
    size_t cap;
};

struct segment {
    struct list node;
    neo_nsec at;
    bool fin;
    bool reset;
    size_t len;
    uint8_t data[];
};

struct pipe {
    struct wire *wire;
    struct pipe *back;       /* the other direction */
    struct sim_socket *from; /* NULL: closed */
    struct sim_socket *to;
    struct address source;
    struct address target;
    struct queue unsent;
    struct queue received;
    struct list flight;
    size_t in_flight; /* counted as TCP does: bytes, and one for a FIN */
    uint64_t sent;
    uint64_t acked;
    struct neo_timer arrival; /* of the first in flight */
    struct neo_timer ack;
    struct neo_timer give_up;
    unsigned resends;
    bool fin_wanted;
    bool fin_sent;
    bool fin_received;
    bool abandoned; /* nothing is sent or sent again */
};

struct wire {
    struct list node;
    struct pipe pipes[2];
};

/* A queue of bytes. */

static void queue_append(struct queue *q, const uint8_t *at, size_t len)
{
    if (len == 0)
        return;
    if (q->start > 0) {
        memmove(q->at, q->at + q->start, q->len);
        q->start = 0;
    }
    if (q->len + len > q->cap) {
        q->cap = (q->len + len) * 2;
        q->at = realloc(q->at, q->cap);
        if (q->at == NULL)
            world_die("no memory for bytes under way");
    }
    memcpy(q->at + q->len, at, len);
    q->len += len;
}

static void queue_drop(struct queue *q, size_t len)
{
    q->start += len;
    q->len -= len;
    if (q->len == 0)
        q->start = 0;
}

/* Sending. */

static neo_nsec travel_time(const struct pipe *pipe)
{
    return world_latency(&pipe->source, &pipe->target);
}

static bool is_cut(const struct pipe *pipe)
{
    return pipe->source.family != ADDRESS_UNIX && world_is_cut(&pipe->source, &pipe->target);
}

static neo_nsec resend_pause(const struct pipe *pipe)
{
    unsigned doublings = pipe->resends < RESEND_DOUBLINGS ? pipe->resends : RESEND_DOUBLINGS;

    return RESEND_FIRST << doublings;
}

static void launch(struct pipe *pipe, struct segment *segment)
{
    segment->at = world->now + travel_time(pipe);
    if (!list_is_empty(&pipe->flight)) { /* none overtakes another */
        const struct segment *last = neo_owner(pipe->flight.prev, struct segment, node);
        if (last->at > segment->at)
            segment->at = last->at;
    }
    list_push_back(&pipe->flight, &segment->node);
    pipe->in_flight += segment->len + segment->fin;
    pipe->sent += segment->len + segment->fin;
    if (!neo_timer_is_armed(&pipe->arrival))
        world_at(&pipe->arrival, segment->at);
}

static void launch_bytes(struct pipe *pipe, size_t len)
{
    struct segment *segment = world_alloc(sizeof(*segment) + len);

    segment->len = len;
    memcpy(segment->data, pipe->unsent.at + pipe->unsent.start, len);
    queue_drop(&pipe->unsent, len);
    launch(pipe, segment);
}

static void launch_mark(struct pipe *pipe, bool fin)
{
    struct segment *segment = world_alloc(sizeof(*segment));

    segment->fin = fin;
    segment->reset = !fin;
    launch(pipe, segment);
}

static size_t window(const struct pipe *pipe)
{
    size_t used = pipe->received.len + pipe->in_flight;

    return used < world->network.buffer ? world->network.buffer - used : 0;
}

/* Sends what there is and the receiver has room for. */
static void pump(struct pipe *pipe)
{
    size_t room = window(pipe);

    if (pipe->abandoned)
        return;
    while (pipe->unsent.len > 0 && room > 0) {
        size_t len = pipe->unsent.len < room ? pipe->unsent.len : room;
        if (len > SEGMENT_MAX)
            len = SEGMENT_MAX;
        launch_bytes(pipe, len);
        room -= len;
    }
    if (pipe->unsent.len == 0 && pipe->fin_wanted && !pipe->fin_sent) {
        pipe->fin_sent = true;
        launch_mark(pipe, true);
    }
    bool is_waiting = pipe->unsent.len > 0 || pipe->sent != pipe->acked;
    if (is_waiting && pipe->source.family != ADDRESS_UNIX && !neo_timer_is_armed(&pipe->give_up))
        world_at(&pipe->give_up, world->now + USER_TIMEOUT);
}

static void abandon(struct pipe *pipe)
{
    pipe->abandoned = true;
    queue_drop(&pipe->unsent, pipe->unsent.len);
    timers_disarm(&world->events, &pipe->ack);
    timers_disarm(&world->events, &pipe->give_up);
}

void wire_kill(struct sim_socket *socket, int error)
{
    if (socket->state == SOCKET_DEAD)
        return;
    world_note("dead", socket->local.port, (uint64_t)error);
    socket->state = SOCKET_DEAD;
    socket->error = error;
    if (socket->out != NULL)
        abandon(socket->out);
    socket_wake(socket);
}

/* Receiving. */

static void send_ack(struct pipe *pipe)
{
    if (!neo_timer_is_armed(&pipe->ack))
        world_at(&pipe->ack, world->now + travel_time(pipe->back));
}

static void on_ack(struct neo_timer *timer)
{
    struct pipe *pipe = neo_owner(timer, struct pipe, ack);

    if (pipe->abandoned)
        return;
    if (is_cut(pipe->back)) {
        world_at(&pipe->ack, world->now + RESEND_FIRST);
        return;
    }
    pipe->acked = pipe->sent - pipe->in_flight;
    timers_disarm(&world->events, &pipe->give_up);
    pump(pipe);
    if (pipe->from != NULL)
        socket_wake(pipe->from);
}

static void deliver(struct pipe *pipe, const struct segment *segment)
{
    struct sim_socket *to = pipe->to;

    if (segment->reset) {
        if (to != NULL)
            wire_kill(to, ECONNRESET);
        return;
    }
    if (to == NULL || to->state == SOCKET_DEAD) {
        launch_mark(pipe->back, false);
        return;
    }
    queue_append(&pipe->received, segment->data, segment->len);
    pipe->fin_received = pipe->fin_received || segment->fin;
    send_ack(pipe);
    socket_wake(to);
}

static void break_wire(struct pipe *pipe)
{
    if (pipe->from != NULL)
        wire_kill(pipe->from, ECONNRESET);
    if (pipe->to != NULL)
        wire_kill(pipe->to, ECONNRESET);
}

/* At a cut: again later. One that nobody sends again is lost, as is a reset. */
static bool is_held_up(struct pipe *pipe, const struct segment *segment)
{
    if (!is_cut(pipe) || pipe->abandoned || segment->reset)
        return false;
    world_note("cut", pipe->source.port, pipe->target.port);
    world_at(&pipe->arrival, world->now + resend_pause(pipe));
    pipe->resends++;
    return true;
}

static void on_arrival(struct neo_timer *timer)
{
    struct pipe *pipe = neo_owner(timer, struct pipe, arrival);
    struct segment *segment = neo_owner(pipe->flight.next, struct segment, node);

    if (is_held_up(pipe, segment))
        return;
    pipe->resends = 0;
    list_remove(&segment->node);
    pipe->in_flight -= segment->len + segment->fin;
    world_note(segment->reset ? "reset"
               : segment->fin ? "fin"
                              : "bytes",
               pipe->target.port, segment->len);
    if (world_chance(world->network.resets))
        break_wire(pipe);
    else if (!is_cut(pipe))
        deliver(pipe, segment);
    free(segment);
    if (!list_is_empty(&pipe->flight))
        world_at(&pipe->arrival, neo_owner(pipe->flight.next, struct segment, node)->at);
}

static void on_give_up(struct neo_timer *timer)
{
    struct pipe *pipe = neo_owner(timer, struct pipe, give_up);

    world_note("give up", pipe->source.port, pipe->target.port);
    if (pipe->from != NULL)
        wire_kill(pipe->from, ETIMEDOUT);
    abandon(pipe);
}

/* What a socket does with its connection. */

static void join(struct pipe *pipe, struct sim_socket *from, struct sim_socket *to)
{
    pipe->from = from;
    pipe->to = to;
    pipe->source = from->local;
    pipe->target = to->local;
    pipe->arrival.expired = on_arrival;
    pipe->ack.expired = on_ack;
    pipe->give_up.expired = on_give_up;
    list_init(&pipe->flight);
    from->out = pipe;
    to->in = pipe;
}

void wire_new(struct sim_socket *client, struct sim_socket *server)
{
    struct wire *wire = world_alloc(sizeof(*wire));

    for (int i = 0; i < 2; i++) {
        wire->pipes[i].wire = wire;
        wire->pipes[i].back = &wire->pipes[1 - i];
    }
    join(&wire->pipes[0], client, server);
    join(&wire->pipes[1], server, client);
    list_push_back(&world->wires, &wire->node);
}

static size_t room_for_writing(const struct pipe *pipe)
{
    uint64_t used = pipe->unsent.len + (pipe->sent - pipe->acked);

    return used < world->network.buffer ? world->network.buffer - (size_t)used : 0;
}

size_t wire_write(struct sim_socket *socket, struct neo_bytes bytes)
{
    size_t room = room_for_writing(socket->out);
    size_t len = bytes.len < room ? bytes.len : room;

    if (len > 1 && world_chance(world->network.partial_writes))
        len = 1 + world_random(len);
    if (len > 0) {
        queue_append(&socket->out->unsent, bytes.at, len);
        pump(socket->out);
    }
    return len;
}

size_t wire_read(struct sim_socket *socket, void *at, size_t len)
{
    struct pipe *pipe = socket->in;

    if (len > pipe->received.len)
        len = pipe->received.len;
    if (len > 1 && world_chance(world->network.partial_reads))
        len = 1 + world_random(len);
    memcpy(at, pipe->received.at + pipe->received.start, len);
    queue_drop(&pipe->received, len);
    if (pipe->unsent.len > 0) /* whoever waits for room learns of it */
        send_ack(pipe);
    return len;
}

/* Like the kernel's: a third of the buffer, so that a writer is not woken for every byte. */
bool wire_has_room(const struct sim_socket *socket)
{
    return room_for_writing(socket->out) * 3 >= world->network.buffer;
}

bool wire_has_bytes(const struct sim_socket *socket)
{
    return socket->in != NULL && socket->in->received.len > 0;
}

bool wire_has_ended(const struct sim_socket *socket)
{
    return socket->in->fin_received;
}

void wire_send_fin(struct sim_socket *socket)
{
    socket->out->fin_wanted = true;
    pump(socket->out);
}

static void free_pipe(struct pipe *pipe)
{
    timers_disarm(&world->events, &pipe->arrival);
    timers_disarm(&world->events, &pipe->ack);
    timers_disarm(&world->events, &pipe->give_up);
    for (struct list *node; (node = list_pop_front(&pipe->flight)) != NULL;)
        free(neo_owner(node, struct segment, node));
    free(pipe->unsent.at);
    free(pipe->received.at);
}

void wire_leave(struct sim_socket *socket, bool abort)
{
    struct pipe *out = socket->out;
    struct pipe *in = socket->in;

    if (socket->state != SOCKET_DEAD && (abort || in->received.len > 0)) {
        abandon(out);
        launch_mark(out, false);
    } else if (socket->state != SOCKET_DEAD) {
        wire_send_fin(socket);
    }
    out->from = NULL;
    in->to = NULL;
    socket->in = socket->out = NULL;
    if (out->to != NULL)
        return;
    list_remove(&out->wire->node);
    free_pipe(out);
    free_pipe(in);
    free(out->wire);
}

size_t wire_reset_all(bool (*concerns)(const struct address *, const struct address *, void *),
                      void *self)
{
    size_t n = 0;

    list_each (node, &world->wires) {
        struct pipe *pipe = &neo_owner(node, struct wire, node)->pipes[0];
        if (!concerns(&pipe->source, &pipe->target, self))
            continue;
        break_wire(pipe);
        n++;
    }
    return n;
}
