/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"
#include "prometheus.h"

#include <neo/memory.h>
#include <neo/metrics.h>

#include <pthread.h>

#define MSEC NEO_NSEC_PER_MSEC

static const char *const one_label[] = {"method", NULL};
static const char *const two_labels[] = {"caller", "method", NULL};

static const char *print(struct neo_metrics *m)
{
    static struct neo_buffer text;

    neo_buffer_fini(&text);
    if (m == NULL)
        return "";
    assert_true(neo_metrics_print(m, &text));
    assert_true(neo_buffer_append_byte(&text, '\0'));
    const char *wrong = prometheus_check((const char *)text.at);
    if (wrong != NULL)
        fail_msg("%s:\n%s", wrong, (const char *)text.at);
    return (const char *)text.at;
}

static void assert_has(struct neo_metrics *m, const char *line)
{
    const char *text = print(m);
    const char *at = strstr(text, line);
    size_t len = strlen(line);

    if (at == NULL || at[len] != '\n' || (at != text && at[-1] != '\n'))
        fail_msg("no '%s' in:\n%s", line, text);
}

static unsigned times(const char *text, const char *part)
{
    unsigned n = 0;

    for (const char *at = strstr(text, part); at != NULL; at = strstr(at + 1, part))
        n++;
    return n;
}

static struct neo_counter *counter1(struct neo_family *f, const char *value)
{
    return neo_counter(f, (struct neo_bytes[]){neo_text(value)});
}

TEST(the_reader_of_this_test_refuses_what_is_wrong)
{
    static const char *const wrong[] = {
        "a 1\n",
        "# HELP a x\na 1\n",
        "# HELP a x\n# TYPE b counter\n",
        "# HELP a x\n# TYPE a counter\na{b=\"c\"} 1",
        "# HELP a x\n# TYPE a counter\na{b=\"c\"}  1\n",
        "# HELP a x\n# TYPE a counter\na{b=\"c} 1\n",
        "# HELP a x\n# TYPE a counter\na{b=\"\\x\"} 1\n",
        "# HELP a x\n# TYPE a counter\na 1\na 2\n",
        "# HELP a x\n# TYPE a counter\nb 1\n",
        "# HELP a x\n# TYPE a counter\na 1\n# HELP a x\n# TYPE a counter\n",
        "# HELP a x\n# TYPE a histogram\na_bucket{le=\"1\"} 1\na_count 1\n",
        "# HELP a x\n# TYPE a histogram\na_bucket{le=\"1\"} 2\na_bucket{le=\"+Inf\"} 1\n",
        "# HELP a x\n# TYPE a histogram\na_bucket{le=\"2\"} 1\na_bucket{le=\"1\"} 1\n",
        "# HELP a x\n# TYPE a histogram\na_bucket{le=\"+Inf\"} 1\na_count 2\n",
    };

    for (size_t i = 0; i < NEO_COUNT(wrong); i++)
        if (prometheus_check(wrong[i]) == NULL)
            fail_msg("accepted:\n%s", wrong[i]);
}

TEST(nothing_counted_prints_nothing)
{
    struct neo_metrics *m = neo_metrics_new();

    assert_string_equal(print(m), "");
    assert_non_null(neo_metrics_family(m, "calls_total", "Calls.", NEO_COUNTER, one_label));
    assert_string_equal(print(m), "");
    neo_metrics_free(m);
    neo_metrics_free(NULL);
}

