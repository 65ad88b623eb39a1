/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo/enrol.h - evidence for a certificate.
 *
 * Where the CA's attestation policy says `enrol: attested` of a service, a certificate
 * for it takes evidence over a nonce of the CA's, the key of the request and the name
 * that is asked for. So the certificate itself says that its key was born in a machine
 * that was judged, and somebody else's genuine machine has none.
 *
 * Threads   Any.
 */
#ifndef NEO_ENROL_H
#define NEO_ENROL_H

#include <neo/attest.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { NEO_ENROL_NONCE_LEN = 32 };

struct neo_enrolment {
    struct neo_bytes evidence_type; /* "snp-report" */
    struct neo_bytes nonce;         /* the CA's, NEO_ENROL_NONCE_LEN */
    struct neo_bytes spki;          /* of the request, DER */
    struct neo_bytes trust_domain;  /* "neo.local" */
    struct neo_bytes service;       /* whose certificate it is to be */
};

/* What the evidence is bound to. INVALID_ARGUMENT: a part is missing or too long. */
NEO_MUST_CHECK enum neo_code neo_enrol_binder(const struct neo_enrolment *enrolment,
                                              uint8_t ret[NEO_AT_LEAST(NEO_BINDER_LEN)],
                                              struct neo_error *err);

/* Does a certificate for `service` take evidence? */
bool neo_enrol_is_asked(const struct neo_attest_policies *policies, struct neo_bytes service);

/* `what`: "enrol: attested" or "measurement_rollouts". Borrows both. */
typedef void neo_enrol_lost_fn(void *self, struct neo_bytes service, const char *what);
/*
 * Tells each service of which a certificate took evidence by `before` and takes none by `after`, or
 * whose measurements were restricted by rollouts and are not any more. Either may be NULL: no
 * policies.
 */
void neo_enrol_compare(const struct neo_attest_policies *before,
                       const struct neo_attest_policies *after, neo_enrol_lost_fn *tell,
                       void *self);

#ifdef __cplusplus
}
#endif

#endif
