/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "support/pki.h"

#include <neo/cert.h>

#include <string.h>

#define SERVICE "function-service"

static struct pki *pki;
static struct pki *evil; /* another trust domain's */
static struct neo_trust *trust;

static int set_up(void **state __attribute__((unused)))
{
    pki = pki_new("neo.test");
    evil = pki_new("evil.test");
    trust = pki_trust(pki);
    return 0;
}

static int tear_down(void **state __attribute__((unused)))
{
    neo_trust_unref(trust);
    pki_free(evil);
    pki_free(pki);
    return 0;
}

static enum neo_code verify(const struct neo_trust *by, const struct pki_cert *leaf, bool with_root,
                            int64_t now, struct neo_cert **ret, struct neo_error *err)
{
    struct neo_bytes chain[8];
    size_t n = pki_chain(leaf, with_root, chain);

    return neo_trust_verify(by, chain, n, now, ret, err);
}

static void assert_accepted_by(const struct neo_trust *by, const struct pki_cert *leaf)
{
    struct neo_cert *cert = NULL;
    struct neo_error err = {0};

    if (verify(by, leaf, false, PKI_NOW, &cert, &err) != NEO_OK)
        fail_msg("%s", err.message);
    assert_true(neo_bytes_equal(neo_cert_facts(cert)->der, pki_der(leaf)));
    neo_cert_unref(cert);
}

static void assert_refused_at(const struct neo_trust *by, const struct pki_cert *leaf, int64_t now,
                              const char *reason)
{
    struct neo_cert *cert = NULL;
    struct neo_error err;

    assert_int_equal(verify(by, leaf, false, now, &cert, &err), NEO_UNAUTHENTICATED);
    assert_null(cert);
    if (strstr(err.message, reason) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err.message, reason);
}

static void assert_refused_by(const struct neo_trust *by, const struct pki_cert *leaf,
                              const char *reason)
{
    assert_refused_at(by, leaf, PKI_NOW, reason);
}

static const struct pki_cert *leaf_with(const struct pki_options *options)
{
    return pki_make(pki, pki_issuer(pki), SERVICE, options);
}

static const struct pki_cert *ca_with(const struct pki_cert *issuer, struct pki_options options)
{
    options.is_ca = true;
    return pki_make(pki, issuer, "another CA", &options);
}

static const struct pki_cert *leaf_under(const struct pki_cert *ca)
{
    return pki_make(pki, ca, SERVICE, NULL);
}

TEST(a_leaf_of_the_trust_domain_is_accepted)
{
    assert_accepted_by(trust, leaf_with(NULL));
    assert_accepted_by(trust, leaf_with(&(struct pki_options){.key = "P-384"}));
    assert_accepted_by(trust, leaf_with(&(struct pki_options){.key = "ED25519"}));
    assert_accepted_by(
        trust, leaf_with(&(struct pki_options){.subject = "",
                                               .san = "critical,URI:spiffe://neo.test/" SERVICE}));
}

TEST(a_root_that_came_along_changes_nothing)
{
    struct neo_cert *cert = NULL;

    assert_int_equal(verify(trust, leaf_with(NULL), true, PKI_NOW, &cert, NULL), NEO_OK);
    neo_cert_unref(cert);
}

TEST(a_leaf_that_breaks_the_profile_is_refused)
{
    assert_refused_by(trust, leaf_with(&(struct pki_options){.extended_key_usage = "serverAuth"}),
                      "extendedKeyUsage");
    assert_refused_by(trust, leaf_with(&(struct pki_options){.subject = "key-service"}),
                      "common name");
    assert_refused_by(trust, leaf_with(&(struct pki_options){.key = "RSA-2048"}), "key must be");
    assert_refused_by(trust, leaf_with(&(struct pki_options){.basic_constraints = "CA:TRUE"}),
                      "not be a CA");
}

/* X06 */
TEST(a_leaf_cannot_issue_another)
{
    const struct pki_cert *thief = leaf_with(NULL);

    assert_refused_by(trust, leaf_under(thief), "invalid CA certificate");
    thief = leaf_with(&(struct pki_options){.key_usage = "critical,digitalSignature,keyCertSign"});
    assert_refused_by(trust, leaf_under(thief), "invalid CA certificate");
}

TEST(an_exceeded_path_length_is_refused)
{
    const struct pki_cert *second = ca_with(pki_issuer(pki), (struct pki_options){0});

    assert_refused_by(trust, leaf_under(second), "path length");
}

TEST(two_issuing_cas_in_a_row_are_accepted_where_the_path_length_allows)
{
    const struct pki_cert *first = ca_with(pki_root(pki), (struct pki_options){0});
    const struct pki_cert *second =
        pki_make(pki, first, "a CA below", &(struct pki_options){.is_ca = true});

    assert_accepted_by(trust, leaf_under(second));
}

