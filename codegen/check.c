/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

#include "names.h"

#include <stdlib.h>

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

struct list {
    const char **at;
    size_t len;
    size_t cap;
};

static void add(struct neo_arena *arena, struct list *list, const char *name)
{
    if (list->len == list->cap) {
        size_t cap = list->cap == 0 ? 32 : list->cap * 2;
        const char **at = neo_arena_calloc(arena, cap, sizeof(*at));
        if (at == NULL)
            return;
        if (list->len > 0)
            memcpy(at, list->at, list->len * sizeof(*at));
        list->at = at;
        list->cap = cap;
    }
    list->at[list->len++] = name == NULL ? "" : name;
}

static int by_text(const void *a, const void *b)
{
    const char *const *x = a;
    const char *const *y = b;

    return strcmp(*x, *y);
}

/* The first name that is there twice, or NULL. */
static const char *find_twin(struct list *list)
{
    if (list->len > 1)
        qsort(list->at, list->len, sizeof(*list->at), by_text);
    for (size_t i = 1; i < list->len; i++) {
        if (strcmp(list->at[i - 1], list->at[i]) == 0)
            return list->at[i];
    }
    return NULL;
}

enum neo_code check_members(const struct model *m, const struct model_type *type,
                            struct neo_error *err)
{
    struct list names = {0};

    for (size_t i = 0; i < type->n_fields; i++) {
        const struct model_field *f = &type->fields[i];

        add(m->arena, &names, f->name);
        if ((f->flags & NEO_FIELD_PRESENCE) || model_begins_oneof(type, i))
            add(m->arena, &names, f->presence);
    }
    add(m->arena, &names, "neo_unknown");
    const char *twin = find_twin(&names);
    if (twin != NULL)
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "%s: %s: two members of the C struct would be named %s; rename a field",
                        type->file->name, type->full_name, twin);
    return NEO_OK;
}

/*
 * What a header declares. Names of structs and enums have a space of their own in C, and so a
 * method may be named as a message is (S.M, and a message S_M); that a type is named as a table is
 * would be allowed, too, and is refused all the same.
 */
struct declared {
    struct list types_and_tables;
    struct list ordinary;
};

static void declare(const struct model *m, struct declared *d, const char *symbol, const char *end)
{
    const char *name = neo_arena_printf(m->arena, "%s%s", symbol, end);

    add(m->arena, &d->types_and_tables, name);
    add(m->arena, &d->ordinary, name);
}

static void declare_field(const struct model *m, struct declared *d, const struct model_type *type,
                          const struct model_field *f)
{
    const char *symbol = neo_arena_printf(m->arena, "%s_%s", type->symbol, f->proto_name);

    declare(m, d, symbol, "_or_default");
    if (f->oneof != NULL)
        declare(m, d, symbol, "_FIELD");
}

static void declare_type(const struct model *m, struct declared *d, const struct model_type *type)
{
    add(m->arena, &d->types_and_tables, type->symbol);
    declare(m, d, type->symbol, "_info");
    if (type->message == NULL) {
        for (size_t i = 0; i < type->enumeration->value.len; i++)
            declare(m, d, model_value(m, type, i), "");
        return;
    }
    declare(m, d, type->symbol, type->extendee.len > 0 ? "_get" : "_decode");
    declare(m, d, type->symbol, type->extendee.len > 0 ? "_add" : "_encode");
    for (size_t i = 0; i < type->n_fields; i++)
        declare_field(m, d, type, &type->fields[i]);
}

static void declare_method(const struct model *m, struct declared *d, const char *service,
                           const struct neo_descriptor_method *method)
{
    const char *symbol = names_method(m->arena, service, method->name);
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
            add(m->arena, &d->ordinary, neo_arena_printf(m->arena, "%s%s", symbol, ends[i]));
}

static void declare_service(const struct model *m, struct declared *d,
                            const struct model_file *file,
                            const struct neo_descriptor_service *service)
{
    const char *symbol =
        neo_arena_printf(m->arena, "%s%s", file->prefix, names_symbol(m->arena, service->name));

    add(m->arena, &d->types_and_tables, neo_arena_printf(m->arena, "%s_handlers", symbol));
    declare(m, d, symbol, "_info");
    declare(m, d, symbol, "_methods");
    declare(m, d, symbol, "_add");
    for (size_t i = 0; i < service->method.len; i++)
        declare_method(m, d, symbol, service->method.at[i]);
}

enum neo_code check_symbols(const struct model *m, const struct model_file *file,
                            struct neo_error *err)
{
    struct declared d = {.ordinary = {0}};

    declare(m, &d, file->symbol, "_file");
    for (size_t i = 0; i < file->n_types; i++)
        declare_type(m, &d, &file->types[i]);
    for (size_t i = 0; i < file->descriptor->service.len; i++)
        declare_service(m, &d, file, file->descriptor->service.at[i]);
    const char *twin = find_twin(&d.types_and_tables);
    if (twin == NULL)
        twin = find_twin(&d.ordinary);
    if (twin != NULL)
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "%s: two things would be named %s in C; rename one", file->name, twin);
    return NEO_OK;
}
