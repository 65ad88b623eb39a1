/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The channel: which instance takes the next call, and who waits for one.
 *
 * The balancer sees a row of the instances that are ready, which is made anew when
 * one of them changed, and names one; should that be full at the moment, the next
 * with room takes the call. A call that finds none ready waits in line; whenever
 * something changes the line is tried again, in order.
 */
#include "rpc/channel_internal.h"

#include <neo/digest.h>
#include <neo/memory.h>

#include <stdio.h>

bool channel_wants_attestation(const struct channel_core *core)
{
    return core->service != NULL && core->epoch.attest_policies != NULL &&
           neo_attest_policies_has(core->epoch.attest_policies, neo_text(core->service));
}

/* Whoever can prove what it runs offers to, everywhere: only the peer knows whether it wants it. */
bool channel_offers_attestation(const struct channel_core *core)
{
    return core->attester != NULL && core->epoch.identity != NULL;
}

/* --- connecting what will be needed ----------------------------------------------------------- */

static enum balance_state balance_state_of(const struct subchannel *sub)
{
    switch (sub->state) {
    case SUB_IDLE:
        return BALANCE_IDLE;
    case SUB_READY:
        return BALANCE_READY;
    case SUB_BACKOFF:
        return BALANCE_FAILED;
    case SUB_CONNECTING:
    case SUB_ATTESTING:
    case SUB_CHECKING:
    case SUB_UNHEALTHY:
    case SUB_STATES:
        break;
    }
    return BALANCE_CONNECTING;
}

/* pick_first: the next address that is to be tried, when its time has come. */
static void connect_first(struct channel_core *core)
{
    enum balance_state states[BALANCE_HOSTS_MAX];
    struct subchannel *subs[BALANCE_HOSTS_MAX];
    size_t n = 0;
    neo_nsec again;

    list_each (node, &core->subchannels) {
        struct subchannel *sub = neo_owner(node, struct subchannel, link);
        if (!sub->listed || n == BALANCE_HOSTS_MAX)
            continue;
        subs[n] = sub;
        states[n++] = balance_state_of(sub);
    }
    size_t next =
        balance_first_to_connect(states, n, core->begun_at, neo_loop_now(core->loop), &again);
    if (next < n) {
        subchannel_connect(subs[next]);
        again = neo_loop_now(core->loop); /* to learn when the one after it is due */
    }
    if (again != 0)
        neo_loop_arm(core->loop, &core->resume, again);
}

static void connect_needed(struct channel_core *core)
{
    if (!core->config.balance.policy->connects_all) {
        connect_first(core);
        return;
    }
    list_each (node, &core->subchannels)
        subchannel_connect(neo_owner(node, struct subchannel, link));
}

static void resume_expired(struct neo_timer *timer)
{
    struct channel_core *core = neo_owner(timer, struct channel_core, resume);

    if (!core->closing && core_is_busy(core))
        connect_first(core);
}

/* Of several that were tried the first that answered is kept. */
static void keep_one(struct channel_core *core, const struct subchannel *kept)
{
    list_each (node, &core->subchannels) {
        struct subchannel *sub = neo_owner(node, struct subchannel, link);
        if (sub != kept && sub->listed)
            subchannel_rest(sub, "another address was ready first");
    }
}

/* --- picking ---------------------------------------------------------------------------------- */

/* The row of hosts is made anew, and what has become idle connects: a call wants it. */
static void refresh(struct channel_core *core)
{
    struct balance *b = &core->balance;
    neo_nsec now = neo_loop_now(core->loop);

    b->n = 0;
    list_each (node, &core->subchannels) {
        struct subchannel *sub = neo_owner(node, struct subchannel, link);
        if (sub->listed && sub->state == SUB_READY && !sub->host.outlier.ejected &&
            b->n < BALANCE_HOSTS_MAX)
            b->hosts[b->n++] = &sub->host;
    }
    if (b->n > 0)
        balance_changed(b, now);
    if (b->n > 0 && !b->config->policy->connects_all)
        keep_one(core, neo_owner(b->hosts[0], struct subchannel, host));
    else
        connect_needed(core);
    core->stale = false;
}

