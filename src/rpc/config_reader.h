/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc/config_reader.h - JSON with the path of where one is.
 *
 * A thin coat over neo/json.h: keys and elements write themselves into `path`, and what is refused
 * is told with it: "$.methodConfig[1].retryPolicy.maxAttempts: must be at least 2". After the first
 * error the path stands still, and every call returns false.
 */
#ifndef NEO_RPC_CONFIG_READER_H
#define NEO_RPC_CONFIG_READER_H

#include <neo/json.h>
#include <neo/time.h>

struct config_reader {
    struct neo_json json;
    char path[160];
    size_t len; /* of path */
};

void config_init(struct config_reader *r, const char *json, struct neo_arena *arena);
/* OK, or the first error with its path. */
NEO_MUST_CHECK enum neo_code config_finish(struct config_reader *r, struct neo_error *err);
NEO_PRINTF(2, 3) void config_refuse(struct config_reader *r, const char *format, ...);
/* "unknown key": for the last of a chain of comparisons. */
void config_unknown(struct config_reader *r, const char *known);

/* `each` is called for every key of the object that comes next, and reads its value. */
typedef void config_key_fn(struct config_reader *r, struct neo_bytes key, void *self);
void config_object(struct config_reader *r, config_key_fn *each, void *self);
/* And for every element of an array. */
typedef void config_element_fn(struct config_reader *r, void *self);
void config_array(struct config_reader *r, config_element_fn *each, void *self);

/* They write `*ret` on success only. */
void config_string(struct config_reader *r, struct neo_bytes *ret); /* null: empty */
void config_bool(struct config_reader *r, bool *ret);
void config_u32(struct config_reader *r, uint32_t least, uint32_t most, uint32_t *ret);
/* "0.1s", "30s": protobuf's JSON form of a Duration; `least` is refused below. */
void config_duration(struct config_reader *r, neo_nsec least, neo_nsec *ret);
/* In thousandths. */
void config_milli(struct config_reader *r, uint32_t least, uint32_t most, uint32_t *ret);
/* An array of gRPC codes but OK, as names or numbers: bit n is code n. */
void config_codes(struct config_reader *r, uint32_t *ret);

#endif
