/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The modes that give security up: what they ask for, and what they still refuse.
 */
#include "../unit.h"

#include "support/pki.h"
#include "support/tls_link.h"

#include <string.h>

#define HOST "foo.test.google.fr"

static struct pki *pki;
static struct pki *other;

static int set_up(void **state __attribute__((unused)))
{
    pki = pki_new("web.test");
    other = pki_new("other.test");
    return 0;
}

static int tear_down(void **state __attribute__((unused)))
{
    pki_free(other);
    pki_free(pki);
    return 0;
}

static enum neo_code make(const struct tls_options *options, struct tls_context **ret)
{
    return tls_context_new(options, ret, NULL);
}

static void assert_refused(const struct tls_options *options, const char *reason)
{
    struct tls_context *context;
    struct neo_error err;

    assert_int_equal(tls_context_new(options, &context, &err), NEO_INVALID_ARGUMENT);
    if (strstr(err.message, reason) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err.message, reason);
}

/* --- setting up ------------------------------------------------------------------------------- */

TEST(mutual_tls_takes_no_pem)
{
    struct neo_identity *identity = pki_identity(pki, "a-service", NULL);
    struct neo_trust *trust = pki_trust(pki);

    assert_refused(
        &(struct tls_options){
            .role = TLS_SERVER, .identity = identity, .trust = trust, .pem_chain = NEO_LIT("x")},
        "for the insecure modes");
    neo_identity_unref(identity);
    neo_trust_unref(trust);
}

TEST(an_insecure_mode_takes_no_identity_and_no_trust)
{
    struct neo_identity *identity = pki_identity(pki, "a-service", NULL);
    struct neo_trust *trust = pki_trust(pki);
    struct tls_options options = {
        .role = TLS_SERVER, .mode = TLS_CLEARTEXT, .allow_anonymous = true, .identity = identity};

    assert_refused(&options, "no use for an identity");
    options.identity = NULL;
    options.trust = trust;
    assert_refused(&options, "no use for an identity or a trust");
    neo_identity_unref(identity);
    neo_trust_unref(trust);
}

TEST(an_insecure_server_must_allow_anonymous_callers)
{
    assert_refused(&(struct tls_options){.role = TLS_SERVER, .mode = TLS_CLEARTEXT},
                   "must allow them");
}

TEST(a_proven_server_needs_certificate_and_key_and_its_client_roots)
{
    struct tls_options options = {
        .role = TLS_SERVER, .mode = TLS_SERVER_PROVEN, .allow_anonymous = true};

    assert_refused(&options, "needs a certificate and its key");
    options.pem_chain = options.pem_key = NEO_LIT("no PEM at all");
    struct tls_context *context;
    assert_int_not_equal(make(&options, &context), NEO_OK);
    assert_refused(&(struct tls_options){.role = TLS_CLIENT, .mode = TLS_SERVER_PROVEN},
                   "needs certificates to trust");
    assert_refused(&(struct tls_options){.role = TLS_CLIENT,
                                         .mode = TLS_SERVER_PROVEN,
                                         .pem_roots = NEO_LIT("x"),
                                         .pem_chain = NEO_LIT("x")},
                   "needs its key");
}

static struct tls_context *server_with(const struct pki_options *with)
{
    const struct pki_cert *cert = pki_make(pki, pki_issuer(pki), "server1", with);
    struct neo_buffer chain = {0}, key = {0};
    struct tls_context *context;

    pki_pem_chain(cert, &chain);
    pki_pem_key(cert, &key);
    assert_int_equal(make(&(struct tls_options){.role = TLS_SERVER,
                                                .mode = TLS_SERVER_PROVEN,
                                                .allow_anonymous = true,
                                                .pem_chain = neo_buffer_bytes(&chain),
                                                .pem_key = neo_buffer_bytes(&key)},
                          &context),
                     NEO_OK);
    neo_buffer_fini(&chain);
    neo_buffer_fini(&key);
    return context;
}

static struct tls_context *client_trusting(const struct pki *whom)
{
    struct neo_buffer roots = {0};
    struct tls_context *context;

    pki_pem_root(whom, &roots);
    assert_int_equal(make(&(struct tls_options){.role = TLS_CLIENT,
                                                .mode = TLS_SERVER_PROVEN,
                                                .pem_roots = neo_buffer_bytes(&roots)},
                          &context),
                     NEO_OK);
    neo_buffer_fini(&roots);
    return context;
}

