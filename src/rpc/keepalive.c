/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/keepalive.h"

enum { COURTEOUS_PINGS = 2 };
#define COURTEOUS_TIME (300 * NEO_NSEC_PER_SEC)

static neo_nsec patience(const struct keepalive *k, const struct keepalive_config *config)
{
    if (config->courteous && k->pings >= COURTEOUS_PINGS && config->time < COURTEOUS_TIME)
        return COURTEOUS_TIME;
    return config->time;
}

enum keepalive_verdict keepalive_check(struct keepalive *k, const struct keepalive_config *config,
                                       neo_nsec last_read, bool busy, neo_nsec now,
                                       neo_nsec *ret_at)
{
    if (config->off)
        return KEEPALIVE_REST;
    if (k->pinged_at != 0) {
        /* Whatever came since then came from a peer that is there. */
        if (last_read < k->pinged_at) {
            *ret_at = k->pinged_at + config->timeout;
            return now >= *ret_at ? KEEPALIVE_DEAD : KEEPALIVE_WAIT;
        }
        k->pinged_at = 0;
    }
    if (!busy && !config->without_calls)
        return KEEPALIVE_REST;
    *ret_at = (last_read > k->since ? last_read : k->since) + patience(k, config);
    if (now < *ret_at)
        return KEEPALIVE_WAIT;
    k->pinged_at = now;
    k->pings++;
    *ret_at = now + config->timeout;
    return KEEPALIVE_PING;
}
