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
#include "codec/proto_put.h"

#include <neo/encoding.h>

enum {
    FIRST_ROOM = 128,
    SPARE = 128,
    SCALAR_MAX = WIRE_TAG_MAX + PUT_VARINT_ROOM,
    SHORT_RUN = 128, /* its length is one byte */
    LONG_RUN = 256,
    VARINTS_AT_ONCE = 8,
    MOST_AT_ONCE = VARINTS_AT_ONCE * PUT_VARINT_ROOM, /* beyond what is known to be needed */
};

#define unlikely(condition) __builtin_expect((condition) != 0, 0)
#define NOT_ASCII           UINT64_C(0x8080808080808080)

struct frame {
    const struct neo_message_info *info;
    const uint8_t *message;
    const struct neo_field_info *field; /* those from here on are written, or being written */
    size_t elements_left;               /* of the repeated messages of `field` */
    size_t written_before;              /* bytes that stood behind this message when it began */
};

struct encoder {
    uint8_t *begin; /* the room that may be written is [begin, end) */
    uint8_t *end;
    struct neo_buffer *out;
    struct neo_error *err;
    enum neo_code code; /* of the failure */
    struct frame *top;  /* the message being written */
    struct frame frames[NEO_PROTO_DEPTH_MAX + 1];
};

/*
 * A writer is given `at`, where what is written so far begins, and returns the new one, or NULL
 * after it has said why: so it stays in a register, which it could not do behind a pointer that the
 * bytes written might alias.
 */
__attribute__((cold)) static uint8_t *refuse(struct encoder *e, const struct neo_field_info *field,
                                             enum neo_code code, const char *why)
{
    e->code = neo_fail(e->err, code, "cannot encode %s.%s: %s", e->top->info->full_name,
                       field->name, why);
    return NULL;
}

static uint8_t *full(struct encoder *e, const struct neo_field_info *field)
{
    return refuse(e, field, NEO_RESOURCE_EXHAUSTED, "the output is full or out of memory");
}

/* --- room ------------------------------------------------------------------------------------- */

/* All of the buffer's spare capacity becomes room; what is written moves to its end. */
static uint8_t *use_spare(struct encoder *e, size_t offset, size_t len)
{
    static uint8_t nowhere; /* a place with no room, for a buffer that has none yet */
    const struct neo_buffer *out = e->out;

    e->begin = out->at == NULL ? &nowhere : out->at + out->len;
    e->end = out->at == NULL ? &nowhere : out->at + out->cap;
    if (len > 0)
        memmove(e->end - len, e->begin + offset, len);
    return e->end - len;
}

/*
 * Asks for as much again as is written already, or for what the buffer's limit leaves if that is
 * enough. What is long at once gets no more than it needs: the room may wait in a queue with it.
 */
__attribute__((noinline)) static uint8_t *grow(struct encoder *e, uint8_t *at, size_t more)
{
    struct neo_buffer *out = e->out;
    size_t len = (size_t)(e->end - at);
    size_t offset = (size_t)(at - e->begin);
    size_t needed = len + more;
    size_t left = SIZE_MAX / 8;
    size_t wanted = needed;

    if (out->limit != 0)
        left = out->limit > out->len ? out->limit - out->len : 0;
    if (needed <= left)
        wanted = len + SPARE <= left - needed ? needed + len + SPARE : left;
    if (wanted < FIRST_ROOM && FIRST_ROOM <= left)
        wanted = FIRST_ROOM;
    if (neo_buffer_reserve(out, wanted) == NULL)
        return NULL;
    return use_spare(e, offset, len);
}

/* `at` with room for `n` bytes before it. */
static inline uint8_t *make_room(struct encoder *e, const struct neo_field_info *field, uint8_t *at,
                                 size_t n)
{
    if (__builtin_expect((size_t)(at - e->begin) >= n, 1))
        return at;
    at = grow(e, at, n);
    return at != NULL ? at : full(e, field);
}

__attribute__((noinline)) static uint8_t *put_long_run(struct encoder *e,
                                                       const struct neo_field_info *field,
                                                       struct neo_bytes run, uint8_t *at)
{
    uint64_t bits;

