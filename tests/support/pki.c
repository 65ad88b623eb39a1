/* SPDX-License-Identifier: Apache-2.0 */
#include "support/pki.h"

#include <neo/encoding.h>
#include <neo/memory.h>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

struct pki_cert {
    struct pki_cert *next;
    const struct pki_cert *issuer; /* itself for a root */
    X509 *x509;
    EVP_PKEY *key;
    uint8_t *der;
    size_t der_len;
    uint8_t *key_der;
    size_t key_der_len;
    uint8_t serial[20];
    size_t serial_len;
};

struct pki {
    char trust_domain[256];
    uint64_t next_serial;
    struct pki_cert *certs;
    const struct pki_cert *root;
    const struct pki_cert *issuer;
};

#define must(condition)                                                                            \
    do {                                                                                           \
        if (!(condition))                                                                          \
            die(#condition);                                                                       \
    } while (0)

static void die(const char *what)
{
    (void)fprintf(stderr, "pki: failed: %s\n", what);
    ERR_print_errors_fp(stderr);
    abort();
}

/* --- keys ---------------------------------------------------------------------------------- */

static EVP_PKEY *explicit_p256(void)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    EVP_PKEY *key = NULL;

    must(ctx != NULL && EVP_PKEY_keygen_init(ctx) == 1);
    must(EVP_PKEY_CTX_set_ec_paramgen_curve_nid(ctx, NID_X9_62_prime256v1) == 1);
    must(EVP_PKEY_CTX_set_ec_param_enc(ctx, OPENSSL_EC_EXPLICIT_CURVE) == 1);
    must(EVP_PKEY_generate(ctx, &key) == 1);
    EVP_PKEY_CTX_free(ctx);
    return key;
}

/*
 * RSA of 16384 bits takes a minute to make from two primes. Half its length made of several primes
 * does in their place: a multiple of the group's order is all that the arithmetic asks for.
 */
static void make_half(BIGNUM *ret, BIGNUM *ret_order, const BIGNUM *e, BN_CTX *ctx)
{
    enum { PRIMES = 8, BITS = 1024 };
    BIGNUM *prime = BN_new(), *rest = BN_new();

    must(BN_one(ret) == 1 && BN_one(ret_order) == 1);
    for (int i = 0; i < PRIMES; i++) {
        must(BN_generate_prime_ex(prime, BITS, 0, NULL, NULL, NULL) == 1);
        must(BN_mul(ret, ret, prime, ctx) == 1 && BN_sub_word(prime, 1) == 1);
        must(BN_mul(ret_order, ret_order, prime, ctx) == 1);
        must(BN_gcd(rest, prime, e, ctx) == 1 && BN_is_one(rest) == 1);
    }
    BN_free(prime);
    BN_free(rest);
}

static EVP_PKEY *rsa_16384(void)
{
    BN_CTX *ctx = BN_CTX_new();
    BIGNUM *n = BN_new(), *e = BN_new(), *d = BN_new(), *part = BN_new();
    BIGNUM *half[2] = {BN_new(), BN_new()}, *order[2] = {BN_new(), BN_new()};
    OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
    EVP_PKEY_CTX *maker = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    EVP_PKEY *key = NULL;

    must(BN_set_word(e, RSA_F4) == 1);
    make_half(half[0], order[0], e, ctx);
    make_half(half[1], order[1], e, ctx);
    must(BN_mul(n, half[0], half[1], ctx) == 1 && BN_mul(part, order[0], order[1], ctx) == 1);
    must(BN_mod_inverse(d, e, part, ctx) != NULL);
    BIGNUM *exponent[2] = {BN_new(), BN_new()}, *coefficient = BN_new();
    must(BN_mod(exponent[0], d, order[0], ctx) == 1 && BN_mod(exponent[1], d, order[1], ctx) == 1);
    must(BN_mod_inverse(coefficient, half[1], half[0], ctx) != NULL);
    const struct {
        const char *name;
        const BIGNUM *value;
    } parts[] = {{OSSL_PKEY_PARAM_RSA_N, n},
                 {OSSL_PKEY_PARAM_RSA_E, e},
                 {OSSL_PKEY_PARAM_RSA_D, d},
                 {OSSL_PKEY_PARAM_RSA_FACTOR1, half[0]},
                 {OSSL_PKEY_PARAM_RSA_FACTOR2, half[1]},
                 {OSSL_PKEY_PARAM_RSA_EXPONENT1, exponent[0]},
                 {OSSL_PKEY_PARAM_RSA_EXPONENT2, exponent[1]},
                 {OSSL_PKEY_PARAM_RSA_COEFFICIENT1, coefficient}};
    for (size_t i = 0; i < NEO_COUNT(parts); i++)
        must(OSSL_PARAM_BLD_push_BN(bld, parts[i].name, parts[i].value) == 1);
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
    must(EVP_PKEY_fromdata_init(maker) == 1);
    must(EVP_PKEY_fromdata(maker, &key, EVP_PKEY_KEYPAIR, params) == 1);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(bld);
    EVP_PKEY_CTX_free(maker);
    BIGNUM *all[] = {n,        e,        d,           part,        half[0],    half[1],
                     order[0], order[1], exponent[0], exponent[1], coefficient};
    for (size_t i = 0; i < NEO_COUNT(all); i++)
        BN_free(all[i]);
    BN_CTX_free(ctx);
    return key;
}

