/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registry as a service: Registry over the table, PolicyFeed over the feed.
 * What waits for the disk is marked blocking and runs on the pool; heartbeats and
 * streams stay on the workers.
 */
#include "registry/registry.h"

#include "registry/feed.h"
#include "registry/table.h"

#include "common/gate.h"

#include <neo/memory.h>
#include <neo/store.h>

#include <stdio.h>

struct registry {
    struct neo_mesh *mesh;
    struct table table;
    struct policy_feed feed;
    struct watchers watchers;
    struct neo_loop *loop; /* of worker 0: the two timers */
    struct neo_timer expiry;
    struct neo_timer poll;
    struct neo_task polling;
    struct neo_task expiring;
    struct neo_error poll_error;
    enum neo_code poll_code;
    size_t expired;
    size_t held;
    size_t held_before;
    struct gate gate; /* what of ours is on the pool */
    bool ending;      /* the loop of the timers only */
};

#define EXPIRY_PERIOD (500 * NEO_NSEC_PER_MSEC)
#define POLL_PERIOD   (1 * NEO_NSEC_PER_SEC)

/* --- Registry --------------------------------------------------------------------------------- */

static void finish(struct neo_call *call, enum neo_code code, const struct neo_error *err,
                   const void *response)
{
    if (code == NEO_OK)
        neo_call_reply(call, response);
    else
        neo_call_fail(call, code, "%s", err->message);
}

/* For handlers that block: the end of the registry waits for them. */
static bool enter(struct registry *r, struct neo_call *call)
{
    if (svc_gate_enter(&r->gate))
        return true;
    neo_call_fail(call, NEO_UNAVAILABLE, "the registry is going down");
    return false;
}

static void register_instance(struct neo_call *call,
                              const struct neo_registry_v1_RegisterRequest *request, void *self)
{
    struct registry *r = self;
    struct neo_registry_v1_RegisterResponse response = {0};
    struct neo_registry_v1_RegisterRequest checked = *request;
    struct neo_registry_v1_Instance instance = {0};
    struct neo_error err = {0};

    if (!enter(r, call))
        return;
    if (request->instance != NULL) { /* what it runs is what it proved, and not what it says */
        instance = *request->instance;
        instance.measurement = neo_call_context(call)->caller_measurement;
        instance.live.len = 0;
        instance.simulated = instance.simulated || neo_call_context(call)->caller_simulated;
        checked.instance = &instance;
    }
    enum neo_code code = table_register(&r->table, neo_call_context(call)->caller, &checked,
                                        neo_mono_nsec(), neo_call_arena(call), &response, &err);
    if (request->instance != NULL)
        neo_log_info(neo_mesh_log(r->mesh), "registry.register",
                     NEO_BYTES("service", request->instance->service),
                     NEO_BYTES("id", request->instance->id), NEO_STR("code", neo_code_name(code)),
                     NEO_STR("why", err.message));
    finish(call, code, &err, &response);
    if (code == NEO_OK)
        watchers_tell(&r->watchers);
    svc_gate_leave(&r->gate);
}

static void beat(struct neo_call *call, const void *message, void *state)
{
    const struct neo_registry_v1_HeartbeatRequest *request = message;
    struct registry *r = state;
    struct neo_registry_v1_HeartbeatResponse response = {0};
    bool changed;

    response.known = table_heartbeat(&r->table, neo_call_context(call)->caller, request,
                                     neo_loop_now(neo_call_loop(call)), &changed);
    (void)neo_registry_v1_Registry_Heartbeat_send(call, &response);
    if (changed)
        watchers_tell(&r->watchers);
}

static void beats_end(struct neo_call *call, void *state)
{
    static const struct neo_status ok = {.code = NEO_OK};

    (void)state;
    neo_call_finish(call, &ok);
}

static const struct neo_stream_events beat_events = {.message = beat, .half_closed = beats_end};

static void heartbeat(struct neo_call *call, const struct neo_registry_v1_HeartbeatRequest *request,
                      void *self)
{
    (void)request;
    neo_call_on_stream(call, &beat_events, self);
}

