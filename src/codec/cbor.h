/* SPDX-License-Identifier: Apache-2.0 */
/*
 * codec/cbor.h - a pull reader for CBOR (RFC 8949), as strict as evidence needs it, and a writer.
 *
 * Refused: indefinite lengths, lengths beyond the input, reserved forms, simple
 * values other than false, true and null, floats, text that is not UTF-8. Heads
 * need not be the shortest. Items are read one by one; cbor_skip() walks over a
 * whole one without recursion, at a cost of the bytes it covers.
 *
 * After a failure every read fails: check `failed`, or the result of the last one.
 */
#ifndef NEO_CODEC_CBOR_H
#define NEO_CODEC_CBOR_H

#include <neo/bytes.h>

enum cbor_type {
    CBOR_UINT,  /* value */
    CBOR_NINT,  /* -1 - value */
    CBOR_BYTES, /* bytes */
    CBOR_TEXT,  /* bytes */
    CBOR_ARRAY, /* value items follow */
    CBOR_MAP,   /* value pairs follow */
    CBOR_TAG,   /* value; one item follows */
    CBOR_FALSE,
    CBOR_TRUE,
    CBOR_NULL,
};

struct cbor_item {
    enum cbor_type type;
    uint64_t value;
    struct neo_bytes bytes; /* of the input */
};

struct cbor {
    const uint8_t *at;
    const uint8_t *end;
    bool failed;
};

static inline struct cbor cbor_of(struct neo_bytes text)
{
    return (struct cbor){.at = text.at, .end = text.at + text.len};
}

/* The next item's head; of strings, the contents too. False: failed, `*ret` is untouched. */
bool cbor_next(struct cbor *c, struct cbor_item *ret);
/* The next item, which must be of this type. */
bool cbor_take(struct cbor *c, enum cbor_type type, struct cbor_item *ret);
/* Over one whole item, whatever it holds; its bytes, empty when it failed. */
struct neo_bytes cbor_skip(struct cbor *c);
/* Everything was read and nothing failed. */
static inline bool cbor_is_done(const struct cbor *c)
{
    return !c->failed && c->at == c->end;
}

struct neo_buffer;
/* Appends an item's head in its shortest form; false as neo_buffer_append(). */
bool cbor_put(struct neo_buffer *out, enum cbor_type type, uint64_t value);
/* Whole strings. `text` is UTF-8. */
bool cbor_put_bytes(struct neo_buffer *out, struct neo_bytes bytes);
bool cbor_put_text(struct neo_buffer *out, const char *text);

#endif