static EVP_PKEY *make_key(const char *kind)
{
    if (kind == NULL)
        return EVP_EC_gen("P-256");
    if (strcmp(kind, "P-256 explicit") == 0)
        return explicit_p256();
    if (strcmp(kind, "RSA-16384") == 0)
        return rsa_16384();
    if (strncmp(kind, "RSA-", 4) == 0)
        return EVP_RSA_gen((unsigned)strtoul(kind + 4, NULL, 10));
    if (strcmp(kind, "ED25519") == 0)
        return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    return EVP_EC_gen(kind);
}

/* --- one certificate ----------------------------------------------------------------------- */

static void add_extension(X509 *x509, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;

    if (value[0] == '\0')
        return;
    CONF *none = NCONF_new(NULL); /* policies are not read without one */
    X509V3_set_ctx(&ctx, issuer, x509, NULL, NULL, 0);
    X509V3_set_nconf(&ctx, none);
    X509_EXTENSION *extension = X509V3_EXT_nconf_nid(NULL, &ctx, nid, value);
    must(extension != NULL && X509_add_ext(x509, extension, -1) == 1);
    X509_EXTENSION_free(extension);
    NCONF_free(none);
}

static const char *or_default(const char *asked, const char *usual)
{
    return asked == NULL ? usual : asked;
}

static void add_extensions(const struct pki *pki, X509 *x509, X509 *issuer, const char *name,
                           const struct pki_options *o)
{
    bool ca = o->is_ca;
    char san[1024];

    (void)snprintf(san, sizeof(san), "URI:spiffe://%s%s%s%s%s", pki->trust_domain, ca ? "" : "/",
                   ca ? "" : name, o->dns == NULL ? "" : ",DNS:", o->dns == NULL ? "" : o->dns);
    add_extension(x509, issuer, NID_basic_constraints,
                  or_default(o->basic_constraints, ca ? "critical,CA:TRUE" : "critical,CA:FALSE"));
    add_extension(x509, issuer, NID_key_usage,
                  or_default(o->key_usage,
                             ca ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature"));
    add_extension(x509, issuer, NID_ext_key_usage,
                  or_default(o->extended_key_usage, ca ? "" : "serverAuth,clientAuth"));
    add_extension(x509, issuer, NID_subject_key_identifier, or_default(o->subject_key_id, "hash"));
    add_extension(x509, issuer, NID_authority_key_identifier,
                  or_default(o->authority_key_id, issuer == x509 ? "" : "keyid"));
    add_extension(x509, issuer, NID_subject_alt_name, or_default(o->san, san));
    add_extension(x509, issuer, NID_name_constraints, or_default(o->name_constraints, ""));
    add_extension(x509, issuer, NID_certificate_policies, or_default(o->policies, ""));
    add_extension(x509, issuer, NID_policy_mappings, or_default(o->policy_mappings, ""));
    add_extension(x509, issuer, NID_policy_constraints, or_default(o->policy_constraints, ""));
    add_extension(x509, issuer, NID_inhibit_any_policy, or_default(o->inhibit_any_policy, ""));
}

static void add_common_name(X509_NAME *subject, const char *text)
{
    if (text != NULL && text[0] != '\0')
        must(X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8,
                                        (const uint8_t *)text, -1, -1, 0) == 1);
}

static void set_public_key(X509 *x509, EVP_PKEY *own, const struct pki_options *o)
{
    const uint8_t *at = o->spki;
    EVP_PKEY *given = at == NULL ? NULL : d2i_PUBKEY(NULL, &at, (long)o->spki_len);

    must(X509_set_pubkey(x509, given == NULL ? own : given) == 1);
    EVP_PKEY_free(given);
}

static void encode(struct pki_cert *cert)
{
    int len = i2d_X509(cert->x509, &cert->der);
    must(len > 0);
    cert->der_len = (size_t)len;

    PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(cert->key);
    int key_len = i2d_PKCS8_PRIV_KEY_INFO(info, &cert->key_der);
    must(key_len > 0);
    cert->key_der_len = (size_t)key_len;
    PKCS8_PRIV_KEY_INFO_free(info);
}

static void set_serial(struct pki *pki, struct pki_cert *cert, uint64_t asked)
{
    uint64_t serial = asked == 0 ? ++pki->next_serial : asked;
    BIGNUM *number = BN_new();

    must(ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert->x509), serial) == 1);
    must(ASN1_INTEGER_to_BN(X509_get0_serialNumber(cert->x509), number) != NULL);
    cert->serial_len = (size_t)BN_bn2bin(number, cert->serial);
    BN_free(number);
}

