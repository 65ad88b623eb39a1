/* SPDX-License-Identifier: Apache-2.0 */
#include "registry/feed.h"

#include "registry/table.h"

#include <neo/encoding.h>
#include <neo/loop.h>
#include <neo/memory.h>
#include <neo/store.h>

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum {
    DOCUMENTS_MAX = 512,
    DOCUMENT_SIZE_MAX = 1 << 20,
    SET_BUDGET = 64 << 20,
    NUMBERS_MAX = 40 << 10,
    OWN_DOCUMENTS = 1, /* the first is the registry's own, and nobody else's business */
};

/* What the registry itself lives by: nobody's mistake in a file can lock the mesh out. */
static const char system_policy[] =
    "service: \"*\"\n"
    "allowed_calls:\n"
    "  - target_service: \"neo-registry\"\n"
    "    operations: [\"neo.registry.v1.Registry/*\", \"neo.policy.v1.PolicyFeed/Watch\"]\n"
    "---\n"
    "service: \"neo-operator\"\n"
    "allowed_calls:\n"
    "  - target_service: \"neo-registry\"\n"
    "    operations: [\"neo.policy.v1.PolicyFeed/GetStatus\","
    " \"neo.policy.v1.PolicyFeed/Advance\", \"neo.policy.v1.PolicyFeed/NoteRollout\"]\n";

struct set {
    struct neo_arena arena;
    struct neo_document documents[DOCUMENTS_MAX];
    size_t n;
};

/* --- reading ---------------------------------------------------------------------------------- */

static enum neo_code add_file(struct set *set, const char *path, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};

    if (set->n == DOCUMENTS_MAX)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "more than %d policy files", DOCUMENTS_MAX);
    NEO_TRY(neo_file_read(path, DOCUMENT_SIZE_MAX, &text, err));
    set->documents[set->n++] = (struct neo_document){
        .name = neo_arena_copy(&set->arena, neo_text(path)),
        .text = neo_arena_copy(&set->arena, neo_buffer_bytes(&text)),
    };
    return neo_arena_failed(&set->arena)
               ? neo_fail(err, NEO_RESOURCE_EXHAUSTED, "the policy files are too large in all")
               : NEO_OK;
}

static bool ends_in(const char *name, const char *suffix)
{
    size_t len = strlen(name), n = strlen(suffix);

    return len > n && strcmp(name + len - n, suffix) == 0;
}

/* Both suffixes are YAML's: a rule that was written in one of them is not to be overlooked. */
static int is_yaml(const struct dirent *d)
{
    return d->d_name[0] != '.' && (ends_in(d->d_name, ".yaml") || ends_in(d->d_name, ".yml"));
}

static enum neo_code add_folder(struct set *set, const char *path, struct neo_error *err)
{
    struct dirent **names;
    enum neo_code code = NEO_OK;
    char full[1024];

    int n = scandir(path, &names, is_yaml, alphasort);
    if (n < 0)
        return neo_fail_errno(err, "cannot list the policy folder '%s'", path);
    for (int i = 0; i < n; i++) {
        (void)snprintf(full, sizeof(full), "%s/%s", path, names[i]->d_name);
        if (code == NEO_OK)
            code = add_file(set, full, err);
        neo_free(names[i]);
    }
    neo_free(names);
    return code;
}

static enum neo_code read_set(const struct policy_feed *f, struct set *set, struct neo_error *err)
{
    struct stat st;

    neo_arena_init(&set->arena, SET_BUDGET);
    set->documents[set->n++] =
        (struct neo_document){NEO_LIT("builtin/neo-registry.yaml"), neo_text(system_policy)};
    for (const char *const *path = f->paths; *path != NULL; path++) {
        if (stat(*path, &st) != 0)
            return neo_fail_errno(err, "cannot look at policy '%s'", *path);
        NEO_TRY(S_ISDIR(st.st_mode) ? add_folder(set, *path, err) : add_file(set, *path, err));
    }
    return NEO_OK;
}

