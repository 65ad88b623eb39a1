/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libyaml's events against a schema.
 *
 * The reader keeps a stack of the mappings and lists it is inside of, never
 * deeper than 32, and asks for one event at a time, so that a hostile file is
 * refused at its 33rd bracket: libyaml itself is quadratic in the depth.
 *
 * Each value goes to a slot: a row of the schema and the struct it fills. A
 * mapping opens a frame that waits for keys; a list opens one that makes a new
 * element for whatever comes next. An element stays where it is while it is being
 * filled, for its list grows only when the next one begins.
 */
#include <neo/memory.h>
#include <neo/yaml.h>

#include "base/map.h"
#include "codec/yaml_text.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <yaml.h>

enum { DEEPEST = 32, LARGEST = 1 << 20, MOST_FIELDS = 64 };

/* One row of a schema and the struct that it fills. */
struct slot {
    const struct neo_yaml_field *field;
    uint8_t *base;
};

/* A mapping or list that has begun and not ended. */
struct frame {
    struct slot slot;
    struct neo_place place;
    bool has_key;                     /* a mapping whose next event is a value */
    const struct neo_yaml_field *key; /* STRUCT: of that value */
    uint64_t seen;                    /* STRUCT: which fields came */
    size_t cap;                       /* LIST, MAP: elements there is room for */
    struct map keys;                  /* MAP: keys that came */
};

struct reader {
    yaml_parser_t parser;
    const char *file;
    struct neo_arena *arena;
    struct neo_error *err;
    struct neo_yaml_field root;
    size_t size;
    uint8_t *document;
    struct neo_place place; /* of the document */
    neo_yaml_fn *each;
    void *self;
    struct frame frames[DEEPEST];
    size_t depth;
    size_t unread; /* how deep we are inside a value nobody asked for */
    bool any_document;
    bool done;
};

enum neo_code neo_error_set_at(struct neo_error *err, enum neo_code code, const char *where,
                               struct neo_place place, const char *format, ...)
{
    char message[sizeof(err->message)];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    return neo_error_set(err, code, where, "%s:%u:%u: %s", place.file, place.line, place.column,
                         message);
}

static struct neo_place place_of(const struct reader *r, yaml_mark_t mark)
{
    return (struct neo_place){
        .file = r->file,
        .line = (unsigned)mark.line + 1,
        .column = (unsigned)mark.column + 1,
    };
}

#define refuse(r, place, ...) neo_fail_at((r)->err, NEO_INVALID_ARGUMENT, (place), __VA_ARGS__)

static enum neo_code out_of_memory(struct reader *r, struct neo_place place)
{
    return neo_fail_at(r->err, NEO_RESOURCE_EXHAUSTED, place,
                       "no memory for what follows; split the file");
}

/* The bytes of one element of a list, or of one entry of a map. */
static size_t element_size(const struct neo_yaml_field *field)
{
    assert(field->size > 0);
    return field->size;
}

static bool is_mapping(const struct frame *f)
{
    return f->slot.field->kind != NEO_YAML_LIST;
}

/* Whether the next scalar is a key. */
static bool wants_key(const struct reader *r)
{
    const struct frame *top = r->depth == 0 ? NULL : &r->frames[r->depth - 1];

    return top != NULL && is_mapping(top) && !top->has_key;
}

/* A new, cleared element at the end of the list or map that `f` fills; NULL without memory. */
static uint8_t *add_element(struct reader *r, struct frame *f)
{
    const struct neo_yaml_field *field = f->slot.field;
    struct neo_yaml_list *list = (void *)(f->slot.base + field->offset);
    size_t size = element_size(field);

    if (list->len == f->cap) {
        size_t cap = f->cap == 0 ? 4 : f->cap * 2;
        void *at = neo_arena_calloc(r->arena, cap, size);
        if (at == NULL)
            return NULL;
        if (list->len > 0)
            memcpy(at, list->at, list->len * size);
        list->at = at;
        f->cap = cap;
    }
    return (uint8_t *)list->at + size * list->len++;
}

/* Where the value that begins at `place` goes. */
static enum neo_code next_slot(struct reader *r, struct neo_place place, struct slot *ret)
{
    if (r->depth == 0) {
        *ret = (struct slot){&r->root, r->document};
        return NEO_OK;
    }
    struct frame *top = &r->frames[r->depth - 1];
    const struct neo_yaml_field *field = top->slot.field;