/* Whoever waits in line for a circuit to close is asked again: nothing else would wake them. */
void channel_look_again_soon(struct channel_core *core)
{
    if (!neo_timer_is_armed(&core->look_again))
        neo_loop_arm(core->loop, &core->look_again,
                     neo_loop_now(core->loop) + 100 * NEO_NSEC_PER_MSEC);
}

static void look_again(struct neo_timer *timer)
{
    channel_changed(neo_owner(timer, struct channel_core, look_again));
}

struct sub_conn *channel_pick(struct channel_core *core, struct neo_breaker_permit *ret_permit)
{
    struct balance *b = &core->balance;
    neo_nsec now = neo_loop_now(core->loop);

    if (core->stale)
        refresh(core);
    if (b->n == 0)
        return NULL;
    size_t at = balance_pick(b, now);
    for (size_t i = 0; i < b->n; i++, at = at + 1 == b->n ? 0 : at + 1) {
        struct subchannel *sub = neo_owner(b->hosts[at], struct subchannel, host);
        struct sub_conn *sc = subchannel_with_room(sub);
        if (sc == NULL)
            continue;
        if (neo_breaker_enter(&sub->breaker, now, ret_permit))
            return sc;
        channel_look_again_soon(core);
    }
    if (core->tuning.max_connections > 1)
        subchannel_widen(neo_owner(b->hosts[at], struct subchannel, host));
    return NULL;
}

/* --- why nothing is ready --------------------------------------------------------------------- */

struct census {
    size_t n;       /* those that are listed */
    size_t hopeful; /* idle, connecting, attesting, or ready but full */
    size_t broken;  /* ready, but the breaker is open, or ejected */
    size_t refused; /* would not prove what they run */
    const char *error;
};

static struct census take_census(const struct channel_core *core)
{
    struct census c = {.error = ""};

    list_each (node, &core->subchannels) {
        const struct subchannel *sub = neo_owner(node, struct subchannel, link);
        if (!sub->listed)
            continue;
        c.n++;
        if (sub->state == SUB_READY &&
            (sub->host.outlier.ejected || neo_breaker_state(&sub->breaker) == NEO_BREAKER_OPEN))
            c.broken++;
        else if (sub->state != SUB_BACKOFF && sub->state != SUB_UNHEALTHY)
            c.hopeful++;
        else if (sub->attestation_refused)
            c.refused++;
        if (sub->last_error[0] != '\0' && (c.error[0] == '\0' || sub->attestation_refused))
            c.error = sub->last_error;
    }
    return c;
}

static const char all_broken[] = "every instance keeps failing; the circuit is open";

const char *channel_last_error(const struct channel_core *core)
{
    struct census c = take_census(core);

    if (c.broken > 0 && c.hopeful == 0)
        return all_broken;
    return c.error[0] != '\0' ? c.error : core->resolve_error;
}

/* Who reads of one instance alone would look no further. */
static struct neo_bytes explain_failure(struct channel_core *core, const struct census *c)
{
    if (c->n < 2)
        return neo_text(c->error);
    (void)snprintf(core->failure, sizeof(core->failure), "none of %zu instances is ready; %.239s",
                   c->n, c->error);
    return neo_text(core->failure);
}

