/* SPDX-License-Identifier: Apache-2.0 */
#include "emit.h"

#include "names.h"

/* clang-format off */
static const char *const c_types[] = {
    [NEO_KIND_DOUBLE]   = "double ",
    [NEO_KIND_FLOAT]    = "float ",
    [NEO_KIND_INT64]    = "int64_t ",
    [NEO_KIND_UINT64]   = "uint64_t ",
    [NEO_KIND_INT32]    = "int32_t ",
    [NEO_KIND_FIXED64]  = "uint64_t ",
    [NEO_KIND_FIXED32]  = "uint32_t ",
    [NEO_KIND_BOOL]     = "bool ",
    [NEO_KIND_STRING]   = "struct neo_bytes ",
    [NEO_KIND_BYTES]    = "struct neo_bytes ",
    [NEO_KIND_UINT32]   = "uint32_t ",
    [NEO_KIND_ENUM]     = "int32_t ",
    [NEO_KIND_SFIXED32] = "int32_t ",
    [NEO_KIND_SFIXED64] = "int64_t ",
    [NEO_KIND_SINT32]   = "int32_t ",
    [NEO_KIND_SINT64]   = "int64_t ",
    [NEO_KIND_GROUP]    = NULL,
};
/* clang-format on */

/* With the space or star that stands before the name. */
static const char *c_type(const struct emit *e, const struct model_field *f)
{
    const char *type = c_types[f->descriptor->type];

    if (f->type != NULL && f->type->message != NULL)
        type = neo_arena_printf(e->model->arena, "struct %s %s", f->type->symbol,
                                f->flags & NEO_FIELD_MAP ? "" : "*");
    return type != NULL ? type : "";
}

/* --- enums ------------------------------------------------------------------------------------ */

static void put_enum(const struct emit *e, const struct model_type *type)
{
    const struct neo_descriptor_enum *d = type->enumeration;

    emit_comment(e, "", model_comment(e->file, type->path).leading);
    emit(e, "enum %s {\n", type->symbol);
    for (size_t i = 0; i < d->value.len; i++) {
        const struct neo_descriptor_enum_value *value = d->value.at[i];
        struct model_comment comment =
            model_comment(e->file, model_path(e->model->arena, type->path, 2, i));

        emit_comment(e, "    ", comment.leading);
        emit(e, "    %s = ", model_value(e->model, type, i));
        if (value->number == INT32_MIN)
            emit(e, "INT32_MIN,");
        else
            emit(e, "%d,", value->number);
        emit_trailing(e, "    ", comment.trailing);
    }
    emit(e, "};\nextern const struct neo_enum_info %s_info;\n\n", type->symbol);
}

/* --- messages --------------------------------------------------------------------------------- */

static void put_oneof_numbers(const struct emit *e, const struct model_type *type)
{
    bool any = false;

    for (size_t i = 0; i < type->n_fields; i++) {
        const struct model_field *f = &type->fields[i];

        if (f->oneof == NULL)
            continue;
        if (!any)
            emit(e, "/* Values of the _case members of struct %s. */\nenum {\n", type->symbol);
        any = true;
        emit(e, "    %s_%s_FIELD = %d,\n", type->symbol, f->plain, f->descriptor->number);
    }
    if (any)
        emit(e, "};\n\n");
}

static void put_member(const struct emit *e, const struct model_field *f)
{
    struct model_comment comment = model_comment(e->file, f->path);

    const char *deprecated = model_is_deprecated(f) ? " NEO_DEPRECATED" : "";

    emit_comment(e, "    ", comment.leading);
    if (f->flags & NEO_FIELD_PRESENCE)
        emit(e, "    bool %s%s;\n", f->presence, deprecated);
    if (f->flags & NEO_FIELD_REPEATED)
        emit(e, "    struct {\n        %s*at;\n        size_t len;\n    } %s%s;", c_type(e, f),
             f->name, deprecated);
    else
        emit(e, "    %s%s%s;", c_type(e, f), f->name, deprecated);
    if (f->descriptor->type == NEO_KIND_ENUM && comment.trailing.len == 0)
        emit(e, " /* enum %s */\n", f->type->symbol);
    else
        emit_trailing(e, "    ", comment.trailing);
}

static void put_message(const struct emit *e, const struct model_type *type)
{
    put_oneof_numbers(e, type);
    emit_comment(e, "", model_comment(e->file, type->path).leading);
    /* As an attribute it would be said of each mention, our own in this header included. */
    if (type->message->options != NULL && type->message->options->deprecated)
        emit(e, "/* Deprecated. */\n");
    emit(e, "struct %s {\n", type->symbol);
    for (size_t i = 0; i < type->n_fields; i++) {
        if (model_begins_oneof(type, i))
            emit(e, "    int32_t %s; /* which is set: %s_..._FIELD; 0: none */\n",
                 type->fields[i].presence, type->symbol);
        put_member(e, &type->fields[i]);
    }
    if (model_keeps_unknown(type))
        emit(e, "    struct neo_bytes neo_unknown;\n");
    emit(e, "};\nextern const struct neo_message_info %s_info;\n\n", type->symbol);
}

