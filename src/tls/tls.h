/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls/tls.h - mutual TLS 1.3 as a byte engine.
 *
 * Ciphertext and `now` go in; plaintext, ciphertext to send, and a verdict on the
 * peer come out. No socket, no clock. What cannot be switched on: TLS below 1.3,
 * tickets, resumption, early data, renegotiation, compression, an ALPN other
 * than h2. Two insecure modes give up the mutual proof, or TLS as a whole; see
 * src/tls/insecure.c.
 *
 * A context is an epoch: one identity, one trust snapshot, one role. A change of
 * either makes a new context; connections keep the one they were made with.
 *
 * Threads   A context may be shared. A connection has one owner.
 * Errors    After a failure only tls_free() is legal; what was appended to `out`
 *           (an alert) should still be sent.
 */
#ifndef NEO_TLS_TLS_H
#define NEO_TLS_TLS_H

#include <neo/buffer.h>
#include <neo/cert.h>

struct tls_context;
struct tls;

enum tls_role {
    TLS_SERVER,
    TLS_CLIENT,
};

/* What the peers prove to each other; all but the first are for neo/insecure.h alone. */
enum tls_mode {
    TLS_MUTUAL,
    TLS_SERVER_PROVEN, /* only the server shows a certificate, and it carries a DNS name */
    TLS_CLEARTEXT,     /* nobody proves anything: bytes pass as they are */
};

struct tls_options {
    enum tls_role role;
    enum tls_mode mode;
    struct neo_identity *identity; /* referenced; a client that joins the mesh has none yet: NULL */
    struct neo_trust *trust;       /* referenced */
    bool allow_anonymous;          /* server: a client may come without a certificate */
    /* TLS_SERVER_PROVEN, in place of identity and trust; borrowed for the call. */
    struct neo_bytes pem_chain; /* server: its certificate and those between it and the root */
    struct neo_bytes pem_key;   /* server */
    struct neo_bytes pem_roots; /* client */
};

/* Gives `*ret`: tls_context_unref(). */
NEO_MUST_CHECK enum neo_code tls_context_new(const struct tls_options *options,
                                             struct tls_context **ret, struct neo_error *err);
struct tls_context *tls_context_ref(struct tls_context *context);
void tls_context_unref(struct tls_context *context);
struct neo_trust *tls_context_trust(const struct tls_context *context);
struct neo_identity *tls_context_identity(const struct tls_context *context);
enum tls_mode tls_context_mode(const struct tls_context *context);

/*
 * References `context`. Client: `expect` is the SPIFFE id the server must prove, byte for byte
 * (copied); empty only together with a trust made from a root fingerprint. With TLS_SERVER_PROVEN
 * it is the DNS name of the server, which is its SNI, too. `server_name` is the SNI, or NULL. Gives
 * `*ret`: tls_free().
 */
NEO_MUST_CHECK enum neo_code tls_new(struct tls_context *context, struct neo_bytes expect,
                                     const char *server_name, struct tls **ret,
                                     struct neo_error *err);
void tls_free(struct tls *tls);

enum tls_state {
    TLS_HANDSHAKE,
    TLS_OPEN,   /* both Finished were seen: the peer's facts and the exporter are valid */
    TLS_CLOSED, /* the peer sent close_notify; nothing more will come */
};

/*
 * How many bytes are missing, at least, before a server can do anything with the first that came
 * from a client. 0: a whole record, or no TLS at all. To be asked before a connection is made, so
 * that whoever says nothing costs nothing.
 */
size_t tls_greeting_lacks(struct neo_bytes in);

/*
 * Feeds what the socket gave; `in` may be empty (a client's first call starts the handshake).
 * Appends plaintext to `plain` and whatever must be sent to `out`. `wall` is in seconds since 1970,
 * for certificate validity. UNAUTHENTICATED when the peer is not who it must be; the message says
 * why.
 */
NEO_MUST_CHECK enum neo_code tls_feed(struct tls *tls, struct neo_bytes in, int64_t wall,
                                      struct neo_buffer *plain, struct neo_buffer *out,
                                      struct neo_error *err);
/* Encrypts; only when TLS_OPEN, or TLS_CLOSED: a peer that has said its last may still listen. */
NEO_MUST_CHECK enum neo_code tls_write(struct tls *tls, struct neo_bytes plain,
                                       struct neo_buffer *out, struct neo_error *err);
/* Appends close_notify. */
void tls_close(struct tls *tls, struct neo_buffer *out);

/* It will be fed in a moment: fetches into the cache what that needs, in steps from 0 on. */
void tls_warm(const struct tls *tls, unsigned step);

enum tls_state tls_state(const struct tls *tls);
enum tls_mode tls_mode(const struct tls *tls);

/*
 * Client: the server, after it had proven who it is, ended the connection because of our
 * certificate. Never true for what somebody between us may have said.
 */
bool tls_is_refused(const struct tls *tls);

/* Valid from TLS_OPEN until tls_free(). */
struct tls_peer {
    struct neo_cert *leaf;    /* NULL: anonymous */
    struct neo_bytes uri;     /* empty: anonymous */
    struct neo_bytes service; /* "anonymous" then */
    uint8_t spki_sha256[NEO_SHA256_LEN];
    int64_t not_after; /* INT64_MAX when anonymous */
};
/* NULL before TLS_OPEN. */
const struct tls_peer *tls_peer(const struct tls *tls);

/*
 * TLS_SERVER_PROVEN, the server's end: the certificate under `pem_roots` that the caller has proven
 * to hold the key of, which makes it no less anonymous. Read when it is first asked for, then kept:
 * who is never asked costs nothing. NULL in all other modes, before TLS_OPEN, once its time is over
 * (by the clock of the last tls_feed()), and when it is not in a form that neo_cert_from_der()
 * takes; only the first time `err` says why then, else its code is OK. Borrowed until tls_free().
 */
struct neo_cert *tls_foreign(struct tls *tls, struct neo_error *err);

/* Our own, as it was shown; NULL: none. Borrowed. */
const struct neo_cert *tls_own_leaf(const struct tls *tls);
/* SHA-256 over our own leaf's SubjectPublicKeyInfo; zeros when we have no certificate. */
void tls_own_spki_sha256(const struct tls *tls, uint8_t ret[static NEO_SHA256_LEN]);

/*
 * RFC 9266 tls-exporter: 32 bytes that only the two ends of this connection know.
 * FAILED_PRECONDITION before TLS_OPEN.
 */
NEO_MUST_CHECK enum neo_code tls_exporter(struct tls *tls, uint8_t ret[static 32],
                                          struct neo_error *err);

/* "TLS_AES_256_GCM_SHA384", "X25519": for people. */
const char *tls_cipher_name(const struct tls *tls);
const char *tls_group_name(const struct tls *tls);

#endif
