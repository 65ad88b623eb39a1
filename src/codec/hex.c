/* SPDX-License-Identifier: Apache-2.0 */
#include <neo/encoding.h>

static const char DIGITS[] = "0123456789abcdef";

/* 0..15, or -1. */
static int value_of(uint8_t digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return -1;
}

bool neo_hex_encode(struct neo_buffer *out, struct neo_bytes data)
{
    /* Half of SIZE_MAX is more than any object holds, so the product cannot overflow. */
    uint8_t *at = neo_buffer_reserve(out, data.len * 2);

    if (out->failed)
        return false;
    for (size_t i = 0; i < data.len; i++) {
        *at++ = (uint8_t)DIGITS[data.at[i] >> 4];
        *at++ = (uint8_t)DIGITS[data.at[i] & 15];
    }
    out->len += data.len * 2;
    return true;
}

enum neo_code neo_hex_decode(struct neo_bytes text, struct neo_buffer *out, struct neo_error *err)
{
    if (text.len % 2 != 0)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "hex text has %zu digits; every byte needs two",
                        text.len);

    uint8_t *at = neo_buffer_reserve(out, text.len / 2);
    if (out->failed)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "no room for %zu bytes of decoded hex",
                        text.len / 2);
    for (size_t i = 0; i < text.len; i += 2) {
        int high = value_of(text.at[i]);
        int low = value_of(text.at[i + 1]);
        if (high < 0 || low < 0)
            return neo_fail(err, NEO_INVALID_ARGUMENT,
                            "hex text has byte 0x%02x at offset %zu; only 0-9, a-f and A-F are hex",
                            text.at[high < 0 ? i : i + 1], high < 0 ? i : i + 1);
        at[i / 2] = (uint8_t)(high << 4 | low);
    }
    out->len += text.len / 2;
    return NEO_OK;
}
