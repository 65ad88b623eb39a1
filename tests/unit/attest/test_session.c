/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

static const struct end_options wants = {.want = true, .nonce = 0x11};
static const struct end_options wants_too = {.want = true, .nonce = 0x22};
static const struct end_options asks_nothing = {.nonce = 0x33};
static const struct end_options asks_nothing_too = {.nonce = 0x44};
static const struct end_options wants_client_first = {
    .want = true, .client_first = true, .nonce = 0x22};

static void open_pair(struct end *client, struct end_options client_options, struct end *server,
                      struct end_options server_options)
{
    struct wire w = wire_new(0xe0);

    end_open(client, &w.client, &automation_service, client_options);
    end_open(server, &w.server, &function_service, server_options);
}

static void close_pair(struct end *client, struct end *server)
{
    end_close(client);
    end_close(server);
}

/* --- what both sides can agree on ------------------------------------------------------------- */

TEST(each_side_proves_itself_exactly_when_the_other_asks)
{
    static const struct {
        const struct end_options *client;
        const struct end_options *server;
        unsigned frames;
    } rows[] = {
        {&asks_nothing, &asks_nothing_too, 4},
        {&wants, &asks_nothing, 4},
        {&asks_nothing, &wants, 4},
        {&wants, &wants_too, 4},
        {&wants, &wants_client_first, 5},
        {&asks_nothing, &wants_client_first, 4},
    };

    for (size_t i = 0; i < NEO_COUNT(rows); i++) {
        struct end client, server;
        open_pair(&client, *rows[i].client, &server, *rows[i].server);
        assert_int_equal(pair_run(&client, &server), rows[i].frames);
        EXPECT_STATE(&client, ATTEST_ACCEPTED);
        EXPECT_STATE(&server, ATTEST_ACCEPTED);
        const struct neo_appraisal *of_server = attest_session_appraisal(client.session);
        const struct neo_appraisal *of_client = attest_session_appraisal(server.session);
        assert_int_equal(of_server != NULL, rows[i].client->want);
        assert_int_equal(of_client != NULL, rows[i].server->want);
        if (of_server != NULL) {
            assert_true(of_server->accepted && of_server->simulated);
            assert_int_equal(of_server->measurement.at[0], function_service.measures);
        }
        if (of_client != NULL)
            assert_int_equal(of_client->measurement.at[47], automation_service.measures);
        assert_int_equal(attest_session_reason(client.session), NEO_ATTEST_NONE);
        close_pair(&client, &server);
    }
}

TEST(a_server_that_holds_the_data_shows_nothing_before_the_client_has_proved_itself)
{
    struct end client, server;

    open_pair(&client, wants, &server, wants_client_first);
    end_start(&client);
    neo_buffer_clear(&server.out);
    /* Not even asked of its attester. */
    assert_int_equal(attest_session_feed(server.session, neo_buffer_bytes(&client.out), WALL, START,
                                         &server.out),
                     ATTEST_RUNNING);
    assert_true(server.out.len < 100);
    assert_int_equal(end_feed(&client, neo_buffer_bytes(&server.out)), ATTEST_RUNNING);
    neo_buffer_clear(&server.out);
    assert_int_equal(attest_session_feed(server.session, neo_buffer_bytes(&client.out), WALL, START,
                                         &server.out),
                     ATTEST_NEEDS_EVIDENCE);
    assert_true(attest_session_appraisal(server.session)->accepted);
    close_pair(&client, &server);
}

TEST(nobody_is_accepted_before_both_have_said_so)
{
    struct end client, server;

    open_pair(&client, wants, &server, wants_too);
    end_start(&client);
    assert_int_equal(end_feed(&server, neo_buffer_bytes(&client.out)), ATTEST_RUNNING);
    assert_int_equal(end_feed(&client, neo_buffer_bytes(&server.out)), ATTEST_RUNNING);
    assert_true(attest_session_appraisal(client.session)->accepted);
    assert_int_equal(end_feed(&server, neo_buffer_bytes(&client.out)), ATTEST_ACCEPTED);
    EXPECT_STATE(&client, ATTEST_RUNNING);
    assert_int_equal(end_feed(&client, neo_buffer_bytes(&server.out)), ATTEST_ACCEPTED);
    assert_int_equal(client.out.len, 0);
    close_pair(&client, &server);
}

