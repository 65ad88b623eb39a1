/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client of the negative HTTP/2 cases: see run.
 *
 *   neo-http2-client PORT FIRST PARALLEL
 *
 * Makes FIRST calls of UnaryCall one after the other, then PARALLEL ones at once, on one channel.
 * Prints a line for each as it ends: its code, and how many bytes the response had.
 */
#include <neo/insecure.h>
#include <neo/runtime.h>

#include <grpc/testing/test.neo.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { REQUEST_SIZE = 271828, RESPONSE_SIZE = 314159, TIMEOUT_SEC = 60 };

static uint8_t zeros[REQUEST_SIZE];
static const struct neo_call_options options = {
    .timeout = TIMEOUT_SEC * NEO_NSEC_PER_SEC,
    .wait_for_ready = true,
};

struct batch {
    struct neo_channel *channel;
    unsigned left;
    pthread_mutex_t lock;
    pthread_cond_t changed;
};

struct one {
    struct batch *batch;
    size_t size;
};

static void check(enum neo_code code, const struct neo_error *err)
{
    if (code == NEO_OK)
        return;
    (void)fprintf(stderr, "%s: %s\n", neo_code_name(code), err->message);
    exit(1);
}

static void tell(enum neo_code code, size_t size, struct neo_bytes message)
{
    (void)printf("%s %zu %.*s\n", neo_code_name(code), size, NEO_FMT(message));
    (void)fflush(stdout);
}

static void got(struct neo_client_call *call, const void *response, void *self)
{
    const struct grpc_testing_SimpleResponse *r = response;

    (void)call;
    ((struct one *)self)->size = r->payload == NULL ? 0 : r->payload->body.len;
}

static void done(struct neo_client_call *call, const struct neo_status *status, void *self)
{
    struct one *one = self;
    struct batch *b = one->batch;

    (void)call;
    tell(status->code, one->size, status->message);
    free(one);
    (void)pthread_mutex_lock(&b->lock);
    b->left--;
    (void)pthread_cond_signal(&b->changed);
    (void)pthread_mutex_unlock(&b->lock);
}

static void start_one(void *self)
{
    static const struct neo_client_events events = {.message = got, .done = done};
    struct grpc_testing_Payload payload = {.body = {zeros, sizeof(zeros)}};
    struct grpc_testing_SimpleRequest request = {.response_size = RESPONSE_SIZE,
                                                 .payload = &payload};
    struct one *one = calloc(1, sizeof(*one));
    struct neo_client_call *call;
    struct neo_error err;

    if (one == NULL)
        abort();
    one->batch = self;
    check(grpc_testing_TestService_UnaryCall_start(one->batch->channel, &options, &request, &events,
                                                   one, &call, &err),
          &err);
}

/* `n` calls at once, and waits for their ends. */
static void make_calls(struct neo_runtime *runtime, struct batch *b, unsigned n)
{
    b->left = n;
    for (unsigned i = 0; i < n; i++)
        neo_runtime_call(runtime, 0, start_one, b);
    (void)pthread_mutex_lock(&b->lock);
    while (b->left > 0)
        (void)pthread_cond_wait(&b->changed, &b->lock);
    (void)pthread_mutex_unlock(&b->lock);
}

struct opening {
    struct neo_runtime *runtime;
    const char *port;
    struct batch *batch;
};

static void open_channel(void *self)
{
    static const struct neo_insecure_channel insecure = {.mode = NEO_INSECURE_CLEARTEXT,
                                                         .server_name = "localhost"};
    struct opening *o = self;
    const struct neo_channel_options how = {.loop = neo_runtime_loop(o->runtime, 0),
                                            .insecure = &insecure};
    char target[64];
    struct neo_error err;

    (void)snprintf(target, sizeof(target), "ipv4:127.0.0.1:%s", o->port);
    check(neo_channel_open(target, &how, &o->batch->channel, &err), &err);
}

int main(int argc, char **argv)
{
    struct batch batch = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    struct neo_runtime *runtime;
    struct neo_error err;

    if (argc != 4) {
        (void)fprintf(stderr, "usage: %s PORT FIRST PARALLEL\n", argv[0]);
        return 2;
    }
    check(neo_runtime_new(1, &runtime, &err), &err);
    struct opening opening = {.runtime = runtime, .port = argv[1], .batch = &batch};
    neo_runtime_call(runtime, 0, open_channel, &opening);
    for (unsigned long i = strtoul(argv[2], NULL, 10); i > 0; i--)
        make_calls(runtime, &batch, 1);
    make_calls(runtime, &batch, (unsigned)strtoul(argv[3], NULL, 10));
    neo_channel_free(batch.channel);
    neo_runtime_free(runtime);
    return 0;
}
