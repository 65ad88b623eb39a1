/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the wire into structs.
 *
 * One loop reads tag after tag; a submessage pushes a frame and its end pops it, so
 * however deep the input claims to be, the C stack does not grow and the depth is a
 * counter. The frames are a fixed array: 3 KiB that are only touched as deep as the
 * message is.
 *
 * A reader returns the next position or NULL, after it has said why.
 */
#include "codec/proto.h"

#include <neo/encoding.h>

struct frame {
    const struct neo_message_info *info;
    uint8_t *message;
    const uint8_t *end;
    const uint8_t *begin;               /* behind the tag */
    const struct neo_field_info *field; /* of the message around; NULL: there is none */
    uint32_t group;   /* whose number an end tag must have; 0: not an open group */
    bool is_merged;   /* the message was there before, and complete */
    bool is_rejected; /* a closed enum was given another value */
};

/* A map that got an entry. It becomes one when everything is read: not when its message ends, which
 * may come again and again, with an entry more each time. */
struct open_map {
    struct open_map *next;
    const struct neo_message_info *info;
    const struct neo_field_info *field;
    uint8_t *message;
};

struct decoder {
    const uint8_t *start;
    struct neo_arena *arena;
    struct neo_error *err;
    enum neo_code code;      /* of the failure */
    struct open_map *maps;   /* each once, the last begun first */
    struct open_map *unused; /* taken from them again, with its only entry; or NULL */
    const uint8_t *shrunk;   /* the array that an element was taken back from last: it has room */
    unsigned depth;
    struct frame frames[NEO_PROTO_DEPTH_MAX + 1];
};

/* Where in which message, so that a person can find it with a hex dump. */
__attribute__((cold)) static const uint8_t *refuse(struct decoder *d, const uint8_t *at,
                                                   enum neo_code code, const char *field,
                                                   const char *why)
{
    d->code = neo_fail(d->err, code, "cannot decode %s%s%s at byte %zu: %s",
                       d->frames[d->depth].info->full_name, field == NULL ? "" : ".",
                       field == NULL ? "" : field, (size_t)(at - d->start), why);
    return NULL;
}

static const uint8_t *malformed(struct decoder *d, const uint8_t *at, const char *field,
                                const char *why)
{
    return refuse(d, at, NEO_INVALID_ARGUMENT, field, why);
}

static const uint8_t *exhausted(struct decoder *d, const uint8_t *at, const char *field)
{
    return refuse(d, at, NEO_RESOURCE_EXHAUSTED, field, "the memory budget of the call is spent");
}

static const uint8_t *too_deep(struct decoder *d, const uint8_t *at, const char *field)
{
    return refuse(d, at, NEO_RESOURCE_EXHAUSTED, field, "nested deeper than 100 messages");
}

/* --- unknown fields --------------------------------------------------------------------------- */

static const uint8_t *skip_fixed(const uint8_t *at, const uint8_t *end, ptrdiff_t len)
{
    return end - at < len ? NULL : at + len;
}

/*
 * What is kept must lie in one run: it is borrowed while it does, and copied when there is a gap.
 * False: out of memory, at `place` of the input, in which the run need not be.
 */
static bool keep_unknown(struct decoder *d, struct neo_bytes run, const uint8_t *place)
{
    const struct frame *f = &d->frames[d->depth];
    struct neo_bytes kept;

    if (!(f->info->traits & NEO_MESSAGE_UNKNOWN))
        return true;
    uint8_t *slot = f->message + f->info->unknown;
    memcpy(&kept, slot, sizeof(kept));
    if (!proto_unknown_add(d->arena, &kept, run, d->start, d->frames[0].end))
        return exhausted(d, place, "neo_unknown") != NULL;
    memcpy(slot, &kept, sizeof(kept));
    return true;
}

/* One value that is not a group; NULL when it is not all there. */
static const uint8_t *skip_value(const uint8_t *at, const uint8_t *end, uint32_t wire)
{
    uint64_t ignored;
    size_t len;

    switch (wire) {
    case WIRE_VARINT:
        return wire_varint(at, end, &ignored);
    case WIRE_64:
        return skip_fixed(at, end, 8);
    case WIRE_32:
        return skip_fixed(at, end, 4);
    case WIRE_LEN:
        at = wire_len(at, end, &len);
        return at == NULL ? NULL : at + len;
    default:
        return NULL;
    }
}

