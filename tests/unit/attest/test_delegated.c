/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Session keys: what evidence has named proves itself on another connection by a
 * signature, and only there, only for as long, only as itself; and for single calls.
 */
#include "pair.h"

#include "attest/fresh.h"
#include "support/pki.h"

#define SEC NEO_NSEC_PER_SEC

static struct neo_attest_policies *delegated, *per_call;
static struct neo_key *key, *other_key;
static struct attest_vouch *vouch; /* for function-service, by make_vouch() */
static struct attest_fresh *client_fresh, *server_fresh;
static struct neo_buffer offer; /* the server's last */

static struct neo_attest_policies *policies_in(const char *mode)
{
    struct neo_attest_policies *policies;
    struct neo_buffer text = {0};
    struct neo_error err;

    (void)neo_buffer_printf(&text,
                            "attestation_policies:\n  function-service:\n    require: simulator\n"
                            "    mode: %s\n    any_of:\n      - tee: sev-snp\n"
                            "        measurement: [\"",
                            mode);
    for (size_t i = 0; i < MEASUREMENT_LEN; i++)
        (void)neo_buffer_append_text(&text, "f1");
    (void)neo_buffer_append_text(&text, "\"]\n");
    const struct neo_document document = {NEO_LIT("attest.yaml"), neo_buffer_bytes(&text)};
    if (neo_attest_policies_compile(&document, 1, true, &policies, &err) != NEO_OK)
        fail_msg("%s", err.message);
    neo_buffer_fini(&text);
    return policies;
}

static int setup(void **state)
{
    if (pair_setup(state) != 0)
        return -1;
    delegated = policies_in("delegated");
    per_call = policies_in("per-call");
    assert_int_equal(neo_key_generate(NEO_KEY_P256, &key, NULL), NEO_OK);
    assert_int_equal(neo_key_generate(NEO_KEY_ED25519, &other_key, NULL), NEO_OK);
    return 0;
}

static int teardown(void **state)
{
    neo_attest_policies_unref(delegated);
    neo_attest_policies_unref(per_call);
    neo_key_unref(key);
    neo_key_unref(other_key);
    return pair_teardown(state);
}

static int end_each(void **state)
{
    (void)state;
    vouch_unref(vouch);
    vouch = NULL;
    fresh_free(client_fresh);
    fresh_free(server_fresh);
    client_fresh = server_fresh = NULL;
    neo_buffer_fini(&offer);
    return 0;
}

/* One exchange in which the client judges the server. Keeps the offer, and what may be kept. */
static void run(const struct wire *w, struct end *client, struct end *server,
                struct end_options judge, struct end_options prover)
{
    end_open(client, &w->client, NULL, judge);
    end_open(server, &w->server, &function_service, prover);
    end_start(client);
    (void)end_feed(server, neo_buffer_bytes(&client->out));
    neo_buffer_clear(&offer);
    assert_true(neo_buffer_append(&offer, neo_buffer_bytes(&server->out)));
    (void)end_feed(client, neo_buffer_bytes(&server->out));
    if (client->out.len > 0)
        (void)end_feed(server, neo_buffer_bytes(&client->out));
    if (server->out.len > 0 && attest_session_state(client->session) == ATTEST_RUNNING)
        (void)end_feed(client, neo_buffer_bytes(&server->out));
}

static struct end_options judging(uint8_t nonce)
{
    struct end_options o = {.want = true, .nonce = nonce, .policies = delegated};

    if (vouch != NULL) {
        o.vouches = &vouch;
        o.n_vouches = 1;
    }
    return o;
}

static struct end_options proving(uint8_t nonce)
{
    return (struct end_options){.nonce = nonce, .session_key = key};
}

/* The first connection: by evidence, which names the key. */
static void make_vouch(void)
{
    const struct wire w = wire_new(0xe0);
    struct end client, server;

    run(&w, &client, &server, judging(0x11), proving(0x12));
    EXPECT_STATE(&client, ATTEST_ACCEPTED);
    vouch = vouch_ref(attest_session_vouch(client.session));
    client_fresh = fresh_new(client.session);
    server_fresh = fresh_new(server.session);
    end_close(&client);
    end_close(&server);
}

