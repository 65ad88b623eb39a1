/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fields of class TEE_ONLY on the way: not towards a peer that has not proven what it runs, in
 * either direction, before a byte has left. Where they hide is tested with the codec.
 */
#include "fixture.h"

#include <neo/attest.h>
#include <neo/channel.h>
#include <neo/test/v1/secret.neo.h>

#include <openssl/crypto.h>

#include <unistd.h>

static struct neo_buffer bundle, root;
static struct neo_attest_trust *attest_trust;
static struct neo_attest_policies *of_caller, *of_server;
static struct neo_attester *caller_attester, *server_attester;
static struct neo_attester *channels_attester; /* NULL: that of the caller */
static struct neo_attest_policies *of_caller_anew;
static atomic_uint proofs;
static struct neo_channel *channel;
static struct neo_arena arena;
static atomic_uint opened, heard, answered;

/* --- the machine: slow to make, one for all tests --------------------------------------------- */

static struct neo_attest_policies *policies_for(const char *service, const char *measures)
{
    struct neo_attest_policies *policies = NULL;
    struct neo_buffer text = {0};
    struct neo_error err = {0};

    (void)neo_buffer_printf(&text,
                            "attestation_policies:\n"
                            "  %s:\n"
                            "    require: simulator\n"
                            "    any_of:\n"
                            "      - tee: sev-snp\n"
                            "        measurement: [\"",
                            service);
    for (int i = 0; i < 48; i++)
        (void)neo_buffer_append_text(&text, measures);
    (void)neo_buffer_append_text(&text, "\"]\n");
    const struct neo_document document = {NEO_LIT("attest.yaml"), neo_buffer_bytes(&text)};
    if (neo_attest_policies_compile(&document, 1, true, &policies, &err) != NEO_OK)
        fail_msg("%s", err.message);
    neo_buffer_fini(&text);
    return policies;
}

static struct neo_attester *attester_of(uint8_t measures)
{
    struct neo_attester *attester = NULL;
    uint8_t measurement[48];

    memset(measurement, measures, sizeof(measurement));
    assert_int_equal(
        neo_sim_snp_attester(neo_buffer_bytes(&bundle), measurement, true, &attester, NULL),
        NEO_OK);
    return attester;
}

static int make_machine(void **state)
{
    (void)state;
    if (neo_sim_snp_init(&bundle, &root, neo_wall_nsec() / (int64_t)NEO_NSEC_PER_SEC, NULL) !=
        NEO_OK)
        return -1;
    const struct neo_attest_trust_options options = {
        .simulated_root = neo_buffer_bytes(&root),
        .development = true,
    };
    assert_int_equal(neo_attest_trust_new(&options, &attest_trust, NULL), NEO_OK);
    of_caller = policies_for("caller-service", "ca");
    of_server = policies_for("echo-service", "5e");
    caller_attester = attester_of(0xca);
    server_attester = attester_of(0x5e);
    return 0;
}

static int break_machine(void **state)
{
    (void)state;
    caller_attester->free(caller_attester);
    server_attester->free(server_attester);
    neo_attest_policies_unref(of_caller);
    neo_attest_policies_unref(of_server);
    neo_attest_trust_unref(attest_trust);
    neo_buffer_fini_secret(&bundle);
    neo_buffer_fini(&root);
    return 0;
}

/* --- the service ------------------------------------------------------------------------------ */

static struct neo_test_v1_Vault answer_to(const struct neo_test_v1_Vault *request)
{
    struct neo_test_v1_Vault response = {.name = request->name};

    if (neo_bytes_is(request->name, "tell"))
        response.key = NEO_LIT("hunter2");
    if (request->key.len > 0)
        atomic_fetch_add(&heard, 1);
    return response;
}

static void open_vault(struct neo_call *call, const struct neo_test_v1_Vault *request, void *self)
{
    struct neo_test_v1_Vault response = answer_to(request);

    (void)self;
    atomic_fetch_add(&opened, 1);
    neo_test_v1_Vaults_Open_reply(call, &response);
}

static void block_vault(struct neo_call *call, const struct neo_test_v1_Vault *request, void *self)
{
    struct neo_test_v1_Vault response = answer_to(request);

    (void)self;
    atomic_fetch_add(&opened, 1);
    neo_test_v1_Vaults_Block_reply(call, &response);
}

