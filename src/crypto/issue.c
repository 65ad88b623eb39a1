/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making certificates and CRLs.
 *
 * The template is checked against what an issuer may say (its own trust domain,
 * its own lifetime, never its own key), and a finished leaf is read back and must
 * pass the same profile that its verifiers apply: what we sign, we would accept.
 *
 * Issuing CAs carry no name constraints. A URI constraint would be honoured by
 * OpenSSL and Go, but rustls refuses any chain that has one, and our own verifier
 * does not need it: it takes an issuer's trust domain from its URI name.
 */
#include "crypto/cert.h"
#include "crypto/key.h"
#include "crypto/spki.h"

#include <openssl/err.h>

enum { KEY_ID_LEN = 20 };

#define LAST_SECOND INT64_C(253402300799) /* of the year 9999, the last that X.509 can say */

/* RFC 7093, method 1: the first 160 bits of SHA-256 over the key, without its algorithm. */
static void key_id_of(struct neo_bytes spki, uint8_t ret[static KEY_ID_LEN])
{
    uint8_t digest[NEO_SHA256_LEN];
    const struct spki_form *form = spki_form(spki);
    /* The BIT STRING begins with the point's 0x04 where the header already includes it. */
    size_t start = form->header.len - (form->kind == NEO_KEY_ED25519 ? 0 : 1);

    neo_sha256(neo_bytes_from(spki, start), digest);
    memcpy(ret, digest, KEY_ID_LEN);
}

static enum neo_code refuse(struct neo_error *err, const char *why)
{
    return neo_fail(err, NEO_INVALID_ARGUMENT, "certificate template: %s", why);
}

/* --- what may be said ---------------------------------------------------------------------- */

static enum neo_code check_names(const struct neo_cert_template *t, struct neo_spiffe_id *ret_id,
                                 struct neo_error *err)
{
    NEO_TRY(neo_spiffe_parse(neo_text(t->uri), ret_id, err));
    if (t->is_ca != (ret_id->service.len == 0))
        return refuse(err, "a CA has the trust domain's id, a leaf a service's");
    if (t->is_ca && (t->common_name == NULL || t->common_name[0] == '\0'))
        return refuse(err, "a CA must have a common name");
    if (!t->is_ca && t->common_name != NULL &&
        !neo_bytes_equal(neo_text(t->common_name), ret_id->service))
        return refuse(err, "a leaf's common name must be its service");
    for (size_t i = 0; t->dns_names != NULL && t->dns_names[i] != NULL; i++) {
        if (!cert_is_dns_name(neo_text(t->dns_names[i])))
            return refuse(err, "a DNS name is not a plain host name");
        if (i == CERT_NAMES_MAX - 1)
            return refuse(err, "too many DNS names");
    }
    return NEO_OK;
}

static enum neo_code check_serial(const struct neo_cert_template *t, struct neo_error *err)
{
    uint8_t any = t->serial[0] & 0x7f;

    for (size_t i = 1; i < sizeof(t->serial); i++)
        any |= t->serial[i];
    return any == 0 ? refuse(err, "the serial number must be random, not zero") : NEO_OK;
}

static enum neo_code check_times(const struct neo_cert_template *t, struct neo_error *err)
{
    if (t->not_before < 0 || t->not_after > LAST_SECOND || t->not_before >= t->not_after)
        return refuse(err, "notBefore must be before notAfter, between 1970 and 9999");
    return NEO_OK;
}

/* A CA called like its issuer would count as self-issued, and path lengths would not apply to it.
 */
static bool has_common_name(const struct neo_cert *cert, const char *name)
{
    const X509_NAME *subject = X509_get_subject_name(cert->x509);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);

    if (at < 0)
        return false;
    const ASN1_STRING *cn = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
    return neo_bytes_is(neo_bytes(ASN1_STRING_get0_data(cn), (size_t)ASN1_STRING_length(cn)), name);
}

