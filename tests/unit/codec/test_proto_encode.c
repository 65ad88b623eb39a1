/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/unit.h"

#include "neo/test/v1/all.neo.h"
#include "neo/test/v1/old.neo.h"

#include <neo/memory.h>

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

#define TEXT(literal) NEO_LIT(literal)

/* The bytes, and that size() foretells their number. */
static void assert_wire(const struct neo_message_info *info, const void *message,
                        struct neo_bytes expected)
{
    size_t size = 0;

    neo_buffer_clear(&out);
    assert_int_equal(neo_proto_size(info, message, &size, &err), NEO_OK);
    assert_int_equal(neo_proto_encode(info, message, &out, &err), NEO_OK);
    assert_int_equal(out.len, expected.len);
    if (expected.len > 0)
        assert_memory_equal(out.at, expected.at, expected.len);
    assert_int_equal(size, expected.len);
}

#define assert_encodes(type, message, literal)                                                     \
    assert_wire(&neo_test_v1_##type##_info, (message), NEO_LIT(literal))

TEST(refuses_strings_that_are_not_utf8)
{
    struct neo_test_v1_Scalars m = {.f_string = TEXT("a\xff")};
    struct neo_bytes texts[] = {TEXT("fine"), TEXT("\xc3(")};
    struct neo_test_v1_Lists lists = {.f_string = {texts, 2}};

    assert_int_equal(neo_test_v1_Scalars_encode(&m, &out, &err), NEO_INVALID_ARGUMENT);
    assert_string_equal(err.message,
                        "cannot encode neo.test.v1.Scalars.f_string: the string is not UTF-8");
    assert_int_equal(neo_test_v1_Lists_encode(&lists, &out, &err), NEO_INVALID_ARGUMENT);
    assert_int_equal(out.len, 0);
    assert_false(out.failed);
}

/* A chain of `levels` trees below the first. */
static struct neo_test_v1_Tree *chain(size_t levels)
{
    struct neo_test_v1_Tree *trees = neo_arena_calloc(&arena, levels + 1, sizeof(*trees));

    for (size_t i = 0; i < levels; i++)
        trees[i].left = &trees[i + 1];
    trees[levels].value = 1;
    return trees;
}

TEST(refuses_what_no_peer_would_decode)
{
    struct neo_test_v1_Tree back;
    struct neo_test_v1_Tree cycle = {.value = 1};
    size_t size = 7;

    assert_int_equal(neo_test_v1_Tree_encode(chain(100), &out, &err), NEO_OK);
    assert_int_equal(neo_proto_size(&neo_test_v1_Tree_info, chain(100), &size, &err), NEO_OK);
    assert_int_equal(size, out.len);
    assert_int_equal(neo_test_v1_Tree_decode(neo_buffer_bytes(&out), &back, &arena, &err), NEO_OK);

    assert_int_equal(neo_test_v1_Tree_encode(chain(101), &out, &err), NEO_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "nested deeper than 100 messages"));
    assert_int_equal(neo_proto_size(&neo_test_v1_Tree_info, chain(101), &size, &err),
                     NEO_INVALID_ARGUMENT);
    cycle.left = &cycle;
    assert_int_equal(neo_test_v1_Tree_encode(&cycle, &out, &err), NEO_INVALID_ARGUMENT);
    assert_int_equal(neo_proto_size(&neo_test_v1_Tree_info, &cycle, &size, &err),
                     NEO_INVALID_ARGUMENT);
}

TEST(the_empty_message_is_no_bytes)
{
    struct neo_test_v1_Scalars scalars = {0};
    struct neo_test_v1_Optionals optionals = {0};
    struct neo_test_v1_Choice choice = {0};
    struct neo_test_v1_Nothing nothing = {0};

    assert_encodes(Scalars, &scalars, "");
    assert_encodes(Optionals, &optionals, "");
    assert_encodes(Choice, &choice, "");
    assert_encodes(Nothing, &nothing, "");
}

