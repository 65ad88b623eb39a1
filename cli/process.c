/* SPDX-License-Identifier: Apache-2.0 */
/* The processes of `neo up`: started in a session of their own, found again by pid files. */
#include "cli/cli.h"

#include <neo/store.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
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

/* A pid is used again one day: it must be a `neo serve <name>`. */
static bool is_serving(unsigned pid, const char *name)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer cmdline = {0};
    char path[64], words[64];

    (void)snprintf(path, sizeof(path), "/proc/%u/cmdline", pid);
    int len = snprintf(words, sizeof(words), "%cserve%c%s", '\0', '\0', name);
    return neo_file_read(path, 65536, &cmdline, NULL) == NEO_OK &&
           memmem(cmdline.at, cmdline.len, words, (size_t)len + 1) != NULL;
}

bool process_alive(const char *name, int *ret_pid)
{
    char path[PATH_LEN], line[32];
    unsigned pid;

    dir_path(path, "run/%s.pid", name);
    if (dir_line(path, line, sizeof(line), NULL) != NEO_OK || sscanf(line, "%u", &pid) != 1 ||
        pid == 0 || !is_serving(pid, name))
        return false;
    *ret_pid = (int)pid;
    return true;
}

enum neo_code dir_enter(struct neo_error *err)
{
    struct stat st;

    if (stat(cli.dir, &st) != 0 && errno == ENOENT)
        return neo_fail(err, NEO_NOT_FOUND,
                        "there is no '%s' here; start with: neo up --detach, or name its folder "
                        "with --dir",
                        cli.dir);
    if (access(cli.dir, R_OK | W_OK | X_OK) != 0)
        return neo_fail(err, NEO_PERMISSION_DENIED,
                        "'%s' is closed to you (%s); it is for its owner only", cli.dir,
                        strerror(errno)); /* NOLINT(concurrency-mt-unsafe): one thread */
    return NEO_OK;
}

void process_stop(int pid, unsigned seconds)
{
    const struct timespec pause = {.tv_nsec = 20000000};

    (void)kill(pid, SIGTERM);
    for (unsigned i = 0; i < seconds * 50; i++) {
        (void)waitpid(pid, NULL, WNOHANG); /* when it is a child of ours */
        if (kill(pid, 0) != 0 && errno == ESRCH)
            return;
        (void)nanosleep(&pause, NULL);
    }
    (void)kill(pid, SIGKILL);
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
