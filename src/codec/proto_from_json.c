/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From ProtoJSON into structs: the mirror of proto_to_json.c.
 *
 * A frame is a JSON object, array or map that is being read. To read an Any its type
 * must be known before its fields, wherever "@type" stands; a second reader runs ahead
 * to find it. What it may run in all is bounded, for Anys within Anys would be run
 * over once per level.
 */
#include "codec/proto_extension.h"
#include "codec/proto_json.h"

#include <neo/extension.h>

#include <stdio.h>

enum { PATH_MAX_LEN = 128, PROBE_FREE = 65536 };

struct frame {
    const struct neo_message_info *info;
    uint8_t *message;
    const struct neo_field_info *field; /* being read; NULL: none yet */
    size_t element;                     /* how many of `field`, which is repeated, were begun */
    bool in_repeated;
    bool transparent;                        /* not an object: field 1 is all there is */
    uint64_t *seen;                          /* a bit for each field that was there */
    const struct neo_message_info *any_info; /* of the Any that `message` goes into; or NULL */
    uint8_t *any;
    struct neo_bytes url;
    bool is_value; /* within an Any: all of it is the key "value" */
    bool has_value;
    bool is_extension; /* no object: `message` is the holder of an extension of the frame below */
};

struct parser {
    struct neo_json r;
    struct neo_json_level *probe_levels;
    size_t probed; /* bytes the second reader has read */
    unsigned flags;
    const struct neo_file_info *file;
    const uint8_t *shrunk; /* the array that an element was taken back from last */
    unsigned depth;
    struct frame frames[NEO_PROTO_DEPTH_MAX + 1];
};

static bool out_of_memory(struct parser *p)
{
    return json_exhausted(&p->r, "the memory budget is spent");
}

static struct frame *push(struct parser *p, const struct neo_message_info *info, uint8_t *message)
{
    if (p->depth > NEO_PROTO_DEPTH_MAX) {
        (void)json_fail(&p->r, "nested deeper than 100 messages");
        return NULL;
    }
    struct frame *f = &p->frames[p->depth];
    *f = (struct frame){.info = info, .message = message};
    f->seen = neo_arena_calloc(p->r.arena, (info->n_fields + 63) / 64, sizeof(*f->seen));
    if (f->seen == NULL) {
        (void)out_of_memory(p);
        return NULL;
    }
    p->depth++;
    return f;
}

static void *new_message(struct parser *p, const struct neo_message_info *info, void *slot)
{
    void *message = neo_arena_calloc(p->r.arena, 1, info->size);

    if (message == NULL)
        (void)out_of_memory(p);
    else
        memcpy(slot, &message, sizeof(message));
    return message;
}

/* --- messages --------------------------------------------------------------------------------- */

static bool begin_object(struct parser *p, const struct neo_message_info *info, uint8_t *message)
{
    return neo_json_enter_object(&p->r) && push(p, info, message) != NULL;
}

/* A message that is the value of its repeated field 1. */
static bool begin_repeated(struct parser *p, const struct neo_message_info *info, uint8_t *message)
{
    const struct neo_field_info *field = proto_field(info, PROTO_JSON_FIRST);
    struct frame *f;

    if (!(field->flags & NEO_FIELD_MAP ? neo_json_enter_object(&p->r)
                                       : neo_json_enter_array(&p->r)))
        return false;
    f = push(p, info, message);
    if (f == NULL)
        return false;
    f->transparent = true;
    f->in_repeated = true;
    f->field = field;
    return true;
}

static bool read_scalar_member(struct parser *p, const struct neo_message_info *info,
                               uint8_t *message, uint32_t number)
{
    const struct neo_field_info *field = proto_field(info, number);

    if (proto_json_scalar(&p->r, field, p->flags, message + field->offset) != PROTO_JSON_DONE)
        return false;
    proto_mark(info, field, message);
    return true;
}

static bool begin_value_member(struct parser *p, const struct neo_message_info *info,
                               uint8_t *message, uint32_t number)
{
    const struct neo_field_info *field = proto_field(info, number);
    enum proto_wkt wanted = number == WKT_VALUE_STRUCT ? WKT_STRUCT : WKT_LIST;

    if (proto_wkt_of(field->message) != wanted)
        return json_fail(&p->r, "the tables of google.protobuf.Value are not protobuf's");
    proto_mark(info, field, message);
    uint8_t *inner = new_message(p, field->message, message + field->offset);
    return inner != NULL && begin_repeated(p, field->message, inner);
}

