/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vendors' primitives by themselves. What they add up to for one vendor is in
 * tests/unit/attest.
 */
#include "../unit.h"

#include "crypto/vendor_issue.h"
#include "crypto/vendor_memo.h"

#include <neo/memory.h>

#define NOW INT64_C(1790000000)

static struct vendor_key *rsa, *rsa_too, *p384;
/* One for all tests: what it knows of one must never help another. */
static struct vendor_memo *memo;

static int setup(void **state)
{
    (void)state;
    memo = vendor_memo_new();
    return memo != NULL && vendor_key_generate(VENDOR_RSA_4096, &rsa, NULL) == NEO_OK &&
                   vendor_key_generate(VENDOR_RSA_4096, &rsa_too, NULL) == NEO_OK &&
                   vendor_key_generate(VENDOR_P384, &p384, NULL) == NEO_OK
               ? 0
               : -1;
}

static int teardown(void **state)
{
    (void)state;
    vendor_key_free(rsa);
    vendor_key_free(rsa_too);
    vendor_key_free(p384);
    vendor_memo_free(memo);
    return 0;
}

static const struct vendor_extension is_ca = {
    .oid = {(const uint8_t *)"\x55\x1d\x13", 3},
    .value = {(const uint8_t *)"\x30\x03\x01\x01\xff", 5},
    .is_critical = true,
};

static void add(struct vendor_bundle *bundle, const char *name, const char *issuer,
                const struct vendor_key *key, const struct vendor_key *signer, bool ca)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer der = {0};
    const struct vendor_template t = {
        .common_name = name,
        .issuer_common_name = issuer,
        .organization = "test",
        .not_before = NOW - 10,
        .not_after = NOW + (ca ? 100 : 10),
        .extensions = &is_ca,
        .n_extensions = ca ? 1 : 0,
    };

    assert_int_equal(vendor_cert_issue(&t, key, signer, &der, NULL), NEO_OK);
    assert_int_equal(vendor_bundle_read(bundle, neo_buffer_bytes(&der), "t", NULL), NEO_OK);
}

/* A list of certificate `issuer`; it names certificate `revoked`, or nothing when that is 0. */
static void add_list(struct vendor_bundle *bundle, size_t issuer, const struct vendor_key *key,
                     size_t revoked, int64_t from, int64_t until)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer der = {0};

    assert_int_equal(vendor_crl_issue(bundle->certs[issuer], key,
                                      revoked == 0 ? NULL : bundle->certs[revoked], from, until,
                                      &der, NULL),
                     NEO_OK);
    assert_int_equal(vendor_bundle_read(bundle, neo_buffer_bytes(&der), "t", NULL), NEO_OK);
}

/* root, intermediate, leaf */
static struct vendor_bundle path_of_three(void)
{
    struct vendor_bundle b = {.max = 16};

    add(&b, "root", "root", rsa, rsa, true);
    add(&b, "middle", "root", rsa_too, rsa, true);
    add(&b, "leaf", "middle", p384, rsa_too, false);
    return b;
}

static enum vendor_verdict verify(const struct vendor_bundle *b, size_t leaf, size_t issuers,
                                  size_t n_issuers, size_t root, int64_t now)
{
    struct vendor_chain chain = {
        .leaf = b->certs[leaf],
        .issuers = b->certs + issuers,
        .n_issuers = n_issuers,
        .root = b->certs[root],
        .crls = b->crls,
        .n_crls = b->n_crls,
        .now = now,
    };
    struct vendor_path path = {0}, again = {0};
    struct neo_error why = {0};
    enum vendor_verdict verdict = vendor_chain_verify(&chain, &path, &why);

    assert_int_equal(verdict == VENDOR_GOOD, path.issuer != NULL);
    assert_int_equal(verdict == VENDOR_GOOD, why.message[0] == '\0');
    chain.memo = memo;
    for (int i = 0; i < 2; i++) { /* the first may fill it, the second may use it */
        assert_int_equal(vendor_chain_verify(&chain, &again, NULL), verdict);
        assert_ptr_equal(again.issuer, path.issuer);
        assert_int_equal(again.not_after, path.not_after);
    }
    return verdict;
}

