/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/unit.h"

#include <neo/json.h>
#include <neo/memory.h>

#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <time.h>

enum { BUDGET = 32 << 20 };

static struct neo_arena arena;

static int set_up(void **state)
{
    (void)state;
    neo_arena_init(&arena, BUDGET);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    neo_memory_fail_at(0);
    neo_arena_fini(&arena);
    return 0;
}

/* Reads all of a text, whatever it is. */
static enum neo_code check(struct neo_bytes text, struct neo_error *err)
{
    struct neo_json r;

    neo_json_init(&r, text, "t.json", &arena);
    (void)neo_json_skip(&r);
    return neo_json_finish(&r, err);
}

static void assert_refused(const char *text, const char *message)
{
    struct neo_error err;

    if (check(neo_text(text), &err) != NEO_INVALID_ARGUMENT)
        fail_msg("accepted: %s", text);
    if (strcmp(err.message, message) != 0)
        fail_msg("for %s\n  expected: %s\n  got:      %s", text, message, err.message);
}

static void assert_accepted(const char *text)
{
    struct neo_error err;

    if (check(neo_text(text), &err) != NEO_OK)
        fail_msg("%s: %s", text, err.message);
}

TEST(refuses_what_is_not_json_and_says_where)
{
    assert_refused("", "t.json:1:1: the text ends where a value should be");
    assert_refused("  ", "t.json:1:3: the text ends where a value should be");
    assert_refused("nul", "t.json:1:1: a word that is neither true, false nor null");
    assert_refused("truth", "t.json:1:1: a word that is neither true, false nor null");
    assert_refused("truex", "t.json:1:5: there is more text behind the value");
    assert_refused("NaN", "t.json:1:1: 'N' where a value should be");
    assert_refused("Infinity", "t.json:1:1: 'I' where a value should be");
    assert_refused("-Infinity", "t.json:1:1: a malformed number");
    assert_refused("'a'", "t.json:1:1: ''' where a value should be");
    assert_refused("{\n  \"a\": 1,\n}", "t.json:3:1: '}' where a key in quotes should be");
    assert_refused("[1,]", "t.json:1:4: ']' where a value should be");
    assert_refused("[,1]", "t.json:1:2: ',' where a value should be");
    assert_refused("[1 2]", "t.json:1:4: '2' where ',' or ']' should be");
    assert_refused("{\"a\" 1}", "t.json:1:6: '1' where ':' should be");
    assert_refused("{\"a\":1 \"b\":2}", "t.json:1:8: '\"' where ',' or '}' should be");
    assert_refused("{a:1}", "t.json:1:2: 'a' where a key in quotes should be");
    assert_refused("[1}", "t.json:1:3: '}' where ',' or ']' should be");
    assert_refused("{\"a\":1]", "t.json:1:7: ']' where ',' or '}' should be");
    assert_refused("[", "t.json:1:2: the text ends where a value should be");
    assert_refused("{\"a\":", "t.json:1:6: the text ends where a value should be");
    assert_refused("1 2", "t.json:1:3: there is more text behind the value");
    assert_refused("{} {}", "t.json:1:4: there is more text behind the value");
    assert_refused("/* c */ 1", "t.json:1:1: '/' where a value should be");
    assert_refused("\f1", "t.json:1:1: byte 0x0c where a value should be");
}

TEST(refuses_a_byte_order_mark)
{
    assert_refused("\xef\xbb\xbf{}", "t.json:1:1: begins with a byte order mark, remove it");
}

TEST(refuses_the_second_key_of_a_kind)
{
    assert_refused("{\"a\":1,\"a\":2}", "t.json:1:11: the key \"a\" is there twice");
    assert_refused("{\"a\":1,\"\\u0061\":2}", "t.json:1:16: the key \"a\" is there twice");
    assert_refused("{\"a\":{\"b\":1,\"b\":2}}", "t.json:1:16: the key \"b\" is there twice");
    assert_refused("{\"\":1,\"\":2}", "t.json:1:9: the key \"\" is there twice");
    assert_accepted("{\"a\":{\"a\":1},\"b\":{\"a\":1}}");
    assert_accepted("[{\"a\":1},{\"a\":1}]");
}

