/* SPDX-License-Identifier: Apache-2.0 */
#include "machine.h"

#include "vectors.h"

#include <neo/memory.h>

/* --- the host's table ------------------------------------------------------------------------- */

static const uint8_t guid_vcek[16] = {0x63, 0xda, 0x75, 0x8d, 0xe6, 0x64, 0x45, 0x64,
                                      0xad, 0xc5, 0xf4, 0xb9, 0x3b, 0xe8, 0xac, 0xcd};
static const uint8_t guid_ask[16] = {0x4a, 0xb7, 0xb3, 0x79, 0xbb, 0xac, 0x4f, 0xe4,
                                     0xa0, 0x2f, 0x05, 0xae, 0xf3, 0x27, 0xc7, 0x82};
static const uint8_t guid_unknown[16] = {1, 2, 3};
static const uint8_t guid_unknown_too[16] = {4, 5, 6};

static void put_u32(struct neo_buffer *out, size_t value)
{
    for (unsigned i = 0; i < 4; i++)
        assert_true(neo_buffer_append_byte(out, (uint8_t)(value >> 8 * i)));
}

static void put_entry(struct neo_buffer *out, const uint8_t *guid, size_t offset, size_t len)
{
    assert_true(neo_buffer_append(out, neo_bytes(guid, 16)));
    put_u32(out, offset);
    put_u32(out, len);
}

static void put_end(struct neo_buffer *out)
{
    static const uint8_t zero[24];

    assert_true(neo_buffer_append(out, neo_bytes(zero, sizeof(zero))));
}

static enum neo_code read(struct neo_bytes bytes, size_t *ret_certs)
{
    struct vendor_bundle bundle = {.max = SNP_HINTS_MAX};
    enum neo_code code = snp_hints_read(bytes, &bundle, NULL);

    if (ret_certs != NULL)
        *ret_certs = bundle.n_certs;
    vendor_bundle_fini(&bundle);
    return code;
}

/* A table of VCEK and ASK, with the machine's certificates behind it. */
static struct neo_buffer good_table(const struct machine *m)
{
    struct neo_buffer table = {0};
    size_t first = 3 * 24;

    put_entry(&table, guid_vcek, first, m->chip.cert_der.len);
    put_entry(&table, guid_ask, first + m->chip.cert_der.len, m->authority.issuer_der.len);
    put_end(&table);
    assert_true(neo_buffer_append(&table, neo_buffer_bytes(&m->chip.cert_der)));
    assert_true(neo_buffer_append(&table, neo_buffer_bytes(&m->authority.issuer_der)));
    return table;
}

TEST(a_table_of_der_is_read_and_every_cut_of_it_refused)
{
    struct machine m;
    size_t n;

    machine_init(&m, "Genoa", SNP_VCEK);
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer table = good_table(&m);
    assert_int_equal(read(neo_buffer_bytes(&table), &n), NEO_OK);
    assert_int_equal(n, 2);
    for (size_t len = 1; len < table.len; len++)
        assert_int_not_equal(read(neo_bytes(table.at, len), NULL), NEO_OK);
    assert_int_equal(read(neo_bytes(table.at, 0), &n), NEO_OK);
    assert_int_equal(n, 0);
    machine_fini(&m);
}

TEST(entries_that_leave_the_blob_or_overlap_are_refused)
{
    static const struct {
        size_t offset_0, len_0, offset_1, len_1;
    } wrong[] = {
        {0, 10, 100, 10},  /* inside the table */
        {71, 10, 100, 10}, /* its last byte */
        {72, 10, 200, 1},  /* behind the blob */
        {72, 129, 72, 0},  /* one byte too long */
        {72, 20, 91, 20},  /* one byte in common */
        {91, 20, 72, 20},         {72, 20, 72, 20},           {0xffffffff, 0xffffffff, 72, 20},
        {72, 0xffffffff, 72, 20}, {0xfffffff0, 0x20, 72, 20},
    };
    static const uint8_t content[128];

    for (size_t i = 0; i < NEO_COUNT(wrong); i++) {
        NEO_CLEANUP(neo_buffer_fini) struct neo_buffer table = {0};
        put_entry(&table, guid_unknown, wrong[i].offset_0, wrong[i].len_0);
        put_entry(&table, guid_unknown_too, wrong[i].offset_1, wrong[i].len_1);
        put_end(&table);
        assert_true(neo_buffer_append(&table, neo_bytes(content, sizeof(content))));
        assert_int_equal(read(neo_buffer_bytes(&table), NULL), NEO_INVALID_ARGUMENT);
    }
}

