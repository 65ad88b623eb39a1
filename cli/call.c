/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `neo call`: a call from the keyboard. JSON in, JSON out; the method is found by
 * reflection or in a descriptor file; the identity is the operator's or, with --as,
 * any service's that the operator may buy a token for. Or no control plane at all:
 * --target says where, and files say who (docs/STANDALONE.md).
 */
#include "cli/cli.h"

#include "cli/direct.h"
#include "cli/reflect.h"

#include <google/rpc/error_details.neo.h>
#include <google/rpc/status.neo.h>

#include <neo/details.h>
#include <neo/json.h>
#include <neo/memory.h>
#include <neo/store.h>
#include <neo/well_known.h>

#include <stdio.h>
#include <unistd.h>

enum { INPUT_MAX = 8 << 20, PAIRS_MAX = ARG_LIST_MAX, MESSAGES_MAX = 1000 };

struct request {
    const char *service; /* "function-service" */
    const char *method;  /* "package.Service/Method" */
    const char *data;
    const char *as;
    const char *descriptors;
    struct arg_list headers;
    uint32_t timeout_ms;
    bool reveal; /* print TEE_ONLY fields, too */
    struct direct_options direct;
};

static enum neo_code read_fd(int fd, const char *what, struct neo_buffer *out,
                             struct neo_error *err)
{
    for (;;) {
        uint8_t *at = out->len > INPUT_MAX ? NULL : neo_buffer_reserve(out, 65536);
        if (at == NULL)
            return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "%s holds more than 8 MiB", what);
        ssize_t n = read(fd, at, 65536);
        if (n < 0)
            return neo_fail_errno(err, "cannot read %s", what);
        if (n == 0)
            return NEO_OK;
        out->len += (size_t)n;
    }
}

/* -d TEXT, -d @FILE, -d -; nothing: {} */
static enum neo_code read_data(const char *data, struct neo_buffer *out, struct neo_error *err)
{
    if (data == NULL)
        data = "{}";
    if (strcmp(data, "-") == 0)
        return read_fd(STDIN_FILENO, "stdin", out, err);
    if (data[0] == '@')
        return neo_file_read(data + 1, INPUT_MAX, out, err);
    return neo_buffer_append_text(out, data)
               ? NEO_OK
               : neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory");
}

static enum neo_code read_headers(const struct arg_list *list, struct neo_pair *pairs,
                                  struct neo_error *err)
{
    for (size_t i = 0; i < list->n; i++) {
        const char *colon = strchr(list->at[i], ':');
        if (colon == NULL || colon == list->at[i])
            return neo_fail(err, NEO_INVALID_ARGUMENT, "-H '%s': write name: value", list->at[i]);
        pairs[i].key = neo_bytes(list->at[i], (size_t)(colon - list->at[i]));
        colon++;
        while (*colon == ' ')
            colon++;
        pairs[i].value = neo_text(colon);
    }
    return NEO_OK;
}

/* --- the requests ----------------------------------------------------------------------------- */

/* As many as -d holds JSON values, one behind the other. */
struct messages {
    void *at[MESSAGES_MAX];
    size_t n;
};

static bool is_blank(struct neo_bytes text)
{
    for (size_t i = 0; i < text.len; i++)
        if (strchr(" \t\r\n", text.at[i]) == NULL || text.at[i] == '\0')
            return false;
    return true;
}

/* The first value of `*rest`, which it takes away; all of it where that is no JSON. */
static struct neo_bytes first_value(struct neo_bytes *rest, struct neo_arena *arena)
{
    struct neo_json reader;
    struct neo_bytes value;

    neo_json_init(&reader, *rest, "json", arena);
    if (!neo_json_raw(&reader, &value)) {
        value = *rest;
        *rest = neo_bytes_from(*rest, rest->len);
        return value;
    }
    *rest = neo_bytes_from(*rest, (size_t)(value.at + value.len - rest->at));
    return value;
}

