/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attest_fixture.h - what fixture.h has, and a simulated machine that both ends
 * prove themselves with. The client's end of an exchange is carried by hand.
 */
#ifndef NEO_TESTS_UNIT_RPC_ATTEST_FIXTURE_H
#define NEO_TESTS_UNIT_RPC_ATTEST_FIXTURE_H

#include "fixture.h"

#include "attest/session.h"

#include <neo/digest.h>

#include <openssl/crypto.h>

#define PATH "/neo.attest.v1.Attestation/Attest"

static struct rpc_client client;
static struct neo_buffer bundle, root;
static struct neo_attest_trust *attest_trust;
static struct neo_attest_policies *attest_policies; /* the caller must prove itself */
static struct neo_attest_policies *server_policies; /* the server must */
static struct neo_attester *caller_attester, *rogue_attester, *server_attester;

static inline struct neo_attest_policies *policies_for(const char *service, const char *measures,
                                                       const char *max_age)
{
    struct neo_attest_policies *policies = NULL;
    struct neo_buffer text = {0};
    struct neo_error err = {0};

    neo_buffer_printf(&text,
                      "attestation_policies:\n"
                      "  %s:\n"
                      "    require: simulator\n"
                      "%s"
                      "    any_of:\n"
                      "      - tee: sev-snp\n"
                      "        measurement: [\"",
                      service, max_age);
    for (int i = 0; i < 48; i++)
        neo_buffer_append_text(&text, measures);
    neo_buffer_append_text(&text, "\"]\n");
    const struct neo_document document = {NEO_LIT("attest.yaml"), neo_buffer_bytes(&text)};
    if (neo_attest_policies_compile(&document, 1, true, &policies, &err) != NEO_OK)
        fail_msg("%s", err.message);
    neo_buffer_fini(&text);
    return policies;
}

static inline struct neo_attester *attester_of(uint8_t measures)
{
    struct neo_attester *attester;
    uint8_t measurement[48];

    memset(measurement, measures, sizeof(measurement));
    assert_int_equal(
        neo_sim_snp_attester(neo_buffer_bytes(&bundle), measurement, true, &attester, NULL),
        NEO_OK);
    return attester;
}

/* RSA keys take a while: one machine for all tests. */
static inline int make_machine(void **state)
{
    (void)state;
#ifdef NEO_SIM
    int64_t wall = 1767225600; /* where its world begins */
#else
    int64_t wall = neo_wall_nsec() / (int64_t)NEO_NSEC_PER_SEC;
#endif
    if (neo_sim_snp_init(&bundle, &root, wall, NULL) != NEO_OK)
        return -1;
    const struct neo_attest_trust_options options = {
        .simulated_root = neo_buffer_bytes(&root),
        .development = true,
    };
    assert_int_equal(neo_attest_trust_new(&options, &attest_trust, NULL), NEO_OK);
    attest_policies = policies_for("caller-service", "ca", "");
    server_policies = policies_for("echo-service", "5e", "");
    caller_attester = attester_of(0xca);
    rogue_attester = attester_of(0x66);
    server_attester = attester_of(0x5e);
    return 0;
}

static inline int break_machine(void **state)
{
    (void)state;
    caller_attester->free(caller_attester);
    rogue_attester->free(rogue_attester);
    server_attester->free(server_attester);
    neo_attest_policies_unref(attest_policies);
    neo_attest_policies_unref(server_policies);
    neo_attest_trust_unref(attest_trust);
    neo_buffer_fini_secret(&bundle);
    neo_buffer_fini(&root);
    return 0;
}

static inline void serve_attesting(struct neo_attest_policies *policies)
{
    world.options.epoch.attest_policies = policies;
    world.options.epoch.attest_trust = attest_trust;
    if (world.options.attester == NULL)
        world.options.attester = server_attester;
    serve();
}

/* Threads of the pool live as long as the process: what OpenSSL keeps for them would look lost. */
static inline enum neo_code attest_on_pool(struct neo_attester *self,
                                           const uint8_t binder[static NEO_BINDER_LEN],
                                           struct neo_buffer *out_body,
                                           struct neo_buffer *out_certificates,
                                           struct neo_error *err)
{
    enum neo_code code =
        server_attester->attest(server_attester, binder, out_body, out_certificates, err);

