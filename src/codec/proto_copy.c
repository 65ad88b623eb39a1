/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A message as one that borrows nothing.
 *
 * Only what is set is copied, into cleared structs: of what is not set nobody knows
 * where it points.
 */
#include "codec/proto.h"

#include <neo/message.h>

struct frame {
    const struct neo_message_info *info;
    const uint8_t *from;
    uint8_t *to;
    uint32_t field;  /* the next to look at */
    size_t elements; /* left of the repeated messages of field `field` - 1 */
};

struct copier {
    struct neo_arena *arena;
    struct neo_error *err;
    enum neo_code code; /* of the failure */
    unsigned depth;     /* 0: done */
    struct frame frames[NEO_PROTO_DEPTH_MAX + 1];
};

__attribute__((cold)) static bool exhausted(struct copier *c, const struct neo_message_info *info)
{
    c->code = neo_fail(c->err, NEO_RESOURCE_EXHAUSTED, "cannot copy %s: the memory budget is spent",
                       info->full_name);
    return false;
}

static bool copy_run(struct copier *c, const struct frame *f, size_t offset)
{
    struct neo_bytes run;

    memcpy(&run, f->from + offset, sizeof(run));
    if (run.len == 0)
        return true;
    run = neo_arena_copy(c->arena, run);
    if (run.len == 0)
        return exhausted(c, f->info);
    memcpy(f->to + offset, &run, sizeof(run));
    return true;
}

/* Goes on with a message, of which `to` is cleared. */
static bool push(struct copier *c, const struct neo_message_info *info, const void *from, void *to)
{
    if (c->depth > NEO_PROTO_DEPTH_MAX) {
        c->code = neo_fail(c->err, NEO_INVALID_ARGUMENT, "%s is nested deeper than 100 messages",
                           c->frames[0].info->full_name);
        return false;
    }
    struct frame *f = &c->frames[c->depth++];
    *f = (struct frame){.info = info, .from = from, .to = to};
    return !(info->traits & NEO_MESSAGE_UNKNOWN) || copy_run(c, f, info->unknown);
}

/* As push(), for one held by pointer, which goes into `slot`; NULL stays NULL. */
static bool push_new(struct copier *c, const struct neo_message_info *info, const void *from,
                     uint8_t *slot)
{
    if (from == NULL)
        return true;
    void *to = neo_arena_calloc(c->arena, 1, info->size);
    if (to == NULL)
        return exhausted(c, info);
    memcpy(slot, &to, sizeof(to));
    return push(c, info, from, to);
}

static bool is_run(const struct neo_field_info *field)
{
    return field->kind == NEO_KIND_STRING || field->kind == NEO_KIND_BYTES;
}

/* The elements that are messages are left to step(). */
static bool copy_array(struct copier *c, struct frame *f, const struct neo_field_info *field)
{
    struct wire_array array = proto_array(field, f->from);
    size_t size = proto_element_size(field);
    const struct frame elements = {
        .info = f->info,
        .from = array.at,
        .to = neo_arena_calloc(c->arena, array.len, size),
    };

    if (elements.to == NULL)
        return exhausted(c, f->info);
    array.at = elements.to;
    memcpy(f->to + field->offset, &array, sizeof(array));
    if (field->kind == NEO_KIND_MESSAGE)
        f->elements = array.len;
    else if (!is_run(field))
        memcpy(elements.to, elements.from, array.len * size);
    for (size_t i = 0; is_run(field) && i < array.len; i++) {
        if (!copy_run(c, &elements, i * size))
            return false;
    }
    return true;
}

static bool copy_field(struct copier *c, struct frame *f, const struct neo_field_info *field)
{
    const uint8_t *slot = proto_slot(field, f->from);

    if (!proto_is_set(field, f->from))
        return true;
    if (field->flags & NEO_FIELD_REPEATED)
        return copy_array(c, f, field);
    proto_mark(f->info, field, f->to);
    if (field->kind == NEO_KIND_MESSAGE)
        return push_new(c, field->message, proto_pointer(slot), f->to + field->offset);
    if (is_run(field))
        return copy_run(c, f, field->offset);
    memcpy(f->to + field->offset, slot, wire_kinds[field->kind].size);
    return true;
}

static bool copy_element(struct copier *c, struct frame *f)
{
    const struct neo_field_info *field = &f->info->fields[f->field - 1];
    const void *from = proto_element(field, proto_array(field, f->from), --f->elements);
    uint8_t *slot = proto_array(field, f->to).at + f->elements * proto_element_size(field);

    return field->flags & NEO_FIELD_MAP ? push(c, field->message, from, slot)
                                        : push_new(c, field->message, from, slot);
}

static bool step(struct copier *c)
{
    struct frame *f = &c->frames[c->depth - 1];

    if (f->elements > 0)
        return copy_element(c, f);
    if (f->field < f->info->n_fields)
        return copy_field(c, f, &f->info->fields[f->field++]);
    c->depth--;
    return true;
}

enum neo_code neo_proto_copy(const struct neo_message_info *info, const void *from, void *to,
                             struct neo_arena *arena, struct neo_error *err)
{
    /* `to` may be `from`, and is written last. */
    void *top = neo_arena_calloc(arena, 1, info->size);
    struct copier c;

    c.arena = arena;
    c.err = err;
    c.code = NEO_OK;
    c.depth = 0;
    bool ok = top == NULL ? exhausted(&c, info) : push(&c, info, from, top);
    while (ok && c.depth > 0)
        ok = step(&c);
    if (ok)
        memcpy(to, top, info->size);
    return c.code;
}
