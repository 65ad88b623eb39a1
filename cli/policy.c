/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `neo policy check <path>...`: would these documents load? The same compilers as
 * everywhere, tests included; then what deserves a second look.
 */
#include "cli/cli.h"

#include <neo/attest.h>
#include <neo/limits.h>
#include <neo/memory.h>
#include <neo/store.h>

#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>

enum { DOCUMENTS_MAX = 512, DOCUMENT_MAX = 1 << 20 };

struct set {
    struct neo_arena arena;
    struct neo_document at[DOCUMENTS_MAX];
    size_t n;
};

static enum neo_code add(struct set *set, const char *path, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};

    if (set->n == DOCUMENTS_MAX)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "more than %d files", DOCUMENTS_MAX);
    NEO_TRY(neo_file_read(path, DOCUMENT_MAX, &text, err));
    set->at[set->n++] = (struct neo_document){
        .name = neo_arena_copy(&set->arena, neo_text(path)),
        .text = neo_arena_copy(&set->arena, neo_buffer_bytes(&text)),
    };
    return NEO_OK;
}

/* As the registry takes them. */
static bool is_yaml(const char *name)
{
    const char *dot = strrchr(name, '.');

    return dot != NULL && dot != name && name[0] != '.' &&
           (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0);
}

static enum neo_code add_path(struct set *set, const char *path, struct neo_error *err)
{
    char full[PATH_LEN];
    struct stat st;
    enum neo_code code = NEO_OK;
    size_t before = set->n;

    if (stat(path, &st) != 0)
        return neo_fail_errno(err, "cannot look at '%s'", path);
    if (!S_ISDIR(st.st_mode))
        return add(set, path, err);
    DIR *dir = opendir(path);
    if (dir == NULL)
        return neo_fail_errno(err, "cannot open '%s'", path);
    for (struct dirent *d; code == NEO_OK && (d = readdir(dir)) != NULL;) {
        if (!is_yaml(d->d_name))
            continue;
        (void)snprintf(full, sizeof(full), "%s/%s", path, d->d_name);
        code = add(set, full, err);
    }
    (void)closedir(dir);
    if (code == NEO_OK && set->n == before)
        return neo_fail(err, NEO_NOT_FOUND,
                        "no policy in '%s': of a folder its .yaml and .yml files count", path);
    return code;
}

static enum neo_code compile(const struct set *set, bool development, struct neo_buffer *out_lint,
                             struct neo_error *err)
{
    struct neo_policy *policy = NULL;
    struct neo_limits *limits = NULL;
    struct neo_attest_policies *attest = NULL;

    enum neo_code code = neo_policy_compile(set->at, set->n, &policy, err);
    if (code == NEO_OK)
        code = neo_limits_compile(set->at, set->n, &limits, err);
    if (code == NEO_OK)
        code = neo_attest_policies_compile(set->at, set->n, development, &attest, err);
    if (code == NEO_OK)
        neo_policy_lint(policy, out_lint);
    neo_policy_unref(policy);
    neo_limits_unref(limits);
    neo_attest_policies_unref(attest);
    return code;
}

/* Each line by itself. */
static void put_lines(struct neo_json_writer *w, struct neo_bytes text)
{
    neo_json_open_array(w);
    while (text.len > 0) {
        const uint8_t *end = memchr(text.at, '\n', text.len);
        size_t len = end == NULL ? text.len : (size_t)(end - text.at);
        neo_json_put_string(w, neo_bytes(text.at, len));
        text = neo_bytes_from(text, len == text.len ? len : len + 1);
    }
    neo_json_close_array(w);
}

static int report(const struct set *set, const struct neo_buffer *lint)
{
    if (cli.json) {
        NEO_CLEANUP(neo_buffer_fini) struct neo_buffer out = {0};
        struct neo_json_writer w = {.out = &out, .pretty = true};
        neo_json_open_object(&w);
        neo_json_put_key(&w, "documents");
        neo_json_put_u64(&w, set->n);
        neo_json_put_key(&w, "warnings");
        put_lines(&w, neo_buffer_bytes(lint));
        neo_json_close_object(&w);
        print_json(&out);
        return EXIT_OK;
    }
    if (lint->len > 0)
        (void)printf("%s%.*s%s", ink(INK_YELLOW), (int)lint->len, (const char *)lint->at,
                     ink(INK_NONE));
    (void)printf("%sok%s: %zu file%s would load\n", ink(INK_GREEN), ink(INK_NONE), set->n,
                 set->n == 1 ? "" : "s");
    return EXIT_OK;
}

static int check(const char *const *paths, size_t n, bool development)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer lint = {0};
    struct set *set = neo_alloc(sizeof(*set));
    struct neo_error err = {.code = NEO_RESOURCE_EXHAUSTED, .message = "out of memory"};
    enum neo_code code = set == NULL ? NEO_RESOURCE_EXHAUSTED : NEO_OK;

    if (set != NULL)
        neo_arena_init(&set->arena, 64 << 20);
    for (size_t i = 0; code == NEO_OK && i < n; i++)
        code = add_path(set, paths[i], &err);
    if (code == NEO_OK)
        code = compile(set, development, &lint, &err);
    int status = code == NEO_OK ? report(set, &lint) : fail(&err);
    if (set != NULL)
        neo_arena_fini(&set->arena);
    neo_free(set);
    return status == EXIT_USAGE ? EXIT_FAILED : status;
}

static int run(int argc, char **argv)
{
    bool development = false;
    const struct arg args[] = {
        {"--insecure-dev", ARG_FLAG, &development, NULL, "allow `require: simulator`"},
    };
    const char *rest[ARG_LIST_MAX];
    int status;

    int n =
        args_parse(&command_policy, argc, argv, args, NEO_COUNT(args), rest, ARG_LIST_MAX, &status);
    if (n < 0)
        return status;
    if (n < 2 || strcmp(rest[0], "check") != 0)
        return fail_usage("say what: neo policy check <file|folder>...");
    return check(rest + 1, (size_t)n - 1, development);
}

const struct command command_policy = {
    .name = "policy",
    .run = run,
    .summary = "check policy, limits and attestation documents before they are loaded",
    .usage = "policy check <file|folder>...",
    .examples = "  neo policy check policies/\n",
};
