/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2/grammar.h - what a gRPC request must look like, byte for byte.
 *
 * Nothing is normalised: what does not match is refused, so that the policy and
 * the dispatcher can never read one path in two ways. Pure.
 */
#ifndef NEO_H2_GRAMMAR_H
#define NEO_H2_GRAMMAR_H

#include <neo/bytes.h>

/* ^/[A-Za-z_][A-Za-z0-9_.]{0,127}/[A-Za-z_][A-Za-z0-9_]{0,63}$ */
bool h2_path_is_valid(struct neo_bytes path);
/* A host name, IPv4 or [IPv6] address, with or without a port; at most 255 bytes. */
bool h2_authority_is_valid(struct neo_bytes authority);
/* "application/grpc" or "application/grpc+proto", alone or followed by ';'; the type in any case of
   letters. Another codec is another type: we would not understand the messages. */
bool h2_is_grpc_type(struct neo_bytes content_type);
/* Names that have a meaning at the head of a message and none in its trailers. */
bool h2_is_reserved_in_trailers(struct neo_bytes name);

#endif
