/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include <neo/arena.h>
#include <neo/memory.h>

TEST(gives_aligned_memory_that_does_not_overlap)
{
    struct neo_arena arena;
    uint8_t *before = NULL;

    neo_arena_init(&arena, 1 << 20);
    for (size_t size = 1; size < 2000; size += 7) {
        uint8_t *at = neo_arena_alloc(&arena, size);
        assert_non_null(at);
        assert_int_equal((uintptr_t)at % 16, 0);
        memset(at, 0xab, size);
        assert_true(before == NULL || before[0] == 0xab);
        before = at;
    }
    neo_arena_fini(&arena);
}

TEST(is_as_it_would_be_from_init_where_it_was_initialised)
{
    struct neo_arena in_place = NEO_ARENA(10000);
    struct neo_arena called;

    neo_arena_init(&called, 10000);
    assert_int_equal(in_place.left, called.left);
    assert_int_equal(in_place.budget, called.budget);
    assert_non_null(neo_arena_alloc(&in_place, 5000));
    assert_null(neo_arena_alloc(&in_place, 10000));
    assert_true(neo_arena_failed(&in_place));
    neo_arena_fini(&in_place);
    neo_arena_fini(&called);
}

TEST(never_takes_more_than_its_budget_and_stays_failed)
{
    struct neo_arena arena;
    size_t got = 0;

    neo_arena_init(&arena, 10000);
    while (neo_arena_alloc(&arena, 100) != NULL)
        got += 100;
    assert_true(got <= 10000);
    assert_true(got >= 8000);
    assert_true(neo_arena_failed(&arena));
    assert_null(neo_arena_alloc(&arena, 1));
    neo_arena_fini(&arena);
}

TEST(uses_the_lent_block_first_and_again_after_reset)
{
    _Alignas(16) uint8_t first[256];
    struct neo_arena arena;

    neo_arena_init_with(&arena, first, sizeof(first), 0);
    for (int round = 0; round < 3; round++) {
        uint8_t *at = neo_arena_alloc(&arena, 200);
        assert_ptr_equal(at, first);
        assert_null(neo_arena_alloc(&arena, 200));
        neo_arena_reset(&arena);
        assert_false(neo_arena_failed(&arena));
    }
    neo_arena_fini(&arena);
}

TEST(a_product_that_overflows_is_refused)
{
    struct neo_arena arena;

    neo_arena_init(&arena, 1 << 20);
    assert_null(neo_arena_calloc(&arena, SIZE_MAX / 2, 4));
    assert_true(neo_arena_failed(&arena));
    neo_arena_fini(&arena);
}

TEST(survives_every_failing_allocation)
{
    for (unsigned long n = 1; n < 6; n++) {
        struct neo_arena arena;

        neo_arena_init(&arena, 1 << 20);
        neo_memory_fail_at(n);
        for (int i = 0; i < 100; i++)
            (void)neo_arena_alloc(&arena, 300);
        neo_memory_fail_at(0);
        neo_arena_fini(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_aligned_memory_that_does_not_overlap),
        cmocka_unit_test(is_as_it_would_be_from_init_where_it_was_initialised),
        cmocka_unit_test(never_takes_more_than_its_budget_and_stays_failed),
        cmocka_unit_test(uses_the_lent_block_first_and_again_after_reset),
        cmocka_unit_test(a_product_that_overflows_is_refused),
        cmocka_unit_test(survives_every_failing_allocation),
    };
    return cmocka_run_group_tests_name("base/arena", tests, NULL, NULL);
}
