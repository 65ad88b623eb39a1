/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crypto/vendor.h - the certificates and signatures of makers of trusted hardware.
 *
 * They follow no profile of ours (RSA-4096 with PSS, serial 0, raw bytes as
 * extensions), so they live apart from neo/cert.h, and nothing here ever judges a
 * peer of the mesh. This is mechanism only: what a name, an extension or an
 * expiry means for a piece of evidence is decided in attest.
 *
 * Threads   Certificates and lists are immutable once read.
 */
#ifndef NEO_CRYPTO_VENDOR_H
#define NEO_CRYPTO_VENDOR_H

#include <neo/digest.h>

struct vendor_cert;
struct vendor_crl;
struct vendor_memo; /* crypto/vendor_memo.h */

/* All of it borrows the certificate. */
struct vendor_cert_facts {
    struct neo_bytes der;
    struct neo_bytes common_name; /* of the subject; empty unless there is exactly one */
    struct neo_bytes issuer_common_name;
    uint8_t sha256[NEO_SHA256_LEN]; /* over the DER */
    int64_t not_before;             /* seconds since 1970 */
    int64_t not_after;
    bool is_ca;
    bool is_p384; /* the subject's key */
    bool is_p256;
    bool is_pss_sha384; /* the signature on it: RSASSA-PSS, SHA-384, MGF1-SHA-384, salt 48 */
};
const struct vendor_cert_facts *vendor_cert_facts(const struct vendor_cert *cert);

/*
 * The value of the extension with this OID (the contents of the DER OBJECT IDENTIFIER). False when
 * there is none or more than one.
 */
bool vendor_cert_extension(const struct vendor_cert *cert, struct neo_bytes oid,
                           struct neo_bytes *ret);

/*
 * What a certificate says that its key is for (RFC 5280, 4.2.1.3 and 4.2.1.12): whether keyUsage
 * has digitalSignature, and extKeyUsage this OID (as above; anyExtendedKeyUsage does not stand for
 * it). An extension that is there twice or cannot be read says something else.
 */
enum vendor_usage {
    VENDOR_USAGE_UNSTATED, /* no such extension */
    VENDOR_USAGE_STATED,
    VENDOR_USAGE_OTHER,
};
enum vendor_usage vendor_cert_signs(const struct vendor_cert *cert);
enum vendor_usage vendor_cert_purpose(const struct vendor_cert *cert, struct neo_bytes oid);

/* By name and key identifiers; not by its signature, which is a path's to judge. */
bool vendor_cert_issued(const struct vendor_cert *issuer, const struct vendor_cert *cert);
/* By name and signature, whatever the time is: for sorting, never for judging a peer. */
bool vendor_cert_signed(const struct vendor_cert *issuer, const struct vendor_cert *cert);

/* All of it borrows the list. */
struct vendor_crl_facts {
    struct neo_bytes der;
    struct neo_bytes issuer_common_name; /* empty unless there is exactly one */
    uint64_t number;                     /* 0: none, or none that fits */
    int64_t this_update;                 /* seconds since 1970 */
    int64_t next_update;                 /* 0: it names none */
};
struct vendor_crl_facts vendor_crl_facts(const struct vendor_crl *crl);
/* By name and signature. */
bool vendor_crl_signed(const struct vendor_cert *issuer, const struct vendor_crl *crl);

/* --- bundles ---------------------------------------------------------------------------------- */

/*
 * Certificates and revocation lists, in the order in which they were read. {.max = n} is empty.
 * Parsing a certificate costs OpenSSL as much as checking two signatures, so one that a bundle in
 * `known` holds, to the last byte, is shared instead.
 */
struct vendor_bundle {
    struct vendor_cert **certs;
    size_t n_certs;
    struct vendor_crl **crls;
    size_t n_crls;
    size_t max; /* of both together */
    const struct vendor_bundle *known[2];
    struct vendor_memo *memo; /* shared too; NULL: none */
};

/*
 * Reads PEM blocks, or DER objects one behind the other, to the last byte. `what` names the source
 * in messages. What was read before a failure stays in the bundle.
 */
NEO_MUST_CHECK enum neo_code vendor_bundle_read(struct vendor_bundle *bundle, struct neo_bytes text,
                                                const char *what, struct neo_error *err);
void vendor_bundle_fini(struct vendor_bundle *bundle);

