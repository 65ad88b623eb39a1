/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include <neo/buffer.h>
#include <neo/memory.h>
#include <neo/time.h>
#include <neo/yaml.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* A schema with one of everything. */
struct port {
    struct neo_bytes name;
    uint32_t number;
    struct neo_place place;
};

struct weight {
    struct neo_bytes key;
    struct neo_place place;
    uint32_t value;
};

struct tag {
    struct neo_bytes text;
    struct neo_place place;
};

struct inner {
    bool enabled;
    neo_nsec wait;
    struct neo_yaml_list tags; /* struct tag */
};

struct config {
    struct neo_bytes name;
    struct neo_place name_place;
    struct inner inner;
    struct neo_yaml_list ports;   /* struct port */
    struct neo_yaml_list weights; /* struct weight */
    struct neo_place extra;
};

static enum neo_code check_port(const void *value, struct neo_error *err)
{
    uint32_t number;

    memcpy(&number, value, sizeof(number));
    return number <= 65535 ? NEO_OK
                           : neo_fail(err, NEO_OUT_OF_RANGE, "port %u; at most 65535", number);
}

static enum neo_code check_ports(const void *value, struct neo_error *err)
{
    const struct neo_yaml_list *ports = value;

    return ports->len != 13 ? NEO_OK : neo_fail(err, NEO_FAILED_PRECONDITION, "13 ports");
}

static const struct neo_yaml_field port_fields[] = {
    {.key = "name", .kind = NEO_YAML_TEXT, .offset = offsetof(struct port, name)},
    {.key = "number",
     .kind = NEO_YAML_U32,
     .offset = offsetof(struct port, number),
     .required = true,
     .check = check_port},
    {0},
};
static const struct neo_yaml_field port_element = {
    .kind = NEO_YAML_STRUCT,
    .fields = port_fields,
    .place = offsetof(struct port, place) + 1,
};
static const struct neo_yaml_field weight_element = {
    .kind = NEO_YAML_U32,
    .offset = offsetof(struct weight, value),
};
static const struct neo_yaml_field tag_element = {
    .kind = NEO_YAML_TEXT,
    .place = offsetof(struct tag, place) + 1,
};
static const struct neo_yaml_field inner_fields[] = {
    {.key = "enabled", .kind = NEO_YAML_BOOL, .offset = offsetof(struct inner, enabled)},
    {.key = "wait", .kind = NEO_YAML_DURATION, .offset = offsetof(struct inner, wait)},
    {.key = "tags",
     .kind = NEO_YAML_LIST,
     .offset = offsetof(struct inner, tags),
     .size = sizeof(struct tag),
     .element = &tag_element},
    {0},
};
static const struct neo_yaml_field fields[] = {
    {.key = "name",
     .kind = NEO_YAML_TEXT,
     .offset = offsetof(struct config, name),
     .required = true,
     .place = offsetof(struct config, name_place) + 1},
    {.key = "inner",
     .kind = NEO_YAML_STRUCT,
     .offset = offsetof(struct config, inner),
     .fields = inner_fields},
    {.key = "ports",
     .kind = NEO_YAML_LIST,
     .offset = offsetof(struct config, ports),
     .size = sizeof(struct port),
     .element = &port_element,
     .check = check_ports},
    {.key = "weights",
     .kind = NEO_YAML_MAP,
     .offset = offsetof(struct config, weights),
     .size = sizeof(struct weight),
     .element = &weight_element},
    {.key = "extra", .kind = NEO_YAML_ANY, .place = offsetof(struct config, extra) + 1},
    {0},
};

struct seen {
    struct config last;
    struct neo_place place;
    unsigned n;
};

static enum neo_code keep(void *self, void *document, struct neo_place place, struct neo_error *err)
{
    struct seen *seen = self;

    (void)err;
    seen->last = *(struct config *)document;
    seen->place = place;
    seen->n++;
    return NEO_OK;
}