/* Groups nest; they count towards the same depth as messages. */
static const uint8_t *skip_unknown(struct decoder *d, const uint8_t *at, uint32_t tag)
{
    uint32_t groups[NEO_PROTO_DEPTH_MAX];
    unsigned open = 0;
    const uint8_t *end = d->frames[d->depth].end;

    for (;;) {
        const uint8_t *from = at;

        if ((tag & 7) == WIRE_GROUP) {
            if (d->depth + open == NEO_PROTO_DEPTH_MAX)
                return too_deep(d, from, NULL);
            groups[open++] = tag >> 3;
        } else if ((tag & 7) == WIRE_END_GROUP) {
            /* cppcheck-suppress uninitvar ; all below `open` were written */
            if (open == 0 || groups[--open] != tag >> 3)
                return malformed(d, from, NULL, "a group ends that did not begin");
        } else {
            at = skip_value(at, end, tag & 7);
            if (at == NULL)
                return malformed(d, from, NULL, "an unknown field is cut off or malformed");
        }
        if (open == 0)
            return at;
        from = at;
        at = wire_tag(at, end, &tag);
        if (at == NULL)
            return malformed(d, from, NULL, "a group is not closed");
    }
}

/*
 * What is not a field of the message: an unknown one, which is kept as it came, or the end of the
 * group that it is. `start` is where the tag began.
 */
static const uint8_t *skip_field(struct decoder *d, const uint8_t *start, const uint8_t *at,
                                 uint32_t tag)
{
    struct frame *f = &d->frames[d->depth];

    if ((tag & 7) == WIRE_END_GROUP && f->group == tag >> 3) {
        f->group = 0;
        f->end = at;
        return at;
    }
    at = skip_unknown(d, at, tag);
    if (at == NULL || !keep_unknown(d, neo_bytes(start, (size_t)(at - start)), start))
        return NULL;
    return at;
}

/* --- values ----------------------------------------------------------------------------------- */

static bool is_utf8(struct neo_bytes text)
{
    return proto_is_ascii(text.at, text.len) || neo_is_utf8(text);
}

static inline const uint8_t *read_varint_into(uint8_t kind, const uint8_t *at, const uint8_t *end,
                                              void *slot)
{
    uint64_t value;

    at = wire_varint(at, end, &value);
    if (at == NULL)
        return NULL;
    if (kind == NEO_KIND_BOOL) {
        bool truth = value != 0;
        memcpy(slot, &truth, sizeof(truth));
        return at;
    }
    if (kind == NEO_KIND_SINT64)
        value = (uint64_t)wire_unzigzag(value);
    if (kind == NEO_KIND_INT64 || kind == NEO_KIND_UINT64 || kind == NEO_KIND_SINT64) {
        memcpy(slot, &value, 8);
        return at;
    }
    uint32_t low = (uint32_t)value;
    if (kind == NEO_KIND_SINT32)
        low = (uint32_t)wire_unzigzag(low);
    memcpy(slot, &low, 4);
    return at;
}

/* One scalar, string or bytes value of the kind's own wire type. */
static inline const uint8_t *read_scalar(struct decoder *d, const struct neo_field_info *field,
                                         const uint8_t *at, const uint8_t *end, void *slot)
{
    const uint8_t *from = at;
    struct neo_bytes run;

    switch (wire_kinds[field->kind].wire) {
    case WIRE_VARINT:
        at = read_varint_into(field->kind, at, end, slot);
        break;
    case WIRE_64:
        if (end - at < 8)
            return malformed(d, from, field->name, "cut off");
        memcpy(slot, at, 8);
        return at + 8;
    case WIRE_32:
        if (end - at < 4)
            return malformed(d, from, field->name, "cut off");
        memcpy(slot, at, 4);
        return at + 4;
    default:
        at = wire_len(at, end, &run.len);
        if (at == NULL)
            break;
        run.at = at;
        if (field->kind == NEO_KIND_STRING && !is_utf8(run))
            return malformed(d, from, field->name, "the string is not UTF-8");
        memcpy(slot, &run, sizeof(run));
        return at + run.len;
    }
    return at != NULL ? at : malformed(d, from, field->name, "cut off or malformed");
}

