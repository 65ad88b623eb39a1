/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc/frame.h - gRPC messages in a stream of DATA: one byte of flags, four of length, the message.
 *
 * Never allocates by the length a peer claims, only by what has come. A message that
 * lies whole in one chunk is handed out without a copy.
 */
#ifndef NEO_RPC_FRAME_H
#define NEO_RPC_FRAME_H

#include <neo/buffer.h>
#include <neo/error.h>

enum { FRAME_PREFIX_LEN = 5 };

/* {.max = n} is ready to use. */
struct frame_reader {
    size_t max; /* bytes of one message */
    /* private */
    struct neo_buffer partial;
};

enum frame_result {
    FRAME_MORE,    /* the chunk is used up */
    FRAME_MESSAGE, /* *ret_message is whole, valid until the next call or until the chunk goes */
    FRAME_BAD,     /* err: INTERNAL for a bad flag, RESOURCE_EXHAUSTED for too large, UNIMPLEMENTED
                      compressed */
};

/* Takes from the front of `*chunk`. Call until FRAME_MORE. */
enum frame_result frame_read(struct frame_reader *r, struct neo_bytes *chunk,
                             struct neo_bytes *ret_message, struct neo_error *err);
/* True in the middle of a message: an END_STREAM now is an error. */
bool frame_is_partial(const struct frame_reader *r);
void frame_reader_fini(struct frame_reader *r);

/* Writes the prefix of an uncompressed message. */
void frame_prefix(uint8_t at[static FRAME_PREFIX_LEN], size_t message_len);

#endif