static enum neo_code read_into(struct neo_arena *arena, struct neo_bytes text, struct seen *seen,
                               struct neo_error *err)
{
    return neo_yaml_read(text, "t.yaml", fields, sizeof(struct config), arena, keep, seen, err);
}

static enum neo_code read_with(struct neo_bytes text, struct neo_error *err)
{
    struct neo_arena arena;
    struct seen seen = {0};

    neo_arena_init(&arena, 64 << 20);
    enum neo_code code = read_into(&arena, text, &seen, err);
    neo_arena_fini(&arena);
    return code;
}

static void assert_error(struct neo_bytes text, enum neo_code code, const char *message)
{
    struct neo_error err = {0};

    assert_int_equal(read_with(text, &err), code);
    assert_string_equal(err.message, message);
}

static void assert_says(const char *text, const char *message)
{
    assert_error(neo_text(text), NEO_INVALID_ARGUMENT, message);
}

TEST(fills_every_kind)
{
    struct neo_arena arena;
    struct seen seen = {0};

    neo_arena_init(&arena, 1 << 20);
    assert_int_equal(read_into(&arena,
                               NEO_LIT("# comment\n"
                                       "name: \"a name\"\n"
                                       "inner:\n"
                                       "  enabled: true\n"
                                       "  wait: 250ms\n"
                                       "  tags: [x, 'y', \"z\"]\n"
                                       "ports:\n"
                                       "  - {name: no, number: 0}\n"
                                       "  - number: 65535\n"
                                       "weights: {a: 1, \"b c\": 4294967295}\n"
                                       "extra: {any: [thing, {at: all}]}\n"),
                               &seen, NULL),
                     NEO_OK);
    assert_int_equal(seen.n, 1);
    assert_true(neo_bytes_is(seen.last.name, "a name"));
    assert_int_equal(seen.last.name_place.line, 2);
    assert_int_equal(seen.last.name_place.column, 1);
    assert_string_equal(seen.last.name_place.file, "t.yaml");
    assert_true(seen.last.inner.enabled);
    assert_int_equal(seen.last.inner.wait, 250 * NEO_NSEC_PER_MSEC);

    const struct tag *tags = seen.last.inner.tags.at;
    assert_int_equal(seen.last.inner.tags.len, 3);
    assert_true(neo_bytes_is(tags[2].text, "z"));
    assert_int_equal(tags[2].place.line, 6);
    assert_int_equal(tags[2].place.column, 18);

    const struct port *ports = seen.last.ports.at;
    assert_int_equal(seen.last.ports.len, 2);
    assert_true(neo_bytes_is(ports[0].name, "no"));
    assert_int_equal(ports[1].number, 65535);
    assert_int_equal(ports[1].place.line, 9);

    const struct weight *weights = seen.last.weights.at;
    assert_int_equal(seen.last.weights.len, 2);
    assert_true(neo_bytes_is(weights[1].key, "b c"));
    assert_int_equal(weights[1].value, UINT32_MAX);
    assert_int_equal(weights[1].place.column, 17);
    assert_int_equal(seen.last.extra.line, 11);
    neo_arena_fini(&arena);
}

TEST(what_is_absent_is_zero)
{
    struct neo_arena arena;
    struct seen seen = {0};

    neo_arena_init(&arena, 1 << 20);
    assert_int_equal(read_into(&arena, NEO_LIT("name: n"), &seen, NULL), NEO_OK);
    assert_int_equal(seen.last.ports.len, 0);
    assert_null(seen.last.extra.file);
    assert_int_equal(seen.last.inner.wait, 0);
    neo_arena_fini(&arena);
}

TEST(each_document_is_handed_over_with_its_place)
{
    struct neo_arena arena;
    struct seen seen = {0};

    neo_arena_init(&arena, 1 << 20);
    assert_int_equal(
        read_into(&arena, NEO_LIT("name: a\n---\nname: b\nports: [{number: 1}]\n---\nname: c\n"),
                  &seen, NULL),
        NEO_OK);
    assert_int_equal(seen.n, 3);
    assert_int_equal(seen.place.line, 6);
    assert_true(neo_bytes_is(seen.last.name, "c"));
    assert_int_equal(seen.last.ports.len, 0);
    neo_arena_fini(&arena);
}

