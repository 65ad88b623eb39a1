/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/unit.h"

#include "neo/test/v1/all.neo.h"
#include "neo/test/v1/old.neo.h"

#include <neo/memory.h>

#include <stdio.h>
#include <time.h>

enum { BUDGET = 32 << 20 };

static struct neo_arena arena;
static struct neo_buffer out;
static struct neo_error err;

static int set_up(void **state)
{
    (void)state;
    neo_arena_init(&arena, BUDGET);
    out = (struct neo_buffer){0};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    neo_memory_fail_at(0);
    neo_buffer_fini(&out);
    neo_arena_fini(&arena);
    return 0;
}

static void *parse(const struct neo_message_info *info, const char *json, unsigned flags)
{
    void *message = neo_arena_calloc(&arena, 1, info->size);

    if (neo_proto_from_json(info, neo_text(json), flags, message, &arena, &err) != NEO_OK)
        return NULL;
    return message;
}

static const char *print(const struct neo_message_info *info, const void *message, unsigned flags)
{
    neo_buffer_clear(&out);
    if (neo_proto_to_json(info, message, flags, &out, &err) != NEO_OK)
        return NULL;
    (void)neo_buffer_append_byte(&out, '\0');
    return (const char *)out.at;
}

/* A text and what it comes back as; NULL: as it was. */
struct round {
    const char *in;
    const char *out;
};

static void assert_rounds(const struct neo_message_info *info, const struct round *rounds, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const void *message = parse(info, rounds[i].in, 0);
        if (message == NULL)
            fail_msg("%s\n  refused: %s", rounds[i].in, err.message);
        const char *text = print(info, message, 0);
        const char *expected = rounds[i].out == NULL ? rounds[i].in : rounds[i].out;
        if (text == NULL || strcmp(text, expected) != 0)
            fail_msg("%s\n  expected: %s\n  got:      %s", rounds[i].in, expected,
                     text == NULL ? err.message : text);
    }
}

static void assert_refusals(const struct neo_message_info *info, const struct round *rounds,
                            size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (parse(info, rounds[i].in, 0) != NULL)
            fail_msg("accepted: %s", rounds[i].in);
        if (strcmp(err.message, rounds[i].out) != 0)
            fail_msg("%s\n  expected: %s\n  got:      %s", rounds[i].in, rounds[i].out,
                     err.message);
        assert_int_equal(err.code, NEO_INVALID_ARGUMENT);
    }
}

