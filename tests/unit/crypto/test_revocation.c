/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "support/cost.h"
#include "support/pki.h"

#include <crypto/revocation.h>
#include <neo/memory.h>

#include <string.h>

#define SERVICE "function-service"

static struct pki *pki;

static int set_up(void **state __attribute__((unused)))
{
    pki = pki_new("neo.test");
    return 0;
}

static int tear_down(void **state __attribute__((unused)))
{
    pki_free(pki);
    return 0;
}

static struct neo_cert *leaf_with(const struct pki_options *options)
{
    struct neo_cert *cert = NULL;

    assert_int_equal(neo_cert_from_der(pki_der(pki_make(pki, pki_issuer(pki), SERVICE, options)),
                                       "test", &cert, NULL),
                     NEO_OK);
    return cert;
}

static bool is_covered(const struct neo_revocation *revocation, const struct neo_cert *cert)
{
    struct revocations set;

    assert_int_equal(revocations_init(&set, revocation, 1, NULL), NEO_OK);
    bool covered = revocations_cover(&set, cert);
    revocations_fini(&set);
    return covered;
}

TEST(nothing_revokes_nothing)
{
    struct revocations set;
    struct neo_cert *leaf = leaf_with(NULL);

    assert_int_equal(revocations_init(&set, NULL, 0, NULL), NEO_OK);
    assert_false(revocations_cover(&set, leaf));
    revocations_fini(&set);
    neo_cert_unref(leaf);
}

TEST(a_serial_is_the_same_with_or_without_leading_zeros)
{
    struct neo_cert *leaf = leaf_with(&(struct pki_options){.serial = 0xff12});
    struct neo_bytes issuer = neo_cert_facts(leaf)->issuer_key_id;

    assert_true(is_covered(&(struct neo_revocation){issuer, NEO_LIT("\xff\x12"), {0}, 0}, leaf));
    assert_true(
        is_covered(&(struct neo_revocation){issuer, NEO_LIT("\0\0\xff\x12"), {0}, 0}, leaf));
    assert_false(is_covered(&(struct neo_revocation){issuer, NEO_LIT("\x12"), {0}, 0}, leaf));
    neo_cert_unref(leaf);
}

/* Service and serial live in one table; a name must not be read as a number. */
TEST(a_service_is_not_a_serial)
{
    struct neo_cert *leaf = leaf_with(&(struct pki_options){.serial = 0x61});
    struct neo_bytes issuer = neo_cert_facts(leaf)->issuer_key_id;

    assert_true(is_covered(&(struct neo_revocation){issuer, NEO_LIT("a"), {0}, 0}, leaf));
    assert_false(is_covered(&(struct neo_revocation){issuer, {0}, NEO_LIT("a"), INT64_MAX}, leaf));
    neo_cert_unref(leaf);
}

TEST(a_cutoff_may_name_issuer_service_both_or_neither)
{
    const struct pki_options early = {.not_before = 1000};
    struct neo_cert *leaf = leaf_with(&early);
    struct neo_bytes issuer = neo_cert_facts(leaf)->issuer_key_id, none = {0};
    struct neo_bytes service = NEO_LIT(SERVICE), other = NEO_LIT("key-service");

    assert_true(is_covered(&(struct neo_revocation){issuer, none, service, 1001}, leaf));
    assert_true(is_covered(&(struct neo_revocation){issuer, none, none, 1001}, leaf));
    assert_true(is_covered(&(struct neo_revocation){none, none, service, 1001}, leaf));
    assert_true(is_covered(&(struct neo_revocation){none, none, none, 1001}, leaf));
    assert_false(is_covered(&(struct neo_revocation){none, none, none, 1000}, leaf));
    assert_false(is_covered(&(struct neo_revocation){none, none, other, 1001}, leaf));
    assert_false(is_covered(&(struct neo_revocation){NEO_LIT("x"), none, service, 1001}, leaf));
    neo_cert_unref(leaf);
}