TEST(a_longer_path_is_refused)
{
    const struct pki_options ca = {.is_ca = true};
    const struct pki_cert *a = pki_make(pki, pki_root(pki), "a", &ca);
    const struct pki_cert *b = pki_make(pki, a, "b", &ca);
    const struct pki_cert *c = pki_make(pki, b, "c", &ca);

    assert_refused_by(trust, leaf_under(c), "too long");
}

/* T05 */
TEST(a_chain_of_more_than_four_is_refused_unread)
{
    struct neo_bytes chain[100];
    struct neo_cert *cert = NULL;

    for (size_t i = 0; i < NEO_COUNT(chain); i++)
        chain[i] = pki_der(pki_issuer(pki));
    chain[0] = pki_der(leaf_with(NULL));
    assert_int_equal(neo_trust_verify(trust, chain, 100, PKI_NOW, &cert, NULL),
                     NEO_UNAUTHENTICATED);
    assert_int_equal(neo_trust_verify(trust, chain, 5, PKI_NOW, &cert, NULL), NEO_UNAUTHENTICATED);
    assert_int_equal(neo_trust_verify(trust, chain, 0, PKI_NOW, &cert, NULL), NEO_UNAUTHENTICATED);
    assert_int_equal(neo_trust_verify(trust, chain, 4, PKI_NOW, &cert, NULL), NEO_OK);
    neo_cert_unref(cert);
}

TEST(an_issuer_that_breaks_its_profile_is_refused)
{
    const struct pki_cert *root = pki_root(pki);

    assert_refused_by(trust, leaf_under(ca_with(root, (struct pki_options){.key = "RSA-3072"})),
                      "key must be");
    assert_refused_by(trust, leaf_under(ca_with(root, (struct pki_options){.key_usage = ""})),
                      "does not include key usage");
    assert_refused_by(
        trust, leaf_under(ca_with(root, (struct pki_options){.key_usage = "critical,cRLSign"})),
        "invalid CA certificate");
    assert_refused_by(trust,
                      leaf_under(ca_with(root, (struct pki_options){.key_usage = "keyCertSign"})),
                      "keyUsage must be present and critical");
    assert_refused_by(trust,
                      leaf_under(ca_with(root, (struct pki_options){.basic_constraints = ""})),
                      "invalid CA certificate");
    assert_refused_by(
        trust,
        leaf_under(ca_with(root, (struct pki_options){.san = "URI:spiffe://neo.test/key-service"})),
        "trust domain's own");
    assert_refused_by(
        trust,
        leaf_under(ca_with(
            root, (struct pki_options){.san = "URI:spiffe://neo.test,URI:spiffe://evil.test"})),
        "trust domain's own");
}

/* X06: an issuer for other purposes cannot make service certificates. */
TEST(an_issuer_with_narrower_extended_usage_is_refused)
{
    const struct pki_cert *root = pki_root(pki);

    assert_refused_by(
        trust, leaf_under(ca_with(root, (struct pki_options){.extended_key_usage = "codeSigning"})),
        "unsuitable certificate purpose");
    assert_refused_by(
        trust, leaf_under(ca_with(root, (struct pki_options){.extended_key_usage = "clientAuth"})),
        "extendedKeyUsage");
    assert_accepted_by(
        trust, leaf_under(ca_with(
                   root, (struct pki_options){.extended_key_usage = "serverAuth,clientAuth"})));
}

TEST(an_issuer_without_a_uri_speaks_for_its_roots_domain)
{
    assert_accepted_by(trust, leaf_under(ca_with(pki_root(pki), (struct pki_options){.san = ""})));
}

TEST(an_issuer_that_names_another_domain_is_refused)
{
    assert_refused_by(
        trust,
        leaf_under(ca_with(pki_root(pki), (struct pki_options){.san = "URI:spiffe://evil.test"})),
        "speaks for trust domain evil.test");
}

TEST(name_constraints_of_foreign_issuers_are_honoured)
{
    const struct pki_cert *root = pki_root(pki);

    assert_accepted_by(
        trust,
        leaf_under(ca_with(
            root, (struct pki_options){.name_constraints = "critical,permitted;URI:neo.test"})));
    assert_refused_by(
        trust,
        leaf_under(ca_with(
            root, (struct pki_options){.name_constraints = "critical,permitted;URI:evil.test"})),
        "permitted subtree violation");
}

/* T05, CVE-2023-0464: nothing grows where nobody looks at policies, and who needs them looked at
 * is told so. A list of policies alone asks for nothing. */
