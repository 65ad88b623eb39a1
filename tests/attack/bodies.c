/* SPDX-License-Identifier: Apache-2.0 */
/* Large messages, and small ones that stand for large ones. */
#include "matrix.h"

#include "rpc/frame.h"

#include <stdlib.h>
#include <zlib.h>

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
 * RFC 1952 and 1951, 3.2.7: zeros, as one block with codes of its own, in which each 2 bits stand
 * for 258 of them: 1032 times what is sent. The codes of literals and lengths: 1 bit for 258 (285),
 * 2 for a zero and for the end (256). Of distances there is one, of one bit.
 */
static void put_codes(struct bits *b)
{
    /* In the order in which they come; lengths of codes: 18 (a run of zeros) has 1 bit, 1 and 2
     * have 2. Codes are sent from their first bit: 18 is "0", 1 is "10", 2 is "11". */
    static const uint8_t lengths[18] = {[2] = 1, [15] = 2, [17] = 2}; /* 16 17 18 0 ... 2 14 1 */
    enum { RUN = 0, RUN_BITS = 1, ONE = 1, TWO = 3, CODE_BITS = 2 };

    put_bits(b, 1 | 2 << 1, 3); /* the last block; codes of its own */
    put_bits(b, 286 - 257, 5);  /* of literals and lengths: 0 to 285 */
    put_bits(b, 1 - 1, 5);      /* of distances */
    put_bits(b, 18 - 4, 4);     /* lengths of codes that follow */
    for (size_t i = 0; i < 18; i++)
        put_bits(b, lengths[i], 3);
    put_bits(b, TWO, CODE_BITS); /* 0 */
    put_bits(b, RUN, RUN_BITS);  /* 1 to 138 */
    put_bits(b, 138 - 11, 7);
    put_bits(b, RUN, RUN_BITS); /* 139 to 255 */
    put_bits(b, 117 - 11, 7);
    put_bits(b, TWO, CODE_BITS); /* 256 */
    put_bits(b, RUN, RUN_BITS);  /* 257 to 284 */
    put_bits(b, 28 - 11, 7);
    put_bits(b, ONE, CODE_BITS); /* 285 */
    put_bits(b, ONE, CODE_BITS); /* the distance 1 */
}

static void put_zeros(struct neo_buffer *out, uint32_t told)
{
    struct bits b = {.out = out};

    neo_buffer_append(out, NEO_LIT("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"));
    put_codes(&b);
    put_bits(&b, 1, 2); /* a zero: "10" */
    for (uint32_t i = 0; i < GZIP_BOMB_UNITS; i++)
        put_bits(&b, 0, 2);                      /* 258 bytes from one before */
    put_bits(&b, 3, 2);                          /* the end: "11" */
    put_bits(&b, 0, 7);                          /* and what is left of a byte */
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

/* zlib alone takes all of it; a part is enough to see that it is what it says. */
void unpack_gzip_bomb(struct report *r)
{
    static uint8_t plain[65536];
    const size_t enough = 1024 * MIB;
    struct neo_buffer body = {0};
    size_t unpacked = 0;
    z_stream z = {0};

    put_gzip_bomb(&body, GZIP_BOMB_LEN);
    if (inflateInit2(&z, 15 + 16) != Z_OK)
        abort();
    z.next_in = body.at + 5;
    z.avail_in = (uInt)(body.len - 5);
    for (int code = Z_OK; code == Z_OK && unpacked < enough;
         unpacked += sizeof(plain) - z.avail_out) {
        z.next_out = plain;
        z.avail_out = sizeof(plain);
        code = inflate(&z, Z_NO_FLUSH);
    }
    r->through = unpacked >= enough;
    attack_say(r, "plain zlib: %zu MiB of %lu KiB, and more", unpacked / MIB, z.total_in / KIB);
    (void)inflateEnd(&z);
    neo_buffer_fini(&body);
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
