/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/nitro_document.h"

#include "codec/cbor.h"

enum {
    COSE_TAG_SIGN1 = 18,
    MODULE_ID_MAX = 256,
    CERTIFICATE_MAX = 1024,
    PUBLIC_KEY_MAX = 1024,
    OPTIONAL_MAX = 512,
};

/* {1: -35}: the algorithm is ES384, and nothing else is said. */
static const uint8_t es384[] = {0xa1, 0x01, 0x38, 0x22};

#define malformed(...) neo_fail(err, NEO_INVALID_ARGUMENT, __VA_ARGS__)

/* --- the envelope ----------------------------------------------------------------------------- */

static enum neo_code read_envelope(struct neo_bytes text, struct nitro_document *d,
                                   struct neo_error *err)
{
    struct cbor c = cbor_of(text);
    struct cbor_item head, protected_header = {0}, unprotected = {0}, payload = {0},
                           signature = {0};

    if (text.len > NITRO_DOCUMENT_MAX)
        return malformed("a document of %zu bytes, at most %d", text.len, NITRO_DOCUMENT_MAX);
    if (!cbor_next(&c, &head))
        return malformed("not CBOR");
    if (head.type == CBOR_TAG && head.value == COSE_TAG_SIGN1 && !cbor_next(&c, &head))
        return malformed("a tag without a value");
    if (head.type != CBOR_ARRAY || head.value != 4)
        return malformed("not a COSE_Sign1: an array of four");
    (void)cbor_take(&c, CBOR_BYTES, &protected_header);
    (void)cbor_take(&c, CBOR_MAP, &unprotected);
    if (c.failed || unprotected.value != 0)
        return malformed("an unprotected header that is not the empty map");
    (void)cbor_take(&c, CBOR_BYTES, &payload);
    (void)cbor_take(&c, CBOR_BYTES, &signature);
    if (!cbor_is_done(&c))
        return malformed("a COSE_Sign1 that does not end with its signature");
    if (!neo_bytes_equal(protected_header.bytes, neo_bytes(es384, sizeof(es384))))
        return malformed("a protected header that is not {alg: ES384}");
    if (signature.bytes.len != NITRO_SIGNATURE_LEN)
        return malformed("a signature of %zu bytes", signature.bytes.len);
    d->protected_header = protected_header.bytes;
    d->payload = payload.bytes;
    d->signature = signature.bytes;
    return NEO_OK;
}

bool nitro_signed_bytes(const struct nitro_document *d, struct neo_buffer *out)
{
    const uint8_t array_of_four[] = {0x84, 0x6a};
    const uint8_t header[] = {0x40 | (uint8_t)sizeof(es384)};
    const uint8_t empty[] = {0x40};
    const uint8_t length[] = {0x59, (uint8_t)(d->payload.len >> 8), (uint8_t)d->payload.len};
    const uint8_t short_length[] = {0x58, (uint8_t)d->payload.len};
    bool is_short = d->payload.len < 256;

    return neo_buffer_append(out, neo_bytes(array_of_four, sizeof(array_of_four))) &&
           neo_buffer_append(out, NEO_LIT("Signature1")) &&
           neo_buffer_append(out, neo_bytes(header, sizeof(header))) &&
           neo_buffer_append(out, d->protected_header) &&
           neo_buffer_append(out, neo_bytes(empty, sizeof(empty))) &&
           neo_buffer_append(out, is_short ? neo_bytes(short_length, sizeof(short_length))
                                           : neo_bytes(length, sizeof(length))) &&
           neo_buffer_append(out, d->payload);
}

/* --- the payload ------------------------------------------------------------------------------ */

typedef bool read_fn(struct cbor *c, struct nitro_document *d);

static bool read_bytes(struct cbor *c, size_t min, size_t max, struct neo_bytes *ret)
{
    struct cbor_item item;

    if (!cbor_take(c, CBOR_BYTES, &item) || item.bytes.len < min || item.bytes.len > max)
        return false;
    *ret = item.bytes;
    return true;
}

/* Null is as good as absent. */
static bool read_optional(struct cbor *c, size_t max, struct neo_bytes *ret)
{
    struct cbor ahead = *c;
    struct cbor_item item;

    if (cbor_next(&ahead, &item) && item.type == CBOR_NULL) {
        *c = ahead;
        return true;
    }
    return read_bytes(c, 0, max, ret);
}

static bool read_module_id(struct cbor *c, struct nitro_document *d)
{
    struct cbor_item item;

    if (!cbor_take(c, CBOR_TEXT, &item) || item.bytes.len == 0 || item.bytes.len > MODULE_ID_MAX)
        return false;
    d->module_id = item.bytes;
    return true;
}

