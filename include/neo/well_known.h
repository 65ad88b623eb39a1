/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo/well_known.h - google.protobuf.Any, Timestamp and Duration as C has them.
 *
 * Their structs are generated, like all others: include <google/protobuf/any.neo.h> and so on. In
 * JSON they have a form of their own (neo_proto_to_json()).
 *
 *     struct google_protobuf_Any any;
 *     NEO_TRY(neo_any_pack(&prices_Quote_info, &quote, &any, &arena, err));
 *     ...
 *     if (neo_any_is(&any, &prices_Quote_info))
 *         NEO_TRY(neo_any_unpack(&any, &prices_Quote_info, &quote, &arena, err));
 *
 * Errors     Results are written only on success, but for what an unpacked message says.
 * Threads    Any.
 * Standard   the comments of protobuf's any.proto, timestamp.proto and duration.proto.
 */
#ifndef NEO_WELL_KNOWN_H
#define NEO_WELL_KNOWN_H

#include <neo/proto.h>
#include <neo/time.h>

#ifdef __cplusplus
extern "C" {
#endif

struct google_protobuf_Any;
struct google_protobuf_Duration;
struct google_protobuf_Timestamp;

/* --- Any: a message of any type, encoded, with its type's name -------------------------------- */

/*
 * Encodes `message` into `*ret`, with the type URL "type.googleapis.com/" and the full name. Both
 * live in the arena; nothing of `message` is borrowed. RESOURCE_EXHAUSTED: the arena's budget is
 * spent. INVALID_ARGUMENT: it cannot be encoded.
 */
NEO_MUST_CHECK enum neo_code neo_any_pack(const struct neo_message_info *info, const void *message,
                                          struct google_protobuf_Any *ret, struct neo_arena *arena,
                                          struct neo_error *err);

/*
 * Whether it holds a message of that type: what stands behind the last '/' of its type URL,
 * whatever host is before it. A URL without '/' names no type.
 */
bool neo_any_is(const struct google_protobuf_Any *any, const struct neo_message_info *info);

/*
 * Decodes what it holds into `ret`, a struct of info->size bytes that is cleared first. The message
 * lives in the arena and borrows strings and bytes from `any->value`. INVALID_ARGUMENT: it holds
 * another type, which is named beside the one that was asked for, and `ret` is untouched; or it is
 * malformed, as in neo_proto_decode(). RESOURCE_EXHAUSTED: it is beyond the limits.
 */
NEO_MUST_CHECK enum neo_code neo_any_unpack(const struct google_protobuf_Any *any,
                                            const struct neo_message_info *info, void *ret,
                                            struct neo_arena *arena, struct neo_error *err);

/* --- Timestamp: an instant ------------------------------------------------------------------- */

/* `*ret` is the instant `wall`, in nanoseconds since 1970 as of neo_wall_nsec(). Never out of
 * range. */
void neo_timestamp_set(struct google_protobuf_Timestamp *ret, int64_t wall);

/*
 * And back. INVALID_ARGUMENT: it is none, by the standard: not within the years 1 to 9999, or
 * `nanos` not within 0 to 999,999,999. OUT_OF_RANGE: it is one, and beyond 64 bits of nanoseconds:
 * not from 1677-09-21 to 2262-04-11.
 */
NEO_MUST_CHECK enum neo_code neo_timestamp_get(const struct google_protobuf_Timestamp *timestamp,
                                               int64_t *ret_wall, struct neo_error *err);

/* --- Duration: a span of time ---------------------------------------------------------------- */

/* `*ret` is `duration`. Never out of range: 64 bits of nanoseconds are 584 years. */
void neo_duration_set(struct google_protobuf_Duration *ret, neo_nsec duration);

/*
 * And back. INVALID_ARGUMENT: it is none, by the standard: beyond 315,576,000,000 s either way,
 * `nanos` not of less than a second, or of another sign than `seconds`. OUT_OF_RANGE: it is one,
 * and negative or beyond 64 bits of nanoseconds.
 */
NEO_MUST_CHECK enum neo_code neo_duration_get(const struct google_protobuf_Duration *duration,
                                              neo_nsec *ret, struct neo_error *err);

#ifdef __cplusplus
}
#endif

#endif
