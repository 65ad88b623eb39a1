/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo/policy.h - who may call what.
 *
 * Documents as in the seed (service, allowed_calls) with the optional, strict
 * additions of docs/POLICY.md. Default deny; a denial wins over an allowance,
 * whatever the order. A compiled policy is an epoch: immutable, shared, swapped
 * whole. A set of documents that does not load, or whose own tests fail, compiles
 * to nothing, and the caller keeps the last good one.
 *
 * A decision is pure: facts in, verdict and the rule that made it out.
 */
#ifndef NEO_POLICY_H
#define NEO_POLICY_H

#include <neo/buffer.h>
#include <neo/yaml.h>

#ifdef __cplusplus
extern "C" {
#endif

struct neo_policy;

/* A file as it came: its name for messages, and its bytes. */
struct neo_document {
    struct neo_bytes name;
    struct neo_bytes text;
};

/*
 * Compiles all documents together and runs their tests. Copies what it keeps. No documents is a
 * valid policy that denies everything. Gives `*ret`: neo_policy_unref().
 */
NEO_MUST_CHECK enum neo_code neo_policy_compile(const struct neo_document *documents, size_t n,
                                                struct neo_policy **ret, struct neo_error *err);
struct neo_policy *neo_policy_ref(struct neo_policy *policy);
void neo_policy_unref(struct neo_policy *policy);
/* 16 hex digits of a digest over the texts, whatever their names and order: for records. */
const char *neo_policy_version(const struct neo_policy *policy);

struct neo_policy_question {
    struct neo_bytes caller;  /* service name, "anonymous" for a peer without certificate */
    struct neo_bytes target;  /* service name */
    struct neo_bytes service; /* "package.Service" */
    struct neo_bytes method;  /* "Method" */
    bool attested;            /* the caller's channel carries a current appraisal */
    int64_t wall;             /* seconds since 1970, for `hours` */
    /* Looks up one metadata value; the empty run with NULL when absent or repeated. May be NULL. */
    struct neo_bytes (*metadata)(const void *self, struct neo_bytes key);
    const void *metadata_self;
    struct neo_bytes on_behalf_of; /* empty: nobody */
    /* What the appraisal says of an attested caller: "sev-snp", and its measurement in hex. */
    struct neo_bytes tee;
    struct neo_bytes measurement;
    bool any_code; /* what would be answered if both were as a rule wants them */
};

enum neo_verdict {
    NEO_DENY,
    NEO_ALLOW,
    NEO_SHADOW_DENY, /* would be denied; mode: shadow lets it through */
};

struct neo_policy_answer {
    enum neo_verdict verdict;
    struct neo_place rule; /* what decided: the rule, or the caller's document when no rule fits */
    struct neo_place nearest; /* on default deny: the rule that came closest; file NULL: none */
    bool by_default;          /* no rule spoke, for or against */
    bool conditional;   /* a condition was asked: the next such call may be answered otherwise */
    const char *reason; /* static: "allowed by rule", "denied by rule", "no rule allows it",
                           "caller has no identity", "condition does not hold: attested" (or
                           hours, metadata, on_behalf_of, tee, measurement) */
};

/* A few look-ups and string compares; never allocates. A rule's place is that of the operation. */
struct neo_policy_answer neo_policy_decide(const struct neo_policy *policy,
                                           const struct neo_policy_question *q);

/* What must be true before the method may be reached: does any rule for it ask attestation? */
bool neo_policy_wants_attestation(const struct neo_policy *policy, struct neo_bytes caller,
                                  struct neo_bytes target);

/* Warnings ("*" used, rule never reachable, ...), one line each with file:line:column. */
void neo_policy_lint(const struct neo_policy *policy, struct neo_buffer *out);

#ifdef __cplusplus
}
#endif

#endif
