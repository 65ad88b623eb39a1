/* SPDX-License-Identifier: Apache-2.0 */
/* AWS Nitro: on enclaves of our own making, and on recorded documents where they are. */
#include "enclave.h"
#include "vectors.h"

#include <neo/encoding.h>

struct asked {
    const struct neo_attest_trust *trust;
    const struct neo_attest_policies *policies;
    enum neo_evidence_kind kind;
    int64_t now;
};

/* "accepted", or the first failed check; its reason, too. */
static const char *verdict(const struct asked *asked, struct neo_bytes document,
                           enum neo_attest_reason *ret_reason)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    const struct neo_evidence evidence = {.kind = asked->kind, .body = document};
    uint8_t binder[NEO_BINDER_LEN];
    struct neo_appraisal a;
    const char *failed = "accepted";

    memset(binder, 0xb1, sizeof(binder));
    neo_arena_init(&arena, ENCLAVE_ARENA);
    assert_int_equal(neo_attest_appraise(asked->trust, asked->policies, NEO_LIT("function-service"),
                                         &evidence, binder, asked->now, &arena, &a, NULL),
                     NEO_OK);
    *ret_reason = a.reason;
    assert_int_equal(a.accepted, a.reason == NEO_ATTEST_NONE);
    for (size_t i = a.n_checks; i-- > 0;) {
        if (a.checks[i].result == NEO_CHECK_FAIL)
            failed = a.checks[i].name; /* a literal */
    }
    return failed;
}

static const char *ask(const struct enclave *e, unsigned pcrs, enum neo_attest_reason *ret_reason)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer rule = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer document = enclave_document(e);
    struct asked asked = {.trust = e->trust, .kind = NEO_EVIDENCE_SIM_NITRO, .now = ENCLAVE_NOW};
    struct neo_attest_policies *policies;
    struct enclave asked_for = *e;

    for (size_t i = 0; i < NEO_COUNT(e->pcrs); i++)
        memset(asked_for.pcrs[i], 0x40 + (int)i, NITRO_PCR_LEN);
    enclave_rule(&asked_for, pcrs, &rule);
    assert_int_equal(enclave_compile("simulator", (const char *)rule.at, &policies, NULL), NEO_OK);
    asked.policies = policies;
    const char *said = verdict(&asked, neo_buffer_bytes(&document), ret_reason);
    neo_attest_policies_unref(policies);
    return said;
}

#define EXPECT(e, pcrs, check, why)                                                                \
    do {                                                                                           \
        enum neo_attest_reason reason_;                                                            \
        assert_string_equal(ask((e), (pcrs), &reason_), (check));                                  \
        assert_string_equal(neo_attest_reason_text(reason_), (why));                               \
    } while (0)

TEST(a_document_of_our_enclave_is_accepted_with_and_without_its_tag)
{
    struct enclave e;

    enclave_init(&e);
    EXPECT(&e, 7, "accepted", "none");
    e.is_tagged = true;
    EXPECT(&e, 1, "accepted", "none");
    enclave_fini(&e);
}

TEST(every_pcr_that_is_asked_for_decides)
{
    for (unsigned i = 0; i < 3; i++) {
        struct enclave e;
        char name[16];

        enclave_init(&e);
        e.pcrs[i][47] ^= 1;
        (void)snprintf(name, sizeof(name), "nitro.pcr.%u", i);
        EXPECT(&e, 7, name, "measurement");
        if (i > 0)
            EXPECT(&e, 1, "accepted", "none");
        enclave_fini(&e);
    }
}

TEST(pcrs_have_the_sizes_that_aws_states)
{
    static const struct {
        size_t len;
        bool fits;
    } sizes[] = {{31, false}, {32, true}, {40, false}, {48, true}, {64, true}, {80, false}};
    struct enclave e;

    enclave_init(&e);
    for (size_t i = 0; i < NEO_COUNT(sizes); i++) {
        e.pcr3_len = sizes[i].len;
        if (sizes[i].fits)
            EXPECT(&e, 7, "accepted", "none");
        else
            EXPECT(&e, 7, "nitro.format", "format");
    }
    enclave_fini(&e);
}

TEST(a_debug_enclave_is_refused_whatever_the_policy_says)
{
    struct enclave e;

    for (size_t i = 0; i < NEO_COUNT(e.pcrs); i++) {
        enclave_init(&e);
        memset(e.pcrs[i], 0, sizeof(e.pcrs[i]));
        EXPECT(&e, 7, "nitro.debug", "debug");
        enclave_fini(&e);
    }
}

