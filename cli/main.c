/* SPDX-License-Identifier: Apache-2.0 */
/* `neo`: one program, one table of subcommands. */
#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>

struct common cli;

static const struct command *const commands[] = {
#define X(name) &command_##name,
    COMMANDS(X)
#undef X
};

const struct command *command_find(const char *name)
{
    for (size_t i = 0; i < NEO_COUNT(commands); i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

static void print_help(FILE *to)
{
    (void)fprintf(to, "Calls between services: proven, attested, authorised, limited, audited.\n\n"
                      "usage: neo <command> [options]\n\n");
    for (size_t i = 0; i < NEO_COUNT(commands); i++)
        (void)fprintf(to, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
    (void)fprintf(
        to, "\nstart here:\n"
            "  neo up --detach                     CA, registry and policy on this machine\n"
            "  neo token create my-service         one string that lets my-service join\n"
            "  neo check                           is all well? if not, why, and what next\n\n"
            "`neo <command> --help` says more. Every command takes --dir DIR (or $NEO_DIR) "
            "and -o json.\n");
}

/* How many single-letter changes lie between two words; small words only. */
static unsigned distance(const char *a, const char *b)
{
    unsigned row[32];
    size_t n = strlen(b);

    if (n >= NEO_COUNT(row) || strlen(a) >= NEO_COUNT(row))
        return 99;
    for (size_t j = 0; j <= n; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; a[i - 1] != '\0'; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= n; j++) {
            unsigned best = diagonal + (a[i - 1] != b[j - 1]);
            best = row[j] + 1 < best ? row[j] + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[n];
}

static int unknown(const char *name)
{
    const char *nearest = NULL;
    unsigned best = 3;

    for (size_t i = 0; i < NEO_COUNT(commands); i++) {
        unsigned d = distance(name, commands[i]->name);
        if (d < best) {
            best = d;
            nearest = commands[i]->name;
        }
    }
    if (nearest != NULL)
        return fail_usage("there is no command '%s'; did you mean '%s'?", name, nearest);
    return fail_usage("there is no command '%s'; see: neo --help", name);
}

/* Known before anything can be wrong, so that what is wrong is said in it, too. */
static bool wants_json(int argc, char **argv, const char *output)
{
    bool json = output != NULL && strcmp(output, "json") == 0;

    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], "-o") == 0 || strcmp(argv[i], "--output") == 0)
            json = strcmp(argv[i + 1], "json") == 0;
    return json;
}

int main(int argc, char **argv)
{
    const char *dir = getenv("NEO_DIR");
    const char *output = getenv("NEO_OUTPUT");

    cli.dir = dir == NULL || dir[0] == '\0' ? ".neo" : dir;
    cli.json = wants_json(argc, argv, output);
    if (output != NULL && output[0] != '\0' && !cli.json && strcmp(output, "table") != 0)
        return fail_usage("NEO_OUTPUT=%s: there are table and json", output);
    int used = 0, status = args_common(argc - 1, argv + 1, &used);
    if (status >= 0)
        return status;
    argc -= used;
    argv += used;
    if (argc < 2) {
        print_help(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        print_help(stdout);
        return EXIT_OK;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "version") == 0) {
        (void)printf(cli.json ? "{\"version\": \"%s\"}\n" : "neo %s\n", NEO_VERSION);
        return EXIT_OK;
    }
    const struct command *command = command_find(argv[1]);
    if (command == NULL)
        return unknown(argv[1]);
    return command->run(argc - 1, argv + 1);
}
