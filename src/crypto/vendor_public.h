/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crypto/vendor_public.h - public keys that come as numbers, and signatures that come as parts.
 *
 * TPMs and cloud providers hand out keys without a certificate around them.
 *
 * Threads   A key is immutable.
 */
#ifndef NEO_CRYPTO_VENDOR_PUBLIC_H
#define NEO_CRYPTO_VENDOR_PUBLIC_H

#include "crypto/vendor.h"

#include <neo/buffer.h>

struct vendor_public;

enum vendor_curve { VENDOR_CURVE_P256, VENDOR_CURVE_P384 };

/* 2048 to 4096 bits, a small odd exponent. Numbers are big-endian. Gives `*ret`. */
NEO_MUST_CHECK enum neo_code vendor_public_rsa(struct neo_bytes modulus, uint32_t exponent,
                                               struct vendor_public **ret, struct neo_error *err);
/* A point that is on its curve; coordinates may lack leading zeros. Gives `*ret`. */
NEO_MUST_CHECK enum neo_code vendor_public_ec(enum vendor_curve curve, struct neo_bytes x,
                                              struct neo_bytes y, struct vendor_public **ret,
                                              struct neo_error *err);
/* A SubjectPublicKeyInfo (DER) of an RSA key as above, or of one on P-256 or P-384. Gives `*ret`.
 */
NEO_MUST_CHECK enum neo_code vendor_public_spki(struct neo_bytes der, struct vendor_public **ret,
                                                struct neo_error *err);
/* The point of a SubjectPublicKeyInfo on P-256 or P-384, x and y. False: it is none. */
bool vendor_spki_point(struct neo_bytes der, uint8_t ret[static VENDOR_P384_LEN], size_t *ret_len);
/* SHA-256 of its SubjectPublicKeyInfo. */
bool vendor_public_sha256(const struct vendor_public *key, uint8_t ret[static NEO_SHA256_LEN]);
void vendor_public_free(struct vendor_public *key);

/* The same key as the certificate's? */
bool vendor_public_is_of(const struct vendor_public *key, const struct vendor_cert *cert);

enum vendor_scheme { VENDOR_RSASSA, VENDOR_RSAPSS, VENDOR_ECDSA };
enum vendor_hash { VENDOR_SHA256, VENDOR_SHA384, VENDOR_SHA512 };

/* `second`: s of an ECDSA signature, whose r is `first`; else empty. */
struct vendor_parts {
    enum vendor_scheme scheme;
    enum vendor_hash hash;
    struct neo_bytes first;
    struct neo_bytes second;
};
/* False for anything that does not fit, a scheme of the other kind of key included. */
NEO_MUST_CHECK bool vendor_public_verify(const struct vendor_public *key, struct neo_bytes message,
                                         const struct vendor_parts *signature);

/* The contents of the first PEM block with this label. */
NEO_MUST_CHECK enum neo_code vendor_pem_block(struct neo_bytes pem, const char *label,
                                              const char *what, struct neo_buffer *out,
                                              struct neo_error *err);

#endif
