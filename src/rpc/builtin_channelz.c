/* SPDX-License-Identifier: Apache-2.0 */
/*
 * grpc.channelz.v1: this server with its connections, and the channels of the process.
 *
 * It says who calls whom, so it is not open to every proven caller as health is: a rule of the
 * policy must name it. Its handlers run on the pool and look at each worker, and at each
 * channel's loop, one after the other.
 */
#include "rpc/builtin.h"
#include "rpc/call.h"
#include "rpc/channelz.h"

#include <grpc/channelz/v1/channelz.neo.h>

#include <stdlib.h>

enum { PAGE = 100, BUDGET = 16 << 20 };

#define SOCKETS_MAX 100000

/* --- on each worker --------------------------------------------------------------------------- */

struct sweep {
    struct neo_server *server;
    struct worker *worker;
    struct neo_arena *arena;
    int64_t from;   /* ids of at least this, */
    int64_t wanted; /* or this one alone, whole */
    bool summary;
    struct grpc_channelz_v1_SocketRef **refs;
    size_t n, cap;
    struct grpc_channelz_v1_Socket *found;
};

static void note_ref(struct sweep *s, struct peer *p)
{
    struct grpc_channelz_v1_SocketRef *ref = neo_arena_calloc(s->arena, 1, sizeof(*ref));

    if (ref == NULL || s->n == s->cap)
        return;
    ref->socket_id = p->counts.id;
    ref->name = neo_arena_copy(s->arena, neo_text(conn_peer_address(p->conn)));
    s->refs[s->n++] = ref;
}

static void note_listener(struct sweep *s, struct listener *l)
{
    struct net_address local;

    if (!l->open || net_local_address(s->worker->loop, l->watch.fd, &local, NULL) != NEO_OK)
        return;
    if (l->channelz_id == 0)
        l->channelz_id = channelz_new_id();
    if (s->wanted != 0 && s->wanted != l->channelz_id)
        return;
    struct grpc_channelz_v1_Socket *socket =
        channelz_listener(s->arena, l->channelz_id, local.text);
    if (s->wanted != 0)
        s->found = socket;
    else if (socket != NULL && s->n < s->cap)
        s->refs[s->n++] = socket->ref;
}

static void sweep_listeners(void *self)
{
    struct sweep *s = self;

    for (size_t i = 0; i < LISTENERS_MAX; i++)
        note_listener(s, &s->worker->listeners[i]);
}

static void sweep_peers(void *self)
{
    struct sweep *s = self;

    list_each (link, &s->worker->peers) {
        struct peer *p = neo_owner(link, struct peer, link);
        if (p->conn == NULL)
            continue;
        if (p->counts.id == 0)
            p->counts.id = channelz_new_id();
        if (s->wanted == p->counts.id)
            s->found = channelz_socket(s->arena, p->conn, &p->counts, true, s->summary);
        else if (s->wanted == 0 && p->counts.id >= s->from)
            note_ref(s, p);
    }
}

static void sweep(struct sweep *s, void look(void *self))
{
    for (unsigned i = 0; i < s->server->n_workers; i++) {
        s->worker = s->server->workers[i];
        neo_runtime_call(s->server->options.runtime, i, look, s);
    }
}

/* --- the server ------------------------------------------------------------------------------- */

static bool add_listeners(struct neo_server *server, struct neo_arena *arena,
                          struct grpc_channelz_v1_Server *ret)
{
    struct sweep s = {
        .server = server, .arena = arena, .cap = (size_t)server->n_workers * LISTENERS_MAX};

    s.refs = neo_arena_calloc(arena, s.cap, sizeof(struct grpc_channelz_v1_SocketRef *));
    if (s.refs == NULL)
        return false;
    sweep(&s, sweep_listeners);
    ret->listen_socket.at = s.refs;
    ret->listen_socket.len = s.n;
    return !neo_arena_failed(arena);
}

static struct grpc_channelz_v1_Server *view_server(struct neo_server *server,
                                                   struct neo_arena *arena)
{
    struct grpc_channelz_v1_Server *s = neo_arena_calloc(arena, 1, sizeof(*s));
    struct grpc_channelz_v1_ServerRef *ref = neo_arena_calloc(arena, 1, sizeof(*ref));
    struct grpc_channelz_v1_ServerData *data = neo_arena_calloc(arena, 1, sizeof(*data));
    neo_nsec last = 0;

