/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/cbor.h"

#include <neo/encoding.h>

/* The additional information of a head: below 24 it is the value, from here on it counts bytes. */
enum { ONE_BYTE = 24, EIGHT_BYTES = 27 };
enum { SIMPLE_FALSE = 20, SIMPLE_TRUE = 21, SIMPLE_NULL = 22 };

static bool refuse(struct cbor *c)
{
    c->failed = true;
    c->at = c->end;
    return false;
}

static size_t left(const struct cbor *c)
{
    return (size_t)(c->end - c->at);
}

static bool read_value(struct cbor *c, unsigned info, uint64_t *ret)
{
    if (info < ONE_BYTE) {
        *ret = info;
        return true;
    }
    if (info > EIGHT_BYTES)
        return refuse(c);
    size_t n = (size_t)1 << (info - ONE_BYTE);
    if (left(c) < n)
        return refuse(c);
    uint64_t value = 0;
    for (size_t i = 0; i < n; i++)
        value = value << 8 | c->at[i];
    c->at += n;
    *ret = value;
    return true;
}

static bool read_string(struct cbor *c, struct cbor_item *item)
{
    if (item->value > left(c))
        return refuse(c);
    item->bytes = neo_bytes(c->at, (size_t)item->value);
    if (item->type == CBOR_TEXT && !neo_is_utf8(item->bytes))
        return refuse(c);
    c->at += item->value;
    return true;
}

static bool read_simple(struct cbor *c, unsigned info, struct cbor_item *item)
{
    switch (info) {
    case SIMPLE_FALSE:
        item->type = CBOR_FALSE;
        return true;
    case SIMPLE_TRUE:
        item->type = CBOR_TRUE;
        return true;
    case SIMPLE_NULL:
        item->type = CBOR_NULL;
        return true;
    default:
        return refuse(c);
    }
}

bool cbor_next(struct cbor *c, struct cbor_item *ret)
{
    static const enum cbor_type types[] = {CBOR_UINT,  CBOR_NINT, CBOR_BYTES, CBOR_TEXT,
                                           CBOR_ARRAY, CBOR_MAP,  CBOR_TAG};

    if (c->failed || c->at == c->end)
        return refuse(c);
    unsigned major = *c->at >> 5;
    unsigned info = *c->at & 0x1f;
    struct cbor_item item = {0};

    c->at++;
    if (major == NEO_COUNT(types)) {
        if (!read_simple(c, info, &item))
            return false;
        *ret = item;
        return true;
    }
    item.type = types[major];
    if (!read_value(c, info, &item.value))
        return false;
    if ((item.type == CBOR_BYTES || item.type == CBOR_TEXT) && !read_string(c, &item))
        return false;
    /* Every item takes a byte at least: what cannot be there is refused before anybody counts. */
    if (item.type == CBOR_ARRAY && item.value > left(c))
        return refuse(c);
    if (item.type == CBOR_MAP && item.value > left(c) / 2)
        return refuse(c);
    *ret = item;
    return true;
}

bool cbor_take(struct cbor *c, enum cbor_type type, struct cbor_item *ret)
{
    struct cbor_item item;

    if (!cbor_next(c, &item))
        return false;
    if (item.type != type)
        return refuse(c);
    *ret = item;
    return true;
}

struct neo_bytes cbor_skip(struct cbor *c)
{
    const uint8_t *from = c->at;
    uint64_t open = 1; /* cannot overflow: each head adds less than the bytes that are left */
    struct cbor_item item;

    while (open > 0) {
        if (!cbor_next(c, &item))
            return (struct neo_bytes){0};
        open--;
        if (item.type == CBOR_ARRAY)
            open += item.value;
        else if (item.type == CBOR_MAP)
            open += 2 * item.value;
        else if (item.type == CBOR_TAG)
            open++;
        if (open > left(c)) {
            (void)refuse(c);
            return (struct neo_bytes){0};
        }
    }
    return neo_bytes(from, (size_t)(c->at - from));
}
