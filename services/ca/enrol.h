/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ca/enrol.h - whether a certificate takes evidence, and whether this evidence will do.
 *
 * A challenge is made of its time and a code over it, so nothing is kept for those who
 * ask and never come back. It holds for a minute, and for one service.
 *
 * Threads   Any; judging is several signature checks: off the loop.
 */
#ifndef NEO_CA_ENROL_H
#define NEO_CA_ENROL_H

#include <neo/ca/v1/ca.neo.h>
#include <neo/enrol.h>

#include <pthread.h>

struct enrol {
    pthread_mutex_t lock;
    struct neo_attest_policies *policies; /* under it; NULL: no certificate takes evidence */
    struct neo_attest_trust *trust;       /* the same */
    const char *trust_domain;
    uint8_t secret[32];
};

/*
 * References both, which may be NULL. Candidates of rollouts get certificates, too: one must start
 * before it can become active, and with its certificate it reaches nobody but the registry.
 */
void enrol_init(struct enrol *e, struct neo_attest_policies *policies,
                struct neo_attest_trust *trust, const char *trust_domain);
void enrol_fini(struct enrol *e);
/*
 * Others from now on; references both. `trust` NULL: that of before. What is being judged is judged
 * by those before.
 */
void enrol_update(struct enrol *e, struct neo_attest_policies *policies,
                  struct neo_attest_trust *trust);

/* What neo_enrol_compare() tells of those in force and `with`. */
void enrol_compare(struct enrol *e, const struct neo_attest_policies *with, neo_enrol_lost_fn *tell,
                   void *self);

void enrol_challenge(const struct enrol *e, struct neo_bytes service, int64_t now,
                     uint8_t ret[static NEO_ENROL_NONCE_LEN]);

struct enrol_request {
    struct neo_bytes service; /* by its token or its certificate */
    struct neo_bytes spki;
    const struct neo_ca_v1_Evidence *evidence; /* NULL: none came */
};
/* Does a certificate for `service` take evidence? */
bool enrol_takes(struct enrol *e, struct neo_bytes service);

enum { ENROL_NOTE_LEN = 120 };
struct enrol_verdict {
    char note[ENROL_NOTE_LEN]; /* of what was accepted, for the record; "": none was asked */
    int64_t until; /* by its rollout, what was proven counts no longer; 0: there is no such date */
};
/*
 * OK: none is asked, or it was accepted. FAILED_PRECONDITION: it is asked and none came.
 * PERMISSION_DENIED: it was not accepted.
 */
NEO_MUST_CHECK enum neo_code enrol_judge(struct enrol *e, const struct enrol_request *r,
                                         int64_t now, struct enrol_verdict *ret,
                                         struct neo_error *err);

#endif
