/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/proto_wkt.h"

#include "codec/proto_extension.h"

enum { SHAPE_MAX = 6 };

#define PREFIX "google.protobuf."

struct shape_field {
    uint8_t kind;
    uint8_t flags; /* of REPEATED, ONEOF and MAP */
};

struct shape {
    const char *name; /* behind the prefix */
    enum proto_wkt wkt;
    uint32_t n_fields; /* numbered from 1 */
    struct shape_field fields[SHAPE_MAX];
};

/* clang-format off */
static const struct shape shapes[] = {
    {"Any",         WKT_ANY,        2, {{NEO_KIND_STRING, 0}, {NEO_KIND_BYTES, 0}}},
    {"Timestamp",   WKT_TIMESTAMP,  2, {{NEO_KIND_INT64, 0}, {NEO_KIND_INT32, 0}}},
    {"Duration",    WKT_DURATION,   2, {{NEO_KIND_INT64, 0}, {NEO_KIND_INT32, 0}}},
    {"FieldMask",   WKT_FIELD_MASK, 1, {{NEO_KIND_STRING, NEO_FIELD_REPEATED}}},
    {"Struct",      WKT_STRUCT,     1, {{NEO_KIND_MESSAGE, NEO_FIELD_REPEATED | NEO_FIELD_MAP}}},
    {"ListValue",   WKT_LIST,       1, {{NEO_KIND_MESSAGE, NEO_FIELD_REPEATED}}},
    {"Value",       WKT_VALUE,      6, {{NEO_KIND_ENUM, NEO_FIELD_ONEOF},
                                        {NEO_KIND_DOUBLE, NEO_FIELD_ONEOF},
                                        {NEO_KIND_STRING, NEO_FIELD_ONEOF},
                                        {NEO_KIND_BOOL, NEO_FIELD_ONEOF},
                                        {NEO_KIND_MESSAGE, NEO_FIELD_ONEOF},
                                        {NEO_KIND_MESSAGE, NEO_FIELD_ONEOF}}},
    {"DoubleValue", WKT_WRAPPER,    1, {{NEO_KIND_DOUBLE, 0}}},
    {"FloatValue",  WKT_WRAPPER,    1, {{NEO_KIND_FLOAT, 0}}},
    {"Int64Value",  WKT_WRAPPER,    1, {{NEO_KIND_INT64, 0}}},
    {"UInt64Value", WKT_WRAPPER,    1, {{NEO_KIND_UINT64, 0}}},
    {"Int32Value",  WKT_WRAPPER,    1, {{NEO_KIND_INT32, 0}}},
    {"UInt32Value", WKT_WRAPPER,    1, {{NEO_KIND_UINT32, 0}}},
    {"BoolValue",   WKT_WRAPPER,    1, {{NEO_KIND_BOOL, 0}}},
    {"StringValue", WKT_WRAPPER,    1, {{NEO_KIND_STRING, 0}}},
    {"BytesValue",  WKT_WRAPPER,    1, {{NEO_KIND_BYTES, 0}}},
};
/* clang-format on */

static bool has_shape(const struct neo_message_info *info, const struct shape *shape)
{
    const uint8_t compared = NEO_FIELD_REPEATED | NEO_FIELD_ONEOF | NEO_FIELD_MAP;

    if (info->n_fields != shape->n_fields || info->dense != shape->n_fields)
        return false;
    for (uint32_t i = 0; i < shape->n_fields; i++) {
        if (info->fields[i].kind != shape->fields[i].kind ||
            (info->fields[i].flags & compared) != shape->fields[i].flags)
            return false;
    }
    return true;
}

/* The shape of a Struct's entries: any message as value would do, but the key must be a string. */
static bool has_string_keys(const struct neo_message_info *info)
{
    return info->fields[0].message->fields[0].kind == NEO_KIND_STRING;
}

enum proto_wkt proto_wkt_of(const struct neo_message_info *info)
{
    if (strncmp(info->full_name, PREFIX, sizeof(PREFIX) - 1) != 0)
        return WKT_NONE;

    const char *name = info->full_name + sizeof(PREFIX) - 1;
    for (size_t i = 0; i < NEO_COUNT(shapes); i++) {
        if (strcmp(name, shapes[i].name) != 0)
            continue;
        if (!has_shape(info, &shapes[i]) || (shapes[i].wkt == WKT_STRUCT && !has_string_keys(info)))
            return WKT_NONE;
        return shapes[i].wkt;
    }
    return WKT_NONE;
}

bool proto_wkt_is_null(const struct neo_field_info *field)
{
    return field->kind == NEO_KIND_ENUM && field->enumeration != NULL &&
           strcmp(field->enumeration->full_name, PREFIX "NullValue") == 0;
}

/* --- types of an Any -------------------------------------------------------------------------- */

static const struct neo_message_info *find_in(const struct neo_file_info *file,
                                              struct neo_bytes name)
{
    for (size_t i = 0; file->messages != NULL && file->messages[i] != NULL; i++) {
        if (neo_bytes_is(name, file->messages[i]->full_name))
            return file->messages[i];
    }
    return NULL;
}

/* More than 256 files are not looked through. */
static const struct neo_message_info *find_from(const struct neo_file_info *file,
                                                struct neo_bytes name)
{
    const struct neo_file_info *files[PROTO_FILES_MAX];
    size_t n = proto_files(file, files);
    const struct neo_message_info *found = NULL;

    for (size_t i = 0; i < n && found == NULL; i++)
        found = find_in(files[i], name);
    return found;
}

bool proto_wkt_type_name(struct neo_bytes url, struct neo_bytes *ret)
{
    const uint8_t *slash = url.len == 0 ? NULL : memrchr(url.at, '/', url.len);

    if (slash == NULL)
        return false;
    *ret = neo_bytes_from(url, (size_t)(slash - url.at) + 1);
    return true;
}

const struct neo_message_info *proto_wkt_resolve(const struct neo_file_info *file,
                                                 struct neo_bytes url)
{
    struct neo_bytes name;

    return file != NULL && proto_wkt_type_name(url, &name) ? find_from(file, name) : NULL;
}

/* --- paths of a field mask -------------------------------------------------------------------- */

static bool is_lower(uint8_t c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_upper(uint8_t c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_plain(uint8_t c)
{
    return is_lower(c) || (c >= '0' && c <= '9') || c == '.';
}

bool proto_wkt_print_path(struct neo_bytes path, struct neo_buffer *out)
{
    for (size_t i = 0; i < path.len; i++) {
        uint8_t c = path.at[i];

        if (c == '_') {
            if (++i == path.len || !is_lower(path.at[i]))
                return false;
            c = (uint8_t)(path.at[i] - 'a' + 'A');
        } else if (!is_plain(c)) {
            return false;
        }
        (void)neo_buffer_append_byte(out, c);
    }
    return path.len > 0;
}

bool proto_wkt_parse_path(struct neo_bytes text, uint8_t *ret, size_t *ret_len)
{
    size_t len = 0;

    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.at[i];

        if (is_upper(c)) {
            ret[len++] = '_';
            c = (uint8_t)(c - 'A' + 'a');
        } else if (!is_plain(c)) {
            return false;
        }
        ret[len++] = c;
    }
    *ret_len = len;
    return text.len > 0;
}
