/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The same call again and again, by several at once, each within its time. A "thread"
 * of the flags is a line of calls here; the loop they share is one thread.
 */
#include "rpc.h"

#include <neo/memory.h>

#include <inttypes.h>
#include <stdio.h>

struct soak;

struct line {
    struct soak *soak;
    struct client client; /* with a channel of its own while it is rebuilt for each call */
    struct rpc rpc;
    struct neo_timer next;
    neo_nsec began_at;
    int64_t left;
    bool running;
};

struct soak {
    struct client *client;
    bool new_channels;
    struct grpc_testing_Payload payload;
    struct grpc_testing_SimpleRequest request;
    size_t running;
    int64_t done, failures;
    uint64_t worst_us;
    neo_nsec until;
};

static void begin(struct neo_timer *timer);

/* A call is over: did it work, and in time? */
static void account(struct line *l)
{
    struct soak *s = l->soak;
    struct grpc_testing_SimpleResponse response;
    uint64_t us = (l->rpc.ended_at - l->began_at) / 1000;
    bool ok = expect_ok(&l->rpc) && rpc_message(&l->rpc, 0, &response);

    if (ok)
        ok = expect_number("size of the payload", s->client->soak.response_size,
                           response.payload == NULL ? 0 : (int64_t)response.payload->body.len);
    if (ok && us > (uint64_t)s->client->soak.max_latency_ms * 1000)
        ok = fail("soak: a call took %" PRIu64 " us, more than %lld ms", us,
                  (long long)s->client->soak.max_latency_ms);
    if (us > s->worst_us)
        s->worst_us = us;
    s->done++;
    s->failures += !ok;
}

/* Not from inside the call's own event: what ended there is taken up by the timer. */
static void ended(struct rpc *rpc, void *self)
{
    struct line *l = self;
    struct neo_loop *loop = l->client.loop;
    neo_nsec at = l->began_at + (neo_nsec)l->client.soak.min_ms_between * NEO_NSEC_PER_MSEC;

    (void)rpc;
    neo_loop_arm(loop, &l->next, at > neo_loop_now(loop) ? at : neo_loop_now(loop));
}

static void finish_call(struct line *l)
{
    if (!l->running)
        return;
    l->running = false;
    account(l);
    rpc_fini(&l->rpc);
    l->rpc = (struct rpc){0};
    if (l->soak->new_channels) {
        neo_channel_free(l->client.channel);
        l->client.channel = NULL;
    }
}

static void begin(struct neo_timer *timer)
{
    struct line *l = neo_owner(timer, struct line, next);
    struct soak *s = l->soak;

    finish_call(l);
    if (l->left == 0 || neo_mono_nsec() >= s->until) {
        s->running--;
        neo_loop_stop(l->client.loop);
        return;
    }
    l->left--;
    l->began_at = neo_mono_nsec();
    if (s->new_channels)
        l->client.channel = l->client.open(&l->client, NULL);
    l->rpc = (struct rpc){.ended = ended, .self = l};
    l->running = rpc_start(&l->rpc, &l->client, TEST_METHOD(UnaryCall), NULL, &s->request);
    if (!l->running) {
        s->done++;
        s->failures++;
        s->running--;
        neo_loop_stop(l->client.loop);
    }
}

static bool judge(const struct soak *s, int64_t wanted)
{
    (void)printf("soak: %lld calls, %lld failed, slowest %" PRIu64 " us\n", (long long)s->done,
                 (long long)s->failures, s->worst_us);
    if (s->done < wanted)
        return fail("soak: expected %lld calls within %lld s, got %lld", (long long)wanted,
                    (long long)s->client->soak.timeout_s, (long long)s->done);
    if (s->failures > s->client->soak.max_failures)
        return fail("soak: %lld calls failed, more than %lld", (long long)s->failures,
                    (long long)s->client->soak.max_failures);
    return true;
}

static bool soak(struct client *c, bool new_channels)
{
    size_t threads = (size_t)c->soak.threads;
    int64_t each = c->soak.iterations / (int64_t)threads;
    size_t one_more = (size_t)(c->soak.iterations % (int64_t)threads);
    struct line *lines = neo_alloc_array(threads, sizeof(*lines));
    struct soak s = {
        .client = c,
        .new_channels = new_channels,
        .payload = zeros_of((size_t)c->soak.request_size),
        .running = threads,
        .until = neo_mono_nsec() + (neo_nsec)c->soak.timeout_s * NEO_NSEC_PER_SEC,
    };

    if (lines == NULL)
        return fail("soak: out of memory for %zu threads", threads);
    s.request = (struct grpc_testing_SimpleRequest){.response_size = (int32_t)c->soak.response_size,
                                                    .payload = &s.payload};
    for (size_t i = 0; i < threads; i++) {
        lines[i] = (struct line){
            .soak = &s, .client = *c, .next = {.expired = begin}, .left = each + (i < one_more)};
        neo_loop_arm(c->loop, &lines[i].next, neo_loop_now(c->loop));
    }
    bool ok = true;
    while (s.running > 0 && ok)
        ok = rpc_run(c);
    for (size_t i = 0; i < threads; i++) {
        neo_loop_disarm(c->loop, &lines[i].next);
        finish_call(&lines[i]);
    }
    neo_free(lines);
    return judge(&s, c->soak.iterations) && ok;
}

bool case_rpc_soak(struct client *c)
{
    return soak(c, false);
}

bool case_channel_soak(struct client *c)
{
    return soak(c, true);
}

/* Two calls with a pause between them in which the channel has nothing to do. */
bool case_long_lived_channel(struct client *c)
{
    neo_nsec pause = (neo_nsec)c->soak.min_ms_between * NEO_NSEC_PER_MSEC;

    if (!case_large_unary(c))
        return false;
    rpc_pause(c, pause == 0 ? 2 * NEO_NSEC_PER_SEC : pause);
    return case_large_unary(c);
}
