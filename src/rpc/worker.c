/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/builtin.h"
#include "rpc/call.h"
#include "rpc/method_gate.h"
#include "rpc/peer.h"
#include "rpc/record.h"

#include <neo/memory.h>

enum { SCRATCH_BUDGET = 32 * 1024 * 1024 };

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
    w->admission_wake.expired = on_admission_wake;
    w->update.run = take_update;
    list_init(&w->peers);
    worker_init_gates(w);
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

    record_durations(w);
    while ((link = list_pop_front(&w->idle_calls)) != NULL)
        neo_free(neo_owner(link, struct neo_call, link));
    neo_loop_disarm(w->loop, &w->admission_wake);
    worker_fini_gates(w);
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
