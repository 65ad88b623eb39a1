/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets.
 *
 * What every connection needs is set on the listener, from which the kernel copies
 * it, so that accepting costs one system call.
 *
 * A peer that does not acknowledge what was sent, or keeps its window shut, is given
 * up after USER_TIMEOUT: without that the kernel goes on for a quarter of an hour.
 */
#include "io/net.h"

#include "io/loop.h"
#include "io/sockaddr.h"
#include "io/unix.h"

#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <unistd.h>

enum { USER_TIMEOUT_MSEC = 5000, ACCEPT_TRIES = 8 };

static void close_fd(const int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

static int open_socket(const struct address *address)
{
    static const int families[] = {
        [ADDRESS_IP4] = AF_INET, [ADDRESS_IP6] = AF_INET6, [ADDRESS_UNIX] = AF_UNIX};

    return socket(families[address->family], SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static bool set_option(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof(value)) == 0;
}

static bool set_listener_options(int fd, const struct address *address, enum net_listening how)
{
    return set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1) &&
           (how != NET_JOIN || set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1)) &&
           (address->family != ADDRESS_IP6 || set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1)) &&
           set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1) &&
           set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MSEC);
}

static enum neo_code fail_listen(const char *address, struct neo_error *err)
{
    switch (errno) {
    case EADDRINUSE:
        return neo_fail(err, NEO_ALREADY_EXISTS,
                        "cannot listen on %s: somebody does already; stop it or take another port",
                        address);
    case EADDRNOTAVAIL:
        return neo_fail(err, NEO_INVALID_ARGUMENT,
                        "cannot listen on %s: this machine has no such address", address);
    case EACCES:
        return neo_fail(err, NEO_PERMISSION_DENIED,
                        "cannot listen on %s: ports below 1024 need CAP_NET_BIND_SERVICE", address);
    default:
        return neo_fail_errno(err, "cannot listen on %s", address);
    }
}

/*
 * The first is bound and listening before it may be shared: until then another one that is to be
 * alone fails at one of the two steps, whichever of both comes first.
 */
static enum neo_code listen_tcp(const struct address *a, const char *address,
                                enum net_listening how, int *ret_fd, struct neo_error *err)
{
    union sockaddr_any to;
    socklen_t len = sockaddr_make(a, &to);
    NEO_CLEANUP(close_fd) int fd = open_socket(a);

    if (fd < 0)
        return neo_fail_errno(err, "cannot make a socket for %s", address);
    if (!set_listener_options(fd, a, how))
        return neo_fail_errno(err, "cannot set up a socket for %s", address);
    if (bind(fd, &to.any, len) != 0 || listen(fd, SOMAXCONN) != 0)
        return fail_listen(address, err);
    if (how == NET_FIRST && !set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1))
        return neo_fail_errno(err, "cannot share the listener on %s", address);
    *ret_fd = fd;
    fd = -1;
    return NEO_OK;
}

enum neo_code net_listen(struct neo_loop *loop, const char *address, enum net_listening how,
                         int *ret_fd, struct neo_error *err)
{
    struct address a;

    (void)loop;
    NEO_TRY(address_parse(address, &a, err));
    if (a.family == ADDRESS_UNIX)
        return unix_listen(&a, how, ret_fd, err);
    return listen_tcp(&a, address, how, ret_fd, err);
}

typedef int name_fn(int fd, struct sockaddr *ret, socklen_t *len);

static bool read_name(name_fn *name, int fd, struct address *ret)
{
    union sockaddr_any any = {0};
    socklen_t len = sizeof(any);

    if (name(fd, &any.any, &len) != 0)
        return false;
    sockaddr_read(&any.any, len, ret);
    return true;
}

enum neo_code net_local_address(struct neo_loop *loop, int fd, struct net_address *ret,
                                struct neo_error *err)
{
    struct address a;

    (void)loop;
    if (!read_name(getsockname, fd, &a))
        return neo_fail_errno(err, "cannot tell the address of socket %d", fd);
    address_format(&a, ret);
    return NEO_OK;
}

enum neo_code net_peer_address(struct neo_loop *loop, int fd, struct net_address *ret,
                               struct neo_error *err)
{
    struct address a;

    (void)loop;
    if (!read_name(getpeername, fd, &a))
        return neo_fail_errno(err, "cannot tell the peer of socket %d", fd);
    address_format(&a, ret);
    return NEO_OK;
}

/* The connection, not the listener, has failed: it is gone from the queue and the next may do. */
static bool concerns_one_connection(int number)
{
    return number == EINTR || number == ECONNABORTED || number == EPROTO || number == EPERM ||
           number == ENETDOWN || number == ENETUNREACH || number == EHOSTDOWN ||
           number == EHOSTUNREACH || number == ENONET || number == ENOPROTOOPT ||
           number == EOPNOTSUPP;
}

