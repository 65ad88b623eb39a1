/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Peers that want something else than a connection: downgrades, resumption, early
 * data, bombs and floods (T01-T03, T05, T06). What one must not get is asked for
 * again where it is to be had, so that a test which could not fail would be seen.
 */
#include "../unit.h"

#include "support/cost.h"
#include "support/pki.h"
#include "support/tls_link.h"
#include "support/tls_raw.h"

#include <string.h>

#define SERVER "function-service"
#define CLIENT "automation-service"
#define EXPECT "spiffe://neo.test/" SERVER

enum { HANDSHAKE_RECORD = 22, ALERT_RECORD = 21, DATA_RECORD = 23 };

static struct pki *pki;
static struct tls_context *server;
static const struct pki_cert *client_cert;
static const struct pki_cert *server_cert;

static int set_up(void **state __attribute__((unused)))
{
    pki = pki_new("neo.test");
    server = tls_link_context(TLS_SERVER, pki, SERVER);
    client_cert = pki_make(pki, pki_issuer(pki), CLIENT, NULL);
    server_cert = pki_make(pki, pki_issuer(pki), SERVER, NULL);
    return 0;
}

static int tear_down(void **state __attribute__((unused)))
{
    tls_context_unref(server);
    pki_free(pki);
    return 0;
}

static struct tls_end server_end(void)
{
    struct tls_end end = {0};

    assert_int_equal(tls_new(server, (struct neo_bytes){0}, NULL, &end.tls, NULL), NEO_OK);
    return end;
}

static struct tls_end client_end(void)
{
    struct tls_context *context = tls_link_context(TLS_CLIENT, pki, CLIENT);
    struct tls_end end = {0};

    assert_int_equal(tls_new(context, neo_text(EXPECT), NULL, &end.tls, NULL), NEO_OK);
    tls_context_unref(context);
    return end;
}

static void fini_end(struct tls_end *end)
{
    tls_free(end->tls);
    neo_buffer_fini(&end->plain);
    neo_buffer_fini(&end->out);
}

static void assert_says(const struct neo_error *err, const char *reason)
{
    assert_int_not_equal(err->code, NEO_OK);
    if (strstr(err->message, reason) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err->message, reason);
}

/* --- T01: downgrade -------------------------------------------------------------------------- */

static void assert_refused(struct raw_options options, int alert)
{
    struct raw *raw = raw_new(&options);
    struct tls_end end = server_end();
    double start = cost_now();

    raw_link(raw, &end);
    assert_true(cost_now() - start < 5 * COST_SLACK);
    assert_int_equal(end.err.code, NEO_UNAVAILABLE);
    assert_int_equal(tls_state(end.tls), TLS_HANDSHAKE);
    assert_int_equal(end.plain.len, 0);
    assert_true(raw->failed);
    assert_int_equal(raw->alert, alert);
    fini_end(&end);
    raw_free(raw);
}

TEST(older_versions_are_refused)
{
    static const int versions[] = {TLS1_VERSION, TLS1_1_VERSION, TLS1_2_VERSION};

    for (size_t i = 0; i < NEO_COUNT(versions); i++)
        assert_refused((struct raw_options){.cert = client_cert,
                                            .min_version = TLS1_VERSION,
                                            .max_version = versions[i]},
                       SSL_AD_PROTOCOL_VERSION);
}

TEST(a_client_that_could_do_less_does_tls_1_3)
{
    const struct raw_options options = {.cert = client_cert, .min_version = TLS1_VERSION};
    struct raw *raw = raw_new(&options);
    struct tls_end end = server_end();

    raw_link(raw, &end);
    assert_int_equal(tls_state(end.tls), TLS_OPEN);
    assert_string_equal(SSL_get_version(raw->ssl), "TLSv1.3");
    fini_end(&end);
    raw_free(raw);
}

TEST(no_common_group_is_refused)
{
    assert_refused((struct raw_options){.cert = client_cert, .groups = "P-384"},
                   SSL_AD_HANDSHAKE_FAILURE);
    assert_refused((struct raw_options){.cert = client_cert, .groups = "ffdhe2048"},
                   SSL_AD_HANDSHAKE_FAILURE);
}

