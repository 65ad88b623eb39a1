/* SPDX-License-Identifier: Apache-2.0 */
/* `neo attest collect`: one piece of this machine's evidence, into a file. */
#include "cli/attest_machine.h"

#include <neo/encoding.h>
#include <neo/store.h>

#include <stdio.h>
#include <stdlib.h>

void attest_made_fini(struct attest_made *m)
{
    neo_buffer_fini(&m->body);
    neo_buffer_fini(&m->certificates);
}

/* "0x81010002" */
static enum neo_code read_handle(const char *text, uint32_t *ret, struct neo_error *err)
{
    char *end;
    unsigned long value = strtoul(text, &end, 16);

    if (*text == '\0' || *end != '\0' || value > UINT32_MAX)
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "--tpm-ak %s: write the handle in hexadecimal, 0x81010002", text);
    *ret = (uint32_t)value;
    return NEO_OK;
}

enum neo_code attest_machine_options(const struct attest_machine *m,
                                     struct neo_attester_options *ret, struct neo_error *err)
{
    *ret = (struct neo_attester_options){
        .tee = m->tee, .root = m->root, .tpm = m->tpm, .vmpl = m->vmpl};
    (void)setenv("TSS2_LOG", "all+NONE", 0); /* what it says on stderr we say in one line */
    if (m->tpm_ak != NULL)
        NEO_TRY(read_handle(m->tpm_ak, &ret->ak, err));
    return NEO_OK;
}

enum neo_code attest_make(const struct neo_attester_options *options, const uint8_t *binder,
                          struct attest_made *ret, struct neo_error *err)
{
    struct neo_attester *attester;
    neo_nsec start;

    NEO_TRY(neo_attester_detect(options, &attester, &ret->by, err));
    ret->kind = attester->kind;
    start = neo_mono_nsec();
    enum neo_code code = attester->attest(attester, binder, &ret->body, &ret->certificates, err);
    ret->took = neo_mono_nsec() - start;
    attester->free(attester);
    return code;
}

struct collect_args {
    struct attest_machine machine;
    const char *binder;
    const char *out;
    const char *certificates_out;
};

static enum neo_code collect_into(const struct collect_args *a, struct attest_made *made,
                                  struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer binder = {0};
    struct neo_attester_options options;

    if (neo_hex_decode(neo_text(a->binder), &binder, NULL) != NEO_OK ||
        binder.len != NEO_BINDER_LEN)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "--binder must be 64 bytes, 128 hex digits");
    NEO_TRY(attest_machine_options(&a->machine, &options, err));
    NEO_TRY(attest_make(&options, binder.at, made, err));
    NEO_TRY(neo_file_replace(a->out, neo_buffer_bytes(&made->body), 0644, err));
    if (a->certificates_out != NULL)
        NEO_TRY(neo_file_replace(a->certificates_out, neo_buffer_bytes(&made->certificates), 0644,
                                 err));
    return NEO_OK;
}

static int collect(const struct collect_args *a)
{
    NEO_CLEANUP(attest_made_fini) struct attest_made made = {.took = 0};
    struct neo_error err;

    if (a->binder == NULL || a->out == NULL)
        return fail_usage("say for what and where to: --binder HEX --out FILE");
    if (collect_into(a, &made, &err) != NEO_OK)
        return fail(&err);
    (void)fprintf(stderr, "%s by %s: %zu bytes, certificates %zu bytes, %.1f ms\n",
                  neo_evidence_kind_text(made.kind), made.by.via, made.body.len,
                  made.certificates.len, (double)made.took / (double)NEO_NSEC_PER_MSEC);
    if (made.certificates.len > 0 && a->certificates_out == NULL)
        (void)fprintf(stderr, "note: certificates came along; keep them with --certificates-out\n");
    return EXIT_OK;
}

static int run(int argc, char **argv)
{
    struct collect_args a = {.binder = NULL};
    const struct arg args[] = {
        {"--binder", ARG_TEXT, &a.binder, "HEX", "the 64 bytes to bind it to"},
        {"--out", ARG_TEXT, &a.out, "FILE", "where the evidence goes"},
        {"--certificates-out", ARG_TEXT, &a.certificates_out, "FILE", "where its certificates go"},
        ATTEST_MACHINE_ARGS(a.machine),
    };
    const char *rest[1];
    int status;

    int n = args_parse(&attest_collect, argc, argv, args, NEO_COUNT(args), rest, 0, &status);
    return n < 0 ? status : collect(&a);
}

const struct command attest_collect = {
    .name = "attest collect",
    .run = run,
    .summary = "make one piece of this machine's evidence, into a file",
    .usage = "attest collect --binder HEX --out FILE [--tee TEE]",
    .examples = "  neo attest collect --tee tpm --out quote.bin --binder $(openssl rand -hex 64)\n"
                "  neo attest show quote.bin\n",
};
