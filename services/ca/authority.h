/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ca/authority.h - what the CA knows and decides: tokens, certificates, revocations.
 *
 * All of it is in one SQLite file. A signing is recorded in two steps around the signer: first the
 * token is consumed and the certificate's serial, name and times are fixed, in one transaction;
 * then it is signed; then the certificate is kept. A crash in between is mended by asking again:
 * the same request gives the same serial, and the signer gives the same certificate for it.
 *
 * A renewal is recorded with the certificate that it renews, so that a revoked one takes with
 * it all that was renewed from it: by its owner, and by whoever stole its key meanwhile.
 *
 * Threads   Locked inside; signing waits for the disk, so call it off the loop.
 */
#ifndef NEO_CA_AUTHORITY_H
#define NEO_CA_AUTHORITY_H

#include "ca/signer.h"

#include <neo/ca/v1/ca.neo.h>
#include <neo/ratelimit.h>
#include <neo/store.h>

enum {
    AUTHORITY_RENEWAL_LIMITS = 512,
    AUTHORITY_RENEWALS_PER_SECOND = 5, /* a hundred instances that live a minute need 4 */
    AUTHORITY_RENEWALS_BURST = 50,
    AUTHORITY_TRIES_PER_SECOND = 1, /* of one token: its owner tries again, and not often */
    AUTHORITY_TRIES_BURST = 10,
    AUTHORITY_REASON_MAX = 200,
    /* Of one lineage, in a 24th of a leaf's life: who renews at half of it needs less than one. */
    AUTHORITY_LINE_PACES = 24,
    AUTHORITY_LINE_RENEWALS = 30,
    AUTHORITY_LEAST_LIFE = 300, /* seconds, or a leaf's life, of a certificate that ends early */
    /* Told one by one with one serial: more than can be alive at that pace. */
    AUTHORITY_HEIRS_MAX = 2000,
    /* Of the trust's NEO_TRUST_MAX bytes: kept for revocations of services. */
    AUTHORITY_TRUST_RESERVE = 512 << 10,
};

/* Of its file, for neo_store_open(). */
extern const char *const authority_schema[];

struct authority {
    struct neo_store *store;
    struct signer *signer;
    pthread_mutex_t lock;
    const char *trust_domain;
    int64_t leaf_life;         /* seconds */
    const char *registry_file; /* may not be there yet */
    const char *address;
    /* Renewals of a service: by a hash of its name, so two may share one. */
    struct neo_ratelimit renewals[AUTHORITY_RENEWAL_LIMITS];
    struct neo_ratelimit tries[AUTHORITY_RENEWAL_LIMITS]; /* of a token, by its hash */
    struct {                                              /* the trust as it was signed last */
        struct neo_buffer trust;
        struct neo_buffer signature;
        struct neo_buffer issuer;
        uint64_t epoch;
        int64_t signed_at;
    } told; /* under `lock` */
};

/*
 * The file alone, which no other CA may have open: so it comes before the signer is started, and
 * authority_recover() after that.
 */
NEO_MUST_CHECK enum neo_code authority_open(struct authority *a, const char *path,
                                            struct neo_error *err);
void authority_close(struct authority *a);

/* A new token for `service`; its text is only ever here. */
NEO_MUST_CHECK enum neo_code authority_token(struct authority *a, const char *service,
                                             int64_t ttl_seconds, struct neo_buffer *out_token,
                                             int64_t *ret_expires, struct neo_error *err);

struct authority_request {
    struct neo_bytes csr;
    struct neo_bytes request_id;
    struct neo_bytes token;   /* first certificate; else empty */
    struct neo_bytes service; /* renewal: of the caller's certificate; else whom it takes itself
                                 for, or empty */
    struct neo_bytes parent;  /* renewal: the serial of the caller's certificate */
};

/* A request that nothing cheap speaks against. {0}; authority_case_fini(). */
struct authority_case {
    struct neo_buffer spki;        /* the key that the request is for, DER */
    char service[SIGNER_NAME_MAX]; /* whose certificate it is to be, by its token or certificate */
    int64_t until; /* the certificate ends then at the latest; 0: nothing but its life ends it */
};
void authority_case_fini(struct authority_case *c);

