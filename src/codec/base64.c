/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Base64 with one spelling per value in each form: stray bits behind the last
 * byte, half a padding and a mixture of the two alphabets are refused, so that
 * nothing can be said twice by spelling it differently.
 */
#include "codec/base64.h"

static const char STANDARD[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char URL_SAFE[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static size_t encoded_len(size_t len, bool padded)
{
    size_t rest = len % 3;

    return len / 3 * 4 + (rest == 0 ? 0 : padded ? 4 : rest + 1);
}

bool neo_base64_encode(struct neo_buffer *out, struct neo_bytes data, enum neo_base64_form form)
{
    const char *alphabet = form == NEO_BASE64_URL ? URL_SAFE : STANDARD;
    size_t len = encoded_len(data.len, form == NEO_BASE64_PADDED);
    uint8_t *at = neo_buffer_reserve(out, len);

    if (out->failed)
        return false;
    uint8_t *end = at + len;
    for (size_t i = 0; i < data.len; i += 3) {
        size_t n = data.len - i < 3 ? data.len - i : 3;
        uint32_t group = (uint32_t)data.at[i] << 16;
        group |= n > 1 ? (uint32_t)data.at[i + 1] << 8 : 0;
        group |= n > 2 ? data.at[i + 2] : 0;
        for (size_t digit = 0; digit <= n; digit++)
            *at++ = (uint8_t)alphabet[group >> (18 - 6 * digit) & 63];
    }
    while (at < end)
        *at++ = '=';
    out->len += len;
    return true;
}

/* Which alphabet the text has shown itself to use. */
enum alphabet { EITHER, IS_STANDARD, IS_URL_SAFE };

/* 0..63, or -1; the four digits that differ settle the alphabet. */
static int value_of(uint8_t digit, enum alphabet *alphabet)
{
    if (digit >= 'A' && digit <= 'Z')
        return digit - 'A';
    if (digit >= 'a' && digit <= 'z')
        return digit - 'a' + 26;
    if (digit >= '0' && digit <= '9')
        return digit - '0' + 52;
    if ((digit == '+' || digit == '/') && *alphabet != IS_URL_SAFE) {
        *alphabet = IS_STANDARD;
        return digit == '+' ? 62 : 63;
    }
    if ((digit == '-' || digit == '_') && *alphabet != IS_STANDARD) {
        *alphabet = IS_URL_SAFE;
        return digit == '-' ? 62 : 63;
    }
    return -1;
}

/* The digits without their padding; padding that does not complete a group stays and is refused. */
static struct neo_bytes without_padding(struct neo_bytes text)
{
    if (text.len > 0 && text.len % 4 == 0 && text.at[text.len - 1] == '=')
        text.len -= text.at[text.len - 2] == '=' ? 2 : 1;
    return text;
}

enum neo_code base64_decode_loose(struct neo_bytes text, struct neo_buffer *out,
                                  struct neo_error *err)
{
    struct neo_bytes digits = without_padding(text);
    size_t len = digits.len / 4 * 3 + digits.len % 4 * 3 / 4;
    enum alphabet alphabet = EITHER;
    uint32_t group = 0;

    if (digits.len % 4 == 1)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "base64 text of %zu bytes is cut off", text.len);
    uint8_t *at = neo_buffer_reserve(out, len);
    if (out->failed)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "no room for %zu bytes of decoded base64",
                        len);
    for (size_t i = 0; i < digits.len; i++) {
        int value = value_of(digits.at[i], &alphabet);
        if (value < 0)
            return neo_fail(
                err, NEO_INVALID_ARGUMENT,
                "base64 text has byte 0x%02x at offset %zu, which does not belong there",
                digits.at[i], i);
        group = group << 6 | (uint32_t)value;
        if (i % 4 != 0)
            *at++ = (uint8_t)(group >> (6 - 2 * (i % 4)));
    }
    out->len += len;
    return NEO_OK;
}

/* After 2 digits 4 bits are left over, after 3 digits 2 bits. */
static bool has_loose_end(struct neo_bytes text)
{
    struct neo_bytes digits = without_padding(text);
    enum alphabet alphabet = EITHER;
    int unused = digits.len % 4 == 2 ? 15 : digits.len % 4 == 3 ? 3 : 0;

    return unused != 0 && (value_of(digits.at[digits.len - 1], &alphabet) & unused) != 0;
}

enum neo_code neo_base64_decode(struct neo_bytes text, struct neo_buffer *out,
                                struct neo_error *err)
{
    size_t before = out->len;

    NEO_TRY(base64_decode_loose(text, out, err));
    if (!has_loose_end(text))
        return NEO_OK;
    out->len = before;
    return neo_fail(err, NEO_INVALID_ARGUMENT,
                    "base64 text ends in bits that stand for nothing; encode it again");
}
