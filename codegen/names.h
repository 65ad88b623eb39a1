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
/* The same for a type or a value, of a scope that C shares with its headers: what those declare
   gets an underscore, too. */
const char *names_global(struct neo_arena *arena, struct neo_bytes name);
/* What is of a method begins so: "pkg_Service_Method". What a service has itself (pkg_Service_add)
   has the name; a method "add" gets an underscore. */
const char *names_method(struct neo_arena *arena, const char *service, struct neo_bytes name);
/* Whether a header of C17 or POSIX may have made a macro of it. */
bool names_is_macro(const char *name);
/* Whether one of them declares it. */
bool names_is_declared(const char *name);

#endif
