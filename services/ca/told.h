/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ca/told.h - the trust as everybody is told it.
 *
 * Threads   Safe to share.
 */
#ifndef NEO_CA_TOLD_H
#define NEO_CA_TOLD_H

#include "ca/authority.h"
#include "common/watchers.h"

#include <neo/cert.h>

struct told {
    struct watchers watchers;
    pthread_mutex_t lock;
    struct neo_buffer signed_trust; /* serialized SignedTrust; under the lock, as is the next */
    uint64_t epoch;
};

void told_init(struct told *t);
/* No call may be left. */
void told_fini(struct told *t);
/* Makes the present trust; gives it as an epoch, too. */
NEO_MUST_CHECK enum neo_code told_refresh(struct told *t, struct authority *a,
                                          struct neo_trust **ret, struct neo_error *err);
/* Sends what is newer than `have_epoch` now, and every change from then on. On the call's worker.
 */
void told_follow(struct told *t, struct neo_call *call, uint64_t have_epoch);
/* Tells all of them. Any thread. */
void told_everybody(struct told *t);

#endif
