/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ca/ca.h - the certificate authority as a service: `neo serve ca`.
 */
#ifndef NEO_CA_CA_H
#define NEO_CA_CA_H

#include <neo/attest.h>
#include <neo/audit.h>
#include <neo/buffer.h>
#include <neo/digest.h>
#include <neo/log.h>
#include <neo/runtime.h>

/* Returns when the record cannot be lost any more. */
typedef enum neo_code ca_record_fn(void *self, const struct neo_audit_record *record,
                                   struct neo_error *err);

/* The attestation policies, and what evidence is judged with. */
struct ca_reading {
    struct neo_attest_policies *policies; /* NULL: all is as it was */
    struct neo_attest_trust *trust;       /* NULL: that of before stays, `no_trust` says why */
    struct neo_error no_trust;
    uint8_t sha256[NEO_SHA256_LEN]; /* of the policies' files, one after the other */
};

/*
 * Reads them when any of it is other than last time. `*ret` is {0}; gives what is in it. On the
 * pool. When it fails, what was given before stays in force.
 */
typedef enum neo_code ca_rules_fn(void *self, struct ca_reading *ret, struct neo_error *err);

struct ca_options {
    const char *program;       /* path of `neo`, to start the signer with */
    const char *dir;           /* state: ca.db, signer/, audit.jsonl */
    const char *trust_domain;  /* "neo.local" */
    const char *listen;        /* "127.0.0.1:8441" */
    const char *advertise;     /* what join strings name; NULL: where it listens */
    const char *registry_file; /* the registry's address, one line; read at each signing */
    int64_t leaf_life;         /* seconds; 0: 24 h */
    bool development;
    const struct neo_log *log;
    bool has_signer; /* tests: one runs already, at the other end of these two pipes */
    int signer_ask;
    int signer_answer;
    /* tests: takes the records in place of audit.jsonl, whose thread knows no simulated time */
    ca_record_fn *record;
    void *record_self;

    /* Which certificates take evidence (`enrol: attested`), and whose roots count; referenced. */
    struct neo_attest_policies *attest_policies;
    struct neo_attest_trust *attest_trust;
    /* Asked every second; NULL: nothing of it changes. Until ca_stop(). */
    ca_rules_fn *read_rules;
    void *rules_self;
};

struct ca;

/* Starts the signer, makes its own certificate, listens. Gives `*ret`: ca_stop(). */
NEO_MUST_CHECK enum neo_code ca_start(const struct ca_options *options, struct neo_runtime *runtime,
                                      struct ca **ret, struct neo_error *err);
void ca_stop(struct ca *ca);
const char *ca_address(const struct ca *ca);
/* A join string for a service, made in this process. `ttl_seconds` 0: 10 minutes. */
NEO_MUST_CHECK enum neo_code ca_join_string(struct ca *ca, const char *service, int64_t ttl_seconds,
                                            struct neo_buffer *out, int64_t *ret_expires,
                                            struct neo_error *err);
/*
 * The same for whoever owns this process, on record before it is given: how an operator gets in.
 * Any thread until ca_stop().
 */
NEO_MUST_CHECK enum neo_code ca_first_string(struct ca *ca, const char *service,
                                             int64_t ttl_seconds, struct neo_buffer *out,
                                             struct neo_error *err);

#endif
