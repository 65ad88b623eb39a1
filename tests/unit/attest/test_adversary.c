/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an adversary can try against neo-attest-v1 who is not stopped by TLS: who
 * stole a service's key, who is a service of the mesh himself, who owns genuine
 * hardware, or who simply does not keep to the protocol.
 *
 * The last test shows a weaker binder falling to the first attack. It is the
 * reason for the exporter in ours.
 */
#include "pair.h"

static const struct end_options wants = {.want = true, .nonce = 0x11};
static const struct end_options wants_too = {.want = true, .nonce = 0x22};
static const struct end_options asks_nothing = {.nonce = 0x33};

/* --- relay ------------------------------------------------------------------------------------ */

/*
 * The adversary holds function-service's stolen TLS key and stands in the middle:
 * the client's connection ends with him, and he opens one of his own to the
 * genuine function-service, even under the client's own identity and key. Both
 * connections show the same keys and names; only their exporters differ.
 */
TEST(a_relay_with_the_servers_stolen_key_cannot_show_the_genuine_servers_evidence)
{
    struct wire front = wire_new(0xe1), back = wire_new(0xe2);
    struct end client, genuine;

    end_open(&client, &front.client, NULL, wants);
    end_open(&genuine, &back.server, &function_service, asks_nothing);
    (void)pair_run(&client, &genuine);
    EXPECT_REFUSAL(&client, "binding");
    EXPECT_REFUSAL(&genuine, "peer-refused");
    end_close(&client);
    end_close(&genuine);
}

TEST(a_relay_with_the_clients_stolen_key_cannot_show_the_genuine_clients_evidence)
{
    struct wire front = wire_new(0xe1), back = wire_new(0xe2);
    struct end genuine, server;

    end_open(&genuine, &front.client, &automation_service, asks_nothing);
    end_open(&server, &back.server, &function_service, wants_too);
    (void)pair_run(&genuine, &server);
    EXPECT_REFUSAL(&server, "binding");
    end_close(&genuine);
    end_close(&server);
}

/* With a certificate of his own, the relay's two ends differ even more. */
TEST(a_relay_by_another_member_of_the_mesh_is_refused)
{
    struct wire front = wire_new(0xe1), back = wire_new(0xe2);
    struct end client, genuine;

    memset(back.server.peer_spki_sha256, 0x66, 32);
    back.server.peer_uri = NEO_LIT("spiffe://neo.local/evil-service");
    end_open(&client, &front.client, NULL, wants);
    end_open(&genuine, &back.server, &function_service, asks_nothing);
    (void)pair_run(&client, &genuine);
    EXPECT_REFUSAL(&client, "binding");
    end_close(&client);
    end_close(&genuine);
}

/* --- every part of the channel ---------------------------------------------------------------- */

static void change_channel(struct attest_channel *c, unsigned part)
{
    switch (part) {
    case 0:
        c->exporter[31] ^= 1;
        break;
    case 1:
        c->own_spki_sha256[0] ^= 1;
        break;
    case 2:
        c->peer_spki_sha256[31] ^= 1;
        break;
    case 3:
        c->own_uri = NEO_LIT("spiffe://neo.local/function-servicf");
        break;
    default:
        c->peer_uri = NEO_LIT("spiffe://neo.other/automation-service");
    }
}

TEST(evidence_holds_only_where_both_ends_see_the_same_exporter_keys_and_names)
{
    for (unsigned part = 0; part < 5; part++) {
        struct wire w = wire_new(0xe0);
        struct end client, server;

        /* The server's view differs in one part: its proof fails at the client... */
        change_channel(&w.server, part);
        end_open(&client, &w.client, &automation_service, wants);
        end_open(&server, &w.server, &function_service, asks_nothing);
        (void)pair_run(&client, &server);
        EXPECT_REFUSAL(&client, "binding");
        end_close(&client);
        end_close(&server);

        /* ... and the client's at the server: a swapped client certificate is part 2. */
        end_open(&client, &w.client, &automation_service, asks_nothing);
        end_open(&server, &w.server, &function_service, wants_too);
        (void)pair_run(&client, &server);
        EXPECT_REFUSAL(&server, "binding");
        end_close(&client);
        end_close(&server);
    }
}

/* --- diversion -------------------------------------------------------------------------------- */

/*
 * The client's connection to "function-service" is answered by a genuine, attested
 * automation-service: it binds its own name, and the client expects another.
 */
