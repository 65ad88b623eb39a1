/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables. Offsets are left to the compiler (offsetof), so that they cannot be wrong.
 */
#include "emit.h"

#include <stdlib.h>

/* clang-format off */
static const char *const kinds[] = {
    [NEO_KIND_DOUBLE]   = "NEO_KIND_DOUBLE",
    [NEO_KIND_FLOAT]    = "NEO_KIND_FLOAT",
    [NEO_KIND_INT64]    = "NEO_KIND_INT64",
    [NEO_KIND_UINT64]   = "NEO_KIND_UINT64",
    [NEO_KIND_INT32]    = "NEO_KIND_INT32",
    [NEO_KIND_FIXED64]  = "NEO_KIND_FIXED64",
    [NEO_KIND_FIXED32]  = "NEO_KIND_FIXED32",
    [NEO_KIND_BOOL]     = "NEO_KIND_BOOL",
    [NEO_KIND_STRING]   = "NEO_KIND_STRING",
    [NEO_KIND_MESSAGE]  = "NEO_KIND_MESSAGE",
    [NEO_KIND_BYTES]    = "NEO_KIND_BYTES",
    [NEO_KIND_UINT32]   = "NEO_KIND_UINT32",
    [NEO_KIND_ENUM]     = "NEO_KIND_ENUM",
    [NEO_KIND_SFIXED32] = "NEO_KIND_SFIXED32",
    [NEO_KIND_SFIXED64] = "NEO_KIND_SFIXED64",
    [NEO_KIND_SINT32]   = "NEO_KIND_SINT32",
    [NEO_KIND_SINT64]   = "NEO_KIND_SINT64",
    [NEO_KIND_GROUP]    = "NEO_KIND_MESSAGE",
};

static const struct { unsigned flag; const char *name; } flags[] = {
    {NEO_FIELD_REPEATED, "NEO_FIELD_REPEATED"},
    {NEO_FIELD_PACKED,   "NEO_FIELD_PACKED"},
    {NEO_FIELD_PRESENCE, "NEO_FIELD_PRESENCE"},
    {NEO_FIELD_ONEOF,    "NEO_FIELD_ONEOF"},
    {NEO_FIELD_MAP,      "NEO_FIELD_MAP"},
    {NEO_FIELD_GROUP,    "NEO_FIELD_GROUP"},
    {NEO_FIELD_REQUIRED, "NEO_FIELD_REQUIRED"},
};

static const char *const sensitivities[] = {
    [NEO_SENSITIVITY_PUBLIC]   = "NEO_SENSITIVITY_PUBLIC",
    [NEO_SENSITIVITY_INTERNAL] = "NEO_SENSITIVITY_INTERNAL",
    [NEO_SENSITIVITY_TEE_ONLY] = "NEO_SENSITIVITY_TEE_ONLY",
};
/* clang-format on */

/* A question mark might begin a trigraph. */
static void put_quoted(const struct emit *e, const char *text)
{
    emit(e, "\"");
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\' || *c == '?' || *c < ' ' || *c > '~')
            emit(e, "\\%03o", (unsigned)(unsigned char)*c);
        else
            emit(e, "%c", *c);
    }
    emit(e, "\"");
}

/* --- enums ------------------------------------------------------------------------------------ */

static int by_value(const void *a, const void *b)
{
    const int32_t *x = a;
    const int32_t *y = b;

    return (*x > *y) - (*x < *y);
}

/* INT32_MIN has no literal. */
static void put_number(const struct emit *e, int32_t number)
{
    if (number == INT32_MIN)
        emit(e, "INT32_MIN");
    else
        emit(e, "%d", number);
}

/* The numbers of a closed enum, each once; returns how many. */
static size_t put_closed(const struct emit *e, const struct model_type *type)
{
    const struct neo_descriptor_enum *d = type->enumeration;
    int32_t *numbers = neo_arena_calloc(e->model->arena, d->value.len, sizeof(*numbers));
    size_t n = 0;

    if (numbers == NULL || type->features.enum_type != NEO_ENUM_CLOSED || d->value.len == 0)
        return 0;
    for (size_t i = 0; i < d->value.len; i++)
        numbers[i] = d->value.at[i]->number;
    qsort(numbers, d->value.len, sizeof(*numbers), by_value);
    emit(e, "static const int32_t %s_closed[] = {", type->symbol);
    for (size_t i = 0; i < d->value.len; i++) {
        if (i > 0 && numbers[i] == numbers[i - 1])
            continue;
        emit(e, n++ > 0 ? ", " : "");
        put_number(e, numbers[i]);
    }
    emit(e, "};\n\n");
    return n;
}

