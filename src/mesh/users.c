/* SPDX-License-Identifier: Apache-2.0 */
/* The server and the channels of a service: they live by the mesh's epoch. */
#include "mesh/mesh.h"

#include "rpc/target.h"

#include <neo/memory.h>

#include <stdio.h>

enum { DRAIN_SECONDS = 10 };

static enum neo_code make_server(struct neo_mesh *mesh, struct neo_error *err)
{
    /* Held throughout, so that no epoch can come between reading it and being told of the next. */
    (void)pthread_mutex_lock(&mesh->users.lock);
    struct neo_epoch now = mesh_epoch(mesh);
    struct neo_server_options options = {
        .name = mesh->service,
        .runtime = mesh->runtime,
        .epoch = now,
        .attester = mesh->attester,
        .audit = mesh->audit == NULL ? NULL : neo_audit_file_sink(mesh->audit),
        .metrics = mesh->metrics,
        .census = mesh->census,
        .log = &mesh->log,
    };

    enum neo_code code = neo_server_new(&options, &mesh->users.server, err);
    mesh_epoch_release(&now);
    (void)pthread_mutex_unlock(&mesh->users.lock);
    return code;
}

enum neo_code neo_mesh_serve(struct neo_mesh *mesh, const struct neo_service_info *info,
                             const void *handlers, void *self, struct neo_error *err)
{
    if (mesh->users.server == NULL)
        NEO_TRY(make_server(mesh, err));
    return neo_server_add(mesh->users.server, info, handlers, self, err);
}

static void begin_lease(void *self)
{
    lease_begin(self);
}

struct admin_call {
    struct neo_mesh *mesh;
    struct neo_error *err;
    enum neo_code code;
};

static void begin_admin(void *self)
{
    struct admin_call *call = self;

    call->code = admin_start(call->mesh, call->err);
}

enum neo_code neo_mesh_listen(struct neo_mesh *mesh, struct neo_error *err)
{
    struct admin_call admin = {.mesh = mesh, .err = err, .code = NEO_OK};

    if (mesh->users.server == NULL)
        NEO_TRY(make_server(mesh, err));
    NEO_TRY(neo_server_listen(mesh->users.server, mesh->listen, err));
    if (mesh->admin_listen[0] != '\0')
        neo_runtime_call(mesh->control, 0, begin_admin, &admin);
    if (admin.code != NEO_OK)
        return admin.code;
    if (!mesh->own_policy)
        neo_runtime_call(mesh->control, 0, begin_lease, mesh);
    return NEO_OK;
}

static void end_lease(void *self)
{
    lease_stop(self);
}

enum neo_code neo_mesh_run(struct neo_mesh *mesh, struct neo_error *err)
{
    if (neo_mesh_address(mesh) == NULL)
        NEO_TRY(neo_mesh_listen(mesh, err));
    neo_log_info(&mesh->log, "service.ready", NEO_STR("address", neo_mesh_address(mesh)),
                 NEO_STR("admin", admin_address(mesh)));
    neo_runtime_wait(mesh->runtime);
    neo_log_info(&mesh->log, "service.stopping", NEO_STR("why", "told to"));
    neo_runtime_call(mesh->control, 0, end_lease, mesh);
    neo_server_drain(mesh->users.server, DRAIN_SECONDS * NEO_NSEC_PER_SEC);
    neo_mesh_free(mesh);
    return NEO_OK;
}

/* A worker that waited here for itself, or for the thread that tells of a new epoch, would wait for
   ever. */
static bool is_worker(const struct neo_mesh *mesh)
{
    return neo_runtime_is_worker(mesh->runtime) || neo_runtime_is_worker(mesh->control);
}

enum neo_code neo_mesh_channel(struct neo_mesh *mesh, const char *service, unsigned worker,
                               struct neo_channel **ret, struct neo_error *err)
{
    struct mesh_channel *entry;
    char target[160];

    if (is_worker(mesh))
        return neo_fail(err, NEO_FAILED_PRECONDITION,
                        "neo_mesh_channel() waits for workers and was called on one: open channels "
                        "before neo_mesh_run(), or on a thread of your own");
    entry = neo_alloc(sizeof(*entry));
    if (entry == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory opening a channel");
    /* The control plane is not in its own registry: its addresses came with the certificate. */
    if (strcmp(service, MESH_CA) == 0)
        target_of_address(mesh->ca_address, target, sizeof(target));
    else if (strcmp(service, MESH_REGISTRY) == 0)
        target_of_address(mesh->registry_address, target, sizeof(target));
    else
        (void)snprintf(target, sizeof(target), "neo:///%s", service);
    /* Held throughout, so that no epoch can come between reading it and being told of the next. */
    (void)pthread_mutex_lock(&mesh->users.lock);
    struct neo_epoch now = mesh_epoch(mesh);
    struct neo_channel_options options = {
        .loop = neo_runtime_loop(mesh->runtime, worker % neo_runtime_workers(mesh->runtime)),
        .epoch = now,
        .service = service,
        .trust_domain = mesh->trust_domain,
        .resolver = &mesh->resolver.face,
        .attester = mesh->attester,
        .service_config = mesh->service_config,
        .metrics = mesh->metrics,
        .census = mesh->census,
        .log = &mesh->log,
    };
    enum neo_code code = neo_channel_open(target, &options, &entry->channel, err);
    mesh_epoch_release(&now);
    if (code == NEO_OK) {
        list_push_back(&mesh->users.channels, &entry->link);
        *ret = entry->channel;
    }
    (void)pthread_mutex_unlock(&mesh->users.lock);
    if (code != NEO_OK)
        neo_free(entry);
    return code;
}

void neo_mesh_channel_free(struct neo_mesh *mesh, struct neo_channel *channel)
{
    struct mesh_channel *found = NULL;

    (void)pthread_mutex_lock(&mesh->users.lock);
    list_each (node, &mesh->users.channels) {
        struct mesh_channel *entry = neo_owner(node, struct mesh_channel, link);
        if (entry->channel == channel) {
            list_remove(&entry->link);
            found = entry;
            break;
        }
    }
    (void)pthread_mutex_unlock(&mesh->users.lock);
    neo_free(found);
    neo_channel_free(channel);
}

struct neo_server *neo_mesh_server(struct neo_mesh *mesh)
{
    return mesh->users.server;
}

struct neo_runtime *neo_mesh_runtime(struct neo_mesh *mesh)
{
    return mesh->runtime;
}

struct neo_metrics *neo_mesh_metrics(struct neo_mesh *mesh)
{
    return mesh->metrics;
}

const struct neo_log *neo_mesh_log(const struct neo_mesh *mesh)
{
    return &mesh->log;
}

enum neo_code neo_mesh_record(struct neo_mesh *mesh, const struct neo_audit_record *record,
                              struct neo_error *err)
{
    if (mesh->audit == NULL)
        return neo_fail(err, NEO_FAILED_PRECONDITION, "'%s' keeps no audit trail", mesh->service);
    return neo_audit_file_append_durable(mesh->audit, record, err);
}

const char *neo_mesh_instance(const struct neo_mesh *mesh)
{
    return mesh->instance;
}

const char *neo_mesh_state_dir(const struct neo_mesh *mesh)
{
    return mesh->state_dir;
}

const char *neo_mesh_address(const struct neo_mesh *mesh)
{
    const char *address =
        mesh->users.server == NULL ? NULL : neo_server_address(mesh->users.server);

    return address == NULL || address[0] == '\0' ? NULL : address;
}
