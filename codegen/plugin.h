/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plugin.h - what protoc and its plugins say to each other (google/protobuf/compiler/plugin.proto).
 */
#ifndef NEO_CODEGEN_PLUGIN_H
#define NEO_CODEGEN_PLUGIN_H

#include <neo/proto.h>

enum { PLUGIN_FEATURE_PROTO3_OPTIONAL = 1, PLUGIN_FEATURE_EDITIONS = 2 };
enum { PLUGIN_EDITION_PROTO2 = 998 };

struct plugin_request {
    struct {
        struct neo_bytes *at;
        size_t len;
    } file_to_generate;
    struct neo_bytes parameter;
    struct {
        struct neo_bytes *at; /* each a serialized FileDescriptorProto; imports come first */
        size_t len;
    } proto_file;
};

struct plugin_output {
    struct neo_bytes name;
    struct neo_bytes content;
};

struct plugin_response {
    bool has_error; /* what is wrong with the .proto files */
    struct neo_bytes error;
    uint64_t supported_features;
    int32_t minimum_edition;
    int32_t maximum_edition;
    struct {
        struct plugin_output **at;
        size_t len;
    } file;
};

extern const struct neo_message_info plugin_request_info;
extern const struct neo_message_info plugin_response_info;

#endif