TEST(refuses_the_second_key_among_many)
{
    static char text[400000];

    for (int n = 2; n <= 5000; n = n * 2 + 1) {
        size_t len = 0;
        text[len++] = '{';
        for (int i = 0; i < n; i++)
            len += (size_t)sprintf(text + len, "\"k%d\":%d,", i, i);
        text[len - 1] = '}';
        assert_int_equal(check(neo_bytes(text, len), NULL), NEO_OK);

        len += (size_t)sprintf(text + len - 1, ",\"k%d\":0}", n / 2) - 1;
        struct neo_error err;
        assert_int_equal(check(neo_bytes(text, len), &err), NEO_INVALID_ARGUMENT);
        assert_non_null(strstr(err.message, "is there twice"));
    }
}

TEST(refuses_malformed_strings)
{
    assert_refused("\"abc", "t.json:1:1: the string is not closed");
    assert_refused("\"abc\\\"", "t.json:1:1: the string is not closed");
    assert_refused("\"abc\\", "t.json:1:1: the string is not closed");
    assert_refused("\"a\nb\"", "t.json:1:3: byte 0x0a in a string must be escaped");
    assert_refused("\"a\tb\"", "t.json:1:3: byte 0x09 in a string must be escaped");
    assert_refused("\"\\x41\"", "t.json:1:2: a malformed escape, or half a surrogate pair");
    assert_refused("\"\\u12\"", "t.json:1:2: a malformed escape, or half a surrogate pair");
    assert_refused("\"\\u12g4\"", "t.json:1:2: a malformed escape, or half a surrogate pair");
    assert_refused("\"\\ud800\"", "t.json:1:2: a malformed escape, or half a surrogate pair");
    assert_refused("\"\\udc00\"", "t.json:1:2: a malformed escape, or half a surrogate pair");
    assert_refused("\"\\ud800\\u0041\"",
                   "t.json:1:2: a malformed escape, or half a surrogate pair");
    assert_refused("\"\\ud800\\ud800\"",
                   "t.json:1:2: a malformed escape, or half a surrogate pair");
    assert_refused("\"\xff\"", "t.json:1:1: the string is not UTF-8");
    assert_refused("\"\xc0\x80\"", "t.json:1:1: the string is not UTF-8");
    assert_refused("\"\xed\xa0\x80\"", "t.json:1:1: the string is not UTF-8");
}

TEST(refuses_malformed_numbers)
{
    static const char *const texts[] = {"01",  "-01", "-",   "+1",  ".5",    "1.", "1.e5", "1e",
                                        "1e+", "0x1", "1_0", "--1", "1.2.3", "00", "-.5",  "1e5.5"};

    for (size_t i = 0; i < NEO_COUNT(texts); i++) {
        if (check(neo_text(texts[i]), NULL) != NEO_INVALID_ARGUMENT)
            fail_msg("accepted %s", texts[i]);
    }
}

TEST(depth_is_bounded)
{
    char text[300];

    for (size_t depth = 60; depth < 70; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        assert_int_equal(check(neo_bytes(text, 2 * depth), NULL),
                         depth <= NEO_JSON_DEPTH_MAX ? NEO_OK : NEO_INVALID_ARGUMENT);
    }
}

/* W05: 4 MiB in at most 20 ms; the limit here is generous for sanitizers and a busy machine. */
TEST(hostile_texts_cost_linear_time)
{
    enum { LEN = 4 << 20 };
    char *text = neo_alloc(LEN);
    clock_t start = clock();

    memset(text, '[', LEN);
    assert_int_equal(check(neo_bytes(text, LEN), NULL), NEO_INVALID_ARGUMENT);
    memset(text, '1', LEN);
    assert_int_equal(check(neo_bytes(text, LEN), NULL), NEO_OK);
    memset(text, ' ', LEN);
    assert_int_equal(check(neo_bytes(text, LEN), NULL), NEO_INVALID_ARGUMENT);
    for (size_t i = 0; i + 2 <= LEN; i += 2)
        memcpy(text + i, "{\"", 2);
    assert_int_equal(check(neo_bytes(text, LEN), NULL), NEO_INVALID_ARGUMENT);
    text[0] = '"';
    for (size_t i = 1; i < LEN; i++)
        text[i] = '\\';
    assert_int_equal(check(neo_bytes(text, LEN), NULL), NEO_INVALID_ARGUMENT);
    assert_true((clock() - start) * 1000 / CLOCKS_PER_SEC < 2000);
    neo_free(text);
}