TEST(counters_and_gauges_print_what_was_counted)
{
    struct neo_metrics *m = neo_metrics_new();
    struct neo_family *calls =
        neo_metrics_family(m, "calls_total", "Calls.", NEO_COUNTER, two_labels);
    struct neo_family *level = neo_metrics_family(m, "level", "Level.", NEO_GAUGE, NULL);
    struct neo_counter *c =
        neo_counter(calls, (struct neo_bytes[]){NEO_LIT("x-service"), NEO_LIT("a.B/C")});
    struct neo_counter *g = neo_counter(level, NULL);

    neo_counter_add(c, 2);
    neo_counter_add(c, 3);
    neo_gauge_set(g, -7);
    assert_int_equal(neo_counter_get(c), 5);
    assert_string_equal(print(m), "# HELP calls_total Calls.\n"
                                  "# TYPE calls_total counter\n"
                                  "calls_total{caller=\"x-service\",method=\"a.B/C\"} 5\n"
                                  "# HELP level Level.\n"
                                  "# TYPE level gauge\n"
                                  "level -7\n");
    neo_gauge_set(g, INT64_MIN);
    assert_has(m, "level -9223372036854775808");
    neo_counter_add(c, UINT64_MAX - 5);
    assert_has(m, "calls_total{caller=\"x-service\",method=\"a.B/C\"} 18446744073709551615");
    neo_metrics_free(m);
}

TEST(a_gauge_that_is_added_to_goes_down_as_well)
{
    struct neo_metrics *m = neo_metrics_new();
    struct neo_counter *g =
        neo_counter(neo_metrics_family(m, "open", "Open.", NEO_GAUGE, NULL), NULL);

    neo_counter_add(g, 2);
    neo_counter_add(g, (uint64_t)-3);
    assert_has(m, "open -1");
    neo_metrics_free(m);
}

TEST(the_same_name_and_values_are_the_same_counter)
{
    struct neo_metrics *m = neo_metrics_new();
    struct neo_family *f = neo_metrics_family(m, "calls_total", "Calls.", NEO_COUNTER, one_label);

    assert_ptr_equal(neo_metrics_family(m, "calls_total", "Calls.", NEO_COUNTER, one_label), f);
    assert_ptr_equal(counter1(f, "a"), counter1(f, "a"));
    assert_ptr_not_equal(counter1(f, "a"), counter1(f, "b"));
    neo_counter_add(counter1(f, "a"), 1);
    assert_int_equal(times(print(m), "# HELP"), 1);
    assert_int_equal(times(print(m), "# TYPE"), 1);
    neo_metrics_free(m);
}

TEST(nothing_in_a_value_or_a_help_breaks_the_text)
{
    struct neo_metrics *m = neo_metrics_new();
    struct neo_family *f = neo_metrics_family(m, "x", "one\ntwo \\ three", NEO_COUNTER, one_label);

    neo_counter_add(counter1(f, "a\"} 1\nx{method=\"b"), 1);
    neo_counter_add(counter1(f, "back\\slash"), 2);
    neo_counter_add(counter1(f, "gr\xc3\xbc\xc3\x9f"), 3);
    neo_counter_add(counter1(f, "not \xff utf8"), 4);
    neo_counter_add(counter1(f, ""), 5);
    assert_has(m, "# HELP x one\\ntwo \\\\ three");
    assert_has(m, "x{method=\"a\\\"} 1\\nx{method=\\\"b\"} 1");
    assert_has(m, "x{method=\"back\\\\slash\"} 2");
    assert_has(m, "x{method=\"gr\xc3\xbc\xc3\x9f\"} 3");
    assert_has(m, "x{method=\"not ? utf8\"} 4");
    assert_has(m, "x{method=\"\"} 5");
    assert_int_equal(times(print(m), "\nx"), 5);
    neo_metrics_free(m);
}

TEST(values_of_every_byte_stay_in_their_label)
{
    struct neo_metrics *m = neo_metrics_new();
    struct neo_family *f = neo_metrics_family(m, "x", "X.", NEO_COUNTER, one_label);
    uint64_t seed = 40;

    for (int i = 0; i < 500; i++) {
        char value[24];
        size_t len = (size_t)unit_random(&seed, sizeof(value));
        for (size_t k = 0; k < len; k++)
            value[k] = (char)(1 + unit_random(&seed, 255));
        neo_counter_add(neo_counter(f, (struct neo_bytes[]){neo_bytes(value, len)}), 1);
    }
    (void)print(m);
    neo_metrics_free(m);
}

