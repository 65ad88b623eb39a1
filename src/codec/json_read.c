/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pull reader: the structure of a text. The caller's control flow is the parser's
 * stack, so all that is kept per open container is which sort it is, whether it had a
 * member, and its keys. Strings and numbers are in json_string.c and json_number.c.
 */
#include "codec/json_read.h"
#include "codec/json_number.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

/* --- failing ---------------------------------------------------------------------------------- */

/* Lines and columns count from 1; a column is a byte. Found only when there is something to say. */
static void find_place(const struct neo_json *r, size_t *line, size_t *column)
{
    size_t start = 0;

    *line = 1;
    for (size_t i = 0; i < r->at && i < r->text.len; i++) {
        if (r->text.at[i] == '\n') {
            ++*line;
            start = i + 1;
        }
    }
    *column = r->at - start + 1;
}

NEO_PRINTF(3, 0)
static void record(struct neo_json *r, enum neo_code code, const char *format, va_list args)
{
    char why[sizeof(r->error.message)];
    size_t line;
    size_t column;

    (void)vsnprintf(why, sizeof(why), format, args);
    find_place(r, &line, &column);
    (void)neo_fail(&r->error, code, "%s:%zu:%zu: %s", r->what, line, column, why);
}

void neo_json_refuse(struct neo_json *r, const char *format, ...)
{
    va_list args;

    if (r->error.code != NEO_OK)
        return;
    va_start(args, format);
    record(r, NEO_INVALID_ARGUMENT, format, args);
    va_end(args);
}

bool json_fail(struct neo_json *r, const char *format, ...)
{
    va_list args;

    if (r->error.code != NEO_OK)
        return false;
    va_start(args, format);
    record(r, NEO_INVALID_ARGUMENT, format, args);
    va_end(args);
    return false;
}

bool json_exhausted(struct neo_json *r, const char *format, ...)
{
    va_list args;

    if (r->error.code != NEO_OK)
        return false;
    va_start(args, format);
    record(r, NEO_RESOURCE_EXHAUSTED, format, args);
    va_end(args);
    return false;
}

/* --- looking ---------------------------------------------------------------------------------- */

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* The next byte that is not space; 0 at the end (which no valid text contains outside strings). */
static uint8_t next_byte(struct neo_json *r)
{
    while (r->at < r->text.len && is_space(r->text.at[r->at]))
        r->at++;
    return r->at < r->text.len ? r->text.at[r->at] : 0;
}

static enum neo_json_type type_of(uint8_t c)
{
    switch (c) {
    case '{':
        return NEO_JSON_OBJECT;
    case '[':
        return NEO_JSON_ARRAY;
    case '"':
        return NEO_JSON_STRING;
    case 't':
    case 'f':
        return NEO_JSON_BOOL;
    case 'n':
        return NEO_JSON_NULL;
    default:
        return c == '-' || (c >= '0' && c <= '9') ? NEO_JSON_NUMBER : NEO_JSON_ERROR;
    }
}

static const char *name_of(enum neo_json_type type)
{
    static const char *const names[] = {
        [NEO_JSON_ERROR] = "something else", [NEO_JSON_NULL] = "null",
        [NEO_JSON_BOOL] = "true or false",   [NEO_JSON_NUMBER] = "a number",
        [NEO_JSON_STRING] = "a string",      [NEO_JSON_ARRAY] = "an array",
        [NEO_JSON_OBJECT] = "an object",
    };

    return names[type];
}

static bool refuse_byte(struct neo_json *r, const char *expected)
{
    uint8_t c = next_byte(r);

    if (r->at == r->text.len)
        return json_fail(r, "the text ends where %s should be", expected);
    if (c > ' ' && c < 0x7f)
        return json_fail(r, "'%c' where %s should be", c, expected);
    if (c == 0xef && r->at == 0)
        return json_fail(r, "begins with a byte order mark, remove it");
    return json_fail(r, "byte 0x%02x where %s should be", c, expected);
}

enum neo_json_type neo_json_peek(struct neo_json *r)
{
    if (r->error.code != NEO_OK)
        return NEO_JSON_ERROR;
    enum neo_json_type type = type_of(next_byte(r));
    if (type == NEO_JSON_ERROR)
        (void)refuse_byte(r, "a value");
    return type;
}

