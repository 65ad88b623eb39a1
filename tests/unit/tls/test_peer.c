/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is let in (T02, T08, T09). A TLS 1.3 client believes the handshake done before
 * the server has seen its certificate, so every test lets the client send a request
 * at once and asserts that not one byte of it came out on the other side.
 */
#include "../unit.h"

#include "support/pki.h"
#include "support/tls_link.h"
#include "support/tls_raw.h"

#include <string.h>

#define SERVER  "function-service"
#define CLIENT  "automation-service"
#define EXPECT  "spiffe://neo.test/" SERVER
#define REQUEST NEO_LIT("the request")

static struct pki *pki;
static struct pki *evil;
static struct tls_context *server;
static struct neo_trust *trust;

static int set_up(void **state __attribute__((unused)))
{
    pki = pki_new("neo.test");
    evil = pki_new("evil.test");
    server = tls_link_context(TLS_SERVER, pki, SERVER);
    trust = pki_trust(pki);
    return 0;
}

static int tear_down(void **state __attribute__((unused)))
{
    tls_context_unref(server);
    neo_trust_unref(trust);
    pki_free(evil);
    pki_free(pki);
    return 0;
}

static void assert_says(const struct neo_error *err, const char *reason)
{
    if (strstr(err->message, reason) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err->message, reason);
}

/* The client sends a request as soon as it may. */
static struct tls_link call(struct tls_context *from, struct tls_context *to, int64_t wall)
{
    struct tls_link link;

    tls_link_init(&link, from, to, EXPECT);
    link.wall = wall;
    tls_end_feed(&link.client, (struct neo_bytes){0}, 0, wall);
    tls_end_feed(&link.server, neo_buffer_bytes(&link.client.out), 0, wall);
    neo_buffer_clear(&link.client.out);
    tls_end_feed(&link.client, neo_buffer_bytes(&link.server.out), 0, wall);
    neo_buffer_clear(&link.server.out);
    if (tls_state(link.client.tls) == TLS_OPEN)
        assert_int_equal(tls_write(link.client.tls, REQUEST, &link.client.out, NULL), NEO_OK);
    tls_link_run(&link);
    return link;
}

static void assert_client_refused_at(struct neo_identity *identity, struct tls_context *by,
                                     int64_t wall, const char *reason)
{
    struct tls_context *context = tls_link_context_of(TLS_CLIENT, identity, trust);
    struct tls_link link = call(context, by, wall);

    assert_int_equal(link.server.err.code, NEO_UNAUTHENTICATED);
    assert_says(&link.server.err, reason);
    assert_int_equal(tls_state(link.server.tls), TLS_HANDSHAKE);
    assert_int_equal(link.server.plain.len, 0);
    assert_null(tls_peer(link.server.tls));
    assert_int_equal(link.client.err.code, NEO_UNAUTHENTICATED);
    assert_says(&link.client.err,
                identity == NULL ? "we have shown none" : "refused our certificate");
    assert_true(tls_is_refused(link.client.tls)); /* the server had proven itself */
    tls_link_fini(&link);
    tls_context_unref(context);
    neo_identity_unref(identity);
}

static void assert_client_refused(struct neo_identity *identity, const char *reason)
{
    assert_client_refused_at(identity, server, PKI_NOW, reason);
}

static struct neo_identity *client_with(const struct pki_options *options)
{
    return pki_identity(pki, CLIENT, options);
}

/* The control of all refusals below: the same steps with a good certificate. */
TEST(a_good_client_is_heard)
{
    struct neo_identity *identity = client_with(NULL);
    struct tls_context *context = tls_link_context_of(TLS_CLIENT, identity, trust);
    struct tls_link link = call(context, server, PKI_NOW);

    assert_int_equal(link.server.err.code, NEO_OK);
    assert_true(neo_bytes_equal(neo_buffer_bytes(&link.server.plain), REQUEST));
    assert_false(tls_is_refused(link.client.tls));
    tls_link_fini(&link);
    tls_context_unref(context);
    neo_identity_unref(identity);
}

