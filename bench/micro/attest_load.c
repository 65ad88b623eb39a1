/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a call costs with attestation and without, under load: 8 connections with 32 calls in flight
 * on each, mutual TLS, both ends proving what they run (simulated evidence, which costs what SNP's
 * does). One server and eight channels for each mode live side by side; a round is so many calls in
 * each mode, in turn, and a ratio is of two slices of one round, so that what else the machine does
 * hits both.
 *
 * First the steady state: everybody is proven, and nobody is asked again. Then what a connection
 * costs until its first call is answered. A connection is proven anew at two thirds of
 * `max_evidence_age`, by default every 400 s, with evidence in every mode; from that follows how
 * many calls a connection must carry for the exchange to be less than 1 % of them.
 *
 *     bench_attest_load [rounds [calls of a slice [mode]]]
 *
 * With a mode ("none", "direct", "delegated", "per-call") there is only that one, for a profiler
 * that counts instructions.
 */
#include "support/pki.h"

#include <neo/channel.h>
#include <neo/memory.h>
#include <neo/server.h>

#include <echo.neo.h>

#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { CONNECTIONS = 8, EACH = 32, MODES = 4, ROUNDS_MAX = 200, OPENINGS = 10, LIMIT = 1000000 };

#define PROVES_ANEW_SECONDS 400.0

static const char *const mode_names[MODES] = {"none", "direct", "delegated", "per-call"};

struct lot {
    struct neo_server *server;
    struct neo_channel *channels[CONNECTIONS];
    char target[64];
    struct neo_attest_policies *policies; /* NULL: none */
};

/* CPU in microseconds. */
struct cost {
    double server; /* its worker */
    double client; /* its loop */
    double all;    /* the process: these two, the pool, and who waits */
};

static struct {
    struct pki *pki;
    struct neo_runtime *server;
    struct neo_runtime *client;
    struct neo_attester *attester;
    struct neo_attest_trust *trust;
    struct neo_policy *policy;
    struct lot lots[MODES];
    size_t calls, started, done;
    struct lot *lot; /* whose slice it is */
    pthread_mutex_t lock;
    pthread_cond_t over;
    bool is_over;
} b = {.lock = PTHREAD_MUTEX_INITIALIZER, .over = PTHREAD_COND_INITIALIZER};

static void must(enum neo_code code, const struct neo_error *err)
{
    if (code == NEO_OK)
        return;
    (void)fprintf(stderr, "bench_attest_load: %s\n", err->message);
    exit(1);
}

/* --- preparing -------------------------------------------------------------------------------- */

static struct neo_attest_policies *rules(const char *mode)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};
    struct neo_attest_policies *policies;
    struct neo_error err;

    (void)neo_buffer_append_text(&text, "attestation_policies:\n");
    for (int i = 0; i < 2; i++) {
        (void)neo_buffer_printf(&text,
                                "  %s:\n    require: simulator\n    mode: %s\n"
                                "    any_of:\n      - tee: sev-snp\n        measurement: [\"",
                                i == 0 ? "echo-service" : "bench-client", mode);
        for (int k = 0; k < 48; k++)
            (void)neo_buffer_append_text(&text, "4d");
        (void)neo_buffer_append_text(&text, "\"]\n");
    }
    const struct neo_document document = {NEO_LIT("attest.yaml"), neo_buffer_bytes(&text)};
    must(neo_attest_policies_compile(&document, 1, true, &policies, &err), &err);
    return policies;
}

static void make_machine(void)
{
    NEO_CLEANUP(neo_buffer_fini_secret) struct neo_buffer bundle = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer root = {0};
    uint8_t measurement[48];
    struct neo_error err;

    memset(measurement, 0x4d, sizeof(measurement));
    must(neo_sim_snp_init(&bundle, &root, (int64_t)time(NULL), &err), &err);
    must(neo_sim_snp_attester(neo_buffer_bytes(&bundle), measurement, true, &b.attester, &err),
         &err);
    const struct neo_attest_trust_options options = {.simulated_root = neo_buffer_bytes(&root),
                                                     .development = true};
    must(neo_attest_trust_new(&options, &b.trust, &err), &err);
}

