/* SPDX-License-Identifier: Apache-2.0 */
/* The processes of `neo up`: started in a session of their own, found again by pid files. */
#include "cli/cli.h"

#include <neo/store.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

void dir_path(char path[static PATH_LEN], const char *format, ...)
{
    va_list args;
    int used = snprintf(path, PATH_LEN, "%s/", cli.dir);

    if (used < 0 || used >= PATH_LEN)
        return;
    va_start(args, format);
    (void)vsnprintf(path + used, (size_t)(PATH_LEN - used), format, args);
    va_end(args);
}

enum neo_code dir_line(const char *path, char *line, size_t len, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini_secret) struct neo_buffer text = {0};

    NEO_TRY(neo_file_read(path, 8192, &text, err));
    const uint8_t *end = text.len == 0 ? NULL : memchr(text.at, '\n', text.len);
    size_t n = end == NULL ? text.len : (size_t)(end - text.at);
    if (n == 0 || n >= len)
        return neo_fail(err, NEO_DATA_LOSS, "'%s' does not hold one line of text", path);
    memcpy(line, text.at, n);
    line[n] = '\0';
    return NEO_OK;
}

/* In the child: nothing but what is safe between fork and exec. */
static void become(const char *const *argv, int log)
{
    (void)setsid();
    (void)dup2(log, STDOUT_FILENO);
    (void)dup2(log, STDERR_FILENO);
    int null = open("/dev/null", O_RDONLY);
    if (null >= 0)
        (void)dup2(null, STDIN_FILENO);
    /* execv() takes char *const[], and changes nothing it is given. */
    union {
        const char *const *in;
        char *const *out;
    } args = {.in = argv};
    (void)execv("/proc/self/exe", args.out);
    _exit(127);
}

int process_start(const char *const *argv, const char *log, struct neo_error *err)
{
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    if (fd < 0) {
        (void)neo_fail_errno(err, "cannot open the log '%s'", log);
        return -1;
    }
    pid_t pid = fork();
    if (pid == 0)
        become(argv, fd);
    (void)close(fd);
    if (pid < 0)
        (void)neo_fail_errno(err, "cannot start a process");
    return pid;
}

/* The words of a command line, each terminated: what follows `option`; NULL: nothing. */
static const char *word_after(const struct neo_buffer *words, const char *option)
{
    const char *at = (const char *)words->at, *end = at + words->len;

    for (; at < end; at += strlen(at) + 1)
        if (strcmp(at, option) == 0)
            return at + strlen(at) + 1 < end ? at + strlen(at) + 1 : NULL;
    return NULL;
}