TEST(a_duration_counts_in_every_bucket_that_holds_it)
{
    struct neo_metrics *m = neo_metrics_new();
    struct neo_family *f = neo_metrics_family(m, "d_seconds", "D.", NEO_HISTOGRAM, one_label);
    struct neo_histogram *h = neo_histogram(f, (struct neo_bytes[]){NEO_LIT("a")});

    neo_histogram_observe(h, 0);
    neo_histogram_observe(h, 50000); /* a bound belongs to its bucket */
    neo_histogram_observe(h, 50001);
    neo_histogram_observe(h, 4 * MSEC);
    neo_histogram_observe(h, 10000 * MSEC);
    neo_histogram_observe(h, 10000 * MSEC + 1);
    assert_has(m, "d_seconds_bucket{method=\"a\",le=\"5e-05\"} 2");
    assert_has(m, "d_seconds_bucket{method=\"a\",le=\"0.0001\"} 3");
    assert_has(m, "d_seconds_bucket{method=\"a\",le=\"0.0025\"} 3");
    assert_has(m, "d_seconds_bucket{method=\"a\",le=\"0.005\"} 4");
    assert_has(m, "d_seconds_bucket{method=\"a\",le=\"10\"} 5");
    assert_has(m, "d_seconds_bucket{method=\"a\",le=\"+Inf\"} 6");
    assert_has(m, "d_seconds_count{method=\"a\"} 6");
    assert_has(m, "d_seconds_sum{method=\"a\"} 20.004100002");
    neo_metrics_free(m);
}

TEST(a_histogram_without_labels_prints_as_well)
{
    struct neo_metrics *m = neo_metrics_new();
    struct neo_histogram *h =
        neo_histogram(neo_metrics_family(m, "d_seconds", "D.", NEO_HISTOGRAM, NULL), NULL);

    neo_histogram_observe(h, 1500 * MSEC);
    assert_has(m, "d_seconds_bucket{le=\"1\"} 0");
    assert_has(m, "d_seconds_bucket{le=\"2.5\"} 1");
    assert_has(m, "d_seconds_sum 1.500000000");
    assert_has(m, "d_seconds_count 1");
    neo_metrics_free(m);
}

TEST(the_buckets_are_those_of_opentelemetry_and_finer_below)
{
    static const char *const bounds[] = {"0.005", "0.01", "0.025", "0.05", "0.075", "0.1", "0.25",
                                         "0.5",   "0.75", "1",     "2.5",  "5",     "7.5", "10"};
    struct neo_metrics *m = neo_metrics_new();

    neo_histogram_observe(
        neo_histogram(neo_metrics_family(m, "d", "D.", NEO_HISTOGRAM, NULL), NULL), 1);
    for (size_t i = 0; i < NEO_COUNT(bounds); i++) {
        char line[64];
        (void)snprintf(line, sizeof(line), "d_bucket{le=\"%s\"} 1", bounds[i]);
        assert_has(m, line);
    }
    assert_int_equal(times(print(m), "d_bucket"), 21);
    neo_metrics_free(m);
}

TEST(a_family_never_has_more_than_its_share_of_series)
{
    struct neo_metrics *m = neo_metrics_new();
    struct neo_family *f = neo_metrics_family(m, "x", "X.", NEO_COUNTER, one_label);
    struct neo_family *h = neo_metrics_family(m, "h", "H.", NEO_HISTOGRAM, one_label);

    for (int i = 0; i < 1500; i++) {
        char value[16];
        (void)snprintf(value, sizeof(value), "%d", i);
        neo_counter_add(counter1(f, value), 1);
    }
    neo_histogram_observe(neo_histogram(h, (struct neo_bytes[]){NEO_LIT("_other")}), 1);
    assert_has(m, "x{method=\"_other\"} 500");
    assert_has(m, "x{method=\"999\"} 1");
    assert_int_equal(times(print(m), "\nx{"), 1001);
    neo_counter_add(counter1(f, "_other"), 1); /* no second one of this name */
    assert_has(m, "x{method=\"_other\"} 501");
    assert_has(m, "h_count{method=\"_other\"} 1");
    neo_metrics_free(m);
}

