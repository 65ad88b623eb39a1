/* SPDX-License-Identifier: Apache-2.0 */
#include "support/tls_raw.h"

#include <neo/memory.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/kdf.h>
#include <openssl/param_build.h>
#include <stdio.h>
#include <stdlib.h>

#define must(condition)                                                                            \
    do {                                                                                           \
        if (!(condition))                                                                          \
            die(#condition);                                                                       \
    } while (0)

static void die(const char *what)
{
    (void)fprintf(stderr, "tls_raw: failed: %s\n", what);
    ERR_print_errors_fp(stderr);
    abort();
}

/* --- setting up ---------------------------------------------------------------------------- */

static int accept_any(X509_STORE_CTX *store, void *unused __attribute__((unused)))
{
    const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct raw *raw = SSL_get_app_data(ssl);

    raw->judged++;
    return 1;
}

static void on_info(const SSL *ssl, int where, int value)
{
    struct raw *raw = SSL_get_app_data(ssl);

    if ((where & SSL_CB_READ_ALERT) == SSL_CB_READ_ALERT)
        raw->alert = value & 0xff;
}

static int on_session(SSL *ssl, SSL_SESSION *session)
{
    struct raw *raw = SSL_get_app_data(ssl);

    SSL_SESSION_free(raw->session);
    raw->session = session;
    return 1; /* kept */
}

/* "CLIENT_TRAFFIC_SECRET_0 <client random> <secret>" */
static void on_secret(const SSL *ssl, const char *line)
{
    static const char label[] = "CLIENT_TRAFFIC_SECRET_0 ";
    struct raw *raw = SSL_get_app_data(ssl);
    const char *hex = strrchr(line, ' ') + 1;

    if (strncmp(line, label, sizeof(label) - 1) != 0)
        return;
    for (size_t i = 0; i < sizeof(raw->secret) && hex[2 * i] != '\0'; i++)
        (void)sscanf(hex + 2 * i, "%2hhx", &raw->secret[i]);
}

static int on_alpn(SSL *ssl __attribute__((unused)), const uint8_t **ret_at, uint8_t *ret_len,
                   const uint8_t *offered __attribute__((unused)),
                   unsigned len __attribute__((unused)), void *own)
{
    const char *protocol = own;

    *ret_at = (const uint8_t *)protocol + 1;
    *ret_len = (uint8_t)protocol[0];
    return SSL_TLSEXT_ERR_OK;
}

static X509 *x509_of(struct neo_bytes der)
{
    const uint8_t *at = der.at;

    return d2i_X509(NULL, &at, (long)der.len);
}

static EVP_PKEY *key_of(const struct pki_cert *cert)
{
    struct neo_bytes key = pki_key(cert);
    const uint8_t *at = key.at;
    EVP_PKEY *pkey = d2i_AutoPrivateKey(NULL, &at, (long)key.len);

    must(pkey != NULL);
    return pkey;
}

/* Says that it is the key of `cert`, and signs with the thief's: OpenSSL compares no more. */
static EVP_PKEY *false_key(const struct pki_cert *cert, const struct pki_cert *thief)
{
    EVP_PKEY *owner = key_of(cert), *own = key_of(thief), *ret = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    BIGNUM *secret = NULL;
    uint8_t point[256];
    size_t len = 0;

    must(EVP_PKEY_get_octet_string_param(owner, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point),
                                         &len) == 1);
    must(EVP_PKEY_get_bn_param(own, OSSL_PKEY_PARAM_PRIV_KEY, &secret) == 1);
    must(OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0) == 1 &&
         OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, len) == 1 &&
         OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_PRIV_KEY, secret) == 1);
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    must(EVP_PKEY_fromdata_init(ctx) == 1 &&
         EVP_PKEY_fromdata(ctx, &ret, EVP_PKEY_KEYPAIR, params) == 1);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    BN_free(secret);
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(own);
    EVP_PKEY_free(owner);
    return ret;
}

static void use_cert(SSL_CTX *ctx, const struct pki_cert *cert, const struct pki_cert *thief,
                     size_t copies)
{
    struct neo_bytes chain[8];
    size_t n = pki_chain(cert, false, chain);
    EVP_PKEY *pkey = thief == NULL ? key_of(cert) : false_key(cert, thief);

    for (size_t i = 0; i < n + copies; i++) {
        X509 *x509 = x509_of(chain[i < n ? i : n - 1]);
        must(i == 0 ? SSL_CTX_use_certificate(ctx, x509) == 1
                    : SSL_CTX_add1_chain_cert(ctx, x509) == 1);
        X509_free(x509);
    }
    must(SSL_CTX_use_PrivateKey(ctx, pkey) == 1);
    EVP_PKEY_free(pkey);
}