static void deregister(struct neo_call *call,
                       const struct neo_registry_v1_DeregisterRequest *request, void *self)
{
    struct registry *r = self;
    struct neo_registry_v1_DeregisterResponse response = {0};
    struct neo_error err = {0};

    if (!enter(r, call))
        return;
    enum neo_code code =
        table_deregister(&r->table, neo_call_context(call)->caller, request->lease_id, &err);
    finish(call, code, &err, &response);
    if (code == NEO_OK)
        watchers_tell(&r->watchers);
    svc_gate_leave(&r->gate);
}

static void discover(struct neo_call *call, const struct neo_registry_v1_DiscoverRequest *request,
                     void *self)
{
    struct registry *r = self;
    struct neo_registry_v1_DiscoverResponse response = {0};
    struct neo_error err = {0};

    if (request->service.len == 0) {
        neo_call_fail(call, NEO_INVALID_ARGUMENT, "say which service; List gives all");
        return;
    }
    enum neo_code code = table_find(&r->table, request, neo_call_arena(call), &response, &err);
    finish(call, code, &err, &response);
}

static void list(struct neo_call *call, const struct neo_registry_v1_ListRequest *request,
                 void *self)
{
    struct registry *r = self;
    const struct neo_registry_v1_DiscoverRequest all = {0};
    struct neo_registry_v1_DiscoverResponse found = {0};
    struct neo_registry_v1_ListResponse response = {0};
    struct neo_error err = {0};

    (void)request;
    enum neo_code code = table_find(&r->table, &all, neo_call_arena(call), &found, &err);
    response.instances.at = found.instances.at;
    response.instances.len = found.instances.len;
    response.revision = found.revision;
    finish(call, code, &err, &response);
}

static enum neo_flow send_instances(struct neo_call *call, const char *service, void *self)
{
    struct registry *r = self;
    struct neo_registry_v1_DiscoverRequest filter = {.service = neo_text(service)};
    struct neo_registry_v1_DiscoverResponse found = {0};
    struct neo_registry_v1_WatchResponse message = {.snapshot = true};
    enum neo_flow flow = NEO_FLOW_MORE;
    struct neo_arena arena;

    neo_arena_init(&arena, 16 << 20);
    if (table_find(&r->table, &filter, &arena, &found, NULL) == NEO_OK) {
        message.revision = found.revision;
        message.instances.at = found.instances.at;
        message.instances.len = found.instances.len;
        flow = neo_registry_v1_Registry_Watch_send(call, &message);
    }
    neo_arena_fini(&arena);
    return flow;
}

static void watch(struct neo_call *call, const struct neo_registry_v1_WatchRequest *request,
                  void *self)
{
    struct registry *r = self;

    if (!neo_is_service_name(request->service)) {
        neo_call_fail(call, NEO_INVALID_ARGUMENT, "'%.*s' is no service name",
                      NEO_FMT(request->service));
        return;
    }
    watchers_add(&r->watchers, call, request->service);
}

static const struct neo_registry_v1_Registry_handlers registry_handlers = {
    .Register = register_instance,
    .Heartbeat = heartbeat,
    .Deregister = deregister,
    .Discover = discover,
    .Watch = watch,
    .List = list,
};

/* --- PolicyFeed ------------------------------------------------------------------------------- */

static void watch_policy(struct neo_call *call, const struct neo_policy_v1_WatchRequest *request,
                         void *self)
{
    struct registry *r = self;

    (void)request;
    policy_feed_follow(&r->feed, call);
}

/* Of the files as they are now, not as they were a second ago. */
static void get_status(struct neo_call *call, const struct neo_policy_v1_GetStatusRequest *request,
                       void *self)
{
    struct registry *r = self;
    struct neo_policy_v1_GetStatusResponse response = {0};
    struct neo_error err;

    (void)request;
    if (!enter(r, call))
        return;
    if (policy_feed_poll(&r->feed, &err) != NEO_OK)
        neo_log_debug(neo_mesh_log(r->mesh), "registry.policy_refused",
                      NEO_STR("why", err.message)); /* as the status says, too */
    policy_feed_status(&r->feed, neo_call_arena(call), &response);
    neo_call_reply(call, &response);
    svc_gate_leave(&r->gate);
}

