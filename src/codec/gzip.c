/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/gzip.h"

#include <neo/memory.h>

#include <limits.h>
#include <zlib.h>

enum {
    GZIP_WINDOW = 15 + 16, /* the largest window, in gzip's wrapping and no other */
    LEVEL = 6,
    MEMORY_LEVEL = 8,
    STEP = 16 * 1024,
    MEMBER_LEAST = 18, /* its head and its tail */
};

static void *take(void *unused, unsigned count, unsigned size)
{
    (void)unused;
    return neo_alloc_array(count, size);
}

static void give(void *unused, void *at)
{
    (void)unused;
    neo_free(at);
}

static void start(z_stream *z, struct neo_bytes in)
{
    *z = (z_stream){
        .next_in = (uint8_t *)(uintptr_t)in.at, /* zlib only reads it */
        .avail_in = (unsigned)in.len,
        .zalloc = take,
        .zfree = give,
    };
}

static enum neo_code no_memory(struct neo_error *err)
{
    return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for a compressed message");
}

/* --- in --------------------------------------------------------------------------------------- */

static void end_inflate(z_stream **z)
{
    (void)inflateEnd(*z);
}

static enum neo_code judge(const z_stream *z, int result, struct neo_error *err)
{
    switch (result) {
    case Z_OK:
        return NEO_OK;
    case Z_STREAM_END:
        if (z->avail_in > 0)
            return neo_fail(err, NEO_INTERNAL, "a compressed message goes on behind its end");
        return NEO_OK;
    case Z_MEM_ERROR:
        return no_memory(err);
    case Z_BUF_ERROR:
        return neo_fail(err, NEO_INTERNAL, "a compressed message is cut short");
    default:
        return neo_fail(err, NEO_INTERNAL, "a compressed message is damaged: %s",
                        z->msg == NULL ? "not gzip" : z->msg);
    }
}

/* RFC 1952, 2.3.1: a member ends with the length of what it stands for, modulo 2^32. */
static size_t told_length(struct neo_bytes in)
{
    const uint8_t *at = in.at + in.len - 4;

    return (size_t)at[3] << 24 | (size_t)at[2] << 16 | (size_t)at[1] << 8 | (size_t)at[0];
}

/* Fills what there is room for. `result` is that of zlib, and its end is not seen before it. */
static enum neo_code inflate_some(z_stream *z, uint8_t *at, size_t room, int *result,
                                  struct neo_error *err)
{
    z->next_out = at;
    z->avail_out = (unsigned)room;
    *result = inflate(z, Z_NO_FLUSH);
    NEO_TRY(judge(z, *result, err));
    return *result == Z_OK && z->avail_in == 0 && z->avail_out > 0 ? judge(z, Z_BUF_ERROR, err)
                                                                   : NEO_OK;
}

/*
 * By what it tells it is too large, or it was cut short or damaged: which of them, is found out
 * without keeping anything of it.
 */
static enum neo_code refuse(z_stream *z, size_t max, struct neo_error *err)
{
    uint8_t gone[STEP];
    size_t made = 0;
    int result = Z_OK;

    while (result != Z_STREAM_END && made <= max) {
        NEO_TRY(inflate_some(z, gone, sizeof(gone), &result, err));
        made += sizeof(gone) - z->avail_out;
    }
    return neo_fail(err, NEO_RESOURCE_EXHAUSTED,
                    "a compressed message is larger than the limit of %zu", max);
}

/* Never more than it has told: a byte beyond that, for which there is room, proves it wrong. */
static enum neo_code inflate_all(z_stream *z, size_t told, struct neo_buffer *out,
                                 struct neo_error *err)
{
    size_t made = 0;
    int result = Z_OK;

    while (result != Z_STREAM_END) {
        size_t room = told - made < STEP ? told - made + 1 : STEP;
        uint8_t *at = neo_buffer_reserve(out, room);
        if (at == NULL)
            return no_memory(err);
        NEO_TRY(inflate_some(z, at, room, &result, err));
        made += room - z->avail_out;
        if (made > told)
            return neo_fail(err, NEO_INTERNAL,
                            "a compressed message is damaged: longer than it says");
        out->len += room - z->avail_out;
    }
    return NEO_OK;
}

enum neo_code gzip_inflate(struct neo_bytes in, size_t max, struct neo_buffer *out,
                           struct neo_error *err)
{
    z_stream stream;

    if (in.len > INT_MAX || max > INT_MAX)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "a compressed message of %zu bytes", in.len);
    if (in.len < MEMBER_LEAST)
        return neo_fail(err, NEO_INTERNAL, "a compressed message is cut short");
    start(&stream, in);
    if (inflateInit2(&stream, GZIP_WINDOW) != Z_OK)
        return no_memory(err);
    NEO_CLEANUP(end_inflate) z_stream *z = &stream;
    size_t told = told_length(in);
    return told > max ? refuse(z, max, err) : inflate_all(z, told, out, err);
}

/* --- out -------------------------------------------------------------------------------------- */

static void end_deflate(z_stream **z)
{
    (void)deflateEnd(*z);
}

enum neo_code gzip_deflate(struct neo_bytes in, struct neo_buffer *out, struct neo_error *err)
{
    z_stream stream;

    if (in.len > INT_MAX)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "a message of %zu bytes to compress", in.len);
    start(&stream, in);
    if (deflateInit2(&stream, LEVEL, Z_DEFLATED, GZIP_WINDOW, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) !=
        Z_OK)
        return no_memory(err);
    NEO_CLEANUP(end_deflate) z_stream *z = &stream;
    size_t most = deflateBound(z, (unsigned long)in.len);
    uint8_t *at = neo_buffer_reserve(out, most);
    if (at == NULL)
        return no_memory(err);
    z->next_out = at;
    z->avail_out = (unsigned)most;
    if (deflate(z, Z_FINISH) != Z_STREAM_END)
        return neo_fail(err, NEO_INTERNAL, "a message could not be compressed");
    out->len += most - z->avail_out;
    return NEO_OK;
}
