/* SPDX-License-Identifier: Apache-2.0 */
/*
 * support/pki.h - a certificate authority for tests, made at run time.
 *
 *     struct pki *pki = pki_new("neo.test");
 *     struct neo_identity *server = pki_identity(pki, "function-service", NULL);
 *     struct neo_trust *trust = pki_trust(pki);
 *
 * A root, an issuing CA and as many certificates as a test wants, good ones by
 * default and broken in exactly one way on request. It asks none of the code under
 * test whether a certificate may exist. Everything is valid from PKI_FROM to
 * PKI_UNTIL, so that real and simulated clocks are both inside. Certificates live
 * as long as their pki; identities and trusts are the caller's to unref. What
 * cannot be made ends the program: a test cannot go on without it.
 */
#ifndef NEO_TESTS_SUPPORT_PKI_H
#define NEO_TESTS_SUPPORT_PKI_H

#include <neo/cert.h>

#define PKI_FROM  INT64_C(1577836800) /* 2020-01-01 */
#define PKI_UNTIL INT64_C(4070908800) /* 2099-01-01 */
#define PKI_NOW   INT64_C(1800000000) /* an instant between them, for tests without a clock */

/*
 * How a certificate differs from a good one; {0} is a good one. A text that is NULL is as it should
 * be, and "" leaves the thing out. Extensions are written as in an OpenSSL configuration file:
 * "critical,CA:TRUE,pathlen:0", "URI:spiffe://neo.test/a,DNS:a", "DER:30:02:05:00".
 */
struct pki_options {
    const char *key; /* "P-256" (default), "P-384", "ED25519", "P-256 explicit", "RSA-2048", ... */
    const char *subject; /* CN */
    const char *second_common_name;
    const char *san; /* instead of the URI */
    const char *dns; /* beside it: "localhost" */
    const char *basic_constraints;
    const char *key_usage;
    const char *extended_key_usage;
    const char *subject_key_id;
    const char *authority_key_id;
    const char *name_constraints; /* none by default */
    const char *policies;         /* none, "1.2.3,1.2.4" */
    const char *policy_mappings;  /* none, "1.2.3:1.2.4" */
    const char *policy_constraints;
    const char *inhibit_any_policy;
    const char *digest;  /* "SHA256" */
    const uint8_t *spki; /* this public key instead of a new one; DER, `spki_len` */
    size_t spki_len;
    int64_t not_before;
    int64_t not_after;
    uint64_t serial; /* 0: the next free one */
    bool is_ca;      /* good, then, as a CA */
    bool version_1;
};

struct pki;
struct pki_cert;

struct pki *pki_new(const char *trust_domain);
void pki_free(struct pki *pki);

const struct pki_cert *pki_root(const struct pki *pki);
const struct pki_cert *pki_issuer(const struct pki *pki);

/* A certificate for `name` (a service, or a CA's common name) by `issuer`; NULL: by itself. */
const struct pki_cert *pki_make(struct pki *pki, const struct pki_cert *issuer, const char *name,
                                const struct pki_options *options);

struct neo_bytes pki_der(const struct pki_cert *cert);
struct neo_bytes pki_key(const struct pki_cert *cert); /* PKCS#8, DER */
struct neo_bytes pki_key_id(const struct pki_cert *cert);
struct neo_bytes pki_serial(const struct pki_cert *cert);
/* `cert` and its issuers, with or without the root; how many. */
size_t pki_chain(const struct pki_cert *cert, bool with_root, struct neo_bytes ret[static 8]);

/* The same as PEM: the chain without its root, and the key. Appended. */
void pki_pem_chain(const struct pki_cert *cert, struct neo_buffer *out);
void pki_pem_key(const struct pki_cert *cert, struct neo_buffer *out);
void pki_pem_root(const struct pki *pki, struct neo_buffer *out);

/* A leaf by the issuing CA with its chain and key. Gives: neo_identity_unref(). */
struct neo_identity *pki_identity(struct pki *pki, const char *service,
                                  const struct pki_options *options);
struct neo_identity *pki_identity_of(const struct pki_cert *cert, bool with_root);

/* Trusts this root for its domain. Gives: neo_trust_unref(). */
struct neo_trust *pki_trust(const struct pki *pki);
struct neo_trust *pki_trust_revoking(const struct pki *pki, const struct neo_revocation *revoked,
                                     size_t n);
/* Trusts whoever shows this root: what a joining client has. */
struct neo_trust *pki_trust_by_fingerprint(const struct pki *pki);

#endif
