/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Neo's server under bench/run: a small unary call with every step of the pipeline on.
 *
 * h2load comes without certificates, so anonymous callers are admitted and a rule
 * of the policy names them. Limits are too high to be reached, but every call takes
 * its tokens from all three buckets; metrics count it; a sink for audit is there.
 *
 *     bench_neo_server --port N --cert FILE --key FILE [--ca FILE] [--workers 1]
 *
 * It prints "port N" when it listens (port 0: the kernel's choice). With --ca callers must have
 * a certificate, and the policy names bench-client.
 */
#include <neo/server.h>

#include <echo.neo.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum { LARGEST_FILE = 64 * 1024, MOST_CONNECTIONS = 100000, MOST_CALLS = 20000 };

#define RULE(caller)                                                                               \
    "service: \"" caller "\"\n"                                                                    \
    "allowed_calls:\n"                                                                             \
    "  - target_service: \"echo-service\"\n"                                                       \
    "    operations: [\"Call\", \"Stream\"]\n"

static const char policy_text[] = RULE("anonymous") "---\n" RULE("bench-client");

static const char limits_text[] =
    "rate_limits:\n"
    "  global: {requests_per_second: 100000000, burst: 1000000000}\n"
    "  per_caller:\n"
    "    anonymous: {requests_per_second: 100000000, burst: 1000000000}\n"
    "    bench-client: {requests_per_second: 100000000, burst: 1000000000}\n"
    "  per_method:\n"
    "    Call: {requests_per_second: 100000000, burst: 1000000000}\n";

static void check(enum neo_code code, const struct neo_error *err)
{
    if (code == NEO_OK)
        return;
    (void)fprintf(stderr, "bench_neo_server: %s\n", err->message);
    exit(1);
}

static void call(struct neo_call *c, const struct bench_EchoMessage *request, void *self)
{
    (void)self;
    neo_call_reply(c, request);
}

static void echo(struct neo_call *c, const void *message, void *state)
{
    (void)state;
    (void)neo_call_send(c, message);
}

static void finish(struct neo_call *c, void *state)
{
    const struct neo_status ok = {.code = NEO_OK};

    (void)state;
    neo_call_finish(c, &ok);
}

static void stream(struct neo_call *c, const struct bench_EchoMessage *request, void *self)
{
    static const struct neo_stream_events events = {.message = echo, .half_closed = finish};

    (void)request;
    (void)self;
    neo_call_on_stream(c, &events, NULL);
}

static void keep_nothing(struct neo_audit_sink *self, const struct neo_audit_record *record)
{
    (void)self;
    (void)record;
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

static const char *argument(int argc, char **argv, const char *name, const char *otherwise)
{
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return argv[i + 1];
    if (otherwise != NULL)
        return otherwise;
    (void)fprintf(stderr, "bench_neo_server: %s is missing\n", name);
    exit(2);
}

/* The root in `ca`, or nobody. */
static struct neo_trust *make_trust(const char *ca)
{
    struct neo_cert *root = NULL;
    struct neo_bytes der;
    struct neo_trust_domain domain = {.name = NEO_LIT("bench")};
    const struct neo_trust_options options = {.domains = &domain, .n_domains = 1};
    struct neo_trust *trust;
    struct neo_error err;

    if (ca[0] != '\0') {
        check(neo_cert_from_pem(read_file(ca), ca, &root, &err), &err);
        der = neo_cert_facts(root)->der;
        domain.roots = &der;
        domain.n_roots = 1;
    }
    check(neo_trust_new(&options, &trust, &err), &err);
    neo_cert_unref(root);
    return trust;
}

/* What the server lives by. */
static struct neo_epoch make_epoch(const char *cert, const char *key, const char *ca)
{
    const struct neo_document policy = {NEO_LIT("policy"), neo_text(policy_text)};
    const struct neo_document limits = {NEO_LIT("limits"), neo_text(limits_text)};
    struct neo_epoch epoch = {.trust = make_trust(ca)};
    struct neo_error err;

    check(neo_identity_from_pem(read_file(cert), read_file(key), cert, &epoch.identity, &err),
          &err);
    check(neo_policy_compile(&policy, 1, &epoch.policy, &err), &err);
    check(neo_limits_compile(&limits, 1, &epoch.limits, &err), &err);
    return epoch;
}

int main(int argc, char **argv)
{
    static const struct bench_Echo_handlers handlers = {.Call = call, .Stream = stream};
    static struct neo_audit_sink audit = {.record = keep_nothing};
    struct neo_server_options options = {
        .name = "echo-service",
        .audit = &audit,
        .metrics = neo_metrics_new(),
        .max_message = 8 << 20,
        .max_connections_per_identity = MOST_CONNECTIONS,
        .max_in_flight = MOST_CALLS,
    };
    const char *ca = argument(argc, argv, "--ca", "");
    struct neo_server *server;
    struct neo_error err;
    char address[64];

    options.allow_anonymous = ca[0] == '\0';
    options.epoch =
        make_epoch(argument(argc, argv, "--cert", NULL), argument(argc, argv, "--key", NULL), ca);
    (void)snprintf(address, sizeof(address), "127.0.0.1:%s", argument(argc, argv, "--port", "0"));
    unsigned workers = (unsigned)strtoul(argument(argc, argv, "--workers", "1"), NULL, 10);
    check(neo_runtime_new(workers, &options.runtime, &err), &err);
    check(neo_server_new(&options, &server, &err), &err);
    check(bench_Echo_add(server, &handlers, NULL, &err), &err);
    check(neo_server_listen(server, address, &err), &err);
    (void)printf("port %s\n", strrchr(neo_server_address(server), ':') + 1);
    (void)fflush(stdout);
    neo_runtime_wait(options.runtime);
    neo_server_free(server);
    neo_runtime_free(options.runtime);
    return 0;
}
