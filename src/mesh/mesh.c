/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one place where a new identity, trust, policy or limit enters: it is merged
 * into the epoch, and every server and channel is told.
 */
#include "mesh/mesh.h"

#include "rpc/target.h"

#include <neo/channel_options.h>
#include <neo/encoding.h>
#include <neo/memory.h>
#include <neo/store.h>

#include <stdio.h>

#define START_PATIENCE (15 * NEO_NSEC_PER_SEC)

/* --- epochs ----------------------------------------------------------------------------------- */

void mesh_epoch_release(struct neo_epoch *epoch)
{
    neo_identity_unref(epoch->identity);
    neo_trust_unref(epoch->trust);
    neo_policy_unref(epoch->policy);
    neo_limits_unref(epoch->limits);
    neo_attest_policies_unref(epoch->attest_policies);
    neo_attest_trust_unref(epoch->attest_trust);
    *epoch = (struct neo_epoch){0};
}

static struct neo_epoch hold(const struct neo_epoch *e)
{
    struct neo_epoch held = *e;

    if (e->identity != NULL)
        (void)neo_identity_ref(e->identity);
    if (e->trust != NULL)
        (void)neo_trust_ref(e->trust);
    if (e->policy != NULL)
        (void)neo_policy_ref(e->policy);
    if (e->limits != NULL)
        (void)neo_limits_ref(e->limits);
    if (e->attest_policies != NULL)
        (void)neo_attest_policies_ref(e->attest_policies);
    if (e->attest_trust != NULL)
        (void)neo_attest_trust_ref(e->attest_trust);
    return held;
}

struct neo_epoch mesh_epoch(struct neo_mesh *mesh)
{
    (void)pthread_mutex_lock(&mesh->shared.lock);
    struct neo_epoch held = hold(&mesh->shared.epoch);
    (void)pthread_mutex_unlock(&mesh->shared.lock);
    return held;
}

#define MERGE(to, from, old, member)                                                               \
    do {                                                                                           \
        if ((from)->member != NULL) {                                                              \
            (old)->member = (to)->member;                                                          \
            (to)->member = (from)->member;                                                         \
        }                                                                                          \
    } while (0)

/* Together: those that share connections are to go on with them. */
static void tell_channels(struct neo_mesh *mesh, const struct neo_epoch *told)
{
    NEO_CLEANUP(neo_freep) struct neo_channel **channels = NULL;
    size_t n = 0;

    list_each (node, &mesh->users.channels)
        n++;
    channels = neo_alloc((n + 1) * sizeof(struct neo_channel *));
    n = 0;
    list_each (node, &mesh->users.channels) {
        struct neo_channel *channel = neo_owner(node, struct mesh_channel, link)->channel;
        if (channels == NULL)
            neo_channel_update(channel, told);
        else
            channels[n++] = channel;
    }
    neo_channels_update(channels, n, told);
}

void mesh_publish(struct neo_mesh *mesh, struct neo_epoch *change)
{
    struct neo_epoch old = {0};
    struct neo_epoch told = hold(change);

    (void)pthread_mutex_lock(&mesh->shared.lock);
    MERGE(&mesh->shared.epoch, change, &old, identity);
    MERGE(&mesh->shared.epoch, change, &old, trust);
    MERGE(&mesh->shared.epoch, change, &old, policy);
    MERGE(&mesh->shared.epoch, change, &old, limits);
    MERGE(&mesh->shared.epoch, change, &old, attest_policies);
    MERGE(&mesh->shared.epoch, change, &old, attest_trust);
    (void)pthread_cond_broadcast(&mesh->shared.changed);
    (void)pthread_mutex_unlock(&mesh->shared.lock);
    mesh_epoch_release(&old);

    (void)pthread_mutex_lock(&mesh->users.lock);
    if (mesh->users.server != NULL)
        neo_server_update(mesh->users.server, &told);
    tell_channels(mesh, &told);
    (void)pthread_mutex_unlock(&mesh->users.lock);
    if (mesh->ca != NULL)
        neo_channel_update(mesh->ca, &told);
    if (mesh->registry != NULL)
        neo_channel_update(mesh->registry, &told);
    mesh_epoch_release(&told);
}

