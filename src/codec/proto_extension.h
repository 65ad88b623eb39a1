/* SPDX-License-Identifier: Apache-2.0 */
/*
 * codec/proto_extension.h - the extensions that the files of a message know.
 */
#ifndef NEO_CODEC_PROTO_EXTENSION_H
#define NEO_CODEC_PROTO_EXTENSION_H

#include "codec/proto.h"

enum { PROTO_FILES_MAX = 256, PROTO_EXTENSIONS_MAX = 128 };

/* `file` and what it reaches by imports, each once, breadth first; what is beyond the room is not.
 */
size_t proto_files(const struct neo_file_info *file,
                   const struct neo_file_info *ret[static PROTO_FILES_MAX]);

/* The holder of the extension of that full name; NULL when no file that `file` reaches has it. */
const struct neo_message_info *proto_extension_named(const struct neo_file_info *file,
                                                     const struct neo_message_info *extendee,
                                                     struct neo_bytes name);
/* The holders of all that are known of a message; those beyond the room are not. */
size_t proto_extensions_of(const struct neo_file_info *file,
                           const struct neo_message_info *extendee,
                           const struct neo_message_info *ret[static PROTO_EXTENSIONS_MAX]);

#endif
