/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ca/signer.h - the process that holds the keys.
 *
 * It has two pipes to the CA's front and its own folder; no network. It takes
 * requests of one fixed size, decides by its own rules what it signs (names, times,
 * rate), writes each certificate to its journal before it answers, and for a serial
 * it has signed before gives what it signed then. So a front that died, or that was
 * taken over, can neither lose nor double a certificate, nor have anything else signed.
 */
#ifndef NEO_CA_SIGNER_H
#define NEO_CA_SIGNER_H

#include <neo/buffer.h>
#include <neo/digest.h>
#include <neo/error.h>

#include <pthread.h>

enum signer_op {
    SIGNER_DESCRIBE = 1, /* the certificates of root and issuer */
    SIGNER_LEAF = 2,
    SIGNER_TRUST = 3, /* the digest of a serialized neo.ca.v1.Trust */
};

enum { SIGNER_SPKI_MAX = 160, SIGNER_NAME_MAX = 64, SIGNER_ANSWER_MAX = 8192 };

struct signer_request {
    uint32_t op;
    uint32_t spki_len;
    int64_t not_before;
    int64_t not_after;
    uint8_t serial[16];
    uint8_t digest[NEO_SHA256_LEN];
    char service[SIGNER_NAME_MAX]; /* terminated */
    uint8_t spki[SIGNER_SPKI_MAX];
};

struct signer_answer {
    uint32_t code; /* enum neo_code */
    uint32_t len;  /* of bytes; on failure a message */
    uint8_t bytes[SIGNER_ANSWER_MAX];
};

/* --- the process ------------------------------------------------------------------------------ */

/*
 * Serves the requests from descriptor `in`, answering on `out`, until it is closed. `dir` holds (or
 * gets) root and issuer keys. Returns an exit status.
 */
int signer_main(int in, int out, const char *dir, const char *trust_domain, bool development);

/* --- its client: the front -------------------------------------------------------------------- */

struct signer {
    int ask;    /* what it reads */
    int answer; /* what it writes */
    int pid;
    pthread_mutex_t lock;
    struct neo_buffer root;   /* DER */
    struct neo_buffer issuer; /* DER */
};

/* Starts `program serve ca-signer` with a pipe each way and asks for the certificates. */
NEO_MUST_CHECK enum neo_code signer_start(struct signer *s, const char *program, const char *dir,
                                          const char *trust_domain, bool development,
                                          struct neo_error *err);
void signer_stop(struct signer *s);
/* DER of the leaf. Any thread. */
NEO_MUST_CHECK enum neo_code signer_leaf(struct signer *s, struct neo_bytes spki,
                                         const char *service, const uint8_t serial[static 16],
                                         int64_t not_before, int64_t not_after,
                                         struct neo_buffer *out, struct neo_error *err);
/* The signature over a serialized Trust. Any thread. */
NEO_MUST_CHECK enum neo_code signer_trust(struct signer *s, struct neo_bytes trust,
                                          struct neo_buffer *out, struct neo_error *err);
bool signer_is_alive(struct signer *s);

#endif
