/* SPDX-License-Identifier: Apache-2.0 */
/* What compiled policies say, and where evidence parts from each row of one. */
#include "attest/policies.h"

#include <neo/attest_policy.h>
#include <neo/encoding.h>

#include <stdlib.h>
#include <strings.h>

/* --- what a row leaves open ------------------------------------------------------------------- */

static bool gives(const struct attest_rule *rule, const char *key)
{
    size_t n = strlen(key);

    for (size_t i = 0; i < rule->n_given; i++) {
        const char *name = rule->given[i].name;
        if (strncmp(name, key, n) == 0 && (name[n] == '\0' || name[n] == '.'))
            return true;
    }
    return false;
}

/* A key, or one of two, that no row of these tees should be without unless it is meant so. */
static const struct warning {
    const char *tees[3];
    const char *keys[2];
    const char *text;
} warnings[] = {
    {{"sev-snp", "azure-snp"},
     {"chip_id"},
     "no chip_id: a genuine machine of anybody's would do, one in an adversary's hands included"},
    {{"sev-snp", "azure-snp"}, {"products"}, "no products: every one of AMD's would do"},
    {{"sev-snp", "azure-snp"},
     {"min_tcb", "min_firmware"},
     "no min_tcb and no min_firmware: firmware of any age would do"},
    {{"tdx", "sgx", "azure-tdx"},
     {"pck.platform_instance_id", "pck.ppid"},
     "no pck.platform_instance_id: a genuine platform of anybody's would do"},
    {{"tdx", "sgx", "azure-tdx"},
     {"tcb.min_eval_number", "tcb.min_date"},
     "no tcb.min_eval_number: whoever holds back collateral hides what Intel learned since"},
    {{"tdx"}, {"rtmr"}, "no rtmr: what the firmware booted is not judged"},
    {{"nitro"},
     {"pcr.3", "pcr.4"},
     "no pcr 3 and 4: the image would do in anybody's account, on any instance"},
    {{"arm-cca"},
     {"instance_id", "implementation_id"},
     "no instance_id: every known platform would do"},
    {{"arm-cca"}, {"rem"}, "no rem: what the realm loaded after its start is not judged"},
    {{"tpm"}, {"ak.names", "ak.spki"}, "no ak.names: every TPM under the authority would do"},
    {{"tpm", "azure-snp", "azure-tdx"},
     {"pcr_sha256", "pcr_sha384"},
     "pcr_sha1: whoever makes what you look at can make something else of the same digest"},
};

static bool is_about(const struct warning *w, const char *tee)
{
    for (size_t i = 0; i < NEO_COUNT(w->tees); i++) {
        if (w->tees[i] != NULL && strcmp(w->tees[i], tee) == 0)
            return true;
    }
    return false;
}

static bool applies(const struct warning *w, const struct attest_rule *rule)
{
    if (!is_about(w, rule->family->tee))
        return false;
    for (size_t i = 0; i < NEO_COUNT(w->keys); i++) {
        if (w->keys[i] != NULL && gives(rule, w->keys[i]))
            return false;
    }
    return true;
}

static void warn(const struct attest_rule *rule, struct neo_arena *arena,
                 struct neo_attest_row *ret)
{
    const char **texts = neo_arena_calloc(arena, NEO_COUNT(warnings), sizeof(*texts));

    for (size_t i = 0; texts != NULL && i < NEO_COUNT(warnings); i++) {
        if (applies(&warnings[i], rule))
            texts[ret->n_warnings++] = warnings[i].text;
    }
    ret->warnings = texts;
}

/* --- the list --------------------------------------------------------------------------------- */

static const char *const requires[] = {
    [ATTEST_HARDWARE] = "hardware",
    [ATTEST_HARDWARE_OR_TPM] = "hardware-or-tpm",
    [ATTEST_SIMULATOR] = "simulator",
};

static void list_service(const struct attest_policy *policy, struct neo_arena *arena,
                         struct neo_attest_service *ret)
{
    struct neo_attest_row *rows = neo_arena_calloc(arena, policy->n_rules, sizeof(*rows));

