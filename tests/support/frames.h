/* SPDX-License-Identifier: Apache-2.0 */
/*
 * support/frames.h - HTTP/2 by hand, for tests that send what no library would.
 *
 * Everything is appended to a buffer exactly as asked, right or wrong. Header
 * fields are literals without indexing and without Huffman coding.
 */
#ifndef NEO_TESTS_FRAMES_H
#define NEO_TESTS_FRAMES_H

#include <neo/buffer.h>

enum {
    FRAME_DATA,
    FRAME_HEADERS,
    FRAME_PRIORITY,
    FRAME_RST_STREAM,
    FRAME_SETTINGS,
    FRAME_PUSH_PROMISE,
    FRAME_PING,
    FRAME_GOAWAY,
    FRAME_WINDOW_UPDATE,
    FRAME_CONTINUATION,

    FLAG_END_STREAM = 0x1,
    FLAG_ACK = 0x1,
    FLAG_END_HEADERS = 0x4,
    FLAG_PADDED = 0x8,
    FLAG_PRIORITY = 0x20,

    SETTING_HEADER_TABLE_SIZE = 1,
    SETTING_ENABLE_PUSH = 2,
    SETTING_MAX_CONCURRENT_STREAMS = 3,
    SETTING_INITIAL_WINDOW_SIZE = 4,
    SETTING_MAX_FRAME_SIZE = 5,
};

/* Any frame. */
void frames_put(struct neo_buffer *out, uint8_t type, uint8_t flags, uint32_t stream,
                struct neo_bytes payload);

/* A client's first bytes: the magic and an empty SETTINGS. */
void frames_preface(struct neo_buffer *out);
void frames_setting(struct neo_buffer *out, uint16_t id, uint32_t value);
void frames_settings_ack(struct neo_buffer *out);
void frames_ping(struct neo_buffer *out, uint8_t flags);
void frames_goaway(struct neo_buffer *out, uint32_t last_id, uint32_t h2_error);
void frames_reset(struct neo_buffer *out, uint32_t stream, uint32_t h2_error);
void frames_window_update(struct neo_buffer *out, uint32_t stream, uint32_t increment);
void frames_priority(struct neo_buffer *out, uint32_t stream, uint32_t depends_on);
void frames_data(struct neo_buffer *out, uint32_t stream, uint8_t flags, size_t len);
/* DATA of `len` bytes behind which come `padding` more. */
void frames_padded_data(struct neo_buffer *out, uint32_t stream, uint8_t flags, size_t len,
                        uint8_t padding);

/* One field of a header block. */
void frames_field(struct neo_buffer *block, struct neo_bytes name, struct neo_bytes value);

/* The fields of a gRPC request; NULL leaves one out. Pairs follow, ended by NULL. */
struct frames_request {
    const char *method;
    const char *scheme;
    const char *path;
    const char *authority;
    const char *content_type;
    const char *te;
    const char *more[16];
};
extern const struct frames_request frames_good_request;

/* HEADERS with END_HEADERS; the block goes on in CONTINUATION if it has to. */
void frames_request(struct neo_buffer *out, uint32_t stream, uint8_t flags,
                    const struct frames_request *request);
void frames_headers(struct neo_buffer *out, uint32_t stream, uint8_t flags, struct neo_bytes block);

/* Reading what came back. */
struct frame {
    uint8_t type;
    uint8_t flags;
    uint32_t stream;
    struct neo_bytes payload;
};
/* Takes the first frame off `*in`; false when there is no whole one. */
bool frames_next(struct neo_bytes *in, struct frame *ret);
/* How many frames of `type` there are. */
size_t frames_count(struct neo_bytes in, uint8_t type);
/* The last GOAWAY's error code, or -1; its debug text, when `ret_debug` is not NULL. */
int64_t frames_goaway_error(struct neo_bytes in, struct neo_bytes *ret_debug);

#endif
