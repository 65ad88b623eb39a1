/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A message that lies whole in one chunk is handed out where it lies. Only one that
 * is split gathers in `partial`, which grows with what has come: what the prefix claims
 * is believed up to four times that. A full `partial` was handed out by the call before: the next
 * call forgets it.
 */
#include "rpc/frame.h"

#include "codec/gzip.h"

enum { FLAG_COMPRESSED = 1, KEPT_CAPACITY = 16 * 1024, BELIEVED = 4 };

static size_t message_len(const uint8_t *prefix)
{
    return (size_t)prefix[1] << 24 | (size_t)prefix[2] << 16 | (size_t)prefix[3] << 8 |
           (size_t)prefix[4];
}

static enum neo_code check_prefix(const struct frame_reader *r, const uint8_t *prefix,
                                  struct neo_error *err)
{
    if (prefix[0] == FLAG_COMPRESSED && r->encoding == FRAME_IDENTITY)
        return neo_fail(err, NEO_INTERNAL, "a compressed message, and no grpc-encoding");
    if (prefix[0] == FLAG_COMPRESSED && r->encoding == FRAME_UNKNOWN)
        return neo_fail(err, NEO_UNIMPLEMENTED, "a message is compressed in a way not taken here");
    if (prefix[0] > FLAG_COMPRESSED)
        return neo_fail(err, NEO_INTERNAL, "a message with the unknown flags 0x%02x", prefix[0]);
    if (message_len(prefix) > r->max)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED,
                        "a message of %zu bytes is larger than the limit of %zu (%s)",
                        message_len(prefix), r->max, r->limit == NULL ? "max_message" : r->limit);
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

static void forget(struct neo_buffer *buffer)
{
    if (buffer->cap > KEPT_CAPACITY)
        neo_buffer_fini(buffer);
    else
        neo_buffer_clear(buffer);
}

/* The message is whole: what it stands for. */
static enum frame_result hand_out(struct frame_reader *r, uint8_t flags, struct neo_bytes message,
                                  struct neo_bytes *ret_message, struct neo_error *err)
{
    r->compressed = flags == FLAG_COMPRESSED;
    if (r->compressed && !r->packed) {
        if (gzip_inflate(message, r->max, &r->inflated, err) != NEO_OK)
            return FRAME_BAD;
        message = neo_buffer_bytes(&r->inflated);
    }
    *ret_message = message;
    return FRAME_MESSAGE;
}

/* Few steps to the size of a large message, each of which may copy what is there. */
static bool make_room(struct frame_reader *r, size_t take)
{
    size_t have = r->partial.len + take;
    size_t ahead = have * (BELIEVED - 1);

    if (r->partial.len < FRAME_PREFIX_LEN || r->partial.cap >= have)
        return true;
    if (ahead > missing(r) - take)
        ahead = missing(r) - take;
    return neo_buffer_reserve(&r->partial, take + ahead) != NULL;
}

static enum neo_code gather(struct frame_reader *r, struct neo_bytes *chunk, struct neo_error *err)
{
    size_t take = missing(r) < chunk->len ? missing(r) : chunk->len;

    if (!make_room(r, take) || !neo_buffer_append(&r->partial, neo_bytes(chunk->at, take)))
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
    return hand_out(r, r->partial.at[0],
                    neo_bytes_from(neo_buffer_bytes(&r->partial), FRAME_PREFIX_LEN), ret_message,
                    err);
}

enum frame_result frame_read(struct frame_reader *r, struct neo_bytes *chunk,
                             struct neo_bytes *ret_message, struct neo_error *err)
{
    if (r->partial.len > 0 && !frame_is_partial(r))
        forget(&r->partial);
    if (r->inflated.len > 0)
        forget(&r->inflated);
    if (chunk->len == 0)
        return FRAME_MORE;
    if (r->partial.len > 0 || chunk->len < FRAME_PREFIX_LEN)
        return read_split(r, chunk, ret_message, err);

    if (check_prefix(r, chunk->at, err) != NEO_OK)
        return FRAME_BAD;
    size_t len = message_len(chunk->at);
    if (chunk->len - FRAME_PREFIX_LEN < len)
        return read_split(r, chunk, ret_message, err);
    const uint8_t *at = chunk->at;
    *chunk = neo_bytes_from(*chunk, FRAME_PREFIX_LEN + len);
    return hand_out(r, at[0], neo_bytes(at + FRAME_PREFIX_LEN, len), ret_message, err);
}

enum neo_code frame_inflate(struct neo_bytes packed, size_t max, struct neo_buffer *out,
                            struct neo_error *err)
{
    return gzip_inflate(packed, max, out, err);
}

bool frame_is_partial(const struct frame_reader *r)
{
    return r->partial.len > 0 && missing(r) > 0;
}

size_t frame_before_whole(const struct frame_reader *r, struct neo_bytes chunk)
{
    size_t have = frame_is_partial(r) ? r->partial.len : 0;
    uint8_t prefix[FRAME_PREFIX_LEN];

    if (have + chunk.len < FRAME_PREFIX_LEN)
        return chunk.len;
    for (size_t i = 0; i < FRAME_PREFIX_LEN; i++)
        prefix[i] = i < have ? r->partial.at[i] : chunk.at[i - have];
    size_t lacks = FRAME_PREFIX_LEN + message_len(prefix) - have;
    return chunk.len < lacks ? chunk.len : lacks - 1;
}

void frame_reader_fini(struct frame_reader *r)
{
    neo_buffer_fini(&r->partial);
    neo_buffer_fini(&r->inflated);
}

void frame_prefix(uint8_t at[static FRAME_PREFIX_LEN], size_t len)
{
    at[0] = 0;
    at[1] = (uint8_t)(len >> 24);
    at[2] = (uint8_t)(len >> 16);
    at[3] = (uint8_t)(len >> 8);
    at[4] = (uint8_t)len;
}

enum neo_code frame_compress(struct neo_buffer *out, size_t prefix_at, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer small = {0};
    struct neo_bytes plain = neo_bytes_from(neo_buffer_bytes(out), prefix_at + FRAME_PREFIX_LEN);

    NEO_TRY(gzip_deflate(plain, &small, err));
    if (small.len > plain.len && neo_buffer_reserve(out, small.len - plain.len) == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for a message");
    memcpy(out->at + prefix_at + FRAME_PREFIX_LEN, small.at, small.len);
    out->len = prefix_at + FRAME_PREFIX_LEN + small.len;
    frame_prefix(out->at + prefix_at, small.len);
    out->at[prefix_at] = FLAG_COMPRESSED;
    return NEO_OK;
}
