/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/config_reader.h"
#include "rpc/service_config.h"

/* More than five attempts are cut to five, as gRFC A6 has it. */
static unsigned at_most_five(unsigned attempts)
{
    return attempts > SERVICE_CONFIG_ATTEMPTS_MAX ? SERVICE_CONFIG_ATTEMPTS_MAX : attempts;
}

static void retry_key(struct config_reader *r, struct neo_bytes key, void *self)
{
    struct retry_policy *p = self;
    uint32_t milli = 0;

    if (neo_bytes_is(key, "maxAttempts")) {
        config_u32(r, 2, UINT32_MAX, &p->max_attempts);
    } else if (neo_bytes_is(key, "initialBackoff")) {
        config_duration(r, 1, &p->initial_backoff);
    } else if (neo_bytes_is(key, "maxBackoff")) {
        config_duration(r, 1, &p->max_backoff);
    } else if (neo_bytes_is(key, "backoffMultiplier")) {
        config_milli(r, 10, 1000000, &milli);
        p->multiplier_percent = milli / 10;
    } else if (neo_bytes_is(key, "retryableStatusCodes")) {
        config_codes(r, &p->retryable);
        if (p->retryable == 0)
            config_refuse(r, "names no code; leave retryPolicy out to retry nothing");
    } else {
        config_unknown(r, "maxAttempts, initialBackoff, maxBackoff, backoffMultiplier, "
                          "retryableStatusCodes");
    }
}

void service_config_read_retry(struct config_reader *r, struct retry_policy *ret)
{
    struct retry_policy p = {0};

    config_object(r, retry_key, &p);
    if (p.max_attempts == 0 || p.initial_backoff == 0 || p.max_backoff == 0 ||
        p.multiplier_percent == 0 || p.retryable == 0)
        config_refuse(r, "needs all of maxAttempts, initialBackoff, maxBackoff, backoffMultiplier, "
                         "retryableStatusCodes");
    p.max_attempts = at_most_five(p.max_attempts);
    *ret = p;
}

static void hedging_key(struct config_reader *r, struct neo_bytes key, void *self)
{
    struct hedging_policy *p = self;

    if (neo_bytes_is(key, "maxAttempts"))
        config_u32(r, 2, UINT32_MAX, &p->max_attempts);
    else if (neo_bytes_is(key, "hedgingDelay"))
        config_duration(r, 0, &p->delay);
    else if (neo_bytes_is(key, "nonFatalStatusCodes"))
        config_codes(r, &p->non_fatal);
    else
        config_unknown(r, "maxAttempts, hedgingDelay, nonFatalStatusCodes");
}

void service_config_read_hedging(struct config_reader *r, struct hedging_policy *ret)
{
    struct hedging_policy p = {0};

    config_object(r, hedging_key, &p);
    if (p.max_attempts == 0)
        config_refuse(r, "needs maxAttempts");
    p.max_attempts = at_most_five(p.max_attempts);
    *ret = p;
}
