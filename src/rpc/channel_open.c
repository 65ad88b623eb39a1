/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A channel's birth, its change of epoch, and its end; and the views into it.
 *
 * Whatever comes from another thread is posted to the loop and waited for, so that
 * everything else in rpc/channel_internal.h has one owner.
 */
#include "rpc/channel_internal.h"

#include <neo/digest.h>
#include <neo/insecure.h>
#include <neo/memory.h>

#include <pthread.h>
#include <stdio.h>

enum { DEFAULT_MAX_MESSAGE = 4 << 20, MAX_CONNECTIONS = 16 };

/* --- a job somebody waits for --------------------------------------------------------------------
 */

struct visit {
    struct neo_job job;
    void (*run)(struct visit *visit);
    struct neo_channel *channel;
    pthread_mutex_t lock;
    pthread_cond_t done;
    bool is_done;
};

static void visit_run(struct neo_job *job)
{
    struct visit *v = neo_owner(job, struct visit, job);

    v->run(v);
    (void)pthread_mutex_lock(&v->lock);
    v->is_done = true;
    (void)pthread_cond_signal(&v->done);
    (void)pthread_mutex_unlock(&v->lock);
}

/* Runs v->run on the loop and returns when it has. */
static void visit(struct visit *v, struct neo_channel *channel, void (*run)(struct visit *visit))
{
    v->channel = channel;
    v->run = run;
    if (neo_loop_is_current(channel->loop)) {
        run(v);
        return;
    }
    v->job.run = visit_run;
    v->is_done = false;
    (void)pthread_mutex_init(&v->lock, NULL);
    (void)pthread_cond_init(&v->done, NULL);
    neo_loop_post(channel->loop, &v->job);
    (void)pthread_mutex_lock(&v->lock);
    while (!v->is_done)
        (void)pthread_cond_wait(&v->done, &v->lock);
    (void)pthread_mutex_unlock(&v->lock);
    (void)pthread_cond_destroy(&v->done);
    (void)pthread_mutex_destroy(&v->lock);
}

/* --- epochs ----------------------------------------------------------------------------------- */

static void hold(struct neo_epoch *to, const struct neo_epoch *from)
{
    if (from->identity != NULL)
        to->identity = neo_identity_ref(from->identity);
    if (from->trust != NULL)
        to->trust = neo_trust_ref(from->trust);
    if (from->attest_policies != NULL)
        to->attest_policies = neo_attest_policies_ref(from->attest_policies);
    if (from->attest_trust != NULL)
        to->attest_trust = neo_attest_trust_ref(from->attest_trust);
}

static void release(struct neo_epoch *epoch)
{
    neo_identity_unref(epoch->identity);
    neo_trust_unref(epoch->trust);
    neo_attest_policies_unref(epoch->attest_policies);
    neo_attest_trust_unref(epoch->attest_trust);
    *epoch = (struct neo_epoch){0};
}

static enum neo_code make_tls(struct neo_channel *channel, struct neo_error *err)
{
    struct tls_options options = {
        .role = TLS_CLIENT,
        .identity = channel->epoch.identity,
        .trust = channel->epoch.trust,
    };
    struct tls_context *fresh;

    NEO_TRY(tls_context_new(&options, &fresh, err));
    tls_context_unref(channel->tls);
    channel->tls = fresh;
    return NEO_OK;
}

/* What is NULL in `change` stays as it was. */
static void adopt(struct neo_channel *channel, const struct neo_epoch *change)
{
    struct neo_epoch next = channel->epoch;

    if (change->identity != NULL)
        next.identity = change->identity;
    if (change->trust != NULL)
        next.trust = change->trust;
    if ((change->attest_policies != NULL && change->attest_policies != next.attest_policies) ||
        (change->attest_trust != NULL && change->attest_trust != next.attest_trust))
        channel->attest_number++;
    if (change->attest_policies != NULL)
        next.attest_policies = change->attest_policies;
    if (change->attest_trust != NULL)
        next.attest_trust = change->attest_trust;

    struct neo_epoch held = {0};
    hold(&held, &next);
    release(&channel->epoch);
    channel->epoch = held;
}

struct update {
    struct visit visit;
    const struct neo_epoch *epoch;
};

