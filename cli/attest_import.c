/* SPDX-License-Identifier: Apache-2.0 */
/* `neo attest policy import`: reference values as other tools print them, as a policy. */
#include "cli/attest.h"

#include <neo/reference.h>
#include <neo/spiffe.h>

#include <stdio.h>

/* A policy is a file of YAML, also where a machine asks: then it is one text of the value. */
static void print(enum neo_reference_form form, const char *path, struct neo_bytes policy)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer out = {0};
    struct neo_json_writer w = {.out = &out, .pretty = true};

    if (!cli.json) {
        (void)printf("# from %s (%s)\n", path, neo_reference_form_text(form));
        (void)fwrite(policy.at, 1, policy.len, stdout);
        return;
    }
    neo_json_open_object(&w);
    neo_json_put_key(&w, "file");
    neo_json_put_text(&w, path);
    neo_json_put_key(&w, "from");
    neo_json_put_text(&w, neo_reference_form_text(form));
    neo_json_put_key(&w, "policy_yaml");
    neo_json_put_string(&w, policy);
    neo_json_close_object(&w);
    print_json(&out);
}

static int import(enum neo_reference_form form, const char *path, const char *service)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer out = {0};
    struct neo_bytes text;
    struct neo_error err, why;

    neo_arena_init(&arena, ATTEST_ARENA);
    if (attest_read_file(&arena, path, ATTEST_FILE_MAX, &text, &err) != NEO_OK) {
        (void)fail(&err);
        return EXIT_FAILED;
    }
    if (neo_reference_import(form, text, neo_text(service), &out, &why) != NEO_OK) {
        (void)neo_fail(&err, why.code, "'%.60s' is nothing that --from %s reads: %.140s", path,
                       neo_reference_form_text(form), why.message);
        (void)fail(&err);
        return EXIT_FAILED;
    }
    print(form, path, neo_buffer_bytes(&out));
    return EXIT_OK;
}

static int run(int argc, char **argv)
{
    const char *from = NULL, *service = "my-service";
    const struct arg args[] = {
        {"--from", ARG_TEXT, &from, "FORM",
         "sev-snp-measure, td-shim, ccel, nitro-cli, corim or tpm2-pcrread"},
        {"--service", ARG_TEXT, &service, "NAME", "whose policy it will be [my-service]"},
    };
    const char *rest[2];
    int status;

    int n = args_parse(&attest_policy_import, argc, argv, args, NEO_COUNT(args), rest, 1, &status);
    if (n < 0)
        return status;
    if (!neo_is_service_name(neo_text(service)))
        return fail_usage("--service '%s' is no service name; use [a-z0-9-]", service);
    if (n != 1 || from == NULL)
        return fail_usage("say from what: neo attest policy import --from FORM <file>");
    enum neo_reference_form form = neo_reference_form_parse(neo_text(from));
    if (form == NEO_REFERENCE_FORMS_N)
        return fail_usage(
            "--from %s: there are sev-snp-measure, td-shim, ccel, nitro-cli, corim and "
            "tpm2-pcrread",
            from);
    return import(form, rest[0], service);
}

const struct command attest_policy_import = {
    .name = "attest policy import",
    .run = run,
    .summary = "write attestation_policies from another tool's reference values to stdout",
    .usage = "attest policy import --from FORM <file> [--service NAME]",
    .examples = "  nitro-cli describe-eif --eif-path app.eif > app.json\n"
                "  neo attest policy import --from nitro-cli app.json --service key-service\n",
};
