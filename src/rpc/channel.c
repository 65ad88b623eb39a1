/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The channel: where instances come from, which one takes the next call, and who
 * waits for one.
 *
 * Picking walks the ring of subchannels from the one after the last pick. A call
 * that finds none ready waits in line; whenever something changes the line is
 * tried again, in order.
 */
#include "rpc/channel_internal.h"
#include "rpc/wire.h"

#include <neo/memory.h>

#include <stdio.h>

enum { MAX_ENDPOINTS = 256 };

bool channel_wants_attestation(const struct neo_channel *channel)
{
    return channel->service != NULL && channel->epoch.attest_policies != NULL &&
           neo_attest_policies_has(channel->epoch.attest_policies, neo_text(channel->service));
}

/* Whoever can prove what it runs offers to, everywhere: only the peer knows whether it wants it. */
bool channel_offers_attestation(const struct neo_channel *channel)
{
    return channel->attester != NULL && channel->epoch.identity != NULL;
}

/* --- picking ---------------------------------------------------------------------------------- */

static bool can_take(const struct subchannel *sub)
{
    return sub->listed && sub->state == SUB_READY && sub->current != NULL &&
           !sub->current->draining && !conn_is_closing(sub->current->conn) &&
           h2_stream_room(conn_h2(sub->current->conn)) > 0;
}

static struct list *after(struct neo_channel *channel, struct list *node)
{
    struct list *next = node->next;

    return next == &channel->subchannels ? next->next : next;
}

static void connect_idle(struct neo_channel *channel)
{
    list_each (node, &channel->subchannels) {
        struct subchannel *sub = neo_owner(node, struct subchannel, link);
        if (channel->config.balancing == BALANCE_PICK_FIRST && sub->state != SUB_IDLE &&
            sub->state != SUB_BACKOFF && sub->listed)
            return;
        subchannel_connect(sub);
    }
}

/* Whoever waits in line for a circuit to close is asked again: nothing else would wake them. */
static void look_again_soon(struct neo_channel *channel)
{
    if (!neo_timer_is_armed(&channel->look_again))
        neo_loop_arm(channel->loop, &channel->look_again,
                     neo_loop_now(channel->loop) + 100 * NEO_NSEC_PER_MSEC);
}

static void look_again(struct neo_timer *timer)
{
    channel_changed(neo_owner(timer, struct neo_channel, look_again));
}

struct sub_conn *channel_pick(struct neo_channel *channel, struct neo_breaker_permit *ret_permit)
{
    bool first_only = channel->config.balancing == BALANCE_PICK_FIRST;
    struct list *start = &channel->subchannels;

    if (list_is_empty(&channel->subchannels))
        return NULL;
    if (channel->last_picked != NULL && !first_only)
        start = &channel->last_picked->link;
    struct list *node = after(channel, start);
    for (size_t i = 0; i < channel->n_subchannels; i++, node = after(channel, node)) {
        struct subchannel *sub = neo_owner(node, struct subchannel, link);
        if (sub->state == SUB_IDLE && !first_only)
            subchannel_connect(sub);
        if (!can_take(sub))
            continue;
        if (neo_breaker_enter(&sub->breaker, neo_loop_now(channel->loop), ret_permit)) {
            channel->last_picked = sub;
            return sub->current;
        }
        look_again_soon(channel);
    }
    connect_idle(channel);
    return NULL;
}

/* --- why nothing is ready --------------------------------------------------------------------- */

struct census {
    size_t hopeful; /* idle, connecting, attesting, or ready but full */
    size_t broken;  /* ready, but the breaker is open */
    size_t refused; /* would not prove what they run */
    const char *error;
};

static struct census take_census(const struct neo_channel *channel)
{
    struct census c = {.error = ""};

    list_each (node, &channel->subchannels) {
        const struct subchannel *sub = neo_owner(node, struct subchannel, link);
        if (!sub->listed)
            continue;
        if (sub->state == SUB_READY && neo_breaker_state(&sub->breaker) == NEO_BREAKER_OPEN)
            c.broken++;
        else if (sub->state != SUB_BACKOFF)
            c.hopeful++;
        else if (sub->attestation_refused)
            c.refused++;
        if (sub->last_error[0] != '\0' && (c.error[0] == '\0' || sub->attestation_refused))
            c.error = sub->last_error;
    }
    return c;
}

bool channel_is_failing(const struct neo_channel *channel, struct neo_status *status)
{
    struct census c = take_census(channel);

    if (c.hopeful > 0 || (!channel->resolved && channel->resolve_error[0] == '\0'))
        return false;
    *status = (struct neo_status){.code = NEO_UNAVAILABLE};
    if (c.broken > 0) {
        status->reason = NEO_LIT("CIRCUIT_OPEN");
        status->message = NEO_LIT("every instance keeps failing; the circuit is open");
    } else if (c.refused > 0) {
        status->code = NEO_FAILED_PRECONDITION;
        status->reason = NEO_LIT("ATTESTATION_REFUSED");
        status->message = neo_text(c.error);
    } else if (c.error[0] != '\0') {
        status->reason = NEO_LIT("CONNECT_FAILED");
        status->message = neo_text(c.error);
    } else {
        status->reason = NEO_LIT("NO_ENDPOINT");
        status->message = neo_text(channel->resolve_error[0] != '\0'
                                       ? channel->resolve_error
                                       : "no instance of the service is registered");
    }
    return true;
}

