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

static void add_type(const struct model *m, struct list *names, const struct model_type *type)
{
    struct neo_arena *arena = m->arena;

    add(arena, names, type->symbol);
    add(arena, names, neo_arena_printf(arena, "%s_info", type->symbol));
    if (type->message != NULL) {
        if (type->extendee.len > 0) {
            add(arena, names, neo_arena_printf(arena, "%s_get", type->symbol));
            add(arena, names, neo_arena_printf(arena, "%s_add", type->symbol));
        }
        add(arena, names, neo_arena_printf(arena, "%s_decode", type->symbol));
        add(arena, names, neo_arena_printf(arena, "%s_encode", type->symbol));
        for (size_t i = 0; i < type->n_fields; i++) {
            add(arena, names,
                neo_arena_printf(arena, "%s_%s_or_default", type->symbol,
                                 type->fields[i].proto_name));
            if (type->fields[i].oneof != NULL)
                add(arena, names,
                    neo_arena_printf(arena, "%s_%s_FIELD", type->symbol,
                                     type->fields[i].proto_name));
        }
        return;
    }
    for (size_t i = 0; i < type->enumeration->value.len; i++)
        add(m->arena, names, model_value(m, type, i));
}

enum neo_code check_symbols(const struct model *m, const struct model_file *file,
                            struct neo_error *err)
{
    struct list names = {0};

    add(m->arena, &names, neo_arena_printf(m->arena, "%s_file", file->symbol));
    for (size_t i = 0; i < file->n_types; i++)
        add_type(m, &names, &file->types[i]);
    for (size_t i = 0; i < file->descriptor->service.len; i++) {
        const char *symbol = names_symbol(m->arena, file->descriptor->service.at[i]->name);
        add(m->arena, &names, neo_arena_printf(m->arena, "%s%s_info", file->prefix, symbol));
        add(m->arena, &names, neo_arena_printf(m->arena, "%s%s_methods", file->prefix, symbol));
    }
    const char *twin = find_twin(&names);
    if (twin != NULL)
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "%s: two things would be named %s in C; rename one", file->name, twin);
    return NEO_OK;
}
