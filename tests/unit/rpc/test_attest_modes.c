/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Session keys and proofs for single calls, over TLS as it is: a channel that comes
 * again without a quote, a call of which nothing leaves before its server has proven
 * itself, and an adversary who holds the server's TLS key.
 */
#include "attest_fixture.h"

#include "attest/fresh.h"
#include "rpc/attest_work.h"

#include <neo/channel.h>
#include <neo/encoding.h>
#include <neo/test/v1/secret.neo.h>

static struct neo_channel *channel;
static struct neo_arena arena;
static struct neo_attest_policies *delegated, *per_call, *brief;
static atomic_uint quotes, sealed, poured;
static struct neo_test_v1_Vault secret = {.name = {(const uint8_t *)"n", 1},
                                          .key = {(const uint8_t *)"hunter2", 7}};

/* --- a server that counts its quotes ------------------------------------------------------ */

static enum neo_code count_quote(struct neo_attester *self,
                                 const uint8_t binder[static NEO_BINDER_LEN],
                                 struct neo_buffer *out_body, struct neo_buffer *out_certificates,
                                 struct neo_error *err)
{
    (void)self;
    atomic_fetch_add(&quotes, 1);
    return server_attester->attest(server_attester, binder, out_body, out_certificates, err);
}

static struct neo_attester counting = {.is_fast = true, .attest = count_quote};

static void seal(struct neo_call *call, const struct neo_test_v1_Vault *request, void *self)
{
    struct neo_test_v1_Vault response = {.name = request->name};

    (void)self;
    atomic_fetch_add(&sealed, request->key.len == 7);
    neo_test_v1_Vaults_Seal_reply(call, &response);
}

static void open_vault(struct neo_call *call, const struct neo_test_v1_Vault *request, void *self)
{
    struct neo_test_v1_Vault response = {.name = request->name};

    (void)self;
    neo_test_v1_Vaults_Open_reply(call, &response);
}

static void pour_back(struct neo_call *call, const void *request, void *state)
{
    const struct neo_test_v1_Vault *vault = request;
    struct neo_test_v1_Vault response = {.name = vault->name};

    (void)state;
    atomic_fetch_add(&poured, 1);
    (void)neo_test_v1_Vaults_Pour_send(call, &response);
}

static void poured_out(struct neo_call *call, void *state)
{
    static const struct neo_status ok = {.code = NEO_OK};

    (void)state;
    neo_call_finish(call, &ok);
}

static void pour(struct neo_call *call, const struct neo_test_v1_Vault *request, void *self)
{
    static const struct neo_stream_events events = {.message = pour_back,
                                                    .half_closed = poured_out};

    (void)request;
    (void)self;
    neo_call_on_stream(call, &events, NULL);
}

static void add_vaults(void)
{
    static const struct neo_test_v1_Vaults_handlers handlers = {
        .Open = open_vault,
        .Seal = seal,
        .Pour = pour,
    };

    assert_int_equal(neo_test_v1_Vaults_add(world.server, &handlers, NULL, NULL), NEO_OK);
}

static void open_channel(struct neo_attest_policies *policies)
{
    struct neo_channel_options o = {
        .loop = neo_runtime_loop(world.runtime, 0),
        .epoch = {.identity = world.caller,
                  .trust = world.trust,
                  .attest_trust = attest_trust,
                  .attest_policies = policies},
        .service = "echo-service",
        .trust_domain = "neo.test",
        .attester = caller_attester,
        .log = &world.log,
    };
    struct neo_error err = {0};
    char target[100];

    (void)snprintf(target, sizeof(target), "ipv4:%s", neo_server_address(world.server));
    if (neo_channel_open(target, &o, &channel, &err) != NEO_OK)
        fail_msg("%s", err.message);
}

static void serve_vaults(struct neo_attest_policies *policies)
{
    quotes = sealed = poured = 0;
    counting.kind = server_attester->kind;
    neo_arena_init(&arena, 1 << 20);
    world.options.attester = &counting;
    world.options.epoch.attest_trust = attest_trust;
    world.prepare = add_vaults;
    serve();
    if (policies != NULL)
        open_channel(policies);
}

