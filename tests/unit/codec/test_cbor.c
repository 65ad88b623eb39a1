/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/unit.h"

#include "codec/cbor.h"

#include <neo/buffer.h>
#include <neo/error.h>

static bool reads(const char *text, size_t len)
{
    struct cbor c = cbor_of(neo_bytes(text, len));

    (void)cbor_skip(&c);
    return cbor_is_done(&c);
}
#define READS(literal) reads((literal), sizeof(literal) - 1)

TEST(what_is_not_definite_and_plain_is_refused)
{
    assert_false(READS(""));
    assert_false(READS("\x5f\x41\x01\xff")); /* indefinite bytes, array, map, text */
    assert_false(READS("\x9f\x01\xff"));
    assert_false(READS("\xbf\xff"));
    assert_false(READS("\x7f\xff"));
    assert_false(READS("\xff"));
    assert_false(READS("\x1c")); /* reserved lengths */
    assert_false(READS("\x1d"));
    assert_false(READS("\x1e"));
    assert_false(READS("\xf7")); /* undefined, other simple values, floats */
    assert_false(READS("\xf8\x20"));
    assert_false(READS("\xf9\x00\x00"));
    assert_false(READS("\xfb\x00\x00\x00\x00\x00\x00\x00\x00"));
}

TEST(what_ends_too_early_is_refused_before_anything_is_counted)
{
    assert_false(READS("\x18"));
    assert_false(READS("\x1b\x00\x00\x00\x00\x00\x00\x00"));
    assert_false(READS("\x42\x01"));
    assert_false(READS("\x82\x01"));
    assert_false(READS("\xa1\x01"));
    assert_false(READS("\xc1"));
    assert_false(READS("\x9b\xff\xff\xff\xff\xff\xff\xff\xff")); /* 2^64 - 1 items */
    assert_false(READS("\xbb\xff\xff\xff\xff\xff\xff\xff\xff"));
    assert_false(READS("\x5b\xff\xff\xff\xff\xff\xff\xff\xff"));
    assert_false(READS("\x82\x82\x01\x01")); /* the inner array takes what the outer counted on */
}

TEST(text_must_be_utf_8)
{
    assert_false(READS("\x62\xc3\x28"));
    assert_false(READS("\x61\x80"));
    assert_true(READS("\x62\xc3\xa9"));
    assert_true(READS("\x42\xc3\x28")); /* bytes may be anything */
}

TEST(trailing_bytes_are_not_overlooked)
{
    assert_false(READS("\x01\x01"));
    assert_true(READS("\x01"));
}

TEST(nesting_costs_no_stack)
{
    static char deep[1 << 20];
    struct cbor c;

    memset(deep, 0x81, sizeof(deep));
    c = cbor_of(neo_bytes(deep, sizeof(deep)));
    (void)cbor_skip(&c);
    assert_true(c.failed);
    deep[sizeof(deep) - 1] = 0;
    c = cbor_of(neo_bytes(deep, sizeof(deep)));
    assert_int_equal(cbor_skip(&c).len, sizeof(deep));
    assert_true(cbor_is_done(&c));
}

TEST(after_a_failure_every_read_fails)
{
    struct cbor c = cbor_of(NEO_LIT("\xff\x01\x02"));
    struct cbor_item item = {.value = 77};

    assert_false(cbor_next(&c, &item));
    assert_false(cbor_next(&c, &item));
    assert_false(cbor_take(&c, CBOR_UINT, &item));
    assert_int_equal(cbor_skip(&c).len, 0);
    assert_int_equal(item.value, 77);
    assert_false(cbor_is_done(&c));
}

