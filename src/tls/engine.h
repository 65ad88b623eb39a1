/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls/engine.h - what the files of this folder share.
 */
#ifndef NEO_TLS_ENGINE_H
#define NEO_TLS_ENGINE_H

#include "tls/known.h"
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
    enum tls_mode mode;
    bool allow_anonymous;
    SSL_CTX *ssl; /* NULL: cleartext */
    struct neo_identity *identity;
    struct neo_trust *trust;
    struct known known; /* chains that this trust has accepted */
    uint8_t own_spki_sha256[NEO_SHA256_LEN];
};

struct tls {
    struct tls_context *context;
    SSL *ssl;
    enum tls_state state;
    bool failed;
    bool judged_by_name;  /* TLS_SERVER_PROVEN: the server has that name; the caller, a root of ours
                           */
    bool refused;         /* by a peer that had proven itself: it does not take our certificate */
    bool foreign_is_read; /* so `foreign` is all that will ever be */
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
    struct neo_cert *foreign; /* tls_foreign() */
    struct neo_error verdict; /* why we ended it; OK: we did not */
    struct tls_peer peer;
};

/* A BIO over `tls->in` and `tls->out`. NULL when out of memory. */
BIO *bio_new(struct tls *tls);

/* SSL_CTX_set_cert_verify_callback(): the judgement of the peer. */
int verify_peer(X509_STORE_CTX *store, void *unused);

struct tls *tls_of_ssl(const SSL *ssl);
/* The handshake is over: what is known of the peer. */
void tls_fill_peer(struct tls *tls);

/* --- insecure.c: the modes that give something up ----------------------------------------------
 */

NEO_MUST_CHECK enum neo_code insecure_check_options(const struct tls_options *options,
                                                    struct neo_error *err);
NEO_MUST_CHECK enum neo_code insecure_check_name(const struct tls_context *context,
                                                 struct neo_bytes expect, const char *server_name,
                                                 struct neo_error *err);
/* After the settings that all modes share. */
NEO_MUST_CHECK enum neo_code insecure_set_up(SSL_CTX *ssl, const struct tls_options *options,
                                             struct neo_error *err);
/* The server's DNS name, for SNI and judgement. */
bool insecure_expect(struct tls *tls);
NEO_MUST_CHECK enum neo_code clear_feed(struct tls *tls, struct neo_bytes in,
                                        struct neo_buffer *plain, struct neo_error *err);

#endif
