/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What channels share.
 *
 * A channel is what its owner holds: calls, their counts and limits. Everything that
 * finds, makes and judges connections is its core's, and channels that ask for the same
 * have the same core. All channels of a core live by its epoch. One that is told of
 * another epoch while the others are not gets another core (channel_epoch.c); its calls
 * go over, and those that run already stay on their streams for as long as the new epoch
 * allows it: they are guests there.
 *
 * A core ends when nobody holds it. Guests may end their calls first.
 *
 * Threads   A core is its loop's. The list of all is the process's; a loop only looks
 *           into its own cores there.
 */
#include "rpc/channel_internal.h"

#include <neo/memory.h>

static struct {
    pthread_mutex_t lock;
    struct list cores;
} all = {PTHREAD_MUTEX_INITIALIZER, {&all.cores, &all.cores}};

void core_each(struct neo_loop *loop, void (*see)(struct channel_core *core))
{
    (void)pthread_mutex_lock(&all.lock);
    list_each (node, &all.cores) {
        struct channel_core *core = neo_owner(node, struct channel_core, link);
        if (core->loop == loop)
            see(core);
    }
    (void)pthread_mutex_unlock(&all.lock);
}

struct channel_core *core_find(const char *target, const struct neo_channel_options *options)
{
    struct channel_core *found = NULL;

    (void)pthread_mutex_lock(&all.lock);
    list_each (node, &all.cores) {
        struct channel_core *core = neo_owner(node, struct channel_core, link);
        if (core->loop == options->loop && !core->closing && core_does_for(core, target, options)) {
            found = core;
            break;
        }
    }
    (void)pthread_mutex_unlock(&all.lock);
    return found;
}

/* --- who holds it ----------------------------------------------------------------------------- */

/* Calls run on its connections: of its holders, or of guests. */
static bool carries_calls(const struct channel_core *core)
{
    list_each (node, &core->subchannels)
        if (neo_owner(node, struct subchannel, link)->host.active > 0)
            return true;
    return false;
}

bool core_is_busy(const struct channel_core *core)
{
    list_each (node, &core->holders)
        if (!list_is_empty(&neo_owner(node, struct neo_channel, held)->calls))
            return true;
    return carries_calls(core);
}

void core_note(struct channel_core *core, bool warning, int64_t subchannel, const char *text)
{
    list_each (node, &core->holders)
        channelz_note(&neo_owner(node, struct neo_channel, held)->trace, neo_loop_now(core->loop),
                      warning, subchannel, text);
}

static void take(struct channel_core *core, struct neo_channel *channel)
{
    channel->core = core;
    list_push_back(&core->holders, &channel->held);
    core->n_holders++;
}

void core_join(struct channel_core *core, struct neo_channel *channel)
{
    take(core, channel);
    channelz_note(&channel->trace, neo_loop_now(core->loop), false, 0,
                  "shares the connections of another channel");
    channelz_channel_changed(core);
}

/* --- its life --------------------------------------------------------------------------------- */

static void reap_expired(struct neo_timer *timer)
{
    core_reap(neo_owner(timer, struct channel_core, reap)->loop);
}

enum neo_code core_new(const char *target, const struct neo_channel_options *options,
                       struct channel_core **ret, struct neo_error *err)
{
    struct channel_core *core = neo_alloc(sizeof(*core));

    if (core == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory opening a channel");
    list_init(&core->link);
    list_init(&core->holders);
    list_init(&core->subchannels);
    list_init(&core->waiting);
    core->reap.expired = reap_expired;
    channel_init_events(core);
    enum neo_code code = core_make(core, target, options, err);
    if (code == NEO_OK)
        *ret = core;
    else
        core_free(core);
    return code;
}

enum neo_code core_enter(struct channel_core *core, struct neo_channel *first,
                         struct neo_error *err)
{
    take(core, first);
    enum neo_code code = channel_start_resolving(core, err);
    if (code != NEO_OK) {
        list_remove(&first->held);
        core->n_holders--;
        first->core = NULL;
        return code;
    }
    (void)pthread_mutex_lock(&all.lock);
    list_push_back(&all.cores, &core->link);
    (void)pthread_mutex_unlock(&all.lock);
    return NEO_OK;
}

void core_free(struct channel_core *core)
{
    core_unmake(core);
    neo_free(core);
}

/* At once: nothing of it is on the stack, and no call runs on it. */
static void end(struct channel_core *core)
{
    list_each (node, &core->subchannels)
        subchannel_free(neo_owner(node, struct subchannel, link));
    channel_disarm(core);
    core_free(core);
}

/* One that nobody holds, and for which something can be done now. */
static struct channel_core *find_left(struct neo_loop *loop)
{
    struct channel_core *found = NULL;

    (void)pthread_mutex_lock(&all.lock);
    list_each (node, &all.cores) {
        struct channel_core *core = neo_owner(node, struct channel_core, link);
        if (core->loop != loop || core->n_holders > 0)
            continue;
        if (core->in_events > 0) { /* we are inside one of its events */
            neo_loop_arm(loop, &core->reap, neo_loop_now(loop));
        } else if (!core->drained || !carries_calls(core)) {
            found = core;
            break;
        }
    }
    (void)pthread_mutex_unlock(&all.lock);
    return found;
}

static void leave_list(struct channel_core *core)
{
    (void)pthread_mutex_lock(&all.lock);
    list_remove(&core->link);
    (void)pthread_mutex_unlock(&all.lock);
}

void core_reap(struct neo_loop *loop)
{
    for (struct channel_core *core; (core = find_left(loop)) != NULL;) {
        if (!carries_calls(core)) {
            leave_list(core);
            end(core);
            continue;
        }
        core->drained = true;
        list_each (node, &core->subchannels)
            subchannel_drain(neo_owner(node, struct subchannel, link));
    }
}

void core_leave(struct neo_channel *channel)
{
    struct channel_core *core = channel->core;

    list_remove(&channel->held);
    channel->core = NULL;
    if (--core->n_holders > 0)
        return;
    core->closing = true;
    channel_stop_resolving(core);
    core_reap(core->loop);
}
