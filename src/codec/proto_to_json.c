/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From structs to ProtoJSON.
 *
 * A frame is a JSON object, array or map that is being written. Most well-known types
 * are transparent: a Struct is its map, a ListValue its array, a Value whatever it
 * holds. An Any is an object that begins with "@type"; its message is decoded into an
 * arena that lives until the end.
 */
#include "codec/json_number.h"
#include "codec/proto_extension.h"
#include "codec/proto_wkt.h"

#include <neo/encoding.h>
#include <neo/json.h>

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

enum { FIRST = 1, SECOND = 2, NUMBER_MAX = 24, ANY_BUDGET = 32 << 20 };

static const char REDACTED[] = "[redacted]";

struct frame {
    const struct neo_message_info *info;
    const uint8_t *message;
    uint32_t field;                        /* the next to write */
    bool transparent;                      /* no object of its own: one field's value */
    bool is_value;                         /* within an Any: all of it is the key "value" */
    const struct neo_field_info *repeated; /* whose elements are being written; or NULL */
    struct wire_array array;
    size_t element;
    bool is_extension; /* no object: the value of an extension of the frame below */
    size_t extension;  /* the next of the message to look for */
};

struct printer {
    struct neo_json_writer w;
    unsigned flags; /* enum neo_json_flags */
    const struct neo_file_info *file;
    struct neo_arena any; /* decoded messages of Anys */
    struct neo_error *err;
    enum neo_code code; /* of the failure */
    unsigned depth;     /* 0: nothing is open */
    struct frame frames[NEO_PROTO_DEPTH_MAX + 1];
};

__attribute__((cold)) static bool refuse(struct printer *p, const struct neo_message_info *info,
                                         const char *why)
{
    p->code =
        neo_fail(p->err, NEO_INVALID_ARGUMENT, "cannot write %s as JSON: %s", info->full_name, why);
    return false;
}

__attribute__((cold)) static bool out_of_memory(struct printer *p,
                                                const struct neo_message_info *info)
{
    p->code =
        neo_fail(p->err, NEO_RESOURCE_EXHAUSTED,
                 "cannot write %s as JSON: it is too large, or memory is out", info->full_name);
    return false;
}

static struct frame *push(struct printer *p, const struct neo_message_info *info,
                          const uint8_t *message)
{
    if (p->depth > NEO_PROTO_DEPTH_MAX) {
        (void)refuse(p, info, "nested deeper than 100 messages");
        return NULL;
    }
    struct frame *f = &p->frames[p->depth++];
    *f = (struct frame){.info = info, .message = message};
    return f;
}

/* --- scalars ---------------------------------------------------------------------------------- */

/* Doubles have words for what JSON has no numbers for. */
static const char *name_of_double(double value)
{
    if (isnan(value))
        return "NaN";
    if (isinf(value))
        return value > 0 ? "Infinity" : "-Infinity";
    return NULL;
}

static void put_double(struct printer *p, double value, bool single)
{
    char text[JSON_DOUBLE_MAX];
    const char *name = name_of_double(value);

    if (name != NULL) {
        neo_json_put_text(&p->w, name);
        return;
    }
    size_t len = single ? json_number_print_float((float)value, text)
                        : json_number_print_double(value, text);
    neo_json_put_raw(&p->w, neo_bytes(text, len));
}

static void put_bytes(struct printer *p, struct neo_bytes value)
{
    neo_json_put_raw(&p->w, NEO_LIT("\""));
    (void)neo_base64_encode(p->w.out, value, NEO_BASE64_PADDED);
    (void)neo_buffer_append_byte(p->w.out, '"');
}

static void put_enum(struct printer *p, const struct neo_field_info *field, int32_t value)
{
    const struct neo_enum_info *e = field->enumeration;

    if (proto_wkt_is_null(field) && value == 0) {
        neo_json_put_null(&p->w);
        return;
    }
    for (uint32_t i = 0; e != NULL && i < e->n_values; i++) {
        if (e->values[i].number == value) {
            neo_json_put_text(&p->w, e->values[i].name);
            return;
        }
    }
    neo_json_put_i64(&p->w, value);
}

