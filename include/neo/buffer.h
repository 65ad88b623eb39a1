/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo/buffer.h - bytes that grow, up to a limit.
 *
 * Appending to a buffer that is full or out of memory sets `failed` and changes
 * nothing more, so a writer may append freely and check once.
 *
 * Storage   The struct is the caller's; {0} is an empty buffer without limit.
 * Threads   Not synchronised.
 */
#ifndef NEO_BUFFER_H
#define NEO_BUFFER_H

#include <neo/bytes.h>

#ifdef __cplusplus
extern "C" {
#endif

struct neo_buffer {
    uint8_t *at;
    size_t len;
    size_t cap;
    size_t limit; /* 0: none */
    bool failed;
};

/* Gives its memory back. It is empty then, and may be used again. */
void neo_buffer_fini(struct neo_buffer *buffer);
/* The same with the contents zeroised first: for keys and tokens. */
void neo_buffer_fini_secret(struct neo_buffer *buffer);

/* Makes room for `more` bytes behind `len` and returns where; NULL when failed. */
uint8_t *neo_buffer_reserve(struct neo_buffer *buffer, size_t more);

/* Copy to its end. False when out of memory or over `limit`: then it has `failed`, and stays so. */
bool neo_buffer_append(struct neo_buffer *buffer, struct neo_bytes bytes);
bool neo_buffer_append_byte(struct neo_buffer *buffer, uint8_t byte);
bool neo_buffer_append_text(struct neo_buffer *buffer, const char *text);
__attribute__((format(printf, 2, 3))) bool neo_buffer_printf(struct neo_buffer *buffer,
                                                             const char *format, ...);

/* Drops the first `n` bytes; the rest moves to the front. */
void neo_buffer_drop(struct neo_buffer *buffer, size_t n);

/* Empties it and forgets a failure; keeps the memory for what comes next. */
static inline void neo_buffer_clear(struct neo_buffer *buffer)
{
    buffer->len = 0;
    buffer->failed = false;
}

/* What is in it, until it is changed. */
static inline struct neo_bytes neo_buffer_bytes(const struct neo_buffer *buffer)
{
    return neo_bytes(buffer->at, buffer->len);
}

#ifdef __cplusplus
}
#endif

#endif
