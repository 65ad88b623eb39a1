/* SPDX-License-Identifier: Apache-2.0 */
#include <neo/buffer.h>

#include <neo/memory.h>

#include <stdarg.h>
#include <stdio.h>

enum { FIRST_CAPACITY = 256 };

void neo_buffer_fini(struct neo_buffer *buffer)
{
    neo_free(buffer->at);
    *buffer = (struct neo_buffer){.limit = buffer->limit};
}

void neo_buffer_fini_secret(struct neo_buffer *buffer)
{
    if (buffer->at != NULL)
        neo_zeroise(buffer->at, buffer->cap);
    neo_buffer_fini(buffer);
}

static bool grow(struct neo_buffer *buffer, size_t needed)
{
    size_t cap = buffer->cap == 0 ? FIRST_CAPACITY : buffer->cap;

    while (cap < needed)
        cap *= 2;
    uint8_t *at = neo_realloc(buffer->at, cap);
    if (at == NULL)
        return false;
    buffer->at = at;
    buffer->cap = cap;
    return true;
}

uint8_t *neo_buffer_reserve(struct neo_buffer *buffer, size_t more)
{
    if (buffer->failed)
        return NULL;
    if (more > SIZE_MAX / 4 - buffer->len ||
        (buffer->limit != 0 && buffer->len + more > buffer->limit)) {
        buffer->failed = true;
        return NULL;
    }
    /* Also for nothing at all: a place that is not NULL is the promise. */
    if ((buffer->at == NULL || buffer->len + more > buffer->cap) &&
        !grow(buffer, buffer->len + more)) {
        buffer->failed = true;
        return NULL;
    }
    return buffer->at + buffer->len;
}

bool neo_buffer_append(struct neo_buffer *buffer, struct neo_bytes bytes)
{
    if (bytes.len == 0)
        return !buffer->failed;

    uint8_t *at = neo_buffer_reserve(buffer, bytes.len);
    if (at == NULL)
        return false;
    memcpy(at, bytes.at, bytes.len);
    buffer->len += bytes.len;
    return true;
}

bool neo_buffer_append_byte(struct neo_buffer *buffer, uint8_t byte)
{
    return neo_buffer_append(buffer, neo_bytes(&byte, 1));
}

bool neo_buffer_append_text(struct neo_buffer *buffer, const char *text)
{
    return neo_buffer_append(buffer, neo_text(text));
}

bool neo_buffer_printf(struct neo_buffer *buffer, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len < 0)
        return false;

    uint8_t *at = neo_buffer_reserve(buffer, (size_t)len + 1);
    if (at == NULL)
        return false;
    va_start(args, format);
    (void)vsnprintf((char *)at, (size_t)len + 1, format, args);
    va_end(args);
    buffer->len += (size_t)len;
    return true;
}

void neo_buffer_drop(struct neo_buffer *buffer, size_t n)
{
    if (n >= buffer->len) {
        buffer->len = 0;
        return;
    }
    memmove(buffer->at, buffer->at + n, buffer->len - n);
    buffer->len -= n;
}
