/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two modes that give security up, behind neo/insecure.h and nothing else.
 *
 * TLS_SERVER_PROVEN is the web's TLS: the server's certificate leads to a root the
 * client has in a file, and carries the DNS name that the client calls (RFC 6125:
 * subject alternative names only, a wildcard for one whole label). Its keys may be
 * RSA. The client shows nothing, or a certificate under a root that the server has
 * in a file; the caller stays anonymous whatever it says, which is read for handlers
 * that ask, and by nobody else. What is switched off for all stays off: TLS below
 * 1.3, resumption, other protocols than h2.
 *
 * TLS_CLEARTEXT has the shape of an engine so that a connection need not know.
 */
#include "tls/engine.h"

#include <crypto/cert.h>
#include <crypto/pem.h>

#include <openssl/err.h>
#include <openssl/x509_vfy.h>

/* As above, and what RSA keys sign with. 112 bits admit RSA of 2048. */
#define SIGNATURES                                                                                 \
    "ECDSA+SHA256:ECDSA+SHA384:ed25519:rsa_pss_rsae_sha256:rsa_pss_rsae_sha384:"                   \
    "rsa_pss_pss_sha256:RSA+SHA256:RSA+SHA384:RSA+SHA512"
enum { SECURITY_LEVEL = 2, ROOTS_MAX = 512 };

/* --- what may be asked for ------------------------------------------------------------------ */

enum neo_code insecure_check_options(const struct tls_options *options, struct neo_error *err)
{
    bool server = options->role == TLS_SERVER;
    bool clear = options->mode == TLS_CLEARTEXT;
    const char *why = NULL;

    if (options->identity != NULL || options->trust != NULL)
        why = "an insecure mode has no use for an identity or a trust";
    else if (server && !options->allow_anonymous)
        why = "an insecure server sees anonymous callers only, and must allow them";
    else if (clear && options->pem_chain.len + options->pem_key.len + options->pem_roots.len > 0)
        why = "cleartext has no use for certificates";
    else if (!clear && server && (options->pem_chain.len == 0 || options->pem_key.len == 0))
        why = "a server needs a certificate and its key";
    else if (!clear && !server && options->pem_roots.len == 0)
        why = "a client needs certificates to trust";
    else if ((options->pem_chain.len > 0) != (options->pem_key.len > 0))
        why = "a certificate needs its key, and a key its certificate";
    if (why != NULL)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "tls: %s", why);
    return NEO_OK;
}

enum neo_code insecure_check_name(const struct tls_context *context, struct neo_bytes expect,
                                  const char *server_name, struct neo_error *err)
{
    bool needs_name = context->role == TLS_CLIENT && context->mode == TLS_SERVER_PROVEN;

    if (server_name != NULL || (expect.len > 0) != needs_name)
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        needs_name ? "tls: a client must know the DNS name of whom it calls"
                                   : "tls: nobody can prove a name here");
    if (needs_name && (expect.len > 253 || !cert_is_dns_name(expect)))
        return neo_fail(err, NEO_INVALID_ARGUMENT, "tls: \"%.*s\" is not a host name",
                        NEO_FMT(expect));
    return NEO_OK;
}

/* --- certificates --------------------------------------------------------------------------- */

static enum neo_code next_certificate(struct pem_reader *pem, X509 **ret, struct neo_error *err)
{
    NEO_TRY(pem_find(pem, "CERTIFICATE", err));
    const uint8_t *at = pem->der.at;
    *ret = d2i_X509(NULL, &at, (long)pem->der.len);
    if (*ret == NULL)
        return openssl_fail(err, NEO_INVALID_ARGUMENT, "%s: not a certificate", pem->what);
    return NEO_OK;
}

static enum neo_code use_key(SSL_CTX *ssl, struct neo_bytes text, struct neo_error *err)
{
    NEO_CLEANUP(pem_close) struct pem_reader pem = {0};
    NEO_CLEANUP(openssl_pkey_freep) EVP_PKEY *key = NULL;

    NEO_TRY(pem_open(&pem, text, "key", err));
    NEO_TRY(pem_find_key(&pem, err));
    if (pem.is_encrypted)
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "key: the private key is encrypted; decrypt it with openssl pkcs8");
    const uint8_t *at = pem.der.at;
    key = d2i_AutoPrivateKey(NULL, &at, (long)pem.der.len);
    if (key == NULL || SSL_CTX_use_PrivateKey(ssl, key) != 1 || SSL_CTX_check_private_key(ssl) != 1)
        return openssl_fail(err, NEO_INVALID_ARGUMENT,
                            "tls: the key cannot be used with the certificate");
    return NEO_OK;
}

static enum neo_code use_chain(SSL_CTX *ssl, struct neo_bytes text, struct neo_error *err)
{
    NEO_CLEANUP(pem_close) struct pem_reader pem = {0};
    bool first = true;

    NEO_TRY(pem_open(&pem, text, "certificate", err));
    for (;;) {
        NEO_CLEANUP(openssl_x509_freep) X509 *x509 = NULL;
        enum neo_code code = next_certificate(&pem, &x509, err);
        if (code == NEO_NOT_FOUND && !first)
            return NEO_OK;
        if (code != NEO_OK)
            return code;
        if ((first ? SSL_CTX_use_certificate(ssl, x509) : SSL_CTX_add1_chain_cert(ssl, x509)) != 1)
            return openssl_fail(err, NEO_INVALID_ARGUMENT, "tls: the certificate cannot be used");
        first = false;
    }
}

