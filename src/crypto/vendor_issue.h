/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crypto/vendor_issue.h - what a maker of trusted hardware does, for the simulator.
 *
 * Makes keys, certificates, revocation lists and report signatures in the vendor's
 * forms under roots of our own making. Nothing issued here chains to a real root.
 */
#ifndef NEO_CRYPTO_VENDOR_ISSUE_H
#define NEO_CRYPTO_VENDOR_ISSUE_H

#include "crypto/vendor_public.h"

#include <neo/buffer.h>

struct vendor_key;

enum vendor_key_kind {
    VENDOR_RSA_4096, /* authorities */
    VENDOR_P384,     /* chips, and authorities of those who have no RSA */
    VENDOR_P256,
    VENDOR_RSA_2048, /* TPMs */
};

/* An RSA key takes a while. Gives `*ret`: vendor_key_free(). */
NEO_MUST_CHECK enum neo_code vendor_key_generate(enum vendor_key_kind kind, struct vendor_key **ret,
                                                 struct neo_error *err);
void vendor_key_free(struct vendor_key *key);
/* PKCS#8 PEM. Use neo_buffer_fini_secret() on the result. */
NEO_MUST_CHECK enum neo_code vendor_key_to_pem(const struct vendor_key *key, struct neo_buffer *out,
                                               struct neo_error *err);
/* P-384 only. Gives `*ret`: vendor_key_free(). */
NEO_MUST_CHECK enum neo_code vendor_key_from_pem(struct neo_bytes pem, struct vendor_key **ret,
                                                 struct neo_error *err);

struct vendor_extension {
    struct neo_bytes oid; /* contents of the DER OBJECT IDENTIFIER */
    struct neo_bytes value;
    bool is_critical;
};

struct vendor_template {
    const char *common_name;
    const char *issuer_common_name;
    const char *organization; /* of both */
    uint32_t serial;
    int64_t not_before;
    int64_t not_after;
    const struct vendor_extension *extensions;
    size_t n_extensions;
};
/* RSASSA-PSS, SHA-384, salt 48, by an RSA key; ECDSA with SHA-384 or, on
 * P-256, SHA-256 by another. Appends DER. */
NEO_MUST_CHECK enum neo_code vendor_cert_issue(const struct vendor_template *t,
                                               const struct vendor_key *subject,
                                               const struct vendor_key *issuer,
                                               struct neo_buffer *out, struct neo_error *err);
/* A list of `issuer` with at most one entry: the serial of `revoked`, unless it is NULL. */
NEO_MUST_CHECK enum neo_code vendor_crl_issue(const struct vendor_cert *issuer,
                                              const struct vendor_key *issuer_key,
                                              const struct vendor_cert *revoked,
                                              int64_t this_update, int64_t next_update,
                                              struct neo_buffer *out, struct neo_error *err);
bool vendor_pem_append(struct neo_buffer *out, const char *label, struct neo_bytes der);

/* Writes `ret` in the byte order that ret->is_little_endian asks for. */
NEO_MUST_CHECK enum neo_code vendor_p384_sign(const struct vendor_key *key,
                                              struct neo_bytes message,
                                              struct vendor_signature *ret, struct neo_error *err);

/* The same for P-256: r and s, big-endian. */
NEO_MUST_CHECK enum neo_code vendor_p256_sign(const struct vendor_key *key,
                                              struct neo_bytes message,
                                              uint8_t ret[static VENDOR_P256_LEN],
                                              struct neo_error *err);
/* The public point of an EC key, x and y: VENDOR_P256_LEN or VENDOR_P384_LEN bytes. */
NEO_MUST_CHECK enum neo_code vendor_key_point(const struct vendor_key *key, uint8_t *ret,
                                              size_t len, struct neo_error *err);

/* By an RSA key, with the scheme's and the hash's usual parameters; PSS salts with as much as fits,
 * as TPMs do. Appends the number. */
NEO_MUST_CHECK enum neo_code vendor_rsa_sign(const struct vendor_key *key,
                                             enum vendor_scheme scheme, enum vendor_hash hash,
                                             struct neo_bytes message, struct neo_buffer *out,
                                             struct neo_error *err);
/* Of an RSA key whose exponent is 65537: appends the modulus, big-endian. */
NEO_MUST_CHECK enum neo_code vendor_key_modulus(const struct vendor_key *key,
                                                struct neo_buffer *out, struct neo_error *err);

#endif
