/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "support/pki.h"

#include <neo/cert.h>

#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>

#define SERVICE "function-service"
#define DAY     INT64_C(86400)

/* A CA made by the code under test. */
struct ca {
    struct neo_key *root_key;
    struct neo_key *key;
    struct neo_cert *root;
    struct neo_cert *issuer;
};

static struct ca ca;
static struct neo_key *leaf_key;

static struct neo_key *new_key(enum neo_key_kind kind)
{
    struct neo_key *key = NULL;

    assert_int_equal(neo_key_generate(kind, &key, NULL), NEO_OK);
    return key;
}

static struct neo_buffer spki_of(const struct neo_key *key)
{
    struct neo_buffer spki = {0};

    assert_int_equal(neo_key_spki(key, &spki, NULL), NEO_OK);
    return spki;
}

/* Fills in the key and issues; NULL with the reason in `err`. */
static struct neo_cert *issue(struct neo_cert_template t, const struct neo_key *subject,
                              const struct neo_cert *issuer, const struct neo_key *issuer_key,
                              struct neo_error *err)
{
    struct neo_buffer spki = spki_of(subject), der = {0};
    struct neo_cert *cert = NULL;

    t.spki = neo_buffer_bytes(&spki);
    if (neo_cert_issue(&t, issuer, issuer_key, &der, err) == NEO_OK)
        assert_int_equal(neo_cert_from_der(neo_buffer_bytes(&der), "issued", &cert, err), NEO_OK);
    else
        assert_int_equal(der.len, 0);
    neo_buffer_fini(&spki);
    neo_buffer_fini(&der);
    return cert;
}

static struct neo_cert_template ca_template(const char *name, int path_length, int64_t days)
{
    struct neo_cert_template t = {.uri = "spiffe://neo.test",
                                  .common_name = name,
                                  .not_before = PKI_NOW,
                                  .not_after = PKI_NOW + days * DAY,
                                  .is_ca = true,
                                  .path_length = path_length};

    neo_random(t.serial, sizeof(t.serial));
    return t;
}

static struct neo_cert_template leaf_template(void)
{
    struct neo_cert_template t = {.uri = "spiffe://neo.test/" SERVICE,
                                  .common_name = SERVICE,
                                  .not_before = PKI_NOW,
                                  .not_after = PKI_NOW + DAY};

    neo_random(t.serial, sizeof(t.serial));
    return t;
}

static int set_up(void **state __attribute__((unused)))
{
    struct neo_error err;

    ca.root_key = new_key(NEO_KEY_P384);
    ca.key = new_key(NEO_KEY_P256);
    leaf_key = new_key(NEO_KEY_P256);
    ca.root = issue(ca_template("neo.test root", 1, 3650), ca.root_key, NULL, ca.root_key, &err);
    ca.issuer =
        issue(ca_template("neo.test issuing CA", 0, 90), ca.key, ca.root, ca.root_key, &err);
    return ca.root != NULL && ca.issuer != NULL ? 0 : -1;
}

static int tear_down(void **state __attribute__((unused)))
{
    neo_cert_unref(ca.issuer);
    neo_cert_unref(ca.root);
    neo_key_unref(ca.key);
    neo_key_unref(ca.root_key);
    neo_key_unref(leaf_key);
    return 0;
}

static void assert_not_issued(struct neo_cert_template t, enum neo_code code, const char *reason)
{
    struct neo_error err = {0};

    assert_null(issue(t, leaf_key, ca.issuer, ca.key, &err));
    assert_int_equal(err.code, code);
    if (strstr(err.message, reason) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err.message, reason);
}

static struct neo_trust *trust_root(void)
{
    struct neo_bytes root = neo_cert_facts(ca.root)->der;
    const struct neo_trust_domain domain = {NEO_LIT("neo.test"), &root, 1};
    const struct neo_trust_options options = {.domains = &domain, .n_domains = 1};
    struct neo_trust *trust = NULL;

    assert_int_equal(neo_trust_new(&options, &trust, NULL), NEO_OK);
    return trust;
}

