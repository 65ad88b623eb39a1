/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc/metadata.h - the headers and trailers of an answer.
 */
#ifndef NEO_RPC_METADATA_H
#define NEO_RPC_METADATA_H

#include "rpc/call.h"

/* The response headers: content-type and, with `added`, what the handler added. Returns how many,
 * at most `max`. */
size_t metadata_answer(const struct neo_call *call, bool added, struct h2_header *ret, size_t max);
/* They are h2_type_grpc and nothing else. */
bool metadata_is_usual(const struct neo_call *call);

#endif
