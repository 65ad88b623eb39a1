/* SPDX-License-Identifier: Apache-2.0 */
#include "mesh/attester.h"

#include "io/dial.h"

#include <neo/loop.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PATH_LEN = 1024, CHUNK = 4096 };

#define PAUSE_FIRST (5 * NEO_NSEC_PER_MSEC)
#define PAUSE_MAX   (250 * NEO_NSEC_PER_MSEC)

/* --- Linux ------------------------------------------------------------------------------------ */

static bool full_path(const struct attester_sys *s, const char *path, char ret[static PATH_LEN])
{
    const struct attester_linux *l = (const struct attester_linux *)s;
    int n = snprintf(ret, PATH_LEN, "%s%s", l->root, path);

    if (n > 0 && n < PATH_LEN)
        return true;
    errno = ENAMETOOLONG;
    return false;
}

static int linux_open(struct attester_sys *s, const char *path, int flags)
{
    char full[PATH_LEN];

    /* Nothing waits in open(), nor in read() where the file can be waited for instead. */
    return full_path(s, path, full) ? open(full, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY) : -1;
}

static ssize_t linux_read(struct attester_sys *s, int fd, void *at, size_t len)
{
    (void)s;
    return read(fd, at, len);
}

static ssize_t linux_write(struct attester_sys *s, int fd, const void *at, size_t len)
{
    (void)s;
    return write(fd, at, len);
}

static int linux_ioctl(struct attester_sys *s, int fd, unsigned long request, void *argument)
{
    (void)s;
    return ioctl(fd, request, argument);
}

/* Regular files, those of the kernel's and of Gramine's among them, are never waited for. */
static int linux_wait(struct attester_sys *s, int fd, bool to_read, neo_nsec time)
{
    struct pollfd p = {.fd = fd, .events = to_read ? POLLIN : POLLOUT};
    struct stat status;

    (void)s;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode))
        return 1;
    return poll(&p, 1, (int)(time / NEO_NSEC_PER_MSEC) + 1);
}

static void linux_close(struct attester_sys *s, int fd)
{
    (void)s;
    (void)close(fd);
}

static int linux_mkdir(struct attester_sys *s, const char *path)
{
    char full[PATH_LEN];

    return full_path(s, path, full) ? mkdir(full, 0700) : -1;
}

static int linux_rmdir(struct attester_sys *s, const char *path)
{
    char full[PATH_LEN];

    return full_path(s, path, full) ? rmdir(full) : -1;
}

static neo_nsec linux_now(struct attester_sys *s)
{
    (void)s;
    return neo_mono_nsec();
}

static void linux_sleep(struct attester_sys *s, neo_nsec time)
{
    struct timespec t = {(time_t)(time / NEO_NSEC_PER_SEC), (long)(time % NEO_NSEC_PER_SEC)};

    (void)s;
    (void)nanosleep(&t, NULL); /* a signal that cuts it short does no harm */
}

static int linux_connect(struct attester_sys *s, const char *address)
{
    (void)s;
    return dial(address);
}

static ssize_t linux_send(struct attester_sys *s, int fd, const void *at, size_t len)
{
    (void)s;
    return dial_send(fd, at, len);
}

enum neo_code attester_linux_init(struct attester_linux *ret, const char *root,
                                  struct neo_error *err)
{
    struct attester_linux l = {
        .face = {linux_open, linux_read, linux_write, linux_ioctl, linux_wait, linux_close,
                 linux_mkdir, linux_rmdir, linux_now, linux_sleep, linux_connect, linux_send},
    };
    size_t len = root == NULL ? 0 : strlen(root);

    while (len > 0 && root[len - 1] == '/')
        len--;
    if (len >= sizeof(l.root))
        return neo_fail(err, NEO_INVALID_ARGUMENT, "a root folder whose path is too long");
    if (len > 0)
        memcpy(l.root, root, len);
    *ret = l;
    return NEO_OK;
}

/* --- failures --------------------------------------------------------------------------------- */

enum neo_code attester_fail_errno(struct neo_error *err, const char *format, ...)
{
    int number = errno;
    char text[160];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (number == EBUSY || number == EAGAIN || number == EINTR)
        return neo_fail(err, NEO_UNAVAILABLE, "%s: %s", text, strerrordesc_np(number));
    errno = number;
    return neo_fail_errno(err, "%s", text);
}