const struct pki_cert *pki_make(struct pki *pki, const struct pki_cert *issuer, const char *name,
                                const struct pki_options *options)
{
    const struct pki_options good = {0};
    const struct pki_options *o = options == NULL ? &good : options;
    struct pki_cert *cert = neo_alloc(sizeof(*cert));

    must(cert != NULL);
    cert->issuer = issuer == NULL ? cert : issuer;
    cert->x509 = X509_new();
    cert->key = make_key(o->key);
    must(cert->x509 != NULL && cert->key != NULL);
    must(X509_set_version(cert->x509, o->version_1 ? X509_VERSION_1 : X509_VERSION_3) == 1);
    set_serial(pki, cert, o->serial);
    must(ASN1_TIME_set(X509_getm_notBefore(cert->x509),
                       o->not_before == 0 ? PKI_FROM : o->not_before) != NULL);
    must(ASN1_TIME_set(X509_getm_notAfter(cert->x509),
                       o->not_after == 0 ? PKI_UNTIL : o->not_after) != NULL);
    add_common_name(X509_get_subject_name(cert->x509), or_default(o->subject, name));
    add_common_name(X509_get_subject_name(cert->x509), o->second_common_name);
    must(X509_set_issuer_name(cert->x509, X509_get_subject_name(cert->issuer->x509)) == 1);
    set_public_key(cert->x509, cert->key, o);
    if (!o->version_1)
        add_extensions(pki, cert->x509, cert->issuer->x509, name, o);
    const EVP_MD *digest = EVP_get_digestbyname(or_default(o->digest, "SHA256"));
    bool own_digest = EVP_PKEY_is_a(cert->issuer->key, "ED25519") == 1;
    must(X509_sign(cert->x509, cert->issuer->key, own_digest ? NULL : digest) > 0);
    encode(cert);
    cert->next = pki->certs;
    pki->certs = cert;
    return cert;
}

/* --- the authority ------------------------------------------------------------------------- */

struct pki *pki_new(const char *trust_domain)
{
    const struct pki_options root = {.is_ca = true};
    const struct pki_options issuer = {.is_ca = true,
                                       .basic_constraints = "critical,CA:TRUE,pathlen:0"};
    struct pki *pki = neo_alloc(sizeof(*pki));

    must(pki != NULL);
    (void)snprintf(pki->trust_domain, sizeof(pki->trust_domain), "%s", trust_domain);
    pki->root = pki_make(pki, NULL, "test root", &root);
    pki->issuer = pki_make(pki, pki->root, "test issuing CA", &issuer);
    return pki;
}

void pki_free(struct pki *pki)
{
    if (pki == NULL)
        return;
    for (struct pki_cert *cert = pki->certs; cert != NULL;) {
        struct pki_cert *next = cert->next;

        X509_free(cert->x509);
        EVP_PKEY_free(cert->key);
        OPENSSL_free(cert->der);
        OPENSSL_free(cert->key_der);
        neo_free(cert);
        cert = next;
    }
    neo_free(pki);
}

const struct pki_cert *pki_root(const struct pki *pki)
{
    return pki->root;
}

const struct pki_cert *pki_issuer(const struct pki *pki)
{
    return pki->issuer;
}

struct neo_bytes pki_der(const struct pki_cert *cert)
{
    return neo_bytes(cert->der, cert->der_len);
}

struct neo_bytes pki_key(const struct pki_cert *cert)
{
    return neo_bytes(cert->key_der, cert->key_der_len);
}

struct neo_bytes pki_key_id(const struct pki_cert *cert)
{
    const ASN1_OCTET_STRING *id = X509_get0_subject_key_id(cert->x509);

