/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/target.h"

#include "io/address.h"

#include <stdio.h>

static bool strip(const char **text, const char *prefix)
{
    size_t len = strlen(prefix);

    if (strncmp(*text, prefix, len) != 0)
        return false;
    *text += len;
    return true;
}

static bool parse_port(const char *text, uint16_t *ret)
{
    uint32_t port = 0;

    for (; port <= UINT16_MAX && *text != '\0'; text++)
        port = *text >= '0' && *text <= '9' ? port * 10 + (uint32_t)(*text - '0') : UINT32_MAX;
    if (port == 0 || port > UINT16_MAX)
        return false;
    *ret = (uint16_t)port;
    return true;
}

/* --- lists of addresses ----------------------------------------------------------------------- */

/* What is no address is told in terms of targets: a port is needed, a name is for dns:. */
static enum neo_code explain(const char *text, enum address_family family, const char *example,
                             const struct neo_error *why, struct neo_error *err)
{
    const char *colon = strrchr(text, ':');
    struct neo_error ignored;
    char host[256];
    uint16_t port;

    if (family == ADDRESS_UNIX)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "%s", why->message);
    if (colon == NULL || !parse_port(colon + 1, &port))
        return neo_fail(err, NEO_INVALID_ARGUMENT, "\"%s\" has no port of 1 to 65535; write %s",
                        text, example);
    (void)snprintf(host, sizeof(host), "%.*s", (int)(colon - text), text);
    if (strchr(host, ':') == NULL && address_check_host(host, &ignored) == NEO_OK)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "\"%s\" is a name; write dns:///%s", host, text);
    return neo_fail(err, NEO_INVALID_ARGUMENT, "\"%s\" is not numeric; write %s", text, example);
}

static enum neo_code add(struct target *t, const char *text, size_t len, enum address_family family,
                         const char *example, struct neo_error *err)
{
    struct address address;
    struct neo_error why;
    char one[sizeof(t->addresses[0].text)];

    if (t->n == TARGET_ADDRESSES_MAX)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "more than %d addresses", TARGET_ADDRESSES_MAX);
    if (len >= sizeof(one))
        return neo_fail(err, NEO_INVALID_ARGUMENT, "\"%.40s...\" is no address; write %s", text,
                        example);
    (void)snprintf(one, sizeof(one), "%.*s", (int)len, text);
    if (address_parse_peer(one, &address, &why) != NEO_OK)
        return explain(one, family, example, &why, err);
    if (address.family != family)
        return neo_fail(err, NEO_INVALID_ARGUMENT, "\"%s\" is of another kind; write %s", one,
                        example);
    address_format(&address, &t->addresses[t->n++]);
    return NEO_OK;
}

static enum neo_code parse_list(struct target *t, const char *list, enum address_family family,
                                const char *example, struct neo_error *err)
{
    for (const char *at = list;; at++) {
        size_t len = strcspn(at, ",");
        NEO_TRY(add(t, at, len, family, example, err));
        at += len;
        if (*at == '\0')
            return NEO_OK;
    }
}

/* --- names ------------------------------------------------------------------------------------ */

static enum neo_code parse_dns(struct target *t, const char *name, struct neo_error *err)
{
    if (strip(&name, "//") && name[0] != '/')
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "a name server cannot be chosen; write dns:///host:port");
    if (name[0] == '/')
        name++;
    const char *colon = strrchr(name, ':');
    if (colon == NULL || !parse_port(colon + 1, &t->port))
        return neo_fail(err, NEO_INVALID_ARGUMENT, "no port of 1 to 65535; write dns:///host:port");
    size_t len = (size_t)(colon - name);
    if (len >= 2 && name[0] == '[' && name[len - 1] == ']') { /* an IPv6 address */
        name++;
        len -= 2;
    }
    if (len >= sizeof(t->host))
        return neo_fail(err, NEO_INVALID_ARGUMENT, "the host name is too long");
    (void)snprintf(t->host, sizeof(t->host), "%.*s", (int)len, name);
    return address_check_host(t->host, err);
}

static enum neo_code parse_neo(struct target *t, const char *service, struct neo_error *err)
{
    if (service[0] == '\0' || strlen(service) >= sizeof(t->host))
        return neo_fail(err, NEO_INVALID_ARGUMENT, "no name of a service; write neo:///service");
    (void)snprintf(t->host, sizeof(t->host), "%s", service);
    return NEO_OK;
}

/* --- unix ------------------------------------------------------------------------------------- */

/* unix:/path, unix:///path; io knows the first. */
static enum neo_code parse_path(struct target *t, const char *path, struct neo_error *err)
{
    char text[sizeof(t->addresses[0].text)];

    if (path[0] == '/' && path[1] == '/' && path[2] == '/')
        path += 2;
    if (snprintf(text, sizeof(text), "unix:%s", path) >= (int)sizeof(text))
        return neo_fail(err, NEO_INVALID_ARGUMENT, "the path is too long");
    return add(t, text, strlen(text), ADDRESS_UNIX, "unix:/run/x.sock", err);
}

static enum neo_code parse(const char *text, struct target *t, struct neo_error *err)
{
    const char *rest = text;

    if (strip(&rest, "neo:///")) {
        t->kind = TARGET_NEO;
        return parse_neo(t, rest, err);
    }
    if (strip(&rest, "dns:")) {
        t->kind = TARGET_DNS;
        return parse_dns(t, rest, err);
    }
    t->kind = TARGET_ADDRESSES;
    if (strip(&rest, "ipv4:"))
        return parse_list(t, rest, ADDRESS_IP4, "ipv4:10.0.0.1:8443,10.0.0.2:8443", err);
    if (strip(&rest, "ipv6:"))
        return parse_list(t, rest, ADDRESS_IP6, "ipv6:[fd00::1]:8443,[fd00::2]:8443", err);
    if (strip(&rest, "unix:"))
        return parse_path(t, rest, err);
    if (strncmp(rest, "unix-abstract:", 14) == 0)
        return add(t, rest, strlen(rest), ADDRESS_UNIX, "unix-abstract:name", err);
    return neo_fail(err, NEO_INVALID_ARGUMENT,
                    "no scheme that is known; write neo:///service, dns:///host:port, "
                    "ipv4:1.2.3.4:port, ipv6:[::1]:port, unix:/path or unix-abstract:name");
}

void target_of_address(const char *address, char *ret, size_t len)
{
    const char *scheme = address[0] == '['                  ? "ipv6:"
                         : strncmp(address, "unix", 4) == 0 ? ""
                                                            : "ipv4:";

    (void)snprintf(ret, len, "%s%s", scheme, address);
}

enum neo_code target_parse(const char *text, struct target *ret, struct neo_error *err)
{
    struct neo_error why = {0};

    *ret = (struct target){.kind = TARGET_ADDRESSES};
    enum neo_code code = parse(text, ret, &why);
    if (code != NEO_OK)
        return neo_fail(err, code, "target '%.80s': %s", text, why.message);
    return NEO_OK;
}
