/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "attest/session.h"

#include <neo/encoding.h>

static const uint8_t nonce[32] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
                                  16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31};
static uint8_t exporter[32], attester_key[32], verifier_key[32];

static struct attest_binder_input example(void)
{
    memset(exporter, 0xe0, sizeof(exporter));
    memset(attester_key, 0xa1, sizeof(attester_key));
    memset(verifier_key, 0xa2, sizeof(verifier_key));
    return (struct attest_binder_input){
        .role = 1,
        .kind = 1,
        .evidence_type = NEO_LIT("snp-report"),
        .verifier_nonce = neo_bytes(nonce, sizeof(nonce)),
        .exporter = neo_bytes(exporter, sizeof(exporter)),
        .attester_spki_sha256 = neo_bytes(attester_key, sizeof(attester_key)),
        .verifier_spki_sha256 = neo_bytes(verifier_key, sizeof(verifier_key)),
        .attester_uri = NEO_LIT("spiffe://neo.local/function-service"),
        .verifier_uri = NEO_LIT("spiffe://neo.local/automation-service"),
    };
}

static void expect(const struct attest_binder_input *in, const char *hex)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer text = {0};
    uint8_t binder[NEO_BINDER_LEN];

    attest_binder(in, binder);
    assert_true(neo_hex_encode(&text, neo_bytes(binder, sizeof(binder))));
    assert_true(neo_bytes_is(neo_buffer_bytes(&text), hex));
}

/* The expected values were computed by another implementation (docs/design/attest.md). */
TEST(the_binder_is_the_one_that_other_implementations_compute)
{
    struct attest_binder_input in = example();

    expect(&in, "5cdb9c5a19e342c2b6271e94c67b2f3c7e298883bf57386d9f03a51300f2963f"
                "10e8fa5342910c8a34b2e6311a606411160e114810e9433a2c88ecdd9100ee50");
    in.role = 2;
    in.evidence_type = NEO_LIT("sim-snp-report");
    in.attester_uri = NEO_LIT("spiffe://neo.local/a");
    in.verifier_uri = NEO_LIT("");
    in.claims = NEO_LIT("\x20\x3c");
    expect(&in, "6c6ecc7f8bccaaa9a85dbcce360bf717dc2f0663621a184c76a1de5700aae855"
                "8325badebe820122da6413bcd8ad7138ee9249d1cafe642f64b4e12c8b1fbcc7");
}

TEST(every_part_changes_it)
{
    static const uint8_t other[32] = {1};
    uint8_t plain[NEO_BINDER_LEN], changed[NEO_BINDER_LEN];
    struct attest_binder_input base = example();

    attest_binder(&base, plain);
    for (size_t part = 0; part < 10; part++) {
        struct attest_binder_input in = base;
        struct neo_bytes *const texts[] = {
            &in.evidence_type,
            &in.verifier_nonce,
            &in.exporter,
            &in.attester_spki_sha256,
            &in.verifier_spki_sha256,
            &in.attester_uri,
            &in.verifier_uri,
            &in.claims,
        };
        if (part < NEO_COUNT(texts))
            *texts[part] = neo_bytes(other, sizeof(other));
        else if (part == 8)
            in.role = 2;
        else
            in.kind = 2;
        attest_binder(&in, changed);
        assert_memory_not_equal(plain, changed, sizeof(plain));
    }
}

TEST(bytes_moved_from_one_part_to_its_neighbour_change_it)
{
    uint8_t plain[NEO_BINDER_LEN], moved[NEO_BINDER_LEN];
    struct attest_binder_input in = example();

    in.attester_uri = NEO_LIT("ab");
    in.verifier_uri = NEO_LIT("c");
    attest_binder(&in, plain);
    in.attester_uri = NEO_LIT("a");
    in.verifier_uri = NEO_LIT("bc");
    attest_binder(&in, moved);
    assert_memory_not_equal(plain, moved, sizeof(plain));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_binder_is_the_one_that_other_implementations_compute),
        cmocka_unit_test(every_part_changes_it),
        cmocka_unit_test(bytes_moved_from_one_part_to_its_neighbour_change_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
