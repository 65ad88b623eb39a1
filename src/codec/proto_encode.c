/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From structs to the wire, back to front.
 *
 * A submessage is preceded by its length, which is known only when it is written.
 * Writing from the last field of the last message towards the front makes that
 * order come true: no size pass, no second visit. The output grows towards lower
 * addresses at the end of the buffer's room and is moved once to its place.
 *
 * Frames are a fixed array, as in the decoder.
 */
#include "codec/proto.h"

#include <neo/encoding.h>

enum { FIRST_ROOM = 128, SCALAR_MAX = WIRE_TAG_MAX + WIRE_VARINT_MAX };

struct frame {
    const struct neo_message_info *info;
    const uint8_t *message;
    uint32_t fields_left;  /* those below are not yet written */
    size_t elements_left;  /* of the repeated messages of field `fields_left` */
    size_t written_before; /* bytes that stood behind this message when it began */
};

struct encoder {
    uint8_t *at;    /* what is written lies in [at, end) */
    uint8_t *begin; /* the room that may be written */
    uint8_t *end;
    struct neo_buffer *out;
    struct neo_error *err;
    enum neo_code code; /* of the failure */
    unsigned depth;
    struct frame frames[NEO_PROTO_DEPTH_MAX + 1];
};

static size_t written(const struct encoder *e)
{
    return (size_t)(e->end - e->at);
}

__attribute__((cold)) static bool refuse(struct encoder *e, const struct neo_field_info *field,
                                         enum neo_code code, const char *why)
{
    e->code = neo_fail(e->err, code, "cannot encode %s.%s: %s", e->frames[e->depth].info->full_name,
                       field->name, why);
    return false;
}

static bool full(struct encoder *e, const struct neo_field_info *field)
{
    return refuse(e, field, NEO_RESOURCE_EXHAUSTED, "the output is full or out of memory");
}

/* --- room --------------------------------------------------------------------------------------
 */

/* All of the buffer's spare capacity becomes room; what is written moves to its end. */
static void use_spare(struct encoder *e, size_t offset, size_t len)
{
    const struct neo_buffer *out = e->out;

    e->begin = out->at + out->len;
    e->end = out->at + out->cap;
    e->at = e->end - len;
    if (len > 0)
        memmove(e->at, e->begin + offset, len);
}

/* Asks for twice the room, or for what the buffer's limit leaves if that is enough. */
__attribute__((noinline)) static bool grow(struct encoder *e, size_t more)
{
    struct neo_buffer *out = e->out;
    size_t len = written(e);
    size_t offset = (size_t)(e->at - e->begin);
    size_t needed = len + more;
    size_t left = out->limit == 0         ? SIZE_MAX / 8
                  : out->limit > out->len ? out->limit - out->len
                                          : 0;
    size_t wanted = needed <= left / 2 ? needed * 2 : needed <= left ? left : needed;

    if (wanted < FIRST_ROOM && FIRST_ROOM <= left)
        wanted = FIRST_ROOM;
    if (neo_buffer_reserve(out, wanted) == NULL)
        return false;
    use_spare(e, offset, len);
    return true;
}

static inline bool make_room(struct encoder *e, size_t n)
{
    return (size_t)(e->at - e->begin) >= n || grow(e, n);
}

/* --- the pieces; room is there -----------------------------------------------------------------
 */

static inline void put_varint(struct encoder *e, uint64_t value)
{
    if (value < 0x80) {
        *--e->at = (uint8_t)value;
        return;
    }
    uint8_t *at = e->at -= wire_varint_size(value);
    for (; value >= 0x80; value >>= 7)
        *at++ = (uint8_t)(value | 0x80);
    *at = (uint8_t)value;
}

static inline void put_tag(struct encoder *e, const struct neo_field_info *field, uint32_t wire)
{
    put_varint(e, (uint64_t)field->number << 3 | wire);
}

static inline void put_copy(struct encoder *e, const void *from, size_t len)
{
    e->at -= len;
    if (len > 0)
        memcpy(e->at, from, len);
}

