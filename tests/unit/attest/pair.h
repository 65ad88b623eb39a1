/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pair.h - two ends of one connection, and everything both need to be attested.
 *
 * One simulated machine runs every service, each with a measurement of its own;
 * the policies know function-service, automation-service and key-service. Frames
 * are carried by hand, so a test can be the network, or the adversary.
 */
#ifndef NEO_TESTS_ATTEST_PAIR_H
#define NEO_TESTS_ATTEST_PAIR_H

#include "../unit.h"

#include "attest/session.h"

#include <neo/attest/v1/frame.neo.h>
#include <neo/digest.h>
#include <neo/memory.h>

#include <stdio.h>

#define WALL  INT64_C(1790000000)
#define START (1000 * NEO_NSEC_PER_SEC)
enum { MEASUREMENT_LEN = 48, PAIR_DAY = 86400 };

struct service {
    const char *name;
    uint8_t measures; /* 48 times this */
    struct neo_attester *attester;
};

static struct service function_service = {.name = "function-service", .measures = 0xf1};
static struct service automation_service = {.name = "automation-service", .measures = 0xa0};
static struct service rogue_service = {.name = "function-service", .measures = 0x66};

static struct neo_buffer pair_bundle, pair_root;
static struct neo_attest_trust *pair_trust;
static struct neo_attest_policies *pair_policies;

static inline void pair_add_policy(struct neo_buffer *text, const struct service *service)
{
    assert_true(neo_buffer_printf(text,
                                  "  %s:\n"
                                  "    require: simulator\n"
                                  "    any_of:\n"
                                  "      - tee: sev-snp\n"
                                  "        measurement: [\"",
                                  service->name));
    for (size_t i = 0; i < MEASUREMENT_LEN; i++)
        assert_true(neo_buffer_printf(text, "%02x", service->measures));
    assert_true(neo_buffer_append_text(text, "\"]\n"));
}

static inline void pair_add_attester(struct service *service)
{
    uint8_t measurement[MEASUREMENT_LEN];

    memset(measurement, service->measures, sizeof(measurement));
    assert_int_equal(neo_sim_snp_attester(neo_buffer_bytes(&pair_bundle), measurement, true,
                                          &service->attester, NULL),
                     NEO_OK);
}

static inline int pair_setup(void **state)
{
    struct neo_buffer text = {0};
    struct neo_error err;

    (void)state;
    if (neo_sim_snp_init(&pair_bundle, &pair_root, WALL, NULL) != NEO_OK)
        return -1;
    pair_add_attester(&function_service);
    pair_add_attester(&automation_service);
    pair_add_attester(&rogue_service);

    const struct neo_attest_trust_options options = {
        .simulated_root = neo_buffer_bytes(&pair_root),
        .development = true,
    };
    assert_int_equal(neo_attest_trust_new(&options, &pair_trust, NULL), NEO_OK);
    assert_true(neo_buffer_append_text(&text, "attestation_policies:\n"));
    pair_add_policy(&text, &function_service);
    pair_add_policy(&text, &automation_service);
    const struct neo_document document = {NEO_LIT("attest.yaml"), neo_buffer_bytes(&text)};
    if (neo_attest_policies_compile(&document, 1, true, &pair_policies, &err) != NEO_OK)
        fail_msg("%s", err.message);
    neo_buffer_fini(&text);
    return 0;
}

static inline int pair_teardown(void **state)
{
    (void)state;
    function_service.attester->free(function_service.attester);
    automation_service.attester->free(automation_service.attester);
    rogue_service.attester->free(rogue_service.attester);
    neo_attest_trust_unref(pair_trust);
    neo_attest_policies_unref(pair_policies);
    neo_buffer_fini_secret(&pair_bundle);
    neo_buffer_fini(&pair_root);
    return 0;
}

/* The two views of one TLS connection from automation-service to function-service. */
struct wire {
    struct attest_channel client;
    struct attest_channel server;
};