TEST(issuers_that_map_or_constrain_policies_are_refused)
{
    const struct pki_cert *root = pki_root(pki);
    const struct pki_options asking[] = {
        {.policies = "1.3.1", .policy_mappings = "1.3.1:1.3.2"},
        {.policies = "1.3.1", .policy_mappings = "critical,1.3.1:1.3.2"},
        {.policy_constraints = "critical,requireExplicitPolicy:0"},
        {.inhibit_any_policy = "critical,0"},
    };

    assert_accepted_by(trust,
                       leaf_under(ca_with(root, (struct pki_options){.policies = "1.3.1,1.3.2"})));
    for (size_t i = 0; i < NEO_COUNT(asking); i++)
        assert_refused_by(trust, leaf_under(ca_with(root, asking[i])),
                          "must neither map nor constrain policies");
}

TEST(weak_signatures_are_refused)
{
    assert_refused_by(trust, leaf_with(&(struct pki_options){.digest = "SHA1"}),
                      "digest algorithm too weak");
    assert_refused_by(trust, leaf_with(&(struct pki_options){.digest = "SHA224"}),
                      "digest algorithm too weak");
    assert_accepted_by(trust, leaf_with(&(struct pki_options){.digest = "SHA384"}));
}

TEST(a_forged_signature_is_refused)
{
    struct neo_bytes chain[8];
    size_t n = pki_chain(leaf_with(NULL), false, chain);
    struct neo_buffer forged = {0};
    struct neo_cert *cert = NULL;

    assert_true(neo_buffer_append(&forged, chain[0]));
    forged.at[forged.len - 1] ^= 1;
    chain[0] = neo_buffer_bytes(&forged);
    assert_int_equal(neo_trust_verify(trust, chain, n, PKI_NOW, &cert, NULL), NEO_UNAUTHENTICATED);
    neo_buffer_fini(&forged);
}

TEST(a_chain_without_its_issuer_is_refused)
{
    struct neo_bytes der = pki_der(leaf_with(NULL));
    struct neo_cert *cert = NULL;

    assert_int_equal(neo_trust_verify(trust, &der, 1, PKI_NOW, &cert, NULL), NEO_UNAUTHENTICATED);
}

TEST(a_self_signed_leaf_is_refused)
{
    assert_refused_by(trust, pki_make(pki, NULL, SERVICE, NULL), "authority key identifier");
    assert_refused_by(
        trust,
        pki_make(pki, NULL, SERVICE, &(struct pki_options){.authority_key_id = "keyid:always"}),
        "self-signed certificate");
}

/* --- trust domains ------------------------------------------------------------------------- */

TEST(another_trust_domain_is_refused)
{
    assert_refused_by(trust, pki_make(evil, pki_issuer(evil), SERVICE, NULL),
                      "evil.test is not trusted");
}

static struct neo_trust *trust_in_both(void)
{
    struct neo_bytes ours = pki_der(pki_root(pki)), theirs = pki_der(pki_root(evil));
    const struct neo_trust_domain domains[] = {{NEO_LIT("neo.test"), &ours, 1},
                                               {NEO_LIT("evil.test"), &theirs, 1}};
    const struct neo_trust_options options = {.domains = domains, .n_domains = 2};
    struct neo_trust *both = NULL;

    assert_int_equal(neo_trust_new(&options, &both, NULL), NEO_OK);
    return both;
}

/* X04: federation must not let one domain speak for another. */
TEST(a_trusted_domain_cannot_vouch_for_another)
{
    struct neo_trust *both = trust_in_both();
    const struct pki_options ours = {.san = "URI:spiffe://neo.test/" SERVICE};

    assert_accepted_by(both, leaf_with(NULL));
    assert_accepted_by(both, pki_make(evil, pki_issuer(evil), SERVICE, NULL));
    assert_refused_by(both, pki_make(evil, pki_issuer(evil), SERVICE, &ours),
                      "unable to get local issuer");
    neo_trust_unref(both);
}

TEST(an_issuer_of_both_domains_vouches_only_for_the_one_it_names)
{
    struct neo_trust *both = trust_in_both();
    const struct pki_options posing = {.is_ca = true, .san = "URI:spiffe://neo.test"};
    const struct pki_cert *ca = pki_make(evil, pki_root(evil), "posing CA", &posing);
    const struct pki_options ours = {.san = "URI:spiffe://neo.test/" SERVICE};

    assert_refused_by(both, pki_make(evil, ca, SERVICE, &ours), "unable to get local issuer");
    assert_refused_by(both, pki_make(evil, ca, SERVICE, NULL), "speaks for trust domain neo.test");
    neo_trust_unref(both);
}

TEST(a_domain_whose_roots_are_gone_is_refused)
{
    const struct neo_trust_domain domain = {NEO_LIT("neo.test"), NULL, 0};
    const struct neo_trust_options options = {.domains = &domain, .n_domains = 1};
    struct neo_trust *none = NULL;

    assert_int_equal(neo_trust_new(&options, &none, NULL), NEO_OK);
    assert_refused_by(none, leaf_with(NULL), "unable to get local issuer");
    neo_trust_unref(none);
}