static void watch_vault(struct neo_call *call, const struct neo_test_v1_Vault *request, void *self)
{
    static const struct neo_status ok = {.code = NEO_OK};
    struct neo_test_v1_Vault first = {.name = NEO_LIT("first")};
    struct neo_test_v1_Vault second = answer_to(request);

    (void)self;
    (void)neo_test_v1_Vaults_Watch_send(call, &first);
    if (neo_test_v1_Vaults_Watch_send(call, &second) != NEO_FLOW_GONE)
        neo_call_finish(call, &ok);
}

static void count_vault(struct neo_call *call, const void *request, void *state)
{
    (void)call;
    (void)state;
    (void)answer_to(request);
    atomic_fetch_add(&answered, 1);
}

static void filled(struct neo_call *call, void *state)
{
    struct neo_test_v1_Vault response = {.name = NEO_LIT("full")};

    (void)state;
    neo_call_reply(call, &response);
}

static void fill_vault(struct neo_call *call, const struct neo_test_v1_Vault *request, void *self)
{
    static const struct neo_stream_events events = {.message = count_vault, .half_closed = filled};

    (void)request;
    (void)self;
    neo_call_on_stream(call, &events, NULL);
}

/* --- a server and a channel, each attested to the other or not -------------------------------- */

static void serve_vaults(bool caller_proves, bool server_proves)
{
    static const struct neo_test_v1_Vaults_handlers handlers = {
        .Open = open_vault,
        .Block = block_vault,
        .Watch = watch_vault,
        .Fill = fill_vault,
    };
    struct neo_channel_options o = {
        .loop = neo_runtime_loop(world.runtime, 0),
        .epoch = {.identity = world.caller, .trust = world.trust, .attest_trust = attest_trust},
        .service = "echo-service",
        .trust_domain = "neo.test",
        .attester = channels_attester != NULL ? channels_attester : caller_attester,
    };
    struct neo_error err = {0};
    char target[100];

    opened = heard = answered = 0;
    neo_arena_init(&arena, 1 << 20);
    world.options.epoch.attest_trust = attest_trust;
    world.options.epoch.attest_policies = caller_proves ? of_caller : NULL;
    world.options.attester = server_attester;
    o.epoch.attest_policies = server_proves ? of_server : NULL;
    if (neo_server_new(&world.options, &world.server, &err) != NEO_OK ||
        neo_test_v1_Vaults_add(world.server, &handlers, NULL, &err) != NEO_OK ||
        neo_server_set_blocking(world.server, "/neo.test.v1.Vaults/Block", &err) != NEO_OK ||
        neo_server_listen(world.server, "127.0.0.1:0", &err) != NEO_OK)
        fail_msg("%s", err.message);
    (void)snprintf(target, sizeof(target), "ipv4:%s", neo_server_address(world.server));
    if (neo_channel_open(target, &o, &channel, &err) != NEO_OK)
        fail_msg("%s", err.message);
}

static int end_vaults(void **state)
{
    neo_channel_free(channel);
    channel = NULL;
    channels_attester = NULL;
    neo_arena_fini(&arena);
    return end(state);
}

static void assert_withheld(const struct neo_status *status, const char *field)
{
    char text[200];

    (void)snprintf(text, sizeof(text),
                   "neo.test.v1.Vault.%s is TEE_ONLY, and the peer is not attested", field);
    assert_int_equal(status->code, NEO_FAILED_PRECONDITION);
    assert_true(neo_bytes_is(status->reason, "ATTESTATION_REQUIRED"));
    if (!neo_bytes_is(status->message, text))
        fail_msg("expected: %s\n  got:      %.*s", text, NEO_FMT(status->message));
}

static struct neo_test_v1_Vault secret_vault(void)
{
    return (struct neo_test_v1_Vault){.name = NEO_LIT("n"), .key = NEO_LIT("hunter2")};
}

/* --- refusals --------------------------------------------------------------------------------- */

