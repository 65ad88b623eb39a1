/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ca/signer.h - the process that holds the keys, and the front's way to it.
 *
 * It has two pipes to the CA's front and its own folder; no network. A request is of
 * one fixed size; behind one that asks for a trust comes the trust itself. What it
 * signs it decides by its own rules (ca/keeper.h), writes each certificate to its
 * journal before it answers, and for a serial it has signed before gives what it signed
 * then. So a front that died can neither lose nor double a certificate, and one that was
 * taken over cannot have anything else signed.
 */
#ifndef NEO_CA_SIGNER_H
#define NEO_CA_SIGNER_H

#include <neo/buffer.h>
#include <neo/digest.h>
#include <neo/error.h>

#include <pthread.h>

enum signer_op {
    SIGNER_DESCRIBE = 1, /* answers two parts: the certificates of root and issuer */
    SIGNER_LEAF = 2,     /* two: the leaf, and the certificate of its issuer */
    SIGNER_TRUST = 3,    /* two: the signature over the body, and the issuer's certificate */
    SIGNER_LAST = 4,     /* one: the trust it signed last; empty when there was none */
    SIGNER_CRL = 5,      /* one or two: CRLs of the issuer and of the one before it */
};

enum {
    SIGNER_SPKI_MAX = 160,
    SIGNER_NAME_MAX = 64,
    SIGNER_SERIAL_LEN = 16,
    SIGNER_BODY_MAX = 24 << 20,
    SIGNER_ANSWER_MAX = 24 << 20,
};

struct signer_request {
    uint32_t op;
    uint32_t spki_len;
    uint64_t body_len; /* what follows the request: a serialized neo.ca.v1.Trust, or nothing */
    int64_t not_before;
    int64_t not_after;
    uint8_t serial[SIGNER_SERIAL_LEN];
    uint8_t parent[SIGNER_SERIAL_LEN]; /* the certificate that is renewed; zeros: a first one */
    char service[SIGNER_NAME_MAX];     /* terminated */
    uint8_t spki[SIGNER_SPKI_MAX];
};

/* `len` bytes follow: parts, each behind its length (uint32_t); on failure the message. */
struct signer_answer {
    uint32_t code; /* enum neo_code */
    uint32_t len;
};

/* --- the process ------------------------------------------------------------------------------ */

/*
 * Serves the requests from descriptor `in`, answering on `out`, until it is closed. `dir` holds (or
 * gets) root and issuer keys. Returns an exit status.
 */
int signer_main(int in, int out, const char *dir, const char *trust_domain, bool development);
/* The same without what concerns its process: for tests that run it on a thread. */
int signer_serve(int in, int out, const char *dir, const char *trust_domain, bool development);

/* --- its client: the front -------------------------------------------------------------------- */

struct signer {
    int ask;    /* what it reads */
    int answer; /* what it writes */
    int pid;    /* -1: not a child of ours */
    pthread_mutex_t lock;
    struct neo_buffer root; /* DER */
};

/* Starts `program serve ca-signer` with a pipe each way and asks for the certificates. */
NEO_MUST_CHECK enum neo_code signer_start(struct signer *s, const char *program, const char *dir,
                                          const char *trust_domain, bool development,
                                          struct neo_error *err);
/* The same with one that runs already; takes the descriptors. */
NEO_MUST_CHECK enum neo_code signer_attach(struct signer *s, int ask, int answer,
                                           struct neo_error *err);
void signer_stop(struct signer *s);

/* What to sign as a leaf. */
struct signer_leaf {
    struct neo_bytes spki;
    const char *service;
    const uint8_t *serial; /* SIGNER_SERIAL_LEN */
    const uint8_t *parent; /* the same, or NULL for a first certificate */
    int64_t not_before;
    int64_t not_after;
};
/* DER of the leaf and of its issuer. Any thread. */
NEO_MUST_CHECK enum neo_code signer_leaf(struct signer *s, const struct signer_leaf *leaf,
                                         struct neo_buffer *out, struct neo_buffer *out_issuer,
                                         struct neo_error *err);
/* The signature over a serialized Trust, and who made it. Any thread, as the next three. */
NEO_MUST_CHECK enum neo_code signer_trust(struct signer *s, struct neo_bytes trust,
                                          struct neo_buffer *out, struct neo_buffer *out_issuer,
                                          struct neo_error *err);
/* The Trust it signed last, serialized; nothing when there was none. */
NEO_MUST_CHECK enum neo_code signer_last(struct signer *s, struct neo_buffer *out,
                                         struct neo_error *err);
/* The issuing certificate of now. */
NEO_MUST_CHECK enum neo_code signer_issuer(struct signer *s, struct neo_buffer *out,
                                           struct neo_error *err);
/* DER; `out_previous` stays empty when the issuer before has ended. */
NEO_MUST_CHECK enum neo_code signer_crl(struct signer *s, struct neo_buffer *out,
                                        struct neo_buffer *out_previous, struct neo_error *err);
bool signer_is_alive(struct signer *s);

#endif
