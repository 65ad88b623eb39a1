/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "support/pki.h"

#include <neo/key.h>

#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <string.h>

#define MESSAGE NEO_LIT("what is signed")

static const enum neo_key_kind kinds[] = {NEO_KEY_P256, NEO_KEY_P384, NEO_KEY_ED25519};

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

/* A PEM text in OpenSSL's own hand; `traditional` as of old. */
static struct neo_buffer pem_of(EVP_PKEY *pkey, bool traditional, const EVP_CIPHER *cipher)
{
    struct neo_buffer text = {0};
    BIO *bio = BIO_new(BIO_s_mem());
    char *at = NULL;

    assert_non_null(pkey);
    if (traditional)
        assert_int_equal(PEM_write_bio_PrivateKey_traditional(bio, pkey, NULL, NULL, 0, NULL, NULL),
                         1);
    else
        assert_int_equal(PEM_write_bio_PKCS8PrivateKey(bio, pkey, cipher, "secret", 6, NULL, NULL),
                         1);
    long len = BIO_get_mem_data(bio, &at);
    assert_true(neo_buffer_append(&text, neo_bytes(at, (size_t)len)));
    BIO_free(bio);
    EVP_PKEY_free(pkey);
    return text;
}

static void assert_refused(struct neo_buffer text, const char *reason)
{
    struct neo_key *key = NULL;
    struct neo_error err;

    assert_int_equal(neo_key_from_pem(neo_buffer_bytes(&text), "key.pem", &key, &err),
                     NEO_INVALID_ARGUMENT);
    assert_null(key);
    assert_non_null(strstr(err.message, reason));
    neo_buffer_fini(&text);
}

TEST(a_signature_verifies_under_its_own_key_and_no_other)
{
    for (size_t i = 0; i < NEO_COUNT(kinds); i++) {
        struct neo_key *key = new_key(kinds[i]), *other = new_key(kinds[i]);
        struct neo_buffer spki = spki_of(key), foreign = spki_of(other), signature = {0};

        assert_int_equal(neo_key_kind(key), kinds[i]);
        assert_int_equal(neo_key_sign(key, MESSAGE, &signature, NULL), NEO_OK);
        assert_int_equal(
            neo_spki_verify(neo_buffer_bytes(&spki), MESSAGE, neo_buffer_bytes(&signature), NULL),
            NEO_OK);
        assert_int_equal(neo_spki_verify(neo_buffer_bytes(&foreign), MESSAGE,
                                         neo_buffer_bytes(&signature), NULL),
                         NEO_UNAUTHENTICATED);
        assert_int_equal(neo_spki_verify(neo_buffer_bytes(&spki), NEO_LIT("What is signed"),
                                         neo_buffer_bytes(&signature), NULL),
                         NEO_UNAUTHENTICATED);
        neo_buffer_fini(&spki);
        neo_buffer_fini(&foreign);
        neo_buffer_fini(&signature);
        neo_key_unref(key);
        neo_key_unref(other);
    }
}