static void set_protocols(SSL_CTX *ctx, const struct raw_options *o)
{
    const char *alpn = o->alpn == NULL ? "\2h2" : o->alpn;
    union {
        const char *in;
        void *out;
    } own = {alpn}; /* OpenSSL's argument is not const, our callback's use of it is */

    SSL_CTX_set_security_level(ctx, 0);
    must(SSL_CTX_set_min_proto_version(ctx, o->min_version == 0 ? TLS1_3_VERSION : o->min_version));
    must(SSL_CTX_set_max_proto_version(ctx, o->max_version == 0 ? TLS1_3_VERSION : o->max_version));
    must(SSL_CTX_set_ciphersuites(ctx, o->ciphers == NULL ? "TLS_AES_128_GCM_SHA256" : o->ciphers));
    must(o->groups == NULL || SSL_CTX_set1_groups_list(ctx, (uintptr_t)o->groups));
    must(o->signatures == NULL || SSL_CTX_set1_sigalgs_list(ctx, (uintptr_t)o->signatures));
    if (alpn[0] == '\0')
        return;
    if (o->is_server)
        SSL_CTX_set_alpn_select_cb(ctx, on_alpn, own.out);
    else
        must(SSL_CTX_set_alpn_protos(ctx, (const uint8_t *)alpn, (unsigned)strlen(alpn)) == 0);
}

static void set_sessions(SSL_CTX *ctx, const struct raw_options *o)
{
    if (o->is_server) {
        must(SSL_CTX_set_session_id_context(ctx, (const uint8_t *)"raw", 3) == 1);
        must(SSL_CTX_set_num_tickets(ctx, o->tickets ? 2 : 0) == 1);
        must(SSL_CTX_set_max_early_data(ctx, o->tickets ? 16384 : 0) == 1);
        if (o->replays)
            SSL_CTX_set_options(ctx, SSL_OP_NO_ANTI_REPLAY);
        return;
    }
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, on_session);
}

struct raw *raw_new(const struct raw_options *o)
{
    struct raw *raw = neo_alloc(sizeof(*raw));

    must(raw != NULL);
    raw->ctx = SSL_CTX_new(TLS_method());
    must(raw->ctx != NULL);
    SSL_CTX_set_verify(raw->ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_cert_verify_callback(raw->ctx, accept_any, NULL);
    SSL_CTX_set_info_callback(raw->ctx, on_info);
    SSL_CTX_set_keylog_callback(raw->ctx, on_secret);
    SSL_CTX_set_mode(raw->ctx, SSL_MODE_NO_AUTO_CHAIN);
    if (o->certs_most > 0)
        SSL_CTX_set_max_cert_list(raw->ctx, o->certs_most);
    set_protocols(raw->ctx, o);
    set_sessions(raw->ctx, o);
    if (o->cert != NULL)
        use_cert(raw->ctx, o->cert, o->thief, o->copies);
    raw->is_server = o->is_server;
    raw_renew(raw, o->resume);
    must(o->server_name == NULL ||
         SSL_set_tlsext_host_name(raw->ssl, (uintptr_t)o->server_name) == 1);
    return raw;
}

struct raw *raw_another(const struct raw *raw)
{
    struct raw *another = neo_alloc(sizeof(*another));

