/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "support/cost.h"

#include <neo/cert.h>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>

/* What a requester may wish for; {0} wishes for nothing. */
struct wish {
    const char *common_name;
    bool many_names;
    const char *san;
    bool ca;
};

static void add_wish(STACK_OF(X509_EXTENSION) * extensions, int nid, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_nconf_nid(NULL, NULL, nid, value);

    assert_non_null(extension);
    assert_true(sk_X509_EXTENSION_push(extensions, extension) > 0);
}

static void add_wishes(X509_REQ *request, const struct wish *wish)
{
    STACK_OF(X509_EXTENSION) *extensions = sk_X509_EXTENSION_new_null();

    if (wish->san != NULL)
        add_wish(extensions, NID_subject_alt_name, wish->san);
    if (wish->ca) {
        add_wish(extensions, NID_basic_constraints, "critical,CA:TRUE");
        add_wish(extensions, NID_key_usage, "critical,keyCertSign,cRLSign");
        add_wish(extensions, NID_ext_key_usage, "anyExtendedKeyUsage");
        add_wish(extensions, NID_netscape_cert_type, "sslCA");
    }
    if (sk_X509_EXTENSION_num(extensions) > 0)
        assert_int_equal(X509_REQ_add_extensions(request, extensions), 1);
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
}

static void add_name(X509_REQ *request, const char *text)
{
    assert_int_equal(X509_NAME_add_entry_by_NID(X509_REQ_get_subject_name(request), NID_commonName,
                                                MBSTRING_UTF8, (const uint8_t *)text, -1, -1, 0),
                     1);
}

/* A request by OpenSSL for `key`, signed with `signer`. */
static struct neo_buffer request_of(EVP_PKEY *key, EVP_PKEY *signer, const EVP_MD *digest,
                                    const struct wish *wish)
{
    X509_REQ *request = X509_REQ_new();
    struct neo_buffer der = {0};
    uint8_t *at = NULL;

    add_name(request, wish->common_name == NULL ? "someone" : wish->common_name);
    if (wish->many_names)
        add_name(request, "key-service");
    assert_int_equal(X509_REQ_set_pubkey(request, key), 1);
    add_wishes(request, wish);
    assert_true(X509_REQ_sign(request, signer, digest) > 0);
    int len = i2d_X509_REQ(request, &at);
    assert_true(len > 0 && neo_buffer_append(&der, neo_bytes(at, (size_t)len)));
    OPENSSL_free(at);
    X509_REQ_free(request);
    return der;
}

static struct neo_buffer own_request(EVP_PKEY *key, const EVP_MD *digest, const struct wish *wish)
{
    struct neo_buffer der = request_of(key, key, digest, wish);

    EVP_PKEY_free(key);
    return der;
}

static void assert_refused(struct neo_bytes der, enum neo_code code, const char *reason)
{
    struct neo_buffer spki = {0};
    struct neo_error err;

    assert_int_equal(neo_csr_check(der, &spki, &err), code);
    assert_int_equal(spki.len, 0);
    if (strstr(err.message, reason) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err.message, reason);
}

static void assert_request_refused(struct neo_buffer der, enum neo_code code, const char *reason)
{
    assert_refused(neo_buffer_bytes(&der), code, reason);
    neo_buffer_fini(&der);
}

static struct neo_buffer good_request(struct neo_key **ret_key)
{
    struct neo_buffer der = {0};

    assert_int_equal(neo_key_generate(NEO_KEY_P256, ret_key, NULL), NEO_OK);
    assert_int_equal(neo_csr_create(*ret_key, "function-service", &der, NULL), NEO_OK);
    return der;
}