TEST(weak_or_foreign_signatures_are_refused)
{
    assert_refused((struct raw_options){.cert = client_cert, .signatures = "RSA-PSS+SHA256"},
                   SSL_AD_HANDSHAKE_FAILURE);
    assert_refused((struct raw_options){.cert = client_cert,
                                        .signatures = "ECDSA+SHA1:RSA+SHA1:RSA-PSS+SHA256"},
                   SSL_AD_HANDSHAKE_FAILURE);
}

TEST(a_server_of_an_older_version_is_refused)
{
    const struct raw_options options = {.is_server = true,
                                        .cert = server_cert,
                                        .min_version = TLS1_VERSION,
                                        .max_version = TLS1_2_VERSION};
    struct raw *raw = raw_new(&options);
    struct tls_end end = client_end();

    raw_link(raw, &end);
    assert_int_equal(end.err.code, NEO_UNAVAILABLE);
    assert_int_equal(tls_state(end.tls), TLS_HANDSHAKE);
    fini_end(&end);
    raw_free(raw);
}

TEST(what_is_not_tls_is_refused)
{
    static const char greetings[][64] = {
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "SSH-2.0-x\r\n",
        "\x80\x2e\x01\x03\x01", /* SSL 2 */
    };

    for (size_t i = 0; i < NEO_COUNT(greetings); i++) {
        struct tls_end end = server_end();

        tls_end_feed(&end, neo_bytes(greetings[i], sizeof(greetings[i])), 1, PKI_NOW);
        assert_int_equal(end.err.code, NEO_UNAVAILABLE);
        assert_int_equal(end.plain.len, 0);
        fini_end(&end);
    }
}

/* --- T02, T03: resumption and early data ------------------------------------------------------ */

static struct raw *connect_raw(SSL_SESSION *resume)
{
    const struct raw_options options = {.cert = client_cert, .resume = resume};
    struct raw *raw = raw_new(&options);
    struct tls_end end = server_end();

    raw_link(raw, &end);
    assert_int_equal(tls_state(end.tls), TLS_OPEN);
    assert_false(raw->failed);
    fini_end(&end);
    return raw;
}

static void run_both(struct raw *from, struct raw *to)
{
    struct neo_buffer there = {0}, back = {0};

    for (int i = 0; i < 4; i++) {
        neo_buffer_clear(&there);
        raw_run(to, neo_buffer_bytes(&back), &there);
        neo_buffer_clear(&back);
        raw_run(from, neo_buffer_bytes(&there), &back);
    }
    neo_buffer_fini(&there);
    neo_buffer_fini(&back);
}

/* A session that a permissive server gave, and, as the control, takes back. */
static SSL_SESSION *resumable_session(void)
{
    const struct raw_options giving = {.is_server = true, .cert = server_cert, .tickets = true};
    const struct raw_options taking = {.cert = client_cert};
    struct raw *from = raw_new(&giving), *to = raw_new(&taking);

    run_both(from, to);
    SSL_SESSION *session = to->session;
    to->session = NULL;
    assert_non_null(session);
    assert_true(SSL_SESSION_get_max_early_data(session) > 0);
    SSL_SESSION *used = SSL_SESSION_dup(session); /* a ticket that was taken back is spent */
    raw_renew(from, NULL);
    raw_renew(to, used);
    run_both(from, to);
    assert_int_equal(SSL_session_reused(to->ssl), 1);
    SSL_SESSION_free(used);
    raw_free(from);
    raw_free(to);
    return session;
}

TEST(a_client_is_given_nothing_to_resume_with)
{
    struct raw *raw = connect_raw(NULL);

    assert_null(raw->session);
    assert_int_equal(SSL_SESSION_is_resumable(SSL_get0_session(raw->ssl)), 0);
    assert_int_equal(SSL_SESSION_get_max_early_data(SSL_get0_session(raw->ssl)), 0);
    raw_free(raw);
}

TEST(a_ticket_from_elsewhere_makes_a_full_handshake)
{
    SSL_SESSION *session = resumable_session();
    struct raw *raw = connect_raw(session);

    assert_int_equal(SSL_session_reused(raw->ssl), 0);
    raw_free(raw);
    SSL_SESSION_free(session);
}

