/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "codec/cbor.h"
#include "codec/cose.h"

/* A COSE_Sign1 with these headers, into `text`: CBOR, the protected one within its byte string. */
static enum neo_code read(struct neo_buffer *text, struct neo_bytes protected_header,
                          struct neo_bytes unprotected, size_t signature_len,
                          struct cose_sign1 *ret)
{
    static const uint8_t signature[128] = {1};

    neo_buffer_clear(text);
    assert_true(cbor_put(text, CBOR_ARRAY, 4));
    assert_true(cbor_put_bytes(text, protected_header));
    assert_true(neo_buffer_append(text, unprotected));
    assert_true(cbor_put_bytes(text, NEO_LIT("payload")));
    assert_true(cbor_put_bytes(text, neo_bytes(signature, signature_len)));
    return cose_sign1_read(neo_buffer_bytes(text), ret, NULL);
}

#define LIT(x)                                                                                     \
    {                                                                                              \
        (const uint8_t *)(x), sizeof(x) - 1                                                        \
    }
#define EMPTY LIT("\xa0")
#define ES384 LIT("\xa1\x01\x38\x22")

TEST(headers_that_say_what_nobody_judges_are_refused)
{
    static const struct {
        struct neo_bytes protected_header, unprotected;
        size_t signature_len;
    } wrong[] = {
        {EMPTY, EMPTY, 96}, /* no algorithm */
        {LIT(""), EMPTY, 96},
        {LIT("\xa1\x01\x26\x00"), EMPTY, 64}, /* something behind it */
        {LIT("\xa1\x01\x26"), EMPTY, 96},     /* ES256, as long as ES384's */
        {ES384, EMPTY, 64},
        {LIT("\xa1\x01\x38\x23"), EMPTY, 96},             /* ES512 */
        {LIT("\xa1\x01\x05"), EMPTY, 64},                 /* HMAC */
        {LIT("\xa2\x01\x38\x22\x01\x38\x22"), EMPTY, 96}, /* twice */
        {LIT("\xa2\x01\x38\x22\x02\x81\x04"), EMPTY, 96}, /* crit */
        {LIT("\xa2\x01\x38\x22\x05\x41\x00"), EMPTY, 96}, /* an IV */
        {LIT("\xa2\x01\x38\x22\x20\x41\x00"), EMPTY, 96}, /* -1 */
        {LIT("\xa2\x01\x38\x22\x61\x61\x00"), EMPTY, 96}, /* "a" */
        {LIT("\xa2\x01\x38\x22\x04\x00"), EMPTY, 96},     /* a key's name that is none */
        {ES384, LIT("\xa1\x01\x38\x22"), 96},             /* the algorithm, unprotected */
        {ES384, LIT("\xa1\x03\x00"), 96},
        {ES384, LIT("\xa1\x18\x21\x41\x00"), 96}, /* x5chain */
        {ES384, LIT("\xa2\x04\x41\x00\x04\x41\x00"), 96},
        {ES384, LIT("\xa1\x04\x61\x61"), 96},
    };
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};
    struct cose_sign1 s;

    for (size_t i = 0; i < NEO_COUNT(wrong); i++) {
        if (read(&text, wrong[i].protected_header, wrong[i].unprotected, wrong[i].signature_len,
                 &s) != NEO_INVALID_ARGUMENT)
            fail_msg("header %zu was taken", i);
    }
}

TEST(an_algorithm_is_read_and_what_stands_beside_it_is_told_of)
{
    static const struct {
        struct neo_bytes protected_header, unprotected;
        enum cose_algorithm algorithm;
        bool has_more;
    } good[] = {
        {ES384, EMPTY, COSE_ES384, false},
        {LIT("\xa1\x01\x26"), EMPTY, COSE_ES256, false},
        {LIT("\xa1\x01\x39\x00\x22"), EMPTY, COSE_ES384, false},    /* not the shortest form */
        {LIT("\xa2\x03\x18\x3d\x01\x26"), EMPTY, COSE_ES256, true}, /* application/cwt */
        {LIT("\xa2\x01\x26\x10\x61\x61"), EMPTY, COSE_ES256, true}, /* a type */
        {LIT("\xa2\x01\x26\x04\x42\x31\x31"), EMPTY, COSE_ES256, true},
        {ES384, LIT("\xa1\x04\x42\x31\x31"), COSE_ES384, true},
    };

    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};

    for (size_t i = 0; i < NEO_COUNT(good); i++) {
        struct cose_sign1 s;
        if (read(&text, good[i].protected_header, good[i].unprotected,
                 good[i].algorithm == COSE_ES256 ? 64 : 96, &s) != NEO_OK)
            fail_msg("header %zu was refused", i);
        assert_int_equal(s.algorithm, good[i].algorithm);
        assert_int_equal(s.has_more, good[i].has_more);
        assert_true(neo_bytes_equal(s.protected_header, good[i].protected_header));
        assert_true(neo_bytes_is(s.payload, "payload"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_that_say_what_nobody_judges_are_refused),
        cmocka_unit_test(an_algorithm_is_read_and_what_stands_beside_it_is_told_of),
    };
    return cmocka_run_group_tests_name("codec/cose", tests, NULL, NULL);
}
