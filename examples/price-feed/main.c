/* SPDX-License-Identifier: Apache-2.0 */
/*
 * price-feed-service: prices, once or as they change. The prices are made up: a
 * sine around a base, the same for everybody who asks at the same instant.
 */
#include "price-feed/pricefeed.neo.h"

#include <neo/memory.h>
#include <neo/mesh.h>

static const struct {
    const char *pair;
    int64_t base;
} known[] = {
    {"NEO/USD", 1234000000},
    {"GAS/USD", 456000000},
    {"BTC/USD", INT64_C(6543200000000)},
};

/* False: no such pair. */
static bool price_now(struct neo_bytes pair, struct pricefeedservice_PriceUpdate *ret)
{
    int64_t at = neo_wall_nsec();

    for (size_t i = 0; i < NEO_COUNT(known); i++)
        if (neo_bytes_is(pair, known[i].pair)) {
            int64_t tenth = at / 100000000;
            int64_t swing = tenth % 200 < 100 ? tenth % 100 : 100 - tenth % 100;
            *ret = (struct pricefeedservice_PriceUpdate){
                .pair = neo_text(known[i].pair),
                .price = known[i].base + known[i].base / 10000 * (swing - 50),
                .sequence = (uint64_t)tenth,
                .at = at,
            };
            return true;
        }
    return false;
}

static void get_price(struct neo_call *call, const struct pricefeedservice_GetPriceRequest *request,
                      void *self)
{
    struct pricefeedservice_PriceUpdate update;
    struct pricefeedservice_GetPriceResponse response = {.price = &update};

    (void)self;
    if (price_now(request->pair, &update))
        pricefeedservice_PriceFeedService_GetPrice_reply(call, &response);
    else
        neo_call_fail(call, NEO_NOT_FOUND, "there is no price for '%.*s'", NEO_FMT(request->pair));
}

struct subscriber {
    struct neo_call *call;
    struct neo_timer timer;
    neo_nsec interval;
    struct neo_bytes pair;
};

static void send_price(struct subscriber *s)
{
    struct neo_loop *loop = neo_call_loop(s->call);
    struct pricefeedservice_PriceUpdate update;

    /* A reader that is slow misses updates: the newest price is what it wants. */
    if (price_now(s->pair, &update) && pricefeedservice_PriceFeedService_SubscribePriceUpdates_send(
                                           s->call, &update) == NEO_FLOW_MORE)
        neo_loop_arm(loop, &s->timer, neo_loop_now(loop) + s->interval);
}

static void due(struct neo_timer *timer)
{
    send_price(neo_owner(timer, struct subscriber, timer));
}

static void writable(struct neo_call *call, void *state)
{
    (void)call;
    send_price(state);
}

static void over(struct neo_call *call, const struct neo_status *status, void *state)
{
    struct subscriber *s = state;

    (void)status;
    neo_loop_disarm(neo_call_loop(call), &s->timer);
}

static void subscribe(struct neo_call *call,
                      const struct pricefeedservice_SubscribePriceUpdatesRequest *request,
                      void *self)
{
    static const struct neo_stream_events events = {.writable = writable, .done = over};
    struct subscriber *s = neo_arena_calloc(neo_call_arena(call), 1, sizeof(*s));
    uint32_t ms = request->interval_ms == 0 ? 1000 : request->interval_ms;
    struct pricefeedservice_PriceUpdate update;

    (void)self;
    if (!price_now(request->pair, &update) || s == NULL) {
        neo_call_fail(call, NEO_NOT_FOUND, "there is no price for '%.*s'", NEO_FMT(request->pair));
        return;
    }
    *s = (struct subscriber){.call = call,
                             .timer = {.expired = due},
                             .interval = (ms < 10 ? 10 : ms) * NEO_NSEC_PER_MSEC,
                             .pair = update.pair};
    neo_call_on_stream(call, &events, s);
    send_price(s);
}

static const struct pricefeedservice_PriceFeedService_handlers handlers = {
    .GetPrice = get_price,
    .SubscribePriceUpdates = subscribe,
};

int main(int argc, char **argv)
{
    struct neo_mesh *mesh;
    struct neo_error err;

    if (neo_mesh_start(argc, argv, "price-feed-service", &mesh, &err) != NEO_OK ||
        neo_mesh_serve(mesh, &pricefeedservice_PriceFeedService_info, &handlers, NULL, &err) !=
            NEO_OK ||
        neo_mesh_run(mesh, &err) != NEO_OK)
        return neo_mesh_failed(&err);
    return 0;
}
