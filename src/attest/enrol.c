/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/policies.h"
#include "attest/session.h"

#include <neo/digest.h>
#include <neo/enrol.h>

#include <stdio.h>

enum { ROLE_CLIENT = 2, KIND_ENROLMENT = 4, NAME_MAX_LEN = 300 };

/* No exporter: the key itself is in it, and only its owner can use the certificate. */
enum neo_code neo_enrol_binder(const struct neo_enrolment *e, uint8_t ret[static NEO_BINDER_LEN],
                               struct neo_error *err)
{
    uint8_t spki_sha256[NEO_SHA256_LEN];
    char own[NAME_MAX_LEN], ca[NAME_MAX_LEN];

    if (e->nonce.len != NEO_ENROL_NONCE_LEN || e->spki.len == 0 || e->service.len == 0 ||
        e->trust_domain.len == 0 || e->service.len > 63 || e->trust_domain.len > 200 ||
        e->evidence_type.len > 63)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "a part of the enrolment is missing");
    neo_sha256(e->spki, spki_sha256);
    (void)snprintf(own, sizeof(own), "spiffe://%.*s/%.*s", NEO_FMT(e->trust_domain),
                   NEO_FMT(e->service));
    (void)snprintf(ca, sizeof(ca), "spiffe://%.*s/neo-ca", NEO_FMT(e->trust_domain));
    const struct attest_binder_input input = {
        .role = ROLE_CLIENT,
        .kind = KIND_ENROLMENT,
        .evidence_type = e->evidence_type,
        .verifier_nonce = e->nonce,
        .attester_spki_sha256 = neo_bytes(spki_sha256, sizeof(spki_sha256)),
        .attester_uri = neo_text(own),
        .verifier_uri = neo_text(ca),
    };
    attest_binder(&input, ret);
    return NEO_OK;
}

bool neo_enrol_is_asked(const struct neo_attest_policies *policies, struct neo_bytes service)
{
    const struct attest_policy *policy = attest_policies_find(policies, service);

    return policy != NULL && policy->enrol_attested;
}

/* Of a service with several measurements, the first. */
static bool is_first(const struct attest_rollouts *rollouts, size_t i)
{
    struct neo_bytes service = neo_text(rollouts->at[i].service);

    for (size_t before = 0; before < i; before++)
        if (neo_bytes_equal(neo_text(rollouts->at[before].service), service))
            return false;
    return true;
}

void neo_enrol_compare(const struct neo_attest_policies *before,
                       const struct neo_attest_policies *after, neo_enrol_lost_fn *tell, void *self)
{
    for (size_t i = 0; before != NULL && i < before->n; i++) {
        const struct attest_policy *p = &before->at[i];
        if (p->enrol_attested && !neo_enrol_is_asked(after, p->service))
            tell(self, p->service, "enrol: attested");
    }
    for (size_t i = 0; before != NULL && i < before->rollouts.n; i++) {
        struct neo_bytes service = neo_text(before->rollouts.at[i].service);
        if ((after == NULL || !attest_policies_rolls_out(after, service)) &&
            is_first(&before->rollouts, i))
            tell(self, service, "measurement_rollouts");
    }
}
