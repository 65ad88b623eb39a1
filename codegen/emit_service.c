/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Services: tables in the source; typed stubs and skeletons, all inline, in the header.
 */
#include "emit.h"

#include "names.h"

struct method {
    const struct neo_descriptor_method *descriptor;
    const char *service; /* symbol: "pkg_Svc" */
    const char *name;    /* of the member of handlers */
    const char *symbol;  /* "pkg_Svc_Method" */
    const char *check;   /* what stands before a stub that a client calls */
    const char *request; /* symbol: "pkg_Req" */
    const char *response;
    struct neo_bytes comment;
};

static const char *symbol_of(const struct emit *e, struct neo_bytes type_name)
{
    const struct model_type *type = model_type(e->model, type_name);

    if (type == NULL) {
        e->out->failed = true;
        return "";
    }
    return type->symbol;
}

static struct method method_of(const struct emit *e, size_t service, size_t index)
{
    const struct neo_descriptor_method *d =
        e->file->descriptor->service.at[service]->method.at[index];
    struct neo_arena *arena = e->model->arena;
    struct model_path path = model_path(arena, (struct model_path){0}, MODEL_FILE_SERVICE, service);
    const char *symbol = model_service(e->model, e->file, service);

    return (struct method){
        .descriptor = d,
        .service = symbol,
        .name = names_member(arena, d->name),
        .symbol = model_method(e->model, e->file, service, index),
        .check = d->options != NULL && d->options->deprecated ? "NEO_DEPRECATED NEO_MUST_CHECK"
                                                              : "NEO_MUST_CHECK",
        .request = symbol_of(e, d->input_type),
        .response = symbol_of(e, d->output_type),
        .comment =
            model_comment(e->file, model_path(arena, path, MODEL_SERVICE_METHOD, index)).leading,
    };
}

/* --- skeletons -------------------------------------------------------------------------------- */

static void put_handlers(const struct emit *e, size_t service, size_t n_methods)
{
    const char *symbol = model_service(e->model, e->file, service);

    emit(e,
         "/* What a server of %.*s does; a NULL handler answers UNIMPLEMENTED. */\n"
         "struct %s_handlers {\n",
         NEO_FMT_ALL(e->file->descriptor->service.at[service]->name), symbol);
    for (size_t i = 0; i < n_methods; i++) {
        struct method m = method_of(e, service, i);

        emit_comment(e, "    ", m.comment);
        if (m.descriptor->client_streaming)
            emit(e, "    /* `request` is NULL: messages come to neo_call_on_stream(). */\n");
        emit(e, "    void (*%s)(struct neo_call *call, const struct %s *request, void *self);\n",
             m.name, m.request);
    }
    if (n_methods == 0)
        emit(e, "    char neo_no_methods;\n");
    emit(e, "};\n\n");
    emit(e,
         "NEO_MUST_CHECK static inline enum neo_code\n"
         "%s_add(struct neo_server *server, const struct %s_handlers *handlers, void *self,\n"
         "    struct neo_error *err)\n"
         "{\n    return neo_server_add(server, &%s_info, handlers, self, err);\n}\n\n",
         symbol, symbol, symbol);
}

static void put_answer(const struct emit *e, const struct method *m)
{
    if (m->descriptor->server_streaming)
        emit(e,
             "static inline enum neo_flow\n"
             "%s_send(struct neo_call *call, const struct %s *response)\n"
             "{\n    return neo_call_send(call, response);\n}\n\n",
             m->symbol, m->response);
    else
        emit(e,
             "static inline void\n"
             "%s_reply(struct neo_call *call, const struct %s *response)\n"
             "{\n    neo_call_reply(call, response);\n}\n\n",
             m->symbol, m->response);
}

/* --- stubs ------------------------------------------------------------------------------------ */

static void put_blocking_unary(const struct emit *e, const struct method *m)
{
    emit_comment(e, "", m->comment);
    emit(e,
         "%s static inline enum neo_code\n"
         "%s(struct neo_channel *channel, const struct neo_call_options *options,\n"
         "    const struct %s *request, struct %s *response, struct neo_arena *arena,\n"
         "    struct neo_status *ret_status)\n"
         "{\n"
         "    (void)memset(response, 0, sizeof(*response));\n",
         m->check, m->symbol, m->request, m->response);
    emit(e,
         "    return neo_channel_call(channel, &%s_methods[%s_INDEX], options, request,\n"
         "        response, arena, ret_status);\n}\n\n",
         m->service, m->symbol);
}

static void put_start(const struct emit *e, const struct method *m)
{
    bool has_request = !m->descriptor->client_streaming;

    emit(e,
         "/* events->message is given a struct %s. */\n"
         "%s static inline enum neo_code\n"
         "%s_start(struct neo_channel *channel, const struct neo_call_options *options,\n    ",
         m->response, m->check, m->symbol);
    if (has_request)
        emit(e, "const struct %s *request, ", m->request);
    emit(e,
         "const struct neo_client_events *events, void *self,\n"
         "    struct neo_client_call **ret, struct neo_error *err)\n"
         "{\n"
         "    return neo_channel_start(channel, &%s_methods[%s_INDEX], options, %s,\n"
         "        events, self, ret, err);\n}\n\n",
         m->service, m->symbol, has_request ? "request" : "NULL");
    if (!has_request)
        emit(e,
             "static inline enum neo_flow\n"
             "%s_client_send(struct neo_client_call *call, const struct %s *request)\n"
             "{\n    return neo_client_call_send(call, request);\n}\n\n",
             m->symbol, m->request);
}

