/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/policies.h"

#include <neo/memory.h>
#include <neo/spiffe.h>

enum {
    ARENA_BUDGET = 8 << 20,
    SCRATCH_BUDGET = 32 << 20,
    TOP_KEYS_MAX = 64,
};

static const neo_nsec default_max_age = 600 * NEO_NSEC_PER_SEC;
static const neo_nsec least_max_age = 1 * NEO_NSEC_PER_SEC;
static const neo_nsec most_max_age = 24 * 3600 * NEO_NSEC_PER_SEC;
static const neo_nsec most_max_stale = 90 * 24 * 3600 * NEO_NSEC_PER_SEC;

/* --- schema ----------------------------------------------------------------------------------- */

struct source {
    struct row_text require;
    struct row_text mode;
    struct row_text enrol;
    neo_nsec max_evidence_age;
    struct neo_place max_evidence_age_place;
    struct neo_place collateral_place;
    neo_nsec max_stale;
    struct neo_place max_stale_place;
    struct neo_yaml_list any_of; /* of struct attest_row */
};

struct source_entry {
    struct neo_bytes service;
    struct neo_place place;
    struct source source;
};

struct source_document {
    struct neo_yaml_list policies; /* of struct source_entry */
};

static const struct neo_yaml_field row_element = {.kind = NEO_YAML_STRUCT,
                                                  .fields = attest_row_fields};

static const struct neo_yaml_field collateral_fields[] = {
    {.key = "max_stale",
     .kind = NEO_YAML_DURATION,
     .offset = offsetof(struct source, max_stale),
     .required = true,
     .place = offsetof(struct source, max_stale_place) + 1},
    {0},
};

static const struct neo_yaml_field source_fields[] = {
    {.key = "require",
     .kind = NEO_YAML_TEXT,
     .offset = offsetof(struct source, require.text),
     .required = true,
     .place = offsetof(struct source, require.place) + 1},
    {.key = "mode",
     .kind = NEO_YAML_TEXT,
     .offset = offsetof(struct source, mode.text),
     .place = offsetof(struct source, mode.place) + 1},
    {.key = "enrol",
     .kind = NEO_YAML_TEXT,
     .offset = offsetof(struct source, enrol.text),
     .place = offsetof(struct source, enrol.place) + 1},
    {.key = "max_evidence_age",
     .kind = NEO_YAML_DURATION,
     .offset = offsetof(struct source, max_evidence_age),
     .place = offsetof(struct source, max_evidence_age_place) + 1},
    {.key = "collateral",
     .kind = NEO_YAML_STRUCT,
     .fields = collateral_fields,
     .place = offsetof(struct source, collateral_place) + 1},
    {.key = "any_of",
     .kind = NEO_YAML_LIST,
     .offset = offsetof(struct source, any_of),
     .required = true,
     .size = sizeof(struct attest_row),
     .element = &row_element},
    {0},
};

static const struct neo_yaml_field entry_element = {
    .kind = NEO_YAML_STRUCT,
    .offset = offsetof(struct source_entry, source),
    .fields = source_fields,
};

static const struct neo_yaml_field document_fields[] = {
    {.key = "attestation_policies",
     .kind = NEO_YAML_MAP,
     .offset = offsetof(struct source_document, policies),
     .required = true,
     .size = sizeof(struct source_entry),
     .element = &entry_element},
    {0},
};

/* --- compiling -------------------------------------------------------------------------------- */

struct compiler {
    struct neo_attest_policies *policies;
    struct neo_arena *scratch;
    bool development;
    size_t cap;
};

#define refuse(place, ...) neo_fail_at(err, NEO_INVALID_ARGUMENT, (place), __VA_ARGS__)

static enum neo_code no_memory(struct neo_error *err)
{
    return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for the attestation policies");
}

static enum neo_code read_require(const struct compiler *c, const struct row_text *word,
                                  enum attest_require *ret, struct neo_error *err)
{
    if (neo_bytes_is(word->text, "hardware")) {
        *ret = ATTEST_HARDWARE;
        return NEO_OK;
    }
    if (neo_bytes_is(word->text, "hardware-or-tpm")) {
        *ret = ATTEST_HARDWARE_OR_TPM;
        return NEO_OK;
    }
    if (!neo_bytes_is(word->text, "simulator"))
        return refuse(word->place, "\"%.*s\" must be hardware, hardware-or-tpm or simulator",
                      NEO_FMT(word->text));
    if (!c->development)
        return neo_fail_at(err, NEO_FAILED_PRECONDITION, word->place,
                           "\"simulator\" proves nothing; it is accepted in development only");
    *ret = ATTEST_SIMULATOR;
    return NEO_OK;
}

