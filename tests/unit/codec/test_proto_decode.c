/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/unit.h"

#include "neo/test/v1/all.neo.h"
#include "neo/test/v1/old.neo.h"

#include <neo/memory.h>

#include <float.h>
#include <pthread.h>
#include <time.h>

enum { BUDGET = 32 << 20 };

static struct neo_arena arena;
static struct neo_error err;

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

/* Decodes from memory of exactly the input's size, so that a sanitizer sees every step too far. */
static enum neo_code decode(const struct neo_message_info *info, struct neo_bytes wire, void *ret)
{
    static uint8_t *exact;

    neo_free(exact); /* the message of the last call is gone */
    exact = neo_alloc(wire.len);
    if (wire.len > 0)
        memcpy(exact, wire.at, wire.len);
    return neo_proto_decode(info, neo_bytes(exact, wire.len), ret, &arena, &err);
}

#define DECODE(type, literal, ret) decode(&neo_test_v1_##type##_info, NEO_LIT(literal), ret)

#define assert_refused(type, literal, text)                                                        \
    do {                                                                                           \
        struct neo_test_v1_##type message_ = {0};                                                  \
        assert_int_equal(DECODE(type, literal, &message_), NEO_INVALID_ARGUMENT);                  \
        assert_string_equal(err.message, text);                                                    \
    } while (0)

/* --- refusals --------------------------------------------------------------------------------- */

TEST(refuses_tags_that_cannot_be)
{
    assert_refused(Scalars, "\x00\x01",
                   "cannot decode neo.test.v1.Scalars at byte 0: a field's tag is cut off or "
                   "malformed");
    assert_refused(Scalars, "\x02\x01",
                   "cannot decode neo.test.v1.Scalars at byte 0: a field's tag is cut off or "
                   "malformed");
    assert_refused(Scalars, "\x80\x00\x01",
                   "cannot decode neo.test.v1.Scalars at byte 0: a field's tag is cut off or "
                   "malformed");
    assert_refused(Scalars, "\x80",
                   "cannot decode neo.test.v1.Scalars at byte 0: a field's tag is cut off or "
                   "malformed");
    assert_refused(Scalars, "\x28\x01\x80\x80\x80\x80\x10\x01",
                   "cannot decode neo.test.v1.Scalars at byte 2: a field's tag is cut off or "
                   "malformed");
    assert_refused(Scalars, "\xa8\x80\x80\x80\x80\x00\x01",
                   "cannot decode neo.test.v1.Scalars at byte 0: a field's tag is cut off or "
                   "malformed");
}

TEST(refuses_wire_types_that_are_none)
{
    assert_refused(Nothing, "\x0e\x01",
                   "cannot decode neo.test.v1.Nothing at byte 1: an unknown field is cut off or "
                   "malformed");
    assert_refused(Nothing, "\x0f\x01",
                   "cannot decode neo.test.v1.Nothing at byte 1: an unknown field is cut off or "
                   "malformed");
    assert_refused(Scalars, "\x2e\x01",
                   "cannot decode neo.test.v1.Scalars at byte 1: an unknown field is cut off or "
                   "malformed");
}

/* Another schema's field of that number: no value of ours, and not lost. */
TEST(a_field_of_another_wire_type_is_an_unknown_one)
{
    static const uint32_t own[] = {1, 5, 0, 0, 0, 1, 5, 0, 2, 2, 0, 0, 5, 1, 0, 0};
    static const size_t lengths[8] = {3, 10, 4, 0, 0, 6, 0, 0}; /* 0: not a value at all */
    const struct neo_message_info *info = &neo_test_v1_Scalars_info;

    assert_int_equal(info->n_fields, NEO_COUNT(own));
    for (uint32_t i = 0; i < info->n_fields; i++) {
        for (uint32_t wire_type = 0; wire_type < 8; wire_type++) {
            struct neo_test_v1_Scalars m = {0};
            uint32_t tag = info->fields[i].number << 3 | wire_type;
            uint8_t wire[10] = {(uint8_t)(tag | 0x80), (uint8_t)(tag >> 7), 1};

            if (wire_type == own[i])
                continue;
            size_t len = lengths[wire_type];
            enum neo_code code = decode(info, neo_bytes(wire, len == 0 ? sizeof(wire) : len), &m);
            assert_int_equal(code, len == 0 ? NEO_INVALID_ARGUMENT : NEO_OK);
            if (len == 0)
                continue;
            assert_int_equal(m.neo_unknown.len, len);
            assert_memory_equal(m.neo_unknown.at, wire, len);
        }
    }
}

TEST(refuses_varints_beyond_64_bits)
{
    assert_refused(Scalars, "\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02",
                   "cannot decode neo.test.v1.Scalars.f_int64 at byte 1: cut off or malformed");
    assert_refused(Scalars, "\x18\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00",
                   "cannot decode neo.test.v1.Scalars.f_int64 at byte 1: cut off or malformed");
    assert_refused(Nothing, "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
                   "cannot decode neo.test.v1.Nothing at byte 1: an unknown field is cut off or "
                   "malformed");
}

TEST(refuses_lengths_that_lie)
{
    assert_refused(Scalars,
                   "\x4a\x05"
                   "abcd",
                   "cannot decode neo.test.v1.Scalars.f_string at byte 1: cut off or malformed");
    assert_refused(Scalars, "\x4a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
                   "cannot decode neo.test.v1.Scalars.f_string at byte 1: cut off or malformed");
    assert_refused(Scalars, "\x4a\xff\xff\xff\xff\x0f",
                   "cannot decode neo.test.v1.Scalars.f_string at byte 1: cut off or malformed");
    assert_refused(Optionals, "\x5a\x03\x28\x01",
                   "cannot decode neo.test.v1.Optionals.f_message at byte 1: cut off or malformed");
    /* A field that reaches beyond its submessage, into the parent. */
    assert_refused(Optionals,
                   "\x5a\x02\x4a\x03"
                   "abc",
                   "cannot decode neo.test.v1.Scalars.f_string at byte 3: cut off or malformed");
    assert_refused(Lists,
                   "\x0a\x07"
                   "1234567",
                   "cannot decode neo.test.v1.Lists.f_double at byte 1: a packed run is cut off or "
                   "malformed");
    assert_refused(Lists, "\x1a\x02\x01\x80",
                   "cannot decode neo.test.v1.Lists.f_int64 at byte 3: cut off or malformed");
}

