/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a decision and a token cost (reliability P07).
 *
 * A policy of many services, each of which may call its neighbour's methods by
 * name, is asked random questions: what is allowed, and what is denied by default
 * with its nearest rule. Questions are spread over the whole policy, so the caches
 * are as cold as that makes them; each is timed alone, less the cost of the clock.
 *
 *     bench_policy [services] [methods]
 */
#include <neo/limits.h>
#include <neo/memory.h>
#include <neo/policy.h>
#include <neo/ratelimit.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { QUESTIONS = 200000, FILE_BYTES = 900000, TAKES = 2000000, MOST_THREADS = 4 };

static uint64_t clock_now(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed >> 12;
    *seed ^= *seed << 25;
    *seed ^= *seed >> 27;
    return *seed * UINT64_C(0x2545f4914f6cdd1d);
}

static int compare(const void *a, const void *b)
{
    const uint64_t *x = a;
    const uint64_t *y = b;

    return *x < *y ? -1 : *x > *y;
}

static uint64_t clock_cost(void)
{
    static uint64_t costs[10001];

    for (size_t i = 0; i < NEO_COUNT(costs); i++) {
        uint64_t start = clock_now();
        costs[i] = clock_now() - start;
    }
    qsort(costs, NEO_COUNT(costs), sizeof(costs[0]), compare);
    return costs[NEO_COUNT(costs) / 2];
}

/* As many files as it takes to stay below a mebibyte each. */
static size_t write_files(struct neo_buffer *files, size_t most, unsigned services,
                          unsigned methods)
{
    size_t n = 0;

    for (unsigned s = 0; s < services; s++) {
        if (files[n].len > FILE_BYTES && n + 1 < most)
            n++;
        neo_buffer_printf(&files[n],
                          "---\nservice: service-%u\nallowed_calls:\n"
                          "  - target_service: service-%u\n    operations: [",
                          s, (s + 1) % services);
        for (unsigned m = 0; m < methods; m++)
            neo_buffer_printf(&files[n], "Method%u,", m);
        neo_buffer_append_text(&files[n], "]\n");
    }
    return n + 1;
}

static struct neo_policy *load(unsigned services, unsigned methods)
{
    enum { MOST_FILES = 64 };
    static struct neo_buffer files[MOST_FILES];
    static struct neo_document documents[MOST_FILES];
    struct neo_policy *policy = NULL;
    struct neo_error err = {0};
    size_t n = write_files(files, MOST_FILES, services, methods);
    size_t bytes = 0;

    for (size_t i = 0; i < n; i++) {
        documents[i] = (struct neo_document){NEO_LIT("bench.yaml"), neo_buffer_bytes(&files[i])};
        bytes += files[i].len;
    }
    uint64_t start = clock_now();
    if (neo_policy_compile(documents, n, &policy, &err) != NEO_OK) {
        (void)fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
    printf("compile  %8.1f ms   %u services x %u methods, %.1f MB in %zu files\n",
           (double)(clock_now() - start) / 1e6, services, methods, (double)bytes / 1e6, n);
    for (size_t i = 0; i < n; i++)
        neo_buffer_fini(&files[i]);
    return policy;
}

static void ask(const struct neo_policy *policy, unsigned services, unsigned methods, bool allowed)
{
    static uint64_t times[QUESTIONS];
    char caller[32], target[32], method[32];
    uint64_t seed = 1;
    uint64_t clock = clock_cost();
    size_t wrong = 0;

    for (size_t i = 0; i < QUESTIONS; i++) {
        unsigned s = (unsigned)(next_random(&seed) % services);
        unsigned m = (unsigned)(next_random(&seed) % methods);
        struct neo_policy_question q = {.service = NEO_LIT("neo.bench.v1.Service")};
        q.caller = neo_bytes(caller, (size_t)snprintf(caller, sizeof(caller), "service-%u", s));
        q.target = neo_bytes(
            target, (size_t)snprintf(target, sizeof(target), "service-%u", (s + 1) % services));
        q.method = neo_bytes(
            method, (size_t)snprintf(method, sizeof(method), "Method%u%s", m, allowed ? "" : "x"));
        uint64_t start = clock_now();
        struct neo_policy_answer answer = neo_policy_decide(policy, &q);
        uint64_t took = clock_now() - start;
        times[i] = took > clock ? took - clock : 0;
        wrong += (answer.verdict == NEO_ALLOW) != allowed;
    }
    qsort(times, QUESTIONS, sizeof(times[0]), compare);
    printf("%-8s %8lu ns   median; p99 %lu ns%s\n", allowed ? "allow" : "deny",
           (unsigned long)times[QUESTIONS / 2], (unsigned long)times[QUESTIONS / 100 * 99],
           wrong == 0 ? "" : "   WRONG ANSWERS");
}

struct taker {
    struct neo_limits *limits;
    neo_nsec now;
    double ns;
};

static void *take(void *self)
{
    struct taker *t = self;
    struct neo_limit_keys keys =
        neo_limits_keys(t->limits, NEO_LIT("c"), NEO_LIT("p.S"), NEO_LIT("M"));
    uint64_t start = clock_now();

    for (int i = 0; i < TAKES; i++)
        (void)neo_limits_take(t->limits, keys, t->now += 100);
    t->ns = (double)(clock_now() - start) / TAKES;
    return NULL;
}

static struct neo_limits *limits_of(uint32_t rate)
{
    struct neo_buffer text = {0};
    struct neo_limits *limits = NULL;

    neo_buffer_printf(&text,
                      "rate_limits:\n"
                      "  global: {requests_per_second: %u, burst: %u}\n"
                      "  per_caller: {c: {requests_per_second: %u, burst: %u}}\n"
                      "  per_method: {M: {requests_per_second: %u, burst: %u}}\n",
                      rate, rate, rate, rate, rate, rate);
    struct neo_document d = {NEO_LIT("limits.yaml"), neo_buffer_bytes(&text)};
    if (neo_limits_compile(&d, 1, &limits, NULL) != NEO_OK)
        exit(1);
    neo_buffer_fini(&text);
    return limits;
}

static void measure_takes(const char *what, uint32_t rate, unsigned threads)
{
    struct neo_limits *limits = limits_of(rate);
    struct taker takers[MOST_THREADS];
    pthread_t ids[MOST_THREADS];
    double ns = 0;

    for (unsigned i = 0; i < threads; i++) {
        takers[i] = (struct taker){.limits = limits, .now = NEO_NSEC_PER_SEC};
        if (pthread_create(&ids[i], NULL, take, &takers[i]) != 0)
            exit(1);
    }
    for (unsigned i = 0; i < threads; i++) {
        (void)pthread_join(ids[i], NULL);
        ns += takers[i].ns / threads;
    }
    printf("%-8s %8.1f ns   three buckets, %u thread%s\n", what, ns, threads,
           threads == 1 ? "" : "s");
    neo_limits_unref(limits);
}

int main(int argc, char **argv)
{
    unsigned services = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 10000;
    unsigned methods = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 100;
    struct neo_policy *policy = load(services, methods);

    ask(policy, services, methods, true);
    ask(policy, services, methods, false);
    neo_policy_unref(policy);
    measure_takes("take", 100000000, 1);
    measure_takes("take", 100000000, 2);
    measure_takes("refuse", 1, 1);
    measure_takes("refuse", 1, 2);
    return 0;
}