static enum neo_code read_mode(const struct row_text *word, enum attest_mode *ret,
                               struct neo_error *err)
{
    *ret = ATTEST_DIRECT;
    if (word->place.file == NULL || neo_bytes_is(word->text, "direct"))
        return NEO_OK;
    if (neo_bytes_is(word->text, "delegated"))
        *ret = ATTEST_DELEGATED;
    else if (neo_bytes_is(word->text, "per-call"))
        *ret = ATTEST_PER_CALL;
    else
        return refuse(word->place, "\"%.*s\" must be direct, delegated or per-call",
                      NEO_FMT(word->text));
    return NEO_OK;
}

static enum neo_code read_enrol(const struct row_text *word, bool *ret, struct neo_error *err)
{
    *ret = word->place.file != NULL && neo_bytes_is(word->text, "attested");
    if (word->place.file != NULL && !*ret && !neo_bytes_is(word->text, "token"))
        return refuse(word->place, "\"%.*s\" must be token or attested", NEO_FMT(word->text));
    return NEO_OK;
}

static enum neo_code read_max_age(const struct source *source, neo_nsec *ret, struct neo_error *err)
{
    neo_nsec age = source->max_evidence_age;

    *ret = default_max_age;
    if (source->max_evidence_age_place.file == NULL)
        return NEO_OK;
    if (age < least_max_age || age > most_max_age)
        return refuse(source->max_evidence_age_place, "\"max_evidence_age\" is 1s to 24h");
    *ret = age;
    return NEO_OK;
}

/* For weeks without a network; a list that is older revokes nothing that is new. */
static enum neo_code read_max_stale(const struct source *source, int64_t *ret,
                                    struct neo_error *err)
{
    if (source->max_stale_place.file == NULL)
        return NEO_OK;
    if (source->max_stale > most_max_stale)
        return refuse(source->max_stale_place, "\"max_stale\" is 0s to 2160h (90 days)");
    *ret = (int64_t)(source->max_stale / NEO_NSEC_PER_SEC);
    return NEO_OK;
}

static enum neo_code check_family(const struct attest_policy *policy, const struct attest_row *row,
                                  const struct attest_family *family, struct neo_error *err)
{
    if (family == &attest_tpm && policy->require == ATTEST_HARDWARE)
        return refuse(row->place, "a TPM does not hide memory from the host; say "
                                  "`require: hardware-or-tpm` where that is good enough");
    if (policy->require == ATTEST_SIMULATOR && family->simulated == NEO_EVIDENCE_UNKNOWN)
        return refuse(row->place, "there is no simulator of tee %s", family->tee);
    return NEO_OK;
}

static enum neo_code compile_rules(struct compiler *c, const struct source_entry *entry,
                                   struct attest_policy *policy, struct neo_error *err)
{
    const struct attest_row *rows = entry->source.any_of.at;
    struct neo_arena *arena = &c->policies->arena;

    policy->n_rules = entry->source.any_of.len;
    if (policy->n_rules == 0)
        return refuse(entry->place, "\"any_of\" is empty: nothing would be accepted; add a row");
    struct attest_rule *rules = neo_arena_calloc(arena, policy->n_rules, sizeof(*rules));
    if (rules == NULL)
        return no_memory(err);
    for (size_t i = 0; i < policy->n_rules; i++) {
        rules[i].family = attest_family_named(rows[i].tee);
        NEO_TRY(check_family(policy, &rows[i], rules[i].family, err));
        NEO_TRY(row_check_keys(&rows[i], err));
        NEO_TRY(rules[i].family->compile(&rows[i], arena, &rules[i].is, err));
        rules[i].place = rows[i].place;
        NEO_TRY(row_list_given(&rows[i], arena, &rules[i].given, &rules[i].n_given, err));
    }
    policy->rules = rules;
    return NEO_OK;
}

static enum neo_code compile_entry(struct compiler *c, const struct source_entry *entry,
                                   struct attest_policy *ret, struct neo_error *err)
{
    const struct attest_policy *other = attest_policies_find(c->policies, entry->service);

    if (!neo_is_service_name(entry->service))
        return refuse(entry->place, "\"%.*s\" is not a service name ([a-z0-9-], at most 63)",
                      NEO_FMT(entry->service));
    if (other != NULL)
        return refuse(entry->place, "\"%.*s\" has a policy already, at %s:%u",
                      NEO_FMT(entry->service), other->place.file, other->place.line);
    *ret = (struct attest_policy){
        .service = neo_arena_copy(&c->policies->arena, entry->service),
        .place = entry->place,
    };
    NEO_TRY(read_require(c, &entry->source.require, &ret->require, err));
    NEO_TRY(read_mode(&entry->source.mode, &ret->mode, err));
    NEO_TRY(read_enrol(&entry->source.enrol, &ret->enrol_attested, err));
    NEO_TRY(read_max_age(&entry->source, &ret->max_age, err));
    NEO_TRY(read_max_stale(&entry->source, &ret->max_stale, err));
    return compile_rules(c, entry, ret, err);
}

