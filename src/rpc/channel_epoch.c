/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Another epoch, for one channel or for several together.
 *
 * When all that hold a core are told, the core takes the epoch, judges its connections by
 * it and goes on. Otherwise those that are told get another core, with connections of
 * its own: no call may travel where its own channel's epoch would not let it, and nobody
 * is judged by an epoch that was not given to them. Calls that run already cannot move.
 * Those on a peer that the new epoch refuses, or asks to prove itself by other rules, are
 * taken from it at once, and may be tried again as after a lost connection.
 */
#include "rpc/channel_internal.h"

#include <neo/memory.h>

void channel_epoch_hold(struct neo_epoch *to, const struct neo_epoch *from)
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

void channel_epoch_release(struct neo_epoch *epoch)
{
    neo_identity_unref(epoch->identity);
    neo_trust_unref(epoch->trust);
    neo_attest_policies_unref(epoch->attest_policies);
    neo_attest_trust_unref(epoch->attest_trust);
    *epoch = (struct neo_epoch){0};
}

enum neo_code channel_epoch_tls(struct channel_core *core, struct neo_error *err)
{
    struct tls_options options = {
        .role = TLS_CLIENT,
        .identity = core->epoch.identity,
        .trust = core->epoch.trust,
    };
    struct tls_context *fresh;

    NEO_TRY(tls_context_new(&options, &fresh, err));
    tls_context_unref(core->tls);
    core->tls = fresh;
    return NEO_OK;
}

/* What is NULL in `change` stays as it was. Nothing is referenced. */
static struct neo_epoch merge(const struct neo_epoch *present, const struct neo_epoch *change)
{
    struct neo_epoch next = *present;

    if (change->identity != NULL)
        next.identity = change->identity;
    if (change->trust != NULL)
        next.trust = change->trust;
    if (change->attest_policies != NULL)
        next.attest_policies = change->attest_policies;
    if (change->attest_trust != NULL)
        next.attest_trust = change->attest_trust;
    return next;
}

static bool same_rules(const struct neo_epoch *a, const struct neo_epoch *b)
{
    return a->attest_policies == b->attest_policies && a->attest_trust == b->attest_trust;
}

/* --- all who hold it are told ----------------------------------------------------------------- */

static void adopt(struct channel_core *core, const struct neo_epoch *change)
{
    const struct neo_epoch next = merge(&core->epoch, change);
    struct neo_epoch held = {0};
    struct neo_error err;

    if (!same_rules(&next, &core->epoch))
        core->attest_number++;
    channel_epoch_hold(&held, &next);
    channel_epoch_release(&core->epoch);
    core->epoch = held;
    if (channel_epoch_tls(core, &err) != NEO_OK)
        neo_log_error(core->log, "channel.epoch_refused", NEO_STR("why", err.message));
    list_each (node, &core->subchannels)
        subchannel_rejudge(neo_owner(node, struct subchannel, link), change->identity != NULL);
}

/* --- some are not ----------------------------------------------------------------------------- */

/* Its calls that wait go over, in their order. */
static void move_line(struct neo_channel *channel, struct channel_core *from)
{
    list_each (node, &from->waiting) {
        struct neo_client_call *call = neo_owner(node, struct neo_client_call, waiting);
        if (call->channel != channel)
            continue;
        list_remove(node);
        list_push_back(&channel->core->waiting, node);
    }
}

/* A core for the channel that lives by `epoch`: one that is there, or a new one. */
static enum neo_code move(struct neo_channel *channel, const struct neo_epoch *epoch,
                          struct neo_error *err)
{
    struct channel_core *from = channel->core;
    struct neo_channel_options options = core_options(from);
    struct channel_core *to;

    options.epoch = *epoch;
    to = core_find(from->target, &options);
    if (to != NULL) {
        list_remove(&channel->held);
        from->n_holders--;
        core_join(to, channel);
        return NEO_OK;
    }
    NEO_TRY(core_new(from->target, &options, &to, err));
    list_remove(&channel->held);
    from->n_holders--;
    to->h2_limits = from->h2_limits;
    to->keepalive = from->keepalive; /* a server may have complained of it */
    enum neo_code code = core_enter(to, channel, err);
    if (code != NEO_OK) {
        core_free(to);
        list_push_back(&from->holders, &channel->held);
        from->n_holders++;
        channel->core = from;
    }
    return code;
}

/* It has an epoch that it cannot live by: better no calls than calls by another. */
static void fail_closed(struct neo_channel *channel, const struct neo_error *why)
{
    struct neo_status status =
        neo_status_of(NEO_UNAVAILABLE, "the channel could not take its new epoch");

    neo_log_error(channel->core->log, "channel.epoch_refused", NEO_STR("why", why->message));
    channel->broken = true;
    list_each (node, &channel->calls)
        client_call_end(neo_owner(node, struct neo_client_call, link), &status);
}