bool channel_is_failing(struct channel_core *core, struct neo_status *status)
{
    struct census c = take_census(core);

    if (c.hopeful > 0 || core->remembered || (!core->resolved && core->resolve_error[0] == '\0'))
        return false;
    *status = (struct neo_status){.code = NEO_UNAVAILABLE};
    if (c.broken > 0) {
        status->reason = NEO_LIT("CIRCUIT_OPEN");
        status->message = neo_text(all_broken);
    } else if (c.refused > 0) {
        status->code = NEO_FAILED_PRECONDITION;
        status->reason = NEO_LIT("ATTESTATION_REFUSED");
        status->message = neo_text(c.error);
    } else if (c.error[0] != '\0') {
        status->reason = NEO_LIT("CONNECT_FAILED");
        status->message = explain_failure(core, &c);
    } else {
        status->reason = NEO_LIT("NO_ENDPOINT");
        status->message =
            neo_text(core->resolve_error[0] != '\0' ? core->resolve_error
                                                    : "no instance of the service is registered");
    }
    return true;
}

/* --- who waits -------------------------------------------------------------------------------- */

void channel_line_join(struct neo_client_call *call)
{
    struct neo_channel *channel = call->channel;

    list_push_back(&channel->core->waiting, &call->waiting);
    if (call->waits)
        return;
    call->waits = true;
    channel->n_waiting++;
    neo_counter_add(channel->metrics.waiting, 1);
    channel_line_count(call);
}

void channel_line_leave(struct neo_client_call *call)
{
    struct neo_channel *channel = call->channel;

    list_remove(&call->waiting);
    if (!call->waits)
        return;
    call->waits = false;
    channel->n_waiting--;
    neo_counter_add(channel->metrics.waiting, (uint64_t)-1);
    channel->waiting_bytes -= call->counted_waiting;
    call->counted_waiting = 0;
}

void channel_line_count(struct neo_client_call *call)
{
    call->channel->waiting_bytes += call->sent.len - call->counted_waiting;
    call->counted_waiting = call->sent.len;
}

bool channel_line_admits(const struct neo_channel *channel, size_t n, size_t bytes,
                         struct neo_status *status)
{
    const struct neo_channel_tuning *t = &channel->tuning;
    bool many = channel->n_waiting + n > t->max_waiting;

    if (!many && channel->waiting_bytes + bytes <= t->max_waiting_bytes)
        return true;
    *status = neo_status_of(NEO_RESOURCE_EXHAUSTED,
                            many ? "too many calls wait for a connection (max_waiting)"
                                 : "the calls that wait for a connection hold too many bytes "
                                   "(max_waiting_bytes)");
    status->reason = NEO_LIT("CHANNEL_FULL");
    neo_counter_add(channel->metrics.turned_away, 1);
    return false;
}

/* All are told, but those that wait however long it takes. */
static void fail_waiting(struct channel_core *core, const struct neo_status *status)
{
    struct list line;

    list_init(&line);
    for (struct list *node; (node = list_pop_front(&core->waiting)) != NULL;)
        list_push_back(&line, node);
    for (struct list *node; (node = list_pop_front(&line)) != NULL;) {
        struct neo_client_call *call = neo_owner(node, struct neo_client_call, waiting);
        if (call->wait_for_ready || call->n_running > 0)
            list_push_back(&core->waiting, node);
        else
            client_call_end(call, status);
    }
}

/* From the front, until one must go on waiting: there is no room for those behind it either. */
static void try_waiting(struct channel_core *core)
{
    struct neo_status status;

    while (!core->closing && !list_is_empty(&core->waiting)) {
        struct neo_client_call *call =
            neo_owner(list_pop_front(&core->waiting), struct neo_client_call, waiting);
        client_call_try(call);
        if (core->waiting.prev != &call->waiting)
            continue;
        list_remove(&call->waiting);
        list_push_front(&core->waiting, &call->waiting);
        if (channel_is_failing(core, &status))
            fail_waiting(core, &status);
        return;
    }
}

/* No `done` from in here: whoever reports a change has not finished what it is about. */
void channel_changed(struct channel_core *core)
{
    if (core->in_line || list_is_empty(&core->waiting))
        return;
    core->in_line = true;
    try_waiting(core);
    core->in_line = false;
}

void channel_has_room(struct channel_core *core)
{
    if (!list_is_empty(&core->waiting))
        neo_loop_arm(core->loop, &core->look_again, neo_loop_now(core->loop));
}

