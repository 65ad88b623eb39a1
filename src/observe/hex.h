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

/* -1 for anything that is not a lower-case digit. */
static inline int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Reads 2 * len lower-case digits; false when there is another character. */
static inline bool hex_take(const uint8_t *text, uint8_t *ret, size_t len)
{
    int bad = 0;

    for (size_t i = 0; i < len; i++) {
        int high = hex_value(text[2 * i]);
        int low = hex_value(text[2 * i + 1]);
        bad |= high | low; /* negative once any was */
        ret[i] = (uint8_t)((unsigned)high << 4 | ((unsigned)low & 15));
    }
    return bad >= 0;
}

#endif