static void update_run(struct visit *v)
{
    struct neo_channel *channel = v->channel;
    const struct neo_epoch *change = neo_owner(v, struct update, visit)->epoch;
    struct neo_error err;

    if (channel->closing)
        return;
    if (channel->mode != TLS_MUTUAL) {
        neo_log_error(channel->log, "channel.epoch_refused",
                      NEO_STR("why", "an insecure channel proves nothing and asks for no proof"));
        return;
    }
    adopt(channel, change);
    if (make_tls(channel, &err) != NEO_OK)
        neo_log_error(channel->log, "channel.epoch_refused", NEO_STR("why", err.message));
    list_each (node, &channel->subchannels)
        subchannel_rejudge(neo_owner(node, struct subchannel, link), change->identity != NULL);
}

void neo_channel_update(struct neo_channel *channel, const struct neo_epoch *epoch)
{
    struct update u = {.epoch = epoch};

    visit(&u.visit, channel, update_run);
}

/* --- opening ---------------------------------------------------------------------------------- */

static enum neo_code name_peer(struct neo_channel *channel,
                               const struct neo_channel_options *options, struct neo_error *err)
{
    char text[600];

    if (options->service == NULL) {
        channel->expect = neo_string_dup("");
        channel->authority =
            neo_string_dup(options->join_service != NULL ? options->join_service : "localhost");
        if (options->join_service != NULL &&
            (channel->joining = neo_string_dup(options->join_service)) == NULL)
            return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory opening a channel");
    } else {
        if (!neo_is_service_name(neo_text(options->service)) || options->trust_domain == NULL ||
            !neo_is_trust_domain(neo_text(options->trust_domain)))
            return neo_fail(err, NEO_INVALID_ARGUMENT,
                            "channel to '%s': '%s' in '%s' is no service of a trust domain",
                            channel->target, options->service,
                            options->trust_domain == NULL ? "" : options->trust_domain);
        channel->service = neo_string_dup(options->service);
        channel->trust_domain = neo_string_dup(options->trust_domain);
        (void)snprintf(text, sizeof(text), "spiffe://%s/%s", options->trust_domain,
                       options->service);
        channel->expect = neo_string_dup(text);
        channel->authority = neo_string_dup(options->service);
    }
    if (channel->expect == NULL || channel->authority == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory opening a channel");
    return NEO_OK;
}

static enum neo_code check_insecure(const struct neo_channel *channel,
                                    const struct neo_channel_options *o, struct neo_error *err)
{
    const struct neo_epoch *e = &o->epoch;
    enum neo_insecure_mode mode = o->insecure->mode;

    if (mode != NEO_INSECURE_CLEARTEXT && mode != NEO_INSECURE_ANONYMOUS_CALLERS)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "channel to %s: neo/insecure.h has no mode %d",
                        channel->target, (int)mode);
    if (o->service != NULL || o->join_service != NULL || o->attester != NULL ||
        e->identity != NULL || e->trust != NULL || e->attest_policies != NULL ||
        e->attest_trust != NULL)
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "channel to %s: insecure, it can have no service, identity, trust or "
                        "attestation: nobody would prove them",
                        channel->target);
    if (o->insecure->server_name == NULL || o->insecure->server_name[0] == '\0')
        return neo_fail(err, NEO_INVALID_ARGUMENT, "channel to %s: `server_name` is missing",
                        channel->target);
    return NEO_OK;
}

static enum neo_code fill_insecure(struct neo_channel *channel, const struct neo_channel_options *o,
                                   struct neo_error *err)
{
    bool clear = o->insecure->mode == NEO_INSECURE_CLEARTEXT;

    NEO_TRY(check_insecure(channel, o, err));
    channel->mode = clear ? TLS_CLEARTEXT : TLS_SERVER_PROVEN;
    channel->authority = neo_string_dup(o->insecure->server_name);
    channel->expect = neo_string_dup(clear ? "" : o->insecure->server_name);
    if (channel->authority == NULL || channel->expect == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory opening a channel");
    return tls_context_new(&(struct tls_options){.role = TLS_CLIENT,
                                                 .mode = channel->mode,
                                                 .pem_roots = o->insecure->root_pem,
                                                 .pem_chain = o->insecure->certificate_pem,
                                                 .pem_key = o->insecure->key_pem},
                           &channel->tls, err);
}

static void make_metrics(struct neo_channel *channel, struct neo_metrics *metrics)
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
    struct neo_bytes target = neo_text(channel->target);
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
}