static void answer(struct neo_call *call, const struct bench_EchoMessage *request, void *self)
{
    (void)self;
    neo_call_reply(call, request);
}

static void open_server(struct lot *lot)
{
    static const struct bench_Echo_handlers handlers = {.Call = answer};
    struct neo_error err;
    struct neo_server_options options = {
        .name = "echo-service",
        .runtime = b.server,
        .epoch = {.identity = pki_identity(b.pki, "echo-service", NULL),
                  .trust = pki_trust(b.pki),
                  .policy = b.policy,
                  .attest_policies = lot->policies,
                  .attest_trust = b.trust},
        .attester = b.attester,
        .exchanges_per_second = LIMIT,
        .exchanges_burst = LIMIT,
        .quotes_per_second = LIMIT,
        .quotes_burst = LIMIT,
    };

    must(neo_server_new(&options, &lot->server, &err), &err);
    must(bench_Echo_add(lot->server, &handlers, NULL, &err), &err);
    must(neo_server_listen(lot->server, "127.0.0.1:0", &err), &err);
    (void)snprintf(lot->target, sizeof(lot->target), "ipv4:%s", neo_server_address(lot->server));
    neo_identity_unref(options.epoch.identity);
    neo_trust_unref(options.epoch.trust);
}

static void call_once(struct neo_channel *channel)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena;
    const struct neo_call_options options = {.wait_for_ready = true,
                                             .timeout = 20 * NEO_NSEC_PER_SEC};
    const struct bench_EchoMessage request = {.payload = NEO_LIT("0123456789abcdef")};
    struct bench_EchoMessage reply;
    struct neo_status status;

    neo_arena_init(&arena, 1 << 20);
    if (bench_Echo_Call(channel, &options, &request, &reply, &arena, &status) == NEO_OK)
        return;
    (void)fprintf(stderr, "bench_attest_load: %.*s\n", NEO_FMT(status.message));
    exit(1);
}

/* With a call on it, and so proven where that is asked. A trust of its own, for channels that ask
   for the same share a connection. */
static struct neo_channel *open_channel(const struct lot *lot, struct neo_identity *identity)
{
    struct neo_trust *trust = pki_trust(b.pki);
    struct neo_channel *channel;
    struct neo_error err;
    const struct neo_channel_options options = {
        .loop = neo_runtime_loop(b.client, 0),
        .epoch = {.identity = identity,
                  .trust = trust,
                  .attest_policies = lot->policies,
                  .attest_trust = b.trust},
        .service = "echo-service",
        .trust_domain = "neo.test",
        .attester = lot->policies == NULL ? NULL : b.attester,
    };

    must(neo_channel_open(lot->target, &options, &channel, &err), &err);
    neo_trust_unref(trust);
    call_once(channel);
    return channel;
}

static void open_lot(struct lot *lot, const char *mode)
{
    struct neo_identity *identity = pki_identity(b.pki, "bench-client", NULL);

    lot->policies = strcmp(mode, "none") == 0 ? NULL : rules(mode);
    open_server(lot);
    for (size_t i = 0; i < CONNECTIONS; i++)
        lot->channels[i] = open_channel(lot, identity);
    neo_identity_unref(identity);
}

static void close_lot(struct lot *lot)
{
    for (size_t i = 0; i < CONNECTIONS; i++)
        neo_channel_free(lot->channels[i]);
    neo_server_free(lot->server);
    neo_attest_policies_unref(lot->policies);
}

/* --- calls ------------------------------------------------------------------------------------ */

static void start(size_t channel);

static void on_message(struct neo_client_call *call, const void *response, void *self)
{
    (void)call;
    (void)response;
    (void)self;
}