/* --- judgements ------------------------------------------------------------------------------- */

enum vendor_verdict {
    VENDOR_GOOD,
    VENDOR_UNTRUSTED, /* no valid path from the leaf to the root */
    VENDOR_EXPIRED,   /* a certificate of the path is not valid at `now` */
    VENDOR_REVOKED,
    VENDOR_STALE_CRL, /* a revocation list is not valid at `now` */
    VENDOR_NO_CRL,    /* a list that must be there is not, or not signed by its issuer */
    VENDOR_NO_MEMORY,
};

/*
 * The path is leaf, exactly one of `issuers`, root. Only `root` is trusted; `issuers` are hints of
 * whatever origin. Where lists carry the root's name, one at least must be current and signed by
 * it, and every such one is asked: it revokes issuers. Lists of other roots are ignored.
 */
struct vendor_chain {
    struct vendor_cert *leaf;
    struct vendor_cert *const *issuers;
    size_t n_issuers;
    const struct vendor_cert *root;
    struct vendor_crl *const *crls;
    size_t n_crls;
    int64_t now;
    int64_t grace;            /* seconds for which a list counts that is out of date */
    bool *by_grace;           /* set when one such counted; NULL: nobody asks */
    struct vendor_memo *memo; /* a path that was found good is not looked for again; NULL: none */
};
struct vendor_path {
    const struct vendor_cert *issuer; /* the one that signed the leaf */
    int64_t not_after;                /* the earliest of the three, and of the lists asked */
};
/* On anything but GOOD the reason is in `why`, and `*ret` is untouched. A try costs two signatures.
 */
NEO_MUST_CHECK enum vendor_verdict vendor_chain_verify(const struct vendor_chain *chain,
                                                       struct vendor_path *ret,
                                                       struct neo_error *why);

/*
 * A path whose every certificate is named: from the one that signed the leaf to the one that `root`
 * signed. It must hold in just this order; authorities, their key usage and path lengths are
 * judged as RFC 5280 has them. With `needs_crls`, each certificate below the root must be covered
 * by a list that its issuer signed, that is current, and that does not name it; without, revocation
 * is not looked at: for vendors whose leaves live for hours.
 */
struct vendor_line {
    struct vendor_cert *leaf;
    struct vendor_cert *const *issuers;
    size_t n_issuers;
    const struct vendor_cert *root;
    struct vendor_crl *const *crls;
    size_t n_crls;
    bool needs_crls;
    int64_t now;
    int64_t grace; /* as above */
    bool *by_grace;
    struct vendor_memo *memo; /* as above */
};
/* `*ret_not_after`: the earliest of all, the lists that were used included. On anything but GOOD
 * the reason is in `why`. */
NEO_MUST_CHECK enum vendor_verdict vendor_line_verify(const struct vendor_line *line,
                                                      int64_t *ret_not_after,
                                                      struct neo_error *why);

/* r and s as the vendors store them: 48 bytes each. */
struct vendor_signature {
    uint8_t r[48];
    uint8_t s[48];
    bool is_little_endian;
};
/*
 * ECDSA P-384 with SHA-384 by the certificate's key; 0 < r, s < n. False for anything that does not
 * fit, a key on another curve included.
 */
NEO_MUST_CHECK bool vendor_p384_verify(const struct vendor_cert *cert, struct neo_bytes message,
                                       const struct vendor_signature *signature);

/*
 * ECDSA P-256 with SHA-256: r and s, big-endian, 32 bytes each. By the certificate's key, or by a
 * point given as x and y. False for anything that does not fit.
 */
enum { VENDOR_P256_LEN = 64, VENDOR_P384_LEN = 96 };
NEO_MUST_CHECK bool vendor_p256_verify(const struct vendor_cert *cert, struct neo_bytes message,
                                       const uint8_t signature[static VENDOR_P256_LEN]);
NEO_MUST_CHECK bool vendor_p256_verify_point(const uint8_t point[static VENDOR_P256_LEN],
                                             struct neo_bytes message,
                                             const uint8_t signature[static VENDOR_P256_LEN]);

/* The same on P-384 with SHA-384, by a point. */
NEO_MUST_CHECK bool vendor_p384_verify_point(const uint8_t point[static VENDOR_P384_LEN],
                                             struct neo_bytes message,
                                             const uint8_t signature[static VENDOR_P384_LEN]);

#endif