TEST(long_lists_keep_every_element)
{
    enum { PORTS = 1000 };
    struct neo_buffer text = {0};
    struct neo_arena arena;
    struct seen seen = {0};

    neo_buffer_append_text(&text, "name: n\nports:\n");
    for (int i = 0; i < PORTS; i++)
        neo_buffer_printf(&text, "- {name: p%d, number: %d}\n", i, i);
    neo_arena_init(&arena, 1 << 20);
    assert_int_equal(read_into(&arena, neo_buffer_bytes(&text), &seen, NULL), NEO_OK);
    const struct port *ports = seen.last.ports.at;
    assert_int_equal(seen.last.ports.len, PORTS);
    for (unsigned i = 0; i < PORTS; i++) {
        assert_int_equal(ports[i].number, i);
        assert_int_equal(ports[i].place.line, i + 3);
    }
    neo_arena_fini(&arena);
    neo_buffer_fini(&text);
}

TEST(unknown_keys_are_refused_with_the_likely_one)
{
    assert_says("nmae: x\n", "t.yaml:1:1: unknown key \"nmae\"; did you mean \"name\"?");
    assert_says("name: x\ninner:\n  enable: true\n",
                "t.yaml:3:3: unknown key \"enable\"; did you mean \"enabled\"?");
    assert_says("name: x\nports: [{number: 1, nunber: 2}]\n",
                "t.yaml:2:21: unknown key \"nunber\"; did you mean \"number\"?");
    assert_says("Name: x\n", "t.yaml:1:1: unknown key \"Name\"; did you mean \"name\"?");
    assert_says("colour: x\n", "t.yaml:1:1: unknown key \"colour\"; remove it");
    assert_says("x: 1\n", "t.yaml:1:1: unknown key \"x\"; remove it");
}

TEST(duplicate_and_missing_keys_are_refused)
{
    assert_says("name: a\nname: a\n", "t.yaml:2:1: \"name\" is given twice; keep one");
    assert_says("name: a\nweights: {k: 1, j: 2, k: 1}\n",
                "t.yaml:2:23: \"k\" is given twice; keep one");
    assert_says("inner: {}\n", "t.yaml:1:1: \"name\" is missing; add it");
    assert_says("name: a\nports:\n  - name: p\n", "t.yaml:3:5: \"number\" is missing; add it");
}

TEST(wrong_types_are_refused)
{
    assert_says("name: [a]\n", "t.yaml:1:7: \"name\" is a list; it must be one text");
    assert_says("name: {a: b}\n", "t.yaml:1:7: \"name\" is a mapping; it must be one text");
    assert_says("name: a\ninner: b\n",
                "t.yaml:2:8: \"inner\" is one value; it must be a mapping (key: value)");
    assert_says("name: a\ninner: [b]\n",
                "t.yaml:2:8: \"inner\" is a list; it must be a mapping (key: value)");
    assert_says("name: a\nports: b\n",
                "t.yaml:2:8: \"ports\" is one value; it must be a list; write [ ] around it, or "
                "each element behind \"- \"");
    assert_says("name: a\nports: [1]\n", "t.yaml:2:9: this is one value; an element here must be a "
                                         "mapping (key: value)");
    assert_says("name: a\nweights: [b]\n",
                "t.yaml:2:10: \"weights\" is a list; it must be a mapping (key: value)");
    assert_says("name: a\nweights: {b: {c: d}}\n",
                "t.yaml:2:14: this is a mapping; an element here must be a whole number from 0 to "
                "4294967295, in plain digits");
    assert_says("- a\n", "t.yaml:1:1: this is a list; a document must be a mapping (key: value)");
    assert_says("a\n", "t.yaml:1:1: this is one value; a document must be a mapping (key: value)");
    assert_says("name: a\n---\n",
                "t.yaml:3:1: this is one value; a document must be a mapping (key: value)");
}

