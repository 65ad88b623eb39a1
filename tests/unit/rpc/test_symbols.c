/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "rpc/symbols.h"

#include <neo/test/v1/all.neo.h>
#include <neo/v1/options.neo.h>

static bool declares(const char *symbol)
{
    return symbols_declares(&neo_test_v1_all_file, neo_text(symbol));
}

TEST(what_is_declared_elsewhere_or_nowhere_is_not_declared)
{
    static const char *const others[] = {
        "",
        ".",
        "Scalars",
        "neo.test.v1",
        "neo.test.v1.",
        ".neo.test.v1.Scalars",
        "neo.test.v1.Scalar",
        "neo.test.v1.Scalars.f",
        "neo.test.v1.Scalars.RED",
        "other.test.v1.Scalars",
        "neo.v1.Sensitivity",
        "google.protobuf.Any",
        "neo.test.v1.Everything.Missing",
        "neo.test.v1.Scalars.f_double.f_double",
    };

    for (size_t i = 0; i < NEO_COUNT(others); i++)
        if (declares(others[i]))
            fail_msg("'%s' was found", others[i]);
}

TEST(all_that_a_file_declares_is_found)
{
    static const char *const own[] = {
        "neo.test.v1.Scalars",     "neo.test.v1.Scalars.f_double", "neo.test.v1.Color",
        "neo.test.v1.RED",         "neo.test.v1.Color.RED",        "neo.test.v1.Alias",
        "neo.test.v1.SECOND_NAME", "neo.test.v1.Names.Inner",      "neo.test.v1.Names.Inner.Level",
        "neo.test.v1.Everything",  "neo.test.v1.Everything.Unary", "neo.test.v1.Idle",
        "neo.test.v1.Nothing",
    };

    for (size_t i = 0; i < NEO_COUNT(own); i++)
        if (!declares(own[i]))
            fail_msg("'%s' was not found", own[i]);
}

TEST(an_extension_is_found_by_its_name_and_by_what_it_extends)
{
    const struct neo_bytes extended = NEO_LIT("google.protobuf.FieldOptions");
    int32_t numbers[4] = {7};

    assert_true(symbols_declares(&neo_v1_options_file, NEO_LIT("neo.v1.sensitivity")));
    assert_true(symbols_extends(&neo_v1_options_file, extended, 50800));
    assert_false(symbols_extends(&neo_v1_options_file, extended, 50801));
    assert_false(symbols_extends(&neo_v1_options_file, NEO_LIT("neo.v1.Sensitivity"), 50800));
    assert_false(symbols_extends(&neo_test_v1_all_file, extended, 50800));
    assert_int_equal(symbols_extensions(&neo_v1_options_file, extended, numbers, 1, 4), 2);
    assert_int_equal(numbers[1], 50800);
    assert_int_equal(symbols_extensions(&neo_v1_options_file, extended, numbers, 1, 1), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_declared_elsewhere_or_nowhere_is_not_declared),
        cmocka_unit_test(all_that_a_file_declares_is_found),
        cmocka_unit_test(an_extension_is_found_by_its_name_and_by_what_it_extends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