static bool read_value(struct parser *p, const struct neo_message_info *info, uint8_t *message)
{
    const struct neo_field_info *null = proto_field(info, WKT_VALUE_NULL);

    switch (neo_json_peek(&p->r)) {
    case NEO_JSON_NULL:
        proto_mark(info, null, message);
        return neo_json_null(&p->r);
    case NEO_JSON_NUMBER:
        return read_scalar_member(p, info, message, WKT_VALUE_NUMBER);
    case NEO_JSON_STRING:
        return read_scalar_member(p, info, message, WKT_VALUE_STRING);
    case NEO_JSON_BOOL:
        return read_scalar_member(p, info, message, WKT_VALUE_BOOL);
    case NEO_JSON_OBJECT:
        return begin_value_member(p, info, message, WKT_VALUE_STRUCT);
    case NEO_JSON_ARRAY:
        return begin_value_member(p, info, message, WKT_VALUE_LIST);
    case NEO_JSON_ERROR:
        break;
    }
    return false;
}

/* --- Any -------------------------------------------------------------------------------------- */

/* Finds "@type" in the object that comes next, without reading it. Empty: the object is. */
static bool find_type(struct parser *p, struct neo_bytes *ret)
{
    struct neo_json probe;
    struct neo_bytes key;
    bool found = false;
    bool empty = true;

    neo_json_init(&probe, p->r.text, p->r.what, p->r.arena);
    probe.at = p->r.at;
    probe.levels = p->probe_levels;
    *ret = (struct neo_bytes){0};
    if (neo_json_enter_object(&probe)) {
        while (!found && neo_json_key(&probe, &key)) {
            empty = false;
            found = neo_bytes_is(key, "@type");
            if (!(found ? neo_json_string(&probe, ret) : neo_json_skip(&probe)))
                break;
        }
    }
    p->probe_levels = probe.levels;
    p->probed += probe.at - p->r.at;
    if (probe.error.code != NEO_OK) {
        p->r.error = probe.error;
        return false;
    }
    if (p->probed > p->r.text.len + PROBE_FREE)
        return json_fail(&p->r, "\"@type\" must be the first key of the Anys here");
    return found || empty || json_fail(&p->r, "an Any needs a key \"@type\"");
}

static bool begin_any(struct parser *p, const struct neo_message_info *info, uint8_t *message)
{
    struct neo_bytes url;
    uint8_t *inner = NULL;

    if (!find_type(p, &url))
        return false;
    if (url.at == NULL)
        return neo_json_skip(&p->r);
    const struct neo_message_info *type = proto_wkt_resolve(p->file, url);
    if (type == NULL)
        return json_fail(&p->r, "the type '%.*s' of an Any is not known here", NEO_FMT(url));
    if (!neo_json_enter_object(&p->r) || new_message(p, type, &inner) == NULL)
        return false;
    struct frame *f = push(p, type, inner);
    if (f == NULL)
        return false;
    f->any = message;
    f->any_info = info;
    f->url = neo_arena_copy(p->r.arena, url);
    f->is_value = proto_wkt_of(type) != WKT_NONE;
    return !neo_arena_failed(p->r.arena) || out_of_memory(p);
}

/* The inner message is complete: its bytes become the Any's value. */
static bool end_any(struct parser *p, const struct frame *f)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer wire = {0};
    struct neo_error err;

    if (f->is_value && !f->has_value)
        return json_fail(&p->r, "an Any of type %s needs a key \"value\"", f->info->full_name);
    enum neo_code code = neo_proto_encode(f->info, f->message, &wire, &err);
    if (code == NEO_INVALID_ARGUMENT)
        return json_fail(&p->r, "%s", err.message);
    struct neo_bytes value = neo_arena_copy(p->r.arena, neo_buffer_bytes(&wire));
    if (code != NEO_OK || neo_arena_failed(p->r.arena))
        return out_of_memory(p);
    memcpy(f->any + proto_field(f->any_info, PROTO_JSON_FIRST)->offset, &f->url, sizeof(f->url));
    memcpy(f->any + proto_field(f->any_info, PROTO_JSON_SECOND)->offset, &value, sizeof(value));
    return true;
}