TEST(the_evidence_of_another_service_does_not_stand_in)
{
    struct wire w = wire_new(0xe0);
    struct end client, other;

    w.server.own_uri = NEO_LIT("spiffe://neo.local/automation-service");
    end_open(&client, &w.client, NULL, wants);
    end_open(&other, &w.server, &automation_service, asks_nothing);
    (void)pair_run(&client, &other);
    EXPECT_REFUSAL(&client, "binding");
    end_close(&client);
    end_close(&other);
}

/* A machine that signs whatever binder it is given still has its own measurement. */
TEST(a_genuine_machine_that_runs_other_code_is_refused_for_what_it_runs)
{
    struct wire w = wire_new(0xe0);
    struct end client, other;

    end_open(&client, &w.client, NULL, wants);
    end_open(&other, &w.server, &automation_service, asks_nothing);
    (void)pair_run(&client, &other);
    EXPECT_REFUSAL(&client, "measurement");
    end_close(&client);
    end_close(&other);
}

/* --- reflection ------------------------------------------------------------------------------- */

/*
 * Two instances of one service, so that names and measurements agree. The
 * adversary, as client, hands the server's own proof back as his.
 */
TEST(a_servers_own_proof_handed_back_is_not_its_clients)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer reflected = {0};
    struct neo_attest_v1_AttestFrame offer;
    struct wire w = wire_new(0xe0);
    struct end adversary, server;

    w.server.peer_uri = w.client.own_uri = w.server.own_uri;
    w.server.peer_service = NEO_LIT("function-service");
    memcpy(w.server.peer_spki_sha256, w.server.own_spki_sha256, 32);
    end_open(&adversary, &w.client, &function_service, wants);
    end_open(&server, &w.server, &function_service, wants_too);
    end_start(&adversary);
    (void)end_feed(&server, neo_buffer_bytes(&adversary.out));
    neo_arena_init(&arena, 65536);
    assert_int_equal(
        neo_attest_v1_AttestFrame_decode(neo_buffer_bytes(&server.out), &offer, &arena, NULL),
        NEO_OK);
    struct neo_attest_v1_Done done = {.ok = true, .valid_for_seconds = 600};
    const struct neo_attest_v1_AttestFrame frame = {.proof = offer.proof, .done = &done};
    assert_int_equal(neo_attest_v1_AttestFrame_encode(&frame, &reflected, NULL), NEO_OK);
    (void)end_feed(&server, neo_buffer_bytes(&reflected));
    EXPECT_REFUSAL(&server, "binding");
    end_close(&adversary);
    end_close(&server);
}

TEST(frames_handed_back_as_they_are_come_out_of_turn)
{
    struct wire w = wire_new(0xe0);
    struct end client, server;

    end_open(&client, &w.client, &automation_service, wants);
    end_open(&server, &w.server, &function_service, wants_too);
    end_start(&client);
    (void)end_feed(&server, neo_buffer_bytes(&client.out));
    struct neo_buffer hello = client.out;
    client.out = (struct neo_buffer){0};
    (void)end_feed(&client, neo_buffer_bytes(&hello));
    EXPECT_REFUSAL(&client, "protocol");
    struct neo_buffer offer = server.out;
    server.out = (struct neo_buffer){0};
    (void)end_feed(&server, neo_buffer_bytes(&offer));
    EXPECT_REFUSAL(&server, "protocol");
    neo_buffer_fini(&hello);
    neo_buffer_fini(&offer);
    end_close(&client);
    end_close(&server);
}

/* A peer that sends our nonce back as its own would have us sign what we asked. */
TEST(our_own_nonce_is_not_taken_as_the_peers)
{
    struct wire w = wire_new(0xe0);
    struct end client, server;
    struct end_options same = wants;

    end_open(&client, &w.client, &automation_service, wants);
    end_open(&server, &w.server, &function_service, same);
    (void)pair_run(&client, &server);
    EXPECT_REFUSAL(&server, "protocol");
    end_close(&client);
    end_close(&server);
}

/* --- replay ----------------------------------------------------------------------------------- */

/* What the server said in a session that was accepted. */
static struct neo_buffer record_offer(const struct wire *w, struct end_options client_options)
{
    struct neo_buffer offer = {0};
    struct end client, server;

