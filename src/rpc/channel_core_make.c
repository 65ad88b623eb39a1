/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a channel's core is made of, and whether it does for another channel.
 *
 * It does when all is the same that makes a connection what it is: where it goes and
 * whom it must find there, what both sides show and are judged by, when it is made,
 * asked and given up, and how calls are spread. What concerns calls alone (limits of messages and
 * of the line, compression, interceptors, metrics) is each channel's own. Everything is compared as
 * it was given: snapshots and what is borrowed by address, texts by content.
 */
#include "rpc/channel_internal.h"

#include <neo/digest.h>
#include <neo/insecure.h>
#include <neo/memory.h>

#include <stdio.h>

enum { MAX_CONNECTIONS = 16 };

/* --- whom it wants --------------------------------------------------------------------------- */

static enum neo_code name_peer(struct channel_core *core, const struct neo_channel_options *options,
                               struct neo_error *err)
{
    char text[600];

    if (options->service == NULL) {
        core->expect = neo_string_dup("");
        core->authority =
            neo_string_dup(options->join_service != NULL ? options->join_service : "localhost");
        if (options->join_service != NULL &&
            (core->joining = neo_string_dup(options->join_service)) == NULL)
            return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory opening a channel");
    } else {
        if (!neo_is_service_name(neo_text(options->service)) || options->trust_domain == NULL ||
            !neo_is_trust_domain(neo_text(options->trust_domain)))
            return neo_fail(err, NEO_INVALID_ARGUMENT,
                            "channel to '%s': '%s' in '%s' is no service of a trust domain",
                            core->target, options->service,
                            options->trust_domain == NULL ? "" : options->trust_domain);
        core->service = neo_string_dup(options->service);
        core->trust_domain = neo_string_dup(options->trust_domain);
        (void)snprintf(text, sizeof(text), "spiffe://%s/%s", options->trust_domain,
                       options->service);
        core->expect = neo_string_dup(text);
        core->authority = neo_string_dup(options->service);
    }
    if (core->expect == NULL || core->authority == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory opening a channel");
    return NEO_OK;
}

static enum neo_code check_insecure(const struct channel_core *core,
                                    const struct neo_channel_options *o, struct neo_error *err)
{
    const struct neo_epoch *e = &o->epoch;
    enum neo_insecure_mode mode = o->insecure->mode;

    if (mode != NEO_INSECURE_CLEARTEXT && mode != NEO_INSECURE_ANONYMOUS_CALLERS)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "channel to %s: neo/insecure.h has no mode %d",
                        core->target, (int)mode);
    if (o->service != NULL || o->join_service != NULL || o->attester != NULL ||
        e->identity != NULL || e->trust != NULL || e->attest_policies != NULL ||
        e->attest_trust != NULL)
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "channel to %s: insecure, it can have no service, identity, trust or "
                        "attestation: nobody would prove them",
                        core->target);
    if (o->insecure->server_name == NULL || o->insecure->server_name[0] == '\0')
        return neo_fail(err, NEO_INVALID_ARGUMENT, "channel to %s: `server_name` is missing",
                        core->target);
    return NEO_OK;
}

static enum neo_code fill_insecure(struct channel_core *core, const struct neo_channel_options *o,
                                   struct neo_error *err)
{
    bool clear = o->insecure->mode == NEO_INSECURE_CLEARTEXT;

    NEO_TRY(check_insecure(core, o, err));
    core->mode = clear ? TLS_CLEARTEXT : TLS_SERVER_PROVEN;
    core->authority = neo_string_dup(o->insecure->server_name);
    core->expect = neo_string_dup(clear ? "" : o->insecure->server_name);
    if (core->authority == NULL || core->expect == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory opening a channel");
    return tls_context_new(&(struct tls_options){.role = TLS_CLIENT,
                                                 .mode = core->mode,
                                                 .pem_roots = o->insecure->root_pem,
                                                 .pem_chain = o->insecure->certificate_pem,
                                                 .pem_key = o->insecure->key_pem},
                           &core->tls, err);
}

/* --- settings --------------------------------------------------------------------------------- */

static neo_nsec or_else(neo_nsec given, neo_nsec otherwise)
{
    return given == 0 ? otherwise : given;
}

static size_t size_or(size_t given, size_t otherwise)
{
    return given == 0 ? otherwise : given;
}

static uint32_t within(uint32_t value, uint32_t least, uint32_t most)
{
    if (value < least)
        return least;
    return value > most ? most : value;
}

static void tune_breaker(struct neo_channel_breaker *b)
{
    b->failures = within(b->failures == 0 ? 5 : b->failures, 1, 64);
    b->window = within(b->window == 0 ? 20 : b->window, 1, 64);
    b->percent = within(b->percent == 0 ? 50 : b->percent, 1, 100);
    b->open_min = or_else(b->open_min, 5 * NEO_NSEC_PER_SEC);
    b->open_max = or_else(b->open_max, 60 * NEO_NSEC_PER_SEC);
    if (b->open_max < b->open_min)
        b->open_max = b->open_min;
}

static struct neo_breaker_config breaker_of(const struct neo_channel_breaker *b)
{
    return (struct neo_breaker_config){
        .window = b->window,
        .min_results = b->window,
        .failure_percent = b->percent,
        .probes = 1,
        .open_min = b->open_min,
        .open_max = b->open_max,
        .in_a_row = b->failures,
    };
}

struct neo_channel_tuning core_tuning(const struct neo_channel_tuning *given)
{
    struct neo_channel_tuning t = {0};
    struct neo_connection_backoff *b = &t.backoff;