TEST(a_signature_with_any_bit_changed_or_missing_is_refused)
{
    for (size_t i = 0; i < NEO_COUNT(kinds); i++) {
        struct neo_key *key = new_key(kinds[i]);
        struct neo_buffer spki = spki_of(key), signature = {0};

        assert_int_equal(neo_key_sign(key, MESSAGE, &signature, NULL), NEO_OK);
        for (size_t bit = 0; bit < 8 * signature.len; bit += 7) {
            signature.at[bit / 8] ^= (uint8_t)(1 << bit % 8);
            assert_int_equal(neo_spki_verify(neo_buffer_bytes(&spki), MESSAGE,
                                             neo_buffer_bytes(&signature), NULL),
                             NEO_UNAUTHENTICATED);
            signature.at[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        for (size_t n = 0; n < signature.len; n++)
            assert_int_equal(
                neo_spki_verify(neo_buffer_bytes(&spki), MESSAGE, neo_bytes(signature.at, n), NULL),
                NEO_UNAUTHENTICATED);
        neo_buffer_fini(&spki);
        neo_buffer_fini(&signature);
        neo_key_unref(key);
    }
}

TEST(a_key_comes_back_from_its_pem_the_same)
{
    for (size_t i = 0; i < NEO_COUNT(kinds); i++) {
        struct neo_key *key = new_key(kinds[i]), *back = NULL;
        struct neo_buffer pem = {0}, before = spki_of(key);

        assert_int_equal(neo_key_to_pem(key, &pem, NULL), NEO_OK);
        assert_true(
            neo_bytes_starts(neo_buffer_bytes(&pem), NEO_LIT("-----BEGIN PRIVATE KEY-----\n")));
        assert_int_equal(neo_key_from_pem(neo_buffer_bytes(&pem), "key.pem", &back, NULL), NEO_OK);
        struct neo_buffer after = spki_of(back);
        assert_int_equal(neo_key_kind(back), kinds[i]);
        assert_true(neo_bytes_equal(neo_buffer_bytes(&before), neo_buffer_bytes(&after)));
        neo_buffer_fini_secret(&pem);
        neo_buffer_fini(&before);
        neo_buffer_fini(&after);
        neo_key_unref(key);
        neo_key_unref(back);
    }
}

TEST(the_old_form_of_an_ec_key_is_read_too)
{
    struct neo_buffer pem = pem_of(EVP_EC_gen("P-256"), true, NULL);
    struct neo_key *key = NULL;

    assert_int_equal(neo_key_from_pem(neo_buffer_bytes(&pem), "key.pem", &key, NULL), NEO_OK);
    assert_int_equal(neo_key_kind(key), NEO_KEY_P256);
    neo_key_unref(key);
    neo_buffer_fini(&pem);
}

TEST(keys_of_other_kinds_are_refused)
{
    assert_refused(pem_of(EVP_RSA_gen(2048), false, NULL), "neither ECDSA P-256");
    assert_refused(pem_of(EVP_RSA_gen(2048), true, NULL), "RSA");
    assert_refused(pem_of(EVP_EC_gen("P-192"), false, NULL), "neither ECDSA P-256");
    assert_refused(pem_of(EVP_EC_gen("P-521"), false, NULL), "neither ECDSA P-256");
    assert_refused(pem_of(EVP_PKEY_Q_keygen(NULL, NULL, "X25519"), false, NULL),
                   "neither ECDSA P-256");
}

TEST(a_key_with_explicit_curve_parameters_is_refused)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    EVP_PKEY *pkey = NULL;

    assert_int_equal(EVP_PKEY_keygen_init(ctx), 1);
    assert_int_equal(EVP_PKEY_CTX_set_ec_paramgen_curve_nid(ctx, NID_X9_62_prime256v1), 1);
    assert_int_equal(EVP_PKEY_CTX_set_ec_param_enc(ctx, OPENSSL_EC_EXPLICIT_CURVE), 1);
    assert_int_equal(EVP_PKEY_generate(ctx, &pkey), 1);
    EVP_PKEY_CTX_free(ctx);
    assert_refused(pem_of(pkey, false, NULL), "neither ECDSA P-256");
}

/* Who swaps two files must not search for what is wrong with them. */
TEST(a_certificate_in_place_of_a_key_is_named)
{
    struct pki *pki = pki_new("neo.test");
    struct neo_buffer certificate = {0}, key = {0};
    struct neo_identity *identity = NULL;
    struct neo_error err;

    pki_pem_chain(pki_issuer(pki), &certificate);
    pki_pem_key(pki_issuer(pki), &key);
    assert_int_equal(neo_identity_from_pem(neo_buffer_bytes(&key), neo_buffer_bytes(&certificate),
                                           "hello", &identity, &err),
                     NEO_NOT_FOUND);
    assert_non_null(strstr(err.message, "this is a private key: are the two files swapped?"));
    assert_refused(certificate, "this is a certificate: are the two files swapped?");
    neo_buffer_fini(&key);
    pki_free(pki);
}

TEST(an_encrypted_key_is_refused_without_asking_for_a_password)
{
    assert_refused(pem_of(EVP_EC_gen("P-256"), false, EVP_aes_128_cbc()), "encrypted");
}

TEST(what_is_no_key_is_refused)
{
    struct neo_buffer empty = {0}, junk = {0}, cut = {0};

    assert_refused(empty, "no private key");
    assert_true(neo_buffer_append_text(&junk, "-----BEGIN PRIVATE KEY-----\nAAAA\n"
                                              "-----END PRIVATE KEY-----\n"));
    assert_refused(junk, "not a readable private key");
    assert_true(neo_buffer_append_text(&cut, "-----BEGIN PRIVATE KEY-----\nAAAA\n"));
    assert_refused(cut, "damaged PEM");
}

TEST(a_key_whose_public_half_is_anothers_is_refused)
{
    struct neo_key *a = new_key(NEO_KEY_P256), *b = new_key(NEO_KEY_P256);
    struct neo_buffer pem = {0}, der = {0}, spki = spki_of(b), mixed = {0};
    uint8_t *at = NULL;

    assert_int_equal(neo_key_to_pem(a, &pem, NULL), NEO_OK);
    BIO *bio = BIO_new_mem_buf(pem.at, (int)pem.len);
    EVP_PKEY *pkey = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(pkey);
    int len = i2d_PKCS8_PRIV_KEY_INFO(info, &at);
    assert_true(neo_buffer_append(&der, neo_bytes(at, (size_t)len)));
    memcpy(der.at + der.len - 64, spki.at + spki.len - 64, 64); /* the point stands last in both */
    assert_true(neo_buffer_append_text(&mixed, "-----BEGIN PRIVATE KEY-----\n"));
    uint8_t text[512];
    int n = EVP_EncodeBlock(text, der.at, (int)der.len);
    for (int i = 0; i < n; i += 64) {
        assert_true(
            neo_buffer_append(&mixed, neo_bytes(text + i, (size_t)(n - i < 64 ? n - i : 64))));
        assert_true(neo_buffer_append_byte(&mixed, '\n'));
    }
    assert_true(neo_buffer_append_text(&mixed, "-----END PRIVATE KEY-----\n"));
    assert_refused(mixed, "does not belong to its public key");
    OPENSSL_free(at);
    PKCS8_PRIV_KEY_INFO_free(info);
    EVP_PKEY_free(pkey);
    BIO_free(bio);
    neo_buffer_fini_secret(&pem);
    neo_buffer_fini(&der);
    neo_buffer_fini(&spki);
    neo_key_unref(a);
    neo_key_unref(b);
}

TEST(public_keys_of_other_forms_verify_nothing)
{
    struct neo_key *key = new_key(NEO_KEY_P256);
    struct neo_buffer spki = spki_of(key), signature = {0};

    assert_int_equal(neo_key_sign(key, MESSAGE, &signature, NULL), NEO_OK);
    for (size_t n = 0; n < spki.len; n++)
        assert_int_equal(
            neo_spki_verify(neo_bytes(spki.at, n), MESSAGE, neo_buffer_bytes(&signature), NULL),
            NEO_INVALID_ARGUMENT);
    spki.at[spki.len - 1] ^= 1; /* off the curve */
    assert_int_equal(
        neo_spki_verify(neo_buffer_bytes(&spki), MESSAGE, neo_buffer_bytes(&signature), NULL),
        NEO_INVALID_ARGUMENT);
    neo_buffer_fini(&spki);
    neo_buffer_fini(&signature);
    neo_key_unref(key);
}

/*
 * The identity point with R = identity and S = 0: a signature by nobody, over anything. OpenSSL
 * alone would accept it.
 */
TEST(ed25519_points_of_small_order_are_refused)
{
    uint8_t spki[44] = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00, 1};
    uint8_t signature[64] = {1};
    const uint8_t *at = spki;
    EVP_PKEY *pkey = d2i_PUBKEY(NULL, &at, sizeof(spki));
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    assert_int_equal(EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, pkey), 1);
    assert_int_equal(EVP_DigestVerify(ctx, signature, 64, MESSAGE.at, MESSAGE.len), 1);
    assert_int_equal(neo_spki_verify(neo_bytes(spki, sizeof(spki)), MESSAGE,
                                     neo_bytes(signature, sizeof(signature)), NULL),
                     NEO_INVALID_ARGUMENT);
    spki[43] = 0x80; /* the same with the sign bit */
    assert_int_equal(neo_spki_verify(neo_bytes(spki, sizeof(spki)), MESSAGE,
                                     neo_bytes(signature, sizeof(signature)), NULL),
                     NEO_INVALID_ARGUMENT);
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(pkey);
}

