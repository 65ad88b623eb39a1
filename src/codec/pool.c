/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables made at run time from descriptors.
 *
 * First every type of every file gets its place, then fields are linked to them: types
 * refer to each other in any order. Nested types are found by walking a list that
 * grows behind the walker. Everything lives in one budgeted arena.
 */
#include "codec/pool.h"

#include <neo/extension.h>
#include <neo/memory.h>

#include <stdlib.h>

enum { BUDGET = 64 << 20, SENSITIVE_ROUNDS = 64 };

enum neo_code pool_out_of_memory(struct neo_error *err)
{
    return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "the descriptors are too large, or out of memory");
}

struct pool_type *pool_find_type(const struct neo_descriptors *pool, struct neo_bytes name)
{
    return map_get(&pool->types, neo_bytes_from(name, 1));
}

/* --- types ------------------------------------------------------------------------------------ */

struct adder {
    struct neo_descriptors *pool;
    struct pool_file *file;
    struct pool_type *first;
    struct pool_type *last;
    struct neo_error *err;
};

/* What is around a type: the file or another message. */
struct scope {
    const char *name;
    struct neo_descriptor_features features;
};

static enum neo_code add_type(struct adder *a, const char *scope, struct neo_bytes name,
                              struct pool_type **ret)
{
    struct pool_type *type = neo_arena_calloc(&a->pool->arena, 1, sizeof(*type));
    const char *full_name = neo_arena_printf(&a->pool->arena, "%s%s%.*s", scope,
                                             scope[0] == '\0' ? "" : ".", NEO_FMT_ALL(name));

    if (type == NULL || full_name == NULL)
        return pool_out_of_memory(a->err);
    if (map_get(&a->pool->types, neo_text(full_name)) != NULL)
        return neo_fail(a->err, NEO_INVALID_ARGUMENT, "%s: %s is declared twice",
                        a->file->info.name, full_name);
    type->message.full_name = full_name;
    type->message.file = &a->file->info;
    type->enumeration.full_name = full_name;
    type->file = a->file;
    if (!map_put(&a->pool->types, neo_text(full_name), type))
        return pool_out_of_memory(a->err);
    if (a->last == NULL)
        a->first = type;
    else
        a->last->next = type;
    a->last = type;
    a->file->n_types++;
    *ret = type;
    return NEO_OK;
}

static enum neo_code add_message(struct adder *a, struct scope scope,
                                 const struct neo_descriptor_message *d)
{
    struct pool_type *type;

    NEO_TRY(add_type(a, scope.name, d->name, &type));
    type->descriptor = d;
    type->features =
        neo_descriptor_inherit(scope.features, d->options == NULL ? NULL : d->options->features);
    return NEO_OK;
}

static int by_value(const void *a, const void *b)
{
    const int32_t *x = a;
    const int32_t *y = b;

    return (*x > *y) - (*x < *y);
}

/* The numbers of an enum that has no others. */
static enum neo_code close_enum(struct adder *a, struct neo_enum_info *info)
{
    int32_t *numbers = neo_arena_calloc(&a->pool->arena, info->n_values, sizeof(*numbers));

    if (numbers == NULL)
        return pool_out_of_memory(a->err);
    for (uint32_t i = 0; i < info->n_values; i++)
        numbers[i] = info->values[i].number;
    if (info->n_values > 1)
        qsort(numbers, info->n_values, sizeof(*numbers), by_value);
    info->closed = numbers;
    info->n_closed = info->n_values;
    return NEO_OK;
}