/* An integer's decimal text; 0 for other kinds. */
static int print_integer(uint8_t kind, const uint8_t *slot, char text[static NUMBER_MAX])
{
    int32_t i32;
    int64_t i64;

    switch (kind) {
    case NEO_KIND_INT32:
    case NEO_KIND_SINT32:
    case NEO_KIND_SFIXED32:
        memcpy(&i32, slot, 4);
        return snprintf(text, NUMBER_MAX, "%" PRId32, i32);
    case NEO_KIND_UINT32:
    case NEO_KIND_FIXED32:
        memcpy(&i32, slot, 4);
        return snprintf(text, NUMBER_MAX, "%" PRIu32, (uint32_t)i32);
    case NEO_KIND_INT64:
    case NEO_KIND_SINT64:
    case NEO_KIND_SFIXED64:
        memcpy(&i64, slot, 8);
        return snprintf(text, NUMBER_MAX, "%" PRId64, i64);
    case NEO_KIND_UINT64:
    case NEO_KIND_FIXED64:
        memcpy(&i64, slot, 8);
        return snprintf(text, NUMBER_MAX, "%" PRIu64, (uint64_t)i64);
    default:
        return 0;
    }
}

/* 64 bits are more than a JavaScript number holds, so these are strings. */
static void put_integer(struct printer *p, const struct neo_field_info *field, const uint8_t *slot)
{
    char text[NUMBER_MAX];
    struct neo_bytes number = {(const uint8_t *)text,
                               (size_t)print_integer(field->kind, slot, text)};

    if (wire_kinds[field->kind].size == 8)
        neo_json_put_string(&p->w, number);
    else
        neo_json_put_raw(&p->w, number);
}

static bool put_scalar(struct printer *p, const struct neo_field_info *field, const uint8_t *slot)
{
    struct neo_bytes run;
    double real;
    float single;
    int32_t number;

    switch (field->kind) {
    case NEO_KIND_DOUBLE:
        memcpy(&real, slot, sizeof(real));
        put_double(p, real, false);
        break;
    case NEO_KIND_FLOAT:
        memcpy(&single, slot, sizeof(single));
        put_double(p, (double)single, true);
        break;
    case NEO_KIND_BOOL:
        neo_json_put_bool(&p->w, *slot != 0);
        break;
    case NEO_KIND_ENUM:
        memcpy(&number, slot, sizeof(number));
        put_enum(p, field, number);
        break;
    case NEO_KIND_STRING:
        memcpy(&run, slot, sizeof(run));
        neo_json_put_string(&p->w, run);
        break;
    case NEO_KIND_BYTES:
        memcpy(&run, slot, sizeof(run));
        put_bytes(p, run);
        break;
    default:
        put_integer(p, field, slot);
        break;
    }
    return true;
}

/* --- well-known types ------------------------------------------------------------------------- */

static bool put_time(struct printer *p, const struct neo_message_info *info, const uint8_t *message,
                     enum proto_wkt wkt)
{
    char text[WKT_TEXT_MAX];
    int64_t seconds;
    int32_t nanos;

    memcpy(&seconds, proto_slot(proto_field(info, FIRST), message), sizeof(seconds));
    memcpy(&nanos, proto_slot(proto_field(info, SECOND), message), sizeof(nanos));
    size_t len = wkt == WKT_TIMESTAMP ? proto_wkt_print_timestamp(seconds, nanos, text)
                                      : proto_wkt_print_duration(seconds, nanos, text);
    if (len == 0)
        return refuse(p, info, "the seconds or nanoseconds are out of range");
    neo_json_put_string(&p->w, neo_bytes(text, len));
    return true;
}

static bool put_field_mask(struct printer *p, const struct neo_message_info *info,
                           const uint8_t *message)
{
    struct wire_array paths = proto_array(proto_field(info, FIRST), message);

    neo_json_put_raw(&p->w, NEO_LIT("\""));
    for (size_t i = 0; i < paths.len; i++) {
        struct neo_bytes path;

        memcpy(&path, paths.at + i * sizeof(path), sizeof(path));
        if (i > 0)
            (void)neo_buffer_append_byte(p->w.out, ',');
        if (!proto_wkt_print_path(path, p->w.out))
            return refuse(p, info, "a path is not in lower snake case");
    }
    (void)neo_buffer_append_byte(p->w.out, '"');
    return true;
}