TEST(every_scalar_leaves)
{
    struct neo_test_v1_Scalars m = {
        .f_double = 1.5,
        .f_float = -2.5F,
        .f_int64 = -1,
        .f_uint64 = UINT64_MAX,
        .f_int32 = -2,
        .f_fixed64 = UINT64_C(0x0807060504030201),
        .f_fixed32 = 0x04030201,
        .f_bool = true,
        .f_string = TEXT("hi"),
        .f_bytes = TEXT("\x00\xff"),
        .f_uint32 = UINT32_MAX,
        .f_enum = neo_test_v1_DARK,
        .f_sfixed32 = -1,
        .f_sfixed64 = -2,
        .f_sint32 = -2,
        .f_sint64 = INT64_MIN,
    };

    assert_encodes(Scalars, &m,
                   "\x09\x00\x00\x00\x00\x00\x00\xf8\x3f"
                   "\x15\x00\x00\x20\xc0"
                   "\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
                   "\x20\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
                   "\x28\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"
                   "\x31\x01\x02\x03\x04\x05\x06\x07\x08"
                   "\x3d\x01\x02\x03\x04"
                   "\x40\x01"
                   "\x4a\x02hi"
                   "\x62\x02\x00\xff"
                   "\x68\xff\xff\xff\xff\x0f"
                   "\x70\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
                   "\x7d\xff\xff\xff\xff"
                   "\x81\x01\xfe\xff\xff\xff\xff\xff\xff\xff"
                   "\x88\x01\x03"
                   "\x90\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01");
}

TEST(minus_zero_is_not_zero)
{
    struct neo_test_v1_Scalars m = {.f_double = -0.0};

    assert_encodes(Scalars, &m, "\x09\x00\x00\x00\x00\x00\x00\x00\x80");
}

TEST(what_has_presence_is_written_even_when_zero)
{
    struct neo_test_v1_Scalars inner = {0};
    struct neo_test_v1_Optionals m = {
        .has_f_int32 = true, .has_f_string = true, .f_message = &inner, .f_bool = true};
    struct neo_test_v1_Choice choice = {.kind_case = neo_test_v1_Choice_number_FIELD,
                                        .text = TEXT("stale")};

    assert_encodes(Optionals, &m, "\x28\x00\x4a\x00\x5a\x00"); /* f_bool without has: not */
    assert_encodes(Choice, &choice, "\x18\x00");
    choice.kind_case = neo_test_v1_Choice_message_FIELD; /* and no message: an empty one */
    assert_encodes(Choice, &choice, "\x22\x00");
    choice.kind_case = 99; /* no such field */
    assert_encodes(Choice, &choice, "");
}

TEST(repeated_fields_are_packed_unless_told)
{
    int32_t numbers[] = {1, -1, 300};
    uint64_t fixed[] = {1, 2};
    bool flags[] = {true, false};
    struct neo_bytes texts[] = {TEXT("x"), TEXT("")};
    struct neo_test_v1_Scalars a = {.f_int32 = 1};
    struct neo_test_v1_Scalars *messages[] = {&a, NULL};
    struct neo_test_v1_Lists m = {
        .f_int32 = {numbers, 3},
        .f_fixed64 = {fixed, 1},
        .f_bool = {flags, 2},
        .f_string = {texts, 2},
        .f_message = {messages, 2},
        .unpacked_int32 = {numbers, 2},
        .unpacked_fixed64 = {fixed, 2},
    };

    assert_encodes(Lists, &m,
                   "\x2a\x0d\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\xac\x02"
                   "\x32\x08\x01\x00\x00\x00\x00\x00\x00\x00"
                   "\x42\x02\x01\x00"
                   "\x4a\x01x\x4a\x00"
                   "\x5a\x02\x28\x01\x5a\x00"
                   "\xc8\x01\x01\xc8\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
                   "\xd1\x01\x01\x00\x00\x00\x00\x00\x00\x00"
                   "\xd1\x01\x02\x00\x00\x00\x00\x00\x00\x00");
}

TEST(maps_are_written_in_the_order_of_the_array)
{
    struct neo_test_v1_Maps_StringsEntry strings[] = {
        {TEXT("b"), TEXT("1")}, {TEXT("a"), TEXT("2")}, {TEXT(""), TEXT("")}};
    struct neo_test_v1_Scalars value = {.f_bool = true};
    struct neo_test_v1_Maps_MessagesEntry messages[] = {{7, &value}, {8, NULL}};
    struct neo_test_v1_Maps m = {.strings = {strings, 3}, .messages = {messages, 2}};

    assert_encodes(Maps, &m,
                   "\x0a\x06\x0a\x01"
                   "b\x12\x01"
                   "1\x0a\x06\x0a\x01"
                   "a\x12\x01"
                   "2\x0a\x00"
                   "\x22\x06\x08\x07\x12\x02\x40\x01\x22\x02\x08\x08");
}

TEST(fields_are_written_in_the_order_of_their_numbers)
{
    struct neo_test_v1_Sparse m = {
        .last = TEXT("z"), .first = TEXT("x"), .hundred = 7, .second = TEXT("y"), .ninety = 8};

    assert_encodes(Sparse, &m,
                   "\x0a\x01x\x12\x01y\xd0\x05\x08\xa0\x06\x07\xfa\xff\xff\xff\x0f\x01z");
}

