/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of a service: one table of options, one loop over the arguments. */
#include <neo/mesh.h>

#include <neo/memory.h>
#include <neo/store.h>

#include <stdio.h>

enum kind { TEXT, FLAG, LEVEL, JOIN_FILE };

struct option {
    const char *name;
    enum kind kind;
    size_t offset;
    const char *value;
    const char *help;
};

#define AT(member) offsetof(struct neo_mesh_options, member)
/* clang-format off */
static const struct option options[] = {
    {"--join",          TEXT,      AT(join),          "STRING", "join string from `neo token create`; once"},
    {"--join-file",     JOIN_FILE, AT(join),          "FILE",   "the same from a file (kept out of `ps`)"},
    {"--state",         TEXT,      AT(state_dir),     "DIR",    "state folder: keys, certificate, last policy"},
    {"--listen",        TEXT,      AT(listen),        "ADDR",   "where to serve [127.0.0.1:0]"},
    {"--admin",         TEXT,      AT(admin),         "ADDR",   "administration and metrics [127.0.0.1:0]"},
    {"--instance",      TEXT,      AT(instance),      "ID",     "name of this instance in the registry [random]"},
    {"--audit",         TEXT,      AT(audit_file),    "FILE",   "audit trail [<state>/audit.jsonl]"},
    {"--collateral",    TEXT,      AT(collateral),    "DIR",    "what evidence is judged against [<state>/collateral]"},
    {"--collateral-fetch", TEXT,   AT(collateral_fetch), "CMD", "program that gets what of it is due"},
    {"--log-level",     LEVEL,     AT(log_level),     "LEVEL",  "debug, info, warn, error, off [info]"},
    {"--tee",           TEXT,      AT(tee),           "TEE",    "prove with it: sev-snp, tdx, ... [auto], none"},
    {"--tpm",           TEXT,      AT(tpm),           "TPM",    "device, or TCTI of tpm2-tss [/dev/tpmrm0]"},
    {"--tpm-ak",        TEXT,      AT(tpm_ak),        "HANDLE", "key that the TPM keeps [a primary one]"},
    {"--insecure-dev",  FLAG,      AT(development),   NULL,     "development: accept simulated evidence"},
    {"--simulated-tee", TEXT,      AT(simulated_tee), "FILE",   "development: prove with this simulated TEE"},
    {"--measurement",   TEXT,      AT(measurement),   "HEX",    "development: what the simulated TEE runs"},
};
/* clang-format on */

static void print_help(const char *program)
{
    (void)printf("usage: %s --state DIR [--join-file FILE] [options]\n\n", program);
    for (size_t i = 0; i < NEO_COUNT(options); i++)
        (void)printf("  %-15s %-7s %s\n", options[i].name,
                     options[i].value == NULL ? "" : options[i].value, options[i].help);
    (void)printf(
        "\nexample:\n  neo token create %s --out join\n  %s --state /var/lib/%s --join-file "
        "join\n",
        program, program, program);
}

static const struct option *find(const char *name)
{
    for (size_t i = 0; i < NEO_COUNT(options); i++)
        if (strcmp(options[i].name, name) == 0)
            return &options[i];
    return NULL;
}

static enum neo_code read_join_file(const char *path, struct neo_buffer *join,
                                    struct neo_error *err)
{
    NEO_TRY(neo_file_read(path, 4096, join, err));
    return neo_buffer_append_byte(join, '\0')
               ? NEO_OK
               : neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory reading '%s'", path);
}

static enum neo_code set(struct neo_mesh_options *o, const struct option *option, const char *value,
                         struct neo_buffer *join, struct neo_error *err)
{
    void *at = (char *)o + option->offset;

    switch (option->kind) {
    case TEXT:
        *(const char **)at = value;
        return NEO_OK;
    case FLAG:
        *(bool *)at = true;
        return NEO_OK;
    case LEVEL:
        return neo_log_level_parse(value, at)
                   ? NEO_OK
                   : neo_fail(err, NEO_INVALID_ARGUMENT,
                              "--log-level %s: there are debug, info, warn, error, off", value);
    case JOIN_FILE:
        NEO_TRY(read_join_file(value, join, err));
        *(const char **)at = (const char *)join->at;
        return NEO_OK;
    }
    return NEO_OK;
}

static enum neo_code parse(int argc, char **argv, struct neo_mesh_options *o,
                           struct neo_buffer *join, struct neo_error *err)
{
    for (int i = 1; i < argc; i++) {
        const struct option *option = find(argv[i]);
        if (option == NULL)
            return neo_fail(err, NEO_INVALID_ARGUMENT, "unknown option '%s'; see --help", argv[i]);
        if (option->kind != FLAG && i + 1 == argc)
            return neo_fail(err, NEO_INVALID_ARGUMENT, "%s needs a value: %s; see --help", argv[i],
                            option->value);
        NEO_TRY(set(o, option, option->kind == FLAG ? NULL : argv[++i], join, err));
    }
    return NEO_OK;
}

enum neo_code neo_mesh_start(int argc, char **argv, const char *service, struct neo_mesh **ret,
                             struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini_secret) struct neo_buffer join = {0};
    struct neo_mesh_options o = {.service = service, .log_level = NEO_LOG_INFO};

    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            print_help(service);
            return neo_fail(err, NEO_CANCELLED, "only asked for help");
        }
    NEO_TRY(parse(argc, argv, &o, &join, err));
    return neo_mesh_join(&o, ret, err);
}

int neo_mesh_failed(const struct neo_error *err)
{
    if (err->code == NEO_CANCELLED)
        return 0; /* --help */
    (void)fprintf(stderr, "error: %s: %s\n", neo_code_name(err->code), err->message);
    return err->code == NEO_INVALID_ARGUMENT ? 2 : 1;
}
