/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A context is an SSL_CTX with everything switched off that could let a peer in
 * by another door: old versions, resumption in all its forms, early data, other
 * protocols, other names.
 */
#include "tls/engine.h"

#include <crypto/cert.h>
#include <crypto/key.h>
#include <crypto/lean.h>
#include <crypto/trust.h>
#include <neo/memory.h>

#include <openssl/tls1.h>

#define CIPHERS    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
#define SIGNATURES "ECDSA+SHA256:ECDSA+SHA384:ed25519"
#define GROUPS     "X25519:P-256"

enum { SECURITY_LEVEL = 3 }; /* at least 128 bits for every part */

static void unrefp(struct tls_context **context)
{
    tls_context_unref(*context);
}

/* --- what a server checks in a ClientHello --------------------------------------------------- */

/* Without ALPN OpenSSL would not ask the next callback, and let the client in. */
static int on_client_hello(SSL *ssl, int *alert, void *unused __attribute__((unused)))
{
    const uint8_t *extension = NULL;
    size_t len = 0;

    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_application_layer_protocol_negotiation,
                                  &extension, &len) == 1)
        return SSL_CLIENT_HELLO_SUCCESS;
    neo_fail(&tls_of_ssl(ssl)->verdict, NEO_UNAVAILABLE, "tls: the client does not offer h2");
    *alert = SSL_AD_NO_APPLICATION_PROTOCOL;
    return SSL_CLIENT_HELLO_ERROR;
}

static int on_alpn(SSL *ssl, const uint8_t **ret_at, uint8_t *ret_len, const uint8_t *offered,
                   unsigned len, void *unused __attribute__((unused)))
{
    for (unsigned i = 0; i < len; i += 1U + offered[i]) {
        if (offered[i] == 2 && i + 2 < len && memcmp(offered + i + 1, "h2", 2) == 0) {
            *ret_at = offered + i + 1;
            *ret_len = 2;
            return SSL_TLSEXT_ERR_OK;
        }
    }
    neo_fail(&tls_of_ssl(ssl)->verdict, NEO_UNAVAILABLE, "tls: the client does not offer h2");
    return SSL_TLSEXT_ERR_ALERT_FATAL; /* no_application_protocol */
}

static bool is_same_host(struct neo_bytes a, const char *b)
{
    return a.len > 0 && a.len == strlen(b) && strncasecmp((const char *)a.at, b, a.len) == 0;
}

/* The service, the service within its trust domain, or a DNS name of the certificate. */
static bool is_our_name(const struct tls_context *context, const char *name)
{
    const struct neo_cert_facts *f = neo_cert_facts(neo_identity_leaf(context->identity));
    struct neo_bytes service = f->id.service, domain = f->id.trust_domain;

    for (size_t i = 0; i < f->dns_names; i++) {
        if (is_same_host(neo_text(f->dns_name[i]), name))
            return true;
    }
    if (strncasecmp(name, (const char *)service.at, service.len) != 0 || service.len == 0)
        return false;
    const char *rest = name + service.len;
    return *rest == '\0' || (*rest == '.' && is_same_host(domain, rest + 1));
}

