/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "support/cost.h"
#include "support/pki.h"

#include <neo/cert.h>

#include <string.h>

#define SERVICE "function-service"
#define URI     "spiffe://neo.test/" SERVICE

static struct pki *pki;

static int make_pki(void **state __attribute__((unused)))
{
    pki = pki_new("neo.test");
    return 0;
}

static int free_pki(void **state __attribute__((unused)))
{
    pki_free(pki);
    return 0;
}

static struct neo_bytes make(const struct pki_options *options)
{
    return pki_der(pki_make(pki, pki_issuer(pki), SERVICE, options));
}

static struct neo_cert *parse(struct neo_bytes der)
{
    struct neo_cert *cert = NULL;
    struct neo_error err = {0};

    if (neo_cert_from_der(der, "test", &cert, &err) != NEO_OK)
        fail_msg("%s", err.message);
    return cert;
}

static void assert_says(const struct neo_error *err, const char *reason)
{
    if (strstr(err->message, reason) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err->message, reason);
}

/* The certificate is well formed, but not a leaf of the profile, for this reason and no other. */
static void assert_no_leaf(const struct pki_options *options, const char *reason)
{
    struct neo_cert *cert = parse(make(options));
    struct neo_error err;

    assert_int_equal(neo_cert_check_leaf(cert, &err), NEO_UNAUTHENTICATED);
    assert_says(&err, reason);
    neo_cert_unref(cert);
}

static void assert_leaf(const struct pki_options *options)
{
    struct neo_cert *cert = parse(make(options));
    struct neo_error err = {0};

    if (neo_cert_check_leaf(cert, &err) != NEO_OK)
        fail_msg("%s", err.message);
    neo_cert_unref(cert);
}

static void assert_no_cert(const struct pki_options *options, const char *reason)
{
    struct neo_cert *cert = NULL;
    struct neo_error err;

    assert_int_equal(neo_cert_from_der(make(options), "test", &cert, &err), NEO_INVALID_ARGUMENT);
    assert_null(cert);
    assert_says(&err, reason);
}

TEST(the_facts_are_what_was_signed)
{
    const struct pki_options options = {
        .dns = "localhost", .serial = 0x1234, .not_before = 1700000000, .not_after = 1700086400};
    struct neo_bytes der = make(&options);
    struct neo_cert *cert = parse(der);
    const struct neo_cert_facts *f = neo_cert_facts(cert);

    assert_true(neo_bytes_equal(f->der, der));
    assert_true(neo_bytes_is(f->uri, URI));
    assert_true(neo_bytes_is(f->id.trust_domain, "neo.test"));
    assert_true(neo_bytes_is(f->id.service, SERVICE));
    assert_true(neo_bytes_equal(f->serial, NEO_LIT("\x12\x34")));
    assert_true(neo_bytes_equal(f->issuer_key_id, pki_key_id(pki_issuer(pki))));
    assert_string_equal(f->subject, "CN=" SERVICE);
    assert_string_equal(f->issuer, "CN=test issuing CA");
    assert_string_equal(f->key_kind, "ECDSA P-256");
    assert_int_equal(f->not_before, 1700000000);
    assert_int_equal(f->not_after, 1700086400);
    assert_int_equal(f->dns_names, 1);
    assert_string_equal(f->dns_name[0], "localhost");
    assert_false(f->is_ca);
    assert_int_equal(f->spki.len, 91);
    neo_cert_unref(cert);
}

TEST(a_certificate_comes_back_from_its_pem_the_same)
{
    struct neo_cert *cert = parse(make(NULL)), *back = NULL;
    struct neo_buffer pem = {0};

    assert_true(neo_buffer_append_text(&pem, "subject=whatever\n"));
    assert_true(neo_cert_to_pem(cert, &pem));
    assert_int_equal(neo_cert_from_pem(neo_buffer_bytes(&pem), "cert.pem", &back, NULL), NEO_OK);
    assert_true(neo_bytes_equal(neo_cert_facts(cert)->der, neo_cert_facts(back)->der));
    neo_cert_unref(back);
    neo_cert_unref(cert);
    assert_int_equal(neo_cert_from_pem(NEO_LIT("no pem"), "cert.pem", &back, NULL), NEO_NOT_FOUND);
    neo_buffer_fini(&pem);
}