static bool has_evidence(const struct neo_buffer *frame)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    struct neo_attest_v1_AttestFrame f;

    neo_arena_init(&arena, 65536);
    assert_int_equal(neo_attest_v1_AttestFrame_decode(neo_buffer_bytes(frame), &f, &arena, NULL),
                     NEO_OK);
    assert_non_null(f.proof);
    return f.proof->evidence.len > 0;
}

/* --- a further connection --------------------------------------------------------------------- */

TEST(a_key_that_evidence_named_proves_itself_on_another_connection_without_evidence)
{
    const struct wire w = wire_new(0xe1);
    struct end client, server;

    make_vouch();
    assert_true(has_evidence(&offer));
    run(&w, &client, &server, judging(0x21), proving(0x22));
    EXPECT_STATE(&client, ATTEST_ACCEPTED);
    EXPECT_STATE(&server, ATTEST_ACCEPTED);
    assert_false(has_evidence(&offer));
    assert_true(offer.len < 512);
    assert_true(attest_session_appraisal(client.session)->accepted);
    assert_true(attest_session_appraisal(client.session)->simulated);
    /* It never holds longer than the evidence would have. */
    assert_int_equal(attest_session_valid_until(client.session), vouch_until(vouch));
    assert_ptr_equal(attest_session_vouch(client.session), vouch);
    end_close(&client);
    end_close(&server);
}

TEST(a_key_that_is_not_known_brings_evidence_on_the_same_stream)
{
    const struct wire w = wire_new(0xe1);
    struct end client, server;
    struct end_options fresh_process = proving(0x22);

    make_vouch();
    fresh_process.session_key = other_key;
    run(&w, &client, &server, judging(0x21), fresh_process);
    EXPECT_STATE(&client, ATTEST_ACCEPTED);
    assert_true(has_evidence(&offer));
    assert_ptr_not_equal(attest_session_vouch(client.session), vouch);
    end_close(&client);
    end_close(&server);
}

/* --- refusals --------------------------------------------------------------------------------- */

/* `frame` in answer to a session that knows the key. */
static void expect_refused(const struct wire *w, struct end_options judge, const char *why)
{
    struct end client;

    end_open(&client, &w->client, NULL, judge);
    end_start(&client);
    (void)end_feed(&client, neo_buffer_bytes(&offer));
    EXPECT_REFUSAL(&client, why);
    assert_null(attest_session_vouch(client.session));
    end_close(&client);
}

/* An offer by the session key, on a connection of its own. */
static void record_key_proof(const struct wire *w)
{
    struct end client, server;

    make_vouch();
    run(w, &client, &server, judging(0x21), proving(0x22));
    EXPECT_STATE(&client, ATTEST_ACCEPTED);
    assert_false(has_evidence(&offer));
    end_close(&client);
    end_close(&server);
}

TEST(the_signature_of_one_connection_is_worth_nothing_on_another)
{
    const struct wire w = wire_new(0xe1), other = wire_new(0xe2);

    record_key_proof(&w);
    expect_refused(&other, judging(0x21), "binding"); /* even for the same nonce */
    expect_refused(&w, judging(0x31), "binding");     /* nor on the same one for a new nonce */
}

TEST(a_swapped_certificate_or_name_breaks_the_signature)
{
    const struct wire w = wire_new(0xe1);
    struct wire own = w, peer = w, name = w;

    record_key_proof(&w);
    own.client.own_spki_sha256[0] ^= 1;
    peer.client.peer_spki_sha256[0] ^= 1;
    name.client.peer_uri = NEO_LIT("spiffe://neo.local/function-servicf");
    expect_refused(&own, judging(0x21), "binding");
    expect_refused(&peer, judging(0x21), "binding");
    expect_refused(&name, judging(0x21), "binding");
}

TEST(direct_mode_takes_no_session_key)
{
    const struct wire w = wire_new(0xe1);
    struct end_options direct = {.want = true, .nonce = 0x21};

    record_key_proof(&w);
    direct.vouches = &vouch;
    direct.n_vouches = 1;
    expect_refused(&w, direct, "unsupported");
}