static int on_server_name(SSL *ssl, int *alert, void *unused __attribute__((unused)))
{
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    struct tls *tls = tls_of_ssl(ssl);

    if (name == NULL || tls->context->mode == TLS_SERVER_PROVEN || is_our_name(tls->context, name))
        return SSL_TLSEXT_ERR_OK;
    neo_fail(&tls->verdict, NEO_UNAVAILABLE,
             "tls: the client asked for \"%.100s\", which is not us", name);
    *alert = SSL_AD_UNRECOGNIZED_NAME;
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* --- counting what comes after the handshake ---------------------------------------------------
 */

static void on_message(int is_sent, int version __attribute__((unused)), int type,
                       const void *at __attribute__((unused)), size_t len __attribute__((unused)),
                       SSL *ssl __attribute__((unused)), void *self)
{
    struct tls *tls = self;

    if (is_sent == 0 && type == SSL3_RT_HANDSHAKE && tls->state == TLS_OPEN)
        tls->post_handshake++;
}

/* --- setting up ---------------------------------------------------------------------------- */

static bool set_groups(SSL_CTX *ssl)
{
    if (SSL_CTX_set1_groups_list(ssl, OPENSSL_TEXT("X25519MLKEM768:" GROUPS)) == 1)
        return true;
    return SSL_CTX_set1_groups_list(ssl, OPENSSL_TEXT(GROUPS)) == 1; /* a library before 3.5 */
}

static bool set_algorithms(SSL_CTX *ssl)
{
    SSL_CTX_set_security_level(ssl, SECURITY_LEVEL);
    return SSL_CTX_set_min_proto_version(ssl, TLS1_3_VERSION) == 1 &&
           SSL_CTX_set_max_proto_version(ssl, TLS1_3_VERSION) == 1 &&
           SSL_CTX_set_ciphersuites(ssl, CIPHERS) == 1 &&
           SSL_CTX_set1_sigalgs_list(ssl, OPENSSL_TEXT(SIGNATURES)) == 1 &&
           SSL_CTX_set1_client_sigalgs_list(ssl, OPENSSL_TEXT(SIGNATURES)) == 1 && set_groups(ssl);
}

/* Resumption would carry a dead identity past every later judgement. */
static bool forbid_resumption(SSL_CTX *ssl)
{
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    return SSL_CTX_set_num_tickets(ssl, 0) == 1 && SSL_CTX_set_max_early_data(ssl, 0) == 1 &&
           SSL_CTX_set_recv_max_early_data(ssl, 0) == 1;
}

static void set_options(SSL_CTX *ssl)
{
    SSL_CTX_clear_options(ssl, SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_LEGACY_SERVER_CONNECT |
                                   SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION);
    SSL_CTX_set_options(ssl, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE);
    /* Idle connections keep no record buffers; our chain is what the identity says it is. */
    SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_max_cert_list(ssl, TLS_CERT_LIST_MAX);
    SSL_CTX_set_msg_callback(ssl, on_message);
}

static bool set_role(SSL_CTX *ssl, const struct tls_options *options)
{
    static const uint8_t h2[] = {2, 'h', '2'};
    int mode = SSL_VERIFY_PEER;

    if (options->role == TLS_SERVER && !options->allow_anonymous)
        mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_CTX_set_verify(ssl, mode, NULL);
    SSL_CTX_set_cert_verify_callback(ssl, verify_peer, NULL);
    if (options->role == TLS_CLIENT)
        return SSL_CTX_set_alpn_protos(ssl, h2, sizeof(h2)) == 0; /* its success is 0 */
    SSL_CTX_set_client_hello_cb(ssl, on_client_hello, NULL);
    SSL_CTX_set_alpn_select_cb(ssl, on_alpn, NULL);
    SSL_CTX_set_tlsext_servername_callback(ssl, on_server_name);
    return true;
}

static bool set_identity(SSL_CTX *ssl, const struct neo_identity *identity)
{
    if (identity == NULL)
        return true;
    if (SSL_CTX_use_certificate(ssl, neo_identity_leaf(identity)->x509) != 1 ||
        SSL_CTX_use_PrivateKey(ssl, key_pkey(neo_identity_key(identity))) != 1)
        return false;
    for (size_t i = 1; i < neo_identity_chain_length(identity); i++) {
        if (SSL_CTX_add1_chain_cert(ssl, neo_identity_chain(identity, i)->x509) != 1)
            return false;
    }
    return SSL_CTX_check_private_key(ssl) == 1;
}

static enum neo_code check_options(const struct tls_options *options, struct neo_error *err)
{
    const char *why = NULL;

    if (options->mode != TLS_MUTUAL)
        return insecure_check_options(options, err);
    if (options->pem_chain.len + options->pem_key.len + options->pem_roots.len > 0)
        why = "certificates in PEM are for the insecure modes";
    else if (options->trust == NULL)
        why = "a context needs someone to trust";
    else if (options->role == TLS_SERVER && options->identity == NULL)
        why = "a server needs an identity";
    else if (options->role == TLS_SERVER && trust_is_pinned(options->trust))
        why = "a root's fingerprint is for joining clients only";
    else if (options->role == TLS_CLIENT && options->allow_anonymous)
        why = "a server is never anonymous";
    if (why != NULL)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "tls: %s", why);
    return NEO_OK;
}

static void take_references(struct tls_context *context, const struct tls_options *options)
{
    context->refs = 1;
    known_init(&context->known);
    context->role = options->role;
    context->mode = options->mode;
    context->allow_anonymous = options->allow_anonymous;
    if (options->trust != NULL)
        context->trust = neo_trust_ref(options->trust);
    if (options->identity == NULL)
        return;
    context->identity = neo_identity_ref(options->identity);
    neo_sha256(neo_cert_facts(neo_identity_leaf(context->identity))->spki,
               context->own_spki_sha256);
}

static enum neo_code make_ssl(struct tls_context *context, const struct tls_options *options,
                              struct neo_error *err)
{
    context->ssl =
        SSL_CTX_new_ex(options->mode == TLS_MUTUAL ? lean_library() : NULL, NULL,
                       options->role == TLS_SERVER ? TLS_server_method() : TLS_client_method());
    if (context->ssl == NULL)
        return openssl_fail(err, NEO_INTERNAL, "tls: cannot make a context");
    set_options(context->ssl);
    if (!set_algorithms(context->ssl) || !forbid_resumption(context->ssl) ||
        !set_role(context->ssl, options))
        return openssl_fail(err, NEO_INTERNAL, "tls: cannot set up a context");
    if (options->mode != TLS_MUTUAL)
        return insecure_set_up(context->ssl, options, err);
    if (!set_identity(context->ssl, options->identity))
        return openssl_fail(err, NEO_INVALID_ARGUMENT, "tls: the identity cannot be used");
    return NEO_OK;
}

enum neo_code tls_context_new(const struct tls_options *options, struct tls_context **ret,
                              struct neo_error *err)
{
    NEO_TRY(check_options(options, err));

    NEO_CLEANUP(unrefp) struct tls_context *context = neo_alloc(sizeof(*context));
    if (context == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "tls: out of memory");
    take_references(context, options);
    if (options->mode != TLS_CLEARTEXT)
        NEO_TRY(make_ssl(context, options, err));
    *ret = context;
    context = NULL;
    return NEO_OK;
}

struct tls_context *tls_context_ref(struct tls_context *context)
{
    atomic_fetch_add_explicit(&context->refs, 1, memory_order_relaxed);
    return context;
}

void tls_context_unref(struct tls_context *context)
{
    if (context == NULL || atomic_fetch_sub_explicit(&context->refs, 1, memory_order_acq_rel) != 1)
        return;
    SSL_CTX_free(context->ssl);
    neo_identity_unref(context->identity);
    known_fini(&context->known);
    neo_trust_unref(context->trust);
    neo_free(context);
}

struct neo_trust *tls_context_trust(const struct tls_context *context)
{
    return context->trust;
}

struct neo_identity *tls_context_identity(const struct tls_context *context)
{
    return context->identity;
}

enum tls_mode tls_context_mode(const struct tls_context *context)
{
    return context->mode;
}
