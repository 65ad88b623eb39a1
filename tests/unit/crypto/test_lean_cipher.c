/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of where keys lie (crypto/lean_cipher.h). */
#include "../unit.h"

#include <crypto/lean.h>
#include <crypto/lean_cipher.h>
#include <neo/bytes.h>
#include <openssl/evp.h>
#include <string.h>

static int set_up(void **state __attribute__((unused)))
{
    return lean_library() == NULL;
}

static EVP_CIPHER_CTX *begin(OSSL_LIB_CTX *library, const char *name)
{
    static const uint8_t key[32] = {1, 2, 3}, nonce[12] = {4, 5, 6};
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(library, name, NULL);
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();

    assert_non_null(cipher);
    assert_non_null(context);
    assert_int_equal(EVP_EncryptInit_ex2(context, cipher, key, nonce, NULL), 1);
    EVP_CIPHER_free(cipher);
    return context;
}

static const char *const names[] = {"AES-128-GCM", "AES-256-GCM", "ChaCha20-Poly1305"};

TEST(nothing_is_noted_that_nobody_asked_for)
{
    struct lean_ciphers noted = {{NULL}};

    lean_cipher_note(&noted);
    lean_cipher_note(NULL);
    EVP_CIPHER_CTX_free(begin(lean_library(), names[0]));
    assert_null(noted.at[0]);
}

TEST(ciphers_of_others_are_not_noted)
{
    struct lean_ciphers noted = {{NULL}};

    lean_cipher_note(&noted);
    EVP_CIPHER_CTX_free(begin(NULL, names[0]));
    lean_cipher_note(NULL);
    assert_null(noted.at[0]);
}

TEST(the_last_contexts_are_noted_the_latest_first)
{
    for (size_t i = 0; i < NEO_COUNT(names); i++) {
        struct lean_ciphers noted = {{NULL}};

        lean_cipher_note(&noted);
        EVP_CIPHER_CTX *first = begin(lean_library(), names[i]);
        const void *its = noted.at[0];
        assert_non_null(its);
        assert_null(noted.at[1]);
        EVP_CIPHER_CTX *second = begin(lean_library(), names[i]);
        EVP_CIPHER_CTX *third = begin(lean_library(), names[i]);
        assert_ptr_equal(noted.at[2], its);
        its = noted.at[1];
        EVP_CIPHER_CTX *fourth = begin(lean_library(), names[i]);
        lean_cipher_note(NULL);
        assert_ptr_equal(noted.at[2], its);
        assert_ptr_not_equal(noted.at[0], noted.at[1]);
        assert_ptr_not_equal(noted.at[1], noted.at[2]);
        EVP_CIPHER_CTX_free(fourth);
        EVP_CIPHER_CTX_free(first);
        EVP_CIPHER_CTX_free(second);
        EVP_CIPHER_CTX_free(third);
    }
}

static void encrypt(OSSL_LIB_CTX *library, const char *name, uint8_t ret[static 48])
{
    static const uint8_t plain[32] = "what only two of us shall know.";
    EVP_CIPHER_CTX *context = begin(library, name);
    int len = 0, last = 0;

    assert_int_equal(EVP_EncryptUpdate(context, ret, &len, plain, sizeof(plain)), 1);
    assert_int_equal(len, (int)sizeof(plain));
    assert_int_equal(EVP_EncryptFinal_ex(context, ret + len, &last), 1);
    assert_int_equal(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, 16, ret + 32), 1);
    EVP_CIPHER_CTX_free(context);
}

TEST(what_is_encrypted_is_what_the_default_provider_makes_of_it)
{
    for (size_t i = 0; i < NEO_COUNT(names); i++) {
        uint8_t ours[48], theirs[48];

        encrypt(lean_library(), names[i], ours);
        encrypt(NULL, names[i], theirs);
        assert_memory_equal(ours, theirs, sizeof(ours));
    }
}

/* There is room for three, and the library above has taken it. */
TEST(a_cipher_too_many_is_left_as_it_is)
{
    static const OSSL_DISPATCH none[] = {{0, NULL}};

    assert_ptr_equal(lean_cipher_noting(none), none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_noted_that_nobody_asked_for),
        cmocka_unit_test(ciphers_of_others_are_not_noted),
        cmocka_unit_test(the_last_contexts_are_noted_the_latest_first),
        cmocka_unit_test(what_is_encrypted_is_what_the_default_provider_makes_of_it),
        cmocka_unit_test(a_cipher_too_many_is_left_as_it_is),
    };

    return cmocka_run_group_tests_name("crypto/lean_cipher", tests, set_up, NULL);
}