    if (run.len > SIZE_MAX / 16)
        return full(e, field);
    at = make_room(e, field, at, run.len + SCALAR_MAX);
    if (at == NULL)
        return NULL;
    if (field->kind == NEO_KIND_BYTES && run.len >= LONG_RUN) {
        at -= run.len;
        memcpy(at, run.at, run.len);
        return put_varint(at, run.len);
    }
    at = put_copy(at, run, &bits);
    if (field->kind == NEO_KIND_STRING && (bits & NOT_ASCII) && !neo_is_utf8(run))
        return refuse(e, field, NEO_INVALID_ARGUMENT, "the string is not UTF-8");
    return put_varint(at, run.len);
}

PUT_INLINE uint8_t *put_run(struct encoder *e, const struct neo_field_info *field,
                            struct neo_bytes run, uint8_t *at)
{
    uint64_t bits;

    if (run.len >= SHORT_RUN || (size_t)(at - e->begin) < SHORT_RUN + SCALAR_MAX)
        return put_long_run(e, field, run, at);
    at = put_copy(at, run, &bits);
    if (unlikely(bits & NOT_ASCII) && field->kind == NEO_KIND_STRING && !neo_is_utf8(run))
        return refuse(e, field, NEO_INVALID_ARGUMENT, "the string is not UTF-8");
    at -= 1;
    at[0] = (uint8_t)run.len;
    return at;
}

/* A number as it goes on the wire: with `ret_fixed` bytes, or as a varint when that is 0. */
static inline uint64_t load_number(uint8_t kind, const uint8_t *slot, size_t *ret_fixed)
{
    int32_t narrow;
    uint32_t bits;
    uint64_t wide;

    *ret_fixed = 0;
    switch (kind) {
    case NEO_KIND_BOOL:
        return *slot;
    case NEO_KIND_INT32:
    case NEO_KIND_ENUM:
        memcpy(&narrow, slot, 4);
        return (uint64_t)(int64_t)narrow;
    case NEO_KIND_UINT32:
        memcpy(&bits, slot, 4);
        return bits;
    case NEO_KIND_SINT32:
        memcpy(&narrow, slot, 4);
        return wire_zigzag(narrow);
    case NEO_KIND_SINT64:
        memcpy(&wide, slot, 8);
        return wire_zigzag((int64_t)wide);
    case NEO_KIND_FLOAT:
    case NEO_KIND_FIXED32:
    case NEO_KIND_SFIXED32:
        *ret_fixed = 4;
        memcpy(&bits, slot, 4);
        return bits;
    case NEO_KIND_DOUBLE:
    case NEO_KIND_FIXED64:
    case NEO_KIND_SFIXED64:
        *ret_fixed = 8;
        break;
    default:
        break;
    }
    memcpy(&wide, slot, 8);
    return wide;
}

static inline uint8_t *put_number(uint8_t *at, uint64_t value, size_t fixed)
{
    if (fixed == 0)
        return put_varint(at, value);
    at -= fixed;
    if (fixed == 8)
        memcpy(at, &value, 8);
    else
        memcpy(at, &value, 4);
    return at;
}

static bool is_run(const struct neo_field_info *field)
{
    return field->kind == NEO_KIND_STRING || field->kind == NEO_KIND_BYTES;
}

/* --- fields --- */

static inline uint8_t *put_singular_run(struct encoder *e, const struct neo_field_info *field,
                                        const uint8_t *slot, bool is_optional, uint8_t *at)
{
    struct neo_bytes run;

    memcpy(&run, slot, sizeof(run));
    if (run.len == 0 && !is_optional)
        return at;
    at = put_run(e, field, run, at);
    return at == NULL ? NULL : put_tag(at, field, WIRE_LEN);
}

/* A number, zero or not. */
static uint8_t *put_any_number(struct encoder *e, const struct neo_field_info *field,
                               const uint8_t *slot, uint8_t *at)
{
    size_t fixed;
    uint64_t value = load_number(field->kind, slot, &fixed);

    at = make_room(e, field, at, SCALAR_MAX);
    if (at == NULL)
        return NULL;
    return put_tag(put_number(at, value, fixed), field, wire_kinds[field->kind].wire);
}

/* With presence: written when it is there. */
static uint8_t *put_present(struct encoder *e, const struct neo_field_info *field,
                            const uint8_t *message, uint8_t *at)
{
    const uint8_t *slot = message + field->offset;

    if (!proto_has(field, message))
        return at;
    return is_run(field) ? put_singular_run(e, field, slot, true, at)
                         : put_any_number(e, field, slot, at);
}

