/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of collateral: what is told apart, what is named how, and what is called wrong. */
#include "platform.h"
#include "vectors.h"

#include <neo/collateral.h>
#include <neo/json.h>

static struct platform tdx;

static int make(void **state)
{
    (void)state;
    platform_init(&tdx, true, 4);
    return 0;
}

static int drop(void **state)
{
    (void)state;
    platform_fini(&tdx);
    return 0;
}

static struct neo_collateral *empty(void)
{
    const struct neo_collateral_options options = {
        .simulated_root = neo_buffer_bytes(&tdx.ders[KEY_ROOT]), .development = true};
    struct neo_collateral *set;

    assert_int_equal(neo_collateral_new(&options, &set, NULL), NEO_OK);
    return set;
}

static void put(struct neo_collateral *set, struct neo_bytes text)
{
    struct neo_error err;

    if (neo_collateral_add(set, text, "x", &err) != NEO_OK)
        fail_msg("%s", err.message);
}

static void put_all(struct neo_collateral *set)
{
    static const enum platform_key keys[] = {KEY_ROOT, KEY_CA, KEY_SIGNER, KEY_PCK};

    for (size_t i = 0; i < NEO_COUNT(keys); i++)
        put(set, neo_buffer_bytes(&tdx.ders[keys[i]]));
    put(set, neo_buffer_bytes(&tdx.root_crl));
    put(set, neo_buffer_bytes(&tdx.ca_crl));
    put(set, neo_buffer_bytes(&tdx.tcb_json));
    put(set, neo_buffer_bytes(&tdx.identity_json));
    neo_collateral_verify(set);
}

static const struct neo_collateral_item *named(const struct neo_collateral *set, const char *name)
{
    const struct neo_collateral_item *item = neo_collateral_find(set, neo_text(name));

    if (item == NULL)
        fail_msg("no %s", name);
    return item;
}

/* --- refusals --------------------------------------------------------------------------------- */

TEST(refuses_what_is_nothing_that_is_known)
{
    static const char *const garbage[] = {
        "",
        " \n",
        "hello",
        "{}",
        "[]",
        "{\"tcb_info\":1",
        "{\"tcb_info\":{}}",
        "30",
        "3080zz",
        "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n",
        "\x30\x03\x02\x01\x01",
        "{\"tcb_info\":\"{\\\"tcb_info\\\":{}}\"}",
    };
    struct neo_collateral *set = empty();

    for (size_t i = 0; i < NEO_COUNT(garbage); i++)
        assert_int_not_equal(neo_collateral_add(set, neo_text(garbage[i]), "x", NULL), NEO_OK);
    assert_int_equal(neo_collateral_count(set), 0);
    neo_collateral_free(set);
}

/* Intel publishes it beside the others, and it is none of the kinds that are kept. */
TEST(refuses_the_identity_of_the_enclave_that_verifies_quotes)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};
    struct neo_collateral *set = empty();

    assert_true(neo_buffer_append(&text, neo_buffer_bytes(&tdx.identity_json)));
    char *at = memmem(text.at, text.len, "\"TD_QE\"", 7);
    assert_non_null(at);
    memcpy(at, "\"QVE\"  ", 7);
    assert_int_equal(neo_collateral_add(set, neo_buffer_bytes(&text), "x", NULL),
                     NEO_INVALID_ARGUMENT);
    assert_int_equal(neo_collateral_count(set), 0);
    neo_collateral_free(set);
}

TEST(refuses_a_simulated_root_outside_development)
{
    const struct neo_collateral_options options = {.simulated_root =
                                                       neo_buffer_bytes(&tdx.ders[KEY_ROOT])};
    struct neo_collateral *set;

    assert_int_equal(neo_collateral_new(&options, &set, NULL), NEO_FAILED_PRECONDITION);
}