TEST(empty_files_are_refused)
{
    const char *message = "t.yaml:1:1: the file holds nothing; write a document or remove it";

    assert_says("", message);
    assert_says("\n\n", message);
    assert_says("# only a comment\n", message);
}

/* reliability P02: a scalar is the text that was written, and its type is the schema's. */
TEST(scalars_are_never_reinterpreted)
{
    static const char *const words[] = {"no",   "yes",  "off", "012", "1e3",       "~",
                                        "null", "true", "1_0", "0x1", "1:30",      ".inf",
                                        "NaN",  "-1",   "1.0", "=",   "2001-12-14"};

    for (size_t i = 0; i < NEO_COUNT(words); i++) {
        struct neo_arena arena;
        struct seen seen = {0};
        struct neo_buffer text = {0};
        neo_arena_init(&arena, 1 << 20);
        neo_buffer_printf(&text, "name: %s\n", words[i]);
        assert_int_equal(read_into(&arena, neo_buffer_bytes(&text), &seen, NULL), NEO_OK);
        assert_true(neo_bytes_is(seen.last.name, words[i]));
        neo_arena_fini(&arena);
        neo_buffer_fini(&text);
    }
    assert_says("name:\n",
                "t.yaml:1:6: \"name\" must have a value; write \"\" if it is meant to be empty");
}

TEST(typed_scalars_are_exact)
{
    static const char *const bad_bools[] = {"no", "yes", "True", "TRUE", "1", "'true'", "~", "on"};
    static const char *const bad_numbers[] = {
        "012", "-1",  "+1",    "1e3",        "0x1",
        "1_0", "1.0", "\"1\"", "4294967296", "~",
        "''",  "1 0", "00",    "one",        "18446744073709551616"};
    static const char *const bad_durations[] = {"10",
                                                "s",
                                                "1.5s",
                                                "-1s",
                                                "01s",
                                                "10 s",
                                                "1h30m",
                                                "10us",
                                                "10S",
                                                "1d",
                                                "~",
                                                "18446744073710s",
                                                "99999999999999999999h"};
    char text[128];

    for (size_t i = 0; i < NEO_COUNT(bad_bools); i++) {
        (void)snprintf(text, sizeof(text), "name: a\ninner: {enabled: %s}\n", bad_bools[i]);
        assert_says(text, "t.yaml:2:18: \"enabled\" must be true or false, without quotes");
    }
    for (size_t i = 0; i < NEO_COUNT(bad_numbers); i++) {
        (void)snprintf(text, sizeof(text), "name: a\nports: [{number: %s}]\n", bad_numbers[i]);
        assert_says(text, "t.yaml:2:18: \"number\" must be a whole number from 0 to 4294967295, in "
                          "plain digits");
    }
    for (size_t i = 0; i < NEO_COUNT(bad_durations); i++) {
        (void)snprintf(text, sizeof(text), "name: a\ninner: {wait: %s}\n", bad_durations[i]);
        assert_says(text, "t.yaml:2:15: \"wait\" must be a duration such as 250ms, 10s, 5m or 24h");
    }
}

TEST(durations_have_four_units)
{
    static const struct {
        const char *text;
        neo_nsec value;
    } good[] = {
        {"0s", 0},
        {"1ms", NEO_NSEC_PER_MSEC},
        {"10s", 10 * NEO_NSEC_PER_SEC},
        {"5m", 300 * NEO_NSEC_PER_SEC},
        {"24h", 86400 * NEO_NSEC_PER_SEC},
        {"18446744073s", UINT64_C(18446744073) * NEO_NSEC_PER_SEC},
    };

    for (size_t i = 0; i < NEO_COUNT(good); i++) {
        struct neo_arena arena;
        struct seen seen = {0};
        char text[128];
        neo_arena_init(&arena, 1 << 20);
        (void)snprintf(text, sizeof(text), "name: a\ninner: {wait: %s}\n", good[i].text);
        assert_int_equal(read_into(&arena, neo_text(text), &seen, NULL), NEO_OK);
        assert_int_equal(seen.last.inner.wait, good[i].value);
        neo_arena_fini(&arena);
    }
}

