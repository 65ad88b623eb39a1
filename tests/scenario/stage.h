/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stage.h - a channel and scripted servers on machines of their own, in virtual time.
 *
 * Servers are on 10.0.0.1, 10.0.0.2, ... port 7000; the channel is on 10.0.0.99.
 */
#ifndef NEO_TESTS_SCENARIO_STAGE_H
#define NEO_TESTS_SCENARIO_STAGE_H

#include "../unit/unit.h"

#include "support/pki.h"
#include "support/script.h"
#include "support/sim.h"

#include <neo/channel.h>
#include <neo/channel_options.h>
#include <neo/memory.h>
#include <neo/test/v1/words.neo.h>

#include <stdio.h>
#include <stdlib.h>

#define MSEC NEO_NSEC_PER_MSEC
#define SEC  NEO_NSEC_PER_SEC
#define MIN  (60 * SEC)

enum { SERVERS_MAX = 5 };

struct stage {
    struct pki *pki;
    struct neo_identity *server, *caller;
    struct neo_trust *trust;
    struct neo_loop *loops[SERVERS_MAX];
    struct script servers[SERVERS_MAX];
    size_t n;
    struct neo_loop *loop; /* the channel's */
    struct neo_channel *channel;
    struct neo_log log;
};

struct heard {
    struct neo_client_call *call;
    bool done;
    unsigned messages;
    enum neo_code code;
    char message[160];
    char reason[40];
    neo_nsec at;
    struct neo_loop *loop;
};

static inline void answer_at_once(struct script_call *call, void *self)
{
    (void)self;
    script_reply(call, (struct neo_bytes){0});
}

static inline void begin_stage(struct stage *s, size_t n, script_fn *answer, void *self)
{
    struct neo_error err;
    char host[32], address[48];

    *s = (struct stage){.n = n};
    sim_new(23);
    s->pki = pki_new("neo.test");
    s->server = pki_identity(s->pki, "echo-service", NULL);
    s->caller = pki_identity(s->pki, "caller-service", NULL);
    s->trust = pki_trust(s->pki);
    s->log = (struct neo_log){
        .fd = 2,
        .level = getenv("NEO_TEST_LOG") != NULL ? NEO_LOG_DEBUG : NEO_LOG_OFF,
        .wall_nsec = neo_wall_nsec,
    };
    for (size_t i = 0; i < n; i++) {
        (void)snprintf(host, sizeof(host), "10.0.0.%zu", i + 1);
        (void)snprintf(address, sizeof(address), "%s:7000", host);
        sim_host(host);
        assert_int_equal(neo_loop_new(&s->loops[i], &err), NEO_OK);
        s->servers[i].answer = answer;
        s->servers[i].self = self;
        script_start(&s->servers[i], s->loops[i], address, s->server, s->trust);
    }
    sim_group("servers", "10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4 10.0.0.5");
    sim_group("client", "10.0.0.99");
    sim_host("10.0.0.99");
    assert_int_equal(neo_loop_new(&s->loop, &err), NEO_OK);
}

static inline void open_target(struct stage *s, const char *target, const char *config,
                               const struct neo_channel_tuning *tuning)
{
    struct neo_error err = {0};
    struct neo_channel_options options = {
        .loop = s->loop,
        .epoch = {.identity = s->caller, .trust = s->trust},
        .service = "echo-service",
        .trust_domain = "neo.test",
        .service_config = config,
        .log = &s->log,
        .tuning = tuning,
    };

    if (neo_channel_open(target, &options, &s->channel, &err) != NEO_OK)
        fail_msg("%s", err.message);
}

/* To all servers. */
static inline void open_channel(struct stage *s, const char *config,
                                const struct neo_channel_tuning *tuning)
{
    char target[200];
    size_t used = (size_t)snprintf(target, sizeof(target), "ipv4:");

    for (size_t i = 0; i < s->n; i++)
        used += (size_t)snprintf(target + used, sizeof(target) - used, "%s%s", i == 0 ? "" : ",",
                                 s->servers[i].address);
    open_target(s, target, config, tuning);
}

static inline void end_stage(struct stage *s)
{
    neo_channel_free(s->channel);
    sim_run_for(2 * SEC);
    for (size_t i = 0; i < s->n; i++)
        script_stop(&s->servers[i]);
    sim_heal(NULL, NULL);
    sim_run_for(1 * MIN);
    for (size_t i = 0; i < s->n; i++)
        neo_loop_free(s->loops[i]);
    neo_loop_free(s->loop);
    neo_identity_unref(s->server);
    neo_identity_unref(s->caller);
    neo_trust_unref(s->trust);
    pki_free(s->pki);
    sim_free();
}

static inline void on_message(struct neo_client_call *call, const void *response, void *self)
{
    (void)call;
    (void)response;
    ((struct heard *)self)->messages++;
}

static inline void on_done(struct neo_client_call *call, const struct neo_status *status,
                           void *self)
{
    struct heard *h = self;

    (void)call;
    assert_false(h->done);
    h->done = true;
    h->call = NULL;
    h->code = status->code;
    h->at = neo_loop_now(h->loop);
    (void)snprintf(h->message, sizeof(h->message), "%.*s", NEO_FMT(status->message));
    (void)snprintf(h->reason, sizeof(h->reason), "%.*s", NEO_FMT(status->reason));
}

static const struct neo_client_events call_events = {.message = on_message, .done = on_done};

/* A call of Speech/Do, which may not run twice. */
static inline void start_with(struct stage *s, struct heard *h,
                              const struct neo_call_options *options)
{
    struct neo_test_v1_Words request = {.count = 1};
    struct neo_error err;

    *h = (struct heard){.loop = s->loop};
    assert_int_equal(
        neo_test_v1_Speech_Do_start(s->channel, options, &request, &call_events, h, &h->call, &err),
        NEO_OK);
}

static inline void start(struct stage *s, struct heard *h, neo_nsec timeout)
{
    start_with(s, h, &(struct neo_call_options){.timeout = timeout});
}

static inline bool is_done(void *self)
{
    return ((struct heard *)self)->done;
}

/* The code of a call that ended within `within`. */
static inline enum neo_code wait_for_end(struct heard *h, neo_nsec within)
{
    if (!sim_wait(is_done, h, within))
        fail_msg("the call did not end within %llu ms", (unsigned long long)(within / MSEC));
    return h->code;
}

static inline enum neo_code call_once(struct stage *s, neo_nsec timeout)
{
    struct heard h;

    start(s, &h, timeout);
    return wait_for_end(&h, timeout + SEC);
}

static inline const char *state_of(struct stage *s, const char *address)
{
    static struct neo_channel_peer peers[16];
    size_t n = neo_channel_peers(s->channel, peers, NEO_COUNT(peers));

    for (size_t i = 0; i < n; i++)
        if (strcmp(peers[i].address, address) == 0)
            return peers[i].state;
    return "absent";
}

#endif
