/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include <neo/buffer.h>
#include <neo/memory.h>

TEST(keeps_what_was_appended)
{
    struct neo_buffer b = {0};

    for (int i = 0; i < 1000; i++)
        assert_true(neo_buffer_printf(&b, "%d,", i));
    assert_true(neo_bytes_starts(neo_buffer_bytes(&b), NEO_LIT("0,1,2,")));
    assert_int_equal(b.len, 3890);
    neo_buffer_drop(&b, 4);
    assert_true(neo_bytes_starts(neo_buffer_bytes(&b), NEO_LIT("2,3,")));
    neo_buffer_fini(&b);
}

TEST(beyond_its_limit_it_fails_and_changes_nothing)
{
    struct neo_buffer b = {.limit = 10};

    assert_true(neo_buffer_append_text(&b, "0123456789"));
    assert_false(neo_buffer_append_byte(&b, 'x'));
    assert_true(b.failed);
    assert_int_equal(b.len, 10);
    assert_false(neo_buffer_append_text(&b, ""));
    neo_buffer_clear(&b);
    assert_true(neo_buffer_append_text(&b, "again"));
    neo_buffer_fini(&b);
}

TEST(out_of_memory_is_a_failure_not_a_crash)
{
    struct neo_buffer b = {0};

    neo_memory_fail_at(1);
    assert_false(neo_buffer_append_text(&b, "x"));
    neo_memory_fail_at(0);
    neo_buffer_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_what_was_appended),
        cmocka_unit_test(beyond_its_limit_it_fails_and_changes_nothing),
        cmocka_unit_test(out_of_memory_is_a_failure_not_a_crash),
    };
    return cmocka_run_group_tests_name("base/buffer", tests, NULL, NULL);
}
