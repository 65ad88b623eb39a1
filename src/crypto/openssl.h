/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crypto/openssl.h - what crypto and tls share of OpenSSL: errors and cleanup.
 *
 * OpenSSL keeps a queue of errors per thread, and a stale one makes the next
 * SSL_get_error() lie. So every failure here leaves through openssl_fail(), which
 * empties the queue.
 */
#ifndef NEO_CRYPTO_OPENSSL_H
#define NEO_CRYPTO_OPENSSL_H

#include <neo/error.h>

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdint.h>

/*
 * As neo_fail(), with OpenSSL's last reason appended. When OpenSSL ran out of memory the code is
 * RESOURCE_EXHAUSTED, whatever `code` says.
 */
#define openssl_fail(err, code, ...) openssl_error_set((err), (code), NEO_HERE, __VA_ARGS__)

NEO_PRINTF(4, 5)
enum neo_code openssl_error_set(struct neo_error *err, enum neo_code code, const char *where,
                                const char *format, ...);

#ifdef __clang_analyzer__ /* as in neo/error.h: a failure is never OK */
#undef openssl_fail
#define openssl_fail(err, code, ...)                                                               \
    (openssl_error_set((err), (code), NEO_HERE, __VA_ARGS__), (code))
#endif

/* Some of OpenSSL's macros cast const away from what they only read; an integer has none to lose.
 */
#define OPENSSL_TEXT(text) ((uintptr_t)(text))

/* For NEO_CLEANUP. */
void openssl_bio_freep(BIO **bio);
void openssl_pkey_freep(EVP_PKEY **pkey);
void openssl_pkey_ctx_freep(EVP_PKEY_CTX **ctx);
void openssl_md_ctx_freep(EVP_MD_CTX **ctx);
void openssl_x509_freep(X509 **x509);
void openssl_store_freep(X509_STORE **store);
void openssl_store_ctx_freep(X509_STORE_CTX **ctx);
void openssl_certs_freep(STACK_OF(X509) * *certs); /* the stack alone, not what is in it */
void openssl_freep(void *pointer_to_pointer);      /* memory that OpenSSL allocated */

#endif