TEST(a_good_leaf_fits_the_profile)
{
    static const char *const keys[] = {"P-256", "P-384", "ED25519"};

    for (size_t i = 0; i < NEO_COUNT(keys); i++)
        assert_leaf(&(struct pki_options){.key = keys[i]});
    assert_leaf(&(struct pki_options){.dns = "localhost,DNS:function-service.neo.test"});
    assert_leaf(&(struct pki_options){.subject = "", .san = "critical,URI:" URI});
    assert_leaf(&(struct pki_options){.basic_constraints = ""}); /* absent means no CA */
    assert_leaf(&(struct pki_options){.extended_key_usage = "serverAuth,clientAuth,codeSigning"});
}

/* X01 */
TEST(a_nul_in_a_uri_is_no_certificate)
{
    /* spiffe://neo.test/a NUL b */
    assert_no_cert(&(struct pki_options){.san = "DER:30:17:86:15:73:70:69:66:66:65:3a:2f:2f:6e:65:"
                                                "6f:2e:74:65:73:74:2f:61:00:62"},
                   "unprintable");
}

TEST(a_nul_in_a_dns_name_is_no_certificate)
{
    assert_no_cert(&(struct pki_options){.san = "DER:30:05:82:03:61:00:62"}, "unprintable");
}

TEST(a_nul_in_the_common_name_contradicts_the_uri)
{
    struct neo_bytes der = make(NULL);
    struct neo_buffer copy = {0};
    struct neo_error err;

    /* The subject stands after the issuer; its last letter becomes a NUL. */
    assert_true(neo_buffer_append(&copy, der));
    uint8_t *name = memmem(copy.at, copy.len, SERVICE, sizeof(SERVICE) - 1);
    assert_non_null(name);
    name[sizeof(SERVICE) - 2] = 0;
    struct neo_cert *cert = parse(neo_buffer_bytes(&copy));
    assert_int_equal(neo_cert_check_leaf(cert, &err), NEO_UNAUTHENTICATED);
    assert_says(&err, "common name");
    neo_cert_unref(cert);
    neo_buffer_fini(&copy);
}

/* X02 */
TEST(a_common_name_that_contradicts_the_uri_is_refused)
{
    assert_no_leaf(&(struct pki_options){.subject = "key-service"}, "common name");
    assert_no_leaf(&(struct pki_options){.subject = URI}, "common name");
}

TEST(several_common_names_are_refused)
{
    assert_no_leaf(&(struct pki_options){.second_common_name = "key-service"}, "common name");
    assert_no_leaf(&(struct pki_options){.second_common_name = SERVICE}, "common name");
}

TEST(a_common_name_is_no_substitute_for_a_uri)
{
    assert_no_leaf(&(struct pki_options){.san = ""}, "exactly one URI");
    assert_no_leaf(&(struct pki_options){.san = "DNS:" SERVICE}, "exactly one URI");
}

TEST(a_uri_in_another_name_type_is_refused)
{
    assert_no_leaf(&(struct pki_options){.san = "DNS:" URI}, "exactly one URI");
    assert_no_leaf(&(struct pki_options){.san = "URI:" URI ",DNS:spiffe://neo.test/key-service"},
                   "DNS names");
    assert_no_leaf(&(struct pki_options){.san = "URI:" URI ",email:a@spiffe"}, "URI and DNS names");
    assert_no_leaf(&(struct pki_options){.san = "URI:" URI ",IP:127.0.0.1"}, "URI and DNS names");
    assert_no_leaf(&(struct pki_options){.san = "URI:" URI ",otherName:1.2.3.4;UTF8:" URI},
                   "URI and DNS names");
}

/* X03 */
TEST(two_uris_are_refused_in_either_order)
{
    assert_no_leaf(&(struct pki_options){.san = "URI:" URI ",URI:spiffe://neo.test/key-service"},
                   "exactly one URI");
    assert_no_leaf(&(struct pki_options){.san = "URI:spiffe://neo.test/key-service,URI:" URI},
                   "exactly one URI");
    assert_no_leaf(&(struct pki_options){.san = "URI:" URI ",URI:" URI}, "exactly one URI");
    assert_no_leaf(&(struct pki_options){.san = "URI:" URI ",URI:https://neo.test/"},
                   "exactly one URI");
}

TEST(each_of_several_uris_can_be_read)
{
    struct neo_cert *cert =
        parse(make(&(struct pki_options){.san = "URI:urn:a,DNS:b,URI:urn:c,DNS:d"}));
    struct neo_cert *none = parse(make(&(struct pki_options){.san = ""}));

    assert_string_equal(neo_cert_uri(cert, 0), "urn:a");
    assert_string_equal(neo_cert_uri(cert, 1), "urn:c");
    assert_null(neo_cert_uri(cert, 2));
    assert_null(neo_cert_uri(cert, SIZE_MAX));
    assert_null(neo_cert_uri(none, 0));
    assert_int_equal(neo_cert_facts(cert)->uri.len, 0);
    assert_string_equal(neo_cert_facts(cert)->dns_name[1], "d");
    neo_cert_unref(none);
    neo_cert_unref(cert);
}