TEST(refuses_strings_that_are_not_utf8)
{
    struct neo_test_v1_Scalars m = {0};

    assert_refused(Scalars, "\x4a\x01\xff",
                   "cannot decode neo.test.v1.Scalars.f_string at byte 1: the string is not UTF-8");
    assert_refused(Scalars,
                   "\x4a\x0a"
                   "12345678\xc3(",
                   "cannot decode neo.test.v1.Scalars.f_string at byte 1: the string is not UTF-8");
    assert_refused(Lists, "\x4a\x03\xed\xa0\x80",
                   "cannot decode neo.test.v1.Lists.f_string at byte 1: the string is not UTF-8");
    assert_refused(Maps, "\x0a\x03\x0a\x01\x80",
                   "cannot decode neo.test.v1.Maps.StringsEntry.key at byte 3: the string is not "
                   "UTF-8");
    assert_int_equal(DECODE(Scalars, "\x62\x01\xff", &m), NEO_OK); /* bytes may be anything */
    assert_int_equal(DECODE(Scalars, "\x4a\x06\xc3\xa4\xf0\x9f\x98\x80", &m), NEO_OK);
}

TEST(refuses_groups_that_do_not_match)
{
    assert_refused(Nothing, "\x0c",
                   "cannot decode neo.test.v1.Nothing at byte 1: a group ends that did not begin");
    assert_refused(Nothing, "\x0b\x14",
                   "cannot decode neo.test.v1.Nothing at byte 2: a group ends that did not begin");
    assert_refused(Nothing, "\x0b\x08\x01",
                   "cannot decode neo.test.v1.Nothing at byte 3: a group is not closed");
    /* A group that is opened in a submessage and closed in its parent. */
    assert_refused(Optionals, "\x5a\x01\xa3\x06\xa4\x06",
                   "cannot decode neo.test.v1.Scalars at byte 2: a field's tag is cut off or "
                   "malformed");
}

/* --- values ----------------------------------------------------------------------------------- */

TEST(every_scalar_arrives)
{
    struct neo_test_v1_Scalars m = {0};

    assert_int_equal(DECODE(Scalars,
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
                            "\x90\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
                            &m),
                     NEO_OK);
    assert_true(m.f_double == 1.5 && m.f_float == -2.5F);
    assert_true(m.f_int64 == -1 && m.f_uint64 == UINT64_MAX && m.f_int32 == -2);
    assert_true(m.f_fixed64 == UINT64_C(0x0807060504030201) && m.f_fixed32 == 0x04030201);
    assert_true(m.f_bool && neo_bytes_is(m.f_string, "hi"));
    assert_true(neo_bytes_equal(m.f_bytes, NEO_LIT("\x00\xff")));
    assert_true(m.f_uint32 == UINT32_MAX && m.f_enum == neo_test_v1_DARK);
    assert_true(m.f_sfixed32 == -1 && m.f_sfixed64 == -2);
    assert_true(m.f_sint32 == -2 && m.f_sint64 == INT64_MIN);
}

TEST(the_last_of_several_scalars_wins_and_excess_bits_go)
{
    struct neo_test_v1_Scalars m = {0};

    assert_int_equal(
        DECODE(Scalars, "\x28\x01\x28\x02\x40\x80\x01\x68\x81\x80\x80\x80\x80\x01", &m), NEO_OK);
    assert_int_equal(m.f_int32, 2);
    assert_true(m.f_bool);
    assert_int_equal(m.f_uint32, 1);
}

TEST(padded_varints_are_read)
{
    struct neo_test_v1_Scalars m = {0};

    assert_int_equal(DECODE(Scalars,
                            "\xa8\x80\x80\x80\x00\x85\x80\x80\x80\x80\x80\x80\x80\x80\x00"
                            "\x4a\x82\x80\x00hi",
                            &m),
                     NEO_OK);
    assert_int_equal(m.f_int32, 5);
    assert_true(neo_bytes_is(m.f_string, "hi"));
}

TEST(strings_borrow_the_input)
{
    static const uint8_t wire[] = "\x4a\x02hi\x62\x01z";
    struct neo_test_v1_Scalars m;

    assert_int_equal(neo_test_v1_Scalars_decode(neo_bytes(wire, 7), &m, &arena, &err), NEO_OK);
    assert_ptr_equal(m.f_string.at, wire + 2);
    assert_ptr_equal(m.f_bytes.at, wire + 6);
}

TEST(presence_is_told_from_zero)
{
    struct neo_test_v1_Optionals m = {0};

    assert_int_equal(DECODE(Optionals, "\x28\x00\x4a\x00\x5a\x00", &m), NEO_OK);
    assert_true(m.has_f_int32 && m.f_int32 == 0);
    assert_true(m.has_f_string && m.f_string.len == 0);
    assert_true(!m.has_f_bool && !m.has_f_bytes && !m.has_f_enum);
    assert_non_null(m.f_message);
}

