/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running the fetcher. It speaks to the network and so is treated as what it brings: it gets no
 * secret, no open file and no time without end, and nothing that it says is believed.
 */
#include "mesh/collateral_store.h"

#include <neo/loop.h>
#include <neo/memory.h>
#include <neo/store.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    WORDS_MAX = 48,
    ENVIRONMENT_MAX = 16,
    COMPLAINT_MAX = 200,
    HEADERS_MAX = 256 << 10,
    DEFAULT_TIMEOUT = 30,
    NOT_STARTED = 127,
};

/* How long it takes at most to see that nobody waits any more. */
#define LISTEN_MOST (200 * NEO_NSEC_PER_MSEC)

struct child {
    char *argv[WORDS_MAX + 1];
    char *envp[ENVIRONMENT_MAX + 1];
    struct neo_arena arena;
    pid_t pid;
    int out;        /* its stdout */
    int complaints; /* its stderr */
};

static void child_fini(struct child *c)
{
    if (c->out >= 0)
        (void)close(c->out);
    if (c->complaints >= 0)
        (void)close(c->complaints);
    neo_arena_fini(&c->arena);
}

/* --- before it runs --------------------------------------------------------------------------- */

static enum neo_code set_words(struct child *c, const struct neo_collateral_fetcher *how,
                               const char *request, struct neo_error *err)
{
    char *words = neo_arena_string(&c->arena, neo_text(request));
    size_t n = 0;

    for (size_t i = 0; how->command[i] != NULL && n < WORDS_MAX; i++)
        c->argv[n++] = neo_arena_string(&c->arena, neo_text(how->command[i]));
    for (char *word = words; word != NULL && *word != '\0' && n < WORDS_MAX;) {
        char *end = strchr(word, ' ');
        if (end != NULL)
            *end = '\0';
        c->argv[n++] = word;
        word = end == NULL ? NULL : end + 1;
    }
    if (n == WORDS_MAX || c->argv[0] == NULL || neo_arena_failed(&c->arena))
        return neo_fail(err, NEO_INVALID_ARGUMENT, "the fetch command is empty or too long");
    return NEO_OK;
}

static void set_environment(struct child *c, const char *headers_path)
{
    static const char *const passed[] = {"PATH",        "http_proxy",    "https_proxy",
                                         "HTTPS_PROXY", "no_proxy",      "NO_PROXY",
                                         "ALL_PROXY",   "SSL_CERT_FILE", "SSL_CERT_DIR"};
    size_t n = 0;

    for (size_t i = 0; i < NEO_COUNT(passed); i++) {
        const char *value = getenv(passed[i]);
        if (value != NULL)
            c->envp[n++] = neo_arena_printf(&c->arena, "%s=%s", passed[i], value);
    }
    c->envp[n++] = neo_arena_printf(&c->arena, "NEO_FETCH_HEADERS=%s", headers_path);
    c->envp[n++] = neo_arena_string(&c->arena, NEO_LIT("LC_ALL=C"));
}

/* --- in the child: only what a forked thread may do ------------------------------------------- */

static void limit(__rlimit_resource_t resource, rlim_t to)
{
    const struct rlimit both = {to, to};

    (void)setrlimit(resource, &both);
}

static void become(const struct child *c, int null, int out, int complaints)
{
    static const struct sigaction standard = {.sa_handler = SIG_DFL};
    sigset_t none;

    (void)setsid(); /* a group of its own, to be ended as one */
    for (int sig = 1; sig < 32; sig++)
        (void)sigaction(sig, &standard, NULL);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    if (dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(complaints, 2) < 0 ||
        close_range(3, ~0U, 0) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0)
        _exit(NOT_STARTED);
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_FSIZE, NEO_COLLATERAL_FILE_MAX);
    limit(RLIMIT_NOFILE, 256);
    (void)umask(077);
    (void)execvpe(c->argv[0], c->argv, c->envp);
    _exit(NOT_STARTED);
}

static void close_pair(const int pair[2])
{
    (void)close(pair[0]);
    (void)close(pair[1]);
}

static enum neo_code start(struct child *c, struct neo_error *err)
{
    int out[2], complaints[2];

    if (pipe2(out, O_CLOEXEC) != 0)
        return neo_fail_errno(err, "cannot make a pipe");
    if (pipe2(complaints, O_CLOEXEC) != 0) {
        close_pair(out);
        return neo_fail_errno(err, "cannot make a pipe");
    }
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    c->pid = null < 0 ? -1 : fork();
    if (c->pid == 0)
        become(c, null, out[1], complaints[1]);
    enum neo_code code = c->pid < 0 ? neo_fail_errno(err, "cannot start '%s'", c->argv[0]) : NEO_OK;
    if (null >= 0)
        (void)close(null);
    (void)close(out[1]);
    (void)close(complaints[1]);
    c->out = out[0];
    c->complaints = complaints[0];
    return code;
}