static void *new_element(struct decoder *d, const struct neo_field_info *field, void *message,
                         size_t more)
{
    struct wire_array array = proto_array(field, message);
    size_t size = proto_element_size(field);
    void *slot = more == 1 ? proto_array_push(d->arena, &array, size, &d->shrunk)
                           : proto_array_extend(d->arena, &array, more, size);

    if (slot != NULL)
        memcpy((uint8_t *)message + field->offset, &array, sizeof(array));
    return slot;
}

/* --- closed enums ----------------------------------------------------------------------------- */

static bool is_closed(const struct neo_field_info *field)
{
    return field->kind == NEO_KIND_ENUM && field->enumeration != NULL &&
           field->enumeration->closed != NULL;
}

/* A value that is none of the enum's is an unknown field; in a map, its whole entry is. */
static bool reject_enum(struct decoder *d, const struct neo_field_info *field, uint64_t value,
                        const uint8_t *place)
{
    uint8_t run[WIRE_TAG_MAX + WIRE_VARINT_MAX];
    uint8_t *end = wire_put_varint(run, (uint64_t)field->number << 3 | WIRE_VARINT);
    struct frame *f = &d->frames[d->depth];

    end = wire_put_varint(end, value);
    f->is_rejected = true;
    return keep_unknown(d, neo_bytes(run, (size_t)(end - run)), place);
}

/* One value, of a singular or repeated field. */
static const uint8_t *read_closed(struct decoder *d, const struct neo_field_info *field,
                                  const uint8_t *at, const uint8_t *end)
{
    const struct frame *f = &d->frames[d->depth];
    const uint8_t *from = at;
    uint64_t value;

    at = wire_varint(at, end, &value);
    if (at == NULL)
        return malformed(d, from, field->name, "cut off or malformed");
    int32_t number = (int32_t)(uint32_t)value;
    if (!proto_enum_has(field->enumeration, number))
        return reject_enum(d, field, value, from) ? at : NULL;
    void *slot = f->message + field->offset;
    if (field->flags & NEO_FIELD_REPEATED)
        slot = new_element(d, field, f->message, 1);
    else
        proto_mark(f->info, field, f->message);
    if (slot == NULL)
        return exhausted(d, from, field->name);
    memcpy(slot, &number, sizeof(number));
    return at;
}

static const uint8_t *read_packed_closed(struct decoder *d, const struct neo_field_info *field,
                                         const uint8_t *at, const uint8_t *end)
{
    while (at != NULL && at < end)
        at = read_closed(d, field, at, end);
    return at;
}

/* --- repeated scalars ------------------------------------------------------------------------- */

static size_t count_varints(const uint8_t *at, const uint8_t *end)
{
    size_t n = 0;

    for (; at < end; at++)
        n += *at < 0x80;
    return n;
}

static const uint8_t *read_packed_varints(struct decoder *d, const struct neo_field_info *field,
                                          const uint8_t *at, const uint8_t *end, uint8_t *slot)
{
    size_t size = wire_kinds[field->kind].size;

    while (at < end) {
        const uint8_t *from = at;

        at = read_varint_into(field->kind, at, end, slot);
        if (at == NULL)
            return malformed(d, from, field->name, "cut off or malformed");
        slot += size;
    }
    return at;
}

static const uint8_t *read_packed(struct decoder *d, const struct neo_field_info *field,
                                  const uint8_t *at)
{
    const struct frame *f = &d->frames[d->depth];
    const struct wire_kind *kind = &wire_kinds[field->kind];
    const uint8_t *from = at;
    size_t len;

    at = wire_len(at, f->end, &len);
    if (at == NULL || (kind->wire != WIRE_VARINT && len % kind->size != 0))
        return malformed(d, from, field->name, "a packed run is cut off or malformed");
    if (len == 0)
        return at;
    if (is_closed(field))
        return read_packed_closed(d, field, at, at + len);

    /* A run that ends within a varint has one more element than it has ends: the reader fails. */
    size_t n = kind->wire == WIRE_VARINT ? count_varints(at, at + len) + (at[len - 1] >= 0x80)
                                         : len / kind->size;
    uint8_t *slot = new_element(d, field, f->message, n);
    if (slot == NULL)
        return exhausted(d, from, field->name);
    if (kind->wire == WIRE_VARINT)
        return read_packed_varints(d, field, at, at + len, slot);
    memcpy(slot, at, len);
    return at + len;
}