TEST(a_check_speaks_with_the_place_of_its_value)
{
    assert_error(NEO_LIT("name: a\nports:\n  - number: 65536\n"), NEO_OUT_OF_RANGE,
                 "t.yaml:3:13: port 65536; at most 65535");

    struct neo_buffer text = {0};
    neo_buffer_append_text(&text, "name: a\nports: [");
    for (int i = 0; i < 13; i++)
        neo_buffer_append_text(&text, "{number: 1}, ");
    neo_buffer_append_text(&text, "]\n");
    assert_error(neo_buffer_bytes(&text), NEO_FAILED_PRECONDITION, "t.yaml:2:8: 13 ports");
    neo_buffer_fini(&text);
}

TEST(anchors_aliases_tags_merges_and_directives_are_refused)
{
    const char *anchors = "t.yaml:1:7: anchors (&) and aliases (*) are not allowed; write the "
                          "value out, or quote it";
    const char *tags = "t.yaml:1:7: tags (!) are not allowed; remove it, or quote the value";

    assert_says("name: &x a\n", anchors);
    assert_says("name: *x\n", anchors);
    assert_says("name: &x [a]\n", anchors);
    assert_says("name: &x {a: b}\n", anchors);
    assert_says("extra: &x {a: b}\n", "t.yaml:1:8: anchors (&) and aliases (*) are not allowed; "
                                      "write the value out, or quote it");
    assert_says("name: !!str a\n", tags);
    assert_says("name: !x a\n", tags);
    assert_says("name: ! a\n", tags);
    assert_says("name: !!seq [a]\n", tags);
    assert_says("name: !!map {a: b}\n", tags);
    assert_says("<<: {name: a}\n", "t.yaml:1:1: merge keys are not allowed; write the values out");
    assert_says("name: a\nweights: {<<: 1}\n",
                "t.yaml:2:11: merge keys are not allowed; write the values out");
    assert_says("%YAML 1.1\n---\nname: a\n", "t.yaml:1:1: directives (%YAML, %TAG) are not "
                                             "allowed; remove them");
    assert_says("%TAG ! tag:x,2000:\n---\nname: a\n",
                "t.yaml:1:1: directives (%YAML, %TAG) are not allowed; remove them");
}

TEST(what_nobody_can_see_is_refused_with_its_place)
{
    assert_says("name: a\ninner:\n\tenabled: true\n",
                "t.yaml:3:1: U+0009 is a tab; indent with spaces");
    assert_says("name: a #\tx\n", "t.yaml:1:10: U+0009 is a tab; indent with spaces");
    assert_says("\xef\xbb\xbfname: a\n",
                "t.yaml:1:1: U+FEFF is a byte order mark; save the file as UTF-8 without one");
    assert_says("\xff\xfen\n", "t.yaml:1:1: byte 0xff is not UTF-8; save the file as UTF-8");
    assert_says("name: \xe2\x80\xae"
                "a\n",
                "t.yaml:1:7: U+202E is invisible or changes the direction of text; remove it");
    assert_says("name: na\xc3\xafve\xe2\x80\x8b\n",
                "t.yaml:1:12: U+200B is invisible or changes the direction of text; remove it");
    assert_says("name: a\x01\n", "t.yaml:1:8: U+0001 is a control character; remove it");
    assert_says("name: a\x7f\n", "t.yaml:1:8: U+007F is a control character; remove it");
    assert_says("name: a\xc2\x85\n", "t.yaml:1:8: U+0085 is a control character; remove it");
    assert_says("name: a\rb: c\n", "t.yaml:1:8: U+000D is a carriage return without a line feed; "
                                   "end lines with a line feed");
    assert_error(NEO_LIT("name: a\0b\n"), NEO_INVALID_ARGUMENT,
                 "t.yaml:1:8: U+0000 is a control character; remove it");
}