/* --- for how long ----------------------------------------------------------------------------- */

TEST(a_verdict_ends_with_the_policys_age_for_both_sides)
{
    struct end client, server;
    neo_nsec end = START + NEO_NSEC_PER_MSEC + 600 * NEO_NSEC_PER_SEC;

    open_pair(&client, wants, &server, asks_nothing);
    (void)pair_run(&client, &server);
    assert_int_equal(attest_session_valid_until(client.session), end);
    /* The server must expect to be asked again by then. */
    assert_int_equal(attest_session_valid_until(server.session), end);
    close_pair(&client, &server);

    open_pair(&client, asks_nothing, &server, asks_nothing_too);
    (void)pair_run(&client, &server);
    assert_int_equal(attest_session_valid_until(client.session), UINT64_MAX);
    close_pair(&client, &server);
}

/* The proof that a server would send with these claims, in a frame of the test's own making. */
static void craft_offer(struct end *client, const struct wire *w, struct neo_bytes claims,
                        struct neo_bytes sent_claims, struct neo_buffer *out)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer body = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer certificates = {0};
    uint8_t binder[NEO_BINDER_LEN], client_nonce[32], server_nonce[32];

    (void)client;
    memset(client_nonce, wants.nonce, sizeof(client_nonce));
    memset(server_nonce, 0x77, sizeof(server_nonce));
    const struct attest_binder_input in = {
        .role = 1,
        .kind = 1,
        .evidence_type = NEO_LIT("sim-snp-report"),
        .verifier_nonce = neo_bytes(client_nonce, sizeof(client_nonce)),
        .exporter = neo_bytes(w->server.exporter, 32),
        .attester_spki_sha256 = neo_bytes(w->server.own_spki_sha256, 32),
        .verifier_spki_sha256 = neo_bytes(w->server.peer_spki_sha256, 32),
        .attester_uri = w->server.own_uri,
        .verifier_uri = w->server.peer_uri,
        .claims = claims,
    };
    attest_binder(&in, binder);
    assert_int_equal(function_service.attester->attest(function_service.attester, binder, &body,
                                                       &certificates, NULL),
                     NEO_OK);
    struct neo_attest_v1_Offer offer = {.nonce = neo_bytes(server_nonce, sizeof(server_nonce))};
    struct neo_attest_v1_Proof proof = {
        .type = NEO_LIT("sim-snp-report"),
        .evidence = neo_buffer_bytes(&body),
        .certificates = neo_buffer_bytes(&certificates),
        .claims = sent_claims,
    };
    const struct neo_attest_v1_AttestFrame frame = {.offer = &offer, .proof = &proof};
    assert_int_equal(neo_attest_v1_AttestFrame_encode(&frame, out, NULL), NEO_OK);
}

TEST(the_attester_may_ask_for_a_shorter_life_in_claims_that_the_evidence_covers)
{
    static const struct {
        const char *claims; /* field 4 of Claims */
        const char *sent;
        const char *reason;
        unsigned seconds;
    } rows[] = {
        {"\x20\x3c", "\x20\x3c", "none", 60},
        {"", "", "none", 600},
        {"\x20\xe8\x07", "\x20\xe8\x07", "none", 600}, /* 1000 s: the policy's limit stays */
        {"\x20\x3c", "\x20\x3d", "binding", 0},
        {"\x20\x3c", "", "binding", 0},
        {"\x20", "\x20", "protocol", 0},
    };

    for (size_t i = 0; i < NEO_COUNT(rows); i++) {
        NEO_CLEANUP(neo_buffer_fini) struct neo_buffer offer = {0};
        struct wire w = wire_new(0xe0);
        struct end client;

        end_open(&client, &w.client, NULL, wants);
        end_start(&client);
        craft_offer(&client, &w, neo_text(rows[i].claims), neo_text(rows[i].sent), &offer);
        (void)end_feed(&client, neo_buffer_bytes(&offer));
        if (rows[i].seconds == 0) {
            EXPECT_REFUSAL(&client, rows[i].reason);
        } else {
            EXPECT_STATE(&client, ATTEST_RUNNING);
            assert_int_equal(attest_session_valid_until(client.session),
                             START + NEO_NSEC_PER_MSEC + rows[i].seconds * NEO_NSEC_PER_SEC);
        }
        end_close(&client);
    }
}

