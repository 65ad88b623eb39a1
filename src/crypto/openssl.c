/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/openssl.h"

#include <openssl/err.h>
#include <openssl/sslerr.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum neo_code openssl_error_set(struct neo_error *err, enum neo_code code, const char *where,
                                const char *format, ...)
{
    unsigned long last = ERR_peek_last_error();

#ifdef SSL_R_RECORD_LAYER_FAILURE
    /* From 3.2 on, what was wrong with a record stands before the news that one was wrong. */
    if (ERR_GET_LIB(last) == ERR_LIB_SSL && ERR_GET_REASON(last) == SSL_R_RECORD_LAYER_FAILURE)
        last = ERR_peek_error();
#endif
    const char *reason = ERR_reason_error_string(last);

    if (last != 0 && ERR_GET_REASON(last) == ERR_R_MALLOC_FAILURE)
        code = NEO_RESOURCE_EXHAUSTED;
    ERR_clear_error();
    if (err == NULL)
        return code;

    char text[sizeof(err->message)];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return reason == NULL ? neo_error_set(err, code, where, "%s", text)
                          : neo_error_set(err, code, where, "%s (%s)", text, reason);
}

void openssl_bio_freep(BIO **bio)
{
    BIO_free(*bio);
}

void openssl_pkey_freep(EVP_PKEY **pkey)
{
    EVP_PKEY_free(*pkey);
}

void openssl_pkey_ctx_freep(EVP_PKEY_CTX **ctx)
{
    EVP_PKEY_CTX_free(*ctx);
}

void openssl_md_ctx_freep(EVP_MD_CTX **ctx)
{
    EVP_MD_CTX_free(*ctx);
}

void openssl_x509_freep(X509 **x509)
{
    X509_free(*x509);
}

void openssl_store_freep(X509_STORE **store)
{
    X509_STORE_free(*store);
}

void openssl_store_ctx_freep(X509_STORE_CTX **ctx)
{
    X509_STORE_CTX_free(*ctx);
}

void openssl_certs_freep(STACK_OF(X509) * *certs)
{
    sk_X509_free(*certs);
}

void openssl_freep(void *pointer_to_pointer)
{
    void *memory;

    memcpy(&memory, pointer_to_pointer, sizeof(memory));
    OPENSSL_free(memory);
}
