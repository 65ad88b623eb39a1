/* SPDX-License-Identifier: Apache-2.0 */
#include "support/frames.h"

enum { FRAME_HEAD = 9, LARGEST_FRAME = 16384 };

const struct frames_request frames_good_request = {
    .method = "POST",
    .scheme = "https",
    .path = "/test.Service/Method",
    .authority = "test-service:8443",
    .content_type = "application/grpc",
    .te = "trailers",
};

static void put_be(struct neo_buffer *out, uint32_t value, unsigned width)
{
    while (width-- > 0)
        neo_buffer_append_byte(out, (uint8_t)(value >> 8 * width));
}

static uint32_t get_be(const uint8_t *at, size_t width)
{
    uint32_t value = 0;

    for (size_t i = 0; i < width; i++)
        value = value << 8 | at[i];
    return value;
}

static void put_head(struct neo_buffer *out, size_t len, uint8_t type, uint8_t flags,
                     uint32_t stream)
{
    put_be(out, (uint32_t)len, 3);
    neo_buffer_append_byte(out, type);
    neo_buffer_append_byte(out, flags);
    put_be(out, stream, 4);
}

static void put_zeros(struct neo_buffer *out, size_t len)
{
    uint8_t *at = neo_buffer_reserve(out, len);

    memset(at, 0, len);
    out->len += len;
}

void frames_put(struct neo_buffer *out, uint8_t type, uint8_t flags, uint32_t stream,
                struct neo_bytes payload)
{
    put_head(out, payload.len, type, flags, stream);
    neo_buffer_append(out, payload);
}

void frames_preface(struct neo_buffer *out)
{
    neo_buffer_append_text(out, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    put_head(out, 0, FRAME_SETTINGS, 0, 0);
}

void frames_setting(struct neo_buffer *out, uint16_t id, uint32_t value)
{
    put_head(out, 6, FRAME_SETTINGS, 0, 0);
    put_be(out, id, 2);
    put_be(out, value, 4);
}

void frames_settings_ack(struct neo_buffer *out)
{
    put_head(out, 0, FRAME_SETTINGS, FLAG_ACK, 0);
}

void frames_ping(struct neo_buffer *out, uint8_t flags)
{
    frames_put(out, FRAME_PING, flags, 0, NEO_LIT("12345678"));
}

void frames_goaway(struct neo_buffer *out, uint32_t last_id, uint32_t h2_error)
{
    put_head(out, 8, FRAME_GOAWAY, 0, 0);
    put_be(out, last_id, 4);
    put_be(out, h2_error, 4);
}

void frames_reset(struct neo_buffer *out, uint32_t stream, uint32_t h2_error)
{
    put_head(out, 4, FRAME_RST_STREAM, 0, stream);
    put_be(out, h2_error, 4);
}

void frames_window_update(struct neo_buffer *out, uint32_t stream, uint32_t increment)
{
    put_head(out, 4, FRAME_WINDOW_UPDATE, 0, stream);
    put_be(out, increment, 4);
}

void frames_priority(struct neo_buffer *out, uint32_t stream, uint32_t depends_on)
{
    put_head(out, 5, FRAME_PRIORITY, 0, stream);
    put_be(out, depends_on, 4);
    neo_buffer_append_byte(out, 15);
}

void frames_data(struct neo_buffer *out, uint32_t stream, uint8_t flags, size_t len)
{
    put_head(out, len, FRAME_DATA, flags, stream);
    put_zeros(out, len);
}

void frames_padded_data(struct neo_buffer *out, uint32_t stream, uint8_t flags, size_t len,
                        uint8_t padding)
{
    put_head(out, 1 + len + padding, FRAME_DATA, flags | FLAG_PADDED, stream);
    neo_buffer_append_byte(out, padding);
    put_zeros(out, len + padding);
}

/* An HPACK integer with a 7-bit prefix whose first bit is 0: a length without Huffman. */
static void put_length(struct neo_buffer *block, size_t len)
{
    if (len < 127) {
        neo_buffer_append_byte(block, (uint8_t)len);
        return;
    }
    neo_buffer_append_byte(block, 127);
    for (len -= 127; len >= 128; len >>= 7)
        neo_buffer_append_byte(block, (uint8_t)(len | 0x80));
    neo_buffer_append_byte(block, (uint8_t)len);
}

void frames_field(struct neo_buffer *block, struct neo_bytes name, struct neo_bytes value)
{
    neo_buffer_append_byte(block, 0);
    put_length(block, name.len);
    neo_buffer_append(block, name);
    put_length(block, value.len);
    neo_buffer_append(block, value);
}

static void put_field(struct neo_buffer *block, const char *name, const char *value)
{
    if (value != NULL)
        frames_field(block, neo_text(name), neo_text(value));
}

void frames_request(struct neo_buffer *out, uint32_t stream, uint8_t flags,
                    const struct frames_request *request)
{
    struct neo_buffer block = {0};

    put_field(&block, ":method", request->method);
    put_field(&block, ":scheme", request->scheme);
    put_field(&block, ":path", request->path);
    put_field(&block, ":authority", request->authority);
    put_field(&block, "content-type", request->content_type);
    put_field(&block, "te", request->te);
    for (size_t i = 0; i + 1 < NEO_COUNT(request->more) && request->more[i] != NULL; i += 2)
        put_field(&block, request->more[i], request->more[i + 1]);
    frames_headers(out, stream, flags, neo_buffer_bytes(&block));
    neo_buffer_fini(&block);
}

void frames_headers(struct neo_buffer *out, uint32_t stream, uint8_t flags, struct neo_bytes block)
{
    uint8_t type = FRAME_HEADERS;

    do {
        size_t len = block.len < LARGEST_FRAME ? block.len : LARGEST_FRAME;
        uint8_t last = len == block.len ? FLAG_END_HEADERS : 0;
        frames_put(out, type, flags | last, stream, neo_bytes(block.at, len));
        block = neo_bytes_from(block, len);
        type = FRAME_CONTINUATION;
        flags = 0;
    } while (block.len > 0);
}

bool frames_next(struct neo_bytes *in, struct frame *ret)
{
    if (in->len < FRAME_HEAD)
        return false;

    size_t len = get_be(in->at, 3);
    if (in->len < FRAME_HEAD + len)
        return false;
    *ret = (struct frame){
        .type = in->at[3],
        .flags = in->at[4],
        .stream = get_be(in->at + 5, 4),
        .payload = neo_bytes(in->at + FRAME_HEAD, len),
    };
    *in = neo_bytes_from(*in, FRAME_HEAD + len);
    return true;
}

size_t frames_count(struct neo_bytes in, uint8_t type)
{
    struct frame frame;
    size_t n = 0;

    while (frames_next(&in, &frame))
        n += frame.type == type ? 1 : 0;
    return n;
}

int64_t frames_goaway_error(struct neo_bytes in, struct neo_bytes *ret_debug)
{
    struct frame frame;
    int64_t error = -1;

    while (frames_next(&in, &frame)) {
        if (frame.type != FRAME_GOAWAY || frame.payload.len < 8)
            continue;
        error = get_be(frame.payload.at + 4, 4);
        if (ret_debug != NULL)
            *ret_debug = neo_bytes_from(frame.payload, 8);
    }
    return error;
}
