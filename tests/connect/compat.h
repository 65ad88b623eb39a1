/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compat.h - what both programs under ConnectRPC's conformance runner share: its messages on
 * standard input and output, each after its length as four bytes, big-endian.
 */
#ifndef NEO_TESTS_CONNECT_COMPAT_H
#define NEO_TESTS_CONNECT_COMPAT_H

#include <neo/metadata.h>
#include <neo/proto.h>

#include <connectrpc/conformance/v1/client_compat.neo.h>
#include <connectrpc/conformance/v1/server_compat.neo.h>

/* Ends the program unless `code` is OK. */
void compat_check(enum neo_code code, const struct neo_error *err);

/* A decoded message on `arena`; false at the end of the input. */
bool compat_read(const struct neo_message_info *info, void *message, struct neo_arena *arena);
/* Whole, whatever other threads write. */
void compat_write(const struct neo_message_info *info, const void *message);

/* The encoded message, on `arena`. */
struct neo_bytes compat_encode(const struct neo_message_info *info, const void *message,
                               struct neo_arena *arena);
/* The same as an Any. */
struct google_protobuf_Any *compat_any(const struct neo_message_info *info, const void *message,
                                       struct neo_arena *arena);

/* A list of headers that grows; values of -bin names are base64, as the runner wants them. */
struct compat_list {
    struct connectrpc_conformance_v1_Header **at;
    size_t len;
};
void compat_add(struct compat_list *list, struct neo_pair pair, struct neo_arena *arena);
/* The bytes that a value of the runner's stands for: it gives -bin values as base64. */
struct neo_bytes compat_value(struct neo_bytes name, struct neo_bytes value,
                              struct neo_arena *arena);

#endif