TEST(a_key_that_no_evidence_has_named_is_refused)
{
    const struct wire w = wire_new(0xe1);
    struct end_options stranger = {.want = true, .nonce = 0x21, .policies = delegated};

    record_key_proof(&w);
    expect_refused(&w, stranger, "unsupported");
}

TEST(a_key_proof_after_its_evidence_has_aged_is_refused)
{
    const struct wire w = wire_new(0xe1);
    struct end client;
    struct attest_options options = {
        .channel = &w.client,
        .trust = pair_trust,
        .policies = delegated,
        .want_peer = true,
        .vouches = &vouch,
        .n_vouches = 1,
        .rules = 1,
    };

    record_key_proof(&w);
    memset(options.nonce, 0x21, sizeof(options.nonce));
    client = (struct end){0};
    assert_int_equal(attest_session_new(&options, &client.session, NULL), NEO_OK);
    end_start(&client);
    (void)end_feed_at(&client, neo_buffer_bytes(&offer), vouch_until(vouch));
    EXPECT_REFUSAL(&client, "expired");
    end_close(&client);
}

static void change_proof(void (*change)(struct neo_attest_v1_Proof *proof))
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer kept = offer;
    struct neo_attest_v1_AttestFrame f;

    offer = (struct neo_buffer){0};
    neo_arena_init(&arena, 65536);
    assert_int_equal(neo_attest_v1_AttestFrame_decode(neo_buffer_bytes(&kept), &f, &arena, NULL),
                     NEO_OK);
    change(f.proof);
    assert_int_equal(neo_attest_v1_AttestFrame_encode(&f, &offer, NULL), NEO_OK);
}

static void add_evidence(struct neo_attest_v1_Proof *proof)
{
    proof->evidence = NEO_LIT("beside");
}

static void say_another_type(struct neo_attest_v1_Proof *proof)
{
    proof->type = NEO_LIT("snp-report");
}

static void garble(struct neo_attest_v1_Proof *proof)
{
    proof->signature.len--;
}

TEST(a_key_proof_is_a_signature_and_nothing_else)
{
    const struct wire w = wire_new(0xe1);

    record_key_proof(&w);
    change_proof(garble);
    expect_refused(&w, judging(0x21), "binding");
    change_proof(say_another_type);
    expect_refused(&w, judging(0x21), "unsupported");
    change_proof(add_evidence);
    expect_refused(&w, judging(0x21), "unsupported");
}

/* Two instances of one service; the adversary, as client, hands the server's signature back. */
TEST(a_servers_own_signature_handed_back_is_not_its_clients)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer reflected = {0};
    struct neo_attest_v1_Done done = {.ok = true, .valid_for_seconds = 100};
    struct neo_attest_v1_AttestFrame said;
    struct wire w = wire_new(0xe0);
    struct end adversary, server;
    struct end_options both = {.want = true, .nonce = 0x42, .policies = delegated};

    make_vouch();
    w.server.peer_uri = w.client.own_uri = w.server.own_uri;
    w.server.peer_service = NEO_LIT("function-service");
    memcpy(w.server.peer_spki_sha256, w.server.own_spki_sha256, 32);
    both.session_key = key;
    both.vouches = &vouch; /* the same process on both ends: the worst case */
    both.n_vouches = 1;
    end_open(&adversary, &w.client, &function_service, judging(0x41));
    end_open(&server, &w.server, &function_service, both);
    end_start(&adversary);
    (void)end_feed(&server, neo_buffer_bytes(&adversary.out));
    neo_arena_init(&arena, 65536);
    assert_int_equal(
        neo_attest_v1_AttestFrame_decode(neo_buffer_bytes(&server.out), &said, &arena, NULL),
        NEO_OK);
    assert_int_equal(said.proof->evidence.len, 0);
    const struct neo_attest_v1_AttestFrame frame = {.proof = said.proof, .done = &done};
    assert_int_equal(neo_attest_v1_AttestFrame_encode(&frame, &reflected, NULL), NEO_OK);
    (void)end_feed(&server, neo_buffer_bytes(&reflected));
    EXPECT_REFUSAL(&server, "binding");
    end_close(&adversary);
    end_close(&server);
}

