/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc/symbols.h - what a .proto file declares, as its descriptor says.
 *
 * For reflection: the tables of generated code know messages, fields and services; the
 * rest (enums nobody uses, their values, oneofs, extensions) is in the descriptor that
 * they carry, which is decoded for the question and forgotten.
 */
#ifndef NEO_RPC_SYMBOLS_H
#define NEO_RPC_SYMBOLS_H

#include <neo/proto.h>

/* It declares this: a full name without a leading dot. */
bool symbols_declares(const struct neo_file_info *file, struct neo_bytes symbol);
/* It extends message `type` with field `number`. */
bool symbols_extends(const struct neo_file_info *file, struct neo_bytes type, int32_t number);
/* The numbers with which it extends `type`, behind the `n` that are there. Returns how many there
   are now, at most `max`. */
size_t symbols_extensions(const struct neo_file_info *file, struct neo_bytes type, int32_t *numbers,
                          size_t n, size_t max);

#endif
