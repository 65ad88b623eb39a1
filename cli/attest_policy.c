/* SPDX-License-Identifier: Apache-2.0 */
/* `neo attest policy check|import`: what services must prove, checked, and made from reference
 * values. */
#include "cli/attest.h"

#include <neo/attest_policy.h>

#include <stdio.h>

static void put_text(struct neo_json_writer *w, const char *key, const char *text)
{
    neo_json_put_key(w, key);
    neo_json_put_text(w, text);
}

static void put_row(struct neo_json_writer *w, const struct neo_attest_row *row)
{
    neo_json_open_object(w);
    put_text(w, "tee", row->tee);
    put_text(w, "file", row->place.file);
    neo_json_put_key(w, "line");
    neo_json_put_u64(w, row->place.line);
    neo_json_put_key(w, "keys");
    neo_json_open_object(w);
    for (size_t i = 0; i < row->n_given; i++) {
        neo_json_put_key(w, row->given[i].name);
        neo_json_put_string(w, row->given[i].value);
    }
    neo_json_close_object(w);
    neo_json_put_key(w, "warnings");
    neo_json_open_array(w);
    for (size_t i = 0; i < row->n_warnings; i++)
        neo_json_put_text(w, row->warnings[i]);
    neo_json_close_array(w);
    neo_json_close_object(w);
}

static void print_all_json(const struct neo_attest_service *services, size_t n)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer out = {0};
    struct neo_json_writer w = {.out = &out, .pretty = true};

    neo_json_open_object(&w);
    neo_json_put_key(&w, "services");
    neo_json_open_array(&w);
    for (size_t i = 0; i < n; i++) {
        neo_json_open_object(&w);
        neo_json_put_key(&w, "service");
        neo_json_put_string(&w, services[i].name);
        put_text(&w, "require", services[i].require);
        neo_json_put_key(&w, "max_evidence_age_seconds");
        neo_json_put_u64(&w, services[i].max_age / NEO_NSEC_PER_SEC);
        neo_json_put_key(&w, "rows");
        neo_json_open_array(&w);
        for (size_t k = 0; k < services[i].n_rows; k++)
            put_row(&w, &services[i].rows[k]);
        neo_json_close_array(&w);
        neo_json_close_object(&w);
    }
    neo_json_close_array(&w);
    neo_json_close_object(&w);
    print_json(&out);
}

static void print_service(const struct neo_attest_service *s)
{
    (void)printf("%s%.*s%s  %s, evidence of at most %llu s, one of %zu rows\n", ink(INK_BOLD),
                 NEO_FMT(s->name), ink(INK_NONE), s->require,
                 (unsigned long long)(s->max_age / NEO_NSEC_PER_SEC), s->n_rows);
    for (size_t i = 0; i < s->n_rows; i++) {
        const struct neo_attest_row *row = &s->rows[i];
        (void)printf("  %s%s%s  %s:%u\n", ink(INK_BOLD), row->tee, ink(INK_NONE), row->place.file,
                     row->place.line);
        for (size_t k = 0; k < row->n_given; k++)
            (void)printf("    %-26s %.*s\n", row->given[k].name, (int)row->given[k].value.len,
                         (const char *)row->given[k].value.at);
        for (size_t k = 0; k < row->n_warnings; k++)
            (void)printf("    %swarning%s %s\n", ink(INK_YELLOW), ink(INK_NONE), row->warnings[k]);
    }
}

static int list(const struct neo_attest_policies *policies, struct neo_arena *arena)
{
    const struct neo_attest_service *services;
    struct neo_error err;
    size_t n;

    if (neo_attest_policies_list(policies, arena, &services, &n, &err) != NEO_OK)
        return fail(&err);
    if (cli.json) {
        print_all_json(services, n);
        return EXIT_OK;
    }
    for (size_t i = 0; i < n; i++)
        print_service(&services[i]);
    if (n == 0)
        (void)fprintf(stderr,
                      "warning: nothing here has attestation_policies: nobody would have to "
                      "prove anything\n");
    (void)printf("%sok%s: %zu services must prove themselves\n", ink(INK_GREEN), ink(INK_NONE), n);
    return EXIT_OK;
}

static int check(const struct attest_source *a)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    struct neo_attest_policies *policies = NULL;
    struct neo_error err;

    neo_arena_init(&arena, ATTEST_ARENA);
    if (attest_read_policies(&arena, a, &policies, &err) != NEO_OK) {
        (void)fail(&err);
        return EXIT_FAILED;
    }
    int status = list(policies, &arena);
    neo_attest_policies_unref(policies);
    return status;
}

static const struct command policy_check;

static int run_check(int argc, char **argv)
{
    struct attest_source a = {.kind = NULL};
    const struct arg args[] = {
        {"--insecure-dev", ARG_FLAG, &a.development, NULL, "`require: simulator` may stand there"},
    };
    const char *rest[ARG_LIST_MAX];
    int status;

    int n =
        args_parse(&policy_check, argc, argv, args, NEO_COUNT(args), rest, ARG_LIST_MAX, &status);
    if (n < 0)
        return status;
    if (n == 0)
        return fail_usage("say which file: neo attest policy check <file>...");
    for (int i = 0; i < n; i++)
        a.policies.at[a.policies.n++] = rest[i];
    return check(&a);
}

static const struct command policy_check = {
    .name = "attest policy check",
    .run = run_check,
    .summary = "compile attestation_policies, show their rows, and what they leave open",
    .usage = "attest policy check <file>... [--insecure-dev]",
    .examples = "  neo attest policy check attest.yaml\n",
};

static int run(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "check") == 0)
        return run_check(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "import") == 0)
        return attest_policy_import.run(argc - 1, argv + 1);
    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        (void)printf("%s\n\nusage: neo %s\n\nexamples:\n%s", attest_policy.summary,
                     attest_policy.usage, attest_policy.examples);
        return EXIT_OK;
    }
    return fail_usage("say check or import; see: neo attest policy --help");
}

const struct command attest_policy = {
    .name = "attest policy",
    .run = run,
    .summary = "check what services must prove; make rows of it from reference values",
    .usage = "attest policy check|import ...",
    .examples = "  neo attest policy check attest.yaml\n"
                "  neo attest policy import --from nitro-cli measurements.json\n",
};
