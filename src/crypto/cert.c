/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From DER to facts.
 *
 * Our own strict walk over the DER comes first: it bounds what OpenSSL's parser
 * can be made to do, and it yields the serial, the key and the times as the exact
 * bytes that were signed. OpenSSL then reads the extensions. A certificate whose
 * alternative names hold anything but visible ASCII never becomes a neo_cert, so
 * no reader further up can be fooled by a NUL.
 */
#include "crypto/cert.h"

#include "crypto/der.h"
#include "crypto/lean.h"
#include "crypto/pem.h"
#include "crypto/spki.h"

#include <neo/memory.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <time.h>

enum { ARENA_BUDGET = 256 << 10 };

static enum neo_code out_of_memory(const char *what, struct neo_error *err)
{
    return openssl_fail(err, NEO_RESOURCE_EXHAUSTED, "%s: out of memory", what);
}

static enum neo_code malformed(const char *what, const char *which, struct neo_error *err)
{
    return openssl_fail(err, NEO_INVALID_ARGUMENT, "%s: certificate with a bad %s", what, which);
}

/* --- the outer structure ------------------------------------------------------------------- */

static unsigned digits(struct cursor *c, size_t n)
{
    unsigned value = 0;

    for (size_t i = 0; i < n; i++) {
        uint8_t digit = cursor_u8(c);
        if (digit < '0' || digit > '9')
            c->failed = true;
        value = value * 10 + digit - '0';
    }
    return c->failed ? 0 : value;
}

/* YYMMDDHHMMSSZ or YYYYMMDDHHMMSSZ, the only two forms that RFC 5280 allows. */
static int64_t take_time(struct cursor *c)
{
    bool is_short = der_is_next(c, DER_UTC_TIME);
    struct neo_bytes text = der_take(c, is_short ? DER_UTC_TIME : DER_GENERALIZED_TIME).body;
    struct cursor t = cursor_of(text);
    unsigned year = digits(&t, is_short ? 2 : 4);

    if (is_short)
        year += year < 50 ? 2000 : 1900;
    unsigned month = digits(&t, 2), day = digits(&t, 2);
    unsigned hour = digits(&t, 2), minute = digits(&t, 2), second = digits(&t, 2);
    if (cursor_u8(&t) != 'Z' || !cursor_is_done(&t) || month < 1 || month > 12 || day < 1 ||
        day > 31 || hour > 23 || minute > 59 || second > 59)
        c->failed = true;
    struct tm broken = {.tm_year = (int)year - 1900,
                        .tm_mon = (int)month - 1,
                        .tm_mday = (int)day,
                        .tm_hour = (int)hour,
                        .tm_min = (int)minute,
                        .tm_sec = (int)second};
    int64_t seconds = timegm(&broken); /* turns 31 February into 3 March, in `broken` too */
    if (broken.tm_mday != (int)day)
        c->failed = true;
    return c->failed ? 0 : seconds;
}

static struct neo_bytes without_leading_zeros(struct neo_bytes number)
{
    while (number.len > 1 && number.at[0] == 0)
        number = neo_bytes_from(number, 1);
    return number;
}

/* RFC 5280, 4.1: all but the extensions. */
static enum neo_code read_outline(struct neo_cert *cert, const char *what, struct neo_error *err)
{
    struct neo_cert_facts *f = &cert->facts;
    struct cursor outside = cursor_of(f->der);
    struct cursor whole = cursor_of(der_take(&outside, DER_SEQUENCE).body);
    struct cursor tbs = cursor_of(der_take(&whole, DER_SEQUENCE).body);

    if (der_is_next(&tbs, DER_CONTEXT_0))
        (void)der_any(&tbs); /* version */
    struct neo_bytes serial = der_take(&tbs, DER_INTEGER).body;
    (void)der_take(&tbs, DER_SEQUENCE); /* signature algorithm */
    (void)der_take(&tbs, DER_SEQUENCE); /* issuer */
    struct cursor validity = cursor_of(der_take(&tbs, DER_SEQUENCE).body);
    f->not_before = take_time(&validity);
    f->not_after = take_time(&validity);
    (void)der_take(&tbs, DER_SEQUENCE); /* subject */
    f->spki = der_take(&tbs, DER_SEQUENCE).whole;
    (void)der_take(&whole, DER_SEQUENCE); /* signature algorithm */
    (void)der_take_bits(&whole);
    if (tbs.failed || !cursor_is_done(&whole) || serial.len == 0 || (serial.at[0] & 0x80) != 0)
        return malformed(what, "structure", err);
    if (!cursor_is_done(&validity))
        return malformed(what, "validity", err);
    f->serial = without_leading_zeros(serial);
    if (f->serial.len > CERT_SERIAL_MAX)
        return malformed(what, "serial number: more than 20 bytes", err);
    return NEO_OK;
}

/* --- names --------------------------------------------------------------------------------- */

static bool is_visible(struct neo_bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < 0x21 || text.at[i] > 0x7e)
            return false;
    }
    return text.len > 0;
}

static struct neo_bytes string_bytes(const ASN1_STRING *string)
{
    return neo_bytes(ASN1_STRING_get0_data(string), (size_t)ASN1_STRING_length(string));
}

