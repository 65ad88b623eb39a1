/* SPDX-License-Identifier: Apache-2.0 */
#include <neo/encoding.h>

#include "codec/utf8.h"

/*
 * The second byte carries all the special cases: it is where overlong forms,
 * surrogates and numbers beyond U+10FFFF show.
 */
size_t utf8_sequence_len(const uint8_t *at, size_t left)
{
    uint8_t first = at[0];
    uint8_t low = 0x80;
    uint8_t high = 0xbf;
    size_t len;

    if (first < 0x80)
        return 1;
    if (first < 0xc2 || first > 0xf4)
        return 0;
    len = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (left < len)
        return 0;
    if (first == 0xe0)
        low = 0xa0;
    else if (first == 0xed)
        high = 0x9f;
    else if (first == 0xf0)
        low = 0x90;
    else if (first == 0xf4)
        high = 0x8f;
    if (at[1] < low || at[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    return len;
}

uint32_t utf8_code_point(const uint8_t *at, size_t len)
{
    uint32_t value = len == 1 ? at[0] : at[0] & (0x7fu >> len);

    for (size_t i = 1; i < len; i++)
        value = value << 6 | (at[i] & 0x3fu);
    return value;
}

/* Most text is ASCII: eight bytes at a time while no high bit shows. */
static size_t ascii_len(struct neo_bytes text)
{
    size_t len = 0;
    uint64_t word;

    while (text.len - len >= sizeof(word)) {
        memcpy(&word, text.at + len, sizeof(word));
        if ((word & UINT64_C(0x8080808080808080)) != 0)
            break;
        len += sizeof(word);
    }
    return len;
}

bool neo_is_utf8(struct neo_bytes text)
{
    while (text.len > 0) {
        size_t len = ascii_len(text);
        if (len == 0)
            len = utf8_sequence_len(text.at, text.len);
        if (len == 0)
            return false;
        text = neo_bytes_from(text, len);
    }
    return true;
}