static void channel_destroy(struct neo_channel *channel)
{
    for (struct list *node; (node = list_pop_front(&channel->idle_calls)) != NULL;)
        neo_free(neo_owner(node, struct neo_client_call, link));
    service_config_fini(&channel->config);
    tls_context_unref(channel->tls);
    vouch_table_free(channel->vouches);
    neo_key_unref(channel->session_key);
    release(&channel->epoch);
    neo_free(channel->target);
    neo_free(channel->service);
    neo_free(channel->trust_domain);
    neo_free(channel->authority);
    neo_free(channel->expect);
    neo_free(channel->joining);
    neo_free(channel->dns_host);
    neo_free(channel);
}

static neo_nsec or_else(neo_nsec given, neo_nsec otherwise)
{
    return given == 0 ? otherwise : given;
}

static void tune_keepalive(struct neo_channel *channel)
{
    struct neo_keepalive *k = &channel->tuning.keepalive;

    channel->keepalive = (struct keepalive_config){
        .off = k->off,
        .time = or_else(k->time, 20 * NEO_NSEC_PER_SEC),
        .timeout = or_else(k->timeout, 10 * NEO_NSEC_PER_SEC),
        .without_calls = k->without_calls,
        .courteous = k->time == 0,
    };
    if (channel->keepalive.time < NEO_NSEC_PER_SEC)
        channel->keepalive.time = NEO_NSEC_PER_SEC;
}

/* Puts the defaults where nothing was said, and keeps the rest within what makes sense. */
static void tune(struct neo_channel *channel, const struct neo_channel_tuning *tuning)
{
    struct neo_channel_tuning *t = &channel->tuning;
    struct neo_connection_backoff *b = &t->backoff;
    uint64_t seed;

    if (tuning != NULL)
        *t = *tuning;
    tune_keepalive(channel);
    b->initial = or_else(b->initial, 1 * NEO_NSEC_PER_SEC);
    b->max = or_else(b->max, 120 * NEO_NSEC_PER_SEC);
    if (b->max < b->initial)
        b->max = b->initial;
    b->multiplier_percent = b->multiplier_percent == 0    ? 160
                            : b->multiplier_percent < 100 ? 100
                                                          : b->multiplier_percent;
    b->jitter_percent = b->jitter_percent == 0   ? 20
                        : b->jitter_percent > 99 ? 99
                                                 : b->jitter_percent;
    b->connect_timeout = or_else(b->connect_timeout, 20 * NEO_NSEC_PER_SEC);
    t->idle_timeout = or_else(t->idle_timeout, 1800 * NEO_NSEC_PER_SEC);
    t->resolve_interval = or_else(t->resolve_interval, 30 * NEO_NSEC_PER_SEC);
    t->retry_buffer = t->retry_buffer == 0 ? 256u << 10 : t->retry_buffer;
    t->retry_buffers = t->retry_buffers == 0 ? 16u << 20 : t->retry_buffers;
    t->max_waiting = t->max_waiting == 0 ? 10000 : t->max_waiting;
    t->max_waiting_bytes = t->max_waiting_bytes == 0 ? 512u << 20 : t->max_waiting_bytes;
    t->max_connections = t->max_connections == 0                ? 1
                         : t->max_connections > MAX_CONNECTIONS ? MAX_CONNECTIONS
                                                                : t->max_connections;
    neo_random(&seed, sizeof(seed));
    balance_init(&channel->balance, &channel->config.balance, seed);
}

static enum neo_code fill(struct neo_channel *channel, const char *target,
                          const struct neo_channel_options *options, struct neo_error *err)
{
    channel->target = neo_string_dup(target);
    if (channel->target == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory opening a channel");
    NEO_TRY(service_config_init(&channel->config, options->service_config, err));
    tune(channel, options->tuning);
    neo_retry_budget_init(&channel->budget,
                          &(struct neo_retry_config){
                              .max_tokens = channel->config.throttle_max_milli / 1000,
                              .token_ratio_milli = channel->config.throttle_ratio_milli,
                              .percent = 10,
                              .per_second = 3,
                          });
    make_metrics(channel, options->metrics);
    if (options->insecure != NULL)
        return fill_insecure(channel, options, err);
    if (options->epoch.trust == NULL)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "a channel needs a trust");
    if (options->epoch.identity == NULL && options->service != NULL)
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "a channel to %s needs an identity of its own; only joining goes without",
                        options->service);
    NEO_TRY(name_peer(channel, options, err));
    channel->vouches = vouch_table_new();
    if (channel->vouches == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory opening a channel");
    if (options->attester != NULL)
        NEO_TRY(neo_key_generate(NEO_KEY_P256, &channel->session_key, err));
    hold(&channel->epoch, &options->epoch);
    return make_tls(channel, err);
}