TEST(a_key_that_is_not_the_certificates_is_refused)
{
    const struct pki_cert *one = pki_make(pki, pki_issuer(pki), "one", NULL);
    const struct pki_cert *two = pki_make(pki, pki_issuer(pki), "two", NULL);
    struct neo_buffer chain = {0}, key = {0};

    pki_pem_chain(one, &chain);
    pki_pem_key(two, &key);
    assert_refused(&(struct tls_options){.role = TLS_SERVER,
                                         .mode = TLS_SERVER_PROVEN,
                                         .allow_anonymous = true,
                                         .pem_chain = neo_buffer_bytes(&chain),
                                         .pem_key = neo_buffer_bytes(&key)},
                   "cannot be used");
    neo_buffer_fini(&chain);
    neo_buffer_fini(&key);
}

TEST(a_certificate_in_place_of_the_key_is_named)
{
    const struct pki_cert *cert = pki_make(pki, pki_issuer(pki), "one", NULL);
    struct neo_buffer chain = {0}, key = {0};
    struct tls_context *context;
    struct neo_error err;

    pki_pem_chain(cert, &chain);
    pki_pem_key(cert, &key);
    struct tls_options options = {.role = TLS_SERVER,
                                  .mode = TLS_SERVER_PROVEN,
                                  .allow_anonymous = true,
                                  .pem_chain = neo_buffer_bytes(&chain),
                                  .pem_key = neo_buffer_bytes(&chain)};
    assert_refused(&options, "key: no private key");
    options.pem_chain = options.pem_key = neo_buffer_bytes(&key);
    assert_int_equal(tls_context_new(&options, &context, &err), NEO_NOT_FOUND);
    assert_non_null(strstr(err.message, "are the two files swapped?"));
    neo_buffer_fini(&chain);
    neo_buffer_fini(&key);
}

TEST(a_client_must_name_whom_it_calls)
{
    struct tls_context *context = client_trusting(pki);
    struct tls *tls;

    assert_int_equal(tls_new(context, (struct neo_bytes){0}, NULL, &tls, NULL),
                     NEO_INVALID_ARGUMENT);
    assert_int_equal(tls_new(context, NEO_LIT("spiffe://a/b"), NULL, &tls, NULL),
                     NEO_INVALID_ARGUMENT);
    tls_context_unref(context);
}

/* --- who is believed -------------------------------------------------------------------------- */

static struct neo_error call(const struct pki_options *with, const struct pki *trusted,
                             const char *name, int64_t wall)
{
    struct tls_context *server = server_with(with), *client = client_trusting(trusted);
    struct tls_link link;

    tls_link_init(&link, client, server, name);
    link.wall = wall;
    tls_end_feed(&link.client, (struct neo_bytes){0}, 0, wall);
    tls_link_run(&link);
    struct neo_error err = link.client.err;
    if (err.code == NEO_OK) {
        assert_int_equal(tls_state(link.client.tls), TLS_OPEN);
        assert_int_equal(tls_state(link.server.tls), TLS_OPEN);
        assert_null(tls_peer(link.server.tls)->leaf);
        assert_true(neo_bytes_is(tls_peer(link.server.tls)->service, "anonymous"));
    } else {
        assert_int_not_equal(tls_state(link.server.tls), TLS_OPEN);
    }
    tls_link_fini(&link);
    tls_context_unref(client);
    tls_context_unref(server);
    return err;
}

static void assert_unproven(const struct pki_options *with, const struct pki *trusted,
                            const char *name, int64_t wall, const char *reason)
{
    struct neo_error err = call(with, trusted, name, wall);

    assert_int_equal(err.code, NEO_UNAUTHENTICATED);
    if (strstr(err.message, reason) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err.message, reason);
}

static const struct pki_options wild = {.san = "DNS:*.test.google.fr"};

TEST(a_server_of_another_dns_name_is_refused)
{
    assert_unproven(&wild, pki, "foo.test.google.com", PKI_NOW, "hostname mismatch");
    assert_unproven(&(struct pki_options){.san = "DNS:bar.test"}, pki, "foo.test", PKI_NOW,
                    "hostname mismatch");
}

TEST(a_wildcard_stands_for_one_whole_label)
{
    assert_unproven(&wild, pki, "a.b.test.google.fr", PKI_NOW, "hostname mismatch");
    assert_unproven(&wild, pki, "test.google.fr", PKI_NOW, "hostname mismatch");
    assert_unproven(&(struct pki_options){.san = "DNS:f*.test"}, pki, "foo.test", PKI_NOW,
                    "hostname mismatch");
    assert_int_equal(call(&wild, pki, HOST, PKI_NOW).code, NEO_OK);
}

TEST(a_common_name_proves_nothing)
{
    const struct pki_options options = {.san = "DNS:other.test", .subject = HOST};

    assert_unproven(&options, pki, HOST, PKI_NOW, "hostname mismatch");
}

TEST(a_server_under_another_root_is_refused)
{
    assert_unproven(&wild, other, HOST, PKI_NOW, "peer is not " HOST);
}

TEST(a_server_is_judged_at_the_time_the_client_is_told)
{
    assert_unproven(&wild, pki, HOST, PKI_UNTIL + 1, "expired");
    assert_unproven(&wild, pki, HOST, PKI_FROM - 1, "not yet valid");
}