static bool expect(struct neo_json *r, enum neo_json_type wanted)
{
    enum neo_json_type type = neo_json_peek(r);

    if (type == wanted)
        return true;
    return json_fail(r, "%s where %s should be", name_of(type), name_of(wanted));
}

/* --- containers ------------------------------------------------------------------------------- */

static struct neo_json_level *top(struct neo_json *r)
{
    return &r->levels[r->depth - 1];
}

static bool push(struct neo_json *r, bool is_object)
{
    if (r->depth == NEO_JSON_DEPTH_MAX)
        return json_fail(r, "nested deeper than %d", NEO_JSON_DEPTH_MAX);
    if (r->levels == NULL)
        r->levels = neo_arena_calloc(r->arena, NEO_JSON_DEPTH_MAX, sizeof(*r->levels));
    if (r->levels == NULL)
        return json_exhausted(r, "the memory budget is spent");
    r->depth++;
    r->at++;

    struct neo_json_level *level = top(r);
    level->is_object = is_object;
    level->has_members = false;
    json_keys_clear(&level->keys);
    return true;
}

/* Before a further member: false at the end, which leaves the container, or on error. */
static bool advance(struct neo_json *r, char end)
{
    struct neo_json_level *level = top(r);
    uint8_t c = next_byte(r);

    if (c == (uint8_t)end) {
        r->at++;
        r->depth--;
        return false;
    }
    if (!level->has_members) {
        level->has_members = true;
        return true;
    }
    if (c != ',')
        return refuse_byte(r, end == '}' ? "',' or '}'" : "',' or ']'");
    r->at++;
    return true;
}

bool neo_json_enter_object(struct neo_json *r)
{
    return expect(r, NEO_JSON_OBJECT) && push(r, true);
}

bool neo_json_enter_array(struct neo_json *r)
{
    return expect(r, NEO_JSON_ARRAY) && push(r, false);
}

static bool remember(struct neo_json *r, struct neo_bytes key)
{
    switch (json_keys_add(&top(r)->keys, r->arena, key)) {
    case JSON_KEYS_NEW:
        return true;
    case JSON_KEYS_TWIN:
        return json_fail(r, "the key \"%.*s\" is there twice", NEO_FMT(key));
    case JSON_KEYS_MEMORY:
        break;
    }
    return json_exhausted(r, "the memory budget is spent");
}

bool neo_json_key(struct neo_json *r, struct neo_bytes *ret)
{
    struct neo_bytes key;

    if (r->error.code != NEO_OK)
        return false;
    assert(r->depth > 0 && top(r)->is_object);
    if (!advance(r, '}'))
        return false;
    if (next_byte(r) != '"')
        return refuse_byte(r, "a key in quotes");
    if (!json_read_string(r, &key) || !remember(r, key))
        return false;
    if (next_byte(r) != ':')
        return refuse_byte(r, "':'");
    r->at++;
    *ret = key;
    return true;
}

bool neo_json_element(struct neo_json *r)
{
    if (r->error.code != NEO_OK)
        return false;
    assert(r->depth > 0 && !top(r)->is_object);
    return advance(r, ']');
}

/* --- values ----------------------------------------------------------------------------------- */

bool neo_json_string(struct neo_json *r, struct neo_bytes *ret)
{
    return expect(r, NEO_JSON_STRING) && json_read_string(r, ret);
}

static bool take_word(struct neo_json *r, struct neo_bytes word)
{
    if (!neo_bytes_starts(neo_bytes_from(r->text, r->at), word))
        return false;
    r->at += word.len;
    return true;
}

bool neo_json_bool(struct neo_json *r, bool *ret)
{
    if (!expect(r, NEO_JSON_BOOL))
        return false;
    if (take_word(r, NEO_LIT("true")))
        *ret = true;
    else if (take_word(r, NEO_LIT("false")))
        *ret = false;
    else
        return json_fail(r, "a word that is neither true, false nor null");
    return true;
}

bool neo_json_null(struct neo_json *r)
{
    if (!expect(r, NEO_JSON_NULL))
        return false;
    return take_word(r, NEO_LIT("null")) ||
           json_fail(r, "a word that is neither true, false nor null");
}

