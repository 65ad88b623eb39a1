/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does a flood of denials stall the workers? One thread records at a given rate;
 * shown are the cost of one record for it, the longest it ever had to wait, and
 * the CPU of the writer's thread per record. Then as fast as it goes.
 */
#include <neo/audit_file.h>
#include <neo/loop.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { SECONDS = 3, MOST = 2000000 };

static uint32_t took[MOST];

/* CPU of all threads but this one: the writer. */
static double writer_seconds(void)
{
    struct timespec all, mine;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &all);
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &mine);
    return (double)(all.tv_sec - mine.tv_sec) + (double)(all.tv_nsec - mine.tv_nsec) * 1e-9;
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static void run(const char *path, uint64_t rate)
{
    struct neo_audit_file *f;
    struct neo_error err;
    struct neo_audit_record r = {
        .id = {"d-0123456789abcdef"},
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

    if (neo_audit_file_open(path, NULL, &f, &err) != NEO_OK) {
        (void)fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
    double cpu = writer_seconds();
    neo_nsec start = neo_mono_nsec();
    uint64_t n = 0;
    neo_nsec now = start;
    for (; n < MOST && now - start < SECONDS * NEO_NSEC_PER_SEC; n++) {
        while (rate != 0 && now - start < n * NEO_NSEC_PER_SEC / rate)
            now = neo_mono_nsec();
        (void)neo_audit_file_append(f, &r, NULL);
        neo_nsec after = neo_mono_nsec();
        took[n] = (uint32_t)(after - now);
        now = after;
    }
    double seconds = (double)(now - start) * 1e-9;
    struct neo_audit_file_stats s = neo_audit_file_stats(f);
    neo_audit_file_close(f);
    cpu = writer_seconds() - cpu;
    qsort(took, n, sizeof(took[0]), compare);
    printf("%9.0f/s  p50 %6u ns  p99 %6u ns  p99.99 %8u ns  longest %8u ns  "
           "writer %6.0f ns each  written %.0f/s  lost %llu\n",
           (double)n / seconds, took[n / 2], took[n * 99 / 100], took[n * 9999 / 10000],
           took[n - 1], cpu * 1e9 / (double)n, (double)s.taken / seconds,
           (unsigned long long)s.lost);
    (void)unlink(path);
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "/tmp/neo-bench-audit.jsonl";
    static const uint64_t rates[] = {100, 1000, 10000, 100000, 0};

    for (size_t i = 0; i < NEO_COUNT(rates); i++)
        run(path, rates[i]);
    return 0;
}