static void assert_no_trust(const struct neo_trust_options *options, const char *reason)
{
    struct neo_trust *none = NULL;
    struct neo_error err;

    assert_int_equal(neo_trust_new(options, &none, &err), NEO_INVALID_ARGUMENT);
    assert_null(none);
    if (strstr(err.message, reason) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err.message, reason);
}

static void assert_no_root(struct neo_bytes der, const char *reason)
{
    const struct neo_trust_domain domain = {NEO_LIT("neo.test"), &der, 1};

    assert_no_trust(&(struct neo_trust_options){.domains = &domain, .n_domains = 1}, reason);
}

TEST(what_is_no_root_cannot_be_trusted)
{
    assert_no_root(pki_der(pki_issuer(pki)), "not self-signed");
    assert_no_root(pki_der(leaf_with(NULL)), "must be a CA");
    assert_no_root(pki_der(pki_root(evil)), "speaks for trust domain evil.test");
    assert_no_root(NEO_LIT("\x30\x00"), "bad");
    assert_no_root(pki_der(ca_with(NULL, (struct pki_options){.key = "RSA-2048"})), "key must be");
}

/* --- a file of roots ----------------------------------------------------------------------- */

static void assert_no_roots(struct neo_bytes pem, const char *domain, const char *reason)
{
    struct neo_trust *none = NULL;
    struct neo_error err;

    assert_int_equal(neo_trust_from_pem(domain, pem, "ca.pem", &none, &err), NEO_INVALID_ARGUMENT);
    assert_null(none);
    if (strstr(err.message, reason) == NULL || strncmp(err.message, "ca.pem: ", 8) != 0)
        fail_msg("\"%s\" does not say \"%s\"", err.message, reason);
}

TEST(a_file_that_holds_no_roots_gives_no_trust)
{
    struct neo_buffer leaf = {0}, keyed = {0}, many = {0};

    pki_pem_chain(leaf_with(NULL), &leaf);
    pki_pem_root(pki, &keyed);
    assert_no_roots(neo_bytes_from(neo_buffer_bytes(&keyed), 40), "neo.test", "no root");
    assert_no_roots(neo_bytes(keyed.at, keyed.len - 40), "neo.test", "damaged PEM");
    assert_no_roots(neo_buffer_bytes(&keyed), "not a domain", "not a valid name");
    assert_no_roots(NEO_LIT(""), "neo.test", "no root");
    pki_pem_key(pki_root(pki), &keyed);
    assert_no_roots(neo_buffer_bytes(&keyed), "neo.test", "a private key");
    assert_no_roots(neo_buffer_bytes(&leaf), "neo.test", "must be a CA");
    for (int i = 0; i < 33; i++)
        pki_pem_root(pki, &many);
    assert_no_roots(neo_buffer_bytes(&many), "neo.test", "more than 32");
    neo_buffer_fini(&leaf);
    neo_buffer_fini(&keyed);
    neo_buffer_fini(&many);
}

TEST(every_root_of_a_file_is_trusted_for_its_domain)
{
    struct neo_buffer pem = {0};
    struct pki *second = pki_new("neo.test");
    struct neo_trust *both = NULL;
    struct neo_error err;

    pki_pem_root(pki, &pem);
    pki_pem_root(second, &pem);
    if (neo_trust_from_pem("neo.test", neo_buffer_bytes(&pem), "ca.pem", &both, &err) != NEO_OK)
        fail_msg("%s", err.message);
    assert_accepted_by(both, leaf_with(NULL));
    assert_accepted_by(both, pki_make(second, pki_issuer(second), SERVICE, NULL));
    assert_refused_by(both, pki_make(evil, pki_issuer(evil), SERVICE, NULL), "is not trusted here");
    neo_trust_unref(both);
    neo_buffer_fini(&pem);
    pki_free(second);
}

TEST(a_root_cannot_belong_to_two_domains)
{
    struct neo_bytes root = pki_der(ca_with(NULL, (struct pki_options){.san = ""}));
    const struct neo_trust_domain domains[] = {{NEO_LIT("neo.test"), &root, 1},
                                               {NEO_LIT("evil.test"), &root, 1}};

    assert_no_trust(&(struct neo_trust_options){.domains = domains, .n_domains = 2}, "another");
}

TEST(a_trust_without_anything_to_trust_is_refused)
{
    const struct neo_trust_domain twice[] = {{NEO_LIT("neo.test"), NULL, 0},
                                             {NEO_LIT("neo.test"), NULL, 0}};
    const struct neo_trust_domain bad = {NEO_LIT("NEO/test"), NULL, 0};
    const uint8_t fingerprint[NEO_SHA256_LEN] = {0};

    assert_no_trust(&(struct neo_trust_options){0}, "give either");
    assert_no_trust(&(struct neo_trust_options){.domains = twice,
                                                .n_domains = 1,
                                                .root_fingerprint = fingerprint},
                    "give either");
    assert_no_trust(&(struct neo_trust_options){.domains = twice, .n_domains = 2}, "named twice");
    assert_no_trust(&(struct neo_trust_options){.domains = &bad, .n_domains = 1}, "not a valid");
}

