/* SPDX-License-Identifier: Apache-2.0 */
#include "support/plane.h"

#include "../unit/unit.h"

#include "ca/signer.h"
#include "support/sim.h"

#include <neo/store.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void *run_signer(void *self)
{
    struct plane *p = self;
    char dir[160];

    (void)snprintf(dir, sizeof(dir), "%s/ca/signer", p->folder);
    (void)signer_serve(p->signer_in, p->signer_out, dir, "neo.test", true);
    (void)close(p->signer_in);
    (void)close(p->signer_out);
    return NULL;
}

static enum neo_code record(void *self, const struct neo_audit_record *r, struct neo_error *err)
{
    struct plane *p = self;

    if (p->no_records)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "the disk is full");
    if (strcmp(r->decision, "deny") == 0) {
        p->denials++;
        (void)snprintf(p->last_denial, sizeof(p->last_denial), "%s %s", r->id.text, r->detail);
        return NEO_OK;
    }
    p->records++;
    (void)snprintf(p->last_record, sizeof(p->last_record), "%s", r->detail);
    return NEO_OK;
}

void plane_start_ca(struct plane *p)
{
    char dir[160], registry_file[160];
    int requests[2], answers[2];
    struct neo_error err;

    (void)snprintf(dir, sizeof(dir), "%s/ca", p->folder);
    (void)snprintf(registry_file, sizeof(registry_file), "%s/registry.address", p->folder);
    (void)mkdir(dir, 0700);
    assert_int_equal(pipe2(requests, O_CLOEXEC), 0);
    assert_int_equal(pipe2(answers, O_CLOEXEC), 0);
    p->signer_in = requests[0];
    p->signer_out = answers[1];
    assert_int_equal(pthread_create(&p->signer, NULL, run_signer, p), 0);
    sim_host(PLANE_CA);
    assert_int_equal(neo_runtime_new(1, &p->runtime, &err), NEO_OK);
    const struct ca_options options = {
        .dir = dir,
        .trust_domain = "neo.test",
        .listen = PLANE_CA ":8441",
        .registry_file = registry_file,
        .leaf_life = p->leaf_life,
        .development = true,
        .log = &p->log,
        .has_signer = true,
        .signer_ask = requests[1],
        .signer_answer = answers[0],
        .record = record,
        .record_self = p,
        .attest_policies = p->attest_policies,
        .attest_trust = p->attest_trust,
        .read_rules = p->read_rules,
        .rules_self = p->rules_self,
    };
    if (ca_start(&options, p->runtime, &p->ca, &err) != NEO_OK)
        fail_msg("%s", err.message);
}

void plane_stop_ca(struct plane *p)
{
    if (p->ca == NULL)
        return;
    ca_stop(p->ca);
    p->ca = NULL;
    assert_int_equal(pthread_join(p->signer, NULL), 0);
    neo_runtime_free(p->runtime);
}

void plane_start(struct plane *p, const char *folder, int64_t leaf_life)
{
    *p = (struct plane){.leaf_life = leaf_life,
                        .log = {.fd = 2, .level = NEO_LOG_OFF, .wall_nsec = neo_wall_nsec}};
    (void)snprintf(p->folder, sizeof(p->folder), "%s", folder);
    plane_start_ca(p);
}

static bool is_settled(void *self)
{
    return mesh_is_settled(self);
}

enum neo_code plane_join(struct plane *p, const char *host, const char *service, const char *join,
                         struct neo_mesh **ret, struct neo_error *err)
{
    char state[200], listen[64];
    const bool is_registry = strcmp(service, "neo-registry") == 0;
    const struct neo_mesh_options options = {
        .service = service,
        .state_dir = state,
        .join = join,
        .listen = listen,
        .admin = "",
        .audit_file = "",
        .workers = 1,
        .development = true,
        .simulated_tee = p->simulated_tee,
        .measurement = p->measurement,
        .own_policy = is_registry || p->registry == NULL, /* else it would wait for one */
        .log_level = NEO_LOG_OFF,
    };

    (void)snprintf(state, sizeof(state), "%s/%s", p->folder, service);
    (void)snprintf(listen, sizeof(listen), "%s:%d", host, is_registry ? 8442 : 0);
    sim_host(host);
    NEO_TRY(mesh_begin(&options, ret, err));
    (void)sim_wait(is_settled, *ret, 15 * NEO_NSEC_PER_SEC);
    return mesh_finish(*ret, err);
}

struct neo_mesh *plane_service(struct plane *p, const char *host, const char *service)
{
    NEO_CLEANUP(neo_buffer_fini_secret) struct neo_buffer join = {0};
    struct neo_mesh *mesh = NULL;
    struct neo_error err;
    int64_t expires;

    if (ca_join_string(p->ca, service, 0, &join, &expires, &err) != NEO_OK ||
        !neo_buffer_append_byte(&join, '\0') ||
        plane_join(p, host, service, (const char *)join.at, &mesh, &err) != NEO_OK)
        fail_msg("%s: %s", service, err.message);
    return mesh;
}

void plane_start_registry(struct plane *p, const char *policy)
{
    char state[160], address[160];
    struct neo_error err;

    (void)snprintf(p->policy, sizeof(p->policy), "%s/policy.yaml", p->folder);
    (void)snprintf(state, sizeof(state), "%s/neo-registry", p->folder);
    (void)snprintf(address, sizeof(address), "%s/registry.address", p->folder);
    assert_int_equal(neo_file_replace(p->policy, neo_text(policy), 0600, &err), NEO_OK);
    assert_int_equal(neo_file_replace(address, NEO_LIT(PLANE_REGISTRY ":8442\n"), 0600, &err),
                     NEO_OK);
    p->documents[0] = p->policy;
    p->documents[1] = p->more_policies;
    p->registry_mesh = plane_service(p, PLANE_REGISTRY, "neo-registry");
    const struct registry_options options = {
        .mesh = p->registry_mesh, .dir = state, .documents = p->documents};
    if (registry_start(&options, &p->registry, &err) != NEO_OK)
        fail_msg("%s", err.message);
}

void plane_stop_registry(struct plane *p)
{
    if (p->registry == NULL)
        return;
    while (registry_is_busy(p->registry))
        sim_run_for(NEO_NSEC_PER_MSEC);
    registry_stop(p->registry);
    neo_mesh_free(p->registry_mesh);
    p->registry = NULL;
}

void plane_stop(struct plane *p)
{
    plane_stop_registry(p);
    plane_stop_ca(p);
}
