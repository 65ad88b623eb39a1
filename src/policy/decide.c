/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decision.
 *
 * Everything that applies is looked at: a denial anywhere wins, so the search may
 * stop at one and nowhere else. Without any allowance the answer is no, and a
 * second, unhurried search finds the rule that came closest.
 */
#include <neo/spiffe.h>

#include "policy/index.h"

enum { SECONDS_PER_DAY = 86400, MOST_NEIGHBOURS = 64 };

/* What has been found so far. */
struct search {
    const struct neo_policy_question *q;
    uint64_t hash; /* of the method */
    const struct op *denied;
    const struct op *allowed;
    const struct op *unmet; /* would allow, but for `why` */
    const char *why;
    bool conditional; /* a condition was looked at */
};

static bool is_in(struct neo_bytes text, const struct neo_yaml_list *list)
{
    const struct neo_bytes *texts = list->at;

    for (size_t i = 0; i < list->len; i++)
        if (neo_bytes_equal(text, texts[i]))
            return true;
    return false;
}

/* A span that ends before it begins goes on past midnight. */
static bool is_within_hours(const struct when *w, int64_t wall)
{
    int64_t second = (wall % SECONDS_PER_DAY + SECONDS_PER_DAY) % SECONDS_PER_DAY;
    unsigned minute = (unsigned)second / 60;

    if (w->from < w->to)
        return minute >= w->from && minute < w->to;
    return minute >= w->from || minute < w->to;
}

static bool has_metadata(const struct when *w, const struct neo_policy_question *q)
{
    const struct metadata *wanted = w->metadata.at;

    for (size_t i = 0; i < w->metadata.len; i++) {
        struct neo_bytes value = {0};
        if (q->metadata != NULL)
            value = q->metadata(q->metadata_self, wanted[i].key);
        if (value.at == NULL || !is_in(value, &wanted[i].values))
            return false;
    }
    return true;
}

/* NULL when all conditions hold, or which one does not. */
static const char *unmet_condition(const struct when *w, const struct neo_policy_question *q)
{
    if (w->attested_place.file != NULL && w->attested != q->attested)
        return "condition does not hold: attested";
    if (w->code_place.file != NULL) {
        if (!q->attested)
            return "condition does not hold: attested";
        if (!q->any_code && w->tee.len > 0 && !is_in(q->tee, &w->tee))
            return "condition does not hold: tee";
        if (!q->any_code && w->measurement.len > 0 && !is_in(q->measurement, &w->measurement))
            return "condition does not hold: measurement";
    }
    if (w->hours.len > 0 && !is_within_hours(w, q->wall))
        return "condition does not hold: hours";
    if (w->on_behalf_of.len > 0 && !is_in(q->on_behalf_of, &w->on_behalf_of))
        return "condition does not hold: on_behalf_of";
    if (w->metadata.len > 0 && !has_metadata(w, q))
        return "condition does not hold: metadata";
    return NULL;
}

static void consider(struct search *s, const struct op *op)
{
    if (!pattern_matches(&op->pattern, s->q->service, s->q->method))
        return;

    s->conditional = s->conditional || op->has_when;
    const char *why = op->has_when ? unmet_condition(&op->rule->when, s->q) : NULL;
    if (op->denies) {
        if (why == NULL && s->denied == NULL)
            s->denied = op;
    } else if (why == NULL) {
        if (s->allowed == NULL)
            s->allowed = op;
    } else if (s->unmet == NULL) {
        s->unmet = op;
        s->why = why;
    }
}

static void consider_block(struct search *s, const struct block *block)
{
    if (block == NULL)
        return;
    for (size_t i = index_find(block, s->q->method, s->hash); i < block->n_named; i++) {
        consider(s, &block->named[i]);
        if (block->named[i].ends_its_name)
            break;
    }
    for (size_t i = 0; i < block->n_prefixes; i++)
        consider(s, &block->prefixes[i]);
}

static size_t common_start(struct neo_bytes a, struct neo_bytes b)
{
    size_t n = 0;

    while (n < a.len && n < b.len && a.at[n] == b.at[n])
        n++;
    return n;
}