static enum neo_code read_messages(const struct neo_method *method, struct neo_bytes json,
                                   struct messages *ret, struct neo_arena *arena,
                                   struct neo_error *err)
{
    size_t most = (method->kind & NEO_CLIENT_STREAM) != 0 ? MESSAGES_MAX : 1;

    ret->n = 0;
    do {
        if (ret->n == most)
            return neo_fail(err, NEO_INVALID_ARGUMENT,
                            most == 1
                                ? "%s takes one request, and -d holds more JSON behind the first"
                                : "%s: -d holds too many requests for one call",
                            method->path);
        struct neo_bytes value = first_value(&json, arena);
        void *message = neo_arena_calloc(arena, 1, method->request->size);
        if (message == NULL)
            return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory");
        NEO_TRY(neo_proto_from_json(method->request, value, 0, message, arena, err));
        ret->at[ret->n++] = message;
    } while (!is_blank(json));
    return NEO_OK;
}

/* --- the answer ------------------------------------------------------------------------------- */

static bool print_message(const struct neo_message_info *info, const void *message, bool reveal)
{
    unsigned flags = NEO_JSON_PRETTY | (reveal ? 0 : NEO_JSON_REDACT);
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer out = {0};
    struct neo_error err;

    if (neo_proto_to_json(info, message, flags, &out, &err) != NEO_OK) {
        (void)fail(&err);
        return false;
    }
    print_json(&out);
    (void)fflush(stdout);
    return true;
}

static void print_detail(const char *name, struct neo_bytes value)
{
    if (value.len > 0)
        (void)fprintf(stderr, "  %-10s %.*s\n", name, NEO_FMT(value));
}

static const struct neo_message_info *const detail_types[] = {
    &google_rpc_BadRequest_info,  &google_rpc_PreconditionFailure_info,
    &google_rpc_Help_info,        &google_rpc_LocalizedMessage_info,
    &google_rpc_RequestInfo_info, &google_rpc_ResourceInfo_info,
    &google_rpc_DebugInfo_info,
};

/* Those of the usual types that have no line of their own. */
static void print_details(const struct neo_status *s)
{
    struct neo_arena arena;
    struct neo_error err;

    neo_arena_init(&arena, 1 << 20);
    for (size_t i = 0; i < NEO_COUNT(detail_types); i++) {
        const struct neo_message_info *info = detail_types[i];
        NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};
        void *message = neo_arena_calloc(&arena, 1, info->size);
        if (message != NULL && neo_status_detail(s, info, &arena, message) &&
            neo_proto_to_json(info, message, NEO_JSON_REDACT, &text, &err) == NEO_OK)
            (void)fprintf(stderr, "  %-10s %s %.*s\n", "detail", info->full_name,
                          NEO_FMT_ALL(neo_buffer_bytes(&text)));
    }
    neo_arena_fini(&arena);
}

static int print_failure(const struct neo_status *s)
{
    if (cli.json) {
        NEO_CLEANUP(neo_buffer_fini) struct neo_buffer out = {0};
        if (neo_status_json(s, true, &out))
            print_json(&out);
        return EXIT_GRPC + (int)s->code;
    }
    (void)fprintf(stderr, "%s: %.*s\n", neo_code_name(s->code), NEO_FMT(s->message));
    print_detail("reason", s->reason);
    print_detail("service", s->service);
    print_detail("permission", s->required_permission);
    print_detail("bucket", s->bucket);
    if (s->retry_after > 0)
        (void)fprintf(stderr, "  %-10s %llu ms\n", "retry in",
                      (unsigned long long)(s->retry_after / NEO_NSEC_PER_MSEC));
    print_details(s);
    print_detail("decision", s->decision_id);
    if (s->decision_id.len > 0)
        (void)fprintf(stderr, "  next       neo why %.*s --audit DIR (the state folder of %.*s)\n",
                      NEO_FMT(s->decision_id), NEO_FMT(s->service));
    else if (neo_bytes_is(s->reason, "NO_ENDPOINT") &&
             !neo_bytes_starts(s->message, NEO_LIT("cannot resolve")))
        (void)fprintf(stderr, "  next       neo registry list\n");
    return EXIT_GRPC + (int)s->code;
}

