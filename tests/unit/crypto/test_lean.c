/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a peer can make OpenSSL do in the middle of a handshake (crypto/lean.h).
 */
#include "../unit.h"

#include "support/pki.h"

#include <crypto/lean.h>
#include <crypto/openssl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <string.h>

#define MESSAGE "what is signed"

static struct pki *pki;

static int set_up(void **state __attribute__((unused)))
{
    pki = pki_new("neo.test");
    return lean_library() == NULL;
}

static int tear_down(void **state __attribute__((unused)))
{
    pki_free(pki);
    return 0;
}

/* The certificate as it is read to be judged. */
static X509 *read_lean(struct neo_bytes der)
{
    X509 *x509 = X509_new_ex(lean_reader(), NULL);
    const uint8_t *at = der.at;

    assert_non_null(x509);
    assert_non_null(d2i_X509(&x509, &at, (long)der.len));
    ERR_clear_error();
    return x509;
}

static bool has_key(struct neo_bytes der)
{
    X509 *x509 = read_lean(der);
    bool has = X509_get0_pubkey(x509) != NULL;

    ERR_clear_error();
    X509_free(x509);
    return has;
}

static bool has_key_of(const char *kind)
{
    const struct pki_options options = {.key = kind};

    return has_key(pki_der(pki_make(pki, pki_issuer(pki), "a-service", &options)));
}

TEST(refuses_keys_outside_the_profile_before_a_parser_sees_them)
{
    assert_false(has_key_of("RSA-2048"));
    assert_false(has_key_of("P-256 explicit"));
    assert_false(has_key_of("P-521"));
    assert_false(has_key_of("secp256k1"));
    assert_true(has_key_of("P-256"));
    assert_true(has_key_of("P-384"));
    assert_true(has_key_of("ED25519"));
}

/* The last byte of the key that is in `der`. */
static uint8_t *key_end(uint8_t *der, size_t len, struct neo_bytes spki)
{
    for (size_t i = 0; i + spki.len <= len; i++)
        if (memcmp(der + i, spki.at, spki.len) == 0)
            return der + i + spki.len - 1;
    fail();
    return NULL;
}

static struct neo_cert *facts_of(struct neo_bytes der)
{
    struct neo_cert *cert = NULL;

    assert_int_equal(neo_cert_from_der(der, "test", &cert, NULL), NEO_OK);
    return cert;
}

TEST(refuses_a_point_that_is_not_on_its_curve)
{
    struct neo_bytes der = pki_der(pki_make(pki, pki_issuer(pki), "a-service", NULL));
    struct neo_cert *cert = facts_of(der);
    uint8_t bent[4096];

    assert_true(has_key(der));
    assert_true(der.len <= sizeof(bent));
    memcpy(bent, der.at, der.len);
    *key_end(bent, der.len, neo_cert_facts(cert)->spki) ^= 1;
    assert_false(has_key(neo_bytes(bent, der.len)));
    assert_true(has_key(der));
    neo_cert_unref(cert);
}

TEST(has_no_algorithm_that_tls_1_3_could_not_use)
{
    OSSL_LIB_CTX *both[] = {lean_library(), lean_reader()};

    for (size_t i = 0; i < NEO_COUNT(both); i++) {
        assert_non_null(both[i]);
        assert_null(EVP_KEYMGMT_fetch(both[i], "RSA", NULL));
        assert_null(EVP_KEYMGMT_fetch(both[i], "DSA", NULL));
        assert_null(EVP_KEYMGMT_fetch(both[i], "DH", NULL));
        assert_null(EVP_SIGNATURE_fetch(both[i], "RSA", NULL));
        assert_null(EVP_MD_fetch(both[i], "MD5", NULL));
        assert_null(EVP_CIPHER_fetch(both[i], "AES-128-CBC", NULL));
    }
    ERR_clear_error();
}

/* So nothing can go on with a certificate that nobody judged. */
TEST(tls_reads_certificates_without_their_keys)
{
    static const char *const kinds[] = {"P-256", "ED25519", "RSA-2048"};

    for (size_t i = 0; i < NEO_COUNT(kinds) && !lean_reads_keys(); i++) {
        const struct pki_options options = {.key = kinds[i]};
        struct neo_bytes der = pki_der(pki_make(pki, pki_issuer(pki), "a-service", &options));
        X509 *x509 = X509_new_ex(lean_library(), NULL);
        assert_non_null(d2i_X509(&x509, &der.at, (long)der.len));
        assert_null(X509_get0_pubkey(x509));
        X509_free(x509);
    }
    ERR_clear_error();
}

