/* SPDX-License-Identifier: Apache-2.0 */
/* Large messages, and small ones that stand for large ones. */
#include "matrix.h"

#include "rpc/frame.h"

#include <stdlib.h>

enum { UNITS = (GZIP_BOMB_LEN - 1) / 258 };

void put_prefix(struct neo_buffer *body, bool compressed, size_t len)
{
    neo_buffer_append_byte(body, compressed);
    for (unsigned i = 0; i < 4; i++)
        neo_buffer_append_byte(body, (uint8_t)(len >> 8 * (3 - i)));
}

struct bits {
    struct neo_buffer *out;
    uint32_t held;
    unsigned n;
};

static void put_bits(struct bits *b, uint32_t value, unsigned n)
{
    b->held |= value << b->n;
    for (b->n += n; b->n >= 8; b->n -= 8, b->held >>= 8)
        neo_buffer_append_byte(b->out, (uint8_t)b->held);
}

/*
 * RFC 1952 and 1951: zeros, as one block with the fixed codes, in which each 13 bits stand for 258
 * of them: 159 times what is sent.
 */
static void put_zeros(struct neo_buffer *out, uint32_t told)
{
    struct bits b = {.out = out};

    neo_buffer_append(out, NEO_LIT("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"));
    put_bits(&b, 1 | 1 << 1, 3); /* the last block; fixed codes */
    put_bits(&b, 0x0c, 8);       /* a zero: 00110000, from its first bit */
    for (uint32_t i = 0; i < UNITS; i++) {
        put_bits(&b, 0xa3, 8); /* 258 bytes: 11000101 */
        put_bits(&b, 0, 5);    /* from one before */
    }
    put_bits(&b, 0, 7 + 8);                      /* the end, and what is left of a byte */
    neo_buffer_append(out, NEO_LIT("\0\0\0\0")); /* no CRC, which is looked at last */
    for (int i = 0; i < 4; i++)
        neo_buffer_append_byte(out, (uint8_t)(told >> 8 * i));
}

void put_gzip_bomb(struct neo_buffer *body, uint32_t told)
{
    struct neo_buffer bomb = {0};

    put_zeros(&bomb, told);
    put_prefix(body, true, bomb.len);
    neo_buffer_append(body, neo_buffer_bytes(&bomb));
    neo_buffer_fini(&bomb);
}

void put_large_message(struct neo_buffer *body, size_t len)
{
    put_prefix(body, false, len);
    neo_buffer_append_byte(body, 0x0a); /* Echo.body, with a length of four bytes */
    for (unsigned i = 0; i < 4; i++)
        neo_buffer_append_byte(body, (uint8_t)((len - 5) >> 7 * i | (i < 3 ? 0x80 : 0)));
    for (size_t i = 5; i < len; i++)
        neo_buffer_append_byte(body, 'x');
}

void put_gzip_message(struct neo_buffer *body, size_t len)
{
    put_large_message(body, len);
    if (frame_compress(body, 0, NULL) != NEO_OK)
        abort();
}
