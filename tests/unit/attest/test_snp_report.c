/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "attest/sim.h"

static const uint8_t tcb[SNP_COMPONENTS] = {
    [SNP_BOOTLOADER] = 4, [SNP_TEE] = 1, [SNP_SNP] = 20, [SNP_MICROCODE] = 200, [SNP_FMC] = 2};

static struct snp_report example(uint64_t version)
{
    struct snp_report r;
    uint8_t hwid[SNP_CHIP_ID_LEN];

    memset(hwid, 0xc1, sizeof(hwid));
    sim_report_init(&r, &snp_products[1], tcb, hwid);
    r.version = version;
    if (version < 3)
        r.cpu_family = r.cpu_model = r.cpu_stepping = 0;
    return r;
}

static enum neo_code read(const uint8_t *bytes, size_t len)
{
    struct snp_report r;

    return snp_report_read(neo_bytes(bytes, len), &r, NULL);
}

TEST(a_report_is_1184_bytes_and_no_other_number)
{
    const struct snp_report r = example(3);
    uint8_t bytes[SNP_REPORT_LEN + 1] = {0};

    snp_report_write(&r, bytes);
    for (size_t len = 0; len <= sizeof(bytes); len++)
        assert_int_equal(read(bytes, len), len == SNP_REPORT_LEN ? NEO_OK : NEO_INVALID_ARGUMENT);
}

TEST(what_was_written_reads_as_it_was)
{
    static const uint64_t versions[] = {2, 3, 5};

    for (size_t i = 0; i < NEO_COUNT(versions); i++) {
        struct snp_report in = example(versions[i]), out;
        uint8_t bytes[SNP_REPORT_LEN], again[SNP_REPORT_LEN];
        in.guest_svn = 0xfffffffe;
        in.current_mitigations = in.launch_mitigations =
            versions[i] == 5 ? UINT64_C(0x8000000000000001) : 0;
        in.vmpl = 3;
        for (size_t b = 0; b < sizeof(in.report_data); b++)
            in.report_data[b] = (uint8_t)(b * 37 + 1);
        for (size_t b = 0; b < sizeof(in.signature.s); b++)
            in.signature.s[b] = (uint8_t)(b * 91 + 5);
        snp_report_write(&in, bytes);
        assert_memory_equal(bytes + 0x050, in.report_data, sizeof(in.report_data));
        assert_memory_equal(bytes + 0x2e8, in.signature.s, sizeof(in.signature.s));
        assert_memory_equal(bytes + 0x004, "\xfe\xff\xff\xff", 4);
        assert_int_equal(snp_report_read(neo_bytes(bytes, sizeof(bytes)), &out, NULL), NEO_OK);
        assert_memory_equal(&in, &out, sizeof(in));
        snp_report_write(&out, again);
        assert_memory_equal(bytes, again, sizeof(bytes));
    }
}

/* The map of AMD 56860, from the other end: these ranges, and no byte else, may be set. */
TEST(every_byte_that_a_version_does_not_define_must_be_zero)
{
    static const struct {
        size_t from, to;
        uint64_t since;
    } defined[] = {
        {0x000, 0x04c, 2}, {0x050, 0x188, 2}, {0x188, 0x18b, 3},
        {0x1a0, 0x1eb, 2}, {0x1ec, 0x1ef, 2}, {0x1f0, 0x1f8, 2},
        {0x1f8, 0x208, 5}, {0x2a0, 0x2d0, 2}, {0x2e8, 0x318, 2},
    };
    static const uint64_t versions[] = {2, 3, 5};

    for (size_t v = 0; v < NEO_COUNT(versions); v++) {
        const struct snp_report r = example(versions[v]);
        uint8_t bytes[SNP_REPORT_LEN];
        snp_report_write(&r, bytes);
        for (size_t at = 0; at < SNP_REPORT_LEN; at++) {
            bool is_defined = false;
            for (size_t i = 0; i < NEO_COUNT(defined); i++)
                is_defined = is_defined || (at >= defined[i].from && at < defined[i].to &&
                                            versions[v] >= defined[i].since);
            if (is_defined)
                continue;
            assert_int_equal(bytes[at], 0);
            bytes[at] = 0x80;
            assert_int_equal(read(bytes, sizeof(bytes)), NEO_INVALID_ARGUMENT);
            bytes[at] = 0;
        }
        assert_int_equal(read(bytes, sizeof(bytes)), NEO_OK);
    }
}

