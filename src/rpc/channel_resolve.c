/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the instances are.
 *
 * The registry tells of every change by itself, and addresses in the target never
 * change. Names of the DNS are looked up when the channel is opened, and again when a
 * connection was lost or could not be made, but not more often than every so often; a
 * look-up that fails is repeated with the backoff of connections. What is known stays
 * in use until something better is.
 */
#include "rpc/channel_internal.h"
#include "rpc/target.h"

#include <neo/digest.h>
#include <neo/memory.h>

#include <stdio.h>

/* --- endpoints -------------------------------------------------------------------------------- */

static struct subchannel *find(struct neo_channel *channel, struct neo_bytes address)
{
    list_each (node, &channel->subchannels) {
        struct subchannel *sub = neo_owner(node, struct subchannel, link);
        if (sub->listed && neo_bytes_is(address, sub->address))
            return sub;
    }
    return NULL;
}

static bool names(const struct neo_endpoint *endpoints, size_t n, const struct subchannel *sub)
{
    for (size_t i = 0; i < n; i++)
        if (neo_bytes_is(endpoints[i].address, sub->address))
            return true;
    return false;
}

/* Known or new, it takes its place at the end of the row. */
static void take_endpoint(struct neo_channel *channel, const struct neo_endpoint *endpoint)
{
    struct subchannel *sub = find(channel, endpoint->address);

    if (sub == NULL) {
        sub = subchannel_new(channel, endpoint);
    } else {
        list_remove(&sub->link);
        list_push_back(&channel->subchannels, &sub->link);
    }
    if (sub != NULL)
        sub->host.weight = endpoint->weight;
}

/* The order in which they are tried: as told, or shuffled (pick_first's shuffleAddressList). */
static void order(struct neo_channel *channel, size_t n, uint16_t ret[])
{
    for (size_t i = 0; i < n; i++)
        ret[i] = (uint16_t)i;
    for (size_t i = n; channel->config.balance.shuffle && i > 1; i--) {
        size_t other = balance_random(&channel->balance) % i;
        uint16_t kept = ret[i - 1];
        ret[i - 1] = ret[other];
        ret[other] = kept;
    }
}

static void resolved(struct neo_resolver_sink *sink, const struct neo_endpoint *endpoints, size_t n)
{
    struct neo_channel *channel = neo_owner(sink, struct neo_channel, sink);
    uint16_t ranks[BALANCE_HOSTS_MAX];

    if (channel->closing)
        return;
    channel->resolved = true;
    channel->stale = true;
    if (n > BALANCE_HOSTS_MAX)
        n = BALANCE_HOSTS_MAX;
    list_each (node, &channel->subchannels) {
        struct subchannel *sub = neo_owner(node, struct subchannel, link);
        if (sub->listed && !names(endpoints, n, sub))
            subchannel_drain(sub);
    }
    order(channel, n, ranks);
    for (size_t i = 0; i < n; i++)
        take_endpoint(channel, &endpoints[ranks[i]]);
    channel_changed(channel);
}

static void take_addresses(struct neo_channel *channel, const struct net_address *addresses,
                           size_t n)
{
    struct neo_endpoint endpoints[TARGET_ADDRESSES_MAX];

    if (n > NEO_COUNT(endpoints))
        n = NEO_COUNT(endpoints);
    for (size_t i = 0; i < n; i++)
        endpoints[i] = (struct neo_endpoint){.address = neo_text(addresses[i].text)};
    resolved(&channel->sink, endpoints, n);
}

/* --- names ------------------------------------------------------------------------------------ */

static void look_up_failed(struct neo_channel *channel, const char *why)
{
    const struct neo_connection_backoff *b = &channel->tuning.backoff;
    const struct neo_backoff backoff = {b->initial, b->max, b->multiplier_percent / 100.0,
                                        b->jitter_percent / 100.0};
    uint64_t random;

    (void)snprintf(channel->resolve_error, sizeof(channel->resolve_error), "cannot resolve %s: %s",
                   channel->target, why);
    neo_random(&random, sizeof(random));
    neo_loop_arm(channel->loop, &channel->look_up,
                 neo_loop_now(channel->loop) +
                     neo_backoff_wait(&backoff, ++channel->lookup_failures, random));
    neo_log_warn(channel->log, "channel.unresolved", NEO_STR("target", channel->target),
                 NEO_STR("why", why));
    channel_changed(channel);
}

static void looked_up(void *self, enum neo_code code, const struct net_address *addresses, size_t n)
{
    struct neo_channel *channel = self;

    channel->lookup = NULL;
    if (code != NEO_OK || n == 0) {
        look_up_failed(channel, neo_code_name(code));
        return;
    }
    channel->lookup_failures = 0;
    channel->resolve_error[0] = '\0';
    take_addresses(channel, addresses, n);
}

static enum neo_code look_up(struct neo_channel *channel, struct neo_error *err)
{
    channel->looked_up_at = neo_loop_now(channel->loop);
    return net_resolve(channel->loop, channel->dns_host, channel->dns_port, looked_up, channel,
                       &channel->lookup, err);
}

static void look_up_expired(struct neo_timer *timer)
{
    struct neo_channel *channel = neo_owner(timer, struct neo_channel, look_up);
    struct neo_error err;

    if (channel->lookup == NULL && look_up(channel, &err) != NEO_OK)
        look_up_failed(channel, err.message);
}

void channel_resolve_again(struct neo_channel *channel)
{
    if (channel->dns_host == NULL || channel->lookup != NULL || channel->closing ||
        neo_timer_is_armed(&channel->look_up))
        return;
    neo_loop_arm(channel->loop, &channel->look_up,
                 channel->looked_up_at + channel->tuning.resolve_interval);
}

/* --- targets ---------------------------------------------------------------------------------- */

static enum neo_code start_registry(struct neo_channel *channel, const char *service,
                                    struct neo_error *err)
{
    if (channel->resolver == NULL)
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "target '%s' needs a resolver; join the mesh first (neo/mesh.h)",
                        channel->target);
    channel->watch =
        channel->resolver->watch(channel->resolver, service, channel->loop, &channel->sink);
    return NEO_OK;
}

enum neo_code channel_start_resolving(struct neo_channel *channel, struct neo_error *err)
{
    NEO_CLEANUP(neo_freep) struct target *target = neo_alloc(sizeof(*target));

    if (target == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory opening a channel");
    channel->sink.resolved = resolved;
    channel->look_up.expired = look_up_expired;
    NEO_TRY(target_parse(channel->target, target, err));
    switch (target->kind) {
    case TARGET_NEO:
        return start_registry(channel, target->host, err);
    case TARGET_DNS:
        channel->dns_port = target->port;
        channel->dns_host = neo_string_dup(target->host);
        if (channel->dns_host == NULL)
            return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory opening a channel");
        return look_up(channel, err);
    case TARGET_ADDRESSES:
        take_addresses(channel, target->addresses, target->n);
        break;
    }
    return NEO_OK;
}

void channel_stop_resolving(struct neo_channel *channel)
{
    if (channel->watch != NULL)
        channel->resolver->unwatch(channel->resolver, channel->watch);
    if (channel->lookup != NULL)
        net_lookup_cancel(channel->lookup);
    neo_loop_disarm(channel->loop, &channel->look_up);
}