TEST(one_guid_twice_too_many_entries_or_no_end_are_refused)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer table = {0};
    uint8_t guid[16] = {9};

    put_entry(&table, guid_vcek, 72, 0);
    put_entry(&table, guid_vcek, 72, 0);
    put_end(&table);
    assert_int_equal(read(neo_buffer_bytes(&table), NULL), NEO_INVALID_ARGUMENT);

    neo_buffer_clear(&table);
    for (size_t i = 0; i < SNP_TABLE_ENTRIES_MAX + 1; i++) {
        guid[15] = (uint8_t)i;
        put_entry(&table, guid, 24 * (SNP_TABLE_ENTRIES_MAX + 2), 0);
    }
    put_end(&table);
    assert_int_equal(read(neo_buffer_bytes(&table), NULL), NEO_INVALID_ARGUMENT);

    neo_buffer_clear(&table);
    put_entry(&table, guid_unknown, 24, 0);
    assert_int_equal(read(neo_buffer_bytes(&table), NULL), NEO_INVALID_ARGUMENT);
}

TEST(what_an_unknown_guid_names_is_not_read)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer table = {0};
    size_t n;

    put_entry(&table, guid_unknown, 48, 4);
    put_end(&table);
    assert_true(neo_buffer_append(&table, NEO_LIT("junk")));
    assert_int_equal(read(neo_buffer_bytes(&table), &n), NEO_OK);
    assert_int_equal(n, 0);
    memcpy(table.at, guid_ask, 16);
    assert_int_equal(read(neo_buffer_bytes(&table), NULL), NEO_INVALID_ARGUMENT);
}

/* --- PEM, DER and limits ---------------------------------------------------------------------- */

TEST(pem_der_and_tables_give_the_same_certificates)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer pem = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer table = {0};
    struct machine m;
    size_t n;

    machine_init(&m, "Milan", SNP_VCEK);
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer der = machine_certificates(&m);
    assert_int_equal(read(neo_buffer_bytes(&der), &n), NEO_OK);
    assert_int_equal(n, 2);
    assert_true(vendor_pem_append(&pem, "CERTIFICATE", neo_buffer_bytes(&m.chip.cert_der)));
    assert_true(vendor_pem_append(&pem, "CERTIFICATE", neo_buffer_bytes(&m.authority.issuer_der)));
    assert_int_equal(read(neo_buffer_bytes(&pem), &n), NEO_OK);
    assert_int_equal(n, 2);

    /* PEM in a table, padded with zeros, as a recorded host does it. */
    put_entry(&table, guid_vcek, 48, pem.len + 3);
    put_end(&table);
    assert_true(neo_buffer_append(&table, neo_buffer_bytes(&pem)));
    assert_true(neo_buffer_append(&table, neo_bytes("\n\0\0", 3)));
    assert_int_equal(read(neo_buffer_bytes(&table), &n), NEO_OK);
    assert_int_equal(n, 2);
    machine_fini(&m);
}