TEST(what_a_version_does_not_have_is_not_written)
{
    struct snp_report r = example(3);
    uint8_t bytes[SNP_REPORT_LEN];

    r.version = 2;
    r.current_mitigations = 7;
    snp_report_write(&r, bytes);
    assert_int_equal(bytes[0x188], 0);
    assert_int_equal(bytes[0x200], 0);
}

TEST(versions_and_header_values_that_nobody_knows_are_refused)
{
    static const struct {
        size_t offset;
        const char *bytes;
    } wrong[] = {
        {0x000, "\x00\x00\x00\x00"}, {0x000, "\x01\x00\x00\x00"}, {0x000, "\x04\x00\x00\x00"},
        {0x000, "\x06\x00\x00\x00"}, {0x000, "\x03\x00\x00\x01"}, {0x034, "\x00\x00\x00\x00"},
        {0x034, "\x02\x00\x00\x00"}, {0x048, "\x08\x00\x00\x00"}, /* signing key 2 */
        {0x048, "\x1c\x00\x00\x00"},                              /* none */
        {0x048, "\x20\x00\x00\x00"}, {0x048, "\x00\x00\x00\x80"}, {0x030, "\x04\x00\x00\x00"},
        {0x030, "\xff\xff\xff\xff"}, /* asked for by the host */
    };
    const struct snp_report r = example(3);
    uint8_t bytes[SNP_REPORT_LEN];

    for (size_t i = 0; i < NEO_COUNT(wrong); i++) {
        snp_report_write(&r, bytes);
        memcpy(bytes + wrong[i].offset, wrong[i].bytes, 4);
        bool is_newer = wrong[i].offset == 0 && wrong[i].bytes[0] > 3;
        assert_int_equal(read(bytes, sizeof(bytes)),
                         is_newer ? NEO_UNIMPLEMENTED : NEO_INVALID_ARGUMENT);
    }
}

TEST(reserved_bits_of_policy_and_platform_are_held)
{
    struct snp_report r = example(3);
    uint8_t bytes[SNP_REPORT_LEN];

    r.policy &= ~SNP_POLICY_RESERVED_ONE;
    snp_report_write(&r, bytes);
    assert_int_equal(read(bytes, sizeof(bytes)), NEO_INVALID_ARGUMENT);
    for (unsigned bit = 26; bit < 64; bit++) {
        r = example(3);
        r.policy |= UINT64_C(1) << bit;
        snp_report_write(&r, bytes);
        assert_int_equal(read(bytes, sizeof(bytes)), NEO_INVALID_ARGUMENT);
    }
    for (unsigned bit = 0; bit < 64; bit++) {
        bool known = bit < 6 || bit == 7;
        r = example(3);
        r.platform_info |= UINT64_C(1) << bit;
        snp_report_write(&r, bytes);
        assert_int_equal(read(bytes, sizeof(bytes)), known ? NEO_OK : NEO_INVALID_ARGUMENT);
    }
}

TEST(an_author_digest_needs_an_author_key)
{
    struct snp_report r = example(3);
    uint8_t bytes[SNP_REPORT_LEN];

    r.author_key_digest[5] = 1;
    snp_report_write(&r, bytes);
    assert_int_equal(read(bytes, sizeof(bytes)), NEO_INVALID_ARGUMENT);
    r.key_info |= SNP_KEY_AUTHOR;
    snp_report_write(&r, bytes);
    assert_int_equal(read(bytes, sizeof(bytes)), NEO_OK);
}

