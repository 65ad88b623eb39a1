/* SPDX-License-Identifier: Apache-2.0 */
/*
 *   CONNECTING --> HANDSHAKE --> SETTLING --> OPEN --> CLOSING --> FLUSHING --> LINGERING --> GONE
 *    (client)        TLS        SETTINGS               GOAWAY      no more h2    FIN sent
 *   GREETING ---/
 *    (server: the ClientHello gathers, and waits until somebody spends a handshake on it)
 *
 * States only move to the right; change_state() is the one place. A failure jumps to
 * FLUSHING when there is still something to say (an alert, a GOAWAY), else to GONE.
 *
 * An idle connection owns no buffers: what passes in one turn does so through scratch
 * space that all connections of a thread share. Only what the socket did not take stays,
 * in `backlog`, and nothing more is framed meanwhile. Past a mark reading stops too.
 *
 * Everything happens in a turn: turn_begin(), some work, turn_end(). Whatever the
 * work queued leaves in turn_end(), once, and only there can the connection end.
 */
#include "rpc/conn_internal.h"

#include "rpc/scratch.h"
#include "rpc/seal.h"

#include <neo/memory.h>

#include <assert.h>

#define HANDSHAKE_TIMEOUT (5 * NEO_NSEC_PER_SEC)
#define CONNECT_TIMEOUT   (20 * NEO_NSEC_PER_SEC)
#define STALL_TIMEOUT     (30 * NEO_NSEC_PER_SEC)
#define FLUSH_TIMEOUT     (5 * NEO_NSEC_PER_SEC)
#define LINGER_TIMEOUT    (1 * NEO_NSEC_PER_SEC)
#define HALF_CLOSE_GRACE  (5 * NEO_NSEC_PER_SEC)

enum {
    PULL_SIZE = 64 * 1024,
    PULLS_PER_TURN = 8,
    TURN_MOST = PULLS_PER_TURN * PULL_SIZE,
    BACKLOG_MAX = 256 * 1024, /* beyond it nothing is read */
};

/* --- states ------------------------------------------------------------------------------ */

static void change_state(struct conn *c, enum conn_state next, neo_nsec lasts)
{
    assert(next > c->state);
    c->state = next;
    c->state_ends = lasts == 0 ? 0 : neo_loop_now(c->loop) + lasts;
}

/* The first reason is the one that is told. */
static void remember_why(struct conn *c, enum neo_code code, const char *message)
{
    if (c->why.message[0] == '\0')
        (void)neo_fail(&c->why, code, "%s", message);
}

/* At once; there is nobody left to talk to. */
__attribute__((cold)) static void give_up(struct conn *c, enum neo_code code, const char *message)
{
    remember_why(c, code, message);
    if (c->state < CONN_GONE)
        change_state(c, CONN_GONE, 0);
}

const char conn_peer_closed[] = "the peer closed the connection";

/* No more HTTP/2, open streams hear `closed`; what is queued in the backlog still leaves. */
__attribute__((cold)) static void hang_up(struct conn *c, enum neo_code code, const char *message)
{
    remember_why(c, code, message);
    if (c->state >= CONN_FLUSHING)
        return;
    change_state(c, CONN_FLUSHING, FLUSH_TIMEOUT);
    h2_free(c->h2);
    c->h2 = NULL;
}

/* --- writing ----------------------------------------------------------------------------- */

/* One write. Returns what the socket took; a dead one takes everything. */
static size_t write_some(struct conn *c, struct neo_bytes bytes)
{
    struct neo_error err = {0};
    size_t sent = 0;

    switch (net_write(c->loop, c->watch.fd, bytes, &sent, &err)) {
    case NET_OK:
        c->last_write = neo_loop_now(c->loop);
        return sent;
    case NET_AGAIN:
        return 0;
    case NET_EOF:
    case NET_ERROR:
        break;
    }
    give_up(c, NEO_UNAVAILABLE, err.message);
    return bytes.len;
}

static void send_cipher(struct conn *c, struct neo_bytes bytes)
{
    bool first = c->backlog.len == 0;
    size_t sent = first && bytes.len > 0 ? write_some(c, bytes) : 0;

    if (sent == bytes.len)
        return;
    if (first)
        c->last_write = neo_loop_now(c->loop); /* the stall begins here */
    if (!neo_buffer_append(&c->backlog, neo_bytes_from(bytes, sent)))
        give_up(c, NEO_RESOURCE_EXHAUSTED, "out of memory for output");
}

