/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What judging one recorded piece of evidence costs.
 *
 *     bench_verify KIND EVIDENCE CERTIFICATES|- POLICY SERVICE SECONDS ROUNDS [COLLATERAL...]
 *
 * The binder is what the evidence itself is bound to. Prints one line, the median CPU time in
 * microseconds of judging with a trust that knows the collateral, and of making that trust and
 * judging; then the appraisal as JSON. bench/verifiers/run asks it.
 */
#include <neo/attest.h>
#include <neo/evidence.h>
#include <neo/memory.h>
#include <neo/store.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { FILE_MAX = 4 << 20, COLLATERAL_MAX = 32, ARENA = 64 << 20 };

struct question {
    struct neo_evidence evidence;
    struct neo_attest_policies *policies;
    struct neo_bytes service;
    struct neo_bytes bound;
    int64_t now;
    struct neo_bytes collateral[COLLATERAL_MAX];
    size_t n_collateral;
};

static void must(enum neo_code code, const struct neo_error *err)
{
    if (code != NEO_OK) {
        (void)fprintf(stderr, "bench_verify: %s\n", err->message);
        exit(1);
    }
}

static struct neo_bytes read_file(const char *path)
{
    struct neo_buffer text = {0}; /* kept until the end */
    struct neo_error err;

    must(neo_file_read(path, FILE_MAX, &text, &err), &err);
    return neo_buffer_bytes(&text);
}

/* Into `arena`, which must live as long. */
static void own_binder(struct question *q, struct neo_arena *arena)
{
    struct neo_evidence_facts facts;
    struct neo_error err;

    must(neo_evidence_describe(&q->evidence, arena, &facts, &err), &err);
    q->bound = facts.binder;
}

static struct neo_attest_trust *make_trust(const struct question *q)
{
    const struct neo_attest_trust_options options = {.collateral = q->collateral,
                                                     .n_collateral = q->n_collateral};
    struct neo_attest_trust *trust;
    struct neo_error err;

    must(neo_attest_trust_new(&options, &trust, &err), &err);
    return trust;
}

/* `json` may be NULL. */
static void judge(const struct question *q, const struct neo_attest_trust *trust,
                  struct neo_buffer *json)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    struct neo_appraisal appraisal;
    struct neo_error err;

    neo_arena_init(&arena, ARENA);
    const struct neo_evidence_question asked = {
        .trust = trust,
        .policies = q->policies,
        .service = q->service,
        .evidence = &q->evidence,
        .bound = q->bound,
        .now = q->now,
    };
    must(neo_evidence_appraise(&asked, &arena, &appraisal, &err), &err);
    if (json != NULL)
        (void)neo_appraisal_json(&appraisal, json);
}

static double clock_usec(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b)
{
    const double *x = a;
    const double *y = b;

    return *x < *y ? -1 : *x > *y;
}

/* With the trust given, or with one of its own each time. */
static double measure(const struct question *q, struct neo_attest_trust *known, unsigned rounds)
{
    double *times = calloc(rounds, sizeof(*times));

    for (unsigned i = 0; i < rounds; i++) {
        double begun = clock_usec();
        struct neo_attest_trust *trust = known != NULL ? known : make_trust(q);
        judge(q, trust, NULL);
        if (known == NULL)
            neo_attest_trust_unref(trust);
        times[i] = clock_usec() - begun;
    }
    qsort(times, rounds, sizeof(*times), compare);
    double median = times[rounds / 2];
    free(times);
    return median;
}

int main(int argc, char **argv)
{
    struct neo_arena arena;
    struct neo_buffer json = {0};
    struct question q = {0};
    struct neo_error err;

    if (argc < 8 || argc > 8 + COLLATERAL_MAX) {
        (void)fprintf(stderr, "usage: bench_verify KIND EVIDENCE CERTIFICATES|- POLICY SERVICE "
                              "SECONDS ROUNDS [COLLATERAL...]\n");
        return 2;
    }
    q.evidence.kind = neo_evidence_kind_parse(neo_text(argv[1]));
    q.evidence.body = read_file(argv[2]);
    if (strcmp(argv[3], "-") != 0)
        q.evidence.certificates = read_file(argv[3]);
    const struct neo_document document = {neo_text(argv[4]), read_file(argv[4])};
    must(neo_attest_policies_compile(&document, 1, false, &q.policies, &err), &err);
    q.service = neo_text(argv[5]);
    q.now = strtoll(argv[6], NULL, 10);
    unsigned rounds = (unsigned)strtoul(argv[7], NULL, 10);
    for (int i = 8; i < argc; i++)
        q.collateral[q.n_collateral++] = read_file(argv[i]);
    neo_arena_init(&arena, ARENA);
    own_binder(&q, &arena);
    struct neo_attest_trust *trust = make_trust(&q);
    judge(&q, trust, &json);
    double cached = measure(&q, trust, rounds == 0 ? 1 : rounds);
    double uncached = measure(&q, NULL, rounds == 0 ? 1 : rounds);
    printf("%.1f %.1f\n%.*s\n", cached, uncached, (int)json.len, (const char *)json.at);
    neo_buffer_fini(&json);
    neo_attest_trust_unref(trust);
    neo_attest_policies_unref(q.policies);
    neo_arena_fini(&arena);
    return 0;
}