/* Without: written when it is not zero. */
static uint8_t *put_other(struct encoder *e, const struct neo_field_info *field,
                          const uint8_t *slot, uint8_t *at)
{
    size_t fixed;

    return load_number(field->kind, slot, &fixed) == 0 ? at : put_any_number(e, field, slot, at);
}

/* `kind` is the field's, told apart so that the compiler makes a loop of its own for a constant. */
static inline uint8_t *put_varints(struct encoder *e, const struct neo_field_info *field,
                                   uint8_t kind, struct wire_array array, uint8_t *at)
{
    size_t left = array.len;
    size_t fixed;

    while (left > 0) {
        size_t part = left < VARINTS_AT_ONCE ? left : VARINTS_AT_ONCE;

        at = make_room(e, field, at, part * PUT_VARINT_ROOM);
        if (at == NULL)
            return NULL;
        for (; part > 0; part--) {
            left--;
            at = put_varint(at, load_number(kind, array.at + left * wire_kinds[kind].size, &fixed));
        }
    }
    return at;
}

static uint8_t *put_block(struct encoder *e, const struct neo_field_info *field,
                          struct wire_array array, uint8_t *at)
{
    size_t len;

    if (__builtin_mul_overflow(array.len, wire_kinds[field->kind].size, &len) ||
        len > SIZE_MAX / 16)
        return full(e, field);
    at = make_room(e, field, at, len);
    if (at == NULL)
        return NULL;
    memcpy(at - len, array.at, len);
    return at - len;
}

static uint8_t *put_packed(struct encoder *e, const struct neo_field_info *field,
                           struct wire_array array, uint8_t *at)
{
    size_t before = (size_t)(e->end - at);

    if (wire_kinds[field->kind].wire != WIRE_VARINT)
        at = put_block(e, field, array, at);
    else if (field->kind == NEO_KIND_INT64 || field->kind == NEO_KIND_UINT64)
        at = put_varints(e, field, NEO_KIND_INT64, array, at);
    else
        at = put_varints(e, field, field->kind, array, at);
    if (at == NULL)
        return NULL;
    at = make_room(e, field, at, SCALAR_MAX);
    if (at == NULL)
        return NULL;
    return put_tag(put_varint(at, (size_t)(e->end - at) - before), field, WIRE_LEN);
}

static uint8_t *put_runs(struct encoder *e, const struct neo_field_info *field,
                         struct wire_array array, uint8_t *at)
{
    for (size_t i = array.len; i-- > 0;) {
        struct neo_bytes run;

        memcpy(&run, array.at + i * sizeof(run), sizeof(run));
        at = put_run(e, field, run, at);
        if (at == NULL)
            return NULL;
        at = put_tag(at, field, WIRE_LEN);
    }
    return at;
}

static uint8_t *put_repeated(struct encoder *e, const struct neo_field_info *field,
                             struct wire_array array, uint8_t *at)
{
    const struct wire_kind *kind = &wire_kinds[field->kind];

    if (is_run(field))
        return put_runs(e, field, array, at);
    if ((field->flags & NEO_FIELD_PACKED) && array.len > 0)
        return put_packed(e, field, array, at);
    for (size_t i = array.len; i-- > 0;) {
        size_t fixed;
        uint64_t value = load_number(field->kind, array.at + i * kind->size, &fixed);

        at = make_room(e, field, at, SCALAR_MAX);
        if (at == NULL)
            return NULL;
        at = put_tag(put_number(at, value, fixed), field, kind->wire);
    }
    return at;
}

/* --- messages --------------------------------------------------------------------------------- */

static inline const struct neo_field_info *end_of_fields(const struct neo_message_info *info)
{
    return info->n_fields == 0 ? info->fields : info->fields + info->n_fields; /* never NULL + 0 */
}

/* What is no field: it was read from the wire, and goes back as it came, behind the fields. */
static uint8_t *put_unknown(struct encoder *e, const struct neo_message_info *info,
                            const uint8_t *message, uint8_t *at)
{
    static const struct neo_field_info unknown = {.name = "neo_unknown"};
    struct neo_bytes run;

    memcpy(&run, message + info->unknown, sizeof(run));
    if (run.len > SIZE_MAX / 16)
        return full(e, &unknown);
    at = make_room(e, &unknown, at, run.len);
    if (at == NULL)
        return NULL;
    memcpy(at - run.len, run.at, run.len);
    return at - run.len;
}

