/* SPDX-License-Identifier: Apache-2.0 */
/*
 * support/tls_raw.h - the other end as others build it: plain OpenSSL, which will
 * do all that our engine never would, and can forge records.
 */
#ifndef NEO_TESTS_SUPPORT_TLS_RAW_H
#define NEO_TESTS_SUPPORT_TLS_RAW_H

#include "support/tls_link.h"

#include <openssl/ssl.h>

struct raw_options {
    bool is_server;
    const struct pki_cert *cert;  /* NULL: none */
    const struct pki_cert *thief; /* whose private key signs in its place; both are P-256 */
    size_t copies;                /* of the issuer, sent after the chain */
    int min_version;              /* 0: TLS 1.3 */
    int max_version;              /* 0: TLS 1.3 */
    const char *alpn;             /* as on the wire; NULL: "\2h2"; "": none */
    const char *groups;
    const char *signatures;
    const char *ciphers; /* NULL: TLS_AES_128_GCM_SHA256, which raw_forge() needs */
    const char *server_name;
    bool tickets;        /* a server gives them, with early data */
    bool replays;        /* and takes the same early data again */
    SSL_SESSION *resume; /* a client tries to */
    long certs_most;     /* bytes of the other's certificates; 0: OpenSSL's 100 KiB */
};

struct raw {
    SSL_CTX *ctx;
    SSL *ssl;
    bool is_server;
    SSL_SESSION *session; /* the last one that could be resumed */
    struct neo_buffer plain;
    int alert;       /* the last one received; -1: none */
    bool failed;     /* the handshake or a read went wrong */
    unsigned judged; /* times that it was asked about the other's certificate */
    uint8_t secret[32];
    uint64_t forged;
};

struct raw *raw_new(const struct raw_options *options);
void raw_free(struct raw *raw);
/* Another one with the same settings, which are not made again. */
struct raw *raw_another(const struct raw *raw);
/* Another connection of the same kind, with the same ticket keys; `resume` may be NULL. */
void raw_renew(struct raw *raw, SSL_SESSION *resume);

/* Feeds `in`, works, appends what it sends to `out`. */
void raw_run(struct raw *raw, struct neo_bytes in, struct neo_buffer *out);
/* Carries bytes between `raw` and `end` until nothing moves. */
void raw_link(struct raw *raw, struct tls_end *end);

/*
 * Appends a record as the raw client could send it, of any inner type and content. It must not have
 * written anything since the handshake.
 */
void raw_forge(struct raw *raw, uint8_t type, struct neo_bytes content, struct neo_buffer *out);

#endif
