/* SPDX-License-Identifier: Apache-2.0 */
/*
 * end.h - one end of a connection that writes what it is given, keeps what it
 * reads, and remembers how it ended.
 */
#ifndef NEO_TESTS_UNIT_IO_END_H
#define NEO_TESTS_UNIT_IO_END_H

#include "fixture.h"

#include <neo/buffer.h>

struct end {
    struct net_watch watch;
    struct neo_loop *loop;
    struct neo_buffer in;
    struct neo_bytes out; /* still to be written */
    bool is_connecting;
    bool is_deaf;  /* reads nothing */
    bool says_bye; /* FIN when everything is written */
    bool ended;    /* the peer's FIN */
    bool broken;   /* `err` says why */
    bool was_full; /* a write has met a full buffer */
    struct neo_error err;
    void (*changed)(struct end *end); /* may be NULL */
};

static inline bool end_wants_to_write(const struct end *end)
{
    return end->is_connecting || end->out.len > 0;
}

static inline void end_break(struct end *end)
{
    end->broken = true;
    net_unwatch(end->loop, &end->watch);
}

static inline void end_read(struct end *end)
{
    while (!end->ended && !end->broken) {
        uint8_t bytes[8192];
        size_t len;
        enum net_result result =
            net_read(end->loop, end->watch.fd, bytes, sizeof(bytes), &len, &end->err);
        if (result == NET_AGAIN)
            return;
        if (result == NET_OK)
            assert_true(neo_buffer_append(&end->in, neo_bytes(bytes, len)));
        else if (result == NET_EOF)
            end->ended = true;
        else
            end_break(end);
    }
}

static inline void end_write(struct end *end)
{
    bool had_some = end->out.len > 0;

    while (end->out.len > 0 && !end->broken) {
        size_t len;
        enum net_result result = net_write(end->loop, end->watch.fd, end->out, &len, &end->err);
        if (result == NET_AGAIN) {
            end->was_full = true;
            return;
        }
        if (result == NET_OK)
            end->out = neo_bytes_from(end->out, len);
        else
            end_break(end);
    }
    if (had_some && end->says_bye && !end->broken)
        net_shutdown(end->loop, end->watch.fd);
}

static inline void end_adjust(struct end *end)
{
    unsigned want = 0;

    if (end->broken)
        return;
    if (!end->is_deaf && !end->ended && !end->is_connecting)
        want |= NET_READ;
    if (end_wants_to_write(end))
        want |= NET_WRITE;
    assert_int_equal(net_watch(end->loop, &end->watch, want, NULL), NEO_OK);
}

static inline void end_ready(struct net_watch *watch, unsigned events)
{
    struct end *end = neo_owner(watch, struct end, watch);

    assert_true(neo_loop_is_current(end->loop));
    if (end->is_connecting) {
        end->is_connecting = false;
        if (net_connected(end->loop, watch->fd, &end->err) != NEO_OK)
            end_break(end);
    }
    if ((events & NET_READ) != 0 && !end->is_deaf)
        end_read(end);
    end_write(end);
    end_adjust(end);
    if (end->changed != NULL)
        end->changed(end);
}

static inline void end_begin(struct end *end, struct neo_loop *on, int fd)
{
    end->loop = on;
    end->watch = (struct net_watch){.ready = end_ready, .fd = fd};
    end_adjust(end);
}

static inline void end_connect(struct end *end, struct neo_loop *on, const char *address)
{
    int fd = -1;

    end->is_connecting = true;
    if (net_connect(on, address, &fd, &end->err) != NEO_OK) {
        *end = (struct end){.err = end->err, .broken = true, .watch.fd = -1};
        return;
    }
    end_begin(end, on, fd);
}

static inline void end_send(struct end *end, struct neo_bytes bytes)
{
    end->out = bytes;
    end_adjust(end);
}

static inline void end_close(struct end *end)
{
    if (end->loop != NULL && end->watch.fd > 0) {
        net_unwatch(end->loop, &end->watch);
        net_close(end->loop, end->watch.fd);
    }
    neo_buffer_fini(&end->in);
    *end = (struct end){0};
}

/* A listener that makes the next connection an `end`. */
struct door {
    struct net_watch watch;
    struct neo_loop *loop;
    struct net_address address;
    struct end *ends; /* to be filled, one after the other */
    size_t n_ends;
    size_t n;
    unsigned calls;                     /* of `ready` */
    void (*entered)(struct door *door); /* may be NULL */
};

static inline void door_ready(struct net_watch *watch, unsigned events)
{
    struct door *door = neo_owner(watch, struct door, watch);
    int fd;

    (void)events;
    door->calls++;
    while (door->n < door->n_ends && net_accept(door->loop, watch->fd, &fd, NULL) == NET_OK)
        end_begin(&door->ends[door->n++], door->loop, fd);
    if (door->entered != NULL)
        door->entered(door);
}

static inline void door_open(struct door *door, struct neo_loop *on, const char *address,
                             enum net_listening how)
{
    struct neo_error err = {0};
    int fd = -1;

    if (net_listen(on, address, how, &fd, &err) != NEO_OK)
        fail_msg("%s", err.message);
    door->loop = on;
    door->watch = (struct net_watch){.ready = door_ready, .fd = fd};
    assert_int_equal(net_local_address(on, fd, &door->address, NULL), NEO_OK);
    assert_int_equal(net_watch(on, &door->watch, NET_READ, NULL), NEO_OK);
}

static inline void door_close(struct door *door)
{
    net_unwatch(door->loop, &door->watch);
    net_close(door->loop, door->watch.fd);
}

#endif
