/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A certificate is read once: our own strict walk bounds what OpenSSL's parser can
 * be made to do, and the encoding OpenSSL would write back must be the one that
 * came, so that a digest over either is the same digest.
 *
 * The path is OpenSSL's X509_verify_cert() with the pin as the only trusted
 * certificate. STRICT is left out because AMD's leaves have no authority key
 * identifier. Revocation is done by hand: OpenSSL's CRL_CHECK_ALL would ask for a
 * list of the intermediate too, and no vendor here publishes one.
 */
#include "crypto/vendor_internal.h"
#include "crypto/vendor_memo.h"

#include "crypto/der.h"
#include "crypto/openssl.h"
#include "crypto/pem.h"

#include <neo/memory.h>

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <stdatomic.h>
#include <time.h>

enum { DER_MAX = 16 << 10, DER_ELEMENTS = 1024, CRL_MAX = 1 << 20, CRL_ELEMENTS = 1 << 16 };

/* --- certificates ----------------------------------------------------------------------------- */

static bool read_time(const ASN1_TIME *text, int64_t *ret)
{
    struct tm broken;

    if (text == NULL || ASN1_TIME_to_tm(text, &broken) != 1)
        return false;
    *ret = timegm(&broken);
    return true;
}

struct neo_bytes vendor_only_common_name(const X509_NAME *name)
{
    int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);

    if (at < 0 || X509_NAME_get_index_by_NID(name, NID_commonName, at) >= 0)
        return (struct neo_bytes){0};
    const ASN1_STRING *text = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));
    int type = ASN1_STRING_type(text);
    if (type != V_ASN1_UTF8STRING && type != V_ASN1_PRINTABLESTRING && type != V_ASN1_IA5STRING)
        return (struct neo_bytes){0};
    return neo_bytes(ASN1_STRING_get0_data(text), (size_t)ASN1_STRING_length(text));
}

static bool key_is_on(const EVP_PKEY *key, const char *curve)
{
    char group[32];

    return EVP_PKEY_is_a(key, "EC") &&
           EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) == 1 &&
           strcmp(group, curve) == 0;
}

/* X509_SIG_INFO_TLS says of PSS that both digests are one and the salt is as long as it. */
static bool signature_is_pss_sha384(X509 *x509)
{
    int digest, scheme;
    uint32_t flags;

    return X509_get_signature_info(x509, &digest, &scheme, NULL, &flags) == 1 &&
           scheme == EVP_PKEY_RSA_PSS && digest == NID_sha384 && (flags & X509_SIG_INFO_TLS) != 0;
}

static bool read_facts(struct vendor_cert *cert, struct neo_bytes der)
{
    X509 *x509 = cert->x509;
    struct vendor_cert_facts *facts = &cert->facts;

    cert->key = X509_get0_pubkey(x509);
    *facts = (struct vendor_cert_facts){
        .der = der,
        .common_name = vendor_only_common_name(X509_get_subject_name(x509)),
        .issuer_common_name = vendor_only_common_name(X509_get_issuer_name(x509)),
        .is_ca = X509_check_ca(x509) != 0,
        .is_p384 = cert->key != NULL && key_is_on(cert->key, SN_secp384r1),
        .is_p256 = cert->key != NULL && key_is_on(cert->key, SN_X9_62_prime256v1),
        .is_pss_sha384 = signature_is_pss_sha384(x509),
    };
    neo_sha256(der, facts->sha256);
    return cert->key != NULL && read_time(X509_get0_notBefore(x509), &facts->not_before) &&
           read_time(X509_get0_notAfter(x509), &facts->not_after);
}

struct vendor_cert *vendor_cert_ref(struct vendor_cert *cert)
{
    atomic_fetch_add_explicit(&cert->refs, 1, memory_order_relaxed);
    return cert;
}

void vendor_cert_unref(struct vendor_cert *cert)
{
    if (cert == NULL || atomic_fetch_sub_explicit(&cert->refs, 1, memory_order_acq_rel) != 1)
        return;
    X509_free(cert->x509);
    OPENSSL_free(cert->der);
    neo_free(cert);
}

