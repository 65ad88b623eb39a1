/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/vendor_public.h"

#include "crypto/der.h"
#include "crypto/openssl.h"
#include "crypto/pem.h"
#include "crypto/vendor_internal.h"

#include <neo/memory.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

enum { RSA_LEAST = 256, RSA_MOST = 512, COORDINATE_MAX = 48 };

struct vendor_public {
    EVP_PKEY *pkey;
    bool is_rsa;
};

static void bn_freep(BIGNUM **n)
{
    BN_free(*n);
}

static void param_bld_freep(OSSL_PARAM_BLD **bld)
{
    OSSL_PARAM_BLD_free(*bld);
}

static void params_freep(OSSL_PARAM **params)
{
    OSSL_PARAM_free(*params);
}

static enum neo_code from_params(const char *type, OSSL_PARAM *params, struct vendor_public **ret,
                                 struct neo_error *err)
{
    NEO_CLEANUP(openssl_pkey_ctx_freep)
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    struct vendor_public *key = neo_alloc(sizeof(*key));

    if (ctx == NULL || key == NULL || params == NULL) {
        neo_free(key);
        return openssl_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for a key");
    }
    if (EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &key->pkey, EVP_PKEY_PUBLIC_KEY, params) != 1) {
        neo_free(key);
        return openssl_fail(err, NEO_INVALID_ARGUMENT, "not a public key");
    }
    key->is_rsa = EVP_PKEY_is_a(key->pkey, "RSA");
    *ret = key;
    return NEO_OK;
}

enum neo_code vendor_public_rsa(struct neo_bytes modulus, uint32_t exponent,
                                struct vendor_public **ret, struct neo_error *err)
{
    NEO_CLEANUP(param_bld_freep) OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
    NEO_CLEANUP(bn_freep) BIGNUM *n = BN_bin2bn(modulus.at, (int)modulus.len, NULL);
    NEO_CLEANUP(bn_freep) BIGNUM *e = BN_new();
    NEO_CLEANUP(params_freep) OSSL_PARAM *params = NULL;

    if (modulus.len < RSA_LEAST || modulus.len > RSA_MOST || modulus.at[0] < 0x80 || exponent < 3 ||
        exponent % 2 == 0)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "an RSA key of %zu bytes with exponent %u",
                        modulus.len, exponent);
    if (bld != NULL && n != NULL && e != NULL && BN_set_word(e, exponent) == 1 &&
        OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
        OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, e) == 1)
        params = OSSL_PARAM_BLD_to_param(bld);
    return from_params("RSA", params, ret, err);
}

static bool put_coordinate(uint8_t *to, size_t len, struct neo_bytes from)
{
    if (from.len == 0 || from.len > len)
        return false;
    memcpy(to + len - from.len, from.at, from.len);
    return true;
}

enum neo_code vendor_public_ec(enum vendor_curve curve, struct neo_bytes x, struct neo_bytes y,
                               struct vendor_public **ret, struct neo_error *err)
{
    size_t len = curve == VENDOR_CURVE_P256 ? 32 : COORDINATE_MAX;
    uint8_t point[1 + 2 * COORDINATE_MAX] = {POINT_CONVERSION_UNCOMPRESSED};
    char group[32];

    if (!put_coordinate(point + 1, len, x) || !put_coordinate(point + 1 + len, len, y))
        return neo_fail(err, NEO_INVALID_ARGUMENT, "coordinates of %zu and %zu bytes", x.len,
                        y.len);
    const char *name = curve == VENDOR_CURVE_P256 ? SN_X9_62_prime256v1 : SN_secp384r1;
    memcpy(group, name, strlen(name) + 1);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * len),
        OSSL_PARAM_construct_end(),
    };
    return from_params("EC", params, ret, err);
}

static bool is_usable(const EVP_PKEY *pkey)
{
    char group[32];
    int bits = EVP_PKEY_get_bits(pkey);

    if (EVP_PKEY_is_a(pkey, "RSA"))
        return bits >= 8 * RSA_LEAST && bits <= 8 * RSA_MOST;
    return EVP_PKEY_is_a(pkey, "EC") &&
           EVP_PKEY_get_group_name(pkey, group, sizeof(group), NULL) == 1 &&
           (strcmp(group, SN_X9_62_prime256v1) == 0 || strcmp(group, SN_secp384r1) == 0);
}

enum neo_code vendor_public_spki(struct neo_bytes der, struct vendor_public **ret,
                                 struct neo_error *err)
{
    enum { SPKI_MAX = 1024, SPKI_ELEMENTS = 32 };
    NEO_CLEANUP(openssl_pkey_freep) EVP_PKEY *pkey = NULL;
    const uint8_t *at = der.at;

