/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo/encoding.h - bytes as text: hex and base64 (RFC 4648), strict UTF-8.
 */
#ifndef NEO_ENCODING_H
#define NEO_ENCODING_H

#include <neo/buffer.h>
#include <neo/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Appends lower-case hex. */
bool neo_hex_encode(struct neo_buffer *out, struct neo_bytes data);
/* Both cases; an odd length or a foreign character is INVALID_ARGUMENT. */
NEO_MUST_CHECK enum neo_code neo_hex_decode(struct neo_bytes text, struct neo_buffer *out,
                                            struct neo_error *err);

enum neo_base64_form {
    NEO_BASE64_PADDED,
    NEO_BASE64_UNPADDED,
    NEO_BASE64_URL, /* URL-safe, unpadded */
};
/* Appends. False when out of memory. */
bool neo_base64_encode(struct neo_buffer *out, struct neo_bytes data, enum neo_base64_form form);
/* Accepts the standard and the URL-safe alphabet, padded or not; refuses everything else. */
NEO_MUST_CHECK enum neo_code neo_base64_decode(struct neo_bytes text, struct neo_buffer *out,
                                               struct neo_error *err);

/* Shortest form only, no surrogates, up to U+10FFFF. */
bool neo_is_utf8(struct neo_bytes text);

#ifdef __cplusplus
}
#endif

#endif