TEST(a_path_is_leaf_one_intermediate_and_the_pinned_root)
{
    struct vendor_bundle b = path_of_three();

    assert_int_equal(verify(&b, 2, 1, 1, 0, NOW), VENDOR_GOOD);
    assert_int_equal(verify(&b, 2, 0, 3, 0, NOW), VENDOR_GOOD);      /* hints may be too many */
    assert_int_equal(verify(&b, 2, 1, 0, 0, NOW), VENDOR_UNTRUSTED); /* or none */
    assert_int_equal(verify(&b, 2, 1, 1, 1, NOW), VENDOR_UNTRUSTED); /* an intermediate is no pin */
    assert_int_equal(verify(&b, 1, 0, 2, 0, NOW), VENDOR_UNTRUSTED); /* two are no path */
    assert_int_equal(verify(&b, 0, 0, 3, 0, NOW), VENDOR_UNTRUSTED); /* nor is one */
    vendor_bundle_fini(&b);
}

TEST(a_longer_path_is_refused)
{
    struct vendor_bundle b = path_of_three();

    add(&b, "under", "leaf", p384, rsa, false);
    add(&b, "middle2", "middle", rsa, rsa_too, true);
    add(&b, "leaf2", "middle2", p384, rsa, false);
    assert_int_equal(verify(&b, 5, 0, 5, 0, NOW), VENDOR_UNTRUSTED);
    assert_int_equal(verify(&b, 3, 0, 6, 0, NOW), VENDOR_UNTRUSTED);
    vendor_bundle_fini(&b);
}

TEST(an_intermediate_must_be_an_authority_and_the_signer)
{
    struct vendor_bundle b = {.max = 16};

    add(&b, "root", "root", rsa, rsa, true);
    add(&b, "middle", "root", rsa_too, rsa, false);
    add(&b, "leaf", "middle", p384, rsa_too, false);
    assert_int_equal(verify(&b, 2, 1, 1, 0, NOW), VENDOR_UNTRUSTED);
    vendor_bundle_fini(&b);

    add(&b, "root", "root", rsa, rsa, true);
    add(&b, "middle", "root", rsa_too, rsa, true);
    add(&b, "leaf", "middle", p384, rsa, false); /* signed by the root's key instead */
    assert_int_equal(verify(&b, 2, 1, 1, 0, NOW), VENDOR_UNTRUSTED);
    vendor_bundle_fini(&b);
}

TEST(two_intermediates_of_one_name_are_both_tried)
{
    struct vendor_bundle b = {.max = 16};

    add(&b, "root", "root", rsa, rsa, true);
    add(&b, "middle", "root", rsa, rsa, true); /* another key under the same name */
    add(&b, "middle", "root", rsa_too, rsa, true);
    add(&b, "leaf", "middle", p384, rsa_too, false);
    assert_int_equal(verify(&b, 3, 2, 1, 0, NOW), VENDOR_GOOD);
    assert_int_equal(verify(&b, 3, 1, 1, 0, NOW), VENDOR_UNTRUSTED);
    assert_int_equal(verify(&b, 3, 1, 2, 0, NOW), VENDOR_GOOD);
    assert_int_equal(verify(&b, 3, 1, 2, 0, NOW + 11), VENDOR_EXPIRED);
    vendor_bundle_fini(&b);
}

TEST(the_path_is_judged_at_the_given_time)
{
    struct vendor_bundle b = path_of_three();

    assert_int_equal(verify(&b, 2, 1, 1, 0, NOW - 11), VENDOR_EXPIRED);
    assert_int_equal(verify(&b, 2, 1, 1, 0, NOW - 10), VENDOR_GOOD);
    assert_int_equal(verify(&b, 2, 1, 1, 0, NOW + 9), VENDOR_GOOD);
    assert_int_equal(verify(&b, 2, 1, 1, 0, NOW + 11), VENDOR_EXPIRED);
    vendor_bundle_fini(&b);
}

