/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The key schedule of TLS 1.3 in the lean library (crypto/lean_kdf.h): beside RFC 8448, and beside
 * OpenSSL's own, whatever is asked.
 */
#include "../unit.h"

#include <crypto/lean.h>
#include <crypto/lean_hmac.h>
#include <crypto/lean_kdf.h>
#include <neo/digest.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum {
    MOST = 300,
    EXTRACT = EVP_KDF_HKDF_MODE_EXTRACT_ONLY,
    EXPAND = EVP_KDF_HKDF_MODE_EXPAND_ONLY
};

/* What can be asked. NULL: left out. */
struct ask {
    int mode;
    const char *digest;
    const char *prefix, *label;
    const uint8_t *key, *salt, *data;
    size_t key_len, salt_len, data_len, len;
};

static EVP_KDF *ours, *theirs;

static int set_up(void **state __attribute__((unused)))
{
    ours = EVP_KDF_fetch(lean_library(), OSSL_KDF_NAME_TLS1_3_KDF, NULL);
    theirs = EVP_KDF_fetch(NULL, OSSL_KDF_NAME_TLS1_3_KDF, NULL);
    return ours == NULL || theirs == NULL;
}

static int tear_down(void **state __attribute__((unused)))
{
    EVP_KDF_free(ours);
    EVP_KDF_free(theirs);
    return 0;
}

/* --- asking -------------------------------------------------------------------------------- */

/* OSSL_PARAM takes no const, and here nobody writes. */
static void *writable(const void *at)
{
    union {
        const void *in;
        void *out;
    } pointer = {at};

    return pointer.out;
}

static void octets(OSSL_PARAM **next, const char *name, const void *at, size_t len)
{
    if (at != NULL)
        *(*next)++ = OSSL_PARAM_construct_octet_string(name, writable(at), len);
}

static void text(OSSL_PARAM **next, const char *name, const char *value)
{
    if (value != NULL)
        *(*next)++ = OSSL_PARAM_construct_utf8_string(name, writable(value), 0);
}

static void fill(struct ask *ask, OSSL_PARAM params[static 8])
{
    OSSL_PARAM *next = params;

    *next++ = OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &ask->mode);
    text(&next, OSSL_KDF_PARAM_DIGEST, ask->digest);
    octets(&next, OSSL_KDF_PARAM_KEY, ask->key, ask->key_len);
    octets(&next, OSSL_KDF_PARAM_SALT, ask->salt, ask->salt_len);
    octets(&next, OSSL_KDF_PARAM_PREFIX, ask->prefix,
           ask->prefix == NULL ? 0 : strlen(ask->prefix));
    octets(&next, OSSL_KDF_PARAM_LABEL, ask->label, ask->label == NULL ? 0 : strlen(ask->label));
    octets(&next, OSSL_KDF_PARAM_DATA, ask->data, ask->data_len);
    *next = OSSL_PARAM_construct_end();
}

static bool derive(EVP_KDF *kdf, struct ask ask, uint8_t ret[static MOST])
{
    EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
    OSSL_PARAM params[8];

    assert_non_null(ctx);
    fill(&ask, params);
    memset(ret, 0, MOST);
    bool done = EVP_KDF_derive(ctx, ret, ask.len, params) == 1;
    EVP_KDF_CTX_free(ctx);
    ERR_clear_error();
    return done;
}

/* Both must say the same, be it no. */
static bool compare(struct ask ask)
{
    uint8_t a[MOST], b[MOST];
    bool done = derive(ours, ask, a);

    assert_int_equal(done, derive(theirs, ask, b));
    if (done)
        assert_memory_equal(a, b, MOST);
    return done;
}

static struct ask expansion(const uint8_t *key, size_t len)
{
    return (struct ask){.mode = EXPAND,
                        .digest = "SHA2-256",
                        .prefix = "tls13 ",
                        .label = "key",
                        .key = key,
                        .key_len = 32,
                        .len = len};
}

/* --- what must not pass, or not be ours ------------------------------------------------------ */

TEST(refuses_what_openssl_refuses)
{
    uint8_t key[32] = {1}, data[MOST] = {2};
    char label[MOST];
    struct ask good = expansion(key, 16), bad;

    assert_true(compare(good));
    bad = good, bad.digest = NULL;
    assert_false(compare(bad));
    bad = good, bad.digest = "SHA3-nonsense";
    assert_false(compare(bad));
    bad = good, bad.mode = EVP_KDF_HKDF_MODE_EXTRACT_AND_EXPAND;
    assert_false(compare(bad));
    bad = good, bad.mode = -1;
    assert_false(compare(bad));
    memset(label, 'x', sizeof(label) - 1);
    label[sizeof(label) - 1] = '\0';
    bad = good, bad.label = label;
    assert_false(compare(bad));
    bad = good, bad.data = data, bad.data_len = 256;
    assert_false(compare(bad));
    bad = good, bad.mode = EXTRACT; /* of 16 bytes */
    assert_false(compare(bad));
}