TEST(where_calls_must_be_proven_evidence_without_a_key_is_refused)
{
    const struct wire w = wire_new(0xe0);
    struct end client, server;

    run(&w, &client, &server,
        (struct end_options){.want = true, .nonce = 0x11, .policies = per_call},
        (struct end_options){.nonce = 0x12});
    EXPECT_REFUSAL(&client, "unsupported");
    end_close(&client);
    end_close(&server);
}

/* --- the table -------------------------------------------------------------------------------- */

static const struct neo_bytes who = {(const uint8_t *)"spiffe://neo.local/function-service", 35};

static size_t found(struct vouch_table *t, struct neo_bytes identity, uint64_t rules, int64_t wall,
                    neo_nsec now)
{
    const struct vouch_moment at = {.rules = rules, .wall = wall, .now = now};
    struct attest_vouch *known[VOUCHES_OF_ONE];
    size_t n = vouch_find(t, identity, &at, known);

    for (size_t i = 0; i < n; i++)
        vouch_unref(known[i]);
    return n;
}

TEST(a_vouch_ends_with_the_rules_the_clock_its_half_life_and_belongs_to_one_identity)
{
    const neo_nsec now = START + NEO_NSEC_PER_MSEC;
    static const struct {
        uint64_t rules;
        int64_t wall_step;
        neo_nsec later;
        size_t n;
    } cases[] = {
        {1, 0, 0, 1},           {1, 4, 4 * SEC, 1},
        {1, 299, 299 * SEC, 1}, {1, 300, 300 * SEC, 0}, /* the second half: evidence again */
        {2, 0, 0, 0},                                   /* policies or collateral were replaced */
        {1, 3600, 0, 0},        {1, -3600, 0, 0},
        {1, 0, 60 * SEC, 0},    {1, 600, 600 * SEC, 0},
    };

    make_vouch();
    for (size_t i = 0; i < NEO_COUNT(cases); i++) {
        struct vouch_table *t = vouch_table_new();
        vouch_put(t, vouch);
        assert_int_equal(found(t, NEO_LIT("spiffe://neo.local/automation-service"), 1, WALL, now),
                         0);
        assert_int_equal(
            found(t, who, cases[i].rules, WALL + cases[i].wall_step, now + cases[i].later),
            cases[i].n);
        /* What has ended stays so, though the clock or the rules come back. */
        assert_int_equal(found(t, who, 1, WALL, now), i == 3 ? 1 : cases[i].n);
        vouch_table_free(t);
    }
}

static struct attest_vouch *vouch_for(unsigned identity, unsigned number)
{
    static const struct neo_appraisal good = {.accepted = true, .tee = "sev-snp"};
    uint8_t spki[SESSION_KEY_ED25519_LEN] = {(uint8_t)number, (uint8_t)(number >> 8)};
    char name[64];
    const struct vouch_facts facts = {
        .identity =
            neo_bytes(name, (size_t)snprintf(name, sizeof(name), "spiffe://t/%u", identity)),
        .key = neo_bytes(spki, sizeof(spki)),
        .appraisal = &good,
        .rules = 1,
        .wall = WALL,
        .since = START,
        .until = START + 600 * SEC,
    };

    return vouch_new(&facts);
}

TEST(the_table_is_bounded_and_nobody_fills_it_for_the_others)
{
    struct vouch_table *t = vouch_table_new();

    for (unsigned i = 0; i < 2000; i++) {
        struct attest_vouch *v = vouch_for(i < 1000 ? 1 : i, i);
        vouch_put(t, v);
        vouch_put(t, v); /* once */
        vouch_unref(v);
        if (i == 999)
            assert_int_equal(found(t, NEO_LIT("spiffe://t/1"), 1, WALL, START), VOUCHES_OF_ONE);
        if (i == 1100)
            assert_int_equal(found(t, NEO_LIT("spiffe://t/1"), 1, WALL, START), VOUCHES_OF_ONE);
    }
    assert_int_equal(found(t, NEO_LIT("spiffe://t/1999"), 1, WALL, START), 1);
    assert_int_equal(found(t, NEO_LIT("spiffe://t/1000"), 1, WALL, START), 0);
    vouch_table_free(t);
}