static void on_done(struct neo_client_call *call, const struct neo_status *status, void *self)
{
    (void)call;
    if (status->code != NEO_OK) {
        (void)fprintf(stderr, "bench_attest_load: %.*s\n", NEO_FMT(status->message));
        exit(1);
    }
    b.done++;
    if (b.started < b.calls) {
        start((size_t)((struct neo_channel **)self - b.lot->channels));
    } else if (b.done == b.calls) {
        (void)pthread_mutex_lock(&b.lock);
        b.is_over = true;
        (void)pthread_cond_signal(&b.over);
        (void)pthread_mutex_unlock(&b.lock);
    }
}

static void start(size_t channel)
{
    static const struct neo_client_events events = {.message = on_message, .done = on_done};
    const struct neo_call_options options = {.timeout = 60 * NEO_NSEC_PER_SEC};
    const struct bench_EchoMessage request = {.payload = NEO_LIT("0123456789abcdef")};
    struct neo_client_call *call;
    struct neo_error err;

    b.started++;
    must(bench_Echo_Call_start(b.lot->channels[channel], &options, &request, &events,
                               &b.lot->channels[channel], &call, &err),
         &err);
}

static void start_all(void *self)
{
    (void)self;
    for (size_t i = 0; i < (size_t)CONNECTIONS * EACH && b.started < b.calls; i++)
        start(i % CONNECTIONS);
}

