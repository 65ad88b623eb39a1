/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The facts lie within the certificate, a leaf that fits the profile is what the
 * profile says, and nothing is vouched for by an authority that has just been made.
 */
#include "support/pki.h"

#include <neo/cert.h>

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool promise)
{
    if (!promise)
        abort();
}

static bool is_within(struct neo_bytes part, struct neo_bytes whole)
{
    return part.len == 0 || (part.at >= whole.at && part.at + part.len <= whole.at + whole.len);
}

static void check_facts(const struct neo_cert_facts *f, struct neo_bytes der)
{
    must(neo_bytes_equal(f->der, der));
    must(is_within(f->spki, f->der) && f->spki.len > 0);
    must(is_within(f->serial, f->der) && f->serial.len >= 1 && f->serial.len <= 20);
    must(is_within(f->id.service, f->uri) && is_within(f->id.trust_domain, f->uri));
    must(f->subject != NULL && f->issuer != NULL && f->key_kind != NULL);
    for (size_t i = 0; i < f->dns_names; i++)
        must(f->dns_name[i][0] != '\0');
}

static void check_uris(const struct neo_cert *cert)
{
    size_t n = 0;

    while (neo_cert_uri(cert, n) != NULL)
        must(neo_cert_uri(cert, n++)[0] != '\0');
    must(n <= 64 && (neo_cert_facts(cert)->uri.len > 0) == (n == 1));
}

static void check_leaf(const struct neo_cert_facts *f)
{
    struct neo_spiffe_id id;

    must(!f->is_ca && f->issuer_key_id.len > 0);
    must(neo_spiffe_parse(f->uri, &id, NULL) == NEO_OK && id.service.len > 0);
    must(neo_bytes_equal(id.service, f->id.service));
}

static void check_pem(const struct neo_cert *cert)
{
    struct neo_buffer pem = {0};
    struct neo_cert *back = NULL;

    must(neo_cert_to_pem(cert, &pem));
    must(neo_cert_from_pem(neo_buffer_bytes(&pem), "back", &back, NULL) == NEO_OK);
    must(neo_bytes_equal(neo_cert_facts(back)->der, neo_cert_facts(cert)->der));
    neo_cert_unref(back);
    neo_buffer_fini(&pem);
}

static struct neo_trust *stranger(void)
{
    static struct neo_trust *trust;

    if (trust == NULL) {
        struct pki *pki = pki_new("neo.test");
        trust = pki_trust(pki);
        pki_free(pki);
    }
    return trust;
}

/* As a file of roots: whatever it holds, it speaks for no domain but the one that was named. */
static void check_roots(struct neo_bytes text)
{
    struct neo_trust *trust = NULL;
    struct neo_error err;

    if (neo_trust_from_pem("neo.test", text, "fuzz", &trust, &err) == NEO_OK)
        neo_trust_unref(trust);
    else
        must(trust == NULL && err.message[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct neo_bytes der = neo_bytes(data, size);
    struct neo_cert *cert = NULL, *leaf = NULL;

    if (neo_cert_from_der(der, "fuzz", &cert, NULL) == NEO_OK) {
        check_facts(neo_cert_facts(cert), der);
        if (neo_cert_check_leaf(cert, NULL) == NEO_OK)
            check_leaf(neo_cert_facts(cert));
        check_uris(cert);
        check_pem(cert);
    }
    check_roots(der);
    const struct neo_bytes chain[] = {der, der};
    must(neo_trust_verify(stranger(), chain, 2, PKI_NOW, &leaf, NULL) != NEO_OK && leaf == NULL);
    neo_cert_unref(cert);
    return 0;
}