/* Nobody was ever offered it, so whoever sends it is cut off, a hundred times if need be. */
TEST(early_data_is_never_heard)
{
    SSL_SESSION *session = resumable_session();
    const struct raw_options options = {.cert = client_cert, .resume = session};
    struct raw *raw = raw_new(&options);
    struct neo_buffer captured = {0};
    size_t n = 0;

    assert_int_equal(SSL_write_early_data(raw->ssl, "the request", 11, &n), 1);
    raw_run(raw, (struct neo_bytes){0}, &captured);
    for (int i = 0; i < 100; i++) {
        struct tls_end end = server_end();

        tls_end_feed(&end, neo_buffer_bytes(&captured), 0, PKI_NOW);
        assert_says(&end.err, "too much early data");
        assert_int_equal(end.plain.len, 0);
        fini_end(&end);
    }
    neo_buffer_fini(&captured);
    raw_free(raw);
    SSL_SESSION_free(session);
}

TEST(our_client_takes_tickets_but_never_resumes)
{
    for (int i = 0; i < 3; i++) {
        const struct raw_options giving = {.is_server = true, .cert = server_cert, .tickets = true};
        struct raw *raw = raw_new(&giving);
        struct tls_end end = client_end();

        raw_link(raw, &end);
        assert_int_equal(tls_state(end.tls), TLS_OPEN);
        assert_int_equal(end.err.code, NEO_OK);
        assert_int_equal(SSL_session_reused(raw->ssl), 0);
        fini_end(&end);
        raw_free(raw);
    }
}

/* --- T05: bombs in the handshake ---------------------------------------------------------------
 */

static void assert_bomb_refused(const struct raw_options *options, const char *reason)
{
    struct raw *raw = raw_new(options);
    struct tls_end end = server_end();
    struct neo_buffer flight = {0};

    raw_run(raw, (struct neo_bytes){0}, &flight);
    tls_end_feed(&end, neo_buffer_bytes(&flight), 0, PKI_NOW);
    neo_buffer_clear(&flight);
    raw_run(raw, neo_buffer_bytes(&end.out), &flight);
    double start = cost_now();
    tls_end_feed(&end, neo_buffer_bytes(&flight), 0, PKI_NOW);
    double cost = cost_now() - start;
    assert_says(&end.err, reason);
    assert_int_equal(tls_state(end.tls), TLS_HANDSHAKE);
    if (cost > 2 * COST_SLACK)
        fail_msg("%zu bytes cost %.2f ms", flight.len, cost);
    neo_buffer_fini(&flight);
    fini_end(&end);
    raw_free(raw);
}

TEST(a_hundred_certificates_are_refused_unread)
{
    assert_bomb_refused(&(struct raw_options){.cert = client_cert, .copies = 100},
                        "excessive message size");
}

TEST(five_certificates_are_one_too_many)
{
    assert_bomb_refused(&(struct raw_options){.cert = client_cert, .copies = 3},
                        "a chain of 5 certificates");
}

TEST(ten_thousand_names_are_refused_unread)
{
    struct neo_buffer names = {0};

    for (int i = 0; i < 10000; i++)
        assert_true(neo_buffer_printf(&names, "%sDNS:a%d", i == 0 ? "" : ",", i));
    assert_true(neo_buffer_append_byte(&names, 0));
    const struct pki_options options = {.san = (const char *)names.at};
    const struct pki_cert *cert = pki_make(pki, pki_issuer(pki), CLIENT, &options);
    assert_bomb_refused(&(struct raw_options){.cert = cert}, "excessive message size");
    neo_buffer_fini(&names);
}

TEST(a_client_hello_of_any_length_is_cut_off)
{
    enum { CHUNK = 16000 };
    uint8_t record[5 + CHUNK] = {HANDSHAKE_RECORD,     3, 1,    CHUNK >> 8, CHUNK & 0xff,
                                 1 /* client_hello */, 0, 0xff, 0xff};
    struct tls_end end = server_end();
    size_t fed = 0;

    while (end.err.code == NEO_OK && fed < 1 << 20) {
        tls_end_feed(&end, neo_bytes(record, sizeof(record)), 0, PKI_NOW);
        memset(record + 5, 0, CHUNK);
        fed += sizeof(record);
    }
    assert_says(&end.err, "handshake of more than");
    assert_true(fed <= 96 << 10);
    fini_end(&end);
}