bool neo_json_number(struct neo_json *r, struct neo_bytes *ret)
{
    if (!expect(r, NEO_JSON_NUMBER))
        return false;

    struct neo_bytes rest = neo_bytes_from(r->text, r->at);
    size_t len = json_number_len(rest);
    if (len == 0)
        return json_fail(r, "a malformed number");
    r->at += len;
    *ret = (struct neo_bytes){rest.at, len};
    return true;
}

bool neo_json_i64(struct neo_json *r, int64_t *ret)
{
    size_t from = r->at;
    struct neo_bytes text = {0};

    if (!neo_json_number(r, &text))
        return false;
    enum json_number result = json_number_i64(text, ret);
    if (result == JSON_NUMBER_OK)
        return true;
    r->at = from;
    return json_fail(r, "%.*s %s", NEO_FMT(text), json_number_why(result));
}

bool neo_json_u64(struct neo_json *r, uint64_t *ret)
{
    size_t from = r->at;
    struct neo_bytes text = {0};

    if (!neo_json_number(r, &text))
        return false;
    enum json_number result = json_number_u64(text, ret);
    if (result == JSON_NUMBER_OK)
        return true;
    r->at = from;
    return json_fail(r, "%.*s %s", NEO_FMT(text), json_number_why(result));
}

bool neo_json_double(struct neo_json *r, double *ret)
{
    size_t from = r->at;
    struct neo_bytes text = {0};

    if (!neo_json_number(r, &text))
        return false;
    enum json_number result = json_number_double(text, r->arena, ret);
    if (result == JSON_NUMBER_OK)
        return true;
    r->at = from;
    if (result == JSON_NUMBER_MEMORY)
        return json_exhausted(r, "the memory budget is spent");
    return json_fail(r, "%.*s %s", NEO_FMT(text), json_number_why(result));
}

/* Enters a container or reads a scalar. */
static bool skip_one(struct neo_json *r)
{
    struct neo_bytes ignored;
    bool truth;

    switch (neo_json_peek(r)) {
    case NEO_JSON_OBJECT:
        return neo_json_enter_object(r);
    case NEO_JSON_ARRAY:
        return neo_json_enter_array(r);
    case NEO_JSON_STRING:
        return neo_json_string(r, &ignored);
    case NEO_JSON_NUMBER:
        return neo_json_number(r, &ignored);
    case NEO_JSON_BOOL:
        return neo_json_bool(r, &truth);
    case NEO_JSON_NULL:
        return neo_json_null(r);
    case NEO_JSON_ERROR:
        break;
    }
    return false;
}

bool neo_json_skip(struct neo_json *r)
{
    unsigned outside = r->depth;
    struct neo_bytes key;

    while (skip_one(r)) {
        while (r->depth > outside) {
            if (top(r)->is_object ? neo_json_key(r, &key) : neo_json_element(r))
                break;
            if (r->error.code != NEO_OK)
                return false;
        }
        if (r->depth == outside)
            return true;
    }
    return false;
}

bool neo_json_raw(struct neo_json *r, struct neo_bytes *ret)
{
    if (r->error.code != NEO_OK)
        return false;
    (void)next_byte(r); /* stands at the value now, and no longer before it */
    size_t from = r->at;
    if (!neo_json_skip(r))
        return false;
    *ret = neo_bytes(r->text.at + from, r->at - from);
    return true;
}

/* --- the whole -------------------------------------------------------------------------------- */

void neo_json_init(struct neo_json *r, struct neo_bytes text, const char *what,
                   struct neo_arena *arena)
{
    *r = (struct neo_json){.text = text, .what = what, .arena = arena};
}

enum neo_code neo_json_finish(struct neo_json *r, struct neo_error *err)
{
    if (r->error.code == NEO_OK && r->depth > 0)
        (void)json_fail(r, "a value has not been read to its end");
    if (r->error.code == NEO_OK) {
        (void)next_byte(r);
        if (r->at < r->text.len)
            (void)json_fail(r, "there is more text behind the value");
    }
    if (r->error.code != NEO_OK && err != NULL)
        *err = r->error;
    return r->error.code;
}
