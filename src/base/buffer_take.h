/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/buffer_take.h - neo_buffer_reserve() where it is asked for several times in each call.
 *
 * For a buffer that was used before: where it has room, there is nothing else to look at.
 */
#ifndef NEO_BASE_BUFFER_TAKE_H
#define NEO_BASE_BUFFER_TAKE_H

#include <neo/buffer.h>

static inline uint8_t *buffer_take(struct neo_buffer *buffer, size_t more)
{
    if (buffer->failed || buffer->limit != 0 || buffer->at == NULL ||
        more > buffer->cap - buffer->len)
        return neo_buffer_reserve(buffer, more);
    return buffer->at + buffer->len;
}

/* As neo_buffer_append(). */
static inline bool buffer_put(struct neo_buffer *buffer, struct neo_bytes bytes)
{
    uint8_t *at = buffer_take(buffer, bytes.len);

    if (at == NULL)
        return false;
    if (bytes.len > 0)
        memcpy(at, bytes.at, bytes.len);
    buffer->len += bytes.len;
    return true;
}

#endif