    if (field->kind == NEO_YAML_STRUCT) {
        *ret = (struct slot){top->key, top->slot.base + field->offset};
    } else if (field->kind == NEO_YAML_MAP) {
        struct neo_yaml_list *list = (void *)(top->slot.base + field->offset);
        uint8_t *last = (uint8_t *)list->at + (list->len - 1) * element_size(field);
        *ret = (struct slot){field->element, last};
    } else {
        uint8_t *element = add_element(r, top);
        if (element == NULL)
            return out_of_memory(r, place);
        *ret = (struct slot){field->element, element};
        if (field->element->place != 0)
            memcpy(element + field->element->place - 1, &place, sizeof(place));
    }
    top->has_key = false;
    return NEO_OK;
}

static enum neo_code wrong_type(struct reader *r, struct slot slot, struct neo_place place,
                                const char *found)
{
    const char *wanted =
        yaml_convert(slot.field->kind, (struct neo_bytes){0}, true, r->arena, NULL);

    if (slot.field == &r->root)
        return refuse(r, place, "this is %s; a document must be a mapping (key: value)", found);
    if (slot.field->kind == NEO_YAML_TEXT)
        wanted = "must be one text";
    if (slot.field->key == NULL)
        return refuse(r, place, "this is %s; an element here %s", found, wanted);
    return refuse(r, place, "\"%s\" is %s; it %s", slot.field->key, found, wanted);
}

/* Asks the schema's own check, and puts the place before what it says. */
static enum neo_code run_check(struct reader *r, struct slot slot, struct neo_place place)
{
    struct neo_error err = {0};

    if (slot.field->check == NULL)
        return NEO_OK;
    enum neo_code code = slot.field->check(slot.base + slot.field->offset, &err);
    if (code == NEO_OK)
        return NEO_OK;
    return neo_error_set_at(r->err, code, err.where, place, "%s", err.message);
}

static enum neo_code take_struct_key(struct reader *r, struct frame *top, struct neo_bytes key,
                                     struct neo_place place)
{
    const struct neo_yaml_field *fields = top->slot.field->fields;

    for (size_t i = 0; fields[i].key != NULL; i++) {
        if (!neo_bytes_is(key, fields[i].key))
            continue;
        assert(i < MOST_FIELDS);
        if ((top->seen >> i & 1) != 0)
            return refuse(r, place, "\"%s\" is given twice; keep one", fields[i].key);
        top->seen |= UINT64_C(1) << i;
        top->key = &fields[i];
        top->has_key = true;
        if (fields[i].place != 0)
            memcpy(top->slot.base + top->slot.field->offset + fields[i].place - 1, &place,
                   sizeof(place));
        return NEO_OK;
    }
    const char *nearest = yaml_nearest_key(fields, key);
    if (nearest != NULL)
        return refuse(r, place, "unknown key \"%.*s\"; did you mean \"%s\"?", NEO_FMT(key),
                      nearest);
    return refuse(r, place, "unknown key \"%.*s\"; remove it", NEO_FMT(key));
}

static enum neo_code take_map_key(struct reader *r, struct frame *top, struct neo_bytes key,
                                  struct neo_place place)
{
    if (map_get(&top->keys, key) != NULL)
        return refuse(r, place, "\"%.*s\" is given twice; keep one", NEO_FMT(key));

    uint8_t *entry = add_element(r, top);
    struct neo_bytes copy = neo_arena_copy(r->arena, key);
    if (entry == NULL || copy.at == NULL || !map_put(&top->keys, copy, r))
        return out_of_memory(r, place);
    memcpy(entry, &copy, sizeof(copy));
    memcpy(entry + sizeof(copy), &place, sizeof(place));
    top->has_key = true;
    return NEO_OK;
}

static enum neo_code take_key(struct reader *r, struct neo_bytes key, bool plain,
                              struct neo_place place)
{
    struct frame *top = &r->frames[r->depth - 1];

    if (plain && neo_bytes_is(key, "<<"))
        return refuse(r, place, "merge keys are not allowed; write the values out");
    if (key.len == 0 || !yaml_is_visible(key) || memchr(key.at, '\n', key.len) != NULL)
        return refuse(r, place, "a key must be one line of visible text");
    return top->slot.field->kind == NEO_YAML_STRUCT ? take_struct_key(r, top, key, place)
                                                    : take_map_key(r, top, key, place);
}

