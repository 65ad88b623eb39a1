/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attest/policies.h - the compiled `attestation_policies:`.
 */
#ifndef NEO_ATTEST_POLICIES_H
#define NEO_ATTEST_POLICIES_H

#include "attest/snp_rule.h"

#include <stdatomic.h>

enum attest_require {
    ATTEST_HARDWARE,
    ATTEST_SIMULATOR,
};

struct attest_policy {
    struct neo_bytes service;
    struct neo_place place;
    enum attest_require require;
    neo_nsec max_age;
    const struct snp_rule *rules; /* one of them must hold as a whole */
    size_t n_rules;
};

struct neo_attest_policies {
    _Atomic unsigned refs;
    struct neo_arena arena; /* holds everything below */
    struct attest_policy *at;
    size_t n;
};

/* NULL: nobody asks this service to prove itself. */
const struct attest_policy *attest_policies_find(const struct neo_attest_policies *policies,
                                                 struct neo_bytes service);

/* The one kind of evidence that the policy takes. */
enum neo_evidence_kind attest_policy_kind(const struct attest_policy *policy);

#endif