TEST(repeated_fields_come_packed_and_unpacked_and_mixed)
{
    struct neo_test_v1_Lists m = {0};

    assert_int_equal(DECODE(Lists,
                            "\x2a\x03\x01\x02\x03"
                            "\x28\x04"
                            "\x2a\x00"
                            "\x2a\x02\x85\x01"
                            "\xc8\x01\x07\xca\x01\x02\x08\x09"
                            "\xd1\x01\x01\x00\x00\x00\x00\x00\x00\x00"
                            "\x42\x03\x01\x00\x02"
                            "\x4a\x01x\x4a\x00\x4a\x01y"
                            "\x72\x01\x63"
                            "\x8a\x01\x02\x01\x02",
                            &m),
                     NEO_OK);
    assert_int_equal(m.f_int32.len, 5);
    assert_true(m.f_int32.at[0] == 1 && m.f_int32.at[3] == 4 && m.f_int32.at[4] == 133);
    assert_int_equal(m.unpacked_int32.len, 3);
    assert_true(m.unpacked_int32.at[0] == 7 && m.unpacked_int32.at[2] == 9);
    assert_true(m.unpacked_fixed64.len == 1 && m.unpacked_fixed64.at[0] == 1);
    assert_true(m.f_bool.len == 3 && m.f_bool.at[0] && !m.f_bool.at[1] && m.f_bool.at[2]);
    assert_true(m.f_string.len == 3 && neo_bytes_is(m.f_string.at[2], "y"));
    assert_true(m.f_enum.len == 1 && m.f_enum.at[0] == 99); /* enums are open */
    assert_true(m.f_sint32.len == 2 && m.f_sint32.at[0] == -1 && m.f_sint32.at[1] == 1);
}

TEST(arrays_grow_and_keep_what_they_hold)
{
    enum { N = 5000 };
    struct neo_test_v1_Lists m = {0};
    struct neo_buffer wire = {0};

    for (uint8_t i = 0; i < 100; i++) {
        for (int j = 0; j < N / 100; j++) {
            uint8_t one[] = {0x28, i, 0x5a, 2, 0x28, i};
            uint8_t run[] = {0x1a, 3, i, i, i};
            (void)neo_buffer_append(&wire, neo_bytes(one, sizeof(one)));
            (void)neo_buffer_append(&wire, neo_bytes(run, sizeof(run)));
        }
    }
    assert_int_equal(decode(&neo_test_v1_Lists_info, neo_buffer_bytes(&wire), &m), NEO_OK);
    assert_int_equal(m.f_int32.len, N);
    assert_int_equal(m.f_message.len, N);
    assert_int_equal(m.f_int64.len, 3 * N);
    for (int i = 0; i < N; i++) {
        assert_int_equal(m.f_int32.at[i], i / (N / 100));
        assert_int_equal(m.f_message.at[i]->f_int32, i / (N / 100));
        assert_int_equal(m.f_int64.at[3 * i + 2], i / (N / 100));
    }
    neo_buffer_fini(&wire);
}

TEST(submessages_that_come_twice_are_merged)
{
    struct neo_test_v1_Optionals m = {0};
    struct neo_test_v1_Tree t = {0};

    assert_int_equal(
        DECODE(Optionals, "\x5a\x02\x28\x01\x5a\x05\x4a\x01x\x18\x09\x5a\x02\x28\x02", &m), NEO_OK);
    assert_int_equal(m.f_message->f_int32, 2);
    assert_int_equal(m.f_message->f_int64, 9);
    assert_true(neo_bytes_is(m.f_message->f_string, "x"));

    assert_int_equal(DECODE(Tree, "\x12\x04\x1a\x02\x08\x01\x12\x04\x1a\x02\x08\x02", &t), NEO_OK);
    assert_int_equal(t.left->children.len, 2);
    assert_int_equal(t.left->children.at[1]->value, 2);
}

TEST(the_last_field_of_a_oneof_wins)
{
    struct neo_test_v1_Choice m = {0};

    assert_int_equal(DECODE(Choice, "\x12\x01x\x18\x05\x0a\x01y", &m), NEO_OK);
    assert_int_equal(m.kind_case, neo_test_v1_Choice_number_FIELD);
    assert_int_equal(m.number, 5);
    assert_null(m.text.at); /* nothing is left of the other */
    assert_true(neo_bytes_is(m.before, "y"));
    assert_int_equal(m.other_case, 0);
}

TEST(a_oneof_message_is_merged_unless_another_field_came_between)
{
    struct neo_test_v1_Choice m = {0};

    assert_int_equal(DECODE(Choice, "\x22\x02\x28\x01\x22\x02\x18\x02", &m), NEO_OK);
    assert_int_equal(m.message->f_int32, 1);
    assert_int_equal(m.message->f_int64, 2);

    m = (struct neo_test_v1_Choice){0};
    assert_int_equal(DECODE(Choice, "\x22\x02\x28\x01\x18\x05\x22\x02\x18\x02", &m), NEO_OK);
    assert_int_equal(m.kind_case, neo_test_v1_Choice_message_FIELD);
    assert_int_equal(m.message->f_int32, 0);
    assert_int_equal(m.message->f_int64, 2);
    assert_int_equal(m.number, 0);
}

TEST(a_oneof_can_hold_a_zero)
{
    struct neo_test_v1_Choice m = {0};

    assert_int_equal(DECODE(Choice, "\x18\x00", &m), NEO_OK);
    assert_int_equal(m.kind_case, neo_test_v1_Choice_number_FIELD);
}

TEST(maps_have_each_key_once_and_the_last_value)
{
    struct neo_test_v1_Maps m = {0};

    assert_int_equal(DECODE(Maps,
                            "\x0a\x06\x0a\x01"
                            "a\x12\x01"
                            "1"
                            "\x0a\x06\x0a\x01"
                            "b\x12\x01"
                            "2"
                            "\x0a\x06\x12\x01"
                            "3\x0a\x01"
                            "a"
                            "\x0a\x00"
                            "\x12\x02\x08\x05\x22\x02\x08\x07\x22\x00",
                            &m),
                     NEO_OK);
    assert_int_equal(m.strings.len, 3);
    assert_true(neo_bytes_is(m.strings.at[0].key, "b") && neo_bytes_is(m.strings.at[0].value, "2"));
    assert_true(neo_bytes_is(m.strings.at[1].key, "a") && neo_bytes_is(m.strings.at[1].value, "3"));
    assert_true(m.strings.at[2].key.len == 0 && m.strings.at[2].value.len == 0);
    assert_true(m.ints.len == 1 && m.ints.at[0].key == 5 && m.ints.at[0].value == 0);
    assert_int_equal(m.messages.len, 2);
    assert_non_null(m.messages.at[0].value); /* an absent value is an empty message */
    assert_non_null(m.messages.at[1].value);
}