/*
 * All that can be said without evidence: the request's form, its token or the certificate that is
 * renewed, its key, and how often this token or service may ask. Spends nothing but that.
 */
NEO_MUST_CHECK enum neo_code authority_consider(struct authority *a,
                                                const struct authority_request *r,
                                                struct authority_case *c, struct neo_error *err);
/*
 * Signs what was considered, and fills `response` in `arena`. What may have changed since, while
 * evidence was judged, is asked again, in one step with the decision: token, revocations, key.
 * FAILED_PRECONDITION also: `until` leaves no life that anything could be done with.
 */
NEO_MUST_CHECK enum neo_code authority_sign(struct authority *a, const struct authority_request *r,
                                            const struct authority_case *c, struct neo_arena *arena,
                                            struct neo_ca_v1_SignResponse *response,
                                            struct neo_error *err);

/*
 * A serial with all that was renewed from it; or all of a service, with its join tokens that were
 * not used. NOT_FOUND: there is neither.
 */
NEO_MUST_CHECK enum neo_code authority_revoke(struct authority *a,
                                              const struct neo_ca_v1_RevokeRequest *r,
                                              struct neo_ca_v1_RevokeResponse *response,
                                              struct neo_error *err);

/* The present trust, signed. */
NEO_MUST_CHECK enum neo_code authority_trust(struct authority *a, struct neo_arena *arena,
                                             struct neo_ca_v1_SignedTrust *ret, uint64_t *ret_epoch,
                                             struct neo_error *err);

/* CRLs in DER for other people's software: of the issuer, and of the one before while it matters.
 */
NEO_MUST_CHECK enum neo_code authority_crl(struct authority *a, struct neo_arena *arena,
                                           struct neo_ca_v1_GetCrlResponse *response,
                                           struct neo_error *err);
/* tokens.c, all of them under the lock. Whose token it is, and that it is good. Spends nothing. */
NEO_MUST_CHECK enum neo_code tokens_look(struct authority *a, const struct authority_request *r,
                                         char service[static SIGNER_NAME_MAX],
                                         struct neo_error *err);
/* In the decision's transaction: from now on it is this request's alone. */
NEO_MUST_CHECK enum neo_code tokens_spend(struct authority *a, const struct authority_request *r,
                                          struct neo_error *err);
/* In a revocation's: those of the service that were not used. */
NEO_MUST_CHECK enum neo_code tokens_void(struct authority *a, struct neo_bytes service,
                                         int64_t *ret_n, struct neo_error *err);
/*
 * Whether the present trust can be told in NEO_TRUST_MAX bytes, as it was not asked of a file from
 * before there was that limit. RESOURCE_EXHAUSTED: it cannot, and what to do.
 */
NEO_MUST_CHECK enum neo_code authority_can_tell(struct authority *a, struct neo_error *err);
/* trust.c: the size of all that is to be told now, in bytes. Under the lock, as the next. */
NEO_MUST_CHECK enum neo_code authority_trust_size(struct authority *a, size_t *ret,
                                                  struct neo_error *err);
/*
 * trust.c, inside a revocation's transaction: whether all that is revoked then can be told, in
 * NEO_TRUST_MAX bytes less `reserve`. RESOURCE_EXHAUSTED: it cannot.
 */
NEO_MUST_CHECK enum neo_code authority_trust_fits(struct authority *a, size_t reserve,
                                                  struct neo_error *err);
/* trust.c: what the signer signed last is not forgotten, whatever became of the file. */
NEO_MUST_CHECK enum neo_code authority_recover(struct authority *a, struct neo_error *err);

NEO_MUST_CHECK enum neo_code authority_list(struct authority *a, const char *service,
                                            bool include_expired, struct neo_arena *arena,
                                            struct neo_ca_v1_ListCertificatesResponse *response,
                                            struct neo_error *err);
NEO_MUST_CHECK enum neo_code authority_status(struct authority *a, struct neo_arena *arena,
                                              struct neo_ca_v1_GetStatusResponse *response,
                                              struct neo_error *err);

#endif