void mesh_give_up(struct neo_mesh *mesh, const struct neo_error *err)
{
    (void)pthread_mutex_lock(&mesh->shared.lock);
    mesh->shared.failed = true;
    mesh->shared.error = *err;
    (void)pthread_cond_broadcast(&mesh->shared.changed);
    (void)pthread_mutex_unlock(&mesh->shared.lock);
}

/* --- the control plane's channels ------------------------------------------------------------- */

static enum neo_code open_control(struct neo_mesh *mesh, const char *service, const char *address,
                                  struct neo_channel **ret, struct neo_error *err)
{
    /* Feeds are silent for hours: a server of ours may be asked often, and so is missed soon. */
    static const struct neo_channel_tuning tuning = {.keepalive = {.time = 20 * NEO_NSEC_PER_SEC}};
    struct neo_epoch now = mesh_epoch(mesh);
    bool is_ca = strcmp(service, MESH_CA) == 0;
    struct neo_channel_options options = {
        .loop = mesh->loop,
        .tuning = &tuning,
        .epoch = {.identity = now.identity, .trust = now.trust},
        .service = service,
        .trust_domain = mesh->trust_domain,
        .attester = mesh->attester,
        .metrics = mesh->metrics,
        .log = &mesh->log,
        .max_message = NEO_CONTROL_MESSAGE_MAX,
        .refused = is_ca ? rejoin_refused : NULL,
        .refused_self = mesh,
    };
    char target[160];

    target_of_address(address, target, sizeof(target));
    enum neo_code code = neo_channel_open(target, &options, ret, err);
    mesh_epoch_release(&now);
    return code;
}

void mesh_has_identity(struct neo_mesh *mesh)
{
    struct neo_error err;

    if (open_control(mesh, MESH_CA, mesh->ca_address, &mesh->ca, &err) != NEO_OK) {
        mesh_give_up(mesh, &err);
        return;
    }
    trust_follow(mesh);
    if (mesh->own_policy)
        return;
    if (open_control(mesh, MESH_REGISTRY, mesh->registry_address, &mesh->registry, &err) !=
        NEO_OK) {
        mesh_give_up(mesh, &err);
        return;
    }
    feed_follow(mesh);
    resolver_connected(mesh);
}

/* --- joining ---------------------------------------------------------------------------------- */

static void begin(struct neo_job *job)
{
    struct neo_mesh *mesh = neo_owner(job, struct neo_mesh, begin);

    collateral_begin(mesh);
    identity_begin(mesh);
}

static bool is_ready(const struct neo_mesh *mesh)
{
    const struct neo_epoch *e = &mesh->shared.epoch;

    return mesh->shared.failed ||
           (e->identity != NULL && e->trust != NULL && (e->policy != NULL || mesh->own_policy));
}

bool mesh_is_settled(struct neo_mesh *mesh)
{
    (void)pthread_mutex_lock(&mesh->shared.lock);
    bool settled = is_ready(mesh);
    (void)pthread_mutex_unlock(&mesh->shared.lock);
    return settled;
}

/* Returns when it is settled, or patience has ended. */
static void wait_until_settled(struct neo_mesh *mesh)
{
    int64_t until = neo_wall_nsec() + (int64_t)START_PATIENCE;
    struct timespec at = {.tv_sec = until / 1000000000, .tv_nsec = until % 1000000000};
    int waited = 0;

    (void)pthread_mutex_lock(&mesh->shared.lock);
    while (!is_ready(mesh) && waited == 0)
        waited = pthread_cond_timedwait(&mesh->shared.changed, &mesh->shared.lock, &at);
    (void)pthread_mutex_unlock(&mesh->shared.lock);
}