static struct neo_error told; /* what the client of call_with() makes of it */

/* The caller's certificate is there if it was let in, for as long as it is valid; the server's is
   nobody's caller. */
static void look_at_foreign(struct tls_link *link, bool is_open)
{
    struct neo_error err;
    const struct neo_cert *cert = tls_foreign(link->server.tls, &err);

    assert_int_equal(err.code, NEO_OK);
    assert_int_equal(cert != NULL, is_open);
    assert_null(tls_foreign(link->client.tls, &err));
    if (!is_open)
        return;
    assert_ptr_equal(tls_foreign(link->server.tls, &err), cert); /* read once */
    assert_null(tls_peer(link->server.tls)->leaf);
    assert_int_equal(tls_feed(link->server.tls, (struct neo_bytes){0}, PKI_UNTIL + 1,
                              &link->server.plain, &link->server.out, NULL),
                     NEO_OK);
    assert_null(tls_foreign(link->server.tls, &err));
    assert_int_equal(err.code, NEO_OK);
}

/* The server wants a certificate under `roots`; the client shows one of these, or none (NULL). */
static struct neo_error call_with(const struct pki *roots, struct pki *of,
                                  const struct pki_options *shown, int64_t wall)
{
    const struct pki_cert *cert = pki_make(pki, pki_issuer(pki), "server1", &wild);
    struct neo_buffer chain = {0}, key = {0}, root = {0}, own_root = {0}, own = {0}, own_key = {0};
    struct tls_context *server, *client;
    struct tls_link link;

    pki_pem_chain(cert, &chain);
    pki_pem_key(cert, &key);
    pki_pem_root(roots, &root);
    pki_pem_root(pki, &own_root);
    if (shown != NULL) {
        const struct pki_cert *mine = pki_make(of, pki_issuer(of), "client1", shown);
        pki_pem_chain(mine, &own);
        pki_pem_key(mine, &own_key);
    }
    assert_int_equal(make(&(struct tls_options){.role = TLS_SERVER,
                                                .mode = TLS_SERVER_PROVEN,
                                                .allow_anonymous = true,
                                                .pem_chain = neo_buffer_bytes(&chain),
                                                .pem_key = neo_buffer_bytes(&key),
                                                .pem_roots = neo_buffer_bytes(&root)},
                          &server),
                     NEO_OK);
    assert_int_equal(make(&(struct tls_options){.role = TLS_CLIENT,
                                                .mode = TLS_SERVER_PROVEN,
                                                .pem_roots = neo_buffer_bytes(&own_root),
                                                .pem_chain = neo_buffer_bytes(&own),
                                                .pem_key = neo_buffer_bytes(&own_key)},
                          &client),
                     NEO_OK);
    tls_link_init(&link, client, server, HOST);
    link.wall = wall;
    tls_end_feed(&link.client, (struct neo_bytes){0}, 0, wall);
    tls_link_run(&link);
    struct neo_error err = link.server.err;
    told = link.client.err;
    assert_int_equal(tls_state(link.server.tls) == TLS_OPEN, err.code == NEO_OK);
    if (err.code == NEO_OK)
        assert_true(neo_bytes_is(tls_peer(link.server.tls)->service, "anonymous"));
    look_at_foreign(&link, err.code == NEO_OK);
    tls_link_fini(&link);
    tls_context_unref(client);
    tls_context_unref(server);
    struct neo_buffer *const all[] = {&chain, &key, &root, &own_root, &own, &own_key};
    for (size_t i = 0; i < NEO_COUNT(all); i++)
        neo_buffer_fini(all[i]);
    return err;
}

TEST(a_callers_certificate_is_there_when_it_was_verified_and_until_it_ends)
{
    const struct pki_options plain = {.san = ""};

    assert_int_equal(call_with(other, pki, &plain, PKI_NOW).code, NEO_UNAUTHENTICATED);
    assert_int_equal(call_with(other, other, &plain, PKI_NOW).code, NEO_OK);
}

TEST(a_caller_must_show_a_certificate_under_the_roots_when_there_are_any)
{
    const struct pki_options plain = {.san = ""};
    const struct pki_options rsa = {.key = "RSA-2048", .san = ""};
    const struct pki_options for_servers = {.san = "", .extended_key_usage = "serverAuth"};

    assert_int_equal(call_with(other, other, NULL, PKI_NOW).code, NEO_UNAUTHENTICATED);
    assert_int_equal(told.code, NEO_UNAUTHENTICATED);
    assert_non_null(strstr(told.message, "we have shown none: open the channel with one"));
    assert_int_equal(call_with(other, pki, &plain, PKI_NOW).code, NEO_UNAUTHENTICATED);
    assert_non_null(strstr(told.message, "the peer refused our certificate"));
    assert_int_equal(call_with(other, other, &for_servers, PKI_NOW).code, NEO_UNAUTHENTICATED);
    assert_int_equal(call_with(other, other, &plain, PKI_UNTIL + 1).code, NEO_UNAUTHENTICATED);
    assert_int_equal(call_with(other, other, &plain, PKI_NOW).code, NEO_OK);
    assert_int_equal(call_with(other, other, &rsa, PKI_NOW).code, NEO_OK);
}

