/* SPDX-License-Identifier: Apache-2.0 */
/* Reference values of other tools, made into rows: every row that is whole loads. */
#include "enclave.h"

#include <neo/attest_policy.h>
#include <neo/encoding.h>
#include <neo/reference.h>

#define HEX16(b) b b b b b b b b b b b b b b b b
#define HEX48(b) HEX16(b) HEX16(b) HEX16(b)

static struct neo_buffer import(enum neo_reference_form form, struct neo_bytes text)
{
    struct neo_buffer out = {0};
    struct neo_error err;

    if (neo_reference_import(form, text, NEO_LIT("key-service"), &out, &err) != NEO_OK)
        fail_msg("%s", err.message);
    assert_true(neo_buffer_append_byte(&out, 0));
    out.len--;
    return out;
}

/* What the row says when it was loaded: "pcr.0" of row 0. */
static void expect_row(struct neo_bytes yaml, const char *tee, const char *key, const char *value)
{
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};
    const struct neo_document document = {NEO_LIT("row.yaml"), yaml};
    const struct neo_attest_service *services;
    struct neo_attest_policies *policies;
    struct neo_error err;
    size_t n;

    if (neo_attest_policies_compile(&document, 1, false, &policies, &err) != NEO_OK)
        fail_msg("%s", err.message);
    neo_arena_init(&arena, 1 << 20);
    assert_int_equal(neo_attest_policies_list(policies, &arena, &services, &n, NULL), NEO_OK);
    assert_int_equal(n, 1);
    const struct neo_attest_row *row = &services[0].rows[0];
    assert_string_equal(row->tee, tee);
    bool found = false;
    for (size_t i = 0; i < row->n_given; i++)
        found = found ||
                (strcmp(row->given[i].name, key) == 0 && neo_bytes_is(row->given[i].value, value));
    if (!found)
        fail_msg("%s: no %s: %s", tee, key, value);
    neo_attest_policies_unref(policies);
}

static void refuse(enum neo_reference_form form, struct neo_bytes text, const char *why)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer out = {0};
    struct neo_error err;

    assert_int_equal(neo_reference_import(form, text, NEO_LIT("a"), &out, &err),
                     NEO_INVALID_ARGUMENT);
    if (strstr(err.message, why) == NULL)
        fail_msg("%s: %s", why, err.message);
    assert_int_equal(out.len, 0);
}

TEST(shapes_that_nobody_knows_are_refused_with_what_was_expected)
{
    static const char *const wrong[] = {"",          "{}",     "[]", "x", "{\"PCR0\":1}",
                                        HEX16("00"), "{\"a\":"};

    for (size_t i = 0; i < NEO_COUNT(wrong); i++) {
        for (unsigned form = 0; form < NEO_REFERENCE_FORMS_N; form++)
            refuse((enum neo_reference_form)form, neo_text(wrong[i]), "");
    }
    refuse(NEO_REFERENCE_SEV_SNP_MEASURE, NEO_LIT("00"), "96 hex digits");
    refuse(NEO_REFERENCE_TD_SHIM, NEO_LIT("{}"), "rtmr0 to rtmr3");
    refuse(NEO_REFERENCE_TD_SHIM, NEO_LIT("{\"mrtd\":\"00\"}"), "96 hex digits");
    refuse(NEO_REFERENCE_CCEL, NEO_LIT("{}"), "CC event log");
    refuse(NEO_REFERENCE_NITRO_CLI, NEO_LIT("{\"Measurements\":{}}"), "\"PCR0\"");
    refuse(NEO_REFERENCE_NITRO_CLI, NEO_LIT("{\"Measurements\":{\"PCR0\":\"00\"}}"), "96 hex");
    refuse(NEO_REFERENCE_CORIM, NEO_LIT("\xd9\x01\xf5\xa0"), "a CoRIM");
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer out = {0};
    assert_int_equal(neo_reference_import(NEO_REFERENCE_SEV_SNP_MEASURE, NEO_LIT(HEX48("4d")),
                                          NEO_LIT("No Service"), &out, NULL),
                     NEO_INVALID_ARGUMENT);
}

TEST(a_launch_digest_comes_as_hex_base64_and_json)
{
    static const char *const forms[] = {
        HEX48("4d"),
        HEX48("4D") "\n",
        "Calculated SNP Launch Digest: " HEX48("4d") "\n",
        "TU1NTU1NTU1NTU1NTU1NTU1NTU1NTU1NTU1NTU1NTU1NTU1NTU1NTU1NTU1NTU1N\n",
        "{\"launch_digest\": \"" HEX48("4d") "\", \"vcpus\": 4}",
        "{\"measurement\": \"" HEX48("4d") "\"}",
    };

    for (size_t i = 0; i < NEO_COUNT(forms); i++) {
        NEO_CLEANUP(neo_buffer_fini)
        struct neo_buffer yaml = import(NEO_REFERENCE_SEV_SNP_MEASURE, neo_text(forms[i]));
        expect_row(neo_buffer_bytes(&yaml), "sev-snp", "measurement", HEX48("4d"));
    }
}

