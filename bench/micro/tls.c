/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the TLS engine costs: a handshake, a stream, a small round trip; each next
 * to the same with plain OpenSSL over its own memory BIOs. Processor time of this
 * one thread doing the work of both ends.
 *
 *     build/release/bin/bench_tls [HANDSHAKES]     with a number: so many handshakes, and no more
 */
#include "support/cost.h"
#include "support/pki.h"
#include "support/tls_link.h"

#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPECT "spiffe://neo.test/function-service"

enum { HANDSHAKES = 500, STREAM_MB = 512, STREAM_CHUNK = 64 << 10, TRIPS = 100000, SMALL = 200 };

static uint8_t chunk[STREAM_CHUNK];

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    (void)fprintf(stderr, "bench_tls: %s failed\n", what);
    exit(1);
}

static void report(const char *what, double milliseconds, double n, const char *unit)
{
    printf("%-34s %9.2f %s\n", what, milliseconds / n, unit);
}

/* --- our engine ---------------------------------------------------------------------------- */

struct contexts {
    struct tls_context *client;
    struct tls_context *server;
};

static struct tls_link open_link(const struct contexts *c)
{
    struct tls_link link;

    tls_link_init(&link, c->client, c->server, EXPECT);
    tls_link_run(&link);
    must(tls_state(link.server.tls) == TLS_OPEN, "handshake");
    return link;
}

static void send(struct tls_end *from, struct tls_end *to, size_t len)
{
    must(tls_write(from->tls, neo_bytes(chunk, len), &from->out, NULL) == NEO_OK, "write");
    must(tls_feed(to->tls, neo_buffer_bytes(&from->out), PKI_NOW, &to->plain, &to->out, NULL) ==
             NEO_OK,
         "feed");
    must(to->plain.len == len, "delivery");
    neo_buffer_clear(&from->out);
    neo_buffer_clear(&to->plain);
}

static void bench_handshakes(const struct contexts *c, int n)
{
    double start = cost_now();

    for (int i = 0; i < n; i++) {
        struct tls_link link = open_link(c);
        tls_link_fini(&link);
    }
    report("engine: handshake, both ends", (cost_now() - start) * 1e3, n, "us");
}

static void bench_engine(const struct contexts *c)
{
    struct tls_link link = open_link(c);
    double start = cost_now();

    for (int i = 0; i < STREAM_MB * (int)((1 << 20) / STREAM_CHUNK); i++)
        send(&link.client, &link.server, STREAM_CHUNK);
    printf("%-34s %9.0f MB/s\n", "engine: stream, both ends",
           STREAM_MB * 1.048576 / ((cost_now() - start) / 1e3));
    start = cost_now();
    for (int i = 0; i < TRIPS; i++) {
        send(&link.client, &link.server, SMALL);
        send(&link.server, &link.client, SMALL);
    }
    report("engine: 200-byte round trip", (cost_now() - start) * 1e3, TRIPS, "us");
    tls_link_fini(&link);
}

/* --- plain OpenSSL ------------------------------------------------------------------------- */

static SSL *plain_end(struct neo_identity *identity, bool is_server)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());
    struct neo_buffer pem = {0};
    struct neo_bytes der = neo_cert_facts(neo_identity_leaf(identity))->der;

    must(neo_key_to_pem(neo_identity_key(identity), &pem, NULL) == NEO_OK, "key");
    BIO *bio = BIO_new_mem_buf(pem.at, (int)pem.len);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    must(SSL_CTX_use_certificate_ASN1(ctx, (int)der.len, der.at) == 1, "certificate");
    must(SSL_CTX_use_PrivateKey(ctx, key) == 1, "key");
    must(SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256") == 1, "cipher");
    must(SSL_CTX_set_num_tickets(ctx, 0) == 1, "tickets");
    SSL *ssl = SSL_new(ctx);
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    if (is_server)
        SSL_set_accept_state(ssl);
    else
        SSL_set_connect_state(ssl);
    SSL_CTX_free(ctx);
    EVP_PKEY_free(key);
    BIO_free(bio);
    neo_buffer_fini_secret(&pem);
    return ssl;
}

static void plain_carry(SSL *from, SSL *to)
{
    char *at = NULL;
    long len = BIO_get_mem_data(SSL_get_wbio(from), &at);

    must(BIO_write(SSL_get_rbio(to), at, (int)len) == (int)len, "carry");
    (void)BIO_reset(SSL_get_wbio(from));
}

static void plain_send(SSL *from, SSL *to, size_t len)
{
    static uint8_t into[STREAM_CHUNK];
    size_t written = 0, got = 0;

    must(SSL_write_ex(from, chunk, len, &written) == 1, "SSL_write");
    plain_carry(from, to);
    for (size_t n = 0; got < len; got += n)
        must(SSL_read_ex(to, into, sizeof(into), &n) == 1, "SSL_read");
    must(SSL_read_ex(to, into, sizeof(into), &got) == 0, "SSL_read to the end");
}

static void bench_plain(struct neo_identity *identity)
{
    SSL *server = plain_end(identity, true), *client = plain_end(identity, false);

    for (int i = 0; i < 3; i++) {
        (void)SSL_do_handshake(client);
        if (i < 2)
            plain_carry(client, server);
        (void)SSL_do_handshake(server);
        if (i < 1)
            plain_carry(server, client);
    }
    must(SSL_is_init_finished(server) == 1, "plain handshake");
    double start = cost_now();
    for (int i = 0; i < STREAM_MB * (int)((1 << 20) / STREAM_CHUNK); i++)
        plain_send(client, server, STREAM_CHUNK);
    printf("%-34s %9.0f MB/s\n", "OpenSSL: stream, both ends",
           STREAM_MB * 1.048576 / ((cost_now() - start) / 1e3));
    start = cost_now();
    for (int i = 0; i < TRIPS; i++) {
        plain_send(client, server, SMALL);
        plain_send(server, client, SMALL);
    }
    report("OpenSSL: 200-byte round trip", (cost_now() - start) * 1e3, TRIPS, "us");
    SSL_free(server);
    SSL_free(client);
}

int main(int argc, char **argv)
{
    int only = argc > 1 ? atoi(argv[1]) : 0;
    struct pki *pki = pki_new("neo.test");
    struct neo_identity *identity = pki_identity(pki, "function-service", NULL);
    struct contexts contexts = {.client = tls_link_context(TLS_CLIENT, pki, "automation-service"),
                                .server = tls_link_context(TLS_SERVER, pki, "function-service")};

    memset(chunk, 'x', sizeof(chunk));
    bench_handshakes(&contexts, only > 0 ? only : HANDSHAKES);
    if (only == 0) {
        bench_engine(&contexts);
        bench_plain(identity);
    }
    tls_context_unref(contexts.client);
    tls_context_unref(contexts.server);
    neo_identity_unref(identity);
    pki_free(pki);
    return 0;
}