TEST(proto2_writes_what_is_set)
{
    int32_t numbers[] = {1, 2};
    struct neo_test_v1_Old inner = {.has_name = true, .name = TEXT("i")};
    struct neo_test_v1_Old m = {.has_name = true,
                                .has_count = true,
                                .loose = {numbers, 2},
                                .packed = {numbers, 2},
                                .inner = &inner};

    assert_encodes(Old, &m, "\x0a\x00\x10\x00\x18\x01\x18\x02\x22\x02\x01\x02\x32\x03\x0a\x01i");
}

TEST(appends_behind_what_is_there)
{
    struct neo_test_v1_Scalars m = {.f_string = TEXT("hi")};

    (void)neo_buffer_append_text(&out, "head");
    assert_int_equal(neo_test_v1_Scalars_encode(&m, &out, &err), NEO_OK);
    assert_int_equal(neo_test_v1_Scalars_encode(&m, &out, &err), NEO_OK);
    assert_int_equal(out.len, 12);
    assert_memory_equal(out.at, "head\x4a\x02hi\x4a\x02hi", 12);
}

TEST(output_of_any_size_fits_a_limit_that_is_enough)
{
    static char text[5000];
    struct neo_test_v1_Scalars inner = {.f_string = {(const uint8_t *)text, 0}};
    struct neo_test_v1_Optionals m = {.f_message = &inner, .has_f_int32 = true, .f_int32 = 5};
    size_t size;

    memset(text, 'x', sizeof(text));
    for (size_t len = 0; len < sizeof(text); len = len < 300 ? len + 1 : len * 3 / 2) {
        inner.f_string.len = len;
        assert_int_equal(neo_proto_size(&neo_test_v1_Optionals_info, &m, &size, &err), NEO_OK);
        for (size_t head = 0; head < 10; head += 3) {
            struct neo_buffer exact = {.limit = size + head};
            struct neo_buffer tight = {.limit = size + head - 1};

            (void)neo_buffer_append(&exact, neo_bytes(text, head));
            (void)neo_buffer_append(&tight, neo_bytes(text, head));
            assert_int_equal(neo_test_v1_Optionals_encode(&m, &exact, &err), NEO_OK);
            assert_int_equal(exact.len, size + head);
            assert_false(exact.failed);
            assert_int_equal(neo_test_v1_Optionals_encode(&m, &tight, &err),
                             NEO_RESOURCE_EXHAUSTED);
            assert_int_equal(tight.len, head);
            assert_true(tight.failed);
            assert_int_equal(neo_test_v1_Optionals_encode(&m, &tight, &err),
                             NEO_RESOURCE_EXHAUSTED); /* it sticks */
            neo_buffer_fini(&exact);
            neo_buffer_fini(&tight);
        }
    }
}

/* --- round trips ------------------------------------------------------------------------------ */

/* A message of any shape: random fields, written by hand, decoded and encoded again. */
static void put_random_fields(uint64_t *seed, const struct neo_message_info *info, unsigned depth,
                              struct neo_buffer *wire);

static void put_varint(struct neo_buffer *wire, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        (void)neo_buffer_append_byte(wire, (uint8_t)(value | 0x80));
    (void)neo_buffer_append_byte(wire, (uint8_t)value);
}

static uint64_t random_number(uint64_t *seed)
{
    return unit_random(seed, UINT64_MAX) >> unit_random(seed, 64);
}

static void put_run(struct neo_buffer *wire, struct neo_bytes run)
{
    put_varint(wire, run.len);
    (void)neo_buffer_append(wire, run);
}

static void put_random_value(uint64_t *seed, const struct neo_field_info *field, unsigned depth,
                             struct neo_buffer *wire)
{
    struct neo_buffer inner = {0};
    uint64_t number = random_number(seed);

