/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include <neo/digest.h>

static struct neo_bytes repeat(uint8_t *at, uint8_t byte, size_t n)
{
    memset(at, byte, n);
    return neo_bytes(at, n);
}

/* FIPS 180-4 examples: "abc". */
TEST(digests_are_those_of_the_standard)
{
    static const uint8_t sha256[] = {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea,
                                     0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23,
                                     0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c,
                                     0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad};
    static const uint8_t sha384[] = {0xcb, 0x00, 0x75, 0x3f, 0x45, 0xa3, 0x5e, 0x8b};
    static const uint8_t sha512[] = {0xdd, 0xaf, 0x35, 0xa1, 0x93, 0x61, 0x7a, 0xba};
    uint8_t got[NEO_SHA512_LEN];

    neo_sha256(NEO_LIT("abc"), got);
    assert_memory_equal(got, sha256, sizeof(sha256));
    neo_sha384(NEO_LIT("abc"), got);
    assert_memory_equal(got, sha384, sizeof(sha384));
    neo_sha512(NEO_LIT("abc"), got);
    assert_memory_equal(got, sha512, sizeof(sha512));
}

TEST(the_digest_of_nothing_needs_no_address)
{
    static const uint8_t empty[] = {0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14};
    uint8_t got[NEO_SHA256_LEN];

    neo_sha256((struct neo_bytes){0}, got);
    assert_memory_equal(got, empty, sizeof(empty));
}

/* RFC 4231, cases 1, 2 and 6: a short key, a text, a key longer than a block. */
TEST(hmac_is_that_of_the_standard)
{
    static const uint8_t want1[] = {0xb0, 0x34, 0x4c, 0x61, 0xd8, 0xdb, 0x38, 0x53,
                                    0x5c, 0xa8, 0xaf, 0xce, 0xaf, 0x0b, 0xf1, 0x2b,
                                    0x88, 0x1d, 0xc2, 0x00, 0xc9, 0x83, 0x3d, 0xa7,
                                    0x26, 0xe9, 0x37, 0x6c, 0x2e, 0x32, 0xcf, 0xf7};
    static const uint8_t want2[] = {0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e};
    static const uint8_t want6[] = {0x60, 0xe4, 0x31, 0x59, 0x1e, 0xe0, 0xb6, 0x7f};
    uint8_t key[131], got[NEO_SHA256_LEN];

    neo_hmac_sha256(repeat(key, 0x0b, 20), NEO_LIT("Hi There"), got);
    assert_memory_equal(got, want1, sizeof(want1));
    neo_hmac_sha256(NEO_LIT("Jefe"), NEO_LIT("what do ya want for nothing?"), got);
    assert_memory_equal(got, want2, sizeof(want2));
    neo_hmac_sha256(repeat(key, 0xaa, 131),
                    NEO_LIT("Test Using Larger Than Block-Size Key - Hash Key First"), got);
    assert_memory_equal(got, want6, sizeof(want6));
}

TEST(secrets_are_equal_only_when_every_byte_and_the_length_are)
{
    uint8_t a[40], b[40];

    assert_true(neo_secret_equal(repeat(a, 7, 40), repeat(b, 7, 40)));
    assert_true(neo_secret_equal((struct neo_bytes){0}, (struct neo_bytes){0}));
    assert_false(neo_secret_equal(neo_bytes(a, 39), neo_bytes(b, 40)));
    for (size_t i = 0; i < sizeof(a); i++) {
        b[i] ^= 1;
        assert_false(neo_secret_equal(neo_bytes(a, 40), neo_bytes(b, 40)));
        b[i] ^= 1;
    }
}

TEST(random_fills_every_byte_and_never_repeats)
{
    enum { ROUNDS = 64, LEN = 37 };
    uint8_t seen[LEN] = {0}, one[LEN], before[LEN] = {0};

    for (int i = 0; i < ROUNDS; i++) {
        neo_random(one, sizeof(one));
        assert_memory_not_equal(one, before, sizeof(one));
        memcpy(before, one, sizeof(one));
        for (size_t k = 0; k < LEN; k++)
            seen[k] |= one[k];
    }
    for (size_t k = 0; k < LEN; k++)
        assert_int_not_equal(seen[k], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests_are_those_of_the_standard),
        cmocka_unit_test(the_digest_of_nothing_needs_no_address),
        cmocka_unit_test(hmac_is_that_of_the_standard),
        cmocka_unit_test(secrets_are_equal_only_when_every_byte_and_the_length_are),
        cmocka_unit_test(random_fills_every_byte_and_never_repeats),
    };
    return cmocka_run_group_tests_name("crypto/digest", tests, NULL, NULL);
}
