/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include <crypto/der.h>

#define DER(text) NEO_LIT(text)

static bool is_strict(struct neo_bytes der)
{
    return der_is_strict(der, 100);
}

TEST(accepts_nested_elements_that_fill_each_other)
{
    assert_true(is_strict(DER("\x30\x00")));
    assert_true(is_strict(DER("\x30\x08\x02\x01\x05\x30\x03\x04\x01\xff")));
    assert_true(is_strict(DER("\xa0\x03\x02\x01\x02")));
}

TEST(refuses_a_length_that_is_not_the_shortest)
{
    assert_false(is_strict(DER("\x04\x81\x01\xff")));
    assert_false(is_strict(DER("\x04\x82\x00\x01\xff")));
    assert_false(is_strict(DER("\x04\x81\x00")));
}

TEST(refuses_indefinite_lengths_and_long_tags)
{
    assert_false(is_strict(DER("\x30\x80\x02\x01\x05\x00\x00")));
    assert_false(is_strict(DER("\x1f\x21\x01\x00")));
    assert_false(is_strict(DER("\x00\x00")));
}

TEST(refuses_lengths_wider_than_four_bytes)
{
    assert_false(is_strict(DER("\x04\x85\x01\x00\x00\x00\x00")));
    assert_false(is_strict(DER("\x04\xff")));
    assert_false(is_strict(DER("\x04\x84\xff\xff\xff\xff")));
}

TEST(refuses_what_is_missing_and_what_is_left_over)
{
    struct neo_bytes whole = DER("\x30\x08\x02\x01\x05\x30\x03\x04\x01\xff");

    for (size_t n = 0; n < whole.len; n++)
        assert_false(is_strict(neo_bytes(whole.at, n)));
    assert_false(is_strict(DER("\x30\x00\x00")));
    assert_false(is_strict(DER("\x30\x03\x02\x02\x05"))); /* a child beyond its parent */
}

TEST(refuses_more_than_sixteen_levels)
{
    uint8_t nest[2 * 20];

    for (size_t depth = 1; depth <= 20; depth++) {
        for (size_t i = 0; i < depth; i++) {
            nest[2 * i] = DER_SEQUENCE;
            nest[2 * i + 1] = (uint8_t)(2 * (depth - 1 - i));
        }
        assert_int_equal(is_strict(neo_bytes(nest, 2 * depth)), depth < 16);
    }
}

TEST(refuses_more_elements_than_asked_for)
{
    uint8_t many[2 + 2 * 50] = {DER_SEQUENCE, 2 * 50};

    for (size_t i = 0; i < 50; i++)
        many[2 + 2 * i] = DER_OCTET_STRING;
    assert_true(der_is_strict(neo_bytes(many, sizeof(many)), 51));
    assert_false(der_is_strict(neo_bytes(many, sizeof(many)), 50));
}

TEST(a_wrong_tag_fails_the_reader_for_good)
{
    struct cursor c = cursor_of(DER("\x02\x01\x05\x04\x01\x06"));

    assert_int_equal(der_take(&c, DER_SEQUENCE).whole.len, 0);
    assert_int_equal(der_take(&c, DER_OCTET_STRING).whole.len, 0);
    assert_false(cursor_is_done(&c));
}

TEST(a_bit_string_must_have_whole_bytes)
{
    struct cursor whole = cursor_of(DER("\x03\x03\x00\xaa\xbb"));
    struct cursor part = cursor_of(DER("\x03\x03\x01\xaa\xbb"));
    struct cursor none = cursor_of(DER("\x03\x00"));

    assert_true(neo_bytes_equal(der_take_bits(&whole), DER("\xaa\xbb")));
    (void)der_take_bits(&part);
    (void)der_take_bits(&none);
    assert_true(cursor_is_done(&whole));
    assert_true(part.failed && none.failed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_nested_elements_that_fill_each_other),
        cmocka_unit_test(refuses_a_length_that_is_not_the_shortest),
        cmocka_unit_test(refuses_indefinite_lengths_and_long_tags),
        cmocka_unit_test(refuses_lengths_wider_than_four_bytes),
        cmocka_unit_test(refuses_what_is_missing_and_what_is_left_over),
        cmocka_unit_test(refuses_more_than_sixteen_levels),
        cmocka_unit_test(refuses_more_elements_than_asked_for),
        cmocka_unit_test(a_wrong_tag_fails_the_reader_for_good),
        cmocka_unit_test(a_bit_string_must_have_whole_bytes),
    };
    return cmocka_run_group_tests_name("crypto/der", tests, NULL, NULL);
}
