/* SPDX-License-Identifier: Apache-2.0 */
/*
 * codec/json_number.h - numbers between JSON's decimal text and C.
 *
 * The decimal point is a point whatever the process's locale says.
 */
#ifndef NEO_CODEC_JSON_NUMBER_H
#define NEO_CODEC_JSON_NUMBER_H

#include <neo/arena.h>

enum json_number {
    JSON_NUMBER_OK,
    JSON_NUMBER_MALFORMED,
    JSON_NUMBER_FRACTION, /* not a whole number */
    JSON_NUMBER_RANGE,
    JSON_NUMBER_MEMORY,
};

/* For messages: "is not a number", "is out of range", ... */
const char *json_number_why(enum json_number result);

/* How many bytes at the start of `text` are a number by JSON's grammar; 0: none. */
size_t json_number_len(struct neo_bytes text);

/* All of `text` must be a number. Exact: 1e2 and 1.0 are whole, 1.5 is not. */
enum json_number json_number_i64(struct neo_bytes text, int64_t *ret);
enum json_number json_number_u64(struct neo_bytes text, uint64_t *ret);
/* Correctly rounded; what is too large for a double is out of range. Long text is copied. */
enum json_number json_number_double(struct neo_bytes text, struct neo_arena *arena, double *ret);

enum { JSON_DOUBLE_MAX = 32 };
/* The shortest text that reads back as the same value, which must be finite; returns its length. */
size_t json_number_print_double(double value, char ret[static JSON_DOUBLE_MAX]);
size_t json_number_print_float(float value, char ret[static JSON_DOUBLE_MAX]);

#endif
