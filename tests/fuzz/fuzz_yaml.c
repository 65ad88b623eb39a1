/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any text against a schema with one of everything, itself within: it is read, or
 * refused with file, line and column. What was read is read again, byte by byte,
 * so that a sanitizer sees every part of it.
 */
#include <neo/yaml.h>

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct node {
    struct neo_bytes text;
    bool flag;
    uint32_t number;
    uint64_t wait;
    struct neo_yaml_list list;  /* struct neo_bytes */
    struct neo_yaml_list nodes; /* struct node */
    struct neo_yaml_list map;   /* struct entry */
    struct neo_place place;
};

struct entry {
    struct neo_bytes key;
    struct neo_place place;
    struct neo_bytes value;
};

static const struct neo_yaml_field fields[9];
static const struct neo_yaml_field text_row = {.kind = NEO_YAML_TEXT};
static const struct neo_yaml_field node_row = {
    .kind = NEO_YAML_STRUCT, .fields = fields, .place = offsetof(struct node, place) + 1};
static const struct neo_yaml_field entry_row = {.kind = NEO_YAML_TEXT,
                                                .offset = offsetof(struct entry, value)};
static const struct neo_yaml_field fields[9] = {
    {.key = "text", .kind = NEO_YAML_TEXT, .offset = offsetof(struct node, text)},
    {.key = "flag", .kind = NEO_YAML_BOOL, .offset = offsetof(struct node, flag)},
    {.key = "number", .kind = NEO_YAML_U32, .offset = offsetof(struct node, number)},
    {.key = "wait", .kind = NEO_YAML_DURATION, .offset = offsetof(struct node, wait)},
    {.key = "list",
     .kind = NEO_YAML_LIST,
     .offset = offsetof(struct node, list),
     .size = sizeof(struct neo_bytes),
     .element = &text_row},
    {.key = "nodes",
     .kind = NEO_YAML_LIST,
     .offset = offsetof(struct node, nodes),
     .size = sizeof(struct node),
     .element = &node_row},
    {.key = "map",
     .kind = NEO_YAML_MAP,
     .offset = offsetof(struct node, map),
     .size = sizeof(struct entry),
     .element = &entry_row},
    {.key = "any", .kind = NEO_YAML_ANY, .place = offsetof(struct node, place) + 1},
    {0},
};

static void must(bool promise)
{
    if (!promise)
        abort();
}

static void must_be_visible(struct neo_bytes text)
{
    for (size_t i = 0; i < text.len; i++)
        must(text.at[i] == '\n' || (text.at[i] >= ' ' && text.at[i] != 0x7f));
}

/* The root's own lists; what is deeper was filled by the same code. */
static enum neo_code look(void *self, void *document, struct neo_place place, struct neo_error *err)
{
    const struct node *node = document;
    const struct neo_bytes *list = node->list.at;
    const struct node *nodes = node->nodes.at;
    const struct entry *map = node->map.at;

    (void)self;
    (void)err;
    must(place.line > 0 && place.column > 0);
    must_be_visible(node->text);
    for (size_t i = 0; i < node->list.len; i++)
        must_be_visible(list[i]);
    for (size_t i = 0; i < node->nodes.len; i++)
        must(nodes[i].place.line >= place.line);
    for (size_t i = 0; i < node->map.len; i++) {
        must(map[i].key.len > 0 && map[i].place.line >= place.line);
        must_be_visible(map[i].key);
        must_be_visible(map[i].value);
    }
    return NEO_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct neo_bytes text = neo_bytes(data, size);
    struct neo_bytes keys[4];
    struct neo_arena arena;
    struct neo_error err = {0};
    size_t n;

    neo_arena_init(&arena, 64 << 20);
    if (neo_yaml_read(text, "f", fields, sizeof(struct node), &arena, look, NULL, &err) != NEO_OK)
        must(neo_bytes_starts(neo_text(err.message), NEO_LIT("f:")));
    if (neo_yaml_keys(text, "f", &arena, keys, NEO_COUNT(keys), &n, NULL) == NEO_OK)
        must(n <= NEO_COUNT(keys));
    neo_arena_fini(&arena);
    return 0;
}