/* A message that is the value of its repeated field 1. */
static bool push_repeated(struct printer *p, const struct neo_message_info *info,
                          const uint8_t *message)
{
    struct frame *f = push(p, info, message);

    if (f == NULL)
        return false;
    f->transparent = true;
    f->repeated = proto_field(info, FIRST);
    f->array = proto_array(f->repeated, message);
    if (f->repeated->flags & NEO_FIELD_MAP)
        neo_json_open_object(&p->w);
    else
        neo_json_open_array(&p->w);
    return true;
}

/* The message inside an Any, decoded; NULL after a failure. */
static const uint8_t *open_any(struct printer *p, const struct neo_message_info *info,
                               const struct neo_message_info *inner, struct neo_bytes value)
{
    void *message = neo_arena_calloc(&p->any, 1, inner->size);

    if (message == NULL) {
        (void)out_of_memory(p, info);
        return NULL;
    }
    p->code = neo_proto_decode(inner, value, message, &p->any, p->err);
    return p->code == NEO_OK ? message : NULL;
}

static bool put_any(struct printer *p, const struct neo_message_info *info, const uint8_t *message)
{
    struct neo_bytes url;
    struct neo_bytes value;

    memcpy(&url, proto_slot(proto_field(info, FIRST), message), sizeof(url));
    memcpy(&value, proto_slot(proto_field(info, SECOND), message), sizeof(value));
    neo_json_open_object(&p->w);
    if (url.len == 0 && value.len == 0) {
        neo_json_close_object(&p->w);
        return true;
    }
    neo_json_put_key(&p->w, "@type");
    neo_json_put_string(&p->w, url);

    const struct neo_message_info *inner = proto_wkt_resolve(p->file, url);
    if (inner == NULL && (p->flags & NEO_JSON_REDACT)) {
        neo_json_close_object(&p->w); /* nobody can tell what of it may be shown */
        return true;
    }
    if (inner == NULL) {
        p->code = neo_fail(p->err, NEO_INVALID_ARGUMENT,
                           "cannot write an Any as JSON: its type '%.*s' is not known here",
                           NEO_FMT(url));
        return false;
    }
    const uint8_t *content = open_any(p, info, inner, value);
    struct frame *f = content == NULL ? NULL : push(p, inner, content);
    if (f == NULL)
        return false;
    f->is_value = proto_wkt_of(inner) != WKT_NONE;
    return true;
}

/* What a Value holds; NULL for nothing, which is not JSON. */
static const struct neo_field_info *value_of(const struct neo_message_info *info,
                                             const uint8_t *message)
{
    for (uint32_t i = 0; i < info->n_fields; i++) {
        if (proto_has(&info->fields[i], message))
            return &info->fields[i];
    }
    return NULL;
}

/* --- messages --------------------------------------------------------------------------------- */

/* One of the zeroed messages that NULL stands for. */
static const uint8_t *or_empty(struct printer *p, const struct neo_message_info *info,
                               const void *message)
{
    return message != NULL ? message : neo_arena_calloc(&p->any, 1, info->size);
}

static bool put_object(struct printer *p, const struct neo_message_info *info,
                       const uint8_t *message)
{
    neo_json_open_object(&p->w);
    return push(p, info, message) != NULL;
}

