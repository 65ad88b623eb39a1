/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the listener to the handshake.
 *
 * A connection that was accepted costs little until its first record has come whole; then it wants
 * a handshake, which costs more than a hundred calls. So there are two gates. The first paces
 * accepting, to about an eighth of a core when all of it is for nothing; the second paces
 * handshakes, to about half of one, and lets only a few begin in a turn, so that the calls of
 * others come between. Peers that wait at the second are let through in the order of their coming.
 *
 * There is room for a number of peers in each stage. When it is full the oldest gives way: an
 * honest peer is through in milliseconds, so the one that has taken longest is the one that is not.
 * Of those without a handshake, the silent give way before those that have spoken.
 */
#include "rpc/peer.h"
#include "rpc/record.h"

enum {
    ACCEPTS_PER_TURN = 32,
    ACCEPTS_PER_SECOND = 4000,
    ACCEPTS_BURST = 4096,
    HANDSHAKES_PER_TURN = 4,
    HANDSHAKES_PER_SECOND = 600,
    HANDSHAKES_BURST = 256,
    SHAKING_MAX = 256,  /* of a worker */
    UNSHAKEN_MAX = 512, /* silent and waiting, of a worker; they are files, too */
};

/* --- gates --------------------------------------------------------------------------------- */

struct gate {
    neo_nsec interval;
    neo_nsec burst; /* times `interval` */
};

static const struct gate accepting = {NEO_NSEC_PER_SEC / ACCEPTS_PER_SECOND,
                                      ACCEPTS_BURST *(NEO_NSEC_PER_SEC / ACCEPTS_PER_SECOND)};
static const struct gate shaking = {NEO_NSEC_PER_SEC / HANDSHAKES_PER_SECOND,
                                    HANDSHAKES_BURST *(NEO_NSEC_PER_SEC / HANDSHAKES_PER_SECOND)};

/* False when it is shut; it opens again at `*ret_opens`. */
static bool pass(const struct gate *gate, neo_nsec *tat, neo_nsec now, neo_nsec *ret_opens)
{
    neo_nsec from = *tat > now ? *tat : now;

    if (from - now > gate->burst) {
        *ret_opens = from - gate->burst;
        return false;
    }
    *tat = from + gate->interval;
    return true;
}

/* --- stages -------------------------------------------------------------------------------- */

static void leave_stage(struct worker *w, struct peer *p)
{
    if (list_is_empty(&p->handshake))
        return;
    list_remove(&p->handshake);
    w->handshakes[p->stage].n--;
}

static void enter_stage(struct worker *w, struct peer *p, enum handshake_stage stage)
{
    leave_stage(w, p);
    p->stage = stage;
    list_push_back(&w->handshakes[stage].list, &p->handshake);
    w->handshakes[stage].n++;
}

static void cut_oldest(struct worker *w, enum handshake_stage stage)
{
    struct peer *oldest = neo_owner(w->handshakes[stage].list.next, struct peer, handshake);

    record_refused_connection(w->server, "too_many_handshakes", conn_peer_address(oldest->conn));
    peer_cut(oldest);
}

static void make_room_for_one(struct worker *w)
{
    size_t silent = w->handshakes[STAGE_SILENT].n;

    if (silent + w->handshakes[STAGE_WAITING].n >= UNSHAKEN_MAX)
        cut_oldest(w, silent > 0 ? STAGE_SILENT : STAGE_WAITING);
}

void worker_handshake_done(struct worker *w, struct peer *p)
{
    leave_stage(w, p);
}

/* --- handshakes ---------------------------------------------------------------------------- */

static void shake(struct worker *w, struct peer *p)
{
    struct neo_error err = {0};
    struct tls *tls = NULL;

    if (conn_is_closing(p->conn)) { /* we are about to say goodbye; nothing more is spent on it */
        leave_stage(w, p);
        return;
    }
    if (w->handshakes[STAGE_SHAKING].n >= SHAKING_MAX)
        cut_oldest(w, STAGE_SHAKING);
    enter_stage(w, p, STAGE_SHAKING);
    if (tls_new(w->epoch->tls, (struct neo_bytes){0}, NULL, &tls, &err) == NEO_OK) {
        conn_secure(p->conn, tls);
        return;
    }
    neo_log_error(w->server->options.log, "server.connection_lost", NEO_STR("error", err.message));
    peer_cut(p);
}

static void on_shake(struct neo_timer *timer)
{
    struct worker *w = neo_owner(timer, struct worker, shake);
    const struct list *waiting = &w->handshakes[STAGE_WAITING].list;
    neo_nsec now = neo_loop_now(w->loop), opens = now;

    for (int i = 0; i < HANDSHAKES_PER_TURN && !list_is_empty(waiting) &&
                    pass(&shaking, &w->handshake_tat, now, &opens);
         i++)
        shake(w, neo_owner(waiting->next, struct peer, handshake));
    if (!list_is_empty(waiting))
        neo_loop_arm(w->loop, &w->shake, opens);
}

