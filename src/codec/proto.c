/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables and slots: what decoding, encoding and JSON need to know about a field.
 *
 * A repeated field is { at, len } without a capacity. It need not store one: arrays
 * that the codec grows have room for the next power of two above their length, so
 * the capacity follows from the length.
 */
#include "codec/proto.h"

enum { FIRST_CAPACITY = 4 };

const char neo_proto_tables_2 = 2;

/* clang-format off */
const struct wire_kind wire_kinds[NEO_KIND_SINT64 + 1] = {
    [NEO_KIND_DOUBLE]   = {WIRE_64,     8},
    [NEO_KIND_FLOAT]    = {WIRE_32,     4},
    [NEO_KIND_INT64]    = {WIRE_VARINT, 8},
    [NEO_KIND_UINT64]   = {WIRE_VARINT, 8},
    [NEO_KIND_INT32]    = {WIRE_VARINT, 4},
    [NEO_KIND_FIXED64]  = {WIRE_64,     8},
    [NEO_KIND_FIXED32]  = {WIRE_32,     4},
    [NEO_KIND_BOOL]     = {WIRE_VARINT, sizeof(bool)},
    [NEO_KIND_STRING]   = {WIRE_LEN,    sizeof(struct neo_bytes)},
    [NEO_KIND_MESSAGE]  = {WIRE_LEN,    sizeof(void *)},
    [NEO_KIND_BYTES]    = {WIRE_LEN,    sizeof(struct neo_bytes)},
    [NEO_KIND_UINT32]   = {WIRE_VARINT, 4},
    [NEO_KIND_ENUM]     = {WIRE_VARINT, 4},
    [NEO_KIND_SFIXED32] = {WIRE_32,     4},
    [NEO_KIND_SFIXED64] = {WIRE_64,     8},
    [NEO_KIND_SINT32]   = {WIRE_VARINT, 4},
    [NEO_KIND_SINT64]   = {WIRE_VARINT, 8},
};
/* clang-format on */

const uint8_t *wire_varint_long(const uint8_t *at, const uint8_t *end, uint64_t *ret)
{
    uint64_t value = 0;

    for (unsigned shift = 0; at < end && shift < 64; shift += 7) {
        uint8_t byte = *at++;
        if (shift == 63 && byte > 1)
            return NULL;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *ret = value;
            return at;
        }
    }
    return NULL;
}

const uint8_t *wire_tag_long(const uint8_t *at, const uint8_t *end, uint32_t *ret)
{
    uint64_t tag;
    const uint8_t *next = wire_varint(at, end, &tag);

    if (next == NULL || next - at > WIRE_TAG_MAX || tag > UINT32_MAX || tag < 8)
        return NULL;
    *ret = (uint32_t)tag;
    return next;
}

