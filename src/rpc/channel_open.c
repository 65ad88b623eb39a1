/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A channel's birth and its end; and the views into it.
 *
 * Whatever comes from another thread is posted to the loop and waited for, so that
 * everything else in rpc/channel_internal.h has one owner.
 */
#include "rpc/channel_internal.h"

#include <neo/memory.h>

#include <stdio.h>

enum { DEFAULT_MAX_MESSAGE = 4 << 20 };

/* --- a job somebody waits for --------------------------------------------------------------------
 */

static void visit_run(struct neo_job *job)
{
    struct visit *v = neo_owner(job, struct visit, job);

    v->run(v);
    (void)pthread_mutex_lock(&v->lock);
    v->is_done = true;
    (void)pthread_cond_signal(&v->done);
    (void)pthread_mutex_unlock(&v->lock);
}

void visit(struct visit *v, struct neo_loop *loop, void (*run)(struct visit *visit))
{
    v->run = run;
    if (neo_loop_is_current(loop)) {
        run(v);
        return;
    }
    v->job.run = visit_run;
    v->is_done = false;
    (void)pthread_mutex_init(&v->lock, NULL);
    (void)pthread_cond_init(&v->done, NULL);
    neo_loop_post(loop, &v->job);
    (void)pthread_mutex_lock(&v->lock);
    while (!v->is_done)
        (void)pthread_cond_wait(&v->done, &v->lock);
    (void)pthread_mutex_unlock(&v->lock);
    (void)pthread_cond_destroy(&v->done);
    (void)pthread_mutex_destroy(&v->lock);
}

/* --- opening ---------------------------------------------------------------------------------- */

static void make_metrics(struct neo_channel *channel, const char *name, struct neo_metrics *metrics)
{
    static const char *const call_labels[] = {"service", "method", "code", NULL};
    static const char *const retry_labels[] = {"service", "method", NULL};
    static const char *const target_labels[] = {"target", NULL};

    if (metrics == NULL)
        return;
    channel->metrics.calls = neo_metrics_family(
        metrics, "neo_client_calls_total", "Calls that ended, by code.", NEO_COUNTER, call_labels);
    channel->metrics.retries =
        neo_metrics_family(metrics, "neo_client_retries_total", "Attempts after the first.",
                           NEO_COUNTER, retry_labels);
    struct neo_bytes target = neo_text(name);
    channel->metrics.waiting = neo_counter(
        neo_metrics_family(metrics, "neo_client_waiting_calls",
                           "Calls that wait for a connection, or for their turn on one.", NEO_GAUGE,
                           target_labels),
        &target);
    channel->metrics.turned_away =
        neo_counter(neo_metrics_family(metrics, "neo_client_turned_away_total",
                                       "Calls that ended because too many waited already.",
                                       NEO_COUNTER, target_labels),
                    &target);
    channel->metrics.withheld =
        neo_counter(neo_metrics_family(
                        metrics, "neo_client_retries_withheld_total",
                        "Attempts that were due, and retryThrottling or the share of retries did "
                        "not allow.",
                        NEO_COUNTER, target_labels),
                    &target);
}

static void channel_destroy(struct neo_channel *channel)
{
    for (struct list *node; (node = list_pop_front(&channel->idle_calls)) != NULL;)
        neo_free(neo_owner(node, struct neo_client_call, link));
    service_config_fini(&channel->config);
    neo_free(channel);
}

static enum neo_code fill(struct neo_channel *channel, const char *target,
                          const struct neo_channel_options *o, struct neo_error *err)
{
    channel->loop = o->loop;
    channel->max_message = o->max_message == 0 ? DEFAULT_MAX_MESSAGE : o->max_message;
    channel->wait_for_ready = o->wait_for_ready;
    channel->accept_gzip = o->accept_gzip;
    channel->tuning = core_tuning(o->tuning);
    channel_init(channel);
    channelz_note(&channel->trace, neo_loop_now(channel->loop), false, 0, "created");
    NEO_TRY(service_config_init(&channel->config, o->service_config, err));
    neo_retry_budget_init(&channel->budget,
                          &(struct neo_retry_config){
                              .max_tokens = channel->config.throttle_max_milli / 1000,
                              .token_ratio_milli = channel->config.throttle_ratio_milli,
                              .percent = 10,
                              .per_second = 3,
                          });
    make_metrics(channel, target, o->metrics);
    return NEO_OK;
}

struct opening {
    struct visit visit;
    const char *target;
    const struct neo_channel_options *options;
    struct neo_channel *channel;
    struct channel_core *made; /* NULL: it only looks for one that is there */
    struct neo_error *err;
    enum neo_code code;
};

