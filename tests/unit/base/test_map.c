/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "base/map.h"

#include <stdio.h>

enum { KEYS = 500 };

static char names[KEYS][16];

static struct neo_bytes key(int i)
{
    (void)snprintf(names[i], sizeof(names[i]), "key-%d", i);
    return neo_text(names[i]);
}

/* Random puts and removes, held against a plain array. */
TEST(agrees_with_an_array)
{
    bool present[KEYS] = {false};
    struct map map = {0};
    uint64_t seed = 7;

    for (int round = 0; round < 100000; round++) {
        int i = (int)unit_random(&seed, KEYS);
        if (unit_random(&seed, 2) == 0) {
            assert_true(map_put(&map, key(i), names[i]));
            present[i] = true;
        } else {
            assert_ptr_equal(map_remove(&map, key(i)), present[i] ? names[i] : NULL);
            present[i] = false;
        }
    }
    size_t live = 0;
    for (int i = 0; i < KEYS; i++) {
        assert_ptr_equal(map_get(&map, key(i)), present[i] ? names[i] : NULL);
        live += present[i];
    }
    size_t visited = 0;
    for (size_t at = 0; map_next(&map, &at) != NULL;)
        visited++;
    assert_int_equal(visited, live);
    assert_int_equal(map.used, live);
    map_fini(&map);
}

TEST(an_empty_map_finds_nothing)
{
    struct map map = {0};
    size_t at = 0;

    assert_null(map_get(&map, NEO_LIT("x")));
    assert_null(map_remove(&map, NEO_LIT("x")));
    assert_null(map_next(&map, &at));
    map_fini(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_an_array),
        cmocka_unit_test(an_empty_map_finds_nothing),
    };
    return cmocka_run_group_tests_name("base/map", tests, NULL, NULL);
}