static enum neo_code take_scalar(struct reader *r, const yaml_event_t *event)
{
    struct neo_bytes text = neo_bytes(event->data.scalar.value, event->data.scalar.length);
    bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    struct neo_place place = place_of(r, event->start_mark);
    struct slot slot;

    if (r->unread > 0)
        return NEO_OK;
    if (wants_key(r))
        return take_key(r, text, plain, place);
    NEO_TRY(next_slot(r, place, &slot));

    const struct neo_yaml_field *field = slot.field;
    if (field->kind == NEO_YAML_STRUCT || field->kind == NEO_YAML_LIST ||
        field->kind == NEO_YAML_MAP)
        return wrong_type(r, slot, place, "one value");
    const char *wanted =
        yaml_convert(field->kind, text, plain, r->arena, slot.base + field->offset);
    if (wanted != NULL)
        return field->key == NULL ? refuse(r, place, "an element here %s", wanted)
                                  : refuse(r, place, "\"%s\" %s", field->key, wanted);
    if (neo_arena_failed(r->arena))
        return out_of_memory(r, place);
    return run_check(r, slot, place);
}

static enum neo_code begin(struct reader *r, const yaml_event_t *event)
{
    bool mapping = event->type == YAML_MAPPING_START_EVENT;
    struct neo_place place = place_of(r, event->start_mark);
    struct slot slot;

    if (r->depth + r->unread == DEEPEST)
        return refuse(r, place, "nested deeper than %d; flatten the file", DEEPEST);
    if (r->unread > 0) {
        r->unread++;
        return NEO_OK;
    }
    if (wants_key(r))
        return refuse(r, place, "a key must be one line of visible text");
    NEO_TRY(next_slot(r, place, &slot));

    enum neo_yaml_kind kind = slot.field->kind;
    if (kind == NEO_YAML_ANY) {
        r->unread = 1;
        return NEO_OK;
    }
    if (mapping ? kind != NEO_YAML_STRUCT && kind != NEO_YAML_MAP : kind != NEO_YAML_LIST)
        return wrong_type(r, slot, place, mapping ? "a mapping" : "a list");
    if (r->depth == 0)
        r->place = place;
    r->frames[r->depth++] = (struct frame){.slot = slot, .place = place};
    return NEO_OK;
}

static enum neo_code end(struct reader *r)
{
    if (r->unread > 0) {
        r->unread--;
        return NEO_OK;
    }
    struct frame *top = &r->frames[r->depth - 1];
    const struct neo_yaml_field *field = top->slot.field;

    if (field->kind == NEO_YAML_STRUCT)
        for (size_t i = 0; field->fields[i].key != NULL; i++)
            if (field->fields[i].required && (top->seen >> i & 1) == 0)
                return refuse(r, top->place, "\"%s\" is missing; add it", field->fields[i].key);
    NEO_TRY(run_check(r, top->slot, top->place));
    map_fini(&top->keys);
    r->depth--;
    return NEO_OK;
}

static enum neo_code begin_document(struct reader *r, const yaml_event_t *event)
{
    struct neo_place place = place_of(r, event->start_mark);

    if (event->data.document_start.version_directive != NULL ||
        event->data.document_start.tag_directives.start !=
            event->data.document_start.tag_directives.end)
        return refuse(r, place, "directives (%%YAML, %%TAG) are not allowed; remove them");
    r->any_document = true;
    r->document = neo_arena_calloc(r->arena, 1, r->size);
    return r->document == NULL ? out_of_memory(r, place) : NEO_OK;
}

/* What would let one text mean another: names for values, and types beside the schema. */
static enum neo_code refuse_references(struct reader *r, const yaml_event_t *event)
{
    const yaml_char_t *anchor = NULL;
    const yaml_char_t *tag = NULL;

    if (event->type == YAML_SCALAR_EVENT) {
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
    } else if (event->type == YAML_SEQUENCE_START_EVENT) {
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
    } else if (event->type == YAML_MAPPING_START_EVENT) {
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
    }
    if (anchor != NULL || event->type == YAML_ALIAS_EVENT)
        return refuse(r, place_of(r, event->start_mark),
                      "anchors (&) and aliases (*) are not allowed; write the value out, "
                      "or quote it");
    if (tag != NULL)
        return refuse(r, place_of(r, event->start_mark),
                      "tags (!) are not allowed; remove it, or quote the value");
    return NEO_OK;
}

