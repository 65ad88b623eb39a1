/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON values as protobuf's scalars: numbers may be quoted, enums are names or numbers,
 * bytes are base64 in any of its forms. Everything is copied, so that the text may go.
 */
#include "codec/base64.h"
#include "codec/json_number.h"
#include "codec/proto_json.h"

#include <float.h>
#include <math.h>

/* A number, bare or as a string. */
static bool read_number_text(struct neo_json *r, struct neo_bytes *ret)
{
    return neo_json_peek(r) == NEO_JSON_STRING ? neo_json_string(r, ret) : neo_json_number(r, ret);
}

/* Failures are shown where the value began. */
static bool bad_number(struct neo_json *r, size_t from, struct neo_bytes text,
                       enum json_number result)
{
    r->at = from;
    if (result == JSON_NUMBER_MEMORY)
        return json_exhausted(r, "the memory budget is spent");
    return json_fail(r, "\"%.*s\" %s", NEO_FMT(text), json_number_why(result));
}

/* --- integers --------------------------------------------------------------------------------- */

static enum json_number store_signed(struct neo_bytes text, bool wide, void *slot)
{
    int64_t value;
    enum json_number result = json_number_i64(text, &value);

    if (result != JSON_NUMBER_OK)
        return result;
    if (wide) {
        memcpy(slot, &value, sizeof(value));
        return JSON_NUMBER_OK;
    }
    if (value < INT32_MIN || value > INT32_MAX)
        return JSON_NUMBER_RANGE;
    int32_t narrow = (int32_t)value;
    memcpy(slot, &narrow, sizeof(narrow));
    return JSON_NUMBER_OK;
}

static enum json_number store_unsigned(struct neo_bytes text, bool wide, void *slot)
{
    uint64_t value;
    enum json_number result = json_number_u64(text, &value);

    if (result != JSON_NUMBER_OK)
        return result;
    if (wide) {
        memcpy(slot, &value, sizeof(value));
        return JSON_NUMBER_OK;
    }
    if (value > UINT32_MAX)
        return JSON_NUMBER_RANGE;
    uint32_t narrow = (uint32_t)value;
    memcpy(slot, &narrow, sizeof(narrow));
    return JSON_NUMBER_OK;
}

static enum json_number store_integer(uint8_t kind, struct neo_bytes text, void *slot)
{
    bool wide = wire_kinds[kind].size == 8;

    switch (kind) {
    case NEO_KIND_UINT32:
    case NEO_KIND_FIXED32:
    case NEO_KIND_UINT64:
    case NEO_KIND_FIXED64:
        return store_unsigned(text, wide, slot);
    default:
        return store_signed(text, wide, slot);
    }
}

static bool read_integer(struct neo_json *r, uint8_t kind, void *slot)
{
    size_t from = r->at;
    struct neo_bytes text;

    if (!read_number_text(r, &text))
        return false;
    enum json_number result = store_integer(kind, text, slot);
    return result == JSON_NUMBER_OK || bad_number(r, from, text, result);
}

/* --- floating point --------------------------------------------------------------------------- */

static bool value_of_name(struct neo_bytes text, double *ret)
{
    if (neo_bytes_is(text, "NaN"))
        *ret = NAN;
    else if (neo_bytes_is(text, "Infinity"))
        *ret = INFINITY;
    else if (neo_bytes_is(text, "-Infinity"))
        *ret = -INFINITY;
    else
        return false;
    return true;
}

static bool read_real(struct neo_json *r, bool single, void *slot)
{
    size_t from = r->at;
    bool quoted = neo_json_peek(r) == NEO_JSON_STRING;
    struct neo_bytes text;
    double value;

    if (!read_number_text(r, &text))
        return false;
    if (!quoted || !value_of_name(text, &value)) {
        enum json_number result = json_number_double(text, r->arena, &value);
        if (result == JSON_NUMBER_OK && single && isinf((float)value))
            result = JSON_NUMBER_RANGE;
        if (result != JSON_NUMBER_OK)
            return bad_number(r, from, text, result);
    }
    if (single) {
        float narrow = (float)value;
        memcpy(slot, &narrow, sizeof(narrow));
    } else {
        memcpy(slot, &value, sizeof(value));
    }
    return true;
}