TEST(more_certificates_or_bytes_than_a_report_needs_are_refused)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer many = {0};
    static const uint8_t zeros[SNP_HINTS_LEN_MAX + 1];
    struct machine m;

    machine_init(&m, "Genoa", SNP_VCEK);
    for (size_t i = 0; i < SNP_HINTS_MAX; i++)
        assert_true(neo_buffer_append(&many, neo_buffer_bytes(&m.chip.cert_der)));
    assert_int_equal(read(neo_buffer_bytes(&many), NULL), NEO_OK);
    assert_true(neo_buffer_append(&many, neo_buffer_bytes(&m.chip.cert_der)));
    assert_int_equal(read(neo_buffer_bytes(&many), NULL), NEO_RESOURCE_EXHAUSTED);
    assert_int_equal(read(neo_bytes(zeros, sizeof(zeros)), NULL), NEO_INVALID_ARGUMENT);
    machine_fini(&m);
}

TEST(anything_but_certificates_is_refused)
{
    static const char encrypted[] = "-----BEGIN CERTIFICATE-----\nProc-Type: 4,ENCRYPTED\n"
                                    "DEK-Info: AES-128-CBC,00\n\nAAAA\n"
                                    "-----END CERTIFICATE-----\n";
    static const char *const texts[] = {
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n",
        encrypted,
        "0",
        "0\x03\x02\x01",
        "hello",
    };

    for (size_t i = 0; i < NEO_COUNT(texts); i++)
        assert_int_equal(read(neo_text(texts[i]), NULL), NEO_INVALID_ARGUMENT);
}

TEST(a_revocation_list_among_the_hints_is_refused)
{
    struct vendor_bundle root = {.max = 1};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer crl = {0};
    struct machine m;

    machine_init(&m, "Genoa", SNP_VCEK);
    assert_int_equal(vendor_bundle_read(&root, neo_buffer_bytes(&m.authority.root_der), "t", NULL),
                     NEO_OK);
    assert_int_equal(
        vendor_crl_issue(root.certs[0], machine_keys.root, NULL, NOW, NOW + 1, &crl, NULL), NEO_OK);
    assert_int_equal(read(neo_buffer_bytes(&crl), NULL), NEO_INVALID_ARGUMENT);
    vendor_bundle_fini(&root);
    machine_fini(&m);
}

TEST(reading_hints_survives_any_failing_allocation)
{
    struct machine m;
    bool done = false;

    machine_init(&m, "Genoa", SNP_VCEK);
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer der = machine_certificates(&m);
    for (unsigned long n = 1; !done; n++) {
        neo_memory_fail_at(n);
        enum neo_code code = read(neo_buffer_bytes(&der), NULL);
        neo_memory_fail_at(0);
        done = code == NEO_OK;
        assert_true(done || code == NEO_RESOURCE_EXHAUSTED);
        assert_true(n < 50);
    }
    machine_fini(&m);
}

/* --- AMD's extensions ------------------------------------------------------------------------- */

/* A leaf with the given extensions, all others left out. */
static enum neo_code endorse(const struct vendor_extension *extensions, size_t n, enum snp_vek vek,
                             struct snp_endorsement *ret)
{
    struct vendor_key *key;
    struct vendor_bundle bundle = {.max = 1};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer der = {0};
    const struct vendor_template t = {
        .common_name = "SEV-VCEK",
        .issuer_common_name = "SEV-Genoa",
        .organization = "test",
        .not_before = NOW,
        .not_after = NOW + 1,
        .extensions = extensions,
        .n_extensions = n,
    };

    assert_int_equal(vendor_key_generate(VENDOR_P384, &key, NULL), NEO_OK);
    assert_int_equal(vendor_cert_issue(&t, key, machine_keys.issuer, &der, NULL), NEO_OK);
    assert_int_equal(vendor_bundle_read(&bundle, neo_buffer_bytes(&der), "t", NULL), NEO_OK);
    enum neo_code code = snp_endorsement_read(bundle.certs[0], vek, ret, NULL);
    vendor_bundle_fini(&bundle);
    vendor_key_free(key);
    return code;
}

struct extensions {
    struct snp_oid oids[12];
    struct vendor_extension at[12];
    size_t n;
};

