/* SPDX-License-Identifier: Apache-2.0 */
/*
 * protoc-gen-neo - from .proto to C.
 *
 *     protoc --plugin=protoc-gen-neo=build/bin/protoc-gen-neo --neo_out=gen -I proto a/b.proto
 *
 * Reads a CodeGeneratorRequest from standard input and writes a CodeGeneratorResponse
 * to standard output: for each file a/b.proto two, a/b.neo.h and a/b.neo.c.
 */
#include "emit.h"

#include <neo/memory.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { READ_SIZE = 65536, BUDGET = 1 << 30 };

static enum neo_code read_all(int fd, struct neo_buffer *ret, struct neo_error *err)
{
    for (;;) {
        uint8_t *at = neo_buffer_reserve(ret, READ_SIZE);
        if (at == NULL)
            return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory reading the request");
        ssize_t n = read(fd, at, READ_SIZE);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return neo_fail_errno(err, "cannot read the request from standard input");
        if (n == 0)
            return NEO_OK;
        ret->len += (size_t)n;
    }
}

static enum neo_code write_all(int fd, struct neo_bytes bytes, struct neo_error *err)
{
    while (bytes.len > 0) {
        ssize_t n = write(fd, bytes.at, bytes.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return neo_fail_errno(err, "cannot write the response to standard output");
        bytes = neo_bytes_from(bytes, (size_t)n);
    }
    return NEO_OK;
}

typedef void emit_fn(const struct emit *e);

static enum neo_code add_output(struct plugin_response *response, const struct model *m,
                                const struct model_file *file, emit_fn *fn, const char *suffix,
                                struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer out = {0};
    const struct emit e = {.out = &out, .model = m, .file = file};
    struct plugin_output *output = neo_arena_calloc(m->arena, 1, sizeof(*output));

    fn(&e);
    if (out.failed || output == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "%s: out of memory, or a name is too long",
                        file->name);
    output->name = neo_text(neo_arena_printf(m->arena, "%s%s", file->stem, suffix));
    output->content = neo_arena_copy(m->arena, neo_buffer_bytes(&out));
    if (neo_arena_failed(m->arena))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "%s: out of memory", file->name);
    response->file.at[response->file.len++] = output;
    return NEO_OK;
}

static enum neo_code generate(const struct plugin_request *request, struct neo_arena *arena,
                              struct plugin_response *response, struct neo_error *err)
{
    struct model m;

    if (request->file_to_generate.len == 0)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "the request names no file to generate");
    NEO_TRY(model_build(request, arena, &m, err));
    response->file.at =
        neo_arena_calloc(arena, request->file_to_generate.len * 2, sizeof(*response->file.at));
    if (response->file.at == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory");
    for (size_t i = 0; i < request->file_to_generate.len; i++) {
        const struct model_file *file = model_file(&m, request->file_to_generate.at[i]);

        if (file == NULL)
            return neo_fail(err, NEO_INVALID_ARGUMENT, "%.*s: protoc did not send this file",
                            NEO_FMT(request->file_to_generate.at[i]));
        NEO_TRY(add_output(response, &m, file, emit_header, ".neo.h", err));
        NEO_TRY(add_output(response, &m, file, emit_source, ".neo.c", err));
    }
    return NEO_OK;
}

/* What is wrong with the .proto files goes to protoc in the response; what is left is a failure. */
static enum neo_code answer(struct neo_arena *arena, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer in = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer out = {0};
    struct plugin_request request = {0};
    struct plugin_response response = {0};
    struct neo_error wrong;

    NEO_TRY(read_all(STDIN_FILENO, &in, err));
    if (in.len == 0)
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "no request on standard input: protoc writes one; see --help");
    NEO_TRY(neo_proto_decode(&plugin_request_info, neo_buffer_bytes(&in), &request, arena, err));
    enum neo_code code = generate(&request, arena, &response, &wrong);
    if (code != NEO_OK)
        response = (struct plugin_response){.has_error = true, .error = neo_text(wrong.message)};
    response.supported_features = PLUGIN_FEATURE_PROTO3_OPTIONAL | PLUGIN_FEATURE_EDITIONS;
    response.minimum_edition = PLUGIN_EDITION_PROTO2;
    response.maximum_edition = NEO_EDITION_2024;
    NEO_TRY(neo_proto_encode(&plugin_response_info, &response, &out, err));
    return write_all(STDOUT_FILENO, neo_buffer_bytes(&out), err);
}

static int run(void)
{
    struct neo_arena arena;
    struct neo_error err;

    neo_arena_init(&arena, BUDGET);
    enum neo_code code = answer(&arena, &err);
    neo_arena_fini(&arena);
    if (code == NEO_OK)
        return 0;
    (void)fprintf(stderr, "protoc-gen-neo: %s [%s]\n", err.message, err.where);
    return 1;
}

static const char usage[] =
    "usage: protoc --plugin=protoc-gen-neo=PATH --neo_out=DIR [-I DIR]... FILE.proto...\n"
    "\n"
    "protoc-gen-neo is a plugin: protoc starts it and writes to its standard input. For each\n"
    "a/b.proto it makes DIR/a/b.neo.h and DIR/a/b.neo.c; docs/CODEGEN.md has the rules. PATH is\n"
    "where this program is; without --plugin protoc looks for it in $PATH.\n"
    "\n"
    "--neo_opt=name=ELEMENT=NAME_IN_C gives an element another name in C, where two would have\n"
    "the same.\n"
    "\n"
    "  --help     this\n"
    "  --version  its version\n";

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        (void)fputs(usage, stdout);
        return 0;
    }
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        (void)printf("protoc-gen-neo %s\n", NEO_VERSION);
        return 0;
    }
    if (argc > 1 || isatty(STDIN_FILENO)) { /* a person, not protoc */
        (void)fputs(usage, stderr);
        return 2;
    }
    return run();
}
