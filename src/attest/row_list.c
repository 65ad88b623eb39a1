/* SPDX-License-Identifier: Apache-2.0 */
/* A row as it is written, for people: the schema's table says where everything stands. */
#include "attest/row.h"

enum { FACTS_MAX = 256 };

struct lister {
    struct neo_arena *arena;
    struct neo_evidence_fact *at;
    size_t n;
};

static void add(struct lister *l, const char *name, struct neo_bytes value)
{
    if (l->n < FACTS_MAX && name != NULL)
        l->at[l->n++] = (struct neo_evidence_fact){name, neo_arena_copy(l->arena, value), true};
}

/* "a, b" */
static void add_list(struct lister *l, const char *name, const struct neo_yaml_list *items)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};
    const struct row_text *texts = items->at;

    for (size_t i = 0; i < items->len; i++) {
        if ((i > 0 && !neo_buffer_append_text(&text, ", ")) ||
            !neo_buffer_append(&text, texts[i].text))
            return;
    }
    add(l, name, neo_buffer_bytes(&text));
}

static const char *under(struct lister *l, const char *name, struct neo_bytes key)
{
    return neo_arena_printf(l->arena, "%s.%.*s", name, NEO_FMT(key));
}

static void add_map(struct lister *l, const char *name, const struct neo_yaml_field *f,
                    const struct neo_yaml_list *items)
{
    for (size_t i = 0; i < items->len; i++) {
        if (f->element->kind == NEO_YAML_LIST) {
            const struct row_lists_entry *entry = (const struct row_lists_entry *)items->at + i;
            add_list(l, under(l, name, entry->key), &entry->items);
        } else {
            const struct row_entry *entry = (const struct row_entry *)items->at + i;
            add(l, under(l, name, entry->key), entry->value);
        }
    }
}

static void add_number(struct lister *l, const char *name, uint32_t value)
{
    const char *text = neo_arena_printf(l->arena, "%u", value);

    if (text != NULL)
        add(l, name, neo_text(text));
}

/* A member whose place is not kept was given when it is not zero. */
static bool is_given(const struct neo_yaml_field *f, const uint8_t *at)
{
    struct neo_place place;
    uint32_t value;

    if (f->place == 0) {
        memcpy(&value, at + f->offset, sizeof(value));
        return f->kind == NEO_YAML_U32 && value != 0;
    }
    memcpy(&place, at + f->place - 1, sizeof(place));
    return row_gives(place);
}

static void add_field(struct lister *l, const char *name, const struct neo_yaml_field *f,
                      const uint8_t *at)
{
    const void *value = at + f->offset;

    if (f->kind == NEO_YAML_TEXT)
        add(l, name, *(const struct neo_bytes *)value);
    else if (f->kind == NEO_YAML_BOOL)
        add(l, name, *(const bool *)value ? NEO_LIT("true") : NEO_LIT("false"));
    else if (f->kind == NEO_YAML_U32)
        add_number(l, name, *(const uint32_t *)value);
    else if (f->kind == NEO_YAML_LIST)
        add_list(l, name, value);
    else if (f->kind == NEO_YAML_MAP)
        add_map(l, name, f, value);
}

static void add_struct(struct lister *l, const struct neo_yaml_field *outer, const uint8_t *at)
{
    for (const struct neo_yaml_field *f = outer->fields; f->key != NULL; f++) {
        if (is_given(f, at + outer->offset))
            add_field(l, under(l, outer->key, neo_text(f->key)), f, at + outer->offset);
    }
}

enum neo_code row_list_given(const struct attest_row *row, struct neo_arena *arena,
                             const struct neo_evidence_fact **ret, size_t *ret_n,
                             struct neo_error *err)
{
    struct neo_evidence_fact found[FACTS_MAX];
    struct lister l = {.arena = arena, .at = found};
    const uint8_t *at = (const uint8_t *)row;

    for (const struct neo_yaml_field *f = attest_row_fields; f->key != NULL; f++) {
        if (strcmp(f->key, "tee") == 0 || !is_given(f, at))
            continue;
        if (f->kind == NEO_YAML_STRUCT)
            add_struct(&l, f, at);
        else
            add_field(&l, f->key, f, at);
    }
    struct neo_evidence_fact *kept = neo_arena_calloc(arena, l.n, sizeof(*kept));
    if (neo_arena_failed(arena))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory for a row");
    if (l.n > 0)
        memcpy(kept, found, l.n * sizeof(*kept));
    *ret = kept;
    *ret_n = l.n;
    return NEO_OK;
}