TEST(a_handshake_of_nothing_but_change_cipher_spec_is_cut_off)
{
    struct tls_end end = server_end();
    const struct raw_options options = {.cert = client_cert};
    struct raw *raw = raw_new(&options);
    struct neo_buffer hello = {0};
    size_t fed = 0;

    raw_run(raw, (struct neo_bytes){0}, &hello);
    tls_end_feed(&end, neo_buffer_bytes(&hello), 0, PKI_NOW);
    assert_int_equal(end.err.code, NEO_OK);
    while (end.err.code == NEO_OK && fed < 1 << 20) {
        tls_end_feed(&end, NEO_LIT("\x14\x03\x03\x00\x01\x01"), 0,
                     PKI_NOW); /* change_cipher_spec */
        fed += 6;
    }
    assert_int_not_equal(end.err.code, NEO_OK);
    assert_true(fed <= 64 << 10);
    neo_buffer_fini(&hello);
    fini_end(&end);
    raw_free(raw);
}

/* --- T06: floods after the handshake -----------------------------------------------------------
 */

struct flood {
    struct raw *raw;
    struct tls_end end;
    struct neo_buffer records;
};

static struct flood open_flood(void)
{
    const struct raw_options options = {.cert = client_cert};
    struct flood flood = {.raw = raw_new(&options), .end = server_end()};

    raw_link(flood.raw, &flood.end);
    assert_int_equal(tls_state(flood.end.tls), TLS_OPEN);
    return flood;
}

static void fini_flood(struct flood *flood)
{
    fini_end(&flood->end);
    neo_buffer_fini(&flood->records);
    raw_free(flood->raw);
}

static void assert_flood_stopped(struct flood *flood, const char *reason, size_t max_answer)
{
    double start = cost_now();

    tls_end_feed(&flood->end, neo_buffer_bytes(&flood->records), 0, PKI_NOW);
    double cost = cost_now() - start;
    assert_says(&flood->end.err, reason);
    assert_true(flood->end.out.len <= max_answer);
    if (cost > 10.0 * COST_SLACK)
        fail_msg("the flood cost %.2f ms", cost);
    fini_flood(flood);
}

/* The control of the forger: what it forges is heard as the client's own. */
TEST(a_forged_record_is_taken_for_the_clients)
{
    struct flood flood = open_flood();

    raw_forge(flood.raw, DATA_RECORD, NEO_LIT("hello "), &flood.records);
    raw_forge(flood.raw, DATA_RECORD, (struct neo_bytes){0}, &flood.records);
    raw_forge(flood.raw, DATA_RECORD, NEO_LIT("world"), &flood.records);
    tls_end_feed(&flood.end, neo_buffer_bytes(&flood.records), 0, PKI_NOW);
    assert_int_equal(flood.end.err.code, NEO_OK);
    assert_true(neo_bytes_is(neo_buffer_bytes(&flood.end.plain), "hello world"));
    fini_flood(&flood);
}

TEST(a_flood_of_empty_records_is_stopped)
{
    struct flood flood = open_flood();

    for (int i = 0; i < 100000 / COST_SLACK; i++)
        raw_forge(flood.raw, DATA_RECORD, (struct neo_bytes){0}, &flood.records);
    assert_flood_stopped(&flood, "record too small", 100);
}

TEST(a_flood_of_alerts_is_stopped)
{
    struct flood flood = open_flood();

    for (int i = 0; i < 1000; i++)
        raw_forge(flood.raw, ALERT_RECORD, NEO_LIT("\x01\x5a"), &flood.records); /* user_canceled */
    assert_flood_stopped(&flood, "too many warn alerts", 100);
}

/* A real client that changes its keys without end, and wants ours changed each time. */
TEST(a_flood_of_key_updates_is_stopped)
{
    struct flood flood = open_flood();

    for (int i = 0; i < 100000 / COST_SLACK; i++) {
        assert_int_equal(SSL_key_update(flood.raw->ssl, SSL_KEY_UPDATE_REQUESTED), 1);
        assert_int_equal(SSL_do_handshake(flood.raw->ssl), 1);
    }
    raw_run(flood.raw, (struct neo_bytes){0}, &flood.records);
    assert_flood_stopped(&flood, "33 key updates", 40 * 64);
}

/* The control: without our count nothing stops it. */
TEST(openssl_alone_takes_key_updates_without_end)
{
    const struct raw_options taking = {.is_server = true, .cert = server_cert};
    const struct raw_options giving = {.cert = client_cert};
    struct raw *to = raw_new(&taking), *from = raw_new(&giving);
    struct neo_buffer there = {0}, back = {0};

    run_both(to, from);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(SSL_key_update(from->ssl, SSL_KEY_UPDATE_REQUESTED), 1);
        assert_int_equal(SSL_do_handshake(from->ssl), 1);
    }
    raw_run(from, (struct neo_bytes){0}, &there);
    raw_run(to, neo_buffer_bytes(&there), &back);
    assert_false(to->failed);
    assert_true(back.len > 20000);
    neo_buffer_fini(&there);
    neo_buffer_fini(&back);
    raw_free(from);
    raw_free(to);
}