TEST(a_root_by_name_alone_is_wrong)
{
    struct neo_collateral *set;

    assert_int_equal(
        neo_collateral_new(&(struct neo_collateral_options){.development = true}, &set, NULL),
        NEO_OK);
    put(set, neo_buffer_bytes(&tdx.ders[KEY_ROOT]));
    put(set, neo_buffer_bytes(&tdx.ders[KEY_CA]));
    neo_collateral_verify(set);
    assert_int_equal(neo_collateral_at(set, 0)->standing, NEO_COLLATERAL_WRONG);
    assert_int_equal(neo_collateral_at(set, 1)->standing, NEO_COLLATERAL_UNPROVEN);
    neo_collateral_free(set);
}

TEST(a_document_with_a_flipped_digit_is_wrong)
{
    struct neo_collateral *set = empty();
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer bad = {0};

    platform_put(&bad, tdx.tcb_json.at, tdx.tcb_json.len);
    uint8_t *at = memmem(bad.at, bad.len, "\"svn\":5", 7);
    assert_non_null(at);
    at[6] = '4';
    put(set, neo_buffer_bytes(&bad));
    put_all(set);
    assert_int_equal(neo_collateral_at(set, 0)->standing, NEO_COLLATERAL_WRONG);
    assert_int_equal(named(set, "intel-tcb-tdx_505050505050_0000.json")->standing,
                     NEO_COLLATERAL_VERIFIED);
    neo_collateral_free(set);
}

TEST(a_list_with_a_flipped_bit_is_wrong)
{
    struct neo_collateral *set = empty();
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer bad = {0};

    platform_put(&bad, tdx.ca_crl.at, tdx.ca_crl.len);
    bad.at[bad.len - 3] ^= 1;
    put(set, neo_buffer_bytes(&bad));
    put_all(set);
    assert_int_equal(neo_collateral_at(set, 0)->standing, NEO_COLLATERAL_WRONG);
    neo_collateral_free(set);
}

TEST(without_its_issuer_nothing_is_proven)
{
    struct neo_collateral *set = empty();

    put(set, neo_buffer_bytes(&tdx.tcb_json));
    put(set, neo_buffer_bytes(&tdx.ca_crl));
    put(set, neo_buffer_bytes(&tdx.ders[KEY_SIGNER]));
    neo_collateral_verify(set);
    for (size_t i = 0; i < neo_collateral_count(set); i++)
        assert_int_equal(neo_collateral_at(set, i)->standing, NEO_COLLATERAL_UNPROVEN);
    neo_collateral_free(set);
}

TEST(nothing_of_a_file_is_added_when_a_part_of_it_is_bad)
{
    struct neo_collateral *set = empty();
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer file = {0};

    platform_put(&file, tdx.ders[KEY_ROOT].at, tdx.ders[KEY_ROOT].len);
    platform_put(&file, "garbage", 7);
    assert_int_equal(neo_collateral_add(set, neo_buffer_bytes(&file), "x", NULL),
                     NEO_INVALID_ARGUMENT);
    assert_int_equal(neo_collateral_count(set), 0);
    neo_collateral_free(set);
}

/* --- what is told ----------------------------------------------------------------------------- */

TEST(every_item_has_its_name_its_dates_and_its_request)
{
    struct neo_collateral *set = empty();

    put_all(set);
    put_all(set); /* there is no second of the same */
    assert_int_equal(neo_collateral_count(set), 8);
    for (size_t i = 0; i < neo_collateral_count(set); i++) {
        const struct neo_collateral_item *item = neo_collateral_at(set, i);
        assert_int_equal(item->standing, NEO_COLLATERAL_VERIFIED);
        assert_true(item->simulated);
        assert_true(item->until > item->issued);
        assert_true(item->request == NULL || neo_collateral_is_request(neo_text(item->request)));
    }
    const struct neo_collateral_item *tcb = named(set, "intel-tcb-tdx_505050505050_0000.json");
    assert_string_equal(tcb->request, "intel-tcb-tdx 505050505050");
    assert_int_equal(tcb->number, 18);
    assert_true(neo_bytes_equal(tcb->bytes, neo_buffer_bytes(&tdx.tcb_json)));
    assert_string_equal(named(set, "intel-td-qe.json")->request, "intel-td-qe");
    assert_string_equal(named(set, "intel-pck-crl_platform.der")->request,
                        "intel-pck-crl platform");
    assert_string_equal(named(set, "intel-root-crl.der")->request, "intel-root-crl");
    assert_int_equal(neo_collateral_freshness(tcb, tcb->until - 4 * 86400), NEO_FRESH);
    assert_int_equal(neo_collateral_freshness(tcb, tcb->until - 86400), NEO_STALE_SOON);
    assert_int_equal(neo_collateral_freshness(tcb, tcb->until), NEO_STALE);
    neo_collateral_free(set);
}