/* Before the fields of the topmost message, which is not NULL. */
static inline uint8_t *begin_message(struct encoder *e, const struct neo_message_info *info,
                                     const uint8_t *message, uint8_t *at)
{
    if (info->traits & NEO_MESSAGE_REQUIRED) {
        const struct neo_field_info *missing = proto_missing(info, message);
        if (missing != NULL)
            return refuse(e, missing, NEO_INVALID_ARGUMENT, "the field is required, and missing");
    }
    if (!(info->traits & NEO_MESSAGE_UNKNOWN))
        return at;
    size_t len;
    memcpy(&len, message + info->unknown + offsetof(struct neo_bytes, len), sizeof(len));
    return len == 0 ? at : put_unknown(e, info, message, at);
}

PUT_INLINE uint8_t *open_message(struct encoder *e, const struct neo_field_info *field,
                                 const void *message, uint8_t *at)
{
    const struct neo_message_info *info = field->message;
    struct frame *f = e->top;

    if (unlikely(f == &e->frames[NEO_PROTO_DEPTH_MAX]))
        return refuse(e, field, NEO_INVALID_ARGUMENT, "nested deeper than 100 messages");
    if (unlikely(field->flags & NEO_FIELD_GROUP)) {
        at = make_room(e, field, at, SCALAR_MAX);
        if (at == NULL)
            return NULL;
        at = put_tag(at, field, WIRE_END_GROUP);
    }
    e->top = ++f;
    f->info = info;
    f->message = message;
    f->field = message != NULL ? end_of_fields(info) : info->fields;
    f->elements_left = 0;
    f->written_before = (size_t)(e->end - at);
    if (message != NULL)
        return begin_message(e, info, message, at);
    if (info->traits & NEO_MESSAGE_REQUIRED)
        return refuse(e, field, NEO_INVALID_ARGUMENT, "its message lacks required fields");
    return at;
}

static inline uint8_t *close_message(struct encoder *e, uint8_t *at)
{
    size_t len = (size_t)(e->end - at) - e->top->written_before;
    const struct neo_field_info *field = (--e->top)->field;

    at = make_room(e, field, at, SCALAR_MAX);
    if (at == NULL)
        return NULL;
    if (unlikely(field->flags & NEO_FIELD_GROUP))
        return put_tag(at, field, WIRE_GROUP);
    return put_tag(put_varint(at, len), field, WIRE_LEN);
}

static inline uint8_t *put_message_field(struct encoder *e, struct frame *f,
                                         const struct neo_field_info *field, uint8_t *at)
{
    if (field->flags & NEO_FIELD_REPEATED) {
        f->elements_left = proto_array(field, f->message).len;
        return at;
    }
    const void *message = proto_pointer(f->message + field->offset);
    bool has = field->flags & NEO_FIELD_ONEOF ? proto_has(field, f->message) : message != NULL;

    return has ? open_message(e, field, message, at) : at;
}

/* What is repeated, has presence, or is rarer than put_fields() has it; not a message. */
__attribute__((noinline)) static uint8_t *put_flagged(struct encoder *e,
                                                      const struct neo_field_info *field,
                                                      const uint8_t *message, uint8_t *at)
{
    if (field->flags & NEO_FIELD_REPEATED)
        return put_repeated(e, field, proto_array(field, message), at);
    if (field->flags != 0)
        return put_present(e, field, message, at);
    return put_other(e, field, message + field->offset, at);
}

