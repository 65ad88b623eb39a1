/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line is built in a fixed buffer on the stack and leaves in one write, so that
 * lines of several threads and processes never mix. What does not fit is cut at a
 * field, never in the middle of an escape.
 */
#include <neo/log.h>

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_LEN = 4096, FIELD_MAX_LEN = 256 };

struct line {
    char text[LINE_MAX_LEN];
    size_t len;
    bool full;
};

static const char *const level_names[] = {"debug", "info", "warn", "error", "off"};

static void put(struct line *l, const char *text, size_t len)
{
    if (l->full || len > sizeof(l->text) - 2 - l->len) {
        l->full = true;
        return;
    }
    memcpy(l->text + l->len, text, len);
    l->len += len;
}

static void put_text(struct line *l, const char *text)
{
    put(l, text, strlen(text));
}

__attribute__((format(printf, 2, 3))) static void put_format(struct line *l, const char *format,
                                                             ...)
{
    char text[64];
    va_list args;

    va_start(args, format);
    int len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (len > 0)
        put(l, text, (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1);
}

static void put_escaped(struct line *l, struct neo_bytes bytes)
{
    size_t shown = bytes.len > FIELD_MAX_LEN ? FIELD_MAX_LEN : bytes.len;

    put_text(l, "\"");
    for (size_t i = 0; i < shown; i++) {
        uint8_t c = bytes.at[i];
        if (c == '"' || c == '\\')
            put_format(l, "\\%c", c);
        else if (c >= 0x20 && c < 0x7f)
            put(l, (const char *)&c, 1);
        else
            put_format(l, "\\u%04x", c);
    }
    put_text(l, "\"");
}

static void put_value(struct line *l, const struct neo_field *f)
{
    switch (f->type) {
    case NEO_FIELD_STR:
        put_escaped(l, neo_text(f->str));
        return;
    case NEO_FIELD_BYTES:
        put_escaped(l, f->bytes);
        return;
    case NEO_FIELD_U64:
        put_format(l, "%" PRIu64, f->u64);
        return;
    case NEO_FIELD_I64:
        put_format(l, "%" PRId64, f->i64);
        return;
    case NEO_FIELD_BOOL:
        put_text(l, f->flag ? "true" : "false");
        return;
    }
}

static void put_time(struct line *l, int64_t nsec)
{
    time_t seconds = (time_t)(nsec / 1000000000);
    struct tm tm;
    char text[32];

    if (gmtime_r(&seconds, &tm) == NULL || strftime(text, sizeof(text), "%FT%T", &tm) == 0)
        return;
    put_format(l, "%s.%06dZ", text, (int)(nsec % 1000000000 / 1000));
}

static void put_json(struct line *l, const struct neo_log *log, enum neo_log_level level,
                     const char *event, const struct neo_field fields[])
{
    put_text(l, "{\"ts\":\"");
    put_time(l, log->wall_nsec == NULL ? 0 : log->wall_nsec());
    put_format(l, "\",\"level\":\"%s\"", level_names[level]);
    if (log->service != NULL) {
        put_text(l, ",\"service\":");
        put_escaped(l, neo_text(log->service));
    }
    put_text(l, ",\"event\":");
    put_escaped(l, neo_text(event));
    for (const struct neo_field *f = fields; f->name != NULL; f++) {
        size_t before = l->len;
        put_format(l, ",\"%s\":", f->name);
        put_value(l, f);
        if (l->full) {
            l->len = before;
            break;
        }
    }
    l->full = false;
    l->text[l->len++] = '}'; /* put() always leaves room for two */
}

static void put_pretty(struct line *l, const struct neo_log *log, enum neo_log_level level,
                       const char *event, const struct neo_field fields[])
{
    put_format(l, "%-5s %s", level_names[level], event);
    (void)log;
    for (const struct neo_field *f = fields; f->name != NULL && !l->full; f++) {
        put_format(l, "  %s=", f->name);
        put_value(l, f);
    }
}

void neo_log_emit(const struct neo_log *log, enum neo_log_level level, const char *event,
                  const struct neo_field fields[])
{
    struct line l = {.len = 0};

    if (log->pretty)
        put_pretty(&l, log, level, event, fields);
    else
        put_json(&l, log, level, event, fields);
    l.text[l.len++] = '\n';

    /* A log that cannot be written has nowhere to say so. */
    ssize_t written = write(log->fd, l.text, l.len);
    (void)written;
}

bool neo_log_level_parse(const char *text, enum neo_log_level *ret)
{
    for (size_t i = 0; i < NEO_COUNT(level_names); i++)
        if (strcmp(text, level_names[i]) == 0) {
            *ret = (enum neo_log_level)i;
            return true;
        }
    return false;
}