static void cert_unrefp(struct vendor_cert **cert)
{
    vendor_cert_unref(*cert);
}

static enum neo_code cert_from_der(struct neo_bytes der, const char *what, struct vendor_cert **ret,
                                   struct neo_error *err)
{
    NEO_CLEANUP(cert_unrefp) struct vendor_cert *cert = neo_alloc(sizeof(*cert));
    const uint8_t *at = der.at;

    if (cert == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "%s: out of memory", what);
    atomic_init(&cert->refs, 1);
    if (der.len > DER_MAX || !der_is_strict(der, DER_ELEMENTS))
        return neo_fail(err, NEO_INVALID_ARGUMENT, "%s: a certificate that is not strict DER",
                        what);
    cert->x509 = d2i_X509(NULL, &at, (long)der.len);
    if (cert->x509 == NULL)
        return openssl_fail(err, NEO_INVALID_ARGUMENT, "%s: not a certificate", what);
    int len = i2d_X509(cert->x509, &cert->der);
    if (len < 0 || !neo_bytes_equal(der, neo_bytes(cert->der, (size_t)len)))
        return openssl_fail(err, NEO_INVALID_ARGUMENT, "%s: a certificate in an odd encoding",
                            what);
    if (!read_facts(cert, neo_bytes(cert->der, (size_t)len)))
        return openssl_fail(err, NEO_INVALID_ARGUMENT, "%s: a certificate with a bad key or time",
                            what);
    ERR_clear_error(); /* reading the facts may leave what is no failure here */
    *ret = cert;
    cert = NULL;
    return NEO_OK;
}

const struct vendor_cert_facts *vendor_cert_facts(const struct vendor_cert *cert)
{
    return &cert->facts;
}

bool vendor_cert_extension(const struct vendor_cert *cert, struct neo_bytes oid,
                           struct neo_bytes *ret)
{
    const ASN1_OCTET_STRING *found = NULL;

    for (int i = 0; i < X509_get_ext_count(cert->x509); i++) {
        X509_EXTENSION *ext = X509_get_ext(cert->x509, i);
        const ASN1_OBJECT *name = X509_EXTENSION_get_object(ext);
        if (!neo_bytes_equal(oid, neo_bytes(OBJ_get0_data(name), OBJ_length(name))))
            continue;
        if (found != NULL)
            return false;
        found = X509_EXTENSION_get_data(ext);
    }
    if (found == NULL)
        return false;
    *ret = neo_bytes(ASN1_STRING_get0_data(found), (size_t)ASN1_STRING_length(found));
    return true;
}

/* --- revocation lists ------------------------------------------------------------------------- */

static void crl_free(struct vendor_crl *crl)
{
    if (crl == NULL)
        return;
    X509_CRL_free(crl->crl);
    neo_free(crl->der);
    neo_free(crl);
}

static void crl_freep(struct vendor_crl **crl)
{
    crl_free(*crl);
}

static enum neo_code crl_from_der(struct neo_bytes der, const char *what, struct vendor_crl **ret,
                                  struct neo_error *err)
{
    NEO_CLEANUP(crl_freep) struct vendor_crl *crl = neo_alloc(sizeof(*crl));
    const uint8_t *at = der.at;

    if (crl == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "%s: out of memory", what);
    if (der.len > CRL_MAX || !der_is_strict(der, CRL_ELEMENTS))
        return neo_fail(err, NEO_INVALID_ARGUMENT, "%s: a revocation list that is not strict DER",
                        what);
    crl->crl = d2i_X509_CRL(NULL, &at, (long)der.len);
    if (crl->crl == NULL)
        return openssl_fail(err, NEO_INVALID_ARGUMENT,
                            "%s: neither a certificate nor a revocation list", what);
    if (!read_time(X509_CRL_get0_lastUpdate(crl->crl), &crl->this_update))
        return openssl_fail(err, NEO_INVALID_ARGUMENT, "%s: a revocation list with a bad time",
                            what);
    if (!read_time(X509_CRL_get0_nextUpdate(crl->crl), &crl->next_update))
        crl->next_update = 0;
    neo_sha256(der, crl->sha256);
    crl->der = neo_alloc(der.len);
    if (crl->der == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "%s: out of memory", what);
    memcpy(crl->der, der.at, der.len);
    crl->der_len = der.len;
    *ret = crl;
    crl = NULL;
    return NEO_OK;
}

