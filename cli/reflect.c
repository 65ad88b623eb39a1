/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/reflect.h"

#include <neo/store.h>

#include <grpc/reflection/v1/reflection.neo.h>

#include <stdio.h>

enum {
    DESCRIPTORS_MAX = 16 << 20,
    DESCRIPTOR_RESPONSE = 4,
    SERVICES_RESPONSE = 6,
    ERROR_RESPONSE = 7,
    BY_SYMBOL = 4,
    LIST_SERVICES = 7,
};

static struct neo_bytes service_of(const char *method)
{
    return neo_bytes(method, (size_t)(strchr(method, '/') - method));
}

enum neo_code reflect_file(const char *path, struct neo_descriptors **ret, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer set = {0};

    NEO_TRY(neo_file_read(path, DESCRIPTORS_MAX, &set, err));
    return neo_descriptors_from_set(neo_buffer_bytes(&set), ret, err);
}

static bool ask(struct neo_stream *stream,
                const struct grpc_reflection_v1_ServerReflectionRequest *request,
                struct grpc_reflection_v1_ServerReflectionResponse *ret, struct neo_arena *arena)
{
    return grpc_reflection_v1_ServerReflection_ServerReflectionInfo_stream_send(stream, request) ==
               NEO_OK &&
           grpc_reflection_v1_ServerReflection_ServerReflectionInfo_stream_next(stream, ret, arena);
}

/* What it has instead; empty: it does not say. */
static void name_services(struct neo_stream *stream, struct neo_arena *arena, char *ret, size_t max)
{
    const struct grpc_reflection_v1_ServerReflectionRequest request = {
        .message_request_case = LIST_SERVICES, .list_services = NEO_LIT("*")};
    struct grpc_reflection_v1_ServerReflectionResponse r = {0};
    size_t used = 0;

    ret[0] = '\0';
    if (!ask(stream, &request, &r, arena) || r.message_response_case != SERVICES_RESPONSE)
        return;
    for (size_t i = 0; i < r.list_services_response->service.len && used < max; i++)
        used += (size_t)snprintf(ret + used, max - used, "%s%.*s", i == 0 ? "; it has: " : " ",
                                 NEO_FMT(r.list_services_response->service.at[i]->name));
}

/* The server's whole answer: the files it sent make a pool, or its error is ours. */
static enum neo_code read_answer(struct neo_stream *stream, struct neo_bytes service,
                                 const struct grpc_reflection_v1_ServerReflectionResponse *r,
                                 struct neo_arena *arena, struct neo_descriptors **ret,
                                 struct neo_error *err)
{
    char services[160];

    if (r->message_response_case == ERROR_RESPONSE) {
        int32_t said = r->error_response->error_code;
        enum neo_code code =
            said > NEO_OK && said <= NEO_UNAUTHENTICATED ? (enum neo_code)said : NEO_INTERNAL;
        name_services(stream, arena, services, sizeof(services));
        return neo_fail(err, code, "the server does not know '%.*s': %.*s%s", NEO_FMT(service),
                        NEO_FMT(r->error_response->error_message), services);
    }
    if (r->message_response_case != DESCRIPTOR_RESPONSE)
        return neo_fail(err, NEO_INTERNAL, "the server answered another question than was asked");
    return neo_descriptors_new(r->file_descriptor_response->file_descriptor_proto.at,
                               r->file_descriptor_response->file_descriptor_proto.len, ret, err);
}

static struct neo_status copy_status(const struct neo_status *s, struct neo_arena *arena)
{
    struct neo_status copy = *s;

    copy.message = neo_arena_copy(arena, s->message);
    copy.reason = neo_arena_copy(arena, s->reason);
    copy.decision_id = neo_arena_copy(arena, s->decision_id);
    copy.service = neo_arena_copy(arena, s->service);
    copy.required_permission = neo_arena_copy(arena, s->required_permission);
    copy.bucket = neo_arena_copy(arena, s->bucket);
    copy.resource = (struct neo_bytes){0};
    copy.metadata = NULL;
    copy.n_metadata = 0;
    return copy;
}

enum neo_code reflect_service(struct neo_channel *channel, const char *method,
                              struct neo_descriptors **ret, struct neo_arena *arena,
                              struct neo_status *ret_status, struct neo_error *err)
{
    struct grpc_reflection_v1_ServerReflectionRequest request = {
        .message_request_case = BY_SYMBOL,
        .file_containing_symbol = service_of(method),
    };
    struct grpc_reflection_v1_ServerReflectionResponse response = {0};
    struct neo_call_options options = {.timeout = 5 * NEO_NSEC_PER_SEC};
    struct neo_stream *stream;
    struct neo_arena answer;

    NEO_TRY(grpc_reflection_v1_ServerReflection_ServerReflectionInfo_stream(channel, &options,
                                                                            &stream, err));
    neo_arena_init(&answer, 4 * DESCRIPTORS_MAX);
    /* When sending fails, so does reading, and the status says why. */
    enum neo_code code;
    if (ask(stream, &request, &response, &answer)) {
        code = read_answer(stream, service_of(method), &response, &answer, ret, err);
    } else {
        *ret_status = copy_status(neo_stream_status(stream), arena);
        code = neo_fail(err, ret_status->code == NEO_OK ? NEO_INTERNAL : ret_status->code,
                        "cannot ask for the method: %.*s", NEO_FMT(ret_status->message));
    }
    neo_stream_free(stream);
    neo_arena_fini(&answer);
    return code;
}

enum neo_code reflect_method(const struct neo_descriptors *pool, const char *method,
                             const struct neo_method **ret, struct neo_error *err)
{
    struct neo_bytes name = service_of(method);
    const struct neo_service_info *service = neo_descriptors_service(pool, name);
    const char *wanted = strchr(method, '/') + 1;
    char known[160] = "";

    if (service == NULL)
        return neo_fail(err, NEO_NOT_FOUND, "there is no service '%.*s' there", NEO_FMT(name));
    for (uint32_t i = 0; i < service->n_methods; i++) {
        if (strcmp(service->methods[i].name, wanted) == 0) {
            *ret = &service->methods[i];
            return NEO_OK;
        }
        size_t used = strlen(known);
        (void)snprintf(known + used, sizeof(known) - used, " %s", service->methods[i].name);
    }
    return neo_fail(err, NEO_NOT_FOUND, "'%.*s' has no method '%s'; it has:%s", NEO_FMT(name),
                    wanted, known);
}
