/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/authority.h"

#include <neo/memory.h>

#include <arpa/inet.h>

enum { HOST_MAX = 255 };

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

static bool same(struct neo_bytes host, struct neo_bytes name)
{
    if (host.len != name.len)
        return false;
    for (size_t i = 0; i < host.len; i++)
        if (lower(host.at[i]) != lower(name.at[i]))
            return false;
    return true;
}

/* "*.example.org" stands for one label before the rest, as in certificates. */
static bool matches(struct neo_bytes host, struct neo_bytes name)
{
    if (name.len < 3 || name.at[0] != '*' || name.at[1] != '.')
        return same(host, name);

    const uint8_t *dot = memchr(host.at, '.', host.len);
    return dot != NULL && dot != host.at &&
           same(neo_bytes_from(host, (size_t)(dot - host.at)), neo_bytes_from(name, 1));
}

/* HTTP/2 has checked the grammar: "[::1]:8443", "127.0.0.1:8443", "name". */
static struct neo_bytes host_of(struct neo_bytes authority)
{
    const uint8_t *end = memchr(authority.at, authority.at[0] == '[' ? ']' : ':', authority.len);

    if (end == NULL)
        return authority;
    if (authority.at[0] == '[')
        return neo_bytes(authority.at + 1, (size_t)(end - authority.at) - 1);
    return neo_bytes(authority.at, (size_t)(end - authority.at));
}

/* An address names a place and no service: nothing can be mistaken for another by it. */
static bool is_address(struct neo_bytes host)
{
    char text[HOST_MAX + 1];
    struct in6_addr address;

    if (host.len > HOST_MAX)
        return false;
    memcpy(text, host.at, host.len);
    text[host.len] = '\0';
    return inet_pton(AF_INET, text, &address) == 1 || inet_pton(AF_INET6, text, &address) == 1;
}

/* "echo-service.neo.local": the service within its trust domain, as TLS takes it for SNI. */
static bool is_qualified(struct neo_bytes host, struct neo_bytes service, struct neo_bytes domain)
{
    return service.len > 0 && host.len > service.len && host.at[service.len] == '.' &&
           same(neo_bytes(host.at, service.len), service) &&
           same(neo_bytes_from(host, service.len + 1), domain);
}

static bool is_certified(const struct peer *p, struct neo_bytes host)
{
    struct neo_identity *identity = p->worker->epoch->is.identity;

    if (identity == NULL)
        return true; /* without an identity there is none to mistake */

    const struct neo_cert_facts *facts = neo_cert_facts(neo_identity_leaf(identity));
    for (size_t i = 0; i < facts->dns_names; i++)
        if (matches(host, neo_text(facts->dns_name[i])))
            return true;
    return is_qualified(host, facts->id.service, facts->id.trust_domain);
}

static bool is_configured(const struct peer *p, struct neo_bytes host)
{
    const char *const *name = p->worker->server->options.authorities;

    for (; name != NULL && *name != NULL; name++)
        if (strcmp(*name, "*") == 0 || matches(host, neo_text(*name)))
            return true;
    return false;
}

/* Without memory for it the next call is looked at again, and that is all. */
static void remember(struct peer *p, struct neo_bytes authority)
{
    uint8_t *copy = neo_alloc(authority.len);

    if (copy == NULL)
        return;
    authority_forget(p);
    memcpy(copy, authority.at, authority.len);
    p->authority = neo_bytes(copy, authority.len);
}

void authority_forget(struct peer *p)
{
    neo_free((void *)(uintptr_t)p->authority.at);
    p->authority = (struct neo_bytes){0};
}

bool authority_is_ours(struct peer *p, struct neo_bytes authority)
{
    if (authority.len == 0)
        return false;
    if (neo_bytes_equal(authority, p->authority))
        return true;

    struct neo_bytes host = host_of(authority);
    bool ours = same(host, p->worker->server->target) || same(host, NEO_LIT("localhost")) ||
                is_address(host) || is_certified(p, host) || is_configured(p, host);
    if (ours)
        remember(p, authority);
    return ours;
}