bool vendor_crl_is_signed(const struct vendor_crl *crl, const struct vendor_cert *issuer,
                          struct vendor_memo *memo)
{
    const struct neo_bytes parts[] = {neo_bytes(crl->sha256, NEO_SHA256_LEN),
                                      neo_bytes(issuer->facts.sha256, NEO_SHA256_LEN)};
    const struct vendor_memo_key key = vendor_memo_key("list", parts, NEO_COUNT(parts));

    if (vendor_memo_knows(memo, &key, 0))
        return true;
    if (X509_CRL_verify(crl->crl, issuer->key) != 1)
        return false;
    vendor_memo_keep(memo, &key, INT64_MIN, INT64_MAX);
    return true;
}

/* --- bundles ---------------------------------------------------------------------------------- */

static bool grow(void *array, size_t len)
{
    void **old;

    memcpy(&old, array, sizeof(old));
    if ((len & (len - 1)) != 0) /* room for the next power of two was made at the last one */
        return true;
    void **more = neo_realloc(old, (len == 0 ? 1 : len * 2) * sizeof(void *));
    if (more == NULL)
        return false;
    memcpy(array, &more, sizeof(more));
    return true;
}

static enum neo_code has_room(const struct vendor_bundle *bundle, const char *what,
                              struct neo_error *err)
{
    if (bundle->n_certs + bundle->n_crls < bundle->max)
        return NEO_OK;
    return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "%s: more than %zu certificates", what,
                    bundle->max);
}

static struct vendor_cert *find_known(const struct vendor_bundle *bundle, struct neo_bytes der)
{
    for (size_t b = 0; b < NEO_COUNT(bundle->known); b++) {
        for (size_t i = 0; bundle->known[b] != NULL && i < bundle->known[b]->n_certs; i++) {
            struct vendor_cert *cert = bundle->known[b]->certs[i];
            if (neo_bytes_equal(cert->facts.der, der))
                return cert;
        }
    }
    return NULL;
}

static enum neo_code add_cert(struct vendor_bundle *bundle, struct neo_bytes der, const char *what,
                              struct neo_error *err)
{
    NEO_TRY(has_room(bundle, what, err));
    if (!grow(&bundle->certs, bundle->n_certs))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "%s: out of memory", what);
    struct vendor_cert *known = find_known(bundle, der);
    known = known != NULL ? vendor_cert_ref(known) : vendor_memo_cert(bundle->memo, der);
    if (known != NULL) {
        bundle->certs[bundle->n_certs++] = known;
        return NEO_OK;
    }
    NEO_TRY(cert_from_der(der, what, &bundle->certs[bundle->n_certs], err));
    bundle->n_certs++;
    return NEO_OK;
}

static enum neo_code add_crl(struct vendor_bundle *bundle, struct neo_bytes der, const char *what,
                             struct neo_error *err)
{
    NEO_TRY(has_room(bundle, what, err));
    if (!grow(&bundle->crls, bundle->n_crls))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "%s: out of memory", what);
    NEO_TRY(crl_from_der(der, what, &bundle->crls[bundle->n_crls], err));
    bundle->n_crls++;
    return NEO_OK;
}

static enum neo_code read_pem(struct vendor_bundle *bundle, struct neo_bytes text, const char *what,
                              struct neo_error *err)
{
    NEO_CLEANUP(pem_close) struct pem_reader reader = {0};
    enum neo_code code;