TEST(the_binder_must_be_there_whole)
{
    struct enclave e;

    enclave_init(&e);
    e.user_data[63] ^= 1;
    EXPECT(&e, 7, "nitro.binder", "binding");
    e.user_data[63] ^= 1;
    e.user_data_len = 63;
    EXPECT(&e, 7, "nitro.binder", "binding");
    e.user_data_len = 0;
    EXPECT(&e, 7, "nitro.binder", "binding");
    enclave_fini(&e);
}

TEST(times_outside_of_certificate_and_skew_are_refused_as_expired)
{
    struct enclave e;

    enclave_init(&e);
    e.timestamp_ms += (3 * 3600 + 301) * 1000;
    EXPECT(&e, 7, "nitro.timestamp", "expired");
    e.timestamp_ms -= 1000;
    EXPECT(&e, 7, "accepted", "none");
    e.timestamp_ms = (uint64_t)(ENCLAVE_NOW + 3600) * 1000; /* our clock is behind */
    EXPECT(&e, 7, "accepted", "none");
    e.timestamp_ms = (uint64_t)(ENCLAVE_NOW - 60 - 301) * 1000;
    EXPECT(&e, 7, "nitro.timestamp", "expired");
    e.timestamp_ms = (uint64_t)ENCLAVE_NOW * 1000;
    enclave_issue(&e, ENCLAVE_AUTHORITIES, ENCLAVE_NOW - 7200, ENCLAVE_NOW - 1);
    EXPECT(&e, 7, "nitro.chain", "expired");
    enclave_issue(&e, ENCLAVE_AUTHORITIES, ENCLAVE_NOW + 1, ENCLAVE_NOW + 7200);
    EXPECT(&e, 7, "nitro.chain", "expired");
    enclave_fini(&e);
}

TEST(a_root_that_is_not_the_pinned_one_is_refused)
{
    struct enclave e, other;

    enclave_init(&e);
    enclave_init(&other);
    struct neo_attest_trust *own = e.trust;
    e.trust = other.trust;
    EXPECT(&e, 7, "nitro.root", "chain");
    e.trust = own;
    enclave_fini(&e);
    enclave_fini(&other);
}

TEST(a_line_with_a_foreign_link_is_refused)
{
    struct enclave e, other;

    enclave_init(&e);
    enclave_init(&other);
    for (size_t i = 1; i <= ENCLAVE_AUTHORITIES; i++) {
        struct neo_buffer own = e.ders[i];
        e.ders[i] = other.ders[i];
        EXPECT(&e, 7, "nitro.chain", "chain");
        e.ders[i] = own;
    }
    enclave_fini(&e);
    enclave_fini(&other);
}

TEST(an_authority_does_not_sign_documents)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer payload = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer document = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer rule = {0};
    struct neo_attest_policies *policies;
    enum neo_attest_reason reason;
    struct enclave e;

    enclave_init(&e);
    enclave_payload(&e, &payload);
    enclave_sign(&e, 2, neo_buffer_bytes(&payload), &document);
    enclave_rule(&e, 1, &rule);
    assert_int_equal(enclave_compile("simulator", (const char *)rule.at, &policies, NULL), NEO_OK);
    const struct asked asked = {e.trust, policies, NEO_EVIDENCE_SIM_NITRO, ENCLAVE_NOW};
    assert_string_equal(verdict(&asked, neo_buffer_bytes(&document), &reason), "nitro.signature");
    neo_attest_policies_unref(policies);
    enclave_fini(&e);
}

TEST(simulated_and_genuine_do_not_stand_in_for_each_other)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer rule = {0};
    struct neo_attest_policies *simulator, *hardware;
    enum neo_attest_reason reason;
    struct enclave e;

    enclave_init(&e);
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer document = enclave_document(&e);
    struct neo_bytes text = neo_buffer_bytes(&document);
    enclave_rule(&e, 1, &rule);
    assert_int_equal(enclave_compile("simulator", (const char *)rule.at, &simulator, NULL), NEO_OK);
    assert_int_equal(enclave_compile("hardware", (const char *)rule.at, &hardware, NULL), NEO_OK);
    struct asked asked = {e.trust, simulator, NEO_EVIDENCE_NITRO, ENCLAVE_NOW};
    assert_string_equal(verdict(&asked, text, &reason), "evidence.kind");
    asked.policies = hardware;
    assert_string_equal(verdict(&asked, text, &reason), "nitro.root"); /* ours is not AWS's */
    asked.kind = NEO_EVIDENCE_SIM_NITRO;
    assert_string_equal(verdict(&asked, text, &reason), "evidence.kind");
    neo_attest_policies_unref(simulator);
    neo_attest_policies_unref(hardware);
    enclave_fini(&e);
}