TEST(many_small_objects_after_a_large_one_cost_no_memory)
{
    struct neo_buffer text = {0};
    struct neo_arena small;
    struct neo_json r;

    (void)neo_buffer_append_text(&text, "[{");
    for (int i = 0; i < 2000; i++)
        (void)neo_buffer_printf(&text, "%s\"k%d\":0", i == 0 ? "" : ",", i);
    (void)neo_buffer_append_text(&text, "}");
    for (int i = 0; i < 50000; i++)
        (void)neo_buffer_append_text(&text, ",{\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"e\":5,\"f\":6,"
                                            "\"g\":7,\"h\":8,\"i\":9,\"j\":10}");
    (void)neo_buffer_append_text(&text, "]");
    neo_arena_init(&small, 256 << 10);
    neo_json_init(&r, neo_buffer_bytes(&text), "t", &small);
    assert_true(neo_json_skip(&r));
    assert_int_equal(neo_json_finish(&r, NULL), NEO_OK);
    neo_arena_fini(&small);
    neo_buffer_fini(&text);
}

TEST(strings_without_escapes_are_borrowed)
{
    static const char text[] = "[\"plain \xc3\xa4\", \"a\\n\\u0041\\ud83d\\ude00\\\\\\/\\u0000z\"]";
    struct neo_bytes s;
    struct neo_json r;

    neo_json_init(&r, neo_text(text), "t", &arena);
    assert_true(neo_json_enter_array(&r));
    assert_true(neo_json_element(&r) && neo_json_string(&r, &s));
    assert_ptr_equal(s.at, text + 2);
    assert_int_equal(s.len, 8);
    assert_true(neo_json_element(&r) && neo_json_string(&r, &s));
    assert_true(neo_bytes_equal(s, NEO_LIT("a\nA\xf0\x9f\x98\x80\\/\0z")));
    assert_false(neo_json_element(&r));
    assert_int_equal(neo_json_finish(&r, NULL), NEO_OK);
}

TEST(pulls_objects_and_arrays)
{
    static const char text[] = " { \"name\" : \"x\" , \"list\" : [ 1 , [ ] , { } , null ] ,\n"
                               " \"flag\" : true , \"off\" : false } ";
    struct neo_bytes key;
    struct neo_bytes name;
    struct neo_json r;
    bool on = false;
    bool off = true;
    int64_t one = 0;

    neo_json_init(&r, neo_text(text), "t", &arena);
    assert_int_equal(neo_json_peek(&r), NEO_JSON_OBJECT);
    assert_true(neo_json_enter_object(&r));
    assert_true(neo_json_key(&r, &key) && neo_bytes_is(key, "name"));
    assert_true(neo_json_string(&r, &name) && neo_bytes_is(name, "x"));
    assert_true(neo_json_key(&r, &key) && neo_bytes_is(key, "list"));
    assert_true(neo_json_enter_array(&r));
    assert_true(neo_json_element(&r) && neo_json_i64(&r, &one) && one == 1);
    assert_true(neo_json_element(&r) && neo_json_enter_array(&r) && !neo_json_element(&r));
    assert_true(neo_json_element(&r) && neo_json_enter_object(&r) && !neo_json_key(&r, &key));
    assert_true(neo_json_element(&r) && neo_json_null(&r));
    assert_false(neo_json_element(&r));
    assert_true(neo_json_key(&r, &key) && neo_json_bool(&r, &on) && on);
    assert_true(neo_json_key(&r, &key) && neo_json_bool(&r, &off) && !off);
    assert_false(neo_json_key(&r, &key));
    assert_int_equal(neo_json_finish(&r, NULL), NEO_OK);
}

