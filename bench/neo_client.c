/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a small unary call costs its client, on libneo: one channel, some calls in flight.
 *
 *     bench_neo_client --port N --cert FILE --key FILE --ca FILE [--in-flight 1] [--calls 1000]
 *
 * --in-flight 0 is one call after the other from a thread that blocks.
 * It connects, prints "ready", waits for a line, makes the calls, and prints one line of JSON.
 */
#include <neo/channel.h>
#include <neo/runtime.h>

#include <echo.neo.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

enum { LARGEST_FILE = 64 * 1024, SIZE = 16 };

struct run {
    struct neo_channel *channel;
    size_t in_flight;
    size_t calls;
    size_t started;
    size_t done;
    size_t failed;
    neo_nsec *took;
    struct neo_runtime *runtime;
};

/* One of those in flight; used again for the next. */
struct slot {
    struct run *run;
    neo_nsec began;
    bool answered;
};

static void check(enum neo_code code, const struct neo_error *err)
{
    if (code == NEO_OK)
        return;
    (void)fprintf(stderr, "bench_neo_client: %s\n", err->message);
    exit(1);
}

static const char *argument(int argc, char **argv, const char *name, const char *otherwise)
{
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return argv[i + 1];
    if (otherwise != NULL)
        return otherwise;
    (void)fprintf(stderr, "bench_neo_client: %s is missing\n", name);
    exit(2);
}

static struct neo_bytes read_file(const char *path)
{
    uint8_t *at = malloc(LARGEST_FILE);
    FILE *file = fopen(path, "rb");

    if (file == NULL || at == NULL) {
        perror(path);
        exit(1);
    }
    size_t len = fread(at, 1, LARGEST_FILE, file);
    (void)fclose(file);
    return neo_bytes(at, len);
}

static struct neo_epoch make_epoch(const char *cert, const char *key, const char *ca)
{
    struct neo_trust_domain domain = {.name = NEO_LIT("bench"), .n_roots = 1};
    const struct neo_trust_options trust = {.domains = &domain, .n_domains = 1};
    struct neo_cert *root;
    struct neo_epoch epoch = {0};
    struct neo_error err;

    check(neo_cert_from_pem(read_file(ca), ca, &root, &err), &err);
    const struct neo_bytes der = neo_cert_facts(root)->der;
    domain.roots = &der;
    check(neo_trust_new(&trust, &epoch.trust, &err), &err);
    check(neo_identity_from_pem(read_file(cert), read_file(key), cert, &epoch.identity, &err),
          &err);
    neo_cert_unref(root);
    return epoch;
}

/* --- calls ------------------------------------------------------------------------------------ */

static void start(struct slot *s);

static void on_message(struct neo_client_call *call, const void *response, void *self)
{
    const struct bench_EchoMessage *m = response;
    struct slot *s = self;

    (void)call;
    s->answered = m->payload.len == SIZE;
}

static void on_done(struct neo_client_call *call, const struct neo_status *status, void *self)
{
    struct slot *s = self;
    struct run *run = s->run;

    (void)call;
    run->took[run->done++] = neo_mono_nsec() - s->began;
    run->failed += status->code != NEO_OK || !s->answered;
    if (run->started < run->calls)
        start(s);
    else if (run->done == run->calls)
        neo_runtime_quit(run->runtime);
}

static void start(struct slot *s)
{
    static const struct neo_client_events events = {.message = on_message, .done = on_done};
    const struct neo_call_options options = {.timeout = 60 * NEO_NSEC_PER_SEC};
    const struct bench_EchoMessage request = {.payload = NEO_LIT("0123456789abcdef")};
    struct neo_client_call *call;
    struct neo_error err;

    s->run->started++;
    s->answered = false;
    s->began = neo_mono_nsec();
    check(bench_Echo_Call_start(s->run->channel, &options, &request, &events, s, &call, &err),
          &err);
}

static void start_all(void *self)
{
    struct run *run = self;

    for (size_t i = 0; i < run->in_flight; i++) {
        struct slot *s = calloc(1, sizeof(*s));
        if (s == NULL)
            exit(1);
        s->run = run;
        start(s);
    }
}