static enum neo_code check_issuer(const struct neo_cert_template *t, const struct neo_spiffe_id *id,
                                  const struct neo_cert *issuer, const struct neo_key *issuer_key,
                                  struct neo_error *err)
{
    const struct neo_cert_facts *f = &issuer->facts;
    struct neo_error why;

    if (cert_check_issuer(issuer, id->trust_domain, &why) != NEO_OK)
        return neo_fail(err, NEO_FAILED_PRECONDITION, "certificate: %s", why.message);
    if (!neo_bytes_equal(f->spki, key_spki(issuer_key)))
        return neo_fail(err, NEO_FAILED_PRECONDITION,
                        "certificate: the key is not that of the issuer \"%.60s\"", f->subject);
    if (t->not_after > f->not_after)
        return neo_fail(
            err, NEO_FAILED_PRECONDITION,
            "certificate: would outlive its issuer \"%.60s\" by %lld s; renew the issuer",
            f->subject, (long long)(t->not_after - f->not_after));
    if (t->is_ca && has_common_name(issuer, t->common_name))
        return refuse(err, "a CA's common name must not be its issuer's name");
    if (neo_bytes_equal(t->spki, f->spki))
        return neo_fail(err, NEO_INVALID_ARGUMENT, "certificate: the key is the issuer's own");
    long path_length = X509_get_pathlen(issuer->x509);
    if (t->is_ca && path_length >= 0 && t->path_length >= path_length)
        return neo_fail(err, NEO_FAILED_PRECONDITION,
                        "certificate: the issuer's path length is %ld", path_length);
    return NEO_OK;
}

static enum neo_code check_template(const struct neo_cert_template *t,
                                    const struct neo_cert *issuer, const struct neo_key *issuer_key,
                                    struct neo_error *err)
{
    struct neo_spiffe_id id;

    if (spki_form(t->spki) == NULL)
        return refuse(err, "the key is not ECDSA P-256, ECDSA P-384 or Ed25519");
    NEO_TRY(check_names(t, &id, err));
    NEO_TRY(check_times(t, err));
    NEO_TRY(check_serial(t, err));
    if (issuer != NULL)
        return check_issuer(t, &id, issuer, issuer_key, err);
    if (!t->is_ca || !neo_bytes_equal(t->spki, key_spki(issuer_key)))
        return refuse(err, "a root is a CA that signs its own key");
    return NEO_OK;
}

/* --- putting it together ------------------------------------------------------------------- */

/* Each step reports success, so that a certificate is one expression and OpenSSL is asked once. */

static bool set_serial(X509 *x, const uint8_t serial[static 16])
{
    uint8_t positive[16];

    memcpy(positive, serial, sizeof(positive));
    positive[0] &= 0x7f;
    BIGNUM *number = BN_bin2bn(positive, sizeof(positive), NULL);
    bool ok = number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x)) != NULL;
    BN_free(number);
    return ok;
}

static bool set_times(X509 *x, int64_t not_before, int64_t not_after)
{
    return ASN1_TIME_set(X509_getm_notBefore(x), not_before) != NULL &&
           ASN1_TIME_set(X509_getm_notAfter(x), not_after) != NULL;
}

static bool set_subject(X509 *x, const char *common_name)
{
    return common_name == NULL ||
           X509_NAME_add_entry_by_NID(X509_get_subject_name(x), NID_commonName, MBSTRING_UTF8,
                                      (const uint8_t *)common_name, -1, -1, 0) == 1;
}

static bool set_public_key(X509 *x, struct neo_bytes spki)
{
    NEO_CLEANUP(openssl_pkey_freep) EVP_PKEY *pkey = NULL;

    return spki_load(spki, &pkey, NULL) == NEO_OK && X509_set_pubkey(x, pkey) == 1;
}