TEST(of_two_editions_the_newer_is_found)
{
    struct neo_collateral *set = empty();

    put_all(set);
    int64_t first = named(set, "intel-td-qe.json")->issued;
    tdx.issued = "2026-09-22T12:00:00Z";
    platform_documents(&tdx);
    put_all(set);
    assert_true(named(set, "intel-td-qe.json")->issued > first);
    tdx.issued = PLATFORM_ISSUED;
    platform_documents(&tdx);
    neo_collateral_free(set);
}

static void put_json_text(struct neo_buffer *out, struct neo_bytes text)
{
    struct neo_json_writer w = {.out = out};

    neo_json_put_string(&w, text);
}

TEST(a_bundle_with_separate_signatures_gives_the_signed_bytes)
{
    struct neo_collateral *set = empty();
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer bundle = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer chain = {0};
    struct neo_bytes tcb = neo_buffer_bytes(&tdx.tcb_json);
    static const char head[] = "{\"tcbInfo\":", middle[] = ",\"signature\":\"";
    size_t body = tcb.len - (sizeof(head) - 1) - (sizeof(middle) - 1) - 128 - 2;

    assert_true(vendor_pem_append(&chain, "CERTIFICATE", neo_buffer_bytes(&tdx.ders[KEY_SIGNER])));
    assert_true(vendor_pem_append(&chain, "CERTIFICATE", neo_buffer_bytes(&tdx.ders[KEY_ROOT])));
    assert_true(neo_buffer_append_text(&bundle, "{\"version\":3,\"tcb_info_issuer_chain\":"));
    put_json_text(&bundle, neo_buffer_bytes(&chain));
    assert_true(neo_buffer_append_text(&bundle, ",\"root_ca_crl\":\""));
    assert_true(neo_hex_encode(&bundle, neo_buffer_bytes(&tdx.root_crl)));
    assert_true(neo_buffer_append_text(&bundle, "\",\"tcb_info\":"));
    put_json_text(&bundle, neo_bytes(tcb.at + sizeof(head) - 1, body));
    assert_true(neo_buffer_append_text(&bundle, ",\"tcb_info_signature\":\""));
    platform_put(&bundle, tcb.at + tcb.len - 130, 128);
    assert_true(neo_buffer_append_text(&bundle, "\",\"qe_identity\":"));
    put_json_text(&bundle, neo_buffer_bytes(&tdx.identity_json));
    assert_true(neo_buffer_append_text(&bundle, "}"));
    put(set, neo_buffer_bytes(&bundle));
    neo_collateral_verify(set);
    assert_int_equal(neo_collateral_count(set), 5);
    const struct neo_collateral_item *item = named(set, "intel-tcb-tdx_505050505050_0000.json");
    assert_int_equal(item->standing, NEO_COLLATERAL_VERIFIED);
    assert_true(neo_bytes_equal(item->bytes, tcb));
    assert_int_equal(named(set, "intel-td-qe.json")->standing, NEO_COLLATERAL_VERIFIED);
    neo_collateral_free(set);
}