static enum neo_code trust_roots(SSL_CTX *ssl, struct neo_bytes text, struct neo_error *err)
{
    NEO_CLEANUP(pem_close) struct pem_reader pem = {0};
    X509_STORE *store = SSL_CTX_get_cert_store(ssl);

    NEO_TRY(pem_open(&pem, text, "root certificates", err));
    for (size_t n = 0; n < ROOTS_MAX; n++) {
        NEO_CLEANUP(openssl_x509_freep) X509 *x509 = NULL;
        enum neo_code code = next_certificate(&pem, &x509, err);
        if (code == NEO_NOT_FOUND && n > 0)
            return NEO_OK;
        if (code != NEO_OK)
            return code;
        if (X509_STORE_add_cert(store, x509) != 1)
            return openssl_fail(err, NEO_INVALID_ARGUMENT, "tls: a root cannot be used");
    }
    return neo_fail(err, NEO_INVALID_ARGUMENT, "tls: more than %d roots", ROOTS_MAX);
}

/* --- the judgement -------------------------------------------------------------------------- */

/* OpenSSL's own, by the name that insecure_expect() has set (a server expects none) and at the
   caller's time. */
static int verify_by_name(X509_STORE_CTX *store, void *unused __attribute__((unused)))
{
    const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls *tls = tls_of_ssl(ssl);

    X509_VERIFY_PARAM_set_time(X509_STORE_CTX_get0_param(store), tls->wall);
    tls->judged_by_name = X509_verify_cert(store) == 1;
    if (!tls->judged_by_name)
        neo_fail(&tls->verdict, NEO_UNAUTHENTICATED, "peer is not %.200s: %s",
                 tls->context->role == TLS_SERVER ? "a caller under our roots" : tls->expect,
                 X509_verify_cert_error_string(X509_STORE_CTX_get_error(store)));
    return tls->judged_by_name ? 1 : 0;
}

enum neo_code insecure_set_up(SSL_CTX *ssl, const struct tls_options *options,
                              struct neo_error *err)
{
    SSL_CTX_set_security_level(ssl, SECURITY_LEVEL);
    if (SSL_CTX_set1_sigalgs_list(ssl, OPENSSL_TEXT(SIGNATURES)) != 1 ||
        SSL_CTX_set1_client_sigalgs_list(ssl, OPENSSL_TEXT(SIGNATURES)) != 1)
        return openssl_fail(err, NEO_INTERNAL, "tls: cannot set up a context");
    bool judges = options->pem_roots.len > 0;
    SSL_CTX_set_verify(
        ssl, judges ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT : SSL_VERIFY_NONE, NULL);
    if (judges) {
        SSL_CTX_set_cert_verify_callback(ssl, verify_by_name, NULL);
        NEO_TRY(trust_roots(ssl, options->pem_roots, err));
    }
    if (options->pem_chain.len == 0)
        return NEO_OK;
    NEO_TRY(use_chain(ssl, options->pem_chain, err));
    return use_key(ssl, options->pem_key, err);
}

bool insecure_expect(struct tls *tls)
{
    SSL_set_hostflags(tls->ssl,
                      X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    return SSL_set1_host(tls->ssl, tls->expect) == 1 &&
           SSL_set_tlsext_host_name(tls->ssl, OPENSSL_TEXT(tls->expect)) == 1;
}

/* --- what a handler may ask for ------------------------------------------------------------- */

static enum neo_code read_foreign(struct tls *tls, struct neo_error *err)
{
    NEO_CLEANUP(openssl_freep) uint8_t *der = NULL;
    int len = i2d_X509(SSL_get0_peer_certificate(tls->ssl), &der);

    if (len <= 0)
        return openssl_fail(err, NEO_RESOURCE_EXHAUSTED, "the caller's certificate: no memory");
    return neo_cert_from_der(neo_bytes(der, (size_t)len), "the caller's certificate", &tls->foreign,
                             err);
}

struct neo_cert *tls_foreign(struct tls *tls, struct neo_error *err)
{
    err->code = NEO_OK;
    if (tls->context->role != TLS_SERVER || tls->context->mode != TLS_SERVER_PROVEN ||
        tls->state == TLS_HANDSHAKE || tls->failed || !tls->judged_by_name)
        return NULL;
    if (!tls->foreign_is_read) {
        /* For want of memory it is tried again. */
        tls->foreign_is_read = read_foreign(tls, err) != NEO_RESOURCE_EXHAUSTED;
        ERR_clear_error();
    }
    if (tls->foreign == NULL || cert_check_time(tls->foreign, tls->wall, NULL) != NEO_OK)
        return NULL;
    return tls->foreign;
}

/* --- cleartext ------------------------------------------------------------------------------ */

enum neo_code clear_feed(struct tls *tls, struct neo_bytes in, struct neo_buffer *plain,
                         struct neo_error *err)
{
    if (tls->state == TLS_HANDSHAKE) {
        tls_fill_peer(tls);
        tls->state = TLS_OPEN;
    }
    if (!neo_buffer_append(plain, in))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "no room for what was received");
    return NEO_OK;
}
