/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo/attest_policy.h - what compiled `attestation_policies:` say, for people, and how far a
 * piece of evidence is from them.
 *
 * Nothing here decides anything: neo/attest.h does.
 *
 * Threads   Any. Everything that is given lives in the caller's arena, and borrows the policies.
 */
#ifndef NEO_ATTEST_POLICY_H
#define NEO_ATTEST_POLICY_H

#include <neo/evidence.h>
#include <neo/yaml.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One row of `any_of`, as it was written: "measurement", "tcb.accept", "rtmr.0". */
struct neo_attest_row {
    const char *tee;
    struct neo_place place;
    const struct neo_evidence_fact *given; /* texts; lists with ", " between */
    size_t n_given;
    const char *const *warnings; /* what it leaves open: "no chip_id: ..." */
    size_t n_warnings;
};

struct neo_attest_service {
    struct neo_bytes name;
    struct neo_place place;
    const char *require; /* "hardware" */
    neo_nsec max_age;
    const struct neo_attest_row *rows;
    size_t n_rows;
};

/* In the order of their files. */
NEO_MUST_CHECK enum neo_code neo_attest_policies_list(const struct neo_attest_policies *policies,
                                                      struct neo_arena *arena,
                                                      const struct neo_attest_service **ret,
                                                      size_t *ret_n, struct neo_error *err);

/* Where evidence and a row part: a check that failed, what it found, what the row has there. */
struct neo_attest_difference {
    const char *check;
    const char *found;       /* one sentence */
    struct neo_bytes wanted; /* as the row has it; empty: the row says nothing, and is strict */
};
/* What a row asks and nobody judged, because the evidence failed before: what it says there. It is
 * the evidence's own word, and proves nothing, also where it is the same. */
struct neo_attest_claim {
    const char *check;
    struct neo_bytes claimed; /* hex */
    struct neo_bytes wanted;  /* as the row has it */
    bool same;                /* one of the wanted */
};
struct neo_attest_comparison {
    size_t row; /* its place among the service's rows, from 0 */
    struct neo_place place;
    bool accepted;
    const struct neo_attest_difference *at;
    size_t n;
    const struct neo_attest_claim *claims;
    size_t n_claims;
};
/* Each row of the evidence's tee on its own, the nearest first. None: there is no such row. */
NEO_MUST_CHECK enum neo_code neo_evidence_compare(const struct neo_evidence_question *question,
                                                  struct neo_arena *arena,
                                                  const struct neo_attest_comparison **ret,
                                                  size_t *ret_n, struct neo_error *err);

/* --- a piece of evidence as a tree ------------------------------------------------------------ */

/* In order: a node is a child of the last one before it whose depth is one less. */
struct neo_explain_node {
    unsigned depth;
    const char *name;
    struct neo_bytes value; /* text; may be empty */
};
/* Its parts, every field with the bits of flags by name, the certificates that came with it. */
NEO_MUST_CHECK enum neo_code neo_evidence_explain(const struct neo_evidence *evidence,
                                                  struct neo_arena *arena,
                                                  const struct neo_explain_node **ret,
                                                  size_t *ret_n, struct neo_error *err);

#ifdef __cplusplus
}
#endif

#endif