TEST(private_keys_live_in_the_secure_heap_and_leave_nothing_there)
{
    struct neo_key *key = new_key(NEO_KEY_P256);
    size_t before = CRYPTO_secure_used();

    struct neo_key *another = new_key(NEO_KEY_ED25519);
    assert_true(CRYPTO_secure_used() > before);
    neo_key_unref(another);
    assert_int_equal(CRYPTO_secure_used(), before);
    neo_key_unref(key);
    assert_true(CRYPTO_secure_used() < before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_signature_verifies_under_its_own_key_and_no_other),
        cmocka_unit_test(a_signature_with_any_bit_changed_or_missing_is_refused),
        cmocka_unit_test(a_key_comes_back_from_its_pem_the_same),
        cmocka_unit_test(the_old_form_of_an_ec_key_is_read_too),
        cmocka_unit_test(keys_of_other_kinds_are_refused),
        cmocka_unit_test(a_key_with_explicit_curve_parameters_is_refused),
        cmocka_unit_test(a_certificate_in_place_of_a_key_is_named),
        cmocka_unit_test(an_encrypted_key_is_refused_without_asking_for_a_password),
        cmocka_unit_test(what_is_no_key_is_refused),
        cmocka_unit_test(a_key_whose_public_half_is_anothers_is_refused),
        cmocka_unit_test(public_keys_of_other_forms_verify_nothing),
        cmocka_unit_test(ed25519_points_of_small_order_are_refused),
        cmocka_unit_test(private_keys_live_in_the_secure_heap_and_leave_nothing_there),
    };
    return cmocka_run_group_tests_name("crypto/key", tests, NULL, NULL);
}
