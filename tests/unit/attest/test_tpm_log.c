/* SPDX-License-Identifier: Apache-2.0 */
/* Event logs of our own making: what counts towards a PCR, and what does not. */
#include "enclave.h"

#include "attest/tpm_log.h"

#include <neo/digest.h>

enum { NO_ACTION = 3, POST_CODE = 1, SHA256_LEN = 32, ONES = 0x11, TWOS = 0x22 };

static void le(struct neo_buffer *out, uint64_t value, size_t width)
{
    for (size_t i = 0; i < width; i++)
        assert_true(neo_buffer_append_byte(out, (uint8_t)(value >> (8 * i))));
}

static void fill(struct neo_buffer *out, uint8_t value, size_t len)
{
    while (len-- > 0)
        assert_true(neo_buffer_append_byte(out, value));
}

/* A log of SHA-256 and SHA-1 without events. */
static struct neo_buffer begin_as(uint32_t pcr, uint32_t type, const char *signature)
{
    struct neo_buffer log = {0};

    le(&log, pcr, 4);
    le(&log, type, 4);
    fill(&log, 0, 20);
    le(&log, 16 + 8 + 4 + 8 + 1, 4);
    assert_true(neo_buffer_append(&log, neo_bytes(signature, 16)));
    fill(&log, 0, 8);
    le(&log, 2, 4);
    le(&log, TPM_SHA256, 2);
    le(&log, SHA256_LEN, 2);
    le(&log, TPM_SHA1, 2);
    le(&log, 20, 2);
    fill(&log, 0, 1);
    return log;
}

static struct neo_buffer begin(void)
{
    return begin_as(0, NO_ACTION, "Spec ID Event03");
}

/* With one digest of SHA-256, every byte of it `value`; 0: with no digest. */
static void event(struct neo_buffer *log, uint32_t pcr, uint32_t type, uint8_t value,
                  struct neo_bytes data)
{
    le(log, pcr, 4);
    le(log, type, 4);
    le(log, value == 0 ? 0 : 1, 4);
    if (value != 0) {
        le(log, TPM_SHA256, 2);
        fill(log, value, SHA256_LEN);
    }
    le(log, data.len, 4);
    assert_true(neo_buffer_append(log, data));
}

static void locality(struct neo_buffer *log, uint32_t pcr, uint8_t value)
{
    uint8_t data[17] = "StartupLocality";

    data[16] = value;
    event(log, pcr, NO_ACTION, 0, neo_bytes(data, sizeof(data)));
}

/* `first` extended by `with`. */
static void expect_pcr(const struct tpm_replay *r, unsigned pcr, uint8_t first, uint8_t with)
{
    uint8_t both[2 * SHA256_LEN] = {0}, digest[SHA256_LEN];

    both[SHA256_LEN - 1] = first;
    memset(both + SHA256_LEN, with, SHA256_LEN);
    neo_sha256(neo_bytes(both, sizeof(both)), digest);
    assert_memory_equal(r->pcrs[pcr], digest, sizeof(digest));
}

static enum neo_code replay(struct neo_buffer *log, struct tpm_replay *r)
{
    struct neo_error err;
    enum neo_code code = tpm_log_replay(neo_buffer_bytes(log), TPM_SHA256, r, &err);

    neo_buffer_fini(log);
    return code;
}

TEST(a_log_that_does_not_begin_as_its_specification_has_it_is_refused)
{
    struct tpm_replay r;
    struct neo_buffer logs[] = {
        begin_as(2, NO_ACTION, "Spec ID Event03"), begin_as(0, POST_CODE, "Spec ID Event03"),
        begin_as(0, NO_ACTION, "Spec ID Event00"), /* of TPM 1.2 */
    };

    for (size_t i = 0; i < NEO_COUNT(logs); i++)
        assert_int_equal(replay(&logs[i], &r), NEO_INVALID_ARGUMENT);
    struct neo_buffer none = begin();
    assert_int_equal(tpm_log_replay(neo_buffer_bytes(&none), TPM_SHA384, &r, NULL), NEO_NOT_FOUND);
    neo_buffer_fini(&none);
}