static enum vendor_verdict verify_line(const struct vendor_bundle *b, int64_t *ret_not_after)
{
    struct vendor_line line = {
        .leaf = b->certs[2],
        .issuers = b->certs + 1,
        .n_issuers = 1,
        .root = b->certs[0],
        .crls = b->crls,
        .n_crls = b->n_crls,
        .needs_crls = true,
        .now = NOW,
    };
    enum vendor_verdict verdict = vendor_line_verify(&line, ret_not_after, NULL);

    line.memo = memo;
    for (int i = 0; i < 2; i++) {
        int64_t again = *ret_not_after;
        assert_int_equal(vendor_line_verify(&line, &again, NULL), verdict);
        assert_int_equal(again, *ret_not_after);
    }
    line.now = NOW + 11; /* a path that is known to have been good has an end all the same */
    assert_int_not_equal(vendor_line_verify(&line, &(int64_t){0}, NULL), VENDOR_GOOD);
    return verdict;
}

TEST(what_was_found_good_is_known_in_its_time_and_under_its_own_name)
{
    const struct neo_bytes ab[] = {NEO_LIT("a"), NEO_LIT("b")};
    const struct neo_bytes joined[] = {NEO_LIT("ab"), NEO_LIT("")};
    const struct vendor_memo_key key = vendor_memo_key("path", ab, 2);
    const struct vendor_memo_key others[] = {vendor_memo_key("list", ab, 2),
                                             vendor_memo_key("path", joined, 2),
                                             vendor_memo_key("path", ab, 1)};

    assert_false(vendor_memo_knows(memo, &key, NOW));
    vendor_memo_keep(memo, &key, NOW, NOW + 2);
    assert_false(vendor_memo_knows(memo, &key, NOW - 1));
    assert_true(vendor_memo_knows(memo, &key, NOW));
    assert_true(vendor_memo_knows(memo, &key, NOW + 1));
    assert_false(vendor_memo_knows(memo, &key, NOW + 2));
    assert_false(vendor_memo_knows(NULL, &key, NOW));
    for (size_t i = 0; i < NEO_COUNT(others); i++)
        assert_false(vendor_memo_knows(memo, &others[i], NOW));
}

/* The certificates of a good path are read once; those of a bad one leave no trace. */
TEST(only_the_certificates_of_good_paths_are_kept)
{
    struct vendor_bundle b = path_of_three();

    add(&b, "stray", "middle", p384, rsa, false);
    assert_int_equal(verify(&b, 3, 1, 1, 0, NOW), VENDOR_UNTRUSTED);
    assert_null(vendor_memo_cert(memo, vendor_cert_facts(b.certs[3])->der));
    assert_null(vendor_memo_cert(memo, vendor_cert_facts(b.certs[2])->der));
    assert_int_equal(verify(&b, 2, 1, 1, 0, NOW), VENDOR_GOOD);

    struct vendor_bundle again = {.max = 1, .memo = memo};
    assert_int_equal(vendor_bundle_read(&again, vendor_cert_facts(b.certs[2])->der, "t", NULL),
                     NEO_OK);
    assert_ptr_equal(again.certs[0], b.certs[2]);
    vendor_bundle_fini(&b);
    assert_true(neo_bytes_is(vendor_cert_facts(again.certs[0])->common_name, "leaf"));
    vendor_bundle_fini(&again);
}

/* Two lists of the intermediate that are both current, in either order. */
TEST(a_revocation_counts_whichever_of_the_current_lists_names_it)
{
    for (int newer_first = 0; newer_first < 2; newer_first++) {
        struct vendor_bundle b = path_of_three();
        int64_t not_after = 0;

        add_list(&b, 0, rsa, 0, NOW - 1, NOW + 9);
        if (newer_first)
            add_list(&b, 1, rsa_too, 2, NOW - 1, NOW + 8);
        add_list(&b, 1, rsa_too, 0, NOW - 5, NOW + 5);
        assert_int_equal(verify_line(&b, &not_after), newer_first ? VENDOR_REVOKED : VENDOR_GOOD);
        if (!newer_first)
            add_list(&b, 1, rsa_too, 2, NOW - 1, NOW + 8);
        assert_int_equal(verify_line(&b, &not_after), VENDOR_REVOKED);
        vendor_bundle_fini(&b);
    }
}