/* The allowance of the block whose method begins most like `method`: in order, so a neighbour. */
static const struct op *nearest_in_block(const struct block *block, struct neo_bytes method)
{
    const struct op *nearest = NULL;
    size_t best = 0;

    if (block == NULL)
        return NULL;
    size_t at = index_lower_bound(block, method);
    for (size_t i = at > 0 ? at - 1 : 0; i < block->n_named && i <= at; i++) {
        size_t common = common_start(block->named[i].pattern.method, method);
        if (!block->named[i].denies && (nearest == NULL || common > best)) {
            nearest = &block->named[i];
            best = common;
        }
    }
    for (size_t i = 0; i < block->n_prefixes && nearest == NULL; i++)
        if (!block->prefixes[i].denies)
            nearest = &block->prefixes[i];
    return nearest;
}

/* Who else may call this method there. The first few are enough: it is a hint. */
static const struct op *nearest_of_others(const struct neo_policy *policy,
                                          const struct neo_policy_question *q)
{
    const struct target *target = map_get(&policy->targets, q->target);
    uint64_t hash = map_hash(q->method);
    unsigned left = MOST_NEIGHBOURS;

    if (target == NULL)
        return NULL;
    for (const struct block *b = target->blocks; b != NULL && left > 0; b = b->next_there, left--) {
        struct search s = {.q = q, .hash = hash};
        consider_block(&s, b);
        if (s.allowed != NULL || s.unmet != NULL)
            return s.allowed != NULL ? s.allowed : s.unmet;
    }
    return NULL;
}

static struct neo_place nearest_place(const struct neo_policy *policy,
                                      const struct neo_policy_question *q,
                                      const struct principal *const principals[], size_t n)
{
    const struct op *op = NULL;

    for (size_t i = 0; i < n && op == NULL; i++)
        op = nearest_in_block(map_get(&principals[i]->targets, q->target), q->method);
    for (size_t i = 0; i < n && op == NULL; i++)
        for (const struct block *b = principals[i]->blocks; b != NULL && op == NULL; b = b->next)
            op = nearest_in_block(b, q->method);
    if (op == NULL)
        op = nearest_of_others(policy, q);
    if (op == NULL)
        return (struct neo_place){0};
    return op->place;
}

static struct neo_policy_answer refuse(const struct neo_policy *policy,
                                       const struct neo_policy_question *q,
                                       const struct principal *const principals[], size_t n,
                                       const struct search *s)
{
    /* The first is the caller's own document, or everyone's. */
    bool is_shadow = n > 0 && principals[0]->is_shadow;
    struct neo_policy_answer answer = {
        .verdict = is_shadow ? NEO_SHADOW_DENY : NEO_DENY,
        .conditional = s->conditional,
    };

    if (s->denied != NULL) {
        answer.rule = s->denied->place;
        answer.reason = "denied by rule";
    } else if (s->unmet != NULL) {
        answer.rule = answer.nearest = s->unmet->place;
        answer.reason = s->why;
    } else {
        if (n > 0)
            answer.rule = principals[0]->place;
        answer.nearest = nearest_place(policy, q, principals, n);
        answer.by_default = true;
        answer.reason = "no rule allows it";
    }
    return answer;
}

struct neo_policy_answer neo_policy_decide(const struct neo_policy *policy,
                                           const struct neo_policy_question *q)
{
    const struct principal *principals[INDEX_MOST_PRINCIPALS];
    struct search s = {.q = q, .hash = map_hash(q->method)};

    /* Identities come from certificates and have this form. Whatever else this is, it is not one.
     */
    if (!neo_is_service_name(q->caller))
        return (struct neo_policy_answer){.verdict = NEO_DENY, .reason = "caller has no identity"};

    size_t n = index_principals(policy, q->caller, principals);
    for (size_t i = 0; i < n && s.denied == NULL; i++) {
        consider_block(&s, map_get(&principals[i]->targets, q->target));
        consider_block(&s, principals[i]->any_target);
    }
    if (s.denied != NULL || s.allowed == NULL)
        return refuse(policy, q, principals, n, &s);
    return (struct neo_policy_answer){
        .verdict = NEO_ALLOW,
        .rule = s.allowed->place,
        .conditional = s.conditional,
        .reason = "allowed by rule",
    };
}

bool neo_policy_wants_attestation(const struct neo_policy *policy, struct neo_bytes caller,
                                  struct neo_bytes target)
{
    const struct principal *principals[INDEX_MOST_PRINCIPALS];
    size_t n = index_principals(policy, caller, principals);

    for (size_t i = 0; i < n; i++) {
        const struct block *block = map_get(&principals[i]->targets, target);
        if ((block != NULL && block->wants_attestation) ||
            (principals[i]->any_target != NULL && principals[i]->any_target->wants_attestation))
            return true;
    }
    return false;
}
