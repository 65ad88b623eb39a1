/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/cursor.h - reads a run of bytes from front to back, never past its end.
 *
 * The first read that asks for more than there is sets `failed` and yields zeros
 * from then on, so a parser reads like the structure it parses and checks once.
 */
#ifndef NEO_BASE_CURSOR_H
#define NEO_BASE_CURSOR_H

#include <neo/bytes.h>

struct cursor {
    const uint8_t *at;
    size_t left;
    bool failed;
};

static inline struct cursor cursor_of(struct neo_bytes bytes)
{
    return (struct cursor){.at = bytes.at, .left = bytes.len};
}

/* The next `n` bytes; the empty run when there are fewer. */
static inline struct neo_bytes cursor_take(struct cursor *c, size_t n)
{
    struct neo_bytes taken = {c->at, n};

    if (c->failed || n > c->left) {
        c->failed = true;
        return (struct neo_bytes){NULL, 0};
    }
    c->at += n;
    c->left -= n;
    return taken;
}

static inline uint64_t cursor_be(struct cursor *c, size_t width)
{
    struct neo_bytes raw = cursor_take(c, width);
    uint64_t value = 0;

    for (size_t i = 0; i < raw.len; i++)
        value = value << 8 | raw.at[i];
    return value;
}

static inline uint64_t cursor_le(struct cursor *c, size_t width)
{
    struct neo_bytes raw = cursor_take(c, width);
    uint64_t value = 0;

    for (size_t i = raw.len; i > 0; i--)
        value = value << 8 | raw.at[i - 1];
    return value;
}

static inline uint8_t cursor_u8(struct cursor *c)
{
    return (uint8_t)cursor_be(c, 1);
}

/* Everything was read and nothing was missing. */
static inline bool cursor_is_done(const struct cursor *c)
{
    return !c->failed && c->left == 0;
}

#endif
