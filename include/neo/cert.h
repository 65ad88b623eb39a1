/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo/cert.h - certificates, requests, trust and revocation.
 *
 * The profile is X509-SVID narrowed: leaf with exactly one URI SAN, CA:FALSE,
 * critical keyUsage digitalSignature, EKU serverAuth + clientAuth, P-256, P-384
 * or Ed25519; CN, if any, equal to the service of the URI and read by nobody.
 *
 * Everything here is bytes in, values out; the time is an argument, in seconds
 * since 1970.
 *
 * Threads   neo_cert, neo_identity and neo_trust are immutable and reference counted.
 */
#ifndef NEO_CERT_H
#define NEO_CERT_H

#include <neo/buffer.h>
#include <neo/digest.h>
#include <neo/key.h>
#include <neo/spiffe.h>

#ifdef __cplusplus
extern "C" {
#endif

struct neo_cert;

/* Gives `*ret`: neo_cert_unref(). `what` names the source in messages. */
NEO_MUST_CHECK enum neo_code neo_cert_from_der(struct neo_bytes der, const char *what,
                                               struct neo_cert **ret, struct neo_error *err);
/* The first certificate of a PEM text. */
NEO_MUST_CHECK enum neo_code neo_cert_from_pem(struct neo_bytes pem, const char *what,
                                               struct neo_cert **ret, struct neo_error *err);
struct neo_cert *neo_cert_ref(struct neo_cert *cert);
void neo_cert_unref(struct neo_cert *cert);
void neo_cert_unrefp(struct neo_cert **cert);

/* What a person, a policy or a record needs; all of it borrows the certificate. */
struct neo_cert_facts {
    struct neo_bytes der;
    struct neo_bytes spki;           /* SubjectPublicKeyInfo, DER */
    struct neo_bytes serial;         /* big-endian, at most 20 bytes */
    struct neo_bytes issuer_key_id;  /* authority key identifier; empty when absent */
    struct neo_bytes subject_key_id; /* empty when absent */
    struct neo_bytes uri;            /* the URI SAN when there is exactly one; else empty */
    struct neo_spiffe_id id;         /* parsed `uri`; empty parts when it does not parse */
    const char *subject;             /* one line, escaped */
    const char *issuer;
    int64_t not_before; /* seconds since 1970 */
    int64_t not_after;
    bool is_ca;
    const char *key_kind; /* "ECDSA P-256", "RSA-2048", ... */
    size_t dns_names;
    const char *const *dns_name;
};
const struct neo_cert_facts *neo_cert_facts(const struct neo_cert *cert);
/* One URI of several, which our own profile does not allow; NULL behind the last. Borrowed. */
const char *neo_cert_uri(const struct neo_cert *cert, size_t i);

/* Leaf profile check, apart from time and chain. The message names the rule that is broken. */
NEO_MUST_CHECK enum neo_code neo_cert_check_leaf(const struct neo_cert *cert,
                                                 struct neo_error *err);

/*
 * Whether `ca` may speak for the trust domain of `root`: an issuing certificate of our profile,
 * valid at `now`, signed by `root`.
 */
NEO_MUST_CHECK enum neo_code neo_cert_check_issuing(const struct neo_cert *ca,
                                                    const struct neo_cert *root, int64_t now,
                                                    struct neo_error *err);

/* Appends it as PEM. False when out of memory. */
bool neo_cert_to_pem(const struct neo_cert *cert, struct neo_buffer *out);

/* --- requests ------------------------------------------------------------------------------ */

/* PKCS#10, DER: the subject is CN=`service` and is ignored by our CA. */
NEO_MUST_CHECK enum neo_code neo_csr_create(const struct neo_key *key, const char *service,
                                            struct neo_buffer *out, struct neo_error *err);
/*
 * Checks size (at most 4 KiB), form, proof of possession and the kind of key. Only the public key
 * comes out (SPKI, DER, appended to `out_spki`).
 */
NEO_MUST_CHECK enum neo_code neo_csr_check(struct neo_bytes der, struct neo_buffer *out_spki,
                                           struct neo_error *err);

/* --- issuing ------------------------------------------------------------------------------- */

struct neo_cert_template {
    struct neo_bytes spki; /* the subject's public key */
    const char *uri;       /* spiffe id; for a CA the trust domain's */
    const char *common_name;
    const char *const *dns_names; /* NULL-terminated, or NULL */
    uint8_t serial[16];           /* random; the top bit is cleared by the issuer */
    int64_t not_before;
    int64_t not_after;
    bool is_ca;
    int path_length; /* CA only */
};
/*
 * Signs with `issuer_key`; `issuer` NULL makes a self-signed root. Appends DER. notAfter beyond
 * the issuer's is FAILED_PRECONDITION. A leaf that would not pass neo_cert_check_leaf() is refused.
 */
NEO_MUST_CHECK enum neo_code neo_cert_issue(const struct neo_cert_template *t,
                                            const struct neo_cert *issuer,
                                            const struct neo_key *issuer_key,
                                            struct neo_buffer *out, struct neo_error *err);

/* A DER CRL (RFC 5280) over `n` serials, for other people's software. */
struct neo_revoked {
    struct neo_bytes serial;
    int64_t at;
};
NEO_MUST_CHECK enum neo_code neo_crl_issue(const struct neo_revoked *revoked, size_t n,
                                           uint64_t number, int64_t this_update,
                                           int64_t next_update, const struct neo_cert *issuer,
                                           const struct neo_key *issuer_key, struct neo_buffer *out,
                                           struct neo_error *err);

/* --- identity: a leaf, its chain and its key (an epoch) --------------------------------------- */

struct neo_identity;
/*
 * Takes references. `chain` are the DER certificates from leaf towards the root. Refuses a key that
 * does not fit the leaf. Gives `*ret`: neo_identity_unref().
 */
NEO_MUST_CHECK enum neo_code neo_identity_new(struct neo_key *key, const struct neo_bytes *chain,
                                              size_t n, struct neo_identity **ret,
                                              struct neo_error *err);
/* PEM files: certificate chain and key. */
NEO_MUST_CHECK enum neo_code neo_identity_from_pem(struct neo_bytes chain_pem,
                                                   struct neo_bytes key_pem, const char *what,
                                                   struct neo_identity **ret,
                                                   struct neo_error *err);
struct neo_identity *neo_identity_ref(struct neo_identity *identity);
void neo_identity_unref(struct neo_identity *identity);
const struct neo_cert *neo_identity_leaf(const struct neo_identity *identity);
size_t neo_identity_chain_length(const struct neo_identity *identity);
const struct neo_cert *neo_identity_chain(const struct neo_identity *identity, size_t i);
struct neo_key *neo_identity_key(const struct neo_identity *identity);

/* --- trust: whose signatures count, and what is revoked (an epoch) -----------------------------
 */

struct neo_trust;

struct neo_trust_domain {
    struct neo_bytes name;
    const struct neo_bytes *roots; /* DER */
    size_t n_roots;
};
/* Revoked by serial under one issuer, or everything of one service issued before an instant. */
struct neo_revocation {
    struct neo_bytes issuer_key_id;
    struct neo_bytes serial;  /* or empty */
    struct neo_bytes service; /* with an empty serial; empty: any service */
    int64_t issued_before;    /* with an empty serial: notBefore below this */
};
struct neo_trust_options {
    const struct neo_trust_domain *domains;
    size_t n_domains;
    const struct neo_revocation *revocations;
    size_t n_revocations;
    uint64_t epoch; /* monotonic */
    const uint8_t
        *root_fingerprint; /* SHA-256 of one root's DER, instead of domains: joining only */
};
NEO_MUST_CHECK enum neo_code neo_trust_new(const struct neo_trust_options *options,
                                           struct neo_trust **ret, struct neo_error *err);
/*
 * Trusts every certificate of a PEM text as a root of one trust domain, which is all that a service
 * with a certificate authority of its own needs: docs/STANDALONE.md. At most 32; what is no root of
 * our profile is refused, and so is a text with a private key in it. `what` names the source in
 * messages ("ca.pem"). Gives `*ret`: neo_trust_unref().
 */
NEO_MUST_CHECK enum neo_code neo_trust_from_pem(const char *trust_domain,
                                                struct neo_bytes roots_pem, const char *what,
                                                struct neo_trust **ret, struct neo_error *err);
struct neo_trust *neo_trust_ref(struct neo_trust *trust);
void neo_trust_unref(struct neo_trust *trust);
uint64_t neo_trust_epoch(const struct neo_trust *trust);
/* Cost: one hash lookup for each certificate of the path that `leaf` was verified by. */
bool neo_trust_is_revoked(const struct neo_trust *trust, const struct neo_cert *leaf);

/*
 * The whole judgement of a peer: chain to the roots of the trust domain that the leaf names (never
 * another's), validity at `now`, profile, EKU, revocation of leaf and intermediates.
 * UNAUTHENTICATED with the reason otherwise. `chain` is leaf first, as received; at most 4.
 */
NEO_MUST_CHECK enum neo_code neo_trust_verify(const struct neo_trust *trust,
                                              const struct neo_bytes *chain, size_t n, int64_t now,
                                              struct neo_cert **ret_leaf, struct neo_error *err);

/*
 * Whether a leaf that neo_trust_verify() accepted under another snapshot would be under this one,
 * its validity in time apart: not revoked, and from a root that is still its trust domain's. No
 * signature is checked again. Cost: a few lookups.
 */
bool neo_trust_stands(const struct neo_trust *trust, const struct neo_cert *leaf);

/* The same with the validity in time of every certificate on the path, and with the reason. */
NEO_MUST_CHECK enum neo_code neo_trust_recheck(const struct neo_trust *trust,
                                               const struct neo_cert *leaf, int64_t now,
                                               struct neo_error *err);

#ifdef __cplusplus
}
#endif

#endif