/* X04, X05: refused, never normalised. */
TEST(odd_uris_are_refused)
{
    static const char *const odd[] = {
        "URI:https://neo.test/" SERVICE,
        "URI:SPIFFE://neo.test/" SERVICE,
        "URI:spiffe://NEO.test/" SERVICE,
        "URI:spiffe://neo.test/",
        "URI:spiffe://neo.test",
        "URI:spiffe:///" SERVICE,
        "URI:spiffe://neo.test:443/" SERVICE,
        "URI:spiffe://u@neo.test/" SERVICE,
        "URI:spiffe://%6eeo.test/" SERVICE,
        "URI:spiffe://neo.test/a/../" SERVICE,
        "URI:spiffe://neo.test/./" SERVICE,
        "URI:spiffe://neo.test//" SERVICE,
        "URI:spiffe://neo.test/" SERVICE "/",
        "URI:spiffe://neo.test/a/" SERVICE,
        "URI:spiffe://neo.test/" SERVICE "?a=b",
        "URI:spiffe://neo.test/" SERVICE "#a",
        "URI:spiffe://neo.test/*",
        "URI:spiffe://*.test/" SERVICE,
        "URI:spiffe://neo.test/Function-Service",
    };

    for (size_t i = 0; i < NEO_COUNT(odd); i++)
        assert_no_leaf(&(struct pki_options){.san = odd[i]}, "URI name must be");
}

TEST(bytes_beyond_ascii_in_a_uri_are_no_certificate)
{
    assert_no_cert(&(struct pki_options){.san = "DER:30:04:86:02:c3:a9"}, "unprintable");
    assert_no_cert(&(struct pki_options){.san = "DER:30:04:86:02:61:0a"}, "unprintable");
    assert_no_cert(&(struct pki_options){.san = "DER:30:02:86:00"}, "unprintable");
}

TEST(wildcard_dns_names_are_refused)
{
    assert_no_leaf(&(struct pki_options){.san = "URI:" URI ",DNS:*.neo.test"}, "DNS names");
}

/* X06 */
TEST(a_ca_is_no_leaf)
{
    assert_no_leaf(&(struct pki_options){.basic_constraints = "critical,CA:TRUE"}, "not be a CA");
    assert_no_leaf(&(struct pki_options){.basic_constraints = "CA:TRUE,pathlen:0",
                                         .key_usage = "critical,digitalSignature,keyCertSign"},
                   "not be a CA");
    assert_no_leaf(&(struct pki_options){.is_ca = true}, "URI name must be");
}

TEST(a_leaf_must_have_critical_key_usage_for_signing_only)
{
    assert_no_leaf(&(struct pki_options){.key_usage = ""}, "keyUsage must be present");
    assert_no_leaf(&(struct pki_options){.key_usage = "digitalSignature"}, "keyUsage must be");
    assert_no_leaf(&(struct pki_options){.key_usage = "critical,keyAgreement"},
                   "keyUsage must be digitalSignature");
    assert_no_leaf(&(struct pki_options){.key_usage = "critical,digitalSignature,cRLSign"},
                   "keyUsage must be digitalSignature");
}

TEST(a_leaf_with_certificate_signing_is_refused)
{
    assert_no_leaf(&(struct pki_options){.key_usage = "critical,digitalSignature,keyCertSign",
                                         .basic_constraints = "critical,CA:FALSE"},
                   "keyUsage must be digitalSignature");
}

TEST(a_leaf_must_be_for_servers_and_clients)
{
    assert_no_leaf(&(struct pki_options){.extended_key_usage = ""}, "extendedKeyUsage");
    assert_no_leaf(&(struct pki_options){.extended_key_usage = "serverAuth"}, "extendedKeyUsage");
    assert_no_leaf(&(struct pki_options){.extended_key_usage = "clientAuth"}, "extendedKeyUsage");
    assert_no_leaf(&(struct pki_options){.extended_key_usage = "codeSigning"}, "extendedKeyUsage");
    assert_no_leaf(&(struct pki_options){.extended_key_usage = "anyExtendedKeyUsage"},
                   "extendedKeyUsage");
    assert_no_leaf(
        &(struct pki_options){.extended_key_usage = "serverAuth,clientAuth,anyExtendedKeyUsage"},
        "must not be any");
}

