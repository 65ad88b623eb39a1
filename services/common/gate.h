/* SPDX-License-Identifier: Apache-2.0 */
/*
 * common/gate.h - the end of a service waits for what is still at work in it.
 *
 * Handlers that block, and work of timers, run on threads of the pool. Each enters on
 * its way in and leaves when it touches nothing of the service any more; who closes the
 * gate waits for them, and nobody enters afterwards.
 *
 * Threads   Safe to share. svc_gate_close() not from inside.
 */
#ifndef NEO_COMMON_GATE_H
#define NEO_COMMON_GATE_H

#include <pthread.h>
#include <stdbool.h>

struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned inside;
    bool closed;
};

void svc_gate_init(struct gate *gate);
void svc_gate_fini(struct gate *gate);
/* False: the service is ending; do nothing. */
bool svc_gate_enter(struct gate *gate);
void svc_gate_leave(struct gate *gate);
bool svc_gate_is_empty(struct gate *gate);
/* Returns when nobody is inside. */
void svc_gate_close(struct gate *gate);

#endif
