/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every allocation fails once, ours and OpenSSL's, from the n-th on for ever, for
 * n = 1, 2, 3... until the work succeeds. Nothing may crash or leak (the address
 * sanitizer watches), and no lack of memory may turn a refusal into an acceptance.
 */
#include "../unit.h"

#include "support/openssl_memory.h"
#include "support/pki.h"

#include <neo/cert.h>
#include <neo/memory.h>

#define SERVICE "function-service"

static struct pki *pki;
static struct neo_trust *trust;
static struct neo_trust *revoking;
static const struct pki_cert *leaf;
static struct neo_key *key;
static struct neo_identity *identity;

static int set_up(void **state __attribute__((unused)))
{
    struct neo_revocation revoked = {0};

    pki = pki_new("neo.test");
    trust = pki_trust(pki);
    leaf = pki_make(pki, pki_issuer(pki), SERVICE, NULL);
    identity = pki_identity(pki, SERVICE, NULL);
    revoked.issuer_key_id = pki_key_id(pki_issuer(pki));
    revoked.serial = pki_serial(leaf);
    revoking = pki_trust_revoking(pki, &revoked, 1);
    return neo_key_generate(NEO_KEY_P256, &key, NULL) == NEO_OK ? 0 : -1;
}

static int tear_down(void **state __attribute__((unused)))
{
    neo_key_unref(key);
    neo_identity_unref(identity);
    neo_trust_unref(revoking);
    neo_trust_unref(trust);
    pki_free(pki);
    return 0;
}

/* --- the works ----------------------------------------------------------------------------- */

typedef enum neo_code work(void);

static enum neo_code generate_and_sign(void)
{
    NEO_CLEANUP(neo_key_unrefp) struct neo_key *fresh = NULL;
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer out = {0};

    NEO_TRY(neo_key_generate(NEO_KEY_ED25519, &fresh, NULL));
    return neo_key_sign(fresh, NEO_LIT("message"), &out, NULL);
}

static enum neo_code key_through_pem(void)
{
    NEO_CLEANUP(neo_key_unrefp) struct neo_key *back = NULL;
    NEO_CLEANUP(neo_buffer_fini_secret) struct neo_buffer pem = {0};

    NEO_TRY(neo_key_to_pem(key, &pem, NULL));
    return neo_key_from_pem(neo_buffer_bytes(&pem), "key.pem", &back, NULL);
}

static enum neo_code request_and_check(void)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer der = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer spki = {0};

    NEO_TRY(neo_csr_create(key, SERVICE, &der, NULL));
    return neo_csr_check(neo_buffer_bytes(&der), &spki, NULL);
}

static enum neo_code parse(void)
{
    NEO_CLEANUP(neo_cert_unrefp) struct neo_cert *cert = NULL;
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer pem = {0};

    NEO_TRY(neo_cert_from_der(pki_der(leaf), "test", &cert, NULL));
    NEO_TRY(neo_cert_check_leaf(cert, NULL));
    return neo_cert_to_pem(cert, &pem) ? NEO_OK : NEO_RESOURCE_EXHAUSTED;
}

static enum neo_code make_trust(void)
{
    struct neo_bytes root = pki_der(pki_root(pki));
    const struct neo_trust_domain domain = {NEO_LIT("neo.test"), &root, 1};
    const struct neo_revocation revoked = {.service = NEO_LIT(SERVICE), .issued_before = 1};
    const struct neo_trust_options options = {
        .domains = &domain, .n_domains = 1, .revocations = &revoked, .n_revocations = 1};
    struct neo_trust *fresh = NULL;

    NEO_TRY(neo_trust_new(&options, &fresh, NULL));
    neo_trust_unref(fresh);
    return NEO_OK;
}

static enum neo_code verify_by(const struct neo_trust *by, const struct pki_cert *peer)
{
    NEO_CLEANUP(neo_cert_unrefp) struct neo_cert *cert = NULL;
    struct neo_bytes chain[8];
    size_t n = pki_chain(peer, false, chain);

    return neo_trust_verify(by, chain, n, PKI_NOW, &cert, NULL);
}

static enum neo_code verify(void)
{
    return verify_by(trust, leaf);
}

static enum neo_code root_and_issue(void)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer spki = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer der = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer crl = {0};
    NEO_CLEANUP(neo_cert_unrefp) struct neo_cert *root = NULL;
    const struct neo_revoked revoked = {NEO_LIT("\x01"), PKI_NOW};

    NEO_TRY(neo_key_spki(key, &spki, NULL));
    const struct neo_cert_template t = {.spki = neo_buffer_bytes(&spki),
                                        .uri = "spiffe://neo.test",
                                        .common_name = "root",
                                        .serial = {1},
                                        .not_before = 1,
                                        .not_after = PKI_UNTIL,
                                        .is_ca = true};
    NEO_TRY(neo_cert_issue(&t, NULL, key, &der, NULL));
    NEO_TRY(neo_cert_from_der(neo_buffer_bytes(&der), "root", &root, NULL));
    return neo_crl_issue(&revoked, 1, 1, PKI_NOW, PKI_NOW + 1, root, key, &crl, NULL);
}