static enum neo_code add_enum(struct adder *a, struct scope scope,
                              const struct neo_descriptor_enum *d)
{
    struct neo_descriptor_features features =
        neo_descriptor_inherit(scope.features, d->options == NULL ? NULL : d->options->features);
    struct pool_type *type;
    struct neo_enum_value *values =
        neo_arena_calloc(&a->pool->arena, d->value.len, sizeof(*values));

    if (values == NULL)
        return pool_out_of_memory(a->err);
    for (size_t i = 0; i < d->value.len; i++) {
        values[i].number = d->value.at[i]->number;
        values[i].name = neo_arena_string(&a->pool->arena, d->value.at[i]->name);
        if (values[i].name == NULL)
            return pool_out_of_memory(a->err);
    }
    NEO_TRY(add_type(a, scope.name, d->name, &type));
    type->enumeration.n_values = (uint32_t)d->value.len;
    type->enumeration.values = values;
    return features.enum_type == NEO_ENUM_CLOSED ? close_enum(a, &type->enumeration) : NEO_OK;
}

/* The holder: a message with that field alone, which nobody finds by name. */
static enum neo_code add_extension(struct adder *a, struct scope scope,
                                   struct neo_descriptor_field *field)
{
    struct neo_arena *arena = &a->pool->arena;
    struct pool_type *type = neo_arena_calloc(arena, 1, sizeof(*type));
    struct neo_descriptor_message *d = neo_arena_calloc(arena, 1, sizeof(*d));
    struct neo_descriptor_field **fields = neo_arena_calloc(arena, 1, sizeof(*fields));
    const char *name = neo_arena_printf(arena, "%s%s%.*s", scope.name,
                                        scope.name[0] == '\0' ? "" : ".", NEO_FMT_ALL(field->name));

    /* Its value is among what is unknown, where nobody looks for it. protoc-gen-neo agrees. */
    if (field->options != NULL && field->options->sensitivity == NEO_SENSITIVITY_TEE_ONLY)
        return neo_fail(a->err, NEO_INVALID_ARGUMENT,
                        "%s: extension %.*s is TEE_ONLY, and the table of what it extends does not "
                        "know; declare it there as a field",
                        a->file->info.name, NEO_FMT(field->name));
    if (type == NULL || d == NULL || fields == NULL || name == NULL)
        return pool_out_of_memory(a->err);
    fields[0] = field;
    d->name = field->name;
    d->field.at = fields;
    d->field.len = 1;
    *type = (struct pool_type){
        .message = {.full_name = name, .file = &a->file->info},
        .descriptor = d,
        .file = a->file,
        .features = scope.features,
        .extendee = field->extendee,
        .next = a->file->extensions,
    };
    a->file->extensions = type;
    a->file->n_extensions++;
    return NEO_OK;
}

static enum neo_code add_extensions(struct adder *a, struct scope scope,
                                    struct neo_descriptor_field **at, size_t n)
{
    for (size_t i = 0; i < n; i++)
        NEO_TRY(add_extension(a, scope, at[i]));
    return NEO_OK;
}

static enum neo_code add_nested(struct adder *a, const struct pool_type *outer)
{
    const struct neo_descriptor_message *d = outer->descriptor;
    struct scope scope = {outer->message.full_name, outer->features};

    for (size_t i = 0; i < d->nested_type.len; i++)
        NEO_TRY(add_message(a, scope, d->nested_type.at[i]));
    for (size_t i = 0; i < d->enum_type.len; i++)
        NEO_TRY(add_enum(a, scope, d->enum_type.at[i]));
    return add_extensions(a, scope, d->extension.at, d->extension.len);
}

static enum neo_code list_messages(struct adder *a)
{
    size_t n = 0;
    const struct neo_message_info **messages =
        neo_arena_calloc(&a->pool->arena, a->file->n_types + 1, sizeof(*messages));

    if (messages == NULL)
        return pool_out_of_memory(a->err);
    for (const struct pool_type *t = a->first; t != NULL; t = t->next) {
        if (t->descriptor != NULL)
            messages[n++] = &t->message;
    }
    a->file->info.messages = messages;
    return NEO_OK;
}

static enum neo_code add_types(struct neo_descriptors *pool, struct pool_file *file,
                               struct pool_type **ret, struct neo_error *err)
{
    const struct neo_descriptor_file *d = file->descriptor;
    struct adder a = {.pool = pool, .file = file, .err = err};
    struct scope scope = {neo_arena_string(&pool->arena, d->package), file->features};