    switch (field->kind) {
    case NEO_KIND_DOUBLE:
    case NEO_KIND_FIXED64:
    case NEO_KIND_SFIXED64:
        put_varint(wire, field->number << 3 | 1);
        (void)neo_buffer_append(wire, neo_bytes(&number, 8));
        return;
    case NEO_KIND_FLOAT:
    case NEO_KIND_FIXED32:
    case NEO_KIND_SFIXED32:
        put_varint(wire, field->number << 3 | 5);
        (void)neo_buffer_append(wire, neo_bytes(&number, 4));
        return;
    case NEO_KIND_STRING:
    case NEO_KIND_BYTES:
        put_varint(wire, field->number << 3 | 2);
        put_run(wire, neo_bytes("some text, plain \xc3\xa4 and not", unit_random(seed, 17)));
        return;
    case NEO_KIND_MESSAGE:
        if (field->message == &neo_test_v1_Old_info) /* which is refused without its name */
            (void)neo_buffer_append(&inner, NEO_LIT("\x0a\x01n"));
        if (field->message == &neo_test_v1_Legacy_OldsEntry_info)
            (void)neo_buffer_append(&inner, NEO_LIT("\x12\x03\x0a\x01n"));
        put_random_fields(seed, field->message, depth + 1, &inner);
        if (field->flags & NEO_FIELD_GROUP) {
            put_varint(wire, field->number << 3 | 3);
            (void)neo_buffer_append(wire, neo_buffer_bytes(&inner));
            put_varint(wire, field->number << 3 | 4);
        } else {
            put_varint(wire, field->number << 3 | 2);
            put_run(wire, neo_buffer_bytes(&inner));
        }
        neo_buffer_fini(&inner);
        return;
    default:
        put_varint(wire, field->number << 3);
        put_varint(wire, number);
        return;
    }
}

static void put_random_fields(uint64_t *seed, const struct neo_message_info *info, unsigned depth,
                              struct neo_buffer *wire)
{
    size_t n = depth > 5 || info->n_fields == 0 ? 0 : unit_random(seed, 6);

    for (size_t i = 0; i < n; i++)
        put_random_value(seed, &info->fields[unit_random(seed, info->n_fields)], depth, wire);
}

/* Powers of two and their neighbours, which is where a varint gets longer; and negative numbers. */
TEST(a_varint_of_every_length_is_what_the_plain_loop_writes)
{
    for (unsigned n = 0; n < 64 * 3; n++) {
        uint64_t value = (UINT64_C(1) << n / 3) + n % 3 - 1;
        uint64_t twice[] = {value, value};
        struct neo_test_v1_Scalars one = {.f_uint64 = value};
        struct neo_test_v1_Lists two = {.f_uint64 = {twice, 2}};
        struct neo_buffer plain = {0};

        if (value != 0)
            put_varint(&plain, 4 << 3);
        if (value != 0)
            put_varint(&plain, value);
        assert_wire(&neo_test_v1_Scalars_info, &one, neo_buffer_bytes(&plain));
        neo_buffer_clear(&plain);
        put_varint(&plain, value);
        put_varint(&plain, value);
        size_t len = plain.len;
        neo_buffer_clear(&plain);
        put_varint(&plain, 4 << 3 | 2);
        put_varint(&plain, len);
        put_varint(&plain, value);
        put_varint(&plain, value);
        assert_wire(&neo_test_v1_Lists_info, &two, neo_buffer_bytes(&plain));
        neo_buffer_fini(&plain);
    }
}

/* Several are written where the room is looked at once, for the most that they could take. */
TEST(packed_numbers_of_any_width_fit_a_limit_that_is_enough)
{
    uint64_t seed = 7;
    uint64_t numbers[40];

    for (size_t round = 0; round < 400; round++) {
        struct neo_test_v1_Lists m = {.f_uint64 = {numbers, round % NEO_COUNT(numbers)}};
        size_t size;

        for (size_t i = 0; i < NEO_COUNT(numbers); i++)
            numbers[i] = random_number(&seed) >> (round % 2 == 0 ? 57 : 0);
        assert_int_equal(neo_proto_size(&neo_test_v1_Lists_info, &m, &size, &err), NEO_OK);
        struct neo_buffer exact = {.limit = size};
        if (size > 0)
            assert_int_equal(neo_test_v1_Lists_encode(&m, &exact, &err), NEO_OK);
        assert_int_equal(exact.len, size);
        struct neo_buffer tight = {.limit = size - 1};
        if (size > 1)
            assert_int_equal(neo_test_v1_Lists_encode(&m, &tight, &err), NEO_RESOURCE_EXHAUSTED);
        neo_buffer_fini(&exact);
        neo_buffer_fini(&tight);
    }
}

/* Short strings have a way of their own: each length up to beyond it, and a bad byte in each place.
 */