TEST(maps_with_many_keys_have_each_once)
{
    enum { KEYS = 300, ROUNDS = 7 };
    struct neo_test_v1_Maps m = {0};
    struct neo_buffer wire = {0};
    bool seen[KEYS] = {false};

    for (int round = 0; round < ROUNDS; round++) {
        for (int key = 0; key < KEYS; key++) {
            uint8_t entry[] = {
                0x12, 5, 0x08, (uint8_t)(key | 0x80), (uint8_t)(key >> 7), 0x10, (uint8_t)round};
            (void)neo_buffer_append(&wire, neo_bytes(entry, sizeof(entry)));
        }
    }
    assert_int_equal(decode(&neo_test_v1_Maps_info, neo_buffer_bytes(&wire), &m), NEO_OK);
    assert_int_equal(m.ints.len, KEYS);
    for (size_t i = 0; i < KEYS; i++) {
        assert_int_equal(m.ints.at[i].value, ROUNDS - 1);
        assert_false(seen[m.ints.at[i].key]);
        seen[m.ints.at[i].key] = true;
    }
    neo_buffer_fini(&wire);
}

TEST(fields_far_apart_are_found)
{
    struct neo_test_v1_Sparse m = {0};

    assert_int_equal(DECODE(Sparse,
                            "\xfa\xff\xff\xff\x0f\x01z\xa0\x06\x07\xd0\x05\x08\x12\x01y\x0a\x01x"
                            "\x98\x06\x09\xa8\x06\x0a",
                            &m),
                     NEO_OK);
    assert_true(neo_bytes_is(m.first, "x") && neo_bytes_is(m.second, "y"));
    assert_true(neo_bytes_is(m.last, "z") && m.hundred == 7 && m.ninety == 8);
}

TEST(unknown_fields_are_skipped)
{
    struct neo_test_v1_Sparse m = {0};

    assert_int_equal(DECODE(Sparse,
                            "\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
                            "\x21\x01\x02\x03\x04\x05\x06\x07\x08"
                            "\x2a\x03\xff\xff\xff"
                            "\x35\x01\x02\x03\x04"
                            "\x3b\x08\x01\x43\x4c\x7a"
                            "\x44\x3c"
                            "\x0a\x01x",
                            &m),
                     NEO_INVALID_ARGUMENT);
    memset(&m, 0, sizeof(m));
    assert_int_equal(DECODE(Sparse,
                            "\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
                            "\x21\x01\x02\x03\x04\x05\x06\x07\x08"
                            "\x2a\x03\xff\xff\xff"
                            "\x35\x01\x02\x03\x04"
                            "\x3b\x08\x01\x43\x7a\x01q\x44\x3c"
                            "\x0a\x01x",
                            &m),
                     NEO_OK);
    assert_true(neo_bytes_is(m.first, "x"));
}

TEST(nothing_is_the_empty_message)
{
    struct neo_test_v1_Scalars m = {0};
    struct neo_test_v1_Nothing n;

    assert_int_equal(
        neo_proto_decode(&neo_test_v1_Scalars_info, (struct neo_bytes){0}, &m, &arena, &err),
        NEO_OK);
    assert_int_equal(neo_test_v1_Nothing_decode(NEO_LIT(""), &n, &arena, NULL), NEO_OK);
}

TEST(proto2_keeps_presence_and_packs_when_told)
{
    struct neo_test_v1_Old m = {0};

    assert_int_equal(DECODE(Old, "\x0a\x01x\x10\x00\x18\x01\x22\x02\x02\x03\x28\x02", &m), NEO_OK);
    assert_true(m.has_name && m.has_count && m.count == 0 && m.has_kind && m.kind == 2);
    assert_true(m.loose.len == 1 && m.packed.len == 2);
    assert_null(m.inner);
}

TEST(a_message_without_its_required_fields_is_refused)
{
    struct neo_test_v1_Old empty = {0}, again = {0};

    /* What is merged into one that was complete may lack them. */
    assert_int_equal(DECODE(Old, "\x0a\x01x\x32\x03\x0a\x01y\x32\x02\x10\x07", &again), NEO_OK);
    assert_true(neo_bytes_is(again.inner->name, "y") && again.inner->count == 7);
    assert_refused(Old, "\x10\x01",
                   "cannot decode neo.test.v1.Old.name at byte 2: the field is required, and "
                   "missing");
    assert_refused(Old, "\x0a\x01x\x32\x02\x10\x01",
                   "cannot decode neo.test.v1.Old.name at byte 7: the field is required, and "
                   "missing");
    assert_refused(Old, "\x0a\x01x\x32\x00",
                   "cannot decode neo.test.v1.Old.name at byte 5: the field is required, and "
                   "missing");
    assert_refused(Legacy, "\x5a\x02\x08\x01",
                   "cannot decode neo.test.v1.Legacy.olds at byte 4: its message lacks required "
                   "fields");
    assert_int_equal(
        neo_proto_decode(&neo_test_v1_Old_info, (struct neo_bytes){0}, &empty, &arena, &err),
        NEO_INVALID_ARGUMENT);
}

TEST(refuses_groups_that_do_not_end_where_they_should)
{
    static const char unclosed[] =
        "cannot decode neo.test.v1.Legacy.Part at byte 3: a group is not closed";

    assert_refused(Legacy, "\x3b\x08\x01", unclosed);
    assert_refused(Legacy, "\x3b\x08\x01\x44",
                   "cannot decode neo.test.v1.Legacy.Part at byte 4: a group ends that did not "
                   "begin");
    assert_refused(Legacy, "\x3c",
                   "cannot decode neo.test.v1.Legacy at byte 1: a group ends that did not begin");
    /* A message behind a length is no group, even one of the number of the group around it. */
    assert_refused(Legacy, "\x3b\x12\x01\x3c\x3c",
                   "cannot decode neo.test.v1.Legacy at byte 4: a group ends that did not begin");
}