TEST(hands_on_what_tls_does_not_ask)
{
    uint8_t key[200] = {1}, salt[32] = {3};
    struct ask ask = expansion(key, 33); /* more than a block */

    assert_true(compare(ask));
    ask.len = 255;
    assert_true(compare(ask));
    ask = expansion(key, 64), ask.digest = "SHA2-512";
    assert_true(compare(ask));
    ask = expansion(key, 32), ask.salt = salt, ask.salt_len = sizeof(salt);
    assert_true(compare(ask));
    ask = expansion(key, 32), ask.key_len = sizeof(key);
    assert_true(compare(ask));
}

/* What was set before counts, and a second value does not replace the first. */
TEST(remembers_what_was_set_before_as_openssl_does)
{
    EVP_KDF *kdfs[] = {ours, theirs};
    uint8_t key[32] = {1}, other[32] = {9}, got[2][3][32];
    struct ask ask = expansion(key, 32);
    OSSL_PARAM params[8], none[] = {OSSL_PARAM_construct_end()};
    OSSL_PARAM twice[] = {OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, other, 32),
                          OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, key, 32),
                          OSSL_PARAM_construct_end()};

    fill(&ask, params);
    for (size_t i = 0; i < NEO_COUNT(kdfs); i++) {
        EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdfs[i]);
        assert_int_equal(EVP_KDF_CTX_set_params(ctx, params), 1);
        assert_int_equal(EVP_KDF_derive(ctx, got[i][0], 32, none), 1);
        assert_int_equal(EVP_KDF_derive(ctx, got[i][1], 32, twice), 1);
        EVP_KDF_CTX_reset(ctx);
        assert_int_not_equal(EVP_KDF_derive(ctx, got[i][2], 32, none), 1);
        assert_int_equal(EVP_KDF_derive(ctx, got[i][2], 32, params), 1);
        EVP_KDF_CTX_free(ctx);
    }
    ERR_clear_error();
    assert_memory_equal(got[0][0], got[1][0], 32);
    assert_memory_equal(got[0][1], got[1][1], 32);
    assert_memory_equal(got[0][2], got[1][2], 32);
    assert_memory_not_equal(got[0][0], got[0][1], 32);
    assert_memory_equal(got[0][0], got[0][2], 32);
}

/* --- what it computes ------------------------------------------------------------------------ */

static void from_hex(const char *hex, uint8_t ret[static 32])
{
    assert_int_equal(strlen(hex), 64);
    for (size_t i = 0; i < 32; i++)
        assert_int_equal(sscanf(hex + 2 * i, "%2hhx", &ret[i]), 1);
}

static void must_be(struct ask ask, const char *hex, uint8_t ret[static MOST])
{
    uint8_t expected[32];

    from_hex(hex, expected);
    assert_true(derive(ours, ask, ret));
    assert_memory_equal(ret, expected, ask.len);
}

/* Section 3, "Simple 1-RTT Handshake", at the server. */
TEST(derives_the_secrets_of_rfc_8448)
{
    uint8_t early[MOST], handshake[MOST], master[MOST], traffic[MOST], out[MOST];
    uint8_t shared[32], hash[32];
    struct ask extract = {
        .mode = EXTRACT, .digest = "SHA2-256", .prefix = "tls13 ", .label = "derived", .len = 32};

    must_be(extract, "33ad0a1c607ec03b09e6cd9893680ce210adf300aa1f2660e1b22e10f170f92a", early);
    from_hex("8bd4054fb55b9d63fdfbacf9f04b9f0d35e6d63f537563efd46272900f89492d", shared);
    extract.salt = early, extract.salt_len = 32, extract.key = shared, extract.key_len = 32;
    must_be(extract, "1dc826e93606aa6fdc0aadc12f741b01046aa6b99f691ed221a9f0ca043fbeac", handshake);
    extract.salt = handshake, extract.key = NULL;
    must_be(extract, "18df06843d13a08bf2a449844c5f8a478001bc4d4c627984d5a41da8d0402919", master);

    struct ask expand = expansion(handshake, 32);
    from_hex("860c06edc07858ee8e78f0e7428c58edd6b43f2ca3e6e95f02ed063cf0e1cad8", hash);
    expand.label = "s hs traffic", expand.data = hash, expand.data_len = 32;
    must_be(expand, "b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38", traffic);
    expand = expansion(traffic, 16);
    must_be(expand, "3fce516009c21727d0f2e4e86ee403bc00000000000000000000000000000000", out);
    expand = expansion(traffic, 12), expand.label = "iv";
    must_be(expand, "5d313eb2671276ee13000b300000000000000000000000000000000000000000", out);
    expand = expansion(traffic, 32), expand.label = "finished";
    must_be(expand, "008d3b66f816ea559f96b537e885c31fc068bf492c652f01f288a1d8cdc19fc8", out);
}