static void advance(struct neo_call *call, const struct neo_policy_v1_AdvanceRequest *request,
                    void *self)
{
    struct registry *r = self;
    struct neo_policy_v1_AdvanceResponse response = {0};
    struct neo_error err = {0};

    if (!enter(r, call))
        return;
    enum neo_code code = policy_feed_advance(&r->feed, request->beyond, &response.number, &err);
    neo_log_warn(neo_mesh_log(r->mesh), "registry.policy_advanced",
                 NEO_U64("beyond", request->beyond), NEO_U64("number", response.number),
                 NEO_STR("code", neo_code_name(code)), NEO_STR("why", err.message));
    finish(call, code, &err, &response);
    svc_gate_leave(&r->gate);
}

static void note_rollout(struct neo_call *call,
                         const struct neo_policy_v1_NoteRolloutRequest *request, void *self)
{
    const struct neo_context *context = neo_call_context(call);
    struct registry *r = self;
    struct neo_policy_v1_NoteRolloutResponse response = {0};
    struct neo_decision_id id = {.text = ""};
    struct neo_error err = {0};

    if (!enter(r, call))
        return;
    enum neo_code code =
        rollouts_note(r->mesh, context->caller_uri.len > 0 ? context->caller_uri : context->caller,
                      request, &id, &err);
    response.decision_id = neo_text(id.text);
    finish(call, code, &err, &response);
    svc_gate_leave(&r->gate);
}

static const struct neo_policy_v1_PolicyFeed_handlers feed_handlers = {
    .Watch = watch_policy,
    .GetStatus = get_status,
    .Advance = advance,
    .NoteRollout = note_rollout,
};

/* --- the two timers; their work waits for the disk -------------------------------------------- */

static void arm(struct registry *r, struct neo_timer *timer, neo_nsec period)
{
    if (r->ending)
        return;
    neo_loop_arm(r->loop, timer, neo_loop_now(r->loop) + period);
}

static void poll_work(struct neo_job *job)
{
    struct registry *r = neo_owner(neo_owner(job, struct neo_task, job), struct registry, polling);

    r->poll_code = policy_feed_poll(&r->feed, &r->poll_error);
}

static void poll_done(struct neo_job *job)
{
    struct registry *r = neo_owner(neo_owner(job, struct neo_task, job), struct registry, polling);

    if (r->poll_code != NEO_OK)
        neo_log_error(neo_mesh_log(r->mesh), "registry.policy_refused",
                      NEO_STR("why", r->poll_error.message),
                      NEO_STR("in_force", r->feed.shared.version));
    arm(r, &r->poll, POLL_PERIOD);
    svc_gate_leave(&r->gate);
}

static void poll_due(struct neo_timer *timer)
{
    struct registry *r = neo_owner(timer, struct registry, poll);

    if (!svc_gate_enter(&r->gate))
        return;
    r->polling = (struct neo_task){.work = poll_work, .done = poll_done};
    neo_loop_offload(r->loop, &r->polling);
}

static void expire_work(struct neo_job *job)
{
    struct registry *r = neo_owner(neo_owner(job, struct neo_task, job), struct registry, expiring);

    r->expired = table_expire(&r->table, neo_mono_nsec(), &r->held);
}

static void expire_done(struct neo_job *job)
{
    struct registry *r = neo_owner(neo_owner(job, struct neo_task, job), struct registry, expiring);

    if (r->expired > 0) {
        neo_log_warn(neo_mesh_log(r->mesh), "registry.expired", NEO_U64("instances", r->expired));
        watchers_tell(&r->watchers);
    }
    if (r->held != r->held_before && r->held > 0)
        neo_log_error(neo_mesh_log(r->mesh), "registry.expiry_braked", NEO_U64("held", r->held),
                      NEO_STR("why", "very many leases end at once: is the network away?"));
    r->held_before = r->held;
    arm(r, &r->expiry, EXPIRY_PERIOD);
    svc_gate_leave(&r->gate);
}

