/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/index.h"

#include <stdlib.h>

static enum neo_code out_of_memory(struct neo_error *err)
{
    return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "no memory to compile the policy");
}

/* The principal of a document; made at its first one. */
static struct principal *principal_of(struct neo_policy *policy, const struct document *d)
{
    bool is_role = d->role.len > 0;
    struct map *map = is_role ? &policy->roles : &policy->services;
    struct neo_bytes name = is_role ? d->role : d->service;
    bool is_everyone = neo_bytes_is(name, "*");
    struct principal *p = is_everyone ? policy->everyone : map_get(map, name);

    if (p != NULL)
        return p;
    p = neo_arena_calloc(&policy->arena, 1, sizeof(*p));
    if (p == NULL)
        return NULL;
    p->name = name;
    p->place = d->place;
    p->is_role = is_role;
    p->is_shadow = neo_bytes_is(d->mode, "shadow");
    p->blocks_end = &p->blocks;
    if (is_everyone)
        policy->everyone = p;
    else if (!map_put(map, name, p))
        return NULL;
    *policy->principals_end = p;
    policy->principals_end = &p->next;
    return p;
}

/* What several documents say about one principal must fit together. */
static enum neo_code add_to_principal(struct principal *p, const struct document *d,
                                      struct neo_error *err)
{
    const char *mode = neo_bytes_is(d->mode, "shadow") ? "shadow" : "enforce";

    if (p->last != NULL && p->last->place.file == d->place.file)
        return neo_fail_at(err, NEO_INVALID_ARGUMENT, d->place,
                           "\"%.*s\" has a document in line %u already; join them",
                           NEO_FMT(p->name), p->last->place.line);
    if (p->is_shadow != neo_bytes_is(d->mode, "shadow"))
        return neo_fail_at(err, NEO_INVALID_ARGUMENT, d->place,
                           "mode is %s here, but not in %s:%u; say the same in both", mode,
                           p->place.file, p->place.line);
    p->last = d;
    return NEO_OK;
}

static bool add_to_target(struct neo_policy *policy, struct block *block)
{
    struct target *target = map_get(&policy->targets, block->target);

    if (target == NULL) {
        target = neo_arena_calloc(&policy->arena, 1, sizeof(*target));
        if (target == NULL)
            return false;
        target->blocks_end = &target->blocks;
        if (!map_put(&policy->targets, block->target, target))
            return false;
    }
    *target->blocks_end = block;
    target->blocks_end = &block->next_there;
    return true;
}

static struct block *block_of(struct neo_policy *policy, struct principal *p,
                              struct neo_bytes target)
{
    bool any = neo_bytes_is(target, "*");
    struct block *block = any ? p->any_target : map_get(&p->targets, target);

    if (block != NULL)
        return block;
    block = neo_arena_calloc(&policy->arena, 1, sizeof(*block));
    if (block == NULL)
        return NULL;
    block->principal = p;
    block->target = target;
    if (any)
        p->any_target = block;
    else if (!map_put(&p->targets, target, block) || !add_to_target(policy, block))
        return NULL;
    *p->blocks_end = block;
    p->blocks_end = &block->next;
    return block;
}

/* Every rule is visited twice: to count what each block holds, then to fill it. */
typedef void visit_fn(struct neo_policy *policy, struct block *block, const struct rule *rule);

static bool visit_rules(struct neo_policy *policy, struct principal *p, struct neo_yaml_list list,
                        visit_fn *visit)
{
    const struct rule *rules = list.at;

    for (size_t i = 0; i < list.len; i++) {
        struct block *block = block_of(policy, p, rules[i].target);
        if (block == NULL)
            return false;
        visit(policy, block, &rules[i]);
    }
    return true;
}

static bool visit_all(struct neo_policy *policy, visit_fn *visit)
{
    for (const struct document *d = policy->documents.first; d != NULL; d = d->next) {
        struct principal *p = principal_of(policy, d);
        if (!visit_rules(policy, p, d->allowed, visit) || !visit_rules(policy, p, d->denied, visit))
            return false;
    }
    return true;
}

/* What stands in `operations` was checked while it was read. */
static struct pattern pattern_of(const struct operation *operation)
{
    struct pattern pattern = {0};

    (void)pattern_parse(operation->text, &pattern);
    return pattern;
}

static void count(struct neo_policy *policy, struct block *block, const struct rule *rule)
{
    const struct operation *operations = rule->operations.at;

    (void)policy;
    for (size_t i = 0; i < rule->operations.len; i++) {
        bool is_prefix = pattern_of(&operations[i]).is_prefix;
        block->n_named += !is_prefix;
        block->n_prefixes += is_prefix;
    }
    if (rule->when.attested_place.file != NULL || rule->when.code_place.file != NULL)
        block->wants_attestation = true;
}

/* The first spelling of a name serves all later ones; without memory to note it, each its own. */
static struct neo_bytes shared_name(struct neo_policy *policy, struct neo_bytes name)
{
    const uint8_t *first = map_get(&policy->methods, name);

    if (first != NULL)
        return neo_bytes(first, name.len);
    (void)map_put(&policy->methods, name, (void *)(uintptr_t)name.at);
    return name;
}

static void fill(struct neo_policy *policy, struct block *block, const struct rule *rule)
{
    const struct operation *operations = rule->operations.at;

    for (size_t i = 0; i < rule->operations.len; i++) {
        struct op op = {
            .pattern = pattern_of(&operations[i]),
            .place = operations[i].place,
            .rule = rule,
            .order = policy->n_ops++,
            .denies = rule->denies,
            .has_when = rule->when.is_asked,
        };
        if (op.pattern.is_prefix) {
            block->prefixes[block->n_prefixes++] = op;
        } else {
            op.pattern.method = shared_name(policy, op.pattern.method);
            block->named[block->n_named++] = op;
        }
    }
}

