/* SPDX-License-Identifier: Apache-2.0 */
/*
 * codec/proto_put.h - the pieces that the encoder writes, back to front: each is given where what
 * is written so far begins, and returns the new place. Room is there.
 */
#ifndef NEO_CODEC_PROTO_PUT_H
#define NEO_CODEC_PROTO_PUT_H

#include "codec/proto.h"

/* What is written for every field: as a call it would take half as long again. */
#define PUT_INLINE __attribute__((always_inline)) static inline

/* Bytes before the place of a varint that put_varint() may write to, whatever the value takes. */
enum { PUT_VARINT_ROOM = 10 };

/* Of 57 bits and more: negative numbers, most of them. */
static inline uint8_t *put_widest_varint(uint8_t *at, uint64_t value)
{
    at -= wire_varint_size(value);
    uint8_t *byte = at;
    for (; value >= 0x80; value >>= 7)
        *byte++ = (uint8_t)(value | 0x80);
    *byte = (uint8_t)value;
    return at;
}

/*
 * Of 8 to 56 bits: seven of them in each byte of a word, whose used part ends at `at`. What lies
 * before it is room, so that the unused part may fall there; and nobody has to guess how long the
 * next one is. (w & half) * 3 added to w moves that half by two bits, and so on.
 */
static inline uint8_t *put_wide_varint(uint8_t *at, uint64_t value)
{
    uint64_t word = value;

    word += (word & UINT64_C(0x00fffffff0000000)) * 15;
    word += (word & UINT64_C(0x0fffc0000fffc000)) * 3;
    word += word & UINT64_C(0x3f803f803f803f80);
    unsigned before_last = (63 - (unsigned)__builtin_clzll(word)) & 56; /* bits; not 0 */
    word |= UINT64_C(0x8080808080808080) >> (64 - before_last);
    word <<= 56 - before_last;
    memcpy(at - sizeof(word), &word, sizeof(word));
    return at - before_last / 8 - 1;
}

static inline uint8_t *put_varint(uint8_t *at, uint64_t value)
{
    if (value < 0x80) {
        at -= 1;
        at[0] = (uint8_t)value;
        return at;
    }
    return value >> 56 == 0 ? put_wide_varint(at, value) : put_widest_varint(at, value);
}

static inline uint8_t *put_tag(uint8_t *at, const struct neo_field_info *field, uint32_t wire)
{
    uint32_t tag = field->number << 3 | wire;

    if (tag < 0x80) {
        at -= 1;
        at[0] = (uint8_t)tag;
        return at;
    }
    if (tag < 1 << 14) {
        at -= 2;
        at[0] = (uint8_t)(tag | 0x80);
        at[1] = (uint8_t)(tag >> 7);
        return at;
    }
    return put_widest_varint(at, tag);
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
 * after one pass that costs less than a call. Up to 32 bytes are two pieces that overlap.
 */
PUT_INLINE uint8_t *put_copy(uint8_t *at, struct neo_bytes run, uint64_t *ret_bits)
{
    pair bits;
    pair words;

    at -= run.len;
    if (run.len < 16) {
        *ret_bits = copy_short(at, run);
        return at;
    }
    memcpy(&bits, run.at, 16);
    memcpy(at, &bits, 16);
    for (size_t i = 16; i + 16 < run.len; i += 16) {
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
