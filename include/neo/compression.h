/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo/compression.h - messages compressed with gzip, one by one.
 *
 * Nothing is compressed and nothing compressed is taken unless somebody asks for it:
 *
 *   server   neo_server_options.accept_gzip: requests may come compressed. Without it they are
 *            refused (UNIMPLEMENTED, COMPRESSION_UNKNOWN), with grpc-accept-encoding saying so.
 *   channel  neo_channel_options.accept_gzip: says so to servers, and takes their compressed
 *            responses. Without it one ends the call with INTERNAL.
 *   sending  neo_call_options.gzip, neo_call_compress(), neo_client_call_compress()
 *
 * The limits of message sizes hold for both sizes of a message. Inflating stops at the
 * limit, so a small message that stands for gigabytes costs no more than a large one.
 *
 * Do not compress messages that mix a secret with what somebody else may choose: the
 * length then tells of the secret.
 *
 * Standard: gRPC message compression; RFC 1952. Each message has a context of its own.
 */
#ifndef NEO_COMPRESSION_H
#define NEO_COMPRESSION_H

#include <neo/call.h>
#include <neo/channel.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- in a handler: on the call's worker ------------------------------------------------------- */

/* The message that is being handled (unary: the request) came compressed. */
bool neo_call_was_compressed(const struct neo_call *call);
/*
 * Messages sent from now on are compressed, or are not. False, and then they are not: the client
 * takes no gzip, or response headers that say nothing of compression have left already, so ask
 * before the first message.
 */
bool neo_call_compress(struct neo_call *call, bool on);

/* --- in a client: on the channel's loop ------------------------------------------------------- */

/* From inside the `message` event: this one came compressed. */
bool neo_client_call_was_compressed(const struct neo_client_call *call);
/* Messages sent from now on are, or are not; of a call that was started with `gzip`. */
void neo_client_call_compress(struct neo_client_call *call, bool on);

#ifdef __cplusplus
}
#endif

#endif