struct opening {
    struct visit visit;
    struct neo_error *err;
    enum neo_code code;
};

static void open_run(struct visit *v)
{
    struct opening *o = neo_owner(v, struct opening, visit);

    o->code = channel_start_resolving(v->channel, o->err);
}

enum neo_code neo_channel_open(const char *target, const struct neo_channel_options *options,
                               struct neo_channel **ret, struct neo_error *err)
{
    struct neo_channel *channel = neo_alloc(sizeof(*channel));

    if (channel == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory opening a channel");
    channel->loop = options->loop;
    channel->resolver = options->resolver;
    channel->attester = options->attester;
    channel->census = options->census;
    channel->log = options->log;
    channel->max_message = options->max_message == 0 ? DEFAULT_MAX_MESSAGE : options->max_message;
    channel->wait_for_ready = options->wait_for_ready;
    channel->accept_gzip = options->accept_gzip;
    list_init(&channel->subchannels);
    list_init(&channel->calls);
    list_init(&channel->waiting);
    list_init(&channel->ended);
    list_init(&channel->idle_calls);
    channel_init_events(channel);
    channelz_note(&channel->trace, neo_loop_now(channel->loop), false, 0, "created");

    enum neo_code code = fill(channel, target, options, err);
    if (code == NEO_OK) {
        struct opening o = {.err = err};
        visit(&o.visit, channel, open_run);
        code = o.code;
    }
    if (code != NEO_OK) {
        channel_destroy(channel);
        return code;
    }
    channelz_enter(&channel->channelz, channel->loop);
    *ret = channel;
    return NEO_OK;
}

/* --- closing ---------------------------------------------------------------------------------- */

static void free_run(struct visit *v)
{
    struct neo_channel *channel = v->channel;
    struct neo_status status = neo_status_of(NEO_CANCELLED, "the channel was closed");

    channel->closing = true;
    channelz_leave(&channel->channelz);
    channel_stop_resolving(channel);
    channel->in_events++; /* `done` at once */
    /* From the front each time: a `done` may cancel any of the others. */
    while (!list_is_empty(&channel->calls)) {
        struct list *ended = list_pop_front(&channel->ended);
        if (ended != NULL)
            client_call_done(neo_owner(ended, struct neo_client_call, waiting));
        else
            client_call_end(neo_owner(channel->calls.next, struct neo_client_call, link), &status);
    }
    channel->in_events--;
    list_each (node, &channel->subchannels)
        subchannel_free(neo_owner(node, struct subchannel, link));
    channel_disarm(channel);
}

void neo_channel_free(struct neo_channel *channel)
{
    struct visit v = {.is_done = false};

    if (channel == NULL)
        return;
    visit(&v, channel, free_run);
    channel_destroy(channel);
}

/* --- looking in ------------------------------------------------------------------------------- */

struct look {
    struct visit visit;
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
    (void)snprintf(peer->last_error, sizeof(peer->last_error), "%s", sub->last_error);
}

static void look_run(struct visit *v)
{
    struct look *look = neo_owner(v, struct look, visit);

    look->wire = v->channel->wire;
    list_each (node, &v->channel->subchannels) {
        const struct subchannel *sub = neo_owner(node, struct subchannel, link);
        if (look->n < look->max)
            describe(sub, &look->peers[look->n]);
        look->n++;
    }
}

size_t neo_channel_peers(struct neo_channel *channel, struct neo_channel_peer *peers, size_t max)
{
    struct look look = {.peers = peers, .max = max};

    visit(&look.visit, channel, look_run);
    return look.n;
}

struct neo_channel_wire neo_channel_wire(struct neo_channel *channel)
{
    struct look look = {.max = 0};

    visit(&look.visit, channel, look_run);
    return look.wire;
}