TEST(a_secret_request_does_not_leave_for_a_server_that_is_not_attested)
{
    struct neo_test_v1_Vault request = secret_vault();
    struct neo_test_v1_Vault outer = {.inner = &request};
    struct neo_test_v1_Vault response;
    struct neo_status status;

    serve_vaults(true, false);
    assert_int_equal(neo_test_v1_Vaults_Open(channel, NULL, &request, &response, &arena, &status),
                     NEO_FAILED_PRECONDITION);
    assert_withheld(&status, "key");
    assert_int_equal(neo_test_v1_Vaults_Open(channel, NULL, &outer, &response, &arena, &status),
                     NEO_FAILED_PRECONDITION);
    assert_withheld(&status, "inner.key");
    assert_int_equal(opened, 0);
    assert_int_equal(neo_channel_wire(channel).request_bytes, 0);
    request.key = (struct neo_bytes){0}; /* the channel works on */
    assert_int_equal(neo_test_v1_Vaults_Open(channel, NULL, &request, &response, &arena, &status),
                     NEO_OK);
    assert_int_equal(opened, 1);
}

TEST(a_call_that_says_so_needs_an_attested_peer_whatever_it_carries)
{
    const struct neo_call_options options = {.needs_attested = "keys go over this call later"};
    struct neo_test_v1_Vault request = {.name = NEO_LIT("n")};
    struct neo_test_v1_Vault response;
    struct neo_status status;

    serve_vaults(false, false);
    assert_int_equal(
        neo_test_v1_Vaults_Open(channel, &options, &request, &response, &arena, &status),
        NEO_FAILED_PRECONDITION);
    assert_true(neo_bytes_is(status.message, "keys go over this call later"));
    assert_int_equal(opened, 0);
}

TEST(the_first_secret_message_of_a_stream_ends_it)
{
    struct neo_test_v1_Vault request = {.name = NEO_LIT("n")};
    struct neo_test_v1_Vault response;
    struct neo_stream *stream;
    struct neo_error err;

    serve_vaults(false, false);
    assert_int_equal(neo_test_v1_Vaults_Fill_stream(channel, NULL, &stream, &err), NEO_OK);
    assert_int_equal(neo_test_v1_Vaults_Fill_stream_send(stream, &request), NEO_OK);
    wait_for(answered == 1);
    request = secret_vault();
    assert_int_equal(neo_test_v1_Vaults_Fill_stream_send(stream, &request), NEO_OK); /* queued */
    assert_false(neo_test_v1_Vaults_Fill_stream_next(stream, &response, &arena));
    assert_withheld(neo_stream_status(stream), "key");
    neo_stream_free(stream);
    assert_int_equal(heard, 0);
    assert_int_equal(answered, 1);
}

/* Whenever its end is on the way. */
TEST(a_stream_with_a_secret_can_be_freed_at_any_moment)
{
    struct neo_test_v1_Vault request = secret_vault();
    struct neo_stream *stream;
    struct neo_error err;

    serve_vaults(false, false);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(neo_test_v1_Vaults_Fill_stream(channel, NULL, &stream, &err), NEO_OK);
        assert_int_equal(neo_test_v1_Vaults_Fill_stream_send(stream, &request), NEO_OK);
        neo_stream_free(stream);
    }
    assert_int_equal(answered, 0);
}

TEST(a_secret_response_does_not_leave_for_a_caller_that_is_not_attested)
{
    struct neo_test_v1_Vault request = {.name = NEO_LIT("tell")};
    struct neo_test_v1_Vault response;
    struct neo_status status;

    serve_vaults(false, true);
    assert_int_equal(neo_test_v1_Vaults_Open(channel, NULL, &request, &response, &arena, &status),
                     NEO_FAILED_PRECONDITION);
    assert_withheld(&status, "key");
    assert_int_equal(neo_test_v1_Vaults_Block(channel, NULL, &request, &response, &arena, &status),
                     NEO_FAILED_PRECONDITION);
    assert_withheld(&status, "key");
    assert_int_equal(opened, 2);
    request.name = NEO_LIT("hush");
    assert_int_equal(neo_test_v1_Vaults_Block(channel, NULL, &request, &response, &arena, &status),
                     NEO_OK);
    assert_true(neo_bytes_is(response.name, "hush"));
}