TEST(a_verdict_does_not_outlive_the_certificates)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer offer = {0};
    struct wire w = wire_new(0xe0);
    const int64_t seven_years = 7 * 365 * (int64_t)PAIR_DAY;
    struct end client;

    end_open(&client, &w.client, NULL, wants);
    end_start(&client);
    craft_offer(&client, &w, NEO_LIT(""), NEO_LIT(""), &offer);
    neo_buffer_clear(&client.out);
    assert_int_equal(attest_session_feed(client.session, neo_buffer_bytes(&offer),
                                         WALL + seven_years - 42, START, &client.out),
                     ATTEST_RUNNING);
    assert_int_equal(attest_session_valid_until(client.session), START + 41 * NEO_NSEC_PER_SEC);
    end_close(&client);

    end_open(&client, &w.client, NULL, wants);
    end_start(&client);
    neo_buffer_clear(&client.out);
    assert_int_equal(attest_session_feed(client.session, neo_buffer_bytes(&offer),
                                         WALL + seven_years + 1, START, &client.out),
                     ATTEST_REFUSED);
    EXPECT_REFUSAL(&client, "expired");
    end_close(&client);

    /* The last second itself is over when it begins: a verdict never holds for no time. */
    end_open(&client, &w.client, NULL, wants);
    end_start(&client);
    neo_buffer_clear(&client.out);
    assert_int_equal(attest_session_feed(client.session, neo_buffer_bytes(&offer),
                                         WALL + seven_years, START, &client.out),
                     ATTEST_REFUSED);
    EXPECT_REFUSAL(&client, "expired");
    end_close(&client);
}

/* --- refusals --------------------------------------------------------------------------------- */

TEST(without_a_policy_for_the_peer_there_is_no_session)
{
    struct wire w = wire_new(0xe0);
    struct attest_session *session = NULL;
    struct attest_options options = {
        .channel = &w.client,
        .trust = pair_trust,
        .policies = pair_policies,
        .want_peer = true,
        .nonce = {1},
    };

    w.client.peer_service = NEO_LIT("key-service");
    assert_int_equal(attest_session_new(&options, &session, NULL), NEO_FAILED_PRECONDITION);
    w.client.peer_service = NEO_LIT("function-service");
    options.policies = NULL;
    assert_int_equal(attest_session_new(&options, &session, NULL), NEO_FAILED_PRECONDITION);
    options.policies = pair_policies;
    options.trust = NULL;
    assert_int_equal(attest_session_new(&options, &session, NULL), NEO_FAILED_PRECONDITION);
    assert_null(session);
}

TEST(a_channel_with_a_missing_part_cannot_be_attested)
{
    for (size_t part = 0; part < 6; part++) {
        struct wire w = wire_new(0xe0);
        struct attest_session *session = NULL;
        struct attest_options options = {.channel = &w.client, .nonce = {1}};

        switch (part) {
        case 0:
            memset(options.nonce, 0, sizeof(options.nonce));
            break;
        case 1:
            memset(w.client.exporter, 0, 32);
            break;
        case 2:
            memset(w.client.own_spki_sha256, 0, 32);
            break;
        case 3:
            memset(w.client.peer_spki_sha256, 0, 32);
            break;
        case 4:
            w.client.own_uri.len = 0;
            break;
        default:
            w.client.peer_uri.len = 0;
        }
        assert_int_equal(attest_session_new(&options, &session, NULL), NEO_INVALID_ARGUMENT);
        assert_null(session);
    }
}

TEST(who_cannot_prove_anything_is_refused_without_a_quote_being_spent)
{
    struct wire w = wire_new(0xe0);
    struct end client, server;

    /* The server would have to prove itself too, but is not asked for evidence first. */
    end_open(&client, &w.client, NULL, wants);
    end_open(&server, &w.server, &function_service, wants_too);
    end_start(&client);
    (void)end_feed(&server, neo_buffer_bytes(&client.out));
    EXPECT_REFUSAL(&server, "unsupported");
    (void)end_feed(&client, neo_buffer_bytes(&server.out));
    EXPECT_REFUSAL(&client, "peer-refused");
    assert_int_equal(client.out.len, 0);
    close_pair(&client, &server);

    end_open(&client, &w.client, &automation_service, wants);
    end_open(&server, &w.server, NULL, asks_nothing);
    (void)pair_run(&client, &server);
    EXPECT_REFUSAL(&server, "unsupported");
    EXPECT_REFUSAL(&client, "peer-refused");
    close_pair(&client, &server);
}