TEST(an_issued_leaf_is_accepted_and_says_what_the_template_said)
{
    static const char *const names[] = {SERVICE, SERVICE ".neo.test", NULL};
    static const enum neo_key_kind kinds[] = {NEO_KEY_P256, NEO_KEY_P384, NEO_KEY_ED25519};
    struct neo_trust *trust = trust_root();

    for (size_t i = 0; i < NEO_COUNT(kinds); i++) {
        struct neo_key *key = new_key(kinds[i]);
        struct neo_cert_template t = leaf_template();
        struct neo_cert *verified = NULL;
        struct neo_error err = {0};

        t.dns_names = names;
        struct neo_cert *leaf = issue(t, key, ca.issuer, ca.key, &err);
        assert_non_null(leaf);
        const struct neo_cert_facts *f = neo_cert_facts(leaf);
        const struct neo_bytes chain[] = {f->der, neo_cert_facts(ca.issuer)->der};
        if (neo_trust_verify(trust, chain, 2, PKI_NOW, &verified, &err) != NEO_OK)
            fail_msg("%s", err.message);
        assert_true(neo_bytes_is(f->uri, t.uri));
        assert_string_equal(f->subject, "CN=" SERVICE);
        assert_int_equal(f->dns_names, 2);
        assert_int_equal(f->not_before, t.not_before);
        assert_int_equal(f->not_after, t.not_after);
        assert_true(neo_bytes_equal(f->issuer_key_id, neo_cert_facts(ca.issuer)->subject_key_id));
        neo_cert_unref(verified);
        neo_cert_unref(leaf);
        neo_key_unref(key);
    }
    neo_trust_unref(trust);
}

TEST(a_leaf_needs_no_subject)
{
    struct neo_cert_template t = leaf_template();
    struct neo_trust *trust = trust_root();
    struct neo_cert *verified = NULL;
    struct neo_error err = {0};

    t.common_name = NULL;
    struct neo_cert *leaf = issue(t, leaf_key, ca.issuer, ca.key, &err);
    assert_non_null(leaf);
    const struct neo_bytes chain[] = {neo_cert_facts(leaf)->der, neo_cert_facts(ca.issuer)->der};
    assert_int_equal(neo_trust_verify(trust, chain, 2, PKI_NOW, &verified, NULL), NEO_OK);
    neo_cert_unref(verified);
    neo_cert_unref(leaf);
    neo_trust_unref(trust);
}

TEST(a_serial_is_positive_whatever_its_top_bit)
{
    struct neo_cert_template t = leaf_template();
    struct neo_error err;

    memset(t.serial, 0xff, sizeof(t.serial));
    struct neo_cert *leaf = issue(t, leaf_key, ca.issuer, ca.key, &err);
    assert_non_null(leaf);
    assert_int_equal(neo_cert_facts(leaf)->serial.len, 16);
    assert_int_equal(neo_cert_facts(leaf)->serial.at[0], 0x7f);
    neo_cert_unref(leaf);
}

TEST(a_serial_nobody_chose_is_refused)
{
    struct neo_cert_template t = leaf_template();

    memset(t.serial, 0, sizeof(t.serial));
    t.serial[0] = 0x80; /* cleared by the issuer */
    assert_not_issued(t, NEO_INVALID_ARGUMENT, "serial");
}

/* C07 */
TEST(a_leaf_cannot_outlive_its_issuer)
{
    struct neo_cert_template t = leaf_template();
    struct neo_error err;

    t.not_after = neo_cert_facts(ca.issuer)->not_after;
    struct neo_cert *leaf = issue(t, leaf_key, ca.issuer, ca.key, &err);
    assert_non_null(leaf);
    neo_cert_unref(leaf);
    t.not_after++;
    assert_not_issued(t, NEO_FAILED_PRECONDITION, "outlive its issuer");
}

TEST(impossible_times_are_refused)
{
    struct neo_cert_template t = leaf_template();

    t.not_after = t.not_before;
    assert_not_issued(t, NEO_INVALID_ARGUMENT, "notBefore");
    t.not_before = -1;
    assert_not_issued(t, NEO_INVALID_ARGUMENT, "notBefore");
    t.not_before = PKI_NOW;
    t.not_after = INT64_MAX;
    assert_not_issued(t, NEO_INVALID_ARGUMENT, "notBefore");
}

/* C03 */
TEST(the_issuers_own_key_is_never_certified)
{
    struct neo_error err = {0};

    assert_null(issue(leaf_template(), ca.key, ca.issuer, ca.key, &err));
    assert_int_equal(err.code, NEO_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "issuer's own"));
}