/* --- joining: a root by its fingerprint --------------------------------------------------------
 */

TEST(a_chain_with_the_pinned_root_is_accepted)
{
    struct neo_trust *pinned = pki_trust_by_fingerprint(pki);
    struct neo_cert *cert = NULL;

    assert_int_equal(verify(pinned, leaf_with(NULL), true, PKI_NOW, &cert, NULL), NEO_OK);
    neo_cert_unref(cert);
    neo_trust_unref(pinned);
}

TEST(a_chain_without_the_pinned_root_is_refused)
{
    struct neo_trust *pinned = pki_trust_by_fingerprint(pki);
    struct neo_cert *cert = NULL;

    assert_refused_by(pinned, leaf_with(NULL), "expected fingerprint");
    assert_int_equal(
        verify(pinned, pki_make(evil, pki_issuer(evil), SERVICE, NULL), true, PKI_NOW, &cert, NULL),
        NEO_UNAUTHENTICATED);
    neo_trust_unref(pinned);
}

/* The right root lies in the chain, but signed nothing of it. */
TEST(a_pinned_root_that_only_lies_there_is_refused)
{
    struct neo_trust *pinned = pki_trust_by_fingerprint(pki);
    struct neo_bytes chain[8];
    struct neo_cert *cert = NULL;
    size_t n = pki_chain(pki_make(evil, pki_issuer(evil), SERVICE,
                                  &(struct pki_options){.san = "URI:spiffe://neo.test/ca"}),
                         false, chain);

    chain[n++] = pki_der(pki_root(pki));
    assert_int_equal(neo_trust_verify(pinned, chain, n, PKI_NOW, &cert, NULL), NEO_UNAUTHENTICATED);
    neo_trust_unref(pinned);
}

TEST(a_pinned_root_vouches_only_for_the_domain_it_names)
{
    struct neo_trust *pinned = pki_trust_by_fingerprint(pki);
    struct neo_cert *cert = NULL;
    struct neo_error err;
    const struct pki_options foreign = {.san = "URI:spiffe://evil.test/" SERVICE, .subject = ""};

    assert_int_equal(verify(pinned, leaf_with(&foreign), true, PKI_NOW, &cert, &err),
                     NEO_UNAUTHENTICATED);
    neo_trust_unref(pinned);
}

/* A leaf whose own digest is the pinned one is still no root. */
TEST(a_pinned_leaf_is_no_root)
{
    const struct pki_cert *leaf =
        pki_make(pki, NULL, SERVICE, &(struct pki_options){.authority_key_id = "keyid:always"});
    uint8_t fingerprint[NEO_SHA256_LEN];
    struct neo_trust *pinned = NULL;

    neo_sha256(pki_der(leaf), fingerprint);
    assert_int_equal(
        neo_trust_new(&(struct neo_trust_options){.root_fingerprint = fingerprint}, &pinned, NULL),
        NEO_OK);
    assert_refused_by(pinned, leaf, "expected fingerprint");
    neo_trust_unref(pinned);
}

/* --- time (X09) ---------------------------------------------------------------------------- */

TEST(a_leaf_is_valid_to_the_second)
{
    const struct pki_cert *leaf =
        leaf_with(&(struct pki_options){.not_before = PKI_NOW, .not_after = PKI_NOW + 60});
    struct neo_cert *cert = NULL;

    assert_refused_at(trust, leaf, PKI_NOW - 1, "not valid for another 1 s");
    assert_int_equal(verify(trust, leaf, false, PKI_NOW, &cert, NULL), NEO_OK);
    neo_cert_unref(cert);
    assert_int_equal(verify(trust, leaf, false, PKI_NOW + 59, &cert, NULL), NEO_OK);
    neo_cert_unref(cert);
    assert_refused_at(trust, leaf, PKI_NOW + 60, "expired 0 s ago");
    assert_refused_at(trust, leaf, PKI_NOW + 3600, "expired 3540 s ago");
}

TEST(an_expired_issuer_ends_its_leaves)
{
    const struct pki_cert *ca = ca_with(
        pki_root(pki), (struct pki_options){.not_before = PKI_NOW - 10, .not_after = PKI_NOW + 10});
    const struct pki_cert *leaf = leaf_under(ca);
    struct neo_cert *cert = NULL;

    assert_int_equal(verify(trust, leaf, false, PKI_NOW + 9, &cert, NULL), NEO_OK);
    neo_cert_unref(cert);
    assert_refused_at(trust, leaf, PKI_NOW + 10, "expired");
    assert_refused_at(trust, leaf, PKI_NOW - 11, "not yet valid");
}