TEST(tcb_versions_are_ordered_component_by_component)
{
    for (size_t i = 0; i < SNP_TCB_LEN; i++) {
        struct snp_report r = example(3);
        uint8_t bytes[SNP_REPORT_LEN];
        uint8_t *const raised[] = {r.reported_tcb, r.committed_tcb, r.launch_tcb};

        for (size_t t = 0; t < NEO_COUNT(raised); t++) {
            raised[t][i]++;
            snp_report_write(&r, bytes);
            assert_int_equal(read(bytes, sizeof(bytes)), NEO_INVALID_ARGUMENT);
            raised[t][i]--;
        }
        r.current_tcb[i]++; /* provisional firmware is well formed */
        snp_report_write(&r, bytes);
        assert_int_equal(read(bytes, sizeof(bytes)), NEO_OK);
    }
}

TEST(a_refusal_says_which_byte)
{
    const struct snp_report r = example(3);
    uint8_t bytes[SNP_REPORT_LEN];
    struct snp_report out = {.version = 99};
    struct neo_error err;

    snp_report_write(&r, bytes);
    bytes[0x1f9] = 1;
    assert_int_equal(snp_report_read(neo_bytes(bytes, sizeof(bytes)), &out, &err),
                     NEO_INVALID_ARGUMENT);
    assert_string_equal(err.message, "byte 0x1f9 is reserved in version 3 and not zero");
    assert_int_equal(out.version, 99);
}

TEST(products_are_known_by_name_issuer_and_processor)
{
    static const struct {
        uint64_t family, model;
        const char *name;
    } cpus[] = {
        {0x19, 0x00, "Milan"}, {0x19, 0x0f, "Milan"}, {0x19, 0x10, "Genoa"}, {0x19, 0x1f, "Genoa"},
        {0x19, 0x20, NULL},    {0x19, 0x9f, NULL},    {0x19, 0xa0, "Genoa"}, {0x19, 0xaf, "Genoa"},
        {0x19, 0xb0, NULL},    {0x1a, 0x00, "Turin"}, {0x1a, 0x11, "Turin"}, {0x1a, 0x12, NULL},
        {0x17, 0x31, NULL},    {0x00, 0x00, NULL},
    };

    for (size_t i = 0; i < NEO_COUNT(cpus); i++) {
        const struct snp_product *p = snp_product_of_cpu(cpus[i].family, cpus[i].model);
        if (cpus[i].name == NULL)
            assert_null(p);
        else
            assert_string_equal(p->name, cpus[i].name);
    }
    assert_null(snp_product_named(NEO_LIT("milan")));
    assert_null(snp_product_named(NEO_LIT("")));
    assert_ptr_equal(snp_product_of_issuer(NEO_LIT("SEV-VLEK-Turin"), SNP_VLEK), &snp_products[2]);
    assert_null(snp_product_of_issuer(NEO_LIT("SEV-VLEK-Turin"), SNP_VCEK));
    assert_null(snp_product_of_issuer(NEO_LIT("SEV-Turin"), SNP_VLEK));
    assert_null(snp_product_of_issuer(NEO_LIT("ARK-Turin"), SNP_VCEK));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_report_is_1184_bytes_and_no_other_number),
        cmocka_unit_test(what_was_written_reads_as_it_was),
        cmocka_unit_test(every_byte_that_a_version_does_not_define_must_be_zero),
        cmocka_unit_test(what_a_version_does_not_have_is_not_written),
        cmocka_unit_test(versions_and_header_values_that_nobody_knows_are_refused),
        cmocka_unit_test(reserved_bits_of_policy_and_platform_are_held),
        cmocka_unit_test(an_author_digest_needs_an_author_key),
        cmocka_unit_test(tcb_versions_are_ordered_component_by_component),
        cmocka_unit_test(a_refusal_says_which_byte),
        cmocka_unit_test(products_are_known_by_name_issuer_and_processor),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
