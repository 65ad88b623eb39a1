/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

#include "names.h"

#include <stdlib.h>

/* What the name of a file holds that a line of C cannot carry; NULL: nothing. */
static const char *unfit(struct neo_bytes name)
{
    for (size_t i = 0; i < name.len; i++) {
        struct neo_bytes rest = neo_bytes_from(name, i);

        if (rest.at[0] == '"' || rest.at[0] == '\\')
            return rest.at[0] == '"' ? "a quotation mark" : "a backslash";
        if (rest.at[0] < ' ' || rest.at[0] == 0x7f || names_direction(rest) != 0)
            return "a control character";
        if (neo_bytes_starts(rest, NEO_LIT("??")))
            return "two question marks";
    }
    return NULL;
}

enum neo_code check_file_name(struct neo_bytes name, struct neo_error *err)
{
    const char *what = unfit(name);

    if (what == NULL)
        return NEO_OK;
    return neo_fail(err, NEO_INVALID_ARGUMENT,
                    "%.*s: %s in the name of a file or folder has no place in an #include of C; "
                    "rename it",
                    NEO_FMT(name), what);
}

enum neo_code check_field(const struct model_type *type, const struct neo_descriptor_field *field,
                          struct neo_error *err)
{
    if (field->extendee.len > 0 && field->options != NULL &&
        field->options->sensitivity == NEO_SENSITIVITY_TEE_ONLY)
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "%s: extension %.*s is TEE_ONLY, and the table of what it extends does not "
                        "know; declare it there as a field",
                        type->file->name, NEO_FMT(field->name));
    if (field->type < NEO_KIND_DOUBLE || field->type > NEO_KIND_SINT64)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "%s: %s.%.*s: type %d is not known",
                        type->file->name, type->full_name, NEO_FMT(field->name), field->type);
    if (field->has_oneof_index &&
        (field->oneof_index < 0 || (size_t)field->oneof_index >= type->message->oneof_decl.len))
        return neo_fail(err, NEO_INVALID_ARGUMENT, "%s: %s.%.*s: its oneof is missing",
                        type->file->name, type->full_name, NEO_FMT(field->name));
    return NEO_OK;
}

/* --- collisions ------------------------------------------------------------------------------- */

struct name {
    const char *text; /* in C */
    const char *of;   /* "message p.A (a.proto:3)" */
};

struct list {
    struct name *at;
    size_t len;
    size_t cap;
};

static void add(struct neo_arena *arena, struct list *list, const char *text, const char *of)
{
    if (list->len == list->cap) {
        size_t cap = list->cap == 0 ? 32 : list->cap * 2;
        struct name *at = neo_arena_calloc(arena, cap, sizeof(*at));
        if (at == NULL)
            return;
        if (list->len > 0)
            memcpy(at, list->at, list->len * sizeof(*at));
        list->at = at;
        list->cap = cap;
    }
    list->at[list->len++] = (struct name){text == NULL ? "" : text, of == NULL ? "" : of};
}

static int by_text(const void *a, const void *b)
{
    const struct name *x = a;
    const struct name *y = b;
    int order = strcmp(x->text, y->text);

    return order != 0 ? order : strcmp(x->of, y->of);
}

/* The first of two names that are the same, or NULL. */
static const struct name *find_twin(struct list *list)
{
    if (list->len > 1)
        qsort(list->at, list->len, sizeof(*list->at), by_text);
    for (size_t i = 1; i < list->len; i++) {
        if (strcmp(list->at[i - 1].text, list->at[i].text) == 0)
            return &list->at[i - 1];
    }
    return NULL;
}

/* What is told of an element: "message p.A (a.proto:3)". */
static const char *element(const struct model *m, const struct model_file *file, const char *kind,
                           const char *name, struct model_path path)
{
    unsigned line = model_line(file, path);

    return line == 0 ? neo_arena_printf(m->arena, "%s %s (%s)", kind, name, file->name)
                     : neo_arena_printf(m->arena, "%s %s (%s:%u)", kind, name, file->name, line);
}

