/* SPDX-License-Identifier: Apache-2.0 */
#include "io/sockaddr.h"

#include <assert.h>

static_assert(sizeof(((struct address *)0)->path) == sizeof(((struct sockaddr_un *)0)->sun_path),
              "a path that we take is a path that the kernel takes");

/* A zero byte, and the name without a terminator: its length is what the kernel goes by. */
static socklen_t make_abstract(const struct address *address, union sockaddr_any *ret)
{
    size_t len = strlen(address->path);

    memcpy(ret->path.sun_path + 1, address->path, len);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + len);
}

socklen_t sockaddr_make(const struct address *address, union sockaddr_any *ret)
{
    memset(ret, 0, sizeof(*ret));
    switch (address->family) {
    case ADDRESS_IP4:
        ret->ip4.sin_family = AF_INET;
        ret->ip4.sin_port = htons(address->port);
        memcpy(&ret->ip4.sin_addr, address->ip, sizeof(ret->ip4.sin_addr));
        return sizeof(ret->ip4);
    case ADDRESS_IP6:
        ret->ip6.sin6_family = AF_INET6;
        ret->ip6.sin6_port = htons(address->port);
        memcpy(&ret->ip6.sin6_addr, address->ip, sizeof(ret->ip6.sin6_addr));
        return sizeof(ret->ip6);
    case ADDRESS_UNIX:
        ret->path.sun_family = AF_UNIX;
        if (address->is_abstract)
            return make_abstract(address, ret);
        memcpy(ret->path.sun_path, address->path, sizeof(ret->path.sun_path));
        return sizeof(ret->path);
    }
    return 0;
}

/* The path may lack its terminator, and a connecting end has none at all. */
static void read_path(const union sockaddr_any *from, size_t len, struct address *ret)
{
    size_t start = offsetof(struct sockaddr_un, sun_path);
    size_t path_len = len > start ? len - start : 0;
    size_t skip = 0;

    ret->is_abstract = path_len > 1 && from->path.sun_path[0] == '\0';
    if (ret->is_abstract)
        skip = 1;
    if (path_len - skip >= sizeof(ret->path))
        path_len = sizeof(ret->path) - 1 + skip;
    memcpy(ret->path, from->path.sun_path + skip, path_len - skip);
}

void sockaddr_read(const struct sockaddr *from, socklen_t len, struct address *ret)
{
    union sockaddr_any any = {0};

    memcpy(&any, from, len < sizeof(any) ? len : sizeof(any));
    *ret = (struct address){.family = ADDRESS_UNIX};
    switch (any.any.sa_family) {
    case AF_INET:
        ret->family = ADDRESS_IP4;
        ret->port = ntohs(any.ip4.sin_port);
        memcpy(ret->ip, &any.ip4.sin_addr, sizeof(any.ip4.sin_addr));
        return;
    case AF_INET6:
        ret->family = ADDRESS_IP6;
        ret->port = ntohs(any.ip6.sin6_port);
        memcpy(ret->ip, &any.ip6.sin6_addr, sizeof(any.ip6.sin6_addr));
        return;
    default:
        read_path(&any, len, ret);
        return;
    }
}