static void send_backlog(struct conn *c)
{
    if (c->backlog.len > 0)
        neo_buffer_drop(&c->backlog, write_some(c, neo_buffer_bytes(&c->backlog)));
    if (c->backlog.len == 0)
        neo_buffer_fini(&c->backlog);
}

/* What HTTP/2 still wants to say (a GOAWAY) and TLS's farewell; then no more of either. */
__attribute__((cold)) static void part(struct conn *c, enum neo_code code, const char *message)
{
    struct neo_buffer *framed = scratch_framed();
    struct neo_buffer *cipher = scratch_use(&scratch->cipher);
    bool ok =
        c->h2 == NULL || h2_pull(c->h2, PULL_SIZE, neo_loop_now(c->loop), framed, NULL) == NEO_OK;

    (void)ok; /* a pull that fails may still have given a GOAWAY */
    if (framed->len == 0 || tls_write(c->tls, neo_buffer_bytes(framed), cipher, NULL) == NEO_OK)
        tls_close(c->tls, cipher);
    send_cipher(c, neo_buffer_bytes(cipher));
    hang_up(c, code, message);
}

/* One round of frames, encrypted and written. Returns its bytes; 0 when there were none. */
static size_t send_frames(struct conn *c)
{
    struct neo_buffer *framed = scratch_framed();
    struct neo_buffer *cipher = scratch_use(&scratch->cipher);
    struct seal seal = seal_of(c->tls, cipher);
    struct neo_error err = {0};
    size_t most = framed->len < PULL_SIZE ? PULL_SIZE - framed->len : 0;
    enum neo_code code =
        h2_pull_through(c->h2, most, neo_loop_now(c->loop), framed, &seal.sink, &err);

    if (framed->len > 0 && tls_write(c->tls, neo_buffer_bytes(framed), cipher, &err) != NEO_OK) {
        give_up(c, err.code, err.message);
        return 0;
    }
    size_t len = cipher->len;
    send_cipher(c, neo_buffer_bytes(cipher)); /* of a pull that failed, too: it may be a GOAWAY */
    if (code != NEO_OK)
        part(c, err.code, err.message);
    return code == NEO_OK ? len : 0;
}

static bool has_frames(const struct conn *c)
{
    return c->h2 != NULL && c->backlog.len == 0 && c->state <= CONN_CLOSING &&
           (h2_wants_write(c->h2) || scratch->early.len > 0);
}

static void send_queued(struct conn *c)
{
    for (size_t i = 0, sent = 0, len = 0; has_frames(c); i++, sent += len) {
        if (i == PULLS_PER_TURN || sent >= TURN_MOST) { /* the others' turn first */
            neo_loop_arm(c->loop, &c->flush, neo_loop_now(c->loop));
            return;
        }
        len = send_frames(c);
        if (len == 0)
            return;
    }
}

/* --- reading ----------------------------------------------------------------------------- */

static void on_settings(struct h2 *h2)
{
    struct conn *c = h2_owner(h2);

    if (c->state == CONN_SETTLING)
        change_state(c, CONN_OPEN, 0);
    if (c->owner_ready != NULL)
        c->owner_ready(h2);
}

/* TLS is open: HTTP/2 begins, once the owner has accepted the peer. */
static enum neo_code begin_h2(struct conn *c, struct neo_error *err)
{
    const struct h2_options options = {
        .server = c->server,
        .events = &c->events,
        .owner = c,
        .pool = scratch->pool,
        .limits = c->limits,
        .cleartext = tls_mode(c->tls) == TLS_CLEARTEXT,
    };
    neo_nsec ends = c->state_ends;

    NEO_TRY(h2_new(&options, neo_loop_now(c->loop), &c->h2, err));
    change_state(c, CONN_SETTLING, 0);
    c->state_ends = ends; /* one limit for all of it */
    return c->hooks->proven == NULL ? NEO_OK : c->hooks->proven(c, err);
}

/*
 * The peer will say nothing more. A server still answers what was asked; a client can hope for
 * nothing that has not come.
 */
