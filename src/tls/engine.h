/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls/engine.h - what the files of this folder share.
 */
#ifndef NEO_TLS_ENGINE_H
#define NEO_TLS_ENGINE_H

#include "tls/tls.h"

#include <crypto/openssl.h>

#include <openssl/ssl.h>
#include <stdatomic.h>

enum {
    TLS_RECORD_MAX = 16 << 10,
    TLS_CERT_LIST_MAX = 16 << 10,
    /* A ClientHello and a certificate list of their largest sizes, and one read beyond. */
    TLS_HANDSHAKE_MAX = 64 << 10,
    /* Messages after the handshake (KeyUpdate, tickets): as many at once, and one more a MiB. */
    TLS_POST_HANDSHAKE_MAX = 32,
    TLS_EXPORTER_LEN = 32,
};

struct tls_context {
    _Atomic unsigned refs;
    enum tls_role role;
    bool allow_anonymous;
    SSL_CTX *ssl;
    struct neo_identity *identity;
    struct neo_trust *trust;
    uint8_t own_spki_sha256[NEO_SHA256_LEN];
};

struct tls {
    struct tls_context *context;
    SSL *ssl;
    enum tls_state state;
    bool failed;
    int64_t wall;
    char *expect; /* client: the SPIFFE id the server must prove; NULL: any that the pin allows */

    /* Of the call under way: what OpenSSL may read, and where it writes. */
    struct neo_bytes in;
    struct neo_buffer *out;

    /* Bounds on a peer that only makes us work. */
    size_t handshake_bytes;
    uint64_t plain_bytes;
    uint64_t post_handshake;

    struct neo_cert *leaf;    /* judged; NULL: anonymous or not yet */
    struct neo_error verdict; /* why we ended it; OK: we did not */
    struct tls_peer peer;
};

/* A BIO over `tls->in` and `tls->out`. NULL when out of memory. */
BIO *bio_new(struct tls *tls);

/* SSL_CTX_set_cert_verify_callback(): the judgement of the peer. */
int verify_peer(X509_STORE_CTX *store, void *unused);

struct tls *tls_of_ssl(const SSL *ssl);

#endif
