/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages compared and copied, and those of google.protobuf that C has other words for.
 */
#include "unit/unit.h"

#include "google/protobuf/any.neo.h"
#include "google/protobuf/duration.neo.h"
#include "google/protobuf/timestamp.neo.h"
#include "neo/test/v1/all.neo.h"
#include "neo/test/v1/old.neo.h"

#include <neo/memory.h>
#include <neo/message.h>
#include <neo/well_known.h>

#include <math.h>
#include <stdio.h>

typedef struct neo_test_v1_Scalars scalars;

static struct neo_arena arena;
static struct neo_error err;

static int make_arena(void **state)
{
    (void)state;
    neo_arena_init(&arena, 64 << 20);
    memset(&err, 0, sizeof(err));
    return 0;
}

static int free_arena(void **state)
{
    (void)state;
    neo_arena_fini(&arena);
    return 0;
}

/* Asked both ways round, which must give the same answer. */
static bool equal(const struct neo_message_info *info, const void *a, const void *b)
{
    bool answer = neo_proto_equal(info, a, b);

    assert_int_equal(neo_proto_equal(info, b, a), answer);
    return answer;
}

/* --- compare ---------------------------------------------------------------------------------- */

TEST(a_value_that_differs_is_seen_in_every_kind)
{
    const scalars empty = {0};
    const scalars each[] = {
        {.f_double = 1},   {.f_float = 1},
        {.f_int64 = 1},    {.f_uint64 = 1},
        {.f_int32 = 1},    {.f_fixed64 = 1},
        {.f_fixed32 = 1},  {.f_bool = true},
        {.f_uint32 = 1},   {.f_string = NEO_LIT("a")},
        {.f_enum = 1},     {.f_bytes = NEO_LIT("a")},
        {.f_sfixed32 = 1}, {.f_sfixed64 = 1},
        {.f_sint32 = 1},   {.f_sint64 = 1},
        {.f_int64 = 2},    {.f_string = NEO_LIT("b")},
    };

    for (size_t i = 0; i < NEO_COUNT(each); i++) {
        assert_false(equal(&neo_test_v1_Scalars_info, &each[i], &empty));
        for (size_t j = 0; j < NEO_COUNT(each); j++)
            assert_int_equal(equal(&neo_test_v1_Scalars_info, &each[i], &each[j]), i == j);
    }
}

TEST(zero_that_is_set_is_not_absent)
{
    scalars inner = {0};
    const struct neo_test_v1_Optionals absent = {0};
    const struct neo_test_v1_Optionals zero = {.has_f_int32 = true};
    const struct neo_test_v1_Optionals text = {.has_f_string = true};
    const struct neo_test_v1_Optionals message = {.f_message = &inner};

    assert_false(equal(&neo_test_v1_Optionals_info, &absent, &zero));
    assert_false(equal(&neo_test_v1_Optionals_info, &absent, &text));
    assert_false(equal(&neo_test_v1_Optionals_info, &absent, &message));
}

TEST(members_of_a_oneof_are_told_apart)
{
    const struct neo_test_v1_Choice none = {0};
    const struct neo_test_v1_Choice text = {.kind_case = neo_test_v1_Choice_text_FIELD};
    const struct neo_test_v1_Choice data = {.kind_case = neo_test_v1_Choice_data_FIELD};

    assert_false(equal(&neo_test_v1_Choice_info, &none, &text));
    assert_false(equal(&neo_test_v1_Choice_info, &data, &text));
}

