/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc/frame.h - gRPC messages in a stream of DATA: one byte of flags, four of length, the message.
 *
 * Never allocates by the length a peer claims, only by what has come. A message that
 * lies whole in one chunk is handed out without a copy. One that is compressed is
 * handed out inflated, and inflating stops at the limit.
 */
#ifndef NEO_RPC_FRAME_H
#define NEO_RPC_FRAME_H

#include <neo/buffer.h>
#include <neo/error.h>

enum { FRAME_PREFIX_LEN = 5 };

/* What the peer said its messages may be compressed with. */
enum frame_encoding {
    FRAME_IDENTITY,
    FRAME_GZIP,
    FRAME_UNKNOWN, /* something that is not taken here */
};

/* {.max = n} is ready to use. */
struct frame_reader {
    size_t max;        /* bytes of one message, compressed and not */
    const char *limit; /* what `max` is called, for people; NULL: "max_message" */
    enum frame_encoding encoding;
    bool packed;     /* compressed messages are handed out as they are */
    bool compressed; /* the message handed out last came so */
    /* private */
    struct neo_buffer partial;
    struct neo_buffer inflated;
};

enum frame_result {
    FRAME_MORE,    /* the chunk is used up */
    FRAME_MESSAGE, /* *ret_message is whole, valid until the next call or until the chunk goes */
    FRAME_BAD, /* err: RESOURCE_EXHAUSTED: too large. UNIMPLEMENTED: compressed in a way not taken
                  here. INTERNAL: a bad flag, compressed without an encoding, or no gzip */
};

/* Takes from the front of `*chunk`. Call until FRAME_MORE. */
enum frame_result frame_read(struct frame_reader *r, struct neo_bytes *chunk,
                             struct neo_bytes *ret_message, struct neo_error *err);
/* True in the middle of a message: an END_STREAM now is an error. */
bool frame_is_partial(const struct frame_reader *r);
/* How many of the next bytes can be read without a message becoming whole by it. */
size_t frame_before_whole(const struct frame_reader *r, struct neo_bytes chunk);
void frame_reader_fini(struct frame_reader *r);

/* What a compressed message of at most `max` bytes stands for, appended to `out`; as FRAME_BAD. */
NEO_MUST_CHECK enum neo_code frame_inflate(struct neo_bytes packed, size_t max,
                                           struct neo_buffer *out, struct neo_error *err);

/* Writes the prefix of an uncompressed message. */
void frame_prefix(uint8_t at[static FRAME_PREFIX_LEN], size_t message_len);
/*
 * Compresses the message that lies behind a prefix at the end of `out`, from `prefix_at` on, and
 * writes the prefix. RESOURCE_EXHAUSTED: out of memory; `out` is as it was.
 */
NEO_MUST_CHECK enum neo_code frame_compress(struct neo_buffer *out, size_t prefix_at,
                                            struct neo_error *err);

#endif
