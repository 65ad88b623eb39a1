/* SPDX-License-Identifier: Apache-2.0 */
/* codec/utf8.h - one sequence at a time. */
#ifndef NEO_CODEC_UTF8_H
#define NEO_CODEC_UTF8_H

#include <neo/bytes.h>

/* The length, 1..4, of the valid sequence that begins at `at`, or 0; `left` is at least 1. */
size_t utf8_sequence_len(const uint8_t *at, size_t left);

/* What a sequence that utf8_sequence_len() found valid stands for. */
uint32_t utf8_code_point(const uint8_t *at, size_t len);

#endif