TEST(only_the_public_key_comes_out)
{
    static const enum neo_key_kind kinds[] = {NEO_KEY_P256, NEO_KEY_P384, NEO_KEY_ED25519};

    for (size_t i = 0; i < NEO_COUNT(kinds); i++) {
        struct neo_key *key = NULL;
        struct neo_buffer der = {0}, spki = {0}, want = {0};

        assert_int_equal(neo_key_generate(kinds[i], &key, NULL), NEO_OK);
        assert_int_equal(neo_csr_create(key, "function-service", &der, NULL), NEO_OK);
        assert_int_equal(neo_csr_check(neo_buffer_bytes(&der), &spki, NULL), NEO_OK);
        assert_int_equal(neo_key_spki(key, &want, NULL), NEO_OK);
        assert_true(neo_bytes_equal(neo_buffer_bytes(&spki), neo_buffer_bytes(&want)));
        neo_buffer_fini(&der);
        neo_buffer_fini(&spki);
        neo_buffer_fini(&want);
        neo_key_unref(key);
    }
}

TEST(requests_of_other_tools_are_accepted_with_any_sha2)
{
    const struct wish none = {0};
    struct neo_buffer spki = {0};
    struct neo_buffer requests[] = {
        own_request(EVP_EC_gen("P-256"), EVP_sha256(), &none),
        own_request(EVP_EC_gen("P-256"), EVP_sha512(), &none),
        own_request(EVP_EC_gen("P-384"), EVP_sha256(), &none),
        own_request(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), NULL, &none),
    };

    for (size_t i = 0; i < NEO_COUNT(requests); i++) {
        assert_int_equal(neo_csr_check(neo_buffer_bytes(&requests[i]), &spki, NULL), NEO_OK);
        neo_buffer_fini(&requests[i]);
    }
    neo_buffer_fini(&spki);
}

/* C01: whatever a request wishes for, the answer is its key and nothing else. */
TEST(wishes_for_names_and_powers_are_not_read)
{
    const struct wish wishes[] = {
        {.san = "URI:spiffe://neo.test/key-service,DNS:key-service,IP:127.0.0.1,email:a@b"},
        {.ca = true},
        {.common_name = "key-service\n/CN=root"},
        {.common_name = "someone", .many_names = true},
    };

    for (size_t i = 0; i < NEO_COUNT(wishes); i++) {
        EVP_PKEY *key = EVP_EC_gen("P-256");
        struct neo_buffer der = request_of(key, key, EVP_sha256(), &wishes[i]), spki = {0};
        uint8_t *want = NULL;
        int len = i2d_PUBKEY(key, &want);

        assert_int_equal(neo_csr_check(neo_buffer_bytes(&der), &spki, NULL), NEO_OK);
        assert_true(neo_bytes_equal(neo_buffer_bytes(&spki), neo_bytes(want, (size_t)len)));
        OPENSSL_free(want);
        EVP_PKEY_free(key);
        neo_buffer_fini(&der);
        neo_buffer_fini(&spki);
    }
}

TEST(a_signature_by_another_key_proves_nothing)
{
    const struct wish none = {0};
    EVP_PKEY *key = EVP_EC_gen("P-256"), *other = EVP_EC_gen("P-256");

    assert_request_refused(request_of(key, other, EVP_sha256(), &none), NEO_UNAUTHENTICATED,
                           "does not fit");
    EVP_PKEY_free(key);
    EVP_PKEY_free(other);
}

