/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo/yaml.h - configuration files, read against a schema.
 *
 * A schema is a table; the reader fills a struct in an arena or says
 * "file:line:column: what is wrong; what to do". Refused: unknown keys, duplicate
 * keys, missing required keys, wrong types, anchors, aliases, tags, merge keys,
 * directives, tabs, invisible characters, depth beyond 32, files beyond 1 MiB.
 * Several documents per file are allowed where the caller asks for them. Scalars
 * are taken as written: `no` is the text "no", never a truth value, unless the
 * schema asks for a bool (true/false only).
 */
#ifndef NEO_YAML_H
#define NEO_YAML_H

#include <neo/arena.h>
#include <neo/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Where something stood, for messages that come later than reading. */
struct neo_place {
    const char *file;
    unsigned line; /* from 1 */
    unsigned column;
};

enum neo_yaml_kind {
    NEO_YAML_TEXT,     /* struct neo_bytes */
    NEO_YAML_BOOL,     /* bool */
    NEO_YAML_U32,      /* uint32_t, decimal */
    NEO_YAML_DURATION, /* neo_nsec: 250ms, 10s, 5m, 24h */
    NEO_YAML_STRUCT,   /* the struct itself, by `fields` */
    NEO_YAML_LIST,     /* struct neo_yaml_list of elements described by `element` */
    NEO_YAML_MAP,      /* struct neo_yaml_list of {struct neo_bytes key; struct neo_place place;
                          element}: any key; `element` follows at `element->offset` */
    NEO_YAML_ANY,      /* whatever it holds, unread and nowhere stored; see `place` */
};

struct neo_yaml_list {
    void *at;
    size_t len;
};

struct neo_yaml_field {
    const char *key; /* NULL ends a table */
    enum neo_yaml_kind kind;
    size_t offset;
    bool required;
    size_t size;                          /* LIST, MAP: bytes per element */
    const struct neo_yaml_field *fields;  /* STRUCT */
    const struct neo_yaml_field *element; /* LIST, MAP: one row, key ignored */
    size_t place; /* offset + 1 of a struct neo_place to be filled with where the key stood, or an
                     element of a list began; 0: none */
    /* Refuses a value with a message, which the reader puts behind its place; may be NULL. */
    enum neo_code (*check)(const void *value, struct neo_error *err);
};

/*
 * Reads `text` (from `file`, for messages) as one or more documents, each a mapping described by
 * `fields`, and hands each filled struct of `size` bytes to `each`; the first failure ends it.
 * Where one document is wanted, `each` refuses the second. What was filled lives in `arena`;
 * every place in it borrows `file`.
 */
typedef enum neo_code neo_yaml_fn(void *self, void *document, struct neo_place place,
                                  struct neo_error *err);
NEO_MUST_CHECK enum neo_code neo_yaml_read(struct neo_bytes text, const char *file,
                                           const struct neo_yaml_field *fields, size_t size,
                                           struct neo_arena *arena, neo_yaml_fn *each, void *self,
                                           struct neo_error *err);

/*
 * The top-level keys of the first document, without judging the rest: to tell what kind of file
 * this is. At most `max` are given.
 */
NEO_MUST_CHECK enum neo_code neo_yaml_keys(struct neo_bytes text, const char *file,
                                           struct neo_arena *arena, struct neo_bytes *keys,
                                           size_t max, size_t *ret_n, struct neo_error *err);

/* As neo_fail(), for something that stands at `place`: the message begins "file:line:column: ". */
#define neo_fail_at(err, code, place, ...)                                                         \
    neo_error_set_at((err), (code), NEO_HERE, (place), __VA_ARGS__)

/* What neo_fail_at() calls. */
NEO_PRINTF(5, 6)
enum neo_code neo_error_set_at(struct neo_error *err, enum neo_code code, const char *where,
                               struct neo_place place, const char *format, ...);

#ifdef __cplusplus
}
#endif

#endif