static void put_enum(const struct emit *e, const struct model_type *type)
{
    const struct neo_descriptor_enum *d = type->enumeration;
    size_t n_closed = put_closed(e, type);

    emit(e, "static const struct neo_enum_value %s_values[] = {\n", type->symbol);
    for (size_t i = 0; i < d->value.len; i++)
        emit(e, "    {%s, \"%.*s\"},\n", model_value(e->model, type, i),
             NEO_FMT_ALL(d->value.at[i]->name));
    emit(e,
         "};\nconst struct neo_enum_info %s_info = {\n"
         "    .full_name = \"%s\",\n"
         "    .n_values = %zu,\n"
         "    .values = %s_values,\n",
         type->symbol, type->full_name, d->value.len, type->symbol);
    if (n_closed > 0)
        emit(e, "    .closed = %s_closed,\n    .n_closed = %zu,\n", type->symbol, n_closed);
    emit(e, "};\n\n");
}

/* --- messages --------------------------------------------------------------------------------- */

static int by_number(const void *a, const void *b)
{
    const struct model_field *const *x = a;
    const struct model_field *const *y = b;

    return ((*x)->descriptor->number > (*y)->descriptor->number) -
           ((*x)->descriptor->number < (*y)->descriptor->number);
}

static void put_flags(const struct emit *e, unsigned set)
{
    const char *separator = "";

    emit(e, "        .flags = ");
    for (size_t i = 0; i < NEO_COUNT(flags); i++) {
        if (set & flags[i].flag) {
            emit(e, "%s%s", separator, flags[i].name);
            separator = " | ";
        }
    }
    emit(e, ",\n");
}

static void put_field(const struct emit *e, const struct model_type *type,
                      const struct model_field *f)
{
    const struct neo_descriptor_field *d = f->descriptor;
    int32_t sensitivity = d->options == NULL ? 0 : d->options->sensitivity;

    emit(e, "    {\n        .number = %d,\n        .kind = %s,\n", d->number, kinds[d->type]);
    if (f->flags != 0)
        put_flags(e, f->flags);
    if (sensitivity > 0 && (size_t)sensitivity < NEO_COUNT(sensitivities))
        emit(e, "        .sensitivity = %s,\n", sensitivities[sensitivity]);
    emit(e, "        .offset = offsetof(struct %s, %s),\n", type->symbol, f->name);
    if (f->presence != NULL)
        emit(e, "        .presence = offsetof(struct %s, %s),\n", type->symbol, f->presence);
    emit(e, "        .name = \"%s\",\n        .json_name = ", f->proto_name);
    put_quoted(e, f->json_name);
    emit(e, ",\n");
    if (f->type != NULL)
        emit(e, "        .%s = &%s_info,\n", f->type->message != NULL ? "message" : "enumeration",
             f->type->symbol);
    emit(e, "    },\n");
}

static void put_traits(const struct emit *e, const struct model_type *type)
{
    bool required = false;

    for (size_t i = 0; i < type->n_fields; i++)
        required = required || (type->fields[i].flags & NEO_FIELD_REQUIRED);
    bool unknown = model_keeps_unknown(type);

    if (unknown)
        emit(e, "    .unknown = offsetof(struct %s, neo_unknown),\n", type->symbol);
    if (!unknown && !required && !type->is_sensitive)
        return;
    emit(e, "    .traits = %s%s%s,\n", unknown ? "NEO_MESSAGE_UNKNOWN" : "0",
         required ? " | NEO_MESSAGE_REQUIRED" : "",
         type->is_sensitive ? " | NEO_MESSAGE_SENSITIVE" : "");
}

static void put_message(const struct emit *e, const struct model_type *type)
{
    const struct model_field **sorted =
        neo_arena_calloc(e->model->arena, type->n_fields, sizeof(*sorted));
    size_t dense = 0;

    for (size_t i = 0; sorted != NULL && i < type->n_fields; i++)
        sorted[i] = &type->fields[i];
    if (sorted != NULL && type->n_fields > 0) {
        qsort(sorted, type->n_fields, sizeof(*sorted), by_number);
        emit(e, "static const struct neo_field_info %s_fields[] = {\n", type->symbol);
        for (size_t i = 0; i < type->n_fields; i++) {
            dense += dense == i && (size_t)sorted[i]->descriptor->number == i + 1;
            put_field(e, type, sorted[i]);
        }
        emit(e, "};\n");
    }
    emit(e,
         "const struct neo_message_info %s_info = {\n"
         "    .full_name = \"%s\",\n"
         "    .size = sizeof(struct %s),\n",
         type->symbol, type->full_name, type->symbol);
    if (type->n_fields > 0)
        emit(e, "    .n_fields = %zu,\n    .fields = %s_fields,\n    .dense = %zu,\n",
             type->n_fields, type->symbol, dense);
    put_traits(e, type);
    emit(e, "    .file = &%s_file,\n};\n\n", e->file->symbol);
}

/* --- the file --------------------------------------------------------------------------------- */

/* A varint at *at; false at the end. For bytes that protoc made: no need to be strict. */
static bool take_varint(struct neo_bytes *at, uint64_t *ret)
{
    uint64_t value = 0;

    for (unsigned shift = 0; at->len > 0 && shift < 64; shift += 7) {
        uint8_t byte = at->at[0];
        *at = neo_bytes_from(*at, 1);
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *ret = value;
            return true;
        }
    }
    return false;
}