TEST(an_escape_cannot_say_what_the_file_may_not)
{
    static const char *const escapes[] = {"\\0",     "\\t",     "\\x01",       "\\u202e",
                                          "\\u200b", "\\uFEFF", "\\U000e0041", "\\r",
                                          "\\N",     "\\L",     "\\e"};
    char text[64];

    for (size_t i = 0; i < NEO_COUNT(escapes); i++) {
        (void)snprintf(text, sizeof(text), "name: \"a%s\"\n", escapes[i]);
        assert_says(text, "t.yaml:1:7: \"name\" must hold no control or invisible characters, "
                          "escaped ones included");
        (void)snprintf(text, sizeof(text), "name: a\nweights: {\"a%s\": 1}\n", escapes[i]);
        assert_says(text, "t.yaml:2:11: a key must be one line of visible text");
    }
}

TEST(keys_must_be_plain_text)
{
    assert_says("[a]: b\n", "t.yaml:1:1: a key must be one line of visible text");
    assert_says("{a: b}: c\n", "t.yaml:1:1: a key must be one line of visible text");
    assert_says("name: a\nweights: {\"\": 1}\n",
                "t.yaml:2:11: a key must be one line of visible text");
    assert_says("name: a\nweights: {\"a\\nb\": 1}\n",
                "t.yaml:2:11: a key must be one line of visible text");
}

TEST(windows_line_ends_are_the_same_text)
{
    struct neo_arena arena;
    struct seen seen = {0};

    neo_arena_init(&arena, 1 << 20);
    assert_int_equal(read_into(&arena, NEO_LIT("name: a\r\ninner:\r\n  wait: 1s\r\n"), &seen, NULL),
                     NEO_OK);
    assert_true(neo_bytes_is(seen.last.name, "a"));
    assert_int_equal(seen.last.inner.wait, NEO_NSEC_PER_SEC);
    neo_arena_fini(&arena);
}

TEST(depth_beyond_32_is_refused_read_or_unread)
{
    struct neo_buffer text = {0};
    struct neo_error err;

    for (int depth = 30; depth <= 33; depth++) {
        neo_buffer_clear(&text);
        neo_buffer_append_text(&text, "name: a\nextra: ");
        for (int i = 0; i < depth; i++)
            neo_buffer_append_byte(&text, '[');
        for (int i = 0; i < depth; i++)
            neo_buffer_append_byte(&text, ']');
        assert_int_equal(read_with(neo_buffer_bytes(&text), &err) == NEO_OK, depth <= 31);
    }
    assert_string_equal(err.message, "t.yaml:2:39: nested deeper than 32; flatten the file");
    neo_buffer_fini(&text);
}

TEST(a_file_beyond_one_mebibyte_is_refused_unread)
{
    size_t len = (1 << 20) + 1;
    uint8_t *text = neo_alloc(len);
    struct neo_error err;

    memset(text, '\n', len);
    memcpy(text, "name: a", 7);
    assert_int_equal(read_with(neo_bytes(text, len - 1), &err), NEO_OK);
    assert_int_equal(read_with(neo_bytes(text, len), &err), NEO_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "1048577 bytes"));
    neo_free(text);
}

