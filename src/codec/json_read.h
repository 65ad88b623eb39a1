/* SPDX-License-Identifier: Apache-2.0 */
/*
 * codec/json_read.h - what the parts of the JSON reader share.
 */
#ifndef NEO_CODEC_JSON_READ_H
#define NEO_CODEC_JSON_READ_H

#include "codec/json_keys.h"

#include <neo/json.h>

struct neo_json_level {
    bool is_object;
    bool has_members; /* so far */
    struct json_keys keys;
};

/* Record a failure at the present place, if it is the first; return false. */
NEO_PRINTF(2, 3) bool json_fail(struct neo_json *r, const char *format, ...);
NEO_PRINTF(2, 3) bool json_exhausted(struct neo_json *r, const char *format, ...);

/* Reads the string whose opening quote is next. */
bool json_read_string(struct neo_json *r, struct neo_bytes *ret);

#endif