TEST(a_string_of_any_length_is_copied_and_checked_in_every_place)
{
    uint8_t text[160];

    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (uint8_t)('!' + i % 90);
    for (size_t len = 1; len < sizeof(text); len++) {
        struct neo_test_v1_Scalars m = {.f_string = {text, len}};
        struct neo_test_v1_Scalars bytes = {.f_bytes = {text, len}};
        struct neo_buffer plain = {0};

        put_varint(&plain, 9 << 3 | 2);
        put_run(&plain, m.f_string);
        assert_wire(&neo_test_v1_Scalars_info, &m, neo_buffer_bytes(&plain));
        for (size_t i = 0; i < len; i++) {
            uint8_t before = text[i];

            text[i] = 0xff;
            assert_int_equal(neo_test_v1_Scalars_encode(&m, &out, &err), NEO_INVALID_ARGUMENT);
            assert_int_equal(neo_test_v1_Scalars_encode(&bytes, &out, &err), NEO_OK);
            text[i] = before;
        }
        neo_buffer_fini(&plain);
    }
}

TEST(decoding_and_encoding_settles_after_one_round)
{
    static const struct neo_message_info *const infos[] = {
        &neo_test_v1_Scalars_info, &neo_test_v1_Optionals_info, &neo_test_v1_Lists_info,
        &neo_test_v1_Maps_info,    &neo_test_v1_Choice_info,    &neo_test_v1_Tree_info,
        &neo_test_v1_Sparse_info,  &neo_test_v1_WellKnown_info, &neo_test_v1_Legacy_info,
    };
    uint64_t seed = 42;

    for (int round = 0; round < 20000; round++) {
        const struct neo_message_info *info = infos[round % (int)NEO_COUNT(infos)];
        struct neo_buffer wire = {0};
        struct neo_buffer again = {0};
        void *first = neo_arena_calloc(&arena, 1, info->size);
        void *second = neo_arena_calloc(&arena, 1, info->size);
        size_t size;

        put_random_fields(&seed, info, 0, &wire);
        neo_buffer_clear(&out);
        assert_int_equal(neo_proto_decode(info, neo_buffer_bytes(&wire), first, &arena, &err),
                         NEO_OK);
        assert_int_equal(neo_proto_encode(info, first, &out, &err), NEO_OK);
        assert_int_equal(neo_proto_size(info, first, &size, &err), NEO_OK);
        assert_int_equal(size, out.len);
        if (neo_proto_decode(info, neo_buffer_bytes(&out), second, &arena, &err) != NEO_OK)
            fail_msg("%s", err.message);
        assert_int_equal(neo_proto_encode(info, second, &again, &err), NEO_OK);
        assert_int_equal(again.len, out.len);
        if (out.len > 0)
            assert_memory_equal(again.at, out.at, out.len);
        neo_buffer_fini(&wire);
        neo_buffer_fini(&again);
        neo_arena_reset(&arena);
    }
}

TEST(failing_allocations_are_survived)
{
    static char text[100000];
    struct neo_test_v1_Scalars inner = {.f_string = {(const uint8_t *)text, sizeof(text)}};
    struct neo_test_v1_Optionals m = {.f_message = &inner};
    enum neo_code code = NEO_RESOURCE_EXHAUSTED;

    memset(text, 'x', sizeof(text));
    for (unsigned long n = 1; code != NEO_OK; n++) {
        struct neo_buffer fresh = {0};

        assert_true(n < 100);
        neo_memory_fail_at(n);
        code = neo_test_v1_Optionals_encode(&m, &fresh, &err);
        neo_memory_fail_at(0);
        assert_true(code == NEO_OK || (code == NEO_RESOURCE_EXHAUSTED && fresh.len == 0));
        neo_buffer_fini(&fresh);
    }
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(refuses_strings_that_are_not_utf8),
        T(refuses_what_no_peer_would_decode),
        T(the_empty_message_is_no_bytes),
        T(every_scalar_leaves),
        T(minus_zero_is_not_zero),
        T(what_has_presence_is_written_even_when_zero),
        T(repeated_fields_are_packed_unless_told),
        T(maps_are_written_in_the_order_of_the_array),
        T(fields_are_written_in_the_order_of_their_numbers),
        T(proto2_writes_what_is_set),
        T(appends_behind_what_is_there),
        T(output_of_any_size_fits_a_limit_that_is_enough),
        T(a_varint_of_every_length_is_what_the_plain_loop_writes),
        T(packed_numbers_of_any_width_fit_a_limit_that_is_enough),
        T(a_string_of_any_length_is_copied_and_checked_in_every_place),
        T(decoding_and_encoding_settles_after_one_round),
        T(failing_allocations_are_survived),
    };
    return cmocka_run_group_tests_name("codec/proto_encode", tests, NULL, NULL);
}