TEST(absurd_times_are_refused)
{
    assert_refused_at(trust, leaf_with(NULL), INT64_MIN / 2, "not valid");
    assert_refused_at(trust, leaf_with(NULL), 0, "not valid");
    assert_refused_at(trust, leaf_with(NULL), INT64_MAX / 2, "expired");
}

/* --- revocation (X08) ---------------------------------------------------------------------- */

static struct neo_trust *revoking(const struct pki_cert *issuer, const struct pki_cert *cert)
{
    const struct neo_revocation revoked = {.issuer_key_id = pki_key_id(issuer),
                                           .serial = pki_serial(cert)};

    return pki_trust_revoking(pki, &revoked, 1);
}

TEST(a_revoked_serial_is_refused)
{
    const struct pki_cert *leaf = leaf_with(NULL);
    struct neo_trust *strict = revoking(pki_issuer(pki), leaf);

    assert_refused_by(strict, leaf, "revoked");
    assert_accepted_by(strict, leaf_with(NULL));
    neo_trust_unref(strict);
}

TEST(the_same_serial_under_another_issuer_is_not_revoked)
{
    const struct pki_cert *other = ca_with(pki_root(pki), (struct pki_options){0});
    const struct pki_options same = {.serial = 4711};
    const struct pki_cert *revoked = leaf_with(&same);
    struct neo_trust *strict = revoking(pki_issuer(pki), revoked);

    assert_refused_by(strict, revoked, "revoked");
    assert_accepted_by(strict, pki_make(pki, other, SERVICE, &same));
    neo_trust_unref(strict);
}

TEST(a_revoked_issuer_ends_its_leaves)
{
    const struct pki_cert *ca = ca_with(pki_root(pki), (struct pki_options){0});
    struct neo_trust *strict = revoking(pki_root(pki), ca);

    assert_accepted_by(trust, leaf_under(ca));
    assert_refused_by(strict, leaf_under(ca), "revoked");
    assert_accepted_by(strict, leaf_with(NULL));
    neo_trust_unref(strict);
}

/* Revocation goes by the authority key identifier, so a leaf may not choose it. */
TEST(a_leaf_cannot_escape_by_claiming_another_issuer_key)
{
    const struct pki_cert *leaf = leaf_with(&(struct pki_options){
        .authority_key_id = "DER:30:16:80:14:00:01:02:03:04:05:06:07:08:09:0a:0b:0c:0d:0e:0f:10:11:"
                            "12:13"});

    assert_refused_by(trust, leaf, "unable to get local issuer");
}

TEST(a_service_is_revoked_before_an_instant)
{
    const struct neo_revocation revoked = {.service = NEO_LIT(SERVICE), .issued_before = PKI_NOW};
    struct neo_trust *strict = pki_trust_revoking(pki, &revoked, 1);
    const struct pki_options before = {.not_before = PKI_NOW - 1}, after = {.not_before = PKI_NOW};

    assert_refused_by(strict, leaf_with(&before), "revoked");
    assert_accepted_by(strict, leaf_with(&after));
    assert_accepted_by(strict, pki_make(pki, pki_issuer(pki), "key-service", &before));
    neo_trust_unref(strict);
}

TEST(every_leaf_is_revoked_before_an_instant_but_no_issuer)
{
    const struct neo_revocation revoked = {.issued_before = PKI_NOW};
    struct neo_trust *strict = pki_trust_revoking(pki, &revoked, 1);

    assert_refused_by(strict, leaf_with(NULL), "revoked");
    assert_accepted_by(strict, leaf_with(&(struct pki_options){.not_before = PKI_NOW}));
    neo_trust_unref(strict);
}

/* --- later snapshots ----------------------------------------------------------------------- */

static struct neo_cert *accepted(const struct pki_cert *leaf)
{
    struct neo_cert *cert = NULL;

    assert_int_equal(verify(trust, leaf, false, PKI_NOW, &cert, NULL), NEO_OK);
    return cert;
}