static enum neo_code add_policy(struct compiler *c, const struct attest_policy *policy,
                                struct neo_error *err)
{
    struct neo_attest_policies *p = c->policies;

    if (p->n == c->cap) {
        size_t cap = c->cap == 0 ? 8 : c->cap * 2;
        struct attest_policy *at = neo_arena_calloc(&p->arena, cap, sizeof(*at));
        if (at == NULL)
            return no_memory(err);
        if (p->n > 0)
            memcpy(at, p->at, p->n * sizeof(*at));
        p->at = at;
        c->cap = cap;
    }
    p->at[p->n++] = *policy;
    return NEO_OK;
}

static enum neo_code compile_document(void *self, void *document, struct neo_place place,
                                      struct neo_error *err)
{
    struct compiler *c = self;
    const struct source_document *source = document;
    const struct source_entry *entries = source->policies.at;

    if (source->policies.len == 0)
        return refuse(place, "\"attestation_policies\" is empty; add a service or remove the file");
    for (size_t i = 0; i < source->policies.len; i++) {
        struct attest_policy policy;
        NEO_TRY(compile_entry(c, &entries[i], &policy, err));
        NEO_TRY(add_policy(c, &policy, err));
    }
    return NEO_OK;
}

static enum neo_code is_ours(const struct neo_document *document, const char *file,
                             struct neo_arena *scratch, bool *ret, struct neo_error *err)
{
    struct neo_bytes keys[TOP_KEYS_MAX];
    size_t n;

    NEO_TRY(neo_yaml_keys(document->text, file, scratch, keys, NEO_COUNT(keys), &n, err));
    *ret = false;
    for (size_t i = 0; i < n; i++)
        *ret = *ret || neo_bytes_is(keys[i], "attestation_policies");
    return NEO_OK;
}

static enum neo_code compile_file(struct compiler *c, const struct neo_document *document,
                                  struct neo_error *err)
{
    const char *file = neo_arena_string(&c->policies->arena, document->name);
    bool ours;

    if (file == NULL)
        return no_memory(err);
    NEO_TRY(is_ours(document, file, c->scratch, &ours, err));
    if (!ours)
        return NEO_OK;
    return neo_yaml_read(document->text, file, document_fields, sizeof(struct source_document),
                         c->scratch, compile_document, c, err);
}

/* One document of it is enough for all services, and two would contradict each other. */
static enum neo_code read_rollouts(struct compiler *c, const struct neo_document *document,
                                   struct neo_error *err)
{
    struct attest_rollouts read = {.n = 0};

    NEO_TRY(neo_rollouts_read(document, &c->policies->arena, &read.at, &read.n, err));
    if (read.n == 0)
        return NEO_OK;
    if (c->policies->rollouts.n > 0)
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "%.*s: there is another document of \"measurement_rollouts\"",
                        NEO_FMT(document->name));
    c->policies->rollouts = read;
    return NEO_OK;
}

static void policies_free(struct neo_attest_policies *policies)
{
    if (policies == NULL)
        return;
    neo_arena_fini(&policies->arena);
    neo_free(policies);
}

static void policies_freep(struct neo_attest_policies **policies)
{
    policies_free(*policies);
}

enum neo_code neo_attest_policies_compile(const struct neo_document *documents, size_t n,
                                          bool development, struct neo_attest_policies **ret,
                                          struct neo_error *err)
{
    NEO_CLEANUP(policies_freep) struct neo_attest_policies *policies = neo_alloc(sizeof(*policies));
    NEO_CLEANUP(neo_arena_fini) struct neo_arena scratch;
    struct compiler c = {.policies = policies, .scratch = &scratch, .development = development};

    neo_arena_init(&scratch, SCRATCH_BUDGET);
    if (policies == NULL)
        return no_memory(err);
    atomic_init(&policies->refs, 1);
    neo_arena_init(&policies->arena, ARENA_BUDGET);
    for (size_t i = 0; i < n; i++)
        NEO_TRY(compile_file(&c, &documents[i], err));
    for (size_t i = 0; i < n; i++)
        NEO_TRY(read_rollouts(&c, &documents[i], err));
    if (neo_arena_failed(&policies->arena))
        return no_memory(err);
    *ret = policies;
    policies = NULL;
    return NEO_OK;
}

/* --- using ------------------------------------------------------------------------------------ */

struct neo_attest_policies *neo_attest_policies_ref(struct neo_attest_policies *policies)
{
    atomic_fetch_add_explicit(&policies->refs, 1, memory_order_relaxed);
    return policies;
}

