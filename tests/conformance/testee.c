/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo-conformance - what the protobuf conformance runner asks: a length (four bytes,
 * little endian) and a ConformanceRequest on standard input, the same with a
 * ConformanceResponse on standard output, until the input ends.
 *
 * With the path of a FileDescriptorSet as argument, messages go through tables made at
 * run time of it, otherwise through the generated ones.
 */
#include "conformance/conformance.neo.h"
#include "google/protobuf/test_messages_edition2023.neo.h"
#include "google/protobuf/test_messages_proto2.neo.h"
#include "google/protobuf/test_messages_proto2_editions.neo.h"
#include "google/protobuf/test_messages_proto3.neo.h"
#include "google/protobuf/test_messages_proto3_editions.neo.h"

#include <neo/memory.h>

#include <stdio.h>

enum { BUDGET = 512 << 20, REQUEST_MAX = 128 << 20, LENGTH = 4 };

static const struct neo_file_info *const files[] = {
    &google_protobuf_test_messages_proto3_file,
    &google_protobuf_test_messages_proto2_file,
    &google_protobuf_test_messages_proto3_editions_file,
    &google_protobuf_test_messages_proto2_editions_file,
    &google_protobuf_test_messages_edition2023_file,
};

static const struct neo_message_info *find(const struct neo_descriptors *pool,
                                           struct neo_bytes name)
{
    if (pool != NULL)
        return neo_descriptors_message(pool, name);
    for (size_t i = 0; i < NEO_COUNT(files); i++) {
        for (size_t j = 0; files[i]->messages[j] != NULL; j++) {
            if (neo_bytes_is(name, files[i]->messages[j]->full_name))
                return files[i]->messages[j];
        }
    }
    return NULL;
}

/* --- one request ------------------------------------------------------------------------------ */

static void set_text(struct conformance_ConformanceResponse *response, int32_t field,
                     struct neo_bytes text)
{
    response->result_case = field;
    response->parse_error = text;
    response->serialize_error = text;
    response->runtime_error = text;
    response->skipped = text;
    response->json_payload = text;
    response->protobuf_payload = text;
}

static enum neo_code parse(const struct conformance_ConformanceRequest *request,
                           const struct neo_message_info *info, void *message,
                           struct neo_arena *arena, struct neo_error *err)
{
    unsigned flags = request->test_category == conformance_JSON_IGNORE_UNKNOWN_PARSING_TEST
                         ? NEO_JSON_IGNORE_UNKNOWN
                         : 0;

    if (request->payload_case == conformance_ConformanceRequest_json_payload_FIELD)
        return neo_proto_from_json(info, request->json_payload, flags, message, arena, err);
    return neo_proto_decode(info, request->protobuf_payload, message, arena, err);
}

static bool is_skipped(const struct conformance_ConformanceRequest *request)
{
    return (request->payload_case != conformance_ConformanceRequest_json_payload_FIELD &&
            request->payload_case != conformance_ConformanceRequest_protobuf_payload_FIELD) ||
           (request->requested_output_format != conformance_PROTOBUF &&
            request->requested_output_format != conformance_JSON);
}

static void answer(const struct neo_descriptors *pool,
                   const struct conformance_ConformanceRequest *request,
                   struct conformance_ConformanceResponse *response, struct neo_arena *arena,
                   struct neo_buffer *out)
{
    const struct neo_message_info *info = find(pool, request->message_type);
    bool is_json = request->requested_output_format == conformance_JSON;
    struct neo_error err = {0};

    if (neo_bytes_is(request->message_type, "conformance.FailureSet")) {
        response->result_case = conformance_ConformanceResponse_protobuf_payload_FIELD;
        return; /* what the runner asks first: which failures are expected; here its own list has
                   them */
    }
    if (is_skipped(request)) {
        set_text(response, conformance_ConformanceResponse_skipped_FIELD,
                 NEO_LIT("only binary and JSON"));
        return;
    }
    if (info == NULL) {
        set_text(response, conformance_ConformanceResponse_runtime_error_FIELD,
                 NEO_LIT("no such message"));
        return;
    }
    void *message = neo_arena_calloc(arena, 1, info->size);
    if (parse(request, info, message, arena, &err) != NEO_OK) {
        set_text(response, conformance_ConformanceResponse_parse_error_FIELD,
                 neo_arena_copy(arena, neo_text(err.message)));
        return;
    }
    enum neo_code code = is_json ? neo_proto_to_json(info, message, 0, out, &err)
                                 : neo_proto_encode(info, message, out, &err);
    if (code != NEO_OK)
        set_text(response, conformance_ConformanceResponse_serialize_error_FIELD,
                 neo_arena_copy(arena, neo_text(err.message)));
    else
        set_text(response,
                 is_json ? conformance_ConformanceResponse_json_payload_FIELD
                         : conformance_ConformanceResponse_protobuf_payload_FIELD,
                 neo_buffer_bytes(out));
}

/* --- the pipe --------------------------------------------------------------------------------- */

static uint32_t length_of(const uint8_t at[static LENGTH])
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static bool write_answer(struct neo_bytes wire)
{
    const uint8_t length[LENGTH] = {(uint8_t)wire.len, (uint8_t)(wire.len >> 8),
                                    (uint8_t)(wire.len >> 16), (uint8_t)(wire.len >> 24)};

    return fwrite(length, LENGTH, 1, stdout) == 1 &&
           (wire.len == 0 || fwrite(wire.at, wire.len, 1, stdout) == 1) && fflush(stdout) == 0;
}

static bool serve(const struct neo_descriptors *pool, uint32_t len)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer in = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer payload = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer out = {0};
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena;
    struct conformance_ConformanceRequest request;
    struct conformance_ConformanceResponse response = {0};
    struct neo_error err = {0};

    neo_arena_init(&arena, BUDGET);
    if (len > REQUEST_MAX || neo_buffer_reserve(&in, len) == NULL ||
        fread(in.at, 1, len, stdin) != len)
        return false;
    in.len = len;
    if (conformance_ConformanceRequest_decode(neo_buffer_bytes(&in), &request, &arena, &err) !=
        NEO_OK) {
        fprintf(stderr, "neo-conformance: %s\n", err.message);
        return false;
    }
    answer(pool, &request, &response, &arena, &payload);
    if (conformance_ConformanceResponse_encode(&response, &out, &err) != NEO_OK) {
        fprintf(stderr, "neo-conformance: %s\n", err.message);
        return false;
    }
    return write_answer(neo_buffer_bytes(&out));
}

static bool load(const char *path, struct neo_descriptors **ret)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer set = {0};
    struct neo_error err = {0};
    FILE *file = fopen(path, "rb");

    if (file == NULL) {
        fprintf(stderr, "neo-conformance: cannot open %s\n", path);
        return false;
    }
    for (int c = fgetc(file); c != EOF; c = fgetc(file))
        (void)neo_buffer_append_byte(&set, (uint8_t)c);
    (void)fclose(file);
    if (neo_descriptors_from_set(neo_buffer_bytes(&set), ret, &err) == NEO_OK)
        return true;
    fprintf(stderr, "neo-conformance: %s\n", err.message);
    return false;
}

int main(int argc, char **argv)
{
    struct neo_descriptors *pool = NULL;
    uint8_t length[LENGTH];

    if (argc > 1 && !load(argv[1], &pool))
        return 1;
    while (fread(length, LENGTH, 1, stdin) == 1) {
        if (!serve(pool, length_of(length)))
            return 1;
    }
    neo_descriptors_free(pool);
    return 0;
}
