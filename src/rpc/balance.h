/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc/balance.h - which of the instances that are ready takes the next call.
 *
 * A balancer decides and does nothing else: it sees a row of hosts, which the channel
 * renews when something changed, and names one. No I/O, no clock, no chance but the
 * seed it was given. One file per balancer; balance.c has the table of them.
 *
 *   pick_first             the first address that answers
 *   round_robin            each in turn
 *   least_request          of some chosen at random, the one with the fewest calls
 *   weighted_round_robin   in turn, in proportion to weights
 *
 * Threads   One owner.
 */
#ifndef NEO_RPC_BALANCE_H
#define NEO_RPC_BALANCE_H

#include <neo/bytes.h>
#include <neo/time.h>

#include "guard/outlier.h"

enum { BALANCE_HOSTS_MAX = 256 };

/* What is known of one instance; lives in its subchannel. */
struct balance_host {
    uint32_t active; /* calls under way */
    uint32_t weight; /* of the endpoint; 0: 1 */
    neo_nsec ready_since;
    /* The load it reports with its answers (ORCA). 0: never, or too long ago. */
    double reported; /* calls a second it could serve */
    neo_nsec reported_since;
    neo_nsec reported_at;
    struct outlier_host outlier;
};

struct balance_config {
    const struct balance_policy *policy;
    struct {
        uint32_t choices;    /* 2..10 */
        neo_nsec slow_start; /* a new host takes its full share after so long; 0: at once */
    } least;
    struct {
        neo_nsec blackout;   /* reports of a new host are not believed for so long */
        neo_nsec expiration; /* nor those older than this */
        neo_nsec update;     /* weights are worked out once in so long */
        uint32_t penalty_milli;
        bool out_of_band; /* reports come on a stream of their own, not with answers */
        neo_nsec period;  /* then: this often */
    } weighted;
    bool shuffle; /* pick_first: addresses in random order */
    bool has_outlier;
    struct outlier_config outlier;
};
extern const struct balance_config balance_default; /* round_robin */

struct balance {
    const struct balance_config *config;
    struct balance_host *hosts[BALANCE_HOSTS_MAX]; /* those that are ready, in the target's order */
    size_t n;
    size_t next;
    uint64_t random;
    /* weighted_round_robin */
    uint16_t weights[BALANCE_HOSTS_MAX];
    bool equal; /* all weights are */
    neo_nsec weighed_at;
    uint64_t turn;
};

struct balance_policy {
    const char *name;
    const char *also;  /* gRPC's name of it while it was an experiment; or NULL */
    bool connects_all; /* else one at a time: balance_first_to_connect() */
    /* `hosts` and `n` are new. May be NULL. */
    void (*changed)(struct balance *b, neo_nsec now);
    /* Index into `hosts`; n > 0. */
    size_t (*pick)(struct balance *b, neo_nsec now);
};

extern const struct balance_policy balance_pick_first;
extern const struct balance_policy balance_round_robin;
extern const struct balance_policy balance_least_request;
extern const struct balance_policy balance_weighted_round_robin;

/* NULL when there is none of that name. */
const struct balance_policy *balance_find(struct neo_bytes name);
extern const char balance_names[]; /* for messages */

/* `config` is borrowed. */
void balance_init(struct balance *b, const struct balance_config *config, uint64_t seed);
/* The hosts were changed in place. */
static inline void balance_changed(struct balance *b, neo_nsec now)
{
    if (b->config->policy->changed != NULL)
        b->config->policy->changed(b, now);
}
static inline size_t balance_pick(struct balance *b, neo_nsec now)
{
    return b->config->policy->pick(b, now);
}
uint64_t balance_random(struct balance *b);

enum balance_state { BALANCE_IDLE, BALANCE_CONNECTING, BALANCE_READY, BALANCE_FAILED };

/*
 * pick_first: the address to try now, n when none. One at a time in order, but another 250 ms after
 * the last was begun; none once one is ready. `*ret_again`: when to ask again, 0: when a state
 * changed.
 */
size_t balance_first_to_connect(const enum balance_state *states, size_t n, neo_nsec last_begun,
                                neo_nsec now, neo_nsec *ret_again);

/*
 * A load report (xds.data.orca.v3.OrcaLoadReport, serialized) as a weight: calls a second over
 * utilization, errors punished by `penalty_milli`. 0 when it says nothing or is malformed.
 */
double balance_read_report(struct neo_bytes wire, uint32_t penalty_milli);
void balance_report(struct balance_host *host, double weight, neo_nsec now);

#endif
