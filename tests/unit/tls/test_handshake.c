/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "support/pki.h"
#include "support/tls_link.h"
#include "support/tls_raw.h"

#include <string.h>

#define SERVER "function-service"
#define CLIENT "automation-service"
#define EXPECT "spiffe://neo.test/" SERVER

static struct pki *pki;
static struct tls_context *server;
static struct tls_context *client;

static int set_up(void **state __attribute__((unused)))
{
    pki = pki_new("neo.test");
    server = tls_link_context(TLS_SERVER, pki, SERVER);
    client = tls_link_context(TLS_CLIENT, pki, CLIENT);
    return 0;
}

static int tear_down(void **state __attribute__((unused)))
{
    tls_context_unref(server);
    tls_context_unref(client);
    pki_free(pki);
    return 0;
}

static void assert_open(const struct tls_link *link)
{
    if (link->client.err.code != NEO_OK || link->server.err.code != NEO_OK)
        fail_msg("client: %s; server: %s", link->client.err.message, link->server.err.message);
    assert_int_equal(tls_state(link->client.tls), TLS_OPEN);
    assert_int_equal(tls_state(link->server.tls), TLS_OPEN);
}

static struct tls_link open_link(size_t step)
{
    struct tls_link link;

    tls_link_init(&link, client, server, EXPECT);
    link.step = step;
    tls_link_run(&link);
    assert_open(&link);
    return link;
}

static void assert_peer(const struct tls_end *end, const char *service)
{
    const struct tls_peer *peer = tls_peer(end->tls);
    uint8_t spki[NEO_SHA256_LEN];

    assert_non_null(peer);
    assert_true(neo_bytes_is(peer->service, service));
    assert_true(neo_bytes_starts(peer->uri, NEO_LIT("spiffe://neo.test/")));
    assert_int_equal(peer->not_after, PKI_UNTIL);
    neo_sha256(neo_cert_facts(peer->leaf)->spki, spki);
    assert_memory_equal(spki, peer->spki_sha256, sizeof(spki));
}

TEST(a_greeting_is_whole_with_its_last_byte_and_not_before)
{
    static const uint8_t hello[5 + 300] = {22, 3, 1, 1, 44, 1};

    for (size_t n = 0; n < sizeof(hello); n++) {
        size_t lacks = tls_greeting_lacks(neo_bytes(hello, n));
        assert_true(lacks > 0);
        assert_true(n + lacks <= sizeof(hello));
    }
    assert_int_equal(tls_greeting_lacks(neo_bytes(hello, sizeof(hello))), 0);
}

/* Then there is nothing to wait for: the engine says what is wrong. */
TEST(what_is_no_greeting_is_not_waited_for)
{
    assert_int_equal(tls_greeting_lacks(NEO_LIT("G")), 0);
    assert_int_equal(tls_greeting_lacks(NEO_LIT("\x80\x2e\x01")), 0);
    assert_int_equal(tls_greeting_lacks(NEO_LIT("\x16\x03\x01\x40\x01")), 0);
    assert_int_equal(tls_greeting_lacks(NEO_LIT("\x16\x03\x01\x40\x00")), 16384);
}

TEST(both_ends_learn_who_the_other_is)
{
    struct tls_link link = open_link(0);
    uint8_t own[NEO_SHA256_LEN];

    assert_peer(&link.client, SERVER);
    assert_peer(&link.server, CLIENT);
    tls_own_spki_sha256(link.client.tls, own);
    assert_memory_equal(own, tls_peer(link.server.tls)->spki_sha256, sizeof(own));
    tls_own_spki_sha256(link.server.tls, own);
    assert_memory_equal(own, tls_peer(link.client.tls)->spki_sha256, sizeof(own));
    tls_link_fini(&link);
}

TEST(a_handshake_works_a_byte_at_a_time_in_both_directions)
{
    struct tls_link link = open_link(1);

    assert_peer(&link.client, SERVER);
    assert_peer(&link.server, CLIENT);
    tls_link_fini(&link);
}

TEST(a_handshake_works_in_steps_of_any_size)
{
    for (size_t step = 2; step < 3000; step += 97) {
        struct tls_link link = open_link(step);
        tls_link_fini(&link);
    }
}

TEST(every_kind_of_key_makes_a_handshake)
{
    static const char *const kinds[] = {"P-256", "P-384", "ED25519"};

    for (size_t i = 0; i < NEO_COUNT(kinds); i++) {
        const struct pki_options options = {.key = kinds[i]};
        struct neo_identity *identity = pki_identity(pki, CLIENT, &options);
        struct neo_trust *trust = pki_trust(pki);
        struct tls_context *own = tls_link_context_of(TLS_CLIENT, identity, trust);
        struct tls_link link;

        tls_link_init(&link, own, server, EXPECT);
        tls_link_run(&link);
        assert_open(&link);
        tls_link_fini(&link);
        tls_context_unref(own);
        neo_trust_unref(trust);
        neo_identity_unref(identity);
    }
}