static enum neo_code digest_set(const struct set *set, const struct policy_feed *f,
                                uint8_t ret[static NEO_SHA256_LEN], struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer all = {0};
    uint8_t one[NEO_SHA256_LEN];

    for (size_t i = 0; i < set->n; i++) {
        neo_sha256(set->documents[i].name, one);
        (void)neo_buffer_append(&all, neo_bytes(one, sizeof(one)));
        neo_sha256(set->documents[i].text, one);
        (void)neo_buffer_append(&all, neo_bytes(one, sizeof(one)));
    }
    neo_sha256(neo_buffer_bytes(&f->simulated_root), one);
    if (!neo_buffer_append(&all, neo_bytes(one, sizeof(one))))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory reading the policy");
    neo_sha256(neo_buffer_bytes(&all), ret);
    return NEO_OK;
}

/* --- publishing ------------------------------------------------------------------------------- */

static enum neo_code make_snapshot(const struct policy_feed *f, struct set *set,
                                   const char *version, uint64_t number, struct neo_buffer *out,
                                   struct neo_error *err)
{
    struct neo_policy_v1_Document **list = neo_arena_calloc(&set->arena, set->n, sizeof(*list));
    struct neo_policy_v1_Document *each = neo_arena_calloc(&set->arena, set->n, sizeof(*each));
    struct neo_policy_v1_Snapshot snapshot = {
        .version = neo_text(version),
        .number = number,
        .simulated_root = neo_buffer_bytes(&f->simulated_root),
    };

    if (list == NULL || each == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory publishing the policy");
    for (size_t i = OWN_DOCUMENTS; i < set->n; i++) {
        each[i].name = set->documents[i].name;
        each[i].text = set->documents[i].text;
        list[snapshot.documents.len++] = &each[i];
    }
    snapshot.documents.at = list;
    return neo_policy_v1_Snapshot_encode(&snapshot, out, err);
}

/* Who follows takes no larger message, and would be left with what was in force before. */
static enum neo_code check_size(const struct policy_feed *f, struct set *set, const char *version,
                                struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer snapshot = {0};
    const struct neo_document *largest = &set->documents[0];

    NEO_TRY(make_snapshot(f, set, version, UINT64_MAX, &snapshot, err));
    if (snapshot.len <= NEO_POLICY_SET_MAX)
        return NEO_OK;
    for (size_t i = OWN_DOCUMENTS; i < set->n; i++)
        if (set->documents[i].text.len >= largest->text.len)
            largest = &set->documents[i];
    return neo_fail(err, NEO_INVALID_ARGUMENT,
                    "the policy files are %zu bytes in all, and %d can be handed out; the largest, "
                    "'%.*s', has %zu",
                    snapshot.len, NEO_POLICY_SET_MAX, NEO_FMT(largest->name), largest->text.len);
}

/* As whoever follows will compile and name it. */
static enum neo_code hash_set(const struct set *set, char hash[static 80], struct neo_error *err)
{
    struct neo_policy *policy;

    NEO_TRY(
        neo_policy_compile(set->documents + OWN_DOCUMENTS, set->n - OWN_DOCUMENTS, &policy, err));
    (void)snprintf(hash, 80, "%s", neo_policy_version(policy));
    neo_policy_unref(policy);
    return NEO_OK;
}

/* "12 e3b0c44298fc1c14 2026-..." each; the last thousand. For people: that it fails is said. */
static void note_number(const struct policy_feed *f, uint64_t number, const char *hash)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};
    struct neo_error err;

    if (neo_file_read(f->numbers, 1 << 20, &text, NULL) != NEO_OK)
        neo_buffer_clear(&text); /* the first, or begun anew */
    struct neo_bytes kept = neo_buffer_bytes(&text);
    while (kept.len > NUMBERS_MAX) {
        const uint8_t *end = memchr(kept.at, '\n', kept.len);
        if (end == NULL)
            break;
        kept = neo_bytes_from(kept, (size_t)(end - kept.at) + 1);
    }
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer next = {0};
    (void)neo_buffer_append(&next, kept);
    (void)neo_buffer_printf(&next, "%" PRIu64 " %s %" PRId64 "\n", number, hash,
                            neo_wall_nsec() / (int64_t)NEO_NSEC_PER_SEC);
    if (next.failed || neo_file_replace(f->numbers, neo_buffer_bytes(&next), 0600, &err) != NEO_OK)
        neo_log_error(neo_mesh_log(f->mesh), "registry.numbers_not_written",
                      NEO_STR("file", f->numbers));
}