TEST(the_first_error_sticks)
{
    struct neo_bytes key;
    struct neo_error err;
    struct neo_json r;
    int64_t n = 7;

    neo_json_init(&r, NEO_LIT("{\"a\": \"x\", \"b\": 1}"), "t", &arena);
    assert_true(neo_json_enter_object(&r) && neo_json_key(&r, &key));
    assert_false(neo_json_i64(&r, &n));
    assert_int_equal(n, 7);
    assert_false(neo_json_key(&r, &key));
    assert_false(neo_json_skip(&r));
    assert_int_equal(neo_json_peek(&r), NEO_JSON_ERROR);
    neo_json_refuse(&r, "a later one");
    assert_int_equal(neo_json_finish(&r, &err), NEO_INVALID_ARGUMENT);
    assert_string_equal(err.message, "t:1:7: a string where a number should be");
}

TEST(a_caller_can_refuse_at_the_present_place)
{
    struct neo_bytes key;
    struct neo_error err;
    struct neo_json r;

    neo_json_init(&r, NEO_LIT("{\n \"port\": 99999}"), "f", &arena);
    assert_true(neo_json_enter_object(&r) && neo_json_key(&r, &key));
    neo_json_refuse(&r, "%.*s is not a setting", NEO_FMT(key));
    assert_int_equal(neo_json_finish(&r, &err), NEO_INVALID_ARGUMENT);
    assert_string_equal(err.message, "f:2:9: port is not a setting");
}

TEST(a_value_left_unread_is_an_error)
{
    struct neo_json r;

    neo_json_init(&r, NEO_LIT("[]"), "t", &arena);
    assert_true(neo_json_enter_array(&r));
    assert_int_equal(neo_json_finish(&r, NULL), NEO_INVALID_ARGUMENT);
}

static bool read_i64(const char *text, int64_t *ret)
{
    struct neo_json r;

    neo_json_init(&r, neo_text(text), "t", &arena);
    return neo_json_i64(&r, ret) && neo_json_finish(&r, NULL) == NEO_OK;
}

static bool read_u64(const char *text, uint64_t *ret)
{
    struct neo_json r;

    neo_json_init(&r, neo_text(text), "t", &arena);
    return neo_json_u64(&r, ret) && neo_json_finish(&r, NULL) == NEO_OK;
}

TEST(integers_are_exact)
{
    static const struct {
        const char *text;
        int64_t value;
    } good[] = {
        {"0", 0},
        {"-0", 0},
        {"9223372036854775807", INT64_MAX},
        {"-9223372036854775808", INT64_MIN},
        {"9007199254740993", INT64_C(9007199254740993)},
        {"1e2", 100},
        {"1E+2", 100},
        {"1.0", 1},
        {"120e-1", 12},
        {"0.5e1", 5},
        {"0e99999999999999999999", 0},
        {"0.000e-5", 0},
        {"922337203685477580.7e1", INT64_MAX},
        {"1000000000000000000000e-21", 1},
    };
    static const char *const bad[] = {"1.5",
                                      "9223372036854775808",
                                      "-9223372036854775809",
                                      "1e19",
                                      "0.1",
                                      "1e-1",
                                      "1e400",
                                      "1e99999999999999999999",
                                      "1e-99999999999999999999",
                                      "18446744073709551616"};
    int64_t value;
    uint64_t wide;

    for (size_t i = 0; i < NEO_COUNT(good); i++) {
        if (!read_i64(good[i].text, &value) || value != good[i].value)
            fail_msg("%s", good[i].text);
    }
    for (size_t i = 0; i < NEO_COUNT(bad); i++) {
        if (read_i64(bad[i], &value))
            fail_msg("accepted %s as %lld", bad[i], (long long)value);
    }
    assert_true(read_u64("18446744073709551615", &wide) && wide == UINT64_MAX);
    assert_false(read_u64("18446744073709551616", &wide));
    assert_false(read_u64("-1", &wide));
    assert_true(read_u64("-0", &wide) && wide == 0);
}

static bool read_double(const char *text, double *ret)
{
    struct neo_json r;

    neo_json_init(&r, neo_text(text), "t", &arena);
    return neo_json_double(&r, ret) && neo_json_finish(&r, NULL) == NEO_OK;
}

