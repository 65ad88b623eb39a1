/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection.
 *
 * OpenSSL believes it reads and writes a transport that is never there when the
 * bytes run out, and never full; so each call drains what it was given and no
 * state of waiting is left but OpenSSL's own. Whatever goes wrong ends the
 * connection: after a failure the engine answers nothing but tls_free().
 */
#include "tls/engine.h"

#include "base/warm.h"

#include <crypto/cert.h>
#include <crypto/trust.h>
#include <neo/memory.h>

#include <openssl/err.h>

static void freep(struct tls **tls)
{
    tls_free(*tls);
}

struct tls *tls_of_ssl(const SSL *ssl)
{
    return SSL_get_app_data(ssl);
}

/* --- making -------------------------------------------------------------------------------- */

static enum neo_code check_expectation(const struct tls_context *context, struct neo_bytes expect,
                                       const char *server_name, struct neo_error *err)
{
    struct neo_spiffe_id id;
    bool is_client = context->role == TLS_CLIENT;

    if (context->mode != TLS_MUTUAL)
        return insecure_check_name(context, expect, server_name, err);
    if (!is_client && (expect.len > 0 || server_name != NULL))
        return neo_fail(err, NEO_INVALID_ARGUMENT, "tls: only a client expects a server");
    if (is_client && expect.len == 0 && !trust_is_pinned(context->trust))
        return neo_fail(err, NEO_INVALID_ARGUMENT, "tls: a client must know whom it calls");
    if (expect.len > 0 && (neo_spiffe_parse(expect, &id, err) != NEO_OK || id.service.len == 0))
        return neo_fail(err, NEO_INVALID_ARGUMENT, "tls: \"%.*s\" is not a service's SPIFFE id",
                        NEO_FMT(expect));
    if (server_name != NULL && !cert_is_dns_name(neo_text(server_name)))
        return neo_fail(err, NEO_INVALID_ARGUMENT, "tls: \"%.100s\" is not a host name",
                        server_name);
    return NEO_OK;
}

static bool set_up(struct tls *tls, struct neo_bytes expect, const char *server_name)
{
    if (expect.len > 0 && (tls->expect = neo_string_from(expect)) == NULL)
        return false;
    if (tls->context->mode == TLS_CLEARTEXT)
        return true;

    BIO *bio = bio_new(tls);
    tls->ssl = SSL_new(tls->context->ssl);
    if (bio == NULL || tls->ssl == NULL) {
        BIO_free(bio);
        return false;
    }
    SSL_set_bio(tls->ssl, bio, bio); /* takes it over */
    if (SSL_set_app_data(tls->ssl, tls) != 1)
        return false;
    (void)SSL_ctrl(tls->ssl, SSL_CTRL_SET_MSG_CALLBACK_ARG, 0, tls);
    if (tls->context->role == TLS_SERVER) {
        SSL_set_accept_state(tls->ssl);
        return true;
    }
    SSL_set_connect_state(tls->ssl);
    if (tls->context->mode == TLS_SERVER_PROVEN)
        return insecure_expect(tls);
    return server_name == NULL ||
           SSL_set_tlsext_host_name(tls->ssl, OPENSSL_TEXT(server_name)) == 1;
}

enum neo_code tls_new(struct tls_context *context, struct neo_bytes expect, const char *server_name,
                      struct tls **ret, struct neo_error *err)
{
    NEO_TRY(check_expectation(context, expect, server_name, err));

    NEO_CLEANUP(freep) struct tls *tls = neo_alloc(sizeof(*tls));
    if (tls == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "tls: out of memory");
    tls->context = tls_context_ref(context);
    if (!set_up(tls, expect, server_name))
        return openssl_fail(err, NEO_RESOURCE_EXHAUSTED, "tls: cannot make a connection");
    *ret = tls;
    tls = NULL;
    return NEO_OK;
}

void tls_free(struct tls *tls)
{
    if (tls == NULL)
        return;
    SSL_free(tls->ssl);
    neo_cert_unref(tls->leaf);
    neo_cert_unref(tls->foreign);
    neo_free(tls->expect);
    tls_context_unref(tls->context);
    neo_free(tls);
}

/* --- what went wrong ----------------------------------------------------------------------- */

