/* SPDX-License-Identifier: Apache-2.0 */
/* The front's end of the pipes: one request at a time, under a lock. */
#include "ca/pipe.h"
#include "ca/signer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* The CA's runtime ignores SIGPIPE: a signer that died is an error here. */
static bool ask(struct signer *s, const struct signer_request *request, struct neo_bytes body)
{
    return pipe_write(s->ask, request, sizeof(*request)) &&
           (body.len == 0 || pipe_write(s->ask, body.at, body.len));
}

static bool hear(struct signer *s, struct signer_answer *a, struct neo_buffer *bytes)
{
    uint8_t piece[4096];

    if (!pipe_read(s->answer, a, sizeof(*a)) || a->len > SIGNER_ANSWER_MAX)
        return false;
    while (bytes->len < a->len) {
        size_t left = a->len - bytes->len;
        size_t n = left < sizeof(piece) ? left : sizeof(piece);
        if (!pipe_read(s->answer, piece, n) || !neo_buffer_append(bytes, neo_bytes(piece, n)))
            return false;
    }
    return true;
}

/* The answer's parts go to `out`; a refusal is an error with the signer's words. */
static enum neo_code exchange(struct signer *s, struct signer_request *request,
                              struct neo_bytes body, struct neo_buffer *out, struct neo_error *err)
{
    struct signer_answer a = {.code = NEO_OK};

    if (body.len > SIGNER_BODY_MAX)
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED,
                        "a trust of %zu bytes; at most %d. Revoke whole services instead", body.len,
                        SIGNER_BODY_MAX);
    request->body_len = body.len;
    (void)pthread_mutex_lock(&s->lock);
    bool heard = ask(s, request, body) && hear(s, &a, out);
    (void)pthread_mutex_unlock(&s->lock);
    if (!heard)
        return neo_fail(err, NEO_UNAVAILABLE,
                        "the signer process does not answer; restart the CA: nothing signed is "
                        "lost");
    if (a.code != NEO_OK)
        return neo_fail(err, (enum neo_code)a.code, "signer: %.*s", NEO_FMT(neo_buffer_bytes(out)));
    return NEO_OK;
}

/* Takes the first part off `rest`. */
static enum neo_code take_part(struct neo_bytes *rest, struct neo_buffer *out,
                               struct neo_error *err)
{
    uint32_t len;

    if (rest->len < sizeof(len))
        return neo_fail(err, NEO_INTERNAL, "the signer's answer lacks a part");
    memcpy(&len, rest->at, sizeof(len));
    *rest = neo_bytes_from(*rest, sizeof(len));
    if (len > rest->len)
        return neo_fail(err, NEO_INTERNAL, "the signer's answer lacks a part");
    if (!neo_buffer_append(out, neo_bytes(rest->at, len)))
        return neo_fail(err, NEO_RESOURCE_EXHAUSTED, "out of memory asking the signer");
    *rest = neo_bytes_from(*rest, len);
    return NEO_OK;
}

/* Asks for one part or two; the second may be missing when `optional`. */
static enum neo_code ask_for(struct signer *s, struct signer_request *request,
                             struct neo_bytes body, struct neo_buffer *first,
                             struct neo_buffer *second, bool optional, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer parts = {.limit = SIGNER_ANSWER_MAX};

    NEO_TRY(exchange(s, request, body, &parts, err));
    struct neo_bytes rest = neo_buffer_bytes(&parts);
    NEO_TRY(take_part(&rest, first, err));
    if (second == NULL || (optional && rest.len == 0))
        return NEO_OK;
    return take_part(&rest, second, err);
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

static enum neo_code learn_root(struct signer *s, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer issuer = {0};
    struct signer_request request = {.op = SIGNER_DESCRIBE};

    return ask_for(s, &request, (struct neo_bytes){0}, &s->root, &issuer, false, err);
}

static void begin(struct signer *s)
{
    *s = (struct signer){.ask = -1, .answer = -1, .pid = -1};
    (void)pthread_mutex_init(&s->lock, NULL);
}

enum neo_code signer_attach(struct signer *s, int ask_fd, int answer_fd, struct neo_error *err)
{
    begin(s);
    s->ask = ask_fd;
    s->answer = answer_fd;
    return learn_root(s, err);
}

enum neo_code signer_start(struct signer *s, const char *program, const char *dir,
                           const char *trust_domain, bool development, struct neo_error *err)
{
    int requests[2], answers[2];

    begin(s);
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
    return learn_root(s, err);
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
    (void)pthread_mutex_destroy(&s->lock);
    s->ask = s->answer = s->pid = -1;
}

enum neo_code signer_leaf(struct signer *s, const struct signer_leaf *leaf, struct neo_buffer *out,
                          struct neo_buffer *out_issuer, struct neo_error *err)
{
    struct signer_request request = {
        .op = SIGNER_LEAF,
        .spki_len = (uint32_t)leaf->spki.len,
        .not_before = leaf->not_before,
        .not_after = leaf->not_after,
    };

    if (leaf->spki.len > sizeof(request.spki))
        return neo_fail(err, NEO_INVALID_ARGUMENT, "a public key of %zu bytes; at most %zu",
                        leaf->spki.len, sizeof(request.spki));
    memcpy(request.spki, leaf->spki.at, leaf->spki.len);
    memcpy(request.serial, leaf->serial, sizeof(request.serial));
    if (leaf->parent != NULL)
        memcpy(request.parent, leaf->parent, sizeof(request.parent));
    (void)snprintf(request.service, sizeof(request.service), "%s", leaf->service);
    return ask_for(s, &request, (struct neo_bytes){0}, out, out_issuer, false, err);
}

enum neo_code signer_trust(struct signer *s, struct neo_bytes trust, struct neo_buffer *out,
                           struct neo_buffer *out_issuer, struct neo_error *err)
{
    struct signer_request request = {.op = SIGNER_TRUST};

    return ask_for(s, &request, trust, out, out_issuer, false, err);
}

enum neo_code signer_last(struct signer *s, struct neo_buffer *out, struct neo_error *err)
{
    struct signer_request request = {.op = SIGNER_LAST};

    return ask_for(s, &request, (struct neo_bytes){0}, out, NULL, false, err);
}

enum neo_code signer_issuer(struct signer *s, struct neo_buffer *out, struct neo_error *err)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer root = {0};
    struct signer_request request = {.op = SIGNER_DESCRIBE};

    return ask_for(s, &request, (struct neo_bytes){0}, &root, out, false, err);
}

enum neo_code signer_crl(struct signer *s, struct neo_buffer *out, struct neo_buffer *out_previous,
                         struct neo_error *err)
{
    struct signer_request request = {.op = SIGNER_CRL};

    return ask_for(s, &request, (struct neo_bytes){0}, out, out_previous, true, err);
}

bool signer_is_alive(struct signer *s)
{
    siginfo_t gone = {.si_pid = 0};

    if (s->pid <= 0) /* another's child: its pipe tells */
        return s->ask >= 0;
    /* Asks for its end without collecting it: kill(pid, 0) would also find the dead. */
    return waitid(P_PID, (id_t)s->pid, &gone, WEXITED | WNOHANG | WNOWAIT) == 0 && gone.si_pid == 0;
}
