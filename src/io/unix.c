/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A path outlives its socket, which TCP addresses do not: a process that was killed
 * leaves one behind, on which nobody can listen again. So a path that refuses
 * connections is taken over, and ours is removed with its last listener, if it is
 * still ours.
 *
 * The kernel has no SO_REUSEPORT for paths. Workers that share one share the
 * listening socket instead: each has its own duplicate of the descriptor.
 */
#include "io/unix.h"

#include "base/list.h"
#include "io/sockaddr.h"

#include <neo/memory.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

struct listener {
    struct list node;
    int fd;
    bool shared;
    bool is_abstract;
    dev_t device;
    ino_t inode;
    char path[ADDRESS_PATH_MAX];
};

static struct { /* any thread, under `lock` */
    pthread_mutex_t lock;
    struct list listeners;
} all = {PTHREAD_MUTEX_INITIALIZER, {&all.listeners, &all.listeners}};

/* So that closing an ordinary connection takes no lock. */
static _Atomic size_t count;

static void close_fd(const int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

static int open_socket(void)
{
    return socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

/* A socket on which nobody listens any more. */
static bool is_left_behind(const char *path, const union sockaddr_any *to, socklen_t len)
{
    struct stat st;
    NEO_CLEANUP(close_fd) int fd = open_socket();

    if (fd < 0 || lstat(path, &st) != 0 || !S_ISSOCK(st.st_mode))
        return false;
    return connect(fd, &to->any, len) != 0 && errno == ECONNREFUSED;
}

static enum neo_code bind_path(int fd, const struct address *address, struct neo_error *err)
{
    union sockaddr_any to;
    socklen_t len = sockaddr_make(address, &to);

    if (bind(fd, &to.any, len) == 0)
        return NEO_OK;
    if (errno == EADDRINUSE && !address->is_abstract && is_left_behind(address->path, &to, len)) {
        (void)unlink(address->path);
        if (bind(fd, &to.any, len) == 0)
            return NEO_OK;
    }
    if (errno == EADDRINUSE || errno == ECONNREFUSED || errno == EAGAIN)
        return neo_fail(err, NEO_ALREADY_EXISTS,
                        "cannot listen on unix:%s: somebody does already, or it is not a socket",
                        address->path);
    return neo_fail_errno(err, "cannot listen on unix:%s", address->path);
}

static enum neo_code open_fresh(const struct address *address, struct listener *listener,
                                struct neo_error *err)
{
    NEO_CLEANUP(close_fd) int fd = open_socket();
    struct stat st;

    if (fd < 0)
        return neo_fail_errno(err, "cannot make a socket for unix:%s", address->path);
    NEO_TRY(bind_path(fd, address, err));
    if (listen(fd, SOMAXCONN) != 0 || (!address->is_abstract && lstat(address->path, &st) != 0))
        return neo_fail_errno(err, "cannot listen on unix:%s", address->path);
    if (!address->is_abstract) {
        listener->device = st.st_dev;
        listener->inode = st.st_ino;
    }
    listener->fd = fd;
    fd = -1;
    return NEO_OK;
}

static enum neo_code open_duplicate(const struct listener *of, struct listener *listener,
                                    struct neo_error *err)
{
    int fd = fcntl(of->fd, F_DUPFD_CLOEXEC, 0);

    if (fd < 0)
        return neo_fail_errno(err, "cannot share the listener on unix:%s", of->path);
    listener->device = of->device;
    listener->inode = of->inode;
    listener->fd = fd;
    return NEO_OK;
}

static const struct listener *find_shared(const char *path, bool is_abstract)
{
    list_each (node, &all.listeners) {
        const struct listener *l = neo_owner(node, struct listener, node);
        if (l->shared && l->is_abstract == is_abstract && strcmp(l->path, path) == 0)
            return l;
    }
    return NULL;
}

static enum neo_code open_listener(const struct address *address, enum net_listening how,
                                   struct listener *listener, struct neo_error *err)
{
    const struct listener *of =
        how == NET_JOIN ? find_shared(address->path, address->is_abstract) : NULL;

    if (of != NULL)
        return open_duplicate(of, listener, err);
    return open_fresh(address, listener, err);
}

enum neo_code unix_listen(const struct address *address, enum net_listening how, int *ret_fd,
                          struct neo_error *err)
{
    NEO_CLEANUP(neo_freep) struct listener *listener = neo_alloc(sizeof(*listener));

    if (listener == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "no memory to listen on unix:%s",
                        address->path);
    listener->shared = how != NET_ALONE;
    listener->is_abstract = address->is_abstract;
    memcpy(listener->path, address->path, sizeof(listener->path));

    (void)pthread_mutex_lock(&all.lock);
    enum neo_code code = open_listener(address, how, listener, err);
    if (code == NEO_OK) {
        *ret_fd = listener->fd;
        list_push_back(&all.listeners, &listener->node);
        (void)atomic_fetch_add(&count, 1);
        listener = NULL;
    }
    (void)pthread_mutex_unlock(&all.lock);
    return code;
}

static struct listener *take(int fd)
{
    list_each (node, &all.listeners) {
        struct listener *l = neo_owner(node, struct listener, node);
        if (l->fd != fd)
            continue;
        list_remove(&l->node);
        (void)atomic_fetch_sub(&count, 1);
        return l;
    }
    return NULL;
}

static void remove_path(const struct listener *l)
{
    struct stat st;

    if (l->is_abstract || (l->shared && find_shared(l->path, false) != NULL))
        return;
    if (lstat(l->path, &st) == 0 && st.st_dev == l->device && st.st_ino == l->inode)
        (void)unlink(l->path);
}

void unix_forget(int fd)
{
    if (atomic_load_explicit(&count, memory_order_relaxed) == 0)
        return;

    (void)pthread_mutex_lock(&all.lock);
    struct listener *l = take(fd);
    if (l != NULL)
        remove_path(l);
    (void)pthread_mutex_unlock(&all.lock);
    neo_free(l);
}