TEST(an_rsa_server_is_accepted_here)
{
    const struct pki_options rsa = {.key = "RSA-2048", .san = "DNS:" HOST};
    const struct pki_options weak = {.key = "RSA-1024", .san = "DNS:" HOST};
    const struct pki_cert *cert = pki_make(pki, pki_issuer(pki), "weak", &weak);
    struct neo_buffer chain = {0}, key = {0};

    assert_int_equal(call(&rsa, pki, HOST, PKI_NOW).code, NEO_OK);
    pki_pem_chain(cert, &chain);
    pki_pem_key(cert, &key);
    assert_refused(&(struct tls_options){.role = TLS_SERVER,
                                         .mode = TLS_SERVER_PROVEN,
                                         .allow_anonymous = true,
                                         .pem_chain = neo_buffer_bytes(&chain),
                                         .pem_key = neo_buffer_bytes(&key)},
                   "cannot be used");
    neo_buffer_fini(&chain);
    neo_buffer_fini(&key);
}

/* --- cleartext -------------------------------------------------------------------------------- */

TEST(cleartext_passes_bytes_and_proves_nobody)
{
    struct tls_context *server, *client;
    struct neo_buffer plain = {0}, out = {0};
    uint8_t exported[32];
    struct tls *tls;

    assert_int_equal(make(&(struct tls_options){.role = TLS_SERVER,
                                                .mode = TLS_CLEARTEXT,
                                                .allow_anonymous = true},
                          &server),
                     NEO_OK);
    assert_int_equal(
        make(&(struct tls_options){.role = TLS_CLIENT, .mode = TLS_CLEARTEXT}, &client), NEO_OK);
    assert_int_equal(tls_new(client, NEO_LIT(HOST), NULL, &tls, NULL), NEO_INVALID_ARGUMENT);
    assert_int_equal(tls_new(server, (struct neo_bytes){0}, NULL, &tls, NULL), NEO_OK);
    assert_int_equal(tls_write(tls, NEO_LIT("early"), &out, NULL), NEO_FAILED_PRECONDITION);
    assert_int_equal(tls_feed(tls, NEO_LIT("in"), PKI_NOW, &plain, &out, NULL), NEO_OK);
    assert_int_equal(tls_write(tls, NEO_LIT("out"), &out, NULL), NEO_OK);
    tls_close(tls, &out);
    assert_true(neo_bytes_is(neo_buffer_bytes(&plain), "in"));
    assert_true(neo_bytes_is(neo_buffer_bytes(&out), "out"));
    assert_null(tls_peer(tls)->leaf);
    assert_int_equal(tls_exporter(tls, exported, NULL), NEO_FAILED_PRECONDITION);
    assert_string_equal(tls_cipher_name(tls), "none");
    assert_string_equal(tls_group_name(tls), "none");
    tls_free(tls);
    tls_context_unref(client);
    tls_context_unref(server);
    neo_buffer_fini(&plain);
    neo_buffer_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mutual_tls_takes_no_pem),
        cmocka_unit_test(an_insecure_mode_takes_no_identity_and_no_trust),
        cmocka_unit_test(an_insecure_server_must_allow_anonymous_callers),
        cmocka_unit_test(a_proven_server_needs_certificate_and_key_and_its_client_roots),
        cmocka_unit_test(a_key_that_is_not_the_certificates_is_refused),
        cmocka_unit_test(a_certificate_in_place_of_the_key_is_named),
        cmocka_unit_test(a_client_must_name_whom_it_calls),
        cmocka_unit_test(a_server_of_another_dns_name_is_refused),
        cmocka_unit_test(a_wildcard_stands_for_one_whole_label),
        cmocka_unit_test(a_common_name_proves_nothing),
        cmocka_unit_test(a_server_under_another_root_is_refused),
        cmocka_unit_test(a_server_is_judged_at_the_time_the_client_is_told),
        cmocka_unit_test(a_callers_certificate_is_there_when_it_was_verified_and_until_it_ends),
        cmocka_unit_test(a_caller_must_show_a_certificate_under_the_roots_when_there_are_any),
        cmocka_unit_test(an_rsa_server_is_accepted_here),
        cmocka_unit_test(cleartext_passes_bytes_and_proves_nobody),
    };
    return cmocka_run_group_tests_name("tls/insecure", tests, set_up, tear_down);
}
