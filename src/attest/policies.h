/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attest/policies.h - the compiled `attestation_policies:`.
 */
#ifndef NEO_ATTEST_POLICIES_H
#define NEO_ATTEST_POLICIES_H

#include "attest/family.h"
#include "attest/row.h"
#include "attest/session.h"

#include <neo/rollout.h>

#include <stdatomic.h>

enum attest_require {
    ATTEST_HARDWARE,
    ATTEST_HARDWARE_OR_TPM,
    ATTEST_SIMULATOR,
};

struct attest_rule {
    const struct attest_family *family;
    const void *is; /* compiled by the family */
    struct neo_place place;
    const struct neo_evidence_fact *given; /* what the row says, for people */
    size_t n_given;
};

struct attest_policy {
    struct neo_bytes service;
    struct neo_place place;
    enum attest_require require;
    enum attest_mode mode;
    bool enrol_attested; /* a certificate for the service takes evidence */
    neo_nsec max_age;
    int64_t max_stale;               /* seconds for which collateral that is out of date does */
    const struct attest_rule *rules; /* one of them must hold as a whole */
    size_t n_rules;
};

struct attest_rollouts {
    struct neo_rollout *at;
    size_t n;
};

struct neo_attest_policies {
    _Atomic unsigned refs;
    struct neo_arena arena; /* holds everything below */
    struct attest_policy *at;
    size_t n;
    struct attest_rollouts rollouts;
    bool observes; /* the registry: accepts candidates */
};
/* NULL: by its rollout, if it has one, this measurement of the service counts at `now`. */
const char *attest_policies_rollout_refusal(const struct neo_attest_policies *policies,
                                            struct neo_bytes service, struct neo_bytes measurement,
                                            int64_t now);
/* When by its rollout that measurement counts no more; INT64_MAX: no date. */
int64_t attest_policies_rollout_end(const struct neo_attest_policies *policies,
                                    struct neo_bytes service, struct neo_bytes measurement);
/* Has it one? */
bool attest_policies_rolls_out(const struct neo_attest_policies *policies,
                               struct neo_bytes service);

/* NULL: nobody asks this service to prove itself. */
const struct attest_policy *attest_policies_find(const struct neo_attest_policies *policies,
                                                 struct neo_bytes service);

/* Does one of its rules take this kind of evidence? */
bool attest_policy_accepts(const struct attest_policy *policy, enum neo_evidence_kind kind);
/* Those kinds, as bits. */
unsigned attest_policy_kinds(const struct attest_policy *policy);
/* The names of the kinds whose bits are set; returns how many. */
size_t attest_kind_names(unsigned kinds, struct neo_bytes ret[static NEO_EVIDENCE_UNKNOWN]);

#endif
