/* SPDX-License-Identifier: Apache-2.0 */
/*
 * common/watchers.h - calls that stay open and are told of changes.
 *
 * A change posts one job to each call's worker; there is never more than one on its way to a call,
 * and nothing is sent into a stream that is full, so a watcher that is slow gets the newest state,
 * not a queue of old ones.
 *
 * Threads   Safe to share.
 */
#ifndef NEO_COMMON_WATCHERS_H
#define NEO_COMMON_WATCHERS_H

#include <neo/call.h>

#include <pthread.h>

struct watcher;
/*
 * Sends the present state to `call`; on its worker. `key` is what was given to watchers_add().
 * Returns what the sending returned, NEO_FLOW_MORE when there was nothing to send.
 */
typedef enum neo_flow watch_send_fn(struct neo_call *call, const char *key, void *self);

struct watchers {
    pthread_mutex_t lock;
    struct watcher *first;
    watch_send_fn *send;
    void *self;
};

void watchers_init(struct watchers *list, watch_send_fn *send, void *self);
void watchers_fini(struct watchers *list);
/* On the call's worker; sends at once. */
void watchers_add(struct watchers *list, struct neo_call *call, struct neo_bytes key);
/* Any thread. */
void watchers_tell(struct watchers *list);

#endif
