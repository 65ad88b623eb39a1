/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/pem.h"

#include <openssl/err.h>
#include <openssl/pem.h>

enum neo_code pem_open(struct pem_reader *reader, struct neo_bytes text, const char *what,
                       struct neo_error *err)
{
    if (text.len > PEM_MAX)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "%s: %zu bytes of PEM, at most %d", what,
                        text.len, PEM_MAX);
    BIO *bio = BIO_new_mem_buf(text.len == 0 ? "" : (const void *)text.at, (int)text.len);
    if (bio == NULL)
        return openssl_fail(err, NEO_RESOURCE_EXHAUSTED, "%s: out of memory", what);
    *reader = (struct pem_reader){.what = what, .bio = bio};
    return NEO_OK;
}

static void forget_block(struct pem_reader *reader)
{
    OPENSSL_free(reader->label);
    /* OpenSSL gave it, so it is ours to overwrite. */
    OPENSSL_clear_free((void *)(uintptr_t)reader->der.at, reader->der.len);
    reader->label = NULL;
    reader->der = (struct neo_bytes){0};
}

enum neo_code pem_next(struct pem_reader *reader, struct neo_error *err)
{
    NEO_CLEANUP(openssl_freep) char *header = NULL;
    unsigned char *der = NULL;
    long len = 0;

    forget_block(reader);
    if (PEM_read_bio(reader->bio, &reader->label, &header, &der, &len) != 1) {
        unsigned long last = ERR_peek_last_error();
        if (ERR_GET_LIB(last) == ERR_LIB_PEM && ERR_GET_REASON(last) == PEM_R_NO_START_LINE) {
            ERR_clear_error();
            return neo_fail(err, NEO_NOT_FOUND, "%s: no further PEM block", reader->what);
        }
        return openssl_fail(err, NEO_INVALID_ARGUMENT, "%s: damaged PEM", reader->what);
    }
    reader->der = neo_bytes(der, (size_t)len);
    reader->is_encrypted = header[0] != '\0' || strcmp(reader->label, "ENCRYPTED PRIVATE KEY") == 0;
    return NEO_OK;
}

static void note(struct pem_reader *reader)
{
    if (strcmp(reader->label, "CERTIFICATE") == 0)
        reader->saw_certificate = true;
    else if (strstr(reader->label, "PRIVATE KEY") != NULL)
        reader->saw_key = true;
}

/* Files that were swapped are what goes wrong most. */
static const char *instead(const struct pem_reader *reader)
{
    if (reader->saw_certificate)
        return "; this is a certificate: are the two files swapped?";
    return reader->saw_key ? "; this is a private key: are the two files swapped?" : "";
}

enum neo_code pem_find(struct pem_reader *reader, const char *label, struct neo_error *err)
{
    enum neo_code code;

    for (;;) {
        code = pem_next(reader, err);
        if (code != NEO_OK || strcmp(reader->label, label) == 0)
            break;
        note(reader);
    }
    if (code == NEO_NOT_FOUND)
        return neo_fail(err, code, "%s: no \"%s\" block in PEM%s", reader->what, label,
                        instead(reader));
    return code;
}

enum neo_code pem_find_key(struct pem_reader *reader, struct neo_error *err)
{
    for (;;) {
        enum neo_code code = pem_next(reader, err);
        if (code == NEO_NOT_FOUND)
            return neo_fail(err, NEO_INVALID_ARGUMENT,
                            "%s: no private key; expected a \"PRIVATE KEY\" block in PEM%s",
                            reader->what, instead(reader));
        if (code != NEO_OK || strstr(reader->label, "PRIVATE KEY") != NULL)
            return code;
        note(reader);
    }
}

void pem_close(struct pem_reader *reader)
{
    forget_block(reader);
    BIO_free(reader->bio);
    reader->bio = NULL;
}