/*
 * The descriptor without its comments (source_code_info, field 9): they are many times its size and
 * reflection does not serve them. All fields of a FileDescriptorProto are runs, but the edition.
 */
static bool strip_comments(struct neo_bytes wire, struct neo_buffer *out)
{
    while (wire.len > 0) {
        struct neo_bytes from = wire;
        uint64_t tag;
        uint64_t len = 0;

        if (!take_varint(&wire, &tag) || !take_varint(&wire, &len))
            return false;
        if ((tag & 7) == 2) {
            if (len > wire.len)
                return false;
            wire = neo_bytes_from(wire, (size_t)len);
        }
        from.len -= wire.len;
        if (tag >> 3 != 9 && !neo_buffer_append(out, from))
            return false;
    }
    return true;
}

static void put_descriptor(const struct emit *e)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer bytes = {0};

    if (!strip_comments(e->file->wire, &bytes)) {
        e->out->failed = true;
        return;
    }
    emit(e, "static const uint8_t %s_descriptor[] = {", e->file->symbol);
    for (size_t i = 0; i < bytes.len; i++)
        emit(e, "%s0x%02x,", i % 16 == 0 ? "\n    " : " ", bytes.at[i]);
    emit(e, "\n};\n\n");
}

static void put_lists(const struct emit *e)
{
    const char *s = e->file->symbol;

    emit(e, "static const struct neo_file_info *const %s_imports[] = {\n", s);
    for (size_t i = 0; i < e->file->n_imports; i++)
        emit(e, "    &%s_file,\n", e->file->imports[i]->symbol);
    emit(e, "    NULL,\n};\n\nstatic const struct neo_message_info *const %s_messages[] = {\n", s);
    for (size_t i = 0; i < e->file->n_types; i++) {
        if (e->file->types[i].message != NULL && e->file->types[i].extendee.len == 0)
            emit(e, "    &%s_info,\n", e->file->types[i].symbol);
    }
    emit(e, "    NULL,\n};\n\nstatic const struct neo_service_info *const %s_services[] = {\n", s);
    for (size_t i = 0; i < e->file->descriptor->service.len; i++)
        emit(e, "    &%s_info,\n", model_service(e->model, e->file, i));
    emit(e, "    NULL,\n};\n\n");
}

/* Returns how many there are. */
static size_t put_extensions(const struct emit *e)
{
    size_t n = 0;

    for (size_t i = 0; i < e->file->n_types; i++) {
        const struct model_type *type = &e->file->types[i];
        const struct model_type *extendee = model_extendee(e->model, type);

        if (extendee == NULL)
            continue;
        if (n++ == 0)
            emit(e, "static const struct neo_extension_info %s_extensions[] = {\n",
                 e->file->symbol);
        emit(e, "    {&%s_info, &%s_info},\n", extendee->symbol, type->symbol);
    }
    if (n > 0)
        emit(e, "};\n\n");
    return n;
}

static void put_file(const struct emit *e)
{
    const char *s = e->file->symbol;

    put_descriptor(e);
    put_lists(e);
    size_t n_extensions = put_extensions(e);
    emit(e,
         "const struct neo_file_info %s_file = {\n"
         "    .name = ",
         s);
    put_quoted(e, e->file->name);
    emit(e,
         ",\n"
         "    .descriptor = {%s_descriptor, sizeof(%s_descriptor)},\n"
         "    .imports = %s_imports,\n"
         "    .messages = %s_messages,\n"
         "    .services = %s_services,\n",
         s, s, s, s, s);
    if (n_extensions > 0)
        emit(e, "    .extensions = %s_extensions,\n    .n_extensions = %zu,\n", s, n_extensions);
    emit(e, "    .tables = &neo_proto_tables_2,\n};\n");
}

static bool has_deprecated(const struct emit *e)
{
    for (size_t i = 0; i < e->file->n_types; i++) {
        for (size_t j = 0; j < e->file->types[i].n_fields; j++) {
            if (model_is_deprecated(&e->file->types[i].fields[j]))
                return true;
        }
    }
    return false;
}

void emit_source(const struct emit *e)
{
    emit_origin(e);
    emit(e, "#include \"%s.neo.h\"\n\n#include <stddef.h>\n\n", e->file->stem);
    if (has_deprecated(e))
        emit(e, "#pragma GCC diagnostic ignored \"-Wdeprecated-declarations\" /* tables have all "
                "*/\n\n");
    for (size_t i = 0; i < e->file->n_types; i++) {
        if (e->file->types[i].enumeration != NULL)
            put_enum(e, &e->file->types[i]);
    }
    for (size_t i = 0; i < e->file->n_types; i++) {
        if (e->file->types[i].message != NULL)
            put_message(e, &e->file->types[i]);
    }
    for (size_t i = 0; i < e->file->descriptor->service.len; i++)
        emit_service_source(e, i);
    put_file(e);
}
