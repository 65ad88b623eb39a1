/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/channel_internal.h"
#include "rpc/channelz.h"

#include <grpc/channelz/v1/channelz.neo.h>

static int32_t state_of(enum subchannel_state state)
{
    switch (state) {
    case SUB_IDLE:
        return grpc_channelz_v1_ChannelConnectivityState_IDLE;
    case SUB_CONNECTING:
    case SUB_ATTESTING:
    case SUB_CHECKING:
        return grpc_channelz_v1_ChannelConnectivityState_CONNECTING;
    case SUB_READY:
        return grpc_channelz_v1_ChannelConnectivityState_READY;
    case SUB_UNHEALTHY:
    case SUB_BACKOFF:
        return grpc_channelz_v1_ChannelConnectivityState_TRANSIENT_FAILURE;
    case SUB_STATES:
        break;
    }
    return grpc_channelz_v1_ChannelConnectivityState_UNKNOWN;
}

/* As gRPC sums up its subchannels: the best of them speaks for all. */
static int32_t state_of_all(const struct channel_core *core)
{
    static const int32_t best_first[] = {
        grpc_channelz_v1_ChannelConnectivityState_READY,
        grpc_channelz_v1_ChannelConnectivityState_CONNECTING,
        grpc_channelz_v1_ChannelConnectivityState_IDLE,
        grpc_channelz_v1_ChannelConnectivityState_TRANSIENT_FAILURE,
    };

    for (size_t i = 0; i < NEO_COUNT(best_first); i++)
        list_each (link, &core->subchannels)
            if (state_of(neo_owner(link, struct subchannel, link)->state) == best_first[i])
                return best_first[i];
    return grpc_channelz_v1_ChannelConnectivityState_IDLE;
}

void channelz_channel_changed(struct channel_core *core)
{
    static const char *const names[] = {
        [grpc_channelz_v1_ChannelConnectivityState_IDLE] = "idle",
        [grpc_channelz_v1_ChannelConnectivityState_CONNECTING] = "connecting",
        [grpc_channelz_v1_ChannelConnectivityState_READY] = "ready",
        [grpc_channelz_v1_ChannelConnectivityState_TRANSIENT_FAILURE] = "transient failure",
    };
    int32_t state = state_of_all(core);

    list_each (node, &core->holders) {
        struct neo_channel *channel = neo_owner(node, struct neo_channel, held);
        if (state == channel->traced_state)
            continue;
        channel->traced_state = state;
        channelz_note(&channel->trace, neo_loop_now(core->loop),
                      state == grpc_channelz_v1_ChannelConnectivityState_TRANSIENT_FAILURE, 0,
                      names[state]);
    }
}

static struct grpc_channelz_v1_ChannelData *new_data(struct neo_arena *arena, int32_t state,
                                                     const char *target)
{
    struct grpc_channelz_v1_ChannelData *d = neo_arena_calloc(arena, 1, sizeof(*d));
    struct grpc_channelz_v1_ChannelConnectivityState *s = neo_arena_calloc(arena, 1, sizeof(*s));

    if (d == NULL || s == NULL)
        return NULL;
    s->state = state;
    d->state = s;
    d->target = neo_arena_copy(arena, neo_text(target));
    return d;
}

/* One connection of a subchannel. */
static void fill_socket(struct channelz_view *view, struct sub_conn *sc,
                        struct grpc_channelz_v1_Subchannel *s)
{
    struct neo_arena *arena = &view->arena;

    if (sc->conn == NULL)
        return;
    struct grpc_channelz_v1_Socket *socket =
        channelz_socket(arena, sc->conn, &sc->counts, false, false);
    if (socket == NULL)
        return;
    s->socket_ref.at[s->socket_ref.len++] = socket->ref;
    view->sockets[view->n_sockets++] = socket;
}

static size_t count(const struct list *of)
{
    size_t n = 0;

    list_each (node, of)
        n++;
    return n;
}

static size_t count_sockets(const struct subchannel *sub)
{
    return (sub->current != NULL) + count(&sub->extra) + count(&sub->draining);
}

/* The one that serves, those beside it, and those that only end their calls. */
static void fill_sockets(struct channelz_view *view, struct subchannel *sub,
                         struct grpc_channelz_v1_Subchannel *s)
{
    struct grpc_channelz_v1_SocketRef **refs =
        neo_arena_calloc(&view->arena, count_sockets(sub) + 1, sizeof(*refs));

    if (refs == NULL)
        return;
    s->socket_ref.at = refs;
    if (sub->current != NULL)
        fill_socket(view, sub->current, s);
    list_each (node, &sub->extra)
        fill_socket(view, neo_owner(node, struct sub_conn, link), s);
    list_each (node, &sub->draining)
        fill_socket(view, neo_owner(node, struct sub_conn, link), s);
}

