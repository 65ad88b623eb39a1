/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc/method_gate.h - how many calls of one method may run at once.
 *
 * The count is one number for all workers, and exact. Who finds no room waits, first come
 * first served on each worker, for a moment; whoever leaves wakes the waiting of its own
 * worker, and of the others when those have none. A method without a limit has no gate.
 */
#ifndef NEO_RPC_METHOD_GATE_H
#define NEO_RPC_METHOD_GATE_H

#include "rpc/call.h"

struct method_gate {
    unsigned limit;
    unsigned max_waiting;
    neo_nsec max_wait;
    atomic_uint running;
    atomic_uint waiting;
};

enum gate_state {
    GATE_OUTSIDE,
    GATE_WAITS,
    GATE_INSIDE,
};

/* The call's method has a gate: in, or waiting (CALL_WAITING), or OVERLOADED. */
enum neo_reason method_gate_enter(struct neo_call *call);
/* It waits no more, or runs no more. */
void method_gate_leave(struct neo_call *call);

void method_gate_init_worker(struct worker *w);
void method_gate_fini_worker(struct worker *w);

#endif