    must(another != NULL && SSL_CTX_up_ref(raw->ctx) == 1);
    another->ctx = raw->ctx;
    another->is_server = raw->is_server;
    raw_renew(another, NULL);
    return another;
}

static void free_ssl(SSL *ssl)
{
    if (ssl == NULL)
        return;
    /* Else OpenSSL takes the connection for broken and its session for spoiled. */
    SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(ssl);
}

void raw_renew(struct raw *raw, SSL_SESSION *resume)
{
    free_ssl(raw->ssl);
    raw->ssl = SSL_new(raw->ctx);
    raw->failed = false;
    raw->alert = -1;
    must(raw->ssl != NULL && SSL_set_app_data(raw->ssl, raw) == 1);
    SSL_set_bio(raw->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    if (raw->is_server)
        SSL_set_accept_state(raw->ssl);
    else
        SSL_set_connect_state(raw->ssl);
    must(resume == NULL || SSL_set_session(raw->ssl, resume) == 1);
}

void raw_free(struct raw *raw)
{
    free_ssl(raw->ssl);
    SSL_CTX_free(raw->ctx);
    SSL_SESSION_free(raw->session);
    neo_buffer_fini(&raw->plain);
    neo_free(raw);
}

/* --- working ------------------------------------------------------------------------------- */

static void work(struct raw *raw)
{
    uint8_t data[4096];
    size_t n = 0;
    int done = 1;

    ERR_clear_error();
    if (SSL_is_init_finished(raw->ssl) == 0)
        done = SSL_do_handshake(raw->ssl);
    while (done == 1 && (done = SSL_read_ex(raw->ssl, data, sizeof(data), &n)) == 1)
        must(neo_buffer_append(&raw->plain, neo_bytes(data, n)));
    int error = SSL_get_error(raw->ssl, done);
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_ZERO_RETURN)
        raw->failed = true;
    ERR_clear_error();
}

void raw_run(struct raw *raw, struct neo_bytes in, struct neo_buffer *out)
{
    char *at = NULL;

    must(in.len == 0 || BIO_write(SSL_get_rbio(raw->ssl), in.at, (int)in.len) == (int)in.len);
    if (!raw->failed)
        work(raw);
    long len = BIO_get_mem_data(SSL_get_wbio(raw->ssl), &at);
    must(neo_buffer_append(out, neo_bytes(at, (size_t)len)));
    (void)BIO_reset(SSL_get_wbio(raw->ssl));
}

void raw_link(struct raw *raw, struct tls_end *end)
{
    struct neo_buffer moving = {0};

    tls_end_feed(end, (struct neo_bytes){0}, 0, PKI_NOW);
    do {
        neo_buffer_clear(&moving);
        raw_run(raw, neo_buffer_bytes(&end->out), &moving);
        neo_buffer_clear(&end->out);
        if (moving.len > 0)
            tls_end_feed(end, neo_buffer_bytes(&moving), 0, PKI_NOW);
    } while (moving.len > 0 || end->out.len > 0);
    neo_buffer_fini(&moving);
}

/* --- forging: RFC 8446, 5.2, 5.3 and 7.3 -------------------------------------------------------
 */

static void expand_label(const uint8_t secret[static 32], const char *label, uint8_t *ret,
                         size_t len)
{
    uint8_t info[64] = {0, (uint8_t)len};
    int n = snprintf((char *)info + 3, sizeof(info) - 3, "tls13 %s", label);
    int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
    char digest[] = "SHA256";
    uint8_t key[32];

    info[2] = (uint8_t)n;
    memcpy(key, secret, sizeof(key));
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, key, sizeof(key)),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, (size_t)n + 4),
        OSSL_PARAM_construct_end()};
    must(EVP_KDF_derive(ctx, ret, len, params) == 1);
    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
}

void raw_forge(struct raw *raw, uint8_t type, struct neo_bytes content, struct neo_buffer *out)
{
    size_t len = content.len + 1 + 16;
    uint8_t header[5] = {23, 3, 3, (uint8_t)(len >> 8), (uint8_t)len};
    uint8_t key[16], nonce[12], tag[16];
    uint8_t *inner = neo_alloc(content.len + 1);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int n = 0;

    expand_label(raw->secret, "key", key, sizeof(key));
    expand_label(raw->secret, "iv", nonce, sizeof(nonce));
    for (size_t i = 0; i < 8; i++)
        nonce[11 - i] ^= (uint8_t)(raw->forged >> 8 * i);
    raw->forged++;
    if (content.len > 0)
        memcpy(inner, content.at, content.len);
    inner[content.len] = type;
    must(EVP_EncryptInit_ex(ctx, EVP_aes_128_gcm(), NULL, key, nonce) == 1);
    must(EVP_EncryptUpdate(ctx, NULL, &n, header, sizeof(header)) == 1);
    must(EVP_EncryptUpdate(ctx, inner, &n, inner, (int)content.len + 1) == 1);
    must(EVP_EncryptFinal_ex(ctx, inner, &n) == 1);
    must(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, sizeof(tag), tag) == 1);
    must(neo_buffer_append(out, neo_bytes(header, sizeof(header))) &&
         neo_buffer_append(out, neo_bytes(inner, content.len + 1)) &&
         neo_buffer_append(out, neo_bytes(tag, sizeof(tag))));
    EVP_CIPHER_CTX_free(ctx);
    neo_free(inner);
}