/* Anybody on the way can say so in clear, before there are keys. */
TEST(a_refusal_that_nobody_has_signed_is_none)
{
    static const uint8_t alerts[] = {42, 44, 45, 46, 48, 116}; /* all about certificates */

    for (size_t i = 0; i < NEO_COUNT(alerts); i++) {
        const uint8_t record[] = {21, 3, 3, 0, 2, 2, alerts[i]};
        struct neo_identity *identity = client_with(NULL);
        struct tls_context *context = tls_link_context_of(TLS_CLIENT, identity, trust);
        struct tls_link link;

        tls_link_init(&link, context, server, EXPECT);
        tls_end_feed(&link.client, (struct neo_bytes){0}, 0, PKI_NOW);
        tls_end_feed(&link.client, neo_bytes(record, sizeof(record)), 0, PKI_NOW);
        assert_int_not_equal(link.client.err.code, NEO_OK);
        assert_false(tls_is_refused(link.client.tls));
        tls_link_fini(&link);
        tls_context_unref(context);
        neo_identity_unref(identity);
    }
}

TEST(a_client_without_a_certificate_is_refused)
{
    assert_client_refused(NULL, "without a certificate");
}

TEST(a_self_signed_client_is_refused)
{
    const struct pki_options options = {.authority_key_id = "keyid:always"};

    assert_client_refused(pki_identity_of(pki_make(pki, NULL, CLIENT, &options), false),
                          "self-signed");
}

TEST(a_client_of_another_trust_domain_is_refused)
{
    assert_client_refused(pki_identity(evil, CLIENT, NULL), "evil.test is not trusted");
}

TEST(a_foreign_issuer_cannot_make_our_clients)
{
    const struct pki_options ours = {.san = "URI:spiffe://neo.test/" CLIENT};

    assert_client_refused(pki_identity(evil, CLIENT, &ours), "issuer");
}

TEST(a_client_for_servers_only_is_refused)
{
    assert_client_refused(client_with(&(struct pki_options){.extended_key_usage = "serverAuth"}),
                          "extendedKeyUsage");
}

TEST(a_ca_as_client_is_refused)
{
    assert_client_refused(
        client_with(&(struct pki_options){.basic_constraints = "critical,CA:TRUE"}), "not be a CA");
}

TEST(a_client_with_two_names_is_refused)
{
    assert_client_refused(
        client_with(&(struct pki_options){.san = "URI:spiffe://neo.test/" CLIENT
                                                 ",URI:spiffe://neo.test/key-service"}),
        "exactly one URI");
}

TEST(a_client_with_only_a_common_name_is_refused)
{
    assert_client_refused(client_with(&(struct pki_options){.san = "DNS:" CLIENT}),
                          "exactly one URI");
}

TEST(a_client_is_judged_at_the_time_it_is_told_to_the_second)
{
    const struct pki_options options = {.not_before = PKI_NOW, .not_after = PKI_NOW + 60};
    struct neo_identity *identity = client_with(&options);
    struct tls_context *context = tls_link_context_of(TLS_CLIENT, identity, trust);
    static const int64_t good[] = {PKI_NOW, PKI_NOW + 59};

    for (size_t i = 0; i < NEO_COUNT(good); i++) {
        struct tls_link link = call(context, server, good[i]);
        assert_int_equal(link.server.plain.len, REQUEST.len);
        tls_link_fini(&link);
    }
    tls_context_unref(context);
    assert_client_refused_at(neo_identity_ref(identity), server, PKI_NOW - 1, "not valid");
    assert_client_refused_at(identity, server, PKI_NOW + 60, "expired");
}

