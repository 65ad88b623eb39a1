/* SPDX-License-Identifier: Apache-2.0 */
/* crypto/vendor_internal.h - what the files of vendor.h and vendor_public.h share. */
#ifndef NEO_CRYPTO_VENDOR_INTERNAL_H
#define NEO_CRYPTO_VENDOR_INTERNAL_H

#include "crypto/vendor.h"

#include <openssl/bn.h>
#include <openssl/x509.h>
#include <stdatomic.h>

struct vendor_cert {
    _Atomic unsigned refs;
    X509 *x509;
    EVP_PKEY *key; /* the x509's own */
    uint8_t *der;
    struct vendor_cert_facts facts;
};

struct vendor_cert *vendor_cert_ref(struct vendor_cert *cert);
void vendor_cert_unref(struct vendor_cert *cert);

struct vendor_crl {
    X509_CRL *crl;
    uint8_t sha256[NEO_SHA256_LEN]; /* over the DER */
    uint8_t *der;                   /* as it came */
    size_t der_len;
    int64_t this_update;
    int64_t next_update; /* 0: it names none, and is never good */
};

/* The list's signature by `issuer`, looked at once. */
bool vendor_crl_is_signed(const struct vendor_crl *crl, const struct vendor_cert *issuer,
                          struct vendor_memo *memo);
/* Until when it counts. 0: never, it names no next update. */
static inline int64_t vendor_crl_end(const struct vendor_crl *crl, int64_t grace)
{
    return crl->next_update == 0 ? 0 : crl->next_update + grace;
}

/* What is asked about a certificate's revocation, and when. */
struct vendor_lists {
    struct vendor_crl *const *at;
    size_t n;
    int64_t now;
    int64_t grace;
    bool *by_grace;
    struct vendor_memo *memo;
};
/* GOOD: a list of `issuer` at least is current, and none that is names `cert`; `*not_after` is not
 * later than the end of any of them then. */
enum vendor_verdict vendor_lists_ask(const struct vendor_lists *lists,
                                     const struct vendor_cert *cert,
                                     const struct vendor_cert *issuer, int64_t *not_after,
                                     struct neo_error *why);

/* A signature's two numbers as DER, in OpenSSL's memory: its length, or -1. Takes both, NULL too.
 */
int vendor_ecdsa_der(BIGNUM *r, BIGNUM *s, uint8_t **ret);

/* `verdict`, for what OpenSSL could not do: its reason goes into `why`. */
enum vendor_verdict vendor_fault(enum vendor_verdict verdict, struct neo_error *why,
                                 const char *text);

/* Empty unless there is exactly one. */
struct neo_bytes vendor_only_common_name(const X509_NAME *name);

#endif