/* Reads the message, or begins to: what is left is pushed. */
static bool read_message(struct parser *p, const struct neo_message_info *info, uint8_t *message)
{
    switch (proto_wkt_of(info)) {
    case WKT_NONE:
        return begin_object(p, info, message);
    case WKT_ANY:
        return begin_any(p, info, message);
    case WKT_TIMESTAMP:
        return proto_json_timestamp(&p->r, info, message);
    case WKT_DURATION:
        return proto_json_duration(&p->r, info, message);
    case WKT_FIELD_MASK:
        return proto_json_field_mask(&p->r, info, message);
    case WKT_STRUCT:
    case WKT_LIST:
        return begin_repeated(p, info, message);
    case WKT_VALUE:
        return read_value(p, info, message);
    case WKT_WRAPPER:
        return read_scalar_member(p, info, message, PROTO_JSON_FIRST);
    }
    return false;
}

/* --- repeated fields -------------------------------------------------------------------------- */

/* One value into the slot: of an element, or of an entry. */
static enum proto_json_read read_into(struct parser *p, const struct neo_field_info *field,
                                      void *slot)
{
    if (field->kind != NEO_KIND_MESSAGE)
        return proto_json_scalar(&p->r, field, p->flags, slot);
    uint8_t *message = new_message(p, field->message, slot);
    return message != NULL && read_message(p, field->message, message) ? PROTO_JSON_DONE
                                                                       : PROTO_JSON_FAILED;
}

/* The next key of a map or element of an array; false at its end or on failure. */
static bool next_element(struct parser *p, const struct frame *f, struct neo_bytes *ret_key)
{
    return f->field->flags & NEO_FIELD_MAP ? neo_json_key(&p->r, ret_key) : neo_json_element(&p->r);
}

static bool read_element(struct parser *p, struct frame *f, struct neo_bytes key)
{
    const struct neo_field_info *field = f->field;
    size_t size = proto_element_size(field);
    struct wire_array array = proto_array(field, f->message);
    uint8_t *slot = proto_array_push(p->r.arena, &array, size, &p->shrunk);

    if (slot == NULL)
        return out_of_memory(p);
    f->element++;
    memset(slot, 0, size);
    memcpy(f->message + field->offset, &array, sizeof(array));
    const struct neo_field_info *value = field;
    if (field->flags & NEO_FIELD_MAP) {
        const struct neo_field_info *key_field = proto_field(field->message, PROTO_JSON_FIRST);

        if (!proto_json_map_key(&p->r, key_field, key, slot + key_field->offset))
            return false;
        value = proto_field(field->message, PROTO_JSON_SECOND);
        slot += value->offset;
    }
    enum proto_json_read result = read_into(p, value, slot);
    if (result == PROTO_JSON_UNKNOWN) {
        proto_array_pop(&array, &p->shrunk);
        memcpy(f->message + field->offset, &array, sizeof(array));
    }
    return result != PROTO_JSON_FAILED;
}

/* Keys that differ as text may be equal as numbers. */
static bool end_repeated(struct parser *p, struct frame *f)
{
    size_t before = proto_array(f->field, f->message).len;

    if (f->field->flags & NEO_FIELD_MAP) {
        if (!proto_map_finish(p->r.arena, f->field, f->message))
            return out_of_memory(p);
        if (proto_array(f->field, f->message).len < before)
            return json_fail(&p->r, "two keys of a map are the same number");
    }
    f->in_repeated = false;
    return true;
}

/* --- fields ----------------------------------------------------------------------------------- */

/* The first byte tells most names apart, and costs least. */
static bool is_named(struct neo_bytes key, const char *name)
{
    return key.len > 0 && key.at[0] == (uint8_t)name[0] && neo_bytes_is(key, name);
}