static double clock_us(clockid_t clock)
{
    struct timespec t;

    (void)clock_gettime(clock, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void read_clock(void *self)
{
    *(double *)self = clock_us(CLOCK_THREAD_CPUTIME_ID);
}

static struct cost cost_now(void)
{
    struct cost c = {.all = clock_us(CLOCK_PROCESS_CPUTIME_ID)};

    neo_runtime_call(b.server, 0, read_clock, &c.server);
    neo_runtime_call(b.client, 0, read_clock, &c.client);
    return c;
}

static struct cost per(const struct cost *from, const struct cost *to, size_t n)
{
    return (struct cost){(to->server - from->server) / (double)n,
                         (to->client - from->client) / (double)n,
                         (to->all - from->all) / (double)n};
}

static struct cost slice(struct lot *lot, size_t calls)
{
    b.lot = lot;
    b.calls = calls;
    b.started = b.done = 0;
    b.is_over = false;
    struct cost before = cost_now();
    neo_runtime_call(b.client, 0, start_all, NULL);
    (void)pthread_mutex_lock(&b.lock);
    while (!b.is_over)
        (void)pthread_cond_wait(&b.over, &b.lock);
    (void)pthread_mutex_unlock(&b.lock);
    struct cost after = cost_now();
    return per(&before, &after, calls);
}

/* A connection until its first call is answered, and its end. */
static struct cost openings(struct lot *lot)
{
    struct neo_identity *identity = pki_identity(b.pki, "bench-client", NULL);
    struct cost before = cost_now();

    for (int i = 0; i < OPENINGS; i++)
        neo_channel_free(open_channel(lot, identity));
    struct cost after = cost_now();
    neo_identity_unref(identity);
    return per(&before, &after, OPENINGS);
}

/* --- the report ------------------------------------------------------------------------------- */

static int compare(const void *x, const void *y)
{
    double a = *(const double *)x, c = *(const double *)y;

    return a < c ? -1 : a > c;
}

static double median(double *at, size_t n)
{
    qsort(at, n, sizeof(*at), compare);
    return at[n / 2];
}

static struct cost rows[MODES][ROUNDS_MAX];

static double middle(size_t mode, size_t rounds, size_t offset)
{
    double at[ROUNDS_MAX];

    for (size_t i = 0; i < rounds; i++)
        at[i] = *(const double *)((const char *)&rows[mode][i] + offset);
    return median(at, rounds);
}

static void print_rows(const char *what, size_t rounds)
{
    printf("\n%-24s %10s %10s %10s %8s %17s\n", what, "server us", "client us", "both us", "/none",
           "(quartiles)");
    for (size_t m = 0; m < MODES; m++) {
        double ratio[ROUNDS_MAX];
        for (size_t i = 0; i < rounds; i++)
            ratio[i] = rows[m][i].all / rows[0][i].all;
        double is = median(ratio, rounds);
        printf("%-24s %10.2f %10.2f %10.2f %8.4f   %.4f..%.4f\n", mode_names[m],
               middle(m, rounds, offsetof(struct cost, server)),
               middle(m, rounds, offsetof(struct cost, client)),
               middle(m, rounds, offsetof(struct cost, all)), is, ratio[rounds / 4],
               ratio[rounds * 3 / 4]);
    }
}

/* Of which 1 % of its calls pays for being proven anew. */
static void print_amortised(double call_us, double exchange_us)
{
    printf(
        "\nproving a connection costs %.0f us of both ends, once every %.0f s; it is 1 %% of the "
        "calls of a\nconnection that carries %.0f of them a second, and %.4f %% at 1000 a second\n",
        exchange_us, PROVES_ANEW_SECONDS, exchange_us / (0.01 * call_us * PROVES_ANEW_SECONDS),
        100 * exchange_us / (1000.0 * PROVES_ANEW_SECONDS * call_us));
}

static void measure_all(size_t rounds, size_t calls)
{
    for (size_t m = 0; m < MODES; m++)
        (void)slice(&b.lots[m], calls / 10 + 1); /* warm */
    for (size_t i = 0; i < rounds; i++)
        for (size_t k = 0; k < MODES; k++) { /* whoever is first in one round is not in the next */
            size_t m = (k + i) % MODES;
            rows[m][i] = slice(&b.lots[m], m == MODES - 1 ? calls / 40 + 1 : calls);
        }
    print_rows("a call, proven before", rounds);
    double call_us = middle(0, rounds, offsetof(struct cost, all));
    size_t few = rounds < 20 ? rounds : 20;
    for (size_t i = 0; i < few; i++)
        for (size_t k = 0; k < MODES; k++)
            rows[(k + i) % MODES][i] = openings(&b.lots[(k + i) % MODES]);
    print_rows("a new connection", few);
    print_amortised(call_us, middle(1, few, offsetof(struct cost, all)) -
                                 middle(0, few, offsetof(struct cost, all)));
}

int main(int argc, char **argv)
{
    const struct neo_document document = {
        NEO_LIT("policy.yaml"),
        NEO_LIT("service: \"bench-client\"\nallowed_calls:\n"
                "  - {target_service: \"echo-service\", operations: [\"Call\"]}\n")};
    size_t rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 40;
    size_t calls = argc > 2 ? strtoul(argv[2], NULL, 10) : 20000;
    const char *only = argc > 3 ? argv[3] : NULL;
    struct neo_error err;

    rounds = rounds < 1 ? 1 : rounds > ROUNDS_MAX ? ROUNDS_MAX : rounds;
    b.pki = pki_new("neo.test");
    make_machine();
    must(neo_policy_compile(&document, 1, &b.policy, &err), &err);
    must(neo_runtime_new(1, &b.server, &err), &err);
    must(neo_runtime_new(1, &b.client, &err), &err);
    for (size_t m = 0; m < MODES; m++)
        if (only == NULL || strcmp(only, mode_names[m]) == 0)
            open_lot(&b.lots[m], mode_names[m]);
    if (only == NULL)
        measure_all(rounds, calls);
    for (size_t m = 0; only != NULL && m < MODES; m++)
        for (size_t i = 0; b.lots[m].server != NULL && i < rounds; i++)
            (void)slice(&b.lots[m], calls);
    for (size_t m = 0; m < MODES; m++)
        if (b.lots[m].server != NULL)
            close_lot(&b.lots[m]);
    neo_runtime_free(b.client);
    neo_runtime_free(b.server);
    neo_policy_unref(b.policy);
    neo_attest_trust_unref(b.trust);
    b.attester->free(b.attester);
    pki_free(b.pki);
    return 0;
}