TEST(order_and_number_of_repeated_elements_count)
{
    int32_t up[] = {1, 2}, down[] = {2, 1};
    struct neo_bytes ab[] = {NEO_LIT("a"), NEO_LIT("b")}, ba[] = {NEO_LIT("b"), NEO_LIT("a")};
    scalars one = {.f_int32 = 1}, two = {.f_int32 = 2};
    scalars *m12[] = {&one, &two}, *m21[] = {&two, &one};
    const struct neo_test_v1_Lists a = {.f_int32 = {up, 2}}, b = {.f_int32 = {down, 2}};
    const struct neo_test_v1_Lists shorter = {.f_int32 = {up, 1}};
    const struct neo_test_v1_Lists c = {.f_string = {ab, 2}}, d = {.f_string = {ba, 2}};
    const struct neo_test_v1_Lists e = {.f_message = {m12, 2}}, f = {.f_message = {m21, 2}};
    const struct neo_test_v1_Lists g = {.f_message = {m12, 1}};

    assert_false(equal(&neo_test_v1_Lists_info, &a, &b));
    assert_false(equal(&neo_test_v1_Lists_info, &a, &shorter));
    assert_false(equal(&neo_test_v1_Lists_info, &c, &d));
    assert_false(equal(&neo_test_v1_Lists_info, &e, &f));
    assert_false(equal(&neo_test_v1_Lists_info, &e, &g));
}

TEST(maps_with_another_key_or_value_differ)
{
    struct neo_test_v1_Maps_IntsEntry a[] = {{.key = 1, .value = 1}, {.key = 2, .value = 2}};
    struct neo_test_v1_Maps_IntsEntry b[] = {{.key = 1, .value = 1}, {.key = 2, .value = 3}};
    struct neo_test_v1_Maps_IntsEntry c[] = {{.key = 1, .value = 1}, {.key = 3, .value = 2}};
    struct neo_test_v1_Maps_IntsEntry twice[] = {{.key = 1, .value = 1}, {.key = 1, .value = 1}};
    const struct neo_test_v1_Maps maps[] = {
        {.ints = {a, 2}}, {.ints = {b, 2}}, {.ints = {c, 2}}, {.ints = {a, 1}}, {.ints = {NULL, 0}},
    };
    const struct neo_test_v1_Maps once = {.ints = {twice, 2}};

    for (size_t i = 0; i < NEO_COUNT(maps); i++)
        for (size_t j = 0; j < NEO_COUNT(maps); j++)
            assert_int_equal(equal(&neo_test_v1_Maps_info, &maps[i], &maps[j]), i == j);
    assert_false(equal(&neo_test_v1_Maps_info, &once, &maps[0]));
    assert_true(equal(&neo_test_v1_Maps_info, &once, &maps[3]));
}

TEST(floating_point_is_compared_bit_by_bit)
{
    const scalars nan = {.f_double = NAN, .f_float = NAN}, same = nan;
    const scalars zero = {.f_double = 0.0}, minus = {.f_double = -0.0};
    const struct neo_test_v1_Optionals set = {.has_f_float = true, .f_float = 0.0f};
    const struct neo_test_v1_Optionals negative = {.has_f_float = true, .f_float = -0.0f};

    assert_false(equal(&neo_test_v1_Scalars_info, &zero, &minus));
    assert_false(equal(&neo_test_v1_Optionals_info, &set, &negative));
    assert_true(equal(&neo_test_v1_Scalars_info, &nan, &same));
}

TEST(unknown_fields_are_compared_also_in_messages_below)
{
    scalars more = {.neo_unknown = NEO_LIT("\xa0\x06\x01")},
            other = {.neo_unknown = NEO_LIT("\xa0\x06\x02")};
    scalars none = {0};
    const struct neo_test_v1_Optionals a = {.f_message = &more}, b = {.f_message = &other};
    const struct neo_test_v1_Optionals c = {.f_message = &none};

    assert_false(equal(&neo_test_v1_Scalars_info, &more, &other));
    assert_false(equal(&neo_test_v1_Optionals_info, &a, &b));
    assert_false(equal(&neo_test_v1_Optionals_info, &a, &c));
}

TEST(the_order_of_a_map_does_not_count_few_or_many)
{
    enum { MANY = 5000 };

    for (size_t n = 2; n <= MANY; n = n < 20 ? n + 1 : n * 5) {
        struct neo_test_v1_Maps_StringsEntry *up = neo_arena_calloc(&arena, n, sizeof(*up));
        struct neo_test_v1_Maps_StringsEntry *down = neo_arena_calloc(&arena, n, sizeof(*down));
        for (size_t i = 0; i < n; i++) {
            /* the first key is the empty one */
            if (i > 0)
                up[i].key = neo_text(neo_arena_printf(&arena, "%zu", i));
            up[i].value = neo_text(neo_arena_printf(&arena, "v%zu", i));
            down[n - 1 - i] = up[i];
        }
        struct neo_test_v1_Maps a = {.strings = {up, n}}, b = {.strings = {down, n}};
        assert_true(equal(&neo_test_v1_Maps_info, &a, &b));
        down[n / 2].value = NEO_LIT("another");
        assert_false(equal(&neo_test_v1_Maps_info, &a, &b));
    }
}