static inline struct wire wire_new(uint8_t exporter)
{
    struct wire w = {
        .client =
            {
                .own_uri = NEO_LIT("spiffe://neo.local/automation-service"),
                .peer_uri = NEO_LIT("spiffe://neo.local/function-service"),
                .peer_service = NEO_LIT("function-service"),
            },
        .server =
            {
                .is_server = true,
                .own_uri = NEO_LIT("spiffe://neo.local/function-service"),
                .peer_uri = NEO_LIT("spiffe://neo.local/automation-service"),
                .peer_service = NEO_LIT("automation-service"),
            },
    };

    memset(w.client.exporter, exporter, 32);
    memset(w.client.own_spki_sha256, 0xc1, 32);
    memset(w.client.peer_spki_sha256, 0x5e, 32);
    memset(w.server.exporter, exporter, 32);
    memset(w.server.own_spki_sha256, 0x5e, 32);
    memset(w.server.peer_spki_sha256, 0xc1, 32);
    return w;
}

/* One end: its session, and what makes its evidence. */
struct end {
    struct attest_session *session;
    struct neo_attester *attester;
    struct neo_buffer out; /* the last frame; empty: none */
};

struct end_options {
    bool want;
    bool client_first;
    uint8_t nonce;
    struct neo_attest_policies *policies; /* NULL: pair_policies */
    struct neo_key *session_key;
    struct attest_vouch *const *vouches;
    size_t n_vouches;
};

static inline void end_open(struct end *e, const struct attest_channel *channel,
                            const struct service *service, struct end_options o)
{
    struct attest_options options = {
        .channel = channel,
        .trust = pair_trust,
        .policies = o.policies != NULL ? o.policies : pair_policies,
        .attester = service == NULL ? NULL : service->attester,
        .want_peer = o.want,
        .client_first = o.client_first,
        .now = START,
        .session_key = o.session_key,
        .vouches = o.vouches,
        .n_vouches = o.n_vouches,
        .rules = 1,
    };

    memset(options.nonce, o.nonce, sizeof(options.nonce));
    *e = (struct end){.attester = options.attester};
    assert_int_equal(attest_session_new(&options, &e->session, NULL), NEO_OK);
}

static inline void end_close(struct end *e)
{
    attest_session_free(e->session);
    neo_buffer_fini(&e->out);
}

/* Makes the evidence the session asks for. */
static inline enum attest_state end_prove(struct end *e)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer body = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer certificates = {0};

    assert_int_equal(e->attester->attest(e->attester, attest_session_binder(e->session), &body,
                                         &certificates, NULL),
                     NEO_OK);
    return attest_session_evidence(e->session, neo_buffer_bytes(&body),
                                   neo_buffer_bytes(&certificates), &e->out);
}

static inline enum attest_state end_feed_at(struct end *e, struct neo_bytes frame, neo_nsec now)
{
    neo_buffer_clear(&e->out);
    enum attest_state state = attest_session_feed(e->session, frame, WALL, now, &e->out);
    return state == ATTEST_NEEDS_EVIDENCE ? end_prove(e) : state;
}

static inline enum attest_state end_feed(struct end *e, struct neo_bytes frame)
{
    return end_feed_at(e, frame, START + NEO_NSEC_PER_MSEC);
}

static inline void end_start(struct end *e)
{
    neo_buffer_clear(&e->out);
    assert_int_equal(attest_session_start(e->session, &e->out, NULL), NEO_OK);
}

/* Carries frames until nobody has anything to say. Returns how many were carried. */
static inline unsigned pair_run(struct end *client, struct end *server)
{
    struct end *from = client, *to = server;
    unsigned frames = 0;

    end_start(client);
    while (from->out.len > 0) {
        assert_true(++frames < 10);
        (void)end_feed(to, neo_buffer_bytes(&from->out));
        struct end *turn = from;
        from = to;
        to = turn;
    }
    return frames;
}

#define EXPECT_STATE(e, state) assert_int_equal(attest_session_state((e)->session), (state))
#define EXPECT_REFUSAL(e, why)                                                                     \
    do {                                                                                           \
        EXPECT_STATE((e), ATTEST_REFUSED);                                                         \
        assert_string_equal(neo_attest_reason_text(attest_session_reason((e)->session)), (why));   \
    } while (0)

#endif
