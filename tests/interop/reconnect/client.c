/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo-reconnect-client: the connection backoff case. Tells the server to watch, tries for
 * `seconds` to reach the port that closes every connection, and asks how it went. What the server
 * saw it says itself.
 *
 *   --server_host=H --server_control_port=N --server_retry_port=N
 *   --max_reconnect_backoff_ms=N   at most this between attempts (120000)
 *   --seconds=N                    540
 *
 * Exit status 0: the server found every wait right.
 */
#include <neo/channel_options.h>
#include <neo/insecure.h>
#include <neo/runtime.h>

#include "../files.h"
#include "../flags.h"

#include <grpc/testing/test.neo.h>

#include <inttypes.h>
#include <stdio.h>

static struct {
    const char *host;
    int64_t control_port, retry_port, max_ms, seconds;
} flag = {.host = "127.0.0.1", .max_ms = 120000, .seconds = 540};

struct opening {
    struct neo_runtime *runtime;
    int64_t port;
    struct neo_channel *channel;
};

static void open_one(void *self)
{
    static const struct neo_insecure_channel insecure = {.mode = NEO_INSECURE_CLEARTEXT,
                                                         .server_name = "localhost"};
    struct opening *o = self;
    const struct neo_channel_tuning tuning = {
        .backoff = {.max = (neo_nsec)flag.max_ms * NEO_NSEC_PER_MSEC}};
    const struct neo_channel_options options = {
        .loop = neo_runtime_loop(o->runtime, 0), .insecure = &insecure, .tuning = &tuning};
    char target[128];
    struct neo_error err;

    (void)snprintf(target, sizeof(target), "ipv4:%s:%" PRId64, flag.host, o->port);
    must(neo_channel_open(target, &options, &o->channel, &err), &err);
}

static struct neo_channel *open_channel(struct neo_runtime *runtime, int64_t port)
{
    struct opening o = {.runtime = runtime, .port = port};

    neo_runtime_call(runtime, 0, open_one, &o);
    return o.channel;
}

/* Waits for a server that is never there. True when the time ran out, as it must. */
static bool try_to_reach(struct neo_channel *channel)
{
    const struct neo_call_options options = {.timeout = (neo_nsec)flag.seconds * NEO_NSEC_PER_SEC,
                                             .wait_for_ready = true};
    const struct grpc_testing_Empty request = {0};
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    struct grpc_testing_Empty reply;
    struct neo_status status;

    neo_arena_init(&arena, 1 << 16);
    enum neo_code code =
        grpc_testing_TestService_EmptyCall(channel, &options, &request, &reply, &arena, &status);
    if (code != NEO_DEADLINE_EXCEEDED)
        (void)fprintf(stderr, "%s, not DEADLINE_EXCEEDED: %.*s\n", neo_code_name(code),
                      NEO_FMT(status.message));
    return code == NEO_DEADLINE_EXCEEDED;
}

static bool watched(struct neo_channel *control, struct neo_channel *retry)
{
    const struct neo_call_options options = {.timeout = 10 * NEO_NSEC_PER_SEC,
                                             .wait_for_ready = true};
    const struct grpc_testing_ReconnectParams params = {.max_reconnect_backoff_ms =
                                                            (int32_t)flag.max_ms};
    const struct grpc_testing_Empty request = {0};
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    struct grpc_testing_ReconnectInfo info;
    struct grpc_testing_Empty reply;

    neo_arena_init(&arena, 1 << 20);
    if (grpc_testing_ReconnectService_Start(control, &options, &params, &reply, &arena, NULL) !=
            NEO_OK ||
        !try_to_reach(retry) ||
        grpc_testing_ReconnectService_Stop(control, &options, &request, &info, &arena, NULL) !=
            NEO_OK)
        return false;
    return info.passed;
}

int main(int argc, char **argv)
{
    const struct flag flags[] = {{"server_host", FLAG_TEXT, &flag.host},
                                 {"server_control_port", FLAG_NUMBER, &flag.control_port},
                                 {"server_retry_port", FLAG_NUMBER, &flag.retry_port},
                                 {"max_reconnect_backoff_ms", FLAG_NUMBER, &flag.max_ms},
                                 {"seconds", FLAG_NUMBER, &flag.seconds}};
    struct neo_runtime *runtime;
    struct neo_error err;

    if (!flags_read(argc, argv, flags, NEO_COUNT(flags)))
        return 2;
    must(neo_runtime_new(1, &runtime, &err), &err);
    struct neo_channel *control = open_channel(runtime, flag.control_port);
    struct neo_channel *retry = open_channel(runtime, flag.retry_port);
    bool right = watched(control, retry);
    neo_channel_free(retry);
    neo_channel_free(control);
    neo_runtime_free(runtime);
    return right ? 0 : 1;
}