/* --- while it runs ---------------------------------------------------------------------------- */

/* False at the end of what it writes. Beyond `limit` bytes it is read and dropped. */
static bool take(int fd, struct neo_buffer *out, size_t most, bool *ret_too_long)
{
    uint8_t block[8192];
    ssize_t n = read(fd, block, sizeof(block));

    if (n < 0 && errno == EINTR)
        return true;
    if (n <= 0)
        return false;
    if ((size_t)n > most - out->len)
        *ret_too_long = true;
    else
        (void)neo_buffer_append(out, neo_bytes(block, (size_t)n));
    return true;
}

struct said {
    struct neo_buffer *out;
    struct neo_buffer complaints;
    bool too_long;
    bool too_late;
};

static void listen_to(struct child *c, neo_nsec until, const struct neo_collateral_fetcher *how,
                      struct said *said)
{
    struct pollfd fds[] = {{.fd = c->out, .events = POLLIN},
                           {.fd = c->complaints, .events = POLLIN}};
    bool ignored = false;

    while ((fds[0].fd >= 0 || fds[1].fd >= 0) && !said->too_long) {
        neo_nsec now = neo_mono_nsec();
        if (now >= until || (how->is_cancelled != NULL && how->is_cancelled(how->self))) {
            said->too_late = true;
            return;
        }
        neo_nsec wait = until - now < LISTEN_MOST ? until - now : LISTEN_MOST;
        int n = poll(fds, NEO_COUNT(fds), (int)(wait / NEO_NSEC_PER_MSEC) + 1);
        if (n < 0 && errno != EINTR)
            return;
        if (n > 0 && fds[0].revents != 0 &&
            !take(fds[0].fd, said->out, NEO_COLLATERAL_FILE_MAX, &said->too_long))
            fds[0].fd = -1;
        if (n > 0 && fds[1].revents != 0 &&
            !take(fds[1].fd, &said->complaints, COMPLAINT_MAX * 16, &ignored))
            fds[1].fd = -1;
    }
}

/* Has it ended? It is not reaped yet, so its id, which is its group's, is nobody else's. */
static bool has_ended(pid_t pid)
{
    siginfo_t info = {.si_pid = 0};

    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid;
}

/* Waits for the child, but not beyond `until`, for it may have closed its output and live on. What
 * it has started and left behind ends with it. */
static int reap(pid_t pid, neo_nsec until, bool at_once)
{
    int status = -1;

    while (!at_once && neo_mono_nsec() < until && !has_ended(pid)) {
        const struct timespec pause = {.tv_nsec = 2000000};
        (void)nanosleep(&pause, NULL);
    }
    (void)kill(-pid, SIGKILL);
    (void)kill(pid, SIGKILL); /* if it has no group of its own yet */
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return at_once ? -1 : status;
}

/* One line, printable, for a message. */
static void tidy(struct neo_buffer *text)
{
    while (text->len > 0 && text->at[text->len - 1] <= ' ')
        text->len--;
    if (text->len > COMPLAINT_MAX) /* the end says more than the beginning */
        neo_buffer_drop(text, text->len - COMPLAINT_MAX);
    for (size_t i = 0; i < text->len; i++) {
        if (text->at[i] < ' ' || text->at[i] > '~')
            text->at[i] = ' ';
    }
}

static enum neo_code judge_end(const struct child *c, const char *request, int status,
                               struct said *said, unsigned timeout, struct neo_error *err)
{
    tidy(&said->complaints);
    if (said->too_late)
        return neo_fail(err, NEO_DEADLINE_EXCEEDED, "%s: '%s' took longer than %u s", request,
                        c->argv[0], timeout);
    if (said->too_long)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "%s: the answer is longer than %d bytes",
                        request, NEO_COLLATERAL_FILE_MAX);
    if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_STARTED && said->complaints.len == 0)
        return neo_fail(err, NEO_NOT_FOUND, "cannot run the fetch command '%s'", c->argv[0]);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return neo_fail(err, NEO_UNAVAILABLE, "%s: '%s' failed with %d%s%.*s", request, c->argv[0],
                        WIFEXITED(status) ? WEXITSTATUS(status) : -1,
                        said->complaints.len == 0 ? "" : ": ",
                        NEO_FMT(neo_buffer_bytes(&said->complaints)));
    if (said->out->failed)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "%s: out of memory", request);
    return said->out->len > 0 ? NEO_OK
                              : neo_fail(err, NEO_NOT_FOUND, "%s: the answer is empty", request);
}

