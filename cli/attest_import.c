/* SPDX-License-Identifier: Apache-2.0 */
/* `neo attest policy import`: reference values as other tools print them, as a policy. */
#include "cli/attest.h"

#include <neo/reference.h>
#include <neo/spiffe.h>

#include <stdio.h>

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
    (void)printf("# from %s (%s)\n", path, neo_reference_form_text(form));
    (void)fwrite(out.at, 1, out.len, stdout);
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