TEST(large_maps_are_compared_without_memory_too)
{
    struct neo_test_v1_Maps_IntsEntry up[40];
    struct neo_test_v1_Maps_IntsEntry down[40];
    const struct neo_test_v1_Maps a = {.ints = {up, 40}}, b = {.ints = {down, 40}};

    for (int32_t i = 0; i < 40; i++)
        up[i] = down[39 - i] = (struct neo_test_v1_Maps_IntsEntry){.key = i, .value = i};
    for (unsigned long n = 1; n < 8; n++) {
        neo_memory_fail_at(n);
        bool same = neo_proto_equal(&neo_test_v1_Maps_info, &a, &b);
        down[7].value++;
        neo_memory_fail_at(n);
        bool other = neo_proto_equal(&neo_test_v1_Maps_info, &a, &b);
        down[7].value--;
        neo_memory_fail_at(0);
        assert_true(same);
        assert_false(other);
    }
}

TEST(what_is_not_set_is_not_looked_at)
{
    const struct neo_test_v1_Optionals a = {.f_int32 = 5, .f_string = {(const uint8_t *)1, 9}};
    const struct neo_test_v1_Optionals b = {0};
    struct neo_test_v1_Choice c = {.kind_case = neo_test_v1_Choice_number_FIELD, .number = 3};
    struct neo_test_v1_Choice d = c;
    struct neo_test_v1_Optionals copy;

    d.text = (struct neo_bytes){(const uint8_t *)1, 9};
    assert_true(equal(&neo_test_v1_Optionals_info, &a, &b));
    assert_true(equal(&neo_test_v1_Choice_info, &c, &d));
    assert_int_equal(neo_proto_copy(&neo_test_v1_Optionals_info, &a, &copy, &arena, &err), NEO_OK);
    assert_int_equal(copy.f_int32, 0);
    assert_int_equal(copy.f_string.len, 0);
}

/* --- copy ------------------------------------------------------------------------------------- */

/* A line of messages, each but the last with one below. */
static struct neo_test_v1_Tree *make_line(size_t n)
{
    struct neo_test_v1_Tree *line = neo_arena_calloc(&arena, n, sizeof(*line));

    for (size_t i = 0; i + 1 < n; i++)
        line[i].left = &line[i + 1];
    return line;
}

TEST(what_is_nested_too_deep_is_refused_and_equals_nothing)
{
    struct neo_test_v1_Tree *deepest = make_line(101);
    struct neo_test_v1_Tree *deeper = make_line(102);
    struct neo_test_v1_Tree copy = {.value = 7};

    assert_int_equal(neo_proto_copy(&neo_test_v1_Tree_info, deeper, &copy, &arena, &err),
                     NEO_INVALID_ARGUMENT);
    assert_string_equal(err.message, "neo.test.v1.Tree is nested deeper than 100 messages");
    assert_int_equal(copy.value, 7);
    assert_false(equal(&neo_test_v1_Tree_info, deeper, deeper));
    assert_int_equal(neo_proto_copy(&neo_test_v1_Tree_info, deepest, &copy, &arena, &err), NEO_OK);
    assert_true(equal(&neo_test_v1_Tree_info, deepest, &copy));
}

static struct neo_test_v1_Maps_MessagesEntry entries[] = {{.key = 7}, {.key = 5}};

