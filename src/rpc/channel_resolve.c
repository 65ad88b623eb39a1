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

static struct subchannel *find(struct channel_core *core, struct neo_bytes address)
{
    list_each (node, &core->subchannels) {
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
static void take_endpoint(struct channel_core *core, const struct neo_endpoint *endpoint)
{
    struct subchannel *sub = find(core, endpoint->address);

    if (sub == NULL) {
        sub = subchannel_new(core, endpoint);
    } else {
        list_remove(&sub->link);
        list_push_back(&core->subchannels, &sub->link);
    }
    if (sub != NULL)
        sub->host.weight = endpoint->weight;
}

/* The order in which they are tried: as told, or shuffled (pick_first's shuffleAddressList). */
static void order(struct channel_core *core, size_t n, uint16_t ret[])
{
    for (size_t i = 0; i < n; i++)
        ret[i] = (uint16_t)i;
    for (size_t i = n; core->config.balance.shuffle && i > 1; i--) {
        size_t other = balance_random(&core->balance) % i;
        uint16_t kept = ret[i - 1];
        ret[i - 1] = ret[other];
        ret[other] = kept;
    }
}

/* That nobody was at a remembered address says nothing about one that is listed now. */
static void try_anew(struct channel_core *core)
{
    list_each (node, &core->subchannels) {
        struct subchannel *sub = neo_owner(node, struct subchannel, link);
        if (sub->listed && sub->state == SUB_BACKOFF)
            subchannel_set_state(sub, SUB_IDLE);
    }
}

static void take_endpoints(struct channel_core *core, const struct neo_endpoint *endpoints,
                           size_t n)
{
    uint16_t ranks[BALANCE_HOSTS_MAX];

    core->resolved = true;
    core->stale = true;
    if (n > BALANCE_HOSTS_MAX)
        n = BALANCE_HOSTS_MAX;
    list_each (node, &core->subchannels) {
        struct subchannel *sub = neo_owner(node, struct subchannel, link);
        if (sub->listed && !names(endpoints, n, sub))
            subchannel_drain(sub);
    }
    order(core, n, ranks);
    for (size_t i = 0; i < n; i++)
        take_endpoint(core, &endpoints[ranks[i]]);
}

static void resolved(struct neo_resolver_sink *sink, const struct neo_endpoint *endpoints, size_t n)
{
    struct channel_core *core = neo_owner(sink, struct channel_core, sink);

    if (core->closing)
        return;
    take_endpoints(core, endpoints, n);
    if (core->remembered)
        try_anew(core);
    core->remembered = false;
    channel_changed(core);
}

static void remembered(struct neo_resolver_sink *sink, const struct neo_endpoint *endpoints,
                       size_t n)
{
    struct channel_core *core = neo_owner(sink, struct channel_core, sink);

    if (core->closing)
        return;
    take_endpoints(core, endpoints, n);
    core->remembered = true;
    channel_changed(core);
}

static void take_addresses(struct channel_core *core, const struct net_address *addresses, size_t n)
{
    struct neo_endpoint endpoints[TARGET_ADDRESSES_MAX];

    if (n > NEO_COUNT(endpoints))
        n = NEO_COUNT(endpoints);
    for (size_t i = 0; i < n; i++)
        endpoints[i] = (struct neo_endpoint){.address = neo_text(addresses[i].text)};
    resolved(&core->sink, endpoints, n);
}

/* --- names ------------------------------------------------------------------------------------ */

static void look_up_failed(struct channel_core *core, const char *why)
{
    const struct neo_connection_backoff *b = &core->tuning.backoff;
    const struct neo_backoff backoff = {b->initial, b->max, b->multiplier_percent / 100.0,
                                        b->jitter_percent / 100.0};
    uint64_t random;

    (void)snprintf(core->resolve_error, sizeof(core->resolve_error), "cannot resolve %s: %s",
                   core->target, why);
    neo_random(&random, sizeof(random));
    neo_loop_arm(core->loop, &core->look_up,
                 neo_loop_now(core->loop) +
                     neo_backoff_wait(&backoff, ++core->lookup_failures, random));
    neo_log_warn(core->log, "channel.unresolved", NEO_STR("target", core->target),
                 NEO_STR("why", why));
    channel_changed(core);
}

static const char *why_not_found(enum neo_code code)
{
    if (code == NEO_OK)
        return "the name has no address";
    if (code == NEO_NOT_FOUND)
        return "there is no such name";
    return code == NEO_UNAVAILABLE ? "no name server answers" : neo_code_name(code);
}

static void looked_up(void *self, enum neo_code code, const struct net_address *addresses, size_t n)
{
    struct channel_core *core = self;

    core->lookup = NULL;
    if (code != NEO_OK || n == 0) {
        look_up_failed(core, why_not_found(code));
        return;
    }
    core->lookup_failures = 0;
    core->resolve_error[0] = '\0';
    take_addresses(core, addresses, n);
}

static enum neo_code look_up(struct channel_core *core, struct neo_error *err)
{
    core->looked_up_at = neo_loop_now(core->loop);
    return net_resolve(core->loop, core->dns_host, core->dns_port, looked_up, core, &core->lookup,
                       err);
}

static void look_up_expired(struct neo_timer *timer)
{
    struct channel_core *core = neo_owner(timer, struct channel_core, look_up);
    struct neo_error err;

    if (core->lookup == NULL && look_up(core, &err) != NEO_OK)
        look_up_failed(core, err.message);
}

void channel_resolve_again(struct channel_core *core)
{
    if (core->dns_host == NULL || core->lookup != NULL || core->closing ||
        neo_timer_is_armed(&core->look_up))
        return;
    neo_loop_arm(core->loop, &core->look_up, core->looked_up_at + core->tuning.resolve_interval);
}

/* --- targets ---------------------------------------------------------------------------------- */

static enum neo_code start_registry(struct channel_core *core, const char *service,
                                    struct neo_error *err)
{
    if (core->resolver == NULL)
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "target '%s' needs a resolver; join the mesh first (neo/mesh.h)",
                        core->target);
    core->watch = core->resolver->watch(core->resolver, service, core->loop, &core->sink);
    return NEO_OK;
}

enum neo_code channel_start_resolving(struct channel_core *core, struct neo_error *err)
{
    NEO_CLEANUP(neo_freep) struct target *target = neo_alloc(sizeof(*target));

    if (target == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory opening a channel");
    core->sink.resolved = resolved;
    core->sink.remembered = remembered;
    core->look_up.expired = look_up_expired;
    NEO_TRY(target_parse(core->target, target, err));
    switch (target->kind) {
    case TARGET_NEO:
        return start_registry(core, target->host, err);
    case TARGET_DNS:
        core->dns_port = target->port;
        core->dns_host = neo_string_dup(target->host);
        if (core->dns_host == NULL)
            return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory opening a channel");
        return look_up(core, err);
    case TARGET_ADDRESSES:
        take_addresses(core, target->addresses, target->n);
        break;
    }
    return NEO_OK;
}

void channel_stop_resolving(struct channel_core *core)
{
    if (core->watch != NULL)
        core->resolver->unwatch(core->resolver, core->watch);
    if (core->lookup != NULL)
        net_lookup_cancel(core->lookup);
    neo_loop_disarm(core->loop, &core->look_up);
}
