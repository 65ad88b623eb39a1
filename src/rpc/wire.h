/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc/wire.h - gRPC's headers: timeouts, statuses, binary metadata.
 *
 * Standard: gRPC over HTTP/2; unpadded base64 out, padded and unpadded in.
 */
#ifndef NEO_RPC_WIRE_H
#define NEO_RPC_WIRE_H

#include <neo/context.h>
#include <neo/status.h>

#include "h2/h2.h"

/* 1 to 8 digits and one of H M S m u n; anything else, 0 included where the digits are none, is
 * refused. */
NEO_MUST_CHECK enum neo_code wire_timeout_parse(struct neo_bytes text, neo_nsec *ret,
                                                struct neo_error *err);
enum { WIRE_DECIMAL_LEN = 20 };
/* Not terminated. Returns the length. */
size_t wire_decimal(uint64_t value, char ret[static WIRE_DECIMAL_LEN]);
enum { WIRE_TIMEOUT_LEN = 12 };
/* Rounded up to the finest unit that fits eight digits. Returns the length. */
size_t wire_timeout_format(neo_nsec timeout, char ret[static WIRE_TIMEOUT_LEN]);

/*
 * Percent-encoding of grpc-message. Either way at most 1 KiB of plain text is kept, cut between
 * characters and then ending in "...". The decoder never fails.
 */
struct neo_bytes wire_message_shown(struct neo_bytes text, struct neo_arena *arena);
struct neo_bytes wire_message_encode(struct neo_bytes text, struct neo_arena *arena);
struct neo_bytes wire_message_decode(struct neo_bytes text, struct neo_arena *arena);

/* The one value of a header; the empty run with NULL when absent or repeated. */
struct neo_bytes wire_header(struct h2_headers headers, const char *name);

/* True for names that are no metadata, x-caller-id, grpc-* and so on, and for what may be taken for
 * one that means something (h2/names.h). */
bool wire_is_reserved(struct neo_bytes name);

/*
 * The trailers of a status: grpc-status, grpc-message, grpc-status-details-bin,
 * grpc-retry-pushback-ms, then `extra`. Everything lives in `arena`. At most `max` fields; returns
 * how many.
 */
size_t wire_status_headers(const struct neo_status *status, const struct h2_header *extra,
                           size_t n_extra, struct neo_arena *arena, struct h2_header *ret,
                           size_t max);
/* What a client makes of trailers (or of a Trailers-Only response): never fails, odd ones become
 * UNKNOWN. */
struct neo_status wire_status_read(struct h2_headers trailers, int http_status,
                                   struct neo_arena *arena);
/* What a client makes of a stream that its server has reset. */
struct neo_status wire_status_of_reset(uint32_t h2_error);

/*
 * The context of an incoming request. `caller` and `caller_uri` come from the connection. Malformed
 * grpc-timeout: INVALID_ARGUMENT. `now` is monotonic.
 */
NEO_MUST_CHECK enum neo_code wire_context_read(struct h2_headers headers, neo_nsec now,
                                               struct neo_arena *arena, struct neo_context *ret,
                                               struct neo_error *err);

#endif