    (void)self;
    OPENSSL_thread_stop();
    return code;
}

/* --- the client's end of the exchange ---------------------------------------------------- */

struct exchange {
    struct rpc_call call;
    struct attest_session *session;
    struct neo_attester *attester;
    size_t taken;
    enum attest_state state;
};

/* NULL: server_policies; what is known of the server: nothing; the channel: that of the frames. */
static struct neo_attest_policies *exchange_policies;
static struct attest_vouch *exchange_known;
static struct rpc_client *exchange_channel;

static inline void open_exchange_on(struct exchange *x, struct rpc_client *from,
                                    struct neo_attester *attester, bool want_server)
{
    struct tls *tls = conn_tls((exchange_channel != NULL ? exchange_channel : from)->conn);
    const struct tls_peer *facts = tls_peer(tls);
    struct attest_channel channel = {
        .own_uri = NEO_LIT("spiffe://neo.test/caller-service"),
        .peer_uri = facts->uri,
        .peer_service = facts->service,
    };
    struct attest_options options = {
        .channel = &channel,
        .trust = attest_trust,
        .policies = exchange_policies != NULL ? exchange_policies : server_policies,
        .vouches = &exchange_known,
        .n_vouches = exchange_known != NULL,
        .attester = attester,
        .want_peer = want_server,
    };
    struct neo_buffer out = {0};
    struct neo_error err = {0};

    *x = (struct exchange){.attester = attester};
    assert_int_equal(tls_exporter(tls, channel.exporter, NULL), NEO_OK);
    tls_own_spki_sha256(tls, channel.own_spki_sha256);
    memcpy(channel.peer_spki_sha256, facts->spki_sha256, 32);
    neo_random(options.nonce, sizeof(options.nonce));
    if (attest_session_new(&options, &x->session, &err) != NEO_OK)
        fail_msg("%s", err.message);
    assert_true(rpc_call_start(&x->call, from, &(struct rpc_request){.path = PATH}));
    assert_int_equal(attest_session_start(x->session, &out, NULL), NEO_OK);
    rpc_call_send(&x->call, neo_buffer_bytes(&out));
    neo_buffer_fini(&out);
}

static inline void open_exchange(struct exchange *x, struct neo_attester *attester,
                                 bool want_server)
{
    open_exchange_on(x, &client, attester, want_server);
}

static inline void prove(struct exchange *x, struct neo_buffer *out)
{
    struct neo_buffer body = {0};
    struct neo_buffer certificates = {0};

    assert_int_equal(x->attester->attest(x->attester, attest_session_binder(x->session), &body,
                                         &certificates, NULL),
                     NEO_OK);
    x->state = attest_session_evidence(x->session, neo_buffer_bytes(&body),
                                       neo_buffer_bytes(&certificates), out);
    neo_buffer_fini(&body);
    neo_buffer_fini(&certificates);
}

static inline void carry(struct exchange *x)
{
    while (x->taken < x->call.n_messages) {
        struct neo_buffer out = {0};
        x->state =
            attest_session_feed(x->session, x->call.messages[x->taken++],
                                neo_wall_nsec() / (int64_t)NEO_NSEC_PER_SEC, neo_mono_nsec(), &out);
        if (x->state == ATTEST_NEEDS_EVIDENCE)
            prove(x, &out);
        if (out.len > 0)
            rpc_call_send(&x->call, neo_buffer_bytes(&out));
        neo_buffer_fini(&out);
    }
}

static inline enum neo_code run_exchange_on(struct rpc_client *from, struct neo_attester *attester,
                                            bool want_server)
{
    struct exchange x;

    open_exchange_on(&x, from, attester, want_server);
    wait_for((carry(&x), x.call.closed));
    enum neo_code code = x.call.status.code;
    if (code == NEO_OK)
        assert_int_equal(x.state, ATTEST_ACCEPTED);
    attest_session_free(x.session);
    rpc_call_fini(&x.call);
    return code;
}

static inline enum neo_code run_exchange(struct neo_attester *attester, bool want_server)
{
    return run_exchange_on(&client, attester, want_server);
}

#endif