    NEO_TRY(pem_open(&reader, text, what, err));
    while ((code = pem_next(&reader, err)) == NEO_OK) {
        if (!reader.is_encrypted && strcmp(reader.label, "CERTIFICATE") == 0)
            NEO_TRY(add_cert(bundle, reader.der, what, err));
        else if (!reader.is_encrypted && strcmp(reader.label, "X509 CRL") == 0)
            NEO_TRY(add_crl(bundle, reader.der, what, err));
        else
            return neo_fail(err, NEO_INVALID_ARGUMENT,
                            "%s: a PEM block that is neither CERTIFICATE nor X509 CRL", what);
    }
    return code == NEO_NOT_FOUND ? NEO_OK : code;
}

/* A certificate's first element within the outer two is [0], a list's an INTEGER or its algorithm.
 */
static bool looks_like_cert(struct neo_bytes der)
{
    struct cursor c = cursor_of(der);
    struct cursor outer = cursor_of(der_take(&c, DER_SEQUENCE).body);
    struct cursor tbs = cursor_of(der_take(&outer, DER_SEQUENCE).body);

    return der_is_next(&tbs, DER_CONTEXT_0);
}

static enum neo_code read_der(struct vendor_bundle *bundle, struct neo_bytes text, const char *what,
                              struct neo_error *err)
{
    struct cursor c = cursor_of(text);

    while (c.left > 0) {
        struct neo_bytes der = der_take(&c, DER_SEQUENCE).whole;
        if (c.failed)
            return neo_fail(err, NEO_INVALID_ARGUMENT, "%s: neither PEM nor DER", what);
        if (looks_like_cert(der))
            NEO_TRY(add_cert(bundle, der, what, err));
        else
            NEO_TRY(add_crl(bundle, der, what, err));
    }
    return NEO_OK;
}

enum neo_code vendor_bundle_read(struct vendor_bundle *bundle, struct neo_bytes text,
                                 const char *what, struct neo_error *err)
{
    if (neo_bytes_starts(text, NEO_LIT("-----BEGIN ")))
        return read_pem(bundle, text, what, err);
    return read_der(bundle, text, what, err);
}

void vendor_bundle_fini(struct vendor_bundle *bundle)
{
    for (size_t i = 0; i < bundle->n_certs; i++)
        vendor_cert_unref(bundle->certs[i]);
    for (size_t i = 0; i < bundle->n_crls; i++)
        crl_free(bundle->crls[i]);
    neo_free(bundle->certs);
    neo_free(bundle->crls);
    bundle->certs = NULL;
    bundle->crls = NULL;
    bundle->n_certs = 0;
    bundle->n_crls = 0;
}

/* --- the path --------------------------------------------------------------------------------- */

enum vendor_verdict vendor_fault(enum vendor_verdict verdict, struct neo_error *why,
                                 const char *text)
{
    (void)openssl_fail(why, NEO_UNAUTHENTICATED, "%s", text);
    return verdict;
}

static enum vendor_verdict verdict_of(int error)
{
    switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return VENDOR_EXPIRED;
    case X509_V_ERR_OUT_OF_MEM:
        return VENDOR_NO_MEMORY;
    default:
        return VENDOR_UNTRUSTED;
    }
}

static int64_t earliest_end(const struct vendor_chain *chain, const struct vendor_cert *issuer)
{
    int64_t at = chain->leaf->facts.not_after;

    if (issuer->facts.not_after < at)
        at = issuer->facts.not_after;
    return chain->root->facts.not_after < at ? chain->root->facts.not_after : at;
}

/* What OpenSSL found must have the shape that was asked for, and be signed as the vendor signs. */
static enum vendor_verdict accept_path(const struct vendor_chain *chain,
                                       const struct vendor_cert *issuer, X509_STORE_CTX *ctx,
                                       struct vendor_path *ret, struct neo_error *why)
{
    STACK_OF(X509) *found = X509_STORE_CTX_get0_chain(ctx);