/* reliability 0.1: libyaml alone spends 69 s on 200 KB of '['. Fills 1 MiB with each unit. */
TEST(hostile_text_costs_little)
{
    static const char *const units[] = {
        "[",  "{",    "- ",   "? ",      "a: ",    "{a: ",      "[a, ", "- a\n",      "a: b\n",
        "\"", "'",    "#",    "\n",      "---\n",  "{}\n---\n", "|\n",  "&a ",        "!a ",
        "a",  "a ",   "- - ", "[[],",    ": ",     ",",         "{[",   "? a\n",      "a\n",
        "\\", "\"\\", "*a ",  "\"a\": ", "[? ",    "- ? ",      "%A\n", "extra: [\n", ">\n ",
        "}",  "]",    "a,",   "[\"\",",  "- {}\n", "\xc3\xa9",
    };
    size_t len = 1 << 20;
    uint8_t *text = neo_alloc(len);
    double worst = 0;

    for (size_t i = 0; i < 2 * NEO_COUNT(units); i++) {
        struct neo_bytes unit = neo_text(units[i / 2]);
        struct neo_bytes prefix = i % 2 == 0 ? NEO_LIT("") : NEO_LIT("extra: [");
        memcpy(text, prefix.at, prefix.len);
        for (size_t at = prefix.len; at < len; at++)
            text[at] = unit.at[(at - prefix.len) % unit.len];
        clock_t start = clock();
        (void)read_with(neo_bytes(text, len), NULL);
        double took = (double)(clock() - start) / CLOCKS_PER_SEC;
        if (getenv("NEO_VERBOSE") != NULL)
            print_message("%-12.*s %8.1f ms\n", NEO_FMT(unit), took * 1e3);
        worst = took > worst ? took : worst;
    }
    neo_free(text);
    print_message("worst of %zu hostile files: %.1f ms\n", 2 * NEO_COUNT(units), worst * 1e3);
    assert_true(worst < 3.0); /* sanitizers are slow; the attack would take minutes */
}

static const char whole[] = "name: \"a b\"\ninner: {enabled: true, wait: 5m, tags: [x, y]}\n"
                            "ports:\n  - number: 1\n    name: |\n      text\nweights:\n  a: 1\n"
                            "---\nname: 'c'\nextra: [1, {2: 3}]\n";

/* Every prefix is judged without reading beyond it: the copy ends where the prefix does. */
TEST(every_prefix_is_judged_within_its_bytes)
{
    for (size_t len = 0; len <= sizeof(whole) - 1; len++) {
        uint8_t *copy = neo_alloc(len);
        struct neo_error err = {0};
        memcpy(copy, whole, len);
        enum neo_code code = read_with(neo_bytes(copy, len), &err);
        assert_int_equal(code == NEO_OK, err.message[0] == '\0');
        if (code != NEO_OK)
            assert_int_equal(strncmp(err.message, "t.yaml:", 7), 0);
        neo_free(copy);
    }
}

TEST(no_memory_is_reported_and_leaks_nothing)
{
    unsigned long n = 1;
    enum neo_code code;

    do {
        neo_memory_fail_at(n++);
        code = read_with(NEO_LIT(whole), NULL);
        neo_memory_fail_at(0);
        assert_true(code == NEO_OK || code == NEO_RESOURCE_EXHAUSTED);
    } while (code != NEO_OK);
    assert_true(n > 3);
}

TEST(the_arena_bounds_what_a_file_can_cost)
{
    struct neo_buffer text = {0};
    struct neo_arena arena;
    struct seen seen = {0};

    neo_buffer_append_text(&text, "name: a\nports: [");
    for (int i = 0; i < 10000; i++)
        neo_buffer_append_text(&text, "{number: 1},");
    neo_buffer_append_text(&text, "]\n");
    neo_arena_init(&arena, 100000);
    assert_int_equal(read_into(&arena, neo_buffer_bytes(&text), &seen, NULL),
                     NEO_RESOURCE_EXHAUSTED);
    assert_int_equal(seen.n, 0);
    neo_arena_fini(&arena);
    neo_buffer_fini(&text);
}