static void open_run(struct visit *v)
{
    struct opening *o = neo_owner(v, struct opening, visit);
    struct channel_core *there = core_find(o->target, o->options);

    o->code = NEO_OK;
    if (there != NULL)
        core_join(there, o->channel);
    else if (o->made != NULL && (o->code = core_enter(o->made, o->channel, o->err)) == NEO_OK)
        o->made = NULL;
}

/* What is dear is made on the caller's thread: another one may have been faster then. */
static enum neo_code settle(struct opening *o)
{
    struct neo_loop *loop = o->options->loop;

    if (!o->options->own_connections)
        visit(&o->visit, loop, open_run);
    if (o->channel->core != NULL)
        return NEO_OK;
    NEO_TRY(core_new(o->target, o->options, &o->made, o->err));
    visit(&o->visit, loop, open_run);
    if (o->made != NULL)
        core_free(o->made);
    return o->code;
}

enum neo_code neo_channel_open(const char *target, const struct neo_channel_options *options,
                               struct neo_channel **ret, struct neo_error *err)
{
    if (options->loop == NULL)
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "the channel to %s has no loop; neo_runtime_loop() gives one", target);
    struct neo_channel *channel = neo_alloc(sizeof(*channel));
    struct opening o = {.target = target, .options = options, .channel = channel, .err = err};

    if (channel == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory opening a channel");
    enum neo_code code = fill(channel, target, options, err);
    if (code == NEO_OK)
        code = settle(&o);
    if (code != NEO_OK) {
        channel_destroy(channel);
        return code;
    }
    channelz_enter(&channel->channelz, channel->loop);
    *ret = channel;
    return NEO_OK;
}

/* --- closing ---------------------------------------------------------------------------------- */

struct closing {
    struct visit visit;
    struct neo_channel *channel;
};

static void free_run(struct visit *v)
{
    struct neo_channel *channel = neo_owner(v, struct closing, visit)->channel;
    struct channel_core *core = channel->core;
    struct neo_status status = neo_status_of(NEO_CANCELLED, "the channel was closed");

    channel->closing = true;
    channelz_leave(&channel->channelz);
    core->in_events++; /* `done` at once */
    /* From the front each time: a `done` may cancel any of the others. */
    while (!list_is_empty(&channel->calls)) {
        struct list *ended = list_pop_front(&channel->ended);
        if (ended != NULL)
            client_call_done(neo_owner(ended, struct neo_client_call, waiting));
        else
            client_call_end(neo_owner(channel->calls.next, struct neo_client_call, link), &status);
    }
    core->in_events--;
    neo_loop_disarm(channel->loop, &channel->later);
    core_leave(channel);
    core_reap(channel->loop); /* where its calls were guests, too */
}

void neo_channel_free(struct neo_channel *channel)
{
    struct closing c = {.channel = channel};

    if (channel == NULL)
        return;
    visit(&c.visit, channel->loop, free_run);
    channel_destroy(channel);
}

/* --- looking in ------------------------------------------------------------------------------- */

struct look {
    struct visit visit;
    struct neo_channel *channel;
    struct neo_channel_peer *peers;
    size_t max;
    size_t n;
    struct neo_channel_wire wire;
};

static void describe(const struct subchannel *sub, struct neo_channel_peer *peer)
{
    *peer = (struct neo_channel_peer){
        .state = subchannel_state_name(sub),
        .attested = sub->current != NULL && sub->current->attested,
        .simulated = sub->current != NULL && sub->current->simulated,
        .calls = sub->calls,
    };
    (void)snprintf(peer->address, sizeof(peer->address), "%s", sub->address);
    (void)snprintf(peer->last_error, sizeof(peer->last_error), "%.239s", sub->last_error);
}

static void look_run(struct visit *v)
{
    struct look *look = neo_owner(v, struct look, visit);

    look->wire = look->channel->core->wire;
    list_each (node, &look->channel->core->subchannels) {
        const struct subchannel *sub = neo_owner(node, struct subchannel, link);
        if (look->n < look->max)
            describe(sub, &look->peers[look->n]);
        look->n++;
    }
}

size_t neo_channel_peers(struct neo_channel *channel, struct neo_channel_peer *peers, size_t max)
{
    struct look look = {.channel = channel, .peers = peers, .max = max};

    visit(&look.visit, channel->loop, look_run);
    return look.n;
}

struct neo_channel_wire neo_channel_wire(struct neo_channel *channel)
{
    struct look look = {.channel = channel};

    visit(&look.visit, channel->loop, look_run);
    return look.wire;
}