TEST(a_copy_that_the_budget_refuses_leaves_its_target_alone)
{
    scalars inner = {.f_string = NEO_LIT("kept"), .f_bytes = NEO_LIT("bytes")};
    entries[0].value = &inner;
    const struct neo_test_v1_Maps from = {.messages = {entries, 2}};
    size_t refused = 0;

    for (size_t budget = 0;; budget += 64) {
        NEO_CLEANUP(neo_arena_fini) struct neo_arena small = NEO_ARENA(budget);
        struct neo_test_v1_Maps to = {.ints = {.len = 3}};
        enum neo_code code = neo_proto_copy(&neo_test_v1_Maps_info, &from, &to, &small, &err);
        if (code == NEO_OK)
            break;
        refused++;
        assert_int_equal(code, NEO_RESOURCE_EXHAUSTED);
        assert_non_null(strstr(err.message, "budget"));
        assert_int_equal(to.ints.len, 3);
        assert_int_equal(to.messages.len, 0);
    }
    assert_true(refused > 1);
}

TEST(a_copy_outlives_the_input_and_the_arena_of_the_original)
{
    static const char json[] =
        "{\"strings\":{\"a\":\"b\",\"\":\"c\"},\"bools\":{\"true\":\"AAEC\"},\"messages\":{\"1\":"
        "{\"fString\":\"text\"},\"2\":{}},\"nested\":{\"n\":{\"ints\":{\"3\":\"4\"}}}}";
    struct neo_buffer wire = {0}, again = {0};
    struct neo_test_v1_Maps made = {0}, from = {0}, to;
    NEO_CLEANUP(neo_arena_fini) struct neo_arena first = NEO_ARENA(1 << 20);

    assert_int_equal(
        neo_proto_from_json(&neo_test_v1_Maps_info, NEO_LIT(json), 0, &made, &arena, &err), NEO_OK);
    assert_int_equal(neo_proto_encode(&neo_test_v1_Maps_info, &made, &wire, &err), NEO_OK);
    struct neo_bytes kept = neo_arena_copy(&arena, neo_buffer_bytes(&wire));
    assert_int_equal(
        neo_proto_decode(&neo_test_v1_Maps_info, neo_buffer_bytes(&wire), &from, &first, &err),
        NEO_OK);
    assert_int_equal(neo_proto_copy(&neo_test_v1_Maps_info, &from, &to, &arena, &err), NEO_OK);
    memset(wire.at, 0xaa, wire.len);
    neo_buffer_fini(&wire);
    neo_arena_fini(&first);
    memset(&from, 0xaa, sizeof(from));
    assert_true(equal(&neo_test_v1_Maps_info, &made, &to));
    assert_int_equal(neo_proto_encode(&neo_test_v1_Maps_info, &to, &again, &err), NEO_OK);
    assert_true(neo_bytes_equal(kept, neo_buffer_bytes(&again)));
    neo_buffer_fini(&again);
}

TEST(a_message_may_be_copied_over_itself)
{
    char text[] = "borrowed";
    scalars m = {.f_string = neo_text(text), .neo_unknown = NEO_LIT("\xa0\x06\x01")};

    assert_int_equal(neo_proto_copy(&neo_test_v1_Scalars_info, &m, &m, &arena, &err), NEO_OK);
    text[0] = 'X';
    assert_true(neo_bytes_is(m.f_string, "borrowed"));
    assert_int_equal(m.neo_unknown.len, 3);
}

/* --- Any -------------------------------------------------------------------------------------- */

TEST(an_any_of_another_type_is_refused_with_both_names)
{
    struct google_protobuf_Any any;
    const scalars m = {.f_int32 = 4};
    struct neo_test_v1_Tree tree = {.value = 9};

    assert_int_equal(neo_any_pack(&neo_test_v1_Scalars_info, &m, &any, &arena, &err), NEO_OK);
    assert_false(neo_any_is(&any, &neo_test_v1_Tree_info));
    assert_int_equal(neo_any_unpack(&any, &neo_test_v1_Tree_info, &tree, &arena, &err),
                     NEO_INVALID_ARGUMENT);
    assert_string_equal(
        err.message,
        "the Any holds 'type.googleapis.com/neo.test.v1.Scalars', not neo.test.v1.Tree");
    assert_int_equal(tree.value, 9);
}