TEST(of_lists_that_agree_the_first_to_end_tells_until_when)
{
    static const int64_t ends[][2] = {{NOW + 5, NOW + 8}, {NOW + 8, NOW + 5}};

    for (size_t i = 0; i < NEO_COUNT(ends); i++) {
        struct vendor_bundle b = path_of_three();
        int64_t not_after = 0;

        add_list(&b, 0, rsa, 0, NOW - 1, NOW + 9);
        add_list(&b, 1, rsa_too, 0, NOW - 9, NOW); /* out of date: as if it were not there */
        assert_int_equal(verify_line(&b, &not_after), VENDOR_STALE_CRL);
        add_list(&b, 1, rsa_too, 0, NOW - 1, ends[i][0]);
        add_list(&b, 1, rsa_too, 0, NOW - 1, ends[i][1]);
        add_list(&b, 1, rsa_too, 0, NOW - 9, NOW);
        assert_int_equal(verify_line(&b, &not_after), VENDOR_GOOD);
        assert_int_equal(not_after, NOW + 5);
        vendor_bundle_fini(&b);
    }
}

/* The root's lists, which overlap while one takes over from another. */
TEST(a_list_out_of_date_does_not_spoil_the_current_one_beside_it)
{
    for (int stale_first = 0; stale_first < 2; stale_first++) {
        struct vendor_bundle b = path_of_three();

        add_list(&b, 0, rsa_too, 0, NOW - 1, NOW + 9); /* the root did not sign it */
        assert_int_equal(verify(&b, 2, 1, 1, 0, NOW), VENDOR_NO_CRL);
        if (stale_first)
            add_list(&b, 0, rsa, 0, NOW - 9, NOW);
        if (stale_first)
            assert_int_equal(verify(&b, 2, 1, 1, 0, NOW), VENDOR_STALE_CRL);
        add_list(&b, 0, rsa, 0, NOW - 1, NOW + 5);
        if (!stale_first)
            add_list(&b, 0, rsa, 0, NOW - 9, NOW);
        assert_int_equal(verify(&b, 2, 1, 1, 0, NOW), VENDOR_GOOD);
        assert_int_equal(verify(&b, 2, 1, 1, 0, NOW + 5), VENDOR_STALE_CRL);
        add_list(&b, 0, rsa, 1, NOW - 1, NOW + 9);
        assert_int_equal(verify(&b, 2, 1, 1, 0, NOW), VENDOR_REVOKED);
        vendor_bundle_fini(&b);
    }
}

TEST(a_path_lasts_no_longer_than_the_list_that_was_asked)
{
    struct vendor_bundle b = path_of_three();
    struct vendor_chain chain = {
        .leaf = b.certs[2], .issuers = &b.certs[1], .n_issuers = 1, .root = b.certs[0], .now = NOW};
    struct vendor_path path;

    assert_int_equal(vendor_chain_verify(&chain, &path, NULL), VENDOR_GOOD);
    assert_int_equal(path.not_after, NOW + 10); /* the leaf's */
    add_list(&b, 0, rsa, 0, NOW - 1, NOW + 5);
    chain.crls = b.crls;
    chain.n_crls = b.n_crls;
    assert_int_equal(vendor_chain_verify(&chain, &path, NULL), VENDOR_GOOD);
    assert_int_equal(path.not_after, NOW + 5);
    chain.grace = 2;
    assert_int_equal(vendor_chain_verify(&chain, &path, NULL), VENDOR_GOOD);
    assert_int_equal(path.not_after, NOW + 7);
    vendor_bundle_fini(&b);
}