TEST(issuer_chains_come_from_headers)
{
    struct neo_collateral *set = empty();
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer pem = {0};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer headers = {0};

    assert_true(vendor_pem_append(&pem, "CERTIFICATE", neo_buffer_bytes(&tdx.ders[KEY_SIGNER])));
    assert_true(neo_buffer_append_text(&headers, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"
                                                 "tcb-info-ISSUER-chain: "));
    for (size_t i = 0; i < pem.len; i++)
        assert_true(neo_buffer_printf(&headers, "%%%02X", pem.at[i]));
    assert_true(neo_buffer_append_text(&headers, "\r\n\r\n"));
    assert_int_equal(neo_collateral_add_headers(set, neo_buffer_bytes(&headers), "h", NULL),
                     NEO_OK);
    assert_int_equal(neo_collateral_count(set), 1);
    assert_int_equal(neo_collateral_at(set, 0)->kind, NEO_COLLATERAL_INTEL_TCB_SIGNING);
    assert_int_equal(
        neo_collateral_add_headers(set, NEO_LIT("X-Issuer-Chain: -----BEGIN%2"), "h", NULL),
        NEO_INVALID_ARGUMENT);
    neo_collateral_free(set);
}

/* --- requests --------------------------------------------------------------------------------- */

TEST(a_request_is_words_and_never_an_option)
{
    static const char *const bad[] = {
        "",        "intel-qe ",        " intel-qe",          "intel-qe  x",
        "rm -rf",  "intel-pck-crl -o", "intel-pck-crl ../x", "intel-pck-crl a;b",
        "unknown", "amd-crl $(x)",     "amd-crl Milan\n"};
    static const char *const good[] = {"intel-qe", "amd-crl Milan", "intel-tcb-sgx 00A067110000"};

    for (size_t i = 0; i < NEO_COUNT(bad); i++)
        assert_false(neo_collateral_is_request(neo_text(bad[i])));
    for (size_t i = 0; i < NEO_COUNT(good); i++)
        assert_true(neo_collateral_is_request(neo_text(good[i])));
}

struct wanted {
    char text[4][NEO_COLLATERAL_REQUEST_LEN];
    size_t n;
};

static void note(void *self, const char *request)
{
    struct wanted *w = self;

    assert_true(w->n < 4);
    assert_true(neo_collateral_is_request(neo_text(request)));
    (void)snprintf(w->text[w->n++], sizeof(w->text[0]), "%s", request);
}

TEST(a_quote_tells_what_is_needed_to_judge_it)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer quote = platform_quote(&tdx);
    struct wanted w = {.n = 0};

    neo_collateral_wanted(
        &(struct neo_evidence){.kind = NEO_EVIDENCE_SIM_TDX, .body = neo_buffer_bytes(&quote)},
        note, &w);
    assert_int_equal(w.n, 4);
    assert_string_equal(w.text[0], "intel-tcb-tdx 505050505050");
    assert_string_equal(w.text[2], "intel-pck-crl platform");
    neo_collateral_wanted(&(struct neo_evidence){.kind = NEO_EVIDENCE_TDX, .body = NEO_LIT("x")},
                          note, &w);
    assert_int_equal(w.n, 4);
}

/* --- recorded --------------------------------------------------------------------------------- */