void neo_attest_policies_unref(struct neo_attest_policies *policies)
{
    if (policies != NULL &&
        atomic_fetch_sub_explicit(&policies->refs, 1, memory_order_acq_rel) == 1)
        policies_free(policies);
}

const struct attest_policy *attest_policies_find(const struct neo_attest_policies *policies,
                                                 struct neo_bytes service)
{
    for (size_t i = 0; policies != NULL && i < policies->n; i++) {
        if (neo_bytes_equal(policies->at[i].service, service))
            return &policies->at[i];
    }
    return NULL;
}

bool neo_attest_policies_has(const struct neo_attest_policies *policies, struct neo_bytes service)
{
    return attest_policies_find(policies, service) != NULL;
}

enum attest_mode attest_mode_of(const struct neo_attest_policies *policies,
                                struct neo_bytes service)
{
    const struct attest_policy *policy = attest_policies_find(policies, service);

    return policy == NULL ? ATTEST_DIRECT : policy->mode;
}

bool attest_policy_accepts(const struct attest_policy *policy, enum neo_evidence_kind kind)
{
    return kind != NEO_EVIDENCE_UNKNOWN && (attest_policy_kinds(policy) & 1u << kind) != 0;
}

unsigned attest_policy_kinds(const struct attest_policy *policy)
{
    unsigned kinds = 0;

    for (size_t i = 0; i < policy->n_rules; i++) {
        const struct attest_family *family = policy->rules[i].family;
        kinds |= 1u << (policy->require == ATTEST_SIMULATOR ? family->simulated : family->kind);
    }
    return kinds;
}

size_t attest_kind_names(unsigned kinds, struct neo_bytes ret[static NEO_EVIDENCE_UNKNOWN])
{
    size_t n = 0;

    for (unsigned i = 0; i < NEO_EVIDENCE_UNKNOWN; i++) {
        if ((kinds & 1u << i) != 0)
            ret[n++] = neo_text(neo_evidence_kind_text((enum neo_evidence_kind)i));
    }
    return n;
}

/* --- rollouts --------------------------------------------------------------------------------- */

void neo_attest_policies_observe(struct neo_attest_policies *policies)
{
    policies->observes = true;
}

bool attest_policies_rolls_out(const struct neo_attest_policies *policies, struct neo_bytes service)
{
    for (size_t i = 0; i < policies->rollouts.n; i++) {
        if (neo_bytes_is(service, policies->rollouts.at[i].service))
            return true;
    }
    return false;
}

static bool is_hex_of(const char *hex, struct neo_bytes bytes)
{
    if (strlen(hex) != 2 * bytes.len)
        return false;
    for (size_t i = 0; i < bytes.len; i++) {
        static const char digits[] = "0123456789abcdef";
        if (hex[2 * i] != digits[bytes.at[i] >> 4] || hex[2 * i + 1] != digits[bytes.at[i] & 15])
            return false;
    }
    return true;
}

static const struct neo_rollout *find_rollout(const struct neo_attest_policies *policies,
                                              struct neo_bytes service,
                                              struct neo_bytes measurement)
{
    for (size_t i = 0; i < policies->rollouts.n; i++) {
        const struct neo_rollout *r = &policies->rollouts.at[i];
        if (neo_bytes_is(service, r->service) && is_hex_of(r->measurement, measurement))
            return r;
    }
    return NULL;
}

const char *attest_policies_rollout_refusal(const struct neo_attest_policies *policies,
                                            struct neo_bytes service, struct neo_bytes measurement,
                                            int64_t now)
{
    const struct neo_rollout *r = find_rollout(policies, service, measurement);

    return r == NULL ? "not among those of its rollout"
                     : neo_rollout_refusal(r, policies->observes, now);
}

int64_t attest_policies_rollout_end(const struct neo_attest_policies *policies,
                                    struct neo_bytes service, struct neo_bytes measurement)
{
    const struct neo_rollout *r = find_rollout(policies, service, measurement);

    return r == NULL || r->not_after == 0 ? INT64_MAX : r->not_after;
}

/* What is too long to be a measurement is kept as none, which no rollout has. */
void attest_code_keep(struct attest_code *code, const struct neo_appraisal *appraisal)
{
    *code = (struct attest_code){.len = 0};
    if (appraisal == NULL || appraisal->measurement.len > sizeof(code->at))
        return;
    code->len = (uint8_t)appraisal->measurement.len;
    if (code->len > 0)
        memcpy(code->at, appraisal->measurement.at, code->len);
}

const char *attest_code_refusal(const struct attest_code *code,
                                const struct neo_attest_policies *policies,
                                struct neo_bytes service, int64_t now)
{
    if (policies == NULL || !attest_policies_rolls_out(policies, service))
        return NULL;
    return attest_policies_rollout_refusal(policies, service, neo_bytes(code->at, code->len), now);
}