    if (der.len <= SPKI_MAX && der_is_strict(der, SPKI_ELEMENTS))
        pkey = d2i_PUBKEY(NULL, &at, (long)der.len);
    if (pkey == NULL || at != der.at + der.len || !is_usable(pkey))
        return openssl_fail(err, NEO_INVALID_ARGUMENT,
                            "not a public key of RSA (2048 to 4096 bits), P-256 or P-384");
    struct vendor_public *key = neo_alloc(sizeof(*key));
    if (key == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory");
    key->is_rsa = EVP_PKEY_is_a(pkey, "RSA") == 1;
    key->pkey = pkey;
    pkey = NULL;
    *ret = key;
    return NEO_OK;
}

bool vendor_spki_point(struct neo_bytes der, uint8_t ret[static VENDOR_P384_LEN], size_t *ret_len)
{
    uint8_t point[1 + VENDOR_P384_LEN];
    struct vendor_public *key = NULL;
    size_t len = 0;

    bool is = vendor_public_spki(der, &key, NULL) == NEO_OK && !key->is_rsa &&
              EVP_PKEY_get_octet_string_param(key->pkey, OSSL_PKEY_PARAM_PUB_KEY, point,
                                              sizeof(point), &len) == 1 &&
              (len == 1 + VENDOR_P256_LEN || len == 1 + VENDOR_P384_LEN) &&
              point[0] == POINT_CONVERSION_UNCOMPRESSED;
    vendor_public_free(key);
    ERR_clear_error();
    if (!is)
        return false;
    memcpy(ret, point + 1, len - 1);
    *ret_len = len - 1;
    return true;
}

bool vendor_public_sha256(const struct vendor_public *key, uint8_t ret[static NEO_SHA256_LEN])
{
    NEO_CLEANUP(openssl_freep) uint8_t *der = NULL;
    int len = i2d_PUBKEY(key->pkey, &der);

    if (len <= 0)
        return false;
    neo_sha256(neo_bytes(der, (size_t)len), ret);
    return true;
}

void vendor_public_free(struct vendor_public *key)
{
    if (key == NULL)
        return;
    EVP_PKEY_free(key->pkey);
    neo_free(key);
}

bool vendor_public_is_of(const struct vendor_public *key, const struct vendor_cert *cert)
{
    bool is = EVP_PKEY_eq(key->pkey, cert->key) == 1;

    ERR_clear_error();
    return is;
}

/* --- signatures ------------------------------------------------------------------------------- */

static const EVP_MD *digest_of(enum vendor_hash hash)
{
    return hash == VENDOR_SHA256   ? EVP_sha256()
           : hash == VENDOR_SHA384 ? EVP_sha384()
                                   : EVP_sha512();
}

static int ecdsa_der(const struct vendor_parts *parts, uint8_t **ret)
{
    if (parts->first.len > COORDINATE_MAX || parts->second.len > COORDINATE_MAX)
        return -1;
    return vendor_ecdsa_der(BN_bin2bn(parts->first.at, (int)parts->first.len, NULL),
                            BN_bin2bn(parts->second.at, (int)parts->second.len, NULL), ret);
}

/* TPMs salt with as much as fits, newer ones with as much as the digest: any length will do. */
static bool set_padding(EVP_PKEY_CTX *ctx, enum vendor_scheme scheme)
{
    if (scheme == VENDOR_RSASSA)
        return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1;
    return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_AUTO) == 1;
}

bool vendor_public_verify(const struct vendor_public *key, struct neo_bytes message,
                          const struct vendor_parts *parts)
{
    NEO_CLEANUP(openssl_md_ctx_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    NEO_CLEANUP(openssl_freep) uint8_t *der = NULL;
    struct neo_bytes signature = parts->first;
    EVP_PKEY_CTX *pkey; /* the ctx's own */

    if (ctx == NULL || key->is_rsa == (parts->scheme == VENDOR_ECDSA))
        return false;
    if (!key->is_rsa) {
        int len = ecdsa_der(parts, &der);
        if (len <= 0)
            return false;
        signature = neo_bytes(der, (size_t)len);
    }
    bool fits = EVP_DigestVerifyInit(ctx, &pkey, digest_of(parts->hash), NULL, key->pkey) == 1 &&
                (!key->is_rsa || set_padding(pkey, parts->scheme)) &&
                EVP_DigestVerify(ctx, signature.at, signature.len, message.at, message.len) == 1;
    ERR_clear_error();
    return fits;
}

/* --- PEM -------------------------------------------------------------------------------------- */

enum neo_code vendor_pem_block(struct neo_bytes pem, const char *label, const char *what,
                               struct neo_buffer *out, struct neo_error *err)
{
    NEO_CLEANUP(pem_close) struct pem_reader reader = {0};

    NEO_TRY(pem_open(&reader, pem, what, err));
    NEO_TRY(pem_find(&reader, label, err));
    if (!neo_buffer_append(out, reader.der))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "%s: out of memory", what);
    return NEO_OK;
}