static int end_vaults(void **state)
{
    neo_channel_free(channel);
    channel = NULL;
    neo_arena_fini(&arena);
    return end(state);
}

static int make_modes(void **state)
{
    if (make_machine(state) != 0)
        return -1;
    delegated = policies_for("echo-service", "5e", "    mode: delegated\n");
    per_call = policies_for("echo-service", "5e", "    mode: per-call\n");
    brief = policies_for("echo-service", "5e", "    mode: delegated\n    max_evidence_age: 2s\n");
    return 0;
}

static int break_modes(void **state)
{
    neo_attest_policies_unref(delegated);
    neo_attest_policies_unref(per_call);
    neo_attest_policies_unref(brief);
    return break_machine(state);
}

static enum neo_code open_once(struct neo_status *status)
{
    struct neo_test_v1_Vault response;

    return neo_test_v1_Vaults_Open(channel, NULL, &secret, &response, &arena, status);
}

/* Calls, and says whether only a connection that came after the first `accepted` is left. */
static bool replaced(uint64_t accepted)
{
    struct neo_server_stats stats;
    struct neo_status status;

    (void)open_once(&status);
    stats = neo_server_stats(world.server);
    return stats.accepted > accepted && stats.connections == 1;
}

/*
 * Everybody is sent away, and comes again with the next call. That call may still be answered by
 * the connection that ends while its successor is accepted and not yet proven; so one more follows,
 * which can only have been answered by the successor.
 */
static void start_over(void)
{
    uint64_t accepted = neo_server_stats(world.server).accepted;
    struct neo_status status;

    wait_for(replaced(accepted) && open_once(&status) == NEO_OK);
}

/* --- delegated --------------------------------------------------------------------------- */

TEST(a_channel_that_comes_again_is_proven_to_without_another_quote)
{
    struct neo_status status;

    world.options.max_connection_age = 1500 * MSEC;
    serve_vaults(delegated);
    wait_for(open_once(&status) == NEO_OK);
    assert_int_equal(quotes, 1);
    for (int i = 0; i < 2; i++)
        start_over();
    assert_int_equal(quotes, 1);
}

TEST(in_direct_mode_every_connection_is_a_quote)
{
    struct neo_status status;

    world.options.max_connection_age = 1500 * MSEC;
    serve_vaults(server_policies);
    wait_for(open_once(&status) == NEO_OK);
    unsigned first = quotes;
    start_over();
    assert_true(quotes > first);
}

TEST(new_policies_make_the_key_worthless_and_evidence_comes_again)
{
    struct neo_attest_policies *same = policies_for("echo-service", "5e", "    mode: delegated\n");
    struct neo_status status;

    serve_vaults(delegated);
    assert_int_equal(open_once(&status), NEO_OK);
    assert_int_equal(quotes, 1);
    neo_channel_update(channel, &(struct neo_epoch){.attest_policies = same});
    wait_for(open_once(&status) == NEO_OK && quotes == 2);
    neo_attest_policies_unref(same);
}

TEST(new_collateral_makes_the_key_worthless_too)
{
    const struct neo_attest_trust_options options = {
        .simulated_root = neo_buffer_bytes(&root),
        .development = true,
    };
    struct neo_attest_trust *anew;
    struct neo_status status;

    assert_int_equal(neo_attest_trust_new(&options, &anew, NULL), NEO_OK);
    serve_vaults(delegated);
    assert_int_equal(open_once(&status), NEO_OK);
    neo_channel_update(channel, &(struct neo_epoch){.attest_trust = anew});
    wait_for(open_once(&status) == NEO_OK && quotes == 2);
    neo_attest_trust_unref(anew);
}

/* At two thirds of its life the connection proves itself anew, and a key cannot do that. */
TEST(a_key_does_not_outlive_its_evidence)
{
    neo_nsec until = neo_mono_nsec() + 5 * SEC;
    struct neo_status status;

    serve_vaults(brief);
    while (neo_mono_nsec() < until) {
        (void)open_once(&status);
        run_for(50 * MSEC);
    }
    assert_in_range(quotes, 2, 8);
}

/* --- proofs per call --------------------------------------------------------------------- */