TEST(a_peer_that_does_not_take_our_kind_of_evidence_gets_none)
{
    static const char *const kinds[] = {"tdx-quote", "snp-report", "unknown", ""};
    static const uint8_t peer_nonce[32] = {7};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer out = {0};
    struct wire w = wire_new(0xe0);

    for (size_t i = 0; i < 4 * NEO_COUNT(kinds); i++) {
        struct neo_bytes kind = neo_text(kinds[i / 4]);
        bool to_server = i % 2 == 0;
        const struct service *service = i % 4 < 2   ? NULL
                                        : to_server ? &function_service
                                                    : &automation_service;
        struct neo_attest_v1_Hello hello = {
            .version = 1,
            .nonce = neo_bytes(peer_nonce, sizeof(peer_nonce)),
            .want_server = true,
            .accepts = {&kind, 1},
        };
        struct neo_attest_v1_Offer offer = {
            .nonce = neo_bytes(peer_nonce, sizeof(peer_nonce)),
            .want_client = true,
            .accepts = {&kind, 1},
        };
        const struct neo_attest_v1_AttestFrame frame = {.hello = to_server ? &hello : NULL,
                                                        .offer = to_server ? NULL : &offer};
        struct end e;

        end_open(&e, to_server ? &w.server : &w.client, service, asks_nothing);
        if (!to_server)
            end_start(&e);
        neo_buffer_clear(&out);
        assert_int_equal(neo_attest_v1_AttestFrame_encode(&frame, &out, NULL), NEO_OK);
        neo_buffer_clear(&e.out);
        assert_int_equal(
            attest_session_feed(e.session, neo_buffer_bytes(&out), WALL, START, &e.out),
            ATTEST_REFUSED);
        EXPECT_REFUSAL(&e, "unsupported");
        end_close(&e);
    }
}

TEST(a_failing_attester_ends_the_exchange_and_the_peer_learns_only_that)
{
    struct end client, server;

    open_pair(&client, wants, &server, asks_nothing);
    end_start(&client);
    neo_buffer_clear(&server.out);
    assert_int_equal(attest_session_feed(server.session, neo_buffer_bytes(&client.out), WALL, START,
                                         &server.out),
                     ATTEST_NEEDS_EVIDENCE);
    assert_int_equal(attest_session_evidence(server.session, NEO_LIT(""), NEO_LIT(""), &server.out),
                     ATTEST_REFUSED);
    EXPECT_REFUSAL(&server, "attester");
    assert_int_equal(end_feed(&client, neo_buffer_bytes(&server.out)), ATTEST_REFUSED);
    EXPECT_REFUSAL(&client, "peer-refused");
    close_pair(&client, &server);
}

TEST(evidence_of_ours_that_does_not_fit_into_a_frame_is_our_fault)
{
    static const uint8_t much[ATTEST_FRAME_MAX];
    struct end client, server;

    open_pair(&client, wants, &server, asks_nothing);
    end_start(&client);
    neo_buffer_clear(&server.out);
    (void)attest_session_feed(server.session, neo_buffer_bytes(&client.out), WALL, START,
                              &server.out);
    assert_int_equal(attest_session_evidence(server.session, neo_bytes(much, sizeof(much)),
                                             NEO_LIT(""), &server.out),
                     ATTEST_REFUSED);
    EXPECT_REFUSAL(&server, "attester");
    assert_true(server.out.len < 16);
    close_pair(&client, &server);
}

TEST(the_peer_is_told_one_number_and_our_log_everything)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    struct neo_attest_v1_AttestFrame frame;
    struct wire w = wire_new(0xe0);
    struct end client, server;

    end_open(&client, &w.client, &automation_service, wants);
    end_open(&server, &w.server, &rogue_service, asks_nothing);
    end_start(&client);
    (void)end_feed(&server, neo_buffer_bytes(&client.out));
    (void)end_feed(&client, neo_buffer_bytes(&server.out));
    EXPECT_REFUSAL(&client, "measurement");
    assert_non_null(strstr(attest_session_detail(client.session), "snp.measurement: 6666"));
    assert_int_equal(client.out.len, 4); /* Done{refusal} and nothing else */
    neo_arena_init(&arena, 4096);
    assert_int_equal(
        neo_attest_v1_AttestFrame_decode(neo_buffer_bytes(&client.out), &frame, &arena, NULL),
        NEO_OK);
    assert_false(frame.done->ok);
    assert_int_equal(frame.done->refusal, neo_attest_v1_REFUSAL_EVIDENCE);
    (void)end_feed(&server, neo_buffer_bytes(&client.out));
    EXPECT_REFUSAL(&server, "peer-refused");
    close_pair(&client, &server);
}

