/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NEO_CRYPTO_CERT_H
#define NEO_CRYPTO_CERT_H

#include "crypto/openssl.h"

#include <neo/arena.h>
#include <neo/cert.h>

#include <stdatomic.h>

enum {
    CERT_MAX = 16 << 10, /* bytes of one certificate */
    CERT_ELEMENTS = 512, /* DER elements in one */
    CERT_KEY_ID_MAX = 64,
    CERT_SERIAL_MAX = 20,
    CERT_NAMES_MAX = 64, /* subject alternative names */
    CERT_CHAIN_MAX = 4,
    CERT_USUAL = 1024,
};

struct neo_cert {
    _Atomic unsigned refs;
    X509 *x509;
    struct neo_cert_facts facts;
    bool has_foreign_names; /* subject alternative names that are neither URI nor DNS */
    unsigned uris;
    struct neo_arena arena; /* what `facts` points at */
    /* Its first block: enough for the usual leaf, of which every connection holds one. */
    _Alignas(16) uint8_t first[CERT_USUAL];
    /* Set once, by the verification that accepted this certificate. */
    struct neo_cert *issued_by;
    /* Behind the last of all alternative names: URIs are kept from here downwards. */
    const char **names_end;
};

/* As neo_cert_from_der(), for what a peer shows: read with crypto/lean.h. */
NEO_MUST_CHECK enum neo_code cert_from_peer(struct neo_bytes der, struct neo_cert **ret,
                                            struct neo_error *err);

/* An issuer's profile; `trust_domain` is the one that the leaf names. */
NEO_MUST_CHECK enum neo_code cert_check_issuer(const struct neo_cert *ca,
                                               struct neo_bytes trust_domain,
                                               struct neo_error *err);

/* notBefore <= now < notAfter. */
NEO_MUST_CHECK enum neo_code cert_check_time(const struct neo_cert *cert, int64_t now,
                                             struct neo_error *err);

bool cert_is_dns_name(struct neo_bytes name);

#endif