static bool read_digest(struct cbor *c, struct nitro_document *d)
{
    struct cbor_item item;

    (void)d;
    return cbor_take(c, CBOR_TEXT, &item) && neo_bytes_is(item.bytes, "SHA384");
}

static bool read_timestamp(struct cbor *c, struct nitro_document *d)
{
    struct cbor_item item;

    if (!cbor_take(c, CBOR_UINT, &item) || item.value == 0 || item.value > INT64_MAX)
        return false;
    d->timestamp_ms = item.value;
    return true;
}

static bool read_pcrs(struct cbor *c, struct nitro_document *d)
{
    struct cbor_item map, index;

    if (!cbor_take(c, CBOR_MAP, &map) || map.value == 0 || map.value > NITRO_PCRS)
        return false;
    for (uint64_t i = 0; i < map.value; i++) {
        if (!cbor_take(c, CBOR_UINT, &index) || index.value >= NITRO_PCRS ||
            d->pcrs[index.value].at != NULL ||
            !read_bytes(c, NITRO_PCR_LEN, NITRO_PCR_LEN, &d->pcrs[index.value]))
            return false;
    }
    return true;
}

static bool read_certificate(struct cbor *c, struct nitro_document *d)
{
    return read_bytes(c, 1, CERTIFICATE_MAX, &d->certificate);
}

static bool read_cabundle(struct cbor *c, struct nitro_document *d)
{
    struct cbor_item array;

    if (!cbor_take(c, CBOR_ARRAY, &array) || array.value == 0 || array.value > NITRO_ISSUERS_MAX)
        return false;
    for (uint64_t i = 0; i < array.value; i++) {
        if (!read_bytes(c, 1, CERTIFICATE_MAX, &d->cabundle[i]))
            return false;
    }
    d->n_cabundle = (size_t)array.value;
    return true;
}

static bool read_public_key(struct cbor *c, struct nitro_document *d)
{
    return read_optional(c, PUBLIC_KEY_MAX, &d->public_key);
}

static bool read_user_data(struct cbor *c, struct nitro_document *d)
{
    return read_optional(c, OPTIONAL_MAX, &d->user_data);
}

static bool read_nonce(struct cbor *c, struct nitro_document *d)
{
    return read_optional(c, OPTIONAL_MAX, &d->nonce);
}

static const struct {
    const char *key;
    read_fn *read;
    bool required;
} members[] = {
    {"module_id", read_module_id, true},
    {"digest", read_digest, true},
    {"timestamp", read_timestamp, true},
    {"pcrs", read_pcrs, true},
    {"certificate", read_certificate, true},
    {"cabundle", read_cabundle, true},
    {"public_key", read_public_key, false},
    {"user_data", read_user_data, false},
    {"nonce", read_nonce, false},
};

static enum neo_code read_member(struct cbor *c, struct nitro_document *d, unsigned *seen,
                                 struct neo_error *err)
{
    struct cbor_item key;

    if (!cbor_take(c, CBOR_TEXT, &key))
        return malformed("a payload that is not a map from texts");
    for (unsigned i = 0; i < NEO_COUNT(members); i++) {
        if (!neo_bytes_is(key.bytes, members[i].key))
            continue;
        if ((*seen & 1u << i) != 0)
            return malformed("\"%s\" stands there twice", members[i].key);
        *seen |= 1u << i;
        if (!members[i].read(c, d))
            return malformed("\"%s\" is not of its form", members[i].key);
        return NEO_OK;
    }
    return malformed("an unknown member \"%.*s\"", NEO_FMT(key.bytes));
}

static enum neo_code read_payload(struct nitro_document *d, struct neo_error *err)
{
    struct cbor c = cbor_of(d->payload);
    struct cbor_item map;
    unsigned seen = 0;

    if (!cbor_take(&c, CBOR_MAP, &map))
        return malformed("a payload that is not a map");
    for (uint64_t i = 0; i < map.value; i++)
        NEO_TRY(read_member(&c, d, &seen, err));
    if (!cbor_is_done(&c))
        return malformed("bytes behind the payload's map");
    for (unsigned i = 0; i < NEO_COUNT(members); i++) {
        if (members[i].required && (seen & 1u << i) == 0)
            return malformed("\"%s\" is missing", members[i].key);
    }
    return NEO_OK;
}

enum neo_code nitro_document_read(struct neo_bytes text, struct nitro_document *ret,
                                  struct neo_error *err)
{
    struct nitro_document d = {0};

    NEO_TRY(read_envelope(text, &d, err));
    NEO_TRY(read_payload(&d, err));
    *ret = d;
    return NEO_OK;
}