/* The certificate of the connection that the evidence came on. */
TEST(a_revoked_certificate_takes_with_it_what_it_vouched_for)
{
    struct pki *pki = pki_new("neo.local");
    const struct pki_cert *cert = pki_make(pki, pki_issuer(pki), "function-service", NULL);
    const struct neo_revocation revoked = {pki_key_id(pki_issuer(pki)), pki_serial(cert), {0}, 0};
    struct neo_trust *before = pki_trust(pki), *after = pki_trust_revoking(pki, &revoked, 1);
    struct vouch_table *t = vouch_table_new();
    struct attest_vouch *known[VOUCHES_OF_ONE];
    struct neo_bytes chain[8];
    struct neo_cert *leaf;
    uint8_t spki[SESSION_KEY_ED25519_LEN] = {1};
    static const struct neo_appraisal good = {.accepted = true, .tee = "sev-snp"};
    struct vouch_facts facts = {
        .identity = who,
        .key = neo_bytes(spki, sizeof(spki)),
        .appraisal = &good,
        .rules = 1,
        .wall = WALL,
        .since = START,
        .until = START + 600 * SEC,
    };
    struct vouch_moment at = {.rules = 1, .trust = before, .wall = WALL, .now = START};

    assert_int_equal(
        neo_trust_verify(before, chain, pki_chain(cert, false, chain), PKI_NOW, &leaf, NULL),
        NEO_OK);
    facts.leaf = leaf;
    struct attest_vouch *v = vouch_new(&facts);
    vouch_put(t, v);
    vouch_unref(v);
    assert_int_equal(vouch_find(t, who, &at, known), 1);
    vouch_unref(known[0]);
    at.trust = after;
    assert_int_equal(vouch_find(t, who, &at, known), 0);
    vouch_table_free(t);
    neo_cert_unref(leaf);
    neo_trust_unref(before);
    neo_trust_unref(after);
    pki_free(pki);
}

TEST(a_key_of_another_kind_is_not_vouched_for)
{
    uint8_t long_key[120] = {0};

    assert_true(vouch_takes_key(neo_bytes(long_key, 91)));
    assert_true(vouch_takes_key(neo_bytes(long_key, 44)));
    assert_false(vouch_takes_key(neo_bytes(long_key, 120))); /* P-384 */
    assert_false(vouch_takes_key(neo_bytes(long_key, 0)));
}

/* --- single calls ----------------------------------------------------------------------------- */

static const uint8_t nonce[FRESH_NONCE_LEN] = {0x4e, 1, 2, 3};
static uint8_t evidence[FRESH_EVIDENCE_LEN];
static const struct fresh_call a_call = {
    .nonce = {nonce, sizeof(nonce)},
    .stream = 5,
    .path = {(const uint8_t *)"/a.B/C", 6},
};

static struct neo_buffer prove_call(void)
{
    struct neo_buffer proof = {0};

    assert_int_equal(fresh_prove(server_fresh, &a_call, &proof, evidence, NULL), NEO_OK);
    return proof;
}

static enum neo_code check_call(const struct fresh_call *call, const struct neo_buffer *proof,
                                neo_nsec now)
{
    return fresh_check(client_fresh, call, neo_buffer_bytes(proof),
                       neo_bytes(evidence, sizeof(evidence)), now, NULL);
}

TEST(a_proof_for_a_call_holds_for_that_call_alone)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer proof = {0};
    struct fresh_call other = a_call;
    uint8_t other_nonce[FRESH_NONCE_LEN] = {0x4f};

    make_vouch();
    proof = prove_call();
    assert_int_equal(check_call(&a_call, &proof, START + SEC), NEO_OK);
    assert_int_equal(check_call(&a_call, &proof, vouch_until(vouch)), NEO_UNAUTHENTICATED);
    other.stream = 7;
    assert_int_equal(check_call(&other, &proof, START + SEC), NEO_UNAUTHENTICATED);
    other = a_call;
    other.path = NEO_LIT("/a.B/D");
    assert_int_equal(check_call(&other, &proof, START + SEC), NEO_UNAUTHENTICATED);
    other = a_call;
    other.nonce = neo_bytes(other_nonce, sizeof(other_nonce));
    assert_int_equal(check_call(&other, &proof, START + SEC), NEO_UNAUTHENTICATED);
    evidence[0] ^= 1;
    assert_int_equal(check_call(&a_call, &proof, START + SEC), NEO_UNAUTHENTICATED);
    evidence[0] ^= 1;
    proof.at[proof.len - 1] ^= 1;
    assert_int_equal(check_call(&a_call, &proof, START + SEC), NEO_UNAUTHENTICATED);
}