/* The number as a varint carries it: 32 bits of a signed kind are sign extended. */
static inline uint64_t varint_of(uint8_t kind, const uint8_t *slot)
{
    int32_t narrow;
    int64_t wide;
    bool truth;

    switch (kind) {
    case NEO_KIND_BOOL:
        memcpy(&truth, slot, sizeof(truth));
        return truth;
    case NEO_KIND_INT32:
    case NEO_KIND_ENUM:
        memcpy(&narrow, slot, 4);
        return (uint64_t)(int64_t)narrow;
    case NEO_KIND_UINT32:
        memcpy(&narrow, slot, 4);
        return (uint32_t)narrow;
    case NEO_KIND_SINT32:
        memcpy(&narrow, slot, 4);
        return wire_zigzag(narrow);
    case NEO_KIND_SINT64:
        memcpy(&wide, slot, 8);
        return wire_zigzag(wide);
    default:
        memcpy(&wide, slot, 8);
        return (uint64_t)wide;
    }
}

static bool put_run(struct encoder *e, const struct neo_field_info *field, const uint8_t *slot)
{
    struct neo_bytes run;

    memcpy(&run, slot, sizeof(run));
    if (field->kind == NEO_KIND_STRING && !proto_is_ascii(run.at, run.len) && !neo_is_utf8(run))
        return refuse(e, field, NEO_INVALID_ARGUMENT, "the string is not UTF-8");
    if (run.len > SIZE_MAX / 16 || !make_room(e, run.len + SCALAR_MAX))
        return full(e, field);
    put_copy(e, run.at, run.len);
    put_varint(e, run.len);
    return true;
}

/* A value without its tag. */
static inline bool put_value(struct encoder *e, const struct neo_field_info *field,
                             const uint8_t *slot)
{
    uint32_t wire = wire_kinds[field->kind].wire;

    if (wire == WIRE_LEN)
        return put_run(e, field, slot);
    if (!make_room(e, SCALAR_MAX))
        return full(e, field);
    if (wire == WIRE_VARINT)
        put_varint(e, varint_of(field->kind, slot));
    else
        put_copy(e, slot, wire == WIRE_64 ? 8 : 4);
    return true;
}

/* --- fields ------------------------------------------------------------------------------------
 */

/* For fields without presence: what is zero is not written. */
static inline bool is_empty(const struct neo_field_info *field, const uint8_t *slot)
{
    uint64_t word = 0;
    struct neo_bytes run;

    switch (wire_kinds[field->kind].size) {
    case 1:
        return *slot == 0;
    case 4:
        memcpy(&word, slot, 4);
        return word == 0;
    case 8:
        memcpy(&word, slot, 8);
        return word == 0;
    default:
        memcpy(&run, slot, sizeof(run));
        return run.len == 0;
    }
}

static bool put_singular(struct encoder *e, const struct neo_field_info *field,
                         const uint8_t *message)
{
    const uint8_t *slot = message + field->offset;

    if (proto_has_presence(field) ? !proto_has(field, message) : is_empty(field, slot))
        return true;
    if (!put_value(e, field, slot))
        return false;
    put_tag(e, field, wire_kinds[field->kind].wire);
    return true;
}

static bool put_packed(struct encoder *e, const struct neo_field_info *field,
                       struct wire_array array)
{
    const struct wire_kind *kind = &wire_kinds[field->kind];
    size_t before = written(e);

    if (kind->wire != WIRE_VARINT) {
        size_t len = array.len * kind->size;
        if (len / kind->size != array.len || len > SIZE_MAX / 16 || !make_room(e, len))
            return full(e, field);
        put_copy(e, array.at, len);
    } else {
        for (size_t i = array.len; i-- > 0;) {
            if (!put_value(e, field, array.at + i * kind->size))
                return false;
        }
    }
    if (!make_room(e, SCALAR_MAX))
        return full(e, field);
    put_varint(e, written(e) - before);
    put_tag(e, field, WIRE_LEN);
    return true;
}

static bool put_repeated(struct encoder *e, const struct neo_field_info *field,
                         struct wire_array array)
{
    if (array.len == 0)
        return true;
    if (field->flags & NEO_FIELD_PACKED)
        return put_packed(e, field, array);
    for (size_t i = array.len; i-- > 0;) {
        if (!put_value(e, field, array.at + i * wire_kinds[field->kind].size))
            return false;
        if (!make_room(e, WIRE_TAG_MAX))
            return full(e, field);
        put_tag(e, field, wire_kinds[field->kind].wire);
    }
    return true;
}

