/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NEO_CRYPTO_PEM_H
#define NEO_CRYPTO_PEM_H

#include "crypto/openssl.h"

#include <neo/bytes.h>

enum { PEM_MAX = 256 << 10 };

/*
 * Reads PEM blocks one after the other; text between them is skipped. A block's DER is cleansed
 * when the next is read: it may be a private key.
 */
struct pem_reader {
    const char *what; /* names the source in messages */
    char *label;      /* "CERTIFICATE" */
    struct neo_bytes der;
    bool is_encrypted;
    /* private */
    BIO *bio;
    bool saw_certificate; /* passed over one, or a key, while looking for something else */
    bool saw_key;
};

NEO_MUST_CHECK enum neo_code pem_open(struct pem_reader *reader, struct neo_bytes text,
                                      const char *what, struct neo_error *err);
/* NOT_FOUND: there is no further block. */
NEO_MUST_CHECK enum neo_code pem_next(struct pem_reader *reader, struct neo_error *err);
/* The next block with this label, skipping others. NOT_FOUND: there is none. */
NEO_MUST_CHECK enum neo_code pem_find(struct pem_reader *reader, const char *label,
                                      struct neo_error *err);
/*
 * The next private key, of whatever kind. INVALID_ARGUMENT: there is none, and the text says what
 * there is instead.
 */
NEO_MUST_CHECK enum neo_code pem_find_key(struct pem_reader *reader, struct neo_error *err);
/* For NEO_CLEANUP; {0} is fine. */
void pem_close(struct pem_reader *reader);

#endif