/* --- the call --------------------------------------------------------------------------------- */

/* First all requests, then the answers: enough for every kind of method from a keyboard. */
static int exchange(struct neo_channel *channel, const struct neo_method *method,
                    const struct neo_call_options *options, const struct messages *messages,
                    bool reveal)
{
    bool client_streams = (method->kind & NEO_CLIENT_STREAM) != 0;
    struct neo_stream *stream;
    struct neo_error err;

    if (neo_channel_stream(channel, method, options, client_streams ? NULL : messages->at[0],
                           &stream, &err) != NEO_OK)
        return fail(&err);
    /* When sending fails, so does reading, and the status says why. */
    bool sends = client_streams;
    for (size_t i = 0; sends && i < messages->n; i++)
        sends = neo_stream_send(stream, messages->at[i]) == NEO_OK;
    if (sends)
        neo_stream_close_send(stream);
    for (bool more = true; more;) {
        struct neo_arena arena;
        neo_arena_init(&arena, 64 << 20);
        void *response = neo_arena_calloc(&arena, 1, method->response->size);
        more = response != NULL && neo_stream_next(stream, response, &arena) &&
               print_message(method->response, response, reveal);
        neo_arena_fini(&arena);
    }
    const struct neo_status *status = neo_stream_status(stream);
    int result = status->code == NEO_OK ? EXIT_OK : print_failure(status);
    neo_stream_free(stream);
    return result;
}

static int call_method(struct neo_channel *channel, const struct request *r,
                       const struct neo_method *method)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer json = {0};
    struct neo_pair pairs[PAIRS_MAX];
    struct neo_call_options options = {
        .timeout = r->timeout_ms * NEO_NSEC_PER_MSEC,
        .metadata = pairs,
        .n_metadata = r->headers.n,
    };
    struct neo_arena arena;
    struct neo_error err;

    neo_arena_init(&arena, 64 << 20);
    struct messages *messages = neo_arena_calloc(&arena, 1, sizeof(*messages));
    enum neo_code code =
        messages == NULL ? neo_fail(&err, NEO_RESOURCE_EXHAUSTED, "out of memory") : NEO_OK;
    if (code == NEO_OK)
        code = read_headers(&r->headers, pairs, &err);
    if (code == NEO_OK)
        code = read_data(r->data, &json, &err);
    if (code == NEO_OK)
        code = read_messages(method, neo_buffer_bytes(&json), messages, &arena, &err);
    int result =
        code == NEO_OK ? exchange(channel, method, &options, messages, r->reveal) : fail(&err);
    neo_arena_fini(&arena);
    return result;
}

static int find_and_call(struct neo_channel *channel, const struct request *r)
{
    const struct neo_method *method;
    struct neo_descriptors *pool;
    struct neo_status status = {0};
    struct neo_arena arena;
    struct neo_error err;

    neo_arena_init(&arena, 1 << 20);
    enum neo_code code = r->descriptors != NULL
                             ? reflect_file(r->descriptors, &pool, &err)
                             : reflect_service(channel, r->method, &pool, &arena, &status, &err);
    int result;
    if (code != NEO_OK) {
        result = status.code != NEO_OK ? print_failure(&status) : fail(&err);
    } else {
        result = reflect_method(pool, r->method, &method, &err) == NEO_OK
                     ? call_method(channel, r, method)
                     : fail(&err);
        neo_descriptors_free(pool);
    }
    neo_arena_fini(&arena);
    return result;
}

/* A service that runs answers without CA and registry, as long as we know where it is. */
static void warn_without_plane(const struct request *r)
{
    int pid;

    if (process_alive("ca", &pid) && process_alive("registry", &pid))
        return;
    (void)fprintf(
        stderr,
        "note: the control plane of '%s' is not up (neo up --detach); %s may be elsewhere "
        "than it was\n",
        cli.dir, r->service);
}

