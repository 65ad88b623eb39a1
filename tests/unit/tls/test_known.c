/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chains that are remembered (tls/known.h): what must not pass because it passed before.
 */
#include "../unit.h"

#include "support/pki.h"
#include "support/tls_link.h"
#include "support/tls_raw.h"

#include <crypto/cert.h>
#include <crypto/lean.h>
#include <string.h>
#include <tls/engine.h>

#define SERVER "function-service"
#define CLIENT "automation-service"
#define EXPECT "spiffe://neo.test/" SERVER

static struct pki *pki;
static struct tls_context *server;

static int set_up(void **state __attribute__((unused)))
{
    pki = pki_new("neo.test");
    server = tls_link_context(TLS_SERVER, pki, SERVER);
    return 0;
}

static int tear_down(void **state __attribute__((unused)))
{
    tls_context_unref(server);
    pki_free(pki);
    return 0;
}

static uint64_t hits(const struct tls_context *context)
{
    return atomic_load(&context->known.hits);
}

/* What the server says of a client. */
static enum neo_code verdict(struct tls_context *client, struct tls_context *by, int64_t wall,
                             struct neo_error *ret_err)
{
    struct tls_link link;

    tls_link_init(&link, client, by, EXPECT);
    link.wall = wall;
    tls_link_run(&link);
    enum neo_code code = link.server.err.code;
    if (code == NEO_OK)
        assert_int_equal(tls_state(link.server.tls), TLS_OPEN);
    if (ret_err != NULL)
        *ret_err = link.server.err;
    tls_link_fini(&link);
    return code;
}

static struct tls_context *client_of(const struct pki_options *options)
{
    struct neo_identity *identity = pki_identity(pki, CLIENT, options);
    struct neo_trust *trust = pki_trust(pki);
    struct tls_context *context = tls_link_context_of(TLS_CLIENT, identity, trust);

    neo_identity_unref(identity);
    neo_trust_unref(trust);
    return context;
}

static void refuses_a_known_chain_after_its_end(void **state __attribute__((unused)))
{
    const struct pki_options short_lived = {.not_after = PKI_NOW + 60};
    struct tls_context *client = client_of(&short_lived);
    struct neo_error err;

    assert_int_equal(verdict(client, server, PKI_NOW, NULL), NEO_OK);
    assert_int_equal(verdict(client, server, PKI_NOW, NULL), NEO_OK);
    assert_int_equal(hits(server), 1);
    assert_int_equal(verdict(client, server, PKI_NOW + 60, &err), NEO_UNAUTHENTICATED);
    assert_non_null(strstr(err.message, "expired"));
    assert_int_equal(verdict(client, server, PKI_FROM - 1, NULL), NEO_UNAUTHENTICATED);
    assert_int_equal(hits(server), 1);
    tls_context_unref(client);
}

static void a_new_trust_knows_nobody(void **state __attribute__((unused)))
{
    struct neo_identity *identity = pki_identity(pki, CLIENT, NULL);
    struct neo_identity *own = pki_identity(pki, SERVER, NULL);
    struct neo_trust *trust = pki_trust(pki);
    struct tls_context *client = tls_link_context_of(TLS_CLIENT, identity, trust);
    const struct neo_cert_facts *facts = neo_cert_facts(neo_identity_leaf(identity));
    const struct neo_revocation revoked = {.issuer_key_id = facts->issuer_key_id,
                                           .serial = facts->serial};
    struct neo_trust *stricter = pki_trust_revoking(pki, &revoked, 1);
    struct tls_context *next = tls_link_context_of(TLS_SERVER, own, stricter);

    assert_int_equal(verdict(client, server, PKI_NOW, NULL), NEO_OK);
    assert_int_equal(verdict(client, next, PKI_NOW, NULL), NEO_UNAUTHENTICATED);
    assert_int_equal(verdict(client, next, PKI_NOW, NULL), NEO_UNAUTHENTICATED);
    assert_int_equal(hits(next), 0);
    tls_context_unref(next);
    tls_context_unref(client);
    neo_trust_unref(stricter);
    neo_trust_unref(trust);
    neo_identity_unref(own);
    neo_identity_unref(identity);
}

static void does_not_take_one_client_for_another(void **state __attribute__((unused)))
{
    struct tls_context *one = client_of(NULL);
    struct tls_context *other = client_of(NULL);

    assert_int_equal(verdict(one, server, PKI_NOW, NULL), NEO_OK);
    assert_int_equal(verdict(other, server, PKI_NOW, NULL), NEO_OK);
    assert_int_equal(hits(server), 0);
    tls_context_unref(other);
    tls_context_unref(one);
}

static void remembers_no_chain_that_was_refused(void **state __attribute__((unused)))
{
    const struct pki_options bad = {.extended_key_usage = "serverAuth"};
    struct tls_context *client = client_of(&bad);

    for (int i = 0; i < 3; i++)
        assert_int_equal(verdict(client, server, PKI_NOW, NULL), NEO_UNAUTHENTICATED);
    assert_int_equal(hits(server), 0);
    tls_context_unref(client);
}

/* A client that knows a server still asks whether it is the one that it wanted. */
static void a_known_server_must_be_the_expected_one(void **state __attribute__((unused)))
{
    struct tls_context *client = client_of(NULL);
    struct tls_link link;

    assert_int_equal(verdict(client, server, PKI_NOW, NULL), NEO_OK);
    tls_link_init(&link, client, server, "spiffe://neo.test/gas-bank-service");
    tls_link_run(&link);
    assert_int_equal(link.client.err.code, NEO_UNAUTHENTICATED);
    assert_non_null(strstr(link.client.err.message, "expected"));
    assert_int_equal(hits(client), 1);
    tls_link_fini(&link);
    tls_context_unref(client);
}

