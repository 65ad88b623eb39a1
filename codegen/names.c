/* SPDX-License-Identifier: Apache-2.0 */
#include "names.h"

/* C's keywords, and names that its headers or compilers define as macros. Sorted. */
static const char *const taken[] = {
    "EOF",       "I",        "INFINITY",      "NAN",    "NULL",     "alignas",
    "alignof",   "asm",      "assert",        "auto",   "bool",     "break",
    "case",      "char",     "complex",       "const",  "continue", "default",
    "do",        "double",   "else",          "enum",   "errno",    "extern",
    "false",     "float",    "for",           "goto",   "i386",     "if",
    "imaginary", "inline",   "int",           "linux",  "long",     "noreturn",
    "offsetof",  "register", "restrict",      "return", "short",    "signed",
    "sizeof",    "static",   "static_assert", "stderr", "stdin",    "stdout",
    "struct",    "switch",   "thread_local",  "true",   "typedef",  "typeof",
    "union",     "unix",     "unsigned",      "void",   "volatile", "while",
};

static bool is_taken(const char *name)
{
    for (size_t i = 0; i < NEO_COUNT(taken); i++) {
        if (strcmp(taken[i], name) == 0)
            return true;
    }
    return false;
}

static bool is_identifier_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

const char *names_symbol(struct neo_arena *arena, struct neo_bytes name)
{
    char *symbol = neo_arena_string(arena, name);

    if (symbol == NULL)
        return "";
    for (char *c = symbol; *c != '\0'; c++) {
        if (!is_identifier_byte(*c))
            *c = '_';
    }
    if (symbol[0] >= '0' && symbol[0] <= '9')
        return neo_arena_printf(arena, "_%s", symbol);
    return symbol;
}

const char *names_member(struct neo_arena *arena, struct neo_bytes name)
{
    const char *member = names_symbol(arena, name);

    return is_taken(member) ? neo_arena_printf(arena, "%s_", member) : member;
}