/* T02, first half: a new handshake meets the new trust. */
TEST(a_revoked_client_is_refused_by_the_next_context)
{
    const struct neo_revocation revoked = {.service = NEO_LIT(CLIENT), .issued_before = PKI_NOW};
    struct neo_trust *strict = pki_trust_revoking(pki, &revoked, 1);
    struct neo_identity *identity = pki_identity(pki, SERVER, NULL);
    struct tls_context *next = tls_link_context_of(TLS_SERVER, identity, strict);

    assert_client_refused_at(client_with(NULL), next, PKI_NOW, "revoked");
    tls_context_unref(next);
    neo_identity_unref(identity);
    neo_trust_unref(strict);
}

/* --- other software as a client -------------------------------------------------------------- */

static struct tls_end answer(struct raw *raw)
{
    struct tls_end end = {0};

    assert_int_equal(tls_new(server, (struct neo_bytes){0}, NULL, &end.tls, NULL), NEO_OK);
    raw_link(raw, &end);
    return end;
}

static void fini_end(struct tls_end *end)
{
    tls_free(end->tls);
    neo_buffer_fini(&end->plain);
    neo_buffer_fini(&end->out);
}

static void assert_raw_refused(struct raw_options options, enum neo_code code, const char *reason,
                               int alert)
{
    struct raw *raw = raw_new(&options);
    struct tls_end end = answer(raw);

    assert_int_equal(end.err.code, code);
    assert_says(&end.err, reason);
    assert_int_equal(tls_state(end.tls), TLS_HANDSHAKE);
    assert_int_equal(end.plain.len, 0);
    assert_int_equal(raw->alert, alert);
    fini_end(&end);
    raw_free(raw);
}

static const struct pki_cert *client_cert(const struct pki_options *options)
{
    return pki_make(pki, pki_issuer(pki), CLIENT, options);
}

static void assert_raw_accepted(struct raw_options options)
{
    struct raw *raw = raw_new(&options);
    struct tls_end end = answer(raw);

    assert_int_equal(tls_state(end.tls), TLS_OPEN);
    assert_false(raw->failed);
    assert_int_equal(raw->alert, -1);
    fini_end(&end);
    raw_free(raw);
}

TEST(other_software_with_a_good_certificate_is_let_in)
{
    assert_raw_accepted((struct raw_options){.cert = client_cert(NULL)});
    assert_raw_accepted(
        (struct raw_options){.cert = client_cert(NULL), .ciphers = "TLS_AES_256_GCM_SHA384"});
    assert_raw_accepted(
        (struct raw_options){.cert = client_cert(NULL), .ciphers = "TLS_CHACHA20_POLY1305_SHA256"});
    assert_raw_accepted((struct raw_options){.cert = client_cert(NULL), .groups = "P-256"});
    assert_raw_accepted((struct raw_options){.cert = client_cert(NULL), .alpn = "\10http/1.1\2h2"});
}

TEST(other_software_without_a_certificate_learns_that_one_is_required)
{
    assert_raw_refused((struct raw_options){0}, NEO_UNAUTHENTICATED, "without a certificate",
                       SSL_AD_CERTIFICATE_REQUIRED);
}

TEST(a_certificate_that_we_cannot_read_proves_nothing)
{
    const struct pki_options nul = {.san = "DER:30:05:82:03:61:00:62"};

    assert_raw_refused((struct raw_options){.cert = client_cert(&nul)}, NEO_UNAUTHENTICATED,
                       "unprintable", SSL_AD_BAD_CERTIFICATE);
}

/* We list no RSA signatures, so such a client finds that it has nothing to show. */
TEST(an_rsa_client_is_refused)
{
    assert_raw_refused(
        (struct raw_options){.cert = client_cert(&(struct pki_options){.key = "RSA-2048"})},
        NEO_UNAUTHENTICATED, "without a certificate", SSL_AD_CERTIFICATE_REQUIRED);
}

