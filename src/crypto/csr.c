/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certification requests (PKCS#10, RFC 2986).
 *
 * A request is a stranger's text, and all we want of it is a public key and the
 * proof that its sender holds the private one. So no X.509 library reads it: our
 * strict DER walk finds the three parts that matter, and names, attributes and
 * wished-for extensions are stepped over unread.
 */
#include "crypto/cert.h"
#include "crypto/der.h"
#include "crypto/key.h"
#include "crypto/spki.h"

#include <openssl/err.h>

enum { CSR_MAX = 4096, CSR_ELEMENTS = 256 };

/* The AlgorithmIdentifiers a proof may be signed with, as whole DER elements. */
static const struct signing {
    struct neo_bytes algorithm;
    const EVP_MD *(*digest)(void);
    bool is_ed25519;
} signings[] = {
#define DER(text)                                                                                  \
    {                                                                                              \
        (const uint8_t *)(text), sizeof(text) - 1                                                  \
    }
    {DER("\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02"), EVP_sha256, false},
    {DER("\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x03"), EVP_sha384, false},
    {DER("\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x04"), EVP_sha512, false},
    {DER("\x30\x05\x06\x03\x2b\x65\x70"), NULL, true},
#undef DER
};

struct csr {
    struct neo_bytes info; /* what is signed */
    struct neo_bytes spki;
    struct neo_bytes algorithm;
    struct neo_bytes signature;
};

static bool read_csr(struct neo_bytes der, struct csr *ret)
{
    struct cursor outside = cursor_of(der);
    struct cursor whole = cursor_of(der_take(&outside, DER_SEQUENCE).body);
    struct der_element info = der_take(&whole, DER_SEQUENCE);
    struct csr csr = {.info = info.whole};

    csr.algorithm = der_take(&whole, DER_SEQUENCE).whole;
    csr.signature = der_take_bits(&whole);

    struct cursor in = cursor_of(info.body);
    struct neo_bytes version = der_take(&in, DER_INTEGER).body;
    (void)der_take(&in, DER_SEQUENCE); /* subject */
    csr.spki = der_take(&in, DER_SEQUENCE).whole;
    if (der_is_next(&in, DER_CONTEXT_0))
        (void)der_any(&in); /* attributes */
    *ret = csr;
    return cursor_is_done(&whole) && cursor_is_done(&in) && version.len == 1 && version.at[0] == 0;
}

static const struct signing *find_signing(const struct csr *csr, const struct spki_form *key)
{
    for (size_t i = 0; i < NEO_COUNT(signings); i++) {
        if (neo_bytes_equal(csr->algorithm, signings[i].algorithm) &&
            signings[i].is_ed25519 == (key->kind == NEO_KEY_ED25519))
            return &signings[i];
    }
    return NULL;
}

enum neo_code neo_csr_check(struct neo_bytes der, struct neo_buffer *out_spki,
                            struct neo_error *err)
{
    struct csr csr;

    if (der.len > CSR_MAX)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "request: %zu bytes, at most %d", der.len,
                        CSR_MAX);
    if (!der_is_strict(der, CSR_ELEMENTS) || !read_csr(der, &csr))
        return neo_fail(err, NEO_INVALID_ARGUMENT, "request: not a PKCS#10 request in strict DER");
    const struct spki_form *key = spki_form(csr.spki);
    if (key == NULL)
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "request: key is not ECDSA P-256, ECDSA P-384 or Ed25519; "
                        "make a key of such a kind");
    const struct signing *signing = find_signing(&csr, key);
    if (signing == NULL)
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "request: signature algorithm does not go with %s, or is too weak",
                        key->name);
    NEO_TRY(spki_verify_with(csr.spki, signing->digest == NULL ? NULL : signing->digest(), csr.info,
                             csr.signature, err));
    if (!neo_buffer_append(out_spki, csr.spki))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "request: out of memory");
    return NEO_OK;
}

/* --- making one ---------------------------------------------------------------------------- */

static void free_request(X509_REQ **request)
{
    X509_REQ_free(*request);
}

static bool fill(X509_REQ *request, const struct neo_key *key, const char *service)
{
    X509_NAME *subject = X509_REQ_get_subject_name(request);

    return X509_REQ_set_version(request, X509_REQ_VERSION_1) == 1 &&
           X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_ASC,
                                      (const uint8_t *)service, -1, -1, 0) == 1 &&
           X509_REQ_set_pubkey(request, key_pkey(key)) == 1 &&
           X509_REQ_sign(request, key_pkey(key), spki_digest(neo_key_kind(key))) > 0;
}

enum neo_code neo_csr_create(const struct neo_key *key, const char *service, struct neo_buffer *out,
                             struct neo_error *err)
{
    NEO_CLEANUP(free_request) X509_REQ *request = X509_REQ_new();
    NEO_CLEANUP(openssl_freep) uint8_t *der = NULL;

    if (!neo_is_service_name(neo_text(service)))
        return neo_fail(err, NEO_INVALID_ARGUMENT, "request: \"%.60s\" is not a service's name",
                        service);
    if (request == NULL || !fill(request, key, service))
        return openssl_fail(err, NEO_INTERNAL, "request: cannot make");
    int len = i2d_X509_REQ(request, &der);
    if (len <= 0)
        return openssl_fail(err, NEO_INTERNAL, "request: cannot encode");
    if (!neo_buffer_append(out, neo_bytes(der, (size_t)len)))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "request: out of memory");
    return NEO_OK;
}