    if (s == NULL || ref == NULL || data == NULL)
        return NULL;
    ref->server_id = server->channelz_id;
    ref->name = server->target;
    data->calls_started = (int64_t)neo_server_stats(server).started;
    (void)pthread_mutex_lock(&server->shared.lock);
    data->trace = channelz_trace(arena, &server->shared.trace);
    (void)pthread_mutex_unlock(&server->shared.lock);
    for (unsigned i = 0; i < server->n_workers; i++) {
        const struct worker *w = server->workers[i];
        data->calls_succeeded += (int64_t)atomic_load(&w->stats.succeeded);
        data->calls_failed += (int64_t)atomic_load(&w->stats.failed);
        neo_nsec at = atomic_load(&w->stats.last_call);
        last = at > last ? at : last;
    }
    data->last_call_started_timestamp = channelz_time(arena, last);
    s->ref = ref;
    s->data = data;
    return add_listeners(server, arena, s) ? s : NULL;
}

/* Of the handler's thread: the call's own belongs to its worker. */
static struct neo_arena new_arena(void)
{
    struct neo_arena arena;

    neo_arena_init(&arena, BUDGET);
    return arena;
}

static void out_of_memory(struct neo_call *call)
{
    neo_call_fail(call, NEO_RESOURCE_EXHAUSTED, "out of memory");
}

static void get_servers(struct neo_call *call,
                        const struct grpc_channelz_v1_GetServersRequest *request, void *self)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = new_arena();
    struct neo_server *server = self;
    struct grpc_channelz_v1_Server *s = view_server(server, &arena);
    struct grpc_channelz_v1_GetServersResponse response = {.server = {.at = &s}, .end = true};

    if (s == NULL) {
        out_of_memory(call);
        return;
    }
    response.server.len = request->start_server_id <= server->channelz_id;
    neo_call_reply(call, &response);
}

static void get_server(struct neo_call *call,
                       const struct grpc_channelz_v1_GetServerRequest *request, void *self)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = new_arena();
    struct neo_server *server = self;
    struct grpc_channelz_v1_GetServerResponse response = {.server = view_server(server, &arena)};

    if (request->server_id != server->channelz_id)
        neo_call_fail(call, NEO_NOT_FOUND, "there is no such server");
    else if (response.server == NULL)
        out_of_memory(call);
    else
        neo_call_reply(call, &response);
}

static int by_id(const void *a, const void *b)
{
    const struct grpc_channelz_v1_SocketRef *const *x = a;
    const struct grpc_channelz_v1_SocketRef *const *y = b;

    return ((*x)->socket_id > (*y)->socket_id) - ((*x)->socket_id < (*y)->socket_id);
}

static size_t page(int64_t asked)
{
    return asked > 0 && asked < PAGE ? (size_t)asked : PAGE;
}

static void get_server_sockets(struct neo_call *call,
                               const struct grpc_channelz_v1_GetServerSocketsRequest *request,
                               void *self)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = new_arena();
    struct neo_server *server = self;
    struct grpc_channelz_v1_GetServerSocketsResponse response = {.end = true};
    struct sweep s = {.server = server, .arena = &arena, .from = request->start_socket_id};

    if (request->server_id != server->channelz_id) {
        neo_call_fail(call, NEO_NOT_FOUND, "there is no such server");
        return;
    }
    s.cap = neo_server_stats(server).connections + PAGE;
    s.cap = s.cap > SOCKETS_MAX ? SOCKETS_MAX : s.cap;
    s.refs = neo_arena_calloc(s.arena, s.cap, sizeof(struct grpc_channelz_v1_SocketRef *));
    if (s.refs == NULL) {
        out_of_memory(call);
        return;
    }
    sweep(&s, sweep_peers);
    qsort(s.refs, s.n, sizeof(struct grpc_channelz_v1_SocketRef *), by_id);
    response.end = s.n <= page(request->max_results);
    response.socket_ref.at = s.refs;
    response.socket_ref.len = response.end ? s.n : page(request->max_results);
    neo_call_reply(call, &response);
}

/* --- channels --------------------------------------------------------------------------------- */

