/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "rpc/target.h"

#include <string.h>

static struct target target;

static void refuse(const char *text, const char *says)
{
    struct neo_error err = {0};

    if (target_parse(text, &target, &err) != NEO_INVALID_ARGUMENT)
        fail_msg("'%s' was taken", text);
    if (strstr(err.message, says) == NULL)
        fail_msg("'%s': \"%s\" does not say \"%s\"", text, err.message, says);
}

TEST(what_is_no_target_is_refused_with_what_to_write)
{
    refuse("", "no scheme");
    refuse("10.0.0.1:80", "no scheme");
    refuse("http://x:80", "no scheme");
    refuse("NEO:///x", "no scheme");
    refuse("neo:///", "neo:///service");
    refuse("neo://authority/x", "no scheme");
    refuse("dns:///host", "port");
    refuse("dns:///host:0", "port");
    refuse("dns:///host:65536", "port");
    refuse("dns:///host:x", "port");
    refuse("dns://8.8.8.8/host:80", "name server");
    refuse("dns:///ho st:80", "host name");
    refuse("dns:///:80", "host name");
    refuse("ipv4:", "port");
    refuse("ipv4:10.0.0.1", "port");
    refuse("ipv4:10.0.0.1:80,", "port");
    refuse("ipv4:10.0.0.1:80,,10.0.0.2:80", "port");
    refuse("ipv4:10.0.0.1:0", "no port of 1 to 65535; write ipv4:10.0.0.1:8443");
    refuse("ipv4:[::1]:80", "ipv4:10.0.0.1:8443");
    refuse("ipv4:localhost:80", "write dns:///localhost:80");
    refuse("ipv4:10.0.0.300:80", "not numeric; write ipv4:");
    refuse("ipv6:[::1]", "no port of 1 to 65535; write ipv6:[fd00::1]:8443");
    refuse("ipv4:unix:/x", "another kind");
    refuse("ipv6:10.0.0.1:80", "ipv6:[fd00::1]");
    refuse("ipv6:::1:80", "numeric; write ipv6:[fd00::1]:8443");
    refuse("unix:x.sock", "absolute path");
    refuse("unix://x/y", "absolute path");
    refuse("unix:", "absolute path");
    refuse("unix-abstract:", "1 to 106");
}

TEST(too_many_addresses_are_refused)
{
    char text[2000] = "ipv4:";

    for (int i = 0; i <= TARGET_ADDRESSES_MAX; i++)
        strcat(text, i == 0 ? "10.0.0.1:80" : ",10.0.0.1:80");
    refuse(text, "more than 64");
}

static void take(const char *text, enum target_kind kind, size_t n)
{
    struct neo_error err = {0};

    if (target_parse(text, &target, &err) != NEO_OK)
        fail_msg("'%s': %s", text, err.message);
    assert_int_equal(target.kind, kind);
    assert_int_equal(target.n, n);
}

TEST(each_kind_is_read)
{
    take("neo:///echo-service", TARGET_NEO, 0);
    assert_string_equal(target.host, "echo-service");
    take("dns:///a.b:8443", TARGET_DNS, 0);
    assert_string_equal(target.host, "a.b");
    assert_int_equal(target.port, 8443);
    take("dns:a.b:8443", TARGET_DNS, 0);
    assert_string_equal(target.host, "a.b");
    take("dns:///[fd00::1]:8443", TARGET_DNS, 0);
    assert_string_equal(target.host, "fd00::1");
    take("ipv4:10.0.0.1:80,10.0.0.2:81", TARGET_ADDRESSES, 2);
    assert_string_equal(target.addresses[1].text, "10.0.0.2:81");
    take("ipv6:[::1]:80,[fd00:0:0:0::2]:81", TARGET_ADDRESSES, 2);
    assert_string_equal(target.addresses[1].text, "[fd00::2]:81");
    take("unix:/run/x.sock", TARGET_ADDRESSES, 1);
    assert_string_equal(target.addresses[0].text, "unix:/run/x.sock");
    take("unix:///run/x.sock", TARGET_ADDRESSES, 1);
    assert_string_equal(target.addresses[0].text, "unix:/run/x.sock");
    take("unix-abstract:neo.x", TARGET_ADDRESSES, 1);
    assert_string_equal(target.addresses[0].text, "unix-abstract:neo.x");
}

TEST(an_address_becomes_the_target_that_it_is)
{
    static const char *const addresses[] = {"10.0.0.1:80", "[::1]:80", "unix:/run/x.sock",
                                            "unix-abstract:x"};
    char text[200];

    for (size_t i = 0; i < NEO_COUNT(addresses); i++) {
        target_of_address(addresses[i], text, sizeof(text));
        take(text, TARGET_ADDRESSES, 1);
        assert_string_equal(target.addresses[0].text, addresses[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_target_is_refused_with_what_to_write),
        cmocka_unit_test(too_many_addresses_are_refused),
        cmocka_unit_test(each_kind_is_read),
        cmocka_unit_test(an_address_becomes_the_target_that_it_is),
    };
    return cmocka_run_group_tests_name("rpc/target", tests, NULL, NULL);
}
