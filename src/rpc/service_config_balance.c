/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loadBalancingConfig: a list of policies of which the first that is known counts. What stands
 * behind it is skipped unread, as gRPC does; the one that counts is read strictly.
 */
#include "rpc/config_reader.h"
#include "rpc/service_config.h"

enum { PERCENT = 100 };
#define HOUR (3600 * NEO_NSEC_PER_SEC)

/* --- one policy's own settings ---------------------------------------------------------------- */

static void pick_first_key(struct config_reader *r, struct neo_bytes key, void *self)
{
    struct balance_config *c = self;

    if (neo_bytes_is(key, "shuffleAddressList"))
        config_bool(r, &c->shuffle);
    else
        config_unknown(r, "shuffleAddressList");
}

static void round_robin_key(struct config_reader *r, struct neo_bytes key, void *self)
{
    (void)key;
    (void)self;
    config_refuse(r, "round_robin has no settings");
}

static void at_most_an_hour(struct config_reader *r, neo_nsec value)
{
    if (value > HOUR)
        config_refuse(r, "must be at most 3600s");
}

static void least_request_key(struct config_reader *r, struct neo_bytes key, void *self)
{
    struct balance_config *c = self;

    if (neo_bytes_is(key, "choiceCount")) {
        config_u32(r, 2, UINT32_MAX, &c->least.choices);
        if (c->least.choices > 10)
            c->least.choices = 10; /* gRFC A48 */
    } else if (neo_bytes_is(key, "slowStartWindow")) {
        config_duration(r, 0, &c->least.slow_start);
        at_most_an_hour(r, c->least.slow_start);
    } else {
        config_unknown(r, "choiceCount, slowStartWindow");
    }
}

static void weighted_key(struct config_reader *r, struct neo_bytes key, void *self)
{
    struct balance_config *c = self;

    if (neo_bytes_is(key, "blackoutPeriod")) {
        config_duration(r, 0, &c->weighted.blackout);
    } else if (neo_bytes_is(key, "weightExpirationPeriod")) {
        config_duration(r, 1, &c->weighted.expiration);
    } else if (neo_bytes_is(key, "weightUpdatePeriod")) {
        config_duration(r, 0, &c->weighted.update);
        if (c->weighted.update < 100 * NEO_NSEC_PER_MSEC)
            c->weighted.update = 100 * NEO_NSEC_PER_MSEC; /* gRFC A58 */
    } else if (neo_bytes_is(key, "errorUtilizationPenalty")) {
        config_milli(r, 0, 1000000, &c->weighted.penalty_milli);
    } else if (neo_bytes_is(key, "enableOobLoadReport")) {
        config_bool(r, &c->weighted.out_of_band);
    } else if (neo_bytes_is(key, "oobReportingPeriod")) {
        config_duration(r, 1, &c->weighted.period);
        at_most_an_hour(r, c->weighted.period);
    } else {
        config_unknown(r, "blackoutPeriod, weightExpirationPeriod, weightUpdatePeriod, "
                          "errorUtilizationPenalty, enableOobLoadReport, oobReportingPeriod");
    }
}

static const struct {
    const struct balance_policy *policy;
    config_key_fn *key;
} settings[] = {
    {&balance_pick_first, pick_first_key},
    {&balance_round_robin, round_robin_key},
    {&balance_least_request, least_request_key},
    {&balance_weighted_round_robin, weighted_key},
};

static void read_settings(struct config_reader *r, struct balance_config *c)
{
    for (size_t i = 0; i < NEO_COUNT(settings); i++)
        if (settings[i].policy == c->policy)
            config_object(r, settings[i].key, c);
}

/* --- the list --------------------------------------------------------------------------------- */

struct list_reading {
    struct balance_config *config;
    config_key_fn *policy; /* reads {"name": {settings}} */
    bool found;
    unsigned names; /* in this element */
};

/* Returns whether there is something to read; reads over what comes after the first known one. */
static bool is_ours(struct config_reader *r, struct list_reading *l, bool known)
{
    l->names++;
    if (l->names > 1)
        config_refuse(r, "one policy in each element of the list");
    if (!known || l->found) {
        (void)neo_json_skip(&r->json);
        return false;
    }
    l->found = true;
    return true;
}

static void leaf_policy(struct config_reader *r, struct neo_bytes key, void *self)
{
    struct list_reading *l = self;
    const struct balance_policy *policy = balance_find(key);

    if (is_ours(r, l, policy != NULL)) {
        l->config->policy = policy;
        read_settings(r, l->config);
    }
}

static void list_element(struct config_reader *r, void *self)
{
    struct list_reading *l = self;

    l->names = 0;
    config_object(r, l->policy, l);
}