TEST(no_bit_of_a_document_can_be_changed)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer rule = {0};
    struct neo_attest_policies *policies;
    enum neo_attest_reason reason;
    struct enclave e;

    enclave_init(&e);
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer document = enclave_document(&e);
    enclave_rule(&e, 1, &rule);
    assert_int_equal(enclave_compile("simulator", (const char *)rule.at, &policies, NULL), NEO_OK);
    const struct asked asked = {e.trust, policies, NEO_EVIDENCE_SIM_NITRO, ENCLAVE_NOW};
    for (size_t bit = 0; bit < 8 * document.len; bit += getenv("NEO_EXHAUSTIVE") == NULL ? 5 : 1) {
        document.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
        (void)verdict(&asked, neo_buffer_bytes(&document), &reason);
        document.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_not_equal(reason, NEO_ATTEST_NONE);
    }
    for (size_t len = 0; len < document.len; len += 7) {
        (void)verdict(&asked, neo_bytes(document.at, len), &reason);
        assert_int_equal(reason, NEO_ATTEST_FORMAT);
    }
    assert_string_equal(verdict(&asked, neo_buffer_bytes(&document), &reason), "accepted");
    neo_attest_policies_unref(policies);
    enclave_fini(&e);
}

/* --- form ------------------------------------------------------------------------------------- */

static enum neo_code read_payload(const struct enclave *e, struct neo_bytes payload)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer all = {0};
    struct nitro_document d;

    enclave_sign(e, ENCLAVE_AUTHORITIES, payload, &all);
    return nitro_document_read(neo_buffer_bytes(&all), &d, NULL);
}

TEST(members_that_are_missing_unknown_or_there_twice_are_refused)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer good = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer bad = {0};
    struct enclave e;

    enclave_init(&e);
    enclave_payload(&e, &good);
    assert_int_equal(read_payload(&e, neo_buffer_bytes(&good)), NEO_OK);

    assert_true(neo_buffer_append(&bad, neo_buffer_bytes(&good)));
    bad.at[0] = 0xa8; /* one more */
    enclave_text(&bad, "nonsense");
    enclave_head(&bad, 0, 1);
    assert_int_equal(read_payload(&e, neo_buffer_bytes(&bad)), NEO_INVALID_ARGUMENT);

    bad.len = good.len;
    enclave_text(&bad, "digest");
    enclave_text(&bad, "SHA384");
    assert_int_equal(read_payload(&e, neo_buffer_bytes(&bad)), NEO_INVALID_ARGUMENT);

    bad.len = good.len;
    enclave_text(&bad, "nonce"); /* null is as good as absent */
    assert_true(neo_buffer_append_byte(&bad, 0xf6));
    assert_int_equal(read_payload(&e, neo_buffer_bytes(&bad)), NEO_OK);

    bad.len = good.len;
    bad.at[0] = 0xa7;
    assert_true(neo_buffer_append_byte(&bad, 0)); /* behind the map */
    assert_int_equal(read_payload(&e, neo_buffer_bytes(&bad)), NEO_INVALID_ARGUMENT);

    assert_int_equal(read_payload(&e, NEO_LIT("\xa0")), NEO_INVALID_ARGUMENT);
    assert_int_equal(read_payload(&e, NEO_LIT("\x80")), NEO_INVALID_ARGUMENT);
    enclave_fini(&e);
}

TEST(another_algorithm_and_an_unprotected_header_are_refused)
{
    struct enclave e;
    struct nitro_document d;

    enclave_init(&e);
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer document = enclave_document(&e);
    assert_int_equal(document.at[5], 0x22);
    document.at[5] = 0x06; /* ES256 */
    assert_int_equal(nitro_document_read(neo_buffer_bytes(&document), &d, NULL),
                     NEO_INVALID_ARGUMENT);
    document.at[5] = 0x22;
    assert_int_equal(document.at[6], 0xa0);
    document.at[6] = 0xa1;
    assert_int_equal(nitro_document_read(neo_buffer_bytes(&document), &d, NULL),
                     NEO_INVALID_ARGUMENT);
    document.at[6] = 0xa0;
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer named = {0}; /* well-formed, and not AWS's */
    assert_true(neo_buffer_append(&named, neo_bytes(document.at, 6)));
    assert_true(neo_buffer_append(&named, NEO_LIT("\xa1\x04\x41\x31")));
    assert_true(neo_buffer_append(&named, neo_bytes(document.at + 7, document.len - 7)));
    assert_int_equal(nitro_document_read(neo_buffer_bytes(&named), &d, NULL), NEO_INVALID_ARGUMENT);
    assert_int_equal(nitro_document_read(neo_buffer_bytes(&document), &d, NULL), NEO_OK);
    enclave_fini(&e);
}

/* --- policy ----------------------------------------------------------------------------------- */