TEST(all_recorded_collateral_is_its_makers)
{
    static const char *const files[] = {
        "snp/roots/ask_ark_milan.pem",
        "snp/roots/ask_ark_milan_vlek.pem",
        "snp/roots/ask_ark_genoa.pem",
        "snp/roots/ask_ark_genoa_vlek.pem",
        "snp/roots/ask_ark_turin_vcek.pem",
        "snp/roots/ask_ark_turin_vlek.pem",
        "snp/milan_v2_vcek.der",
        "snp/milan_v3_vlek_vmpl1_vlek.der",
        "snp/genoa_v3_tsm_vcek.der",
        "snp/turin_vcek_only.der",
        "nitro/aws_nitro_root.pem",
        "intel-collateral/2026-02-18_tdx_90c06f000000/pck_crl.der",
        "intel-collateral/2026-02-18_tdx_90c06f000000/root_ca_crl.der",
        "intel-collateral/2026-02-18_tdx_90c06f000000/tcb_info.json",
        "intel-collateral/2026-02-18_tdx_90c06f000000/qe_identity.json",
        "intel-collateral/2026-02-18_tdx_90c06f000000/tcb_signing_chain.pem",
        "intel-collateral/2026-02-18_tdx_90c06f000000/pck_crl_issuer_chain.pem",
        "intel-collateral/2025-08-15_sgx_00606a000000/tcb_info.json",
        "intel-collateral/2025-08-15_sgx_00606a000000/qe_identity.json",
    };
    struct neo_collateral *set;

    if (!vectors_exist())
        return;
    assert_int_equal(neo_collateral_new(&(struct neo_collateral_options){0}, &set, NULL), NEO_OK);
    for (size_t i = 0; i < NEO_COUNT(files); i++) {
        NEO_CLEANUP(neo_buffer_fini) struct neo_buffer file = vectors_read(files[i]);
        put(set, neo_buffer_bytes(&file));
    }
    neo_collateral_verify(set);
    for (size_t i = 0; i < neo_collateral_count(set); i++) {
        const struct neo_collateral_item *item = neo_collateral_at(set, i);
        if (item->standing != NEO_COLLATERAL_VERIFIED || item->simulated)
            fail_msg("%s: %s", item->name, item->why);
    }
    assert_int_equal(neo_collateral_count(set), 3 + 6 + 4 + 1 + 3 + 2 + 4);
    neo_collateral_free(set);
}

TEST(recorded_certificates_with_a_doctored_chip_are_wrong)
{
    static const char *const files[] = {"snp/neg_vcek_fake_hwid_raw.der",
                                        "snp/neg_vcek_fake_hwid_octetstring.der"};
    struct neo_collateral *set;

    if (!vectors_exist())
        return;
    assert_int_equal(neo_collateral_new(&(struct neo_collateral_options){0}, &set, NULL), NEO_OK);
    for (size_t i = 0; i < NEO_COUNT(files); i++) {
        NEO_CLEANUP(neo_buffer_fini) struct neo_buffer file = vectors_read(files[i]);
        put(set, neo_buffer_bytes(&file));
    }
    NEO_CLEANUP(neo_buffer_fini)
    struct neo_buffer milan = vectors_read("snp/roots/ask_ark_milan.pem");
    NEO_CLEANUP(neo_buffer_fini)
    struct neo_buffer genoa = vectors_read("snp/roots/ask_ark_genoa.pem");
    put(set, neo_buffer_bytes(&milan));
    put(set, neo_buffer_bytes(&genoa));
    neo_collateral_verify(set);
    assert_int_equal(neo_collateral_at(set, 0)->standing, NEO_COLLATERAL_WRONG);
    assert_int_equal(neo_collateral_at(set, 1)->standing, NEO_COLLATERAL_WRONG);
    neo_collateral_free(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_what_is_nothing_that_is_known),
        cmocka_unit_test(refuses_the_identity_of_the_enclave_that_verifies_quotes),
        cmocka_unit_test(refuses_a_simulated_root_outside_development),
        cmocka_unit_test(a_root_by_name_alone_is_wrong),
        cmocka_unit_test(a_document_with_a_flipped_digit_is_wrong),
        cmocka_unit_test(a_list_with_a_flipped_bit_is_wrong),
        cmocka_unit_test(without_its_issuer_nothing_is_proven),
        cmocka_unit_test(nothing_of_a_file_is_added_when_a_part_of_it_is_bad),
        cmocka_unit_test(every_item_has_its_name_its_dates_and_its_request),
        cmocka_unit_test(of_two_editions_the_newer_is_found),
        cmocka_unit_test(a_bundle_with_separate_signatures_gives_the_signed_bytes),
        cmocka_unit_test(issuer_chains_come_from_headers),
        cmocka_unit_test(a_request_is_words_and_never_an_option),
        cmocka_unit_test(a_quote_tells_what_is_needed_to_judge_it),
        cmocka_unit_test(all_recorded_collateral_is_its_makers),
        cmocka_unit_test(recorded_certificates_with_a_doctored_chip_are_wrong),
    };

    return cmocka_run_group_tests(tests, make, drop);
}
