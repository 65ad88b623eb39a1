/* SPDX-License-Identifier: Apache-2.0 */
#include "support/echo.h"

#include <neo/interceptor.h>
#include <neo/memory.h>

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static const char policy[] = "service: \"caller-service\"\n"
                             "allowed_calls:\n"
                             "  - target_service: \"echo-service\"\n"
                             "    operations: [\"*\"]\n";

static void check(enum neo_code code, const struct neo_error *err)
{
    if (code != NEO_OK) {
        (void)fprintf(stderr, "echo world: %s: %s\n", neo_code_name(code), err->message);
        abort();
    }
}

/* --- handlers --------------------------------------------------------------------------------- */

struct later {
    struct neo_timer timer;
    struct neo_call *call;
    struct neo_test_v1_Words reply;
    struct echo_world *world;
    bool stopped;
};

static void answer(struct neo_call *call, const struct neo_test_v1_Words *w)
{
    if (w->code != 0)
        neo_call_fail(call, (enum neo_code)w->code, "as asked");
    else
        neo_test_v1_Speech_Say_reply(call, w);
}

static void due(struct neo_timer *timer)
{
    struct later *l = neo_owner(timer, struct later, timer);

    answer(l->call, &l->reply);
}

static void over(struct neo_call *call, const struct neo_status *status, void *state)
{
    struct later *l = state;

    (void)status;
    neo_loop_disarm(neo_call_loop(call), &l->timer);
    l->world->ended++;
}

static void say(struct neo_call *call, const struct neo_test_v1_Words *request, void *self)
{
    static const struct neo_stream_events events = {.done = over};
    struct echo_world *w = self;

    w->handled++;
    if (request->delay_ms == 0) {
        answer(call, request);
        return;
    }
    struct later *l = neo_arena_calloc(neo_call_arena(call), 1, sizeof(*l));
    *l = (struct later){.timer = {.expired = due}, .call = call, .reply = *request, .world = w};
    neo_call_on_stream(call, &events, l);
    neo_loop_arm(neo_call_loop(call), &l->timer,
                 neo_loop_now(neo_call_loop(call)) + request->delay_ms * NEO_NSEC_PER_MSEC);
}

struct repeating {
    struct echo_world *world;
    uint8_t *bytes;
    uint32_t left;
    uint32_t size;
    bool endless;
    struct neo_timer timer;
    struct neo_call *call;
};

static void pump(struct neo_call *call, void *state)
{
    static const struct neo_status ok = {.code = NEO_OK};
    struct repeating *r = state;
    struct neo_test_v1_Words message = {.text = {r->bytes, r->size}};

    while (r->left > 0) {
        r->left--;
        enum neo_flow flow = neo_test_v1_Speech_Repeat_send(call, &message);
        if (flow != NEO_FLOW_MORE)
            return; /* writable or done will come */
    }
    if (!r->endless)
        neo_call_finish(call, &ok);
}

static void repeat_over(struct neo_call *call, const struct neo_status *status, void *state)
{
    struct repeating *r = state;

    (void)call;
    (void)status;
    r->world->ended++;
}

/* `delay_ms`: stays open after the last one. */
static void repeat(struct neo_call *call, const struct neo_test_v1_Words *request, void *self)
{
    static const struct neo_stream_events events = {.writable = pump, .done = repeat_over};
    struct neo_arena *arena = neo_call_arena(call);
    struct repeating *r = neo_arena_calloc(arena, 1, sizeof(*r));

    *r = (struct repeating){.world = self,
                            .bytes = neo_arena_calloc(arena, 1, request->size),
                            .left = request->count,
                            .size = request->size,
                            .endless = request->delay_ms != 0,
                            .call = call};
    neo_call_on_stream(call, &events, r);
    pump(call, r);
}

struct counting {
    struct echo_world *world;
    struct neo_test_v1_Words sum;
};

static void count_one(struct neo_call *call, const void *request, void *state)
{
    const struct neo_test_v1_Words *w = request;
    struct counting *c = state;

    (void)call;
    c->sum.count++;
    c->sum.size += (uint32_t)w->text.len;
}

static void count_end(struct neo_call *call, void *state)
{
    neo_test_v1_Speech_Count_reply(call, &((struct counting *)state)->sum);
}

static void count(struct neo_call *call, const struct neo_test_v1_Words *request, void *self)
{
    static const struct neo_stream_events events = {.message = count_one, .half_closed = count_end};
    struct counting *c = neo_arena_calloc(neo_call_arena(call), 1, sizeof(*c));

    (void)request;
    c->world = self;
    neo_call_on_stream(call, &events, c);
}

