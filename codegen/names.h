/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names.h - from names of protobuf to names of C.
 */
#ifndef NEO_CODEGEN_NAMES_H
#define NEO_CODEGEN_NAMES_H

#include <neo/arena.h>

/* "pkg.Outer" -> "pkg_Outer"; "a/b-c" -> "a_b_c". */
const char *names_symbol(struct neo_arena *arena, struct neo_bytes name);
/* The same for a name that stands alone: the words of C and C++, and what is reserved, get a
   trailing underscore. */
const char *names_member(struct neo_arena *arena, struct neo_bytes name);
/* The same for a type or a value, of a scope that C shares with its headers: what those declare
   gets an underscore, too. */
const char *names_global(struct neo_arena *arena, struct neo_bytes name);
/* What is of a method begins so: "pkg_Service_Method". What a service has itself (pkg_Service_add)
   has the name; a method "add" gets an underscore. */
const char *names_method(struct neo_arena *arena, const char *service, struct neo_bytes name);
/* The include guard of what is made of a/b.proto, whose stem is "a/b": of two stems never the
   same. */
const char *names_guard(struct neo_arena *arena, const char *stem);
/* Whether a global name may be one of compilers and their headers, of libneo's macros or of a
   guard. */
bool names_is_reserved(const char *name);
/* The number of the character that `text` begins with when it is one of those that turn the
   direction of text around, each three bytes long; else 0. */
unsigned names_direction(struct neo_bytes text);
/* Whether a header of C17 or POSIX may have made a macro of it. */
bool names_is_macro(const char *name);
/* Whether one of them declares it. */
bool names_is_declared(const char *name);

#endif