TEST(keys_of_other_kinds_are_refused)
{
    assert_no_leaf(&(struct pki_options){.key = "RSA-2048"}, "key must be");
    assert_no_leaf(&(struct pki_options){.key = "P-521"}, "key must be");
    assert_no_leaf(&(struct pki_options){.key = "secp256k1"}, "key must be");
}

/* T05, CVE-2022-0778 */
TEST(explicit_curve_parameters_are_refused)
{
    assert_no_leaf(&(struct pki_options){.key = "P-256 explicit"}, "key must be");
}

TEST(a_leaf_must_say_who_issued_it)
{
    assert_no_leaf(&(struct pki_options){.authority_key_id = ""}, "authority key identifier");
}

TEST(a_leaf_asks_nobody_to_judge_policies)
{
    assert_no_leaf(&(struct pki_options){.policy_constraints = "requireExplicitPolicy:0"},
                   "must neither map nor constrain policies");
    assert_no_leaf(&(struct pki_options){.policy_mappings = "1.3.1:1.3.2"},
                   "must neither map nor constrain policies");
}

TEST(an_old_certificate_version_is_refused)
{
    assert_no_leaf(&(struct pki_options){.version_1 = true}, "version 3");
}

/* X09 */
TEST(times_are_exact_over_all_of_their_range)
{
    static const int64_t instants[] = {0, 951782400 /* 2000-02-29 */,
                                       2524607999 /* the last UTCTime */, 2524608000,
                                       253402300799 /* the last second of 9999 */};

    for (size_t i = 0; i < NEO_COUNT(instants) - 1; i++) {
        struct neo_cert *cert = parse(make(&(struct pki_options){
            .not_before = instants[i] == 0 ? 1 : instants[i], .not_after = instants[i + 1]}));
        assert_int_equal(neo_cert_facts(cert)->not_before, instants[i] == 0 ? 1 : instants[i]);
        assert_int_equal(neo_cert_facts(cert)->not_after, instants[i + 1]);
        neo_cert_unref(cert);
    }
}

static void assert_bad_time(const char *time)
{
    static const struct pki_options options = {.not_before = 1700000000}; /* 231114221320Z */
    struct neo_buffer copy = {0};
    struct neo_cert *cert = NULL;

    assert_true(neo_buffer_append(&copy, make(&options)));
    uint8_t *at = memmem(copy.at, copy.len, "231114221320Z", 13);
    assert_non_null(at);
    memcpy(at, time, 13);
    assert_int_equal(neo_cert_from_der(neo_buffer_bytes(&copy), "test", &cert, NULL),
                     NEO_INVALID_ARGUMENT);
    neo_buffer_fini(&copy);
}

TEST(times_in_any_other_form_are_refused)
{
    assert_bad_time("2311142213200");
    assert_bad_time("231114221360Z");
    assert_bad_time("231114241320Z");
    assert_bad_time("230229221320Z");
    assert_bad_time("231314221320Z");
    assert_bad_time("230014221320Z");
    assert_bad_time("231100221320Z");
    assert_bad_time("23111422132\0Z");
    assert_bad_time("2311142213+0Z");
}

TEST(a_truncated_certificate_is_refused_at_every_byte)
{
    struct neo_bytes der = make(NULL);
    struct neo_cert *cert = NULL;

    for (size_t n = 0; n < der.len; n++)
        assert_int_equal(neo_cert_from_der(neo_bytes(der.at, n), "test", &cert, NULL),
                         NEO_INVALID_ARGUMENT);
    assert_null(cert);
}

TEST(a_certificate_with_something_behind_it_is_refused)
{
    struct neo_buffer longer = {0};
    struct neo_cert *cert = NULL;

    assert_true(neo_buffer_append(&longer, make(NULL)));
    assert_true(neo_buffer_append_byte(&longer, 0));
    assert_int_equal(neo_cert_from_der(neo_buffer_bytes(&longer), "test", &cert, NULL),
                     NEO_INVALID_ARGUMENT);
    neo_buffer_fini(&longer);
}

