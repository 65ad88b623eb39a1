/* SPDX-License-Identifier: Apache-2.0 */
/*
 * grpc.reflection.v1 and v1alpha, from the tables that generated code carries.
 *
 * The two versions are the same messages under two package names, so one handler
 * serves both; the asserts at the end hold it to that. What there is to be asked for is
 * known before the first question: the server's index, made of all its services when it begins to
 * listen and unchanged from then on, which all workers read.
 */
#include "rpc/builtin.h"
#include "rpc/call.h"
#include "rpc/symbols.h"

#include <grpc/reflection/v1/reflection.neo.h>
#include <grpc/reflection/v1alpha/reflection.neo.h>

#include <neo/memory.h>

#include <assert.h>

#define REQUEST(field)  grpc_reflection_v1_ServerReflectionRequest_##field##_FIELD
#define RESPONSE(field) grpc_reflection_v1_ServerReflectionResponse_##field##_FIELD

/* --- the index --------------------------------------------------------------------------- */

enum neo_code builtin_reflection_index(struct neo_server *server, struct neo_error *err)
{
    size_t n = 0;

    if (server->symbols != NULL)
        return NEO_OK;
    list_each (link, &server->services)
        n++;
    NEO_CLEANUP(neo_freep)
    const struct neo_file_info **files = neo_alloc_array(n, sizeof(*files));
    if (files == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for the index of symbols");
    n = 0;
    list_each (link, &server->services)
        files[n++] = neo_owner(link, struct service, link)->info->file;
    return symbols_new(files, n, &server->symbols, err);
}

/* --- answers ----------------------------------------------------------------------------- */

struct answer {
    struct grpc_reflection_v1_ServerReflectionResponse response;
    struct grpc_reflection_v1_FileDescriptorResponse descriptors;
    struct grpc_reflection_v1_ExtensionNumberResponse extensions;
    struct grpc_reflection_v1_ListServiceResponse list;
    struct grpc_reflection_v1_ErrorResponse error;
};

static void answer_error(struct answer *a, enum neo_code code, const char *message)
{
    a->error.error_code = (int32_t)code;
    a->error.error_message = neo_text(message);
    a->response.error_response = &a->error;
    a->response.message_response_case = RESPONSE(error_response);
}

/* What `file` is of is told when there is none. */
static void answer_file(struct answer *a, const struct symbols_file *file, const char *what)
{
    if (file == NULL) {
        answer_error(a, NEO_NOT_FOUND, what);
        return;
    }
    a->descriptors.file_descriptor_proto.at = file->descriptors;
    a->descriptors.file_descriptor_proto.len = file->n_descriptors;
    a->response.file_descriptor_response = &a->descriptors;
    a->response.message_response_case = RESPONSE(file_descriptor_response);
}

static void list_services(struct answer *a, struct neo_server *server, struct neo_arena *arena)
{
    size_t n = 0;

    list_each (link, &server->services)
        n++;
    struct grpc_reflection_v1_ServiceResponse *services =
        neo_arena_calloc(arena, n, sizeof(*services));
    struct grpc_reflection_v1_ServiceResponse **at = neo_arena_calloc(arena, n, sizeof(*at));
    n = 0;
    list_each (link, &server->services) {
        if (services == NULL || at == NULL)
            break;
        services[n].name = neo_text(neo_owner(link, struct service, link)->info->full_name);
        at[n] = &services[n];
        n++;
    }
    a->list.service.at = at;
    a->list.service.len = n;
    a->response.list_services_response = &a->list;
    a->response.message_response_case = RESPONSE(list_services_response);
}

/* Every extension that the files of this server declare, of one of their messages or of another. */
static void answer_extensions(struct answer *a, const struct symbols *symbols,
                              struct neo_bytes type)
{
    struct symbols_numbers numbers = symbols_extensions(symbols, type);

    if (numbers.n == 0 && symbols_file_declaring(symbols, type) == NULL) {
        answer_error(a, NEO_NOT_FOUND, "no such type");
        return;
    }
    a->extensions.base_type_name = type;
    a->extensions.extension_number.at = numbers.at;
    a->extensions.extension_number.len = numbers.n;
    a->response.all_extension_numbers_response = &a->extensions;
    a->response.message_response_case = RESPONSE(all_extension_numbers_response);
}

static void on_request(struct neo_call *call, const void *message, void *state)
{
    const struct grpc_reflection_v1_ServerReflectionRequest *request = message;
    struct grpc_reflection_v1_ServerReflectionRequest original = *request;
    const struct grpc_reflection_v1_ExtensionRequest *extension;
    struct neo_server *server = state;
    const struct symbols *symbols = server->symbols;
    struct answer a = {.response = {.valid_host = request->host, .original_request = &original}};

    switch (request->message_request_case) {
    case REQUEST(file_by_filename):
        answer_file(&a, symbols_file_named(symbols, request->file_by_filename), "no such file");
        break;
    case REQUEST(file_containing_symbol):
        answer_file(&a, symbols_file_declaring(symbols, request->file_containing_symbol),
                    "no such symbol");
        break;
    case REQUEST(file_containing_extension):
        extension = request->file_containing_extension;
        answer_file(&a,
                    symbols_file_extending(symbols, extension->containing_type,
                                           extension->extension_number),
                    "no such extension");
        break;
    case REQUEST(all_extension_numbers_of_type):
        answer_extensions(&a, symbols, request->all_extension_numbers_of_type);
        break;
    case REQUEST(list_services):
        list_services(&a, server, &call->worker->scratch);
        break;
    default:
        answer_error(&a, NEO_INVALID_ARGUMENT, "the request asks for nothing");
        break;
    }
    (void)neo_call_send(call, &a.response);
}

static void on_end(struct neo_call *call, void *state)
{
    static const struct neo_status ok = {.code = NEO_OK};

    (void)state;
    neo_call_finish(call, &ok);
}

static void info(struct neo_call *call, const void *request, void *self)
{
    static const struct neo_stream_events events = {.message = on_request, .half_closed = on_end};

    (void)request;
    neo_call_on_stream(call, &events, self);
}

#define SAME(a, b, member)                                                                         \
    static_assert(offsetof(struct grpc_reflection_v1_##a, member) ==                               \
                          offsetof(struct grpc_reflection_v1alpha_##b, member) &&                  \
                      sizeof(struct grpc_reflection_v1_##a) ==                                     \
                          sizeof(struct grpc_reflection_v1alpha_##b),                              \
                  "v1 and v1alpha have the same shape")
SAME(ServerReflectionRequest, ServerReflectionRequest, message_request_case);
SAME(ServerReflectionRequest, ServerReflectionRequest, list_services);
SAME(ServerReflectionResponse, ServerReflectionResponse, error_response);
SAME(ServerReflectionResponse, ServerReflectionResponse, message_response_case);
SAME(FileDescriptorResponse, FileDescriptorResponse, file_descriptor_proto);
SAME(ExtensionNumberResponse, ExtensionNumberResponse, base_type_name);
SAME(ListServiceResponse, ListServiceResponse, service);
SAME(ErrorResponse, ErrorResponse, error_message);

enum neo_code builtin_reflection_add(struct neo_server *server, struct neo_error *err)
{
    static const struct {
        method_handler_fn *info;
    } handlers = {info};

    NEO_TRY(server_add(server, &grpc_reflection_v1_ServerReflection_info, &handlers, server, true,
                       NULL, err));
    return server_add(server, &grpc_reflection_v1alpha_ServerReflection_info, &handlers, server,
                      true, NULL, err);
}