void channel_changed(struct neo_channel *channel)
{
    struct list line;

    if (channel->closing || list_is_empty(&channel->waiting))
        return;
    /* Those that must go on waiting queue up anew, in the same order. */
    list_init(&line);
    for (struct list *node; (node = list_pop_front(&channel->waiting)) != NULL;)
        list_push_back(&line, node);
    for (struct list *node; (node = list_pop_front(&line)) != NULL;)
        client_call_try(neo_owner(node, struct neo_client_call, waiting));
}

/* --- the calls that ended --------------------------------------------------------------------- */

static void later_expired(struct neo_timer *timer)
{
    struct neo_channel *channel = neo_owner(timer, struct neo_channel, later);

    channel->in_events++; /* a `done` that ends others may do so at once */
    for (struct list *node; (node = list_pop_front(&channel->ended)) != NULL;)
        client_call_done(neo_owner(node, struct neo_client_call, waiting));
    channel->in_events--;
}

void channel_later(struct neo_channel *channel)
{
    if (!neo_timer_is_armed(&channel->later))
        neo_loop_arm(channel->loop, &channel->later, neo_loop_now(channel->loop));
}

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

static void resolved(struct neo_resolver_sink *sink, const struct neo_endpoint *endpoints, size_t n)
{
    struct neo_channel *channel = neo_owner(sink, struct neo_channel, sink);

    if (channel->closing)
        return;
    channel->resolved = true;
    if (n > MAX_ENDPOINTS)
        n = MAX_ENDPOINTS;
    list_each (node, &channel->subchannels) {
        struct subchannel *sub = neo_owner(node, struct subchannel, link);
        if (sub->listed && !names(endpoints, n, sub))
            subchannel_drain(sub);
    }
    for (size_t i = 0; i < n; i++)
        if (find(channel, endpoints[i].address) == NULL)
            (void)subchannel_new(channel, &endpoints[i]);
    channel_changed(channel);
}

static void looked_up(void *self, enum neo_code code, const struct net_address *addresses, size_t n)
{
    struct neo_channel *channel = self;
    struct neo_endpoint endpoints[64];

    channel->lookup = NULL;
    if (code != NEO_OK || n == 0) {
        (void)snprintf(channel->resolve_error, sizeof(channel->resolve_error),
                       "cannot resolve %s: %s", channel->target, neo_code_name(code));
        channel_changed(channel);
        return;
    }
    if (n > NEO_COUNT(endpoints))
        n = NEO_COUNT(endpoints);
    for (size_t i = 0; i < n; i++)
        endpoints[i] = (struct neo_endpoint){.address = neo_text(addresses[i].text)};
    resolved(&channel->sink, endpoints, n);
}

/* --- targets ---------------------------------------------------------------------------------- */

static enum neo_code start_dns(struct neo_channel *channel, const char *name, struct neo_error *err)
{
    const char *colon = strrchr(name, ':');
    char host[256];

    if (colon == NULL || (size_t)(colon - name) >= sizeof(host))
        return neo_fail(err, NEO_INVALID_ARGUMENT, "target '%s': write dns:///host:port",
                        channel->target);
    (void)snprintf(host, sizeof(host), "%.*s", (int)(colon - name), name);
    uint32_t port = 0;
    for (const char *c = colon + 1; port <= UINT16_MAX && *c != '\0'; c++)
        port = *c >= '0' && *c <= '9' ? port * 10 + (uint32_t)(*c - '0') : UINT32_MAX;
    if (port == 0 || port > UINT16_MAX)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "target '%s': '%s' is no port", channel->target,
                        colon + 1);
    return net_resolve(channel->loop, host, (uint16_t)port, looked_up, channel, &channel->lookup,
                       err);
}

static void start_static(struct neo_channel *channel, const char *addresses)
{
    struct neo_endpoint endpoints[16];
    size_t n = 0;

    for (const char *at = addresses; n < NEO_COUNT(endpoints);) {
        size_t len = strcspn(at, ",");
        endpoints[n++].address = neo_bytes(at, len);
        if (at[len] == '\0')
            break;
        at += len + 1;
    }
    for (size_t i = 0; i < n; i++)
        endpoints[i].id = (struct neo_bytes){0};
    resolved(&channel->sink, endpoints, n);
}

static bool strip(const char **text, const char *prefix)
{
    size_t len = strlen(prefix);

    if (strncmp(*text, prefix, len) != 0)
        return false;
    *text += len;
    return true;
}

enum neo_code channel_start_resolving(struct neo_channel *channel, struct neo_error *err)
{
    const char *rest = channel->target;

    if (strip(&rest, "neo:///")) {
        if (channel->resolver == NULL)
            return neo_fail(err, NEO_INVALID_ARGUMENT,
                            "target '%s' needs a resolver; join the mesh first (neo/mesh.h)",
                            channel->target);
        channel->watch =
            channel->resolver->watch(channel->resolver, rest, channel->loop, &channel->sink);
        return NEO_OK;
    }
    if (strip(&rest, "dns:///"))
        return start_dns(channel, rest, err);
    if (strip(&rest, "ipv4:") || strip(&rest, "ipv6:") || strncmp(rest, "unix:", 5) == 0) {
        start_static(channel, rest);
        return NEO_OK;
    }
    return neo_fail(err, NEO_INVALID_ARGUMENT,
                    "target '%s': write neo:///service, dns:///host:port, ipv4:1.2.3.4:port or "
                    "unix:/path",
                    channel->target);
}

void channel_init_events(struct neo_channel *channel)
{
    channel->sink.resolved = resolved;
    channel->later.expired = later_expired;
    channel->look_again.expired = look_again;
}