static void note_read_end(struct conn *c)
{
    bool busy = c->h2 != NULL && h2_open_streams(c->h2) > 0;

    c->read_ended = true;
    if (busy && c->server)
        conn_close(c, H2_NO_ERROR, "", HALF_CLOSE_GRACE, NEO_OK, "the peer was done");
    else
        part(c, busy ? NEO_UNAVAILABLE : NEO_OK, conn_peer_closed);
}

static bool has_greeted(const struct conn *c)
{
    return c->greeting.len > 0 && tls_greeting_lacks(neo_buffer_bytes(&c->greeting)) == 0;
}

static void take_greeting(struct conn *c, struct neo_bytes in)
{
    if (!neo_buffer_append(&c->greeting, in))
        give_up(c, NEO_RESOURCE_EXHAUSTED, "out of memory for a greeting");
    else if (has_greeted(c))
        c->hooks->greeted(c);
}

static void take_cipher(struct conn *c, struct neo_bytes in)
{
    struct neo_buffer *plain = scratch_use(&scratch->plain);
    struct neo_buffer *cipher = scratch_use(&scratch->cipher);
    struct neo_error err = {0};
    int64_t wall = neo_wall_nsec() / (int64_t)NEO_NSEC_PER_SEC;
    enum neo_code code = tls_feed(c->tls, in, wall, plain, cipher, &err);

    send_cipher(c, neo_buffer_bytes(cipher));
    if (code != NEO_OK)
        hang_up(c, err.code, err.message);
    if (c->state >= CONN_FLUSHING)
        return;
    if (c->state == CONN_HANDSHAKE && tls_state(c->tls) != TLS_HANDSHAKE &&
        begin_h2(c, &err) != NEO_OK) {
        if (c->h2 != NULL)
            h2_goaway(c->h2, H2_INADEQUATE_SECURITY, "refused");
        part(c, err.code, err.message);
        return;
    }
    if (c->h2 != NULL && scratch_feed(c->h2, neo_buffer_bytes(plain), c->backlog.len > 0,
                                      neo_loop_now(c->loop), &err) != NEO_OK)
        part(c, err.code, err.message);
    if (tls_state(c->tls) == TLS_CLOSED && !c->read_ended && c->state < CONN_FLUSHING)
        note_read_end(c);
}

/* A FIN. Without close_notify the peer died, which only an idle connection may shrug off. */
static void take_fin(struct conn *c)
{
    if (c->tls != NULL && tls_mode(c->tls) == TLS_CLEARTEXT && c->state < CONN_FLUSHING &&
        !c->read_ended) {
        note_read_end(c); /* here it is all there is of a goodbye */
        return;
    }

    bool idle = c->state >= CONN_OPEN && (c->h2 == NULL || h2_open_streams(c->h2) == 0);

    give_up(c, idle ? NEO_OK : NEO_UNAVAILABLE, conn_peer_closed);
}

static void read_socket(struct conn *c)
{
    struct neo_error err = {0};
    size_t len = 0;

    c->impatient = c->state == CONN_GREETING && has_greeted(c);
    if (c->impatient)
        return; /* what is there stays there until conn_secure() */
    switch (net_read(c->loop, c->watch.fd, scratch->read, SCRATCH_READ_SIZE, &len, &err)) {
    case NET_AGAIN:
        return;
    case NET_EOF:
        take_fin(c);
        return;
    case NET_ERROR:
        give_up(c, NEO_UNAVAILABLE, err.message);
        return;
    case NET_OK:
        break;
    }
    c->last_read = neo_loop_now(c->loop);
    if (c->state == CONN_GREETING)
        take_greeting(c, neo_bytes(scratch->read, len));
    else if (c->state <= CONN_CLOSING)
        take_cipher(c, neo_bytes(scratch->read, len));
}

/* --- turns ------------------------------------------------------------------------------- */

static void turn_begin(struct conn *c)
{
    assert(!c->in_turn);
    c->in_turn = true;
    neo_buffer_clear(&scratch->early);
}

static bool is_finished(const struct conn *c)
{
    if (c->h2 == NULL || c->backlog.len > 0)
        return false;
    return h2_is_finished(c->h2) ||
           (c->state == CONN_CLOSING && h2_open_streams(c->h2) == 0 && !h2_wants_write(c->h2));
}

/* Steps to the right as far as possible. */
static void advance(struct conn *c)
{
    if (c->state < CONN_FLUSHING && is_finished(c))
        part(c, NEO_OK, "both sides were done");
    if (c->state == CONN_FLUSHING && c->backlog.len == 0) {
        net_shutdown(c->loop, c->watch.fd);
        change_state(c, CONN_LINGERING, LINGER_TIMEOUT);
    }
}