TEST(the_first_secret_message_of_a_response_stream_ends_it)
{
    struct neo_test_v1_Vault request = {.name = NEO_LIT("tell")};
    struct neo_test_v1_Vault response;
    struct neo_stream *stream;
    struct neo_error err;

    serve_vaults(false, true);
    assert_int_equal(neo_test_v1_Vaults_Watch_stream(channel, NULL, &request, &stream, &err),
                     NEO_OK);
    assert_true(neo_test_v1_Vaults_Watch_stream_next(stream, &response, &arena));
    assert_true(neo_bytes_is(response.name, "first"));
    assert_false(neo_test_v1_Vaults_Watch_stream_next(stream, &response, &arena));
    assert_withheld(neo_stream_status(stream), "key");
    neo_stream_free(stream);
}

/* --- between attested ends -------------------------------------------------------------------- */

TEST(secrets_travel_between_ends_that_have_proven_themselves)
{
    struct neo_test_v1_Vault request = {.name = NEO_LIT("tell"), .key = NEO_LIT("k")};
    struct neo_test_v1_Vault response;
    struct neo_stream *stream;
    struct neo_status status;
    struct neo_error err;

    serve_vaults(true, true);
    if (neo_test_v1_Vaults_Open(channel, NULL, &request, &response, &arena, &status) != NEO_OK)
        fail_msg("%.*s", NEO_FMT(status.message));
    assert_true(neo_bytes_is(response.key, "hunter2"));
    assert_int_equal(neo_test_v1_Vaults_Block(channel, NULL, &request, &response, &arena, &status),
                     NEO_OK);
    assert_true(neo_bytes_is(response.key, "hunter2"));
    assert_int_equal(heard, 2);
    assert_int_equal(neo_test_v1_Vaults_Watch_stream(channel, NULL, &request, &stream, &err),
                     NEO_OK);
    assert_true(neo_test_v1_Vaults_Watch_stream_next(stream, &response, &arena));
    assert_true(neo_test_v1_Vaults_Watch_stream_next(stream, &response, &arena));
    assert_true(neo_bytes_is(response.key, "hunter2"));
    neo_stream_free(stream);
}

/* The first proof meets rules that were replaced while it was made, and has time to arrive so. */
static enum neo_code attest_late(struct neo_attester *self,
                                 const uint8_t binder[static NEO_BINDER_LEN],
                                 struct neo_buffer *out_body, struct neo_buffer *out_certificates,
                                 struct neo_error *err)
{
    enum { ARRIVES_MSEC = 100 };

    (void)self;
    if (atomic_fetch_add(&proofs, 1) == 0) {
        neo_server_update(world.server, &(struct neo_epoch){.attest_policies = of_caller_anew});
        (void)usleep(ARRIVES_MSEC * 1000);
    }
    enum neo_code code =
        caller_attester->attest(caller_attester, binder, out_body, out_certificates, err);
    OPENSSL_thread_stop(); /* what it keeps for a thread of the pool would look lost */
    return code;
}

TEST(who_proved_itself_by_rules_that_were_replaced_meanwhile_does_so_again)
{
    struct neo_attester late = {.kind = caller_attester->kind, .attest = attest_late};
    struct neo_test_v1_Vault request = {.name = NEO_LIT("n")};
    struct neo_test_v1_Vault response;
    struct neo_status status;

    of_caller_anew = policies_for("caller-service", "ca");
    channels_attester = &late;
    proofs = 0;
    serve_vaults(true, true);
    if (neo_test_v1_Vaults_Open(channel, NULL, &request, &response, &arena, &status) != NEO_OK)
        fail_msg("%.*s", NEO_FMT(status.message));
    assert_int_equal(proofs, 2);
    assert_int_equal(opened, 1);
    neo_channel_free(channel); /* before its attester */
    channel = NULL;
    neo_attest_policies_unref(of_caller_anew);
}

#define T(name) cmocka_unit_test_setup_teardown(name, begin, end_vaults)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_secret_request_does_not_leave_for_a_server_that_is_not_attested),
        T(a_call_that_says_so_needs_an_attested_peer_whatever_it_carries),
        T(the_first_secret_message_of_a_stream_ends_it),
        T(a_stream_with_a_secret_can_be_freed_at_any_moment),
        T(a_secret_response_does_not_leave_for_a_caller_that_is_not_attested),
        T(the_first_secret_message_of_a_response_stream_ends_it),
        T(secrets_travel_between_ends_that_have_proven_themselves),
        T(who_proved_itself_by_rules_that_were_replaced_meanwhile_does_so_again),
    };
    return cmocka_run_group_tests_name("rpc/sensitive", tests, make_machine, break_machine);
}
