/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether two messages say the same.
 *
 * Both are walked at once. A message that is NULL, as an element or a map's value may
 * be, is an empty one. Of maps the entries of one are looked up in the other: few by
 * comparing, many through an index hashed with the process's secret.
 */
#include "base/map.h"
#include "codec/proto.h"

#include <neo/message.h>

struct keys {
    struct wire_array entries;
    struct map index; /* the last entry of each key; not used: they are few, or memory is scarce */
    bool is_indexed;
};

struct frame {
    const struct neo_message_info *info;
    const uint8_t *a; /* NULL: empty */
    const uint8_t *b;
    bool is_entry;  /* of a map, which always has both its fields */
    uint32_t field; /* the next to look at */
    size_t element; /* the next of the repeated messages of field `field` - 1 */
    size_t len;     /* how many there are */
    struct keys keys_a;
    struct keys keys_b;
};

struct walk {
    unsigned depth; /* 0: done */
    struct frame frames[NEO_PROTO_DEPTH_MAX + 1];
};

/* --- maps ------------------------------------------------------------------------------------- */

static uint8_t *entry_at(const struct neo_field_info *map, const struct keys *keys, size_t i)
{
    return keys->entries.at + i * map->message->size;
}

static struct neo_bytes key_of(const struct neo_field_info *map, const uint8_t *entry)
{
    static const uint8_t nothing;
    struct neo_bytes key = proto_map_key(proto_field(map->message, 1), entry);

    return key.at == NULL ? neo_bytes(&nothing, 0) : key; /* an index has no key NULL */
}

/* The entry that counts for a key; NULL: there is none. */
static const uint8_t *find(const struct neo_field_info *map, const struct keys *keys,
                           struct neo_bytes key)
{
    if (keys->is_indexed)
        return map_get(&keys->index, key);
    for (size_t i = keys->entries.len; i-- > 0;) {
        uint8_t *entry = entry_at(map, keys, i);

        if (neo_bytes_equal(key_of(map, entry), key))
            return entry;
    }
    return NULL;
}

static void make_index(const struct neo_field_info *map, struct keys *keys)
{
    for (size_t i = 0; i < keys->entries.len; i++) {
        uint8_t *entry = entry_at(map, keys, i);

        if (!map_put(&keys->index, key_of(map, entry), entry))
            return;
    }
    keys->is_indexed = true;
}

static size_t count_keys(const struct neo_field_info *map, const struct keys *keys)
{
    size_t n = 0;

    if (keys->is_indexed)
        return keys->index.used;
    for (size_t i = 0; i < keys->entries.len; i++) {
        const uint8_t *entry = entry_at(map, keys, i);

        n += find(map, keys, key_of(map, entry)) == entry;
    }
    return n;
}

static void close_maps(struct frame *f)
{
    map_fini(&f->keys_a.index);
    map_fini(&f->keys_b.index);
    f->keys_a = (struct keys){0};
    f->keys_b = (struct keys){0};
}

/* Whether they have as many keys; if they are the same, compare_elements() finds out. */
static bool open_maps(struct frame *f, const struct neo_field_info *map)
{
    f->keys_a.entries = proto_array(map, f->a);
    f->keys_b.entries = proto_array(map, f->b);
    if (f->keys_a.entries.len > PROTO_MAP_FEW)
        make_index(map, &f->keys_a);
    if (f->keys_b.entries.len > PROTO_MAP_FEW)
        make_index(map, &f->keys_b);
    f->len = f->keys_a.entries.len;
    return count_keys(map, &f->keys_a) == count_keys(map, &f->keys_b);
}

/* --- the walk --------------------------------------------------------------------------------- */

static struct neo_bytes unknown_of(const struct neo_message_info *info, const uint8_t *message)
{
    struct neo_bytes run = {0};

    if (message != NULL && (info->traits & NEO_MESSAGE_UNKNOWN))
        memcpy(&run, message + info->unknown, sizeof(run));
    return run;
}