/* T08 */
TEST(another_protocol_or_none_is_refused)
{
    const struct pki_cert *cert = client_cert(NULL);

    assert_raw_refused((struct raw_options){.cert = cert, .alpn = "\10http/1.1"}, NEO_UNAVAILABLE,
                       "h2", SSL_AD_NO_APPLICATION_PROTOCOL);
    assert_raw_refused((struct raw_options){.cert = cert, .alpn = "\3h2c\2h3"}, NEO_UNAVAILABLE,
                       "h2", SSL_AD_NO_APPLICATION_PROTOCOL);
    assert_raw_refused((struct raw_options){.cert = cert, .alpn = ""}, NEO_UNAVAILABLE, "h2",
                       SSL_AD_NO_APPLICATION_PROTOCOL);
}

TEST(the_name_of_another_service_is_refused)
{
    static const char *const others[] = {"key-service", SERVER ".evil.test", "x." SERVER,
                                         SERVER "x",    "127.0.0.1",         SERVER "."};
    const struct pki_cert *cert = client_cert(NULL);

    for (size_t i = 0; i < NEO_COUNT(others); i++)
        assert_raw_refused((struct raw_options){.cert = cert, .server_name = others[i]},
                           NEO_UNAVAILABLE, "not us", SSL_AD_UNRECOGNIZED_NAME);
}

TEST(our_own_names_are_accepted)
{
    const struct pki_cert *cert = client_cert(NULL);

    assert_raw_accepted((struct raw_options){.cert = cert, .server_name = SERVER});
    assert_raw_accepted((struct raw_options){.cert = cert, .server_name = "Function-Service"});
    assert_raw_accepted((struct raw_options){.cert = cert, .server_name = SERVER ".neo.test"});
}

TEST(a_dns_name_of_the_certificate_is_accepted)
{
    const struct pki_options local = {.dns = "localhost"};
    struct neo_identity *identity = pki_identity(pki, SERVER, &local);
    struct tls_context *usual = server;

    server = tls_link_context_of(TLS_SERVER, identity, trust);
    assert_raw_accepted(
        (struct raw_options){.cert = client_cert(NULL), .server_name = "localhost"});
    tls_context_unref(server);
    server = usual;
    assert_raw_refused((struct raw_options){.cert = client_cert(NULL), .server_name = "localhost"},
                       NEO_UNAVAILABLE, "not us", SSL_AD_UNRECOGNIZED_NAME);
    neo_identity_unref(identity);
}

/* --- anonymous clients, where they are allowed -------------------------------------------------
 */

static struct tls_context *open_door(void)
{
    struct neo_identity *identity = pki_identity_of(pki_make(pki, pki_issuer(pki), SERVER, NULL),
                                                    true); /* a joiner needs the root */
    const struct tls_options options = {
        .role = TLS_SERVER, .identity = identity, .trust = trust, .allow_anonymous = true};
    struct tls_context *context = NULL;

    assert_int_equal(tls_context_new(&options, &context, NULL), NEO_OK);
    neo_identity_unref(identity);
    return context;
}

TEST(an_anonymous_client_is_called_so_where_it_is_allowed)
{
    struct tls_context *door = open_door();
    struct tls_context *nobody = tls_link_context_of(TLS_CLIENT, NULL, trust);
    struct tls_link link = call(nobody, door, PKI_NOW);
    uint8_t own[NEO_SHA256_LEN], zeros[NEO_SHA256_LEN] = {0};

    assert_int_equal(link.server.err.code, NEO_OK);
    const struct tls_peer *peer = tls_peer(link.server.tls);
    assert_null(peer->leaf);
    assert_int_equal(peer->uri.len, 0);
    assert_true(neo_bytes_is(peer->service, "anonymous"));
    assert_memory_equal(peer->spki_sha256, zeros, sizeof(zeros));
    tls_own_spki_sha256(link.client.tls, own);
    assert_memory_equal(own, zeros, sizeof(zeros));
    tls_link_fini(&link);
    tls_context_unref(nobody);
    tls_context_unref(door);
}