void worker_greeted(struct worker *w, struct peer *p)
{
    enter_stage(w, p, STAGE_WAITING);
    if (!neo_timer_is_armed(&w->shake))
        neo_loop_arm(w->loop, &w->shake, neo_loop_now(w->loop));
}

/* --- accepting ----------------------------------------------------------------------------- */

static enum neo_code watch_listener(struct listener *l, bool on, struct neo_error *err)
{
    if (on)
        return net_watch(l->worker->loop, &l->watch, NET_READ, err);
    net_unwatch(l->worker->loop, &l->watch);
    return NEO_OK;
}

static void watch_listeners(struct worker *w, bool on)
{
    struct neo_error err = {0};

    for (size_t i = 0; i < LISTENERS_MAX; i++)
        if (w->listeners[i].open && watch_listener(&w->listeners[i], on, &err) != NEO_OK)
            neo_log_error(w->server->options.log, "server.listener_lost",
                          NEO_STR("error", err.message));
}

static void on_resume(struct neo_timer *timer)
{
    watch_listeners(neo_owner(timer, struct worker, resume), true);
}

/* False when the gate is shut: then accepting goes on by itself as soon as it opens. */
static bool may_accept(struct worker *w)
{
    neo_nsec opens = 0;

    if (pass(&accepting, &w->accept_tat, neo_loop_now(w->loop), &opens))
        return true;
    watch_listeners(w, false);
    neo_loop_arm(w->loop, &w->resume, opens);
    return false;
}

/* Cleartext has no greeting to wait for, and no handshake. */
static enum neo_code make_peer(struct worker *w, int fd, struct neo_error *err)
{
    struct tls *tls = NULL;
    struct peer *p = NULL;

    if (tls_context_mode(w->epoch->tls) == TLS_CLEARTEXT)
        NEO_TRY(tls_new(w->epoch->tls, (struct neo_bytes){0}, NULL, &tls, err));
    enum neo_code code = peer_new(w, fd, tls, &p, err);
    if (code != NEO_OK) {
        tls_free(tls);
        return code;
    }
    enter_stage(w, p, STAGE_SILENT);
    return NEO_OK;
}

static void welcome(struct worker *w, int fd)
{
    struct neo_error err = {0};

    make_room_for_one(w);
    stat_add(&w->stats.accepted, 1);
    if (make_peer(w, fd, &err) == NEO_OK)
        return;
    net_close(w->loop, fd);
    neo_log_error(w->server->options.log, "server.connection_lost", NEO_STR("error", err.message));
}

static void on_listener(struct net_watch *watch, unsigned events)
{
    struct listener *l = neo_owner(watch, struct listener, watch);
    struct worker *w = l->worker;
    struct neo_error err = {0};
    int fd;

    (void)events;
    for (int i = 0; i < ACCEPTS_PER_TURN && may_accept(w); i++)
        switch (net_accept(w->loop, watch->fd, &fd, &err)) {
        case NET_OK:
            welcome(w, fd);
            break;
        case NET_AGAIN:
        case NET_EOF:
            return;
        case NET_ERROR:
            neo_log_warn(w->server->options.log, "server.accept_failed",
                         NEO_STR("error", err.message));
            return;
        }
}

enum neo_code worker_listen(struct worker *w, const char *address, enum net_listening how,
                            struct net_address *ret, struct neo_error *err)
{
    struct listener *l = w->listeners;

    while (l < w->listeners + LISTENERS_MAX && l->open)
        l++;
    if (l == w->listeners + LISTENERS_MAX)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "a server listens on at most %d addresses",
                        LISTENERS_MAX);
    *l = (struct listener){.watch = {.ready = on_listener}, .worker = w};
    NEO_TRY(net_listen(w->loop, address, how, &l->watch.fd, err));

    enum neo_code code = net_local_address(w->loop, l->watch.fd, ret, err);
    if (code == NEO_OK)
        code = watch_listener(l, true, err);
    if (code != NEO_OK)
        net_close(w->loop, l->watch.fd);
    l->open = code == NEO_OK;
    return code;
}

void worker_close_listeners(struct worker *w)
{
    neo_loop_disarm(w->loop, &w->resume);
    for (size_t i = 0; i < LISTENERS_MAX; i++) {
        struct listener *l = &w->listeners[i];
        if (!l->open)
            continue;
        net_unwatch(w->loop, &l->watch);
        net_close(w->loop, l->watch.fd);
        l->open = false;
    }
}

void worker_init_gates(struct worker *w)
{
    for (size_t i = 0; i < HANDSHAKE_STAGES; i++)
        list_init(&w->handshakes[i].list);
    w->resume.expired = on_resume;
    w->shake.expired = on_shake;
}

void worker_fini_gates(struct worker *w)
{
    neo_loop_disarm(w->loop, &w->resume);
    neo_loop_disarm(w->loop, &w->shake);
}