TEST(groups_are_messages_between_tags)
{
    struct neo_test_v1_Legacy m = {0};

    assert_int_equal(DECODE(Legacy,
                            "\x3b\x08\x05\x12\x04\x3b\x08\x06\x3c\x38\x09\x3c"
                            "\x43\x0a\x01x\x44\x43\x44",
                            &m),
                     NEO_OK);
    assert_true(m.part->a == 5 && m.part->seven == 9 && m.part->inner->part->a == 6);
    assert_int_equal(m.parts.len, 2);
    assert_true(neo_bytes_is(m.parts.at[0]->b, "x") && !m.parts.at[1]->has_b);
    assert_int_equal(m.neo_unknown.len, 0);
}

TEST(groups_count_towards_the_depth)
{
    enum { LEVELS = 60 };
    struct neo_test_v1_Legacy m = {0};
    struct neo_buffer wire = {0};

    /* Part { Legacy inner { Part ... */
    for (int i = 0; i < LEVELS; i++) {
        struct neo_buffer around = {0};

        (void)neo_buffer_append(&around, NEO_LIT("\x3b\x12"));
        for (size_t len = wire.len; len > 0 || around.len == 2; len >>= 7)
            (void)neo_buffer_append_byte(&around, (uint8_t)(len > 0x7f ? len | 0x80 : len));
        (void)neo_buffer_append(&around, neo_buffer_bytes(&wire));
        (void)neo_buffer_append_byte(&around, 0x3c);
        neo_buffer_fini(&wire);
        wire = around;
    }
    assert_int_equal(decode(&neo_test_v1_Legacy_info, neo_buffer_bytes(&wire), &m),
                     NEO_RESOURCE_EXHAUSTED);
    neo_buffer_fini(&wire);
}

TEST(values_that_a_closed_enum_has_not_are_unknown_fields)
{
    struct neo_test_v1_Legacy m = {0};

    assert_int_equal(DECODE(Legacy,
                            "\x08\x09"                 /* mood */
                            "\x10\x01\x10\x02"         /* moods */
                            "\x1a\x04\x03\x07\x01\x80" /* packed, cut off in its last */
                            "\x01",
                            &m),
                     NEO_INVALID_ARGUMENT);
    memset(&m, 0, sizeof(m));
    assert_int_equal(DECODE(Legacy,
                            "\x08\x09"
                            "\x10\x01\x10\x02"
                            "\x1a\x0c\x03\x07\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"
                            "\x32\x01x\x28\x63",
                            &m),
                     NEO_OK);
    assert_false(m.has_mood);
    assert_true(m.moods.len == 1 && m.moods.at[0] == 1);
    assert_true(m.packed_moods.len == 2 && m.packed_moods.at[0] == 3 && m.packed_moods.at[1] == -2);
    assert_int_equal(m.either_case, neo_test_v1_Legacy_other_FIELD);
    assert_true(neo_bytes_equal(m.neo_unknown, NEO_LIT("\x08\x09\x10\x02\x18\x07\x28\x63")));
}

TEST(an_entry_whose_value_a_closed_enum_has_not_is_unknown_as_a_whole)
{
    static const char entries[] = "\x22\x05\x0a\x01"
                                  "a\x10\x01\x22\x05\x10\x09\x0a\x01"
                                  "b\x22\x05\x0a\x01"
                                  "c\x10\x03";
    struct neo_test_v1_Legacy m = {0};

    assert_int_equal(decode(&neo_test_v1_Legacy_info, neo_bytes(entries, sizeof(entries) - 1), &m),
                     NEO_OK);
    assert_int_equal(m.by_name.len, 2);
    assert_true(neo_bytes_is(m.by_name.at[0].key, "a") && m.by_name.at[0].value == 1);
    assert_true(neo_bytes_is(m.by_name.at[1].key, "c") && m.by_name.at[1].value == 3);
    assert_true(neo_bytes_equal(m.neo_unknown, neo_bytes(entries + 7, 7)));
}

/* The text may go to the peer, to whom nothing may be told of where things lie in our memory. */
TEST(unknown_values_beyond_the_budget_are_told_by_their_place_in_the_input)
{
    const struct neo_bytes cases[] = {NEO_LIT("\x08\x01\x10\x02"),
                                      NEO_LIT("\x08\x01\x22\x05\x10\x09\x0a\x01x")};

    for (size_t i = 0; i < NEO_COUNT(cases); i++) {
        struct neo_test_v1_Legacy m = {0};
        struct neo_arena tight;
        _Alignas(16) uint8_t room[256];

        /* Of the second, room for the map's first entries and for knowing of the map. */
        neo_arena_init_with(&tight, room, i == 0 ? 0 : 4 * sizeof(*m.by_name.at) + 32, 0);
        assert_int_equal(neo_proto_decode(&neo_test_v1_Legacy_info, cases[i], &m, &tight, &err),
                         NEO_RESOURCE_EXHAUSTED);
        if (strstr(err.message, "Legacy.neo_unknown ") == NULL ||
            strstr(err.message, " at byte 3: ") == NULL)
            fail_msg("%s", err.message);
        neo_arena_fini(&tight);
    }
}

/* A newer schema's values, behind `n` that are known. */
static void assert_cheap_entries(uint32_t n, size_t budget)
{
    enum { AGAIN = 3000 };
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer wire = {0};
    struct neo_test_v1_Legacy m = {0};
    struct neo_arena small;

    for (uint32_t i = 0; i < n + AGAIN; i++) {
        uint8_t entry[] = {0x22, 6, 0x0a, 2, (uint8_t)(i >> 7 & 0x7f), (uint8_t)(i & 0x7f),
                           0x10, 9};
        entry[7] = i < n ? 1 : 9;
        (void)neo_buffer_append(&wire, neo_bytes(entry, sizeof(entry)));
    }
    neo_arena_init(&small, budget);
    assert_int_equal(
        neo_proto_decode(&neo_test_v1_Legacy_info, neo_buffer_bytes(&wire), &m, &small, &err),
        NEO_OK);
    assert_int_equal(m.by_name.len, n);
    assert_int_equal(m.neo_unknown.len, AGAIN * 8);
    neo_arena_fini(&small);
}

