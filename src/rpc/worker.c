/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The handshake gate. A handshake costs more than a hundred calls, so new ones are
 * paced to about half a core, and only so many may be under way. When that many are,
 * the oldest gives way: an honest peer is done in milliseconds, so the one that has
 * taken longest is the one that is not.
 */
#include "rpc/builtin.h"
#include "rpc/call.h"
#include "rpc/method_gate.h"
#include "rpc/peer.h"
#include "rpc/record.h"

#include <neo/memory.h>

enum {
    ACCEPTS_PER_TURN = 32,
    HANDSHAKES_PER_SECOND = 600,
    HANDSHAKES_BURST = 256,
    HANDSHAKES_MAX = 256,
    SCRATCH_BUDGET = 32 * 1024 * 1024,
};

/* --- accepting --------------------------------------------------------------------------- */

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

    w->paused = !on;
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
static bool pass_gate(struct worker *w)
{
    const neo_nsec interval = NEO_NSEC_PER_SEC / HANDSHAKES_PER_SECOND;
    neo_nsec now = neo_loop_now(w->loop);
    neo_nsec tat = w->handshake_tat > now ? w->handshake_tat : now;

    if (tat - now > HANDSHAKES_BURST * interval) {
        watch_listeners(w, false);
        neo_loop_arm(w->loop, &w->resume, tat - HANDSHAKES_BURST * interval);
        return false;
    }
    w->handshake_tat = tat + interval;
    return true;
}

static void make_room(struct worker *w)
{
    if (w->n_handshakes < HANDSHAKES_MAX)
        return;

    struct peer *oldest = neo_owner(w->handshakes.next, struct peer, handshake);
    record_refused_connection(w->server, "too_many_handshakes", conn_peer_address(oldest->conn));
    peer_cut(oldest);
}