/* Alerts by which a peer says that our certificate did not convince it. */
static bool is_about_certificates(int alert)
{
    switch (alert) {
    case SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
    case SSL_AD_CERTIFICATE_REVOKED:
    case SSL_AD_CERTIFICATE_EXPIRED:
    case SSL_AD_CERTIFICATE_UNKNOWN:
    case SSL_AD_UNKNOWN_CA:
    case SSL_AD_ACCESS_DENIED:
    case SSL_AD_CERTIFICATE_REQUIRED:
        return true;
    default:
        return false;
    }
}

/*
 * An alert that comes before the peer has proven itself may be anybody's. Behind both Finished it
 * is under the keys of the connection: a client is told so of its certificate there, in TLS 1.3.
 */
static enum neo_code explain_alert(struct tls *tls, int alert, struct neo_error *err)
{
    const char *name = SSL_alert_desc_string_long(alert);

    ERR_clear_error();
    tls->refused = tls->state == TLS_OPEN && tls->context->role == TLS_CLIENT &&
                   tls->context->mode == TLS_MUTUAL && is_about_certificates(alert);
    if (alert == SSL_AD_CERTIFICATE_REQUIRED ||
        (is_about_certificates(alert) && SSL_get_certificate(tls->ssl) == NULL))
        return neo_fail(
            err, NEO_UNAUTHENTICATED,
            "tls: the peer wants a certificate, and we have shown none: open the channel "
            "with one");
    if (is_about_certificates(alert))
        return neo_fail(err, NEO_UNAUTHENTICATED,
                        "tls: the peer refused our certificate (alert: %s); see the peer's log",
                        name);
    if (alert == SSL_AD_UNRECOGNIZED_NAME)
        return neo_fail(err, NEO_UNAVAILABLE,
                        "tls: the peer says that it is not the service we asked for (alert: %s)",
                        name);
    return neo_fail(err, NEO_UNAVAILABLE, "tls: the peer ended the connection (alert: %s)", name);
}

static enum neo_code explain(struct tls *tls, struct neo_error *err)
{
    unsigned long first = ERR_peek_error();
    int reason = ERR_GET_LIB(first) == ERR_LIB_SSL ? ERR_GET_REASON(first) : 0;

    if (tls->verdict.code != NEO_OK) {
        ERR_clear_error();
        if (err != NULL)
            *err = tls->verdict;
        return tls->verdict.code;
    }
    if (reason > SSL_AD_REASON_OFFSET)
        return explain_alert(tls, reason - SSL_AD_REASON_OFFSET, err);
    if (reason == SSL_R_WRONG_VERSION_NUMBER && tls->state == TLS_HANDSHAKE)
        return openssl_fail(err, NEO_UNAVAILABLE,
                            "tls: what the peer says is no TLS; it may speak cleartext");
    if (reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE)
        return openssl_fail(err, NEO_UNAUTHENTICATED, "tls: the client came without a certificate");
    return openssl_fail(err, NEO_UNAVAILABLE, "tls: the peer broke the protocol");
}

/* --- the handshake ------------------------------------------------------------------------- */

void tls_fill_peer(struct tls *tls)
{
    if (tls->leaf == NULL) {
        tls->peer = (struct tls_peer){.service = NEO_LIT("anonymous"), .not_after = INT64_MAX};
        return;
    }
    const struct neo_cert_facts *f = neo_cert_facts(tls->leaf);
    tls->peer = (struct tls_peer){
        .leaf = tls->leaf, .uri = f->uri, .service = f->id.service, .not_after = f->not_after};
    neo_sha256(f->spki, tls->peer.spki_sha256);
}

/*
 * The settings of the context already make each of these impossible. They are asked once more here,
 * because everything above rests on them.
 */
static enum neo_code check_result(const struct tls *tls, struct neo_error *err)
{
    const uint8_t *protocol = NULL;
    unsigned len = 0;
    bool may_be_anonymous = tls->context->role == TLS_SERVER && tls->context->allow_anonymous &&
                            SSL_get0_peer_certificate(tls->ssl) == NULL;

    SSL_get0_alpn_selected(tls->ssl, &protocol, &len);
    if (SSL_version(tls->ssl) != TLS1_3_VERSION || SSL_session_reused(tls->ssl) != 0 ||
        !neo_bytes_is(neo_bytes(protocol, len), "h2"))
        return neo_fail(err, NEO_INTERNAL, "tls: the handshake made something else than asked for");
    if (tls->leaf == NULL && !may_be_anonymous && !tls->judged_by_name)
        return neo_fail(err, NEO_UNAUTHENTICATED, "tls: the peer was not judged");
    return NEO_OK;
}