TEST(an_open_connection_is_judged_anew_without_its_chain)
{
    const struct pki_cert *ca = ca_with(pki_root(pki), (struct pki_options){0});
    const struct pki_cert *pki_leaf = leaf_under(ca);
    struct neo_cert *leaf = accepted(pki_leaf);
    struct neo_trust *without_leaf = revoking(ca, pki_leaf);
    struct neo_trust *without_issuer = revoking(pki_root(pki), ca);
    struct neo_trust *other = pki_trust(evil);

    assert_int_equal(neo_trust_recheck(trust, leaf, PKI_NOW, NULL), NEO_OK);
    assert_true(neo_trust_stands(trust, leaf));
    assert_false(neo_trust_is_revoked(trust, leaf));
    assert_int_equal(neo_trust_recheck(without_leaf, leaf, PKI_NOW, NULL), NEO_UNAUTHENTICATED);
    assert_false(neo_trust_stands(without_leaf, leaf));
    assert_true(neo_trust_is_revoked(without_leaf, leaf));
    assert_int_equal(neo_trust_recheck(without_issuer, leaf, PKI_NOW, NULL), NEO_UNAUTHENTICATED);
    assert_false(neo_trust_stands(without_issuer, leaf));
    assert_true(neo_trust_is_revoked(without_issuer, leaf));
    assert_int_equal(neo_trust_recheck(other, leaf, PKI_NOW, NULL), NEO_UNAUTHENTICATED);
    assert_false(neo_trust_stands(other, leaf));
    assert_int_equal(neo_trust_recheck(trust, leaf, PKI_UNTIL, NULL), NEO_UNAUTHENTICATED);
    neo_trust_unref(without_leaf);
    neo_trust_unref(without_issuer);
    neo_trust_unref(other);
    neo_cert_unref(leaf);
}

TEST(an_expired_issuer_ends_an_open_connection)
{
    const struct pki_cert *ca =
        ca_with(pki_root(pki), (struct pki_options){.not_after = PKI_NOW + 10});
    struct neo_cert *leaf = accepted(leaf_under(ca));

    assert_int_equal(neo_trust_recheck(trust, leaf, PKI_NOW + 9, NULL), NEO_OK);
    assert_int_equal(neo_trust_recheck(trust, leaf, PKI_NOW + 10, NULL), NEO_UNAUTHENTICATED);
    neo_cert_unref(leaf);
}

TEST(a_joined_connection_stands_as_long_as_its_pin)
{
    struct neo_trust *pinned = pki_trust_by_fingerprint(pki);
    struct neo_trust *other = pki_trust_by_fingerprint(evil);
    struct neo_cert *leaf = NULL;

    assert_int_equal(verify(pinned, leaf_with(NULL), true, PKI_NOW, &leaf, NULL), NEO_OK);
    assert_true(neo_trust_stands(pinned, leaf));
    assert_true(
        neo_trust_stands(trust, leaf)); /* the bundle that was fetched holds the same root */
    assert_false(neo_trust_stands(other, leaf));
    neo_cert_unref(leaf);
    neo_trust_unref(pinned);
    neo_trust_unref(other);
}

TEST(a_certificate_nobody_verified_does_not_stand)
{
    struct neo_cert *leaf = NULL;

    assert_int_equal(neo_cert_from_der(pki_der(leaf_with(NULL)), "test", &leaf, NULL), NEO_OK);
    assert_int_equal(neo_trust_recheck(trust, leaf, PKI_NOW, NULL), NEO_UNAUTHENTICATED);
    assert_false(neo_trust_stands(trust, leaf));
    neo_cert_unref(leaf);
}

TEST(a_verified_leaf_outlives_the_trust_that_judged_it)
{
    struct neo_trust *short_lived = pki_trust(pki);
    struct neo_cert *leaf = NULL;

    assert_int_equal(verify(short_lived, leaf_with(NULL), false, PKI_NOW, &leaf, NULL), NEO_OK);
    neo_trust_unref(short_lived);
    assert_int_equal(neo_trust_recheck(trust, leaf, PKI_NOW, NULL), NEO_OK);
    neo_cert_unref(leaf);
}

/* --- identities ---------------------------------------------------------------------------- */

TEST(an_identity_refuses_a_key_that_is_not_its_leafs)
{
    struct neo_bytes chain[8];
    size_t n = pki_chain(leaf_with(NULL), false, chain);
    struct neo_key *key = NULL;
    struct neo_identity *identity = NULL;

    assert_int_equal(neo_key_generate(NEO_KEY_P256, &key, NULL), NEO_OK);
    assert_int_equal(neo_identity_new(key, chain, n, &identity, NULL), NEO_INVALID_ARGUMENT);
    assert_int_equal(neo_identity_new(key, chain, 0, &identity, NULL), NEO_INVALID_ARGUMENT);
    assert_int_equal(neo_identity_new(key, chain, 5, &identity, NULL), NEO_INVALID_ARGUMENT);
    assert_null(identity);
    neo_key_unref(key);
}