static bool add_basic_constraints(X509 *x, const struct neo_cert_template *t)
{
    BASIC_CONSTRAINTS *basic = BASIC_CONSTRAINTS_new();

    if (basic == NULL)
        return false;
    basic->ca = t->is_ca ? 1 : 0; /* any other value than 0 is encoded as TRUE */
    if (t->is_ca)
        basic->pathlen = ASN1_INTEGER_new();
    bool ok = (!t->is_ca ||
               (basic->pathlen != NULL && ASN1_INTEGER_set(basic->pathlen, t->path_length) == 1)) &&
              X509_add1_ext_i2d(x, NID_basic_constraints, basic, 1, X509V3_ADD_DEFAULT) == 1;
    BASIC_CONSTRAINTS_free(basic);
    return ok;
}

static bool add_key_usage(X509 *x, bool is_ca)
{
    enum { DIGITAL_SIGNATURE = 0, KEY_CERT_SIGN = 5, CRL_SIGN = 6 }; /* RFC 5280, 4.2.1.3 */
    ASN1_BIT_STRING *bits = ASN1_BIT_STRING_new();

    if (bits == NULL)
        return false;
    bool ok = is_ca ? ASN1_BIT_STRING_set_bit(bits, KEY_CERT_SIGN, 1) == 1 &&
                          ASN1_BIT_STRING_set_bit(bits, CRL_SIGN, 1) == 1
                    : ASN1_BIT_STRING_set_bit(bits, DIGITAL_SIGNATURE, 1) == 1;
    ok = ok && X509_add1_ext_i2d(x, NID_key_usage, bits, 1, X509V3_ADD_DEFAULT) == 1;
    ASN1_BIT_STRING_free(bits);
    return ok;
}

/* An issuer has none: libraries do not agree on what it would mean there. */
static bool add_extended_key_usage(X509 *x, bool is_ca)
{
    if (is_ca)
        return true;
    EXTENDED_KEY_USAGE *usage = sk_ASN1_OBJECT_new_null();
    bool ok = usage != NULL && sk_ASN1_OBJECT_push(usage, OBJ_nid2obj(NID_server_auth)) > 0 &&
              sk_ASN1_OBJECT_push(usage, OBJ_nid2obj(NID_client_auth)) > 0 &&
              X509_add1_ext_i2d(x, NID_ext_key_usage, usage, 0, X509V3_ADD_DEFAULT) == 1;
    sk_ASN1_OBJECT_free(usage); /* the objects are static */
    return ok;
}

static bool add_subject_key_id(X509 *x, struct neo_bytes spki)
{
    uint8_t id[KEY_ID_LEN];
    ASN1_OCTET_STRING *string = ASN1_OCTET_STRING_new();

    key_id_of(spki, id);
    bool ok = string != NULL && ASN1_OCTET_STRING_set(string, id, KEY_ID_LEN) == 1 &&
              X509_add1_ext_i2d(x, NID_subject_key_identifier, string, 0, X509V3_ADD_DEFAULT) == 1;
    ASN1_OCTET_STRING_free(string);
    return ok;
}

static AUTHORITY_KEYID *new_issuer_key_id(struct neo_bytes id)
{
    AUTHORITY_KEYID *akid = AUTHORITY_KEYID_new();

    if (akid == NULL)
        return NULL;
    akid->keyid = ASN1_OCTET_STRING_new();
    if (akid->keyid == NULL || ASN1_OCTET_STRING_set(akid->keyid, id.at, (int)id.len) != 1) {
        AUTHORITY_KEYID_free(akid);
        return NULL;
    }
    return akid;
}

static bool add_issuer_key_id(X509 *x, const struct neo_cert *issuer)
{
    if (issuer == NULL)
        return true; /* a root names itself by its subject key identifier */
    AUTHORITY_KEYID *akid = new_issuer_key_id(issuer->facts.subject_key_id);
    bool ok = akid != NULL &&
              X509_add1_ext_i2d(x, NID_authority_key_identifier, akid, 0, X509V3_ADD_DEFAULT) == 1;
    AUTHORITY_KEYID_free(akid);
    return ok;
}