static enum neo_code identity_through_pem(void)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer chain = {0};
    NEO_CLEANUP(neo_buffer_fini_secret) struct neo_buffer pem = {0};
    struct neo_identity *back = NULL;

    if (!neo_cert_to_pem(neo_identity_leaf(identity), &chain))
        return NEO_RESOURCE_EXHAUSTED;
    NEO_TRY(neo_key_to_pem(neo_identity_key(identity), &pem, NULL));
    NEO_TRY(
        neo_identity_from_pem(neo_buffer_bytes(&chain), neo_buffer_bytes(&pem), "id", &back, NULL));
    neo_identity_unref(back);
    return NEO_OK;
}

static work *const works[] = {
    generate_and_sign, key_through_pem, request_and_check, parse,
    make_trust,        verify,          root_and_issue,    identity_through_pem,
};

/* --- the sweeps ---------------------------------------------------------------------------- */

TEST(no_lack_of_our_memory_does_harm)
{
    for (size_t w = 0; w < NEO_COUNT(works); w++) {
        enum neo_code code = NEO_UNKNOWN;

        assert_int_equal(works[w](), NEO_OK);
        for (unsigned long n = 1; code != NEO_OK; n++) {
            assert_true(n < 1000);
            neo_memory_fail_at(n);
            code = works[w]();
            neo_memory_fail_at(0);
            assert_true(code == NEO_OK || code == NEO_RESOURCE_EXHAUSTED);
        }
    }
}

static enum neo_code with_openssl_failing_at(unsigned long n, work *w)
{
    openssl_memory_fail_at(n);
    enum neo_code code = w();
    openssl_memory_fail_at(0);
    return code;
}

/* Every place at first, then one in eleven: a parse of OpenSSL's makes thousands of allocations. */
static unsigned long after(unsigned long n)
{
    return n < 300 ? n + 1 : n + 11;
}

/* OpenSSL may do without some allocations (caches, error texts), so success is no sign of the end.
 */
TEST(no_lack_of_openssls_memory_does_harm)
{
    for (size_t w = 0; w < NEO_COUNT(works); w++) {
        assert_int_equal(works[w](), NEO_OK);
        (void)openssl_memory_count();
        assert_int_equal(works[w](), NEO_OK);
        unsigned long needed = openssl_memory_count();
        assert_true(needed > 5);
        for (unsigned long n = 1; n <= needed; n = after(n))
            (void)with_openssl_failing_at(n, works[w]);
        assert_int_equal(works[w](), NEO_OK);
    }
}

static const struct pki_cert *bad_peer;
static const struct neo_trust *bad_peers_judge;

static enum neo_code verify_bad(void)
{
    return verify_by(bad_peers_judge, bad_peer);
}

static void assert_never_accepted(const struct neo_trust *by, const struct pki_options *options)
{
    bad_peer = options == NULL ? leaf : pki_make(pki, pki_issuer(pki), SERVICE, options);
    bad_peers_judge = by;
    (void)openssl_memory_count();
    assert_int_equal(verify_bad(), NEO_UNAUTHENTICATED);
    unsigned long needed = openssl_memory_count();
    for (unsigned long n = 1; n <= needed; n = after(n))
        assert_int_not_equal(with_openssl_failing_at(n, verify_bad), NEO_OK);
    for (unsigned long n = 1; n < 50; n++) {
        neo_memory_fail_at(n);
        assert_int_not_equal(verify_bad(), NEO_OK);
        neo_memory_fail_at(0);
    }
}

TEST(no_lack_of_memory_makes_a_bad_peer_good)
{
    assert_never_accepted(revoking, NULL);
    assert_never_accepted(trust, &(struct pki_options){.basic_constraints = "critical,CA:TRUE"});
    assert_never_accepted(trust, &(struct pki_options){.extended_key_usage = "serverAuth"});
    assert_never_accepted(trust, &(struct pki_options){.key_usage = ""});
    assert_never_accepted(trust, &(struct pki_options){.subject = "key-service"});
    assert_never_accepted(trust, &(struct pki_options){.not_after = PKI_NOW});
    assert_never_accepted(
        trust, &(struct pki_options){.san = "URI:spiffe://neo.test/a,URI:spiffe://neo.test/b"});
    assert_never_accepted(
        trust, &(struct pki_options){.san = "URI:spiffe://neo.test/" SERVICE ",email:a@b"});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_lack_of_our_memory_does_harm),
        cmocka_unit_test(no_lack_of_openssls_memory_does_harm),
        cmocka_unit_test(no_lack_of_memory_makes_a_bad_peer_good),
    };

    if (!openssl_memory_install())
        return 1;
    return cmocka_run_group_tests_name("crypto/memory", tests, set_up, tear_down);
}