static unsigned wanted(const struct conn *c)
{
    unsigned write = c->backlog.len > 0 ? NET_WRITE : 0;

    switch (c->state) {
    case CONN_CONNECTING:
        return NET_WRITE;
    case CONN_GREETING:
        return c->impatient ? 0 : NET_READ;
    case CONN_HANDSHAKE:
    case CONN_SETTLING:
    case CONN_OPEN:
    case CONN_CLOSING:
        return c->backlog.len >= BACKLOG_MAX || c->read_ended ? write : write | NET_READ;
    case CONN_FLUSHING:
        return NET_WRITE;
    case CONN_LINGERING:
        return NET_READ;
    case CONN_GONE:
        break;
    }
    return 0;
}

static void arm_deadline(struct conn *c)
{
    neo_nsec at = c->state_ends;

    if (c->backlog.len > 0 && (at == 0 || c->last_write + STALL_TIMEOUT < at))
        at = c->last_write + STALL_TIMEOUT;
    if (at == c->armed_for)
        return;
    c->armed_for = at;
    if (at == 0)
        neo_loop_disarm(c->loop, &c->deadline);
    else
        neo_loop_arm(c->loop, &c->deadline, at);
}

/* Lets go of everything but the struct; open streams hear `closed`. */
static void release(struct conn *c)
{
    neo_loop_disarm(c->loop, &c->flush);
    neo_loop_disarm(c->loop, &c->deadline);
    if (c->watch.fd >= 0) {
        net_unwatch(c->loop, &c->watch);
        net_close(c->loop, c->watch.fd);
        c->watch.fd = -1;
    }
    h2_free(c->h2);
    c->h2 = NULL;
    neo_buffer_fini(&c->backlog);
    neo_buffer_fini(&c->greeting);
}

/* Nothing may touch the connection after this. */
static void turn_end(struct conn *c)
{
    struct neo_error err = {0};

    if (c->hooks->worked != NULL)
        c->hooks->worked(c);
    send_queued(c);
    advance(c);
    if (c->state < CONN_GONE && wanted(c) != c->want) {
        c->want = wanted(c);
        if (net_watch(c->loop, &c->watch, c->want, &err) != NEO_OK)
            give_up(c, err.code, err.message);
    }
    if (c->state < CONN_GONE) {
        arm_deadline(c);
        c->in_turn = false;
        return;
    }
    release(c);
    c->in_turn = false;
    c->hooks->gone(c, &c->why);
}

static void on_connected(struct conn *c)
{
    struct neo_error err = {0};
    neo_nsec ends = c->state_ends;

    if (net_connected(c->loop, c->watch.fd, &err) != NEO_OK) {
        give_up(c, err.code, err.message);
        return;
    }
    if (net_peer_address(c->loop, c->watch.fd, &c->peer, NULL) != NEO_OK)
        c->peer = (struct net_address){"?"};
    change_state(c, CONN_HANDSHAKE, 0);
    c->state_ends = ends; /* one limit for all of it */
    take_cipher(c, (struct neo_bytes){0});
}

static void on_ready(struct net_watch *watch, unsigned events)
{
    struct conn *c = neo_owner(watch, struct conn, watch);

    turn_begin(c);
    if (c->state == CONN_CONNECTING)
        on_connected(c);
    else if (events & NET_WRITE)
        send_backlog(c);
    if ((events & NET_READ) && c->state > CONN_CONNECTING && c->state < CONN_GONE)
        read_socket(c);
    turn_end(c);
}

static void on_flush(struct neo_timer *timer)
{
    struct conn *c = neo_owner(timer, struct conn, flush);

    turn_begin(c);
    turn_end(c);
}

/* In each state before OPEN; the later ones may end quietly. */
static const char *const too_late[CONN_OPEN] = {
    [CONN_CONNECTING] = "connecting took too long",
    [CONN_GREETING] = "the TLS handshake took too long",
    [CONN_HANDSHAKE] = "the TLS handshake took too long",
    [CONN_SETTLING] = "the peer's SETTINGS took too long",
};