static enum neo_code verdict_of_raw(struct raw_options options)
{
    struct raw *raw = raw_new(&options);
    struct tls_end end = {0};

    assert_int_equal(tls_new(server, (struct neo_bytes){0}, NULL, &end.tls, NULL), NEO_OK);
    raw_link(raw, &end);
    enum neo_code code = end.err.code;
    assert_int_equal(tls_state(end.tls), code == NEO_OK ? TLS_OPEN : TLS_HANDSHAKE);
    tls_free(end.tls);
    neo_buffer_fini(&end.plain);
    neo_buffer_fini(&end.out);
    raw_free(raw);
    return code;
}

/* To be known is no proof: whoever shows that chain must have its key, each time. */
static void refuses_a_thief_of_a_known_chain(void **state __attribute__((unused)))
{
    const struct pki_cert *good = pki_make(pki, pki_issuer(pki), CLIENT, NULL);
    const struct pki_cert *other = pki_make(pki, pki_issuer(pki), CLIENT, NULL);
    const struct raw_options owner = {.cert = good}, thief = {.cert = good, .thief = other};

    assert_int_equal(verdict_of_raw(thief), NEO_UNAVAILABLE);
    assert_int_equal(verdict_of_raw(owner), NEO_OK);
    assert_int_equal(verdict_of_raw(owner), NEO_OK);
    assert_int_equal(hits(server), 2);
    assert_int_equal(verdict_of_raw(thief), NEO_UNAVAILABLE);
    assert_int_equal(hits(server), 3);
    assert_int_equal(verdict_of_raw(owner), NEO_OK);
}

/* What TLS checks the proof of possession with is the very certificate that was judged. */
static void tls_goes_on_with_the_certificate_that_was_judged(void **state __attribute__((unused)))
{
    struct tls_context *client = client_of(NULL);
    struct tls_link link;

    for (int i = 0; i < 2; i++) {
        tls_link_init(&link, client, server, EXPECT);
        tls_link_run(&link);
        const struct tls *ends[] = {link.client.tls, link.server.tls};
        for (size_t e = 0; e < NEO_COUNT(ends); e++) {
            assert_int_equal(tls_state(ends[e]), TLS_OPEN);
            if (!lean_reads_keys())
                assert_ptr_equal(SSL_get0_peer_certificate(ends[e]->ssl), ends[e]->leaf->x509);
        }
        tls_link_fini(&link);
    }
    assert_int_equal(hits(server), 1);
    tls_context_unref(client);
}

/* --- the table -------------------------------------------------------------------------------- */

static STACK_OF(X509) * chain_of(const struct neo_identity *identity, size_t n)
{
    STACK_OF(X509) *chain = sk_X509_new_null();

    for (size_t i = 0; i < n; i++)
        assert_true(sk_X509_push(chain, neo_identity_chain(identity, i)->x509) > 0);
    return chain;
}

static void a_key_is_of_the_whole_chain(void **state __attribute__((unused)))
{
    struct neo_identity *identity = pki_identity(pki, CLIENT, NULL);
    STACK_OF(X509) *whole = chain_of(identity, neo_identity_chain_length(identity));
    STACK_OF(X509) *leaf = chain_of(identity, 1);
    uint8_t a[NEO_SHA256_LEN], b[NEO_SHA256_LEN];

    assert_true(neo_identity_chain_length(identity) > 1);
    assert_true(known_key(whole, a));
    assert_true(known_key(leaf, b));
    assert_memory_not_equal(a, b, sizeof(a));
    X509 *first = sk_X509_shift(whole);
    assert_true(sk_X509_push(whole, first) > 0);
    assert_true(known_key(whole, b));
    assert_memory_not_equal(a, b, sizeof(a));
    sk_X509_free(leaf);
    sk_X509_free(whole);
    neo_identity_unref(identity);
}

static void holds_one_chain_in_a_place(void **state __attribute__((unused)))
{
    struct neo_identity *identity = pki_identity(pki, CLIENT, NULL);
    struct neo_cert *leaf;
    const uint8_t one[NEO_SHA256_LEN] = {7, 1}, two[NEO_SHA256_LEN] = {7, 2};
    struct known known;

    assert_int_equal(
        neo_cert_from_der(neo_cert_facts(neo_identity_leaf(identity))->der, "leaf", &leaf, NULL),
        NEO_OK);
    known_init(&known);
    assert_null(known_find(&known, one));
    known_put(&known, one, leaf);
    struct neo_cert *found = known_find(&known, one);
    assert_ptr_equal(found, leaf);
    neo_cert_unref(found);
    assert_null(known_find(&known, two));
    known_put(&known, two, leaf);
    assert_null(known_find(&known, one));
    known_fini(&known);
    neo_cert_unref(leaf);
    neo_identity_unref(identity);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(refuses_a_known_chain_after_its_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_new_trust_knows_nobody, set_up, tear_down),
        cmocka_unit_test_setup_teardown(does_not_take_one_client_for_another, set_up, tear_down),
        cmocka_unit_test_setup_teardown(remembers_no_chain_that_was_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_a_thief_of_a_known_chain, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tls_goes_on_with_the_certificate_that_was_judged, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_known_server_must_be_the_expected_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_key_is_of_the_whole_chain, set_up, tear_down),
        cmocka_unit_test_setup_teardown(holds_one_chain_in_a_place, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