enum neo_code attester_again(struct attester_run *run, enum neo_code failed, struct neo_error *err)
{
    char text[sizeof(err->message)] = "busy";
    neo_nsec now = run->sys->now(run->sys);
    neo_nsec pause = PAUSE_FIRST << (run->pauses < 6 ? run->pauses : 6);

    if (failed != NEO_UNAVAILABLE && failed != NEO_ABORTED)
        return failed;
    if (pause > PAUSE_MAX)
        pause = PAUSE_MAX;
    if (now + pause >= run->until) {
        if (err != NULL)
            memcpy(text, err->message, sizeof(text));
        return neo_fail(err, NEO_DEADLINE_EXCEEDED, "gave up after %u attempts: %.180s",
                        run->pauses + 1, text);
    }
    run->pauses++;
    run->sys->sleep(run->sys, pause);
    return NEO_OK;
}

/* --- whole files ------------------------------------------------------------------------------ */

struct handle {
    struct attester_sys *sys;
    int fd;
};

static void handle_close(struct handle *h)
{
    if (h->fd >= 0)
        h->sys->close(h->sys, h->fd);
}

/* A file that must be waited for is, until the call must end. */
static enum neo_code wait_for(struct attester_run *run, int fd, bool to_read, const char *path,
                              struct neo_error *err)
{
    neo_nsec now = run->sys->now(run->sys);
    int ready = now >= run->until ? 0 : run->sys->wait(run->sys, fd, to_read, run->until - now);

    if (ready < 0 && errno != EINTR)
        return neo_fail_errno(err, "cannot wait for '%s'", path);
    if (ready == 0)
        return neo_fail(err, NEO_DEADLINE_EXCEEDED, "'%s' did not answer in time", path);
    return NEO_OK;
}

static enum neo_code read_some(struct attester_run *run, int fd, const char *path,
                               struct neo_buffer *out, size_t *ret, struct neo_error *err)
{
    uint8_t *at = neo_buffer_reserve(out, CHUNK);

    if (at == NULL)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory reading '%s'", path);
    NEO_TRY(wait_for(run, fd, true, path, err));
    ssize_t n = run->sys->read(run->sys, fd, at, CHUNK);
    if (n < 0)
        return attester_fail_errno(err, "cannot read '%s'", path);
    *ret = (size_t)n;
    return NEO_OK;
}

enum neo_code attester_read(struct attester_run *run, const char *path, size_t max,
                            struct neo_buffer *out, struct neo_error *err)
{
    NEO_CLEANUP(handle_close)
    struct handle h = {run->sys, run->sys->open(run->sys, path, O_RDONLY)};
    size_t n = 0;

    neo_buffer_clear(out);
    if (h.fd < 0)
        return attester_fail_errno(err, "cannot open '%s'", path);
    do {
        NEO_TRY(read_some(run, h.fd, path, out, &n, err));
        out->len += n;
        if (out->len > max)
            return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "'%s' gives more than %zu bytes", path,
                            max);
    } while (n > 0);
    return NEO_OK;
}

enum neo_code attester_write(struct attester_run *run, const char *path, struct neo_bytes bytes,
                             struct neo_error *err)
{
    NEO_CLEANUP(handle_close)
    struct handle h = {run->sys, run->sys->open(run->sys, path, O_WRONLY)};

    if (h.fd < 0)
        return attester_fail_errno(err, "cannot open '%s'", path);
    NEO_TRY(wait_for(run, h.fd, false, path, err));
    ssize_t n = run->sys->write(run->sys, h.fd, bytes.at, bytes.len);
    if (n < 0)
        return attester_fail_errno(err, "cannot write '%s'", path);
    if ((size_t)n != bytes.len)
        return neo_fail(err, NEO_DATA_LOSS, "'%s' took %zd of %zu bytes", path, n, bytes.len);
    return NEO_OK;
}

int attester_open_error(struct attester_run *run, const char *path, int flags)
{
    int fd = run->sys->open(run->sys, path, flags);

    if (fd < 0)
        return errno;
    run->sys->close(run->sys, fd);
    return 0;
}

bool attester_exists(struct attester_run *run, const char *path)
{
    int number = attester_open_error(run, path, O_RDONLY | O_PATH);

    return number == 0 || (number != ENOENT && number != ENOTDIR);
}
