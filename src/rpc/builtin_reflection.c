/* SPDX-License-Identifier: Apache-2.0 */
/*
 * grpc.reflection.v1 and v1alpha, from the tables that generated code carries.
 *
 * The two versions are the same messages under two package names, so one handler
 * serves both; the asserts at the end hold it to that. A response lives in the
 * worker's scratch arena beside the request, and both are gone when it was sent.
 */
#include "rpc/builtin.h"
#include "rpc/call.h"
#include "rpc/symbols.h"

#include <grpc/reflection/v1/reflection.neo.h>
#include <grpc/reflection/v1alpha/reflection.neo.h>

#include <assert.h>

enum { FILES_MAX = 512, EXTENSIONS_MAX = 4096 };

#define REQUEST(field)  grpc_reflection_v1_ServerReflectionRequest_##field##_FIELD
#define RESPONSE(field) grpc_reflection_v1_ServerReflectionResponse_##field##_FIELD

/* Files, each once, in the order they were found. */
struct files {
    const struct neo_file_info *at[FILES_MAX];
    size_t n;
};

static void add_file(struct files *files, const struct neo_file_info *file)
{
    for (size_t i = 0; i < files->n; i++)
        if (files->at[i] == file)
            return;
    if (file != NULL && files->n < FILES_MAX)
        files->at[files->n++] = file;
}

/* What the files import, and what that imports: the list grows while it is walked. */
static void add_imports(struct files *files)
{
    for (size_t i = 0; i < files->n; i++)
        for (const struct neo_file_info *const *import = files->at[i]->imports; *import != NULL;
             import++)
            add_file(files, *import);
}

static void collect(struct neo_server *server, struct files *files)
{
    list_each (link, &server->services)
        add_file(files, neo_owner(link, struct service, link)->info->file);
    add_imports(files);
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

static void answer_file(struct answer *a, const struct neo_file_info *file, struct neo_arena *arena)
{
    struct files files = {.n = 0};

    add_file(&files, file);
    add_imports(&files);
    struct neo_bytes *at = neo_arena_calloc(arena, files.n, sizeof(*at));
    for (size_t i = 0; i < files.n && at != NULL; i++)
        at[i] = files.at[i]->descriptor;
    a->descriptors.file_descriptor_proto.at = at;
    a->descriptors.file_descriptor_proto.len = at == NULL ? 0 : files.n;
    a->response.file_descriptor_response = &a->descriptors;
    a->response.message_response_case = RESPONSE(file_descriptor_response);
}

static void find_file(struct answer *a, struct neo_server *server, struct neo_bytes name,
                      bool by_symbol, struct neo_arena *arena)
{
    struct files files = {.n = 0};

    collect(server, &files);
    for (size_t i = 0; i < files.n; i++)
        if (by_symbol ? symbols_declares(files.at[i], name)
                      : neo_bytes_is(name, files.at[i]->name)) {
            answer_file(a, files.at[i], arena);
            return;
        }
    answer_error(a, NEO_NOT_FOUND, by_symbol ? "no such symbol" : "no such file");
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
static void find_extensions(struct answer *a, struct neo_server *server, struct neo_bytes type,
                            struct neo_arena *arena)
{
    int32_t *numbers = neo_arena_calloc(arena, EXTENSIONS_MAX, sizeof(*numbers));
    struct files files = {.n = 0};
    bool known = false;
    size_t n = 0;

    collect(server, &files);
    for (size_t i = 0; i < files.n && numbers != NULL; i++) {
        known = known || symbols_declares(files.at[i], type);
        n = symbols_extensions(files.at[i], type, numbers, n, EXTENSIONS_MAX);
    }
    if (!known && n == 0) {
        answer_error(a, NEO_NOT_FOUND, "no such type");
        return;
    }
    a->extensions.base_type_name = type;
    a->extensions.extension_number.at = numbers;
    a->extensions.extension_number.len = n;
    a->response.all_extension_numbers_response = &a->extensions;
    a->response.message_response_case = RESPONSE(all_extension_numbers_response);
}

static void find_extension(struct answer *a, struct neo_server *server,
                           const struct grpc_reflection_v1_ExtensionRequest *wanted,
                           struct neo_arena *arena)
{
    struct files files = {.n = 0};

    collect(server, &files);
    for (size_t i = 0; i < files.n; i++)
        if (symbols_extends(files.at[i], wanted->containing_type, wanted->extension_number)) {
            answer_file(a, files.at[i], arena);
            return;
        }
    answer_error(a, NEO_NOT_FOUND, "no such extension");
}

static void on_request(struct neo_call *call, const void *message, void *state)
{
    const struct grpc_reflection_v1_ServerReflectionRequest *request = message;
    struct grpc_reflection_v1_ServerReflectionRequest original = *request;
    struct neo_arena *arena = &call->worker->scratch;
    struct neo_server *server = state;
    struct answer a = {.response = {.valid_host = request->host, .original_request = &original}};

    switch (request->message_request_case) {
    case REQUEST(file_by_filename):
        find_file(&a, server, request->file_by_filename, false, arena);
        break;
    case REQUEST(file_containing_symbol):
        find_file(&a, server, request->file_containing_symbol, true, arena);
        break;
    case REQUEST(file_containing_extension):
        find_extension(&a, server, request->file_containing_extension, arena);
        break;
    case REQUEST(all_extension_numbers_of_type):
        find_extensions(&a, server, request->all_extension_numbers_of_type, arena);
        break;
    case REQUEST(list_services):
        list_services(&a, server, arena);
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