/* --- order ------------------------------------------------------------------------------------ */

/* Frames that are well formed; which of them may come depends on the step. */
static void every_frame(size_t i, struct neo_buffer *out)
{
    static const uint8_t peer_nonce[32] = {7};
    struct neo_bytes kind = NEO_LIT("sim-snp-report");
    struct neo_attest_v1_Hello hello = {
        .version = 1,
        .nonce = neo_bytes(peer_nonce, sizeof(peer_nonce)),
        .accepts = {&kind, 1},
        .produces = {&kind, 1},
    };
    struct neo_attest_v1_Offer offer = {.nonce = neo_bytes(peer_nonce, sizeof(peer_nonce))};
    struct neo_attest_v1_Proof proof = {.type = kind, .evidence = NEO_LIT("x")};
    struct neo_attest_v1_Done done = {.ok = true};
    const struct neo_attest_v1_AttestFrame frame = {
        .hello = (i & 1) != 0 ? &hello : NULL,
        .offer = (i & 2) != 0 ? &offer : NULL,
        .proof = (i & 4) != 0 ? &proof : NULL,
        .done = (i & 8) != 0 ? &done : NULL,
    };

    neo_buffer_clear(out);
    assert_int_equal(neo_attest_v1_AttestFrame_encode(&frame, out, NULL), NEO_OK);
}

/* Brings a fresh pair to where `steps` frames were carried, in mutual attestation. */
static struct end *bring(struct end *client, struct end *server, struct end_options server_options,
                         unsigned steps)
{
    struct end *from = client, *to = server;

    open_pair(client, wants, server, server_options);
    end_start(client);
    for (unsigned i = 0; i < steps; i++) {
        (void)end_feed(to, neo_buffer_bytes(&from->out));
        struct end *turn = from;
        from = to;
        to = turn;
    }
    return to;
}

TEST(a_frame_out_of_turn_is_a_protocol_error_in_every_step)
{
    enum {
        SHAPES = 16,
        HELLO = 1,
        OFFER_PROOF = 6,
        PROOF = 4,
        PROOF_DONE = 12,
        DONE = 8,
        OFFER = 2
    };
    static const struct {
        const struct end_options *server;
        unsigned steps;
        unsigned due; /* the one shape that may come */
    } rows[] = {
        {&wants_too, 0, HELLO},
        {&wants_too, 1, OFFER_PROOF},
        {&wants_too, 2, PROOF_DONE},
        {&wants_too, 3, DONE},
        {&wants_client_first, 0, HELLO},
        {&wants_client_first, 2, PROOF},
        {&wants_client_first, 3, PROOF_DONE},
        {&wants_client_first, 4, DONE},
    };
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer frame = {0};

    for (size_t i = 0; i < NEO_COUNT(rows); i++) {
        for (unsigned shape = 0; shape < SHAPES; shape++) {
            struct end client, server;
            if (shape == rows[i].due)
                continue;
            struct end *e = bring(&client, &server, *rows[i].server, rows[i].steps);
            every_frame(shape, &frame);
            (void)end_feed(e, neo_buffer_bytes(&frame));
            EXPECT_REFUSAL(e, "protocol");
            close_pair(&client, &server);
        }
    }
}

TEST(nothing_may_follow_the_end_and_nothing_changes_it)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer frame = {0};
    struct end client, server;

    open_pair(&client, wants, &server, wants_too);
    (void)pair_run(&client, &server);
    every_frame(8, &frame);
    assert_int_equal(end_feed(&client, neo_buffer_bytes(&frame)), ATTEST_REFUSED);
    EXPECT_REFUSAL(&client, "protocol");
    every_frame(1, &frame);
    assert_int_equal(end_feed(&client, neo_buffer_bytes(&frame)), ATTEST_REFUSED);
    assert_int_equal(
        attest_session_tick(client.session, START + 3600 * NEO_NSEC_PER_SEC, &client.out),
        ATTEST_REFUSED);
    EXPECT_REFUSAL(&client, "protocol");
    close_pair(&client, &server);
}

