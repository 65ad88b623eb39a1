/* SPDX-License-Identifier: Apache-2.0 */
/* Azure's confidential machines: on machines of our own making, SEV-SNP and TDX alike. */
#include "cvm.h"

#define EXPECT(c, rest, check, why)                                                                \
    do {                                                                                           \
        enum neo_attest_reason reason_;                                                            \
        assert_string_equal(cvm_ask((c), (rest), &reason_), (check));                              \
        assert_string_equal(neo_attest_reason_text(reason_), (why));                               \
    } while (0)

/* A machine, and the PCRs of a row that fits it. */
struct fixture {
    struct cvm c;
    struct neo_buffer rule;
    const char *pcrs;
};

static void fixture_init(struct fixture *f, bool is_tdx)
{
    *f = (struct fixture){.pcrs = NULL};
    cvm_init(&f->c, is_tdx);
    f->pcrs = cvm_pcrs(&f->c, 7, &f->rule);
}

static void fixture_fini(struct fixture *f)
{
    cvm_fini(&f->c);
    neo_buffer_fini(&f->rule);
}

TEST(every_link_from_the_processor_to_the_channel_fails_at_its_own_check)
{
    for (unsigned tdx = 0; tdx < 2; tdx++) {
        struct fixture f;

        fixture_init(&f, tdx != 0);
        f.c.runtime_changed = true;
        EXPECT(&f.c, f.pcrs, "azure.runtime_data", "signature");
        f.c.runtime_changed = false;
        f.c.signs_with_other = true;
        EXPECT(&f.c, f.pcrs, "azure.quote.signature", "signature");
        f.c.signs_with_other = false;
        f.c.quote_changed = true;
        EXPECT(&f.c, f.pcrs, "azure.quote.signature", "signature");
        f.c.quote_changed = false;
        f.c.signature_changed = true;
        EXPECT(&f.c, f.pcrs, "azure.quote.signature", "signature");
        f.c.signature_changed = false;
        f.c.binder = 0xb2;
        EXPECT(&f.c, f.pcrs, "azure.binder", "binding");
        f.c.binder = 0xb1;
        f.c.pcr_changed = true;
        EXPECT(&f.c, f.pcrs, "azure.pcr_digest", "signature");
        f.c.pcr_changed = false;
        EXPECT(&f.c, f.pcrs, "accepted", "none");
        fixture_fini(&f);
    }
}

TEST(the_hardwares_own_checks_stand_before_all_of_it)
{
    struct fixture snp, tdx;

    fixture_init(&snp, false);
    snp.c.runtime_changed = true; /* would fail, too */
    snp.c.snp.chip.tcb[SNP_MICROCODE]++;
    machine_issue(&snp.c.snp);
    EXPECT(&snp.c, snp.pcrs, "snp.spl", "chain");
    fixture_fini(&snp);

    fixture_init(&tdx, true);
    tdx.c.runtime_changed = true;
    tdx.c.tdx.revoked = KEY_PCK;
    platform_issue(&tdx.c.tdx);
    EXPECT(&tdx.c, tdx.pcrs, "tdx.chain", "revoked");
    fixture_fini(&tdx);
}

TEST(debug_is_refused_whatever_the_policy_says)
{
    struct fixture f;

    fixture_init(&f, false);
    f.c.snp.report.policy |= SNP_POLICY_DEBUG;
    EXPECT(&f.c, f.pcrs, "snp.policy.debug", "debug");
    fixture_fini(&f);
    fixture_init(&f, true);
    f.c.tdx.td_attributes[0] = 1;
    EXPECT(&f.c, f.pcrs, "tdx.debug", "debug");
    fixture_fini(&f);
}

TEST(a_td_report_of_another_td_than_the_quotes_is_refused)
{
    struct fixture f;

    fixture_init(&f, true);
    f.c.td_report_changed = true;
    EXPECT(&f.c, f.pcrs, "azure.td_report", "signature");
    fixture_fini(&f);
}