/* Goes on with two messages. False: they differ, or are nested too deep. */
static bool push(struct walk *w, const struct neo_message_info *info, const void *a, const void *b,
                 bool is_entry)
{
    if (a == NULL && b == NULL)
        return true;
    if (w->depth > NEO_PROTO_DEPTH_MAX ||
        !neo_bytes_equal(unknown_of(info, a), unknown_of(info, b)))
        return false;
    w->frames[w->depth++] = (struct frame){.info = info, .a = a, .b = b, .is_entry = is_entry};
    return true;
}

/* One scalar, string or bytes value; numbers are not followed by anything in their slots. */
static bool is_same(const struct neo_field_info *field, const uint8_t *a, const uint8_t *b)
{
    struct neo_bytes run_a;
    struct neo_bytes run_b;

    if (field->kind != NEO_KIND_STRING && field->kind != NEO_KIND_BYTES)
        return memcmp(a, b, wire_kinds[field->kind].size) == 0;
    memcpy(&run_a, a, sizeof(run_a));
    memcpy(&run_b, b, sizeof(run_b));
    return neo_bytes_equal(run_a, run_b);
}

static bool compare_arrays(struct frame *f, const struct neo_field_info *field)
{
    struct wire_array a = proto_array(field, f->a);
    struct wire_array b = proto_array(field, f->b);
    size_t size = wire_kinds[field->kind].size;

    f->element = 0;
    if (field->flags & NEO_FIELD_MAP)
        return open_maps(f, field);
    if (a.len != b.len)
        return false;
    if (field->kind == NEO_KIND_MESSAGE) {
        f->len = a.len;
        return true;
    }
    for (size_t i = 0; i < a.len; i++) {
        if (!is_same(field, a.at + i * size, b.at + i * size))
            return false;
    }
    return true;
}

static bool is_set(const struct neo_field_info *field, const uint8_t *message)
{
    return message != NULL && proto_is_set(field, message);
}

static bool compare_field(struct walk *w, struct frame *f, const struct neo_field_info *field)
{
    bool has = f->is_entry || is_set(field, f->a);

    if (has != (f->is_entry || is_set(field, f->b)))
        return false;
    if (!has)
        return true;
    if (field->flags & NEO_FIELD_REPEATED)
        return compare_arrays(f, field);
    const uint8_t *a = proto_slot(field, f->a);
    const uint8_t *b = proto_slot(field, f->b);
    if (field->kind == NEO_KIND_MESSAGE)
        return push(w, field->message, proto_pointer(a), proto_pointer(b), false);
    return is_same(field, a, b);
}

static bool compare_elements(struct walk *w, struct frame *f)
{
    const struct neo_field_info *field = &f->info->fields[f->field - 1];
    size_t i = f->element++;

    if (!(field->flags & NEO_FIELD_MAP))
        return push(w, field->message, proto_element(field, proto_array(field, f->a), i),
                    proto_element(field, proto_array(field, f->b), i), false);
    const uint8_t *entry = entry_at(field, &f->keys_a, i);
    struct neo_bytes key = key_of(field, entry);
    if (find(field, &f->keys_a, key) != entry)
        return true; /* one behind it counts */
    const uint8_t *other = find(field, &f->keys_b, key);
    return other != NULL && push(w, field->message, entry, other, true);
}

static bool step(struct walk *w)
{
    struct frame *f = &w->frames[w->depth - 1];

    if (f->element < f->len)
        return compare_elements(w, f);
    if (f->len > 0) {
        f->element = f->len = 0;
        close_maps(f);
    }
    if (f->field < f->info->n_fields)
        return compare_field(w, f, &f->info->fields[f->field++]);
    w->depth--;
    return true;
}

bool neo_proto_equal(const struct neo_message_info *info, const void *a, const void *b)
{
    struct walk w;

    w.depth = 0;
    bool ok = push(&w, info, a, b, false);
    while (ok && w.depth > 0)
        ok = step(&w);
    while (w.depth > 0)
        close_maps(&w.frames[--w.depth]);
    return ok;
}