TEST(keys_tells_what_kind_of_file_it_is)
{
    struct neo_arena arena;
    struct neo_bytes keys[4];
    size_t n = 7;
    struct neo_error err;

    neo_arena_init(&arena, 1 << 20);
    assert_int_equal(neo_yaml_keys(NEO_LIT("a: {x: 1, y: [2]}\n"), "k", &arena, keys, 2, &n, NULL),
                     NEO_OK);
    assert_int_equal(n, 1);
    assert_true(neo_bytes_is(keys[0], "a"));
    assert_int_equal(
        neo_yaml_keys(NEO_LIT("a: 1\nb: 2\nc: 3\n---\nd: 1\n"), "k", &arena, keys, 2, &n, NULL),
        NEO_OK);
    assert_int_equal(n, 2);
    assert_true(neo_bytes_is(keys[1], "b"));
    assert_int_equal(neo_yaml_keys(NEO_LIT("a: 1\n---\nd: 1\n"), "k", &arena, keys, 4, &n, NULL),
                     NEO_OK);
    assert_int_equal(n, 1);
    n = 7;
    assert_int_equal(neo_yaml_keys(NEO_LIT("a: [1\n"), "k", &arena, keys, 2, &n, &err),
                     NEO_INVALID_ARGUMENT);
    assert_int_equal(strncmp(err.message, "k:", 2), 0);
    assert_int_equal(n, 7);
    assert_int_equal(neo_yaml_keys(NEO_LIT("[a]\n"), "k", &arena, keys, 2, &n, &err),
                     NEO_INVALID_ARGUMENT);
    neo_arena_fini(&arena);
}

TEST(syntax_errors_say_where_and_what_was_open)
{
    struct neo_error err;

    assert_int_equal(read_with(NEO_LIT("name: a\nports: [{number: 1}\n"), &err),
                     NEO_INVALID_ARGUMENT);
    assert_int_equal(strncmp(err.message, "t.yaml:3:1: not valid YAML: ", 28), 0);
    assert_non_null(strstr(err.message, "(begun in line 2)"));
    assert_int_equal(read_with(NEO_LIT("name: a\n  b: c\n"), &err), NEO_INVALID_ARGUMENT);
    assert_int_equal(strncmp(err.message, "t.yaml:2:4: not valid YAML: ", 28), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fills_every_kind),
        cmocka_unit_test(what_is_absent_is_zero),
        cmocka_unit_test(each_document_is_handed_over_with_its_place),
        cmocka_unit_test(long_lists_keep_every_element),
        cmocka_unit_test(unknown_keys_are_refused_with_the_likely_one),
        cmocka_unit_test(duplicate_and_missing_keys_are_refused),
        cmocka_unit_test(wrong_types_are_refused),
        cmocka_unit_test(empty_files_are_refused),
        cmocka_unit_test(scalars_are_never_reinterpreted),
        cmocka_unit_test(typed_scalars_are_exact),
        cmocka_unit_test(durations_have_four_units),
        cmocka_unit_test(a_check_speaks_with_the_place_of_its_value),
        cmocka_unit_test(anchors_aliases_tags_merges_and_directives_are_refused),
        cmocka_unit_test(what_nobody_can_see_is_refused_with_its_place),
        cmocka_unit_test(an_escape_cannot_say_what_the_file_may_not),
        cmocka_unit_test(keys_must_be_plain_text),
        cmocka_unit_test(windows_line_ends_are_the_same_text),
        cmocka_unit_test(depth_beyond_32_is_refused_read_or_unread),
        cmocka_unit_test(a_file_beyond_one_mebibyte_is_refused_unread),
        cmocka_unit_test(hostile_text_costs_little),
        cmocka_unit_test(every_prefix_is_judged_within_its_bytes),
        cmocka_unit_test(no_memory_is_reported_and_leaks_nothing),
        cmocka_unit_test(the_arena_bounds_what_a_file_can_cost),
        cmocka_unit_test(keys_tells_what_kind_of_file_it_is),
        cmocka_unit_test(syntax_errors_say_where_and_what_was_open),
    };
    return cmocka_run_group_tests_name("codec/yaml", tests, NULL, NULL);
}