TEST(versions_and_kinds_that_nobody_knows_are_unsupported)
{
    struct fixture f;

    fixture_init(&f, false);
    f.c.version = 3;
    EXPECT(&f.c, f.pcrs, "azure.format", "unsupported");
    f.c.version = 1;
    EXPECT(&f.c, f.pcrs, "accepted", "none");
    f.c.kind = 3;
    EXPECT(&f.c, f.pcrs, "azure.format", "unsupported");
    f.c.kind = 4;
    EXPECT(&f.c, f.pcrs, "azure.tee", "unsupported");
    f.c.kind = 2;
    f.c.hash = 2;
    EXPECT(&f.c, f.pcrs, "azure.format", "unsupported");
    f.c.hash = 1;
    f.c.runtime_version = 2;
    EXPECT(&f.c, f.pcrs, "azure.format", "unsupported");
    f.c.runtime_version = 1;
    f.c.status = 1;
    EXPECT(&f.c, f.pcrs, "azure.format", "format");
    f.c.status = 0;
    f.c.padding_changed = true;
    EXPECT(&f.c, f.pcrs, "azure.format", "format");
    fixture_fini(&f);
}

TEST(the_quote_may_be_wrapped_its_signature_whole_and_its_log_there)
{
    struct fixture f;

    fixture_init(&f, false);
    f.c.is_tpm2b = true;
    f.c.has_whole_signature = true;
    f.c.has_log = true;
    EXPECT(&f.c, f.pcrs, "accepted", "none");
    memset(f.c.pcrs[1], 0x77, 32); /* not what the log says */
    EXPECT(&f.c, f.pcrs, "azure.event_log", "measurement");
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer others = {0};
    EXPECT(&f.c, cvm_pcrs(&f.c, 5, &others), "accepted", "none");
    fixture_fini(&f);
}

TEST(every_pcr_and_every_setting_that_is_asked_for_decides)
{
    static const struct {
        const char *vm;
        const char *row;
        const char *check;
    } settings[] = {
        {"\"secure-boot\":false,\"tpm-enabled\":true", "", "azure.vm.secure_boot"},
        {"\"tpm-enabled\":true", "", "azure.vm.secure_boot"},
        {"\"secure-boot\":false,\"tpm-enabled\":true",
         "        vm_configuration: {secure_boot: any}\n", "accepted"},
        {"\"secure-boot\":true,\"tpm-enabled\":false", "", "azure.vm.tpm_enabled"},
        {"\"secure-boot\":true,\"tpm-enabled\":true,\"console-enabled\":true",
         "        vm_configuration: {console_enabled: forbid}\n", "azure.vm.console_enabled"},
        {"\"secure-boot\":true,\"tpm-enabled\":true",
         "        vm_configuration: {console_enabled: forbid}\n", "azure.vm.console_enabled"},
        {"\"secure-boot\":true,\"tpm-enabled\":true,\"tpm-persisted\":false",
         "        vm_configuration: {tpm_persisted: require}\n", "azure.vm.tpm_persisted"},
    };
    struct fixture f;

    fixture_init(&f, false);
    for (unsigned i = 0; i < CVM_PCRS; i++) {
        char check[32];
        f.c.pcrs[i][31] ^= 1;
        (void)snprintf(check, sizeof(check), "azure.pcr.%u", i);
        EXPECT(&f.c, f.pcrs, check, "measurement");
        f.c.pcrs[i][31] ^= 1;
    }
    for (size_t i = 0; i < NEO_COUNT(settings); i++) {
        NEO_CLEANUP(neo_buffer_fini) struct neo_buffer row = {0};
        enum neo_attest_reason reason;
        f.c.vm = settings[i].vm;
        assert_true(neo_buffer_printf(&row, "%s%s", f.pcrs, settings[i].row));
        assert_true(neo_buffer_append_byte(&row, 0));
        assert_string_equal(cvm_ask(&f.c, (const char *)row.at, &reason), settings[i].check);
    }
    fixture_fini(&f);
}