    if (scope.name == NULL)
        return pool_out_of_memory(err);
    for (size_t i = 0; i < d->enum_type.len; i++)
        NEO_TRY(add_enum(&a, scope, d->enum_type.at[i]));
    for (size_t i = 0; i < d->message_type.len; i++)
        NEO_TRY(add_message(&a, scope, d->message_type.at[i]));
    NEO_TRY(add_extensions(&a, scope, d->extension.at, d->extension.len));
    for (const struct pool_type *t = a.first; t != NULL; t = t->next) {
        if (t->descriptor != NULL)
            NEO_TRY(add_nested(&a, t));
    }
    *ret = a.first;
    return list_messages(&a);
}

/* --- services --------------------------------------------------------------------------------- */

static enum neo_code set_method(const struct neo_descriptors *pool, const struct pool_file *file,
                                const struct neo_descriptor_method *d, struct neo_method *ret,
                                struct neo_error *err)
{
    const struct pool_type *request = pool_find_type(pool, d->input_type);
    const struct pool_type *response = pool_find_type(pool, d->output_type);
    int32_t level = d->options == NULL ? 0 : d->options->idempotency_level;

    if (request == NULL || request->descriptor == NULL || response == NULL ||
        response->descriptor == NULL)
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "%s: method %s.%.*s: a message is not among the files given",
                        file->info.name, ret->service, NEO_FMT(d->name));
    ret->kind = (enum neo_method_kind)((d->client_streaming ? NEO_CLIENT_STREAM : 0) |
                                       (d->server_streaming ? NEO_SERVER_STREAM : 0));
    ret->request = &request->message;
    ret->response = &response->message;
    ret->idempotent = level == NEO_IDEMPOTENT || level == NEO_NO_SIDE_EFFECTS;
    ret->fresh_attestation = d->options != NULL && d->options->fresh_attestation;
    return NEO_OK;
}

static enum neo_code add_service(struct neo_descriptors *pool, const struct pool_file *file,
                                 const struct neo_descriptor_service *d,
                                 const struct neo_service_info **ret, struct neo_error *err)
{
    struct neo_arena *arena = &pool->arena;
    struct neo_bytes package = file->descriptor->package;
    struct neo_service_info *service = neo_arena_calloc(arena, 1, sizeof(*service));
    struct neo_method *methods = neo_arena_calloc(arena, d->method.len, sizeof(*methods));
    const char *full_name = neo_arena_printf(arena, "%.*s%s%.*s", NEO_FMT_ALL(package),
                                             package.len == 0 ? "" : ".", NEO_FMT_ALL(d->name));

    if (service == NULL || methods == NULL || full_name == NULL)
        return pool_out_of_memory(err);
    for (size_t i = 0; i < d->method.len; i++) {
        methods[i].service = full_name;
        methods[i].name = neo_arena_string(arena, d->method.at[i]->name);
        methods[i].path =
            neo_arena_printf(arena, "/%s/%.*s", full_name, NEO_FMT_ALL(d->method.at[i]->name));
        if (methods[i].name == NULL || methods[i].path == NULL)
            return pool_out_of_memory(err);
        NEO_TRY(set_method(pool, file, d->method.at[i], &methods[i], err));
    }
    *service = (struct neo_service_info){
        .full_name = full_name,
        .n_methods = (uint32_t)d->method.len,
        .methods = methods,
        .file = &file->info,
    };
    if (!map_put(&pool->services, neo_text(full_name), service))
        return pool_out_of_memory(err);
    *ret = service;
    return NEO_OK;
}

static enum neo_code add_services(struct neo_descriptors *pool, struct pool_file *file,
                                  struct neo_error *err)
{
    const struct neo_descriptor_file *d = file->descriptor;
    const struct neo_service_info **services =
        neo_arena_calloc(&pool->arena, d->service.len + 1, sizeof(*services));