static enum neo_code handshake(struct tls *tls, struct neo_error *err)
{
    int done = SSL_do_handshake(tls->ssl);

    if (done == 1) {
        NEO_TRY(check_result(tls, err));
        tls_fill_peer(tls);
        tls->state = TLS_OPEN;
        return NEO_OK;
    }
    if (SSL_get_error(tls->ssl, done) == SSL_ERROR_WANT_READ)
        return NEO_OK;
    return explain(tls, err);
}

size_t tls_greeting_lacks(struct neo_bytes in)
{
    enum { HEADER = 5, HANDSHAKE_RECORD = 22 };

    if (in.len > 0 && in.at[0] != HANDSHAKE_RECORD)
        return 0;
    if (in.len < HEADER)
        return HEADER - in.len;
    size_t all = HEADER + ((size_t)in.at[3] << 8 | in.at[4]);
    return all > HEADER + TLS_RECORD_MAX || in.len >= all ? 0 : all - in.len;
}

/* --- data ---------------------------------------------------------------------------------- */

/* One SSL_read into the caller's buffer. */
static enum neo_code read_some(struct tls *tls, struct neo_buffer *plain, bool *ret_more,
                               struct neo_error *err)
{
    size_t n = 0;
    uint8_t *at = neo_buffer_reserve(plain, TLS_RECORD_MAX);

    *ret_more = false;
    if (at == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "tls: no room for what was received");
    int done = SSL_read_ex(tls->ssl, at, TLS_RECORD_MAX, &n);
    if (done == 1) {
        plain->len += n;
        tls->plain_bytes += n;
        *ret_more = true;
        return NEO_OK;
    }
    switch (SSL_get_error(tls->ssl, done)) {
    case SSL_ERROR_WANT_READ:
        return NEO_OK;
    case SSL_ERROR_ZERO_RETURN:
        tls->state = TLS_CLOSED;
        return NEO_OK;
    default:
        return explain(tls, err);
    }
}

static enum neo_code drain(struct tls *tls, struct neo_buffer *plain, struct neo_error *err)
{
    bool more = true;

    while (more && (tls->in.len > 0 || SSL_has_pending(tls->ssl) == 1))
        NEO_TRY(read_some(tls, plain, &more, err));
    return NEO_OK;
}

static enum neo_code feed(struct tls *tls, struct neo_buffer *plain, struct neo_error *err)
{
    if (tls->state == TLS_HANDSHAKE)
        NEO_TRY(handshake(tls, err));
    if (tls->state == TLS_OPEN)
        NEO_TRY(drain(tls, plain, err));
    return NEO_OK;
}

static enum neo_code refuse_after_failure(struct neo_error *err)
{
    return neo_fail(err, NEO_FAILED_PRECONDITION, "tls: the connection has failed before");
}

enum neo_code tls_feed(struct tls *tls, struct neo_bytes in, int64_t wall, struct neo_buffer *plain,
                       struct neo_buffer *out, struct neo_error *err)
{
    if (tls->failed)
        return refuse_after_failure(err);
    ERR_clear_error(); /* another's left-over would be taken for ours */
    tls->in = in;
    tls->out = out;
    tls->wall = wall;
    enum neo_code code = tls->ssl == NULL ? clear_feed(tls, in, plain, err) : feed(tls, plain, err);
    tls->in = (struct neo_bytes){0};
    tls->out = NULL;
    tls->failed = code != NEO_OK;
    return code;
}

enum neo_code tls_write(struct tls *tls, struct neo_bytes plain, struct neo_buffer *out,
                        struct neo_error *err)
{
    enum { RECORD_OVERHEAD = 5 + 1 + 16 };
    size_t records = plain.len / TLS_RECORD_MAX + 1;
    size_t written = 0;

    if (tls->failed)
        return refuse_after_failure(err);
    if (tls->state == TLS_HANDSHAKE)
        return neo_fail(err, NEO_FAILED_PRECONDITION, "tls: the connection is not open");
    if (plain.len == 0)
        return NEO_OK;
    if (tls->ssl == NULL)
        return neo_buffer_append(out, plain)
                   ? NEO_OK
                   : neo_fail(err, NEO_RESOURCE_EXHAUSTED, "no room for what must be sent");
    /* Once for all records, so that the buffer grows at most once. */
    if (neo_buffer_reserve(out, plain.len + records * RECORD_OVERHEAD) == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "tls: no room for what must be sent");
    ERR_clear_error();
    tls->out = out;
    int done = SSL_write_ex(tls->ssl, plain.at, plain.len, &written);
    tls->out = NULL;
    if (done == 1)
        return NEO_OK;
    tls->failed = true;
    return explain(tls, err);
}