TEST(an_any_without_a_type_or_with_half_of_a_name_holds_nothing)
{
    static const char *const urls[] = {"",
                                       "/",
                                       "neo.test.v1.Scalars",
                                       "x/v1.Scalars",
                                       "x/neo.test.v1.ScalarsX",
                                       "x/neo.test.v1.Scalars/"};
    scalars m;

    for (size_t i = 0; i < NEO_COUNT(urls); i++) {
        const struct google_protobuf_Any any = {.type_url = neo_text(urls[i])};
        assert_false(neo_any_is(&any, &neo_test_v1_Scalars_info));
        assert_int_equal(neo_any_unpack(&any, &neo_test_v1_Scalars_info, &m, &arena, &err),
                         NEO_INVALID_ARGUMENT);
    }
}

TEST(an_any_that_is_malformed_or_has_no_room_is_refused)
{
    const struct google_protobuf_Any bad = {.type_url = NEO_LIT("x/neo.test.v1.Scalars"),
                                            .value = NEO_LIT("\x08")};
    NEO_CLEANUP(neo_arena_fini) struct neo_arena none = NEO_ARENA(0);
    struct google_protobuf_Any any = {.value = NEO_LIT("as it was")};
    scalars m = {.f_string = NEO_LIT("\xff")};

    assert_int_equal(neo_any_pack(&neo_test_v1_Scalars_info, &m, &any, &arena, &err),
                     NEO_INVALID_ARGUMENT);
    m.f_string = NEO_LIT("a");
    assert_int_equal(neo_any_pack(&neo_test_v1_Scalars_info, &m, &any, &none, &err),
                     NEO_RESOURCE_EXHAUSTED);
    assert_true(neo_bytes_is(any.value, "as it was"));
    assert_int_equal(neo_any_unpack(&bad, &neo_test_v1_Scalars_info, &m, &arena, &err),
                     NEO_INVALID_ARGUMENT);
}

TEST(what_is_packed_is_unpacked_whatever_host_the_url_has)
{
    struct google_protobuf_Any any;
    const scalars m = {.f_int32 = 4, .f_string = NEO_LIT("text")};
    scalars back;

    memset(&back, 0xaa, sizeof(back));
    assert_int_equal(neo_any_pack(&neo_test_v1_Scalars_info, &m, &any, &arena, &err), NEO_OK);
    any.type_url = NEO_LIT("example.com/types/neo.test.v1.Scalars");
    assert_int_equal(neo_any_unpack(&any, &neo_test_v1_Scalars_info, &back, &arena, &err), NEO_OK);
    assert_true(equal(&neo_test_v1_Scalars_info, &m, &back));
}

/* --- time ------------------------------------------------------------------------------------- */

struct refusal {
    int64_t seconds;
    int32_t nanos;
    enum neo_code code;
};

TEST(what_is_no_timestamp_or_beyond_64_bits_is_refused)
{
    static const struct refusal cases[] = {
        {0, -1, NEO_INVALID_ARGUMENT},
        {0, 1000000000, NEO_INVALID_ARGUMENT},
        {-62135596801, 0, NEO_INVALID_ARGUMENT},
        {253402300800, 0, NEO_INVALID_ARGUMENT},
        {INT64_MIN, 0, NEO_INVALID_ARGUMENT},
        {-62135596800, 0, NEO_OUT_OF_RANGE},
        {253402300799, 999999999, NEO_OUT_OF_RANGE},
        {9223372036, 854775808, NEO_OUT_OF_RANGE},
        {-9223372037, 145224191, NEO_OUT_OF_RANGE},
    };
    int64_t wall = 5;

    for (size_t i = 0; i < NEO_COUNT(cases); i++) {
        const struct google_protobuf_Timestamp t = {.seconds = cases[i].seconds,
                                                    .nanos = cases[i].nanos};
        assert_int_equal(neo_timestamp_get(&t, &wall, &err), cases[i].code);
        assert_int_equal(wall, 5);
    }
}