/* Takes the contents of `snapshot`. */
static void hand_out(struct policy_feed *f, struct neo_buffer *snapshot, const char *version,
                     const char *hash, uint64_t number)
{
    (void)pthread_mutex_lock(&f->shared.lock);
    struct neo_buffer old = f->shared.snapshot;
    f->shared.snapshot = *snapshot;
    (void)snprintf(f->shared.version, sizeof(f->shared.version), "%s", version);
    (void)snprintf(f->shared.hash, sizeof(f->shared.hash), "%s", hash);
    f->shared.number = number;
    f->shared.error[0] = '\0';
    f->shared.loaded_at = neo_wall_nsec() / (int64_t)NEO_NSEC_PER_SEC;
    (void)pthread_mutex_unlock(&f->shared.lock);
    neo_buffer_fini(&old);
    watchers_tell(&f->watchers);
}

static enum neo_code publish(struct policy_feed *f, struct set *set,
                             const uint8_t digest[static 32], uint64_t beyond,
                             struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer hex = {0};
    struct neo_buffer snapshot = {0};
    char version[80], hash[80];
    uint64_t number;

    if (!neo_hex_encode(&hex, neo_bytes(digest, 8)))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory publishing the policy");
    (void)snprintf(version, sizeof(version), "%.*s", NEO_FMT(neo_buffer_bytes(&hex)));
    NEO_TRY(check_size(f, set, version, err));
    NEO_TRY(hash_set(set, hash, err));
    if (memcmp(digest, f->in_force, sizeof(f->in_force)) != 0)
        NEO_TRY(neo_mesh_set_documents(f->mesh, set->documents, set->n,
                                       neo_buffer_bytes(&f->simulated_root), err));
    NEO_TRY(table_policy_number(f->table, digest, beyond, &number, err));
    enum neo_code code = make_snapshot(f, set, version, number, &snapshot, err);
    if (code != NEO_OK) {
        neo_buffer_fini(&snapshot);
        return code;
    }
    hand_out(f, &snapshot, version, hash, number);
    memcpy(f->in_force, digest, sizeof(f->in_force));
    note_number(f, number, hash);
    rollout_memory_update(&f->rollouts, f->mesh, set->documents, set->n, number);
    return NEO_OK;
}

static void remember_failure(struct policy_feed *f, const struct neo_error *err)
{
    (void)pthread_mutex_lock(&f->shared.lock);
    (void)snprintf(f->shared.error, sizeof(f->shared.error), "%s", err->message);
    f->shared.failed_at = neo_wall_nsec() / (int64_t)NEO_NSEC_PER_SEC;
    (void)pthread_mutex_unlock(&f->shared.lock);
}

static enum neo_code poll_set(struct policy_feed *f, struct set *set, bool again, uint64_t beyond,
                              struct neo_error *err)
{
    uint8_t digest[NEO_SHA256_LEN];

    NEO_TRY(read_set(f, set, err));
    NEO_TRY(digest_set(set, f, digest, err));
    if (!again && memcmp(digest, f->seen, sizeof(digest)) == 0)
        return NEO_OK;
    memcpy(f->seen, digest, sizeof(digest)); /* tried once, well or not */
    enum neo_code code = publish(f, set, digest, beyond, err);
    if (code == NEO_INTERNAL || code == NEO_RESOURCE_EXHAUSTED || code == NEO_DATA_LOSS)
        memset(f->seen, 0, sizeof(f->seen)); /* not the documents' fault: try again */
    return code;
}

static enum neo_code poll_files(struct policy_feed *f, bool again, uint64_t beyond,
                                struct neo_error *err)
{
    struct set *set = neo_alloc(sizeof(*set));
    struct neo_error why;