static void extend(struct extensions *e, enum snp_extension extension, uint8_t component,
                   struct neo_bytes value)
{
    e->oids[e->n] = snp_extension_oid(extension, component);
    e->at[e->n] = (struct vendor_extension){
        .oid = neo_bytes(e->oids[e->n].at, e->oids[e->n].len),
        .value = value,
    };
    e->n++;
}

static uint8_t raw_hwid[64];

/* Product, eight components, hardware id; the caller may change or repeat what it likes. */
static void describe_genoa(struct extensions *e)
{
    static const uint8_t components[] = {1, 2, 4, 5, 6, 7, 3, 8};

    memset(raw_hwid, 0xc1, sizeof(raw_hwid));
    e->n = 0;
    extend(e, SNP_EXTENSION_PRODUCT, 0, NEO_LIT("\x16\x05Genoa"));
    for (size_t i = 0; i < NEO_COUNT(components); i++)
        extend(e, SNP_EXTENSION_TCB, components[i], neo_bytes("\x02\x01\x00", 3));
    extend(e, SNP_EXTENSION_HWID, 0, neo_bytes(raw_hwid, sizeof(raw_hwid)));
}

TEST(an_endorsement_has_every_extension_exactly_once)
{
    struct snp_endorsement got;
    struct extensions e;

    describe_genoa(&e);
    assert_int_equal(endorse(e.at, e.n, SNP_VCEK, &got), NEO_OK);
    assert_string_equal(got.product->name, "Genoa");
    for (size_t gone = 0; gone < 10; gone++) {
        describe_genoa(&e);
        e.at[gone] = e.at[e.n - 1];
        assert_int_equal(endorse(e.at, e.n - 1, SNP_VCEK, &got), NEO_INVALID_ARGUMENT);
    }
    for (size_t twice = 0; twice < 10; twice++) {
        describe_genoa(&e);
        e.at[e.n] = e.at[twice];
        assert_int_equal(endorse(e.at, e.n + 1, SNP_VCEK, &got), NEO_INVALID_ARGUMENT);
    }
}

TEST(values_of_extensions_have_one_encoding)
{
    static const struct {
        size_t at; /* in describe_genoa() */
        const char *value;
        size_t len;
    } wrong[] = {
        {0, "\x16\x05genoa", 7},
        {0, "\x16\x04Rome", 6},
        {0, "\x0c\x05Genoa", 7},
        {0, "\x16\x05Genoa\x00", 8},
        {0, "\x16\x00", 2},
        {0, "\x16\x06Genoa\x01", 8},
        {1, "\x02\x01\x80", 3}, /* negative */
        {1, "\x02\x02\x00\x7f", 4},
        {1, "\x02\x02\x01\x00", 4},
        {1, "\x02\x00", 2},
        {1, "\x04\x01\x01", 3},
        {1, "\x02\x01\x01\x00", 4},
        {1, "\x02\x81\x01\x01", 4},
        {3, "\x02\x01\x01", 3}, /* component 4 is reserved */
        {9, "\xc1", 1},
        {9, "\x04\x01\xc1", 3},
    };
    struct snp_endorsement got;
    struct extensions e;

    for (size_t i = 0; i < NEO_COUNT(wrong); i++) {
        describe_genoa(&e);
        e.at[wrong[i].at].value = neo_bytes(wrong[i].value, wrong[i].len);
        assert_int_equal(endorse(e.at, e.n, SNP_VCEK, &got), NEO_INVALID_ARGUMENT);
    }
    describe_genoa(&e);
    e.at[8].value = neo_bytes("\x02\x02\x00\xff", 4);
    e.at[0].value = NEO_LIT("\x16\x08Genoa-B1");
    assert_int_equal(endorse(e.at, e.n, SNP_VCEK, &got), NEO_OK);
    assert_int_equal(got.tcb[SNP_MICROCODE], 255);
}