void tls_close(struct tls *tls, struct neo_buffer *out)
{
    if (tls->failed || tls->state == TLS_HANDSHAKE || tls->ssl == NULL)
        return;
    tls->out = out;
    (void)SSL_shutdown(tls->ssl); /* a second time it sends nothing */
    tls->out = NULL;
    ERR_clear_error();
}

/* --- the caches ---------------------------------------------------------------------------- */

/*
 * Which bytes of OpenSSL 3.0's SSL a record touches (a trace of all memory that a call touches says
 * so). It is a hint: of another release these are other bytes of it, and nothing worse.
 */
static void warm_ssl(const SSL *ssl)
{
    static const uint16_t hot[] = {0x000, 0x030, 0x084,  0x0a9,  0x198,  0x1ac,  0x2e0,  0x4c0,
                                   0x848, 0x878, 0x918,  0x9c8,  0x9f1,  0xa20,  0xa9c,  0xba4,
                                   0xc78, 0xcc8, 0x12ac, 0x12e0, 0x1cb0, 0x1d08, 0x1d50, 0x1d60};

    for (size_t i = 0; i < NEO_COUNT(hot); i++)
        __builtin_prefetch((const char *)ssl + hot[i]);
}

void tls_warm(const struct tls *tls, unsigned step)
{
    enum { OWN_HOT = 192, BIO_SIZE = 128 };

    if (step == 0) {
        warm(tls, OWN_HOT); /* and looks at nothing of it yet */
        return;
    }
    if (tls->state == TLS_HANDSHAKE || tls->ssl == NULL)
        return;
    if (step == 1)
        warm_ssl(tls->ssl);
    else if (step == 3)
        warm(SSL_get_rbio(tls->ssl), BIO_SIZE);
}

/* --- what is known ------------------------------------------------------------------------- */

bool tls_is_refused(const struct tls *tls)
{
    return tls->refused;
}

enum tls_state tls_state(const struct tls *tls)
{
    return tls->state;
}

enum tls_mode tls_mode(const struct tls *tls)
{
    return tls->context->mode;
}

static bool has_been_open(const struct tls *tls)
{
    return tls->state != TLS_HANDSHAKE;
}

const struct tls_peer *tls_peer(const struct tls *tls)
{
    return has_been_open(tls) ? &tls->peer : NULL;
}

const struct neo_cert *tls_own_leaf(const struct tls *tls)
{
    struct neo_identity *identity = tls_context_identity(tls->context);

    return identity == NULL ? NULL : neo_identity_leaf(identity);
}

void tls_own_spki_sha256(const struct tls *tls, uint8_t ret[static NEO_SHA256_LEN])
{
    memcpy(ret, tls->context->own_spki_sha256, NEO_SHA256_LEN);
}

/* OpenSSL's server would answer before the client has proved anything. */
enum neo_code tls_exporter(struct tls *tls, uint8_t ret[static TLS_EXPORTER_LEN],
                           struct neo_error *err)
{
    static const char label[] = "EXPORTER-Channel-Binding";

    if (!has_been_open(tls))
        return neo_fail(err, NEO_FAILED_PRECONDITION,
                        "tls: there is no exporter before the handshake is finished");
    if (tls->ssl == NULL)
        return neo_fail(err, NEO_FAILED_PRECONDITION, "cleartext has no exporter");
    if (SSL_export_keying_material(tls->ssl, ret, TLS_EXPORTER_LEN, label, sizeof(label) - 1, NULL,
                                   0, 0) != 1)
        return openssl_fail(err, NEO_INTERNAL, "tls: cannot export");
    return NEO_OK;
}

const char *tls_cipher_name(const struct tls *tls)
{
    return tls->ssl == NULL ? "none" : SSL_get_cipher_name(tls->ssl);
}

const char *tls_group_name(const struct tls *tls)
{
    const char *name = tls->ssl == NULL
                           ? NULL
                           : SSL_group_to_name(tls->ssl, (int)SSL_get_negotiated_group(tls->ssl));

    return name == NULL ? "none" : name;
}