static void warm_up(struct run *run)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    const struct neo_call_options options = {.wait_for_ready = true,
                                             .timeout = 10 * NEO_NSEC_PER_SEC};
    const struct bench_EchoMessage request = {.payload = NEO_LIT("0123456789abcdef")};
    struct bench_EchoMessage reply;
    struct neo_status status;

    neo_arena_init(&arena, 1 << 20);
    if (bench_Echo_Call(run->channel, &options, &request, &reply, &arena, &status) == NEO_OK)
        return;
    (void)fprintf(stderr, "bench_neo_client: %.*s\n", NEO_FMT(status.message));
    exit(1);
}

/* --- the report ------------------------------------------------------------------------------- */

static double cpu_us(void)
{
    struct rusage u;

    (void)getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static int compare(const void *a, const void *b)
{
    neo_nsec x = *(const neo_nsec *)a, y = *(const neo_nsec *)b;

    return x < y ? -1 : x > y;
}

/* One after the other, from a thread that waits. */
static void block(struct run *run)
{
    const struct neo_call_options options = {.timeout = 60 * NEO_NSEC_PER_SEC};
    const struct bench_EchoMessage request = {.payload = NEO_LIT("0123456789abcdef")};
    struct bench_EchoMessage reply;
    struct neo_arena arena;

    neo_arena_init(&arena, 1 << 20);
    while (run->done < run->calls) {
        neo_nsec began = neo_mono_nsec();
        run->failed +=
            bench_Echo_Call(run->channel, &options, &request, &reply, &arena, NULL) != NEO_OK ||
            reply.payload.len != SIZE;
        run->took[run->done++] = neo_mono_nsec() - began;
        neo_arena_reset(&arena);
    }
    neo_arena_fini(&arena);
}

static void measure(struct run *run)
{
    double cpu = cpu_us();
    neo_nsec began = neo_mono_nsec();

    if (run->in_flight == 0) {
        block(run);
    } else {
        neo_runtime_call(run->runtime, 0, start_all, run);
        neo_runtime_wait(run->runtime);
    }
    double seconds = (double)(neo_mono_nsec() - began) / 1e9;
    cpu = cpu_us() - cpu;
    qsort(run->took, run->done, sizeof(*run->took), compare);
    (void)printf("{\"seconds\": %.6f, \"done\": %zu, \"failed\": %zu, \"cpu_us\": %.1f, "
                 "\"p50_us\": %.1f, \"p99_us\": %.1f}\n",
                 seconds, run->done, run->failed, cpu, (double)run->took[run->done / 2] / 1e3,
                 (double)run->took[run->done * 99 / 100] / 1e3);
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    struct run run = {
        .in_flight = strtoul(argument(argc, argv, "--in-flight", "1"), NULL, 10),
        .calls = strtoul(argument(argc, argv, "--calls", "1000"), NULL, 10),
    };
    struct neo_channel_options options = {.service = "echo-service", .trust_domain = "bench"};
    struct neo_error err;
    char target[64];
    char line[16];

    run.took = calloc(run.calls + 1, sizeof(*run.took));
    if (run.took == NULL)
        return 1;
    check(neo_runtime_new(1, &run.runtime, &err), &err);
    options.loop = neo_runtime_loop(run.runtime, 0);
    options.epoch =
        make_epoch(argument(argc, argv, "--cert", NULL), argument(argc, argv, "--key", NULL),
                   argument(argc, argv, "--ca", NULL));
    (void)snprintf(target, sizeof(target), "ipv4:127.0.0.1:%s",
                   argument(argc, argv, "--port", NULL));
    check(neo_channel_open(target, &options, &run.channel, &err), &err);
    warm_up(&run);
    (void)puts("ready");
    (void)fflush(stdout);
    if (fgets(line, sizeof(line), stdin) != NULL)
        measure(&run);
    neo_channel_free(run.channel);
    neo_runtime_free(run.runtime);
    return run.failed == 0 ? 0 : 1;
}
