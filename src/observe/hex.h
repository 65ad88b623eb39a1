/* SPDX-License-Identifier: Apache-2.0 */
/*
 * observe/hex.h - lower-case hex without memory or failure, for the hot path.
 */
#ifndef NEO_OBSERVE_HEX_H
#define NEO_OBSERVE_HEX_H

#include <neo/bytes.h>

/* Writes 2 * len digits and returns their end. */
static inline char *hex_put(char *at, const uint8_t *bytes, size_t len)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < len; i++) {
        *at++ = digits[bytes[i] >> 4];
        *at++ = digits[bytes[i] & 15];
    }
    return at;
}

enum { HEX_DIGIT = 0x10 };

/* The value of each lower-case digit, marked as one. */
/* clang-format off */
static const uint8_t hex_values[256] = {
    ['0'] = 0x10, ['1'] = 0x11, ['2'] = 0x12, ['3'] = 0x13, ['4'] = 0x14, ['5'] = 0x15,
    ['6'] = 0x16, ['7'] = 0x17, ['8'] = 0x18, ['9'] = 0x19, ['a'] = 0x1a, ['b'] = 0x1b,
    ['c'] = 0x1c, ['d'] = 0x1d, ['e'] = 0x1e, ['f'] = 0x1f,
};
/* clang-format on */

/* Reads 2 * len lower-case digits; false when there is another character. */
static inline bool hex_take(const uint8_t *text, uint8_t *ret, size_t len)
{
    unsigned all = HEX_DIGIT;

    for (size_t i = 0; i < len; i++) {
        unsigned high = hex_values[text[2 * i]];
        unsigned low = hex_values[text[2 * i + 1]];
        all &= high & low;
        ret[i] = (uint8_t)(high << 4 | (low & 15));
    }
    return all != 0;
}

#endif