static void end_state(struct conn *c)
{
    if (c->state < CONN_OPEN)
        give_up(c, NEO_DEADLINE_EXCEEDED, too_late[c->state]);
    else if (c->state == CONN_CLOSING) /* the grace is over */
        part(c, NEO_OK, "both sides were done");
    else
        give_up(c, NEO_OK, "both sides were done");
}

static void on_deadline(struct neo_timer *timer)
{
    struct conn *c = neo_owner(timer, struct conn, deadline);

    turn_begin(c);
    c->armed_for = 0;
    if (c->state_ends != 0 && neo_loop_now(c->loop) >= c->state_ends)
        end_state(c);
    else
        give_up(c, NEO_UNAVAILABLE, "the peer took nothing for 30 s");
    turn_end(c);
}

/* --- the face ---------------------------------------------------------------------------- */

static void init(struct conn *c, const struct conn_options *o)
{
    neo_nsec timeout = o->handshake_timeout;

    if (timeout == 0)
        timeout = o->server ? HANDSHAKE_TIMEOUT : CONNECT_TIMEOUT;
    *c = (struct conn){
        .state = !o->server       ? CONN_CONNECTING
                 : o->tls == NULL ? CONN_GREETING
                                  : CONN_HANDSHAKE,
        .server = o->server,
        .loop = o->loop,
        .watch = {.ready = on_ready, .warm = conn_warm, .fd = o->fd},
        .tls = o->tls,
        .hooks = o->hooks,
        .owner = o->owner,
        .flush = {.expired = on_flush},
        .deadline = {.expired = on_deadline},
        .state_ends = neo_loop_now(o->loop) + timeout,
        .last_read = neo_loop_now(o->loop),
        .events = *o->events,
        .owner_ready = o->events->ready,
    };
    c->events.ready = on_settings;
    if (o->limits != NULL)
        c->limits = *o->limits;
}

enum neo_code conn_new(const struct conn_options *options, struct conn **ret, struct neo_error *err)
{
    struct conn *c = neo_alloc(sizeof(*c));

    if (c == NULL || !scratch_enter()) {
        neo_free(c);
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for a connection");
    }
    init(c, options);
    c->want = wanted(c);
    enum neo_code code = net_watch(c->loop, &c->watch, c->want, err);
    if (code != NEO_OK) {
        scratch_leave();
        neo_free(c);
        return code;
    }
    if (!c->server || net_peer_address(c->loop, options->fd, &c->peer, NULL) != NEO_OK)
        c->peer = (struct net_address){"?"};
    arm_deadline(c);
    *ret = c;
    return NEO_OK;
}

void conn_secure(struct conn *c, struct tls *tls)
{
    neo_nsec ends = c->state_ends;
    struct neo_buffer greeting = c->greeting;

    assert(c->state == CONN_GREETING);
    turn_begin(c);
    c->tls = tls;
    c->impatient = false;
    c->greeting = (struct neo_buffer){0};
    change_state(c, CONN_HANDSHAKE, 0);
    c->state_ends = ends; /* one limit for all of it */
    take_cipher(c, neo_buffer_bytes(&greeting));
    neo_buffer_fini(&greeting);
    turn_end(c);
}

void conn_free(struct conn *c)
{
    if (c == NULL)
        return;
    assert(!c->in_turn);
    c->in_turn = true; /* what `closed` does now starts no turn */
    release(c);
    tls_free(c->tls);
    neo_free(c);
    scratch_leave();
}

void conn_kick(struct conn *c)
{
    if (!c->in_turn && c->watch.fd >= 0 && !neo_timer_is_armed(&c->flush))
        neo_loop_arm(c->loop, &c->flush, neo_loop_now(c->loop));
}

void conn_close(struct conn *c, uint32_t h2_error, const char *debug, neo_nsec grace,
                enum neo_code code, const char *why)
{
    neo_nsec ends = neo_loop_now(c->loop) + (grace == 0 ? 1 : grace);

    if (c->state >= CONN_FLUSHING)
        return;
    remember_why(c, code, why);
    conn_kick(c);
    if (c->h2 == NULL) {
        change_state(c, CONN_GONE, 0);
        return;
    }
    if (c->state < CONN_CLOSING || h2_error != H2_NO_ERROR)
        h2_goaway(c->h2, h2_error, debug);
    if (c->state < CONN_CLOSING)
        change_state(c, CONN_CLOSING, 0);
    if (c->state_ends == 0 || ends < c->state_ends)
        c->state_ends = ends;
}