enum neo_code fetch_run(const struct neo_collateral_fetcher *how, const char *request,
                        const char *headers_path, struct neo_buffer *out, struct neo_error *err)
{
    NEO_CLEANUP(child_fini) struct child c = {.pid = -1, .out = -1, .complaints = -1};
    unsigned timeout = how->timeout_seconds == 0 ? DEFAULT_TIMEOUT : how->timeout_seconds;
    neo_nsec until = neo_mono_nsec() + timeout * NEO_NSEC_PER_SEC;
    struct said said = {.out = out};

    neo_arena_init(&c.arena, 64 << 10);
    NEO_TRY(set_words(&c, how, request, err));
    set_environment(&c, headers_path);
    if (neo_arena_failed(&c.arena))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory");
    NEO_TRY(start(&c, err));
    listen_to(&c, until, how, &said);
    int status = reap(c.pid, until, said.too_late || said.too_long);
    if (!said.too_late && !said.too_long && neo_mono_nsec() >= until && !WIFEXITED(status))
        said.too_late = true;
    enum neo_code code = judge_end(&c, request, status, &said, timeout, err);
    neo_buffer_fini(&said.complaints);
    return code;
}

/* --- what came -------------------------------------------------------------------------------- */

static enum neo_code read_answer(struct neo_collateral *set, const char *request,
                                 struct neo_bytes body, const char *headers_path,
                                 struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer headers = {0};

    NEO_TRY(neo_collateral_add(set, body, request, err));
    if (neo_file_read(headers_path, HEADERS_MAX, &headers, NULL) != NEO_OK)
        return NEO_OK; /* not every answer has them */
    return neo_collateral_add_headers(set, neo_buffer_bytes(&headers), request, err);
}

/* Is what was asked for in it, and is it its maker's? */
struct answer {
    const char *request;
    const struct neo_collateral_put *then;
    bool is_there;
    char why[160];
};

static void note_answer(void *self, const struct neo_collateral_item *item,
                        enum neo_collateral_outcome outcome, const char *why)
{
    struct answer *a = self;
    bool is_it = item->request != NULL && strcmp(item->request, a->request) == 0;

    if (is_it && outcome != NEO_COLLATERAL_REFUSED && outcome != NEO_COLLATERAL_OLDER)
        a->is_there = true;
    else if (is_it || a->why[0] == '\0')
        (void)snprintf(a->why, sizeof(a->why), "%s (%s%s%s)", item->name,
                       neo_collateral_outcome_text(outcome), why == NULL ? "" : ": ",
                       why == NULL ? "" : why);
    if (a->then->each != NULL)
        a->then->each(a->then->self, item, outcome, why);
}

static enum neo_code fetch_into(struct neo_collateral_store *store,
                                const struct neo_collateral_fetcher *how, const char *request,
                                const char *headers_path, const struct neo_collateral_put *put,
                                struct neo_collateral *set, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer body = {0};
    struct answer answer = {.request = request, .then = put};
    struct neo_collateral_put mine = *put;

    NEO_TRY(fetch_run(how, request, headers_path, &body, err));
    NEO_TRY(read_answer(set, request, neo_buffer_bytes(&body), headers_path, err));
    mine.only_verified = true;
    mine.each = note_answer;
    mine.self = &answer;
    NEO_TRY(neo_collateral_store_put(store, set, &mine, err));
    if (!answer.is_there)
        return neo_fail(err, NEO_DATA_LOSS, "%s: not in the answer, or not good: %s", request,
                        answer.why);
    return NEO_OK;
}

enum neo_code neo_collateral_store_fetch(struct neo_collateral_store *store,
                                         const struct neo_collateral_fetcher *how,
                                         const char *request, const struct neo_collateral_put *put,
                                         struct neo_error *err)
{
    const struct neo_collateral_options options = {
        .simulated_root = neo_buffer_bytes(&store->simulated_root),
        .development = store->development,
    };
    char headers_path[STORE_PATH_LEN];
    struct neo_collateral *set;

    if (!neo_collateral_is_request(neo_text(request)))
        return neo_fail(err, NEO_INVALID_ARGUMENT, "'%.60s' is no request for collateral", request);
    NEO_TRY(store_path(store, ".headers.XXXXXX", headers_path, err));
    int fd = mkostemp(headers_path, O_CLOEXEC);
    if (fd < 0)
        return neo_fail_errno(err, "cannot make a file in '%s'", store->dir);
    (void)close(fd);
    enum neo_code code = neo_collateral_new(&options, &set, err);
    if (code == NEO_OK) {
        code = fetch_into(store, how, request, headers_path, put, set, err);
        neo_collateral_free(set);
    }
    (void)unlink(headers_path);
    return code;
}
