/* SPDX-License-Identifier: Apache-2.0 */
/* The front's end of the pipes: one request at a time, under a lock. */
#include "ca/signer.h"

#include <neo/memory.h>

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static bool read_whole(int fd, void *at, size_t len)
{
    for (size_t got = 0; got < len;) {
        ssize_t n = read(fd, (uint8_t *)at + got, len - got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        got += (size_t)n;
    }
    return true;
}

/* Whole or not at all. The CA's runtime ignores SIGPIPE: a signer that died is an error here. */
static bool ask(struct signer *s, const struct signer_request *request)
{
    static_assert(sizeof(*request) <= PIPE_BUF, "a request is written in one piece");
    ssize_t n;

    do
        n = write(s->ask, request, sizeof(*request));
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof(*request);
}

/* The answer's bytes go to `out`; a refusal is an error with the signer's words. */
static enum neo_code exchange(struct signer *s, const struct signer_request *request,
                              struct neo_buffer *out, struct neo_error *err)
{
    struct signer_answer a;
    enum neo_code code = NEO_OK;

    (void)pthread_mutex_lock(&s->lock);
    if (!ask(s, request) || !read_whole(s->answer, &a, offsetof(struct signer_answer, bytes)) ||
        a.len > sizeof(a.bytes) || !read_whole(s->answer, a.bytes, a.len))
        code = neo_fail(err, NEO_UNAVAILABLE,
                        "the signer process does not answer; restart the CA: nothing signed is "
                        "lost");
    (void)pthread_mutex_unlock(&s->lock);
    if (code != NEO_OK)
        return code;
    if (a.code != NEO_OK)
        return neo_fail(err, (enum neo_code)a.code, "signer: %.*s", (int)a.len,
                        (const char *)a.bytes);
    return neo_buffer_append(out, neo_bytes(a.bytes, a.len))
               ? NEO_OK
               : neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory asking the signer");
}

static bool inherit(int fd)
{
    return fcntl(fd, F_SETFD, 0) == 0;
}

/* Runs in the child: only exec and what is safe before it. */
static void become_signer(const char *program, int in, int out, const char *dir,
                          const char *trust_domain, bool development)
{
    char from[16], to[16];

    if (!inherit(in) || !inherit(out))
        _exit(127);
    (void)snprintf(from, sizeof(from), "%d", in);
    (void)snprintf(to, sizeof(to), "%d", out);
    /* An option and its value share a line. */
    /* clang-format off */
    const char *argv[] = {
        program, "serve", "ca-signer",
        "--in", from,
        "--out", to,
        "--state", dir,
        "--trust-domain", trust_domain,
        development ? "--insecure-dev" : NULL, NULL};
    /* clang-format on */
    /* execv() takes char *const[], and changes nothing it is given. */
    union {
        const char **in;
        char *const *out;
    } args = {.in = argv};
    (void)execv(program, args.out);
    _exit(127);
}

static enum neo_code learn_certificates(struct signer *s, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer both = {0};
    struct signer_request request = {.op = SIGNER_DESCRIBE};
    uint32_t root_len;

    NEO_TRY(exchange(s, &request, &both, err));
    if (both.len < sizeof(root_len))
        return neo_fail(err, NEO_INTERNAL, "the signer gave no certificates");
    memcpy(&root_len, both.at, sizeof(root_len));
    struct neo_bytes rest = neo_bytes_from(neo_buffer_bytes(&both), sizeof(root_len));
    if (root_len == 0 || root_len >= rest.len)
        return neo_fail(err, NEO_INTERNAL, "the signer gave no certificates");
    if (!neo_buffer_append(&s->root, neo_bytes(rest.at, root_len)) ||
        !neo_buffer_append(&s->issuer, neo_bytes_from(rest, root_len)))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory starting the signer");
    return NEO_OK;
}

enum neo_code signer_start(struct signer *s, const char *program, const char *dir,
                           const char *trust_domain, bool development, struct neo_error *err)
{
    int requests[2], answers[2];

    *s = (struct signer){.ask = -1, .answer = -1, .pid = -1};
    (void)pthread_mutex_init(&s->lock, NULL);
    if (pipe2(requests, O_CLOEXEC) != 0)
        return neo_fail_errno(err, "cannot make the signer's pipes");
    s->ask = requests[1];
    if (pipe2(answers, O_CLOEXEC) != 0) {
        (void)close(requests[0]);
        return neo_fail_errno(err, "cannot make the signer's pipes");
    }
    s->answer = answers[0];
    s->pid = fork();
    if (s->pid == 0)
        become_signer(program, requests[0], answers[1], dir, trust_domain, development);
    (void)close(requests[0]);
    (void)close(answers[1]);
    if (s->pid < 0)
        return neo_fail_errno(err, "cannot start the signer process");
    return learn_certificates(s, err);
}

void signer_stop(struct signer *s)
{
    if (s->ask >= 0)
        (void)close(s->ask); /* the signer reads the end and leaves */
    if (s->answer >= 0)
        (void)close(s->answer);
    if (s->pid > 0)
        (void)waitpid(s->pid, NULL, 0);
    neo_buffer_fini(&s->root);
    neo_buffer_fini(&s->issuer);
    (void)pthread_mutex_destroy(&s->lock);
    s->ask = s->answer = s->pid = -1;
}

enum neo_code signer_leaf(struct signer *s, struct neo_bytes spki, const char *service,
                          const uint8_t serial[static 16], int64_t not_before, int64_t not_after,
                          struct neo_buffer *out, struct neo_error *err)
{
    struct signer_request request = {
        .op = SIGNER_LEAF,
        .spki_len = (uint32_t)spki.len,
        .not_before = not_before,
        .not_after = not_after,
    };

    if (spki.len > sizeof(request.spki))
        return neo_fail(err, NEO_INVALID_ARGUMENT, "a public key of %zu bytes; at most %zu",
                        spki.len, sizeof(request.spki));
    memcpy(request.spki, spki.at, spki.len);
    memcpy(request.serial, serial, sizeof(request.serial));
    (void)snprintf(request.service, sizeof(request.service), "%s", service);
    return exchange(s, &request, out, err);
}

enum neo_code signer_trust(struct signer *s, struct neo_bytes trust, struct neo_buffer *out,
                           struct neo_error *err)
{
    struct signer_request request = {.op = SIGNER_TRUST};

    neo_sha256(trust, request.digest);
    return exchange(s, &request, out, err);
}

bool signer_is_alive(struct signer *s)
{
    siginfo_t gone = {.si_pid = 0};

    /* Asks for its end without collecting it: kill(pid, 0) would also find the dead. */
    return s->pid > 0 && waitid(P_PID, (id_t)s->pid, &gone, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           gone.si_pid == 0;
}