TEST(an_identity_comes_back_from_its_pem_files)
{
    struct neo_identity *identity = pki_identity(pki, SERVICE, NULL), *back = NULL;
    struct neo_buffer chain = {0}, key = {0};

    for (size_t i = 0; i < neo_identity_chain_length(identity); i++)
        assert_true(neo_cert_to_pem(neo_identity_chain(identity, i), &chain));
    assert_int_equal(neo_key_to_pem(neo_identity_key(identity), &key, NULL), NEO_OK);
    assert_int_equal(
        neo_identity_from_pem(neo_buffer_bytes(&chain), neo_buffer_bytes(&key), "id", &back, NULL),
        NEO_OK);
    assert_int_equal(neo_identity_chain_length(back), 2);
    assert_true(neo_bytes_equal(neo_cert_facts(neo_identity_leaf(back))->der,
                                neo_cert_facts(neo_identity_leaf(identity))->der));
    neo_identity_unref(back);
    for (int i = 0; i < 3; i++)
        assert_true(neo_cert_to_pem(neo_identity_leaf(identity), &chain));
    assert_int_equal(
        neo_identity_from_pem(neo_buffer_bytes(&chain), neo_buffer_bytes(&key), "id", &back, NULL),
        NEO_INVALID_ARGUMENT);
    neo_identity_unref(identity);
    neo_buffer_fini(&chain);
    neo_buffer_fini_secret(&key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_leaf_of_the_trust_domain_is_accepted),
        cmocka_unit_test(a_root_that_came_along_changes_nothing),
        cmocka_unit_test(a_leaf_that_breaks_the_profile_is_refused),
        cmocka_unit_test(a_leaf_cannot_issue_another),
        cmocka_unit_test(an_exceeded_path_length_is_refused),
        cmocka_unit_test(two_issuing_cas_in_a_row_are_accepted_where_the_path_length_allows),
        cmocka_unit_test(a_longer_path_is_refused),
        cmocka_unit_test(a_chain_of_more_than_four_is_refused_unread),
        cmocka_unit_test(an_issuer_that_breaks_its_profile_is_refused),
        cmocka_unit_test(an_issuer_with_narrower_extended_usage_is_refused),
        cmocka_unit_test(an_issuer_without_a_uri_speaks_for_its_roots_domain),
        cmocka_unit_test(an_issuer_that_names_another_domain_is_refused),
        cmocka_unit_test(name_constraints_of_foreign_issuers_are_honoured),
        cmocka_unit_test(issuers_that_map_or_constrain_policies_are_refused),
        cmocka_unit_test(weak_signatures_are_refused),
        cmocka_unit_test(a_forged_signature_is_refused),
        cmocka_unit_test(a_chain_without_its_issuer_is_refused),
        cmocka_unit_test(a_self_signed_leaf_is_refused),
        cmocka_unit_test(another_trust_domain_is_refused),
        cmocka_unit_test(a_trusted_domain_cannot_vouch_for_another),
        cmocka_unit_test(an_issuer_of_both_domains_vouches_only_for_the_one_it_names),
        cmocka_unit_test(a_domain_whose_roots_are_gone_is_refused),
        cmocka_unit_test(what_is_no_root_cannot_be_trusted),
        cmocka_unit_test(a_file_that_holds_no_roots_gives_no_trust),
        cmocka_unit_test(every_root_of_a_file_is_trusted_for_its_domain),
        cmocka_unit_test(a_root_cannot_belong_to_two_domains),
        cmocka_unit_test(a_trust_without_anything_to_trust_is_refused),
        cmocka_unit_test(a_chain_with_the_pinned_root_is_accepted),
        cmocka_unit_test(a_chain_without_the_pinned_root_is_refused),
        cmocka_unit_test(a_pinned_root_that_only_lies_there_is_refused),
        cmocka_unit_test(a_pinned_root_vouches_only_for_the_domain_it_names),
        cmocka_unit_test(a_pinned_leaf_is_no_root),
        cmocka_unit_test(a_leaf_is_valid_to_the_second),
        cmocka_unit_test(an_expired_issuer_ends_its_leaves),
        cmocka_unit_test(absurd_times_are_refused),
        cmocka_unit_test(a_revoked_serial_is_refused),
        cmocka_unit_test(the_same_serial_under_another_issuer_is_not_revoked),
        cmocka_unit_test(a_revoked_issuer_ends_its_leaves),
        cmocka_unit_test(a_leaf_cannot_escape_by_claiming_another_issuer_key),
        cmocka_unit_test(a_service_is_revoked_before_an_instant),
        cmocka_unit_test(every_leaf_is_revoked_before_an_instant_but_no_issuer),
        cmocka_unit_test(an_open_connection_is_judged_anew_without_its_chain),
        cmocka_unit_test(an_expired_issuer_ends_an_open_connection),
        cmocka_unit_test(a_joined_connection_stands_as_long_as_its_pin),
        cmocka_unit_test(a_certificate_nobody_verified_does_not_stand),
        cmocka_unit_test(a_verified_leaf_outlives_the_trust_that_judged_it),
        cmocka_unit_test(an_identity_refuses_a_key_that_is_not_its_leafs),
        cmocka_unit_test(an_identity_comes_back_from_its_pem_files),
    };
    return cmocka_run_group_tests_name("crypto/trust", tests, set_up, tear_down);
}
