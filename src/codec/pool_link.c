/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a descriptor of a message to its table: the layout that protoc-gen-neo leaves to
 * the C compiler is made here, member by member.
 *
 * Descriptors may be a stranger's. Whatever the codec relies on in a table is checked:
 * types, numbers, oneofs, and that a map's entry has a key and a value.
 */
#include "codec/pool.h"
#include "codec/wire.h"

#include <stdlib.h>

enum {
    NUMBER_MAX = (1 << 29) - 1,
    KEY = 1,
    VALUE = 2,
    ENTRY_FIELDS = 2,
    STRUCT_MAX = UINT16_MAX,
    STRUCT_ALIGN = 8,
};

struct layout {
    struct neo_descriptors *pool;
    const struct pool_type *type;
    size_t size;
    uint16_t *cases; /* offset + 1 of the case of each oneof; 0: not placed yet */
    struct neo_error *err;
};

static enum neo_code refuse(const struct layout *l, const struct neo_descriptor_field *d,
                            const char *why)
{
    return neo_fail(l->err, NEO_INVALID_ARGUMENT, "%s: %s.%.*s: %s", l->type->file->info.name,
                    l->type->message.full_name, NEO_FMT(d->name), why);
}

/* --- kinds ------------------------------------------------------------------------------------ */

static bool is_known_kind(int32_t type)
{
    return type >= NEO_KIND_DOUBLE && type <= NEO_KIND_SINT64 && wire_kinds[type].size > 0;
}

static bool is_key_kind(int32_t type)
{
    return is_known_kind(type) && type != NEO_KIND_DOUBLE && type != NEO_KIND_FLOAT &&
           type != NEO_KIND_BYTES && type != NEO_KIND_MESSAGE && type != NEO_KIND_ENUM;
}

static bool is_entry(const struct pool_type *type)
{
    const struct neo_descriptor_message *d = type->descriptor;

    return d != NULL && d->options != NULL && d->options->map_entry;
}

/* Exactly a key and a value, each once. */
static bool is_good_entry(const struct neo_descriptor_message *d)
{
    const struct neo_descriptor_field *key;
    const struct neo_descriptor_field *value;

    if (d->field.len != ENTRY_FIELDS)
        return false;
    key = d->field.at[d->field.at[0]->number == KEY ? 0 : 1];
    value = d->field.at[d->field.at[0]->number == KEY ? 1 : 0];
    return key->number == KEY && value->number == VALUE && is_key_kind(key->type) &&
           is_known_kind(value->type) && key->label != NEO_LABEL_REPEATED &&
           value->label != NEO_LABEL_REPEATED && !key->has_oneof_index && !value->has_oneof_index;
}

/* --- names ------------------------------------------------------------------------------------ */

/* foo_bar as fooBar, for descriptors that do not say. */
static const char *json_name_of(struct neo_arena *arena, const struct neo_descriptor_field *d)
{
    char *name = neo_arena_string(arena, d->json_name.len > 0 ? d->json_name : d->name);
    char *out = name;
    bool raise = false;

    if (name == NULL || d->json_name.len > 0)
        return name;
    for (const char *c = name; *c != '\0'; c++) {
        if (*c == '_') {
            raise = true;
            continue;
        }
        *out++ = raise && *c >= 'a' && *c <= 'z' ? (char)(*c - 'a' + 'A') : *c;
        raise = false;
    }
    *out = '\0';
    return name;
}

/* --- places ----------------------------------------------------------------------------------- */

/* False: the struct would be larger than offsets can say. */
static bool place(struct layout *l, size_t size, size_t align, uint16_t *ret)
{
    size_t at = (l->size + align - 1) / align * align;

    if (at + size > STRUCT_MAX)
        return false;
    l->size = at + size;
    *ret = (uint16_t)at;
    return true;
}

static bool place_presence(struct layout *l, const struct neo_descriptor_field *d,
                           struct neo_field_info *f)
{
    if (f->flags & NEO_FIELD_PRESENCE)
        return place(l, sizeof(bool), _Alignof(bool), &f->presence);
    if (!(f->flags & NEO_FIELD_ONEOF))
        return true;
    uint16_t *known = &l->cases[d->oneof_index];
    if (*known == 0) {
        if (!place(l, sizeof(int32_t), _Alignof(int32_t), &f->presence))
            return false;
        *known = (uint16_t)(f->presence + 1);
    }
    f->presence = (uint16_t)(*known - 1);
    return true;
}

static bool place_field(struct layout *l, const struct neo_descriptor_field *d,
                        struct neo_field_info *f)
{
    size_t size = wire_kinds[f->kind].size;
    size_t align = size < sizeof(void *) ? size : sizeof(void *);

    if (f->flags & NEO_FIELD_REPEATED) {
        size = sizeof(struct wire_array);
        align = _Alignof(struct wire_array);
    }
    return place_presence(l, d, f) && place(l, size, align, &f->offset);
}

/* --- fields ----------------------------------------------------------------------------------- */

static enum neo_code link_type(const struct layout *l, const struct neo_descriptor_field *d,
                               struct neo_field_info *f)
{
    if (f->kind != NEO_KIND_MESSAGE && f->kind != NEO_KIND_ENUM)
        return NEO_OK;