TEST(entries_that_are_unknown_cost_their_bytes_and_not_the_map_again)
{
    assert_cheap_entries(1024, 256 << 10); /* in a map that is as large as its room */
    assert_cheap_entries(0, 96 << 10);
}

TEST(unknown_fields_are_kept_in_their_order_wherever_they_stand)
{
    struct neo_test_v1_Tree m = {0};

    assert_int_equal(DECODE(Tree,
                            "\x32\x01x"                 /* 6 */
                            "\x08\x07"                  /* value */
                            "\x38\x05\x33\x34"          /* 7, a group 6 */
                            "\x12\x05\x08\x01\x32\x01z" /* left, with one of its own */
                            "\x39\x01\x02\x03\x04\x05\x06\x07\x08",
                            &m),
                     NEO_OK);
    assert_true(m.value == 7 && m.left->value == 1);
    assert_true(neo_bytes_equal(m.left->neo_unknown, NEO_LIT("\x32\x01z")));
    assert_true(neo_bytes_equal(
        m.neo_unknown, NEO_LIT("\x32\x01x\x38\x05\x33\x34\x39\x01\x02\x03\x04\x05\x06\x07\x08")));
}

TEST(unknown_fields_cost_memory_in_proportion_to_their_bytes)
{
    enum { N = 100000, BUDGET_PER_BYTE = 8 };
    struct neo_arena small;
    struct neo_test_v1_Tree m = {0};
    struct neo_buffer wire = {0};

    for (int i = 0; i < N; i++) /* one known field between each two: nothing can be borrowed */
        (void)neo_buffer_append(&wire, NEO_LIT("\x32\x01x\x08\x07"));
    neo_arena_init(&small, N * 3 * BUDGET_PER_BYTE);
    assert_int_equal(
        neo_proto_decode(&neo_test_v1_Tree_info, neo_buffer_bytes(&wire), &m, &small, &err),
        NEO_OK);
    assert_int_equal(m.neo_unknown.len, N * 3);
    neo_arena_fini(&small);
    neo_arena_init(&small, N);
    memset(&m, 0, sizeof(m));
    assert_int_equal(
        neo_proto_decode(&neo_test_v1_Tree_info, neo_buffer_bytes(&wire), &m, &small, &err),
        NEO_RESOURCE_EXHAUSTED);
    neo_arena_fini(&small);
    neo_buffer_fini(&wire);
}

/* --- limits ----------------------------------------------------------------------------------- */

/* `levels` submessages in field `tag`, innermost empty; lengths as they must be. */
static struct neo_bytes nest(struct neo_buffer *out, uint8_t tag, size_t levels)
{
    size_t len = 0;
    size_t at = levels * 11;
    uint8_t *room = neo_buffer_reserve(out, at);

    for (size_t i = 0; i < levels; i++) {
        uint8_t size[10];
        size_t n = 0;
        for (size_t left = len; n == 0 || left > 0; left >>= 7)
            size[n++] = (uint8_t)((left & 0x7f) | (left > 0x7f ? 0x80 : 0));
        at -= n + 1;
        room[at] = tag;
        memcpy(room + at + 1, size, n);
        len += n + 1;
    }
    return neo_bytes(room + at, len);
}

/* G04: whatever the depth, a code and no crash. */
TEST(nesting_beyond_the_limit_is_refused_at_any_depth)
{
    static const size_t levels[] = {99, 100, 101, 268, 1000, 8734, 100000, 1000000};

    for (size_t i = 0; i < NEO_COUNT(levels); i++) {
        struct neo_buffer out = {0};
        struct neo_test_v1_Tree m = {0};
        struct neo_bytes wire = nest(&out, 0x12, levels[i]);

        assert_int_equal(decode(&neo_test_v1_Tree_info, wire, &m),
                         levels[i] <= NEO_PROTO_DEPTH_MAX ? NEO_OK : NEO_RESOURCE_EXHAUSTED);
        neo_buffer_fini(&out);
    }
    assert_non_null(strstr(err.message, "nested deeper than 100 messages"));
}

TEST(unknown_groups_beyond_the_limit_are_refused)
{
    static const size_t levels[] = {99, 100, 101, 1000000};

    for (size_t i = 0; i < NEO_COUNT(levels); i++) {
        struct neo_test_v1_Nothing m = {0};
        uint8_t *wire = neo_alloc(2 * levels[i]);
        memset(wire, 0x0b, levels[i]);
        memset(wire + levels[i], 0x0c, levels[i]);
        assert_int_equal(decode(&neo_test_v1_Nothing_info, neo_bytes(wire, 2 * levels[i]), &m),
                         levels[i] <= NEO_PROTO_DEPTH_MAX ? NEO_OK : NEO_RESOURCE_EXHAUSTED);
        neo_free(wire);
    }
}

static void *decode_on_a_small_stack(void *argument)
{
    struct neo_buffer out = {0};
    struct neo_arena own;
    struct neo_test_v1_Tree m = {0};

    (void)argument;
    neo_arena_init(&own, BUDGET);
    enum neo_code code =
        neo_proto_decode(&neo_test_v1_Tree_info, nest(&out, 0x12, 1000000), &m, &own, NULL);
    neo_arena_fini(&own);
    neo_buffer_fini(&out);
    return code == NEO_RESOURCE_EXHAUSTED ? &arena : NULL;
}