TEST(a_method_that_asks_for_it_is_proven_for_each_call_and_then_hears_the_secret)
{
    struct neo_test_v1_Vault response;
    struct neo_status status;

    serve_vaults(delegated);
    assert_int_equal(neo_test_v1_Vaults_Seal(channel, NULL, &secret, &response, &arena, &status),
                     NEO_OK);
    neo_nsec begun = neo_mono_nsec();
    for (unsigned i = 2; i <= 4; i++) {
        assert_int_equal(
            neo_test_v1_Vaults_Seal(channel, NULL, &secret, &response, &arena, &status), NEO_OK);
        assert_int_equal(sealed, i);
    }
    assert_true(neo_mono_nsec() - begun < 5 * SEC); /* the headers leave at once */
    assert_int_equal(quotes, 1);
}

TEST(so_is_every_call_where_the_policy_asks_for_it)
{
    struct neo_status status;

    serve_vaults(per_call);
    assert_int_equal(open_once(&status), NEO_OK);
    assert_int_equal(open_once(&status), NEO_OK);
    assert_int_equal(quotes, 1);
}

TEST(a_stream_waits_for_the_proof_and_goes_on)
{
    struct neo_test_v1_Vault response;
    struct neo_stream *stream;
    struct neo_error err;

    serve_vaults(delegated);
    assert_int_equal(neo_test_v1_Vaults_Pour_stream(channel, NULL, &stream, &err), NEO_OK);
    for (int i = 0; i < 100; i++)
        assert_int_equal(neo_test_v1_Vaults_Pour_stream_send(stream, &secret), NEO_OK);
    neo_stream_close_send(stream);
    for (int i = 0; i < 100; i++)
        assert_true(neo_test_v1_Vaults_Pour_stream_next(stream, &response, &arena));
    assert_false(neo_test_v1_Vaults_Pour_stream_next(stream, &response, &arena));
    assert_int_equal(neo_stream_status(stream)->code, NEO_OK);
    neo_stream_free(stream);
    assert_int_equal(poured, 100);
}

/* Two calls of which the first ends itself as soon as it may send, and begins the second. */
static struct ending {
    struct neo_client_call *call;
    unsigned headers, messages;
    _Atomic bool first_over, second_over;
    enum neo_code first, second;
} ending;

static void second_headers(struct neo_client_call *call, void *self)
{
    (void)call;
    (void)self;
    ending.headers++;
}

static void second_message(struct neo_client_call *call, const void *response, void *self)
{
    (void)call;
    (void)response;
    (void)self;
    ending.messages++;
}

static void second_done(struct neo_client_call *call, const struct neo_status *status, void *self)
{
    (void)call;
    (void)self;
    ending.second = status->code;
    ending.second_over = true;
}

static void no_message(struct neo_client_call *call, const void *response, void *self)
{
    (void)call;
    (void)response;
    (void)self;
}

/* The call it ends is still there when it is back: the next one cannot have got its memory. */
static void end_it(struct neo_client_call *call, void *self)
{
    static const struct neo_client_events second = {
        .headers = second_headers, .message = second_message, .done = second_done};
    struct neo_client_call *next;

    (void)self;
    neo_client_call_cancel(call);
    assert_int_equal(
        neo_test_v1_Vaults_Open_start(channel, NULL, &secret, &second, NULL, &next, NULL), NEO_OK);
    assert_ptr_not_equal(next, call);
}

static void first_done(struct neo_client_call *call, const struct neo_status *status, void *self)
{
    (void)call;
    (void)self;
    ending.first = status->code;
    ending.first_over = true;
}

static void start_ending(void *self)
{
    static const struct neo_client_events first = {
        .message = no_message, .writable = end_it, .done = first_done};

    (void)self;
    assert_int_equal(neo_test_v1_Vaults_Pour_start(channel, NULL, &first, NULL, &ending.call, NULL),
                     NEO_OK);
}

TEST(a_call_may_end_itself_when_its_proof_has_come)
{
    struct neo_status status;

    memset(&ending, 0, sizeof(ending));
    serve_vaults(delegated);
    wait_for(open_once(&status) == NEO_OK);
    neo_runtime_call(world.runtime, 0, start_ending, NULL);
    wait_for(ending.first_over && ending.second_over);
    assert_int_equal(ending.first, NEO_CANCELLED);
    assert_int_equal(ending.second, NEO_OK);
    assert_int_equal(ending.messages, 1);
    assert_int_equal(ending.headers, 1); /* its own; not those of the call before it */
    assert_int_equal(poured, 0);
}