static enum neo_code judge_start(struct neo_mesh *mesh, struct neo_error *err)
{
    (void)pthread_mutex_lock(&mesh->shared.lock);
    bool ready = is_ready(mesh);
    bool failed = mesh->shared.failed;
    bool has_identity = mesh->shared.epoch.identity != NULL;
    struct neo_error why = mesh->shared.error;
    (void)pthread_mutex_unlock(&mesh->shared.lock);
    if (failed) {
        if (err != NULL)
            *err = why;
        return why.code;
    }
    if (ready)
        return NEO_OK;
    return neo_fail(err, NEO_UNAVAILABLE,
                    has_identity ? "no policy came from the registry at %s, and none is on disk; "
                                   "nothing can be allowed without one"
                                 : "the CA at %s did not answer in time",
                    has_identity ? mesh->registry_address : mesh->ca_address);
}

static enum neo_code copy_options(struct neo_mesh *mesh, const struct neo_mesh_options *o,
                                  struct neo_error *err)
{
    if (o->service == NULL || !neo_is_service_name(neo_text(o->service)))
        return neo_fail(err, NEO_INVALID_ARGUMENT, "'%s' is no service name; use [a-z0-9-]",
                        o->service == NULL ? "" : o->service);
    if (o->state_dir == NULL)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "give a state folder: --state DIR");
    mesh->service = neo_string_dup(o->service);
    mesh->state_dir = neo_string_dup(o->state_dir);
    mesh->listen = neo_string_dup(o->listen == NULL ? "127.0.0.1:0" : o->listen);
    mesh->admin_listen = neo_string_dup(o->admin == NULL ? "127.0.0.1:0" : o->admin);
    mesh->service_config = o->service_config == NULL ? NULL : neo_string_dup(o->service_config);
    if (mesh->service == NULL || mesh->state_dir == NULL || mesh->listen == NULL ||
        mesh->admin_listen == NULL || (o->service_config != NULL && mesh->service_config == NULL))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory joining");
    mesh->development = o->development;
    mesh->own_policy = o->own_policy;
    (void)snprintf(mesh->version, sizeof(mesh->version), "%s",
                   o->version == NULL ? "0.0.0" : o->version);
    if (o->instance != NULL) {
        (void)snprintf(mesh->instance, sizeof(mesh->instance), "%s", o->instance);
    } else {
        uint32_t random;
        neo_random(&random, sizeof(random));
        (void)snprintf(mesh->instance, sizeof(mesh->instance), "%s-%08x", o->service, random);
    }
    mesh->log = (struct neo_log){
        .fd = 2, .level = o->log_level, .service = mesh->instance, .wall_nsec = neo_wall_nsec};
    return NEO_OK;
}

static enum neo_code open_audit(struct neo_mesh *mesh, const struct neo_mesh_options *o,
                                struct neo_error *err)
{
    char path[1024];

    if (o->audit_file != NULL && o->audit_file[0] == '\0')
        return NEO_OK;
    (void)snprintf(path, sizeof(path), "%s/audit.jsonl", mesh->state_dir);
    const struct neo_audit_file_options options = {
        .path = o->audit_file == NULL ? path : o->audit_file,
        .metrics = mesh->metrics,
        .log = &mesh->log,
    };
    return neo_audit_file_open_with(&options, &mesh->audit, err);
}

static enum neo_code set_up(struct neo_mesh *mesh, const struct neo_mesh_options *o,
                            struct neo_error *err)
{
    NEO_TRY(copy_options(mesh, o, err));
    NEO_TRY(state_prepare(mesh->state_dir, err));
    if (o->join != NULL) {
        NEO_TRY(neo_join_parse(o->join, &mesh->join, err));
        mesh->has_join = true;
        (void)snprintf(mesh->ca_address, sizeof(mesh->ca_address), "%s", mesh->join.address);
    }
    mesh->metrics = neo_metrics_new();
    mesh->census = neo_census_new();
    if (mesh->metrics == NULL || mesh->census == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory joining");
    NEO_TRY(collateral_new(mesh, o, err));
    NEO_TRY(mesh_make_attester(mesh, o, err));
    NEO_TRY(open_audit(mesh, o, err));
    NEO_TRY(neo_runtime_new(1, &mesh->control, err));
    NEO_TRY(neo_runtime_new(o->workers, &mesh->runtime, err));
    mesh->loop = neo_runtime_loop(mesh->control, 0);
    return NEO_OK;
}

static void close_joining(void *self)
{
    struct neo_mesh *mesh = self;

    if (mesh->rejoin.under_way)
        return; /* it goes on without anybody who waits */
    neo_channel_free(mesh->joining);
    mesh->joining = NULL;
}

enum neo_code mesh_begin(const struct neo_mesh_options *options, struct neo_mesh **ret,
                         struct neo_error *err)
{
    struct neo_mesh *mesh = neo_alloc(sizeof(*mesh));