TEST(agrees_with_openssl_on_every_length)
{
    static const char *const digests[] = {"SHA2-256", "SHA2-384", "sha256", "SHA384", "SHA-256"};
    uint8_t key[MOST], salt[MOST], data[MOST];
    size_t asked = 0;

    neo_random(key, sizeof(key)), neo_random(salt, sizeof(salt)), neo_random(data, sizeof(data));
    for (size_t d = 0; d < NEO_COUNT(digests); d++)
        for (size_t len = 0; len < 160; len++) {
            struct ask expand = {.mode = EXPAND,
                                 .digest = digests[d],
                                 .prefix = "tls13 ",
                                 .label = &"EXPORTER-Channel-Binding"[len % 24],
                                 .key = key,
                                 .key_len = len,
                                 .data = data,
                                 .data_len = len,
                                 .len = len % 64};
            struct ask extract = {.mode = EXTRACT,
                                  .digest = digests[d],
                                  .prefix = "tls13 ",
                                  .label = "derived",
                                  .key = key,
                                  .key_len = len,
                                  .salt = salt,
                                  .salt_len = len / 2,
                                  .len = d % 2 == 0 ? 32 : 48};
            if (compare(expand))
                asked++;
            if (compare(extract))
                asked++;
            extract.key = NULL;
            if (compare(extract))
                asked++;
            extract.key = key, extract.salt = NULL;
            if (compare(extract))
                asked++;
        }
    assert_in_range(asked, 3 * 5 * 160, 4 * 5 * 160);
}

/* Without this the others would compare OpenSSL with itself. */
TEST(mutual_tls_uses_it)
{
    const char *who = EVP_KDF_get0_description(ours);

    assert_non_null(who);
    assert_string_equal(who, "Neo");
}

TEST(an_hmac_leaves_nothing_of_its_key)
{
    uint8_t key[32], ret[LEAN_HASH_MAX];
    struct lean_hmac hmac, wiped = {0};

    memset(key, 0xa5, sizeof(key));
    lean_hmac_begin(&hmac, lean_hash_named("SHA2-256"), neo_bytes(key, sizeof(key)));
    lean_hmac_add(&hmac, NEO_LIT("data"));
    assert_memory_not_equal(&hmac, &wiped, sizeof(hmac));
    lean_hmac_end(&hmac, ret);
    assert_memory_equal(&hmac, &wiped, sizeof(hmac));
}

/* Under the thread sanitizer this bites. */
static void *derive_often(void *expected)
{
    uint8_t key[32] = {7}, got[MOST];

    for (int i = 0; i < 300; i++)
        if (!derive(ours, expansion(key, 32), got) || memcmp(got, expected, 32) != 0)
            return expected;
    return NULL;
}

TEST(many_threads_derive_at_once)
{
    pthread_t threads[4];
    uint8_t key[32] = {7}, expected[MOST];
    void *failed = NULL;

    assert_true(derive(theirs, expansion(key, 32), expected));
    for (size_t i = 0; i < NEO_COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, derive_often, expected), 0);
    for (size_t i = 0; i < NEO_COUNT(threads); i++) {
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_what_openssl_refuses),
        cmocka_unit_test(hands_on_what_tls_does_not_ask),
        cmocka_unit_test(remembers_what_was_set_before_as_openssl_does),
        cmocka_unit_test(derives_the_secrets_of_rfc_8448),
        cmocka_unit_test(agrees_with_openssl_on_every_length),
        cmocka_unit_test(mutual_tls_uses_it),
        cmocka_unit_test(an_hmac_leaves_nothing_of_its_key),
        cmocka_unit_test(many_threads_derive_at_once),
    };
    return cmocka_run_group_tests_name("crypto/lean_kdf", tests, set_up, tear_down);
}