TEST(the_facts_of_a_certificate_are_its_own)
{
    struct vendor_bundle b = path_of_three();
    const struct vendor_cert_facts *root = vendor_cert_facts(b.certs[0]);
    const struct vendor_cert_facts *leaf = vendor_cert_facts(b.certs[2]);
    uint8_t sha256[NEO_SHA256_LEN];

    assert_true(neo_bytes_is(leaf->common_name, "leaf"));
    assert_true(neo_bytes_is(leaf->issuer_common_name, "middle"));
    assert_int_equal(leaf->not_before, NOW - 10);
    assert_int_equal(leaf->not_after, NOW + 10);
    assert_true(leaf->is_p384 && leaf->is_pss_sha384 && !leaf->is_ca);
    assert_true(root->is_ca && !root->is_p384);
    neo_sha256(root->der, sha256);
    assert_memory_equal(root->sha256, sha256, sizeof(sha256));
    vendor_bundle_fini(&b);
}

TEST(a_changed_byte_makes_a_certificate_unreadable_or_its_path_untrusted)
{
    struct vendor_bundle b = path_of_three();
    struct neo_bytes der = vendor_cert_facts(b.certs[2])->der;
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer copy = {0};
    unsigned read = 0;

    assert_true(neo_buffer_append(&copy, der));
    for (size_t at = 0; at < copy.len; at++) {
        copy.at[at] ^= 0x04;
        struct vendor_bundle one = {.max = 16};
        if (vendor_bundle_read(&one, neo_buffer_bytes(&copy), "t", NULL) == NEO_OK &&
            one.n_certs == 1) {
            const struct vendor_chain chain = {
                .leaf = one.certs[0],
                .issuers = b.certs + 1,
                .n_issuers = 1,
                .root = b.certs[0],
                .now = NOW,
            };
            struct vendor_path path;
            assert_int_not_equal(vendor_chain_verify(&chain, &path, NULL), VENDOR_GOOD);
            read++;
        }
        vendor_bundle_fini(&one);
        copy.at[at] ^= 0x04;
    }
    assert_true(read > 100); /* a signature's bytes, at least, still parse */
    vendor_bundle_fini(&b);
}

TEST(a_cut_certificate_is_unreadable)
{
    struct vendor_bundle b = path_of_three();
    struct neo_bytes der = vendor_cert_facts(b.certs[2])->der;

    for (size_t len = 1; len < der.len; len++) {
        struct vendor_bundle one = {.max = 16};
        assert_int_equal(vendor_bundle_read(&one, neo_bytes(der.at, len), "t", NULL),
                         NEO_INVALID_ARGUMENT);
        vendor_bundle_fini(&one);
    }
    vendor_bundle_fini(&b);
}

TEST(a_signature_is_read_in_either_byte_order_and_only_in_its_own)
{
    struct vendor_bundle b = path_of_three();
    struct vendor_signature little = {.is_little_endian = true}, big = {0};
    struct neo_bytes message = NEO_LIT("report");

    assert_int_equal(vendor_p384_sign(p384, message, &little, NULL), NEO_OK);
    for (size_t i = 0; i < 48; i++) {
        big.r[i] = little.r[47 - i];
        big.s[i] = little.s[47 - i];
    }
    assert_true(vendor_p384_verify(b.certs[2], message, &little));
    assert_true(vendor_p384_verify(b.certs[2], message, &big));
    big.is_little_endian = true;
    assert_false(vendor_p384_verify(b.certs[2], message, &big));
    assert_false(vendor_p384_verify(b.certs[2], NEO_LIT("repost"), &little));
    assert_false(vendor_p384_verify(b.certs[0], message, &little)); /* an RSA key */
    vendor_bundle_fini(&b);
}

TEST(a_bundle_holds_no_more_than_it_may)
{
    struct vendor_bundle b = path_of_three();
    struct vendor_bundle small = {.max = 2};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer all = {0};

    for (size_t i = 0; i < b.n_certs; i++)
        assert_true(neo_buffer_append(&all, vendor_cert_facts(b.certs[i])->der));
    assert_int_equal(vendor_bundle_read(&small, neo_buffer_bytes(&all), "t", NULL),
                     NEO_RESOURCE_EXHAUSTED);
    assert_int_equal(small.n_certs, 2);
    vendor_bundle_fini(&small);
    vendor_bundle_fini(&b);
}