static bool put_value(struct printer *p, const struct neo_message_info *info,
                      const uint8_t *message)
{
    const struct neo_field_info *held = value_of(info, message);

    if (held == NULL)
        return refuse(p, info, "a Value holds nothing");
    if (held->kind == NEO_KIND_MESSAGE) {
        const uint8_t *inner = or_empty(p, held->message, proto_pointer(proto_slot(held, message)));
        enum proto_wkt wkt = proto_wkt_of(held->message);

        if (inner == NULL)
            return out_of_memory(p, info);
        return wkt == WKT_STRUCT || wkt == WKT_LIST ? push_repeated(p, held->message, inner)
                                                    : put_object(p, held->message, inner);
    }
    double number;
    memcpy(&number, proto_slot(proto_field(info, WKT_VALUE_NUMBER), message), sizeof(number));
    if (held->number == WKT_VALUE_NUMBER && !isfinite(number))
        return refuse(p, info, "a Value cannot hold NaN or an infinity");
    return put_scalar(p, held, proto_slot(held, message));
}

/* Writes the message, or begins to: what is left is pushed. */
static bool put_message(struct printer *p, const struct neo_message_info *info,
                        const uint8_t *message)
{
    message = or_empty(p, info, message);
    if (message == NULL)
        return out_of_memory(p, info);

    enum proto_wkt wkt = proto_wkt_of(info);
    switch (wkt) {
    case WKT_NONE:
        return put_object(p, info, message);
    case WKT_ANY:
        return put_any(p, info, message);
    case WKT_TIMESTAMP:
    case WKT_DURATION:
        return put_time(p, info, message, wkt);
    case WKT_FIELD_MASK:
        return put_field_mask(p, info, message);
    case WKT_STRUCT:
    case WKT_LIST:
        return push_repeated(p, info, message);
    case WKT_VALUE:
        return put_value(p, info, message);
    case WKT_WRAPPER:
        return put_scalar(p, proto_field(info, FIRST),
                          proto_slot(proto_field(info, FIRST), message));
    }
    return false;
}

/* --- fields ----------------------------------------------------------------------------------- */

static bool is_printed(const struct printer *p, const struct neo_field_info *field,
                       const uint8_t *message)
{
    if (proto_is_set(field, message))
        return true;
    return (p->flags & NEO_JSON_DEFAULTS) && !proto_has_presence(field) &&
           (field->kind != NEO_KIND_MESSAGE || (field->flags & NEO_FIELD_REPEATED));
}

/* Of an extension "[package.name]", which its holder is named. */
static void put_name(struct printer *p, const struct frame *f, const struct neo_field_info *field)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer name = {0};

    if (!f->is_extension) {
        neo_json_put_key(&p->w, p->flags & NEO_JSON_PROTO_NAMES ? field->name : field->json_name);
        return;
    }
    if (!neo_buffer_printf(&name, "[%s]", f->info->full_name))
        p->w.out->failed = true;
    neo_json_put_key_bytes(&p->w, neo_buffer_bytes(&name));
}

static bool put_field(struct printer *p, struct frame *f, const struct neo_field_info *field)
{
    if (!is_printed(p, field, f->message))
        return true;
    put_name(p, f, field);
    if ((p->flags & NEO_JSON_REDACT) && field->sensitivity == NEO_SENSITIVITY_TEE_ONLY) {
        neo_json_put_text(&p->w, REDACTED);
        return true;
    }
    if (field->flags & NEO_FIELD_REPEATED) {
        f->repeated = field;
        f->array = proto_array(field, f->message);
        f->element = 0;
        if (field->flags & NEO_FIELD_MAP)
            neo_json_open_object(&p->w);
        else
            neo_json_open_array(&p->w);
        return true;
    }
    const uint8_t *slot = proto_slot(field, f->message);
    if (field->kind == NEO_KIND_MESSAGE)
        return put_message(p, field->message, proto_pointer(slot));
    return put_scalar(p, field, slot);
}

static void put_map_key(struct printer *p, const struct neo_field_info *key, const uint8_t *slot)
{
    char text[NUMBER_MAX];
    struct neo_bytes run = {(const uint8_t *)text, 0};

    if (key->kind == NEO_KIND_STRING)
        memcpy(&run, slot, sizeof(run));
    else if (key->kind == NEO_KIND_BOOL)
        run = *slot != 0 ? NEO_LIT("true") : NEO_LIT("false");
    else
        run.len = (size_t)print_integer(key->kind, slot, text);
    neo_json_put_key_bytes(&p->w, run);
}