    if (sk_X509_num(found) != 3 || sk_X509_value(found, 1) != issuer->x509)
        return vendor_fault(VENDOR_UNTRUSTED, why, "the path is not leaf, intermediate, root");
    if (!chain->leaf->facts.is_pss_sha384 || !issuer->facts.is_pss_sha384)
        return vendor_fault(VENDOR_UNTRUSTED, why,
                            "a signature that is not RSASSA-PSS with SHA-384");

    *ret = (struct vendor_path){.issuer = issuer, .not_after = earliest_end(chain, issuer)};
    return VENDOR_GOOD;
}

static struct vendor_memo_key key_of(const struct vendor_chain *chain,
                                     const struct vendor_cert *issuer)
{
    const struct neo_bytes parts[] = {neo_bytes(chain->leaf->facts.sha256, NEO_SHA256_LEN),
                                      neo_bytes(issuer->facts.sha256, NEO_SHA256_LEN),
                                      neo_bytes(chain->root->facts.sha256, NEO_SHA256_LEN)};

    return vendor_memo_key("chain", parts, NEO_COUNT(parts));
}

static enum vendor_verdict search(const struct vendor_chain *chain,
                                  const struct vendor_cert *issuer, struct vendor_path *ret,
                                  struct neo_error *why)
{
    NEO_CLEANUP(openssl_store_freep) X509_STORE *store = X509_STORE_new();
    NEO_CLEANUP(openssl_certs_freep) STACK_OF(X509) *hints = sk_X509_new_null();
    NEO_CLEANUP(openssl_store_ctx_freep) X509_STORE_CTX *ctx = X509_STORE_CTX_new();

    if (store == NULL || hints == NULL || ctx == NULL ||
        X509_STORE_add_cert(store, chain->root->x509) != 1 ||
        sk_X509_push(hints, issuer->x509) == 0 ||
        X509_STORE_CTX_init(ctx, store, chain->leaf->x509, hints) != 1)
        return vendor_fault(VENDOR_NO_MEMORY, why, "out of memory");

    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
    X509_VERIFY_PARAM_set_time(param, (time_t)chain->now);
    X509_VERIFY_PARAM_set_depth(param, 1);
    if (X509_verify_cert(ctx) != 1) {
        int error = X509_STORE_CTX_get_error(ctx);
        return vendor_fault(verdict_of(error), why, X509_verify_cert_error_string(error));
    }
    return accept_path(chain, issuer, ctx, ret, why);
}

static int64_t latest_begin(const struct vendor_chain *chain, const struct vendor_cert *issuer)
{
    int64_t at = chain->leaf->facts.not_before;

    if (issuer->facts.not_before > at)
        at = issuer->facts.not_before;
    return chain->root->facts.not_before > at ? chain->root->facts.not_before : at;
}

static enum vendor_verdict try_issuer(const struct vendor_chain *chain, struct vendor_cert *issuer,
                                      struct vendor_path *ret, struct neo_error *why)
{
    const struct vendor_memo_key key = key_of(chain, issuer);

    if (vendor_memo_knows(chain->memo, &key, chain->now)) {
        *ret = (struct vendor_path){.issuer = issuer, .not_after = earliest_end(chain, issuer)};
        return VENDOR_GOOD;
    }
    enum vendor_verdict verdict = search(chain, issuer, ret, why);
    if (verdict == VENDOR_GOOD) {
        vendor_memo_keep(chain->memo, &key, latest_begin(chain, issuer), ret->not_after);
        vendor_memo_keep_cert(chain->memo, chain->leaf);
        vendor_memo_keep_cert(chain->memo, issuer);
    }
    return verdict;
}

/*
 * One issuer after the other: among several of one name OpenSSL would settle on the first, and the
 * leaves do not say by which key they were signed. The verdict is the best there is.
 */
