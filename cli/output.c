/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <neo/loop.h>

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

const char *ink(enum ink which)
{
    static const char *const codes[] = {"\x1b[0m",  "\x1b[31m", "\x1b[32m",
                                        "\x1b[33m", "\x1b[2m",  "\x1b[1m"};
    const char *no_color = getenv("NO_COLOR");

    if (cli.json || (no_color != NULL && no_color[0] != '\0') || isatty(STDOUT_FILENO) == 0)
        return "";
    return codes[which];
}

void print_json(const struct neo_buffer *json)
{
    (void)fwrite(json->at, 1, json->len, stdout);
    (void)fputc('\n', stdout);
}

int fail(const struct neo_error *err)
{
    if (cli.json) {
        NEO_CLEANUP(neo_buffer_fini) struct neo_buffer out = {0};
        struct neo_status status = neo_status_of(err->code, err->message);
        if (neo_status_json(&status, true, &out))
            print_json(&out);
    }
    (void)fprintf(stderr, "error: %s\n", err->message);
    return err->code == NEO_INVALID_ARGUMENT ? EXIT_USAGE : EXIT_FAILED;
}

int fail_usage(const char *format, ...)
{
    struct neo_error err = {.code = NEO_INVALID_ARGUMENT};
    va_list args;

    va_start(args, format);
    (void)vsnprintf(err.message, sizeof(err.message), format, args);
    va_end(args);
    return fail(&err);
}

/* --- tables ----------------------------------------------------------------------------------- */

void table_begin(struct table *t, size_t columns, const char *const *titles)
{
    *t = (struct table){.columns = columns};
    for (size_t i = 0; i < columns; i++)
        table_cell(t, titles[i]);
}

void table_cell(struct table *t, const char *text)
{
    (void)neo_buffer_append(&t->cells, neo_bytes(text, strlen(text) + 1));
    t->n++;
}

void table_cellf(struct table *t, const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    table_cell(t, text);
}

void table_end(struct table *t)
{
    size_t widths[16] = {0};
    const char *cell = (const char *)t->cells.at;

    for (size_t i = 0; i < t->n; i++, cell += strlen(cell) + 1)
        if (strlen(cell) > widths[i % t->columns])
            widths[i % t->columns] = strlen(cell);
    cell = (const char *)t->cells.at;
    for (size_t i = 0; i < t->n; i++, cell += strlen(cell) + 1) {
        size_t column = i % t->columns;
        bool last = column + 1 == t->columns;
        if (i == 0)
            (void)printf("%s", ink(INK_DIM));
        (void)printf("%-*s%s", last ? 0 : (int)widths[column], cell, last ? "\n" : "  ");
        if (i + 1 == t->columns)
            (void)printf("%s", ink(INK_NONE));
    }
    neo_buffer_fini(&t->cells);
}

static void format_span(int64_t seconds, char *text, size_t len)
{
    if (seconds < 120)
        (void)snprintf(text, len, "%" PRId64 " s", seconds);
    else if (seconds < 7200)
        (void)snprintf(text, len, "%" PRId64 " min", seconds / 60);
    else if (seconds < 172800)
        (void)snprintf(text, len, "%" PRId64 " h %" PRId64 " min", seconds / 3600,
                       seconds % 3600 / 60);
    else
        (void)snprintf(text, len, "%" PRId64 " days", seconds / 86400);
}

void format_when(int64_t wall_seconds, char *text, size_t len)
{
    int64_t now = neo_wall_nsec() / (int64_t)NEO_NSEC_PER_SEC;
    char span[48];

    format_span(wall_seconds > now ? wall_seconds - now : now - wall_seconds, span, sizeof(span));
    if (wall_seconds > now)
        (void)snprintf(text, len, "in %s", span);
    else
        (void)snprintf(text, len, "%s ago", span);
}
