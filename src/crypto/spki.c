/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/spki.h"

#include <openssl/err.h>

enum { ED25519_LEN = 32 };

#define P256_HEADER                                                                                \
    "\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07" \
    "\x03\x42\x00\x04"
#define P384_HEADER                                                                                \
    "\x30\x76\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22\x03\x62\x00" \
    "\x04"
#define ED25519_HEADER "\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00"

#define HEADER(text)                                                                               \
    {                                                                                              \
        (const uint8_t *)(text), sizeof(text) - 1                                                  \
    }

static const struct spki_form forms[] = {
    {NEO_KEY_P256, "ECDSA P-256", HEADER(P256_HEADER), sizeof(P256_HEADER) - 1 + 64},
    {NEO_KEY_P384, "ECDSA P-384", HEADER(P384_HEADER), sizeof(P384_HEADER) - 1 + 96},
    {NEO_KEY_ED25519, "Ed25519", HEADER(ED25519_HEADER), sizeof(ED25519_HEADER) - 1 + ED25519_LEN},
};

const struct spki_form *spki_form(struct neo_bytes spki)
{
    for (size_t i = 0; i < NEO_COUNT(forms); i++) {
        if (spki.len == forms[i].len && neo_bytes_starts(spki, forms[i].header))
            return &forms[i];
    }
    return NULL;
}

/*
 * A point of small order verifies a signature that needs no private key, so anyone could act under
 * such a key's certificate. Without the sign bit there are five such points, and two of them again
 * in the forms that are not reduced modulo 2^255-19.
 */
static bool is_small_order(const uint8_t point[static ED25519_LEN])
{
    static const uint8_t weak[][ED25519_LEN] = {
        {0x00},
        {0x01},
        {0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4,
         0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6,
         0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05},
        {0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b,
         0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39,
         0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a},
        {0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
         0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
         0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
        {0xed, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
         0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
         0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
        {0xee, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
         0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
         0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
    };
    uint8_t y[ED25519_LEN];

    memcpy(y, point, sizeof(y));
    y[ED25519_LEN - 1] &= 0x7f;
    for (size_t i = 0; i < NEO_COUNT(weak); i++) {
        if (memcmp(y, weak[i], sizeof(y)) == 0)
            return true;
    }
    return false;
}

enum neo_code spki_load(struct neo_bytes spki, EVP_PKEY **ret, struct neo_error *err)
{
    const struct spki_form *form = spki_form(spki);

    if (form == NULL)
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "public key: not ECDSA P-256, ECDSA P-384 or Ed25519 in its usual form; "
                        "make a key of such a kind");
    if (form->kind == NEO_KEY_ED25519 && is_small_order(spki.at + form->header.len))
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "public key: Ed25519 point of small order; make a new key");

    const uint8_t *at = spki.at;
    EVP_PKEY *pkey = d2i_PUBKEY(NULL, &at, (long)spki.len);
    if (pkey == NULL)
        return openssl_fail(err, NEO_INVALID_ARGUMENT, "public key: not a point of %s", form->name);
    *ret = pkey;
    return NEO_OK;
}

const EVP_MD *spki_digest(enum neo_key_kind kind)
{
    switch (kind) {
    case NEO_KEY_P256:
        return EVP_sha256();
    case NEO_KEY_P384:
        return EVP_sha384();
    case NEO_KEY_ED25519:
        return NULL;
    }
    return NULL;
}

enum neo_code spki_verify_with(struct neo_bytes spki, const EVP_MD *digest,
                               struct neo_bytes message, struct neo_bytes signature,
                               struct neo_error *err)
{
    NEO_CLEANUP(openssl_pkey_freep) EVP_PKEY *pkey = NULL;
    NEO_CLEANUP(openssl_md_ctx_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    NEO_TRY(spki_load(spki, &pkey, err));
    if (ctx == NULL || EVP_DigestVerifyInit(ctx, NULL, digest, NULL, pkey) != 1)
        return openssl_fail(err, NEO_INTERNAL, "signature: cannot begin to verify");
    if (EVP_DigestVerify(ctx, signature.at, signature.len, message.at, message.len) != 1)
        return openssl_fail(err, NEO_UNAUTHENTICATED, "signature: does not fit the public key");
    return NEO_OK;
}

enum neo_code neo_spki_verify(struct neo_bytes spki, struct neo_bytes message,
                              struct neo_bytes signature, struct neo_error *err)
{
    const struct spki_form *form = spki_form(spki);

    return spki_verify_with(spki, form == NULL ? NULL : spki_digest(form->kind), message, signature,
                            err);
}