static enum neo_code handle(struct reader *r, const yaml_event_t *event)
{
    NEO_TRY(refuse_references(r, event));
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        return begin_document(r, event);
    case YAML_DOCUMENT_END_EVENT:
        return r->each(r->self, r->document, r->place, r->err);
    case YAML_SCALAR_EVENT:
        return take_scalar(r, event);
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT:
        return begin(r, event);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return end(r);
    case YAML_STREAM_END_EVENT:
        r->done = true;
        return NEO_OK;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_ALIAS_EVENT:
        return NEO_OK;
    }
    return NEO_OK;
}

static enum neo_code syntax_error(struct reader *r)
{
    const yaml_parser_t *p = &r->parser;
    const char *problem = p->problem == NULL ? "this cannot be read" : p->problem;

    if (p->error == YAML_MEMORY_ERROR)
        return out_of_memory(r, place_of(r, p->mark));
    if (p->context == NULL)
        return refuse(r, place_of(r, p->problem_mark), "not valid YAML: %s; correct it", problem);
    return refuse(r, place_of(r, p->problem_mark),
                  "not valid YAML: %s %s (begun in line %zu); "
                  "correct it",
                  problem, p->context, p->context_mark.line + 1);
}

static enum neo_code step(struct reader *r)
{
    NEO_CLEANUP(yaml_event_delete) yaml_event_t event = {0};

    if (yaml_parser_parse(&r->parser, &event) == 0)
        return syntax_error(r);
    return handle(r, &event);
}

static void fini(struct reader *r)
{
    for (size_t i = 0; i < r->depth; i++)
        map_fini(&r->frames[i].keys);
    yaml_parser_delete(&r->parser);
}

static enum neo_code read_all(struct reader *r, struct neo_bytes text)
{
    struct neo_place start = {.file = r->file, .line = 1, .column = 1};

    if (text.len > LARGEST)
        return refuse(r, start, "the file has %zu bytes; at most %d are read, so split it",
                      text.len, LARGEST);
    NEO_TRY(yaml_check_text(text, r->file, r->err));
    if (yaml_parser_initialize(&r->parser) == 0)
        return out_of_memory(r, start);
    yaml_parser_set_encoding(&r->parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r->parser, text.at, text.len);

    enum neo_code code = NEO_OK;
    while (code == NEO_OK && !r->done)
        code = step(r);
    fini(r);
    if (code == NEO_OK && !r->any_document)
        return refuse(r, start, "the file holds nothing; write a document or remove it");
    return code;
}

enum neo_code neo_yaml_read(struct neo_bytes text, const char *file,
                            const struct neo_yaml_field *fields, size_t size,
                            struct neo_arena *arena, neo_yaml_fn *each, void *self,
                            struct neo_error *err)
{
    struct reader r = {
        .file = file,
        .arena = arena,
        .err = err,
        .root = {.kind = NEO_YAML_STRUCT, .fields = fields},
        .size = size,
        .each = each,
        .self = self,
    };

    return read_all(&r, text);
}

/* The root of a document of which only the keys matter. */
struct top_level {
    struct neo_yaml_list entries;
};

struct top_key {
    struct neo_bytes name;
    struct neo_place place;
};

struct key_sink {
    struct neo_bytes *keys;
    size_t max;
    size_t n;
    bool full; /* the first document has been seen */
};

static enum neo_code keep_keys(void *self, void *document, struct neo_place place,
                               struct neo_error *err)
{
    const struct top_level *top = document;
    const struct top_key *entries = top->entries.at;
    struct key_sink *sink = self;

    (void)place;
    (void)err;
    for (size_t i = 0; i < top->entries.len && sink->n < sink->max && !sink->full; i++)
        sink->keys[sink->n++] = entries[i].name;
    sink->full = true;
    return NEO_OK;
}

enum neo_code neo_yaml_keys(struct neo_bytes text, const char *file, struct neo_arena *arena,
                            struct neo_bytes *keys, size_t max, size_t *ret_n,
                            struct neo_error *err)
{
    static const struct neo_yaml_field value = {.kind = NEO_YAML_ANY};
    struct key_sink sink = {.keys = keys, .max = max};
    struct reader r = {
        .file = file,
        .arena = arena,
        .err = err,
        .root = {.kind = NEO_YAML_MAP, .size = sizeof(struct top_key), .element = &value},
        .size = sizeof(struct top_level),
        .each = keep_keys,
        .self = &sink,
    };

    NEO_TRY(read_all(&r, text));
    *ret_n = sink.n;
    return NEO_OK;
}
