/* SPDX-License-Identifier: Apache-2.0 */
/*
 * codec/wire.h - the protobuf wire format: tags and varints.
 *
 * Readers take a position and the end and return the next position, or NULL when
 * what is there cannot be read; so a parser's state stays in registers.
 */
#ifndef NEO_CODEC_WIRE_H
#define NEO_CODEC_WIRE_H

#include <neo/proto.h>

enum wire_type {
    WIRE_VARINT = 0,
    WIRE_64 = 1,
    WIRE_LEN = 2,
    WIRE_GROUP = 3,
    WIRE_END_GROUP = 4,
    WIRE_32 = 5,
};

enum { WIRE_VARINT_MAX = 10, WIRE_TAG_MAX = 5 };

/* How a kind lies on the wire and in a struct. */
struct wire_kind {
    uint8_t wire; /* enum wire_type */
    uint8_t size; /* of one element in memory; 0: not a kind */
};
extern const struct wire_kind wire_kinds[NEO_KIND_SINT64 + 1];

/* The layout of every repeated field: struct { T *at; size_t len; }. */
struct wire_array {
    uint8_t *at;
    size_t len;
};

/* The slow halves of what follows. */
const uint8_t *wire_varint_long(const uint8_t *at, const uint8_t *end, uint64_t *ret);
const uint8_t *wire_tag_long(const uint8_t *at, const uint8_t *end, uint32_t *ret);

/* Longer than ten bytes or beyond 64 bits is refused; padded with zero groups is not. */
static inline const uint8_t *wire_varint(const uint8_t *at, const uint8_t *end, uint64_t *ret)
{
    if (at < end && *at < 0x80) {
        *ret = *at;
        return at + 1;
    }
    if (end - at > 1 && at[1] < 0x80) {
        *ret = (uint64_t)(at[0] & 0x7f) | (uint64_t)at[1] << 7;
        return at + 2;
    }
    return wire_varint_long(at, end, ret);
}

/* Forwards; room for WIRE_VARINT_MAX is there. */
static inline uint8_t *wire_put_varint(uint8_t *at, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        *at++ = (uint8_t)(value | 0x80);
    *at++ = (uint8_t)value;
    return at;
}

/* Refuses field number 0. */
static inline const uint8_t *wire_tag(const uint8_t *at, const uint8_t *end, uint32_t *ret)
{
    if (at < end && *at < 0x80 && *at >= 8) {
        *ret = *at;
        return at + 1;
    }
    return wire_tag_long(at, end, ret);
}

/* The run behind a length that was just read; NULL when it is not all there. */
static inline const uint8_t *wire_len(const uint8_t *at, const uint8_t *end, size_t *ret)
{
    uint64_t len;

    at = wire_varint(at, end, &len);
    if (at == NULL || len > (uint64_t)(end - at))
        return NULL;
    *ret = (size_t)len;
    return at;
}

/* Of `bits` significant ones (bits + 6) / 7, which for 1 to 64 is (9 * bits + 64) / 64. */
static inline size_t wire_varint_size(uint64_t value)
{
    unsigned bits = 64 - (unsigned)__builtin_clzll(value | 1);

    return (9 * bits + 64) / 64;
}

static inline size_t wire_tag_size(uint32_t number)
{
    return wire_varint_size((uint64_t)number << 3);
}

static inline uint64_t wire_zigzag(int64_t value)
{
    return (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0);
}

static inline int64_t wire_unzigzag(uint64_t value)
{
    return (int64_t)(value >> 1 ^ (0 - (value & 1)));
}

#endif
