/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A circuit breaker over a sliding window of the last results.
 *
 * The window is one machine word, so judging it is a popcount and the whole
 * breaker fits in a cache line.
 *
 * Calls outlive states. One admitted while CLOSED may end after the breaker has
 * opened and begun to probe, and its verdict on the old days must not decide the
 * probe. A permit therefore carries the era it was issued in, and a result from
 * another era is dropped.
 */
#include <neo/breaker.h>

#include "guard/spin.h"

#include <assert.h>

/* Every state change goes through here, so no field can be left stale. */
static void change_state(struct neo_breaker *b, enum neo_breaker_state next)
{
    atomic_store_explicit(&b->state, next, memory_order_relaxed);
    b->era++;
    b->results = 0;
    b->row = 0;
    b->successes = 0;
    b->probes_left = next == NEO_BREAKER_HALF_OPEN ? b->config->probes : 0;
}

static void trip(struct neo_breaker *b, neo_nsec now)
{
    neo_nsec doubled = b->open_for * 2;

    b->open_until = now + b->open_for;
    b->open_for = doubled < b->config->open_max ? doubled : b->config->open_max;
    change_state(b, NEO_BREAKER_OPEN);
}

static void recover(struct neo_breaker *b)
{
    b->open_for = b->config->open_min;
    change_state(b, NEO_BREAKER_CLOSED);
}

static void remember(struct neo_breaker *b, bool failed)
{
    b->history = b->history << 1 | failed;
    b->row = failed ? b->row + 1 : 0;
    if (b->results < b->config->window)
        b->results++;
}

static bool is_failing(const struct neo_breaker *b)
{
    unsigned in_a_row = b->config->in_a_row;

    if (in_a_row != 0 && b->row >= in_a_row)
        return true;
    if (b->results < b->config->min_results || (b->only && in_a_row != 0))
        return false;

    uint64_t recent = b->history & UINT64_MAX >> (64 - b->results);
    unsigned failures = (unsigned)__builtin_popcountll(recent);

    return failures * 100 >= b->results * b->config->failure_percent;
}

void neo_breaker_init(struct neo_breaker *b, const struct neo_breaker_config *config)
{
    assert(config->window >= 1 && config->window <= 64);
    assert(config->min_results >= 1 && config->min_results <= config->window);
    assert(config->failure_percent >= 1 && config->failure_percent <= 100);
    assert(config->probes >= 1);
    assert(config->open_min > 0 && config->open_min <= config->open_max);

    *b = (struct neo_breaker){
        .config = config,
        .open_for = config->open_min,
    };
    atomic_init(&b->lock, 0);
    atomic_init(&b->state, NEO_BREAKER_CLOSED);
}

static bool enter(struct neo_breaker *b, neo_nsec now)
{
    if (neo_breaker_state(b) == NEO_BREAKER_OPEN && now >= b->open_until)
        change_state(b, NEO_BREAKER_HALF_OPEN);

    switch (neo_breaker_state(b)) {
    case NEO_BREAKER_CLOSED:
        return true;
    case NEO_BREAKER_OPEN:
        return false;
    case NEO_BREAKER_HALF_OPEN:
        if (b->probes_left == 0)
            return false;
        b->probes_left--;
        return true;
    }
    return false;
}

static void leave(struct neo_breaker *b, enum neo_breaker_outcome outcome, neo_nsec now)
{
    switch (neo_breaker_state(b)) {
    case NEO_BREAKER_CLOSED:
        if (outcome == NEO_BREAKER_UNKNOWN)
            return;
        remember(b, outcome == NEO_BREAKER_FAILURE);
        if (is_failing(b))
            trip(b, now);
        return;
    case NEO_BREAKER_HALF_OPEN:
        if (outcome == NEO_BREAKER_UNKNOWN)
            b->probes_left++; /* it told us nothing: let another try */
        else if (outcome == NEO_BREAKER_FAILURE)
            trip(b, now);
        else if (++b->successes == b->config->probes)
            recover(b);
        return;
    case NEO_BREAKER_OPEN:
        assert(false); /* no permit is issued in this state */
        return;
    }
}

bool neo_breaker_enter(struct neo_breaker *b, neo_nsec now, struct neo_breaker_permit *ret_permit)
{
    spin_lock(&b->lock);
    bool admitted = enter(b, now);
    uint32_t era = b->era;
    spin_unlock(&b->lock);

    if (admitted)
        *ret_permit = (struct neo_breaker_permit){.era = era};
    return admitted;
}

void neo_breaker_leave(struct neo_breaker *b, struct neo_breaker_permit permit,
                       enum neo_breaker_outcome outcome, neo_nsec now)
{
    spin_lock(&b->lock);
    if (permit.era == b->era)
        leave(b, outcome, now);
    spin_unlock(&b->lock);
}

void neo_breaker_rely(struct neo_breaker *b, bool only)
{
    spin_lock(&b->lock);
    b->only = only;
    spin_unlock(&b->lock);
}

enum neo_breaker_state neo_breaker_state(const struct neo_breaker *b)
{
    return atomic_load_explicit(&b->state, memory_order_relaxed);
}