    if (set == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory reading the policy");
    (void)pthread_mutex_lock(&f->polling);
    enum neo_code code = poll_set(f, set, again, beyond, &why);
    (void)pthread_mutex_unlock(&f->polling);
    neo_arena_fini(&set->arena);
    neo_free(set);
    if (code == NEO_OK)
        return NEO_OK;
    remember_failure(f, &why);
    *err = why;
    return code;
}

enum neo_code policy_feed_poll(struct policy_feed *f, struct neo_error *err)
{
    return poll_files(f, false, 0, err);
}

enum neo_code policy_feed_advance(struct policy_feed *f, uint64_t beyond, uint64_t *ret_number,
                                  struct neo_error *err)
{
    (void)pthread_mutex_lock(&f->shared.lock);
    uint64_t own = f->shared.number;
    (void)pthread_mutex_unlock(&f->shared.lock);
    NEO_TRY(poll_files(f, true, beyond > own ? beyond : own, err));
    (void)pthread_mutex_lock(&f->shared.lock);
    *ret_number = f->shared.number;
    (void)pthread_mutex_unlock(&f->shared.lock);
    return NEO_OK;
}

/* --- handing out ------------------------------------------------------------------------------ */

static enum neo_flow send_newest(struct neo_call *call, const char *key, void *self)
{
    struct policy_feed *f = self;
    struct neo_policy_v1_Snapshot message = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer wire = {0};
    enum neo_flow flow = NEO_FLOW_MORE;
    struct neo_arena arena;

    (void)key;
    (void)pthread_mutex_lock(&f->shared.lock);
    bool copied = neo_buffer_append(&wire, neo_buffer_bytes(&f->shared.snapshot));
    (void)pthread_mutex_unlock(&f->shared.lock);
    if (!copied) /* half of it, or nothing, would be a policy without limits or attestation */
        return flow;
    neo_arena_init(&arena, SET_BUDGET);
    if (neo_policy_v1_Snapshot_decode(neo_buffer_bytes(&wire), &message, &arena, NULL) == NEO_OK)
        flow = neo_policy_v1_PolicyFeed_Watch_send(call, &message);
    neo_arena_fini(&arena);
    return flow;
}

void policy_feed_init(struct policy_feed *f, struct neo_mesh *mesh, struct table *table,
                      const char *dir, const char *const *paths)
{
    *f = (struct policy_feed){.mesh = mesh, .table = table, .paths = paths};
    (void)snprintf(f->numbers, sizeof(f->numbers), "%s/policy-numbers.txt", dir);
    (void)pthread_mutex_init(&f->polling, NULL);
    (void)pthread_mutex_init(&f->shared.lock, NULL);
    watchers_init(&f->watchers, send_newest, f);
}

void policy_feed_fini(struct policy_feed *f)
{
    neo_buffer_fini(&f->shared.snapshot);
    neo_buffer_fini(&f->simulated_root);
    rollout_memory_fini(&f->rollouts);
    watchers_fini(&f->watchers);
    (void)pthread_mutex_destroy(&f->polling);
    (void)pthread_mutex_destroy(&f->shared.lock);
}

void policy_feed_follow(struct policy_feed *f, struct neo_call *call)
{
    watchers_add(&f->watchers, call, (struct neo_bytes){0});
}

void policy_feed_status(struct policy_feed *f, struct neo_arena *arena,
                        struct neo_policy_v1_GetStatusResponse *ret)
{
    (void)pthread_mutex_lock(&f->shared.lock);
    ret->version = neo_arena_copy(arena, neo_text(f->shared.version));
    ret->last_error = neo_arena_copy(arena, neo_text(f->shared.error));
    ret->loaded_at = f->shared.loaded_at;
    ret->failed_at = f->shared.failed_at;
    ret->number = f->shared.number;
    ret->hash = neo_arena_copy(arena, neo_text(f->shared.hash));
    (void)pthread_mutex_unlock(&f->shared.lock);
}