/* The connection stays in the queue, so the listener stays readable: waiting would be spinning. */
static bool is_shortage(int number)
{
    return number == EMFILE || number == ENFILE || number == ENOBUFS || number == ENOMEM;
}

enum net_result net_accept(struct neo_loop *loop, int listener, int *ret_fd, struct neo_error *err)
{
    assert(neo_loop_is_current(loop));

    for (int tries = 0; tries < ACCEPT_TRIES; tries++) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            *ret_fd = fd;
            return NET_OK;
        }
        if (errno == EAGAIN)
            return NET_AGAIN;
        if (is_shortage(errno)) {
            watch_pause(loop, listener);
            return NET_AGAIN;
        }
        if (!concerns_one_connection(errno)) {
            (void)neo_fail_errno(err, "cannot accept connections on socket %d", listener);
            return NET_ERROR;
        }
    }
    return NET_AGAIN;
}

uint64_t net_accept_pauses(const struct neo_loop *loop)
{
    return loop->watch.pauses;
}

static enum neo_code fail_connect(const char *address, struct neo_error *err)
{
    switch (errno) {
    case EACCES:
    case EPERM:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOBUFS:
        return neo_fail_errno(err, "cannot connect to %s", address);
    default: /* nobody there, or no way to get there: may be otherwise in a moment */
        return neo_fail(err, NEO_UNAVAILABLE, "cannot connect to %s: %s", address,
                        strerrordesc_np(errno));
    }
}

enum neo_code net_connect(struct neo_loop *loop, const char *address, int *ret_fd,
                          struct neo_error *err)
{
    union sockaddr_any to;
    struct address a;

    (void)loop;
    NEO_TRY(address_parse_peer(address, &a, err));
    socklen_t len = sockaddr_make(&a, &to);

    NEO_CLEANUP(close_fd) int fd = open_socket(&a);
    if (fd < 0)
        return fail_connect(address, err);
    if (a.family != ADDRESS_UNIX && !set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1))
        return fail_connect(address, err);
    if (connect(fd, &to.any, len) != 0 && errno != EINPROGRESS && errno != EINTR)
        return fail_connect(address, err);
    *ret_fd = fd;
    fd = -1;
    return NEO_OK;
}

static bool is_same(const struct address *a, const struct address *b)
{
    return a->family == b->family && a->port == b->port && memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

enum neo_code net_connected(struct neo_loop *loop, int fd, struct neo_error *err)
{
    struct address local = {0}, peer = {0};
    struct net_address text;
    int number = 0;
    socklen_t len = sizeof(number);

    (void)loop;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &number, &len) != 0)
        number = errno;
    if (number == 0 && (!read_name(getsockname, fd, &local) || !read_name(getpeername, fd, &peer)))
        number = errno;
    if (number != 0)
        return neo_fail(err, NEO_UNAVAILABLE, "cannot connect: %s", strerrordesc_np(number));
    if (peer.family == ADDRESS_UNIX)
        return NEO_OK;
    /* Where nobody listens, TCP may pick the port called as its own and so reach itself. */
    if (is_same(&local, &peer)) {
        address_format(&peer, &text);
        return neo_fail(err, NEO_UNAVAILABLE, "cannot connect to %s: nobody listens there",
                        text.text);
    }
    (void)set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MSEC);
    return NEO_OK;
}

static enum net_result gone(const char *doing, struct neo_error *err)
{
    (void)neo_fail(err, NEO_UNAVAILABLE, "%s: %s", doing, strerrordesc_np(errno));
    return NET_ERROR;
}

enum net_result net_read(struct neo_loop *loop, int fd, void *at, size_t len, size_t *ret_len,
                         struct neo_error *err)
{
    ssize_t n;

    watch_warm(loop);
    assert(len > 0 && "an empty read looks like the end");
    do
        n = recv(fd, at, len, 0);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN ? NET_AGAIN : gone("reading from a connection", err);
    if (n == 0)
        return NET_EOF;
    *ret_len = (size_t)n;
    return NET_OK;
}

enum net_result net_write(struct neo_loop *loop, int fd, struct neo_bytes bytes, size_t *ret_len,
                          struct neo_error *err)
{
    ssize_t n;

    watch_warm(loop);
    do
        n = send(fd, bytes.at, bytes.len, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN ? NET_AGAIN : gone("writing to a connection", err);
    *ret_len = (size_t)n;
    return NET_OK;
}

void net_shutdown(struct neo_loop *loop, int fd)
{
    (void)loop;
    (void)shutdown(fd, SHUT_WR); /* fails only where there is nobody left to tell */
}

void net_close(struct neo_loop *loop, int fd)
{
    (void)loop;
    unix_forget(fd);
    (void)close(fd);
}