TEST(a_known_certificate_is_shared_and_outlives_the_bundle_it_is_known_from)
{
    struct vendor_bundle known = path_of_three();
    struct vendor_bundle b = {.max = 4, .known = {&known, NULL}};
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer der = {0};
    struct vendor_cert *root = known.certs[0];

    assert_true(neo_buffer_append(&der, vendor_cert_facts(root)->der));
    assert_int_equal(vendor_bundle_read(&b, neo_buffer_bytes(&der), "t", NULL), NEO_OK);
    assert_ptr_equal(b.certs[0], root);
    vendor_bundle_fini(&known);
    b.known[0] = NULL;
    assert_true(neo_bytes_equal(vendor_cert_facts(b.certs[0])->der, neo_buffer_bytes(&der)));
    assert_int_equal(vendor_bundle_read(&b, neo_buffer_bytes(&der), "t", NULL), NEO_OK);
    assert_ptr_not_equal(b.certs[1], root);
    vendor_bundle_fini(&b);
}

TEST(a_key_survives_its_pem_and_another_kind_is_refused)
{
    NEO_CLEANUP(neo_buffer_fini_secret) struct neo_buffer pem = {0};
    NEO_CLEANUP(neo_buffer_fini_secret) struct neo_buffer rsa_pem = {0};
    struct vendor_bundle b = path_of_three();
    struct vendor_signature signature = {0};
    struct vendor_key *again = NULL;

    assert_int_equal(vendor_key_to_pem(p384, &pem, NULL), NEO_OK);
    assert_int_equal(vendor_key_from_pem(neo_buffer_bytes(&pem), &again, NULL), NEO_OK);
    assert_int_equal(vendor_p384_sign(again, NEO_LIT("x"), &signature, NULL), NEO_OK);
    assert_true(vendor_p384_verify(b.certs[2], NEO_LIT("x"), &signature));
    vendor_key_free(again);

    again = NULL;
    assert_int_equal(vendor_key_to_pem(rsa, &rsa_pem, NULL), NEO_OK);
    assert_int_equal(vendor_key_from_pem(neo_buffer_bytes(&rsa_pem), &again, NULL),
                     NEO_INVALID_ARGUMENT);
    assert_int_not_equal(vendor_key_from_pem(NEO_LIT("no key"), &again, NULL), NEO_OK);
    assert_null(again);
    vendor_bundle_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_is_leaf_one_intermediate_and_the_pinned_root),
        cmocka_unit_test(a_longer_path_is_refused),
        cmocka_unit_test(an_intermediate_must_be_an_authority_and_the_signer),
        cmocka_unit_test(two_intermediates_of_one_name_are_both_tried),
        cmocka_unit_test(the_path_is_judged_at_the_given_time),
        cmocka_unit_test(a_revocation_counts_whichever_of_the_current_lists_names_it),
        cmocka_unit_test(of_lists_that_agree_the_first_to_end_tells_until_when),
        cmocka_unit_test(what_was_found_good_is_known_in_its_time_and_under_its_own_name),
        cmocka_unit_test(only_the_certificates_of_good_paths_are_kept),
        cmocka_unit_test(a_list_out_of_date_does_not_spoil_the_current_one_beside_it),
        cmocka_unit_test(a_path_lasts_no_longer_than_the_list_that_was_asked),
        cmocka_unit_test(the_facts_of_a_certificate_are_its_own),
        cmocka_unit_test(a_changed_byte_makes_a_certificate_unreadable_or_its_path_untrusted),
        cmocka_unit_test(a_cut_certificate_is_unreadable),
        cmocka_unit_test(a_signature_is_read_in_either_byte_order_and_only_in_its_own),
        cmocka_unit_test(a_bundle_holds_no_more_than_it_may),
        cmocka_unit_test(a_known_certificate_is_shared_and_outlives_the_bundle_it_is_known_from),
        cmocka_unit_test(a_key_survives_its_pem_and_another_kind_is_refused),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
