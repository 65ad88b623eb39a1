/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy/index.h - a policy compiled for deciding.
 *
 *     caller ──> principal ──> target ──> block: the operations of all rules between the two
 *                   |  \
 *                   |   roles: principals as well
 *                   everyone: the principal of `service: "*"`
 *
 * What applies to a call is found in the caller's own principal, then in those of
 * its roles, then in everyone's: two hash look-ups each, and in the block one more
 * by method. A large policy is colder than any cache, so what counts is how many
 * places a decision touches: tags come before texts, and what a rule says in one
 * bit is repeated in its operations.
 */
#ifndef NEO_POLICY_INDEX_H
#define NEO_POLICY_INDEX_H

#include "base/map.h"
#include "policy/document.h"
#include "policy/pattern.h"

#include <stdatomic.h>

struct principal;

/* One operation of one rule. */
struct op {
    struct pattern pattern;
    struct neo_place place;
    const struct rule *rule;
    uint32_t order;     /* in which it was written, allowances before denials */
    bool denies;        /* as the rule says */
    bool has_when;      /* the rule has conditions */
    bool ends_its_name; /* the last of the named ones of its method */
};

/* Where the named operations of one method begin. */
struct name_slot {
    uint32_t tag;   /* upper half of the name's hash */
    uint32_t first; /* 1 + index into `named`; 0: free */
};

struct block {
    struct block *next;       /* of the same principal, in the order of the files */
    struct block *next_there; /* with the same target */
    struct principal *principal;
    struct neo_bytes target; /* "*": any */
    struct op *named;        /* those of one method, by its name, then in the order of the files */
    size_t n_named;
    struct name_slot *slots; /* a power of two, at most two thirds full; NULL: nothing named */
    size_t mask;
    struct op *prefixes; /* those with a '*', in the order of the files */
    size_t n_prefixes;
    bool wants_attestation;
};

struct principal {
    struct principal *next; /* in the order of the files */
    struct neo_bytes name;
    struct neo_place place;      /* its first document */
    const struct document *last; /* its latest document */
    struct map targets;          /* name to struct block */
    struct block *any_target;    /* NULL: no rule for "*" */
    struct block *blocks;
    struct block **blocks_end;
    struct principal *roles[16];
    size_t n_roles;
    bool is_role;
    bool is_shadow;
    bool is_used; /* a role that some service has */
};

/* Who else has rules for a target: to find the nearest rule of another caller. */
struct target {
    struct block *blocks;
    struct block **blocks_end;
};

struct neo_policy {
    _Atomic unsigned refs;
    struct neo_arena arena; /* all below lives here, but for the slots of the maps */
    struct documents documents;
    struct map services; /* name to struct principal */
    struct map roles;
    struct map targets; /* name to struct target */
    struct map methods; /* one copy of each method's name, which is then warm for all rules */
    struct principal *everyone; /* NULL: no document for "*" */
    struct principal *principals;
    struct principal **principals_end;
    uint32_t n_ops;
    char version[17];
};

/* Builds everything from `documents`. */
enum neo_code index_build(struct neo_policy *policy, struct neo_error *err);
void index_fini(struct neo_policy *policy);

/* The principals whose rules apply to `caller`: at most its own, its roles, and everyone's. */
enum { INDEX_MOST_PRINCIPALS = 18 };
size_t index_principals(const struct neo_policy *policy, struct neo_bytes caller,
                        const struct principal *ret[static INDEX_MOST_PRINCIPALS]);

/* The first named operation of `method`, whose map_hash() is `hash`; n_named when there is none. */
size_t index_find(const struct block *block, struct neo_bytes method, uint64_t hash);

/* The first named operation of a method not before `method`. */
size_t index_lower_bound(const struct block *block, struct neo_bytes method);

#endif