TEST(a_key_that_is_not_the_issuers_cannot_sign)
{
    struct neo_error err = {0};

    assert_null(issue(leaf_template(), leaf_key, ca.issuer, ca.root_key, &err));
    assert_int_equal(err.code, NEO_FAILED_PRECONDITION);
    assert_non_null(strstr(err.message, "not that of the issuer"));
}

TEST(an_issuer_speaks_only_for_its_own_trust_domain)
{
    struct neo_cert_template t = leaf_template();

    t.uri = "spiffe://evil.test/" SERVICE;
    assert_not_issued(t, NEO_FAILED_PRECONDITION, "speaks for trust domain neo.test");
}

TEST(a_leaf_can_issue_nothing)
{
    struct neo_error err = {0};
    struct neo_cert *leaf = issue(leaf_template(), leaf_key, ca.issuer, ca.key, &err);

    assert_null(issue(leaf_template(), ca.key, leaf, leaf_key, &err));
    assert_int_equal(err.code, NEO_FAILED_PRECONDITION);
    neo_cert_unref(leaf);
}

TEST(the_path_length_of_the_issuer_is_kept)
{
    struct neo_cert_template t = ca_template("one CA too many", 0, 10);

    assert_not_issued(t, NEO_FAILED_PRECONDITION, "path length is 0");
}

TEST(names_that_do_not_fit_are_refused)
{
    static const char *const wildcard[] = {"*.neo.test", NULL};
    static const char *const odd[] = {"a b", NULL};
    struct neo_cert_template t = leaf_template();

    t.common_name = "key-service";
    assert_not_issued(t, NEO_INVALID_ARGUMENT, "common name");
    t.common_name = SERVICE;
    t.uri = "spiffe://neo.test";
    assert_not_issued(t, NEO_INVALID_ARGUMENT, "a leaf a service's");
    t.uri = "spiffe://neo.test/" SERVICE "/x";
    assert_not_issued(t, NEO_INVALID_ARGUMENT, "");
    t.uri = NULL;
    assert_not_issued(t, NEO_INVALID_ARGUMENT, "");
    t = leaf_template();
    t.dns_names = wildcard;
    assert_not_issued(t, NEO_INVALID_ARGUMENT, "plain host name");
    t.dns_names = odd;
    assert_not_issued(t, NEO_INVALID_ARGUMENT, "plain host name");
    t = leaf_template();
    t.is_ca = true;
    assert_not_issued(t, NEO_INVALID_ARGUMENT, "trust domain's id");
}

TEST(a_ca_has_a_name_that_is_not_its_issuers)
{
    struct neo_cert_template t = ca_template("neo.test root", 0, 10);
    struct neo_error err = {0};

    assert_null(issue(t, leaf_key, ca.root, ca.root_key, &err));
    assert_non_null(strstr(err.message, "issuer's name"));
    t.common_name = NULL;
    assert_null(issue(t, leaf_key, ca.root, ca.root_key, &err));
    assert_non_null(strstr(err.message, "common name"));
}

TEST(a_root_signs_its_own_key)
{
    struct neo_error err = {0};

    assert_null(issue(ca_template("root", 1, 10), leaf_key, NULL, ca.key, &err));
    assert_int_equal(err.code, NEO_INVALID_ARGUMENT);
    assert_null(issue(leaf_template(), leaf_key, NULL, leaf_key, &err));
    assert_int_equal(err.code, NEO_INVALID_ARGUMENT);
}

TEST(keys_of_other_kinds_are_not_certified)
{
    struct neo_cert_template t = leaf_template();
    struct neo_buffer der = {0};

    t.spki = NEO_LIT("\x30\x00");
    assert_int_equal(neo_cert_issue(&t, ca.issuer, ca.key, &der, NULL), NEO_INVALID_ARGUMENT);
    assert_int_equal(der.len, 0);
}

/* --- CRL ----------------------------------------------------------------------------------- */

static X509_CRL *read_crl(const struct neo_buffer *der)
{
    const uint8_t *at = der->at;
    X509_CRL *crl = d2i_X509_CRL(NULL, &at, (long)der->len);

    assert_non_null(crl);
    assert_true(at == der->at + der->len);
    return crl;
}

