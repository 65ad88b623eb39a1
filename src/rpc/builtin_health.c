/* SPDX-License-Identifier: Apache-2.0 */
/*
 * grpc.health.v1: the server as a whole ("") serves until it drains; a service of it
 * until neo_server_set_serving() says otherwise.
 *
 * Watchers are kept by the worker that has their connection. Whatever changes a
 * status posts an update to every worker, which then tells its own.
 */
#include "rpc/builtin.h"
#include "rpc/call.h"

#include <grpc/health/v1/health.neo.h>

enum {
    LIST_MAX = 100,
    UNKNOWN = grpc_health_v1_HealthCheckResponse_SERVICE_UNKNOWN,
    SERVING = grpc_health_v1_HealthCheckResponse_SERVING,
    NOT_SERVING = grpc_health_v1_HealthCheckResponse_NOT_SERVING,
};

struct watcher {
    struct list link;
    struct neo_call *call;
    struct neo_bytes service;
    int32_t told;
};

static struct service *find(struct neo_server *server, struct neo_bytes name)
{
    list_each (link, &server->services) {
        struct service *s = neo_owner(link, struct service, link);
        if (neo_bytes_is(name, s->info->full_name))
            return s;
    }
    return NULL;
}

static int32_t status_of_service(struct neo_server *server, const struct service *s)
{
    return atomic_load(&s->serving) && !atomic_load(&server->draining) ? SERVING : NOT_SERVING;
}

static int32_t status_of(struct neo_server *server, struct neo_bytes name)
{
    const struct service *s = find(server, name);

    if (name.len == 0)
        return atomic_load(&server->draining) ? NOT_SERVING : SERVING;
    return s == NULL ? UNKNOWN : status_of_service(server, s);
}

static void check(struct neo_call *call, const struct grpc_health_v1_HealthCheckRequest *request,
                  void *self)
{
    struct grpc_health_v1_HealthCheckResponse response = {
        .status = status_of(self, request->service),
    };

    if (response.status == UNKNOWN)
        neo_call_fail(call, NEO_NOT_FOUND, "the service is not known here");
    else
        neo_call_reply(call, &response);
}

/* --- watching ---------------------------------------------------------------------------- */

static void tell(struct watcher *w)
{
    struct grpc_health_v1_HealthCheckResponse response = {
        .status = status_of(w->call->worker->server, w->service),
    };

    if (response.status == w->told)
        return;
    w->told = response.status;
    (void)neo_call_send(w->call, &response);
}

static void stop_watching(struct neo_call *call, const struct neo_status *status, void *state)
{
    struct watcher *w = state;

    (void)call;
    (void)status;
    list_remove(&w->link);
}

static void watch(struct neo_call *call, const struct grpc_health_v1_HealthCheckRequest *request,
                  void *self)
{
    static const struct neo_stream_events events = {.done = stop_watching};
    struct watcher *w = neo_arena_calloc(call->arena, 1, sizeof(*w));

    (void)self;
    if (w == NULL) {
        neo_call_fail(call, NEO_RESOURCE_EXHAUSTED, "out of memory for a watcher");
        return;
    }
    w->call = call;
    w->service = request->service; /* decoded in the call's arena */
    w->told = -1;
    list_push_back(&call->worker->watchers, &w->link);
    neo_call_on_stream(call, &events, w);
    tell(w);
}

void builtin_health_refresh(struct worker *worker)
{
    list_each (link, &worker->watchers)
        tell(neo_owner(link, struct watcher, link));
}

/* --- listing ----------------------------------------------------------------------------- */

static void list(struct neo_call *call, const struct grpc_health_v1_HealthListRequest *request,
                 void *self)
{
    struct neo_server *server = self;
    struct grpc_health_v1_HealthListResponse_StatusesEntry entries[LIST_MAX + 1];
    struct grpc_health_v1_HealthCheckResponse statuses[LIST_MAX + 1] = {0};
    struct grpc_health_v1_HealthListResponse response = {.statuses.at = entries};
    size_t n = 0;

    (void)request;
    statuses[n].status = status_of(server, (struct neo_bytes){0});
    entries[n].key = (struct neo_bytes){0};
    entries[n].value = &statuses[n];
    n++;
    list_each (link, &server->services) {
        struct service *s = neo_owner(link, struct service, link);
        if (n > LIST_MAX) {
            neo_call_fail(call, NEO_RESOURCE_EXHAUSTED, "more than %d services", LIST_MAX);
            return;
        }
        statuses[n].status = status_of_service(server, s);
        entries[n].key = neo_text(s->info->full_name);
        entries[n].value = &statuses[n];
        n++;
    }
    response.statuses.len = n;
    neo_call_reply(call, &response);
}

enum neo_code builtin_health_add(struct neo_server *server, struct neo_error *err)
{
    static const struct grpc_health_v1_Health_handlers handlers = {
        .Check = check,
        .Watch = watch,
        .List = list,
    };

    return server_add(server, &grpc_health_v1_Health_info, &handlers, server, true, NULL, err);
}