/* --- messages ----------------------------------------------------------------------------------
 */

static bool open_message(struct encoder *e, const struct neo_field_info *field, const void *message)
{
    if (e->depth == NEO_PROTO_DEPTH_MAX)
        return refuse(e, field, NEO_INVALID_ARGUMENT, "nested deeper than 100 messages");
    e->frames[++e->depth] = (struct frame){
        .info = field->message,
        .message = message,
        .fields_left = message != NULL ? field->message->n_fields : 0,
        .written_before = written(e),
    };
    return true;
}

static bool close_message(struct encoder *e)
{
    size_t len = written(e) - e->frames[e->depth].written_before;
    const struct frame *parent = &e->frames[--e->depth];
    const struct neo_field_info *field = &parent->info->fields[parent->fields_left];

    if (!make_room(e, SCALAR_MAX))
        return full(e, field);
    put_varint(e, len);
    put_tag(e, field, WIRE_LEN);
    return true;
}

static bool put_message_field(struct encoder *e, struct frame *f,
                              const struct neo_field_info *field)
{
    if (field->flags & NEO_FIELD_REPEATED) {
        f->elements_left = proto_array(field, f->message).len;
        return true;
    }
    const void *message = proto_pointer(f->message + field->offset);
    bool has = field->flags & NEO_FIELD_ONEOF ? proto_has(field, f->message) : message != NULL;

    return !has || open_message(e, field, message);
}

/* The next thing of the topmost message: an element, a field, or its end. */
static bool step(struct encoder *e)
{
    struct frame *f = &e->frames[e->depth];

    if (f->elements_left > 0) {
        const struct neo_field_info *field = &f->info->fields[f->fields_left];

        f->elements_left--;
        return open_message(e, field,
                            proto_element(field, proto_array(field, f->message), f->elements_left));
    }
    while (f->fields_left > 0) {
        const struct neo_field_info *field = &f->info->fields[--f->fields_left];

        if (field->kind == NEO_KIND_MESSAGE)
            return put_message_field(e, f, field);
        if (field->flags & NEO_FIELD_REPEATED) {
            if (!put_repeated(e, field, proto_array(field, f->message)))
                return false;
        } else if (!put_singular(e, field, f->message)) {
            return false;
        }
    }
    return e->depth == 0 || close_message(e);
}

static bool is_done(const struct encoder *e)
{
    return e->depth == 0 && e->frames[0].fields_left == 0 && e->frames[0].elements_left == 0;
}

/* False: out of memory, refused, or beyond the buffer's limit; the code says which. */
static bool run(struct encoder *e)
{
    while (!is_done(e)) {
        if (!step(e))
            return false;
    }
    return true;
}

/* Moves what is written to its place, unless it is more than the limit allows. */
static bool deliver(struct encoder *e, size_t limit)
{
    size_t len = written(e);

    if (e->out->failed || (limit != 0 && (e->out->len > limit || len > limit - e->out->len))) {
        e->out->failed = true;
        return false;
    }
    if (len > 0)
        memmove(e->begin, e->at, len);
    e->out->len += len;
    return true;
}

enum neo_code neo_proto_encode(const struct neo_message_info *info, const void *message,
                               struct neo_buffer *out, struct neo_error *err)
{
    struct encoder e;
    size_t limit = out->limit;

    e.out = out;
    e.err = err;
    e.depth = 0;
    e.frames[0] = (struct frame){
        .info = info,
        .message = message,
        .fields_left = info->n_fields,
    };
    use_spare(&e, 0, 0);
    /* make_room() asks for the most a value could take; the limit is for what it takes. */
    if (limit != 0)
        out->limit = limit + SCALAR_MAX;
    bool ok = run(&e);
    out->limit = limit;
    if (!ok)
        return e.code;
    if (!deliver(&e, limit))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "cannot encode %s: the output is full",
                        info->full_name);
    return NEO_OK;
}
