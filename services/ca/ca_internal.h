/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ca/ca_internal.h - the CA's service in its parts: ca.c, and issue.c for what ends in a
 * certificate.
 */
#ifndef NEO_CA_CA_INTERNAL_H
#define NEO_CA_CA_INTERNAL_H

#include "ca/authority.h"
#include "ca/ca.h"
#include "ca/enrol.h"
#include "ca/told.h"
#include "common/gate.h"

#include <neo/audit_file.h>
#include <neo/ratelimit.h>
#include <neo/server.h>

#include <stdatomic.h>

#define CA_SERVICE "neo-ca"

/*
 * Anybody can knock at the CA without a certificate, and each record takes of the disk that it
 * gives certificates with: so of their refusals a few are on record, and the others are counted
 * there.
 */
enum { REFUSALS_PER_SECOND = 2, REFUSALS_BURST = 200 };
struct refusals {
    struct neo_ratelimit bucket;
    _Atomic uint64_t unrecorded;
};

struct ca {
    struct signer signer;
    struct authority authority;
    struct enrol enrol;
    struct told told;
    pthread_mutex_t telling; /* one epoch after the other */
    struct gate gate;
    struct neo_server *server;
    struct neo_runtime *runtime;
    struct neo_metrics *metrics;
    struct neo_audit_file *audit;
    struct neo_audit_sink sink; /* of the server: what its policy refused */
    struct refusals refusals;
    ca_record_fn *record;
    void *record_self;
    const struct neo_log *log;
    char *trust_domain;
    char *registry_file;
    char *advertise;
    struct neo_timer renewal; /* on worker 0, as the next */
    bool ending;
    struct neo_task renew; /* the signer is asked off the loop */
    struct {
        ca_rules_fn *read;
        void *self;
        struct neo_timer timer; /* on worker 0 */
        struct neo_task reading;
        char said[240];                 /* why it failed last */
        uint8_t sha256[NEO_SHA256_LEN]; /* of the policies that were recorded last */
    } rules;
};

/* A handler's beginning: false when the CA is going down, and the call is answered. */
NEO_MUST_CHECK bool ca_begin(struct ca *ca, struct neo_call *call);
/* Its end. Leaves the gate: of the service nothing is touched any more. */
void ca_answer(struct ca *ca, struct neo_call *call, enum neo_code code,
               const struct neo_error *err, const void *response);

/* record.c. Return when the record of what was given or taken cannot be lost any more. */
NEO_MUST_CHECK enum neo_code ca_record(struct ca *ca, const struct neo_call *call,
                                       const char *detail, struct neo_error *err);
/* The same of what nobody called for. */
NEO_MUST_CHECK enum neo_code ca_record_own(struct ca *ca, const char *detail,
                                           struct neo_error *err);
ca_record_fn ca_record_in_file;
/*
 * Ends a call; a refusal is on record, with the id that the caller gets. `service`: for whom.
 * False: it is only counted there.
 */
bool ca_fail(struct ca *ca, struct neo_call *call, enum neo_code code, struct neo_bytes service,
             const char *why);

void refusals_init(struct refusals *r);
/*
 * Does a refusal of `caller` go on record? Of callers with a certificate each does. `*ret_n`: how
 * many did not since it was asked last, to be told before this one; 0: none.
 */
NEO_MUST_CHECK bool refusals_take(struct refusals *r, struct neo_bytes caller, neo_nsec now,
                                  uint64_t *ret_n);
/* Puts `sink` and `refusals` to use; at the end, what was not told yet. */
void ca_record_begin(struct ca *ca);
void ca_record_end(struct ca *ca);

/* rules.c, both on worker 0. */
void rules_begin(struct ca *ca);
void rules_end(struct ca *ca);

/* issue.c */
void issue_challenge(struct neo_call *call, const struct neo_ca_v1_ChallengeRequest *request,
                     void *self);
void issue_sign(struct neo_call *call, const struct neo_ca_v1_SignRequest *request, void *self);
void issue_renew(struct neo_call *call, const struct neo_ca_v1_RenewRequest *request, void *self);

#endif
