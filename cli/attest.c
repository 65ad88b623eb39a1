/* SPDX-License-Identifier: Apache-2.0 */
/* `neo attest <word>`: evidence of what code runs, its rules, and what judges it. */
#include "cli/attest.h"

#include <stdio.h>

static const struct command *const words[] = {
#define X(name) &attest_##name,
    ATTEST_WORDS(X)
#undef X
};

/* Behind "attest ". */
static const char *word_of(const struct command *c)
{
    return c->name + sizeof("attest ") - 1;
}

static int help(void)
{
    (void)printf("%s\n\nusage: neo attest <word> [options]\n\n", command_attest.summary);
    for (size_t i = 0; i < NEO_COUNT(words); i++)
        (void)printf("  %-12s %s\n", word_of(words[i]), words[i]->summary);
    (void)printf("\nexamples:\n%s", command_attest.examples);
    (void)printf("\n`neo attest <word> --help` says more.\n");
    return EXIT_OK;
}

static int run(int argc, char **argv)
{
    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
        return help();
    for (size_t i = 0; argc > 1 && i < NEO_COUNT(words); i++)
        if (strcmp(argv[1], word_of(words[i])) == 0)
            return words[i]->run(argc - 1, argv + 1);
    if (argc > 1)
        return fail_usage("there is no 'attest %s'; see: neo attest --help", argv[1]);
    return fail_usage("say what; see: neo attest --help");
}

const struct command command_attest = {
    .name = "attest",
    .run = run,
    .summary = "evidence of what code runs: look into it, judge it, keep what judges it",
    .usage = "attest <word> [options]",
    .examples = "  neo attest show report.bin\n"
                "  neo attest verify --help\n",
};
