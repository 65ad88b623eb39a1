/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client of ours between a hostile server and an honest one: a channel to each. Calls to the
 * hostile one follow each other and have three seconds each; another thread calls the honest one
 * all the while.
 */
#include "matrix.h"

#include "rpc/channel_internal.h"

#include <neo/channel.h>
#include <neo/runtime.h>
#include <neo/test/v1/echo.neo.h>

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

static const char retrying[] =
    "{\"methodConfig\":[{\"name\":[{}],\"retryPolicy\":{\"maxAttempts\":3,"
    "\"initialBackoff\":\"0.01s\",\"maxBackoff\":\"0.05s\",\"backoffMultiplier\":2,"
    "\"retryableStatusCodes\":[\"UNAVAILABLE\"]}}]}";

struct caller {
    const struct victim *victim;
    struct neo_channel *channel;
    bool honest;
};

static struct neo_channel *channel_to(const struct victim *v, struct neo_runtime *runtime,
                                      const char *target)
{
    const struct neo_channel_options options = {
        .loop = neo_runtime_loop(runtime, 0),
        .epoch = {.identity = v->identity, .trust = v->trust},
        .service = "echo-service",
        .trust_domain = "neo.test",
        .service_config = retrying,
        .accept_gzip = true,
    };
    struct neo_channel *channel = NULL;
    struct neo_error err = {0};

    if (neo_channel_open(target, &options, &channel, &err) != NEO_OK)
        _exit(5);
    channel->core->h2_limits = v->limits;
    return channel;
}

static void call(const struct caller *c)
{
    const struct neo_test_v1_Echo request = {.text = NEO_LIT("hello")};
    const struct neo_call_options options = {.timeout = 3 * NEO_NSEC_PER_SEC,
                                             .wait_for_ready = true};
    struct neo_test_v1_Echo response = {0};
    struct neo_status status = {0};
    struct neo_arena arena;
    neo_nsec begun = neo_mono_nsec();

    neo_arena_init(&arena, 32 * MIB);
    enum neo_code code = neo_channel_call(c->channel, &neo_test_v1_Echoes_info.methods[0], &options,
                                          &request, &response, &arena, &status);
    c->victim->ended(c->honest, code, status.message.len, neo_mono_nsec() - begun);
    neo_arena_fini(&arena);
}

/* Reads one message and then is busy for half a second. */
static void stream(const struct caller *c)
{
    const struct neo_test_v1_Echo request = {.text = NEO_LIT("hello")};
    const struct neo_call_options options = {.timeout = 3 * NEO_NSEC_PER_SEC,
                                             .wait_for_ready = true};
    struct neo_test_v1_Echo response = {0};
    struct neo_stream *s = NULL;
    struct neo_arena arena;
    neo_nsec begun = neo_mono_nsec();

    if (neo_channel_stream(c->channel, &neo_test_v1_Echoes_info.methods[4], &options, &request, &s,
                           NULL) != NEO_OK)
        _exit(5);
    neo_arena_init(&arena, 32 * MIB);
    bool came = neo_stream_next(s, &response, &arena);
    (void)usleep(500000);
    c->victim->ended(false, came ? NEO_OK : NEO_UNAVAILABLE, 0, neo_mono_nsec() - begun);
    neo_stream_free(s);
    neo_arena_fini(&arena);
}

static void *call_the_honest(void *own)
{
    for (;;) {
        call(own);
        (void)usleep(2000);
    }
    return NULL;
}

void victim_run(const struct victim *v)
{
    struct neo_runtime *runtime = NULL;
    struct caller honest = {.victim = v, .honest = true}, hostile = {.victim = v};
    pthread_t thread;

    if (neo_runtime_new(1, &runtime, NULL) != NEO_OK)
        _exit(5);
    honest.channel = channel_to(v, runtime, v->honest);
    hostile.channel = channel_to(v, runtime, v->hostile);
    if (pthread_create(&thread, NULL, call_the_honest, &honest) != 0)
        _exit(5);
    for (;;) {
        if (v->streams)
            stream(&hostile);
        else
            call(&hostile);
        (void)usleep(5000);
    }
}
