/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a message holds what only attested code may see.
 *
 * A walk over what would be encoded, without encoding it, into those messages whose
 * table says that there may be something. What cannot be looked into counts as found: an
 * Any whose type is not known here, and unknown fields beside fields that have classes,
 * for a newer schema may have more of them.
 */
#include "codec/proto_wkt.h"

#include <stdio.h>

enum { FIRST = 1, SECOND = 2, ANY_BUDGET = 32 << 20, PATH_MAX_LEN = 128 };

struct frame {
    const struct neo_message_info *info;
    const uint8_t *message;
    uint32_t field;  /* the next to look at */
    size_t elements; /* left of the repeated messages of field `field` - 1 */
};

struct walk {
    const struct neo_file_info *file;
    struct neo_arena any; /* decoded messages of Anys */
    struct neo_error *err;
    enum neo_code code;
    unsigned depth; /* 0: done */
    struct frame frames[NEO_PROTO_DEPTH_MAX + 1];
};

/* "items.key": the fields that were gone through to get here. */
static void find_path(const struct walk *w, const char *last, char path[static PATH_MAX_LEN])
{
    size_t len = 0;

    path[0] = '\0';
    for (unsigned i = 0; i < w->depth && len < PATH_MAX_LEN; i++) {
        const struct frame *f = &w->frames[i];
        const char *name = i + 1 == w->depth ? last
                           : f->field == 0   ? f->info->full_name /* of an Any's message */
                                             : f->info->fields[f->field - 1].name;
        int n = snprintf(path + len, PATH_MAX_LEN - len, "%s%s", len > 0 ? "." : "", name);

        len += n < 0 ? 0 : (size_t)n;
    }
}

__attribute__((cold)) static bool refuse(struct walk *w, const char *field, const char *why)
{
    char path[PATH_MAX_LEN];

    find_path(w, field, path);
    w->code = neo_fail(w->err, NEO_FAILED_PRECONDITION, "%s.%s %s, and the peer is not attested",
                       w->frames[0].info->full_name, path, why);
    return false;
}

static bool push(struct walk *w, const struct neo_message_info *info, const void *message)
{
    if (message == NULL || !(info->traits & NEO_MESSAGE_SENSITIVE))
        return true;
    if (w->depth > NEO_PROTO_DEPTH_MAX) {
        w->code = neo_fail(w->err, NEO_INVALID_ARGUMENT, "%s is nested deeper than 100 messages",
                           w->frames[0].info->full_name);
        return false;
    }
    w->frames[w->depth++] = (struct frame){.info = info, .message = message};
    return true;
}

/* Goes on with the message inside, in place of the Any. */
static bool enter_any(struct walk *w, struct frame *f)
{
    struct neo_bytes url;
    struct neo_bytes value;

    memcpy(&url, proto_slot(proto_field(f->info, FIRST), f->message), sizeof(url));
    memcpy(&value, proto_slot(proto_field(f->info, SECOND), f->message), sizeof(value));
    f->field = f->info->n_fields;
    if (url.len == 0 && value.len == 0)
        return true;
    const struct neo_message_info *info = proto_wkt_resolve(w->file, url);
    if (info == NULL)
        return refuse(w, "value", "is of a type that no file imported here declares");
    if (!(info->traits & NEO_MESSAGE_SENSITIVE))
        return true;
    void *message = neo_arena_calloc(&w->any, 1, info->size);
    if (message == NULL || neo_proto_decode(info, value, message, &w->any, NULL) != NEO_OK)
        return refuse(w, "value", "cannot be read");
    *f = (struct frame){.info = info, .message = message};
    return true;
}

static bool has_unknown(const struct frame *f)
{
    struct neo_bytes run = {0};

    if (f->info->traits & NEO_MESSAGE_UNKNOWN)
        memcpy(&run, f->message + f->info->unknown, sizeof(run));
    return run.len > 0;
}

static bool look_at(struct walk *w, struct frame *f, const struct neo_field_info *field)
{
    if (field->sensitivity != NEO_SENSITIVITY_TEE_ONLY && field->kind != NEO_KIND_MESSAGE)
        return true;
    if (!proto_is_set(field, f->message))
        return true;
    if (field->sensitivity == NEO_SENSITIVITY_TEE_ONLY)
        return refuse(w, field->name, "is TEE_ONLY");
    if (!(field->flags & NEO_FIELD_REPEATED))
        return push(w, field->message, proto_pointer(proto_slot(field, f->message)));
    if (field->message->traits & NEO_MESSAGE_SENSITIVE)
        f->elements = proto_array(field, f->message).len;
    return true;
}

static bool step(struct walk *w)
{
    struct frame *f = &w->frames[w->depth - 1];

    if (f->elements > 0) {
        const struct neo_field_info *field = &f->info->fields[f->field - 1];

        return push(w, field->message,
                    proto_element(field, proto_array(field, f->message), --f->elements));
    }
    if (f->field == 0 && proto_wkt_of(f->info) == WKT_ANY)
        return enter_any(w, f);
    if (f->field == 0 && has_unknown(f))
        return refuse(w, "neo_unknown", "may be TEE_ONLY");
    if (f->field < f->info->n_fields)
        return look_at(w, f, &f->info->fields[f->field++]);
    w->depth--;
    return true;
}

/* Apart, for its frame is large and its caller mostly has nothing to do. */
__attribute__((noinline)) static enum neo_code walk(const struct neo_message_info *info,
                                                    const void *message, struct neo_error *err)
{
    struct walk w;
    bool ok;

    w.file = info->file;
    w.err = err;
    w.code = NEO_OK;
    w.depth = 0;
    neo_arena_init(&w.any, ANY_BUDGET);
    ok = push(&w, info, message);
    while (ok && w.depth > 0)
        ok = step(&w);
    neo_arena_fini(&w.any);
    return w.code;
}

enum neo_code neo_proto_check_open(const struct neo_message_info *info, const void *message,
                                   struct neo_error *err)
{
    return info->traits & NEO_MESSAGE_SENSITIVE ? walk(info, message, err) : NEO_OK;
}