static enum neo_code refuse(const struct name *twin, const char *where, struct neo_error *err)
{
    return neo_fail(err, NEO_INVALID_ARGUMENT,
                    "%s and %s would both have %s in C%s; rename one, or "
                    "--neo_opt=name=ELEMENT=NAME_IN_C",
                    twin[0].of, twin[1].of, twin[0].text, where);
}

enum neo_code check_members(const struct model *m, const struct model_type *type,
                            struct neo_error *err)
{
    struct list names = {0};

    for (size_t i = 0; i < type->n_fields; i++) {
        const struct model_field *f = &type->fields[i];
        const char *name = neo_arena_printf(m->arena, "%s.%s", type->full_name, f->proto_name);
        const char *of = element(m, type->file, "field", name, f->path);

        add(m->arena, &names, f->name, of);
        if ((f->flags & NEO_FIELD_PRESENCE) || model_begins_oneof(type, i))
            add(m->arena, &names, f->presence, of);
    }
    add(m->arena, &names, "neo_unknown", "what every message keeps of fields it does not know");
    const struct name *twin = find_twin(&names);
    return twin == NULL ? NEO_OK : refuse(twin, "'s struct", err);
}

enum neo_code check_files(const struct model *m, struct neo_error *err)
{
    struct list names = {0};

    for (size_t i = 0; i < m->n_files; i++)
        add(m->arena, &names, neo_arena_printf(m->arena, "%s_file", m->files[i].symbol),
            neo_arena_printf(m->arena, "file %s", m->files[i].name));
    const struct name *twin = find_twin(&names);
    if (neo_arena_failed(m->arena))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory");
    return twin == NULL ? NEO_OK : refuse(twin, "", err);
}

/*
 * What a header declares, and the tables behind it. Names of structs and enums have a space of
 * their own in C, and so a method may be named as a message is (S.M, and a message S_M); that a
 * type is named as a table is would be allowed, too, and is refused all the same.
 */
struct declared {
    struct list types_and_tables;
    struct list ordinary;
};

static void declare(const struct model *m, struct declared *d, const char *symbol, const char *end,
                    const char *of)
{
    const char *name = neo_arena_printf(m->arena, "%s%s", symbol, end);

    add(m->arena, &d->types_and_tables, name, of);
    add(m->arena, &d->ordinary, name, of);
}

/* A table that only the .c file sees, which sees all that the header declares. */
static void declare_inside(const struct model *m, struct declared *d, const char *symbol,
                           const char *end, const char *of)
{
    add(m->arena, &d->ordinary, neo_arena_printf(m->arena, "%s%s", symbol, end), of);
}

static void declare_field(const struct model *m, struct declared *d, const struct model_type *type,
                          const struct model_field *f)
{
    const char *symbol = neo_arena_printf(m->arena, "%s_%s", type->symbol, f->plain);
    const char *name = neo_arena_printf(m->arena, "%s.%s", type->full_name, f->proto_name);
    const char *of = element(m, type->file, "field", name, f->path);

    declare(m, d, symbol, "_or_default", of);
    if (f->oneof != NULL)
        declare(m, d, symbol, "_FIELD", of);
}

static void declare_value(const struct model *m, struct declared *d, const struct model_type *type,
                          size_t i)
{
    const char *name = neo_arena_printf(m->arena, "%s%.*s", type->outer,
                                        NEO_FMT_ALL(type->enumeration->value.at[i]->name));

    declare(m, d, model_value(m, type, i), "",
            element(m, type->file, "value", name,
                    model_path(m->arena, type->path, MODEL_ENUM_VALUE, i)));
}

