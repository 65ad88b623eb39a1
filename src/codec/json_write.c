/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/json_number.h"
#include "codec/utf8.h"

#include <neo/json.h>

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

enum { INDENT = 2, NUMBER_MAX = 32 };

static void put(struct neo_json_writer *w, struct neo_bytes bytes)
{
    (void)neo_buffer_append(w->out, bytes);
}

static void put_line(struct neo_json_writer *w)
{
    static const char spaces[] = "                                ";

    if (!w->pretty)
        return;
    put(w, NEO_LIT("\n"));
    for (size_t left = (size_t)w->depth * INDENT; left > 0;) {
        size_t n = left < sizeof(spaces) - 1 ? left : sizeof(spaces) - 1;
        put(w, neo_bytes(spaces, n));
        left -= n;
    }
}

/* What stands before a key or an element, and before a value nothing. */
static void begin(struct neo_json_writer *w)
{
    if (w->after_key) {
        w->after_key = false;
        return;
    }
    if (w->depth == 0)
        return;
    if (!w->first)
        put(w, NEO_LIT(","));
    w->first = false;
    put_line(w);
}

static void open_container(struct neo_json_writer *w, struct neo_bytes bracket)
{
    begin(w);
    put(w, bracket);
    w->depth++;
    w->first = true;
}

static void close_container(struct neo_json_writer *w, struct neo_bytes bracket)
{
    bool empty = w->first;

    w->depth--;
    w->first = false;
    if (!empty)
        put_line(w);
    put(w, bracket);
}

void neo_json_open_object(struct neo_json_writer *w)
{
    open_container(w, NEO_LIT("{"));
}

void neo_json_close_object(struct neo_json_writer *w)
{
    close_container(w, NEO_LIT("}"));
}

void neo_json_open_array(struct neo_json_writer *w)
{
    open_container(w, NEO_LIT("["));
}

void neo_json_close_array(struct neo_json_writer *w)
{
    close_container(w, NEO_LIT("]"));
}

/* --- strings ---------------------------------------------------------------------------------- */

static bool is_plain(uint8_t c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

static void put_escape(struct neo_json_writer *w, uint8_t c)
{
    static const char short_forms[] = "btn\0fr";

    if (c == '"' || c == '\\')
        (void)neo_buffer_printf(w->out, "\\%c", c);
    else if (c >= '\b' && c <= '\r' && short_forms[c - '\b'] != '\0')
        (void)neo_buffer_printf(w->out, "\\%c", short_forms[c - '\b']);
    else
        (void)neo_buffer_printf(w->out, "\\u%04x", c);
}

static void put_quoted(struct neo_json_writer *w, struct neo_bytes text)
{
    put(w, NEO_LIT("\""));
    while (text.len > 0) {
        size_t plain = 0;

        while (plain < text.len && is_plain(text.at[plain]))
            plain++;
        if (plain > 0) {
            put(w, neo_bytes(text.at, plain));
            text = neo_bytes_from(text, plain);
            continue;
        }
        size_t len = utf8_sequence_len(text.at, text.len);
        if (len == 0) {
            put(w, NEO_LIT("\xef\xbf\xbd"));
            len = 1;
        } else if (len == 1) {
            put_escape(w, text.at[0]);
        } else {
            put(w, neo_bytes(text.at, len));
        }
        text = neo_bytes_from(text, len);
    }
    put(w, NEO_LIT("\""));
}

void neo_json_put_key_bytes(struct neo_json_writer *w, struct neo_bytes key)
{
    begin(w);
    put_quoted(w, key);
    put(w, w->pretty ? NEO_LIT(": ") : NEO_LIT(":"));
    w->after_key = true;
}

void neo_json_put_key(struct neo_json_writer *w, const char *key)
{
    neo_json_put_key_bytes(w, neo_text(key));
}

void neo_json_put_string(struct neo_json_writer *w, struct neo_bytes text)
{
    begin(w);
    put_quoted(w, text);
}

void neo_json_put_text(struct neo_json_writer *w, const char *text)
{
    neo_json_put_string(w, neo_text(text));
}

/* --- the rest --------------------------------------------------------------------------------- */

void neo_json_put_raw(struct neo_json_writer *w, struct neo_bytes json)
{
    begin(w);
    put(w, json);
}

void neo_json_put_i64(struct neo_json_writer *w, int64_t value)
{
    char text[NUMBER_MAX];
    int len = snprintf(text, sizeof(text), "%" PRId64, value);

    neo_json_put_raw(w, neo_bytes(text, (size_t)len));
}

void neo_json_put_u64(struct neo_json_writer *w, uint64_t value)
{
    char text[NUMBER_MAX];
    int len = snprintf(text, sizeof(text), "%" PRIu64, value);

    neo_json_put_raw(w, neo_bytes(text, (size_t)len));
}

void neo_json_put_double(struct neo_json_writer *w, double value)
{
    char text[JSON_DOUBLE_MAX];

    if (!isfinite(value)) {
        neo_json_put_null(w); /* JSON has no other word for it */
        return;
    }
    neo_json_put_raw(w, neo_bytes(text, json_number_print_double(value, text)));
}

void neo_json_put_bool(struct neo_json_writer *w, bool value)
{
    neo_json_put_raw(w, value ? NEO_LIT("true") : NEO_LIT("false"));
}

void neo_json_put_null(struct neo_json_writer *w)
{
    neo_json_put_raw(w, NEO_LIT("null"));
}
