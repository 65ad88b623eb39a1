/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/openssl.h"
#include "crypto/vendor_internal.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>

/* A curve and its digest; a point and a signature are `len` bytes each. */
struct scheme {
    const char *group;
    const EVP_MD *(*digest)(void);
    size_t len;
};
static const struct scheme p256 = {SN_X9_62_prime256v1, EVP_sha256, VENDOR_P256_LEN};
static const struct scheme p384 = {SN_secp384r1, EVP_sha384, VENDOR_P384_LEN};

static void ecdsa_sig_freep(ECDSA_SIG **sig)
{
    ECDSA_SIG_free(*sig);
}

int vendor_ecdsa_der(BIGNUM *r, BIGNUM *s, uint8_t **ret)
{
    NEO_CLEANUP(ecdsa_sig_freep) ECDSA_SIG *sig = ECDSA_SIG_new();

    if (sig == NULL || r == NULL || s == NULL || ECDSA_SIG_set0(sig, r, s) != 1) {
        BN_free(r);
        BN_free(s);
        return -1;
    }
    return i2d_ECDSA_SIG(sig, ret);
}

/* Numbers out of range are OpenSSL's to refuse. */
static bool verify(const struct scheme *scheme, EVP_PKEY *key, struct neo_bytes message,
                   const uint8_t *signature)
{
    NEO_CLEANUP(openssl_md_ctx_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    NEO_CLEANUP(openssl_freep) uint8_t *der = NULL;
    int half = (int)scheme->len / 2;
    int len = vendor_ecdsa_der(BN_bin2bn(signature, half, NULL),
                               BN_bin2bn(signature + half, half, NULL), &der);
    bool fits = ctx != NULL && len > 0 &&
                EVP_DigestVerifyInit(ctx, NULL, scheme->digest(), NULL, key) == 1 &&
                EVP_DigestVerify(ctx, der, (size_t)len, message.at, message.len) == 1;

    ERR_clear_error();
    return fits;
}

/* OpenSSL refuses a point that is not on the curve. */
static EVP_PKEY *key_of_point(const struct scheme *scheme, const uint8_t *point)
{
    NEO_CLEANUP(openssl_pkey_ctx_freep)
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    char group[32];
    uint8_t uncompressed[1 + VENDOR_P384_LEN] = {POINT_CONVERSION_UNCOMPRESSED};
    EVP_PKEY *key = NULL;

    memcpy(group, scheme->group, strlen(scheme->group) + 1);
    memcpy(uncompressed + 1, point, scheme->len);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, uncompressed, 1 + scheme->len),
        OSSL_PARAM_construct_end(),
    };
    if (ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
        return NULL;
    return key;
}

static bool verify_point(const struct scheme *scheme, const uint8_t *point,
                         struct neo_bytes message, const uint8_t *signature)
{
    NEO_CLEANUP(openssl_pkey_freep) EVP_PKEY *key = key_of_point(scheme, point);
    bool fits = key != NULL && verify(scheme, key, message, signature);

    ERR_clear_error();
    return fits;
}

bool vendor_p256_verify(const struct vendor_cert *cert, struct neo_bytes message,
                        const uint8_t signature[static VENDOR_P256_LEN])
{
    return cert->facts.is_p256 && verify(&p256, cert->key, message, signature);
}

bool vendor_p256_verify_point(const uint8_t point[static VENDOR_P256_LEN], struct neo_bytes message,
                              const uint8_t signature[static VENDOR_P256_LEN])
{
    return verify_point(&p256, point, message, signature);
}

bool vendor_p384_verify_point(const uint8_t point[static VENDOR_P384_LEN], struct neo_bytes message,
                              const uint8_t signature[static VENDOR_P384_LEN])
{
    return verify_point(&p384, point, message, signature);
}