static bool push_name(GENERAL_NAMES *names, int type, const char *text)
{
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_IA5STRING *string = ASN1_IA5STRING_new();

    if (name == NULL || string == NULL || ASN1_STRING_set(string, text, -1) != 1) {
        ASN1_IA5STRING_free(string);
        GENERAL_NAME_free(name);
        return false;
    }
    GENERAL_NAME_set0_value(name, type, string);
    if (sk_GENERAL_NAME_push(names, name) > 0)
        return true;
    GENERAL_NAME_free(name);
    return false;
}

static bool add_alternative_names(X509 *x, const struct neo_cert_template *t)
{
    GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
    bool ok = names != NULL && push_name(names, GEN_URI, t->uri);

    for (size_t i = 0; ok && t->dns_names != NULL && t->dns_names[i] != NULL; i++)
        ok = push_name(names, GEN_DNS, t->dns_names[i]);
    /* RFC 5280, 4.2.1.6: critical when there is no subject. */
    ok = ok && X509_add1_ext_i2d(x, NID_subject_alt_name, names, t->common_name == NULL,
                                 X509V3_ADD_DEFAULT) == 1;
    GENERAL_NAMES_free(names);
    return ok;
}

static bool build(X509 *x, const struct neo_cert_template *t, const struct neo_cert *issuer,
                  const struct neo_key *issuer_key)
{
    const X509 *named = issuer == NULL ? x : issuer->x509;

    return X509_set_version(x, X509_VERSION_3) == 1 && set_serial(x, t->serial) &&
           set_times(x, t->not_before, t->not_after) && set_subject(x, t->common_name) &&
           X509_set_issuer_name(x, X509_get_subject_name(named)) == 1 &&
           set_public_key(x, t->spki) && add_basic_constraints(x, t) &&
           add_key_usage(x, t->is_ca) && add_extended_key_usage(x, t->is_ca) &&
           add_subject_key_id(x, t->spki) && add_issuer_key_id(x, issuer) &&
           add_alternative_names(x, t) &&
           X509_sign(x, key_pkey(issuer_key), spki_digest(neo_key_kind(issuer_key))) > 0;
}

/* What we sign must pass what we check. */
static enum neo_code check_result(struct neo_bytes der, bool is_ca, struct neo_error *err)
{
    NEO_CLEANUP(neo_cert_unrefp) struct neo_cert *cert = NULL;
    struct neo_error why;

    NEO_TRY(neo_cert_from_der(der, "issued certificate", &cert, err));
    enum neo_code code = is_ca ? cert_check_issuer(cert, cert->facts.id.trust_domain, &why)
                               : neo_cert_check_leaf(cert, &why);
    if (code != NEO_OK)
        return neo_fail(err, NEO_INTERNAL, "issued certificate: %s", why.message);
    return NEO_OK;
}

enum neo_code neo_cert_issue(const struct neo_cert_template *t, const struct neo_cert *issuer,
                             const struct neo_key *issuer_key, struct neo_buffer *out,
                             struct neo_error *err)
{
    NEO_TRY(check_template(t, issuer, issuer_key, err));

    NEO_CLEANUP(openssl_x509_freep) X509 *x = X509_new();
    NEO_CLEANUP(openssl_freep) uint8_t *der = NULL;
    if (x == NULL || !build(x, t, issuer, issuer_key))
        return openssl_fail(err, NEO_INTERNAL, "certificate: cannot make");
    int len = i2d_X509(x, &der);
    if (len <= 0)
        return openssl_fail(err, NEO_INTERNAL, "certificate: cannot encode");
    NEO_TRY(check_result(neo_bytes(der, (size_t)len), t->is_ca, err));
    if (!neo_buffer_append(out, neo_bytes(der, (size_t)len)))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "certificate: out of memory");
    return NEO_OK;
}
