/* SPDX-License-Identifier: Apache-2.0 */
#include "names.h"

#include <stdio.h>

/* Keywords of C and C++, and macros of compilers and C's headers; the latter's long tail is in
 * names_macros.c. */
/* clang-format off */
static const char *const taken[] = {
    "EOF", "I", "INFINITY", "NAN", "NULL", "_Alignas", "_Alignof", "_Atomic", "_Bool", "_Complex",
    "_Generic", "_Imaginary", "_Noreturn", "_Static_assert", "_Thread_local", "alignas", "alignof", "and", "and_eq", "asm",
    "assert", "auto", "bitand", "bitor", "bool", "break", "case", "catch", "char", "char16_t",
    "char32_t", "char8_t", "class", "co_await", "co_return", "co_yield", "compl", "complex",
    "concept", "const", "const_cast", "consteval", "constexpr", "constinit", "continue",
    "decltype", "default", "delete", "do", "double", "dynamic_cast", "else", "enum", "errno",
    "explicit", "export", "extern", "false", "float", "for", "friend", "goto", "i386", "if",
    "imaginary", "inline", "int", "linux", "long", "mutable", "namespace", "new", "noexcept",
    "noreturn", "not", "not_eq", "nullptr", "offsetof", "operator", "or", "or_eq", "private",
    "protected", "public", "register", "reinterpret_cast", "requires", "restrict", "return",
    "short", "signed", "sizeof", "static", "static_assert", "static_cast", "stderr", "stdin",
    "stdout", "struct", "switch", "template", "this", "thread_local", "throw", "true", "try",
    "typedef", "typeid", "typename", "typeof", "union", "unix", "unsigned", "using", "virtual",
    "void", "volatile", "wchar_t", "while", "xor", "xor_eq",
};
/* clang-format on */

static bool is_taken(const char *name)
{
    for (size_t i = 0; i < NEO_COUNT(taken); i++) {
        if (strcmp(taken[i], name) == 0)
            return true;
    }
    return names_is_macro(name);
}

/* The types of members: in C++ none may have the name of a type that stands in the same struct. */
static bool is_used(const char *name)
{
    static const char *const used[] = {"int32_t", "int64_t", "size_t", "uint32_t", "uint64_t"};

    for (size_t i = 0; i < NEO_COUNT(used); i++) {
        if (strcmp(used[i], name) == 0)
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

static const char *or_none(const char *text)
{
    return text != NULL ? text : "";
}

const char *names_member(struct neo_arena *arena, struct neo_bytes name)
{
    const char *member = names_symbol(arena, name);

    if (!is_taken(member) && !is_used(member) && !names_is_reserved(member))
        return member;
    return or_none(neo_arena_printf(arena, "%s_", member));
}

const char *names_global(struct neo_arena *arena, struct neo_bytes name)
{
    const char *symbol = names_member(arena, name);

    return names_is_declared(symbol) ? or_none(neo_arena_printf(arena, "%s_", symbol)) : symbol;
}

/*
 * Letters become large, '/' an underscore, and every other byte x and its number: with a small x,
 * which is then nowhere else, so that the name can be read back. X_Y is x/y, and Xx5fY is x_y.
 */
const char *names_guard(struct neo_arena *arena, const char *stem)
{
    static const char hex[] = "0123456789abcdef";
    size_t cap = strlen(stem) * 3 + sizeof("__NEO_H");
    char *guard = neo_arena_alloc(arena, cap);
    size_t len = 0;

    if (guard == NULL)
        return "";
    if (stem[0] >= '0' && stem[0] <= '9')
        guard[len++] = '_';
    for (const char *c = stem; *c != '\0'; c++) {
        if (*c >= 'a' && *c <= 'z') {
            guard[len++] = (char)(*c - 'a' + 'A');
        } else if (*c == '/' || (*c >= '0' && *c <= '9')) {
            guard[len++] = *c == '/' ? '_' : *c;
        } else {
            guard[len++] = 'x';
            guard[len++] = hex[(uint8_t)*c >> 4];
            guard[len++] = hex[(uint8_t)*c & 15];
        }
    }
    (void)snprintf(guard + len, cap - len, "_NEO_H");
    return guard;
}

bool names_is_reserved(const char *name)
{
    size_t len = strlen(name);

    if (name[0] == '_' && (name[1] == '_' || (name[1] >= 'A' && name[1] <= 'Z')))
        return true;
    if (len >= strlen("_NEO_H") && strcmp(name + len - strlen("_NEO_H"), "_NEO_H") == 0)
        return true;
    return strncmp(name, "NEO_", strlen("NEO_")) == 0;
}

unsigned names_direction(struct neo_bytes text)
{
    if (text.len < 3 || text.at[0] != 0xe2 || (text.at[1] & 0xc0) != 0x80)
        return 0;
    unsigned c = 0x2000u | (unsigned)(text.at[1] & 0x3f) << 6 | (text.at[2] & 0x3fu);
    bool turns =
        c == 0x200e || c == 0x200f || (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
    return turns ? c : 0;
}

const char *names_method(struct neo_arena *arena, const char *service, struct neo_bytes name)
{
    static const char *const of_services[] = {"add", "handlers", "info", "methods"};
    const char *end = "";

    for (size_t i = 0; i < NEO_COUNT(of_services); i++)
        if (neo_bytes_is(name, of_services[i]))
            end = "_";
    const char *symbol = neo_arena_printf(arena, "%s_%.*s%s", service, NEO_FMT_ALL(name), end);
    return symbol != NULL ? symbol : "";
}
