/* SPDX-License-Identifier: Apache-2.0 */
/* What certificates and lists say of themselves, for whoever keeps them in order. */
#include "crypto/openssl.h"
#include "crypto/vendor_internal.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

bool vendor_cert_signed(const struct vendor_cert *issuer, const struct vendor_cert *cert)
{
    bool is_signed =
        X509_NAME_cmp(X509_get_issuer_name(cert->x509), X509_get_subject_name(issuer->x509)) == 0 &&
        X509_verify(cert->x509, issuer->key) == 1;

    ERR_clear_error();
    return is_signed;
}

enum vendor_usage vendor_cert_signs(const struct vendor_cert *cert)
{
    uint32_t usage = X509_get_key_usage(cert->x509); /* 0: not readable */

    ERR_clear_error();
    if (usage == UINT32_MAX)
        return VENDOR_USAGE_UNSTATED;
    return (usage & KU_DIGITAL_SIGNATURE) != 0 ? VENDOR_USAGE_STATED : VENDOR_USAGE_OTHER;
}

enum vendor_usage vendor_cert_purpose(const struct vendor_cert *cert, struct neo_bytes oid)
{
    enum vendor_usage usage = VENDOR_USAGE_OTHER;
    int found;
    EXTENDED_KEY_USAGE *purposes = X509_get_ext_d2i(cert->x509, NID_ext_key_usage, &found, NULL);

    if (purposes == NULL && found == -1)
        usage = VENDOR_USAGE_UNSTATED;
    for (int i = 0; purposes != NULL && i < sk_ASN1_OBJECT_num(purposes); i++) {
        const ASN1_OBJECT *purpose = sk_ASN1_OBJECT_value(purposes, i);
        if (neo_bytes_equal(oid, neo_bytes(OBJ_get0_data(purpose), OBJ_length(purpose))))
            usage = VENDOR_USAGE_STATED;
    }
    sk_ASN1_OBJECT_pop_free(purposes, ASN1_OBJECT_free);
    ERR_clear_error();
    return usage;
}

static uint64_t number_of(X509_CRL *crl)
{
    ASN1_INTEGER *number = X509_CRL_get_ext_d2i(crl, NID_crl_number, NULL, NULL);
    uint64_t value = 0;

    if (number != NULL && ASN1_INTEGER_get_uint64(&value, number) != 1)
        value = 0;
    ASN1_INTEGER_free(number);
    ERR_clear_error();
    return value;
}

struct vendor_crl_facts vendor_crl_facts(const struct vendor_crl *crl)
{
    return (struct vendor_crl_facts){
        .der = neo_bytes(crl->der, crl->der_len),
        .issuer_common_name = vendor_only_common_name(X509_CRL_get_issuer(crl->crl)),
        .number = number_of(crl->crl),
        .this_update = crl->this_update,
        .next_update = crl->next_update,
    };
}

bool vendor_crl_signed(const struct vendor_cert *issuer, const struct vendor_crl *crl)
{
    bool is_signed =
        X509_NAME_cmp(X509_CRL_get_issuer(crl->crl), X509_get_subject_name(issuer->x509)) == 0 &&
        X509_CRL_verify(crl->crl, issuer->key) == 1;

    ERR_clear_error();
    return is_signed;
}
