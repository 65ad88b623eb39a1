/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/symbols.h"

#include <google/protobuf/descriptor.neo.h>

enum { MESSAGES_MAX = 4096, BUDGET = 16 << 20, NAME_TAG = 0x0a, EXTENDEE_TAG = 0x12 };

/* A message, and the full name of it. */
struct scope {
    const struct google_protobuf_DescriptorProto *message;
    struct neo_bytes name;
};

struct scopes {
    struct scope at[MESSAGES_MAX];
    size_t n;
};

static struct neo_bytes join(struct neo_bytes scope, struct neo_bytes name, struct neo_arena *arena)
{
    uint8_t *at = neo_arena_alloc(arena, scope.len + 1 + name.len);

    if (at == NULL || scope.len == 0)
        return name;
    memcpy(at, scope.at, scope.len);
    at[scope.len] = '.';
    memcpy(at + scope.len + 1, name.at, name.len);
    return neo_bytes(at, scope.len + 1 + name.len);
}

/* `symbol` is `name`, declared in `scope`. */
static bool is(struct neo_bytes symbol, struct neo_bytes scope, struct neo_bytes name)
{
    if (scope.len == 0)
        return neo_bytes_equal(symbol, name);
    return symbol.len == scope.len + 1 + name.len && neo_bytes_starts(symbol, scope) &&
           symbol.at[scope.len] == '.' &&
           neo_bytes_equal(neo_bytes_from(symbol, scope.len + 1), name);
}

static void add(struct scopes *s, struct google_protobuf_DescriptorProto **messages, size_t n,
                struct neo_bytes scope, struct neo_arena *arena)
{
    for (size_t i = 0; i < n && s->n < MESSAGES_MAX; i++)
        s->at[s->n++] = (struct scope){messages[i], join(scope, messages[i]->name, arena)};
}

/* Every message of the file, the nested ones behind those that hold them. */
static struct scopes *walk(const struct google_protobuf_FileDescriptorProto *file,
                           struct neo_arena *arena)
{
    struct scopes *s = neo_arena_calloc(arena, 1, sizeof(*s));

    if (s == NULL)
        return NULL;
    add(s, file->message_type.at, file->message_type.len, file->package, arena);
    for (size_t i = 0; i < s->n; i++) {
        const struct google_protobuf_DescriptorProto *m = s->at[i].message;
        add(s, m->nested_type.at, m->nested_type.len, s->at[i].name, arena);
    }
    return s;
}

/*
 * Whether the descriptor holds this string in a field with this tag. Decoding it costs as much as
 * many calls: only a file that does name what is asked for is worth it.
 */
static bool holds(const struct neo_file_info *file, uint8_t tag, const char *dot,
                  struct neo_bytes text)
{
    uint8_t needle[2 + 1 + 127];
    size_t more = strlen(dot);

    if (text.len == 0 || text.len + more > 127)
        return false;
    needle[0] = tag;
    needle[1] = (uint8_t)(text.len + more);
    memcpy(needle + 2, dot, more);
    memcpy(needle + 2 + more, text.at, text.len);
    return memmem(file->descriptor.at, file->descriptor.len, needle, 2 + more + text.len) != NULL;
}

static struct neo_bytes last_part(struct neo_bytes symbol)
{
    for (size_t i = symbol.len; i > 0; i--)
        if (symbol.at[i - 1] == '.')
            return neo_bytes_from(symbol, i);
    return symbol;
}

static bool decode(const struct neo_file_info *file, struct neo_arena *arena,
                   struct google_protobuf_FileDescriptorProto *ret)
{
    return google_protobuf_FileDescriptorProto_decode(file->descriptor, ret, arena, NULL) == NEO_OK;
}

/* --- names ------------------------------------------------------------------------------------ */

static bool is_in_fields(struct neo_bytes symbol, struct neo_bytes scope,
                         struct google_protobuf_FieldDescriptorProto *const *fields, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (is(symbol, scope, fields[i]->name))
            return true;
    return false;
}

/* Values of an enum are declared beside it, not in it; both ways of asking are understood. */
static bool is_in_enums(struct neo_bytes symbol, struct neo_bytes scope,
                        struct google_protobuf_EnumDescriptorProto *const *enums, size_t n,
                        struct neo_arena *arena)
{
    for (size_t i = 0; i < n; i++) {
        struct neo_bytes name = join(scope, enums[i]->name, arena);
        if (neo_bytes_equal(symbol, name))
            return true;
        for (size_t k = 0; k < enums[i]->value.len; k++)
            if (is(symbol, scope, enums[i]->value.at[k]->name) ||
                is(symbol, name, enums[i]->value.at[k]->name))
                return true;
    }
    return false;
}

