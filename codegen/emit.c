/* SPDX-License-Identifier: Apache-2.0 */
#include "emit.h"

#include "names.h"

#include <stdarg.h>
#include <stdio.h>

enum { LINE_MAX_LEN = 512, SAME_LINE_MAX = 60 };

void emit(const struct emit *e, const char *format, ...)
{
    char line[LINE_MAX_LEN];
    va_list args;

    va_start(args, format);
    int len = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    if (len >= 0 && (size_t)len < sizeof(line)) {
        (void)neo_buffer_append(e->out, neo_bytes(line, (size_t)len));
        return;
    }
    char *at = len < 0 ? NULL : (char *)neo_buffer_reserve(e->out, (size_t)len + 1);
    e->out->failed |= at == NULL;
    if (at == NULL)
        return;
    va_start(args, format);
    (void)vsnprintf(at, (size_t)len + 1, format, args);
    va_end(args);
    e->out->len += (size_t)len;
}

static struct neo_bytes trim(struct neo_bytes text)
{
    while (text.len > 0 &&
           (text.at[0] == ' ' || text.at[0] == '\t' || text.at[0] == '\n' || text.at[0] == '\r'))
        text = neo_bytes_from(text, 1);
    while (text.len > 0 && (text.at[text.len - 1] == ' ' || text.at[text.len - 1] == '\t' ||
                            text.at[text.len - 1] == '\n' || text.at[text.len - 1] == '\r'))
        text.len--;
    return text;
}

/* Whether byte `i` must not stand beside what is before it: the ends of comments, and the trigraph
 * of a backslash. */
static bool is_apart(struct neo_bytes text, size_t i)
{
    char c = (char)text.at[i];
    char before = i == 0 ? '\0' : (char)text.at[i - 1];

    return (before == '*' && c == '/') || (before == '/' && c == '*') ||
           (c == '/' && i > 1 && before == '?' && text.at[i - 2] == '?');
}

/*
 * What turns the direction of text around is named in place of being there: a reader would see
 * other code than the compiler does.
 */
static void put_comment_text(const struct emit *e, struct neo_bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned direction = names_direction(neo_bytes_from(text, i));

        if (direction != 0) {
            emit(e, "<U+%04X>", direction);
            i += 2;
            continue;
        }
        if (is_apart(text, i))
            (void)neo_buffer_append_byte(e->out, ' ');
        /* To some compilers a CR alone is the end of a line, which a backslash takes away. */
        bool is_control = (text.at[i] < ' ' && text.at[i] != '\t') || text.at[i] == 0x7f;
        (void)neo_buffer_append_byte(e->out, is_control ? ' ' : text.at[i]);
    }
}

void emit_origin(const struct emit *e)
{
    emit(e, "/* Made by protoc-gen-neo from ");
    put_comment_text(e, neo_text(e->file->name));
    emit(e, ". Do not edit. */\n");
}

static struct neo_bytes next_line(struct neo_bytes *text)
{
    const uint8_t *newline = memchr(text->at, '\n', text->len);
    struct neo_bytes line = *text;

    if (newline == NULL) {
        text->len = 0;
        return line;
    }
    line.len = (size_t)(newline - text->at);
    *text = neo_bytes_from(*text, line.len + 1);
    while (line.len > 0 && (line.at[line.len - 1] == ' ' || line.at[line.len - 1] == '\r'))
        line.len--;
    return line;
}

void emit_comment(const struct emit *e, const char *indent, struct neo_bytes text)
{
    text = trim(text);
    if (text.len == 0)
        return;
    if (memchr(text.at, '\n', text.len) == NULL) {
        emit(e, "%s/* ", indent);
        put_comment_text(e, text);
        emit(e, " */\n");
        return;
    }
    emit(e, "%s/*\n", indent);
    while (text.len > 0) {
        struct neo_bytes line = next_line(&text);

        if (line.len > 0 && line.at[0] == ' ')
            line = neo_bytes_from(line, 1);
        emit(e, "%s *%s", indent, line.len > 0 ? " " : "");
        put_comment_text(e, line);
        emit(e, "\n");
    }
    emit(e, "%s */\n", indent);
}

void emit_trailing(const struct emit *e, const char *indent, struct neo_bytes text)
{
    text = trim(text);
    if (text.len == 0) {
        emit(e, "\n");
        return;
    }
    if (text.len <= SAME_LINE_MAX && memchr(text.at, '\n', text.len) == NULL) {
        emit(e, " /* ");
        put_comment_text(e, text);
        emit(e, " */\n");
        return;
    }
    emit(e, "\n");
    emit_comment(e, indent, text);
}
