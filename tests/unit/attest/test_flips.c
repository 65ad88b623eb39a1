/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every bit of what a simulated platform signed, flipped one at a time: the signature fails, or
 * what was signed no longer reads. Nitro's and CCA's are flipped where they are tested, each
 * byte in one bit; with NEO_EXHAUSTIVE set, in all (make attest-flips).
 */
#include "cvm.h"

#include "attest/intel_quote.h"
#include "attest/snp_report.h"

#include <stdlib.h>

TEST(no_bit_of_a_report_of_any_product_can_be_changed)
{
    static const char *const products[] = {"Milan", "Genoa", "Turin"};

    for (size_t i = 0; i < NEO_COUNT(products); i++) {
        NEO_CLEANUP(neo_buffer_fini) struct neo_buffer report = {0};
        struct vendor_bundle certs = {.max = 1};
        struct snp_report r;
        struct machine m;
        size_t reserved;

        machine_init(&m, products[i], SNP_VCEK);
        assert_int_equal(sim_report_sign(&m.report, m.chip.key, &report, NULL), NEO_OK);
        assert_int_equal(
            vendor_bundle_read(&certs, neo_buffer_bytes(&m.chip.cert_der), "chip", NULL), NEO_OK);
        size_t step = i == 1 || getenv("NEO_EXHAUSTIVE") != NULL ? 1 : 13; /* one product wholly */
        for (size_t bit = 0; bit < (size_t)8 * SNP_SIGNED_LEN; bit += step) {
            report.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
            if (snp_report_read_signed(neo_buffer_bytes(&report), &r, &reserved, NULL) == NEO_OK)
                assert_false(vendor_p384_verify(
                    certs.certs[0], neo_bytes(report.at, SNP_SIGNED_LEN), &r.signature));
            report.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        assert_int_equal(snp_report_read(neo_buffer_bytes(&report), &r, NULL), NEO_OK);
        assert_true(
            vendor_p384_verify(certs.certs[0], neo_bytes(report.at, SNP_SIGNED_LEN), &r.signature));
        vendor_bundle_fini(&certs);
        machine_fini(&m);
    }
}

static bool is_signed(const struct neo_buffer *quote)
{
    struct intel_quote q;

    return intel_quote_read(neo_buffer_bytes(quote), &q, NULL) == NEO_OK &&
           vendor_p256_verify_point(q.attestation_key.at, q.signed_part, q.signature.at);
}

TEST(no_bit_of_a_quote_of_any_version_can_be_changed)
{
    static const struct {
        bool is_tdx;
        unsigned version;
    } kinds[] = {{false, 3}, {false, 5}, {true, 4}, {true, 5}};

    for (size_t i = 0; i < NEO_COUNT(kinds); i++) {
        struct intel_quote q;
        struct platform p;

        platform_init(&p, kinds[i].is_tdx, kinds[i].version);
        NEO_CLEANUP(neo_buffer_fini) struct neo_buffer quote = platform_quote(&p);
        assert_int_equal(intel_quote_read(neo_buffer_bytes(&quote), &q, NULL), NEO_OK);
        size_t signed_len = q.signed_part.len;
        for (size_t bit = 0; bit < 8 * signed_len; bit++) {
            quote.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_false(is_signed(&quote));
            quote.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        assert_true(is_signed(&quote));
        platform_fini(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_bit_of_a_report_of_any_product_can_be_changed),
        cmocka_unit_test(no_bit_of_a_quote_of_any_version_can_be_changed),
    };
    return cmocka_run_group_tests_name("attest/flips", tests, machine_setup, machine_teardown);
}