static void chat_one(struct neo_call *call, const void *request, void *state)
{
    (void)state;
    (void)neo_test_v1_Speech_Chat_send(call, request);
}

static void chat_end(struct neo_call *call, void *state)
{
    static const struct neo_status ok = {.code = NEO_OK};

    (void)state;
    neo_call_finish(call, &ok);
}

static void chat(struct neo_call *call, const struct neo_test_v1_Words *request, void *self)
{
    static const struct neo_stream_events events = {.message = chat_one, .half_closed = chat_end};

    (void)request;
    neo_call_on_stream(call, &events, self);
}

static const struct neo_test_v1_Speech_handlers handlers = {
    .Say = say,
    .Do = say,
    .Repeat = repeat,
    .Count = count,
    .Chat = chat,
};

/* --- the world -------------------------------------------------------------------------------- */

void echo_world_init(struct echo_world *w)
{
    struct neo_document document = {NEO_LIT("echo.yaml"), neo_text(policy)};
    struct neo_error err;

    *w = (struct echo_world){.pki = pki_new("neo.test")};
    check(neo_runtime_new(2, &w->runtime, &err), &err);
    w->epoch.identity = pki_identity(w->pki, "echo-service", NULL);
    w->epoch.trust = pki_trust(w->pki);
    check(neo_policy_compile(&document, 1, &w->epoch.policy, &err), &err);
}

void echo_world_fini(struct echo_world *w)
{
    neo_runtime_free(w->runtime);
    neo_identity_unref(w->epoch.identity);
    neo_trust_unref(w->epoch.trust);
    neo_policy_unref(w->epoch.policy);
    pki_free(w->pki);
}

static struct neo_server *serve(struct echo_world *w, const struct neo_server_options *options,
                                const char *address, struct neo_interceptor *interceptor)
{
    struct neo_server *server;
    struct neo_error err;

    check(neo_server_new(options, &server, &err), &err);
    check(neo_test_v1_Speech_add(server, &handlers, w, &err), &err);
    if (interceptor != NULL)
        check(neo_server_intercept(server, interceptor, &err), &err);
    check(neo_server_listen(server, address, &err), &err);
    return server;
}

static struct neo_server_options complete(struct echo_world *w,
                                          const struct neo_server_options *options)
{
    struct neo_server_options o = options == NULL ? (struct neo_server_options){0} : *options;

    o.name = "echo-service";
    o.runtime = w->runtime;
    if (o.epoch.identity == NULL)
        o.epoch.identity = w->epoch.identity;
    if (o.epoch.trust == NULL)
        o.epoch.trust = w->epoch.trust;
    if (o.epoch.policy == NULL)
        o.epoch.policy = w->epoch.policy;
    return o;
}

struct neo_server *echo_server_with(struct echo_world *w, const struct neo_server_options *options,
                                    const char *address)
{
    return serve(w, options, address, NULL);
}

struct neo_server *echo_server_at(struct echo_world *w, const struct neo_server_options *options,
                                  const char *address)
{
    struct neo_server_options o = complete(w, options);

    return serve(w, &o, address, NULL);
}

struct neo_server *echo_server(struct echo_world *w, const struct neo_server_options *options)
{
    return echo_server_at(w, options, "127.0.0.1:0");
}

struct neo_server *echo_server_intercepted(struct echo_world *w,
                                           struct neo_interceptor *interceptor)
{
    struct neo_server_options o = complete(w, NULL);

    return serve(w, &o, "127.0.0.1:0", interceptor);
}

void echo_target(char *target, size_t len, struct neo_server *const *servers, size_t n)
{
    size_t used = (size_t)snprintf(target, len, "ipv4:");

    for (size_t i = 0; i < n; i++)
        used += (size_t)snprintf(target + used, len - used, "%s%s", i == 0 ? "" : ",",
                                 neo_server_address(servers[i]));
}

struct neo_channel *echo_channel(struct echo_world *w, const char *caller, const char *target,
                                 const char *config)
{
    struct neo_identity *identity = pki_identity(w->pki, caller, NULL);
    struct neo_channel *channel;
    struct neo_error err;
    struct neo_channel_options o = {
        .loop = neo_runtime_loop(w->runtime, 0),
        .epoch = {.identity = identity, .trust = w->epoch.trust},
        .service = "echo-service",
        .trust_domain = "neo.test",
        .service_config = config,
    };

    check(neo_channel_open(target, &o, &channel, &err), &err);
    neo_identity_unref(identity);
    return channel;
}
