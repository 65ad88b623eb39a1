/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files are found by breadth, so that their order is the same as that of the imports in an answer.
 * One after the other they are decoded into memory that is used again for the next; what stays are
 * names and lists. Functions that return bool return false when there is no memory.
 */
#include "rpc/symbols.h"

#include "base/map.h"

#include <google/protobuf/descriptor.neo.h>
#include <neo/memory.h>

#include <stdlib.h>

#define BUDGET ((size_t)256 << 20)

/* An extension that some file declares. */
struct extension {
    struct extension *next;
    struct neo_bytes type;
    int32_t number;
    size_t order;
    const struct symbols_file *file;
};

struct extended {
    struct symbols_numbers numbers;
    const struct symbols_file **files; /* of each number */
};

struct symbols {
    struct neo_arena arena;
    struct map names; /* full name -> file */
    struct map files; /* name -> file */
    struct map types; /* name of a message -> struct extended */
    struct symbols_file *first;
    size_t n_files, n_extensions;
};

/* While it is made. */
struct making {
    struct symbols *s;
    struct symbols_file *last;
    struct map known;          /* address of a neo_file_info -> file */
    struct symbols_file *file; /* that is read */
    struct neo_arena scratch;  /* of the descriptor that is read */
    struct neo_arena list;     /* of extensions, until they are sorted */
    struct extension *extensions;
};

/* --- files ------------------------------------------------------------------------------------ */

static struct neo_bytes address_of(const struct neo_file_info *const *info)
{
    return neo_bytes(info, sizeof(*info));
}

static bool add_file(struct making *m, const struct neo_file_info *info)
{
    struct symbols *s = m->s;

    if (info == NULL || map_get(&m->known, address_of(&info)) != NULL)
        return true;
    struct symbols_file *file = neo_arena_calloc(&s->arena, 1, sizeof(*file));
    if (file == NULL)
        return false;
    file->info = info;
    *(m->last == NULL ? &s->first : &m->last->next) = file;
    m->last = file;
    s->n_files++;
    if (map_get(&s->files, neo_text(info->name)) == NULL &&
        !map_put(&s->files, neo_text(info->name), file))
        return false;
    return map_put(&m->known, address_of(&file->info), file);
}

static bool add_files(struct making *m, const struct neo_file_info *const *files, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!add_file(m, files[i]))
            return false;
    for (const struct symbols_file *f = m->s->first; f != NULL; f = f->next)
        for (const struct neo_file_info *const *import = f->info->imports; *import != NULL;
             import++)
            if (!add_file(m, *import))
                return false;
    return true;
}

/* `found` has room for all files. The list grows while it is walked. */
static bool add_descriptors(struct making *m, struct symbols_file *file, size_t mark,
                            struct symbols_file **found)
{
    size_t n = 1;

    found[0] = file;
    file->mark = mark;
    for (size_t i = 0; i < n; i++)
        for (const struct neo_file_info *const *import = found[i]->info->imports; *import != NULL;
             import++) {
            struct symbols_file *next = map_get(&m->known, address_of(import));
            if (next->mark == mark)
                continue;
            next->mark = mark;
            found[n++] = next;
        }
    file->descriptors = neo_arena_calloc(&m->s->arena, n, sizeof(*file->descriptors));
    if (file->descriptors == NULL)
        return false;
    for (size_t i = 0; i < n; i++)
        file->descriptors[i] = found[i]->info->descriptor;
    file->n_descriptors = n;
    return true;
}

static bool close_over_imports(struct making *m)
{
    NEO_CLEANUP(neo_freep)
    struct symbols_file **found = neo_alloc_array(m->s->n_files, sizeof(struct symbols_file *));
    size_t mark = 0;

    if (found == NULL)
        return false;
    for (struct symbols_file *f = m->s->first; f != NULL; f = f->next)
        if (!add_descriptors(m, f, ++mark, found))
            return false;
    return true;
}

/* --- names ------------------------------------------------------------------------------------ */

/* A message, and the full name of it. */
struct scope {
    struct scope *next;
    const struct google_protobuf_DescriptorProto *message;
    struct neo_bytes name;
};

struct scopes {
    struct scope *first, *last;
};

/* In memory of the scratch arena, or where `name` is. */
static bool join(struct making *m, struct neo_bytes scope, struct neo_bytes name,
                 struct neo_bytes *ret)
{
    uint8_t *at;

    *ret = name;
    if (scope.len == 0)
        return true;
    at = neo_arena_alloc(&m->scratch, scope.len + 1 + name.len);
    if (at == NULL)
        return false;
    memcpy(at, scope.at, scope.len);
    at[scope.len] = '.';
    if (name.len > 0)
        memcpy(at + scope.len + 1, name.at, name.len);
    *ret = neo_bytes(at, scope.len + 1 + name.len);
    return true;
}

