/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include <neo/spiffe.h>

static void assert_refused(struct neo_bytes uri)
{
    struct neo_spiffe_id id = {.service = NEO_LIT("untouched")};
    struct neo_error err = {0};

    assert_int_equal(neo_spiffe_parse(uri, &id, &err), NEO_INVALID_ARGUMENT);
    assert_true(neo_bytes_is(id.service, "untouched"));
    assert_true(err.message[0] != '\0');
}

/* reliability X04, X05: nothing is normalised, everything odd is refused. */
TEST(refuses_every_other_spelling)
{
    static const char *const bad[] = {
        "",
        "spiffe",
        "spiffe:",
        "spiffe:/",
        "spiffe://",
        "spiffe:///a",
        "SPIFFE://neo.local/a",
        "Spiffe://neo.local/a",
        "https://neo.local/a",
        "spiffe:neo.local/a",
        " spiffe://neo.local/a",
        "spiffe://neo.local/a ",
        "spiffe://NEO.local/a",
        "spiffe://neo.local/A",
        "spiffe://neo.local:443/a",
        "spiffe://u@neo.local/a",
        "spiffe://%6eeo/a",
        "spiffe://neo_local/a",
        "spiffe://neo.local/",
        "spiffe://neo.local//",
        "spiffe://neo.local//a",
        "spiffe://neo.local/a/",
        "spiffe://neo.local/a/b",
        "spiffe://neo.local/a/../b",
        "spiffe://neo.local/.",
        "spiffe://neo.local/..",
        "spiffe://neo.local/./a",
        "spiffe://neo.local/a.b",
        "spiffe://neo.local/a_b",
        "spiffe://neo.local/a%2fb",
        "spiffe://neo.local/a?x",
        "spiffe://neo.local?x",
        "spiffe://neo.local/a#x",
        "spiffe://neo.local#x",
        "spiffe://neo.local/*",
        "spiffe://*.local/a",
        "spiffe://neo.local/\xc3\xa9",
        "spiffe://n\xc3\xa9o/a",
        "spiffe://neo.local./a",
        "spiffe://.neo.local/a",
        "spiffe://neo..local/a",
        "spiffe://./a",
        "spiffe://../a",
        "spiffe://neo.local/a\n",
        "spiffe://[::1]/a",
    };

    for (size_t i = 0; i < NEO_COUNT(bad); i++)
        assert_refused(neo_text(bad[i]));
    assert_refused(NEO_LIT("spiffe://neo.local/a\0.evil"));
    assert_refused(NEO_LIT("spiffe://neo.local/a\0"));
    assert_refused(NEO_LIT("spiffe://neo\0/a"));
}

TEST(splits_an_identity_into_its_parts)
{
    struct neo_spiffe_id id;

    assert_int_equal(neo_spiffe_parse(NEO_LIT("spiffe://neo.local/function-service"), &id, NULL),
                     NEO_OK);
    assert_true(neo_bytes_is(id.trust_domain, "neo.local"));
    assert_true(neo_bytes_is(id.service, "function-service"));
}

TEST(a_trust_domain_alone_has_no_service)
{
    struct neo_spiffe_id id;

    assert_int_equal(neo_spiffe_parse(NEO_LIT("spiffe://neo.local"), &id, NULL), NEO_OK);
    assert_true(neo_bytes_is(id.trust_domain, "neo.local"));
    assert_int_equal(id.service.len, 0);
}

TEST(lengths_are_exact)
{
    char name[300];

    memset(name, 'a', sizeof(name));
    assert_true(neo_is_service_name(neo_bytes(name, 1)));
    assert_true(neo_is_service_name(neo_bytes(name, 63)));
    assert_false(neo_is_service_name(neo_bytes(name, 0)));
    assert_false(neo_is_service_name(neo_bytes(name, 64)));
    assert_true(neo_is_trust_domain(neo_bytes(name, 1)));
    assert_true(neo_is_trust_domain(neo_bytes(name, 255)));
    assert_false(neo_is_trust_domain(neo_bytes(name, 0)));
    assert_false(neo_is_trust_domain(neo_bytes(name, 256)));
}

TEST(an_identity_beyond_2048_bytes_is_refused_unread)
{
    char uri[4096];
    struct neo_error err;
    struct neo_spiffe_id id;

    memset(uri, 'a', sizeof(uri));
    memcpy(uri, "spiffe://neo/", 13);
    assert_int_equal(neo_spiffe_parse(neo_bytes(uri, 2049), &id, &err), NEO_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "2049 bytes"));
    assert_refused(neo_bytes(uri, 2048));
}

/* Of all bytes, exactly the named ones may stand in a name. */
TEST(the_alphabet_is_exact)
{
    const char *service = "abcdefghijklmnopqrstuvwxyz0123456789-";

    for (unsigned byte = 0; byte < 256; byte++) {
        uint8_t name[] = {'a', (uint8_t)byte, 'a'};
        bool plain = byte != 0 && strchr(service, (int)byte) != NULL;
        assert_int_equal(neo_is_service_name(neo_bytes(name, 3)), plain);
        assert_int_equal(neo_is_trust_domain(neo_bytes(name, 3)), plain || byte == '.');
    }
}

/* Each prefix is either refused or a whole identity by itself. */
TEST(every_cut_of_an_identity_is_judged_alone)
{
    struct neo_bytes uri = NEO_LIT("spiffe://neo.local/ca");
    struct neo_spiffe_id id;

    for (size_t len = 0; len <= uri.len; len++) {
        bool valid = (len > 9 && len < 19 && uri.at[len - 1] != '.') || len > 19;
        enum neo_code code = neo_spiffe_parse(neo_bytes(uri.at, len), &id, NULL);
        assert_int_equal(code == NEO_OK, valid);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_every_other_spelling),
        cmocka_unit_test(splits_an_identity_into_its_parts),
        cmocka_unit_test(a_trust_domain_alone_has_no_service),
        cmocka_unit_test(lengths_are_exact),
        cmocka_unit_test(an_identity_beyond_2048_bytes_is_refused_unread),
        cmocka_unit_test(the_alphabet_is_exact),
        cmocka_unit_test(every_cut_of_an_identity_is_judged_alone),
    };
    return cmocka_run_group_tests_name("codec/spiffe", tests, NULL, NULL);
}
