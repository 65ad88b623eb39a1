/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every allocation of a whole connection fails once, ours and OpenSSL's, from the
 * n-th on. Nothing may crash or leak, and nobody may get in who would not otherwise.
 */
#include "../unit.h"

#include "support/openssl_memory.h"
#include "support/pki.h"
#include "support/tls_link.h"

#include <neo/memory.h>

#define EXPECT "spiffe://neo.test/function-service"

static struct pki *pki;
static struct neo_trust *trust;
static struct neo_identity *server_identity;
static struct neo_identity *good;
static struct neo_identity *bad;

static int set_up(void **state __attribute__((unused)))
{
    pki = pki_new("neo.test");
    trust = pki_trust(pki);
    server_identity = pki_identity(pki, "function-service", NULL);
    good = pki_identity(pki, "automation-service", NULL);
    bad = pki_identity(pki, "automation-service",
                       &(struct pki_options){.extended_key_usage = "serverAuth"});
    return 0;
}

static int tear_down(void **state __attribute__((unused)))
{
    neo_identity_unref(bad);
    neo_identity_unref(good);
    neo_identity_unref(server_identity);
    neo_trust_unref(trust);
    pki_free(pki);
    return 0;
}

static enum neo_code move(struct neo_buffer *wire, struct tls *to, struct neo_buffer *plain,
                          struct neo_buffer *back)
{
    enum neo_code code = tls_feed(to, neo_buffer_bytes(wire), PKI_NOW, plain, back, NULL);
    neo_buffer_clear(wire);
    return code;
}

struct work {
    struct tls_context *contexts[2];
    struct tls *client;
    struct tls *server;
    struct neo_buffer to_server, to_client, client_plain, server_plain;
};

static void fini(struct work *w)
{
    tls_free(w->client);
    tls_free(w->server);
    tls_context_unref(w->contexts[0]);
    tls_context_unref(w->contexts[1]);
    neo_buffer_fini(&w->to_server);
    neo_buffer_fini(&w->to_client);
    neo_buffer_fini(&w->client_plain);
    neo_buffer_fini(&w->server_plain);
}

/* A connection from nothing to a request received. */
static enum neo_code connect_and_call(struct neo_identity *identity, bool *ret_heard)
{
    NEO_CLEANUP(fini) struct work w = {0};
    const struct tls_options serving = {
        .role = TLS_SERVER, .identity = server_identity, .trust = trust};
    const struct tls_options calling = {.role = TLS_CLIENT, .identity = identity, .trust = trust};

    *ret_heard = false;
    NEO_TRY(tls_context_new(&serving, &w.contexts[0], NULL));
    NEO_TRY(tls_context_new(&calling, &w.contexts[1], NULL));
    NEO_TRY(tls_new(w.contexts[0], (struct neo_bytes){0}, NULL, &w.server, NULL));
    NEO_TRY(tls_new(w.contexts[1], neo_text(EXPECT), "function-service", &w.client, NULL));
    NEO_TRY(
        tls_feed(w.client, (struct neo_bytes){0}, PKI_NOW, &w.client_plain, &w.to_server, NULL));
    NEO_TRY(move(&w.to_server, w.server, &w.server_plain, &w.to_client));
    NEO_TRY(move(&w.to_client, w.client, &w.client_plain, &w.to_server));
    NEO_TRY(tls_write(w.client, NEO_LIT("request"), &w.to_server, NULL));
    NEO_TRY(move(&w.to_server, w.server, &w.server_plain, &w.to_client));
    tls_close(w.client, &w.to_server);
    NEO_TRY(move(&w.to_server, w.server, &w.server_plain, &w.to_client));
    *ret_heard = w.server_plain.len > 0;
    return tls_state(w.server) == TLS_CLOSED ? NEO_OK : NEO_INTERNAL;
}

TEST(no_lack_of_our_memory_does_harm)
{
    enum neo_code code = NEO_UNKNOWN;
    bool heard;

    assert_int_equal(connect_and_call(good, &heard), NEO_OK);
    for (unsigned long n = 1; code != NEO_OK; n++) {
        assert_true(n < 1000);
        neo_memory_fail_at(n);
        code = connect_and_call(good, &heard);
        neo_memory_fail_at(0);
        /* Where the peer runs out of memory first, its alert is all we see. */
        assert_true(code == NEO_OK || code == NEO_RESOURCE_EXHAUSTED || code == NEO_UNAVAILABLE);
    }
    assert_true(heard);
}

static unsigned long after(unsigned long n)
{
    return n < 500 ? n + 1 : n + 23;
}

static unsigned long allocations_of(struct neo_identity *identity)
{
    bool heard;

    (void)openssl_memory_count();
    (void)connect_and_call(identity, &heard);
    return openssl_memory_count();
}

TEST(no_lack_of_openssls_memory_does_harm)
{
    bool heard;
    unsigned long needed = allocations_of(good);

    assert_true(needed > 100);
    for (unsigned long n = 1; n <= needed; n = after(n)) {
        openssl_memory_fail_at(n);
        enum neo_code code = connect_and_call(good, &heard);
        openssl_memory_fail_at(0);
        assert_true(code != NEO_OK || heard);
    }
    assert_int_equal(connect_and_call(good, &heard), NEO_OK);
}

TEST(no_lack_of_memory_lets_a_bad_client_in)
{
    bool heard;
    unsigned long needed = allocations_of(bad);

    for (unsigned long n = 1; n <= needed; n = after(n)) {
        openssl_memory_fail_at(n);
        assert_int_not_equal(connect_and_call(bad, &heard), NEO_OK);
        openssl_memory_fail_at(0);
        assert_false(heard);
    }
    for (unsigned long n = 1; n < 100; n++) {
        neo_memory_fail_at(n);
        assert_int_not_equal(connect_and_call(bad, &heard), NEO_OK);
        neo_memory_fail_at(0);
        assert_false(heard);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_lack_of_our_memory_does_harm),
        cmocka_unit_test(no_lack_of_openssls_memory_does_harm),
        cmocka_unit_test(no_lack_of_memory_lets_a_bad_client_in),
    };

    if (!openssl_memory_install())
        return 1;
    return cmocka_run_group_tests_name("tls/memory", tests, set_up, tear_down);
}