/* The first file that declares it keeps it. What has no name is not declared. */
static bool add_name(struct making *m, struct neo_bytes scope, struct neo_bytes name)
{
    struct symbols *s = m->s;
    struct neo_bytes full;

    if (name.len == 0)
        return true;
    if (!join(m, scope, name, &full))
        return false;
    if (map_get(&s->names, full) != NULL)
        return true;
    full = neo_arena_copy(&s->arena, full);
    return !neo_arena_failed(&s->arena) && map_put(&s->names, full, m->file);
}

static bool add_fields(struct making *m, struct neo_bytes scope,
                       struct google_protobuf_FieldDescriptorProto *const *fields, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!add_name(m, scope, fields[i]->name))
            return false;
    return true;
}

static bool add_values(struct making *m, struct neo_bytes scope,
                       const struct google_protobuf_EnumDescriptorProto *e)
{
    struct neo_bytes name;

    if (!join(m, scope, e->name, &name))
        return false;
    for (size_t i = 0; i < e->value.len; i++)
        if (!add_name(m, scope, e->value.at[i]->name) || !add_name(m, name, e->value.at[i]->name))
            return false;
    return true;
}

static bool add_enums(struct making *m, struct neo_bytes scope,
                      struct google_protobuf_EnumDescriptorProto *const *enums, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!add_name(m, scope, enums[i]->name) || !add_values(m, scope, enums[i]))
            return false;
    return true;
}

static bool add_service(struct making *m, struct neo_bytes package,
                        const struct google_protobuf_ServiceDescriptorProto *service)
{
    struct neo_bytes name;

    if (!add_name(m, package, service->name) || !join(m, package, service->name, &name))
        return false;
    for (size_t i = 0; i < service->method.len; i++)
        if (!add_name(m, name, service->method.at[i]->name))
            return false;
    return true;
}

/* Descriptors name types with a leading dot. */
static bool add_extensions(struct making *m, struct neo_bytes scope,
                           struct google_protobuf_FieldDescriptorProto *const *fields, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct extension *e = neo_arena_calloc(&m->list, 1, sizeof(*e));
        struct neo_bytes type = fields[i]->extendee;
        if (e == NULL)
            return false;
        if (type.len > 0 && type.at[0] == '.')
            type = neo_bytes_from(type, 1);
        *e = (struct extension){.next = m->extensions,
                                .type = type,
                                .number = fields[i]->number,
                                .order = m->s->n_extensions++,
                                .file = m->file};
        m->extensions = e;
    }
    return add_fields(m, scope, fields, n);
}

static bool add_message(struct making *m, const struct scope *scope)
{
    const struct google_protobuf_DescriptorProto *d = scope->message;

    if (!add_fields(m, scope->name, d->field.at, d->field.len) ||
        !add_extensions(m, scope->name, d->extension.at, d->extension.len) ||
        !add_enums(m, scope->name, d->enum_type.at, d->enum_type.len))
        return false;
    for (size_t i = 0; i < d->oneof_decl.len; i++)
        if (!add_name(m, scope->name, d->oneof_decl.at[i]->name))
            return false;
    return true;
}

/* Themselves, and behind those that are there already, to be looked into. */
static bool queue(struct making *m, struct scopes *scopes, struct neo_bytes within,
                  struct google_protobuf_DescriptorProto *const *messages, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct scope *scope = neo_arena_calloc(&m->scratch, 1, sizeof(*scope));
        if (scope == NULL || !join(m, within, messages[i]->name, &scope->name) ||
            !add_name(m, within, messages[i]->name))
            return false;
        scope->message = messages[i];
        *(scopes->last == NULL ? &scopes->first : &scopes->last->next) = scope;
        scopes->last = scope;
    }
    return true;
}

static bool add_messages(struct making *m, const struct google_protobuf_FileDescriptorProto *f)
{
    struct scopes scopes = {0};

    if (!queue(m, &scopes, f->package, f->message_type.at, f->message_type.len))
        return false;
    for (const struct scope *at = scopes.first; at != NULL; at = at->next)
        if (!add_message(m, at) ||
            !queue(m, &scopes, at->name, at->message->nested_type.at, at->message->nested_type.len))
            return false;
    return true;
}

static bool read_file(struct making *m)
{
    struct google_protobuf_FileDescriptorProto f;

    neo_arena_reset(&m->scratch);
    enum neo_code code = google_protobuf_FileDescriptorProto_decode(m->file->info->descriptor, &f,
                                                                    &m->scratch, NULL);
    if (code != NEO_OK)
        return code != NEO_RESOURCE_EXHAUSTED;
    if (!add_messages(m, &f) || !add_enums(m, f.package, f.enum_type.at, f.enum_type.len) ||
        !add_extensions(m, f.package, f.extension.at, f.extension.len))
        return false;
    for (size_t i = 0; i < f.service.len; i++)
        if (!add_service(m, f.package, f.service.at[i]))
            return false;
    return true;
}

