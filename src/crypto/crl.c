/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/cert.h"
#include "crypto/key.h"
#include "crypto/spki.h"

#include <openssl/err.h>

static void free_crl(X509_CRL **crl)
{
    X509_CRL_free(*crl);
}

static bool set_serial(X509_REVOKED *entry, struct neo_bytes serial)
{
    BIGNUM *number = BN_bin2bn(serial.at, (int)serial.len, NULL);
    ASN1_INTEGER *integer = number == NULL ? NULL : BN_to_ASN1_INTEGER(number, NULL);
    bool ok = integer != NULL && X509_REVOKED_set_serialNumber(entry, integer) == 1;

    ASN1_INTEGER_free(integer);
    BN_free(number);
    return ok;
}

static bool set_date(X509_REVOKED *entry, int64_t at)
{
    ASN1_TIME *time = ASN1_TIME_set(NULL, at);
    bool ok = time != NULL && X509_REVOKED_set_revocationDate(entry, time) == 1;

    ASN1_TIME_free(time);
    return ok;
}

static bool add_revoked(X509_CRL *crl, const struct neo_revoked *revoked)
{
    X509_REVOKED *entry = X509_REVOKED_new();

    if (entry != NULL && set_serial(entry, revoked->serial) && set_date(entry, revoked->at) &&
        X509_CRL_add0_revoked(crl, entry) == 1)
        return true;
    X509_REVOKED_free(entry);
    return false;
}

static bool set_times(X509_CRL *crl, int64_t this_update, int64_t next_update)
{
    ASN1_TIME *this_time = ASN1_TIME_set(NULL, this_update);
    ASN1_TIME *next_time = ASN1_TIME_set(NULL, next_update);
    bool ok = this_time != NULL && next_time != NULL &&
              X509_CRL_set1_lastUpdate(crl, this_time) == 1 &&
              X509_CRL_set1_nextUpdate(crl, next_time) == 1;

    ASN1_TIME_free(this_time);
    ASN1_TIME_free(next_time);
    return ok;
}

static bool add_number(X509_CRL *crl, uint64_t number)
{
    ASN1_INTEGER *integer = ASN1_INTEGER_new();
    bool ok = integer != NULL && ASN1_INTEGER_set_uint64(integer, number) == 1 &&
              X509_CRL_add1_ext_i2d(crl, NID_crl_number, integer, 0, X509V3_ADD_DEFAULT) == 1;

    ASN1_INTEGER_free(integer);
    return ok;
}

static bool add_issuer_key_id(X509_CRL *crl, struct neo_bytes id)
{
    AUTHORITY_KEYID *akid = AUTHORITY_KEYID_new();
    bool ok =
        akid != NULL && (akid->keyid = ASN1_OCTET_STRING_new()) != NULL &&
        ASN1_OCTET_STRING_set(akid->keyid, id.at, (int)id.len) == 1 &&
        X509_CRL_add1_ext_i2d(crl, NID_authority_key_identifier, akid, 0, X509V3_ADD_DEFAULT) == 1;

    AUTHORITY_KEYID_free(akid);
    return ok;
}

static bool build(X509_CRL *crl, const struct neo_revoked *revoked, size_t n,
                  const struct neo_cert *issuer)
{
    for (size_t i = 0; i < n; i++) {
        if (!add_revoked(crl, &revoked[i]))
            return false;
    }
    return X509_CRL_set_version(crl, X509_CRL_VERSION_2) == 1 &&
           X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer->x509)) == 1 &&
           X509_CRL_sort(crl) == 1 && add_issuer_key_id(crl, issuer->facts.subject_key_id);
}

static enum neo_code check(const struct neo_revoked *revoked, size_t n, int64_t this_update,
                           int64_t next_update, const struct neo_cert *issuer,
                           const struct neo_key *issuer_key, struct neo_error *err)
{
    if (this_update >= next_update)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "CRL: nextUpdate must be after thisUpdate");
    for (size_t i = 0; i < n; i++) {
        if (revoked[i].serial.len == 0 || revoked[i].serial.len > CERT_SERIAL_MAX)
            return neo_fail(err, NEO_INVALID_ARGUMENT, "CRL: serial %zu has %zu bytes, not 1 to 20",
                            i, revoked[i].serial.len);
    }
    if ((X509_get_key_usage(issuer->x509) & KU_CRL_SIGN) == 0)
        return neo_fail(err, NEO_FAILED_PRECONDITION, "CRL: issuer \"%.60s\" may not sign CRLs",
                        issuer->facts.subject);
    if (!neo_bytes_equal(issuer->facts.spki, key_spki(issuer_key)))
        return neo_fail(err, NEO_FAILED_PRECONDITION,
                        "CRL: the key is not that of the issuer \"%.60s\"", issuer->facts.subject);
    return NEO_OK;
}

enum neo_code neo_crl_issue(const struct neo_revoked *revoked, size_t n, uint64_t number,
                            int64_t this_update, int64_t next_update, const struct neo_cert *issuer,
                            const struct neo_key *issuer_key, struct neo_buffer *out,
                            struct neo_error *err)
{
    NEO_TRY(check(revoked, n, this_update, next_update, issuer, issuer_key, err));

    NEO_CLEANUP(free_crl) X509_CRL *crl = X509_CRL_new();
    NEO_CLEANUP(openssl_freep) uint8_t *der = NULL;
    if (crl == NULL || !build(crl, revoked, n, issuer) ||
        !set_times(crl, this_update, next_update) || !add_number(crl, number) ||
        X509_CRL_sign(crl, key_pkey(issuer_key), spki_digest(neo_key_kind(issuer_key))) <= 0)
        return openssl_fail(err, NEO_INTERNAL, "CRL: cannot make");
    int len = i2d_X509_CRL(crl, &der);
    if (len <= 0)
        return openssl_fail(err, NEO_INTERNAL, "CRL: cannot encode");
    if (!neo_buffer_append(out, neo_bytes(der, (size_t)len)))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "CRL: out of memory");
    return NEO_OK;
}