TEST(what_is_no_duration_or_beyond_64_bits_is_refused)
{
    static const struct refusal cases[] = {
        {1, -1, NEO_INVALID_ARGUMENT},
        {-1, 1, NEO_INVALID_ARGUMENT},
        {0, 1000000000, NEO_INVALID_ARGUMENT},
        {0, -1000000000, NEO_INVALID_ARGUMENT},
        {315576000001, 0, NEO_INVALID_ARGUMENT},
        {-315576000001, 0, NEO_INVALID_ARGUMENT},
        {0, -1, NEO_OUT_OF_RANGE},
        {-1, 0, NEO_OUT_OF_RANGE},
        {18446744073, 709551616, NEO_OUT_OF_RANGE},
        {315576000000, 0, NEO_OUT_OF_RANGE},
    };
    neo_nsec span = 5;

    for (size_t i = 0; i < NEO_COUNT(cases); i++) {
        const struct google_protobuf_Duration d = {.seconds = cases[i].seconds,
                                                   .nanos = cases[i].nanos};
        assert_int_equal(neo_duration_get(&d, &span, &err), cases[i].code);
        assert_int_equal(span, 5);
    }
}

TEST(instants_go_there_and_back_also_before_1970)
{
    static const int64_t walls[] = {0,           1,           -1,        999999999, -999999999,
                                    -1000000000, -1500000000, INT64_MAX, INT64_MIN};

    for (size_t i = 0; i < NEO_COUNT(walls); i++) {
        struct google_protobuf_Timestamp t;
        int64_t back = 5;

        memset(&t, 0xaa, sizeof(t));
        neo_timestamp_set(&t, walls[i]);
        assert_true(t.nanos >= 0 && t.nanos < 1000000000 && t.neo_unknown.len == 0);
        assert_int_equal(neo_timestamp_get(&t, &back, &err), NEO_OK);
        assert_int_equal(back, walls[i]);
    }
}

TEST(spans_go_there_and_back)
{
    static const neo_nsec spans[] = {0, 1, 999999999, 1000000000, 1500000000, UINT64_MAX};

    for (size_t i = 0; i < NEO_COUNT(spans); i++) {
        struct google_protobuf_Duration d;
        neo_nsec back = 5;

        neo_duration_set(&d, spans[i]);
        assert_int_equal(neo_duration_get(&d, &back, &err), NEO_OK);
        assert_int_equal(back, spans[i]);
    }
}

#define IN_ARENA(name) cmocka_unit_test_setup_teardown(name, make_arena, free_arena)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_ARENA(a_value_that_differs_is_seen_in_every_kind),
        IN_ARENA(zero_that_is_set_is_not_absent),
        IN_ARENA(members_of_a_oneof_are_told_apart),
        IN_ARENA(order_and_number_of_repeated_elements_count),
        IN_ARENA(maps_with_another_key_or_value_differ),
        IN_ARENA(floating_point_is_compared_bit_by_bit),
        IN_ARENA(unknown_fields_are_compared_also_in_messages_below),
        IN_ARENA(the_order_of_a_map_does_not_count_few_or_many),
        IN_ARENA(large_maps_are_compared_without_memory_too),
        IN_ARENA(what_is_not_set_is_not_looked_at),
        IN_ARENA(what_is_nested_too_deep_is_refused_and_equals_nothing),
        IN_ARENA(a_copy_that_the_budget_refuses_leaves_its_target_alone),
        IN_ARENA(a_copy_outlives_the_input_and_the_arena_of_the_original),
        IN_ARENA(a_message_may_be_copied_over_itself),
        IN_ARENA(an_any_of_another_type_is_refused_with_both_names),
        IN_ARENA(an_any_without_a_type_or_with_half_of_a_name_holds_nothing),
        IN_ARENA(an_any_that_is_malformed_or_has_no_room_is_refused),
        IN_ARENA(what_is_packed_is_unpacked_whatever_host_the_url_has),
        IN_ARENA(what_is_no_timestamp_or_beyond_64_bits_is_refused),
        IN_ARENA(what_is_no_duration_or_beyond_64_bits_is_refused),
        IN_ARENA(instants_go_there_and_back_also_before_1970),
        IN_ARENA(spans_go_there_and_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