/* C02, C04: no bit of a request may change and no byte be missing or left over. */
TEST(any_changed_bit_is_refused)
{
    struct neo_key *key = NULL;
    struct neo_buffer der = good_request(&key), spki = {0};

    for (size_t bit = 0; bit < 8 * der.len; bit++) {
        der.at[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_not_equal(neo_csr_check(neo_buffer_bytes(&der), &spki, NULL), NEO_OK);
        der.at[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_int_equal(spki.len, 0);
    neo_buffer_fini(&der);
    neo_key_unref(key);
}

TEST(a_truncated_or_longer_request_is_refused)
{
    struct neo_key *key = NULL;
    struct neo_buffer der = good_request(&key);

    for (size_t n = 0; n < der.len; n++)
        assert_refused(neo_bytes(der.at, n), NEO_INVALID_ARGUMENT, "not a PKCS#10 request");
    assert_true(neo_buffer_append_byte(&der, 0));
    assert_refused(neo_buffer_bytes(&der), NEO_INVALID_ARGUMENT, "not a PKCS#10 request");
    neo_buffer_fini(&der);
    neo_key_unref(key);
}

TEST(weak_digests_and_foreign_paddings_are_refused)
{
    const struct wish none = {0};

    assert_request_refused(own_request(EVP_EC_gen("P-256"), EVP_sha1(), &none),
                           NEO_INVALID_ARGUMENT, "too weak");
    assert_request_refused(own_request(EVP_EC_gen("P-256"), EVP_sha224(), &none),
                           NEO_INVALID_ARGUMENT, "too weak");
    assert_request_refused(own_request(EVP_EC_gen("P-256"), EVP_sha3_256(), &none),
                           NEO_INVALID_ARGUMENT, "too weak");
}

/* C03 */
TEST(keys_of_other_kinds_are_refused)
{
    const struct wish none = {0};

    assert_request_refused(own_request(EVP_RSA_gen(1024), EVP_sha256(), &none),
                           NEO_INVALID_ARGUMENT, "key is not");
    assert_request_refused(own_request(EVP_RSA_gen(2048), EVP_sha256(), &none),
                           NEO_INVALID_ARGUMENT, "key is not");
    assert_request_refused(own_request(EVP_EC_gen("P-192"), EVP_sha256(), &none),
                           NEO_INVALID_ARGUMENT, "key is not");
    assert_request_refused(own_request(EVP_EC_gen("secp256k1"), EVP_sha256(), &none),
                           NEO_INVALID_ARGUMENT, "key is not");
    assert_request_refused(own_request(EVP_EC_gen("P-521"), EVP_sha512(), &none),
                           NEO_INVALID_ARGUMENT, "key is not");
}

TEST(explicit_curve_parameters_are_refused)
{
    const struct wish none = {0};
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    EVP_PKEY *key = NULL;

    assert_int_equal(EVP_PKEY_keygen_init(ctx), 1);
    assert_int_equal(EVP_PKEY_CTX_set_ec_paramgen_curve_nid(ctx, NID_X9_62_prime256v1), 1);
    assert_int_equal(EVP_PKEY_CTX_set_ec_param_enc(ctx, OPENSSL_EC_EXPLICIT_CURVE), 1);
    assert_int_equal(EVP_PKEY_generate(ctx, &key), 1);
    EVP_PKEY_CTX_free(ctx);
    assert_request_refused(own_request(key, EVP_sha256(), &none), NEO_INVALID_ARGUMENT,
                           "key is not");
}

TEST(a_compressed_point_is_refused)
{
    const struct wish none = {0};
    EVP_PKEY *key = EVP_EC_gen("P-256");

    assert_int_equal(EVP_PKEY_set_utf8_string_param(key, "point-format", "compressed"), 1);
    assert_request_refused(own_request(key, EVP_sha256(), &none), NEO_INVALID_ARGUMENT,
                           "key is not");
}

TEST(a_point_off_the_curve_is_refused)
{
    struct neo_key *key = NULL;
    struct neo_buffer der = good_request(&key), spki = {0};

    assert_int_equal(neo_key_spki(key, &spki, NULL), NEO_OK);
    uint8_t *point = memmem(der.at, der.len, spki.at, spki.len);
    assert_non_null(point);
    memset(point + spki.len - 64, 0x5a, 64);
    assert_refused(neo_buffer_bytes(&der), NEO_INVALID_ARGUMENT, "not a point");
    neo_buffer_fini(&der);
    neo_buffer_fini(&spki);
    neo_key_unref(key);
}

TEST(another_version_is_refused)
{
    static const uint8_t first[] = {0x02, 0x01, 0x00}; /* INTEGER 0; it stands at the beginning */
    struct neo_buffer der = own_request(EVP_EC_gen("P-256"), EVP_sha256(), &(struct wish){0});
    uint8_t *version = memmem(der.at, 16, first, sizeof(first));

    /* OpenSSL makes no other. The version is read before the signature, which no longer fits. */
    assert_non_null(version);
    version[2] = 1;
    assert_request_refused(der, NEO_INVALID_ARGUMENT, "not a PKCS#10 request");
}

static double milliseconds_to_refuse(struct neo_bytes der)
{
    struct neo_buffer spki = {0};

    double start = cost_now();

    assert_int_equal(neo_csr_check(der, &spki, NULL), NEO_INVALID_ARGUMENT);
    return cost_now() - start;
}

/* C04 */
TEST(a_request_of_a_mebibyte_is_refused_unread)
{
    struct neo_buffer bomb = {0};

    memset(neo_buffer_reserve(&bomb, 1 << 20), 0x30, 1 << 20);
    bomb.len = 1 << 20;
    assert_refused(neo_buffer_bytes(&bomb), NEO_INVALID_ARGUMENT, "at most 4096");
    assert_true(milliseconds_to_refuse(neo_buffer_bytes(&bomb)) < 1 * COST_SLACK);
    neo_buffer_fini(&bomb);
}

TEST(nests_and_swarms_of_elements_are_refused_quickly)
{
    uint8_t nest[4096], swarm[4096];
    size_t n = 0;

    for (size_t left = sizeof(nest) - 4; left >= 4; left -= 4) {
        const uint8_t set[] = {0x31, 0x82, (uint8_t)(left >> 8), (uint8_t)left};
        if (left < 256)
            break;
        memcpy(nest + n, set, sizeof(set));
        n += sizeof(set);
    }
    memset(swarm, 0, sizeof(swarm));
    memcpy(swarm, "\x30\x82\x0f\xfc", 4);
    for (size_t i = 4; i < sizeof(swarm); i += 2)
        swarm[i] = 0x31;
    assert_true(milliseconds_to_refuse(neo_bytes(nest, sizeof(nest))) < 1 * COST_SLACK);
    assert_true(milliseconds_to_refuse(neo_bytes(swarm, sizeof(swarm))) < 1 * COST_SLACK);
}

TEST(a_request_names_only_a_service)
{
    static const char *const bad[] = {"", "Function", "a/b", "a b", "spiffe://neo.test/a"};
    struct neo_key *key = NULL;
    struct neo_buffer der = good_request(&key);

    neo_buffer_clear(&der);
    for (size_t i = 0; i < NEO_COUNT(bad); i++)
        assert_int_equal(neo_csr_create(key, bad[i], &der, NULL), NEO_INVALID_ARGUMENT);
    assert_int_equal(der.len, 0);
    neo_buffer_fini(&der);
    neo_key_unref(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_public_key_comes_out),
        cmocka_unit_test(requests_of_other_tools_are_accepted_with_any_sha2),
        cmocka_unit_test(wishes_for_names_and_powers_are_not_read),
        cmocka_unit_test(a_signature_by_another_key_proves_nothing),
        cmocka_unit_test(any_changed_bit_is_refused),
        cmocka_unit_test(a_truncated_or_longer_request_is_refused),
        cmocka_unit_test(weak_digests_and_foreign_paddings_are_refused),
        cmocka_unit_test(keys_of_other_kinds_are_refused),
        cmocka_unit_test(explicit_curve_parameters_are_refused),
        cmocka_unit_test(a_compressed_point_is_refused),
        cmocka_unit_test(a_point_off_the_curve_is_refused),
        cmocka_unit_test(another_version_is_refused),
        cmocka_unit_test(a_request_of_a_mebibyte_is_refused_unread),
        cmocka_unit_test(nests_and_swarms_of_elements_are_refused_quickly),
        cmocka_unit_test(a_request_names_only_a_service),
    };
    return cmocka_run_group_tests_name("crypto/csr", tests, NULL, NULL);
}