    if (mesh == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory joining");
    (void)pthread_mutex_init(&mesh->shared.lock, NULL);
    (void)pthread_cond_init(&mesh->shared.changed, NULL);
    (void)pthread_mutex_init(&mesh->users.lock, NULL);
    list_init(&mesh->users.channels);
    resolver_init(mesh);
    enum neo_code code = set_up(mesh, options, err);
    if (code != NEO_OK) {
        neo_mesh_free(mesh);
        return code;
    }
    mesh->begin.run = begin;
    neo_loop_post(mesh->loop, &mesh->begin);
    *ret = mesh;
    return NEO_OK;
}

enum neo_code mesh_finish(struct neo_mesh *mesh, struct neo_error *err)
{
    enum neo_code code = judge_start(mesh, err);

    neo_runtime_call(mesh->control, 0, close_joining, mesh);
    if (code != NEO_OK)
        neo_mesh_free(mesh);
    return code;
}

enum neo_code neo_mesh_join(const struct neo_mesh_options *options, struct neo_mesh **ret,
                            struct neo_error *err)
{
    struct neo_mesh *mesh;

    NEO_TRY(mesh_begin(options, &mesh, err));
    wait_until_settled(mesh);
    NEO_TRY(mesh_finish(mesh, err));
    *ret = mesh;
    return NEO_OK;
}

/* --- the end ---------------------------------------------------------------------------------- */

static void stop_control(void *self)
{
    struct neo_mesh *mesh = self;

    lease_stop(mesh);
    follow_stop(&mesh->trust.follow);
    feed_stop(mesh);
    resolver_stop(mesh);
    collateral_stop(mesh);
    identity_stop(mesh);
    rejoin_stop(mesh);
    admin_stop(mesh);
    neo_channel_free(mesh->joining);
    neo_channel_free(mesh->ca);
    neo_channel_free(mesh->registry);
    mesh->joining = mesh->ca = mesh->registry = NULL;
}

void neo_mesh_free(struct neo_mesh *mesh)
{
    if (mesh == NULL)
        return;
    neo_server_free(mesh->users.server);
    list_each (node, &mesh->users.channels)
        neo_mesh_channel_free(mesh, neo_owner(node, struct mesh_channel, link)->channel);
    if (mesh->control != NULL)
        neo_runtime_call(mesh->control, 0, stop_control, mesh);
    neo_runtime_free(mesh->runtime);
    neo_runtime_free(mesh->control);
    collateral_free(mesh);
    resolver_fini(mesh);
    if (mesh->audit != NULL)
        neo_audit_file_close(mesh->audit);
    if (mesh->attester != NULL)
        mesh->attester->free(mesh->attester);
    mesh_epoch_release(&mesh->shared.epoch);
    neo_key_unref(mesh->identity.next);
    neo_buffer_fini(&mesh->identity.csr);
    mesh_enrol_fini(mesh);
    neo_metrics_free(mesh->metrics);
    neo_census_free(mesh->census);
    neo_zeroise(&mesh->join, sizeof(mesh->join));
    (void)pthread_cond_destroy(&mesh->shared.changed);
    (void)pthread_mutex_destroy(&mesh->shared.lock);
    (void)pthread_mutex_destroy(&mesh->users.lock);
    neo_free(mesh->service);
    neo_free(mesh->state_dir);
    neo_free(mesh->listen);
    neo_free(mesh->admin_listen);
    neo_free(mesh->service_config);
    neo_free(mesh);
}