TEST(without_a_session_key_such_a_call_does_not_leave)
{
    struct neo_test_v1_Vault response;
    struct neo_status status;

    serve_vaults(server_policies); /* direct */
    assert_int_equal(neo_test_v1_Vaults_Seal(channel, NULL, &secret, &response, &arena, &status),
                     NEO_FAILED_PRECONDITION);
    assert_true(neo_bytes_is(status.reason, "ATTESTATION_REQUIRED"));
    assert_int_equal(sealed, 0);
    assert_int_equal(neo_channel_wire(channel).request_bytes, 0);
}

TEST(a_server_refuses_such_a_call_that_does_not_ask)
{
    struct rpc_call call;

    serve_vaults(NULL);
    connect_ready(&client, world.caller);
    assert_true(
        rpc_call_start(&call, &client, &(struct rpc_request){.path = "/neo.test.v1.Vaults/Seal"}));
    wait_for(call.closed);
    assert_reason(&call, NEO_FAILED_PRECONDITION, "ATTESTATION_REQUIRED");
    rpc_call_fini(&call);
}

/* --- by hand ------------------------------------------------------------------------------ */

/* The server proves itself to a raw client, naming its key. */
static struct attest_fresh *prove_to(struct rpc_client *to)
{
    struct exchange x;
    struct attest_fresh *fresh;

    exchange_policies = delegated;
    open_exchange_on(&x, to, caller_attester, true);
    exchange_policies = NULL;
    wait_for((carry(&x), x.call.closed));
    assert_int_equal(x.call.status.code, NEO_OK);
    fresh = fresh_new(x.session);
    assert_true(fresh_can_check(fresh));
    attest_session_free(x.session);
    rpc_call_fini(&x.call);
    return fresh;
}

static struct neo_buffer header_of(const struct rpc_call *call, const char *name)
{
    struct neo_buffer raw = {0};

    assert_int_equal(neo_base64_decode(wire_header(call->headers, name), &raw, NULL), NEO_OK);
    return raw;
}

static void ask_for_proof(struct rpc_call *call, const char *header, const uint8_t *nonce)
{
    struct neo_buffer text = {0};

    assert_true(neo_base64_encode(&text, neo_bytes(nonce, 32), NEO_BASE64_UNPADDED));
    const struct h2_header headers[] = {{neo_text(header), neo_buffer_bytes(&text)}};
    assert_true(rpc_call_start(call, &client,
                               &(struct rpc_request){.path = "/neo.test.v1.Vaults/Seal",
                                                     .headers = headers,
                                                     .n_headers = 1}));
    neo_buffer_fini(&text);
}

static enum neo_code check_proof(const struct attest_fresh *fresh, const struct rpc_call *call,
                                 const char *proof_name, const char *id_name, const uint8_t *nonce,
                                 uint32_t stream, const char *path)
{
    struct neo_buffer proof = header_of(call, proof_name);
    struct neo_buffer id = header_of(call, id_name);
    const struct fresh_call is = {neo_bytes(nonce, 32), stream, neo_text(path)};
    enum neo_code code = fresh_check(fresh, &is, neo_buffer_bytes(&proof), neo_buffer_bytes(&id),
                                     neo_mono_nsec(), NULL);

    neo_buffer_fini(&proof);
    neo_buffer_fini(&id);
    return code;
}