    end_open(&client, &w->client, NULL, client_options);
    end_open(&server, &w->server, &function_service, asks_nothing);
    end_start(&client);
    (void)end_feed(&server, neo_buffer_bytes(&client.out));
    assert_true(neo_buffer_append(&offer, neo_buffer_bytes(&server.out)));
    (void)end_feed(&client, neo_buffer_bytes(&server.out));
    (void)end_feed(&server, neo_buffer_bytes(&client.out));
    EXPECT_STATE(&server, ATTEST_ACCEPTED);
    end_close(&client);
    end_close(&server);
    return offer;
}

TEST(frames_of_an_old_session_prove_nothing_in_a_new_one)
{
    const struct wire w = wire_new(0xe0);
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer offer = record_offer(&w, wants);
    struct end client;

    /* Re-attestation on the same connection: the same exporter, a new nonce. */
    end_open(&client, &w.client, NULL, wants_too);
    end_start(&client);
    (void)end_feed(&client, neo_buffer_bytes(&offer));
    EXPECT_REFUSAL(&client, "binding");
    end_close(&client);

    /* Even a nonce that came twice, which is the kernel's fault, is no use on another connection.
     */
    const struct wire other = wire_new(0xe3);
    end_open(&client, &other.client, NULL, wants);
    end_start(&client);
    (void)end_feed(&client, neo_buffer_bytes(&offer));
    EXPECT_REFUSAL(&client, "binding");
    end_close(&client);
}

TEST(a_second_proof_for_the_same_nonce_is_not_looked_at)
{
    const struct wire w = wire_new(0xe0);
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer offer = record_offer(&w, wants);
    struct end client;

    end_open(&client, &w.client, NULL, wants);
    end_start(&client);
    assert_int_equal(end_feed(&client, neo_buffer_bytes(&offer)), ATTEST_RUNNING);
    (void)end_feed(&client, neo_buffer_bytes(&offer));
    EXPECT_REFUSAL(&client, "protocol");
    end_close(&client);
}

/* --- downgrade -------------------------------------------------------------------------------- */

static void feed_frame(struct end *e, const struct neo_attest_v1_AttestFrame *frame)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer bytes = {0};

    assert_int_equal(neo_attest_v1_AttestFrame_encode(frame, &bytes, NULL), NEO_OK);
    (void)end_feed(e, neo_buffer_bytes(&bytes));
}

static const uint8_t adversarys_nonce[32] = {0xad};

TEST(a_server_that_says_it_need_not_prove_itself_is_refused)
{
    struct wire w = wire_new(0xe0);
    struct neo_bytes kind = NEO_LIT("sim-snp-report");
    struct neo_attest_v1_Offer offer = {.nonce = neo_bytes(adversarys_nonce, 32)};
    struct neo_attest_v1_Done done = {.ok = true};
    struct end client;

    /* An Offer without the proof. */
    end_open(&client, &w.client, &automation_service, wants);
    end_start(&client);
    feed_frame(&client, &(struct neo_attest_v1_AttestFrame){.offer = &offer});
    EXPECT_REFUSAL(&client, "protocol");
    assert_non_null(strstr(attest_session_detail(client.session), "leaves out the proof"));
    end_close(&client);

    /* "You first", and then nothing but "all is well". */
    offer.want_client = true;
    offer.client_first = true;
    offer.accepts.at = &kind;
    offer.accepts.len = 1;
    end_open(&client, &w.client, &automation_service, wants);
    end_start(&client);
    feed_frame(&client, &(struct neo_attest_v1_AttestFrame){.offer = &offer});
    EXPECT_STATE(&client, ATTEST_RUNNING);
    done.valid_for_seconds = 600;
    feed_frame(&client, &(struct neo_attest_v1_AttestFrame){.done = &done});
    EXPECT_REFUSAL(&client, "protocol");
    assert_null(attest_session_appraisal(client.session));
    end_close(&client);

    /* "You first", without wanting anything: there is no such order. */
    offer.want_client = false;
    end_open(&client, &w.client, &automation_service, wants);
    end_start(&client);
    feed_frame(&client, &(struct neo_attest_v1_AttestFrame){.offer = &offer});
    EXPECT_REFUSAL(&client, "protocol");
    end_close(&client);

    /* Straight to the end. */
    done.valid_for_seconds = 0;
    end_open(&client, &w.client, &automation_service, wants);
    end_start(&client);
    feed_frame(&client, &(struct neo_attest_v1_AttestFrame){.done = &done});
    EXPECT_REFUSAL(&client, "protocol");
    end_close(&client);
}

