/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/cose.h"

#include "codec/cbor.h"

enum { TAG_SIGN1 = 18, PAYLOAD_MAX = 0xffff };

/* {1: -7} and {1: -35} */
static const uint8_t es256[] = {0xa1, 0x01, 0x26};
static const uint8_t es384[] = {0xa1, 0x01, 0x38, 0x22};

static const struct {
    struct neo_bytes header;
    size_t signature_len;
} algorithms[] = {
    [COSE_ES256] = {{es256, sizeof(es256)}, 64},
    [COSE_ES384] = {{es384, sizeof(es384)}, 96},
};

#define malformed(...) neo_fail(err, NEO_INVALID_ARGUMENT, __VA_ARGS__)

static enum neo_code read_algorithm(struct cose_sign1 *s, struct neo_error *err)
{
    for (size_t i = 0; i < NEO_COUNT(algorithms); i++) {
        if (!neo_bytes_equal(s->protected_header, algorithms[i].header))
            continue;
        s->algorithm = (enum cose_algorithm)i;
        if (s->signature.len != algorithms[i].signature_len)
            return malformed("a signature of %zu bytes", s->signature.len);
        return NEO_OK;
    }
    return malformed("a protected header that is neither {alg: ES256} nor {alg: ES384}");
}

enum neo_code cose_sign1_read(struct neo_bytes text, struct cose_sign1 *ret, struct neo_error *err)
{
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
    if (c.failed || unprotected.value != 0)
        return malformed("an unprotected header that is not the empty map");
    (void)cbor_take(&c, CBOR_BYTES, &payload);
    (void)cbor_take(&c, CBOR_BYTES, &signature);
    if (!cbor_is_done(&c))
        return malformed("a COSE_Sign1 that does not end with its signature");
    if (payload.bytes.len > PAYLOAD_MAX)
        return malformed("a payload of %zu bytes, at most %d", payload.bytes.len, PAYLOAD_MAX);
    struct cose_sign1 s = {
        .protected_header = header.bytes,
        .payload = payload.bytes,
        .signature = signature.bytes,
    };
    NEO_TRY(read_algorithm(&s, err));
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