static void welcome(struct worker *w, int fd)
{
    struct neo_error err = {0};
    struct tls *tls = NULL;

    make_room(w);
    stat_add(&w->stats.accepted, 1);
    if (tls_new(w->epoch->tls, (struct neo_bytes){0}, NULL, &tls, &err) == NEO_OK &&
        peer_new(w, fd, tls, &err) == NEO_OK)
        return;
    tls_free(tls);
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
    for (int i = 0; i < ACCEPTS_PER_TURN && pass_gate(w); i++)
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

enum neo_code worker_listen(struct worker *w, const char *address, bool shared,
                            struct net_address *ret, struct neo_error *err)
{
    struct listener *l = w->listeners;

    while (l < w->listeners + LISTENERS_MAX && l->open)
        l++;
    if (l == w->listeners + LISTENERS_MAX)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "a server listens on at most %d addresses",
                        LISTENERS_MAX);
    *l = (struct listener){.watch = {.ready = on_listener}, .worker = w};
    NEO_TRY(net_listen(w->loop, address, shared, &l->watch.fd, err));

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

void worker_handshake_done(struct worker *w, struct peer *p)
{
    if (list_is_empty(&p->handshake))
        return;
    list_remove(&p->handshake);
    w->n_handshakes--;
}

/* --- admission --------------------------------------------------------------------------- */

/* Not from inside itself: a call that ends at once makes room for the next, in the same round. */
void worker_admit(struct worker *w)
{
    struct neo_admission_ticket *ticket;
    enum neo_admission_verdict verdict;
    neo_nsec wake = 0;

    if (w->admitting)
        return;
    if (w->admission.waiting == 0) {
        neo_loop_disarm(w->loop, &w->admission_wake);
        return;
    }
    w->admitting = true;
    while ((ticket = neo_admission_next(&w->admission, neo_loop_now(w->loop), &verdict, &wake)) !=
           NULL)
        call_admitted(neo_owner(ticket, struct neo_call, ticket), verdict);
    w->admitting = false;
    if (wake != 0)
        neo_loop_arm(w->loop, &w->admission_wake, wake);
    else
        neo_loop_disarm(w->loop, &w->admission_wake);
}

static void on_admission_wake(struct neo_timer *timer)
{
    worker_admit(neo_owner(timer, struct worker, admission_wake));
}

/* --- epochs ------------------------------------------------------------------------------ */

static void take_update(struct neo_job *job)
{
    struct worker *w = neo_owner(job, struct worker, update);
    struct neo_server *server = w->server;

    (void)pthread_mutex_lock(&server->shared.lock);
    struct epoch *next = w->shared.next;
    w->shared.next = NULL;
    w->shared.posted = false;
    (void)pthread_mutex_unlock(&server->shared.lock);

    epoch_unref(w->epoch);
    w->epoch = next;
    list_each (link, &w->peers)
        peer_judge(neo_owner(link, struct peer, link));
    builtin_health_refresh(w);
}

/* Only the latest counts. The server's lock is held. */
void worker_post_update(struct worker *w, struct epoch *next)
{
    epoch_unref(w->shared.next);
    w->shared.next = epoch_ref(next);
    if (w->shared.posted)
        return;
    w->shared.posted = true;
    neo_loop_post(w->loop, &w->update);
}

/* --- life -------------------------------------------------------------------------------- */

enum neo_code worker_new(struct neo_server *server, struct neo_loop *loop, struct worker **ret,
                         struct neo_error *err)
{
    struct worker *w = neo_alloc(sizeof(*w));
    unsigned n = neo_runtime_workers(server->options.runtime);
    unsigned share = (server->options.max_in_flight + n - 1) / n;

    if (w == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for a worker");
    w->server = server;
    w->loop = loop;
    w->epoch = server_epoch(server);
    w->resume.expired = on_resume;
    w->admission_wake.expired = on_admission_wake;
    w->update.run = take_update;
    list_init(&w->peers);
    list_init(&w->handshakes);
    list_init(&w->idle_calls);
    list_init(&w->watchers);
    method_gate_init_worker(w);
    neo_admission_init(&w->admission, share, share);
    neo_arena_init_with(&w->scratch, w->scratch_block, sizeof(w->scratch_block), SCRATCH_BUDGET);
    neo_random(&w->random, sizeof(w->random));
    w->random |= 1;
    *ret = w;
    return NEO_OK;
}

void worker_free(struct worker *w)
{
    struct list *link;

    while ((link = list_pop_front(&w->idle_calls)) != NULL)
        neo_free(neo_owner(link, struct neo_call, link));
    neo_loop_disarm(w->loop, &w->admission_wake);
    method_gate_fini_worker(w);
    map_fini(&w->shares);
    neo_arena_fini(&w->scratch);
    neo_buffer_fini(&w->encoded);
    epoch_unref(w->shared.next);
    epoch_unref(w->epoch);
    neo_free(w);
}

void worker_drain(struct worker *w, neo_nsec grace)
{
    worker_close_listeners(w);
    builtin_health_refresh(w);
    list_each (link, &w->peers)
        peer_drain(neo_owner(link, struct peer, link), "server_shutdown", grace,
                   NEO_REASON_DRAINING);
}

void worker_cut(struct worker *w)
{
    list_each (link, &w->peers)
        peer_cut(neo_owner(link, struct peer, link));
}

bool worker_is_empty(const struct worker *w)
{
    return atomic_load(&w->stats.connections) == 0 && atomic_load(&w->stats.calls) == 0;
}

int64_t worker_wall(struct worker *w)
{
    neo_nsec now = neo_loop_now(w->loop);

    if (w->wall == 0 || w->wall_read != now) {
        w->wall = neo_wall_nsec() / (int64_t)NEO_NSEC_PER_SEC;
        w->wall_read = now;
    }
    return w->wall;
}

uint64_t worker_random(struct worker *w, uint64_t below)
{
    w->random ^= w->random >> 12;
    w->random ^= w->random << 25;
    w->random ^= w->random >> 27;
    return w->random * UINT64_C(0x2545f4914f6cdd1d) % below;
}