static bool is_in_message(struct neo_bytes symbol, const struct scope *s, struct neo_arena *arena)
{
    const struct google_protobuf_DescriptorProto *m = s->message;

    if (neo_bytes_equal(symbol, s->name) ||
        is_in_fields(symbol, s->name, m->field.at, m->field.len) ||
        is_in_fields(symbol, s->name, m->extension.at, m->extension.len) ||
        is_in_enums(symbol, s->name, m->enum_type.at, m->enum_type.len, arena))
        return true;
    for (size_t i = 0; i < m->oneof_decl.len; i++)
        if (is(symbol, s->name, m->oneof_decl.at[i]->name))
            return true;
    return false;
}

static bool is_in_service(struct neo_bytes symbol, struct neo_bytes package,
                          const struct google_protobuf_ServiceDescriptorProto *s,
                          struct neo_arena *arena)
{
    struct neo_bytes name = join(package, s->name, arena);

    if (neo_bytes_equal(symbol, name))
        return true;
    for (size_t i = 0; i < s->method.len; i++)
        if (is(symbol, name, s->method.at[i]->name))
            return true;
    return false;
}

static bool declares(const struct neo_file_info *file, struct neo_bytes symbol,
                     struct neo_arena *arena)
{
    struct google_protobuf_FileDescriptorProto f;
    struct scopes *scopes;

    if (!decode(file, arena, &f) || (scopes = walk(&f, arena)) == NULL)
        return false;
    if (is_in_enums(symbol, f.package, f.enum_type.at, f.enum_type.len, arena) ||
        is_in_fields(symbol, f.package, f.extension.at, f.extension.len))
        return true;
    for (size_t i = 0; i < f.service.len; i++)
        if (is_in_service(symbol, f.package, f.service.at[i], arena))
            return true;
    for (size_t i = 0; i < scopes->n; i++)
        if (is_in_message(symbol, &scopes->at[i], arena))
            return true;
    return false;
}

bool symbols_declares(const struct neo_file_info *file, struct neo_bytes symbol)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};

    if (!holds(file, NAME_TAG, "", last_part(symbol)))
        return false;
    neo_arena_init(&arena, BUDGET);
    return declares(file, symbol, &arena);
}

/* --- extensions ------------------------------------------------------------------------------- */

/* Descriptors name types with a leading dot. */
static size_t collect(struct google_protobuf_FieldDescriptorProto *const *fields, size_t n_fields,
                      struct neo_bytes type, int32_t *numbers, size_t n, size_t max)
{
    for (size_t i = 0; i < n_fields; i++) {
        struct neo_bytes extendee = fields[i]->extendee;
        if (extendee.len > 0 && extendee.at[0] == '.')
            extendee = neo_bytes_from(extendee, 1);
        if (n < max && neo_bytes_equal(extendee, type))
            numbers[n++] = fields[i]->number;
    }
    return n;
}

size_t symbols_extensions(const struct neo_file_info *file, struct neo_bytes type, int32_t *numbers,
                          size_t n, size_t max)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    struct google_protobuf_FileDescriptorProto f;
    struct scopes *scopes;

    if (!holds(file, EXTENDEE_TAG, ".", type))
        return n;
    neo_arena_init(&arena, BUDGET);
    if (!decode(file, &arena, &f) || (scopes = walk(&f, &arena)) == NULL)
        return n;
    n = collect(f.extension.at, f.extension.len, type, numbers, n, max);
    for (size_t i = 0; i < scopes->n; i++) {
        const struct google_protobuf_DescriptorProto *m = scopes->at[i].message;
        n = collect(m->extension.at, m->extension.len, type, numbers, n, max);
    }
    return n;
}

bool symbols_extends(const struct neo_file_info *file, struct neo_bytes type, int32_t number)
{
    int32_t numbers[256];
    size_t n = symbols_extensions(file, type, numbers, 0, NEO_COUNT(numbers));

    for (size_t i = 0; i < n; i++)
        if (numbers[i] == number)
            return true;
    return false;
}