TEST(people_are_told_what_was_agreed)
{
    struct tls_link link = open_link(0);
    const char *group = tls_group_name(link.client.tls);

    assert_string_equal(tls_cipher_name(link.client.tls), "TLS_AES_128_GCM_SHA256");
    assert_string_equal(tls_cipher_name(link.server.tls), "TLS_AES_128_GCM_SHA256");
    assert_string_equal(group, tls_group_name(link.server.tls));
    if (strcmp(group, "X25519MLKEM768") != 0 && strcasecmp(group, "X25519") != 0)
        fail_msg("the group is %s", group);
    tls_link_fini(&link);
}

/* --- the exporter and the facts ----------------------------------------------------------------
 */

static void export(struct tls *tls, uint8_t ret[static 32])
{
    assert_int_equal(tls_exporter(tls, ret, NULL), NEO_OK);
}

TEST(the_exporter_is_the_same_on_both_ends)
{
    struct tls_link link = open_link(0);
    uint8_t a[32], b[32], zeros[32] = {0};

    export(link.client.tls, a);
    export(link.server.tls, b);
    assert_memory_equal(a, b, sizeof(a));
    assert_memory_not_equal(a, zeros, sizeof(a));
    tls_link_fini(&link);
}

TEST(the_exporter_is_another_on_every_connection)
{
    struct tls_link one = open_link(0), two = open_link(0);
    uint8_t a[32], b[32];

    export(one.client.tls, a);
    export(two.client.tls, b);
    assert_memory_not_equal(a, b, sizeof(a));
    tls_link_fini(&one);
    tls_link_fini(&two);
}

/* RFC 9266: what another implementation computes for the same connection. */
TEST(the_exporter_is_that_of_the_standard)
{
    const struct raw_options options = {.cert = pki_make(pki, pki_issuer(pki), CLIENT, NULL)};
    struct raw *raw = raw_new(&options);
    struct tls_end end = {0};
    uint8_t a[32], b[32];

    assert_int_equal(tls_new(server, (struct neo_bytes){0}, NULL, &end.tls, NULL), NEO_OK);
    raw_link(raw, &end);
    export(end.tls, a);
    assert_int_equal(SSL_export_keying_material(raw->ssl, b, sizeof(b), "EXPORTER-Channel-Binding",
                                                24, (const uint8_t *)"", 0, 1),
                     1);
    assert_memory_equal(a, b, sizeof(a));
    tls_free(end.tls);
    neo_buffer_fini(&end.plain);
    neo_buffer_fini(&end.out);
    raw_free(raw);
}

static void assert_nothing_known(struct tls *tls)
{
    uint8_t exported[32];

    assert_int_equal(tls_state(tls), TLS_HANDSHAKE);
    assert_null(tls_peer(tls));
    assert_int_equal(tls_exporter(tls, exported, NULL), NEO_FAILED_PRECONDITION);
}

/*
 * OpenSSL's server could export as soon as it has sent its own Finished. Ours must know nothing
 * until the last byte of the client's flight, however the bytes fall.
 */
TEST(nothing_is_known_before_the_last_byte_of_the_handshake)
{
    struct tls_link link;
    struct neo_buffer flight = {0};

    tls_link_init(&link, client, server, EXPECT);
    assert_nothing_known(link.client.tls);
    assert_nothing_known(link.server.tls);
    tls_end_feed(&link.client, (struct neo_bytes){0}, 0, link.wall);
    for (size_t i = 0; i < link.client.out.len; i++) {
        tls_end_feed(&link.server, neo_bytes(link.client.out.at + i, 1), 0, link.wall);
        assert_nothing_known(link.server.tls);
    }
    neo_buffer_clear(&link.client.out);
    for (size_t i = 0; i < link.server.out.len; i++) {
        assert_nothing_known(link.client.tls);
        tls_end_feed(&link.client, neo_bytes(link.server.out.at + i, 1), 0, link.wall);
    }
    assert_int_equal(tls_state(link.client.tls), TLS_OPEN);
    flight = link.client.out;
    link.client.out = (struct neo_buffer){0};
    for (size_t i = 0; i < flight.len; i++) {
        assert_nothing_known(link.server.tls);
        tls_end_feed(&link.server, neo_bytes(flight.at + i, 1), 0, link.wall);
    }
    assert_int_equal(tls_state(link.server.tls), TLS_OPEN);
    neo_buffer_fini(&flight);
    tls_link_fini(&link);
}