/* --- strings, bytes, enums -------------------------------------------------------------------- */

static bool store_copy(struct neo_json *r, struct neo_bytes text, void *slot)
{
    struct neo_bytes copy = neo_arena_copy(r->arena, text);

    if (neo_arena_failed(r->arena))
        return json_exhausted(r, "the memory budget is spent");
    memcpy(slot, &copy, sizeof(copy));
    return true;
}

static bool read_string(struct neo_json *r, void *slot)
{
    struct neo_bytes text;

    return neo_json_string(r, &text) && store_copy(r, text, slot);
}

static bool read_bytes(struct neo_json *r, void *slot)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer decoded = {0};
    size_t from = r->at;
    struct neo_bytes text;

    if (!neo_json_string(r, &text))
        return false;
    enum neo_code code = base64_decode_loose(text, &decoded, NULL);
    if (code == NEO_OK)
        return store_copy(r, neo_buffer_bytes(&decoded), slot);
    r->at = from;
    return code == NEO_RESOURCE_EXHAUSTED ? json_exhausted(r, "out of memory")
                                          : json_fail(r, "the string is not base64");
}

static const struct neo_enum_value *find_value(const struct neo_enum_info *e, struct neo_bytes name)
{
    for (uint32_t i = 0; e != NULL && i < e->n_values; i++) {
        if (neo_bytes_is(name, e->values[i].name))
            return &e->values[i];
    }
    return NULL;
}

static enum proto_json_read read_enum_number(struct neo_json *r, const struct neo_field_info *field,
                                             unsigned flags, void *slot)
{
    size_t from = r->at;
    int32_t number;

    if (!read_integer(r, NEO_KIND_INT32, &number))
        return PROTO_JSON_FAILED;
    if (!proto_enum_has(field->enumeration, number)) {
        if (flags & NEO_JSON_IGNORE_UNKNOWN)
            return PROTO_JSON_UNKNOWN;
        r->at = from;
        (void)json_fail(r, "%d is not a value of the enum %s, which has no others", number,
                        field->enumeration->full_name);
        return PROTO_JSON_FAILED;
    }
    memcpy(slot, &number, sizeof(number));
    return PROTO_JSON_DONE;
}

static enum proto_json_read read_enum(struct neo_json *r, const struct neo_field_info *field,
                                      unsigned flags, void *slot)
{
    size_t from = r->at;
    struct neo_bytes name;

    if (neo_json_peek(r) == NEO_JSON_NUMBER)
        return read_enum_number(r, field, flags, slot);
    if (neo_json_peek(r) == NEO_JSON_NULL && proto_wkt_is_null(field)) {
        memset(slot, 0, sizeof(int32_t));
        return neo_json_null(r) ? PROTO_JSON_DONE : PROTO_JSON_FAILED;
    }
    if (!neo_json_string(r, &name))
        return PROTO_JSON_FAILED;
    const struct neo_enum_value *value = find_value(field->enumeration, name);
    if (value == NULL && (flags & NEO_JSON_IGNORE_UNKNOWN))
        return PROTO_JSON_UNKNOWN;
    if (value == NULL) {
        r->at = from;
        (void)json_fail(r, "\"%.*s\" is not a value of the enum %s", NEO_FMT(name),
                        field->enumeration == NULL ? "" : field->enumeration->full_name);
        return PROTO_JSON_FAILED;
    }
    memcpy(slot, &value->number, sizeof(value->number));
    return PROTO_JSON_DONE;
}

static bool read_bool(struct neo_json *r, void *slot)
{
    bool value;

    if (!neo_json_bool(r, &value))
        return false;
    memcpy(slot, &value, sizeof(value));
    return true;
}

enum proto_json_read proto_json_scalar(struct neo_json *r, const struct neo_field_info *field,
                                       unsigned flags, void *slot)
{
    bool ok;

    switch (field->kind) {
    case NEO_KIND_ENUM:
        return read_enum(r, field, flags, slot);
    case NEO_KIND_BOOL:
        ok = read_bool(r, slot);
        break;
    case NEO_KIND_STRING:
        ok = read_string(r, slot);
        break;
    case NEO_KIND_BYTES:
        ok = read_bytes(r, slot);
        break;
    case NEO_KIND_DOUBLE:
    case NEO_KIND_FLOAT:
        ok = read_real(r, field->kind == NEO_KIND_FLOAT, slot);
        break;
    default:
        ok = read_integer(r, field->kind, slot);
        break;
    }
    return ok ? PROTO_JSON_DONE : PROTO_JSON_FAILED;
}