/* The paravisor is one for all guests: by its measurement no image could be told from another. */
TEST(the_measurement_is_the_guests_by_the_pcrs_that_the_row_names)
{
    for (unsigned tdx = 0; tdx < 2; tdx++) {
        NEO_CLEANUP(neo_buffer_fini) struct neo_buffer two = {0}, other = {0};
        uint8_t both[64], digest[32];
        struct fixture f;

        fixture_init(&f, tdx != 0);
        (void)cvm_pcrs(&f.c, 5, &two);
        EXPECT(&f.c, (const char *)two.at, "accepted", "none");
        memcpy(both, f.c.pcrs[0], 32);
        memcpy(both + 32, f.c.pcrs[2], 32);
        neo_sha256(neo_bytes(both, sizeof(both)), digest);
        assert_int_equal(f.c.found_len, sizeof(digest));
        assert_memory_equal(f.c.found, digest, sizeof(digest));
        f.c.pcrs[1][0] ^= 1; /* that the row does not name */
        EXPECT(&f.c, (const char *)two.at, "accepted", "none");
        assert_memory_equal(f.c.found, digest, sizeof(digest));
        f.c.pcrs[2][0] ^= 1; /* another image on the same paravisor */
        EXPECT(&f.c, (const char *)two.at, "azure.pcr.2", "measurement");
        assert_int_equal(f.c.found_len, 0);
        (void)cvm_pcrs(&f.c, 5, &other);
        EXPECT(&f.c, (const char *)other.at, "accepted", "none");
        assert_int_equal(f.c.found_len, sizeof(digest));
        assert_memory_not_equal(f.c.found, digest, sizeof(digest));
        fixture_fini(&f);
    }
}

TEST(the_hardwares_row_decides_too)
{
    struct fixture f;

    fixture_init(&f, false);
    f.c.snp.report.vmpl = 1;
    EXPECT(&f.c, f.pcrs, "snp.vmpl", "platform");
    f.c.snp.report.vmpl = 0;
    f.c.snp.report.measurement[0] ^= 1;
    EXPECT(&f.c, f.pcrs, "snp.measurement", "measurement");
    fixture_fini(&f);
    fixture_init(&f, true);
    f.c.tdx.code = 0x4e;
    EXPECT(&f.c, f.pcrs, "tdx.mrtd", "measurement");
    fixture_fini(&f);
}

TEST(runtime_data_without_one_good_key_is_refused)
{
#define KEY "\"kid\":\"HCLAkPub\",\"kty\":\"RSA\",\"e\":\"AQAB\""
    static const struct {
        const char *keys;
        const char *check;
    } wrong[] = {
        {"", "azure.format"},
        {"{}", "azure.format"},
        {"{" KEY "}", "azure.format"},
        {"{\"kid\":\"HCLAkPub\",\"kty\":\"EC\",\"e\":\"AQAB\",\"n\":\"AQAB\"}", "azure.format"},
        {"{" KEY ",\"n\":\"AQAB\"},{" KEY ",\"n\":\"AQAB\"}", "azure.format"},
        {"{" KEY ",\"n\":\"!\"}", "azure.format"},
        {"{" KEY ",\"n\":\"AQAB\"}", "azure.format"}, /* a signature that is no structure either */
        {"1", "azure.format"},
    };
    struct fixture f;

    fixture_init(&f, false);
    for (size_t i = 0; i < NEO_COUNT(wrong); i++) {
        f.c.keys = wrong[i].keys;
        EXPECT(&f.c, f.pcrs, wrong[i].check, "format");
    }
    f.c.keys = "{" KEY ",\"n\":\"AQAB\"}"; /* 24 bits */
    f.c.has_whole_signature = true;
    EXPECT(&f.c, f.pcrs, "azure.key", "signature");
    fixture_fini(&f);
}

TEST(rows_without_a_pcr_or_without_the_hardwares_identity_do_not_load)
{
#define HEX32 "1111111111111111111111111111111111111111111111111111111111111111"
    static const char *const wrong[][2] = {
        {"", "pcr_sha256"},
        {"        pcr_sha256: {}\n", "pcr_sha256"},
        {"        pcr_sha256: {0: []}\n", "empty"},
        {"        pcr_sha256: {24: [\"00\"]}\n", "0 to 23"},
        {"        pcr_sha256: {23: [\"" HEX32 "\"]}\n", "PCR 16 to 23 can be reset"},
        {"        ak: {names: [\"00\"]}\n", "does not belong"},
        {"        vm_configuration: {secure_boot: maybe}\n", "require, forbid or any"},
        {"        vm_configuration: {other: any}\n", "other"},
    };
    struct cvm c = {.is_tdx = false};
    struct neo_error err;

    for (size_t i = 0; i < NEO_COUNT(wrong); i++) {
        NEO_CLEANUP(neo_buffer_fini) struct neo_buffer row = {0};
        struct neo_attest_policies *policies = NULL;
        bool has_pcrs = i < 6;
        memset(c.pcrs, 0x11, sizeof(c.pcrs));
        if (!has_pcrs)
            (void)cvm_pcrs(&c, 1, &row);
        assert_true(neo_buffer_append_text(&row, wrong[i][0]));
        assert_true(neo_buffer_append_byte(&row, 0));
        assert_int_equal(cvm_compile(&c, (const char *)row.at, &policies, &err),
                         NEO_INVALID_ARGUMENT);
        if (strstr(err.message, wrong[i][1]) == NULL)
            fail_msg("%s: %s", wrong[i][1], err.message);
    }
    static const char text[] = "attestation_policies:\n  a:\n    require: hardware\n    any_of:\n"
                               "      - {tee: azure-snp, pcr_sha256: {0: [\"00\"]}}\n";
    const struct neo_document document = {NEO_LIT("attest.yaml"), NEO_LIT(text)};
    struct neo_attest_policies *policies = NULL;
    assert_int_equal(neo_attest_policies_compile(&document, 1, false, &policies, &err),
                     NEO_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "no code identity"));
}