static void declare_type(const struct model *m, struct declared *d, const struct model_type *type)
{
    const char *kind = type->extendee.len > 0  ? "extension"
                       : type->message == NULL ? "enum"
                                               : "message";
    const char *of = element(m, type->file, kind, type->full_name, type->path);

    add(m->arena, &d->types_and_tables, type->symbol, of);
    declare(m, d, type->symbol, "_info", of);
    if (type->message == NULL) {
        declare_inside(m, d, type->symbol, "_values", of);
        declare_inside(m, d, type->symbol, "_closed", of);
        for (size_t i = 0; i < type->enumeration->value.len; i++)
            declare_value(m, d, type, i);
        return;
    }
    declare(m, d, type->symbol, type->extendee.len > 0 ? "_get" : "_decode", of);
    declare(m, d, type->symbol, type->extendee.len > 0 ? "_add" : "_encode", of);
    declare_inside(m, d, type->symbol, "_fields", of);
    for (size_t i = 0; i < type->n_fields; i++)
        declare_field(m, d, type, &type->fields[i]);
}

static void declare_file(const struct model *m, struct declared *d, const struct model_file *file)
{
    static const char *const inside[] = {"_descriptor", "_imports", "_messages", "_services",
                                         "_extensions"};
    const char *of = neo_arena_printf(m->arena, "the file %s", file->name);

    declare(m, d, file->symbol, "_file", of);
    for (size_t i = 0; i < NEO_COUNT(inside); i++)
        declare_inside(m, d, file->symbol, inside[i], of);
}

static void declare_method(const struct model *m, struct declared *d, const struct model_file *file,
                           size_t service, size_t index)
{
    const struct neo_descriptor_service *s = file->descriptor->service.at[service];
    const struct neo_descriptor_method *method = s->method.at[index];
    const char *symbol = model_method(m, file, service, index);
    const char *name = neo_arena_printf(m->arena, "%s%.*s.%.*s", file->outer, NEO_FMT_ALL(s->name),
                                        NEO_FMT_ALL(method->name));
    struct model_path path =
        model_path(m->arena, (struct model_path){0}, MODEL_FILE_SERVICE, service);
    const char *of =
        element(m, file, "rpc", name, model_path(m->arena, path, MODEL_SERVICE_METHOD, index));
    const char *const ends[] = {
        "_INDEX",
        "_start",
        method->server_streaming ? "_send" : "_reply",
        method->client_streaming ? "_client_send" : NULL,
        method->client_streaming ? "_stream_send" : NULL,
        method->client_streaming || method->server_streaming ? "_stream" : "",
        method->client_streaming || method->server_streaming ? "_stream_next" : NULL,
    };

    for (size_t i = 0; i < NEO_COUNT(ends); i++)
        if (ends[i] != NULL)
            add(m->arena, &d->ordinary, neo_arena_printf(m->arena, "%s%s", symbol, ends[i]), of);
}

static void declare_service(const struct model *m, struct declared *d,
                            const struct model_file *file, size_t index)
{
    const struct neo_descriptor_service *service = file->descriptor->service.at[index];
    const char *symbol = model_service(m, file, index);
    const char *name =
        neo_arena_printf(m->arena, "%s%.*s", file->outer, NEO_FMT_ALL(service->name));
    const char *of =
        element(m, file, "service", name,
                model_path(m->arena, (struct model_path){0}, MODEL_FILE_SERVICE, index));

    add(m->arena, &d->types_and_tables, neo_arena_printf(m->arena, "%s_handlers", symbol), of);
    declare(m, d, symbol, "_info", of);
    declare(m, d, symbol, "_methods", of);
    declare(m, d, symbol, "_add", of);
    for (size_t i = 0; i < service->method.len; i++)
        declare_method(m, d, file, index, i);
}

enum neo_code check_symbols(const struct model *m, const struct model_file *file,
                            struct neo_error *err)
{
    struct declared d = {.ordinary = {0}};

    declare_file(m, &d, file);
    for (size_t i = 0; i < file->n_types; i++)
        declare_type(m, &d, &file->types[i]);
    for (size_t i = 0; i < file->descriptor->service.len; i++)
        declare_service(m, &d, file, i);
    const struct name *twin = find_twin(&d.types_and_tables);
    if (twin == NULL)
        twin = find_twin(&d.ordinary);
    if (neo_arena_failed(m->arena))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory");
    return twin == NULL ? NEO_OK : refuse(twin, "", err);
}