static void get_top_channels(struct neo_call *call,
                             const struct grpc_channelz_v1_GetTopChannelsRequest *request,
                             void *self)
{
    struct channelz_view *views[PAGE];
    struct grpc_channelz_v1_Channel *channels[PAGE];
    struct grpc_channelz_v1_GetTopChannelsResponse response = {.channel = {.at = channels}};
    int64_t id = channelz_next(request->start_channel_id);
    size_t n = 0;

    (void)self;
    for (; id != 0 && n < page(request->max_results); id = channelz_next(id + 1)) {
        views[n] = channelz_look(id);
        if (views[n] == NULL)
            continue;
        channels[n] = views[n]->channel;
        n++;
    }
    response.channel.len = n;
    response.end = id == 0;
    neo_call_reply(call, &response);
    while (n > 0)
        channelz_view_free(views[--n]);
}

static void get_channel(struct neo_call *call,
                        const struct grpc_channelz_v1_GetChannelRequest *request, void *self)
{
    struct channelz_view *view = channelz_look(request->channel_id);
    struct grpc_channelz_v1_GetChannelResponse response = {0};

    (void)self;
    if (view == NULL) {
        neo_call_fail(call, NEO_NOT_FOUND, "there is no such channel");
        return;
    }
    response.channel = view->channel;
    neo_call_reply(call, &response);
    channelz_view_free(view);
}

static void get_subchannel(struct neo_call *call,
                           const struct grpc_channelz_v1_GetSubchannelRequest *request, void *self)
{
    struct grpc_channelz_v1_GetSubchannelResponse response = {0};

    (void)self;
    for (int64_t id = channelz_next(1); id != 0; id = channelz_next(id + 1)) {
        struct channelz_view *view = channelz_look(id);
        for (size_t i = 0; view != NULL && i < view->n_subchannels; i++)
            if (view->subchannels[i]->ref->subchannel_id == request->subchannel_id)
                response.subchannel = view->subchannels[i];
        if (response.subchannel != NULL)
            neo_call_reply(call, &response);
        if (view != NULL)
            channelz_view_free(view);
        if (response.subchannel != NULL)
            return;
    }
    neo_call_fail(call, NEO_NOT_FOUND, "there is no such subchannel");
}

/* Of a channel: true when it was there, and answered. */
static bool answer_client_socket(struct neo_call *call, int64_t wanted, bool summary)
{
    struct grpc_channelz_v1_GetSocketResponse response = {0};

    for (int64_t id = channelz_next(1); id != 0; id = channelz_next(id + 1)) {
        struct channelz_view *view = channelz_look(id);
        for (size_t i = 0; view != NULL && i < view->n_sockets; i++)
            if (view->sockets[i]->ref->socket_id == wanted)
                response.socket = view->sockets[i];
        if (response.socket != NULL && summary)
            channelz_summarise(response.socket);
        if (response.socket != NULL)
            neo_call_reply(call, &response);
        if (view != NULL)
            channelz_view_free(view);
        if (response.socket != NULL)
            return true;
    }
    return false;
}

static void get_socket(struct neo_call *call,
                       const struct grpc_channelz_v1_GetSocketRequest *request, void *self)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = new_arena();
    struct sweep s = {
        .server = self, .arena = &arena, .wanted = request->socket_id, .summary = request->summary};
    struct grpc_channelz_v1_GetSocketResponse response = {0};

    if (request->socket_id > 0)
        sweep(&s, sweep_peers);
    if (request->socket_id > 0 && s.found == NULL)
        sweep(&s, sweep_listeners);
    response.socket = s.found;
    if (s.found != NULL)
        neo_call_reply(call, &response);
    else if (request->socket_id <= 0 ||
             !answer_client_socket(call, request->socket_id, request->summary))
        neo_call_fail(call, NEO_NOT_FOUND, "there is no such socket");
}

enum neo_code builtin_channelz_add(struct neo_server *server, struct neo_error *err)
{
    static const struct grpc_channelz_v1_Channelz_handlers handlers = {
        .GetTopChannels = get_top_channels,
        .GetServers = get_servers,
        .GetServer = get_server,
        .GetServerSockets = get_server_sockets,
        .GetChannel = get_channel,
        .GetSubchannel = get_subchannel,
        .GetSocket = get_socket,
    };
    struct service *s;

    server->channelz_id = channelz_new_id();
    if (!server->options.channelz)
        return NEO_OK;
    NEO_TRY(server_add(server, &grpc_channelz_v1_Channelz_info, &handlers, server, false, &s, err));
    for (size_t i = 0; i < s->n_methods; i++)
        s->methods[i].blocking = true;
    return NEO_OK;
}
