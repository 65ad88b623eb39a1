/* SPDX-License-Identifier: Apache-2.0 */
#include "names.h"

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

const char *names_member(struct neo_arena *arena, struct neo_bytes name)
{
    const char *member = names_symbol(arena, name);

    return is_taken(member) || is_used(member) ? neo_arena_printf(arena, "%s_", member) : member;
}

const char *names_global(struct neo_arena *arena, struct neo_bytes name)
{
    const char *symbol = names_member(arena, name);

    return names_is_declared(symbol) ? neo_arena_printf(arena, "%s_", symbol) : symbol;
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
