/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo/json.h - a strict JSON reader that is pulled, and a writer.
 *
 * The reader (RFC 8259) refuses duplicate keys, depth beyond 64, NaN, leading
 * zeros, lone surrogates, invalid UTF-8, a BOM and trailing bytes. It allocates
 * from the arena only for strings that hold escapes and for the keys seen in the
 * objects that are open.
 *
 *     struct neo_json r;
 *     neo_json_init(&r, text, "file.json", &arena);
 *     neo_json_expect_object(&r) ... while (neo_json_key(&r, &key)) ...
 *
 * Errors stick: after the first, every call returns false or an empty value, and
 * neo_json_finish() gives the first error, with what:line:column.
 */
#ifndef NEO_JSON_H
#define NEO_JSON_H

#include <neo/arena.h>
#include <neo/buffer.h>
#include <neo/error.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { NEO_JSON_DEPTH_MAX = 64 };

enum neo_json_type {
    NEO_JSON_ERROR,
    NEO_JSON_NULL,
    NEO_JSON_BOOL,
    NEO_JSON_NUMBER,
    NEO_JSON_STRING,
    NEO_JSON_ARRAY,
    NEO_JSON_OBJECT,
};

struct neo_json_level;
struct neo_json {
    /* private */
    struct neo_bytes text;
    size_t at;
    const char *what;
    struct neo_arena *arena;
    unsigned depth;
    struct neo_json_level *levels;
    struct neo_error error;
};

/* Reads `text`, which is borrowed; `what` names it in errors. Strings that hold escapes go to
   `arena`. */
void neo_json_init(struct neo_json *r, struct neo_bytes text, const char *what,
                   struct neo_arena *arena);
/* The type of the value that comes next; reads nothing. */
enum neo_json_type neo_json_peek(struct neo_json *r);

/* Each reads one thing; false when something else is there, which neo_json_finish() then
   reports. */
bool neo_json_enter_object(struct neo_json *r);
/* The next key of the open object; false at its end (which leaves it) or on error. */
bool neo_json_key(struct neo_json *r, struct neo_bytes *ret);
bool neo_json_enter_array(struct neo_json *r);
/* Whether the open array has another element; false at its end (which leaves it) or on error. */
bool neo_json_element(struct neo_json *r);

/* A string is borrowed where it can be, and else in the arena. */
bool neo_json_string(struct neo_json *r, struct neo_bytes *ret);
bool neo_json_bool(struct neo_json *r, bool *ret);
bool neo_json_null(struct neo_json *r);
/* The text of a number, checked against the grammar. */
bool neo_json_number(struct neo_json *r, struct neo_bytes *ret);
/* Exact; a fraction or a value out of range is an error. */
bool neo_json_i64(struct neo_json *r, int64_t *ret);
bool neo_json_u64(struct neo_json *r, uint64_t *ret);
bool neo_json_double(struct neo_json *r, double *ret);
/* Skips the next value, whatever it is, without recursion. */
bool neo_json_skip(struct neo_json *r);
/* Skips it as well, and gives its text as it stands; borrows the reader's. */
bool neo_json_raw(struct neo_json *r, struct neo_bytes *ret);
/* Records an error of the caller's at the present place. */
NEO_PRINTF(2, 3) void neo_json_refuse(struct neo_json *r, const char *format, ...);
/* OK when all was read and nothing was wrong. */
NEO_MUST_CHECK enum neo_code neo_json_finish(struct neo_json *r, struct neo_error *err);

/* --- writing: commas, colons and escapes are the writer's business ---------------------------- */

struct neo_json_writer {
    struct neo_buffer *out; /* borrowed; its `failed` is the writer's */
    bool pretty;
    /* private */
    unsigned depth;
    bool first;
    bool after_key;
};

/* Each writes one thing. What does not fit together is the caller's mistake. */
void neo_json_open_object(struct neo_json_writer *w);
void neo_json_close_object(struct neo_json_writer *w);
void neo_json_open_array(struct neo_json_writer *w);
void neo_json_close_array(struct neo_json_writer *w);
void neo_json_put_key(struct neo_json_writer *w, const char *key);
void neo_json_put_key_bytes(struct neo_json_writer *w, struct neo_bytes key);
/* Invalid UTF-8 is written as U+FFFD. */
void neo_json_put_string(struct neo_json_writer *w, struct neo_bytes text);
void neo_json_put_text(struct neo_json_writer *w, const char *text);
void neo_json_put_i64(struct neo_json_writer *w, int64_t value);
void neo_json_put_u64(struct neo_json_writer *w, uint64_t value);
void neo_json_put_double(struct neo_json_writer *w, double value);
void neo_json_put_bool(struct neo_json_writer *w, bool value);
void neo_json_put_null(struct neo_json_writer *w);
/* Text that already is JSON. */
void neo_json_put_raw(struct neo_json_writer *w, struct neo_bytes json);

#ifdef __cplusplus
}
#endif

#endif