TEST(a_key_update_now_and_then_is_welcome)
{
    struct flood flood = open_flood();
    static uint8_t mebibyte[1 << 20];
    size_t n = 0;

    for (int i = 0; i < 60; i++) {
        assert_int_equal(SSL_key_update(flood.raw->ssl, SSL_KEY_UPDATE_REQUESTED), 1);
        assert_int_equal(SSL_write_ex(flood.raw->ssl, mebibyte, sizeof(mebibyte), &n), 1);
        raw_link(flood.raw, &flood.end);
        assert_int_equal(flood.end.err.code, NEO_OK);
        assert_int_equal(flood.end.plain.len, sizeof(mebibyte));
        neo_buffer_clear(&flood.end.plain);
    }
    assert_int_equal(tls_write(flood.end.tls, NEO_LIT("still here"), &flood.end.out, NULL), NEO_OK);
    raw_link(flood.raw, &flood.end);
    assert_true(neo_bytes_is(neo_buffer_bytes(&flood.raw->plain), "still here"));
    fini_flood(&flood);
}

TEST(a_record_beyond_sixteen_kibibytes_is_refused)
{
    static const uint8_t large[(16 << 10) + 1];
    struct flood flood = open_flood();

    raw_forge(flood.raw, DATA_RECORD, neo_bytes(large, sizeof(large)), &flood.records);
    assert_flood_stopped(&flood, "data length too long", 100);
}

TEST(handshake_messages_that_make_no_sense_later_are_refused)
{
    static const char *const messages[] = {
        "\x01\x00\x00\x01x",    /* client_hello: renegotiation */
        "\x0b\x00\x00\x01x",    /* certificate, never asked for */
        "\x14\x00\x00\x01x",    /* finished, again */
        "\x18\x00\x00\x01\x02", /* key_update with a bad request */
        "\x63\x00\x00\x01x",    /* no such message */
    };
    static const uint8_t lengths[] = {5, 5, 5, 5, 5};

    for (size_t i = 0; i < NEO_COUNT(messages); i++) {
        struct flood flood = open_flood();
        raw_forge(flood.raw, HANDSHAKE_RECORD, neo_bytes(messages[i], lengths[i]), &flood.records);
        assert_flood_stopped(&flood, i == 3 ? "bad key update" : "unexpected message", 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(older_versions_are_refused),
        cmocka_unit_test(a_client_that_could_do_less_does_tls_1_3),
        cmocka_unit_test(no_common_group_is_refused),
        cmocka_unit_test(weak_or_foreign_signatures_are_refused),
        cmocka_unit_test(a_server_of_an_older_version_is_refused),
        cmocka_unit_test(what_is_not_tls_is_refused),
        cmocka_unit_test(a_client_is_given_nothing_to_resume_with),
        cmocka_unit_test(a_ticket_from_elsewhere_makes_a_full_handshake),
        cmocka_unit_test(early_data_is_never_heard),
        cmocka_unit_test(our_client_takes_tickets_but_never_resumes),
        cmocka_unit_test(a_hundred_certificates_are_refused_unread),
        cmocka_unit_test(five_certificates_are_one_too_many),
        cmocka_unit_test(ten_thousand_names_are_refused_unread),
        cmocka_unit_test(a_client_hello_of_any_length_is_cut_off),
        cmocka_unit_test(a_handshake_of_nothing_but_change_cipher_spec_is_cut_off),
        cmocka_unit_test(a_forged_record_is_taken_for_the_clients),
        cmocka_unit_test(a_flood_of_empty_records_is_stopped),
        cmocka_unit_test(a_flood_of_alerts_is_stopped),
        cmocka_unit_test(a_flood_of_key_updates_is_stopped),
        cmocka_unit_test(openssl_alone_takes_key_updates_without_end),
        cmocka_unit_test(a_key_update_now_and_then_is_welcome),
        cmocka_unit_test(a_record_beyond_sixteen_kibibytes_is_refused),
        cmocka_unit_test(handshake_messages_that_make_no_sense_later_are_refused),
    };
    return cmocka_run_group_tests_name("tls/hostile", tests, set_up, tear_down);
}
