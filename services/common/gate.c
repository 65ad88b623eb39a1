/* SPDX-License-Identifier: Apache-2.0 */
#include "common/gate.h"

void svc_gate_init(struct gate *gate)
{
    *gate = (struct gate){.inside = 0};
    (void)pthread_mutex_init(&gate->lock, NULL);
    (void)pthread_cond_init(&gate->changed, NULL);
}

void svc_gate_fini(struct gate *gate)
{
    (void)pthread_cond_destroy(&gate->changed);
    (void)pthread_mutex_destroy(&gate->lock);
}

bool svc_gate_enter(struct gate *gate)
{
    (void)pthread_mutex_lock(&gate->lock);
    bool open = !gate->closed;
    gate->inside += open;
    (void)pthread_mutex_unlock(&gate->lock);
    return open;
}

void svc_gate_leave(struct gate *gate)
{
    (void)pthread_mutex_lock(&gate->lock);
    if (--gate->inside == 0)
        (void)pthread_cond_broadcast(&gate->changed);
    (void)pthread_mutex_unlock(&gate->lock);
}

bool svc_gate_is_empty(struct gate *gate)
{
    (void)pthread_mutex_lock(&gate->lock);
    bool empty = gate->inside == 0;
    (void)pthread_mutex_unlock(&gate->lock);
    return empty;
}

void svc_gate_close(struct gate *gate)
{
    (void)pthread_mutex_lock(&gate->lock);
    gate->closed = true;
    while (gate->inside > 0)
        (void)pthread_cond_wait(&gate->changed, &gate->lock);
    (void)pthread_mutex_unlock(&gate->lock);
}