TEST(values_and_strings_are_read_in_every_length)
{
    /* [1, 24, 256, 65536, 2^32, -1, -500, h'0102', "a", {1: true}, 18(null)] */
    struct cbor c = cbor_of(NEO_LIT("\x8b\x01\x18\x18\x19\x01\x00\x1a\x00\x01\x00\x00"
                                    "\x1b\x00\x00\x00\x01\x00\x00\x00\x00\x20\x39\x01\xf3"
                                    "\x42\x01\x02\x61"
                                    "a\xa1\x01\xf5\xd2\xf6"));
    static const uint64_t numbers[] = {1, 24, 256, 65536, UINT64_C(1) << 32};
    struct cbor_item item;

    assert_true(cbor_take(&c, CBOR_ARRAY, &item));
    assert_int_equal(item.value, 11);
    for (size_t i = 0; i < NEO_COUNT(numbers); i++) {
        assert_true(cbor_take(&c, CBOR_UINT, &item));
        assert_int_equal(item.value, numbers[i]);
    }
    assert_true(cbor_take(&c, CBOR_NINT, &item));
    assert_int_equal(item.value, 0);
    assert_true(cbor_take(&c, CBOR_NINT, &item));
    assert_int_equal(item.value, 499);
    assert_true(cbor_take(&c, CBOR_BYTES, &item));
    assert_int_equal(item.bytes.len, 2);
    assert_true(cbor_take(&c, CBOR_TEXT, &item));
    assert_true(neo_bytes_is(item.bytes, "a"));
    assert_true(cbor_take(&c, CBOR_MAP, &item));
    assert_int_equal(item.value, 1);
    assert_true(cbor_take(&c, CBOR_UINT, &item));
    assert_true(cbor_take(&c, CBOR_TRUE, &item));
    assert_true(cbor_take(&c, CBOR_TAG, &item));
    assert_int_equal(item.value, 18);
    assert_true(cbor_take(&c, CBOR_NULL, &item));
    assert_true(cbor_is_done(&c));
}

TEST(a_whole_item_can_be_taken_as_it_stands)
{
    struct cbor c = cbor_of(NEO_LIT("\x82\xa1\x01\x82\x02\x03\x04\x05"));
    struct neo_bytes item = cbor_skip(&c);

    assert_int_equal(item.len, 7);
    assert_int_equal(item.at[0], 0x82);
    item = cbor_skip(&c);
    assert_int_equal(item.len, 1);
    assert_true(cbor_is_done(&c));
}

TEST(what_is_written_is_the_shortest_and_reads_back)
{
    static const struct {
        enum cbor_type type;
        uint64_t value;
        const char *text;
        size_t len;
    } cases[] = {
        {CBOR_UINT, 23, "\x17", 1},
        {CBOR_UINT, 24, "\x18\x18", 2},
        {CBOR_NINT, 255, "\x38\xff", 2},
        {CBOR_MAP, 256, "\xb9\x01\x00", 3},
        {CBOR_ARRAY, 65536, "\x9a\x00\x01\x00\x00", 5},
        {CBOR_TAG, UINT64_C(1) << 32, "\xdb\x00\x00\x00\x01\x00\x00\x00\x00", 9},
        {CBOR_FALSE, 0, "\xf4", 1},
        {CBOR_TRUE, 7, "\xf5", 1},
        {CBOR_NULL, 0, "\xf6", 1},
    };
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer out = {0};
    struct cbor_item item;

    for (size_t i = 0; i < NEO_COUNT(cases); i++) {
        neo_buffer_clear(&out);
        assert_true(cbor_put(&out, cases[i].type, cases[i].value));
        assert_true(
            neo_bytes_equal(neo_buffer_bytes(&out), neo_bytes(cases[i].text, cases[i].len)));
    }
    neo_buffer_clear(&out);
    assert_true(cbor_put_text(&out, "nonce") && cbor_put_bytes(&out, NEO_LIT("\x00\xff")));
    struct cbor c = cbor_of(neo_buffer_bytes(&out));
    assert_true(cbor_take(&c, CBOR_TEXT, &item) && neo_bytes_is(item.bytes, "nonce"));
    assert_true(cbor_take(&c, CBOR_BYTES, &item) &&
                neo_bytes_equal(item.bytes, NEO_LIT("\x00\xff")) && cbor_is_done(&c));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_definite_and_plain_is_refused),
        cmocka_unit_test(what_ends_too_early_is_refused_before_anything_is_counted),
        cmocka_unit_test(text_must_be_utf_8),
        cmocka_unit_test(trailing_bytes_are_not_overlooked),
        cmocka_unit_test(nesting_costs_no_stack),
        cmocka_unit_test(after_a_failure_every_read_fails),
        cmocka_unit_test(values_and_strings_are_read_in_every_length),
        cmocka_unit_test(a_whole_item_can_be_taken_as_it_stands),
        cmocka_unit_test(what_is_written_is_the_shortest_and_reads_back),
    };
    return cmocka_run_group_tests_name("codec/cbor", tests, NULL, NULL);
}
