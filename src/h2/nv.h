/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2/nv.h - header fields as nghttp2 wants them.
 *
 * nghttp2 copies what it is given, unless it is told that the bytes outlive the frame.
 * That holds for literals only: a stream may close with its frames unsent.
 */
#ifndef NEO_H2_NV_H
#define NEO_H2_NV_H

#include "h2/h2.h"

#include <nghttp2/nghttp2.h>

/* nghttp2 does not write through these; its types are older than its manners. */
static inline uint8_t *unconst(const void *p)
{
    return (uint8_t *)(uintptr_t)p;
}

static inline nghttp2_nv nv_of(struct neo_bytes name, struct neo_bytes value)
{
    return (nghttp2_nv){unconst(name.at), unconst(value.at), name.len, value.len,
                        NGHTTP2_NV_FLAG_NONE};
}

static inline nghttp2_nv nv_static(struct neo_bytes name, struct neo_bytes value)
{
    return (nghttp2_nv){unconst(name.at), unconst(value.at), name.len, value.len,
                        NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE};
}

/* Borrowed, one for each header. */
void nv_fill(nghttp2_nv *at, const struct h2_header *headers, size_t n);
/* Copied into the arena: trailers may wait longer than the caller's bytes live. NULL: no memory. */
const nghttp2_nv *nv_keep(struct neo_arena *arena, const struct h2_header *headers, size_t n);

/* What almost every answer begins with: 200, and h2_type_grpc alone. */
enum { NV_USUAL = 2 };
extern const nghttp2_nv nv_usual[NV_USUAL];

static inline bool nv_is_usual(int status, const struct h2_header *headers, size_t n)
{
    return n == 1 && status == 200 && headers[0].value.at == h2_type_grpc.value.at;
}
/* `digits` must live as long as the result. */
nghttp2_nv nv_status(int status, char digits[static 3]);

#endif