/* --- what is remembered -------------------------------------------------------------------- */

static EVP_PKEY *private_key(const struct pki_cert *cert)
{
    struct neo_bytes der = pki_key(cert);
    const uint8_t *at = der.at;
    EVP_PKEY *key = d2i_AutoPrivateKey(NULL, &at, (long)der.len);

    assert_non_null(key);
    return key;
}

static size_t sign(EVP_PKEY *key, uint8_t *ret, size_t room)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key), 1);
    assert_int_equal(EVP_DigestSign(ctx, ret, &room, (const uint8_t *)MESSAGE, strlen(MESSAGE)), 1);
    EVP_MD_CTX_free(ctx);
    return room;
}

static bool verifies(EVP_PKEY *key, const uint8_t *signature, size_t len)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    assert_int_equal(EVP_DigestVerifyInit_ex(ctx, NULL, "SHA256", lean_library(), NULL, key, NULL),
                     1);
    bool good =
        EVP_DigestVerify(ctx, signature, len, (const uint8_t *)MESSAGE, strlen(MESSAGE)) == 1;
    EVP_MD_CTX_free(ctx);
    ERR_clear_error();
    return good;
}

enum { KEYS = 200, TIMES = 3 }; /* more than are remembered, so that some share a place */

TEST(a_key_that_is_remembered_is_never_taken_for_another)
{
    static const struct pki_cert *certs[KEYS];
    static uint8_t signatures[KEYS][80];
    static size_t len[KEYS];

    for (size_t i = 0; i < KEYS; i++) {
        certs[i] = pki_make(pki, pki_issuer(pki), "a-service", NULL);
        EVP_PKEY *key = private_key(certs[i]);
        len[i] = sign(key, signatures[i], sizeof(signatures[i]));
        EVP_PKEY_free(key);
    }
    for (size_t i = 0; i < KEYS * TIMES; i++) {
        X509 *x509 = read_lean(pki_der(certs[i % KEYS]));
        EVP_PKEY *key = X509_get0_pubkey(x509);
        assert_non_null(key);
        assert_true(verifies(key, signatures[i % KEYS], len[i % KEYS]));
        assert_false(verifies(key, signatures[(i + 1) % KEYS], len[(i + 1) % KEYS]));
        X509_free(x509);
    }
}

TEST(a_key_outlives_its_place)
{
    const struct pki_cert *cert = pki_make(pki, pki_issuer(pki), "a-service", NULL);
    EVP_PKEY *private = private_key(cert);
    uint8_t signature[80];
    size_t len = sign(private, signature, sizeof(signature));
    X509 *kept = read_lean(pki_der(cert));

    for (size_t i = 0; i < KEYS; i++)
        assert_true(has_key_of("P-256"));
    assert_true(verifies(X509_get0_pubkey(kept), signature, len));
    X509_free(kept);
    EVP_PKEY_free(private);
}

static void *read_often(void *own)
{
    const struct pki_cert *const *certs = own;

    for (size_t i = 0; i < 300; i++) {
        struct neo_bytes der = pki_der(certs[i % 4]);
        X509 *x509 = X509_new_ex(lean_reader(), NULL);
        const uint8_t *at = der.at;
        if (d2i_X509(&x509, &at, (long)der.len) == NULL || X509_get0_pubkey(x509) == NULL)
            return own;
        X509_free(x509);
    }
    return NULL;
}

/* Under the thread sanitizer this bites. */
TEST(many_threads_read_keys_at_once)
{
    const struct pki_cert *certs[4];
    pthread_t threads[4];
    void *failed = NULL;

    for (size_t i = 0; i < NEO_COUNT(certs); i++)
        certs[i] = pki_make(pki, pki_issuer(pki), "a-service", NULL);
    for (size_t i = 0; i < NEO_COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_often, certs), 0);
    for (size_t i = 0; i < NEO_COUNT(threads); i++) {
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_keys_outside_the_profile_before_a_parser_sees_them),
        cmocka_unit_test(refuses_a_point_that_is_not_on_its_curve),
        cmocka_unit_test(has_no_algorithm_that_tls_1_3_could_not_use),
        cmocka_unit_test(tls_reads_certificates_without_their_keys),
        cmocka_unit_test(a_key_that_is_remembered_is_never_taken_for_another),
        cmocka_unit_test(a_key_outlives_its_place),
        cmocka_unit_test(many_threads_read_keys_at_once),
    };
    return cmocka_run_group_tests_name("crypto/lean", tests, set_up, tear_down);
}
