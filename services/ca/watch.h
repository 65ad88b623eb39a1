/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ca/watch.h - everybody who is told of the trust, and what they are told.
 *
 * Threads   Safe to share; each watcher's call is written to on its own worker.
 */
#ifndef NEO_CA_WATCH_H
#define NEO_CA_WATCH_H

#include "ca/authority.h"

#include <neo/call.h>
#include <neo/cert.h>

struct ca_watcher;

struct ca_watchers {
    pthread_mutex_t lock;
    struct ca_watcher *first;
    struct neo_buffer signed_trust; /* serialized SignedTrust */
    uint64_t epoch;
};

void watchers_init(struct ca_watchers *w);
/* No call may be left. */
void watchers_fini(struct ca_watchers *w);
/* Makes the present trust; gives it as an epoch, too. */
NEO_MUST_CHECK enum neo_code watchers_refresh(struct ca_watchers *w, struct authority *a,
                                              struct neo_trust **ret, struct neo_error *err);
/* Sends what is newer than `have_epoch` now, and every change from then on. On the call's worker. */
void watchers_add(struct ca_watchers *w, struct neo_call *call, uint64_t have_epoch);
/* Tells all of them. Any thread. */
void watchers_tell(struct ca_watchers *w);

#endif
