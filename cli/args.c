/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <stdio.h>

static void print_arg(const struct arg *a)
{
    char left[64];

    (void)snprintf(left, sizeof(left), "%s %s", a->name, a->value == NULL ? "" : a->value);
    (void)printf("  %-26s %s\n", left, a->help);
}

static void print_help(const struct command *command, const struct arg *args, size_t n)
{
    (void)printf("%s\n\nusage: neo %s\n", command->summary, command->usage);
    if (command->examples != NULL)
        (void)printf("\nexamples:\n%s", command->examples);
    (void)printf("\noptions:\n");
    for (size_t i = 0; i < n; i++)
        print_arg(&args[i]);
    (void)printf("  %-26s %s\n", "--dir DIR", "the folder of `neo up` [$NEO_DIR or .neo]");
    (void)printf("  %-26s %s\n", "-o table|json", "how to print [$NEO_OUTPUT or table]");
}

static const struct arg *find(const struct arg *args, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(args[i].name, name) == 0)
            return &args[i];
    return NULL;
}

static bool read_u32(const char *text, uint32_t *ret)
{
    uint64_t value = 0;

    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return false;
        value = value * 10 + (uint64_t)(*text - '0');
        if (value > UINT32_MAX)
            return false;
    }
    *ret = (uint32_t)value;
    return true;
}

/* An exit status, or -1 to go on. */
static int set(const struct arg *a, const char *value)
{
    struct arg_list *list = a->at;

    switch (a->kind) {
    case ARG_TEXT:
        *(const char **)a->at = value;
        return -1;
    case ARG_FLAG:
        *(bool *)a->at = true;
        return -1;
    case ARG_U32:
        if (read_u32(value, a->at))
            return -1;
        return fail_usage("%s %s: write a whole number", a->name, value);
    case ARG_LIST:
        if (list->n == ARG_LIST_MAX)
            return fail_usage("%s: at most %d times", a->name, ARG_LIST_MAX);
        list->at[list->n++] = value;
        return -1;
    }
    return -1;
}

static int set_common(const char *name, const char *value)
{
    if (strcmp(name, "--dir") == 0) {
        cli.dir = value;
        return -1;
    }
    if (strcmp(value, "json") != 0 && strcmp(value, "table") != 0)
        return fail_usage("-o %s: there are table and json", value);
    cli.json = strcmp(value, "json") == 0;
    return -1;
}

static bool is_common(const char *name)
{
    return strcmp(name, "--dir") == 0 || strcmp(name, "-o") == 0 || strcmp(name, "--output") == 0;
}

int args_common(int argc, char **argv, int *ret_used)
{
    int used = 0;

    for (; used + 1 < argc && is_common(argv[used]); used += 2) {
        int status = set_common(argv[used], argv[used + 1]);
        if (status >= 0)
            return status;
    }
    *ret_used = used;
    return -1;
}

int args_parse(const struct command *command, int argc, char **argv, const struct arg *args,
               size_t n, const char **rest, size_t max, int *ret_exit)
{
    size_t found = 0;

    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        int status = -1;
        if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
            print_help(command, args, n);
            *ret_exit = EXIT_OK;
            return -1;
        }
        const struct arg *a = find(args, n, word);
        bool takes_value = is_common(word) || (a != NULL && a->kind != ARG_FLAG);
        if (takes_value && i + 1 == argc)
            status = fail_usage("%s needs a value; see: neo %s --help", word, command->name);
        else if (is_common(word))
            status = set_common(word, argv[++i]);
        else if (a != NULL)
            status = set(a, takes_value ? argv[++i] : NULL);
        else if (word[0] == '-' && word[1] != '\0')
            status = fail_usage("unknown option '%s'; see: neo %s --help", word, command->name);
        else if (found == max)
            status = fail_usage("'%s' is one too many; see: neo %s --help", word, command->name);
        else
            rest[found++] = word;
        if (status >= 0) {
            *ret_exit = status;
            return -1;
        }
    }
    return (int)found;
}