TEST(the_later_of_two_cutoffs_counts_in_either_order)
{
    struct neo_cert *leaf = leaf_with(&(struct pki_options){.not_before = 1000});

    for (int order = 0; order < 2; order++) {
        const struct neo_revocation two[] = {
            {.service = NEO_LIT(SERVICE), .issued_before = order == 0 ? 500 : 1001},
            {.service = NEO_LIT(SERVICE), .issued_before = order == 0 ? 1001 : 500}};
        struct revocations set;

        assert_int_equal(revocations_init(&set, two, 2, NULL), NEO_OK);
        assert_true(revocations_cover(&set, leaf));
        revocations_fini(&set);
    }
    neo_cert_unref(leaf);
}

TEST(entries_that_say_nothing_clear_are_refused)
{
    static const uint8_t zeros[65];
    struct neo_bytes issuer = NEO_LIT("issuer"), none = {0};
    const struct neo_revocation bad[] = {
        {none, NEO_LIT("\x01"), none, 0},
        {issuer, NEO_LIT("\x01"), NEO_LIT(SERVICE), 0},
        {issuer, none, NEO_LIT("Not A Service"), 1},
        {{zeros, 65}, NEO_LIT("\x01"), none, 0},
        {issuer, {zeros, 21}, none, 0},
    };

    for (size_t i = 0; i < NEO_COUNT(bad); i++) {
        struct revocations set;
        assert_int_equal(revocations_init(&set, &bad[i], 1, NULL), NEO_INVALID_ARGUMENT);
        assert_null(set.slots);
    }
}

/* X08: every one of a million is found, in 32 MiB, and what is not there takes at most 1 us. */
TEST(a_million_serials_are_found_exactly_and_fast)
{
    enum { MILLION = 1000000, LOOKUPS = 20000 };
    struct neo_revocation *many = neo_alloc_array(MILLION, sizeof(*many));
    uint8_t(*serial)[8] = neo_alloc_array(MILLION, sizeof(*serial));
    struct neo_cert *leaf = leaf_with(NULL);
    struct revocations set;

    assert_true(many != NULL && serial != NULL);
    for (size_t i = 0; i < MILLION; i++) {
        for (size_t b = 0; b < 8; b++)
            serial[i][b] = (uint8_t)(i * 2 >> 8 * (7 - b));
        serial[i][0] = 1;
        many[i] = (struct neo_revocation){.issuer_key_id = neo_cert_facts(leaf)->issuer_key_id,
                                          .serial = neo_bytes(serial[i], 8)};
    }
    assert_int_equal(revocations_init(&set, many, MILLION, NULL), NEO_OK);
    assert_true(set.cap * sizeof(*set.slots) <= 32 << 20);
    for (size_t i = 0; i < MILLION; i += 97) {
        leaf->facts.serial = neo_bytes(serial[i], 8);
        assert_true(revocations_cover(&set, leaf));
    }
    double start = cost_now();
    for (size_t i = 0; i < LOOKUPS; i++) {
        serial[i][7] |= 1; /* odd: not in the set */
        leaf->facts.serial = neo_bytes(serial[i], 8);
        assert_false(revocations_cover(&set, leaf));
    }
    double each = (cost_now() - start) * 1e6 / (double)LOOKUPS;
    print_message("lookup among 1,000,000: %.0f ns\n", each);
    assert_true(each < 1000.0 * COST_SLACK);
    revocations_fini(&set);
    neo_cert_unref(leaf);
    neo_free(serial);
    neo_free(many);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_revokes_nothing),
        cmocka_unit_test(a_serial_is_the_same_with_or_without_leading_zeros),
        cmocka_unit_test(a_service_is_not_a_serial),
        cmocka_unit_test(a_cutoff_may_name_issuer_service_both_or_neither),
        cmocka_unit_test(the_later_of_two_cutoffs_counts_in_either_order),
        cmocka_unit_test(entries_that_say_nothing_clear_are_refused),
        cmocka_unit_test(a_million_serials_are_found_exactly_and_fast),
    };
    return cmocka_run_group_tests_name("crypto/revocation", tests, set_up, tear_down);
}