static void put_wrappers(const struct emit *e, const struct model_type *type)
{
    const char *s = type->symbol;

    emit(e,
         "/* Clears *ret first; it then borrows `wire` and lives in `arena`. */\n"
         "NEO_MUST_CHECK static inline enum neo_code\n"
         "%s_decode(struct neo_bytes wire, struct %s *ret, struct neo_arena *arena,\n"
         "    struct neo_error *err)\n"
         "{\n"
         "    (void)memset(ret, 0, sizeof(*ret));\n"
         "    return neo_proto_decode(&%s_info, wire, ret, arena, err);\n"
         "}\n\n",
         s, s, s);
    emit(e,
         "NEO_MUST_CHECK static inline enum neo_code\n"
         "%s_encode(const struct %s *message, struct neo_buffer *out, struct neo_error *err)\n"
         "{\n"
         "    return neo_proto_encode(&%s_info, message, out, err);\n"
         "}\n\n",
         s, s, s);
}

static void put_extension(const struct emit *e, const struct model_type *type)
{
    const struct model_type *extendee = model_extendee(e->model, type);
    const char *s = type->symbol;

    if (extendee == NULL)
        return;
    emit(e,
         "/* What `message` holds of it, in `arena`; *ret is cleared first. */\n"
         "NEO_MUST_CHECK static inline enum neo_code\n"
         "%s_get(const struct %s *message, struct %s *ret, struct neo_arena *arena,\n"
         "    struct neo_error *err)\n"
         "{\n"
         "    (void)memset(ret, 0, sizeof(*ret));\n"
         "    return neo_proto_decode(&%s_info, message->neo_unknown, ret, arena, err);\n"
         "}\n\n",
         s, extendee->symbol, s, s);
    emit(e,
         "/* Adds it to `message`, whose unknown fields live in `arena` from then on. */\n"
         "NEO_MUST_CHECK static inline enum neo_code\n"
         "%s_add(struct %s *message, const struct %s *value, struct neo_arena *arena,\n"
         "    struct neo_error *err)\n"
         "{\n"
         "    return neo_proto_extend(&%s_info, value, &message->neo_unknown, arena, err);\n"
         "}\n\n",
         s, extendee->symbol, s, s);
}

/* --- the file --------------------------------------------------------------------------------- */

static bool has_extensions(const struct emit *e)
{
    for (size_t i = 0; i < e->file->n_types; i++) {
        if (e->file->types[i].extendee.len > 0)
            return true;
    }
    return false;
}

static void put_includes(const struct emit *e)
{
    if (e->file->descriptor->service.len > 0)
        emit(e, "#include <neo/call.h>\n#include <neo/channel.h>\n");
    if (has_extensions(e))
        emit(e, "#include <neo/extension.h>\n");
    emit(e, "#include <neo/proto.h>\n");
    if (e->file->descriptor->service.len > 0)
        emit(e, "#include <neo/server.h>\n");
    emit(e, "\n");
    for (size_t i = 0; i < e->file->n_imports; i++)
        emit(e, "#include \"%s.neo.h\"\n", e->file->imports[i]->stem);
    if (e->file->n_imports > 0)
        emit(e, "\n");
}

static void put_guard(const struct emit *e, const char *directive)
{
    emit(e, "#%s %s\n", directive, names_guard(e->model->arena, e->file->stem));
}

static void put_types(const struct emit *e)
{
    bool any = false;

    for (size_t i = 0; i < e->file->n_types; i++) {
        if (e->file->types[i].message == NULL)
            continue;
        any = true;
        emit(e, "struct %s;\n", e->file->types[i].symbol);
    }
    if (any)
        emit(e, "\n");
    for (size_t i = 0; i < e->file->n_types; i++) {
        if (e->file->types[i].enumeration != NULL)
            put_enum(e, &e->file->types[i]);
    }
    for (size_t i = 0; i < e->file->n_types; i++) {
        if (e->file->types[i].message != NULL)
            put_message(e, &e->file->types[i]);
    }
    for (size_t i = 0; i < e->file->n_types; i++) {
        if (e->file->types[i].message == NULL || e->file->types[i].is_entry)
            continue;
        if (e->file->types[i].extendee.len > 0)
            put_extension(e, &e->file->types[i]);
        else
            put_wrappers(e, &e->file->types[i]);
        emit_defaults(e, &e->file->types[i]);
    }
}

void emit_header(const struct emit *e)
{
    emit_origin(e);
    put_guard(e, "ifndef");
    put_guard(e, "define");
    emit(e, "\n");
    put_includes(e);
    emit(e,
         "#if NEO_PROTO_TABLES != %d\n"
         "#error \"made for other headers of libneo: run protoc-gen-neo again\"\n#endif\n\n"
         "#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n",
         NEO_PROTO_TABLES);
    emit(e, "extern const struct neo_file_info %s_file;\n\n", e->file->symbol);
    put_types(e);
    for (size_t i = 0; i < e->file->descriptor->service.len; i++)
        emit_service_header(e, i);
    emit(e, "#ifdef __cplusplus\n}\n#endif\n\n#endif\n");
}
