/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables of descriptor.proto, as far as neo/descriptor.h goes.
 */
#include <neo/descriptor.h>

#define FIELD(message, member, n, k, f)                                                            \
    {                                                                                              \
        .number = (n), .kind = NEO_KIND_##k, .flags = (f),                                         \
        .offset = offsetof(struct neo_descriptor_##message, member), .name = #member,              \
        .json_name = #member,                                                                      \
    }

#define PRESENT(message, member, n, k)                                                             \
    {                                                                                              \
        .number = (n), .kind = NEO_KIND_##k, .flags = NEO_FIELD_PRESENCE,                          \
        .offset = offsetof(struct neo_descriptor_##message, member),                               \
        .presence = offsetof(struct neo_descriptor_##message, has_##member), .name = #member,      \
        .json_name = #member,                                                                      \
    }

#define MESSAGE(from, member, n, f, to)                                                            \
    {                                                                                              \
        .number = (n), .kind = NEO_KIND_MESSAGE, .flags = (f),                                     \
        .offset = offsetof(struct neo_descriptor_##from, member), .name = #member,                 \
        .json_name = #member, .message = &(to),                                                    \
    }

#define INFO(proto_name, c_name, n_dense)                                                          \
    {                                                                                              \
        .full_name = "google.protobuf." proto_name,                                                \
        .size = sizeof(struct neo_descriptor_##c_name), .n_fields = NEO_COUNT(c_name##_fields),    \
        .fields = c_name##_fields, .dense = (n_dense),                                             \
    }

#define OPTIONS(proto_name, c_name, n_dense)                                                       \
    {                                                                                              \
        .full_name = "google.protobuf." proto_name, .size = sizeof(struct neo_descriptor_options), \
        .n_fields = 1, .fields = c_name##_options_fields, .dense = (n_dense),                      \
    }

#define LIST NEO_FIELD_REPEATED

/* clang-format off */
static const struct neo_field_info features_fields[] = {
    FIELD(features, field_presence, 1, ENUM, 0),
    FIELD(features, enum_type, 2, ENUM, 0),
    FIELD(features, repeated_field_encoding, 3, ENUM, 0),
    FIELD(features, message_encoding, 5, ENUM, 0),
};
static const struct neo_message_info features_info = INFO("FeatureSet", features, 3);

/* The same struct for three kinds of options, which have their features under three numbers. */
static const struct neo_field_info file_options_fields[] = {
    MESSAGE(options, features, 50, 0, features_info),
};
static const struct neo_field_info oneof_options_fields[] = {
    MESSAGE(options, features, 1, 0, features_info),
};
static const struct neo_field_info enum_options_fields[] = {
    MESSAGE(options, features, 7, 0, features_info),
};
static const struct neo_message_info file_options_info = OPTIONS("FileOptions", file, 0);
static const struct neo_message_info oneof_options_info = OPTIONS("OneofOptions", oneof, 1);
static const struct neo_message_info enum_options_info = OPTIONS("EnumOptions", enum, 0);

static const struct neo_field_info field_options_fields[] = {
    PRESENT(field_options, packed, 2, BOOL),
    FIELD(field_options, deprecated, 3, BOOL, 0),
    MESSAGE(field_options, features, 21, 0, features_info),
    FIELD(field_options, sensitivity, 50800, ENUM, 0), /* proto/neo/v1/options.proto */
};
static const struct neo_message_info field_options_info = INFO("FieldOptions", field_options, 0);

static const struct neo_field_info field_fields[] = {
    FIELD(field, name, 1, STRING, 0),
    FIELD(field, extendee, 2, STRING, 0),
    FIELD(field, number, 3, INT32, 0),
    FIELD(field, label, 4, ENUM, 0),
    FIELD(field, type, 5, ENUM, 0),
    FIELD(field, type_name, 6, STRING, 0),
    PRESENT(field, default_value, 7, STRING),
    MESSAGE(field, options, 8, 0, field_options_info),
    PRESENT(field, oneof_index, 9, INT32),
    FIELD(field, json_name, 10, STRING, 0),
    FIELD(field, proto3_optional, 17, BOOL, 0),
};
const struct neo_message_info neo_descriptor_field_info = INFO("FieldDescriptorProto", field, 10);

static const struct neo_field_info oneof_fields[] = {
    FIELD(oneof, name, 1, STRING, 0),
    MESSAGE(oneof, options, 2, 0, oneof_options_info),
};
static const struct neo_message_info oneof_info = INFO("OneofDescriptorProto", oneof, 2);

static const struct neo_field_info enum_value_fields[] = {
    FIELD(enum_value, name, 1, STRING, 0),
    FIELD(enum_value, number, 2, INT32, 0),
};
static const struct neo_message_info enum_value_info =
    INFO("EnumValueDescriptorProto", enum_value, 2);

static const struct neo_field_info enum_fields[] = {
    FIELD(enum, name, 1, STRING, 0),
    MESSAGE(enum, value, 2, LIST, enum_value_info),
    MESSAGE(enum, options, 3, 0, enum_options_info),
};
const struct neo_message_info neo_descriptor_enum_info = INFO("EnumDescriptorProto", enum, 3);

static const struct neo_field_info message_options_fields[] = {
    FIELD(message_options, message_set_wire_format, 1, BOOL, 0),
    FIELD(message_options, deprecated, 3, BOOL, 0),
    FIELD(message_options, map_entry, 7, BOOL, 0),
    MESSAGE(message_options, features, 12, 0, features_info),
};
static const struct neo_message_info message_options_info =
    INFO("MessageOptions", message_options, 1);

static const struct neo_field_info message_fields[] = {
    FIELD(message, name, 1, STRING, 0),
    MESSAGE(message, field, 2, LIST, neo_descriptor_field_info),
    MESSAGE(message, nested_type, 3, LIST, neo_descriptor_message_info),
    MESSAGE(message, enum_type, 4, LIST, neo_descriptor_enum_info),
    MESSAGE(message, extension, 6, LIST, neo_descriptor_field_info),
    MESSAGE(message, options, 7, 0, message_options_info),
    MESSAGE(message, oneof_decl, 8, LIST, oneof_info),
};
const struct neo_message_info neo_descriptor_message_info = INFO("DescriptorProto", message, 4);

static const struct neo_field_info method_options_fields[] = {
    FIELD(method_options, deprecated, 33, BOOL, 0),
    FIELD(method_options, idempotency_level, 34, ENUM, 0),
    FIELD(method_options, fresh_attestation, 50801, BOOL, 0), /* proto/neo/v1/options.proto */
    FIELD(method_options, http, 72295728, BYTES, 0),
};
static const struct neo_message_info method_options_info = INFO("MethodOptions", method_options, 0);

static const struct neo_field_info method_fields[] = {
    FIELD(method, name, 1, STRING, 0),
    FIELD(method, input_type, 2, STRING, 0),
    FIELD(method, output_type, 3, STRING, 0),
    MESSAGE(method, options, 4, 0, method_options_info),
    FIELD(method, client_streaming, 5, BOOL, 0),
    FIELD(method, server_streaming, 6, BOOL, 0),
};
const struct neo_message_info neo_descriptor_method_info = INFO("MethodDescriptorProto", method, 6);

static const struct neo_field_info service_fields[] = {
    FIELD(service, name, 1, STRING, 0),
    MESSAGE(service, method, 2, LIST, neo_descriptor_method_info),
};
const struct neo_message_info neo_descriptor_service_info =
    INFO("ServiceDescriptorProto", service, 2);

static const struct neo_field_info location_fields[] = {
    FIELD(location, path, 1, INT32, LIST | NEO_FIELD_PACKED),
    FIELD(location, span, 2, INT32, LIST | NEO_FIELD_PACKED),
    FIELD(location, leading_comments, 3, STRING, 0),
    FIELD(location, trailing_comments, 4, STRING, 0),
};
static const struct neo_message_info location_info =
    INFO("SourceCodeInfo.Location", location, 4);

static const struct neo_field_info source_fields[] = {
    MESSAGE(source, location, 1, LIST, location_info),
};
static const struct neo_message_info source_info = INFO("SourceCodeInfo", source, 1);

static const struct neo_field_info file_fields[] = {
    FIELD(file, name, 1, STRING, 0),
    FIELD(file, package, 2, STRING, 0),
    FIELD(file, dependency, 3, STRING, LIST),
    MESSAGE(file, message_type, 4, LIST, neo_descriptor_message_info),
    MESSAGE(file, enum_type, 5, LIST, neo_descriptor_enum_info),
    MESSAGE(file, service, 6, LIST, neo_descriptor_service_info),
    MESSAGE(file, extension, 7, LIST, neo_descriptor_field_info),
    MESSAGE(file, options, 8, 0, file_options_info),
    MESSAGE(file, source_code_info, 9, 0, source_info),
    FIELD(file, syntax, 12, STRING, 0),
    FIELD(file, edition, 14, ENUM, 0),
};
const struct neo_message_info neo_descriptor_file_info = INFO("FileDescriptorProto", file, 9);

static const struct neo_field_info set_fields[] = {
    FIELD(set, file, 1, BYTES, LIST),
};
const struct neo_message_info neo_descriptor_set_info = INFO("FileDescriptorSet", set, 1);
/* clang-format on */
