/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo/bytes.h - a run of bytes somebody else owns.
 *
 * Passed by value. Text is bytes too: it is not terminated, may hold NUL, and
 * becomes a C string only at the kernel's border. The empty run may have any
 * address, NULL included.
 */
#ifndef NEO_BYTES_H
#define NEO_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

struct neo_bytes {
    const uint8_t *at;
    size_t len;
};

/* A run of `len` bytes. Borrows. */
static inline struct neo_bytes neo_bytes(const void *at, size_t len)
{
    struct neo_bytes bytes = {(const uint8_t *)at, len};

    return bytes;
}

/*
 * NEO_LIT: the bytes of a string literal or other char array, without its terminator.
 * NEO_AT_LEAST: of an array parameter, how many elements there are at least.
 */
#ifdef __cplusplus
#define NEO_LIT(text)   neo_bytes((text), sizeof(text) - 1)
#define NEO_AT_LEAST(n) (n)
#else
#define NEO_LIT(text)   ((struct neo_bytes){(const uint8_t *)(text), sizeof(text) - 1})
#define NEO_AT_LEAST(n) static(n)
#endif

/* Borrows a C string; NULL is the empty run. */
static inline struct neo_bytes neo_text(const char *text)
{
    return neo_bytes(text, text == NULL ? 0 : strlen(text));
}

/* Not constant in time: for secrets there is neo_secret_equal() in neo/digest.h. */
static inline bool neo_bytes_equal(struct neo_bytes a, struct neo_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

/* Equal to a C string. */
static inline bool neo_bytes_is(struct neo_bytes a, const char *text)
{
    return neo_bytes_equal(a, neo_text(text));
}

/* Begins with `prefix`. */
static inline bool neo_bytes_starts(struct neo_bytes a, struct neo_bytes prefix)
{
    return a.len >= prefix.len && (prefix.len == 0 || memcmp(a.at, prefix.at, prefix.len) == 0);
}

/* All but the first `start`; empty when there are no more. */
static inline struct neo_bytes neo_bytes_from(struct neo_bytes a, size_t start)
{
    return start >= a.len ? neo_bytes(a.at, 0) : neo_bytes(a.at + start, a.len - start);
}

/*
 * For printf: "%.*s", NEO_FMT(bytes). In messages for people: at most 200 bytes of it.
 * NEO_FMT_ALL(bytes) where the text is what counts: all of it, up to 2 GiB. Both end at a zero
 * byte, as printf does.
 */
#define NEO_FMT(b)     (int)((b).len > 200 ? 200 : (b).len), (const char *)(b).at
#define NEO_FMT_ALL(b) (int)((b).len > 0x7fffffff ? 0x7fffffff : (b).len), (const char *)(b).at

/* The struct of type `type` whose member `member` is at `pointer`. */
#define neo_owner(pointer, type, member)                                                           \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#define NEO_COUNT(array) (sizeof(array) / sizeof((array)[0]))

#ifdef __cplusplus
}
#endif

#endif