/* The control of the test above: plain OpenSSL does answer too early. */
TEST(openssl_alone_would_export_before_the_client_has_proved_anything)
{
    const struct raw_options options = {.is_server = true,
                                        .cert = pki_make(pki, pki_issuer(pki), SERVER, NULL)};
    struct raw *raw = raw_new(&options);
    struct tls_end end = {0};
    struct neo_buffer out = {0};
    uint8_t exported[32];

    assert_int_equal(tls_new(client, neo_text(EXPECT), NULL, &end.tls, NULL), NEO_OK);
    tls_end_feed(&end, (struct neo_bytes){0}, 0, PKI_NOW);
    raw_run(raw, neo_buffer_bytes(&end.out), &out);
    assert_int_equal(SSL_is_init_finished(raw->ssl), 0);
    assert_int_equal(SSL_export_keying_material(raw->ssl, exported, sizeof(exported),
                                                "EXPORTER-Channel-Binding", 24, NULL, 0, 0),
                     1);
    tls_free(end.tls);
    neo_buffer_fini(&end.plain);
    neo_buffer_fini(&end.out);
    neo_buffer_fini(&out);
    raw_free(raw);
}

/* --- what may be asked for ---------------------------------------------------------------------
 */

static void assert_no_context(const struct tls_options *options)
{
    struct tls_context *none = NULL;

    assert_int_equal(tls_context_new(options, &none, NULL), NEO_INVALID_ARGUMENT);
    assert_null(none);
}

TEST(a_context_without_identity_or_trust_is_refused)
{
    struct neo_identity *identity = pki_identity(pki, SERVER, NULL);
    struct neo_trust *trust = pki_trust(pki), *pinned = pki_trust_by_fingerprint(pki);

    assert_no_context(&(struct tls_options){.role = TLS_SERVER, .trust = trust});
    assert_no_context(&(struct tls_options){.role = TLS_SERVER, .identity = identity});
    assert_no_context(&(struct tls_options){.role = TLS_CLIENT, .identity = identity});
    assert_no_context(
        &(struct tls_options){.role = TLS_SERVER, .identity = identity, .trust = pinned});
    assert_no_context(&(struct tls_options){
        .role = TLS_CLIENT, .identity = identity, .trust = trust, .allow_anonymous = true});
    neo_identity_unref(identity);
    neo_trust_unref(trust);
    neo_trust_unref(pinned);
}

static void assert_no_tls(struct tls_context *context, const char *expect, const char *name)
{
    struct tls *none = NULL;

    assert_int_equal(tls_new(context, neo_text(expect), name, &none, NULL), NEO_INVALID_ARGUMENT);
    assert_null(none);
}

TEST(a_client_must_say_whom_it_calls)
{
    assert_no_tls(client, "", NULL);
    assert_no_tls(client, SERVER, NULL);
    assert_no_tls(client, "spiffe://neo.test", NULL);
    assert_no_tls(client, EXPECT "/", NULL);
    assert_no_tls(client, EXPECT, "not a host name");
    assert_no_tls(client, EXPECT, "");
    assert_no_tls(server, EXPECT, NULL);
    assert_no_tls(server, "", "localhost");
}

TEST(a_connection_holds_on_to_its_context)
{
    struct tls_context *own = tls_link_context(TLS_CLIENT, pki, CLIENT);
    struct tls_link link;

    tls_link_init(&link, own, server, EXPECT);
    assert_non_null(tls_context_trust(own));
    assert_non_null(tls_context_identity(own));
    tls_context_unref(own);
    tls_link_run(&link);
    assert_open(&link);
    tls_link_fini(&link);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_greeting_is_whole_with_its_last_byte_and_not_before),
        cmocka_unit_test(what_is_no_greeting_is_not_waited_for),
        cmocka_unit_test(both_ends_learn_who_the_other_is),
        cmocka_unit_test(a_handshake_works_a_byte_at_a_time_in_both_directions),
        cmocka_unit_test(a_handshake_works_in_steps_of_any_size),
        cmocka_unit_test(every_kind_of_key_makes_a_handshake),
        cmocka_unit_test(people_are_told_what_was_agreed),
        cmocka_unit_test(the_exporter_is_the_same_on_both_ends),
        cmocka_unit_test(the_exporter_is_another_on_every_connection),
        cmocka_unit_test(the_exporter_is_that_of_the_standard),
        cmocka_unit_test(nothing_is_known_before_the_last_byte_of_the_handshake),
        cmocka_unit_test(openssl_alone_would_export_before_the_client_has_proved_anything),
        cmocka_unit_test(a_context_without_identity_or_trust_is_refused),
        cmocka_unit_test(a_client_must_say_whom_it_calls),
        cmocka_unit_test(a_connection_holds_on_to_its_context),
    };
    return cmocka_run_group_tests_name("tls/handshake", tests, set_up, tear_down);
}