    if (services == NULL)
        return pool_out_of_memory(err);
    for (size_t i = 0; i < d->service.len; i++)
        NEO_TRY(add_service(pool, file, d->service.at[i], &services[i], err));
    file->info.services = services;
    return NEO_OK;
}

/* --- files ------------------------------------------------------------------------------------ */

/* Reads one file; `*ret` is NULL when the pool has one of this name already. */
static enum neo_code read_file(struct neo_descriptors *pool, struct neo_bytes wire,
                               struct pool_file **ret, struct neo_error *err)
{
    struct pool_file *file = neo_arena_calloc(&pool->arena, 1, sizeof(*file));
    struct neo_descriptor_file *d = neo_arena_calloc(&pool->arena, 1, sizeof(*d));
    struct neo_bytes copy = neo_arena_copy(&pool->arena, wire);

    if (neo_arena_failed(&pool->arena))
        return pool_out_of_memory(err);
    NEO_TRY(neo_proto_decode(&neo_descriptor_file_info, copy, d, &pool->arena, err));
    NEO_TRY(neo_descriptor_features(d, &file->features, err));
    file->descriptor = d;
    file->info.descriptor = copy;
    file->info.name = neo_arena_string(&pool->arena, d->name);
    if (file->info.name == NULL)
        return pool_out_of_memory(err);
    if (map_get(&pool->files, neo_text(file->info.name)) != NULL) {
        *ret = NULL;
        return NEO_OK;
    }
    if (!map_put(&pool->files, neo_text(file->info.name), file))
        return pool_out_of_memory(err);
    *ret = file;
    return NEO_OK;
}

/* Imports that were not given are left out: what matters is that every type used is there. */
static enum neo_code link_imports(struct neo_descriptors *pool, struct pool_file *file,
                                  struct neo_error *err)
{
    const struct neo_descriptor_file *d = file->descriptor;
    size_t n = 0;
    const struct neo_file_info **imports =
        neo_arena_calloc(&pool->arena, d->dependency.len + 1, sizeof(*imports));

    if (imports == NULL)
        return pool_out_of_memory(err);
    for (size_t i = 0; i < d->dependency.len; i++) {
        const struct pool_file *import = map_get(&pool->files, d->dependency.at[i]);
        if (import != NULL && import != file)
            imports[n++] = &import->info;
    }
    file->info.imports = imports;
    return NEO_OK;
}

static bool is_message_set(const struct pool_type *type)
{
    return type->descriptor->options != NULL && type->descriptor->options->message_set_wire_format;
}

/* Those of messages that were not given, as of options, are left out. */
static enum neo_code link_extensions(struct neo_descriptors *pool, struct pool_file *file,
                                     struct neo_error *err)
{
    struct neo_extension_info *list =
        neo_arena_calloc(&pool->arena, file->n_extensions, sizeof(*list));

    if (list == NULL)
        return pool_out_of_memory(err);
    file->info.extensions = list;
    for (struct pool_type *t = file->extensions; t != NULL; t = t->next) {
        const struct pool_type *extendee = pool_find_type(pool, t->extendee);

        if (extendee == NULL || extendee->descriptor == NULL || is_message_set(extendee))
            continue;
        NEO_TRY(pool_link_message(pool, t, err));
        list[file->info.n_extensions++] =
            (struct neo_extension_info){&extendee->message, &t->message};
    }
    return NEO_OK;
}

static bool looks_sensitive(const struct neo_message_info *info)
{
    for (uint32_t i = 0; i < info->n_fields; i++) {
        const struct neo_field_info *field = &info->fields[i];

        if (field->sensitivity == NEO_SENSITIVITY_TEE_ONLY ||
            (field->kind == NEO_KIND_MESSAGE && (field->message->traits & NEO_MESSAGE_SENSITIVE)))
            return true;
    }
    return strcmp(info->full_name, "google.protobuf.Any") == 0;
}