static bool read_files(struct making *m)
{
    for (m->file = m->s->first; m->file != NULL; m->file = m->file->next)
        if (!read_file(m))
            return false;
    return true;
}

/* --- extensions ------------------------------------------------------------------------------- */

static int by_type(struct neo_bytes a, struct neo_bytes b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len == 0 ? 0 : memcmp(a.at, b.at, len);

    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static int by_type_and_number(const void *left, const void *right)
{
    const struct extension *a = left, *b = right;
    int order = by_type(a->type, b->type);

    if (order == 0)
        order = (a->number > b->number) - (a->number < b->number);
    return order != 0 ? order : (a->order > b->order) - (a->order < b->order);
}

/* Of one type, sorted. The first file that declares a number keeps it. */
static bool add_type(struct symbols *s, const struct extension *of, size_t n)
{
    struct extended *x = neo_arena_calloc(&s->arena, 1, sizeof(*x));
    int32_t *numbers = neo_arena_calloc(&s->arena, n, sizeof(*numbers));
    const struct symbols_file **files = neo_arena_calloc(&s->arena, n, sizeof(*files));
    size_t kept = 0;

    if (x == NULL || numbers == NULL || files == NULL)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && of[i].number == of[i - 1].number)
            continue;
        numbers[kept] = of[i].number;
        files[kept++] = of[i].file;
    }
    *x = (struct extended){{numbers, kept}, files};
    return of[0].type.len == 0 || map_put(&s->types, of[0].type, x);
}

static bool sort_extensions(struct making *m)
{
    size_t n = m->s->n_extensions, end;
    NEO_CLEANUP(neo_freep)
    struct extension *all = neo_alloc_array(n, sizeof(*all));

    if (all == NULL)
        return false;
    for (const struct extension *e = m->extensions; e != NULL; e = e->next)
        all[e->order] = *e;
    if (n > 1)
        qsort(all, n, sizeof(*all), by_type_and_number);
    for (size_t i = 0; i < n; i = end) {
        for (end = i + 1; end < n && neo_bytes_equal(all[end].type, all[i].type);)
            end++;
        if (!add_type(m->s, &all[i], end - i))
            return false;
    }
    return true;
}

/* --- the whole -------------------------------------------------------------------------------- */

enum neo_code symbols_new(const struct neo_file_info *const *files, size_t n, struct symbols **ret,
                          struct neo_error *err)
{
    struct symbols *s = neo_alloc(sizeof(*s));
    struct making m = {.s = s};

    if (s == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for the index of symbols");
    neo_arena_init(&s->arena, BUDGET);
    neo_arena_init(&m.scratch, BUDGET);
    neo_arena_init(&m.list, BUDGET);
    bool made =
        add_files(&m, files, n) && close_over_imports(&m) && read_files(&m) && sort_extensions(&m);
    neo_arena_fini(&m.list);
    neo_arena_fini(&m.scratch);
    map_fini(&m.known);
    if (!made) {
        enum neo_code code = neo_fail(
            err, NEO_RESOURCE_EXHAUSTED, "out of memory for the index of symbols: %s%s",
            m.file == NULL ? "its lists" : "at ", m.file == NULL ? "" : m.file->info->name);
        symbols_free(s);
        return code;
    }
    *ret = s;
    return NEO_OK;
}

void symbols_free(struct symbols *s)
{
    if (s == NULL)
        return;
    map_fini(&s->names);
    map_fini(&s->files);
    map_fini(&s->types);
    neo_arena_fini(&s->arena);
    neo_free(s);
}

/* --- questions -------------------------------------------------------------------------------- */

const struct symbols_file *symbols_file_named(const struct symbols *s, struct neo_bytes name)
{
    return map_get(&s->files, name);
}

const struct symbols_file *symbols_file_declaring(const struct symbols *s, struct neo_bytes symbol)
{
    return map_get(&s->names, symbol);
}

struct symbols_numbers symbols_extensions(const struct symbols *s, struct neo_bytes type)
{
    static const struct symbols_numbers none;
    const struct extended *x = map_get(&s->types, type);

    return x == NULL ? none : x->numbers;
}

const struct symbols_file *symbols_file_extending(const struct symbols *s, struct neo_bytes type,
                                                  int32_t number)
{
    const struct extended *x = map_get(&s->types, type);
    size_t from = 0, to = x == NULL ? 0 : x->numbers.n;

    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (x->numbers.at[middle] == number)
            return x->files[middle];
        if (x->numbers.at[middle] < number)
            from = middle + 1;
        else
            to = middle;
    }
    return NULL;
}

struct symbols_size symbols_size(const struct symbols *s)
{
    size_t slots = s->names.cap + s->files.cap + s->types.cap;

    return (struct symbols_size){
        .files = s->n_files,
        .names = s->names.used,
        .extensions = s->n_extensions,
        .bytes = sizeof(*s) + slots * sizeof(struct map_slot) + s->arena.budget - s->arena.left,
    };
}