TEST(a_bad_certificate_is_refused_even_where_none_is_needed)
{
    struct tls_context *door = open_door();

    assert_client_refused_at(pki_identity(evil, CLIENT, NULL), door, PKI_NOW, "not trusted");
    tls_context_unref(door);
}

TEST(a_joiner_knows_its_ca_by_the_roots_fingerprint)
{
    struct tls_context *door = open_door();
    struct neo_trust *pinned = pki_trust_by_fingerprint(pki);
    struct tls_context *joiner = tls_link_context_of(TLS_CLIENT, NULL, pinned);
    struct tls_link link;

    tls_link_init(&link, joiner, door, NULL);
    tls_link_run(&link);
    assert_int_equal(tls_state(link.client.tls), TLS_OPEN);
    assert_int_equal(tls_state(link.server.tls), TLS_OPEN);
    assert_true(neo_bytes_is(tls_peer(link.client.tls)->uri, EXPECT));
    tls_link_fini(&link);
    tls_context_unref(joiner);
    neo_trust_unref(pinned);
    tls_context_unref(door);
}

TEST(a_joiner_refuses_a_ca_under_another_root)
{
    struct tls_context *door = open_door();
    struct neo_trust *pinned = pki_trust_by_fingerprint(evil);
    struct tls_context *joiner = tls_link_context_of(TLS_CLIENT, NULL, pinned);
    struct tls_link link;

    tls_link_init(&link, joiner, door, NULL);
    tls_link_run(&link);
    assert_int_equal(link.client.err.code, NEO_UNAUTHENTICATED);
    assert_says(&link.client.err, "expected fingerprint");
    tls_link_fini(&link);
    tls_context_unref(joiner);
    neo_trust_unref(pinned);
    tls_context_unref(door);
}

/* --- what a client refuses ------------------------------------------------------------------- */

static void assert_server_refused(struct neo_identity *identity, struct neo_trust *servers_trust,
                                  const char *reason)
{
    struct tls_context *client = tls_link_context(TLS_CLIENT, pki, CLIENT);
    struct tls_context *own = tls_link_context_of(TLS_SERVER, identity, servers_trust);
    struct tls_link link = call(client, own, PKI_NOW);

    assert_int_equal(link.client.err.code, NEO_UNAUTHENTICATED);
    assert_says(&link.client.err, reason);
    assert_int_equal(tls_state(link.client.tls), TLS_HANDSHAKE);
    assert_int_equal(link.server.plain.len, 0);
    assert_null(tls_peer(link.server.tls)); /* nor did it show its own certificate */
    tls_link_fini(&link);
    tls_context_unref(own);
    tls_context_unref(client);
    neo_identity_unref(identity);
}

TEST(a_server_that_is_another_service_is_refused)
{
    assert_server_refused(pki_identity(pki, "key-service", NULL), trust,
                          "is spiffe://neo.test/key-service, expected " EXPECT);
}

TEST(a_server_whose_name_only_begins_as_expected_is_refused)
{
    assert_server_refused(pki_identity(pki, SERVER "2", NULL), trust, "expected " EXPECT);
    assert_server_refused(pki_identity(pki, "function", NULL), trust, "expected " EXPECT);
}

TEST(a_server_of_another_trust_domain_is_refused)
{
    assert_server_refused(pki_identity(evil, SERVER, NULL), trust, "evil.test is not trusted");
}

TEST(a_server_with_a_bad_certificate_is_refused)
{
    assert_server_refused(
        pki_identity(pki, SERVER, &(struct pki_options){.extended_key_usage = "clientAuth"}), trust,
        "extendedKeyUsage");
    assert_server_refused(pki_identity(pki, SERVER, &(struct pki_options){.not_after = PKI_NOW}),
                          trust, "expired");
}

static struct tls_end ask(struct raw *raw)
{
    struct tls_context *client = tls_link_context(TLS_CLIENT, pki, CLIENT);
    struct tls_end end = {0};