/* Found by fuzzing: OpenSSL would read it, and write it back as other bytes. */
TEST(a_signature_with_unused_bits_is_refused)
{
    struct neo_buffer copy = {0};
    struct neo_cert *cert = NULL;

    assert_true(neo_buffer_append(&copy, make(NULL)));
    uint8_t *bits = memrchr(copy.at, 0x03, copy.len - 70); /* the BIT STRING that ends it */
    while (bits != NULL && (bits[2] != 0 || bits[1] != copy.at + copy.len - bits - 2))
        bits = memrchr(copy.at, 0x03, (size_t)(bits - copy.at));
    assert_non_null(bits);
    bits[2] = 5;
    assert_int_equal(neo_cert_from_der(neo_buffer_bytes(&copy), "test", &cert, NULL),
                     NEO_INVALID_ARGUMENT);
    neo_buffer_fini(&copy);
}

/* Nothing that one flipped bit makes of a certificate may crash; under the sanitizers this bites.
 */
TEST(no_changed_bit_does_harm)
{
    struct neo_buffer copy = {0};

    assert_true(neo_buffer_append(&copy, make(&(struct pki_options){.dns = "localhost"})));
    for (size_t bit = 0; bit < 8 * copy.len; bit++) {
        struct neo_cert *cert = NULL;

        copy.at[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (neo_cert_from_der(neo_buffer_bytes(&copy), "test", &cert, NULL) == NEO_OK)
            (void)!neo_cert_check_leaf(cert, NULL);
        neo_cert_unref(cert);
        copy.at[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    neo_buffer_fini(&copy);
}

TEST(a_serial_of_more_than_twenty_bytes_is_refused)
{
    static const uint8_t serial_of_two[] = {0xa0, 0x03, 0x02, 0x01, 0x02, 0x02, 0x02, 0x12, 0x34};
    struct neo_bytes der = make(&(struct pki_options){.serial = 0x1234});
    const uint8_t *at = memmem(der.at, der.len, serial_of_two, sizeof(serial_of_two));
    struct neo_buffer longer = {0};
    struct neo_cert *cert = NULL;
    struct neo_error err;

    assert_non_null(at);
    at += 6; /* the length of the serial, which grows to 21 bytes: outer lengths by 19 */
    assert_true(neo_buffer_append(&longer, neo_bytes(der.at, (size_t)(at - der.at))));
    assert_true(neo_buffer_append(
        &longer, NEO_LIT("\x15\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10"
                         "\x11\x12\x13\x14\x15")));
    assert_true(neo_buffer_append(&longer, neo_bytes(at + 3, (size_t)(der.at + der.len - at - 3))));
    longer.at[3] = (uint8_t)(longer.at[3] + 19);
    longer.at[7] = (uint8_t)(longer.at[7] + 19);
    assert_int_equal(neo_cert_from_der(neo_buffer_bytes(&longer), "test", &cert, &err),
                     NEO_INVALID_ARGUMENT);
    assert_says(&err, "serial");
    neo_buffer_fini(&longer);
}

/* The least of three: what a neighbour has pushed out of the caches is not the certificate's cost.
 */
static double milliseconds_to_refuse(struct neo_bytes der)
{
    struct neo_cert *cert = NULL;
    double least = 1e9;

    for (int i = 0; i < 3; i++) {
        double start = cost_now();
        assert_int_equal(neo_cert_from_der(der, "bomb", &cert, NULL), NEO_INVALID_ARGUMENT);
        double spent = cost_now() - start;
        least = spent < least ? spent : least;
    }
    return least;
}

/* T05 */
TEST(certificate_bombs_cost_next_to_nothing)
{
    struct neo_buffer names = {0};

    assert_true(neo_buffer_append_text(&names, "URI:" URI));
    for (int i = 0; i < 1500; i++)
        assert_true(neo_buffer_printf(&names, ",DNS:a%d", i));
    assert_true(neo_buffer_append_byte(&names, 0));
    struct neo_bytes many = make(&(struct pki_options){.san = (const char *)names.at});
    assert_true(many.len < 16 << 10); /* so that it is the number of names that is refused */
    assert_true(milliseconds_to_refuse(many) < 2 * COST_SLACK);
    neo_buffer_clear(&names);
    for (int i = 0; i < 10000; i++)
        assert_true(neo_buffer_printf(&names, "%sDNS:a%d", i == 0 ? "" : ",", i));
    assert_true(neo_buffer_append_byte(&names, 0));
    assert_true(milliseconds_to_refuse(make(&(struct pki_options){.san = (const char *)names.at})) <
                2 * COST_SLACK);
    neo_buffer_fini(&names);
}

static double milliseconds_to_refuse_leaf(struct neo_bytes der)
{
    double start = cost_now();
    struct neo_cert *cert = parse(der);

    assert_int_equal(neo_cert_check_leaf(cert, NULL), NEO_UNAUTHENTICATED);
    neo_cert_unref(cert);
    return cost_now() - start;
}

/* The public key of an RSA-16384, its modulus not even a product of two primes. */
static struct neo_buffer huge_rsa(void)
{
    static const uint8_t head[] = {0x30, 0x82, 0x08, 0x22, 0x30, 0x0d, 0x06, 0x09, 0x2a,
                                   0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05,
                                   0x00, 0x03, 0x82, 0x08, 0x0f, 0x00, 0x30, 0x82, 0x08,
                                   0x0a, 0x02, 0x82, 0x08, 0x01, 0x00};
    struct neo_buffer spki = {0};
    uint8_t modulus[2048];

    memset(modulus, 0xff, sizeof(modulus));
    assert_true(neo_buffer_append(&spki, neo_bytes(head, sizeof(head))));
    assert_true(neo_buffer_append(&spki, neo_bytes(modulus, sizeof(modulus))));
    assert_true(neo_buffer_append(&spki, NEO_LIT("\x02\x03\x01\x00\x01")));
    return spki;
}

TEST(expensive_keys_are_refused_cheaply)
{
    struct neo_buffer spki = huge_rsa();
    struct neo_bytes huge =
        make(&(struct pki_options){.spki = spki.at, .spki_len = spki.len, .subject_key_id = ""});
    struct neo_cert *cert = parse(huge);

    assert_string_equal(neo_cert_facts(cert)->key_kind, "RSA-16384");
    neo_cert_unref(cert);
    assert_true(milliseconds_to_refuse_leaf(huge) < 2 * COST_SLACK);
    assert_true(milliseconds_to_refuse_leaf(make(&(struct pki_options){.key = "P-256 explicit"})) <
                2 * COST_SLACK);
    neo_buffer_fini(&spki);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_facts_are_what_was_signed),
        cmocka_unit_test(a_certificate_comes_back_from_its_pem_the_same),
        cmocka_unit_test(a_good_leaf_fits_the_profile),
        cmocka_unit_test(a_nul_in_a_uri_is_no_certificate),
        cmocka_unit_test(a_nul_in_a_dns_name_is_no_certificate),
        cmocka_unit_test(a_nul_in_the_common_name_contradicts_the_uri),
        cmocka_unit_test(a_common_name_that_contradicts_the_uri_is_refused),
        cmocka_unit_test(several_common_names_are_refused),
        cmocka_unit_test(a_common_name_is_no_substitute_for_a_uri),
        cmocka_unit_test(a_uri_in_another_name_type_is_refused),
        cmocka_unit_test(two_uris_are_refused_in_either_order),
        cmocka_unit_test(each_of_several_uris_can_be_read),
        cmocka_unit_test(odd_uris_are_refused),
        cmocka_unit_test(bytes_beyond_ascii_in_a_uri_are_no_certificate),
        cmocka_unit_test(wildcard_dns_names_are_refused),
        cmocka_unit_test(a_ca_is_no_leaf),
        cmocka_unit_test(a_leaf_must_have_critical_key_usage_for_signing_only),
        cmocka_unit_test(a_leaf_with_certificate_signing_is_refused),
        cmocka_unit_test(a_leaf_must_be_for_servers_and_clients),
        cmocka_unit_test(keys_of_other_kinds_are_refused),
        cmocka_unit_test(explicit_curve_parameters_are_refused),
        cmocka_unit_test(a_leaf_must_say_who_issued_it),
        cmocka_unit_test(a_leaf_asks_nobody_to_judge_policies),
        cmocka_unit_test(an_old_certificate_version_is_refused),
        cmocka_unit_test(times_are_exact_over_all_of_their_range),
        cmocka_unit_test(times_in_any_other_form_are_refused),
        cmocka_unit_test(a_truncated_certificate_is_refused_at_every_byte),
        cmocka_unit_test(a_certificate_with_something_behind_it_is_refused),
        cmocka_unit_test(a_signature_with_unused_bits_is_refused),
        cmocka_unit_test(no_changed_bit_does_harm),
        cmocka_unit_test(a_serial_of_more_than_twenty_bytes_is_refused),
        cmocka_unit_test(certificate_bombs_cost_next_to_nothing),
        cmocka_unit_test(expensive_keys_are_refused_cheaply),
    };
    return cmocka_run_group_tests_name("crypto/cert", tests, make_pki, free_pki);
}