    if (given != NULL)
        t = *given;
    b->initial = or_else(b->initial, 1 * NEO_NSEC_PER_SEC);
    b->max = or_else(b->max, 120 * NEO_NSEC_PER_SEC);
    if (b->max < b->initial)
        b->max = b->initial;
    b->multiplier_percent =
        b->multiplier_percent == 0 ? 160 : within(b->multiplier_percent, 100, UINT32_MAX);
    b->jitter_percent = b->jitter_percent == 0 ? 20 : within(b->jitter_percent, 0, 99);
    b->connect_timeout = or_else(b->connect_timeout, 20 * NEO_NSEC_PER_SEC);
    tune_breaker(&t.breaker);
    t.idle_timeout = or_else(t.idle_timeout, 1800 * NEO_NSEC_PER_SEC);
    t.resolve_interval = or_else(t.resolve_interval, 30 * NEO_NSEC_PER_SEC);
    t.retry_buffer = size_or(t.retry_buffer, 256u << 10);
    t.retry_buffers = size_or(t.retry_buffers, 16u << 20);
    t.max_waiting = size_or(t.max_waiting, 10000);
    t.max_waiting_bytes = size_or(t.max_waiting_bytes, 512u << 20);
    t.max_connections = within(t.max_connections, 1, MAX_CONNECTIONS);
    t.max_metadata = size_or(t.max_metadata, 16u << 10);
    if (t.max_metadata < H2_HEADER_BYTES_LEAST)
        t.max_metadata = H2_HEADER_BYTES_LEAST;
    if (t.max_metadata > H2_HEADER_BYTES_MOST)
        t.max_metadata = H2_HEADER_BYTES_MOST;
    return t;
}

static struct keepalive_config tune_keepalive(const struct neo_keepalive *k)
{
    struct keepalive_config config = {
        .off = k->off,
        .time = or_else(k->time, 20 * NEO_NSEC_PER_SEC),
        .timeout = or_else(k->timeout, 10 * NEO_NSEC_PER_SEC),
        .without_calls = k->without_calls,
        .courteous = k->time == 0,
    };

    if (config.time < NEO_NSEC_PER_SEC)
        config.time = NEO_NSEC_PER_SEC;
    return config;
}

static void tune(struct channel_core *core, const struct neo_channel_tuning *given)
{
    uint64_t seed;

    if (given != NULL)
        core->wish.tuning = *given;
    core->tuning = core_tuning(given);
    core->breaker = breaker_of(&core->tuning.breaker);
    core->keepalive = tune_keepalive(&core->tuning.keepalive);
    neo_random(&seed, sizeof(seed));
    balance_init(&core->balance, &core->config.balance, seed);
}

/* --- all of it -------------------------------------------------------------------------------- */

static enum neo_code take_texts(struct channel_core *core, const char *target,
                                const struct neo_channel_options *o, struct neo_error *err)
{
    core->target = neo_string_dup(target);
    if (o->service_config != NULL)
        core->wish.service_config = neo_string_dup(o->service_config);
    if (core->target == NULL || (o->service_config != NULL && core->wish.service_config == NULL))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory opening a channel");
    return NEO_OK;
}

static enum neo_code fill_mutual(struct channel_core *core, const struct neo_channel_options *o,
                                 struct neo_error *err)
{
    if (o->epoch.trust == NULL)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "a channel needs a trust");
    if (o->epoch.identity == NULL && o->service != NULL)
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "a channel to %s needs an identity of its own; only joining goes without",
                        o->service);
    NEO_TRY(name_peer(core, o, err));
    core->vouches = vouch_table_new();
    if (core->vouches == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory opening a channel");
    if (o->attester != NULL)
        NEO_TRY(neo_key_generate(NEO_KEY_P256, &core->session_key, err));
    channel_epoch_hold(&core->epoch, &o->epoch);
    return channel_epoch_tls(core, err);
}

