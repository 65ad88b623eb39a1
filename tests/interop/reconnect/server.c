/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo-reconnect-server: watches how a client backs off from a server that it cannot reach.
 *
 *   --control_port=N   grpc.testing.ReconnectService, cleartext (0: the kernel's choice)
 *   --retry_port=N     closes every connection, and remembers when it came
 *
 * Says "control N retry N" when both listen. Stop tells whether each wait was that of gRPC's
 * connection backoff: 1 s, times 1.6 after each attempt, at most 120 s or what Start said, each
 * within 20 percent, counted from the start of one attempt to that of the next.
 */
#include <neo/insecure.h>
#include <neo/server.h>

#include "../files.h"
#include "../flags.h"

#include <grpc/testing/test.neo.h>

#include <arpa/inet.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    ATTEMPTS_MAX = 1024,
    DEFAULT_MAX_MS = 120000,
    FIRST_MS = 1000,
    SLACK_MS = 300, /* for a machine that is busy: late is no fault of the client's */
};

static struct {
    pthread_mutex_t lock;
    double max_ms;
    size_t n;
    neo_nsec at[ATTEMPTS_MAX];
} seen = {.lock = PTHREAD_MUTEX_INITIALIZER, .max_ms = DEFAULT_MAX_MS};

/* --- the port that refuses ----------------------------------------------------------------- */

static int listen_on(int64_t port, unsigned *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) != 0 || listen(fd, 16) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) != 0) {
        perror("the retry port");
        exit(1);
    }
    *ret_port = ntohs(address.sin_port);
    return fd;
}

static void *refuse(void *self)
{
    int listener = *(int *)self;

    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0)
            continue;
        (void)pthread_mutex_lock(&seen.lock);
        if (seen.n < ATTEMPTS_MAX)
            seen.at[seen.n++] = neo_mono_nsec();
        (void)pthread_mutex_unlock(&seen.lock);
        (void)close(fd);
    }
    return NULL;
}

/* --- the service --------------------------------------------------------------------------- */

static void start(struct neo_call *call, const struct grpc_testing_ReconnectParams *request,
                  void *self)
{
    static const struct grpc_testing_Empty reply;

    (void)self;
    (void)pthread_mutex_lock(&seen.lock);
    seen.n = 0;
    seen.max_ms =
        request->max_reconnect_backoff_ms > 0 ? request->max_reconnect_backoff_ms : DEFAULT_MAX_MS;
    (void)pthread_mutex_unlock(&seen.lock);
    grpc_testing_ReconnectService_Start_reply(call, &reply);
}

static bool is_right(size_t i, double waited_ms)
{
    double wanted = fmin((double)FIRST_MS * pow(1.6, (double)i), seen.max_ms);

    return waited_ms >= 0.8 * wanted - 1 && waited_ms <= 1.2 * wanted + (double)SLACK_MS;
}

/* For clients that say no more than whether it was right. */
static void tell(const struct grpc_testing_ReconnectInfo *info)
{
    (void)fprintf(stderr, "%zu waits, in ms:", info->backoff_ms.len);
    for (size_t i = 0; i < info->backoff_ms.len; i++)
        (void)fprintf(stderr, " %d", (int)info->backoff_ms.at[i]);
    (void)fprintf(stderr, ": %s\n", info->passed ? "right" : "WRONG");
}

static void stop(struct neo_call *call, const struct grpc_testing_Empty *request, void *self)
{
    static int32_t waits[ATTEMPTS_MAX];
    struct grpc_testing_ReconnectInfo reply = {.backoff_ms = {.at = waits}};

    (void)request;
    (void)self;
    (void)pthread_mutex_lock(&seen.lock);
    reply.passed = seen.n > 2;
    for (size_t i = 0; i + 1 < seen.n; i++) {
        double waited = (double)(seen.at[i + 1] - seen.at[i]) / NEO_NSEC_PER_MSEC;
        waits[i] = (int32_t)waited;
        reply.passed = reply.passed && is_right(i, waited);
        reply.backoff_ms.len++;
    }
    (void)pthread_mutex_unlock(&seen.lock);
    tell(&reply);
    grpc_testing_ReconnectService_Stop_reply(call, &reply);
}

int main(int argc, char **argv)
{
    static const struct grpc_testing_ReconnectService_handlers handlers = {.Start = start,
                                                                           .Stop = stop};
    static const struct neo_insecure_server insecure = {.mode = NEO_INSECURE_CLEARTEXT};
    const struct neo_document policy = {
        NEO_LIT("policy"), NEO_LIT("service: \"anonymous\"\nallowed_calls:\n"
                                   "  - {target_service: \"reconnect\", operations: [\"*\"]}\n")};
    struct neo_server_options options = {.name = "reconnect", .insecure = &insecure};
    int64_t control_port = 0, retry_port = 0;
    const struct flag flags[] = {{"control_port", FLAG_NUMBER, &control_port},
                                 {"retry_port", FLAG_NUMBER, &retry_port}};
    struct neo_server *server;
    struct neo_error err;
    char address[64];
    pthread_t thread;
    unsigned port;

    if (!flags_read(argc, argv, flags, NEO_COUNT(flags)))
        return 2;
    int listener = listen_on(retry_port, &port);
    (void)pthread_create(&thread, NULL, refuse, &listener);
    must(neo_runtime_new(1, &options.runtime, &err), &err);
    must(neo_policy_compile(&policy, 1, &options.epoch.policy, &err), &err);
    must(neo_server_new(&options, &server, &err), &err);
    neo_policy_unref(options.epoch.policy);
    must(grpc_testing_ReconnectService_add(server, &handlers, NULL, &err), &err);
    (void)snprintf(address, sizeof(address), "127.0.0.1:%lld", (long long)control_port);
    must(neo_server_listen(server, address, &err), &err);
    (void)printf("control %s retry %u\n", strrchr(neo_server_address(server), ':') + 1, port);
    (void)fflush(stdout);
    neo_runtime_wait(options.runtime);
    neo_server_free(server);
    neo_runtime_free(options.runtime);
    return 0;
}
