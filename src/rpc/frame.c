/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A message that lies whole in one chunk is handed out where it lies. Only one that
 * is split gathers in `partial`, which grows by what has come and never by what the
 * prefix claims. A full `partial` was handed out by the call before: the next call
 * forgets it.
 */
#include "rpc/frame.h"

enum { FLAG_COMPRESSED = 1, KEPT_CAPACITY = 16 * 1024 };

static size_t message_len(const uint8_t *prefix)
{
    return (size_t)prefix[1] << 24 | (size_t)prefix[2] << 16 | (size_t)prefix[3] << 8 |
           (size_t)prefix[4];
}

static enum neo_code check_prefix(const struct frame_reader *r, const uint8_t *prefix,
                                  struct neo_error *err)
{
    if (prefix[0] == FLAG_COMPRESSED)
        return neo_fail(err, NEO_UNIMPLEMENTED, "compressed messages are not taken");
    if (prefix[0] != 0)
        return neo_fail(err, NEO_INTERNAL, "a message with the unknown flags 0x%02x", prefix[0]);
    if (message_len(prefix) > r->max)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED,
                        "a message of %zu bytes is larger than the limit of %zu",
                        message_len(prefix), r->max);
    return NEO_OK;
}

/* How many bytes `partial` still lacks to the end of its prefix or, once it has that, its message.
 */
static size_t missing(const struct frame_reader *r)
{
    size_t have = r->partial.len;

    if (have < FRAME_PREFIX_LEN)
        return FRAME_PREFIX_LEN - have;
    return FRAME_PREFIX_LEN + message_len(r->partial.at) - have;
}

static void forget(struct frame_reader *r)
{
    if (r->partial.cap > KEPT_CAPACITY)
        neo_buffer_fini(&r->partial);
    else
        neo_buffer_clear(&r->partial);
}

static enum neo_code gather(struct frame_reader *r, struct neo_bytes *chunk, struct neo_error *err)
{
    size_t take = missing(r) < chunk->len ? missing(r) : chunk->len;

    if (!neo_buffer_append(&r->partial, neo_bytes(chunk->at, take)))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for a message");
    *chunk = neo_bytes_from(*chunk, take);
    return NEO_OK;
}

static enum frame_result read_split(struct frame_reader *r, struct neo_bytes *chunk,
                                    struct neo_bytes *ret_message, struct neo_error *err)
{
    if (r->partial.len < FRAME_PREFIX_LEN) {
        if (gather(r, chunk, err) != NEO_OK)
            return FRAME_BAD;
        if (r->partial.len < FRAME_PREFIX_LEN)
            return FRAME_MORE;
        if (check_prefix(r, r->partial.at, err) != NEO_OK)
            return FRAME_BAD;
    }
    if (gather(r, chunk, err) != NEO_OK)
        return FRAME_BAD;
    if (missing(r) > 0)
        return FRAME_MORE;
    *ret_message = neo_bytes_from(neo_buffer_bytes(&r->partial), FRAME_PREFIX_LEN);
    return FRAME_MESSAGE;
}

enum frame_result frame_read(struct frame_reader *r, struct neo_bytes *chunk,
                             struct neo_bytes *ret_message, struct neo_error *err)
{
    if (r->partial.len > 0 && !frame_is_partial(r))
        forget(r);
    if (chunk->len == 0)
        return FRAME_MORE;
    if (r->partial.len > 0 || chunk->len < FRAME_PREFIX_LEN)
        return read_split(r, chunk, ret_message, err);

    if (check_prefix(r, chunk->at, err) != NEO_OK)
        return FRAME_BAD;
    size_t len = message_len(chunk->at);
    if (chunk->len - FRAME_PREFIX_LEN < len)
        return read_split(r, chunk, ret_message, err);
    *ret_message = neo_bytes(chunk->at + FRAME_PREFIX_LEN, len);
    *chunk = neo_bytes_from(*chunk, FRAME_PREFIX_LEN + len);
    return FRAME_MESSAGE;
}

bool frame_is_partial(const struct frame_reader *r)
{
    return r->partial.len > 0 && missing(r) > 0;
}

void frame_reader_fini(struct frame_reader *r)
{
    neo_buffer_fini(&r->partial);
}

void frame_prefix(uint8_t at[static FRAME_PREFIX_LEN], size_t len)
{
    at[0] = 0;
    at[1] = (uint8_t)(len >> 24);
    at[2] = (uint8_t)(len >> 16);
    at[3] = (uint8_t)(len >> 8);
    at[4] = (uint8_t)len;
}