enum neo_code core_make(struct channel_core *core, const char *target,
                        const struct neo_channel_options *o, struct neo_error *err)
{
    core->loop = o->loop;
    core->resolver = o->resolver;
    core->attester = o->attester;
    core->census = o->census;
    core->log = o->log;
    core->refused = o->refused;
    core->refused_self = o->refused_self;
    core->wish.of_ones_own =
        o->own_connections || o->insecure != NULL || o->service == NULL || o->refused != NULL;
    NEO_TRY(take_texts(core, target, o, err));
    NEO_TRY(service_config_init(&core->config, o->service_config, err));
    tune(core, o->tuning);
    return o->insecure != NULL ? fill_insecure(core, o, err) : fill_mutual(core, o, err);
}

void core_unmake(struct channel_core *core)
{
    service_config_fini(&core->config);
    tls_context_unref(core->tls);
    vouch_table_free(core->vouches);
    neo_key_unref(core->session_key);
    channel_epoch_release(&core->epoch);
    neo_free(core->wish.service_config);
    neo_free(core->target);
    neo_free(core->service);
    neo_free(core->trust_domain);
    neo_free(core->authority);
    neo_free(core->expect);
    neo_free(core->joining);
    neo_free(core->dns_host);
}

/* --- does it for another? --------------------------------------------------------------------- */

static bool same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* Field by field: what lies between them may be anything. */
static bool same_tuning(const struct neo_channel_tuning *a, const struct neo_channel_tuning *given)
{
    static const struct neo_channel_tuning none = {0};
    const struct neo_channel_tuning *b = given == NULL ? &none : given;
    const struct neo_keepalive *ka = &a->keepalive, *kb = &b->keepalive;
    const struct neo_connection_backoff *ba = &a->backoff, *bb = &b->backoff;
    const struct neo_channel_breaker *ca = &a->breaker, *cb = &b->breaker;

    return ka->time == kb->time && ka->timeout == kb->timeout &&
           ka->without_calls == kb->without_calls && ka->off == kb->off &&
           ba->initial == bb->initial && ba->max == bb->max &&
           ba->multiplier_percent == bb->multiplier_percent &&
           ba->jitter_percent == bb->jitter_percent && ba->connect_timeout == bb->connect_timeout &&
           ca->off == cb->off && ca->failures == cb->failures && ca->window == cb->window &&
           ca->percent == cb->percent && ca->open_min == cb->open_min &&
           ca->open_max == cb->open_max && a->idle_timeout == b->idle_timeout &&
           a->resolve_interval == b->resolve_interval && a->max_connections == b->max_connections &&
           a->max_metadata == b->max_metadata;
}

/* The policy and the limits of an epoch are for servers. */
static bool same_epoch(const struct neo_epoch *a, const struct neo_epoch *b)
{
    return a->identity == b->identity && a->trust == b->trust &&
           a->attest_policies == b->attest_policies && a->attest_trust == b->attest_trust;
}

bool core_does_for(const struct channel_core *core, const char *target,
                   const struct neo_channel_options *o)
{
    return !core->wish.of_ones_own && !o->own_connections && o->insecure == NULL &&
           o->refused == NULL && core->loop == o->loop && strcmp(core->target, target) == 0 &&
           same_text(core->service, o->service) && same_text(core->trust_domain, o->trust_domain) &&
           core->resolver == o->resolver && core->attester == o->attester &&
           core->census == o->census && core->log == o->log &&
           same_epoch(&core->epoch, &o->epoch) &&
           same_text(core->wish.service_config, o->service_config) &&
           same_tuning(&core->wish.tuning, o->tuning);
}

struct neo_channel_options core_options(const struct channel_core *core)
{
    return (struct neo_channel_options){
        .loop = core->loop,
        .epoch = core->epoch,
        .service = core->service,
        .trust_domain = core->trust_domain,
        .resolver = core->resolver,
        .attester = core->attester,
        .service_config = core->wish.service_config,
        .log = core->log,
        .tuning = &core->wish.tuning,
        .census = core->census,
        .refused = core->refused,
        .refused_self = core->refused_self,
    };
}