TEST(nitro_measurements_become_pcrs)
{
    NEO_CLEANUP(neo_buffer_fini)
    struct neo_buffer yaml = import(
        NEO_REFERENCE_NITRO_CLI,
        NEO_LIT("Start building the Enclave Image...\n{\n  \"Measurements\": {\n"
                "    \"HashAlgorithm\": \"Sha384 { ... }\",\n    \"PCR0\": "
                "\"" HEX48("a0") "\",\n    \"PCR1\": \"" HEX48("a1") "\",\n    \"PCR2\": \"" HEX48(
                    "a2") "\",\n    "
                          "\"PCR8\": "
                          "\"" HEX48("a8") "\"\n  }\n}\n"));

    expect_row(neo_buffer_bytes(&yaml), "nitro", "pcr.0", HEX48("a0"));
    expect_row(neo_buffer_bytes(&yaml), "nitro", "pcr.8", HEX48("a8"));
}

#define HEX20(x) x x x x x x x x x x x x x x x x x x x x
#define HEX32(x) HEX20(x) x x x x x x x x x x x x

TEST(a_list_of_pcrs_becomes_a_row_of_the_strongest_common_bank)
{
#define SHA1   "  sha1:\n    0 : 0x" HEX20("a1") "\n    16: 0x" HEX20("A2") "\n"
#define SHA256 "  sha256:\n    0 : 0x" HEX32("b1") "\n    23: 0x" HEX32("B2") "\n"
#define SHA384 "  sha384:\n    7 : 0x" HEX48("c1") "\n"
    static const struct {
        const char *text;
        const char *says[3];
    } lists[] = {
        {SHA1 SHA256 SHA384, {"pcr_sha256:", "23: [\"" HEX32("b2"), "# add ak"}},
        {SHA1 "  sha256:\n" SHA384, {"pcr_sha384:", "7: [\"" HEX48("c1"), "# add ak"}},
        {SHA1, {"pcr_sha1:", "16: [\"" HEX20("a2"), "accept_sha1: true"}},
    };
    static const char *const wrong[] = {
        "",
        "  sha256:\n",
        "  sha256:\n    24: 0x" HEX32("b1") "\n",
        "  sha256:\n    0 : 0x" HEX20("b1") "\n" SHA384,
        "  sha256:\n    0 : 0x" HEX32("b1") "\n    1 : 0x" HEX20("b1") "\n",
        "  sha256:\n    0 : 0x" HEX32("bx") "\n",
        "  sha256:\n    0 0x" HEX32("b1") "\n",
        "  sm3_256:\n    0 : 0x" HEX32("b1") "\n",
    };

    for (size_t i = 0; i < NEO_COUNT(lists); i++) {
        NEO_CLEANUP(neo_buffer_fini)
        struct neo_buffer yaml = import(NEO_REFERENCE_TPM2_PCRREAD, neo_text(lists[i].text));
        assert_true(neo_buffer_append_byte(&yaml, 0));
        assert_non_null(strstr((const char *)yaml.at, "require: hardware-or-tpm"));
        for (size_t k = 0; k < NEO_COUNT(lists[i].says); k++) {
            if (strstr((const char *)yaml.at, lists[i].says[k]) == NULL)
                fail_msg("no %s in %s", lists[i].says[k], (const char *)yaml.at);
        }
    }
    for (size_t i = 0; i < NEO_COUNT(wrong); i++)
        refuse(NEO_REFERENCE_TPM2_PCRREAD, neo_text(wrong[i]), "tpm2_pcrread");
}

TEST(td_values_become_a_row_that_says_what_is_missing)
{
    NEO_CLEANUP(neo_buffer_fini)
    struct neo_buffer whole = import(
        NEO_REFERENCE_TD_SHIM,
        NEO_LIT("{\"MRTD\":\"0x" HEX48("0d") "\",\"rtmr_0\":\"" HEX48("10") "\",\"RTMR3\":\"" HEX48(
            "13") "\",\"mrseam\":\"" HEX48("5e") "\",\"svn\":3}"));
    expect_row(neo_buffer_bytes(&whole), "tdx", "mrtd", HEX48("0d"));
    expect_row(neo_buffer_bytes(&whole), "tdx", "rtmr.0", HEX48("10"));
    expect_row(neo_buffer_bytes(&whole), "tdx", "rtmr.3", HEX48("13"));
    expect_row(neo_buffer_bytes(&whole), "tdx", "mrseam", HEX48("5e"));

    NEO_CLEANUP(neo_buffer_fini)
    struct neo_buffer part = import(
        NEO_REFERENCE_TD_SHIM, NEO_LIT("{\"rtmr\":[\"" HEX48("10") "\",\"" HEX48("11") "\"]}"));
    assert_non_null(strstr((const char *)part.at, "# add mrtd"));
    assert_non_null(strstr((const char *)part.at, "1: [\"" HEX48("11")));
}

