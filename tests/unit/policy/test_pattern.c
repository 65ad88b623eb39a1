/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "policy/pattern.h"

static bool is_valid(const char *text)
{
    struct pattern p;

    return pattern_parse(neo_text(text), &p);
}

static bool covers(const char *outer, const char *inner)
{
    struct pattern o, i;

    assert_true(pattern_parse(neo_text(outer), &o));
    assert_true(pattern_parse(neo_text(inner), &i));
    return pattern_covers(&o, &i);
}

/* Of all bytes, exactly those of a path may stand in each place. */
TEST(the_alphabet_is_exact)
{
    const char *letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
    const char *digits = "0123456789";

    for (unsigned byte = 1; byte < 256; byte++) {
        bool letter = strchr(letters, (int)byte) != NULL;
        bool digit = strchr(digits, (int)byte) != NULL;
        char text[8] = {(char)byte, 0};
        assert_int_equal(is_valid(text), letter || byte == '*');
        char second[8] = {'a', (char)byte, 'a', 0};
        assert_int_equal(is_valid(second), letter || digit || byte == '/');
        char service[8] = {'a', (char)byte, '/', 'a', 0};
        assert_int_equal(is_valid(service), letter || digit || byte == '.');
    }
    struct pattern p;
    assert_false(pattern_parse(NEO_LIT("a\0"), &p));
    assert_false(pattern_parse((struct neo_bytes){NULL, 0}, &p));
}

TEST(lengths_are_exact)
{
    char text[256];

    memset(text, 'a', sizeof(text));
    text[64] = '\0';
    assert_true(is_valid(text));
    text[64] = 'a';
    text[65] = '\0';
    assert_false(is_valid(text));
    memset(text, 'a', sizeof(text));
    memcpy(text + 128, "/M", 3);
    assert_true(is_valid(text));
    memset(text, 'a', sizeof(text));
    memcpy(text + 129, "/M", 3);
    assert_false(is_valid(text));
}

TEST(a_service_of_one_letter_is_a_service)
{
    struct pattern p;

    assert_true(pattern_parse(NEO_LIT("p/M"), &p));
    assert_true(pattern_matches(&p, NEO_LIT("p"), NEO_LIT("M")));
    assert_false(pattern_matches(&p, NEO_LIT("q"), NEO_LIT("M")));
}

TEST(covering_is_matching_at_least_as_much)
{
    assert_true(covers("*", "Get"));
    assert_true(covers("*", "p/Get"));
    assert_true(covers("*", "p/*"));
    assert_true(covers("Get", "p/Get"));
    assert_true(covers("G*", "Get*"));
    assert_true(covers("p/*", "p/G*"));
    assert_false(covers("p/*", "q/Get"));
    assert_false(covers("p/*", "Get"));
    assert_false(covers("p/Get", "Get"));
    assert_false(covers("Get", "Get*"));
    assert_false(covers("Get*", "G*"));
    assert_false(covers("Get", "Set"));
}

TEST(names_are_in_the_order_of_their_bytes)
{
    static const char *const order[] = {"", "A", "AB", "B", "a", "ab", "abc", "b"};

    for (size_t i = 0; i < NEO_COUNT(order); i++)
        for (size_t k = 0; k < NEO_COUNT(order); k++) {
            int got = pattern_compare_names(neo_text(order[i]), neo_text(order[k]));
            assert_int_equal(got > 0, i > k);
            assert_int_equal(got < 0, i < k);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_alphabet_is_exact),
        cmocka_unit_test(lengths_are_exact),
        cmocka_unit_test(a_service_of_one_letter_is_a_service),
        cmocka_unit_test(covering_is_matching_at_least_as_much),
        cmocka_unit_test(names_are_in_the_order_of_their_bytes),
    };
    return cmocka_run_group_tests_name("policy/pattern", tests, NULL, NULL);
}
