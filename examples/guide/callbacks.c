/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Without waiting: the call tells what happens, on the channel's loop. This one reads metadata
 * of the answer, and cancels a stream when it has seen enough.
 */
#include "guide/guide.neo.h"

#include <neo/neo.h>

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>

struct viewer {
    struct neo_job start;
    struct neo_channel *channel;
    int seen;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool over;
};

static void end(struct viewer *v)
{
    (void)pthread_mutex_lock(&v->lock);
    v->over = true;
    (void)pthread_cond_signal(&v->changed);
    (void)pthread_mutex_unlock(&v->lock);
}

static void on_quote(struct neo_client_call *call, const void *message, void *self)
{
    const struct guide_Quote *quote = message;
    struct viewer *v = self;

    (void)printf("%" PRId64 " from %s\n", quote->cents,
                 neo_client_call_peer(call) != NULL ? "an instance" : "nobody");
    if (++v->seen == 3)
        neo_client_call_cancel(call);
}

static void on_watched(struct neo_client_call *call, const struct neo_status *status, void *self)
{
    (void)call;
    (void)printf("watch: %s\n", neo_code_name(status->code));
    end(self);
}

static void watch(struct viewer *v)
{
    static const struct neo_client_events events = {.message = on_quote, .done = on_watched};
    const struct guide_PriceRequest request = {.symbol = NEO_LIT("NEO")};
    struct neo_client_call *call;

    if (guide_Market_Watch_start(v->channel, NULL, &request, &events, v, &call, NULL) != NEO_OK)
        end(v);
}

static void on_price(struct neo_client_call *call, const void *message, void *self)
{
    const struct guide_Quote *quote = message;

    (void)call;
    (void)self;
    (void)printf("price: %" PRId64 "\n", quote->cents);
}

static void on_priced(struct neo_client_call *call, const struct neo_status *status, void *self)
{
    (void)printf("price: %s, served for %.*s, cost %.*s\n", neo_code_name(status->code),
                 NEO_FMT(neo_client_call_metadata(call, "x-served-for")),
                 NEO_FMT(neo_client_call_metadata(call, "x-cost")));
    watch(self);
}

/* On the channel's loop, as all that follows. */
static void start(struct neo_job *job)
{
    static const struct neo_client_events events = {.message = on_price, .done = on_priced};
    struct viewer *v = neo_owner(job, struct viewer, start);
    const struct neo_pair metadata = {NEO_LIT("x-tenant"), NEO_LIT("acme")};
    const struct neo_call_options options = {.metadata = &metadata, .n_metadata = 1};
    const struct guide_PriceRequest request = {.symbol = NEO_LIT("NEO")};
    struct neo_client_call *call;

    if (guide_Market_Price_start(v->channel, &options, &request, &events, v, &call, NULL) != NEO_OK)
        end(v);
}

int main(int argc, char **argv)
{
    struct viewer v = {.start = {.run = start},
                       .lock = PTHREAD_MUTEX_INITIALIZER,
                       .changed = PTHREAD_COND_INITIALIZER};
    struct neo_mesh *mesh;
    struct neo_error err;

    if (neo_mesh_start(argc, argv, "guide-client", &mesh, &err) != NEO_OK ||
        neo_mesh_channel(mesh, "guide-service", 0, &v.channel, &err) != NEO_OK)
        return neo_mesh_failed(&err);
    neo_loop_post(neo_runtime_loop(neo_mesh_runtime(mesh), 0), &v.start);
    (void)pthread_mutex_lock(&v.lock);
    while (!v.over)
        (void)pthread_cond_wait(&v.changed, &v.lock);
    (void)pthread_mutex_unlock(&v.lock);
    neo_mesh_channel_free(mesh, v.channel);
    neo_mesh_free(mesh);
    return 0;
}
