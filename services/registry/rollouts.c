/* SPDX-License-Identifier: Apache-2.0 */
#include "registry/rollouts.h"

#include <neo/loop.h>
#include <neo/memory.h>

#include <inttypes.h>
#include <stdio.h>

enum { ARENA = 8 << 20, DETAIL_LEN = 256, PERSON_MAX = 80, REFUSAL_MAX = 200 };

#define METHOD NEO_LIT("neo.policy.v1.PolicyFeed/NoteRollout")

static enum neo_code record(struct neo_mesh *mesh, struct neo_bytes caller,
                            struct neo_bytes service, bool allowed, const char *detail,
                            struct neo_decision_id *ret, struct neo_error *err)
{
    const struct neo_audit_record r = {
        .id = neo_decision_id_new(),
        .wall_nsec = neo_wall_nsec(),
        .caller = caller,
        .target = service,
        .method = METHOD,
        .decision = allowed ? "allow" : "deny",
        .stage = "rollout",
        .reason = allowed ? "" : "APPLICATION",
        .detail = detail,
    };

    NEO_TRY(neo_mesh_record(mesh, &r, err));
    *ret = r.id;
    return NEO_OK;
}

/* --- what is in force ------------------------------------------------------------------------- */

void rollout_memory_fini(struct rollout_memory *m)
{
    neo_free(m->at);
    *m = (struct rollout_memory){.n = 0};
}

static const struct neo_rollout *find(const struct neo_rollout *at, size_t n,
                                      const struct neo_rollout *like)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(at[i].service, like->service) == 0 &&
            strcmp(at[i].measurement, like->measurement) == 0)
            return &at[i];
    }
    return NULL;
}

static bool is_same(const struct neo_rollout *a, const struct neo_rollout *b)
{
    return a->state == b->state && a->not_before == b->not_before && a->not_after == b->not_after;
}

/* Either may be NULL: it was not there, or is not any more. */
static void tell(struct neo_mesh *mesh, const struct neo_rollout *was, const struct neo_rollout *is,
                 uint64_t number)
{
    const struct neo_rollout *any = is != NULL ? is : was;
    struct neo_decision_id id;
    struct neo_error err;
    char detail[DETAIL_LEN], until[48] = "";

    if (is != NULL && is->not_after != 0)
        (void)snprintf(until, sizeof(until), " until %" PRId64, is->not_after);
    (void)snprintf(detail, sizeof(detail),
                   "measurement %.32s..: %s to %s%s, by policies number %" PRIu64, any->measurement,
                   was == NULL ? "none" : neo_rollout_state_text(was->state),
                   is == NULL ? "none" : neo_rollout_state_text(is->state), until, number);
    if (record(mesh, NEO_LIT("neo-registry"), neo_text(any->service), true, detail, &id, &err) !=
        NEO_OK)
        neo_log_error(neo_mesh_log(mesh), "registry.rollout_not_recorded", NEO_STR("what", detail),
                      NEO_STR("why", err.message));
}

void rollout_memory_update(struct rollout_memory *m, struct neo_mesh *mesh,
                           const struct neo_document *documents, size_t n, uint64_t number)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena;
    struct rollout_memory next = {.n = 0};
    struct neo_rollout *read = NULL;
    size_t n_read = 0;

    neo_arena_init(&arena, ARENA);
    for (size_t i = 0; i < n && n_read == 0; i++) /* there is one such document at most */
        if (neo_rollouts_read(&documents[i], &arena, &read, &n_read, NULL) != NEO_OK)
            n_read = 0;
    next.at = neo_alloc_array(n_read + 1, sizeof(*next.at));
    if (next.at == NULL) {
        neo_log_error(neo_mesh_log(mesh), "registry.rollout_not_recorded",
                      NEO_STR("why", "out of memory"));
        return; /* they are told with the next change */
    }
    for (; next.n < n_read; next.n++)
        next.at[next.n] = read[next.n];
    for (size_t i = 0; i < next.n; i++) {
        const struct neo_rollout *was = find(m->at, m->n, &next.at[i]);
        if (was == NULL || !is_same(was, &next.at[i]))
            tell(mesh, was, &next.at[i], number);
    }
    for (size_t i = 0; i < m->n; i++)
        if (find(next.at, next.n, &m->at[i]) == NULL)
            tell(mesh, &m->at[i], NULL, number);
    rollout_memory_fini(m);
    *m = next;
}

/* --- what was done ---------------------------------------------------------------------------- */

static enum neo_code check(const struct neo_policy_v1_NoteRolloutRequest *s, struct neo_error *err)
{
    static const char *const steps[] = {"add", "activate", "retire", "revoke"};
    bool known = false;

    for (size_t i = 0; i < NEO_COUNT(steps); i++)
        known = known || neo_bytes_is(s->step, steps[i]);
    if (!known)
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "a step of a rollout is add, activate, retire or revoke");
    if (!neo_is_service_name(s->service))
        return neo_fail(err, NEO_INVALID_ARGUMENT, "'%.64s' is no service name",
                        s->service.len == 0 ? "" : "that");
    if (s->measurement.len < 32 || s->measurement.len >= NEO_ROLLOUT_MEASUREMENT_LEN ||
        s->from.len > 16 || s->to.len > 16 || s->person.len > PERSON_MAX ||
        s->refusal.len > REFUSAL_MAX)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "a part of the step is missing or too long");
    return NEO_OK;
}

enum neo_code rollouts_note(struct neo_mesh *mesh, struct neo_bytes caller,
                            const struct neo_policy_v1_NoteRolloutRequest *s,
                            struct neo_decision_id *ret, struct neo_error *err)
{
    char detail[DETAIL_LEN + REFUSAL_MAX], at[48] = "";

    NEO_TRY(check(s, err));
    if (s->at != 0)
        (void)snprintf(at, sizeof(at), " at %" PRId64, s->at);
    (void)snprintf(detail, sizeof(detail), "%.*s %.32s..: %.*s to %.*s%s, by %.*s%s%.*s",
                   NEO_FMT(s->step), (const char *)s->measurement.at,
                   NEO_FMT(s->from.len > 0 ? s->from : NEO_LIT("none")),
                   NEO_FMT(s->to.len > 0 ? s->to : NEO_LIT("none")), at, NEO_FMT(s->person),
                   s->refusal.len > 0 ? "; refused: " : "", NEO_FMT(s->refusal));
    return record(mesh, caller, s->service, s->refusal.len == 0, detail, ret, err);
}