TEST(doubles_are_correctly_rounded_and_in_range)
{
    double value;

    assert_true(read_double("0.1", &value) && value == 0.1);
    assert_true(read_double("-2.5e-3", &value) && value == -2.5e-3);
    assert_true(read_double("1.7976931348623157e308", &value) && value == DBL_MAX);
    assert_true(read_double("4.9e-324", &value) && value == 4.9e-324);
    assert_true(read_double("1e-400", &value) && value == 0);
    assert_true(read_double("-0", &value) && value == 0 && signbit(value));
    assert_true(read_double("9007199254740993", &value) && value == 9007199254740992.0);
    assert_true(read_double("123456789012345678901234567890.12345678901234567890123456789012345678",
                            &value) &&
                value == 123456789012345678901234567890.0);
    assert_false(read_double("1e400", &value));
    assert_false(read_double("-1e309", &value));
}

static struct neo_json_writer writer_to(struct neo_buffer *out, bool pretty)
{
    return (struct neo_json_writer){.out = out, .pretty = pretty};
}

static void assert_text(struct neo_buffer *out, const char *expected)
{
    (void)neo_buffer_append_byte(out, '\0');
    assert_string_equal((const char *)out->at, expected);
    neo_buffer_fini(out);
}

TEST(the_locale_changes_nothing)
{
    struct neo_buffer out = {0};
    double value;

    if (setlocale(LC_NUMERIC, "de_DE.UTF-8") == NULL)
        print_message("no locale with a decimal comma here: this test shows less\n");
    assert_true(read_double("0.12345678901234567", &value) && value == 0.12345678901234567);
    struct neo_json_writer w = writer_to(&out, false);
    neo_json_put_double(&w, 0.12345678901234567);
    (void)setlocale(LC_NUMERIC, "C");
    assert_text(&out, "0.12345678901234566");
}

static void write_some(struct neo_json_writer *w)
{
    neo_json_open_object(w);
    neo_json_put_key(w, "a");
    neo_json_put_i64(w, -1);
    neo_json_put_key(w, "b");
    neo_json_open_array(w);
    neo_json_put_bool(w, true);
    neo_json_put_null(w);
    neo_json_put_u64(w, UINT64_MAX);
    neo_json_open_object(w);
    neo_json_close_object(w);
    neo_json_open_array(w);
    neo_json_close_array(w);
    neo_json_close_array(w);
    neo_json_put_key(w, "c");
    neo_json_put_raw(w, NEO_LIT("[1]"));
    neo_json_close_object(w);
}

TEST(writes_commas_and_lines)
{
    struct neo_buffer out = {0};
    struct neo_json_writer w = writer_to(&out, false);

    write_some(&w);
    assert_text(&out, "{\"a\":-1,\"b\":[true,null,18446744073709551615,{},[]],\"c\":[1]}");

    w = writer_to(&out, true);
    write_some(&w);
    assert_text(&out, "{\n  \"a\": -1,\n  \"b\": [\n    true,\n    null,\n    "
                      "18446744073709551615,\n    {},\n    []\n  ],\n  \"c\": [1]\n}");
}

TEST(writes_what_it_could_read)
{
    struct neo_buffer out = {0};
    struct neo_json_writer w = writer_to(&out, false);

    neo_json_put_string(&w, NEO_LIT("\"\\/\b\f\n\r\t\x01\x1f\x7f\v \xc3\xa4\xf0\x9f\x98\x80"));
    assert_text(&out,
                "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\\u000b \xc3\xa4\xf0\x9f\x98\x80\"");
    neo_json_put_string(&w, NEO_LIT("a\xff\xc3(\xed\xa0\x80z"));
    assert_text(&out, "\"a\xef\xbf\xbd\xef\xbf\xbd(\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz\"");
}

TEST(doubles_are_written_as_short_as_they_read_back)
{
    static const struct {
        double value;
        const char *text;
    } cases[] = {
        {0, "0"},
        {-0.0, "-0.0"},
        {1, "1"},
        {-5, "-5"},
        {0.1, "0.1"},
        {1e15, "1e+15"},
        {100000, "100000"},
        {1.5, "1.5"},
        {1e20, "1e+20"},
        {123456789.125, "123456789.125"},
        {5e-324, "4.94065645841247e-324"},
        {1.0 / 3, "0.3333333333333333"},
        {DBL_MAX, "1.7976931348623157e+308"},
        {INFINITY, "null"},
    };
    struct neo_buffer out = {0};
    uint64_t seed = 3;

    for (size_t i = 0; i < NEO_COUNT(cases); i++) {
        struct neo_json_writer w = writer_to(&out, false);
        neo_json_put_double(&w, cases[i].value);
        assert_text(&out, cases[i].text);
    }
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = unit_random(&seed, UINT64_MAX);
        double value;
        double back;
        struct neo_json_writer w = writer_to(&out, false);

        memcpy(&value, &bits, sizeof(value));
        if (!isfinite(value))
            continue;
        neo_json_put_double(&w, value);
        (void)neo_buffer_append_byte(&out, '\0');
        assert_true(read_double((const char *)out.at, &back));
        assert_memory_equal(&value, &back, sizeof(value));
        neo_buffer_clear(&out);
        neo_arena_reset(&arena);
    }
    neo_buffer_fini(&out);
}

