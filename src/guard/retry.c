/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waits and budgets for retries.
 *
 * The two budgets stop different storms. Tokens stop retrying a target that fails
 * more than it answers, at once and for as long as it fails. The share of retries
 * bounds the extra load of a target that mostly answers, where tokens would let
 * every failure be retried.
 */
#include <neo/retry.h>

#include "guard/spin.h"
#include "guard/tally.h"

#include <assert.h>

enum { MILLI = 1000, WINDOW_SECONDS = 10, MOST_STEPS = 1000 };

/* 0 up to, but not including, 1: as many bits as a double holds exactly. */
static double fraction_of(uint64_t random)
{
    return (double)(random >> 11) / (double)(UINT64_C(1) << 53);
}

neo_nsec neo_backoff_wait(const struct neo_backoff *backoff, unsigned attempt, uint64_t random)
{
    assert(backoff->initial > 0 && backoff->initial <= backoff->max);
    assert(backoff->max < UINT64_C(1) << 62);
    assert(backoff->multiplier >= 1 && backoff->jitter >= 0 && backoff->jitter < 1);
    double max = (double)backoff->max;
    double wait = (double)backoff->initial;

    /* A multiplier close to 1 would step for ever; after a thousand steps we have seen enough. */
    for (unsigned i = 1; i < attempt && i < MOST_STEPS && wait < max; i++)
        wait *= backoff->multiplier;
    if (wait > max)
        wait = max;
    return (neo_nsec)(wait * (1 - backoff->jitter + 2 * backoff->jitter * fraction_of(random)));
}

void neo_retry_budget_init(struct neo_retry_budget *b, const struct neo_retry_config *config)
{
    assert(config->max_tokens >= 1 && config->max_tokens <= 1000);
    assert(config->token_ratio_milli >= 1);

    *b = (struct neo_retry_budget){
        .config = *config,
        .milli_tokens = config->max_tokens * MILLI,
    };
    atomic_init(&b->lock, 0);
}

void neo_retry_budget_call(struct neo_retry_budget *b, neo_nsec now)
{
    spin_lock(&b->lock);
    tally_advance(&b->calls, now, NEO_NSEC_PER_SEC);
    tally_tried(&b->calls);
    spin_unlock(&b->lock);
}

void neo_retry_budget_success(struct neo_retry_budget *b)
{
    uint32_t full = b->config.max_tokens * MILLI;

    spin_lock(&b->lock);
    if (full - b->milli_tokens < b->config.token_ratio_milli)
        b->milli_tokens = full;
    else
        b->milli_tokens += b->config.token_ratio_milli;
    spin_unlock(&b->lock);
}

void neo_retry_budget_failure(struct neo_retry_budget *b)
{
    spin_lock(&b->lock);
    b->milli_tokens = b->milli_tokens < MILLI ? 0 : b->milli_tokens - MILLI;
    spin_unlock(&b->lock);
}

static bool has_room(const struct neo_retry_budget *b)
{
    struct tally_sums recent = tally_last(&b->calls, WINDOW_SECONDS);
    uint64_t allowed =
        recent.tried * b->config.percent / 100 + (uint64_t)b->config.per_second * WINDOW_SECONDS;

    return b->milli_tokens > b->config.max_tokens * MILLI / 2 && recent.counted < allowed;
}

bool neo_retry_budget_take(struct neo_retry_budget *b, neo_nsec now)
{
    spin_lock(&b->lock);
    tally_advance(&b->calls, now, NEO_NSEC_PER_SEC);
    bool taken = has_room(b);
    if (taken)
        tally_counted(&b->calls);
    spin_unlock(&b->lock);
    return taken;
}