TEST(while_evidence_is_being_made_the_peer_may_only_give_up)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer frame = {0};
    struct neo_attest_v1_Done done = {.refusal = neo_attest_v1_REFUSAL_TIMEOUT};
    const struct neo_attest_v1_AttestFrame giving_up = {.done = &done};

    for (unsigned gives_up = 0; gives_up < 2; gives_up++) {
        struct end client, server;
        open_pair(&client, wants, &server, asks_nothing);
        end_start(&client);
        neo_buffer_clear(&server.out);
        (void)attest_session_feed(server.session, neo_buffer_bytes(&client.out), WALL, START,
                                  &server.out);
        EXPECT_STATE(&server, ATTEST_NEEDS_EVIDENCE);
        neo_buffer_clear(&frame);
        if (gives_up != 0)
            assert_int_equal(neo_attest_v1_AttestFrame_encode(&giving_up, &frame, NULL), NEO_OK);
        else
            every_frame(1, &frame);
        (void)attest_session_feed(server.session, neo_buffer_bytes(&frame), WALL, START,
                                  &server.out);
        EXPECT_REFUSAL(&server, gives_up != 0 ? "peer-refused" : "protocol");
        /* Evidence that comes after all is dropped. */
        neo_buffer_clear(&server.out);
        assert_int_equal(
            attest_session_evidence(server.session, NEO_LIT("late"), NEO_LIT(""), &server.out),
            ATTEST_REFUSED);
        assert_int_equal(server.out.len, 0);
        close_pair(&client, &server);
    }
}

TEST(a_client_starts_once_and_a_server_never)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer out = {0};
    struct end client, server;

    open_pair(&client, wants, &server, wants_too);
    end_start(&client);
    assert_int_equal(attest_session_start(client.session, &out, NULL), NEO_FAILED_PRECONDITION);
    assert_int_equal(attest_session_start(server.session, &out, NULL), NEO_FAILED_PRECONDITION);
    assert_int_equal(out.len, 0);
    close_pair(&client, &server);
}

/* --- hello and offer, field by field ---------------------------------------------------------- */

TEST(a_nonce_is_32_bytes_not_zero_and_not_ours)
{
    static const size_t lengths[] = {0, 8, 31, 33, 64};
    uint8_t bytes[64];
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer out = {0};

    for (size_t i = 0; i < NEO_COUNT(lengths) + 2; i++) {
        bool is_length = i < NEO_COUNT(lengths);
        bool is_zero = i == NEO_COUNT(lengths);
        struct neo_attest_v1_Hello hello = {
            .version = 1,
            .nonce = neo_bytes(bytes, is_length ? lengths[i] : 32),
        };
        const struct neo_attest_v1_AttestFrame frame = {.hello = &hello};
        struct end client, server;

        memset(bytes, is_zero ? 0 : asks_nothing.nonce, sizeof(bytes));
        if (is_length)
            memset(bytes, 0x99, sizeof(bytes));
        open_pair(&client, wants, &server, asks_nothing);
        neo_buffer_clear(&out);
        assert_int_equal(neo_attest_v1_AttestFrame_encode(&frame, &out, NULL), NEO_OK);
        (void)end_feed(&server, neo_buffer_bytes(&out));
        EXPECT_REFUSAL(&server, "protocol");
        close_pair(&client, &server);
    }
}

TEST(another_version_is_refused)
{
    static const uint8_t peer_nonce[32] = {7};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer out = {0};

    for (uint32_t version = 0; version < 4; version++) {
        struct neo_attest_v1_Hello hello = {
            .version = version,
            .nonce = neo_bytes(peer_nonce, sizeof(peer_nonce)),
        };
        const struct neo_attest_v1_AttestFrame frame = {.hello = &hello};
        struct end client, server;

        if (version == 1)
            continue;
        open_pair(&client, wants, &server, asks_nothing);
        neo_buffer_clear(&out);
        assert_int_equal(neo_attest_v1_AttestFrame_encode(&frame, &out, NULL), NEO_OK);
        (void)end_feed(&server, neo_buffer_bytes(&out));
        EXPECT_REFUSAL(&server, "protocol");
        close_pair(&client, &server);
    }
}

