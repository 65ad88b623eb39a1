/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin.h"

static const struct neo_field_info request_fields[] = {
    {
        .number = 1,
        .kind = NEO_KIND_STRING,
        .flags = NEO_FIELD_REPEATED,
        .offset = offsetof(struct plugin_request, file_to_generate),
        .name = "file_to_generate",
    },
    {
        .number = 2,
        .kind = NEO_KIND_STRING,
        .offset = offsetof(struct plugin_request, parameter),
        .name = "parameter",
    },
    {
        .number = 15,
        .kind = NEO_KIND_BYTES,
        .flags = NEO_FIELD_REPEATED,
        .offset = offsetof(struct plugin_request, proto_file),
        .name = "proto_file",
    },
};

const struct neo_message_info plugin_request_info = {
    .full_name = "google.protobuf.compiler.CodeGeneratorRequest",
    .size = sizeof(struct plugin_request),
    .n_fields = NEO_COUNT(request_fields),
    .fields = request_fields,
    .dense = 2,
};

static const struct neo_field_info output_fields[] = {
    {
        .number = 1,
        .kind = NEO_KIND_STRING,
        .offset = offsetof(struct plugin_output, name),
        .name = "name",
    },
    {
        .number = 15,
        .kind = NEO_KIND_STRING,
        .offset = offsetof(struct plugin_output, content),
        .name = "content",
    },
};

static const struct neo_message_info output_info = {
    .full_name = "google.protobuf.compiler.CodeGeneratorResponse.File",
    .size = sizeof(struct plugin_output),
    .n_fields = NEO_COUNT(output_fields),
    .fields = output_fields,
    .dense = 1,
};

static const struct neo_field_info response_fields[] = {
    {
        .number = 1,
        .kind = NEO_KIND_STRING,
        .flags = NEO_FIELD_PRESENCE,
        .offset = offsetof(struct plugin_response, error),
        .presence = offsetof(struct plugin_response, has_error),
        .name = "error",
    },
    {
        .number = 2,
        .kind = NEO_KIND_UINT64,
        .offset = offsetof(struct plugin_response, supported_features),
        .name = "supported_features",
    },
    {
        .number = 3,
        .kind = NEO_KIND_INT32,
        .offset = offsetof(struct plugin_response, minimum_edition),
        .name = "minimum_edition",
    },
    {
        .number = 4,
        .kind = NEO_KIND_INT32,
        .offset = offsetof(struct plugin_response, maximum_edition),
        .name = "maximum_edition",
    },
    {
        .number = 15,
        .kind = NEO_KIND_MESSAGE,
        .flags = NEO_FIELD_REPEATED,
        .offset = offsetof(struct plugin_response, file),
        .name = "file",
        .message = &output_info,
    },
};

const struct neo_message_info plugin_response_info = {
    .full_name = "google.protobuf.compiler.CodeGeneratorResponse",
    .size = sizeof(struct plugin_response),
    .n_fields = NEO_COUNT(response_fields),
    .fields = response_fields,
    .dense = 4,
};