TEST(the_proof_comes_before_a_byte_of_the_request_and_holds_for_this_stream)
{
    static const uint8_t nonce[32] = {7};
    struct neo_buffer wire = {0};
    struct attest_fresh *fresh;
    struct rpc_call call;

    serve_vaults(NULL);
    connect_ready(&client, world.caller);
    fresh = prove_to(&client);
    ask_for_proof(&call, "x-attestation-nonce-bin", nonce);
    wait_for(call.headers.len > 0); /* and we have sent no message */
    uint32_t id = (uint32_t)call.stream->id;
    static const char proof[] = "x-attestation-proof-bin",
                      evidence[] = "x-attestation-evidence-id-bin",
                      path[] = "/neo.test.v1.Vaults/Seal";
    assert_int_equal(check_proof(fresh, &call, proof, evidence, nonce, id, path), NEO_OK);
    assert_int_equal(check_proof(fresh, &call, proof, evidence, nonce, id + 2, path),
                     NEO_UNAUTHENTICATED);
    assert_int_equal(
        check_proof(fresh, &call, proof, evidence, nonce, id, "/neo.test.v1.Vaults/Pour"),
        NEO_UNAUTHENTICATED);
    assert_int_equal(sealed, 0);
    assert_int_equal(neo_test_v1_Vault_encode(&secret, &wire, NULL), NEO_OK);
    rpc_call_send(&call, neo_buffer_bytes(&wire));
    rpc_call_end(&call);
    wait_for(call.closed);
    assert_int_equal(call.status.code, NEO_OK);
    assert_int_equal(sealed, 1);
    neo_buffer_fini(&wire);
    rpc_call_fini(&call);
    fresh_free(fresh);
}

TEST(the_seeds_header_names_mean_the_same)
{
    static const uint8_t nonce[32] = {8};
    struct attest_fresh *fresh;
    struct rpc_call call;

    serve_vaults(NULL);
    connect_ready(&client, world.caller);
    fresh = prove_to(&client);
    ask_for_proof(&call, "x-attestation-nonce", nonce);
    wait_for(call.headers.len > 0);
    assert_int_equal(check_proof(fresh, &call, "x-attestation-evidence",
                                 "x-attestation-evidence-id", nonce, (uint32_t)call.stream->id,
                                 "/neo.test.v1.Vaults/Seal"),
                     NEO_OK);
    rpc_call_reset(&call, H2_CANCEL);
    wait_for(call.closed);
    rpc_call_fini(&call);
    fresh_free(fresh);
}

TEST(a_nonce_that_is_none_and_a_connection_that_was_not_proven_to_get_no_proof)
{
    static const uint8_t nonce[32] = {9};
    static const struct h2_header empty[] = {
        {{(const uint8_t *)"x-attestation-nonce-bin", 23}, {(const uint8_t *)"AAAA", 4}}};
    struct rpc_call call;

    serve_vaults(NULL);
    connect_ready(&client, world.caller);
    ask_for_proof(&call, "x-attestation-nonce-bin", nonce);
    wait_for(call.closed);
    assert_reason(&call, NEO_FAILED_PRECONDITION, "ATTESTATION_REQUIRED");
    rpc_call_fini(&call);
    assert_true(rpc_call_start(&call, &client,
                               &(struct rpc_request){.path = "/neo.test.v1.Vaults/Seal",
                                                     .headers = empty,
                                                     .n_headers = 1}));
    wait_for(call.closed);
    assert_reason(&call, NEO_INVALID_ARGUMENT, "REQUEST_MALFORMED");
    rpc_call_fini(&call);
    assert_int_equal(sealed, 0);
}

/* --- the relay ---------------------------------------------------------------------------- */

static struct neo_server *relay;

/* The adversary's own server, with the stolen key and certificate of the genuine one. */
static void connect_to_relay(struct rpc_client *victim)
{
    struct neo_server_options options = world.options;
    struct neo_error err = {0};

    options.attester = NULL;
    if (neo_server_new(&options, &relay, &err) != NEO_OK ||
        neo_server_listen(relay, "127.0.0.1:0", &err) != NEO_OK)
        fail_msg("%s", err.message);
    assert_true(rpc_client_connect(victim, world.loop, neo_server_address(relay), world.caller,
                                   world.trust, "spiffe://neo.test/echo-service"));
    world.clients[world.n_clients++] = victim;
    wait_for(victim->ready);
}

/* Frames of a session on the victim's connection, carried over the relay's to the genuine server.
 */
static void run_relayed(struct exchange *x, struct rpc_client *victim, struct rpc_client *behind)
{
    exchange_channel = victim;
    open_exchange_on(x, behind, caller_attester, true);
    exchange_channel = NULL;
    wait_for((carry(x), x->call.closed || x->state == ATTEST_REFUSED));
}

