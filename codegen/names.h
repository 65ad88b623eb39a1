/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names.h - from names of protobuf to names of C.
 */
#ifndef NEO_CODEGEN_NAMES_H
#define NEO_CODEGEN_NAMES_H

#include <neo/arena.h>

/* "pkg.Outer" -> "pkg_Outer"; "a/b-c" -> "a_b_c". */
const char *names_symbol(struct neo_arena *arena, struct neo_bytes name);
/* A name that can be a struct's member: C's own words get a trailing underscore. */
const char *names_member(struct neo_arena *arena, struct neo_bytes name);

#endif