static struct grpc_channelz_v1_Subchannel *view_subchannel(struct channelz_view *view,
                                                           struct subchannel *sub)
{
    struct neo_arena *arena = &view->arena;
    struct grpc_channelz_v1_Subchannel *s = neo_arena_calloc(arena, 1, sizeof(*s));
    struct grpc_channelz_v1_SubchannelRef *ref = neo_arena_calloc(arena, 1, sizeof(*ref));

    if (s == NULL || ref == NULL)
        return NULL;
    ref->subchannel_id = sub->channelz_id;
    ref->name = neo_arena_copy(arena, neo_text(sub->address));
    s->ref = ref;
    s->data = new_data(arena, state_of(sub->state), sub->address);
    if (s->data != NULL) {
        s->data->calls_started = (int64_t)sub->calls;
        s->data->calls_succeeded = (int64_t)sub->succeeded;
        s->data->calls_failed = (int64_t)sub->failed;
        s->data->last_call_started_timestamp = channelz_time(arena, sub->last_call);
        s->data->trace = channelz_trace(arena, &sub->trace);
    }
    fill_sockets(view, sub, s);
    return s;
}

/* Those that a channel knows: its core's, and those on whose connections its calls are guests. */
struct known {
    struct subchannel *at[BALANCE_HOSTS_MAX + 64];
    size_t n;
};

static void know(struct known *known, struct subchannel *sub)
{
    for (size_t i = 0; i < known->n; i++)
        if (known->at[i] == sub)
            return;
    if (known->n < NEO_COUNT(known->at))
        known->at[known->n++] = sub;
}

static void gather(const struct neo_channel *channel, struct known *known)
{
    list_each (link, &channel->core->subchannels)
        know(known, neo_owner(link, struct subchannel, link));
    list_each (link, &channel->calls) {
        const struct neo_client_call *call = neo_owner(link, struct neo_client_call, link);
        for (unsigned i = 0; i < call->n_running; i++)
            if (call->running[i]->sc->sub->core != channel->core)
                know(known, call->running[i]->sc->sub);
    }
}

static bool fill_subchannels(const struct neo_channel *channel, struct channelz_view *view,
                             struct grpc_channelz_v1_Channel *c)
{
    struct neo_arena *arena = &view->arena;
    struct known known = {.n = 0};
    size_t sockets = 1, n = 0;

    gather(channel, &known);
    struct grpc_channelz_v1_SubchannelRef **refs =
        neo_arena_calloc(arena, known.n + 1, sizeof(*refs));
    view->subchannels =
        neo_arena_calloc(arena, known.n + 1, sizeof(struct grpc_channelz_v1_Subchannel *));
    for (size_t i = 0; i < known.n; i++)
        sockets += count_sockets(known.at[i]);
    view->sockets = neo_arena_calloc(arena, sockets, sizeof(struct grpc_channelz_v1_Socket *));
    if (refs == NULL || view->subchannels == NULL || view->sockets == NULL)
        return false;
    for (; n < known.n; n++) {
        struct grpc_channelz_v1_Subchannel *s = view_subchannel(view, known.at[n]);
        if (s == NULL)
            break;
        refs[n] = s->ref;
        view->subchannels[n] = s;
    }
    view->n_subchannels = n;
    c->subchannel_ref.at = refs;
    c->subchannel_ref.len = n;
    return true;
}

void channelz_fill(struct channelz_entry *entry, struct channelz_view *view)
{
    struct neo_channel *channel = neo_owner(entry, struct neo_channel, channelz);
    struct channel_core *core = channel->core;
    struct grpc_channelz_v1_Channel *c = neo_arena_calloc(&view->arena, 1, sizeof(*c));
    struct grpc_channelz_v1_ChannelRef *ref = neo_arena_calloc(&view->arena, 1, sizeof(*ref));

    if (c == NULL || ref == NULL || !fill_subchannels(channel, view, c))
        return;
    ref->channel_id = entry->id;
    ref->name = neo_arena_copy(&view->arena, neo_text(core->target));
    c->ref = ref;
    c->data = new_data(&view->arena, state_of_all(core), core->target);
    if (c->data == NULL)
        return;
    c->data->trace = channelz_trace(&view->arena, &channel->trace);
    c->data->calls_started = (int64_t)channel->counts.started;
    c->data->calls_succeeded = (int64_t)channel->counts.succeeded;
    c->data->calls_failed = (int64_t)channel->counts.failed;
    c->data->last_call_started_timestamp =
        channelz_time(&view->arena, channel->counts.last_started);
    view->channel = c;
}