static void part(struct neo_channel *channel, const struct neo_epoch *change)
{
    struct channel_core *from = channel->core;
    const struct neo_epoch next = merge(&from->epoch, change);
    struct neo_error err = {0};

    if (next.identity == from->epoch.identity && next.trust == from->epoch.trust &&
        same_rules(&next, &from->epoch))
        return; /* nothing new */
    if (move(channel, &next, &err) != NEO_OK) {
        fail_closed(channel, &err);
        return;
    }
    move_line(channel, from);
    channelz_note(&channel->trace, neo_loop_now(channel->loop), false, 0,
                  "parted from channels with another epoch");
    channelz_channel_changed(channel->core);
    channel_changed(channel->core);
    channel_changed(from);
}

/* --- guests ----------------------------------------------------------------------------------- */

/* What takes it from the connection that it runs on, which is another core's; NULL: nothing. */
static const char *refusal_of(const struct call_attempt *a)
{
    const struct channel_core *own = a->call->channel->core;
    const struct sub_conn *sc = a->sc;
    const struct channel_core *host = sc->sub->core;
    const struct neo_cert *leaf = tls_peer(conn_tls(sc->conn))->leaf;

    if (leaf == NULL || !neo_trust_stands(own->epoch.trust, leaf))
        return "the peer's certificate is no longer trusted";
    if (channel_wants_attestation(own) &&
        (!sc->attested || sc->attested_by != host->attest_number ||
         !same_rules(&own->epoch, &host->epoch)))
        return "the policy asks for attestation anew";
    return NULL;
}

static void judge_call(struct neo_client_call *call)
{
    for (unsigned i = call->n_running; i > 0; i--) {
        struct call_attempt *a = i <= call->n_running ? call->running[i - 1] : NULL;
        if (a == NULL || a->sc->sub->core == call->channel->core)
            continue;
        const char *why = refusal_of(a);
        if (why != NULL)
            client_attempt_taken(a, why);
    }
}

/* No `done` from in here, whatever we are inside of: the lists must stay as they are. */
static void judge_guests(struct channel_core *core)
{
    bool in_line = core->in_line;

    core->in_line = true;
    list_each (held, &core->holders) {
        struct neo_channel *channel = neo_owner(held, struct neo_channel, held);
        list_each (node, &channel->calls)
            judge_call(neo_owner(node, struct neo_client_call, link));
    }
    core->in_line = in_line;
}

/* --- the telling ------------------------------------------------------------------------------ */

struct update {
    struct visit visit;
    struct neo_loop *loop;
    struct neo_channel *const *channels;
    size_t n;
    const struct neo_epoch *epoch;
};

/* How many of a core's holders are told. */
static void count_told(const struct update *u)
{
    for (size_t i = 0; i < u->n; i++) {
        if (u->channels[i]->loop != u->loop)
            continue;
        u->channels[i]->told = false;
        u->channels[i]->core->n_told = 0;
    }
    for (size_t i = 0; i < u->n; i++) {
        struct neo_channel *channel = u->channels[i];
        if (channel->loop != u->loop || channel->told)
            continue;
        channel->told = true;
        channel->core->n_told++;
    }
}

static void tell(struct neo_channel *channel, const struct neo_epoch *change)
{
    struct channel_core *core = channel->core;

    channel->told = false;
    if (core->mode != TLS_MUTUAL) {
        neo_log_error(core->log, "channel.epoch_refused",
                      NEO_STR("why", "an insecure channel proves nothing and asks for no proof"));
        return;
    }
    if (channel->broken)
        return;
    if (core->n_told == core->n_holders) {
        list_each (node, &core->holders)
            neo_owner(node, struct neo_channel, held)->told = false;
        adopt(core, change);
        return;
    }
    core->n_told--;
    part(channel, change);
}

static void update_run(struct visit *v)
{
    const struct update *u = neo_owner(v, struct update, visit);

    count_told(u);
    for (size_t i = 0; i < u->n; i++)
        if (u->channels[i]->loop == u->loop && u->channels[i]->told)
            tell(u->channels[i], u->epoch);
    core_each(u->loop, judge_guests);
}

void neo_channels_update(struct neo_channel *const *channels, size_t n,
                         const struct neo_epoch *epoch)
{
    for (size_t i = 0; i < n; i++) {
        struct update u = {.loop = channels[i]->loop, .channels = channels, .n = n, .epoch = epoch};
        bool visited = false;
        for (size_t k = 0; k < i && !visited; k++)
            visited = channels[k]->loop == u.loop;
        if (!visited)
            visit(&u.visit, u.loop, update_run);
    }
}

void neo_channel_update(struct neo_channel *channel, const struct neo_epoch *epoch)
{
    neo_channels_update(&channel, 1, epoch);
}
