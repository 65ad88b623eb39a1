/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo/extension.h - extensions of messages, as proto2 and editions have them.
 *
 * Generated code wraps this with types: <extension>_get() and <extension>_add().
 */
#ifndef NEO_EXTENSION_H
#define NEO_EXTENSION_H

#include <neo/proto.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A field that a file adds to a message of another. Its value lies, encoded, in
 * neo_unknown of the extended message; `holder` is a table with that field alone, by which it is
 * read from there. full_name of the holder is the extension's.
 */
struct neo_extension_info {
    const struct neo_message_info *extendee;
    const struct neo_message_info *holder;
};

/*
 * Appends an extension's value to the unknown fields of the message it extends; both live in the
 * arena then. What is there stays: of a singular field the last one counts.
 */
NEO_MUST_CHECK enum neo_code neo_proto_extend(const struct neo_message_info *holder,
                                              const void *value, struct neo_bytes *unknown,
                                              struct neo_arena *arena, struct neo_error *err);

#ifdef __cplusplus
}
#endif

#endif