    must(id != NULL);
    return neo_bytes(ASN1_STRING_get0_data(id), (size_t)ASN1_STRING_length(id));
}

struct neo_bytes pki_serial(const struct pki_cert *cert)
{
    return neo_bytes(cert->serial, cert->serial_len);
}

size_t pki_chain(const struct pki_cert *cert, bool with_root, struct neo_bytes ret[static 8])
{
    size_t n = 0;

    for (; cert->issuer != cert && n < 7; cert = cert->issuer)
        ret[n++] = pki_der(cert);
    if (with_root || n == 0)
        ret[n++] = pki_der(cert);
    return n;
}

/* --- what the code under test takes ---------------------------------------------------------- */

static struct neo_key *key_of(const struct pki_cert *cert)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    struct neo_key *key = NULL;
    struct neo_error err;

    must(PEM_write_bio_PKCS8PrivateKey(bio, cert->key, NULL, NULL, 0, NULL, NULL) == 1);
    long len = BIO_get_mem_data(bio, &text);
    if (neo_key_from_pem(neo_bytes(text, (size_t)len), "test key", &key, &err) != NEO_OK)
        die(err.message);
    BIO_free(bio);
    return key;
}

struct neo_identity *pki_identity_of(const struct pki_cert *cert, bool with_root)
{
    struct neo_bytes chain[8];
    size_t n = pki_chain(cert, with_root, chain);
    struct neo_key *key = key_of(cert);
    struct neo_identity *identity = NULL;
    struct neo_error err;

    if (neo_identity_new(key, chain, n, &identity, &err) != NEO_OK)
        die(err.message);
    neo_key_unref(key);
    return identity;
}

struct neo_identity *pki_identity(struct pki *pki, const char *service,
                                  const struct pki_options *options)
{
    return pki_identity_of(pki_make(pki, pki->issuer, service, options), false);
}

struct neo_trust *pki_trust_revoking(const struct pki *pki, const struct neo_revocation *revoked,
                                     size_t n)
{
    struct neo_bytes root = pki_der(pki->root);
    struct neo_trust_domain domain = {neo_text(pki->trust_domain), &root, 1};
    struct neo_trust_options options = {
        .domains = &domain, .n_domains = 1, .revocations = revoked, .n_revocations = n, .epoch = 1};
    struct neo_trust *trust = NULL;
    struct neo_error err;

    if (neo_trust_new(&options, &trust, &err) != NEO_OK)
        die(err.message);
    return trust;
}

struct neo_trust *pki_trust(const struct pki *pki)
{
    return pki_trust_revoking(pki, NULL, 0);
}

struct neo_trust *pki_trust_by_fingerprint(const struct pki *pki)
{
    uint8_t fingerprint[NEO_SHA256_LEN];
    struct neo_trust_options options = {.root_fingerprint = fingerprint};
    struct neo_trust *trust = NULL;
    struct neo_error err;

    neo_sha256(pki_der(pki->root), fingerprint);
    if (neo_trust_new(&options, &trust, &err) != NEO_OK)
        die(err.message);
    return trust;
}

/* --- as PEM ------------------------------------------------------------------------------------
 */

static void put_pem(struct neo_buffer *out, const char *label, struct neo_bytes der)
{
    enum { LINE = 64 };
    struct neo_buffer text = {0};
    bool fits = neo_base64_encode(&text, der, NEO_BASE64_PADDED) &&
                neo_buffer_printf(out, "-----BEGIN %s-----\n", label);

    for (size_t at = 0; at < text.len; at += LINE)
        fits = fits &&
               neo_buffer_printf(out, "%.*s\n", (int)(text.len - at < LINE ? text.len - at : LINE),
                                 (const char *)text.at + at);
    if (!fits || !neo_buffer_printf(out, "-----END %s-----\n", label))
        abort();
    neo_buffer_fini_secret(&text);
}

void pki_pem_chain(const struct pki_cert *cert, struct neo_buffer *out)
{
    struct neo_bytes chain[8];
    size_t n = pki_chain(cert, false, chain);

    for (size_t i = 0; i < n; i++)
        put_pem(out, "CERTIFICATE", chain[i]);
}

void pki_pem_key(const struct pki_cert *cert, struct neo_buffer *out)
{
    put_pem(out, "PRIVATE KEY", pki_key(cert));
}

void pki_pem_root(const struct pki *pki, struct neo_buffer *out)
{
    put_pem(out, "CERTIFICATE", pki_der(pki_root(pki)));
}