    for (size_t i = 0; rows != NULL && i < policy->n_rules; i++) {
        const struct attest_rule *rule = &policy->rules[i];
        rows[i] = (struct neo_attest_row){
            .tee = rule->family->tee,
            .place = rule->place,
            .given = rule->given,
            .n_given = rule->n_given,
        };
        warn(rule, arena, &rows[i]);
    }
    *ret = (struct neo_attest_service){
        .name = policy->service,
        .place = policy->place,
        .require = requires[policy->require],
        .max_age = policy->max_age,
        .rows = rows,
        .n_rows = policy->n_rules,
    };
}

enum neo_code neo_attest_policies_list(const struct neo_attest_policies *policies,
                                       struct neo_arena *arena,
                                       const struct neo_attest_service **ret, size_t *ret_n,
                                       struct neo_error *err)
{
    struct neo_attest_service *services = neo_arena_calloc(arena, policies->n, sizeof(*services));

    for (size_t i = 0; services != NULL && i < policies->n; i++)
        list_service(&policies->at[i], arena, &services[i]);
    if (neo_arena_failed(arena))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for the list of policies");
    *ret = services;
    *ret_n = policies->n;
    return NEO_OK;
}

/* --- differences ------------------------------------------------------------------------------ */

/* "pcr.7" is judged by the row's one bank: "pcr_sha384.7". */
static bool is_pcr(const char *given, const char *key)
{
    const char *number = strchr(given, '.');

    return strncmp(given, "pcr_sha", 7) == 0 && strncmp(key, "pcr.", 4) == 0 && number != NULL &&
           strcmp(number + 1, key + 4) == 0;
}

/* What a row has where a check stands: "snp.measurement" is judged by "measurement". NULL: nothing.
 */
static const struct neo_evidence_fact *given_of(const struct attest_rule *rule, const char *check)
{
    static const struct {
        const char *suffix;
        const char *key;
    } others[] = {
        {"tcb.status", "tcb.accept"},
        {"report_version", "min_report_version"},
        {"guest_svn", "min_guest_svn"},
        {"tcb.provisional", "committed_equals_current"},
        {"firmware", "min_firmware"},
        {"mitigations", "min_mitigation_vector"},
        {"isvsvn", "min_isvsvn"},
        {"vm.secure_boot", "vm_configuration.secure_boot"},
        {"vm.tpm_enabled", "vm_configuration.tpm_enabled"},
    };
    const char *dot = strchr(check, '.');
    const char *key = dot == NULL ? check : dot + 1;

    for (size_t i = 0; i < NEO_COUNT(others); i++) {
        if (strcmp(key, others[i].suffix) == 0)
            key = others[i].key;
    }
    for (size_t i = 0; i < rule->n_given; i++) {
        if (strcmp(rule->given[i].name, key) == 0 || is_pcr(rule->given[i].name, key))
            return &rule->given[i];
    }
    return NULL;
}

static struct neo_bytes wanted_of(const struct attest_rule *rule, const char *check)
{
    const struct neo_evidence_fact *given = given_of(rule, check);

    return given == NULL ? neo_bytes(NULL, 0) : given->value;
}

/* Is `hex` one of "a, b", as people write them? */
static bool is_listed(struct neo_bytes list, struct neo_bytes hex)
{
    while (list.len > 0) {
        const uint8_t *comma = memchr(list.at, ',', list.len);
        size_t len = comma == NULL ? list.len : (size_t)(comma - list.at);
        if (len == hex.len &&
            strncasecmp((const char *)list.at, (const char *)hex.at, hex.len) == 0)
            return true;
        list = neo_bytes_from(list, comma == NULL ? len : len + 1);
        while (list.len > 0 && list.at[0] == ' ')
            list = neo_bytes_from(list, 1);
    }
    return false;
}

static const struct neo_evidence_fact *fact_named(const struct neo_evidence_facts *facts,
                                                  const char *name)
{
    for (size_t i = 0; i < facts->n; i++) {
        if (!facts->at[i].is_text && strcmp(facts->at[i].name, name) == 0)
            return &facts->at[i];
    }
    return NULL;
}

