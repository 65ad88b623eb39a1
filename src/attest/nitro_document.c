/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/nitro_document.h"

#include "codec/cbor.h"

enum {
    MODULE_ID_MAX = 256,
    CERTIFICATE_MAX = 1024,
    PUBLIC_KEY_MAX = 1024,
    OPTIONAL_MAX = 512,
};

#define malformed(...) neo_fail(err, NEO_INVALID_ARGUMENT, __VA_ARGS__)

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

/* AWS states 32, 48 or 64 bytes; all there is so far is 48. */
static bool read_pcr(struct cbor *c, struct neo_bytes *ret)
{
    return read_bytes(c, 32, 64, ret) && ret->len % 16 == 0;
}

static bool read_pcrs(struct cbor *c, struct nitro_document *d)
{
    struct cbor_item map, index;

    if (!cbor_take(c, CBOR_MAP, &map) || map.value == 0 || map.value > NITRO_PCRS)
        return false;
    for (uint64_t i = 0; i < map.value; i++) {
        if (!cbor_take(c, CBOR_UINT, &index) || index.value >= NITRO_PCRS ||
            d->pcrs[index.value].at != NULL || !read_pcr(c, &d->pcrs[index.value]))
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
    struct cbor c = cbor_of(d->sign1.payload);
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

    if (text.len > NITRO_DOCUMENT_MAX)
        return malformed("a document of %zu bytes, at most %d", text.len, NITRO_DOCUMENT_MAX);
    NEO_TRY(cose_sign1_read(text, &d.sign1, err));
    if (d.sign1.has_more)
        return malformed("a header with more than the algorithm, which no hypervisor writes");
    if (d.sign1.algorithm != COSE_ES384)
        return malformed("signed with another algorithm than ES384");
    NEO_TRY(read_payload(&d, err));
    *ret = d;
    return NEO_OK;
}
