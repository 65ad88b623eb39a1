/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two workers may look at the same moment: one gives up its place, the other finds none and
 * begins to wait. So who waits says so first and then looks once more, and who leaves gives
 * up its place first and then looks who waits; one of them sees the other.
 */
#include "rpc/method_gate.h"

static bool take_place(struct method_gate *g)
{
    unsigned running = atomic_load(&g->running);

    while (running < g->limit)
        if (atomic_compare_exchange_weak(&g->running, &running, running + 1))
            return true;
    return false;
}

static void arm(struct worker *w)
{
    if (list_is_empty(&w->gate.waiting)) {
        neo_loop_disarm(w->loop, &w->gate.wake);
        return;
    }
    const struct neo_call *oldest = neo_owner(w->gate.waiting.next, struct neo_call, held);
    neo_loop_arm(w->loop, &w->gate.wake, oldest->gate_until);
}

static void stop_waiting(struct neo_call *call)
{
    struct worker *w = call->worker;

    list_remove(&call->held);
    call->gate = GATE_OUTSIDE;
    atomic_fetch_sub(&call->method->gate->waiting, 1);
    atomic_fetch_sub(&w->gate.n_waiting, 1);
    arm(w);
}

static void begin_waiting(struct neo_call *call)
{
    struct worker *w = call->worker;

    call->gate = GATE_WAITS;
    call->gate_until = neo_loop_now(w->loop) + call->method->gate->max_wait;
    list_push_back(&w->gate.waiting, &call->held);
    atomic_fetch_add(&w->gate.n_waiting, 1);
    arm(w);
}

/* Somebody here waits for the same: going first would be unfair. */
static bool has_elders(const struct neo_call *call)
{
    const struct worker *w = call->worker;

    if (atomic_load_explicit(&w->gate.n_waiting, memory_order_relaxed) == 0)
        return false;
    list_each (link, &w->gate.waiting)
        if (neo_owner(link, struct neo_call, held)->method == call->method)
            return true;
    return false;
}

enum neo_reason method_gate_enter(struct neo_call *call)
{
    struct method_gate *g = call->method->gate;
    bool elders = has_elders(call);

    if (!elders && take_place(g)) {
        call->gate = GATE_INSIDE;
        return NEO_REASON_NONE;
    }
    if (atomic_fetch_add(&g->waiting, 1) >= g->max_waiting) {
        atomic_fetch_sub(&g->waiting, 1);
        return NEO_REASON_OVERLOADED;
    }
    if (!elders && take_place(g)) { /* once more, now that we are seen to wait */
        atomic_fetch_sub(&g->waiting, 1);
        call->gate = GATE_INSIDE;
        return NEO_REASON_NONE;
    }
    call->state = CALL_WAITING;
    begin_waiting(call);
    return NEO_REASON_NONE;
}

/* The oldest that finds a place, with it. */
static struct neo_call *next_in(struct worker *w)
{
    list_each (link, &w->gate.waiting) {
        struct neo_call *call = neo_owner(link, struct neo_call, held);
        if (take_place(call->method->gate))
            return call;
    }
    return NULL;
}

/* Not from inside itself: a call that ends at once makes room for the next, in the same round. */
static void let_in(struct worker *w)
{
    struct neo_call *call;

    if (w->gate.open)
        return;
    w->gate.open = true;
    while ((call = next_in(w)) != NULL) {
        stop_waiting(call);
        call->gate = GATE_INSIDE;
        pipeline_resume(call, NEO_REASON_NONE);
    }
    w->gate.open = false;
}

static void wake_others(struct worker *w)
{
    struct neo_server *server = w->server;

    for (unsigned i = 0; i < server->n_workers; i++) {
        struct worker *other = server->workers[i];
        if (other != w && atomic_load(&other->gate.n_waiting) > 0 &&
            !atomic_exchange(&other->gate.posted, true))
            neo_loop_post(other->loop, &other->gate.job);
    }
}

void method_gate_leave(struct neo_call *call)
{
    struct method_gate *g = call->method->gate;
    struct worker *w = call->worker;

    if (call->gate == GATE_WAITS) {
        stop_waiting(call);
        return;
    }
    call->gate = GATE_OUTSIDE;
    atomic_fetch_sub(&g->running, 1);
    if (atomic_load(&g->waiting) == 0)
        return;
    let_in(w);
    if (atomic_load(&g->waiting) > 0)
        wake_others(w);
}

static void on_job(struct neo_job *job)
{
    struct worker *w = neo_owner(job, struct worker, gate.job);

    atomic_store(&w->gate.posted, false);
    let_in(w);
}

static void on_wake(struct neo_timer *timer)
{
    struct worker *w = neo_owner(timer, struct worker, gate.wake);

    while (!list_is_empty(&w->gate.waiting)) {
        struct neo_call *call = neo_owner(w->gate.waiting.next, struct neo_call, held);
        if (call->gate_until > neo_loop_now(w->loop))
            break;
        stop_waiting(call);
        pipeline_resume(call, NEO_REASON_OVERLOADED);
    }
    arm(w);
}

void method_gate_init_worker(struct worker *w)
{
    list_init(&w->gate.waiting);
    w->gate.wake.expired = on_wake;
    w->gate.job.run = on_job;
}

void method_gate_fini_worker(struct worker *w)
{
    neo_loop_disarm(w->loop, &w->gate.wake);
}
