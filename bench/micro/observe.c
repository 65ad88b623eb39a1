/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What it costs to observe: nanoseconds of one core per counter, histogram, trace,
 * decision and audit record; alone, and with a second thread doing the same.
 */
#include <neo/audit.h>
#include <neo/metrics.h>
#include <neo/span.h>
#include <neo/trace.h>

#include <pthread.h>
#include <stdio.h>
#include <time.h>

static struct neo_counter *counter;
static struct neo_histogram *histogram;
static struct neo_spans *spans;
static volatile unsigned sink;

static void add(void)
{
    neo_counter_add(counter, 1);
}

static void observe(void)
{
    neo_histogram_observe(histogram, 300000);
}

static void make_trace(void)
{
    struct neo_trace t = neo_trace_new();

    sink = t.trace_id[0];
}

static void make_traceparent(void)
{
    struct neo_trace t = neo_trace_new();
    char text[NEO_TRACEPARENT_LEN + 1];

    neo_trace_format(&t, text);
    sink = (unsigned char)text[40];
}

static void continue_trace(void)
{
    static const char text[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    struct neo_trace t;

    if (!neo_trace_parse(NEO_LIT(text), &t))
        return;
    t = neo_trace_child(&t);
    sink = t.span_id[0];
}

static void make_decision(void)
{
    struct neo_decision_id id = neo_decision_id_new();

    sink = (unsigned char)id.text[5];
}

static void add_span(void)
{
    struct neo_span span = {.name = "neo.functions.v1.Functions/Execute"};

    neo_spans_add(spans, &span);
}

static void record(void)
{
    static _Thread_local struct neo_audit_chain chain;
    static _Thread_local uint8_t room[4096];
    struct neo_buffer out = {.at = room, .cap = sizeof(room), .limit = sizeof(room)};
    struct neo_audit_record r = {
        .id = {"d-0123456789abcdef"},
        .wall_nsec = INT64_C(1772366400123456789),
        .caller = NEO_LIT("spiffe://neo.local/price-feed"),
        .target = NEO_LIT("function-service"),
        .method = NEO_LIT("neo.functions.v1.Functions/Execute"),
        .decision = "deny",
        .stage = "authorise",
        .reason = "NO_RULE_ALLOWS",
        .nearest_file = "policy/automation.yaml",
        .nearest_line = 12,
        .detail = "no rule lets price-feed call Execute",
        .trace_id = NEO_LIT("4bf92f3577b34da6a3ce929d0e0e4736"),
        .peer = NEO_LIT("127.0.0.1:40712"),
    };

    (void)neo_audit_append(&chain, &r, &out);
    sink = (unsigned)out.len;
}

static const struct {
    const char *name;
    void (*run)(void);
    unsigned times;
} cases[] = {
    {"counter add", add, 20000000},
    {"histogram observe", observe, 20000000},
    {"trace new", make_trace, 20000000},
    {"trace new + format", make_traceparent, 10000000},
    {"trace parse + child", continue_trace, 10000000},
    {"decision id", make_decision, 10000000},
    {"span add", add_span, 10000000},
    {"audit record, chained", record, 500000},
};

static double seconds(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void *run(void *self)
{
    size_t i = *(const size_t *)self;
    static _Thread_local double took;
    double start = seconds();

    for (unsigned n = 0; n < cases[i].times; n++)
        cases[i].run();
    took = (seconds() - start) * 1e9 / cases[i].times;
    return &took;
}

int main(void)
{
    struct neo_metrics *metrics = neo_metrics_new();

    counter = neo_counter(neo_metrics_family(metrics, "c", "C.", NEO_COUNTER, NULL), NULL);
    histogram = neo_histogram(neo_metrics_family(metrics, "h", "H.", NEO_HISTOGRAM, NULL), NULL);
    spans = neo_spans_new(256);
    printf("%-24s %8s %14s\n", "ns of one core", "alone", "beside another");
    for (size_t i = 0; i < NEO_COUNT(cases); i++) {
        pthread_t other;
        double alone = *(const double *)run(&i);

        if (pthread_create(&other, NULL, run, &i) != 0)
            return 1;
        double beside = *(const double *)run(&i);
        (void)pthread_join(other, NULL);
        printf("%-24s %8.1f %14.1f\n", cases[i].name, alone, beside);
    }
    neo_spans_free(spans);
    neo_metrics_free(metrics);
    return 0;
}
