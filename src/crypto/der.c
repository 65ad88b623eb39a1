/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/der.h"

enum {
    MAX_DEPTH = 16,
    CONSTRUCTED = 0x20,
    LONG_TAG = 0x1f,
    LONG_LENGTH = 0x80,
};

/* A length in its shortest form, of at most four bytes. */
static size_t take_length(struct cursor *c)
{
    uint8_t first = cursor_u8(c);

    if (first < LONG_LENGTH)
        return first;

    size_t width = first & 0x7f;
    uint64_t len = width <= 4 ? cursor_be(c, width) : 0;
    bool minimal = width >= 1 && len >= LONG_LENGTH && len >> 8 * (width - 1) != 0;
    if (!minimal)
        c->failed = true;
    return len;
}

struct der_element der_any(struct cursor *c)
{
    const uint8_t *start = c->at;
    uint8_t tag = cursor_u8(c);
    size_t len = take_length(c);
    struct neo_bytes body = cursor_take(c, len);

    if ((tag & LONG_TAG) == LONG_TAG || tag == 0)
        c->failed = true;
    if (c->failed)
        return (struct der_element){0};
    return (struct der_element){
        .tag = tag,
        .body = body,
        .whole = {start, (size_t)(c->at - start)},
    };
}

struct der_element der_take(struct cursor *c, uint8_t tag)
{
    struct der_element element = der_any(c);

    if (element.tag == tag)
        return element;
    c->failed = true;
    return (struct der_element){0};
}

bool der_is_next(const struct cursor *c, uint8_t tag)
{
    return !c->failed && c->left > 0 && c->at[0] == tag;
}

struct neo_bytes der_take_bits(struct cursor *c)
{
    struct neo_bytes body = der_take(c, DER_BIT_STRING).body;

    if (body.len == 0 || body.at[0] != 0)
        c->failed = true;
    return neo_bytes_from(body, 1);
}

bool der_is_strict(struct neo_bytes der, unsigned max_elements)
{
    struct cursor outside = cursor_of(der);
    struct cursor level[MAX_DEPTH] = {cursor_of(der_any(&outside).whole)};
    size_t depth = 0;

    if (!cursor_is_done(&outside))
        return false;
    for (;;) {
        while (level[depth].left == 0) {
            if (depth-- == 0)
                return true;
        }
        struct der_element element = der_any(&level[depth]);
        if (level[depth].failed || max_elements-- == 0)
            return false;
        if ((element.tag & CONSTRUCTED) == 0)
            continue;
        if (++depth == MAX_DEPTH)
            return false;
        level[depth] = cursor_of(element.body);
    }
}