TEST(an_event_that_could_not_have_been_extended_is_refused)
{
    struct tpm_replay r;
    struct neo_buffer log = begin();

    event(&log, TPM_PCRS, POST_CODE, ONES, NEO_LIT(""));
    assert_int_equal(replay(&log, &r), NEO_INVALID_ARGUMENT);
    log = begin();
    event(&log, 0, POST_CODE, 0, NEO_LIT("")); /* without a digest of the bank */
    assert_int_equal(replay(&log, &r), NEO_INVALID_ARGUMENT);
    log = begin();
    event(&log, 0, POST_CODE, ONES, NEO_LIT("data"));
    log.len--;
    assert_int_equal(replay(&log, &r), NEO_INVALID_ARGUMENT);
    log = begin();
    le(&log, 0, 4);
    le(&log, POST_CODE, 4);
    le(&log, 3, 4); /* more digests than the log has algorithms */
    fill(&log, ONES, 200);
    assert_int_equal(replay(&log, &r), NEO_INVALID_ARGUMENT);
}

TEST(an_event_of_no_action_extends_nothing_whatever_it_says)
{
    struct neo_buffer log = begin();
    struct tpm_replay r;

    event(&log, 4, NO_ACTION, TWOS, NEO_LIT("SP800-155 Event"));
    event(&log, UINT32_MAX, NO_ACTION, TWOS, NEO_LIT("of no PCR"));
    event(&log, 7, NO_ACTION, 0, NEO_LIT("without a digest"));
    event(&log, 4, POST_CODE, ONES, NEO_LIT("counts"));
    assert_int_equal(replay(&log, &r), NEO_OK);
    assert_int_equal(r.touched, 1u << 4);
    assert_int_equal(r.n_events, 4);
    expect_pcr(&r, 4, 0, ONES);
}

TEST(the_locality_that_started_the_tpm_is_the_first_value_of_pcr_0_and_of_no_other)
{
    struct neo_buffer log = begin();
    struct tpm_replay r;

    locality(&log, 0, 3);
    locality(&log, 1, 4);
    event(&log, 0, POST_CODE, ONES, NEO_LIT(""));
    event(&log, 1, POST_CODE, ONES, NEO_LIT(""));
    assert_int_equal(replay(&log, &r), NEO_OK);
    expect_pcr(&r, 0, 3, ONES);
    expect_pcr(&r, 1, 0, ONES);
    log = begin();
    event(&log, 0, POST_CODE, ONES, NEO_LIT(""));
    locality(&log, 0, 3); /* too late to be the first */
    assert_int_equal(replay(&log, &r), NEO_OK);
    expect_pcr(&r, 0, 0, ONES);
}

TEST(what_fills_the_area_behind_the_log_is_no_event_and_anything_else_is_refused)
{
    static const uint8_t fillings[] = {0x00, 0xff};
    struct tpm_replay r;

    for (size_t i = 0; i < NEO_COUNT(fillings); i++) {
        struct neo_buffer log = begin();
        event(&log, 2, POST_CODE, ONES, NEO_LIT(""));
        fill(&log, fillings[i], 4000);
        assert_int_equal(replay(&log, &r), NEO_OK);
        assert_int_equal(r.n_events, 1);
        expect_pcr(&r, 2, 0, ONES);
        log = begin();
        event(&log, 2, POST_CODE, ONES, NEO_LIT(""));
        fill(&log, fillings[i], 11);
        fill(&log, 0x5a, 1);
        assert_int_equal(replay(&log, &r), NEO_INVALID_ARGUMENT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_log_that_does_not_begin_as_its_specification_has_it_is_refused),
        cmocka_unit_test(an_event_that_could_not_have_been_extended_is_refused),
        cmocka_unit_test(an_event_of_no_action_extends_nothing_whatever_it_says),
        cmocka_unit_test(
            the_locality_that_started_the_tpm_is_the_first_value_of_pcr_0_and_of_no_other),
        cmocka_unit_test(
            what_fills_the_area_behind_the_log_is_no_event_and_anything_else_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