const struct neo_field_info *proto_field_search(const struct neo_message_info *info,
                                                uint32_t number)
{
    uint32_t low = info->dense;
    uint32_t high = info->n_fields;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (info->fields[middle].number == number)
            return &info->fields[middle];
        if (info->fields[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static bool is_zero(const uint8_t *at, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (at[i] != 0)
            return false;
    }
    return true;
}

static int32_t case_of(const struct neo_field_info *field, const void *message)
{
    int32_t number;

    memcpy(&number, (const uint8_t *)message + field->presence, sizeof(number));
    return number;
}

bool proto_is_set(const struct neo_field_info *field, const void *message)
{
    const uint8_t *slot = proto_slot(field, message);

    if (proto_has_presence(field))
        return proto_has(field, message);
    if (field->flags & NEO_FIELD_REPEATED)
        return proto_array(field, message).len > 0;
    if (field->kind == NEO_KIND_STRING || field->kind == NEO_KIND_BYTES) {
        struct neo_bytes text;

        memcpy(&text, slot, sizeof(text));
        return text.len > 0;
    }
    return !is_zero(slot, wire_kinds[field->kind].size);
}

void proto_clear(const struct neo_field_info *field, void *message)
{
    size_t size = field->flags & NEO_FIELD_REPEATED ? sizeof(struct wire_array)
                                                    : wire_kinds[field->kind].size;

    memset((uint8_t *)message + field->offset, 0, size);
}

void proto_mark(const struct neo_message_info *info, const struct neo_field_info *field,
                void *message)
{
    if (field->flags & NEO_FIELD_PRESENCE) {
        bool has = true;

        memcpy((uint8_t *)message + field->presence, &has, sizeof(has));
        return;
    }
    if (!(field->flags & NEO_FIELD_ONEOF))
        return;

    int32_t before = case_of(field, message);
    int32_t number = (int32_t)field->number;
    if (before == number)
        return;
    const struct neo_field_info *old = before == 0 ? NULL : proto_field(info, (uint32_t)before);
    if (old != NULL)
        proto_clear(old, message);
    memcpy((uint8_t *)message + field->presence, &number, sizeof(number));
}

/* The capacity that an array of `len` elements certainly has. */
static size_t capacity_of(size_t len)
{
    if (len <= FIRST_CAPACITY)
        return len == 0 ? 0 : FIRST_CAPACITY;
    return (size_t)1 << (64 - __builtin_clzll(len - 1));
}

void *proto_array_extend(struct neo_arena *arena, struct wire_array *array, size_t more,
                         size_t element)
{
    size_t len = array->len + more;

    if (len > capacity_of(array->len)) {
        size_t size;
        if (len > SIZE_MAX / 4 || __builtin_mul_overflow(capacity_of(len), element, &size))
            return NULL;
        uint8_t *at = neo_arena_alloc(arena, size);
        if (at == NULL)
            return NULL;
        if (array->len > 0)
            memcpy(at, array->at, array->len * element);
        array->at = at;
    }
    uint8_t *slot = array->at + array->len * element;
    array->len = len;
    return slot;
}

static bool is_within(const uint8_t *at, const uint8_t *start, const uint8_t *end)
{
    return (uintptr_t)at >= (uintptr_t)start && (uintptr_t)at < (uintptr_t)end;
}

bool proto_unknown_add(struct neo_arena *arena, struct neo_bytes *kept, struct neo_bytes run,
                       const uint8_t *start, const uint8_t *end)
{
    bool is_borrowed = kept->len == 0 || is_within(kept->at, start, end);
    size_t capacity = is_borrowed ? 0 : capacity_of(kept->len);

    if (is_within(run.at, start, end) && is_borrowed &&
        (kept->len == 0 || kept->at + kept->len == run.at)) {
        *kept = (struct neo_bytes){kept->len == 0 ? run.at : kept->at, kept->len + run.len};
        return true;
    }
    struct wire_array array = {NULL, kept->len};
    if (kept->len + run.len > capacity) {
        array.at = neo_arena_alloc(arena, capacity_of(kept->len + run.len));
        if (array.at == NULL)
            return false;
        if (kept->len > 0)
            memcpy(array.at, kept->at, kept->len);
    } else {
        memcpy(&array.at, &kept->at, sizeof(array.at)); /* ours, made above */
    }
    memcpy(array.at + array.len, run.at, run.len);
    *kept = (struct neo_bytes){array.at, array.len + run.len};
    return true;
}

const struct neo_field_info *proto_missing(const struct neo_message_info *info, const void *message)
{
    for (uint32_t i = 0; i < info->n_fields; i++) {
        const struct neo_field_info *field = &info->fields[i];

        if ((field->flags & NEO_FIELD_REQUIRED) && !proto_is_set(field, message))
            return field;
    }
    return NULL;
}

bool proto_enum_has(const struct neo_enum_info *info, int32_t number)
{
    uint32_t low = 0;
    uint32_t high = info == NULL ? 0 : info->n_closed;

    if (info == NULL || info->closed == NULL)
        return true;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (info->closed[middle] == number)
            return true;
        if (info->closed[middle] < number)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}