TEST(a_client_that_says_it_need_not_prove_itself_is_refused)
{
    struct wire w = wire_new(0xe0);
    struct neo_bytes kind = NEO_LIT("sim-snp-report");
    struct neo_attest_v1_Hello hello = {
        .version = 1,
        .nonce = neo_bytes(adversarys_nonce, 32),
    };
    struct neo_attest_v1_Done done = {.ok = true};
    struct end server;

    /* It can produce nothing. */
    end_open(&server, &w.server, &function_service, wants);
    feed_frame(&server, &(struct neo_attest_v1_AttestFrame){.hello = &hello});
    EXPECT_REFUSAL(&server, "unsupported");
    end_close(&server);

    /* It could, but says Done instead. */
    hello.produces.at = &kind;
    hello.produces.len = 1;
    end_open(&server, &w.server, &function_service, wants);
    feed_frame(&server, &(struct neo_attest_v1_AttestFrame){.hello = &hello});
    EXPECT_STATE(&server, ATTEST_RUNNING);
    feed_frame(&server, &(struct neo_attest_v1_AttestFrame){.done = &done});
    EXPECT_REFUSAL(&server, "protocol");
    end_close(&server);

    /* It skips the Hello. */
    end_open(&server, &w.server, &function_service, asks_nothing);
    feed_frame(&server, &(struct neo_attest_v1_AttestFrame){.done = &done});
    EXPECT_REFUSAL(&server, "protocol");
    end_close(&server);
}

/* --- evidence of the wrong kind or size ------------------------------------------------------- */

TEST(evidence_of_another_kind_is_refused_before_it_is_looked_at)
{
    static const char *const types[] = {"snp-report", "tdx-quote", "", "SIM-SNP-REPORT",
                                        "sim-snp-report "};
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    const struct wire w = wire_new(0xe0);
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer genuine = record_offer(&w, wants);
    struct neo_attest_v1_AttestFrame frame;

    neo_arena_init(&arena, 65536);
    assert_int_equal(
        neo_attest_v1_AttestFrame_decode(neo_buffer_bytes(&genuine), &frame, &arena, NULL), NEO_OK);
    for (size_t i = 0; i < NEO_COUNT(types); i++) {
        struct end client;
        end_open(&client, &w.client, NULL, wants);
        end_start(&client);
        frame.proof->type = neo_text(types[i]);
        feed_frame(&client, &frame);
        EXPECT_REFUSAL(&client, "unsupported");
        assert_null(attest_session_appraisal(client.session));
        end_close(&client);
    }
}

TEST(oversized_evidence_is_refused)
{
    enum { MUCH = 60000 };
    struct neo_attest_v1_Offer offer = {.nonce = neo_bytes(adversarys_nonce, 32)};
    struct neo_attest_v1_Proof proof = {.type = NEO_LIT("sim-snp-report")};
    const struct neo_attest_v1_AttestFrame frame = {.offer = &offer, .proof = &proof};
    struct wire w = wire_new(0xe0);
    uint8_t *much = neo_alloc(ATTEST_FRAME_MAX + 1);
    struct end client;

    assert_non_null(much);
    memset(much, 0x30, ATTEST_FRAME_MAX + 1);
    for (unsigned i = 0; i < 4; i++) {
        proof.evidence = neo_bytes(much, i == 0 ? MUCH : 1184);
        proof.certificates = neo_bytes(much, i == 1 ? MUCH : 0);
        proof.claims = neo_bytes(much, i == 2 ? 2000 : 0);
        end_open(&client, &w.client, NULL, wants);
        end_start(&client);
        if (i < 3)
            feed_frame(&client, &frame);
        else
            (void)end_feed(&client, neo_bytes(much, ATTEST_FRAME_MAX + 1));
        EXPECT_REFUSAL(&client, i < 2 ? "format" : "protocol");
        end_close(&client);
    }
    neo_free(much);
}

/* --- slowness --------------------------------------------------------------------------------- */