/* The evidence did not come to the rule: its word against the row's. */
static enum neo_code claim(const struct neo_appraisal *a, const struct attest_rule *rule,
                           const struct neo_evidence_facts *facts, struct neo_arena *arena,
                           struct neo_attest_comparison *ret, struct neo_error *err)
{
    struct neo_attest_claim *claims = neo_arena_calloc(arena, a->n_checks, sizeof(*claims));

    for (size_t i = 0; claims != NULL && i < a->n_checks; i++) {
        NEO_CLEANUP(neo_buffer_fini) struct neo_buffer hex = {0};
        const struct neo_evidence_fact *given = given_of(rule, a->checks[i].name);
        const struct neo_evidence_fact *fact =
            given == NULL ? NULL : fact_named(facts, given->name);
        if (fact == NULL || a->checks[i].detail != ledger_not_reached)
            continue;
        (void)neo_hex_encode(&hex, fact->value);
        struct neo_bytes text = neo_arena_copy(arena, neo_buffer_bytes(&hex));
        claims[ret->n_claims++] = (struct neo_attest_claim){a->checks[i].name, text, given->value,
                                                            is_listed(given->value, text)};
    }
    if (neo_arena_failed(arena))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for a comparison");
    ret->claims = claims;
    return NEO_OK;
}

static enum neo_code compare_row(const struct neo_evidence_question *question,
                                 const struct attest_policy *policy, size_t row,
                                 struct neo_arena *arena, struct neo_attest_comparison *ret,
                                 struct neo_error *err)
{
    struct attest_policy one = *policy;
    struct neo_attest_policies alone = {.at = &one, .n = 1};
    struct neo_evidence_question asked = *question;
    struct neo_evidence_facts facts = {.n = 0};
    struct neo_appraisal a;

    one.rules = &policy->rules[row];
    one.n_rules = 1;
    asked.policies = &alone;
    NEO_TRY(neo_evidence_appraise(&asked, arena, &a, err));
    struct neo_attest_difference *at = neo_arena_calloc(arena, a.n_checks, sizeof(*at));
    if (at == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for a comparison");
    *ret = (struct neo_attest_comparison){
        .row = row, .place = one.rules->place, .accepted = a.accepted, .at = at};
    for (size_t i = 0; i < a.n_checks; i++) {
        if (a.checks[i].result == NEO_CHECK_FAIL)
            at[ret->n++] = (struct neo_attest_difference){a.checks[i].name, a.checks[i].detail,
                                                          wanted_of(one.rules, a.checks[i].name)};
    }
    /* What cannot even be read claims nothing. */
    if (neo_evidence_describe(question->evidence, arena, &facts, NULL) != NEO_OK)
        return NEO_OK;
    return claim(&a, one.rules, &facts, arena, ret, err);
}

/* Those that are judged first, then by the evidence's own word. */
static size_t distance(const struct neo_attest_comparison *row)
{
    size_t n = row->n;

    for (size_t i = 0; i < row->n_claims; i++)
        n += !row->claims[i].same;
    return n;
}

static int by_nearness(const void *a, const void *b)
{
    const struct neo_attest_comparison *one = a, *other = b;

    if (distance(one) != distance(other))
        return distance(one) < distance(other) ? -1 : 1;
    return one->row < other->row ? -1 : one->row > other->row;
}

enum neo_code neo_evidence_compare(const struct neo_evidence_question *question,
                                   struct neo_arena *arena,
                                   const struct neo_attest_comparison **ret, size_t *ret_n,
                                   struct neo_error *err)
{
    const struct attest_policy *policy =
        attest_policies_find(question->policies, question->service);
    const struct attest_family *family = attest_family_of(question->evidence->kind);
    struct neo_attest_comparison *rows =
        policy == NULL ? NULL : neo_arena_calloc(arena, policy->n_rules, sizeof(*rows));
    size_t n = 0;

    for (size_t i = 0; rows != NULL && i < policy->n_rules; i++) {
        if (policy->rules[i].family == family)
            NEO_TRY(compare_row(question, policy, i, arena, &rows[n++], err));
    }
    if (neo_arena_failed(arena))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for a comparison");
    if (n > 0)
        qsort(rows, n, sizeof(*rows), by_nearness);
    *ret = rows;
    *ret_n = n;
    return NEO_OK;
}
