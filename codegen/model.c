/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From descriptors to the model: first all types of all files get names, then every
 * field is linked to its type. Nesting is worked off as a list that grows while it is
 * walked, so that it costs no C stack.
 */
#include "model.h"

#include "check.h"
#include "names.h"

#include <stdlib.h>
#include <strings.h>

/* Field numbers in descriptor.proto, as steps of a path. */
enum {
    FILE_MESSAGE = 4,
    FILE_ENUM = 5,
    MESSAGE_FIELD = 2,
    MESSAGE_NESTED = 3,
    MESSAGE_ENUM = 4,
    MESSAGE_EXTENSION = 6,
    FILE_EXTENSION = 7,
};

static enum neo_code out_of_memory(struct neo_error *err)
{
    return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory");
}

/* --- lookups ---------------------------------------------------------------------------------- */

const struct model_file *model_file(const struct model *m, struct neo_bytes name)
{
    for (size_t i = 0; i < m->n_files; i++) {
        if (neo_bytes_is(name, m->files[i].name))
            return &m->files[i];
    }
    return NULL;
}

const struct model_type *model_type(const struct model *m, struct neo_bytes name)
{
    size_t low = 0;
    size_t high = m->n_types;
    const char *wanted = neo_arena_string(m->arena, neo_bytes_from(name, 1));

    while (wanted != NULL && low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(m->by_name[middle]->full_name, wanted);
        if (order == 0)
            return m->by_name[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

bool model_begins_oneof(const struct model_type *type, size_t i)
{
    const struct model_field *f = &type->fields[i];

    if (f->oneof == NULL)
        return false;
    for (size_t j = 0; j < i; j++) {
        if (type->fields[j].oneof != NULL &&
            type->fields[j].descriptor->oneof_index == f->descriptor->oneof_index)
            return false;
    }
    return true;
}

struct model_path model_path(struct neo_arena *arena, struct model_path path, int32_t number,
                             size_t index)
{
    int32_t *at = neo_arena_alloc(arena, (path.len + 2) * sizeof(*at));

    if (at == NULL)
        return (struct model_path){0};
    if (path.len > 0)
        memcpy(at, path.at, path.len * sizeof(*at));
    at[path.len] = number;
    at[path.len + 1] = (int32_t)index;
    return (struct model_path){at, path.len + 2};
}

const struct model_type *model_extendee(const struct model *m, const struct model_type *type)
{
    const struct model_type *extendee =
        type->extendee.len == 0 ? NULL : model_type(m, type->extendee);

    if (extendee == NULL || extendee->message == NULL ||
        (extendee->message->options != NULL && extendee->message->options->message_set_wire_format))
        return NULL;
    return extendee;
}

/* Everything of libneo begins with neo_ or NEO_; what has no package, or package neo, must not. */
static const char *apart(const struct model *m, const struct model_file *file, const char *symbol)
{
    bool is_near = file->prefix[0] == '\0' || strcmp(file->prefix, "neo_") == 0;

    if (!is_near || strncasecmp(symbol, "neo_", 4) != 0 || names_is_reserved(symbol))
        return symbol; /* what is reserved has an underscore already */
    symbol = neo_arena_printf(m->arena, "%s_", symbol);
    return symbol != NULL ? symbol : "";
}

const char *model_value(const struct model *m, const struct model_type *type, size_t i)
{
    struct neo_bytes value = type->enumeration->value.at[i]->name;
    const char *name = neo_arena_printf(m->arena, "%s%.*s", type->scope, NEO_FMT_ALL(value));
    const char *renamed = rename_find(
        &m->renames, neo_arena_printf(m->arena, "%s%.*s", type->outer, NEO_FMT_ALL(value)));

    if (renamed != NULL || name == NULL)
        return renamed != NULL ? renamed : "";
    return apart(m, type->file, names_global(m->arena, neo_text(name)));
}

const char *model_service(const struct model *m, const struct model_file *file, size_t service)
{
    struct neo_bytes name = file->descriptor->service.at[service]->name;
    const char *renamed = rename_find(
        &m->renames, neo_arena_printf(m->arena, "%s%.*s", file->outer, NEO_FMT_ALL(name)));
    const char *symbol = neo_arena_printf(m->arena, "%s%.*s", file->prefix, NEO_FMT_ALL(name));

    if (renamed != NULL || symbol == NULL)
        return renamed != NULL ? renamed : "";
    /* With its methods' names behind it: __SIZEOF and INT__, neo and text. */
    if (!names_is_reserved(symbol) && strcmp(symbol, "neo") != 0 && strcmp(symbol, "NEO") != 0)
        return apart(m, file, symbol);
    symbol = neo_arena_printf(m->arena, "%s_", symbol);
    return symbol != NULL ? symbol : "";
}

const char *model_method(const struct model *m, const struct model_file *file, size_t service,
                         size_t method)
{
    const struct neo_descriptor_service *d = file->descriptor->service.at[service];
    struct neo_bytes name = d->method.at[method]->name;
    const char *renamed =
        rename_find(&m->renames, neo_arena_printf(m->arena, "%s%.*s.%.*s", file->outer,
                                                  NEO_FMT_ALL(d->name), NEO_FMT_ALL(name)));

    return renamed != NULL ? renamed
                           : names_method(m->arena, model_service(m, file, service), name);
}

static const struct neo_descriptor_location *find_location(const struct model_file *file,
                                                           struct model_path path)
{
    const struct neo_descriptor_source *source = file->descriptor->source_code_info;

    for (size_t i = 0; source != NULL && i < source->location.len; i++) {
        const struct neo_descriptor_location *l = source->location.at[i];

        if (l->path.len == path.len &&
            memcmp(l->path.at, path.at, path.len * sizeof(*path.at)) == 0)
            return l;
    }
    return NULL;
}

struct model_comment model_comment(const struct model_file *file, struct model_path path)
{
    const struct neo_descriptor_location *l = find_location(file, path);

    if (l == NULL)
        return (struct model_comment){0};
    return (struct model_comment){l->leading_comments, l->trailing_comments};
}

unsigned model_line(const struct model_file *file, struct model_path path)
{
    const struct neo_descriptor_location *l = find_location(file, path);

    return l == NULL || l->span.len == 0 || l->span.at[0] < 0 ? 0 : (unsigned)l->span.at[0] + 1;
}

/* --- types ------------------------------------------------------------------------------------ */

static struct model_type *add_type(struct model *m, struct model_file *file, const char *scope,
                                   struct neo_bytes name, struct model_path path)
{
    struct model_type *type = &file->types[file->n_types++];

    *type = (struct model_type){
        .full_name = neo_arena_printf(m->arena, "%s%.*s", scope, NEO_FMT_ALL(name)),
        .file = file,
        .path = path,
    };
    type->symbol = rename_find(&m->renames, type->full_name);
    if (type->symbol == NULL)
        type->symbol = apart(m, file, names_global(m->arena, neo_text(type->full_name)));
    return type;
}

/* What is around a type: the file or another message. */
struct scope {
    const char *name; /* "pkg.Outer.", or "" */
    struct neo_descriptor_features features;
};

static void add_message(struct model *m, struct model_file *file, struct scope scope,
                        const struct neo_descriptor_message *message, struct model_path path)
{
    struct model_type *type = add_type(m, file, scope.name, message->name, path);

    type->message = message;
    type->is_entry = message->options != NULL && message->options->map_entry;
    type->features = neo_descriptor_inherit(
        scope.features, message->options == NULL ? NULL : message->options->features);
}

static void add_enum(struct model *m, struct model_file *file, struct scope scope,
                     const struct neo_descriptor_enum *enumeration, struct model_path path)
{
    struct model_type *type = add_type(m, file, scope.name, enumeration->name, path);

    type->enumeration = enumeration;
    type->scope = names_symbol(m->arena, neo_text(scope.name));
    type->outer = scope.name;
    type->features = neo_descriptor_inherit(
        scope.features, enumeration->options == NULL ? NULL : enumeration->options->features);
}

static bool ends_with(struct neo_bytes text, const char *end)
{
    size_t len = strlen(end);

    return text.len >= len && neo_bytes_is(neo_bytes_from(text, text.len - len), end);
}

/* What options are extended by stays in the descriptor. */
static bool is_of_options(struct neo_bytes extendee)
{
    return neo_bytes_starts(extendee, NEO_LIT(".google.protobuf.")) &&
           ends_with(extendee, "Options");
}

static void add_extension(struct model *m, struct model_file *file, struct scope scope,
                          struct neo_descriptor_field *field, struct model_path path)
{
    struct neo_descriptor_message *message = neo_arena_calloc(m->arena, 1, sizeof(*message));
    struct neo_descriptor_field **fields = neo_arena_calloc(m->arena, 1, sizeof(*fields));

    if (is_of_options(field->extendee) || message == NULL || fields == NULL)
        return;
    fields[0] = field;
    message->name = field->name;
    message->field.at = fields;
    message->field.len = 1;
    struct model_type *type = add_type(m, file, scope.name, field->name, path);
    const char *symbol = neo_arena_printf(m->arena, "%s_extension", type->symbol);
    type->symbol = symbol != NULL ? symbol : "";
    type->message = message;
    type->extendee = field->extendee;
    type->features = scope.features;
}

/* How many types a file declares: what lies in `messages` and, through a worklist, below them. */
static size_t count_types(struct neo_arena *arena, const struct neo_descriptor_file *file)
{
    size_t cap = 16;
    size_t n = 0;
    size_t total = file->enum_type.len + file->extension.len;
    const struct neo_descriptor_message **work = neo_arena_calloc(arena, cap, sizeof(*work));

    for (size_t next = 0, top = 0; work != NULL;) {
        const struct neo_descriptor_message *from = top < file->message_type.len
                                                        ? file->message_type.at[top++]
                                                    : next < n ? work[next++]
                                                               : NULL;
        if (from == NULL)
            return total;
        total += 1 + from->enum_type.len + from->extension.len;
        for (size_t i = 0; i < from->nested_type.len; i++) {
            if (n == cap) {
                const struct neo_descriptor_message **more =
                    neo_arena_calloc(arena, cap * 2, sizeof(*work));
                if (more == NULL)
                    return 0;
                memcpy(more, work, cap * sizeof(*work));
                work = more;
                cap *= 2;
            }
            work[n++] = from->nested_type.at[i];
        }
    }
    return 0;
}

static void add_nested(struct model *m, struct model_file *file, const struct model_type *outer)
{
    const struct neo_descriptor_message *message = outer->message;
    struct scope scope = {neo_arena_printf(m->arena, "%s.", outer->full_name), outer->features};

    if (scope.name == NULL)
        return;
    for (size_t i = 0; i < message->nested_type.len; i++)
        add_message(m, file, scope, message->nested_type.at[i],
                    model_path(m->arena, outer->path, MESSAGE_NESTED, i));
    for (size_t i = 0; i < message->enum_type.len; i++)
        add_enum(m, file, scope, message->enum_type.at[i],
                 model_path(m->arena, outer->path, MESSAGE_ENUM, i));
    for (size_t i = 0; i < message->extension.len; i++)
        add_extension(m, file, scope, message->extension.at[i],
                      model_path(m->arena, outer->path, MESSAGE_EXTENSION, i));
}

static enum neo_code add_types(struct model *m, struct model_file *file, struct neo_error *err)
{
    const struct neo_descriptor_file *d = file->descriptor;
    size_t total = count_types(m->arena, d);
    struct scope scope = {.name = ""};

    if (d->package.len > 0)
        scope.name = neo_arena_printf(m->arena, "%.*s.", NEO_FMT_ALL(d->package));
    NEO_TRY(neo_descriptor_features(d, &scope.features, err));
    file->types = neo_arena_calloc(m->arena, total, sizeof(*file->types));
    if (file->types == NULL || scope.name == NULL)
        return out_of_memory(err);
    file->prefix = names_symbol(m->arena, neo_text(scope.name));
    file->outer = scope.name;
    for (size_t i = 0; i < d->enum_type.len; i++)
        add_enum(m, file, scope, d->enum_type.at[i],
                 model_path(m->arena, (struct model_path){0}, FILE_ENUM, i));
    for (size_t i = 0; i < d->message_type.len; i++)
        add_message(m, file, scope, d->message_type.at[i],
                    model_path(m->arena, (struct model_path){0}, FILE_MESSAGE, i));
    for (size_t i = 0; i < d->extension.len; i++)
        add_extension(m, file, scope, d->extension.at[i],
                      model_path(m->arena, (struct model_path){0}, FILE_EXTENSION, i));
    for (size_t i = 0; i < file->n_types; i++) {
        if (file->types[i].message != NULL)
            add_nested(m, file, &file->types[i]);
    }
    return neo_arena_failed(m->arena) ? out_of_memory(err) : NEO_OK;
}

static int by_full_name(const void *a, const void *b)
{
    const struct model_type *const *x = a;
    const struct model_type *const *y = b;

    return strcmp((*x)->full_name, (*y)->full_name);
}

static enum neo_code index_types(struct model *m, struct neo_error *err)
{
    for (size_t i = 0; i < m->n_files; i++)
        m->n_types += m->files[i].n_types;
    m->by_name = neo_arena_calloc(m->arena, m->n_types, sizeof(struct model_type *));
    if (m->by_name == NULL)
        return out_of_memory(err);
    for (size_t i = 0, n = 0; i < m->n_files; i++) {
        for (size_t j = 0; j < m->files[i].n_types; j++)
            m->by_name[n++] = &m->files[i].types[j];
    }
    qsort(m->by_name, m->n_types, sizeof(struct model_type *), by_full_name);
    return NEO_OK;
}

/* --- fields ----------------------------------------------------------------------------------- */

static void set_presence(const struct model *m, const struct model_type *type,
                         struct model_field *f)
{
    const struct neo_descriptor_field *d = f->descriptor;

    f->flags = neo_descriptor_flags(type->message, type->features, d);
    if ((f->flags & NEO_FIELD_REPEATED) && f->type != NULL && f->type->is_entry)
        f->flags = (f->flags | NEO_FIELD_MAP) & ~(unsigned)NEO_FIELD_GROUP;
    if (f->flags & NEO_FIELD_ONEOF) {
        struct neo_bytes oneof = type->message->oneof_decl.at[d->oneof_index]->name;

        f->oneof = names_symbol(m->arena, oneof);
        f->presence = neo_arena_printf(m->arena, "%s_case", f->oneof);
    } else if (f->flags & NEO_FIELD_PRESENCE) {
        f->presence = neo_arena_printf(m->arena, "has_%s", f->plain);
    }
}

static enum neo_code link_field(const struct model *m, const struct model_type *type,
                                struct model_field *f, struct neo_error *err)
{
    const struct neo_descriptor_field *d = f->descriptor;

    NEO_TRY(check_field(type, d, err));
    const char *renamed = rename_find(
        &m->renames, neo_arena_printf(m->arena, "%s.%.*s", type->full_name, NEO_FMT_ALL(d->name)));

    f->name = renamed != NULL ? renamed : names_member(m->arena, d->name);
    f->proto_name = neo_arena_string(m->arena, d->name);
    f->plain = renamed != NULL ? renamed : f->proto_name;
    f->json_name = neo_arena_string(m->arena, d->json_name.len > 0 ? d->json_name : d->name);
    if (d->type == NEO_KIND_MESSAGE || d->type == NEO_KIND_GROUP || d->type == NEO_KIND_ENUM) {
        f->type = model_type(m, d->type_name);
        if (f->type == NULL)
            return neo_fail(err, NEO_INVALID_ARGUMENT, "%s: %s.%.*s: type %.*s is not known",
                            type->file->name, type->full_name, NEO_FMT(d->name),
                            NEO_FMT(d->type_name));
    }
    set_presence(m, type, f);
    return NEO_OK;
}

static enum neo_code link_message(const struct model *m, struct model_type *type,
                                  struct neo_error *err)
{
    const struct neo_descriptor_message *message = type->message;

    type->fields = neo_arena_calloc(m->arena, message->field.len, sizeof(*type->fields));
    if (type->fields == NULL)
        return out_of_memory(err);
    type->n_fields = message->field.len;
    for (size_t i = 0; i < type->n_fields; i++) {
        type->fields[i].descriptor = message->field.at[i];
        type->fields[i].path = model_path(m->arena, type->path, MESSAGE_FIELD, i);
        NEO_TRY(link_field(m, type, &type->fields[i], err));
    }
    if (neo_arena_failed(m->arena))
        return out_of_memory(err);
    return check_members(m, type, err);
}

/* --- sensitivity ------------------------------------------------------------------------------ */

static bool is_any(const struct model_type *type)
{
    return type->message != NULL && strcmp(type->full_name, "google.protobuf.Any") == 0;
}

/* By its own fields, and what is known of their messages by now. */
static bool looks_sensitive(const struct model_type *type)
{
    for (size_t i = 0; i < type->n_fields; i++) {
        const struct neo_descriptor_field *d = type->fields[i].descriptor;
        const struct model_type *inner = type->fields[i].type;

        if ((d->options != NULL && d->options->sensitivity == NEO_SENSITIVITY_TEE_ONLY) ||
            (inner != NULL && inner->is_sensitive))
            return true;
    }
    return is_any(type);
}

/* Messages may hold each other in circles: until nothing changes. */
static void find_sensitive(struct model *m)
{
    bool changed = true;

    while (changed) {
        changed = false;
        for (size_t i = 0; i < m->n_files; i++) {
            for (size_t j = 0; j < m->files[i].n_types; j++) {
                struct model_type *type = &m->files[i].types[j];
                if (type->is_sensitive || !looks_sensitive(type))
                    continue;
                type->is_sensitive = true;
                changed = true;
            }
        }
    }
}

/* --- files ------------------------------------------------------------------------------------ */

static enum neo_code read_file(struct model *m, struct neo_bytes wire, struct model_file *file,
                               struct neo_error *err)
{
    struct neo_descriptor_file *d = neo_arena_calloc(m->arena, 1, sizeof(*d));

    if (d == NULL)
        return out_of_memory(err);
    NEO_TRY(neo_proto_decode(&neo_descriptor_file_info, wire, d, m->arena, err));
    NEO_TRY(check_file_name(d->name, err));

    struct neo_bytes stem = d->name;
    if (stem.len > 6 && neo_bytes_is(neo_bytes_from(stem, stem.len - 6), ".proto"))
        stem.len -= 6;
    *file = (struct model_file){
        .descriptor = d,
        .wire = wire,
        .name = neo_arena_string(m->arena, d->name),
        .stem = neo_arena_string(m->arena, stem),
    };
    if (file->name == NULL || file->stem == NULL)
        return out_of_memory(err);
    file->symbol = rename_find(&m->renames, file->name);
    if (file->symbol == NULL)
        file->symbol = names_symbol(m->arena, stem);
    return add_types(m, file, err);
}

static enum neo_code link_file(const struct model *m, struct model_file *file,
                               struct neo_error *err)
{
    const struct neo_descriptor_file *d = file->descriptor;

    file->imports = neo_arena_calloc(m->arena, d->dependency.len, sizeof(struct model_file *));
    if (file->imports == NULL)
        return out_of_memory(err);
    for (size_t i = 0; i < d->dependency.len; i++) {
        file->imports[i] = model_file(m, d->dependency.at[i]);
        if (file->imports[i] == NULL)
            return neo_fail(err, NEO_INVALID_ARGUMENT, "%s: import %.*s is missing", file->name,
                            NEO_FMT(d->dependency.at[i]));
    }
    file->n_imports = d->dependency.len;
    for (size_t i = 0; i < file->n_types; i++) {
        if (file->types[i].message != NULL)
            NEO_TRY(link_message(m, &file->types[i], err));
    }
    return check_symbols(m, file, err);
}

enum neo_code model_build(const struct plugin_request *request, struct neo_arena *arena,
                          struct model *ret, struct neo_error *err)
{
    struct model m = {.arena = arena};

    NEO_TRY(rename_read(request->parameter, arena, &m.renames, err));
    m.files = neo_arena_calloc(arena, request->proto_file.len, sizeof(*m.files));
    if (m.files == NULL)
        return out_of_memory(err);
    for (; m.n_files < request->proto_file.len; m.n_files++)
        NEO_TRY(read_file(&m, request->proto_file.at[m.n_files], &m.files[m.n_files], err));
    NEO_TRY(check_files(&m, err));
    NEO_TRY(index_types(&m, err));
    for (size_t i = 0; i < m.n_files; i++)
        NEO_TRY(link_file(&m, &m.files[i], err));
    NEO_TRY(rename_check(&m.renames, err));
    find_sensitive(&m);
    *ret = m;
    return NEO_OK;
}
