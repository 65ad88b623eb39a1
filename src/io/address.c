/* SPDX-License-Identifier: Apache-2.0 */
#include "io/address.h"

#include <arpa/inet.h>
#include <stdio.h>

enum { HOST_MAX = 253, LABEL_MAX = 63, IP_TEXT_MAX = 46 };

static const char unix_prefix[] = "unix:";
static const char abstract_prefix[] = "unix-abstract:";

/* "0" to "65535", without sign, space or leading zeros. */
static bool parse_port(const char *text, uint16_t *ret)
{
    unsigned port = 0;
    size_t len = strlen(text);

    if (len == 0 || len > 5 || (text[0] == '0' && len > 1))
        return false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        port = port * 10 + (unsigned)(text[i] - '0');
    }
    if (port > UINT16_MAX)
        return false;
    *ret = (uint16_t)port;
    return true;
}

bool address_parse_ip(const char *text, struct address *ret)
{
    struct address a = {.family = ADDRESS_IP4};

    if (inet_pton(AF_INET, text, a.ip) != 1) {
        a.family = ADDRESS_IP6;
        if (inet_pton(AF_INET6, text, a.ip) != 1)
            return false;
    }
    *ret = a;
    return true;
}

static enum neo_code parse_unix(const char *text, struct address *ret, struct neo_error *err)
{
    const char *path = text + strlen(unix_prefix);
    size_t len = strlen(path);

    if (path[0] != '/' || path[1] == '/' || len == 1)
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "the address \"%.100s\" has no absolute path; write it as unix:/run/x.sock",
                        text);
    if (len >= ADDRESS_PATH_MAX)
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "the path of \"%.60s...\" has %zu bytes, the kernel takes %d; shorten it",
                        text, len, ADDRESS_PATH_MAX - 1);
    *ret = (struct address){.family = ADDRESS_UNIX};
    memcpy(ret->path, path, len + 1);
    return NEO_OK;
}

static enum neo_code parse_abstract(const char *text, struct address *ret, struct neo_error *err)
{
    const char *name = text + strlen(abstract_prefix);
    size_t len = strlen(name);

    /* The kernel has a byte less for it: the first one is zero. */
    if (len == 0 || len >= ADDRESS_PATH_MAX - 1)
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "the name in \"%.60s\" has %zu bytes, it may have 1 to %d", text, len,
                        ADDRESS_PATH_MAX - 2);
    *ret = (struct address){.family = ADDRESS_UNIX, .is_abstract = true};
    memcpy(ret->path, name, len + 1);
    return NEO_OK;
}

/* What stands before the last colon, without the brackets that a colon in it calls for. */
static bool copy_host(const char *text, const char *colon, char ret[static IP_TEXT_MAX])
{
    size_t len = (size_t)(colon - text);
    bool bracketed = len >= 2 && text[0] == '[' && text[len - 1] == ']';

    if (bracketed) {
        text++;
        len -= 2;
    }
    if (len == 0 || len >= IP_TEXT_MAX || (memchr(text, ':', len) != NULL) != bracketed)
        return false;
    memcpy(ret, text, len);
    ret[len] = '\0';
    return true;
}

enum neo_code address_parse(const char *text, struct address *ret, struct neo_error *err)
{
    if (strncmp(text, unix_prefix, strlen(unix_prefix)) == 0)
        return parse_unix(text, ret, err);
    if (strncmp(text, abstract_prefix, strlen(abstract_prefix)) == 0)
        return parse_abstract(text, ret, err);

    const char *colon = strrchr(text, ':');
    char host[IP_TEXT_MAX];
    struct address a;
    uint16_t port;

    if (colon == NULL || !parse_port(colon + 1, &port))
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "the address \"%.100s\" has no port of 0 to 65535; "
                        "write it as 127.0.0.1:8441",
                        text);
    if (colon == text || strncmp(text, "*:", 2) == 0)
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "the address \"%.100s\" does not say where; to listen everywhere write "
                        "0.0.0.0%.6s or [::]%.6s",
                        text, colon, colon);
    if (!copy_host(text, colon, host) || !address_parse_ip(host, &a))
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "the address \"%.100s\" is not numeric; "
                        "write it as 127.0.0.1:8441 or [::1]:8441",
                        text);
    a.port = port;
    *ret = a;
    return NEO_OK;
}

enum neo_code address_parse_peer(const char *text, struct address *ret, struct neo_error *err)
{
    struct address a;

    NEO_TRY(address_parse(text, &a, err));
    if (a.family != ADDRESS_UNIX && a.port == 0)
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "cannot connect to \"%.100s\": port 0 can only be listened on", text);
    *ret = a;
    return NEO_OK;
}

void address_format(const struct address *address, struct net_address *ret)
{
    char ip[IP_TEXT_MAX] = "";

    switch (address->family) {
    case ADDRESS_UNIX:
        (void)snprintf(ret->text, sizeof(ret->text), "%s%s",
                       address->is_abstract ? abstract_prefix : unix_prefix, address->path);
        return;
    case ADDRESS_IP4:
        (void)inet_ntop(AF_INET, address->ip, ip, sizeof(ip));
        (void)snprintf(ret->text, sizeof(ret->text), "%s:%u", ip, address->port);
        return;
    case ADDRESS_IP6:
        (void)inet_ntop(AF_INET6, address->ip, ip, sizeof(ip));
        (void)snprintf(ret->text, sizeof(ret->text), "[%s]:%u", ip, address->port);
        return;
    }
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_name_byte(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
}

/* Labels of 1 to 63 name bytes between single dots; one dot may end it. */
static bool is_name(const char *host)
{
    const char *label = host;

    while (*label != '\0') {
        size_t len = 0;
        while (is_name_byte(label[len]))
            len++;
        if (len == 0 || len > LABEL_MAX || (label[len] != '.' && label[len] != '\0'))
            return false;
        label += label[len] == '.' ? len + 1 : len;
    }
    return label != host;
}

/*
 * The C library takes "127.1", "0x7f000001" and "2130706433" for addresses too. Whoever checked
 * the host as text would be deceived, so a name whose last label begins with a digit is refused.
 */
static bool ends_like_a_number(const char *host)
{
    size_t start = strlen(host);

    if (start > 0 && host[start - 1] == '.')
        start--;
    while (start > 0 && host[start - 1] != '.')
        start--;
    return is_digit(host[start]);
}

enum neo_code address_check_host(const char *host, struct neo_error *err)
{
    struct address ignored;

    if (address_parse_ip(host, &ignored))
        return NEO_OK;
    if (strlen(host) > HOST_MAX || !is_name(host) || ends_like_a_number(host))
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "\"%.100s\" is neither a host name nor a numeric address", host);
    return NEO_OK;
}
