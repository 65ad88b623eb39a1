/* SPDX-License-Identifier: Apache-2.0 */
/*
 * codec/proto.h - what the halves of the protobuf codec share.
 */
#ifndef NEO_CODEC_PROTO_H
#define NEO_CODEC_PROTO_H

#include "codec/wire.h"

const struct neo_field_info *proto_field_search(const struct neo_message_info *info,
                                                uint32_t number);

/* NULL when the message has no such field. */
static inline const struct neo_field_info *proto_field(const struct neo_message_info *info,
                                                       uint32_t number)
{
    if (number - 1 < info->dense)
        return &info->fields[number - 1];
    return proto_field_search(info, number);
}

/* The struct's bytes of a field. */
static inline const uint8_t *proto_slot(const struct neo_field_info *field, const void *message)
{
    return (const uint8_t *)message + field->offset;
}

static inline struct wire_array proto_array(const struct neo_field_info *field, const void *message)
{
    struct wire_array array;

    memcpy(&array, proto_slot(field, message), sizeof(array));
    return array;
}

/* The submessage a pointer field holds; NULL when absent. */
static inline const void *proto_pointer(const uint8_t *slot)
{
    const void *at;

    memcpy(&at, slot, sizeof(at));
    return at;
}

/* Bytes of one element of a repeated field: map entries lie in the array, messages beside it. */
static inline size_t proto_element_size(const struct neo_field_info *field)
{
    return field->flags & NEO_FIELD_MAP ? field->message->size : wire_kinds[field->kind].size;
}

static inline const void *proto_element(const struct neo_field_info *field, struct wire_array array,
                                        size_t i)
{
    const uint8_t *slot = array.at + i * proto_element_size(field);

    return field->flags & NEO_FIELD_MAP ? slot : proto_pointer(slot);
}

static inline bool proto_has_presence(const struct neo_field_info *field)
{
    return (field->flags & (NEO_FIELD_PRESENCE | NEO_FIELD_ONEOF)) != 0;
}

/* Whether a field with presence is set. */
static inline bool proto_has(const struct neo_field_info *field, const void *message)
{
    const uint8_t *at = (const uint8_t *)message + field->presence;
    int32_t number;

    if (field->flags & NEO_FIELD_PRESENCE)
        return *at != 0;
    memcpy(&number, at, sizeof(number));
    return number == (int32_t)field->number;
}

/* Whether a field, of any sort, is there to be written. */
bool proto_is_set(const struct neo_field_info *field, const void *message);

/*
 * Room, not cleared, for `more` elements behind those in the array; `len` is counted up. NULL when
 * the arena is spent. Only for arrays that this function made.
 */
void *proto_array_extend(struct neo_arena *arena, struct wire_array *array, size_t more,
                         size_t element);

/*
 * One more element, as above, and the same taken back. What an array has room for is told by its
 * length, and one that is taken back may make it look full: *shrunk remembers that it is not.
 */
static inline void *proto_array_push(struct neo_arena *arena, struct wire_array *array,
                                     size_t element, const uint8_t **shrunk)
{
    if (array->at == NULL || array->at != *shrunk)
        return proto_array_extend(arena, array, 1, element);
    *shrunk = NULL;
    return array->at + array->len++ * element;
}

static inline void proto_array_pop(struct wire_array *array, const uint8_t **shrunk)
{
    array->len--;
    *shrunk = array->at;
}

/*
 * Makes a map of an array of entries: of equal keys the last stays, and a value that is a message
 * is never NULL. False when the arena is spent.
 */
bool proto_map_finish(struct neo_arena *arena, const struct neo_field_info *field, void *message);

/* Before that: a value that did not come is an empty message, and so one without what is required.
 */
bool proto_map_lacks_required(const struct neo_field_info *field, const void *message);

/* Maps of more entries than this are looked into through an index. */
enum { PROTO_MAP_FEW = 16 };

/* The key of a map's entry, as bytes that equal keys have in common. */
static inline struct neo_bytes proto_map_key(const struct neo_field_info *key, const uint8_t *entry)
{
    const uint8_t *slot = proto_slot(key, entry);
    struct neo_bytes run = {slot, wire_kinds[key->kind].size};

    if (key->kind == NEO_KIND_STRING || key->kind == NEO_KIND_BYTES)
        memcpy(&run, slot, sizeof(run));
    return run;
}

/*
 * Appends a run to a message's unknown fields: borrowed from the input [start, end) while all of
 * them are one run of it, else copied. False when the arena is spent. Only for what this function
 * made.
 */
bool proto_unknown_add(struct neo_arena *arena, struct neo_bytes *kept, struct neo_bytes run,
                       const uint8_t *start, const uint8_t *end);

/*
 * As neo_proto_encode(), but the message stays where it was written, at the end of the room of
 * `out`, whose length does not change: for whoever copies it onwards at once.
 */
NEO_MUST_CHECK enum neo_code proto_encode_at_end(const struct neo_message_info *info,
                                                 const void *message, struct neo_buffer *out,
                                                 struct neo_bytes *ret, struct neo_error *err);

/* The first required field that is not there; NULL: none is missing. */
const struct neo_field_info *proto_missing(const struct neo_message_info *info,
                                           const void *message);

/* Whether a number is a value of the enum, for which an open one takes any. */
bool proto_enum_has(const struct neo_enum_info *info, int32_t number);

/* Clears a field's own bytes, not its presence. */
void proto_clear(const struct neo_field_info *field, void *message);

/* Sets presence: has_<name>, or the oneof's case after clearing the member that was set before. */
void proto_mark(const struct neo_message_info *info, const struct neo_field_info *field,
                void *message);

/* Most strings are ASCII, and that is seen eight bytes at a time. */
static inline bool proto_is_ascii(const uint8_t *at, size_t len)
{
    uint64_t all = 0;
    uint64_t word;

    if (len < 8) {
        for (size_t i = 0; i < len; i++)
            all |= at[i];
        return all < 0x80;
    }
    for (size_t i = 0; i < len - 8; i += 8) {
        memcpy(&word, at + i, 8);
        all |= word;
    }
    memcpy(&word, at + len - 8, 8); /* the last eight, some of them again */
    return ((all | word) & UINT64_C(0x8080808080808080)) == 0;
}

#endif
