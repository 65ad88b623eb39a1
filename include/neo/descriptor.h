/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo/descriptor.h - what a .proto file says, as structs.
 *
 * The part of google/protobuf/descriptor.proto that a reader of descriptors needs:
 * tables made at run time, protoc-gen-neo, reflection clients, the gateway. Written
 * by hand, because everything generated is generated from these. Made for reading:
 * to pass descriptors on, pass on their bytes (neo_file_info.descriptor).
 *
 * Three options are read that are extensions there: neo.v1.sensitivity of a field,
 * neo.v1.fresh_attestation and google.api.http of a method.
 */
#ifndef NEO_DESCRIPTOR_H
#define NEO_DESCRIPTOR_H

#include <neo/proto.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    NEO_LABEL_OPTIONAL = 1,
    NEO_LABEL_REQUIRED = 2,
    NEO_LABEL_REPEATED = 3,
};

/* FieldDescriptorProto.Type 10; in tables a NEO_KIND_MESSAGE with NEO_FIELD_GROUP. */
enum { NEO_KIND_GROUP = 10 };

/* google.protobuf.FeatureSet; 0: not said here, so what is around it counts. */
enum {
    NEO_PRESENCE_EXPLICIT = 1,
    NEO_PRESENCE_IMPLICIT = 2,
    NEO_PRESENCE_LEGACY_REQUIRED = 3,
    NEO_ENUM_OPEN = 1,
    NEO_ENUM_CLOSED = 2,
    NEO_REPEATED_PACKED = 1,
    NEO_REPEATED_EXPANDED = 2,
    NEO_ENCODING_LENGTH_PREFIXED = 1,
    NEO_ENCODING_DELIMITED = 2,
    NEO_EDITION_2023 = 1000,
    NEO_EDITION_2024 = 1001,
};

struct neo_descriptor_features {
    int32_t field_presence;
    int32_t enum_type;
    int32_t repeated_field_encoding;
    int32_t message_encoding;
};

struct neo_descriptor_options { /* of a file, a oneof or an enum, as far as it goes here */
    struct neo_descriptor_features *features;
};

enum {
    NEO_IDEMPOTENCY_UNKNOWN = 0,
    NEO_NO_SIDE_EFFECTS = 1,
    NEO_IDEMPOTENT = 2,
};

struct neo_descriptor_field_options {
    bool has_packed;
    bool packed;
    bool deprecated;
    struct neo_descriptor_features *features;
    int32_t sensitivity; /* enum neo_sensitivity */
};

struct neo_descriptor_field {
    struct neo_bytes name;
    struct neo_bytes extendee;
    int32_t number;
    int32_t label;
    int32_t type;               /* enum neo_field_kind */
    struct neo_bytes type_name; /* ".package.Type" */
    bool has_default_value;
    struct neo_bytes default_value; /* as text; bytes are escaped as in C */
    struct neo_descriptor_field_options *options;
    bool has_oneof_index;
    int32_t oneof_index;
    struct neo_bytes json_name;
    bool proto3_optional;
};

struct neo_descriptor_oneof {
    struct neo_bytes name;
    struct neo_descriptor_options *options;
};

struct neo_descriptor_enum_value {
    struct neo_bytes name;
    int32_t number;
};

struct neo_descriptor_enum {
    struct neo_bytes name;
    struct {
        struct neo_descriptor_enum_value **at;
        size_t len;
    } value;
    struct neo_descriptor_options *options;
};

struct neo_descriptor_message_options {
    bool message_set_wire_format;
    bool deprecated;
    bool map_entry;
    struct neo_descriptor_features *features;
};

struct neo_descriptor_message {
    struct neo_bytes name;
    struct {
        struct neo_descriptor_field **at;
        size_t len;
    } field;
    struct {
        struct neo_descriptor_message **at;
        size_t len;
    } nested_type;
    struct {
        struct neo_descriptor_enum **at;
        size_t len;
    } enum_type;
    struct {
        struct neo_descriptor_field **at;
        size_t len;
    } extension;
    struct neo_descriptor_message_options *options;
    struct {
        struct neo_descriptor_oneof **at;
        size_t len;
    } oneof_decl;
};

struct neo_descriptor_method_options {
    bool deprecated;
    int32_t idempotency_level;
    struct neo_bytes http;  /* a serialized google.api.HttpRule */
    bool fresh_attestation; /* neo.v1.fresh_attestation */
};

struct neo_descriptor_method {
    struct neo_bytes name;
    struct neo_bytes input_type; /* ".package.Type" */
    struct neo_bytes output_type;
    struct neo_descriptor_method_options *options;
    bool client_streaming;
    bool server_streaming;
};

struct neo_descriptor_service {
    struct neo_bytes name;
    struct {
        struct neo_descriptor_method **at;
        size_t len;
    } method;
};

struct neo_descriptor_location {
    struct {
        int32_t *at;
        size_t len;
    } path; /* field numbers and indexes, from the file down to the element */
    struct {
        int32_t *at;
        size_t len;
    } span; /* line, column, then where it ends; from 0 */
    struct neo_bytes leading_comments;
    struct neo_bytes trailing_comments;
};

struct neo_descriptor_source {
    struct {
        struct neo_descriptor_location **at;
        size_t len;
    } location;
};

struct neo_descriptor_file {
    struct neo_bytes name;
    struct neo_bytes package;
    struct {
        struct neo_bytes *at;
        size_t len;
    } dependency;
    struct {
        struct neo_descriptor_message **at;
        size_t len;
    } message_type;
    struct {
        struct neo_descriptor_enum **at;
        size_t len;
    } enum_type;
    struct {
        struct neo_descriptor_service **at;
        size_t len;
    } service;
    struct {
        struct neo_descriptor_field **at;
        size_t len;
    } extension;
    struct neo_descriptor_options *options;
    struct neo_descriptor_source *source_code_info;
    struct neo_bytes syntax; /* empty: proto2; "editions": see edition */
    int32_t edition;
};

struct neo_descriptor_set {
    struct {
        struct neo_bytes *at; /* each a serialized FileDescriptorProto */
        size_t len;
    } file;
};

extern const struct neo_message_info neo_descriptor_field_info;
extern const struct neo_message_info neo_descriptor_enum_info;
extern const struct neo_message_info neo_descriptor_message_info;
extern const struct neo_message_info neo_descriptor_method_info;
extern const struct neo_message_info neo_descriptor_service_info;
extern const struct neo_message_info neo_descriptor_file_info;
extern const struct neo_message_info neo_descriptor_set_info;

/*
 * What a file's syntax or edition and its options say, all members set. INVALID_ARGUMENT: neither
 * proto2, proto3, edition 2023 nor 2024.
 */
NEO_MUST_CHECK enum neo_code neo_descriptor_features(const struct neo_descriptor_file *file,
                                                     struct neo_descriptor_features *ret,
                                                     struct neo_error *err);
/* The features of something inside `outer` that has options of its own; `own` may be NULL. */
struct neo_descriptor_features neo_descriptor_inherit(struct neo_descriptor_features outer,
                                                      const struct neo_descriptor_features *own);
/*
 * The flags of a field of `message`, whose features are `scope`, of enum neo_field_flag; of a map,
 * which its type tells, NEO_FIELD_MAP is to be added and NEO_FIELD_GROUP to be taken away. A
 * oneof_index beyond the message's oneofs must have been refused before.
 */
unsigned neo_descriptor_flags(const struct neo_descriptor_message *message,
                              struct neo_descriptor_features scope,
                              const struct neo_descriptor_field *field);

#ifdef __cplusplus
}
#endif

#endif
