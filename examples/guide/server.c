/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server of the guide: a handler for each kind of method. Nothing here blocks; what takes
 * time is done later, and the call waits for it.
 */
#include "guide/guide.neo.h"

#include <neo/neo.h>

#include <unistd.h>

static const struct neo_status ok = {.code = NEO_OK};

/* --- one question, one answer ------------------------------------------------------------- */

/* An error says which field is wrong, so that a program can act on it. */
static void refuse(struct neo_call *call)
{
    const struct neo_pair wrong = {NEO_LIT("symbol"), NEO_LIT("must not be empty")};
    struct neo_status status = neo_status_of(NEO_INVALID_ARGUMENT, "the question is incomplete");

    status.reason = NEO_LIT("SYMBOL_MISSING");
    if (!neo_status_add_violations(&status, neo_call_arena(call), &wrong, 1))
        status.message = NEO_LIT("the question is incomplete (and memory is short)");
    neo_call_finish(call, &status);
}

static void price(struct neo_call *call, const struct guide_PriceRequest *request, void *self)
{
    const struct guide_Quote quote = {.symbol = request->symbol, .cents = 1250};
    struct neo_bytes tenant = neo_call_metadata(call, "x-tenant");

    (void)self;
    if (request->symbol.len == 0) {
        refuse(call);
        return;
    }
    if (tenant.len > 0)
        (void)neo_call_add_header(call, "x-served-for", tenant);
    (void)neo_call_add_trailer(call, "x-cost", NEO_LIT("1"));
    guide_Market_Price_reply(call, &quote);
}

/* --- one question, many answers: every 20 ms, until the caller has enough ------------------ */

struct ticker {
    struct neo_timer timer;
    struct neo_call *call;
    struct guide_Quote quote;
};

static void tick(struct neo_timer *timer)
{
    struct ticker *t = neo_owner(timer, struct ticker, timer);
    struct neo_loop *loop = neo_call_loop(t->call);

    t->quote.cents++;
    if (guide_Market_Watch_send(t->call, &t->quote) != NEO_FLOW_GONE)
        neo_loop_arm(loop, &t->timer, neo_loop_now(loop) + 20 * NEO_NSEC_PER_MSEC);
}

/* However it ended: the ticker lies in the call's arena, and goes with it. */
static void stop_ticking(struct neo_call *call, const struct neo_status *status, void *state)
{
    struct ticker *t = state;

    (void)status;
    neo_loop_disarm(neo_call_loop(call), &t->timer);
}

static void watch(struct neo_call *call, const struct guide_PriceRequest *request, void *self)
{
    static const struct neo_stream_events events = {.done = stop_ticking};
    struct ticker *t = neo_arena_calloc(neo_call_arena(call), 1, sizeof(*t));

    (void)self;
    if (t == NULL) {
        neo_call_fail(call, NEO_RESOURCE_EXHAUSTED, "out of memory");
        return;
    }
    *t = (struct ticker){{.expired = tick}, call, {.symbol = request->symbol, .cents = 1000}};
    neo_call_on_stream(call, &events, t);
    tick(&t->timer);
}

/* --- many messages, one answer ------------------------------------------------------------ */

static void add_up(struct neo_call *call, const void *message, void *state)
{
    const struct guide_Quote *quote = message;
    struct guide_Summary *summary = state;

    (void)call;
    summary->quotes++;
    if (quote->cents > summary->highest_cents)
        summary->highest_cents = quote->cents;
}

static void sum_up(struct neo_call *call, void *state)
{
    guide_Market_Report_reply(call, state);
}

static void report(struct neo_call *call, const struct guide_Quote *none, void *self)
{
    static const struct neo_stream_events events = {.message = add_up, .half_closed = sum_up};
    struct guide_Summary *summary = neo_arena_calloc(neo_call_arena(call), 1, sizeof(*summary));

    (void)none; /* the quotes come to add_up() */
    (void)self;
    if (summary == NULL)
        neo_call_fail(call, NEO_RESOURCE_EXHAUSTED, "out of memory");
    else
        neo_call_on_stream(call, &events, summary);
}

/* --- many of both ------------------------------------------------------------------------- */

static void fill_order(struct neo_call *call, const void *message, void *state)
{
    const struct guide_Order *order = message;
    const struct guide_Fill fill = {.symbol = order->symbol, .cents = order->amount * 1250};

    (void)state;
    (void)guide_Market_Trade_send(call, &fill);
}

static void close_market(struct neo_call *call, void *state)
{
    (void)state;
    neo_call_finish(call, &ok);
}

static void trade(struct neo_call *call, const struct guide_Order *none, void *self)
{
    static const struct neo_stream_events events = {.message = fill_order,
                                                    .half_closed = close_market};

    (void)none;
    (void)self;
    neo_call_on_stream(call, &events, NULL);
}

/* --- later, and on a thread that may block ------------------------------------------------- */

static void study(struct neo_call *call, const struct guide_StudyRequest *request, void *self)
{
    const struct guide_Quote quote = {.symbol = request->symbol, .cents = 1251};

    (void)self;
    for (int64_t i = 0; i < request->milliseconds && !neo_call_is_cancelled(call); i++)
        (void)usleep(1000); /* stands for work; stop when nobody waits any more */
    guide_Market_Study_reply(call, &quote);
}

/* --- what every call passes ---------------------------------------------------------------- */

static enum neo_code ask_tenant(struct neo_interceptor *self, struct neo_call *call, void **state,
                                struct neo_status *refusal)
{
    (void)self;
    (void)state;
    if (neo_bytes_is(neo_call_metadata(call, "x-tenant"), "nobody")) {
        *refusal = neo_status_of(NEO_PERMISSION_DENIED, "this tenant is closed");
        return refusal->code;
    }
    return NEO_OK;
}

int main(int argc, char **argv)
{
    static struct neo_interceptor tenants = {.name = "tenants", .begin = ask_tenant};
    const struct neo_method_options blocking = {.blocking = true, .max_concurrent = 4};
    const struct guide_Market_handlers handlers = {
        .Price = price, .Watch = watch, .Report = report, .Trade = trade, .Study = study};
    struct neo_mesh *mesh;
    struct neo_error err;

    if (neo_mesh_start(argc, argv, "guide-service", &mesh, &err) != NEO_OK ||
        neo_mesh_serve(mesh, &guide_Market_info, &handlers, NULL, &err) != NEO_OK ||
        neo_server_set_method(neo_mesh_server(mesh), "/guide.Market/Study", &blocking, &err) !=
            NEO_OK ||
        neo_server_intercept(neo_mesh_server(mesh), &tenants, &err) != NEO_OK ||
        neo_mesh_run(mesh, &err) != NEO_OK)
        return neo_mesh_failed(&err);
    return 0;
}