TEST(simulated_and_genuine_do_not_stand_in_for_each_other)
{
    struct fixture f;
    enum neo_attest_reason reason;
    struct neo_attest_policies *policies;

    fixture_init(&f, false);
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer body = cvm_evidence(&f.c);
    assert_int_equal(cvm_compile(&f.c, f.pcrs, &policies, NULL), NEO_OK);
    assert_string_equal(
        cvm_judge(&f.c, neo_buffer_bytes(&body), NEO_EVIDENCE_AZURE_SNP, policies, &reason),
        "evidence.kind");
    assert_int_equal(neo_evidence_guess(neo_buffer_bytes(&body)), NEO_EVIDENCE_AZURE_SNP);
    neo_attest_policies_unref(policies);
    fixture_fini(&f);
}

/* Where a run of bytes stands in evidence. */
static size_t find(const struct neo_buffer *body, struct neo_bytes part)
{
    const uint8_t *at = memmem(body->at, body->len, part.at, part.len);

    assert_non_null(at);
    return (size_t)(at - body->at);
}

/* Every bit of the two links that are ours to check; the report's are tested where reports are. */
static void flip_every_bit(struct azure_hcl *hcl, struct azure_evidence *e)
{
    struct tpm_quote quote = {.n_banks = 0};
    struct vendor_public *ak;
    uint8_t digest[32];

    for (size_t bit = 0; bit < 8 * hcl->runtime.len; bit++) {
        uint8_t *at = (uint8_t *)(uintptr_t)hcl->runtime.at + bit / 8;
        *at ^= (uint8_t)(1u << bit % 8);
        neo_sha256(hcl->runtime, digest);
        assert_memory_not_equal(digest, hcl->report.at + 0x50, sizeof(digest));
        *at ^= (uint8_t)(1u << bit % 8);
    }
    assert_int_equal(vendor_public_rsa(hcl->modulus, hcl->exponent, &ak, NULL), NEO_OK);
    assert_int_equal(tpm_attest_read(e->attest, &quote, NULL), NEO_OK);
    quote.signature = (struct vendor_parts){VENDOR_RSASSA, VENDOR_SHA256, e->signature, {0}};
    assert_true(vendor_public_verify(ak, e->attest, &quote.signature));
    for (size_t bit = 0; bit < 8 * e->attest.len; bit++) {
        uint8_t *at = (uint8_t *)(uintptr_t)e->attest.at + bit / 8;
        *at ^= (uint8_t)(1u << bit % 8);
        assert_false(vendor_public_verify(ak, e->attest, &quote.signature));
        *at ^= (uint8_t)(1u << bit % 8);
    }
    vendor_public_free(ak);
}