    struct pool_type *type = pool_find_type(l->pool, d->type_name);
    if (type == NULL || (type->descriptor != NULL) != (f->kind == NEO_KIND_MESSAGE))
        return refuse(l, d, "its type is not among the files given");
    if (d->type == NEO_KIND_ENUM) {
        f->enumeration = &type->enumeration;
        return NEO_OK;
    }
    f->message = &type->message;
    if (!is_entry(type))
        return NEO_OK;
    if (d->label != NEO_LABEL_REPEATED || !is_good_entry(type->descriptor))
        return refuse(l, d, "its map entry is malformed");
    f->flags = (uint8_t)((f->flags | NEO_FIELD_MAP) & ~NEO_FIELD_GROUP);
    return NEO_OK;
}

static enum neo_code set_flags(const struct layout *l, const struct neo_descriptor_field *d,
                               struct neo_field_info *f)
{
    if (d->has_oneof_index && !d->proto3_optional &&
        (d->oneof_index < 0 || (size_t)d->oneof_index >= l->type->descriptor->oneof_decl.len))
        return refuse(l, d, "its oneof is missing");
    f->flags = (uint8_t)neo_descriptor_flags(l->type->descriptor, l->type->features, d);
    return NEO_OK;
}

static enum neo_code link_field(struct layout *l, const struct neo_descriptor_field *d,
                                struct neo_field_info *f)
{
    int32_t sensitivity = d->options == NULL ? 0 : d->options->sensitivity;

    if (d->number < 1 || d->number > NUMBER_MAX)
        return refuse(l, d, "its number is out of range");
    if (!is_known_kind(d->type) && d->type != NEO_KIND_GROUP)
        return refuse(l, d, "its type is not supported");
    *f = (struct neo_field_info){
        .number = (uint32_t)d->number,
        .kind = (uint8_t)(d->type == NEO_KIND_GROUP ? NEO_KIND_MESSAGE : d->type),
        .name = neo_arena_string(&l->pool->arena, d->name),
        .json_name = json_name_of(&l->pool->arena, d),
    };
    if (sensitivity >= 0 && sensitivity <= NEO_SENSITIVITY_TEE_ONLY)
        f->sensitivity = (uint8_t)sensitivity;
    NEO_TRY(set_flags(l, d, f));
    NEO_TRY(link_type(l, d, f));
    if (!place_field(l, d, f))
        return refuse(l, d, "the message has too many fields");
    return f->name == NULL || f->json_name == NULL ? pool_out_of_memory(l->err) : NEO_OK;
}

/* --- the message ------------------------------------------------------------------------------ */

static int by_number(const void *a, const void *b)
{
    const struct neo_field_info *x = a;
    const struct neo_field_info *y = b;

    return (x->number > y->number) - (x->number < y->number);
}

static enum neo_code finish(struct layout *l, struct neo_field_info *fields, size_t n,
                            struct neo_message_info *ret)
{
    uint32_t dense = 0;

    if (n > 1)
        qsort(fields, n, sizeof(*fields), by_number);
    for (size_t i = 1; i < n; i++) {
        if (fields[i - 1].number == fields[i].number)
            return neo_fail(l->err, NEO_INVALID_ARGUMENT, "%s: %s has two fields number %u",
                            l->type->file->info.name, ret->full_name, fields[i].number);
    }
    while (dense < n && fields[dense].number == dense + 1)
        dense++;
    ret->size = (uint32_t)((l->size + STRUCT_ALIGN) / STRUCT_ALIGN * STRUCT_ALIGN);
    ret->n_fields = (uint32_t)n;
    ret->fields = fields;
    ret->dense = dense;
    for (size_t i = 0; i < n; i++)
        ret->traits |= fields[i].flags & NEO_FIELD_REQUIRED ? NEO_MESSAGE_REQUIRED : 0;
    return NEO_OK;
}

enum neo_code pool_link_message(struct neo_descriptors *pool, struct pool_type *type,
                                struct neo_error *err)
{
    const struct neo_descriptor_message *d = type->descriptor;
    struct layout l = {.pool = pool, .type = type, .err = err};
    struct neo_field_info *fields = neo_arena_calloc(&pool->arena, d->field.len, sizeof(*fields));
    size_t n = 0;

    l.cases = neo_arena_calloc(&pool->arena, d->oneof_decl.len, sizeof(*l.cases));
    if (fields == NULL || l.cases == NULL)
        return pool_out_of_memory(err);
    for (size_t i = 0; i < d->field.len; i++) {
        NEO_TRY(link_field(&l, d->field.at[i], &fields[n]));
        n++;
    }
    if (!is_entry(type) && type->extendee.len == 0) {
        if (!place(&l, sizeof(struct neo_bytes), _Alignof(struct neo_bytes),
                   &type->message.unknown))
            return neo_fail(err, NEO_INVALID_ARGUMENT, "%s: %s has too many fields",
                            type->file->info.name, type->message.full_name);
        type->message.traits = NEO_MESSAGE_UNKNOWN;
    }
    if (is_entry(type) && !is_good_entry(d))
        return neo_fail(err, NEO_INVALID_ARGUMENT, "%s: the map entry %s is malformed",
                        type->file->info.name, type->message.full_name);
    return finish(&l, fields, n, &type->message);
}