TEST(a_small_stack_is_enough)
{
    pthread_attr_t attributes;
    pthread_t thread;
    void *ok = NULL;

    assert_int_equal(pthread_attr_init(&attributes), 0);
    assert_int_equal(pthread_attr_setstacksize(&attributes, 128 << 10), 0);
    assert_int_equal(pthread_create(&thread, &attributes, decode_on_a_small_stack, NULL), 0);
    assert_int_equal(pthread_join(thread, &ok), 0);
    assert_non_null(ok);
    (void)pthread_attr_destroy(&attributes);
}

static void assert_within_budget(const struct neo_message_info *info, void *message,
                                 struct neo_bytes wire)
{
    struct neo_arena bounded;
    size_t budget = wire.len * 8 < BUDGET ? wire.len * 8 : BUDGET;
    clock_t start = clock();

    neo_arena_init(&bounded, budget);
    enum neo_code code = neo_proto_decode(info, wire, message, &bounded, &err);
    assert_true(code == NEO_OK || code == NEO_RESOURCE_EXHAUSTED);
    /* 50 ms by G04; more here for sanitizers and a busy machine. */
    assert_true((clock() - start) * 1000 / CLOCKS_PER_SEC < 1000);
    neo_arena_fini(&bounded);
}

/* G04: width instead of depth. */
TEST(wide_messages_stay_within_the_budget)
{
    enum { LEN = 4 << 20 };
    uint8_t *wire = neo_alloc(LEN);
    struct neo_test_v1_Lists lists = {0};
    struct neo_test_v1_Maps maps = {0};
    struct neo_test_v1_Nothing nothing = {0};

    for (size_t i = 0; i < LEN; i += 2)
        memcpy(wire + i, "\x5a\x00", 2); /* 2,097,152 empty submessages */
    assert_within_budget(&neo_test_v1_Lists_info, &lists, neo_bytes(wire, LEN));
    assert_int_equal(err.code, NEO_RESOURCE_EXHAUSTED);

    for (size_t i = 0; i < LEN; i += 2)
        memcpy(wire + i, "\x0a\x00", 2); /* as many map entries, all with the same key */
    assert_within_budget(&neo_test_v1_Maps_info, &maps, neo_bytes(wire, LEN));

    for (size_t i = 0; i < LEN; i += 2)
        memcpy(wire + i, "\x4a\x00", 2); /* empty strings */
    memset(&lists, 0, sizeof(lists));
    assert_within_budget(&neo_test_v1_Lists_info, &lists, neo_bytes(wire, LEN));

    memset(wire, 1, LEN); /* one packed run of a 64-bit kind */
    memcpy(wire, "\x1a\xfb\xff\xff\x01", 5);
    memset(&lists, 0, sizeof(lists));
    assert_within_budget(&neo_test_v1_Lists_info, &lists, neo_bytes(wire, LEN));

    for (size_t i = 0; i + 2 <= LEN; i += 2)
        memcpy(wire + i, "\x08\x01", 2); /* unknown fields */
    assert_within_budget(&neo_test_v1_Nothing_info, &nothing, neo_bytes(wire, LEN));
    neo_free(wire);
}

TEST(a_map_whose_keys_all_collide_in_their_low_bits_costs_no_more)
{
    enum { N = 50000 };
    struct neo_test_v1_Maps m = {0};
    struct neo_buffer wire = {0};
    clock_t start = clock();

    for (uint64_t i = 0; i < N; i++) {
        uint8_t entry[11] = {0x32, 9, 0x09};
        uint64_t key = i << 40;
        memcpy(entry + 3, &key, 8);
        (void)neo_buffer_append(&wire, neo_bytes(entry, sizeof(entry)));
    }
    assert_int_equal(decode(&neo_test_v1_Maps_info, neo_buffer_bytes(&wire), &m), NEO_OK);
    assert_int_equal(m.doubles.len, N);
    assert_true((clock() - start) * 1000 / CLOCKS_PER_SEC < 1000);
    neo_buffer_fini(&wire);
}

/* `n` entries of `strings` with the keys from `first` on, which ascend, as Maps below `tag`. */
static void put_strings(struct neo_buffer *out, uint8_t tag, uint32_t first, uint32_t n)
{
    uint8_t head[6] = {tag};
    uint32_t len = n * 7;

    for (int i = 0; i < 5; i++, len >>= 7)
        head[1 + i] = (uint8_t)((len & 0x7f) | (i < 4 ? 0x80 : 0));
    (void)neo_buffer_append(out, neo_bytes(head, sizeof(head)));
    for (uint32_t key = first; key < first + n; key++) {
        uint8_t entry[] = {0x0a,
                           5,
                           0x0a,
                           3,
                           (uint8_t)(key >> 14 & 0x7f),
                           (uint8_t)(key >> 7 & 0x7f),
                           (uint8_t)(key & 0x7f)};
        (void)neo_buffer_append(out, neo_bytes(entry, sizeof(entry)));
    }
}

/* Each time it comes, the message is over, and its maps with it. */
TEST(a_large_map_in_a_message_that_comes_again_and_again_takes_linear_time)
{
    enum { N = 60000, AGAIN = 60000 };
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer value = {0}, wire = {0};
    struct neo_test_v1_Maps m = {0};

    put_strings(&value, 0x12, 0, N);
    for (uint32_t i = 0; i < AGAIN; i++)
        put_strings(&value, 0x12, N + i, 1);
    uint8_t head[6] = {0x3a};
    for (size_t i = 0, len = value.len; i < 5; i++, len >>= 7)
        head[1 + i] = (uint8_t)((len & 0x7f) | (i < 4 ? 0x80 : 0));
    assert_true(neo_buffer_append(&wire, neo_bytes(head, sizeof(head))) &&
                neo_buffer_append(&wire, neo_buffer_bytes(&value)));
    clock_t start = clock();
    assert_int_equal(
        neo_proto_decode(&neo_test_v1_Maps_info, neo_buffer_bytes(&wire), &m, &arena, &err),
        NEO_OK);
    assert_true((clock() - start) * 1000 / CLOCKS_PER_SEC < 1000);
    assert_int_equal(m.nested.at[0].value->strings.len, N + AGAIN);
}

