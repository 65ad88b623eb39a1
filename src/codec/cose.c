/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/cose.h"

#include "codec/cbor.h"

enum { TAG_SIGN1 = 18, PAYLOAD_MAX = 0xffff, KEY_NAME_MAX = 64, MEMBERS_MAX = 4 };

/* Of headers (RFC 9052, 3.1; RFC 9596). */
enum { HEADER_ALG = 1, HEADER_CONTENT_TYPE = 3, HEADER_KID = 4, HEADER_TYP = 16 };

static const struct {
    uint64_t value; /* -7 and -35 as CBOR has them: -1 - value */
    size_t signature_len;
} algorithms[] = {
    [COSE_ES256] = {6, 64},
    [COSE_ES384] = {34, 96},
};

#define malformed(...) neo_fail(err, NEO_INVALID_ARGUMENT, __VA_ARGS__)

static bool read_algorithm(struct cbor *c, struct cose_sign1 *s)
{
    struct cbor_item item;

    if (!cbor_take(c, CBOR_NINT, &item))
        return false;
    for (size_t i = 0; i < NEO_COUNT(algorithms); i++) {
        if (item.value == algorithms[i].value) {
            s->algorithm = (enum cose_algorithm)i;
            return s->signature.len == algorithms[i].signature_len;
        }
    }
    return false;
}

/* What says nothing that anybody acts on. */
static bool read_other(struct cbor *c, uint64_t key, bool is_protected)
{
    struct cbor_item item;

    if (!cbor_next(c, &item))
        return false;
    if (key == HEADER_KID)
        return item.type == CBOR_BYTES && item.bytes.len <= KEY_NAME_MAX;
    return is_protected && (key == HEADER_CONTENT_TYPE || key == HEADER_TYP) &&
           (item.type == CBOR_UINT || item.type == CBOR_TEXT);
}

static bool read_members(struct cbor *c, uint64_t n, bool is_protected, struct cose_sign1 *s)
{
    struct cbor_item key;
    uint32_t seen = 0;

    for (uint64_t i = 0; i < n; i++) {
        if (!cbor_take(c, CBOR_UINT, &key) || key.value > HEADER_TYP ||
            (seen & UINT32_C(1) << key.value) != 0)
            return false;
        seen |= UINT32_C(1) << key.value;
        bool is_algorithm = is_protected && key.value == HEADER_ALG;
        if (is_algorithm ? !read_algorithm(c, s) : !read_other(c, key.value, is_protected))
            return false;
        s->has_more = s->has_more || !is_algorithm;
    }
    return !is_protected || (seen & 1u << HEADER_ALG) != 0;
}

static enum neo_code read_protected(struct cose_sign1 *s, struct neo_error *err)
{
    struct cbor c = cbor_of(s->protected_header);
    struct cbor_item map;

    if (!cbor_take(&c, CBOR_MAP, &map) || map.value > MEMBERS_MAX ||
        !read_members(&c, map.value, true, s) || !cbor_is_done(&c))
        return malformed("a protected header that is neither of ES256 nor of ES384, or a signature "
                         "of %zu bytes",
                         s->signature.len);
    return NEO_OK;
}

enum neo_code cose_sign1_read(struct neo_bytes text, struct cose_sign1 *ret, struct neo_error *err)
{
    struct cose_sign1 s = {.has_more = false};
    struct cbor c = cbor_of(text);
    struct cbor_item head, header = {0}, unprotected = {0}, payload = {0}, signature = {0};

    if (!cbor_next(&c, &head))
        return malformed("not CBOR");
    if (head.type == CBOR_TAG && head.value == TAG_SIGN1 && !cbor_next(&c, &head))
        return malformed("a tag without a value");
    if (head.type != CBOR_ARRAY || head.value != 4)
        return malformed("not a COSE_Sign1: an array of four");
    (void)cbor_take(&c, CBOR_BYTES, &header);
    (void)cbor_take(&c, CBOR_MAP, &unprotected);
    if (c.failed || unprotected.value > 1 || !read_members(&c, unprotected.value, false, &s))
        return malformed("an unprotected header that has more than a key's name");
    (void)cbor_take(&c, CBOR_BYTES, &payload);
    (void)cbor_take(&c, CBOR_BYTES, &signature);
    if (!cbor_is_done(&c))
        return malformed("a COSE_Sign1 that does not end with its signature");
    if (payload.bytes.len > PAYLOAD_MAX)
        return malformed("a payload of %zu bytes, at most %d", payload.bytes.len, PAYLOAD_MAX);
    s.protected_header = header.bytes;
    s.payload = payload.bytes;
    s.signature = signature.bytes;
    NEO_TRY(read_protected(&s, err));
    *ret = s;
    return NEO_OK;
}

/* The head of a byte string in its shortest form. */
static bool put_bytes(struct neo_buffer *out, struct neo_bytes bytes)
{
    const uint8_t head[] = {0x59, (uint8_t)(bytes.len >> 8), (uint8_t)bytes.len};
    const uint8_t medium[] = {0x58, (uint8_t)bytes.len};
    bool fits;

    if (bytes.len < 24)
        fits = neo_buffer_append_byte(out, (uint8_t)(0x40 | bytes.len));
    else if (bytes.len < 256)
        fits = neo_buffer_append(out, neo_bytes(medium, sizeof(medium)));
    else
        fits = neo_buffer_append(out, neo_bytes(head, sizeof(head)));
    return fits && neo_buffer_append(out, bytes);
}

bool cose_signed_bytes(const struct cose_sign1 *s, struct neo_buffer *out)
{
    return neo_buffer_append(out, NEO_LIT("\x84\x6a"
                                          "Signature1")) &&
           put_bytes(out, s->protected_header) && put_bytes(out, (struct neo_bytes){0}) &&
           put_bytes(out, s->payload);
}