static enum neo_code read_name(struct neo_cert *cert, const GENERAL_NAME *name,
                               const char **dns_names, const char *what, struct neo_error *err)
{
    struct neo_cert_facts *f = &cert->facts;
    int type = 0;
    const ASN1_STRING *string = GENERAL_NAME_get0_value(name, &type);
    bool is_text = type == GEN_URI || type == GEN_DNS || type == GEN_EMAIL;

    if (is_text && !is_visible(string_bytes(string)))
        return malformed(what, "alternative name: a NUL or another unprintable byte", err);
    if (type == GEN_URI) {
        const char *uri = neo_arena_string(&cert->arena, string_bytes(string));
        *(cert->names_end - ++cert->uris) = uri;
        if (uri != NULL)
            f->uri = neo_text(uri);
    } else if (type == GEN_DNS) {
        dns_names[f->dns_names++] = neo_arena_string(&cert->arena, string_bytes(string));
    } else {
        cert->has_foreign_names = true;
    }
    return NEO_OK;
}

static enum neo_code read_names(struct neo_cert *cert, const GENERAL_NAMES *names, const char *what,
                                struct neo_error *err)
{
    int n = sk_GENERAL_NAME_num(names);

    if (n > CERT_NAMES_MAX)
        return malformed(what, "subject alternative name: more than 64 of them", err);
    const char **dns_names = neo_arena_calloc(&cert->arena, (size_t)n, sizeof(*dns_names));
    if (neo_arena_failed(&cert->arena))
        return out_of_memory(what, err);
    cert->facts.dns_name = dns_names;
    cert->names_end = dns_names + n;
    for (int i = 0; i < n; i++)
        NEO_TRY(read_name(cert, sk_GENERAL_NAME_value(names, i), dns_names, what, err));
    if (cert->uris != 1)
        cert->facts.uri = (struct neo_bytes){0};
    if (cert->uris == 1 && neo_spiffe_parse(cert->facts.uri, &cert->facts.id, NULL) != NEO_OK)
        cert->facts.id = (struct neo_spiffe_id){0};
    return NEO_OK;
}

static enum neo_code read_alternative_names(struct neo_cert *cert, const char *what,
                                            struct neo_error *err)
{
    int found = 0;
    GENERAL_NAMES *names = X509_get_ext_d2i(cert->x509, NID_subject_alt_name, &found, NULL);

    if (names == NULL)
        return found == -1 ? NEO_OK : malformed(what, "subject alternative name", err);
    enum neo_code code = read_names(cert, names, what, err);
    GENERAL_NAMES_free(names);
    return code;
}

/* RFC 4514, every byte that is not visible ASCII escaped. */
static const char *one_line(struct neo_cert *cert, const X509_NAME *name)
{
    NEO_CLEANUP(openssl_bio_freep) BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;

    if (bio == NULL || X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 | ASN1_STRFLGS_ESC_MSB) < 0)
        return NULL;
    long len = BIO_get_mem_data(bio, &text);
    return neo_arena_string(&cert->arena, neo_bytes(text, (size_t)len));
}

/* --- the rest ------------------------------------------------------------------------------ */

/* Where nobody can read the key, the certificate still says what kind it is. */
static const char *claimed_key_kind(const X509 *x509)
{
    ASN1_OBJECT *kind = NULL;

    ERR_clear_error();
    return X509_PUBKEY_get0_param(&kind, NULL, NULL, NULL, X509_get_X509_PUBKEY(x509)) == 1
               ? OBJ_nid2ln(OBJ_obj2nid(kind))
               : "unknown";
}

static const char *name_key_kind(struct neo_cert *cert)
{
    const struct spki_form *form = spki_form(cert->facts.spki);
    const EVP_PKEY *pkey = form != NULL ? NULL : X509_get0_pubkey(cert->x509);

    if (form != NULL)
        return form->name;
    if (pkey == NULL)
        return claimed_key_kind(cert->x509);
    const char *kind = EVP_PKEY_get0_type_name(pkey);
    return neo_arena_printf(&cert->arena, "%s-%d", kind, EVP_PKEY_get_bits(pkey));
}

static struct neo_bytes key_id_bytes(const ASN1_OCTET_STRING *id)
{
    if (id == NULL)
        return (struct neo_bytes){0};
    return string_bytes(id);
}

static enum neo_code read_extensions(struct neo_cert *cert, const char *what, struct neo_error *err)
{
    struct neo_cert_facts *f = &cert->facts;

