/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include <neo/memory.h>
#include <neo/span.h>

#include <pthread.h>
#include <stdatomic.h>

static void add(struct neo_spans *spans, uint64_t n)
{
    struct neo_span span = {.duration = n, .wall_nsec = (int64_t)n, .name = "a.B/C"};

    neo_spans_add(spans, &span);
}

TEST(an_empty_ring_has_nothing)
{
    struct neo_spans *spans = neo_spans_new(4);
    struct neo_span got[4];

    assert_int_equal(neo_spans_last(spans, got, 4), 0);
    neo_spans_free(spans);
}

TEST(the_latest_come_first_and_the_oldest_go)
{
    struct neo_spans *spans = neo_spans_new(4);
    struct neo_span got[8];

    for (uint64_t n = 1; n <= 10; n++)
        add(spans, n);
    assert_int_equal(neo_spans_last(spans, got, 8), 4);
    for (uint64_t i = 0; i < 4; i++)
        assert_int_equal(got[i].duration, 10 - i);
    assert_int_equal(neo_spans_last(spans, got, 2), 2);
    assert_int_equal(got[1].duration, 9);
    neo_spans_free(spans);
}

TEST(a_ring_of_one_keeps_the_latest)
{
    struct neo_spans *spans = neo_spans_new(1);
    struct neo_span got[2];

    assert_non_null(spans);
    add(spans, 1);
    add(spans, 2);
    assert_int_equal(neo_spans_last(spans, got, 2), 1);
    assert_int_equal(got[0].duration, 2);
    neo_spans_free(spans);
}

TEST(nothing_is_a_ring_too)
{
    assert_null(neo_spans_new(0));
    assert_null(neo_spans_new(SIZE_MAX));
    neo_memory_fail_at(1);
    assert_null(neo_spans_new(4));
    neo_memory_fail_at(0);
    add(NULL, 1);
    neo_spans_free(NULL);
}

static struct neo_spans *shared;
static atomic_bool stop;

static void *add_many(void *self)
{
    (void)self;
    for (uint64_t n = 1; n <= 50000; n++)
        add(shared, n);
    return NULL;
}

static void *read_many(void *self)
{
    unsigned long torn = 0;

    while (!atomic_load(&stop)) {
        struct neo_span got[8];
        size_t n = neo_spans_last(shared, got, 8);
        for (size_t i = 0; i < n; i++)
            torn += got[i].wall_nsec != (int64_t)got[i].duration;
    }
    *(unsigned long *)self = torn;
    return NULL;
}

TEST(threads_may_add_and_read_at_once)
{
    pthread_t threads[3];
    unsigned long torn = 0;

    shared = neo_spans_new(16);
    assert_int_equal(pthread_create(&threads[0], NULL, add_many, NULL), 0);
    assert_int_equal(pthread_create(&threads[1], NULL, add_many, NULL), 0);
    assert_int_equal(pthread_create(&threads[2], NULL, read_many, &torn), 0);
    assert_int_equal(pthread_join(threads[0], NULL), 0);
    assert_int_equal(pthread_join(threads[1], NULL), 0);
    atomic_store(&stop, true);
    assert_int_equal(pthread_join(threads[2], NULL), 0);
    assert_int_equal(torn, 0);
    neo_spans_free(shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_ring_has_nothing),
        cmocka_unit_test(the_latest_come_first_and_the_oldest_go),
        cmocka_unit_test(a_ring_of_one_keeps_the_latest),
        cmocka_unit_test(nothing_is_a_ring_too),
        cmocka_unit_test(threads_may_add_and_read_at_once),
    };
    return cmocka_run_group_tests_name("observe/span", tests, NULL, NULL);
}