/* --- the calls that ended --------------------------------------------------------------------- */

static void later_expired(struct neo_timer *timer)
{
    struct neo_channel *channel = neo_owner(timer, struct neo_channel, later);
    struct channel_core *core = channel->core;

    core->in_events++; /* a `done` that ends others may do so at once */
    for (struct list *node; (node = list_pop_front(&channel->ended)) != NULL;)
        client_call_done(neo_owner(node, struct neo_client_call, waiting));
    core->in_events--;
}

void channel_later(struct neo_channel *channel)
{
    if (!neo_timer_is_armed(&channel->later))
        neo_loop_arm(channel->loop, &channel->later, neo_loop_now(channel->loop));
}

/* --- rest ------------------------------------------------------------------------------------- */

static void idle_expired(struct neo_timer *timer)
{
    struct channel_core *core = neo_owner(timer, struct channel_core, idle);
    neo_nsec due = core->last_call_at + core->tuning.idle_timeout;

    if (core_is_busy(core))
        due = neo_loop_now(core->loop) + core->tuning.idle_timeout;
    if (neo_loop_now(core->loop) < due) {
        neo_loop_arm(core->loop, &core->idle, due);
        return;
    }
    neo_log_debug(core->log, "channel.idle", NEO_STR("target", core->target));
    list_each (node, &core->subchannels)
        subchannel_rest(neo_owner(node, struct subchannel, link), "idle");
}

void channel_wake(struct channel_core *core)
{
    if (!neo_timer_is_armed(&core->idle))
        neo_loop_arm(core->loop, &core->idle, neo_loop_now(core->loop) + core->tuning.idle_timeout);
    if (core->config.balance.has_outlier && !neo_timer_is_armed(&core->sweep))
        neo_loop_arm(core->loop, &core->sweep,
                     neo_loop_now(core->loop) + core->config.balance.outlier.interval);
}

/* --- outlier detection ------------------------------------------------------------------------ */

static void sweep_expired(struct neo_timer *timer)
{
    struct channel_core *core = neo_owner(timer, struct channel_core, sweep);
    const struct outlier_config *config = &core->config.balance.outlier;
    struct outlier_host *hosts[BALANCE_HOSTS_MAX];
    neo_nsec now = neo_loop_now(core->loop);
    size_t n = 0;
    bool ejected = false;

    list_each (node, &core->subchannels) {
        struct subchannel *sub = neo_owner(node, struct subchannel, link);
        if (sub->listed && n < BALANCE_HOSTS_MAX)
            hosts[n++] = &sub->host.outlier;
    }
    size_t changed = outlier_sweep(config, hosts, n, now, balance_random(&core->balance));
    for (size_t i = 0; i < n; i++)
        ejected = ejected || hosts[i]->ejected;
    if (ejected || core_is_busy(core) || now - core->last_call_at < config->interval)
        neo_loop_arm(core->loop, &core->sweep, now + config->interval);
    if (changed == 0)
        return;
    neo_log_info(core->log, "channel.outliers", NEO_STR("target", core->target),
                 NEO_U64("changed", changed));
    core->stale = true;
    channel_changed(core);
}

void channel_init(struct neo_channel *channel)
{
    list_init(&channel->held);
    list_init(&channel->calls);
    list_init(&channel->ended);
    list_init(&channel->idle_calls);
    channel->later.expired = later_expired;
}

void channel_init_events(struct channel_core *core)
{
    core->look_again.expired = look_again;
    core->resume.expired = resume_expired;
    core->idle.expired = idle_expired;
    core->sweep.expired = sweep_expired;
    core->stale = true;
}

void channel_disarm(struct channel_core *core)
{
    struct neo_timer *const timers[] = {&core->look_again, &core->resume, &core->idle, &core->sweep,
                                        &core->reap};

    for (size_t i = 0; i < NEO_COUNT(timers); i++)
        neo_loop_disarm(core->loop, timers[i]);
}