    /* Makes OpenSSL read the extensions it knows, before the object is shared between threads. */
    (void)X509_check_purpose(cert->x509, -1, 0);
    if ((X509_get_extension_flags(cert->x509) & EXFLAG_INVALID) != 0)
        return malformed(what, "extension", err);
    /* What it claims, not what X509_check_ca() makes of it: that says no without keyCertSign. */
    f->is_ca = (X509_get_extension_flags(cert->x509) & EXFLAG_CA) != 0;
    f->subject_key_id = key_id_bytes(X509_get0_subject_key_id(cert->x509));
    f->issuer_key_id = key_id_bytes(X509_get0_authority_key_id(cert->x509));
    if (f->subject_key_id.len > CERT_KEY_ID_MAX || f->issuer_key_id.len > CERT_KEY_ID_MAX)
        return malformed(what, "key identifier: more than 64 bytes", err);
    NEO_TRY(read_alternative_names(cert, what, err));
    f->subject = one_line(cert, X509_get_subject_name(cert->x509));
    f->issuer = one_line(cert, X509_get_issuer_name(cert->x509));
    f->key_kind = name_key_kind(cert);
    if (f->subject == NULL || f->issuer == NULL || neo_arena_failed(&cert->arena))
        return out_of_memory(what, err);
    ERR_clear_error();
    return NEO_OK;
}

static struct neo_cert *new_cert(void)
{
    struct neo_cert *cert = neo_alloc(sizeof(*cert));

    if (cert == NULL)
        return NULL;
    cert->refs = 1;
    neo_arena_init_with(&cert->arena, cert->first, sizeof(cert->first), ARENA_BUDGET);
    return cert;
}

static enum neo_code read_all(struct neo_cert *cert, const char *what, struct neo_error *err)
{
    NEO_TRY(read_outline(cert, what, err));
    return read_extensions(cert, what, err);
}

static enum neo_code check_form(struct neo_bytes der, const char *what, struct neo_error *err)
{
    if (der.len > CERT_MAX)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "%s: certificate of %zu bytes, at most %d", what,
                        der.len, CERT_MAX);
    if (!der_is_strict(der, CERT_ELEMENTS))
        return neo_fail(err, NEO_INVALID_ARGUMENT, "%s: not one certificate in strict DER", what);
    return NEO_OK;
}

static enum neo_code read_by(OSSL_LIB_CTX *library, struct neo_bytes der, const char *what,
                             struct neo_cert **ret, struct neo_error *err)
{
    NEO_TRY(check_form(der, what, err));

    NEO_CLEANUP(neo_cert_unrefp) struct neo_cert *cert = new_cert();
    if (cert == NULL)
        return out_of_memory(what, err);
    cert->facts.der = neo_arena_copy(&cert->arena, der);
    cert->x509 = X509_new_ex(library, NULL);
    if (neo_arena_failed(&cert->arena) || cert->x509 == NULL)
        return out_of_memory(what, err);
    const uint8_t *at = der.at;
    if (d2i_X509(&cert->x509, &at, (long)der.len) == NULL)
        return malformed(what, "form", err);
    NEO_TRY(read_all(cert, what, err));
    *ret = cert;
    cert = NULL;
    return NEO_OK;
}

enum neo_code neo_cert_from_der(struct neo_bytes der, const char *what, struct neo_cert **ret,
                                struct neo_error *err)
{
    return read_by(NULL, der, what, ret, err);
}

enum neo_code cert_from_peer(struct neo_bytes der, struct neo_cert **ret, struct neo_error *err)
{
    return read_by(lean_reader(), der, "peer", ret, err);
}

enum neo_code neo_cert_from_pem(struct neo_bytes text, const char *what, struct neo_cert **ret,
                                struct neo_error *err)
{
    NEO_CLEANUP(pem_close) struct pem_reader pem = {0};

    NEO_TRY(pem_open(&pem, text, what, err));
    NEO_TRY(pem_find(&pem, "CERTIFICATE", err));
    return neo_cert_from_der(pem.der, what, ret, err);
}

struct neo_cert *neo_cert_ref(struct neo_cert *cert)
{
    atomic_fetch_add_explicit(&cert->refs, 1, memory_order_relaxed);
    return cert;
}

void neo_cert_unref(struct neo_cert *cert)
{
    /* Walks to the issuers: a loop, because a verified path holds its certificates in a row. */
    while (cert != NULL && atomic_fetch_sub_explicit(&cert->refs, 1, memory_order_acq_rel) == 1) {
        struct neo_cert *issuer = cert->issued_by;

        X509_free(cert->x509);
        neo_arena_fini(&cert->arena);
        neo_free(cert);
        cert = issuer;
    }
}

void neo_cert_unrefp(struct neo_cert **cert)
{
    neo_cert_unref(*cert);
}

const struct neo_cert_facts *neo_cert_facts(const struct neo_cert *cert)
{
    return &cert->facts;
}

const char *neo_cert_uri(const struct neo_cert *cert, size_t i)
{
    return i < cert->uris ? *(cert->names_end - 1 - i) : NULL;
}

bool neo_cert_to_pem(const struct neo_cert *cert, struct neo_buffer *out)
{
    NEO_CLEANUP(openssl_bio_freep) BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;

    /* The bytes as they came: OpenSSL would write anew what it understood of them. */
    if (bio == NULL || PEM_write_bio(bio, PEM_STRING_X509, "", cert->facts.der.at,
                                     (long)cert->facts.der.len) <= 0) {
        ERR_clear_error();
        return false;
    }
    long len = BIO_get_mem_data(bio, &text);
    return neo_buffer_append(out, neo_bytes(text, (size_t)len));
}
