/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a call is tried again (gRFC A6).
 *
 * What was sent is kept until the first response header says that the server has
 * begun, or until it grows too large; until then a failed attempt may be followed by
 * another: after a backoff when the policy names the code; at once when the request
 * never reached a handler. Under the default policy only what cannot run twice is
 * retried: idempotent methods, and calls that the server says it refused before its
 * handler ran.
 *
 * Under a hedging policy the next attempt does not wait for the last one to fail, but
 * only for so long. A failure that the policy calls non-fatal brings it forward; any
 * other ends the call.
 */
#include "rpc/channel_internal.h"
#include "rpc/wire.h"

#include <neo/digest.h>

/* What the server said about another attempt: grpc-retry-pushback-ms. */
struct pushback {
    bool given;
    bool forbids; /* negative, or nothing we can read */
    neo_nsec wait;
};

static struct pushback read_pushback(struct h2_headers trailers)
{
    struct neo_bytes text = wire_header(trailers, "grpc-retry-pushback-ms");
    struct pushback p = {.given = text.at != NULL};
    uint64_t ms = 0;

    p.forbids = p.given && (text.len == 0 || text.len > 10);
    for (size_t i = 0; p.given && i < text.len && !p.forbids; i++) {
        p.forbids = text.at[i] < '0' || text.at[i] > '9';
        ms = ms * 10 + (uint64_t)(text.at[i] - '0');
    }
    p.forbids = p.forbids || ms > INT32_MAX;
    p.wait = p.forbids ? 0 : ms * NEO_NSEC_PER_MSEC;
    return p;
}

static void arm(struct neo_client_call *call, neo_nsec wait)
{
    neo_loop_arm(call->channel->loop, &call->retry, neo_loop_now(call->channel->loop) + wait);
}

static bool deadline_leaves(const struct neo_client_call *call, neo_nsec wait)
{
    return call->context.deadline == 0 ||
           neo_loop_now(call->channel->loop) + wait < call->context.deadline;
}

static bool ask_budget(struct neo_client_call *call)
{
    bool allowed = neo_retry_budget_take(&call->channel->budget, neo_loop_now(call->channel->loop));

    if (!allowed && call->channel->metrics.withheld != NULL)
        neo_counter_add(call->channel->metrics.withheld, 1);
    return allowed;
}

static void count_retry(const struct neo_client_call *call)
{
    struct neo_family *retries = call->channel->metrics.retries;

    if (retries != NULL)
        neo_counter_add(neo_counter(retries, (struct neo_bytes[]){neo_text(call->method->service),
                                                                  neo_text(call->method->name)}),
                        1);
}

/* --- one after the other ---------------------------------------------------------------------- */

static bool is_retryable(const struct neo_client_call *call, const struct neo_status *status,
                         const struct pushback *pushback)
{
    const struct retry_policy *p = &call->config->retry;

    if (!call->config->has_retry || call->attempts >= p->max_attempts)
        return false;
    /* A limit that says when to come back is asking for it. */
    if (status->code == NEO_RESOURCE_EXHAUSTED && pushback->given && !status->processed)
        return true;
    if ((p->retryable & 1u << status->code) == 0)
        return false;
    return !p->only_safe || call->method->idempotent || !status->processed;
}

static neo_nsec next_backoff(struct neo_client_call *call)
{
    const struct retry_policy *p = &call->config->retry;
    struct neo_backoff backoff = {
        .initial = p->initial_backoff,
        .max = p->max_backoff > p->initial_backoff ? p->max_backoff : p->initial_backoff,
        .multiplier = p->multiplier_percent > 100 ? p->multiplier_percent / 100.0 : 1,
        .jitter = 0.2,
    };
    uint64_t random;

    neo_random(&random, sizeof(random));
    return neo_backoff_wait(&backoff, ++call->backoffs, random);
}

static bool retry(struct call_attempt *a, const struct neo_status *status,
                  const struct pushback *pushback)
{
    struct neo_client_call *call = a->call;
    bool wanted = is_retryable(call, status, pushback);

    if (wanted || pushback->forbids)
        neo_retry_budget_failure(&call->channel->budget);
    if (!wanted || pushback->forbids || !deadline_leaves(call, pushback->wait) || !ask_budget(call))
        return false;
    a->again = true;
    client_attempt_finish(a, status->code);
    count_retry(call);
    if (pushback->given)
        call->backoffs = 0; /* A6: after a pushback the series begins anew */
    arm(call, pushback->given ? pushback->wait : next_backoff(call));
    return true;
}

/* --- several at a time ------------------------------------------------------------------------ */

static bool may_hedge(const struct neo_client_call *call)
{
    return call->config->has_hedging && !call->committed && !call->no_hedges &&
           call->attempts < call->config->hedging.max_attempts;
}

static bool hedge(struct call_attempt *a, const struct neo_status *status,
                  const struct pushback *pushback)
{
    struct neo_client_call *call = a->call;

    if ((call->config->hedging.non_fatal & 1u << status->code) == 0)
        return false;
    neo_retry_budget_failure(&call->channel->budget);
    call->no_hedges = call->no_hedges || pushback->forbids;
    bool another = may_hedge(call) && deadline_leaves(call, pushback->wait) &&
                   (call->owed || ask_budget(call));
    if (!another && call->n_running == 1)
        return false; /* the last one: its status is the call's */
    a->again = true;
    client_attempt_finish(a, status->code);
    if (another) {
        count_retry(call);
        call->owed = true;
        arm(call, pushback->wait);
    }
    return true;
}

void client_retry_begun(struct neo_client_call *call)
{
    if (may_hedge(call))
        arm(call, call->config->hedging.delay);
}

void client_retry_expired(struct neo_timer *timer)
{
    struct neo_client_call *call = neo_owner(timer, struct neo_client_call, retry);
    bool needed = call->n_running == 0;

    /* One that is still looking for a connection comes first. */
    if (call->waiting.next != &call->waiting)
        return;
    if (call->config->has_hedging && !needed && !may_hedge(call))
        return;
    if (!needed && !call->owed && !ask_budget(call)) {
        call->no_hedges = true;
        return;
    }
    if (!needed && !call->owed)
        count_retry(call);
    call->owed = false;
    client_call_try(call);
}

/* --- both ------------------------------------------------------------------------------------- */

bool client_retry_failed(struct call_attempt *a, const struct neo_status *status,
                         struct h2_headers trailers)
{
    struct neo_client_call *call = a->call;
    struct pushback pushback = read_pushback(trailers);

    if (call->committed || call->channel->closing)
        return false;
    if (call->config->has_hedging)
        return hedge(a, status, &pushback);
    return retry(a, status, &pushback);
}

bool client_retry_unseen(struct call_attempt *a, bool left)
{
    struct neo_client_call *call = a->call;

    if (call->committed || call->channel->closing || (left && call->was_transparent))
        return false;
    call->was_transparent = call->was_transparent || left;
    call->attempts--;
    call->owed = true;
    client_attempt_finish(a, NEO_CANCELLED);
    arm(call, 0);
    return true;
}
