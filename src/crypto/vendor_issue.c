/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/vendor_issue.h"

#include "crypto/openssl.h"
#include "crypto/pem.h"

#include <neo/memory.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

enum { SALT_LEN = 48, RSA_MOST = 512 };

struct vendor_key {
    EVP_PKEY *pkey;
};

static enum neo_code no_memory(struct neo_error *err)
{
    return openssl_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory");
}

/* --- keys ------------------------------------------------------------------------------------- */

/* Takes `pkey`. */
static enum neo_code wrap(EVP_PKEY *pkey, struct vendor_key **ret, struct neo_error *err)
{
    struct vendor_key *key = neo_alloc(sizeof(*key));

    if (key == NULL) {
        EVP_PKEY_free(pkey);
        return no_memory(err);
    }
    key->pkey = pkey;
    *ret = key;
    return NEO_OK;
}

/*
 * Of three or four primes: found ten times sooner than two, and no verifier can tell. These keys
 * issue one certificate each and protect nothing.
 */
static EVP_PKEY *generate_rsa(int bits, int primes)
{
    NEO_CLEANUP(openssl_pkey_ctx_freep)
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_id(EVP_PKEY_RSA, NULL);
    EVP_PKEY *pkey = NULL;

    if (ctx == NULL || EVP_PKEY_keygen_init(ctx) != 1 ||
        EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, bits) != 1 ||
        EVP_PKEY_CTX_set_rsa_keygen_primes(ctx, primes) != 1 || EVP_PKEY_keygen(ctx, &pkey) != 1)
        return NULL;
    return pkey;
}

enum neo_code vendor_key_generate(enum vendor_key_kind kind, struct vendor_key **ret,
                                  struct neo_error *err)
{
    EVP_PKEY *pkey = NULL;

    switch (kind) {
    case VENDOR_RSA_4096:
        pkey = generate_rsa(4096, 4);
        break;
    case VENDOR_RSA_2048:
        pkey = generate_rsa(2048, 3);
        break;
    case VENDOR_P384:
        pkey = EVP_EC_gen(SN_secp384r1);
        break;
    case VENDOR_P256:
        pkey = EVP_EC_gen(SN_X9_62_prime256v1);
        break;
    }
    if (pkey == NULL)
        return openssl_fail(err, NEO_INTERNAL, "cannot make a key");
    return wrap(pkey, ret, err);
}

void vendor_key_free(struct vendor_key *key)
{
    if (key == NULL)
        return;
    EVP_PKEY_free(key->pkey);
    neo_free(key);
}

static enum neo_code drain(BIO *bio, struct neo_buffer *out, struct neo_error *err)
{
    char *text;
    long len = BIO_get_mem_data(bio, &text);

    if (!neo_buffer_append(out, neo_bytes(text, (size_t)len)))
        return no_memory(err);
    return NEO_OK;
}

enum neo_code vendor_key_to_pem(const struct vendor_key *key, struct neo_buffer *out,
                                struct neo_error *err)
{
    NEO_CLEANUP(openssl_bio_freep) BIO *bio = BIO_new(BIO_s_secmem());

    if (bio == NULL ||
        PEM_write_bio_PKCS8PrivateKey(bio, key->pkey, NULL, NULL, 0, NULL, NULL) != 1)
        return no_memory(err);
    return drain(bio, out, err);
}

enum neo_code vendor_key_from_pem(struct neo_bytes pem, struct vendor_key **ret,
                                  struct neo_error *err)
{
    NEO_CLEANUP(pem_close) struct pem_reader reader = {0};
    NEO_CLEANUP(openssl_pkey_freep) EVP_PKEY *pkey = NULL;

    NEO_TRY(pem_open(&reader, pem, "simulator key", err));
    NEO_TRY(pem_next(&reader, err));
    const uint8_t *at = reader.der.at;
    if (!reader.is_encrypted && strcmp(reader.label, "PRIVATE KEY") == 0)
        pkey = d2i_AutoPrivateKey(NULL, &at, (long)reader.der.len);
    char group[32];
    if (pkey == NULL || EVP_PKEY_get_group_name(pkey, group, sizeof(group), NULL) != 1 ||
        strcmp(group, SN_secp384r1) != 0)
        return openssl_fail(err, NEO_INVALID_ARGUMENT, "simulator key: not a P-384 PRIVATE KEY");

    EVP_PKEY *taken = pkey;
    pkey = NULL;
    return wrap(taken, ret, err);
}