static void end_relay(struct rpc_client *victim)
{
    disconnect(victim);
    neo_server_free(relay);
}

TEST(a_relay_with_the_stolen_key_passes_a_binding_to_keys_and_names_and_not_ours)
{
    static struct rpc_client victim, behind;
    struct tls *front, *back;
    uint8_t e[2][32];
    struct exchange x;

    serve_vaults(NULL);
    connect_ready(&behind, world.caller);
    connect_to_relay(&victim);
    front = conn_tls(victim.conn);
    back = conn_tls(behind.conn);
    /* All that a key-only binding hashes is the same on both connections ... */
    assert_memory_equal(tls_peer(front)->spki_sha256, tls_peer(back)->spki_sha256, 32);
    assert_true(neo_bytes_equal(tls_peer(front)->uri, tls_peer(back)->uri));
    /* ... but their exporters are not. */
    assert_int_equal(tls_exporter(front, e[0], NULL), NEO_OK);
    assert_int_equal(tls_exporter(back, e[1], NULL), NEO_OK);
    assert_memory_not_equal(e[0], e[1], 32);
    run_relayed(&x, &victim, &behind);
    assert_int_equal(x.state, ATTEST_REFUSED);
    assert_int_equal(attest_session_reason(x.session), NEO_ATTEST_BINDING);
    if (!x.call.closed)
        rpc_call_reset(&x.call, H2_CANCEL);
    wait_for(x.call.closed);
    attest_session_free(x.session);
    rpc_call_fini(&x.call);
    end_relay(&victim);
}

TEST(a_relay_cannot_use_the_session_key_either)
{
    static struct rpc_client victim, behind;
    struct attest_vouch *known;
    struct exchange x;

    serve_vaults(NULL);
    connect_ready(&behind, world.caller);
    connect_to_relay(&victim);
    exchange_policies = delegated;
    open_exchange_on(&x, &behind, caller_attester, true); /* the genuine server names its key */
    wait_for((carry(&x), x.call.closed));
    known = vouch_ref(attest_session_vouch(x.session));
    attest_session_free(x.session);
    rpc_call_fini(&x.call);
    exchange_known = known;
    run_relayed(&x, &victim, &behind);
    assert_int_equal(quotes, 1); /* it answered with its key */
    assert_int_equal(x.state, ATTEST_REFUSED);
    assert_int_equal(attest_session_reason(x.session), NEO_ATTEST_BINDING);
    if (!x.call.closed)
        rpc_call_reset(&x.call, H2_CANCEL);
    wait_for(x.call.closed);
    exchange_policies = NULL;
    exchange_known = NULL;
    vouch_unref(known);
    attest_session_free(x.session);
    rpc_call_fini(&x.call);
    end_relay(&victim);
}

#define P(name) cmocka_unit_test_setup_teardown(name, begin, end_vaults)

int main(void)
{
    const struct CMUnitTest tests[] = {
        P(a_channel_that_comes_again_is_proven_to_without_another_quote),
        P(in_direct_mode_every_connection_is_a_quote),
        P(new_policies_make_the_key_worthless_and_evidence_comes_again),
        P(new_collateral_makes_the_key_worthless_too),
        P(a_key_does_not_outlive_its_evidence),
        P(a_method_that_asks_for_it_is_proven_for_each_call_and_then_hears_the_secret),
        P(so_is_every_call_where_the_policy_asks_for_it),
        P(a_stream_waits_for_the_proof_and_goes_on),
        P(a_call_may_end_itself_when_its_proof_has_come),
        P(without_a_session_key_such_a_call_does_not_leave),
        P(a_server_refuses_such_a_call_that_does_not_ask),
        P(the_proof_comes_before_a_byte_of_the_request_and_holds_for_this_stream),
        P(the_seeds_header_names_mean_the_same),
        P(a_nonce_that_is_none_and_a_connection_that_was_not_proven_to_get_no_proof),
        P(a_relay_with_the_stolen_key_passes_a_binding_to_keys_and_names_and_not_ours),
        P(a_relay_cannot_use_the_session_key_either),
    };

    return cmocka_run_group_tests(tests, make_modes, break_modes);
}