static const uint8_t *read_repeated_scalar(struct decoder *d, const struct neo_field_info *field,
                                           const uint8_t *at, uint32_t wire)
{
    const struct frame *f = &d->frames[d->depth];

    if (wire == WIRE_LEN && wire_kinds[field->kind].wire != WIRE_LEN)
        return read_packed(d, field, at);
    if (is_closed(field))
        return read_closed(d, field, at, f->end);
    void *slot = new_element(d, field, f->message, 1);
    if (slot == NULL)
        return exhausted(d, at, field->name);
    return read_scalar(d, field, at, f->end, slot);
}

/* --- messages --------------------------------------------------------------------------------- */

static void *new_message(struct decoder *d, const struct neo_field_info *field, void *slot)
{
    void *message = neo_arena_calloc(d->arena, 1, field->message->size);

    if (message != NULL)
        memcpy(slot, &message, sizeof(message));
    return message;
}

/* A new entry of a map, cleared. */
static void *new_entry(struct decoder *d, const struct neo_field_info *field)
{
    const struct frame *f = &d->frames[d->depth];
    void *entry = new_element(d, field, f->message, 1);
    struct open_map *map;

    if (entry == NULL)
        return NULL;
    memset(entry, 0, field->message->size);
    if (proto_array(field, f->message).len == 1) {
        map = d->unused != NULL ? d->unused : neo_arena_alloc(d->arena, sizeof(*map));
        if (map == NULL)
            return NULL;
        *map = (struct open_map){d->maps, f->info, field, f->message};
        d->maps = map;
        d->unused = NULL;
    }
    return entry;
}

/* Where a submessage goes: a new element, a new entry, or the one that is there already. */
static void *place_message(struct decoder *d, const struct neo_field_info *field, bool *ret_merged)
{
    const struct frame *f = &d->frames[d->depth];
    void *slot = f->message + field->offset;
    void *present;

    *ret_merged = false;
    if (field->flags & NEO_FIELD_MAP)
        return new_entry(d, field);
    if (field->flags & NEO_FIELD_REPEATED) {
        slot = new_element(d, field, f->message, 1);
        return slot == NULL ? NULL : new_message(d, field, slot);
    }
    proto_mark(f->info, field, f->message);
    memcpy(&present, slot, sizeof(present));
    *ret_merged = present != NULL;
    return present != NULL ? present : new_message(d, field, slot);
}

static const uint8_t *open_message(struct decoder *d, const struct neo_field_info *field,
                                   const uint8_t *at)
{
    bool is_group = field->flags & NEO_FIELD_GROUP;
    const uint8_t *end = d->frames[d->depth].end;
    const uint8_t *from = at;
    bool is_merged;
    size_t len;

    if (!is_group) {
        at = wire_len(at, end, &len);
        if (at == NULL)
            return malformed(d, from, field->name, "cut off or malformed");
        end = at + len;
    }
    if (d->depth == NEO_PROTO_DEPTH_MAX)
        return too_deep(d, from, field->name);
    void *message = place_message(d, field, &is_merged);
    if (message == NULL)
        return exhausted(d, from, field->name);
    d->frames[++d->depth] = (struct frame){
        .info = field->message,
        .message = message,
        .begin = from,
        .field = field,
        .end = end,
        .group = is_group ? field->number : 0,
        .is_merged = is_merged,
    };
    return at;
}

/* When all is read. */
static bool finish_maps(struct decoder *d, const uint8_t *at)
{
    for (const struct open_map *map = d->maps; map != NULL; map = map->next) {
        bool lacks = proto_map_lacks_required(map->field, map->message);

        if (!lacks && proto_map_finish(d->arena, map->field, map->message))
            continue;
        d->frames[d->depth].info = map->info; /* for the text */
        (void)(lacks ? malformed(d, at, map->field->name, "its message lacks required fields")
                     : exhausted(d, at, map->field->name));
        return false;
    }
    return true;
}

/* What a message must hold when it is complete. */
static bool finish_message(struct decoder *d, const uint8_t *at)
{
    const struct frame *f = &d->frames[d->depth];

    if (f->group != 0) {
        (void)malformed(d, at, NULL, "a group is not closed");
        return false;
    }
    if (f->is_merged || !(f->info->traits & NEO_MESSAGE_REQUIRED))
        return true; /* of what was complete nothing was taken away */
    const struct neo_field_info *missing = proto_missing(f->info, f->message);
    if (missing != NULL)
        (void)malformed(d, at, missing->name, "the field is required, and missing");
    return missing == NULL;
}