static X509 *read_x509(struct neo_bytes der)
{
    const uint8_t *at = der.at;

    return d2i_X509(NULL, &at, (long)der.len);
}

TEST(a_crl_tells_other_software_what_is_revoked)
{
    const struct neo_revoked revoked[] = {{NEO_LIT("\x7f\x01\x02"), PKI_NOW - 60},
                                          {NEO_LIT("\x05"), PKI_NOW - 30}};
    struct neo_buffer der = {0};
    X509_REVOKED *entry = NULL;

    assert_int_equal(
        neo_crl_issue(revoked, 2, 42, PKI_NOW, PKI_NOW + 3600, ca.issuer, ca.key, &der, NULL),
        NEO_OK);
    X509_CRL *crl = read_crl(&der);
    X509 *issuer = read_x509(neo_cert_facts(ca.issuer)->der);
    assert_int_equal(X509_CRL_verify(crl, X509_get0_pubkey(issuer)), 1);
    ASN1_INTEGER *serial = ASN1_INTEGER_new();
    assert_int_equal(ASN1_INTEGER_set_uint64(serial, 0x7f0102), 1);
    assert_int_equal(X509_CRL_get0_by_serial(crl, &entry, serial), 1);
    assert_int_equal(ASN1_INTEGER_set_uint64(serial, 0x7f0103), 1);
    assert_int_equal(X509_CRL_get0_by_serial(crl, &entry, serial), 0);
    ASN1_INTEGER *number = X509_CRL_get_ext_d2i(crl, NID_crl_number, NULL, NULL);
    assert_int_equal(ASN1_INTEGER_get(number), 42);
    ASN1_INTEGER_free(number);
    ASN1_INTEGER_free(serial);
    X509_free(issuer);
    X509_CRL_free(crl);
    neo_buffer_fini(&der);
}

TEST(a_crl_may_be_empty_but_not_nonsense)
{
    const struct neo_revoked none = {{NULL, 0}, PKI_NOW};
    struct neo_buffer der = {0};

    assert_int_equal(neo_crl_issue(NULL, 0, 1, PKI_NOW, PKI_NOW + 1, ca.issuer, ca.key, &der, NULL),
                     NEO_OK);
    neo_buffer_clear(&der);
    assert_int_equal(
        neo_crl_issue(&none, 1, 1, PKI_NOW, PKI_NOW + 1, ca.issuer, ca.key, &der, NULL),
        NEO_INVALID_ARGUMENT);
    assert_int_equal(neo_crl_issue(NULL, 0, 1, PKI_NOW, PKI_NOW, ca.issuer, ca.key, &der, NULL),
                     NEO_INVALID_ARGUMENT);
    assert_int_equal(
        neo_crl_issue(NULL, 0, 1, PKI_NOW, PKI_NOW + 1, ca.issuer, leaf_key, &der, NULL),
        NEO_FAILED_PRECONDITION);
    assert_int_equal(der.len, 0);
    neo_buffer_fini(&der);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_issued_leaf_is_accepted_and_says_what_the_template_said),
        cmocka_unit_test(a_leaf_needs_no_subject),
        cmocka_unit_test(a_serial_is_positive_whatever_its_top_bit),
        cmocka_unit_test(a_serial_nobody_chose_is_refused),
        cmocka_unit_test(a_leaf_cannot_outlive_its_issuer),
        cmocka_unit_test(impossible_times_are_refused),
        cmocka_unit_test(the_issuers_own_key_is_never_certified),
        cmocka_unit_test(a_key_that_is_not_the_issuers_cannot_sign),
        cmocka_unit_test(an_issuer_speaks_only_for_its_own_trust_domain),
        cmocka_unit_test(a_leaf_can_issue_nothing),
        cmocka_unit_test(the_path_length_of_the_issuer_is_kept),
        cmocka_unit_test(names_that_do_not_fit_are_refused),
        cmocka_unit_test(a_ca_has_a_name_that_is_not_its_issuers),
        cmocka_unit_test(a_root_signs_its_own_key),
        cmocka_unit_test(keys_of_other_kinds_are_not_certified),
        cmocka_unit_test(a_crl_tells_other_software_what_is_revoked),
        cmocka_unit_test(a_crl_may_be_empty_but_not_nonsense),
    };
    return cmocka_run_group_tests_name("crypto/issue", tests, set_up, tear_down);
}