bool vendor_pem_append(struct neo_buffer *out, const char *label, struct neo_bytes der)
{
    NEO_CLEANUP(openssl_bio_freep) BIO *bio = BIO_new(BIO_s_mem());

    return bio != NULL && PEM_write_bio(bio, label, "", der.at, (long)der.len) > 0 &&
           drain(bio, out, NULL) == NEO_OK;
}

/* --- certificates ----------------------------------------------------------------------------- */

static void x509_name_freep(X509_NAME **name)
{
    X509_NAME_free(*name);
}

static void asn1_object_freep(ASN1_OBJECT **object)
{
    ASN1_OBJECT_free(*object);
}

static void asn1_octets_freep(ASN1_OCTET_STRING **octets)
{
    ASN1_OCTET_STRING_free(*octets);
}

static void x509_extension_freep(X509_EXTENSION **extension)
{
    X509_EXTENSION_free(*extension);
}

static bool add_name(X509_NAME *name, const char *field, const char *text)
{
    return X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8, (const uint8_t *)text, -1, -1,
                                      0) == 1;
}

static X509_NAME *make_name(const char *organization, const char *common_name)
{
    NEO_CLEANUP(x509_name_freep) X509_NAME *name = X509_NAME_new();

    if (name == NULL || !add_name(name, "O", organization) || !add_name(name, "CN", common_name))
        return NULL;
    X509_NAME *made = name;
    name = NULL;
    return made;
}

static bool add_extension(X509 *x509, const struct vendor_extension *e)
{
    uint8_t oid[32] = {V_ASN1_OBJECT, (uint8_t)e->oid.len};
    const uint8_t *at = oid;

    if (e->oid.len > sizeof(oid) - 2)
        return false;
    memcpy(oid + 2, e->oid.at, e->oid.len);
    NEO_CLEANUP(asn1_object_freep)
    ASN1_OBJECT *name = d2i_ASN1_OBJECT(NULL, &at, (long)e->oid.len + 2);
    NEO_CLEANUP(asn1_octets_freep) ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
    if (name == NULL || value == NULL ||
        ASN1_OCTET_STRING_set(value, e->value.at, (int)e->value.len) != 1)
        return false;
    NEO_CLEANUP(x509_extension_freep)
    X509_EXTENSION *extension = X509_EXTENSION_create_by_OBJ(NULL, name, e->is_critical, value);
    return extension != NULL && X509_add_ext(x509, extension, -1) == 1;
}

static bool fill(X509 *x509, const struct vendor_template *t, const struct vendor_key *subject)
{
    NEO_CLEANUP(x509_name_freep) X509_NAME *name = make_name(t->organization, t->common_name);
    NEO_CLEANUP(x509_name_freep)
    X509_NAME *issuer = make_name(t->organization, t->issuer_common_name);

    if (name == NULL || issuer == NULL || X509_set_version(x509, X509_VERSION_3) != 1 ||
        ASN1_INTEGER_set_uint64(X509_get_serialNumber(x509), t->serial) != 1 ||
        X509_set_subject_name(x509, name) != 1 || X509_set_issuer_name(x509, issuer) != 1 ||
        ASN1_TIME_set(X509_getm_notBefore(x509), (time_t)t->not_before) == NULL ||
        ASN1_TIME_set(X509_getm_notAfter(x509), (time_t)t->not_after) == NULL ||
        X509_set_pubkey(x509, subject->pkey) != 1)
        return false;
    for (size_t i = 0; i < t->n_extensions; i++) {
        if (!add_extension(x509, &t->extensions[i]))
            return false;
    }
    return true;
}

static bool is_p256(const struct vendor_key *key)
{
    return EVP_PKEY_get_bits(key->pkey) == 256;
}

