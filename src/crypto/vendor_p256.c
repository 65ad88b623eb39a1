/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/openssl.h"
#include "crypto/vendor_internal.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>

enum { NUMBER_LEN = VENDOR_P256_LEN / 2 };

static void ecdsa_sig_freep(ECDSA_SIG **sig)
{
    ECDSA_SIG_free(*sig);
}

static int signature_der(const uint8_t signature[static VENDOR_P256_LEN], uint8_t **ret)
{
    NEO_CLEANUP(ecdsa_sig_freep) ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(signature, NUMBER_LEN, NULL);
    BIGNUM *s = BN_bin2bn(signature + NUMBER_LEN, NUMBER_LEN, NULL);

    if (sig == NULL || r == NULL || s == NULL || ECDSA_SIG_set0(sig, r, s) != 1) {
        BN_free(r);
        BN_free(s);
        return -1;
    }
    return i2d_ECDSA_SIG(sig, ret);
}

/* Numbers out of range are OpenSSL's to refuse. */
static bool verify(EVP_PKEY *key, struct neo_bytes message,
                   const uint8_t signature[static VENDOR_P256_LEN])
{
    NEO_CLEANUP(openssl_md_ctx_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    NEO_CLEANUP(openssl_freep) uint8_t *der = NULL;
    int len = signature_der(signature, &der);
    bool fits = ctx != NULL && len > 0 &&
                EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
                EVP_DigestVerify(ctx, der, (size_t)len, message.at, message.len) == 1;

    ERR_clear_error();
    return fits;
}

bool vendor_p256_verify(const struct vendor_cert *cert, struct neo_bytes message,
                        const uint8_t signature[static VENDOR_P256_LEN])
{
    return cert->facts.is_p256 && verify(cert->key, message, signature);
}

/* OpenSSL refuses a point that is not on the curve. */
static EVP_PKEY *key_of_point(const uint8_t point[static VENDOR_P256_LEN])
{
    NEO_CLEANUP(openssl_pkey_ctx_freep)
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    char group[] = SN_X9_62_prime256v1;
    uint8_t uncompressed[1 + VENDOR_P256_LEN] = {POINT_CONVERSION_UNCOMPRESSED};
    EVP_PKEY *key = NULL;

    memcpy(uncompressed + 1, point, VENDOR_P256_LEN);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, uncompressed,
                                          sizeof(uncompressed)),
        OSSL_PARAM_construct_end(),
    };
    if (ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
        return NULL;
    return key;
}

bool vendor_p256_verify_point(const uint8_t point[static VENDOR_P256_LEN], struct neo_bytes message,
                              const uint8_t signature[static VENDOR_P256_LEN])
{
    NEO_CLEANUP(openssl_pkey_freep) EVP_PKEY *key = key_of_point(point);
    bool fits = key != NULL && verify(key, message, signature);

    ERR_clear_error();
    return fits;
}