/* The folder that it calls `state`, where it is, is <dir>/<name>. */
static bool is_our_state(unsigned pid, const char *state, const char *name)
{
    char ours[PATH_LEN], theirs[PATH_LEN];
    struct stat a, b;

    dir_path(ours, "%s", name);
    int len = state[0] == '/' ? snprintf(theirs, sizeof(theirs), "%s", state)
                              : snprintf(theirs, sizeof(theirs), "/proc/%u/cwd/%s", pid, state);
    return len > 0 && (size_t)len < sizeof(theirs) && stat(ours, &a) == 0 &&
           stat(theirs, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* A pid is used again one day: it must be the `neo serve <name>` of this folder. */
static bool is_serving(unsigned pid, const char *name)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer cmdline = {0};
    char path[64];

    (void)snprintf(path, sizeof(path), "/proc/%u/cmdline", pid);
    if (neo_file_read(path, 65536, &cmdline, NULL) != NEO_OK || cmdline.len == 0 ||
        !neo_buffer_append_byte(&cmdline, '\0'))
        return false;
    const char *what = word_after(&cmdline, "serve");
    const char *state = word_after(&cmdline, "--state");
    return what != NULL && strcmp(what, name) == 0 && state != NULL &&
           is_our_state(pid, state, name);
}

/*
 * A descriptor of the process, which is no other's however soon the pid is used again: what is
 * true of the pid while the descriptor is open is true of it. -1: there is none of ours.
 */
static int open_process(const char *name, int *ret_pid)
{
    char path[PATH_LEN], line[32];
    unsigned pid;

    dir_path(path, "run/%s.pid", name);
    if (dir_line(path, line, sizeof(line), NULL) != NEO_OK || sscanf(line, "%u", &pid) != 1 ||
        pid == 0 || pid > INT_MAX)
        return -1;
    int fd = pidfd_open((pid_t)pid, 0);
    if (fd >= 0 && !is_serving(pid, name)) {
        (void)close(fd);
        return -1;
    }
    *ret_pid = (int)pid;
    return fd;
}

bool process_alive(const char *name, int *ret_pid)
{
    int fd = open_process(name, ret_pid);

    if (fd >= 0)
        (void)close(fd);
    return fd >= 0;
}

enum neo_code dir_check(const char *path, mode_t kind, struct neo_error *err)
{
    struct stat st;

    if (lstat(path, &st) != 0)
        return neo_fail_errno(err, "cannot look at '%s'", path);
    if ((st.st_mode & S_IFMT) != kind)
        return neo_fail(err, NEO_PERMISSION_DENIED, "'%s' is no %s; a link counts as none", path,
                        kind == S_IFDIR ? "folder" : "file");
    if (st.st_uid != geteuid())
        return neo_fail(err, NEO_PERMISSION_DENIED,
                        "'%s' is closed to you: it is user %u's, and for its owner only", path,
                        (unsigned)st.st_uid);
    if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return neo_fail(err, NEO_PERMISSION_DENIED,
                        "'%s' has mode %03o: others may have written what is in it. Look, then: "
                        "chmod go-w",
                        path, st.st_mode & 0777u);
    return NEO_OK;
}

enum neo_code dir_enter(struct neo_error *err)
{
    static const char *const names[] = {DIR_FOLDERS, "as"};
    enum neo_code code = dir_check(cli.dir, S_IFDIR, err);

    if (code == NEO_NOT_FOUND)
        return neo_fail(err, NEO_NOT_FOUND,
                        "there is no '%s' here; start with: neo up --detach, or name its folder "
                        "with --dir",
                        cli.dir);
    NEO_TRY(code);
    if (access(cli.dir, R_OK | W_OK | X_OK) != 0)
        return neo_fail(err, NEO_PERMISSION_DENIED,
                        "'%s' is closed to you (%s); it is for its owner only", cli.dir,
                        strerror(errno)); /* NOLINT(concurrency-mt-unsafe): one thread */
    for (size_t i = 0; i < NEO_COUNT(names); i++) {
        char path[PATH_LEN];
        dir_path(path, "%s", names[i]);
        code = dir_check(path, S_IFDIR, err);
        if (code != NEO_OK && code != NEO_NOT_FOUND)
            return code;
    }
    return NEO_OK;
}

void process_stop(const char *name, unsigned seconds)
{
    int pid, fd = open_process(name, &pid);

    if (fd < 0)
        return;
    struct pollfd ended = {.fd = fd, .events = POLLIN};
    (void)pidfd_send_signal(fd, SIGTERM, NULL, 0);
    if (poll(&ended, 1, (int)seconds * 1000) != 1)
        (void)pidfd_send_signal(fd, SIGKILL, NULL, 0);
    (void)waitpid(pid, NULL, WNOHANG); /* when it is a child of ours */
    (void)close(fd);
}

long process_memory(int pid)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer status = {0};
    char path[64];
    long kib = 0;

    (void)snprintf(path, sizeof(path), "/proc/%d/status", pid);
    if (neo_file_read(path, 65536, &status, NULL) != NEO_OK ||
        !neo_buffer_append_byte(&status, '\0'))
        return 0;
    const char *at = strstr((const char *)status.at, "VmRSS:");
    if (at == NULL || sscanf(at, "VmRSS: %ld", &kib) != 1)
        return 0;
    return kib;
}