#define ROUNDS(type, rounds) assert_rounds(&neo_test_v1_##type##_info, rounds, NEO_COUNT(rounds))
#define REFUSALS(type, rounds)                                                                     \
    assert_refusals(&neo_test_v1_##type##_info, rounds, NEO_COUNT(rounds))

/* --- refusals ----------------------------------------------------------------------------------
 */

TEST(refusals_name_the_field_and_the_place)
{
    static const struct round rounds[] = {
        {"{\"value\": \"x\"}", "neo.test.v1.Tree.value: json:1:11: \"x\" is not a number"},
        {"{\"left\": {\"children\": [{}, {\n\"value\": 1.5}]}}",
         "neo.test.v1.Tree.left.children[1].value: json:2:10: \"1.5\" is not a whole number"},
        {"{\"named\": {\"a\": {\"value\": true}}}",
         "neo.test.v1.Tree.named[0].value: json:1:27: true or false where a number should be"},
        {"{\"colour\": 1}",
         "neo.test.v1.Tree: json:1:11: the key \"colour\" is not a field of neo.test.v1.Tree"},
        {"{\"left\": {\"x\": 1}}",
         "neo.test.v1.Tree.left: json:1:15: the key \"x\" is not a field of neo.test.v1.Tree"},
        {"{\"value\": 1, \"value\": 2}",
         "neo.test.v1.Tree.value: json:1:21: the key \"value\" is there twice"},
        {"{\"children\": {}}", "neo.test.v1.Tree.children: json:1:14: an object where an array "
                               "should be"},
        {"{\"children\": [null]}", "neo.test.v1.Tree.children[0]: json:1:15: null where an object "
                                   "should be"},
        {"{\"left\": []}", "neo.test.v1.Tree.left: json:1:10: an array where an object should be"},
        {"[]", "neo.test.v1.Tree: json:1:1: an array where an object should be"},
        {"", "neo.test.v1.Tree: json:1:1: the text ends where a value should be"},
        {"null", "neo.test.v1.Tree: json:1:1: null where an object should be"},
        {"{} {}", "neo.test.v1.Tree: json:1:4: there is more text behind the value"},
        {"{\"named\": {\"a\": {}, \"a\": {}}}",
         "neo.test.v1.Tree.named[0]: json:1:24: the key \"a\" is there twice"},
    };

    REFUSALS(Tree, rounds);
}

TEST(a_field_under_both_of_its_names_is_refused)
{
    static const struct round rounds[] = {
        {"{\"snakeCaseName\": \"a\", \"snake_case_name\": \"b\"}",
         "neo.test.v1.Names.snake_case_name: json:1:42: the field is there twice, under both of "
         "its names"},
    };

    REFUSALS(Names, rounds);
}

TEST(two_fields_of_a_oneof_are_refused)
{
    static const struct round rounds[] = {
        {"{\"text\": \"\", \"number\": 0}",
         "neo.test.v1.Choice.number: json:1:24: another field of "
         "the same oneof is there too"},
        {"{\"message\": {}, \"message\": {}}",
         "neo.test.v1.Choice.message: json:1:26: the key \"message\" is there twice"},
    };
    static const struct round fine[] = {
        {"{\"text\": null, \"number\": 0}", "{\"number\":0}"},
        {"{\"number\":0,\"real\":0}", NULL},
    };

    REFUSALS(Choice, rounds);
    ROUNDS(Choice, fine);
}

TEST(numbers_out_of_range_or_form_are_refused)
{
    static const char *const texts[] = {
        "{\"fInt32\": 2147483648}",
        "{\"fInt32\": -2147483649}",
        "{\"fInt32\": 0.5}",
        "{\"fInt32\": \"\"}",
        "{\"fInt32\": \" 1\"}",
        "{\"fInt32\": \"1 \"}",
        "{\"fInt32\": \"0x1\"}",
        "{\"fInt32\": \"+1\"}",
        "{\"fInt32\": 01}",
        "{\"fInt32\": 1e10}",
        "{\"fInt32\": true}",
        "{\"fInt32\": [1]}",
        "{\"fInt32\": {}}",
        "{\"fUint32\": -1}",
        "{\"fUint32\": 4294967296}",
        "{\"fUint64\": -1}",
        "{\"fUint64\": 18446744073709551616}",
        "{\"fUint64\": \"18446744073709551616\"}",
        "{\"fInt64\": 9223372036854775808}",
        "{\"fInt64\": \"-9223372036854775809\"}",
        "{\"fSint64\": \"1.5\"}",
        "{\"fFixed32\": \"NaN\"}",
        "{\"fDouble\": 1e400}",
        "{\"fDouble\": \"1e400\"}",
        "{\"fDouble\": -1e400}",
        "{\"fDouble\": \"nan\"}",
        "{\"fDouble\": \"inf\"}",
        "{\"fDouble\": \"+Infinity\"}",
        "{\"fDouble\": NaN}",
        "{\"fDouble\": \"\"}",
        "{\"fDouble\": \"1,5\"}",
        "{\"fFloat\": 1e39}",
        "{\"fFloat\": \"-3.5e38\"}",
        "{\"fBool\": 1}",
        "{\"fBool\": \"true\"}",
        "{\"fString\": 1}",
        "{\"fString\": true}",
        "{\"fBytes\": 1}",
        "{\"fBytes\": \"=\"}",
        "{\"fBytes\": \"a\"}",
        "{\"fBytes\": \"!!!!\"}",
        "{\"fEnum\": \"red\"}",
        "{\"fEnum\": \"\"}",
        "{\"fEnum\": 1.5}",
        "{\"fEnum\": 2147483648}",
        "{\"fEnum\": true}",
        "{\"fString\": \"\\ud800\"}",
    };

    for (size_t i = 0; i < NEO_COUNT(texts); i++) {
        if (parse(&neo_test_v1_Scalars_info, texts[i], 0) != NULL)
            fail_msg("accepted: %s", texts[i]);
        assert_int_equal(err.code, NEO_INVALID_ARGUMENT);
    }
}

/* --- scalars -----------------------------------------------------------------------------------
 */

TEST(scalars_take_every_form_and_leave_in_one)
{
    static const struct round rounds[] = {
        {"{}", NULL},
        {"{\"fInt32\":1}", NULL},
        {"{\"f_int32\": \"1\"}", "{\"fInt32\":1}"},
        {"{\"fInt32\": 1e2}", "{\"fInt32\":100}"},
        {"{\"fInt32\": 1.0}", "{\"fInt32\":1}"},
        {"{\"fInt32\": \"-1.50e1\"}", "{\"fInt32\":-15}"},
        {"{\"fInt32\": -2147483648}", "{\"fInt32\":-2147483648}"},
        {"{\"fInt64\": 9223372036854775807}", "{\"fInt64\":\"9223372036854775807\"}"},
        {"{\"fInt64\": \"-9223372036854775808\"}", "{\"fInt64\":\"-9223372036854775808\"}"},
        {"{\"fUint64\": 18446744073709551615}", "{\"fUint64\":\"18446744073709551615\"}"},
        {"{\"fFixed64\":\"1\",\"fFixed32\":2,\"fSfixed32\":-3,\"fSfixed64\":\"-4\"}", NULL},
        {"{\"fDouble\": \"1.5\"}", "{\"fDouble\":1.5}"},
        {"{\"fDouble\":\"NaN\"}", NULL},
        {"{\"fDouble\":\"-Infinity\",\"fFloat\":\"Infinity\"}", NULL},
        {"{\"fDouble\":-0.0}", NULL},
        {"{\"fFloat\":0.1}", NULL},
        {"{\"fFloat\":16777216}", NULL},
        {"{\"fFloat\": 3.4028235e38}", "{\"fFloat\":3.4028235e+38}"},
        {"{\"fBool\":true}", NULL},
        {"{\"fString\":\"\xc3\xa4\\n\\\"\"}", NULL},
        {"{\"fBytes\":\"AAECAw==\"}", NULL},
        {"{\"fBytes\": \"AAECAw\"}", "{\"fBytes\":\"AAECAw==\"}"},
        {"{\"fBytes\": \"-_8\"}", "{\"fBytes\":\"+/8=\"}"},
        {"{\"fEnum\":\"RED\"}", NULL},
        {"{\"fEnum\": 2}", "{\"fEnum\":\"GREEN\"}"},
        {"{\"fEnum\": -1}", "{\"fEnum\":\"DARK\"}"},
        {"{\"fEnum\":77}", NULL},
        {"{\"fInt32\": null, \"fString\": null, \"fEnum\": null}", "{}"},
    };

    ROUNDS(Scalars, rounds);
}

TEST(presence_is_kept)
{
    static const struct round rounds[] = {
        {"{}", NULL},
        {"{\"fInt32\":0,\"fString\":\"\",\"fMessage\":{},\"fBytes\":\"\"}", NULL},
        {"{\"fInt32\": null, \"fMessage\": null}", "{}"},
    };

    ROUNDS(Optionals, rounds);
}

TEST(lists_and_maps_keep_their_order)
{
    static const struct round lists[] = {
        {"{\"fInt32\":[3,1,2],\"fString\":[\"b\",\"a\"],\"fMessage\":[{},{\"fBool\":true}]}", NULL},
        {"{\"fInt32\": [], \"fString\": null}", "{}"},
        {"{\"fEnum\":[\"RED\",5]}", NULL},
        {"{\"fDouble\":[1,\"NaN\"],\"fInt64\":[\"1\"]}", NULL},
    };
    static const struct round maps[] = {
        {"{\"strings\":{\"b\":\"1\",\"a\":\"2\"}}", NULL},
        {"{\"ints\": {\"-5\": 1, \"7\": \"2\"}}", "{\"ints\":{\"-5\":\"1\",\"7\":\"2\"}}"},
        {"{\"bools\":{\"true\":\"AA==\",\"false\":\"\"}}", NULL},
        {"{\"messages\":{\"18446744073709551615\":{\"fInt32\":1}}}", NULL},
        {"{\"enums\":{\"1\":\"GREEN\"},\"doubles\":{\"2\":0.5}}", NULL},
        {"{\"nested\":{\"x\":{\"nested\":{\"y\":{}}}}}", NULL},
        {"{\"strings\": {}, \"ints\": null}", "{}"},
    };

    ROUNDS(Lists, lists);
    ROUNDS(Maps, maps);
}

TEST(keys_of_maps_are_checked)
{
    static const struct round rounds[] = {
        {"{\"ints\": {\"x\": 1}}", "neo.test.v1.Maps.ints[0]: json:1:15: the key \"x\" is not a "
                                   "number"},
        {"{\"ints\": {\"2147483648\": 1}}", "neo.test.v1.Maps.ints[0]: json:1:24: the key "
                                            "\"2147483648\" is out of range"},
        {"{\"bools\": {\"True\": \"\"}}", "neo.test.v1.Maps.bools[0]: json:1:19: the key \"True\" "
                                          "is neither true nor false"},
        {"{\"ints\": {\"1\": 1, \"1.0\": 2}}", "neo.test.v1.Maps.ints[1]: json:1:28: two keys of a "
                                               "map are the same number"},
        {"{\"strings\": {\"a\": null}}", "neo.test.v1.Maps.strings[0]: json:1:19: null where a "
                                         "string should be"},
        {"{\"strings\": []}", "neo.test.v1.Maps.strings: json:1:13: an array where an object "
                              "should be"},
    };

    REFUSALS(Maps, rounds);
}

TEST(names_come_from_the_proto)
{
    static const struct round rounds[] = {
        {"{\"int\":1,\"struct\":\"s\",\"register\":true,\"default\":\"\"}", NULL},
        {"{\"@other \\\"name\\\"\":\"x\"}", NULL},
        {"{\"renamed\": \"x\"}", "{\"@other \\\"name\\\"\":\"x\"}"},
        {"{\"xY1z\":\"q\"}", NULL},
        {"{\"inner\":{\"level\":\"HIGH\"},\"level\":\"HIGH\"}", NULL},
    };
    const void *m = parse(&neo_test_v1_Names_info, "{\"snakeCaseName\":\"x\"}", 0);

    ROUNDS(Names, rounds);
    assert_string_equal(print(&neo_test_v1_Names_info, m, NEO_JSON_PROTO_NAMES),
                        "{\"snake_case_name\":\"x\"}");
}

TEST(everything_is_copied)
{
    char json[] = "{\"fString\": \"text\", \"fBytes\": \"AAEC\"}";
    struct neo_test_v1_Scalars *m = parse(&neo_test_v1_Scalars_info, json, 0);

    memset(json, 'x', sizeof(json));
    assert_true(neo_bytes_is(m->f_string, "text"));
    assert_true(neo_bytes_equal(m->f_bytes, NEO_LIT("\x00\x01\x02")));
}

/* --- well-known types --------------------------------------------------------------------------
 */

TEST(timestamps)
{
    static const struct round good[] = {
        {"{\"timestamp\":\"1970-01-01T00:00:00Z\"}", NULL},
        {"{\"timestamp\":\"0001-01-01T00:00:00Z\"}", NULL},
        {"{\"timestamp\":\"9999-12-31T23:59:59.999999999Z\"}", NULL},
        {"{\"timestamp\":\"2024-02-29T12:00:00.500Z\"}", NULL},
        {"{\"timestamp\":\"2000-02-29T12:00:00.000001Z\"}", NULL},
        {"{\"timestamp\": \"2026-01-31T12:00:00.5Z\"}",
         "{\"timestamp\":\"2026-01-31T12:00:00.500Z\"}"},
        {"{\"timestamp\": \"2026-01-01T00:30:00+01:00\"}",
         "{\"timestamp\":\"2025-12-31T23:30:00Z\"}"},
        {"{\"timestamp\": \"2025-12-31T23:30:00-00:30\"}",
         "{\"timestamp\":\"2026-01-01T00:00:00Z\"}"},
        {"{\"timestamp\": null}", "{}"},
    };
    static const char *const bad[] = {
        "",
        "2026-01-31",
        "2026-01-31T12:00:00",
        "2026-01-31 12:00:00Z",
        "2026-01-31t12:00:00Z",
        "2026-01-31T12:00:00z",
        "2026-1-31T12:00:00Z",
        "2026-02-29T12:00:00Z",
        "1900-02-29T12:00:00Z",
        "2026-13-01T12:00:00Z",
        "2026-00-01T12:00:00Z",
        "2026-01-32T12:00:00Z",
        "2026-01-00T12:00:00Z",
        "2026-01-31T24:00:00Z",
        "2026-01-31T12:60:00Z",
        "2026-01-31T12:00:60Z",
        "2026-01-31T12:00:00.Z",
        "2026-01-31T12:00:00.1234567890Z",
        "2026-01-31T12:00:00+1:00",
        "2026-01-31T12:00:00+01",
        "2026-01-31T12:00:00Z ",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "10000-01-01T00:00:00Z",
        "2026-01-31T12:00:00ZZ",
    };

    ROUNDS(WellKnown, good);
    for (size_t i = 0; i < NEO_COUNT(bad); i++) {
        char text[100];
        (void)snprintf(text, sizeof(text), "{\"timestamp\":\"%s\"}", bad[i]);
        if (parse(&neo_test_v1_WellKnown_info, text, 0) != NULL)
            fail_msg("accepted: %s", text);
    }
}

TEST(every_day_of_ten_thousand_years_survives)
{
    struct google_protobuf_Timestamp t = {0};

    for (int64_t day = -719162; day <= 2932896; day += day % 365 == 0 ? 1 : 7) {
        t.seconds = day * 86400 + 86399;
        const char *text = print(&google_protobuf_Timestamp_info, &t, 0);
        const struct google_protobuf_Timestamp *back =
            text == NULL ? NULL : parse(&google_protobuf_Timestamp_info, text, 0);
        assert_non_null(back);
        assert_int_equal(back->seconds, t.seconds);
        neo_arena_reset(&arena);
    }
}

TEST(durations)
{
    static const struct round good[] = {
        {"{\"duration\":\"0s\"}", NULL},
        {"{\"duration\":\"1.500s\"}", NULL},
        {"{\"duration\":\"-0.500s\"}", NULL},
        {"{\"duration\":\"-3.000000001s\"}", NULL},
        {"{\"duration\":\"315576000000s\"}", NULL},
        {"{\"duration\":\"-315576000000.999999999s\"}", NULL},
        {"{\"duration\": \"1.5s\"}", "{\"duration\":\"1.500s\"}"},
        {"{\"duration\": \"1.000001s\"}", "{\"duration\":\"1.000001s\"}"},
    };
    static const char *const bad[] = {"",
                                      "s",
                                      "1",
                                      "1.s",
                                      ".5s",
                                      "1.5",
                                      "1 s",
                                      "+1s",
                                      "--1s",
                                      "1.1234567890s",
                                      "315576000001s",
                                      "1h",
                                      "1s ",
                                      "1e2s",
                                      "9999999999999s"};
    struct google_protobuf_Duration mixed = {.seconds = 1, .nanos = -1};

    ROUNDS(WellKnown, good);
    for (size_t i = 0; i < NEO_COUNT(bad); i++) {
        char text[100];
        (void)snprintf(text, sizeof(text), "{\"duration\":\"%s\"}", bad[i]);
        if (parse(&neo_test_v1_WellKnown_info, text, 0) != NULL)
            fail_msg("accepted: %s", text);
    }
    assert_null(print(&google_protobuf_Duration_info, &mixed, 0));
    mixed = (struct google_protobuf_Duration){.nanos = 1000000000};
    assert_null(print(&google_protobuf_Duration_info, &mixed, 0));
}

TEST(field_masks)
{
    static const struct round good[] = {
        {"{\"mask\":\"\"}", NULL},
        {"{\"mask\":\"fooBar.baz,h\"}", NULL},
        {"{\"mask\":\"a1.b\"}", NULL},
    };
    static const struct round bad[] = {
        {"{\"mask\":\"foo_bar\"}", "neo.test.v1.WellKnown.mask: json:1:18: \"foo_bar\" is not a "
                                   "path in lower camel case"},
        {"{\"mask\":\"a,,b\"}",
         "neo.test.v1.WellKnown.mask: json:1:15: \"\" is not a path in lower "
         "camel case"},
        {"{\"mask\":\"a,\"}", "neo.test.v1.WellKnown.mask: json:1:13: a field mask ends with a "
                              "comma"},
    };
    struct neo_bytes odd[] = {NEO_LIT("foo__bar")};
    struct neo_bytes upper[] = {NEO_LIT("fooBar")};
    struct google_protobuf_FieldMask mask = {.paths = {odd, 1}};
    const struct google_protobuf_FieldMask *m =
        parse(&google_protobuf_FieldMask_info, "\"fooBar,h\"", 0);

    ROUNDS(WellKnown, good);
    REFUSALS(WellKnown, bad);
    assert_true(m->paths.len == 2 && neo_bytes_is(m->paths.at[0], "foo_bar"));
    assert_null(print(&google_protobuf_FieldMask_info, &mask, 0));
    mask.paths.at = upper;
    assert_null(print(&google_protobuf_FieldMask_info, &mask, 0));
}

TEST(values_are_json)
{
    static const struct round rounds[] = {
        {"{\"struct\":{\"a\":1,\"b\":[null,true,\"x\",{\"c\":{}}],\"\":[]}}", NULL},
        {"{\"value\":null}", NULL},
        {"{\"value\":[[[]],1.5]}", NULL},
        {"{\"value\":{}}", NULL},
        {"{\"list\":[1,null]}", NULL},
        {"{\"values\":[null,1,{}]}", NULL},
        {"{\"valueByName\":{\"a\":null}}", NULL},
        {"{\"null\": null}", "{}"},
        {"{\"struct\": null, \"list\": null}", "{}"},
    };
    struct google_protobuf_Value nothing = {0};
    struct google_protobuf_Value infinite = {.kind_case = google_protobuf_Value_number_value_FIELD,
                                             .number_value = __builtin_inf()};

    ROUNDS(WellKnown, rounds);
    assert_null(print(&google_protobuf_Value_info, &nothing, 0));
    assert_null(print(&google_protobuf_Value_info, &infinite, 0));
}

TEST(null_in_a_oneof_is_a_value_where_the_type_is_null)
{
    static const struct round rounds[] = {{"{\"nothing\":null}", NULL}};

    ROUNDS(Choice, rounds);
}

TEST(wrappers_are_their_values)
{
    static const struct round rounds[] = {
        {"{\"wDouble\":1.5,\"wFloat\":0.5,\"wInt64\":\"-1\",\"wUint64\":\"1\",\"wInt32\":0,"
         "\"wUint32\":7,\"wBool\":false,\"wString\":\"\",\"wBytes\":\"AA==\"}",
         NULL},
        {"{\"wInt32\": \"5\", \"wBool\": null}", "{\"wInt32\":5}"},
    };

    ROUNDS(WellKnown, rounds);
}

TEST(anys_say_their_type)
{
    static const struct round good[] = {
        {"{\"any\":{}}", NULL},
        {"{\"any\":{\"@type\":\"type.googleapis.com/neo.test.v1.Scalars\",\"fInt32\":1}}", NULL},
        {"{\"any\": {\"fInt32\": 1, \"@type\": \"x/neo.test.v1.Scalars\"}}",
         "{\"any\":{\"@type\":\"x/neo.test.v1.Scalars\",\"fInt32\":1}}"},
        {"{\"any\":{\"@type\":\"x/google.protobuf.Duration\",\"value\":\"1s\"}}", NULL},
        {"{\"any\":{\"@type\":\"x/google.protobuf.Value\",\"value\":{\"a\":[1]}}}", NULL},
        {"{\"any\":{\"@type\":\"x/google.protobuf.Any\",\"value\":{\"@type\":"
         "\"x/google.protobuf.Int32Value\",\"value\":7}}}",
         NULL},
        {"{\"anys\":[{\"@type\":\"x/neo.test.v1.Nothing\"},{}]}", NULL},
    };
    static const struct round bad[] = {
        {"{\"any\": {\"fInt32\": 1}}", "neo.test.v1.WellKnown.any: json:1:9: an Any needs a key "
                                       "\"@type\""},
        {"{\"any\": {\"@type\": \"x/no.such.Type\"}}",
         "neo.test.v1.WellKnown.any: json:1:9: the type 'x/no.such.Type' of an Any is not known "
         "here"},
        {"{\"any\": {\"@type\": \"neo.test.v1.Scalars\"}}",
         "neo.test.v1.WellKnown.any: json:1:9: the type 'neo.test.v1.Scalars' of an Any is not "
         "known here"},
        {"{\"any\": {\"@type\": \"x/google.protobuf.Duration\"}}",
         "neo.test.v1.WellKnown.any: json:1:48: an Any of type google.protobuf.Duration needs a "
         "key \"value\""},
        {"{\"any\": {\"@type\": 1}}", "neo.test.v1.WellKnown.any: json:1:19: a number where a "
                                      "string should be"},
        {"{\"any\": {\"@type\": \"x/neo.test.v1.Scalars\", \"value\": 1}}",
         "neo.test.v1.WellKnown.any: json:1:52: the key \"value\" is not a field of "
         "neo.test.v1.Scalars"},
    };

    ROUNDS(WellKnown, good);
    REFUSALS(WellKnown, bad);
}

TEST(anys_that_cannot_be_shown_are_refused)
{
    struct google_protobuf_Any any = {.type_url = NEO_LIT("x/no.such.Type"),
                                      .value = NEO_LIT("\x08\x01")};

    assert_null(print(&google_protobuf_Any_info, &any, 0));
    assert_string_equal(err.message, "cannot write an Any as JSON: its type 'x/no.such.Type' is "
                                     "not known here");
    any.type_url = NEO_LIT("x/google.protobuf.Any");
    any.value = NEO_LIT("\x0a\xff");
    assert_null(print(&google_protobuf_Any_info, &any, 0));
}

/* --- flags -------------------------------------------------------------------------------------
 */

TEST(defaults_are_printed_on_demand)
{
    struct neo_test_v1_Choice choice = {0};
    struct neo_test_v1_Maps maps = {0};
    struct neo_test_v1_Tree tree = {0};
    struct neo_test_v1_Optionals optionals = {0};

    assert_string_equal(print(&neo_test_v1_Choice_info, &choice, NEO_JSON_DEFAULTS),
                        "{\"before\":\"\",\"after\":\"\"}");
    assert_string_equal(print(&neo_test_v1_Maps_info, &maps, NEO_JSON_DEFAULTS),
                        "{\"strings\":{},\"ints\":{},\"bools\":{},\"messages\":{},\"enums\":{},"
                        "\"doubles\":{},\"nested\":{}}");
    assert_string_equal(print(&neo_test_v1_Tree_info, &tree, NEO_JSON_DEFAULTS),
                        "{\"value\":0,\"children\":[],\"named\":{}}");
    assert_string_equal(print(&neo_test_v1_Optionals_info, &optionals, NEO_JSON_DEFAULTS), "{}");
}

TEST(extensions_have_their_full_name_in_brackets)
{
    static const char text[] =
        "{\"dInt32\":1,\"[neo.test.v1.extra]\":5,\"[neo.test.v1.extra_names]\":[\"a\",\"b\"],"
        "\"[neo.test.v1.extra_old]\":{\"name\":\"n\"},"
        "\"[neo.test.v1.Around.inside]\":{\"a\":2}}";
    const struct neo_message_info *info = &neo_test_v1_Legacy_info;
    const struct neo_test_v1_Legacy *m = parse(info, text, 0);
    struct neo_test_v1_extra_names_extension names;
    struct neo_test_v1_extra_extension extra;

    if (m == NULL)
        fail_msg("%s", err.message);
    assert_string_equal(print(info, m, 0), text);
    assert_int_equal(neo_test_v1_extra_extension_get(m, &extra, &arena, &err), NEO_OK);
    assert_true(extra.has_extra && extra.extra == 5);
    assert_int_equal(neo_test_v1_extra_names_extension_get(m, &names, &arena, &err), NEO_OK);
    assert_true(names.extra_names.len == 2 && neo_bytes_is(names.extra_names.at[1], "b"));
    assert_null(parse(info, "{\"[neo.test.v1.nobody]\":5}", 0));
    assert_null(parse(info, "{\"[neo.test.v1.extra]\":\"x\"}", 0));
    assert_null(parse(info, "{\"[neo.test.v1.extra_old]\":{}}", 0));
    assert_null(parse(&neo_test_v1_Old_info, "{\"name\":\"\",\"[neo.test.v1.extra]\":5}", 0));
    assert_non_null(parse(info, "{\"[neo.test.v1.extra]\":null}", 0));
}

TEST(secrets_are_redacted_on_demand)
{
    static const char json[] = "{\"name\":\"n\",\"key\":\"k\",\"keys\":[\"AA==\"],\"note\":\"o\","
                               "\"inner\":{\"fInt32\":1}}";
    const void *m = parse(&neo_test_v1_Secrets_info, json, 0);
    struct google_protobuf_Any unknown = {.type_url = NEO_LIT("x/no.such.Type"),
                                          .value = NEO_LIT("secret")};

    assert_string_equal(print(&neo_test_v1_Secrets_info, m, 0), json);
    assert_string_equal(print(&neo_test_v1_Secrets_info, m, NEO_JSON_REDACT),
                        "{\"name\":\"n\",\"key\":\"[redacted]\",\"keys\":\"[redacted]\","
                        "\"note\":\"o\",\"inner\":\"[redacted]\"}");
    assert_string_equal(print(&google_protobuf_Any_info, &unknown, NEO_JSON_REDACT),
                        "{\"@type\":\"x/no.such.Type\"}");
}

TEST(refusals_do_not_quote_secrets)
{
    static const struct round rounds[] = {
        {"{\"inner\": {\"fInt32\": \"hunter2\"}}",
         "neo.test.v1.Secrets.inner.f_int32: malformed, and too sensitive to be quoted"},
        {"{\"keys\": [\"hunter2!\"]}",
         "neo.test.v1.Secrets.keys[0]: malformed, and too sensitive to be quoted"},
    };

    REFUSALS(Secrets, rounds);
}

TEST(unknown_keys_and_enum_names_are_ignored_on_demand)
{
    static const char json[] =
        "{\"x\": {\"y\": [1, {}]}, \"fEnum\": [\"RED\", \"MAUVE\", \"DARK\"], "
        "\"fBool\": [true]}";
    static const char maps[] = "{\"enums\": {\"1\": \"MAUVE\", \"2\": \"RED\"}}";
    static const char one[] = "{\"color\": \"MAUVE\", \"after\": \"x\"}";

    assert_null(parse(&neo_test_v1_Lists_info, json, 0));
    assert_string_equal(print(&neo_test_v1_Lists_info,
                              parse(&neo_test_v1_Lists_info, json, NEO_JSON_IGNORE_UNKNOWN), 0),
                        "{\"fBool\":[true],\"fEnum\":[\"RED\",\"DARK\"]}");
    assert_string_equal(print(&neo_test_v1_Maps_info,
                              parse(&neo_test_v1_Maps_info, maps, NEO_JSON_IGNORE_UNKNOWN), 0),
                        "{\"enums\":{\"2\":\"RED\"}}");
    assert_string_equal(print(&neo_test_v1_Choice_info,
                              parse(&neo_test_v1_Choice_info, one, NEO_JSON_IGNORE_UNKNOWN), 0),
                        "{\"after\":\"x\"}");
}

/* In an array that is as large as its room. */
TEST(enum_names_that_are_ignored_do_not_cost_the_array_again)
{
    enum { N = 4096, AGAIN = 3000 };
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer json = {0};
    struct neo_test_v1_Lists m = {0};

    (void)neo_buffer_append(&json, NEO_LIT("{\"fEnum\":[1"));
    for (int i = 1; i < N; i++)
        (void)neo_buffer_append(&json, NEO_LIT(",1"));
    for (int i = 0; i < AGAIN; i++)
        (void)neo_buffer_append(&json, NEO_LIT(",\"MAUVE\""));
    (void)neo_buffer_append(&json, NEO_LIT("]}"));
    assert_int_equal(neo_proto_from_json(&neo_test_v1_Lists_info, neo_buffer_bytes(&json),
                                         NEO_JSON_IGNORE_UNKNOWN, &m, &arena, &err),
                     NEO_OK);
    assert_int_equal(m.f_enum.len, N);
}

TEST(pretty_json_has_lines)
{
    const void *m =
        parse(&neo_test_v1_Tree_info, "{\"value\":1,\"children\":[{},{\"value\":2}]}", 0);

    assert_string_equal(print(&neo_test_v1_Tree_info, m, NEO_JSON_PRETTY),
                        "{\n  \"value\": 1,\n  \"children\": [\n    {},\n    {\n      \"value\": "
                        "2\n    }\n  ]\n}");
}

/* --- limits ------------------------------------------------------------------------------------
 */

TEST(depth_is_bounded_both_ways)
{
    struct neo_test_v1_Tree trees[130] = {{0}};
    struct neo_buffer text = {0};

    for (size_t i = 0; i + 1 < NEO_COUNT(trees); i++)
        trees[i].left = &trees[i + 1];
    assert_non_null(print(&neo_test_v1_Tree_info, &trees[NEO_COUNT(trees) - 101], 0));
    assert_null(print(&neo_test_v1_Tree_info, &trees[NEO_COUNT(trees) - 102], 0));
    trees[0].left = &trees[0];
    assert_null(print(&neo_test_v1_Tree_info, &trees[0], 0));

    for (size_t i = 0; i < 1000; i++)
        (void)neo_buffer_append_text(&text, "{\"left\":");
    (void)neo_buffer_append_byte(&text, '\0');
    assert_null(parse(&neo_test_v1_Tree_info, (const char *)text.at, 0));
    assert_non_null(strstr(err.message, "nested deeper than 64"));
    neo_buffer_fini(&text);
}

TEST(anys_within_anys_cost_no_recursion_and_no_quadratic_time)
{
    struct neo_buffer text = {0};
    clock_t start = clock();

    /* Each level's "@type" stands behind all that is inside it. */
    for (size_t i = 0; i < 60; i++)
        (void)neo_buffer_append_text(&text, "{\"value\":");
    (void)neo_buffer_append_text(&text, "{\"value\":\"");
    for (size_t i = 0; i < 1 << 20; i++)
        (void)neo_buffer_append_byte(&text, 'x');
    (void)neo_buffer_append_text(&text, "\",\"@type\":\"x/google.protobuf.StringValue\"}");
    for (size_t i = 0; i < 60; i++)
        (void)neo_buffer_append_text(&text, ",\"@type\":\"x/google.protobuf.Any\"}");
    (void)neo_buffer_append_byte(&text, '\0');
    assert_null(parse(&google_protobuf_Any_info, (const char *)text.at, 0));
    assert_non_null(strstr(err.message, "must be the first key"));
    assert_true((clock() - start) * 1000 / CLOCKS_PER_SEC < 1000);
    neo_buffer_fini(&text);

    /* On the wire: Anys 101 deep, and one more. */
    for (size_t levels = 90; levels < 110; levels++) {
        struct neo_bytes value = {0};
        for (size_t i = 0; i < levels; i++) {
            struct google_protobuf_Any any = {.type_url = NEO_LIT("x/google.protobuf.Any"),
                                              .value = value};
            neo_buffer_clear(&out);
            assert_int_equal(google_protobuf_Any_encode(&any, &out, &err), NEO_OK);
            value = neo_arena_copy(&arena, neo_buffer_bytes(&out));
        }
        struct google_protobuf_Any any;
        assert_int_equal(google_protobuf_Any_decode(value, &any, &arena, &err), NEO_OK);
        if (levels <= 100)
            assert_non_null(print(&google_protobuf_Any_info, &any, 0));
        else if (levels > 101)
            assert_null(print(&google_protobuf_Any_info, &any, 0));
    }
}

/* --- robustness --------------------------------------------------------------------------------
 */

static const char sample[] =
    "{\"any\":{\"@type\":\"x/neo.test.v1.Maps\",\"strings\":{\"a\":\"b\"}},\"timestamp\":"
    "\"2026-01-31T12:00:00.5Z\",\"duration\":\"-1.5s\",\"mask\":\"fooBar,h\",\"struct\":{\"a\":[1,"
    "{\"b\":null}]},\"values\":[true,\"x\"],\"wBytes\":\"AAEC\",\"durationByName\":{\"d\":\"1s\"},"
    "\"anys\":[{\"value\":\"2s\",\"@type\":\"x/google.protobuf.Duration\"}]}";

TEST(every_truncation_is_refused)
{
    assert_non_null(parse(&neo_test_v1_WellKnown_info, sample, 0));
    for (size_t len = 0; len < sizeof(sample) - 1; len++) {
        struct neo_test_v1_WellKnown m = {0};
        char *exact = neo_alloc(len);
        memcpy(exact, sample, len);
        assert_int_equal(neo_proto_from_json(&neo_test_v1_WellKnown_info, neo_bytes(exact, len), 0,
                                             &m, &arena, &err),
                         NEO_INVALID_ARGUMENT);
        neo_free(exact);
    }
}

TEST(failing_allocations_are_survived)
{
    enum neo_code code = NEO_RESOURCE_EXHAUSTED;
    const void *whole = parse(&neo_test_v1_WellKnown_info, sample, 0);

    for (unsigned long n = 1; code != NEO_OK; n++) {
        struct neo_arena fresh;
        struct neo_test_v1_WellKnown m = {0};

        assert_true(n < 1000);
        neo_arena_init(&fresh, BUDGET);
        neo_memory_fail_at(n);
        code =
            neo_proto_from_json(&neo_test_v1_WellKnown_info, neo_text(sample), 0, &m, &fresh, &err);
        neo_memory_fail_at(0);
        neo_arena_fini(&fresh);
        assert_true(code == NEO_OK || code == NEO_RESOURCE_EXHAUSTED);
    }
    for (size_t budget = 0; budget < 16384; budget += 32) {
        struct neo_arena small;
        struct neo_test_v1_WellKnown m = {0};

        neo_arena_init(&small, budget);
        code =
            neo_proto_from_json(&neo_test_v1_WellKnown_info, neo_text(sample), 0, &m, &small, &err);
        neo_arena_fini(&small);
        assert_true(code == NEO_OK || code == NEO_RESOURCE_EXHAUSTED);
    }
    assert_int_equal(code, NEO_OK);
    code = NEO_RESOURCE_EXHAUSTED;
    for (unsigned long n = 1; code != NEO_OK; n++) {
        struct neo_buffer fresh = {0};

        assert_true(n < 1000);
        neo_memory_fail_at(n);
        code = neo_proto_to_json(&neo_test_v1_WellKnown_info, whole, 0, &fresh, &err);
        neo_memory_fail_at(0);
        neo_buffer_fini(&fresh);
        assert_true(code == NEO_OK || code == NEO_RESOURCE_EXHAUSTED);
    }
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(refusals_name_the_field_and_the_place),
        T(a_field_under_both_of_its_names_is_refused),
        T(two_fields_of_a_oneof_are_refused),
        T(numbers_out_of_range_or_form_are_refused),
        T(scalars_take_every_form_and_leave_in_one),
        T(presence_is_kept),
        T(lists_and_maps_keep_their_order),
        T(keys_of_maps_are_checked),
        T(names_come_from_the_proto),
        T(everything_is_copied),
        T(timestamps),
        T(every_day_of_ten_thousand_years_survives),
        T(durations),
        T(field_masks),
        T(values_are_json),
        T(null_in_a_oneof_is_a_value_where_the_type_is_null),
        T(wrappers_are_their_values),
        T(anys_say_their_type),
        T(anys_that_cannot_be_shown_are_refused),
        T(defaults_are_printed_on_demand),
        T(extensions_have_their_full_name_in_brackets),
        T(secrets_are_redacted_on_demand),
        T(refusals_do_not_quote_secrets),
        T(unknown_keys_and_enum_names_are_ignored_on_demand),
        T(enum_names_that_are_ignored_do_not_cost_the_array_again),
        T(pretty_json_has_lines),
        T(depth_is_bounded_both_ways),
        T(anys_within_anys_cost_no_recursion_and_no_quadratic_time),
        T(every_truncation_is_refused),
        T(failing_allocations_are_survived),
    };
    return cmocka_run_group_tests_name("codec/proto_json", tests, NULL, NULL);
}
