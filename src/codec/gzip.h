/* SPDX-License-Identifier: Apache-2.0 */
/*
 * codec/gzip.h - RFC 1952, one member at a time. The only place that knows zlib.
 *
 * A few bytes may stand for gigabytes, so whoever inflates names the most that may come
 * out. A member ends with the length of what it stands for: one that tells more than the most
 * leaves nothing in memory, and one that tells less than is true ends at what it has told.
 *
 * Threads   Nothing is shared.
 */
#ifndef NEO_CODEC_GZIP_H
#define NEO_CODEC_GZIP_H

#include <neo/buffer.h>
#include <neo/error.h>

/*
 * Appends what `in`, exactly one member, stands for. RESOURCE_EXHAUSTED: more than `max` bytes, or
 * out of memory; INTERNAL: it is no gzip, is cut short, is damaged or goes on behind its end. What
 * was appended before is then still there.
 */
NEO_MUST_CHECK enum neo_code gzip_inflate(struct neo_bytes in, size_t max, struct neo_buffer *out,
                                          struct neo_error *err);

/* Appends `in` as one member, of at most INT32_MAX bytes. RESOURCE_EXHAUSTED: out of memory. */
NEO_MUST_CHECK enum neo_code gzip_deflate(struct neo_bytes in, struct neo_buffer *out,
                                          struct neo_error *err);

#endif
