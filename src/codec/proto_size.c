/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exact size of what neo_proto_encode() would write, without writing it.
 */
#include "codec/proto.h"

struct frame {
    const struct neo_message_info *info;
    const uint8_t *message;
    uint32_t field;  /* the next to look at */
    size_t elements; /* left of the repeated messages of field `field` - 1 */
    size_t size;     /* of the fields looked at */
};

struct walk {
    unsigned depth;
    struct frame frames[NEO_PROTO_DEPTH_MAX + 1];
};

static size_t size_of_varint(uint8_t kind, const uint8_t *slot)
{
    int32_t narrow;
    int64_t wide;

    switch (kind) {
    case NEO_KIND_BOOL:
        return 1;
    case NEO_KIND_INT32:
    case NEO_KIND_ENUM:
        memcpy(&narrow, slot, 4);
        return wire_varint_size((uint64_t)(int64_t)narrow);
    case NEO_KIND_UINT32:
        memcpy(&narrow, slot, 4);
        return wire_varint_size((uint32_t)narrow);
    case NEO_KIND_SINT32:
        memcpy(&narrow, slot, 4);
        return wire_varint_size(wire_zigzag(narrow));
    case NEO_KIND_SINT64:
        memcpy(&wide, slot, 8);
        return wire_varint_size(wire_zigzag(wide));
    default:
        memcpy(&wide, slot, 8);
        return wire_varint_size((uint64_t)wide);
    }
}

static size_t size_of_value(const struct neo_field_info *field, const uint8_t *slot)
{
    struct neo_bytes run;

    switch (wire_kinds[field->kind].wire) {
    case WIRE_VARINT:
        return size_of_varint(field->kind, slot);
    case WIRE_64:
        return 8;
    case WIRE_32:
        return 4;
    default:
        memcpy(&run, slot, sizeof(run));
        return wire_varint_size(run.len) + run.len;
    }
}

static size_t size_of_repeated(const struct neo_field_info *field, struct wire_array array)
{
    size_t size = 0;

    for (size_t i = 0; i < array.len; i++)
        size += size_of_value(field, array.at + i * wire_kinds[field->kind].size);
    if (field->flags & NEO_FIELD_PACKED)
        return array.len == 0 ? 0 : wire_tag_size(field->number) + wire_varint_size(size) + size;
    return size + array.len * wire_tag_size(field->number);
}

static void count_field(struct frame *f, const struct neo_field_info *field)
{
    if (field->flags & NEO_FIELD_REPEATED)
        f->size += size_of_repeated(field, proto_array(field, f->message));
    else if (proto_is_set(field, f->message))
        f->size +=
            wire_tag_size(field->number) + size_of_value(field, proto_slot(field, f->message));
}

static size_t size_of_unknown(const struct neo_message_info *info, const uint8_t *message)
{
    struct neo_bytes run = {0};

    if (message != NULL && (info->traits & NEO_MESSAGE_UNKNOWN))
        memcpy(&run, message + info->unknown, sizeof(run));
    return run.len;
}

static bool push(struct walk *w, const struct neo_message_info *info, const void *message)
{
    if (w->depth == NEO_PROTO_DEPTH_MAX)
        return false;
    w->frames[++w->depth] = (struct frame){
        .info = info,
        .message = message,
        .field = message != NULL ? 0 : info->n_fields,
        .size = size_of_unknown(info, message),
    };
    return true;
}

static void pop(struct walk *w)
{
    size_t size = w->frames[w->depth].size;
    struct frame *parent = &w->frames[--w->depth];
    const struct neo_field_info *field = &parent->info->fields[parent->field - 1];

    parent->size += wire_tag_size(field->number) + size;
    parent->size +=
        field->flags & NEO_FIELD_GROUP ? wire_tag_size(field->number) : wire_varint_size(size);
}

/* False: nested too deep. */
static bool step(struct walk *w)
{
    struct frame *f = &w->frames[w->depth];

    if (f->elements > 0) {
        const struct neo_field_info *field = &f->info->fields[f->field - 1];

        return push(w, field->message,
                    proto_element(field, proto_array(field, f->message), --f->elements));
    }
    if (f->field == f->info->n_fields) {
        pop(w);
        return true;
    }
    const struct neo_field_info *field = &f->info->fields[f->field++];
    if (field->kind != NEO_KIND_MESSAGE)
        count_field(f, field);
    else if (field->flags & NEO_FIELD_REPEATED)
        f->elements = proto_array(field, f->message).len;
    else if (proto_is_set(field, f->message))
        return push(w, field->message, proto_pointer(proto_slot(field, f->message)));
    return true;
}

enum neo_code neo_proto_size(const struct neo_message_info *info, const void *message, size_t *ret,
                             struct neo_error *err)
{
    struct walk w;

    w.depth = 0;
    w.frames[0] = (struct frame){
        .info = info,
        .message = message,
        .size = size_of_unknown(info, message),
    };
    while (w.depth > 0 || w.frames[0].elements > 0 || w.frames[0].field < info->n_fields) {
        if (!step(&w))
            return neo_fail(err, NEO_INVALID_ARGUMENT, "%s is nested deeper than 100 messages",
                            info->full_name);
    }
    *ret = w.frames[0].size;
    return NEO_OK;
}
