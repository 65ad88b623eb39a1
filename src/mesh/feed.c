/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policy, limits and reference values come as the documents people wrote. All of a
 * snapshot compiles or none of it counts: the last good one stays in force, in
 * memory and on disk. Its number grows: one with a lower number, or another one under
 * the same, comes from a registry that was set back, and is refused until an operator
 * says otherwise (neo registry advance).
 */
#include "mesh/mesh.h"

#include <stdio.h>

#define PATIENCE (3 * NEO_NSEC_PER_SEC)

static enum neo_code compile_attest(struct neo_mesh *mesh, struct neo_bytes simulated_root,
                                    const struct neo_document *documents, size_t n,
                                    struct neo_epoch *change, struct neo_error *err)
{
    NEO_TRY(neo_attest_policies_compile(documents, n, mesh->development, &change->attest_policies,
                                        err));
    if (mesh->own_policy)
        neo_attest_policies_observe(change->attest_policies);
    return collateral_trust(mesh, simulated_root, &change->attest_trust, err);
}

static enum neo_code compile(struct neo_mesh *mesh, const struct neo_document *documents, size_t n,
                             struct neo_bytes simulated_root, struct neo_epoch *change,
                             struct neo_error *err)
{
    NEO_TRY(neo_policy_compile(documents, n, &change->policy, err));
    NEO_TRY(neo_limits_compile(documents, n, &change->limits, err));
    return compile_attest(mesh, simulated_root, documents, n, change, err);
}

static enum neo_code compile_snapshot(struct neo_mesh *mesh,
                                      const struct neo_policy_v1_Snapshot *snapshot,
                                      struct neo_epoch *change, struct neo_error *err)
{
    struct neo_arena arena;
    size_t n = snapshot->documents.len;

    neo_arena_init(&arena, 1 << 20);
    struct neo_document *documents = neo_arena_calloc(&arena, n + 1, sizeof(*documents));
    enum neo_code code = NEO_OK;
    if (documents == NULL)
        code = neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory reading the policy");
    for (size_t i = 0; code == NEO_OK && i < n; i++)
        documents[i] = (struct neo_document){.name = snapshot->documents.at[i]->name,
                                             .text = snapshot->documents.at[i]->text};
    if (code == NEO_OK)
        code = compile(mesh, documents, n, snapshot->simulated_root, change, err);
    neo_arena_fini(&arena);
    return code;
}

enum neo_code neo_mesh_set_documents(struct neo_mesh *mesh, const struct neo_document *documents,
                                     size_t n, struct neo_bytes simulated_root,
                                     struct neo_error *err)
{
    struct neo_epoch change = {0};

    collateral_lock(mesh);
    enum neo_code code = compile(mesh, documents, n, simulated_root, &change, err);
    if (code == NEO_OK)
        mesh_publish(mesh, &change);
    else
        mesh_epoch_release(&change);
    collateral_unlock(mesh);
    return code;
}

/* A registry without numbers is an old one, and has none for anybody. */
static bool is_set_back(const struct neo_mesh *mesh, const struct neo_policy_v1_Snapshot *snapshot)
{
    if (snapshot->number != mesh->feed.number)
        return snapshot->number < mesh->feed.number;
    return snapshot->number != 0 && !neo_bytes_is(snapshot->version, mesh->feed.number_version);
}

static void note_number(struct neo_mesh *mesh, const struct neo_policy_v1_Snapshot *snapshot)
{
    mesh->feed.number = snapshot->number;
    (void)snprintf(mesh->feed.number_version, sizeof(mesh->feed.number_version), "%.*s",
                   NEO_FMT(snapshot->version));
}

/* `hash` is what records of decisions, `neo check` and `neo why` call it. */
static void note_version(struct neo_mesh *mesh, const struct neo_policy_v1_Snapshot *snapshot,
                         const char *hash)
{
    mesh->feed.have = true;
    note_number(mesh, snapshot);
    (void)snprintf(mesh->feed.version, sizeof(mesh->feed.version), "%.*s",
                   NEO_FMT(snapshot->version));
    neo_log_info(&mesh->log, "mesh.policy", NEO_U64("number", snapshot->number),
                 NEO_STR("hash", hash), NEO_U64("documents", snapshot->documents.len));
}