TEST(no_bit_of_what_is_signed_can_be_changed_and_no_evidence_cut)
{
    struct fixture f;
    enum neo_attest_reason reason;
    struct neo_attest_policies *policies;
    struct azure_evidence e;
    struct azure_hcl hcl;
    NEO_CLEANUP(neo_arena_fini) struct neo_arena arena = {0};

    fixture_init(&f, false);
    cvm_know_certificates(&f.c);
    neo_arena_init(&arena, 1 << 20);
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer body = cvm_evidence(&f.c);
    assert_int_equal(cvm_compile(&f.c, f.pcrs, &policies, NULL), NEO_OK);
    assert_int_equal(azure_evidence_read(neo_buffer_bytes(&body), &e, NULL), NEO_OK);
    assert_int_equal(azure_hcl_read(e.hcl, &arena, &hcl, NULL), NEO_OK);
    const struct {
        struct neo_bytes part;
        size_t step;
    } regions[] = {{neo_bytes(hcl.report.at, 672), 31},
                   {hcl.runtime, 31},
                   {e.attest, 13},
                   {e.signature, 31},
                   {e.pcrs, 13}};
    flip_every_bit(&hcl, &e);
    for (size_t i = 0; i < NEO_COUNT(regions); i++) {
        size_t from = find(&body, regions[i].part);
        for (size_t bit = 0; bit < 8 * regions[i].part.len; bit += regions[i].step) {
            uint8_t *at = &body.at[from + bit / 8];
            *at ^= (uint8_t)(1u << bit % 8);
            (void)cvm_judge(&f.c, neo_buffer_bytes(&body), cvm_kind(&f.c), policies, &reason);
            *at ^= (uint8_t)(1u << bit % 8);
            assert_int_not_equal(reason, NEO_ATTEST_NONE);
        }
    }
    for (size_t len = 0; len < body.len; len += 97) {
        assert_string_equal(
            cvm_judge(&f.c, neo_bytes(body.at, len), cvm_kind(&f.c), policies, &reason),
            "azure.format");
    }
    assert_string_equal(cvm_judge(&f.c, neo_buffer_bytes(&body), cvm_kind(&f.c), policies, &reason),
                        "accepted");
    neo_attest_policies_unref(policies);
    fixture_fini(&f);
}

TEST(parts_that_are_missing_or_foreign_are_not_packed)
{
    struct neo_bytes parts[NEO_EVIDENCE_PARTS_N] = {{0}};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer out = {0};
    struct neo_error err;

    assert_int_equal(neo_evidence_pack(NEO_EVIDENCE_SNP, parts, &out, &err), NEO_INVALID_ARGUMENT);
    for (size_t i = 0; i < NEO_EVIDENCE_PARTS_N; i++)
        parts[i] = NEO_LIT("x");
    assert_int_equal(neo_evidence_pack(NEO_EVIDENCE_AZURE_SNP, parts, &out, &err),
                     NEO_INVALID_ARGUMENT);
    parts[NEO_PART_KEY] = (struct neo_bytes){0};
    assert_int_equal(neo_evidence_pack(NEO_EVIDENCE_AZURE_SNP, parts, &out, &err),
                     NEO_INVALID_ARGUMENT); /* the TD's quote */
    assert_int_equal(neo_evidence_pack(NEO_EVIDENCE_AZURE_TDX, parts, &out, &err), NEO_OK);
    parts[NEO_PART_LOG] = (struct neo_bytes){0};
    assert_int_equal(neo_evidence_pack(NEO_EVIDENCE_AZURE_TDX, parts, &out, &err), NEO_OK);
    parts[NEO_PART_PCRS] = (struct neo_bytes){0};
    assert_int_equal(neo_evidence_pack(NEO_EVIDENCE_AZURE_TDX, parts, &out, &err),
                     NEO_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "pcrs"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_link_from_the_processor_to_the_channel_fails_at_its_own_check),
        cmocka_unit_test(the_hardwares_own_checks_stand_before_all_of_it),
        cmocka_unit_test(debug_is_refused_whatever_the_policy_says),
        cmocka_unit_test(a_td_report_of_another_td_than_the_quotes_is_refused),
        cmocka_unit_test(versions_and_kinds_that_nobody_knows_are_unsupported),
        cmocka_unit_test(the_quote_may_be_wrapped_its_signature_whole_and_its_log_there),
        cmocka_unit_test(every_pcr_and_every_setting_that_is_asked_for_decides),
        cmocka_unit_test(the_measurement_is_the_guests_by_the_pcrs_that_the_row_names),
        cmocka_unit_test(the_hardwares_row_decides_too),
        cmocka_unit_test(runtime_data_without_one_good_key_is_refused),
        cmocka_unit_test(rows_without_a_pcr_or_without_the_hardwares_identity_do_not_load),
        cmocka_unit_test(simulated_and_genuine_do_not_stand_in_for_each_other),
        cmocka_unit_test(no_bit_of_what_is_signed_can_be_changed_and_no_evidence_cut),
        cmocka_unit_test(parts_that_are_missing_or_foreign_are_not_packed),
    };
    return cmocka_run_group_tests_name("attest/azure", tests, machine_setup, machine_teardown);
}