/* The commonest: singular, without presence, left out when it is zero. Room is there. */
static inline uint8_t *put_plain(struct encoder *e, const struct neo_field_info *field,
                                 const uint8_t *message, uint8_t *at)
{
    const uint8_t *slot = message + field->offset;
    struct neo_bytes run;
    uint64_t value;
    int32_t narrow;

    switch (field->kind) {
    case NEO_KIND_STRING:
    case NEO_KIND_BYTES:
        memcpy(&run, slot, sizeof(run));
        if (run.len == 0)
            return at;
        at = put_run(e, field, run, at);
        return unlikely(at == NULL) ? NULL : put_tag(at, field, WIRE_LEN);
    case NEO_KIND_BOOL:
        value = *slot;
        break;
    case NEO_KIND_INT32:
    case NEO_KIND_ENUM:
        memcpy(&narrow, slot, 4);
        value = (uint64_t)(int64_t)narrow;
        break;
    case NEO_KIND_INT64:
    case NEO_KIND_UINT64:
        memcpy(&value, slot, 8);
        break;
    case NEO_KIND_DOUBLE:
    case NEO_KIND_FIXED64:
    case NEO_KIND_SFIXED64:
        memcpy(&value, slot, 8);
        if (value == 0)
            return at;
        memcpy(at - 8, &value, 8);
        return put_tag(at - 8, field, WIRE_64);
    default:
        return put_flagged(e, field, message, at);
    }
    return value == 0 ? at : put_tag(put_varint(at, value), field, WIRE_VARINT);
}

/* The fields of the topmost message, from the last, down to one that is a message. */
static inline uint8_t *put_fields(struct encoder *e, struct frame *f, uint8_t *at)
{
    const struct neo_field_info *first = f->info->fields;
    const struct neo_field_info *field = f->field;
    const uint8_t *message = f->message;

    for (; field > first;) {
        field--;
        at = make_room(e, field, at, SCALAR_MAX);
        if (unlikely(at == NULL))
            return NULL;
        if (field->kind == NEO_KIND_MESSAGE) {
            f->field = field;
            return put_message_field(e, f, field, at);
        }
        at = field->flags == 0 ? put_plain(e, field, message, at)
                               : put_flagged(e, field, message, at);
        if (unlikely(at == NULL))
            return NULL;
    }
    f->field = first;
    return at;
}

/*
 * Writes everything. NULL: out of memory, refused, or far beyond the limit; the code says which.
 * Apart from its caller, whose large frame costs the compiler registers.
 */
__attribute__((noinline)) static uint8_t *run(struct encoder *e, uint8_t *at)
{
    while (!unlikely(at == NULL)) {
        struct frame *f = e->top;

        if (f->field > f->info->fields && f->elements_left == 0) {
            at = put_fields(e, f, at);
        } else if (f->elements_left > 0) {
            f->elements_left--;
            at = open_message(
                e, f->field,
                proto_element(f->field, proto_array(f->field, f->message), f->elements_left), at);
        } else if (f != e->frames) {
            at = close_message(e, at);
        } else {
            return at;
        }
    }
    return NULL;
}

static bool fits(const struct encoder *e, size_t len, size_t limit)
{
    return !e->out->failed && (limit == 0 || (e->out->len <= limit && len <= limit - e->out->len));
}

enum neo_code proto_encode_at_end(const struct neo_message_info *info, const void *message,
                                  struct neo_buffer *out, struct neo_bytes *ret,
                                  struct neo_error *err)
{
    struct encoder e;
    size_t limit = out->limit;

    e.out = out;
    e.err = err;
    e.code = NEO_INTERNAL; /* until a failure says which */
    e.top = e.frames;
    e.frames[0] = (struct frame){
        .info = info,
        .message = message,
        .field = end_of_fields(info),
    };
    /* make_room() asks for the most a value could take; the limit is for what it takes. */
    if (limit != 0)
        out->limit = limit + MOST_AT_ONCE;
    uint8_t *at = begin_message(&e, info, message, use_spare(&e, 0, 0));
    if (at != NULL)
        at = run(&e, at);
    out->limit = limit;
    if (at == NULL)
        return e.code;
    if (!fits(&e, (size_t)(e.end - at), limit)) {
        out->failed = true;
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "cannot encode %s: the output is full",
                        info->full_name);
    }
    *ret = neo_bytes(at, (size_t)(e.end - at));
    return NEO_OK;
}

enum neo_code neo_proto_encode(const struct neo_message_info *info, const void *message,
                               struct neo_buffer *out, struct neo_error *err)
{
    struct neo_bytes written = {0};

    NEO_TRY(proto_encode_at_end(info, message, out, &written, err));
    if (written.len > 0)
        memmove(out->at + out->len, written.at, written.len);
    out->len += written.len;
    return NEO_OK;
}