static bool reserve(struct neo_policy *policy, struct block *block)
{
    size_t slots = 1;

    while (slots * 2 < block->n_named * 3)
        slots *= 2;
    block->mask = slots - 1;
    block->named = neo_arena_calloc(&policy->arena, block->n_named, sizeof(struct op));
    block->prefixes = neo_arena_calloc(&policy->arena, block->n_prefixes, sizeof(struct op));
    if (block->n_named > 0)
        block->slots = neo_arena_calloc(&policy->arena, slots, sizeof(struct name_slot));
    block->n_named = 0;
    block->n_prefixes = 0;
    return !neo_arena_failed(&policy->arena);
}

static int compare_ops(const void *a, const void *b)
{
    const struct op *x = a;
    const struct op *y = b;
    int order = pattern_compare_names(x->pattern.method, y->pattern.method);

    if (order != 0)
        return order;
    return x->order < y->order ? -1 : x->order > y->order;
}

static uint32_t tag_of(uint64_t hash)
{
    return (uint32_t)(hash >> 32);
}

/* Sorted, then found by the hash of their names: the first of each name stands in a slot. */
static void finish_block(struct block *block)
{
    if (block->n_named == 0)
        return;
    qsort(block->named, block->n_named, sizeof(struct op), compare_ops);
    for (size_t i = 0; i < block->n_named; i++) {
        struct neo_bytes name = block->named[i].pattern.method;
        block->named[i].ends_its_name = true;
        if (i > 0 && neo_bytes_equal(name, block->named[i - 1].pattern.method)) {
            block->named[i - 1].ends_its_name = false;
            continue;
        }
        uint64_t hash = map_hash(name);
        size_t at = hash & block->mask;
        while (block->slots[at].first != 0)
            at = (at + 1) & block->mask;
        block->slots[at] = (struct name_slot){.tag = tag_of(hash), .first = (uint32_t)i + 1};
    }
}

static enum neo_code build_blocks(struct neo_policy *policy, struct neo_error *err)
{
    if (!visit_all(policy, count))
        return out_of_memory(err);
    for (struct principal *p = policy->principals; p != NULL; p = p->next)
        for (struct block *block = p->blocks; block != NULL; block = block->next)
            if (!reserve(policy, block))
                return out_of_memory(err);
    (void)visit_all(policy, fill);
    for (struct principal *p = policy->principals; p != NULL; p = p->next)
        for (struct block *block = p->blocks; block != NULL; block = block->next)
            finish_block(block);
    return NEO_OK;
}

static bool has_role(const struct principal *p, const struct principal *role)
{
    for (size_t i = 0; i < p->n_roles; i++)
        if (p->roles[i] == role)
            return true;
    return false;
}

/* A role without a document gives nothing; lint speaks of it. */
static enum neo_code link_roles(struct neo_policy *policy, struct neo_error *err)
{
    for (const struct document *d = policy->documents.first; d != NULL; d = d->next) {
        const struct operation *names = d->roles.at;
        struct principal *p = principal_of(policy, d);
        for (size_t i = 0; i < d->roles.len; i++) {
            struct principal *role = map_get(&policy->roles, names[i].text);
            if (role == NULL || has_role(p, role))
                continue;
            if (p->n_roles == NEO_COUNT(p->roles))
                return neo_fail_at(err, NEO_INVALID_ARGUMENT, names[i].place,
                                   "\"%.*s\" has more than %zu roles in all its documents",
                                   NEO_FMT(p->name), NEO_COUNT(p->roles));
            p->roles[p->n_roles++] = role;
            role->is_used = true;
        }
    }
    return NEO_OK;
}

enum neo_code index_build(struct neo_policy *policy, struct neo_error *err)
{
    policy->principals_end = &policy->principals;
    for (const struct document *d = policy->documents.first; d != NULL; d = d->next) {
        struct principal *p = principal_of(policy, d);
        if (p == NULL)
            return out_of_memory(err);
        NEO_TRY(add_to_principal(p, d, err));
    }
    NEO_TRY(link_roles(policy, err));
    return build_blocks(policy, err);
}

void index_fini(struct neo_policy *policy)
{
    for (struct principal *p = policy->principals; p != NULL; p = p->next)
        map_fini(&p->targets);
    map_fini(&policy->services);
    map_fini(&policy->roles);
    map_fini(&policy->targets);
    map_fini(&policy->methods);
}

size_t index_principals(const struct neo_policy *policy, struct neo_bytes caller,
                        const struct principal *ret[static INDEX_MOST_PRINCIPALS])
{
    const struct principal *own = map_get(&policy->services, caller);
    size_t n = 0;

    if (own != NULL) {
        ret[n++] = own;
        for (size_t i = 0; i < own->n_roles; i++)
            ret[n++] = own->roles[i];
    }
    if (policy->everyone != NULL && !neo_bytes_is(caller, "anonymous"))
        ret[n++] = policy->everyone;
    return n;
}

size_t index_find(const struct block *block, struct neo_bytes method, uint64_t hash)
{
    if (block->n_named == 0)
        return 0;
    for (size_t at = hash & block->mask; block->slots[at].first != 0; at = (at + 1) & block->mask) {
        size_t first = block->slots[at].first - 1;
        if (block->slots[at].tag == tag_of(hash) &&
            neo_bytes_equal(block->named[first].pattern.method, method))
            return first;
    }
    return block->n_named;
}

size_t index_lower_bound(const struct block *block, struct neo_bytes method)
{
    size_t low = 0;
    size_t high = block->n_named;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (pattern_compare_names(block->named[middle].pattern.method, method) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}