static const char sample[] = "{\"a\": [1, -2.5e3, \"x\\ny\", true, false, null, {\"b\": {}}],\n"
                             " \"c\\u00e4\": \"\\ud83d\\ude00\", \"d\": []}";

TEST(every_truncation_is_refused)
{
    assert_int_equal(check(neo_text(sample), NULL), NEO_OK);
    for (size_t len = 0; len < sizeof(sample) - 1; len++) {
        char *exact = neo_alloc(len);
        memcpy(exact, sample, len);
        assert_int_equal(check(neo_bytes(exact, len), NULL), NEO_INVALID_ARGUMENT);
        neo_free(exact);
    }
}

TEST(changing_a_byte_never_does_harm)
{
    char text[sizeof(sample)];

    for (size_t i = 0; i < sizeof(sample) - 1; i++) {
        for (int byte = 0; byte < 256; byte++) {
            memcpy(text, sample, sizeof(sample));
            text[i] = (char)byte;
            enum neo_code code = check(neo_bytes(text, sizeof(sample) - 1), NULL);
            assert_true(code == NEO_OK || code == NEO_INVALID_ARGUMENT);
            neo_arena_reset(&arena);
        }
    }
}

TEST(failing_allocations_are_survived)
{
    struct neo_error err;
    enum neo_code code = NEO_RESOURCE_EXHAUSTED;

    for (unsigned long n = 1; code != NEO_OK; n++) {
        struct neo_arena fresh;
        struct neo_json r;

        assert_true(n < 100);
        neo_memory_fail_at(n);
        neo_arena_init(&fresh, BUDGET);
        neo_json_init(&r, neo_text(sample), "t", &fresh);
        (void)neo_json_skip(&r);
        code = neo_json_finish(&r, &err);
        neo_memory_fail_at(0);
        neo_arena_fini(&fresh);
        assert_true(code == NEO_OK || code == NEO_RESOURCE_EXHAUSTED);
    }
    for (size_t budget = 0; budget < 8192; budget += 64) {
        struct neo_arena small;
        struct neo_json r;

        neo_arena_init(&small, budget);
        neo_json_init(&r, neo_text(sample), "t", &small);
        (void)neo_json_skip(&r);
        code = neo_json_finish(&r, &err);
        assert_true(code == NEO_OK || code == NEO_RESOURCE_EXHAUSTED);
        neo_arena_fini(&small);
    }
    assert_int_equal(code, NEO_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(refuses_what_is_not_json_and_says_where, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_a_byte_order_mark, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_the_second_key_of_a_kind, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_the_second_key_among_many, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_malformed_strings, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_malformed_numbers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(depth_is_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(hostile_texts_cost_linear_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_small_objects_after_a_large_one_cost_no_memory, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(strings_without_escapes_are_borrowed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(pulls_objects_and_arrays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_first_error_sticks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_caller_can_refuse_at_the_present_place, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_value_left_unread_is_an_error, set_up, tear_down),
        cmocka_unit_test_setup_teardown(integers_are_exact, set_up, tear_down),
        cmocka_unit_test_setup_teardown(doubles_are_correctly_rounded_and_in_range, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_locale_changes_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(writes_commas_and_lines, set_up, tear_down),
        cmocka_unit_test_setup_teardown(writes_what_it_could_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(doubles_are_written_as_short_as_they_read_back, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(every_truncation_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(changing_a_byte_never_does_harm, set_up, tear_down),
        cmocka_unit_test_setup_teardown(failing_allocations_are_survived, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("codec/json", tests, NULL, NULL);
}