static enum vendor_verdict find_path(const struct vendor_chain *chain, struct vendor_path *ret,
                                     struct neo_error *why)
{
    enum vendor_verdict verdict =
        vendor_fault(VENDOR_UNTRUSTED, why, "the intermediate is not known");

    for (size_t i = 0; i < chain->n_issuers && verdict != VENDOR_GOOD; i++) {
        struct neo_error reason;
        enum vendor_verdict tried = try_issuer(chain, chain->issuers[i], ret, &reason);
        if (tried == VENDOR_UNTRUSTED && i > 0)
            continue;
        verdict = tried;
        if (why != NULL)
            *why = reason;
    }
    return verdict;
}

/* A vendor need not have a list; one that is configured must be good for something. */
static bool has_list(const struct vendor_chain *chain)
{
    const X509_NAME *root = X509_get_subject_name(chain->root->x509);

    for (size_t i = 0; i < chain->n_crls; i++) {
        if (X509_NAME_cmp(X509_CRL_get_issuer(chain->crls[i]->crl), root) == 0)
            return true;
    }
    return false;
}

enum vendor_verdict vendor_chain_verify(const struct vendor_chain *chain, struct vendor_path *ret,
                                        struct neo_error *why)
{
    const struct vendor_lists lists = {chain->crls,  chain->n_crls,   chain->now,
                                       chain->grace, chain->by_grace, chain->memo};
    struct vendor_path path;
    enum vendor_verdict verdict = find_path(chain, &path, why);

    if (verdict == VENDOR_GOOD && has_list(chain))
        verdict = vendor_lists_ask(&lists, path.issuer, chain->root, &path.not_after, why);
    ERR_clear_error(); /* issuers that did not fit leave their errors behind */
    if (verdict != VENDOR_GOOD)
        return verdict;
    if (why != NULL)
        *why = (struct neo_error){0};
    *ret = path;
    return VENDOR_GOOD;
}

/* --- signatures ------------------------------------------------------------------------------- */

/* 0 < number < the order of P-384. */
static bool is_in_range(const BIGNUM *number)
{
    /* The order is public and fixed (FIPS 186): to know it saves building the group. */
    static const uint8_t order[48] = {
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xc7, 0x63, 0x4d, 0x81, 0xf4, 0x37, 0x2d, 0xdf, 0x58, 0x1a, 0x0d, 0xb2,
        0x48, 0xb0, 0xa7, 0x7a, 0xec, 0xec, 0x19, 0x6a, 0xcc, 0xc5, 0x29, 0x73,
    };
    uint8_t bytes[48];

    return !BN_is_zero(number) && BN_bn2binpad(number, bytes, sizeof(bytes)) == sizeof(bytes) &&
           memcmp(bytes, order, sizeof(bytes)) < 0;
}

static int signature_der(const struct vendor_signature *signature, uint8_t **ret)
{
    BIGNUM *(*from)(const unsigned char *, int, BIGNUM *) =
        signature->is_little_endian ? BN_lebin2bn : BN_bin2bn;
    BIGNUM *r = from(signature->r, sizeof(signature->r), NULL);
    BIGNUM *s = from(signature->s, sizeof(signature->s), NULL);

    if (r == NULL || s == NULL || !is_in_range(r) || !is_in_range(s)) {
        BN_free(r);
        BN_free(s);
        return -1;
    }
    return vendor_ecdsa_der(r, s, ret);
}

bool vendor_p384_verify(const struct vendor_cert *cert, struct neo_bytes message,
                        const struct vendor_signature *signature)
{
    NEO_CLEANUP(openssl_md_ctx_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    NEO_CLEANUP(openssl_freep) uint8_t *der = NULL;
    int len = cert->facts.is_p384 ? signature_der(signature, &der) : -1;
    bool fits = ctx != NULL && len > 0 &&
                EVP_DigestVerifyInit(ctx, NULL, EVP_sha384(), NULL, cert->key) == 1 &&
                EVP_DigestVerify(ctx, der, (size_t)len, message.at, message.len) == 1;

    ERR_clear_error();
    return fits;
}