/* True when another message of the list was found to be, or with `all` was declared. */
static bool mark_sensitive(struct pool_type *first, bool all)
{
    bool changed = false;

    for (struct pool_type *t = first; t != NULL; t = t->next) {
        if (t->descriptor == NULL || (t->message.traits & NEO_MESSAGE_SENSITIVE) ||
            !(all || looks_sensitive(&t->message)))
            continue;
        t->message.traits |= NEO_MESSAGE_SENSITIVE;
        changed = true;
    }
    return changed;
}

/*
 * Messages may hold each other in circles: until nothing changes. For whom makes descriptors in
 * which that takes long, all are sensitive, which costs a look at each message.
 */
static void find_sensitive(struct pool_type *const *types, size_t n)
{
    bool changed = true;

    for (unsigned round = 0; changed; round++) {
        changed = false;
        for (size_t i = n; i-- > 0;)
            changed = mark_sensitive(types[i], round >= SENSITIVE_ROUNDS) || changed;
    }
}

/* Twice over the files: all types first, then what refers to them. */
static enum neo_code build(struct neo_descriptors *pool, const struct neo_bytes *wires, size_t n,
                           struct neo_error *err)
{
    struct pool_file **files = neo_arena_calloc(&pool->arena, n, sizeof(struct pool_file *));
    struct pool_type **types = neo_arena_calloc(&pool->arena, n, sizeof(struct pool_type *));

    if (files == NULL || types == NULL)
        return pool_out_of_memory(err);
    for (size_t i = 0; i < n; i++) {
        NEO_TRY(read_file(pool, wires[i], &files[i], err));
        if (files[i] != NULL)
            NEO_TRY(add_types(pool, files[i], &types[i], err));
    }
    for (size_t i = 0; i < n; i++) {
        if (files[i] == NULL)
            continue;
        NEO_TRY(link_imports(pool, files[i], err));
        for (struct pool_type *t = types[i]; t != NULL; t = t->next) {
            if (t->descriptor != NULL)
                NEO_TRY(pool_link_message(pool, t, err));
        }
        NEO_TRY(link_extensions(pool, files[i], err));
        NEO_TRY(add_services(pool, files[i], err));
    }
    find_sensitive(types, n);
    return NEO_OK;
}

static void freep(struct neo_descriptors **pool)
{
    neo_descriptors_free(*pool);
}

enum neo_code neo_descriptors_new(const struct neo_bytes *files, size_t n_files,
                                  struct neo_descriptors **ret, struct neo_error *err)
{
    NEO_CLEANUP(freep) struct neo_descriptors *pool = neo_alloc(sizeof(*pool));

    if (pool == NULL)
        return pool_out_of_memory(err);
    neo_arena_init(&pool->arena, BUDGET);
    NEO_TRY(build(pool, files, n_files, err));
    *ret = pool;
    pool = NULL; /* now the caller's */
    return NEO_OK;
}

enum neo_code neo_descriptors_from_set(struct neo_bytes set, struct neo_descriptors **ret,
                                       struct neo_error *err)
{
    struct neo_arena arena;
    struct neo_descriptor_set files = {0};

    neo_arena_init(&arena, BUDGET);
    enum neo_code code = neo_proto_decode(&neo_descriptor_set_info, set, &files, &arena, err);
    if (code == NEO_OK)
        code = neo_descriptors_new(files.file.at, files.file.len, ret, err);
    neo_arena_fini(&arena);
    return code;
}

void neo_descriptors_free(struct neo_descriptors *pool)
{
    if (pool == NULL)
        return;
    map_fini(&pool->files);
    map_fini(&pool->types);
    map_fini(&pool->services);
    neo_arena_fini(&pool->arena);
    neo_free(pool);
}

const struct neo_service_info *neo_descriptors_service(const struct neo_descriptors *pool,
                                                       struct neo_bytes full_name)
{
    return map_get(&pool->services, full_name);
}

const struct neo_message_info *neo_descriptors_message(const struct neo_descriptors *pool,
                                                       struct neo_bytes full_name)
{
    const struct pool_type *type = map_get(&pool->types, full_name);

    return type == NULL || type->descriptor == NULL ? NULL : &type->message;
}
