/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/gzip.h"

#include <neo/memory.h>

#include <limits.h>
#include <zlib.h>

enum {
    GZIP_WINDOW = 15 + 16, /* the largest window, in gzip's wrapping and no other */
    LEVEL = 6,
    MEMORY_LEVEL = 8,
    STEP_MIN = 512,
    STEP_MAX = 64 * 1024,
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

/* Room for what comes next: a little more than there was so far, and one byte beyond `max`. */
static size_t next_step(size_t made, size_t in_len, size_t max)
{
    size_t step = made == 0 ? in_len * 2 : made;

    if (step < STEP_MIN)
        step = STEP_MIN;
    if (step > STEP_MAX)
        step = STEP_MAX;
    return step < max - made ? step : max - made + 1;
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

static enum neo_code inflate_all(z_stream *z, size_t in_len, size_t max, struct neo_buffer *out,
                                 struct neo_error *err)
{
    size_t made = 0;
    int result = Z_OK;

    while (result != Z_STREAM_END) {
        size_t step = next_step(made, in_len, max);
        uint8_t *at = neo_buffer_reserve(out, step);
        if (at == NULL)
            return no_memory(err);
        z->next_out = at;
        z->avail_out = (unsigned)step;
        result = inflate(z, Z_NO_FLUSH);
        made += step - z->avail_out;
        if (made > max)
            return neo_fail(err, NEO_RESOURCE_EXHAUSTED,
                            "a compressed message is larger than the limit of %zu", max);
        out->len += step - z->avail_out;
        NEO_TRY(judge(z, result, err));
        if (result == Z_OK && z->avail_in == 0 && z->avail_out > 0)
            return judge(z, Z_BUF_ERROR, err);
    }
    return NEO_OK;
}

enum neo_code gzip_inflate(struct neo_bytes in, size_t max, struct neo_buffer *out,
                           struct neo_error *err)
{
    z_stream stream;

    if (in.len > INT_MAX || max > INT_MAX)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "a compressed message of %zu bytes", in.len);
    start(&stream, in);
    if (inflateInit2(&stream, GZIP_WINDOW) != Z_OK)
        return no_memory(err);
    NEO_CLEANUP(end_inflate) z_stream *z = &stream;
    return inflate_all(z, in.len, max, out, err);
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