static void expiry_due(struct neo_timer *timer)
{
    struct registry *r = neo_owner(timer, struct registry, expiry);

    if (!svc_gate_enter(&r->gate))
        return;
    r->expiring = (struct neo_task){.work = expire_work, .done = expire_done};
    neo_loop_offload(r->loop, &r->expiring);
}

static void begin_timers(void *self)
{
    struct registry *r = self;

    r->poll.expired = poll_due;
    r->expiry.expired = expiry_due;
    arm(r, &r->poll, POLL_PERIOD);
    arm(r, &r->expiry, EXPIRY_PERIOD);
}

static void end_timers(void *self)
{
    struct registry *r = self;

    r->ending = true;
    neo_loop_disarm(r->loop, &r->poll);
    neo_loop_disarm(r->loop, &r->expiry);
}

/* --- starting --------------------------------------------------------------------------------- */

static enum neo_code fill(struct registry *r, const struct registry_options *o,
                          struct neo_error *err)
{
    char path[1024];

    (void)snprintf(path, sizeof(path), "%s/registry.db", o->dir);
    NEO_TRY(table_open(&r->table, path, neo_mono_nsec(), err));
    if (o->simulated_root != NULL)
        NEO_TRY(neo_file_read(o->simulated_root, 65536, &r->feed.simulated_root, err));
    NEO_TRY(policy_feed_poll(&r->feed, err));
    NEO_TRY(neo_mesh_serve(r->mesh, &neo_registry_v1_Registry_info, &registry_handlers, r, err));
    NEO_TRY(neo_mesh_serve(r->mesh, &neo_policy_v1_PolicyFeed_info, &feed_handlers, r, err));
    struct neo_server *server = neo_mesh_server(r->mesh);
    NEO_TRY(neo_server_set_blocking(server, "/neo.registry.v1.Registry/Register", err));
    NEO_TRY(neo_server_set_blocking(server, "/neo.registry.v1.Registry/Deregister", err));
    NEO_TRY(neo_server_set_blocking(server, "/neo.policy.v1.PolicyFeed/GetStatus", err));
    NEO_TRY(neo_server_set_blocking(server, "/neo.policy.v1.PolicyFeed/Advance", err));
    NEO_TRY(neo_server_set_blocking(server, "/neo.policy.v1.PolicyFeed/NoteRollout", err));
    NEO_TRY(neo_mesh_listen(r->mesh, err));
    neo_runtime_call(neo_mesh_runtime(r->mesh), 0, begin_timers, r);
    return NEO_OK;
}

enum neo_code registry_start(const struct registry_options *options, struct registry **ret,
                             struct neo_error *err)
{
    struct registry *r = neo_alloc(sizeof(*r));

    if (r == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory starting the registry");
    r->mesh = options->mesh;
    r->loop = neo_runtime_loop(neo_mesh_runtime(r->mesh), 0);
    watchers_init(&r->watchers, send_instances, r);
    policy_feed_init(&r->feed, r->mesh, &r->table, options->dir, options->documents);
    svc_gate_init(&r->gate);
    enum neo_code code = fill(r, options, err);
    if (code != NEO_OK) {
        registry_stop(r);
        return code;
    }
    *ret = r;
    return NEO_OK;
}

bool registry_is_busy(struct registry *r)
{
    return !svc_gate_is_empty(&r->gate);
}

void registry_stop(struct registry *r)
{
    if (r == NULL)
        return;
    neo_runtime_call(neo_mesh_runtime(r->mesh), 0, end_timers, r);
    svc_gate_close(&r->gate); /* what the pool has of ours is done */
    if (neo_mesh_server(r->mesh) != NULL)
        neo_server_drain(neo_mesh_server(r->mesh), 0);
    if (r->table.store != NULL)
        table_close(&r->table);
    policy_feed_fini(&r->feed);
    watchers_fini(&r->watchers);
    svc_gate_fini(&r->gate);
    neo_free(r);
}