static int call_in_mesh(const struct request *r)
{
    struct neo_channel *channel;
    struct neo_mesh *mesh;
    struct neo_error err;

    warn_without_plane(r);
    if (client_join(r->as, &mesh, &err) != NEO_OK)
        return fail(&err);
    if (client_channel(mesh, r->service, &channel, &err) != NEO_OK) {
        neo_mesh_free(mesh);
        return fail(&err);
    }
    int status = find_and_call(channel, r);
    client_close(mesh, channel);
    return status;
}

static int call_directly(const struct request *r)
{
    struct direct direct = {0};
    struct neo_error err;

    int status = direct_open(r->service, &r->direct, &direct, &err) == NEO_OK
                     ? find_and_call(direct.channel, r)
                     : fail(&err);
    direct_close(&direct);
    return status;
}

/* All that says where and who, or nothing of it: half would be completed from the mesh. */
static int check_ways(const struct request *r)
{
    const struct direct_options *d = &r->direct;
    int given = (d->target != NULL) + (d->ca != NULL) + (d->cert != NULL) + (d->key != NULL);

    if (given != 0 && given != 4)
        return fail_usage("without a control plane give all of --target, --ca, --cert and --key");
    if (given != 0 && r->as != NULL)
        return fail_usage("--as takes an identity of the mesh, --cert one of yours: give one");
    return -1;
}

static int run(int argc, char **argv)
{
    struct request r = {.timeout_ms = 10000};
    const struct arg args[] = {
        {"-d", ARG_TEXT, &r.data, "JSON|@FILE|-",
         "the request [{}]; of a stream of them one behind the other"},
        {"--as", ARG_TEXT, &r.as, "SERVICE", "whose identity [" OPERATOR "]"},
        {"-H", ARG_LIST, &r.headers, "'name: value'", "metadata"},
        {"--timeout-ms", ARG_U32, &r.timeout_ms, "N", "deadline; 0: none [10000]"},
        {"--reveal", ARG_FLAG, &r.reveal, NULL, "print fields of class TEE_ONLY, too"},
        {"--descriptors", ARG_TEXT, &r.descriptors, "FILE", "instead of asking the server"},
        {"--target", ARG_TEXT, &r.direct.target, "TARGET",
         "without a control plane: ipv4:..., dns:///..., unix:..."},
        {"--ca", ARG_TEXT, &r.direct.ca, "FILE", "and the roots to trust, PEM"},
        {"--cert", ARG_TEXT, &r.direct.cert, "FILE", "and who we are, PEM"},
        {"--key", ARG_TEXT, &r.direct.key, "FILE", "and its private key, PEM"},
    };
    const char *rest[2];
    int status;

    int n = args_parse(&command_call, argc, argv, args, NEO_COUNT(args), rest, 2, &status);
    if (n < 0)
        return status;
    if (n != 2 || strchr(rest[1], '/') == NULL)
        return fail_usage(n == 2
                              ? "the method is written package.Service/Method"
                              : "say what: neo call <service> <package.Service/Method> [-d JSON]");
    status = check_ways(&r);
    if (status >= 0)
        return status;
    r.service = rest[0];
    r.method = rest[1][0] == '/' ? rest[1] + 1 : rest[1];
    if (r.direct.target != NULL)
        return call_directly(&r);
    if (r.as == NULL)
        r.as = OPERATOR;
    return call_in_mesh(&r);
}

const struct command command_call = {
    .name = "call",
    .run = run,
    .summary = "call a method: JSON in, JSON out; exits with 64 + the gRPC code",
    .usage = "call <service> <package.Service/Method> [-d JSON] [--as SERVICE]",
    .examples = "  neo call function-service functionservice.FunctionService/GetFunction -d "
                "'{\"id\":\"1\"}'\n"
                "  neo call --as gas-bank-service function-service "
                "functionservice.FunctionService/ExecuteFunction\n"
                "  neo call hello-service hello.Greeter/Greet --target ipv4:127.0.0.1:50051 "
                "--ca ca.pem --cert me.pem --key me.key\n",
};
