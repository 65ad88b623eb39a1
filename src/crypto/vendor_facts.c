/* SPDX-License-Identifier: Apache-2.0 */
/* What certificates and lists say of themselves, for whoever keeps them in order. */
#include "crypto/openssl.h"
#include "crypto/vendor_internal.h"

#include <openssl/err.h>

bool vendor_cert_signed(const struct vendor_cert *issuer, const struct vendor_cert *cert)
{
    bool is_signed =
        X509_NAME_cmp(X509_get_issuer_name(cert->x509), X509_get_subject_name(issuer->x509)) == 0 &&
        X509_verify(cert->x509, issuer->key) == 1;

    ERR_clear_error();
    return is_signed;
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
