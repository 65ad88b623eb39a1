/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc/compression.h - what grpc-encoding and grpc-accept-encoding say, for both roles.
 */
#ifndef NEO_RPC_COMPRESSION_H
#define NEO_RPC_COMPRESSION_H

#include "h2/h2.h"
#include "rpc/frame.h"

/* What a peer says its messages may be compressed with. */
enum frame_encoding compression_read(struct h2_headers headers, bool accept_gzip);
/* Whether a peer takes gzip. */
bool compression_is_accepted(struct h2_headers headers);

extern const struct h2_header compression_encoding; /* grpc-encoding: gzip */
/* grpc-accept-encoding, of who takes gzip and of who does not. */
const struct h2_header *compression_accept(bool gzip);

#endif
