/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attested_scene.h - a server that proves what it runs, and a channel that asks for it: real TLS
 * and evidence of the simulator, in simulated time.
 */
#ifndef NEO_TESTS_SCENARIO_ATTESTED_SCENE_H
#define NEO_TESTS_SCENARIO_ATTESTED_SCENE_H

#include "../unit/unit.h"

#include "support/echo.h"
#include "support/sim.h"

#include <neo/attest.h>
#include <neo/channel_options.h>
#include <neo/memory.h>
#include <neo/rollout.h>

#include <stdio.h>

#define MSEC NEO_NSEC_PER_MSEC
#define SEC  NEO_NSEC_PER_SEC
#define WALL INT64_C(1767225600) /* where its world begins */

enum { CALLS = 8 };

static struct neo_buffer bundle, root;
static struct neo_attest_trust *attest_trust;
static struct neo_attest_policies *brief, *same, *strict; /* 60 s; again; another measurement */

/* Says how often it was asked to prove itself. */
static struct counting_attester {
    struct neo_attester face;
    struct neo_attester *real;
    unsigned proofs;
    bool fails;
} attester;

static struct scene {
    struct echo_world world;
    struct neo_server *server;
    struct neo_channel *channel;
    char target[200];
    struct call {
        struct neo_client_call *call;
        bool over;
        enum neo_code code;
        unsigned messages;
        neo_nsec ended;
        struct call *cancels;
    } calls[CALLS];
    unsigned n;
} s;

/* --- the simulated machine -------------------------------------------------------------------- */

static inline enum neo_code attest(struct neo_attester *self,
                                   const uint8_t binder[static NEO_BINDER_LEN],
                                   struct neo_buffer *out_body, struct neo_buffer *out_certificates,
                                   struct neo_error *err)
{
    struct counting_attester *a = neo_owner(self, struct counting_attester, face);

    a->proofs++;
    if (a->fails)
        return neo_fail(err, NEO_UNAVAILABLE, "no evidence today");
    return a->real->attest(a->real, binder, out_body, out_certificates, err);
}

static inline struct neo_attest_policies *policies_by(const char *measures, const char *mode,
                                                      const char *rollout)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};
    struct neo_attest_policies *policies;
    struct neo_error err;

    (void)neo_buffer_printf(&text,
                            "attestation_policies:\n  echo-service:\n"
                            "    require: simulator\n    max_evidence_age: \"60s\"\n%s"
                            "    any_of:\n      - tee: sev-snp\n        measurement: [\"",
                            mode);
    for (int i = 0; i < 48; i++)
        (void)neo_buffer_append_text(&text, measures);
    (void)neo_buffer_append_text(&text, "\"]\n");
    const struct neo_document documents[] = {
        {NEO_LIT("attest.yaml"), neo_buffer_bytes(&text)},
        {NEO_LIT("rollouts.yaml"), neo_text(rollout == NULL ? "" : rollout)},
    };
    if (neo_attest_policies_compile(documents, rollout == NULL ? 1 : 2, true, &policies, &err) !=
        NEO_OK)
        fail_msg("%s", err.message);
    return policies;
}

static inline struct neo_attest_policies *policies_of(const char *measures)
{
    return policies_by(measures, "", NULL);
}

/* That the server runs this, and for how long it counts (0: no date), from the world's beginning.
 */
static inline struct neo_attest_policies *rolled_out(const char *mode, enum neo_rollout_state state,
                                                     int64_t seconds)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};
    char measurement[97] = "";
    struct neo_rollout r;

    for (int i = 0; i < 48; i++)
        memcpy(measurement + 2 * i, "5e", 3);
    assert_int_equal(neo_rollout_begin("echo-service", measurement, WALL, &r, NULL), NEO_OK);
    r.state = state;
    r.not_after = seconds == 0 ? 0 : WALL + seconds;
    assert_true(neo_rollouts_write(&r, 1, &text) && neo_buffer_append_byte(&text, '\0'));
    return policies_by("5e", mode, (const char *)text.at);
}

static inline int make_machine(void **state)
{
    uint8_t measurement[48];

    (void)state;
    if (neo_sim_snp_init(&bundle, &root, WALL, NULL) != NEO_OK)
        return -1;
    const struct neo_attest_trust_options options = {.simulated_root = neo_buffer_bytes(&root),
                                                     .development = true};
    memset(measurement, 0x5e, sizeof(measurement));
    if (neo_attest_trust_new(&options, &attest_trust, NULL) != NEO_OK ||
        neo_sim_snp_attester(neo_buffer_bytes(&bundle), measurement, true, &attester.real, NULL) !=
            NEO_OK)
        return -1;
    attester.face = (struct neo_attester){
        .kind = attester.real->kind, .attest = attest, .is_fast = attester.real->is_fast};
    brief = policies_of("5e");
    same = policies_of("5e");
    strict = policies_of("77");
    return 0;
}