TEST(a_policy_without_the_image_or_with_foreign_keys_does_not_load)
{
    static const char *const wrong[][2] = {
        {"", "no code identity"},
        {"        pcr: {}\n", "no code identity"},
        {"        pcr: {1: 00}\n", "48 bytes"},
        {"        pcr: {32: 00}\n", "no PCR"},
        {"        pcr: {01: 00}\n", "no PCR"},
        {"        pcr: {x: 00}\n", "no PCR"},
        {"        measurement: [00]\n", "does not belong to tee nitro"},
        {"        vmpl: 0\n", "does not belong to tee nitro"},
        {"        policy: {smt: any}\n", "does not belong to tee nitro"},
        {"        rim: [00]\n", "does not belong to tee nitro"},
    };

    for (size_t i = 0; i < NEO_COUNT(wrong); i++) {
        struct neo_attest_policies *policies = NULL;
        struct neo_error err;

        assert_int_equal(enclave_compile("hardware", wrong[i][0], &policies, &err),
                         NEO_INVALID_ARGUMENT);
        assert_non_null(strstr(err.message, wrong[i][1]));
        assert_non_null(strstr(err.message, "attest.yaml:"));
        assert_null(policies);
    }
}

/* --- recorded ----------------------------------------------------------------------------------
 */

static const struct recorded {
    const char *file;
    int64_t now;
    const char *check; /* the first that fails, of those that do not ask for our binder */
    enum neo_attest_reason reason;
} recorded[] = {
    /* Their user data are 32 bytes or none: everything holds but the binder. */
    {"nitro/valid_nondebug_nonce_userdata.cbor", 1668034320 + 3600, "nitro.binder",
     NEO_ATTEST_BINDING},
    {"nitro/valid_nondebug_pcr8.cbor", 1665651482 + 3600, "nitro.binder", NEO_ATTEST_BINDING},
    {"nitro/debug_pcr0_zero.cbor", 1665582594 + 3600, "nitro.binder", NEO_ATTEST_BINDING},
    {"nitro/neg_bad_signature.cbor", 1668034320 + 3600, "nitro.signature", NEO_ATTEST_SIGNATURE},
    {"nitro/valid_nondebug_nonce_userdata.cbor", 1668034320 + 4 * 3600, "nitro.chain",
     NEO_ATTEST_EXPIRED},
    {"nitro/valid_nondebug_nonce_userdata.cbor", 1668034320 - 3600, "nitro.chain",
     NEO_ATTEST_EXPIRED},
};

TEST(recorded_documents_are_what_they_are_known_to_be)
{
    struct neo_attest_policies *policies;
    struct neo_attest_trust *trust;
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer rule = {0};
    struct enclave any = {.timestamp_ms = 0};

    if (!vectors_exist())
        skip();
    enclave_rule(&any, 1, &rule);
    assert_int_equal(enclave_compile("hardware", (const char *)rule.at, &policies, NULL), NEO_OK);
    assert_int_equal(neo_attest_trust_new(&(struct neo_attest_trust_options){0}, &trust, NULL),
                     NEO_OK);
    for (size_t i = 0; i < NEO_COUNT(recorded); i++) {
        NEO_CLEANUP(neo_buffer_fini) struct neo_buffer document = vectors_read(recorded[i].file);
        const struct asked asked = {trust, policies, NEO_EVIDENCE_NITRO, recorded[i].now};
        enum neo_attest_reason reason;

        assert_string_equal(verdict(&asked, neo_buffer_bytes(&document), &reason),
                            recorded[i].check);
        assert_int_equal(reason, recorded[i].reason);
    }
    neo_attest_policies_unref(policies);
    neo_attest_trust_unref(trust);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_document_of_our_enclave_is_accepted_with_and_without_its_tag),
        cmocka_unit_test(every_pcr_that_is_asked_for_decides),
        cmocka_unit_test(pcrs_have_the_sizes_that_aws_states),
        cmocka_unit_test(a_debug_enclave_is_refused_whatever_the_policy_says),
        cmocka_unit_test(the_binder_must_be_there_whole),
        cmocka_unit_test(times_outside_of_certificate_and_skew_are_refused_as_expired),
        cmocka_unit_test(a_root_that_is_not_the_pinned_one_is_refused),
        cmocka_unit_test(a_line_with_a_foreign_link_is_refused),
        cmocka_unit_test(an_authority_does_not_sign_documents),
        cmocka_unit_test(simulated_and_genuine_do_not_stand_in_for_each_other),
        cmocka_unit_test(no_bit_of_a_document_can_be_changed),
        cmocka_unit_test(members_that_are_missing_unknown_or_there_twice_are_refused),
        cmocka_unit_test(another_algorithm_and_an_unprotected_header_are_refused),
        cmocka_unit_test(a_policy_without_the_image_or_with_foreign_keys_does_not_load),
        cmocka_unit_test(recorded_documents_are_what_they_are_known_to_be),
    };
    return cmocka_run_group_tests_name("attest/nitro", tests, NULL, NULL);
}