TEST(a_verdict_without_duration_or_on_nothing_is_refused)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer out = {0};

    for (uint32_t seconds = 0; seconds < 2; seconds++) {
        struct neo_attest_v1_Done done = {.ok = true, .valid_for_seconds = seconds};
        const struct neo_attest_v1_AttestFrame frame = {.done = &done};
        struct end client, server;

        /* The server proved itself and hears "0 s"; or did not, and hears "1 s". */
        open_pair(&client, seconds == 0 ? wants : asks_nothing, &server, asks_nothing_too);
        end_start(&client);
        (void)end_feed(&server, neo_buffer_bytes(&client.out));
        neo_buffer_clear(&out);
        assert_int_equal(neo_attest_v1_AttestFrame_encode(&frame, &out, NULL), NEO_OK);
        (void)end_feed(&server, neo_buffer_bytes(&out));
        EXPECT_REFUSAL(&server, "protocol");
        close_pair(&client, &server);
    }
}

TEST(a_client_that_proved_itself_wants_to_hear_for_how_long)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer out = {0};
    struct neo_attest_v1_Done done = {.ok = true};
    const struct neo_attest_v1_AttestFrame frame = {.done = &done};
    struct end client, server;

    open_pair(&client, asks_nothing, &server, wants);
    end_start(&client);
    (void)end_feed(&server, neo_buffer_bytes(&client.out));
    assert_int_equal(end_feed(&client, neo_buffer_bytes(&server.out)), ATTEST_RUNNING);
    assert_int_equal(neo_attest_v1_AttestFrame_encode(&frame, &out, NULL), NEO_OK);
    (void)end_feed(&client, neo_buffer_bytes(&out));
    EXPECT_REFUSAL(&client, "protocol");
    close_pair(&client, &server);
}

/* --- time ------------------------------------------------------------------------------------- */

TEST(the_whole_exchange_has_ten_seconds)
{
    struct end client, server;

    open_pair(&client, wants, &server, wants_too);
    end_start(&client);
    (void)end_feed_at(&server, neo_buffer_bytes(&client.out), START + 4 * NEO_NSEC_PER_SEC);
    (void)end_feed_at(&client, neo_buffer_bytes(&server.out), START + 8 * NEO_NSEC_PER_SEC);
    EXPECT_STATE(&client, ATTEST_RUNNING);
    (void)end_feed_at(&server, neo_buffer_bytes(&client.out), START + 10 * NEO_NSEC_PER_SEC);
    EXPECT_REFUSAL(&server, "timeout");
    close_pair(&client, &server);
}

TEST(silence_ends_by_the_owners_timer)
{
    struct end client, server;

    open_pair(&client, wants, &server, wants_too);
    end_start(&client);
    neo_buffer_clear(&client.out);
    assert_int_equal(
        attest_session_tick(client.session, START + ATTEST_EXCHANGE_MAX - 1, &client.out),
        ATTEST_RUNNING);
    assert_int_equal(client.out.len, 0);
    assert_int_equal(attest_session_tick(client.session, START + ATTEST_EXCHANGE_MAX, &client.out),
                     ATTEST_REFUSED);
    EXPECT_REFUSAL(&client, "timeout");
    assert_true(client.out.len > 0);
    close_pair(&client, &server);
}

/* --- bytes ------------------------------------------------------------------------------------ */

TEST(no_prefix_of_a_frame_is_accepted_for_the_whole)
{
    for (unsigned steps = 0; steps < 4; steps++) {
        struct end client, server;
        struct end *e = bring(&client, &server, wants_too, steps);
        struct end *other = e == &client ? &server : &client;
        NEO_CLEANUP(neo_buffer_fini) struct neo_buffer whole = {0};
        assert_true(neo_buffer_append(&whole, neo_buffer_bytes(&other->out)));
        close_pair(&client, &server);

        size_t stride = whole.len > 512 ? 61 : 1;
        for (size_t len = 0; len < whole.len; len += stride) {
            e = bring(&client, &server, wants_too, steps);
            enum attest_state end = end_feed(e, neo_bytes(whole.at, len));
            assert_int_not_equal(end, ATTEST_ACCEPTED);
            if (steps != 0) /* a Hello cut between two fields may be a Hello that asks for less */
                assert_int_equal(end, ATTEST_REFUSED);
            close_pair(&client, &server);
        }
    }
}