static bool adopt(struct neo_mesh *mesh, const struct neo_policy_v1_Snapshot *snapshot)
{
    struct neo_epoch change = {0};
    struct neo_error err;

    collateral_lock(mesh);
    enum neo_code code = compile_snapshot(mesh, snapshot, &change, &err);
    if (code == NEO_OK) {
        note_version(mesh, snapshot, neo_policy_version(change.policy));
        mesh_publish(mesh, &change);
    }
    collateral_unlock(mesh);
    if (code == NEO_OK) {
        lease_tell(mesh);
        return true;
    }
    neo_log_error(&mesh->log, "mesh.policy_refused", NEO_BYTES("version", snapshot->version),
                  NEO_STR("why", err.message),
                  NEO_STR("in_force", mesh->feed.have ? mesh->feed.version : "none"));
    mesh_epoch_release(&change);
    return false;
}

static void ask(struct follow *f, void *request)
{
    struct neo_policy_v1_WatchRequest *r = request;

    r->have_version = neo_text(f->mesh->feed.have ? f->mesh->feed.version : "");
}

static void heard(struct follow *f, const void *response)
{
    const struct neo_policy_v1_Snapshot *snapshot = response;
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer copy = {0};
    struct neo_error err;

    if (is_set_back(f->mesh, snapshot)) { /* patience goes on: the last one on disk will do */
        neo_log_error(&f->mesh->log, "mesh.policy_set_back", NEO_U64("number", snapshot->number),
                      NEO_U64("have", f->mesh->feed.number),
                      NEO_STR("why",
                              "the registry hands out an older policy than it did; if it was "
                              "restored from a copy: neo registry advance --beyond <have>"));
        return;
    }
    neo_loop_disarm(f->mesh->loop, &f->mesh->feed.patience);
    if (adopt(f->mesh, snapshot) && neo_policy_v1_Snapshot_encode(snapshot, &copy, &err) == NEO_OK)
        state_save(f->mesh, "policy.bin", neo_buffer_bytes(&copy), 0600);
}

/* What was last adopted. False when there is none. */
static bool load_last(struct neo_mesh *mesh, struct neo_buffer *file, struct neo_arena *arena,
                      struct neo_policy_v1_Snapshot *ret)
{
    return state_load(mesh, "policy.bin", file, NULL) == NEO_OK &&
           neo_policy_v1_Snapshot_decode(neo_buffer_bytes(file), ret, arena, NULL) == NEO_OK;
}

/* The registry does not answer: what it last said must do. */
static void patience_ended(struct neo_timer *timer)
{
    struct neo_mesh *mesh = neo_owner(timer, struct neo_mesh, feed.patience);
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer file = {0};
    struct neo_policy_v1_Snapshot snapshot = {0};
    struct neo_arena arena;

    if (mesh->feed.have)
        return;
    neo_arena_init(&arena, 16 << 20);
    if (load_last(mesh, &file, &arena, &snapshot) && adopt(mesh, &snapshot))
        neo_log_warn(&mesh->log, "mesh.policy_from_disk", NEO_U64("number", mesh->feed.number));
    neo_arena_fini(&arena);
}

static void remember_number(struct neo_mesh *mesh)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer file = {0};
    struct neo_policy_v1_Snapshot snapshot = {0};
    struct neo_arena arena;

    neo_arena_init(&arena, 16 << 20);
    if (load_last(mesh, &file, &arena, &snapshot))
        note_number(mesh, &snapshot);
    neo_arena_fini(&arena);
}

void feed_follow(struct neo_mesh *mesh)
{
    remember_number(mesh);
    mesh->feed.follow = (struct follow){
        .mesh = mesh,
        .name = "policy",
        .channel = mesh->registry,
        .method = &neo_policy_v1_PolicyFeed_methods[neo_policy_v1_PolicyFeed_Watch_INDEX],
        .ask = ask,
        .heard = heard,
    };
    mesh->feed.patience.expired = patience_ended;
    neo_loop_arm(mesh->loop, &mesh->feed.patience, neo_loop_now(mesh->loop) + PATIENCE);
    follow_start(&mesh->feed.follow);
}

void feed_stop(struct neo_mesh *mesh)
{
    neo_loop_disarm(mesh->loop, &mesh->feed.patience);
    follow_stop(&mesh->feed.follow);
}
