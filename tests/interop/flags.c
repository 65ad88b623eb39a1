/* SPDX-License-Identifier: Apache-2.0 */
#include "flags.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct flag *find(const struct flag *flags, size_t n, const char *name, size_t len)
{
    for (size_t i = 0; i < n; i++)
        if (strlen(flags[i].name) == len && memcmp(flags[i].name, name, len) == 0)
            return &flags[i];
    return NULL;
}

static bool is_bool(const char *text)
{
    return text != NULL && (strcasecmp(text, "true") == 0 || strcasecmp(text, "false") == 0 ||
                            strcmp(text, "1") == 0 || strcmp(text, "0") == 0);
}

static bool set(const struct flag *flag, const char *value)
{
    char *end;

    switch (flag->kind) {
    case FLAG_TEXT:
        *(const char **)flag->at = value;
        return true;
    case FLAG_NUMBER:
        errno = 0;
        *(int64_t *)flag->at = strtoll(value, &end, 10);
        return errno == 0 && end != value && *end == '\0';
    case FLAG_BOOL:
        *(bool *)flag->at = strcasecmp(value, "true") == 0 || strcmp(value, "1") == 0;
        return is_bool(value);
    }
    return false;
}

/* One argument, and its value when that is the next. Returns how many were used; 0: wrong, and
   `*ret` is the flag whose value it is that is wrong or missing, or NULL: there is no such flag. */
static int read_one(int left, char **argv, const struct flag *flags, size_t n,
                    const struct flag **ret)
{
    const char *name = argv[0];
    const char *next = left > 1 ? argv[1] : NULL;

    *ret = NULL;
    if (name[0] != '-')
        return 0;
    name += name[1] == '-' ? 2 : 1; /* some of the official programs take one dash, too */
    size_t len = strcspn(name, "=");
    const struct flag *flag = find(flags, n, name, len);
    *ret = flag;
    if (flag == NULL)
        return 0;
    if (name[len] == '=')
        return set(flag, name + len + 1) ? 1 : 0;
    if (flag->kind == FLAG_BOOL && !is_bool(next))
        return set(flag, "true") ? 1 : 0;
    return next != NULL && set(flag, next) ? 2 : 0;
}

static const char *form_of(const struct flag *flag)
{
    switch (flag->kind) {
    case FLAG_NUMBER:
        return "=NUMBER";
    case FLAG_BOOL:
        return "[=true|false]";
    case FLAG_TEXT:
        break;
    }
    return "=TEXT";
}

static void list_flags(FILE *to, const struct flag *flags, size_t n)
{
    for (size_t i = 0; i < n; i++)
        (void)fprintf(to, "  --%s%s\n", flags[i].name, form_of(&flags[i]));
}

static void explain(const char *program, const char *argument, const struct flag *wrong)
{
    static const char *const needs[] = {
        [FLAG_TEXT] = "a value", [FLAG_NUMBER] = "a number", [FLAG_BOOL] = "true or false"};

    (void)fprintf(stderr, "%s: \"%s\" needs %s: --%s%s\n", program, argument, needs[wrong->kind],
                  wrong->name, form_of(wrong));
}

static bool is_help(const char *argument)
{
    return strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0;
}

bool flags_read(int argc, char **argv, const struct flag *flags, size_t n)
{
    if (argc == 2 && is_help(argv[1])) {
        (void)printf("%s takes, as --flag=value or --flag value:\n", argv[0]);
        list_flags(stdout, flags, n);
        exit(0);
    }
    for (int i = 1; i < argc;) {
        const struct flag *wrong;
        int used = read_one(argc - i, argv + i, flags, n, &wrong);
        if (used == 0 && wrong != NULL) {
            explain(argv[0], argv[i], wrong);
            return false;
        }
        if (used == 0) {
            (void)fprintf(stderr, "%s: \"%s\" is not understood; it takes\n", argv[0], argv[i]);
            list_flags(stderr, flags, n);
            return false;
        }
        i += used;
    }
    return true;
}
