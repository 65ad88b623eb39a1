/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/unit.h"

#include "io/address.h"

#include <stdio.h>
#include <stdlib.h>

static void assert_round_trip(const char *text, enum address_family family, uint16_t port)
{
    struct address address;
    struct net_address back;

    assert_int_equal(address_parse(text, &address, NULL), NEO_OK);
    assert_int_equal(address.family, family);
    assert_int_equal(address.port, port);
    address_format(&address, &back);
    assert_string_equal(back.text, text);
}

TEST(reads_and_writes_each_kind)
{
    assert_round_trip("127.0.0.1:8441", ADDRESS_IP4, 8441);
    assert_round_trip("0.0.0.0:0", ADDRESS_IP4, 0);
    assert_round_trip("9.9.9.9:9090", ADDRESS_IP4, 9090);
    assert_round_trip("255.255.255.255:65535", ADDRESS_IP4, 65535);
    assert_round_trip("[::1]:8441", ADDRESS_IP6, 8441);
    assert_round_trip("[::]:1", ADDRESS_IP6, 1);
    assert_round_trip("[fd00::1:2]:443", ADDRESS_IP6, 443);
    assert_round_trip("unix:/run/neo/x.sock", ADDRESS_UNIX, 0);
    assert_round_trip("unix:/a:b", ADDRESS_UNIX, 0);
    assert_round_trip("unix-abstract:neo/x y", ADDRESS_UNIX, 0);
}

TEST(refuses_whatever_else_and_says_so)
{
    static const char *const wrong[] = {
        "", ":", "127.0.0.1", "127.0.0.1:", ":80", "127.0.0.1:65536", "127.0.0.1:080",
        "127.0.0.1:01", "127.0.0.1:-1", "127.0.0.1:+1", "127.0.0.1: 1", "127.0.0.1:1 ",
        " 127.0.0.1:1", "127.0.0.1:100000", "127.1:80", "127.0.0.01:80", "0x7f.0.0.1:80",
        "2130706433:80", "256.0.0.1:80", "localhost:80", "::1:80", "[::1]", "[::1]80",
        "[::1]:", "[]:80", "[::1:80", "::1]:80", "[127.0.0.1]:80", "[fe80::1%lo]:80", "[::g]:80",
        "[[::1]]:80", "unix:", "unix:x.sock", "unix:/", "unix://x", "unix:///run/x", "UNIX:/x",
        "unix-abstract:", "unix-abstract",
        "dns:///x:1", "127.0.0.1:80:80", "127.0.0.1:8a", "127.0.0.1:/0", "127.0.0.1::", "[:80",
        "]:80",
        /* as long as the longest number with its terminator, and one more */
        "[00000000000000000000000000000000000000000::1]:1",
        "[000000000000000000000000000000000000000000::1]:1",
        "1111111111111111111111111111111111111111111111:1",
        "[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]:1"};

    for (size_t i = 0; i < NEO_COUNT(wrong); i++) {
        struct address address = {.port = 4711};
        struct neo_error err;
        if (address_parse(wrong[i], &address, &err) != NEO_INVALID_ARGUMENT)
            fail_msg("\"%s\" was taken", wrong[i]);
        assert_int_equal(address.port, 4711);
        assert_true(strlen(err.message) > 0);
    }
}

TEST(takes_the_longest_path_the_kernel_takes_and_no_longer)
{
    char text[5 + ADDRESS_PATH_MAX + 1] = "unix:/";
    struct address address;
    struct neo_error err;

    memset(text + 6, 'x', ADDRESS_PATH_MAX - 2);
    assert_round_trip(text, ADDRESS_UNIX, 0);
    text[5 + ADDRESS_PATH_MAX - 1] = 'x';
    assert_int_equal(address_parse(text, &address, &err), NEO_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "has 108 bytes, the kernel takes 107"));
}

TEST(a_very_long_address_is_refused)
{
    struct address address;
    char *text = malloc(100001);

    assert_non_null(text);
    memset(text, '[', 100000);
    text[100000] = '\0';
    assert_int_equal(address_parse(text, &address, NULL), NEO_INVALID_ARGUMENT);
    memcpy(text, "unix:/", 6);
    assert_int_equal(address_parse(text, &address, NULL), NEO_INVALID_ARGUMENT);
    free(text);
}

TEST(port_0_is_for_listening_only)
{
    struct address address;

    assert_int_equal(address_parse_peer("127.0.0.1:0", &address, NULL), NEO_INVALID_ARGUMENT);
    assert_int_equal(address_parse_peer("127.0.0.1:1", &address, NULL), NEO_OK);
    assert_int_equal(address_parse_peer("unix:/x", &address, NULL), NEO_OK);
}

TEST(only_names_and_plain_numbers_are_looked_up)
{
    static const char *const right[] = {"localhost", "a",   "a.b",  "a.b.", "my_service.ns-1.svc",
                                        "10.0.0.1",  "::1", "1a.x", "A.B",  "az09.AZ"};
    static const char *const wrong[] = {
        "",          ".",        "a..b",   ".a",    "127.1",  "0x7f000001", "2130706433",
        "10.0.0.01", "1.2.3.4.", "a.0x7f", "[::1]", "::1%lo", "a b",        "a/b",
        "a:80",      "ä.de",     "a.b.1c", "a.0",   "a.9",    "a\n"};

    for (size_t i = 0; i < NEO_COUNT(right); i++)
        if (address_check_host(right[i], NULL) != NEO_OK)
            fail_msg("\"%s\" was refused", right[i]);
    for (size_t i = 0; i < NEO_COUNT(wrong); i++)
        if (address_check_host(wrong[i], NULL) != NEO_INVALID_ARGUMENT)
            fail_msg("\"%s\" was taken", wrong[i]);
}

TEST(names_and_labels_have_their_limits)
{
    char label[65] = {0};
    char name[300] = {0};

    memset(label, 'a', 63);
    assert_int_equal(address_check_host(label, NULL), NEO_OK);
    label[63] = 'a';
    assert_int_equal(address_check_host(label, NULL), NEO_INVALID_ARGUMENT);
    for (size_t i = 0; i < 253; i++)
        name[i] = i % 2 == 0 ? 'a' : '.';
    assert_int_equal(address_check_host(name, NULL), NEO_OK);
    name[253] = '.';
    assert_int_equal(address_check_host(name, NULL), NEO_INVALID_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_and_writes_each_kind),
        cmocka_unit_test(refuses_whatever_else_and_says_so),
        cmocka_unit_test(takes_the_longest_path_the_kernel_takes_and_no_longer),
        cmocka_unit_test(a_very_long_address_is_refused),
        cmocka_unit_test(port_0_is_for_listening_only),
        cmocka_unit_test(only_names_and_plain_numbers_are_looked_up),
        cmocka_unit_test(names_and_labels_have_their_limits),
    };
    return cmocka_run_group_tests_name("io/address", tests, NULL, NULL);
}