static void read_list(struct config_reader *r, struct balance_config *c, config_key_fn *policy)
{
    struct list_reading l = {.config = c, .policy = policy};

    config_array(r, list_element, &l);
    if (!l.found)
        config_refuse(r, "names no policy that is known here: %s%s", balance_names,
                      policy == leaf_policy ? "" : ", outlier_detection");
}

/* --- outlier detection: a policy around another --------------------------------------------------
 */

static void success_rate_key(struct config_reader *r, struct neo_bytes key, void *self)
{
    struct outlier_config *o = self;

    if (neo_bytes_is(key, "stdevFactor"))
        config_u32(r, 0, 1000000, &o->success_rate.stdev_milli);
    else if (neo_bytes_is(key, "enforcementPercentage"))
        config_u32(r, 0, PERCENT, &o->success_rate.enforcement);
    else if (neo_bytes_is(key, "minimumHosts"))
        config_u32(r, 0, UINT32_MAX, &o->success_rate.minimum_hosts);
    else if (neo_bytes_is(key, "requestVolume"))
        config_u32(r, 0, UINT32_MAX, &o->success_rate.request_volume);
    else
        config_unknown(r, "stdevFactor, enforcementPercentage, minimumHosts, requestVolume");
}

static void failure_percentage_key(struct config_reader *r, struct neo_bytes key, void *self)
{
    struct outlier_config *o = self;

    if (neo_bytes_is(key, "threshold"))
        config_u32(r, 0, PERCENT, &o->failure_percentage.threshold);
    else if (neo_bytes_is(key, "enforcementPercentage"))
        config_u32(r, 0, PERCENT, &o->failure_percentage.enforcement);
    else if (neo_bytes_is(key, "minimumHosts"))
        config_u32(r, 0, UINT32_MAX, &o->failure_percentage.minimum_hosts);
    else if (neo_bytes_is(key, "requestVolume"))
        config_u32(r, 0, UINT32_MAX, &o->failure_percentage.request_volume);
    else
        config_unknown(r, "threshold, enforcementPercentage, minimumHosts, requestVolume");
}

static void outlier_key(struct config_reader *r, struct neo_bytes key, void *self)
{
    struct balance_config *c = self;
    struct outlier_config *o = &c->outlier;

    if (neo_bytes_is(key, "interval")) {
        config_duration(r, NEO_NSEC_PER_MSEC, &o->interval);
    } else if (neo_bytes_is(key, "baseEjectionTime")) {
        config_duration(r, 0, &o->base_ejection);
    } else if (neo_bytes_is(key, "maxEjectionTime")) {
        config_duration(r, 0, &o->max_ejection);
    } else if (neo_bytes_is(key, "maxEjectionPercent")) {
        config_u32(r, 0, PERCENT, &o->max_percent);
    } else if (neo_bytes_is(key, "successRateEjection")) {
        o->success_rate.on = true;
        config_object(r, success_rate_key, o);
    } else if (neo_bytes_is(key, "failurePercentageEjection")) {
        o->failure_percentage.on = true;
        config_object(r, failure_percentage_key, o);
    } else if (neo_bytes_is(key, "childPolicy")) {
        read_list(r, c, leaf_policy);
    } else {
        config_unknown(r, "interval, baseEjectionTime, maxEjectionTime, maxEjectionPercent, "
                          "successRateEjection, failurePercentageEjection, childPolicy");
    }
}

static void read_outlier(struct config_reader *r, struct balance_config *c)
{
    c->policy = NULL;
    c->has_outlier = true;
    c->outlier = outlier_default;
    config_object(r, outlier_key, c);
    if (c->policy == NULL)
        config_refuse(r, "needs a childPolicy, for example [{\"round_robin\": {}}]");
    else if (!c->policy->connects_all)
        config_refuse(r, "cannot compare instances under pick_first, which uses one");
    if (c->outlier.max_ejection < c->outlier.base_ejection)
        c->outlier.max_ejection = c->outlier.base_ejection;
}

static void any_policy(struct config_reader *r, struct neo_bytes key, void *self)
{
    struct list_reading *l = self;
    const struct balance_policy *policy = balance_find(key);
    bool outlier = neo_bytes_is(key, "outlier_detection") ||
                   neo_bytes_is(key, "outlier_detection_experimental");

    if (!is_ours(r, l, outlier || policy != NULL))
        return;
    l->config->policy = policy;
    if (outlier)
        read_outlier(r, l->config);
    else
        read_settings(r, l->config);
}

void service_config_read_balance(struct config_reader *r, struct balance_config *ret)
{
    struct balance_config c = balance_default;

    read_list(r, &c, any_policy);
    if (c.policy != NULL)
        *ret = c;
}