TEST(a_proof_for_a_call_is_not_one_for_another_connection_or_of_another_process)
{
    const struct wire w = wire_new(0xe7);
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer proof = {0};
    struct end client, server;
    struct end_options of_another = proving(0x52);

    make_vouch();
    proof = prove_call();
    fresh_free(client_fresh);
    run(&w, &client, &server, judging(0x51), proving(0x52)); /* the same key, another channel */
    client_fresh = fresh_new(client.session);
    assert_int_equal(check_call(&a_call, &proof, START + SEC), NEO_UNAUTHENTICATED);
    end_close(&client);
    end_close(&server);
    fresh_free(client_fresh);
    of_another.session_key = other_key;
    run(&w, &client, &server, judging(0x51), of_another);
    client_fresh = fresh_new(client.session);
    assert_int_equal(check_call(&a_call, &proof, START + SEC), NEO_UNAUTHENTICATED);
    end_close(&client);
    end_close(&server);
}

TEST(both_ends_name_the_same_evidence_after_a_proof_by_key_too)
{
    const struct wire w = wire_new(0xe8);
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer proof = {0};
    struct end client, server;

    make_vouch();
    fresh_free(client_fresh);
    fresh_free(server_fresh);
    run(&w, &client, &server, judging(0x61), proving(0x62));
    assert_false(has_evidence(&offer));
    client_fresh = fresh_new(client.session);
    server_fresh = fresh_new(server.session);
    proof = prove_call();
    assert_memory_equal(evidence, vouch_evidence_sha256(vouch), sizeof(evidence));
    assert_int_equal(check_call(&a_call, &proof, START + SEC), NEO_OK);
    end_close(&client);
    end_close(&server);
}

TEST(who_has_named_no_key_can_prove_no_call)
{
    const struct wire w = wire_new(0xe0);
    struct end client, server;

    run(&w, &client, &server, (struct end_options){.want = true, .nonce = 0x11}, proving(0x12));
    EXPECT_STATE(&client, ATTEST_ACCEPTED); /* direct: nobody asked for a key */
    assert_null(fresh_new(client.session));
    assert_null(fresh_new(server.session));
    assert_null(attest_session_vouch(client.session));
    end_close(&client);
    end_close(&server);
}

#define T(name) cmocka_unit_test_teardown(name, end_each)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_key_that_evidence_named_proves_itself_on_another_connection_without_evidence),
        T(a_key_that_is_not_known_brings_evidence_on_the_same_stream),
        T(the_signature_of_one_connection_is_worth_nothing_on_another),
        T(a_swapped_certificate_or_name_breaks_the_signature),
        T(direct_mode_takes_no_session_key),
        T(a_key_that_no_evidence_has_named_is_refused),
        T(a_key_proof_after_its_evidence_has_aged_is_refused),
        T(a_key_proof_is_a_signature_and_nothing_else),
        T(a_servers_own_signature_handed_back_is_not_its_clients),
        T(where_calls_must_be_proven_evidence_without_a_key_is_refused),
        T(a_vouch_ends_with_the_rules_the_clock_its_half_life_and_belongs_to_one_identity),
        T(the_table_is_bounded_and_nobody_fills_it_for_the_others),
        T(a_revoked_certificate_takes_with_it_what_it_vouched_for),
        T(a_key_of_another_kind_is_not_vouched_for),
        T(a_proof_for_a_call_holds_for_that_call_alone),
        T(a_proof_for_a_call_is_not_one_for_another_connection_or_of_another_process),
        T(both_ends_name_the_same_evidence_after_a_proof_by_key_too),
        T(who_has_named_no_key_can_prove_no_call),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