bool proto_json_map_key(struct neo_json *r, const struct neo_field_info *key, struct neo_bytes text,
                        void *slot)
{
    if (key->kind == NEO_KIND_STRING)
        return store_copy(r, text, slot);
    if (key->kind == NEO_KIND_BOOL) {
        bool value = neo_bytes_is(text, "true");
        if (!value && !neo_bytes_is(text, "false"))
            return json_fail(r, "the key \"%.*s\" is neither true nor false", NEO_FMT(text));
        memcpy(slot, &value, sizeof(value));
        return true;
    }
    enum json_number result = store_integer(key->kind, text, slot);
    return result == JSON_NUMBER_OK ||
           json_fail(r, "the key \"%.*s\" %s", NEO_FMT(text), json_number_why(result));
}

/* --- messages that are strings ---------------------------------------------------------------- */

static void store_time(const struct neo_message_info *info, void *message, int64_t seconds,
                       int32_t nanos)
{
    uint8_t *at = message;

    memcpy(at + proto_field(info, PROTO_JSON_FIRST)->offset, &seconds, sizeof(seconds));
    memcpy(at + proto_field(info, PROTO_JSON_SECOND)->offset, &nanos, sizeof(nanos));
}

/* What a string of seconds and nanoseconds is read with. */
typedef bool parse_time_fn(struct neo_bytes text, int64_t *ret_seconds, int32_t *ret_nanos);

static bool read_time(struct neo_json *r, const struct neo_message_info *info, void *message,
                      parse_time_fn *parse, const char *expected)
{
    size_t from = r->at;
    struct neo_bytes text;
    int64_t seconds;
    int32_t nanos;

    if (!neo_json_string(r, &text))
        return false;
    if (!parse(text, &seconds, &nanos)) {
        r->at = from;
        return json_fail(r, "\"%.*s\" is not %s", NEO_FMT(text), expected);
    }
    store_time(info, message, seconds, nanos);
    return true;
}

bool proto_json_timestamp(struct neo_json *r, const struct neo_message_info *info, void *message)
{
    return read_time(r, info, message, proto_wkt_parse_timestamp,
                     "a time like 2026-01-31T12:00:00.5Z");
}

bool proto_json_duration(struct neo_json *r, const struct neo_message_info *info, void *message)
{
    return read_time(r, info, message, proto_wkt_parse_duration, "a duration like 1.5s");
}

static bool add_path(struct neo_json *r, struct neo_bytes text, struct wire_array *paths)
{
    uint8_t *at = neo_arena_alloc(r->arena, text.len * 2);
    void *slot = proto_array_extend(r->arena, paths, 1, sizeof(struct neo_bytes));
    struct neo_bytes path = {at, 0};

    if (at == NULL || slot == NULL)
        return json_exhausted(r, "the memory budget is spent");
    if (!proto_wkt_parse_path(text, at, &path.len))
        return json_fail(r, "\"%.*s\" is not a path in lower camel case", NEO_FMT(text));
    memcpy(slot, &path, sizeof(path));
    return true;
}

bool proto_json_field_mask(struct neo_json *r, const struct neo_message_info *info, void *message)
{
    struct wire_array paths = {0};
    struct neo_bytes text;

    if (!neo_json_string(r, &text))
        return false;
    while (text.len > 0) {
        const uint8_t *comma = memchr(text.at, ',', text.len);
        size_t len = comma == NULL ? text.len : (size_t)(comma - text.at);

        if (!add_path(r, neo_bytes(text.at, len), &paths))
            return false;
        if (comma != NULL && len + 1 == text.len)
            return json_fail(r, "a field mask ends with a comma");
        text = neo_bytes_from(text, len + (comma == NULL ? 0 : 1));
    }
    memcpy((uint8_t *)message + proto_field(info, PROTO_JSON_FIRST)->offset, &paths, sizeof(paths));
    return true;
}
