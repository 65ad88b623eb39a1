/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crypto/spki.h - the public keys we accept, as bytes.
 *
 * The SubjectPublicKeyInfo of a named curve with an uncompressed point has one
 * possible DER header and one length. Comparing with it is the whole admission of
 * a key: RSA, explicit curve parameters, compressed points and other curves are
 * refused before any parser sees them.
 */
#ifndef NEO_CRYPTO_SPKI_H
#define NEO_CRYPTO_SPKI_H

#include "crypto/openssl.h"

#include <neo/key.h>

enum { SPKI_MAX = 120 };

struct spki_form {
    enum neo_key_kind kind;
    const char *name; /* "ECDSA P-256" */
    struct neo_bytes header;
    size_t len;
};

/* NULL: not a key we accept. */
const struct spki_form *spki_form(struct neo_bytes spki);

/* INVALID_ARGUMENT: not a key we accept, or not a point of its curve. Gives `*ret`. */
NEO_MUST_CHECK enum neo_code spki_load(struct neo_bytes spki, EVP_PKEY **ret,
                                       struct neo_error *err);

/* The digest that goes with a kind of key; NULL for Ed25519, which has its own. */
const EVP_MD *spki_digest(enum neo_key_kind kind);

/* UNAUTHENTICATED when the signature does not fit. */
NEO_MUST_CHECK enum neo_code spki_verify_with(struct neo_bytes spki, const EVP_MD *digest,
                                              struct neo_bytes message, struct neo_bytes signature,
                                              struct neo_error *err);

#endif