/* RSASSA-PSS with an RSA key, ECDSA with another. */
static EVP_MD_CTX *signer_of(const struct vendor_key *issuer)
{
    NEO_CLEANUP(openssl_md_ctx_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *key; /* the ctx's own */

    if (ctx == NULL || EVP_DigestSignInit(ctx, &key, is_p256(issuer) ? EVP_sha256() : EVP_sha384(),
                                          NULL, issuer->pkey) != 1)
        return NULL;
    if (EVP_PKEY_is_a(issuer->pkey, "RSA") &&
        (EVP_PKEY_CTX_set_rsa_padding(key, RSA_PKCS1_PSS_PADDING) != 1 ||
         EVP_PKEY_CTX_set_rsa_mgf1_md(key, EVP_sha384()) != 1 ||
         EVP_PKEY_CTX_set_rsa_pss_saltlen(key, SALT_LEN) != 1))
        return NULL;
    EVP_MD_CTX *made = ctx;
    ctx = NULL;
    return made;
}

static enum neo_code append_der(struct neo_buffer *out, const uint8_t *der, int len,
                                struct neo_error *err)
{
    if (len <= 0 || !neo_buffer_append(out, neo_bytes(der, (size_t)len)))
        return no_memory(err);
    return NEO_OK;
}

enum neo_code vendor_cert_issue(const struct vendor_template *t, const struct vendor_key *subject,
                                const struct vendor_key *issuer, struct neo_buffer *out,
                                struct neo_error *err)
{
    NEO_CLEANUP(openssl_x509_freep) X509 *x509 = X509_new();
    NEO_CLEANUP(openssl_md_ctx_freep) EVP_MD_CTX *signer = signer_of(issuer);
    NEO_CLEANUP(openssl_freep) uint8_t *der = NULL;

    if (x509 == NULL || signer == NULL || !fill(x509, t, subject) ||
        X509_sign_ctx(x509, signer) <= 0)
        return openssl_fail(err, NEO_INTERNAL, "cannot issue a certificate for %s", t->common_name);
    int len = i2d_X509(x509, &der);
    return append_der(out, der, len, err);
}

static void crl_freep(X509_CRL **crl)
{
    X509_CRL_free(*crl);
}

static void asn1_time_freep(ASN1_TIME **at)
{
    ASN1_TIME_free(*at);
}

static X509 *reopen(const struct vendor_cert *cert)
{
    struct neo_bytes der = vendor_cert_facts(cert)->der;
    const uint8_t *at = der.at;

    return d2i_X509(NULL, &at, (long)der.len);
}

static bool add_revoked(X509_CRL *crl, const struct vendor_cert *revoked, ASN1_TIME *at)
{
    NEO_CLEANUP(openssl_x509_freep) X509 *x509 = reopen(revoked);
    X509_REVOKED *entry = X509_REVOKED_new();

    if (x509 == NULL || entry == NULL ||
        X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(x509)) != 1 ||
        X509_REVOKED_set_revocationDate(entry, at) != 1 || X509_CRL_add0_revoked(crl, entry) != 1) {
        X509_REVOKED_free(entry);
        return false;
    }
    return true;
}

enum neo_code vendor_crl_issue(const struct vendor_cert *issuer,
                               const struct vendor_key *issuer_key,
                               const struct vendor_cert *revoked, int64_t this_update,
                               int64_t next_update, struct neo_buffer *out, struct neo_error *err)
{
    NEO_CLEANUP(crl_freep) X509_CRL *crl = X509_CRL_new();
    NEO_CLEANUP(openssl_x509_freep) X509 *x509 = reopen(issuer);
    NEO_CLEANUP(asn1_time_freep) ASN1_TIME *from = ASN1_TIME_set(NULL, (time_t)this_update);
    NEO_CLEANUP(asn1_time_freep) ASN1_TIME *until = ASN1_TIME_set(NULL, (time_t)next_update);
    NEO_CLEANUP(openssl_md_ctx_freep) EVP_MD_CTX *signer = signer_of(issuer_key);
    NEO_CLEANUP(openssl_freep) uint8_t *der = NULL;

    if (crl == NULL || x509 == NULL || from == NULL || until == NULL || signer == NULL ||
        X509_CRL_set_version(crl, X509_CRL_VERSION_2) != 1 ||
        X509_CRL_set_issuer_name(crl, X509_get_subject_name(x509)) != 1 ||
        X509_CRL_set1_lastUpdate(crl, from) != 1 || X509_CRL_set1_nextUpdate(crl, until) != 1 ||
        (revoked != NULL && !add_revoked(crl, revoked, from)) || X509_CRL_sort(crl) != 1 ||
        X509_CRL_sign_ctx(crl, signer) <= 0)
        return openssl_fail(err, NEO_INTERNAL, "cannot issue a revocation list");
    int len = i2d_X509_CRL(crl, &der);
    return append_der(out, der, len, err);
}

/* --- signatures ------------------------------------------------------------------------------- */

static void ecdsa_sig_freep(ECDSA_SIG **sig)
{
    ECDSA_SIG_free(*sig);
}

