/* SPDX-License-Identifier: Apache-2.0 */
/*
 * This instance in the registry: registered once it listens, kept by heartbeats on
 * a stream, registered anew whenever the registry does not know the lease.
 */
#include "mesh/mesh.h"

#include <neo/encoding.h>

#include <stdio.h>
#include <unistd.h>

enum { TTL_SECONDS = 10, LIVE_MAX = 64 };

static void beat(struct neo_mesh *mesh);
static void try_register(struct neo_mesh *mesh);

static void arm(struct neo_mesh *mesh, neo_nsec wait)
{
    neo_loop_arm(mesh->loop, &mesh->lease.timer, neo_loop_now(mesh->loop) + wait);
}

static void retry(struct neo_mesh *mesh)
{
    mesh->lease.lease[0] = '\0';
    if (mesh->lease.wanted)
        arm(mesh,
            100 * NEO_NSEC_PER_MSEC + mesh_backoff(mesh->lease.failures++, 300 * NEO_NSEC_PER_MSEC,
                                                   10 * NEO_NSEC_PER_SEC));
}

/* --- heartbeats ------------------------------------------------------------------------------- */

static void beat_heard(struct neo_client_call *call, const void *response, void *self)
{
    const struct neo_registry_v1_HeartbeatResponse *r = response;
    struct neo_mesh *mesh = self;

    if (!r->known) {
        neo_log_info(&mesh->log, "mesh.lease_lost", NEO_STR("lease", mesh->lease.lease));
        mesh->lease.lease[0] = '\0';
        neo_client_call_cancel(call);
    }
}

static void beat_done(struct neo_client_call *call, const struct neo_status *status, void *self)
{
    struct neo_mesh *mesh = self;

    (void)call;
    (void)status;
    mesh->lease.beat = NULL;
    if (!mesh->lease.wanted)
        return;
    if (mesh->lease.lease[0] == '\0')
        retry(mesh);
    else
        arm(mesh, mesh->lease.interval / 4); /* the lease may still live: a new stream */
}

static const struct neo_client_events beat_events = {.message = beat_heard, .done = beat_done};

struct lives {
    struct neo_census_row rows[LIVE_MAX];
    struct neo_registry_v1_Live at[LIVE_MAX];
    struct neo_registry_v1_Live *list[LIVE_MAX];
    size_t n;
};

/* On which measurements our connections rest, for rollouts. */
static void count_lives(struct neo_mesh *mesh, struct lives *ret)
{
    ret->n = neo_census_read(mesh->census, ret->rows, LIVE_MAX);
    for (size_t i = 0; i < ret->n; i++) {
        ret->at[i] = (struct neo_registry_v1_Live){
            .service = neo_text(ret->rows[i].service),
            .measurement = neo_text(ret->rows[i].measurement),
            .connections = ret->rows[i].connections,
        };
        ret->list[i] = &ret->at[i];
    }
}

static void beat(struct neo_mesh *mesh)
{
    struct lives lives;
    struct neo_registry_v1_HeartbeatRequest request = {
        .lease_id = neo_text(mesh->lease.lease),
        .health = neo_registry_v1_HEALTH_SERVING,
        .policy_number = mesh->feed.number,
    };
    struct neo_call_options options = {.wait_for_ready = true};

    count_lives(mesh, &lives);
    request.live.at = lives.list;
    request.live.len = lives.n;
    request.audit_failing =
        mesh->audit != NULL && neo_audit_file_stats(mesh->audit).state != NEO_OK;
    if (mesh->lease.beat == NULL &&
        neo_registry_v1_Registry_Heartbeat_start(mesh->registry, &options, &beat_events, mesh,
                                                 &mesh->lease.beat, NULL) != NEO_OK) {
        mesh->lease.beat = NULL;
        retry(mesh);
        return;
    }
    (void)neo_registry_v1_Registry_Heartbeat_client_send(mesh->lease.beat, &request);
    arm(mesh, mesh->lease.interval);
}

void lease_tell(struct neo_mesh *mesh)
{
    if (mesh->lease.wanted && mesh->lease.lease[0] != '\0' && mesh->lease.call == NULL)
        beat(mesh);
}

/* --- registering ------------------------------------------------------------------------------ */