/* By either of its names. Keys mostly come in the order of the table, so look behind the last. */
static const struct neo_field_info *find_field(const struct frame *f, struct neo_bytes key)
{
    uint32_t n = f->info->n_fields;
    uint32_t start = f->field == NULL ? 0 : (uint32_t)(f->field - f->info->fields) + 1;

    for (uint32_t i = 0; i < n; i++) {
        const struct neo_field_info *field = &f->info->fields[(start + i) % n];
        if (is_named(key, field->json_name) || is_named(key, field->name))
            return field;
    }
    return NULL;
}

static bool accepts_null(const struct neo_field_info *field)
{
    if (field->flags & NEO_FIELD_REPEATED)
        return false;
    return proto_wkt_is_null(field) ||
           (field->kind == NEO_KIND_MESSAGE && proto_wkt_of(field->message) == WKT_VALUE);
}

static bool is_oneof_taken(const struct neo_field_info *field, const uint8_t *message)
{
    int32_t number;

    if (!(field->flags & NEO_FIELD_ONEOF))
        return false;
    memcpy(&number, message + field->presence, sizeof(number));
    return number != 0;
}

static bool read_field(struct parser *p, struct frame *f, const struct neo_field_info *field)
{
    size_t bit = (size_t)(field - f->info->fields);

    f->field = field;
    f->element = 0;
    if (f->seen[bit / 64] >> (bit % 64) & 1)
        return json_fail(&p->r, "the field is there twice, under both of its names");
    f->seen[bit / 64] |= UINT64_C(1) << (bit % 64);
    if (neo_json_peek(&p->r) == NEO_JSON_NULL && !accepts_null(field))
        return neo_json_null(&p->r);
    if (field->flags & NEO_FIELD_REPEATED) {
        f->in_repeated = true;
        return field->flags & NEO_FIELD_MAP ? neo_json_enter_object(&p->r)
                                            : neo_json_enter_array(&p->r);
    }
    if (is_oneof_taken(field, f->message))
        return json_fail(&p->r, "another field of the same oneof is there too");
    enum proto_json_read result = read_into(p, field, f->message + field->offset);
    if (result == PROTO_JSON_DONE)
        proto_mark(f->info, field, f->message);
    return result != PROTO_JSON_FAILED;
}

/* --- extensions ------------------------------------------------------------------------------- */

/* "[package.name]": the holder of that extension of `info`, or NULL. */
static const struct neo_message_info *find_extension(const struct parser *p,
                                                     const struct neo_message_info *info,
                                                     struct neo_bytes key)
{
    if (key.len < 3 || key.at[0] != '[' || key.at[key.len - 1] != ']' ||
        !(info->traits & NEO_MESSAGE_UNKNOWN))
        return NULL;
    return proto_extension_named(p->file, info, neo_bytes(key.at + 1, key.len - 2));
}

static bool begin_extension(struct parser *p, const struct neo_message_info *holder)
{
    uint8_t *message = neo_arena_calloc(p->r.arena, 1, holder->size);

    if (message == NULL)
        return out_of_memory(p);
    struct frame *f = push(p, holder, message);
    if (f == NULL)
        return false;
    f->is_extension = true;
    return read_field(p, f, &holder->fields[0]);
}

/* It is complete: its bytes join the unknown fields of what it extends. */
static bool end_extension(struct parser *p, const struct frame *f)
{
    const struct frame *extended = f - 1;
    uint8_t *slot = extended->message + extended->info->unknown;
    struct neo_bytes unknown;
    struct neo_error err;

    memcpy(&unknown, slot, sizeof(unknown));
    enum neo_code code = neo_proto_extend(f->info, f->message, &unknown, p->r.arena, &err);
    if (code == NEO_INVALID_ARGUMENT)
        return json_fail(&p->r, "%s", err.message);
    memcpy(slot, &unknown, sizeof(unknown));
    return code == NEO_OK || out_of_memory(p);
}

static bool read_unknown(struct parser *p, struct neo_bytes key)
{
    if (p->flags & NEO_JSON_IGNORE_UNKNOWN)
        return neo_json_skip(&p->r);
    return json_fail(&p->r, "the key \"%.*s\" is not a field of %s", NEO_FMT(key),
                     p->frames[p->depth - 1].info->full_name);
}

