/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names.h - from names of protobuf to names of C.
 */
#ifndef NEO_CODEGEN_NAMES_H
#define NEO_CODEGEN_NAMES_H

#include <neo/arena.h>

/* "pkg.Outer" -> "pkg_Outer"; "a/b-c" -> "a_b_c". */
const char *names_symbol(struct neo_arena *arena, struct neo_bytes name);
/* The same for a name that stands alone: the words of C and C++ get a trailing underscore. */
const char *names_member(struct neo_arena *arena, struct neo_bytes name);

#endif