TEST(a_changed_byte_is_refused_or_changes_nothing_that_is_proved)
{
    struct end client, server;
    struct end *e = bring(&client, &server, wants_too, 2);
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer whole = {0};
    uint8_t sha256[32];

    assert_true(neo_buffer_append(&whole, neo_buffer_bytes(&client.out)));
    assert_int_equal(end_feed(e, neo_buffer_bytes(&whole)), ATTEST_ACCEPTED);
    memcpy(sha256, attest_session_appraisal(server.session)->evidence_sha256, sizeof(sha256));
    close_pair(&client, &server);

    for (size_t at = 0; at < whole.len; at += at < 1300 ? 3 : 97) {
        e = bring(&client, &server, wants_too, 2);
        whole.at[at] ^= 0x10;
        if (end_feed(e, neo_buffer_bytes(&whole)) == ATTEST_ACCEPTED)
            assert_memory_equal(attest_session_appraisal(server.session)->evidence_sha256, sha256,
                                sizeof(sha256));
        whole.at[at] ^= 0x10;
        close_pair(&client, &server);
    }
}

TEST(an_allocation_that_fails_never_turns_into_acceptance)
{
    bool done = false;
    unsigned long n;

    for (n = 1; !done; n++) {
        struct end client, server;
        struct end *e = bring(&client, &server, wants_too, 1);
        neo_buffer_clear(&e->out);
        neo_memory_fail_at(n);
        enum attest_state end =
            attest_session_feed(e->session, neo_buffer_bytes(&server.out), WALL, START, &e->out);
        neo_memory_fail_at(0);
        done = end == ATTEST_NEEDS_EVIDENCE;
        if (!done)
            assert_int_equal(end, ATTEST_REFUSED);
        close_pair(&client, &server);
        assert_true(n < 200);
    }
    assert_true(n > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_side_proves_itself_exactly_when_the_other_asks),
        cmocka_unit_test(
            a_server_that_holds_the_data_shows_nothing_before_the_client_has_proved_itself),
        cmocka_unit_test(nobody_is_accepted_before_both_have_said_so),
        cmocka_unit_test(a_verdict_ends_with_the_policys_age_for_both_sides),
        cmocka_unit_test(
            the_attester_may_ask_for_a_shorter_life_in_claims_that_the_evidence_covers),
        cmocka_unit_test(a_verdict_does_not_outlive_the_certificates),
        cmocka_unit_test(without_a_policy_for_the_peer_there_is_no_session),
        cmocka_unit_test(a_channel_with_a_missing_part_cannot_be_attested),
        cmocka_unit_test(who_cannot_prove_anything_is_refused_without_a_quote_being_spent),
        cmocka_unit_test(a_peer_that_does_not_take_our_kind_of_evidence_gets_none),
        cmocka_unit_test(a_failing_attester_ends_the_exchange_and_the_peer_learns_only_that),
        cmocka_unit_test(evidence_of_ours_that_does_not_fit_into_a_frame_is_our_fault),
        cmocka_unit_test(the_peer_is_told_one_number_and_our_log_everything),
        cmocka_unit_test(a_frame_out_of_turn_is_a_protocol_error_in_every_step),
        cmocka_unit_test(nothing_may_follow_the_end_and_nothing_changes_it),
        cmocka_unit_test(while_evidence_is_being_made_the_peer_may_only_give_up),
        cmocka_unit_test(a_client_starts_once_and_a_server_never),
        cmocka_unit_test(a_nonce_is_32_bytes_not_zero_and_not_ours),
        cmocka_unit_test(another_version_is_refused),
        cmocka_unit_test(a_verdict_without_duration_or_on_nothing_is_refused),
        cmocka_unit_test(a_client_that_proved_itself_wants_to_hear_for_how_long),
        cmocka_unit_test(the_whole_exchange_has_ten_seconds),
        cmocka_unit_test(silence_ends_by_the_owners_timer),
        cmocka_unit_test(no_prefix_of_a_frame_is_accepted_for_the_whole),
        cmocka_unit_test(a_changed_byte_is_refused_or_changes_nothing_that_is_proved),
        cmocka_unit_test(an_allocation_that_fails_never_turns_into_acceptance),
    };

    return cmocka_run_group_tests(tests, pair_setup, pair_teardown);
}