TEST(a_vcek_has_a_hardware_id_and_a_vlek_an_operator)
{
    struct snp_endorsement got;
    struct extensions e;

    describe_genoa(&e);
    assert_int_equal(endorse(e.at, e.n, SNP_VLEK, &got), NEO_INVALID_ARGUMENT);
    extend(&e, SNP_EXTENSION_CSP_ID, 0, NEO_LIT("\x16\x04\x43N=a"));
    assert_int_equal(endorse(e.at, e.n, SNP_VCEK, &got), NEO_INVALID_ARGUMENT);
    assert_int_equal(endorse(e.at, e.n, SNP_VLEK, &got), NEO_INVALID_ARGUMENT);
    e.at[9] = e.at[10];
    assert_int_equal(endorse(e.at, 10, SNP_VLEK, &got), NEO_OK);
    assert_int_equal(endorse(e.at, 10, SNP_VCEK, &got), NEO_INVALID_ARGUMENT);
    e.at[9].value = NEO_LIT("\x16\x04\x43N=\n"); /* would forge a line of a log */
    assert_int_equal(endorse(e.at, 10, SNP_VLEK, &got), NEO_INVALID_ARGUMENT);
}

TEST(recorded_certificates_read_as_they_were_issued)
{
    static const struct {
        const char *file;
        enum snp_vek vek;
        const char *product;
        uint8_t bootloader, snp, microcode;
    } rows[] = {
        {"snp/milan_v2_debug_vcek.der", SNP_VCEK, "Milan", 2, 5, 68},
        {"snp/milan_v2_vcek.der", SNP_VCEK, "Milan", 3, 8, 115},
        {"snp/milan_v3_vlek_vmpl1_vlek.der", SNP_VLEK, "Milan", 4, 24, 217},
        {"snp/genoa_v3_tsm_vcek.der", SNP_VCEK, "Genoa", 10, 23, 84},
        {"snp/turin_vcek_only.der", SNP_VCEK, "Turin", 0, 0, 0},
    };

    if (!vectors_exist())
        skip();
    for (size_t i = 0; i < NEO_COUNT(rows); i++) {
        struct neo_buffer der = vectors_read(rows[i].file);
        struct vendor_bundle bundle = {.max = 1};
        struct snp_endorsement e;
        assert_int_equal(vendor_bundle_read(&bundle, neo_buffer_bytes(&der), "t", NULL), NEO_OK);
        assert_int_equal(snp_endorsement_read(bundle.certs[0], rows[i].vek, &e, NULL), NEO_OK);
        assert_string_equal(e.product->name, rows[i].product);
        if (rows[i].bootloader != 0) {
            assert_int_equal(e.tcb[SNP_BOOTLOADER], rows[i].bootloader);
            assert_int_equal(e.tcb[SNP_SNP], rows[i].snp);
            assert_int_equal(e.tcb[SNP_MICROCODE], rows[i].microcode);
        }
        vendor_bundle_fini(&bundle);
        neo_buffer_fini(&der);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_of_der_is_read_and_every_cut_of_it_refused),
        cmocka_unit_test(entries_that_leave_the_blob_or_overlap_are_refused),
        cmocka_unit_test(one_guid_twice_too_many_entries_or_no_end_are_refused),
        cmocka_unit_test(what_an_unknown_guid_names_is_not_read),
        cmocka_unit_test(pem_der_and_tables_give_the_same_certificates),
        cmocka_unit_test(more_certificates_or_bytes_than_a_report_needs_are_refused),
        cmocka_unit_test(anything_but_certificates_is_refused),
        cmocka_unit_test(a_revocation_list_among_the_hints_is_refused),
        cmocka_unit_test(reading_hints_survives_any_failing_allocation),
        cmocka_unit_test(an_endorsement_has_every_extension_exactly_once),
        cmocka_unit_test(values_of_extensions_have_one_encoding),
        cmocka_unit_test(a_vcek_has_a_hardware_id_and_a_vlek_an_operator),
        cmocka_unit_test(recorded_certificates_read_as_they_were_issued),
    };

    return cmocka_run_group_tests(tests, machine_setup, machine_teardown);
}