static void registered(struct neo_client_call *call, const void *response, void *self)
{
    const struct neo_registry_v1_RegisterResponse *r = response;
    struct neo_mesh *mesh = self;
    int64_t ttl = r->ttl_seconds < 1 ? 1 : r->ttl_seconds;

    (void)call;
    (void)snprintf(mesh->lease.lease, sizeof(mesh->lease.lease), "%.*s", NEO_FMT(r->lease_id));
    mesh->lease.interval = (neo_nsec)ttl * NEO_NSEC_PER_SEC / 3;
    mesh->lease.failures = 0;
    neo_log_info(&mesh->log, "mesh.registered", NEO_STR("instance", mesh->instance),
                 NEO_STR("address", neo_mesh_address(mesh)), NEO_I64("ttl_s", ttl));
}

static void register_done(struct neo_client_call *call, const struct neo_status *status, void *self)
{
    struct neo_mesh *mesh = self;

    (void)call;
    mesh->lease.call = NULL;
    if (!mesh->lease.wanted)
        return;
    if (status->code == NEO_OK && mesh->lease.lease[0] != '\0') {
        beat(mesh);
        return;
    }
    neo_log_warn(&mesh->log, "mesh.not_registered", NEO_STR("code", neo_code_name(status->code)),
                 NEO_BYTES("why", status->message));
    retry(mesh);
}

static const struct neo_client_events register_events = {.message = registered,
                                                         .done = register_done};

static void try_register(struct neo_mesh *mesh)
{
    struct neo_bytes address = neo_text(neo_mesh_address(mesh));
    const char *admin = admin_address(mesh);
    struct neo_registry_v1_Instance instance = {
        .service = neo_text(mesh->service),
        .id = neo_text(mesh->instance),
        .addresses = {.at = &address, .len = 1},
        .version = neo_text(mesh->version),
        .attestable = mesh->attester != NULL,
        .simulated = mesh->simulated,
        .health = neo_registry_v1_HEALTH_SERVING,
        .admin_address = neo_text(admin),
        .pid = getpid(),
    };
    struct neo_registry_v1_RegisterRequest request = {.instance = &instance,
                                                      .ttl_seconds = TTL_SECONDS};
    struct neo_call_options options = {.timeout = 5 * NEO_NSEC_PER_SEC, .wait_for_ready = true};

    if (neo_registry_v1_Registry_Register_start(mesh->registry, &options, &request,
                                                &register_events, mesh, &mesh->lease.call,
                                                NULL) != NEO_OK) {
        mesh->lease.call = NULL;
        retry(mesh);
    }
}

static void due(struct neo_timer *timer)
{
    struct neo_mesh *mesh = neo_owner(timer, struct neo_mesh, lease.timer);

    if (!mesh->lease.wanted || mesh->lease.call != NULL)
        return;
    if (mesh->lease.lease[0] == '\0')
        try_register(mesh);
    else
        beat(mesh);
}

void lease_begin(struct neo_mesh *mesh)
{
    mesh->lease.timer.expired = due;
    mesh->lease.wanted = true;
    try_register(mesh);
}

/* --- leaving ---------------------------------------------------------------------------------- */

static void gone(struct neo_client_call *call, const struct neo_status *status, void *self)
{
    (void)call;
    (void)status;
    (void)self;
}

static void gone_message(struct neo_client_call *call, const void *response, void *self)
{
    (void)call;
    (void)response;
    (void)self;
}

void lease_stop(struct neo_mesh *mesh)
{
    static const struct neo_client_events events = {.message = gone_message, .done = gone};
    struct neo_registry_v1_DeregisterRequest request = {.lease_id = neo_text(mesh->lease.lease)};
    struct neo_call_options options = {.timeout = 1 * NEO_NSEC_PER_SEC};
    struct neo_client_call *call;

    if (!mesh->lease.wanted)
        return;
    mesh->lease.wanted = false;
    neo_loop_disarm(mesh->loop, &mesh->lease.timer);
    if (mesh->lease.beat != NULL)
        neo_client_call_cancel(mesh->lease.beat);
    if (mesh->lease.call != NULL)
        neo_client_call_cancel(mesh->lease.call);
    /* If this does not arrive, the lease ends by itself. */
    if (mesh->lease.lease[0] != '\0' &&
        neo_registry_v1_Registry_Deregister_start(mesh->registry, &options, &request, &events, mesh,
                                                  &call, NULL) != NEO_OK)
        return;
}