    assert_int_equal(tls_new(client, neo_text(EXPECT), NULL, &end.tls, NULL), NEO_OK);
    tls_context_unref(client);
    raw_link(raw, &end);
    return end;
}

TEST(a_server_that_does_not_speak_h2_is_refused_before_it_sees_us)
{
    static const char *const protocols[] = {"", "\10http/1.1"};

    for (size_t i = 0; i < NEO_COUNT(protocols); i++) {
        const struct raw_options options = {.is_server = true,
                                            .cert = pki_make(pki, pki_issuer(pki), SERVER, NULL),
                                            .alpn = protocols[i]};
        struct raw *raw = raw_new(&options);
        struct tls_end end = ask(raw);

        assert_int_equal(end.err.code, NEO_UNAVAILABLE);
        assert_int_equal(tls_state(end.tls), TLS_HANDSHAKE);
        assert_null(SSL_get0_peer_certificate(raw->ssl));
        fini_end(&end);
        raw_free(raw);
    }
}

TEST(other_software_as_a_server_is_accepted)
{
    const struct raw_options options = {.is_server = true,
                                        .cert = pki_make(pki, pki_issuer(pki), SERVER, NULL)};
    struct raw *raw = raw_new(&options);
    struct tls_end end = ask(raw);

    assert_int_equal(tls_state(end.tls), TLS_OPEN);
    assert_non_null(SSL_get0_peer_certificate(raw->ssl));
    fini_end(&end);
    raw_free(raw);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_client_is_heard),
        cmocka_unit_test(a_refusal_that_nobody_has_signed_is_none),
        cmocka_unit_test(a_client_without_a_certificate_is_refused),
        cmocka_unit_test(a_self_signed_client_is_refused),
        cmocka_unit_test(a_client_of_another_trust_domain_is_refused),
        cmocka_unit_test(a_foreign_issuer_cannot_make_our_clients),
        cmocka_unit_test(a_client_for_servers_only_is_refused),
        cmocka_unit_test(a_ca_as_client_is_refused),
        cmocka_unit_test(a_client_with_two_names_is_refused),
        cmocka_unit_test(a_client_with_only_a_common_name_is_refused),
        cmocka_unit_test(a_client_is_judged_at_the_time_it_is_told_to_the_second),
        cmocka_unit_test(a_revoked_client_is_refused_by_the_next_context),
        cmocka_unit_test(other_software_with_a_good_certificate_is_let_in),
        cmocka_unit_test(other_software_without_a_certificate_learns_that_one_is_required),
        cmocka_unit_test(a_certificate_that_we_cannot_read_proves_nothing),
        cmocka_unit_test(an_rsa_client_is_refused),
        cmocka_unit_test(another_protocol_or_none_is_refused),
        cmocka_unit_test(the_name_of_another_service_is_refused),
        cmocka_unit_test(our_own_names_are_accepted),
        cmocka_unit_test(a_dns_name_of_the_certificate_is_accepted),
        cmocka_unit_test(an_anonymous_client_is_called_so_where_it_is_allowed),
        cmocka_unit_test(a_bad_certificate_is_refused_even_where_none_is_needed),
        cmocka_unit_test(a_joiner_knows_its_ca_by_the_roots_fingerprint),
        cmocka_unit_test(a_joiner_refuses_a_ca_under_another_root),
        cmocka_unit_test(a_server_that_is_another_service_is_refused),
        cmocka_unit_test(a_server_whose_name_only_begins_as_expected_is_refused),
        cmocka_unit_test(a_server_of_another_trust_domain_is_refused),
        cmocka_unit_test(a_server_with_a_bad_certificate_is_refused),
        cmocka_unit_test(a_server_that_does_not_speak_h2_is_refused_before_it_sees_us),
        cmocka_unit_test(other_software_as_a_server_is_accepted),
    };
    return cmocka_run_group_tests_name("tls/peer", tests, set_up, tear_down);
}
