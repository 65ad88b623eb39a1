/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strings: those without escapes are borrowed from the text, the others unescaped into
 * the arena, where they are never longer than they were.
 */
#include "codec/json_read.h"

#include <neo/encoding.h>

enum { UNICODE_LEN = 4 };

/* The length up to the closing quote; sets whether there are escapes. */
static bool find_end(struct neo_json *r, struct neo_bytes *ret, bool *has_escapes)
{
    struct neo_bytes rest = neo_bytes_from(r->text, r->at + 1);
    size_t i = 0;

    *has_escapes = false;
    while (i < rest.len && rest.at[i] != '"') {
        if (rest.at[i] < 0x20) {
            r->at += 1 + i;
            return json_fail(r, "byte 0x%02x in a string must be escaped", rest.at[i]);
        }
        if (rest.at[i] == '\\') {
            *has_escapes = true;
            i++;
        }
        i++;
    }
    if (i >= rest.len)
        return json_fail(r, "the string is not closed");
    *ret = (struct neo_bytes){rest.at, i};
    return true;
}

static bool read_hex(struct neo_bytes text, size_t at, uint32_t *ret)
{
    uint32_t value = 0;

    if (text.len < at + UNICODE_LEN)
        return false;
    for (size_t i = at; i < at + UNICODE_LEN; i++) {
        uint8_t c = text.at[i];
        uint8_t lower = c | 0x20;

        if (c >= '0' && c <= '9')
            value = value << 4 | (uint32_t)(c - '0');
        else if (lower >= 'a' && lower <= 'f')
            value = value << 4 | (uint32_t)(lower - 'a' + 10);
        else
            return false;
    }
    *ret = value;
    return true;
}

static uint8_t *put_utf8(uint8_t *out, uint32_t point)
{
    if (point < 0x80) {
        *out++ = (uint8_t)point;
        return out;
    }
    if (point < 0x800) {
        *out++ = (uint8_t)(0xc0 | point >> 6);
    } else {
        if (point < 0x10000) {
            *out++ = (uint8_t)(0xe0 | point >> 12);
        } else {
            *out++ = (uint8_t)(0xf0 | point >> 18);
            *out++ = (uint8_t)(0x80 | (point >> 12 & 0x3f));
        }
        *out++ = (uint8_t)(0x80 | (point >> 6 & 0x3f));
    }
    *out++ = (uint8_t)(0x80 | (point & 0x3f));
    return out;
}

/* The code point of "uXXXX" or of the pair "uD8XX\uDCXX" at `at`; bytes read, or 0. */
static size_t read_unicode(struct neo_bytes text, size_t at, uint32_t *ret)
{
    uint32_t high;
    uint32_t low;

    if (!read_hex(text, at + 1, &high))
        return 0;
    if (high < 0xd800 || high > 0xdfff) {
        *ret = high;
        return 1 + UNICODE_LEN;
    }
    size_t second = at + 1 + UNICODE_LEN;
    if (high > 0xdbff || !neo_bytes_starts(neo_bytes_from(text, second), NEO_LIT("\\u")) ||
        !read_hex(text, second + 2, &low) || low < 0xdc00 || low > 0xdfff)
        return 0;
    *ret = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
    return 1 + UNICODE_LEN + 2 + UNICODE_LEN;
}

/* What stands behind a backslash, one letter; 0: not one of these. */
static char plain_escape(uint8_t c)
{
    switch (c) {
    case '"':
    case '\\':
    case '/':
        return (char)c;
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return 0;
    }
}

static bool unescape(struct neo_json *r, struct neo_bytes raw, struct neo_bytes *ret)
{
    uint8_t *start = neo_arena_alloc(r->arena, raw.len);
    uint8_t *out = start;

    if (start == NULL)
        return json_exhausted(r, "the memory budget is spent");
    for (size_t i = 0; i < raw.len;) {
        if (raw.at[i] != '\\') {
            *out++ = raw.at[i++];
            continue;
        }
        uint32_t point = (uint32_t)plain_escape(raw.at[i + 1]);
        size_t len = point != 0 ? 1 : raw.at[i + 1] == 'u' ? read_unicode(raw, i + 1, &point) : 0;
        if (len == 0) {
            r->at += 1 + i;
            return json_fail(r, "a malformed escape, or half a surrogate pair");
        }
        out = put_utf8(out, point);
        i += 1 + len;
    }
    *ret = (struct neo_bytes){start, (size_t)(out - start)};
    return true;
}

bool json_read_string(struct neo_json *r, struct neo_bytes *ret)
{
    struct neo_bytes raw = {0};
    bool has_escapes = false;

    if (!find_end(r, &raw, &has_escapes))
        return false;
    if (!neo_is_utf8(raw))
        return json_fail(r, "the string is not UTF-8");
    if (!has_escapes)
        *ret = raw;
    else if (!unescape(r, raw, ret))
        return false;
    r->at += raw.len + 2;
    return true;
}
