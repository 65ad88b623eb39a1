/* SPDX-License-Identifier: Apache-2.0 */
/* The census: what counts, from when, and for how long. */
#include "../unit.h"

#include "rpc/census.h"

#include <pthread.h>
#include <stdio.h>

static struct neo_appraisal found(uint8_t *code, bool accepted)
{
    return (struct neo_appraisal){.accepted = accepted, .measurement = neo_bytes(code, 48)};
}

static size_t read_all(struct neo_census *census, struct neo_census_row *rows)
{
    return neo_census_read(census, rows, NEO_CENSUS_ROWS_MAX);
}

TEST(what_was_refused_or_measured_nothing_is_not_counted)
{
    struct neo_census *census = neo_census_new();
    struct neo_census_row rows[NEO_CENSUS_ROWS_MAX];
    struct census_mark mark = {0};
    uint8_t code[48] = {0xaa};
    struct neo_appraisal refused = found(code, false), empty = {.accepted = true};

    census_count(&mark, census, NEO_LIT("a"), &refused);
    census_count(&mark, census, NEO_LIT("a"), &empty);
    census_count(&mark, census, NEO_LIT("a"), NULL);
    census_count(&mark, NULL, NEO_LIT("a"), &refused);
    assert_int_equal(read_all(census, rows), 0);
    census_forget(&mark);
    neo_census_free(census);
}

TEST(connections_of_one_measurement_are_one_row)
{
    struct neo_census *census = neo_census_new();
    struct neo_census_row rows[NEO_CENSUS_ROWS_MAX];
    struct census_mark marks[3] = {{0}};
    uint8_t one[48] = {0xaa}, two[48] = {0xbb};
    struct neo_appraisal first = found(one, true), second = found(two, true);

    census_count(&marks[0], census, NEO_LIT("a"), &first);
    census_count(&marks[1], census, NEO_LIT("a"), &first);
    census_count(&marks[2], census, NEO_LIT("a"), &second);
    census_count(&marks[2], census, NEO_LIT("a"), &second); /* proven anew: counted once */
    assert_int_equal(read_all(census, rows), 2);
    assert_int_equal(rows[0].connections, 2);
    assert_int_equal(strncmp(rows[0].measurement, "aa0000", 6), 0);
    assert_int_equal(rows[1].connections, 1);
    for (size_t i = 0; i < 3; i++)
        census_forget(&marks[i]);
    census_forget(&marks[0]);                    /* once more does nothing */
    assert_int_equal(read_all(census, rows), 2); /* they have only just ended */
    assert_int_equal(rows[0].connections, 1);
    neo_census_free(census);
}

TEST(a_full_census_leaves_connections_uncounted)
{
    struct neo_census *census = neo_census_new();
    static struct census_mark marks[NEO_CENSUS_ROWS_MAX + 1];
    struct neo_census_row rows[NEO_CENSUS_ROWS_MAX];
    uint8_t code[48] = {0};
    struct neo_appraisal a = found(code, true);

    for (size_t i = 0; i <= NEO_CENSUS_ROWS_MAX; i++) {
        char service[16];
        (void)snprintf(service, sizeof(service), "s%zu", i);
        census_count(&marks[i], census, neo_text(service), &a);
    }
    assert_int_equal(read_all(census, rows), NEO_CENSUS_ROWS_MAX);
    assert_null(marks[NEO_CENSUS_ROWS_MAX].census);
    for (size_t i = 0; i <= NEO_CENSUS_ROWS_MAX; i++)
        census_forget(&marks[i]);
    neo_census_free(census);
}

static void *count_and_forget(void *self)
{
    struct census_mark mark = {0};
    uint8_t code[48] = {0xcc};
    struct neo_appraisal a = found(code, true);

    for (unsigned i = 0; i < 2000; i++) {
        census_count(&mark, self, NEO_LIT("a"), &a);
        census_forget(&mark);
    }
    return NULL;
}

TEST(threads_may_count_at_once)
{
    struct neo_census *census = neo_census_new();
    struct neo_census_row rows[NEO_CENSUS_ROWS_MAX];
    pthread_t threads[4];

    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_and_forget, census), 0);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(read_all(census, rows), 1);
    assert_int_equal(rows[0].connections, 1); /* none, and it has only just ended */
    neo_census_free(census);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_refused_or_measured_nothing_is_not_counted),
        cmocka_unit_test(connections_of_one_measurement_are_one_row),
        cmocka_unit_test(a_full_census_leaves_connections_uncounted),
        cmocka_unit_test(threads_may_count_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