TEST(a_peer_that_answers_just_often_enough_still_has_ten_seconds_in_all)
{
    struct wire w = wire_new(0xe0);
    struct end client, server;

    end_open(&client, &w.client, &automation_service, wants);
    end_open(&server, &w.server, &function_service, wants_too);
    end_start(&client);
    (void)end_feed_at(&server, neo_buffer_bytes(&client.out), START + 9 * NEO_NSEC_PER_SEC);
    (void)end_feed_at(&client, neo_buffer_bytes(&server.out), START + 9 * NEO_NSEC_PER_SEC);
    EXPECT_STATE(&client, ATTEST_RUNNING);
    (void)end_feed_at(&server, neo_buffer_bytes(&client.out), START + 9 * NEO_NSEC_PER_SEC);
    EXPECT_STATE(&server, ATTEST_ACCEPTED);
    (void)end_feed_at(&client, neo_buffer_bytes(&server.out), START + ATTEST_EXCHANGE_MAX);
    EXPECT_REFUSAL(&client, "timeout");
    end_close(&client);
    end_close(&server);
}

/* --- why the exporter ------------------------------------------------------------------------- */

/* What many products do: bind the evidence to the verifier's nonce and the TLS key, and no more. */
static void weak_binder(const uint8_t nonce[static 32], const uint8_t spki[static 32],
                        uint8_t ret[static NEO_BINDER_LEN])
{
    uint8_t bytes[64];

    memcpy(bytes, nonce, 32);
    memcpy(bytes + 32, spki, 32);
    neo_sha512(neo_bytes(bytes, sizeof(bytes)), ret);
}

TEST(a_binder_of_nonce_and_key_alone_falls_to_the_relay)
{
    const struct wire front = wire_new(0xe1), back = wire_new(0xe2);
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer body = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer certificates = {0};
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    uint8_t nonce[32], asked[NEO_BINDER_LEN], expected[NEO_BINDER_LEN];
    struct neo_appraisal appraisal;

    /* The genuine service proves itself to the relay, over the relay's connection... */
    memset(nonce, 0x11, sizeof(nonce));
    weak_binder(nonce, back.server.own_spki_sha256, asked);
    assert_int_equal(function_service.attester->attest(function_service.attester, asked, &body,
                                                       &certificates, NULL),
                     NEO_OK);

    /* ... and the client, on another connection that ends at the relay, expects just that. */
    weak_binder(nonce, front.client.peer_spki_sha256, expected);
    const struct neo_evidence evidence = {NEO_EVIDENCE_SIM_SNP, neo_buffer_bytes(&body),
                                          neo_buffer_bytes(&certificates)};
    neo_arena_init(&arena, 1 << 20);
    assert_int_equal(neo_attest_appraise(pair_trust, pair_policies, NEO_LIT("function-service"),
                                         &evidence, expected, WALL, &arena, &appraisal, NULL),
                     NEO_OK);
    assert_true(appraisal.accepted); /* the relay has won */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            a_relay_with_the_servers_stolen_key_cannot_show_the_genuine_servers_evidence),
        cmocka_unit_test(
            a_relay_with_the_clients_stolen_key_cannot_show_the_genuine_clients_evidence),
        cmocka_unit_test(a_relay_by_another_member_of_the_mesh_is_refused),
        cmocka_unit_test(evidence_holds_only_where_both_ends_see_the_same_exporter_keys_and_names),
        cmocka_unit_test(the_evidence_of_another_service_does_not_stand_in),
        cmocka_unit_test(a_genuine_machine_that_runs_other_code_is_refused_for_what_it_runs),
        cmocka_unit_test(a_servers_own_proof_handed_back_is_not_its_clients),
        cmocka_unit_test(frames_handed_back_as_they_are_come_out_of_turn),
        cmocka_unit_test(our_own_nonce_is_not_taken_as_the_peers),
        cmocka_unit_test(frames_of_an_old_session_prove_nothing_in_a_new_one),
        cmocka_unit_test(a_second_proof_for_the_same_nonce_is_not_looked_at),
        cmocka_unit_test(a_server_that_says_it_need_not_prove_itself_is_refused),
        cmocka_unit_test(a_client_that_says_it_need_not_prove_itself_is_refused),
        cmocka_unit_test(evidence_of_another_kind_is_refused_before_it_is_looked_at),
        cmocka_unit_test(oversized_evidence_is_refused),
        cmocka_unit_test(a_peer_that_answers_just_often_enough_still_has_ten_seconds_in_all),
        cmocka_unit_test(a_binder_of_nonce_and_key_alone_falls_to_the_relay),
    };

    return cmocka_run_group_tests(tests, pair_setup, pair_teardown);
}