static bool read_key(struct parser *p, struct frame *f, struct neo_bytes key)
{
    struct neo_bytes ignored;

    if (f->any != NULL && neo_bytes_is(key, "@type"))
        return neo_json_string(&p->r, &ignored);
    if (f->is_value) {
        if (!neo_bytes_is(key, "value"))
            return read_unknown(p, key);
        f->has_value = true;
        return read_message(p, f->info, f->message);
    }
    const struct neo_field_info *field = find_field(f, key);
    if (field != NULL)
        return read_field(p, f, field);
    const struct neo_message_info *holder = find_extension(p, f->info, key);
    return holder == NULL ? read_unknown(p, key) : begin_extension(p, holder);
}

static bool has_required(struct parser *p, const struct frame *f)
{
    const struct neo_field_info *missing =
        f->info->traits & NEO_MESSAGE_REQUIRED ? proto_missing(f->info, f->message) : NULL;

    return missing == NULL ||
           json_fail(&p->r, "%s.%s is required, and missing", f->info->full_name, missing->name);
}

/* The next thing of what was opened last: an element, a field, or its end. */
static bool step(struct parser *p)
{
    struct frame *f = &p->frames[p->depth - 1];
    struct neo_bytes key = {0};

    if (f->in_repeated) {
        if (next_element(p, f, &key))
            return read_element(p, f, key);
        if (p->r.error.code != NEO_OK || !end_repeated(p, f))
            return false;
        if (!f->transparent)
            return true;
    } else if (f->is_extension) {
        if (!end_extension(p, f))
            return false;
    } else if (neo_json_key(&p->r, &key)) {
        return read_key(p, f, key);
    } else if (p->r.error.code != NEO_OK || !has_required(p, f) ||
               (f->any != NULL && !end_any(p, f))) {
        return false;
    }
    p->depth--;
    return true;
}

/* --- the whole -------------------------------------------------------------------------------- */

/* "spec.items[2].name": where in the message reading stopped. */
static void find_path(const struct parser *p, char path[static PATH_MAX_LEN])
{
    size_t len = 0;

    path[0] = '\0';
    for (unsigned i = 0; i < p->depth; i++) {
        const struct frame *f = &p->frames[i];

        if (f->field == NULL || f->transparent)
            continue;
        int n =
            snprintf(path + len, PATH_MAX_LEN - len, "%s%s", len > 0 ? "." : "", f->field->name);
        if (n >= 0 && f->in_repeated && f->element > 0 && len + (size_t)n < PATH_MAX_LEN)
            n += snprintf(path + len + n, PATH_MAX_LEN - len - (size_t)n, "[%zu]", f->element - 1);
        if (n < 0 || len + (size_t)n >= PATH_MAX_LEN)
            return;
        len += (size_t)n;
    }
}

/* What a reader says of a value may quote it. */
static bool is_sensitive(const struct parser *p)
{
    for (unsigned i = 0; i < p->depth; i++) {
        const struct neo_field_info *field = p->frames[i].field;

        if (field != NULL && field->sensitivity == NEO_SENSITIVITY_TEE_ONLY)
            return true;
    }
    return false;
}

enum neo_code neo_proto_from_json(const struct neo_message_info *info, struct neo_bytes json,
                                  unsigned flags, void *message, struct neo_arena *arena,
                                  struct neo_error *err)
{
    struct parser p;
    struct neo_error why;
    char path[PATH_MAX_LEN];

    neo_json_init(&p.r, json, "json", arena);
    p.probe_levels = NULL;
    p.probed = 0;
    p.flags = flags;
    p.file = info->file;
    p.shrunk = NULL;
    p.depth = 0;

    bool ok = read_message(&p, info, message);
    while (ok && p.depth > 0)
        ok = step(&p);
    enum neo_code code = neo_json_finish(&p.r, &why);
    if (code == NEO_OK)
        return NEO_OK;
    find_path(&p, path);
    if (is_sensitive(&p))
        return neo_fail(err, code, "%s.%s: malformed, and too sensitive to be quoted",
                        info->full_name, path);
    if (path[0] == '\0')
        return neo_fail(err, code, "%s: %s", info->full_name, why.message);
    return neo_fail(err, code, "%s.%s: %s", info->full_name, path, why.message);
}
