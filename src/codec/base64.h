/* SPDX-License-Identifier: Apache-2.0 */
/*
 * codec/base64.h - base64 as ProtoJSON has it.
 */
#ifndef NEO_CODEC_BASE64_H
#define NEO_CODEC_BASE64_H

#include <neo/encoding.h>

/* As neo_base64_decode(), but bits left over at the end may be anything: readers must take "-_". */
NEO_MUST_CHECK enum neo_code base64_decode_loose(struct neo_bytes text, struct neo_buffer *out,
                                                 struct neo_error *err);

#endif