static bool put_element(struct printer *p, struct frame *f)
{
    const struct neo_field_info *field = f->repeated;
    const uint8_t *slot = f->array.at + f->element++ * proto_element_size(field);

    if (field->flags & NEO_FIELD_MAP) {
        const struct neo_field_info *key = proto_field(field->message, FIRST);

        put_map_key(p, key, proto_slot(key, slot));
        field = proto_field(field->message, SECOND);
        slot = proto_slot(field, slot);
    }
    if (field->kind == NEO_KIND_MESSAGE)
        return put_message(p, field->message, proto_pointer(slot));
    return put_scalar(p, field, slot);
}

static bool has_unknown(const struct frame *f)
{
    struct neo_bytes run = {0};

    if (f->info->traits & NEO_MESSAGE_UNKNOWN)
        memcpy(&run, f->message + f->info->unknown, sizeof(run));
    return run.len > 0;
}

/*
 * The message's next extension that is known and set is pushed; *ret_more is false when there is
 * none. One that cannot be read is left out, as all that is unknown is.
 */
static bool next_extension(struct printer *p, struct frame *f, bool *ret_more)
{
    const struct neo_message_info *holders[PROTO_EXTENSIONS_MAX];
    struct neo_bytes run;

    *ret_more = false;
    if (!has_unknown(f))
        return true;
    size_t n = proto_extensions_of(p->file, f->info, holders);
    memcpy(&run, f->message + f->info->unknown, sizeof(run));
    while (f->extension < n && !*ret_more) {
        const struct neo_message_info *holder = holders[f->extension++];
        void *message = neo_arena_calloc(&p->any, 1, holder->size);

        if (message == NULL)
            return out_of_memory(p, holder);
        *ret_more = neo_proto_decode(holder, run, message, &p->any, NULL) == NEO_OK &&
                    proto_is_set(&holder->fields[0], message);
        if (!*ret_more)
            continue;
        struct frame *value = push(p, holder, message);
        if (value == NULL)
            return false;
        value->is_extension = true;
    }
    return true;
}

static bool end_object(struct printer *p, struct frame *f)
{
    bool more;

    if (f->is_extension) {
        p->depth--;
        return true;
    }
    if (!next_extension(p, f, &more))
        return false;
    if (more)
        return true;
    neo_json_close_object(&p->w);
    p->depth--;
    return true;
}

/* The next thing of what was opened last: an element, a field, or its end. */
static bool step(struct printer *p)
{
    struct frame *f = &p->frames[p->depth - 1];

    if (f->repeated != NULL) {
        if (f->element < f->array.len)
            return put_element(p, f);
        if (f->repeated->flags & NEO_FIELD_MAP)
            neo_json_close_object(&p->w);
        else
            neo_json_close_array(&p->w);
        f->repeated = NULL;
        if (!f->transparent)
            return true;
    } else if (f->is_value) {
        f->is_value = false;
        f->field = f->info->n_fields;
        neo_json_put_key(&p->w, "value");
        return put_message(p, f->info, f->message);
    } else if (f->field < f->info->n_fields) {
        return put_field(p, f, &f->info->fields[f->field++]);
    } else {
        return end_object(p, f);
    }
    p->depth--;
    return true;
}

enum neo_code neo_proto_to_json(const struct neo_message_info *info, const void *message,
                                unsigned flags, struct neo_buffer *out, struct neo_error *err)
{
    struct printer p;

    p.w = (struct neo_json_writer){.out = out, .pretty = (flags & NEO_JSON_PRETTY) != 0};
    p.flags = flags;
    p.file = info->file;
    p.err = err;
    p.code = NEO_OK;
    p.depth = 0;
    neo_arena_init(&p.any, ANY_BUDGET);

    bool ok = put_message(&p, info, message);
    while (ok && p.depth > 0 && !out->failed)
        ok = step(&p);
    neo_arena_fini(&p.any);
    if (!ok)
        return p.code;
    if (out->failed)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED,
                        "cannot write %s as JSON: the output is full or out of memory",
                        info->full_name);
    return NEO_OK;
}