static void put_blocking_stream(const struct emit *e, const struct method *m)
{
    bool has_request = !m->descriptor->client_streaming;

    emit_comment(e, "", m->comment);
    emit(e,
         "%s static inline enum neo_code\n"
         "%s_stream(struct neo_channel *channel, const struct neo_call_options *options,\n    ",
         m->check, m->symbol);
    if (has_request)
        emit(e, "const struct %s *request, ", m->request);
    emit(e,
         "struct neo_stream **ret, struct neo_error *err)\n"
         "{\n"
         "    return neo_channel_stream(channel, &%s_methods[%s_INDEX], options, %s,\n"
         "        ret, err);\n}\n\n",
         m->service, m->symbol, has_request ? "request" : "NULL");
    if (!has_request)
        emit(e,
             "NEO_MUST_CHECK static inline enum neo_code\n"
             "%s_stream_send(struct neo_stream *stream, const struct %s *request)\n"
             "{\n    return neo_stream_send(stream, request);\n}\n\n",
             m->symbol, m->request);
    emit(e,
         "/* Clears *response first. */\n"
         "static inline bool\n"
         "%s_stream_next(struct neo_stream *stream, struct %s *response,\n"
         "    struct neo_arena *arena)\n"
         "{\n    (void)memset(response, 0, sizeof(*response));\n"
         "    return neo_stream_next(stream, response, arena);\n}\n\n",
         m->symbol, m->response);
}

void emit_service_header(const struct emit *e, size_t index)
{
    const struct neo_descriptor_service *d = e->file->descriptor->service.at[index];
    const char *symbol = model_service(e->model, e->file, index);
    struct model_path path =
        model_path(e->model->arena, (struct model_path){0}, MODEL_FILE_SERVICE, index);

    emit_comment(e, "", model_comment(e->file, path).leading);
    emit(e, "extern const struct neo_service_info %s_info;\n", symbol);
    if (d->method.len > 0)
        emit(e, "extern const struct neo_method %s_methods[];\nenum {\n", symbol);
    for (size_t i = 0; i < d->method.len; i++)
        emit(e, "    %s_INDEX = %zu,\n", method_of(e, index, i).symbol, i);
    emit(e, "%s\n", d->method.len > 0 ? "};\n" : "");
    put_handlers(e, index, d->method.len);
    for (size_t i = 0; i < d->method.len; i++) {
        struct method m = method_of(e, index, i);

        put_answer(e, &m);
        if (m.descriptor->client_streaming || m.descriptor->server_streaming)
            put_blocking_stream(e, &m);
        else
            put_blocking_unary(e, &m);
        put_start(e, &m);
    }
}

/* --- tables ----------------------------------------------------------------------------------- */

static void put_method(const struct emit *e, const struct method *m, const char *service)
{
    static const char *const kinds[] = {"NEO_UNARY", "NEO_CLIENT_STREAM", "NEO_SERVER_STREAM",
                                        "NEO_BIDI_STREAM"};
    const struct neo_descriptor_method *d = m->descriptor;
    int kind = (d->client_streaming ? 1 : 0) | (d->server_streaming ? 2 : 0);
    int32_t level = d->options == NULL ? 0 : d->options->idempotency_level;

    emit(e,
         "    {\n"
         "        .path = \"/%s/%.*s\",\n"
         "        .service = \"%s\",\n"
         "        .name = \"%.*s\",\n",
         service, NEO_FMT_ALL(d->name), service, NEO_FMT_ALL(d->name));
    emit(e,
         "        .kind = %s,\n"
         "        .request = &%s_info,\n"
         "        .response = &%s_info,\n",
         kinds[kind], m->request, m->response);
    if (level == NEO_IDEMPOTENT || level == NEO_NO_SIDE_EFFECTS)
        emit(e, "        .idempotent = true,\n");
    if (d->options != NULL && d->options->fresh_attestation)
        emit(e, "        .fresh_attestation = true,\n");
    emit(e, "    },\n");
}

void emit_service_source(const struct emit *e, size_t index)
{
    const struct neo_descriptor_service *d = e->file->descriptor->service.at[index];
    const char *symbol = model_service(e->model, e->file, index);
    struct neo_bytes package = e->file->descriptor->package;
    const char *full_name = neo_arena_printf(e->model->arena, "%.*s%s%.*s", NEO_FMT_ALL(package),
                                             package.len > 0 ? "." : "", NEO_FMT_ALL(d->name));

    if (full_name == NULL)
        return;
    if (d->method.len > 0) {
        emit(e, "const struct neo_method %s_methods[] = {\n", symbol);
        for (size_t i = 0; i < d->method.len; i++) {
            struct method m = method_of(e, index, i);
            put_method(e, &m, full_name);
        }
        emit(e, "};\n\n");
    }
    emit(e, "const struct neo_service_info %s_info = {\n    .full_name = \"%s\",\n", symbol,
         full_name);
    if (d->method.len > 0)
        emit(e, "    .n_methods = %zu,\n    .methods = %s_methods,\n", d->method.len, symbol);
    emit(e, "    .file = &%s_file,\n};\n\n", e->file->symbol);
}
