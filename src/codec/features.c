/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a field of a .proto is, from its syntax or edition, the features around it, and
 * the older ways to say the same: labels, groups, `packed` and proto3's `optional`.
 */
#include "codec/wire.h"

#include <neo/descriptor.h>

struct neo_descriptor_features neo_descriptor_inherit(struct neo_descriptor_features outer,
                                                      const struct neo_descriptor_features *own)
{
    if (own == NULL)
        return outer;
    if (own->field_presence != 0)
        outer.field_presence = own->field_presence;
    if (own->enum_type != 0)
        outer.enum_type = own->enum_type;
    if (own->repeated_field_encoding != 0)
        outer.repeated_field_encoding = own->repeated_field_encoding;
    if (own->message_encoding != 0)
        outer.message_encoding = own->message_encoding;
    return outer;
}

enum neo_code neo_descriptor_features(const struct neo_descriptor_file *file,
                                      struct neo_descriptor_features *ret, struct neo_error *err)
{
    struct neo_descriptor_features features = {
        .field_presence = NEO_PRESENCE_EXPLICIT,
        .enum_type = NEO_ENUM_OPEN,
        .repeated_field_encoding = NEO_REPEATED_PACKED,
        .message_encoding = NEO_ENCODING_LENGTH_PREFIXED,
    };

    if (file->syntax.len == 0 || neo_bytes_is(file->syntax, "proto2")) {
        features.enum_type = NEO_ENUM_CLOSED;
        features.repeated_field_encoding = NEO_REPEATED_EXPANDED;
    } else if (neo_bytes_is(file->syntax, "proto3")) {
        features.field_presence = NEO_PRESENCE_IMPLICIT;
    } else if (!neo_bytes_is(file->syntax, "editions")) {
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "%.*s: syntax %.*s is not supported; there are proto2, proto3 and editions",
                        NEO_FMT(file->name), NEO_FMT(file->syntax));
    } else if (file->edition < NEO_EDITION_2023 || file->edition > NEO_EDITION_2024) {
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "%.*s: edition number %d is not supported; there are 2023 and 2024",
                        NEO_FMT(file->name), file->edition);
    }
    *ret = neo_descriptor_inherit(features, file->options == NULL ? NULL : file->options->features);
    return NEO_OK;
}

static bool is_in_oneof(const struct neo_descriptor_field *field)
{
    return field->has_oneof_index && !field->proto3_optional;
}

static struct neo_descriptor_features features_of(const struct neo_descriptor_message *message,
                                                  struct neo_descriptor_features scope,
                                                  const struct neo_descriptor_field *field)
{
    if (is_in_oneof(field)) {
        const struct neo_descriptor_oneof *oneof = message->oneof_decl.at[field->oneof_index];
        scope =
            neo_descriptor_inherit(scope, oneof->options == NULL ? NULL : oneof->options->features);
    }
    scope = neo_descriptor_inherit(scope, field->options == NULL ? NULL : field->options->features);
    if (field->options != NULL && field->options->has_packed)
        scope.repeated_field_encoding =
            field->options->packed ? NEO_REPEATED_PACKED : NEO_REPEATED_EXPANDED;
    if (field->proto3_optional)
        scope.field_presence = NEO_PRESENCE_EXPLICIT;
    if (field->label == NEO_LABEL_REQUIRED)
        scope.field_presence = NEO_PRESENCE_LEGACY_REQUIRED;
    return scope;
}

static bool is_packable(int32_t type)
{
    return type > 0 && type <= NEO_KIND_SINT64 && wire_kinds[type].size > 0 &&
           wire_kinds[type].wire != WIRE_LEN;
}

unsigned neo_descriptor_flags(const struct neo_descriptor_message *message,
                              struct neo_descriptor_features scope,
                              const struct neo_descriptor_field *field)
{
    struct neo_descriptor_features features = features_of(message, scope, field);
    bool is_entry = message->options != NULL && message->options->map_entry;
    bool is_message = field->type == NEO_KIND_MESSAGE || field->type == NEO_KIND_GROUP;
    unsigned flags = 0;

    if (field->type == NEO_KIND_GROUP ||
        (is_message && !is_entry && features.message_encoding == NEO_ENCODING_DELIMITED))
        flags |= NEO_FIELD_GROUP;
    if (field->label == NEO_LABEL_REPEATED) {
        bool packed = features.repeated_field_encoding == NEO_REPEATED_PACKED;
        return flags | NEO_FIELD_REPEATED |
               (packed && is_packable(field->type) ? NEO_FIELD_PACKED : 0);
    }
    if (is_in_oneof(field))
        return flags | NEO_FIELD_ONEOF;
    if (is_entry)
        return flags;
    if (features.field_presence == NEO_PRESENCE_LEGACY_REQUIRED)
        flags |= NEO_FIELD_REQUIRED;
    if (!is_message && features.field_presence != NEO_PRESENCE_IMPLICIT)
        flags |= NEO_FIELD_PRESENCE;
    return flags;
}