/* Back to the message around, from which an entry of a map goes if its value is not one. */
static const uint8_t *close_message(struct decoder *d, const uint8_t *at)
{
    const struct frame *entry = &d->frames[d->depth--];
    const struct frame *f = &d->frames[d->depth];
    const struct neo_field_info *field = entry->field;
    uint8_t tag[WIRE_TAG_MAX];

    if (!entry->is_rejected || !(field->flags & NEO_FIELD_MAP))
        return at;
    struct wire_array array = proto_array(field, f->message);
    proto_array_pop(&array, &d->shrunk);
    memcpy(f->message + field->offset, &array, sizeof(array));
    if (array.len == 0) { /* begun by this entry, in which nothing else can be begun */
        d->unused = d->maps;
        d->maps = d->maps->next;
    }
    size_t n = (size_t)(wire_put_varint(tag, (uint64_t)field->number << 3 | WIRE_LEN) - tag);
    if (!keep_unknown(d, neo_bytes(tag, n), entry->begin) ||
        !keep_unknown(d, neo_bytes(entry->begin, (size_t)(at - entry->begin)), entry->begin))
        return NULL;
    return at;
}

/* Numbers may be packed or not, whichever the .proto says. */
static inline bool fits(const struct neo_field_info *field, uint32_t wire)
{
    if (field->flags & NEO_FIELD_GROUP)
        return wire == WIRE_GROUP;
    return wire == wire_kinds[field->kind].wire ||
           (wire == WIRE_LEN && (field->flags & NEO_FIELD_REPEATED));
}

static const uint8_t *read_field(struct decoder *d, const struct neo_field_info *field,
                                 const uint8_t *at, uint32_t wire)
{
    const struct frame *f = &d->frames[d->depth];

    if ((field->flags & NEO_FIELD_REPEATED) && field->kind != NEO_KIND_MESSAGE)
        return read_repeated_scalar(d, field, at, wire);
    if (field->kind == NEO_KIND_MESSAGE)
        return open_message(d, field, at);
    if (is_closed(field))
        return read_closed(d, field, at, f->end);
    if (field->flags & (NEO_FIELD_PRESENCE | NEO_FIELD_ONEOF))
        proto_mark(f->info, field, f->message);
    return read_scalar(d, field, at, f->end, f->message + field->offset);
}

static const uint8_t *read_fields(struct decoder *d, const uint8_t *at)
{
    const struct frame *f = &d->frames[d->depth];

    while (at != f->end) {
        const uint8_t *from = at;
        uint32_t tag;

        at = wire_tag(at, f->end, &tag);
        if (at == NULL)
            return malformed(d, from, NULL, "a field's tag is cut off or malformed");
        const struct neo_field_info *field = proto_field(f->info, tag >> 3);
        at = field == NULL || !fits(field, tag & 7) ? skip_field(d, from, at, tag)
                                                    : read_field(d, field, at, tag & 7);
        if (at == NULL)
            return NULL;
        f = &d->frames[d->depth];
    }
    return at;
}

enum neo_code neo_proto_decode(const struct neo_message_info *info, struct neo_bytes wire,
                               void *message, struct neo_arena *arena, struct neo_error *err)
{
    static const uint8_t nothing;
    struct decoder d;

    if (wire.len == 0 && !(info->traits & NEO_MESSAGE_REQUIRED))
        return NEO_OK;
    if (wire.len == 0)
        wire.at = &nothing; /* a position is never NULL */
    const uint8_t *at = wire.at;
    d.start = wire.at;
    d.arena = arena;
    d.err = err;
    d.code = NEO_INTERNAL; /* until a failure says which */
    d.maps = d.unused = NULL;
    d.shrunk = NULL;
    d.depth = 0;
    d.frames[0] = (struct frame){.info = info, .message = message, .end = wire.at + wire.len};
    for (;;) {
        at = read_fields(&d, at);
        if (at == NULL)
            return d.code;
        if (!finish_message(&d, at))
            return d.code;
        if (d.depth == 0)
            return finish_maps(&d, at) ? NEO_OK : d.code;
        at = close_message(&d, at);
        if (at == NULL)
            return d.code;
    }
}
