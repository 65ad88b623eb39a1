/* SPDX-License-Identifier: Apache-2.0 */
/*
 * codec/proto_put.h - the pieces that the encoder writes, back to front: each is given where what
 * is written so far begins, and returns the new place. Room is there.
 */
#ifndef NEO_CODEC_PROTO_PUT_H
#define NEO_CODEC_PROTO_PUT_H

#include "codec/proto.h"

static inline uint8_t *put_long_varint(uint8_t *at, uint64_t value)
{
    at -= wire_varint_size(value);
    uint8_t *byte = at;
    for (; value >= 0x80; value >>= 7)
        *byte++ = (uint8_t)(value | 0x80);
    *byte = (uint8_t)value;
    return at;
}

static inline uint8_t *put_varint(uint8_t *at, uint64_t value)
{
    if (value < 0x80) {
        at -= 1;
        at[0] = (uint8_t)value;
        return at;
    }
    if (value < 1 << 14) {
        at -= 2;
        at[0] = (uint8_t)(value | 0x80);
        at[1] = (uint8_t)(value >> 7);
        return at;
    }
    if (value < 1 << 21) {
        at -= 3;
        at[0] = (uint8_t)(value | 0x80);
        at[1] = (uint8_t)(value >> 7 | 0x80);
        at[2] = (uint8_t)(value >> 14);
        return at;
    }
    return put_long_varint(at, value);
}

static inline uint8_t *put_tag(uint8_t *at, const struct neo_field_info *field, uint32_t wire)
{
    return put_varint(at, (uint64_t)field->number << 3 | wire);
}

typedef uint64_t pair __attribute__((vector_size(16)));

/* Fewer than 16 bytes, as two words that overlap; of fewer than four each byte, some twice. */
static inline uint64_t copy_short(uint8_t *to, struct neo_bytes run)
{
    uint64_t first = 0;
    uint64_t last = 0;
    size_t half = run.len >= 8 ? 8 : 4;

    if (run.len >= 8) {
        memcpy(&first, run.at, 8);
        memcpy(&last, run.at + run.len - half, 8);
        memcpy(to, &first, 8);
        memcpy(to + run.len - half, &last, 8);
    } else if (run.len >= 4) {
        memcpy(&first, run.at, 4);
        memcpy(&last, run.at + run.len - half, 4);
        memcpy(to, &first, 4);
        memcpy(to + run.len - half, &last, 4);
    } else if (run.len > 0) {
        first = (uint64_t)run.at[0] | (uint64_t)run.at[run.len / 2] << 8;
        last = run.at[run.len - 1];
        to[0] = run.at[0];
        to[run.len / 2] = run.at[run.len / 2];
        to[run.len - 1] = (uint8_t)last;
    }
    return first | last;
}

/*
 * Copies a run and ORs its bytes together: most strings are short and ASCII, and both are known
 * after one pass that costs less than a call.
 */
static inline uint8_t *put_copy(uint8_t *at, struct neo_bytes run, uint64_t *ret_bits)
{
    pair bits = {0, 0};
    pair words;

    at -= run.len;
    if (run.len < 16) {
        *ret_bits = copy_short(at, run);
        return at;
    }
    for (size_t i = 0; i < run.len - 16; i += 16) {
        memcpy(&words, run.at + i, 16);
        memcpy(at + i, &words, 16);
        bits |= words;
    }
    memcpy(&words, run.at + run.len - 16, 16); /* the last, some of them again */
    memcpy(at + run.len - 16, &words, 16);
    bits |= words;
    *ret_bits = bits[0] | bits[1];
    return at;
}

#endif