TEST(counting_on_nothing_does_nothing)
{
    neo_counter_add(NULL, 1);
    neo_gauge_set(NULL, 1);
    neo_histogram_observe(NULL, 1);
    assert_int_equal(neo_counter_get(NULL), 0);
    assert_null(neo_counter(NULL, NULL));
    assert_null(neo_histogram(NULL, NULL));
    assert_null(neo_metrics_family(NULL, "x", "X.", NEO_COUNTER, NULL));
}

TEST(out_of_memory_costs_names_and_never_counts)
{
    bool whole = false;

    for (unsigned long n = 1; !whole; n++) {
        neo_memory_fail_at(n);
        struct neo_metrics *m = neo_metrics_new();
        struct neo_family *f = neo_metrics_family(m, "x", "X.", NEO_COUNTER, two_labels);
        struct neo_family *h = neo_metrics_family(m, "h", "H.", NEO_HISTOGRAM, one_label);
        for (int i = 0; i < 40; i++) {
            char value[16];
            (void)snprintf(value, sizeof(value), "%d", i);
            struct neo_bytes values[] = {neo_text(value), NEO_LIT("m")};
            neo_counter_add(neo_counter(f, values), 1);
            neo_histogram_observe(neo_histogram(h, values), 1);
        }
        struct neo_buffer text = {0};
        bool printed = m != NULL && neo_metrics_print(m, &text);
        neo_memory_fail_at(0);

        const char *all = print(m);
        whole = printed && times(all, "\nx{") == 40 && times(all, "\nh_count{") == 40;
        if (h != NULL && !whole)
            assert_true(strstr(all, "_other") != NULL || !printed);
        assert_int_equal(f != NULL, times(all, "TYPE x"));
        neo_buffer_fini(&text);
        neo_metrics_free(m);
    }
}

/* More threads than there are shards: some count in one that is theirs alone, some in one together.
 */
enum { THREADS = 20, ADDS = 4000 };
static struct neo_metrics *shared;

static void *count_and_register(void *self)
{
    struct neo_family *f = neo_metrics_family(shared, "x", "X.", NEO_COUNTER, one_label);
    struct neo_family *h = neo_metrics_family(shared, "h", "H.", NEO_HISTOGRAM, NULL);

    for (int i = 0; i < ADDS; i++) {
        char value[16];
        (void)snprintf(value, sizeof(value), "%d", i % 50);
        neo_counter_add(counter1(f, value), 1);
        neo_histogram_observe(neo_histogram(h, NULL), (neo_nsec)i);
    }
    return self;
}

TEST(threads_count_exactly)
{
    pthread_t threads[THREADS];

    shared = neo_metrics_new();
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_and_register, NULL), 0);
    for (int i = 0; i < 20; i++)
        (void)print(shared);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_has(shared, "x{method=\"7\"} 1600");
    assert_has(shared, "h_count 80000");
    neo_metrics_free(shared);
}

static int finish(void **state)
{
    (void)state;
    (void)print(NULL);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_reader_of_this_test_refuses_what_is_wrong),
        cmocka_unit_test(nothing_counted_prints_nothing),
        cmocka_unit_test(counters_and_gauges_print_what_was_counted),
        cmocka_unit_test(a_gauge_that_is_added_to_goes_down_as_well),
        cmocka_unit_test(the_same_name_and_values_are_the_same_counter),
        cmocka_unit_test(nothing_in_a_value_or_a_help_breaks_the_text),
        cmocka_unit_test(values_of_every_byte_stay_in_their_label),
        cmocka_unit_test(a_duration_counts_in_every_bucket_that_holds_it),
        cmocka_unit_test(a_histogram_without_labels_prints_as_well),
        cmocka_unit_test(the_buckets_are_those_of_opentelemetry_and_finer_below),
        cmocka_unit_test(a_family_never_has_more_than_its_share_of_series),
        cmocka_unit_test(counting_on_nothing_does_nothing),
        cmocka_unit_test(out_of_memory_costs_names_and_never_counts),
        cmocka_unit_test(threads_count_exactly),
    };
    return cmocka_run_group_tests_name("observe/metrics", tests, NULL, finish);
}