static inline int break_machine(void **state)
{
    (void)state;
    attester.real->free(attester.real);
    neo_attest_policies_unref(brief);
    neo_attest_policies_unref(same);
    neo_attest_policies_unref(strict);
    neo_attest_trust_unref(attest_trust);
    neo_buffer_fini_secret(&bundle);
    neo_buffer_fini(&root);
    return 0;
}

/* --- the scene -------------------------------------------------------------------------------- */

/* The channel of the caller; `more` is filled up with whose it is. */
static inline void open_as_caller(const char *target, struct neo_attest_policies *policies,
                                  struct neo_channel_options more)
{
    struct neo_identity *identity = pki_identity(s.world.pki, "caller-service", NULL);

    more.loop = neo_runtime_loop(s.world.client, 0);
    more.epoch = (struct neo_epoch){.identity = identity,
                                    .trust = s.world.epoch.trust,
                                    .attest_policies = policies,
                                    .attest_trust = attest_trust};
    more.service = "echo-service";
    more.trust_domain = "neo.test";
    assert_int_equal(neo_channel_open(target, &more, &s.channel, NULL), NEO_OK);
    neo_identity_unref(identity);
}

static inline void open_wide(struct neo_attest_policies *policies, uint32_t connections)
{
    const struct neo_channel_tuning tuning = {.max_connections = connections};

    open_as_caller(s.target, policies, (struct neo_channel_options){.tuning = &tuning});
}

static inline void open_channel(struct neo_attest_policies *policies)
{
    open_wide(policies, 1);
}

static inline int begin(void **state)
{
    const struct neo_server_options options = {.attester = &attester.face,
                                               .epoch.attest_trust = attest_trust};

    (void)state;
    memset(&s, 0, sizeof(s));
    attester.proofs = 0;
    attester.fails = false;
    sim_new(3);
    sim_host("10.0.0.1");
    echo_world_init(&s.world);
    s.server = echo_server_at(&s.world, &options, "10.0.0.1:7000");
    echo_target(s.target, sizeof(s.target), &s.server, 1);
    sim_host("10.0.0.2");
    return neo_runtime_new(1, &s.world.client, NULL) == NEO_OK ? 0 : -1;
}

static inline int end(void **state)
{
    (void)state;
    neo_channel_free(s.channel);
    neo_server_free(s.server);
    neo_runtime_free(s.world.client);
    echo_world_fini(&s.world);
    sim_free();
    return 0;
}

/* --- calls ------------------------------------------------------------------------------------ */

static inline void heard(struct neo_client_call *call, const void *response, void *self)
{
    (void)call;
    (void)response;
    ((struct call *)self)->messages++;
}

static inline void over(struct neo_client_call *call, const struct neo_status *status, void *self)
{
    struct call *c = self;

    (void)call;
    c->over = true;
    c->call = NULL;
    c->code = status->code;
    c->ended = neo_mono_nsec();
    if (c->cancels != NULL && !c->cancels->over)
        neo_client_call_cancel(c->cancels->call);
}

static const struct neo_client_events events = {.message = heard, .done = over};

static inline struct call *say(bool wait_for_ready)
{
    struct neo_call_options options = {.timeout = 100 * SEC, .wait_for_ready = wait_for_ready};
    struct neo_test_v1_Words request = {.count = 1};
    struct call *c = &s.calls[s.n++];

    assert_int_equal(
        neo_test_v1_Speech_Do_start(s.channel, &options, &request, &events, c, &c->call, NULL),
        NEO_OK);
    return c;
}

static inline struct call *listen(void)
{
    struct neo_call_options options = {.wait_for_ready = true};
    struct neo_test_v1_Words request = {.count = 1, .size = 1, .delay_ms = 1};
    struct call *c = &s.calls[s.n++];

    assert_int_equal(
        neo_test_v1_Speech_Repeat_start(s.channel, &options, &request, &events, c, &c->call, NULL),
        NEO_OK);
    return c;
}

static inline bool is_over(void *self)
{
    return ((struct call *)self)->over;
}

static inline bool has_message(void *self)
{
    return ((struct call *)self)->messages > 0;
}

static inline enum neo_code wait_over(struct call *c)
{
    assert_true(sim_wait(is_over, c, 120 * SEC));
    return c->code;
}

#endif