/* --- robustness ------------------------------------------------------------------------------- */

/* Something of every shape there is. */
static const char sample[] = "\x0a\x06\x0a\x01"
                             "a\x12\x01"
                             "1\x12\x04\x08\x05\x10\x07\x1a\x05\x08\x01\x12\x01z"
                             "\x22\x0d\x08\x01\x12\x09\x09\x00\x00\x00\x00\x00\x00\xf8\x3f"
                             "\x2a\x04\x08\x03\x10\x01"
                             "\x3a\x0c\x0a\x01n\x12\x07\x0a\x05\x0a\x01k\x12\x00"
                             "\xf3\x3f\x08\x01\xf4\x3f\xfd\x3f\x01\x02\x03\x04";

TEST(every_truncation_gives_a_code)
{
    struct neo_test_v1_Maps m = {0};
    size_t accepted = 0;

    assert_int_equal(DECODE(Maps, sample, &m), NEO_OK);
    for (size_t len = 0; len < sizeof(sample) - 1; len++) {
        struct neo_test_v1_Maps t = {0};
        enum neo_code code = decode(&neo_test_v1_Maps_info, neo_bytes(sample, len), &t);
        assert_true(code == NEO_OK || code == NEO_INVALID_ARGUMENT);
        accepted += code == NEO_OK;
    }
    assert_int_equal(accepted, 8); /* where a field has just ended */
}

TEST(changing_a_byte_never_does_harm)
{
    char wire[sizeof(sample)];

    for (size_t i = 0; i < sizeof(sample) - 1; i++) {
        for (int byte = 0; byte < 256; byte++) {
            struct neo_test_v1_Maps m = {0};
            memcpy(wire, sample, sizeof(sample));
            wire[i] = (char)byte;
            enum neo_code code =
                decode(&neo_test_v1_Maps_info, neo_bytes(wire, sizeof(sample) - 1), &m);
            assert_true(code == NEO_OK || code == NEO_INVALID_ARGUMENT ||
                        code == NEO_RESOURCE_EXHAUSTED);
            neo_arena_reset(&arena);
        }
    }
}

TEST(failing_allocations_are_survived)
{
    enum neo_code code = NEO_RESOURCE_EXHAUSTED;

    for (unsigned long n = 1; code != NEO_OK; n++) {
        struct neo_arena fresh;
        struct neo_test_v1_Maps m = {0};

        assert_true(n < 100);
        neo_arena_init(&fresh, BUDGET);
        neo_memory_fail_at(n);
        code = neo_proto_decode(&neo_test_v1_Maps_info, NEO_LIT(sample), &m, &fresh, &err);
        neo_memory_fail_at(0);
        neo_arena_fini(&fresh);
        assert_true(code == NEO_OK || code == NEO_RESOURCE_EXHAUSTED);
    }
    for (size_t budget = 0; budget < 2048; budget += 16) {
        struct neo_arena small;
        struct neo_test_v1_Maps m = {0};

        neo_arena_init(&small, budget);
        code = neo_proto_decode(&neo_test_v1_Maps_info, NEO_LIT(sample), &m, &small, &err);
        assert_true(code == NEO_OK || code == NEO_RESOURCE_EXHAUSTED);
        neo_arena_fini(&small);
    }
    assert_int_equal(code, NEO_OK);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(refuses_tags_that_cannot_be),
        T(refuses_wire_types_that_are_none),
        T(a_field_of_another_wire_type_is_an_unknown_one),
        T(refuses_varints_beyond_64_bits),
        T(refuses_lengths_that_lie),
        T(refuses_strings_that_are_not_utf8),
        T(refuses_groups_that_do_not_match),
        T(every_scalar_arrives),
        T(the_last_of_several_scalars_wins_and_excess_bits_go),
        T(padded_varints_are_read),
        T(strings_borrow_the_input),
        T(presence_is_told_from_zero),
        T(repeated_fields_come_packed_and_unpacked_and_mixed),
        T(arrays_grow_and_keep_what_they_hold),
        T(submessages_that_come_twice_are_merged),
        T(the_last_field_of_a_oneof_wins),
        T(a_oneof_message_is_merged_unless_another_field_came_between),
        T(a_oneof_can_hold_a_zero),
        T(maps_have_each_key_once_and_the_last_value),
        T(maps_with_many_keys_have_each_once),
        T(fields_far_apart_are_found),
        T(unknown_fields_are_skipped),
        T(a_message_without_its_required_fields_is_refused),
        T(refuses_groups_that_do_not_end_where_they_should),
        T(groups_are_messages_between_tags),
        T(groups_count_towards_the_depth),
        T(values_that_a_closed_enum_has_not_are_unknown_fields),
        T(an_entry_whose_value_a_closed_enum_has_not_is_unknown_as_a_whole),
        T(unknown_values_beyond_the_budget_are_told_by_their_place_in_the_input),
        T(entries_that_are_unknown_cost_their_bytes_and_not_the_map_again),
        T(unknown_fields_are_kept_in_their_order_wherever_they_stand),
        T(unknown_fields_cost_memory_in_proportion_to_their_bytes),
        T(nothing_is_the_empty_message),
        T(proto2_keeps_presence_and_packs_when_told),
        T(nesting_beyond_the_limit_is_refused_at_any_depth),
        T(unknown_groups_beyond_the_limit_are_refused),
        T(a_small_stack_is_enough),
        T(wide_messages_stay_within_the_budget),
        T(a_map_whose_keys_all_collide_in_their_low_bits_costs_no_more),
        T(a_large_map_in_a_message_that_comes_again_and_again_takes_linear_time),
        T(every_truncation_gives_a_code),
        T(changing_a_byte_never_does_harm),
        T(failing_allocations_are_survived),
    };
    return cmocka_run_group_tests_name("codec/proto_decode", tests, NULL, NULL);
}