/* --- event logs ------------------------------------------------------------------------------- */

static void le(struct neo_buffer *out, uint64_t value, size_t width)
{
    for (size_t i = 0; i < width; i++)
        assert_true(neo_buffer_append_byte(out, (uint8_t)(value >> (8 * i))));
}

static void fill(struct neo_buffer *out, uint8_t value, size_t n)
{
    while (n-- > 0)
        assert_true(neo_buffer_append_byte(out, value));
}

/* One event for each of `registers`, its digest full of the register's number. */
static struct neo_buffer ccel_of(const uint8_t *registers, size_t n, uint8_t padding)
{
    struct neo_buffer out = {0};

    le(&out, 1, 4);
    le(&out, 3, 4);
    fill(&out, 0, 20);
    le(&out, 16 + 8 + 4 + 4 + 1, 4);
    assert_true(neo_buffer_append(&out, neo_bytes("Spec ID Event03", 16)));
    le(&out, 0, 8);
    le(&out, 1, 4);
    le(&out, 0x0c, 2);
    le(&out, 48, 2);
    le(&out, 0, 1);
    for (size_t i = 0; i < n; i++) {
        le(&out, registers[i], 4);
        le(&out, 8, 4);
        le(&out, 1, 4);
        le(&out, 0x0c, 2);
        fill(&out, registers[i], 48);
        le(&out, 0, 4);
    }
    fill(&out, padding, 4096);
    return out;
}

TEST(an_event_log_replays_to_rtmrs_whatever_fills_the_rest_of_its_area)
{
    static const uint8_t registers[] = {1, 3};
    static const uint8_t paddings[] = {0x00, 0xff};
    uint8_t both[96] = {0}, rtmr[48];
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer hex = {0};

    memset(both + 48, 3, 48);
    neo_sha384(neo_bytes(both, sizeof(both)), rtmr);
    assert_true(neo_hex_encode(&hex, neo_bytes(rtmr, sizeof(rtmr))));
    assert_true(neo_buffer_append_byte(&hex, 0));
    for (size_t i = 0; i < NEO_COUNT(paddings); i++) {
        NEO_CLEANUP(neo_buffer_fini) struct neo_buffer log = ccel_of(registers, 2, paddings[i]);
        NEO_CLEANUP(neo_buffer_fini)
        struct neo_buffer yaml = import(NEO_REFERENCE_CCEL, neo_buffer_bytes(&log));
        assert_non_null(strstr((const char *)yaml.at, (const char *)hex.at)); /* RTMR 2 */
        assert_non_null(strstr((const char *)yaml.at, "          0: "));
        assert_null(strstr((const char *)yaml.at, "          1: "));
        log.at[log.len - 1] ^= 1;
        refuse(NEO_REFERENCE_CCEL, neo_buffer_bytes(&log), "CC event log");
    }
}

/* --- CoRIM ------------------------------------------------------------------------------------ */

static void digests(struct neo_buffer *out, uint8_t value, size_t len)
{
    uint8_t bytes[64];

    memset(bytes, value, sizeof(bytes));
    enclave_head(out, 4, 1);
    enclave_head(out, 4, 2);
    enclave_head(out, 0, 7);
    enclave_bytes(out, neo_bytes(bytes, len));
}

/* {0: key, 1: {2: digests}} */
static void measurement(struct neo_buffer *out, const char *key, uint8_t value, size_t len)
{
    enclave_head(out, 5, key == NULL ? 1 : 2);
    if (key != NULL) {
        enclave_head(out, 0, 0);
        enclave_text(out, key);
    }
    enclave_head(out, 0, 1);
    enclave_head(out, 5, 1);
    enclave_head(out, 0, 2);
    digests(out, value, len);
}

static void triple(struct neo_buffer *out, const char *vendor, const char *model, size_t n)
{
    enclave_head(out, 4, 2);
    enclave_head(out, 5, 1); /* environment */
    enclave_head(out, 0, 0);
    enclave_head(out, 5, 2); /* class */
    enclave_head(out, 0, 1);
    enclave_text(out, vendor);
    enclave_head(out, 0, 2);
    enclave_text(out, model);
    enclave_head(out, 4, n);
}