static ECDSA_SIG *sign(const struct vendor_key *key, struct neo_bytes message)
{
    NEO_CLEANUP(openssl_md_ctx_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    uint8_t der[128]; /* two integers of at most 49 bytes, and their headers */
    const uint8_t *at = der;
    size_t len = sizeof(der);

    if (ctx == NULL ||
        EVP_DigestSignInit(ctx, NULL, is_p256(key) ? EVP_sha256() : EVP_sha384(), NULL,
                           key->pkey) != 1 ||
        EVP_DigestSign(ctx, der, &len, message.at, message.len) != 1)
        return NULL;
    return d2i_ECDSA_SIG(NULL, &at, (long)len);
}

enum neo_code vendor_p384_sign(const struct vendor_key *key, struct neo_bytes message,
                               struct vendor_signature *ret, struct neo_error *err)
{
    NEO_CLEANUP(ecdsa_sig_freep) ECDSA_SIG *sig = sign(key, message);
    int (*to)(const BIGNUM *, unsigned char *, int) =
        ret->is_little_endian ? BN_bn2lebinpad : BN_bn2binpad;

    if (sig == NULL || to(ECDSA_SIG_get0_r(sig), ret->r, sizeof(ret->r)) != sizeof(ret->r) ||
        to(ECDSA_SIG_get0_s(sig), ret->s, sizeof(ret->s)) != sizeof(ret->s))
        return openssl_fail(err, NEO_INTERNAL, "cannot sign with the simulator's key");
    return NEO_OK;
}

enum neo_code vendor_p256_sign(const struct vendor_key *key, struct neo_bytes message,
                               uint8_t ret[static VENDOR_P256_LEN], struct neo_error *err)
{
    NEO_CLEANUP(ecdsa_sig_freep) ECDSA_SIG *sig = sign(key, message);
    const int half = VENDOR_P256_LEN / 2;

    if (sig == NULL || BN_bn2binpad(ECDSA_SIG_get0_r(sig), ret, half) != half ||
        BN_bn2binpad(ECDSA_SIG_get0_s(sig), ret + half, half) != half)
        return openssl_fail(err, NEO_INTERNAL, "cannot sign with the simulator's key");
    return NEO_OK;
}

enum neo_code vendor_key_point(const struct vendor_key *key, uint8_t *ret, size_t len,
                               struct neo_error *err)
{
    uint8_t point[1 + VENDOR_P384_LEN];
    size_t found;

    if (EVP_PKEY_get_octet_string_param(key->pkey, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point),
                                        &found) != 1 ||
        found != 1 + len)
        return openssl_fail(err, NEO_INTERNAL, "cannot write the simulator's key");
    memcpy(ret, point + 1, len);
    return NEO_OK;
}

static const EVP_MD *digest_of(enum vendor_hash hash)
{
    return hash == VENDOR_SHA256   ? EVP_sha256()
           : hash == VENDOR_SHA384 ? EVP_sha384()
                                   : EVP_sha512();
}

enum neo_code vendor_rsa_sign(const struct vendor_key *key, enum vendor_scheme scheme,
                              enum vendor_hash hash, struct neo_bytes message,
                              struct neo_buffer *out, struct neo_error *err)
{
    NEO_CLEANUP(openssl_md_ctx_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    uint8_t signature[RSA_MOST];
    size_t len = sizeof(signature);
    EVP_PKEY_CTX *pkey; /* the ctx's own */

    if (ctx == NULL || EVP_DigestSignInit(ctx, &pkey, digest_of(hash), NULL, key->pkey) != 1 ||
        (scheme == VENDOR_RSAPSS &&
         (EVP_PKEY_CTX_set_rsa_padding(pkey, RSA_PKCS1_PSS_PADDING) != 1 ||
          EVP_PKEY_CTX_set_rsa_pss_saltlen(pkey, RSA_PSS_SALTLEN_MAX) != 1)) ||
        EVP_DigestSign(ctx, signature, &len, message.at, message.len) != 1)
        return openssl_fail(err, NEO_INTERNAL, "cannot sign with the simulator's key");
    if (!neo_buffer_append(out, neo_bytes(signature, len)))
        return no_memory(err);
    return NEO_OK;
}

enum neo_code vendor_key_modulus(const struct vendor_key *key, struct neo_buffer *out,
                                 struct neo_error *err)
{
    BIGNUM *n = NULL;

    if (EVP_PKEY_get_bn_param(key->pkey, OSSL_PKEY_PARAM_RSA_N, &n) != 1)
        return openssl_fail(err, NEO_INTERNAL, "cannot write the simulator's key");
    uint8_t *to = neo_buffer_reserve(out, (size_t)BN_num_bytes(n));
    int len = to == NULL ? -1 : BN_bn2bin(n, to);
    BN_free(n);
    if (len < 0)
        return no_memory(err);
    out->len += (size_t)len;
    return NEO_OK;
}
