/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "h2/grammar.h"

static bool path_is_valid(const char *path)
{
    return h2_path_is_valid(neo_text(path));
}

TEST(refuses_every_path_that_is_not_exactly_a_service_and_a_method)
{
    static const char *const bad[] = {
        "",         "/",      "S/M",    "//S/M",   "/S//M",       "/S/M/",        "/S/M?x",
        "/S/M#x",   "/S/%4d", "/S/M;x", "/S/M%00", "/../S/M",     "/S",           "/S/",
        "//",       "///",    "/./M",   "/.S/M",   "/1S/M",       "/S/1M",        "/S/M.N",
        "/S/M ",    " /S/M",  "/S M/N", "/S/M\n",  "/S/\xc3\xa4", "/S\\M",        "/S/M\\",
        "/S/M\x7f", "/S-x/M", "/S/M-x", "*",       "/S/*",        "http://h/S/M",
    };

    for (size_t i = 0; i < NEO_COUNT(bad); i++) {
        if (path_is_valid(bad[i]))
            fail_msg("accepted '%s'", bad[i]);
    }
    assert_false(h2_path_is_valid(NEO_LIT("/S/M\0")));
    assert_false(h2_path_is_valid(NEO_LIT("/S\0/M")));
}

TEST(accepts_the_paths_of_grpc)
{
    assert_true(path_is_valid("/S/M"));
    assert_true(path_is_valid("/s/m"));
    assert_true(path_is_valid("/grpc.health.v1.Health/Check"));
    assert_true(path_is_valid("/_a.B_2/_M9"));
}

/* "/" + service + "/" + method with names of the given lengths. */
static bool lengths_are_valid(size_t service, size_t method)
{
    char path[512] = "/";

    memset(path + 1, 'a', service);
    path[1 + service] = '/';
    memset(path + 2 + service, 'b', method);
    return h2_path_is_valid(neo_bytes(path, 2 + service + method));
}

TEST(names_end_at_their_limits)
{
    assert_true(lengths_are_valid(128, 64));
    assert_false(lengths_are_valid(129, 64));
    assert_false(lengths_are_valid(128, 65));
}

TEST(an_authority_is_a_host_and_perhaps_a_port)
{
    static const struct {
        const char *text;
        bool want;
    } cases[] = {
        {"function-service", true},
        {"function-service.neo.local:8443", true},
        {"127.0.0.1:1", true},
        {"[::1]:8443", true},
        {"[fe80::1]", true},
        {"a", true},
        {"", false},
        {":8443", false},
        {"a:", false},
        {"a:123456", false},
        {"a:8a", false},
        {"a:1:2", false},
        {"u@a", false},
        {"u:p@a:1", false},
        {"a/b", false},
        {"a b", false},
        {"a%41", false},
        {"[::1", false},
        {"[]", false},
        {"[::1]x", false},
        {"[::1]:", false},
        {"::1", false},
        {"a,b", false},
        {"a\\b", false},
    };

    for (size_t i = 0; i < NEO_COUNT(cases); i++) {
        if (h2_authority_is_valid(neo_text(cases[i].text)) != cases[i].want)
            fail_msg("'%s'", cases[i].text);
    }
    char longest[256];
    memset(longest, 'a', sizeof(longest));
    assert_true(h2_authority_is_valid(neo_bytes(longest, 255)));
    assert_false(h2_authority_is_valid(neo_bytes(longest, 256)));
    assert_false(h2_authority_is_valid(NEO_LIT("a\0")));
}

TEST(grpc_is_a_type_and_not_a_prefix)
{
    static const struct {
        const char *text;
        bool want;
    } cases[] = {
        {"application/grpc", true},
        {"application/grpc+proto", true},
        {"application/grpc+proto;charset=utf-8", true},
        {"application/grpc+json", false},
        {"application/grpc+protobuf", false},
        {"application/grpc+", false},
        {"application/grpc;x=y", true},
        {"APPLICATION/gRPC", true},
        {"application/grpcfoo", false},
        {"application/grpc-web", false},
        {"application/json", false},
        {"application/grp", false},
        {"", false},
        {" application/grpc", false},
        {"application/grpc ", false},
    };

    for (size_t i = 0; i < NEO_COUNT(cases); i++) {
        if (h2_is_grpc_type(neo_text(cases[i].text)) != cases[i].want)
            fail_msg("'%s'", cases[i].text);
    }
}

TEST(knows_which_names_trailers_may_not_have)
{
    assert_true(h2_is_reserved_in_trailers(NEO_LIT("content-length")));
    assert_true(h2_is_reserved_in_trailers(NEO_LIT("x-caller-id")));
    assert_true(h2_is_reserved_in_trailers(NEO_LIT("te")));
    assert_false(h2_is_reserved_in_trailers(NEO_LIT("grpc-status")));
    assert_false(h2_is_reserved_in_trailers(NEO_LIT("x-caller-i")));
    assert_false(h2_is_reserved_in_trailers(NEO_LIT("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_every_path_that_is_not_exactly_a_service_and_a_method),
        cmocka_unit_test(accepts_the_paths_of_grpc),
        cmocka_unit_test(names_end_at_their_limits),
        cmocka_unit_test(an_authority_is_a_host_and_perhaps_a_port),
        cmocka_unit_test(grpc_is_a_type_and_not_a_prefix),
        cmocka_unit_test(knows_which_names_trailers_may_not_have),
    };
    return cmocka_run_group_tests_name("h2/grammar", tests, NULL, NULL);
}