/* A tag of one concise MID; the whole unsigned, or as a COSE_Sign1's payload. */
static struct neo_buffer corim_of(struct neo_bytes triples, uint64_t n, bool is_signed)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer comid = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer map = {0};
    struct neo_buffer out = {0};

    enclave_head(&comid, 5, 2);
    enclave_head(&comid, 0, 1);
    enclave_text(&comid, "identity");
    enclave_head(&comid, 0, 4);
    enclave_head(&comid, 5, 1);
    enclave_head(&comid, 0, 0);
    enclave_head(&comid, 4, n);
    assert_true(neo_buffer_append(&comid, triples));
    enclave_head(&map, 6, 501);
    enclave_head(&map, 5, 2);
    enclave_head(&map, 0, 0);
    enclave_text(&map, "id");
    enclave_head(&map, 0, 1);
    enclave_head(&map, 4, 1);
    enclave_head(&map, 6, 506);
    enclave_bytes(&map, neo_buffer_bytes(&comid));
    if (!is_signed) {
        assert_true(neo_buffer_append(&out, neo_buffer_bytes(&map)));
        return out;
    }
    enclave_head(&out, 6, 18);
    enclave_head(&out, 4, 4);
    enclave_bytes(&out, NEO_LIT("\xa1\x01\x26"));
    enclave_head(&out, 5, 0);
    enclave_bytes(&out, neo_buffer_bytes(&map));
    enclave_bytes(&out, NEO_LIT("signature"));
    return out;
}

TEST(digests_of_a_corim_become_rows_by_the_makers_name)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer triples = {0};

    triple(&triples, "Intel Corporation", "TDX TD", 3);
    measurement(&triples, "mrtd", 0x0d, 48);
    measurement(&triples, "RTMR1", 0x11, 48);
    measurement(&triples, "other", 0x66, 48); /* nobody's key */
    for (unsigned is_signed = 0; is_signed < 2; is_signed++) {
        NEO_CLEANUP(neo_buffer_fini)
        struct neo_buffer corim = corim_of(neo_buffer_bytes(&triples), 1, is_signed != 0);
        NEO_CLEANUP(neo_buffer_fini)
        struct neo_buffer yaml = import(NEO_REFERENCE_CORIM, neo_buffer_bytes(&corim));
        expect_row(neo_buffer_bytes(&yaml), "tdx", "mrtd", HEX48("0d"));
        expect_row(neo_buffer_bytes(&yaml), "tdx", "rtmr.1", HEX48("11"));
        assert_null(strstr((const char *)yaml.at, "6666"));
        for (size_t len = 0; len < corim.len; len++) { /* cut anywhere: refused, or less */
            NEO_CLEANUP(neo_buffer_fini) struct neo_buffer out = {0};
            (void)!neo_reference_import(NEO_REFERENCE_CORIM, neo_bytes(corim.at, len), NEO_LIT("a"),
                                        &out, NULL);
        }
    }
    neo_buffer_clear(&triples);
    triple(&triples, "AMD", "SEV-SNP", 1);
    measurement(&triples, NULL, 0x4d, 48);
    NEO_CLEANUP(neo_buffer_fini)
    struct neo_buffer amd = corim_of(neo_buffer_bytes(&triples), 1, false);
    NEO_CLEANUP(neo_buffer_fini)
    struct neo_buffer yaml = import(NEO_REFERENCE_CORIM, neo_buffer_bytes(&amd));
    expect_row(neo_buffer_bytes(&yaml), "sev-snp", "measurement", HEX48("4d"));
    neo_buffer_clear(&triples);
    triple(&triples, "ACME", "Roadrunner", 1);
    measurement(&triples, NULL, 0x4d, 48);
    NEO_CLEANUP(neo_buffer_fini)
    struct neo_buffer acme = corim_of(neo_buffer_bytes(&triples), 1, false);
    refuse(NEO_REFERENCE_CORIM, neo_buffer_bytes(&acme), "TEE that is known");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes_that_nobody_knows_are_refused_with_what_was_expected),
        cmocka_unit_test(a_launch_digest_comes_as_hex_base64_and_json),
        cmocka_unit_test(nitro_measurements_become_pcrs),
        cmocka_unit_test(a_list_of_pcrs_becomes_a_row_of_the_strongest_common_bank),
        cmocka_unit_test(td_values_become_a_row_that_says_what_is_missing),
        cmocka_unit_test(an_event_log_replays_to_rtmrs_whatever_fills_the_rest_of_its_area),
        cmocka_unit_test(digests_of_a_corim_become_rows_by_the_makers_name),
    };
    return cmocka_run_group_tests_name("attest/reference", tests, NULL, NULL);
}
